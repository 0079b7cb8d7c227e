"""The engine of `liftcheck test`: what is a unit, what passes, fails, is skipped and is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liftcheck.campaign.filetests import run_filetests
from liftcheck.case import CompileFailure
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_function
from liftcheck.errors import InputError
from liftcheck.oracles.filetests import engine, known
from liftcheck.oracles.filetests.engine import Options
from liftcheck.oracles.filetests.report import Failure, Report

NAN_BITS = "CLIF leaves it open: the sign and payload of an arithmetic NaN"
ALONE = Options(interpreter_only=True)

GOOD = """test interpret
test run
target x86_64
target aarch64
target riscv64 has_c
target s390x
target pulley64

function %add(i8, i8) -> i8 {
block0(v0: i8, v1: i8):
    v2 = iadd v0, v1
    return v2
}
; run: %add(1, 2) == 3
; run: %add(127, 1) == -128
; run: %add(1, 1) != 3

function %pair(f32) -> f32, i32 {
    fn0 = %add(i8, i8) -> i8
block0(v0: f32):
    v1 = fneg v0
    v2 = iconst.i8 200
    v3 = call fn0(v2, v2)
    v4 = uextend.i32 v3
    return v1, v4
}
; run: %pair(+NaN) == [-NaN, 144]
; print: %pair(0x1.0)

function %yes() -> i8 {
block0:
    v0 = iconst.i8 7
    return v0
}
; run
"""


def written(folder: Path, text: str, name: str = "a.clif") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_every_run_line_is_a_unit_of_the_interpreter(tmp_path: Path) -> None:
    report = run_filetests([written(tmp_path, GOOD)], ALONE)
    assert (report.passed, report.failed, report.skipped) == (6, 0, 0)
    assert list(report.lines())[-1] == "6 passed, 0 failed, 0 undecided, 0 skipped"
    assert report.exit_code == 0


def test_a_failure_names_its_line_and_both_results(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD.replace("%add(127, 1) == -128", "%add(127, 1) == 5"))
    report = run_filetests([file], ALONE)
    assert (report.passed, report.failed) == (5, 1)
    failed = report.failures[0]
    assert (failed.file, failed.line, failed.where) == (file, 15, "interpreter")
    assert (failed.what, failed.expected, failed.got) == ("%add(127, 1)", "== 5", "-128")
    assert report.exit_code == 1
    assert f"{file}:15" in "\n".join(report.lines())


def test_nans_are_compared_by_their_bits(tmp_path: Path) -> None:
    report = run_filetests([written(tmp_path, GOOD.replace("[-NaN,", "[+NaN,"))], ALONE)
    assert report.failed == 1


def test_a_nan_that_one_isa_chooses_is_undecided_by_name(tmp_path: Path) -> None:
    text = """test run
target x86_64

function %f(f32) -> f32 {
block0(v0: f32):
    v1 = fadd v0, v0
    return v1
}
; run: %f(-NaN:0x1) == -NaN:0x1
; run: %f(0x1.0) == 0x1.0
"""
    report = run_filetests([written(tmp_path, text)], ALONE)
    assert [reason for reason, _ in report.undecided] == [NAN_BITS]
    assert report.failed == 1
    asked = run_filetests([written(tmp_path, "test interpret\n" + text)], ALONE)
    assert (asked.failed, len(asked.undecided)) == (1, 1), "the interpreter's NaN is one of several too"


def test_files_for_big_endian_targets_alone_run_big_endian(tmp_path: Path) -> None:
    text = """test run
target s390x

function %f(i32) -> i8 {
    ss0 = explicit_slot 4
block0(v0: i32):
    v1 = stack_addr.i64 ss0
    store v0, v1
    v2 = load.i8 v1
    return v2
}
; run: %f(0x11223344) == 0x11
"""
    assert run_filetests([written(tmp_path, text)], ALONE).passed == 1
    both = text.replace("target s390x", "target s390x\ntarget x86_64")
    assert run_filetests([written(tmp_path, both)], ALONE).failed == 1


def test_verifier_files_pass_if_errors_are_where_they_are_announced(tmp_path: Path) -> None:
    text = """test verifier

function %good(i32) -> i32 {
block0(v0: i32):
    return v0
}

