"""The numbers of docs/measures.md: counted right on a small tree, and the page has the rows that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scripts import ROOT, load

measures = load("docs/measures")


def write(root: Path, **modules: str) -> None:
    for name, text in modules.items():
        path = root / "liftcheck" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_is_counted(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="from liftcheck.b import f\n\n\ndef g(isa: str) -> bool:\n    return isa == 'riscv64'\n",
        b="import liftcheck.c\n",
        c="import liftcheck.a\nimport liftcheck.d\n",
        d="NAME = 'aarch64'\n\n\ndef f() -> None: ...\n" + "\n" * 400,
        isa__x64="NAME = 'x86-64'\n",
    )
    assert measures.measures(tmp_path) == {
        "functions": "2",
        "lines of a function: median, ninth decile": "2, 2",
        "modules": "5",
        "lines of a module: median, ninth decile": "2, 404",
        "modules of more than 400 lines": "1",
        "circles of modules that import each other": "one of 3",
        "modules outside of `isa/` that name an ISA": "2",
        "conditions on the name of an ISA there": "1",
    }


def test_packages_that_stood_beside_are_read_and_links_are_not(tmp_path: Path) -> None:
    write(tmp_path, a="import liftcheck.oracles.b\n")
    (tmp_path / "oracles").mkdir()
    (tmp_path / "oracles" / "b.py").write_text("import liftcheck.a\n")
    assert measures.measures(tmp_path)["circles of modules that import each other"] == "one of 2"
    (tmp_path / "generators").symlink_to("liftcheck")
    assert [name for name, _ in measures.modules(tmp_path)] == ["liftcheck.a", "liftcheck.oracles.b"]


@pytest.mark.slow
def test_the_page_has_every_row_and_the_house_keeps_to_it() -> None:
    text = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    now = measures.measures(ROOT)
    assert all(f"| {name} |" in text for name in now)
    assert now["circles of modules that import each other"] == now["conditions on the name of an ISA there"] == "0"
