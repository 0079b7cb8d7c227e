"""Wrong results of Cranelift that have a page, told by their cause: the page's fault as a program.

The one idea: a page says what an instruction is compiled to instead. So the program is written anew with that in its
place, and the reference runs it. If it then gives just what the compiled code gave, the page explains the result; a new
bug in the same instruction gives something else and stays a failure.

It has no row for faults that CLIF cannot say (registers, code that is missing).
Sources: docs/findings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from liftcheck.clif.ir import Function, Inst
from liftcheck.clif.types import F16, F32, F64, F128, I16, I32, I64, I128, Type


class Fault(NamedTuple):
    """An instruction of an ISA, by the types that it converts, and what is made of it: instructions from its operand to
    its result, the first number that is free."""

    isas: frozenset[str]
    op: str
    source: Type
    result: frozenset[Type]
    instead: Callable[[Inst, int], list[tuple[Inst, Sequence[Type]]]]
    page: str


def _low_half(inst: Inst, free: int) -> list[tuple[Inst, Sequence[Type]]]:
    """The low half of an f128, taken for an f64."""
    return [(Inst("bitcast", I128, (free,), inst.args), (I128,)),
            (Inst("isplit", I128, (free + 1, free + 2), (free,)), (I64, I64)),
            (Inst("bitcast", F64, (free + 3,), (free + 1,)), (F64,)),
            (dataclasses.replace(inst, args=(free + 3,)), ())]


def _padded(inst: Inst, free: int) -> list[tuple[Inst, Sequence[Type]]]:
    """An f16 with zeros above it, taken for an f32."""
    return [(Inst("bitcast", I16, (free,), inst.args), (I16,)),
            (Inst("uextend", I32, (free + 1,), (free,)), (I32,)),
            (Inst("bitcast", F32, (free + 2,), (free + 1,)), (F32,)),
            (dataclasses.replace(inst, args=(free + 2,)), ())]


FAULTS: Final = (
    Fault(frozenset({"aarch64", "x86-64"}), "fdemote", F128, frozenset({F32}), _low_half,
          "docs/findings/aarch64-fdemote-from-f128.md"),
    Fault(frozenset({"aarch64", "x86-64", "riscv64"}), "fpromote", F16, frozenset({F64}), _padded,
          "docs/findings/aarch64-fpromote-from-f16.md"),
)


def faulty(isa: str, functions: Sequence[Function]) -> list[tuple[str, list[Function]]]:
    """For each page that may explain a result on an ISA, the program as the page says that it is compiled."""
    found = []
    for fault in FAULTS:
        if isa in fault.isas:
            made = [_with(fault, function) for function in functions]
            if any(new is not old for new, old in zip(made, functions)):
                found.append((fault.page, made))
    return found


def _with(fault: Fault, function: Function) -> Function:
    types = dict(function.types)
    blocks = []
    for block in function.blocks:
        insts: list[Inst] = []
        for inst in block.insts:
            if not _is_hit(fault, function, inst):
                insts.append(inst)
                continue
            for made, kinds in fault.instead(inst, max(types) + 1):
                insts.append(made)
                types.update(zip(made.results, kinds))
        blocks.append(dataclasses.replace(block, insts=insts))
    return function if len(types) == len(function.types) else dataclasses.replace(function, blocks=blocks, types=types)


def _is_hit(fault: Fault, function: Function, inst: Inst) -> bool:
    return (inst.op == fault.op and function.types[function.aliases.get(inst.args[0], inst.args[0])] == fault.source
            and function.types[inst.results[0]] in fault.result)
