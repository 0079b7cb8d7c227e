"""The proof that every use reads what the program means, block by block, by comparing terms.

The one idea: assume at a block's entry what the invariant claims (this place holds the value of this virtual register),
execute the block in both worlds over uninterpreted instructions, and show that every use reads the same term in both,
and that along every way out each claim of the next block's invariant is met, with the branch's arguments for its
parameters. The entry's invariant must be empty. Then the claims hold whenever control gets there, by induction over
the length of the path, and so do all uses on all paths. Where the invariants come from does not matter.

A term is an int: a virtual register's number for the value that this block gave it, ENTRY - number for the value that
it came with, JUNK for whatever is not known to be anything. This is hash-consing with nothing to hash: an instruction
stands once in a block, so once its inputs have been proven equal its outputs are one term in both worlds, and different
instructions' outputs are different terms. `blocks_smt` decides the same obligations with z3, from real terms.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.program import JUNK, Edge, Moves, Program
from liftcheck.regalloc.allocation import USE

ENTRY: Final = -2

Term = int


class Failure(NamedTuple):
    """An obligation that is not met: `vreg` should be in `place`, for operand `operand` of `instruction`, or (then
    these are NONE) at the end of the block, for the claim (target's vreg, place) of `edge`'s target."""

    block: int
    vreg: int
    place: int
    instruction: int = NONE
    operand: int = NONE
    edge: Edge | None = None


class Checked(NamedTuple):
    """failure: the first obligation that is not met, or None; and how many obligations there were up to it."""

    failure: Failure | None
    obligations: int


def check(program: Program, invariants: list[set[int]]) -> Checked:
    """Whether all uses read what they should, given sets of pairs vreg * program.width + place for each block.

    The caller has seen that the rules of `rules` hold and that the entry's invariant is empty.
    """
    assert not invariants or not invariants[0]
    obligations = 0
    for block in program.order:
        found = Block(program, block, invariants[block]).check(invariants)
        obligations += found.obligations
        if found.failure is not None:
            return Checked(found.failure, obligations)
    return Checked(None, obligations)


class Block:
    """The symbolic execution of one block. `machine`: cell -> term, where a later cell of a value of several cells has
    (term, number). `same`: terms that the invariant makes equal to another one (rare)."""

    def __init__(self, program: Program, block: int, invariant: set[int]) -> None:
        self.program: Final = program
        self.block: Final = block
        self.machine: Final[dict[int, object]] = {}
        self.defined: Final[set[int]] = set()
        self.same: Final[dict[Term, Term]] = {}
        self.obligations = 0
        width, classes, cells = program.width, program.allocation.classes, program.cells
        machine = self.machine
        for pair in invariant:
            vreg, place = divmod(pair, width)
            if place not in machine and (place < SLOT or cells[classes[vreg]] == 1):
                machine[place] = ENTRY - vreg
            else:
                self._assume(place, classes[vreg], ENTRY - vreg)

    def _assume(self, place: int, cls: int, term: Term) -> None:
        """The place holds this term at the block's entry; a place that is claimed twice makes two terms equal."""
        there = self.machine.get(place)
        if isinstance(there, int):
            one, other = self.root(there), self.root(term)
            if one != other:
                self.same[other] = one
        else:
            # Claims of slots that overlap cannot both be true: one of them is dropped, and fails where it is claimed.
            self._write(place, cls, term)

    def root(self, term: Term) -> Term:
        """The representative of the terms that are known to be equal to this one."""
        while term in self.same:
            term = self.same[term]
        return term

    def check(self, invariants: list[set[int]]) -> Checked:
        """Execute the block; the first failure."""
        program = self.program
        row = program.allocation.blocks[self.block]
        before, after = program.before, program.after
        for number in range(row.first, row.end):
            if number in before:
                self._moves(before[number])
            failure = self._instruction(number)
            if failure is not None:
                return Checked(failure, self.obligations)
            if number in after:
                self._moves(after[number])
        for edge in program.out[self.block]:
            failure = self._edge(edge, invariants[edge.target])
            if failure is not None:
                return Checked(failure, self.obligations)
        return Checked(None, self.obligations)

    def _moves(self, moves: Moves) -> None:
        machine = self.machine
        for source, target in moves:
            if source < SLOT and target < SLOT:
                machine[target] = machine.get(source, JUNK)
            elif source < SLOT:
                self._write(target, source >> 6, machine.get(source, JUNK))
            else:
                machine[target] = self._read(source, target >> 6)

    def _read(self, place: int, cls: int) -> object:
        """The term in a place, read as a value of a class: JUNK unless all of its cells hold one of that class."""
        machine = self.machine
        value = machine.get(place, JUNK)
        if place < SLOT or value == JUNK:
            return value
        if not isinstance(value, int) or self.program.allocation.classes[value if value >= 0 else ENTRY - value] != cls:
            return JUNK
        for number in range(1, self.program.cells[cls]):
            if machine.get(place + number) != (value, number):
                return JUNK
        return value

    def _write(self, place: int, cls: int, value: object) -> None:
        self.machine[place] = value
        if place >= SLOT:
            for number in range(1, self.program.cells[cls]):
                self.machine[place + number] = (value, number)

    def _holds(self, place: int, cls: int, meant: Term) -> bool:
        value = self.machine.get(place, JUNK) if place < SLOT else self._read(place, cls)
        return value == meant or (
            bool(self.same) and isinstance(value, int) and value != JUNK and self.root(value) == self.root(meant)
        )

    def _instruction(self, number: int) -> Failure | None:
        """Reads, then clobbers and writes: the rules keep those apart that could get into each other's way."""
        program, defined, machine = self.program, self.defined, self.machine
        instruction = program.allocation.instructions[number]
        places = program.allocation.places[number]
        writes = False
        for index, (vreg, cls, kind, _, _, _) in enumerate(instruction.operands):
            if vreg == NONE:
                continue
            if kind != USE:
                writes = True
                continue
            self.obligations += 1
            place = places[index]
            meant = vreg if vreg in defined else ENTRY - vreg
            if place < SLOT and machine.get(place) == meant:
                continue
            if not self._holds(place, cls, meant):
                return Failure(self.block, vreg, place, number, index)
        for place in instruction.clobbers:
            machine[place] = JUNK
        for place in program.scratch:
            machine[place] = JUNK
        if writes:
            self._definitions(number)
        return None

    def _definitions(self, number: int) -> None:
        instruction = self.program.allocation.instructions[number]
        for (vreg, cls, kind, _, _, _), place in zip(instruction.operands, self.program.allocation.places[number]):
            if kind != USE and vreg != NONE:
                self.defined.add(vreg)
                if place < SLOT:
                    self.machine[place] = vreg
                else:
                    self._write(place, cls, vreg)

    def _edge(self, edge: Edge, claims: set[int]) -> Failure | None:
        width, classes = self.program.width, self.program.allocation.classes
        arguments, defined, cells = edge.arguments, self.defined, self.program.cells
        held = self.machine.get
        self.obligations += len(claims)
        for pair in claims:
            vreg, place = divmod(pair, width)
            if vreg in arguments:
                vreg = arguments[vreg]
            meant = vreg if vreg in defined else ENTRY - vreg
            if held(place) == meant and (place < SLOT or cells[classes[vreg]] == 1):
                continue
            if not self._holds(place, classes[vreg], meant):
                return Failure(self.block, divmod(pair, width)[0], place, NONE, NONE, edge)
        return None
