"""States to execute an instruction on, and what its row says of them.

The one idea: states are boundary-heavy, integers at the edges of all widths, floats of all formats at theirs, lane by
lane; and where the instruction accesses memory, a register of the address is moved so that it lies in the record's
window. A state in which the row says 'trap', or whose address cannot be moved there, is drawn anew, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Final, NamedTuple

from liftcheck.bits.floats import FORMATS
from liftcheck.mach.rows.bench import FRAGMENT, TAKEN, Bench
from liftcheck.mach.rows.evaluate import Outcome, Written
from liftcheck.mach.rows.machine import Place
from liftcheck.oracles.rows.instances import Instance


class Trial(NamedTuple):
    """A record, the record that it is to become, and the bits of that which are defined (None: all)."""

    record: bytes
    expected: bytes
    defined: bytes | None


class Outside(Exception):
    """An access outside of the record."""


_SPECIAL: Final = 0.15
"""Of so many states all operands are special floats: that two NaNs or two zeros meet is rare else."""
_MOST: Final = 40
"""States in a row that are left out; then the instruction has none that can be executed."""
_FEW: Final = 24
"""Values in a record's memory: drawing one costs more than all else of a state."""


def trials(bench: Bench, instance: Instance, draw: Random, address: int, fragment: int, pc: int) -> Iterator[Trial]:
    """Trials for records at `address`, the next one a record further, until nothing more can be drawn. The
    instruction is at `pc` in a fragment."""
    effects, addressing = instance.runnable.effects, instance.runnable.addressing
    aimless = (effects.loads or effects.stores) and not any(place in bench.slots for place in addressing)
    left_out = _MOST if aimless else 0
    while left_out < _MOST:
        record = _drawn(bench, instance, draw, fragment)
        outcome = _aimed(bench, instance, record, address, pc, draw)
        if outcome is None or outcome.trap:
            left_out += 1
            continue
        left_out = 0
        yield _trial(bench, record, outcome, address)
        address += bench.size


def _drawn(bench: Bench, instance: Instance, draw: Random, fragment: int) -> bytearray:
    record = bytearray(draw.randbytes(bench.size))
    record[FRAGMENT : FRAGMENT + 8] = fragment.to_bytes(8, bench.order)
    record[TAKEN : TAKEN + 8] = bytes(8)
    if instance.runnable.effects.loads:
        start, size = bench.window
        record[start : start + size] = _memory(size, draw)
    for place, width in bench.partial:
        bench.put(record, place, draw.getrandbits(width))
    special = draw.choice((16, 32, 64)) if draw.random() < _SPECIAL else 0
    for place in instance.runnable.reads:
        if place in bench.slots:
            bench.put(record, place, _bits(bench.table.registers.width(place), draw, special))
    for place, value in bench.contexts[instance.context][1].items():
        bench.put(record, place, value)
    return record


