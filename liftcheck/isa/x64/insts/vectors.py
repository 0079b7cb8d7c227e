"""x86-64: integers in vectors, of SSE2 to SSE4.2 and AVX: arithmetic, comparison, shifts, packing, shuffles.

The one idea: a table of (name, prefix, map, opcode, meaning, extension), from which both forms come (`lanes.both`).
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; a row's section is the page there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.x64.insts.common import FALSE, inst
from liftcheck.isa.x64.insts.floats import without
from liftcheck.isa.x64.insts.lanes import BITS, Two, both, both_one, cut, lanes, opcode, vex, whole
from liftcheck.mach.rows.integers import saturated
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Meaning, Row

_LETTER: Final = {8: "b", 16: "w", 32: "d", 64: "q"}


def high(lane: int, signed: bool) -> Two:
    """The upper halves of the products."""
    extend = b.sext if signed else b.zext
    return lanes(lane, lambda a, c: b.extract(b.mul(extend(a, 2 * lane), extend(c, 2 * lane)), lane, lane))


def even(signed: bool) -> Two:
    """The products of every other lane of 32 bits."""
    extend = b.sext if signed else b.zext
    return lanes(64, lambda a, c: b.mul(extend(b.trunc(a, 32), 64), extend(b.trunc(c, 32), 64)))


def rounded_high(a: Term, c: Term) -> Term:
    """pmulhrsw: bits 30 to 15 of the product, rounded."""
    wide = b.add(b.mul(b.sext(a, 32), b.sext(c, 32)), const(1 << 14, 32, a.lanes))
    return b.extract(wide, 15, 16)


def average(a: Term, c: Term) -> Term:
    """Rounded up."""
    wide = b.add(b.add(b.zext(a, 2 * a.lane), b.zext(c, 2 * a.lane)), const(1, 2 * a.lane, a.lanes))
    return b.extract(wide, 1, a.lane)


def pairs(lane: int, function: Two = b.add) -> Two:
    """Neighbours put together: those of the first operand, then those of the second."""

    def meaning(a: Term, c: Term) -> Term:
        count = BITS // lane
        first, second = (b.permute((cut(a, lane), cut(c, lane)), [2 * k + odd for k in range(count)]) for odd in (0, 1))
        return b.scalar(function(first, second))

    return meaning


def products(lane: int, signed: tuple[bool, bool], clamp: bool) -> Two:
    """Sums of two neighbouring products: pmaddwd, pmaddubsw."""

    def meaning(a: Term, c: Term) -> Term:
        wide = [(b.sext if s else b.zext)(cut(x, lane), 4 * lane) for x, s in zip((a, c), signed)]
        product = b.mul(*wide)
        count = product.lanes // 2
        total = b.add(*(b.permute((product,), [2 * k + odd for k in range(count)]) for odd in (0, 1)))
        return b.scalar(b.clamp_signed(total, 2 * lane) if clamp else b.trunc(total, 2 * lane))

    return meaning


def packed(lane: int, signed: bool) -> Two:
    """Signed lanes saturated to half: those of the first operand below."""

    def meaning(a: Term, c: Term) -> Term:
        halves = [cut(x, lane) for x in (a, c)]
        done = [b.clamp_signed(x, lane // 2) if signed else b.clamp_unsigned(x, lane // 2, True) for x in halves]
        return b.concat(b.scalar(done[1]), b.scalar(done[0]))

    return meaning


def interleaved(lane: int, upper: bool) -> Two:
    """Lanes of both in turn, of the lower or upper halves."""
    count = BITS // lane
    start = count // 2 if upper else 0
    indexes = [x for k in range(count // 2) for x in (start + k, count + start + k)]
    return lanes(lane, lambda a, c: b.permute((a, c), indexes))


def shuffled_bytes(a: Term, c: Term) -> Term:
    """pshufb: bytes by number; zero where the number is negative."""
    low = b.band(c, const(15, 8, 16))
    return b.ite(b.slt(c, const(0, 8, 16)), const(0, 8, 16), b.gather(a, low))


def compared(predicate: Two) -> Two:
    """All ones where it holds."""
    return lambda a, c: b.sext(predicate(a, c), a.lane)


def _greater(a: Term, c: Term) -> Term:
    return b.slt(c, a)


def _each(name: str, bytes_: Sequence[tuple[int, str, str, str]], function: Two, suffix: str = "") -> list[tuple[
    str, str, str, Two, str]]:  # fmt: skip
    """Rows of the table for several widths: (lane, map, opcode, extension)."""
    return [
        (f"{name}{_LETTER[lane]}{suffix}", space, byte, lanes(lane, function), needs)
        for lane, space, byte, needs in bytes_
    ]


_TABLE: Final[tuple[tuple[str, str, str, Two, str], ...]] = (
    *_each("padd", ((8, "0F", "FC", "sse2"), (16, "0F", "FD", "sse2"), (32, "0F", "FE", "sse2"),
                    (64, "0F", "D4", "sse2")), b.add),
    *_each("psub", ((8, "0F", "F8", "sse2"), (16, "0F", "F9", "sse2"), (32, "0F", "FA", "sse2"),
                    (64, "0F", "FB", "sse2")), b.sub),
    ("paddsb", "0F", "EC", lanes(8, saturated(b.add, True)), "sse2"),
    ("paddsw", "0F", "ED", lanes(16, saturated(b.add, True)), "sse2"),
    ("paddusb", "0F", "DC", lanes(8, saturated(b.add, False)), "sse2"),
    ("paddusw", "0F", "DD", lanes(16, saturated(b.add, False)), "sse2"),
    ("psubsb", "0F", "E8", lanes(8, saturated(b.sub, True)), "sse2"),
    ("psubsw", "0F", "E9", lanes(16, saturated(b.sub, True)), "sse2"),
    ("psubusb", "0F", "D8", lanes(8, saturated(b.sub, False)), "sse2"),
    ("psubusw", "0F", "D9", lanes(16, saturated(b.sub, False)), "sse2"),
    ("phaddw", "0F38", "01", pairs(16), "ssse3"), ("phaddd", "0F38", "02", pairs(32), "ssse3"),
    ("pmaddwd", "0F", "F5", products(16, (True, True), False), "sse2"),
    ("pmaddubsw", "0F38", "04", products(8, (False, True), True), "ssse3"),
    ("pmullw", "0F", "D5", lanes(16, b.mul), "sse2"), ("pmulld", "0F38", "40", lanes(32, b.mul), "sse4.1"),
    ("pmulhw", "0F", "E5", high(16, True), "sse2"), ("pmulhuw", "0F", "E4", high(16, False), "sse2"),
    ("pmulhrsw", "0F38", "0B", lanes(16, rounded_high), "ssse3"),
    ("pmuldq", "0F38", "28", even(True), "sse4.1"), ("pmuludq", "0F", "F4", even(False), "sse2"),
    ("pavgb", "0F", "E0", lanes(8, average), "sse2"), ("pavgw", "0F", "E3", lanes(16, average), "sse2"),
    ("pand", "0F", "DB", b.band, "sse2"), ("pandn", "0F", "DF", without, "sse2"), ("por", "0F", "EB", b.bor, "sse2"),
    ("pxor", "0F", "EF", b.bxor, "sse2"),
    *_each("pmaxs", ((8, "0F38", "3C", "sse4.1"), (16, "0F", "EE", "sse2"), (32, "0F38", "3D", "sse4.1")), b.smax),
    *_each("pmaxu", ((8, "0F", "DE", "sse2"), (16, "0F38", "3E", "sse4.1"), (32, "0F38", "3F", "sse4.1")), b.umax),
    *_each("pmins", ((8, "0F38", "38", "sse4.1"), (16, "0F", "EA", "sse2"), (32, "0F38", "39", "sse4.1")), b.smin),
    *_each("pminu", ((8, "0F", "DA", "sse2"), (16, "0F38", "3A", "sse4.1"), (32, "0F38", "3B", "sse4.1")), b.umin),
    *_each("pcmpeq", ((8, "0F", "74", "sse2"), (16, "0F", "75", "sse2"), (32, "0F", "76", "sse2"),
                      (64, "0F38", "29", "sse4.1")), compared(b.eq)),
    *_each("pcmpgt", ((8, "0F", "64", "sse2"), (16, "0F", "65", "sse2"), (32, "0F", "66", "sse2"),
                      (64, "0F38", "37", "sse4.2")), compared(_greater)),
    ("packsswb", "0F", "63", packed(16, True), "sse2"), ("packssdw", "0F", "6B", packed(32, True), "sse2"),
    ("packuswb", "0F", "67", packed(16, False), "sse2"), ("packusdw", "0F38", "2B", packed(32, False), "sse4.1"),
    ("punpcklbw", "0F", "60", interleaved(8, False), "sse2"), ("punpcklwd", "0F", "61", interleaved(16, False), "sse2"),
    ("punpckldq", "0F", "62", interleaved(32, False), "sse2"),
    ("punpcklqdq", "0F", "6C", interleaved(64, False), "sse2"),
    ("punpckhbw", "0F", "68", interleaved(8, True), "sse2"), ("punpckhwd", "0F", "69", interleaved(16, True), "sse2"),
    ("punpckhdq", "0F", "6A", interleaved(32, True), "sse2"),
    ("punpckhqdq", "0F", "6D", interleaved(64, True), "sse2"),
    ("pshufb", "0F38", "00", lanes(8, shuffled_bytes), "ssse3"),
)  # fmt: skip
"""Name, map, opcode, meaning, extension; the prefix of all is 66."""


def _table() -> Iterator[Row]:
    for name, space, byte, function, needs in _TABLE:
        yield from both(name, "66", space, byte, function, needs)
    for name, prefix, byte, lane, upper in (
        ("unpcklps", "", "14", 32, False), ("unpckhps", "", "15", 32, True), ("unpcklpd", "66", "14", 64, False),
        ("unpckhpd", "66", "15", 64, True),
    ):  # fmt: skip
        yield from both(name, prefix, "0F", byte, interleaved(lane, upper), "sse" if lane == 32 else "sse2")
    for lane, byte in ((8, "1C"), (16, "1D"), (32, "1E")):
        yield from both_one(f"pabs{_LETTER[lane]}", "66", "0F38", byte, lanes(lane, absolute), "ssse3")


def absolute(a: Term) -> Term:
    """Without the sign; the least number stays."""
    return b.ite(b.slt(a, const(0, a.lane, a.lanes)), b.neg(a), a)


# -- shifts

SHIFTS: Final[tuple[tuple[str, Two, tuple[tuple[int, str, str, int], ...]], ...]] = (
    ("psll", b.shl, ((16, "F1", "71", 6), (32, "F2", "72", 6), (64, "F3", "73", 6))),
    ("psrl", b.lshr, ((16, "D1", "71", 2), (32, "D2", "72", 2), (64, "D3", "73", 2))),
    ("psra", b.ashr, ((16, "E1", "71", 4), (32, "E2", "72", 4))),
)
"""Name, meaning, (lane, opcode with a vector, with an immediate, its digit)."""


def by_count(shift: Two, lane: int) -> Two:
    """All lanes by one count, the low 64 bits; a count beyond the width gives zeros or signs."""

    def meaning(a: Term, c: Term) -> Term:
        most = const(lane, 64)
        count = b.trunc(c, 64)
        short = b.trunc(b.ite(b.ult(most, count), most, count), lane)
        value = cut(a, lane)
        return b.scalar(shift(value, b.splat(short, value.lanes)))

    return meaning


def by_immediate(shift: Two, lane: int) -> Two:
    """All lanes by a constant."""

    def meaning(a: Term, imm: Term) -> Term:
        value = cut(a, lane)
        return b.scalar(shift(value, const(min(value_of(imm), lane), lane, value.lanes)))

    return meaning


def whole_bytes(shift: Two) -> Two:
    """The whole vector by bytes: pslldq, psrldq."""
    return lambda a, imm: shift(a, const(8 * min(value_of(imm), 16), BITS))


def _shifts() -> Iterator[Row]:
    for name, shift, widths in SHIFTS:
        for lane, byte, other, digit in widths:
            full = name + _LETTER[lane]
            page = "PSLLW/PSLLD/PSLLQ".replace("SLL", name[1:].upper())
            yield from both(full, "66", "0F", byte, by_count(shift, lane), "sse2", page)
            yield from _immediate(full, other, digit, by_immediate(shift, lane), page)
    for full, digit, shift in (("pslldq", 7, b.shl), ("psrldq", 3, b.lshr)):
        yield from _immediate(full, "73", digit, whole_bytes(shift), full.upper())


def _immediate(name: str, byte: str, digit: int, function: Two, page: str) -> Iterator[Row]:
    yield inst(f"{name} +xr, u8", opcode("66", "0F", byte, f"/{digit} ib"), whole(function), page, "sse2")
    yield inst(f"v{name} >xw, xr, u8", vex("66", "0F", byte, f"/{digit} ib"), whole(function), page, "avx")


# -- shuffles by an immediate


def _picked(imm: Term, count: int = 4, bits: int = 2) -> list[int]:
    number = value_of(imm)
    return [number >> bits * k & (1 << bits) - 1 for k in range(count)]


def dwords(a: Term, imm: Term) -> Term:
    """pshufd"""
    return b.scalar(b.permute((cut(a, 32),), _picked(imm)))


def words(start: int) -> Two:
    """pshuflw, pshufhw: four words of one half."""

    def meaning(a: Term, imm: Term) -> Term:
        indexes = list(range(8))
        indexes[start : start + 4] = [start + k for k in _picked(imm)]
        return b.scalar(b.permute((cut(a, 16),), indexes))

    return meaning


def floats(a: Term, c: Term, imm: Term) -> Term:
    """shufps: two of each."""
    k = _picked(imm)
    return b.scalar(b.permute((cut(a, 32), cut(c, 32)), [k[0], k[1], 4 + k[2], 4 + k[3]]))


def doubles(a: Term, c: Term, imm: Term) -> Term:
    """shufpd: one of each."""
    k = _picked(imm, 2, 1)
    return b.scalar(b.permute((cut(a, 64), cut(c, 64)), [k[0], 2 + k[1]]))


def aligned(a: Term, c: Term, imm: Term) -> Term:
    """palignr: 16 bytes of both, the first above, from a byte on."""
    by = 8 * min(value_of(imm), 32)
    pair = b.concat(b.concat(const(0, 2 * BITS), a), c)
    return b.extract(pair, by, BITS)


def blended(a: Term, c: Term, imm: Term) -> Term:
    """pblendw: words of the second where the immediate has ones."""
    number = value_of(imm)
    return b.scalar(b.permute((cut(a, 16), cut(c, 16)), [k + 8 * (number >> k & 1) for k in range(8)]))


def inserted(a: Term, part: Term, imm: Term) -> Term:
    """insertps: a number into a lane, and zeros where the immediate has ones."""
    number = value_of(imm)
    indexes = [-1 if number >> k & 1 else 4 if k == number >> 4 & 3 else k for k in range(4)]
    return b.scalar(b.permute((cut(a, 32), cut(b.zext(part, BITS), 32)), indexes))


def _from_register(a: Term, c: Term, imm: Term) -> Term:
    """insertps of a register: bits 7 and 6 say which lane."""
    return inserted(a, b.extract(c, 32 * (value_of(imm) >> 6), 32), imm)


def _shuffles() -> Iterator[Row]:
    for name, prefix, two in (("pshufd", "66", dwords), ("pshuflw", "F2", words(0)), ("pshufhw", "F3", words(4))):
        yield inst(f"{name} >x, xa, u8", opcode(prefix, "0F", "70", "/r ib"), whole(two), name.upper(), "sse2")
        yield inst(f"v{name} >x, xm128, u8", vex(prefix, "0F", "70", "/r ib"), whole(two), name.upper(), "avx")
    for name, prefix, space, byte, three, needs in (
        ("shufps", "", "0F", "C6", floats, "sse"), ("shufpd", "66", "0F", "C6", doubles, "sse2"),
        ("palignr", "66", "0F3A", "0F", aligned, "ssse3"), ("pblendw", "66", "0F3A", "0E", blended, "sse4.1"),
    ):  # fmt: skip
        yield inst(f"{name} +x, xa, u8", opcode(prefix, space, byte, "/r ib"), whole(three), name.upper(), needs)
        yield inst(f"v{name} >x, xv, xm128, u8", vex(prefix, space, byte, "/r ib"), whole(three), name.upper(), "avx")
    for source, made in (("xr", _from_register), ("m32", inserted)):
        yield inst(f"insertps +x, {source}, u8", opcode("66", "0F3A", "21", "/r ib"), whole(made), "INSERTPS", "sse4.1")
        yield inst(f"vinsertps >x, xv, {source}, u8", vex("66", "0F3A", "21", "/r ib"), whole(made), "INSERTPS", "avx")


def selected(lane: int) -> Callable[[Term, Term, Term], Term]:
    """Lanes of the second where the third is negative."""

    def meaning(a: Term, c: Term, chosen: Term) -> Term:
        signs = b.slt(cut(chosen, lane), const(0, lane, BITS // lane))
        return b.scalar(b.ite(signs, cut(c, lane), cut(a, lane)))

    return meaning


def _by_first(lane: int) -> Meaning:
    return lambda s, a, c: selected(lane)(a, c, s.read(64))


def _variable() -> Iterator[Row]:
    for name, lane, old, new in (
        ("pblendvb", 8, "10", "4C"),
        ("blendvps", 32, "14", "4A"),
        ("blendvpd", 64, "15", "4B"),
    ):
        yield inst(f"{name} +x, xa, xmm0", opcode("66", "0F38", old), _by_first(lane), name.upper(), "sse4.1")
        yield inst(f"v{name} >x, xv, xm128, xi", vex("66", "0F3A", new, "/r ib", w="W0"), whole(selected(lane)),
                   name.upper(), "avx")  # fmt: skip


# -- to flags and integers


def _all_or_none(s: Machine, a: Term, c: Term) -> None:
    """ptest: zero: no bit in common; carry: none of the second that the first lacks."""
    s.write("zf", b.bnot(b.nonzero(b.band(a, c))))
    s.write("cf", b.bnot(b.nonzero(without(a, c))))
    for name in ("pf", "sf", "of"):
        s.write(name, FALSE)


def signs(lane: int) -> Callable[[Term], Term]:
    """The lanes' signs as a number."""
    return lambda a: b.zext(b.scalar(b.slt(cut(a, lane), const(0, lane, BITS // lane))), 32)


def _out() -> Iterator[Row]:
    yield inst("ptest x, xa", opcode("66", "0F38", "17"), _all_or_none, "PTEST", "sse4.1")
    yield inst("vptest x, xm128", vex("66", "0F38", "17"), _all_or_none, "PTEST", "avx")
    for name, prefix, byte, lane, needs in (("movmskps", "", "50", 32, "sse"), ("movmskpd", "66", "50", 64, "sse2"),
                                            ("pmovmskb", "66", "D7", 8, "sse2")):  # fmt: skip
        yield inst(f"{name} >r32, xr", opcode(prefix, "0F", byte), whole(signs(lane)), name.upper(), needs)
        yield inst(f"v{name} >r32, xr", vex(prefix, "0F", byte), whole(signs(lane)), name.upper(), "avx")


def extended(source: int, lane: int, extend: Callable[[Term, int], Term]) -> Callable[[Term], Term]:
    """pmovsx, pmovzx: the low lanes, wider."""
    return lambda a: b.scalar(extend(cut(b.trunc(a, BITS * source // lane), source), lane))


_WIDENED: Final = ((8, 16, 0), (8, 32, 1), (8, 64, 2), (16, 32, 3), (16, 64, 4), (32, 64, 5))


def _extensions() -> Iterator[Row]:
    for name, base, extend in (("pmovsx", 0x20, b.sext), ("pmovzx", 0x30, b.zext)):
        for source, lane, number in _WIDENED:
            full, bits = f"{name}{_LETTER[source]}{_LETTER[lane]}", BITS * source // lane
            made = whole(extended(source, lane, extend))
            yield inst(
                f"{full} >x, xm{bits}", opcode("66", "0F38", f"{base + number:02X}"), made, name.upper(), "sse4.1"
            )
            yield inst(f"v{full} >x, xm{bits}", vex("66", "0F38", f"{base + number:02X}"), made, name.upper(), "avx")


ROWS: Final[tuple[Row, ...]] = (*_table(), *_shifts(), *_shuffles(), *_variable(), *_out(), *_extensions())