function %bad(i32) -> i64 {
block0(v0: i32):
    return v0 ; error: arguments of return must match function signature
}
"""
    report = run_filetests([written(tmp_path, text)], ALONE)
    assert (report.passed, report.failed) == (2, 0)
    report = run_filetests([written(tmp_path, text.replace("; error: arguments of", "; no"))], ALONE)
    assert (report.passed, report.failed) == (1, 1)


def test_other_kinds_are_skipped_by_name(tmp_path: Path) -> None:
    text = "test unwind\ntest warp\n\nfunction %f() {\nblock0:\n    return\n}\n"
    report = run_filetests([written(tmp_path, text)], ALONE)
    assert report.skips == {
        "test warp: not judged by liftcheck": 1,
        "test unwind: nothing is compiled with --interpreter-only": 1,
    }
    assert report.units == 2


def test_what_the_interpreter_refuses_is_a_skip_with_the_reason(tmp_path: Path) -> None:
    text = "test interpret\n\nfunction %f() {\nblock0:\n    debugtrap\n    return\n}\n; print: %f()\n"
    report = run_filetests([written(tmp_path, text)], ALONE)
    assert report.skips == {"interpreter: debugtrap is not interpreted": 1}


def test_unreadable_files_are_said_and_the_others_run(tmp_path: Path) -> None:
    written(tmp_path, "test interpret\nfunction %f( {\n", "bad.clif")
    written(tmp_path, GOOD, "good.clif")
    report = run_filetests([str(tmp_path)], ALONE)
    assert report.passed == 6
    assert report.broken[0].file.endswith("bad.clif")
    assert report.exit_code == 2


def test_no_files_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.clif file"):
        run_filetests([str(tmp_path)], ALONE)
    with pytest.raises(InputError, match="no such file"):
        run_filetests([str(tmp_path / "missing.clif")], ALONE)


def test_several_processes_give_the_same_report(tmp_path: Path) -> None:
    for i in range(6):
        written(tmp_path, GOOD.replace("== 3", "== 4") if i == 3 else GOOD, f"{i}.clif")
    one = run_filetests([str(tmp_path)], ALONE)
    two = run_filetests([str(tmp_path)], Options(interpreter_only=True, jobs=2))
    one.seconds = two.seconds = 0
    assert json.dumps(one.document()) == json.dumps(two.document())
    assert (one.files, one.passed, one.failed) == (6, 35, 1)


def test_reports_add_up() -> None:
    total, part = Report(), Report()
    part.passes("x", 3)
    part.skip("x", "why", 2)
    part.skip("x", "never", 0)
    part.undecides("x", "open", Failure("a.clif", 7, "x", "%f(1)", "== 2", "3"))
    total.add(part)
    total.add(part)
    assert (total.passed, total.skips) == (6, {"why": 4})
    assert total.document()["by_target"] == {"x": {"passed": 6, "failed": 0, "undecided": 2, "skipped": 4}}
    assert total.document()["open"][0] == {
        "reason": "open",
        "file": "a.clif",
        "line": 7,
        "where": "x",
        "what": "%f(1)",
        "expected": "== 2",
        "got": "3",
    }
    assert "       2  open: a.clif:7" in total.lines()
    assert list(total.lines())[-1] == "6 passed, 0 failed, 2 undecided, 4 skipped"
    assert total.exit_code == 0, "an undecided unit is not a failure"


def alone(folder: Path, text: str) -> Report:
    return run_filetests([written(folder, text)], ALONE)


CAT = """test cat

function %odd(i32, i8x16 uext) -> i32 fast {
    ss0 = explicit_slot 16, align = 8
    region0 = 4 "table"
block0(v10: i32, v11: i8x16):
    v3 -> v10
    <1, ss0>v20 = stack_addr.i64 ss0
@0007 store aligned region0 v11, v20+3
    v4 = iadd v3, v10
    return v4
}
"""


def test_cat_files_pass_if_the_text_says_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (alone(tmp_path, CAT).passed, alone(tmp_path, CAT).units) == (1, 1)
    forgetful = print_function(parse_module(CAT[10:]).functions[0], "portable")
    monkeypatch.setattr("liftcheck.oracles.filetests.texts.print_function", lambda *_: forgetful)
    report = alone(tmp_path, CAT)
    assert (report.failed, report.failures[0].got) == (1, "its printed text means another function")


DOMTREE = """test domtree

