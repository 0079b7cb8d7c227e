"""A findings folder as the HTML page wants it: its findings with their files; and what two folders do not share.

The one idea: a folder is read as it lies there, whatever wrote it and however far it came: a finding that cannot be
read is listed with its reason, and statistics that were not kept are missing, not zero.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.known import Known, standing
from liftcheck.campaign.findings.store import RECIPE, load
from liftcheck.clif.text.printer import print_module
from liftcheck.errors import InputError

_TYPES: Final = (
    ("detail", str),
    ("key", str),
    ("count", int),
    ("seconds", (int, float)),
    ("compiler", str),
    ("note", str),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One finding. `data` is its `finding.json`, which has texts that a `Finding` that was read has not; `listings`:
    target -> disassembly, the wrong one first."""

    folder: Path
    finding: Finding
    data: Mapping[str, Any]
    program: str
    listings: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """What it shares with equal ones."""
        return self.finding.key

    @property
    def is_reduced(self) -> bool:
        """Whether its key says something beyond its own campaign."""
        return self.finding.reduced or self.finding.failure is not None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a folder knows of its campaigns. `document`: them as `fuzz --json` tells it, None if it does not know;
    `rules`: of each file of the compiler's rules (part, file, executed, all); `remarks`: what is not known, and why."""

    document: Mapping[str, Any] | None = None
    rules: tuple[tuple[str, str, int, int], ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """One folder. `unreadable`: (folder, why); `known`: causes that are reported already."""

    folder: Path
    findings: tuple[Shown, ...]
    unreadable: tuple[tuple[str, str], ...]
    kept: Statistics
    known: Known = ()

    def is_known(self, one: Shown) -> bool:
        """Whether a list has the cause of a finding."""
        return standing(self.known, one.finding, one.finding.compiler, datetime.date.today()).entry is not None


@dataclass(frozen=True, slots=True)
class Change:
    """What one campaign has and an earlier one has not, by keys. `unknown`: findings that were never reduced, whose
    keys say nothing beyond their own campaign."""

    earlier: Path
    new: tuple[Shown, ...]
    gone: tuple[Shown, ...]
    both: tuple[Shown, ...]
    unknown: tuple[Shown, ...]


NOTHING: Final = Statistics()


def gather(folder: Path, kept: Statistics = NOTHING, known: Known = ()) -> Gathered:
    """The findings of a folder, as found; InputError if there is no such folder."""
    if not folder.is_dir():
        raise InputError.at("no such folder: name the folder of a campaign's findings (`fuzz --out`)", str(folder))
    found: list[Shown] = []
    unreadable: list[tuple[str, str]] = []
    for place in sorted(path.parent for path in folder.glob(f"*/{RECIPE}") if not path.parent.name.startswith(".")):
        try:
            found.append(shown(place))
        except (OSError, ValueError, InputError) as error:
            unreadable.append((place.name, str(error)))
    found.sort(key=lambda one: (one.finding.seconds, one.folder.name))
    return Gathered(folder, tuple(found), tuple(unreadable), kept, known)


def shown(place: Path) -> Shown:
    """One finding; InputError or ValueError says what is wrong with it."""
    finding = load(place)
    wrong = [name for name, ty in _TYPES if not isinstance(getattr(finding, name), ty)]
    if wrong:
        raise ValueError(f"{RECIPE}: {', '.join(wrong)}: not of the type that is written there")
    data = json.loads((place / RECIPE).read_text(encoding="utf-8"))
    return Shown(place, finding, data, print_module(finding.case.module), tuple(_listings(place)))


def _listings(place: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(place.glob("disassembly*.txt"), key=lambda path: (len(path.name), path.name)):
        target, _, text = path.read_text(encoding="utf-8").partition("\n")
        yield target.removeprefix("; "), re.sub(r"\n{3,}", "\n\n", text.strip("\n"))


def change(now: Gathered, earlier: Gathered) -> Change:
    """What differs between two folders."""
    old = {one.key: one for one in earlier.findings}
    new = {one.key: one for one in now.findings}
    comparable = [one for one in now.findings if one.is_reduced]
    return Change(
        earlier.folder,
        tuple(one for one in comparable if one.key not in old),
        tuple(one for one in earlier.findings if one.is_reduced and one.key not in new),
        tuple(one for one in comparable if one.key in old),
        tuple(one for one in (*now.findings, *earlier.findings) if not one.is_reduced),
    )
