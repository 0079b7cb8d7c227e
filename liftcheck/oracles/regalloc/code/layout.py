"""Which bytes belong to which instruction and which move: the code cut as the compiler says, and what is between.

The one idea: the compiler's offsets are trusted no further than that instructions are decoded from them. Every byte
that control can reach belongs to a piece, and each piece must do what its instruction or move says; a wrong offset
leaves bytes that do not. What is between two pieces must be idle (no-operations, landing pads) or out of reach: tables,
padding and constants after an unconditional jump, islands that are jumped over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode
from liftcheck.errors import Unsupported
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import BRANCH, JUMP, RETURN, TRAP, Insn, decode
from liftcheck.mach.regs import NONE
from liftcheck.regalloc.allocation import AFTER, BEFORE, Allocation

LEAVES: Final = (JUMP, RETURN, TRAP)
_TURNS: Final = frozenset({BRANCH, *LEAVES})
_LEAST_WITH_ISLAND: Final = 6
"""Bytes of an instruction and a jump; the island may be empty."""


class Placed(NamedTuple):
    """A machine instruction and where it stands."""

    offset: int
    machine: Insn


class Piece(NamedTuple):
    """The bytes [start, end) of an instruction, or of the move number `edit` (else NONE) before or after it."""

    instruction: int
    edit: int
    start: int
    end: int


class Layout:
    """One function's pieces. `lasts` and `firsts`: a block by its last and by its first instruction."""

    def __init__(self, isa: str, code: FunctionCode, allocation: Allocation) -> None:
        self.isa: Final = isa
        self.far: Final = isa_named(isa).part(isa_named(isa).far_jump)
        self.bytes: Final = code.code
        self.allocation: Final = allocation
        if not allocation.ends or len(allocation.edit_ranges) != len(allocation.edits) or None in allocation.offsets:
            raise Unsupported("the compiler gives no offsets")
        self.lasts: Final = {block.end - 1: b for b, block in enumerate(allocation.blocks)}
        self._codes: Final = dict(code.traps)
        self._traps: Final = sorted(self._codes)
        self._edits: Final[dict[tuple[int, int], list[int]]] = {}
        for number, edit in enumerate(allocation.edits):
            self._edits.setdefault((edit.instruction, edit.where), []).append(number)
        starts = [next(self._pieces_of(b)).start for b in range(len(allocation.blocks))]
        self.order: Final = sorted(range(len(allocation.blocks)), key=lambda b: (starts[b], self._ends_at(b), b))
        self.starts: Final = starts
        """Of each block's first piece."""
        self._at: Final[dict[int, Insn]] = {}
        self._cut: Final[dict[int, int]] = {}
        """Instructions of whose bytes a jump at the end is their block's: where it stands."""

    def _ends_at(self, block: int) -> int:
        return self.allocation.ends[self.allocation.blocks[block].end - 1]

    def has_edits(self, instruction: int) -> bool:
        """Whether there are moves before or after an instruction."""
        return (instruction, BEFORE) in self._edits or (instruction, AFTER) in self._edits

    def edited(self, first: int, second: int) -> bool:
        """Whether moves with bytes stand between an instruction and the next one."""
        moves = (*self._edits.get((first, AFTER), ()), *self._edits.get((second, BEFORE), ()))
        return any(start != end for start, end in (self.allocation.edit_ranges[number] for number in moves))

    def pieces(self, block: int) -> list[Piece]:
        """A block's instructions and moves, in the order in which they are executed."""
        return self._cut_at_jump(block, list(self._pieces_of(block)))

    def _cut_at_jump(self, block: int, pieces: list[Piece]) -> list[Piece]:
        """The assembler may put an island before a block's jump, after a move or an instruction. The jump over the
        island, which leads to a jump, is sent on to where that one leads: it is the block's jump then."""
        if len(self.allocation.blocks[block].successors) != 1:
            return pieces
        number = len(pieces) - 2
        while number >= 0 and pieces[number].start == pieces[number].end:
            number -= 1
        at = self._jump_out(pieces[number]) if number >= 0 else -1
        if at < 0:
            return pieces
        if pieces[number].edit == NONE:
            self._cut[pieces[number].instruction] = at
        idle = [piece._replace(start=at, end=at) for piece in pieces[number + 1 : -1]]
        return [*pieces[:number], pieces[number]._replace(end=at), *idle, pieces[-1]._replace(start=at)]

    def _jump_out(self, piece: Piece) -> int:
        """Where a jump that leads out of a piece stands, if nothing in the piece leads past it; else -1."""
        at = past = before = piece.start
        if piece.edit == NONE and piece.end - at < _LEAST_WITH_ISLAND:
            return -1
        while at < piece.end:
            machine = self.at(at)
            goal = self.goal(at, machine) if machine.flow in (BRANCH, JUMP) else at
            inside = piece.start <= goal <= piece.end
            if machine.flow == JUMP and not inside:
                first = at if machine.target is not None else before  # a far jump's first half
                return first if goal != -1 and past <= first else -1
            past = max(past, goal) if machine.flow == BRANCH and inside else past
            before, at = at, max(goal, at + machine.size) if machine.flow == JUMP else at + machine.size
        return -1

    def ends_at(self, instruction: int) -> int:
        """Where control leaves an instruction of which it runs through the last byte."""
        return self._cut.get(instruction, self.allocation.ends[instruction])

    def _pieces_of(self, block: int) -> Iterator[Piece]:
        row, offsets, ends = self.allocation.blocks[block], self.allocation.offsets, self.allocation.ends
        edits, ranges = self._edits, self.allocation.edit_ranges
        for instruction in range(row.first, row.end):
            for number in edits.get((instruction, BEFORE), ()):
                yield Piece(instruction, number, *ranges[number])
            yield Piece(instruction, NONE, offsets[instruction] or 0, ends[instruction])
            if instruction + 1 < row.end:
                for number in edits.get((instruction, AFTER), ()):
                    yield Piece(instruction, number, *ranges[number])

    def code(self, start: int, end: int, last: bool = False) -> tuple[list[Placed], int]:
        """What is executed of the bytes [start, end), in order, and where it ends: at `end`, or after it if the bytes
        are cut wrongly; before it where control leaves for good (`last`: a block's last instruction)."""
        if last:
            return self._last(start, end)
        found, at, jumps = [], start, False
        for machine in decode(self.isa, self.bytes, start, end):
            found.append(Placed(at, machine))
            at += machine.size
            if machine.flow == JUMP:
                jumps = True
        return self._around(start, end) if jumps else (found, at)

    def _around(self, start: int, end: int) -> tuple[list[Placed], int]:
        """Without islands: bytes that are jumped over, and that none of the other instructions branches into (what
        stands in an island may look like a branch); nor to the jump, which stays then."""
        entered: set[int] = set()
        while True:
            found, at, islands = self._walk(start, end, entered)
            targets = {offset + m.target for offset, m in found if m.flow == BRANCH and m.target is not None}
            more = {t for t in targets - entered for low, high in islands if low <= t < high}
            if not more:
                return found, at
            entered |= more

    def _walk(self, start: int, end: int, entered: set[int]) -> tuple[list[Placed], int, list[tuple[int, int]]]:
        """Instructions, where they end, and the islands left out, with their jumps: jumped over, and not entered. A
        jump that keeps its own address (a way to a constant after it) stays."""
        found: list[Placed] = []
        islands: list[tuple[int, int]] = []
        at = start
        while at < end:
            machine = self.at(at)
            after = at + machine.size
            target = self.goal(at, machine) if machine.flow == JUMP else -1
            if after <= target <= end and not any(after <= t < target for t in entered):
                found += [Placed(at, machine)] if machine.writes or at in entered else []
                islands.append((at, target))
                at = target
                continue
            found.append(Placed(at, machine))
            at = after
        return found, at, islands

    def _last(self, start: int, end: int) -> tuple[list[Placed], int]:
        """Up to the last unconditional jump that nothing inside leads past; without islands."""
        machines = decode(self.isa, self.bytes, start, end)
        for machine in machines[:-1]:
            if machine.flow in _TURNS:
                break
        else:
            return laid(machines, start)
        found: list[Placed] = []
        at, inside, entered = start, -1, set[int]()
        while at < end:
            machine = self.at(at)
            target = self.goal(at, machine)
            after = at + machine.size
            if machine.flow == JUMP and after <= target < end and inside < after:
                found += [Placed(at, machine)] if at in entered else []
                at = target
                continue
            found.append(Placed(at, machine))
            at = after
            if machine.flow in (BRANCH, JUMP):
                inside = max(inside, target if target < end else -1)
                entered.add(target)
            if machine.flow in LEAVES and inside < at:
                break
        return found, at

    def goal(self, offset: int, machine: Insn) -> int:
        """Where a direct jump, branch or call leads; -1 where it is not direct. A far jump may be two instructions
        (`Isa.far_jump`)."""
        if machine.target is not None:
            return offset + machine.target
        return -1 if self.far is None or machine.flow != JUMP else int(self.far(self.bytes, offset))

    def at(self, offset: int) -> Insn:
        """The instruction at an offset."""
        found = self._at.get(offset)
        if found is None:
            found = self._at[offset] = decode(self.isa, self.bytes, offset, offset + 1)[0]
        return found

    def may_trap(self, offset: int, size: int) -> bool:
        """Whether the compiler tells of a trap in these bytes."""
        return bisect_left(self._traps, offset) != bisect_left(self._traps, offset + size)

    def traps(self, offset: int) -> bool:
        """Whether a trap of the program's stands there: what only looks like one (padding, data) has no row in the
        table."""
        return bool(self.trap_code(offset))

    def trap_code(self, offset: int) -> str:
        """The code of the program's trap there; '' if there is none. The last byte of a trap may be named; one may fill
        four bytes and be read as two."""
        if not 0 <= offset < len(self.bytes) or (machine := self.at(offset)).flow != TRAP:
            return ""
        before = offset - machine.size
        found = self._code_in(offset, machine.size)
        if found or before < 0 or self.at(before).flow != TRAP:
            return found
        return self._code_in(before, machine.size)

    def _code_in(self, offset: int, size: int) -> str:
        """The first code that the compiler tells of in these bytes."""
        first = bisect_left(self._traps, offset)
        at = self._traps[first] if first < len(self._traps) else -1
        return self._codes[at] if offset <= at < offset + size else ""

    def idle_from(self, start: int, end: int) -> int:
        """The lowest offset from which on only idle instructions stand before `end`."""
        found, at = laid(decode(self.isa, self.bytes, start, end), start)
        if at != end:
            return end
        low = end
        for offset, machine in reversed(found):
            if not idle(machine):
                break
            low = offset
        return low


def traps(code: Sequence[Placed]) -> bool:
    """Whether control ends in a trap: an allocator takes such a block's end for a return."""
    return bool(code) and code[-1].machine.flow == TRAP


def idle(machine: Insn) -> bool:
    """An instruction without any effect."""
    effect = machine.effect
    return not machine.writes and effect is not None and not effect.writes and not effect.stores


def laid(machines: Sequence[Insn], at: int) -> tuple[list[Placed], int]:
    """Instructions one after the other, and where the last one ends."""
    found: list[Placed] = []
    for machine in machines:
        found.append(Placed(at, machine))
        at += machine.size
    return found, at
