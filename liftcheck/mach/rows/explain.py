"""What an instruction does, as lines for people: its effects in the words of `bits`.

A part that is used more than once is said once, under a name of its own (t1, t2, …): terms share parts, and written
out in full some would be endless.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from liftcheck.bits.show import text
from liftcheck.bits.term import Term, postorder, term, var
from liftcheck.mach.rows.machine import ALWAYS, Effects, Registers
from liftcheck.mach.rows.table import Lifted, roots_of


def explained(lifted: Lifted, registers: Registers) -> list[str]:
    """A line for each effect, in the order: loads, traps, writes, stores, control; or the reason why there are none."""
    if lifted.effects is None:
        return [f"undecided: {lifted.lacking}"]
    writer = _Writer(roots_of(lifted.effects))
    lines = list(_lines(lifted.effects, registers, writer))
    return [*writer.shared, *lines] or ["nothing"]


_SMALL: Final = frozenset({"var", "const"})


class _Writer:
    """Text of terms; `shared`: the lines of the parts that have a name."""

    def __init__(self, roots: list[Term]) -> None:
        self.shared: list[str] = []
        self._short: dict[Term, Term] = {}
        order = postorder(tuple(roots))
        uses = Counter(roots)
        for node in order:
            uses.update(node.args)
        for node in order:
            made = term(node.prim, node.lane, node.lanes, node.params, tuple(self._short[a] for a in node.args))
            if uses[node] > 1 and node.prim not in _SMALL and not all(a.prim in _SMALL for a in node.args):
                name = f"t{len(self.shared) + 1}"
                self.shared.append(f"{name} = {text(made)}")
                made = var(name, node.lane, node.lanes)
            self._short[node] = made

    def text(self, node: Term) -> str:
        return text(self._short[node])

    def when(self, condition: Term) -> str:
        return "" if condition is ALWAYS else f", if {self.text(condition)}"


def _lines(effects: Effects, registers: Registers, writer: _Writer) -> Iterator[str]:
    show, when = writer.text, writer.when
    for load in effects.loads:
        yield f"{text(load.value)} = {_bytes(load.size)} of memory at {show(load.address)}{when(load.when)}"
    for trap in effects.traps:
        yield f"trap '{trap.code}'{when(trap.when)}"
    for place, value in effects.writes.items():
        yield f"{registers.name(place)} = {show(value)}"
    for store in effects.stores:
        yield f"{_bytes(store.size)} of memory at {show(store.address)} = {show(store.value)}{when(store.when)}"
    for jump in effects.jumps:
        yield f"{jump.kind} to {show(jump.target)}{when(jump.when)}"
    for value in effects.undefined:
        yield f"{text(value)}: {value.bits} bit{'s' if value.bits > 1 else ''} that the manual leaves open"


def _bytes(size: int) -> str:
    return f"{size} byte{'s' if size > 1 else ''}"
