"""The page of evidence comes from its command: what is kept of the measurements makes it, letter by letter."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import scripts

evidence = scripts.load("docs/validation_evidence")
DOCS = scripts.ROOT / "docs"


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    loaded = json.loads((DOCS / "validation-evidence.json").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_the_page_is_made_of_what_was_measured(kept: dict[str, Any]) -> None:
    assert (DOCS / "validation-evidence.md").read_text(encoding="utf-8") == evidence.page(kept)
    assert set(kept) == set(evidence.COMMANDS), "a part was never measured"


def test_every_block_of_the_text_is_filled(kept: dict[str, Any]) -> None:
    assert not re.search(r"\{\{|not measured", evidence.page(kept))
    assert "not measured" in evidence.page({})


def test_each_part_shows_the_command_that_measured_it(kept: dict[str, Any]) -> None:
    sizes = {part: {words.replace("-m liftcheck", "liftcheck") for words in evidence.COMMANDS[part]} for part in kept}
    for part, measured in kept.items():
        assert measured["command"].removeprefix("python ") in sizes[part], part
        assert measured["command"] in evidence.page(kept)


def test_no_false_alarm_was_measured(kept: dict[str, Any]) -> None:
    assert kept["faults"]["result"]["false alarms"] == []
    for isa, row in kept["mutations"]["result"].items():
        assert row["false alarms"] == 0, isa


def test_what_is_unsound_is_told_on_the_page(kept: dict[str, Any]) -> None:
    """A number alone would hide which."""
    changed = json.loads(json.dumps(kept))
    changed["mutations"]["result"]["s390x"]["found"] = ["UNSOUND: a kind: these words"]
    page = evidence.page(changed)
    assert "- s390x: UNSOUND: a kind: these words" in page
    for isa, row in kept["mutations"]["result"].items():
        unsound = sum(kind["UNSOUND"] for kind in row["kinds"].values())
        assert (unsound > 0) == any("UNSOUND" in one for one in row["found"]), isa


@pytest.mark.needs_compiler("regalloc")
def test_a_part_is_measured_anew(tmp_path: Path) -> None:
    """The quick form of one part, into a folder of its own: the others are not measured there."""
    script = str(scripts.ROOT / "ci" / "docs" / "validation_evidence.py")
    command = [sys.executable, script, "--size", "quick", "--folder", str(tmp_path), "--part", "historical"]
    subprocess.run(command, check=True, timeout=300)
    data = json.loads((tmp_path / "validation-evidence.json").read_text(encoding="utf-8"))
    assert set(data) == {"historical"} and data["historical"]["result"]["wrong"] == 0
    page = (tmp_path / "validation-evidence.md").read_text(encoding="utf-8")
    assert page == evidence.page(data) and "riscv64-fs1" in page and "not measured" in page
