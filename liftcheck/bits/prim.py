"""The closed table of primitives: one row each, with its Python text, its z3 term and its readable text.

Legend. `python(cx, t)` writes one lane as a raw `Code` (any integer congruent to the value); `exact` does the same
where the value itself is as cheap. `flat` writes all lanes of a vector at once where plain integer arithmetic can.
`smt(z, t, *operands)` builds one lane in z3, given the module (so that this file does not import it); truth values are
one-bit vectors. `show` is a format string over the operands. Rows that are not lane-wise (`var`, `const`, `shape`,
`splat`, `permute`, `gather`) are known to the emitter and to `smt` by name.

Division by zero is outside the domain of the four divisions: whoever uses them states the trap. Shifts are total.
Float rows work on bit patterns, round to nearest even, and give the positive quiet NaN without payload for every NaN.
Source of the float rows: IEEE 754-2019 (5.4, 5.7, 9.6 for minimum and maximum).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from liftcheck.bits import code as c
from liftcheck.bits.code import Code, Context
from liftcheck.bits.term import Term, repeated, value_of

Writer = Callable[[Context, Term], Code]
Smt = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Prim:
    """One primitive. `predicate`: `smt` gives a z3 truth value instead of a bit-vector."""

    name: str
    show: str
    python: Writer
    smt: Smt
    exact: Writer | None = None
    flat: Writer | None = None
    lanewise: bool = True
    predicate: bool = False


def _args(view: str, combine: Callable[..., Code]) -> Writer:
    """A row that combines one view of its operands."""

    def write(cx: Context, t: Term) -> Code:
        return combine(*(getattr(cx, view)(a) for a in t.args))

    return write


def _not(cx: Context, t: Term) -> Code:
    if t.lane > 1:
        return c.infix(cx.exact(t.args[0]), "^", c.literal(t.mask), 0, t.mask)
    (a,) = t.args
    flipped = {"eq": "!=", "ult": ">=", "ule": ">"}.get(a.prim)
    if flipped:
        return c.truth(cx.exact(a.args[0]), flipped, cx.exact(a.args[1]))
    return Code(f"not {c.wrap(cx.exact(a), c.COMPARE)}", c.NOT, 0, 1)


def _and(cx: Context, t: Term) -> Code:
    if t.lane == 1 and _all_boolean(t):
        return c.truth(cx.exact(t.args[0]), "and", cx.exact(t.args[1]))
    return _bitand(cx, t)


def _bitand(cx: Context, t: Term) -> Code:
    a, b = cx.raw(t.args[0]), cx.raw(t.args[1])
    if not (a.within(0, t.mask) or b.within(0, t.mask)):
        a = cx.exact(t.args[0])
    bound = min(x.high for x in (a, b) if x.low >= 0)
    return c.infix(a, "&", b, 0, bound)


_BOOLEAN: Final = frozenset({"eq", "ult", "ule", "slt", "sle", "not", "feq", "flt", "fle", "fisnan", "and", "or"})


def _all_boolean(t: Term) -> bool:
    """Whether both operands come out of Python as bool: then `and`, `or` give one too."""
    return all(a.prim in _BOOLEAN for a in t.args)


def _or(cx: Context, t: Term) -> Code:
    if t.lane == 1 and _all_boolean(t):
        return c.truth(cx.exact(t.args[0]), "or", cx.exact(t.args[1]))
    a, b = cx.exact(t.args[0]), cx.exact(t.args[1])
    return c.infix(a, "|", b, 0, c.all_ones(max(a.high, b.high)))


def _xor(cx: Context, t: Term) -> Code:
    if t.lane == 1:
        return c.truth(cx.exact(t.args[0]), "!=", cx.exact(t.args[1]))
    a, b = cx.exact(t.args[0]), cx.exact(t.args[1])
    return c.infix(a, "^", b, 0, c.all_ones(max(a.high, b.high)))


def _udiv(a: Code, b: Code) -> Code:
    return c.infix(a, "//", b, 0, a.high)


def _urem(a: Code, b: Code) -> Code:
    return c.infix(a, "%", b, 0, max(b.high - 1, 0))


def _sdiv(cx: Context, t: Term) -> Code:
    a, b = (cx.signed_atom(x) for x in t.args)
    top = 1 << t.lane - 1
    return Code(f"{a.text} // {b.text} if ({a.text} ^ {b.text}) >= 0 else -(-{a.text} // {b.text})",
                c.TERNARY, -top, top)  # fmt: skip


def _srem(cx: Context, t: Term) -> Code:
    a, b = (cx.signed_atom(x) for x in t.args)
    top = 1 << t.lane - 1
    size = b.text if b.low >= 0 else f"abs({b.text})"
    return Code(f"{a.text} % {size} if {a.text} >= 0 else -(-{a.text} % {size})", c.TERNARY, 1 - top, top - 1)


def _shl(cx: Context, t: Term) -> Code:
    a, n = cx.exact(t.args[0]), cx.exact(t.args[1])
    if n.high < t.lane:
        return c.infix(a, "<<", n, a.low << n.low, a.high << n.high)
    n = cx.atom(t.args[1])
    shifted = c.infix(a, "<<", n, 0, a.high << t.lane)
    return c.ternary(c.truth(n, "<", c.literal(t.lane)), shifted, c.literal(0))


def _lshr(cx: Context, t: Term) -> Code:
    a, n = cx.exact(t.args[0]), cx.exact(t.args[1])
    return c.infix(a, ">>", n, 0, a.high >> n.low)


def _ashr(cx: Context, t: Term) -> Code:
    a, n = cx.signed(t.args[0]), cx.exact(t.args[1])
    return c.infix(a, ">>", n, min(a.low, -1), max(a.high >> n.low, 0))


def _ashr_exact(cx: Context, t: Term) -> Code:
    a, n = cx.atom(t.args[0]), cx.atom(t.args[1])
    top, size = c.literal(1 << t.lane - 1), c.literal(1 << t.lane)
    negative = c.added(c.infix(c.subtracted(a, size), ">>", n), size)
    positive = c.infix(a, ">>", n)
    text = c.ternary(c.truth(a, "<", top), positive, negative).text
    return Code(text, c.TERNARY, 0, t.mask)


def _rotate(left: bool) -> Writer:
    def write(cx: Context, t: Term) -> Code:
        a, n = cx.atom(t.args[0]), cx.atom(t.args[1])
        if n.high >= t.lane:
            n = cx.atom(_modulo(t.args[1]))
        rest = c.subtracted(c.literal(t.lane), n)
        up, down = (n, rest) if left else (rest, n)
        whole = c.infix(c.infix(a, "<<", up), "|", c.infix(a, ">>", down))
        return whole._replace(low=0, high=(1 << 2 * t.lane) - 1)

    return write


def _modulo(n: Term) -> Term:
    from liftcheck.bits.build import band
    from liftcheck.bits.term import const

    return band(n, const(n.lane - 1, n.lane, n.lanes))


def _compare(operator: str) -> Writer:
    return _args("exact", lambda a, b: c.truth(a, operator, b))


def _signed_compare(operator: str) -> Writer:
    def write(cx: Context, t: Term) -> Code:
        top = 1 << t.args[0].lane - 1
        if sign := _sign_test(cx, t, top):
            return sign
        sides = [_signed_literal(a) if _uniform(a) else cx.raw(a) for a in t.args]
        if not all(s.within(-top, top - 1) for s in sides):
            sides = [_biased(cx, a, top) for a in t.args]
        return c.truth(sides[0], operator, sides[1])

    return write


def _uniform(a: Term) -> bool:
    """A constant with the same value in every lane."""
    return a.prim == "const" and value_of(a) == repeated(value_of(a) & a.mask, a.lane, a.lanes)


def _sign_test(cx: Context, t: Term, top: int) -> Code | None:
    """Comparisons with zero look at the sign bit alone."""
    a, b = t.args
    if t.prim == "slt" and b.prim == "const" and not value_of(b) and not cx.is_signed(a):
        return c.truth(cx.exact(a), ">", c.literal(top - 1))
    if t.prim == "sle" and a.prim == "const" and not value_of(a) and not cx.is_signed(b):
        return c.truth(cx.exact(b), "<", c.literal(top))
    return None


def _biased(cx: Context, a: Term, top: int) -> Code:
    """The value plus 2^(lane-1) modulo 2^lane: keeps the signed order among unsigned numbers."""
    exact = cx.exact(a)
    if exact.low == exact.high:
        return c.literal(exact.low ^ top)
    return c.infix(exact, "^", c.literal(top), 0, 2 * top - 1)


def _ite(cx: Context, t: Term) -> Code:
    """A constant goes with the other side's sign, so that the range stays narrow."""
    sides = [cx.raw(a) for a in t.args[1:]]
    if min(s.low for s in sides) < 0:
        sides = [_signed_literal(a) if _uniform(a) else s for a, s in zip(t.args[1:], sides)]
    return c.ternary(cx.condition(t.args[0]), *sides)


