"""Control flow of one function: successors, predecessors, reverse postorder, dominators.

The one idea: computed once, whole, without recursion, over block numbers; what is unreachable has no place in the order
and is dominated by nothing and dominates nothing but itself.
The dominators are those of `dominators.py`.
"""

from __future__ import annotations

from liftcheck.clif.dominators import Tree, Walk, immediate_dominators
from liftcheck.clif.ir import Block, BlockCall, ExceptionTable, Function, Inst


def table_calls(table: ExceptionTable) -> list[BlockCall]:
    """The edges of an exception table: handlers first, the normal return last."""
    handlers = [item[-1] for item in table.items if isinstance(item[-1], BlockCall)]
    return [*handlers, table.normal]


def edges(inst: Inst) -> list[BlockCall]:
    """All edges of a terminator, in order."""
    if inst.table is not None:
        return [*inst.targets, *table_calls(inst.table)]
    return list(inst.targets)


def edge_values(inst: Inst) -> list[int]:
    """The values in a branch's block arguments and in an exception table."""
    found = [a for call in edges(inst) for a in call.args if isinstance(a, int)]
    if inst.table is not None:
        found += [item[1] for item in inst.table.items if item[0] == "context" and isinstance(item[1], int)]
    return found


def successors(block: Block) -> list[int]:
    """Numbers of the blocks that the last instruction may go to, with repetitions."""
    return [call.block for call in edges(block.insts[-1])] if block.insts else []


class Cfg:
    """The graph of a function. `order` is the reverse postorder of reachable blocks, `idom` maps each reachable block
    but the entry to its immediate dominator."""

    __slots__ = ("_tree", "blocks", "idom", "order", "place", "preds", "succs")

    def __init__(self, func: Function) -> None:
        self.blocks = {block.number: block for block in func.blocks}
        known = self.blocks
        self.succs = {number: [s for s in successors(block) if s in known] for number, block in known.items()}
        self.preds: dict[int, list[int]] = {number: [] for number in self.blocks}
        for number, succs in self.succs.items():
            for succ in succs:
                self.preds[succ].append(number)
        self.order: list[int] = []
        self.idom: dict[int, int] = {}
        if func.blocks:
            walk = Walk(func.blocks[0].number, self.succs)
            self.order = walk.postorder[::-1]
            self.idom = immediate_dominators(walk, self.preds)
        self.place = {number: place for place, number in enumerate(self.order)}
        self._tree = Tree(self.order, self.idom)

    @property
    def heads(self) -> frozenset[int]:
        """Blocks of which each loop has one: targets of edges that go back in reverse postorder."""
        return frozenset(s for number, at in self.place.items() for s in self.succs[number] if self.place[s] <= at)

    def is_reachable(self, number: int) -> bool:
        return number in self.place

    def dominates(self, above: int, below: int) -> bool:
        """Does every path from the entry to `below` pass `above`? False if either is unreachable, unless the same."""
        return above == below or self._tree.dominates(above, below)
