"""What s390x's moves, loads, stores and address arithmetic do exactly.

The one idea: a family of instructions is one function over the fields; `_EXACT` says which function a mnemonic has.
A short (32-bit) integer result leaves the high half of its register alone. A float leaves bits 64 to 127 of its vector
register unpredictable when it is written, a short one leaves bits 32 to 63 as well (Principles of Operation, 'Vector
registers'): here they are UNPREDICTABLE, a variable of which nothing may be known. Bytes in storage are big-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from liftcheck.bits.build import add, concat, extract, sext, sub, trunc, zext
from liftcheck.bits.term import Term, const, var
from liftcheck.mach.insn import PC, Access, Effect, Load, Store, loaded, register
from liftcheck.mach.regs import NONE

_ISA: Final = "s390x"
UNPREDICTABLE: Final = var("unpredictable", 64)
_ALWAYS: Final = 15
_Registers = Mapping[str, int]
_Writer = Callable[[bytes, _Registers], "Effect | None"]


def effect(name: str, code: bytes, registers: _Registers, accesses: tuple[Access, ...]) -> Effect | None:
    """None for instructions that are not modelled. registers: places by field, the displacement as 'd'."""
    if accesses and accesses[0].base < 0:
        return None
    exact = _EXACT.get(name)
    return exact(code, registers) if exact is not None else None


def _reg(place: int) -> Term:
    return register(_ISA, place)


def _high(term: Term) -> Term:
    """Bits 0 to 31 in the manual's counting."""
    return extract(term, 32, 32)


def _signed16(code: bytes) -> int:
    return int.from_bytes(code[2:4], "big", signed=True)


def _unsigned16(code: bytes) -> int:
    return int.from_bytes(code[2:4], "big")


def _signed32(code: bytes) -> int:
    return int.from_bytes(code[2:6], "big", signed=True)


def _unsigned32(code: bytes) -> int:
    return int.from_bytes(code[2:6], "big")


def _set(place: int, value: Term) -> Effect:
    return Effect(((place, value),))


def _set_low(place: int, value: Term) -> Effect:
    return _set(place, concat(_high(_reg(place)), value))


def _set_long(place: int, value: Term) -> Effect:
    """A long float."""
    return _set(place, concat(value, UNPREDICTABLE))


def _set_short(place: int, value: Term) -> Effect:
    """A short float, in the highest 32 bits of the vector register."""
    return _set(place, concat(concat(value, extract(_reg(place), 64, 32)), UNPREDICTABLE))


# -- registers and constants


def _move(code: bytes, r: _Registers) -> Effect:
    return _set(r["1"], _reg(r["2"]))


def _move_low(code: bytes, r: _Registers) -> Effect:
    return _set_low(r["1"], trunc(_reg(r["2"]), 32))


def _move_long(code: bytes, r: _Registers) -> Effect:
    return _set_long(r["1"], extract(_reg(r["2"]), 64, 64))


def _move_short(code: bytes, r: _Registers) -> Effect:
    return _set_short(r["1"], extract(_reg(r["2"]), 96, 32))


def _extended(signed: bool) -> _Writer:
    def write(code: bytes, r: _Registers) -> Effect:
        value = trunc(_reg(r["2"]), 32)
        return _set(r["1"], sext(value, 64) if signed else zext(value, 64))

    return write


def _constant(field: Callable[[bytes], int], shift: int = 0) -> _Writer:
    return lambda code, r: _set(r["1"], const(field(code) << shift, 64))


def _constant_low(field: Callable[[bytes], int]) -> _Writer:
    return lambda code, r: _set_low(r["1"], const(field(code), 32))


def _insert_high(code: bytes, r: _Registers) -> Effect:
    return _set(r["1"], concat(const(_unsigned32(code), 32), trunc(_reg(r["1"]), 32)))


def _plus(field: Callable[[bytes], int], sign: int = 1) -> _Writer:
    return lambda code, r: _set(r["1"], add(_reg(r.get("3", r["1"])), const(sign * field(code), 64)))


