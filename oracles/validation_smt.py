"""The obligations of `validation_blocks`, decided by z3 from real terms: an independent second answer.

The one idea: the same induction over blocks, but nothing is simplified on the way. Values are of one uninterpreted
sort. An instruction's result is an uninterpreted function, one for each definition of each instruction, applied to what
it reads in the machine's world and to what it means in the program's. A spilled value is taken into parts, one a cell
and put together when it is read; that the parts of a value give the value back is asserted for each value that is
spilled, and there is no such law between classes. What a claim of the invariant, a definition or a spill makes equal is
asserted; that some obligation of the block fails is the question. 'unsat' proves all of them at once.

Results have names of their own (an equation each), so no term is deeper than one application.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import z3

from liftcheck.compilers.allocation import NONE, SLOT, USE
from liftcheck.errors import Unsupported
from liftcheck.oracles.validation_blocks import Checked, Failure
from liftcheck.oracles.validation_program import Edge, Moves, Program

MILLISECONDS: Final = 60_000
"""A block's time; z3 needs a hundredth of it for the largest that was seen."""


class Obligation(NamedTuple):
    """An equation to be proven, and what it means if it fails."""

    equation: Any
    failure: Failure


def check(program: Program, invariants: list[set[int]]) -> Checked:
    """As `validation_blocks.check`. Unsupported if z3 gives up."""
    obligations = 0
    for block in program.order:
        symbolic = _Block(program, block, invariants[block])
        symbolic.execute(invariants)
        obligations += len(symbolic.obligations)
        failure = _first_failure(symbolic)
        if failure is not None:
            return Checked(failure, obligations)
    return Checked(None, obligations)


def _first_failure(block: _Block) -> Failure | None:
    solver = z3.SolverFor("QF_UF")
    solver.set("timeout", MILLISECONDS)
    solver.add(block.facts)
    equations = [obligation.equation for obligation in block.obligations]
    if not equations or _is_proven(solver, z3.Or([z3.Not(equation) for equation in equations])):
        return None
    for obligation in block.obligations:
        if not _is_proven(solver, z3.Not(obligation.equation)):
            return obligation.failure
        solver.add(obligation.equation)
    raise Unsupported("z3 refutes a block's obligations together, but none of them alone")


def _is_proven(solver: Any, negation: Any) -> bool:
    solver.push()
    solver.add(negation)
    answer = solver.check()
    solver.pop()
    if answer == z3.unknown:
        raise Unsupported("z3 gives up")
    return bool(answer == z3.unsat)


class _Block:
    """The symbolic execution of one block. `machine`: cell -> term; `program_terms`: virtual register -> term."""

    def __init__(self, program: Program, block: int, invariant: set[int]) -> None:
        self.program: Final = program
        self.block: Final = block
        self.sort: Final = z3.DeclareSort("Value")
        self.facts: Final[list[Any]] = []
        self.obligations: Final[list[Obligation]] = []
        self.machine: Final[dict[int, Any]] = {}
        self.program_terms: Final[dict[int, Any]] = {}
        self.functions: Final[dict[tuple[str, int], Any]] = {}
        self.named = 0
        for vreg, place in (divmod(pair, program.width) for pair in sorted(invariant)):
            self.facts.append(self._read(place, program.allocation.classes[vreg]) == self._meant(vreg))

    def execute(self, invariants: list[set[int]]) -> None:
        """Collect the facts and obligations of the whole block."""
        program = self.program
        row = program.allocation.blocks[self.block]
        for number in range(row.first, row.end):
            self._moves(program.before.get(number, []))
            self._instruction(number)
            self._moves(program.after.get(number, []))
        for edge in program.out[self.block]:
            self._edge(edge, invariants[edge.target])

    # terms

    def _fresh(self, word: str) -> Any:
        self.named += 1
        return z3.Const(f"{word}{self.named}", self.sort)

    def _function(self, name: str, arity: int) -> Any:
        """An uninterpreted function; a constant if it takes nothing."""
        found = self.functions.get((name, arity))
        if found is None:
            found = self.functions[name, arity] = z3.Function(name, *[self.sort] * (arity + 1))
        return found

    def _meant(self, vreg: int) -> Any:
        """The program's value of a virtual register at this point."""
        found = self.program_terms.get(vreg)
        if found is None:
            found = self.program_terms[vreg] = z3.Const(f"v{vreg}", self.sort)
        return found

    def _cell(self, cell: int) -> Any:
        found = self.machine.get(cell)
        if found is None:
            found = self.machine[cell] = z3.Const(f"at{cell}", self.sort)
        return found

    def _read(self, place: int, cls: int) -> Any:
        """What a place holds, read as a value of a class."""
        if place < SLOT:
            return self._cell(place)
        cells = [self._cell(place + number) for number in range(self.program.cells[cls])]
        return self._function(f"join{cls}", len(cells))(*cells)

    def _write(self, place: int, cls: int, term: Any) -> None:
        if place < SLOT:
            self.machine[place] = term
            return
        parts = [self._function(f"part{cls}.{number}", 1)(term) for number in range(self.program.cells[cls])]
        self.facts.append(self._function(f"join{cls}", len(parts))(*parts) == term)
        for number, part in enumerate(parts):
            self.machine[place + number] = part

    # steps

    def _moves(self, moves: Moves) -> None:
        for source, target in moves:
            cls = (source if source < SLOT else target) >> 6
            self._write(target, cls, self._read(source, cls))

    def _instruction(self, number: int) -> None:
        instruction = self.program.allocation.instructions[number]
        places = self.program.allocation.places[number]
        found, meant = [], []
        for index, ((vreg, cls, kind, _, _, _), place) in enumerate(zip(instruction.operands, places)):
            if kind == USE and vreg != NONE:
                found.append(self._read(place, cls))
                meant.append(self._meant(vreg))
                self.obligations.append(Obligation(found[-1] == meant[-1],
                                                   Failure(self.block, vreg, place, number, index)))
        for place in (*instruction.clobbers, *self.program.scratch):
            self.machine[place] = self._fresh("clobbered")
        for (vreg, cls), place in self._definitions(number):
            function = self._function(f"i{number}.v{vreg}", len(found))
            self.program_terms[vreg] = self._named(function, meant)
            self._write(place, cls, self._named(function, found))

    def _definitions(self, number: int) -> Iterator[tuple[tuple[int, int], int]]:
        operands = self.program.allocation.instructions[number].operands
        for (vreg, cls, kind, _, _, _), place in zip(operands, self.program.allocation.places[number]):
            if kind != USE and vreg != NONE:
                yield (vreg, cls), place

    def _named(self, function: Any, arguments: list[Any]) -> Any:
        """A name for a result."""
        name = self._fresh("r")
        self.facts.append(name == function(*arguments))
        return name

    def _edge(self, edge: Edge, claims: set[int]) -> None:
        width, classes = self.program.width, self.program.allocation.classes
        for pair in sorted(claims):
            vreg, place = divmod(pair, width)
            meant = edge.arguments.get(vreg, vreg)
            self.obligations.append(Obligation(self._read(place, classes[meant]) == self._meant(meant),
                                               Failure(self.block, vreg, place, NONE, NONE, edge)))
