"""Loads, stores and atomics through every address shape that a backend folds, and the idioms around them.

The one idea: an address is built together with the interval of bytes that may be touched relative to it. An index is
reduced to a known range (mask, shift, remainder, extension), scaled, added, and whatever room is left goes to constant
offsets, so accesses stay inside their region whatever the data, unless a trap is wanted. Recent addresses are used
again with the same or a near offset: that is what alias analysis, store merging and load sinking see.
Traps that are wanted are `one_past` accesses: just outside of the region, by a constant or for some inputs only.
Stores of more than 8 bytes are then wholly outside, because a backend may split them and do the first half.
"""

from __future__ import annotations

from liftcheck.clif.formats import ATOMIC_OPERATIONS
from liftcheck.clif.ir import NO_FLAGS, MemFlags, StackSlot
from liftcheck.clif.opcodes import OPCODES, WHOLE
from liftcheck.clif.types import I8, I16, I32, I64, Type
from liftcheck.errors import InternalError
from liftcheck.generators.body import Address, Body, Pointer
from liftcheck.generators.rows import Row
from liftcheck.generators.tables import access_bytes

# fmt: off
_OFFSETS = (0, 1, -1, 8, 16, 127, 128, -128, -129, 255, 256, -256, -257, 2047, 2048, -2048, -2049, 4095, 4096, 0x7FF8,
            0x8000, 32760, 65535, 65536, 0x7FFFF, 0x80000, -0x80000, -0x80001, 0xFFFFF, 0x100000, 0x7FFFFF80,
            -0x80000000, 0x7FFFF000, 12, 24, 504, -512, 1008, -1024, 16380, 32768 - 4, 4095 * 8, 4095 * 16, 513)
# fmt: on
_AMOUNTS = (I64, I64, I32, I8)
_NOTRAP = MemFlags(trap="")
_ALIGNED = MemFlags(aligned=True)
_BOTH = MemFlags(aligned=True, trap="")
_FROZEN = tuple(
    MemFlags(aligned, True, move, trap)
    for aligned in (False, True)
    for move, trap in ((False, None), (False, ""), (True, ""), (True, ""))
)
_USER = tuple(MemFlags(trap=f"user{n}") for n in (1, 7, 42, 250))


def region_flags(region: int) -> MemFlags:
    """Flags of an access to a stack slot that has an alias region of its own (counted from 1), or none."""
    return MemFlags(region=f"region{region - 1}") if region else NO_FLAGS


def _add(body: Body, a: int, b: int) -> int:
    return body.ins("iadd", I64, (b, a) if body.bits(1) else (a, b), I64)


def _shifted(body: Body, value: int, ty: Type, amount: int) -> int:
    """`value << amount`, stated with the amount at or beyond the width, in a narrower type, or as a multiplication."""
    r = body.bits(8)
    if r & 7 == 0:
        return body.ins("imul", ty, (value, body.const(ty, 1 << amount)), ty)
    width = _AMOUNTS[r >> 3 & 3]
    stated = amount + (ty.bits if r & 0x60 == 0 else 0)
    return body.ins("ishl", ty, (value, body.const(width, stated & width.mask)), ty)


