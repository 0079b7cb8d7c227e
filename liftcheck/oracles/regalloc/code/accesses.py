"""Whether an instruction's own bytes keep to the operands of the allocation.

The one idea: own bytes are looked at instruction by instruction, in order: what is read must be a use's register, a
register that the backend keeps for itself, or one that the same bytes wrote before; what is written must be a
definition's, a clobber, or scratch; every definition must be written and every use read. Loops and branches inside own
bytes are taken as straight lines. Calls are taken at their word: they read the uses, write definitions and clobbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from liftcheck.bits.term import Term
from liftcheck.isa.abi import Abi, abi_named, free_for_all, reserved
from liftcheck.mach.insn import (
    BRANCH,
    CALL,
    CONTROL,
    FLAGS,
    JUMP,
    MEMORY,
    ORDINARY,
    VECTOR_CONFIGURATION,
    Insn,
    register,
    show,
)
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import State, parts
from liftcheck.oracles.regalloc.code import lone, order
from liftcheck.oracles.regalloc.code.bases import baseless, made
from liftcheck.oracles.regalloc.code.calls import Calls, loads_link, offset_of, switches
from liftcheck.oracles.regalloc.code.framed import Access, framed
from liftcheck.oracles.regalloc.code.layout import Placed, traps
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.oracles.regalloc.code.unborn import used
from liftcheck.regalloc.allocation import ANY, FIXED, REUSE, USE, Allocation

_SPECIAL: Final = frozenset({FLAGS, MEMORY, CONTROL, VECTOR_CONFIGURATION})

TOLD: Final = "an unwinder is told of another place than the operand's"
STORES_OUTSIDE: Final = "an instruction stores into the frame outside of what is its own"
BASELESS: Final = "an address without a base"
IDLE: Final = "what an instruction's bytes make is not read"
INTO_SLOT: Final = "an instruction stores into a spill slot"
OVER_SAVED: Final = "an instruction stores over what the prologue saved"
OVERSTORED: Final = frozenset({INTO_SLOT, OVER_SAVED, STORES_OUTSIDE})
"""What a program that stores outside of its own memory does, too."""


class Body(NamedTuple):
    """What the prologue leaves behind: `frame_pointer`: its distance from the stack pointer, None if it is not a frame
    pointer; `saved`: words of memory, as distances from the stack pointer, that must stay until the function's end."""

    frame_pointer: int | None
    saved: Mapping[int, str]


class _Scan:
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


class Taken(NamedTuple):
    """How many bytes the compiler takes a call's callee to take away of the stack. `pushed`: it made room for them
    before; `first`, `last`: the stores since the call before."""

    instruction: int
    own: Sequence[Placed]
    bytes: int
    pushed: int
    first: int
    last: int


