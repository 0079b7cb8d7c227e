"""Integer arithmetic in more bits than a lane has, lane by lane: what several ISAs' instructions are written with."""

from __future__ import annotations

from collections.abc import Callable

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const

Two = Callable[[Term, Term], Term]


def _exact(function: Two, a: Term, c: Term, signed: bool) -> Term:
    """A sum or difference as a signed number."""
    extend = b.sext if signed else b.zext
    return function(extend(a, a.lane + 2), extend(c, a.lane + 2))


def saturated(function: Two, signed: bool) -> Two:
    """A sum or difference that stays in range."""

    def meaning(a: Term, c: Term) -> Term:
        exact = _exact(function, a, c, signed)
        return b.clamp_signed(exact, a.lane) if signed else b.clamp_unsigned(exact, a.lane, True)

    return meaning


def halved(function: Two, signed: bool, up: bool) -> Two:
    """Half of a sum or difference, rounded down, or up if `up`."""

    def meaning(a: Term, c: Term) -> Term:
        exact = _exact(function, a, c, signed)
        return b.extract(b.add(exact, const(1, exact.lane, a.lanes)) if up else exact, 1, a.lane)

    return meaning
