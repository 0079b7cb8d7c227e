"""Validation beside the run: the same code and verdicts, a planted wrong allocation becomes a finding with a run."""

from __future__ import annotations

import dataclasses
from random import Random

import pytest

from liftcheck import layout
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.page import page
from liftcheck.case import Case, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.capture import PlantedFault
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS
from liftcheck.oracles.allocations import ORACLE, REFUTED_ALLOCATION
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.regalloc.compiler import REFUTED, Validating, open_validating, refutation, varied
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

PROGRAM = """function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iconst.i64 1000
    v3 = icmp ult v0, v2
    brif v3, block1, block2(v0)
block1:
    v4 = isub v0, v1
    jump block2(v4)
block2(v5: i64):
    return v5
}
"""


class Faulty(Cranelift):
    """A Cranelift whose allocator swaps two uses, and on x86-64, where this program has no such, forgets a move."""

    def allocations(self, text, targets, fault=None, with_text=False, timeout=None, raw=False):  # type: ignore[no-untyped-def]
        kind = "drop-edit" if targets[0].isa == "x86-64" else "swap-uses"
        return super().allocations(text, targets, PlantedFault(kind, 0), with_text, timeout, raw)


def case(*inputs: tuple[int, int]) -> Case:
    return Case(parse_module(PROGRAM, "test"), 0, inputs, name="by hand")


def found(inner: Cranelift, one: Case, isa: str, runners: RunnerPool) -> tuple[list[Finding], Tally]:
    target, tally = Target(isa, (("opt_level", "speed"),)), Tally()
    judge = Judge(Validating(inner), runners, oracles=(ORACLE,))
    suspects = [s for s in judge.judge([one], [target], tally) if s.failure is not None]
    return Investigator(judge, runners).investigate(one, suspects, tally), tally


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.parametrize("isa", ISAS)
def test_a_right_allocation_is_valid_and_its_code_runs(isa: str, runners: RunnerPool) -> None:
    compiler = open_validating("cranelift")
    tally, judge = Tally(), Judge(compiler, runners, oracles=(ORACLE,))
    judge.compile([case((5, 3))], [Target(isa)], Tally())  # as a vote does: it counts for no batch
    assert judge.judge([case((5, 3), (5000, 3))], [Target(isa)], tally) == []
    assert tally.validated == {(isa, "valid"): 1} and tally.seconds["validate"] > 0 and tally.agreed[isa] == 1
    assert compiler.take()[0] == {}
    compiler.close()


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.parametrize("isa", ISAS)
def test_a_wrong_one_is_a_finding_that_a_run_shows(isa: str, runners: RunnerPool) -> None:
    with Faulty("cranelift", builds.REGALLOC) as inner:
        findings, tally = found(inner, case((5, 3)), isa, runners)
    assert [f.klass for f in findings] == [REFUTED_ALLOCATION.name]
    finding = findings[0]
    assert finding.failure is not None and finding.failure.kind == REFUTED
    assert finding.expected is not None and finding.actual is not None and finding.expected != finding.actual
    assert tally.disagreed[isa, REFUTED_ALLOCATION.name] == 1
    told = page(finding, "x")
    assert finding.failure.message in told and "arguments: " in told and "A run shows it" in told


@pytest.mark.needs_compiler("regalloc")
def test_other_inputs_than_the_programs_own_are_tried(runners: RunnerPool) -> None:
    """With the arguments alike, no run of the program's own shows what is swapped."""
    with Faulty("cranelift", builds.REGALLOC) as inner:
        findings, _ = found(inner, case((7, 7), (5000, 5000)), "aarch64", runners)
    assert findings[0].expected != findings[0].actual
    assert findings[0].run < len(findings[0].case.inputs)


@pytest.mark.needs_compiler("regalloc")
def test_a_fault_that_no_run_shows_is_told_as_such(runners: RunnerPool) -> None:
    text = PROGRAM.replace("isub v0, v1", "iadd v0, v1")
    one = dataclasses.replace(case((5, 3)), module=parse_module(text, "test"))
    with Faulty("cranelift", builds.REGALLOC) as inner:
        findings, _ = found(inner, one, "aarch64", runners)
    assert len(findings) == 1 and findings[0].expected is None
    assert "None of 224 inputs shows it" in findings[0].detail and "A run shows it" not in page(findings[0], "x")


@pytest.mark.needs_compiler("regalloc")
def test_only_code_that_bears_a_refutation_is_refuted() -> None:
    with Cranelift("cranelift", builds.REGALLOC) as inner:
        code = Validating(inner).compile_text(PROGRAM, [Target("aarch64")])[0]
    assert refutation(code) is None  # type: ignore[arg-type]
    with Faulty("cranelift", builds.REGALLOC) as faulty:
        code = Validating(faulty).compile_text(PROGRAM, [Target("aarch64")])[0]
    failure = refutation(code)  # type: ignore[arg-type]
    assert failure is not None and failure.message and failure.is_finding


def test_varied_inputs_keep_addresses_in_their_own_run() -> None:
    start = layout.slot_address(3)
    one = dataclasses.replace(
        case((start + 8, 5), (start + layout.SLOT_STRIDE + 16, 6)), slot=3, memories=(bytes(layout.SLOT_SIZE),) * 2
    )
    more = varied(one, Random(1))
    assert len(more.inputs) == len(more.memories) > 100
    for run, (address, _) in enumerate(more.inputs):
        assert address - layout.slot_address(run) in (8, 16)
    assert len({row[1] for row in more.inputs}) > 20
    assert varied(one, Random(1)) == more


def test_a_compiler_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="no compiler called 'mine'"):
        open_validating("mine@1")


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
def test_a_pinned_register_is_free_for_all(isa: str) -> None:
    text = """function %f(i64) -> i64 system_v {
block0(v0: i64):
    set_pinned_reg v0
    v1 = get_pinned_reg.i64
    return v1
}
"""
    compiler = open_validating("cranelift")
    for algorithm in ("backtracking", "single_pass"):
        target = Target(isa, (("enable_pinned_reg", "true"), ("regalloc_algorithm", algorithm)))
        assert refutation(compiler.compile_text(text, [target])[0]) is None  # type: ignore[arg-type]
    assert compiler.take()[0] == {(isa, "valid"): 2}
    compiler.close()


@pytest.mark.needs_compiler("regalloc")
def test_a_register_that_the_convention_fixes_tells_one_fault_from_another() -> None:
    """docs/findings: fs1 is not saved; an outline stack probe overwrites a0."""
    rounded = "".join(f"    v{n + 1} = nearest v{n}\n" for n in range(6))
    texts = {
        "fs1": f"function %f(f64) -> f64 system_v {{\nblock0(v0: f64):\n{rounded}    return v6\n}}\n",
        "a0": "function %g(i64) -> i64 system_v {\n    ss0 = explicit_slot 100000\nblock0(v0: i64):\n"
        "    v1 = stack_addr.i64 ss0\n    store v0, v1\n    return v0\n}\n",
    }
    target = Target(
        "riscv64",
        (("enable_probestack", "true"), ("probestack_strategy", "outline"), ("regalloc_algorithm", "single_pass")),
    )
    with Cranelift("cranelift@0.135.8", builds.REGALLOC) as inner:
        compiler = Validating(inner)
        for register, text in texts.items():
            reply = compiler.compile_text(text, [target])[0][0]
            assert isinstance(reply, FunctionCode)
            failure = refutation([reply])
            assert failure is not None
            assert failure.reason.endswith(f" register is not restored: {register}") or (
                failure.reason == f"the prologue changes an argument's register: {register}"
            )
