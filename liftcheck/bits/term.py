"""Terms: immutable, interned expressions over bit-vectors with lanes.

The one idea: every term has a shape, `lanes` lanes of `lane` bits, and nearly every primitive works lane by lane. A
scalar is a shape of one lane, so one statement of a meaning serves i32 and i32x4 alike. Truth values are lanes of one
bit. Floats have no sort of their own: they are the bit patterns, and a float primitive knows its format by the width.
Lane 0 is in the least significant bits. Equal terms are the same object, so memo tables go by identity.

What a primitive computes is its row in `prim`; this module only builds and takes apart.
"""

from __future__ import annotations

from typing import Final
from weakref import WeakValueDictionary

from liftcheck.errors import InternalError

_Key = tuple[str, int, int, tuple[object, ...], tuple["Term", ...]]


class Term:
    """One expression. `prim` names a row of `prim.PRIMS`; `params` are its static parameters."""

    __slots__ = ("__weakref__", "args", "lane", "lanes", "params", "prim")

    def __init__(self, prim: str, lane: int, lanes: int, params: tuple[object, ...], args: tuple[Term, ...]) -> None:
        self.prim: Final = prim
        self.lane: Final = lane
        self.lanes: Final = lanes
        self.params: Final = params
        self.args: Final = args

    @property
    def bits(self) -> int:
        """The width of the whole value."""
        return self.lane * self.lanes

    @property
    def mask(self) -> int:
        """The largest value of one lane."""
        return (1 << self.lane) - 1

    def __repr__(self) -> str:
        """The constructor's form; `show.text` is for people."""
        return f"term{(self.prim, self.lane, self.lanes, self.params, self.args)!r}"

    def __reduce__(self) -> tuple[object, _Key]:
        return term, (self.prim, self.lane, self.lanes, self.params, self.args)


_INTERNED: Final[WeakValueDictionary[_Key, Term]] = WeakValueDictionary()


def term(prim: str, lane: int, lanes: int = 1, params: tuple[object, ...] = (), args: tuple[Term, ...] = ()) -> Term:
    """The one term with these parts."""
    key = (prim, lane, lanes, params, args)
    found = _INTERNED.get(key)
    if found is None:
        found = _INTERNED[key] = Term(prim, lane, lanes, params, args)
    return found


def var(name: str, lane: int, lanes: int = 1) -> Term:
    """A free variable."""
    return term("var", lane, lanes, (name,))


def const(value: int, lane: int, lanes: int = 1) -> Term:
    """A constant; every lane of a vector has the value `value` modulo the lane's width."""
    if lanes == 1:
        return term("const", lane, 1, (value & (1 << lane) - 1,))
    return packed_const(repeated(value & (1 << lane) - 1, lane, lanes), lane, lanes)


def repeated(value: int, lane: int, lanes: int) -> int:
    """`value` in every lane."""
    return sum(value << lane * i for i in range(lanes))


def packed_const(value: int, lane: int, lanes: int) -> Term:
    """A constant given as the whole value, lane 0 lowest."""
    return term("const", lane, lanes, (value & (1 << lane * lanes) - 1,))


def value_of(constant: Term) -> int:
    """The whole value of a `const` term."""
    value = constant.params[0]
    if constant.prim != "const" or not isinstance(value, int):
        raise InternalError(f"{constant!r} is not a constant")
    return value


def same_shape(*terms: Term) -> None:
    """Refuse operands of different shapes: that is a mistake in a meaning."""
    shapes = {(t.lane, t.lanes) for t in terms}
    if len(shapes) != 1:
        raise InternalError(f"operands of different shapes: {sorted(shapes)}")


def postorder(roots: tuple[Term, ...]) -> list[Term]:
    """Every term below the roots once, operands before users."""
    done: set[Term] = set()
    order: list[Term] = []
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, expanded = stack.pop()
        if node in done:
            continue
        if expanded:
            done.add(node)
            order.append(node)
        else:
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args))
    return order
