"""Rules of the normal form: slices, concatenations, extensions, lanes of vectors."""

from __future__ import annotations

from typing import Final

from liftcheck.bits import build
from liftcheck.bits.normal import Rule, folded, joined, rebuilt, simplified, sliced
from liftcheck.bits.term import Term, const, term, value_of


def _extract(t: Term) -> Term:
    low, width, a = t.params[0], t.lane, t.args[0]
    assert isinstance(low, int)
    if width == a.lane:
        return a
    if a.prim == "const":
        return const(value_of(a) >> low, width)
    if a.prim == "extract":
        return sliced(a.args[0], low + int(str(a.params[0])), width)
    if a.prim == "concat":
        return _of_concat(a, low, width)
    if a.prim in ("zext", "sext"):
        return _of_extension(t, a, low, width)
    if a.prim == "ite":
        return simplified(build.ite(a.args[0], sliced(a.args[1], low, width), sliced(a.args[2], low, width)))
    if a.prim in ("and", "or", "xor", "not") or (a.prim in ("add", "sub", "mul", "neg") and not low):
        return simplified(term(a.prim, width, 1, (), tuple([sliced(x, low, width) for x in a.args])))
    if a.prim in ("udiv", "sdiv") and not low:
        narrow = narrowed("zext" if a.prim == "udiv" else "sext", *a.args)
        if narrow is not None and width <= narrow[0].lane:
            return sliced(simplified(term(a.prim, narrow[0].lane, 1, (), narrow)), 0, width)
    return _of_lanes(t, a, low, width) if a.prim == "shape" else t


def narrowed(how: str, a: Term, b: Term) -> tuple[Term, Term] | None:
    """Two numbers that are extended from one width, or of which one is and the other is a number of that width, as they
    were before."""
    wide = a if a.prim == how else b
    if wide.prim != how:
        return None
    width = wide.args[0].lane
    found = []
    for one in (a, b):
        if one.prim == how and one.args[0].lane == width:
            found.append(one.args[0])
        elif one.prim == "const" and _extended(how, value_of(one), width, one.lane) == value_of(one):
            found.append(const(value_of(one), width))
        else:
            return None
    return found[0], found[1]


def _extended(how: str, number: int, width: int, whole: int) -> int:
    low = number & (1 << width) - 1
    return low | ((1 << whole) - (1 << width) if how == "sext" and low >> width - 1 else 0)


def _of_concat(a: Term, low: int, width: int) -> Term:
    high, bottom = a.args
    if low >= bottom.lane:
        return sliced(high, low - bottom.lane, width)
    if low + width <= bottom.lane:
        return sliced(bottom, low, width)
    part = bottom.lane - low
    return joined(sliced(high, 0, width - part), sliced(bottom, low, part))


def _of_extension(t: Term, a: Term, low: int, width: int) -> Term:
    inner = a.args[0]
    if low + width <= inner.lane:
        return sliced(inner, low, width)
    if a.prim == "zext":
        if low >= inner.lane:
            return const(0, width)
        return simplified(build.zext(sliced(inner, low, inner.lane - low), width))
    at = min(low, inner.lane - 1)
    return simplified(build.sext(sliced(inner, at, inner.lane - at), width))


def _of_lanes(t: Term, a: Term, low: int, width: int) -> Term:
    """Part of one lane of a vector."""
    vector = a.args[0]
    lane, at = divmod(low, vector.lane)
    if at + width > vector.lane:
        return t
    return sliced(picked(vector, lane), at, width)


def picked(a: Term, index: int) -> Term:
    """Lane `index` of a normal term, normal."""
    if a.lanes == 1:
        return a
    return rebuilt(build.pick(a, index), (a,))


def _permute(t: Term) -> Term:
    """A lane that is taken out of what is made lane by lane is made of theirs."""
    index = t.params[0]
    if not isinstance(index, int) or len(t.args) > 1:
        return folded(t)
    if index < 0:
        return const(0, t.lane)
    (a,) = t.args
    if a.lanes == 1:
        return a if index == 0 else t
    if a.prim == "splat":
        return a.args[0]
    if a.prim == "permute":
        return _of_permute(t, a, index)
    if a.prim == "shape":
        inner = a.args[0]
        return sliced(inner, index * t.lane, t.lane) if inner.lanes == 1 else t
    if a.prim in _LANEWISE:
        lanes = tuple([picked(x, index) for x in a.args])
        return simplified(term(a.prim, a.lane, 1, a.params, lanes))
    return folded(t)


