"""Lets Unicorn run z14 instructions that it lacks: each is replaced by a jump to a thunk of older instructions.

The one idea: the replacement is machine code, so a loop over such an instruction costs no stop of the emulator. Sites
are found before a run by following the control flow from each function's entry (so data between functions or after a
`bras` is never taken for code), and one that was missed (after a jump table) stops as illegal, is replaced then, and
its row runs again. Instructions whose meaning has no thunk here stay, and end their row as 'unsupported'.

What is covered, with the meaning that the thunk has (Principles of Operation SA22-7832-11 and later):
  msrkc, msgrkc    the low half of the signed product; CC 3 if it overflows, else 0, 1, 2 for zero, negative, positive
  mgrk             the signed 64 x 64 -> 128 product
  agh, sgh, mgh    add, subtract (CC set), multiply (CC kept) a sign-extended halfword in storage
  wf/vf{a,s,m,d}, vfpso, vfi of short and extended floats, vfsq, vfma, vfms of short ones, lane by lane
  wfc, wfk of short and extended floats; vfce, vfch, vfche of short floats, with or without CC
  vfll long -> extended, vflr extended -> long
  vfmin, vfmax     with M6 = 1 (a NaN gives a NaN, -0 < +0) and M6 = 3 (the C++ std::min, std::max), short and long
  vpopct           of halfwords, words, doublewords
  wc(l)gd, vc(l)gd, c(l){f,g}{e,d,x}br
                   which Unicorn has, but converts a NaN to the largest integer, not to the smallest (signed) or 0; they
                   do not stop, so only sites that are found count: `missed_conversion` tells of others
  rnsbg, rosbg, rxsbg with the test bit, of which Unicorn dies: the others, on a copy
  vbperm           bits of operand 2 chosen by the 16 bytes of operand 3, those from 128 up give 0
All but those that set it keep the condition code. Thunks use 288 bytes below the stack pointer (the ABI has no red
zone). Which NaN results is left to the older instructions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from liftcheck.isa.s390x import ISA


class Linked(Protocol):
    """Machine code at its addresses: what of a linked image matters here."""

    @property
    def base(self) -> int:
        """The address of the first byte."""

    @property
    def code(self) -> bytes:
        """All of it."""

    def extents(self) -> list[tuple[int, int]]:
        """Address and size of every function."""


_SP: Final = 15
_FRAME: Final = 288
_A, _B, _C, _RESULT, _SAVE, _GPRS = 0, 16, 32, 48, 64, 144
_ALWAYS, _EQUAL, _LESS, _GREATER, _UNORDERED = 15, 8, 4, 2, 1
_NEAR: Final = 0xFFFE

_CONVERT: Final = frozenset({0x98, 0x99, 0x9A, 0x9C, 0x9D, 0x9E, 0xA8, 0xA9, 0xAA, 0xAC, 0xAD, 0xAE})
PREFILTER: Final = re.compile(
    rb"\xb9[\xec\xed\xfd]|\xb3[\x98-\x9a\x9c-\x9e\xa8-\xaa\xac-\xae]"
    rb"|\xec.[\x80-\xff]..[\x54\x56\x57]"
    rb"|\xe7.{4}[\x50\x85\x8e\x8f\xc0\xc2\xc4\xc5\xc7\xca\xcb\xcc\xce\xe2\xe3\xe5\xe7\xe8\xea\xeb\xee\xef]",
    re.DOTALL,
)


class Thunk:
    """Assembles a sequence of instructions with local labels. Only what the thunks need."""

    def __init__(self) -> None:
        self.code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def rre(self, opcode: int, r1: int, r2: int, m3: int = 0) -> None:
        """RRE and RRF: opcode, M3 (or zero), R1, R2."""
        self.code += bytes((opcode >> 8, opcode & 255, m3 << 4, r1 << 4 | r2))

    def rr(self, opcode: int, r1: int, r2: int) -> None:
        self.code += bytes((opcode, r1 << 4 | r2))

    def ri(self, opcode: int, r1: int, value: int) -> None:
        """RI: opcode as in 0xa78 (lhi)."""
        self.code += bytes((opcode >> 4, r1 << 4 | opcode & 15)) + (value & 0xFFFF).to_bytes(2, "big")

    def rx(self, opcode: int, r1: int, at: int) -> None:
        """RX with the stack pointer as base."""
        self.code += bytes((opcode, r1 << 4, _SP << 4 | at >> 8, at & 255))

    def rxe(self, opcode: int, r1: int, at: int) -> None:
        self.code += bytes((0xED, r1 << 4, _SP << 4 | at >> 8, at & 255, 0, opcode))

    def rxf(self, opcode: int, r1: int, r3: int, at: int) -> None:
        self.code += bytes((0xED, r3 << 4, _SP << 4 | at >> 8, at & 255, r1 << 4, opcode))

    def rxy(self, opcode: int, r1: int, at: int, index: int = 0, base: int = _SP) -> None:
        self.code += bytes((0xE3, r1 << 4 | index, base << 4 | at >> 8 & 15, at & 255, at >> 12 & 255, opcode))

    def rsy(self, opcode: int, r1: int, r3: int, at: int, base: int = _SP) -> None:
        self.code += bytes((0xEB, r1 << 4 | r3, base << 4 | at >> 8 & 15, at & 255, at >> 12 & 255, opcode))

    def vector(self, opcode: int, v1: int, at: int) -> None:
        """vl (0x06), vst (0x0e) in the frame."""
        self.code += bytes((0xE7, (v1 & 15) << 4, _SP << 4 | at >> 8, at & 255, v1 >> 4 << 3, opcode))

    def raw(self, data: bytes) -> None:
        self.code += data

    def label(self, name: str) -> None:
        self._labels[name] = len(self.code)

    def jump(self, mask: int, name: str) -> None:
        self._jumps.append((len(self.code), name))
        self.code += bytes((0xA7, mask << 4 | 4, 0, 0))

    def finish(self, at: int, back: int) -> bytes:
        """The bytes for address `at`, with a jump to `back` after them."""
        for place, name in self._jumps:
            self.code[place + 2 : place + 4] = (self._labels[name] - place >> 1 & 0xFFFF).to_bytes(2, "big")
        distance = back - at - len(self.code) >> 1
        return bytes(self.code) + b"\xc0\xf4" + (distance & 0xFFFFFFFF).to_bytes(4, "big")

    def enter(self, save: tuple[int, ...], keep_cc: bool) -> None:
        """Makes the frame, saves r0 … r3 and the vector registers `save`; the condition code stays in r3."""
        self.rxy(0x71, _SP, -_FRAME)
        self.rsy(0x24, 0, 3, _GPRS)
        if keep_cc:
            self.raw(b"\xb2\x22\x00\x30")
        for index, register in enumerate(save):
            self.vector(0x0E, register, _SAVE + 16 * index)

    def leave(self, save: tuple[int, ...], keep_cc: bool, result: int | None) -> None:
        """Undoes `enter` and loads the result's vector register."""
        for index, register in enumerate(save):
            self.vector(0x06, register, _SAVE + 16 * index)
        if result is not None:
            self.vector(0x06, result, _RESULT)
        if keep_cc:
            self.raw(b"\x04\x30")
        self.rsy(0x04, 0, 3, _GPRS)
        self.rxy(0x71, _SP, _FRAME)


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


