"""What a crew is asked in tests: numbers, and numbers that kill or end the work. It imports little."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from liftcheck.errors import Unavailable

GOOD = 1000


def objection(number: int) -> str:
    """Numbers from GOOD on are good. Who is asked here takes as long as the others."""
    time.sleep(0.02)
    return "" if number >= GOOD else f"{number} is small"


def opened() -> tuple[Callable[[object], str], Callable[[], None]]:
    return answer, lambda: None


def never() -> tuple[Callable[[object], str], Callable[[], None]]:
    raise Unavailable("no crew here")


def answer(what: object) -> str:
    assert isinstance(what, int)
    if what == 13:
        os._exit(3)
    if what == 17:
        raise Unavailable("gone")
    time.sleep(0.0 if what % 3 else 0.03)
    return objection(what)
