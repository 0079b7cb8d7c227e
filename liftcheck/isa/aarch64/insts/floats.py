"""A64: floating point of 16, 32 and 64 bits in scalar registers.

What is stated: FPCR is zero, as every function is entered: round to nearest even, no flushing to zero, NaNs are handed
on: the first operand that is signaling, quieted, else the first that is quiet; of several operands in the order of
FPProcessNaNs, FPProcessNaNs3. An invalid operation makes the default NaN. The sticky flags (FPSR) are not said.
Source: Arm ARM (DDI 0487), C4.1 'Data Processing -- Scalar Floating-Point and Advanced SIMD', C7.2, shared pseudocode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.aarch64.insts.common import SIZES, holds, inst, plain, set_flags
from liftcheck.isa.aarch64.insts.operands import expanded_float
from liftcheck.mach.rows.floats import converted, handed_on, lanes, magnitude, negated, signaling, to_integral
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

SECTION: Final = "C4.1 Data Processing -- Scalar Floating-Point and Advanced SIMD"
_FORMATS: Final = (("s", "00", 32, ""), ("d", "01", 64, ""), ("h", "11", 16, "fp16"))


# -- NaNs, in any number of lanes


def two(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """An operation of two operands."""
    return lambda a, c: handed_on(function(a, c), a, c)


def one(function: Callable[[Term], Term]) -> Callable[[Term], Term]:
    """An operation of one operand."""
    return lambda a: handed_on(function(a), a)


def number_wins(function: Callable[[Term, Term], Term], worst: int) -> Callable[[Term, Term], Term]:
    """fmaxnm, fminnm: a quiet NaN is left out where the other operand is a number."""

    def meaning(a: Term, c: Term) -> Term:
        quiet_a, quiet_c = (b.band(b.isnan(x), b.bnot(signaling(x))) for x in (a, c))
        f = FORMATS[a.lane]
        worst_one = lanes(f.infinity | (f.sign if worst < 0 else 0), a)
        left = b.ite(b.band(quiet_a, b.bnot(b.isnan(c))), worst_one, a)
        right = b.ite(b.band(quiet_c, b.bnot(b.isnan(a))), worst_one, c)
        return handed_on(function(left, right), left, right)

    return meaning


def fused(a: Term, n: Term, m: Term) -> Term:
    """a + n * m, rounded once; the addend's NaN counts first, but not a quiet one if n * m is invalid."""
    zero, infinity = lanes(0, a), lanes(FORMATS[a.lane].infinity, a)
    invalid = b.bor(
        b.band(b.eq(magnitude(n), zero), b.eq(magnitude(m), infinity)),
        b.band(b.eq(magnitude(n), infinity), b.eq(magnitude(m), zero)),
    )
    quiet = b.band(b.isnan(a), b.bnot(signaling(a)))
    default = lanes(FORMATS[a.lane].nan, a)
    return b.ite(b.band(quiet, invalid), default, handed_on(b.fma(n, m, a), a, n, m))


# -- rows

_ONE: Final[tuple[tuple[str, str, Callable[[Term], Term]], ...]] = (
    ("fmov", "000000", lambda a: a), ("fabs", "000001", magnitude), ("fneg", "000010", negated),
    ("fsqrt", "000011", one(b.fsqrt)), ("frintn", "001000", one(lambda a: b.fround(a, "nearest"))),
    ("frintp", "001001", one(lambda a: b.fround(a, "ceil"))), ("frintm", "001010", one(lambda a: b.fround(a, "floor"))),
    ("frintz", "001011", one(lambda a: b.fround(a, "trunc"))),
    ("frinta", "001100", one(lambda a: to_integral(a, "away"))),
    ("frintx", "001110", one(lambda a: b.fround(a, "nearest"))),
    ("frinti", "001111", one(lambda a: b.fround(a, "nearest"))),
)  # fmt: skip
_TWO: Final[tuple[tuple[str, str, Callable[[Term, Term], Term]], ...]] = (
    ("fmul", "0000", two(b.fmul)), ("fdiv", "0001", two(b.fdiv)), ("fadd", "0010", two(b.fadd)),
    ("fsub", "0011", two(b.fsub)), ("fmax", "0100", two(b.fmax)), ("fmin", "0101", two(b.fmin)),
    ("fmaxnm", "0110", number_wins(b.fmax, -1)), ("fminnm", "0111", number_wins(b.fmin, 1)),
    ("fnmul", "1000", lambda a, c: negated(two(b.fmul)(a, c))),
)  # fmt: skip
_THREE: Final[tuple[tuple[str, str, str, Callable[[Term, Term, Term], Term]], ...]] = (
    ("fmadd", "0", "0", lambda n, m, a: fused(a, n, m)), ("fmsub", "0", "1", lambda n, m, a: fused(a, negated(n), m)),
    ("fnmadd", "1", "0", lambda n, m, a: fused(negated(a), negated(n), m)),
    ("fnmsub", "1", "1", lambda n, m, a: fused(negated(a), n, m)),
)  # fmt: skip


