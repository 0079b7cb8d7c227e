"""What CLIF's integer opcodes compute, one function over terms an opcode; most serve vectors as they are.

A rule gets a `Request` and answers with terms: results in order, and the traps of `Meaning`. Facts that are not in the
opcode's own text: shift and rotate amounts have a type of their own and count modulo the lane's width; `c_in`, `b_in`
and every condition are true when not zero; flags come out as i8. Old opcodes (`*_imm`, `band_not`, `iadd_cin` and their
like; `opcodes.py` says when they went) are stated through the present ones.
Sources: cranelift-codegen-meta `shared/instructions.rs` (0.135, 0.130); the expansion of `*_imm` in 0.130's
`legalizer/mod.rs` (which immediates are sign-extended to i128).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.clif.types import Type
from liftcheck.errors import InternalError


class Request(NamedTuple):
    """What a rule may look at: operands as variables, types, and the instruction's immediate."""

    op: str
    ctrl: Type | None
    args: tuple[Term, ...]
    arg_types: tuple[Type, ...]
    result_types: tuple[Type, ...]
    imm: object


class Answer(NamedTuple):
    """Results, and traps as in `Meaning`."""

    results: tuple[Term, ...]
    traps: tuple[tuple[Term, str], ...] = ()


Rule = Callable[[Request], Answer]


def value(function: Callable[..., Term]) -> Rule:
    """A rule for an opcode whose result is a function of its operands alone."""
    return lambda r: Answer((function(*r.args),))


def zero(like: Term) -> Term:
    """The constant 0 of the same shape."""
    return const(0, like.lane, like.lanes)


def flag(condition: Term) -> Term:
    """A truth value as i8."""
    return b.zext(condition, 8)


def truthy(condition: Term, shape: Type) -> Term:
    """A comparison's result: 0 or 1 as i8 for scalars, a mask for vectors."""
    return b.sext(condition, shape.lane_bits) if shape.is_vector else flag(condition)


def immediate(r: Request) -> int:
    """The immediate as an integer."""
    if not isinstance(r.imm, int):
        raise InternalError(f"{r.op} needs an integer immediate, not {r.imm!r}")
    return r.imm


def icc(condition: object, x: Term, y: Term) -> Term:
    """The truth of an integer condition code."""
    if condition not in CONDITIONS:
        raise InternalError(f"no integer condition {condition!r}")
    return CONDITIONS[str(condition)](x, y)


CONDITIONS: Final[dict[str, Callable[[Term, Term], Term]]] = {
    "eq": b.eq,
    "ne": b.ne,
    "slt": b.slt,
    "sle": b.sle,
    "sgt": lambda x, y: b.slt(y, x),
    "sge": lambda x, y: b.sle(y, x),
    "ult": b.ult,
    "ule": b.ule,
    "ugt": lambda x, y: b.ult(y, x),
    "uge": lambda x, y: b.ule(y, x),
}  # fmt: skip


def _iabs(x: Term) -> Term:
    return b.ite(b.slt(x, zero(x)), b.neg(x), x)


def _high_product(extend: Callable[[Term, int], Term]) -> Callable[[Term, Term], Term]:
    return lambda x, y: b.extract(b.mul(extend(x, 2 * x.lane), extend(y, 2 * y.lane)), x.lane, x.lane)


