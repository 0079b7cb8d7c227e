"""Traps: what a conditional trap leads to has the code that the compiler's text of it names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.validation_planting import flips, one, refuted

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.mach.insn import BRANCH, decode
from liftcheck.oracles.regalloc.code.layout import Layout
from liftcheck.oracles.regalloc.code.listed import OPERANDS
from liftcheck.oracles.regalloc.code.trapped import CODE
from liftcheck.regalloc.allocation import Captured

SEVERAL = """\
function %several(i64, i64, f64) -> i64, i32 system_v {
block0(v0: i64, v1: i64, v2: f64):
    v3 = icmp ult v0, v1
    trapnz v3, user1
    trapz v1, user2
    v4 = fcmp ne v2, v2
    trapnz v4, user3
    v5 = udiv v0, v1
    v6 = fcvt_to_sint.i32 v2
    v7 = uadd_overflow_trap v5, v0, user4
    v8 = fcvt_to_uint.i64 v2
    v9 = iadd v7, v8
    return v9, v6
}
"""
LIMITED = """\
function %limited(i64 vmctx, i64) -> i64 system_v {
    gv0 = vmctx
    gv1 = load.i64 notrap aligned gv0+8
    stack_limit = gv1
    ss0 = explicit_slot 640
    sig0 = (i64) -> i64 system_v
    fn0 = %f sig0
block0(v0: i64, v1: i64):
    trapz v1, user2
    v2 = stack_addr.i64 ss0
    v3 = call fn0(v2)
    v4 = iadd v3, v1
    return v4
}
"""


@pytest.mark.parametrize("isa", ISAS)
def test_a_trap_of_another_code_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """Every trap in its turn is said to be another one."""
    captured, source = one(regalloc, isa, SEVERAL)
    explicit = [row for row in captured.code.traps if Layout(isa, captured.code, captured.allocation).traps(row[0])]
    assert len({code for _, code in explicit}) > 5
    for offset, code in explicit:
        traps = tuple([(at, "user9" if at == offset else other) for at, other in captured.code.traps])
        edited = captured._replace(code=replace(captured.code, traps=traps))
        assert refuted(isa, edited, source) == CODE, code


@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
@pytest.mark.parametrize("text", [SEVERAL, LIMITED])
def test_a_branch_to_another_trap_is_refuted(regalloc: Cranelift, isa: str, text: str) -> None:
    """On the other ISAs a trap is among the bytes of its instruction."""
    captured, source = one(regalloc, isa, text)
    layout = Layout(isa, captured.code, captured.allocation)
    goals = [offset for offset, _ in captured.code.traps if layout.traps(offset)]
    at, found = 0, set()
    while at < min(goals):
        machine = layout.at(at)
        code = layout.trap_code(layout.goal(at, machine)) if machine.flow == BRANCH else ""
        for goal in goals if code else ():
            if (other := layout.trap_code(goal)) != code:
                rule = refuted(isa, _leading(isa, captured, at, machine.size, goal), source)
                assert rule, f"{code} becomes {other}"
                found.add(rule)
        at += machine.size
    assert CODE in found or OPERANDS in found
    assert text != LIMITED or "the prologue has a branch round something" in found


def test_a_branch_round_a_trap_that_leads_to_another_is_refuted(regalloc: Cranelift) -> None:
    captured, source = one(regalloc, "riscv64", SEVERAL)
    layout = Layout("riscv64", captured.code, captured.allocation)
    traps = {offset for offset, _ in captured.code.traps if layout.traps(offset)}
    found = 0
    for number, what in enumerate(captured.allocation.instructions):
        at = captured.allocation.offsets[number] or 0
        if what.text.startswith("trap_if"):
            for data in flips(captured.code.code[at : at + 4]):
                after = decode("riscv64", data + bytes(8), 0, 1)[0]
                if after.flow == BRANCH and at + (after.target or 0) in traps:
                    assert refuted("riscv64", _put(captured, at, data), source)
                    found += 1
    assert found


def _leading(isa: str, captured: Captured, at: int, size: int, goal: int) -> Captured:
    """A branch at `at` that leads to `goal`."""
    data = captured.code.code[at : at + size]
    if isa == "x86-64":
        distance = (goal - at - size).to_bytes(4, "little", signed=True)
        return _put(captured, at, data[:-4] + distance)
    word = int.from_bytes(data, "little") & ~(0x7FFFF << 5) | ((goal - at) // 4 & 0x7FFFF) << 5
    return _put(captured, at, word.to_bytes(4, "little"))


def _put(captured: Captured, at: int, data: bytes) -> Captured:
    code = captured.code.code
    return captured._replace(code=replace(captured.code, code=code[:at] + data + code[at + len(data) :]))
