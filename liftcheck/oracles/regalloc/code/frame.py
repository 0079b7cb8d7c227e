"""The frame: what the prologue saves is what every exit gives back, and spill slots keep clear of everything else.

The one idea: execute the prologue from a state where every register is its own variable, forget what the body may
write, execute each exit's bytes from there, and compare: callee-saved registers must be their variables again, at the
width that the convention owes; the stack pointer must be back, and control must go to where the entry's return address
says. What an exit loads is what the body must not touch; spill slots must not overlap that, nor each other, nor
explicit slots.

A call is taken to preserve the halves of vector registers that its convention preserves, although the allocator counts
the whole register as clobbered (it cannot speak of halves), unless the call clobbers callee-saved integers as well.
Loops that probe the stack are executed: everything in one is a constant or at a known distance from the stack pointer,
so each branch can be decided (`Isa.stack_probe`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from liftcheck.bits.term import Term, var
from liftcheck.isa.abi import Abi, Owed, Reserved, abi_named, free_for_all, owed, reserved
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import BRANCH, CALL, JUMP, MEMORY, PC, RETURN, TRAP, WIDTHS, Insn, decode, register, show
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import Opaque, State, describe, parts, sliced
from liftcheck.oracles.regalloc.code.accesses import Body, loads_link
from liftcheck.oracles.regalloc.code.calls import Calls, offset_of
from liftcheck.oracles.regalloc.code.layout import Placed, traps
from liftcheck.oracles.regalloc.code.moves import Slots
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import FIXED, USE, Allocation, Instruction

MOST_STEPS: Final = 20_000
"""Instructions of a prologue that are executed (four or five a page of the frame)."""
Unwound = Mapping[int, frozenset[int]]
"""Calls that end a block -> the blocks behind their handlers."""

NOT_RESTORED: Final = "a callee-saved register is not restored"
ARGUMENT_LOST: Final = "the prologue changes an argument's register"
RESULT_LOST: Final = "an exit changes a result's register"
OF_A_REGISTER: Final = frozenset({NOT_RESTORED, ARGUMENT_LOST, RESULT_LOST})
"""Rules about a register that the convention fixes, not the allocation: it tells one fault from another."""


class Checked(NamedTuple):
    """What was found wrong, what was not decided, and what the rest of the check needs to know of the body. `size`: the
    distance from the body's stack pointer to the entry's, if known; `popped`: how many bytes of arguments returns take
    away, None if nothing returns."""

    problems: list[Problem]
    doubts: list[str]
    body: Body
    size: int | None = None
    popped: int | None = 0
    by_z3: int = 0


class _Doubt(Exception):
    """Names what is not executed; never leaves this module."""


def check(
    isa: str,
    allocation: Allocation,
    own: Mapping[int, Sequence[Placed]],
    calls: Calls,
    unwound: Unwound,
    z3_only: bool = False,
) -> Checked:
    """Prologue, exits, slots. `unwound`: see `jumps.unwound`. `z3_only`: z3 decides whether a register is
    restored, also where normal forms do."""
    convention = str(allocation.frame.get("convention", ""))
    promised = owed(isa, convention)
    if promised is None:
        return Checked([], [f"convention {convention} is in no table"], Body(None, {}))
    frame = _Frame(isa, allocation, promised, own, calls, unwound, z3_only)
    try:
        frame.enter()
    except _Doubt as doubt:
        return Checked([], [str(doubt)], Body(None, {}))
    problems = list(frame.entered())
    doubts: list[str] = []
    for block, row in enumerate(allocation.blocks):
        instruction = row.end - 1
        if allocation.instructions[instruction].is_return and instruction in own and not traps(own[instruction]):
            try:
                problems.extend(frame.left(block, instruction))
            except _Doubt as doubt:
                doubts.append(str(doubt))
    problems.extend(frame.above())
    body = Body(frame.frame_pointer(), frame.saved)
    problems.extend(dict.fromkeys(frame.skipped))
    return Checked(problems, doubts, body, frame.size, frame.popped, frame.by_z3)


@cache
def _probes(isa: str) -> Callable[[State, Insn, Insn], bool | None]:
    """Whether a branch is taken, from the state before it and the instruction before it; it may count a register."""
    decide: Callable[[State, Insn, Insn], bool | None] = isa_named(isa).part(isa_named(isa).stack_probe)
    return decide


class _Frame:
    """The execution of one function's prologue and exits. Distances in `saved` are from the body's stack pointer."""

    def __init__(
        self,
        isa: str,
        allocation: Allocation,
        promised: Owed,
        own: Mapping[int, Sequence[Placed]],
        calls: Calls,
        unwound: Unwound,
        z3_only: bool,
    ) -> None:
        self.z3_only: Final = z3_only
        self.by_z3 = 0
        self.isa: Final = isa
        self.abi: Final[Abi] = abi_named(isa)
        self.allocation: Final = allocation
        self.own: Final = own
        self.kept: Final[Reserved] = reserved(isa)
        self.promised: Final = promised
        self.owed: Final = _still_owed(isa, allocation, promised, self.kept)
        self.entry: Final = State(isa)
        self.saved: Final[dict[int, str]] = {}
        self.size = 0
        self.popped: int | None = None
        self.calls: Final = calls
        self.skipped: Final[list[Problem]] = []
        self.unwound: Final = unwound
        self.written: Final[frozenset[int]] = _written_by(isa, allocation, self.owed, self.kept, own, unwound)

    def enter(self) -> None:
        """Execute the prologue."""
        self._walk(self.own.get(-1, ()))
        found = parts(self.entry.value(self.kept.sp))
        if found is None or found[0] is not self.entry.base:
            raise _Doubt("the prologue leaves the stack pointer at an unknown place")
        self.size = -found[1]

    def _walk(self, code: Sequence[Placed]) -> None:
        """Loops are run to their end; a forward branch that is not decided is not taken: it leads to a trap, or round
        one."""
        numbers = {offset: number for number, (offset, _) in enumerate(code)}
        number = steps = 0
        while number < len(code):
            offset, machine = code[number]
            steps += 1
            if steps > MOST_STEPS:
                raise _Doubt("the prologue has a long loop")
            goal = offset + machine.target if machine.target is not None else -1
            follows = machine.flow == JUMP
            known = False
            if machine.flow == BRANCH:
                before = code[number - 1].machine if number else None
                decided = None if before is None else _probes(self.isa)(self.entry, before, machine)
                if decided is None and goal <= offset:
                    raise _Doubt("the prologue has a loop")
                follows, known = bool(decided), decided is not None
            if follows:
                if goal not in numbers and goal != code[-1].offset + code[-1].machine.size:
                    raise _Doubt("the prologue has a jump")
                number = numbers.get(goal, len(code))
                continue
            if machine.flow != BRANCH or (goal > offset and not known):
                self._step(self.entry, offset, machine, "the prologue")
            number += 1

    def entered(self) -> Iterator[Problem]:
        """What must hold in the body: arguments are in their registers, the frame pointer is the caller's, or points to
        where that one is saved."""
        own = self.own.get(-1, ())
        if self.size < 0:
            yield self._problem(
                "the prologue leaves the stack pointer above the caller's",
                NONE,
                own,
                self.kept.sp,
                "no higher than on entry",
                f"{-self.size} above it",
            )
        for operand in self.allocation.instructions[0].operands if self.allocation.instructions else ():
            place = operand.value
            if operand.kind != USE and operand.constraint == FIXED and place not in self.kept.scratch:
                value = self.entry.value(place)
                if value is not register(self.isa, place):
                    yield self._problem(
                        ARGUMENT_LOST, NONE, own, place, f"{show(place, self.isa)} as on entry", describe(value)
                    )
        if self.kept.frame >= 0 and not self._chained():
            yield self._problem(
                "the frame pointer does not point to the saved one",
                NONE,
                own,
                self.kept.frame,
                "the caller's, or a frame",
                describe(self.entry.value(self.kept.frame)),
            )

        stated = self.allocation.frame.get("frame_to_fp_offset")
        distance = self.frame_pointer()
        if distance is not None and isinstance(stated, int) and distance != stated:
            yield self._problem(
                "the frame has another size than the compiler says",
                NONE,
                own,
                self.kept.sp,
                f"{stated} bytes below the frame pointer",
                str(distance),
            )

    def above(self) -> Iterator[Problem]:
        """The prologue stores nothing into the caller's frame. s390x's register save area is the callee's; a `tail`
        function's arguments are, too: as many bytes as its returns take away, if it has any."""
        source = self.calls.source
        if self.promised.pops and self.popped is None and not (source is not None and source.few):
            return
        room = self.abi.callee_area + (self.popped or 0)
        for offset, size, stored in self.entry.touched:
            if stored and (offset + size > room or 0 <= offset < 16):  # there is the back chain, or a return address
                yield self._problem(
                    "the prologue stores into the caller's frame",
                    NONE,
                    self.own.get(-1, ()),
                    NONE,
                    f"at most {room} bytes above the entry's stack pointer",
                    f"{size} bytes at {offset}",
                )
                return

    def _chained(self) -> bool:
        value, wanted = self.entry.value(self.kept.frame), register(self.isa, self.kept.frame)
        found = parts(value)
        if value is wanted:
            return wanted not in self.entry.memory.values()  # who saves it makes a frame
        if found is None or found[0] is not self.entry.base:
            return False
        return self.entry.word(found[1]) is wanted

    def _step(self, state: State, offset: int, machine: Insn, where: str) -> None:
        if machine.flow == BRANCH:
            if machine.target is None or machine.target < 0:
                raise _Doubt(f"{where} has a loop")
            self._skipped(offset, machine, where)
            return
        placed = Placed(offset, machine)
        if machine.flow == TRAP:
            if not self.calls.layout.traps(offset):
                self.skipped.append(
                    Problem(
                        f"{where} ends in a trap that the program has not",
                        NONE,
                        offset,
                        NONE,
                        "a trap of its table",
                        machine.text,
                        (placed,),
                    )
                )
            return
        if machine.flow == CALL and (state is not self.entry or not self.calls.relocated(placed)):
            self.skipped.append(
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
                    raise _Doubt(f"{where} stores outside of the frame") from None
                self._foreign(state, placed, where)
        elif any(access.base != PC for access in machine.accesses):
            self._foreign(state, placed, where)
        if MEMORY in machine.writes and machine.flow != CALL:
            raise _Doubt(f"{where} stores in a way that has no meaning here: {machine.name}")
        for place in machine.writes:
            if place == self.kept.sp and machine.flow != CALL:
                raise _Doubt(f"{where} moves the stack pointer in a way that has no meaning here: {machine.name}")
            if 0 <= place < SLOT and place != self.kept.sp:
                state.registers[place] = var(f"{show(place, self.isa)} after {offset:#x}", WIDTHS[self.isa][place >> 6])

    def _foreign(self, state: State, placed: Placed, where: str) -> None:
        """Exits read the frame alone; a prologue may look for its stack's limit elsewhere."""
        if state is not self.entry:
            self.skipped.append(
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
        if self.calls.layout.traps(goal):
            return
        if not between < goal <= len(code) or any(m.flow != TRAP for m in decode(self.isa, code, between, goal)):
            self.skipped.append(
                Problem(
                    f"{where} has a branch round something",
                    NONE,
                    offset,
                    NONE,
                    "a trap",
                    f"{goal:#x}",
                    (Placed(offset, machine),),
                )
            )

    def frame_pointer(self) -> int | None:
        """Its distance from the body's stack pointer."""
        if self.kept.frame < 0:
            return None
        found = parts(self.entry.value(self.kept.frame))
        return None if found is None or found[0] is not self.entry.base else found[1] + self.size

    def left(self, block: int, instruction: int) -> list[Problem]:
        """What is wrong with an exit, whichever of their possible conventions the calls before it have; _Doubt if that
        depends on it."""
        always, sometimes = self._lost(block)
        problems = self.leave(instruction, always | sometimes)
        if problems and sometimes and not self.leave(instruction, always):
            raise _Doubt("which of the function's conventions a call has is not known")
        return problems

    def _lost(self, block: int) -> tuple[frozenset[int], frozenset[int]]:
        """What the calls that end blocks lose on the ways to this one: in any case, and if they have one convention of
        several."""
        always: frozenset[int] = frozenset()
        sometimes: frozenset[int] = frozenset()
        for instruction, blocks in self.unwound.items():
            lost = self.calls.lost(instruction, self.owed, block in blocks)
            if not lost:
                always |= _clobbered(self.isa, self.allocation.instructions[instruction], self.owed, self.kept)
            else:
                always |= lost[0].intersection(*lost)
                sometimes |= lost[0].union(*lost)
        return always, sometimes - always

    def _body_end(self, lost: frozenset[int]) -> State:
        """The state before an exit: what the body may write is unknown."""
        state = State(self.isa)
        state.registers = dict(self.entry.registers)
        state.memory = dict(self.entry.memory)
        for place in self.written.union(_registers(self.isa, lost, self.kept)):
            state.registers[place] = var(f"{show(place, self.isa)} at the end", WIDTHS[self.isa][place >> 6])
        return state

    def leave(self, instruction: int, lost: frozenset[int]) -> list[Problem]:
        """Execute an exit's bytes and compare. `lost`: what calls that may have handlers lose besides. Results are the
        uses in fixed registers: another one is the address that a tail call jumps to, which may be moved away before
        its register is restored."""
        own = self.own[instruction]
        state = self._body_end(lost)
        results = self._results(instruction)
        before = {place: state.value(place) for place in results}
        place = self.calls.tail_callee(instruction)
        callee = None if place == NONE else state.value(place)
        end, through = -1, set[Term]()
        for at, (offset, machine) in enumerate(own):
            if machine.flow in (RETURN, JUMP):
                end = at
                through = {state.value(place) for place in machine.reads if 0 <= place < SLOT}
                if machine.effect is not None:
                    self._step(state, offset, machine, "an exit")
                break
            self._step(state, offset, machine, "an exit")
        if end < 0:
            return [self._problem("an exit does not end in a return or a jump", instruction, own, NONE, "", "")]
        returns = own[end].machine.flow == RETURN
        problems = [
            *self._registers(state, instruction, own),
            *self._stack(state, instruction, own, returns),
            *self._way(instruction, own, own[end], through, callee),
        ]
        mine: set[int] = set()
        for offset, size, stored in state.touched:
            words = set(range(offset - offset % 8, offset + size, 8))
            mine |= words if stored else set()
            for at in words - mine:
                self.saved[at + self.size] = f"what an exit loads from sp + {at + self.size}"
        for place, value in before.items():
            if state.value(place) is not value:
                problems.append(
                    self._problem(RESULT_LOST, instruction, own, place, describe(value), describe(state.value(place)))
                )
        return problems

    def _way(
        self, instruction: int, own: Sequence[Placed], last: Placed, through: set[Term], callee: Term | None
    ) -> Iterator[Problem]:
        """An exit returns; a tail call jumps, to its symbol or through the register that its operand is in."""
        symbols = self.calls.symbols_of(instruction)
        if callee is None and not symbols:
            if last.machine.flow != RETURN:
                yield self._problem("an exit leaves by a jump", instruction, own, NONE, "a return", last.machine.text)
        elif last.machine.flow == RETURN:
            yield self._problem("a tail call returns", instruction, own, NONE, "a jump", last.machine.text)
        elif symbols and not self.calls.relocated(last):
            yield self._problem("a tail call jumps elsewhere", instruction, own, NONE, symbols[0], last.machine.text)
        elif not symbols and (callee not in through or offset_of(self.isa, last.machine) != 0):
            yield self._problem(
                "a tail call jumps through a register that is not its operand's",
                instruction,
                own,
                NONE,
                describe(callee) if callee is not None else "",
                last.machine.text,
            )

    def _results(self, instruction: int) -> set[int]:
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        found = {
            o.value if place == NONE and o.constraint == FIXED else place
            for o, place in zip(what.operands, places)
            if o.kind == USE and o.constraint == FIXED
        }
        return {place for place in found if 0 <= place < SLOT}

    def _registers(self, state: State, instruction: int, own: Sequence[Placed]) -> Iterator[Problem]:
        for place, bits in self.owed.items():
            low = self.promised.low if place >= 64 and bits < WIDTHS[self.isa][place >> 6] else 0
            value, wanted = state.value(place), register(self.isa, place)
            if value is wanted and not self.z3_only:
                continue
            if not self._equal(sliced(value, low, bits), sliced(wanted, low, bits)):
                yield self._problem(
                    NOT_RESTORED,
                    instruction,
                    own,
                    place,
                    f"{show(place, self.isa)} as on entry, {bits} bits of it",
                    describe(value),
                )

    def _equal(self, a: Term, b: Term) -> bool:
        """Normal forms first; z3 where they differ, or always."""
        if a is b and not self.z3_only:
            return True
        from liftcheck.oracles.regalloc.code import equal_smt as smt

        self.by_z3 += 1
        return smt.equal(a, b)

    def _stack(self, state: State, instruction: int, own: Sequence[Placed], returns: bool) -> Iterator[Problem]:
        """Stack pointer and return address."""
        found = parts(state.value(self.kept.sp))
        pushed = 8 if self.kept.link < 0 else 0
        distance = None if found is None or found[0] is not state.base else found[1] - (pushed if returns else 0)
        if returns:
            self.popped = max(self.popped or 0, distance or 0)
        # How many bytes of arguments a callee takes away, the compiler does not say: any whole number of units.
        pops = self.promised.pops and not (returns and self.calls.source is not None and self.calls.source.few)
        popped = pops and distance is not None and (distance >= 0 or not returns) and not distance % self.abi.stack_unit
        if distance != 0 and not popped:
            yield self._problem(
                "an exit does not give the stack pointer back",
                instruction,
                own,
                self.kept.sp,
                f"{pushed if returns else 0} above the entry's",
                describe(state.value(self.kept.sp)),
            )
        wanted: Term = self.entry_return()
        if returns:
            address = state.registers.get(PC)
        elif pushed:
            address = None if distance is None else state.load(distance, 8)
        else:
            address = state.value(self.kept.link)
        if address is not wanted:
            yield self._problem(
                "an exit does not return to the caller",
                instruction,
                own,
                self.kept.link,
                describe(wanted),
                describe(address) if address is not None else "?",
            )

    def entry_return(self) -> Term:
        """The return address on entry."""
        if self.kept.link < 0:
            return State(self.isa).load(0, 8)
        return register(self.isa, self.kept.link)

    def _problem(
        self, rule: str, instruction: int, own: Sequence[Placed], place: int, expected: str, found: str
    ) -> Problem:
        return Problem(rule, instruction, own[0].offset if own else 0, place, expected, found, tuple(own))


def _still_owed(isa: str, allocation: Allocation, promised: Owed, kept: Reserved) -> dict[int, int]:
    """Without the stack pointer and the link register, which have rules of their own, without scratch registers (a
    linker's veneers may write them: no convention keeps them), and without a pinned register, which the environment
    does not offer."""
    gone = {kept.sp, kept.link, *kept.scratch, *free_for_all(isa, allocation.environment.offered)}
    return {place: bits for place, bits in promised.bits.items() if place not in gone}


def _written_by(
    isa: str,
    allocation: Allocation,
    promised: Mapping[int, int],
    kept: Reserved,
    own: Mapping[int, Sequence[Placed]],
    unwound: Unwound,
) -> frozenset[int]:
    """Registers that hold something else after the body than after the prologue, but for what calls that may have
    handlers lose."""
    found: set[int] = set(kept.scratch)
    for edit in allocation.edits:
        found.add(edit.target)
    for number, (what, places) in enumerate(zip(allocation.instructions, allocation.places)):
        for operand, place in zip(what.operands, places):
            if operand.kind != USE:
                found.add(operand.value if place == NONE and operand.constraint == FIXED else place)
        if what.clobbers:
            found |= {kept.link} if number in unwound else _clobbered(isa, what, promised, kept) | {kept.link}
    for instruction, placed in own.items():
        loads = instruction >= 0 and loads_link(allocation, instruction, kept)
        if loads and any(kept.link in machine.writes for _, machine in placed):
            found.add(kept.link)
    return _registers(isa, found, kept)


def _clobbered(isa: str, what: Instruction, promised: Mapping[int, int], kept: Reserved) -> frozenset[int]:
    """What a call of an unknown convention loses: see the module for halves."""
    halves = {p for p, bits in promised.items() if bits < WIDTHS[isa][p >> 6]} | abi_named(isa).overstated
    whole = any(p < 64 and p != kept.frame and p in promised for p in what.clobbers)
    return frozenset(what.clobbers) if whole else frozenset(what.clobbers) - halves


def _registers(isa: str, places: Iterable[int], kept: Reserved) -> frozenset[int]:
    """Those of them that are registers. The stack pointer is none, though the clobbers of s390x's calls with handlers
    name it: an unwinder that enters a handler gives it back."""
    return frozenset(p for p in places if 0 <= p < SLOT and p != kept.sp and WIDTHS[isa][p >> 6])


# Spill slots.


def slot_problems(isa: str, allocation: Allocation, slots: Slots, checked: Checked, floor: int) -> Iterator[Problem]:
    """All that lies in the frame keeps clear of all else in it, and inside of it. `floor`: the end of what callees may
    write. To be asked when all slots are known."""
    if checked.size is None:
        return
    if not checked.problems:  # an exit that loads the wrong words is named for what it does
        yield from _saved_problems(isa, allocation, checked, floor)
    taken: dict[int, int] = {}
    kept_slots, body = explicit(allocation), checked.body
    for place, offset in sorted(slots.offsets.items()):
        size = slots.sizes[place]
        if offset < floor or offset + size > checked.size:
            yield _slot_problem("a spill slot lies outside of the frame", place, offset, f"[{floor}, {checked.size})")
        for at in range(offset, offset + size):
            other = taken.setdefault(at, place)
            if other != place:
                yield _slot_problem("two spill slots overlap", place, offset, show(other, isa))
                break
        for at in range(offset - offset % 8, offset + size, 8):
            if at in body.saved:
                yield _slot_problem("a spill slot overlaps what the prologue saved", place, offset, body.saved[at])
                break
        for low, high in kept_slots:
            if low < offset + size and offset < high:
                yield _slot_problem("a spill slot overlaps a stack slot", place, offset, f"[{low}, {high})")


def _saved_problems(isa: str, allocation: Allocation, checked: Checked, floor: int) -> Iterator[Problem]:
    """Where words lie that an exit loads: not where callees write, not below the stack pointer, in a stack slot, nor
    in the caller's frame, but for the return address, s390x's register save area, and arguments taken away."""
    area, top = abi_named(isa).callee_area, checked.size or 0
    if area:  # nobody says how many bytes of arguments lie below the save area of what never returns
        top += area + (1 << 32 if checked.popped is None else checked.popped)
    elif reserved(isa).link < 0:
        top += 8
    kept_slots = explicit(allocation)
    for at, what in sorted(checked.body.saved.items()):
        inside = [(low, high) for low, high in kept_slots if low < at + 8 and at < high]
        if at < floor:
            yield Problem("a saved word lies where callees write", NONE, 0, NONE, f"at sp + {floor} or above", what)
        elif at + 8 > top:
            yield Problem("a saved word lies in the caller's frame", NONE, 0, NONE, f"below sp + {top}", what)
        elif inside:
            low, high = inside[0]
            yield Problem("a saved word lies in a stack slot", NONE, 0, NONE, f"clear of [{low}, {high})", what)


def explicit(allocation: Allocation) -> list[tuple[int, int]]:
    """Where stack slots begin and end, as distances from the body's stack pointer."""
    offsets, sizes = allocation.frame.get("slots", ()), allocation.frame.get("slot_sizes", ())
    if not isinstance(offsets, (list, tuple)):
        return []
    widths = list(sizes) if isinstance(sizes, (list, tuple)) else []
    return [(o, o + (widths[i] if i < len(widths) else 1)) for i, o in enumerate(offsets) if isinstance(o, int)]


def _slot_problem(rule: str, place: int, offset: int, other: str) -> Problem:
    return Problem(rule, NONE, 0, place, f"clear of {other}", f"sp + {offset}")
