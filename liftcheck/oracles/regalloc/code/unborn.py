"""Whether values without a definition are used only where nothing depends on them.

The one idea: an instruction without bytes defines nothing (x86-64's uninitialized values); its result may be read by
idioms whose result is the same for any input, and by insertions whose remaining bits are dead. `accesses` notes which
instructions have no bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import USE, Allocation


def check(
    allocation: Allocation, unborn: Mapping[int, int], merging: frozenset[str], own: Mapping[int, Sequence[Placed]]
) -> Iterator[Problem]:
    """What nothing defines, nothing may depend on but idioms that give the same whatever they read, and insertions
    into a rest that is not asked for."""
    if not unborn:
        return
    rule = "an instruction with a result has no bytes"
    for block in allocation.blocks:
        for vreg in {vreg for arguments in block.arguments for vreg in arguments} & unborn.keys():
            at = unborn[vreg]
            yield Problem(rule, at, allocation.offsets[at] or 0, NONE, "a value that is passed on", "nothing")
    for number, what in enumerate(allocation.instructions):
        places = allocation.places[number]
        for operand, place in zip(what.operands, places):
            if operand.kind != USE or operand.vreg not in unborn:
                continue
            alike = {p for o, p in zip(what.operands, places) if (o.kind, o.vreg) == (USE, operand.vreg)}
            if not _idle_use(own.get(number, ()), place, alike, merging):
                at = unborn[operand.vreg]
                code = tuple(own.get(number, ()))
                yield Problem(
                    rule, at, allocation.offsets[at] or 0, place, f"a value for instruction {number}", "nothing", code
                )


def used(allocation: Allocation) -> set[int]:
    """Virtual registers that some instruction or block parameter uses."""
    found = {o.vreg for what in allocation.instructions for o in what.operands if o.kind == USE}
    for block in allocation.blocks:
        found.update(*block.arguments)
    return found


def _idle_use(own: Sequence[Placed], place: int, alike: set[int], merging: frozenset[str]) -> bool:
    """Whether a register is read in name only, against one that holds the same, or for what is left of it after an
    insertion. `alike`: where the same value is; `merging` is empty where no backend has uninitialized values."""
    readers = [machine for _, machine in own if place in machine.reads]
    return bool(readers and merging) and all(
        place in m.merged or m.name in merging or (m.cancels and {p for p in m.reads if p >= 0} <= alike)
        for m in readers
    )