def _two(operation: Callable[[Term, Term], Term]) -> _Writer:
    """R1 := R1 op R2, or R2 op R3."""

    def write(code: bytes, r: _Registers) -> Effect:
        first, second = (r["2"], r["3"]) if "3" in r else (r["1"], r["2"])
        return _set(r["1"], operation(_reg(first), _reg(second)))

    return write


def _address(r: _Registers) -> Term | None:
    """Base + index + displacement; None without a register."""
    parts = [_reg(r[field]) for field in "bx" if r.get(field, NONE) != NONE]
    if not parts:
        return None
    start = parts[0] if len(parts) == 1 else add(*parts)
    return add(start, const(r["d"], 64)) if r["d"] else start


def _load_address(code: bytes, r: _Registers) -> Effect:
    where = _address(r)
    return _set(r["1"], const(r["d"], 64) if where is None else where)


def _return(code: bytes, r: _Registers) -> Effect | None:
    """A return ignores bit 63 of the address, which is never set in an address of code."""
    if code[1] >> 4 == 0:
        return Effect()
    return Effect(((PC, _reg(r["2"])),)) if code[1] >> 4 == _ALWAYS and r["2"] else None


def _never(code: bytes, r: _Registers) -> Effect | None:
    """A branch on no condition is a no-operation."""
    return Effect() if code[1] >> 4 == 0 else None


# -- storage


def _load(size: int, result: Callable[[int, Term], Effect]) -> _Writer:
    def write(code: bytes, r: _Registers) -> Effect | None:
        where = _address(r)
        if where is None:
            return None
        value = loaded(0, size)
        return Effect(result(r["1"], value).writes, (Load(value, where, size),))

    return write


def _store(size: int, part: Callable[[Term], Term]) -> _Writer:
    def write(code: bytes, r: _Registers) -> Effect | None:
        where = _address(r)
        return None if where is None else Effect(stores=(Store(where, size, part(_reg(r["1"]))),))

    return write


def _store_constant(size: int, field: Callable[[bytes], int]) -> _Writer:
    def write(code: bytes, r: _Registers) -> Effect | None:
        where = _address(r)
        return None if where is None else Effect(stores=(Store(where, size, const(field(code), 8 * size)),))

    return write


def _to_lane(size: int) -> _Writer:
    """vle…: the element that M3 numbers, from the left."""

    def write(code: bytes, r: _Registers) -> Effect | None:
        where = _address(r)
        if where is None:
            return None
        load, low = Load(loaded(0, size), where, size), 128 - 8 * size * (1 + (code[4] >> 4))
        return Effect(((r["1"], _inserted(_reg(r["1"]), load.value, low)),), (load,)) if low >= 0 else None

    return write


def _inserted(whole: Term, part: Term, low: int) -> Term:
    value = part if low == 0 else concat(part, extract(whole, 0, low))
    top = low + part.bits
    return value if top == whole.bits else concat(extract(whole, top, whole.bits - top), value)


def _from_lane(size: int) -> _Writer:
    def write(code: bytes, r: _Registers) -> Effect | None:
        where, low = _address(r), 128 - 8 * size * (1 + (code[4] >> 4))
        if where is None or low < 0:
            return None
        return Effect(stores=(Store(where, size, extract(_reg(r["1"]), low, 8 * size)),))

    return write


def _range(r: _Registers) -> list[int]:
    return [(r["1"] + i) % 16 for i in range((r["3"] - r["1"]) % 16 + 1)]


def _at(where: Term, r: _Registers, index: int) -> Term:
    """The address of doubleword `index`, with one constant."""
    offset = r["d"] + 8 * index
    return add(_reg(r["b"]), const(offset, 64)) if offset else _reg(r["b"])


def _load_multiple(code: bytes, r: _Registers) -> Effect | None:
    where = _address(r)
    if where is None:
        return None
    places = _range(r)
    loads = tuple(Load(loaded(i, 8), _at(where, r, i), 8) for i in range(len(places)))
    return Effect(tuple((place, load.value) for place, load in zip(places, loads, strict=True)), loads)


def _store_multiple(code: bytes, r: _Registers) -> Effect | None:
    where = _address(r)
    if where is None:
        return None
    return Effect(stores=tuple(Store(_at(where, r, i), 8, _reg(place)) for i, place in enumerate(_range(r))))


