"""Whether a program lets the bits of an arithmetic NaN be seen: then a difference in them proves nothing.

The one idea: the reducer may take out the instructions by which the generator made a NaN canonical. So every candidate is
checked: a value that arithmetic made (`liftcheck.nan.CREATES`) and that flows by moves into memory, an integer or a
call is visible, unless a select on the value's own unordered comparison stands between. Returned floats are fine: they
are compared modulo NaN. It errs on the side of 'visible'.
"""

from __future__ import annotations

from liftcheck.campaign.edit import edges
from liftcheck.clif.ir import Function, Inst, Module
from liftcheck.nan import CREATES, PROPAGATES, observed


def shows_nan_bits(module: Module) -> bool:
    """Whether any function of the module does."""
    return any(_function_shows(function) for function in module.functions)


def _function_shows(function: Function) -> bool:
    made = {result: inst for block in function.blocks for inst in block.insts for result in inst.results}
    tainted = _tainted(function, made)
    if not tainted:
        return False
    for block in function.blocks:
        for inst in block.insts:
            if inst.op == "return" or inst.op in ("jump", "brif", "br_table"):
                continue
            if inst.op.startswith(("return_call", "call", "try_call")):
                if not tainted.isdisjoint(inst.args):
                    return True
                continue
            if any(inst.args[i] in tainted for i in observed(inst.op, len(inst.args)) if i < len(inst.args)):
                if not _is_canonical_form(inst, made):
                    return True
    return False


def _tainted(function: Function, made: dict[int, Inst]) -> set[int]:
    """Values that may hold a NaN made by arithmetic; results of calls that are floats count as such."""
    tainted: set[int] = set()
    params = {block.number: block.params for block in function.blocks}
    changed = True
    while changed:
        before = len(tainted)
        for block in function.blocks:
            for inst in block.insts:
                tainted.update(_results_tainted(function, inst, tainted, made))
                for target in edges(inst) if inst.op not in ("return",) else ():
                    for (value, kind), arg in zip(params.get(target.block, ()), target.args):
                        if kind.is_float and (arg in tainted or not isinstance(arg, int)):
                            tainted.add(value)
        changed = len(tainted) != before
    return tainted


def _results_tainted(function: Function, inst: Inst, tainted: set[int], made: dict[int, Inst]) -> list[int]:
    results = [r for r in inst.results if function.types[r].is_float]
    if inst.op in CREATES or "call" in inst.op:
        return results
    if inst.op in PROPAGATES and not tainted.isdisjoint(inst.args) and not _is_canonical_form(inst, made):
        return results
    return []


def _is_canonical_form(inst: Inst, made: dict[int, Inst]) -> bool:
    """select(fcmp.uno/ne x x, constant, x) or select(fcmp.ord/eq x x, x, constant): whatever x is, its NaNs are gone."""
    if inst.op not in ("select", "bitselect", "blendv"):
        return False
    condition = made.get(inst.args[0])
    while condition is not None and condition.op == "bitcast":
        condition = made.get(condition.args[0])
    if condition is None or condition.op != "fcmp" or condition.args[0] != condition.args[1]:
        return False
    kept = {"uno": 2, "ne": 2, "ord": 1, "eq": 1}.get(str(condition.imm))
    return kept is not None and inst.args[kept] == condition.args[0]
