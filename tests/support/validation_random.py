"""Random programs with right allocations, faults in them, and a machine that executes both worlds on numbers.

The one idea: an allocator that needs no cleverness. Each virtual register has a home of its own (a spill slot, or a
register that nothing else gets); an instruction's operands are loaded before it and stored after it; parameters pass
through slots of their own. Values that are still in a register may be read there again, so that registers matter too.
The machine shares nothing with the validator. It is hostile where the documentation lets it be: an early definition is
written before anything is read, clobbers fall before late definitions, a late use is read last of all.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from liftcheck.mach.regs import FLOAT, INT, NONE, SLOT
from liftcheck.regalloc.allocation import (
    AFTER,
    ANY,
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
    Edit,
    Operand,
)
from support.validation import Body, Placed, Step, f, made, p, s

SIZES = (1, 2, 2)
HOMES = (p(8), p(9), p(10), p(11))
"""Registers that one virtual register may have for itself; instructions clobber none of them."""
WORKING = ([p(n) for n in range(8)], [f(n) for n in range(8)])


class _Graph:
    """Blocks with ways out, no critical edge, everything reachable."""

    def __init__(self, random: Random, size: int) -> None:
        self.ways: list[list[int]] = [[] for _ in range(size)]
        for block in range(1, size):
            self.ways[random.randrange(block)].append(block)
        for _ in range(random.randrange(size + 1)):
            self.ways[random.randrange(size)].append(random.randrange(1, size) if size > 1 else 0)
        if size == 1:
            self.ways = [[]]
        self._split()
        self.into = [[b for b, ways in enumerate(self.ways) for way in ways if way == t] for t in range(len(self.ways))]

    def _split(self) -> None:
        counts = [sum(ways.count(t) for ways in self.ways) for t in range(len(self.ways))]
        for block in range(len(self.ways)):
            if len(self.ways[block]) > 1:
                for number, target in enumerate(self.ways[block]):
                    if counts[target] > 1:
                        self.ways.append([target])
                        self.ways[block][number] = len(self.ways) - 1

    def dominators(self) -> list[set[int]]:
        everything = set(range(len(self.ways)))
        found = [{0}] + [set(everything) for _ in self.ways[1:]]
        changed = True
        while changed:
            changed = False
            for block in range(1, len(self.ways)):
                new = {block} | set.intersection(*(found[b] for b in self.into[block]))
                changed, found[block] = changed or new != found[block], new
        return found

    def order(self) -> list[int]:
        """Blocks after all their dominators."""
        dominators = self.dominators()
        return sorted(range(len(self.ways)), key=lambda block: (len(dominators[block]), block))


def random_allocation(seed: int) -> Allocation:
    """A program and a right allocation of it; a function of the seed."""
    return _Maker(Random(seed)).make()


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.graph = _Graph(random, random.randint(1, 7))
        self.classes: list[int] = []
        self.homes: list[int] = []
        self.slots = 0
        self.free = list(HOMES)
        self.cached: dict[int, int] = {}
        self.edits: list[tuple[int, int, int, int, int]] = []

    def make(self) -> Allocation:
        graph, random = self.graph, self.random
        dominators = graph.dominators()
        count = len(graph.ways)
        parameters: list[tuple[int, ...]] = [() for _ in range(count)]
        defined: list[list[int]] = [[] for _ in range(count)]
        steps: list[list[tuple[Step, list[Edit]]]] = [[] for _ in range(count)]
        for block in graph.order():
            if graph.into[block] and random.random() < 0.6:
                parameters[block] = tuple(self._vreg() for _ in range(random.randint(1, 3)))
            known = [v for d in dominators[block] if d != block for v in defined[d]] + list(parameters[block])
            defined[block] = list(parameters[block])
            self.cached = {}
            for _ in range(random.randint(0, 5)):
                steps[block].append(self._instruction(known, defined[block]))
            steps[block].append(self._last(block, known, defined[block]))
        starts, bodies, at = [], [], 0
        ways = self._arguments(parameters, defined, dominators)
        for block in range(count):
            starts.append(at)
            at += len(steps[block])
            bodies.append(
                Body(
                    tuple(step for step, _ in steps[block]),
                    parameters[block],
                    tuple(zip(graph.ways[block], ways[block])),
                )
            )
        edits = self._edits(starts, steps, ways, parameters)
        return made(bodies, edits, self.classes, self.slots, SIZES)

    # virtual registers

    def _vreg(self) -> int:
        cls = self.random.choice((INT, INT, FLOAT))
        self.classes.append(cls)
        if cls == INT and self.free and self.random.random() < 0.3:
            self.homes.append(self.free.pop())
        else:
            self.homes.append(self._slot(cls))
        return len(self.classes) - 1

    def _slot(self, cls: int) -> int:
        self.slots += SIZES[cls]
        return s(self.slots - SIZES[cls])

    # instructions

    def _instruction(self, known: list[int], own: list[int], branch: bool = False) -> tuple[Step, list[Edit]]:
        """An instruction with the edits around it, whose instruction numbers are 0 until it is placed."""
        random = self.random
        free = [list(WORKING[INT]), list(WORKING[FLOAT])]
        for registers in free:
            random.shuffle(registers)
        placed: list[Placed] = []
        edits: list[Edit] = []
        for _ in range(random.randint(0, 3) if known else 0):
            placed.append(self._use(random.choice(known), free, edits))
        clobbers = [register for registers in free for register in registers[:2] if random.random() < 0.2]
        kept = {place for operand, place in placed if operand.position == LATE}
        blocked = {place for _, place in placed}
        free = [[r for r in registers if r not in clobbers] for registers in free]
        clobbers += [
            place
            for operand, place in placed
            if place < SLOT and place not in (*kept, *HOMES) and random.random() < 0.1 and place not in clobbers
        ]
        reusable = [
            i
            for i, (operand, place) in enumerate(placed)
            if operand.constraint in (REG, FIXED)
            and operand.position == EARLY
            and place not in (*kept, *clobbers, *HOMES)
        ]
        for _ in range(random.randint(0, 2)):
            placed.append(self._define(placed, free, reusable, blocked))
        self._forget(placed, clobbers)
        for operand, place in placed:
            if operand.kind == DEF:
                known.append(operand.vreg)
                own.append(operand.vreg)
                if not branch and place != self.homes[operand.vreg]:
                    edits.append(Edit(0, AFTER, place, self.homes[operand.vreg]))
        return Step(tuple(placed), tuple(clobbers), is_branch=branch), edits

    def _use(self, vreg: int, free: list[list[int]], edits: list[Edit]) -> Placed:
        random = self.random
        cls, home = self.classes[vreg], self.homes[vreg]
        position = random.choice((EARLY, EARLY, LATE))
        if random.random() < 0.2:
            constraint = ANY if home < SLOT else random.choice((ANY, STACK))
            return Operand(vreg, cls, USE, position, constraint), home
        cached = [place for place, held in self.cached.items() if held == vreg and place in free[cls]]
        place = cached[0] if cached else free[cls][-1]
        free[cls].remove(place)
        if not cached:
            edits.append(Edit(0, BEFORE, home, place))
            self.cached[place] = vreg
        fixed = random.random() < 0.3
        return Operand(vreg, cls, USE, position, FIXED if fixed else REG, place if fixed else 0), place

    def _define(self, placed: list[Placed], free: list[list[int]], reusable: list[int], blocked: set[int]) -> Placed:
        random = self.random
        vreg = self._vreg()
        cls, home = self.classes[vreg], self.homes[vreg]
        same = [i for i in reusable if placed[i][0].cls == cls]
        if same and random.random() < 0.5:
            index = random.choice(same)
            place = placed[index][1]
            reusable[:] = [i for i in reusable if placed[i][1] != place]
            return Operand(vreg, cls, DEF, LATE, REUSE, index), place
        position = random.choice((EARLY, LATE, LATE))
        if random.random() < 0.3 and home not in blocked:
            return Operand(vreg, cls, DEF, position, ANY), home
        early = {place for operand, place in placed if operand.kind == DEF}
        place = next(place for place in free[cls] if place not in early)
        free[cls].remove(place)
        return Operand(vreg, cls, DEF, position, REG), place

    def _forget(self, placed: list[Placed], clobbers: list[int]) -> None:
        for place in clobbers:
            self.cached.pop(place, None)
        for operand, place in placed:
            if operand.kind == DEF:
                self.cached.pop(place, None)
                if place in (*WORKING[INT], *WORKING[FLOAT]):
                    self.cached[place] = operand.vreg

    def _last(self, block: int, known: list[int], own: list[int]) -> tuple[Step, list[Edit]]:
        """A branch with several ways may define something, as a call that may throw does."""
        ways = len(self.graph.ways[block])
        if ways > 1:
            return self._instruction(known, own, branch=True)
        if ways == 1:
            return Step((), is_branch=True), []
        step, edits = self._instruction(known, own)
        uses = tuple(one for one in step.placed if one[0].kind == USE)
        return Step(uses, is_return=True), [edit for edit in edits if edit.where == BEFORE]

    # edges

    def _arguments(
        self, parameters: list[tuple[int, ...]], defined: list[list[int]], dominators: list[set[int]]
    ) -> list[list[tuple[int, ...]]]:
        found = []
        for block, ways in enumerate(self.graph.ways):
            rows = []
            for target in ways:
                row = []
                for parameter in parameters[target]:
                    cls = self.classes[parameter]
                    known = [v for d in dominators[block] for v in defined[d] if self.classes[v] == cls]
                    row.append(self.random.choice(known) if known else -1)
                rows.append(tuple(row))
            found.append(rows)
        for block, rows in enumerate(found):
            for number, row in enumerate(rows):
                if -1 in row:
                    self._drop(parameters, found, self.graph.ways[block][number], row)
        return found

    def _drop(
        self, parameters: list[tuple[int, ...]], found: list[list[tuple[int, ...]]], target: int, row: tuple[int, ...]
    ) -> None:
        """No value of that class is known there: the seed is given up for a neighbour of it."""
        raise _NoValue

    def _edits(
        self,
        starts: list[int],
        steps: list[list[tuple[Step, list[Edit]]]],
        ways: list[list[tuple[int, ...]]],
        parameters: list[tuple[int, ...]],
    ) -> list[Edit]:
        edits: list[Edit] = []
        for block, start in enumerate(starts):
            edits += self._at_start(block, start, steps, ways, parameters)
            for number, (_, around) in enumerate(steps[block]):
                edits += [edit._replace(instruction=start + number) for edit in around]
            if len(self.graph.ways[block]) == 1:
                target = self.graph.ways[block][0]
                last = start + len(steps[block]) - 1
                edits += self._passing(last, ways[block][0], parameters[target], {})
        at_start = {start: index for index, start in enumerate(starts)}
        assert len(at_start) == len(starts)
        return sorted(edits, key=lambda edit: (edit.instruction, edit.where))

    def _at_start(
        self,
        block: int,
        start: int,
        steps: list[list[tuple[Step, list[Edit]]]],
        ways: list[list[tuple[int, ...]]],
        parameters: list[tuple[int, ...]],
    ) -> list[Edit]:
        """What the only way into a block from a block with several ways brings, in front of its first instruction."""
        into = self.graph.into[block]
        if len(into) != 1 or len(self.graph.ways[into[0]]) == 1:
            return []
        source = into[0]
        branch, _ = steps[source][-1]
        stores = [
            Edit(start, BEFORE, place, self.homes[operand.vreg])
            for operand, place in branch.placed
            if operand.kind == DEF and place != self.homes[operand.vreg]
        ]
        arguments = ways[source][self.graph.ways[source].index(block)]
        return stores + self._passing(start, arguments, parameters[block], {})

    def _passing(
        self, at: int, arguments: tuple[int, ...], parameters: tuple[int, ...], homes: dict[int, int]
    ) -> list[Edit]:
        """All arguments into slots of their own, then on into the parameters' homes: a parallel move."""
        first, second = [], []
        for argument, parameter in zip(arguments, parameters):
            cls = self.classes[parameter]
            through = WORKING[cls][7 if cls == INT else 6]
            between = self._slot(cls)
            first += [Edit(at, BEFORE, self.homes[argument], through), Edit(at, BEFORE, through, between)]
            second += [Edit(at, BEFORE, between, through), Edit(at, BEFORE, through, self.homes[parameter])]
        return first + second


