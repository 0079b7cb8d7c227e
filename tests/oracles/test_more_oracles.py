"""The oracles `repeat`, `text` and `optimized`: silent on what is right, and each sees what is planted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from liftcheck import layout
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.plan import is_directed
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.base import Compiler, Reply, Setting
from liftcheck.isa import ISAS
from liftcheck.oracles import optimized, repeat, texts
from liftcheck.oracles.base import Mismatch, Oracle
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.registry import ORACLES
from liftcheck.oracles.sameness import difference
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

PLAIN: Final = """function %f0(i64) -> i64 system_v {
block0(v0: i64):
    v1 = iconst.i64 5
    v2 = iadd v0, v1
    v3 = imul v2, v0
    brif v3, block1(v3), block2
block1(v4: i64):
    v5 = bxor v4, v0
    return v5
block2:
    return v0
}
"""
OTHER: Final = """function %f0(i32) -> i32 system_v {
block0(v0: i32):
    v1 = sdiv v0, v0
    return v1
}
"""
ATOMIC: Final = """function %f0(i64, i16) -> i16 system_v {
block0(v0: i64, v1: i16):
    v2 = atomic_cas.i16 little v0, v1, v1
    v3 = atomic_rmw.i16 little add v0, v2
    return v3
}
"""
NAN: Final = """function %f0(f64, f64) -> i64 system_v {
block0(v0: f64, v1: f64):
    v2 = fadd v0, v1
    v3 = bitcast.i64 v2
    return v3
}
"""
SPEED: Final = [Target(isa, (("opt_level", "speed"),)) for isa in ISAS]
X64: Final = SPEED[:1]


def case(text: str, *inputs: tuple[int, ...]) -> Case:
    memories = (bytes(layout.SLOT_SIZE),) * len(inputs) if text == ATOMIC else ()
    return Case(parse_module(text, "test"), 0, inputs or ((3,), (0,)), memories, name="planted")


class Changed(Compiler):
    """A compiler whose answers somebody changes: `change` has the function, its place in the request, and how many
    processes there were."""

    def __init__(self, given: Compiler, change: Callable[[FunctionCode, int, int], FunctionCode]) -> None:
        self.given, self.change, self.processes = given, change, 0

    @property
    def name(self) -> str:
        return self.given.name

    @property
    def version(self) -> str:
        return self.given.version

    def settings(self, isa: str) -> dict[str, Setting]:
        return self.given.settings(isa)

    def close(self) -> None:
        self.processes += 1
        self.given.close()

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        columns = self.given.compile_text(text, targets, wants)
        return [
            [self.change(r, n, self.processes) if isinstance(r, FunctionCode) else r for n, r in enumerate(column)]
            for column in columns
        ]


def told(
    compiler: Compiler, runners: RunnerPool, one: Oracle, cases: Sequence[Case], targets: Sequence[Target] = X64
) -> tuple[list[Mismatch], Tally]:
    tally = Tally()
    return Judge(compiler, runners, oracles=(one,)).judge(cases, targets, tally), tally


def padded(code: FunctionCode) -> FunctionCode:
    """With a nop at its end, which nothing reaches."""
    return dataclasses.replace(code, code=code.code + b"\x90")


def retold(text: Callable[[str], str]) -> Callable[[FunctionCode, int, int], FunctionCode]:
    """Changes the text of CLIF that a compiler shows."""

    def change(code: FunctionCode, _place: int, _processes: int) -> FunctionCode:
        if "clif" not in code.extra or "trampoline" in code.name:
            return code
        return dataclasses.replace(code, extra={**code.extra, "clif": text(str(code.extra["clif"]))})

    return change


@pytest.mark.parametrize("one", [repeat.ORACLE, texts.ORACLE, optimized.ORACLE], ids=lambda one: one.name)
def test_what_is_right_is_silent_on_every_isa(one: Oracle, compiler: Compiler, runners: RunnerPool) -> None:
    cases = [case(PLAIN), case(OTHER, (7,)), case(ATOMIC, (layout.slot_address(0), 9))]
    for level in ("none", "speed"):
        found, tally = told(compiler, runners, one, cases, [Target(isa, (("opt_level", level),)) for isa in ISAS])
        assert found == []
        assert {isa for isa, _ in tally.validated} == set(ISAS)
        assert not [verdict for _, verdict in tally.validated if "undecided: its text" in verdict], tally.validated


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda code, place, processes: padded(code) if processes else code, "other code in a new process"),
        (lambda code, place, processes: padded(code) if place else code, "other code in a new process"),
    ],
    ids=["by process", "by order"],
)
def test_code_that_depends_on_its_circumstances_is_found(
    change: Callable[[FunctionCode, int, int], FunctionCode], reason: str, compiler: Compiler, runners: RunnerPool
) -> None:
    found, tally = told(Changed(compiler, change), runners, repeat.ORACLE, [case(PLAIN), case(OTHER, (7,))])
    assert {one.verdict.klass for one in found} == {"other code"}
    assert found[0].failure is not None and found[0].failure.reason == reason
    assert tally.validated["x86-64", "repeat: other code"] == len(found)


class Leak:
    """What was compiled last is in the next function's code."""

    before = ""

    def __call__(self, code: FunctionCode, target: Target) -> FunctionCode:
        last, self.before = self.before, code.code.hex()
        return padded(code) if len(last) > 2 * len(code.code) else code


