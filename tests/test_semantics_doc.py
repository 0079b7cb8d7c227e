"""docs/clif-semantics.md is what the table says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from liftcheck.clif.semantics import RULES

SCRIPT = Path(__file__).resolve().parent.parent / "ci" / "gen_semantics_doc.py"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_semantics_doc", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    module = generator()
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run python ci/gen_semantics_doc.py"


def test_every_opcode_is_on_the_page() -> None:
    page = generator().page()
    assert [op for op in RULES if f"| `{op}` |" not in page] == []
