"""What the allocation says of an instruction's operands: which places they have, and what these may be.

The one idea: the rules about own bytes speak of places, an allocation speaks of operands; what the rules ask is
translated here, once. It judges nothing.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.abi import Abi
from liftcheck.mach.insn import Insn
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.unborn import used
from liftcheck.regalloc.allocation import FIXED, REUSE, USE, Allocation


class Operands:
    """Of one function's instructions."""

    def __init__(self, abi: Abi, allocation: Allocation) -> None:
        self.abi: Final = abi
        self.allocation: Final = allocation
        self.used: Final = used(allocation)
        """Virtual registers that something uses."""

    def places(self, instruction: int) -> tuple[set[int], set[int]]:
        uses: set[int] = set()
        definitions: set[int] = set()
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        for operand, place in zip(what.operands, places):
            if place == NONE and operand.constraint == FIXED:
                place = operand.value
            (uses if operand.kind == USE else definitions).add(place)
        return uses, definitions

    def fixed(self, instruction: int) -> set[int]:
        """The registers that fixed constraints name: those of arguments and results of other code."""
        return {o.value for o in self.allocation.instructions[instruction].operands if o.constraint == FIXED}

    def callees(self, instruction: int) -> set[int]:
        """The places of the inputs that may be a call's callee: those that the allocator chose, and the register
        that a convention has for it, which no argument is in."""
        operands, places = self.allocation.instructions[instruction].operands, self.allocation.places[instruction]
        callee = self.abi.callee
        return {p for o, p in zip(operands, places) if o.kind == USE and (o.constraint != FIXED or o.value == callee)}

    def same_either_way(self, instruction: int, definitions: set[int]) -> bool:
        """Where moves are made of a selection: none if both inputs are one value, in the result's place."""
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        there = [o.vreg for o, p in zip(what.operands, places) if o.kind == USE and p in definitions]
        return (
            self.abi.selects_by_moves
            and what.text[:6] in ("", "select")
            and len(definitions) == 1
            and len(there) == 2 == len({*there}) + 1
            and len(what.operands) > 3
        )

    def inputs_in(self, instruction: int, place: int) -> int:
        """How many inputs are in a register."""
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        return sum(
            o.kind == USE and (o.value if p == NONE and o.constraint == FIXED else p) == place
            for o, p in zip(what.operands, places)
        )

    def doubled(self, instruction: int, machine: Insn, inputs: set[int]) -> set[int]:
        """Inputs that several fields of one instruction read, though only one operand is there."""
        if machine.name in self.abi.doubling:
            return set()
        return {place for place in machine.twice & inputs if self.inputs_in(instruction, place) < 2}

    def tied(self, instruction: int) -> set[int]:
        """The places of inputs that a result reuses."""
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        return {places[o.value] for o in what.operands if o.constraint == REUSE}

    def needed(self, instruction: int, places: set[int]) -> set[int]:
        """Those whose definition has a use: temporaries need not be written."""
        what, given = self.allocation.instructions[instruction], self.allocation.places[instruction]
        return {
            place
            for operand, place in zip(what.operands, given)
            if place in places and operand.kind != USE and operand.vreg in self.used
        }
