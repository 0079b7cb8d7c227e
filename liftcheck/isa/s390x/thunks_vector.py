"""Thunks of vector instructions: lane by lane, by the scalar instructions that there were before.

The one idea: lanes lie in the frame, each is loaded, computed, stored; a result is loaded as one register at the end.
Which instruction has which, and what each means: `thunks`.
Source: Principles of Operation SA22-7832-11, 'Vector instructions'.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.s390x.thunk_code import (
    ALWAYS,
    EQUAL,
    GREATER,
    LESS,
    OPERAND_A,
    OPERAND_B,
    OPERAND_C,
    RESULT,
    UNORDERED,
    Thunk,
)


class _Fields:
    """The fields of a VRR-a, VRR-c or VRR-e instruction."""

    def __init__(self, code: bytes) -> None:
        extend = code[4] & 15
        self.v1 = code[1] >> 4 | (extend & 8) << 1
        self.v2 = code[1] & 15 | (extend & 4) << 2
        self.v3 = code[2] >> 4 | (extend & 2) << 3
        self.v4 = code[4] >> 4 | (extend & 1) << 4
        self.m_low, self.m_high, self.m4, self.m6 = code[3] & 15, code[3] >> 4, code[4] >> 4, code[2] & 15


_SIZES: Final = {2: 4, 3: 8, 4: 16}
_LOAD: Final = {2: 0x78, 3: 0x68}
_STORE: Final = {2: 0x70, 3: 0x60}
_BINARY: Final = {0xE3: (0x0A, 0xB34A), 0xE2: (0x0B, 0xB34B), 0xE7: (0x17, 0xB34C), 0xE5: (0x0D, 0xB34D)}
"""Last opcode byte of vfa, vfs, vfm, vfd -> the RXE opcode for short floats, the RRE opcode for extended ones."""


def _lanes(fields: _Fields, size: int) -> range:
    return range(0, size if fields.m_low & 8 else 16, size)


def _pair(thunk: Thunk, first: int, at: int) -> None:
    """Loads an extended float into the pair (first, first + 2)."""
    thunk.rx(0x68, first, at)
    thunk.rx(0x68, first + 2, at + 8)


def binary(code: bytes) -> Thunk | None:
    f = _Fields(code)
    short, extended = _BINARY[code[5]]
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4):
        return None
    thunk.enter(save, True)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    thunk.vector(0x0E, f.v3, OPERAND_B)
    if f.m4 == 2:
        for at in _lanes(f, 4):
            thunk.rx(0x78, 0, OPERAND_A + at)
            thunk.rxe(short, 0, OPERAND_B + at)
            thunk.rx(0x70, 0, RESULT + at)
    else:
        _pair(thunk, 0, OPERAND_A)
        _pair(thunk, 1, OPERAND_B)
        thunk.rre(extended, 0, 1)
        _store_pair(thunk)
    thunk.leave(save, True, f.v1)
    return thunk


def _store_pair(thunk: Thunk) -> None:
    thunk.rx(0x60, 0, RESULT)
    thunk.rx(0x60, 2, RESULT + 8)


def unary(code: bytes) -> Thunk | None:
    """vfsq, vfpso, vfi; M3 is the format, M4 (low) the single-lane bit, M5 (high) sign operation or rounding mode."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4) or (f.m4 == 4 and code[5] == 0xCE):
        return None  # sqxbr, which the square root of an extended float would need, kills Unicorn 2.1.4 itself
    thunk.enter(save, False)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    if f.m4 == 2:
        for at in _lanes(f, 4):
            thunk.rx(0x78, 0, OPERAND_A + at)
            if code[5] == 0xCE:
                thunk.rre(0xB314, 0, 0)
            elif code[5] == 0xC7:
                thunk.rre(0xB357, 0, 0, f.m_high)
            else:
                thunk.rre((0xB373, 0xB371, 0xB370)[f.m_high], 0, 0)
            thunk.rx(0x70, 0, RESULT + at)
    else:
        _pair(thunk, 0, OPERAND_A)
        if code[5] == 0xC7:
            thunk.rre(0xB347, 0, 0, f.m_high)
        else:
            thunk.rre((0xB373, 0xB371, 0xB370)[f.m_high], 0, 0)
        _store_pair(thunk)
    thunk.leave(save, False, f.v1)
    return thunk


def multiply_add(code: bytes) -> Thunk | None:
    f = _Fields(code)
    thunk, save = Thunk(), (0, 2)
    if f.m6 != 2:
        return None
    thunk.enter(save, False)
    for register, place in ((f.v2, OPERAND_A), (f.v3, OPERAND_B), (f.v4, OPERAND_C)):
        thunk.vector(0x0E, register, place)
    for at in _lanes(f, 4):
        thunk.rx(0x78, 0, OPERAND_C + at)
        thunk.rx(0x78, 2, OPERAND_B + at)  # of two NaNs the one in storage counts: it is operand 2
        thunk.rxf(0x0E if code[5] == 0x8F else 0x0F, 0, 2, OPERAND_A + at)
        thunk.rx(0x70, 0, RESULT + at)
    thunk.leave(save, False, f.v1)
    return thunk


