"""Programs beside a program: what differs from it by one edit, whether that makes it smaller or not.

The one idea: which part of a compiler is at fault shows by what goes wrong beside what does not. So a neighbour is the
program with another type, opcode, constant, condition or memory flag, with an instruction taken out (the reducer's own
passes), or one of its instructions alone; and it is run on several inputs, so that one that is right has had a chance
to go wrong. Types are changed at one place, and what follows from that is inferred as the parser does it.
Kinds take turns, so that the first dozens are of all kinds, however long the program is.
It judges nothing, and a neighbour need not be well-formed (`verify` says): that is `suspect_rules.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from random import Random
from typing import Final

from liftcheck import layout
from liftcheck.campaign.reduce import passes
from liftcheck.campaign.reduce.edit import is_constant, with_function
from liftcheck.campaign.reduce.proposals import as_constant, cut, with_inst
from liftcheck.campaign.reduce.several import Pass, Probe
from liftcheck.case import Case
from liftcheck.clif.edit import copy_function
from liftcheck.clif.formats import ATOMIC_OPERATIONS, FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.ir import NO_FLAGS, AbiParam, Block, Function, Inst, Module
from liftcheck.clif.opcodes import OPCODES, TERMINATORS, Opcode
from liftcheck.clif.types import FLOATS, INTS, TYPES, Type
from liftcheck.clif.values import runtime_table
from liftcheck.oracles.refusals import in_signature

INPUTS: Final = 24
"""Runs of a neighbour: the program's own, and others. A long program has a third of them."""
LONG: Final = 16
"""Instructions from which on a program is long."""
_TURNS: Final = 3
"""Candidates that a place gives before the next place has its turn."""
_SMALLER: Final = (passes.cut_after, passes.instructions, passes.params, passes.returns, passes.attributes,
                   passes.branches, passes.drop_calls, passes.constants, passes.enter_callee)  # fmt: skip
_WORDS: Final[Mapping[str, Sequence[str]]] = {
    "intcc": INT_CONDITIONS, "floatcc": FLOAT_CONDITIONS, "atomic_rmw_op": ATOMIC_OPERATIONS}  # fmt: skip
_VALUES: Final = (0, 1, 2, 3, 7, 8, 31, 100, -1, -2, 255, 4096, 1 << 20, 0x12345678)


def neighbours(case: Case, run: int, probe: Probe) -> Iterator[Case]:
    """The neighbours of a case at one of its runs, each once as far as its text tells. Instructions alone come first,
    as they tell most."""
    narrow = passes.narrow_inputs(case, [run]) if run < len(case.inputs) else case
    kinds = [_retyped(narrow), _other_words(narrow), _other_opcodes(narrow), _smaller(narrow, probe)]
    for made in chain(_alone(narrow, probe), _in_turn(kinds)):
        yield with_inputs(made, Random(case.name))


def relatives(case: Case, run: int) -> Iterator[Case]:
    """The program with other types alone: the same shape."""
    narrow = passes.narrow_inputs(case, [run]) if run < len(case.inputs) else case
    yield from (with_inputs(made, Random(case.name)) for made in _retyped(narrow))


def distance(case: Case, other: Case) -> tuple[int, int]:
    """How far the types of a relative are from the program's: values of another type, and of another width."""
    own, types = (one.module.functions[one.entry].types for one in (case, other))
    pairs = [(ty, types[value]) for value, ty in own.items() if value in types]
    return sum(a is not b for a, b in pairs), sum(a.bits != b.bits for a, b in pairs)


def _in_turn(kinds: Sequence[Iterator[Case]]) -> Iterator[Case]:
    left = list(kinds)
    while left:
        for one in list(left):
            made = next(one, None)
            if made is None:
                left.remove(one)
            else:
                yield made


def _spread(places: Sequence[Iterator[Case]]) -> Iterator[Case]:
    """A few candidates of every place in turn."""
    left = list(places)
    while left:
        for place in list(left):
            for _ in range(_TURNS):
                made = next(place, None)
                if made is None:
                    left.remove(place)
                    break
                yield made


def with_inputs(case: Case, random: Random) -> Case:
    """The case with more inputs after its first one. Addresses of its data region stay addresses of it."""
    kinds = [param.type for param in case.module.functions[case.entry].signature.params]
    if not kinds:
        return case
    first, rows = case.inputs[0], [case.inputs[0]]
    base = layout.slot_address(case.slot)
    count = INPUTS if len(_insts(case)) < LONG else INPUTS // 3
    for run in range(1, min(count, layout.SLOTS - case.slot)):
        moved = layout.slot_address(case.slot + run)
        rows.append(
            tuple(
                moved + value - base
                if 0 <= value - base < layout.SLOT_SIZE and case.memories
                else (value if random.random() < 0.3 else random.choice(runtime_table(ty)))
                for value, ty in zip(first, kinds)
            )
        )
    memories = (case.memories[0],) * len(rows) if case.memories else ()
    return dataclasses.replace(case, inputs=tuple(rows), memories=memories)


