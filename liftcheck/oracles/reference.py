"""What the reference says of a case: its outcomes for each byte order, or why there are none; how long a run is, and
what its result depends on in addition to the inputs.

It is the interpreter (`interp.run`) driven over a case's inputs; it compares nothing (`compare.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from liftcheck import layout
from liftcheck.case import Case, Outcome
from liftcheck.clif.ir import Module
from liftcheck.errors import Unsupported
from liftcheck.interp.run import Prepared, Stats, prepare
from liftcheck.interp.translate import ORDERED

FUEL: Final = 2_000_000


class Expected(NamedTuple):
    """The reference's outcomes for one byte order, or the `trouble` why there are none; and what its first run did
    (opcode keys with counts, whether a loop was taken more than once, whether another function was called)."""

    outcomes: list[Outcome]
    trouble: str
    executed: Mapping[str, int]
    looped: bool = False
    called: bool = False


NOTHING: Final = Expected([], "", {})
"""For a case that none of the targets is for."""


_opcode: Final = attrgetter("op")


def depends_on_byte_order(module: Module) -> bool:
    """Whether the module could compute something else on a big-endian machine."""
    return not all(
        ORDERED.isdisjoint(map(_opcode, block.insts)) for function in module.functions for block in function.blocks
    )


def interpret(case: Case, big_endian: bool, fuel: int = FUEL) -> Expected:
    """The reference's outcomes for every input of a case, in one byte order."""
    return interpret_orders(case, (big_endian,), fuel)[big_endian]


def interpret_orders(case: Case, orders: Sequence[bool], fuel: int = FUEL) -> dict[bool, Expected]:
    """The reference's outcomes by byte order (True: big-endian). Only the very first run is looked into: that costs as
    much as a run, and both byte orders take the same paths except where loaded values differ."""
    found: dict[bool, Expected] = {}
    prepared: Prepared | None = None
    stats: Stats | None = None
    for order in orders:
        if prepared is not None and not prepared.set_byte_order(order):
            prepared.release()
            prepared = None
        prepared = prepared or prepare(case.module, order)
        try:
            outcomes, stats = _outcomes(case, prepared, stats, fuel)
        except Unsupported as error:
            found[order] = Expected([], f"reference: {error.reason}", {})
            continue
        if stats is None:
            found[order] = Expected([], "no inputs", {})
            continue
        found[order] = Expected(outcomes, _trouble(outcomes), stats.executed, stats.looped, stats.called)
    if prepared is not None:
        prepared.release()
    return found


def _outcomes(case: Case, prepared: Prepared, stats: Stats | None, fuel: int) -> tuple[list[Outcome], Stats | None]:
    """The outcomes of all inputs, and what the first run did, if that is not known."""
    entry, memories, slot = case.entry, case.memories, case.slot
    outcomes = []
    for number, row in enumerate(case.inputs):
        regions = {layout.slot_address(slot + number): memories[number]} if memories else None
        outcomes.append(prepared.run(entry, row, regions, fuel))
        stats = stats or prepared.stats
    return outcomes, stats


def reference_steps(case: Case, big_endian: bool, run: int, fuel: int = FUEL) -> int | None:
    """How many instructions the reference executes in one run; None if it does not end."""
    prepared = prepare(case.module, big_endian)
    regions = {layout.slot_address(case.slot + run): case.memories[run]} if case.memories else None
    ended = prepared.run(case.entry, case.inputs[run], regions, fuel).kind in ("returned", "trapped")
    steps = prepared.stats.instructions if ended else None
    prepared.release()
    return steps


def strays_into_others(case: Case, run: int, big_endian: bool, fuel: int = FUEL) -> bool:
    """Whether a run touches another run's data region: the reference maps its own one, runners have them all."""
    own = layout.slot_address(case.slot + run)
    others = {layout.slot_address(slot): bytes(layout.SLOT_SIZE) for slot in range(layout.SLOTS)}
    regions = {own: case.memories[run] if case.memories else bytes(layout.SLOT_SIZE)}
    prepared = prepare(case.module, big_endian)
    alone = prepared.run(case.entry, case.inputs[run], regions, fuel)
    among = prepared.run(case.entry, case.inputs[run], regions | others | regions, fuel)
    prepared.release()
    return alone != among


def reads_garbage(case: Case, big_endian: bool, fuel: int = FUEL) -> bool:
    """Whether what a case does depends on what its stack slots hold before it writes them. Generated programs never do;
    a reduction that drops a store may."""
    prepared = prepare(case.module, big_endian)
    found = []
    for garbage in (0, 0xA5):
        prepared.poison_stack(garbage)
        found.append(_outcomes(case, prepared, None, fuel)[0])
    prepared.release()
    return found[0] != found[1]


def _trouble(outcomes: Sequence[Outcome]) -> str:
    """Why a case cannot be judged by these outcomes, or ''."""
    for outcome in outcomes:
        if outcome.kind not in ("returned", "trapped"):
            return f"reference: {outcome.detail if outcome.kind == 'unsupported' else outcome.kind}"
        if outcome.detail == "stk_ovf":
            return "stack overflow in the reference"
    return ""
