"""riscv64: floating point of 16, 32 and 64 bits: F, D, Zfh, Zfa.

What is stated: round to nearest even, which is the mode that every function is entered in ('dyn' is the context's),
and the only one that terms have for arithmetic; conversions to integers and rounding to integers have all modes. The
sticky flags are not said. Every NaN that is computed is the canonical one. Operands of less than 64 bits are boxed
NaNs unless all bits above are ones. Source: The RISC-V Instruction Set Manual, Volume I (20240411), chapters 21 (F),
22 (D), 24 (Zfh), 20 (Zfa).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS, rounded
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.riscv64.insts.common import inst, plain, rounding_mode
from liftcheck.isa.riscv64.insts.integer import store
from liftcheck.mach.rows.floats import negated, to_integral
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Row

_MODES: Final = {"rne": "nearest", "rtz": "trunc", "rdn": "floor", "rup": "ceil", "rmm": "away"}
_FORMATS: Final = (("s", 32, "00"), ("d", 64, "01"), ("h", 16, "10"))
_LETTER: Final = {"s": "s", "d": "f", "h": "h"}
"""Of operands in `common`, by the instruction's suffix."""
_HALF: Final = "zfh"


def to_nearest(s: Machine, rm: int = 7) -> None:
    """NoMeaning for arithmetic in another mode: terms have none."""
    mode = rounding_mode(s, rm)
    if mode != "rne":
        raise NoMeaning(f"arithmetic with rounding mode {mode}")


def nearest(function: Callable[..., Term]) -> Callable[..., Term]:
    """Arithmetic: the last operand is the rounding mode."""

    def meaning(s: Machine, *values: Term) -> Term:
        to_nearest(s, value_of(values[-1]))
        return function(*values[:-1])

    return meaning


def to_integer(a: Term, mode: str, width: int, signed: bool) -> Term:
    """Saturated; a NaN is the largest number."""
    largest = (1 << width - 1) - 1 if signed else -1
    convert = b.to_sint if signed else b.to_uint
    return b.ite(b.isnan(a), const(largest, width, a.lanes), convert(to_integral(a, _MODES[mode]), width))


