"""s390x: integers in vectors: arithmetic, logic, shifts, comparisons, saturating packs.

Legend: `common`, `vector_moves`; what sets the condition code has the suffix s.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapter 22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.s390x.insts.common import LACKING, compared, inst
from liftcheck.isa.s390x.insts.vector_moves import SIZES, element, elements, whole
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

SECTION: Final = "22"
WITH_Q: Final = {**SIZES, "q": 4}
Lanes = Callable[..., Term]
"""An operation on elements, all at once."""


def on(function: Lanes, width: int) -> Callable[..., Term]:
    """On elements of a size."""
    return lambda s, *values: whole(function(*(elements(v, width) for v in values)))


# -- operations


def _carry(a: Term, c: Term) -> Term:
    return b.zext(b.ult(b.add(a, c), a), a.lane)


def _no_borrow(a: Term, c: Term) -> Term:
    return b.zext(b.ule(c, a), a.lane)


def _average(extend: Callable[[Term, int], Term]) -> Lanes:
    """Rounded up."""

    def function(a: Term, c: Term) -> Term:
        wide = a.lane + 8
        total = b.add(b.add(extend(a, wide), extend(c, wide)), const(1, wide, a.lanes))
        return b.extract(total, 1, a.lane)

    return function


def _high(extend: Callable[[Term, int], Term]) -> Lanes:
    return lambda a, c: b.extract(b.mul(extend(a, 2 * a.lane), extend(c, 2 * a.lane)), a.lane, a.lane)


def _absolute(a: Term) -> Term:
    return b.ite(b.slt(a, const(0, a.lane, a.lanes)), b.neg(a), a)


def _alternate(even: bool, extend: Callable[[Term, int], Term], width: int) -> Callable[[Term], Term]:
    """The even or odd elements, widened."""

    def function(a: Term) -> Term:
        half = b.extract(elements(a, 2 * width), width if even else 0, width)
        return extend(half, 2 * width)

    return function


def _alternate_product(even: bool, extend: Callable[[Term, int], Term], width: int) -> Callable[..., Term]:
    widened = _alternate(even, extend, width)

    def meaning(s: Machine, a: Term, c: Term, addend: Term | None = None) -> Term:
        product = b.mul(widened(a), widened(c))
        return whole(product if addend is None else b.add(product, elements(addend, 2 * width)))

    return meaning


def _with_addend(extend: Callable[[Term, int], Term], high: bool) -> Lanes:
    def function(a: Term, c: Term, addend: Term) -> Term:
        if not high:
            return b.add(b.mul(a, c), addend)
        wide = 2 * a.lane
        return b.extract(b.add(b.mul(extend(a, wide), extend(c, wide)), extend(addend, wide)), a.lane, a.lane)

    return function


def _modulo(function: Callable[[Term, Term], Term]) -> Lanes:
    """A shift by the count of each element, modulo its size."""
    return lambda a, n: function(a, b.band(n, const(a.lane - 1, a.lane, a.lanes)))


_TWO: Final[tuple[tuple[str, str, Lanes], ...]] = (
    ("va", "F3", b.add), ("vs", "F7", b.sub), ("vacc", "F1", _carry), ("vscbi", "F5", _no_borrow),
)  # fmt: skip
_EACH: Final[tuple[tuple[str, str, Lanes], ...]] = (
    ("vavg", "F2", _average(b.sext)), ("vavgl", "F0", _average(b.zext)), ("vmx", "FF", b.smax), ("vmxl", "FD", b.umax),
    ("vmn", "FE", b.smin), ("vmnl", "FC", b.umin), ("veslv", "70", _modulo(b.shl)), ("vesrlv", "78", _modulo(b.lshr)),
    ("vesrav", "7A", _modulo(b.ashr)), ("verllv", "73", _modulo(b.rotl)),
)  # fmt: skip
_LOGIC: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term]], ...]] = (
    ("vn", "68", "", b.band), ("vnc", "69", "", lambda a, c: b.band(a, b.bnot(c))), ("vo", "6A", "", b.bor),
    ("vno", "6B", "", lambda a, c: b.bnot(b.bor(a, c))), ("vx", "6D", "", b.bxor),
    ("vnx", "6C", "vxrs_ext1", lambda a, c: b.bnot(b.bxor(a, c))),
    ("vnn", "6E", "vxrs_ext1", lambda a, c: b.bnot(b.band(a, c))),
    ("voc", "6F", "vxrs_ext1", lambda a, c: b.bor(a, b.bnot(c))),
)  # fmt: skip
_ONE: Final[tuple[tuple[str, str, str, Lanes], ...]] = (
    ("vlc", "DE", "", b.neg), ("vlp", "DF", "", _absolute), ("vclz", "53", "", b.clz), ("vctz", "52", "", b.ctz),
)  # fmt: skip
_PRODUCTS: Final = (
    ("vmh", "A3", "vmah", "AB", b.sext), ("vmlh", "A1", "vmalh", "A9", b.zext),
)  # fmt: skip
_ALTERNATE: Final = (
    ("vme", "A6", "vmae", "AE", True, b.sext), ("vmle", "A4", "vmale", "AC", True, b.zext),
    ("vmo", "A7", "vmao", "AF", False, b.sext), ("vmlo", "A5", "vmalo", "AD", False, b.zext),
)  # fmt: skip


def _three(text: str, code: str, meaning: Callable[..., Term], m4: int, needs: str = "") -> Row:
    """A row of VRR-c; elements of 16 bytes came with the third extension."""
    lacking = LACKING if needs == "vxrs_ext3" else ""
    return inst(f"{text} >v1, v2, v3", f"VRRc E7{code}", meaning, SECTION, needs, lacking, m4=m4, m5=0, m6=0)


def _four(text: str, code: str, meaning: Callable[..., Term], m5: int, needs: str = "") -> Row:
    lacking = LACKING if needs == "vxrs_ext3" else ""
    return inst(f"{text} >v1, v2, v3, v4", f"VRRd E7{code}", meaning, SECTION, needs, lacking, m5=m5, m6=0)


def _arithmetic() -> Iterator[Row]:
    for letter, m in WITH_Q.items():
        width, q = 8 << m, "vxrs_ext3" if m == 4 else ""
        for name, code, function in _TWO:
            yield _three(name + letter, code, on(function, width), m)
        for name, code, function in _EACH:
            if m < 4 or name in ("vmx", "vmxl", "vmn", "vmnl"):
                yield _three(name + letter, code, on(function, width), m, q)
        for name, code, needs, function in _ONE:
            yield inst(f"{name}{letter} >v1, v2", f"VRRa E7{code}", on(function, width), SECTION, q or needs,
                       LACKING if q else "", m3=m, m4=0, m5=0)  # fmt: skip
        if m < 4:
            needs = "vxrs_ext1" if m else ""
            yield inst(f"vpopct{letter} >v1, v2", "VRRa E750", on(b.popcnt, width), SECTION, needs, m3=m, m4=0, m5=0)
        if m > 1:
            for name, code, signed, rest in (("vd", "B2", True, False), ("vdl", "B0", False, False),
                                             ("vr", "B3", True, True), ("vrl", "B1", False, True)):  # fmt: skip
                yield _three(name + letter, code, _divide(width, signed, rest), m, "vxrs_ext3")
    for name, code, needs, function in _LOGIC:
        yield _three(name, code, _pure(function), 0, needs)


def _pure(function: Lanes) -> Callable[..., Term]:
    return lambda s, *values: function(*values)


def _divide(width: int, signed: bool, rest: bool) -> Callable[[Machine, Term, Term], Term]:
    """It traps where a divisor is zero, or a signed quotient does not fit."""

    def meaning(s: Machine, a: Term, c: Term) -> Term:
        a, c = elements(a, width), elements(c, width)
        none, minus, least = (const(x, width, a.lanes) for x in (0, -1, 1 << width - 1))
        bad = b.eq(c, none)
        if signed:
            bad = b.bor(bad, b.band(b.eq(a, least), b.eq(c, minus)))
        s.trap(b.nonzero(b.scalar(bad)), "vector divide")
        divisor = b.ite(bad, const(1, width, a.lanes), c)
        divide = (b.srem if signed else b.urem) if rest else (b.sdiv if signed else b.udiv)
        return whole(divide(a, divisor))

    return meaning


def _products() -> Iterator[Row]:
    for letter, m in WITH_Q.items():
        width, q = 8 << m, "vxrs_ext3" if m > 2 else ""
        name = "vmlhw" if letter == "h" else f"vml{letter}"
        yield _three(name, "A2", on(b.mul, width), m, q)
        yield _four("vmalhw" if letter == "h" else f"vmal{letter}", "AA", on(_with_addend(b.zext, False), width), m, q)
        for high, code, add, add_code, extend in _PRODUCTS:
            yield _three(high + letter, code, on(_high(extend), width), m, q)
            yield _four(add + letter, add_code, on(_with_addend(extend, True), width), m, q)
        for alternate, code, add, add_code, even, extend in _ALTERNATE if m < 4 else ():
            meaning = _alternate_product(even, extend, width)
            yield _three(alternate + letter, code, meaning, m, q)
            yield _four(add + letter, add_code, meaning, m, q)


def _with_carry(subtracts: bool, code: bool) -> Callable[[Machine, Term, Term, Term], Term]:
    """Sum or difference of 128 bits with the carry in the last bit of the third operand, or its carry."""

    def meaning(s: Machine, a: Term, c: Term, carry: Term) -> Term:
        parts = [b.zext(x, 136) for x in (a, b.bnot(c) if subtracts else c, b.trunc(carry, 1))]
        total = b.add(b.add(parts[0], parts[1]), parts[2])
        return b.zext(b.extract(total, 128, 1), 128) if code else b.trunc(total, 128)

    return meaning


def _carries() -> Iterator[Row]:
    for name, opcode, subtracts, carry in (("vacq", "BB", False, False), ("vacccq", "B9", False, True),
                                           ("vsbiq", "BF", True, False), ("vsbcbiq", "BD", True, True)):  # fmt: skip
        yield _four(name, opcode, _with_carry(subtracts, carry), 4)


# -- shifts


def _by_address(function: Callable[[Term, Term], Term], width: int) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, address: Term) -> Term:
        count = b.trunc(b.band(address, const(width - 1, 64)), width)
        return whole(function(elements(a, width), b.splat(count, 128 // width)))

    return meaning


def _bytes_of_two(a: Term, filler: Term, left: bool) -> Term:
    """16 bits for each byte: itself with the one after it, or the one before it with itself."""
    other = b.concat(b.trunc(a, 120), filler) if left else b.concat(filler, b.extract(a, 8, 120))
    own, next_to = (b.zext(elements(x, 8), 16) for x in (a, other))
    high, low = (own, next_to) if left else (next_to, own)
    return b.bor(b.shl(high, const(8, 16, 16)), low)


def _bits_left(s: Machine, a: Term, counts: Term) -> Term:
    count = b.zext(b.band(elements(counts, 8), const(7, 8, 16)), 16)
    return whole(b.extract(b.shl(_bytes_of_two(a, const(0, 8), True), count), 8, 8))


def _bits_right(signed: bool) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, counts: Term) -> Term:
        count = b.zext(b.band(elements(counts, 8), const(7, 8, 16)), 16)
        filler = b.sext(b.extract(a, 127, 1), 8) if signed else const(0, 8)
        return whole(b.trunc(b.lshr(_bytes_of_two(a, filler, False), count), 8))

    return meaning


def _whole_bytes(function: Callable[[Term, Term], Term]) -> Callable[[Machine, Term, Term], Term]:
    """By bits 1 to 4 of byte 7, in bytes."""

    def meaning(s: Machine, a: Term, counts: Term) -> Term:
        count = b.zext(b.extract(element(counts, 7, 8), 3, 4), 128)
        return function(a, b.shl(count, const(3, 128)))

    return meaning


def _shifts() -> Iterator[Row]:
    for letter, m in SIZES.items():
        for name, code, function in (("vesl", "30", b.shl), ("verll", "33", b.rotl), ("vesrl", "38", b.lshr),
                                     ("vesra", "3A", b.ashr)):  # fmt: skip
            yield inst(f"{name}{letter} >v1, v3, bd", f"VRSa E7{code}", _by_address(function, 8 << m), SECTION, m4=m)
    for name, code, meaning in (("vsl", "74", _bits_left), ("vsrl", "7C", _bits_right(False)),
                                ("vsra", "7E", _bits_right(True)), ("vslb", "75", _whole_bytes(b.shl)),
                                ("vsrlb", "7D", _whole_bytes(b.lshr)),
                                ("vsrab", "7F", _whole_bytes(b.ashr))):  # fmt: skip
        yield _three(name, code, meaning, 0)


# -- comparisons and what sets the condition code


def set_some(s: Machine, truths: Term, every: int = 0, none: int = 3) -> None:
    """Whether all, some, none of the truth values hold; some is 1."""
    bits = b.scalar(truths)
    all_of = b.eq(bits, const(-1, bits.lane))
    s.write("cc", b.ite(all_of, const(every, 2), b.ite(b.nonzero(bits), const(1, 2), const(none, 2))))


def _comparison(test: Callable[[Term, Term], Term], width: int, codes: bool) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, c: Term) -> Term:
        truths = test(elements(a, width), elements(c, width))
        if codes:
            set_some(s, truths)
        return whole(b.sext(truths, width))

    return meaning


def _saturating(width: int, signed: bool, codes: bool) -> Callable[[Machine, Term, Term], Term]:
    """0 nothing saturated, 1 some, 3 all."""

    def meaning(s: Machine, a: Term, c: Term) -> Term:
        parts, truths = [], []
        for x in (elements(a, width), elements(c, width)):
            half = width // 2
            if signed:
                part = b.clamp_signed(x, half)
                truths.append(b.ne(b.sext(b.trunc(part, half), width), x))
            else:
                part = b.umin(x, const((1 << half) - 1, width, x.lanes))
                truths.append(b.ne(part, x))
            parts.append(b.scalar(b.trunc(part, half)))
        if codes:
            set_some(s, b.concat(*(b.scalar(t) for t in truths)), every=3, none=0)
        return b.concat(*parts)

    return meaning


def _middle(width: int, less: Callable[[Term, Term], Term]) -> Callable[[Machine, Term, Term], None]:
    """Of the rightmost element of the left half."""

    def meaning(s: Machine, a: Term, c: Term) -> None:
        a, c = (x if width == 128 else element(x, 64 // width - 1, width) for x in (a, c))
        s.write("cc", compared(less(a, c), b.eq(a, c)))

    return meaning


def _test_under_mask(s: Machine, a: Term, mask: Term) -> None:
    selected = b.band(a, mask)
    all_ones = b.eq(selected, mask)
    s.write("cc", b.ite(b.nonzero(selected), b.ite(all_ones, const(3, 2), const(1, 2)), const(0, 2)))


def _comparisons() -> Iterator[Row]:
    for letter, m in WITH_Q.items():
        width, q = 8 << m, "vxrs_ext3" if m == 4 else ""
        lacking = LACKING if q else ""
        for name, code, test in (("vceq", "F8", b.eq), ("vch", "FB", _greater(b.slt)), ("vchl", "F9", _greater(b.ult))):
            for suffix, codes in (("", False), ("s", True)):
                yield inst(f"{name}{letter}{suffix} >v1, v2, v3", f"VRRb E7{code}", _comparison(test, width, codes),
                           SECTION, q, lacking, m4=m, m5=int(codes))  # fmt: skip
        for name, code, less in (("vec", "DB", b.slt), ("vecl", "D9", b.ult)):
            yield inst(f"{name}{letter} v1, v2", f"VRRa E7{code}", _middle(width, less), SECTION, q, lacking, m3=m,
                       m4=0, m5=0)  # fmt: skip
        for name, code, signed in (("vpks", "97", True), ("vpkls", "95", False)) if 0 < m < 4 else ():
            for suffix, codes in (("", False), ("s", True)):
                yield inst(f"{name}{letter}{suffix} >v1, v2, v3", f"VRRb E7{code}", _saturating(width, signed, codes),
                           SECTION, m4=m, m5=int(codes))  # fmt: skip
    yield inst("vtm v1, v2", "VRRa E7D8", _test_under_mask, SECTION, m3=0, m4=0, m5=0)


def _greater(less: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    return lambda a, c: less(c, a)


ROWS: Final = (*_arithmetic(), *_products(), *_carries(), *_shifts(), *_comparisons())
