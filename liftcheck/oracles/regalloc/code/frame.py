"""The frame: what the prologue saves is what every exit gives back, and spill slots keep clear of everything else.

The one idea: execute the prologue from a state where every register is its own variable, forget what the body may
write, execute each exit's bytes from there, and compare: callee-saved registers must be their variables again, at the
width that the convention owes; the stack pointer must be back, and control must go to where the entry's return address
says. What an exit loads is what the body must not touch. The frame has the size that the compiler says, and where the
ISA keeps a chain of frames, the link to the caller's.

A call is taken to preserve the halves of vector registers that its convention preserves, although the allocator counts
the whole register as clobbered (it cannot speak of halves), unless the call clobbers callee-saved integers as well.
Where spill slots lie is `slots`' to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from liftcheck.bits.term import Term, var
from liftcheck.isa.abi import Abi, Owed, Reserved, abi_named, free_for_all, owed, reserved
from liftcheck.mach.insn import JUMP, PC, RETURN, WIDTHS, address, register, show
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import State, describe, parts, sliced
from liftcheck.oracles.regalloc.code.called import Body
from liftcheck.oracles.regalloc.code.calls import Calls, offset_of
from liftcheck.oracles.regalloc.code.executed import Doubt, Execution
from liftcheck.oracles.regalloc.code.layout import Placed, traps
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import FIXED, USE, Allocation, Instruction

Unwound = Mapping[int, frozenset[int]]
"""Calls that end a block -> the blocks where their handlers begin."""

NOT_RESTORED: Final = "a callee-saved register is not restored"
ARGUMENT_LOST: Final = "the prologue changes an argument's register"
RESULT_LOST: Final = "an exit changes a result's register"
OF_A_REGISTER: Final = frozenset({NOT_RESTORED, ARGUMENT_LOST, RESULT_LOST})
"""Rules about a register that the convention fixes, not the allocation: it tells one fault from another."""


class Checked(NamedTuple):
    """What was found wrong, what was not decided, and what the rest of the check needs to know of the body. `size`: the
    distance from the body's stack pointer to the entry's, if known; `popped`: how many bytes of arguments the function
    takes away, None if that is not said."""

    problems: list[Problem]
    doubts: list[str]
    body: Body
    size: int | None = None
    popped: int | None = 0
    by_z3: int = 0


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
    except Doubt as doubt:
        return Checked([], [str(doubt)], Body(None, {}))
    problems = list(frame.entered())
    doubts = frame.run.doubts
    for block, row in enumerate(allocation.blocks):
        instruction = row.end - 1
        if allocation.instructions[instruction].is_return and instruction in own and not traps(own[instruction]):
            try:
                problems.extend(frame.left(block, instruction))
            except Doubt as doubt:
                doubts.append(str(doubt))
    problems.extend(frame.above())
    problems.extend(frame.chain())
    body = Body(frame.frame_pointer(), frame.saved)
    problems.extend(dict.fromkeys(frame.run.problems))
    return Checked(problems, list(dict.fromkeys(doubts)), body, frame.size, frame.away, frame.by_z3)


@cache
def _at_the_end(isa: str, place: int) -> Term:
    return var(f"{show(place, isa)} at the end", WIDTHS[isa][place >> 6])


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
        self.run: Final = Execution(isa, calls)
        self.entry: Final = self.run.entry
        self.saved: Final[dict[int, str]] = {}
        self.size = 0
        self.popped: int | None = None
        self.calls: Final = calls
        self.pops: Final = calls.pops(str(allocation.frame.get("convention", "")))
        self.taken: Final = calls.taken() if self.pops else 0
        self.unwound: Final = unwound
        self.always, self.ever = self._lost()
        self.written: Final[frozenset[int]] = _written_by(isa, allocation, self.owed, self.kept, own, unwound)

    def _lost(self) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
        """For each block what the calls that end blocks lose on the ways to it: in any case, and if they have one
        convention of several. What only an unwinder loses is carried on from where handlers begin."""
        found = []
        for every in (True, False):
            seeds: dict[int, frozenset[int]] = {}
            base: frozenset[int] = frozenset()
            for instruction, handlers in self.unwound.items():
                base |= self._loses(instruction, every, False)
                more = self._loses(instruction, every, True) if handlers else frozenset()
                for block in handlers:
                    seeds[block] = seeds.get(block, frozenset()) | more
            found.append(_carried(self.allocation, base, seeds))
        return found[0], found[1]

    def _loses(self, instruction: int, every: bool, unwound: bool) -> frozenset[int]:
        """What a call loses, by each convention that it may have or by any."""
        lost = self.calls.lost(instruction, self.owed, unwound)
        if not lost:
            return _clobbered(self.isa, self.allocation.instructions[instruction], self.owed, self.kept)
        return lost[0].intersection(*lost) if every else lost[0].union(*lost)

    def enter(self) -> None:
        """Execute the prologue."""
        self.run.prologue(self.own.get(-1, ()))
        found = parts(self.entry.value(self.kept.sp))
        if found is None or found[0] is not self.entry.base:
            raise Doubt("the prologue leaves the stack pointer at an unknown place")
        self.size = -found[1]

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

        yield from self._sized(own)

    def _sized(self, own: Sequence[Placed]) -> Iterator[Problem]:
        """The frame is as large as the compiler says: below the frame pointer, and above it what has its saved word,
        and room for what the callees of tail calls take more than the function does. Without a frame pointer that is
        all; s390x's has no such word, and arguments that the function takes away are counted."""
        stated, pointer = self.allocation.frame.get("frame_to_fp_offset"), self.frame_pointer()
        if not isinstance(stated, int):
            return
        rule = "the frame has another size than the compiler says"
        if pointer is not None and pointer != stated:
            yield self._problem(
                rule, NONE, own, self.kept.sp, f"{stated} bytes below the frame pointer", f"{pointer} bytes"
            )
        left = self._left
        if self.taken is None or left is None:
            return
        if self.abi.back_chain:
            wanted = stated - self.taken
        elif pointer is None:
            wanted = stated
        else:
            wanted = stated + self.abi.return_address + (8 if self.kept.link >= 0 else 0)
            wanted += max(0, max(left) - self.taken)
        if self.size != wanted:
            yield self._problem(rule, NONE, own, self.kept.sp, f"{wanted} bytes", f"{self.size} bytes")

    def chain(self) -> Iterator[Problem]:
        """Where frames are chained, the word at the body's stack pointer is where the caller's lies, if the prologue
        puts anything there or works it out, or if the program looks for its caller. (A setting asks for it; nothing
        tells whether it is set, and callees do not.)"""
        if not self.abi.back_chain or self.taken is None:
            return
        source, low = self.calls.source, -self.size
        wanted, found = address(self.isa, self.kept.sp, self.taken), self.entry.memory.get(low)
        stored = any(at < low + 8 <= at + size and size >= 8 for at, size, stores in self.entry.touched if stores)
        needed = source is not None and source.chained
        split = parts(found) if found is not None else None
        made = (
            (split is not None and split[0] is self.entry.base)
            or any(self.entry.value(place) is wanted for place in self.kept.scratch)
            or any(at < 0 and value is wanted for at, value in self.entry.memory.items())  # saved above for the exits
        )
        if (needed or made or (stored and self.saved and 0 not in self.saved)) and found is not wanted:
            yield self._problem(
                "a frame is not chained to its caller's",
                NONE,
                self.own.get(-1, ()),
                NONE,
                f"{describe(wanted)} at sp + 0",
                describe(found) if found is not None else "nothing",
            )

    @property
    def _left(self) -> frozenset[int] | None:
        """What the callees of its tail calls take away."""
        source = self.calls.source
        none = not self.pops or (source is not None and not source.tails)
        return frozenset({0}) if none else self.calls.left_by_tail_calls()

    @property
    def away(self) -> int | None:
        """How many bytes of arguments the function takes away: by its signature, or by its returns."""
        return self.popped if self.taken is None else self.taken

    def above(self) -> Iterator[Problem]:
        """The prologue stores nothing into the caller's frame. s390x's register save area is the callee's; a `tail`
        function's arguments are, too: as many bytes as its returns take away, if it has any."""
        if self.away is None:
            return
        room = self.abi.callee_area + self.away
        for offset, size, stored in self.entry.touched:
            # at the entry's stack pointer is the back chain, or a return address
            if stored and (offset + size > room or -size < offset < 16):
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

    def frame_pointer(self) -> int | None:
        """Its distance from the body's stack pointer."""
        if self.kept.frame < 0:
            return None
        found = parts(self.entry.value(self.kept.frame))
        return None if found is None or found[0] is not self.entry.base else found[1] + self.size

    def left(self, block: int, instruction: int) -> list[Problem]:
        """What is wrong with an exit, whichever of their possible conventions the calls before it have; Doubt if that
        depends on it."""
        always, sometimes = self.always[block], self.ever[block] - self.always[block]
        problems = self.leave(instruction, always | sometimes)
        if problems and sometimes and not self.leave(instruction, always):
            raise Doubt("which of the function's conventions a call has is not known")
        return problems

    def _body_end(self, lost: frozenset[int]) -> State:
        """The state before an exit: what the body may write is unknown."""
        state = State(self.isa)
        state.registers = dict(self.entry.registers)
        state.memory = dict(self.entry.memory)
        for place in self.written.union(_registers(self.isa, lost, self.kept)):
            state.registers[place] = _at_the_end(self.isa, place)
        return state

    def leave(self, instruction: int, lost: frozenset[int]) -> list[Problem]:
        """Execute an exit's bytes and compare. `lost`: what calls that may have handlers lose in addition. Results are
        the uses in fixed registers: another one is the address that a tail call jumps to, which may be moved away
        before its register is restored."""
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
                    self.run.step(state, offset, machine, "an exit")
                break
            self.run.step(state, offset, machine, "an exit")
        if end < 0:
            return [self._problem("an exit does not end in a return or a jump", instruction, own, NONE, "", "")]
        returns = own[end].machine.flow == RETURN
        problems = [
            *self._stack(state, instruction, own, returns),
            *self._registers(state, instruction, own),
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

    def _for_an_address(self, value: Term) -> bool:
        """Whether a scratch register has what frames are made and found with: compilers do not give that back."""
        found = parts(value)
        return value.prim == "const" or (found is not None and found[0] is self.entry.base)

    def _registers(self, state: State, instruction: int, own: Sequence[Placed]) -> Iterator[Problem]:
        for place, bits in self.owed.items():
            low = self.promised.low if place >= 64 and bits < WIDTHS[self.isa][place >> 6] else 0
            value, wanted = state.value(place), register(self.isa, place)
            if place in self.kept.scratch and self._for_an_address(value):
                continue
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
        wanted = self._given_back(instruction, returns)
        if distance is None or not (
            (wanted is None and self._may_pop(distance, returns)) or distance in (wanted or ())
        ):
            above = pushed if returns else 0
            yield self._problem(
                "an exit does not give the stack pointer back",
                instruction,
                own,
                self.kept.sp,
                f"{', '.join(str(above + by) for by in sorted(wanted or [0]))} above the entry's",
                describe(state.value(self.kept.sp)),
            )
        back: Term = self.entry_return()
        if returns:
            address = state.registers.get(PC)
        elif pushed:
            address = None if distance is None else state.load(distance, 8)
        else:
            address = state.value(self.kept.link)
        if address is not back:
            yield self._problem(
                "an exit does not return to the caller",
                instruction,
                own,
                self.kept.link,
                describe(back),
                describe(address) if address is not None else "?",
            )

    def _given_back(self, instruction: int, returns: bool) -> frozenset[int] | None:
        """How far above the entry's stack pointer an exit may leave it: by the arguments that a function takes away,
        less those that the callee of its tail call takes; None if that is not known."""
        if not self.pops:
            return frozenset({0})
        left = frozenset({0}) if returns else self.calls.left_behind(instruction)
        return None if self.taken is None or left is None else frozenset(self.taken - by for by in left)

    def _may_pop(self, distance: int, returns: bool) -> bool:
        """Without a signature: any whole number of units."""
        return (distance >= 0 or not returns) and not distance % self.abi.stack_unit

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
    linker's veneers may write them: no convention keeps them, except for those that a function which keeps all
    registers is told that its calls lose), and without a pinned register, which the environment does not offer."""
    told = frozenset().union(*(what.clobbers for what in allocation.instructions))
    gone = {kept.sp, kept.link, *(kept.scratch - told), *free_for_all(isa, allocation.environment.offered)}
    return {place: bits for place, bits in promised.bits.items() if place not in gone}


def _written_by(
    isa: str,
    allocation: Allocation,
    promised: Mapping[int, int],
    kept: Reserved,
    own: Mapping[int, Sequence[Placed]],
    unwound: Unwound,
) -> frozenset[int]:
    """Registers that hold something else after the body than after the prologue, except for what calls that may have
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
    if kept.link not in found and _links(allocation, own, kept.link):
        found.add(kept.link)
    return _registers(isa, found, kept)


