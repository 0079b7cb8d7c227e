"""The 32-bit instruction that a compressed one stands for.

Source: The RISC-V Instruction Set Manual, Volume I (20240411), chapters 26 (C), 27 (Zc).
"""

from __future__ import annotations

from typing import Final


def expand(half: int) -> int | None:
    """The 32-bit instruction that a compressed one stands for; None for reserved ones."""
    return (_quadrant0, _quadrant1, _quadrant2)[half & 3](half, half >> 13 & 7)


def _enc_i(major: int, minor: int, rd: int, rs: int, immediate: int) -> int:
    return (immediate & 0xFFF) << 20 | rs << 15 | minor << 12 | rd << 7 | major


def _enc_s(major: int, minor: int, base: int, source: int, immediate: int) -> int:
    return (immediate >> 5 & 127) << 25 | source << 20 | base << 15 | minor << 12 | (immediate & 31) << 7 | major


def _enc_r(major: int, minor: int, seven: int, rd: int, rs: int, second: int) -> int:
    return seven << 25 | second << 20 | rs << 15 | minor << 12 | rd << 7 | major


def _enc_b(minor: int, rs: int, offset: int) -> int:
    high = (offset >> 12 & 1) << 6 | offset >> 5 & 63
    return high << 25 | rs << 15 | minor << 12 | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63


def _enc_j(rd: int, offset: int) -> int:
    high = (offset >> 20 & 1) << 19 | (offset >> 1 & 1023) << 9 | (offset >> 11 & 1) << 8 | offset >> 12 & 255
    return high << 12 | rd << 7 | 0x6F


def _quadrant0(half: int, three: int) -> int | None:
    low, base = half >> 2 & 7 | 8, half >> 7 & 7 | 8
    word = (half >> 10 & 7) << 3 | (half >> 6 & 1) << 2 | (half >> 5 & 1) << 6
    double = (half >> 10 & 7) << 3 | (half >> 5 & 3) << 6
    if three == 0:
        offset = (half >> 11 & 3) << 4 | (half >> 7 & 15) << 6 | (half >> 6 & 1) << 2 | (half >> 5 & 1) << 3
        return _enc_i(0x13, 0, low, 2, offset) if offset else None
    if three == 4:
        return _zcb_memory(half, low, base)
    major, minor, offset = {
        1: (0x07, 3, double),
        2: (0x03, 2, word),
        3: (0x03, 3, double),
        5: (0x27, 3, double),
        6: (0x23, 2, word),
        7: (0x23, 3, double),
    }[three]
    return _enc_i(major, minor, low, base, offset) if three < 4 else _enc_s(major, minor, base, low, offset)


def _zcb_memory(half: int, low: int, base: int) -> int | None:
    byte = half >> 6 & 1 | (half >> 5 & 1) << 1
    pair = (half >> 5 & 1) << 1
    match half >> 10 & 7:
        case 0:
            return _enc_i(0x03, 4, low, base, byte)
        case 1:
            return _enc_i(0x03, 1 if half >> 6 & 1 else 5, low, base, pair)
        case 2:
            return _enc_s(0x23, 0, base, low, byte)
        case 3:
            return None if half >> 6 & 1 else _enc_s(0x23, 1, base, low, pair)
    return None


def _quadrant1(half: int, three: int) -> int | None:
    rd, value = half >> 7 & 31, _signed((half >> 12 & 1) << 5 | half >> 2 & 31, 6)
    if three == 0:
        return _enc_i(0x13, 0, rd, rd, value)
    if three == 1:
        return _enc_i(0x1B, 0, rd, rd, value) if rd else None
    if three == 2:
        return _enc_i(0x13, 0, rd, 0, value)
    if three == 3:
        return _upper(half, rd, value)
    if three == 4:
        return _arithmetic(half, half >> 7 & 7 | 8, value)
    if three == 5:
        return _enc_j(0, _jump_offset(half))
    offset = (half >> 12 & 1) << 8 | (half >> 10 & 3) << 3 | (half >> 5 & 3) << 6 | (half >> 3 & 3) << 1
    return _enc_b(three - 6, half >> 7 & 7 | 8, _signed(offset | (half >> 2 & 1) << 5, 9))


