"""Runs of run lines that speak of memory: each with a data region of its own, with the content that the line gives.

The one idea: a line knows its region, its addresses and its bytes once it is put at a slot (`RunLine.at`); here it
becomes a job of a runner, and the longer tries of `patience` are made for each alone. Lines without memory are run as
ever. It compares nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from liftcheck import layout
from liftcheck.case import FunctionCode, Outcome
from liftcheck.clif.text.runlines import RunLine
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.link import Image
from liftcheck.runners.patience import Steps, longer


def has_memory(lines: Sequence[RunLine]) -> bool:
    """Whether any of the lines speaks of memory."""
    return any(line.memory is not None for line in lines)


def job_of(job: Job, line: RunLine) -> Job:
    """The job with this line as its only input, in the line's data region."""
    regions = line.regions() or {}
    return job._replace(inputs=(line.args,), memories=tuple(regions.values()), slot=line.slot, expected=None)


def run_lines(
    runner: Runner,
    image: Image,
    job: Job,
    lines: Sequence[RunLine],
    program: Sequence[FunctionCode],
    steps: Steps,
    longest: float,
) -> list[Outcome]:
    """The outcomes of a function's lines, which stand at slots; as many at once as have room."""
    found: list[Outcome] = []
    for start in range(0, len(lines), layout.SLOTS):
        jobs = [job_of(job, line) for line in lines[start : start + layout.SLOTS]]
        for number, (one, outcomes) in enumerate(zip(jobs, runner.run(image, jobs), strict=True), start):
            found += longer(runner, image, one, outcomes, program, _only(steps, number), longest)
    return found


def _only(steps: Steps, number: int) -> Callable[[int], int | None]:
    """The instructions of one line, for a job that has it alone."""
    return partial(_steps_of, steps, number)


def _steps_of(steps: Steps, number: int, _: int) -> int | None:
    return steps(number)
