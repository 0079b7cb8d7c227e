"""What CLIF's floating-point opcodes compute; all serve vectors lane by lane.

Facts that are not in the opcode's own text: arithmetic, rounding and conversions between formats make every NaN the
positive quiet one; `fneg`, `fabs`, `fcopysign` and `bitcast` keep a NaN's bits. `fcvt_to_*` tests for NaN first
(bad_toint), then for the range (int_ovf), after truncation: -0.5 converts to unsigned 0. `fmin_pseudo`, `fmax_pseudo`
are `y < x ? y : x`, `x < y ? y : x`. `x86_cvtt2dq` is what cvttps2dq does: the smallest integer for NaN and out of
range.
Sources: cranelift-codegen-meta `shared/instructions.rs`; the WebAssembly specification's floating-point operations,
which its text refers to; order of the traps: `src/isa/*/lower.isle` of cranelift-codegen 0.135.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS, rounded
from liftcheck.bits.term import Term, const
from liftcheck.clif.semantics.integers import Answer, Request, Rule, immediate, truthy, value
from liftcheck.errors import InternalError, Unsupported


def fcc(condition: object, x: Term, y: Term) -> Term:
    """The truth of a float condition code."""
    if condition not in CONDITIONS:
        raise InternalError(f"no float condition {condition!r}")
    return CONDITIONS[str(condition)](x, y)


def _one(x: Term, y: Term) -> Term:
    return b.bor(b.flt(x, y), b.flt(y, x))


def _uno(x: Term, y: Term) -> Term:
    return b.bor(b.isnan(x), b.isnan(y))


CONDITIONS: Final[dict[str, Callable[[Term, Term], Term]]] = {
    "ord": lambda x, y: b.band(b.bnot(b.isnan(x)), b.bnot(b.isnan(y))),
    "uno": _uno,
    "eq": b.feq,
    "ne": lambda x, y: b.bnot(b.feq(x, y)),
    "one": _one,
    "ueq": lambda x, y: b.bnot(_one(x, y)),
    "lt": b.flt,
    "le": b.fle,
    "gt": lambda x, y: b.flt(y, x),
    "ge": lambda x, y: b.fle(y, x),
    "ult": lambda x, y: b.bnot(b.fle(y, x)),
    "ule": lambda x, y: b.bnot(b.flt(y, x)),
    "ugt": lambda x, y: b.bnot(b.fle(x, y)),
    "uge": lambda x, y: b.bnot(b.flt(x, y)),
}  # fmt: skip


def _fcmp(r: Request) -> Answer:
    return Answer((truthy(fcc(r.imm, *r.args), r.arg_types[0]),))


def _sign(x: Term) -> Term:
    return const(1 << x.lane - 1, x.lane, x.lanes)


def _magnitude(x: Term) -> Term:
    return const((1 << x.lane - 1) - 1, x.lane, x.lanes)


def _fcopysign(x: Term, y: Term) -> Term:
    return b.bor(b.band(x, _magnitude(x)), b.band(y, _sign(y)))


def _rounds(mode: str) -> Rule:
    return value(lambda x: b.fround(x, mode))


def _lane_by_lane(r: Request) -> None:
    if r.arg_types[0].lanes != r.result_types[0].lanes:
        raise Unsupported(f"{r.op} between {r.arg_types[0]} and {r.result_types[0]}")


def _converts(function: Callable[[Term, int], Term]) -> Rule:
    def rule(r: Request) -> Answer:
        _lane_by_lane(r)
        return Answer((function(r.args[0], r.result_types[0].lane_bits),))

    return rule


def _out_of_range(x: Term, width: int, signed: bool) -> Term:
    """Whether x, truncated, is not an integer of this width (x is not a NaN). A bound that the format cannot reach is
    the infinity, and then only the infinity is beyond it."""
    f, whole = FORMATS[x.lane], b.fround(x, "trunc")
    above = rounded(f, 1 << width - signed, 0)
    below = rounded(f, -(1 << width - 1), 0) if signed else rounded(f, -1, 0)
    strict = signed and below != f.infinity | f.sign
    low = const(below, x.lane, x.lanes)
    too_small = b.flt(whole, low) if strict else b.fle(whole, low)
    return b.bor(too_small, b.fle(const(above, x.lane, x.lanes), whole))


def _to_integer(signed: bool) -> Rule:
    def rule(r: Request) -> Answer:
        (x,), width = r.args, r.result_types[0].bits
        result = (b.to_sint if signed else b.to_uint)(x, width)
        return Answer((result,), ((b.isnan(x), "bad_toint"), (_out_of_range(x, width, signed), "int_ovf")))

    return rule


def _cvtt2dq(r: Request) -> Answer:
    _lane_by_lane(r)
    (x,), to = r.args, r.result_types[0]
    bad = b.bor(b.isnan(x), _out_of_range(x, to.lane_bits, True))
    lowest = const(1 << to.lane_bits - 1, to.lane_bits, to.lanes)
    return Answer((b.ite(bad, lowest, b.to_sint(x, to.lane_bits)),))


def _low_lanes(r: Request) -> Answer:
    """`fcvt_low_from_sint`: as many low lanes as the result has."""
    (x,), to = r.args, r.result_types[0]
    return Answer((b.from_sint(b.permute((x,), range(to.lanes)), to.lane_bits),))


def _fvdemote(x: Term) -> Term:
    low = b.fconvert(x, x.lane // 2)
    return b.permute((low,), (*range(x.lanes), *[-1] * x.lanes))


def _fvpromote_low(x: Term) -> Term:
    return b.fconvert(b.permute((x,), range(x.lanes // 2)), 2 * x.lane)


def _constant(r: Request) -> Answer:
    return Answer((const(immediate(r), r.result_types[0].bits),))


RULES: Final[dict[str, Rule]] = {
    "fcmp": _fcmp,
    "fadd": value(b.fadd),
    "fsub": value(b.fsub),
    "fmul": value(b.fmul),
    "fdiv": value(b.fdiv),
    "sqrt": value(b.fsqrt),
    "fma": value(b.fma),
    "fneg": value(lambda x: b.bxor(x, _sign(x))),
    "fabs": value(lambda x: b.band(x, _magnitude(x))),
    "fcopysign": value(_fcopysign),
    "fmin": value(b.fmin),
    "fmax": value(b.fmax),
    "fmin_pseudo": value(lambda x, y: b.ite(b.flt(y, x), y, x)),
    "fmax_pseudo": value(lambda x, y: b.ite(b.flt(x, y), y, x)),
    "ceil": _rounds("ceil"),
    "floor": _rounds("floor"),
    "trunc": _rounds("trunc"),
    "nearest": _rounds("nearest"),
    "fpromote": _converts(b.fconvert),
    "fdemote": _converts(b.fconvert),
    "fvdemote": value(_fvdemote),
    "fvpromote_low": value(_fvpromote_low),
    "fcvt_to_uint": _to_integer(signed=False),
    "fcvt_to_sint": _to_integer(signed=True),
    "fcvt_to_uint_sat": _converts(b.to_uint),
    "fcvt_to_sint_sat": _converts(b.to_sint),
    "x86_cvtt2dq": _cvtt2dq,
    "fcvt_from_uint": _converts(b.from_uint),
    "fcvt_from_sint": _converts(b.from_sint),
    "fcvt_low_from_sint": _low_lanes,
    "f16const": _constant,
    "f32const": _constant,
    "f64const": _constant,
}  # fmt: skip
