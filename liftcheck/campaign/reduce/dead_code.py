"""Takes out of a function what nothing reaches or reads: blocks, instructions, block parameters, declarations.

The one idea: reads are counted once, and what nothing reads any longer is taken out by a list of what is left to do, so
that a chain of such goes in one walk; blocks that join rename their parameters together, at the end. So a function of
any size is swept in a time that grows as it does.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from liftcheck.campaign.reduce.edit import HANDLER_ADDRESS, is_pure, move_handlers
from liftcheck.clif.cfg import edges
from liftcheck.clif.edit import copy_function, replace_uses
from liftcheck.clif.ir import BlockCall, ExceptionTable, Function, Inst
from liftcheck.clif.opcodes import INDIRECT_CALLS, OPCODES, TERMINATORS

Place = tuple[int, int]
"""A block's number, and the position of one of its parameters."""


def tidy(function: Function, kept: Callable[[int], bool] | None = None) -> Function:
    """The function without what nothing reaches or reads. Values that are `kept` stay though nothing reads them."""
    function = copy_function(function)
    if function.aliases:
        aliases = dict(function.aliases)
        replace_uses(function, {value: _root(aliases, value) for value in function.aliases})
        function.aliases = {}
    while True:
        _drop_unreachable(function)
        _merge_chains(function)
        if not _drop_unread(function, kept):
            break
    _drop_declarations(function)
    return function


def _root(mapping: dict[int, int], number: int) -> int:
    """Where a chain ends; what was passed leads there at once from now on."""
    passed = []
    while number in mapping:
        passed.append(number)
        number = mapping[number]
    for other in passed[:-1]:
        mapping[other] = number
    return number


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
    """Joins a block to the one that jumps to it when no other block does."""
    entered = Counter(edge.block for block in function.blocks for edge in edges(block.insts[-1]))
    by_number = {block.number: block for block in function.blocks}
    handled = _handled(function)
    values: dict[int, int] = {}
    joined: dict[int, int] = {}
    for block in function.blocks:
        if block.number in joined:
            continue
        while (last := block.insts[-1]).op == "jump" and entered[last.targets[0].block] == 1:
            target = by_number[last.targets[0].block]
            if target is block or target is function.blocks[0] or len(target.params) != len(last.targets[0].args):
                break
            if target.number in handled:
                if block is function.blocks[0]:
                    break  # of handlers of the entry block no address can be taken
                handled.add(block.number)
            block.insts[-1:] = target.insts
            target.insts = [last]
            joined[target.number] = block.number
            _rename(values, target.params, last.targets[0].args)
    function.blocks[:] = [block for block in function.blocks if block.number not in joined]
    if joined:
        move_handlers(function, {number: _root(joined, number) for number in (*joined,)})
        replace_uses(function, {value: _root(values, value) for value in (*values,)})


def _handled(function: Function) -> set[int]:
    """The blocks of whose exception handlers an address is taken."""
    return {
        inst.imm[0]
        for block in function.blocks
        for inst in block.insts
        if inst.op == HANDLER_ADDRESS and isinstance(inst.imm, tuple)
    }


def _rename(values: dict[int, int], params: Sequence[tuple[int, object]], args: Sequence[int | str]) -> None:
    """Parameters become what they were given. No value comes to stand for itself, however ill-formed the function."""
    for (value, _), arg in zip(params, args):
        if isinstance(arg, int) and (given := _root(values, arg)) != value:
            values[value] = given


@dataclass(slots=True)
class _Reads:
    """Who reads what. counts: value -> its readers but a block parameter that is handed to itself; passed: what each
    block parameter is given, so far as it was counted; fixed: blocks whose parameters a call gives."""

    places: Mapping[int, Place]
    counts: Counter[int] = field(default_factory=Counter)
    passed: dict[Place, list[int]] = field(default_factory=dict)
    fixed: set[int] = field(default_factory=set)

    def add(self, inst: Inst) -> None:
        """Counts what an instruction reads."""
        for value in inst.args:
            self.counts[value] += 1
        for target in edges(inst) if inst.op in TERMINATORS else ():
            self._add_edge(target, inst.table is not None)
        for item in inst.table.items if inst.table is not None else ():
            if item[0] == "context":
                self.counts.update(part for part in item[1:] if isinstance(part, int))

    def _add_edge(self, target: BlockCall, of_call: bool) -> None:
        for position, arg in enumerate(target.args):
            place = (target.block, position)
            if not isinstance(arg, int):
                self.fixed.add(target.block)
            elif of_call or self.places.get(arg) != place:
                self.counts[arg] += 1
                self.passed.setdefault(place, []).append(arg)


