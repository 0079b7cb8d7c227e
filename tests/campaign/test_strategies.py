"""Strategies for Hypothesis: well-formed, defined, and what they find shrinks; and the example of the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from support.examples import many
from support.scripts import ROOT

from liftcheck import strategies
from liftcheck.case import Case
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import Type
from liftcheck.clif.verify import verify
from liftcheck.oracles.reference import interpret

QUICK = settings(max_examples=many(40), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def size(module: Module) -> int:
    return sum(len(block.insts) for function in module.functions for block in function.blocks)


@QUICK
@given(strategies.functions())
def test_functions_are_well_formed(function: Function) -> None:
    assert verify(Module([function])) == []


@QUICK
@given(strategies.modules(profile="calls"))
def test_modules_are_well_formed_and_print_as_clif(module: Module) -> None:
    assert verify(module) == []
    assert parse_module(repr(module)).functions[-1].name == module.functions[-1].name


@QUICK
@given(strategies.cases(calls=True))
def test_cases_end_and_are_defined_on_both_byte_orders(case: Case) -> None:
    for big_endian in (False, True):
        found = interpret(case, big_endian)
        assert found.trouble == "" and all(outcome.kind in ("returned", "trapped") for outcome in found.outcomes)


@QUICK
@given(st.data(), strategies.types())
def test_values_are_of_their_type(data: st.DataObject, ty: Type) -> None:
    assert 0 <= data.draw(strategies.values(ty)) < 1 << ty.bits


def test_types_are_those_asked_for_and_the_simplest_first() -> None:
    assert {ty.name for ty in found(strategies.types(floats=False, vectors=False))} == {
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
    }


def found(strategy: st.SearchStrategy[Any]) -> set[Any]:
    seen = set()

    @settings(max_examples=200, database=None, derandomize=True)
    @given(strategy)
    def look(value: Any) -> None:
        seen.add(value)

    look()
    return seen


def test_switches_are_asked_for_as_often_whatever_they_say() -> None:
    make = strategies._maker(strategies.ISAS, strategies.by_name("calls"), None, 30, 1)
    for seed in range(20):
        counts = set()
        for answer in (0, 1, 2, 200):
            asked: list[int] = []
            strategies.thinned(make(seed), lambda asked=asked, answer=answer: asked.append(1) or answer)  # type: ignore[misc]
            counts.add(len(asked))
        assert len(counts) == 1


def test_all_switches_off_leave_next_to_nothing() -> None:
    alone = strategies._maker(strategies.ISAS, strategies._alone("default"), None, 30, 1)
    for seed in range(20):
        thin = strategies.thinned(alone(seed), lambda: 0)
        assert verify(thin.module) == [] and size(thin.module) == 1


@pytest.mark.slow
def test_a_case_shrinks_to_what_matters() -> None:
    quick = settings(max_examples=200, deadline=None, derandomize=True, database=None)
    small = find(
        strategies.cases(profile="integers"), lambda case: "= iadd" in print_module(case.module), settings=quick
    )
    assert size(small.module) <= 6, print_module(small.module)


@pytest.mark.slow
def test_the_example_of_the_page_finds_its_fault_and_shrinks_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "hypothesis.md").read_text(encoding="utf-8").partition("## An example")[2]
    code = text.partition("It prints")[0].partition("    from hypothesis")[2]
    code = "from hypothesis" + re.sub(r"^    ", "", code, flags=re.MULTILINE)
    code = code.replace("deadline=None)", "deadline=None, derandomize=True, database=None)")
    space: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/hypothesis.md", "exec"), space)
    with pytest.raises(AssertionError) as caught:
        space["test_a_translation_means_the_same"]()
    told = "\n".join(getattr(caught.value, "__notes__", []))
    program = told[told.index("function ") : told.index("; inputs")]
    program = re.sub(r"^ +(?=function|block|})", "", program, flags=re.MULTILINE)
    assert size(parse_module(program)) <= 6 and "bxor" in program


def test_without_hypothesis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "liftcheck.strategies")
    with pytest.raises(ModuleNotFoundError, match="pip install hypothesis"):
        importlib.import_module("liftcheck.strategies")
