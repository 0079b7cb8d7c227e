"""Nodes back to instructions: each where it is needed first, out of loops where it can be, constants where they are.

The one idea: blocks are walked down the dominator tree, and a class is placed when something asks for it, at the end of
what the block has so far: its operands first, with a stack of our own. What was placed in a block that dominates is
used again. A node all of whose operands are there before a loop goes to the end of the block that the loop is entered
from (the immediate dominator of its head), from the outermost loop that allows it. Constants cost less than a register
that lives long: they are made again in each block.
"""

from __future__ import annotations

from typing import Final

from liftcheck.clif.cfg import Cfg
from liftcheck.clif.edit import constant
from liftcheck.clif.ir import NO_FLAGS, Function, Inst, MemFlags
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import Type
from liftcheck.errors import InternalError
from liftcheck.opt.egraph import IMMEDIATE, Graph, Node, operands
from liftcheck.opt.loops import Loops


class Placer:
    """Gives instructions to `bodies` (block -> its instructions so far); new values to `function.types`."""

    def __init__(
        self, graph: Graph, cfg: Cfg, function: Function, bodies: dict[int, list[Inst]], origins: dict[int, Inst]
    ) -> None:
        self.graph: Final = graph
        self.cfg: Final = cfg
        self.loops: Final = Loops(cfg)
        self.function: Final = function
        self.bodies: Final = bodies
        self.origins: Final = origins
        """Class -> the instruction that it was first."""
        self.line = 0
        """The line of what asks: constants belong to it."""
        self.at: Final[dict[int, tuple[int, int]]] = {}
        """Class -> where it was placed last: the block, the value."""
        self.several: Final[dict[int, tuple[int, ...]]] = {}
        """Of a class of several results, the values."""
        self.next = max(function.types, default=-1) + 1

    def _there(self, one: int, block: int) -> tuple[int, int] | None:
        found = self.at.get(one)
        if found is None or found[0] == block:
            return found
        node = self.graph.best[one]
        if node is not None and node[0] == "const":
            return None
        return found if self.cfg.dominates(found[0], block) else None

    def value(self, want: int, block: int) -> int:
        """The value of a class at the end of what a block has so far."""
        found = self._there(want, block)
        if found is not None:
            return found[1]
        stack = [want]
        while stack:
            one = stack[-1]
            if self._there(one, block) is not None:
                stack.pop()
                continue
            node = self.graph.best[one]
            if node is None:
                raise InternalError(f"class {one} is asked for where it is not defined")
            lacking = [o for o in operands(node) if self._there(o, block) is None]
            if lacking:
                stack += lacking
                continue
            stack.pop()
            self._place(one, node, block)
        return self.at[want][1]

    def _place(self, one: int, node: Node, block: int) -> None:
        if node[0] == "const":
            value, made = constant(self.function, node[1], node[2])
            self.next = max(self.next, value + 1)
            for inst in made:
                inst.line = self.line
            self.bodies[block] += made
            self.at[one] = (block, value)
            return
        if node[0] == "result":
            self.at[one] = (self.at[node[2]][0], self.several[node[2]][node[3]])
            return
        to = self._outside(node, block)
        args = tuple([self._at(o, to) for o in operands(node)])
        types = OPCODES[node[0]].result_types(node[1])
        values = tuple(self._fresh(ty) for ty in types)
        imm, flags, offset = (node[2] if node[0] in IMMEDIATE else None), NO_FLAGS, 0
        if node[0] == "bitcast":
            imm, flags = None, MemFlags(endianness=node[2])
        elif node[0] == "stack_addr":
            imm, offset = node[2]
        origin = self.origins.get(one)
        loc, line = (None, self.line) if origin is None else (origin.loc, origin.line)
        self.bodies[to].append(Inst(node[0], node[1], values, args, imm, flags, offset, loc=loc, line=line))
        self.at[one] = (to, values[0])
        if len(values) > 1:
            self.several[one] = values

    def _at(self, one: int, to: int) -> int:
        """The value of an operand: a constant is made again where it is needed."""
        found = self._there(one, to)
        if found is None:
            node = self.graph.best[one]
            assert node is not None
            self._place(one, node, to)
            found = self.at[one]
        return found[1]

    def _fresh(self, ty: Type) -> int:
        value = self.next
        self.next = value + 1
        self.function.types[value] = ty
        return value

    def _outside(self, node: Node, block: int) -> int:
        """The block that a node goes to."""
        loops, cfg = self.loops, self.cfg
        head = loops.inner.get(block)
        to = block
        if head is None:
            return to
        needs = []
        for o in operands(node):
            best = self.graph.best[o]
            if best is None or best[0] != "const":
                needs.append(self.at[o][0])
        while head is not None and head in cfg.idom:
            before = cfg.idom[head]
            if not all(cfg.dominates(need, before) for need in needs):
                break
            to = before
            head = loops.around.get(head)
        return to