def test_state_that_leaks_into_the_next_function_is_found(compiler: Compiler, runners: RunnerPool) -> None:
    tally = Tally()
    judge = Judge(compiler, runners, Hooks(code=Leak()), oracles=(repeat.ORACLE,))
    found = judge.judge([case(OTHER, (7,)), case(PLAIN)], X64, tally)
    assert [one.failure and one.failure.reason for one in found] == ["other code when compiled again"]


def test_neighbours_leave_their_mark_on_a_single_program(compiler: Compiler, runners: RunnerPool) -> None:
    """What a reduction needs: the last program of the batch is alone, and what leaks comes from another function."""
    assert not [one for one in compiler.compile_text(repeat.NEIGHBOURS, SPEED)[0] if not isinstance(one, FunctionCode)]
    seen: list[str] = []

    def change(code: FunctionCode, _place: int, _processes: int) -> FunctionCode:
        seen.append(code.name)
        return padded(code) if code.name == "%f0" and seen[-2:-1] == ["%neighbour1"] else code

    found, _ = told(Changed(compiler, change), runners, repeat.ORACLE, [case(PLAIN)])
    assert [one.failure and one.failure.reason for one in found] == ["other code after other functions"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda text: text.replace("iconst.i64 5", "iconst.i64 6"), "from byte"),
        (lambda text: text.replace("imul", "imull"), "input: "),
    ],
    ids=["printed wrongly", "not read"],
)
def test_a_text_that_means_something_else_is_found(
    wrong: Callable[[str], str], says: str, compiler: Compiler, runners: RunnerPool
) -> None:
    asked: list[str] = []

    class Once(Changed):
        """Only the first text is wrong: what is read from it is shown as it was read."""

        def compile_text(
            self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
        ) -> list[list[Reply]]:
            asked.append(text)
            made = self.given if text == wrong(text) and "iconst.i64 6" in text else super()
            return made.compile_text(text, targets, wants)

    targets = [Target("x86-64", (("opt_level", "none"),))]
    found, _ = told(Once(compiler, retold(wrong)), runners, texts.ORACLE, [case(PLAIN)], targets)
    assert [one.verdict.klass for one in found] == ["text means other code"] and len(asked) > 1
    assert found[0].failure is not None and says in found[0].failure.message


