"""Workers of a Dask cluster: processes on any machines, that come and go while a campaign runs.

The one idea: a thread of a Dask worker is a seat. On the worker's machine it keeps one process of its own (a `Pool` of
one), so a task that takes its process down costs the cluster nothing, and what a pool decides of deaths it decides
there. What goes through the scheduler is a task and the events that came of it. A Dask worker that leaves is no task's
fault: its tasks go to others, and what it had begun is begun anew.
Compilers are built once a machine: their cache has a lock. Clocks differ between machines, so a task's moments are
moved by the difference, which is measured when a seat opens.
Needs `liftcheck[cluster]`, and the same liftcheck everywhere, which is checked.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Final, Generic

from liftcheck.campaign.execute.base import ENDING, A, Death, Done, Feed, T, Work
from liftcheck.campaign.execute.local import Pool
from liftcheck.errors import Unavailable, UsageError

LOOK: Final = 1.0
"""Seconds between two looks at which workers there are."""
ANSWER: Final = 10.0
"""Seconds to wait for the scheduler's answer."""
FIRST: Final = 60.0
"""Seconds to wait for the first worker."""
ALONE: Final = 300.0
"""Seconds without a task after which a worker's machine ends the process of a seat: its campaign was killed."""

Event = Done[Any, Any] | Death[Any]


# -- on the worker


@dataclass(slots=True)
class _Kept:
    """A seat's process, when it was last asked, and whether it is to end."""

    pool: Pool[Any, Any]
    used: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_over: bool = False


_KEPT: Final[dict[tuple[str, int], _Kept]] = {}
_OVER: Final[set[str]] = set()
"""Campaigns that have ended: a task of theirs that comes late opens nothing."""
_GUARD: Final = threading.Lock()


@contextlib.contextmanager
def _with_children() -> Iterator[None]:
    """Dask's workers are daemons, which may not start processes; ours end with their pipe, so they may."""
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    was = config.pop("daemon", None)
    try:
        yield
    finally:
        if was is not None:
            config["daemon"] = was


def opened(campaign: str, seat: int, work: Work[Any, Any], maker: str, silence: float) -> float:
    """Opens a seat on this machine, and says what time it is here."""
    if maker != work.maker():
        raise UsageError(f"a worker of the cluster runs another liftcheck: {work.maker()}, but this is {maker}")
    kept = _kept(campaign, seat, work, silence)
    with kept.lock, _with_children():
        while kept.pool.ready_at == inf and not kept.is_over:
            for _ in kept.pool.step(lambda _seat, _idle: None, LOOK):
                pass
    return time.monotonic()


def _kept(campaign: str, seat: int, work: Work[Any, Any], silence: float) -> _Kept:
    with _GUARD, _with_children():
        known = _KEPT.get((campaign, seat))
        if campaign in _OVER:
            raise Unavailable("the campaign has ended")
        if known is None:
            pool: Pool[Any, Any] = Pool(work, 1, silence)
            pool.start()
            known = _KEPT[campaign, seat] = _Kept(pool, time.monotonic())
            threading.Thread(target=_watch, args=(campaign, seat), daemon=True).start()
        return known


def _watch(campaign: str, seat: int) -> None:
    """Ends a seat's process when it is no longer asked for."""
    while (kept := _KEPT.get((campaign, seat))) is not None:
        if time.monotonic() - kept.used > ALONE and not kept.lock.locked():
            _end(campaign, seat)
        time.sleep(LOOK)


def attempt(campaign: str, seat: int, work: Work[Any, Any], task: Any, offset: float, silence: float) -> list[Event]:
    """Does one task in a seat's process. The events that came of it; None stands for the task itself."""
    kept = _kept(campaign, seat, work, silence)
    here = work.moved(task, offset)
    given, events = [here], list[Event]()
    with kept.lock, _with_children():
        while (given or kept.pool.busy) and not kept.is_over:
            for event in kept.pool.step(lambda _seat, _idle: given.pop() if given else None, LOOK):
                events.append(replace(event, task=None) if event.task is here else event)
            kept.used = time.monotonic()
    return events


def forget(campaign: str) -> None:
    """Ends the processes of a campaign on this machine, soon: this is called where nothing may be waited for."""
    with _GUARD:
        _OVER.add(campaign)
        seats = [seat for known, seat in _KEPT if known == campaign]
    for seat in seats:
        threading.Thread(target=_end, args=(campaign, seat)).start()


def _end(campaign: str, seat: int) -> None:
    with _GUARD:
        kept = _KEPT.pop((campaign, seat), None)
    if kept is not None:
        kept.is_over = True
        with kept.lock:
            kept.pool.close(0.2)


# -- on the campaign's machine


@dataclass(slots=True, eq=False)
class _Seat(Generic[T]):
    """A thread of a worker. `offset`: its clock, less ours; `depth`: tasks that it is given at a time."""

    number: int
    address: str
    depth: int
    given: dict[str, tuple[T, Any]] = field(default_factory=dict)
    opening: Any = None
    asked: float = 0.0
    offset: float = 0.0
    is_ready: bool = False