def _signed_literal(constant: Term) -> Code:
    value = value_of(constant) & constant.mask
    return c.literal(value - (value >> constant.lane - 1 << constant.lane))


def _ite_exact(cx: Context, t: Term) -> Code:
    return c.ternary(cx.condition(t.args[0]), cx.exact(t.args[1]), cx.exact(t.args[2]))


def _flat_ite(cx: Context, t: Term) -> Code:
    return c.ternary(cx.condition(t.args[0]), cx.flat(t.args[1]), cx.flat(t.args[2]))


def _zext(cx: Context, t: Term) -> Code:
    if t.args[0].lane == 1:
        return c.ternary(cx.condition(t.args[0]), c.literal(1), c.literal(0))
    return cx.exact(t.args[0])


def _sext(cx: Context, t: Term) -> Code:
    if t.args[0].lane == 1:
        return c.ternary(cx.condition(t.args[0]), c.literal(-1), c.literal(0))
    return cx.signed(t.args[0])


def _sext_exact(cx: Context, t: Term) -> Code:
    (inner,) = t.args
    if inner.lane == 1:
        return c.ternary(cx.condition(inner), c.literal(t.mask), c.literal(0))
    if cx.is_signed(inner):
        return cx.raw(inner)
    a = cx.atom(inner)
    above = c.added(a, c.literal(t.mask - inner.mask))
    text = c.ternary(c.truth(a, "<", c.literal(1 << inner.lane - 1)), a, above).text
    return Code(text, c.TERNARY, 0, t.mask)


