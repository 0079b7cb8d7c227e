"""Which way the branch of an s390x stack probe goes: it counts the pages.

Sources: Cranelift's `gen_probestack_loop`; z/Architecture Principles of Operation (BRANCH RELATIVE ON COUNT).
"""

from __future__ import annotations

from liftcheck.bits.term import const
from liftcheck.mach.insn import Insn
from liftcheck.mach.state import State, constant, joined, sliced


def taken(state: State, before: Insn, branch: Insn) -> bool | None:
    """brct takes one from the low half and jumps if it is not zero; None if that is not known."""
    if branch.name != "brct":
        return None
    (place,) = (place for place in branch.writes if place >= 0)
    value = state.value(place)
    low = constant(sliced(value, 0, 32))
    if low is None:
        return None
    low = (low - 1) & 0xFFFFFFFF
    state.registers[place] = joined(sliced(value, 32, 32), const(low, 32))
    return low != 0