class _NoValue(Exception):
    """A parameter has no value that could be passed."""


def usable(seed: int) -> Allocation:
    """The allocation of the first seed from this one on that gives a program."""
    while True:
        try:
            return random_allocation(seed)
        except _NoValue:
            seed += 1_000_003


# faults


def mutated(allocation: Allocation, random: Random) -> Allocation:
    """One random fault, or nothing where there is nothing to spoil."""
    kinds = [_other_place, _other_place, _other_clobbers]
    if allocation.edits:
        kinds += [_dropped, _moved_otherwise, _moved_otherwise, _exchanged, _elsewhere]
    return random.choice(kinds)(allocation, random)


def _any_place(allocation: Allocation, random: Random, cls: int) -> int:
    registers = [*allocation.environment.preferred[cls], *allocation.environment.others[cls]]
    if random.random() < 0.5 or not allocation.slots:
        return random.choice(registers)
    return s(random.randrange(allocation.slots))


def _other_place(allocation: Allocation, random: Random) -> Allocation:
    choices = [(i, j) for i, row in enumerate(allocation.places) for j in range(len(row))]
    if not choices:
        return allocation
    instruction, index = random.choice(choices)
    row = list(allocation.places[instruction])
    row[index] = _any_place(allocation, random, allocation.instructions[instruction].operands[index].cls)
    places = (*allocation.places[:instruction], tuple(row), *allocation.places[instruction + 1 :])
    return replace(allocation, places=places)