def _binary(code: bytes) -> Thunk | None:
    f = _Fields(code)
    short, extended = _BINARY[code[5]]
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4):
        return None
    thunk.enter(save, True)
    thunk.vector(0x0E, f.v2, _A)
    thunk.vector(0x0E, f.v3, _B)
    if f.m4 == 2:
        for at in _lanes(f, 4):
            thunk.rx(0x78, 0, _A + at)
            thunk.rxe(short, 0, _B + at)
            thunk.rx(0x70, 0, _RESULT + at)
    else:
        _pair(thunk, 0, _A)
        _pair(thunk, 1, _B)
        thunk.rre(extended, 0, 1)
        _store_pair(thunk)
    thunk.leave(save, True, f.v1)
    return thunk


def _store_pair(thunk: Thunk) -> None:
    thunk.rx(0x60, 0, _RESULT)
    thunk.rx(0x60, 2, _RESULT + 8)


def _unary(code: bytes) -> Thunk | None:
    """vfsq, vfpso, vfi; M3 is the format, M4 (low) the single-lane bit, M5 (high) sign operation or rounding mode."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4) or (f.m4 == 4 and code[5] == 0xCE):
        return None  # sqxbr, which the square root of an extended float would need, kills Unicorn 2.1.4 itself
    thunk.enter(save, False)
    thunk.vector(0x0E, f.v2, _A)
    if f.m4 == 2:
        for at in _lanes(f, 4):
            thunk.rx(0x78, 0, _A + at)
            if code[5] == 0xCE:
                thunk.rre(0xB314, 0, 0)
            elif code[5] == 0xC7:
                thunk.rre(0xB357, 0, 0, f.m_high)
            else:
                thunk.rre((0xB373, 0xB371, 0xB370)[f.m_high], 0, 0)
            thunk.rx(0x70, 0, _RESULT + at)
    else:
        _pair(thunk, 0, _A)
        if code[5] == 0xC7:
            thunk.rre(0xB347, 0, 0, f.m_high)
        else:
            thunk.rre((0xB373, 0xB371, 0xB370)[f.m_high], 0, 0)
        _store_pair(thunk)
    thunk.leave(save, False, f.v1)
    return thunk


def _multiply_add(code: bytes) -> Thunk | None:
    f = _Fields(code)
    thunk, save = Thunk(), (0, 2)
    if f.m6 != 2:
        return None
    thunk.enter(save, False)
    for register, place in ((f.v2, _A), (f.v3, _B), (f.v4, _C)):
        thunk.vector(0x0E, register, place)
    for at in _lanes(f, 4):
        thunk.rx(0x78, 0, _C + at)
        thunk.rx(0x78, 2, _A + at)
        thunk.rxf(0x0E if code[5] == 0x8F else 0x0F, 0, 2, _B + at)
        thunk.rx(0x70, 0, _RESULT + at)
    thunk.leave(save, False, f.v1)
    return thunk


def _compare_scalar(code: bytes) -> Thunk | None:
    """wfc (0xcb), wfk (0xca): sets the condition code."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4):
        return None
    signalling = code[5] == 0xCA
    thunk.enter(save, False)
    thunk.vector(0x0E, f.v1, _A)
    thunk.vector(0x0E, f.v2, _B)
    if f.m4 == 2:
        thunk.rx(0x78, 0, _A)
        thunk.rxe(0x08 if signalling else 0x09, 0, _B)
    else:
        _pair(thunk, 0, _A)
        _pair(thunk, 1, _B)
        thunk.rre(0xB348 if signalling else 0xB349, 0, 1)
    thunk.leave(save, False, None)
    return thunk


