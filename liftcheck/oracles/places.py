"""Whether a program can let be seen where its stack slots and functions lie.

The one idea: addresses are followed through values. If from each of them come but sums with something else, arguments
of blocks and of functions of the module, accesses of memory there and calls, then a run that returns without having
left its slots does the same wherever they lie: what is stored and loaded there does not depend on it. So one world
shows what all worlds of places would. Whatever else is done with an address (compared, stored, returned, subtracted
from another one, given to somebody else) is taken for a look at it.
It does not run anything; what else is open in a run the world itself says (`World.used`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.clif.cfg import edge_values
from liftcheck.clif.ir import Function, Inst, Module
from liftcheck.clif.opcodes import ATOMICS, BRANCHES, CALLS, DIRECT_CALLS, INDIRECT_CALLS, LOADS, OPCODES, STORES
from liftcheck.clif.types import I64
from liftcheck.interp.worlds import WORD

_MAKING: Final = frozenset({"stack_addr", "func_addr"})
_SUMS: Final = frozenset({"iadd", "isub"})
_CALLS: Final = DIRECT_CALLS - BRANCHES
_INDIRECT: Final = INDIRECT_CALLS - BRANCHES
_JUMPS: Final = BRANCHES - CALLS
_Value = tuple[int, int]
"""The number of a function and a value of it."""


def shown(module: Module) -> bool:
    """Whether a place may be seen; True if that is not clear."""
    names = {function.name for function in module.functions}
    if len(names) < len(module.functions) or any(map(_is_intricate, module.functions)):
        return True
    return _Flow(module).is_seen()


def _is_intricate(function: Function) -> bool:
    """Whether values come to be in ways that are not followed here."""
    return (
        bool(function.aliases or function.globals or not function.blocks)
        or any(param.purpose for param in function.signature.params)
        or any(inst.op in _MAKING and inst.type is not I64 for block in function.blocks for inst in block.insts)
    )


class _Flow:
    """Where addresses go."""

    def __init__(self, module: Module) -> None:
        self._functions: Final = module.functions
        self._numbers: Final = {function.name: number for number, function in enumerate(module.functions)}
        self._uses: Final = [_uses(function) for function in module.functions]
        self._params: Final = [
            {block.number: [v for v, _ in block.params] for block in function.blocks} for function in module.functions
        ]
        made = [
            (number, inst)
            for number, function in enumerate(module.functions)
            for block in function.blocks
            for inst in block.insts
            if inst.op in _MAKING
        ]
        self._taken: Final = {self._named(number, inst) for number, inst in made if inst.op == "func_addr"}
        self._pending = [(number, inst.results[0]) for number, inst in made]
        self._addresses: Final = set(self._pending)

    def is_seen(self) -> bool:
        """Whether an instruction looks at an address."""
        while self._pending:
            number, value = self._pending.pop()
            for inst in self._uses[number].get(value, ()):
                others = {arg for arg in inst.args if (number, arg) in self._addresses}
                found = list(self._into(number, inst, value)) if _is_blind(inst, value, others) else [(-1, value)]
                if any(callee < 0 for callee, _ in found):
                    return True
                self._pending += set(found) - self._addresses
                self._addresses.update(found)
        return False

    def _into(self, number: int, inst: Inst, value: int) -> Iterator[_Value]:
        """The values that are addresses because an operand is; in function -1 if it goes to somebody else."""
        if inst.op in _SUMS:
            yield number, inst.results[0]
        elif inst.op in _CALLS:
            yield from self._arguments(self._named(number, inst), inst.args, value)
        elif inst.op in _INDIRECT and value in inst.args[1:]:
            for callee in self._taken:
                yield from self._arguments(callee, inst.args[1:], value)
        for call in inst.targets:
            for to, arg in zip(self._params[number][call.block], call.args):
                if arg == value:
                    yield number, to

    def _arguments(self, callee: int, args: tuple[int, ...], value: int) -> Iterator[_Value]:
        if callee < 0:
            yield -1, value
            return
        for (to, _), arg in zip(self._functions[callee].blocks[0].params, args):
            if arg == value:
                yield callee, to

    def _named(self, number: int, inst: Inst) -> int:
        """The function of the module that an instruction names, or -1."""
        assert isinstance(inst.imm, int)
        return self._numbers.get(self._functions[number].func_refs[inst.imm].name, -1)


def _uses(function: Function) -> dict[int, list[Inst]]:
    """The instructions that have a value."""
    found: dict[int, list[Inst]] = {}
    for block in function.blocks:
        for inst in block.insts:
            for value in {*inst.args, *edge_values(inst)}:
                found.setdefault(value, []).append(inst)
    return found


def _is_blind(inst: Inst, value: int, addresses: set[int]) -> bool:
    """Whether an instruction does not look at an address `value`; `addresses` are its operands that are known to be."""
    op, args = inst.op, inst.args
    row = OPCODES[op]
    if op in LOADS:
        return not inst.flags.aligned
    if op in STORES:
        return row.stored is not None and args[row.stored] != value and not inst.flags.aligned
    if op in ATOMICS:
        return (
            args.count(value) == 1
            and row.address is not None
            and args[row.address] == value
            and inst.type is not None
            and (inst.type.bytes <= WORD)
        )  # a place is a multiple of that, so whether it is misaligned is the same for all
    if op in _SUMS:
        return args[0] != args[1] and len(addresses) == 1 and (op == "iadd" or args[0] == value)
    if op in _JUMPS:
        return value not in args
    return op in _CALLS or op in _INDIRECT
