"""`liftcheck reduce --jobs N`: other processes answer candidates ahead of time, with the result of one.

The one idea: candidates are made as if each before were refused (`reduce/answers.py`), so most of what is asked ahead
is wanted; when one is good, what was asked after it is forgotten. The owner asks, too, and first: so it never waits for
somebody who still answers what was forgotten. Answers count in the order of the candidates,
whichever comes first, so the result does not depend on how many processes there are.
A crew is worth its start only for what takes long: it begins after some seconds, and until it is ready its owner asks
alone. If it cannot start, that stays so. Its processes ignore Ctrl-C and end with it (`execute/local.py`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import Final, Literal, NamedTuple

from liftcheck.campaign.execute.base import ENDING, Death, Done, Executor, Work, Worker
from liftcheck.campaign.execute.local import Pool
from liftcheck.campaign.reduce.answers import Answers, Q, one_by_one

AFTER: Final = 1.5
"""Seconds of one's own after which a crew starts."""
TICK: Final = 0.2
_AHEAD: Final = 4
"""How far, in times of its size, a crew goes ahead of an answer that does not come."""
KILLS: Final = "kill whoever asks"
"""What is objected to a candidate that kills the processes that ask about it."""


class Asked(NamedTuple):
    """A question to the crew: `what` its workers understand, number `number` of search `search`."""

    search: int
    number: int
    what: object


@dataclass(frozen=True, slots=True)
class Asking(Work[Asked, str]):
    """The work of a crew. `opened` gives what answers, in the process that shall answer, and what ends it; `method` as
    for `Pool`."""

    opened: Callable[[], tuple[Callable[[object], str], Callable[[], None]]]
    method: Literal["spawn", "fork"] = "spawn"

    def open(self) -> Worker[Asked, str]:
        """See `Work`."""
        return _Asker(*self.opened())


@dataclass(frozen=True, slots=True)
class _Asker:
    answer: Callable[[object], str]
    end: Callable[[], None]

    def do(self, task: Asked, /) -> str:
        return self.answer(task.what)

    def close(self) -> None:
        self.end()


class Crew:
    """A panel of `size` processes, its owner's among them; the others start `after` seconds. Use it with `with`: none
    outlives that."""

    def __init__(self, work: Asking, size: int, after: float = AFTER) -> None:
        self._size: Final = size
        self._work: Final = work
        self._start_at = time.monotonic() + after if size > 1 else inf
        self._pool: Executor[Asked, str] | None = None
        self._search = 0
        self.asked_ahead = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        pool, self._pool, self._start_at = self._pool, None, inf
        if pool is not None:
            pool.close(TICK)

    @property
    def is_ready(self) -> bool:
        """Whether there are processes that answer; starts them when it is time."""
        try:
            if self._pool is None and time.monotonic() >= self._start_at:
                self._pool = Pool(self._work, self._size - 1, method=self._work.method)
                self._pool.start()
            if self._pool is not None and self._pool.ready_at == inf:
                for _ in self._pool.step(lambda _seat, _idle: None, 0.0):
                    pass
        except ENDING:
            self._stop()
        return self._pool is not None and self._pool.ready_at < inf

    def answers(self, question: Callable[[Q], str], asked: Callable[[Q], object]) -> Answers[Q]:
        """See `Panel`."""
        alone = one_by_one(question)

        def answers(candidates: Iterable[Q | None]) -> Iterator[tuple[Q, str] | None]:
            stream = iter(candidates)
            for candidate in stream:
                if candidate is None:
                    yield None
                elif self.is_ready:
                    is_good = False
                    for given in self._ahead(chain([candidate], stream), question, asked):
                        is_good = not given[1]
                        yield given
                    if is_good:
                        return
                else:
                    (answer,) = alone([candidate])
                    yield answer
                    if answer is not None and not answer[1]:
                        return

        return answers

    def _ahead(
        self, stream: Iterator[Q | None], question: Callable[[Q], str], asked: Callable[[Q], object]
    ) -> Iterator[tuple[Q, str]]:
        """Answers in the order of the stream, of which as much is asked at once as the crew takes. Where the crew ends
        before, its owner goes on."""
        assert self._pool is not None
        self._search += 1
        made: deque[Q] = deque()
        heard: dict[int, str] = {}
        first = count = 0
        is_over = False

        def drawn() -> Q | None:
            nonlocal count, is_over
            is_full = count - first >= _AHEAD * self._size
            found = None if is_over or is_full else next((one for one in stream if one is not None), None)
            is_over = is_over or (found is None and not is_full)
            if found is not None:
                made.append(found)
                count += 1
            return found

        def feed(_seat: int, is_idle: bool) -> Asked | None:
            found = drawn() if is_idle else None
            return None if found is None else Asked(self._search, count - 1, asked(found))

        while not (is_over and first == count):
            own = drawn()
            number = count - 1
            try:
                for event in self._pool.step(feed, TICK if own is None else 0.0):
                    self._hear(event, heard)
            except ENDING:
                self._stop()
                heard = dict(enumerate(map(question, made), first))
                is_over, count = True, first + len(made)
            if own is not None and number not in heard:
                heard[number] = question(own)
            is_over = is_over or "" in heard.values()
            while first in heard:
                answer = heard.pop(first)
                first += 1
                yield made.popleft(), answer
                if not answer:
                    return

    def _hear(self, event: Done[Asked, str] | Death[Asked], heard: dict[int, str]) -> None:
        """Puts down an answer of the crew, if it belongs to the search that is on."""
        task = event.task
        if task is not None and task.search == self._search and (isinstance(event, Done) or event.lost):
            heard[task.number] = event.answer if isinstance(event, Done) else KILLS
            self.asked_ahead += 1
