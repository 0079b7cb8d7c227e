"""s390x: vectors in memory and in general registers, single elements, constants, merges, permutations, selections.

Legend: `common`; element 0 is the leftmost. The suffix is the element's size: b, h, f, g, q of 1, 2, 4, 8, 16 bytes.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapter 21.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, packed_const, value_of
from liftcheck.isa.s390x.insts.common import LACKING, inst, narrow
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

SECTION: Final = "21"
SIZES: Final = {"b": 0, "h": 1, "f": 2, "g": 3}
"""Suffix to the field that says an element's size."""


def elements(a: Term, width: int) -> Term:
    """128 bits as elements; lane 0 is the rightmost one."""
    return b.shape(a, width, 128 // width)


def whole(a: Term) -> Term:
    """Elements as one number."""
    return b.scalar(a)


def low_bit(number: int, width: int) -> int:
    """Where an element's bits begin."""
    return 128 - width * (number + 1)


def element(a: Term, number: int, width: int) -> Term:
    """One element."""
    return b.extract(a, low_bit(number, width), width)


def replaced(a: Term, number: int, value: Term) -> Term:
    """With another element."""
    low = low_bit(number, value.lane)
    parts = b.concat(value, b.extract(a, 0, low)) if low else value
    above = low + value.lane
    return b.concat(b.extract(a, above, 128 - above), parts) if above < 128 else parts


def _reversed(a: Term, width: int) -> Term:
    """The bytes of each element in the other order."""
    return whole(b.bswap(elements(a, width))) if width < 128 else b.bswap(a)


def _swapped(a: Term, width: int) -> Term:
    """The elements in the other order."""
    count = 128 // width
    return whole(b.permute([elements(a, width)], range(count - 1, -1, -1)))


# -- memory


def _load(change: Callable[[Term], Term]) -> Callable[[Machine, Term], Term]:
    return lambda s, address: change(s.load(address, 16))


def _store(change: Callable[[Term], Term]) -> Callable[[Machine, Term, Term], None]:
    return lambda s, a, address: s.store(address, change(a))


def _load_element(width: int, reverse: bool) -> Callable[..., Term]:
    def meaning(s: Machine, a: Term, address: Term, number: Term) -> Term:
        value = s.load(address, width // 8)
        return replaced(a, value_of(number) % (128 // width), b.bswap(value) if reverse else value)

    return meaning


def _store_element(width: int, reverse: bool) -> Callable[..., None]:
    def meaning(s: Machine, a: Term, address: Term, number: Term) -> None:
        value = element(a, value_of(number) % (128 // width), width)
        s.store(address, b.bswap(value) if reverse else value)

    return meaning


def _replicate(width: int, reverse: bool) -> Callable[[Machine, Term], Term]:
    def meaning(s: Machine, address: Term) -> Term:
        value = s.load(address, width // 8)
        return whole(b.splat(b.bswap(value) if reverse else value, 128 // width))

    return meaning


def _load_zero(width: int, reverse: bool, number: int) -> Callable[[Machine, Term], Term]:
    """An element, the rest is zero."""

    def meaning(s: Machine, address: Term) -> Term:
        value = s.load(address, width // 8)
        return replaced(const(0, 128), number, b.bswap(value) if reverse else value)

    return meaning


def _identity(a: Term) -> Term:
    return a


def _memory() -> Iterator[Row]:
    yield inst("vl >v1, bdx", "VRX E706", _load(_identity), SECTION, m3=0)
    yield inst("vst v1, bdx", "VRX E70E", _store(_identity), SECTION, m3=0)
    for hint in (3, 4):
        yield inst(f"vl >v1, bdx, {hint}", "VRX E706", _load(_identity), SECTION, m3=hint)
        yield inst(f"vst v1, bdx, {hint}", "VRX E70E", _store(_identity), SECTION, m3=hint)
    for letter, m, width in (("h", 1, 16), ("f", 2, 32), ("g", 3, 64), ("q", 4, 128)):
        change = _changing(_reversed, width)
        yield inst(f"vlbr{letter} >v1, bdx", "VRX E606", _load(change), SECTION, "vxrs_ext2", m3=m)
        yield inst(f"vstbr{letter} v1, bdx", "VRX E60E", _store(change), SECTION, "vxrs_ext2", m3=m)
        if width < 128:
            swap = _changing(_swapped, width)
            yield inst(f"vler{letter} >v1, bdx", "VRX E607", _load(swap), SECTION, "vxrs_ext2", m3=m)
            yield inst(f"vster{letter} v1, bdx", "VRX E60F", _store(swap), SECTION, "vxrs_ext2", m3=m)
    for letter, plain, reverse in (("b", "0", ""), ("h", "1", "1"), ("g", "2", "2"), ("f", "3", "3")):
        width = 8 << SIZES[letter]
        yield inst(f"vle{letter} +v1, bdx, n{letter}", f"VRX E70{plain}", _load_element(width, False), SECTION)
        yield inst(
            f"vste{letter} v1, bdx, n{letter}", f"VRX E70{8 + int(plain):X}", _store_element(width, False), SECTION
        )
        if reverse:
            yield inst(f"vlebr{letter} +v1, bdx, n{letter}", f"VRX E60{reverse}", _load_element(width, True),
                       SECTION, "vxrs_ext2")  # fmt: skip
            yield inst(f"vstebr{letter} v1, bdx, n{letter}", f"VRX E60{8 + int(reverse):X}", 
                       _store_element(width, True), SECTION, "vxrs_ext2")  # fmt: skip
    for letter, m in SIZES.items():
        width = 8 << m
        yield inst(f"vlrep{letter} >v1, bdx", "VRX E705", _replicate(width, False), SECTION, m3=m)
        yield inst(f"vllez{letter} >v1, bdx", "VRX E704", _load_zero(width, False, 64 // width - 1), SECTION, m3=m)
        if m:
            yield inst(f"vlbrrep{letter} >v1, bdx", "VRX E605", _replicate(width, True), SECTION, "vxrs_ext2", m3=m)
            yield inst(f"vllebrz{letter} >v1, bdx", "VRX E604", _load_zero(width, True, 64 // width - 1), SECTION,
                       "vxrs_ext2", m3=m)  # fmt: skip
    yield inst("vllezlf >v1, bdx", "VRX E704", _load_zero(32, False, 0), SECTION, "vxrs_ext1", m3=6)
    yield inst("vllebrze >v1, bdx", "VRX E604", _load_zero(32, True, 0), SECTION, "vxrs_ext2", m3=6)


def _changing(function: Callable[[Term, int], Term], width: int) -> Callable[[Term], Term]:
    return lambda a: function(a, width)


# -- general registers, constants


def _shifted_out(a: Term, address: Term, width: int) -> Term:
    """The element whose number is the low bits of an address, rightmost of 128 bits."""
    count = 128 // width
    number = b.band(b.zext(address, 128), const(count - 1, 128))
    distance = b.mul(b.sub(const(count - 1, 128), number), const(width, 128))
    return b.lshr(a, distance)


def _get(width: int) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, address: Term) -> Term:
        value = b.zext(b.trunc(_shifted_out(a, address, width), width), 64)
        return b.ite(b.ult(address, const(128 // width, 64)), value, s.undefined(64))

    return meaning


def _put(width: int) -> Callable[[Machine, Term, Term, Term], Term]:
    def meaning(s: Machine, old: Term, value: Term, address: Term) -> Term:
        value = narrow(value, width)
        if address.prim == "const" and value_of(address) < 128 // width:
            return replaced(old, value_of(address), value)
        count = 128 // width
        number = b.band(b.zext(address, 128), const(count - 1, 128))
        distance = b.mul(b.sub(const(count - 1, 128), number), const(width, 128))
        mask = b.shl(const((1 << width) - 1, 128), distance)
        result = b.bor(b.band(old, b.bnot(mask)), b.shl(b.zext(value, 128), distance))
        return b.ite(b.ult(address, const(count, 64)), result, s.undefined(128))

    return meaning


def _immediate_element(width: int) -> Callable[[Machine, Term, Term, Term], Term]:
    return lambda s, a, value, number: replaced(a, value_of(number) % (128 // width), narrow(value, width))


def _repeated(width: int) -> Callable[[Machine, Term], Term]:
    return lambda s, value: whole(b.splat(narrow(value, width), 128 // width))


def _byte_mask(s: Machine, value: Term) -> Term:
    bits = value_of(value)
    return const(sum(0xFF << 8 * k for k in range(16) if bits >> k & 1), 128)


def _generated(width: int) -> Callable[[Machine, Term, Term], Term]:
    """Ones from bit I2 to bit I3, around the end."""

    def meaning(s: Machine, first: Term, last: Term) -> Term:
        start, end = value_of(first) % width, value_of(last) % width
        bits = sum(1 << width - 1 - (start + k) % width for k in range((end - start) % width + 1))
        return whole(packed_const(sum(bits << width * k for k in range(128 // width)), width, 128 // width))

    return meaning


def _replicated(width: int) -> Callable[[Machine, Term, Term], Term]:
    return lambda s, a, number: whole(b.splat(element(a, value_of(number) % (128 // width), width), 128 // width))


def _registers() -> Iterator[Row]:
    for letter, m in SIZES.items():
        width = 8 << m
        yield inst(f"vlgv{letter} >g1, v3, bd", "VRSc E721", _get(width), SECTION, m4=m)
        yield inst(f"vlvg{letter} +v1, g3, bd", "VRSb E722", _put(width), SECTION, m4=m)
        yield inst(f"vrepi{letter} >v1, si16", "VRIa E745", _repeated(width), SECTION, m3=m)
        yield inst(f"vgm{letter} >v1, ui3, ui4", "VRIb E746", _generated(width), SECTION, m4=m)
        yield inst(f"vrep{letter} >v1, v3, k{letter}", "VRIc E74D", _replicated(width), SECTION, m4=m)
    for letter, code in (("b", "0"), ("h", "1"), ("g", "2"), ("f", "3")):
        yield inst(
            f"vlei{letter} +v1, si16, n{letter}", f"VRIa E74{code}", _immediate_element(8 << SIZES[letter]), SECTION
        )
    yield inst("vgbm >v1, ui16", "VRIa E744", _byte_mask, SECTION, m3=0)
    yield inst("vlvgp >v1, g2, g3", "VRRf E762", lambda s, a, c: b.concat(a, c), SECTION)
    yield inst("vlr >v1, v2", "VRRa E756", lambda s, a: a, SECTION, m3=0, m4=0, m5=0)


# -- merges, permutations, selections


def _merge(width: int, high: bool) -> Callable[[Machine, Term, Term], Term]:
    def meaning(s: Machine, a: Term, c: Term) -> Term:
        count = 128 // width
        lanes: list[int] = []
        for k in range(count // 2):
            lane = k + (count // 2 if high else 0)
            lanes += [count + lane, lane]
        return whole(b.permute([elements(a, width), elements(c, width)], lanes))

    return meaning


def _pack(width: int) -> Callable[[Machine, Term, Term], Term]:
    """The right half of each element."""
    return lambda s, a, c: b.concat(*(b.scalar(b.trunc(elements(x, width), width // 2)) for x in (a, c)))


def _unpack(width: int, high: bool, signed: bool) -> Callable[[Machine, Term], Term]:
    extend = b.sext if signed else b.zext

    def meaning(s: Machine, a: Term) -> Term:
        half = b.extract(a, 64 if high else 0, 64)
        return whole(extend(b.shape(half, width, 64 // width), 2 * width))

    return meaning


def _permute(s: Machine, a: Term, c: Term, indexes: Term) -> Term:
    """Byte n of the result is the byte of both operands that the low 5 bits of byte n of the third name."""
    both = b.shape(b.concat(a, c), 8, 32)
    low = b.bxor(b.band(elements(indexes, 8), const(31, 8, 16)), const(31, 8, 16))
    padded = b.shape(b.concat(const(0, 128), whole(low)), 8, 32)
    return b.trunc(b.scalar(b.gather(both, padded)), 128)


def _doublewords(s: Machine, a: Term, c: Term, mask: Term) -> Term:
    chosen = value_of(mask)
    return b.concat(element(a, chosen >> 2 & 1, 64), element(c, chosen & 1, 64))


def _shift_double(scale: int, left: bool) -> Callable[[Machine, Term, Term, Term], Term]:
    def meaning(s: Machine, a: Term, c: Term, count: Term) -> Term:
        distance = value_of(count) * scale % 128 if scale == 8 else value_of(count) & 7
        low = (128 - distance) if left else distance
        return b.extract(b.concat(a, c), low, 128)

    return meaning


def _select(s: Machine, a: Term, c: Term, mask: Term) -> Term:
    return b.bor(b.band(a, mask), b.band(c, b.bnot(mask)))


def _bit_permute(s: Machine, a: Term, c: Term) -> Term:
    """16 bits that the bytes of the second operand name; 128 and more are zero."""
    found = const(0, 128)
    for k in range(16):
        number = element(c, k, 8)
        bit = b.band(b.lshr(a, b.sub(const(127, 128), b.zext(b.trunc(number, 7), 128))), const(1, 128))
        bit = b.ite(b.extract(number, 7, 1), const(0, 128), bit)
        found = b.bor(found, b.shl(bit, const(64 + 15 - k, 128)))
    return found


def _blend(width: int) -> Callable[[Machine, Term, Term, Term], Term]:
    """By the sign of each element of the mask."""

    def meaning(s: Machine, a: Term, c: Term, mask: Term) -> Term:
        signs = b.extract(elements(mask, width), width - 1, 1)
        return whole(b.ite(signs, elements(a, width), elements(c, width)))

    return meaning


def _evaluate(s: Machine, a: Term, c: Term, d: Term, table: Term) -> Term:
    """Bit by bit, by a table of eight results."""
    found = const(0, 128)
    for case in range(8):
        if value_of(table) >> 7 - case & 1:
            parts = [x if case >> 2 - k & 1 else b.bnot(x) for k, x in enumerate((a, c, d))]
            found = b.bor(found, b.band(b.band(parts[0], parts[1]), parts[2]))
    return found


def _permutations() -> Iterator[Row]:
    for letter, m in SIZES.items():
        width = 8 << m
        for name, code, high in (("vmrl", "60", False), ("vmrh", "61", True)):
            yield inst(f"{name}{letter} >v1, v2, v3", f"VRRc E7{code}", _merge(width, high), SECTION, m4=m, m5=0, m6=0)
        if m:
            yield inst(f"vpk{letter} >v1, v2, v3", "VRRc E794", _pack(width), SECTION, m4=m, m5=0, m6=0)
        yield inst(f"vblend{letter} >v1, v2, v3, v4", "VRRd E789", _blend(width), SECTION, "vxrs_ext3", LACKING, m5=m,
                   m6=0)  # fmt: skip
        if m == 3:
            continue
        for name, code, high, signed in (("vupll", "D4", False, False), ("vuplh", "D5", True, False),
                                         ("vupl", "D6", False, True), ("vuph", "D7", True, True)):  # fmt: skip
            text = f"{name}{letter}{'w' if name == 'vupl' and letter == 'h' else ''} >v1, v2"
            yield inst(text, f"VRRa E7{code}", _unpack(width, high, signed), SECTION, m3=m, m4=0, m5=0)
    for letter, m in (("b", 0), ("h", 1), ("f", 2)):
        width = 8 << m
        yield inst(f"vseg{letter} >v1, v2", "VRRa E75F", _sign_extend(width), SECTION, m3=m, m4=0, m5=0)
    yield inst("vperm >v1, v2, v3, v4", "VRRe E78C", _permute, SECTION, m5=0, m6=0)
    yield inst("vsel >v1, v2, v3, v4", "VRRe E78D", _select, SECTION, m5=0, m6=0)
    yield inst("vpdi >v1, v2, v3, m4", "VRRc E784", _doublewords, SECTION, m5=0, m6=0)
    yield inst("vbperm >v1, v2, v3", "VRRc E785", _bit_permute, SECTION, "vxrs_ext1", m4=0, m5=0, m6=0)
    yield inst("vsldb >v1, v2, v3, bits4", "VRId E777", _shift_double(8, True), SECTION, m5=0)
    yield inst("vsld >v1, v2, v3, bits3", "VRId E786", _shift_double(1, True), SECTION, "vxrs_ext2", m5=0)
    yield inst("vsrd >v1, v2, v3, bits3", "VRId E787", _shift_double(1, False), SECTION, "vxrs_ext2", m5=0)
    yield inst("veval >v1, v2, v3, v4, ui8", "VRIk E788", _evaluate, SECTION, "vxrs_ext3", LACKING)


def _sign_extend(width: int) -> Callable[[Machine, Term], Term]:
    return lambda s, a: whole(b.sext(b.trunc(elements(a, 64), width), 64))


ROWS: Final = (*_memory(), *_registers(), *_permutations())
