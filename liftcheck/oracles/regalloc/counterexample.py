"""A refuted allocation made visible: the function is executed along one path, and every step is written down.

The one idea: a claim that could not be proven names a block; from there the needs lead on to a use, and any way from
the entry leads to the block. Along these blocks both worlds are executed with a fresh value for each definition, apart
from everything that inference and check do, until a use reads another value than the program means. That use, and what
happened to its value and to its place on the way, is the counterexample. If no use on the path goes wrong there is no
counterexample, and the caller must not say 'invalid'.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from liftcheck.mach.regs import CLASSES, NONE, SLOT, show_place
from liftcheck.oracles.regalloc.blocks import Failure
from liftcheck.oracles.regalloc.infer import asked_before, uses_and_contents
from liftcheck.oracles.regalloc.program import Edge, Program
from liftcheck.oracles.regalloc.rules import Broken
from liftcheck.oracles.regalloc.verdict import Counterexample
from liftcheck.regalloc.allocation import AFTER, BEFORE, USE, Edit

WRONG_USE: Final = "a use reads another value"
EVENTS: Final = 14
"""More are left out of the middle."""
ALWAYS: Final = -1


def broken_rule(program: Program, broken: Broken) -> Counterexample:
    """The counterexample of a rule that is broken at one instruction."""
    block = _block_of(program, broken.instruction)
    return Counterexample(
        broken.rule,
        block,
        path_to(program, block),
        broken.instruction,
        _text(program, broken.instruction),
        broken.expected,
        broken.found,
        broken.value,
        broken.place,
    )


def path_to(program: Program, block: int) -> tuple[int, ...]:
    """The blocks on a shortest way from the entry to a block that it reaches."""
    return _blocks_of(_way_to(program, block))


def wrong_use(program: Program, failure: Failure, invariants: list[set[int]]) -> Counterexample | None:
    """The counterexample of an obligation that is not met; None if the path shows no wrong use."""
    way = _way_to(program, failure.block) + _way_on(program, failure, invariants)
    return _Replay(program, way).first_wrong_use()


# paths


def _block_of(program: Program, instruction: int) -> int:
    return next(
        number for number, block in enumerate(program.allocation.blocks) if block.first <= instruction < block.end
    )


def _blocks_of(way: list[Edge]) -> tuple[int, ...]:
    return (0, *(edge.target for edge in way))


def _way_to(program: Program, block: int) -> list[Edge]:
    """A shortest way from the entry."""
    came: dict[int, Edge] = {}
    queue = [0]
    for at in queue:
        for edge in program.out[at]:
            if edge.target not in came and edge.target != 0:
                came[edge.target] = edge
                queue.append(edge.target)
    way: list[Edge] = []
    while block != 0 and block in came:
        way.insert(0, came[block])
        block = came[block].source
    return way


def _way_on(program: Program, failure: Failure, invariants: list[set[int]]) -> list[Edge]:
    """From a claim that fails on an edge the shortest way on to a use that relies on it."""
    if failure.edge is None:
        return []
    start = (failure.edge, failure.vreg * program.width + failure.place)
    came: dict[tuple[int, int], tuple[Edge, int] | None] = {(start[0].target, start[1]): None}
    queue = [(start[0].target, start[1])]
    for block, pair in queue:
        left, asked = uses_and_contents(program, block)
        if pair in asked:
            return [failure.edge, *_followed(came, (block, pair))]
        for edge in program.out[block]:
            for later in invariants[edge.target]:
                if (edge.target, later) not in came and pair in asked_before(program, edge, {later}, left):
                    came[edge.target, later] = (edge, pair)
                    queue.append((edge.target, later))
    return [failure.edge]


def _followed(came: dict[tuple[int, int], tuple[Edge, int] | None], at: tuple[int, int]) -> list[Edge]:
    way: list[Edge] = []
    while (step := came[at]) is not None:
        way.insert(0, step[0])
        at = (step[0].source, step[1])
    return way


# replay


class _Value(NamedTuple):
    """A value that came into being: `name` is a virtual register, or NONE for garbage, which `text` describes."""

    number: int
    name: int
    text: str = ""


class _Event(NamedTuple):
    """One thing that happened: cells with what they held and what they hold now. `about` is the number of the value
    that gets another name by it; ALWAYS: worth telling whatever the value is. `step`: see `Counterexample.steps`."""

    text: str
    changes: tuple[tuple[int, _Value | None, _Value], ...]
    about: int = 0
    step: tuple[str, int] | None = None


class _Replay:
    """Both worlds along one path. `machine`: cell -> (value, which of its cells)."""

    def __init__(self, program: Program, way: list[Edge]) -> None:
        self.program: Final = program
        self.way: Final = way
        self.machine: Final[dict[int, tuple[_Value, int]]] = {}
        self.values: Final[dict[int, _Value]] = {}
        self.events: Final[list[_Event]] = []
        self.since: Final[dict[int, str]] = {}
        self.born = 0
        self.emitted: Final[dict[tuple[int, int], list[int]]] = {}
        for index, edit in enumerate(program.allocation.edits):
            if index not in program.misplaced:
                self.emitted.setdefault((edit.instruction, edit.where), []).append(index)

    def first_wrong_use(self) -> Counterexample | None:
        """Execute until a use goes wrong."""
        block = 0
        for step, edge in enumerate([*self.way, None]):
            found = self._block(block, step)
            if found is not None:
                return found
            if edge is not None:
                self._pass(edge)
                block = edge.target
        return None

    def _block(self, block: int, step: int) -> Counterexample | None:
        row = self.program.allocation.blocks[block]
        for number in range(row.first, row.end):
            self._edits(block, number, BEFORE)
            wrong = self._wrong_operand(number)
            if wrong is not None:
                return self._explain(block, number, wrong, step)
            self._instruction(block, number)
            self._edits(block, number, AFTER)
        for edit in self._never_emitted(row.end - 1):
            self._note(
                f"block{block}: the edit {self._show(edit.source)} -> {self._show(edit.target)} after "
                f"instruction {edit.instruction}, the block's last, is never emitted",
                [],
                ALWAYS,
            )
        return None

    def _never_emitted(self, last: int) -> Iterator[Edit]:
        for number in self.program.misplaced:
            if self.program.allocation.edits[number].instruction == last:
                yield self.program.allocation.edits[number]

    # steps

    def _value(self, name: int, text: str = "") -> _Value:
        self.born += 1
        return _Value(self.born, name, text)

    def _note(
        self, text: str, writes: list[tuple[int, _Value, int]], about: int = 0, step: tuple[str, int] | None = None
    ) -> None:
        """Something happens: cells get values' parts."""
        changes = []
        for cell, value, part in writes:
            old = self.machine.get(cell)
            changes.append((cell, old[0] if old else None, value))
            self.machine[cell] = (value, part)
            self.since[cell] = text
        self.events.append(_Event(text, tuple(changes), about, step))

    def _span(self, place: int, cls: int) -> int:
        return self.program.cells[cls] if place >= SLOT else 1

    def _edits(self, block: int, number: int, where: int) -> None:
        for index in self.emitted.get((number, where), ()):
            _, _, source, target = self.program.allocation.edits[index]
            cls = (source if source < SLOT else target) >> 6
            value = self._held(source, cls) or self._value(NONE, self._contents(source, cls))
            name = "after" if where == AFTER else "before"
            self._note(
                f"block{block}, edit {name} instruction {number}: {self._show(source)} -> {self._show(target)}",
                [(target + part, value, part) for part in range(self._span(target, cls))],
                0,
                ("edit", index),
            )

    def _held(self, place: int, cls: int) -> _Value | None:
        """The whole value of a class in a place, None if there is none."""
        span = self._span(place, cls)
        parts = [self.machine.get(place + part) for part in range(span)]
        first = parts[0]
        if first is None or any(part != (first[0], number) for number, part in enumerate(parts)):
            return None
        name = first[0].name
        return first[0] if name == NONE or self.program.allocation.classes[name] == cls else None

    def _wrong_operand(self, number: int) -> int | None:
        """The first operand that reads another value than it should."""
        places = self.program.allocation.places[number]
        for index, operand in enumerate(self.program.allocation.instructions[number].operands):
            if operand.kind == USE and operand.vreg != NONE:
                held = self._held(places[index], operand.cls)
                meant = self.values.get(operand.vreg)
                if meant is not None and held != meant:
                    return index
        return None

    def _instruction(self, block: int, number: int) -> None:
        instruction = self.program.allocation.instructions[number]
        where = f"block{block}, instruction {number}{self._quoted(number)}"
        lost = [*instruction.clobbers, *self.program.scratch]
        if lost:
            garbage = self._value(NONE, f"what instruction {number} leaves in a register that it clobbers")
            self._note(
                f"{where} clobbers {self._listed(lost)}",
                [(place, garbage, 0) for place in lost],
                0,
                ("instruction", number),
            )
        for operand, place in zip(instruction.operands, self.program.allocation.places[number]):
            if operand.kind == USE or operand.vreg == NONE:
                continue
            value = self.values[operand.vreg] = self._value(operand.vreg)
            self._note(
                f"{where} defines v{operand.vreg} in {self._show(place)}",
                [(place + part, value, part) for part in range(self._span(place, operand.cls))],
                0,
                ("instruction", number),
            )

    def _pass(self, edge: Edge) -> None:
        """The parameters get their values, all at once."""
        passed = {
            parameter: self.values[argument]
            for parameter, argument in edge.arguments.items()
            if argument in self.values
        }
        for parameter, value in passed.items():
            self._note(
                f"block{edge.source} -> block{edge.target}: v{parameter} is v{edge.arguments[parameter]} there",
                [],
                value.number,
            )
        self.values.update(passed)

    def _quoted(self, number: int) -> str:
        text = self.program.allocation.instructions[number].text
        return f" `{text}`" if text else ""

    # words

    def _explain(self, block: int, number: int, index: int, step: int) -> Counterexample:
        operand = self.program.allocation.instructions[number].operands[index]
        place = self.program.allocation.places[number][index]
        meant = self.values[operand.vreg]
        here = self._contents(place, operand.cls)
        since = self.since.get(place)
        found = f"{self._show(place)} holds {here}{f', since {since}' if since else ''}; {self._elsewhere(meant)}"
        path = _blocks_of(self.way)[: step + 1]
        return Counterexample(
            WRONG_USE,
            block,
            path,
            number,
            _text(self.program, number),
            f"it reads v{operand.vreg} in {self._show(place)}",
            found,
            operand.vreg,
            place,
            *self._history(meant, place),
        )

    def _show(self, place: int) -> str:
        return show_place(place, self.program.allocation.isa)

    def _listed(self, places: list[int]) -> str:
        return ", ".join(map(self._show, places[:6])) + (f" and {len(places) - 6} more" if len(places) > 6 else "")

    def _contents(self, place: int, cls: int) -> str:
        """What is in a place that is read as a class."""
        cell = self.machine.get(place)
        if cell is None:
            return f"what was in {self._show(place)} when the function began"
        value, part = cell
        if value.name == NONE:
            return value.text
        held = self.program.allocation.classes[value.name]
        if part == 0 and held != cls:
            return f"{self._named(value)}, read as class {CLASSES[cls]} though of class {CLASSES[held]},"
        return self._named(value) if self._held(place, cls) else f"only a part of {self._named(value)}"

    def _named(self, value: _Value) -> str:
        """The names that the program has for a value now."""
        names = [f"v{name}" for name, other in self.values.items() if other == value]
        return " = ".join(names[:4]) or f"an older v{value.name}"

    def _elsewhere(self, value: _Value) -> str:
        cls = self.program.allocation.classes[value.name]
        places = [place for place in sorted(self.machine) if self._held(place, cls) == value]
        name = self._named(value)
        if not places:
            return f"{name} is nowhere any more"
        return f"{name} is in {self._listed(places)} only"

    def _history(self, meant: _Value, place: int) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
        """What happened to the value and, once it was born, to the place; and which steps did it."""
        lines: list[tuple[str, tuple[str, int] | None]] = []
        born = False
        for text, changes, about, step in self.events:
            gained = [cell for cell, _, new in changes if new == meant]
            lost = [cell for cell, old, new in changes if old == meant and new != meant]
            born = born or bool(gained)
            if lost:
                lines.append((f"{text}; v{meant.name} is lost in {self._listed(lost)}", step))
            elif gained or about in (meant.number, ALWAYS) or (born and any(c == place for c, _, _ in changes)):
                lines.append((text, step))
        if len(lines) > EVENTS:
            half = EVENTS // 2
            lines[half:-half] = [(f"… {len(lines) - 2 * half} more", None)]
        steps = dict.fromkeys(step for _, step in lines if step is not None)
        return tuple(text for text, _ in lines), tuple(steps)


def _text(program: Program, number: int) -> str:
    """An instruction as the compiler prints it, or its operands."""
    instruction = program.allocation.instructions[number]
    if instruction.text:
        return instruction.text
    words = [
        f"{'use' if operand.kind == USE else 'def'} v{operand.vreg}"
        if operand.vreg != NONE
        else f"register {show_place(operand.value, program.allocation.isa)}"
        for operand in instruction.operands
    ]
    return ", ".join(words)
