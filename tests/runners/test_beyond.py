"""Code that its target cannot execute: found in the code whoever runs it, by settings, and only where control comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import Limits, reduce_finding
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa.base import isa_named
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners import beyond
from liftcheck.runners.pool import RunnerPool

PLAIN = Target("riscv64")
FUNCTION = parse_module("function %f(i64) -> i64 {\nblock0(v0: i64):\n    return v0\n}\n").functions
VECTORS = parse_module("function %f(i8x16) -> i8x16 {\nblock0(v0: i8x16):\n    return v0\n}\n").functions
VSETIVLI = "577008cc"
RET = "67800000"
J_8 = "6f008000"
"""j +8"""
BEQZ_8 = "63040500"
"""beqz a0, +8"""

PRESERVES = """function %nothing() system_v {
block0:
    return
}

function %keeps(i64) preserve_all {
    sig0 = () system_v
    fn0 = colocated %nothing sig0
block0(v0: i64):
    v1 = iadd v0, v0
    call fn0()
    return
}

function %f(i64) -> i64 system_v {
    sig0 = (i64) preserve_all
    fn0 = colocated %keeps sig0
block0(v0: i64):
    v1 = imul v0, v0
    call fn0(v1)
    return v1
}
"""


def verdict(*words: str, functions: object = FUNCTION, target: Target = PLAIN) -> CompileFailure | None:
    return beyond.judged(functions, target, [FunctionCode("%f", bytes.fromhex("".join(words)))])  # type: ignore[arg-type]


def test_a_vector_instruction_is_told_by_its_name() -> None:
    found = verdict(VSETIVLI, RET)
    assert found is not None
    assert (found.kind, found.is_finding) == (beyond.ILLEGAL, True)
    assert found.message.startswith("vsetivli in %f")
    assert verdict(RET) is None


@pytest.mark.parametrize(
    ("words", "reached"),
    [
        ((RET, VSETIVLI), False),
        ((J_8, VSETIVLI, RET), False),
        ((BEQZ_8, VSETIVLI, RET), True),
        ((BEQZ_8, RET, VSETIVLI, RET), True),
    ],
)
def test_constants_behind_the_code_are_no_instructions(words: tuple[str, ...], reached: bool) -> None:
    assert (verdict(*words) is not None) == reached


@pytest.mark.parametrize("setting", ["has_v", "has_zvl128b", "zvl128b"])
def test_a_target_that_has_vectors_may_use_them(setting: str) -> None:
    value = "preset" if setting.startswith("z") else "true"
    assert verdict(VSETIVLI, RET, target=Target("riscv64", ((setting, value),))) is None


def test_another_extension_is_not_vectors() -> None:
    assert verdict(VSETIVLI, RET, target=Target("riscv64", (("has_zba", "true"),))) is not None
    assert verdict(VSETIVLI, RET, target=Target("aarch64")) is None


def test_the_programs_own_vectors_are_a_refusal_with_a_name() -> None:
    found = verdict(VSETIVLI, RET, functions=VECTORS)
    assert found == CompileFailure("unsupported", beyond.own_vectors(isa_named("riscv64")))


@pytest.mark.parametrize(
    ("isa", "code", "settings", "lacking"),
    [
        ("riscv64", "57c6c706", "has_v", "vandn.vx has_zvbb"),
        ("riscv64", "57c6c706", "has_v has_zvbb", ""),
        ("riscv64", "3b450508", "", "zext.h has_zbb"),
        ("riscv64", "3b450508", "has_zbb", ""),
        ("riscv64", "3b450508", "has_zbkb", ""),
        ("riscv64", "0000", "", ""),
        ("riscv64", "0505", "", "c.addi has_zca"),
        ("riscv64", "0505", "has_c", ""),
        ("riscv64", "53f5c500", "", ""),
        ("riscv64", "5385254067800000", "has_zfh", ""),
        ("aarch64", "0020e11e", "", "fcmp has_fp16"),
        ("aarch64", "0020e11e", "has_fp16", ""),
        ("aarch64", "0020611e", "", ""),
        ("aarch64", "3f2303d5", "", ""),
        ("aarch64", "ff0b5fd6", "", "retaa has_pauth"),
        ("aarch64", "0000e1b8", "", "ldaddal has_lse"),
        ("x86-64", "c5f1fec2", "", "vpaddd has_avx"),
        ("x86-64", "c5f1fec2", "has_avx", ""),
        ("x86-64", "660f3840c1", "", "pmulld has_sse41"),
        ("x86-64", "660ffec1", "", ""),
        ("s390x", "b9f53012", "", "ncrk has_mie3"),
        ("s390x", "b9f53012", "has_mie3", ""),
        ("s390x", "b9f53012", "arch13", ""),
    ],
)
def test_an_instruction_is_of_an_extension_that_the_target_promises(
    isa: str, code: str, settings: str, lacking: str
) -> None:
    words = {"has_c": "preset", "arch13": "preset"}
    target = Target(isa, tuple((name, words.get(name, "true")) for name in settings.split()))
    program = [FunctionCode("%f", bytes.fromhex(code + isa_named(isa).ret))]
    found = beyond.judged_wholly(FUNCTION, target, program)
    name, _, flag = lacking.partition(" ")
    assert (found and found.reason) == (f"{name} for a target without {flag}" if lacking else None)
    if found is not None:
        assert found.kind == beyond.ILLEGAL
        assert beyond.judged_wholly(FUNCTION, beyond.machine_for(target, found), program) is None


def test_data_behind_the_code_is_of_no_extension() -> None:
    for words in (RET + "57c6c706", J_8 + "57c6c706" + RET):
        program = [FunctionCode("%f", bytes.fromhex(words))]
        assert beyond.other_extensions(Target("riscv64", (("has_v", "true"),)), program) is None


@pytest.fixture
def judge(compiler: Cranelift, runners: RunnerPool) -> Judge:
    return Judge(compiler, runners)


@pytest.mark.needs_qemu
@pytest.mark.parametrize("extension", ["", "has_zfh"])
def test_a_campaign_finds_it_and_a_reduction_keeps_it(judge: Judge, extension: str) -> None:
    """With has_zfh it is qemu that runs the code, and would not notice."""
    case = Case(parse_module(PRESERVES), 2, ((3,),))
    settings = (("has_zfh", "true"), ("has_zfhmin", "true")) if extension else ()
    tally = Tally()
    suspects = judge.judge([case], [Target("riscv64", (*settings, ("opt_level", "none")))], tally)
    assert [mismatch.verdict.klass for mismatch in suspects] == [compare.ILLEGAL_CODE]
    assert not tally.undecided
    investigator = Investigator(judge, judge.runners)  # type: ignore[arg-type]
    [finding] = investigator.investigate(case, suspects, tally)
    assert finding.witness is None
    reduced = reduce_finding(investigator, finding, Limits())[0]
    assert reduced.klass == compare.ILLEGAL_CODE
    assert any(function.signature.call_conv == "preserve_all" for function in reduced.case.module.functions)
    assert sum(len(block.insts) for function in reduced.case.module.functions for block in function.blocks) <= 6
    assert "test compile" in reduced.program
    assert not reduced.unsaid
    allowed = Tally()
    assert judge.judge([case], [Target("riscv64", (("has_v", "true"),))], allowed) == []
    assert allowed.agreed["riscv64"] == 1


def test_the_page_exists() -> None:
    from liftcheck.oracles.filetests.pages import PAGES

    root = Path(__file__).resolve().parents[2]
    pages = {page.path for page in PAGES}
    assert "docs/findings/riscv64-preserve-all-without-vectors.md" in pages
    assert all((root / page).exists() for page in pages)
    assert (root / "docs/findings/compiler-panics.md").read_text(encoding="utf-8").count("\n## ") >= 10


@pytest.mark.needs_qemu
def test_code_that_is_illegal_is_run_besides_where_a_runner_can(compiler: Cranelift, runners: RunnerPool) -> None:
    """It is a finding of its own, hides no wrong result, and the pair is counted once."""
    case = Case(parse_module(PRESERVES, "besides"), 2, ((7,), (9,)), name="besides")
    other = compiler.compile_text(PRESERVES.replace("imul", "isub"), [PLAIN])[0][2]
    assert isinstance(other, FunctionCode)
    right = Tally()
    (illegal,) = Judge(compiler, runners).judge([case], [PLAIN], right)
    assert (illegal.verdict.klass, right.pairs["riscv64"], right.agreed["riscv64"]) == (compare.ILLEGAL_CODE, 1, 1)

    def spoiled(code: FunctionCode, target: Target) -> FunctionCode:
        return other if code.name == "%f" and target == PLAIN else code

    judge, tally = Judge(compiler, runners, Hooks(code=spoiled)), Tally()
    found = judge.judge([case], [PLAIN], tally)
    assert [one.verdict.klass for one in found] == [compare.ILLEGAL_CODE, compare.WRONG_RESULT]
    investigator = Investigator(judge, runners)
    assert [
        finding.klass for one in found for finding in investigator.investigate(case, [one], tally)
    ] == [compare.ILLEGAL_CODE, compare.WRONG_RESULT]  # fmt: skip
    assert (tally.pairs["riscv64"], tally.agreed["riscv64"]) == (1, 0)
