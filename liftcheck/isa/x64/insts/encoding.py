"""x86-64's encodings as the manual writes them: prefixes, REX, VEX or EVEX, opcode, ModRM with SIB and displacement.

The one idea: the picture of a row is the manual's line. Its parts, separated by blanks:

    66 F2 F3 F0        prefixes that belong to it (operand size, mandatory, LOCK), before the opcode
    REX.W              W is 1; without it W is 0; `WIG`: either (encoded as 0)
    VEX.256.66.0F38.W0, EVEX.512.F3.0F.W1   length (128, 256, 512, LIG), prefix (66, F2, F3), map (0F, 0F38, 0F3A), W0
    W1 WIG 0F 38 01           the opcode's bytes, with 0F, 0F 38, 0F 3A as its map
    58+r               the opcode's low three bits (and REX.B) are a register: field `rm`
    /r /5              a ModRM byte; its reg field is the field `reg`, or belongs to the opcode
    *16 *64/8          EVEX: a displacement of one byte counts in units of 16 (of 8 where it broadcasts)
    ib iw id iq        an immediate of 1, 2, 4, 8 bytes: field `imm`; a second one is `imm2`
    F8                 a byte after the opcode that belongs to it

Fields: `reg`, `rm` (register numbers), `vvvv`, `imm`; of a memory operand `mem` = 1, `base` (NO_BASE, RIP), `index`
(NO_INDEX), `scale` (0 to 3), `disp` (32 bits), `wide`: the displacement's bytes if it has more than it needs,
`segment` (0, 4 fs, 5 gs); `rex` = 1 where a REX prefix is there (bytes of registers 4 to 7 need one); EVEX: `mask`,
`zeroing`, `broadcast`, `rounding` (its L bits with b, for registers).
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2 and 3.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from liftcheck.errors import AssemblyError, InternalError
from liftcheck.mach.rows.encoding import Candidate, Decoder, Fields

NO_BASE, RIP, NO_INDEX = 32, 33, 32
_MAPS: Final = {"0F": 1, "0F38": 2, "0F3A": 3, "MAP5": 5, "MAP6": 6}
_PREFIXES: Final = {"": 0, "66": 1, "F3": 2, "F2": 3, "66 F3": 4, "66 66": 5}
_SIZES: Final = {"ib": 1, "iw": 2, "id": 4, "iq": 8}
_LENGTHS: Final = {"128": 0, "256": 1, "512": 2, "LIG": -1, "L0": 0, "L1": 1}


@dataclass(frozen=True, slots=True)
class Opcode:
    """One encoding. `scheme`: '', 'VEX', 'EVEX'; `w`, `length`: -1 is 'any'; `digit`: of ModRM, -1: it is `reg`,
    None: there is no ModRM; `unit`: EVEX's (unit of a displacement, the one where it broadcasts); `given`: fields
    that are fixed."""

    scheme: str
    space: int
    prefix: int
    byte: int
    w: int = 0
    length: int = -1
    locked: bool = False
    low: bool = False
    digit: int | None = None
    tail: bytes = b""
    immediates: tuple[int, ...] = ()
    unit: tuple[int, int] = (1, 1)
    given: tuple[tuple[str, int], ...] = ()

    def rooms(self) -> Mapping[str, int]:
        """See `Encoding`."""
        registers = 31 if self.scheme == "EVEX" else 15
        found: dict[str, int] = {}
        if self.digit is not None:
            found |= {"rm": registers, "mem": 1, "base": 15, "index": 15, "scale": 3, "disp": 0xFFFFFFFF}
            found |= {"reg": registers} if self.digit < 0 else {}
        if self.low:
            found["rm"] = 15
        if self.scheme:
            found["vvvv"] = registers
        if self.scheme == "EVEX":
            found |= {"mask": 7, "zeroing": 1}
        for number, size in enumerate(self.immediates):
            found[f"imm{number + 1 if number else ''}"] = (1 << 8 * size) - 1
        return {name: room for name, room in found.items() if name not in dict(self.given)}

    def fixed(self, fields: Fields) -> Opcode:
        """See `Encoding`."""
        return replace(self, given=(*self.given, *fields.items()))

    def encode(self, fields: Fields) -> bytes:
        """See `Encoding`."""
        every = {**fields, **dict(self.given)}
        most = 31 if self.scheme == "EVEX" else 15
        if any(every.get(name, 0) > most for name in ("reg", "rm", "vvvv")):
            raise AssemblyError("registers above 15 need an encoding of AVX-512")
        made = _Parts(every)
        modrm = b"" if self.digit is None else made.modrm(self.digit, self.unit[every.get("broadcast", 0)])
        byte = self.byte | (every["rm"] & 7 if self.low else 0)
        head = self._evex(made) if self.scheme == "EVEX" else self._vex(made) if self.scheme else self._legacy(made)
        segment = {4: b"\x64", 5: b"\x65"}.get(every.get("segment", 0), b"")
        code = segment + head + bytes((byte,)) + self.tail + modrm
        for number, size in enumerate(self.immediates):
            code += every[f"imm{number + 1 if number else ''}"].to_bytes(size, "little")
        return code

    def _legacy(self, made: _Parts) -> bytes:
        code = b"\xf0" if self.locked else b""
        code += (b"", b"\x66", b"\xf3", b"\xf2", b"\x66\xf3", b"\x66\x66")[self.prefix]
        low_only = self.digit is None
        rex = (self.w > 0) << 3 | made.bit("reg", 3) << 2 | made.x << 1 | (made.bit("rm", 3) if low_only else made.b)
        if rex or made.fields.get("rex"):
            code += bytes((0x40 | rex,))
        return code + (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")[self.space]

    def _vex(self, made: _Parts) -> bytes:
        r, x, b = (not made.bit("reg", 3)), not made.x, not made.b
        last = (~made.fields.get("vvvv", 0) & 15) << 3 | max(self.length, 0) << 2 | self.prefix
        if x and b and self.space == 1 and self.w <= 0:
            return bytes((0xC5, r << 7 | last))
        return bytes((0xC4, r << 7 | x << 6 | b << 5 | self.space, (self.w > 0) << 7 | last))

    def _evex(self, made: _Parts) -> bytes:
        f = made.fields
        one = (not made.bit("reg", 3)) << 7 | (not made.x) << 6 | (not made.b) << 5 | (not made.bit("reg", 4)) << 4
        two = (self.w > 0) << 7 | (~f.get("vvvv", 0) & 15) << 3 | 4 | self.prefix
        length = f["rounding"] if "rounding" in f else max(self.length, 0)
        three = f.get("zeroing", 0) << 7 | length << 5 | f.get("broadcast", 0) << 4 | f.get("mask", 0)
        third = (not f.get("vvvv", 0) >> 4) if not made.vsib else not f["index"] >> 4
        return bytes((0x62, one | self.space, two, three | third << 3))


class _Parts:
    """ModRM, SIB and displacement out of fields; `x` and `b` are the prefix's bits for them."""

    def __init__(self, fields: Mapping[str, int]) -> None:
        self.fields: Final = fields
        memory = fields.get("mem", 0)
        self.vsib: Final = bool(fields.get("vsib", 0))
        index = fields.get("index", NO_INDEX)
        self.x: Final = (index >> 3 & 1 if index != NO_INDEX else 0) if memory else fields.get("rm", 0) >> 4 & 1
        base = fields.get("base", 0)
        self.b: Final = (base >> 3 & 1 if base < NO_BASE else 0) if memory else fields.get("rm", 0) >> 3 & 1

    def bit(self, name: str, number: int) -> int:
        """A bit of a field."""
        return self.fields.get(name, 0) >> number & 1

    def modrm(self, digit: int, unit: int) -> bytes:
        """ModRM and what follows it."""
        f = self.fields
        reg = (f["reg"] if digit < 0 else digit) & 7
        if not f.get("mem"):
            return bytes((0xC0 | reg << 3 | f["rm"] & 7,))
        base, index = f["base"], f["index"]
        signed = f["disp"] - (1 << 32) if f["disp"] >> 31 else f["disp"]
        long = f["disp"].to_bytes(4, "little")
        if base == RIP:
            return bytes((reg << 3 | 5,)) + long
        scaled = index != NO_INDEX and (index != 4 or self.vsib)
        if base == NO_BASE:
            return bytes((reg << 3 | 4, f["scale"] << 6 | (index & 7 if scaled else 4) << 3 | 5)) + long
        mod = {0: 0, 1: 1, 4: 2}[max(_least(signed, base, unit), f.get("wide", 0))]
        tail = b"" if mod == 0 else (signed // unit & 255).to_bytes(1, "little") if mod == 1 else long
        if not scaled and base & 7 != 4:
            return bytes((mod << 6 | reg << 3 | base & 7,)) + tail
        return bytes((mod << 6 | reg << 3 | 4, f["scale"] << 6 | (index & 7 if scaled else 4) << 3 | base & 7)) + tail


def _least(displacement: int, base: int, unit: int) -> int:
    """Bytes that a displacement needs."""
    if displacement == 0 and base & 7 != 5:
        return 0
    return 1 if displacement % unit == 0 and -128 <= displacement // unit <= 127 else 4


_LINE: Final = re.compile(r"(VEX|EVEX)((?:\.\w+)+)")


def opcode(picture: str) -> Opcode:
    """The encoding of a manual's line."""
    parts = picture.split()
    scheme, prefix, locked, w, space, length = "", "", False, 0, 0, -1
    bytes_: list[int] = []
    digit: int | None = None
    low, immediates, unit = False, [], (1, 1)
    for part in parts:
        found = _LINE.fullmatch(part)
        if found:
            scheme, more = found[1], found[2][1:].split(".")
            length = next((_LENGTHS[x] for x in more if x in _LENGTHS), -1)
            space = next(_MAPS[x] for x in more if x in _MAPS)
            prefix = next((x for x in more if x in ("66", "F2", "F3")), "")
            w = 1 if "W1" in more else 0 if "W0" in more else -1
        elif part in ("66", "F2", "F3") and not bytes_ and not scheme:
            prefix = f"{prefix} {part}".strip()
        elif part == "F0" and not bytes_ and not scheme:
            locked = True
        elif part == "REX.W":
            w = 1
        elif part == "WIG":
            w = -1
        elif part[0] == "/":
            digit = -1 if part == "/r" else int(part[1:])
        elif part[0] == "*":
            whole, _, one = part[1:].partition("/")
            unit = int(whole), int(one or whole)
        elif part in _SIZES:
            immediates.append(_SIZES[part])
        elif re.fullmatch(r"[0-9A-F]{2}(\+r)?", part):
            low = low or part.endswith("+r")
            bytes_.append(int(part[:2], 16))
        else:
            raise InternalError(f"{part!r} in the encoding {picture!r}")
    if not scheme:
        for start, number in (([0x0F, 0x38], 2), ([0x0F, 0x3A], 3), ([0x0F], 1)):
            if bytes_[: len(start)] == start and len(bytes_) > len(start):
                space, bytes_ = number, bytes_[len(start) :]
                break
    return Opcode(scheme, space, _PREFIXES[prefix], bytes_[0], w, length, locked, low, digit, bytes(bytes_[1:]),
                  tuple(immediates), unit)  # fmt: skip


class _Head(NamedTuple):
    """What stands before the opcode. `r`, `x`, `b`, `w` are bits of REX, VEX, EVEX."""

    scheme: str
    space: int
    prefix: int
    at: int
    w: int = 0
    r: int = 0
    x: int = 0
    b: int = 0
    rex: int = 0
    vvvv: int = 0
    length: int = 0
    high: int = 0
    mask: int = 0
    zeroing: int = 0
    broadcast: int = 0
    locked: bool = False
    segment: int = 0


def decoder(opcodes: Sequence[Opcode]) -> Decoder:
    """The encodings by scheme, map and opcode byte; those with more bits fixed first."""
    found: dict[tuple[str, int, int], list[int]] = {}
    for number, one in enumerate(opcodes):
        for k in range(8 if one.low else 1):
            found.setdefault((one.scheme, one.space, one.byte + k), []).append(number)
    for numbers in found.values():
        numbers.sort(key=lambda n: -_fixed(opcodes[n]))

    def decode(window: bytes) -> Iterator[Candidate]:
        try:
            head = _head(window)
        except IndexError:
            return
        if head is None or head.at >= len(window):
            return
        for number in found.get((head.scheme, head.space, window[head.at]), ()):
            candidate = _candidate(opcodes[number], number, head, window)
            if candidate is not None:
                yield candidate

    return decode


def _fixed(one: Opcode) -> int:
    digit = one.digit is not None and one.digit >= 0
    return 4 * len(one.tail) + 2 * digit + (one.w >= 0) + len(one.given) + (one.prefix > 0) + one.locked


def _head(window: bytes) -> _Head | None:
    at, prefix, locked, segment, size = 0, 0, False, 0, 0
    while window[at] in (0x66, 0xF2, 0xF3, 0xF0, 0x64, 0x65):
        byte = window[at]
        if byte in (0x64, 0x65):
            segment = byte - 0x60
        elif byte == 0xF0:
            locked = True
        elif byte == 0x66:
            size += 1
        else:
            prefix = 2 if byte == 0xF3 else 3
        at += 1
    prefix = 4 if size and prefix == 2 else prefix or (5 if size > 1 else size)
    first = window[at]
    if first == 0xC5:
        byte = window[at + 1]
        return _Head("VEX", 1, byte & 3, at + 2, 0, ~byte >> 7 & 1, vvvv=~byte >> 3 & 15, length=byte >> 2 & 1)
    if first == 0xC4:
        one, two = window[at + 1], window[at + 2]
        return _Head("VEX", one & 31, two & 3, at + 3, two >> 7, ~one >> 7 & 1, ~one >> 6 & 1, ~one >> 5 & 1, 0,
                     ~two >> 3 & 15, two >> 2 & 1, segment=segment)  # fmt: skip
    if first == 0x62:
        return _evex_head(window, at, segment)
    rex = 0
    if first & 0xF0 == 0x40:
        rex, at = first, at + 1
    space = 0
    if window[at] == 0x0F:
        space, at = {0x38: (2, at + 2), 0x3A: (3, at + 2)}.get(window[at + 1], (1, at + 1))
    return _Head("", space, prefix, at, rex >> 3 & 1, rex >> 2 & 1, rex >> 1 & 1, rex & 1, int(rex > 0), locked=locked,
                 segment=segment)  # fmt: skip


def _evex_head(window: bytes, at: int, segment: int) -> _Head:
    one, two, three = window[at + 1], window[at + 2], window[at + 3]
    return _Head(
        "EVEX",
        one & 7,
        two & 3,
        at + 4,
        two >> 7,
        ~one >> 7 & 1 | (~one >> 4 & 1) << 1,
        ~one >> 6 & 1,
        ~one >> 5 & 1,
        0,
        ~two >> 3 & 15,
        three >> 5 & 3,
        ~three >> 3 & 1,
        three & 7,
        three >> 7,
        three >> 4 & 1,
        segment=segment,
    )


def _candidate(one: Opcode, number: int, head: _Head, window: bytes) -> Candidate | None:
    at = head.at + 1
    if one.prefix != head.prefix or one.locked != head.locked or one.w not in (-1, head.w):
        return None
    if window[at : at + len(one.tail)] != one.tail:
        return None
    at += len(one.tail)
    fields: dict[str, int] = {"rex": 0, "segment": head.segment, "mem": 0}
    if one.scheme:
        fields["vvvv"] = head.vvvv | head.high << 4
    if one.scheme == "EVEX":
        fields |= {"mask": head.mask, "zeroing": head.zeroing, "broadcast": head.broadcast}
    if one.low:
        fields["rm"] = window[head.at] & 7 | head.b << 3
    if one.digit is not None:
        try:
            at = _modrm(one, head, window, at, fields)
        except IndexError:
            return None
        if at < 0:
            return None
    if one.length not in (-1, head.length) and not (head.broadcast and not fields["mem"]):
        return None
    for count, size in enumerate(one.immediates):
        if at + size > len(window):
            return None
        fields[f"imm{count + 1 if count else ''}"] = int.from_bytes(window[at : at + size], "little")
        at += size
    if head.broadcast and not fields["mem"]:
        fields["rounding"] = head.length
    fields["rex"] = head.rex
    if any(fields.get(name) != value for name, value in one.given):
        return None
    return Candidate(number, fields, at)


def _modrm(one: Opcode, head: _Head, window: bytes, at: int, fields: dict[str, int]) -> int:
    """Where the immediates begin; -1: it is another instruction."""
    byte = window[at]
    mod, reg, rm, at = byte >> 6, byte >> 3 & 7, byte & 7, at + 1
    if one.digit is not None and one.digit >= 0 and reg != one.digit:
        return -1
    fields["reg"] = reg | head.r << 3
    if mod == 3:
        fields["rm"] = rm | head.b << 3 | (head.x << 4 if one.scheme == "EVEX" else 0)
        return at
    fields |= {"mem": 1, "base": rm | head.b << 3, "index": NO_INDEX, "scale": 0}
    if rm == 4:
        sib, at = window[at], at + 1
        index = sib >> 3 & 7 | head.x << 3
        fields |= {"scale": sib >> 6, "index": NO_INDEX if index == 4 else index, "base": sib & 7 | head.b << 3}
        if sib & 7 == 5 and mod == 0:
            fields["base"], mod = NO_BASE, 2
    elif rm == 5 and mod == 0:
        fields["base"], mod = RIP, 2
    return _displacement(one, head, window, at, mod, fields)


def _displacement(one: Opcode, head: _Head, window: bytes, at: int, mod: int, fields: dict[str, int]) -> int:
    size = (0, 1, 4)[mod]
    signed = int.from_bytes(window[at : at + size], "little", signed=True)
    if at + size > len(window):
        return -1
    unit = one.unit[head.broadcast]
    signed *= unit if size == 1 else 1
    fields["disp"] = signed & 0xFFFFFFFF
    if fields["base"] < NO_BASE:
        fields["wide"] = size if size > _least(signed, fields["base"], unit) else 0
    return at + size
