"""Wrong results of Cranelift that have a page, told by their cause: the page's fault as a program.

The one idea: a page says what an instruction is compiled to instead. So the program is written anew with that in its
place, and the reference runs it. If it then gives just what the compiled code gave, the page explains the result; a new
bug in the same instruction gives something else and stays a failure.

Faults that CLIF cannot say (registers, code that is missing) are told otherwise: `proofs.py`. Which page is for what:
`pages.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from liftcheck.clif.ir import Function, Inst
from liftcheck.clif.types import F16, F32, F64, F128, I16, I32, I64, I128, Type

Constants = Mapping[int, int]
Made = Sequence[tuple[Inst, Sequence[Type]]]


class Rewrite(NamedTuple):
    """An instruction, by the types of its first operand and its result, and what is made of it: given the constants and
    the first number that is free, instructions from its operands to its result with the types of what they make on the
    way. No instructions: the fault does not touch it."""

    op: str
    source: frozenset[Type]
    result: frozenset[Type]
    instead: Callable[[Constants, Inst, int], Made]


def low_half(_: Constants, inst: Inst, free: int) -> Made:
    """The low half of an f128, taken for an f64."""
    return [
        (Inst("bitcast", I128, (free,), inst.args), (I128,)),
        (Inst("isplit", I128, (free + 1, free + 2), (free,)), (I64, I64)),
        (Inst("bitcast", F64, (free + 3,), (free + 1,)), (F64,)),
        (dataclasses.replace(inst, args=(free + 3,)), ()),
    ]


def padded(_: Constants, inst: Inst, free: int) -> Made:
    """An f16 with zeros above it, taken for an f32."""
    return [
        (Inst("bitcast", I16, (free,), inst.args), (I16,)),
        (Inst("uextend", I32, (free + 1,), (free,)), (I32,)),
        (Inst("bitcast", F32, (free + 2,), (free + 1,)), (F32,)),
        (dataclasses.replace(inst, args=(free + 2,)), ()),
    ]


def first_of_constants(constants: Constants, inst: Inst, _: int) -> Made:
    """The first of two constants of which one is zero, since every number compares as equal to zero."""
    ty = inst.type
    assert ty is not None
    sign, infinity = 1 << ty.bits - 1, {F16: 0x7C00, F128: 0x7FFF << 112}[ty]
    numbers = [constants[value] & ~sign for value in inst.args if value in constants]
    if len(numbers) < 2 or max(numbers) > infinity or (numbers[0] == 0) == (numbers[1] == 0):
        return ()
    return [(dataclasses.replace(inst, op="fcopysign", args=(inst.args[0], inst.args[0])), ())]


def _constants(function: Function) -> Constants:
    """The bits of the values, and of their aliases, that are constants of f16 and f128."""
    found = {}
    for block in function.blocks:
        for inst in block.insts:
            if inst.op in ("f16const", "f128const") and isinstance(inst.imm, int):
                bits = inst.imm if inst.op == "f16const" else int.from_bytes(function.constants[inst.imm], "little")
                found[inst.results[0]] = bits
    return found | {alias: found[value] for alias, value in function.aliases.items() if value in found}


def rewritten(fault: Rewrite, functions: Sequence[Function]) -> list[Function] | None:
    """The program as the fault makes it; None if the fault does not touch it."""
    made = [_with(fault, function) for function in functions]
    return made if any(new is not old for new, old in zip(made, functions)) else None


def _with(fault: Rewrite, function: Function) -> Function:
    types, constants = dict(function.types), _constants(function)
    blocks, free = [], max(types, default=-1) + 1
    for block in function.blocks:
        insts: list[Inst] = []
        for inst in block.insts:
            made = fault.instead(constants, inst, free) if _is_hit(fault, function, inst) else ()
            free += sum(len(kinds) for _, kinds in made)
            insts += [one for one, _ in made] or [inst]
            for one, kinds in made:
                types.update(zip(one.results, kinds))
        blocks.append(dataclasses.replace(block, insts=insts))
    return function if blocks == function.blocks else dataclasses.replace(function, blocks=blocks, types=types)


def _is_hit(fault: Rewrite, function: Function, inst: Inst) -> bool:
    return (
        inst.op == fault.op
        and function.types[function.aliases.get(inst.args[0], inst.args[0])] in fault.source
        and function.types[inst.results[0]] in fault.result
    )
