"""The reducer's passes: each proposes smaller programs, none decides anything.

The one idea: a pass is a function from a case and a site number to the candidates at that site, or None past the last
site. The driver (`engine.py`) takes the first candidate that is cheaper and still shows the fault, and asks again at
the same site number, or else goes on to the next. So a pass holds no state, and a new one is a function and a line in
`PASSES`. Candidates may be ill-formed or change the meaning: the driver's door refuses those.

Order matters for speed, not for the result: first what removes most (inputs, whole functions, halves of the program).
How candidates are made is in `proposals.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator, Sequence
from typing import Final

from liftcheck import layout
from liftcheck.campaign.reduce.callees import callee_params, callee_returns, calls_shortened
from liftcheck.campaign.reduce.edit import dead_values, is_constant, with_function
from liftcheck.campaign.reduce.flow import arms, block_params, direct_calls, inline, tables
from liftcheck.campaign.reduce.proposals import (
    as_constant,
    as_params,
    body_of,
    cut,
    nth_inst,
    renamed_result,
    replacements,
    return_zeros,
    with_inst,
    with_signatures,
    with_terminator,
    without,
    without_param,
)
from liftcheck.campaign.reduce.several import Pass, Probe, several
from liftcheck.case import Case
from liftcheck.clif.cfg import edges
from liftcheck.clif.edit import copy_function, reachable
from liftcheck.clif.ir import NO_FLAGS, ExceptionTable, Inst, Module, StackSlot
from liftcheck.clif.opcodes import CALLS, DIRECT_CALLS, STORES, TERMINATORS


def narrow_inputs(case: Case, runs: Sequence[int]) -> Case:
    """The case with only the given runs; they must be neighbours, so that each keeps its data region."""
    inputs = tuple(case.inputs[i] for i in runs)
    memories = tuple(case.memories[i] for i in runs) if case.memories else ()
    return dataclasses.replace(case, inputs=inputs, memories=memories, slot=case.slot + runs[0])


def one_input(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Keeps one run only."""
    if len(case.inputs) < 2 or site >= len(case.inputs):
        return None
    return [narrow_inputs(case, [site])]


