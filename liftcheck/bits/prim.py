"""The closed table of primitives: one row each, with its Python text, its z3 term and its readable text.

Legend. `python(cx, t)` writes one lane as a raw `Code` (any integer congruent to the value); `exact` does the same
where the value itself is as cheap. `flat` writes all lanes of a vector at once where plain integer arithmetic can.
`smt(z, t, *operands)` builds one lane in z3, given the module (so that this file does not import it); truth values are
one-bit vectors. `show` is a format string over the operands. Rows that are not lane-wise (`var`, `const`, `shape`,
`splat`, `permute`, `gather`) are known to the emitter and to `smt` by name.

Division by zero is outside the domain of the four divisions: their users state the trap. Shifts are total.
Float rows work on bit patterns, round to nearest even, and give the positive quiet NaN without payload for every NaN.
Source of the float rows: IEEE 754-2019 (5.4, 5.7, 9.6 for minimum and maximum).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from liftcheck.bits import code as c
from liftcheck.bits import prim_smt as smt
from liftcheck.bits.code import Code, Context
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term, const, repeated, term, value_of

Writer = Callable[[Context, Term], Code]


@dataclass(frozen=True, slots=True)
class Prim:
    """One primitive. `predicate`: `smt` gives a z3 truth value instead of a bit-vector."""

    name: str
    show: str
    python: Writer
    smt: smt.Smt
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
    return Code(
        f"{a.text} // {b.text} if ({a.text} ^ {b.text}) >= 0 else -(-{a.text} // {b.text})", c.TERNARY, -top, top
    )


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
    return term("and", n.lane, n.lanes, args=(n, const(n.lane - 1, n.lane, n.lanes)))


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
    bits = c.infix(cx.exact(t.args[0]), "&", c.literal((1 << width - 1) - 1), 0, t.mask)
    return c.truth(bits, ">", c.literal(FORMATS[width].infinity))


# Whole vectors as one integer.


def _flat_bits(operator: str) -> Writer:
    def write(cx: Context, t: Term) -> Code:
        return c.infix(cx.flat(t.args[0]), operator, cx.flat(t.args[1]), 0, (1 << t.bits) - 1)

    return write


def _flat_not(cx: Context, t: Term) -> Code:
    whole = (1 << t.bits) - 1
    return c.infix(cx.flat(t.args[0]), "^", c.literal(whole), 0, whole)


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
        Prim(
            "neg",
            "-{0}",
            _args("raw", lambda a: Code(f"-{c.wrap(a, c.UNARY)}", c.UNARY, -a.high, -a.low)),
            lambda z, t, a: -a,
        ),
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
        Prim(
            "ite", "{0} ? {1} : {2}", _ite, lambda z, t, p, a, b: z.If(p == 1, a, b), exact=_ite_exact, flat=_flat_ite
        ),
        Prim("zext", "zext({0})", _zext, lambda z, t, a: z.ZeroExt(t.lane - a.size(), a)),
        Prim("sext", "sext({0})", _sext, lambda z, t, a: z.SignExt(t.lane - a.size(), a), exact=_sext_exact),
        Prim("extract", "bits({0}, from {p0})", _extract, smt.extract),
        Prim("concat", "{0} :: {1}", _concat, lambda z, t, high, low: z.Concat(high, low)),
        Prim("clz", "clz({0})", _clz, smt.clz),
        Prim("ctz", "ctz({0})", _ctz, smt.ctz),
        Prim("popcnt", "popcnt({0})", _popcnt, smt.popcnt),
        Prim("bitrev", "bitrev({0})", _bitrev, smt.reverse(1)),
        Prim("bswap", "bswap({0})", _bswap, smt.reverse(8)),
        Prim("fadd", "{0} +f {1}", _float("fadd"), smt.operation(lambda z, a, b: z.fpAdd(z.RNE(), a, b))),
        Prim("fsub", "{0} -f {1}", _float("fsub"), smt.operation(lambda z, a, b: z.fpSub(z.RNE(), a, b))),
        Prim("fmul", "{0} *f {1}", _float("fmul"), smt.operation(lambda z, a, b: z.fpMul(z.RNE(), a, b))),
        Prim("fdiv", "{0} /f {1}", _float("fdiv"), smt.operation(lambda z, a, b: z.fpDiv(z.RNE(), a, b))),
        Prim("fsqrt", "fsqrt({0})", _float("fsqrt"), smt.operation(lambda z, a: z.fpSqrt(z.RNE(), a))),
        Prim("fma", "fma({0}, {1}, {2})", _float("fma"), smt.operation(lambda z, a, b, d: z.fpFMA(z.RNE(), a, b, d))),
        Prim("fmin", "fmin({0}, {1})", _float("fmin"), smt.minimum(True)),
        Prim("fmax", "fmax({0}, {1})", _float("fmax"), smt.minimum(False)),
        Prim("fceil", "fceil({0})", _float("fceil"), smt.rounding("RTP")),
        Prim("ffloor", "ffloor({0})", _float("ffloor"), smt.rounding("RTN")),
        Prim("ftrunc", "ftrunc({0})", _float("ftrunc"), smt.rounding("RTZ")),
        Prim("fnearest", "fnearest({0})", _float("fnearest"), smt.rounding("RNE")),
        Prim("feq", "{0} ==f {1}", _float("feq"), smt.comparison(lambda z, a, b: z.fpEQ(a, b)), predicate=True),
        Prim("flt", "{0} <f {1}", _float("flt"), smt.comparison(lambda z, a, b: z.fpLT(a, b)), predicate=True),
        Prim("fle", "{0} <=f {1}", _float("fle"), smt.comparison(lambda z, a, b: z.fpLEQ(a, b)), predicate=True),
        Prim("fisnan", "isnan({0})", _isnan, lambda z, t, a: z.fpIsNaN(smt.number(z, a)), predicate=True),
        Prim(
            "fconvert",
            "to_float({0})",
            _convert("fconvert"),
            lambda z, t, a: smt.pattern(z, z.fpFPToFP(z.RNE(), smt.number(z, a), smt.sort(z, t.lane)), t.lane),
        ),
        Prim(
            "from_uint",
            "float_of_unsigned({0})",
            _convert("from_uint"),
            lambda z, t, a: smt.pattern(z, z.fpToFPUnsigned(z.RNE(), a, smt.sort(z, t.lane)), t.lane),
        ),
        Prim(
            "from_sint",
            "float_of_signed({0})",
            _convert("from_sint"),
            lambda z, t, a: smt.pattern(z, z.fpSignedToFP(z.RNE(), a, smt.sort(z, t.lane)), t.lane),
        ),
        Prim("to_uint", "saturate_unsigned({0})", _convert("to_uint"), smt.to_integer(False)),
        Prim("to_sint", "saturate_signed({0})", _convert("to_sint"), smt.to_integer(True)),
    ]


PRIMS: Final[dict[str, Prim]] = {row.name: row for row in _rows()}
