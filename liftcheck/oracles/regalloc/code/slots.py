"""Whether spill slots and saved words lie inside of the frame and overlap nothing else in it.

The one idea: the layout is known once all slots are: spill slots by moves and own bytes, stack slots by the compiler,
saved words by the exits' loads (`frame`); overlaps are then a question of intervals. `areas` holds accesses against the
same areas.
"""

from __future__ import annotations

from collections.abc import Iterator

from liftcheck.isa.abi import abi_named, reserved
from liftcheck.mach.insn import show
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.frame import Checked
from liftcheck.oracles.regalloc.code.moves import Slots
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import Allocation


def slot_problems(isa: str, allocation: Allocation, slots: Slots, checked: Checked, floor: int) -> Iterator[Problem]:
    """All that lies in the frame keeps clear of all else in it, and inside of it. `floor`: the end of what callees may
    write. To be asked when all slots are known."""
    if checked.size is None:
        return
    if not checked.problems:  # an exit that loads the wrong words is named for what it does
        yield from _saved_problems(isa, allocation, checked, floor)
    taken: dict[int, int] = {}
    kept_slots, body = explicit(allocation), checked.body
    for place, offset in sorted(slots.offsets.items()):
        size = slots.sizes[place]
        if offset < floor or offset + size > checked.size:
            yield _slot_problem("a spill slot lies outside of the frame", place, offset, f"[{floor}, {checked.size})")
        for at in range(offset, offset + size):
            other = taken.setdefault(at, place)
            if other != place:
                yield _slot_problem("two spill slots overlap", place, offset, show(other, isa))
                break
        for at in range(offset - offset % 8, offset + size, 8):
            if at in body.saved:
                yield _slot_problem("a spill slot overlaps what the prologue saved", place, offset, body.saved[at])
                break
        for low, high in kept_slots:
            if low < offset + size and offset < high:
                yield _slot_problem("a spill slot overlaps a stack slot", place, offset, f"[{low}, {high})")


def _saved_problems(isa: str, allocation: Allocation, checked: Checked, floor: int) -> Iterator[Problem]:
    """Where words lie that an exit loads: not where callees write, not below the stack pointer, in a stack slot, nor
    in the caller's frame, except for the return address, s390x's register save area, and arguments taken away."""
    area, top = abi_named(isa).callee_area, checked.size or 0
    if area:  # it is not said how many bytes of arguments lie below the save area of what never returns
        top += area + (1 << 32 if checked.popped is None else checked.popped)
    elif reserved(isa).link < 0:
        top += 8
    kept_slots = explicit(allocation)
    for at, what in sorted(checked.body.saved.items()):
        inside = [(low, high) for low, high in kept_slots if low < at + 8 and at < high]
        if at < floor:
            yield Problem("a saved word lies where callees write", NONE, 0, NONE, f"at sp + {floor} or above", what)
        elif at + 8 > top:
            yield Problem("a saved word lies in the caller's frame", NONE, 0, NONE, f"below sp + {top}", what)
        elif inside:
            low, high = inside[0]
            yield Problem("a saved word lies in a stack slot", NONE, 0, NONE, f"clear of [{low}, {high})", what)


def explicit(allocation: Allocation) -> list[tuple[int, int]]:
    """Where stack slots begin and end, as distances from the body's stack pointer."""
    offsets, sizes = allocation.frame.get("slots", ()), allocation.frame.get("slot_sizes", ())
    if not isinstance(offsets, (list, tuple)):
        return []
    widths = list(sizes) if isinstance(sizes, (list, tuple)) else []
    return [(o, o + (widths[i] if i < len(widths) else 1)) for i, o in enumerate(offsets) if isinstance(o, int)]


def _slot_problem(rule: str, place: int, offset: int, other: str) -> Problem:
    return Problem(rule, NONE, 0, place, f"clear of {other}", f"sp + {offset}")