def _memory(size: int, draw: Random) -> bytes:
    """Lanes of one width, all of them of a few values."""
    lane = draw.choice((1, 2, 4, 8))
    few = [_lane(8 * lane, draw).to_bytes(lane) for _ in range(_FEW)]
    return b"".join(draw.choices(few, k=size // lane))


def _bits(width: int, draw: Random, special: int = 0) -> int:
    """A value of so many bits, cut into lanes of one width, each at a boundary or anywhere. `special`: lanes of this
    width, most of them zeros, infinities and NaNs."""
    if not 0 < special <= width:
        special = 0
        if draw.random() < 0.15:
            return draw.getrandbits(width)
    lane = special or draw.choice([n for n in (8, 16, 32, 64) if n <= width] or [width])
    value = 0
    for at in range(0, width, lane):
        value |= (_special(lane, draw) if special and draw.random() < 0.7 else _lane(lane, draw)) << at
    if lane < width <= 64 and draw.random() < 0.7:  # a narrow value in a wide register: boxed, or extended
        low = value & (1 << lane) - 1
        return low | (draw.choice((0, -1, -1)) << lane & (1 << width) - 1)
    return value & (1 << width) - 1


def _special(width: int, draw: Random) -> int:
    """A float that no arithmetic treats as a number like others."""
    f = FORMATS[width]
    payload = draw.getrandbits(f.stored - 2) | 1
    found = draw.choice((0, 0, 0, 1, f.infinity, f.nan, f.nan | payload, f.infinity | payload, f.infinity | payload))
    return found | (f.sign if draw.random() < 0.5 else 0)


def _lane(width: int, draw: Random) -> int:
    choice = draw.random()
    f = FORMATS.get(width)
    if f is not None and choice > 0.9:  # a float of about 1 to 2^width
        return f.infinity // 2 + draw.getrandbits(f.stored + width.bit_length()) | draw.getrandbits(1) << width - 1
    if choice < 0.55:
        return draw.choice(edges(width))
    if choice < 0.7:
        return draw.getrandbits(draw.randint(1, width))
    return draw.getrandbits(width)


@cache
def edges(width: int) -> tuple[int, ...]:
    """The boundaries of integers and floats of so many bits."""
    mask, top = (1 << width) - 1, 1 << width - 1
    found = {0, 1, 2, 3, mask, mask - 1, top, top - 1, top + 1, width, width - 1, width + 1}
    found |= {1 << k for k in range(0, width, max(1, width // 8))} | {
        0x55555555_55555555 & mask,
        0x00FF00FF_00FF00FF & mask,
    }
    f = FORMATS.get(width)
    if f is not None:
        bias, half = f.infinity >> f.stored >> 1 << f.stored, f.fraction + 1 >> 1
        numbers = {0, 1, f.fraction, f.fraction + 1, f.infinity - 1, f.infinity, f.nan, f.infinity | 1, f.nan | 5, bias}
        for power in (-1, 0, 1, 7, 8, 15, 16, 31, 32, 52, 53, 63, 64):
            exponent = bias + (power << f.stored)
            if exponent < f.infinity:
                # x, its neighbours, 1.5 x, 1.25 x: ties and fractions near 1, where rounding shows
                numbers |= {exponent, exponent - 1, exponent + 1, exponent | half, exponent | half >> 1}
        found |= numbers | {x | f.sign for x in numbers}
    return tuple(sorted(x & mask for x in found))


def _aimed(bench: Bench, instance: Instance, record: bytearray, address: int, pc: int, draw: Random) -> Outcome | None:
    """The outcome, after a register was moved so that accesses lie in the window; None if they do not."""
    effects = instance.runnable.effects
    if not (effects.loads or effects.stores):
        return _run(bench, instance, record, address, pc)
    places = [place for place in instance.runnable.addressing if place in bench.slots]
    draw.shuffle(places)
    start, size = bench.window
    wanted = address + start + size // 4 + 16 * draw.randrange(size // 32) + draw.choice((0, 0, 0, draw.randrange(16)))
    outcomes = (_moved(bench, instance, record, address, pc, place, wanted) for place in places)
    return next(filter(None, outcomes), None)


def _moved(
    bench: Bench, instance: Instance, record: bytearray, address: int, pc: int, place: Place, wanted: int
) -> Outcome | None:
    """The outcome after what is missing to the wanted address was added to a register; None if that does not do."""
    before = bench.get(record, place)
    first = _accessed(bench, instance, record, pc)
    missing = 0 if first is None else wanted - first
    bench.put(record, place, before + missing)
    moved = _run(bench, instance, record, address, pc)
    if moved is None and first is not None:  # an index that is scaled
        bench.put(record, place, before + 1)
        step = _signed((_accessed(bench, instance, record, pc) or first) - first)
        bench.put(record, place, before + (_signed(missing) // step if step else 0))
        moved = _run(bench, instance, record, address, pc)
    if moved is None:
        bench.put(record, place, before)
    return moved


def _accessed(bench: Bench, instance: Instance, record: bytearray, pc: int) -> int | None:
    """The address of the first access, None if there is none; what is loaded is 0."""
    seen: list[int] = []

    def note(where: int, size: int) -> int:
        seen.append(where)
        return 0

    outcome = instance.runnable.run(lambda place: bench.get(record, place), note, pc)
    return next(iter([*seen, *(where for where, _, _ in outcome.stores)]), None)


def _signed(value: int) -> int:
    return (value + (1 << 63) & (1 << 64) - 1) - (1 << 63)


def _run(bench: Bench, instance: Instance, record: bytearray, address: int, pc: int) -> Outcome | None:
    """What the row says; None if it accesses what is not in the window."""
    start, size = bench.window[0] + address, bench.window[1]

    def memory(where: int, count: int) -> int:
        if not start <= where <= start + size - count:
            raise Outside
        at = where - address
        return int.from_bytes(record[at : at + count], bench.order)

    try:
        outcome = instance.runnable.run(lambda place: bench.get(record, place), memory, pc)
    except Outside:
        return None
    inside = all(start <= where <= start + size - count for where, count, _ in outcome.stores)
    return outcome if inside else None


def _trial(bench: Bench, record: bytearray, outcome: Outcome, address: int) -> Trial:
    expected, defined = bytearray(record), bytearray(b"\xff" * len(record))
    for where, size, written in outcome.stores:
        at, mask = where - address, (1 << 8 * size) - 1
        expected[at : at + size] = (written.value & mask).to_bytes(size, bench.order)
        defined[at : at + size] = (written.defined & mask).to_bytes(size, bench.order)
    for place, written in outcome.writes.items():
        if place in bench.slots:
            bench.put(expected, place, written.value)
            bench.put(defined, place, written.defined)
    expected[TAKEN : TAKEN + 8] = int(outcome.target is not None).to_bytes(8, bench.order)
    return Trial(bytes(record), bytes(expected), None if _all(defined) else bytes(defined))


def _all(defined: bytearray) -> bool:
    return defined.count(0xFF) == len(defined)


__all__ = ["Trial", "Written", "edges", "trials"]
