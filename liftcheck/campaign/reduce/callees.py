"""Passes that make callees' signatures smaller: parameters and results that the fault does not need.

The one idea: a parameter is dropped on both sides at once, in the callee and in every direct call of it, so that the
program stays well-formed; in the callee it becomes zero, and a dropped result is zero in the caller. A function whose
address is taken keeps its signature, as who calls it is not known. See `passes.py` for what a pass is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from liftcheck.campaign.reduce.edit import cuts
from liftcheck.case import Case
from liftcheck.clif.edit import constant, copy_function, replace_uses
from liftcheck.clif.ir import Function, Inst, Module, Signature
from liftcheck.clif.opcodes import DIRECT_CALLS


def callee_params(case: Case, site: int, _probe: object) -> Sequence[Case] | None:
    """Drops parameters of a function that is called: all of them, halves, single ones."""
    return _at_site(case, site, False)


def callee_returns(case: Case, site: int, _probe: object) -> Sequence[Case] | None:
    """Drops results of a function that is called."""
    return _at_site(case, site, True)


def calls_shortened(case: Case, doomed: frozenset[int], returns: bool) -> Case:
    """The case with all calls of its entry, from which parameters (or results) are gone, without these."""
    name = case.module.functions[case.entry].name
    if not any(ref.name == name for function in case.module.functions for ref in function.func_refs.values()):
        return case
    functions = [copy_function(function) for function in case.module.functions]
    for function in functions:
        _shorten_calls(function, name, doomed, returns)
    return dataclasses.replace(case, module=Module(functions))


def _at_site(case: Case, site: int, returns: bool) -> Sequence[Case] | None:
    spots = []
    for name, signature in _called(case).items():
        listed = signature.returns if returns else signature.params
        if listed and not _is_elsewhere(case.module, name):
            spots += [(name, part) for part in cuts(len(listed))]
    if site >= len(spots):
        return None
    name, part = spots[site]
    return [_without(case, name, frozenset(part), returns)]


def _called(case: Case) -> dict[str, Signature]:
    """The signatures of all functions but the entry, by name: of the module's, and of those that are only called."""
    functions = case.module.functions
    found = {function.name: function.signature for function in functions}
    for function in functions:
        for ref in function.func_refs.values():
            found.setdefault(ref.name, function.signatures[ref.sig])
    del found[functions[case.entry].name]
    return found


def _is_elsewhere(module: Module, name: str) -> bool:
    """Whether a function is used otherwise than by direct calls."""
    for function in module.functions:
        refs = {number for number, ref in function.func_refs.items() if ref.name == name}
        for block in function.blocks:
            if any(inst.imm in refs for inst in block.insts if inst.op == "func_addr" or inst.table is not None):
                return True
    return False


def _without(case: Case, name: str, doomed: frozenset[int], returns: bool) -> Case:
    """The case without parameters (or results) `doomed` of a function."""
    functions = []
    for function in case.module.functions:
        changed = copy_function(function)
        if function.name == name:
            _shorten(changed, doomed, returns)
        _shorten_calls(changed, name, doomed, returns)
        functions.append(changed)
    return dataclasses.replace(case, module=Module(functions))


def _signature(signature: Signature, doomed: frozenset[int], returns: bool) -> Signature:
    if returns:
        return signature._replace(returns=tuple(p for at, p in enumerate(signature.returns) if at not in doomed))
    return signature._replace(params=tuple(p for at, p in enumerate(signature.params) if at not in doomed))


def _shorten(function: Function, doomed: frozenset[int], returns: bool) -> None:
    function.signature = _signature(function.signature, doomed, returns)
    if returns:
        for block in function.blocks:
            last = block.insts[-1]
            if last.op == "return":
                block.insts[-1] = dataclasses.replace(last, args=_kept(last.args, doomed))
        return
    entry = function.blocks[0]
    gone = [param for at, param in enumerate(entry.params) if at in doomed]
    entry.params = [param for at, param in enumerate(entry.params) if at not in doomed]
    entry.insts[:0] = [inst for value, ty in gone for inst in _zero(function, value)]


def _zero(function: Function, value: int) -> list[Inst]:
    """Instructions that make a zero in the place of a value, whose uses are changed."""
    number, made = constant(function, function.types[value], 0)
    replace_uses(function, {value: number})
    return made


def _kept(values: Sequence[int], doomed: frozenset[int]) -> tuple[int, ...]:
    return tuple(value for at, value in enumerate(values) if at not in doomed)


def _shorten_calls(function: Function, name: str, doomed: frozenset[int], returns: bool) -> None:
    """All direct calls of a function by name, and the signatures that they go by."""
    refs = {number: ref for number, ref in function.func_refs.items() if ref.name == name}
    for number, ref in refs.items():
        own = max(function.signatures, default=-1) + 1
        function.signatures[own] = _signature(function.signatures[ref.sig], doomed, returns)
        function.func_refs[number] = ref._replace(sig=own)
    for block in function.blocks:
        insts: list[Inst] = []
        for inst in block.insts:
            if inst.op not in DIRECT_CALLS or inst.imm not in refs:
                insts.append(inst)
            elif not returns:
                insts.append(dataclasses.replace(inst, args=_kept(inst.args, doomed)))
            else:
                insts.append(dataclasses.replace(inst, results=_kept(inst.results, doomed)))
                lost = [value for at, value in enumerate(inst.results) if at in doomed]
                insts += [made for value in lost for made in _zero(function, value)]
        block.insts[:] = insts
