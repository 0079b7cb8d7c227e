"""How many (program, ISA, level) pairs one core judges in a second: one JSON line.

Programs of about 60 instructions, four ISAs, two levels, 8 inputs each; this process and its children share one core,
as a campaign's worker does. `pairs_per_cpu_second` counts the processor time of both, for machines that are not quiet;
`cpu_us_per_program` tells it apart: what the bridge alone needs, without the decoding of its replies here.
Nothing is written and nothing but a worker's own code is measured: its start-up is left out. The batches are those of
a campaign that has gone on for some minutes; at its start more of them are made for the compiler's rules
(`campaign.plan.DIRECTED`), which `--first 30` measures. Oracles that are sampled have no turn among them.

    python ci/bench/throughput.py [--seconds 20] [--seed 1] [--first 2100] [--profile-python FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Final

from liftcheck.campaign.execute.local import children, collect_less
from liftcheck.campaign.execute.tasks import Task
from liftcheck.campaign.execute.worker import FuzzWorker
from liftcheck.campaign.options import FuzzOptions
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import STAGES, Tally

WARM_UP = 30
"""Batches before the clock starts, some seconds: tables, recipes, trampolines and the emulators' first translations."""


def processor_time() -> dict[str, float]:
    """Seconds of processor time by program: this one (with Unicorn in it), the bridge, the runners' processes."""
    ticks: Counter[str] = Counter()
    todo = [os.getpid()]
    while todo:
        pid = todo.pop()
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # a runner that confirmed a finding has ended: its time is among our children's
            continue
        who = "python" if pid == os.getpid() else "bridge" if name.startswith("liftcheck") else "runners"
        ticks[who] += int(fields[11]) + int(fields[12])
        todo += children(pid)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = {who: ticks[who] / os.sysconf("SC_CLK_TCK") for who in ("python", "bridge", "runners")}
    seconds["runners"] += ended.ru_utime + ended.ru_stime
    return seconds


FIRST: Final = 2100
"""The first batch that counts: the last stage of `DIRECTED` has begun, and the sampled oracles have had a turn."""


def measure(worker: FuzzWorker, seconds: float, first: int = FIRST) -> tuple[Tally, int, float, dict[str, float]]:
    """Batches for about `seconds`: what they did, how many findings there were, how long it took by clock and
    processor."""
    for batch in range(first - WARM_UP, first):
        worker.do(Task("batch", batch))
    collect_less()
    tally, findings, batch = Tally(), 0, first
    started, used = time.perf_counter(), processor_time()
    while time.perf_counter() - started < seconds:
        answer = worker.do(Task("batch", batch))
        if answer.troubles:
            raise SystemExit(str(answer.troubles))
        tally.add(answer.tally)
        findings += len(answer.findings)
        batch += 1
    seconds = time.perf_counter() - started
    return tally, findings, seconds, {who: now - used[who] for who, now in processor_time().items()}


def document(tally: Tally, findings: int, seconds: float, used: dict[str, float]) -> dict[str, object]:
    """The line that is printed. `unaccounted` is the share of time between the stages."""
    staged = sum(tally.seconds.values())
    share = {stage: round(tally.seconds.get(stage, 0.0) / seconds, 4) for stage in STAGES}
    pairs = tally.pairs.total()
    return {
        "pairs_per_second": round(pairs / seconds, 1),
        "pairs_per_cpu_second": round(pairs / sum(used.values()), 1),
        "cpu_us_per_program": {who: round(time / tally.programs * 1e6) for who, time in used.items()},
        "pairs": pairs,
        "programs": tally.programs,
        "seconds": round(seconds, 2),
        "time_share": {**share, "unaccounted": round(1 - staged / seconds, 4)},
        "compile_and_run": round((tally.seconds.get("compile", 0.0) + tally.seconds.get("run", 0.0)) / seconds, 4),
        "us_per_program": {stage: round(tally.seconds.get(stage, 0.0) / tally.programs * 1e6) for stage in STAGES},
        "findings": findings,
        "undecided": sum(tally.undecided.values()),
        "refused": sum(tally.refused.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=FIRST, help=f"the first batch that counts, {WARM_UP} or more")
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--profile-python", metavar="FILE", help="write a cProfile of the loop to FILE")
    args = parser.parse_args()
    if args.first < WARM_UP:
        parser.error(f"--first {args.first}: {WARM_UP} batches before it are a warm-up")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    worker = FuzzWorker(FuzzOptions(compiler=args.compiler, seed=args.seed, sweep=False), Hooks())
    profiler = cProfile.Profile() if args.profile_python else None
    try:
        if profiler:
            profiler.enable()
        tally, findings, seconds, used = measure(worker, args.seconds, args.first)
        if profiler:
            profiler.disable()
            profiler.dump_stats(args.profile_python)
    finally:
        worker.close()
    print(json.dumps(document(tally, findings, seconds, used)))


if __name__ == "__main__":
    main()
