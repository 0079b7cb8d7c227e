"""Float primitives for z3 without its theory of floats: what rounds is uninterpreted, the rest is bits.

The one idea: of what rounds nothing is known but that NaNs are all alike and go through it, and which operands may be
exchanged; comparisons, minima and NaN tests are exact, by sign and magnitude. So a term with floats is one of
bit-vectors and functions, which z3 decides quickly.
"""

from __future__ import annotations

from typing import Any, Final

import z3

from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term

Lanes = list[Any]
ROUNDING: Final = {
    "fadd": "nan", "fsub": "nan", "fmul": "nan", "fdiv": "nan", "fsqrt": "nan", "fma": "nan", "fconvert": "nan",
    "fceil": "nan", "ffloor": "nan", "ftrunc": "nan", "fnearest": "nan", "from_uint": "", "from_sint": "",
    "to_uint": "zero", "to_sint": "zero",
}  # fmt: skip
"""What is uninterpreted, and what it gives for a NaN: a NaN, zero; '': its operand is none."""
_EXCHANGED: Final = ("fadd", "fmul", "fma")
"""The first two operands of these may be exchanged."""


def of_lanes(node: Term, args: list[Lanes]) -> Lanes | None:
    """The lanes of a float primitive; None: it is none."""
    make = _applied if node.prim in ROUNDING else _EXACT.get(node.prim)
    if make is None:
        return None
    spread = [a if len(a) == node.lanes else a * node.lanes for a in args]
    return [make(node, list(operands)) for operands in zip(*spread, strict=True)]


def _applied(node: Term, operands: Lanes) -> Any:
    """What rounds, of one lane."""
    for_nan, width = ROUNDING[node.prim], operands[0].size()
    nans = [_is_nan(o) for o in operands] if for_nan else []
    operands = [z3.If(nan, _quiet(width), o) for nan, o in zip(nans, operands)] if nans else operands
    if node.prim in _EXCHANGED:
        a, b = operands[:2]
        less = z3.ULE(a, b)
        operands[:2] = z3.If(less, a, b), z3.If(less, b, a)
    name = f"{node.prim} {width} {node.lane}"
    found = z3.Function(name, *[o.sort() for o in operands], z3.BitVecSort(node.lane))(*operands)
    if for_nan == "nan":
        return z3.If(z3.Or(*nans, _is_nan(found)), _quiet(node.lane), found)
    return z3.If(z3.Or(*nans), z3.BitVecVal(0, node.lane), found) if nans else found


def _quiet(width: int) -> Any:
    return z3.BitVecVal(FORMATS[width].nan, width)


def _magnitude(x: Any) -> Any:
    return x & z3.BitVecVal((1 << x.size() - 1) - 1, x.size())


def _is_nan(x: Any) -> Any:
    return z3.UGT(_magnitude(x), z3.BitVecVal(FORMATS[x.size()].infinity, x.size()))


def _ordered(x: Any) -> Any:
    """A number of the same order as the float that is no NaN; both zeros are one."""
    return z3.If(x < 0, -_magnitude(x), x)


def _both(a: Any, b: Any, test: Any) -> Any:
    return z3.And(z3.Not(_is_nan(a)), z3.Not(_is_nan(b)), test)


def _truth(test: Any) -> Any:
    return z3.If(test, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))


def _least(node: Term, a: Any, b: Any, smaller: bool) -> Any:
    x, y = _ordered(a), _ordered(b)
    equal = a | b if smaller else a & b
    chosen = z3.If(x == y, equal, z3.If(x < y if smaller else x > y, a, b))
    return z3.If(z3.Or(_is_nan(a), _is_nan(b)), _quiet(node.lane), chosen)


_EXACT: Final = {
    "fisnan": lambda t, o: _truth(_is_nan(o[0])),
    "feq": lambda t, o: _truth(_both(o[0], o[1], _ordered(o[0]) == _ordered(o[1]))),
    "flt": lambda t, o: _truth(_both(o[0], o[1], _ordered(o[0]) < _ordered(o[1]))),
    "fle": lambda t, o: _truth(_both(o[0], o[1], _ordered(o[0]) <= _ordered(o[1]))),
    "fmin": lambda t, o: _least(t, o[0], o[1], True),
    "fmax": lambda t, o: _least(t, o[0], o[1], False),
}
