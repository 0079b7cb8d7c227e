"""Runs the programs of a batch within a campaign's time, so that programs that do not end are told from those that do.

The one idea: what runs too long is asked for early. A runner stops after a few seconds (`PASS`) where the campaign's
time is bounded; what had no end by then gets its longer try at once (`patience.py`) and only then the rest of the batch
its turn. Where some programs never end even so, the rest of a batch that is that slow is left undecided: else a
compiler whose code hangs often would eat the campaign before one hang is confirmed.
A batch without hangs is one call of the runner a round. Without a deadline nothing depends on the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from liftcheck.case import Outcome
from liftcheck.runners.base import NOT_RUN, Job, Runner
from liftcheck.runners.link import Image

PASS: Final = 2.0
"""Seconds after which a call of a runner is looked at."""
SEVERAL: Final = 2
"""Programs that did not end even in a longer try, after which the rest of a batch that is slow has no turn."""
MANY: Final = 4
"""Programs of a batch that got a longer try in vain, after which no other gets one: it is undecided."""
NO_TIME: Final = "the campaign's time was up"
HANGS: Final = "time: not run, since several programs of its batch did not end"
"""Why a program was not run; the first also, why a vote was not finished."""

Results = list[list[Outcome] | str]
Longer = Callable[[int, list[Outcome]], list[Outcome]]


def run_rounds(
    runner: Runner, image: Image, jobs: Sequence[Job], rounds: Sequence[Sequence[int]], longer: Longer, deadline: float
) -> Results:
    """What came of each job, or why it was not run; the jobs of a round (by number) run together. `longer` runs what
    did not end of a job once more."""
    outcomes: Results = [NO_TIME] * len(jobs)
    vain, hangs = 0, False
    for positions in rounds:
        left = list(positions)
        while left and not hangs and time.monotonic() < deadline:
            until = min(deadline, time.monotonic() + PASS) if deadline < inf else inf
            found = runner.run(image, [jobs[position] for position in left], until=until)
            slow = time.monotonic() > until < deadline
            done = _whole(found) if slow else len(left)
            for position, short in zip(left[:done], found):
                outcomes[position] = short
                if vain < MANY and not _is_expected(jobs[position], short) and time.monotonic() < deadline:
                    again = outcomes[position] = longer(position, short)
                    vain += any(outcome.kind in ("out_of_fuel", "endless") for outcome in again)
            left = left[done:]
            hangs = slow and vain >= SEVERAL
        for position in left if hangs else ():
            outcomes[position] = HANGS
    return outcomes


def _whole(found: Sequence[Sequence[Outcome]]) -> int:
    """How many jobs had their turn, from the first on: that one counts even if it took all the time."""
    cut = (number for number, rows in enumerate(found) if any(outcome.detail == NOT_RUN for outcome in rows))
    return max(1, next(cut, len(found)))


def _is_expected(job: Job, found: list[Outcome]) -> bool:
    return job.expected is None or found is job.expected.outcomes
