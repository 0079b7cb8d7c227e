"""docs/clif-semantics.md is what the table says."""

from __future__ import annotations

from support.scripts import load

from liftcheck.clif.semantics.meaning import RULES

semantics = load("docs/semantics")


def test_the_page_is_up_to_date() -> None:
    assert semantics.PAGE.read_text(encoding="utf-8") == semantics.page(), "run python ci/docs/semantics.py"


def test_every_opcode_is_on_the_page() -> None:
    page = semantics.page()
    assert [op for op in RULES if f"| `{op}` |" not in page] == []
