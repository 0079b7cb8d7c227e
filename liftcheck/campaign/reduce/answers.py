"""How a reducer's candidates are answered: one by one, or several at once, with the same result.

The one idea: who proposes gives a stream of candidates, made as if each before were refused, and hears the answers in
their order, as far as the first candidate that is good: from there on the stream is another one. So it makes no
difference whether the next candidate is made when its forerunner was answered, or long before, by somebody who asks
ahead (`campaign/crew.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Q = TypeVar("Q")

Answers = Callable[[Iterable["Q | None"]], Iterator["tuple[Q, str] | None"]]
"""Candidates in, candidates with what is objected to each out ('': nothing), in order, no further than the first good
one. None stands for a moment in which there was nothing to ask: the driver may do something else."""


def one_by_one(question: Callable[[Q], str]) -> Answers[Q]:
    """Each candidate is asked before the next is made."""

    def answers(candidates: Iterable[Q | None]) -> Iterator[tuple[Q, str] | None]:
        for candidate in candidates:
            if candidate is None:
                yield None
                continue
            objection = question(candidate)
            yield candidate, objection
            if not objection:
                return

    return answers


class Panel(Protocol):
    """Somebody who may ask ahead."""

    def answers(self, question: Callable[[Q], str], asked: Callable[[Q], object]) -> Answers[Q]:
        """As `one_by_one(question)`; `asked` says what another process has to be asked in its place."""
        ...


class Alone:
    """The panel that asks no other process."""

    def answers(self, question: Callable[[Q], str], asked: Callable[[Q], object]) -> Answers[Q]:
        """See `Panel`."""
        return one_by_one(question)


ALONE = Alone()
