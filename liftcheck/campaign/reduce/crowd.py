"""Another program that goes wrong in the same way: one instruction, with values in all registers around it.

The one idea: a fault may show only if a value is in the very register that an instruction, or the callee of a call,
loses; then each step that takes something away moves values to other registers and hides it (`several.py` hopes that
they come back). A function that is given many values, executes the instruction with the operands that it was seen to
have, and returns them all, has a value in each register. So nothing else of the program matters, and what is left is
made smaller without a coincidence.

What it does not do: it does not know whether the fault is of this kind. Such a program may even be longer than the one
that it is made of; who asks for it keeps it only if it becomes shorter in the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from liftcheck.campaign.reduce.edit import is_constant, with_function
from liftcheck.campaign.reduce.engine import tidied
from liftcheck.campaign.reduce.flow import known_calls
from liftcheck.campaign.reduce.proposals import cut
from liftcheck.campaign.reduce.several import Probe
from liftcheck.case import Case
from liftcheck.clif.edit import copy_function, fresh
from liftcheck.clif.ir import AbiParam, Block, Function, Inst, Signature
from liftcheck.clif.opcodes import CALLS, DIRECT_CALLS, INDIRECT_CALLS, TERMINATORS
from liftcheck.clif.types import F64, I64, TYPES, Type

MOST: Final = 120
"""Programs that are made of one; calls come first."""
_AROUND: Final = ((0, I64), *((count, ty) for count in (8, 32) for ty in (TYPES["i8x16"], F64, I64)))
"""Values around the instruction: none but its operands; as many as arrive in registers; as there are registers."""


def crowded(case: Case, probe: Probe) -> Iterator[Case]:
    """Programs of one instruction each of the entry function, for a case with one input."""
    return islice(_crowded(case, probe), MOST) if len(case.inputs) == 1 else iter(())


def _crowded(case: Case, probe: Probe) -> Iterator[Case]:
    function = case.module.functions[case.entry]
    for block, position, inst in _places(function):
        seen = probe(cut(case, case.entry, block, position, inst.args))
        if seen is not None:
            for count, ty in _AROUND:
                yield tidied(_crowd(case, inst, seen, ty, count), lambda _name, _value: True)


def _places(function: Function) -> list[tuple[int, int, Inst]]:
    """Block, position and form of what is tried: calls of known functions first, as plain and direct ones."""
    direct = {id(call): ref for call, ref in known_calls(function)}
    calls: list[tuple[int, int, Inst]] = []
    others: list[tuple[int, int, Inst]] = []
    for number, block in enumerate(function.blocks):
        for position, inst in enumerate(block.insts):
            if inst.op in DIRECT_CALLS:
                calls.append((number, position, _plain(inst, inst.imm, inst.args)))
            elif inst.op in INDIRECT_CALLS and id(inst) in direct:
                calls.append((number, position, _plain(inst, direct[id(inst)], inst.args[1:])))
            elif inst.op not in CALLS and inst.op not in TERMINATORS and not is_constant(inst):
                others.append((number, position, inst))
    return calls + others


def _plain(call: Inst, ref: object, args: tuple[int, ...]) -> Inst:
    """A direct call in the place of any other; results of a `try_call` are lost."""
    return Inst("call", None, call.results, args, ref)


def _crowd(case: Case, inst: Inst, seen: Sequence[int], ty: Type, count: int) -> Case:
    """The entry function with `inst` alone, `count` values of a type around it."""
    old = case.module.functions[case.entry]
    made = copy_function(old)
    made.types = {}
    crowd = [fresh(made, ty) for _ in range(count)]
    args = [fresh(made, old.types[value]) for value in inst.args]
    results = [fresh(made, one) for one in _result_types(old, inst)]
    returned = (*crowd, *args, *results)
    made.blocks = [
        Block(
            0,
            [(value, made.types[value]) for value in (*crowd, *args)],
            [dataclasses.replace(inst, results=tuple(results), args=tuple(args)), Inst("return", None, args=returned)],
        )
    ]
    made.signature = Signature(
        tuple(AbiParam(made.types[value]) for value in (*crowd, *args)),
        tuple(AbiParam(made.types[value]) for value in returned),
        old.signature.call_conv,
    )
    values = [int.from_bytes(bytes([number + 1] * ty.bytes), "little") for number in range(count)]
    return dataclasses.replace(with_function(case, case.entry, made), inputs=((*values, *seen),))


def _result_types(function: Function, inst: Inst) -> list[Type]:
    if inst.op != "call" or not isinstance(inst.imm, int):
        return [function.types[value] for value in inst.results]
    return [param.type for param in function.signatures[function.func_refs[inst.imm].sig].returns]
