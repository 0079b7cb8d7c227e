"""Linear scan over intervals that are split: a `Problem`'s virtual registers into registers and spill slots.

The one idea: instruction i has two positions, 2i (early) and 2i+1 (late). A virtual register lives from its definition
to its last use and to the end of every loop that is entered in between; it is cut into pieces, each with one place.
Pieces are handed out in the order of their starts: a register that is free to the end, one that is free for a while
(the rest is looked at again), or the register of whoever needs it latest. What is on the stack anywhere has been stored
where it was defined, so that nothing is stored twice and leaving a register costs nothing.

A fixed use is a copy before its instruction, a fixed definition a copy after it; for these positions the register is
blocked for others. Where two pieces meet inside a block a move stands there, where they meet on edges the edge has it.

Sources: Poletto, Sarkar, "Linear Scan Register Allocation" (1999); Wimmer, Franz, "Linear Scan Register Allocation on
SSA Form" (2010).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final

from liftcheck.errors import InternalError, Unsupported
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.regalloc.allocation import AFTER, BEFORE, DEF, FIXED, LATE, LIMIT, REUSE, STACK, Edit
from liftcheck.regalloc.moves import in_turn
from liftcheck.regalloc.problem import Problem, Solution

_LACKING: Final = (STACK, LIMIT)
"""Constraints that it does not have."""
_EDGE_IN, _STORED, _COPIED, _EDGE_OUT = range(4)
"""The order of moves before one instruction: those of an edge into the block, stores of parameters, copies for the
instruction and between pieces, those of an edge out of the block."""


class _Loops:
    """How far an interval reaches because of edges that go back."""

    def __init__(self, problem: Problem) -> None:
        blocks = problem.blocks
        ends: dict[int, int] = {}
        for block in blocks:
            for successor in block.successors:
                start = blocks[successor].first
                if start <= block.first:
                    ends[start] = max(ends.get(start, 0), block.end)
        self._starts: Final = sorted(ends)
        self._best: list[list[int]] = [[ends[start] for start in self._starts]]
        width = 1
        while 2 * width <= len(self._starts):
            last = self._best[-1]
            self._best.append([max(last[n], last[n + width]) for n in range(len(last) - width)])
            width *= 2

    def end(self, start: int, end: int) -> int:
        """The end of what lives from instruction `start` to before `end`, with all loops that begin in between."""
        starts = self._starts
        low = bisect_right(starts, start)
        while True:
            high = bisect_left(starts, end)
            if low >= high:
                return end
            level = (high - low).bit_length() - 1
            most = max(self._best[level][low], self._best[level][high - (1 << level)])
            if most <= end:
                return end
            end = most


class _Allocator:
    """One function."""

    def __init__(self, problem: Problem) -> None:
        self.problem: Final = problem
        count = len(problem.classes)
        self.start: Final = [-1] * count
        self.end: Final = [0] * count
        self.needs: Final[list[list[int]]] = [[] for _ in range(count)]
        """Positions at which it must be in a register, in order."""
        self.hints: Final[list[list[int]]] = [[] for _ in range(count)]
        """Registers, or ~virtual register, that it would like."""
        self.blocked: Final[dict[int, list[tuple[int, int]]]] = defaultdict(list)
        """Of each register the positions at which it is taken, and for whom (-1: nobody)."""
        self.pieces: Final[list[list[tuple[int, int, int]]]] = [[] for _ in range(count)]
        """(start, end, place), in order."""
        self.slot: Final = [NONE] * count
        self.slots = 0
        self._slot_class: Final[dict[int, int]] = {}
        environment = problem.environment
        self.order: Final = [
            (*environment.preferred[cls], *environment.others[cls]) for cls in range(len(environment.preferred))
        ]
        self.moves: Final[dict[tuple[int, int, int], list[tuple[int, int]]]] = defaultdict(list)
        """(instruction, side, turn) -> moves at once."""
        self._turn: Final = [-1] * count
        """The position at which its rest is looked at."""
        self.block_starts: Final = {2 * block.first for block in problem.blocks}

    # -- intervals

    def scan(self) -> None:
        """Where each virtual register begins, ends and is needed; what is blocked."""
        problem = self.problem
        blocks, instructions = problem.blocks, problem.instructions
        start, end, needs = self.start, self.end, self.needs
        blocked, hints = self.blocked, self.hints
        first_of = [0] * len(problem.classes)
        """The instruction in which it begins."""
        for block in blocks:
            for vreg in block.parameters:
                start[vreg] = end[vreg] = 2 * block.first
                first_of[vreg] = block.first
            for number in range(block.first, block.end):
                at = 2 * number
                insn = instructions[number]
                operands = insn.operands
                for register in insn.clobbers:
                    blocked[register].append((at + 1, -1))
                copied = [o.value for o in operands if o.constraint == REUSE]
                for index, (vreg, _, kind, position, constraint, value) in enumerate(operands):
                    if vreg < 0:
                        continue
                    where = at + position
                    if kind == DEF:
                        first_of[vreg] = number
                        if constraint == FIXED:
                            blocked[value].append((where, vreg))
                            if position != LATE:
                                blocked[value].append((at + 1, vreg))
                            start[vreg], end[vreg] = at + 1, at + 1
                            hints[vreg].append(value)
                        else:
                            if constraint == REUSE:
                                where = at
                                used = operands[value].vreg
                                hints[vreg].append(~used)
                            start[vreg], end[vreg] = where, at + 2
                            needs[vreg].append(where)
                    elif constraint == FIXED:
                        blocked[value].append((at, vreg))
                        if position == LATE:
                            blocked[value].append((at + 1, vreg))
                        end[vreg] = max(end[vreg], at + (number == block.first))
                        hints[vreg].append(value)
                    elif index in copied:
                        end[vreg] = max(end[vreg], at + (number == block.first))
                    else:
                        end[vreg] = max(end[vreg], where + 1)
                        needs[vreg].append(where)
            for arguments in block.arguments:
                for vreg in arguments:
                    end[vreg] = max(end[vreg], 2 * block.end)
        for positions in blocked.values():
            positions.sort()
        loops = _Loops(problem)
        for vreg, begin in enumerate(start):
            if begin >= 0 and end[vreg] > begin:
                last = -(-end[vreg] // 2)
                far = loops.end(first_of[vreg], last)
                if far > last:
                    end[vreg] = 2 * far
        for block in blocks:
            for successor, arguments in zip(block.successors, block.arguments):
                for parameter, argument in zip(blocks[successor].parameters, arguments):
                    hints[parameter].append(~argument)
                    hints[argument].append(~parameter)

    # -- handing out

    def hand_out(self) -> None:
        """Pieces in the order of their starts."""
        classes, starts, ends = self.problem.classes, self.start, self.end
        waiting = [(begin, vreg) for vreg, begin in enumerate(starts) if begin >= 0 and ends[vreg] > begin]
        heapify(waiting)
        turn = self._turn
        for begin, vreg in waiting:
            turn[vreg] = begin
        active: list[dict[int, tuple[int, int, int]]] = [{} for _ in self.order]
        """By class: register -> (end, virtual register, start)."""
        while waiting:
            begin, vreg = heappop(waiting)
            if turn[vreg] != begin:
                continue
            turn[vreg] = -1
            cls = classes[vreg]
            taken = active[cls]
            for register in [r for r, one in taken.items() if one[0] <= begin]:
                del taken[register]
            self._place(vreg, begin, taken, cls, waiting)

    def _place(
        self, vreg: int, begin: int, taken: dict[int, tuple[int, int, int]], cls: int, waiting: list[tuple[int, int]]
    ) -> None:
        end = self.end[vreg]
        need = self._need(vreg, begin)
        best, until = self._free(vreg, begin, end, taken, cls)
        if until >= end:
            self._take(vreg, begin, end, best, taken)
            return
        cut = until & ~1
        if cut > begin and 0 <= need < cut:
            self._take(vreg, begin, cut, best, taken)
            self._again(vreg, cut, waiting)
            return
        if not begin <= need <= begin | 1:
            self._spill(vreg, begin, waiting)
            return
        if until > need:
            self._take(vreg, begin, until, best, taken)
            self._spill(vreg, until, waiting)
            return
        self._evict(vreg, begin, end, taken, cls, waiting)

    def _again(self, vreg: int, at: int, waiting: list[tuple[int, int]]) -> None:
        """Its rest is looked at when it is its turn."""
        self._turn[vreg] = at
        heappush(waiting, (at, vreg))

    def _need(self, vreg: int, at: int) -> int:
        """The next position at which it must be in a register; -1: none."""
        needs = self.needs[vreg]
        place = bisect_left(needs, at)
        return needs[place] if place < len(needs) else -1

    def _until(self, register: int, vreg: int, at: int) -> int:
        """The next position at which a register is blocked."""
        blocked = self.blocked.get(register)
        if not blocked:
            return 1 << 60
        place = bisect_left(blocked, (at, -2))
        while place < len(blocked):
            if blocked[place][1] != vreg:
                return blocked[place][0]
            place += 1
        return 1 << 60

    def _free(
        self, vreg: int, begin: int, end: int, taken: dict[int, tuple[int, int, int]], cls: int
    ) -> tuple[int, int]:
        """The register to take, and how long it is free."""
        for hint in self.hints[vreg]:
            if hint < 0:
                pieces = self.pieces[~hint]
                hint = pieces[-1][2] if pieces else NONE
            if 0 <= hint < SLOT and hint >> 6 == cls and hint not in taken and self._until(hint, vreg, begin) >= end:
                return hint, end
        best, longest = NONE, begin
        for register in self.order[cls]:
            if register not in taken:
                until = self._until(register, vreg, begin)
                if until >= end:
                    return register, until
                if until > longest:
                    best, longest = register, until
        return best, longest

    def _take(self, vreg: int, begin: int, end: int, register: int, taken: dict[int, tuple[int, int, int]]) -> None:
        taken[register] = (end, vreg, begin)
        self.pieces[vreg].append((begin, end, register))

    def _spill(self, vreg: int, begin: int, waiting: list[tuple[int, int]]) -> None:
        """On the stack until a register is needed."""
        if begin >= self.end[vreg]:
            return
        if self.slot[vreg] == NONE:
            size = self.problem.slot_sizes[self.problem.classes[vreg]]
            self.slots = -(-self.slots // size) * size
            self.slot[vreg] = SLOT + self.slots
            self._slot_class[SLOT + self.slots] = self.problem.classes[vreg]
            self.slots += size
        need = self._need(vreg, begin)
        until = self.end[vreg] if need < 0 else need & ~1
        if until > begin:
            self.pieces[vreg].append((begin, until, self.slot[vreg]))
        if need >= 0:
            self._again(vreg, max(until, begin), waiting)

    def _evict(
        self,
        vreg: int,
        begin: int,
        end: int,
        taken: dict[int, tuple[int, int, int]],
        cls: int,
        waiting: list[tuple[int, int]],
    ) -> None:
        """Somebody else gives way."""
        best, latest, mine = NONE, -1, self._need(vreg, begin)
        for register in self.order[cls]:
            one = taken.get(register)
            if one is None or self._until(register, vreg, begin) <= mine:
                continue
            other = one[1]
            need = self._need(other, begin)
            if need == begin or (need == begin + 1 and not begin & 1):
                continue
            when = need if need >= 0 else 1 << 60
            if when > latest:
                best, latest = register, when
        if best == NONE:
            raise InternalError(f"no register of class {cls} can be freed for v{vreg} at {begin}")
        _, other, start = taken.pop(best)
        pieces = self.pieces[other]
        assert pieces[-1][0] == start
        old_end = pieces[-1][1]
        if start < begin:
            pieces[-1] = (start, begin, best)
        else:
            pieces.pop()
        if old_end < self.end[other]:
            self._turn[other] = -1
        self._spill(other, begin, waiting)
        until = min(self._until(best, vreg, begin), end)
        if until >= end:
            self._take(vreg, begin, end, best, taken)
        elif (until & ~1) > begin:
            self._take(vreg, begin, until & ~1, best, taken)
            self._again(vreg, until & ~1, waiting)
        else:
            self._take(vreg, begin, until, best, taken)
            self._spill(vreg, until, waiting)

    # -- places and moves

    def at(self, vreg: int, position: int) -> int:
        """Where it is at a position."""
        pieces = self.pieces[vreg]
        if len(pieces) == 1:
            return pieces[0][2]
        place = bisect_right(pieces, (position, 1 << 60)) - 1
        return pieces[max(place, 0)][2]

    def answer(self) -> Solution:
        """Everything."""
        problem = self.problem
        firsts = {block.first for block in problem.blocks}
        places = []
        for number, insn in enumerate(problem.instructions):
            at = 2 * number
            row = []
            before = self.moves[number, BEFORE, _COPIED] if insn.operands else []
            for operand in insn.operands:
                vreg, _, kind, _, constraint, value = operand
                if constraint == FIXED:
                    place = value
                    if vreg >= 0 and kind != DEF:
                        before.append((self._before(vreg, number, firsts), place))
                    elif vreg >= 0 and self.pieces[vreg]:
                        self._defined(vreg, number, place)
                elif kind == DEF:
                    place = self.pieces[vreg][0][2]
                    self._defined(vreg, number, place)
                else:
                    place = self.at(vreg, at)
                row.append(place)
            for index, operand in enumerate(insn.operands):
                if operand.constraint == REUSE:
                    source = insn.operands[operand.value]
                    before.append((self._before(source.vreg, number, firsts), row[index]))
                    row[operand.value] = row[index]
            places.append(tuple(row))
        self._between()
        self._edges()
        return Solution(tuple(places), tuple(self._in_turn()), self.slots)

    def _before(self, vreg: int, number: int, firsts: set[int]) -> int:
        """Where it is before the moves that stand before an instruction."""
        at = 2 * number
        return self.at(vreg, at if number in firsts else max(at - 1, self.start[vreg]))

    def _defined(self, vreg: int, number: int, place: int) -> None:
        """Moves after the instruction that defines it."""
        after = self.moves[number, AFTER, 0]
        goal = self.pieces[vreg][0][2]
        if goal != place:
            after.append((place, goal))
        if self.slot[vreg] not in (NONE, goal):
            after.append((place, self.slot[vreg]))

    def _between(self) -> None:
        """Moves between the pieces of one virtual register inside of blocks, and stores of parameters."""
        starts = self.block_starts
        for vreg, pieces in enumerate(self.pieces):
            for (_, _, source), (begin, _, target) in pairwise(pieces):
                if target >= SLOT or source == target or begin in starts:
                    continue
                if begin & 1:
                    raise InternalError(f"a move inside of an instruction, of v{vreg} at {begin}")
                self.moves[begin // 2, BEFORE, _COPIED].append((source, target))
        for block in self.problem.blocks:
            for vreg in block.parameters:
                slot = self.slot[vreg]
                if slot != NONE and self.pieces[vreg] and self.pieces[vreg][0][2] != slot:
                    self.moves[block.first, BEFORE, _STORED].append((self.pieces[vreg][0][2], slot))

    def _edges(self) -> None:
        """Moves on edges. Only what is cut between an edge's two ends is elsewhere at the other end."""
        blocks = self.problem.blocks
        cuts = sorted((begin, v) for v, pieces in enumerate(self.pieces) for begin, _, _ in pieces[1:])
        cut_at = [begin for begin, _ in cuts]
        for block in blocks:
            end = 2 * block.end - 1
            for index, successor in enumerate(block.successors):
                goal = blocks[successor]
                begin = 2 * goal.first
                low, high = min(end, begin), max(end, begin)
                found: list[tuple[int, int]] = []
                for vreg in dict.fromkeys(v for _, v in cuts[bisect_right(cut_at, low) : bisect_right(cut_at, high)]):
                    if self.start[vreg] < min(end + 1, begin) and self.end[vreg] > high:
                        source, target = self.at(vreg, end), self.at(vreg, begin)
                        if source != target and target < SLOT:
                            found.append((source, target))
                if index < len(block.arguments):
                    for argument, parameter in zip(block.arguments[index], goal.parameters):
                        if self.pieces[parameter]:
                            source, target = self.at(argument, end), self.pieces[parameter][0][2]
                            if source != target:
                                found.append((source, target))
                if found:
                    if len(block.successors) == 1:
                        self.moves[block.end - 1, BEFORE, _EDGE_OUT] += found
                    else:
                        self.moves[goal.first, BEFORE, _EDGE_IN] += found

    def _in_turn(self) -> list[Edit]:
        done: list[Edit] = []
        scratch = self.problem.environment.scratch
        for (number, side, _), moves in sorted(self.moves.items()):
            if not moves:
                continue
            by_class: dict[int, list[tuple[int, int]]] = defaultdict(list)
            for source, target in dict.fromkeys(moves):
                by_class[self._class(source, target)].append((source, target))
            for cls, some in by_class.items():
                for source, target in in_turn(some, scratch[cls], self._spare):
                    if NONE in (source, target):
                        raise Unsupported(f"moves of class {cls} that need a scratch register, and there is none")
                    done.append(Edit(number, side, source, target))
        return done

    def _class(self, source: int, target: int) -> int:
        register = source if source < SLOT else target
        return register >> 6 if register < SLOT else self._slot_class[source]

    def _spare(self) -> int:
        self.slots += 2
        return SLOT + self.slots - 2


def allocate(problem: Problem) -> Solution:
    """Places for all operands, and the moves between them. An operand that may be anywhere is in a register.
    Unsupported: operands that must be on the stack or in one of the first registers, and moves that need a scratch
    register where the environment has none."""
    if any(operand.constraint in _LACKING for insn in problem.instructions for operand in insn.operands):
        raise Unsupported("operands that must be on the stack, or in one of the first registers")
    made = _Allocator(problem)
    made.scan()
    made.hand_out()
    return made.answer()
