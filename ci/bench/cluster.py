"""What a Dask cluster costs a campaign: processor time a task, of the scheduler and of the campaign's own process.

The one idea: more workers than this machine has cannot be had here, but what limits them can be measured: each task
costs the scheduler and the campaign's process so much, whoever does it. The number of workers at which either has no
time left is the time that a batch takes a worker divided by that cost. Processor time is counted, as hosts are busy.
Tasks: words that cost nothing (`--tasks`), and the batches of a campaign of `--cases` programs, on two workers.
With `--workers 1,2,4`: what a program costs all processes together with so many workers, beside local processes. The
share of it that the local ones need is the efficiency of a worker that has a core of its own.

    python ci/bench/cluster.py [--tasks N] [--cases N] [--workers 1,2]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from liftcheck.campaign.execute.base import Executor, Work, Worker, spread
from liftcheck.campaign.execute.cluster import Cluster
from liftcheck.campaign.execute.local import children
from liftcheck.campaign.execute.tasks import Answer, Task
from liftcheck.campaign.execute.work import FuzzWork
from liftcheck.campaign.options import BATCH, FuzzOptions
from liftcheck.campaign.run import fuzz, processes

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "ci" / "bench")])}


@dataclass(frozen=True)
class Nothing(Work[int, int]):
    """Tasks that cost nothing."""

    def open(self) -> Worker[int, int]:
        return Echo()


class Echo:
    """Gives a task back."""

    def do(self, task: int, /) -> int:
        return task

    def close(self) -> None: ...


def used(pid: int) -> float:
    """Processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[tuple[str, int]]:
    """A scheduler's address and process, with workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    quiet: dict[str, Any] = {"env": ENVIRONMENT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--host", "127.0.0.1"]
    scheduler = subprocess.Popen([*dask, "--port", address.rpartition(":")[2]], **quiet)
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard", "--no-nanny", "--nthreads", "1"]
    started = [subprocess.Popen([*worker, address], **quiet) for _ in range(workers)]
    try:
        time.sleep(5.0)
        yield address, scheduler.pid
    finally:
        for process in (*started, scheduler):
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Meter:
    """What the scheduler and this process have used since `began`; `idle`: of a second, what the scheduler uses when
    nothing is asked of it but who its workers are."""

    scheduler: int
    idle: float
    own: float
    mine: float
    began: float

    @classmethod
    def start(cls, scheduler: int, idle: float) -> Meter:
        return cls(scheduler, idle, used(scheduler), time.process_time(), time.monotonic())

    def costs(self, tasks: int) -> tuple[float, float]:
        """Milliseconds a task: of the scheduler, of this process."""
        wall = time.monotonic() - self.began
        own = used(self.scheduler) - self.own - self.idle * wall
        return 1000 * own / tasks, 1000 * (time.process_time() - self.mine) / tasks


def idle_share(scheduler: int, seconds: float) -> float:
    before = used(scheduler)
    time.sleep(seconds)
    return (used(scheduler) - before) / seconds


def used_below(pid: int) -> float:
    """Processor seconds of a process and of all that it has started, those that have ended, too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    mine = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return mine + sum(map(used_below, children(pid)))


def per_program(cases: int, executor: Callable[[FuzzWork], Executor[Task, Answer]], jobs: int) -> float:
    """Milliseconds of processor time that a program costs all processes that this one has started, and itself; without
    what a campaign costs once."""
    totals = []
    for count in (cases // 4, cases):
        before = used_below(os.getpid())
        fuzz(FuzzOptions(cases=count, seconds=None, seed=1, jobs=jobs, reduce_seconds=0.1), executor=executor)
        totals.append(used_below(os.getpid()) - before)
    return 1000 * (totals[1] - totals[0]) / (cases - cases // 4)


def efficiency(cases: int, sizes: Sequence[int]) -> None:
    """A table: workers, milliseconds a program, share of the local one."""
    for size in sizes:
        local = per_program(cases, processes, size)
        with cluster(size) as (address, _):
            spread_out = per_program(cases, lambda work: Cluster(work, address, 120.0), size)
        print(
            f"{size} workers: {local:.2f} ms a program in local processes, {spread_out:.2f} ms on the cluster: "
            f"{local / spread_out:.1%}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--cases", type=int, default=3200)
    parser.add_argument("--batch", type=float, default=110.0, help="milliseconds of a worker (ci/bench/throughput.py)")
    parser.add_argument("--workers", type=lambda text: [int(word) for word in text.split(",")], metavar="N,N")
    args = parser.parse_args()
    if args.workers:
        efficiency(args.cases, args.workers)
        return
    with cluster(2) as (address, scheduler):
        idle = idle_share(scheduler, 10.0)
        meter = Meter.start(scheduler, idle)
        events: list[Any] = []
        work = importlib.import_module(Path(__file__).stem).Nothing()  # of a module that workers can import
        spread(Cluster(work, address, inf), range(args.tasks), events.append)
        own, mine = meter.costs(args.tasks)
        print(f"scheduler, idle: {100 * idle:.1f} % of a core")
        print(f"{args.tasks} empty tasks: scheduler {own:.2f} ms, this process {mine:.2f} ms each")
        totals = []
        for cases in (args.cases // 4, args.cases):  # the difference is without what a campaign costs once
            meter = Meter.start(scheduler, idle)
            options = FuzzOptions(cases=cases, seconds=None, seed=1, reduce_seconds=0.1)
            fuzz(options, executor=lambda work: Cluster(work, address, 120.0))
            totals.append(meter.costs(1))
        batches = (args.cases - args.cases // 4) // BATCH
        own, mine = ((many - few) / batches for few, many in zip(*totals))
        print(f"{batches} batches of {BATCH} programs: scheduler {own:.2f} ms, this process {mine:.2f} ms each")
        print(f"workers at which the scheduler has no time left: {args.batch / own:.0f}")
        print(f"workers at which the campaign's process has none: {args.batch / mine:.0f}")


if __name__ == "__main__":
    main()
