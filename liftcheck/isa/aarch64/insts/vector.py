"""A64: Advanced SIMD.

The one idea: an instruction on lanes is a function of terms with lanes, one for all arrangements. Writing
64 bits of a vector register clears the rest. What is said of floating point: see `floats`. Instructions between widths
and shifts are in `vector_widths`, copies, permutations and immediates in `vector_moves`.
Source: Arm ARM (DDI 0487), C4.1 'Data Processing -- Scalar Floating-Point and Advanced SIMD', C7.2; AdvSIMDExpandImm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.aarch64.insts import floats as f
from liftcheck.isa.aarch64.insts.common import ARRANGEMENTS, laned, plain
from liftcheck.isa.aarch64.insts.integer import leading_signs
from liftcheck.mach.rows.floats import magnitude, negated, to_integral
from liftcheck.mach.rows.integers import halved, saturated
from liftcheck.mach.rows.row import Row

SECTION: Final = f.SECTION
Meaning = Callable[..., Term]
INTEGER: Final = ("8b", "16b", "4h", "8h", "2s", "4s", "2d")
NARROW: Final = INTEGER[:-1]
FLOATS: Final = ("2s", "4s", "2d")
BYTES: Final = ("8b", "16b")


def size_of(arrangement: str) -> str:
    """The field size."""
    return {8: "00", 16: "01", 32: "10", 64: "11"}[ARRANGEMENTS[arrangement][0]]


def whole(arrangement: str) -> str:
    """The bit Q: whether the whole register is written."""
    return "0" if arrangement in ("8b", "4h", "2s", "1d") else "1"


def letter_of(arrangement: str) -> str:
    """The letter of operands: the whole register or its half."""
    return "v" if whole(arrangement) == "1" else "u"


def mask(truth: Term, lane: int) -> Term:
    """All ones where it holds."""
    return b.sext(truth, lane)


def compare(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """All ones in lanes where it holds."""
    return lambda a, c: mask(function(a, c), a.lane)


def _swapped(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    return lambda a, c: function(c, a)


def by_register(right: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """sshl, ushl: to the left by the low byte, to the right where that is negative."""

    def meaning(a: Term, n: Term) -> Term:
        amount = b.sext(b.trunc(n, 8), max(a.lane, 8))
        zero = const(0, a.lane, a.lanes)
        return b.ite(b.slt(amount, zero), right(a, b.neg(amount)), b.shl(a, amount))

    return meaning


def doubled_high(rounding: bool) -> Callable[[Term, Term], Term]:
    """sqdmulh, sqrdmulh: the upper half of twice the product, saturated."""

    def meaning(a: Term, c: Term) -> Term:
        lane, wide = a.lane, 2 * a.lane + 2
        product = b.mul(b.sext(a, wide), b.sext(c, wide))
        twice = b.add(product, product)
        if rounding:
            twice = b.add(twice, const(1 << lane - 1, wide, a.lanes))
        return b.clamp_signed(b.extract(twice, lane, lane + 2), lane)

    return meaning


def distance(less: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """The absolute difference."""
    return lambda a, c: b.ite(less(a, c), b.sub(c, a), b.sub(a, c))


def pairs(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """Of neighbours, first those of the first operand."""

    def meaning(a: Term, c: Term) -> Term:
        even = b.permute([a, c], range(0, 2 * a.lanes, 2))
        return function(even, b.permute([a, c], range(1, 2 * a.lanes, 2)))

    return meaning


_THREE: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term], Sequence[str]], ...]] = (
    ("add", "0", "10000", b.add, INTEGER), ("sub", "1", "10000", b.sub, INTEGER),
    ("mul", "0", "10011", b.mul, NARROW),
    ("cmeq", "1", "10001", compare(b.eq), INTEGER), ("cmgt", "0", "00110", compare(_swapped(b.slt)), INTEGER),
    ("cmtst", "0", "10001", compare(lambda a, c: b.nonzero(b.band(a, c))), INTEGER),
    ("cmge", "0", "00111", compare(_swapped(b.sle)), INTEGER),
    ("cmhi", "1", "00110", compare(_swapped(b.ult)), INTEGER),
    ("cmhs", "1", "00111", compare(_swapped(b.ule)), INTEGER),
    ("smax", "0", "01100", b.smax, NARROW), ("smin", "0", "01101", b.smin, NARROW),
    ("umax", "1", "01100", b.umax, NARROW), ("umin", "1", "01101", b.umin, NARROW),
    ("sqadd", "0", "00001", saturated(b.add, True), INTEGER), ("uqadd", "1", "00001", saturated(b.add, False), INTEGER),
    ("sqsub", "0", "00101", saturated(b.sub, True), INTEGER), ("uqsub", "1", "00101", saturated(b.sub, False), INTEGER),
    ("shadd", "0", "00000", halved(b.add, True, False), NARROW),
    ("uhadd", "1", "00000", halved(b.add, False, False), NARROW),
    ("shsub", "0", "00100", halved(b.sub, True, False), NARROW),
    ("uhsub", "1", "00100", halved(b.sub, False, False), NARROW),
    ("srhadd", "0", "00010", halved(b.add, True, True), NARROW),
    ("urhadd", "1", "00010", halved(b.add, False, True), NARROW),
    ("sshl", "0", "01000", by_register(b.ashr), INTEGER), ("ushl", "1", "01000", by_register(b.lshr), INTEGER),
    ("addp", "0", "10111", pairs(b.add), INTEGER),
    ("smaxp", "0", "10100", pairs(b.smax), NARROW), ("sminp", "0", "10101", pairs(b.smin), NARROW),
    ("umaxp", "1", "10100", pairs(b.umax), NARROW), ("uminp", "1", "10101", pairs(b.umin), NARROW),
    ("sqdmulh", "0", "10110", doubled_high(False), ("4h", "8h", "2s", "4s")),
    ("sqrdmulh", "1", "10110", doubled_high(True), ("4h", "8h", "2s", "4s")),
    ("sabd", "0", "01110", distance(b.slt), NARROW), ("uabd", "1", "01110", distance(b.ult), NARROW),
)  # fmt: skip
_MODIFYING: Final[tuple[tuple[str, str, str, Callable[[Term, Term, Term], Term]], ...]] = (
    ("mla", "0", "10010", lambda d, a, c: b.add(d, b.mul(a, c))),
    ("mls", "1", "10010", lambda d, a, c: b.sub(d, b.mul(a, c))),
)  # fmt: skip
_LOGICAL: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term]], ...]] = (
    ("and", "0", "00", b.band), ("bic", "0", "01", lambda a, c: b.band(a, b.bnot(c))), ("orr", "0", "10", b.bor),
    ("orn", "0", "11", lambda a, c: b.bor(a, b.bnot(c))), ("eor", "1", "00", b.bxor),
)  # fmt: skip
_SELECTING: Final[tuple[tuple[str, str, Callable[[Term, Term, Term], Term]], ...]] = (
    ("bsl", "01", lambda d, a, c: b.bor(b.band(d, a), b.band(b.bnot(d), c))),
    ("bit", "10", lambda d, a, c: b.bor(b.band(c, a), b.band(b.bnot(c), d))),
    ("bif", "11", lambda d, a, c: b.bor(b.band(b.bnot(c), a), b.band(c, d))),
)  # fmt: skip


def _float_compare(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    return lambda a, c: mask(function(a, c), a.lane)


_ON_FLOATS: Final[tuple[tuple[str, str, str, str, Callable[[Term, Term], Term]], ...]] = (
    ("fadd", "0", "0", "11010", f.two(b.fadd)), ("fsub", "0", "1", "11010", f.two(b.fsub)),
    ("fmul", "1", "0", "11011", f.two(b.fmul)), ("fdiv", "1", "0", "11111", f.two(b.fdiv)),
    ("fmax", "0", "0", "11110", f.two(b.fmax)), ("fmin", "0", "1", "11110", f.two(b.fmin)),
    ("fmaxnm", "0", "0", "11000", f.number_wins(b.fmax, -1)), ("fminnm", "0", "1", "11000", f.number_wins(b.fmin, 1)),
    ("fcmeq", "0", "0", "11100", _float_compare(b.feq)), ("fcmge", "1", "0", "11100", _float_compare(_swapped(b.fle))),
    ("fcmgt", "1", "1", "11100", _float_compare(_swapped(b.flt))), ("faddp", "1", "0", "11010", pairs(f.two(b.fadd))),
)  # fmt: skip
_FUSED: Final[tuple[tuple[str, str, Callable[[Term, Term, Term], Term]], ...]] = (
    ("fmla", "0", lambda d, n, m: f.fused(d, n, m)), ("fmls", "1", lambda d, n, m: f.fused(d, negated(n), m)),
)  # fmt: skip


def _three_same() -> Iterator[Row]:
    for name, u, five, function, arrangements in _THREE:
        for a in arrangements:
            yield _three(name, a, u, f"{size_of(a)} 1 rm {five} 1", laned(ARRANGEMENTS[a][0], function))
    for name, u, five, modifying in _MODIFYING:
        for a in NARROW:
            yield _three(name, a, u, f"{size_of(a)} 1 rm {five} 1", laned(ARRANGEMENTS[a][0], modifying), "+")
    for a in BYTES:
        r = letter_of(a)
        yield plain(f"mov {r}d.{a}, {r}nm.{a}", f"0 {whole(a)} 0 01110 10 1 rm 00011 1 rn rd", lambda x: x, SECTION)
        for name, u, two, logical in _LOGICAL:
            yield _three(name, a, u, f"{two} 1 rm 00011 1", logical)
        for name, two, selecting in _SELECTING:
            yield _three(name, a, "1", f"{two} 1 rm 00011 1", selecting, "+")
    for a in FLOATS:
        lane, sz = ARRANGEMENTS[a][0], str(ARRANGEMENTS[a][0] >> 6)
        for name, u, top, five, function in _ON_FLOATS:
            yield _three(name, a, u, f"{top}{sz} 1 rm {five} 1", laned(lane, function))
        for name, top, fused in _FUSED:
            yield _three(name, a, "0", f"{top}{sz} 1 rm 11001 1", laned(lane, fused), "+")
    for a in ("2s", "4s"):
        for name, u, bits, signs, needs in (("sdot", "0", "10010 1", (True, True), "dotprod"),
                                            ("udot", "1", "10010 1", (False, False), "dotprod"),
                                            ("usdot", "0", "10011 1", (False, True), "i8mm")):  # fmt: skip
            r, of = letter_of(a), {"2s": "8b", "4s": "16b"}[a]
            yield plain(f"{name} +{r}d.{a}, {r}n.{of}, {r}m.{of}", f"0 {whole(a)} {u} 01110 10 0 rm {bits} rn rd",
                        _dot(*signs), SECTION, needs)  # fmt: skip


def _three(name: str, a: str, u: str, middle: str, meaning: Meaning, mark: str = "") -> Row:
    r = letter_of(a)
    template = f"{name} {mark}{r}d.{a}, {r}n.{a}, {r}m.{a}"
    return plain(template, f"0 {whole(a)} {u} 01110 {middle} rn rd", meaning, SECTION)


def _dot(first: bool, second: bool) -> Meaning:
    def meaning(d: Term, n: Term, m: Term) -> Term:
        count = d.bits // 32
        total = b.shape(d, 32, count)
        for at in range(4):
            x, y = (b.extract(b.shape(v, 32, count), 8 * at, 8) for v in (n, m))
            x, y = (b.sext if first else b.zext)(x, 32), (b.sext if second else b.zext)(y, 32)
            total = b.add(total, b.mul(x, y))
        return b.scalar(total)

    return meaning


# -- two registers


def in_pieces(lane: int) -> Callable[[Term], Term]:
    """The lanes of pieces of `lane` bits in reverse order."""

    def meaning(a: Term) -> Term:
        count = lane // a.lane
        return b.permute([a], [base + count - 1 - k for base in range(0, a.lanes, count) for k in range(count)])

    return meaning


def _with_zero(function: Callable[[Term, Term], Term]) -> Callable[[Term], Term]:
    return lambda a: mask(function(a, const(0, a.lane, a.lanes)), a.lane)


_MISC: Final[tuple[tuple[str, str, str, Callable[[Term], Term], Sequence[str], str], ...]] = (
    ("rev64", "0", "00000", in_pieces(64), NARROW, ""), ("rev32", "1", "00000", in_pieces(32), NARROW[:4], ""),
    ("rev16", "0", "00001", in_pieces(16), BYTES, ""), ("cls", "0", "00100", leading_signs, NARROW, ""),
    ("clz", "1", "00100", b.clz, NARROW, ""), ("cnt", "0", "00101", b.popcnt, BYTES, ""),
    ("cmgt", "0", "01000", _with_zero(_swapped(b.slt)), INTEGER, ", #0"),
    ("cmge", "1", "01000", _with_zero(_swapped(b.sle)), INTEGER, ", #0"),
    ("cmeq", "0", "01001", _with_zero(b.eq), INTEGER, ", #0"),
    ("cmle", "1", "01001", _with_zero(b.sle), INTEGER, ", #0"),
    ("cmlt", "0", "01010", _with_zero(b.slt), INTEGER, ", #0"),
    ("abs", "0", "01011", lambda a: b.ite(b.slt(a, const(0, a.lane, a.lanes)), b.neg(a), a), INTEGER, ""),
    ("neg", "1", "01011", b.neg, INTEGER, ""),
)  # fmt: skip


def _to_integer(signed: bool, mode: str) -> Callable[[Term], Term]:
    return lambda a: f.to_integer(mode, a.lane, signed)(a)


_FLOAT_MISC: Final[tuple[tuple[str, str, str, str, Callable[[Term], Term], str], ...]] = (
    ("fabs", "0", "1", "01111", magnitude, ""), ("fneg", "1", "1", "01111", negated, ""),
    ("fsqrt", "1", "1", "11111", f.one(b.fsqrt), ""),
    ("frintn", "0", "0", "11000", f.one(lambda a: b.fround(a, "nearest")), ""),
    ("frintm", "0", "0", "11001", f.one(lambda a: b.fround(a, "floor")), ""),
    ("frintp", "0", "1", "11000", f.one(lambda a: b.fround(a, "ceil")), ""),
    ("frintz", "0", "1", "11001", f.one(lambda a: b.fround(a, "trunc")), ""),
    ("frinta", "1", "0", "11000", f.one(lambda a: to_integral(a, "away")), ""),
    ("frintx", "1", "0", "11001", f.one(lambda a: b.fround(a, "nearest")), ""),
    ("frinti", "1", "1", "11001", f.one(lambda a: b.fround(a, "nearest")), ""),
    ("fcvtns", "0", "0", "11010", _to_integer(True, "nearest"), ""),
    ("fcvtnu", "1", "0", "11010", _to_integer(False, "nearest"), ""),
    ("fcvtms", "0", "0", "11011", _to_integer(True, "floor"), ""),
    ("fcvtmu", "1", "0", "11011", _to_integer(False, "floor"), ""),
    ("fcvtps", "0", "1", "11010", _to_integer(True, "ceil"), ""),
    ("fcvtpu", "1", "1", "11010", _to_integer(False, "ceil"), ""),
    ("fcvtzs", "0", "1", "11011", _to_integer(True, "trunc"), ""),
    ("fcvtzu", "1", "1", "11011", _to_integer(False, "trunc"), ""),
    ("scvtf", "0", "0", "11101", lambda a: b.from_sint(a, a.lane), ""),
    ("ucvtf", "1", "0", "11101", lambda a: b.from_uint(a, a.lane), ""),
    ("fcmgt", "0", "1", "01100", _with_zero(_swapped(b.flt)), ", #0.0"),
    ("fcmge", "1", "1", "01100", _with_zero(_swapped(b.fle)), ", #0.0"),
    ("fcmeq", "0", "1", "01101", _with_zero(b.feq), ", #0.0"),
    ("fcmle", "1", "1", "01101", _with_zero(b.fle), ", #0.0"),
    ("fcmlt", "0", "1", "01110", _with_zero(b.flt), ", #0.0"),
)  # fmt: skip


def _unary(name: str, a: str, u: str, middle: str, function: Callable[[Term], Term], tail: str) -> Row:
    r = letter_of(a)
    return plain(f"{name} {r}d.{a}, {r}n.{a}{tail}", f"0 {whole(a)} {u} 01110 {middle} 10 rn rd",
                 laned(ARRANGEMENTS[a][0], function), SECTION)  # fmt: skip


def _two_registers() -> Iterator[Row]:
    for name, u, five, function, arrangements, tail in _MISC:
        for a in arrangements:
            yield _unary(name, a, u, f"{size_of(a)} 10000 {five}", function, tail)
    for a in BYTES:
        yield _unary("mvn", a, "1", "00 10000 00101", b.bnot, "")
        yield _unary("rbit", a, "1", "01 10000 00101", b.bitrev, "")
    for name, u, top, five, function, tail in _FLOAT_MISC:
        for a in FLOATS:
            yield _unary(name, a, u, f"{top}{ARRANGEMENTS[a][0] >> 6} 10000 {five}", function, tail)
    for sign, u, extend in (("s", "0", b.sext), ("u", "1", b.zext)):
        for a in NARROW:
            r, lane = letter_of(a), ARRANGEMENTS[a][0]
            wide = {8: "h", 16: "s", 32: "d"}[lane]
            to = f"{ARRANGEMENTS[a][1] // 2}{wide}"
            yield plain(f"{sign}addlp {r}d.{to}, {r}n.{a}", f"0 {whole(a)} {u} 01110 {size_of(a)} 10000 00010 10 rn rd",
                        _added_pairs(lane, extend), SECTION)  # fmt: skip


def _added_pairs(lane: int, extend: Callable[[Term, int], Term]) -> Meaning:
    def meaning(a: Term) -> Term:
        both = b.shape(a, 2 * lane, a.bits // (2 * lane))
        low, high = (extend(b.extract(both, at, lane), 2 * lane) for at in (0, lane))
        return b.scalar(b.add(low, high))

    return meaning


# -- over all lanes

_ACROSS: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term]], ...]] = (
    ("smaxv", "0", "01010", b.smax), ("sminv", "0", "11010", b.smin), ("umaxv", "1", "01010", b.umax),
    ("uminv", "1", "11010", b.umin), ("addv", "0", "11011", b.add),
)  # fmt: skip


def _over(function: Callable[[Term, Term], Term], lane: int, to: int, extend: Callable[[Term, int], Term]) -> Meaning:
    def meaning(a: Term) -> Term:
        lanes = b.shape(a, lane, a.bits // lane)
        return reduce(function, [extend(b.pick(lanes, k), to) for k in range(lanes.lanes)])

    return meaning


def _across() -> Iterator[Row]:
    for a in ("8b", "16b", "4h", "8h", "4s"):
        lane, r = ARRANGEMENTS[a][0], letter_of(a)
        letter, wide = {8: ("b", "h"), 16: ("h", "s"), 32: ("s", "d")}[lane]
        for name, u, five, function in _ACROSS:
            yield plain(f"{name} {letter}d, {r}n.{a}", f"0 {whole(a)} {u} 01110 {size_of(a)} 11000 {five} 10 rn rd",
                        _over(function, lane, lane, b.zext), SECTION)  # fmt: skip
        for name, u, extend in (("saddlv", "0", b.sext), ("uaddlv", "1", b.zext)):
            yield plain(f"{name} {wide}d, {r}n.{a}", f"0 {whole(a)} {u} 01110 {size_of(a)} 11000 00011 10 rn rd",
                        _over(b.add, lane, 2 * lane, extend), SECTION)  # fmt: skip
    yield plain("addp dd, vn.2d", "01 0 11110 11 11000 11011 10 rn rd", _over(b.add, 64, 64, b.zext), SECTION)
    for letter, of, sz, lane in (("s", "u", "0", 32), ("d", "v", "1", 64)):
        yield plain(f"faddp {letter}d, {of}n.2{letter}", f"01 1 11110 0{sz} 11000 01101 10 rn rd",
                    _over(f.two(b.fadd), lane, lane, b.zext), SECTION)  # fmt: skip


# -- by element


def lane_of(a: Term, index: Term, lane: int) -> Term:
    """A lane whose number is an operand."""
    return b.extract(a, value_of(index) * lane, lane)


def _by_element() -> Iterator[Row]:
    for a in FLOATS:
        lane, r, q = ARRANGEMENTS[a][0], letter_of(a), whole(a)
        letter, index, i = ("s", "index[0] 0", "i32") if lane == 32 else ("d", "0 0", "i64")
        sz, top = ("0", "index[1]") if lane == 32 else ("1", "index[0]")
        index = "index[0]" if lane == 32 else "0"
        for name, four, does in (("fmla", "0001", lambda d, n, m: f.fused(d, n, m)),
                                 ("fmls", "0101", lambda d, n, m: f.fused(d, negated(n), m)),
                                 ("fmul", "1001", lambda n, m: f.two(b.fmul)(n, m))):  # fmt: skip
            mark = "" if name == "fmul" else "+"
            yield plain(
                f"{name} {mark}{r}d.{a}, {r}n.{a}, vm.{letter}[{i}]",
                f"0 {q} 0 01111 1{sz} {index} rm {four} {top} 0 rn rd",
                _element(lane, does),
                SECTION,
            )


def _element(lane: int, function: Callable[..., Term]) -> Meaning:
    def meaning(*operands: Term) -> Term:
        count = operands[0].bits // lane
        whole = [b.shape(v, lane, count) for v in operands[:-2]]
        return b.scalar(function(*whole, b.splat(lane_of(operands[-2], operands[-1], lane), count)))

    return meaning


def _rows() -> Iterator[Row]:
    for part in (_three_same, _two_registers, _across, _by_element):
        yield from part()


ROWS: Final = tuple(_rows())
