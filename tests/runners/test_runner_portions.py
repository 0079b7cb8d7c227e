"""More jobs, inputs and trampolines than a runner's areas hold are run in portions, and nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest
from support.runner_samples import RUNNERS, SAMPLES, SIGNATURE, opened, trampoline

from liftcheck import layout
from liftcheck.case import FunctionCode
from liftcheck.runners import base
from liftcheck.runners import portions as runner_portions
from liftcheck.runners.link import link
from liftcheck.runners.pool import Job
from liftcheck.runners.portions import ROOM, Need, Piece, fit, portions

ROW: Final = 144
"""Bytes of a row of `SIGNATURE`."""


def fits(needs: Sequence[Need]) -> bool:
    return fit(sum(need.size * need.rows for need in needs), sum(need.code for need in needs))


def test_what_fits_is_one_portion() -> None:
    needs = [Need(100, 3, 50), Need(ROOM - 300, 1, layout.TRAMPOLINES_SIZE - 50)]
    assert fits(needs) and portions(needs) == [[Piece(0, 0, 3), Piece(1, 0, 1)]]
    assert not fits([*needs, Need(1, 1, 0)]) and not fits([*needs, Need(0, 0, 1)])


def test_jobs_are_cut_between_inputs() -> None:
    half = ROOM // 2
    assert portions([Need(half, 5, 1), Need(8, 2, 1)]) == [
        [Piece(0, 0, 2)],
        [Piece(0, 2, 2)],
        [Piece(0, 4, 1), Piece(1, 0, 2)],
    ]


def test_trampolines_make_portions_too() -> None:
    code = layout.TRAMPOLINES_SIZE // 2
    assert portions([Need(8, 1, code)] * 3) == [[Piece(0, 0, 1), Piece(1, 0, 1)], [Piece(2, 0, 1)]]


def test_what_never_fits_is_left_out() -> None:
    needs = [Need(ROOM + 1, 1, 1), Need(8, 1, 1), Need(8, 1, layout.TRAMPOLINES_SIZE + 1)]
    assert portions(needs) == [[Piece(1, 0, 1)]]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Areas for five rows and for two trampolines."""
    monkeypatch.setattr(runner_portions, "ROOM", 5 * ROW)
    monkeypatch.setattr(layout, "TRAMPOLINES_SIZE", 2 * 192)


@pytest.mark.parametrize(("runner", "isa"), RUNNERS)
def test_portions_give_what_one_run_gives(runner: str, isa: str, narrow: None) -> None:
    """Of jobs with trampolines of their own, with and without memory, one of them longer than the area."""
    with_nops = [trampoline(isa)]
    for number in range(1, 4):
        code = with_nops[0].code + bytes(4 * number)
        with_nops.append(FunctionCode(f"%t{number}", code, 16))
    image = link([[FunctionCode("%f", SAMPLES[isa].plus_42)]], isa)
    entry = image.entry(0, "%f")
    jobs = [
        Job(
            made,
            entry,
            SIGNATURE,
            [(100 * number + n, 0, 0) for n in range(7 if number == 2 else 3)],
            [bytes([n]) * layout.SLOT_SIZE for n in range(3)] if number == 1 else (),
            4,
        )
        for number, made in enumerate(with_nops)
    ]
    opened_runner = opened(runner, isa)
    for _ in range(2):
        found = opened_runner.run(image, jobs)
        assert [[outcome.values for outcome in outcomes] for outcomes in found] == [
            [(arguments[0] + 42,) for arguments in job.inputs] for job in jobs
        ]
        assert [outcome.memory[:2] for outcome in found[1]] == [bytes([n, n]) for n in range(3)]
    opened_runner.close()


def test_the_area_is_written_anew_only_between_runs(monkeypatch: pytest.MonkeyPatch, narrow: None) -> None:
    """Two trampolines fit: what a row of a run needs has its place until that run has ended."""
    monkeypatch.setattr(layout, "TRAMPOLINES_SIZE", 200)
    image = link([[FunctionCode("%f", SAMPLES["x86-64"].plus_42)]], "x86-64")
    runner = opened("unicorn", "x86-64")
    assert isinstance(runner, base.BaseRunner)
    forgotten: list[int] = []
    true = runner.forget_trampolines
    monkeypatch.setattr(runner, "forget_trampolines", lambda: (forgotten.append(1), true()))
    codes = [FunctionCode("%t", trampoline("x86-64").code + bytes(number), 16) for number in range(3)]
    for made in (codes[:1], codes[:2], codes[2:]):
        jobs = [Job(one, image.entry(0, "%f"), SIGNATURE, [(5, 0, 0)]) for one in made]
        assert [outcomes[0].values for outcomes in runner.run(image, jobs)] == [(47,)] * len(made)
        assert [*runner._trampolines] == [one.code for one in made]
    assert len(forgotten) == 2
    runner.close()


def test_a_row_that_never_fits_is_refused_by_name(narrow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_portions, "ROOM", ROW - 1)
    image = link([[FunctionCode("%f", SAMPLES["x86-64"].plus_42)]], "x86-64")
    runner = opened("unicorn", "x86-64")
    job = Job(trampoline("x86-64"), image.entry(0, "%f"), SIGNATURE, [(1, 0, 0)] * 2)
    ((first, second),) = runner.run(image, [job])
    assert (first.kind, second.kind) == ("unsupported", "unsupported") and "more than 4 MiB" in first.detail
    runner.close()
