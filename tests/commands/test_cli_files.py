"""`liftcheck interpret`: run lines and calls by hand, and what it says of wrong ones."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from liftcheck import cli

TEXT = """\
test interpret

function %add(i32, i32) -> i32 {
block0(v0: i32, v1: i32):
    v2 = iadd v0, v1
    return v2
}
; run: %add(1, 2) == 3
; run: %add(-1, 1) != 5
; print: %add(0x7fffffff, 1)

function %two(i64, f32x4) -> i64, f32x4 {
block0(v0: i64, v1: f32x4):
    return v0, v1
}
; run: %two(7, [0x1.0 -0x1.0 0x0.0 0x1.8p1]) == [7, [0x1.0 -0x1.0 0x0.0 0x1.8p1]]

function %load(i64) -> i16 {
block0(v0: i64):
    v1 = udiv v0, v0
    v2 = ireduce.i16 v1
    return v2
}

function %swap() -> i8 {
    ss0 = explicit_slot 4
block0:
    v0 = stack_addr.i64 ss0
    v1 = iconst.i32 1
    store v1, v0
    v2 = load.i8 v0
    return v2
}
; print: %swap()
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "p.clif"
    path.write_text(TEXT)
    return str(path)


def test_all_run_lines_are_interpreted(capsys: pytest.CaptureFixture[str], program: str) -> None:
    assert cli.main(["interpret", program]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "%add(1, 2) = 3  ; as expected"
    assert lines[2] == "%add(2147483647, 1) = -2147483648"
    assert lines[3].startswith("%two(7, [") and lines[3].endswith("as expected")
    assert lines[4] == "%swap() = 1"


def test_byte_order_can_be_chosen(capsys: pytest.CaptureFixture[str], program: str) -> None:
    assert cli.main(["interpret", program, "--function", "swap", "--big-endian"]) == 0
    assert capsys.readouterr().out == "%swap() = 0\n"


def test_one_call_by_hand(capsys: pytest.CaptureFixture[str], program: str) -> None:
    assert cli.main(["interpret", program, "--function", "%add", "--args", "40, 2"]) == 0
    assert capsys.readouterr().out == "%add(40, 2) = 42\n"


def test_a_trap_is_a_result(capsys: pytest.CaptureFixture[str], program: str) -> None:
    assert cli.main(["interpret", program, "--function", "load", "--args", "0"]) == 0
    assert capsys.readouterr().out == "%load(0) = trap int_divz\n"


def test_a_wrong_expectation_is_exit_code_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "wrong.clif"
    path.write_text(TEXT.replace("%add(1, 2) == 3", "%add(1, 2) == 4"))
    assert cli.main(["interpret", str(path)]) == 1
    assert "WRONG: the run line says == 4" in capsys.readouterr().out


def test_standard_input_is_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert cli.main(["interpret", "-", "--function", "add", "--args", "1, 1"]) == 0


def test_the_json_document(capsys: pytest.CaptureFixture[str], program: str) -> None:
    assert cli.main(["interpret", program, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["command"] == "interpret" and len(document["calls"]) == 5
    assert document["calls"][0]["outcome"] == {"kind": "returned", "detail": "", "values": ["3"]}
    assert document["calls"][0]["as_expected"] is True and document["calls"][2]["as_expected"] is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--function", "ad"], "did you mean %add?"),
        (["--function", "add"], "%add takes: i32, i32"),
        (["--function", "add", "--args", "1"], "--args '1'"),
        (["--function", "add", "--args", "1, 99999999999"], "does not fit"),
        (["--function", "add", "--args", "1, x"], "%add takes"),
        (["--function", "add", "--args", "1, 2, 3"], "%add takes"),
        (["--args", "1"], "--args needs --function"),
        (["--function", "add", "--args", "1, 2\n; run: %add(1, 1)"], "--args"),
    ],
)
def test_wrong_calls_are_refused(
    capsys: pytest.CaptureFixture[str], program: str, words: list[str], expected: str
) -> None:
    assert cli.main(["interpret", program, *words]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err and captured.out == ""


def test_a_file_without_run_lines_wants_a_function(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "plain.clif"
    path.write_text("function %f() {\nblock0:\n    return\n}\n")
    assert cli.main(["interpret", str(path)]) == 2
    assert "--function NAME" in capsys.readouterr().err


def test_an_ill_typed_program_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "ill.clif"
    path.write_text(
        "function %f(i32, i64) -> i32 {\nblock0(v0: i32, v1: i64):\n    v2 = iadd v0, v1\n    return v2\n}\n"
    )
    assert cli.main(["interpret", str(path), "--function", "f", "--args", "1, 2"]) == 2
    assert "ill.clif:3:" in capsys.readouterr().err


def test_an_endless_program_ends(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "endless.clif"
    path.write_text("function %f() {\nblock0:\n    jump block1\nblock1:\n    jump block1\n}\n; print: %f()\n")
    assert cli.main(["interpret", str(path), "--fuel", "10000"]) == 0
    assert "out_of_fuel" in capsys.readouterr().out