def _insts(case: Case) -> list[tuple[int, int, int, Inst]]:
    """(function, block, position, instruction) of all of them."""
    return [
        (n, b, i, inst)
        for n, function in enumerate(case.module.functions)
        for b, block in enumerate(function.blocks)
        for i, inst in enumerate(block.insts)
    ]


def _alone(case: Case, probe: Probe) -> Iterator[Case]:
    """Each pure instruction of the entry as a function of its operands, with the operands as they are in the run."""
    function = case.module.functions[case.entry]
    seen: set[str] = set()
    for number, b, i, inst in _insts(case):
        opcode = OPCODES[inst.op]
        key = f"{inst.op} {inst.type} {inst.imm} {[function.types.get(arg) for arg in inst.args]}"
        if number != case.entry or inst.op in TERMINATORS or is_constant(inst) or key in seen or opcode.is_call:
            continue
        if not inst.args or not inst.results or opcode.can_load or opcode.can_store:
            continue
        seen.add(key)
        operands = probe(cut(case, number, b, i, inst.args))
        if operands is not None:
            yield Case(Module([in_signature(function, inst)]), 0, (operands,), name=case.name)


def _smaller(case: Case, probe: Probe) -> Iterator[Case]:
    """What the reducer would try."""
    return _in_turn([_of_pass(one, case, probe) for one in _SMALLER])


def _of_pass(one: Pass, case: Case, probe: Probe) -> Iterator[Case]:
    site = 0
    while (made := one(case, site, probe)) is not None:
        yield from made
        site += 1


def _other_words(case: Case) -> Iterator[Case]:
    """Other constants, conditions, operations, flags, offsets."""
    return _spread([_words_at(case, *place) for place in reversed(_insts(case))])


def _words_at(case: Case, number: int, block: int, position: int, inst: Inst) -> Iterator[Case]:
    words = _WORDS.get(OPCODES[inst.op].format.imm, ())
    made = [dataclasses.replace(inst, imm=word) for word in words if word != inst.imm]
    if inst.op == "iconst" and isinstance(inst.imm, int) and inst.type is not None:
        made += [dataclasses.replace(inst, imm=v & inst.type.mask) for v in (*_VALUES, inst.imm + 1, inst.imm ^ 128)]
    elif is_constant(inst) and inst.type is not None and isinstance(inst.imm, int):
        yield from _constants_at(case, number, block, position, inst, inst.type)
    elif OPCODES[inst.op].format.imm == "uimm8" and isinstance(inst.imm, int):
        made += [dataclasses.replace(inst, imm=lane) for lane in (0, 1, inst.imm + 1)]
    if inst.flags != NO_FLAGS:
        made.append(dataclasses.replace(inst, flags=NO_FLAGS))
    elif OPCODES[inst.op].access is not None:
        made += [dataclasses.replace(inst, flags=NO_FLAGS._replace(endianness=end)) for end in ("little", "big")]
    if OPCODES[inst.op].access is not None and inst.offset:
        made.append(dataclasses.replace(inst, offset=0))
    yield from (with_inst(case, number, block, position, one) for one in made)


def _constants_at(case: Case, number: int, block: int, position: int, inst: Inst, ty: Type) -> Iterator[Case]:
    function = case.module.functions[number]
    values = [0, ty.mask, int.from_bytes(bytes(range(1, ty.bytes + 1)), "little"), *runtime_table(ty)[:6]]
    for value in values:
        yield with_function(case, number, as_constant(function, block, position, ty, value))


def _other_opcodes(case: Case) -> Iterator[Case]:
    """Other opcodes that take and give the same types."""
    return _spread([_opcodes_at(case, *place) for place in reversed(_insts(case))])


def _opcodes_at(case: Case, number: int, block: int, position: int, inst: Inst) -> Iterator[Case]:
    function, own = case.module.functions[number], OPCODES[inst.op]
    if inst.op in TERMINATORS or is_constant(inst) or own.is_call:
        return
    args = tuple(function.types[arg] for arg in inst.args)
    results = tuple(function.types[result] for result in inst.results)
    for opcode in OPCODES.values():
        if opcode is own or opcode.format is not own.format or opcode.removed or not opcode.family:
            continue
        ctrl = _controlling(opcode, inst.type, args)
        if _fits(opcode, ctrl, args, results):
            yield with_inst(case, number, block, position, dataclasses.replace(inst, op=opcode.name, type=ctrl))


def _controlling(opcode: Opcode, given: Type | None, args: Sequence[Type]) -> Type | None:
    if not opcode.ctrl:
        return None
    return args[opcode.infer_from] if opcode.infer_from is not None and opcode.infer_from < len(args) else given


def _fits(opcode: Opcode, ctrl: Type | None, args: Sequence[Type], results: Sequence[Type]) -> bool:
    try:
        wanted, given = opcode.arg_types(ctrl), opcode.result_types(ctrl)
    except KeyError:
        return False
    fit = len(wanted) == len(args) and all(
        t is w or (isinstance(w, frozenset) and t in w) for t, w in zip(args, wanted)
    )
    return fit and tuple(given) == tuple(results)


