"""What an instruction does, as lines for people: its effects in the words of `bits`."""

from __future__ import annotations

from collections.abc import Iterator

from liftcheck.bits.show import text
from liftcheck.bits.term import Term
from liftcheck.mach.rows.machine import ALWAYS, Effects, Registers
from liftcheck.mach.rows.table import Lifted


def explained(lifted: Lifted, registers: Registers) -> list[str]:
    """A line for each effect, in the order: loads, traps, writes, stores, control; or the reason why there are none."""
    if lifted.effects is None:
        return [f"undecided: {lifted.lacking}"]
    return list(_lines(lifted.effects, registers)) or ["nothing"]


def _lines(effects: Effects, registers: Registers) -> Iterator[str]:
    for load in effects.loads:
        yield f"{text(load.value)} = {_bytes(load.size)} of memory at {text(load.address)}{_when(load.when)}"
    for trap in effects.traps:
        yield f"trap '{trap.code}'{_when(trap.when)}"
    for place, term in effects.writes.items():
        yield f"{registers.name(place)} = {text(term)}"
    for store in effects.stores:
        yield f"{_bytes(store.size)} of memory at {text(store.address)} = {text(store.value)}{_when(store.when)}"
    for jump in effects.jumps:
        yield f"{jump.kind} to {text(jump.target)}{_when(jump.when)}"
    for term in effects.undefined:
        yield f"{text(term)}: {term.bits} bit{'s' if term.bits > 1 else ''} that the manual leaves open"


def _bytes(size: int) -> str:
    return f"{size} byte{'s' if size > 1 else ''}"


def _when(condition: Term) -> str:
    return "" if condition is ALWAYS else f", if {text(condition)}"
