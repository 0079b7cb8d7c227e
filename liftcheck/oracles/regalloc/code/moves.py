"""Whether machine code does a move of the allocator's: between registers, to and from spill slots.

The one idea: the move, over places, and the code, one instruction after the other over registers and frame memory,
start from the same unknown state; all that either of them touched must hold the same values afterwards, at the full
width of the class. A move is nearly always one instruction, and then it is enough to compare the two meanings (`same`);
otherwise both are executed (`Sequences`).

Where a slot lies is learnt from the first access to it and checked at every other one (`Slots`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from liftcheck.bits.term import Term
from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import FLAGS, STACK_POINTERS, VECTOR_CONFIGURATION, WIDTHS, Insn, address, register
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import Opaque, State, parts
from liftcheck.regalloc.allocation import Edit


class Difference(NamedTuple):
    """After the code, `place` (a register, or a slot, or NONE for other memory at `offset`) holds something else."""

    place: int
    offset: int
    expected: Term
    found: Term


class Slots:
    """Spill slots -> distance from the stack pointer, as far as known. `sizes`: how many bytes of a slot's memory are
    in use (the widest class seen)."""

    def __init__(self) -> None:
        self.offsets: Final[dict[int, int]] = {}
        self.sizes: Final[dict[int, int]] = {}

    def note(self, place: int, offset: int, size: int) -> bool:
        """Learn or compare: False if the slot is known to lie elsewhere."""
        known = self.offsets.setdefault(place, offset)
        if self.sizes.get(place, 0) < size:
            self.sizes[place] = size
        return known == offset

    def guess(self, place: int, otherwise: int) -> int:
        """Where a slot lies: known, or as far from a known one as their numbers say (8 bytes each). Only operands that
        nothing moves to or from are looked for there; moves find out by themselves."""
        found = self.offsets.get(place)
        if found is None and self.offsets:
            other, offset = next(iter(self.offsets.items()))
            found = offset + 8 * (place - other)
        return otherwise if found is None else found


def same(isa: str, machine: Insn, edit: Edit) -> int | None:
    """The slot's distance from the stack pointer (0 if there is none) if this instruction is this move, else None."""
    effect, source, target = machine.effect, edit.source, edit.target
    if effect is None or FLAGS in machine.writes:
        return None
    if target >= SLOT:
        if len(effect.stores) != 1 or effect.writes or effect.loads or source >= SLOT:
            return None
        address, size, value = effect.stores[0]
        return _distance(isa, address) if value is register(isa, source) and value.bits == 8 * size else None
    if len(effect.writes) != 1 or effect.stores:
        return None
    place, value = effect.writes[0]
    if place != target:
        return None
    if source < SLOT:
        return 0 if value is register(isa, source) and not effect.loads else None
    if len(effect.loads) != 1 or value is not effect.loads[0].value:
        return None
    load = effect.loads[0]
    return _distance(isa, load.address) if 8 * load.size == WIDTHS[isa][target >> 6] else None


def _distance(isa: str, address: Term) -> int | None:
    found = parts(address)
    return found[1] if found is not None and found[0] is register(isa, STACK_POINTERS[isa]) else None


def size_of(isa: str, edit: Edit) -> int:
    """The size of a move, in bytes."""
    place = edit.source if edit.source < SLOT else edit.target
    return WIDTHS[isa][place >> 6 if place < SLOT else 0] // 8


class Sequences:
    """The general comparison."""

    def __init__(self, isa: str, slots: Slots) -> None:
        self.isa: Final = isa
        self.slots: Final = slots
        self._sp: Final = STACK_POINTERS[isa]

    def code(self, machines: Sequence[Insn], vectors: Term | None, shift: int) -> State | None:
        """The state after the code, given the vector configuration before it, if that is known, and how far the
        stack pointer is from the body's.

        None if an instruction has no known meaning, changes the flags (which may be in use across a move), or accesses
        other memory than the frame."""
        state = State(self.isa)
        if shift:
            state.registers[self._sp] = address(self.isa, self._sp, shift)
        if vectors is not None:
            state.registers[VECTOR_CONFIGURATION] = vectors
        try:
            for machine in machines:
                if machine.effect is None or FLAGS in machine.writes:
                    return None
                state.run(machine.effect)
        except Opaque:
            return None
        if shift and state.value(self._sp) is address(self.isa, self._sp, shift):
            del state.registers[self._sp]
        return state

    def learn(self, edit: Edit, code: State) -> bool:
        """Where the code accesses memory is where the move's slot lies; False if it is known to lie elsewhere."""
        place = max(edit.source, edit.target)
        if place < SLOT:
            return True
        size, stores = size_of(self.isa, edit), edit.target >= SLOT
        lowest = min((offset for offset, _, stored in code.touched if stored == stores), default=None)
        return lowest is not None and self.slots.note(place, lowest, size)

    def move(self, edit: Edit) -> State:
        """The state after the move."""
        state = State(self.isa)
        size = size_of(self.isa, edit)
        value = state.value(edit.source) if edit.source < SLOT else state.load(self.slots.offsets[edit.source], size)
        if edit.target < SLOT:
            state.registers[edit.target] = value
        else:
            state.store(self.slots.offsets[edit.target], size, value)
        return state

    def compared(self, move: State, code: State) -> list[Difference]:
        """Everything that either has touched, with what both hold there. Scratch registers and specials may hold
        anything after a move."""
        scratch = reserved(self.isa).scratch
        found = [
            Difference(place, 0, move.value(place), code.value(place))
            for place in sorted(move.registers.keys() | code.registers.keys())
            if place >= 0 and place not in scratch
        ]
        owners = {
            offset + at: place
            for place, offset in self.slots.offsets.items()
            for at in range(0, self.slots.sizes.get(place, 8), 8)
        }
        found += [
            Difference(owners.get(offset, NONE), offset, move.word(offset), code.word(offset))
            for offset in sorted(move.memory.keys() | code.memory.keys())
        ]
        return found

    def differences(self, move: State, code: State) -> list[Difference]:
        """Those of them whose normal forms differ."""
        return [d for d in self.compared(move, code) if d.expected is not d.found]