def test_a_middle_end_that_is_wrong_is_named_and_its_program_gets_smaller(
    compiler: Compiler, runners: RunnerPool
) -> None:
    """The code is right: only what the compiler shows of its middle end is not."""
    other = Changed(compiler, retold(lambda text: text.replace("imul", "iadd")))
    judge, tally = Judge(other, runners), Tally()
    desk = Investigator(judge, runners)
    found = judge.asking([optimized.ORACLE]).judge([case(PLAIN)], SPEED, tally)
    assert {one.verdict.klass for one in found} == {"wrong optimized CLIF"} and len(found) == len(SPEED)
    (finding,) = desk.investigate(case(PLAIN), found, tally)
    smaller = reduce_finding(desk, finding, Limits(60.0))[0]
    assert smaller.reduced and len(smaller.case.module.functions[0].blocks) == 1, smaller.note
    assert "imul" in smaller.key


def test_ill_formed_clif_is_found(compiler: Compiler, runners: RunnerPool) -> None:
    other = Changed(compiler, retold(lambda text: text.replace("imul v", "imul.i32 v").replace("iadd", "iadd.i32")))
    found, _ = told(other, runners, optimized.ORACLE, [case(PLAIN)])
    assert [one.verdict.klass for one in found] == ["ill-formed optimized CLIF"]


def test_what_clif_leaves_open_is_no_fault_of_the_middle_end(compiler: Compiler, runners: RunnerPool) -> None:
    """Which NaN comes out of an addition."""
    other = Changed(compiler, retold(lambda text: text.replace("fadd v0, v1", "fneg v0")))
    nans = case(NAN, (0x7FF8000000000001, 0xFFF8000000000002))
    found, tally = told(other, runners, optimized.ORACLE, [nans], [Target("x86-64", (("opt_level", "none"),))])
    assert not [one for one in found if one.failure is not None]
    assert [verdict for _, verdict in tally.validated if verdict.startswith("optimized: undecided")], tally.validated


@pytest.mark.parametrize("one", [texts.ORACLE, optimized.ORACLE], ids=lambda one: one.name)
def test_a_compiler_that_shows_nothing_is_undecided(one: Oracle, compiler: Compiler, runners: RunnerPool) -> None:
    silent = Changed(compiler, lambda code, place, processes: dataclasses.replace(code, extra={}))
    found, tally = told(silent, runners, one, [case(PLAIN)])
    assert found == []
    assert tally.validated == {("x86-64", f"{one.name}: undecided: {texts.SILENT}"): 1}


def test_what_differs_is_named() -> None:
    one = FunctionCode("%f", b"\x01\x02\x03", traps=((1, "int_divz"),))
    assert difference([one], [dataclasses.replace(one, extra={"clif": "text"})]) == ""
    assert difference([one], [dataclasses.replace(one, code=b"\x01\x02")]) == "%f: from byte 2 on 03, then nothing"
    assert "other traps" in difference([one], [dataclasses.replace(one, traps=())])
    assert difference([one], []) == "1 functions, then 0"
    assert difference([one], None) == "nothing was answered"


@pytest.mark.needs_compiler
def test_oracles_have_their_turn_in_a_few_batches() -> None:
    planner = Planner(FuzzOptions(isas=("x86-64",)))
    turns = {number: [one.name for one in planner.plan(number).oracles] for number in range(2048)}
    for name, row in ORACLES.items():
        own = [number for number, names in turns.items() if name in names]
        assert len(own) == (2048 // row.every if row.every else 0)
        assert not any(map(is_directed, own))
    assert max(map(len, turns.values())) == 1
    asked = Planner(FuzzOptions(isas=("x86-64",), oracles=("text",)))
    assert all(asked.plan(number).oracles[0].name == "text" for number in range(64))


@pytest.mark.needs_compiler("regalloc")
def test_a_build_of_another_oracle_has_none_of_them_besides() -> None:
    planner = Planner(FuzzOptions(isas=("x86-64",), oracles=("regalloc",)))
    assert {one.name for number in range(256) for one in planner.plan(number).oracles} == {"regalloc"}
