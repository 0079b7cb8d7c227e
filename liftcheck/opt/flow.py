"""Control flow tidied: blocks that nothing reaches go, a block that only one jump leads to joins the one before it, and
a parameter that is given the same value on every edge becomes that value.
"""

from __future__ import annotations

import dataclasses

from liftcheck.clif.cfg import edges
from liftcheck.clif.edit import map_values
from liftcheck.clif.ir import Block, BlockCall, Function, Inst


def tidy(function: Function) -> bool:
    """Changes a copy in place; whether it did."""
    changed = _reachable(function)
    names: dict[int, int] = {}
    while _parameters(function, names):
        changed = True
    changed |= _joined(function, names)
    if names:
        resolved = {value: _resolved(names, value) for value in names}
        for block in function.blocks:
            block.insts[:] = [map_values(inst, lambda v: resolved.get(v, v)) for inst in block.insts]
    return changed


def _resolved(names: dict[int, int], value: int) -> int:
    path = []
    while value in names:
        path.append(value)
        value = names[value]
    for one in path:
        names[one] = value
    return value


def _reachable(function: Function) -> bool:
    known = {block.number: block for block in function.blocks}
    seen, waiting = set[int](), [function.blocks[0].number] if function.blocks else []
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        waiting += [call.block for call in edges(known[number].insts[-1])]
    kept = [block for block in function.blocks if block.number in seen]
    changed = len(kept) != len(function.blocks)
    function.blocks[:] = kept
    return changed


def _parameters(function: Function, names: dict[int, int]) -> bool:
    """Parameters that have one value."""
    blocks = {block.number: block for block in function.blocks[1:]}
    given: dict[int, list[object]] = {n: [None] * len(block.params) for n, block in blocks.items()}
    for block in function.blocks:
        for call in edges(block.insts[-1]):
            if call.block in blocks:
                _collect(given[call.block], blocks[call.block], call, names)
    gone: dict[int, list[bool]] = {}
    for number, block in blocks.items():
        taken = []
        for place, (param, _) in enumerate(block.params):
            value = given[number][place]
            value = _resolved(names, value) if isinstance(value, int) else None
            single = value is not None and value != param
            if single and isinstance(value, int):
                names[param] = value
            taken.append(single)
        if any(taken):
            gone[number] = taken
            block.params[:] = [one for one, away in zip(block.params, taken) if not away]
    if not gone:
        return False
    for block in function.blocks:
        block.insts[-1] = _shortened(block.insts[-1], gone)
    return True


def _collect(given: list[object], block: Block, call: BlockCall, names: dict[int, int]) -> None:
    for place, (arg, (param, _)) in enumerate(zip(call.args, block.params)):
        value: object = _resolved(names, arg) if isinstance(arg, int) else "one of a call"
        if value == param:
            continue
        given[place] = value if given[place] in (None, value) else "several"


def _shortened(inst: Inst, gone: dict[int, list[bool]]) -> Inst:
    def call(one: BlockCall) -> BlockCall:
        away = gone.get(one.block)
        if away is None:
            return one
        return BlockCall(one.block, tuple(arg for arg, leaves in zip(one.args, away) if not leaves))

    if not any(one.block in gone for one in edges(inst)):
        return inst
    table = inst.table
    if table is not None:
        items = tuple(tuple(call(p) if isinstance(p, BlockCall) else p for p in item) for item in table.items)
        table = table._replace(normal=call(table.normal), items=items)
    return dataclasses.replace(inst, targets=tuple(map(call, inst.targets)), table=table)


def _joined(function: Function, names: dict[int, int]) -> bool:
    """Blocks put at the end of the only one that jumps to them."""
    known = {block.number: block for block in function.blocks}
    entering = dict.fromkeys(known, 0)
    for block in function.blocks:
        for call in edges(block.insts[-1]):
            entering[call.block] += 1
    entry = function.blocks[0].number if function.blocks else -1
    gone = set[int]()
    for block in function.blocks:
        if block.number in gone:
            continue
        while block.insts[-1].op == "jump":
            (call,) = block.insts[-1].targets
            other = known[call.block]
            if entering[call.block] != 1 or call.block in (entry, block.number) or other.cold != block.cold:
                break
            names.update({p: a for (p, _), a in zip(other.params, call.args) if isinstance(a, int)})
            block.insts[-1:] = other.insts
            gone.add(other.number)
    function.blocks[:] = [block for block in function.blocks if block.number not in gone]
    return bool(gone)
