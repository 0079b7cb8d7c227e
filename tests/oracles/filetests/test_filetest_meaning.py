"""Two forms of a function: what runs of the reference tell apart, and what `test optimize` and similar ones make of
it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.examples import many

from liftcheck.campaign.filetests import run_filetests
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.parser import parse_module
from liftcheck.errors import Unsupported
from liftcheck.oracles.filetests import optimized, runs
from liftcheck.oracles.filetests.engine import Options
from liftcheck.oracles.filetests.meaning import Comparison, compare_forms
from liftcheck.oracles.filetests.report import Report


def function(text: str) -> Function:
    return parse_module(text).functions[0]


def compared(before: str, after: str, big_endian: bool = False) -> Comparison:
    return compare_forms(function(before), function(after), big_endian)


MEMORY = """function %f(i64, i64, i32) -> i32 {
    fn0 = %log(i32)
    fn1 = %ask(i64) -> i32
    ss0 = explicit_slot 16
block0(v0: i64, v1: i64, v2: i32):
    store v2, v0+8
    call fn0(v2)
    v3 = load.i32 v1+8
    v4 = iconst.i32 1234
    v5 = icmp eq v2, v4
    brif v5, block1, block2
block1:
    v6 = call fn1(v0)
    v7 = iadd v3, v6
    store v7, v1
    return v7
block2:
    v8 = udiv v3, v2
    return v8
}
"""


def test_a_function_is_the_same_as_itself() -> None:
    for big_endian in (False, True):
        found = compared(MEMORY, MEMORY, big_endian)
        assert (found.call, found.lost, found.judged) == ("", {}, 48)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("store v2, v0+8", "store v2, v0+4"),
        ("    store v7, v1\n", ""),
        ("call fn0(v2)", "call fn0(v4)"),
        ("    call fn0(v2)\n", ""),
        ("iconst.i32 1234", "iconst.i32 1235"),
        ("udiv v3, v2", "sdiv v3, v2"),
        ("    v8 = udiv v3, v2\n    return v8", "    v9 = iconst.i32 0\n    return v9"),
        ("    store v2, v0+8\n    call fn0(v2)\n", "    call fn0(v2)\n    store v2, v0+8\n"),
        ("    call fn0(v2)\n    v3 = load.i32 v1+8\n", "    v3 = load.i32 v1+8\n    call fn0(v2)\n"),
        ("call fn1(v0)", "call fn1(v1)"),
    ],
)
def test_other_forms_are_told_apart(old: str, new: str) -> None:
    assert old in MEMORY
    if "v4" in new and "v4" not in old:
        after = MEMORY.replace("    v4 = iconst.i32 1234\n", "").replace(
            "    store v2, v0+8\n", "    v4 = iconst.i32 1234\n    store v2, v0+8\n"
        )
        after = after.replace(old, new)
    else:
        after = MEMORY.replace(old, new)
    found = compared(MEMORY, after)
    assert found.call.startswith("%f(") and found.expected != found.got


def test_pointers_that_meet_tell_a_forwarded_load_apart() -> None:
    before = (
        "function %f(i64, i64, i32) -> i32 {\nblock0(v0: i64, v1: i64, v2: i32):\n    store v2, v0\n"
        "    v3 = iconst.i32 7\n    store v3, v1\n    v4 = load.i32 v0\n    return v4\n}\n"
    )
    after = before.replace("v4 = load.i32 v0", "v4 = bor v2, v2")
    assert compared(before, after).call
    promised = [
        text.replace("{\nb", '{\n    region0 = 0 "a"\n    region1 = 1 "b"\nb')
        .replace("store v2", "store region0 v2")
        .replace("store v3", "store region1 v3")
        .replace("load.i32", "load.i32 region0")
        for text in (before, after)
    ]
    assert compared(*promised).judged == 48


def test_calls_with_many_arguments_and_results_are_seen() -> None:
    """More than the numbers that a stub has for its own values, and more than the log holds if nobody asks."""
    many = 1500
    types, given = ", ".join(["i64"] * many), ", ".join(["v0"] * many)
    answers = ", ".join(f"v{n}" for n in range(2, 122))
    text = (
        f"function %f(i64, i64) -> i64 {{\n    fn0 = %g({types}) -> {', '.join(['i64'] * 120)}\n"
        f"block0(v0: i64, v1: i64):\n    {answers} = call fn0({given})\n    return v121\n}}\n"
    )
    found = compared(text, text)
    assert (found.call, found.lost, found.judged) == ("", {}, 48)
    assert compared(text, text.replace("v0)\n    return", "v1)\n    return")).call
    assert compared(text, text.replace("return v121", "return v120")).call


def test_many_calls_are_seen_in_order() -> None:
    calls = [f"    call fn0(v{n % 2})\n" for n in range(many(2000))]
    head = "function %f(i64, i64) {\n    fn0 = %g(i64)\nblock0(v0: i64, v1: i64):\n"
    before, after = ("".join([head, *body, "    return\n}\n"]) for body in (calls, [*calls[:-2], calls[-1], calls[-2]]))
    assert compared(before, before).judged and not compared(before, before).lost.total()
    assert compared(before, after).call


def test_indirect_calls_are_seen() -> None:
    text = (
        "function %f(i64, i32) -> i32 {\n    sig0 = (i32) -> i32\nblock0(v0: i64, v1: i32):\n"
        "    v2 = call_indirect sig0, v0(v1)\n    return v2\n}\n"
    )
    assert compared(text, text).judged > 8
    assert compared(text, text.replace("return v2", "return v1")).call


def test_a_symbol_may_be_called() -> None:
    text = (
        "function %f(i32) -> i32 {\n    gv0 = symbol %g\n    sig0 = (i32) -> i32\nblock0(v0: i32):\n"
        "    v1 = symbol_value.i64 gv0\n    v2 = call_indirect sig0, v1(v0)\n    return v2\n}\n"
    )
    assert compared(text, text).judged == 48


def test_nans_are_equal_whatever_their_bits() -> None:
    before = "function %f(f32) -> f32 {\nblock0(v0: f32):\n    v1 = fadd v0, v0\n    return v1\n}\n"
    assert compared(before, before.replace("fadd v0, v0\n", "fadd v0, v0\n    v2 = fneg v1\n")).judged == 48
    assert compared(before, before.replace("return v1", "v2 = fneg v1\n    return v2")).call


def test_what_clif_leaves_open_is_no_difference() -> None:
    before = (
        "function %f(f32) -> i32 {\nblock0(v0: f32):\n    v1 = fadd v0, v0\n    v2 = bitcast.i32 v1\n    return v2\n}\n"
    )
    turned = before.replace("v1 = fadd v0, v0", "v3 = fneg v0\n    v4 = fadd v3, v3\n    v1 = fneg v4")
    found = compared(before, turned)
    assert found.call == "" and found.judged > 20
    assert "the sign and payload of an arithmetic NaN" in next(iter(found.open))
    assert compared(before, turned.replace("fadd v3, v3", "fsub v3, v3")).call


def test_runs_that_show_nothing_are_counted_by_reason() -> None:
    text = (
        "function %f(i64) -> i64 {\nblock0(v0: i64):\n    v1 = iconst.i64 8\n    v2 = load.i64 notrap v1\n"
        "    return v2\n}\n"
    )
    assert compared(text, text).lost == {"it needs memory or functions from outside": 48}


def test_loops_that_do_not_end_stay_endless() -> None:
    text = "function %f() {\nblock0:\n    jump block1\nblock1:\n    jump block1\n}\n"
    assert compared(text, text).judged == 2
    with_arguments = text.replace("%f()", "%f(i32)").replace("block0:", "block0(v0: i32):")
    assert compared(with_arguments, with_arguments).judged == 4
    found = compared(text, "function %f() {\nblock0:\n    return\n}\n")
    assert (found.judged, found.lost) == (0, {"it does not end in time": 2})


def test_flags_that_cranelift_does_not_print() -> None:
    text = (
        "function %f(i64, i32) -> i32 {\nblock0(v0: i64, v1: i32):\n    v2 = atomic_rmw.i32 little add v0, v1\n"
        "    v3 = atomic_rmw.i32 little add v0, v2\n    return v3\n}\n"
    )
    printed = function(text.replace("little ", ""))
    assert optimized.with_flags(printed, function(text)).blocks == function(text).blocks
    mixed = function(text.replace("little", "big", 1))
    with pytest.raises(Unsupported, match="leaves out their memory flags"):
        optimized.with_flags(printed, mixed)


# With a compiler

FILE = "test optimize\nset opt_level=speed\ntarget x86_64\ntarget s390x\n\n" + MEMORY


def judged(
    folder: Path, text: str, monkeypatch: pytest.MonkeyPatch | None = None, old: str = "", new: str = ""
) -> Report:
    """The report on a file; what the compiler shows as optimized CLIF may be damaged."""
    path = folder / "a.clif"
    path.write_text(text)
    if monkeypatch is not None:
        true = runs.Engine.optimize

        def damaged(self: runs.Engine, text: str, targets: list[Target]) -> list[list[runs.Reply]]:
            return [[edited(reply) for reply in column] for column in true(self, text, targets)]

        def edited(reply: runs.Reply) -> runs.Reply:
            assert isinstance(reply, FunctionCode) and old in str(reply.extra["clif"])
            return FunctionCode(reply.name, reply.code, extra={"clif": str(reply.extra["clif"]).replace(old, new)})

        monkeypatch.setattr(runs.Engine, "optimize", damaged)
    return run_filetests([str(path)], Options())


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    "command", ["optimize", "alias-analysis", "inline", "legalizer", "licm", "optimize precise-output"]
)
def test_optimized_clif_that_means_the_same_passes(tmp_path: Path, command: str) -> None:
    report = judged(tmp_path, FILE.replace("test optimize", f"test {command}"))
    assert (report.passed, report.units, report.failures) == (2, 2, [])


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("udiv", "sdiv", "as before, "), ("v0+8", "v0+12", "as before, "), ("return v8", "return v0", "well-formed CLIF")],
)
def test_optimized_clif_that_is_wrong_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, expected: str
) -> None:
    report = judged(tmp_path, FILE, monkeypatch, old, new)
    assert (report.failed, report.units) == (2, 2)
    assert {failure.line for failure in report.failures} == {6}
    assert all(failure.expected.startswith(expected) for failure in report.failures)


@pytest.mark.needs_compiler
def test_optimized_clif_that_cannot_be_read_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = judged(tmp_path, FILE, monkeypatch, "udiv", "udivide")
    assert (report.skipped, report.units) == (2, 2)
    assert "its optimized CLIF is not read" in next(iter(report.skips))


@pytest.mark.needs_compiler
def test_a_lacking_lowering_leaves_nothing_to_compare(tmp_path: Path) -> None:
    text = (
        "test optimize\ntarget x86_64\n\nfunction %f(f32x2) -> f32x2 {\nblock0(v0: f32x2):\n"
        "    v1 = fadd v0, v0\n    return v1\n}\n"
    )
    report = judged(tmp_path, text)
    assert (report.skipped, report.units) == (1, 1)
    assert "no machine code, hence no optimized CLIF" in next(iter(report.skips))


@pytest.mark.needs_compiler
def test_a_result_that_is_always_open_is_undecided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "test optimize\ntarget x86_64\n\nfunction %f() -> i64 {\n    ss0 = explicit_slot 8\nblock0:\n"
        "    v0 = stack_addr.i64 ss0\n    v1 = load.i64 v0\n    return v1\n}\n"
    )
    report = judged(tmp_path, text, monkeypatch, "return v1", "v9 = iconst.i64 77\n    return v9")
    assert (len(report.undecided), report.units, report.exit_code) == (1, 1, 0)
    assert "what a stack slot holds before it is written" in report.undecided[0][0]


INLINE = """test inline precise-output
target x86_64

