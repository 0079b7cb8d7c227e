"""What it costs to ask the compiler for its rules, and what directed batches cost: one JSON line.

One worker does ordinary batches, directed ones, and directed ones that are traced, in turns, so that a machine that is
not quiet treats them alike; the clock is the processor time of the worker and its children. `tracing_share` is what
tracing takes of a whole campaign, in which every `DIRECTED`th batch is directed and traced (docs/coverage.md).

    nice -n 5 python ci/bench/tracing.py [--rounds 12] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

from throughput import processor_time

from liftcheck.campaign.execute.tasks import Task
from liftcheck.campaign.execute.worker import FuzzWorker
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.plan import DIRECTED
from liftcheck.oracles.hooks import Hooks

WARM_UP = 4
"""Rounds before the clock counts: tables, trampolines, the rules themselves."""


def measure(worker: FuzzWorker, rounds: int) -> tuple[Counter[str], Counter[str]]:
    """Seconds of processor time and pairs by kind of batch."""
    seconds: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for number in range(WARM_UP + rounds):
        first = 3 * number * DIRECTED
        for kind, batch in (
            ("ordinary", first),
            ("directed", first + 2 * DIRECTED - 1),
            ("traced", first + 3 * DIRECTED - 1),
        ):
            worker.planner.traces_rules = kind == "traced"
            started = sum(processor_time().values())
            answer = worker.do(Task("batch", batch))
            if number >= WARM_UP:
                seconds[kind] += sum(processor_time().values()) - started
                pairs[kind] += answer.tally.pairs.total()
    return seconds, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    worker = FuzzWorker(FuzzOptions(seed=args.seed, reduce_seconds=0.0), Hooks())
    try:
        seconds, pairs = measure(worker, args.rounds)
    finally:
        worker.close()
    whole = (DIRECTED - 1) * seconds["ordinary"] + seconds["traced"]
    told = {
        "cpu_seconds_per_batch": {kind: round(time / args.rounds, 4) for kind, time in seconds.items()},
        "pairs_per_cpu_second": {kind: round(pairs[kind] / time, 1) for kind, time in seconds.items()},
        "tracing_share": round((seconds["traced"] - seconds["directed"]) / whole, 4),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