def _extract(cx: Context, t: Term) -> Code:
    low = t.params[0]
    assert isinstance(low, int)
    code = c.shifted_right(cx.raw(t.args[0]), low)
    return c.masked(code, 1) if t.lane == 1 else code


def _concat(cx: Context, t: Term) -> Code:
    high, low = (cx.exact(a) for a in t.args)
    return c.infix(c.shifted_left(high, t.args[1].lane), "|", low, 0, t.mask)


def _clz(cx: Context, t: Term) -> Code:
    return c.subtracted(c.literal(t.lane), c.method(cx.exact(t.args[0]), "bit_length", "", 0, t.lane))


def _ctz(cx: Context, t: Term) -> Code:
    a = cx.atom(t.args[0])
    low_bit = Code(f"({a.text} & -{a.text}).bit_length() - 1", c.SUM, 0, t.lane - 1)
    return c.ternary(a, low_bit, c.literal(t.lane))


def _popcnt(cx: Context, t: Term) -> Code:
    return c.method(cx.exact(t.args[0]), "bit_count", "", 0, t.lane)


def _bitrev(cx: Context, t: Term) -> Code:
    a = cx.exact(t.args[0])
    if t.lane == 8:
        return Code(f"BITREV[{a.text}]", c.CALL, 0, 255)
    flipped = f"({a.text}).to_bytes({t.lane // 8}, 'big').translate(BITREV)"
    return Code(f"from_bytes({flipped}, 'little')", c.CALL, 0, t.mask)


def _bswap(cx: Context, t: Term) -> Code:
    a = cx.exact(t.args[0])
    return Code(f"from_bytes(({a.text}).to_bytes({t.lane // 8}, 'big'), 'little')", c.CALL, 0, t.mask)


def _float(name: str) -> Writer:
    """A call of the helper for this format; the format is the operand's width."""

    def write(cx: Context, t: Term) -> Code:
        operands = [cx.exact(a) for a in t.args]
        return c.call(f"{name}{t.args[0].lane}", *operands, high=t.mask)

    return write


def _convert(name: str) -> Writer:
    """A call of the helper for a pair of widths."""

    def write(cx: Context, t: Term) -> Code:
        return c.call(f"{name}{t.args[0].lane}_{t.lane}", cx.exact(t.args[0]), high=t.mask)

    return write