class OwnRules:
    """The rules about own bytes. Collects accesses to the frame for `frame_problems`."""

    def __init__(self, isa: str, allocation: Allocation, calls: Calls) -> None:
        self.isa: Final = isa
        self.abi: Final[Abi] = abi_named(isa)
        self.allocation: Final = allocation
        self.calls: Final = calls
        kept = reserved(isa)
        self.kept: Final = kept
        pinned = free_for_all(isa, allocation.environment.offered)
        self._readable: Final = frozenset(kept.readable | _SPECIAL | pinned)
        self._writable: Final = frozenset(kept.scratch | _SPECIAL | pinned)
        self._pointers: Final = frozenset({kept.sp, kept.frame}) - {NONE}
        self._unasked: Final = (self._writable - kept.scratch) | self._pointers | {kept.link}
        """Registers that own bytes may leave behind without anybody that is known to read them."""
        carried = kept.scratch if self.abi.carries_scratch else frozenset()
        self._free: Final = lone.Free(self._readable, self._writable, self._pointers, kept.scratch, carried)
        self._used: Final = used(allocation)
        self._lasts: Final = {block.end - 1: len(block.successors) for block in allocation.blocks}
        self.unborn: Final[dict[int, int]] = {}
        """Virtual registers that nothing defines -> the instruction that has no bytes."""
        self.shift = 0
        """How far the stack pointer is from the body's: see `_pushed`."""
        self._carried: frozenset[int] = frozenset()
        """Scratch registers written since the block's start by own bytes, not by moves: see `Abi.carries_scratch`."""
        self._fresh = False
        """Whether flags may be read: see `_flags`."""
        self._compared: tuple[int, Placed] | None = None
        """A comparison whose flags nobody has read yet, and its instruction."""
        self._pending: tuple[Placed, int] | None = None
        """What was written to a scratch register and is still to be read, by the next instruction."""
        self._in_slots: Final[list[tuple[int, int, bool, Sequence[Placed], int]]] = []
        self._stores: Final[list[tuple[int, Sequence[Placed], int]]] = []
        self.framed: Final[list[tuple[int, Sequence[Placed], int]]] = []
        """Instructions that access memory by the stack or frame pointer."""
        self._framed: Final[dict[tuple[int, int], Sequence[Access]]] = {}
        self._window = 0
        self._pointed: Final[list[tuple[int, int]]] = []
        self._pointers_made: Final[list[tuple[int, Placed, tuple[Term, int], int]]] = []
        self._taken: Final[list[Taken]] = []
        self.loading: Final[list[tuple[int, Sequence[Placed], int]]] = []
        """Calls with accesses of memory behind them, and where they return to."""
        self._told: Final[list[tuple[int, int, int, Sequence[Placed]]]] = []
        """Operands in slots that an unwinder is told of, and the distance from the stack pointer that it is told."""

    def enter_block(self) -> None:
        """Nothing is carried over from another block."""
        self._carried = frozenset()
        self._fresh = False
        self._pending = self._compared = None
        self._window = len(self._stores)
        self.shift = 0

    def accesses(self, instruction: int, own: Sequence[Placed], shift: int, body: Body) -> Sequence[Access]:
        """`framed`, once for all rules that ask."""
        found = self._framed.get((instruction, shift))
        if found is None:
            found = self._framed[instruction, shift] = tuple(framed(self.isa, own, shift, body.frame_pointer))
        return found

    def moved(self, code: Sequence[Placed]) -> None:
        """A move's code stands here."""
        if self._carried:
            self._carried = self._carried.difference(*(m.writes for _, m in code))

    def check(self, instruction: int, own: Sequence[Placed]) -> list[Problem]:
        """What is wrong with these own bytes. Returns are `frame`'s."""
        what = self.allocation.instructions[instruction]
        unread = [] if self._compared is None else self._unread(instruction, own)
        if what.is_return and not traps(own):
            return unread
        uses, definitions = self._places(instruction)
        if not own:
            return [*unread, *self._empty(instruction, uses, definitions)]
        if not definitions and not what.clobbers and FLAGS in own[-1].machine.writes and self._only_compares(own):
            self._compared = instruction, own[-1]
        if len(own) == 1 and not what.clobbers and self._plain(instruction, own[0].machine, uses, definitions):
            return unread
        return [*unread, *self._scan(instruction, own, uses, definitions)]

    def _only_compares(self, own: Sequence[Placed]) -> bool:
        """Whether bytes do nothing that anybody could want, but for the flags."""
        return all(m.flow == ORDINARY and m.writes <= {FLAGS, CONTROL} for _, m in own)

    def _unread(self, instruction: int, own: Sequence[Placed]) -> list[Problem]:
        """A comparison is there for who reads its flags, in the same block."""
        if self._compared is None:
            return []
        reads = any(FLAGS in machine.reads for _, machine in own)
        writes = any(FLAGS in machine.writes for _, machine in own)
        if not reads and not writes and instruction not in self._lasts:
            return []
        (at, placed), self._compared = self._compared, None
        gone = self._lasts.get(instruction, 0) > 1  # of a branch whose ways are one nothing is left
        return [] if reads or gone else [self._problem(IDLE, at, placed, FLAGS, set(), [placed])]

    def _places(self, instruction: int) -> tuple[set[int], set[int]]:
        uses: set[int] = set()
        definitions: set[int] = set()
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        for operand, place in zip(what.operands, places):
            if place == NONE and operand.constraint == FIXED:
                place = operand.value
            (uses if operand.kind == USE else definitions).add(place)
        return uses, definitions

    def _fixed(self, instruction: int) -> set[int]:
        """The registers that its description names: what is handed over to other code."""
        return {o.value for o in self.allocation.instructions[instruction].operands if o.constraint == FIXED}

    def _callees(self, instruction: int) -> set[int]:
        """The places of the inputs that may be a call's callee: those that the allocator chose, and the register
        that a convention has for it, which no argument is in."""
        operands, places = self.allocation.instructions[instruction].operands, self.allocation.places[instruction]
        callee = self.abi.callee
        return {p for o, p in zip(operands, places) if o.kind == USE and (o.constraint != FIXED or o.value == callee)}

    def _empty(self, instruction: int, uses: set[int], definitions: set[int]) -> list[Problem]:
        """No bytes: nothing may need any. The entry's arguments are there; of a branch nothing is left if all its ways
        lead to what follows (`jumps`); uninitialized values are defined by nothing, which is for those who
        use them to bear (`unborn`). A copy in place would do, but the compilers leave those to their allocators."""
        what = self.allocation.instructions[instruction]
        if not uses:
            if instruction or any(o.constraint != FIXED for o in what.operands):
                self.unborn.update({o.vreg: instruction for o in what.operands if o.vreg in self._used})
            return []
        if (what.is_branch and not definitions) or self._same_either_way(instruction, definitions):
            return []
        offset, place = self.allocation.offsets[instruction] or 0, min(definitions - uses or uses)
        rule = "an instruction with a result has no bytes" if definitions else "an instruction with inputs has no bytes"
        return [Problem(rule, instruction, offset, place, show(place, self.isa), "nothing")]

    def _same_either_way(self, instruction: int, definitions: set[int]) -> bool:
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

    def _plain(self, instruction: int, machine: Insn, uses: set[int], definitions: set[int]) -> bool:
        """Whether a lone instruction needs no scan (`lone`). What it changes for the next one is done then."""
        if self.shift or self._pending is not None or not lone.plain(machine, uses, definitions, self._free):
            return False
        if lone.unread(self.abi, self.allocation, instruction, machine):
            return False
        self._carried = frozenset()
        self._fresh = FLAGS in machine.writes or (self._fresh and self.abi.flags_wait and not uses)
        return True

    def _scan(self, instruction: int, own: Sequence[Placed], uses: set[int], definitions: set[int]) -> list[Problem]:
        clobbers = self.allocation.instructions[instruction].clobbers
        if self.abi.pushes_arguments and not uses and not definitions and (pushed := self._pushed(own)):
            self.shift += pushed
            return []
        readable = uses | self._carried if self._carried else set(uses)
        writable = definitions.union(clobbers)
        loads = not uses and not definitions and loads_link(self.allocation, instruction, self.kept)
        if loads:
            readable.add(self.kept.link)
            writable.add(self.kept.link)
        given = readable | self._readable if len(own) > 1 else frozenset()
        at = _call_in(own)
        switched = bool(clobbers) and own[-1].machine.flow == JUMP and switches(self.isa, own)
        if at < len(own):
            writable.add(self.kept.link)
        if switched:
            at = len(own) - 1
            readable |= self._pointers
            writable |= self._pointers
        scan = _Scan(self._readable, self._writable, readable, writable, switched)
        problems = self._steps(instruction, own[:at], own, scan, uses, definitions)
        if at < len(own):
            fixed = self._fixed(instruction)
            scan.read |= (uses & fixed) - scan.written
            if not switched:
                problems += self._call(instruction, own, at, scan, uses, definitions)
            scan.written |= definitions & fixed
            if not switched:
                lost = uses.difference(clobbers) if self.abi.turns_unused else uses.union(clobbers)
                scan.readable.difference_update(lost - self._pointers)
                scan.always = scan.always - (lost - self._pointers)
            scan.readable.update(definitions & fixed)
            problems += self._steps(instruction, own[at if switched else at + 1 :], own, scan, uses, definitions)
        problems += self._flags(instruction, own, scan, uses)
        if len(own) > 1 and not switched:
            problems += self._ways(instruction, own, at, frozenset(given), uses, definitions)
        elif order.only_reads(own[0].machine) and (own[0].machine.accesses or not self._may_trap(own[0])):
            problems.append(self._problem(IDLE, instruction, own[0], min(own[0].machine.reads), set(), own))
        elif len(own) == 1 and not clobbers:
            lacking = lone.unread(self.abi, self.allocation, instruction, own[0].machine)
            if lacking:
                rule = "a use's register is not read"
                problems.append(self._problem(rule, instruction, own[0], min(lacking), uses, own))
        if len(own) > 1:
            problems += self._baseless(instruction, own, uses)
        if scan.stores:
            self._note(instruction, own)
        if scan.framed:
            self.framed.append((instruction, own, self.shift))
        if self.shift:
            self._address(own)
        if at < len(own):
            self._window = len(self._stores)
        idle = self._pending
        if idle is not None and all(idle[1] not in machine.reads for _, machine in own):
            problems.append(self._problem(IDLE, instruction, idle[0], idle[1], uses, [idle[0], *own]))
        self._carry(own, scan)
        if loads:
            self._carried |= scan.written & {self.kept.link}
        if not uses <= scan.read or not definitions <= scan.written:
            problems += self._missing(instruction, own, uses - scan.read, definitions - scan.written, definitions)
        return problems

    def _steps(
        self,
        instruction: int,
        steps: Sequence[Placed],
        own: Sequence[Placed],
        scan: _Scan,
        uses: set[int],
        definitions: set[int],
    ) -> list[Problem]:
        """Some of the bytes, from the state of the scan on. What is read after a write is not the use any more."""
        problems: list[Problem] = []
        for placed in steps:
            machine = placed.machine
            reads, writes = machine.reads, machine.writes
            if not reads <= scan.readable and (bad := reads - scan.readable - scan.always - machine.merged):
                problems.append(
                    self._problem(
                        "an instruction reads a register that is none of its uses",
                        instruction,
                        placed,
                        min(bad),
                        uses,
                        own,
                    )
                )
            if not scan.switches and not reads.isdisjoint(self._pointers):
                scan.reached = True
                if bad := self._as_data(machine, uses):
                    rule = "a stack or frame pointer is read as data"
                    problems.append(self._problem(rule, instruction, placed, min(bad), uses, own))
                if machine.effect is not None and not machine.accesses:
                    self._point(instruction, placed)
            scan.framed = scan.framed or (scan.reached and bool(machine.accesses))
            if not writes <= scan.writable and (bad := writes - scan.writable - scan.freely):
                problems.append(
                    self._problem(
                        "an instruction writes a register that is not its own",
                        instruction,
                        placed,
                        min(bad),
                        definitions,
                        own,
                    )
                )
            for access in machine.accesses:
                if access.base == access.scaled == NONE:
                    problems.append(self._problem(BASELESS, instruction, placed, NONE, uses, own))
            if machine.target in (0, machine.size) and machine.flow == BRANCH and instruction not in self._lasts:
                problems.append(self._problem("a branch that leads nowhere", instruction, placed, NONE, uses, own))
            if machine.twice and (doubled := self._doubled(instruction, machine, uses - scan.written)):
                problems.append(
                    self._problem(
                        "a use is read by more fields than there are operands",
                        instruction,
                        placed,
                        min(doubled),
                        uses,
                        own,
                    )
                )
            scan.read |= reads - scan.written if scan.written else reads
            scan.written |= writes
            scan.readable.update(writes)
            scan.stores = scan.stores or MEMORY in writes
        return problems

    def _baseless(self, instruction: int, own: Sequence[Placed], uses: set[int]) -> list[Problem]:
        if not made(self.isa, own):
            return []
        alone = {place for place in uses if self._inputs_in(instruction, place) < 2}
        found = baseless(self.isa, own, alone)
        return [self._problem(BASELESS, instruction, *found, uses, own)] if found is not None else []

    def _inputs_in(self, instruction: int, place: int) -> int:
        """How many inputs are in a register."""
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        return sum(
            o.kind == USE and (o.value if p == NONE and o.constraint == FIXED else p) == place
            for o, p in zip(what.operands, places)
        )

    def _flags(self, instruction: int, own: Sequence[Placed], scan: _Scan, uses: set[int]) -> list[Problem]:
        """Flags are read right behind who writes them, except for moves, other readers and constants
        (`Abi.flags_wait`): the compilers emit the two together. Bytes that compare have their own."""
        reads = FLAGS in scan.read
        compares = reads and any(order.only_compares(m) and FLAGS not in m.reads for _, m in own)
        stale = reads and (compares or not self._fresh)
        stays = reads or (self.abi.flags_wait and not uses)
        self._fresh = FLAGS in scan.written or (stays and self._fresh)
        if not stale:
            return []
        placed = next(step for step in own if FLAGS in step.machine.reads)
        return [self._problem("flags are read that nothing wrote", instruction, placed, FLAGS, set(), own)]

    def _ways(
        self,
        instruction: int,
        own: Sequence[Placed],
        at: int,
        readable: frozenset[int],
        uses: set[int],
        definitions: set[int],
    ) -> list[Problem]:
        """What own bytes read and write in which order, on all ways through them. `at`: where they call."""
        steps: list[order.Step] = [(machine.reads, machine.writes) for _, machine in own]
        if at < len(own):
            fixed, clobbers = self._fixed(instruction), self.allocation.instructions[instruction].clobbers
            reads, writes = steps[at]
            made = frozenset().union(*(m.writes for _, m in own[:at]))  # results' registers may hold arguments
            given = uses & fixed | made & definitions & fixed | made.intersection(clobbers)
            steps[at] = reads | given, writes | definitions & fixed
        found = order.graph(own, self.calls.layout.traps, steps)
        problems = []
        shared = {p for p in uses if p < SLOT} - self._tied(instruction)
        wanted = self._needed(instruction, {p for p in definitions if p < SLOT})
        before = found if at == len(own) else order.graph(own[: at + 1], self.calls.layout.traps)
        seen = order.overwritten(before, shared, wanted)
        if seen is not None:
            problems.append(
                self._problem("a use is read after a write to its register", instruction, seen[0], seen[1], uses, own)
            )
        results = {p for p in definitions if p < SLOT}
        behind = wanted.union(self._unasked, self.kept.scratch if self._carries(instruction) else ())
        vain = order.idle(found, behind, results - wanted, self.calls.layout.may_trap, self.abi)
        if vain is not None:
            problems.append(self._problem(IDLE, instruction, vain[0], vain[1], definitions, own))
        if found.branches:
            problems += self._branching(instruction, found, readable | uses, definitions)
        return problems

    def _branching(
        self, instruction: int, found: order.Graph, given: frozenset[int], definitions: set[int]
    ) -> list[Problem]:
        """Own bytes with several ways: what is read or wanted is written on each."""
        own = found.own
        wanted = self._needed(instruction, {p for p in definitions if p < SLOT})
        lacking = order.unwritten(found, given, wanted - given)
        if lacking is None:
            return []
        number, place = lacking
        rule = "a register is read that not every way writes"
        if number == len(own):
            number, rule = 0, "a definition's register is not written"
        return [self._problem(rule, instruction, own[number], place, definitions, own)]

    def _may_trap(self, placed: Placed) -> bool:
        return self.calls.layout.may_trap(placed.offset, placed.machine.size)

    def _carries(self, instruction: int) -> bool:
        """Whether the next instruction may read what this one leaves in scratch registers."""
        return self.abi.carries_scratch and instruction not in self._lasts

    def _carry(self, own: Sequence[Placed], scan: _Scan) -> None:
        """What the next instruction may read in scratch registers: what nothing read after its last write, and then
        it must. Loops may leave any."""
        self._pending, self._carried = None, frozenset()
        if not self.abi.carries_scratch or self.kept.scratch.isdisjoint(scan.written):
            return
        if any(m.flow == BRANCH for _, m in own):
            self._carried = self.kept.scratch & scan.written
            return
        pending: dict[int, Placed] = {}
        for placed in own:
            for place in placed.machine.reads & pending.keys():
                del pending[place]
            pending.update(dict.fromkeys(placed.machine.writes & self.kept.scratch, placed))
        self._carried = frozenset(pending)
        self._pending = next(((placed, place) for place, placed in pending.items()), None)

    def _doubled(self, instruction: int, machine: Insn, inputs: set[int]) -> set[int]:
        """Inputs that several fields of one instruction read, though only one operand is there."""
        if machine.name in self.abi.doubling:
            return set()
        return {place for place in machine.twice & inputs if self._inputs_in(instruction, place) < 2}

    def _as_data(self, machine: Insn, uses: set[int]) -> frozenset[int]:
        """The pointers to the frame that are read for something else than an address: only bases of accesses, moves and
        additions read them."""
        if machine.effect is not None and not machine.accesses:
            return frozenset(p for p in machine.reads & self._pointers if not self._only_addresses(machine, p))
        bases = {access.base for access in machine.accesses if access.scaled not in self._pointers}
        pushes = machine.name in self.abi.pushing
        return frozenset() if pushes else machine.reads & self._pointers - bases - uses

    def _only_addresses(self, machine: Insn, pointer: int) -> bool:
        """Whether an instruction makes nothing of a pointer but sums with a constant or another register."""
        value = register(self.isa, pointer)
        writes = machine.effect.writes if machine.effect is not None else ()
        return all(made is value or (made.prim == "add" and value in made.args) for _, made in writes)

    def _point(self, instruction: int, placed: Placed) -> None:
        """Note what own bytes make a pointer to, in registers that somebody may read later."""
        for place, value in placed.machine.effect.writes if placed.machine.effect is not None else ():
            found = parts(value)
            if found is not None and place not in self._pointers | self.kept.scratch:
                self._pointers_made.append((instruction, placed, found, self.shift))

    def _call(
        self, instruction: int, own: Sequence[Placed], at: int, scan: _Scan, uses: set[int], definitions: set[int]
    ) -> list[Problem]:
        """A call among own bytes: it must be one that the allocator was told of, of the operand's register, and return
        behind itself. What its callee took away of the stack, the bytes after it may make up for."""
        placed = own[at]
        returning = placed.offset + placed.machine.size
        pushed = -self.shift if self.shift else None
        self.shift = 0
        problems = self._contexts(instruction, placed, own)
        scan.read.update(self.calls.context_uses(instruction))
        clobbers = self.allocation.instructions[instruction].clobbers
        missing = self.calls.required(instruction).difference(clobbers, definitions & self._fixed(instruction))
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
        operands, callees = self.allocation.instructions[instruction].operands, self._callees(instruction)
        free = [o for o in operands if o.kind == USE and o.constraint not in (FIXED, ANY)]
        if len(free) > (1 if placed.machine.reads & callees - scan.written else 0):
            rule = "an input of a call is in no register of its convention"
            problems.append(self._problem(rule, instruction, placed, min(callees), set(clobbers), own))
        link = {self.kept.link} - {NONE}
        through = placed.machine.reads - {self.kept.sp, *_SPECIAL}
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

    def _moved(self, behind: Sequence[Placed]) -> int:
        """How far down the bytes after a call move the stack pointer, to make up for what its callee took away; an odd
        number for anything else."""
        state = State(self.isa)
        for _, machine in behind:
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

    def _missing(
        self, instruction: int, own: Sequence[Placed], unread: set[int], unwritten: set[int], definitions: set[int]
    ) -> list[Problem]:
        """A use that a definition takes the place of is as good as read where a way leads round the write: then it is
        one of the results (conditional moves of vectors); and where a part of it is kept, if the two are
        tied."""
        tied = self._tied(instruction) if unread else set()
        unread = {p for p in unread if p not in tied or not any(p in m.kept for _, m in own)}
        problems = []
        for place in dict.fromkeys(self.allocation.places[instruction]):
            if place >= SLOT and (place in unread or place in unwritten):
                self._in_slots.append((instruction, place, place in unwritten, own, self.shift))
        registers = self._needed(instruction, {p for p in unwritten if p < SLOT}) if unwritten else unwritten
        if registers:
            problems.append(
                self._problem(
                    "a definition's register is not written", instruction, own[0], min(registers), registers, own
                )
            )
        found = order.graph(own, self.calls.layout.traps)
        registers = {p for p in unread if p < SLOT and not order.reads_input(found, p)}
        registers = {p for p in registers if p not in definitions or not order.survives(found, p)}
        if registers:
            problems.append(
                self._problem("a use's register is not read", instruction, own[0], min(registers), registers, own)
            )
        return problems

    def _tied(self, instruction: int) -> set[int]:
        """The places of inputs that a result takes the place of."""
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        return {places[o.value] for o in what.operands if o.constraint == REUSE}

    def _needed(self, instruction: int, places: set[int]) -> set[int]:
        """Those that define a value which something uses: temporaries may be left alone."""
        what, given = self.allocation.instructions[instruction], self.allocation.places[instruction]
        return {
            place
            for operand, place in zip(what.operands, given)
            if place in places and operand.kind != USE and operand.vreg in self._used
        }

    def _note(self, instruction: int, own: Sequence[Placed]) -> None:
        bases = (self.kept.sp, self.kept.frame, *self.kept.scratch)
        if any(access.written and access.base in bases for _, m in own for access in m.accesses):
            self._stores.append((instruction, own, self.shift))

    def _problem(
        self, rule: str, instruction: int, placed: Placed, place: int, expected: set[int], own: Sequence[Placed]
    ) -> Problem:
        names = ", ".join(show(p, self.isa) for p in sorted(expected)) or "none"
        return Problem(rule, instruction, placed.offset, place, names, show(place, self.isa), tuple(own))


def _call_in(own: Sequence[Placed]) -> int:
    """The number of the call among these bytes, or how many there are."""
    for number, placed in enumerate(own):
        if placed.machine.flow == CALL:
            return number
    return len(own)
