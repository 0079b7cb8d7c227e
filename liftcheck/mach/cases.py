"""A term that has few values, value by value: indexes into tables and targets of jumps.

The one idea: below extensions, shifts and sums with constants stands the one operand that varies. It is a choice (then
each side is taken with its condition), has few bits, or is bounded by what holds; then each of its values is a case.
The conditions of the cases exclude each other, and where `holds` does, one of them is met.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final, NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import rebuilt, simplified
from liftcheck.bits.term import Term, const, value_of

_MOST: Final = 300
"""Cases of a term at most."""


class Case(NamedTuple):
    """The term is `value` where all conditions hold."""

    conditions: tuple[Term, ...]
    value: int


def cases(term: Term, holds: Set[Term]) -> list[Case] | None:
    """All cases of a normal term; None: they are too many, or not known."""
    found: list[Case] = []
    for case in _cases(term, (), holds):
        if case is None or len(found) == _MOST:
            return None
        found.append(case)
    return found


def _cases(term: Term, conditions: tuple[Term, ...], holds: Set[Term]) -> Iterator[Case | None]:
    if term.prim == "const":
        yield Case(conditions, value_of(term))
        return
    varying = _varying(term)
    if varying.prim == "ite":
        condition, first, second = varying.args
        other = simplified(build.bnot(condition))
        if other not in holds:
            yield from _cases(_put(term, varying, first), (*conditions, condition), holds | {condition})
        if condition not in holds:
            yield from _cases(_put(term, varying, second), (*conditions, other), holds | {other})
        return
    source = varying.args[0] if varying.prim == "extract" and varying.params[0] == 0 else varying
    count = _count(source, holds)
    if count is None:
        source, count = varying, _count(varying, holds)
    if count is None:
        yield None
        return
    for number in range(count):
        same = simplified(build.eq(source, const(number, source.lane)))
        yield from _cases(_put(term, varying, const(number, varying.lane)), (*conditions, same), holds)


def _varying(term: Term) -> Term:
    """The one operand below that is not a constant; a term that has several is it itself."""
    while term.prim in ("zext", "sext", "concat", "add", "sub", "shl", "and"):
        open_ = [a for a in term.args if a.prim != "const"]
        if len(open_) != 1:
            break
        term = open_[0]
    return term


def _put(term: Term, varying: Term, value: Term) -> Term:
    """The term with another operand in the place of the one that varies."""
    if term is varying:
        return value
    return rebuilt(term, tuple([a if a.prim == "const" else _put(a, varying, value) for a in term.args]))


def _count(varying: Term, holds: Set[Term]) -> int | None:
    """The term is below this number."""
    if varying.lane <= 8:
        return 1 << varying.lane
    for condition in holds:
        inner = condition.args[0] if condition.prim == "not" else condition
        if inner.prim != "ult":
            continue
        low, high = inner.args
        if condition is inner and low is varying and high.prim == "const" and value_of(high) <= _MOST:
            return value_of(high)
        if condition is not inner and high is varying and low.prim == "const" and value_of(low) < _MOST:
            return value_of(low) + 1
    return None


def chosen(found: list[tuple[Case, Term]]) -> Term:
    """The term that is each case's where its conditions hold; one of them is met."""
    term = found[-1][1]
    for case, value in reversed(found[:-1]):
        every = const(1, 1)
        for condition in case.conditions:
            every = simplified(build.band(every, condition))
        term = simplified(build.ite(every, value, term))
    return term
