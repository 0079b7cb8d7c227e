"""Worker processes and their supervision: hands out tasks, hears answers, replaces the dead.

The one idea: the pool knows what every worker was given and has not answered. When one dies or falls silent, its first
unanswered task is the guilty one: it is tried once more, then case by case, and a case that kills alone is reported by
name (`Death`). The other tasks go to other workers as if nothing had happened. No worker outlives `close`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck.campaign.execute import worker
from liftcheck.campaign.execute.worker import Answer, Task
from liftcheck.campaign.options import FuzzOptions, batch_cases
from liftcheck.errors import Unavailable
from liftcheck.oracles.hooks import Hooks

DEPTH: Final = 2
"""Tasks that a worker has at a time, so that it never waits for its parent."""
SILENCE: Final = 120.0
"""Seconds without an answer after which a worker counts as hung."""
_STARTS_IN_VAIN: Final = 5
_REPEATED: Final = ("batch", "case")
"""Kinds of tasks that are tried again when their worker dies."""
Feed = Callable[[int, bool], Task | None]


class Death(NamedTuple):
    """A worker that died or hung. `lost` says that its task is given up, else it will be tried again; slices of
    reductions never are by the pool: what went before them died with the worker at `seat`."""

    task: Task | None
    why: str
    lost: bool
    seat: int


@dataclass(slots=True)
class _Member:
    process: BaseProcess
    connection: Connection
    tasks: deque[Task] = field(default_factory=deque)
    heard: float = field(default_factory=time.monotonic)
    ready: bool = False


class Pool:
    """`size` workers. `step` drives it: gives answers and deaths as they come, asks `feed` for more tasks."""

    def __init__(self, options: FuzzOptions, hooks: Callable[[], Hooks] | None = None) -> None:
        self.options = options
        self.hooks = hooks
        self._context = multiprocessing.get_context("spawn")
        self._members: list[_Member] = []
        self._again: deque[Task] = deque()
        self._tries: dict[object, int] = {}
        self._vain = 0
        self.ready_at = inf
        """The moment when the first worker was, by the monotonic clock."""

    def start(self) -> None:
        """Starts the workers."""
        while len(self._members) < self.options.jobs:
            self._members.append(self._spawn())

    def _spawn(self) -> _Member:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=worker.main, args=(theirs, self.options, self.hooks), daemon=False, name="liftcheck-worker"
        )
        process.start()
        theirs.close()
        return _Member(process, ours)

    @property
    def busy(self) -> bool:
        """Whether anything is being worked on or waits to be tried again."""
        return bool(self._again) or any(member.tasks for member in self._members)

    def step(self, feed: Feed, timeout: float) -> Iterator[Answer | Death]:
        """Gives work to whoever has room, waits up to `timeout` seconds, and yields what came.

        `feed(seat, idle)` gives the next task for the worker at a seat, or None. A big task (a finding) may be given to
        an idle worker only: a busy one may itself be sending, and two full pipes would wait for each other.
        """
        for seat, member in enumerate(self._members):
            self._feed(seat, member, feed)
        found = wait([member.connection for member in self._members], timeout)
        for member in list(self._members):
            if member.connection in found:
                yield from self._hear(member)
            elif member.tasks and time.monotonic() - member.heard > SILENCE:
                member.process.kill()
                yield from self._bury(member, f"no answer for {SILENCE:.0f} s")

    def _feed(self, seat: int, member: _Member, feed: Feed) -> None:
        while len(member.tasks) < DEPTH:
            idle = not member.tasks
            task = self._again.popleft() if self._again else feed(seat, idle)
            if task is None:
                return
            if not member.tasks:
                member.heard = time.monotonic()
            member.tasks.append(task)
            with contextlib.suppress(OSError):
                member.connection.send(task)

    def _hear(self, member: _Member) -> Iterator[Answer | Death]:
        try:
            answer: Answer = member.connection.recv()
        except (EOFError, OSError):
            yield from self._bury(member, "")
            return
        member.heard = time.monotonic()
        if answer.fatal:
            raise Unavailable(answer.fatal)
        if answer.task is None:
            self._vain = 0
            member.ready = True
            self.ready_at = min(self.ready_at, time.monotonic())
            return
        member.tasks.popleft()
        self._tries.pop(_identity(answer.task), None)
        yield answer

    def _bury(self, member: _Member, why: str) -> Iterator[Death]:
        """Replaces a dead worker and decides about its tasks."""
        member.process.join(5)
        member.connection.close()
        why = why or _cause(member.process.exitcode)
        if not member.ready:
            self._vain += 1
            if self._vain >= _STARTS_IN_VAIN:
                raise Unavailable(f"workers die at their start ({why}): try `liftcheck doctor`")
        seat = self._members.index(member)
        self._members[seat] = self._spawn()
        if not member.tasks:
            yield Death(None, why, False, seat)
            return
        guilty, *rest = member.tasks
        self._again.extendleft(reversed([task for task in rest if task.kind in _REPEATED]))
        yield self._blame(guilty, why, seat)

    def _blame(self, task: Task, why: str, seat: int) -> Death:
        """Once more, then case by case, then given up."""
        if task.kind not in _REPEATED:
            return Death(task, why, False, seat)
        key = _identity(task)
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        if tries == 1:
            self._again.append(task)
            return Death(task, why, False, seat)
        if task.kind == "batch":
            self._again.extend(task._replace(kind="case", case=case) for case in batch_cases(self.options, task.number))
            return Death(task, why, False, seat)
        return Death(task, why, True, seat)

    def close(self, patience: float = 2.0) -> None:
        """Ends all workers: by asking, then by signals. What they started ends with them."""
        for member in self._members:
            with contextlib.suppress(OSError):
                member.connection.send(None)
        deadline = time.monotonic() + patience
        for member in self._members:
            member.process.join(max(0.0, deadline - time.monotonic()))
        for member in self._members:
            if member.process.is_alive():
                member.process.terminate()
        for member in self._members:
            member.process.join(1.0)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            member.connection.close()
        self._members.clear()


def _identity(task: Task) -> tuple[str, int, int, int]:
    return task.kind, task.number, task.case, task.ident


def _cause(code: int | None) -> str:
    if code is None:
        return "it closed its pipe"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that still run (Linux)."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = (place / "stat").read_text(encoding="ascii", errors="replace")
                if int(text.rpartition(")")[2].split()[1]) == pid:
                    found.append(int(place.name))
    return found
