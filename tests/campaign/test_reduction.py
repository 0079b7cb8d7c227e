"""A finding's reduction as a whole: faults in dead code, what CLIF leaves open, limits that hold for all of it, and why
it got nowhere. The compilers are planted: they fail on text."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from liftcheck.campaign.findings import reduction as reductions
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import AllRunners, Investigator
from liftcheck.campaign.findings.likeness import probe
from liftcheck.campaign.findings.reduction import QUESTIONS_A_SECOND, Steps, counted, reduce_finding, reduction
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.engine import Limits, Meter, Reduced, finished, size
from liftcheck.campaign.reduce.untaint import untainted
from liftcheck.campaign.reduce.visible import exposed
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler, Reply
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.oracles import compare
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.confirm import Confirmed
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners import patience
from liftcheck.runners.base import Runner
from liftcheck.runners.pool import RunnerPool

TARGET = Target("riscv64", (("opt_level", "speed"),))
PANIC = CompileFailure("panic", "no rule matched", "no rule matched", "opts.isle:17")


class Planted:
    """A compiler that panics at opt_level=speed on functions whose text `fails`; takes `pause` seconds for each."""

    name = "planted@0.0.0"
    version = "0.0.0"

    def __init__(self, fails: Callable[[str], object], pause: float = 0.0) -> None:
        self.fails = fails
        self.pause = pause
        self.asked = 0

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[FunctionCode | CompileFailure]]:
        self.asked += 1
        time.sleep(self.pause)
        texts = re.split(r"(?m)^(?=function )", text)[1:]
        return [
            [
                PANIC
                if ("opt_level", "speed") in target.settings and self.fails(one)
                else FunctionCode(one.split("(")[0].split()[1], b"\0\0\0\0")
                for one in texts
            ]
            for target in targets
        ]


class NoRunners:
    def pick(self, target: Target, program: Sequence[FunctionCode]) -> Runner | str:
        return "no runner"

    def every(self, target: Target, program: Sequence[FunctionCode]) -> list[Callable[[], Runner]]:
        return []


class Anything:
    def __contains__(self, key: object) -> bool:
        return True


def desk(compiler: Planted) -> Investigator:
    runners = NoRunners()
    return Investigator(Judge(compiler, runners), runners)


def panicking(case: Case) -> Finding:
    return Finding(compare.COMPILER_PANIC, case, TARGET, (TARGET,), failure=PANIC, key="key", compiler="planted@0.0.0")


def with_dead(case: Case, lines: str) -> Case:
    """The case with instructions that nothing reads at the beginning of its entry; values from v900 on."""
    text = print_module(case.module)
    start = text.index(f"function {case.module.functions[case.entry].name}(")
    head = re.compile(r"^block\d+.*:$", re.MULTILINE).search(text, start)
    assert head is not None
    at = head.end()
    made = Case(parse_module(f"{text[:at]}\n{lines}{text[at:]}", "test"), case.entry, case.inputs, case.memories)
    assert not verify(made.module)
    return made


def generated(seed: int) -> Case:
    return generate.generate(RandomChoices(seed), "default", Context(("riscv64",), {"riscv64": Anything()}, inputs=2))


TWINS = "    v900 = f16const 0x1.0p0\n    v901 = splat.f16x8 v900\n    v902 = bxor v901, v901\n"
APART = (
    "    v900 = iconst.i64 3\n    v901 = ineg v900\n    v902 = iconst.i32 5\n    v903 = clz v902\n"
    "    v904 = bnot v901\n    v905 = popcnt v903\n"
)


def equal_operands(text: str) -> bool:
    return "f16" in text and re.search(r"bxor(?:\.f16x8)? (v\d+), \1", text) is not None


def two_at_once(text: str) -> bool:
    return "clz" in text and "ineg" in text


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("dead", "fails", "lines"), [(TWINS, equal_operands, 7), (APART, two_at_once, 8)])
def test_a_fault_in_dead_code_comes_down_to_a_few_lines(
    seed: int, dead: str, fails: Callable[[str], bool], lines: int
) -> None:
    case = with_dead(generated(seed), dead)
    (found,) = reduce_finding(desk(Planted(fails)), panicking(case), Limits(60.0))
    assert found.reduced and not found.note
    assert size(found.case) <= lines, print_module(found.case.module)
    assert size(case) > 30


def test_a_fault_in_whatever_is_compiled_comes_down_to_an_empty_function() -> None:
    (found,) = reduce_finding(desk(Planted(lambda text: "return" in text)), panicking(generated(1)), Limits(60.0))
    assert size(found.case) == 4


class Sceptical(Investigator):
    """Its vote clears programs of fewer lines, as one in a fresh runner does whose fault needs what others left."""

    least = 0
    votes = 0

    def vote(self, case: Case, mismatch: Mismatch) -> Confirmed:
        self.votes += 1
        return super().vote(case, mismatch) if size(case) >= self.least else Confirmed("", "not repeated")


@pytest.mark.parametrize("least", [7, 8, 60])
def test_of_a_result_that_its_vote_clears_an_earlier_one_stands(least: int) -> None:
    runners = NoRunners()
    sceptic = Sceptical(Judge(Planted(two_at_once), runners), runners)
    sceptic.least = least
    case = with_dead(generated(2), APART)
    (found,) = reduce_finding(sceptic, panicking(case), Limits(60.0))
    assert found.reduced and not found.note
    assert least <= size(found.case) < size(case) and (least > 8 or size(found.case) == least)
    assert 2 <= sceptic.votes <= 9


def test_what_every_vote_clears_is_not_reduced_and_says_so() -> None:
    runners = NoRunners()
    sceptic = Sceptical(Judge(Planted(lambda text: "return" in text), runners), runners)
    sceptic.least = 1 << 20
    case = generated(1)
    (found,) = reduce_finding(sceptic, panicking(case), Limits(60.0))
    assert found.case is case and not found.reduced
    assert found.note == "Not reduced: in the vote on the smaller program not repeated."
    assert sceptic.votes <= 9


def test_the_limit_holds_for_all_that_a_reduction_does() -> None:
    case = with_dead(generated(2), TWINS)
    settings = tuple((f"setting{n}", "true") for n in range(30))
    target = Target("riscv64", (("opt_level", "speed"), *settings))
    finding = Finding(compare.COMPILER_PANIC, case, target, (target,), failure=PANIC, key="key", compiler="planted")
    for seconds in (0.25, 1.0):
        compiler = Planted(lambda text: "bxor" in text, 0.02)
        started = time.monotonic()
        reduce_finding(desk(compiler), finding, Limits(seconds))
        assert time.monotonic() - started < seconds + 0.5


def test_questions_that_take_long_leave_time_for_the_end() -> None:
    compiler = Planted(lambda text: "bxor" in text, 0.06)
    started = time.monotonic()
    (found,) = reduce_finding(desk(compiler), panicking(with_dead(generated(2), TWINS)), Limits(2.0))
    assert time.monotonic() - started < 3.0
    assert found.reduced and "The limit was reached" in found.note


def test_counted_limits_ask_for_no_clock() -> None:
    case = with_dead(generated(2), TWINS)
    results = []
    for pause in (0.0, 0.01):
        compiler = Planted(lambda text: "bxor" in text, pause)
        (found,) = reduce_finding(desk(compiler), panicking(case), counted(60 / QUESTIONS_A_SECOND))
        results.append((print_module(found.case.module), found.note))
    assert results[0] == results[1]


def test_time_between_slices_does_not_count() -> None:
    case = with_dead(generated(0), TWINS)
    finding = panicking(case)
    compiler = Planted(equal_operands)
    steps = reduction(desk(compiler), finding, Meter(Limits(1.0)))
    waited, count = 0.0, 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            (found,) = end.value
            break
        count += 1
        if waited < 1.5:
            time.sleep(0.05)
            waited += 0.05
    assert waited >= 1.5 and count > 30
    assert found.reduced and size(found.case) <= 7


def test_what_does_not_come_again_says_so() -> None:
    (found,) = reduce_finding(desk(Planted(lambda text: False)), panicking(generated(0)), Limits(5.0))
    assert not found.reduced
    assert "Not reduced" in found.note and "do not go wrong" in found.note


def test_what_cannot_be_smaller_says_so() -> None:
    case = Case(
        parse_module(
            "function %f(i64) -> i64 system_v {\nblock0(v0: i64):\n    v1 = bnot v0\n"
            "    v2 = ineg v1\n    return v2\n}\n"
        ),
        0,
        ((0,),),
    )
    whole = print_module(case.module)
    (found,) = reduce_finding(desk(Planted(lambda text: text.strip() == whole.strip())), panicking(case), Limits(5.0))
    assert not found.reduced
    assert re.search(r"Not made smaller: of \d+ smaller programs .*do not go wrong", found.note)


# what CLIF leaves open

SHOWN = """
function %f(f64, f64, i64) -> i64 system_v {
block0(v0: f64, v1: f64, v2: i64):
    v3 = fdiv v0, v1
    v4 = fadd v3, v3
    v5 = bitcast.i64 v4
    v6 = bxor v5, v2
    v7 = rotl v6, v2
    return v7
}
"""
LANES = """
function %f(f32x4, i64) -> i64, i32x4 system_v {
block0(v0: f32x4, v1: i64):
    v2 = fsub v0, v0
    v3 = bitcast.i32x4 v2
    v4 = rotl v1, v1
    return v4, v3
}
"""
CALLED = """
function %g(f64) -> f64 system_v {
block0(v0: f64):
    v1 = bitcast.i64 v0
    v2 = rotl v1, v1
    v3 = bitcast.f64 v2
    return v3
}

