"""An oracle of one file and one row: asked in every batch, its findings are made, made smaller, told and replayed."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.findings.replay import replay
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.base import Compiler
from liftcheck.errors import UsageError
from liftcheck.oracles import classes, registry
from liftcheck.oracles.base import Compiled, FindingClass, Mismatch, Oracle, refuted
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

TEXT = """function %f(i64) -> i64 system_v {
block0(v0: i64):
    v1 = iadd_imm v0, 5
    v2 = bxor v1, v0
    v3 = imul v2, v1
    return v3
}
"""
TARGET = Target("x86-64", (("opt_level", "speed"),))
UNSTABLE = FindingClass(
    "unstable code",
    "compiles this program for `{target}` to other code the second time: {message}.{shown}",
    needs_witness=False,
    no_filetest="a filetest compiles once",
)
MULTIPLIED = FindingClass("a product", "multiplies: {message}.", needs_witness=False)


class Twice(Oracle):
    """A batch compiled again gives the same code."""

    name = "twice"
    classes = (UNSTABLE,)

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        again = compiled.again(compiled.texts)
        for column, number, code in compiled.programs():
            other = again[column][number]
            same = not isinstance(other, CompileFailure | None) and [f.code for f in code] == [f.code for f in other]
            compiled.tally.validated[compiled.targets[column].isa, "the same" if same else "other"] += 1
            if not same:
                yield refuted(
                    compiled, column, number, UNSTABLE, CompileFailure("refuted", "other bytes", code[0].name)
                )


class Products(Oracle):
    """Reads what the compiler tells besides the code."""

    name = "products"
    classes = (MULTIPLIED,)
    wants = frozenset({"clif"})

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        for column, number, code in compiled.programs():
            if "imul" in str(code[0].extra["clif"]):
                yield refuted(compiled, column, number, MULTIPLIED, CompileFailure("refuted", "a product", "imul"))


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a row in the table does, for the two oracles above."""
    for oracle in (Twice(), Products()):
        module = ModuleType(f"oracle_{oracle.name}")
        module.ORACLE = oracle  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(registry.ORACLES, oracle.name, registry.Row(module.__name__, "what it proves"))
        for row in oracle.classes:
            monkeypatch.setitem(classes.CLASSES, row.name, row)
            monkeypatch.setitem(classes._OWN, row.name, oracle.name)


class Fickle:
    """A planted fault: every second time a nop stands after the code."""

    times = 0

    def __call__(self, code: FunctionCode, target: Target) -> FunctionCode:
        self.times += code.name == "%f"
        return code if self.times % 2 or code.name != "%f" else dataclasses.replace(code, code=code.code + b"\x90")


def case() -> Case:
    return Case(parse_module(TEXT, "test"), 0, ((3,),))


def test_equal_code_is_silent(compiler: Compiler, runners: RunnerPool) -> None:
    tally = Tally()
    assert Judge(compiler, runners, oracles=(Twice(),)).judge([case()], [TARGET], tally) == []
    assert (
        tally.validated == {("x86-64", "the same"): 1} and tally.agreed["x86-64"] == 1 and tally.seconds["validate"] > 0
    )


def test_a_planted_fault_is_a_finding_that_gets_smaller(compiler: Compiler, runners: RunnerPool) -> None:
    judge, tally = Judge(compiler, runners, Hooks(code=Fickle()), oracles=(Twice(),)), Tally()
    desk = Investigator(judge, runners)
    (finding,) = desk.investigate(case(), judge.judge([case()], [TARGET], tally), tally)
    assert finding.klass == "unstable code" and tally.disagreed["x86-64", "unstable code"] == 1
    smaller = reduce_finding(desk, finding, Limits(60.0))[0]
    assert smaller.reduced and len(smaller.case.module.functions[0].blocks[0].insts) < 3, smaller.note
    page = store.files(smaller, "x")[store.PAGE]
    assert "other code the second time: %f." in page and "a filetest compiles once" in page


def test_what_it_wants_it_gets_and_a_replay_asks_it_again(
    compiler: Compiler, runners: RunnerPool, tmp_path: Path
) -> None:
    judge, tally = Judge(compiler, runners, oracles=(Products(),)), Tally()
    desk = Investigator(judge, runners)
    (finding,) = desk.investigate(case(), judge.judge([case()], [TARGET], tally), tally)
    folder = tmp_path / "one"
    store.write_folder(folder, store.files(finding, "one"))
    again = replay(folder)
    assert again.still and again.klass == "a product"


@pytest.mark.needs_compiler("regalloc")
def test_an_oracle_of_a_build_goes_with_no_other_that_needs_one() -> None:
    assert Planner(FuzzOptions(oracles=("twice", "products"))).oracles[1].name == "products"
    with pytest.raises(UsageError, match="regalloc and products: they need different builds"):
        Planner(FuzzOptions(oracles=("regalloc", "products"))).open_compiler()
