"""The table of all classes of findings: those of runs and of the compiler's failures, and those of every oracle."""

from __future__ import annotations

from typing import Final

from liftcheck.errors import InternalError
from liftcheck.oracles import base
from liftcheck.oracles.base import FindingClass
from liftcheck.oracles.registry import ORACLES, oracle

_OWN: Final = {row.name: name for name in ORACLES for row in oracle(name).classes}
CLASSES: Final = {row.name: row for row in (*base.CLASSES, *(row for name in ORACLES for row in oracle(name).classes))}
"""By name."""


def class_of(name: str) -> FindingClass:
    """The row of a class."""
    if name not in CLASSES:
        raise InternalError(f"no class of findings is called '{name}'")
    return CLASSES[name]


def oracles_for(name: str) -> tuple[str, ...]:
    """The oracles that have to be on for findings of a class; () for those that come with every run."""
    return (_OWN[name],) if name in _OWN else ()
