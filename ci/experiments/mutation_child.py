"""Work that may kill its process, in a child that says what it is about to do.

The one idea: an emulator that meets an instruction that it cannot translate may end its whole process. So the parent
hears before each dangerous step what it is; if a signal ends the child, the last of these is to blame, and the work is
begun anew without it. A child that ends by an exception is a fault of our own, and is not outlived.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

Say = Callable[[object], None]


class Doing(NamedTuple):
    """An edit of a program; without a kind the program as it is."""

    number: int
    turn: int = -1
    kind: str = ""


class Ended(NamedTuple):
    """What a child answered; if it was killed, of what and by what."""

    answers: list[Any]
    fatal: Doing | None = None
    cause: str = ""


def attempt(do: Callable[..., None], *args: object) -> Ended:
    """Does `do(*args, say)` in a child. What it says is an answer, or a `Doing`."""
    context = get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_begin, args=(theirs, do, args))
    process.start()
    theirs.close()
    answers: list[Any] = []
    doing: Doing | None = None
    with suppress(EOFError):
        while True:
            said = mine.recv()
            if isinstance(said, Doing):
                doing = said
            else:
                answers.append(said)
    process.join()
    code = process.exitcode or 0
    if code > 0 or (code < 0 and doing is None):
        raise RuntimeError(f"the fuzzer's process ended with {code}: see above")
    return Ended(answers, doing, signal.Signals(-code).name) if code else Ended(answers)


def _begin(say: Connection, do: Callable[..., None], args: tuple[object, ...]) -> None:
    do(*args, say.send)