def _of_permute(t: Term, a: Term, index: int) -> Term:
    chosen = a.params[index]
    assert isinstance(chosen, int)
    if chosen < 0:
        return const(0, t.lane)
    for source in a.args:
        if chosen < source.lanes:
            return picked(source, chosen)
        chosen -= source.lanes
    return t


_LANEWISE: Final = frozenset({
    "and", "or", "xor", "not", "add", "sub", "neg", "mul", "shl", "lshr", "ashr", "eq", "ult", "ule", "slt", "sle",
    "ite", "zext", "sext", "extract", "concat",
})  # fmt: skip


def _concat(t: Term) -> Term:
    high, low = t.args
    if high.prim == "concat":
        return joined(high.args[0], joined(high.args[1], low))
    if high.prim == low.prim == "const":
        return const(value_of(high) << low.lane | value_of(low), t.lane)
    if high.prim == "const" and not value_of(high):
        return simplified(build.zext(low, t.lane))
    if low.prim == "concat" and (merged := _merged(high, low.args[0])) is not None:
        return joined(merged, low.args[1])
    if (merged := _merged(high, low)) is not None:
        return merged
    if high.prim == "zext":
        return simplified(build.zext(joined(high.args[0], low), t.lane))
    return t


def _merged(high: Term, low: Term) -> Term | None:
    """Both as one term that is not a concatenation, if they are one."""
    if high.prim == low.prim == "const":
        return const(value_of(high) << low.lane | value_of(low), high.lane + low.lane)
    if low.prim == "extract":
        whole, start = low.args[0], int(str(low.params[0]))
        at = start + low.lane
        if at + high.lane <= whole.lane and high is sliced(whole, at, high.lane):
            return sliced(whole, start, low.lane + high.lane)
    if high.prim == "extract":
        whole, start = high.args[0], int(str(high.params[0])) - low.lane
        if start >= 0 and low is sliced(whole, start, low.lane):
            return sliced(whole, start, low.lane + high.lane)
    if high.prim == low.prim == "ite" and high.args[0] is low.args[0]:
        parts = (joined(high.args[1], low.args[1]), joined(high.args[2], low.args[2]))
        return simplified(build.ite(low.args[0], *parts))
    return None


def _zext(t: Term) -> Term:
    (a,) = t.args
    if a.prim == "const":
        return const(value_of(a), t.lane)
    return build.zext(a.args[0], t.lane) if a.prim == "zext" else t


def _sext(t: Term) -> Term:
    (a,) = t.args
    if a.prim == "sext":
        return build.sext(a.args[0], t.lane)
    if a.prim == "zext":
        return build.zext(a.args[0], t.lane)
    if a.prim != "const":
        return t
    value = value_of(a)
    return const(value - (value >> a.lane - 1 << a.lane), t.lane)


def _bswap(t: Term) -> Term:
    (a,) = t.args
    return a.args[0] if a.prim == "bswap" else folded(t)


def _shape(t: Term) -> Term:
    """The same bits, cut once."""
    (a,) = t.args
    return build.shape(a, t.lane, t.lanes) if a.prim in ("const", "shape") else t


def _same_lanes(t: Term) -> Term:
    """Lanes that are picked as they are."""
    if len(t.args) == 1 and t.lanes == t.args[0].lanes and t.params == tuple(range(t.lanes)):
        return t.args[0]
    return folded(t)


PARTS: Final[dict[str, Rule]] = {
    "extract": _extract, "concat": _concat, "zext": _zext, "sext": _sext, "bswap": _bswap, "shape": _shape,
    "permute": _permute,
}  # fmt: skip
LANES: Final[dict[str, Rule]] = {"shape": _shape, "permute": _same_lanes}
