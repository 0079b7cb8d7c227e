"""Flags between own instructions: who reads them, and for whom they were written.

The one idea: compilers emit the writer of flags and its reader together, so flags are read right after the instruction
that wrote them, except for moves, other readers and constants (`Abi.flags_wait`), and what only compares is read in its
block. Where nothing writes flags except what is asked to (`Abi.flags_asked`), that holds of all writers.
Which of the flags are meant is not asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from liftcheck.isa.abi import Abi
from liftcheck.mach.insn import CONTROL, FLAGS, ORDINARY, Insn
from liftcheck.oracles.regalloc.code import order
from liftcheck.oracles.regalloc.code.layout import Placed


class Flags:
    """What is known of the flags before the next instruction of a block. `lasts`: the last instruction of a block ->
    how many successors it has."""

    def __init__(self, abi: Abi, lasts: Mapping[int, int]) -> None:
        self._abi: Final = abi
        self._lasts: Final = lasts
        self._fresh = False
        """Whether they may be read."""
        self._compared: tuple[int, Placed] | None = None
        """What wrote them, and its instruction, if they are unread and must be read."""

    def enter_block(self) -> None:
        """Nothing is carried over from another block."""
        self._fresh = False
        self._compared = None

    def unread(self, instruction: int, own: Sequence[Placed], results: bool) -> list[tuple[int, Placed]]:
        """What wrote flags that were not read before the end of these bytes. `results`: they may do something that
        the program also wants."""
        found = [] if self._compared is None else self._overwritten(instruction, own)
        if self._abi.flags_asked:
            found += self._asked(instruction, own)
        elif own and not results and FLAGS in own[-1].machine.writes and _only_compares(own):
            self._compared = instruction, own[-1]
        return found

    def _overwritten(self, instruction: int, own: Sequence[Placed]) -> list[tuple[int, Placed]]:
        """A comparison is there for who reads its flags, in the same block."""
        reads = any(FLAGS in machine.reads for _, machine in own)
        writes = any(FLAGS in machine.writes for _, machine in own)
        if self._compared is None or (not reads and not writes and instruction not in self._lasts):
            return []
        before, self._compared = self._compared, None
        if self._abi.flags_asked:
            reads = any(FLAGS in m.reads for m in [m for _, m in own if FLAGS in m.reads | m.writes][:1])
        gone = self._lasts.get(instruction, 0) > 1  # of a branch whose ways are one nothing is left
        return [] if reads or gone else [before]

    def _asked(self, instruction: int, own: Sequence[Placed]) -> list[tuple[int, Placed]]:
        """All that writes flags; the last one's may be read later."""
        found: list[tuple[int, Placed]] = []
        for placed in own:
            reads, writes = FLAGS in placed.machine.reads, FLAGS in placed.machine.writes
            if writes and not reads and self._compared is not None and self._compared[0] == instruction:
                found.append(self._compared)
            if writes:
                self._compared = instruction, placed
            elif reads:
                self._compared = None
        return found

    def plain(self, machine: Insn, uses: bool) -> None:
        """A lone instruction stands here."""
        self._fresh = FLAGS in machine.writes or (self._fresh and self._abi.flags_wait and not uses)

    def stale(
        self, own: Sequence[Placed], read: Collection[int], written: Collection[int], uses: bool
    ) -> Placed | None:
        """Who reads flags that nothing wrote. Bytes that compare have their own."""
        reads = FLAGS in read
        compares = reads and any(order.only_compares(m) and FLAGS not in m.reads for _, m in own)
        stale = reads and (compares or not self._fresh)
        stays = reads or (self._abi.flags_wait and not uses)
        self._fresh = FLAGS in written or (stays and self._fresh)
        return next(step for step in own if FLAGS in step.machine.reads) if stale else None


def _only_compares(own: Sequence[Placed]) -> bool:
    """Whether bytes have no useful effect except on flags."""
    return all(m.flow == ORDINARY and m.writes <= {FLAGS, CONTROL} for _, m in own)
