"""What a child of the mutation fuzzer may do: answer, and die. Functions of a module, as a child finds them by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def lives(said: list[Any], say: Callable[[object], None]) -> None:
    """Says all that."""
    for one in said:
        say(one)


def aborts(said: list[Any], say: Callable[[object], None]) -> None:
    """As an emulator does that cannot translate an instruction."""
    lives(said, say)
    os.kill(os.getpid(), signal.SIGABRT)


def fails(said: list[Any], say: Callable[[object], None]) -> None:
    """As our own code does."""
    lives(said, say)
    raise ZeroDivisionError
