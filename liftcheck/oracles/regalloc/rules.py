"""What an allocation must obey at each instruction and edit by itself, whatever the values are.

The one idea: these are the promises that the operands' constraints and regalloc2's documentation state: the place fits
the constraint and the class; registers come from the environment; the places of one instruction's operands do not get
into each other's way; an edit is a move that the compiler can emit. They are decided by looking; z3 plays no part.

Conflicts within an instruction follow from its positions: it may write its early definitions before it has read
anything, clobbers and late definitions after the early uses are read, and it may read its late uses last of all. So an
early definition keeps off every use, every clobber and other definitions; a late use keeps off every definition and
clobber; an early use may share a place with a late definition or a clobber.
Sources: regalloc2 0.15's lib.rs, `OperandConstraint`, `OperandPos`, `Function::inst_clobbers`,
`allow_multiple_vreg_defs` (one register defined twice by one instruction has one place), `Edit`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from liftcheck.mach.regs import CLASSES, NONE, SLOT, show_place
from liftcheck.oracles.regalloc.program import Program
from liftcheck.regalloc.allocation import AFTER, ANY, EARLY, FIXED, LIMIT, REG, REUSE, STACK, USE, Operand


class Broken(NamedTuple):
    """A rule that is broken at an instruction (or at an edit before or after it). `rule` holds no numbers."""

    instruction: int
    rule: str
    expected: str
    found: str
    value: int = NONE
    place: int = NONE


class Rules:
    """The rules for one function."""

    def __init__(self, program: Program) -> None:
        self.program: Final = program
        allocation = program.allocation
        environment = allocation.environment
        self.fixed_slots: Final = frozenset(environment.fixed_slots)
        self.registers: Final = tuple(
            frozenset((*environment.preferred[cls], *environment.others[cls])) for cls in range(len(CLASSES))
        )
        self.slots: Final = SLOT + allocation.slots
        named = {
            operand.value
            for instruction in allocation.instructions
            for operand in instruction.operands
            if operand.constraint == FIXED and operand.vreg != NONE
        }
        self.movable: Final = frozenset().union(*self.registers, self.fixed_slots, named, program.scratch)

    def first_broken(self) -> Broken | None:
        """The first rule that is broken, in the order of the blocks; None if all hold."""
        found = self._unsorted()
        if found is not None:
            return found
        allocation = self.program.allocation
        before, after = self.program.before, self.program.after
        for block in self.program.order:
            row = allocation.blocks[block]
            for number in range(row.first, row.end):
                broken = self._instruction(number)
                if broken is None and number in before:
                    broken = self._moves(number, "before")
                if broken is None and number in after:
                    broken = self._moves(number, "after")
                if broken is not None:
                    return broken
        return None

    # edits

    def _unsorted(self) -> Broken | None:
        """The compiler walks the list of edits beside the instructions, so it must be in their order."""
        last = -1
        for instruction, where, source, target in self.program.allocation.edits:
            point = instruction * 2 + (where == AFTER)
            if point < last or not 0 <= instruction < len(self.program.allocation.instructions):
                at = min(max(instruction, 0), len(self.program.allocation.instructions) - 1)
                return Broken(
                    at,
                    "an edit out of order",
                    "edits in the order of the instructions that they stand at",
                    f"the edit {self._show(source)} -> {self._show(target)} at instruction {instruction} "
                    f"listed after one at instruction {last // 2}",
                )
            last = point
        return None

    def _moves(self, number: int, where: str) -> Broken | None:
        program = self.program
        for source, target in (program.before if where == "before" else program.after)[number]:
            wrong = self._wrong_move(source, target)
            if wrong:
                return Broken(
                    number,
                    wrong[0],
                    wrong[1],
                    f"the edit {where} instruction {number}: {self._show(source)} -> {self._show(target)}",
                    NONE,
                    target,
                )
        return None

    def _wrong_move(self, source: int, target: int) -> tuple[str, str] | None:
        """(rule, what is expected) if the compiler cannot or must not emit this move."""
        if self._is_stack(source) and self._is_stack(target):
            return "an edit from stack to stack", "a register on one side at least"
        for place in (source, target):
            if place < SLOT and place not in self.movable:
                return "an edit of a register outside the environment", "registers that may be allocated"
        if source < SLOT and target < SLOT:
            if source >> 6 != target >> 6:
                return "an edit between register classes", "a source and a target of one class"
            return None
        register, slot = (source, target) if source < SLOT else (target, source)
        if slot + self.program.cells[register >> 6] > self.slots:
            return "an edit of a spill slot outside the frame", f"slots below {self.slots - SLOT}"
        return None

    def _show(self, place: int) -> str:
        return show_place(place, self.program.allocation.isa)

    def _is_stack(self, place: int) -> bool:
        return place >= SLOT or place in self.fixed_slots

    # instructions

    def _instruction(self, number: int) -> Broken | None:
        instruction = self.program.allocation.instructions[number]
        places = self.program.allocation.places[number]
        registers = self.registers
        definitions = 0
        hard = bool(instruction.clobbers)
        for operand, place in zip(instruction.operands, places):
            _, cls, kind, position, constraint, value = operand
            if kind != USE:
                definitions += 1
                hard = hard or position == EARLY
            elif position != EARLY:
                hard = True
            if constraint == REG and place in registers[cls]:
                continue
            if constraint == REUSE and 0 <= value < len(places) and places[value] == place and place in registers[cls]:
                continue
            wrong = self._wrong_place(operand, place, places)
            if wrong:
                return self._broken(number, operand, place, *wrong)
        if hard or definitions > 1:
            return self._conflict(number)
        return None

    def _broken(self, number: int, operand: Operand, place: int, rule: str, expected: str) -> Broken:
        verb = "reads" if operand.kind == USE else "writes"
        name = f"v{operand.vreg}" if operand.vreg != NONE else "a register that is not allocatable"
        return Broken(
            number, rule, f"{name} {expected}", f"it {verb} {name} in {self._show(place)}", operand.vreg, place
        )

    def _wrong_place(self, operand: Operand, place: int, places: tuple[int, ...]) -> tuple[str, str] | None:
        """(rule, what is expected) if an operand's place does not fit it."""
        _, cls, kind, _, constraint, value = operand
        if place == NONE:
            return "an operand without a place", "in some place"
        if constraint == FIXED:
            wrong = place != value
            return ("a fixed register missed", f"in {self._show(value)}") if wrong else None
        if constraint == REUSE and (kind == USE or not 0 <= value < len(places) or places[value] != place):
            there = self._show(places[value]) if 0 <= value < len(places) else "the place of an operand"
            return "a reused input missed", f"in {there}, the place of operand {value}"
        if constraint == STACK and not self._is_stack(place):
            return "a stack-only operand in a register", "on the stack"
        if constraint in (REG, LIMIT) and self._is_stack(place):
            return "a register-only operand on the stack", "in a register"
        if place >= SLOT:
            fits = place + self.program.cells[cls] <= self.slots
            return None if fits else ("a spill slot outside the frame", f"in slots below {self.slots - SLOT}")
        if place >> 6 != cls:
            return "a register of the wrong class", f"in a register of class {CLASSES[cls]}"
        if constraint == LIMIT and place & 63 >= value:
            return "a register above the limit", f"in one of the first {value} registers"
        if place not in self.registers[cls] and not (constraint in (ANY, STACK) and place in self.fixed_slots):
            return "a register outside the environment", "in a register that may be allocated"
        return None

    def _conflict(self, number: int) -> Broken | None:
        """Two operands of an instruction, or an operand and a clobber, in each other's way."""
        instruction = self.program.allocation.instructions[number]
        early: dict[int, Operand] = {}
        late: dict[int, Operand] = {}
        uses: list[tuple[int, Operand]] = []
        for operand, place in zip(instruction.operands, self.program.allocation.places[number]):
            if operand.vreg == NONE:
                continue
            if operand.kind == USE:
                uses.append((place, operand))
                continue
            table = early if operand.position == EARLY else late
            for cell in self._cells(place, operand.cls):
                other = early.get(cell) or late.get(cell)
                if other is not None and other.vreg != operand.vreg:
                    return self._clash(
                        number, "two definitions in one place", operand, cell, f"also gets v{other.vreg}"
                    )
                table[cell] = operand
        return (
            self._use_conflict(number, uses, early, late)
            or self._clobber_conflict(number, early, late)
            or self._defined_twice(number)
        )

    def _use_conflict(
        self, number: int, uses: list[tuple[int, Operand]], early: dict[int, Operand], late: dict[int, Operand]
    ) -> Broken | None:
        clobbers = self.program.allocation.instructions[number].clobbers
        for place, operand in uses:
            for cell in self._cells(place, operand.cls):
                if cell in early:
                    return self._clash(
                        number,
                        "an early definition over a use",
                        operand,
                        cell,
                        f"may get v{early[cell].vreg} before it is read",
                    )
                if operand.position == EARLY:
                    continue
                if cell in late:
                    return self._clash(
                        number,
                        "a definition over a late use",
                        operand,
                        cell,
                        f"gets v{late[cell].vreg} while it is still read",
                    )
                if cell in clobbers:
                    return self._clash(
                        number, "a clobber over a late use", operand, cell, "is clobbered while it is still read"
                    )
        return None

    def _clobber_conflict(self, number: int, early: dict[int, Operand], late: dict[int, Operand]) -> Broken | None:
        for place in self.program.allocation.instructions[number].clobbers:
            operand = early.get(place) or late.get(place)
            if operand is not None:
                return self._clash(number, "a definition in a clobbered register", operand, place, "is clobbered")
        return None

    def _defined_twice(self, number: int) -> Broken | None:
        """One virtual register that one instruction defines several times has one place."""
        found: dict[int, int] = {}
        for operand, place in zip(
            self.program.allocation.instructions[number].operands, self.program.allocation.places[number]
        ):
            if operand.kind != USE and operand.vreg != NONE and found.setdefault(operand.vreg, place) != place:
                return self._broken(
                    number,
                    operand,
                    place,
                    "one definition in two places",
                    f"in {self._show(found[operand.vreg])}, where it is defined already",
                )
        return None

    def _clash(self, number: int, rule: str, operand: Operand, cell: int, what: str) -> Broken:
        verb = "read" if operand.kind == USE else "written"
        return Broken(
            number,
            rule,
            f"v{operand.vreg} in a place of its own while the instruction runs",
            f"v{operand.vreg} is {verb} in {self._show(cell)}, which {what}",
            operand.vreg,
            cell,
        )

    def _cells(self, place: int, cls: int) -> range:
        """The cells that a value fills there: one for a register."""
        return range(place, place + (self.program.cells[cls] if place >= SLOT else 1))
