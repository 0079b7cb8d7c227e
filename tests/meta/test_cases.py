"""The table of cases: files in the manner of what people feed to the tool, and what each command must make of them.

`corpus/cases` states the expectations in its files' comments (`ci/experiments/cases.py` reads them); every kind has its
control.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.case_rows import cases, rows, run

FOLDER = Path(__file__).resolve().parents[2] / "corpus" / "cases"


@pytest.mark.needs_compiler("fuzz", "regalloc")
@pytest.mark.parametrize(("path", "expected"), rows(FOLDER))
def test_a_case_gives_what_it_says(path: Path, expected: Any, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, output = run(path, expected, capsys)
    assert wrong == "", output


def test_every_case_expects_something() -> None:
    files = list(cases.files([str(FOLDER)]))
    assert len(files) > 40
    assert [path.name for path in files if not cases.expectations(path)] == []


def test_expectations_can_fail() -> None:
    expected = cases.parse("run --isa riscv64 => 0: as expected | !DISAGREES")
    assert expected.command("a.clif") == ["run", "a.clif", "--isa", "riscv64"]
    assert expected.wrong(0, "%f() = 1  ; as expected") == ""
    assert expected.wrong(1, "%f() = 1  ; as expected") == "exit code 1, not 0"
    assert expected.wrong(0, "%f() = 1") == "does not print 'as expected'"
    assert "prints 'DISAGREES'" in expected.wrong(0, "as expected; DISAGREES")
    assert "prints 'Traceback" in expected.wrong(0, "as expected\nTraceback (most recent call last)")
    for text in ("run --isa riscv64", "walk => 0:", "=> 0:", "run => zero"):
        with pytest.raises(ValueError, match=r"no expectation|invalid literal"):
            cases.parse(text)
