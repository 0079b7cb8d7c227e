"""How the rows of `prim` are built in z3, one lane at a time; z3 itself is handed in, so nothing here imports it.

The one idea: a value is a bit-vector everywhere, and becomes a number of z3's floating-point theory inside one
row only; every NaN comes back as the positive quiet one. What z3 leaves open (the sign of a minimum of zeros,
conversions out of range) is settled here before it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term

Smt = Callable[..., Any]


def operation(function: Callable[..., Any]) -> Smt:
    """A float operation on bit patterns with one result of the same format."""

    def build(z: Any, t: Term, *operands: Any) -> Any:
        return pattern(z, function(z, *(number(z, o) for o in operands)), t.lane)

    return build


def sort(z: Any, width: int) -> Any:
    """z3's sort of the format."""
    form = FORMATS[width]
    return z.FPSort(form.exponent, form.precision)


def number(z: Any, bits: Any) -> Any:
    """The number that a pattern stands for."""
    return z.fpBVToFP(bits, sort(z, bits.size()))


def pattern(z: Any, x: Any, width: int) -> Any:
    """The pattern of a number; of a NaN, the one that every operation gives."""
    return z.If(z.fpIsNaN(x), z.BitVecVal(FORMATS[width].nan, width), z.fpToIEEEBV(x))


def comparison(test: Callable[..., Any]) -> Smt:
    """A float comparison, as a truth value of z3."""
    return lambda z, t, a, b: test(z, number(z, a), number(z, b))


def minimum(smaller: bool) -> Smt:
    """Written with comparisons: z3's own fp.min leaves the sign of zero open."""

    def build(z: Any, t: Term, a: Any, b: Any) -> Any:
        x, y = number(z, a), number(z, b)
        less = z.fpLT(x, y) if smaller else z.fpGT(x, y)
        equal = a | b if smaller else a & b
        ordered = z.If(z.fpEQ(x, y), equal, z.If(less, a, b))
        nan = z.Or(z.fpIsNaN(x), z.fpIsNaN(y))
        return z.If(nan, pattern(z, z.fpNaN(sort(z, t.lane)), t.lane), ordered)

    return build


def to_integer(signed: bool) -> Smt:
    """Saturating: z3 leaves conversions out of range open, so the range is cut first, in a format that holds it."""

    def build(z: Any, t: Term, a: Any) -> Any:
        x, width = number(z, a), t.lane
        wide = z.FPSort(15, 2 * 128 + 2)
        exact = z.fpFPToFP(z.RNE(), x, wide)
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        convert = z.fpToSBV if signed else z.fpToUBV
        inside = convert(z.RTZ(), exact, z.BitVecSort(width))
        below = z.fpLEQ(exact, z.fpRealToFP(z.RNE(), z.RealVal(low), wide))
        above = z.fpGEQ(exact, z.fpRealToFP(z.RNE(), z.RealVal(high), wide))
        bounded = z.If(below, z.BitVecVal(low, width), z.If(above, z.BitVecVal(high, width), inside))
        return z.If(z.fpIsNaN(x), z.BitVecVal(0, width), bounded)

    return build


def rounding(mode: str) -> Smt:
    """To an integral value, by the name of z3's rounding mode."""
    return operation(lambda z, a: z.fpRoundToIntegral(getattr(z, mode)(), a))


def clz(z: Any, t: Term, a: Any) -> Any:
    """Leading zeros: the highest set bit has the last word."""
    result = z.BitVecVal(t.lane, t.lane)
    for i in range(t.lane):
        result = z.If(z.Extract(i, i, a) == 1, z.BitVecVal(t.lane - 1 - i, t.lane), result)
    return result


def ctz(z: Any, t: Term, a: Any) -> Any:
    """Trailing zeros: the lowest set bit has the last word."""
    result = z.BitVecVal(t.lane, t.lane)
    for i in reversed(range(t.lane)):
        result = z.If(z.Extract(i, i, a) == 1, z.BitVecVal(i, t.lane), result)
    return result


def popcnt(z: Any, t: Term, a: Any) -> Any:
    """The sum of the bits."""
    return z.Sum([z.ZeroExt(t.lane - 1, z.Extract(i, i, a)) for i in range(t.lane)])


def reverse(step: int) -> Smt:
    """Pieces of `step` bits in reverse order."""

    def build(z: Any, t: Term, a: Any) -> Any:
        pieces = [z.Extract(i + step - 1, i, a) for i in range(0, t.lane, step)]
        return z.Concat(*pieces) if len(pieces) > 1 else pieces[0]

    return build


def extract(z: Any, t: Term, a: Any) -> Any:
    """`lane` bits from bit `params[0]` on."""
    low = t.params[0]
    assert isinstance(low, int)
    return z.Extract(low + t.lane - 1, low, a)
