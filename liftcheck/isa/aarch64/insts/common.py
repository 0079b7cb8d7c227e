"""What aarch64's rows are written with: words, operands, places.

The one idea: operands are called as in the manual with a letter for their size: x and w for integers, b, h, s, d, q for
floats, v for a whole vector register and u for its low half, which the arrangement after it says (`vd.4s`, `ud.2s`);
`sp` after the name: number 31 is the stack pointer and not zero.
Source: Arm Architecture Reference Manual for A-profile (DDI 0487), C1.2 (registers), C4.1 (encodings), C6 and C7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from liftcheck.bits.build import add, band, bnot, bor, bxor, eq, extract, scalar, shape, zext
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.aarch64 import ISA
from liftcheck.isa.aarch64.insts.operands import (
    BitMask,
    ByteMask,
    Conditions,
    ExtendedRegister,
    Field,
    FloatImmediate,
    Hashed,
    Index,
    Label,
    MoveWide,
    Offset,
    Page,
    RegisterPair,
    Same,
    Shift,
    ShiftedRegister,
    Unlike,
    VectorList,
)
from liftcheck.mach.rows.encoding import word
from liftcheck.mach.rows.kinds import Choice, Kind, Register
from liftcheck.mach.rows.machine import Machine, Registers
from liftcheck.mach.rows.row import Meaning, Row, pure
from liftcheck.mach.rows.syntax import syntax

REGISTERS: Final = Registers(
    (64, 128), ISA.registers, {"n": 1, "z": 1, "c": 1, "v": 1, "tpidr_el0": 64, "fpcr": 64}
)  # fmt: skip
SP: Final = 63
LINK: Final = 30
FLOAT: Final = 64
"""The place of v0."""
FIELDS: Final = {"rd": 5, "rn": 5, "rm": 5, "ra": 5, "rt": 5, "rt2": 5, "rs": 5, "cond": 4, "imm6": 6}
SIZES: Final = (("w", "0", 32), ("x", "1", 64))
"""Letter, the bit 'sf', bits."""
CONDITIONS: Final = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv")
BARRIERS: Final = {
    1: "oshld", 2: "oshst", 3: "osh", 5: "nshld", 6: "nshst", 7: "nsh", 9: "ishld", 10: "ishst", 11: "ish", 13: "ld",
    14: "st", 15: "sy",
}  # fmt: skip
ARRANGEMENTS: Final = {
    "8b": (8, 8), "16b": (8, 16), "4h": (16, 4), "8h": (16, 8), "2s": (32, 2), "4s": (32, 4), "1d": (64, 1),
    "2d": (64, 2),
}  # fmt: skip
"""Bits and number of lanes."""


def _names(letter: str, last: str) -> tuple[str, ...]:
    return (*(f"{letter}{n}" for n in range(31)), last)


X, W = _names("x", "xzr"), _names("w", "wzr")
_SP_NUMBERS: Final = (*range(31), SP)


def _integers() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for letter, names, width in (("x", X, 64), ("w", W, 32)):
        for role in ("d", "n", "m", "a", "t", "t2", "s"):
            kinds[letter + role] = Register(f"r{role}", names, 0, width, zero=31, written=role == "d")
        stack = "sp" if letter == "x" else "wsp"
        for role in ("d", "n"):
            kinds[f"{letter}{role}sp"] = Register(f"r{role}", (*names[:31], stack), 0, width, written=role == "d",
                                                  numbers=_SP_NUMBERS)  # fmt: skip
        kinds[f"{letter}u"] = Unlike("rt2", names, width, ("rt",))
        kinds[f"{letter}nm"] = Same(("rn", "rm"), names, 0, width, 31)
        kinds[f"{letter}m_sh"] = ShiftedRegister(names, width, 3)
        kinds[f"{letter}m_ror"] = ShiftedRegister(names, width, 4)
        kinds[f"{letter}m_ext"] = ExtendedRegister(X, W, width)
        kinds[f"{letter}pair_s"] = RegisterPair("rs", names, width)
        kinds[f"{letter}pair_t"] = RegisterPair("rt", names, width)
        kinds[f"{letter}mask"] = BitMask(width)
        kinds[f"{letter}wide"] = MoveWide(width, False)
        kinds[f"{letter}inv"] = MoveWide(width, True)
        for name in ("lsl", "bfx", "bfiz", "bfm"):
            kinds[f"{letter}{name}"] = Field(name, width)
    kinds["xnw"] = Unlike("rn", (*X[:31], "sp"), 64, ("rt", "rt2"), stack=True)
    kinds["wsu"] = Unlike("rs", W, 32, ("rt", "rt2", "rn"))
    return kinds


def _vectors() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for letter, width, shown in (("b", 8, "b"), ("h", 16, "h"), ("s", 32, "s"), ("d", 64, "d"), ("q", 128, "q"),
                                 ("v", 128, "v"), ("u", 64, "v")):  # fmt: skip
        names = tuple(f"{shown}{n}" for n in range(32))
        for role in ("d", "n", "m", "a", "t", "t2"):
            kinds[letter + role] = Register(f"r{role}", names, FLOAT, width, 128, written=role == "d")
    names = tuple(f"v{n}" for n in range(32))
    kinds["vnm"], kinds["unm"] = Same(("rn", "rm"), names, FLOAT, 128), Same(("rn", "rm"), names, FLOAT, 64)
    for arrangement in ARRANGEMENTS:
        kinds[f"list_{arrangement}"] = VectorList("rt", 1, arrangement, written=True)
    for count in (1, 2, 3, 4):
        kinds[f"table{count}"] = VectorList("rn", count, "16b")
    return kinds


def _immediates() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {
        "imm12": Hashed("imm12", 12), "imm16": Hashed("imm16", 16), "hw": Shift("hw", 2, scale=16, default=0),
        "simm9": Hashed("imm9", 9, signed=True, role="offset"),
        "simm9z": Hashed("imm9", 9, signed=True, default=0, role="offset"), "imm5": Hashed("imm5", 5),
        "flags": Hashed("nzcv", 4, width=4),
        "lsb64": Hashed("lsb", 6), "lsb32": Hashed("lsb", 5),
        "bit5": Hashed("bit", 5), "bit6": Hashed("bit", 5, base=32),
        "target": Label("imm26", 26, scale=4), "target19": Label("imm19", 19, scale=4),
        "target14": Label("imm14", 14, scale=4), "near": Label("imm21", 21), "page": Page("imm21", 21, signed=True),
        "cond": Choice("cond", dict(enumerate(CONDITIONS))), "invcond": Conditions(CONDITIONS),
        "barrier": Choice("crm", BARRIERS), "hint": Hashed("hint", 7), "prefetch": Hashed("rt", 5),
        "fimm": FloatImmediate(), "bytes": ByteMask(), "byte": Hashed("imm8", 8, hexadecimal=True),
        "lsl8": Shift("shift", 1, scale=8, default=0), "lsl32": Shift("shift", 2, scale=8, default=0),
        "mslby": Shift("shift", 1, scale=8, base=8), "ext8": Hashed("imm4", 3), "ext16": Hashed("imm4", 4),
        "i8": Index("index", 4, width=8), "i16": Index("index", 3, width=8),
        "i32": Index("index", 2, width=8),
        "i64": Index("index", 1, width=8), "j8": Index("from", 4, width=8), "j16": Index("from", 3, width=8),
        "j32": Index("from", 2, width=8), "j64": Index("from", 1, width=8),
    }  # fmt: skip
    for shift, size in enumerate((1, 2, 4, 8, 16)):
        kinds[f"off{size}"] = Hashed("imm12", 12, scale=size, default=0, role="offset")
        kinds[f"pair{size}"] = Hashed("imm7", 7, signed=True, scale=size, role="offset")
        kinds[f"pairz{size}"] = Hashed("imm7", 7, signed=True, scale=size, default=0, role="offset")
        kinds[f"reg{size}"] = Offset(X, W, shift)
    for width, bits in ((8, 3), (16, 4), (32, 5), (64, 6)):
        kinds[f"left{width}"] = Hashed("shift", bits, width=width)
        kinds[f"right{width}"] = Hashed("shift", bits, scale=-1, base=width, width=width)
    return kinds


KINDS: Final = _integers() | _vectors() | _immediates()


def inst(template: str, picture: str, meaning: Meaning, section: str, needs: str = "", untested: str = "") -> Row:
    """A row; see docs/machine-rows.md."""
    return Row(syntax(template, KINDS), word(picture, FIELDS, "little"), meaning, section, needs, untested)


def plain(template: str, picture: str, meaning: Callable[..., Any], section: str, needs: str = "") -> Row:
    """A row whose meaning asks nothing of the machine."""
    return inst(template, picture, pure(meaning), section, needs)


def laned(lane: int, function: Callable[..., Term]) -> Callable[..., Term]:
    """A function of lanes of `lane` bits as one of whole registers; single bits decide, they are left as they are."""

    def meaning(*values: Term) -> Term:
        return scalar(function(*(shape(v, lane, v.bits // lane) for v in values)))

    return meaning


# -- flags


def set_flags(s: Machine, n: Term, z: Term, c: Term, v: Term) -> None:
    """N, Z, C, V, a bit each."""
    for place, value in (("n", n), ("z", z), ("c", c), ("v", v)):
        s.write(place, value)


def flags_of(result: Term) -> tuple[Term, Term]:
    """N and Z of a result."""
    return extract(result, result.lane - 1, 1), eq(result, const(0, result.lane))


def add_with_carry(a: Term, b: Term, carry: Term) -> tuple[Term, Term, Term]:
    """Sum, carry out, overflow (shared pseudocode AddWithCarry)."""
    width = a.lane
    wide = add(add(zext(a, width + 1), zext(b, width + 1)), zext(carry, width + 1))
    total = extract(wide, 0, width)
    over = extract(band(bxor(a, total), bxor(b, total)), width - 1, 1)
    return total, extract(wide, width, 1), over


def holds(s: Machine, condition: Term) -> Term:
    """Whether a condition (its number as a term) holds (shared pseudocode ConditionHolds)."""
    number = value_of(condition)
    n, z, c, v = (s.read(place) for place in "nzcv")
    same = bnot(bxor(n, v))
    base = (z, c, n, v, band(c, bnot(z)), same, band(same, bnot(z)), const(1, 1))[number >> 1]
    return bnot(base) if number & 1 and number != 15 else base


def either(a: Term, b: Term) -> Term:
    """Of truth values."""
    return bor(a, b)
