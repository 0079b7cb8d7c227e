"""The table of all classes of findings: those of runs and of the compiler's failures, and those of every oracle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from liftcheck.errors import InternalError
from liftcheck.oracles import base
from liftcheck.oracles.base import FindingClass
from liftcheck.oracles.registry import ORACLES, oracle


def table(of: Mapping[str, Iterable[FindingClass]]) -> dict[str, FindingClass]:
    """The rows by name, of all that have some; InternalError if two have one of the same name."""
    rows: dict[str, FindingClass] = {}
    for name, classes in of.items():
        for row in classes:
            if row.name in rows:
                raise InternalError(f"the class of findings '{row.name}' of {name} has the name of another one")
            rows[row.name] = row
    return rows


_OWN: Final = {row.name: name for name in ORACLES for row in oracle(name).classes}
CLASSES: Final = table({"runs": base.CLASSES} | {f"the oracle '{name}'": oracle(name).classes for name in ORACLES})
"""By name."""


def class_of(name: str) -> FindingClass:
    """The row of a class."""
    if name not in CLASSES:
        raise InternalError(f"no class of findings is called '{name}'")
    return CLASSES[name]


def oracles_for(name: str) -> tuple[str, ...]:
    """The oracles that have to be on for findings of a class; () for those that come with every run."""
    return (_OWN[name],) if name in _OWN else ()
