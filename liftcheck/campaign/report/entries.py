"""What every format of a report is made of: a command's results as a list of entries.

The one idea: an entry is one thing that a reader of reports acts on or counts: a finding, a failed unit, something
undecided or skipped for one reason, or what passed together. `results` makes them of a command's document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from liftcheck import __version__
from liftcheck.compilers.cranelift.sources import at_path
from liftcheck.errors import UsageError
from liftcheck.oracles.classes import CLASSES

State = Literal["passed", "failed", "known", "undecided", "skipped", "broken"]
COMPILER_SOURCE: Final = "CRANELIFT_CODEGEN"
"""The base of places in the compiler's own sources, whose folder a report does not know."""
Document = Mapping[str, Any]


class Place(NamedTuple):
    """`line` and `column` count from 1; 0: not known. `base`: COMPILER_SOURCE, or '' for a path as one sees it."""

    file: str
    line: int = 0
    column: int = 0
    base: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to act on, or to count.

    suite    what it stands under: an ISA, or a file
    name     what is the same from run to run; with `suite` it is unique enough for a history
    rule     the kind of fault or of reason, as words
    title    one line; `text` all that is to be said
    program  CLIF that shows it, if there is one
    places   where it shows; `related`: places that may have to do with it
    count    how many units, pairs or findings it stands for
    """

    suite: str
    name: str
    state: State
    rule: str = ""
    title: str = ""
    text: str = ""
    program: str = ""
    places: tuple[Place, ...] = ()
    related: tuple[Place, ...] = ()
    key: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Results:
    """What one command found. `totals`: name -> number, in the order of importance; `exit_code` is the command's."""

    command: str
    headline: str
    entries: tuple[Entry, ...]
    totals: Mapping[str, int]
    compiler: str = ""
    seconds: float = 0.0
    exit_code: int = 0
    version: str = __version__

    def of(self, *states: State) -> list[Entry]:
        """The entries in one of these states."""
        return [entry for entry in self.entries if entry.state in states]


def slug(text: str) -> str:
    """`wrong result` -> `wrong-result`: a name that every format takes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80].strip("-") or "other"


def explained(rule: str) -> str:
    """What a kind of fault is, in a sentence."""
    row = CLASSES.get(rule)
    return f"A finding of liftcheck: {rule}" + (" (most likely liftcheck's own fault)" if row and row.ours else "")


def located(compiler: str, places: Iterable[Place]) -> Iterator[Place]:
    """Places in the compiler's sources, in the folder that it was built from if its name says that one."""
    root = codegen_at(compiler)
    yield from (place._replace(file=str(root / place.file), base="") if root else place for place in places)


def codegen_at(compiler: str) -> Path | None:
    """The crate cranelift-codegen that `cranelift=PATH` was built from; None for a published version."""
    _, equals, path = compiler.partition("=")
    if not equals:
        return None
    try:
        source = at_path(path)
    except UsageError:  # it was there when it was built
        return None
    return source.path / "cranelift" / "codegen" if source.path and source.checkout else source.path
