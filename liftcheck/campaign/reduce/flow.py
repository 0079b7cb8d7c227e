"""Passes that make the flow of control plainer: parameters of blocks, tables of branches, calls.

The one idea: what keeps a loop, a table or a callee alive is often a value that is handed around, not the flow itself.
So a block's parameter becomes one of the values that it is given, or zero; a table loses entries; an indirect call of a
known function becomes a direct one, and a call becomes what its callee does (inlining). See `passes.py` for what a pass
is; as there, what comes out may be ill-formed or mean something else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from liftcheck.campaign.reduce.edit import HANDLER_ADDRESS, cuts, renumbered, with_function
from liftcheck.campaign.reduce.proposals import body_of, with_terminator
from liftcheck.case import Case
from liftcheck.clif.cfg import edges
from liftcheck.clif.edit import constant, copy_function, fresh, map_values, replace_uses
from liftcheck.clif.ir import Block, BlockCall, Function, Inst, Module
from liftcheck.clif.opcodes import DIRECT_CALLS, INDIRECT_CALLS, OPCODES

_T = TypeVar("_T")


def block_params(case: Case, site: int, _probe: object) -> Iterator[Case] | None:
    """Makes a parameter of a block one of the values that it is given, or zero."""
    sites = [
        (number, block.number, value)
        for number, function in enumerate(case.module.functions)
        for block in function.blocks[1:]
        for value, _ in block.params
    ]
    return None if site >= len(sites) else _without_param(case, *sites[site])


def _without_param(case: Case, number: int, block: int, value: int) -> Iterator[Case]:
    function = case.module.functions[number]
    for given in _given(function, block, value):
        changed = copy_function(function)
        replace_uses(changed, {value: given})
        yield with_function(case, number, changed)
    changed = copy_function(function)
    zero, made = constant(changed, function.types[value], 0)
    replace_uses(changed, {value: zero})
    next(one for one in changed.blocks if one.number == block).insts[:0] = made
    yield with_function(case, number, changed)


def _given(function: Function, block: int, value: int) -> list[int]:
    """What a parameter of a block is given, itself not counted."""
    params = next(one.params for one in function.blocks if one.number == block)
    at = [param for param, _ in params].index(value)
    found = [
        target.args[at]
        for one in function.blocks
        for target in edges(one.insts[-1])
        if target.block == block and at < len(target.args)
    ]
    return list(dict.fromkeys(arg for arg in found if isinstance(arg, int) and arg != value))


def tables(case: Case, site: int, _probe: object) -> Sequence[Case] | None:
    """Takes entries out of a branch table: all but one, halves, single ones."""
    sites = [
        (number, at, last)
        for number, function in enumerate(case.module.functions)
        for at, block in enumerate(function.blocks)
        if (last := block.insts[-1]).op == "br_table" and len(last.targets) > 1
    ]
    if site >= len(sites):
        return None
    number, at, last = sites[site]
    default, *entries = last.targets
    kept = [[entry] for entry in dict.fromkeys(entries)] if len(entries) > 1 else []
    kept += [[*entries[: part.start], *entries[part.stop :]] for part in cuts(len(entries))]
    ways = [dataclasses.replace(last, targets=(default, *few)) for few in kept]
    return [with_terminator(case, number, at, [way]) for way in ways]


def arms(case: Case, site: int, _probe: object) -> Sequence[Case] | None:
    """Does what stands on one side of a branch always, and goes on on the other side: for what needs both."""
    sites = [
        (number, at, way)
        for number, function in enumerate(case.module.functions)
        for at, block in enumerate(function.blocks)
        if block.insts[-1].op == "brif"
        for way in block.insts[-1].targets
    ]
    if site >= len(sites):
        return None
    number, at, way = sites[site]
    function = case.module.functions[number]
    side = next(block for block in function.blocks if block.number == way.block)
    last = function.blocks[at].insts[-1]
    other = last.targets[way is last.targets[0]]
    changed = copy_function(function)
    changed.blocks[at].insts[-1:] = [*side.insts[:-1], Inst("jump", None, targets=(other,))]
    replace_uses(changed, {value: arg for (value, _), arg in zip(side.params, way.args) if isinstance(arg, int)})
    return [with_function(case, number, changed)]


def direct_calls(case: Case, site: int, _probe: object) -> Sequence[Case] | None:
    """Makes the site-th indirect call of a function whose address is taken nearby a direct one."""
    sites = [
        (number, inst, ref)
        for number, function in enumerate(case.module.functions)
        for inst, ref in known_calls(function)
    ]
    if site >= len(sites):
        return None
    number, call, ref = sites[site]
    direct = dataclasses.replace(call, op=call.op.replace("_indirect", ""), type=None, args=call.args[1:], imm=ref)
    return [with_function(case, number, _with(case.module.functions[number], call, [direct]))]


def known_calls(function: Function) -> Iterator[tuple[Inst, object]]:
    """The indirect calls of which the callee is known, with the number of its reference."""
    insts = body_of(function)
    known = {inst.results[0]: inst.imm for inst in insts if inst.op == "func_addr"}
    for inst in insts:
        if inst.op in INDIRECT_CALLS and inst.table is None and inst.args[0] in known:
            yield inst, known[inst.args[0]]


def _with(function: Function, old: Inst, new: Sequence[Inst]) -> Function:
    """The function with other instructions in the place of one."""
    changed = copy_function(function)
    for block in changed.blocks:
        block.insts[:] = [one for inst in block.insts for one in (new if inst is old else [inst])]
    return changed


def inline(case: Case, site: int, _probe: object) -> Sequence[Case] | None:
    """Puts the callee in the place of the site-th direct call; it goes, if nothing else refers to it."""
    functions = case.module.functions
    places = {function.name: number for number, function in enumerate(functions)}
    sites = [
        (number, at, position, places[name])
        for number, function in enumerate(functions)
        for at, block in enumerate(function.blocks)
        for position, inst in enumerate(block.insts)
        if inst.op == "call" and (name := _callee(function, inst)) in places and name != function.name
    ]
    if site >= len(sites):
        return None
    number, at, position, callee = sites[site]
    if not _is_plain(functions[callee], len(functions[number].blocks[at].insts[position].results)):
        return ()
    made = with_function(case, number, _inlined(functions[number], at, position, functions[callee]))
    return [_dropped(made, callee)]


def _callee(function: Function, inst: Inst) -> str:
    return function.func_refs[inst.imm].name if isinstance(inst.imm, int) else ""


def _is_plain(function: Function, results: int) -> bool:
    """Whether what a function does can be done within another one, which gets so many results of it."""
    return not (function.preamble or function.globals or function.aliases) and all(
        inst.op != HANDLER_ADDRESS
        and not (inst.op.startswith("return_call") or (inst.op == "return" and len(inst.args) != results))
        for inst in body_of(function)
    )


def _dropped(case: Case, number: int) -> Case:
    """The case without a function that nothing refers to any longer."""
    name = case.module.functions[number].name
    if number == case.entry or any(_refers(function, name) for function in case.module.functions):
        return case
    kept = [function for place, function in enumerate(case.module.functions) if place != number]
    return dataclasses.replace(case, module=Module(kept), entry=case.entry - (number < case.entry))


def _refers(function: Function, name: str) -> bool:
    """Whether a function calls another one, or takes its address in any way."""
    refs = {number for number, ref in function.func_refs.items() if ref.name == name}
    named = any(name in text.split() for _, text in function.preamble)
    return named or any(
        inst.imm in refs for inst in body_of(function) if inst.op in DIRECT_CALLS or inst.op == "func_addr"
    )


def _inlined(function: Function, at: int, position: int, callee: Function) -> Function:
    """The function with the callee's blocks in the place of a call; what comes after it is a block of its own."""
    changed = copy_function(function)
    block = changed.blocks[at]
    call, rest = block.insts[position], block.insts[position + 1 :]
    base = max(one.number for one in changed.blocks) + 1
    after = Block(base, [(value, changed.types[value]) for value in call.results], rest)
    blocks = _copied(changed, callee, base)
    block.insts[position:] = [Inst("jump", None, targets=(BlockCall(blocks[0].number, call.args),))]
    changed.blocks[at + 1 : at + 1] = [*blocks, after]
    for one in changed.blocks:
        for place, inst in enumerate(one.insts):
            if inst.op == HANDLER_ADDRESS and isinstance(inst.imm, tuple) and inst.imm[0] == block.number:
                one.insts[place] = dataclasses.replace(inst, imm=(base, inst.imm[1]))
    return changed


