"""Programs that hang: some are asked to the end at once, and the rest of their batch does not eat the campaign."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import pytest

from liftcheck.case import FunctionCode, Outcome
from liftcheck.clif.ir import Signature
from liftcheck.oracles import rounds
from liftcheck.oracles.rounds import HANGS, MANY, NO_TIME, SEVERAL, run_rounds
from liftcheck.runners.base import NOT_RUN, ExpectedRows, Job
from liftcheck.runners.link import Image

FINE, SHORT, ENDLESS = Outcome("returned"), Outcome("out_of_fuel", detail="0.1 s"), Outcome("endless")
LATE = Outcome("out_of_fuel", detail=NOT_RUN)


class Clock:
    """A runner whose jobs take `hang` seconds, or none; and its time."""

    def __init__(self, hangs: Sequence[bool], hang: float = 1.0) -> None:
        self.now = 0.0
        self.hangs = hangs
        self.hang = hang
        self.calls: list[list[int]] = []
        self.longer: list[int] = []
        self.jobs = [
            Job(
                FunctionCode("%t", b""),
                number,
                Signature((), ()),
                ((),),
                expected=ExpectedRows((), [FINE], None, (), ()),
            )
            for number in range(len(hangs))
        ]

    def monotonic(self) -> float:
        self.now += 1e-3
        return self.now

    def run(self, _image: object, jobs: Sequence[Job], seconds: float = 0.0, until: float = inf) -> list[list[Outcome]]:
        self.calls.append([job.entry for job in jobs])
        found = []
        for job in jobs:
            if self.now > until:
                found.append([LATE])
            elif self.hangs[job.entry]:
                self.now += self.hang
                found.append([SHORT])
            else:
                assert job.expected is not None
                found.append(job.expected.outcomes)
        return found

    def again(self, position: int, _short: list[Outcome]) -> list[Outcome]:
        self.longer.append(position)
        self.now += 1.0
        return [ENDLESS]


def results(clock: Clock, deadline: float, monkeypatch: pytest.MonkeyPatch, *split: Sequence[int]) -> list[str]:
    monkeypatch.setattr(rounds.time, "monotonic", clock.monotonic)
    runner: Any = clock
    image: Any = Image.__new__(Image)
    found = run_rounds(runner, image, clock.jobs, split or [range(len(clock.jobs))], clock.again, deadline)
    return [one if isinstance(one, str) else one[0].kind for one in found]


def test_programs_that_end_are_one_call_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([False] * 6)
    assert results(clock, 1000.0, monkeypatch, range(3), range(3, 6)) == ["returned"] * 6
    assert clock.calls == [[0, 1, 2], [3, 4, 5]] and not clock.longer


def test_some_hangs_are_proven_before_the_rest_of_the_batch_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([True] * 100)
    found = results(clock, 1000.0, monkeypatch)
    assert found.count("endless") >= SEVERAL and found.count(HANGS) > 90
    assert clock.now < 12.0


def test_few_hangs_cost_no_program_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([True, *[False] * 50])
    assert results(clock, 1000.0, monkeypatch) == ["endless", *["returned"] * 50]
    slow = Clock([number == 0 for number in range(50)], 3.0)
    assert results(slow, 1000.0, monkeypatch) == ["endless", *["returned"] * 49]
    assert [len(call) for call in slow.calls] == [50, 49]


def test_hangs_in_one_round_are_the_batch_s(monkeypatch: pytest.MonkeyPatch) -> None:
    found = results(Clock([True] * 40), 1000.0, monkeypatch, range(20), range(20, 40))
    assert found[20:] == [HANGS] * 20


def test_at_the_end_of_the_campaign_what_is_left_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(results(Clock([False] * 4), -1.0, monkeypatch)) == {NO_TIME}
    clock = Clock([True] * 4, 10.0)
    assert results(clock, 0.5, monkeypatch)[1:] == ["out_of_fuel"] * 3 and not clock.longer


def test_without_a_deadline_nothing_depends_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([True] * 20, 100.0)
    assert results(clock, inf, monkeypatch) == ["endless"] * MANY + ["out_of_fuel"] * (20 - MANY)
    assert len(clock.calls) == 1
