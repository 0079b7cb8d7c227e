"""Refusals: what the compiler lacks is a gap, what it has and refuses all the same is a finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from liftcheck.campaign.filetests import run_filetests
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_function
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler, Reply
from liftcheck.oracles import compare, refusals
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.filetests import known
from liftcheck.oracles.filetests.engine import Options
from liftcheck.oracles.refusals import WRONG, Refusals
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

MAXIMUM = """function %f(i128, i128) -> i128 system_v {
block0(v0: i128, v1: i128):
    v2 = icmp ugt v0, v1
    v3 = select v2, v0, v1
    return v3
}
"""
"""0.135's mid-end makes it a `umax.i128`, which no backend lowers."""
SHIFTS = """function %f(i16x4) -> i16x4 system_v {
block0(v0: i16x4):
    v1 = iconst.i64 1
    v2 = ushr v0, v1
    v3 = ishl v2, v1
    return v3
}
"""
"""0.135's mid-end makes a mask of it with an `iconst.i16x4`; aarch64 has no such shifts anyway."""
FOLDED_GAP = """function %f(i8) -> i8 system_v {
    const0 = 0x40010000000000000000000000000000
    const1 = 0x3fff0000000000000000000000000000
block0(v0: i8):
    v1 = f128const const0
    v2 = f128const const1
    v3 = fmin v1, v2
    v4 = bitcast.i128 v3
    v5 = ireduce.i8 v4
    v6 = iadd v0, v5
    return v6
}
"""
"""x86-64 has no `fmin.f128`: at speed nobody asks for it."""
ADDITION = """function %f(i32) -> i32 system_v {
block0(v0: i32):
    v1 = iadd v0, v0
    v2 = imul v1, v0
    return v2
}
"""


def target(isa: str, level: str, *names: str) -> Target:
    settings = [("enable_llvm_abi_extensions", "true"), ("opt_level", level), *((name, "true") for name in names)]
    return Target(isa, tuple(sorted((*settings, ("enable_verifier", "false")))))


@pytest.fixture(scope="module")
def judge(compiler: Compiler, runners: RunnerPool) -> Judge:
    return Judge(compiler, runners)


def judged(judge: Judge, text: str, where: Target) -> CompileFailure:
    module = parse_module(text, "refused")
    reply = judge.compiler.compile_text(text, [where])[0][0]
    assert isinstance(reply, CompileFailure)
    return judge.refusals.judged(module, where, reply)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (MAXIMUM, target("x86-64", "speed")),
        (MAXIMUM, target("aarch64", "speed")),
        (MAXIMUM.replace("ugt", "slt"), target("aarch64", "speed_and_size")),
        (SHIFTS, target("riscv64", "speed", "has_v")),
    ],
)
def test_what_the_optimizer_makes_and_nobody_lowers_is_a_finding(judge: Judge, text: str, where: Target) -> None:
    found = judged(judge, text, where)
    assert found.kind == WRONG
    assert found.is_finding
    assert "With opt_level=none it compiles" in found.message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (FOLDED_GAP, target("x86-64", "none")),
        (SHIFTS, target("riscv64", "none")),
        (SHIFTS, target("aarch64", "speed")),
        (
            SHIFTS.replace("i16x4", "f16x8")
            .replace("ushr v0, v1", "fadd v0, v0")
            .replace("ishl v2, v1", "fsub v2, v0"),
            target("x86-64", "speed"),
        ),
        (
            "function %f(i8x16) -> i8x16, i8x16, i8x16, i8x16, i8x16, i8x16, i8x16, i8x16, i8x16 winch {\n"
            "block0(v0: i8x16):\n    return v0, v0, v0, v0, v0, v0, v0, v0, v0\n}\n",
            target("riscv64", "speed"),
        ),
    ],
)
def test_what_is_refused_for_itself_is_a_gap(judge: Judge, text: str, where: Target) -> None:
    assert judged(judge, text, where).kind == "unsupported"


def test_a_combination_that_no_level_has_is_a_finding_and_a_limit_is_none() -> None:
    failure = CompileFailure("unsupported", "no lowering of imul.i32", "should be implemented in ISLE")

    def ask(text: str, targets: Sequence[Target]) -> list[list[FunctionCode | CompileFailure]]:
        """A compiler that lacks a multiplication of a sum."""
        parts = text.split("function ")[1:]
        return [
            [failure if "iadd" in part and "imul" in part else FunctionCode("%p", b"") for part in parts]
            for _ in targets
        ]

    module, where = parse_module(ADDITION, "combined"), Target("x86-64")
    found = Refusals(ask).judged(module, where, failure)
    assert found.kind == WRONG
    assert "No level compiles it" in found.message
    limit = dataclasses.replace(failure, reason="a limit of the compiler: code too large")
    assert Refusals(ask).judged(module, where, limit) == limit


