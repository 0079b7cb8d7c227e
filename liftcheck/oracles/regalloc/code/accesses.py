"""Whether an instruction's own bytes keep to the operands of the allocation.

The one idea: own bytes are examined instruction by instruction, in order. What is read must be the register of a use,
one that the backend reserves, or one that the same bytes wrote before; what is written must be the register of a
definition, a clobber, or scratch; every definition is written and every use is read. Loops and branches inside own
bytes are scanned as straight-line code. A call is assumed to read its uses and to write its definitions and clobbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from liftcheck.bits.term import Term
from liftcheck.isa.abi import free_for_all
from liftcheck.mach.insn import BRANCH, FLAGS, JUMP, MEMORY, Insn, register, show
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import parts
from liftcheck.oracles.regalloc.code import lone, order
from liftcheck.oracles.regalloc.code.bases import baseless, made
from liftcheck.oracles.regalloc.code.called import SPECIAL, Body, CallRules, Scan, call_in
from liftcheck.oracles.regalloc.code.calls import Calls, loads_link, switches
from liftcheck.oracles.regalloc.code.flags import Flags
from liftcheck.oracles.regalloc.code.framed import Access, framed
from liftcheck.oracles.regalloc.code.layout import Placed, traps
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import BEFORE, FIXED, Allocation

TOO_EARLY: Final = "a move overwrites an argument before it is taken"
STORES_OUTSIDE: Final = "an instruction stores into the frame outside of what is its own"
BASELESS: Final = "an address without a base"
ELSEWHERE: Final = "a loop of a conditional store does not begin with the load that it waits for"
IDLE: Final = "what an instruction's bytes make is not read"
INTO_SLOT: Final = "an instruction stores into a spill slot"
OVER_SAVED: Final = "an instruction stores over what the prologue saved"
OVERSTORED: Final = frozenset({INTO_SLOT, OVER_SAVED, STORES_OUTSIDE})
"""What a program that stores outside of its own memory does, too."""


class OwnRules(CallRules):
    """The rules about own bytes. Collects accesses to the frame for `frame_problems`."""

    def __init__(self, isa: str, allocation: Allocation, calls: Calls) -> None:
        super().__init__(isa, allocation, calls)
        kept = self.kept
        pinned = free_for_all(isa, allocation.environment.offered)
        self._readable: Final = frozenset(kept.readable | SPECIAL | pinned)
        self._writable: Final = frozenset(kept.scratch | SPECIAL | pinned)
        self._unasked: Final = (self._writable - kept.scratch) | self._pointers | {kept.link}
        """Registers that own bytes may leave without a known reader."""
        carried = kept.scratch if self.abi.carries_scratch else frozenset()
        self._free: Final = lone.Free(self._readable, self._writable, self._pointers, kept.scratch, carried)
        self._lasts: Final = {block.end - 1: len(block.successors) for block in allocation.blocks}
        self.flags: Final = Flags(self.abi, self._lasts)
        self.unborn: Final[dict[int, int]] = {}
        """Virtual registers that nothing defines -> the instruction that has no bytes."""
        self._carried: frozenset[int] = frozenset()
        """Scratch registers written since the block's start by own bytes, not by moves: see `Abi.carries_scratch`."""
        self._pending: tuple[Placed, int] | None = None
        """What was written to a scratch register and is still to be read, by the next instruction."""
        self._in_slots: Final[list[tuple[int, int, bool, Sequence[Placed], int]]] = []
        self.framed: Final[list[tuple[int, Sequence[Placed], int]]] = []
        """Instructions that access memory by the stack or frame pointer."""
        self._framed: Final[dict[tuple[int, int], Sequence[Access]]] = {}
        self._pointers_made: Final[list[tuple[int, Placed, tuple[Term, int], int]]] = []

    def enter_block(self) -> None:
        """Nothing is carried over from another block."""
        self._carried = frozenset()
        self._pending = None
        self.flags.enter_block()
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
        uses, definitions = self.operands.places(instruction)
        found = self.flags.unread(instruction, own, bool(definitions or what.clobbers))
        unread = [self._problem(IDLE, at, placed, FLAGS, set(), [placed]) for at, placed in found]
        if what.is_return and not traps(own):
            return unread
        if not own:
            return [*unread, *self._empty(instruction, uses, definitions)]
        if len(own) == 1 and not what.clobbers and self._plain(instruction, own[0].machine, uses, definitions):
            return unread
        return [*unread, *self._scan(instruction, own, uses, definitions)]

    def _empty(self, instruction: int, uses: set[int], definitions: set[int]) -> list[Problem]:
        """What has no bytes must need none. The entry's arguments are in place already; a branch vanishes if it falls
        through on every path (`jumps`); an uninitialized value has no definition, and its uses are checked instead
        (`unborn`). A copy in place would need none either, but compilers leave copies to the allocator."""
        what = self.allocation.instructions[instruction]
        if not uses:
            if not instruction and (problem := self._too_early(definitions)) is not None:
                return [problem]
            if instruction or any(o.constraint != FIXED for o in what.operands):
                self.unborn.update({o.vreg: instruction for o in what.operands if o.vreg in self.operands.used})
            return []
        if (what.is_branch and not definitions) or self.operands.same_either_way(instruction, definitions):
            return []
        offset, place = self.allocation.offsets[instruction] or 0, min(definitions - uses or uses)
        rule = "an instruction with a result has no bytes" if definitions else "an instruction with inputs has no bytes"
        return [Problem(rule, instruction, offset, place, show(place, self.isa), "nothing")]

    def _too_early(self, arguments: set[int]) -> Problem | None:
        """A move of the entry's that writes an argument's register: arguments are live before the first move, wherever
        the allocation has them defined."""
        for edit in self.allocation.edits:
            if edit.instruction == 0 and edit.where == BEFORE and edit.target in arguments:
                shown = f"{show(edit.source, self.isa)} -> {show(edit.target, self.isa)}"
                return Problem(TOO_EARLY, 0, self.allocation.offsets[0] or 0, edit.target, "no move before it", shown)
        return None

    def _plain(self, instruction: int, machine: Insn, uses: set[int], definitions: set[int]) -> bool:
        """Whether a lone instruction needs no scan (`lone`); if so, the state for the next one is updated."""
        if self.shift or self._pending is not None or not lone.plain(machine, uses, definitions, self._free):
            return False
        if lone.unread(self.abi, self.allocation, instruction, machine):
            return False
        self._carried = frozenset()
        self.flags.plain(machine, bool(uses))
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
        at = call_in(own)
        switched = bool(clobbers) and own[-1].machine.flow == JUMP and switches(self.isa, own)
        if at < len(own):
            writable.add(self.kept.link)
        if switched:
            at = len(own) - 1
            readable |= self._pointers
            writable |= self._pointers
        scan = Scan(self._readable, self._writable, readable, writable, switched)
        problems = self._steps(instruction, own[:at], own, scan, uses, definitions)
        if at < len(own):
            fixed = self.operands.fixed(instruction)
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
        if (stale := self.flags.stale(own, scan.read, scan.written, bool(uses))) is not None:
            problems.append(self._problem("flags are read that nothing wrote", instruction, stale, FLAGS, set(), own))
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
        scan: Scan,
        uses: set[int],
        definitions: set[int],
    ) -> list[Problem]:
        """Scans some of the bytes. A read after a write to the register no longer reads the use."""
        problems: list[Problem] = []
        for placed in steps:
            machine = placed.machine
            reads, writes = machine.reads, machine.writes
            if not reads <= scan.readable and (bad := reads - scan.readable - scan.always - machine.merged):
                problems.append(
                    self._problem(
                        "an instruction reads a register that is not one of its uses",
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
            if machine.twice and (doubled := self.operands.doubled(instruction, machine, uses - scan.written)):
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
        alone = {place for place in uses if self.operands.inputs_in(instruction, place) < 2}
        found = baseless(self.isa, own, alone)
        return [self._problem(BASELESS, instruction, *found, uses, own)] if found is not None else []

    def _ways(
        self,
        instruction: int,
        own: Sequence[Placed],
        at: int,
        readable: frozenset[int],
        uses: set[int],
        definitions: set[int],
    ) -> list[Problem]:
        """The order of reads and writes on every path through own bytes. `at`: the number of the call among them."""
        steps: list[order.Step] = [(machine.reads, machine.writes) for _, machine in own]
        if at < len(own):
            fixed, clobbers = self.operands.fixed(instruction), self.allocation.instructions[instruction].clobbers
            reads, writes = steps[at]
            made = frozenset().union(*(m.writes for _, m in own[:at]))  # results' registers may hold arguments
            given = uses & fixed | made & definitions & fixed | made.intersection(clobbers)
            steps[at] = reads | given, writes | definitions & fixed
        found = order.graph(own, self.calls.layout.traps, steps)
        problems = []
        shared = {p for p in uses if p < SLOT} - self.operands.tied(instruction)
        wanted = self.operands.needed(instruction, {p for p in definitions if p < SLOT})
        before = found if at == len(own) else order.graph(own[: at + 1], self.calls.layout.traps)
        seen = order.overwritten(before, shared, wanted)
        if seen is not None:
            problems.append(
                self._problem("a use is read after a write to its register", instruction, seen[0], seen[1], uses, own)
            )
        results = {p for p in definitions if p < SLOT}
        live_out = wanted.union(self._unasked, self.kept.scratch if self._carries(instruction) else ())
        vain = order.idle(found, live_out, results - wanted, self.calls.layout.may_trap, self.abi)
        if vain is not None:
            problems.append(self._problem(IDLE, instruction, vain[0], vain[1], definitions, own))
        if found.branches:
            problems += self._branching(instruction, found, readable | uses, definitions)
        return problems

    def _branching(
        self, instruction: int, found: order.Graph, given: frozenset[int], definitions: set[int]
    ) -> list[Problem]:
        """Own bytes with several paths: what is read, and each definition, is written on every one of them."""
        own = found.own
        wanted = self.operands.needed(instruction, {p for p in definitions if p < SLOT})
        aside = order.retries_elsewhere(found, self.abi)
        if aside is not None:
            return [self._problem(ELSEWHERE, instruction, aside, NONE, definitions, own)]
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
        """Whether scratch registers may carry values from this instruction to the next."""
        return self.abi.carries_scratch and instruction not in self._lasts

    def _carry(self, own: Sequence[Placed], scan: Scan) -> None:
        """The scratch registers that carry values to the next instruction: those that nothing read after their last
        write; the next one must read them. After a loop it may be any that was written."""
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

    def _as_data(self, machine: Insn, uses: set[int]) -> frozenset[int]:
        """The pointers to the frame that are read as data: they may be read only as bases of accesses, by moves and by
        additions."""
        if machine.effect is not None and not machine.accesses:
            return frozenset(p for p in machine.reads & self._pointers if not self._only_addresses(machine, p))
        bases = {access.base for access in machine.accesses if access.scaled not in self._pointers} - machine.twice
        pushes = machine.name in self.abi.pushing
        return frozenset() if pushes else machine.reads & self._pointers - bases - uses

    def _only_addresses(self, machine: Insn, pointer: int) -> bool:
        """Whether an instruction only copies a pointer or adds a constant or another register to it."""
        value = register(self.isa, pointer)
        writes = machine.effect.writes if machine.effect is not None else ()
        return all(made is value or (made.prim == "add" and value in made.args) for _, made in writes)

    def _point(self, instruction: int, placed: Placed) -> None:
        """Notes the addresses in the frame that own bytes leave in registers which may be read later."""
        for place, value in placed.machine.effect.writes if placed.machine.effect is not None else ():
            found = parts(value)
            if found is not None and place not in self._pointers | self.kept.scratch:
                self._pointers_made.append((instruction, placed, found, self.shift))

    def _missing(
        self, instruction: int, own: Sequence[Placed], unread: set[int], unwritten: set[int], definitions: set[int]
    ) -> list[Problem]:
        """Uses that are not read, definitions that are not written. A use in the register of a definition counts as
        read if some path avoids the write: its value is then a possible result (conditional moves of vectors); so
        does a use that is tied to the definition if the write keeps a part of the register."""
        tied = self.operands.tied(instruction) if unread else set()
        unread = {p for p in unread if p not in tied or not any(p in m.kept for _, m in own)}
        problems = []
        for place in dict.fromkeys(self.allocation.places[instruction]):
            if place >= SLOT and (place in unread or place in unwritten):
                self._in_slots.append((instruction, place, place in unwritten, own, self.shift))
        registers = self.operands.needed(instruction, {p for p in unwritten if p < SLOT}) if unwritten else unwritten
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

    def _note(self, instruction: int, own: Sequence[Placed]) -> None:
        bases = (self.kept.sp, self.kept.frame, *self.kept.scratch)
        if any(access.written and access.base in bases for _, m in own for access in m.accesses):
            self._stores.append((instruction, own, self.shift))
