"""How many examples a test looks at: all that it names, or a share where slow tests are left out (conftest.py)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import pytest

SHARE = "LIFTCHECK_EXAMPLES"
"""The environment variable that says which: 4 is a quarter."""


T = TypeVar("T")


def many(count: int) -> int:
    """So many examples, at least one."""
    return -(-count // _share())


def some(values: Sequence[T]) -> Sequence[T]:
    """These examples, at least one."""
    return values[:: _share()]


def _share() -> int:
    return int(os.environ.get(SHARE, "1"))


def sparse(values: Iterable[Any], every: int, first: int = 0) -> list[Any]:
    """A test's parameters, of which all but each `every`-th are slow tests, counted from `first`."""
    return [
        pytest.param(value, marks=() if number % every == first else pytest.mark.slow)
        for number, value in enumerate(values)
    ]
