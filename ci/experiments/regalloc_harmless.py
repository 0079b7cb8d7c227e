"""Why a planted fault that no judge sees does no harm: arguments that share nothing with the validator.

For faults at the seam: both allocations, the right one and the faulty one, are executed side by side over names of
values. Where the two may differ is a set of places, inferred over all paths; if no use ever reads from such a place,
the faulty function computes what the right one does. For edited bytes: the register or stack pointer that the edit
loses is not in need of it. An argument that does not apply gives '', and the fault is unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from regalloc_edits import Spot, instructions

from liftcheck.isa.abi import owed
from liftcheck.mach.insn import CALL, STACK_POINTERS, show
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.regalloc.allocation import (
    AFTER,
    BEFORE,
    DEF,
    EARLY,
    FIXED,
    LATE,
    REG,
    REUSE,
    STACK,
    USE,
    Allocation,
    Captured,
    Operand,
)

Name = object


def why(isa: str, right: Captured, faulty: Captured) -> str:
    """The argument, in words; '' if there is none."""
    if right.code.code == faulty.code.code:
        return "the code is the same byte for byte"
    if right.allocation is not faulty.allocation:
        return "all uses read what they read in the right allocation" if bisimilar(right, faulty) else ""
    return _bytes(isa, right, faulty)


# Bytes


def _bytes(isa: str, right: Captured, faulty: Captured) -> str:
    """Which of the two reasons there are for an edit of an exit holds."""
    pairs = list(zip(instructions(isa, right), instructions(isa, faulty)))
    changed = [number for number, (old, new) in enumerate(pairs) if old.machine != new.machine]
    if len(changed) != 1 or any(old.offset != new.offset for old, new in pairs):
        return ""
    number = changed[0]
    old, new = pairs[number]
    sp = STACK_POINTERS[isa]
    if sp in old.machine.writes and not old.machine.accesses:
        return _set_anew([spot for spot, _ in pairs[number + 1 :]], sp)
    lost = {place for place in old.machine.writes - new.machine.writes if place >= 0} or set(old.machine.writes) - {sp}
    # The stack pointer is read as a base, too: it is what is lost if nothing else is.
    unsaved = {place for place in old.machine.reads - new.machine.reads if place >= 0} or {sp}
    if old.machine.accesses and old.machine.accesses[0].written:
        loaded = {place for spot, _ in pairs[number:] if spot.machine.accesses for place in spot.machine.writes}
        return "" if unsaved & loaded else "what is not saved now was never loaded back"
    needed = _needed(isa, right)
    written = {
        place
        for at, (spot, _) in enumerate(pairs)
        if at != number and spot.machine.flow != CALL and not _only_restores(spot, lost)
        for place in spot.machine.writes
    }
    if lost and old.machine.accesses and not lost & written and not (new.machine.writes - old.machine.writes) & needed:
        names = ", ".join(show(place, isa) for place in sorted(lost))
        return f"nothing but a restore writes {names}: what calls keep is there still"
    return ""


def _needed(isa: str, right: Captured) -> frozenset[int]:
    """Registers that an exit must not write in addition: results, and what the caller wants back."""
    allocation = right.allocation
    promised = owed(isa, str(allocation.frame.get("convention", "")))
    returns = [places for what, places in zip(allocation.instructions, allocation.places) if what.is_return]
    return frozenset(promised.bits if promised else ()) | {place for row in returns for place in row}


def _only_restores(spot: Spot, lost: set[int]) -> bool:
    """The other exits' restores."""
    return bool(spot.machine.accesses) and spot.machine.accesses[0].read and spot.machine.writes <= lost


def _set_anew(rest: list[Spot], sp: int) -> str:
    for spot in rest:
        if sp in spot.machine.writes and sp not in spot.machine.reads:
            return "the next instruction that needs the stack pointer sets it from the frame pointer"
        if sp in spot.machine.reads:
            return ""
    return ""


# The seam


class Entering(int):
    """What the place of this number held when the block began."""


