"""s390x: parts of general registers, shifts, bit fields, counts, pairs of registers, selections, compare and trap.

Legend: `common`. Bits are numbered from the left, as in the manual.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapter 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.s390x.insts.common import (
    COMPARED,
    CONDITIONS,
    LACKING,
    holds,
    inst,
    narrow,
    set_nonzero,
    set_sign,
    zero,
)
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

SECTION: Final = "7"


# -- immediates that stand at a part of the register


def _insert(low: int, width: int) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, value: Term) -> Term:
        part, above = narrow(value, width), low + width
        part = b.concat(part, b.extract(a, 0, low)) if low else part
        return b.concat(b.extract(a, above, 64 - above), part) if above < 64 else part

    return meaning


def _part(function: Callable[[Term, Term], Term], low: int, width: int) -> Callable[[Machine, Term, Term], Term]:
    """On some bits, by which the condition code is set; the others stay."""

    def meaning(s: Machine, a: Term, value: Term) -> Term:
        result = function(b.extract(a, low, width), narrow(value, width))
        set_nonzero(s, result)
        mask = const((1 << width) - 1 << low, 64)
        return b.bor(b.band(a, b.bnot(mask)), b.shl(b.zext(result, 64), const(low, 64)))

    return meaning


def _test_under_mask(low: int, width: int) -> Callable[[Machine, Term, Term], None]:
    return lambda s, a, value: test_under_mask(s, b.extract(a, low, width), narrow(value, width))


def test_under_mask(s: Machine, a: Term, mask: Term, bytewise: bool = False) -> None:
    """0 all selected bits zero, 3 all one; mixed: 1, of registers 2 if the leftmost selected one is one."""
    selected = b.band(a, mask)
    top = 1 << max(value_of(mask).bit_length() - 1, 0)
    leftmost = b.nonzero(b.band(a, const(top, a.lane)))
    mixed = const(1, 2) if bytewise else b.ite(leftmost, const(2, 2), const(1, 2))
    s.write("cc", b.ite(zero(selected), const(0, 2), b.ite(b.eq(selected, mask), const(3, 2), mixed)))


def _immediates() -> Iterator[Row]:
    for number, (letters, low) in enumerate((("hh", 48), ("hl", 32), ("lh", 16), ("ll", 0))):
        place = _insert(low, 16)
        yield inst(f"lli{letters} >g1, ui16", f"RI A5{12 + number:X}", _shifted(low), SECTION)
        yield inst(f"ii{letters} +g1, ui16", f"RI A5{number:X}", place, SECTION)
        yield inst(f"ni{letters} +g1, ui16", f"RI A5{4 + number:X}", _part(b.band, low, 16), SECTION)
        yield inst(f"oi{letters} +g1, ui16", f"RI A5{8 + number:X}", _part(b.bor, low, 16), SECTION)
        test = f"RI A7{(2, 3, 0, 1)[number]:X}"
        yield inst(f"tm{letters} g1, ui16", test, _test_under_mask(low, 16), SECTION)
    for letter, low, last in (("h", 32, 0), ("l", 0, 1)):
        yield inst(f"ii{letter}f +g1, ui32", f"RIL C0{8 + last:X}", _insert(low, 32), SECTION)
        yield inst(f"xi{letter}f +g1, ui32", f"RIL C0{6 + last:X}", _part(b.bxor, low, 32), SECTION)
        yield inst(f"ni{letter}f +g1, ui32", f"RIL C0{10 + last:X}", _part(b.band, low, 32), SECTION)
        yield inst(f"oi{letter}f +g1, ui32", f"RIL C0{12 + last:X}", _part(b.bor, low, 32), SECTION)
    yield inst("llihf >g1, ui32", "RIL C0E", _shifted(32), SECTION)


def _shifted(low: int) -> Callable[[Machine, Term], Term]:
    return lambda s, value: b.shl(value, const(low, 64))


# -- shifts and bit fields


def shifted(function: Callable[[Term, Term], Term], signs: bool = False) -> Callable[[Machine, Term, Term], Term]:
    """By the low six bits of an address; six bits of a count shift 32 bits out."""

    def meaning(s: Machine, a: Term, count: Term) -> Term:
        wide = b.sext(a, 64) if signs else b.zext(a, 64)
        result = b.trunc(function(wide, b.band(count, const(63, 64))), a.lane)
        if signs:
            set_sign(s, result)
        return result

    return meaning


def rotated(s: Machine, a: Term, count: Term) -> Term:
    return b.rotl(a, b.trunc(b.band(count, const(a.lane - 1, 64)), a.lane))


_SHIFTS: Final[tuple[tuple[str, str, str, Callable[[Machine, Term, Term], Term]], ...]] = (
    ("srag >g1, g3, bdy", "RSY EB0A", "", shifted(b.ashr, True)),
    ("srlg >g1, g3, bdy", "RSY EB0C", "", shifted(b.lshr)),
    ("sllg >g1, g3, bdy", "RSY EB0D", "", shifted(b.shl)), ("rllg >g1, g3, bdy", "RSY EB1C", "", rotated),
    ("rll >w1, w3, bdy", "RSY EB1D", "", rotated), ("srak >w1, w3, bdy", "RSY EBDC", "", shifted(b.ashr, True)),
    ("srlk >w1, w3, bdy", "RSY EBDE", "", shifted(b.lshr)), ("sllk >w1, w3, bdy", "RSY EBDF", "", shifted(b.shl)),
    ("srl +w1, bd", "RSs 88", "", shifted(b.lshr)), ("sll +w1, bd", "RSs 89", "", shifted(b.shl)),
    ("sra +w1, bd", "RSs 8A", "", shifted(b.ashr, True)),
)  # fmt: skip


def selected(start: int, end: int) -> int:
    """The mask of bits start to end, numbered from the left, around the end."""
    bits = 0
    for number in range(((end - start) & 63) + 1):
        bits |= 1 << 63 - ((start + number) & 63)
    return bits


def _field(function: Callable[[Term, Term], Term], tests: bool) -> Callable[..., Term | None]:
    """rnsbg and its like: the condition code is of the selected bits; of a test only it is set."""

    def meaning(s: Machine, a: Term, c: Term, i3: Term, i4: Term, i5: Term) -> Term | None:
        mask = const(selected(value_of(i3) & 63, value_of(i4) & 63), 64)
        result = b.band(function(a, b.rotl(c, const(value_of(i5) & 63, 64))), mask)
        set_nonzero(s, result)
        return None if tests else b.bor(b.band(a, b.bnot(mask)), result)

    return meaning


def _insert_selected(codes: bool, low: int = 0, width: int = 64) -> Callable[..., Term]:
    """Bit 0 of I4: bits that are not selected become zero. Of a half: bits of it only."""

    def meaning(s: Machine, a: Term, c: Term, i3: Term, i4: Term, i5: Term) -> Term:
        half = (1 << width) - 1 << low
        first, last = value_of(i3) & (width - 1), value_of(i4) & (width - 1)
        offset = 64 - low - width
        bits = selected(first + offset, last + offset) if width == 64 else _half(first, last) << low
        mask = const(bits & half, 64)
        rest = const(-1 ^ half if value_of(i4) & 0x80 else -1 ^ value_of(mask), 64)
        result = b.band(b.rotl(c, const(value_of(i5) & 63, 64)), mask)
        result = b.bor(b.band(a, rest), result) if value_of(rest) else result
        if codes:
            set_sign(s, result)
        return result

    return meaning


def _alone(codes: bool) -> Callable[..., Term]:
    """Bit 0 of I4: bits that are not selected become zero, so that the first operand is not read."""
    inserted = _insert_selected(codes)
    return lambda s, c, i3, i4, i5: inserted(s, const(0, 64), c, i3, i4, i5)


def _half(first: int, last: int) -> int:
    bits = 0
    for number in range(((last - first) & 31) + 1):
        bits |= 1 << 31 - ((first + number) & 31)
    return bits


def _bits() -> Iterator[Row]:
    for text, encoding, needs, meaning in _SHIFTS:
        yield inst(text, encoding, meaning, SECTION, needs)
    for name, opcode, function in (("rnsbg", "EC54", b.band), ("rosbg", "EC56", b.bor), ("rxsbg", "EC57", b.bxor)):
        yield inst(f"{name} +g1, g2, start, ui4, ui5", f"RIEn {opcode}", _field(function, False), SECTION)
        yield inst(f"{name} g1, g2, tested, ui4, ui5", f"RIEt {opcode}", _field(function, True), SECTION,
                   untested=LACKING)  # fmt: skip
    for name, opcode, codes in (("risbg", "EC55", True), ("risbgn", "EC59", False)):
        yield inst(f"{name} +g1, g2, ui3, last, ui5", f"RIEk {opcode}", _insert_selected(codes), SECTION)
        yield inst(f"{name} >g1, g2, ui3, zeroing, ui5", f"RIEz {opcode}", _alone(codes), SECTION)
    for name, opcode, low in (("risbhg", "EC5D", 32), ("risblg", "EC51", 0)):
        yield inst(f"{name} +g1, g2, ui3, ui4, ui5", f"RIEf {opcode}", _insert_selected(False, low, 32), SECTION)
    yield inst("flogr >p1, g2", "RRE B983", _leftmost_one, SECTION)
    yield inst("popcnt >g1, g2", "RRFc B9E1", _count_bytes, SECTION, m3=0)
    yield inst("popcnt >g1, g2, 8", "RRFc B9E1", _count, SECTION, "mie3", m3=8)
    yield inst("clzg >g1, g2", "RRE B968", lambda s, a: b.clz(a), SECTION, "mie4", untested=LACKING)
    yield inst("ctzg >g1, g2", "RRE B969", lambda s, a: b.ctz(a), SECTION, "mie4", untested=LACKING)
    yield inst("llgtr >g1, w2", "RRE B917", lambda s, a: b.zext(b.trunc(a, 31), 64), SECTION)


def _leftmost_one(s: Machine, a: Term) -> Term:
    """The number of zeros, and the operand without the one after them; 64 and 0 of zero."""
    count = b.clz(a)
    one = b.lshr(const(1 << 63, 64), b.band(count, const(63, 64)))
    s.write("cc", b.ite(zero(a), const(0, 2), const(2, 2)))
    return b.concat(count, b.band(a, b.bnot(one)))


def _count_bytes(s: Machine, a: Term) -> Term:
    result = b.scalar(b.popcnt(b.shape(a, 8, 8)))
    set_nonzero(s, result)
    return result


def _count(s: Machine, a: Term) -> Term:
    result = b.popcnt(a)
    set_nonzero(s, result)
    return result


# -- products and quotients of two registers


def odd(pair: Term) -> Term:
    """The second register of a pair: of two that were put together, so that the first is not asked for."""
    return pair.args[1] if pair.prim == "concat" else b.trunc(pair, pair.bits // 2)


def product(extend: Callable[[Term, int], Term]) -> Callable[[Machine, Term, Term], Term]:
    """Of the odd register (the low half of a pair) and the operand."""

    def meaning(s: Machine, pair: Term, c: Term) -> Term:
        width = pair.bits // 2
        return b.mul(extend(odd(pair), 2 * width), extend(c, 2 * width))

    return meaning


def quotient(s: Machine, dividend: Term, c: Term, signed: bool) -> Term:
    """Remainder and quotient as a pair; it traps if the divisor is zero or the quotient does not fit."""
    width, wide = c.lane, 2 * c.lane
    divisor = (b.sext if signed else b.zext)(b.ite(zero(c), const(1, width), c), wide)
    divide, rest = (b.sdiv, b.srem) if signed else (b.udiv, b.urem)
    whole = divide(dividend, divisor)
    fits = b.eq((b.sext if signed else b.zext)(b.trunc(whole, width), wide), whole)
    least = b.band(b.eq(dividend, const(1 << wide - 1, wide)), b.eq(divisor, const(-1, wide)))
    lost = b.bor(b.bnot(fits), least) if signed else b.ule(c, b.extract(dividend, width, width))
    s.trap(b.bor(zero(c), lost), "fixed-point divide")
    return b.concat(b.trunc(rest(dividend, divisor), width), b.trunc(whole, width))


def divide_single(size: int, memory: bool) -> Callable[[Machine, Term, Term], Term]:
    """The odd register by the operand."""

    def meaning(s: Machine, pair: Term, c: Term) -> Term:
        c = b.sext(s.load(c, size) if memory else c, 64)
        return quotient(s, b.sext(odd(pair), 128), c, True)

    return meaning


def _loaded(meaning: Callable[[Machine, Term, Term], Term], size: int) -> Callable[[Machine, Term, Term], Term]:
    return lambda s, pair, address: meaning(s, pair, s.load(address, size))


def signed_quotient(s: Machine, pair: Term, c: Term) -> Term:
    return quotient(s, pair, c, True)


def unsigned_quotient(s: Machine, pair: Term, c: Term) -> Term:
    return quotient(s, pair, c, False)


def _pairs() -> Iterator[Row]:
    signed, unsigned = product(b.sext), product(b.zext)
    yield inst("mr +pw1, w2", "RR 1C", signed, SECTION)
    yield inst("mlr +pw1, w2", "RRE B996", unsigned, SECTION)
    yield inst("mlgr +p1, g2", "RRE B986", unsigned, SECTION)
    yield inst("mlg +p1, bdxy", "RXY E386", _loaded(unsigned, 8), SECTION)
    yield inst("mgrk >p1, g2, g3", "RRFa B9EC", lambda s, a, c: b.mul(b.sext(a, 128), b.sext(c, 128)), SECTION, "mie2")
    yield inst("dr +pw1, w2", "RR 1D", signed_quotient, SECTION)
    yield inst("dlr +pw1, w2", "RRE B997", unsigned_quotient, SECTION)
    yield inst("dlgr +p1, g2", "RRE B987", unsigned_quotient, SECTION)
    yield inst("dlg +p1, bdxy", "RXY E387", _loaded(unsigned_quotient, 8), SECTION)
    yield inst("dsgr +p1, g2", "RRE B90D", divide_single(8, False), SECTION)
    yield inst("dsgfr +p1, w2", "RRE B91D", divide_single(4, False), SECTION)
    yield inst("dsg +p1, bdxy", "RXY E30D", divide_single(8, True), SECTION)
    yield inst("dsgf +p1, bdxy", "RXY E31D", divide_single(4, True), SECTION)


# -- on a condition


def _select(mask: int) -> Callable[..., Term]:
    return lambda s, a, c: b.ite(holds(s, mask), c, a)


def _narrowed(mask: int, width: int) -> Callable[..., Term]:
    return lambda s, a, value: b.ite(holds(s, mask), narrow(value, width), a)


def _select_three(mask: int) -> Callable[..., Term]:
    return lambda s, a, c: b.ite(holds(s, mask), a, c)


def _conditional() -> Iterator[Row]:
    for mask, condition in CONDITIONS.items():
        for name, opcode, x in (("locr", "B9F2", "w"), ("locgr", "B9E2", "g")):
            yield inst(f"{name}{condition} +{x}1, {x}2", f"RRFc {opcode}", _select(mask), SECTION, m3=mask)
        for name, opcode, x in (("lochi", "EC42", "w"), ("locghi", "EC46", "g")):
            width = 32 if x == "w" else 64
            yield inst(f"{name}{condition} +{x}1, si16", f"RIEg {opcode}", _narrowed(mask, width), SECTION, m3=mask)
        for name, opcode, x in (("selr", "B9F0", "w"), ("selgr", "B9E3", "g")):
            yield inst(f"{name}{condition} >{x}1, {x}2, {x}3", f"RRFm {opcode}", _select_three(mask), SECTION, "mie3",
                       m4=mask)  # fmt: skip


def _trap(mask: int, signed: bool) -> Callable[[Machine, Term, Term], None]:
    """It traps where the comparison is one of the mask's."""

    def meaning(s: Machine, a: Term, c: Term) -> None:
        s.trap(comparison(mask, signed)(a, narrow(c, a.lane)), "compare and trap")

    return meaning


