"""The bytes of prologues and exits executed on symbols.

The one idea: a prologue and an exit consist of instructions whose meaning is known exactly (`Insn.effect`), so their
execution is exact: registers and words of the frame as terms over what they were. Loops that probe the stack are
executed too: everything in one is a constant or at a known distance from the stack pointer, so each branch can be
decided (`Isa.stack_probe`); other branches must lead to a trap, or round one. Whatever else stands there and may change
more than scratch registers is a doubt with a name: nothing is assumed to be harmless for want of knowledge.

It does not say what the result should be (`frame`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from liftcheck.bits.term import var
from liftcheck.isa.abi import Reserved, reserved
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import BRANCH, CALL, FLAGS, JUMP, MEMORY, ORDINARY, PC, TRAP, WIDTHS, Insn, decode, show
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import Opaque, State
from liftcheck.oracles.regalloc.code.calls import Calls
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.problem import Problem

STACK_OVERFLOW: Final = "stk_ovf"
"""The code of a prologue's traps."""
MOST_STEPS: Final = 20_000
"""Instructions of a prologue that are executed (four or five a page of the frame)."""


class Doubt(Exception):
    """Names what is not executed; never leaves the check of a frame."""


@cache
def _probes(isa: str) -> Callable[[State, Insn, Insn], bool | None]:
    """Whether a branch is taken, from the state before it and the instruction before it; it may count a register."""
    decide: Callable[[State, Insn, Insn], bool | None] = isa_named(isa).part(isa_named(isa).stack_probe)
    return decide


class Execution:
    """Executes the pieces of one function. `entry`: the state that its prologue makes; `problems`, `doubts`: what is
    wrong or not known on the way."""

    def __init__(self, isa: str, calls: Calls) -> None:
        self.isa: Final = isa
        self.calls: Final = calls
        self.kept: Final[Reserved] = reserved(isa)
        self.entry: Final = State(isa)
        self.problems: Final[list[Problem]] = []
        self.doubts: Final[list[str]] = []

    def prologue(self, code: Sequence[Placed]) -> None:
        """Execute a prologue. Loops are run to their end; a forward branch that is not decided is not taken: it leads
        to a trap, or round one."""
        numbers = {offset: number for number, (offset, _) in enumerate(code)}
        number = steps = 0
        while number < len(code):
            offset, machine = code[number]
            steps += 1
            if steps > MOST_STEPS:
                raise Doubt("the prologue has a long loop")
            goal = offset + machine.target if machine.target is not None else -1
            follows = machine.flow == JUMP
            known = False
            if machine.flow == BRANCH:
                before = code[number - 1].machine if number else None
                decided = None if before is None else _probes(self.isa)(self.entry, before, machine)
                if decided is None and goal <= offset:
                    raise Doubt("the prologue has a loop")
                follows, known = bool(decided), decided is not None
            if follows:
                if goal not in numbers and goal != code[-1].offset + code[-1].machine.size:
                    raise Doubt("the prologue has a jump")
                number = numbers.get(goal, len(code))
                continue
            if machine.flow != BRANCH or (goal > offset and not known):
                self.step(self.entry, offset, machine, "the prologue")
            number += 1

    def step(self, state: State, offset: int, machine: Insn, where: str) -> None:
        if machine.flow == BRANCH:
            if machine.target is None or machine.target < 0:
                raise Doubt(f"{where} has a loop")
            self._skipped(offset, machine, where)
            return
        placed = Placed(offset, machine)
        if machine.flow == TRAP:
            if self.calls.layout.trap_code(offset) != STACK_OVERFLOW:
                self.problems.append(
                    Problem(
                        f"{where} ends in a trap that the program does not have",
                        NONE,
                        offset,
                        NONE,
                        f"a trap of its table: {STACK_OVERFLOW}",
                        machine.text,
                        (placed,),
                    )
                )
            return
        if machine.flow == CALL and (state is not self.entry or not self.calls.relocated(placed)):
            self.problems.append(
                Problem(
                    f"{where} calls something", NONE, offset, NONE, "at most a stack probe", machine.text, (placed,)
                )
            )
        if machine.effect is not None:
            try:
                state.run(machine.effect)
                return
            except Opaque:
                if machine.effect.stores:
                    raise Doubt(f"{where} stores outside of the frame") from None
                self._foreign(state, placed, where)
        elif any(access.base != PC for access in machine.accesses):
            self._foreign(state, placed, where)
        if MEMORY in machine.writes and machine.flow != CALL:
            raise Doubt(f"{where} stores in a way that has no meaning here: {machine.name}")
        if machine.effect is None and machine.flow == ORDINARY and not self._harmless(machine):
            self.doubts.append(f"{where} has an instruction that has no meaning here: {machine.name}")
        for place in machine.writes:
            if place == self.kept.sp and machine.flow != CALL:
                raise Doubt(f"{where} moves the stack pointer in a way that has no meaning here: {machine.name}")
            if 0 <= place < SLOT and place != self.kept.sp:
                state.registers[place] = var(f"{show(place, self.isa)} after {offset:#x}", WIDTHS[self.isa][place >> 6])

    def _harmless(self, machine: Insn) -> bool:
        """Whether nothing that it changes is relied on, whatever it computes, or it begins a call or a jump."""
        scratch = not machine.accesses and machine.writes <= self.kept.scratch | {FLAGS}
        return scratch or machine.name == isa_named(self.isa).far

    def _foreign(self, state: State, placed: Placed, where: str) -> None:
        """Exits read the frame alone; a prologue may look for its stack's limit elsewhere."""
        if state is not self.entry:
            self.problems.append(
                Problem(
                    f"{where} reads memory outside of the frame",
                    NONE,
                    placed.offset,
                    NONE,
                    "the frame",
                    placed.machine.text,
                    (placed,),
                )
            )

    def _skipped(self, offset: int, machine: Insn, where: str) -> None:
        """A branch that is taken to be not taken must lead to a trap, or round nothing but one."""
        goal, between = offset + (machine.target or 0), offset + machine.size
        code = self.calls.code
        if self.calls.layout.trap_code(goal) == STACK_OVERFLOW:
            return
        if not between < goal <= len(code) or any(m.flow != TRAP for m in decode(self.isa, code, between, goal)):
            self.problems.append(
                Problem(
                    f"{where} has a branch round something",
                    NONE,
                    offset,
                    NONE,
                    f"a trap: {STACK_OVERFLOW}",
                    f"{goal:#x}",
                    (Placed(offset, machine),),
                )
            )
