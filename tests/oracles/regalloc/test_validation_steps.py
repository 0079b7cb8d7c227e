"""Single steps of own bytes that a wrong one could stand for: stores of results, comparisons, bases of far addresses,
and in which registers calls are given their inputs.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.validation_planting import CALLS, called, flips, one, placed, put, refuted

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import CALL, FLAGS, MEMORY, decode
from liftcheck.oracles.regalloc.code import order
from liftcheck.oracles.regalloc.code.accesses import BASELESS
from liftcheck.regalloc.allocation import FIXED, REG, USE

KEPT = """\
function %kept(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, f64, i64 tail
    sig1 = (i64) -> i64 tail
    fn0 = colocated %g sig0
    fn1 = colocated %h sig1
block0(v0: i64, v1: i64):
    v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 = call fn0(v0)
    v20 = call fn1(v0)
    v21 = iadd v20, v13
    v23 = bitcast.i64 v14
    v24 = iadd v21, v23
    v25 = isub v24, v15
    v26 = bxor v25, v12
    return v26
}
"""
"""Results on the stack that a second call outlives."""
COMPARED = """\
function %compared(f32, f32, i64) -> i32, i64 system_v {
block0(v0: f32, v1: f32, v2: i64):
    v3 = fcmp ge v0, v1
    v4 = select v3, v0, v1
    v5 = fcvt_to_uint.i32 v4
    v6 = fcmp lt v1, v0
    v7 = select v6, v1, v0
    v8 = fcvt_to_sint_sat.i64 v7
    v9 = iadd v8, v2
    return v5, v9
}
"""
FAR = """\
function %far(i64, i64) -> i64 system_v {
    ss0 = explicit_slot 1200000
block0(v0: i64, v1: i64):
    v2 = stack_addr.i64 ss0
    store v0, v2+1100000
    store v1, v2+8
    v3 = load.i64 v2+1100008
    return v3
}
"""


@pytest.mark.parametrize("isa", ISAS)
def test_a_result_that_is_stored_in_part_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, KEPT)
    found, passed = 0, set()
    for i in called(isa, captured):
        own = placed(isa, captured, i)
        at_call = next(n for n, (_, machine) in enumerate(own) if machine.flow == CALL)
        for at, machine in own[at_call + 1 :]:
            if MEMORY not in machine.writes:
                continue
            for data in {b"", *flips(captured.code.code[at : at + machine.size])}:
                other = decode(isa, data + bytes(16), 0, 1)[0]
                narrower = other.known and other.accesses and other.accesses[0].size < machine.accesses[0].size
                if not data or (narrower and other.size == machine.size and other.reads == machine.reads):
                    found += 1
                    if not refuted(isa, put(isa, captured, at, data, machine.size), source):
                        passed.add((machine.text, other.text))
    assert not passed
    assert found or isa == "aarch64"  # has registers for them


@pytest.mark.parametrize("isa", ["x86-64"])
def test_a_lacking_comparison_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """What the instruction before left in the flags is not a substitute for an instruction's own comparison."""
    captured, source = one(regalloc, isa, COMPARED)
    found = 0
    for i in range(len(captured.allocation.instructions)):
        own = placed(isa, captured, i)
        first = next((step for step in own if order.only_compares(step.machine)), None)
        if first is not None and any(FLAGS in machine.reads for _, machine in own):
            found += 1
            assert refuted(isa, put(isa, captured, first.offset, b"", first.machine.size), source), first.machine.text
    assert found >= 2


@pytest.mark.parametrize("isa", ISAS)
def test_a_far_address_without_its_base_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, FAR)
    sp, rules, passed = reserved(isa).sp, set(), set()
    frame = {reserved(isa).frame}
    for i, what in enumerate(captured.allocation.instructions):
        for at, machine in placed(isa, captured, i) if what.operands and not what.is_return else ():
            for data in flips(captured.code.code[at : at + machine.size]) if sp in machine.reads else ():
                other = decode(isa, data + bytes(16), 0, 1)[0]
                if other.known and other.size == machine.size and sp not in other.reads | other.writes:
                    if other.flow != machine.flow or (machine.accesses and (not other.accesses or other.reads & frame)):
                        continue  # another word of the frame, or none
                    rule = refuted(isa, put(isa, captured, at, data, machine.size), source)
                    rules.add(rule)
                    if not rule:
                        passed.add((machine.text, other.text))
    assert not passed
    assert isa != "riscv64" or BASELESS in rules
    assert rules


@pytest.mark.parametrize("isa", ISAS)
def test_a_calls_input_that_is_told_free_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    found = 0
    for i in called(isa, captured):
        what = captured.allocation.instructions[i]
        for n, operand in enumerate(what.operands):
            if (operand.kind, operand.constraint) == (USE, FIXED):
                rows = list(captured.allocation.instructions)
                freed = operand._replace(constraint=REG, value=0)
                rows[i] = what._replace(operands=(*what.operands[:n], freed, *what.operands[n + 1 :]))
                changed = captured._replace(allocation=replace(captured.allocation, instructions=tuple(rows)))
                assert refuted(isa, changed, source) == "an input of a call is in no register of its convention"
                found += 1
    assert found >= 3
