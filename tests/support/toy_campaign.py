"""A campaign without compiler and workers: what comes of a batch is a function of its number, and is there at once.
For what a campaign keeps: thousands of interrupted ones take seconds."""

from __future__ import annotations

import dataclasses
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest

from liftcheck.campaign import run
from liftcheck.campaign.execute.base import Death, Done, Feed
from liftcheck.campaign.execute.tasks import NO_TIME, Answer, Task
from liftcheck.campaign.execute.work import FuzzWork
from liftcheck.campaign.findings.finding import Finding, fold_key
from liftcheck.campaign.findings.suspicion import count_wrong, is_sampled
from liftcheck.campaign.keep import database
from liftcheck.campaign.options import FuzzOptions, batch_cases
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.case import Case, CompileFailure, Outcome, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.oracles import compare
from liftcheck.oracles.tally import Tally

COMPILER = "toy@1.0"
TARGET = Target("riscv64", (("opt_level", "speed"),))
SHAPES = (("iadd", "imul", "bxor"), ("ishl", "rotl"), ("band", "bor"), ("iadd", "isub"))
SMALL = {SHAPES[0]: ("iadd",), SHAPES[1]: ("rotl",), SHAPES[2]: ("bor",), SHAPES[3]: ("isub",)}


def case(ops: Sequence[str], seed: int, number: int) -> Case:
    body = "\n".join(f"    v{n + 1} = {op} v{n}, v0" for n, op in enumerate(ops))
    text = f"function %f(i64) -> i64 system_v {{\nblock0(v0: i64):\n{body}\n    return v{len(ops)}\n}}\n"
    tags = {"seed": seed, "number": number}
    return Case(parse_module(text), 0, ((7,),), (bytes(64),), 0, f"seed {seed} case {number}", tags)


def wrong(seed: int, number: int) -> Finding:
    ops = SHAPES[number % len(SHAPES)]
    found = Finding(
        compare.WRONG_RESULT,
        case(ops, seed, number),
        TARGET,
        (TARGET,),
        number=number,
        seed=seed,
        compiler=COMPILER,
        expected=Outcome("returned", (1,)),
        actual=Outcome("returned", (2,)),
    )
    return dataclasses.replace(found, key=f"{fold_key(found)} | {found.case.name}")


def panic(seed: int, number: int) -> Finding:
    failure = CompileFailure("panic", f"it broke {'abc'[number % 3]}", "it broke", "lib.rs:1")
    return dataclasses.replace(wrong(seed, number), klass=compare.COMPILER_PANIC, failure=failure)


def judged(options: FuzzOptions, task: Task) -> Answer:
    """What a worker answers to a batch."""
    answer = Answer()
    for number in batch_cases(options, task.number):
        tally = Tally(programs=1, pairs=Counter({"riscv64": 2}), agreed=Counter({"riscv64": 1 + number % 2}))
        tally.refused["riscv64", f"lacks {number % 5}"] += 1
        tally.executed["riscv64"] = Counter({"iadd.i64": number % 7, "imul.i64": 1})
        if is_sampled(task.number):
            tally.held.update({("riscv64", ""): 1, ("riscv64", f"op{number % 4}"): 1, ("riscv64", "iadd.i64"): 1})
        if number % 17 == 3:
            answer.findings.append(wrong(options.seed, number))
            count_wrong(answer.findings[-1].case, {"riscv64"}, answer.findings[-1].row, None, tally)
            tally.disagreed["riscv64", compare.WRONG_RESULT] += 1
        if number % 23 == 5:
            _panics(panic(options.seed, number), task, answer)
        if number % 41 == 7:
            answer.troubles.append((f"seed {options.seed} case {number}", "our own fault"))
        answer.tally.add(tally)
    return answer


def _panics(found: Finding, task: Task, answer: Answer) -> None:
    """As a worker does: what is known of an earlier case needs no vote."""
    first = task.known.failures.get(fold_key(found))
    if first is not None and first < (found.number or 0):
        answer.alike[fold_key(found)] += 1
    else:
        answer.findings.append(found)


def small(finding: Finding) -> Finding:
    ops = next(
        (few for many, few in SMALL.items() if finding.number is not None and SHAPES[finding.number % 4] == many)
    )
    assert finding.seed is not None and finding.number is not None
    made = dataclasses.replace(
        finding, case=case(ops, finding.seed, finding.number), original=finding.case, reduced=True
    )
    return dataclasses.replace(made, key=fold_key(made))


class ToyExecutor:
    """Two seats; answers come in an order that `draw` chooses. `late`: batches that the time cuts short."""

    def __init__(self, work: FuzzWork, draw: random.Random, late: Callable[[int], bool] = lambda _: False) -> None:
        self.options = work.options
        self.draw = draw
        self.late = late
        self.ready_at = inf
        self.under_way: list[Task] = []
        self.findings: dict[int, Finding] = {}

    @property
    def seats(self) -> int:
        return 2

    @property
    def busy(self) -> bool:
        return bool(self.under_way)

    def start(self) -> None:
        self.ready_at = 0.0

    def step(self, feed: Feed[Task], timeout: float) -> Iterator[Done[Task, Answer] | Death[Task]]:
        for seat in (0, 1):
            task = feed(seat, True)
            if task is not None:
                self.under_way.append(task)
        if self.under_way:
            task = self.under_way.pop(self.draw.randrange(len(self.under_way)))
            yield Done(task, self._answer(task))

    def _answer(self, task: Task) -> Answer:
        if task.kind == "batch":
            answer = judged(self.options, task)
            if self.late(task.number):
                answer.tally.undecided["riscv64", NO_TIME] += 1
            return answer
        if task.finding is not None:
            self.findings[task.ident] = task.finding
        if task.kind == "reduce":
            return Answer(findings=[small(self.findings[task.ident])])
        if task.kind == "state":
            return Answer(findings=[dataclasses.replace(self.findings[task.ident], program="test run\n")])
        return Answer()

    def close(self, patience: float = 2.0) -> None:
        self.under_way.clear()


class ToyPlanner:
    """In the place of the campaign's, which opens a compiler."""

    compiler, build = COMPILER, "1"
    traces_rules = False

    def __init__(self, _options: FuzzOptions) -> None: ...

    def prepare(self, _say: Any) -> str:
        return self.compiler


def options(out: Path | None, **changes: Any) -> FuzzOptions:
    return FuzzOptions(
        **{"isas": ("riscv64",), "cases": 320, "seconds": None, "seed": 4, "jobs": 2, "out": out, **changes}
    )


def play(monkeypatch: pytest.MonkeyPatch, order: int = 0, **more: Any) -> None:
    """From now on campaigns are toys, which wait for no disk. `more`: as for `ToyExecutor`."""
    draw = random.Random(order)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(database, "FLUSHES", "OFF")
    monkeypatch.setattr(run, "Planner", ToyPlanner)
    monkeypatch.setattr(run, "Pool", lambda work, *_: ToyExecutor(work, draw, **more))


def toy(
    monkeypatch: pytest.MonkeyPatch, chosen: FuzzOptions, is_resumed: bool = False, order: int = 0, **more: Any
) -> FuzzReport:
    """Runs or continues one."""
    play(monkeypatch, order, **more)
    return run.fuzz(chosen, is_resumed=is_resumed)
