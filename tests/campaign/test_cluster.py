"""Dask's workers as an executor: a scheduler and workers in processes of their own, killed while they work."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
from support import campaign_hooks
from support.toy_work import ToyWork

from liftcheck.campaign.execute import cluster
from liftcheck.campaign.execute.base import Death, Done, spread
from liftcheck.campaign.execute.cluster import Cluster
from liftcheck.campaign.execute.local import children
from liftcheck.campaign.execute.tasks import Task
from liftcheck.campaign.execute.work import FuzzWork
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.campaign.run import fuzz
from liftcheck.errors import Unavailable, UsageError

distributed = pytest.importorskip("distributed")
Event = Done[str, str] | Death[str]
DASK = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard", "--nthreads", "1"]
SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--host", "127.0.0.1"]


def running(words: Sequence[str]) -> subprocess.Popen[bytes]:
    roots = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    return subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def below(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *below(child))]


@contextlib.contextmanager
def ended(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends them and what they started."""
    try:
        yield
    finally:
        for process in processes:
            for pid in [*below(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def scheduling() -> Iterator[str]:
    """The address of a scheduler without workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scheduler = running([*SCHEDULER, "--port", str(port)])
    with ended(scheduler):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _answers(port):
            time.sleep(0.2)
        yield f"tcp://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with scheduling() as place:
        yield place


@pytest.fixture(scope="module")
def workers(address: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two workers, each in a process without a nanny that would replace it."""
    started = [running([*DASK, "--no-nanny", address]) for _ in range(2)]
    with ended(*started):
        yield started


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def done(executor: Cluster[str, str], tasks: Sequence[str]) -> list[Event]:
    events: list[Event] = []
    spread(executor, tasks, events.append)
    return events


def answers(events: Sequence[Event]) -> list[str]:
    return [event.answer.split()[0] for event in events if isinstance(event, Done)]


def test_answers_come_in_the_order_of_the_tasks() -> None:
    """Of a scheduler and two workers in this process; only their seats' processes are others."""
    words = ["slow", "b", "c", "d", "e"]
    made = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**made) as cluster_here:
        assert answers(done(Cluster(ToyWork(), cluster_here.scheduler_address, inf), words)) == words


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_answers_of_other_processes_come_in_the_order_of_the_tasks(address: str) -> None:
    words = ["slow", "b", "c", "d", "e"]
    assert answers(done(Cluster(ToyWork(), address, inf), words)) == words


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_what_a_worker_lacks_ends_the_work(address: str) -> None:
    for work, tasks in ((ToyWork("missing"), ["a"]), (ToyWork(), ["a", "missing", "b"])):
        with pytest.raises(Unavailable, match="install it"):
            done(Cluster(work, address, inf), tasks)


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_a_task_that_kills_its_process_is_given_up_alone(address: str) -> None:
    events = done(Cluster(ToyWork(), address, inf), ["a", "die", "b", "c"])
    assert answers(events) == ["a", "b", "c"]
    assert [(event.task, event.lost) for event in events if isinstance(event, Death)] == [("die", True)]


@pytest.mark.slow
def test_workers_come_and_go_and_no_task_is_lost(
    address: str, workers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is killed while it works, its tasks are done by the other and by a third that comes."""
    executor: Cluster[str, str] = Cluster(ToyWork(), address, inf)
    mine = running([*DASK, "--no-nanny", address])
    late: list[subprocess.Popen[bytes]] = []

    gone: list[str] = []
    leave = Cluster._leave
    monkeypatch.setattr(Cluster, "_leave", lambda self, seat: gone.append(seat.address) or leave(self, seat))

    def change() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and sum(bool(seat.given) for seat in executor._seats.values()) < 3:
            time.sleep(0.1)
        mine.kill()
        late.append(running([*DASK, "--no-nanny", address]))

    with ended(mine):
        changer = threading.Thread(target=change)
        changer.start()
        events: list[Event] = []
        tasks = [f"{number} slow" for number in range(60)]
        spread(executor, tasks, events.append)
        changer.join()
    with ended(*late):
        assert [event.task for event in events] == tasks
        assert all(isinstance(event, Done) for event in events) and len(gone) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_nothing_is_left_on_the_workers(address: str, workers: list[subprocess.Popen[bytes]]) -> None:
    done(Cluster(ToyWork(), address, inf), ["a", "b"])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(_ours(worker.pid) for worker in workers):
        time.sleep(0.2)
    assert [_ours(worker.pid) for worker in workers] == [[], []]


def _ours(pid: int) -> list[int]:
    return [one for one in below(pid) if "spawn_main" in _words(one)]


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_another_liftcheck_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    executor: Cluster[str, str] = Cluster(ToyWork(), address, inf)
    monkeypatch.setattr(ToyWork, "maker", lambda _: "0.0.0 (another)")
    with pytest.raises(UsageError, match="runs another liftcheck"):
        done(executor, ["a"])


def test_a_worker_of_another_liftcheck_opens_no_seat() -> None:
    with pytest.raises(UsageError, match=r"runs another liftcheck: .*but this is 0\.0\.0"):
        cluster.opened("y", 1, ToyWork(), "0.0.0 (another)", inf)
    assert ("y", 1) not in cluster._KEPT


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1: no Dask scheduler answers .*dask scheduler"):
        Cluster(ToyWork(), "tcp://127.0.0.1:1", inf).start()


def test_a_task_s_moments_are_moved_to_the_worker_s_clock() -> None:
    work = FuzzWork(FuzzOptions())
    assert work.moved(Task("batch", 7, until=100.0), 20.0) == Task("batch", 7, until=120.0)
    assert work.moved(Task("batch", 7), -20.0).until == inf


def test_a_seat_that_nobody_asks_any_more_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its campaign was killed, and could not say that it ends."""
    monkeypatch.setattr(cluster, "ALONE", 0.5)
    monkeypatch.setattr(cluster, "LOOK", 0.1)
    cluster.opened("x", 1, ToyWork(), "", inf)
    (kept,) = [kept for key, kept in cluster._KEPT.items() if key == ("x", 1)]
    (member,) = kept.pool._members
    deadline = time.monotonic() + 20
    while member.process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not cluster._KEPT


def verdicts(report: FuzzReport) -> dict[str, Any]:
    """What may not depend on who did the work."""
    tally = report.tally
    return {
        "pairs": tally.pairs,
        "agreed": tally.agreed,
        "disagreed": tally.disagreed,
        "undecided": tally.undecided,
        "executed": tally.executed,
        "findings": {f.key: (f.number, f.count, f.reduced, f.note) for f in report.findings},
    }


@pytest.mark.needs_compiler
def test_a_campaign_on_a_cluster_whose_worker_is_killed_has_the_same_verdicts(tmp_path: Path) -> None:
    """One of two workers is killed, and the process of the other. They have what this test has, as they are its own."""
    options = FuzzOptions(
        isas=("riscv64",), cases=160, seed=5, seconds=None, jobs=2, sweep=False, reduce_seconds=1.0, out=tmp_path / "a"
    )
    here = fuzz(options, hooks=campaign_hooks.code_is_wrong)

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not all(len(below(worker.pid)) > 2 for worker in workers):
            time.sleep(0.1)
        time.sleep(2.0)
        workers[0].kill()
        time.sleep(1.0)
        for pid in _ours(workers[1].pid):
            os.kill(pid, signal.SIGKILL)

    with scheduling() as address:
        workers = [running([*DASK, "--no-nanny", address]) for _ in range(2)]
        killer = threading.Thread(target=kill)
        with ended(*workers):
            killer.start()
            there = fuzz(
                replace(options, out=tmp_path / "b"),
                hooks=campaign_hooks.code_is_wrong,
                executor=lambda work: Cluster(work, address, 120.0),
            )
            killer.join()
    assert there.deaths > 0
    assert verdicts(there) == verdicts(here) and here.findings
    assert {p.name for p in (tmp_path / "a").iterdir()} == {p.name for p in (tmp_path / "b").iterdir()}
