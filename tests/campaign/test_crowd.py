"""Programs with values in all registers around one instruction: what they are, and that faults which need a value in
one register become small by them. The compilers are real ones; a callee's code is planted to lose a register."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from liftcheck import layout
from liftcheck.campaign.findings import reduction as reductions
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.likeness import probe
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.reduce.crowd import MOST, crowded
from liftcheck.campaign.reduce.edit import is_coherent
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.campaign.reduce.several import length
from liftcheck.case import Case, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler, Reply
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

TARGET = Target("x86-64")
CALLS = """
function %g(i64, i32) -> i64 system_v {
block0(v0: i64, v1: i32):
    v2 = uextend.i64 v1
    v3 = iadd v0, v2
    return v3
}

function %f(i64) -> i64 system_v {
    sig0 = (i64, i32) -> i64 system_v
    fn0 = %g sig0
block0(v0: i64):
    v1 = iconst.i32 7
    v2 = imul v0, v0
    v3 = call fn0(v2, v1)
    v4 = func_addr.i64 fn0
    v5 = call_indirect sig0, v4(v3, v1)
    v6 = bnot v5
    return v6
}
"""


def case_of(text: str, *inputs: tuple[int, ...], memories: tuple[bytes, ...] = ()) -> Case:
    module = parse_module(text, "test")
    return Case(module, len(module.functions) - 1, inputs, memories)


def ask(case: Case) -> tuple[int, ...] | None:
    return probe(case, TARGET)


def test_they_are_well_formed_and_return_what_they_are_given() -> None:
    case = case_of(CALLS, (5,))
    made = list(crowded(case, ask))
    assert len(made) == 7 * 5
    for one in made:
        assert not verify(one.module) and is_coherent(one)
        entry = one.module.functions[one.entry]
        (block,) = entry.blocks
        assert [inst.op for inst in block.insts][1:] == ["return"]
        through = len(entry.signature.params)
        seen = ask(one)
        assert seen is not None and seen[:through] == one.inputs[0]


def test_calls_come_first_with_the_operands_they_were_seen_to_have() -> None:
    first = next(crowded(case_of(CALLS, (5,)), ask))
    assert first.inputs == ((25, 7),)
    assert ask(first) == (25, 7, 32)
    assert "call fn0(v0, v1)" in print_module(first.module)


def test_an_indirect_call_of_a_known_function_becomes_direct() -> None:
    ops = [one.module.functions[one.entry].blocks[0].insts[0].op for one in crowded(case_of(CALLS, (5,)), ask)]
    assert ops[:14] == ["call"] * 14 and "call_indirect" not in ops


def test_what_is_not_reached_or_has_more_inputs_gives_none() -> None:
    assert not list(crowded(case_of(CALLS, (5,), (6,)), ask))
    unreached = "block0:\n    trap user1\nblock1:\n    v0 = iconst.i8 1\n    v1 = bnot v0\n    return\n"
    assert not list(crowded(case_of(f"function %f() system_v {{\n{unreached}}}\n", ()), ask))


def test_there_are_no_more_of_them_than_may_be_asked() -> None:
    lines = "".join(f"    v{n + 1} = bnot v{n}\n" for n in range(100))
    text = f"function %f(i64) -> i64 system_v {{\nblock0(v0: i64):\n{lines}    return v100\n}}\n"
    assert len(list(crowded(case_of(text, (5,)), ask))) == MOST


LOST = {"aarch64": "14e4006f", "x86-64": "450f57e4"}
"""movi v20.2d, #0; xorps xmm12, xmm12"""


class Losing:
    """`inner`, but %lost is wrong where `levels` say so: it loses a register that its caller counts on."""

    def __init__(self, inner: Compiler, levels: Sequence[str]) -> None:
        self.inner = inner
        self.levels = levels

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        columns = self.inner.compile_text(text, targets, wants)
        return [[self._lost(reply, target) for reply in column] for target, column in zip(targets, columns)]

    def _lost(self, reply: Reply, target: Target) -> Reply:
        level = dict(target.settings).get("opt_level", "none")
        if not isinstance(reply, FunctionCode) or reply.name != "%lost" or level not in self.levels:
            return reply
        lost = LOST.get(target.isa)
        return dataclasses.replace(reply, code=bytes.fromhex(lost) + reply.code) if lost else reply


def program(values: int) -> Case:
    """So many vectors live over a call."""
    loads = "".join(f"    v{n + 1} = load.i8x16 v0+{16 * n}\n" for n in range(values))
    stores = "".join(f"    store v{n + 1}, v0+{2048 + 16 * n}\n" for n in range(values))
    text = f"""
function %lost(i64) preserve_all {{
block0(v0: i64):
    v1 = iconst.i64 3
    store v1, v0+4000
    return
}}

function %f(i64) system_v {{
    fn0 = colocated %lost(i64) preserve_all
block0(v0: i64):
{loads}    call fn0(v0)
{stores}    return
}}
"""
    content = bytes(n % 251 + 1 for n in range(layout.SLOT_SIZE))
    return case_of(text, (layout.slot_address(0),), memories=(content,))


@pytest.mark.needs_compiler
@pytest.mark.parametrize("isa", LOST)
@pytest.mark.parametrize("levels", [("none",), ("none", "speed")], ids=["one level", "both levels"])
def test_a_register_that_a_callee_loses_needs_no_other_values(
    isa: str, levels: Sequence[str], compiler: Compiler, runners: RunnerPool
) -> None:
    found = wrong(program(24), isa, levels, compiler, runners)
    desk = Investigator(Judge(Losing(compiler, levels), runners), runners)
    (small,) = reduce_finding(desk, found, Limits(60.0))
    assert small.reduced and length(small.case) <= 4, print_module(small.case.module)
    assert small.klass in ("wrong memory", "wrong result")


@pytest.mark.needs_compiler
def test_a_program_that_its_own_vote_clears_does_not_stand_for_the_finding(
    compiler: Compiler, runners: RunnerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is offered goes wrong nowhere: the finding keeps the program that single steps leave."""
    offered: list[Case] = []

    def innocent(case: Case, _probe: object) -> list[Case]:
        offered.append(case)
        return [case_of("function %f(i64) -> i64 system_v {\nblock0(v0: i64):\n    return v0\n}\n", (1,))]

    monkeypatch.setattr(reductions, "crowded", innocent)
    monkeypatch.setattr(reductions, "SEVERAL", lambda *_: None)
    found = wrong(program(24), "aarch64", ("none",), compiler, runners)
    desk = Investigator(Judge(Losing(compiler, ("none",)), runners), runners)
    (small,) = reduce_finding(desk, found, Limits(60.0))
    assert offered and length(small.case) == length(offered[0]) > 8


def wrong(case: Case, isa: str, levels: Sequence[str], compiler: Compiler, runners: RunnerPool) -> Finding:
    """The finding of a program."""
    desk = Investigator(Judge(Losing(compiler, levels), runners), runners)
    tally = Tally()
    target = Target(isa, (("enable_multi_ret_implicit_sret", "true"), ("opt_level", "none")))
    found = desk.judge.judge([case], [target], tally)
    assert found, tally
    return desk.investigate(case, found[:1], tally)[0]
