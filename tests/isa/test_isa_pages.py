"""The pages in docs/isa are what the rows say."""

from __future__ import annotations

import pytest
from support.scripts import load

isa = load("docs/isa")


@pytest.mark.slow
def test_the_pages_are_up_to_date() -> None:
    there = sorted(isa.FOLDER.glob("*.md"))
    assert there != []
    old = [path.name for path in there if path.read_text(encoding="utf-8") != isa.page(path.stem)]
    assert old == [], "run python ci/docs/isa.py"
