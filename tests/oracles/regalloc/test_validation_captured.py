"""Allocations of the real Cranelift: proven as they are, by terms and by z3; with a fault between allocator and code,
what goes wrong on the tests' own machine is refuted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from support.validation_random import Insn

from liftcheck.case import CompileFailure, Target
from liftcheck.compilers.cranelift.capture import FAULTS, PlantedFault
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.validate import validate, validate_allocation
from liftcheck.regalloc.allocation import Captured

PATHS = 5
TEXT = """\
function %loop(i64, i64, f64) -> i64, f64 system_v {
    sig0 = (i64, f64) -> i64, f64 system_v
    fn0 = %step sig0
block0(v0: i64, v1: i64, v2: f64):
    v3 = iconst.i64 0
    jump block1(v0, v1, v3, v2)
block1(v4: i64, v5: i64, v6: i64, v7: f64):
    v8 = icmp eq v4, v5
    brif v8, block3, block2
block2:
    v9, v10 = call fn0(v5, v7)
    v11 = iadd v6, v9
    v12 = isub v4, v5
    v13 = fadd v10, v7
    jump block1(v5, v12, v11, v13)
block3:
    v14 = udiv v6, v4
    v15 = ishl v14, v1
    v16 = fsub v7, v2
    return v15, v16
}

function %vectors(i32x4, i32x4, i64) -> i32x4 system_v {
    sig0 = (i64) -> i64 system_v
    fn0 = %other sig0
block0(v0: i32x4, v1: i32x4, v2: i64):
    v3 = iadd v0, v1
    v4 = call fn0(v2)
    v5 = isub v3, v1
    v6 = ireduce.i32 v4
    v7 = splat.i32x4 v6
    v8 = bxor v5, v7
    v9 = bor v8, v0
    return v9
}

function %try(i64, i64) -> i64 tail {
    sig0 = (i64) -> i64 tail
    fn0 = %thrower sig0
block0(v0: i64, v1: i64):
    try_call fn0(v0), sig0, block1(ret0, v1), [ default: block2(v0, exn0) ]
block1(v2: i64, v3: i64):
    v4 = iadd v2, v3
    return v4
block2(v5: i64, v6: i64):
    v7 = isub v6, v5
    v8 = iadd v7, v1
    return v8
}
"""


def targets() -> list[Target]:
    return [
        Target(isa, tuple(sorted({"regalloc_algorithm": algorithm, "opt_level": "speed", **extra}.items())))
        for isa, extra in ((isa, {"has_v": "true"} if isa == "riscv64" else {}) for isa in ISAS)
        for algorithm in ("backtracking", "single_pass")
    ]


def captured(regalloc: Cranelift, fault: PlantedFault | None = None) -> Iterator[tuple[str, Captured]]:
    for target, column in zip(targets(), regalloc.allocations(TEXT, targets(), fault=fault)):
        yield from ((target.isa, reply) for reply in column if not isinstance(reply, CompileFailure))


def goes_wrong(function: Captured) -> bool:
    return any(Insn(function.allocation, seed).wrong_use() is not None for seed in range(PATHS))


def test_what_the_allocators_answer_is_proven(regalloc: Cranelift) -> None:
    """With the bytes, except for one bug that has a page: docs/findings/riscv64-fs1-not-saved.md."""
    found = list(captured(regalloc))
    assert len(found) == 3 * len(targets())
    for isa, function in found:
        verdict = validate(isa, function)
        known = isa == "riscv64" and verdict.reason == "a callee-saved register is not restored"
        assert verdict.status == "valid" or (known and function.code.name == "%try"), (isa, verdict)
        assert validate_allocation(function.allocation).status == "valid"
        assert validate_allocation(function.allocation, z3_only=True).status == "valid"
        assert not goes_wrong(function)


def test_the_programs_have_what_is_hard(regalloc: Cranelift) -> None:
    """Spills of wide values, moves on edges, reused inputs, clobbers, results of calls that end their blocks."""
    seen: Counter[str] = Counter()
    for _, function in captured(regalloc):
        allocation = function.allocation
        seen["wide spill"] += any(
            edit.target >= 256 and allocation.slot_sizes[edit.source >> 6] == 2 for edit in allocation.edits
        )
        seen["arguments"] += any(arguments for block in allocation.blocks for arguments in block.arguments)
        for instruction in allocation.instructions:
            seen["reused input"] += any(operand.constraint == 4 for operand in instruction.operands)
            seen["clobbers"] += bool(instruction.clobbers)
            seen["branch that defines"] += instruction.is_branch and any(o.kind == 1 for o in instruction.operands)
    assert all(
        seen[what] >= 4 for what in ("wide spill", "arguments", "reused input", "clobbers", "branch that defines")
    ), seen


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_shows_is_refuted(regalloc: Cranelift, kind: str) -> None:
    refuted = wrong = 0
    for seed in range(2):
        for isa, function in captured(regalloc, PlantedFault(kind, seed)):
            if function.allocation.fault.startswith("nothing"):
                continue
            verdict = validate(isa, function)
            refuted += verdict.status == "invalid"
            if goes_wrong(function):
                wrong += 1
                assert verdict.status == "invalid", (isa, function.allocation.fault)
                assert verdict.counterexample is not None and verdict.counterexample.render()
    assert refuted >= wrong
    assert refuted > 0 or kind in ("def-on-def", "early-def-on-use", "slot-operand")