def _upper(half: int, rd: int, value: int) -> int | None:
    """c.addi16sp, c.lui"""
    if value == 0:
        return None
    if rd != 2:
        return (value & 0xFFFFF) << 12 | rd << 7 | 0x37
    offset = (half >> 12 & 1) << 9 | (half >> 6 & 1) << 4 | (half >> 5 & 1) << 6 | (half >> 3 & 3) << 7
    return _enc_i(0x13, 0, 2, 2, _signed(offset | (half >> 2 & 1) << 5, 10))


def _jump_offset(half: int) -> int:
    offset = (half >> 12 & 1) << 11 | (half >> 11 & 1) << 4 | (half >> 9 & 3) << 8 | (half >> 8 & 1) << 10
    offset |= (half >> 7 & 1) << 6 | (half >> 6 & 1) << 7 | (half >> 3 & 7) << 1 | (half >> 2 & 1) << 5
    return _signed(offset, 12)


_TWO_REGISTERS: Final = {0: (0x33, 0, 32), 1: (0x33, 4, 0), 2: (0x33, 6, 0), 3: (0x33, 7, 0), 4: (0x3B, 0, 32),
                         5: (0x3B, 0, 0), 6: (0x33, 0, 1)}  # fmt: skip
"""c.sub c.xor c.or c.and c.subw c.addw c.mul"""


def _arithmetic(half: int, rd: int, value: int) -> int | None:
    shift = value & 63
    match half >> 10 & 3:
        case 0:
            return _enc_i(0x13, 5, rd, rd, shift)
        case 1:
            return _enc_i(0x13, 5, rd, rd, 16 << 6 | shift)
        case 2:
            return _enc_i(0x13, 7, rd, rd, value)
    which = (half >> 12 & 1) << 2 | half >> 5 & 3
    if which != 7:
        return _enc_r(*_TWO_REGISTERS[which], rd, rd, half >> 2 & 7 | 8)
    return {
        0: _enc_i(0x13, 7, rd, rd, 0xFF),
        1: _enc_i(0x13, 1, rd, rd, 0x604),
        2: _enc_i(0x3B, 4, rd, rd, 0x080),
        3: _enc_i(0x13, 1, rd, rd, 0x605),
        4: _enc_r(0x3B, 0, 4, rd, rd, 0),
        5: _enc_i(0x13, 4, rd, rd, -1),
    }.get(half >> 2 & 7)


def _quadrant2(half: int, three: int) -> int | None:
    rd, second = half >> 7 & 31, half >> 2 & 31
    word = (half >> 12 & 1) << 5 | (half >> 4 & 7) << 2 | (half >> 2 & 3) << 6
    double = (half >> 12 & 1) << 5 | (half >> 5 & 3) << 3 | (half >> 2 & 7) << 6
    match three:
        case 0:
            return _enc_i(0x13, 1, rd, rd, (half >> 12 & 1) << 5 | second)
        case 1:
            return _enc_i(0x07, 3, rd, 2, double)
        case 2:
            return _enc_i(0x03, 2, rd, 2, word) if rd else None
        case 3:
            return _enc_i(0x03, 3, rd, 2, double) if rd else None
        case 4:
            return _moves(half, rd, second)
        case 6:
            return _enc_s(0x23, 2, 2, second, (half >> 9 & 15) << 2 | (half >> 7 & 3) << 6)
    return _enc_s(0x27 if three == 5 else 0x23, 3, 2, second, (half >> 10 & 7) << 3 | (half >> 7 & 7) << 6)


def _moves(half: int, rd: int, second: int) -> int | None:
    """c.jr, c.mv, c.ebreak, c.jalr, c.add"""
    adds = half >> 12 & 1
    if second:
        return _enc_r(0x33, 0, 0, rd, rd if adds else 0, second)
    if rd == 0:
        return 0x00100073 if adds else None
    return _enc_i(0x67, 0, adds, rd, 0)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value