def _isnan(cx: Context, t: Term) -> Code:
    width = t.args[0].lane
    infinity = _INFINITY[width]
    bits = c.infix(cx.exact(t.args[0]), "&", c.literal((1 << width - 1) - 1), 0, t.mask)
    return c.truth(bits, ">", c.literal(infinity))


_INFINITY: Final = {16: 0x7C00, 32: 0x7F80_0000, 64: 0x7FF << 52, 128: 0x7FFF << 112}


# Whole vectors as one integer. H is the top bit of each lane.


def _tops(t: Term) -> int:
    return sum(1 << t.lane * i + t.lane - 1 for i in range(t.lanes))


def _flat_bits(operator: str) -> Writer:
    def write(cx: Context, t: Term) -> Code:
        return c.infix(cx.flat(t.args[0]), operator, cx.flat(t.args[1]), 0, (1 << t.bits) - 1)

    return write


def _flat_not(cx: Context, t: Term) -> Code:
    whole = (1 << t.bits) - 1
    return c.infix(cx.flat(t.args[0]), "^", c.literal(whole), 0, whole)


# The z3 side.


def _fp(operation: Callable[..., Any]) -> Smt:
    """A float operation on bit patterns with one result of the same format."""

    def build(z: Any, t: Term, *operands: Any) -> Any:
        return _pattern(z, operation(z, *(_number(z, o) for o in operands)), t.lane)

    return build


def _sort(z: Any, width: int) -> Any:
    return {16: z.FPSort(5, 11), 32: z.FPSort(8, 24), 64: z.FPSort(11, 53), 128: z.FPSort(15, 113)}[width]


def _number(z: Any, pattern: Any) -> Any:
    return z.fpBVToFP(pattern, _sort(z, pattern.size()))


def _pattern(z: Any, number: Any, width: int) -> Any:
    quiet = _INFINITY[width] | (_INFINITY[width] & -_INFINITY[width]) >> 1
    return z.If(z.fpIsNaN(number), z.BitVecVal(quiet, width), z.fpToIEEEBV(number))


def _fp_compare(operation: Callable[..., Any]) -> Smt:
    return lambda z, t, a, b: operation(z, _number(z, a), _number(z, b))


def _smt_minimum(smaller: bool) -> Smt:
    """Written with comparisons: z3's own fp.min leaves the sign of zero open."""

    def build(z: Any, t: Term, a: Any, b: Any) -> Any:
        x, y = _number(z, a), _number(z, b)
        less = z.fpLT(x, y) if smaller else z.fpGT(x, y)
        equal = a | b if smaller else a & b
        ordered = z.If(z.fpEQ(x, y), equal, z.If(less, a, b))
        nan = z.Or(z.fpIsNaN(x), z.fpIsNaN(y))
        return z.If(nan, _pattern(z, z.fpNaN(_sort(z, t.lane)), t.lane), ordered)

    return build


def _smt_to_integer(signed: bool) -> Smt:
    """Saturating: z3 leaves conversions out of range open, so the range is cut first, in a format that holds it."""

    def build(z: Any, t: Term, a: Any) -> Any:
        x, width = _number(z, a), t.lane
        wide = z.FPSort(15, 2 * 128 + 2)
        exact = z.fpFPToFP(z.RNE(), x, wide)
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        convert = z.fpToSBV if signed else z.fpToUBV
        inside = convert(z.RTZ(), exact, z.BitVecSort(width))
        below = z.fpLEQ(exact, z.fpRealToFP(z.RNE(), z.RealVal(low), wide))
        above = z.fpGEQ(exact, z.fpRealToFP(z.RNE(), z.RealVal(high), wide))
        bounded = z.If(below, z.BitVecVal(low, width), z.If(above, z.BitVecVal(high, width), inside))
        return z.If(z.fpIsNaN(x), z.BitVecVal(0, width), bounded)

    return build


def _smt_round(mode: str) -> Smt:
    return _fp(lambda z, a: z.fpRoundToIntegral(getattr(z, mode)(), a))


def _smt_clz(z: Any, t: Term, a: Any) -> Any:
    result = z.BitVecVal(t.lane, t.lane)
    for i in range(t.lane):
        result = z.If(z.Extract(i, i, a) == 1, z.BitVecVal(t.lane - 1 - i, t.lane), result)
    return result