def drop_function(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Drops a function; if it is the entry, each other one becomes it, with zeros for arguments."""
    functions = case.module.functions
    if site >= len(functions):
        return None
    kept = Module([function for number, function in enumerate(functions) if number != site])
    if site != case.entry:
        return [dataclasses.replace(case, module=kept, entry=case.entry - (site < case.entry))]
    return [
        dataclasses.replace(
            case, module=kept, entry=number, inputs=((0,) * len(f.signature.params),), memories=case.memories[:1]
        )
        for number, f in enumerate(kept.functions)
    ]


def drop_calls(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Site k: all calls of function k at once, their results zero."""
    if site >= len(case.module.functions):
        return None
    function = case.module.functions[site]
    if not any(inst.op in CALLS for inst in body_of(function)):
        return ()
    return [with_function(case, site, without(function, lambda inst: inst.op in CALLS))]


def enter_callee(case: Case, site: int, probe: Probe) -> Iterator[Case] | None:
    """Makes the callee of the site-th direct call in the entry function the entry, with the arguments seen there; what
    it does not need goes."""
    entry = case.module.functions[case.entry]
    calls = [
        (b, i, inst)
        for b, block in enumerate(entry.blocks)
        for i, inst in enumerate(block.insts)
        if inst.op in DIRECT_CALLS
    ]
    if site >= len(calls) or len(case.inputs) != 1:
        return None
    return _enter(case, *calls[site], probe)


def _enter(case: Case, block: int, position: int, inst: Inst, probe: Probe) -> Iterator[Case]:
    entry = case.module.functions[case.entry]
    name = entry.func_refs[inst.imm].name if isinstance(inst.imm, int) else ""
    callee = next((n for n, f in enumerate(case.module.functions) if f.name == name), None)
    seen = probe(cut(case, case.entry, block, position, inst.args))
    if callee is not None and seen is not None:
        kept = reachable(case.module, callee)
        module = Module([case.module.functions[number] for number in kept])
        yield dataclasses.replace(case, module=module, entry=kept.index(callee), inputs=(seen,))


def halves(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Replaces runs of instructions, from halves of a function down to pairs, by zeros."""
    chunks: list[tuple[int, int, int]] = []
    for number, function in enumerate(case.module.functions):
        count = len(body_of(function))
        length = count // 2
        while length >= 2:
            chunks += [(number, start, length) for start in range(0, count, length)]
            length //= 2
    chunks.sort(key=lambda chunk: -chunk[2])
    if site >= len(chunks):
        return None
    number, start, length = chunks[site]
    function = case.module.functions[number]
    chosen = {id(inst) for inst in body_of(function)[start : start + length] if not is_constant(inst)}
    return [with_function(case, number, without(function, lambda inst: id(inst) in chosen))] if chosen else ()


def cut_after(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Ends the entry function right after its site-th instruction, returning that instruction's results; or right
    before it, returning what it would have stored."""
    function = case.module.functions[case.entry]
    sites = [
        (b, i)
        for b, block in enumerate(function.blocks)
        for i, inst in enumerate(block.insts)
        if (inst.results or inst.op in STORES) and not is_constant(inst) and inst.op not in TERMINATORS
    ]
    if site >= len(sites):
        return None
    block, position = sites[site]
    inst = function.blocks[block].insts[position]
    if inst.op in STORES:
        return [cut(case, case.entry, block, position, inst.args[:1])]
    return [cut(case, case.entry, block, position + 1, inst.results)]


def branches(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Makes one conditional terminator unconditional, or a return."""
    sites = [
        (n, b)
        for n, function in enumerate(case.module.functions)
        for b, block in enumerate(function.blocks)
        if block.insts[-1].op not in ("return", "trap")
    ]
    if site >= len(sites):
        return None
    number, at = sites[site]
    last = case.module.functions[number].blocks[at].insts[-1]
    targets = [target for target in edges(last) if all(isinstance(a, int) for a in target.args)]
    ways = [Inst("jump", None, targets=(target,)) for target in targets] if last.op != "jump" else []
    if last.table is not None:
        ways.append(dataclasses.replace(last, table=ExceptionTable(last.table.sig, last.table.normal)))
    return [*(with_terminator(case, number, at, [way]) for way in ways), return_zeros(case, number, at)]


def instructions(case: Case, site: int, probe: Probe) -> Iterator[Case] | None:
    """Takes one instruction out: an operand, an earlier value, zero, its value as seen, or a parameter in its stead."""
    place = nth_inst(case, site)
    return None if place is None else _instead(case, *place, probe)


def _instead(case: Case, number: int, block: int, position: int, probe: Probe) -> Iterator[Case]:
    function = case.module.functions[number]
    inst = function.blocks[block].insts[position]
    if inst.op in TERMINATORS:
        return
    types = [function.types[result] for result in inst.results]
    if len(types) == 1:
        for value in replacements(function, block, position, types[0]):
            yield with_function(case, number, renamed_result(function, block, position, value))
    if not is_constant(inst):
        yield with_function(case, number, without(function, lambda other: other is inst))
    if number != case.entry or len(case.inputs) > 1 or not types:
        return
    seen = probe(cut(case, number, block, position + 1, inst.results))
    yield as_params(case, block, position, (0,) * len(types) if seen is None else seen)
    if seen is not None and len(types) == 1:
        yield with_function(case, number, as_constant(function, block, position, types[0], seen[0]))


def params(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Makes a parameter of the entry function the constant that it is for the first input, or zero."""
    if site >= len(case.module.functions[case.entry].signature.params):
        return None
    return [calls_shortened(without_param(case, site), frozenset([site]), False)]


def returns(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Drops one return value of the entry function."""
    function = case.module.functions[case.entry]
    kept = function.signature.returns
    if site >= len(kept):
        return None
    changed = copy_function(function)
    changed.signature = changed.signature._replace(returns=(*kept[:site], *kept[site + 1 :]))
    for block in changed.blocks:
        last = block.insts[-1]
        if last.op == "return":
            block.insts[-1] = dataclasses.replace(last, args=(*last.args[:site], *last.args[site + 1 :]))
    return [calls_shortened(with_function(case, case.entry, changed), frozenset([site]), True)]


def constants(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Smaller constants and offsets."""
    place = nth_inst(case, site)
    if place is None:
        return None
    number, block, position = place
    function = case.module.functions[number]
    inst = function.blocks[block].insts[position]
    smaller: list[Inst] = []
    if is_constant(inst) and isinstance(inst.imm, int):
        if inst.op in ("vconst", "f128const"):
            zero = as_constant(function, block, position, function.types[inst.results[0]], 0)
            return [with_function(case, number, zero)] if any(function.constants[inst.imm]) else []
        smaller = [dataclasses.replace(inst, imm=value) for value in _simpler(inst.imm)]
    if inst.offset:
        smaller += [dataclasses.replace(inst, offset=value) for value in (0, 8, inst.offset // 2)]
    return [with_inst(case, number, block, position, new) for new in smaller]


def _simpler(value: int) -> list[int]:
    """Simpler integers than this one, simplest first."""
    return [v for v in (0, 1, 2, value >> 1, value & (value - 1), value & 0xFF) if complexity(v) < complexity(value)]


def complexity(value: int) -> int:
    """How much there is to read in a constant: 0 for 0, little for small numbers and for few set bits."""
    value = abs(value)
    return min(value.bit_length(), 4 + value.bit_count()) if value else 0


def input_values(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Simpler arguments; an address of the data region stays, or becomes zero."""
    if not case.inputs or site >= len(case.inputs[0]):
        return None
    row = case.inputs[0]
    is_address = layout.DATA <= row[site] < layout.DATA + layout.SLOTS * layout.SLOT_STRIDE
    return [
        dataclasses.replace(case, inputs=((*row[:site], value, *row[site + 1 :]), *case.inputs[1:]))
        for value in ([0] if is_address else _simpler(row[site]))
    ]


def memory(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Drops the data region, or fills parts of it with zeros: the whole, halves, … down to 16 bytes."""
    if not case.memories:
        return None
    if site == 0:
        return [dataclasses.replace(case, memories=())]
    content = case.memories[0]
    pieces = [
        (start, length)
        for length in (4096, 2048, 1024, 512, 256, 128, 64, 16)
        for start in range(0, len(content), length)
        if any(content[start : start + length])
    ]
    if site > len(pieces):
        return None
    start, length = pieces[site - 1]
    cleared = content[:start] + bytes(len(content[start : start + length])) + content[start + length :]
    return [dataclasses.replace(case, memories=(cleared, *case.memories[1:]))]


def attributes(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """Plain calling conventions, memory flags, stack slots and blocks; no extensions, no preamble."""
    if site >= len(case.module.functions):
        return None
    function = case.module.functions[site]
    plain = copy_function(function)
    for block in plain.blocks:
        block.cold = False
        block.insts[:] = [
            dataclasses.replace(inst, flags=NO_FLAGS) if inst.flags != NO_FLAGS and inst.op != "bitcast" else inst
            for inst in block.insts
        ]
    slots = copy_function(function)
    slots.stack_slots = {number: StackSlot(slot.size) for number, slot in slots.stack_slots.items()}
    bare = copy_function(function)
    bare.preamble, bare.globals = [], {}
    return [
        *(with_function(case, site, way) for way in (plain, slots, bare)),
        with_signatures(case, lambda s: s._replace(call_conv="system_v")),
        with_signatures(
            case,
            lambda s: s._replace(
                params=tuple(p._replace(extension="") for p in s.params),
                returns=tuple(p._replace(extension="") for p in s.returns),
            ),
        ),
    ]


def dead(case: Case, site: int, _probe: Probe) -> Sequence[Case] | None:
    """For faults in what nothing reads: keeps one such instruction alone, then drops runs of them, from halves down."""
    unread = [(name, value) for name, values in dead_values(case.module).items() for value in sorted(values)]
    count = len(unread)
    if count and site < count:
        return [_without_dead(case, {*unread} - {unread[site]})]
    chunks, length = [], (count + 1) // 2
    while length and count:
        chunks += [unread[start : start + length] for start in range(0, count, length)]
        length //= 2
    return [_without_dead(case, {*chunks[site - count]})] if site - count < len(chunks) else None


def _without_dead(case: Case, doomed: Container[tuple[str, int]]) -> Case:
    functions = []
    for function in case.module.functions:
        changed = copy_function(function)
        for block in changed.blocks:
            block.insts[:] = [i for i in block.insts if not any((function.name, r) in doomed for r in i.results)]
        functions.append(changed)
    return dataclasses.replace(case, module=Module(functions))


_STEPS: Final = (instructions, instructions, params, callee_params, callee_returns, branches, block_params)
PASSES: Final[tuple[Pass, ...]] = (
    one_input, drop_calls, drop_function, dead, enter_callee, cut_after, halves, branches, returns, arms,
    inline, direct_calls, tables, block_params, instructions, params, callee_params, callee_returns, memory, attributes,
    constants, input_values)  # fmt: skip
INNER: Final = tuple(one for one in PASSES if one not in (params, returns))
"""Those that leave what the entry is given and returns: for what has values in all registers (`crowd.py`)."""
SEVERAL: Final = several(_STEPS)
"""For where those have come to an end, and much is left."""
