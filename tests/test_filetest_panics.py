"""Known panics: every filetest of the page is a finding under its section's name; other panics stay failures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.case import CompileFailure
from liftcheck.clif.parser import parse_module
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import Unavailable
from liftcheck.oracles.filetest_panics import KNOWN, PAGE, known

ROOT = Path(__file__).resolve().parent.parent
SECTION = re.compile(r"^## (.*?) \((open|fixed)\)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
FILETEST = re.compile(r"^```\n(test .*?)^```$", re.MULTILINE | re.DOTALL)
OPEN = [pytest.param(text, id=title) for title, state, body in
        SECTION.findall((ROOT / PAGE).read_text(encoding="utf-8")) if state == "open"
        for text in FILETEST.findall(body)]

NEGATION = "function %f(i16x4) -> i16x4 {\nblock0(v0: i16x4):\n    v1 = ineg v0\n    return v1\n}\n"
NEGATED = parse_module(NEGATION).functions[0]
WHOLE = parse_module(NEGATION.replace("i16x4", "i16x8")).functions[0]
SAID = CompileFailure("panic", "assertion", "assertion `left == right` failed\n  left: Float\n right: Int",
                      "cranelift-codegen-0.135.8/src/isa/aarch64/inst/emit.rs:98:5")


@pytest.mark.parametrize("text", OPEN)
def test_a_filetest_of_the_page_is_a_finding(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        open_compiler("cranelift@0.135.8").close()
    except Unavailable as missing:
        pytest.skip(str(missing))
    file = tmp_path / "panic.clif"
    file.write_text(text)
    assert cli.main(["test", "--compiler", "cranelift@0.135.8", "--jobs", "1", str(file)]) == 1
    said = capsys.readouterr().out
    assert f"({PAGE})" in said
    assert "0 passed, 0 failed, 0 undecided, 0 skipped, 1 findings" in said


def test_the_page_has_filetests() -> None:
    assert len(OPEN) >= 7


def test_a_panic_is_known_by_isa_words_place_and_program() -> None:
    assert known("aarch64", NEGATED, SAID).startswith("compiler panic: ineg of a 64-bit vector (docs/")
    assert known("riscv64", NEGATED, SAID) == ""
    assert known("aarch64", WHOLE, SAID) == ""
    assert known("aarch64", NEGATED, CompileFailure("panic", "index", "index out of bounds", SAID.place)) == ""
    elsewhere = CompileFailure("panic", SAID.reason, SAID.message, "src/isa/aarch64/abi.rs:1:1")
    assert known("aarch64", NEGATED, elsewhere) == ""


def test_no_row_takes_every_panic() -> None:
    unlike = CompileFailure("panic", "attempt to add with overflow", "attempt to add with overflow", "src/lib.rs:1:1")
    assert [row.name for row in KNOWN if re.search(row.said, f"{unlike.message} {unlike.place}", re.DOTALL)] == []
