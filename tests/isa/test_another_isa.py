"""Another ISA is a row of the list, a package and a stub: the recipe of docs/adding/an-isa.md, walked in a copy.

The ISA is riscv64 under another name, so its results are known, and nobody can know its name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.scripts import ROOT

NAME, LIKE = "toy64", "riscv64"
PROGRAM = """test run

function %f(i32, f32, i64) -> i32, i64 {
block0(v0: i32, v1: f32, v2: i64):
    v3 = fcvt_to_sint_sat.i32 v1
    v4 = iadd v0, v3
    v5 = popcnt v2
    return v4, v5
}
; run: %f(1, 0x1.0p1, 255) == [3, 8]
; run: %f(1, 0x1.0p1, 255) == [4, 8]
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of liftcheck with another ISA, and a program."""
    root: Path = tmp_path_factory.mktemp("tree")
    package = root / "liftcheck"
    shutil.copytree(ROOT / "liftcheck", package, ignore=shutil.ignore_patterns("__pycache__", "target"))
    shutil.copytree(package / "isa" / LIKE, package / "isa" / NAME)
    for module in (package / "isa" / NAME).rglob("*.py"):
        text = module.read_text().replace(f"liftcheck.isa.{LIKE}", f"liftcheck.isa.{NAME}")
        module.write_text(text.replace(f'"{LIKE}"', f'"{NAME}"'))
    isas = package / "isa" / "__init__.py"
    row = f'    Listed("{NAME}", "{NAME}", "{LIKE}", ("toy",)),\n'
    isas.write_text(isas.read_text().replace("_ROWS: Final = (\n", f"_ROWS: Final = (\n{row}", 1))
    stubs = package / "runners" / "stubs"
    shutil.copy(stubs / f"{LIKE}.json", stubs / f"{NAME}.json")
    probes = json.loads((stubs / "probes.json").read_text())
    (stubs / "probes.json").write_text(json.dumps({**probes, NAME: probes[LIKE]}))
    (root / "a.clif").write_text(PROGRAM)
    return root


def command(tree: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of a command of the copy."""
    assert (tree / "liftcheck" / "isa" / NAME).is_dir()
    environment = {**os.environ, "PYTHONPATH": str(tree), "LIFTCHECK_TRACEBACK": "1"}
    run = [sys.executable, "-m", "liftcheck", *words]
    done = subprocess.run(run, cwd=tree, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def report_in(output: str) -> Any:
    assert "{" in output, output
    return json.loads(output[output.index("{") : output.rindex("}") + 1])


@pytest.mark.slow
def test_it_has_runners(tree: Path) -> None:
    code, output = command(tree, "doctor")
    assert code in (0, 3) and f"unicorn {NAME}" in output and "Traceback" not in output, output


def test_an_alias_of_it_is_understood(tree: Path) -> None:
    code, output = command(tree, "run", "a.clif", "--isa", "toy63")
    assert code == 2 and NAME in output and "did you mean toy64" in output, output


@pytest.mark.needs_compiler
def test_code_for_it_runs(tree: Path) -> None:
    code, output = command(tree, "run", "a.clif", "--isa", "toy", "--runner", "unicorn")
    assert code == 1 and output.count("; as expected") == 1 and f", {NAME}" in output and "on unicorn" in output, output


@pytest.mark.needs_compiler
def test_code_for_it_is_listed(tree: Path) -> None:
    code, output = command(tree, "compile", "a.clif", "--isa", NAME)
    assert code == 0 and "addw a0, a0" in output, output


@pytest.mark.needs_compiler
def test_programs_for_it_are_judged(tree: Path) -> None:
    code, output = command(tree, "fuzz", "--isa", NAME, "--cases", "32", "--seed", "1", "--jobs", "1", "--json",
                         "--runner", "unicorn")  # fmt: skip
    report = report_in(output)
    assert code in (0, 1) and report["isas"][NAME]["pairs"] >= 32, output
    assert {finding["class"] for finding in report["findings"]} <= {"compiler panic", "wrong refusal"}, output


@pytest.mark.needs_compiler("regalloc")
def test_its_allocations_are_validated(tree: Path) -> None:
    code, output = command(tree, "regalloc", "a.clif", "--isa", NAME, "--json")
    report = report_in(output)
    assert code == 0 and report["invalid"] == [] and report["isas"][NAME], output