def compare_scalar(code: bytes) -> Thunk | None:
    """wfc (0xcb), wfk (0xca): sets the condition code."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4):
        return None
    signalling = code[5] == 0xCA
    thunk.enter(save, False)
    thunk.vector(0x0E, f.v1, OPERAND_A)
    thunk.vector(0x0E, f.v2, OPERAND_B)
    if f.m4 == 2:
        thunk.rx(0x78, 0, OPERAND_A)
        thunk.rxe(0x08 if signalling else 0x09, 0, OPERAND_B)
    else:
        _pair(thunk, 0, OPERAND_A)
        _pair(thunk, 1, OPERAND_B)
        thunk.rre(0xB348 if signalling else 0xB349, 0, 1)
    thunk.leave(save, False, None)
    return thunk


_WANTED: Final = {0xE8: EQUAL, 0xEB: GREATER, 0xEA: GREATER | EQUAL}


def compare_lanes(code: bytes) -> Thunk | None:
    """vfce, vfch, vfche of short floats: lanes of ones or zeros; with M6 bit 0 the condition code says all, some,
    none."""
    f = _Fields(code)
    sets_cc = bool(f.m_high & 1)
    if f.m4 != 2 or f.m_low & 4 or (sets_cc and f.m_low & 8):
        return None
    thunk, save = Thunk(), (0,)
    thunk.enter(save, not sets_cc)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    thunk.vector(0x0E, f.v3, OPERAND_B)
    for at in _lanes(f, 4):
        thunk.rx(0x78, 0, OPERAND_A + at)
        thunk.ri(0xA78, 0, 0)
        thunk.rxe(0x09, 0, OPERAND_B + at)
        thunk.jump(ALWAYS ^ _WANTED[code[5]], f"no{at}")
        thunk.ri(0xA78, 0, -1)
        thunk.label(f"no{at}")
        thunk.rx(0x50, 0, RESULT + at)
    if sets_cc:
        _lanes_to_cc(thunk)
    thunk.leave(save, not sets_cc, f.v1)
    return thunk


def _lanes_to_cc(thunk: Thunk) -> None:
    """CC 0, 1, 3 for all, some, no lanes of the result: vceqfs of it with v0 = ones (vgbm); v0 is saved."""
    thunk.raw(b"\xe7\x00\xff\xff\x00\x44")
    thunk.vector(0x0E, 0, OPERAND_A)
    thunk.vector(0x06, 0, RESULT)
    thunk.vector(0x0E, 1, OPERAND_B)
    thunk.vector(0x06, 1, OPERAND_A)
    thunk.raw(b"\xe7\x00\x10\x10\x20\xf8")
    thunk.vector(0x06, 1, OPERAND_B)


def convert(code: bytes) -> Thunk | None:
    """vfll (0xc4) from long, vflr (0xc5) from extended floats: one lane, to and from the pair (0, 2)."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 2)
    widen = code[5] == 0xC4
    if f.m4 != (3 if widen else 4):
        return None
    thunk.enter(save, False)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    if widen:
        thunk.rxe(0x05, 0, OPERAND_A)
        _store_pair(thunk)
    else:
        _pair(thunk, 0, OPERAND_A)
        thunk.rre(0xB345, 0, 0, f.m_high)
        thunk.rx(0x60, 0, RESULT)
    thunk.leave(save, False, f.v1)
    return thunk


def extremum(code: bytes) -> Thunk | None:
    """vfmin (0xee), vfmax (0xef)."""
    f = _Fields(code)
    largest, size = code[5] == 0xEF, _SIZES.get(f.m4, 16)
    if size == 16 or f.m_high not in (1, 3):
        return None
    compare, add, load, store = (0x09, 0x0A, 0x78, 0x70) if size == 4 else (0x19, 0x1A, 0x68, 0x60)
    thunk, save = Thunk(), (0,)
    thunk.enter(save, True)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    thunk.vector(0x0E, f.v3, OPERAND_B)
    for at in _lanes(f, size):
        thunk.rx(load, 0, OPERAND_A + at)
        thunk.rxe(compare, 0, OPERAND_B + at)
        take_second = LESS if largest else GREATER
        if f.m_high == 1:
            thunk.jump(UNORDERED, f"nan{at}")
            thunk.jump(EQUAL, f"equal{at}")
        thunk.jump(ALWAYS ^ take_second, f"store{at}")
        thunk.rx(load, 0, OPERAND_B + at)
        if f.m_high == 1:
            thunk.jump(ALWAYS, f"store{at}")
            thunk.label(f"equal{at}")
            _combine_signs(thunk, size, at, largest)
            thunk.jump(ALWAYS, f"done{at}")
            thunk.label(f"nan{at}")
            thunk.rxe(add, 0, OPERAND_B + at)
        thunk.label(f"store{at}")
        thunk.rx(store, 0, RESULT + at)
        thunk.label(f"done{at}")
    thunk.leave(save, True, f.v1)
    return thunk


