"""The executor without processes: one worker, here. For `--jobs 1` where a death need not be survived, and for tests.

It is the whole of what an executor must be: `start`, `step`, `busy`, `close`, `seats`, `ready_at`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from typing import Generic

from liftcheck.campaign.execute.base import A, Done, Feed, T, Work, Worker


class SerialExecutor(Generic[T, A]):
    """One worker in this process; a task is done within `step`."""

    def __init__(self, work: Work[T, A]) -> None:
        self.work = work
        self.ready_at = inf
        self._worker: Worker[T, A] | None = None

    @property
    def seats(self) -> int:
        return 1

    @property
    def busy(self) -> bool:
        return False

    def start(self) -> None:
        self._worker = self.work.open()
        self.ready_at = time.monotonic()

    def step(self, feed: Feed[T], timeout: float) -> Iterator[Done[T, A]]:
        assert self._worker is not None
        task = feed(0, True)
        if task is None:
            time.sleep(timeout)
        else:
            yield Done(task, self._worker.do(task))

    def close(self, patience: float = 2.0) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
