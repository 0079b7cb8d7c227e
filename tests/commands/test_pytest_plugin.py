"""The pytest plugin: off unless asked for; what passes, fails, is skipped; and the example of its page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.scripts import ROOT

from liftcheck.clif.text.parser import parse_filetest

TOY = ROOT / "tests" / "support" / "toy_compiler"
PLUGIN = ("-p", "no:liftcheck", "-p", "liftcheck.pytest_plugin", "-p", "no:cacheprovider", "-q")
INTERPRETED = "test interpret\nfunction %f(i8) -> i8 {\nblock0(v0: i8):\n    return v0\n}\n; run: %f(1) == 1\n"


def run(folder: Path, *words: str) -> tuple[int, str]:
    """pytest in a folder, with the plugin and the toy compiler, and none of the other plugins, which cost a second."""
    path = os.pathsep.join(filter(None, [str(TOY), str(ROOT), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "pytest", *PLUGIN, *words]
    env = {**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    return done.returncode, done.stdout + done.stderr


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.clif").write_text("nonsense")
    (tmp_path / "test_own.py").write_text("import sys\ndef test_own(): assert 'liftcheck.clif' not in sys.modules\n")
    code, told = run(tmp_path)
    assert code == 0 and "1 passed" in told
    (tmp_path / "test_own.py").unlink()
    (tmp_path / "pytest.ini").write_text("[pytest]\nliftcheck = true\n")
    code, told = run(tmp_path, "--liftcheck-interpreter-only")
    assert code == 1 and "1 failed" in told and "a.clif:1:1: " in told


def test_files_pass_fail_and_are_skipped_with_reasons(tmp_path: Path) -> None:
    (tmp_path / "good.clif").write_text(INTERPRETED)
    (tmp_path / "bad.clif").write_text(INTERPRETED.replace("== 1", "== 2"))
    (tmp_path / "other.clif").write_text(INTERPRETED.replace("test interpret", "test unwind"))
    code, told = run(tmp_path, "--liftcheck", "--liftcheck-interpreter-only", "-rs")
    assert code == 1 and "1 failed, 1 passed, 1 skipped" in told
    assert "bad.clif:6: %f(1) on interpreter" in told and "expected == 2" in told and "Traceback" not in told
    assert "test unwind" in told


def test_a_wrong_isa_is_told_before_anything_is_collected(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--liftcheck", "--liftcheck-isa", "riscv65")
    assert code == 4 and "--liftcheck-isa: unknown ISA 'riscv65'" in told


@pytest.mark.needs_compiler
def test_the_example_of_the_page_finds_its_fault_and_shows_it_small(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "pytest.md").read_text(encoding="utf-8").partition("## An example")[2]
    blocks = [
        textwrap.dedent(block) for block in re.findall(r"(?:^(?:    .*)?\n)+", text, re.MULTILINE) if block.strip()
    ]
    program, command, told_there = blocks[:3]
    (tmp_path / "sum.clif").write_text(program.strip("\n") + "\n")
    code, told = run(tmp_path, *command.split()[1:])
    assert code == 1, told
    small = told[told.index("test run") : told.index("=====", told.index("test run"))]
    functions = parse_filetest(small, "").module().functions
    assert sum(len(block.insts) for function in functions for block in function.blocks) <= 6
    assert small.split() == told_there[told_there.index("test run") :].split()
    assert run(tmp_path, "--liftcheck", "--liftcheck-compiler", "toy")[0] == 0
