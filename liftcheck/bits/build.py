"""Constructors of terms: the vocabulary in which meanings are written.

Each function checks the shapes, and a few do the identities that keep the generated code short (an extension to the
same width is the operand itself). Everything that is not a row of `prim` is put together from rows here, once.
"""

from __future__ import annotations

from collections.abc import Sequence

from liftcheck.bits.term import Term, const, packed_const, repeated, same_shape, term, value_of
from liftcheck.errors import InternalError


def _lanewise(prim: str, *args: Term, lane: int = 0, params: tuple[object, ...] = ()) -> Term:
    same_shape(*args)
    return term(prim, lane or args[0].lane, args[0].lanes, params, args)


def band(a: Term, b: Term) -> Term:
    """Bitwise and."""
    return _lanewise("and", a, b)


def bor(a: Term, b: Term) -> Term:
    """Bitwise or."""
    return _lanewise("or", a, b)


def bxor(a: Term, b: Term) -> Term:
    """Bitwise exclusive or."""
    return _lanewise("xor", a, b)


def bnot(a: Term) -> Term:
    """Bitwise not; of truth values the logical one."""
    return a.args[0] if a.prim == "not" else _lanewise("not", a)


def add(a: Term, b: Term) -> Term:
    """Sum modulo 2^lane."""
    return _lanewise("add", a, b)


def sub(a: Term, b: Term) -> Term:
    """Difference modulo 2^lane."""
    return _lanewise("sub", a, b)


def neg(a: Term) -> Term:
    """Two's complement."""
    return _lanewise("neg", a)


def mul(a: Term, b: Term) -> Term:
    """Product modulo 2^lane."""
    return _lanewise("mul", a, b)


def udiv(a: Term, b: Term) -> Term:
    """Unsigned quotient; meaningless for b = 0 (the caller states the trap)."""
    return _lanewise("udiv", a, b)


def urem(a: Term, b: Term) -> Term:
    """Unsigned remainder; meaningless for b = 0."""
    return _lanewise("urem", a, b)


def sdiv(a: Term, b: Term) -> Term:
    """Signed quotient rounded to zero, wrapping; meaningless for b = 0."""
    return _lanewise("sdiv", a, b)


def srem(a: Term, b: Term) -> Term:
    """Signed remainder with the dividend's sign; meaningless for b = 0."""
    return _lanewise("srem", a, b)


def shl(a: Term, n: Term) -> Term:
    """a * 2^n; zero for n >= lane."""
    return _lanewise("shl", a, n)


def lshr(a: Term, n: Term) -> Term:
    """Logical shift right; zero for n >= lane."""
    return _lanewise("lshr", a, n)


def ashr(a: Term, n: Term) -> Term:
    """Arithmetic shift right; the sign for n >= lane."""
    return _lanewise("ashr", a, n)


def rotl(a: Term, n: Term) -> Term:
    """Rotation to the left by n modulo lane."""
    return _lanewise("rotl", a, n)


def rotr(a: Term, n: Term) -> Term:
    """Rotation to the right by n modulo lane."""
    return _lanewise("rotr", a, n)


def eq(a: Term, b: Term) -> Term:
    """Truth of a = b."""
    return _lanewise("eq", a, b, lane=1)


def ne(a: Term, b: Term) -> Term:
    """Truth of a ≠ b."""
    return bnot(eq(a, b))


def ult(a: Term, b: Term) -> Term:
    """Truth of a < b, unsigned."""
    return _lanewise("ult", a, b, lane=1)


def ule(a: Term, b: Term) -> Term:
    """Truth of a <= b, unsigned."""
    return _lanewise("ule", a, b, lane=1)


def slt(a: Term, b: Term) -> Term:
    """Truth of a < b, signed."""
    return _lanewise("slt", a, b, lane=1)


def sle(a: Term, b: Term) -> Term:
    """Truth of a <= b, signed."""
    return _lanewise("sle", a, b, lane=1)


def ite(c: Term, a: Term, b: Term) -> Term:
    """a where c, else b; a truth value of one lane decides for whole vectors."""
    same_shape(a, b)
    if c.lane != 1 or c.lanes not in (1, a.lanes):
        raise InternalError(f"condition of shape {c.lane}x{c.lanes}")
    return term("ite", a.lane, a.lanes, (), (c, a, b))


