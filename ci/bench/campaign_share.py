"""What reductions and confirmations cost a campaign, in every window of 10 seconds: one JSON line.

`reduce` and `confirm` are shares of the workers' time (jobs x wall time) in the windows that begin at each second while
new programs were wanted; `worst_reduce` is the greatest of them, and every tenth window is shown. `over` is by how many
seconds the campaign outlasted its --time.
Takes the options of `liftcheck fuzz`.

    python ci/bench/campaign_share.py --isa riscv64 --isa s390x --jobs 1 --time 25s --seed 1 --out DIR
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Final

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.campaign.run import fuzz
from liftcheck.commands import fuzz as command

WINDOW: Final = 10.0
STAGES: Final = ("reduce", "confirm")


class Watch:
    """A `Progress` that keeps (seconds, pairs, seconds by stage) as they grow."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int, dict[str, float]]] = [(0.0, 0, {})]

    def started(self, compiler: str) -> None: ...

    def found(self, finding: Finding, place: str) -> None: ...

    def message(self, message: str) -> None: ...

    def update(self, report: FuzzReport) -> None:
        self.seen.append((report.seconds, report.pairs, dict(report.tally.seconds)))

    def at(self, moment: float) -> tuple[float, int, dict[str, float]]:
        """The last state seen until then."""
        return next(state for state in reversed(self.seen) if state[0] <= moment)


def windows(watch: Watch, jobs: int, until: float) -> list[dict[str, float]]:
    """Pairs and shares by window that begins at each second, while programs were wanted."""
    rows = []
    for start in range(max(1, int(until - WINDOW) + 1)):
        end = min(start + WINDOW, until)
        (_, pairs, before), (_, more, after) = watch.at(start), watch.at(end)
        rows.append(
            {
                "from": start,
                "pairs": more - pairs,
                **{
                    stage: round((after.get(stage, 0.0) - before.get(stage, 0.0)) / WINDOW / jobs, 3)
                    for stage in STAGES
                },
            }
        )
    return rows


def document(report: FuzzReport, watch: Watch, wall: float) -> dict[str, object]:
    """The line that is printed."""
    options = report.options
    until = min(options.seconds or report.seconds, report.seconds)
    rows = windows(watch, options.jobs, until)
    return {
        "isas": list(options.isas),
        "jobs": options.jobs,
        "seed": options.seed,
        "pairs": report.pairs,
        "seconds": round(report.seconds, 1),
        "wall": round(wall, 1),
        "over": round(report.seconds - options.seconds, 1) if options.seconds is not None else None,
        "worst_reduce": max((row["reduce"] for row in rows), default=0.0),
        "worst_confirm": max((row["confirm"] for row in rows), default=0.0),
        "findings": len(report.findings),
        "reduced": sum(finding.reduced for finding in report.findings),
        "not_reduced": report.reductions_left,
        "windows": rows[::10],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    command.declare(parser)
    options = command.campaign_options(parser.parse_args())
    watch = Watch()
    started = time.monotonic()
    report = fuzz(options, watch)
    print(json.dumps(document(report, watch, time.monotonic() - started)))


if __name__ == "__main__":
    main()
