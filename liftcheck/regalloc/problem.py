"""What an allocator is asked and what it answers: `Problem`, `Solution`; together an `Allocation`, which is proven."""

from __future__ import annotations

from typing import NamedTuple

from liftcheck.regalloc.allocation import Block, Edit, Environment, Instruction


class Problem(NamedTuple):
    """A function before allocation. The entry is block 0, which nothing leads to; on an edge from a block with several
    successors to one with several predecessors stands a block. `classes`: of each virtual register; `slot_sizes`: words
    of a spill slot of each class."""

    blocks: tuple[Block, ...]
    instructions: tuple[Instruction, ...]
    classes: tuple[int, ...]
    environment: Environment
    slot_sizes: tuple[int, int, int]


class Solution(NamedTuple):
    """A place for each operand of each instruction; moves, sorted by place; how many words of spill slots."""

    places: tuple[tuple[int, ...], ...]
    edits: tuple[Edit, ...]
    slots: int
