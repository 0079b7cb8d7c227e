"""Which way the branch of an x86-64 stack probe goes: it compares the stack pointer with its goal.

Sources: Cranelift's `gen_probestack_loop`; Intel SDM (CMP, Jcc).
"""

from __future__ import annotations

from liftcheck.mach.insn import Insn
from liftcheck.mach.state import State, parts


def taken(state: State, before: Insn, branch: Insn) -> bool | None:
    """cmp, jne; None if that is not known."""
    values = state.compared(before, "cmp") if branch.name == "jne" else None
    distances = [parts(value) for value in values] if values else [None]
    if any(found is None or found[0] is not state.base for found in distances):
        return None
    return distances[0] != distances[1]
