"""What CLIF's vector opcodes compute beyond lane-wise arithmetic: lanes moved, widened, narrowed, reduced; bitcast.

Facts that are not in the opcode's own text: `shuffle`'s sixteen numbers index the bytes of both operands together;
`vhigh_bits` puts lane i's top bit into bit i and is cut or zero-extended to its result's type; the byte order of
`bitcast` matters only between different lane widths, where 'big' stores lane 0 first and every lane's high byte
first. `x86_pmaddubsw` takes signed bytes first and unsigned ones second (pmaddubsw itself is the other way round: see
the operands' order in `src/isa/x64/lower.isle`). `x86_pmulhrsw` is `sqmul_round_sat` without saturation.
Source: cranelift-codegen-meta `shared/instructions.rs`; Intel SDM (PMULHRSW, PMADDUBSW, PSHUFB, BLENDV).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, packed_const
from liftcheck.clif.semantics.integers import RULES as INTEGER
from liftcheck.clif.semantics.integers import Answer, Request, Rule, immediate, value
from liftcheck.errors import InternalError


def _splat(r: Request) -> Answer:
    return Answer((b.splat(r.args[0], r.result_types[0].lanes),))


def _scalar_to_vector(r: Request) -> Answer:
    return Answer((b.permute((r.args[0],), (0, *[-1] * (r.result_types[0].lanes - 1))),))


def _lane_number(r: Request, lanes: int) -> int:
    index = immediate(r)
    if not 0 <= index < lanes:
        raise InternalError(f"{r.op}: no lane {index} of {lanes}")
    return index


def _extractlane(r: Request) -> Answer:
    (x,) = r.args
    return Answer((b.pick(x, _lane_number(r, x.lanes)),))


def _insertlane(r: Request) -> Answer:
    x, y = r.args
    lanes = list(range(x.lanes))
    lanes[_lane_number(r, x.lanes)] = x.lanes
    return Answer((b.permute((x, y), lanes),))


def _extract_vector(r: Request) -> Answer:
    (x,), to = r.args, r.result_types[0]
    first = _lane_number(r, x.lanes // to.lanes) * to.lanes
    return Answer((b.permute((x,), range(first, first + to.lanes)),))


def _shuffle(r: Request) -> Answer:
    x, y = r.args
    if not isinstance(r.imm, (tuple, bytes)) or any(not 0 <= i < 2 * x.lanes for i in r.imm):
        raise InternalError(f"shuffle needs lane numbers below {2 * x.lanes}, not {r.imm!r}")
    return Answer((b.permute((x, y), tuple(r.imm)),))


def _pshufb(x: Term, y: Term) -> Term:
    return b.gather(x, b.band(y, const(0x8F, 8, y.lanes)))


def _avg_round(x: Term, y: Term) -> Term:
    wide = b.add(b.zext(x, 2 * x.lane), b.zext(y, 2 * x.lane))
    return b.extract(b.add(wide, const(1, wide.lane, wide.lanes)), 1, x.lane)


def _uadd_sat(x: Term, y: Term) -> Term:
    return b.clamp_unsigned(b.add(b.zext(x, 2 * x.lane), b.zext(y, 2 * x.lane)), x.lane, signed=False)


def _usub_sat(x: Term, y: Term) -> Term:
    return b.ite(b.ult(y, x), b.sub(x, y), const(0, x.lane, x.lanes))


def _saturates(step: Callable[[Term, Term], Term]) -> Rule:
    """The exact sum or difference in twice the width, cut to the lane's signed range."""
    return value(lambda x, y: b.clamp_signed(step(b.sext(x, 2 * x.lane), b.sext(y, 2 * x.lane)), x.lane))


def _rounded_product(x: Term, y: Term) -> Term:
    """(x * y + 2^(lane-2)) >> (lane-1), in twice the width."""
    wide = 2 * x.lane
    product = b.mul(b.sext(x, wide), b.sext(y, wide))
    half = b.add(product, const(1 << x.lane - 2, wide, x.lanes))
    return b.ashr(half, const(x.lane - 1, wide, x.lanes))


def _sqmul_round_sat(x: Term, y: Term) -> Term:
    return b.clamp_signed(_rounded_product(x, y), x.lane)


def _pmulhrsw(x: Term, y: Term) -> Term:
    return b.trunc(_rounded_product(x, y), x.lane)


