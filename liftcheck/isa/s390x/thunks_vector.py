"""Thunks of vector instructions: lane by lane, by the scalar instructions that there were before.

The one idea: lanes lie in the frame, each is loaded, computed, stored; a result is loaded as one register at the end.
Which instruction has which, and what each means: `thunks`.
Source: Principles of Operation SA22-7832-11, 'Vector instructions'.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.s390x.thunk_code import OPERAND_A, OPERAND_B, OPERAND_C, RESULT, SP, Thunk


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
_BINARY: Final = {0xE3: ("aeb", "axbr"), 0xE2: ("seb", "sxbr"), 0xE7: ("meeb", "mxbr"), 0xE5: ("deb", "dxbr")}
"""Last opcode byte of vfa, vfs, vfm, vfd: the instruction for short floats, and for extended ones."""


def _lanes(fields: _Fields, size: int) -> range:
    return range(0, size if fields.m_low & 8 else 16, size)


def _put(thunk: Thunk, *places: tuple[int, int]) -> None:
    """Stores vector registers in the frame."""
    thunk.add(*(f"vst %v{register}, {at}{SP}" for register, at in places))


def _pair(thunk: Thunk, first: int, at: int) -> None:
    """Loads an extended float into the pair (first, first + 2)."""
    thunk.add(f"ld %f{first}, {at}{SP}", f"ld %f{first + 2}, {at + 8}{SP}")


def _store_pair(thunk: Thunk) -> None:
    thunk.add(f"std %f0, {RESULT}{SP}", f"std %f2, {RESULT + 8}{SP}")


def binary(code: bytes) -> Thunk | None:
    f = _Fields(code)
    short, extended = _BINARY[code[5]]
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4):
        return None
    thunk.enter(save, True)
    _put(thunk, (f.v2, OPERAND_A), (f.v3, OPERAND_B))
    if f.m4 == 2:
        for at in _lanes(f, 4):
            thunk.add(f"le %f0, {OPERAND_A + at}{SP}", f"{short} %f0, {OPERAND_B + at}{SP}")
            thunk.add(f"ste %f0, {RESULT + at}{SP}")
    else:
        _pair(thunk, 0, OPERAND_A)
        _pair(thunk, 1, OPERAND_B)
        thunk.add(f"{extended} %f0, %f1")
        _store_pair(thunk)
    thunk.leave(save, True, f.v1)
    return thunk


def unary(code: bytes) -> Thunk | None:
    """vfsq, vfpso, vfi; M3 is the format, M4 (low) the single-lane bit, M5 (high) sign operation or rounding mode."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4) or (f.m4 == 4 and code[5] == 0xCE):
        return None  # sqxbr, which the square root of an extended float would need, kills Unicorn 2.1.4 itself
    if code[5] == 0xC7:
        step = f"fi{'e' if f.m4 == 2 else 'x'}bra %f0, {f.m_high}, %f0, 0"
    elif code[5] == 0xCE:
        step = "sqebr %f0, %f0"
    else:
        step = f"{('lcdfr', 'lndfr', 'lpdfr')[f.m_high]} %f0, %f0"
    thunk.enter(save, False)
    _put(thunk, (f.v2, OPERAND_A))
    if f.m4 == 2:
        for at in _lanes(f, 4):
            thunk.add(f"le %f0, {OPERAND_A + at}{SP}", step, f"ste %f0, {RESULT + at}{SP}")
    else:
        _pair(thunk, 0, OPERAND_A)
        thunk.add(step)
        _store_pair(thunk)
    thunk.leave(save, False, f.v1)
    return thunk


def multiply_add(code: bytes) -> Thunk | None:
    f = _Fields(code)
    thunk, save = Thunk(), (0, 2)
    if f.m6 != 2:
        return None
    name = "maeb" if code[5] == 0x8F else "mseb"
    thunk.enter(save, False)
    _put(thunk, (f.v2, OPERAND_A), (f.v3, OPERAND_B), (f.v4, OPERAND_C))
    for at in _lanes(f, 4):
        # of two NaNs the one in storage counts: it is operand 2
        thunk.add(f"le %f0, {OPERAND_C + at}{SP}", f"le %f2, {OPERAND_B + at}{SP}")
        thunk.add(f"{name} %f0, %f2, {OPERAND_A + at}{SP}", f"ste %f0, {RESULT + at}{SP}")
    thunk.leave(save, False, f.v1)
    return thunk