def _narrow_index(body: Body, bits: int, style: int) -> tuple[int, int, int]:
    """An i32 index of `bits` bits and its extension to i64: value, least, greatest."""
    value, op, least = body.value(I32), "uextend", 0
    if style == 0:
        index = body.ins("band", I32, (value, body.const(I32, (1 << bits) - 1)), I32)
    elif style == 1:
        index = body.ins("ushr", I32, (value, body.const(I32, 32 - bits)), I32)
    elif style == 2:
        masked = body.ins("bor", I32, (value, body.const(I32, (1 << 32) - (1 << bits))), I32)
        index = body.ins("iadd", I32, (masked, body.const(I32, 1 << bits)), I32)
    elif style == 3:
        index = body.ins("sshr", I32, (value, body.const(I32, 32 - bits)), I32)
        op, least = "sextend", -(1 << (bits - 1))
    else:
        masked = body.ins("band", I32, (value, body.const(I32, (1 << bits) - 1)), I32)
        index = body.ins("isub", I32, (masked, body.const(I32, 1 << (bits - 1))), I32)
        op, least = "sextend", -(1 << (bits - 1))
    scale = 0
    if body.bits(2) == 0 and least == 0 and bits > 2:
        scale = 2
        bits -= 2
        index = body.ins("band", I32, (index, body.const(I32, (1 << bits) - 1)), I32)
        index = _shifted(body, index, I32, scale)
    return body.ins(op, I64, (index,), I64), least << scale, ((1 << bits) - 1 << scale) + least


def _index(body: Body, room: int, align: int) -> tuple[int, int, int] | None:
    """A scaled index that spans at most `room` bytes, a multiple of `align`: value, least, greatest."""
    total = (room + 1).bit_length() - 1
    r = body.bits(16)
    scale = align.bit_length() - 1 + (r & 3 if align == 1 else r & 1)
    bits = total - scale - (r >> 2 & 1)
    if bits < 1 or bits > 16:
        return None
    style = r >> 3 & 15
    if style < 8:
        value, least, greatest = _narrow_index(body, bits, style % 5)
    elif style == 8 and bits >= 8:
        value, least, greatest = body.ins("uextend", I64, (body.value(I8),), I64), 0, 255
    elif style == 9 and bits >= 8:
        value, least, greatest = body.ins("sextend", I64, (body.value(I8),), I64), -128, 127
    elif style == 10:
        limit = (1 << bits) - (r >> 8 & 1)
        value, least, greatest = body.ins("urem", I64, (body.value(I64), body.const(I64, limit)), I64), 0, limit - 1
    elif style < 13:
        value = body.ins("ushr", I64, (body.value(I64), body.const(I8, 64 - bits)), I64)
        least, greatest = 0, (1 << bits) - 1
    else:
        value = body.ins("band", I64, (body.value(I64), body.const(I64, (1 << bits) - 1)), I64)
        least, greatest = 0, (1 << bits) - 1
    if scale or r & 0x700 == 0:
        value = _shifted(body, value, I64, scale)
    return value, least << scale, greatest << scale


