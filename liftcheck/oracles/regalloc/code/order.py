"""Whether own bytes that branch read an input while it is still there: on no path behind a write to its register.

The one idea: what an input's register holds at each instruction is one of two things, the input or what the bytes have
written over it. Both are followed along all ways through the bytes; a read that may see either cannot be meant: the
register is the input's on one way and another value's on the other. So a loop that writes an input's register and reads
it in the next round is refuted, too. Where a result takes the input's place by its description, both are meant.

It does not know whose value an instruction wants: of a read that always comes behind a write it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from liftcheck.mach.insn import BRANCH, JUMP, RETURN, TRAP
from liftcheck.oracles.regalloc.code.layout import Placed


def overwritten(own: Sequence[Placed], inputs: set[int]) -> tuple[Placed, int] | None:
    """The first read of one of these registers that sees the input on one way and something else on another."""
    if all(machine.flow not in (BRANCH, JUMP) for _, machine in own):
        return None
    numbers = {offset: number for number, (offset, _) in enumerate(own)}
    for place in sorted(inputs):
        if any(place in machine.writes for _, machine in own):
            seen = _followed(own, numbers, place)
            for number, placed in enumerate(own):
                if place in placed.machine.reads and len(seen[number]) == 2:
                    return placed, place
    return None


def reads_input(own: Sequence[Placed], place: int) -> bool:
    """Whether a way leads to a read of the register that no write comes before."""
    seen = _followed(own, {offset: number for number, (offset, _) in enumerate(own)}, place)
    return any(place in machine.reads and False in seen[number] for number, (_, machine) in enumerate(own))


def survives(own: Sequence[Placed], place: int) -> bool:
    """Whether a way leads through the bytes that does not write the register."""
    return False in _followed(own, {offset: number for number, (offset, _) in enumerate(own)}, place)[-1]


def _followed(own: Sequence[Placed], numbers: dict[int, int], place: int) -> list[set[bool]]:
    """For each instruction, and for the end, whether the register may have been written before it: {False}, {True}, or
    both."""
    seen: list[set[bool]] = [set() for _ in range(len(own) + 1)]
    work = [(0, False)]
    while work:
        number, written = work.pop()
        if written in seen[number]:
            continue
        seen[number].add(written)
        if number == len(own):
            continue
        offset, machine = own[number]
        written = written or place in machine.writes
        if machine.flow in (BRANCH, JUMP) and machine.target is not None:
            work.append((numbers.get(offset + machine.target, len(own)), written))
        if machine.flow not in (JUMP, RETURN, TRAP):
            work.append((number + 1, written))
    return seen