def _copied(function: Function, callee: Function, base: int) -> list[Block]:
    """The callee's blocks with names of their own in the function, whose tables get what they refer to. They go on at
    block `base`."""
    values = {value: fresh(function, ty) for value, ty in sorted(callee.types.items())}
    blocks = {block.number: base + 1 + place for place, block in enumerate(callee.blocks)}
    names = _Names.adopted(function, callee)

    def ours(inst: Inst) -> Inst:
        inst = map_values(inst, values.__getitem__)
        if inst.op == "return":
            return Inst("jump", None, targets=(BlockCall(base, inst.args),))
        return names.in_place(renumbered(inst, values, blocks))

    return [
        Block(blocks[b.number], [(values[v], ty) for v, ty in b.params], [ours(inst) for inst in b.insts], b.cold)
        for b in callee.blocks
    ]


class _Names(NamedTuple):
    """What a callee's declarations are called in the function that has adopted them: old number -> new number."""

    slots: Mapping[int, int]
    constants: Mapping[int, int]
    signatures: Mapping[int, int]
    refs: Mapping[int, int]

    @classmethod
    def adopted(cls, function: Function, callee: Function) -> _Names:
        """Declares in a function all that the callee declares."""
        signatures = _added(function.signatures, callee.signatures)
        moved = {number: ref._replace(sig=signatures[ref.sig]) for number, ref in callee.func_refs.items()}
        return cls(
            _added(function.stack_slots, callee.stack_slots),
            _added(function.constants, callee.constants),
            signatures,
            _added(function.func_refs, moved),
        )

    def in_place(self, inst: Inst) -> Inst:
        """The instruction with the new numbers."""
        table, kind = inst.table, OPCODES[inst.op].format.name
        if table is not None:
            inst = dataclasses.replace(inst, table=table._replace(sig=self.signatures[table.sig]))
        if kind not in _OWNERS or not isinstance(inst.imm, int):
            return inst
        return dataclasses.replace(inst, imm=getattr(self, _OWNERS[kind])[inst.imm])


_OWNERS: Final = {
    "StackAddr": "slots",
    "StackLoad": "slots",
    "StackStore": "slots",
    "UnaryConst": "constants",
    "CallIndirect": "signatures",
    "FuncAddr": "refs",
    "Call": "refs",
    "TryCall": "refs",
}
"""What an immediate counts, by format."""


def _added(own: dict[int, _T], others: Mapping[int, _T]) -> dict[int, int]:
    """Puts what others have into the function's own; gives the new numbers."""
    first = max(own, default=-1) + 1
    numbers = {old: first + place for place, old in enumerate(others)}
    own.update({numbers[old]: one for old, one in others.items()})
    return numbers