def _pick_offset(body: Body, low: int, high: int, align: int, r: int) -> int:
    """An offset in low…high that keeps the alignment: an end, an end but one, zero, or anything."""
    style = r & 7
    low, high = -(-low // align) * align, high // align * align
    if style == 0:
        return high
    if style == 1:
        return low
    if style < 4 and low <= 0 <= high:
        return 0
    if style == 4:
        return max(low, min(high, (r >> 3 & 15) * 8 // align * align))
    return low + (r >> 3) % ((high - low) // align + 1) * align


def _reused(body: Body, size: int, align: int, r: int) -> tuple[int, int, int, int] | None:
    """A recent address with the same or a near offset, if the access fits there."""
    recent = body.addresses
    value, low, high, known, last, region = recent[-1 - (r & 7) % min(len(recent), 6)]
    if known % align:
        return None
    near = last + (0, 0, 0, size, -size, 1, 4, 8)[r >> 3 & 7] if align == 1 else last // align * align
    if near < low or near + size > high or near % align:
        near = last
        if near < low or near + size > high or near % align:
            return None
    if not -0x80000000 <= near < 0x7FFFFF80:
        return None
    recent.append(Address(value, low, high, known, near, region))
    body.log.append(recent)
    return value, near, known, region


def address(body: Body, size: int, align: int = 1, offsets: bool = True) -> tuple[int, int, int, int]:
    """An address for `size` bytes: value, offset, alignment that value+offset certainly has, alias region."""
    r = body.bits(32)
    if r & 7 < 3 and body.addresses:
        reused = _reused(body, size, align, r >> 3)
        if reused and (offsets or reused[1] == 0):
            return reused
    number, low, high, known, slot, region = body.pointers[(r >> 16) % len(body.pointers)]
    if high - low < size or known % align:
        number, low, high, known, slot, region = body.pointers[0]
    value = number if slot < 0 else body.ins("stack_addr", I64, (), I64, slot)
    if r & 0x38 and high - low > size + 1:
        index = _index(body, high - low - size, align)
        if index is not None:
            value = _add(body, value, index[0])
            low, high, known = low - index[1], high - index[2], align
            if r >> 6 & 15 == 0 and body.pools[I64] and high - low > size + 8:
                extra = _index(body, high - low - size, align)
                if extra is not None:
                    value = _add(body, value, extra[0])
                    low, high = low - extra[1], high - extra[2]
    offset = _pick_offset(body, low, high - size, align, r >> 8)
    stated = offset
    if not offsets:
        stated = 0
    elif r >> 29 == 0:
        stated = _OFFSETS[body.bits(8) % len(_OFFSETS)]
        if align > 1:
            stated &= -align
        stated = max(stated, -0x80000000 + 64)
    if stated != offset:
        value = _add(body, value, body.const(I64, (offset - stated) & I64.mask))
        low, high = low - offset + stated, high - offset + stated
        known = align
    body.addresses.append(Address(value, low, high, known, stated, region))
    body.log.append(body.addresses)
    return value, stated, known, region


def _flags(body: Body, known: int, offset: int, size: int, region: int) -> MemFlags:
    """Flags that are true of an access inside its region."""
    r = body.bits(8)
    if region:
        return region_flags(region)
    if r & 3:
        return NO_FLAGS
    aligned = known % size == 0 and offset % size == 0 and known >= size
    if r & 0x1C == 0:
        return body.program.orders[r >> 5 & 1]
    if r & 0x1C == 4:
        return _USER[r >> 6] if body.program.can_say("user_code_of_access") else NO_FLAGS
    return (_BOTH if r & 0x40 else _ALIGNED) if aligned and r & 0x20 else _NOTRAP


def _ordered(body: Body, order: str) -> MemFlags | None:
    """The flags that say a byte order, if the program may say it."""
    return next((flags for flags in body.program.orders if order and flags.endianness == order), None)


def load(body: Body) -> None:
    """Any load."""
    rows = body.program.loads
    emit_load(body, rows[body.bits(10) % len(rows)])


def emit_load(body: Body, row: Row, order: str = "") -> int:
    """One load of the row's typing, in a byte order if one is given; its result comes into scope."""
    size = access_bytes(row)
    value, offset, known, region = address(body, size)
    flags = _ordered(body, order) or _flags(body, known, offset, size, region)
    if OPCODES[row.op].access != WHOLE and row.results[0].is_vector and flags.endianness:
        flags = NO_FLAGS
    ty = row.results[0]
    result = body.ins(row.op, row.type, (value,), ty, None, flags, offset)
    body.push(result, ty)
    return result


def store(body: Body) -> None:
    """Any store."""
    rows = body.program.stores
    emit_store(body, rows[body.bits(10) % len(rows)])


def emit_store(body: Body, row: Row, value: int = -1, order: str = "") -> None:
    """One store of the row's typing, of a given or a drawn value whose bits may be seen, in a byte order if one is
    given; with '=' to the address that was accessed last, if the store fits there."""
    size = access_bytes(row)
    if value < 0:
        value = body.value(row.args[0]) if body.bits(3) else body.const(row.args[0])
    value = body.clean(value)
    if order == "=" and body.addresses:
        last = body.addresses[-1]
        if last.low <= last.offset <= last.high - size:
            body.effect(row.op, row.type, (value, last.value), None, region_flags(last.region), last.offset)
            return
    at, offset, known, region = address(body, size)
    flags = _ordered(body, order) or _flags(body, known, offset, size, region)
    body.effect(row.op, row.type, (value, at), None, flags, offset)


def sunk_load(body: Body) -> None:
    """A load used at once by another instruction: alone, twice, with a store between, or stored back after it."""
    rows = body.program.full_loads
    if not rows:
        return load(body)
    row = rows[body.bits(10) % len(rows)]
    ty = row.results[0]
    users = body.program.users(ty)
    loaded = emit_load(body, row)
    r = body.bits(16)
    if r & 3 == 0:
        store(body)
    if not users:
        return None
    user = users[(r >> 4) % len(users)]
    body.plain(user, loaded, len(user.args) - 1 if r & 4 else 0)
    made = body.insts[-1]
    last = body.addresses[-1] if body.addresses else None
    if r & 8 and last is not None and made.results and body.types[made.results[0]] is ty:
        if last.low <= last.offset <= last.high - ty.bytes and body.table.has(f"store.{ty.name}"):
            result = body.clean(made.results[0])
            body.effect("store", ty, (result, last.value), None, region_flags(last.region), last.offset)
    elif r & 16:
        body.plain(user, loaded, 0)
    return None


def store_run(body: Body) -> None:
    """Adjacent stores of constants or of the pieces of one value, as a store merger would like them."""
    piece = (I8, I16, I32, I64)[body.bits(2)]
    count = 2 + body.bits(1) * 2
    value, offset, _, region = address(body, piece.bytes * count)
    flags = region_flags(region)
    style = body.bits(2)
    whole = body.value(I64)
    for step in range(count):
        place = count - 1 - step if style & 1 else step
        if style & 2 or piece is I64:
            part = body.const(piece)
        else:
            part = body.ins("ushr", I64, (whole, body.const(I8, piece.bits * place & 63)), I64)
            part = body.ins("ireduce", piece, (part,), piece)
        body.effect("store", piece, (part, value), None, flags, offset + place * piece.bytes)


def atomic(body: Body) -> None:
    """Any atomic operation or a fence, at an aligned address."""
    rows = body.program.atomics
    emit_atomic(body, rows[body.bits(10) % len(rows)])


def emit_atomic(body: Body, row: Row, given: tuple[int, ...] = (), word: str = "") -> None:
    """One atomic operation of the row's typing; `given`: its operands except for the address; `word`: the operation, or
    a byte order."""
    if row.op == "fence":
        body.effect("fence", None, ())
        return
    ty = row.type
    assert ty is not None
    at, _, _, _ = address(body, ty.bytes, ty.bytes, offsets=False)
    flags = body.program.orders[body.bits(1)] if body.bits(3) == 0 else _ordered(body, word) or NO_FLAGS
    if row.op == "atomic_load":
        body.push(body.ins(row.op, ty, (at,), ty, None, flags), ty)
    elif row.op == "atomic_store":
        body.effect(row.op, ty, (given[0] if given else body.value(ty), at), None, flags)
    elif row.op == "atomic_rmw":
        operations = row.imm if isinstance(row.imm, tuple) else ATOMIC_OPERATIONS
        operation = word if word in operations else operations[body.bits(8) % len(operations)]
        body.push(body.ins(row.op, ty, (at, given[0] if given else body.value(ty)), ty, operation, flags), ty)
    elif row.op != "atomic_cas":
        raise InternalError(f"nothing emits {row.op}: see liftcheck/generators/memory.py")
    elif given:
        body.push(body.ins(row.op, ty, (at, *given), ty, None, flags), ty)
    else:
        expected = body.value(ty)
        if body.bits(1) and body.table.has(f"atomic_load.{ty.name}"):
            expected = body.ins("atomic_load", ty, (at,), ty, None, flags)
        body.push(body.ins(row.op, ty, (at, expected, body.value(ty)), ty, None, flags), ty)


def frozen_load(body: Body) -> None:
    """A `readonly` load from the part of the data region that nothing writes, now and then one that may be moved."""
    number, _, high, _, slot, _ = body.pointers[0]
    if slot >= 0 or not body.is_entry:
        return load(body)
    rows = body.program.loads
    row = rows[body.bits(10) % len(rows)]
    size, r = access_bytes(row), body.bits(16)
    aligned = r & 1
    offset = high + (r >> 4) % ((body.program.frozen - size) // size if aligned else body.program.frozen - size) * (
        size if aligned else 1
    )
    at, ty = number, row.results[0]
    if r & 2:
        at = _add(body, number, body.const(I64, high & I64.mask))
        offset -= high
    flags = _FROZEN[(4 if aligned and offset % size == 0 and high % size == 0 else 0) + (r >> 2 & 3)]
    body.push(body.ins(row.op, row.type, (at,), ty, None, flags, offset), ty)
    return None


def one_past(body: Body) -> None:
    """An access just outside of the data region, always or for some inputs."""
    number, low, high, _, slot, _ = body.pointers[0]
    if slot >= 0 or not body.is_entry:
        return load(body)
    high += body.program.frozen
    rows = body.program.stores if body.bits(1) else body.program.loads
    row = rows[body.bits(10) % len(rows)]
    size = access_bytes(row)
    r = body.bits(8)
    outside = (high, high + 8, low - 64, high - 1 if size <= 8 and size > 1 else high)[r & 3]
    inside = _pick_offset(body, low, high - body.program.frozen - size, 1, r)
    if r & 0x1C:
        condition = body.plain(body.program.comparisons[0]) if body.program.comparisons else body.truth()
        chosen = body.ins(
            "select", I64, (condition, body.const(I64, outside & I64.mask), body.const(I64, inside & I64.mask)), I64
        )
        at, offset = _add(body, number, chosen), 0
    else:
        at, offset = number, outside
    if row.results:
        body.push(body.ins(row.op, row.type, (at,), row.results[0], None, NO_FLAGS, offset), row.results[0])
    else:
        value = body.clean(body.value(row.args[0]))
        body.effect(row.op, row.type, (value, at), None, NO_FLAGS, offset)
    return None


def make_slot(body: Body) -> None:
    """A stack slot, wholly written before anything can read it; called in the entry block only. A function's first
    pointer fits and suits every access."""
    r = body.bits(8) if body.pointers else 0x1A
    words = (1, 2, 4, 3, 4, 2, 8, 16)[r & 7]
    slots = body.function.stack_slots
    number = len(slots)
    align = 16 if r & 0x18 and body.program.can_say("alignment_of_slot") else 1
    slots[number] = StackSlot(words * 8, align)
    region = body.alias_region(number) if r & 0xE0 == 0 else 0
    flags = region_flags(region)
    base = body.ins("stack_addr", I64, (), I64, number)
    filler = body.const(I64)
    for word in range(words):
        if word % 4 == 1:
            filler = body.value(I64)
        body.effect("store", I64, (filler, base), None, flags, word * 8)
    body.pointers.append(Pointer(-1, 0, words * 8, 8 if align == 1 else 16, number, region))


def final_stores(body: Body, count: int) -> None:
    """Stores of the newest values of many types at the end of the entry, so that little that was computed is dead."""
    first_pointer = body.pointers[0]
    number, at = first_pointer.value, first_pointer.high - 16 * count
    kinds = body.program.storable
    first = body.bits(8)
    seen: set[int] = set()
    for step in range(len(kinds) * 4):
        ty = kinds[(first + step) % len(kinds)]
        pool = body.pools[ty]
        depth = 1 + step // len(kinds)
        if len(pool) < depth or pool[-depth] in seen:
            continue
        seen.add(pool[-depth])
        body.effect("store", ty, (body.clean(pool[-depth]), number), None, NO_FLAGS, at)
        at += max(ty.bytes, 8)
        count -= 1
        if count == 0:
            return
