"""Own bytes that call: whether it is the call that the allocator was told of, and what its callee takes away.

The one idea: what the callee does is assumed, so everything else is checked: the bytes call through the operand's
register, link as the convention does, return to the instruction after the call, clobber no more than the allocator was
told, and leave the stack pointer where it was except for the arguments that the callee pops.
The rules about all own bytes are in `accesses`; what was stored for callees is judged when all slots are known
(`frame_accesses`, `handed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from liftcheck.isa.abi import Abi, abi_named, reserved
from liftcheck.mach.insn import CALL, CONTROL, FLAGS, MEMORY, VECTOR_CONFIGURATION, register, show
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import State, parts
from liftcheck.oracles.regalloc.code.calls import Calls, offset_of
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.operands import Operands
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import ANY, FIXED, USE, Allocation

SPECIAL: Final = frozenset({FLAGS, MEMORY, CONTROL, VECTOR_CONFIGURATION})

TOLD: Final = "an unwinder is told of another place than the operand's"


class Body(NamedTuple):
    """What the prologue leaves: `frame_pointer`: its distance from the stack pointer, None if it is not a frame
    pointer; `saved`: words of memory, as distances from the stack pointer, that must stay until the function's end."""

    frame_pointer: int | None
    saved: Mapping[int, str]


class Taken(NamedTuple):
    """How many bytes the compiler takes a call's callee to take away of the stack. `pushed`: it made room for them
    before; `first`, `last`: the stores since the call before."""

    instruction: int
    own: Sequence[Placed]
    bytes: int
    pushed: int
    first: int
    last: int


class Scan:
    """What the bytes of one instruction have read and written so far, and may: besides what every instruction may
    read (`always`) and write (`freely`). Most instructions touch neither, so those are not copied."""

    __slots__ = (
        "always",
        "framed",
        "freely",
        "reached",
        "read",
        "readable",
        "stores",
        "switches",
        "writable",
        "written",
    )

    def __init__(
        self, always: frozenset[int], freely: frozenset[int], readable: set[int], writable: set[int], switches: bool
    ) -> None:
        self.switches: Final = switches
        self.always = always
        self.freely: Final = freely
        self.readable: Final = readable
        self.writable: Final = writable
        self.read: set[int] = set()
        self.written: set[int] = set()
        self.stores = False
        self.framed = False
        self.reached = False