def _retyped(case: Case) -> Iterator[Case]:
    """Other types: everywhere, of one parameter, of one instruction that its operands do not tell."""
    return _in_turn([_everywhere(case), _spread([*_params_retyped(case), *_insts_retyped(case)])])


def _everywhere(case: Case) -> Iterator[Case]:
    function = case.module.functions[case.entry]
    if len(case.module.functions) > 1:
        return
    for ty in dict.fromkeys(function.types.values()):
        for other in others(ty):
            made = retyped(case, lambda _, t, ty=ty, other=other: other if t is ty else t)  # type: ignore[misc]
            if made is not None:
                yield made


def _params_retyped(case: Case) -> list[Iterator[Case]]:
    params = [value for value, _ in case.module.functions[case.entry].blocks[0].params]
    return [_at(case, value) for value in params]


def _insts_retyped(case: Case) -> list[Iterator[Case]]:
    places = [inst for number, _, _, inst in _insts(case) if number == case.entry and inst.results]
    told = [inst for inst in places if inst.type is not None and OPCODES[inst.op].infer_from is None]
    return [_at(case, inst.results[0]) for inst in told]


def _at(case: Case, value: int) -> Iterator[Case]:
    """The value `value` of the entry of another type."""
    for other in others(case.module.functions[case.entry].types[value]):
        made = retyped(case, lambda at, t, other=other: other if at == value else t)  # type: ignore[misc]
        if made is not None:
            yield made


def others(ty: Type) -> list[Type]:
    """Types that may stand for another one: of its kind first, then of the other kind."""
    if not ty.is_vector:
        own, other = (INTS, FLOATS) if ty.is_int else (FLOATS, INTS)
        return [*(t for t in own if t is not ty), *(t for t in other if t.bits == ty.bits)]
    whole = [t for t in (*INTS, *FLOATS) if t.bits == ty.bits]
    vectors = [t for t in TYPES.values() if t.is_vector and t is not ty and t.bits in (64, 128)]
    return sorted([*vectors, *whole], key=lambda t: (t.is_float != ty.is_float, t.bits != ty.bits, t.lanes != ty.lanes))


def retyped(case: Case, change: Callable[[int, Type], Type]) -> Case | None:
    """The entry with values of other types: `change` gives that of a value that is free, the rest is inferred. None if
    the types do not fit any more."""
    changed = copy_function(case.module.functions[case.entry])
    types: dict[int, Type] = {}
    for at, block in enumerate(changed.blocks):
        block.params = [(value, change(value, ty)) for value, ty in block.params]
        types.update(block.params)
        if at == 0:
            old = changed.signature.params
            params = tuple(p._replace(type=ty) for p, (_, ty) in zip(old, block.params, strict=True))
            changed.signature = changed.signature._replace(params=params)
    try:
        for block in changed.blocks:
            _infer(changed, block, types, change)
    except KeyError:
        return None
    changed.types = types
    inputs = tuple(tuple(value & p.type.mask for value, p in zip(row, changed.signature.params)) for row in case.inputs)
    return dataclasses.replace(with_function(case, case.entry, changed), inputs=inputs)


def _infer(function: Function, block: Block, types: dict[int, Type], change: Callable[[int, Type], Type]) -> None:
    """Types of what a block defines. KeyError if an instruction does not take its operands."""
    for at, inst in enumerate(block.insts):
        opcode = OPCODES[inst.op]
        if opcode.is_call:
            types.update({value: function.types[value] for value in inst.results})
            continue
        args = tuple(types[value] for value in inst.args)
        ctrl = inst.type
        if ctrl is not None:
            told = opcode.infer_from is not None and opcode.infer_from < len(args)
            ctrl = args[opcode.infer_from] if told else change(inst.results[0] if inst.results else -1, ctrl)  # type: ignore[index]
        types.update(zip(inst.results, opcode.result_types(ctrl), strict=True))
        block.insts[at] = _with_type(function, inst, ctrl)
        if opcode.is_return:
            returns = function.signature.returns
            kept = tuple(p._replace(type=ty) for p, ty in zip(returns, args))
            function.signature = function.signature._replace(returns=kept or tuple(map(AbiParam, args)))


def _with_type(function: Function, inst: Inst, ctrl: Type | None) -> Inst:
    """The instruction with another controlling type, its constant cut to it."""
    if ctrl is inst.type or ctrl is None:
        return inst
    imm = inst.imm
    if inst.op == "iconst" and isinstance(imm, int):
        imm = imm & ctrl.mask
    elif inst.op == "vconst" and isinstance(imm, int):
        content = function.constants[imm]
        imm = max(function.constants) + 1
        function.constants[imm] = (content * ctrl.bytes)[: ctrl.bytes]
    return dataclasses.replace(inst, type=ctrl, imm=imm)