function %loop(i32) {
    block7(v0: i32):
        jump block1          ; dominates: block1
    block1:
        brif v0, block2, block3 ; dominates: block2
                                ; dominates: block3 block5
    block2:
        brif v0, block1, block5
    block3:
        jump block5
    block4:
        jump block5
    block5:
        return
}
"""


def test_domtree_files_pass_if_every_dominator_is_named(tmp_path: Path) -> None:
    report = alone(tmp_path, DOMTREE)
    assert (report.passed, report.failed) == (1, 0)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("block3 block5", "block3", "block5 is unreachable there, block1 dominates it here"),
        (
            "brif v0, block1, block5",
            "brif v0, block1, block5 ; dominates: block5",
            "block5 has two immediate dominators",
        ),
        ("; dominates: block2\n", "; dominates: block9\n", "line 7: 'block9' is not a block"),
        ("jump block5\n    block5", "jump block5 ; dominates: block4\n    block5", "is block4 there, unreachable here"),
        ("; dominates: block1\n", "\n", "block1 is unreachable there"),
        ("block1:\n", "block1: ; dominates: block2\n", "the comment belongs to no instruction"),
    ],
)
def test_domtree_files_that_are_wrong(tmp_path: Path, old: str, new: str, wrong: str) -> None:
    assert old in DOMTREE
    report = alone(tmp_path, DOMTREE.replace(old, new, 1))
    assert report.failed == 1 and wrong in report.failures[0].got


def test_print_cfg_files_pass_if_the_announced_edges_exist(tmp_path: Path) -> None:
    announced = DOMTREE.replace("dominates: block2", "unordered: block1:inst1 -> TO")
    text = announced.replace("test domtree", "test print-cfg")
    assert alone(tmp_path, text.replace("TO", "block3")).passed == 1
    report = alone(tmp_path, text.replace("TO", "block4"))
    assert (report.failed, report.failures[0].got) == (1, "line 7: there is no edge from block1 to block4")


# With a compiler


def compiled(paths: list[str], options: Options = Options()) -> Report:  # noqa: B008
    return run_filetests(paths, options)


@pytest.mark.needs_compiler
@pytest.mark.needs_qemu
def test_the_four_isas_pass_what_the_interpreter_passes(tmp_path: Path) -> None:
    report = compiled([written(tmp_path, GOOD)])
    assert [str(f) for f in report.failures] == []
    assert (report.passed, report.skips) == (30, {"not an ISA of liftcheck's: pulley64": 6})
    assert (report.outside, report.units) == ({"pulley64": 6}, 36)
    assert report.by_target["s390x", "passed"] == 6


@pytest.mark.needs_compiler
def test_an_isa_can_be_chosen(tmp_path: Path) -> None:
    report = compiled([written(tmp_path, GOOD)], Options(isas=("riscv64",)))
    assert {where for where, _ in report.by_target} == {"interpreter", "riscv64"}
    assert (report.units, report.unasked) == (12, 24)


@pytest.mark.needs_compiler
def test_a_wrong_expectation_fails_on_every_isa(tmp_path: Path) -> None:
    report = compiled([written(tmp_path, GOOD.replace("%add(127, 1) == -128", "%add(127, 1) == 5"))])
    wheres = sorted(f.where.split()[0] for f in report.failures)
    assert wheres == ["aarch64", "interpreter", "riscv64", "s390x", "x86-64"]


@pytest.mark.needs_compiler
def test_missing_settings_and_lowerings_are_skips_with_reasons(tmp_path: Path) -> None:
    text = GOOD.replace("target riscv64 has_c", "target riscv64 has_warp_drive")
    report = compiled([written(tmp_path, text)])
    assert (report.failed, report.skipped) == (0, 12)
    assert any("has_warp_drive" in reason for reason in report.skips)


EXPECTED_FAILURE = """test compile expect-fail
target aarch64
target s390x

function %other_order(i64) -> i16 {
block0(v0: i64):
    v1 = load.i16 big v0
    return v1
}
"""


@pytest.mark.needs_compiler
def test_a_file_that_expects_a_refusal_passes_where_it_is_refused(tmp_path: Path) -> None:
    report = compiled([written(tmp_path, EXPECTED_FAILURE)])
    assert {key: n for key, n in report.by_target.items() if n} == {("aarch64", "passed"): 1, ("s390x", "failed"): 1}
    assert (report.failures[0].expected, report.failures[0].line) == ("that it does not compile", 5)
    report = compiled([written(tmp_path, EXPECTED_FAILURE.replace(" expect-fail", ""))])
    assert (report.passed, report.failed, report.skipped) == (1, 0, 1)


@pytest.mark.needs_compiler
def test_a_setting_that_does_not_exist_is_no_refusal(tmp_path: Path) -> None:
    report = compiled([written(tmp_path, EXPECTED_FAILURE.replace("aarch64", "aarch64 has_warp_drive"))])
    assert (report.passed, report.failed, report.skipped) == (0, 1, 1)


ILL_FORMED = """function %good(i32) -> i32 {
block0(v0: i32):
    return v0
}
; run: %good(4) == 4

