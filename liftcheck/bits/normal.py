"""The engine of the normal form: terms rebuilt node by node, by rules that other modules have (`simplify` joins them).

A rule is a function of one node whose operands are normal already; it gives an equal term, which is normal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

from liftcheck.bits import build
from liftcheck.bits.build import concat
from liftcheck.bits.term import Term, const, packed_const, postorder, term, value_of
from liftcheck.bits.values import computed

Rule = Callable[[Term], Term]
RULES: Final[dict[str, Rule]] = {}
"""The rules of terms of one lane; a primitive without a rule has its constants folded."""
OF_LANES: Final[dict[str, Rule]] = {}
"""Those of vectors of several lanes."""
TRUE: Final = const(1, 1)
FALSE: Final = const(0, 1)


def simplified(t: Term) -> Term:
    """One step of normalization; operands are normalized already."""
    if t.lanes == 1:
        rule = RULES.get(t.prim)
        if rule is not None:
            return rule(t)
    elif t.prim in OF_LANES:
        return OF_LANES[t.prim](t)
    return folded(t)


def normal(root: Term) -> Term:
    """The normal form of a term."""
    return replaced(root, {})


@lru_cache(maxsize=1 << 17)
def rebuilt(t: Term, args: tuple[Term, ...]) -> Term:
    """The term with other operands, normalized. Remembered: functions do the same things again and again."""
    return simplified(t if args == t.args else term(t.prim, t.lane, t.lanes, t.params, args))


def replaced(root: Term, known: Mapping[Term, Term]) -> Term:
    """A term with others in the place of some of its nodes, normalized."""
    done = dict(known)
    for node in postorder((root,)):
        if node not in done:
            done[node] = rebuilt(node, tuple([done[a] for a in node.args])) if node.args else node
    return done[root]


def sliced(a: Term, low: int, width: int) -> Term:
    """Bits [low, low + width) of a normalized term of one lane, normalized."""
    return a if width == a.lane else simplified(build.extract(a, low, width))


def joined(high: Term, low: Term) -> Term:
    """Both together, normalized."""
    return simplified(concat(high, low))


_RANKS: Final[WeakKeyDictionary[Term, int]] = WeakKeyDictionary()
_COUNT: Final = iter(range(1 << 62))


def rank(t: Term) -> int:
    """A number by which operands of commutative primitives are ordered: who was seen first."""
    found = _RANKS.get(t)
    if found is None:
        found = _RANKS[t] = next(_COUNT)
    return found


def folded(t: Term) -> Term:
    """A constant where all operands are constants."""
    for a in t.args:
        if a.prim != "const":
            return t
    if not t.args or t.prim == "const":
        return t
    value = computed(t, [value_of(a) for a in t.args])
    return t if value is None else packed_const(value, t.lane, t.lanes)


def ordered(t: Term) -> Term:
    """The node of a commutative primitive with a constant last, and else in a fixed order."""
    a, b = t.args
    if a.prim == "const" or (b.prim != "const" and rank(b) < rank(a)):
        return term(t.prim, t.lane, 1, (), (b, a))
    return t


def is_number(t: Term, value: int) -> bool:
    return t.prim == "const" and value_of(t) == value & t.mask