def _shift(shift: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """The amount modulo the lane's width, the same for every lane."""

    def rule(x: Term, y: Term) -> Term:
        low = y if y.lane < x.lane.bit_length() - 1 else b.band(y, const(x.lane - 1, y.lane))
        return shift(x, b.splat(b.resize(low, x.lane), x.lanes))

    return rule


def _cls(x: Term) -> Term:
    """Leading zeros of x ^ (x >>s 1) leave out the sign bit itself."""
    spread = b.bxor(x, b.ashr(x, const(1, x.lane, x.lanes)))
    return b.sub(b.clz(spread), const(1, x.lane, x.lanes))


def _divides(signed: bool, quotient: bool) -> Rule:
    def rule(r: Request) -> Answer:
        x, y = r.args
        by_zero = (b.eq(y, zero(y)), "int_divz")
        if not signed:
            return Answer((b.udiv(x, y) if quotient else b.urem(x, y),), (by_zero,))
        if not quotient:
            return Answer((b.srem(x, y),), (by_zero,))
        lowest = b.eq(x, const(1 << x.lane - 1, x.lane))
        overflow = b.band(b.eq(y, const(-1, y.lane)), lowest)
        return Answer((b.sdiv(x, y),), (by_zero, (overflow, "int_ovf")))

    return rule


def _wide(
    step: Callable[[Term, Term], Term], x: Term, y: Term, carry: Term | None, extend: Callable[[Term, int], Term]
) -> tuple[Term, Term]:
    """The wrapped result, and the one in twice the width."""
    width = 2 * x.lane
    exact, wrapped = step(extend(x, width), extend(y, width)), step(x, y)
    if carry is not None:
        bit = b.nonzero(carry)
        exact, wrapped = step(exact, b.zext(bit, width)), step(wrapped, b.zext(bit, x.lane))
    return wrapped, exact


def _overflows(step: Callable[[Term, Term], Term], signed: bool) -> Rule:
    """The wrapped result, and whether the exact one is another number."""
    extend = b.sext if signed else b.zext

    def rule(r: Request) -> Answer:
        x, y = r.args[:2]
        wrapped, exact = _wide(step, x, y, r.args[2] if len(r.args) > 2 else None, extend)
        return Answer((wrapped, flag(_differs(wrapped, exact, signed))))

    return rule


def _differs(wrapped: Term, exact: Term, signed: bool) -> Term:
    """Whether a result in twice the width leaves the range of `wrapped` (a signed one is moved up to be unsigned)."""
    moved = b.add(exact, const(1 << wrapped.lane - 1, exact.lane)) if signed else exact
    return b.ult(const(wrapped.mask, exact.lane), moved)


def _usub_overflow(r: Request) -> Answer:
    x, y = r.args[:2]
    if len(r.args) == 2:
        return Answer((b.sub(x, y), flag(b.ult(x, y))))
    bit = b.nonzero(r.args[2])
    less = b.ult(b.zext(x, 2 * x.lane), b.add(b.zext(y, 2 * x.lane), b.zext(bit, 2 * x.lane)))
    return Answer((b.sub(b.sub(x, y), b.zext(bit, x.lane)), flag(less)))


def _uadd_overflow_trap(r: Request) -> Answer:
    wrapped, exact = _wide(b.add, r.args[0], r.args[1], None, b.zext)
    return Answer((wrapped,), ((_differs(wrapped, exact, False), "user"),))


def _icmp(r: Request) -> Answer:
    return Answer((truthy(icc(r.imm, *r.args), r.arg_types[0]),))


def _iconst(r: Request) -> Answer:
    to = r.result_types[0]
    return Answer((const(immediate(r), to.lane_bits, to.lanes),))


def _converts(function: Callable[[Term, int], Term]) -> Rule:
    return lambda r: Answer((function(r.args[0], r.result_types[0].lane_bits),))


def _isplit(r: Request) -> Answer:
    (x,) = r.args
    half = x.lane // 2
    return Answer((b.trunc(x, half), b.extract(x, half, half)))


def _traps_if(test: Callable[[Term], Term]) -> Rule:
    return lambda r: Answer((), ((test(r.args[0]), "user"),))


def _select(r: Request) -> Answer:
    c, x, y = r.args
    return Answer((b.ite(b.nonzero(c), x, y),))


def _bitselect(c: Term, x: Term, y: Term) -> Term:
    return b.bor(b.band(c, x), b.band(b.bnot(c), y))


def _blendv(r: Request) -> Answer:
    c, x, y = r.args
    return Answer((b.ite(b.extract(c, c.lane - 1, 1), x, y),))


def _bmask(x: Term, lane: int) -> Term:
    return b.sext(b.nonzero(x), lane)


def _with_immediate(rule: Rule, signed: bool, reverse: bool = False) -> Rule:
    """The old form with a 64-bit immediate: cut to the lane, for i128 extended as the expansion did."""

    def expanded(r: Request) -> Answer:
        (x,) = r.args
        number = immediate(r) & (1 << 64) - 1
        if signed and number >> 63:
            number -= 1 << 64
        amount = r.op in _BY_AMOUNT
        y = const(number, x.lane, 1 if amount else x.lanes)
        return rule(r._replace(args=(y, x) if reverse else (x, y)))

    return expanded


_BY_AMOUNT: Final = frozenset({"ishl_imm", "ushr_imm", "sshr_imm", "rotl_imm", "rotr_imm"})


def _icmp_imm(r: Request) -> Answer:
    """`imm` is (condition, number)."""
    if not isinstance(r.imm, tuple) or len(r.imm) != 2:
        raise InternalError(f"icmp_imm needs (condition, number), not {r.imm!r}")
    compare: Rule = lambda q: Answer((truthy(icc(r.imm[0], *q.args), r.arg_types[0]),))  # type: ignore[index]  # noqa: E731
    return _with_immediate(compare, signed=True)(r._replace(imm=r.imm[1]))


def _rmw(r: Request) -> Answer:
    old, x = r.args
    if r.imm not in RMW:
        raise InternalError(f"no atomic operation {r.imm!r}")
    return Answer((RMW[str(r.imm)](old, x),))


RMW: Final[dict[str, Callable[[Term, Term], Term]]] = {
    "add": b.add,
    "sub": b.sub,
    "and": b.band,
    "nand": lambda old, x: b.bnot(b.band(old, x)),
    "or": b.bor,
    "xor": b.bxor,
    "xchg": lambda old, x: x,
    "umin": b.umin,
    "umax": b.umax,
    "smin": b.smin,
    "smax": b.smax,
}  # fmt: skip
"""What `atomic_rmw` stores, from what is there and the operand; asked for as the opcode `atomic_rmw_op`."""


_ISHL, _USHR, _SSHR = value(_shift(b.shl)), value(_shift(b.lshr)), value(_shift(b.ashr))
_ROTL, _ROTR = value(_shift(b.rotl)), value(_shift(b.rotr))
_IADD, _ISUB, _IMUL = value(b.add), value(b.sub), value(b.mul)
_BAND, _BOR, _BXOR = value(b.band), value(b.bor), value(b.bxor)
_UDIV, _UREM = _divides(signed=False, quotient=True), _divides(signed=False, quotient=False)
_SDIV, _SREM = _divides(signed=True, quotient=True), _divides(signed=True, quotient=False)
_UADD_OVERFLOW, _SADD_OVERFLOW = _overflows(b.add, signed=False), _overflows(b.add, signed=True)
_SSUB_OVERFLOW = _overflows(b.sub, signed=True)


def _first(rule: Rule) -> Rule:
    return lambda r: Answer(rule(r).results[:1])


RULES: Final[dict[str, Rule]] = {
    "iadd": _IADD,
    "isub": _ISUB,
    "ineg": value(b.neg),
    "iabs": value(_iabs),
    "imul": _IMUL,
    "umulhi": value(_high_product(b.zext)),
    "smulhi": value(_high_product(b.sext)),
    "udiv": _UDIV,
    "urem": _UREM,
    "sdiv": _SDIV,
    "srem": _SREM,
    "smin": value(b.smin),
    "smax": value(b.smax),
    "umin": value(b.umin),
    "umax": value(b.umax),
    "uadd_overflow": _UADD_OVERFLOW,
    "sadd_overflow": _SADD_OVERFLOW,
    "uadd_overflow_cin": _UADD_OVERFLOW,
    "sadd_overflow_cin": _SADD_OVERFLOW,
    "usub_overflow": _usub_overflow,
    "ssub_overflow": _SSUB_OVERFLOW,
    "usub_overflow_bin": _usub_overflow,
    "ssub_overflow_bin": _SSUB_OVERFLOW,
    "umul_overflow": _overflows(b.mul, signed=False),
    "smul_overflow": _overflows(b.mul, signed=True),
    "uadd_overflow_trap": _uadd_overflow_trap,
    "band": _BAND,
    "bor": _BOR,
    "bxor": _BXOR,
    "bnot": value(b.bnot),
    "band_not": value(lambda x, y: b.band(x, b.bnot(y))),
    "bor_not": value(lambda x, y: b.bor(x, b.bnot(y))),
    "bxor_not": value(lambda x, y: b.bxor(x, b.bnot(y))),
    "ishl": _ISHL,
    "ushr": _USHR,
    "sshr": _SSHR,
    "rotl": _ROTL,
    "rotr": _ROTR,
    "bitrev": value(b.bitrev),
    "bswap": value(b.bswap),
    "clz": value(b.clz),
    "ctz": value(b.ctz),
    "cls": value(_cls),
    "popcnt": value(b.popcnt),
    "icmp": _icmp,
    "iconst": _iconst,
    "uextend": _converts(b.zext),
    "sextend": _converts(b.sext),
    "ireduce": _converts(b.trunc),
    "bmask": _converts(_bmask),
    "isplit": _isplit,
    "iconcat": value(lambda low, high: b.concat(high, low)),
    "select": _select,
    "select_spectre_guard": _select,
    "bitselect": value(_bitselect),
    "blendv": _blendv,
    "trapz": _traps_if(lambda c: b.eq(c, zero(c))),
    "trapnz": _traps_if(b.nonzero),
    "atomic_rmw_op": _rmw,
    "iadd_imm": _with_immediate(_IADD, signed=True),
    "irsub_imm": _with_immediate(_ISUB, signed=True, reverse=True),
    "imul_imm": _with_immediate(_IMUL, signed=True),
    "udiv_imm": _with_immediate(_UDIV, signed=False),
    "urem_imm": _with_immediate(_UREM, signed=False),
    "sdiv_imm": _with_immediate(_SDIV, signed=True),
    "srem_imm": _with_immediate(_SREM, signed=True),
    "band_imm": _with_immediate(_BAND, signed=False),
    "bor_imm": _with_immediate(_BOR, signed=False),
    "bxor_imm": _with_immediate(_BXOR, signed=False),
    "ishl_imm": _with_immediate(_ISHL, signed=False),
    "ushr_imm": _with_immediate(_USHR, signed=False),
    "sshr_imm": _with_immediate(_SSHR, signed=False),
    "rotl_imm": _with_immediate(_ROTL, signed=False),
    "rotr_imm": _with_immediate(_ROTR, signed=False),
    "icmp_imm": _icmp_imm,
    "iadd_carry": _UADD_OVERFLOW,
    "iadd_cout": _UADD_OVERFLOW,
    "iadd_cin": _first(_UADD_OVERFLOW),
    "isub_borrow": _usub_overflow,
    "isub_bout": _usub_overflow,
    "isub_bin": _first(_usub_overflow),
}  # fmt: skip