def _smt_ctz(z: Any, t: Term, a: Any) -> Any:
    result = z.BitVecVal(t.lane, t.lane)
    for i in reversed(range(t.lane)):
        result = z.If(z.Extract(i, i, a) == 1, z.BitVecVal(i, t.lane), result)
    return result


def _smt_popcnt(z: Any, t: Term, a: Any) -> Any:
    return z.Sum([z.ZeroExt(t.lane - 1, z.Extract(i, i, a)) for i in range(t.lane)])


def _smt_reverse(step: int) -> Smt:
    """Pieces of `step` bits in reverse order."""

    def build(z: Any, t: Term, a: Any) -> Any:
        pieces = [z.Extract(i + step - 1, i, a) for i in range(0, t.lane, step)]
        return z.Concat(*pieces) if len(pieces) > 1 else pieces[0]

    return build


def _smt_extract(z: Any, t: Term, a: Any) -> Any:
    low = t.params[0]
    assert isinstance(low, int)
    return z.Extract(low + t.lane - 1, low, a)


def _whole(cx: Context, t: Term) -> Code:
    """Rows that the emitter writes itself."""
    raise NotImplementedError(t.prim)


def _rows() -> list[Prim]:
    return [
        Prim("var", "{p0}", _whole, _whole, lanewise=False),
        Prim("const", "{p0}", _whole, _whole, lanewise=False),
        Prim("shape", "reshape({0})", _whole, _whole, lanewise=False),
        Prim("splat", "splat({0})", _whole, _whole, lanewise=False),
        Prim("permute", "permute({args}; {params})", _whole, _whole, lanewise=False),
        Prim("gather", "lookup({0}, {1})", _whole, _whole, lanewise=False),
        Prim("and", "{0} & {1}", _and, lambda z, t, a, b: a & b, flat=_flat_bits("&")),
        Prim("or", "{0} | {1}", _or, lambda z, t, a, b: a | b, flat=_flat_bits("|")),
        Prim("xor", "{0} ^ {1}", _xor, lambda z, t, a, b: a ^ b, flat=_flat_bits("^")),
        Prim("not", "~{0}", _not, lambda z, t, a: ~a, flat=_flat_not),
        Prim("add", "{0} + {1}", _args("raw", c.added), lambda z, t, a, b: a + b),
        Prim("sub", "{0} - {1}", _args("raw", c.subtracted), lambda z, t, a, b: a - b),
        Prim("neg", "-{0}", _args("raw", lambda a: Code(f"-{c.wrap(a, c.UNARY)}", c.UNARY, -a.high, -a.low)),
             lambda z, t, a: -a),
        Prim("mul", "{0} * {1}", _args("raw", c.multiplied), lambda z, t, a, b: a * b),
        Prim("udiv", "{0} /u {1}", _args("exact", _udiv), lambda z, t, a, b: z.UDiv(a, b)),
        Prim("urem", "{0} %u {1}", _args("exact", _urem), lambda z, t, a, b: z.URem(a, b)),
        Prim("sdiv", "{0} /s {1}", _sdiv, lambda z, t, a, b: a / b),
        Prim("srem", "{0} %s {1}", _srem, lambda z, t, a, b: z.SRem(a, b)),
        Prim("shl", "{0} << {1}", _shl, lambda z, t, a, n: a << n),
        Prim("lshr", "{0} >>u {1}", _lshr, lambda z, t, a, n: z.LShR(a, n)),
        Prim("ashr", "{0} >>s {1}", _ashr, lambda z, t, a, n: a >> n, exact=_ashr_exact),
        Prim("rotl", "rotl({0}, {1})", _rotate(True), lambda z, t, a, n: z.RotateLeft(a, n)),
        Prim("rotr", "rotr({0}, {1})", _rotate(False), lambda z, t, a, n: z.RotateRight(a, n)),
        Prim("eq", "{0} == {1}", _compare("=="), lambda z, t, a, b: a == b, predicate=True),
        Prim("ult", "{0} <u {1}", _compare("<"), lambda z, t, a, b: z.ULT(a, b), predicate=True),
        Prim("ule", "{0} <=u {1}", _compare("<="), lambda z, t, a, b: z.ULE(a, b), predicate=True),
        Prim("slt", "{0} <s {1}", _signed_compare("<"), lambda z, t, a, b: a < b, predicate=True),
        Prim("sle", "{0} <=s {1}", _signed_compare("<="), lambda z, t, a, b: a <= b, predicate=True),
        Prim("ite", "{0} ? {1} : {2}", _ite, lambda z, t, p, a, b: z.If(p == 1, a, b), exact=_ite_exact,
             flat=_flat_ite),
        Prim("zext", "zext({0})", _zext, lambda z, t, a: z.ZeroExt(t.lane - a.size(), a)),
        Prim("sext", "sext({0})", _sext, lambda z, t, a: z.SignExt(t.lane - a.size(), a), exact=_sext_exact),
        Prim("extract", "bits({0}, from {p0})", _extract, _smt_extract),
        Prim("concat", "{0} :: {1}", _concat, lambda z, t, high, low: z.Concat(high, low)),
        Prim("clz", "clz({0})", _clz, _smt_clz),
        Prim("ctz", "ctz({0})", _ctz, _smt_ctz),
        Prim("popcnt", "popcnt({0})", _popcnt, _smt_popcnt),
        Prim("bitrev", "bitrev({0})", _bitrev, _smt_reverse(1)),
        Prim("bswap", "bswap({0})", _bswap, _smt_reverse(8)),
        Prim("fadd", "{0} +f {1}", _float("fadd"), _fp(lambda z, a, b: z.fpAdd(z.RNE(), a, b))),
        Prim("fsub", "{0} -f {1}", _float("fsub"), _fp(lambda z, a, b: z.fpSub(z.RNE(), a, b))),
        Prim("fmul", "{0} *f {1}", _float("fmul"), _fp(lambda z, a, b: z.fpMul(z.RNE(), a, b))),
        Prim("fdiv", "{0} /f {1}", _float("fdiv"), _fp(lambda z, a, b: z.fpDiv(z.RNE(), a, b))),
        Prim("fsqrt", "fsqrt({0})", _float("fsqrt"), _fp(lambda z, a: z.fpSqrt(z.RNE(), a))),
        Prim("fma", "fma({0}, {1}, {2})", _float("fma"), _fp(lambda z, a, b, d: z.fpFMA(z.RNE(), a, b, d))),
        Prim("fmin", "fmin({0}, {1})", _float("fmin"), _smt_minimum(True)),
        Prim("fmax", "fmax({0}, {1})", _float("fmax"), _smt_minimum(False)),
        Prim("fceil", "fceil({0})", _float("fceil"), _smt_round("RTP")),
        Prim("ffloor", "ffloor({0})", _float("ffloor"), _smt_round("RTN")),
        Prim("ftrunc", "ftrunc({0})", _float("ftrunc"), _smt_round("RTZ")),
        Prim("fnearest", "fnearest({0})", _float("fnearest"), _smt_round("RNE")),
        Prim("feq", "{0} ==f {1}", _float("feq"), _fp_compare(lambda z, a, b: z.fpEQ(a, b)), predicate=True),
        Prim("flt", "{0} <f {1}", _float("flt"), _fp_compare(lambda z, a, b: z.fpLT(a, b)), predicate=True),
        Prim("fle", "{0} <=f {1}", _float("fle"), _fp_compare(lambda z, a, b: z.fpLEQ(a, b)), predicate=True),
        Prim("fisnan", "isnan({0})", _isnan, lambda z, t, a: z.fpIsNaN(_number(z, a)), predicate=True),
        Prim("fconvert", "to_float({0})", _convert("fconvert"),
             lambda z, t, a: _pattern(z, z.fpFPToFP(z.RNE(), _number(z, a), _sort(z, t.lane)), t.lane)),
        Prim("from_uint", "float_of_unsigned({0})", _convert("from_uint"),
             lambda z, t, a: _pattern(z, z.fpToFPUnsigned(z.RNE(), a, _sort(z, t.lane)), t.lane)),
        Prim("from_sint", "float_of_signed({0})", _convert("from_sint"),
             lambda z, t, a: _pattern(z, z.fpSignedToFP(z.RNE(), a, _sort(z, t.lane)), t.lane)),
        Prim("to_uint", "saturate_unsigned({0})", _convert("to_uint"), _smt_to_integer(False)),
        Prim("to_sint", "saturate_signed({0})", _convert("to_sint"), _smt_to_integer(True)),
    ]  # fmt: skip


PRIMS: Final[dict[str, Prim]] = {row.name: row for row in _rows()}
