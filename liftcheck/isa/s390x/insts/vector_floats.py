"""s390x: floats in vectors: arithmetic, comparisons, conversions; all elements (v…) or the leftmost one alone (w…).

Legend: `common`; suffix s, d, x: elements of 4, 8, 16 bytes. The other elements of what is done alone are undefined.
NaNs, rounding modes: `floats`.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapter 24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term
from liftcheck.isa.s390x.insts import floats
from liftcheck.isa.s390x.insts.common import inst
from liftcheck.isa.s390x.insts.floats import from_integer, fused, minus, mode_of, one, shortened, two
from liftcheck.isa.s390x.insts.vector import set_some
from liftcheck.isa.s390x.insts.vector_moves import elements, whole
from liftcheck.mach.rows.floats import converted, handed_on, magnitude, negated
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

SECTION: Final = "24"
_FORMS: Final = (("v", "s", 2, 0), ("v", "d", 3, 0), ("w", "s", 2, 8), ("w", "d", 3, 8), ("w", "x", 4, 8))
"""First letter, last letter, the mask that says the format, the mask that says 'alone'."""
Lanes = Callable[..., Term]


def _needs(last: str) -> str:
    return "" if last == "d" else "vxrs_ext1"


def taken(a: Term, width: int, alone: int) -> Term:
    """The elements that are operated on."""
    return b.extract(a, 128 - width, width) if alone else elements(a, width)


def given(s: Machine, result: Term) -> Term:
    """A vector of the results."""
    if result.bits == 128:
        return whole(result)
    return b.concat(result, s.undefined(128 - result.bits))


def on(function: Lanes, width: int, alone: int) -> Callable[..., Term]:
    return lambda s, *values: given(s, function(*(taken(v, width, alone) for v in values)))


def _fused(subtracts: bool, negates: bool, width: int, alone: int) -> Callable[[Machine, Term, Term, Term], Term]:
    """A NaN is handed on with its own sign."""

    def meaning(s: Machine, *values: Term) -> Term:
        n, m, a = (taken(v, width, alone) for v in values)
        return given(s, fused(s, n, m, b.ite(b.isnan(a), a, negated(a)) if subtracts else a, negates))

    return meaning


def extremum(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """As Java's Math.max and min: a NaN counts, -0 is below +0."""
    return lambda a, c: handed_on(function(a, c), a, c)


_MACROS: Final[tuple[tuple[str, str, int, Lanes], ...]] = (
    ("fmax", "EF", 2, lambda a, c: b.ite(b.flt(c, a), a, c)), ("fmin", "EE", 2, lambda a, c: b.ite(b.flt(a, c), a, c)),
    ("fmax", "EF", 3, lambda a, c: b.ite(b.flt(a, c), c, a)), ("fmin", "EE", 3, lambda a, c: b.ite(b.flt(c, a), c, a)),
)  # fmt: skip
"""As C's macros (2), as std::max and min (3): an operand as it is, the second or first one where neither is more."""
_TWO: Final[tuple[tuple[str, str, Lanes], ...]] = (
    ("fa", "E3", two(b.fadd)), ("fs", "E2", two(b.fsub)), ("fm", "E7", two(b.fmul)), ("fd", "E5", two(b.fdiv)),
)  # fmt: skip
_THREE: Final = (
    ("fma", "8F", "", False, False), ("fms", "8E", "", True, False), ("fnma", "9F", "vxrs_ext1", False, True),
    ("fnms", "9E", "vxrs_ext1", True, True),
)  # fmt: skip
_TESTS: Final[tuple[tuple[str, str, Lanes], ...]] = (
    ("fce", "E8", b.feq), ("fch", "EB", lambda a, c: b.flt(c, a)), ("fche", "EA", lambda a, c: b.fle(c, a)),
)  # fmt: skip


def _comparison(test: Lanes, width: int, alone: int, codes: bool) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, c: Term) -> Term:
        truths = test(taken(a, width, alone), taken(c, width, alone))
        if codes:
            set_some(s, truths)
        return given(s, b.sext(truths, width))

    return meaning