def _other_clobbers(allocation: Allocation, random: Random) -> Allocation:
    rows = list(allocation.instructions)
    number = random.randrange(len(rows))
    place = _any_place(replace(allocation, slots=0), random, INT)
    rows[number] = rows[number]._replace(clobbers=(*rows[number].clobbers, place))
    return replace(allocation, instructions=tuple(rows))


def _changed(allocation: Allocation, number: int, *edits: Edit) -> Allocation:
    return replace(allocation, edits=(*allocation.edits[:number], *edits, *allocation.edits[number + 1 :]))


def _dropped(allocation: Allocation, random: Random) -> Allocation:
    return _changed(allocation, random.randrange(len(allocation.edits)))


def _moved_otherwise(allocation: Allocation, random: Random) -> Allocation:
    number = random.randrange(len(allocation.edits))
    edit = allocation.edits[number]
    cls = (edit.source if edit.source < SLOT else edit.target) >> 6
    place = _any_place(allocation, random, cls)
    spoiled = edit._replace(source=place) if random.random() < 0.5 else edit._replace(target=place)
    return _changed(allocation, number, spoiled)


def _exchanged(allocation: Allocation, random: Random) -> Allocation:
    if len(allocation.edits) < 2:
        return allocation
    number = random.randrange(len(allocation.edits) - 1)
    one, two = allocation.edits[number : number + 2]
    first = one._replace(source=two.source, target=two.target)
    second = two._replace(source=one.source, target=one.target)
    return replace(allocation, edits=(*allocation.edits[:number], first, second, *allocation.edits[number + 2 :]))