def _widened(signed: bool) -> Callable[[int, Term], Effect]:
    return lambda place, value: _set(place, sext(value, 64) if signed else zext(value, 64))


def _widened_low(signed: bool) -> Callable[[int, Term], Effect]:
    return lambda place, value: _set_low(place, sext(value, 32) if signed else zext(value, 32))


def _low(bits: int) -> Callable[[Term], Term]:
    return lambda value: trunc(value, bits)


def _same(value: Term) -> Term:
    return value


_EXACT: Final[Mapping[str, _Writer]] = {
    "lgr": _move, "vlr": _move, "lr": _move_low, "ldr": _move_long, "ler": _move_short,
    "lgfr": _extended(True), "llgfr": _extended(False),
    "lgdr": lambda code, r: _set(r["1"], extract(_reg(r["2"]), 64, 64)),
    "ldgr": lambda code, r: _set_long(r["1"], _reg(r["2"])),
    "lghi": _constant(_signed16), "lgfi": _constant(_signed32),
    "llilf": _constant(_unsigned32), "llihf": _constant(_unsigned32, 32),
    "llill": _constant(_unsigned16), "llilh": _constant(_unsigned16, 16), "llihl": _constant(_unsigned16, 32),
    "llihh": _constant(_unsigned16, 48),
    "lhi": _constant_low(_signed16), "iilf": _constant_low(_unsigned32), "iihf": _insert_high,
    "aghi": _plus(_signed16), "aghik": _plus(_signed16), "agfi": _plus(_signed32), "algfi": _plus(_unsigned32),
    "slgfi": _plus(_unsigned32, -1),
    "agr": _two(add), "agrk": _two(add), "algr": _two(add), "algrk": _two(add),
    "sgr": _two(sub), "sgrk": _two(sub), "slgr": _two(sub), "slgrk": _two(sub),
    "la": _load_address, "lay": _load_address,
    "bcr": _return, "brc": _never, "brcl": _never,
    "lg": _load(8, _set), "lgf": _load(4, _widened(True)), "llgf": _load(4, _widened(False)),
    "lgh": _load(2, _widened(True)), "llgh": _load(2, _widened(False)), "lgb": _load(1, _widened(True)),
    "llgc": _load(1, _widened(False)), "l": _load(4, _set_low), "ly": _load(4, _set_low),
    "lh": _load(2, _widened_low(True)), "lhy": _load(2, _widened_low(True)), "llh": _load(2, _widened_low(False)),
    "lb": _load(1, _widened_low(True)), "llc": _load(1, _widened_low(False)),
    "ld": _load(8, _set_long), "ldy": _load(8, _set_long), "le": _load(4, _set_short), "ley": _load(4, _set_short),
    "vl": _load(16, _set), "vleb": _to_lane(1), "vleh": _to_lane(2), "vlef": _to_lane(4), "vleg": _to_lane(8),
    "stg": _store(8, _same), "st": _store(4, _low(32)), "sty": _store(4, _low(32)), "sth": _store(2, _low(16)),
    "sthy": _store(2, _low(16)), "stc": _store(1, _low(8)), "stcy": _store(1, _low(8)),
    "std": _store(8, lambda v: extract(v, 64, 64)), "stdy": _store(8, lambda v: extract(v, 64, 64)),
    "ste": _store(4, lambda v: extract(v, 96, 32)), "stey": _store(4, lambda v: extract(v, 96, 32)),
    "vst": _store(16, _same), "vsteb": _from_lane(1), "vsteh": _from_lane(2), "vstef": _from_lane(4),
    "vsteg": _from_lane(8),
    "mvi": _store_constant(1, lambda code: code[1]), "mviy": _store_constant(1, lambda code: code[1]),
    "mvhhi": _store_constant(2, lambda code: int.from_bytes(code[4:6], "big", signed=True)),
    "mvhi": _store_constant(4, lambda code: int.from_bytes(code[4:6], "big", signed=True)),
    "mvghi": _store_constant(8, lambda code: int.from_bytes(code[4:6], "big", signed=True)),
    "lmg": _load_multiple, "stmg": _store_multiple,
}  # fmt: skip
