"""Terms as z3 expressions. The only module of liftcheck/bits that imports z3.

The one idea: a term becomes a list of lanes, each a z3 bit-vector (truth values have one bit), and the rows of `prim`
build one lane; whole values are put together only where a shape changes and at the end. Floats go through z3's theory
of IEEE floats inside the rows; every NaN becomes the positive quiet one, as in the Python meaning.

That theory is slow. With `uninterpreted` there is none of it (`floats_smt`): what is equal so is equal, what is not may
be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import z3

from liftcheck.bits.floats_smt import of_lanes
from liftcheck.bits.prim import PRIMS
from liftcheck.bits.term import Term, postorder, value_of
from liftcheck.errors import InternalError

Lanes = list[Any]


def to_z3(term: Term, env: Mapping[Term, Any]) -> Any:
    """The whole value as a z3 bit-vector of `term.bits` bits. `env` maps variables to bit-vectors of their width."""
    return Translation(env)(term)


class Translation:
    """Terms over one environment; what they share is built once."""

    def __init__(self, env: Mapping[Term, Any], uninterpreted: bool = False) -> None:
        self._env: Final = env
        self._uninterpreted: Final = uninterpreted
        self._built: Final[dict[Term, Lanes]] = {}

    def __call__(self, term: Term) -> Any:
        built = self._built
        for node in postorder((term,)):
            if node not in built:
                args = [built[a] for a in node.args]
                known = of_lanes(node, args) if self._uninterpreted else None
                built[node] = _lanes(node, self._env, args) if known is None else known
        return _joined(built[term])


def value(expression: Any) -> int:
    """The number that a closed expression simplifies to."""
    simplified = z3.simplify(expression)
    if not z3.is_bv_value(simplified):
        raise InternalError(f"z3 leaves {simplified} open")
    found: int = simplified.as_long()
    return found


def substituted(term: Term, values: Mapping[Term, int]) -> int:
    """The value of the term for concrete inputs, by z3's simplifier."""
    return value(to_z3(term, {v: z3.BitVecVal(n, v.bits) for v, n in values.items()}))


def _joined(lanes: Lanes) -> Any:
    return z3.Concat(*reversed(lanes)) if len(lanes) > 1 else lanes[0]


def _cut(whole: Any, lane: int, lanes: int) -> Lanes:
    if lanes == 1:
        return [whole]
    return [z3.Extract(lane * i + lane - 1, lane * i, whole) for i in range(lanes)]


def _lanes(node: Term, env: Mapping[Term, Any], args: list[Lanes]) -> Lanes:
    row = PRIMS[node.prim]
    if not row.lanewise:
        return _structural(node, env, args)
    spread = [a if len(a) == node.lanes else a * node.lanes for a in args]
    lanes = [row.smt(z3, node, *operands) for operands in zip(*spread, strict=True)]
    if row.predicate:
        return [z3.If(p, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)) for p in lanes]
    return lanes


def _structural(node: Term, env: Mapping[Term, Any], args: list[Lanes]) -> Lanes:
    match node.prim:
        case "var":
            return _cut(env[node], node.lane, node.lanes)
        case "const":
            return _cut(z3.BitVecVal(value_of(node), node.bits), node.lane, node.lanes)
        case "shape":
            return _cut(_joined(args[0]), node.lane, node.lanes)
        case "splat":
            return args[0] * node.lanes
        case "permute":
            lanes = [lane for source in args for lane in source]
            nothing = z3.BitVecVal(0, node.lane)
            return [lanes[i] if isinstance(i, int) and i >= 0 else nothing for i in node.params]
        case "gather":
            return [_looked_up(args[0], index, node.lane) for index in args[1]]
    raise InternalError(f"z3 knows no {node.prim}")


def _looked_up(table: Lanes, index: Any, lane: int) -> Any:
    found = z3.BitVecVal(0, lane)
    for i, entry in enumerate(table):
        found = z3.If(index == i, entry, found)
    return found