function %f(f64, i64) -> i64 system_v {
    fn0 = colocated %g(f64) -> f64 system_v
block0(v0: f64, v1: i64):
    v2 = fadd v0, v0
    v3 = call fn0(v2)
    v4 = bitcast.i64 v3
    v5 = rotl v4, v1
    return v5
}
"""
ADDRESS = """
function %f(i64) -> i64 system_v {
    ss0 = explicit_slot 8
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    v2 = bxor v1, v0
    v3 = rotl v2, v0
    return v3
}
"""


def shows_nothing(case: Case) -> bool:
    return not exposed(case.module, case.entry)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (SHOWN, (0x3FF0 << 48, 0x4000 << 48, 5)),
        (SHOWN, (0, 0, 5)),
        (LANES, (0, 3)),
        (CALLED, (0x3FF0 << 48, 7)),
        (ADDRESS, (9,)),
    ],
)
def test_what_is_left_open_is_cut_out_first(text: str, row: tuple[int, ...]) -> None:
    module = parse_module(text, "test")
    case = Case(module, len(module.functions) - 1, (row,))
    assert exposed(case.module, case.entry)
    found = finished(
        untainted(
            case,
            lambda c: "" if "rotl" in print_module(c.module) else "do not go wrong",
            shows_nothing,
            lambda c: probe(c, TARGET),
            Meter(Limits()),
            1.0,
        )
    )
    assert found is not None
    assert not exposed(found.module, found.entry)
    assert not verify(found.module), print_module(found.module)


def test_a_fault_that_is_nothing_but_what_is_left_open_is_not_cut() -> None:
    case = Case(parse_module(SHOWN, "test"), 0, ((0, 0, 5),))
    found = finished(
        untainted(
            case,
            lambda c: "" if exposed(c.module, c.entry) else "do not go wrong",
            shows_nothing,
            lambda c: probe(c, TARGET),
            Meter(Limits()),
            1.0,
        )
    )
    assert found is None


def test_cleaning_a_nan_keeps_what_was_no_nan() -> None:
    case = Case(parse_module(SHOWN, "test"), 0, ((0x3FF0 << 48, 0x4000 << 48, 5),))
    wanted = probe(case, TARGET)
    found = finished(
        untainted(
            case,
            lambda c: "" if probe(c, TARGET) == wanted else "do not go wrong",
            shows_nothing,
            lambda c: probe(c, TARGET),
            Meter(Limits()),
            1.0,
        )
    )
    assert found is not None and "fdiv" in print_module(found.module)


@pytest.mark.needs_compiler
@pytest.mark.parametrize(("row", "found"), [((0, 0, 5), 0), ((0x3FF0 << 48, 0x4000 << 48, 5), 1)])
def test_what_clif_leaves_open_is_no_finding_and_what_it_does_not_is(row: tuple[int, ...], found: int) -> None:
    """The same program, with and without a NaN whose bits show; the code is faulty alike."""
    planner = Planner(FuzzOptions(isas=("x86-64",)))
    compiler = planner.open_compiler()
    try:
        target = planner.target("plain", "x86-64", "none", ())
        case = Case(parse_module(SHOWN.replace("system_v", "fast"), "test"), 0, (row,), name="open")
        hooks = Hooks(expected=lambda _case, outcomes: [o._replace(values=(o.values[0] ^ 1,)) for o in outcomes])
        judge = Judge(compiler, planner.runners, hooks)
        tally = Tally()
        suspects = judge.judge([case], [target], tally)
        assert suspects
        made = Investigator(judge, planner.runners).investigate(case, suspects, tally)
        assert len(made) == found
        assert bool(tally.undecided) is not bool(found)
    finally:
        compiler.close()
        planner.runners.close()


SPIN = bytes.fromhex("6f000000")
"""riscv64: a jump to itself."""
LONG = """
function %f(i64, i64, i32) -> i64 system_v {
block0(v0: i64, v1: i64, v2: i32):
    v3 = iadd v0, v1
    v4 = sextend.i64 v2
    v5 = bxor v3, v4
    brif v5, block1(v5), block2(v3)
block1(v6: i64):
    v7 = imul v6, v3
    v8 = popcnt v7
    v9 = band v8, v6
    v10 = bnot v9
    jump block2(v10)
block2(v11: i64):
    v12 = iconst.i64 3
    v13 = rotl v11, v12
    v14 = isub v13, v4
    return v14
}
"""


class Spinning:
    """A compiler whose code for functions with a `popcnt` jumps to itself."""

    def __init__(self, inner: Compiler) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        wrong = {name for name, body in re.findall(r"(?ms)^function (\S+?)\((.*?)^}", text) if "popcnt" in body}
        return [
            [
                dataclasses.replace(reply, code=SPIN + reply.code)
                if isinstance(reply, FunctionCode) and reply.name in wrong and ("opt_level", "speed") in target.settings
                else reply
                for reply in column
            ]
            for target, column in zip(targets, self.inner.compile_text(text, targets, wants))
        ]


class Credulous(Investigator):
    """In haste it believes that whatever it is asked does not end. Remembers what it was asked in earnest."""

    def __init__(self, judge: Judge, runners: AllRunners, lies: bool) -> None:
        super().__init__(judge, runners)
        self.lies = lies
        self.earnest = 0

    def objection(
        self, case: Case, finding: Finding, fuel: int = 10_000, shown: bool = False, hasty: bool = False
    ) -> str:
        self.earnest += not hasty
        return "" if hasty and self.lies else super().objection(case, finding, fuel, shown, hasty)


def endless(compiler: Compiler, runners: RunnerPool, lies: bool) -> tuple[Credulous, Finding]:
    desk = Credulous(Judge(Spinning(compiler), runners), runners, lies)
    target = Target("riscv64", (("opt_level", "speed"),))
    case = Case(parse_module(LONG), 0, ((1, 2, 3),))
    return desk, Finding(compare.ENDLESS, case, target, (target,), key="key", compiler="planted@0.0.0")


def begun(desk: Investigator, finding: Finding, done: Reduced, target: Target, meter: Meter) -> Steps:
    """In the place of a reduction's end, with its vote: what the search found."""
    yield from meter.pause()
    return [dataclasses.replace(finding, case=done.case, reduced=True)]


@pytest.mark.parametrize("lies", [False, True], ids=["", "an answer in haste is wrong"])
def test_what_does_not_end_is_asked_in_haste_and_then_in_earnest(
    compiler: Compiler, runners: RunnerPool, lies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reductions, "_finished", begun)
    monkeypatch.setattr(patience, "AT_LEAST", 0.1)
    desk, found = endless(compiler, runners, lies)
    (small,) = reduce_finding(desk, found, Limits(300.0, 4000))
    assert small.reduced and size(small.case) == 5
    assert "popcnt" in print_module(small.case.module)
    assert desk.earnest <= 3 if not lies else desk.earnest > 3


def test_who_is_in_haste_takes_what_is_slow_for_endless(compiler: Compiler, runners: RunnerPool) -> None:
    desk, found = endless(compiler, runners, lies=False)
    (hasty,) = desk.judge.in_haste().judge([found.case], [found.target], Tally())
    assert hasty.verdict.klass == compare.ENDLESS
    assert not desk.judge.in_haste().judge([found.case], [Target("riscv64")], Tally())
    assert not desk.judge.is_hasty and desk.judge.in_haste().asking([]).is_hasty
