"""Wrong results of Cranelift that have a page, told by their cause: the page's fault as a program.

The one idea: a page says what an instruction is compiled to instead. So the program is written anew with that in its
place, and the reference runs it. If it then gives just what the compiled code gave, the page explains the result; a new
bug in the same instruction gives something else and stays a failure. Where the instruction stands several times and the
fault need not show in each (it reads bits that are left over from elsewhere), each choice of a few is a program.

Faults that CLIF cannot say (registers, code that is missing) are told otherwise: `mends.py`, `proofs.py`. Which page is
for what: `pages.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Final, NamedTuple

from liftcheck.clif.ir import Function, Inst
from liftcheck.clif.types import F16, F32, F64, F128, I8, I16, I32, I64, I128, TYPES, Type

FEW: Final = 4
"""Of up to so many instructions that may each be hit or not all choices are tried; of more all at once, and each alone.
"""


class Seen(NamedTuple):
    """What surrounds an instruction: the types of all values, the bits of constants of f16 and f128, who makes a value;
    the last two by aliases, too."""

    types: Mapping[int, Type]
    constants: Mapping[int, int]
    made: Mapping[int, Inst]


Made = Sequence[tuple[Inst, Sequence[Type]]]
Place = tuple[int, int, int]
"""Numbers of a function, of a block in it, of an instruction in that."""


class Rewrite(NamedTuple):
    """An instruction, by the types of its first operand and its result, and what is made of it: given what surrounds it
    and the first number that is free, instructions from its operands to its result with the types of what they make on
    the way. No instructions: the fault does not touch it."""

    op: str
    source: frozenset[Type]
    result: frozenset[Type]
    instead: Callable[[Seen, Inst, int], Made]


def low_half(_: Seen, inst: Inst, free: int) -> Made:
    """The low half of an f128, taken for an f64."""
    return [
        (Inst("bitcast", I128, (free,), inst.args), (I128,)),
        (Inst("isplit", I128, (free + 1, free + 2), (free,)), (I64, I64)),
        (Inst("bitcast", F64, (free + 3,), (free + 1,)), (F64,)),
        (dataclasses.replace(inst, args=(free + 3,)), ()),
    ]


def padded(_: Seen, inst: Inst, free: int) -> Made:
    """An f16 with zeros above it, taken for an f32."""
    return [
        (Inst("bitcast", I16, (free,), inst.args), (I16,)),
        (Inst("uextend", I32, (free + 1,), (free,)), (I32,)),
        (Inst("bitcast", F32, (free + 2,), (free + 1,)), (F32,)),
        (dataclasses.replace(inst, args=(free + 2,)), ()),
    ]


def first_of_constants(seen: Seen, inst: Inst, _: int) -> Made:
    """The first of two constants of which one is zero, since every number compares as equal to zero."""
    ty = inst.type
    assert ty is not None
    sign, infinity = 1 << ty.bits - 1, {F16: 0x7C00, F128: 0x7FFF << 112}[ty]
    numbers = [seen.constants[value] & ~sign for value in inst.args if value in seen.constants]
    if len(numbers) < 2 or max(numbers) > infinity or (numbers[0] == 0) == (numbers[1] == 0):
        return ()
    return [(dataclasses.replace(inst, op="fcopysign", args=(inst.args[0], inst.args[0])), ())]


def passes_256(_: Seen, inst: Inst, free: int) -> Made:
    """Saturation to 255 of what is above 256, which itself keeps its low byte."""
    wide, bound, equal, zero, right = range(free, free + 5)
    return [
        (dataclasses.replace(inst, type=I32, results=(wide,)), (I32,)),
        (Inst("iconst", I32, (bound,), imm=256), (I32,)),
        (Inst("icmp", I32, (equal,), (wide, bound), imm="eq"), (I8,)),
        (Inst("iconst", I8, (zero,), imm=0), (I8,)),
        (dataclasses.replace(inst, results=(right,)), (I8,)),
        (Inst("select", I8, inst.results, (equal, zero, right)), ()),
    ]


def nothing_of_splat(seen: Seen, inst: Inst, _: int) -> Made:
    """Zeros, since an index with anything above its byte is out of bounds; only if the indices are a splat."""
    index = seen.made.get(inst.args[1])
    if index is None or index.op != "splat":
        return ()
    return [(Inst("bxor", seen.types[inst.results[0]], inst.results, (inst.args[0], inst.args[0])), ())]


def operand_too_large(_: Seen, inst: Inst, __: int) -> Made:
    """`umin` keeps what is in memory and `umax` does not, since an operand with anything above it is greater."""
    if inst.imm == "umin":
        return [(Inst("atomic_load", inst.type, inst.results, inst.args[:1], flags=inst.flags), ())]
    return [(dataclasses.replace(inst, imm="xchg"), ())] if inst.imm == "umax" else ()


def always_true(_: Seen, inst: Inst, __: int) -> Made:
    """True, whatever the lanes, since something else is in the register's upper half."""
    return [(Inst("iconst", I8, inst.results, imm=1), ())]


