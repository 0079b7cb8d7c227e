"""The oracle `lowering`: right code is proven and silent; wrong code that no input of a program shows is a finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from liftcheck.campaign.findings.counterexamples import AGREES, confirmed, shown
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.case import Case, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.base import Compiler
from liftcheck.isa import ISAS
from liftcheck.oracles import lowering
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.lifting.equal import Verdict
from liftcheck.oracles.lifting.examples import Example
from liftcheck.oracles.lowering import ORACLE, REFUTED_LOWERING
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

TEXT = """function %f(i64, i32) -> i32 system_v {
block0(v0: i64, v1: i32):
    v2 = load.i32 v0+8
    v3 = icmp_imm eq v2, 0x123456
    brif v3, block1, block2
block1:
    v4 = isub v2, v1
    return v4
block2:
    v5 = iadd v2, v1
    store v5, v0+16
    return v5
}
function %g(i64) -> i64 system_v {
block0(v0: i64):
    jump block1(v0)
block1(v1: i64):
    v2 = iadd_imm v1, -1
    brif v2, block1(v2), block2
block2:
    return v2
}
"""
WRONG = TEXT.replace("isub v2, v1", "isub v1, v2")


def case() -> Case:
    return Case(parse_module(TEXT, "test"), 0, ((0x2_1300_0000, 7),), (bytes(4096),), 0, "case 3", {"number": 3})


def target(isa: str) -> Target:
    return Target(isa, (("enable_llvm_abi_extensions", "true"), ("opt_level", "speed")))


def planted(compiler: Compiler, isa: str) -> Hooks:
    """The code of another program in the place of `%f`, on one ISA."""
    (codes,) = compiler.compile_text(print_module(parse_module(WRONG, "wrong")), [target(isa)], frozenset({"frame"}))
    (wrong,) = (one for one in codes if isinstance(one, FunctionCode) and one.name == "%f")

    def code(reply: FunctionCode, where: Target) -> FunctionCode:
        return dataclasses.replace(wrong, name=reply.name) if reply.name == "%f" and where.isa == isa else reply

    return Hooks(code=code)


def judged(judge: Judge, isa: str, tally: Tally) -> Sequence[Mismatch]:
    return judge.judge([case()], [target(isa)], tally)


def refuting(monkeypatch: pytest.MonkeyPatch, example: Example) -> None:
    """Has the functions of two arguments refuted."""

    def prove(target: Target, function: Function, *_: object) -> Verdict:
        wrong = len(function.signature.params) == len(example.inputs)
        return Verdict("refuted", "result 1", (example,)) if wrong else Verdict("equal")

    monkeypatch.setattr(lowering, "prove", prove)


@pytest.mark.parametrize("isa", ISAS)
def test_right_code_is_proven_and_silent(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    tally = Tally()
    assert judged(Judge(compiler, runners, oracles=(ORACLE,)), isa, tally) == []
    kinds = {kind for _, kind in tally.validated}
    assert kinds <= {"lowering: equal", "lowering: proven"} and tally.validated.total() == 2
    assert tally.agreed[isa] == 1


@pytest.mark.parametrize("isa", ISAS)
def test_a_planted_fault_that_no_input_shows_is_a_finding_of_a_run(
    compiler: Compiler, runners: RunnerPool, isa: str
) -> None:
    tally, troubles = Tally(), list[str]()
    judge = Judge(compiler, runners, planted(compiler, isa), oracles=(ORACLE,))
    mismatches = judged(judge, isa, tally)
    assert tally.agreed[isa] == 1, "the program's own input does not show it"
    assert [one.verdict.klass for one in mismatches] == [REFUTED_LOWERING.name]
    (finding,) = confirmed(Investigator(judge, runners), mismatches, tally, troubles)
    assert finding.klass == "wrong result" and finding.failure is None and finding.number == 3 and troubles == []
    assert finding.case.inputs != case().inputs and tally.disagreed[isa, "wrong result"] == 1
    assert (0x123456).to_bytes(4, "big" if target(isa).big_endian else "little") in finding.case.memories[0]


def test_a_refutation_that_does_not_show_is_trouble_of_ours(
    compiler: Compiler, runners: RunnerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is wrong accuses nobody."""
    example = Example("result 1", (0x2_1300_0100, 7), 3, 4, 32)
    refuting(monkeypatch, example)
    tally, troubles = Tally(), list[str]()
    judge = Judge(compiler, runners, oracles=(ORACLE,))
    mismatches = judged(judge, "riscv64", tally)
    assert confirmed(Investigator(judge, runners), mismatches, tally, troubles) == []
    (trouble,) = troubles
    assert trouble.startswith("refuted lowering: result 1 on riscv64") and trouble.endswith(AGREES)
    assert tally.validated["riscv64", "refuted lowering: result 1: liftcheck is wrong"] == 1
    assert tally.disagreed.total() == 0


def test_what_cannot_be_run_is_counted_by_its_reason(
    compiler: Compiler, runners: RunnerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = Example("result 1", (7, 7), 3, 4, 32, placed=False)
    refuting(monkeypatch, example)
    tally, troubles = Tally(), list[str]()
    judge = Judge(compiler, runners, oracles=(ORACLE,))
    desk = Investigator(judge, runners)
    mismatches = judged(judge, "riscv64", tally)
    assert confirmed(desk, mismatches, tally, troubles) == [] and troubles == []
    assert tally.validated["riscv64", "refuted lowering: result 1: not run"] == 1
    found = shown(desk, mismatches[0].trials, target("riscv64"))
    assert found.why == "its data cannot be put into one data region" and not found.ours


def test_votes_and_reductions_do_not_ask_it(compiler: Compiler, runners: RunnerPool) -> None:
    judge = Judge(compiler, runners, oracles=(ORACLE,))
    assert Investigator(judge, runners).judge.oracles == [] and judge.running().running().oracles == []
    plain = Judge(compiler, runners)
    assert plain.running() is plain
