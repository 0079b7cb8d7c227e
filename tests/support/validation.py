"""Allocations made by hand: a small vocabulary for programs with places, and ways to spoil them.

An operand is written with its place, an instruction with its operands, a function with its blocks; edits are given by
the instruction's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

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
    USE,
    Allocation,
    Block,
    Edit,
    Environment,
    Instruction,
    Operand,
)

Placed = tuple[Operand, int]


def p(number: int) -> int:
    """An integer register."""
    return INT * 64 + number


def f(number: int) -> int:
    """A float register."""
    return FLOAT * 64 + number


def s(number: int) -> int:
    """A spill slot."""
    return SLOT + number


ENVIRONMENT = Environment(
    preferred=(tuple(map(p, range(8))), tuple(map(f, range(8))), ()), others=(tuple(map(p, range(8, 12))), (), ())
)


def use(vreg: int, place: int, constraint: int = REG, value: int = 0, position: int = EARLY, cls: int = INT) -> Placed:
    return Operand(vreg, cls, USE, position, constraint, value), place


def late_use(vreg: int, place: int, constraint: int = REG, value: int = 0, cls: int = INT) -> Placed:
    return use(vreg, place, constraint, value, LATE, cls)


def define(
    vreg: int, place: int, constraint: int = REG, value: int = 0, position: int = LATE, cls: int = INT
) -> Placed:
    return Operand(vreg, cls, DEF, position, constraint, value), place


def early_define(vreg: int, place: int, constraint: int = REG, value: int = 0, cls: int = INT) -> Placed:
    return define(vreg, place, constraint, value, EARLY, cls)


def fixed_use(vreg: int, place: int, there: int | None = None) -> Placed:
    return use(vreg, place if there is None else there, FIXED, place)


def fixed_define(vreg: int, place: int, there: int | None = None) -> Placed:
    return define(vreg, place if there is None else there, FIXED, place)


def any_use(vreg: int, place: int, cls: int = INT) -> Placed:
    return use(vreg, place, ANY, 0, EARLY, cls)


def reuse(vreg: int, index: int, place: int) -> Placed:
    return define(vreg, place, REUSE, index)


def untracked(register: int, place: int | None = None) -> Placed:
    """A register that is not allocatable."""
    return Operand(NONE, register >> 6, USE, EARLY, FIXED, register), register if place is None else place


class Step(NamedTuple):
    """An instruction with its places."""

    placed: tuple[Placed, ...]
    clobbers: tuple[int, ...] = ()
    text: str = ""
    is_return: bool = False
    is_branch: bool = False


def op(*placed: Placed, clobbers: Sequence[int] = (), text: str = "") -> Step:
    return Step(placed, tuple(clobbers), text)


def ret(*placed: Placed) -> Step:
    return Step(placed, (), "ret", is_return=True)


def jump(*placed: Placed, clobbers: Sequence[int] = (), text: str = "jump") -> Step:
    return Step(placed, tuple(clobbers), text, is_branch=True)


class Body(NamedTuple):
    """A block: its steps, parameters, and ways out as (target, arguments)."""

    steps: tuple[Step, ...]
    parameters: tuple[int, ...] = ()
    ways: tuple[tuple[int, tuple[int, ...]], ...] = ()


def body(*steps: Step, parameters: Sequence[int] = (), ways: Sequence[tuple[int, tuple[int, ...]]] = ()) -> Body:
    return Body(steps, tuple(parameters), tuple(ways))


def before(instruction: int, source: int, target: int) -> Edit:
    return Edit(instruction, BEFORE, source, target)


def after(instruction: int, source: int, target: int) -> Edit:
    return Edit(instruction, AFTER, source, target)


def made(
    bodies: Sequence[Body],
    edits: Sequence[Edit] = (),
    classes: Sequence[int] | None = None,
    slots: int = 8,
    slot_sizes: tuple[int, int, int] = (1, 2, 2),
    environment: Environment = ENVIRONMENT,
) -> Allocation:
    """The allocation of a function. Classes are taken from the operands if not given."""
    steps = [step for one in bodies for step in one.steps]
    blocks, at = [], 0
    for number, one in enumerate(bodies):
        into = tuple(i for i, other in enumerate(bodies) for target, _ in other.ways if target == number)
        blocks.append(
            Block(
                at,
                at + len(one.steps),
                one.parameters,
                tuple(t for t, _ in one.ways),
                tuple(a for _, a in one.ways),
                into,
            )
        )
        at += len(one.steps)
    instructions = tuple(
        Instruction(
            tuple(operand for operand, _ in step.placed), step.clobbers, step.is_return, step.is_branch, step.text
        )
        for step in steps
    )
    places = tuple(tuple(place for _, place in step.placed) for step in steps)
    return Allocation(
        tuple(blocks),
        instructions,
        tuple(classes if classes is not None else _classes(instructions)),
        environment,
        places,
        tuple(edits),
        slots,
        slot_sizes,
    )


def _classes(instructions: tuple[Instruction, ...]) -> list[int]:
    found = {operand.vreg: operand.cls for instruction in instructions for operand in instruction.operands}
    return [found.get(vreg, INT) for vreg in range(max(found, default=-1) + 1)]


# spoiling


def with_place(allocation: Allocation, instruction: int, operand: int, place: int) -> Allocation:
    places = [list(row) for row in allocation.places]
    places[instruction][operand] = place
    return replace(allocation, places=tuple(map(tuple, places)))


def without_edit(allocation: Allocation, number: int) -> Allocation:
    return replace(allocation, edits=allocation.edits[:number] + allocation.edits[number + 1 :])


def with_edit(allocation: Allocation, number: int, edit: Edit) -> Allocation:
    return replace(allocation, edits=(*allocation.edits[:number], edit, *allocation.edits[number + 1 :]))


def swapped(allocation: Allocation, number: int) -> Allocation:
    """Edits `number` and `number + 1` exchange what they move."""
    one, two = allocation.edits[number], allocation.edits[number + 1]
    changed = with_edit(allocation, number, one._replace(source=two.source, target=two.target))
    return with_edit(changed, number + 1, two._replace(source=one.source, target=one.target))


def with_clobbers(allocation: Allocation, instruction: int, clobbers: Sequence[int]) -> Allocation:
    rows = list(allocation.instructions)
    rows[instruction] = rows[instruction]._replace(clobbers=tuple(clobbers))
    return replace(allocation, instructions=tuple(rows))


def with_operand(allocation: Allocation, instruction: int, number: int, **changes: int) -> Allocation:
    rows = list(allocation.instructions)
    operands = list(rows[instruction].operands)
    operands[number] = operands[number]._replace(**changes)
    rows[instruction] = rows[instruction]._replace(operands=tuple(operands))
    return replace(allocation, instructions=tuple(rows))
