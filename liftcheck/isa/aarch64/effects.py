"""What aarch64's moves, loads, stores and address arithmetic do, over the terms of `bits`.

The one idea: an encoding is matched against a few rows (mask, value, meaning); no row, no effect. 32-bit results are
zero-extended, loads into a vector register zero the rest of it.

Signing a return address is modelled as exclusive or with an unknown number that depends on the stack pointer alone: so
authenticating with the same stack pointer gives the address back, and nothing else is known of a signed address.
Source: Arm ARM (DDI 0487) C6 and C7, the operation sections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.bits.build import add, bxor, concat, extract, mul, resize, sext, sub, trunc, zext
from liftcheck.bits.term import Term, const, var
from liftcheck.mach.insn import PC, STACK_POINTERS, Effect, Load, Store, address, loaded, register
from liftcheck.mach.regs import FLOAT

ISA: Final = "aarch64"
SP: Final = STACK_POINTERS[ISA]
LINK: Final = 30
FLOAT_FIRST: Final = FLOAT * 64
_SIGNATURES: Final = (var("signature_a", 64), var("signature_b", 64))
"""By key."""
_Meaning = Callable[[int], "Effect | None"]


def effect(word: int) -> Effect | None:
    """The exact meaning of an instruction that moves values or computes addresses."""
    for mask, value, meaning in _ROWS:
        if word & mask == value:
            return meaning(word)
    return None


def _integer(number: int) -> Term:
    """A register where 31 is zero."""
    return const(0, 64) if number == 31 else register(ISA, number)


def _or_sp(number: int) -> int:
    return SP if number == 31 else number


def _written(number: int, value: Term) -> Effect:
    """An integer register becomes `value`, zero-extended; 31 is zero and stays so."""
    return Effect() if number == 31 else Effect(((number, zext(value, 64)),))


def _wide(word: int, value: Term) -> Term:
    """By bit 31: all of it, or the low 32 bits."""
    return value if word >> 31 else trunc(value, 32)


def _add_immediate(word: int) -> Effect | None:
    """add, sub of an immediate: also mov from and to the stack pointer."""
    number = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
    source = _or_sp(word >> 5 & 31)
    number = -number if word >> 30 & 1 else number
    value = address(ISA, source, number)
    return Effect(((_or_sp(word & 31), value if word >> 31 else zext(trunc(value, 32), 64)),))


def _add_extended(word: int) -> Effect | None:
    """add, sub of an extended register, 64 bits: uxtx and sxtx take all of it."""
    option, shift = word >> 13 & 7, word >> 10 & 7
    value = _extended(word >> 16 & 31, option)
    if value is None or shift:
        return None
    combined = (sub if word >> 30 & 1 else add)(register(ISA, _or_sp(word >> 5 & 31)), value)
    return Effect(((_or_sp(word & 31), combined),))


def _extended(number: int, option: int) -> Term | None:
    value = _integer(number)
    if option in (3, 7):
        return value
    return {2: zext, 6: sext}[option](trunc(value, 32), 64) if option in (2, 6) else None


def _add_register(word: int) -> Effect | None:
    """add, sub without a shift."""
    if word >> 10 & 63:
        return None
    first, second = (_wide(word, _integer(word >> place & 31)) for place in (5, 16))
    return _written(word & 31, (sub if word >> 30 & 1 else add)(first, second))


def _or_register(word: int) -> Effect | None:
    """mov: orr with the zero register, no shift."""
    return _written(word & 31, _wide(word, _integer(word >> 16 & 31)))


def _move_wide(word: int) -> Effect | None:
    """movn, movz, movk."""
    kind, shift, number = word >> 29 & 3, 16 * (word >> 21 & 3), word >> 5 & 0xFFFF
    width = 64 if word >> 31 else 32
    if kind == 1 or shift >= width:
        return None
    if kind != 3:
        value = number << shift
        return _written(word & 31, const(~value if kind == 0 else value, width))
    old = _wide(word, _integer(word & 31))
    parts = [extract(old, 0, shift)] if shift else []
    parts.append(const(number, 16))
    if shift + 16 < width:
        parts.append(extract(old, shift + 16, width - shift - 16))
    whole = parts[0]
    for part in parts[1:]:
        whole = concat(part, whole)
    return _written(word & 31, whole)


def _or_immediate(word: int) -> Effect | None:
    """orr of the zero register with a bit mask: a constant."""
    value = _bit_mask(word >> 22 & 1, word >> 16 & 63, word >> 10 & 63, 64 if word >> 31 else 32)
    return None if value is None else Effect(((_or_sp(word & 31), const(value, 64)),))


def _bit_mask(n: int, rotation: int, size: int, width: int) -> int | None:
    """DecodeBitMasks: a run of ones, rotated within an element, the element repeated."""
    length = (n << 6 | ~size & 63).bit_length() - 1
    if length < 1 or (width == 32 and n):
        return None
    element = 1 << length
    ones, turn = (size & element - 1) + 1, rotation & element - 1
    if ones == element:
        return None
    run = (1 << ones) - 1
    run = (run >> turn | run << element - turn) & (1 << element) - 1
    return sum(run << at for at in range(0, width, element))


# Memory.


def _one(word: int) -> Effect | None:
    """A load or store of one register, all address forms with a base register."""
    where = _address(word)
    if where is None:
        return None
    target, back = where
    vector, operation = word >> 26 & 1, word >> 22 & 3
    size = 1 << (word >> 30 | (4 if vector and operation & 2 else 0))
    if size > 16 or (not vector and operation == 2 and size == 8):
        return None
    if operation & 1 or (operation and not vector):
        value = _arrived(word, loaded(0, size))
        if value is None:
            return None
        number = _register_number(word, word & 31)
        writes = () if number is None else ((number, value),)
        return Effect((*writes, *back), (Load(loaded(0, size), target, size),))
    return Effect(back, (), (Store(target, size, _leaving(word, word & 31, size)),))


def _register_number(word: int, number: int) -> int | None:
    if word >> 26 & 1:
        return FLOAT_FIRST + number
    return None if number == 31 else number


def _arrived(word: int, value: Term) -> Term | None:
    """What is loaded, as it stands in the register."""
    if word >> 26 & 1:
        return zext(value, 128)
    operation = word >> 22 & 3
    if operation == 1:
        return zext(value, 64)
    if operation == 3 and value.bits == 32:
        return None
    return sext(value, 64) if operation == 2 else zext(sext(value, 32), 64)


def _leaving(word: int, number: int, size: int) -> Term:
    """The low bytes of a register."""
    value = register(ISA, FLOAT_FIRST + number) if word >> 26 & 1 else _integer(number)
    return trunc(value, 8 * size)


Written = tuple[tuple[int, Term], ...]


def _address(word: int) -> tuple[Term, Written] | None:
    """The address, and the write of the base register, if any."""
    base = _or_sp(word >> 5 & 31)
    if word >> 24 & 1:
        vector, operation = word >> 26 & 1, word >> 22 & 3
        scale = word >> 30 | (4 if vector and operation & 2 else 0)
        return address(ISA, base, (word >> 10 & 0xFFF) << scale), ()
    mode = word >> 10 & 3
    if word >> 21 & 1:
        by = _extended(word >> 16 & 31, word >> 13 & 7) if mode == 2 and not word >> 12 & 1 else None
        return None if by is None else (add(register(ISA, base), by), ())
    if mode == 2:
        return None
    displacement = (word >> 12 & 0x1FF) - (word >> 20 & 1) * 512
    moved = address(ISA, base, displacement)
    if mode == 0:
        return moved, ()
    return moved if mode == 3 else register(ISA, base), ((base, moved),)


def _two(word: int) -> Effect | None:
    """ldp, stp."""
    vector, loads, mode = word >> 26 & 1, word >> 22 & 1, word >> 23 & 3
    size = 4 << (word >> 30) if vector else (4, 0, 8, 0)[word >> 30]
    if size not in (4, 8, 16):
        return None
    base = _or_sp(word >> 5 & 31)
    displacement = ((word >> 15 & 127) - (word >> 21 & 1) * 128) * size
    start = 0 if mode == 1 else displacement
    back = ((base, address(ISA, base, displacement)),) if mode & 1 else ()
    numbers = (word & 31, word >> 10 & 31)
    places = [address(ISA, base, start + size * i) for i in (0, 1)]
    if not loads:
        stores = tuple(Store(p, size, _leaving(word, n, size)) for p, n in zip(places, numbers))
        return Effect(back, (), stores)
    values = [loaded(i, size) for i in (0, 1)]
    width = 128 if vector else 64
    writes = [(r, zext(v, width)) for n, v in zip(numbers, values) if (r := _register_number(word, n)) is not None]
    return Effect((*writes, *back), tuple(Load(v, p, size) for v, p in zip(values, places)))


# Vectors, returns.


def _vector_move(word: int) -> Effect | None:
    """mov of a vector register: orr with itself."""
    number = word >> 5 & 31
    if number != word >> 16 & 31:
        return None
    value = register(ISA, FLOAT_FIRST + number)
    return Effect(((FLOAT_FIRST + (word & 31), value if word >> 30 & 1 else zext(trunc(value, 64), 128)),))


def _float_move(bits: int) -> _Meaning:
    """fmov between float registers: the rest is zeroed."""

    def meaning(word: int) -> Effect | None:
        value = trunc(register(ISA, FLOAT_FIRST + (word >> 5 & 31)), bits)
        return Effect(((FLOAT_FIRST + (word & 31), zext(value, 128)),))

    return meaning


def _float_to_integer(bits: int) -> _Meaning:
    return lambda word: _written(word & 31, trunc(register(ISA, FLOAT_FIRST + (word >> 5 & 31)), bits))


def _integer_to_float(bits: int) -> _Meaning:
    return lambda word: Effect(((FLOAT_FIRST + (word & 31), resize(trunc(_integer(word >> 5 & 31), bits), 128)),))


def _signed(word: int) -> Effect | None:
    """paciasp, autiasp and so on."""
    return Effect(((LINK, _turned(word >> 6 & 1, bool(word >> 5 & 1))),))


def _turned(key: int, by_sp: bool) -> Term:
    signature = _SIGNATURES[key]
    return bxor(register(ISA, LINK), mul(register(ISA, SP), signature) if by_sp else signature)


def _authenticated_return(word: int) -> Effect | None:
    return Effect(((PC, _turned(word >> 10 & 1, True)),))


def _return(word: int) -> Effect | None:
    return Effect(((PC, register(ISA, word >> 5 & 31)),))


def _nothing(word: int) -> Effect | None:
    return Effect()


_ROWS: Final[tuple[tuple[int, int, _Meaning], ...]] = (
    (0x3F800000, 0x11000000, _add_immediate),
    (0xBFE00000, 0x8B200000, _add_extended),
    (0x3FE00000, 0x0B000000, _add_register),
    (0x7FE0FFE0, 0x2A0003E0, _or_register),
    (0x1F800000, 0x12800000, _move_wide),
    (0x7F8003E0, 0x320003E0, _or_immediate),
    (0x3B000000, 0x38000000, _one),
    (0x3B000000, 0x39000000, _one),
    (0x3A000000, 0x28000000, _two),
    (0xBFE0FC00, 0x0EA01C00, _vector_move),
    (0xFFFFFC00, 0x1E604000, _float_move(64)),
    (0xFFFFFC00, 0x1E204000, _float_move(32)),
    (0xFFFFFC00, 0x9E660000, _float_to_integer(64)),
    (0xFFFFFC00, 0x1E260000, _float_to_integer(32)),
    (0xFFFFFC00, 0x9E670000, _integer_to_float(64)),
    (0xFFFFFC00, 0x1E270000, _integer_to_float(32)),
    (0xFFFFFF1F, 0xD503231F, _signed),
    (0xFFFFFFFF, 0xD503201F, _nothing),
    (0xFFFFFF3F, 0xD503241F, _nothing),
    (0xFFFFFBFF, 0xD65F0BFF, _authenticated_return),
    (0xFFFFFC1F, 0xD65F0000, _return),
)  # fmt: skip
"""Mask, value, meaning; the first that fits."""