def _drop_unread(function: Function, kept: Callable[[int], bool] | None) -> bool:
    """Drops pure instructions and block parameters (not the entry's) that nothing reads; whether there were any."""
    insts = [inst for block in function.blocks for inst in block.insts]
    params = {value: (block.number, at) for block in function.blocks[1:] for at, (value, _) in enumerate(block.params)}
    reads = _Reads(params)
    for inst in insts:
        reads.add(inst)
    if kept is not None:
        reads.counts.update(filter(kept, (*params, *(value for inst in insts for value in inst.results))))
    unread, places = _unread([inst for inst in insts if inst.op not in TERMINATORS and is_pure(inst)], reads)
    for block in function.blocks if unread else ():
        block.insts[:] = [inst for inst in block.insts if id(inst) not in unread]
    if places:
        _drop_params(function, places)
    return bool(unread or places)


def _unread(pure: list[Inst], reads: _Reads) -> tuple[set[int], set[Place]]:
    """What goes: identities of instructions, places of parameters. What only those read goes with them."""
    counts, places = reads.counts, reads.places
    makers = {value: inst for inst in pure for value in inst.results}
    gone: set[int] = set()
    dropped: set[Place] = set()
    todo: list[Inst | Place] = [*pure, *(place for value, place in places.items() if not counts[value])]
    while todo:
        one = todo.pop()
        if isinstance(one, Inst):
            if id(one) in gone or any(counts[value] for value in one.results):
                continue
            gone.add(id(one))
            freed = one.args
        else:
            if one in dropped or one[0] in reads.fixed:
                continue
            dropped.add(one)
            freed = tuple(reads.passed.get(one, ()))
        for value in freed:
            counts[value] -= 1
            if not counts[value]:
                todo += [found for found in (makers.get(value), places.get(value)) if found is not None]
    return gone, dropped


def _drop_params(function: Function, places: set[Place]) -> None:
    """Block parameters at some places go, and with them what they are given."""
    touched = {block for block, _ in places}

    def shorter(target: BlockCall) -> BlockCall:
        if target.block not in touched:
            return target
        return BlockCall(
            target.block, tuple(arg for at, arg in enumerate(target.args) if (target.block, at) not in places)
        )

    for block in function.blocks:
        block.params[:] = [param for at, param in enumerate(block.params) if (block.number, at) not in places]
        last = block.insts[-1]
        table = last.table
        if table is not None:
            items = tuple(
                tuple(shorter(part) if isinstance(part, BlockCall) else part for part in item) for item in table.items
            )
            table = ExceptionTable(table.sig, shorter(table.normal), items)
        block.insts[-1] = dataclasses.replace(last, targets=tuple(map(shorter, last.targets)), table=table)


def _drop_declarations(function: Function) -> None:
    insts = [inst for block in function.blocks for inst in block.insts]
    defined = {v for inst in insts for v in inst.results} | {v for block in function.blocks for v, _ in block.params}
    function.types = {v: t for v, t in function.types.items() if v in defined}
    slots = {inst.imm for inst in insts if OPCODES[inst.op].format.imm == "stack_slot"}
    function.stack_slots = {n: s for n, s in function.stack_slots.items() if n in slots}
    refs = {inst.imm for inst in insts if OPCODES[inst.op].format.imm == "func_ref"}
    function.func_refs = {n: r for n, r in function.func_refs.items() if n in refs}
    signatures: set[object] = {ref.sig for ref in function.func_refs.values()}
    signatures |= {inst.imm for inst in insts if inst.op in INDIRECT_CALLS}
    signatures |= {inst.table.sig for inst in insts if inst.table is not None}
    function.signatures = {n: s for n, s in function.signatures.items() if n in signatures}
    pool = {inst.imm for inst in insts if OPCODES[inst.op].format.imm == "constant"}
    function.constants = {n: c for n, c in function.constants.items() if n in pool}
