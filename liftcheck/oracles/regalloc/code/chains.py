"""Where a jump to a block may end: at its label, and of a block that is nothing but a jump also where that leads.

The one idea: blocks that only jump make a forest over where they jump to, in which 'control may be sent on from here to
there' is 'there stands above here', a question of intervals. So chains of such blocks may be of any length, and any
number of labels may stand at one place. Blocks that jump in a circle count as one.
It judges nothing (`jumps` does).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from liftcheck.clif.dominators import Tree

Labels = Mapping[int, tuple[int, int]]
"""Block -> the lowest and the highest offset where its label may stand."""
Spans = list[tuple[int, int]]
"""Intervals of the forest's numbers, in order, none within another."""


class Chains:
    """All blocks' labels, and the forest. `onward`: block -> where it only jumps to."""

    def __init__(self, count: int, onward: Mapping[int, int], labels: Labels) -> None:
        same = _circles(onward)
        above = {block: same.get(to, to) for block, to in onward.items() if block not in same}
        tree = Tree(*_ordered(count, above))
        self.spans: Final = [tree.span(same.get(block, block)) for block in range(count)]
        exact: dict[int, list[int]] = {}
        wide: dict[tuple[int, int], list[int]] = {}
        for block, (low, high) in labels.items():
            exact.setdefault(high, []).append(block)
            if low != high:
                wide.setdefault((low, high), []).append(block)
        self._exact: Final = {offset: self._outermost(blocks) for offset, blocks in exact.items()}
        self._wide: Final = [(where, self._outermost(blocks)) for where, blocks in sorted(wide.items())]
        self._lows: Final = [low for (low, _), _ in self._wide]
        self._reach: Final = list(accumulate((high for (_, high), _ in self._wide), max))

    def _outermost(self, blocks: Iterable[int]) -> Spans:
        found: Spans = []
        for start, end in sorted((self.spans[block] for block in blocks), key=lambda span: (span[0], -span[1])):
            if not found or start >= found[-1][1]:
                found.append((start, end))
        return found

    def at(self, offset: int) -> list[Spans]:
        """The blocks from which control may get to a label at this offset."""
        found = [self._exact[offset]] if offset in self._exact else []
        place = bisect_right(self._lows, offset) - 1
        while place >= 0 and self._reach[place] > offset:
            (_, high), spans = self._wide[place]
            if offset < high:
                found.append(spans)
            place -= 1
        return found


class Ends:
    """Where jumps to some blocks may end."""

    def __init__(self, chains: Chains, blocks: Sequence[int]) -> None:
        self._chains: Final = chains
        pairs = sorted((chains.spans[block][0], block) for block in dict.fromkeys(blocks))
        self._starts: Final = [start for start, _ in pairs]
        self._blocks: Final = [block for _, block in pairs]
        self._known: Final[dict[int, set[int]]] = {}

    def at(self, offset: int) -> set[int]:
        """The blocks that a jump to this offset gets to."""
        if offset not in self._known:
            self._known[offset] = {block for spans in self._chains.at(offset) for block in self._below(spans)}
        return self._known[offset]

    def reached(self) -> set[int]:
        """The blocks that some jump got to."""
        return set().union(*self._known.values())

    def _below(self, spans: Spans) -> Iterable[int]:
        starts, blocks = self._starts, self._blocks
        if len(spans) <= len(blocks):
            for start, end in spans:
                yield from blocks[bisect_left(starts, start) : bisect_left(starts, end)]
            return
        for start, block in zip(starts, blocks):
            place = bisect_right(spans, (start, 1 << 62)) - 1
            if place >= 0 and start < spans[place][1]:
                yield block


def _circles(onward: Mapping[int, int]) -> dict[int, int]:
    """Blocks that jump in a circle -> the one that stands for all of it."""
    found: dict[int, int] = {}
    walked: dict[int, int] = {}
    for first in onward:
        block = first
        while block in onward and block not in walked:
            walked[block] = first
            block = onward[block]
        if walked.get(block) == first and block not in found:
            at = block
            while at not in found:
                found[at] = block
                at = onward[at]
    return found


def _ordered(count: int, above: Mapping[int, int]) -> tuple[list[int], dict[int, int]]:
    """The forest as one tree below -1: its nodes, each after the one above it."""
    below: dict[int, list[int]] = {}
    up = {block: above.get(block, -1) for block in range(count)}
    for block, parent in up.items():
        below.setdefault(parent, []).append(block)
    order = [-1]
    for block in order:
        order += below.get(block, ())
    return order, up
