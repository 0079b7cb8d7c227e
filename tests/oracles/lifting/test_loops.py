"""Loops: what is the same is proven on each ISA, nothing of a program with a fault is, and no guess is believed."""

from __future__ import annotations

import pytest
from support.scripts import ROOT

from liftcheck.bits.term import Term, var
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.cfg import Cfg
from liftcheck.clif.ir import Function
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.lifting import loops
from liftcheck.oracles.lifting.loops import NOT_PROVEN, prove
from liftcheck.oracles.lifting.relations import Carried, Guess, Relation

TEXT = (ROOT / "corpus" / "loops" / "loops.clif").read_text()
LEVELS = ("none", "speed")
PROVEN = ("equal", "proven")


def module(text: str) -> list[Function]:
    return parse_filetest(text, "loops.clif").module().functions


def target(isa: str, level: str) -> Target:
    vectors = (("has_v", "true"),) if isa == "riscv64" else ()
    return Target(isa, (*vectors, ("opt_level", level)))


def compiled(compiler: Cranelift, text: str, where: Target) -> dict[str, FunctionCode]:
    made = parse_filetest(text, "loops.clif").module()
    replies = compiler.compile_text(print_module(made), [where], frozenset({"frame"}))[0]
    assert all(isinstance(reply, FunctionCode) for reply in replies)
    return {f.name: code for f, code in zip(made.functions, replies) if isinstance(code, FunctionCode)}


def test_heads() -> None:
    found = {function.name: Cfg(function).heads for function in module(TEXT)}
    assert found == {"%sum": {1}, "%nested": {1, 3}, "%words": {1}, "%other": set(), "%calls": {1}, "%trapping": {1},
                     "%lanes": {1}}  # fmt: skip


@pytest.mark.parametrize("isa", ISAS)
def test_what_is_the_same_is_proven(isa: str, compiler: Cranelift) -> None:
    for level in LEVELS:
        where = target(isa, level)
        code = compiled(compiler, TEXT, where)
        found = {function.name: prove(where, function, code[function.name]) for function in module(TEXT)}
        assert {name: verdict for name, verdict in found.items() if verdict.kind not in PROVEN} == {}


FAULTS = [
    ("%sum", "icmp ult v3, v0", "icmp ule v3, v0", "a turn too many"),
    ("%sum", "iadd_imm v3, 1", "iadd_imm v3, 2", "another step"),
    ("%sum", "jump block1(v2, v2)", "jump block1(v2, v0)", "another value at the start"),
    ("%sum", "bxor v6, v3", "bxor v6, v0", "a value of before the loop"),
    ("%sum", "return v4", "return v3", "another result"),
    ("%nested", "jump block3(v2, v4)", "jump block3(v3, v4)", "the inner loop begins elsewhere"),
    ("%nested", "imul v3, v1", "imul v3, v0", "another product of the outer loop"),
    ("%nested", "iadd v7, v9", "iadd v7, v3", "another value of the outer loop"),
    ("%nested", "jump block1(v13, v7)", "jump block1(v13, v4)", "the inner loop's result is lost"),
    ("%words", "store v6, v3+4", "store v6, v3+8", "another place in memory"),
    ("%words", "v5 = load.i32 v3", "v5 = load.i32 v0", "a load that stays where it was"),
    ("%words", "    store v6, v3+4\n", "", "a store that is left out"),
    ("%words", "bor v6, v2", "bor v4, v2", "a result of the turn before"),
    ("%calls", "call fn0(v4)", "call fn0(v3)", "another argument"),
    ("%calls", "isub v7, v2", "isub v7, v4", "the result of the last call for the one before the loop"),
    ("%calls", "isub v7, v2", "isub v7, v5", "the result of a call in the loop for the one before it"),
    ("%calls", "    stack_store v7, ss0\n", "", "a slot that stays as it was"),
    ("%trapping", "trapz v3, user7", "trapz v2, user7", "another trap"),
    ("%trapping", "block2(v5)", "block2(v3)", "another value at the end"),
    ("%lanes", "iadd v3, v1", "iadd v3, v0", "a vector of before the loop"),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("name", "old", "new", "fault"), FAULTS, ids=[row[3] for row in FAULTS])
def test_nothing_wrong_is_proven(isa: str, name: str, old: str, new: str, fault: str, compiler: Cranelift) -> None:
    """The code is that of a program with a fault."""
    at = TEXT.index(f"function {name}(")
    wrong = TEXT[:at] + TEXT[at:].replace(old, new, 1)
    assert wrong != TEXT
    (right,) = (function for function in module(TEXT) if function.name == name)
    where = target(isa, "speed")
    found = prove(where, right, compiled(compiler, wrong, where)[name])
    assert found.kind not in PROVEN, fault


@pytest.mark.parametrize("isa", ISAS)
def test_wrong_guesses_are_dropped(isa: str, compiler: Cranelift, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place is said to hold the first parameter; nothing is, and nothing is proven but what needs no guess."""

    def all_wrong(self: Relation, pairs: object) -> None:
        self.places.update({place: [Guess(self.live[0], 0, 64)] for place in range(16)})

    where = target(isa, "speed")
    code = compiled(compiler, TEXT, where)["%sum"]
    (function,) = (one for one in module(TEXT) if one.name == "%sum")
    monkeypatch.setattr(Relation, "guess", all_wrong)
    assert prove(where, function, code) == loops.Verdict("undecided", NOT_PROVEN)


def test_a_call_of_before_the_loop_has_a_name_of_its_own() -> None:
    argument, called = var("arg0", 64), var("call0.0", 64)
    carried = Carried(frozenset({argument}))
    before = carried.first(called)
    assert carried.first(argument) is argument and before is not called and carried.first(called) is before
    kept: list[Term | None] = [carried.later(one) for one in (argument, before, called)]
    assert kept == [argument, before, None]