_WANTED: Final = {0xE8: _EQUAL, 0xEB: _GREATER, 0xEA: _GREATER | _EQUAL}


def _compare_lanes(code: bytes) -> Thunk | None:
    """vfce, vfch, vfche of short floats: lanes of ones or zeros; with M6 bit 0 the condition code says all, some,
    none."""
    f = _Fields(code)
    sets_cc = bool(f.m_high & 1)
    if f.m4 != 2 or f.m_low & 4 or (sets_cc and f.m_low & 8):
        return None
    thunk, save = Thunk(), (0,)
    thunk.enter(save, not sets_cc)
    thunk.vector(0x0E, f.v2, _A)
    thunk.vector(0x0E, f.v3, _B)
    for at in _lanes(f, 4):
        thunk.rx(0x78, 0, _A + at)
        thunk.ri(0xA78, 0, 0)
        thunk.rxe(0x09, 0, _B + at)
        thunk.jump(_ALWAYS ^ _WANTED[code[5]], f"no{at}")
        thunk.ri(0xA78, 0, -1)
        thunk.label(f"no{at}")
        thunk.rx(0x50, 0, _RESULT + at)
    if sets_cc:
        _lanes_to_cc(thunk)
    thunk.leave(save, not sets_cc, f.v1)
    return thunk


