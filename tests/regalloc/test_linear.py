"""The allocator of the compiler of our own on made-up problems: every answer is proven, and a damaged one refuted."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest

from liftcheck.errors import Unsupported
from liftcheck.mach.regs import SLOT
from liftcheck.oracles.regalloc.validate import validate_allocation
from liftcheck.oracles.regalloc.verdict import INVALID, VALID
from liftcheck.regalloc.allocation import (
    DEF,
    EARLY,
    FIXED,
    LATE,
    REG,
    REUSE,
    STACK,
    USE,
    Allocation,
    Block,
    Edit,
    Environment,
    Instruction,
    Operand,
)
from liftcheck.regalloc.linear import allocate
from liftcheck.regalloc.problem import Problem, Solution

ENVIRONMENT = Environment(((0, 1, 2, 3), (64, 65, 66), ()), ((4, 5), (67,), ()), scratch=(10, 74, -1), fixed_slots=())
"""Six integer registers, of which calls overwrite four, and four float registers."""
LOST = (0, 1, 2, 3, 64, 65, 66)


class Made:
    """A problem that grows: blocks in the order of their layout, each seen by those that it dominates."""

    def __init__(self, seed: int, pressure: int) -> None:
        self.random = Random(seed)
        self.pressure = pressure
        self.classes: list[int] = []
        self.instructions: list[Instruction] = []
        self.blocks: list[Block] = []

    def new(self, cls: int) -> int:
        self.classes.append(cls)
        return len(self.classes) - 1

    def some(self, seen: list[int], cls: int) -> int:
        """A value, mostly a recent one."""
        fits = [value for value in seen if self.classes[value] == cls]
        return self.random.choice(fits[-self.pressure :] if self.random.random() < 0.8 else fits)

    def put(self, *operands: Operand, clobbers: tuple[int, ...] = ()) -> None:
        self.instructions.append(Instruction(operands, clobbers))

    def one(self, seen: list[int]) -> None:
        """An instruction of any kind."""
        cls = int(self.random.random() < 0.3)
        a, b = self.some(seen, cls), self.some(seen, cls)
        kind = self.random.randrange(8)
        made = self.new(cls)
        first = cls << 6
        if kind < 3:
            self.put(reg(made, cls, DEF, LATE), reg(a, cls), reg(b, cls))
        elif kind < 5:
            self.put(Operand(made, cls, DEF, LATE, REUSE, 1), reg(a, cls), reg(b, cls))
        elif kind == 5:
            self.put(reg(made, cls, DEF, EARLY), reg(a, cls), reg(b, cls))
        elif kind == 6:
            self.put(Operand(made, cls, DEF, LATE, FIXED, first + 1), fixed(a, cls, first), reg(b, cls))
        else:
            lost = tuple(register for register in LOST if register != first)
            result = Operand(made, cls, DEF, LATE, FIXED, first)
            self.put(result, fixed(a, cls, first), fixed(b, cls, first + 1), clobbers=lost)
        seen.append(made)

    def block(self, parameters: list[int], seen: list[int], count: int) -> int:
        """A block's body; its end is said by `leave`."""
        first = len(self.instructions)
        self.blocks.append(Block(first, first, tuple(parameters)))
        seen.extend(parameters)
        for _ in range(count):
            self.one(seen)
        return len(self.blocks) - 1

    def leave(self, block: int, uses: list[int], *ways: tuple[int, tuple[int, ...]]) -> None:
        """The last instruction of the last block."""
        operands = tuple(reg(value, self.classes[value]) for value in uses)
        self.instructions.append(Instruction(operands, is_branch=bool(ways), is_return=not ways))
        self.blocks[block] = self.blocks[block]._replace(
            end=len(self.instructions),
            successors=tuple(target for target, _ in ways),
            arguments=tuple(arguments for _, arguments in ways),
        )

    def region(self, block: int, seen: list[int], depth: int) -> int:
        """Straight code, diamonds and loops in a row, from an open block on; gives the block that is open then."""
        for _ in range(self.random.randrange(1, 4)):
            kinds = [0, 1]
            parameters = [self.new(cls) for cls in kinds * self.random.randrange(1, 3)]
            passed = [self.classes[value] for value in parameters]
            size = self.random.randrange(1, 6)
            if depth == 0:
                for _ in range(size):
                    self.one(seen)
                continue
            if self.random.random() < 0.5:
                block = self._diamond(block, seen, depth, parameters, passed, size)
            else:
                block = self._loop(block, seen, depth, parameters, passed, size)
        return block

    def _diamond(
        self, block: int, seen: list[int], depth: int, parameters: list[int], passed: list[int], n: int
    ) -> int:
        start, opened, outside = len(self.blocks), block, self.some(seen, 0)
        ends = []
        for _ in range(2):
            if len(ends) == 0:
                self.leave(opened, [outside], (start, ()), (-1, ()))
            inner = list(seen)
            side = self.region(self.block([], inner, n), inner, depth - 1)
            other = len(self.blocks)
            ends.append((side, tuple(self.some(inner, cls) for cls in passed)))
            self.leave(side, [], (-1, ends[-1][1]))
            if len(ends) == 1:
                self.blocks[opened] = self.blocks[opened]._replace(successors=(start, other))
        after = self.block(parameters, seen, n)
        for side, _ in ends:
            self.blocks[side] = self.blocks[side]._replace(successors=(after,))
        return after

    def _loop(self, block: int, seen: list[int], depth: int, parameters: list[int], passed: list[int], n: int) -> int:
        header = len(self.blocks)
        self.leave(block, [], (header, tuple(self.some(seen, cls) for cls in passed)))
        self.block(parameters, seen, n)
        inner = list(seen)
        self.leave(header, [self.some(seen, 0)], (len(self.blocks), ()), (-1, ()))
        last = self.region(self.block([], inner, n), inner, depth - 1)
        self.leave(last, [], (header, tuple(self.some(inner, cls) for cls in passed)))
        after = self.block([], seen, n)
        ways = self.blocks[header].successors
        self.blocks[header] = self.blocks[header]._replace(successors=(ways[0], after))
        return after

    def problem(self, depth: int) -> Problem:
        """Everything: parameters in fixed registers, regions, a result that needs many values."""
        seen: list[int] = []
        entry = self.block([], seen, 0)
        seen += [self.new(0), self.new(0), self.new(1), self.new(1)]
        self.put(*(Operand(v, v // 2, DEF, LATE, FIXED, 64 * (v // 2) + v % 2) for v in seen))
        last = self.region(entry, seen, depth)
        for cls in (0, 1):
            wanted = [value for value in seen if self.classes[value] == cls][: 2 * self.pressure]
            for value in wanted:
                self.put(reg(value, cls))
        self.leave(last, [])
        into: list[list[int]] = [[] for _ in self.blocks]
        for number, block in enumerate(self.blocks):
            for target in block.successors:
                into[target].append(number)
        blocks = tuple(b._replace(predecessors=tuple(way)) for b, way in zip(self.blocks, into))
        return Problem(blocks, tuple(self.instructions), tuple(self.classes), ENVIRONMENT, (1, 1, 2))


def reg(value: int, cls: int, kind: int = USE, position: int = EARLY) -> Operand:
    return Operand(value, cls, kind, position, REG)


def fixed(value: int, cls: int, register: int) -> Operand:
    return Operand(value, cls, USE, EARLY, FIXED, register)


def allocation(problem: Problem, solution: Solution) -> Allocation:
    blocks, instructions, classes, environment, sizes = problem
    return Allocation(blocks, instructions, classes, environment, *solution, sizes)


CROWDED = (100186, 100293)
"""Parameters of a block took all registers that its first instruction needs."""


@pytest.mark.parametrize("seed", (*range(150), *CROWDED))
def test_every_answer_is_proven(seed: int) -> None:
    problem = Made(seed, 2 + seed % 12).problem(seed % 4)
    verdict = validate_allocation(allocation(problem, allocate(problem)))
    assert verdict.status == VALID, verdict.counterexample.render() if verdict.counterexample else verdict.reason


def test_what_it_does_not_have_is_said() -> None:
    """A move through a scratch register that the environment lacks; an operand that must be on the stack."""
    block = Block(0, 2, (), (), ())
    swap = (Operand(0, 0, DEF, LATE, FIXED, 1), Operand(1, 0, DEF, LATE, FIXED, 0))
    crossed = (fixed(0, 0, 0), fixed(1, 0, 1))
    instructions = (Instruction(swap), Instruction(crossed, is_return=True))
    problem = Problem((block,), instructions, (0, 0), ENVIRONMENT, (1, 1, 2))
    assert validate_allocation(allocation(problem, allocate(problem))).status == VALID
    without = problem._replace(environment=ENVIRONMENT._replace(preferred=((), (64,), ()), scratch=(-1, -1, -1)))
    narrow = without._replace(environment=without.environment._replace(others=((0, 1), (), ())))
    with pytest.raises(Unsupported, match="scratch register"):
        allocate(narrow)
    on_stack = (Instruction((Operand(0, 0, DEF, LATE, STACK),)), Instruction((), is_return=True))
    with pytest.raises(Unsupported, match="must be on the stack"):
        allocate(problem._replace(instructions=on_stack, classes=(0,)))


def _swap_places(problem: Problem, solution: Solution, at: Random) -> Solution | None:
    """Two uses of one instruction read each other's places."""
    rows = [
        number
        for number, (insn, row) in enumerate(zip(problem.instructions, solution.places))
        if sum(o.kind == USE and o.constraint == REG for o in insn.operands) == 2 and row[-1] != row[-2]
    ]
    return _with_row(solution, at.choice(rows), lambda row: (*row[:-2], row[-1], row[-2])) if rows else None


def _other_register(problem: Problem, solution: Solution, at: Random) -> Solution | None:
    """A use reads the next register."""
    rows = [n for n, insn in enumerate(problem.instructions) if insn.operands and insn.operands[-1].constraint == REG
            and insn.operands[-1].kind == USE and solution.places[n][-1] < 64]  # fmt: skip
    return _with_row(solution, at.choice(rows), lambda row: (*row[:-1], (row[-1] + 1) % 6)) if rows else None


def _missed_fixed(problem: Problem, solution: Solution, at: Random) -> Solution | None:
    """A fixed operand is elsewhere."""
    rows = [n for n, insn in enumerate(problem.instructions) if insn.operands and insn.operands[0].constraint == FIXED]
    return _with_row(solution, at.choice(rows), lambda row: (row[0] ^ 1, *row[1:]))


def _missed_reuse(problem: Problem, solution: Solution, at: Random) -> Solution | None:
    """A result is not written over its input."""
    rows = [n for n, insn in enumerate(problem.instructions) if insn.operands and insn.operands[0].constraint == REUSE]
    return _with_row(solution, at.choice(rows), lambda row: (row[0] ^ 1, *row[1:])) if rows else None


def _on_stack(problem: Problem, solution: Solution, at: Random) -> Solution | None:
    """A result that must be in a register is on the stack."""
    rows = [n for n, insn in enumerate(problem.instructions) if insn.operands and insn.operands[0].constraint == REG]
    return _with_row(solution, at.choice(rows), lambda row: (SLOT, *row[1:])) if solution.slots and rows else None


def _with_row(solution: Solution, number: int, change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Solution:
    places = [*solution.places]
    places[number] = change(places[number])
    return solution._replace(places=tuple(places))


def _edit(change: Callable[[Edit], Edit | None]) -> Callable[[Problem, Solution, Random], Solution | None]:
    def damage(problem: Problem, solution: Solution, at: Random) -> Solution | None:
        if not solution.edits:
            return None
        number = at.randrange(len(solution.edits))
        made = change(solution.edits[number])
        return solution._replace(
            edits=(*solution.edits[:number], *([made] if made else []), *solution.edits[number + 1 :])
        )

    return damage


def _next(place: int) -> int:
    return place + 1 if place >= SLOT else place ^ 1


FAULTS: dict[str, Callable[[Problem, Solution, Random], Solution | None]] = {
    "swapped uses": _swap_places,
    "another register": _other_register,
    "a fixed register missed": _missed_fixed,
    "a reused input missed": _missed_reuse,
    "a result on the stack": _on_stack,
    "a move less": _edit(lambda edit: None),
    "a move to elsewhere": _edit(lambda edit: edit._replace(target=_next(edit.target))),
    "a move of something else": _edit(lambda edit: edit._replace(source=_next(edit.source))),
    "a move the other way": _edit(lambda edit: edit._replace(source=edit.target, target=edit.source)),
    "the frame lacks slots": lambda problem, solution, at: solution._replace(slots=0) if solution.slots else None,
    "moves in another order": lambda problem, solution, at: solution._replace(edits=solution.edits[::-1]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_refuted(name: str) -> None:
    """Nearly all: what is damaged may happen not to be read, as a store of what is never loaded again."""
    refuted = tried = 0
    for seed in range(40):
        problem = Made(seed, 3 + seed % 9).problem(2)
        damaged = FAULTS[name](problem, allocate(problem), Random(seed))
        if damaged is not None:
            tried += 1
            refuted += validate_allocation(allocation(problem, damaged)).status == INVALID
    assert tried >= 10
    assert refuted >= 0.6 * tried, f"{refuted} of {tried}"


def diamonds(count: int, live: int) -> Problem:
    """A row of diamonds over values that are all needed at the end."""
    made = Made(1, 3)
    block = made.block([], [], 0)
    values = [made.new(0) for _ in range(live)]
    for value in values:
        made.put(reg(value, 0, DEF, LATE))
    for _ in range(count):
        first = len(made.blocks)
        made.leave(block, [made.random.choice(values)], (first, ()), (first + 1, ()))
        for _ in range(2):
            side = made.block([], [], 0)
            made.put(reg(made.random.choice(values), 0))
            made.leave(side, [], (first + 2, ()))
        block = made.block([], [], 0)
    for value in values:
        made.put(reg(value, 0))
    made.leave(block, [])
    into: list[list[int]] = [[] for _ in made.blocks]
    for number, one in enumerate(made.blocks):
        for target in one.successors:
            into[target].append(number)
    blocks = tuple(one._replace(predecessors=tuple(way)) for one, way in zip(made.blocks, into))
    return Problem(blocks, tuple(made.instructions), tuple(made.classes), ENVIRONMENT, (1, 1, 2))


def test_time_is_linear_in_edges_and_values_that_live_across_them() -> None:
    def seconds(scale: int) -> float:
        problem = diamonds(250 * scale, 25 * scale)
        started = time.process_time()
        allocate(problem)
        return time.process_time() - started

    small = min(seconds(2) for _ in range(3))
    assert min(seconds(8) for _ in range(2)) < 8 * small, "four times the size"


def test_diamonds_are_proven() -> None:
    problem = diamonds(100, 40)
    assert validate_allocation(allocation(problem, allocate(problem))).status == VALID
