"""docs/clif-semantics.md is what the table says."""

from __future__ import annotations

from scripts import load

from liftcheck.clif.semantics import RULES

semantics = load("gen_semantics_doc")


def test_the_page_is_up_to_date() -> None:
    assert semantics.PAGE.read_text(encoding="utf-8") == semantics.page(), "run python ci/gen_semantics_doc.py"


def test_every_opcode_is_on_the_page() -> None:
    page = semantics.page()
    assert [op for op in RULES if f"| `{op}` |" not in page] == []
