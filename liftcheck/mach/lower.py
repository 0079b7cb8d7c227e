"""CLIF to machine code with virtual registers: the walk over a function that calls an ISA's rules.

The one idea: backward. Blocks are lowered in postorder and their instructions from the last to the first, so all who
use a value have been there before what defines it, and what nobody wants is never made; a rule that takes an operand's
own operands instead leaves the operand unwanted. Constants are made anew wherever they are used.

A value's virtual registers are what its users were given; what a rule gives for it is another name for the same.
What cannot be compiled is `Refused` by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from liftcheck.clif.cfg import edges
from liftcheck.clif.dominators import Walk
from liftcheck.clif.ir import BlockCall, Function, Inst
from liftcheck.clif.opcodes import CALLS, OPCODES, TERMINATORS
from liftcheck.clif.types import Type
from liftcheck.mach.vcode import JUMP, Form, Insn, VBlock, VCode

_AGAIN: Final = frozenset({"iconst", "f16const", "f32const", "f64const", "f128const", "vconst"})
"""Made anew for each user."""
_SEEN: Final = frozenset(
    name
    for name, op in OPCODES.items()
    if op.has_side_effect or op.can_load or op.can_store or op.can_trap or op.is_call or op.terminator
)
"""Lowered whether or not somebody wants the result."""


class Refused(Exception):
    """What this compiler does not have, by name."""


class Rules(Protocol):
    """An ISA's part of lowering."""

    def classes(self, low: Lowering, ty: Type) -> Sequence[int]:
        """The register class of each part of a value, the lowest bits first. Refused."""

    def lower(self, low: Lowering, inst: Inst) -> Sequence[Sequence[int]] | None:
        """The registers of each result; None: there is no rule."""

    def branch(self, low: Lowering, inst: Inst, targets: Sequence[int]) -> object:
        """A terminator with more than one successor; None: there is no rule."""

    def enter(self, low: Lowering) -> None:
        """What the function is given, into the registers of the entry's parameters."""

    def leave(self, low: Lowering, values: Sequence[int]) -> None:
        """The return."""

    def call(self, low: Lowering, inst: Inst) -> Sequence[Sequence[int]]:
        """A call, tail calls too: the registers of the results."""