def _lanes_to_cc(thunk: Thunk) -> None:
    """CC 0, 1, 3 for all, some, no lanes of the result: vceqfs of it with v0 = ones (vgbm); v0 is saved."""
    thunk.raw(b"\xe7\x00\xff\xff\x00\x44")
    thunk.vector(0x0E, 0, _A)
    thunk.vector(0x06, 0, _RESULT)
    thunk.vector(0x0E, 1, _B)
    thunk.vector(0x06, 1, _A)
    thunk.raw(b"\xe7\x00\x10\x10\x20\xf8")
    thunk.vector(0x06, 1, _B)


def _convert(code: bytes) -> Thunk | None:
    """vfll (0xc4) from long, vflr (0xc5) from extended floats: one lane, to and from the pair (0, 2)."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 2)
    widen = code[5] == 0xC4
    if f.m4 != (3 if widen else 4):
        return None
    thunk.enter(save, False)
    thunk.vector(0x0E, f.v2, _A)
    if widen:
        thunk.rxe(0x05, 0, _A)
        _store_pair(thunk)
    else:
        _pair(thunk, 0, _A)
        thunk.rre(0xB345, 0, 0, f.m_high)
        thunk.rx(0x60, 0, _RESULT)
    thunk.leave(save, False, f.v1)
    return thunk


def _extremum(code: bytes) -> Thunk | None:
    """vfmin (0xee), vfmax (0xef)."""
    f = _Fields(code)
    largest, size = code[5] == 0xEF, _SIZES.get(f.m4, 16)
    if size == 16 or f.m_high not in (1, 3):
        return None
    compare, add, load, store = (0x09, 0x0A, 0x78, 0x70) if size == 4 else (0x19, 0x1A, 0x68, 0x60)
    thunk, save = Thunk(), (0,)
    thunk.enter(save, True)
    thunk.vector(0x0E, f.v2, _A)
    thunk.vector(0x0E, f.v3, _B)
    for at in _lanes(f, size):
        thunk.rx(load, 0, _A + at)
        thunk.rxe(compare, 0, _B + at)
        take_second = _LESS if largest else _GREATER
        if f.m_high == 1:
            thunk.jump(_UNORDERED, f"nan{at}")
            thunk.jump(_EQUAL, f"equal{at}")
        thunk.jump(_ALWAYS ^ take_second, f"store{at}")
        thunk.rx(load, 0, _B + at)
        if f.m_high == 1:
            thunk.jump(_ALWAYS, f"store{at}")
            thunk.label(f"equal{at}")
            _combine_signs(thunk, size, at, largest)
            thunk.jump(_ALWAYS, f"done{at}")
            thunk.label(f"nan{at}")
            thunk.rxe(add, 0, _B + at)
        thunk.label(f"store{at}")
        thunk.rx(store, 0, _RESULT + at)
        thunk.label(f"done{at}")
    thunk.leave(save, True, f.v1)
    return thunk


def _combine_signs(thunk: Thunk, size: int, at: int, largest: bool) -> None:
    """Equal floats differ at most in the sign of zero: and-ing the patterns gives the larger, or-ing the smaller."""
    if size == 4:
        thunk.rx(0x58, 0, _A + at)
        thunk.rx(0x54 if largest else 0x56, 0, _B + at)
        thunk.rx(0x50, 0, _RESULT + at)
    else:
        thunk.rxy(0x04, 0, _A + at)
        thunk.rxy(0x80 if largest else 0x81, 0, _B + at)
        thunk.rxy(0x24, 0, _RESULT + at)


def _popcount(code: bytes) -> Thunk | None:
    """vpopct of halfwords, words, doublewords: popcnt counts each byte, a multiplication by 0x0101… adds them."""
    f = _Fields(code)
    if f.m4 not in (1, 2, 3):
        return None
    thunk = Thunk()
    thunk.enter((), True)
    thunk.vector(0x0E, f.v2, _A)
    thunk.raw(b"\xc0\x1e\x01\x01\x01\x01\xc0\x19\x01\x01\x01\x01")
    load, store = {1: (0x91, 0x70), 2: (0x16, 0x50), 3: (0x04, 0x24)}[f.m4]
    for at in range(0, 16, 1 << f.m4):
        thunk.rxy(load, 0, _A + at)
        thunk.rre(0xB9E1, 0, 0)
        thunk.rre(0xB90C, 0, 1)
        thunk.rsy(0x0C, 0, 0, 56, 0)
        thunk.rxy(store, 0, _RESULT + at)
    thunk.leave((), True, f.v1)
    return thunk


def _to_integer(code: bytes) -> Thunk | None:
    """vclgd (0xc0), vcgd (0xc2) and their single-lane forms: Unicorn has them, but gives the largest integer for a
    NaN."""
    f = _Fields(code)
    if f.m4 != 3:
        return None
    thunk, save = Thunk(), (0,)
    thunk.enter(save, True)
    thunk.vector(0x0E, f.v2, _A)
    thunk.vector(0x06, 0, _A)
    thunk.raw(bytes((0xE7, 0, 0, code[3], code[4] & 0xF0, code[5])))
    thunk.vector(0x0E, 0, _RESULT)
    thunk.ri(0xA5D if code[5] == 0xC0 else 0xA5C, 1, 0 if code[5] == 0xC0 else 0x8000)
    for at in _lanes(f, 8):
        thunk.rx(0x68, 0, _A + at)
        thunk.rxe(0x19, 0, _A + at)
        thunk.jump(_ALWAYS ^ _UNORDERED, f"number{at}")
        thunk.rxy(0x24, 1, _RESULT + at)
        thunk.label(f"number{at}")
    thunk.leave(save, True, f.v1)
    return thunk


def _scalar_to_integer(code: bytes) -> Thunk:
    """c(l){f,g}{e,d,x}br: the 32 or 64 bits of a short, long or extended float R2, into R1; NaNs as above."""
    r1, r2, signed, wide = code[3] >> 4, code[3] & 15, not code[1] & 4, code[1] >= 0xA0
    thunk = Thunk()
    thunk.raw(code[:4])
    thunk.rre((0xB309, 0xB319, 0xB349)[code[1] & 3], r2, r2)
    thunk.jump(_ALWAYS ^ _UNORDERED, "number")
    if wide:
        thunk.ri(0xA5C if signed else 0xA5D, r1, 0x8000 if signed else 0)
    else:
        thunk.raw(bytes((0xC0, r1 << 4 | 9)) + (0x8000_0000 if signed else 0).to_bytes(4, "big"))
    thunk.label("number")
    return thunk


def _bit_permute(code: bytes) -> Thunk | None:
    """vbperm: r0 collects, r1 is the index, r2 the byte."""
    f = _Fields(code)
    thunk = Thunk()
    thunk.enter((), True)
    thunk.vector(0x0E, f.v2, _A)
    thunk.vector(0x0E, f.v3, _B)
    thunk.ri(0xA79, 0, 0)
    for at in range(16):
        thunk.rsy(0x0D, 0, 0, 1, 0)
        thunk.rxy(0x90, 1, _B + at)
        thunk.ri(0xA71, 1, 0x80)
        thunk.jump(_ALWAYS ^ _EQUAL, f"zero{at}")
        thunk.rsy(0x0C, 2, 1, 3, 0)
        thunk.rxy(0x90, 2, _A, index=2)
        thunk.ri(0xA57, 1, 7)
        thunk.rsy(0x0D, 2, 2, 0, 1)
        thunk.rsy(0x0C, 2, 2, 7, 0)
        thunk.ri(0xA57, 2, 1)
        thunk.rre(0xB981, 0, 2)
        thunk.label(f"zero{at}")
    thunk.rxy(0x24, 0, _RESULT)
    thunk.ri(0xA79, 0, 0)
    thunk.rxy(0x24, 0, _RESULT + 8)
    thunk.leave((), True, f.v1)
    return thunk


def _scratch(taken: set[int], pair: bool = False) -> int:
    """A register (the even one of a pair) between r0 and r13 that is not taken."""
    step = 2 if pair else 1
    return next(r for r in range(0, 13, step) if r not in taken and (not pair or r + 1 not in taken))


def _save_registers(thunk: Thunk, registers: tuple[int, ...], opcode: int) -> None:
    """stg (0x24) or lg (0x04) below the stack pointer."""
    for index, register in enumerate(registers):
        thunk.rxy(opcode, register, -8 * (index + 1))


def _set_cc(thunk: Thunk, value: int, differ: int) -> None:
    """CC 3 where the compare before found `differ`-ent, else the sign of register `value`."""
    thunk.jump(_ALWAYS ^ _EQUAL, "overflow")
    thunk.rre(0xB902, value, value)
    thunk.jump(_ALWAYS, "end")
    thunk.label("overflow")
    thunk.ri(0xA78, differ, 1)
    thunk.ri(0xA71, differ, 1)
    thunk.label("end")


def _multiply32(code: bytes) -> Thunk:
    """msrkc R1,R2,R3: the 64-bit product of the sign-extended halves is exact."""
    r3, r1, r2 = code[2] >> 4, code[3] >> 4, code[3] & 15
    s = _scratch({r1, r2, r3})
    t = _scratch({r1, r2, r3, s})
    thunk = Thunk()
    _save_registers(thunk, (s, t), 0x24)
    thunk.rre(0xB914, s, r2)
    thunk.rre(0xB914, t, r3)
    thunk.rre(0xB90C, s, t)
    thunk.rr(0x18, r1, s)
    thunk.rre(0xB914, t, s)
    thunk.rre(0xB920, t, s)
    _set_cc(thunk, s, t)
    _save_registers(thunk, (s, t), 0x04)
    return thunk


def _multiply64(code: bytes) -> Thunk:
    """msgrkc, mgrk R1,R2,R3: mlgr and a correction of the high half for negative factors."""
    r3, r1, r2 = code[2] >> 4, code[3] >> 4, code[3] & 15
    wide = code[1] == 0xEC
    taken = {r1, r2, r3} | ({r1 + 1} if wide else set())
    high = _scratch(taken, pair=True)
    low, t = high + 1, _scratch(taken | {high, high + 1})
    flags = _scratch(taken | {high, low, t})
    thunk = Thunk()
    _save_registers(thunk, (high, low, t, flags), 0x24)
    if wide:
        thunk.raw(bytes((0xB2, 0x22, 0, flags << 4)))
    thunk.rre(0xB904, low, r2)
    thunk.rre(0xB986, high, r3)
    for sign, other in ((r2, r3), (r3, r2)):
        thunk.rsy(0x0A, t, sign, 63, 0)
        thunk.rre(0xB980, t, other)
        thunk.rre(0xB909, high, t)
    if wide:
        thunk.rre(0xB904, r1, high)
        thunk.rre(0xB904, r1 + 1, low)
        thunk.raw(bytes((0x04, flags << 4)))
    else:
        thunk.rre(0xB904, r1, low)
        thunk.rsy(0x0A, t, low, 63, 0)
        thunk.rre(0xB920, t, high)
        _set_cc(thunk, low, t)
    _save_registers(thunk, (high, low, t, flags), 0x04)
    return thunk


def _halfword(code: bytes) -> Thunk:
    """agh (0x38), sgh (0x39), mgh (0x3c) R1,D2(X2,B2)."""
    r1 = code[1] >> 4
    s = _scratch({r1})
    thunk = Thunk()
    _save_registers(thunk, (s,), 0x24)
    thunk.raw(bytes((0xE3, s << 4 | code[1] & 15)) + code[2:5] + b"\x15")
    thunk.rre({0x38: 0xB908, 0x39: 0xB909, 0x3C: 0xB90C}[code[5]], r1, s)
    _save_registers(thunk, (s,), 0x04)
    return thunk


def _test_bits(code: bytes) -> Thunk | None:
    """rnsbg (0x54), rosbg (0x56), rxsbg (0x57) R1,R2,I3,I4,I5 with the test bit: only the condition code is set."""
    if not code[2] & 0x80:
        return None
    s = _scratch({code[1] >> 4, code[1] & 15})
    thunk = Thunk()
    _save_registers(thunk, (s,), 0x24)
    thunk.rre(0xB904, s, code[1] >> 4)
    thunk.raw(bytes((0xEC, s << 4 | code[1] & 15, code[2] & 0x7F)) + code[3:6])
    _save_registers(thunk, (s,), 0x04)
    return thunk


_BUILDERS: Final[dict[tuple[int, int], Callable[[bytes], Thunk | None]]] = {
    (0xB9, 0xFD): _multiply32, (0xB9, 0xED): _multiply64, (0xB9, 0xEC): _multiply64,
    (0xE3, 0x38): _halfword, (0xE3, 0x39): _halfword, (0xE3, 0x3C): _halfword,
    **{(0xB3, second): _scalar_to_integer for second in _CONVERT},
    **{(0xEC, last): _test_bits for last in (0x54, 0x56, 0x57)},
    (0xE7, 0x50): _popcount, (0xE7, 0xC0): _to_integer, (0xE7, 0xC2): _to_integer,
    (0xE7, 0x85): _bit_permute, (0xE7, 0x8E): _multiply_add, (0xE7, 0x8F): _multiply_add,
    (0xE7, 0xC4): _convert, (0xE7, 0xC5): _convert, (0xE7, 0xC7): _unary, (0xE7, 0xCC): _unary, (0xE7, 0xCE): _unary,
    (0xE7, 0xCA): _compare_scalar, (0xE7, 0xCB): _compare_scalar,
    (0xE7, 0xE2): _binary, (0xE7, 0xE3): _binary, (0xE7, 0xE5): _binary, (0xE7, 0xE7): _binary,
    (0xE7, 0xE8): _compare_lanes, (0xE7, 0xEA): _compare_lanes, (0xE7, 0xEB): _compare_lanes,
    (0xE7, 0xEE): _extremum, (0xE7, 0xEF): _extremum,
}  # fmt: skip


def thunk_for(code: bytes) -> Thunk | None:
    """The thunk of the instruction at the start of `code`, None if it needs none or has none."""
    if len(code) < 4:
        return None
    key = (code[0], code[1] if code[0] in (0xB9, 0xB3) else code[5] if len(code) > 5 else -1)
    builder = _BUILDERS.get(key)
    return builder(code) if builder else None


TEST: Final = re.compile(rb"\xec.[\x80-\xff]..[\x54\x56\x57]", re.DOTALL)
_TESTS: Final = re.compile(rb"(?=\xec.[\x80-\xff]..[\x54\x56\x57])", re.DOTALL)
"""A test of bits; all of them, also those that begin within another instruction."""


class Thunks:
    """Rewrites images. One per emulator; keeps the last image's bytes, so that a missed site can be added. With
    `tests_alone` only the tests of bits are replaced, which qemu 7.2 lacks as well."""

    def __init__(self, tests_alone: bool = False) -> None:
        self.code = bytearray()
        self.base = 0
        self._prefilter: Final = TEST if tests_alone else PREFILTER
        self._first: Final = (0xEC,) if tests_alone else (0xB3, 0xB9, 0xE3, 0xE7, 0xEC)

    def rewrite(self, image: Linked) -> bytes:
        """The image's code with thunks for all sites that control flow reaches."""
        self.code, self.base = bytearray(image.code), image.base
        if self._prefilter.search(image.code):
            for start, size in image.extents():
                if self._prefilter.search(image.code, start - image.base, start - image.base + size):
                    for site in reachable(image.code, start - image.base, size):
                        self._replace(site)
        return bytes(self.code)

    def add(self, address: int) -> bool:
        """Replaces the instruction at an address that stopped as illegal; False if there is no thunk for it."""
        offset = address - self.base
        return 0 <= offset < len(self.code) and self._replace(offset)

    def _replace(self, offset: int) -> bool:
        code = bytes(self.code[offset : offset + 6])
        thunk = thunk_for(code) if code[:1] and code[0] in self._first else None
        if thunk is None:
            return False
        self.code += bytes(len(self.code) & 1)
        length = 4 if code[0] in (0xB9, 0xB3) else 6
        at = len(self.code)
        halfwords = at - offset >> 1
        if length == 4 and halfwords * 2 > _NEAR:
            return False
        jump = b"\xa7\xf4" + halfwords.to_bytes(2, "big") if length == 4 else b"\xc0\xf4" + halfwords.to_bytes(4, "big")
        self.code += thunk.finish(self.base + at, self.base + offset + length)
        self.code[offset : offset + length] = jump
        return True