def _pmaddubsw(x: Term, y: Term) -> Term:
    product = b.mul(b.sext(x, 32), b.zext(y, 32))
    return b.clamp_signed(b.add(_every_second(product, 0), _every_second(product, 1)), 16)


def _every_second(x: Term, first: int) -> Term:
    return b.permute((x,), range(first, x.lanes, 2))


def _iadd_pairwise(x: Term, y: Term) -> Term:
    both = range(0, 2 * x.lanes, 2)
    return b.add(b.permute((x, y), both), b.permute((x, y), [i + 1 for i in both]))


def _narrows(clamp: Callable[[Term, int], Term]) -> Rule:
    """The lanes of x, then those of y, each saturated to half the width."""
    return value(lambda x, y: clamp(b.permute((x, y), range(2 * x.lanes)), x.lane // 2))


def _widens(extend: Callable[[Term, int], Term], high: bool) -> Rule:
    def rule(x: Term) -> Term:
        half = x.lanes // 2
        return extend(b.permute((x,), range(half, x.lanes) if high else range(half)), 2 * x.lane)

    return value(rule)


def _truths(x: Term) -> Term:
    """One bit a lane, as one number."""
    return b.scalar(x)


def _vany_true(x: Term) -> Term:
    return b.zext(b.nonzero(b.scalar(x)), 8)


def _vall_true(x: Term) -> Term:
    some_zero = b.nonzero(_truths(b.eq(x, const(0, x.lane, x.lanes))))
    return b.zext(b.bnot(some_zero), 8)


def _vhigh_bits(r: Request) -> Answer:
    (x,) = r.args
    return Answer((b.resize(_truths(b.extract(x, x.lane - 1, 1)), r.result_types[0].bits),))


def _constant(r: Request) -> Answer:
    """The pool's bytes are in memory order of a little-endian machine: byte 0 is lane 0's lowest."""
    to = r.result_types[0]
    if not isinstance(r.imm, (int, bytes)):
        raise InternalError(f"{r.op} needs bytes or an integer, not {r.imm!r}")
    whole = r.imm if isinstance(r.imm, int) else int.from_bytes(r.imm, "little")
    return Answer((packed_const(whole, to.lane_bits, to.lanes),))


def _bitcast(r: Request) -> Answer:
    (x,), to = r.args, r.result_types[0]
    if x.bits != to.bits:
        raise InternalError(f"bitcast from {r.arg_types[0]} to {to}")
    if r.imm != "big" or x.lanes == to.lanes:
        return Answer((b.shape(x, to.lane_bits, to.lanes),))
    return Answer((_reversed(b.shape(_reversed(x), to.lane_bits, to.lanes)),))


def _reversed(x: Term) -> Term:
    return b.permute((x,), range(x.lanes - 1, -1, -1)) if x.lanes > 1 else x


RULES: Final[dict[str, Rule]] = {
    "splat": _splat,
    "scalar_to_vector": _scalar_to_vector,
    "extractlane": _extractlane,
    "insertlane": _insertlane,
    "extract_vector": _extract_vector,
    "shuffle": _shuffle,
    "swizzle": value(b.gather),
    "x86_pshufb": value(_pshufb),
    "x86_blendv": INTEGER["blendv"],
    "avg_round": value(_avg_round),
    "uadd_sat": value(_uadd_sat),
    "usub_sat": value(_usub_sat),
    "sadd_sat": _saturates(b.add),
    "ssub_sat": _saturates(b.sub),
    "sqmul_round_sat": value(_sqmul_round_sat),
    "x86_pmulhrsw": value(_pmulhrsw),
    "x86_pmaddubsw": value(_pmaddubsw),
    "iadd_pairwise": value(_iadd_pairwise),
    "snarrow": _narrows(b.clamp_signed),
    "unarrow": _narrows(lambda x, lane: b.clamp_unsigned(x, lane, signed=True)),
    "uunarrow": _narrows(lambda x, lane: b.clamp_unsigned(x, lane, signed=False)),
    "swiden_low": _widens(b.sext, high=False),
    "swiden_high": _widens(b.sext, high=True),
    "uwiden_low": _widens(b.zext, high=False),
    "uwiden_high": _widens(b.zext, high=True),
    "vany_true": value(_vany_true),
    "vall_true": value(_vall_true),
    "vhigh_bits": _vhigh_bits,
    "vconst": _constant,
    "f128const": _constant,
    "bitcast": _bitcast,
}  # fmt: skip
