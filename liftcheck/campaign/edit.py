"""Small edits of IR for the reducer: each makes a new function and leaves the one it was given alone.

The one idea: an edit need not keep the program's meaning, nor even leave it well-formed. It proposes; the verifier and
the reducer's door dispose. So there is no analysis here beyond what `tidy` needs to sweep up after an edit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from liftcheck.case import Case
from liftcheck.clif.ir import Block, BlockCall, ExceptionTable, Function, Inst, Module
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import F16, F32, F64, F128, I64, I128, Type

CALLS: Final = frozenset(
    {"call", "call_indirect", "return_call", "return_call_indirect", "try_call", "try_call_indirect"}
)
BRANCHES: Final = frozenset({"jump", "brif", "br_table", "try_call", "try_call_indirect"})
TERMINATORS: Final = BRANCHES | {"return", "return_call", "return_call_indirect", "trap"}
HANDLER_ADDRESS: Final = "get_exception_handler_address"
"""Its immediate names a block that ends in a `try_call`, and a handler of that."""
_FLOAT_CONSTANT: Final = {F16: "f16const", F32: "f32const", F64: "f64const"}


def copy_function(function: Function) -> Function:
    """A copy whose block list, blocks and maps may be changed (instructions are replaced, not edited)."""
    blocks = [dataclasses.replace(b, params=list(b.params), insts=list(b.insts)) for b in function.blocks]
    return dataclasses.replace(
        function, blocks=blocks, types=dict(function.types), stack_slots=dict(function.stack_slots),
        signatures=dict(function.signatures), func_refs=dict(function.func_refs), constants=dict(function.constants),
        annotations=[])


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
        items = tuple(tuple(call(part) if isinstance(part, BlockCall) else part for part in item)
                      if item[0] != "context" else ("context", _renamed(item[1], rename)) for item in table.items)
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


def fresh(function: Function, kind: Type) -> int:
    """A new value number of type `kind`."""
    value = max(function.types, default=-1) + 1
    function.types[value] = kind
    return value


def constant(function: Function, kind: Type, value: int) -> tuple[int, list[Inst]]:
    """The number of a new value of type `kind` that is `value`, and the instructions that make it."""
    if kind is I128:
        low, first = constant(function, I64, value & I64.mask)
        high, second = constant(function, I64, value >> 64)
        result = fresh(function, kind)
        return result, [*first, *second, Inst("iconcat", I64, (result,), (low, high))]
    result = fresh(function, kind)
    if kind.is_vector or kind is F128:
        number = max(function.constants, default=-1) + 1
        function.constants[number] = value.to_bytes(kind.bytes, "little")
        return result, [Inst("vconst" if kind.is_vector else "f128const", kind, (result,), imm=number)]
    return result, [Inst(_FLOAT_CONSTANT.get(kind, "iconst"), kind, (result,), imm=value)]


def is_constant(inst: Inst) -> bool:
    """Whether the instruction only makes a constant."""
    return inst.op in ("iconst", "vconst", "f16const", "f32const", "f64const", "f128const")


def is_pure(inst: Inst) -> bool:
    """Whether the instruction can be dropped when nobody reads its results."""
    return not OPCODES[inst.op].effects


def tidy(function: Function, kept: Callable[[int], bool] | None = None) -> Function:
    """The function without what nothing reaches or reads: blocks, pure instructions, block parameters, declarations.
    Values that are `kept` stay though nobody reads them."""
    function = copy_function(function)
    if function.aliases:
        replace_uses(function, {v: _resolve(function.aliases, v) for v in function.aliases})
        function.aliases = {}
    while True:
        _drop_unreachable(function)
        _merge_chains(function)
        if not (_drop_dead(function, kept) | _drop_block_params(function, kept)):
            break
    _drop_declarations(function)
    return function


def _resolve(aliases: Mapping[int, int], value: int) -> int:
    while value in aliases:
        value = aliases[value]
    return value


def _drop_unreachable(function: Function) -> None:
    by_number = {block.number: block for block in function.blocks}
    reached: set[int] = set()
    todo = [function.blocks[0].number]
    while todo:
        number = todo.pop()
        if number in reached or number not in by_number:
            continue
        reached.add(number)
        if by_number[number].insts:
            todo.extend(target.block for target in edges(by_number[number].insts[-1]))
    function.blocks[:] = [block for block in function.blocks if block.number in reached]


def _merge_chains(function: Function) -> None:
    """Joins a block to the one that jumps to it when nobody else does."""
    entered: dict[int, int] = {}
    for block in function.blocks:
        for edge in edges(block.insts[-1]):
            entered[edge.block] = entered.get(edge.block, 0) + 1
    by_number = {block.number: block for block in function.blocks}
    gone: set[int] = set()
    for block in function.blocks:
        if block.number in gone:
            continue
        while (last := block.insts[-1]).op == "jump" and entered[last.targets[0].block] == 1:
            target = by_number[last.targets[0].block]
            if target is block or target is function.blocks[0] or len(target.params) != len(last.targets[0].args):
                break
            if block is function.blocks[0] and target.number in _handled(function):
                break  # of handlers of the entry block no address can be taken
            block.insts[-1:] = target.insts
            target.insts = [last]
            gone.add(target.number)
            _move_handlers(function, {target.number: block.number})
            mapping = {
                value: arg for (value, _), arg in zip(target.params, last.targets[0].args) if isinstance(arg, int)
            }
            replace_uses(function, _closed(mapping))
    function.blocks[:] = [block for block in function.blocks if block.number not in gone]


def _handled(function: Function) -> set[int]:
    """The blocks of whose exception handlers an address is taken."""
    return {inst.imm[0] for block in function.blocks for inst in block.insts
            if inst.op == HANDLER_ADDRESS and isinstance(inst.imm, tuple)}


def _move_handlers(function: Function, blocks: Mapping[int, int]) -> None:
    """Addresses of the exception handlers of a block that has another number now."""
    for block in function.blocks:
        for at, inst in enumerate(block.insts):
            if inst.op == HANDLER_ADDRESS and isinstance(inst.imm, tuple) and inst.imm[0] in blocks:
                block.insts[at] = dataclasses.replace(inst, imm=(blocks[inst.imm[0]], inst.imm[1]))


def _closed(mapping: Mapping[int, int]) -> dict[int, int]:
    return {key: _resolve({k: v for k, v in mapping.items() if k != v}, key) for key in mapping}


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


def _drop_dead(function: Function, kept: Callable[[int], bool] | None) -> bool:
    read: set[int] = set()
    for block in function.blocks:
        for inst in block.insts:
            read |= values_read(inst)
            if kept is not None:
                read.update(filter(kept, inst.results))
    changed = False
    for block in function.blocks:
        left = [inst for inst in block.insts
                if inst.op in TERMINATORS or not is_pure(inst) or not read.isdisjoint(inst.results)]
        changed = changed or len(left) != len(block.insts)
        block.insts[:] = left
    return changed


def _drop_block_params(function: Function, kept: Callable[[int], bool] | None) -> bool:
    """Drops the first block parameter (not the entry's) that nobody reads but itself going round."""
    for block in function.blocks[1:]:
        for position, (value, _) in enumerate(block.params):
            if (kept is None or not kept(value)) and _read_only_by_itself(function, block.number, position, value):
                _drop_param(function, block, position)
                return True
    return False


def _read_only_by_itself(function: Function, block: int, position: int, value: int) -> bool:
    for other in function.blocks:
        for inst in other.insts:
            if value in inst.args:
                return False
            for target in edges(inst) if inst.op in TERMINATORS else ():
                if target.block == block and any(not isinstance(a, int) for a in target.args):
                    return False
                if any(a == value and (target.block, i) != (block, position) for i, a in enumerate(target.args)):
                    return False
            if inst.table is not None and value in values_read(inst):
                return False
    return True


def _drop_param(function: Function, block: Block, position: int) -> None:
    del block.params[position]

    def shorter(target: BlockCall) -> BlockCall:
        return (BlockCall(target.block, target.args[:position] + target.args[position + 1:])
                if target.block == block.number else target)

    for other in function.blocks:
        last = other.insts[-1]
        table = last.table
        if table is not None:
            items = tuple(tuple(shorter(part) if isinstance(part, BlockCall) else part for part in item)
                          for item in table.items)
            table = ExceptionTable(table.sig, shorter(table.normal), items)
        other.insts[-1] = dataclasses.replace(last, targets=tuple(map(shorter, last.targets)), table=table)


def _drop_declarations(function: Function) -> None:
    insts = [inst for block in function.blocks for inst in block.insts]
    defined = {v for inst in insts for v in inst.results} | {v for block in function.blocks for v, _ in block.params}
    function.types = {v: t for v, t in function.types.items() if v in defined}
    slots = {inst.imm for inst in insts if inst.op.startswith("stack_")}
    function.stack_slots = {n: s for n, s in function.stack_slots.items() if n in slots}
    refs = {inst.imm for inst in insts if inst.op in ("call", "return_call", "try_call", "func_addr")}
    function.func_refs = {n: r for n, r in function.func_refs.items() if n in refs}
    signatures: set[object] = {ref.sig for ref in function.func_refs.values()}
    signatures |= {
        inst.imm for inst in insts if inst.op in ("call_indirect", "return_call_indirect", "try_call_indirect")
    }
    signatures |= {inst.table.sig for inst in insts if inst.table is not None}
    function.signatures = {n: s for n, s in function.signatures.items() if n in signatures}
    pool = {inst.imm for inst in insts if inst.op in ("vconst", "f128const")}
    function.constants = {n: c for n, c in function.constants.items() if n in pool}


def renumber(function: Function) -> Function:
    """The function with values and blocks numbered from 0 in the order of the text."""
    function = copy_function(function)
    order = [v for block in function.blocks
             for v in [*(p for p, _ in block.params), *(r for inst in block.insts for r in inst.results)]]
    mapping = {value: number for number, value in enumerate(order)}
    blocks = {block.number: number for number, block in enumerate(function.blocks)}
    replace_uses(function, mapping)
    _move_handlers(function, blocks)
    for block in function.blocks:
        block.number = blocks[block.number]
        block.params = [(mapping[v], kind) for v, kind in block.params]
        block.insts = [_renumbered(inst, mapping, blocks) for inst in block.insts]
    function.types = {mapping[v]: kind for v, kind in function.types.items() if v in mapping}
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
    return dataclasses.replace(inst, results=tuple(values[r] for r in inst.results),
                               targets=tuple(map(call, inst.targets)), table=table, loc=None, line=0)
