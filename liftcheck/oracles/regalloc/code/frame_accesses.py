"""What own bytes access of the frame, against all that lies in it.

The one idea: `accesses` notes accesses to the frame as it reads own bytes; when all slots are known, each is followed
through address arithmetic to its distance from the stack pointer and held against slots, saved words and arguments.
Accesses by other registers are not seen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from liftcheck.mach.insn import register
from liftcheck.mach.regs import NONE
from liftcheck.mach.state import WORD
from liftcheck.oracles.regalloc.code.accesses import INTO_SLOT, OVER_SAVED, OwnRules
from liftcheck.oracles.regalloc.code.called import TOLD, Body, Taken
from liftcheck.oracles.regalloc.code.framed import Access
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.moves import Slots
from liftcheck.oracles.regalloc.code.problem import Problem


class Rules(OwnRules):
    """The rules about own bytes, those about the frame included."""

    def located(self, slots: Slots, body: Body) -> Iterator[Problem]:
        """Operands in spill slots are accessed where these lie. After it all slots are known."""
        for instruction, slot, stored, own, shift in self._in_slots:
            if not self._accessed(slots, stored, slot, self.accesses(instruction, own, shift, body)):
                rule = "a result in a spill slot is not stored" if stored else "a use in a spill slot is not loaded"
                expected = f"sp + {slots.offsets.get(slot, 'anywhere')}"
                yield Problem(rule, instruction, own[0].offset, slot, expected, "", tuple(own))
        for instruction, slot, offset, own in self._told:
            if slots.guess(slot, offset) != offset or not slots.note(slot, offset, 8):
                yield Problem(
                    TOLD,
                    instruction,
                    own[0].offset,
                    slot,
                    f"sp + {slots.guess(slot, offset)}",
                    f"sp + {offset}",
                    tuple(own),
                )

    def results(self, body: Body) -> int:
        """The end of the memory above the stack pointer where callees leave results: bytes after calls load them. The
        load of a packed one may reach past the end of them all."""
        high = 0
        for instruction, own, returning in self.loading:
            packed = self.calls.packed_results(instruction)
            loads = [
                (offset, offset + size)
                for placed, offset, size, stores in self.accesses(instruction, own, 0, body)
                if not stores and placed.offset >= returning
            ]
            end = max((end for _, end in loads), default=0)
            high = max(high, end if packed is None else min(end, min(loads, default=(0, 0))[0] + packed))
        return high

    def unbalanced(self, body: Body, top: int) -> Iterator[Problem]:
        """A callee that takes its arguments away takes those that were stored for it, in whole units. `top`: the end of
        the memory at the stack pointer where arguments may lie."""
        for taken in self._taken:
            pops, exact = self.calls.may_pop(taken.instruction), self.calls.taken_by_callee(taken.instruction)
            if exact is not None and taken.bytes not in exact:
                yield self._unbalanced(taken, ", ".join(map(str, sorted(exact))))
                continue
            if not pops and not taken.bytes:
                continue
            ends = [
                offset + size + taken.pushed
                for instruction, own, shift in self._stores[taken.first : taken.last]
                for _, offset, size, stores in self.accesses(instruction, own, shift, body)
                if stores and offset + size <= top and (offset >= 0 or shift)
            ]
            if taken.pushed:
                low, high = (bisect_left(self._pointed, (at, 0)) for at in (taken.first, taken.last + 1))
                ends += [end for _, end in self._pointed[low:high]]
                ends = [end for end in ends if end <= taken.pushed]
            wanted = -(-max(ends, default=0) // self.abi.stack_unit) * self.abi.stack_unit
            if taken.bytes != wanted and (taken.bytes or self.calls.must_pop(taken.instruction)):
                yield self._unbalanced(taken, str(wanted))

    def results_in(self, instruction: int) -> frozenset[int]:
        """Where an instruction's results are."""
        return frozenset(self.operands.places(instruction)[1])

    def handed_over(self, body: Body, top: int) -> Iterator[tuple[int, list[tuple[int, Placed, int, int]]]]:
        """For each call the stores into the memory at the stack pointer since the one before: instruction, machine
        instruction, distance from the stack pointer at the call, size."""
        for taken in self._taken:
            yield (
                taken.instruction,
                [
                    (instruction, placed, offset + taken.pushed, size)
                    for instruction, own, shift in self._stores[taken.first : taken.last]
                    for placed, offset, size, stores in self.accesses(instruction, own, shift, body)
                    if stores and offset + size <= top and (offset >= 0 or shift)
                ],
            )

    def _unbalanced(self, taken: Taken, wanted: str) -> Problem:
        rule = "a call's arguments are not what its callee takes away"
        where, found = taken.own[0].offset, f"{taken.bytes} bytes"
        return Problem(rule, taken.instruction, where, self.kept.sp, f"{wanted} bytes", found, tuple(taken.own))

    def stray_pointers(
        self, slots: Slots, explicit: Sequence[tuple[int, int]], area: int, size: int
    ) -> Iterator[Problem]:
        """A pointer into the frame is the stack or frame pointer itself, if the program asks for it, or one to a stack
        slot, to what is handed over to a callee by its address (`area`: where that ends), or to the function's
        arguments (`size`: where the frame ends; both as distances from the stack pointer) and those of its tail
        calls."""
        top = self._tail_area(slots, explicit, size)
        source = self.calls.source
        by_sp = source is None or "get_stack_pointer" in source.asked
        by_frame = source is None or "get_frame_pointer" in source.asked or source.returning
        by_address = self.calls.by_address
        for instruction, placed, (base, at), shift in self._pointers_made:
            if base is register(self.isa, self.kept.sp):
                body = at + shift
                handed = (by_address and self.abi.callee_area <= at and body < area) or body >= top
                right = (not at and by_sp) or handed or any(low <= body <= high for low, high in explicit)
            else:
                right = (not at and by_frame) or at >= self.abi.return_address + 8
            if not right:
                yield Problem(
                    "a pointer to nothing in the program",
                    instruction,
                    placed.offset,
                    NONE,
                    "a stack slot, or what callees are passed",
                    placed.machine.text,
                    (placed,),
                )

    def _tail_area(self, slots: Slots, explicit: Sequence[tuple[int, int]], size: int) -> int:
        """Where arguments of tail calls may begin: the exit takes away so much less of s390x's frame."""
        source, taken, left = self.calls.source, self.calls.taken(), self.calls.left_by_tail_calls()
        if self.allocation.frame.get("convention") != "tail" or (source is not None and not source.tails):
            return size
        if taken is not None and left:
            return min(size, size + taken - max(left))
        ends = [high for _, high in explicit] + [at + slots.sizes[slot] for slot, at in slots.offsets.items()]
        return min(size, max(ends, default=size))

    def stray_stores(self, slots: Slots, body: Body) -> Iterator[Problem]:
        """Other stores stay clear of slots and saved words."""
        owners = {offset + at: slot for slot, offset in slots.offsets.items() for at in range(slots.sizes[slot])}
        stored_slots = {(instruction, slot) for instruction, slot, stored, *_ in self._in_slots if stored}
        for instruction, own, shift in self._stores:
            for placed, offset, size, stores in self.accesses(instruction, own, shift, body):
                if stores:
                    yield from self._overlaps(instruction, placed, offset, size, owners, stored_slots, body)

    def _overlaps(
        self,
        instruction: int,
        placed: Placed,
        low: int,
        size: int,
        owners: Mapping[int, int],
        mine: set[tuple[int, int]],
        body: Body,
    ) -> Iterator[Problem]:
        for at in range(low, low + size):
            owner = owners.get(at)
            if owner is not None and (instruction, owner) not in mine:
                yield Problem(
                    INTO_SLOT,
                    instruction,
                    placed.offset,
                    owner,
                    "outside of spill slots",
                    f"sp + {low}, {size} bytes",
                    (placed,),
                )
                return
            if (saved := body.saved.get(at - at % 8)) is not None:
                yield Problem(
                    OVER_SAVED, instruction, placed.offset, NONE, saved, f"sp + {low}, {size} bytes", (placed,)
                )
                return

    def _accessed(self, slots: Slots, stored: bool, slot: int, accesses: Sequence[Access]) -> bool:
        """Whether one of these instructions accesses the slot; one that nothing moves to or from is learnt here. A
        result is stored in whole words, and all that was loaded of it."""
        loaded = WORD
        for _, offset, size, stores in accesses:
            whole = not stored or size >= loaded
            loaded = WORD if stores else max(WORD, size)
            if stores == stored and whole and slots.guess(slot, offset) == offset:
                return slots.note(slot, offset, max(size, WORD))
        return False