def test_another_gap_leaves_the_question_open_where_no_level_compiles() -> None:
    failure = CompileFailure("unsupported", "no lowering of imul.i32")
    other = CompileFailure("unsupported", "no lowering of iadd.i32")

    def ask(text: str, targets: Sequence[Target]) -> list[list[FunctionCode | CompileFailure]]:
        parts = text.split("function ")[1:]
        return [
            [(failure if "imul" in part else other) if "iadd" in part else FunctionCode("%p", b"") for part in parts]
            for _ in targets
        ]

    assert Refusals(ask).judged(parse_module(ADDITION, "both"), Target("x86-64"), failure) == failure


def test_a_campaign_finds_it_and_a_reduction_keeps_the_witness(judge: Judge) -> None:
    text = MAXIMUM.replace("    return v3", "    v4 = iadd v3, v0\n    v5 = bxor v4, v1\n    return v5")
    case = Case(parse_module(text, "reduced"), 0, ((1, 2),))
    where = [target("aarch64", level, "has_lse") for level in ("none", "speed")]
    tally = Tally()
    suspects = judge.judge([case], where, tally)
    assert [s.verdict.klass for s in suspects] == [compare.WRONG_REFUSAL]
    assert not tally.refused
    found = investigated(judge, case, suspects, tally)
    assert found.reduced
    assert len(found.case.module.functions[0].blocks[0].insts) == 3
    assert found.target == Target("aarch64", (("opt_level", "speed"),))
    assert found.witness is not None
    assert dict(found.witness.settings)["opt_level"] == "none"


def investigated(judge: Judge, case: Case, suspects: Sequence[object], tally: Tally) -> Finding:
    pool = judge.runners
    investigator = Investigator(judge, pool)  # type: ignore[arg-type]
    [finding] = investigator.investigate(case, suspects, tally)  # type: ignore[arg-type]
    return reduce_finding(investigator, finding, Limits())[0]


def test_a_reduced_panic_keeps_the_extension_without_which_the_type_is_refused(judge: Judge) -> None:
    text = """function %f(f32x4, f16x4) -> f16x4 system_v {
block0(v0: f32x4, v1: f16x4):
    v2 = fadd v1, v1
    return v2
}
"""
    case = Case(parse_module(text, "panic"), 0, ((1, 2),))
    names = ("has_v", "has_zvl128b", "has_zfh", "has_zvfh", "has_zba", "enable_nan_canonicalization")
    where = target("riscv64", "speed", *names)
    tally = Tally()
    found = investigated(judge, case, judge.judge([case], [where], tally), tally)
    assert found.klass == compare.COMPILER_PANIC
    kept = {name for name, _ in found.target.settings}
    assert kept == {"enable_nan_canonicalization", "has_zvfh", "has_zvl128b"}
    assert found.witness is not None
    assert judge.refusals.compiles(found.case.module, found.witness)


@pytest.mark.needs_compiler
def test_a_filetest_that_is_refused_at_one_level_exits_1(tmp_path: Path) -> None:
    file = tmp_path / "level.clif"
    header = "".join(f"set opt_level={level}\ntarget x86_64\ntarget aarch64\n" for level in ("none", "speed"))
    units = f"{MAXIMUM}; run: %f(1, 2) == 2\n{FOLDED_GAP.replace('%f', '%g')}; run: %g(9) == 9\n"
    file.write_text(f"test run\nset enable_llvm_abi_extensions=true\n{header}{units}".replace(" system_v", ""))
    report = run_filetests([str(file)], Options(compiler="cranelift@0.135.8"))
    assert report.exit_code == 1
    assert len(report.findings) == 2
    assert {cause.split(":")[0] for cause, _ in report.findings} == {
        "wrong refusal on x86-64",
        "wrong refusal on aarch64",
    }
    assert sum(report.skips.values()) == 2
    assert not report.failures


CONTEXT = """test compile
target x86_64
target aarch64
target riscv64
target s390x
function %f(i64 vmctx, f128) -> f128 {
    gv0 = vmctx
    gv1 = load.i64 notrap aligned gv0+8
block0(v0: i64, v1: f128):
    v2 = global_value.i64 gv1
    v3 = load.f128 v2
    v4 = fadd v3, v1
    return v4
}
function %g(i64) -> i64 {
block0(v0: i64):
    return v0
}
"""