function %bad(i32) -> i32 {
block0(v0: i32):
    v2 = iadd v0, v1
    v1 = iadd v0, v0
    return v2
}
; run: %bad(1) == 3
; run: %bad(2) == 6
"""


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("header", "good", "bad"),
    [("test compile", 2, 2), ("test run", 2, 4), ("test interpret", 1, 2), ("test compile expect-fail", 0, 4)],
)
def test_an_ill_formed_function_fails_with_its_line(tmp_path: Path, header: str, good: int, bad: int) -> None:
    report = compiled([written(tmp_path, f"{header}\ntarget x86_64\ntarget riscv64\n\n{ILL_FORMED}")])
    assert (report.passed, report.failed, report.skipped) == (good, bad, 0)
    wrong = [failure for failure in report.failures if failure.expected == "a well-formed function"]
    assert {failure.line for failure in wrong} == {13}
    assert all("v1" in failure.got and "dominate" in failure.got for failure in wrong)
    assert (report.exit_code, report.lost) == (1, [])


@pytest.mark.needs_compiler
def test_ill_formed_without_run_lines(tmp_path: Path) -> None:
    text = "test run\ntarget x86_64\n\n" + ILL_FORMED.replace("; run: %bad", "; walk: %bad")
    report = compiled([written(tmp_path, text)])
    assert (report.passed, report.failed, report.units) == (1, 1, 2)


@pytest.mark.needs_compiler
def test_what_only_the_compilers_verifier_finds_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liftcheck.oracles.filetests.units.verify", lambda *_: [])
    report = compiled([written(tmp_path, f"test compile\ntarget x86_64\n\n{ILL_FORMED}")])
    assert (report.passed, report.failed, report.skipped) == (1, 1, 0)
    assert "v1" in report.failures[0].got


def test_units_without_a_verdict_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, GOOD)
    monkeypatch.setattr(Report, "passes", lambda *_: None)
    report = run_filetests([file], ALONE)
    assert report.units == 6
    assert "6 units, but 0 verdicts" in "\n".join(report.lines())
    assert report.exit_code == 2 and report.document()["lost"] == report.lost != []


def test_a_fault_of_ours_costs_one_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, CAT, "a.clif")
    written(tmp_path, GOOD, "b.clif")

    def broken(*_: object) -> str:
        raise ZeroDivisionError("planted")

    monkeypatch.setitem(engine.TEXTS, "cat", (broken, "anything"))
    report = run_filetests([str(tmp_path)], ALONE)
    assert (report.passed, report.units, report.exit_code) == (6, 7, 2)
    assert len(report.lost) == 1 and "ZeroDivisionError: planted" in report.lost[0]
    monkeypatch.setenv("LIFTCHECK_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run_filetests([str(tmp_path)], ALONE)


@pytest.mark.needs_compiler
def test_a_file_that_only_other_isas_run_is_counted(tmp_path: Path) -> None:
    written(tmp_path, "test compile\ntarget pulley64\n\nfunction %f() {\nblock0:\n    return\n}\n", "p.clif")
    written(tmp_path, "test compile\ntarget s390x\n\nfunction %f() {\nblock0:\n    return\n}\n", "s.clif")
    report = compiled([str(tmp_path)])
    assert (report.passed, report.skipped, report.units) == (1, 1, 2)


@pytest.mark.needs_compiler
def test_compile_units(tmp_path: Path) -> None:
    header = "test compile precise-output\nset opt_level=speed\ntarget x86_64\ntarget s390x\n\n"
    report = compiled([written(tmp_path, header + GOOD[GOOD.index("function") :])])
    assert (report.passed, report.failed) == (6, 0)
    assert any("precise-output" in note for note in report.notes)


@pytest.mark.needs_compiler
def test_a_missing_symbol_hurts_nobody_but_those_that_reach_it(tmp_path: Path) -> None:
    calling = "function %g() {\n    fn0 = %elsewhere()\nblock0:\n    call fn0()\n    return\n}\n; print: %g()\n\n"
    report = compiled([written(tmp_path, "test run\ntarget x86_64\n\n" + calling + GOOD[GOOD.index("function") :])])
    assert (report.passed, report.failed, len(report.undecided)) == (6, 0, 1)
    reason, unit = report.undecided[0]
    assert reason == "the program is not whole: it reaches a symbol that is not in the file"
    assert unit.got.startswith("trapped unresolved %elsewhere; ")


def test_registers_are_told_only_if_all_of_them_are_known() -> None:
    assert known.page_in(known.not_saved("riscv64", ("fs1",))) == "docs/findings/riscv64-fs1-not-saved.md"
    assert known.not_saved("riscv64", ()) == ""
    assert known.not_saved("riscv64", ("fs1", "s3")) == ""
    assert known.not_saved("aarch64", ("fs1",)) == ""


def test_of_a_page_on_several_faults_the_cause_tells_which() -> None:
    assert known.fault_in("it passes so (docs/findings/x.md)") == known.fault_in("else (docs/findings/x.md)") != ""
    one, other = (f"compiler panic: {name} ({known.PANICS_PAGE})" for name in ("this", "that"))
    assert known.fault_in(one) != known.fault_in(other) != ""
    assert known.fault_in(f"{known.UPPER_BITS} ({known.NO_PAGE})") == known.page_in("") == ""


def test_a_panic_is_a_failure_and_a_refusal_is_not() -> None:
    assert CompileFailure("panic", "x").is_finding
    assert not CompileFailure("unsupported", "x").is_finding
