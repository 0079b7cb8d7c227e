"""The mid-end: `optimize` makes of a function one that does the same in fewer and cheaper instructions.

The one idea: a function is a skeleton of what has effects, and nodes. Instructions that compute something go into the
e-graph (`egraph`, with the rules of `rules/`) and come back where the skeleton needs them (`place`); the skeleton is
walked down the dominator tree once, with what memory holds (`memory`) and what was done before: a division by the same
numbers, the same check. Where a condition is known, a branch is a jump, and then it is all done again: at most
`_ROUNDS` times.

What may trap stays where it is and in its order; only what did happen before on every way, in the same way, goes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from liftcheck.clif.cfg import Cfg
from liftcheck.clif.edit import copy_function, map_values
from liftcheck.clif.ir import Block, BlockCall, Function, Inst
from liftcheck.clif.opcodes import CONSTANTS, LOADS, OPCODES, STORES
from liftcheck.clif.semantics.meaning import constant, has_meaning
from liftcheck.opt.egraph import IMMEDIATE, Graph, Node
from liftcheck.opt.flow import tidy
from liftcheck.opt.memory import KEPT, Fact, Facts, Place, access_of, key_flags, loaded, place_of, stored
from liftcheck.opt.place import Placer
from liftcheck.opt.rules import beginnings, rules

_ROUNDS: Final = 4
PURE: Final = frozenset(
    name
    for name, row in OPCODES.items()
    if has_meaning(name) and row.results and not row.effects and name not in CONSTANTS
) | {"stack_addr", "func_addr"}
"""Opcodes of which instructions become nodes."""
_ONCE: Final = frozenset(name for name, row in OPCODES.items() if "idem" in row.effects and has_meaning(name))
"""Opcodes that may trap, and do nothing when the same was done before."""
_QUIET: Final = frozenset({"nop"})


def optimize(function: Function, trace: list[str] | None = None) -> Function:
    """A function that does the same. `trace`: gets 'file:line term' of the rules that matched."""
    if any(inst.op == "get_exception_handler_address" for block in function.blocks for inst in block.insts):
        return function  # it names a block, and an edge of it, which have to stay
    made = _without_aliases(copy_function(function))
    for _ in range(_ROUNDS):
        tidy(made)
        done = _Pass(made, trace)
        made = done.run()
        if not done.folded:
            break
    tidy(made)
    _drop_unused(made)
    return made


def _without_aliases(function: Function) -> Function:
    if function.aliases:
        names = function.aliases

        def rename(value: int) -> int:
            while value in names:
                value = names[value]
            return value

        for block in function.blocks:
            block.insts[:] = [map_values(inst, rename) for inst in block.insts]
        function.types = {v: ty for v, ty in function.types.items() if v not in names}
        function.aliases = {}
    return function


def _drop_unused(function: Function) -> None:
    """Types of values that are no more."""
    kept = {p for block in function.blocks for p, _ in block.params}
    kept.update(v for block in function.blocks for inst in block.insts for v in inst.results)
    function.types = {v: ty for v, ty in function.types.items() if v in kept}


class _Pass:
    """One walk over a function."""

    def __init__(self, function: Function, trace: list[str] | None) -> None:
        self.function: Final = function
        self.cfg: Final = Cfg(function)
        self.graph: Final = Graph(rules().term("simplify"), beginnings())
        self.graph.trace = trace
        self.classes: Final[dict[int, int]] = {}
        """Value -> class."""
        self.once: Final[dict[Node, tuple[int, tuple[int, ...]]]] = {}
        """What trapped or not before: the block, the results."""
        self.origins: Final[dict[int, Inst]] = {}
        self.slots: Final = {n: slot.size for n, slot in function.stack_slots.items()}
        self.folded = False
        """Whether a branch is gone."""

    def run(self) -> Function:
        """The function again."""
        function, cfg = self.function, self.cfg
        order = self._down()
        leaving: dict[int, Facts] = {}
        skeleton: dict[int, list[Inst]] = {}
        ended = set[int]()
        """Blocks that end in a trap now, and those that they dominate."""
        for number in order:
            if cfg.idom.get(number) in ended:
                ended.add(number)
                continue
            preds = cfg.preds[number]
            facts = leaving[preds[0]] if len(preds) == 1 and preds[0] in leaving else []
            skeleton[number], leaving[number] = self._block(cfg.blocks[number], list(facts))
            if skeleton[number][-1].op == "trap":
                ended.add(number)
        return self._placed([number for number in order if number in skeleton], skeleton) if order else function

    def _down(self) -> list[int]:
        """The blocks down the dominator tree, a subtree after the other."""
        below: dict[int, list[int]] = {number: [] for number in self.cfg.order}
        for number in self.cfg.order[1:]:
            below[self.cfg.idom[number]].append(number)
        found, waiting = [], self.cfg.order[:1]
        while waiting:
            number = waiting.pop()
            found.append(number)
            waiting += reversed(below[number])
        return found

    # -- into the graph

    def _block(self, block: Block, facts: Facts) -> tuple[list[Inst], Facts]:
        graph, classes = self.graph, self.classes
        for value, ty in block.params:
            classes[value] = graph.leaf(ty)
        kept: list[Inst] = []
        last: tuple[Place, Inst] | None = None
        for inst in block.insts:
            if inst.op in _QUIET or self._node(inst):
                continue
            if inst.op in LOADS and len(inst.results) == 1:
                if self._load(inst, facts):
                    continue
                last = None
            elif inst.op in STORES:
                facts, last = self._store(inst, facts, kept, last)
                continue
            elif inst.op in _ONCE:
                done = self._checked(inst, block.number)
                if done is None:
                    continue
                inst, last = done, None
            else:
                last = None
                facts = self._after(inst, facts)
                inst = self._branch(inst)
            kept.append(inst)
            for value in inst.results:
                classes.setdefault(value, graph.leaf(self.function.types[value]))
            if inst.op == "trap":
                break
        return kept, facts

    def _node(self, inst: Inst) -> bool:
        """Whether an instruction became a node."""
        op, graph = inst.op, self.graph
        row = OPCODES[op]
        if op in CONSTANTS:
            ty = row.result_types(inst.type)[0]
            imm = self.function.constants[inst.imm] if row.format.name == "UnaryConst" else inst.imm  # type: ignore[index]
            bits = constant(op, ty, imm)
            assert bits is not None
            self.classes[inst.results[0]] = graph.const(ty, bits)
            return True
        args = tuple([self.classes[a] for a in inst.args])
        if op not in PURE and not graph.cannot_trap(op, args):
            return False
        node: Node
        if op == "stack_addr":
            node = (op, inst.type, (inst.imm, inst.offset))
        elif op == "bitcast":
            node = (op, inst.type, inst.flags.endianness, *args)
        elif op in IMMEDIATE:
            node = (op, inst.type, inst.imm, *args)
        else:
            node = (op, inst.type, *args)
        found = graph.add(node)
        self.origins.setdefault(found, inst)
        if len(inst.results) == 1:
            self.classes[inst.results[0]] = found
        else:
            for place, (value, ty) in enumerate(zip(inst.results, row.result_types(inst.type))):
                self.classes[value] = graph.add(("result", ty, found, place))
        return True

    def _load(self, inst: Inst, facts: Facts) -> bool:
        """Whether what a load finds is known already; else there is a fact more."""
        ty = self.function.types[inst.results[0]]
        place = self._place(inst, access_of(inst, ty))
        known = loaded(self.graph, facts, inst, ty, place)
        if known is not None:
            self.classes[inst.results[0]] = known
            return True
        self.classes[inst.results[0]] = one = self.graph.leaf(ty)
        facts.append(Fact(place, key_flags(inst.flags), inst.op, ty, one))
        del facts[:-KEPT]
        return False

    def _place(self, inst: Inst, size: int) -> Place:
        at = OPCODES[inst.op].address
        assert at is not None
        return place_of(self.graph, self.slots, inst, self.classes[inst.args[at]], size)

    def _store(
        self, inst: Inst, facts: Facts, kept: list[Inst], last: tuple[Place, Inst] | None
    ) -> tuple[Facts, tuple[Place, Inst]]:
        at = OPCODES[inst.op].stored
        assert at is not None
        value = inst.args[at]
        ty = self.function.types[value]
        place = self._place(inst, access_of(inst, ty))
        if last is not None and last[0] == place and last[1].flags == inst.flags:
            kept.pop()  # what it stored is stored over before anybody looks
        facts = stored(facts, place)
        facts.append(Fact(place, key_flags(inst.flags), inst.op, ty, self.classes[value]))
        kept.append(inst)
        return facts, (place, inst)

    @staticmethod
    def _after(inst: Inst, facts: Facts) -> Facts:
        """The facts after something else."""
        row = OPCODES[inst.op]
        return [] if row.can_load or row.can_store or row.has_side_effect or row.is_call else facts

    def _checked(self, inst: Inst, block: int) -> Inst | None:
        """Something that may trap: itself, None if it does nothing, or the trap that it always is."""
        graph = self.graph
        args = tuple([self.classes[a] for a in inst.args])
        if inst.op in ("trapz", "trapnz"):
            bits = graph.constant(args[0])
            if bits is not None:
                if (bits == 0) != (inst.op == "trapz"):
                    return None
                self.folded = True
                return Inst("trap", None, imm=inst.imm, loc=inst.loc, line=inst.line)
        node = (inst.op, inst.type, *args)
        before = self.once.get(node)
        if before is not None and self.cfg.dominates(before[0], block):
            self.classes.update(zip(inst.results, before[1]))
            return None
        for value in inst.results:
            self.classes[value] = graph.leaf(self.function.types[value])
        self.once[node] = (block, tuple(self.classes[v] for v in inst.results))
        return inst

    def _branch(self, inst: Inst) -> Inst:
        """A branch whose way is known, as a jump."""
        if inst.op not in ("brif", "br_table"):
            return inst
        bits = self.graph.constant(self.classes[inst.args[0]])
        if bits is None:
            if all(target == inst.targets[0] for target in inst.targets):
                return self._jump(inst, inst.targets[0])
            return inst
        if inst.op == "brif":
            return self._jump(inst, inst.targets[0 if bits else 1])
        return self._jump(inst, inst.targets[bits + 1 if bits + 1 < len(inst.targets) else 0])

    def _jump(self, inst: Inst, to: BlockCall) -> Inst:
        self.folded = True
        return Inst("jump", None, targets=(to,), loc=inst.loc, line=inst.line)

    # -- out of it

    def _placed(self, order: list[int], skeleton: dict[int, list[Inst]]) -> Function:
        bodies: dict[int, list[Inst]] = {number: [] for number in order}
        ends: dict[int, Inst] = {}
        placer = Placer(self.graph, self.cfg, self.function, bodies, self.origins)
        for number in order:
            for value, _ in self.cfg.blocks[number].params:
                placer.at[self.classes[value]] = (number, value)
            for inst in skeleton[number]:
                placer.line = inst.line
                made = self._emitted(placer, inst, number)
                for value in inst.results:
                    placer.at.setdefault(self.classes[value], (number, value))
                if OPCODES[inst.op].terminator:
                    ends[number] = made
                else:
                    bodies[number].append(made)
        blocks = [
            dataclasses.replace(block, insts=[*bodies[block.number], ends[block.number]])
            for block in self.function.blocks
            if block.number in bodies
        ]
        return dataclasses.replace(self.function, blocks=blocks)

    def _emitted(self, placer: Placer, inst: Inst, number: int) -> Inst:
        if inst.op == "brif":
            inst, condition = self._condition(inst)
            args: dict[Any, int] = {inst.args[0]: placer.value(condition, number)}
            ty = self.graph.types[condition]
            made = map_values(dataclasses.replace(inst, args=()), lambda v: placer.value(self.classes[v], number))
            return dataclasses.replace(made, args=tuple(args.values()), type=ty)
        return map_values(inst, lambda v: placer.value(self.classes[v], number))

    def _condition(self, inst: Inst) -> tuple[Inst, int]:
        """A conditional branch, and the class that it is to ask about."""
        graph = self.graph
        one = self.classes[inst.args[0]]
        while True:
            node = graph.best[one]
            if node is None:
                return inst, one
            if node[0] == "icmp" and node[2] in ("eq", "ne") and graph.constant(node[4]) == 0 and node[1].lanes == 1:
                if node[2] == "eq":
                    inst = dataclasses.replace(inst, targets=inst.targets[::-1])
                one = node[3]
            elif node[0] in ("uextend", "sextend", "bmask", "ineg", "bswap", "bitrev") and node[1].lanes == 1:
                one = node[2]
            else:
                return inst, one
