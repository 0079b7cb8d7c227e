"""Commands that compile with the real Cranelift: `test`, `run`, `compile`, `matrix`, on all four ISAs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from liftcheck import cli
from liftcheck.compilers.cranelift import builds
from liftcheck.isa import ISAS

CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "run"

CLIF = """\
function %div(i64, i64) -> i64 {
block0(v0: i64, v1: i64):
    v2 = sdiv v0, v1
    return v2
}
; run: %div(7, 2) == 3
; print: %div(7, 0)
"""


def document(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    """The one object that a command prints with --json."""
    got = cli.main([*words, "--json"])
    captured = capsys.readouterr()
    assert got == code, captured.err
    loaded = json.loads(captured.out)
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def division(tmp_path: Path) -> str:
    path = tmp_path / "div.clif"
    path.write_text(CLIF)
    return str(path)


@pytest.mark.needs_compiler
def test_the_corpus_passes_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    report = document(capsys, "test", str(CORPUS), "--jobs", "1")
    assert report["failed"] == report["skipped"] == 0 and report["broken"] == []
    assert set(report["by_target"]) == {*ISAS, "interpreter"}
    assert all(counts["passed"] >= 40 for where, counts in report["by_target"].items() if where != "interpreter")


@pytest.mark.needs_compiler
def test_the_last_line_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["test", str(CORPUS / "memory.clif"), "--isa", "s390x"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "15 passed, 0 failed, 0 undecided, 0 skipped"


@pytest.mark.needs_compiler
def test_a_wrong_expectation_fails_on_every_isa(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = (CORPUS / "control.clif").read_text()
    assert "%swap(1, 2, 3) == 2" in text
    (tmp_path / "control.clif").write_text(text.replace("%swap(1, 2, 3) == 2", "%swap(1, 2, 3) == 1"))
    report = document(capsys, "test", str(tmp_path), code=1)
    assert report["failed"] == 9
    assert {failure["where"].split()[0] for failure in report["failures"]} == {*ISAS, "interpreter"}


@pytest.mark.needs_compiler
def test_run_gives_results_on_every_isa(capsys: pytest.CaptureFixture[str], division: str) -> None:
    results = document(capsys, "run", division)["results"]
    assert {result["isa"] for result in results} == set(ISAS)
    for result in results:
        assert result["agrees"] is True and result["problem"] is None
    assert [result["outcome"]["values"] for result in results[::2]] == [["3"]] * 4
    assert [result["outcome"]["detail"] for result in results[1::2]] == ["int_divz"] * 4


@pytest.mark.needs_compiler
def test_run_names_the_runner_that_was_asked_for(capsys: pytest.CaptureFixture[str], division: str) -> None:
    words = ("--isa", "x86_64", "--runner", "unicorn", "--opt", "none,speed")
    results = document(capsys, "run", division, *words)["results"]
    assert {result["runner"] for result in results} == {"unicorn"}
    assert {result["settings"]["opt_level"] for result in results} == {"none", "speed"}


@pytest.mark.needs_compiler
def test_run_takes_one_call(capsys: pytest.CaptureFixture[str], division: str) -> None:
    assert cli.main(["run", division, "--isa", "s390x", "--function", "div", "--args", "-9, 2"]) == 0
    assert "%div(-9, 2) = -4\n" in capsys.readouterr().out


@pytest.mark.needs_compiler
def test_run_says_when_a_run_line_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "wrong.clif"
    path.write_text(CLIF.replace("== 3", "== 4"))
    assert cli.main(["run", str(path), "--isa", "riscv64"]) == 1
    assert "WRONG: the run line says == 4" in capsys.readouterr().out


@pytest.mark.needs_compiler
@pytest.mark.parametrize("isa", ISAS)
def test_compile_lists_every_byte_and_its_line(capsys: pytest.CaptureFixture[str], division: str, isa: str) -> None:
    (function,) = document(capsys, "compile", division, "--isa", isa)["functions"]
    assert "".join(row["bytes"] for row in function["instructions"]) == function["code"]
    assert {trap["code"] for trap in function["traps"]} == {"int_divz", "int_ovf"}
    assert {3, 4} <= {row["line"] for row in function["instructions"]}


@pytest.mark.needs_compiler
def test_compile_for_people(capsys: pytest.CaptureFixture[str], division: str) -> None:
    assert cli.main(["compile", division, "--isa", "x86-64", "--vcode", "--clif", "--rules"]) == 0
    out = capsys.readouterr().out
    for part in ("; 3: v2 = sdiv v0, v1", "idiv", "trap int_divz", "vcode:", "clif:", "rules:"):
        assert part in out


@pytest.mark.needs_compiler
def test_a_missing_lowering_is_a_refusal_and_no_finding(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "f16.clif"
    path.write_text(
        "function %f(i8x16, i8x16) -> i8x16 {\nblock0(v0: i8x16, v1: i8x16):\n    v2 = x86_pshufb v0, v1\n"
        "    return v2\n}\n"
    )
    assert cli.main(["compile", str(path), "--isa", "s390x"]) == 2
    assert "s390x" in capsys.readouterr().out


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "--isa", "riscv64", "--set", "has_zb=true"], "did you mean has_zcb"),
        (["compile", "--set", "opt_levl=none"], "did you mean opt_level"),
        (["run", "--set", "regalloc_algorithm=quick"], "backtracking"),
        (["compile", "--compiler", "cranelift@9.9.9"], "9.9.9"),
        (["compile", "--compiler", "cranelft"], "cranelift"),
        (["compile", "--compiler", "cranelift=/nowhere"], "/nowhere"),
        (["compile", "--function", "dif"], "did you mean %div?"),
    ],
)
def test_what_the_compiler_does_not_know_is_refused(
    capsys: pytest.CaptureFixture[str], division: str, words: list[str], expected: str
) -> None:
    assert cli.main([words[0], division, *words[1:]]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err and captured.out == "" and "bug in liftcheck" not in captured.err


def test_no_cargo_and_nothing_built_is_exit_code_three(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, division: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LIFTCHECK_CACHE", str(tmp_path / "cache"))
    for words in (
        ["compile", division],
        ["run", division],
        ["test", str(CORPUS)],
        ["fuzz", "--cases", "1"],
        ["matrix"],
        ["compiler", "add", "cranelift"],
        ["generate"],
    ):
        assert cli.main(words) == 3, words
        captured = capsys.readouterr()
        assert "install Rust" in captured.err and captured.out == ""


@pytest.mark.needs_compiler
def test_the_matrix_knows_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    isas = document(capsys, "matrix", "--opcode", "iadd", "--opcode", "x86_pshufb")["isas"]
    for isa in ISAS:
        assert {"iadd.i8", "iadd.i64", "iadd.i128"} <= set(isas[isa]["has"])
        assert "x86_pshufb" in isas[isa]["lacks"]
    assert cli.main(["matrix", "--opcode", "iad"]) == 2
    assert "did you mean iadd?" in capsys.readouterr().err


@pytest.mark.needs_compiler
def test_the_matrix_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["matrix", "--isa", "riscv64", "--opcode", "x86_pshufb", "--missing"]) == 0
    assert "no lowering" in capsys.readouterr().out


def test_compilers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = document(capsys, "compiler", "list")
    assert "cranelift" in listed["names"] and listed["available"]
    assert (listed["default"], listed["why"]) == (f"cranelift@{builds.newest()}", builds.why_newest())
    assert cli.main(["compiler", "remove", "cranelift@0.0.1"]) == 2
    assert "not built" in capsys.readouterr().err
