"""x86-64: what its rows on vector registers are made of: lanes, the two forms (SSE and AVX) of one meaning, NaNs.

The one idea: a meaning is stated once on vectors of 128 bits; `both` makes the row of SSE, which overwrites its first
operand and wants memory aligned, and that of AVX, which has an operand more and wants nothing.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 4.8.3.5 (NaNs), volume 2, 2.3 (VEX).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term, const
from liftcheck.isa.x64.insts.common import inst
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Meaning, Row

Two = Callable[[Term, Term], Term]
One = Callable[[Term], Term]
BITS: Final = 128


def cut(a: Term, lane: int) -> Term:
    """A vector in lanes."""
    return b.shape(a, lane, a.bits // lane)


def lanes(lane: int, function: Callable[..., Term]) -> Callable[..., Term]:
    """The function lane by lane, of whole vectors."""
    return lambda *values: b.scalar(function(*(cut(value, lane) for value in values)))


def whole(function: Callable[..., Term]) -> Meaning:
    """A meaning that asks nothing of the machine."""
    return lambda s, *values: function(*values)


def low(function: Callable[..., Term], width: int) -> Callable[..., Term]:
    """AVX's forms on one lane: the rest of the result is the first operand's; the last operand is of the width."""

    def meaning(s: Machine, first: Term, *more: Term) -> Term:
        return over(first, function(b.trunc(first, width), *more))

    return meaning


def over(first: Term, part: Term) -> Term:
    """The vector with its low bits replaced."""
    return b.concat(b.extract(first, part.bits, first.bits - part.bits), part)


def filled(a: Term) -> Term:
    """Zeros above."""
    return b.zext(a, BITS)


# -- rows of both forms


def opcode(prefix: str, space: str, byte: str, more: str = "/r") -> str:
    """SSE's line; `space` is 0F, 0F38 or 0F3A."""
    return f"{prefix} {' '.join((space[:2], space[2:]))} {byte} {more}".strip()


def vex(prefix: str, space: str, byte: str, more: str = "/r", length: str = "128", w: str = "") -> str:
    """AVX's line."""
    parts = [length, *([prefix] if prefix else []), space, *([w] if w else [])]
    return f"VEX.{'.'.join(parts)} {byte} {more}"


def both(name: str, prefix: str, space: str, byte: str, function: Two, needs: str, page: str = "") -> Iterator[Row]:
    """Of two vectors one."""
    page = page or name.upper()
    yield inst(f"{name} +x, xa", opcode(prefix, space, byte), whole(function), page, needs)
    yield inst(f"v{name} >x, xv, xm128", vex(prefix, space, byte), whole(function), page, "avx")


def both_one(
    name: str, prefix: str, space: str, byte: str, function: One, needs: str, page: str = "", source: int = 128
) -> Iterator[Row]:
    """Of one vector, or its low bits in memory, another."""
    page = page or name.upper()
    legacy = "xa" if source == BITS else f"xm{source}"
    yield inst(f"{name} >x, {legacy}", opcode(prefix, space, byte), whole(function), page, needs)
    yield inst(f"v{name} >x, xm{source}", vex(prefix, space, byte), whole(function), page, "avx")


def both_low(
    name: str, prefix: str, byte: str, function: Two, width: int, needs: str, page: str = "", more: str = "/r",
    space: str = "0F",
) -> Iterator[Row]:  # fmt: skip
    """Of one lane: the rest stays, in AVX that of the second operand."""
    page = page or name.upper()
    yield inst(f"{name} +x{width}, xm{width}", opcode(prefix, space, byte, more), whole(function), page, needs)
    yield inst(f"v{name} >x, xv, xm{width}", vex(prefix, space, byte, more, "LIG"), low(function, width), page, "avx")


# -- NaNs


def quiet(a: Term) -> Term:
    """A NaN that is not signaling, with the payload."""
    f = FORMATS[a.lane]
    return b.bor(a, const(f.fraction + 1 >> 1, a.lane, a.lanes))


def default_nan(a: Term) -> Term:
    """The NaN of an invalid operation: negative, quiet."""
    f = FORMATS[a.lane]
    return const(f.sign | f.nan, a.lane, a.lanes)


def propagating(function: Callable[..., Term]) -> Callable[..., Term]:
    """Arithmetic: the first operand that is a NaN, quiet; else, where the result is one, the default."""

    def meaning(*values: Term) -> Term:
        result = function(*values)
        found = b.ite(b.isnan(result), default_nan(result), result)
        for value in reversed(values):
            found = b.ite(b.isnan(value), quiet(value), found)
        return found

    return meaning


def minimum(a: Term, c: Term) -> Term:
    """min: the second operand unless the first is less."""
    return b.ite(b.flt(a, c), a, c)


def maximum(a: Term, c: Term) -> Term:
    """max: the second operand unless the first is greater."""
    return b.ite(b.flt(c, a), a, c)