class Lowering:
    """One function on its way. `has`: the ISA's extensions that are on; `trace`: what rules matched, or None."""

    def __init__(
        self,
        function: Function,
        rules: Rules,
        has: frozenset[str],
        settings: Mapping[str, str],
        trace: list[str] | None,
    ) -> None:
        self.function: Final = function
        self.types: Final = function.types
        self.has: Final = has
        self.settings: Final = settings
        self.trace = trace
        self.access_trap = ""
        """The code of a trap at the access that is being lowered."""
        self.code: Final = VCode(convention=function.signature.call_conv)
        self.defined: Final[dict[int, Inst]] = {}
        self.area = -1
        """The register with the address of the area for results."""
        self.rules: Final = rules
        self._registers: Final[dict[int, tuple[int, ...]]] = {}
        self._alias: Final[dict[int, int]] = {}
        self._out: list[Insn] = []
        self._line = 0
        self._entry_apart = False
        self._given: dict[int, tuple[int, ...]] = {}
        self._index: Final[dict[int, int]] = {}
        self._on_edge: Final[dict[tuple[int, int], int]] = {}
        """(block, place of the edge) -> the block on it."""

    # -- what rules use

    def temp(self, cls: int = 0) -> int:
        """A new virtual register."""
        self.code.classes.append(cls)
        return len(self.code.classes) - 1

    def emit(self, form: Form, registers: tuple[int, ...], extra: tuple[Any, ...] = (), trap: str = "") -> None:
        """The next machine instruction."""
        self._out.append(Insn(form, registers, extra, trap, self._line))

    def regs(self, value: int) -> tuple[int, ...]:
        """The registers of a value that an instruction uses."""
        inst = self.defined.get(value)
        if inst is not None and inst.op in _AGAIN:
            return tuple(self._lowered(inst)[0])
        found = self._registers.get(value)
        if found is None:
            found = self._registers[value] = tuple(map(self.temp, self.rules.classes(self, self.types[value])))
        return found

    def reg(self, value: int) -> int:
        """The register, or the lowest one, of a value."""
        return self.regs(value)[0]

    def wanted(self, value: int) -> tuple[int, ...] | None:
        """The registers that users of a value were given; None: there are none."""
        return self._registers.get(value)

    def same(self, virtual: int, as_: int) -> None:
        """Two virtual registers are one."""
        self._alias[virtual] = as_

    # -- the walk

    def run(self) -> VCode:
        """The whole function."""
        blocks = {block.number: block for block in self.function.blocks}
        for block in self.function.blocks:
            for inst in block.insts:
                if len(inst.results) == 1:
                    self.defined[inst.results[0]] = inst
        goes = {n: [call.block for call in edges(block.insts[-1])] for n, block in blocks.items()}
        entry = self.function.blocks[0].number
        order = Walk(entry, goes).postorder[::-1]
        self._place(order, goes, entry)
        self._slots()
        for number in reversed(order):
            self._block(number, blocks[number].insts, blocks[number].params, blocks[number].cold)
        first = self.code.blocks[self._index[entry]]
        for value, _ in blocks[entry].params:
            if self._entry_apart:
                self.regs(value)
        if self._entry_apart:
            first.params = [r for value, _ in blocks[entry].params for r in self.regs(value)]
            first = self.code.blocks[0]
            given = [tuple(map(self.temp, self.rules.classes(self, ty))) for _, ty in blocks[entry].params]
            self._given = dict(zip([value for value, _ in blocks[entry].params], given))
            first.insns = [Insn(JUMP, (), (self._index[entry],))]
            first.successors, first.arguments = [self._index[entry]], [tuple(r for regs in given for r in regs)]
        self._out = []
        self._line = 0
        self.rules.enter(self)
        first.insns[:0] = self._out
        self._resolve()
        return self.code

    def parameter(self, value: int) -> tuple[int, ...] | None:
        """The registers of a parameter of the entry; None if nobody wants it."""
        return self._given.get(value) if self._entry_apart else self._registers.get(value)

    def _place(self, order: Sequence[int], goes: Mapping[int, Sequence[int]], entry: int) -> None:
        """Blocks in their order, those on edges after the one that they come from."""
        coming: dict[int, int] = {}
        for number in order:
            for target in goes[number]:
                coming[target] = coming.get(target, 0) + 1
        self._entry_apart = entry in coming
        made = self.code.blocks
        if self._entry_apart:
            made.append(VBlock())
        last = {block.number: block.insts[-1] for block in self.function.blocks}
        for number in order:
            self._index[number] = len(made)
            made.append(VBlock(clif=number))
            calls = edges(last[number])
            if len(calls) > 1:
                for place, call in enumerate(calls):
                    if call.args or coming[call.block] > 1:
                        self._on_edge[number, place] = len(made)
                        made.append(VBlock())

    def _slots(self) -> None:
        at = 0
        for number, slot in self.function.stack_slots.items():
            unit = max(8, slot.align)
            if unit > 16:
                raise Refused("a stack slot aligned to more than 16 bytes")
            at = -(-at // unit) * unit
            self.code.slots[number] = at
            at += slot.size
        self.code.slot_bytes = at

    def _block(self, number: int, insts: Sequence[Inst], params: Sequence[tuple[int, Type]], cold: bool) -> None:
        index = self._index[number]
        made = self.code.blocks[index]
        made.cold = cold
        done: list[Insn] = []
        last = insts[-1]
        self._out, self._line = [], last.line
        self._end(number, index, last)
        done += reversed(self._out)
        for inst in reversed(insts[:-1]):
            if inst.op not in _SEEN and not any(value in self._registers for value in inst.results):
                continue
            if inst.op in _AGAIN or inst.op == "nop":
                continue
            self._out, self._line = [], inst.line
            for value, regs in zip(inst.results, self._lowered(inst)):
                mine = self._registers.get(value)
                if mine is not None:
                    for one, other in zip(mine, regs, strict=True):
                        self._alias[one] = other
            done += reversed(self._out)
        done.reverse()
        made.insns = done
        if number != self.function.blocks[0].number:
            made.params = [register for value, _ in params for register in self.regs(value)]

    def _lowered(self, inst: Inst) -> Sequence[Sequence[int]]:
        if inst.op in CALLS:
            return self.rules.call(self, inst)
        found = self.rules.lower(self, inst)
        if found is None:
            raise Refused(f"{inst.op}.{inst.type}" if inst.type is not None else inst.op)
        return found

    def _end(self, number: int, index: int, last: Inst) -> None:
        """The block's last instruction, and the blocks on its edges."""
        block = self.code.blocks[index]
        calls = edges(last)
        if last.op == "return":
            self.rules.leave(self, last.args)
        elif last.op in CALLS:
            if calls:
                raise Refused(last.op)
            self.rules.call(self, last)
        elif not calls:
            self._lowered(last)
        elif len(calls) == 1:
            block.arguments.append(self._arguments(calls[0]))
            block.successors.append(self._index[calls[0].block])
            self.emit(JUMP, (), (block.successors[0],))
        else:
            for place, call in enumerate(calls):
                on_edge = self._on_edge.get((number, place))
                target = self._index[call.block]
                if on_edge is None:
                    block.successors.append(target)
                else:
                    block.successors.append(on_edge)
                    outer, self._out = self._out, []
                    arguments = self._arguments(call)
                    self.emit(JUMP, (), (target,))
                    edge = self.code.blocks[on_edge]
                    edge.insns, edge.successors, edge.arguments = self._out, [target], [arguments]
                    self._out = outer
                block.arguments.append(())
            if self.rules.branch(self, last, block.successors) is None:
                raise Refused(f"{last.op}.{last.type}")

    def _arguments(self, call: BlockCall) -> tuple[int, ...]:
        return tuple(register for value in call.args for register in self.regs(value))  # type: ignore[arg-type]

    def _resolve(self) -> None:
        """Every virtual register by the name that is left."""
        alias = self._alias
        if not alias:
            return
        final: dict[int, int] = {}
        for name in alias:
            at = name
            way = []
            while at in alias and at not in final:
                way.append(at)
                at = alias[at]
            goal = final.get(at, at)
            for one in way:
                final[one] = goal
        get = final.get
        for block in self.code.blocks:
            block.insns = [
                insn._replace(registers=tuple([get(r, r) for r in insn.registers])) if insn.registers else insn
                for insn in block.insns
            ]
            block.params = [get(r, r) for r in block.params]
            block.arguments = [tuple([get(r, r) for r in one]) for one in block.arguments]


Lower = Callable[[Lowering, Inst], Any]
assert TERMINATORS <= _SEEN