def minimum(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """The number where one is a NaN."""

    def meaning(a: Term, c: Term) -> Term:
        nan = const(FORMATS[a.lane].nan, a.lane, a.lanes)
        return b.ite(b.isnan(a), b.ite(b.isnan(c), nan, c), b.ite(b.isnan(c), a, function(a, c)))

    return meaning


def sign_of(how: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """The magnitude of the first operand with a sign made of both."""

    def meaning(a: Term, c: Term) -> Term:
        f = FORMATS[a.lane]
        magnitude = b.band(a, const(f.magnitude, a.lane, a.lanes))
        return b.bor(magnitude, b.band(how(a, c), const(f.sign, a.lane, a.lanes)))

    return meaning


MULTIPLY_ADD: Final[tuple[tuple[str, str, Callable[[Term, Term, Term], Term]], ...]] = (
    ("fmadd", "1000011", b.fma), ("fmsub", "1000111", lambda x, y, z: b.fma(x, y, negated(z))),
    ("fnmsub", "1001011", lambda x, y, z: b.fma(negated(x), y, z)),
    ("fnmadd", "1001111", lambda x, y, z: b.fma(negated(x), y, negated(z))),
)  # fmt: skip
SIGNS: Final[tuple[tuple[str, str, Callable[[Term, Term], Term]], ...]] = (
    ("fsgnj", "000", lambda a, c: c), ("fsgnjn", "001", lambda a, c: b.bnot(c)), ("fsgnjx", "010", b.bxor),
)  # fmt: skip


def classes(a: Term) -> Term:
    """The bit of its class: -inf, negative normal, subnormal, zero, and upwards, signaling, quiet NaN. In the operand's
    width (16 bits at least)."""
    f, width = FORMATS[a.lane], a.lane
    zero = const(0, width, a.lanes)
    magnitude, exponent = (b.band(a, const(m, width, a.lanes)) for m in (f.magnitude, f.infinity))
    negative = b.nonzero(b.band(a, const(f.sign, width, a.lanes)))

    def bit(number: int) -> Term:
        return const(1 << number, width, a.lanes)

    finite = b.ite(b.eq(magnitude, zero), bit(4), b.ite(b.eq(exponent, zero), bit(5), bit(6)))
    below = b.ite(b.eq(magnitude, zero), bit(3), b.ite(b.eq(exponent, zero), bit(2), bit(1)))
    infinite = b.eq(magnitude, const(f.infinity, width, a.lanes))
    quiet = b.nonzero(b.band(a, const(f.fraction + 1 >> 1, width, a.lanes)))
    number = b.ite(negative, b.ite(infinite, bit(0), below), b.ite(infinite, bit(7), finite))
    return b.ite(b.isnan(a), b.ite(quiet, bit(9), bit(8)), number)


def _arithmetic() -> Iterator[Row]:
    for suffix, _width, fmt in _FORMATS:
        r, chapter, needs = _LETTER[suffix], {"s": "21.6", "d": "22.4", "h": "24.3"}[suffix], _extension(suffix)
        for name, five, function in (("fadd", "00000", b.fadd), ("fsub", "00001", b.fsub), ("fmul", "00010", b.fmul),
                                     ("fdiv", "00011", b.fdiv)):  # fmt: skip
            yield inst(f"{name}.{suffix} {r}d, {r}s1, {r}s2{{, rm}}", f"{five} {fmt} rs2 rs1 rm rd 1010011",
                       nearest(function), chapter, needs)  # fmt: skip
        yield inst(f"fsqrt.{suffix} {r}d, {r}s1{{, rm}}", f"01011 {fmt} 00000 rs1 rm rd 1010011", nearest(b.fsqrt),
                   chapter, needs)  # fmt: skip
        for name, major, fused in MULTIPLY_ADD:
            yield inst(f"{name}.{suffix} {r}d, {r}s1, {r}s2, {r}s3{{, rm}}", f"rs3 {fmt} rs2 rs1 rm rd {major}",
                       nearest(fused), chapter, needs)  # fmt: skip
        for name, three, how in SIGNS:
            yield plain(f"{name}.{suffix} {r}d, {r}s1, {r}s2", f"00100 {fmt} rs2 rs1 {three} rd 1010011", sign_of(how),
                        chapter, needs)  # fmt: skip
        for name, three, function in (("fmin", "000", b.fmin), ("fmax", "001", b.fmax)):
            yield plain(f"{name}.{suffix} {r}d, {r}s1, {r}s2", f"00101 {fmt} rs2 rs1 {three} rd 1010011",
                        minimum(function), chapter, needs)  # fmt: skip
        for name, three, function in (("fle", "000", b.fle), ("flt", "001", b.flt), ("feq", "010", b.feq)):
            yield plain(f"{name}.{suffix} rd, {r}s1, {r}s2", f"10100 {fmt} rs2 rs1 {three} rd 1010011",
                        _truth(function), chapter, needs)  # fmt: skip
        yield plain(f"fclass.{suffix} rd, {r}s1", f"11100 {fmt} 00000 rs1 001 rd 1010011",
                    lambda a: b.zext(classes(a), 64), chapter, needs)  # fmt: skip


def _extension(suffix: str) -> str:
    return {"s": "f", "d": "d", "h": _HALF}[suffix]


def _least(suffix: str) -> str:
    """Of loads, stores and moves: the least extension for halves has them, too."""
    return "zfhmin" if suffix == "h" else _extension(suffix)


def _truth(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    return lambda a, c: b.zext(function(a, c), 64)


def _memory() -> Iterator[Row]:
    for suffix, three, size, r in (("h", "001", 2, "h"), ("w", "010", 4, "s"), ("d", "011", 8, "f")):
        needs = _least({"w": "s"}.get(suffix, suffix))
        section = {"h": "24.2", "w": "21.5", "d": "22.3"}[suffix]
        yield inst(f"fl{suffix} {r}d, offset(rs1)", f"imm:12 rs1 {three} rd 0000111", _load(size), section, needs)
        yield inst(f"fs{suffix} fs2, offset(rs1)", f"imm[11:5] rs2 rs1 {three} imm[4:0] 0100111", store(size), section,
                   needs)  # fmt: skip


def _load(size: int) -> Callable[..., Term]:
    return lambda s, imm, rs1: s.load(b.add(rs1, imm), size)


def _moves() -> Iterator[Row]:
    """Bits between register files: no box is asked for, and one is made."""
    for suffix, width, fmt in _FORMATS:
        name, needs, r = {"s": "w"}.get(suffix, suffix), _least(suffix), _LETTER[suffix]
        yield plain(f"fmv.x.{name} rd, fs1", f"11100 {fmt} 00000 rs1 000 rd 1010011", _to_x(width), "21.7", needs)
        yield plain(f"fmv.{name}.x {r}d, rs1", f"11110 {fmt} 00000 rs1 000 rd 1010011", _from_x(width), "21.7", needs)


def _to_x(width: int) -> Callable[[Term], Term]:
    return lambda a: b.sext(b.trunc(a, width), 64)


def _from_x(width: int) -> Callable[[Term], Term]:
    return lambda a: b.trunc(a, width)


def _conversions() -> Iterator[Row]:
    integers = (
        ("w", "00000", 32, True),
        ("wu", "00001", 32, False),
        ("l", "00010", 64, True),
        ("lu", "00011", 64, False),
    )
    for suffix, width, fmt in _FORMATS:
        r, needs = _LETTER[suffix], _extension(suffix)
        for name, second, size, signed in integers:
            yield inst(f"fcvt.{name}.{suffix} rd, {r}s1{{, rm}}", f"11000 {fmt} {second} rs1 rm rd 1010011",
                       _to_integer(size, signed), "21.7", needs)  # fmt: skip
            mode = "rmx" if size < width else "rm"  # an exact one prints no mode where it is to nearest
            yield inst(f"fcvt.{suffix}.{name} {r}d, rs1{{, {mode}}}", f"11010 {fmt} {second} rs1 rm rd 1010011",
                       _from_integer(size, width, signed), "21.7", needs)  # fmt: skip
        for other, from_width, second in _FORMATS:
            if other != suffix:
                half = "h" in (suffix, other)
                mode = "rmx" if from_width < width else "rm"
                yield inst(f"fcvt.{suffix}.{other} {r}d, {_LETTER[other]}s1{{, {mode}}}",
                           f"01000 {fmt} 000{second} rs1 rm rd 1010011", _convert(from_width, width), "22.5",
                           "zfhmin" if half else "d")  # fmt: skip


def _to_integer(size: int, signed: bool) -> Callable[..., Term]:
    return lambda s, a, rm: b.sext(to_integer(a, rounding_mode(s, value_of(rm)), size, signed), 64)


def directed(exact: Term, width: int, mode: str) -> Term:
    """A float of 128 bits to one of `width` bits in a rounding mode: the nearest one, or its neighbour."""
    near, f = b.fconvert(exact, width), FORMATS[width]
    if mode == "rne":
        return near
    if mode == "rmm":
        raise NoMeaning("conversion with rounding mode rmm")
    back, one = b.fconvert(near, 128), const(1, width, exact.lanes)
    low, high = b.flt(back, exact), b.flt(exact, back)
    negative = b.nonzero(b.band(near, const(f.sign, width, exact.lanes)))
    larger, smaller = b.add(near, one), b.sub(near, one)
    up, down = b.ite(negative, smaller, larger), b.ite(negative, larger, smaller)
    if mode == "rtz":
        return b.ite(b.ite(negative, low, high), smaller, near)
    return b.ite(low, up, near) if mode == "rup" else b.ite(high, down, near)


def from_integer(a: Term, width: int, signed: bool, mode: str) -> Term:
    """An integer as a float of `width` bits."""
    convert = b.from_sint if signed else b.from_uint
    return convert(a, width) if mode == "rne" else directed(convert(a, 128), width, mode)


def _from_integer(size: int, width: int, signed: bool) -> Callable[..., Term]:
    exact = size <= {16: 11, 32: 24, 64: 53}[width]

    def meaning(s: Machine, a: Term, rm: Term) -> Term:
        mode = "rne" if exact else rounding_mode(s, value_of(rm))
        return from_integer(b.trunc(a, size), width, signed, mode)

    return meaning


def convert(a: Term, width: int, mode: str) -> Term:
    """A float in another format."""
    if mode == "rne" or width > a.lane:
        return b.fconvert(a, width)
    return directed(b.fconvert(a, 128), width, mode)


def _convert(source: int, width: int) -> Callable[..., Term]:
    return lambda s, a, rm: convert(a, width, "rne" if width > source else rounding_mode(s, value_of(rm)))


_FLI: Final = (
    (-1, 0),
    (0, 0),
    (1, -16),
    (1, -15),
    (1, -8),
    (1, -7),
    (1, -4),
    (1, -3),
    (1, -2),
    (5, -4),
    (3, -3),
    (7, -4),
    (1, -1),
    (5, -3),
    (3, -2),
    (7, -3),
    (1, 0),
    (5, -2),
    (3, -1),
    (7, -2),
    (1, 1),
    (5, -1),
    (3, 0),
    (1, 2),
    (1, 3),
    (1, 4),
    (1, 7),
    (1, 8),
    (1, 15),
    (1, 16),
    (0, 1),
    (0, 2),
)
"""The constants of `fli` as (m, e), m * 2^e; number 1 is the smallest normal, 30 and 31 are infinity and NaN."""


def _constant(width: int) -> Callable[[Term], Term]:
    f = FORMATS[width]
    special = {1: f.fraction + 1, 30: f.infinity, 31: f.nan}
    return lambda number: const(
        special[value_of(number)] if value_of(number) in special else rounded(f, *_FLI[value_of(number)]), width
    )


def _additional() -> Iterator[Row]:
    for suffix, width, fmt in _FORMATS:
        r, needs = _LETTER[suffix], "zfa zfh" if suffix == "h" else "zfa"
        yield plain(
            f"fli.{suffix} {r}d, uimm5", f"11110 {fmt} 00001 rs1 000 rd 1010011", _constant(width), "20.1", needs
        )
        for name, three, function in (("fminm", "010", b.fmin), ("fmaxm", "011", b.fmax)):
            yield plain(
                f"{name}.{suffix} {r}d, {r}s1, {r}s2",
                f"00101 {fmt} rs2 rs1 {three} rd 1010011",
                function,
                "20.2",
                needs,
            )
        for name, second in (("fround", "00100"), ("froundnx", "00101")):
            yield inst(
                f"{name}.{suffix} {r}d, {r}s1{{, rm}}", f"01000 {fmt} {second} rs1 rm rd 1010011", _round, "20.3", needs
            )
        for name, three, function in (("fleq", "100", b.fle), ("fltq", "101", b.flt)):
            yield plain(
                f"{name}.{suffix} rd, {r}s1, {r}s2",
                f"10100 {fmt} rs2 rs1 {three} rd 1010011",
                _truth(function),
                "20.6",
                needs,
            )


def _round(s: Machine, a: Term, rm: Term) -> Term:
    return to_integral(a, _MODES[rounding_mode(s, value_of(rm))])


def _rows() -> Iterator[Row]:
    yield from _arithmetic()
    yield from _memory()
    yield from _moves()
    yield from _conversions()
    yield from _additional()


ROWS: Final = tuple(_rows())
