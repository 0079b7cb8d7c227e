"""The oracle of extensions: a planted instruction of one is found by reading, and where a runner stops at it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import Limits, reduce_finding
from liftcheck.case import Case, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.extensions import ORACLE
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

TEXT = """function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = imul v0, v1
    v3 = bxor v2, v0
    v4 = iadd v3, v1
    return v4
}
"""
CASE = Case(parse_module(TEXT), 0, ((3, 4), (5, 6)))
PLANTED = {"riscv64": "57c6c706", "aarch64": "0020e11e", "x86-64": "c5f1fec2"}
"""vandn.vx v12, v12, a5; fcmp h0, h1; vpaddd xmm0, xmm1, xmm2."""
LACKS = {
    "riscv64": "vandn.vx for a target without has_zvbb",
    "aarch64": "fcmp for a target without has_fp16",
    "x86-64": "vpaddd for a target without has_avx",
}
V = {"riscv64": (("has_v", "true"),)}


def planted(code: FunctionCode, target: Target) -> FunctionCode:
    """Code of the program begins with an instruction of an extension."""
    first = bytes.fromhex(PLANTED[target.isa])
    return replace(code, code=first + code.code) if code.name == "%f" else code


def target_of(isa: str) -> Target:
    return Target(isa, V.get(isa, ()))


@pytest.mark.needs_compiler
@pytest.mark.parametrize("isa", sorted(LACKS))
def test_a_planted_instruction_is_found_and_right_code_is_silent(
    compiler: Cranelift, runners: RunnerPool, isa: str
) -> None:
    target, tally = target_of(isa), Tally()
    assert Judge(compiler, runners, oracles=(ORACLE,)).judge([CASE], [target], tally) == []
    assert tally.validated == {(isa, "extensions: within the target"): 1}
    judge = Judge(compiler, runners, Hooks(code=planted), oracles=(ORACLE,))
    (found, *others) = judge.judge([CASE], [target], tally)
    assert found.failure is not None
    assert (found.verdict.klass, found.failure.reason) == (compare.ILLEGAL_CODE, LACKS[isa])
    assert compare.ILLEGAL_CODE not in [one.verdict.klass for one in others]
    desk = Investigator(Judge(compiler, runners, Hooks(code=planted)), runners)
    [finding] = desk.investigate(CASE, [found], tally)
    reduced = reduce_finding(desk, finding, Limits())[0]
    assert reduced.klass == compare.ILLEGAL_CODE
    assert sum(len(block.insts) for function in reduced.case.module.functions for block in function.blocks) == 1


@pytest.mark.needs_qemu
def test_where_a_runner_stops_the_code_is_read(compiler: Cranelift, runners: RunnerPool) -> None:
    """Without the oracle; with a target that promises the instruction it is the runner that lacks it."""
    tally = Tally()
    judge = Judge(compiler, runners, Hooks(code=planted))
    if runners.names(Target("riscv64", (*V["riscv64"], ("has_zvbb", "true")))):
        pytest.skip("a runner here has Zvbb")
    (found,) = judge.judge([CASE], [target_of("riscv64")], tally)
    assert found.failure is not None
    assert (found.verdict.klass, found.failure.reason) == (compare.ILLEGAL_CODE, LACKS["riscv64"])
    assert tally.undecided == {("riscv64", "qemu lacks vandn.vx"): 1}