def nonzero(a: Term) -> Term:
    """Truth of a ≠ 0, lane by lane."""
    return ne(a, const(0, a.lane, a.lanes))


def zext(a: Term, lane: int) -> Term:
    """Zero extension of every lane."""
    return a if a.lane == lane else _lanewise("zext", a, lane=lane)


def sext(a: Term, lane: int) -> Term:
    """Sign extension of every lane; a true lane of one bit becomes all ones."""
    return a if a.lane == lane else _lanewise("sext", a, lane=lane)


def extract(a: Term, low: int, lane: int) -> Term:
    """`lane` bits of every lane, from bit `low` on."""
    if low == 0 and lane == a.lane:
        return a
    return _lanewise("extract", a, lane=lane, params=(low,))


def trunc(a: Term, lane: int) -> Term:
    """The low bits of every lane."""
    return extract(a, 0, lane)


def resize(a: Term, lane: int) -> Term:
    """Zero extension or truncation, whichever it takes."""
    return zext(a, lane) if lane >= a.lane else trunc(a, lane)


def concat(high: Term, low: Term) -> Term:
    """Lanes of both widths together."""
    if high.lanes != low.lanes:
        raise InternalError("operands of different lane counts")
    return term("concat", high.lane + low.lane, high.lanes, (), (high, low))


def clz(a: Term) -> Term:
    """Leading zero bits; lane for 0."""
    return _lanewise("clz", a)


def ctz(a: Term) -> Term:
    """Trailing zero bits; lane for 0."""
    return _lanewise("ctz", a)


def popcnt(a: Term) -> Term:
    """One bits."""
    return _lanewise("popcnt", a)


def bitrev(a: Term) -> Term:
    """Bits in reverse order."""
    return _lanewise("bitrev", a)


def bswap(a: Term) -> Term:
    """Bytes in reverse order."""
    return _lanewise("bswap", a)


def umin(a: Term, b: Term) -> Term:
    """The smaller one, unsigned."""
    return ite(ult(b, a), b, a)


def umax(a: Term, b: Term) -> Term:
    """The larger one, unsigned."""
    return ite(ult(a, b), b, a)


def smin(a: Term, b: Term) -> Term:
    """The smaller one, signed."""
    return ite(slt(b, a), b, a)


def smax(a: Term, b: Term) -> Term:
    """The larger one, signed."""
    return ite(slt(a, b), b, a)


def clamp_signed(a: Term, lane: int) -> Term:
    """The signed lanes of `a` saturated to signed `lane` bits."""
    top = (1 << lane - 1) - 1
    low, high = const(-top - 1, a.lane, a.lanes), const(top, a.lane, a.lanes)
    return trunc(smin(smax(a, low), high), lane)


def clamp_unsigned(a: Term, lane: int, signed: bool) -> Term:
    """The lanes of `a`, read as signed or unsigned, saturated to unsigned `lane` bits."""
    high = const((1 << lane) - 1, a.lane, a.lanes)
    if signed:
        return trunc(smin(smax(a, const(0, a.lane, a.lanes)), high), lane)
    return trunc(umin(a, high), lane)


def shape(a: Term, lane: int, lanes: int) -> Term:
    """The same bits cut into other lanes."""
    if lane * lanes != a.bits:
        raise InternalError(f"{a.bits} bits are not {lanes} lanes of {lane}")
    if (a.lane, a.lanes) == (lane, lanes):
        return a
    if a.prim == "const":
        return packed_const(value_of(a), lane, lanes)
    return shape(a.args[0], lane, lanes) if a.prim == "shape" else term("shape", lane, lanes, (), (a,))


def scalar(a: Term) -> Term:
    """The whole value as one lane."""
    return shape(a, a.bits, 1)


def splat(a: Term, lanes: int) -> Term:
    """Every lane the scalar `a`."""
    if lanes == 1:
        return a
    return const(value_of(a), a.lane, lanes) if a.prim == "const" else term("splat", a.lane, lanes, (), (a,))


def permute(sources: Sequence[Term], indexes: Sequence[int]) -> Term:
    """Lanes picked from the concatenation of the sources (lane 0 first); index -1 is a zero lane."""
    if len({s.lane for s in sources}) != 1:
        raise InternalError("lanes of different widths")
    return term("permute", sources[0].lane, len(indexes), tuple(indexes), tuple(sources))


