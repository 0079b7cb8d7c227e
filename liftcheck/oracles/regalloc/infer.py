"""Guesses what must hold at the entry of each block: which place holds which virtual register's value.

The one idea: ask backwards. A use of v in a place that its block has not written yet needs v there at the block's
entry; so every way into the block must bring v (or the argument that is passed for it) there, which the predecessor
either has in a definition of its own, or needs at its own entry in turn. What comes out is the least set of needs, as
large as the lists of live values are and no larger; each need is followed through each predecessor once.

Nothing is proved here: needs that a block cannot meet are kept, and the check (`blocks`), which knows
nothing of how they were found, trips over them. A need that reaches the function's entry is one for a register that the
program itself does not define on some path; then nothing can be said of its allocation.
"""

from __future__ import annotations

from typing import Final

from liftcheck.errors import Unsupported
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.program import JUNK, Edge, Program
from liftcheck.regalloc.allocation import EARLY, USE

Contents = dict[int, object]
"""Cell -> what a block leaves there: a virtual register that the block defines, JUNK, or (class, place): what was in
that place at its entry; a later cell of a value of several cells has (that, number). Without a key: not written."""


def needs(program: Program) -> list[set[int]]:
    """For each block the pairs vreg * program.width + place that must hold at its entry."""
    found: list[set[int]] = [set() for _ in program.allocation.blocks]
    left: list[Contents] = [{} for _ in program.allocation.blocks]
    for block in program.order:
        left[block], found[block] = uses_and_contents(program, block)
    pending = {block: set(found[block]) for block in reversed(program.order) if found[block]}
    while pending:
        block, fresh = pending.popitem()
        for edge in program.into[block]:
            asked = asked_before(program, edge, fresh, left[edge.source]) - found[edge.source]
            if asked:
                found[edge.source] |= asked
                pending.setdefault(edge.source, set()).update(asked)
    if found and found[0]:
        raise Unsupported("the program reads a virtual register that it does not define on every path")
    return found


def uses_and_contents(program: Program, block: int) -> tuple[Contents, set[int]]:
    """What a block leaves in the places, and the pairs that its own uses need at its entry."""
    asked: set[int] = set()
    return _Walk(program, block, asked).contents, asked


def asked_before(program: Program, edge: Edge, fresh: set[int], left: Contents) -> set[int]:
    """What the source of an edge needs at its own entry so that `fresh` holds at the target's."""
    width, classes, defined_in = program.width, program.allocation.classes, program.defined_in
    arguments, source, cells = edge.arguments, edge.source, program.cells
    asked = set()
    for pair in fresh:
        vreg, place = divmod(pair, width)
        if vreg in arguments:
            vreg = arguments[vreg]
        if defined_in[vreg] == source:
            continue
        if place not in left and (place < SLOT or cells[classes[vreg]] == 1):
            asked.add(vreg * width + place)
        else:
            origin = origin_of(program, left, place, classes[vreg])
            if origin != NONE:
                asked.add(vreg * width + origin)
    return asked


def origin_of(program: Program, left: Contents, place: int, cls: int) -> int:
    """The place at the block's entry whose value of class `cls` is in `place` at its end, or NONE."""
    value = read(program, left, place, cls)
    return value[1] if isinstance(value, tuple) and value[0] == cls else NONE


def read(program: Program, contents: Contents, place: int, cls: int) -> object:
    """What a place of a class holds in the middle of a block, as in `Contents`; JUNK where cells do not belong
    together or hold another class."""
    if place < SLOT:
        return contents.get(place, (place >> 6, place))
    cells = range(place, place + program.cells[cls])
    if not any(cell in contents for cell in cells):
        return (cls, place)
    value = contents.get(place, JUNK)
    whole = all(contents.get(place + number) == (value, number, True) for number in range(1, len(cells)))
    return value if whole and class_of(program, value) == cls else JUNK


def class_of(program: Program, value: object) -> int:
    """The class of a value of `Contents`, NONE for what is not a value."""
    if isinstance(value, int):
        return program.allocation.classes[value] if value >= 0 else NONE
    assert isinstance(value, tuple)
    return value[0] if len(value) == 2 else NONE


def write(program: Program, contents: Contents, place: int, cls: int, value: object) -> None:
    """A place of a class gets a value: all of its cells."""
    contents[place] = value
    if place >= SLOT:
        for number in range(1, program.cells[cls]):
            contents[place + number] = (value, number, True)


class _Walk:
    """One block in the machine's world, from unknown contents; `asked` gets what its uses need at its entry."""

    def __init__(self, program: Program, block: int, asked: set[int]) -> None:
        self.program: Final = program
        self.contents: Final[Contents] = {}
        row = program.allocation.blocks[block]
        defined: set[int] = set()
        for number in range(row.first, row.end):
            self._moves(program.before.get(number))
            self._instruction(number, defined, asked)
            self._moves(program.after.get(number))

    def _moves(self, moves: list[tuple[int, int]] | None) -> None:
        for source, target in moves or ():
            cls = (source if source < SLOT else target) >> 6
            write(self.program, self.contents, target, cls, read(self.program, self.contents, source, cls))

    def _instruction(self, number: int, defined: set[int], asked: set[int]) -> None:
        program, contents = self.program, self.contents
        width = program.width
        instruction = program.allocation.instructions[number]
        writes = []
        for (vreg, cls, kind, position, _, _), place in zip(instruction.operands, program.allocation.places[number]):
            if vreg == NONE:
                continue
            if kind != USE:
                writes.append((position, place, cls, vreg))
            elif vreg not in defined:
                value = contents.get(place) if place < SLOT else read(program, contents, place, cls)
                if value is None:
                    asked.add(vreg * width + place)
                elif isinstance(value, tuple) and value[0] == cls:
                    asked.add(vreg * width + value[1])
        if instruction.clobbers or program.scratch or len(writes) > 1:
            writes.sort(key=lambda write: write[0] != EARLY)
            for place in (*instruction.clobbers, *program.scratch):
                contents[place] = JUNK
        for _, place, cls, vreg in writes:
            write(program, contents, place, cls, vreg)
            defined.add(vreg)
