"""A64: Advanced SIMD, instructions that widen and narrow lanes, and shifts by immediates.

Source: Arm ARM (DDI 0487), C4.1 'Data Processing -- Scalar Floating-Point and Advanced SIMD', C7.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.aarch64.insts.common import ARRANGEMENTS, plain
from liftcheck.isa.aarch64.insts.vector import INTEGER, SECTION, Meaning, letter_of, size_of, whole
from liftcheck.mach.rows.floats import converted
from liftcheck.mach.rows.row import Row

_WIDENED: Final = (("8b", "16b", "8h"), ("4h", "8h", "4s"), ("2s", "4s", "2d"))


def _half(a: Term, upper: bool, lane: int) -> Term:
    """The lanes of the lower or upper 64 bits."""
    return b.shape(b.extract(a, 64 if upper else 0, 64), lane, 64 // lane)


def _narrowed(function: Callable[[Term, int], Term], lane: int) -> Meaning:
    """The lower half of the result."""
    return lambda a: b.scalar(function(b.shape(a, 2 * lane, 64 // lane), lane))


def _narrowed_upper(function: Callable[[Term, int], Term], lane: int) -> Meaning:
    """The upper half; the lower stays."""
    return lambda d, a: b.concat(_narrowed(function, lane)(a), b.trunc(d, 64))


_NARROWING: Final[tuple[tuple[str, str, str, Callable[[Term, int], Term]], ...]] = (
    ("xtn", "0", "10010", b.trunc), ("sqxtun", "1", "10010", lambda a, lane: b.clamp_unsigned(a, lane, True)),
    ("sqxtn", "0", "10100", b.clamp_signed), ("uqxtn", "1", "10100", lambda a, lane: b.clamp_unsigned(a, lane, False)),
)  # fmt: skip


def _narrowing() -> Iterator[Row]:
    for low, high, wide in _WIDENED:
        lane, size = ARRANGEMENTS[low][0], size_of(low)
        for name, u, five, function in _NARROWING:
            yield plain(f"{name} ud.{low}, vn.{wide}", f"0 0 {u} 01110 {size} 10000 {five} 10 rn rd",
                        _narrowed(function, lane), SECTION)  # fmt: skip
            yield plain(f"{name}2 +vd.{high}, vn.{wide}", f"0 1 {u} 01110 {size} 10000 {five} 10 rn rd",
                        _narrowed_upper(function, lane), SECTION)  # fmt: skip
    for sz, low, high, wide, lane in (("0", "4h", "8h", "4s", 16), ("1", "2s", "4s", "2d", 32)):
        yield plain(
            f"fcvtn ud.{low}, vn.{wide}", f"0 0 0 01110 0{sz} 10000 10110 10 rn rd", _narrowed(converted, lane), SECTION
        )
        yield plain(f"fcvtn2 +vd.{high}, vn.{wide}", f"0 1 0 01110 0{sz} 10000 10110 10 rn rd",
                    _narrowed_upper(converted, lane), SECTION)  # fmt: skip
        for name, q, of, r in (("fcvtl", "0", low, "u"), ("fcvtl2", "1", high, "v")):
            yield plain(f"{name} vd.{wide}, {r}n.{of}", f"0 {q} 0 01110 0{sz} 10000 10111 10 rn rd",
                        _widened_floats(lane, q == "1"), SECTION)  # fmt: skip


def _widened_floats(lane: int, upper: bool) -> Meaning:
    return lambda a: b.scalar(converted(_half(a, upper, lane), 2 * lane))


_LONG: Final[tuple[tuple[str, str, Callable[[Term, Term], Term], str], ...]] = (
    ("addl", "0000", b.add, ""), ("subl", "0010", b.sub, ""), ("mull", "1100", b.mul, ""),
    ("mlal", "1000", b.mul, "add"), ("mlsl", "1010", b.mul, "sub"),
)  # fmt: skip


def _long(function: Callable[[Term, Term], Term], lane: int, upper: bool, signed: bool, more: str) -> Meaning:
    extend = b.sext if signed else b.zext

    def meaning(*values: Term) -> Term:
        n, m = (extend(_half(v, upper, lane), 2 * lane) for v in values[-2:])
        result = function(n, m)
        if more:
            old = b.shape(values[0], 2 * lane, 64 // lane)
            result = b.add(old, result) if more == "add" else b.sub(old, result)
        return b.scalar(result)

    return meaning


def _wide(function: Callable[[Term, Term], Term], lane: int, upper: bool, signed: bool) -> Meaning:
    extend = b.sext if signed else b.zext
    return lambda n, m: b.scalar(function(b.shape(n, 2 * lane, 64 // lane), extend(_half(m, upper, lane), 2 * lane)))


def _three_different() -> Iterator[Row]:
    for low, high, wide in _WIDENED:
        lane, size = ARRANGEMENTS[low][0], size_of(low)
        for sign, u in (("s", "0"), ("u", "1")):
            for q, of, r, two in (("0", low, "u", ""), ("1", high, "v", "2")):
                for name, four, function, more in _LONG:
                    mark = "+" if more else ""
                    yield plain(f"{sign}{name}{two} {mark}vd.{wide}, {r}n.{of}, {r}m.{of}",
                                f"0 {q} {u} 01110 {size} 1 rm {four} 00 rn rd",
                                _long(function, lane, q == "1", sign == "s", more), SECTION)  # fmt: skip
                for name, four, function in (("addw", "0001", b.add), ("subw", "0011", b.sub)):
                    yield plain(
                        f"{sign}{name}{two} vd.{wide}, vn.{wide}, {r}m.{of}",
                        f"0 {q} {u} 01110 {size} 1 rm {four} 00 rn rd",
                        _wide(function, lane, q == "1", sign == "s"),
                        SECTION,
                    )


# -- shifts by immediates

_IMMEDIATE: Final = {8: "0001 shift:3", 16: "001 shift:4", 32: "01 shift:5", 64: "1 shift:6"}


def _shifted(function: Callable[[Term, Term], Term], lane: int) -> Callable[..., Term]:
    return laned_with(lane, lambda a, n: function(a, const(n, lane, a.lanes)))


def laned_with(lane: int, function: Callable[..., Term]) -> Callable[..., Term]:
    """Of lanes and of a number that the last operand is."""

    def meaning(*values: Term) -> Term:
        made = [b.shape(v, lane, v.bits // lane) for v in values[:-1]]
        return b.scalar(function(*made, value_of(values[-1])))

    return meaning


def _inserted(left: bool) -> Callable[[Term, Term, int], Term]:
    """sli, sri: the bits that the shift leaves free keep what was there."""

    def meaning(d: Term, a: Term, n: int) -> Term:
        lane = a.lane
        kept = (1 << n) - 1 if left else ~((1 << lane - n) - 1)
        moved = (b.shl if left else b.lshr)(a, const(n, lane, a.lanes))
        return b.bor(moved, b.band(d, const(kept, lane, a.lanes)))

    return meaning


def _rounded_right(
    right: Callable[[Term, Term], Term], extend: Callable[[Term, int], Term]
) -> Callable[[Term, int], Term]:
    def meaning(a: Term, n: int) -> Term:
        lane = a.lane
        wide = b.add(extend(a, lane + 1), const(1 << n - 1, lane + 1, a.lanes))
        return b.trunc(right(wide, const(n, lane + 1, a.lanes)), lane)

    return meaning


def _shifts() -> Iterator[Row]:
    for a in (*INTEGER, ""):
        lane = ARRANGEMENTS[a][0] if a else 64
        r = letter_of(a) if a else "d"
        dot = f".{a}" if a else ""
        head = f"0 {whole(a)} {{}} 011110" if a else "01 {} 111110"
        pieces = _IMMEDIATE[lane]
        for name, u, five, right in (("sshr", "0", "00000", b.ashr), ("ushr", "1", "00000", b.lshr)):
            yield plain(f"{name} {r}d{dot}, {r}n{dot}, right{lane}", f"{head.format(u)} {pieces} {five} 1 rn rd",
                        _shifted(right, lane), SECTION)  # fmt: skip
            yield plain(f"{name[0]}sra +{r}d{dot}, {r}n{dot}, right{lane}",
                        f"{head.format(u)} {pieces} 00010 1 rn rd", _accumulated(right, lane), SECTION)  # fmt: skip
            extend = b.sext if u == "0" else b.zext
            yield plain(f"{name[0]}rshr {r}d{dot}, {r}n{dot}, right{lane}", f"{head.format(u)} {pieces} 00100 1 rn rd",
                        laned_with(lane, _rounded_right(right, extend)), SECTION)  # fmt: skip
        yield plain(f"shl {r}d{dot}, {r}n{dot}, left{lane}", f"{head.format('0')} {pieces} 01010 1 rn rd",
                    _shifted(b.shl, lane), SECTION)  # fmt: skip
        for name, five, left in (("sli", "01010", True), ("sri", "01000", False)):
            yield plain(f"{name} +{r}d{dot}, {r}n{dot}, {'left' if left else 'right'}{lane}",
                        f"{head.format('1')} {pieces} {five} 1 rn rd", laned_with(lane, _inserted(left)),
                        SECTION)  # fmt: skip
    for low, high, wide in _WIDENED:
        lane = ARRANGEMENTS[low][0]
        pieces = _IMMEDIATE[lane]
        for q, of, r, two in (("0", low, "u", ""), ("1", high, "v", "2")):
            for name, u, extend in (("sshll", "0", b.sext), ("ushll", "1", b.zext)):
                yield plain(f"{name}{two} vd.{wide}, {r}n.{of}, left{lane}", f"0 {q} {u} 011110 {pieces} 10100 1 rn rd",
                            _widened_shift(lane, q == "1", extend), SECTION)  # fmt: skip
            yield plain(f"shll{two} vd.{wide}, {r}n.{of}, #{lane}",
                        f"0 {q} 1 01110 {size_of(low)} 10000 10011 10 rn rd", _shifted_whole(lane, q == "1"),
                        SECTION)  # fmt: skip
        yield plain(f"shrn ud.{low}, vn.{wide}, right{lane}", f"0 0 0 011110 {pieces} 10000 1 rn rd",
                    _shifted_narrow(lane), SECTION)  # fmt: skip
        yield plain(
            f"shrn2 +vd.{high}, vn.{wide}, right{lane}",
            f"0 1 0 011110 {pieces} 10000 1 rn rd",
            lambda d, a, n, lane=lane: b.concat(_shifted_narrow(lane)(a, n), b.trunc(d, 64)),
            SECTION,
        )


def _accumulated(right: Callable[[Term, Term], Term], lane: int) -> Meaning:
    return laned_with(lane, lambda d, a, n: b.add(d, right(a, const(n, lane, a.lanes))))


def _widened_shift(lane: int, upper: bool, extend: Callable[[Term, int], Term]) -> Meaning:
    def meaning(a: Term, n: Term) -> Term:
        wide = extend(_half(a, upper, lane), 2 * lane)
        return b.scalar(b.shl(wide, const(value_of(n), 2 * lane, wide.lanes)))

    return meaning


def _shifted_whole(lane: int, upper: bool) -> Meaning:
    return lambda a: _widened_shift(lane, upper, b.zext)(a, const(lane, 64))


def _shifted_narrow(lane: int) -> Meaning:
    return lambda a, n: b.scalar(b.extract(b.shape(a, 2 * lane, 64 // lane), value_of(n), lane))


def _rows() -> Iterator[Row]:
    yield from _narrowing()
    yield from _three_different()
    yield from _shifts()


ROWS: Final = tuple(_rows())
