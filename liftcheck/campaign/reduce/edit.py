"""Small edits of IR for the reducer: each makes a new function and leaves the one it was given alone.

The one idea: an edit need not keep the program's meaning, nor even leave it well-formed. It proposes; the verifier and
the reducer's door dispose. So there is no analysis here; `dead_code.py` clears up after an edit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Final, TypeVar

from liftcheck.case import Case
from liftcheck.clif.ir import BlockCall, ExceptionTable, Function, Inst, Module
from liftcheck.clif.opcodes import CONSTANTS, OPCODES, TERMINATORS
from liftcheck.clif.types import F16, F32, F64, F128, I64, I128, Type

HANDLER_ADDRESS: Final = "get_exception_handler_address"
"""Its immediate names a block that ends in a `try_call`, and a handler of that."""
_T = TypeVar("_T")
_FLOAT_CONSTANT: Final = {F16: "f16const", F32: "f32const", F64: "f64const"}


def copy_function(function: Function) -> Function:
    """A copy whose block list, blocks and maps may be changed (instructions are replaced, not edited). Its types and
    constants are in the order of their numbers, so that the last has the greatest."""
    blocks = [dataclasses.replace(b, params=list(b.params), insts=list(b.insts)) for b in function.blocks]
    return dataclasses.replace(
        function,
        blocks=blocks,
        types=_in_order(function.types),
        constants=_in_order(function.constants),
        stack_slots=dict(function.stack_slots),
        signatures=dict(function.signatures),
        func_refs=dict(function.func_refs),
        annotations=[],
    )


def _in_order(numbered: Mapping[int, _T]) -> dict[int, _T]:
    return dict(sorted(numbered.items(), key=itemgetter(0)))


def _next(numbered: dict[int, _T]) -> int:
    """A number above all of a map that is in their order."""
    return next(reversed(numbered)) + 1 if numbered else 0


def with_function(case: Case, index: int, function: Function) -> Case:
    """The case with function `index` replaced."""
    functions = list(case.module.functions)
    functions[index] = function
    return dataclasses.replace(case, module=Module(functions))


def map_values(inst: Inst, rename: Callable[[int], int]) -> Inst:
    """The instruction with every value it reads renamed, those on its edges too."""

    def call(target: BlockCall) -> BlockCall:
        return BlockCall(target.block, tuple(rename(a) if isinstance(a, int) else a for a in target.args))

    table = inst.table
    if table is not None:
        items = tuple(
            tuple(call(part) if isinstance(part, BlockCall) else part for part in item)
            if item[0] != "context"
            else ("context", _renamed(item[1], rename))
            for item in table.items
        )
        table = ExceptionTable(table.sig, call(table.normal), items)
    return dataclasses.replace(
        inst, args=tuple(map(rename, inst.args)), targets=tuple(map(call, inst.targets)), table=table
    )


def _renamed(value: object, rename: Callable[[int], int]) -> object:
    return rename(value) if isinstance(value, int) else value


def replace_uses(function: Function, mapping: Mapping[int, int]) -> None:
    """Makes every reader of a key read its value instead (in place: `function` is the caller's own copy)."""

    def rename(value: int) -> int:
        return mapping.get(value, value)

    for block in function.blocks:
        block.insts[:] = [map_values(inst, rename) for inst in block.insts]


def edges(inst: Inst) -> Iterable[BlockCall]:
    """Every destination of a terminator, exceptional ones too."""
    yield from inst.targets
    if inst.table is not None:
        yield inst.table.normal
        for item in inst.table.items:
            yield from (part for part in item if isinstance(part, BlockCall))


def values_read(inst: Inst) -> set[int]:
    """The numbers of all values that the instruction reads."""
    read = set(inst.args)
    for target in edges(inst):
        read.update(a for a in target.args if isinstance(a, int))
    if inst.table is not None:
        read.update(v for item in inst.table.items if item[0] == "context" for v in item[1:] if isinstance(v, int))
    return read


def fresh(function: Function, ty: Type) -> int:
    """A new value number of type `ty`, in a copy."""
    value = _next(function.types)
    function.types[value] = ty
    return value


def constant(function: Function, ty: Type, value: int) -> tuple[int, list[Inst]]:
    """The number of a new value of type `ty` that is `value`, and the instructions that make it."""
    if ty is I128:
        low, first = constant(function, I64, value & I64.mask)
        high, second = constant(function, I64, value >> 64)
        result = fresh(function, ty)
        return result, [*first, *second, Inst("iconcat", I64, (result,), (low, high))]
    result = fresh(function, ty)
    if ty.is_vector or ty is F128:
        number = _next(function.constants)
        function.constants[number] = value.to_bytes(ty.bytes, "little")
        return result, [Inst("vconst" if ty.is_vector else "f128const", ty, (result,), imm=number)]
    return result, [Inst(_FLOAT_CONSTANT.get(ty, "iconst"), ty, (result,), imm=value)]


def is_constant(inst: Inst) -> bool:
    """Whether the instruction only makes a constant."""
    return inst.op in CONSTANTS


def is_pure(inst: Inst) -> bool:
    """Whether the instruction can be dropped when nobody reads its results."""
    return not OPCODES[inst.op].effects


def move_handlers(function: Function, blocks: Mapping[int, int]) -> None:
    """Addresses of the exception handlers of a block that has another number now."""
    for block in function.blocks:
        for at, inst in enumerate(block.insts):
            if inst.op == HANDLER_ADDRESS and isinstance(inst.imm, tuple) and inst.imm[0] in blocks:
                block.insts[at] = dataclasses.replace(inst, imm=(blocks[inst.imm[0]], inst.imm[1]))


def dead_values(module: Module) -> dict[str, set[int]]:
    """What nobody reads of the results of pure instructions, by function."""
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
        block.insts = [_renumbered(inst, mapping, blocks) for inst in block.insts]
    function.types = {mapping[v]: ty for v, ty in function.types.items() if v in mapping}
    return function


def _renumbered(inst: Inst, values: Mapping[int, int], blocks: Mapping[int, int]) -> Inst:
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
