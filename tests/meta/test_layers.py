"""The layers of the design hold, and the check that says so can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scripts import ROOT, load

imports = load("checks/imports")
house = load("checks/house")


@pytest.mark.slow
def test_imports_keep_to_the_layers() -> None:
    assert imports.complaints(ROOT) == []


@pytest.mark.slow
def test_house_rules_hold() -> None:
    assert house.complaints(ROOT) == []


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("liftcheck/clif/bad.py", "import z3"),
        ("liftcheck/clif/bad.py", "from liftcheck.compilers import base"),
        ("liftcheck/clif/bad.py", "def f():\n    import liftcheck.campaign.run"),
        ("liftcheck/bits/bad.py", "from liftcheck.clif import ir"),
        ("liftcheck/clif/bad.py", "from liftcheck.clif.text.lexer import Lexer"),
        ("liftcheck/clif/bad.py", "from liftcheck.case import Outcome"),
        ("liftcheck/generators/bad.py", "from liftcheck.oracles import compare"),
        ("liftcheck/generators/bad.py", "from liftcheck import oracles"),
        ("liftcheck/oracles/bad.py", "import liftcheck.generators.choices"),
        ("liftcheck/oracles/regalloc/bad.py", "from liftcheck import generators"),
        ("liftcheck/runners/bad.py", "from liftcheck.generators import choices"),
        ("liftcheck/oracles/bad.py", "from liftcheck.oracles.filetests import engine"),
        ("liftcheck/campaign/reduce/bad.py", "from liftcheck.campaign.findings import store"),
        ("liftcheck/campaign/plan.py", "from liftcheck.campaign import run"),
        ("liftcheck/__init__.py", "from liftcheck import errors"),
        ("liftcheck/runners/link_bad.py", "import unicorn"),
        ("liftcheck/compilers/bad.py", "from unicorn import Uc"),
        ("liftcheck/clif/bad.py", "from . import ir"),
        ("liftcheck/newpackage/bad.py", "import os"),
    ],
)
def test_a_broken_layer_is_reported(tmp_path: Path, importer: str, line: str) -> None:
    path = tmp_path / importer
    path.parent.mkdir(parents=True)
    path.write_text(f'"""A module."""\n{line}\n')
    found = imports.complaints(tmp_path)
    assert len(found) == 1 and found[0].startswith(importer)


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("liftcheck/runners/unicorn_good.py", "import unicorn"),
        ("liftcheck/bits/smt.py", "import z3"),
        ("liftcheck/interp/good.py", "from liftcheck.bits import prim\nfrom liftcheck.case import Outcome"),
        ("liftcheck/oracles/good.py", "from liftcheck.compilers import base\nfrom liftcheck import layout"),
        ("liftcheck/campaign/run.py", "from liftcheck.campaign.execute import local"),
    ],
)
def test_a_kept_layer_is_not_reported(tmp_path: Path, importer: str, line: str) -> None:
    path = tmp_path / importer
    path.parent.mkdir(parents=True)
    path.write_text(f'"""A module."""\n{line}\n')
    assert imports.complaints(tmp_path) == []


@pytest.mark.parametrize(
    ("texts", "chain"),
    [
        ({"a": "from liftcheck.bits import b", "b": "from liftcheck.bits.a import X"}, 2),
        (
            {
                "a": "import liftcheck.bits.b",
                "b": "from liftcheck.bits import c",
                "c": "def f():\n    import liftcheck.bits.a",
            },
            3,
        ),
        (
            {
                "a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from liftcheck.bits.b import X",
                "b": "from liftcheck.bits.a import Y",
            },
            2,
        ),
        ({"__init__": "from liftcheck.bits.a import X", "a": "import os"}, 2),
    ],
)
def test_a_circle_of_files_is_reported(tmp_path: Path, texts: dict[str, str], chain: int) -> None:
    folder = tmp_path / "liftcheck" / "bits"
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(f'"""A module."""\n{text}\n')
    found = imports.complaints(tmp_path)
    assert len(found) == 1 and found[0].startswith("imports in a circle: liftcheck.bits")
    assert found[0].count(" -> ") == chain


def test_what_two_modules_both_import_is_no_circle(tmp_path: Path) -> None:
    folder = tmp_path / "liftcheck" / "bits"
    folder.mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "a": "import os",
        "b": "from liftcheck.bits import a",
        "c": "from liftcheck.bits import a, b",
    }.items():
        (folder / f"{name}.py").write_text(f'"""A module."""\n{text}\n')
    assert imports.complaints(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        "import os\n",
        '"""M."""\nfrom random import choice\n',
        '"""M."""\nimport random\nx = random.choice([1])\n',
        '"""M."""\ntry:\n    pass\nexcept:\n    pass\n',
        '"""M."""\nN = 0\ndef f():\n    global N\n    N = 1\n',
        '"""M."""\nclass Public:\n    pass\n',
        '"""M."""\ndef f():\n' + "    x = 1\n" * (house.FUNCTION_LINES + 1),
        '"""M."""\n' + "x = 1\n" * (house.MODULE_LINES + 1),
    ],
)
def test_a_broken_house_rule_is_reported(text: str) -> None:
    assert len(list(house.check("liftcheck/bad.py", text))) == 1


@pytest.mark.parametrize(
    ("place", "stands"),
    [
        ("tests/bits/test_a.py", True),
        ("tests/meta/test_a.py", True),
        ("tests/support/a.py", True),
        ("tests/test_a.py", False),
        ("tests/rooms/test_a.py", False),
        ("tests/bits/rooms/test_a.py", False),
    ],
)
def test_tests_stand_in_the_rooms_of_the_source(tmp_path: Path, place: str, stands: bool) -> None:
    (tmp_path / "liftcheck/bits").mkdir(parents=True)
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("")
    assert [line.partition(":")[0] for line in house.complaints(tmp_path)] == ([] if stands else [place])