@pytest.mark.needs_compiler
def test_what_a_refused_function_has_in_its_context_is_a_gap_too(tmp_path: Path) -> None:
    """`global_value` alone has a context; the other instructions need none."""
    file = tmp_path / "context.clif"
    file.write_text(CONTEXT)
    report = run_filetests([str(file)], Options(compiler="cranelift@0.135.8"))
    assert (report.exit_code, report.passed, sum(report.skips.values())) == (0, 4, 4)
    function = parse_module(CONTEXT.partition("s390x\n")[2]).functions[0]
    for inst in function.blocks[0].insts[:3]:
        alone = refusals.in_signature(function, inst)
        assert parse_module(print_function(alone)).functions[0].name == "%p"
        assert bool(alone.globals) == (inst.op == "global_value")
        assert not verify(alone)


CONVERTED = """function %f(i16) -> f16x8 system_v {
block0(v0: i16):
    v1 = splat.i16x8 v0
    v2 = fcvt_from_uint.f16x8 v1
    return v2
}
"""


@pytest.mark.parametrize(
    ("isa", "text", "reason", "page"),
    [
        ("x86-64", MAXIMUM, "no lowering of umax.i128", "docs/findings/min-max-i128-refused-at-speed.md"),
        (
            "aarch64",
            MAXIMUM,
            "lacks a case for this type (cranelift-codegen/src/isa/aarch64/lower/isle.rs)",
            "docs/findings/min-max-i128-refused-at-speed.md",
        ),
        (
            "aarch64",
            MAXIMUM.replace("ugt v0, v1", "ugt v0, v0"),
            "lacks a case for this type (cranelift-codegen/src/isa/aarch64/lower/isle.rs)",
            known.NO_PAGE,
        ),
        ("x86-64", MAXIMUM, "no lowering of smulhi.i128", known.NO_PAGE),
        ("riscv64", MAXIMUM, "no lowering of umax.i128", known.NO_PAGE),
        (
            "riscv64",
            CONVERTED,
            "no lowering of fcvt_from_uint.f16",
            "docs/findings/riscv64-fcvt-of-splat-f16-refused.md",
        ),
        (
            "riscv64",
            CONVERTED.replace("(i16)", "(i16x8)")
            .replace("v0: i16", "v0: i16x8")
            .replace("splat.i16x8 v0", "bxor v0, v0"),
            "no lowering of fcvt_from_uint.f16",
            "docs/findings/riscv64-fcvt-of-splat-f16-refused.md",
        ),
        (
            "riscv64",
            CONVERTED.replace("    v2 =", "    v3 = fcvt_from_uint.f16 v0\n    v2 ="),
            "no lowering of fcvt_from_uint.f16",
            known.NO_PAGE,
        ),
        ("riscv64", CONVERTED, "no lowering of fcvt_from_sint.f16", known.NO_PAGE),
        (
            "riscv64",
            CONVERTED.replace("i16x8 v0", "i32x4 v0")
            .replace("i16)", "i32)")
            .replace("v0: i16", "v0: i32")
            .replace("f16x8", "f32x4"),
            "no lowering of fcvt_from_uint.f16",
            known.NO_PAGE,
        ),
    ],
)
def test_a_wrong_refusal_has_its_page_if_the_program_has_what_the_page_says(
    isa: str, text: str, reason: str, page: str
) -> None:
    (function,) = parse_module(text, "refused").functions
    cause = known.cause_of_failure(isa, function, CompileFailure(WRONG, reason))
    assert cause == f"wrong refusal on {isa}: {reason} ({page})"


def test_what_is_kept_is_not_thrown_away_while_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program is judged by answers of before and new ones, also when there are too many to keep."""
    monkeypatch.setattr(refusals, "_KEPT", 8)

    def ask(text: str, targets: Sequence[Target]) -> list[list[Reply]]:
        made = [FunctionCode("f", b""), CompileFailure("unsupported", "no lowering of imul.i32")]
        return [[made["imul" in one] for one in text.split("function ")[1:]] for _ in targets]

    one, where = Refusals(ask), target("aarch64", "speed")
    failure = CompileFailure("unsupported", "no lowering of imul.i32")
    for text in (ADDITION, ADDITION.replace("iadd", "isub"), ADDITION.replace("iadd", "band")):
        assert one.judged(parse_module(text, "refused"), where, failure) is failure
