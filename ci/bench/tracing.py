"""What it costs to ask the compiler for its rules, and what directed batches cost: one JSON line.

One worker does ordinary batches, directed ones, and directed ones that are traced, in turns, so that a machine that is
not quiet treats them alike; the clock is the processor time of the worker and its children. The `…_share`s are what
directed batches take in addition to ordinary ones, and what of it the trace takes, at the start of a campaign and
later, when fewer batches are directed (docs/coverage.md).

    nice -n 5 python ci/bench/tracing.py [--rounds 12] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from itertools import count, islice

from throughput import processor_time

from liftcheck.campaign.execute.tasks import Task
from liftcheck.campaign.execute.worker import FuzzWorker
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.plan import DIRECTED, is_directed
from liftcheck.oracles.hooks import Hooks

WARM_UP = 4
"""Rounds before the clock counts: tables, trampolines, the rules themselves."""


def measure(worker: FuzzWorker, rounds: int) -> tuple[Counter[str], Counter[str]]:
    """Seconds of processor time and pairs by kind of batch."""
    seconds: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for number in range(WARM_UP + rounds):
        directed, traced = islice(filter(is_directed, count()), 2 * number, 2 * number + 2)
        for kind, batch in (("ordinary", directed - 1), ("directed", directed), ("traced", traced)):
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
    shares = {}
    for when, (_, every) in (("start", DIRECTED[0]), ("later", DIRECTED[-1])):
        whole = (every - 1) * seconds["ordinary"] + seconds["traced"]
        shares |= {
            f"directed_share_{when}": round((seconds["traced"] - seconds["ordinary"]) / whole, 4),
            f"tracing_share_{when}": round((seconds["traced"] - seconds["directed"]) / whole, 4),
        }
    told = {
        "cpu_seconds_per_batch": {kind: round(time / args.rounds, 4) for kind, time in seconds.items()},
        "pairs_per_cpu_second": {kind: round(pairs[kind] / time, 1) for kind, time in seconds.items()},
        **shares,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
