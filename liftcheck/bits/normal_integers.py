"""Rules of the normal form: sums, products, bits, shifts and rotations by constants."""

from __future__ import annotations

from typing import Final

from liftcheck.bits import build
from liftcheck.bits.build import bnot
from liftcheck.bits.normal import Rule, folded, is_number, joined, ordered, simplified, sliced
from liftcheck.bits.normal_parts import narrowed
from liftcheck.bits.term import Term, const, term, value_of


def _zeros(width: int) -> Term:
    return const(0, width)


def _add(t: Term) -> Term:
    a, b = t.args
    if a.prim == "const":
        a, b = b, a
    if b.prim == "const":
        number = value_of(b)
        while a.prim == "add" and a.args[1].prim == "const":
            a, number = a.args[0], number + value_of(a.args[1])
        if a.prim == "const":
            return const(value_of(a) + number, t.lane)
        return build.add(a, const(number, t.lane)) if number & t.mask else a
    if halves := _halves(a, b):
        return halves
    for one, other in ((a, b), (b, a)):
        if one.prim == "add" and one.args[1].prim == "const":
            return simplified(build.add(simplified(build.add(one.args[0], other)), one.args[1]))
        if one.prim == "neg":
            return simplified(build.sub(other, one.args[0]))
        if one.prim == "sub" and one.args[1] is other:
            return one.args[0]
    return _disjoint(a, b) or ordered(t)


def _halves(a: Term, b: Term) -> Term | None:
    """x & m + x & ~m is x."""
    if a.prim == b.prim == "and" and a.args[0] is b.args[0] and a.args[1].prim == b.args[1].prim == "const":
        return a.args[0] if value_of(a.args[1]) ^ value_of(b.args[1]) == a.mask else None
    for one, other in ((a, b), (b, a)):
        if one.prim == "zext" and other.prim == "concat" and is_number(other.args[1], 0):
            part, high = one.args[0], other.args[0]
            whole = part.args[0] if part.prim == "extract" and part.params[0] == 0 else None
            alike = whole is not None and whole.lane == other.lane and part.lane == other.args[1].lane
            if whole is not None and alike and high is sliced(whole, part.lane, high.lane):
                return whole
    return None


def _sub(t: Term) -> Term:
    a, b = t.args
    if b.prim == "const":
        return _add(build.add(a, const(-value_of(b), t.lane)))
    if a is b:
        return const(0, t.lane)
    if is_number(a, 0):
        return simplified(build.neg(b))
    if b.prim == "neg":
        return simplified(build.add(a, b.args[0]))
    if a.prim == "add" and b in a.args:
        return a.args[a.args[0] is b]
    if a.prim == b.prim == "concat" and a.args[0] is b.args[0]:
        low, other = (simplified(build.zext(x.args[1], t.lane)) for x in (a, b))
        return simplified(build.sub(low, other))
    left, right = _offset(a), _offset(b)
    if left[0] is right[0]:
        return const(left[1] - right[1], t.lane)
    if left[1] and left[0].prim != "const":
        return simplified(build.add(simplified(build.sub(left[0], b)), const(left[1], t.lane)))
    if right[1]:
        return simplified(build.add(simplified(build.sub(a, right[0])), const(-right[1], t.lane)))
    return t


def _offset(a: Term) -> tuple[Term, int]:
    """A term as another one plus a number."""
    if a.prim == "add" and a.args[1].prim == "const":
        return a.args[0], value_of(a.args[1])
    return a, 0


def _neg(t: Term) -> Term:
    (a,) = t.args
    if a.prim == "neg":
        return a.args[0]
    if a.prim == "sub":
        return simplified(build.sub(a.args[1], a.args[0]))
    return folded(t)


def _mul(t: Term) -> Term:
    t = ordered(t)
    a, b = t.args
    if b.prim == "const":
        number = value_of(b)
        if not number:
            return b
        if not number & number - 1:
            return _shifted(a, number.bit_length() - 1)
    return folded(t)


def _and(t: Term) -> Term:
    t = ordered(t)
    a, b = t.args
    if a is b:
        return a
    if _complements(a, b):
        return const(0, t.lane)
    if b.prim != "const":
        return _absorbed("and", "or", a, b) or t
    mask = value_of(b)
    if a.prim == "const":
        return const(value_of(a) & mask, t.lane)
    if a.prim == "and" and a.args[1].prim == "const":
        return simplified(build.band(a.args[0], const(value_of(a.args[1]) & mask, t.lane)))
    if not mask:
        return b
    if mask == t.mask:
        return a
    if not mask & mask + 1:
        return simplified(build.zext(sliced(a, 0, mask.bit_length()), t.lane))
    low = (mask & -mask).bit_length() - 1
    if mask == t.mask >> low << low:
        return joined(sliced(a, low, t.lane - low), _zeros(low))
    if a.prim in ("concat", "zext"):  # each part under its part of the mask
        bottom = (a.args[1] if a.prim == "concat" else a.args[0]).lane
        above = simplified(build.band(sliced(a, bottom, t.lane - bottom), const(mask >> bottom, t.lane - bottom)))
        return joined(above, simplified(build.band(sliced(a, 0, bottom), const(mask, bottom))))
    return t


