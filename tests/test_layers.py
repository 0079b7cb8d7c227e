"""The layers of the design hold, and the check that says so can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts import ROOT, load

from liftcheck.case import ISA_ALIASES, ISAS
from liftcheck.commands import options

imports = load("check_imports")
house = load("check_house")


def test_imports_keep_to_the_layers() -> None:
    assert imports.complaints(ROOT) == []


def test_house_rules_hold() -> None:
    assert house.complaints(ROOT) == []


@pytest.mark.parametrize(("importer", "line"), [
    ("liftcheck/clif/bad.py", "import z3"),
    ("liftcheck/clif/bad.py", "from liftcheck.compilers import base"),
    ("liftcheck/clif/bad.py", "def f():\n    import liftcheck.campaign.run"),
    ("liftcheck/bits/bad.py", "from liftcheck.clif import ir"),
    ("generators/bad.py", "from liftcheck.oracles import compare"),
    ("generators/bad.py", "from liftcheck import oracles"),
    ("oracles/bad.py", "import liftcheck.generators.choices"),
    ("oracles/link_bad.py", "import unicorn"),
    ("liftcheck/compilers/bad.py", "from unicorn import Uc"),
    ("liftcheck/clif/bad.py", "from . import ir"),
    ("liftcheck/newpackage/bad.py", "import os"),
])
def test_a_broken_layer_is_reported(tmp_path: Path, importer: str, line: str) -> None:
    path = tmp_path / importer
    path.parent.mkdir(parents=True)
    path.write_text(f'"""A module."""\n{line}\n')
    found = imports.complaints(tmp_path)
    assert len(found) == 1 and found[0].startswith(importer)


@pytest.mark.parametrize(("importer", "line"), [
    ("oracles/unicorn_bad.py", "import unicorn"),
    ("liftcheck/bits/smt.py", "import z3"),
    ("liftcheck/clif/good.py", "from liftcheck.bits import prim\nfrom liftcheck.case import Outcome"),
    ("oracles/good.py", "from liftcheck.compilers import base\nfrom liftcheck import layout"),
])
def test_a_kept_layer_is_not_reported(tmp_path: Path, importer: str, line: str) -> None:
    path = tmp_path / importer
    path.parent.mkdir(parents=True)
    path.write_text(f'"""A module."""\n{line}\n')
    assert imports.complaints(tmp_path) == []


@pytest.mark.parametrize("text", [
    "import os\n",
    '"""M."""\nfrom random import choice\n',
    '"""M."""\nimport random\nx = random.choice([1])\n',
    '"""M."""\ntry:\n    pass\nexcept:\n    pass\n',
    '"""M."""\nN = 0\ndef f():\n    global N\n    N = 1\n',
    '"""M."""\nclass Public:\n    pass\n',
    '"""M."""\ndef f():\n' + "    x = 1\n" * (house.FUNCTION_LINES + 1),
    '"""M."""\n' + "x = 1\n" * (house.MODULE_LINES + 1),
])
def test_a_broken_house_rule_is_reported(text: str) -> None:
    assert len(list(house.check("liftcheck/bad.py", text))) == 1


def test_the_command_line_knows_the_same_isas_as_the_data_model() -> None:
    assert options.ISAS == ISAS
    assert options.ISA_ALIASES == ISA_ALIASES
