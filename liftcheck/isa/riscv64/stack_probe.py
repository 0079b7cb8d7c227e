"""Which way the branch of a riscv64 stack probe goes: it counts the size left.

Sources: Cranelift's `gen_probestack_loop`; RISC-V ISA manual (BGEU).
"""

from __future__ import annotations

from liftcheck.mach.insn import Insn
from liftcheck.mach.state import State, constant


def taken(state: State, before: Insn, branch: Insn) -> bool | None:
    """bgeu, by the order of its operands (as the encoding has them: x5, x6, distance); None if that is not known."""
    names = [word.strip() for word in branch.operands.split(",")[:2]]
    if branch.name != "bgeu" or not all(name.startswith("x") and name[1:].isdigit() for name in names):
        return None
    first, second = (constant(state.value(int(name[1:]))) for name in names)
    return None if first is None or second is None else first >= second
