"""Worker processes on this machine and their supervision: hands out tasks, hears answers, replaces the dead.

The one idea: the pool knows what every worker was given and has not answered. When one dies or falls silent, its first
unanswered task is the guilty one: it is tried once more, then in parts, and a part that kills alone is reported
(`Death`). The other tasks go to other workers as if nothing had happened. No worker outlives `close`: it ignores Ctrl-C
(its parent decides) and ends when its pipe closes.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Generic, Literal, NamedTuple

from liftcheck.campaign.execute.base import ENDING, A, Death, Done, Executor, Feed, T, Work
from liftcheck.campaign.execute.serial import SerialExecutor
from liftcheck.errors import LiftcheckError, Unavailable

DEPTH: Final = 2
"""Tasks that a worker has at a time, so that it never waits for its parent."""
_STARTS_IN_VAIN: Final = 5


class _Message(NamedTuple):
    """From a worker: it is 'ready', has 'done' a task (`value`: the answer), or 'ends' the work (`value`: the
    exception)."""

    kind: Literal["ready", "done", "ends"]
    value: Any = None


@dataclass(slots=True)
class _Given(Generic[T]):
    """A task, and how many workers died of it."""

    task: T
    deaths: int = 0


@dataclass(slots=True)
class _Member(Generic[T]):
    process: BaseProcess
    connection: Connection
    given: deque[_Given[T]] = field(default_factory=deque)
    heard: float = field(default_factory=time.monotonic)
    ready: bool = False


class Pool(Generic[T, A]):
    """The executor of one machine: `size` processes. `silence`: seconds without an answer after which a worker counts
    as hung; `method`: fork starts at once, from a parent without threads, spawn knows nothing of the parent."""

    def __init__(
        self, work: Work[T, A], size: int, silence: float = inf, method: Literal["spawn", "fork"] = "spawn"
    ) -> None:
        self.work = work
        self._size = size
        self._silence = silence
        self._forks = method == "fork"
        self._context: ForkContext | SpawnContext = (
            multiprocessing.get_context("fork") if self._forks else multiprocessing.get_context("spawn")
        )
        self._members: list[_Member[T]] = []
        self._again: deque[_Given[T]] = deque()
        self._vain = 0
        self.ready_at = inf

    def start(self) -> None:
        """Starts the workers."""
        while len(self._members) < self._size:
            self._members.append(self._spawn())

    def _spawn(self) -> _Member[T]:
        ours, theirs = self._context.Pipe()
        copied = [ours, *(member.connection for member in self._members)] if self._forks else []
        process = self._context.Process(
            target=serve, args=(theirs, self.work, copied), daemon=False, name="liftcheck-worker"
        )
        if not self._forks:
            resource_tracker.ensure_running()  # which allows signals when it starts, so not within what follows
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until it ignores Ctrl-C by itself
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Member(process, ours)

    @property
    def seats(self) -> int:
        return self._size

    @property
    def busy(self) -> bool:
        return bool(self._again) or any(member.given for member in self._members)

    def step(self, feed: Feed[T], timeout: float) -> Iterator[Done[T, A] | Death[T]]:
        """Gives work to every worker with room, waits up to `timeout` seconds, and yields what came."""
        for seat, member in enumerate(self._members):
            self._feed(seat, member, feed)
        found = wait([member.connection for member in self._members], timeout)
        for member in list(self._members):
            if member.connection in found:
                yield from self._hear(member)
            elif member.given and time.monotonic() - member.heard > self._silence:
                member.process.kill()
                yield from self._bury(member, f"no answer for {self._silence:.0f} s")

    def _feed(self, seat: int, member: _Member[T], feed: Feed[T]) -> None:
        while len(member.given) < DEPTH:
            given = self._again.popleft() if self._again else self._next(feed(seat, not member.given))
            if given is None:
                return
            if not member.given:
                member.heard = time.monotonic()
            member.given.append(given)
            with contextlib.suppress(OSError):
                member.connection.send(given.task)

    @staticmethod
    def _next(task: T | None) -> _Given[T] | None:
        return None if task is None else _Given(task)

    def _hear(self, member: _Member[T]) -> Iterator[Done[T, A] | Death[T]]:
        try:
            message: _Message = member.connection.recv()
        except (EOFError, OSError):
            yield from self._bury(member, "")
            return
        member.heard = time.monotonic()
        if message.kind == "ends":
            raise message.value
        if message.kind == "ready":
            self._vain = 0
            member.ready = True
            self.ready_at = min(self.ready_at, time.monotonic())
        else:
            yield Done(member.given.popleft().task, message.value)

    def _bury(self, member: _Member[T], why: str) -> Iterator[Death[T]]:
        """Replaces a dead worker and decides about its tasks: it had begun the first, if it was ready at all."""
        member.process.join(5)
        member.connection.close()
        why = why or _cause(member.process.exitcode)
        seat = self._members.index(member)
        if not member.ready:
            self._vain += 1
            if self._vain >= _STARTS_IN_VAIN:
                raise Unavailable(f"workers die at their start ({why}): try `liftcheck doctor`")
        self._members[seat] = self._spawn()
        begun = member.given.popleft() if member.ready and member.given else None
        self._again.extendleft(reversed([given for given in member.given if self.work.is_repeated(given.task)]))
        yield Death(None, why, False, seat) if begun is None else self._blame(begun, why, seat)

    def _blame(self, given: _Given[T], why: str, seat: int) -> Death[T]:
        """Once more, then in parts, then given up."""
        given.deaths += 1
        lost = False
        if not self.work.is_repeated(given.task):
            pass
        elif given.deaths == 1:
            self._again.append(given)
        else:
            parts = self.work.parts(given.task)
            self._again.extend(map(_Given, parts))
            lost = not parts
        return Death(given.task, why, lost, seat)

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


def local(work: Work[T, A], jobs: int) -> Executor[T, A]:
    """This process for one job, else as many processes: for work in which one worker's death need not be survived."""
    return SerialExecutor(work) if jobs == 1 else Pool(work, jobs, method="fork")


def serve(connection: Connection, work: Work[Any, Any], parents: Sequence[Connection] = ()) -> None:
    """The body of a worker process: opens a worker, answers tasks until None or the pipe's end. `parents`: ends that a
    fork has copied; they would keep a pipe open whose parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for end in parents:
        end.close()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        worker = work.open()
    except (LiftcheckError, OSError) as error:
        connection.send(_Message("ends", _portable(error)))
        return
    try:
        collect_less()
        connection.send(_Message("ready"))
        while (task := connection.recv()) is not None:
            connection.send(_attempt(worker.do, task))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        worker.close()


def _attempt(do: Callable[[Any], Any], task: object) -> _Message:
    try:
        return _Message("done", do(task))
    except ENDING as error:
        return _Message("ends", _portable(error))


def _portable(error: Exception) -> Exception:
    """The exception if it can be sent, else its text as an Unavailable."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return Unavailable(str(error))
    return error


def collect_less(every: int = 40_000) -> None:
    """Lets the garbage collector look at new objects alone, and seldom: what a worker keeps (tables, recipes) is
    large, and nearly nothing of what it drops is in cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(every, 20, 20)


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
