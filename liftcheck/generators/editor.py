"""One function under edit: where its instructions are, what may be read there, and how something else is put in.

The one idea: an edit is a function of an `Editor`, made of an edit of an operand (`of_operand`) or of an instruction
(`of_instruction`); the editor draws which one, so that an edit says only what it does with it. It edits a copy.
Which edits there are: `mutate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from random import Random
from typing import Final, NamedTuple

from liftcheck.clif import values
from liftcheck.clif.cfg import Cfg
from liftcheck.clif.edit import constant, copy_function
from liftcheck.clif.ir import Function, Inst
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import Type
from liftcheck.generators.exhaustive import immediates
from liftcheck.generators.rows import Row, Table


class Place(NamedTuple):
    """Where an instruction stands: its block, by place in the layout, and its place there."""

    block: int
    at: int


class Operand(NamedTuple):
    """What the instruction `inst` reads as its argument `which`."""

    place: Place
    inst: Inst
    which: int
    value: int
    ty: Type


class Editor:
    """Edits one function, which is a copy of its own. `done` names the edits that were made."""

    def __init__(self, random: Random, function: Function, table: Table, donors: Sequence[Function] = ()) -> None:
        self.random: Final = random
        self.function: Final = copy_function(function)
        self.table: Final = table
        self.donors: Final = donors
        self.done: Final[list[str]] = []

    def edit(self, kinds: Sequence[Callable[[Editor], bool]], count: int) -> None:
        """Up to `count` edits of these kinds; one that finds nothing to do is drawn again a few times."""
        for _ in range(count):
            for _ in range(4):
                kind = self.random.choice(kinds)
                if kind(self):
                    self.done.append(kind.__name__)
                    break

    # -- where

    def insts(self) -> Iterator[tuple[Place, Inst]]:
        for number, block in enumerate(self.function.blocks):
            for at, inst in enumerate(block.insts):
                yield Place(number, at), inst

    def some(self, wanted: Callable[[Inst], bool]) -> tuple[Place, Inst] | None:
        """One of the instructions that are wanted."""
        found = [one for one in self.insts() if wanted(one[1])]
        return self.random.choice(found) if found else None

    def in_scope(self, place: Place) -> dict[Type, list[int]]:
        """The values that may be read there, by type."""
        blocks, types = self.function.blocks, self.function.types
        cfg = Cfg(self.function)
        here = blocks[place.block]
        found: dict[Type, list[int]] = {}
        for block in blocks:
            if not cfg.dominates(block.number, here.number):
                continue
            insts = block.insts[: place.at] if block is here else block.insts
            for value in [*(value for value, _ in block.params), *(r for inst in insts for r in inst.results)]:
                found.setdefault(types[value], []).append(value)
        return found

    def put(self, place: Place, *insts: Inst) -> None:
        """Inserts before an instruction."""
        self.function.blocks[place.block].insts[place.at : place.at] = insts

    def replace(self, place: Place, inst: Inst) -> None:
        self.function.blocks[place.block].insts[place.at] = inst

    def operand(self) -> Operand | None:
        """An operand that is not an address."""
        found = self.some(lambda inst: bool(free_operands(inst)))
        if found is None:
            return None
        place, inst = found
        which = self.random.choice(free_operands(inst))
        return Operand(place, inst, which, inst.args[which], self.function.types[inst.args[which]])

    def swap(self, operand: Operand, value: int, *insts: Inst) -> None:
        """Another value in an operand's place, made by instructions before."""
        self.replace(operand.place, with_operand(operand.inst, operand.which, value))
        self.put(operand.place, *insts)

    def made(self, ty: Type) -> tuple[int, list[Inst]]:
        """A constant worth trying."""
        return constant(self.function, ty, self.random.choice(values.table(ty)))

    def some_value(self, ty: Type, place: Place) -> tuple[int, list[Inst]]:
        """A value in scope, or a constant."""
        there = self.in_scope(place).get(ty, [])
        if there and self.random.randrange(4):
            return self.random.choice(there), []
        return self.made(ty)

    def has(self, key: str) -> bool:
        return self.table.has(key)

    def row(self, op: str, ty: Type, arity: int) -> Row | None:
        """The typing of an opcode with that type and that many operands."""
        rows = self.table.rows
        return next((row for row in rows if row.op == op and row.type is ty and len(row.args) == arity), None)

    def instruction(self, row: Row, args: tuple[int, ...], results: tuple[int, ...]) -> Inst:
        return Inst(row.op, row.type, results, args, self.immediate(row), row.flags)

    def immediate(self, row: Row) -> object:
        return self.random.choice(immediates(row))


Edit = Callable[[Editor], bool]
"""Edits a function, and says whether there was something to edit."""


def of_operand(edit: Callable[[Editor, Operand], bool]) -> Edit:
    """An edit of one of the operands that are not addresses."""

    @wraps(edit)
    def drawn(editor: Editor) -> bool:
        found = editor.operand()
        return found is not None and edit(editor, found)

    return drawn


def of_instruction(wanted: Callable[[Inst], bool]) -> Callable[[Callable[[Editor, Place, Inst], bool]], Edit]:
    """An edit of one of the instructions that are wanted."""

    def made(edit: Callable[[Editor, Place, Inst], bool]) -> Edit:
        @wraps(edit)
        def drawn(editor: Editor) -> bool:
            found = editor.some(wanted)
            return found is not None and edit(editor, *found)

        return drawn

    return made


def free_operands(inst: Inst) -> list[int]:
    """The operands of an instruction that may be another value of their type."""
    opcode = OPCODES[inst.op]
    if opcode.is_call:
        return []
    return [place for place in range(len(inst.args)) if place != opcode.address]


def with_operand(inst: Inst, place: int, value: int) -> Inst:
    return dataclasses.replace(inst, args=(*inst.args[:place], value, *inst.args[place + 1 :]))