def _elsewhere(allocation: Allocation, random: Random) -> Allocation:
    """An edit at another instruction, or on its other side."""
    number = random.randrange(len(allocation.edits))
    edit = allocation.edits[number]._replace(
        instruction=random.randrange(len(allocation.instructions)), where=random.choice((BEFORE, AFTER))
    )
    edits = sorted(
        [*allocation.edits[:number], *allocation.edits[number + 1 :], edit],
        key=lambda edit: (edit.instruction, edit.where),
    )
    return replace(allocation, edits=tuple(edits))


# the machine


class Insn:
    """Executes an allocation on numbers beside its program, along any path that is asked for."""

    def __init__(self, allocation: Allocation, seed: int = 0) -> None:
        self.allocation = allocation
        self.cells: dict[int, object] = {}
        self.meant: dict[int, object] = {}
        self.random = Random(seed)
        self.steps = 0
        self.sizes = allocation.slot_sizes
        self.moves: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for instruction, side, source, target in allocation.edits:
            self.moves.setdefault((instruction, side), []).append((source, target))

    def read(self, place: int, cls: int) -> object:
        if place < SLOT:
            return self.cells.get(place)
        parts = [self.cells.get(place + i) for i in range(self.sizes[cls])]
        whole = parts[0][0] if isinstance(parts[0], tuple) else None  # type: ignore[index]
        complete = parts == [(whole, cls, i) for i in range(self.sizes[cls])]
        return whole if complete else ("pieces", tuple(map(repr, parts)))

    def write(self, place: int, cls: int, value: object) -> None:
        if place < SLOT:
            self.cells[place] = value
        else:
            for i in range(self.sizes[cls]):
                self.cells[place + i] = (value, cls, i)

    def wrong_use(self, path: list[int] | None = None, limit: int = 200) -> tuple[int, int] | None:
        """(block, instruction) of the first use that reads another value, on the path or a random one."""
        block, taken = 0, 0
        while True:
            row = self.allocation.blocks[block]
            for number in range(row.first, row.end):
                self.edits(number, BEFORE)
                if self.execute(number):
                    return block, number
                if number != row.end - 1:
                    self.edits(number, AFTER)
            taken += 1
            if not row.successors or taken > limit or (path is not None and taken == len(path)):
                return None
            choices = [n for n, t in enumerate(row.successors) if path is None or t == path[taken]]
            way = self.random.choice(choices)
            target = row.successors[way]
            values = [self.meant.get(v) for v in row.arguments[way]]
            self.meant.update(zip(self.allocation.blocks[target].parameters, values))
            block = target

    def edits(self, number: int, where: int) -> None:
        for source, target in self.moves.get((number, where), ()):
            cls = (source if source < SLOT else target) >> 6 if min(source, target) < SLOT else INT
            self.write(target, cls, self.read(source, cls))

    def execute(self, number: int) -> bool:
        """One instruction in both worlds; whether one of its uses read something else than was meant."""
        instruction = self.allocation.instructions[number]
        placed = list(zip(instruction.operands, self.allocation.places[number]))
        uses = [(o, place) for o, place in placed if o.kind == USE and o.vreg != NONE]
        results = {}
        self.steps += 1
        for o, _ in placed:
            if o.kind == DEF:
                results[o.vreg] = ("result", number, o.vreg, self.steps)
        for o, place in placed:
            if o.kind == DEF and o.position == EARLY:
                self.write(place, o.cls, results[o.vreg])
        wrong = any(self.read(place, o.cls) != self.meant.get(o.vreg) for o, place in uses if o.position == EARLY)
        for place in instruction.clobbers:
            self.cells[place] = ("clobbered", self.steps)
        for o, place in placed:
            if o.kind == DEF and o.position == LATE:
                self.write(place, o.cls, results[o.vreg])
        wrong = wrong or any(
            self.read(place, o.cls) != self.meant.get(o.vreg) for o, place in uses if o.position == LATE
        )
        self.meant.update(results)
        return wrong