def pick(a: Term, index: int) -> Term:
    """Lane `index` as a scalar."""
    return permute((a,), (index,))


def gather(a: Term, indexes: Term) -> Term:
    """Lane i is a[indexes[i]], zero where the index is out of range."""
    same_shape(a, indexes)
    if a.lane == 8:
        return _lanewise("gather", a, indexes)
    step, every = a.lane // 8, repeated(1, 8, a.lane // 8)
    if a.lane % 8 or a.bits > 8 * 128:
        raise InternalError(f"no lookup in {a.lanes} lanes of {a.lane} bits")
    # The bytes of lane n are bytes n * step … of the whole, so each byte of an index becomes the number of one.
    ascending = sum(k << 8 * k for k in range(step))
    number = add(mul(indexes, const(step * every, a.lane, a.lanes)), const(ascending, a.lane, a.lanes))
    number = ite(ult(indexes, const(a.lanes, a.lane, a.lanes)), number, const(-1, a.lane, a.lanes))
    found = _lanewise("gather", shape(a, 8, a.bits // 8), shape(number, 8, a.bits // 8))
    return shape(found, a.lane, a.lanes)


def _float(prim: str, *args: Term, lane: int = 0, params: tuple[object, ...] = ()) -> Term:
    if args[0].lane not in (16, 32, 64, 128):
        raise InternalError(f"no float format has {args[0].lane} bits")
    return _lanewise(prim, *args, lane=lane, params=params)


def fadd(a: Term, b: Term) -> Term:
    """IEEE sum."""
    return _float("fadd", a, b)


def fsub(a: Term, b: Term) -> Term:
    """IEEE difference."""
    return _float("fsub", a, b)


def fmul(a: Term, b: Term) -> Term:
    """IEEE product."""
    return _float("fmul", a, b)


def fdiv(a: Term, b: Term) -> Term:
    """IEEE quotient."""
    return _float("fdiv", a, b)


def fsqrt(a: Term) -> Term:
    """IEEE square root."""
    return _float("fsqrt", a)


def fma(a: Term, b: Term, c: Term) -> Term:
    """a * b + c, rounded once."""
    return _float("fma", a, b, c)


def fmin(a: Term, b: Term) -> Term:
    """IEEE 754-2019 minimum: NaN wins, -0 < +0."""
    return _float("fmin", a, b)


def fmax(a: Term, b: Term) -> Term:
    """IEEE 754-2019 maximum: NaN wins, -0 < +0."""
    return _float("fmax", a, b)


def fround(a: Term, mode: str) -> Term:
    """Rounded to an integer; mode is 'ceil', 'floor', 'trunc' or 'nearest' (ties to even)."""
    return _float("f" + mode, a)


def feq(a: Term, b: Term) -> Term:
    """Truth of a = b, ordered."""
    return _float("feq", a, b, lane=1)


def flt(a: Term, b: Term) -> Term:
    """Truth of a < b, ordered."""
    return _float("flt", a, b, lane=1)


def fle(a: Term, b: Term) -> Term:
    """Truth of a <= b, ordered."""
    return _float("fle", a, b, lane=1)


def isnan(a: Term) -> Term:
    """Truth of 'is a NaN'."""
    return _float("fisnan", a, lane=1)


def fconvert(a: Term, lane: int) -> Term:
    """To the float format of `lane` bits, rounded to nearest even."""
    return a if a.lane == lane else _float("fconvert", a, lane=lane)


def from_uint(a: Term, lane: int) -> Term:
    """Unsigned integer to the float format of `lane` bits, rounded to nearest even."""
    return _lanewise("from_uint", a, lane=lane)


def from_sint(a: Term, lane: int) -> Term:
    """Signed integer to the float format of `lane` bits, rounded to nearest even."""
    return _lanewise("from_sint", a, lane=lane)


def to_uint(a: Term, lane: int) -> Term:
    """Rounded to zero and saturated to unsigned `lane` bits; NaN is 0."""
    return _float("to_uint", a, lane=lane)


def to_sint(a: Term, lane: int) -> Term:
    """Rounded to zero and saturated to signed `lane` bits; NaN is 0."""
    return _float("to_sint", a, lane=lane)