class Part(NamedTuple):
    """Cell number `at` of a value that takes several."""

    value: Name
    at: int


class Whole(tuple[Name, ...]):
    """The cells of a slot, read together."""


class _World:
    """What places hold, by name, in one of the two allocations: names are shared where both write the same result. A
    slot of several cells holds parts."""

    def __init__(self, allocation: Allocation) -> None:
        self.allocation: Final = allocation
        self.cells: Final[dict[int, Name]] = {}

    def cell(self, place: int) -> Name:
        """What one cell holds; at first what it held when the block began."""
        return self.cells.get(place, Entering(place))

    def read(self, place: int, cls: int) -> Name:
        """A value."""
        count = 1 if place < SLOT else self.allocation.slot_sizes[cls]
        first = self.cell(place)
        if count == 1:
            return first
        cells = Whole(self.cell(place + at) for at in range(count))
        if isinstance(first, Part) and all(cell == Part(first.value, at) for at, cell in enumerate(cells)):
            return first.value
        return cells

    def write(self, place: int, cls: int, value: Name) -> None:
        """A value into a place."""
        count = 1 if place < SLOT else self.allocation.slot_sizes[cls]
        for at in range(count):
            if isinstance(value, Whole) and len(value) == count:
                self.cells[place + at] = value[at]
            else:
                self.cells[place + at] = value if count == 1 else Part(value, at)

    def move(self, source: int, target: int) -> None:
        """An edit. The class is that of the register in it."""
        cls = (source if source < SLOT else target) >> 6 & 3
        self.write(target, cls, self.read(source, cls))


Pairs = frozenset[tuple[int, int]]


def _equal(right: Name, faulty: Name, pairs: Pairs) -> bool:
    """Whether two names mean one value, if at the block's beginning the `pairs` of places (right, faulty) did."""
    first, second = _place(right), _place(faulty)
    if first != NONE and second != NONE:
        return (first, second) in pairs
    if isinstance(right, Part) and second >= SLOT:
        return _equal(right.value, Entering(second - right.at), pairs)
    if isinstance(faulty, Part) and first >= SLOT:
        return _equal(Entering(first - faulty.at), faulty.value, pairs)
    if isinstance(right, Part) and isinstance(faulty, Part):
        return right.at == faulty.at and _equal(right.value, faulty.value, pairs)
    if isinstance(right, Whole) and isinstance(faulty, Whole) and len(right) == len(faulty):
        return all(_equal(a, b, pairs) for a, b in zip(right, faulty))
    return isinstance(right, str) and right == faulty


def _place(name: Name) -> int:
    """The place that a value was in when the block began, a slot by its first cell."""
    if isinstance(name, Whole):
        first = name[0]
        whole = isinstance(first, Entering) and all(
            isinstance(cell, Entering) and cell == first + at for at, cell in enumerate(name)
        )
        return int(first) if whole and isinstance(first, Entering) else NONE
    return int(name) if isinstance(name, Entering) else NONE


def _held(world: _World, place: int, other: int) -> Name:
    """What a place holds, of the class of the register among it and the place that it is compared with."""
    register = min(place, other)
    return world.read(place, register >> 6 & 3) if register < SLOT else world.cell(place)


def bisimilar(right: Captured, faulty: Captured) -> bool:
    """Whether every use of the faulty allocation reads what it reads in the right one, on every path."""
    return all(_same_place(r, d, operand, row) for r, d, operand, row in _operands(right, faulty)) and _no_use_differs(
        right.allocation, faulty.allocation
    )


def _operands(right: Captured, faulty: Captured) -> Iterator[tuple[int, int, Operand, tuple[int, ...]]]:
    for what, before, after in zip(right.allocation.instructions, right.allocation.places, faulty.allocation.places):
        for operand, r, d in zip(what.operands, before, after):
            yield r, d, operand, after


