"""Random programs with right allocations are proven; with a random fault in them, what goes wrong is refuted.

Wrong means: a machine that executes both worlds on numbers meets a use that reads another value than the program means,
on some path. It shares nothing with the validator (`tests.support.validation_random`).
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.examples import many
from support.validation_random import Insn, mutated, usable

from liftcheck.mach.regs import SLOT
from liftcheck.oracles.regalloc import blocks as validation_blocks
from liftcheck.oracles.regalloc import blocks_smt
from liftcheck.oracles.regalloc.counterexample import WRONG_USE
from liftcheck.oracles.regalloc.infer import needs
from liftcheck.oracles.regalloc.program import Program
from liftcheck.oracles.regalloc.rules import Rules
from liftcheck.oracles.regalloc.validate import validate_allocation
from liftcheck.regalloc.allocation import Allocation

SEEDS = st.integers(0, 2**31)
PATHS = 6


def goes_wrong(allocation: Allocation) -> bool:
    """Whether one of a few random paths shows a wrong use."""
    return any(Insn(allocation, seed).wrong_use() is not None for seed in range(PATHS))


@settings(max_examples=many(60), deadline=None)
@given(SEEDS)
def test_a_right_allocation_is_proven_and_runs_right(seed: int) -> None:
    allocation = usable(seed)
    assert validate_allocation(allocation).status == "valid"
    assert not goes_wrong(allocation)


@settings(max_examples=many(150), deadline=None)
@given(SEEDS, SEEDS)
def test_a_fault_that_shows_is_refuted(seed: int, fault: int) -> None:
    allocation = mutated(usable(seed), Random(fault))
    verdict = validate_allocation(allocation)
    assert verdict.status != "undecided", verdict.reason
    if goes_wrong(allocation):
        assert verdict.status == "invalid"


@settings(max_examples=many(150), deadline=None)
@given(SEEDS, SEEDS)
def test_a_counterexample_shows_on_its_path(seed: int, fault: int) -> None:
    """Where a use is said to read another value, the machine, sent along that path, reads it wrong there."""
    allocation = mutated(usable(seed), Random(fault))
    example = validate_allocation(allocation).counterexample
    if example is not None and example.rule == WRONG_USE:
        assert Insn(allocation).wrong_use(list(example.path)) == (example.block, example.instruction)


@settings(max_examples=many(60), deadline=None)
@given(SEEDS, SEEDS)
def test_z3_says_the_same(seed: int, fault: int) -> None:
    for allocation in (usable(seed), mutated(usable(seed), Random(fault))):
        by_terms = validate_allocation(allocation)
        by_z3 = validate_allocation(allocation, z3_only=True)
        assert (by_terms.status, by_terms.reason) == (by_z3.status, by_z3.reason)


def test_faults_of_many_kinds_show() -> None:
    """The generator is not an idle one: most faults break something, and most of these by a wrong value."""
    reasons = [validate_allocation(mutated(usable(seed), Random(seed))).reason for seed in range(300)]
    assert sum(bool(reason) for reason in reasons) > 100
    assert reasons.count(WRONG_USE) > 60 and len(set(reasons)) >= 6


@settings(max_examples=many(150), deadline=None)
@given(SEEDS, SEEDS)
@example(2180, 0)  # no spill slots
def test_wrong_invariants_prove_nothing_wrong(seed: int, fault: int) -> None:
    """The check trusts nothing of the inference: whatever invariants it is given, it proves no allocation that goes
    wrong; and what it proves from spoiled ones, z3 proves from them too."""
    allocation = mutated(usable(seed), Random(fault))
    program = Program(allocation)
    if Rules(program).first_broken() is not None:
        return
    invariants = _spoiled(needs(program), program, Random(fault))
    proven = validation_blocks.check(program, invariants).failure is None
    assert proven == (blocks_smt.check(program, invariants).failure is None)
    if goes_wrong(allocation):
        assert not proven


def _spoiled(invariants: list[set[int]], program: Program, random: Random) -> list[set[int]]:
    """Claims left out, and others made up, also ones that cannot all be true."""
    found = [set(claims) for claims in invariants]
    for claims in found[1:]:
        for _ in range(random.randrange(3)):
            if claims and random.random() < 0.5:
                claims.discard(random.choice(sorted(claims)))
            elif program.allocation.classes:
                vreg = random.randrange(len(program.allocation.classes))
                cls = program.allocation.classes[vreg]
                slot = SLOT + random.randrange(max(1, program.allocation.slots))
                place = random.choice([cls * 64 + random.randrange(12), slot])
                claims.add(vreg * program.width + place)
    return found


@pytest.mark.parametrize("blocks", [10, 100])
def test_time_grows_with_the_size(blocks: int) -> None:
    """Obligations are as many as uses and claims, and claims are bounded by what is live."""
    allocation = usable(blocks)
    verdict = validate_allocation(allocation)
    uses = sum(operand.kind == 0 for instruction in allocation.instructions for operand in instruction.operands)
    edges = sum(len(block.successors) for block in allocation.blocks)
    assert uses <= verdict.counts.obligations <= uses + edges * len(allocation.classes)
