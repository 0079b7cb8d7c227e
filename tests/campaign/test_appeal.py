"""Where every ISA stands against the reference, other judges are heard before it is blamed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from liftcheck import layout
from liftcheck.campaign.findings import appeal
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, Outcome, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.base import Reply
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

SUM = """function %f(i32, i32) -> i32 system_v {
block0(v0: i32, v1: i32):
    v2 = imul v0, v1
    v3 = iadd v2, v0
    return v3
}
"""
STORE = """function %f(i64, i64) system_v {
block0(v0: i64, v1: i64):
    store v1, v0+1000
    return
}
"""
FOLDED = """function %f(i16) -> i16 system_v {
block0(v0: i16):
    v1 = f16const 0x1.0p1
    v2 = f16const 0.0
    v3 = fmin v1, v2
    v4 = bitcast.i16 v3
    v5 = iadd v4, v0
    return v5
}
"""
"""docs/findings/mid-end-fmin-fmax-of-zero.md: without optimization no backend has fmin.f16."""


pytestmark = pytest.mark.needs_compiler


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other version is built."""
    monkeypatch.setattr(appeal.builds, "listed", list)


class Liar(Cranelift):
    """All its ISAs take one text for another."""

    old, new = "", ""

    def compile_text(
        self,
        text: str,
        targets: Sequence[Target],
        wants: frozenset[str] = frozenset(),
        timeout: float | None = None,
        raw: bool = False,
    ) -> list[list[Reply]]:
        return super().compile_text(text.replace(self.old, self.new), targets, wants, timeout, raw)


def liar(old: str, new: str) -> Liar:
    made = Liar("cranelift@0.135.8")
    made.old, made.new = old, new
    return made


def found(compiler: Cranelift, runners: RunnerPool, case: Case, hooks: Hooks, level: str = "none") -> Finding:
    judge = Judge(compiler, runners, hooks)
    tally = Tally()
    suspects = judge.judge([case], [Target(isa, (("opt_level", level),)) for isa in ISAS], tally)
    assert len(suspects) == len(ISAS)
    [finding] = Investigator(judge, runners).investigate(case, suspects, tally)
    return finding


def with_region(text: str) -> Case:
    return Case(parse_module(text, "planted"), 0, ((layout.slot_address(0), 5),), (bytes(layout.SLOT_SIZE),))


def test_a_fault_that_all_isas_share_is_the_compilers_if_z3_sides_with_the_reference(runners: RunnerPool) -> None:
    with liar("imul", "iadd") as compiler:
        finding = found(compiler, runners, Case(parse_module(SUM, "planted"), 0, ((5, 7),)), Hooks())
    assert finding.klass == compare.WRONG_RESULT
    assert "`imul.i32` alone goes wrong" in finding.detail
    assert "z3's too" in finding.detail


def test_a_wrong_reference_stays_the_suspect(compiler: Cranelift, runners: RunnerPool) -> None:
    def wrong(_case: Case, outcomes: list[Outcome]) -> list[Outcome]:
        return [one._replace(values=tuple(value ^ 4 for value in one.values)) for one in outcomes]

    finding = found(compiler, runners, Case(parse_module(SUM, "planted"), 0, ((5, 7),)), Hooks(expected=wrong))
    assert finding.klass == compare.WRONG_MEANING
    assert "not z3's" in finding.detail


def test_the_middle_end_is_at_fault_where_no_backend_has_the_instruction(
    compiler: Cranelift, runners: RunnerPool
) -> None:
    case = Case(parse_module(FOLDED, "folded"), 0, ((5,),))
    finding = found(compiler, runners, case, Hooks(), "speed")
    assert finding.klass == compare.WRONG_RESULT
    assert "`fmin.f16` alone goes wrong" in finding.detail
    smaller = reduce_finding(Investigator(Judge(compiler, runners), runners), finding, Limits())[0]
    assert smaller.klass == compare.WRONG_RESULT
    assert smaller.reduced
    assert smaller.unsaid == ""


@pytest.mark.parametrize("built", [True, False])
def test_another_version_decides_where_no_single_instruction_is_wrong(
    runners: RunnerPool, built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with liar("+1000", "+1008") as compiler:
        if built:
            older = dataclasses.replace(compiler.build, version="0.1.2")
            monkeypatch.setattr(appeal.builds, "listed", lambda: [older])
        finding = found(compiler, runners, with_region(STORE), Hooks())
    assert finding.klass == (compare.WRONG_MEMORY if built else compare.WRONG_MEANING)
    assert ("sides with it" in finding.detail) == built
