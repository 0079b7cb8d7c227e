"""Which way the branches of stack probes go: the loops in prologues of large frames, executed as they stand.

The one idea: everything in such a loop is a constant or at a known distance from the stack pointer, so each branch can
be decided and the loop be run to its end (`frame`). One short function for each ISA's branch; what they do
not know is None. Probes are Cranelift's `gen_probestack_loop`: x86-64 compares the stack pointer with its goal, aarch64
counts an offset down, riscv64 the size left, s390x the pages.

Sources: Intel SDM (CMP, Jcc), Arm ARM (CMN, B.cond), RISC-V ISA manual (BGEU), z/Architecture Principles of Operation
(BRANCH RELATIVE ON COUNT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from liftcheck.bits.term import Term, const, value_of
from liftcheck.mach.insn import FLAGS, Insn
from liftcheck.mach.state import State, joined, parts, sliced

Decision = Callable[[State, Insn, Insn], "bool | None"]


def taken(isa: str, state: State, before: Insn | None, branch: Insn) -> bool | None:
    """Whether a branch is taken, from the state before it and the instruction before it; it may count a register."""
    decide = _DECISIONS.get((isa, branch.name))
    return None if decide is None or before is None else decide(state, before, branch)


def _number(t: Term) -> int | None:
    return value_of(t) if t.prim == "const" else None


def _compared(state: State, machine: Insn, name: str) -> list[Term] | None:
    """The two registers that an instruction of this name compares, in no order."""
    places = sorted(place for place in machine.reads if place != FLAGS)
    return [state.value(place) for place in places] if machine.name == name and len(places) == 2 else None


def _not_equal(state: State, before: Insn, branch: Insn) -> bool | None:
    """x86-64: cmp, jne."""
    values = _compared(state, before, "cmp")
    distances = [parts(value) for value in values] if values else [None]
    if any(found is None or found[0] is not state.base for found in distances):
        return None
    return distances[0] != distances[1]


def _sum_greater(state: State, before: Insn, branch: Insn) -> bool | None:
    """aarch64: cmn, b.gt: the sum is positive (neither is large enough to overflow)."""
    numbers = [_number(value) for value in _compared(state, before, "cmn") or [state.base]]
    if any(number is None for number in numbers):
        return None
    signed = [number - (number >> 63 << 64) for number in numbers if number is not None]
    return sum(signed) > 0 if all(abs(number) < 1 << 62 for number in signed) else None


def _not_below(state: State, before: Insn, branch: Insn) -> bool | None:
    """riscv64: bgeu, by the order of its operands (as the encoding has them: x5, x6, distance)."""
    names = [word.strip() for word in branch.operands.split(",")[:2]]
    if not all(name.startswith("x") and name[1:].isdigit() for name in names):
        return None
    first, second = (_number(state.value(int(name[1:]))) for name in names)
    return None if first is None or second is None else first >= second


def _counted(state: State, before: Insn, branch: Insn) -> bool | None:
    """s390x: brct takes one from the low half and jumps if it is not zero."""
    (place,) = (place for place in branch.writes if place >= 0)
    value = state.value(place)
    low = _number(sliced(value, 0, 32))
    if low is None:
        return None
    low = (low - 1) & 0xFFFFFFFF
    state.registers[place] = joined(sliced(value, 32, 32), const(low, 32))
    return low != 0


_DECISIONS: Final[Mapping[tuple[str, str], Decision]] = {
    ("x86-64", "jne"): _not_equal,
    ("aarch64", "b.gt"): _sum_greater,
    ("riscv64", "bgeu"): _not_below,
    ("s390x", "brct"): _counted,
}  # fmt: skip