def compare_scalar(code: bytes) -> Thunk | None:
    """wfc (0xcb), wfk (0xca): sets the condition code."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 1, 2, 3)
    if f.m4 not in (2, 4):
        return None
    letter = "k" if code[5] == 0xCA else "c"
    thunk.enter(save, False)
    _put(thunk, (f.v1, OPERAND_A), (f.v2, OPERAND_B))
    if f.m4 == 2:
        thunk.add(f"le %f0, {OPERAND_A}{SP}", f"{letter}eb %f0, {OPERAND_B}{SP}")
    else:
        _pair(thunk, 0, OPERAND_A)
        _pair(thunk, 1, OPERAND_B)
        thunk.add(f"{letter}xbr %f0, %f1")
    thunk.leave(save, False, None)
    return thunk


_UNLESS: Final = {0xE8: "jne", 0xEB: "jnh", 0xEA: "jnhe"}


def compare_lanes(code: bytes) -> Thunk | None:
    """vfce, vfch, vfche of short floats: lanes of ones or zeros; with M6 bit 0 the condition code says all, some,
    none."""
    f = _Fields(code)
    sets_cc = bool(f.m_high & 1)
    if f.m4 != 2 or f.m_low & 4 or (sets_cc and f.m_low & 8):
        return None
    thunk, save = Thunk(), (0,)
    thunk.enter(save, not sets_cc)
    _put(thunk, (f.v2, OPERAND_A), (f.v3, OPERAND_B))
    for at in _lanes(f, 4):
        thunk.add(f"le %f0, {OPERAND_A + at}{SP}", "lhi %r0, 0", f"ceb %f0, {OPERAND_B + at}{SP}")
        thunk.jump(_UNLESS[code[5]], f"no{at}")
        thunk.add("lhi %r0, -1")
        thunk.label(f"no{at}")
        thunk.add(f"st %r0, {RESULT + at}{SP}")
    if sets_cc:
        _lanes_to_cc(thunk)
    thunk.leave(save, not sets_cc, f.v1)
    return thunk


def _lanes_to_cc(thunk: Thunk) -> None:
    """CC 0, 1, 3 for all, some, no lanes of the result: it is compared with ones; v0 is saved."""
    thunk.add(f"vgbm %v0, {0xFFFF}", f"vst %v0, {OPERAND_A}{SP}", f"vl %v0, {RESULT}{SP}", f"vst %v1, {OPERAND_B}{SP}")
    thunk.add(f"vl %v1, {OPERAND_A}{SP}", "vceqfs %v0, %v0, %v1", f"vl %v1, {OPERAND_B}{SP}")


def convert(code: bytes) -> Thunk | None:
    """vfll (0xc4) from long, vflr (0xc5) from extended floats: one lane, to and from the pair (0, 2)."""
    f = _Fields(code)
    thunk, save = Thunk(), (0, 2)
    widen = code[5] == 0xC4
    if f.m4 != (3 if widen else 4):
        return None
    thunk.enter(save, False)
    _put(thunk, (f.v2, OPERAND_A))
    if widen:
        thunk.add(f"lxdb %f0, {OPERAND_A}{SP}")
        _store_pair(thunk)
    else:
        _pair(thunk, 0, OPERAND_A)
        thunk.add(f"ldxbra %f0, {f.m_high}, %f0, 0", f"std %f0, {RESULT}{SP}")
    thunk.leave(save, False, f.v1)
    return thunk


def extremum(code: bytes) -> Thunk | None:
    """vfmin (0xee), vfmax (0xef)."""
    f = _Fields(code)
    largest, size = code[5] == 0xEF, _SIZES.get(f.m4, 16)
    if size == 16 or f.m_high not in (1, 3):
        return None
    letter = "e" if size == 4 else "d"
    thunk, save = Thunk(), (0,)
    thunk.enter(save, True)
    _put(thunk, (f.v2, OPERAND_A), (f.v3, OPERAND_B))
    for at in _lanes(f, size):
        thunk.add(f"l{letter} %f0, {OPERAND_A + at}{SP}", f"c{letter}b %f0, {OPERAND_B + at}{SP}")
        if f.m_high == 1:
            thunk.jump("jo", f"nan{at}")
            thunk.jump("je", f"equal{at}")
        thunk.jump("jnl" if largest else "jnh", f"store{at}")
        thunk.add(f"l{letter} %f0, {OPERAND_B + at}{SP}")
        if f.m_high == 1:
            thunk.jump("j", f"store{at}")
            thunk.label(f"equal{at}")
            _combine_signs(thunk, size, at, largest)
            thunk.jump("j", f"done{at}")
            thunk.label(f"nan{at}")
            thunk.add(f"a{letter}b %f0, {OPERAND_B + at}{SP}")
        thunk.label(f"store{at}")
        thunk.add(f"st{letter} %f0, {RESULT + at}{SP}")
        thunk.label(f"done{at}")
    thunk.leave(save, True, f.v1)
    return thunk


def _combine_signs(thunk: Thunk, size: int, at: int, largest: bool) -> None:
    """Equal floats differ at most in the sign of zero: and-ing the patterns gives the larger, or-ing the smaller."""
    load, combine, store = (
        ("l", "n" if largest else "o", "st") if size == 4 else ("lg", "ng" if largest else "og", "stg")
    )
    thunk.add(f"{load} %r0, {OPERAND_A + at}{SP}", f"{combine} %r0, {OPERAND_B + at}{SP}")
    thunk.add(f"{store} %r0, {RESULT + at}{SP}")


def popcount(code: bytes) -> Thunk | None:
    """vpopct of halfwords, words, doublewords: popcnt counts each byte, a multiplication by 0x0101… adds them."""
    f = _Fields(code)
    if f.m4 not in (1, 2, 3):
        return None
    thunk = Thunk()
    thunk.enter((), True)
    _put(thunk, (f.v2, OPERAND_A))
    thunk.add(f"llihf %r1, {0x01010101}", f"iilf %r1, {0x01010101}")
    load, store = {1: ("llgh", "sthy"), 2: ("llgf", "sty"), 3: ("lg", "stg")}[f.m4]
    for at in range(0, 16, 1 << f.m4):
        thunk.add(f"{load} %r0, {OPERAND_A + at}{SP}", "popcnt %r0, %r0", "msgr %r0, %r1", "srlg %r0, %r0, 56")
        thunk.add(f"{store} %r0, {RESULT + at}{SP}")
    thunk.leave((), True, f.v1)
    return thunk


def to_integer(code: bytes) -> Thunk | None:
    """vclgd (0xc0), vcgd (0xc2) and their single-lane forms: Unicorn has them, but gives the largest integer for a
    NaN."""
    f = _Fields(code)
    if f.m4 != 3:
        return None
    unsigned = code[5] == 0xC0
    thunk, save = Thunk(), (0,)
    thunk.enter(save, True)
    _put(thunk, (f.v2, OPERAND_A))
    name = f"{'w' if f.m_low & 8 else 'v'}c{'l' if unsigned else ''}gdb"
    thunk.add(f"vl %v0, {OPERAND_A}{SP}", f"{name} %v0, %v0, {f.m_low}, {f.m_high}", f"vst %v0, {RESULT}{SP}")
    thunk.add("llihl %r1, 0" if unsigned else f"llihh %r1, {0x8000}")
    for at in _lanes(f, 8):
        thunk.add(f"ld %f0, {OPERAND_A + at}{SP}", f"cdb %f0, {OPERAND_A + at}{SP}")
        thunk.jump("jno", f"number{at}")
        thunk.add(f"stg %r1, {RESULT + at}{SP}")
        thunk.label(f"number{at}")
    thunk.leave(save, True, f.v1)
    return thunk


def bit_permute(code: bytes) -> Thunk | None:
    """vbperm: r0 collects, r1 is the index, r2 the byte. An index from 128 on finds a byte of the other operand, whose
    bit is cleared then."""
    f = _Fields(code)
    thunk = Thunk()
    thunk.enter((), True)
    _put(thunk, (f.v2, OPERAND_A), (f.v3, OPERAND_B))
    thunk.add("lghi %r0, 0")
    for at in range(16):
        thunk.add("sllg %r0, %r0, 1", f"llgc %r1, {OPERAND_B + at}{SP}", "srlg %r2, %r1, 3")
        thunk.add(f"llgc %r2, {OPERAND_A}(%r2,%r15)", "nill %r1, 7", "sllg %r2, %r2, 0(%r1)", "srlg %r2, %r2, 7")
        thunk.add("nill %r2, 1", f"llgc %r1, {OPERAND_B + at}{SP}", "srlg %r1, %r1, 7", "xilf %r1, 1")
        thunk.add("ngr %r2, %r1", "ogr %r0, %r2")
    thunk.add(f"stg %r0, {RESULT}{SP}", "lghi %r0, 0", f"stg %r0, {RESULT + 8}{SP}")
    thunk.leave((), True, f.v1)
    return thunk
