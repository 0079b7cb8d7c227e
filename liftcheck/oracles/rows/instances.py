"""Instructions of a row with drawn operands.

The one idea: fields are drawn, since every operand comes out of fields; registers that the program needs are avoided,
equal registers are frequent, a target is where the fragment notes that it was reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from liftcheck.errors import AssemblyError
from liftcheck.mach.rows.bench import Bench, distance
from liftcheck.mach.rows.evaluate import Runnable
from liftcheck.mach.rows.kinds import Target
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Decoded


class Instance(NamedTuple):
    """An instruction, the context (its number in the bench) that it is executed in, what it does."""

    decoded: Decoded
    context: int
    runnable: Runnable


_TRIES: Final = 300


def instances(bench: Bench, row: Row, draw: Random) -> Iterator[Instance]:
    """Instructions of a row that have a meaning; few if most of what is drawn has none."""
    made = (_drawn(bench, row, draw) for _ in range(_TRIES))
    return (one for one in made if one is not None)


def _drawn(bench: Bench, row: Row, draw: Random) -> Instance | None:
    decoded = drawn(bench, row, draw)
    if decoded is None:
        return None
    context = draw.randrange(len(bench.contexts))
    lifted = bench.table.lift(decoded, bench.contexts[context][0])
    if lifted.effects is None:
        return None
    return Instance(decoded, context, Runnable(lifted.effects, bench.table.registers))


def drawn(bench: Bench, row: Row, draw: Random) -> Decoded | None:
    """An instruction of a row; None if this draw made none."""
    fields: dict[str, int] = {}
    for name, room in row.encoding.rooms().items():
        fields[name] = _field(room, list(fields.values()), draw)
    size = len(row.encoding.encode(fields))
    for operand in row.operands:
        if isinstance(operand.kind, Target):
            try:
                fields |= operand.kind.encode(distance(bench, size))
            except AssemblyError:
                return None
    decoded = bench.table.decode(row.encoding.encode(fields))
    if decoded is None or decoded.instruction is not row:
        return None
    named = {place for o, value in zip(decoded.row.operands, decoded.values) for place in o.kind.places(value)}
    return None if named & bench.reserved else decoded


def _field(room: int, others: Sequence[int], draw: Random) -> int:
    choice = draw.random()
    if choice < 0.25 and others:
        return draw.choice(others) & room
    if choice < 0.4:
        return draw.choice((0, room, room & -room, room & ~(room >> 1), room >> 1 & room))
    return draw.getrandbits(room.bit_length()) & room
