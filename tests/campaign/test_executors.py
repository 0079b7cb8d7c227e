"""Executors: what every one of them promises, shown on toy work; what processes survive; a campaign on another one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest
from support.toy_work import ToyWork

from liftcheck.campaign.execute.base import Death, Done, Executor, Work, spread
from liftcheck.campaign.execute.local import Pool, children
from liftcheck.campaign.execute.serial import SerialExecutor
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.campaign.run import fuzz
from liftcheck.errors import Unavailable

Event = Done[str, str] | Death[str]


EXECUTORS: dict[str, Callable[[Work[str, str]], Executor[str, str]]] = {
    "serial": SerialExecutor,
    "one process": lambda work: Pool(work, 1),
    "two processes": lambda work: Pool(work, 2),
    "two forks": lambda work: Pool(work, 2, method="fork"),
}  # fmt: skip


def done(executor: Executor[str, str], tasks: Sequence[str]) -> list[Event]:
    events: list[Event] = []
    spread(executor, tasks, events.append)
    return events


def answers(events: Sequence[Event]) -> list[str]:
    return [event.answer.split()[0] for event in events if isinstance(event, Done)]


@pytest.mark.parametrize("name", EXECUTORS)
def test_answers_come_in_the_order_of_the_tasks(name: str) -> None:
    words = ["slow", "b", "c", "d", "e"]
    assert answers(done(EXECUTORS[name](ToyWork()), words)) == words


@pytest.mark.parametrize("name", ["serial", "one process"])
def test_a_worker_keeps_its_state_and_costly_tasks_come_first(name: str) -> None:
    events: list[Event] = []
    spread(EXECUTORS[name](ToyWork()), ["a", "bbb", "cc"], events.append, cost=len)
    assert [event.answer for event in events if isinstance(event, Done)] == ["a 3", "bbb 1", "cc 2"]


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("work, tasks", [(ToyWork("missing"), ["a"]), (ToyWork(), ["a", "missing", "b"])])
def test_what_the_machine_lacks_ends_the_work(name: str, work: ToyWork, tasks: list[str]) -> None:
    before = children(os.getpid())
    with pytest.raises(Unavailable, match="install it"):
        done(EXECUTORS[name](work), tasks)
    assert len(children(os.getpid())) <= max(1, len(before))  # multiprocessing keeps one process of its own


@pytest.mark.parametrize("word", ["die", "bug"])
def test_a_task_that_kills_is_tried_twice_and_given_up_alone(word: str) -> None:
    events = done(Pool(ToyWork(), 1), ["a", word, "b", "c"])
    assert answers(events) == ["a", "b", "c"]
    assert [(event.task, event.lost) for event in events if isinstance(event, Death)] == [(word, True)]
    assert "exit code" in str(events[1])


def stepped(work: ToyWork, tasks: Sequence[str], silence: float = inf) -> list[Event]:
    """All events of a pool of one, the deaths of which nothing is lost too."""
    pool, waiting, events = Pool(work, 1, silence), iter(tasks), []
    try:
        pool.start()
        while True:
            events += pool.step(lambda _seat, _idle: next(waiting, None), 0.2)
            if not pool.busy and events:
                return events
    finally:
        pool.close(0.2)


def test_a_task_that_kills_twice_is_tried_in_parts() -> None:
    events = stepped(ToyWork(), ["x+die", "c"])
    deaths = [(event.task, event.lost) for event in events if isinstance(event, Death)]
    assert deaths == [("x+die", False), ("x+die", False), ("die", False), ("die", True)]
    assert sorted(answers(events)) == ["c", "x"]


def test_a_task_that_is_not_repeated_is_told_once() -> None:
    events = stepped(ToyWork(), ["once die", "c"])
    assert [(event.task, event.lost) for event in events if isinstance(event, Death)] == [("once die", False)]
    assert answers(events) == ["c"]


def test_a_worker_that_hangs_is_replaced() -> None:
    events = stepped(ToyWork(), ["hang", "c"], silence=1.0)
    assert [event.why for event in events if isinstance(event, Death)] == ["no answer for 1 s"] * 2
    assert answers(events) == ["c"]


def test_workers_that_die_at_their_start_end_the_work() -> None:
    with pytest.raises(Unavailable, match="workers die at their start"):
        done(Pool(ToyWork("die"), 1), ["a"])


FIRST = """
import os, signal, time
from liftcheck.campaign.execute.local import Pool
from support.toy_work import ToyWork
if __name__ == "__main__":
    pool = Pool(ToyWork(), 2)
    pool.start()
    time.sleep(0.1)
    for member in pool._members:
        os.kill(member.process.pid, signal.SIGINT)
    tasks, events = iter("abcd"), []
    while len(events) < 4:
        events += pool.step(lambda seat, idle: next(tasks, None), 1.0)
    pool.close()
    print([type(event).__name__ for event in events])
"""


def test_ctrl_c_does_not_reach_workers_that_start(tmp_path: Path) -> None:
    """Nor the very first one of a process, for which Python starts a helper of its own."""
    script = tmp_path / "first.py"
    script.write_text(FIRST, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=120,
    )
    assert (ended.stdout, ended.stderr) == ("['Done', 'Done', 'Done', 'Done']\n", "")


def test_an_interrupt_leaves_no_worker() -> None:
    def interrupted(_event: Any) -> None:
        raise KeyboardInterrupt

    pool: Pool[str, str] = Pool(ToyWork(), 2)
    with pytest.raises(KeyboardInterrupt):
        spread(pool, ["a", "hang", "b"], interrupted)
    assert not pool.busy and not any(name.startswith("liftcheck-worker") for name in map(_name, _ours()))


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_workers_end_with_their_parent(method: str) -> None:
    """A parent that is killed closes nothing: the pipes' ends do."""
    code = (
        "import os, time; from liftcheck.campaign.execute.local import Pool, children\n"
        "from support.toy_work import ToyWork\n"
        f"if __name__ == '__main__':\n    pool = Pool(ToyWork(), 2, method={method!r}); pool.start()\n"
        "    tasks = iter('abcd')\n"
        "    count = 0\n    while count < 4: count += len(list(pool.step(lambda *_: next(tasks, None), 0.1)))\n"
        "    print(*[m.process.pid for m in pool._members], flush=True); os.kill(os.getpid(), 9)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    workers = [int(pid) for pid in done.stdout.split()]
    assert len(workers) == 2, done.stderr
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_runs(pid) for pid in workers)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _ours() -> list[int]:
    return children(os.getpid())


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") if Path(f"/proc/{pid}").exists() else ""


def test_who_hands_out_tasks_imports_no_worker() -> None:
    code = "import sys, liftcheck.campaign.execute.work; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = ("unicorn", "z3", "liftcheck.generators", "liftcheck.campaign.execute.worker", "liftcheck.campaign.planner")
    assert [name for name in heavy if name in loaded] == []


def verdicts(report: FuzzReport) -> dict[str, object]:
    tally = report.tally
    return {"pairs": tally.pairs, "agreed": tally.agreed, "undecided": tally.undecided, "executed": tally.executed}


@pytest.mark.needs_compiler
def test_a_campaign_on_another_executor_has_the_same_verdicts() -> None:
    options = FuzzOptions(isas=("x86-64",), cases=64, seed=5, seconds=None, runners=("unicorn",))
    alone = fuzz(options, executor=SerialExecutor)
    spawned = fuzz(options)
    assert alone.tally.programs == spawned.tally.programs == 64
    assert verdicts(alone) == verdicts(spawned)