def missed_test(code: bytes) -> bool:
    """Whether a function may test bits at a place that `reachable` does not find (after a jump table)."""
    return _is_missed(code, {match.start() for match in _TESTS.finditer(code) if not match.start() & 1})


SILENT: Final = re.compile(rb"\xb3[\x98-\x9a\x9c-\x9e\xa8-\xaa\xac-\xae]|\xe7.{3}[\x30-\x3f][\xc0\xc2]", re.DOTALL)


def missed_conversion(code: bytes) -> bool:
    """Whether a function may convert floats to integers at a place that `reachable` does not find (after a jump
    table)."""
    return b"\x07\xf1" in code and _is_missed(
        code, {match.start() for match in SILENT.finditer(code) if not match.start() & 1}
    )


def _is_missed(code: bytes, places: set[int]) -> bool:
    """Whether an instruction may begin at one of these places that control flow is not seen to reach. What lies within
    an instruction that it reaches (a constant) is not one."""
    if not places:
        return False
    reached = _reached(code, 0, len(code))
    within = {at + further for at in reached for further in range(2, ISA.sizes[code[at]], 2)}
    return not places <= reached | within


_MULTIPLY: Final = frozenset({0xEC, 0xED, 0xFD})
_COMPARE_AND_BRANCH: Final = frozenset({0x64, 0x65, 0x76, 0x77, 0x7C, 0x7D, 0x7E, 0x7F})