class Cluster(Generic[T, A]):
    """The executor of the Dask scheduler at an address."""

    def __init__(self, work: Work[T, A], address: str, silence: float) -> None:
        self.work = work
        self.address = address
        self.ready_at = inf
        self._silence = silence
        self._campaign = uuid.uuid4().hex
        self._client: Any = None
        self._seats: dict[int, _Seat[T]] = {}
        self._again: deque[T] = deque()
        self._heard: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._numbers = 0
        self._looked = 0.0

    @property
    def seats(self) -> int:
        return max(1, len(self._seats))

    @property
    def busy(self) -> bool:
        return bool(self._again) or any(seat.given for seat in self._seats.values())

    def start(self) -> None:
        """Connects, and waits for a first worker."""
        try:
            from distributed import Client
        except ImportError:
            raise Unavailable("--scheduler needs Dask: pip install 'liftcheck[cluster]'") from None
        try:
            self._client = Client(self.address, timeout=ANSWER, set_as_default=False)
            self._client.wait_for_workers(1, timeout=FIRST)
        except (OSError, TimeoutError, ValueError) as error:
            missing = "no worker has come" if self._client is not None else f"no Dask scheduler answers ({error})"
            raise Unavailable(
                f"{self.address}: {missing}; `dask scheduler` starts one, `dask worker ADDRESS --nthreads 1 "
                "--nworkers N` workers"
            ) from None
        for _ in self._look():
            pass

    def step(self, feed: Feed[T], timeout: float) -> Iterator[Done[T, A] | Death[T]]:
        """Gives work to every seat with room, waits up to `timeout` seconds, and yields what came."""
        yield from self._look()
        for seat in list(self._seats.values()):
            self._feed(seat, feed)
        with contextlib.suppress(queue.Empty):
            yield from self._hear(*self._heard.get(timeout=timeout))
            while True:
                yield from self._hear(*self._heard.get_nowait())

    def _look(self) -> Iterator[Death[T]]:
        """Seats of new workers, deaths of those that left."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        try:
            there: dict[str, int] = self._client.nthreads()
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{self.address}: the scheduler is gone ({error}); `--resume` goes on") from None
        for seat in [seat for seat in self._seats.values() if seat.address not in there]:
            yield self._leave(seat)
        known = {seat.address for seat in self._seats.values()}
        for address, threads in there.items():
            if address not in known:
                for _ in range(threads):
                    self._open(address, 2 if threads == 1 else 1)

    def _open(self, address: str, depth: int) -> None:
        self._numbers += 1
        seat = self._seats[self._numbers] = _Seat(self._numbers, address, depth, asked=time.monotonic())
        seat.opening = self._submit(seat, opened, self.work, self.work.maker(), self._silence)

    def _submit(self, seat: _Seat[T], function: Any, *arguments: Any) -> Any:
        key = f"liftcheck-{uuid.uuid4().hex}"
        where = {"workers": [seat.address], "allow_other_workers": False, "pure": False, "key": key}
        future = self._client.submit(function, self._campaign, seat.number, *arguments, **where)
        future.add_done_callback(lambda done: self._heard.put((seat.number, done)))
        return future

    def _leave(self, seat: _Seat[T]) -> Death[T]:
        """A worker is gone: others do its tasks."""
        del self._seats[seat.number]
        tasks = [task for task, _ in seat.given.values()]
        self._again.extendleft(reversed([task for task in tasks if self.work.is_repeated(task)]))
        self._client.cancel([future for _, future in seat.given.values()], force=True)
        return Death(None, f"the worker at {seat.address} is gone", False, seat.number)

    def _feed(self, seat: _Seat[T], feed: Feed[T]) -> None:
        while seat.is_ready and len(seat.given) < seat.depth:
            task = self._again.popleft() if self._again else feed(seat.number, not seat.given)
            if task is None:
                return
            future = self._submit(seat, attempt, self.work, task, seat.offset, self._silence)
            seat.given[future.key] = task, future

    def _hear(self, number: int, future: Any) -> Iterator[Done[T, A] | Death[T]]:
        seat = self._seats.get(number)
        if seat is None or future.status == "cancelled":
            return
        if future.status == "error":
            yield from self._failed(seat, future.exception())
        elif future is seat.opening:
            seat.offset = future.result() - (seat.asked + time.monotonic()) / 2
            seat.is_ready, seat.opening = True, None
            self.ready_at = min(self.ready_at, time.monotonic())
        elif future.key in seat.given:
            task, _ = seat.given.pop(future.key)
            for event in future.result():
                mine = task if event.task is None else event.task
                yield Done(mine, event.answer) if isinstance(event, Done) else replace(event, task=mine, seat=number)

    def _failed(self, seat: _Seat[T], error: BaseException) -> Iterator[Death[T]]:
        """What the work raised ends it; anything else is the worker's, which is left."""
        if isinstance(error, ENDING):
            raise error
        from distributed.scheduler import KilledWorker

        if not isinstance(error, KilledWorker):
            raise Unavailable(f"a worker of {self.address} failed: {type(error).__name__}: {error}")
        yield self._leave(seat)

    def close(self, patience: float = 2.0) -> None:
        """Ends what was started on the workers' machines."""
        if self._client is None:
            return
        with contextlib.suppress(Exception):  # a scheduler that is gone has no workers either
            self._client.cancel([future for seat in self._seats.values() for _, future in seat.given.values()])
            self._client.run(forget, self._campaign, on_error="ignore")
        with contextlib.suppress(Exception):
            self._client.close(timeout=patience)
        self._client = None
        self._seats.clear()
