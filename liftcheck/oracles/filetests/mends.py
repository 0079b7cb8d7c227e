"""Faults of Cranelift's code that no CLIF says (registers, frames): told by what takes them away.

The one idea: a page says what the fault needs: a float that comes back from a call, the two halves of an i128 in one
register, an extended argument on the stack. So the program is written anew so that it means the same and does not have
that, or is compiled without the setting, and the same compiler and runner are asked again. If the line then passes, the
page explains it. Since any change may happen to move another bug away, a mend that adds instructions has a control: the
same instructions, but users of the old value keep it. The control must fail like the program itself.

Which page is for what: `pages.py`. Faults that are programs: `faults.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.clif.edit import copy_function, fresh, replace_uses
from liftcheck.clif.ir import Function, Inst, Signature, StackSlot
from liftcheck.clif.types import F16, F32, F64, I16, I32, I64, I128, Type
from liftcheck.mach.arguments import stack_bytes

Settings = tuple[tuple[str, str], ...]


class Mend(NamedTuple):
    """What is changed, in words; the functions so changed (None: there is nothing to change), `healed` or as the
    control; settings that are changed in addition."""

    words: str
    changed: Callable[[Function, bool], Function | None]
    settings: Settings = ()
    has_control: bool = False


def mended(mend: Mend, functions: Sequence[Function], healed: bool = True) -> list[Function] | None:
    """The program without what the fault needs, or the control; None if it has no such thing."""
    made = [mend.changed(function, healed) for function in functions]
    return [new or old for new, old in zip(made, functions)] if any(made) else None


_INTEGER_OF: Final = {F16: I16, F32: I32}
_ARGUMENT_REGISTERS: Final = 8
_VIA: Final = {F16: I16, F32: I32, I64: F64}
"""The type in which a value comes back from memory: another one, or the compiler would know it again."""


def boxed_anew(function: Function, healed: bool) -> Function | None:
    """Floats of less than 64 bits go through memory where a call returns them."""
    made = copy_function(function)
    # From the start of each block on, for places are counted from its end.
    found = sorted(set(_returned(made)), key=lambda one: (one[0], -one[1], one[2]))
    for number, follow, value in found:
        copy, insts = _through_memory(made, value, made.types[value])
        if healed:
            _use_instead(made, value, copy)
        block = made.blocks[number]
        block.insts[len(block.insts) - follow : len(block.insts) - follow] = insts
    return made if found else None


def _returned(function: Function) -> Iterator[tuple[int, int, int]]:
    """(number of a block, how many instructions follow the place where it is there, value) of narrow floats that calls
    return."""
    place = {block.number: number for number, block in enumerate(function.blocks)}
    for number, block in enumerate(function.blocks):
        for at, inst in enumerate(block.insts):
            if inst.op in ("call", "call_indirect"):
                follow = len(block.insts) - at - 1
                yield from ((number, follow, value) for value in inst.results if function.types[value] in _INTEGER_OF)
            elif inst.table is not None:
                normal = inst.table.normal
                entered = function.blocks[place[normal.block]]
                for argument, (value, ty) in zip(normal.args, entered.params):
                    if isinstance(argument, str) and ty in _INTEGER_OF:
                        yield place[normal.block], len(entered.insts), value


def halves_apart(function: Function, healed: bool) -> Function | None:
    """The high half of an i128 that is stored or exchanged atomically goes through memory, so that the two halves are
    two values."""
    made, found = copy_function(function), False
    for block in made.blocks:
        for at in reversed(range(len(block.insts))):
            inst = block.insts[at]
            stored = _stored(inst)
            if stored is None or made.types[made.aliases.get(stored, stored)] is not I128:
                continue
            low, high, value = fresh(made, I64), fresh(made, I64), fresh(made, I128)
            copy, insts = _through_memory(made, high, I64)
            split = Inst("isplit", I128, (low, high), (stored,))
            joined = Inst("iconcat", I64, (value,), (low, copy))
            last = dataclasses.replace(inst, args=_replaced(inst.args, stored, value)) if healed else inst
            block.insts[at : at + 1] = [split, *insts, joined, last]
            found = True
    return made if found else None


def _stored(inst: Inst) -> int | None:
    """What an atomic store or exchange stores."""
    if inst.op == "atomic_store":
        return inst.args[0]
    return inst.args[1] if inst.op == "atomic_rmw" and inst.imm == "xchg" else None


def _replaced(values: Sequence[int], old: int, new: int) -> tuple[int, ...]:
    return tuple(new if value == old else value for value in values)


def _through_memory(function: Function, value: int, ty: Type) -> tuple[int, list[Inst]]:
    """A copy of a value that the compiler does not know for one, and the instructions that make it and keep it."""
    slot = max(function.stack_slots, default=-1) + 1
    function.stack_slots[slot] = StackSlot(32, 16)
    address, loaded, copy = fresh(function, I64), fresh(function, _VIA[ty]), fresh(function, ty)
    return copy, [
        Inst("stack_addr", I64, (address,), imm=slot),
        Inst("store", ty, (), (value, address)),
        Inst("load", _VIA[ty], (loaded,), (address,)),
        Inst("bitcast", ty, (copy,), (loaded,)),
        Inst("store", ty, (), (copy, address), offset=16),
    ]


def _use_instead(function: Function, value: int, copy: int) -> None:
    """What reads a value, or an alias of it, reads the copy."""
    names = {value}
    while more := {name for name, of in function.aliases.items() if of in names} - names:
        names |= more
    replace_uses(function, dict.fromkeys(names, copy))


def unextended(function: Function, _: bool) -> Function | None:
    """No argument that is on the stack is to be extended (`apple_aarch64`): the callee does not count on it."""
    signature = _unextended(function.signature)
    signatures = {number: _unextended(one) for number, one in function.signatures.items()}
    if (signature, signatures) == (function.signature, function.signatures):
        return None
    return dataclasses.replace(function, signature=signature, signatures=signatures)


def _unextended(signature: Signature) -> Signature:
    if signature.call_conv != "apple_aarch64":
        return signature
    params, taken = [], 0
    for param in signature.params:
        on_stack = param.type.is_int and not param.type.is_vector and taken >= _ARGUMENT_REGISTERS
        params.append(param._replace(extension="") if on_stack else param)
        if param.type.is_int and not param.type.is_vector and param.purpose != "sret":
            taken += -(-param.type.bits // 64)
    return signature._replace(params=tuple(params))


def preserves_all(function: Function, _: bool) -> Function | None:
    """As it is, if it keeps all registers and has a frame: without probes of the stack it does."""
    return function if function.signature.call_conv == "preserve_all" and function.stack_slots else None


def takes_arguments_away(isa: str, function: Function, _: bool) -> Function | None:
    """As it is, if it is of `winch` and has arguments on the stack, which it takes away before it returns."""
    signature = function.signature
    return function if signature.call_conv == "winch" and stack_bytes(isa, signature) else None