def reachable(code: bytes, start: int, size: int) -> list[int]:
    """Offsets of instructions that the prefilter may mean, among those that control flow reaches from `start`."""
    return [at for at in sorted(_reached(code, start, size)) if _is_meant(code, at)]


def _is_meant(code: bytes, at: int) -> bool:
    first, second = code[at], code[at + 1]
    return (
        first == 0xE7
        or (first == 0xB9 and second in _MULTIPLY)
        or (first == 0xB3 and second in _CONVERT)
        or (first == 0xEC and TEST.match(code, at) is not None)
    )


def _reached(code: bytes, start: int, size: int) -> set[int]:
    """Offsets of all instructions that control flow reaches from `start`."""
    seen: set[int] = set()
    waiting, end = [start], start + size
    while waiting:
        at = waiting.pop()
        while at < end - 1 and at not in seen:
            seen.add(at)
            first, second = code[at], code[at + 1]
            target, falls = _flow(code, at, first, second)
            if target is not None and start <= target < end:
                waiting.append(target)
            if not falls:
                break
            at += ISA.sizes[first]
    return seen


def _flow(code: bytes, at: int, first: int, second: int) -> tuple[int | None, bool]:
    """Where the instruction may branch to, and whether the next may follow: as `reader.read` says, without decoding."""
    if first == 0xA7 and second & 15 in (4, 5, 6, 7):
        target = at + 2 * int.from_bytes(code[at + 2 : at + 4], "big", signed=True)
        conditional = second & 15 == 4
        return target if second != 4 else None, second >> 4 != _ALWAYS if conditional else second & 15 > 5
    if first == 0xC0 and second & 15 == 4 and second != 4:  # with a mask of 0 it never branches
        return at + 2 * int.from_bytes(code[at + 2 : at + 6], "big", signed=True), second >> 4 != _ALWAYS
    if first == 0xEC and code[at + 5 : at + 6] and code[at + 5] in _COMPARE_AND_BRANCH:
        return at + 2 * int.from_bytes(code[at + 2 : at + 4], "big", signed=True), True
    if first == 0x07:  # register 0 is no target: a no-operation that serializes
        return None, second >> 4 != _ALWAYS or second & 15 == 0
    return None, first != 0 or second != 0
