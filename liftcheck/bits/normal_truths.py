"""Rules of the normal form: comparisons, truth values, choices."""

from __future__ import annotations

from typing import Final

from liftcheck.bits import build
from liftcheck.bits.build import bnot
from liftcheck.bits.normal import FALSE, TRUE, Rule, folded, is_number, ordered, rebuilt, simplified, sliced
from liftcheck.bits.term import Term, const, term, value_of


def _eq(t: Term) -> Term:
    a, b = t.args
    if a is b:
        return TRUE
    if a.prim == b.prim == "const":
        return const(int(value_of(a) == value_of(b)), 1)
    if a.lane == 1 and "const" in (a.prim, b.prim):
        one, truth = (a, b) if b.prim == "const" else (b, a)
        return one if value_of(truth) else simplified(bnot(one))
    t = ordered(t)
    a, b = t.args
    return _eq_const(t, a, value_of(b)) if b.prim == "const" else t


def _eq_const(t: Term, a: Term, number: int) -> Term:
    if a.prim == "add" and a.args[1].prim == "const":
        return simplified(build.eq(a.args[0], const(number - value_of(a.args[1]), a.lane)))
    if a.prim == "xor" and a.args[1].prim == "const":
        return simplified(build.eq(a.args[0], const(number ^ value_of(a.args[1]), a.lane)))
    if a.prim in ("sub", "xor") and not number:
        return simplified(build.eq(*a.args))
    if a.prim in ("not", "neg"):
        wanted = const(number ^ a.mask if a.prim == "not" else -number, a.lane)
        return simplified(build.eq(a.args[0], wanted))
    if a.prim in ("zext", "sext"):
        part = const(number, a.args[0].lane)
        again = simplified(term(a.prim, a.lane, 1, (), (part,)))
        return simplified(build.eq(a.args[0], part)) if value_of(again) == number else FALSE
    if a.prim == "concat":
        high, low = a.args
        tops = simplified(build.eq(high, const(number >> low.lane, high.lane)))
        return simplified(build.band(tops, simplified(build.eq(low, const(number, low.lane)))))
    if a.prim == "ite" and "const" in (a.args[1].prim, a.args[2].prim):
        first, second = (simplified(build.eq(x, const(number, a.lane))) for x in a.args[1:])
        return simplified(build.ite(a.args[0], first, second))
    return t


def _ult(t: Term) -> Term:
    a, b = t.args
    if a is b or is_number(b, 0):
        return FALSE
    if is_number(b, 1):
        return simplified(build.eq(a, const(0, a.lane)))
    if is_number(a, 0):
        return simplified(bnot(simplified(build.eq(b, a))))
    return _narrower(t)


def _slt(t: Term) -> Term:
    a, b = t.args
    if a is b:
        return FALSE
    if is_number(b, 0):
        return sliced(a, a.lane - 1, 1)
    return _narrower(t)


def _narrower(t: Term) -> Term:
    """A comparison of two values that are extended alike, or of one with a constant that is."""
    a, b = t.args
    if a.prim == b.prim == "const":
        return folded(t)
    like = next((x for x in (a, b) if x.prim in ("zext", "sext")), None)
    cuts = [None if like is None else _unextended(x, like) for x in (a, b)]
    if None in cuts:
        return t
    prim = t.prim if like is not None and like.prim == "sext" else "ult"
    return simplified(term(prim, 1, 1, (), tuple([x for x in cuts if x is not None])))


def _unextended(x: Term, like: Term) -> Term | None:
    """The term of which an extension like that one is `x`."""
    width = like.args[0].lane
    if x.prim == "const":
        cut = const(value_of(x), width)
        return cut if simplified(term(like.prim, x.lane, 1, (), (cut,))) is x else None
    return x.args[0] if x.prim == like.prim and x.args[0].lane == width else None


def _ule(t: Term) -> Term:
    a, b = t.args
    return simplified(bnot(simplified(build.ult(b, a))))


def _sle(t: Term) -> Term:
    a, b = t.args
    return simplified(bnot(simplified(build.slt(b, a))))


def _ite(t: Term) -> Term:
    condition, a, b = t.args
    if condition.prim == "const":
        return a if value_of(condition) else b
    if a is b:
        return a
    if condition.prim == "not":
        return simplified(build.ite(condition.args[0], b, a))
    if a.prim == "ite" and a.args[0] is condition:
        return simplified(build.ite(condition, a.args[1], b))
    if b.prim == "ite" and b.args[0] is condition:
        return simplified(build.ite(condition, a, b.args[2]))
    if t.lane == 1:
        return _truth(t, condition, a, b)
    if a.prim == b.prim == "const" and {value_of(a), value_of(b)} == {0, 1}:
        return simplified(build.zext(condition if value_of(a) else simplified(bnot(condition)), t.lane))
    if a.prim == b.prim and a.prim in ("zext", "sext") and a.args[0].lane == b.args[0].lane:
        return rebuilt(a, (simplified(build.ite(condition, a.args[0], b.args[0])),))
    return t


def _truth(t: Term, condition: Term, a: Term, b: Term) -> Term:
    """A choice between truth values."""
    if a.prim == "const":
        return simplified(build.bor(condition, b) if value_of(a) else build.band(simplified(bnot(condition)), b))
    if b.prim == "const":
        return simplified(build.bor(simplified(bnot(condition)), a) if value_of(b) else build.band(condition, a))
    return t


TRUTHS: Final[dict[str, Rule]] = {"eq": _eq, "ult": _ult, "ule": _ule, "slt": _slt, "sle": _sle, "ite": _ite}
