"""Signs, NaNs and rounding of floats in terms, lane by lane: what several ISAs' instructions are written with.

Which NaN of several an instruction hands on is each ISA's own; `handed_on` is how A64 and z/Architecture choose.
"""

from __future__ import annotations

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS, rounded
from liftcheck.bits.term import Term, const


def lanes(value: int, like: Term) -> Term:
    """The same number in each lane."""
    return const(value, like.lane, like.lanes)


def negated(a: Term) -> Term:
    """With the other sign."""
    return b.bxor(a, lanes(FORMATS[a.lane].sign, a))


def magnitude(a: Term) -> Term:
    """Without its sign."""
    return b.band(a, lanes(FORMATS[a.lane].magnitude, a))


def quiet_bit(like: Term) -> Term:
    """The bit that a signaling NaN has not."""
    return lanes(FORMATS[like.lane].fraction + 1 >> 1, like)


def signaling(a: Term) -> Term:
    """Truth of 'is a signaling NaN'."""
    return b.band(b.isnan(a), b.bnot(b.nonzero(b.band(a, quiet_bit(a)))))


def handed_on(result: Term, *operands: Term) -> Term:
    """The result, or the NaN among the operands that is handed on: the first that is signaling, quieted, else the first
    that is quiet."""
    for operand in reversed(operands):
        result = b.ite(b.isnan(operand), operand, result)
    for operand in reversed(operands):
        result = b.ite(signaling(operand), b.bor(operand, quiet_bit(operand)), result)
    return result


def to_integral(a: Term, mode: str) -> Term:
    """Rounded to an integer in its format; 'away' is to nearest, ties away from zero, which `fround` has not."""
    if mode != "away":
        return b.fround(a, mode)
    f = FORMATS[a.lane]
    whole = b.fround(a, "trunc")
    rest = magnitude(b.fsub(a, whole))
    sign = b.band(a, lanes(f.sign, a))
    further = b.fadd(whole, b.bor(sign, lanes(rounded(f, 1, 0), a)))
    return b.ite(b.fle(lanes(rounded(f, 1, -1), a), rest), further, whole)


def converted(a: Term, width: int) -> Term:
    """In another format: of a NaN, which is quieted, the sign and the upper bits of the payload are kept."""
    source, target = FORMATS[a.lane], FORMATS[width]
    bits = min(source.stored, target.stored)
    payload = b.extract(a, source.stored - bits, bits)
    if bits < target.stored:
        payload = b.concat(payload, const(0, target.stored - bits, a.lanes))
    sign = b.shl(b.zext(b.extract(a, a.lane - 1, 1), width), const(width - 1, width, a.lanes))
    quiet_nan = const(target.infinity | target.fraction + 1 >> 1, width, a.lanes)
    return b.ite(b.isnan(a), b.bor(b.resize(payload, width), b.bor(quiet_nan, sign)), b.fconvert(a, width))