def _links(allocation: Allocation, own: Mapping[int, Sequence[Placed]], link: int) -> bool:
    """Whether the body's own bytes write the link register: calls that keep all registers do, too."""
    for instruction, placed in own.items():
        for _, machine in placed:
            if link in machine.writes and instruction >= 0 and not allocation.instructions[instruction].is_return:
                return True
    return False


def _carried(allocation: Allocation, base: frozenset[int], seeds: Mapping[int, frozenset[int]]) -> list[frozenset[int]]:
    """`base` in every block, and what is sown in one also in all that can be reached from there."""
    found = [base | seeds.get(block, frozenset()) for block in range(len(allocation.blocks))]
    work = list(seeds)
    while work:
        block = work.pop()
        for successor in allocation.blocks[block].successors:
            if not found[block] <= found[successor]:
                found[successor] |= found[block]
                work.append(successor)
    return found


def _clobbered(isa: str, what: Instruction, promised: Mapping[int, int], kept: Reserved) -> frozenset[int]:
    """What a call of an unknown convention loses: see the module for halves."""
    halves = {p for p, bits in promised.items() if bits < WIDTHS[isa][p >> 6]} | abi_named(isa).overstated
    whole = any(p < 64 and p != kept.frame and p in promised for p in what.clobbers)
    return frozenset(what.clobbers) if whole else frozenset(what.clobbers) - halves


def _registers(isa: str, places: Iterable[int], kept: Reserved) -> frozenset[int]:
    """Those of them that are registers. The stack pointer is not, though the clobbers of s390x's calls with handlers
    name it: an unwinder that enters a handler gives it back."""
    return frozenset(p for p in places if 0 <= p < SLOT and p != kept.sp and WIDTHS[isa][p >> 6])