class CallRules:
    """The rules about calls, and what they share with those about all own bytes."""

    def __init__(self, isa: str, allocation: Allocation, calls: Calls) -> None:
        self.isa: Final = isa
        self.abi: Final[Abi] = abi_named(isa)
        self.allocation: Final = allocation
        self.operands: Final = Operands(self.abi, allocation)
        self.calls: Final = calls
        kept = reserved(isa)
        self.kept: Final = kept
        self._pointers: Final = frozenset({kept.sp, kept.frame}) - {NONE}
        self.shift = 0
        """How far the stack pointer is from the body's: see `_pushed`."""
        self._stores: Final[list[tuple[int, Sequence[Placed], int]]] = []
        self._window = 0
        self._pointed: Final[list[tuple[int, int]]] = []
        self._taken: Final[list[Taken]] = []
        self.loading: Final[list[tuple[int, Sequence[Placed], int]]] = []
        """Calls with accesses of memory after them, and where they return to."""
        self._told: Final[list[tuple[int, int, int, Sequence[Placed]]]] = []
        """Operands in slots that an unwinder is told of, and the distance from the stack pointer that it is told."""

    def _call(
        self, instruction: int, own: Sequence[Placed], at: int, scan: Scan, uses: set[int], definitions: set[int]
    ) -> list[Problem]:
        """A call among own bytes: it must be one that the allocator was told of, of the operand's register, and return
        after itself. What its callee took away of the stack, the bytes after it may make up for."""
        placed = own[at]
        returning = placed.offset + placed.machine.size
        pushed = -self.shift if self.shift else None
        self.shift = 0
        problems = self._contexts(instruction, placed, own)
        scan.read.update(self.calls.context_uses(instruction))
        clobbers = self.allocation.instructions[instruction].clobbers
        missing = self.calls.required(instruction).difference(clobbers, definitions & self.operands.fixed(instruction))
        if missing and returning in self.calls.sites:
            problems.append(
                self._problem(
                    "a call's clobbers lack a register that its callee may change",
                    instruction,
                    placed,
                    min(missing),
                    set(clobbers),
                    own,
                )
            )
        elif (missing or not clobbers) and returning not in self.calls.sites:
            problems.append(
                self._problem("a call that the allocator was not told of", instruction, placed, NONE, uses, own)
            )
        operands, callees = self.allocation.instructions[instruction].operands, self.operands.callees(instruction)
        free = [o for o in operands if o.kind == USE and o.constraint not in (FIXED, ANY)]
        if len(free) > (1 if placed.machine.reads & callees - scan.written else 0):
            rule = "an input of a call is in no register of its convention"
            problems.append(self._problem(rule, instruction, placed, min(callees), set(clobbers), own))
        link = {self.kept.link} - {NONE}
        through = placed.machine.reads - {self.kept.sp, *SPECIAL}
        nowhere = not through and placed.machine.target is None and not placed.machine.accesses
        aside = nowhere or (not through <= scan.written and offset_of(self.isa, placed.machine) != 0)
        if not through <= scan.written | callees or aside or self.kept.sp in {a.base for a in placed.machine.accesses}:
            problems.append(
                self._problem(
                    "a call through a register that is not its operand's",
                    instruction,
                    placed,
                    min(through, default=self.kept.sp),
                    callees,
                    own,
                )
            )
        if {p for p in placed.machine.writes if p >= 0} - {self.kept.sp} != link:
            problems.append(
                self._problem("a call that links in another register", instruction, placed, self.kept.link, link, own)
            )
        scan.read |= placed.machine.reads - scan.written
        scan.written |= placed.machine.writes
        scan.readable.update(placed.machine.writes - link)  # what returns is not for reading
        scan.stores = True
        if any(machine.accesses for _, machine in own[at + 1 :]):
            self.loading.append((instruction, own, returning))
        moved = self._moved(own[at + 1 :])
        taken = moved if pushed is None else pushed
        if moved and (moved % self.abi.stack_unit or pushed is not None or not self.calls.may_pop(instruction)):
            problems.append(
                self._problem("the stack pointer is moved after a call", instruction, placed, self.kept.sp, set(), own)
            )
        scan.writable.add(self.kept.sp)
        self._taken.append(Taken(instruction, own, taken, pushed or 0, self._window, len(self._stores)))
        return problems

    def _address(self, own: Sequence[Placed]) -> None:
        """An argument that is passed by its address lies among the stack arguments: 16 bytes from there on."""
        for _, machine in own:
            for place, value in machine.effect.writes if machine.effect is not None else ():
                found = parts(value)
                if place != self.kept.sp and found is not None and found[0] is register(self.isa, self.kept.sp):
                    self._pointed.append((len(self._stores), found[1] + 16))

    def _moved(self, after: Sequence[Placed]) -> int:
        """How far down the bytes after a call move the stack pointer, to make up for what its callee took away; an odd
        number for anything else."""
        state = State(self.isa)
        for _, machine in after:
            if self.kept.sp in machine.writes:
                if machine.effect is None or machine.effect.loads or machine.effect.stores:
                    return 1
                state.run(machine.effect)
        found = parts(state.value(self.kept.sp))
        return -found[1] if found is not None and found[0] is state.base and found[1] <= 0 else 1

    def _contexts(self, instruction: int, placed: Placed, own: Sequence[Placed]) -> list[Problem]:
        """What an unwinder is told must be the operands' places, in their order."""
        uses = self.calls.context_uses(instruction)
        told = self.calls.contexts(placed.offset + placed.machine.size)
        wrong = [] if len(uses) == len(told) else [NONE]
        for place, there in zip(uses, told):
            if place >= SLOT and there >= SLOT:
                self._told.append((instruction, place, there - SLOT, own))
            elif place != there:
                wrong.append(place)
        return [self._problem(TOLD, instruction, placed, place, set(uses), own) for place in wrong[:1]]

    def _pushed(self, own: Sequence[Placed]) -> int:
        """An instruction without operands that only takes room for stack arguments: how far it moves the stack pointer.
        The call that follows takes them away (`Abi.pushes_arguments`)."""
        state = State(self.isa)
        for _, machine in own:
            if machine.effect is None or machine.effect.loads or machine.effect.stores:
                return 0
            state.run(machine.effect)
        found = parts(state.value(self.kept.sp))
        changed = {place for place in state.registers if place not in self.kept.scratch}
        ours = found is not None and found[0] is state.base and changed <= {self.kept.sp}
        return min(found[1], 0) if found is not None and ours else 0

    def _problem(
        self, rule: str, instruction: int, placed: Placed, place: int, expected: set[int], own: Sequence[Placed]
    ) -> Problem:
        names = ", ".join(show(p, self.isa) for p in sorted(expected)) or "none"
        return Problem(rule, instruction, placed.offset, place, names, show(place, self.isa), tuple(own))


def call_in(own: Sequence[Placed]) -> int:
    """The number of the call among these bytes, or how many there are."""
    for number, placed in enumerate(own):
        if placed.machine.flow == CALL:
            return number
    return len(own)
