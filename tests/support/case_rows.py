"""What case files expect (`; $ run => 0: …` in their comments, `ci/experiments/cases.py`), and a run of one
expectation.

Runner, compiler and machine are whatever the command finds: the markers are the caller's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from liftcheck import cli
from support.scripts import load

cases = load("experiments/cases")


NEEDS_QEMU = b"; needs qemu-user\n"


def rows(folder: Path) -> list[Any]:
    """A parameter (path, expectation) for each expectation of a folder's files, marked as a file asks."""
    return [
        pytest.param(
            path,
            one,
            id=f"{path.stem}: {' '.join(one.words)}",
            marks=[pytest.mark.needs_qemu] if NEEDS_QEMU in path.read_bytes() else [],
        )
        for path in cases.files([str(folder)])
        for one in cases.expectations(path)
    ]


def run(path: Path, expected: Any, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[str, str]:
    """What is wrong about the outcome of the command ('' for nothing), and all that it printed."""
    words = [*expected.command(str(path)), *more]
    code = cli.main([*words, "--jobs", "1"] if words[0] in ("test", "regalloc") else words)
    captured = capsys.readouterr()
    output = captured.out + captured.err
    return expected.wrong(code, output), output