def comparison(mask: int, signed: bool) -> Callable[[Term, Term], Term]:
    """Whether two numbers compare as a mask says: 8 equal, 4 less, 2 greater."""
    less = b.slt if signed else b.ult

    def truth(a: Term, c: Term) -> Term:
        one_of = {8: b.eq(a, c), 4: less(a, c), 2: less(c, a)}
        return b.bor(*(term for bit, term in one_of.items() if mask & bit)) if mask in (10, 12, 6) else one_of[mask]

    return truth


def _traps() -> Iterator[Row]:
    for mask, condition in COMPARED.items():
        for name, opcode, x, signed in (("crt", "B972", "w", True), ("cgrt", "B960", "g", True),
                                        ("clrt", "B973", "w", False), ("clgrt", "B961", "g", False)):  # fmt: skip
            yield inst(f"{name}{condition} {x}1, {x}2", f"RRFc {opcode}", _trap(mask, signed), SECTION, m3=mask)
        for name, opcode, x, u in (("cit", "EC72", "w", "s"), ("cgit", "EC70", "g", "s"),
                                   ("clfit", "EC73", "w", "u"), ("clgit", "EC71", "g", "u")):  # fmt: skip
            yield inst(f"{name}{condition} {x}1, {u}i16", f"RIEa {opcode}", _trap(mask, u == "s"), SECTION, m3=mask,
                       untested="it goes on only if two numbers are equal" if condition == "ne" else "")  # fmt: skip


ROWS: Final = (*_immediates(), *_bits(), *_pairs(), *_conditional(), *_traps())
