"""How a reducer's candidate is made: one function per kind of change to a case. See `passes.py` for when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from liftcheck.campaign.reduce.edit import HANDLER_ADDRESS, with_function
from liftcheck.case import Case
from liftcheck.clif.edit import constant, copy_function, fresh, replace_uses
from liftcheck.clif.ir import AbiParam, BlockCall, Function, Inst, Module, Signature
from liftcheck.clif.opcodes import OPCODES, TERMINATORS
from liftcheck.clif.types import Type


def body_of(function: Function) -> list[Inst]:
    """All instructions in the order of the text."""
    return [inst for block in function.blocks for inst in block.insts]


def nth_inst(case: Case, site: int) -> tuple[int, int, int] | None:
    """The place (function, block, position) of the site-th instruction, counted from the last: uses before defs."""
    places = [
        (n, b, i)
        for n, function in enumerate(case.module.functions)
        for b, block in enumerate(function.blocks)
        for i in range(len(block.insts))
    ]
    return places[-1 - site] if site < len(places) else None


def replacements(function: Function, block: int, position: int, ty: Type) -> list[int]:
    """Values of type `ty` that an instruction may be replaced by: operands first, then parameters, then
    neighbours."""
    inst = function.blocks[block].insts[position]
    values = [a for a in inst.args if function.types.get(a) is ty]
    values += [v for v, t in function.blocks[0].params if t is ty][:3]
    values += [v for v, t in function.blocks[block].params if t is ty][:2]
    earlier = [r for other in function.blocks[block].insts[:position] for r in other.results if function.types[r] is ty]
    return list(dict.fromkeys([*values, *earlier[-2:]]))


def renamed_result(function: Function, block: int, position: int, value: int) -> Function:
    """The instruction goes; what read its result reads `value`."""
    changed = copy_function(function)
    inst = changed.blocks[block].insts.pop(position)
    replace_uses(changed, {inst.results[0]: value})
    return changed


def as_constant(function: Function, block: int, position: int, ty: Type, value: int) -> Function:
    """The instruction becomes a constant."""
    changed = copy_function(function)
    insts = changed.blocks[block].insts
    number, made = constant(changed, ty, value)
    old = insts[position].results[0]
    insts[position : position + 1] = made
    replace_uses(changed, {old: number})
    return changed


def as_params(case: Case, block: int, position: int, contents: Sequence[int]) -> Case:
    """The instruction's results become further arguments of the entry function."""
    changed = copy_function(case.module.functions[case.entry])
    inst = changed.blocks[block].insts.pop(position)
    types = [changed.types[result] for result in inst.results]
    made = [(fresh(changed, ty), ty) for ty in types]
    changed.blocks[0].params += made
    changed.signature = changed.signature._replace(params=(*changed.signature.params, *map(AbiParam, types)))
    replace_uses(changed, {result: value for result, (value, _) in zip(inst.results, made)})
    case = with_function(case, case.entry, changed)
    return dataclasses.replace(case, inputs=tuple((*row, *contents) for row in case.inputs))


def without_param(case: Case, site: int) -> Case:
    """The entry's parameter `site` becomes the constant that it is for the first input, or zero if there is none."""
    function = case.module.functions[case.entry]
    value, ty = function.blocks[0].params[site]
    changed = copy_function(function)
    del changed.blocks[0].params[site]
    old = function.signature.params
    changed.signature = changed.signature._replace(params=(*old[:site], *old[site + 1 :]))
    number, made = constant(changed, ty, case.inputs[0][site] if case.inputs else 0)
    changed.blocks[0].insts[:0] = made
    replace_uses(changed, {value: number})
    inputs = tuple((*row[:site], *row[site + 1 :]) for row in case.inputs)
    return dataclasses.replace(with_function(case, case.entry, changed), inputs=inputs)


def with_inst(case: Case, number: int, block: int, position: int, inst: Inst) -> Case:
    """Another instruction in the place of one."""
    changed = copy_function(case.module.functions[number])
    changed.blocks[block].insts[position] = inst
    return with_function(case, number, changed)


def with_terminator(case: Case, number: int, block: int, insts: Sequence[Inst]) -> Case:
    """Other instructions in the place of a block's last one."""
    changed = copy_function(case.module.functions[number])
    changed.blocks[block].insts[-1:] = insts
    return with_function(case, number, changed)


def with_signatures(case: Case, change: Callable[[Signature], Signature]) -> Case:
    """Every signature of the module changed, so that callers and callees stay matched."""
    functions = []
    for function in case.module.functions:
        changed = copy_function(function)
        changed.signature = change(changed.signature)
        changed.signatures = {number: change(s) for number, s in changed.signatures.items()}
        functions.append(changed)
    return dataclasses.replace(case, module=Module(functions))


def without(function: Function, doomed: Callable[[Inst], bool]) -> Function:
    """Takes the doomed instructions out; what they defined becomes zero; a doomed `try_call` goes on normally, and the
    addresses of its handlers are zero."""
    changed = copy_function(function)
    zeros: dict[int, int] = {}
    calm = {block.number for block in changed.blocks if block.insts[-1].table is not None and doomed(block.insts[-1])}
    for block in changed.blocks:
        kept: list[Inst] = []
        for inst in block.insts:
            handler = inst.op == HANDLER_ADDRESS and isinstance(inst.imm, tuple) and inst.imm[0] in calm
            if (doomed(inst) or handler) and (inst.op not in TERMINATORS or inst.table is not None):
                kept += _zeros_for(changed, inst, zeros)
            else:
                kept.append(inst)
        block.insts[:] = kept
    replace_uses(changed, zeros)
    return changed


def _zeros_for(function: Function, inst: Inst, zeros: dict[int, int]) -> list[Inst]:
    made: list[Inst] = []
    for result in inst.results:
        zeros[result] = _zero(function, function.types[result], made)
    if inst.table is not None:
        returned = function.signatures[inst.table.sig].returns
        args = [
            _zero(function, returned[int(arg[3:])].type, made) if isinstance(arg, str) else arg
            for arg in inst.table.normal.args
        ]
        made.append(Inst("jump", None, targets=(BlockCall(inst.table.normal.block, tuple(args)),)))
    return made


def _zero(function: Function, ty: Type, made: list[Inst]) -> int:
    """A zero of type `ty`; its instructions are appended to `made`."""
    value, insts = constant(function, ty, 0)
    made += insts
    return value


def return_zeros(case: Case, number: int, block: int) -> Case:
    """The block returns zeros instead of going on."""
    changed = copy_function(case.module.functions[number])
    made: list[Inst] = []
    values = tuple(_zero(changed, param.type, made) for param in changed.signature.returns)
    changed.blocks[block].insts[-1:] = [*made, Inst("return", None, args=values)]
    return with_function(case, number, changed)


def cut(case: Case, number: int, block: int, position: int, values: Sequence[int]) -> Case:
    """Function `number` ends before `position` of that block and returns `values`; its other returns give zeros."""
    changed = copy_function(case.module.functions[number])
    at = changed.blocks[block]
    at.insts[position:] = [Inst("return", None, args=tuple(values))]
    returned = tuple(AbiParam(changed.types[v]) for v in values)
    changed.signature = changed.signature._replace(returns=returned)
    for other in changed.blocks:
        if other is not at and OPCODES[other.insts[-1].op].is_return:
            made: list[Inst] = []
            zeros = tuple(_zero(changed, param.type, made) for param in returned)
            other.insts[-1:] = [*made, Inst("return", None, args=zeros)]
    return with_function(case, number, changed)