def _same_place(right: int, faulty: int, operand: Operand, row: tuple[int, ...]) -> bool:
    """Whether a place that was changed still is one of the kind that the operand asks for."""
    if operand.constraint == REUSE:
        return faulty == row[operand.value]
    if right == faulty or faulty == NONE:
        return right == faulty
    if operand.constraint == FIXED:
        return False
    if operand.constraint == REG:
        return faulty < SLOT and faulty >> 6 == operand.cls
    return operand.constraint != STACK or faulty >= SLOT


def _candidates(right: Allocation, faulty: Allocation) -> Pairs:
    """Pairs of places that may hold the same: each place and itself, both ends of moves, places that were exchanged."""
    found = {(place, place) for place in range(SLOT + max(right.slots, faulty.slots) + 4)}
    for edit in (*right.edits, *faulty.edits):
        found |= {(edit.source, edit.target), (edit.target, edit.source)}
    for a, b in (*pairwise(right.edits), *pairwise(faulty.edits)):
        if a.target == b.source:
            found |= {(a.source, b.target), (b.target, a.source)}
    other = {(e.instruction, e.where, e.source): e.target for e in faulty.edits}
    found |= {(e.target, other.get((e.instruction, e.where, e.source), e.target)) for e in right.edits}
    for a, b in zip(right.places, faulty.places):
        found |= set(zip(a, b))
    return frozenset(found)


def _no_use_differs(right: Allocation, faulty: Allocation) -> bool:
    """Pairs that are equal where a block begins are guessed, and taken back until all blocks keep what is left."""
    candidates = _candidates(right, faulty)
    entering = [candidates] * len(right.blocks)
    entering[0] = frozenset((place, place) for place, other in candidates if place == other)
    edits = _edits_of(right), _edits_of(faulty)
    todo = set(range(len(right.blocks)))
    while todo:
        block = todo.pop()
        worlds = _World(right), _World(faulty)
        _execute(worlds, edits, block, entering[block])
        leaving = frozenset(
            (r, d) for r, d in candidates if _equal(_held(worlds[0], r, d), _held(worlds[1], d, r), entering[block])
        )
        for successor in right.blocks[block].successors:
            if not entering[successor] <= leaving:
                entering[successor] &= leaving
                todo.add(successor)
    return all(_execute((_World(right), _World(faulty)), edits, block, pairs) for block, pairs in enumerate(entering))


Edits = dict[tuple[int, int], list[tuple[int, int]]]


def _execute(worlds: tuple[_World, _World], edits: tuple[Edits, Edits], block: int, pairs: Pairs) -> bool:
    """A block in both; False if a use differs."""
    same = True
    row = worlds[0].allocation.blocks[block]
    for number in range(row.first, row.end):
        for where in (BEFORE, AFTER):
            for world, mine in zip(worlds, edits):
                for source, target in mine.get((number, where), ()):
                    world.move(source, target)
            if where == BEFORE:
                same = _instruction(worlds, number, pairs) and same
    return same


def _edits_of(allocation: Allocation) -> Edits:
    found: Edits = {}
    for edit in allocation.edits:
        found.setdefault((edit.instruction, edit.where), []).append((edit.source, edit.target))
    return found


def _instruction(worlds: tuple[_World, _World], number: int, pairs: Pairs) -> bool:
    """Executes one in both; False if a use differs."""
    a, b = worlds
    what = a.allocation.instructions[number]
    rows = [
        row for row in zip(what.operands, a.allocation.places[number], b.allocation.places[number]) if row[1] != NONE
    ]
    same = True
    for position in (EARLY, LATE):
        for operand, here, there in rows:
            if operand.kind == USE and operand.position == position:
                same = same and _equal(a.read(here, operand.cls), b.read(there, operand.cls), pairs)
        for index, (operand, here, there) in enumerate(rows):
            if operand.kind == DEF and operand.position == position:
                a.write(here, operand.cls, f"i{number}.{index}")
                b.write(there, operand.cls, f"i{number}.{index}")
        if position == EARLY:
            for register in what.clobbers:
                a.cells[register], b.cells[register] = f"right, lost in i{number}", f"faulty, lost in i{number}"
    return same
