"""Signs and NaNs of floats in terms, lane by lane: what the meanings of several ISAs' instructions are written with.

Which NaN of several an instruction hands on, and what it makes of it, is each ISA's own.
"""

from __future__ import annotations

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS
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
