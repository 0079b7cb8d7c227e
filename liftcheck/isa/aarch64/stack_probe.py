"""Which way the branch of an aarch64 stack probe goes: it counts an offset down.

Sources: Cranelift's `gen_probestack_loop`; Arm ARM (CMN, B.cond).
"""

from __future__ import annotations

from liftcheck.mach.insn import Insn
from liftcheck.mach.state import State, constant


def taken(state: State, before: Insn, branch: Insn) -> bool | None:
    """cmn, b.gt: the sum is positive (neither is large enough to overflow); None if that is not known."""
    values = state.compared(before, "cmn") if branch.name == "b.gt" else None
    numbers = [constant(value) for value in values or [state.base]]
    if any(number is None for number in numbers):
        return None
    signed = [number - (number >> 63 << 64) for number in numbers if number is not None]
    return sum(signed) > 0 if all(abs(number) < 1 << 62 for number in signed) else None
