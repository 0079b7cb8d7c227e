"""The table of classes of findings: whole, told in the docs, and the only place that knows what is done for one."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from pathlib import Path

import pytest

from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.page import page
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.errors import InputError, InternalError, UsageError
from liftcheck.oracles import base, compare
from liftcheck.oracles.classes import CLASSES, class_of, oracles_for, table
from liftcheck.oracles.registry import ORACLES, explained, oracle

ROOT = Path(__file__).resolve().parents[2]
NAMES = {value for name, value in vars(compare).items() if name.isupper() and isinstance(value, str)} - {
    compare.AGREE,
    compare.DISAGREE,
    compare.UNDECIDED,
}
KNOWS = {"oracles/compare.py", "oracles/base.py", "oracles/confirm.py"}
"""Who gives classes, and who has their rows."""


def finding(klass: str, failure: CompileFailure | None = None) -> Finding:
    case = Case(parse_module("function %f() system_v {\nblock0:\n    return\n}\n", "test"), 0, ((),))
    return Finding(klass, case, Target("x86-64"), failure=failure)


def test_every_class_has_one_row() -> None:
    assert {row.name for row in (*base.CLASSES, base.ILLEGAL)} == NAMES
    assert len(base.CLASSES) + sum(len(oracle(name).classes) for name in ORACLES) == len(CLASSES)
    assert all(oracle(name).name == name and oracle(name).classes for name in ORACLES)
    with pytest.raises(InternalError, match="wrong colour"):
        class_of("wrong colour")


def test_two_oracles_do_not_share_a_name() -> None:
    row = CLASSES["other code"]
    with pytest.raises(InternalError, match="'other code' of the oracle 'twice' has the name of another"):
        table({"runs": base.CLASSES, "the oracle 'repeat'": (row,), "the oracle 'twice'": (row,)})


def test_the_docs_have_them_all() -> None:
    text = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("| `class` | `wrong")]
    assert set(re.findall(r"`([^`]+)`", line)) - {"class"} == set(CLASSES)


CONSTANTS = {name for name, value in vars(compare).items() if isinstance(value, str) and value in NAMES}
WORDS = NAMES - {compare.CRASH, compare.ENDLESS}
"""Those that are not word of another table."""


def asks(source: str) -> list[int]:
    """The lines that have the name of a class."""
    found = []
    for node in ast.walk(ast.parse(source)) if any(word in source for word in (*CONSTANTS, *WORDS)) else ():
        named = isinstance(node, ast.Attribute) and node.attr in CONSTANTS and ast.unparse(node.value) == "compare"
        imported = isinstance(node, ast.ImportFrom) and not CONSTANTS.isdisjoint(alias.name for alias in node.names)
        if named or imported or (isinstance(node, ast.Constant) and node.value in WORDS):
            found.append(getattr(node, "lineno", 0))
    return found


def test_nobody_else_asks_for_a_class_by_its_name() -> None:
    paths = {path.relative_to(ROOT / "liftcheck").as_posix(): path for path in (ROOT / "liftcheck").rglob("*.py")}
    strays = {name: asks(path.read_text(encoding="utf-8")) for name, path in paths.items() if name not in KNOWS}
    assert {name: lines for name, lines in strays.items() if lines} == {}


def test_asking_by_name_is_noticed() -> None:
    assert asks("a = 1\nb = klass == compare.WRONG_TRAP") == [2]
    assert asks("if klass == 'wrong trap':\n    pass") == [1]
    assert asks("from liftcheck.oracles.compare import CRASH") == [1]
    assert asks("from liftcheck.oracles.compare import AGREE") == []


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_page_can_be_made_of_each(name: str) -> None:
    row = CLASSES[name]
    failure = (
        CompileFailure(row.failure or "refuted", "a reason", "said this\nand {that}")
        if "{first_line}" in row.says
        else None
    )
    text = page(finding(name, failure), "x")
    assert "{target}" not in text and "{first_line}" not in text and text.startswith(f"# {name} on x86-64")
    assert failure is None or ("said this" in text and "and {that}" in text)


def test_kin_take_each_others_place_and_nobody_else() -> None:
    kin = {
        frozenset((a.name, b.name)) for a in CLASSES.values() for b in CLASSES.values() if a.is_kin(b) and a is not b
    }
    value = (compare.WRONG_RESULT, compare.WRONG_MEMORY, compare.WRONG_MEANING)
    assert kin == {
        *(frozenset((a, b)) for a in value for b in value if a != b),
        frozenset((compare.CRASH, compare.ENDLESS)),
    }
    assert {row.fold_name for row in CLASSES.values() if row.kin} - set(CLASSES) == {"wrong value"}


def test_what_takes_long_comes_last() -> None:
    long = {row.name for row in CLASSES.values() if row.is_long}
    assert long == {compare.ENDLESS, compare.COMPILER_TIMEOUT, compare.COMPILER_MEMORY}
    assert long < {row.name for row in CLASSES.values() if row.dies}


def test_failures_lead_to_classes() -> None:
    kinds = set(base.CLASS_OF_FAILURE)
    assert kinds == {"panic", "timeout", "memory", "abort", "verifier", "refusal", "illegal"}
    assert all(CompileFailure(kind, "").is_finding for kind in kinds)


def test_a_class_knows_its_oracle() -> None:
    assert oracles_for("refuted allocation") == ("regalloc",)
    assert oracles_for(compare.WRONG_RESULT) == ()
    assert all(f"{name}: " in explained() for name in ORACLES)
    with pytest.raises(UsageError, match="did you mean regalloc"):
        oracle("regaloc")


def test_a_finding_of_an_unknown_class_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    store.write_folder(folder, store.files(finding(compare.WRONG_TRAP), "one"))
    assert store.load(folder).klass == compare.WRONG_TRAP
    recipe = json.loads((folder / store.RECIPE).read_text())
    (folder / store.RECIPE).write_text(json.dumps({**recipe, "class": "wrong colour"}))
    with pytest.raises(InputError, match="no class of findings called 'wrong colour'"):
        store.load(folder)
    failure = {"kind": "sulks", "reason": "", "message": "", "place": ""}
    (folder / store.RECIPE).write_text(json.dumps({**recipe, "failure": failure}))
    with pytest.raises(InputError, match="no failure of kind 'sulks'"):
        store.load(folder)


def test_rows_are_plain_data() -> None:
    row = CLASSES[compare.CRASH]
    assert dataclasses.replace(row) == row and not hasattr(row, "__dict__")