def _arithmetic() -> Iterator[Row]:
    for first, last, m, alone in _FORMS:
        width, needs = 8 << m, _needs(last)
        for name, code, function in _TWO:
            yield inst(f"{first}{name}{last}b >v1, v2, v3", f"VRRc E7{code}", on(function, width, alone), SECTION,
                       needs, m4=m, m5=alone, m6=0)  # fmt: skip
        for name, code, extra, subtracts, negates in _THREE:
            yield inst(f"{first}{name}{last}b >v1, v2, v3, v4", f"VRRe E7{code}",
                       _fused(subtracts, negates, width, alone), SECTION, needs or extra, m6=m,
                       m5=alone)  # fmt: skip
        for name, code, mode, choose in _MACROS:
            yield inst(f"{first}{name}{last}b >v1, v2, v3, {mode}", f"VRRc E7{code}", on(choose, width, alone), SECTION,
                       "vxrs_ext1", m4=m, m5=alone, m6=mode)  # fmt: skip
        for name, code, function in (("fmax", "EF", b.fmax), ("fmin", "EE", b.fmin)):
            yield inst(f"{first}{name}{last}b >v1, v2, v3, 1", f"VRRc E7{code}", on(extremum(function), width, alone),
                       SECTION, "vxrs_ext1", m4=m, m5=alone, m6=1)  # fmt: skip
        for name, code, test in _TESTS:
            for suffix, codes in (("", 0), ("s", 1)):
                yield inst(f"{first}{name}{last}b{suffix} >v1, v2, v3", f"VRRc E7{code}",
                           _comparison(test, width, alone, bool(codes)), SECTION, needs, m4=m, m5=alone,
                           m6=codes)  # fmt: skip
        yield inst(f"{first}fsq{last}b >v1, v2", "VRRa E7CE", on(one(b.fsqrt), width, alone), SECTION, needs, m3=m,
                   m4=alone, m5=0)  # fmt: skip
        for name, m5, unary in (("flc", 0, negated), ("fln", 1, minus), ("flp", 2, magnitude)):
            yield inst(f"{first}{name}{last}b >v1, v2", "VRRa E7CC", on(unary, width, alone), SECTION, needs, m3=m,
                       m4=alone, m5=m5)  # fmt: skip
        if alone:
            for name, code in (("wfc", "CB"), ("wfk", "CA")):
                yield inst(f"{name}{last}b v1, v2", f"VRRa E7{code}", _compare(width), SECTION, needs, m3=m, m4=0,
                           m5=0)  # fmt: skip
        for m4 in (0, 4):
            yield inst(f"{first}fi{last}b >v1, v2, {m4 + alone}, m5", "VRRa E7C7", _integral(width, alone), SECTION,
                       needs, m3=m, m4=m4 + alone)  # fmt: skip


def _compare(width: int) -> Callable[[Machine, Term, Term], None]:
    return lambda s, a, c: floats.compare(s, taken(a, width, 8), taken(c, width, 8))


def _integral(width: int, alone: int) -> Callable[[Machine, Term, Term], Term]:
    return lambda s, a, m5: given(s, floats.to_integral(taken(a, width, alone), mode_of(m5)))


# -- between formats: elements of half the size are the left one of each pair


def _lengthen(width: int, alone: int) -> Callable[[Machine, Term], Term]:
    def meaning(s: Machine, a: Term) -> Term:
        half = b.extract(taken(a, 2 * width, alone), width, width)
        return given(s, converted(half, 2 * width))

    return meaning


def _shorten(width: int, alone: int) -> Callable[[Machine, Term, Term], Term]:
    """The right one of each pair is undefined."""

    def meaning(s: Machine, a: Term, m5: Term) -> Term:
        half = shortened(taken(a, width, alone), width // 2, m5)
        if alone:
            return given(s, half)
        parts = [b.concat(b.extract(b.scalar(half), 32 * k, 32), s.undefined(32)) for k in (1, 0)]
        return b.concat(*parts)

    return meaning


def _formats() -> Iterator[Row]:
    for name, m, alone, needs in (("vldeb", 2, 0, ""), ("wldeb", 2, 8, ""), ("wflld", 3, 8, "vxrs_ext1")):
        yield inst(f"{name} >v1, v2", "VRRa E7C4", _lengthen(8 << m, alone), SECTION, needs, m3=m, m4=alone, m5=0)
    for name, m, alone, needs in (("vledb", 3, 0, ""), ("wledb", 3, 8, ""), ("wflrx", 4, 8, "vxrs_ext1")):
        for m4 in (0, 4):
            yield inst(f"{name} >v1, v2, {m4 + alone}, m5", "VRRa E7C5", _shorten(8 << m, alone), SECTION, needs, m3=m,
                       m4=m4 + alone)  # fmt: skip


def _from(width: int, alone: int, signed: bool) -> Callable[[Machine, Term, Term], Term]:
    return lambda s, a, m5: given(s, from_integer(taken(a, width, alone), width, signed, m5))


def _to(width: int, alone: int, signed: bool) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, m5: Term) -> Term:
        whole_numbers = floats.to_integral(taken(a, width, alone), mode_of(m5))
        return given(s, floats.saturated(whole_numbers, width, signed))

    return meaning


def _integers() -> Iterator[Row]:
    for float_letter, integer_letter, m, needs in (("d", "g", 3, ""), ("e", "f", 2, "vxrs_ext2")):
        for first, alone in (("v", 0), ("w", 8)):
            for l, signed, make, take in (("", True, "C3", "C2"), ("l", False, "C1", "C0")):
                for m4 in (0, 4):
                    end = f">v1, v2, {m4 + alone}, m5"
                    yield inst(f"{first}c{float_letter}{l}{integer_letter}b {end}", f"VRRa E7{make}",
                               _from(8 << m, alone, signed), SECTION, needs, m3=m, m4=m4 + alone)  # fmt: skip
                    yield inst(f"{first}c{l}{integer_letter}{float_letter}b {end}", f"VRRa E7{take}",
                               _to(8 << m, alone, signed), SECTION, needs, m3=m, m4=m4 + alone)  # fmt: skip


ROWS: Final = (*_arithmetic(), *_formats(), *_integers())