def _absorbed(prim: str, inner: str, a: Term, b: Term) -> Term | None:
    """a | a & b is a, a | ~a & b is a | b; and the same with both turned."""
    for one, other in ((a, b), (b, a)):
        if one.prim == inner:
            if other in one.args:
                return other
            for k in (0, 1):
                if _complements(one.args[k], other):
                    return simplified(term(prim, a.lane, 1, (), (one.args[1 - k], other)))
    return None


def _complements(a: Term, b: Term) -> bool:
    return (a.prim == "not" and a.args[0] is b) or (b.prim == "not" and b.args[0] is a)


def _or(t: Term) -> Term:
    t = ordered(t)
    a, b = t.args
    if a is b or is_number(b, 0):
        return a
    if is_number(b, -1) or _complements(a, b):
        return const(-1, t.lane)
    if a.prim == b.prim == "const":
        return const(value_of(a) | value_of(b), t.lane)
    if b.prim == "const" and a.prim == "or" and a.args[1].prim == "const":
        return simplified(build.bor(a.args[0], const(value_of(a.args[1]) | value_of(b), t.lane)))
    return _disjoint(a, b) or _absorbed("or", "and", a, b) or t


def _xor(t: Term) -> Term:
    a, b = t.args
    for one, other in ((a, b), (b, a)):
        if one.prim == "xor" and other in one.args:
            return one.args[1] if one.args[0] is other else one.args[0]
        if is_number(one, 0):
            return other
        if is_number(one, -1):
            return simplified(bnot(other))
    if a is b:
        return const(0, t.lane)
    t = ordered(t)
    a, b = t.args
    if b.prim == "const" and a.prim == "xor" and a.args[1].prim == "const":
        return simplified(build.bxor(a.args[0], const(value_of(a.args[1]) ^ value_of(b), t.lane)))
    return _disjoint(a, b) or folded(t)


def _disjoint(a: Term, b: Term) -> Term | None:
    """The or, sum, difference of bits of two terms where one has zeros wherever the other has not: put together."""
    for one, other in ((a, b), (b, a)):
        if one.prim != "concat" or not is_number(one.args[1], 0):
            continue
        room = one.args[1].lane
        if other.prim == "zext" and other.args[0].lane <= room:
            return joined(one.args[0], simplified(build.zext(other.args[0], room)))
        if other.prim == "const" and not value_of(other) >> room:
            return joined(one.args[0], const(value_of(other), room))
    return None


def _not(t: Term) -> Term:
    (a,) = t.args
    if a.prim == "not":
        return a.args[0]
    if a.prim == "or" and t.lane == 1:
        return simplified(build.band(*(simplified(bnot(x)) for x in a.args)))
    return folded(t)


def _shifted(a: Term, by: int) -> Term:
    """a * 2^by."""
    if by == 0:
        return a
    if by >= a.lane:
        return const(0, a.lane)
    return joined(sliced(a, 0, a.lane - by), _zeros(by))


def _shl(t: Term) -> Term:
    a, n = t.args
    return _shifted(a, value_of(n)) if n.prim == "const" else _of_zero(t)


def _lshr(t: Term) -> Term:
    a, n = t.args
    if n.prim != "const":
        return _of_zero(t)
    by = value_of(n)
    if by >= t.lane:
        return const(0, t.lane)
    return simplified(build.zext(sliced(a, by, t.lane - by), t.lane)) if by else a


def _ashr(t: Term) -> Term:
    a, n = t.args
    if n.prim != "const":
        return _of_zero(t)
    by = min(value_of(n), t.lane - 1)
    return simplified(build.sext(sliced(a, by, t.lane - by), t.lane)) if by else a


def _of_zero(t: Term) -> Term:
    """Zero shifted by anything."""
    return t.args[0] if is_number(t.args[0], 0) else t


def _rotl(t: Term) -> Term:
    a, n = t.args
    return _rotated(a, value_of(n)) if n.prim == "const" else t


def _rotr(t: Term) -> Term:
    a, n = t.args
    return _rotated(a, -value_of(n)) if n.prim == "const" else t


def _rotated(a: Term, by: int) -> Term:
    by %= a.lane
    return joined(sliced(a, 0, a.lane - by), sliced(a, a.lane - by, by)) if by else a


def _urem(t: Term) -> Term:
    a, b = t.args
    narrow = narrowed("zext", a, b)
    if narrow is not None:
        return simplified(build.zext(simplified(build.urem(*narrow)), t.lane))
    return _rest(a, b, build.udiv(a, b)) or folded(t)


def _srem(t: Term) -> Term:
    a, b = t.args
    narrow = narrowed("sext", a, b)
    if narrow is not None:
        return simplified(build.sext(simplified(build.srem(*narrow)), t.lane))
    return _rest(a, b, build.sdiv(a, b)) or folded(t)


def _rest(a: Term, b: Term, quotient: Term) -> Term | None:
    """What is left by a division, which machines that have no instruction for it compute so."""
    if b.prim == "const":
        return None
    return simplified(build.sub(a, simplified(build.mul(b, simplified(quotient)))))


INTEGERS: Final[dict[str, Rule]] = {
    "add": _add, "sub": _sub, "neg": _neg, "mul": _mul, "and": _and, "or": _or, "xor": _xor, "not": _not, "shl": _shl,
    "lshr": _lshr, "ashr": _ashr, "rotl": _rotl, "rotr": _rotr,
    "urem": _urem, "srem": _srem,
}  # fmt: skip
