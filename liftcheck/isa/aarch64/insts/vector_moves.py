"""A64: Advanced SIMD, copies, permutations and immediates.

Source: Arm ARM (DDI 0487), C4.1 'Data Processing -- Scalar Floating-Point and Advanced SIMD', C7.2; AdvSIMDExpandImm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.aarch64.insts.common import ARRANGEMENTS, laned, plain
from liftcheck.isa.aarch64.insts.operands import expanded_float
from liftcheck.isa.aarch64.insts.vector import (
    BYTES,
    INTEGER,
    NARROW,
    SECTION,
    Meaning,
    lane_of,
    letter_of,
    size_of,
    whole,
)
from liftcheck.mach.rows.row import Row

_LANES: Final = ((8, "b", "index:4 1", "i8"), (16, "h", "index:3 10", "i16"), (32, "s", "index:2 100", "i32"),
                 (64, "d", "index:1 1000", "i64"))  # fmt: skip


def replaced_lane(a: Term, index: Term, value: Term) -> Term:
    """With another lane."""
    low = value_of(index) * value.bits
    whole = b.concat(value, b.extract(a, 0, low)) if low else value
    above = a.bits - low - value.bits
    return b.concat(b.extract(a, low + value.bits, above), whole) if above else whole


def _copies() -> Iterator[Row]:
    for lane, letter, five, i in _LANES:
        x = "x" if lane == 64 else "w"
        for a in (name for name in INTEGER if ARRANGEMENTS[name][0] == lane):
            r, count = letter_of(a), ARRANGEMENTS[a][1]
            yield plain(f"dup {r}d.{a}, vn.{letter}[{i}]", f"0 {whole(a)} 0 01110000 {five} 0 0000 1 rn rd",
                        _repeated(lane, count), SECTION)  # fmt: skip
            low = {8: "00001", 16: "00010", 32: "00100", 64: "01000"}[lane]
            yield plain(f"dup {r}d.{a}, {x}n", f"0 {whole(a)} 0 01110000 {low} 0 0001 1 rn rd",
                        _splat(lane, count), SECTION)  # fmt: skip
        yield plain(
            f"mov {letter}d, vn.{letter}[{i}]",
            f"01 0 11110000 {five} 0 0000 1 rn rd",
            _picked(lane, lane, b.zext),
            SECTION,
        )
        name = "umov" if lane < 32 else "mov"
        yield plain(f"{name} {x}d, vn.{letter}[{i}]", f"0 {int(lane == 64)} 0 01110000 {five} 0 0111 1 rn rd",
                    _picked(lane, 64 if lane == 64 else 32, b.zext), SECTION)  # fmt: skip
        for y, width in (("w", 32), ("x", 64)):
            if lane < width:
                yield plain(f"smov {y}d, vn.{letter}[{i}]", f"0 {int(y == 'x')} 0 01110000 {five} 0 0101 1 rn rd",
                            _picked(lane, width, b.sext), SECTION)  # fmt: skip
        yield plain(f"mov +vd.{letter}[{i}], {x}n", f"0 1 0 01110000 {five} 0 0011 1 rn rd",
                    lambda v, index, a, lane=lane: replaced_lane(v, index, b.trunc(a, lane)), SECTION)  # fmt: skip
        zeros = {8: "", 16: "0", 32: "00", 64: "000"}[lane]
        source = f"from:{ {8: 4, 16: 3, 32: 2, 64: 1}[lane] } {zeros}"
        yield plain(f"mov +vd.{letter}[{i}], vn.{letter}[j{lane}]", f"0 1 1 01110000 {five} 0 {source} 1 rn rd",
                    _inserted_lane(lane), SECTION)  # fmt: skip


def _repeated(lane: int, count: int) -> Meaning:
    return lambda a, index: b.scalar(b.splat(lane_of(a, index, lane), count))


def _splat(lane: int, count: int) -> Meaning:
    return lambda a: b.scalar(b.splat(b.trunc(a, lane), count))


def _picked(lane: int, width: int, extend: Callable[[Term, int], Term]) -> Meaning:
    return lambda a, index: extend(lane_of(a, index, lane), width)


def _inserted_lane(lane: int) -> Meaning:
    return lambda v, index, a, other: replaced_lane(v, index, lane_of(a, other, lane))


def _zip(upper: bool) -> Callable[[Term, Term], Term]:
    def meaning(a: Term, c: Term) -> Term:
        base = a.lanes // 2 if upper else 0
        return b.permute([a, c], [x for k in range(a.lanes // 2) for x in (base + k, base + k + a.lanes)])

    return meaning


def _unzip(odd: int) -> Callable[[Term, Term], Term]:
    return lambda a, c: b.permute([a, c], range(odd, 2 * a.lanes, 2))


def _transpose(odd: int) -> Callable[[Term, Term], Term]:
    def meaning(a: Term, c: Term) -> Term:
        return b.permute([a, c], [x for k in range(0, a.lanes, 2) for x in (k + odd, k + odd + a.lanes)])

    return meaning


def _permutations() -> Iterator[Row]:
    for name, three, function in (("uzp1", "001", _unzip(0)), ("trn1", "010", _transpose(0)),
    ("zip1", "011", _zip(False)),
                                  ("uzp2", "101", _unzip(1)), ("trn2", "110", _transpose(1)),
                                  ("zip2", "111", _zip(True))):  # fmt: skip
        for a in INTEGER:
            r = letter_of(a)
            yield plain(
                f"{name} {r}d.{a}, {r}n.{a}, {r}m.{a}",
                f"0 {whole(a)} 0 01110 {size_of(a)} 0 rm 0 {three} 10 rn rd",
                laned(ARRANGEMENTS[a][0], function),
                SECTION,
            )
    yield plain("ext ud.8b, un.8b, um.8b, ext8", "0 0 1 01110 00 0 rm 0 0 imm4:3 0 rn rd", _extracted, SECTION)
    yield plain("ext vd.16b, vn.16b, vm.16b, ext16", "0 1 1 01110 00 0 rm 0 imm4:4 0 rn rd", _extracted, SECTION)
    for a in BYTES:
        r = letter_of(a)
        for count in (1, 2, 3, 4):
            bits = f"{count - 1:02b}"
            yield plain(f"tbl {r}d.{a}, table{count}, {r}m.{a}", f"0 {whole(a)} 001110000 rm 0 {bits} 0 00 rn rd",
                        _looked_up, SECTION)  # fmt: skip
            yield plain(f"tbx +{r}d.{a}, table{count}, {r}m.{a}", f"0 {whole(a)} 001110000 rm 0 {bits} 1 00 rn rd",
                        _looked_up_or_kept, SECTION)  # fmt: skip


def _extracted(a: Term, c: Term, low: Term) -> Term:
    return b.extract(b.concat(c, a), 8 * value_of(low), a.bits)


def _looked_up(table: Term, indexes: Term) -> Term:
    """Bytes by their number, zero beyond the table; sixteen at a time, since a gather is of as many lanes as it has."""
    wide = b.shape(b.resize(indexes, 128), 8, 16)
    found = const(0, 8, 16)
    for at in range(table.bits // 128):
        part = b.shape(b.extract(table, 128 * at, 128), 8, 16)
        found = b.bor(found, b.gather(part, b.sub(wide, const(16 * at, 8, 16))))
    return b.trunc(b.scalar(found), indexes.bits)


def _looked_up_or_kept(old: Term, table: Term, indexes: Term) -> Term:
    lanes = indexes.bits // 8
    inside = b.ult(b.shape(indexes, 8, lanes), const(table.bits // 8, 8, lanes))
    return b.scalar(b.ite(inside, b.shape(_looked_up(table, indexes), 8, lanes), b.shape(old, 8, lanes)))


# -- immediates


def _expanded(lane: int, count: int, make: Callable[[int, int], int]) -> Meaning:
    """The number that `make` makes of the eight bits and of the shift, in each lane."""

    def meaning(*operands: Term) -> Term:
        byte, shift = value_of(operands[0]), value_of(operands[1]) if len(operands) > 1 else 0
        return b.scalar(const(make(byte, shift), lane, count))

    return meaning


def _changed(lane: int, count: int, clear: bool) -> Meaning:
    """orr, bic: some bits set or cleared."""

    def meaning(old: Term, byte: Term, shift: Term) -> Term:
        bits = b.scalar(const(value_of(byte) << value_of(shift), lane, count))
        return b.band(old, b.bnot(bits)) if clear else b.bor(old, bits)

    return meaning


def _bytes_of_bits(byte: int, shift: int) -> int:
    return sum(0xFF << 8 * k for k in range(8) if byte >> k & 1)


def _immediates() -> Iterator[Row]:
    for a in NARROW:
        (lane, count), q, r = ARRANGEMENTS[a], whole(a), letter_of(a)

        def picture(op: str, cmode: str, q: str = q) -> str:
            return f"0 {q} {op} 0111100000 imm8[7:5] {cmode} 01 imm8[4:0] rd"

        if lane == 8:
            yield plain(f"movi {r}d.{a}, byte", picture("0", "1110"), _expanded(8, count, lambda x, n: x), SECTION)
            continue
        cmode, amount = ("10 shift:1", "lsl8") if lane == 16 else ("0 shift:2", "lsl32")
        for name, op, make in (("movi", "0", lambda x, n: x << n), ("mvni", "1", lambda x, n: ~(x << n))):
            yield plain(
                f"{name} {r}d.{a}, byte{{, lsl {amount}}}",
                picture(op, f"{cmode} 0"),
                _expanded(lane, count, make),
                SECTION,
            )
        for name, op in (("orr", "0"), ("bic", "1")):
            yield plain(f"{name} +{r}d.{a}, byte{{, lsl {amount}}}", picture(op, f"{cmode} 1"),
                        _changed(lane, count, name == "bic"), SECTION)  # fmt: skip
        if lane == 32:
            for name, op, make in (("movi", "0", _filled), ("mvni", "1", lambda x, n: ~_filled(x, n))):
                yield plain(f"{name} {r}d.{a}, byte, msl mslby", picture(op, "110 shift:1"), _expanded(32, count, make),
                            SECTION)  # fmt: skip
            yield plain(f"fmov {r}d.{a}, fimm", picture("0", "1111"), _expanded(32, count, _float32), SECTION)
    picture64 = "0 {} 1 0111100000 imm8[7:5] {} 01 imm8[4:0] rd"
    yield plain("movi dd, bytes", picture64.format("0", "1110"), _expanded(64, 1, _bytes_of_bits), SECTION)
    yield plain("movi vd.2d, bytes", picture64.format("1", "1110"), _expanded(64, 2, _bytes_of_bits), SECTION)
    yield plain("fmov vd.2d, fimm", picture64.format("1", "1111"), _expanded(64, 2, _float64), SECTION)


def _filled(byte: int, shift: int) -> int:
    return byte << shift | (1 << shift) - 1


def _float32(byte: int, shift: int) -> int:
    return expanded_float(byte, 32)


def _float64(byte: int, shift: int) -> int:
    return expanded_float(byte, 64)


def _rows() -> Iterator[Row]:
    yield from _copies()
    yield from _permutations()
    yield from _immediates()


ROWS: Final = tuple(_rows())
