"""Whether a program lets the bits of a NaN be seen that arithmetic may make in any way (`liftcheck.nan`).

The one idea: a value is tainted if such a NaN may be in it; opcodes that move bits hand the taint on. A tainted value
that anything else reads, that is stored or handed to a callee, is seen.
"""

from __future__ import annotations

from liftcheck.clif.ir import Function, Inst
from liftcheck.nan import CREATES, PROPAGATES, observed

_HANDED_ON: tuple[str, ...] = ("return", "jump", "brif", "br_table")


def seen_bits(function: Function) -> bool:
    """Whether it does."""
    tainted: set[int | str] = set()
    params = {block.number: [number for number, _ in block.params] for block in function.blocks}
    while True:
        before = len(tainted)
        for block in function.blocks:
            for inst in block.insts:
                _hand_on(inst, tainted, params)
        if len(tainted) == before:
            break
    tainted |= {alias for alias, value in function.aliases.items() if value in tainted}
    return any(_sees(inst, tainted) for block in function.blocks for inst in block.insts)


def _hand_on(inst: Inst, tainted: set[int | str], params: dict[int, list[int]]) -> None:
    if inst.op in CREATES or (inst.op in PROPAGATES and not tainted.isdisjoint(inst.args)):
        tainted.update(inst.results)
    for call in inst.targets:
        tainted.update(param for param, value in zip(params[call.block], call.args) if value in tainted)


def _sees(inst: Inst, tainted: set[int | str]) -> bool:
    if inst.op in _HANDED_ON:
        return False
    return any(inst.args[at] in tainted for at in observed(inst.op, len(inst.args)))
