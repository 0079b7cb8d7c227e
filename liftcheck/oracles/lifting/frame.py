"""Where the stack slots of a program are in the frame of its code.

The one idea: the compiler says where it has put them, and both sides have them there; without that they are somewhere
below the stack pointer, on the side of the program alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from liftcheck.bits.term import Term
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.isa.abi import abi_named
from liftcheck.mach.lift_memory import WORD, Slots, Undecided, located, parts
from liftcheck.oracles.lifting.calls import Calls
from liftcheck.oracles.lifting.signature import ALIGNED, Boundary, boundary


def slots(target: Target, function: Function, code: FunctionCode) -> dict[int, Term] | None:
    """Where the code has the stack slots of the program, as the compiler says; None: it does not."""
    frame = code.extra.get("frame")
    if not function.stack_slots or not isinstance(frame, Mapping):
        return None
    pushed = 16 if abi_named(target.isa).frame >= 0 else 0
    bottom = -pushed - int(frame["frame_to_fp_offset"])
    return {number: located(ALIGNED, bottom + frame["slots"][number]) for number in function.stack_slots}


def entry(target: Target, function: Function, places: Mapping[int, Term] | None) -> Boundary:
    """The state in which the code of a function is entered, whose stack slots are at some places."""
    entered = boundary(target, function.signature, Calls(target, function))
    known = None if places is None else stack_slots(function, places)
    return replace(entered, entry=entered.entry._replace(slots=known))


def stack_slots(function: Function, places: Mapping[int, Term]) -> Slots | None:
    """The slots at some places, each with what fills its last word; None: the program has none."""
    known = sorted((parts(places[number])[1], slot.size) for number, slot in function.stack_slots.items() if slot.size)
    ends = [low + -(-size // WORD) * WORD for low, size in known]
    for number, (low, _) in enumerate(known[1:]):
        if low < sum(known[number]):
            raise Undecided("stack slots that overlap")
        ends[number] = min(ends[number], low)
    return Slots(ALIGNED, tuple((low, end) for (low, _), end in zip(known, ends))) if known else None


def anywhere(function: Function) -> dict[int, Term]:
    """Places for stack slots below where the stack pointer is at the call."""
    found, at = {}, 0
    for number, slot in function.stack_slots.items():
        at = (at - slot.size) // max(slot.align, 16) * max(slot.align, 16)
        found[number] = located(ALIGNED, at)
    return found
