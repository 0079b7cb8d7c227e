"""The oracles that judge code without running it, by the names that `--validate` takes.

The one idea: the table is cheap to read; an oracle is imported when it is asked for, or with all others for the table
of classes (`classes.py`). The comparison of runs with the reference (`differential.py`) is not a row: it is always on.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.oracles.base import Oracle


class Row(NamedTuple):
    """The module whose `ORACLE` it is, and what it proves, for `--help`. `every`: without being named it is asked in
    one batch in so many, so that it costs next to nothing; 0: in none."""

    module: str
    proves: str
    every: int = 0


ORACLES: Final = {
    "regalloc": Row("liftcheck.oracles.allocations", "registers are allocated correctly (needs a build of its own)"),
    "repeat": Row("liftcheck.oracles.repeat", "compiled again, elsewhere, after others, the code is the same", 1024),
    "text": Row("liftcheck.oracles.texts", "what the compiler prints, read again, compiles to the same code", 1024),
    "optimized": Row("liftcheck.oracles.optimized", "the optimized CLIF is well-formed and computes the same", 2048),
    "lowering": Row("liftcheck.oracles.lowering", "functions do what they say for every input, by terms"),
    "extensions": Row("liftcheck.oracles.extensions", "code keeps to the extensions that its target has", 256),
}  # fmt: skip


def oracle(name: str) -> Oracle:
    """The oracle called `name`; UsageError if there is none."""
    if name not in ORACLES:
        near = difflib.get_close_matches(name, ORACLES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no oracle called '{name}'{hint}; there is {', '.join(ORACLES)}")
    found: Oracle = import_module(ORACLES[name].module).ORACLE
    return found


def explained() -> str:
    """All of them for `--help`."""
    return "; ".join(f"{name}: {row.proves}" for name, row in ORACLES.items())