def vectors_below(bits: int) -> frozenset[Type]:
    """The vectors that are shorter."""
    return frozenset(ty for ty in TYPES.values() if ty.is_vector and ty.bits < bits)


def rewritten(fault: Rewrite, functions: Sequence[Function]) -> list[list[Function]]:
    """The program as the fault makes it, all of its places hit, then some; none if the fault does not touch it."""
    places = [
        (number, *place)
        for number, function in enumerate(functions)
        for place in _hits(fault, function, _seen(function))
    ]
    return [
        [_with(fault, function, {place[1:] for place in chosen if place[0] == number}) for number, function in
         enumerate(functions)]
        for chosen in _choices(places)
    ]  # fmt: skip


def _choices(places: Sequence[Place]) -> Iterator[Collection[Place]]:
    """Which places are hit: all first."""
    if len(places) > FEW:
        return chain([places], ((place,) for place in places))
    return chain.from_iterable(combinations(places, count) for count in range(len(places), 0, -1))


def _seen(function: Function) -> Seen:
    constants: dict[int, int] = {}
    made = {value: inst for block in function.blocks for inst in block.insts for value in inst.results}
    for value, inst in made.items():
        if inst.op in ("f16const", "f128const") and isinstance(inst.imm, int):
            bits = inst.imm if inst.op == "f16const" else int.from_bytes(function.constants[inst.imm], "little")
            constants[value] = bits
    for alias, value in function.aliases.items():
        made |= {alias: made[value]} if value in made else {}
        constants |= {alias: constants[value]} if value in constants else {}
    return Seen(function.types, constants, made)


def _hits(fault: Rewrite, function: Function, seen: Seen) -> Iterator[tuple[int, int]]:
    for number, block in enumerate(function.blocks):
        for at, inst in enumerate(block.insts):
            if inst.op == fault.op and _is_typed(fault, function, inst) and fault.instead(seen, inst, 0):
                yield number, at


def _is_typed(fault: Rewrite, function: Function, inst: Inst) -> bool:
    return (
        function.types[function.aliases.get(inst.args[0], inst.args[0])] in fault.source
        and function.types[inst.results[0]] in fault.result
    )


def _with(fault: Rewrite, function: Function, places: Collection[tuple[int, int]]) -> Function:
    """The function with the fault at these places."""
    if not places:
        return function
    seen, types = _seen(function), dict(function.types)
    blocks, free = [], max(types, default=-1) + 1
    for number, block in enumerate(function.blocks):
        insts: list[Inst] = []
        for at, inst in enumerate(block.insts):
            made = fault.instead(seen, inst, free) if (number, at) in places else ()
            free += sum(len(tys) for _, tys in made)
            insts += [one for one, _ in made] or [inst]
            for one, tys in made:
                types.update(zip(one.results, tys))
        blocks.append(dataclasses.replace(block, insts=insts))
    return dataclasses.replace(function, blocks=blocks, types=types)
