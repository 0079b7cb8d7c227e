"""The value of terms for given variables, node by node: exact, floats included, however deep the terms are.

The one idea: what one node computes of its operands is compiled once for each kind of node (primitive, shapes,
parameters) from that primitive's own row (`concrete.closure`), so a walk over the nodes is a call for each. `concrete`
makes faster code of a whole meaning that is used again and again; terms that are evaluated a few times, or are nested
deeper than Python's parser takes, are walked here.

A division by zero is outside a primitive's domain: its value is None, and so is what is computed with it, except for
choices that do not choose it and operations that a zero or all ones decide alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from liftcheck.bits.concrete import closure
from liftcheck.bits.meaning import Meaning
from liftcheck.bits.term import Term, postorder, term, value_of, var

Shape = tuple[int, int]


class Values:
    """Values of terms in one state; `of_variable` gives those of variables, each asked for once."""

    def __init__(self, of_variable: Callable[[Term], int]) -> None:
        self._of_variable: Final = of_variable
        self._known: Final[dict[Term, int | None]] = {}

    def __call__(self, root: Term) -> int | None:
        """A term's value; None: it is outside the domain of a primitive."""
        known = self._known
        if root in known:
            return known[root]
        for node in postorder((root,)):
            if node not in known:
                known[node] = self._of_variable(node) if node.prim == "var" else computed(node, _values(known, node))
        return known[root]


def _values(known: dict[Term, int | None], node: Term) -> list[int | None]:
    return [known[a] for a in node.args]


def computed(node: Term, operands: Sequence[int | None]) -> int | None:
    """What a node that is not a variable computes of its operands."""
    if node.prim == "const":
        return value_of(node)
    if None in operands:
        return _chosen(node, operands)
    shapes = tuple([(a.lane, a.lanes) for a in node.args])
    try:
        found: int = _function(node.prim, node.lane, node.lanes, node.params, shapes)(*operands)
    except ZeroDivisionError:
        return None
    return int(found)


def _chosen(node: Term, operands: Sequence[int | None]) -> int | None:
    """A value in spite of an operand that has none."""
    if node.prim == "ite" and node.args[0].lanes == 1 and operands[0] is not None:
        return operands[1] if operands[0] else operands[2]
    if node.prim == "and" and 0 in operands:
        return 0
    whole = (1 << node.bits) - 1
    return whole if node.prim == "or" and whole in operands else None


@lru_cache(maxsize=1 << 14)
def _function(prim: str, lane: int, lanes: int, params: tuple[object, ...], shapes: tuple[Shape, ...]) -> Any:
    inputs = tuple(var(f"operand{i}", *shape) for i, shape in enumerate(shapes))
    return closure(Meaning(inputs, (term(prim, lane, lanes, params, inputs),)))
