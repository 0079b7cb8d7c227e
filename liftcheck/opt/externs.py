"""What the rules call in Python: tests of constants and types, numbers, constants made. Names as in `prelude.isle`.

Lanes are unsigned; a constant whose lanes differ is none to `lanes` and the tests of lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from liftcheck.clif.types import I8, I32, TYPES, Type
from liftcheck.opt.egraph import Graph

INVERSE: Final = {"eq": "ne", "ne": "eq", "slt": "sge", "sge": "slt", "sle": "sgt", "sgt": "sle", "ult": "uge",
                  "uge": "ult", "ule": "ugt", "ugt": "ule"}  # fmt: skip
"""A condition -> the one that holds where it does not."""
Test = Callable[[Graph, int], tuple[()] | None]


def splatted(ty: Type, lane: int) -> int:
    """The bits of a value all of whose lanes are one number."""
    return sum((lane & ty.lane_mask) << ty.lane_bits * n for n in range(ty.lanes))


def _lanes(graph: Graph, one: int) -> int | None:
    """The number that all lanes of a constant are, unsigned."""
    bits = graph.constant(one)
    ty = graph.types[one]
    if bits is None or ty is None or ty.lanes == 1:
        return bits
    lane = bits & ty.lane_mask
    return lane if bits == splatted(ty, lane) else None


def _of_lanes(holds: Callable[[Type, int], bool]) -> Test:
    def extractor(graph: Graph, one: int) -> tuple[()] | None:
        lane, ty = _lanes(graph, one), graph.types[one]
        return () if lane is not None and ty is not None and holds(ty, lane) else None

    return extractor


def _of_bits(holds: Callable[[Type, int], bool]) -> Test:
    def extractor(graph: Graph, one: int) -> tuple[()] | None:
        bits, ty = graph.constant(one), graph.types[one]
        return () if bits is not None and ty is not None and holds(ty, bits) else None

    return extractor


def _pow2(graph: Graph, one: int) -> int | None:
    lane = _lanes(graph, one)
    return lane.bit_length() - 1 if lane and lane & lane - 1 == 0 else None


def _when(holds: Callable[..., bool]) -> Callable[..., bool | None]:
    return lambda graph, *arguments: True if holds(*arguments) else None


def _bits_of(holds: Callable[[int, int, int], bool]) -> Callable[[Graph, int, int], bool | None]:
    def test(graph: Graph, one: int, other: int) -> bool | None:
        a, b, ty = graph.constant(one), graph.constant(other), graph.types[one]
        return True if a is not None and b is not None and ty is not None and holds(a, b, ty.mask) else None

    return test


def _truth(graph: Graph, ty: Type, holds: bool) -> int:
    to = ty.as_truthy()
    return graph.const(to, (to.mask if to.is_vector else 1) if holds else 0)


def _bool_int(graph: Graph, ty: Type, one: int) -> int:
    return one if ty is I8 else graph.add(("uextend", ty, one))


EXTERNS: Final[Mapping[str, Any]] = {
    "definition": Graph.definition,
    "add": Graph.add,
    "konst": _of_bits(lambda ty, bits: True),
    "zero": _of_lanes(lambda ty, lane: lane == 0),
    "one": _of_lanes(lambda ty, lane: lane == 1),
    "ones": _of_lanes(lambda ty, lane: lane == ty.lane_mask),
    "lowest": _of_lanes(lambda ty, lane: lane == 1 << ty.lane_bits - 1),
    "highest": _of_lanes(lambda ty, lane: lane == (1 << ty.lane_bits - 1) - 1),
    "zero_bits": _of_bits(lambda ty, bits: bits == 0),
    "ones_bits": _of_bits(lambda ty, bits: bits == ty.mask),
    "konst_nonzero": _of_bits(lambda ty, bits: bits != 0),
    "lanes": _lanes,
    "pow2": _pow2,
    "cst": lambda graph, ty, k: graph.const(ty, splatted(ty, k)),
    "cst_i32": lambda graph, k: graph.const(I32, k),
    "bits": lambda graph, ty, k: graph.const(ty, k),
    "truth": _truth,
    "bool_int": _bool_int,
    "type_of": lambda graph, one: graph.types[one],
    "twice": lambda graph, ty: TYPES[f"i{2 * ty.bits}"],
    "width": lambda graph, ty: ty.lane_bits,
    "mask": lambda graph, ty: ty.lane_mask,
    "shift_of": lambda graph, ty, k: k % ty.lane_bits,
    "low_ones": lambda graph, n: (1 << n) - 1,
    "add_imm": lambda graph, a, b: a + b,
    "sub_imm": lambda graph, a, b: a - b,
    "shl_imm": lambda graph, a, b: a << b,
    "shr_imm": lambda graph, a, b: a >> b,
    "inverse": lambda graph, cc: INVERSE[cc],
    "int": _when(lambda ty: ty.is_int),
    "is_int_scalar": _when(lambda ty: ty.is_int and ty.lanes == 1),
    "scalar": _when(lambda ty: ty.lanes == 1),
    "vector": _when(lambda ty: ty.lanes > 1),
    "narrower": _when(lambda a, b: a.bits < b.bits),
    "same_type": _when(lambda a, b: a is b),
    "not_same": _when(lambda a, b: a is not b),
    "holds_amount": _when(lambda ty, shifted: 1 << ty.bits >= shifted.lane_bits),
    "keeps_amount": _when(lambda k, shifted: k & shifted.lane_bits - 1 == shifted.lane_bits - 1),
    "not_zero": _when(lambda a: a != 0),
    "less": _when(lambda a, b: a < b),
    "equal": _when(lambda a, b: a == b),
    "disjoint": _bits_of(lambda a, b, mask: a & b in (0, b)),
    "covers": _bits_of(lambda a, b, mask: a | b == mask),
}