function %twice(i32) -> i32 {
block0(v0: i32):
    v1 = iadd v0, v0
    return v1
}

; (no functions inlined into %twice)

function %caller(i32) -> i32 {
    fn0 = %twice(i32) -> i32
block0(v0: i32):
    v1 = call fn0(v0)
    return v1
}

; function %caller(i32) -> i32 fast {
;     sig0 = (i32) -> i32 fast
;     fn0 = %twice sig0
;
; block0(v0: i32):
;     jump block1
;
; block1:
;     v3 = iadd.i32 v0, v0
;     jump block2(v3)
;
; block2(v2: i32):
;     v1 -> v2
;     return v1
; }
"""


@pytest.mark.needs_compiler
def test_the_inlined_text_of_a_file_must_mean_the_function(tmp_path: Path) -> None:
    assert (judged(tmp_path, INLINE).passed, judged(tmp_path, INLINE).units) == (2, 2)
    report = judged(tmp_path, INLINE.replace("iadd.i32 v0, v0", "isub.i32 v0, v0"))
    assert (report.passed, report.failed, report.failures[0].line) == (1, 1, 12)
    lax = judged(tmp_path, INLINE.replace("iadd.i32 v0, v0", "isub.i32 v0, v0").replace(" precise-output", ""))
    assert lax.passed == 2
