"""What a code generator needs of an ISA beside its rules: registers, frames, moves, jumps; and the walk that emits.

The one idea: `Backend` is the seam: what an ISA's package gives (`isa/<isa>/backend.py`, the field `backend` of its
value). `Emitter` walks over blocks whose registers are allocated and asks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from liftcheck.mach.emit import Buffer, Finished
from liftcheck.mach.regs import SLOT
from liftcheck.mach.vcode import JUMP, USE, Form, Insn, Slot, VCode

BEFORE: Final = 0


Move = tuple[int, int, int, int]
"""What the allocator adds: instruction, before (0) or after it (1), source, target."""


class Frame(NamedTuple):
    """A frame, in bytes from the stack pointer after the prologue. `saved`: the callee-saved registers that the
    function overwrites; `slots`: where stack slots begin, `spills`: where spill slots do; `size`: to the words that
    `has_pair` says there are (the return address, the caller's frame pointer); `grown`: how many bytes a tail call's
    arguments need beyond the function's own."""

    saved: tuple[int, ...]
    slots: int
    spills: int
    size: int
    has_pair: bool
    grown: int = 0


def frame_of(code: VCode, saved: Sequence[int], spills: int, wants_pair: bool) -> Frame:
    """A frame: what calls hand over lowest, then stack slots, then spill slots, each area aligned to 16 bytes."""
    slots = -(-code.outgoing // 16) * 16
    above = -(-(slots + code.slot_bytes) // 16) * 16
    size = -(-(above + 8 * spills) // 16) * 16
    grown = max(0, code.tail - code.incoming)
    wants_pair |= code.calls or code.frame or bool(saved) or size > 0 or code.incoming > 0 or grown > 0
    return Frame(tuple(sorted(saved)), slots, above, size, wants_pair, grown)


class Backend(Protocol):
    """An ISA's part. Places are registers (`mach.regs`)."""

    allocatable: tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]
    """Registers of each class that calls overwrite, and those that a function gives back."""
    scratch: tuple[int, int, int]
    """A register of each class that is never allocated; -1: none."""
    slot_words: tuple[int, int, int]
    """Words of a spill slot of each class."""

    def frame(self, code: VCode, saved: Sequence[int], spills: int, wants_pair: bool) -> Frame:
        """The frame of a function that overwrites `saved` and has so many words of spill slots. `wants_pair`: with a
        frame pointer, whether or not it is of use."""

    def prologue(self, out: Emitter) -> None: ...

    def leave(self, out: Emitter) -> None:
        """The way out, and the return."""

    def move(self, out: Emitter, source: int, target: int) -> None:
        """Between registers of a class, or a register and a spill slot."""

    def jump(self, out: Emitter, label: int) -> None: ...


class Emitter(Buffer):
    """Emits one function. `places`: for each instruction a place for each register that is allocated; `moves` sorted
    by instruction and side."""

    def __init__(
        self,
        backend: Backend,
        code: VCode,
        places: Sequence[Sequence[int]],
        moves: Sequence[Move],
        frame: Frame,
        has: frozenset[str],
    ) -> None:
        super().__init__()
        self.backend: Final = backend
        self.code: Final = code
        self.frame: Final = frame
        self.has: Final = has
        self._places: Final = places
        self._moves: Final = moves
        self._starts: Final = [0]
        for block in code.blocks:
            self._starts.append(self._starts[-1] + len(block.insns))
        self.blocks: Final = [self.label() for _ in code.blocks]
        self._goal: Final = self._goals()
        self._next = -1
        self.lines: Final[list[tuple[int, int, int]]] = []
        """(mark of the first byte, mark of the end, line) of each instruction."""
        self.own: Final[list[tuple[int, int]]] = []
        self.moved: Final[list[tuple[int, int]]] = []

    def _goals(self) -> list[int]:
        """Where a jump to each block comes out: past blocks that do nothing but jump."""
        moved = {move[0] for move in self._moves}
        blocks, starts = self.code.blocks, self._starts
        empty = [len(b.insns) == 1 and b.insns[0].form is JUMP and starts[n] not in moved for n, b in enumerate(blocks)]
        goals = list(range(len(blocks)))
        for number in range(len(blocks)):
            at, seen = number, []
            while empty[at] and goals[at] == at and at not in seen:
                seen.append(at)
                at = blocks[at].insns[0].extra[0]
            goal = at if at in seen else goals[at]
            for one in seen:
                goals[one] = goal
        return goals

    def run(self, record: bool = False) -> Finished:
        """The whole function. `record`: `own` and `moved` are kept."""
        blocks, goals = self.code.blocks, self._goal
        order = [n for n, block in enumerate(blocks) if not block.cold or n == 0]
        order += [n for n, block in enumerate(blocks) if block.cold and n != 0]
        order = [n for n in order if goals[n] == n or n == 0]
        self.backend.prologue(self)
        moves, count = self._moves, len(self._moves)
        first = self._first_moves()
        for position, number in enumerate(order):
            self._next = order[position + 1] if position + 1 < len(order) else -1
            self.bind(self.blocks[number])
            for index, insn in enumerate(blocks[number].insns, self._starts[number]):
                at = first.get(index, count)
                while at < count and moves[at][0] == index and moves[at][1] == BEFORE:
                    self._move(moves[at], record)
                    at += 1
                start = self.mark() if record else 0
                if insn.line:
                    self.lines.append((self.mark(), -1, insn.line))
                insn.form.emit(self, self._full(insn.registers, index), insn)
                if insn.line:
                    mark, _, line = self.lines[-1]
                    self.lines[-1] = (mark, self.mark(), line)
                if record:
                    self.own.append((start, self.mark()))
                while at < count and moves[at][0] == index:
                    self._move(moves[at], record)
                    at += 1
        return self.finish()

    def _first_moves(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for at, move in enumerate(self._moves):
            found.setdefault(move[0], at)
        return found

    def _move(self, move: Move, record: bool) -> None:
        start = self.mark() if record else 0
        self.backend.move(self, move[2], move[3])
        if record:
            self.moved.append((start, self.mark()))

    def _full(self, registers: tuple[int, ...], index: int) -> Sequence[int]:
        """Where each register of an instruction is."""
        places = self._places[index]
        if len(places) == len(registers):
            return places
        rest = iter(places)
        return [~register if register < 0 else next(rest) for register in registers]

    # -- what forms ask for

    def jump(self, block: int) -> None:
        """To a block, unless it comes next."""
        goal = self._goal[block]
        if goal != self._next:
            self.backend.jump(self, self.blocks[goal])

    def comes_next(self, block: int) -> bool:
        """Whether a jump to a block has no bytes."""
        return self._goal[block] == self._next

    def to(self, block: int) -> int:
        """The label for a branch to a block."""
        return self.blocks[self._goal[block]]

    def leave(self) -> None:
        """The way out."""
        self.backend.leave(self)

    def spill(self, slot: int) -> int:
        """How far from the stack pointer a spill slot is."""
        return self.frame.spills + 8 * (slot - SLOT)


class CallForm(Form):
    """A call of a symbol (`extra[0]`), or through the first of the registers that are read; `extra[1]` its handlers.
    `popped`: bytes that the callee takes away. `tail`: how many stack bytes the callee has; -1: it is no tail call."""

    __slots__ = ("_popped", "_tail")

    def __init__(self, slots: Sequence[Slot], clobbers: Sequence[int], popped: int, tail: int = -1) -> None:
        super().__init__("call" if tail < 0 else "return_call", slots, clobbers)
        self._popped: Final = popped
        self._tail: Final = tail
        self.is_return = tail >= 0

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        symbol, handlers = insn.extra
        through = next((place for place, slot in zip(places, self.slots) if slot.kind == USE), -1)
        if self._tail >= 0:
            self.restore(out, out.frame.grown + out.code.incoming - self._tail)
        self.go(out, symbol, through, self._tail >= 0)
        if self._tail < 0:
            out.call(handlers)
            self.lower_stack(out, self._popped)

    def restore(self, out: Emitter, above: int) -> None:
        """All that the prologue did, undone; the stack pointer (or the return address there) `above` bytes higher."""
        raise NotImplementedError

    def go(self, out: Emitter, symbol: str | None, through: int, tail: bool) -> None:
        """The call or jump itself: to a symbol, or, if it is None, to where a register leads."""
        raise NotImplementedError

    def lower_stack(self, out: Emitter, count: int) -> None:
        """The stack pointer so many bytes down."""
        raise NotImplementedError
