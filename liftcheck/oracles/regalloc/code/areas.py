"""Whether own bytes access the frame where something of theirs is.

The one idea: the frame is a handful of areas, and each access by the stack or frame pointer lies inside of one that its
instruction may touch: stack slots, spill slots of its own operands, what is handed to callees (calls alone read there),
and what the caller handed over. Which word of an area it is, is not asked here; spill slots and saved words are held
against stores by `accesses`. Accesses by computed addresses are not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.code.accesses import STORES_OUTSIDE, Body, Rules
from liftcheck.oracles.regalloc.code.framed import framed
from liftcheck.oracles.regalloc.code.moves import Slots
from liftcheck.oracles.regalloc.code.problem import Problem

READS_OUTSIDE: Final = "an instruction reads the frame outside of what is its own"


def outside(
    rules: Rules, slots: Slots, body: Body, explicit: Sequence[tuple[int, int]], size: int, lowest: int
) -> Iterator[Problem]:
    """What is accessed elsewhere. `explicit`: the stack slots; `size`: the distance of the caller's frame; `lowest`: of
    the lowest slot or saved word."""
    allocation = rules.allocation
    spilled = {at - 8 * (slot - SLOT) for slot, at in slots.offsets.items()}
    room = 8 * allocation.slots
    for instruction, own, shift in rules.framed:
        what = allocation.instructions[instruction]
        rows = [*explicit]
        if any(place >= SLOT for place in allocation.places[instruction]):
            rows += [(low, low + room) for low in spilled]
        for placed, low, width, stores in framed(rules.isa, own, shift, body.frame_pointer):
            high = low + width
            # A callee's packed results are read in whole words, which reach past them all.
            called = bool(what.clobbers) and not stores
            handed = min(shift, 0) <= low and (low < lowest if called else stores and high <= lowest)
            given = _given(rules, low, high, stores, size, body)
            if not handed and not given and not any(first <= low and high <= end for first, end in rows):
                rule, found = STORES_OUTSIDE if stores else READS_OUTSIDE, f"sp + {low}, {width} bytes"
                yield Problem(rule, instruction, placed.offset, NONE, "a slot, an argument", found, (placed,))


def _given(rules: Rules, low: int, high: int, stores: bool, size: int, body: Body) -> bool:
    """Whether bytes of the frame are what the caller handed over, or tell of the caller: the return address, the saved
    frame pointer, the back chain. A `tail` function has arguments of its own tail calls there."""
    if stores:
        tail = rules.allocation.frame.get("convention") == "tail"
        return tail and low >= (0 if body.frame_pointer is None else body.frame_pointer + 16)
    few = rules.calls.source is not None and rules.calls.source.few
    above = size + ((rules.abi.callee_area or 16) if few else 1 << 16)
    return (size - 16 <= low and high <= above) or (rules.abi.back_chain and (low, high) == (0, 8))
