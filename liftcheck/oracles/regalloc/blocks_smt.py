"""The obligations of `blocks`, decided by z3 from real terms: an independent second answer.

The one idea: the same induction over blocks, but nothing is simplified on the way. Values are of one uninterpreted
sort. An instruction's result is an uninterpreted function, one for each definition of each instruction, applied to what
it reads in the machine's world and to what it means in the program's. A spilled value is taken into parts, one a cell
and put together when it is read; that the parts of a value give the value back is asserted for each value that is
spilled, and there is no such law between classes. What a claim of the invariant, a definition or a spill makes equal is
asserted; that some obligation of the block fails is the question. 'unsat' proves all of them at once; otherwise the
first one that is false in z3's model does not follow from the facts and those before it.

A block is written down in SMT-LIB and read by z3 at once, which takes a tenth of the time of building it term by term
from Python. Every term that is not a name gets one, so none is deeper than one application.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import z3

from liftcheck.errors import Unsupported
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.blocks import Checked, Failure
from liftcheck.oracles.regalloc.program import Edge, Moves, Program
from liftcheck.regalloc.allocation import USE

MILLISECONDS: Final = 60_000
"""A block's time; z3 needs a fiftieth of it for the largest that was seen (20,000 instructions)."""


def check(program: Program, invariants: list[set[int]]) -> Checked:
    """As `blocks.check`. Unsupported if z3 gives up."""
    obligations = 0
    for block in program.order:
        written = _Block(program, block, invariants[block])
        written.execute(invariants)
        obligations += len(written.failures)
        failure = _first_failure(written)
        if failure is not None:
            return Checked(failure, obligations)
    return Checked(None, obligations)


def _first_failure(block: _Block) -> Failure | None:
    if not block.failures:
        return None
    solver = z3.SolverFor("QF_UF")
    solver.set("timeout", MILLISECONDS)
    solver.from_string(block.text())
    answer = solver.check()
    if answer == z3.unsat:
        return None
    if answer == z3.unknown:
        raise Unsupported("z3 gives up")
    model = solver.model()
    for number, failure in enumerate(block.failures):
        if z3.is_false(model.eval(z3.Bool(f"ok{number}"), model_completion=True)):
            return failure
    raise Unsupported("z3 refutes a block's obligations together, but none of them alone")


class _Block:
    """The symbolic execution of one block, as lines of SMT-LIB. Terms are names.

    machine   cell -> name of what it holds; `program_names`: virtual register -> name of the value that is meant
    failures  what it means if obligation k, which is called `ok<k>`, is false
    """

    def __init__(self, program: Program, block: int, invariant: set[int]) -> None:
        self.program: Final = program
        self.block: Final = block
        self.lines: Final[list[str]] = ["(declare-sort V 0)"]
        self.failures: Final[list[Failure]] = []
        self.machine: Final[dict[int, str]] = {}
        self.program_names: Final[dict[int, str]] = {}
        self.functions: Final[set[str]] = set()
        self.named = 0
        for vreg, place in (divmod(pair, program.width) for pair in sorted(invariant)):
            found = self._read(place, program.allocation.classes[vreg])
            self.lines.append(f"(assert (= {found} {self._meant(vreg)}))")

    def text(self) -> str:
        """Facts and the question."""
        wrong = " ".join(f"(not ok{number})" for number in range(len(self.failures)))
        return "\n".join([*self.lines, f"(assert (or {wrong} false))"])

    def execute(self, invariants: list[set[int]]) -> None:
        """Write down the whole block."""
        program = self.program
        row = program.allocation.blocks[self.block]
        for number in range(row.first, row.end):
            self._moves(program.before.get(number, []))
            self._instruction(number)
            self._moves(program.after.get(number, []))
        for edge in program.out[self.block]:
            self._edge(edge, invariants[edge.target])

    # terms

    def _constant(self, name: str) -> str:
        self.lines.append(f"(declare-const {name} V)")
        return name

    def _application(self, function: str, arguments: Sequence[str]) -> str:
        """A name for what a function gives; without arguments a constant."""
        if function not in self.functions:
            self.functions.add(function)
            self.lines.append(f"(declare-fun {function} ({'V ' * len(arguments)}) V)")
        self.named += 1
        name = self._constant(f"r{self.named}")
        applied = f"({function} {' '.join(arguments)})" if arguments else function
        self.lines.append(f"(assert (= {name} {applied}))")
        return name

    def _meant(self, vreg: int) -> str:
        """The program's value of a virtual register at this point."""
        found = self.program_names.get(vreg)
        if found is None:
            found = self.program_names[vreg] = self._constant(f"v{vreg}")
        return found

    def _cell(self, cell: int) -> str:
        found = self.machine.get(cell)
        if found is None:
            found = self.machine[cell] = self._constant(f"at{cell}")
        return found

    def _read(self, place: int, cls: int) -> str:
        """What a place holds, read as a value of a class."""
        if place < SLOT:
            return self._cell(place)
        cells = [self._cell(place + number) for number in range(self.program.cells[cls])]
        return self._application(f"join{cls}", cells)

    def _write(self, place: int, cls: int, name: str) -> None:
        if place < SLOT:
            self.machine[place] = name
            return
        parts = [self._application(f"part{cls}.{number}", [name]) for number in range(self.program.cells[cls])]
        self.lines.append(f"(assert (= {self._application(f'join{cls}', parts)} {name}))")
        for number, part in enumerate(parts):
            self.machine[place + number] = part

    def _must_equal(self, found: str, meant: str, failure: Failure) -> None:
        name = f"ok{len(self.failures)}"
        self.failures.append(failure)
        self.lines.append(f"(declare-const {name} Bool)(assert (= {name} (= {found} {meant})))")

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
                self._must_equal(found[-1], meant[-1], Failure(self.block, vreg, place, number, index))
        for place in (*instruction.clobbers, *self.program.scratch):
            self.named += 1
            self.machine[place] = self._constant(f"clobbered{self.named}")
        for vreg, cls, place in self._definitions(number):
            function = f"i{number}.v{vreg}"
            self.program_names[vreg] = self._application(function, meant)
            self._write(place, cls, self._application(function, found))

    def _definitions(self, number: int) -> Iterator[tuple[int, int, int]]:
        operands = self.program.allocation.instructions[number].operands
        for (vreg, cls, kind, _, _, _), place in zip(operands, self.program.allocation.places[number]):
            if kind != USE and vreg != NONE:
                yield vreg, cls, place

    def _edge(self, edge: Edge, claims: set[int]) -> None:
        width, classes = self.program.width, self.program.allocation.classes
        for pair in sorted(claims):
            vreg, place = divmod(pair, width)
            meant = edge.arguments.get(vreg, vreg)
            self._must_equal(
                self._read(place, classes[meant]),
                self._meant(meant),
                Failure(self.block, vreg, place, NONE, NONE, edge),
            )
