"""Small edits of IR: copies, new values, constants, other values in the place of some.

The one idea: an editor of a function copies it first (`copy_function`), since records that were handed out are not to
be changed; what is edited may be ill-formed, and `verify` says so. Which edits make sense is their users' business: the
reducer's proposals, known faults written as programs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Final, TypeVar

from liftcheck.clif.cfg import edges
from liftcheck.clif.ir import BlockCall, ExceptionTable, Function, Inst, Module
from liftcheck.clif.types import F16, F32, F64, F128, I64, I128, Type

_T = TypeVar("_T")
_FLOAT_CONSTANT: Final = {F16: "f16const", F32: "f32const", F64: "f64const"}


def copy_function(function: Function) -> Function:
    """A copy whose block list, blocks and maps may be changed (instructions are replaced, not edited). Its types and
    constants are in the order of their numbers, so that the last has the greatest."""
    blocks = [dataclasses.replace(b, params=list(b.params), insts=list(b.insts)) for b in function.blocks]
    return dataclasses.replace(
        function,
        blocks=blocks,
        types=_in_order(function.types),
        constants=_in_order(function.constants),
        stack_slots=dict(function.stack_slots),
        signatures=dict(function.signatures),
        func_refs=dict(function.func_refs),
        annotations=[],
    )


def _in_order(numbered: Mapping[int, _T]) -> dict[int, _T]:
    return dict(sorted(numbered.items(), key=itemgetter(0)))


def _next(numbered: dict[int, _T]) -> int:
    """A number above all of a map that is in their order."""
    return next(reversed(numbered)) + 1 if numbered else 0


def map_values(inst: Inst, rename: Callable[[int], int]) -> Inst:
    """The instruction with every value it reads renamed, those on its edges too."""

    def call(target: BlockCall) -> BlockCall:
        return BlockCall(target.block, tuple(rename(a) if isinstance(a, int) else a for a in target.args))

    table = inst.table
    if table is not None:
        items = tuple(
            tuple(call(part) if isinstance(part, BlockCall) else part for part in item)
            if item[0] != "context"
            else ("context", _renamed(item[1], rename))
            for item in table.items
        )
        table = ExceptionTable(table.sig, call(table.normal), items)
    return dataclasses.replace(
        inst, args=tuple(map(rename, inst.args)), targets=tuple(map(call, inst.targets)), table=table
    )


def _renamed(value: object, rename: Callable[[int], int]) -> object:
    return rename(value) if isinstance(value, int) else value


def replace_uses(function: Function, mapping: Mapping[int, int]) -> None:
    """Makes every reader of a key read its value instead (in place: `function` is the caller's own copy)."""

    def rename(value: int) -> int:
        return mapping.get(value, value)

    for block in function.blocks:
        block.insts[:] = [map_values(inst, rename) for inst in block.insts]


def values_read(inst: Inst) -> set[int]:
    """The numbers of all values that the instruction reads."""
    read = set(inst.args)
    for target in edges(inst):
        read.update(a for a in target.args if isinstance(a, int))
    if inst.table is not None:
        read.update(v for item in inst.table.items if item[0] == "context" for v in item[1:] if isinstance(v, int))
    return read


def fresh(function: Function, ty: Type) -> int:
    """A new value number of type `ty`, in a copy."""
    value = _next(function.types)
    function.types[value] = ty
    return value


def constant(function: Function, ty: Type, value: int) -> tuple[int, list[Inst]]:
    """The number of a new value of type `ty` that is `value`, and the instructions that make it."""
    if ty is I128:
        low, first = constant(function, I64, value & I64.mask)
        high, second = constant(function, I64, value >> 64)
        result = fresh(function, ty)
        return result, [*first, *second, Inst("iconcat", I64, (result,), (low, high))]
    result = fresh(function, ty)
    if ty.is_vector or ty is F128:
        number = _next(function.constants)
        function.constants[number] = value.to_bytes(ty.bytes, "little")
        return result, [Inst("vconst" if ty.is_vector else "f128const", ty, (result,), imm=number)]
    return result, [Inst(_FLOAT_CONSTANT.get(ty, "iconst"), ty, (result,), imm=value)]


def reachable(module: Module, number: int) -> list[int]:
    """The numbers of a function and of all that it refers to, directly or not, in their order."""
    named: dict[str, list[int]] = {}
    for place, function in enumerate(module.functions):
        named.setdefault(function.name, []).append(place)
    wanted, todo = set(), [number]
    while todo:
        place = todo.pop()
        if place not in wanted:
            wanted.add(place)
            todo += [one for ref in module.functions[place].func_refs.values() for one in named.get(ref.name, ())]
    return sorted(wanted)
