"""What it is to spread work: tasks out to workers, answers and deaths back. The seam between a campaign and machines.

The one idea: who asks (`fuzz`, `test`, `regalloc`) says what a worker is and what a task is (`Work`), and pulls events
out of an `Executor`; how many processes there are, where they run and how they die is the executor's business alone.
So another executor is one file with one class. There are three: `local.Pool` (processes that may die),
`cluster.Cluster` (of many machines) and `serial.SerialExecutor` (this process; the shortest example).

`Work` and tasks cross process borders: they must be picklable. This module imports nothing of what it carries.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from liftcheck.errors import Unavailable, UsageError

T = TypeVar("T")
A = TypeVar("A")
T_in = TypeVar("T_in", contravariant=True)
A_out = TypeVar("A_out", covariant=True)
H = TypeVar("H", bound=Hashable)

ENDING: Final = (Unavailable, UsageError, OSError)
"""What a worker may raise: a gap of the machine or a wrong command line ends the work, and is raised in the parent."""
TICK: Final = 0.2
"""Seconds that `spread` waits for events, and for workers to end."""

Feed = Callable[[int, bool], "T | None"]
"""`feed(seat, idle)`: the next task for the worker at a seat, or None. Big tasks are for idle workers: a busy one may
be sending itself, and two full pipes would wait for each other."""


class Worker(Protocol[T_in, A_out]):
    """Does tasks, one after the other, and keeps between them what is worth keeping (a compiler, runners).

    `do` raises only what ends the whole work (`ENDING`); anything else is as if the worker had died.
    """

    def do(self, task: T_in, /) -> A_out: ...

    def close(self) -> None: ...


class Work(Protocol[T, A_out]):
    """What there is to do: picklable. Inherit from it for the defaults."""

    def open(self) -> Worker[T, A_out]:
        """A new worker, in the process in which it shall work: import its code here, not at the top."""
        ...

    def is_repeated(self, task: T, /) -> bool:
        """Whether a task is tried again when its worker dies."""
        return True

    def moved(self, task: T, seconds: float, /) -> T:
        """The task for a machine whose monotonic clock is `seconds` ahead."""
        return task

    def maker(self) -> str:
        """What must be the same on every machine: the program that does the work."""
        return ""

    def parts(self, task: T, /) -> Sequence[T]:
        """The smaller tasks that a task which killed two workers is tried as; () gives it up."""
        return ()


@dataclass(frozen=True, slots=True)
class Done(Generic[T, A]):
    """A task and what came of it."""

    task: T
    answer: A


@dataclass(frozen=True, slots=True)
class Death(Generic[T]):
    """A worker that died or hung, at `seat`. `lost` says that its task is given up. Else it will be tried again, unless
    it is none that is repeated: what such tasks had made in that worker is gone."""

    task: T | None
    why: str
    lost: bool
    seat: int


class Executor(Protocol[T, A]):
    """Workers at seats 0, 1, …; nothing happens outside `start`, `step`, `close`, all called by one thread."""

    ready_at: float
    """The moment when the first worker was ready, by the monotonic clock; inf before."""

    @property
    def seats(self) -> int:
        """How many workers there are, at least one."""
        ...

    @property
    def busy(self) -> bool:
        """Whether anything is being worked on or waits to be tried again."""
        ...

    def start(self) -> None: ...

    def step(self, feed: Feed[T], timeout: float) -> Iterator[Done[T, A] | Death[T]]:
        """Gives work to every worker with room, waits up to `timeout` seconds, yields what came. Raises what ends the
        work: what a worker raised (`ENDING`), `Unavailable` if workers die at their start."""
        ...

    def close(self, patience: float = 2.0) -> None:
        """Ends all workers and what they started, after `patience` seconds by force."""
        ...


def spread(
    executor: Executor[H, A],
    tasks: Sequence[H],
    take: Callable[[Done[H, A] | Death[H]], None],
    cost: Callable[[H], float] = lambda _: 0.0,
) -> None:
    """Does all tasks (different ones, of work that has no parts), the costliest first. `take` gets each done or lost,
    in the order of the tasks, whichever is ready first. However it ends, Ctrl-C included, no worker outlives it."""
    places = {task: place for place, task in enumerate(tasks)}
    waiting = iter(sorted(tasks, key=cost, reverse=True))
    early: dict[int, Done[H, A] | Death[H]] = {}
    taken = 0
    try:
        executor.start()
        while taken < len(tasks):
            for event in executor.step(lambda _seat, _idle: next(waiting, None), TICK):
                if event.task is not None and (isinstance(event, Done) or event.lost):
                    early[places[event.task]] = event
            while taken in early:
                take(early.pop(taken))
                taken += 1
    finally:
        executor.close(TICK)
