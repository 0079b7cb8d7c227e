"""Control flow of one function: successors, predecessors, reverse postorder, dominators.

The one idea: computed once, whole, without recursion, over block numbers; what is unreachable has no place in the order
and is dominated by nothing and dominates nothing but itself.
Source for the dominators: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
"""

from __future__ import annotations

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

    __slots__ = ("_depth", "blocks", "idom", "order", "place", "preds", "succs")

    def __init__(self, func: Function) -> None:
        self.blocks = {block.number: block for block in func.blocks}
        known = self.blocks
        self.succs = {number: [s for s in successors(block) if s in known] for number, block in known.items()}
        self.preds: dict[int, list[int]] = {number: [] for number in self.blocks}
        for number, succs in self.succs.items():
            for succ in succs:
                self.preds[succ].append(number)
        self.order = _reverse_postorder(func.blocks[0].number, self.succs) if func.blocks else []
        self.place = {number: place for place, number in enumerate(self.order)}
        self.idom = self._dominators()
        self._depth = self._depths()

    def _dominators(self) -> dict[int, int]:
        place, idom = self.place, {number: number for number in self.order[:1]}
        changed = True
        while changed:
            changed = False
            for number in self.order[1:]:
                new = None
                for pred in self.preds[number]:
                    if pred in idom:
                        new = pred if new is None else _meet(pred, new, idom, place)
                if new is not None and idom.get(number) != new:
                    idom[number] = new
                    changed = True
        for entry in self.order[:1]:
            del idom[entry]
        return idom

    def _depths(self) -> dict[int, int]:
        depth: dict[int, int] = {}
        for number in self.order:
            depth[number] = depth[self.idom[number]] + 1 if number in self.idom else 0
        return depth

    def is_reachable(self, number: int) -> bool:
        return number in self.place

    def dominates(self, above: int, below: int) -> bool:
        """Does every path from the entry to `below` pass `above`? False if either is unreachable, unless the same."""
        if above == below:
            return True
        depth = self._depth
        if above not in depth or below not in depth:
            return False
        while depth[below] > depth[above]:
            below = self.idom[below]
        return above == below


def _meet(one: int, other: int, idom: dict[int, int], place: dict[int, int]) -> int:
    while one != other:
        while place[one] > place[other]:
            one = idom[one]
        while place[other] > place[one]:
            other = idom[other]
    return one


def _reverse_postorder(entry: int, succs: dict[int, list[int]]) -> list[int]:
    seen, done = {entry}, []
    stack = [(entry, iter(succs[entry]))]
    while stack:
        number, rest = stack[-1]
        for succ in rest:
            if succ not in seen:
                seen.add(succ)
                stack.append((succ, iter(succs[succ])))
                break
        else:
            done.append(number)
            stack.pop()
    return done[::-1]