def compared(s: Machine, a: Term, c: Term) -> None:
    """N less, Z equal, C not less, V unordered."""
    less, equal = b.flt(a, c), b.feq(a, c)
    unordered = b.bor(b.isnan(a), b.isnan(c))
    set_flags(s, less, equal, b.bnot(less), unordered)


def _arithmetic() -> Iterator[Row]:
    for r, kind, width, needs in _FORMATS:
        head = f"000 11110 {kind} 1"
        for name, six, function in _ONE:
            yield plain(f"{name} {r}d, {r}n", f"{head} {six} 10000 rn rd", function, SECTION, needs)
        for name, four, binary in _TWO:
            yield plain(f"{name} {r}d, {r}n, {r}m", f"{head} rm {four} 10 rn rd", binary, SECTION, needs)
        for name, o1, o0, ternary in _THREE:
            yield plain(f"{name} {r}d, {r}n, {r}m, {r}a", f"000 11111 {kind} {o1} rm {o0} ra rn rd", ternary, SECTION,
                        needs)  # fmt: skip
        for name, bit in (("fcmp", "0"), ("fcmpe", "1")):
            yield inst(f"{name} {r}n, {r}m", f"{head} rm 00 1000 rn {bit} 0 000", compared, SECTION, needs)
            yield inst(f"{name} {r}n, #0.0", f"{head} 00000 00 1000 rn {bit} 1 000",
                       lambda s, a: compared(s, a, const(0, a.lane)), SECTION, needs)  # fmt: skip
        yield inst(f"fcsel {r}d, {r}n, {r}m, cond", f"{head} rm cond 11 rn rd",
                   lambda s, n, m, condition: b.ite(holds(s, condition), n, m), SECTION, needs)  # fmt: skip
        yield plain(f"fmov {r}d, fimm", f"{head} imm8:8 100 00000 rd", _immediate(width), SECTION, needs)
        for other, _, to, _ in _FORMATS:
            if other != r:
                opc = {"s": "00", "d": "01", "h": "11"}[other]
                yield plain(f"fcvt {other}d, {r}n", f"{head} 0001 {opc} 10000 rn rd", _convert(to), SECTION)


def _immediate(width: int) -> Callable[[Term], Term]:
    return lambda bits: const(expanded_float(value_of(bits), width), width)


def _convert(width: int) -> Callable[[Term], Term]:
    return lambda a: converted(a, width)


_TO_INTEGER: Final = (
    ("fcvtn", "00", "00", "nearest"), ("fcvta", "00", "10", "away"), ("fcvtp", "01", "00", "ceil"),
    ("fcvtm", "10", "00", "floor"), ("fcvtz", "11", "00", "trunc"),
)  # fmt: skip


def to_integer(mode: str, width: int, signed: bool) -> Callable[[Term], Term]:
    """Saturated; a NaN is 0."""
    convert = b.to_sint if signed else b.to_uint
    return lambda a: convert(to_integral(a, mode), width)


def _integers() -> Iterator[Row]:
    for r, kind, width, needs in _FORMATS:
        for x, sf, size in SIZES:
            head = f"{sf} 00 11110 {kind} 1"
            for name, rmode, opcode, mode in _TO_INTEGER:
                for letter, last in (("s", "0"), ("u", "1")):
                    yield plain(f"{name}{letter} {x}d, {r}n", f"{head} {rmode} {opcode}{last} 000000 rn rd",
                                to_integer(mode, size, letter == "s"), SECTION, needs)  # fmt: skip
            for name, opcode, convert in (("scvtf", "010", b.from_sint), ("ucvtf", "011", b.from_uint)):
                yield plain(f"{name} {r}d, {x}n", f"{head} 00 {opcode} 000000 rn rd", _from(convert, width), SECTION,
                            needs)  # fmt: skip
            if width == size or width == 16:
                yield plain(f"fmov {x}d, {r}n", f"{head} 00 110 000000 rn rd", _resized(size), SECTION, needs)
                yield plain(f"fmov {r}d, {x}n", f"{head} 00 111 000000 rn rd", _resized(width), SECTION, needs)
    yield plain("fmov xd, vn.d[1]", "1 00 11110 10 1 01 110 000000 rn rd", lambda a: b.extract(a, 64, 64), SECTION)
    yield plain("fmov +vd.d[1], xn", "1 00 11110 10 1 01 111 000000 rn rd", lambda v, a: b.concat(a, b.trunc(v, 64)),
                SECTION)  # fmt: skip


def _from(convert: Callable[[Term, int], Term], width: int) -> Callable[[Term], Term]:
    return lambda a: convert(a, width)


def _resized(width: int) -> Callable[[Term], Term]:
    return lambda a: b.resize(a, width)


def _rows() -> Iterator[Row]:
    yield from _arithmetic()
    yield from _integers()


ROWS: Final = tuple(_rows())
