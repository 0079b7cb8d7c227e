"""Edits of IR that the reducer alone needs: each makes a new function and leaves the one it was given alone.

The one idea: as in `clif/edit.py`, an edit need not keep the program's meaning, nor even leave it well-formed. It
proposes; the verifier and the reducer's door dispose. So there is no analysis here; `dead_code.py` clears up after an
edit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from liftcheck.case import Case
from liftcheck.clif.edit import copy_function, replace_uses, values_read
from liftcheck.clif.ir import BlockCall, ExceptionTable, Function, Inst, Module
from liftcheck.clif.opcodes import CONSTANTS, OPCODES, TERMINATORS

HANDLER_ADDRESS: Final = "get_exception_handler_address"
"""Its immediate names a block that ends in a `try_call`, and a handler of that."""


def with_function(case: Case, index: int, function: Function) -> Case:
    """The case with function `index` replaced."""
    functions = list(case.module.functions)
    functions[index] = function
    return dataclasses.replace(case, module=Module(functions))


def cuts(count: int) -> list[range]:
    """Parts of so many things: all, halves, … single ones."""
    parts, length = [], count
    while length:
        parts += [range(start, min(start + length, count)) for start in range(0, count, length)]
        length //= 2
    return list(dict.fromkeys(parts))


def is_coherent(case: Case) -> bool:
    """Whether functions are called as they are defined, and the entry with as many arguments as it has parameters. The
    verifier sees one function at a time, so it does not ask that."""
    functions = case.module.functions
    count = len(functions[case.entry].signature.params)
    if any(len(row) != count for row in case.inputs):
        return False
    defined = {function.name: function.signature for function in functions}
    return all(
        defined.get(ref.name, function.signatures[ref.sig]) == function.signatures[ref.sig]
        for function in functions
        for ref in function.func_refs.values()
    )


def is_constant(inst: Inst) -> bool:
    """Whether the instruction only makes a constant."""
    return inst.op in CONSTANTS


def is_pure(inst: Inst) -> bool:
    """Whether the instruction can be dropped when nothing reads its results."""
    return not OPCODES[inst.op].effects


def move_handlers(function: Function, blocks: Mapping[int, int]) -> None:
    """Addresses of the exception handlers of a block that has another number now."""
    for block in function.blocks:
        for at, inst in enumerate(block.insts):
            if inst.op == HANDLER_ADDRESS and isinstance(inst.imm, tuple) and inst.imm[0] in blocks:
                block.insts[at] = dataclasses.replace(inst, imm=(blocks[inst.imm[0]], inst.imm[1]))


def dead_values(module: Module) -> dict[str, set[int]]:
    """What nothing reads of the results of pure instructions, by function."""
    dead: dict[str, set[int]] = {}
    for function in module.functions:
        insts = [inst for block in function.blocks for inst in block.insts]
        read = set().union(*map(values_read, insts))
        for inst in insts:
            if inst.results and inst.op not in TERMINATORS and is_pure(inst) and read.isdisjoint(inst.results):
                dead.setdefault(function.name, set()).update(inst.results)
    return dead


def renumber(function: Function) -> Function:
    """The function with values and blocks numbered from 0 in the order of the text."""
    function = copy_function(function)
    order = [
        v
        for block in function.blocks
        for v in [*(p for p, _ in block.params), *(r for inst in block.insts for r in inst.results)]
    ]
    mapping = {value: number for number, value in enumerate(order)}
    blocks = {block.number: number for number, block in enumerate(function.blocks)}
    replace_uses(function, mapping)
    move_handlers(function, blocks)
    for block in function.blocks:
        block.number = blocks[block.number]
        block.params = [(mapping[v], ty) for v, ty in block.params]
        block.insts = [renumbered(inst, mapping, blocks) for inst in block.insts]
    function.types = {mapping[v]: ty for v, ty in function.types.items() if v in mapping}
    return function


def renumbered(inst: Inst, values: Mapping[int, int], blocks: Mapping[int, int]) -> Inst:
    """The instruction with its results and the blocks on its edges numbered otherwise, without its place in a text."""

    def call(target: BlockCall) -> BlockCall:
        return BlockCall(blocks[target.block], target.args)

    table = inst.table
    if table is not None:
        items = tuple(
            tuple(call(part) if isinstance(part, BlockCall) else part for part in item) for item in table.items
        )
        table = ExceptionTable(table.sig, call(table.normal), items)
    return dataclasses.replace(
        inst,
        results=tuple(values[r] for r in inst.results),
        targets=tuple(map(call, inst.targets)),
        table=table,
        loc=None,
        line=0,
    )