def _combine_signs(thunk: Thunk, size: int, at: int, largest: bool) -> None:
    """Equal floats differ at most in the sign of zero: and-ing the patterns gives the larger, or-ing the smaller."""
    if size == 4:
        thunk.rx(0x58, 0, OPERAND_A + at)
        thunk.rx(0x54 if largest else 0x56, 0, OPERAND_B + at)
        thunk.rx(0x50, 0, RESULT + at)
    else:
        thunk.rxy(0x04, 0, OPERAND_A + at)
        thunk.rxy(0x80 if largest else 0x81, 0, OPERAND_B + at)
        thunk.rxy(0x24, 0, RESULT + at)


def popcount(code: bytes) -> Thunk | None:
    """vpopct of halfwords, words, doublewords: popcnt counts each byte, a multiplication by 0x0101… adds them."""
    f = _Fields(code)
    if f.m4 not in (1, 2, 3):
        return None
    thunk = Thunk()
    thunk.enter((), True)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    thunk.raw(b"\xc0\x1e\x01\x01\x01\x01\xc0\x19\x01\x01\x01\x01")
    load, store = {1: (0x91, 0x70), 2: (0x16, 0x50), 3: (0x04, 0x24)}[f.m4]
    for at in range(0, 16, 1 << f.m4):
        thunk.rxy(load, 0, OPERAND_A + at)
        thunk.rre(0xB9E1, 0, 0)
        thunk.rre(0xB90C, 0, 1)
        thunk.rsy(0x0C, 0, 0, 56, 0)
        thunk.rxy(store, 0, RESULT + at)
    thunk.leave((), True, f.v1)
    return thunk


def to_integer(code: bytes) -> Thunk | None:
    """vclgd (0xc0), vcgd (0xc2) and their single-lane forms: Unicorn has them, but gives the largest integer for a
    NaN."""
    f = _Fields(code)
    if f.m4 != 3:
        return None
    thunk, save = Thunk(), (0,)
    thunk.enter(save, True)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    thunk.vector(0x06, 0, OPERAND_A)
    thunk.raw(bytes((0xE7, 0, 0, code[3], code[4] & 0xF0, code[5])))
    thunk.vector(0x0E, 0, RESULT)
    thunk.ri(0xA5D if code[5] == 0xC0 else 0xA5C, 1, 0 if code[5] == 0xC0 else 0x8000)
    for at in _lanes(f, 8):
        thunk.rx(0x68, 0, OPERAND_A + at)
        thunk.rxe(0x19, 0, OPERAND_A + at)
        thunk.jump(ALWAYS ^ UNORDERED, f"number{at}")
        thunk.rxy(0x24, 1, RESULT + at)
        thunk.label(f"number{at}")
    thunk.leave(save, True, f.v1)
    return thunk


def bit_permute(code: bytes) -> Thunk | None:
    """vbperm: r0 collects, r1 is the index, r2 the byte."""
    f = _Fields(code)
    thunk = Thunk()
    thunk.enter((), True)
    thunk.vector(0x0E, f.v2, OPERAND_A)
    thunk.vector(0x0E, f.v3, OPERAND_B)
    thunk.ri(0xA79, 0, 0)
    for at in range(16):
        thunk.rsy(0x0D, 0, 0, 1, 0)
        thunk.rxy(0x90, 1, OPERAND_B + at)
        thunk.ri(0xA71, 1, 0x80)
        thunk.jump(ALWAYS ^ EQUAL, f"zero{at}")
        thunk.rsy(0x0C, 2, 1, 3, 0)
        thunk.rxy(0x90, 2, OPERAND_A, index=2)
        thunk.ri(0xA57, 1, 7)
        thunk.rsy(0x0D, 2, 2, 0, 1)
        thunk.rsy(0x0C, 2, 2, 7, 0)
        thunk.ri(0xA57, 2, 1)
        thunk.rre(0xB981, 0, 2)
        thunk.label(f"zero{at}")
    thunk.rxy(0x24, 0, RESULT)
    thunk.ri(0xA79, 0, 0)
    thunk.rxy(0x24, 0, RESULT + 8)
    thunk.leave((), True, f.v1)
    return thunk
