"""A known fault names its page where the reader has it: in the tree, or on the web if liftcheck was installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftcheck.oracles.filetests.known import page_in
from liftcheck.oracles.filetests.pages import folder


def test_an_installed_package_gives_a_link(tmp_path: Path) -> None:
    assert folder(tmp_path).startswith("https://")
    (tmp_path / "docs" / "findings").mkdir(parents=True)
    assert folder(tmp_path) == "docs/findings"


@pytest.mark.parametrize("made", [True, False])
def test_the_page_is_read_from_a_cause_in_both_forms(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "docs" / "findings").mkdir(parents=True)
    page = f"{folder(tmp_path)}/riscv64-fs1-not-saved.md"
    assert page_in(f"fs1 not saved by the callee ({page})") == page
    assert page_in("fs1 not saved by the callee (elsewhere/riscv64-fs1-not-saved.md)") == ""
