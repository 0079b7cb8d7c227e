"""A function and its allocation as the validator walks them: edges, the moves around each instruction, what is written.

The one idea: both worlds are made explicit once. The program's world are virtual registers, each defined once; the
machine's are places, where a spilled value fills one or more 8-byte cells from its slot on. What the compiler emits for
a list of edits is stated here: in each block the edits before and after its instructions, in their order, and none
after the block's last instruction (an edit there is never emitted).

It judges no allocation. A captured program that is not what an allocator may be given raises `Unsupported`: nothing can
be said of it. Sources: regalloc2's lib.rs (`Function`, `Edit`, `ProgPoint`, `Output`: what order edits happen in),
cranelift-codegen's `machinst/vcode.rs` (which of them are emitted).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from liftcheck.errors import Unsupported
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.regalloc.allocation import AFTER, DEF, Allocation

JUNK: Final = -1
"""What must not be relied on: left by a clobber, by half a value, by a move out of such a place."""

Moves = list[tuple[int, int]]


class Edge(NamedTuple):
    """The `number`-th way out of block `source`. `arguments`: parameter of `target` -> virtual register passed."""

    source: int
    number: int
    target: int
    arguments: dict[int, int]


class Program:
    """One function with its allocation. Lists by block are empty for blocks that the entry does not reach.

    before, after  instruction -> moves (source, target), as emitted
    misplaced      indices of edits that are never emitted
    order          blocks that the entry reaches, entry first
    out, into      edges by block
    width          places are below it
    defined_in     virtual register -> block of the instruction that defines it, NONE for parameters
    cells          class -> how many cells a spilled value fills
    """

    def __init__(self, allocation: Allocation) -> None:
        self.allocation: Final = allocation
        self.width: Final = SLOT + allocation.slots + max(allocation.slot_sizes)
        self.cells: Final = tuple(max(1, size) for size in allocation.slot_sizes)
        self.scratch: Final = tuple(place for place in allocation.environment.scratch if place != NONE)
        self.before: dict[int, Moves] = {}
        self.after: dict[int, Moves] = {}
        self.misplaced: list[int] = []
        _check_shape(allocation)
        self.out, self.into, self.order = _edges(allocation)
        self._place_edits()
        self.defined_in: Final = self._definitions()

    def _place_edits(self) -> None:
        lasts = {block.end - 1 for block in self.allocation.blocks}
        for number, (instruction, where, source, target) in enumerate(self.allocation.edits):
            if where == AFTER and instruction in lasts:
                self.misplaced.append(number)
            else:
                (self.after if where == AFTER else self.before).setdefault(instruction, []).append((source, target))

    def _definitions(self) -> list[int]:
        """Where each virtual register is defined. Unsupported if one is defined by two instructions."""
        classes = self.allocation.classes
        found = [NONE] * len(classes)
        seen = [NONE] * len(classes)
        for block in self.order:
            for parameter in self.allocation.blocks[block].parameters:
                if seen[parameter] != NONE:
                    raise Unsupported("the program is not in SSA form")
                seen[parameter] = -2
        for block in self.order:
            row = self.allocation.blocks[block]
            for number in range(row.first, row.end):
                for vreg, cls, kind, _, _, _ in self.allocation.instructions[number].operands:
                    if vreg == NONE:
                        continue
                    if cls != classes[vreg]:
                        raise Unsupported("an operand's class is not its virtual register's")
                    if kind == DEF:
                        if seen[vreg] not in (NONE, number):
                            raise Unsupported("the program is not in SSA form")
                        seen[vreg] = number
                        found[vreg] = block
        return found


def _check_shape(allocation: Allocation) -> None:
    """Whether the captured program is complete in itself."""
    at = 0
    count = len(allocation.instructions)
    for block in allocation.blocks:
        if block.first != at or block.end <= block.first:
            raise Unsupported("the captured blocks do not follow one another")
        at = block.end
    if at != count or len(allocation.places) != count:
        raise Unsupported("the captured blocks and places are not those of the instructions")
    vregs = len(allocation.classes)
    for instruction, places in zip(allocation.instructions, allocation.places):
        if len(instruction.operands) != len(places):
            raise Unsupported("an instruction has not as many places as operands")
        for operand in instruction.operands:
            if not NONE <= operand[0] < vregs:
                raise Unsupported("an operand names no virtual register")


def _edges(allocation: Allocation) -> tuple[list[list[Edge]], list[list[Edge]], list[int]]:
    """Ways out of and into each block that the entry reaches, and these blocks in the order of being found."""
    blocks = allocation.blocks
    out: list[list[Edge]] = [[] for _ in blocks]
    into: list[list[Edge]] = [[] for _ in blocks]
    reached = {0}
    order = [0] if blocks else []
    for source in order:
        row = blocks[source]
        if len(row.arguments) != len(row.successors):
            raise Unsupported("a block has not as many lists of arguments as successors")
        for number, (target, arguments) in enumerate(zip(row.successors, row.arguments)):
            edge = _edge(allocation, source, number, target, arguments)
            out[source].append(edge)
            into[target].append(edge)
            if target not in reached:
                reached.add(target)
                order.append(target)
    if blocks and blocks[0].parameters:
        raise Unsupported("the entry block has parameters")
    return out, into, order


def _edge(allocation: Allocation, source: int, number: int, target: int, arguments: tuple[int, ...]) -> Edge:
    if not 0 <= target < len(allocation.blocks):
        raise Unsupported("a branch leads to no block")
    parameters = allocation.blocks[target].parameters
    if len(parameters) != len(arguments) or len(set(parameters)) != len(parameters):
        raise Unsupported("a branch passes not as many arguments as its target has parameters")
    classes = allocation.classes
    for parameter, argument in zip(parameters, arguments):
        if not (0 <= parameter < len(classes) and 0 <= argument < len(classes)):
            raise Unsupported("an argument or a parameter is not a virtual register")
        if classes[parameter] != classes[argument]:
            raise Unsupported("an argument's class is not its parameter's")
    return Edge(source, number, target, dict(zip(parameters, arguments)))
