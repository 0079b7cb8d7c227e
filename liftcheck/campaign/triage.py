"""Findings of many folders, sorted by cause; and lists of known ones made of them.

The one idea: a cause is one row, whatever campaigns, seeds and programs showed it (`finding.cause_key`), with the
smallest program for it and the page that proves it if one does. What was never reduced and no page proves has no
cause yet: such findings stand together by class and ISA, and no list can excuse them.
It reads folders as they lie there, also while a campaign writes to them.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liftcheck.campaign.findings.finding import Finding, cause_key, page_name
from liftcheck.campaign.findings.known import EVERY, Known, Standing, read, standing, version_of
from liftcheck.campaign.findings.store import RECIPE
from liftcheck.campaign.keep import database, kept
from liftcheck.campaign.report.gather import Shown, shown
from liftcheck.compilers.registry import name_of
from liftcheck.errors import InputError
from liftcheck.oracles.filetests.pages import ON_THE_WEB

LASTS: Final = datetime.timedelta(days=180)
"""How long an entry that is written holds."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. `key` '' for what has none yet; `count` of all its findings; `standing` by the lists."""

    key: str
    findings: tuple[Shown, ...]
    standing: Standing

    @property
    def count(self) -> int:
        return sum(one.finding.count for one in self.findings)

    @property
    def smallest(self) -> Shown:
        """The finding with the smallest program, a reduced one if there is one."""
        return min(self.findings, key=lambda one: (not one.finding.reduced, size(one.finding), str(one.folder)))

    @property
    def isas(self) -> tuple[str, ...]:
        return tuple(sorted({one.finding.target.isa for one in self.findings}))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({one.finding.klass for one in self.findings}))

    @property
    def compilers(self) -> tuple[str, ...]:
        return tuple(sorted({one.finding.compiler for one in self.findings}))

    @property
    def link(self) -> str:
        """The page that proves it, or what a list says."""
        fault = self.findings[0].finding.fault
        if fault:
            return f"{ON_THE_WEB}/docs/findings/{page_name(fault).partition(' | ')[0]}.md"
        return self.standing.entry.link if self.standing.entry else ""


@dataclass(frozen=True, slots=True)
class Triage:
    """What came of some folders. `programs`: so many programs by compiler and ISA; `unreadable`: (folder, why)."""

    causes: tuple[Cause, ...]
    programs: Mapping[tuple[str, str], int]
    unreadable: tuple[tuple[str, str], ...]

    @property
    def new(self) -> int:
        return sum(cause.standing.entry is None for cause in self.causes)


def size(finding: Finding) -> int:
    """Instructions of a finding's program."""
    return sum(len(block.insts) for function in finding.case.module.functions for block in function.blocks)


def triage(folders: Sequence[Path], known: Known = (), today: datetime.date | None = None) -> Triage:
    """The causes in folders of campaigns or of findings, the most frequent first. InputError for what is neither."""
    groups: dict[tuple[str, str, str], list[Shown]] = {}
    unreadable: list[tuple[str, str]] = []
    for place in dict.fromkeys(place for folder in folders for place in _places(folder)):
        try:
            one = shown(place)
        except (OSError, ValueError, InputError) as error:
            unreadable.append((str(place), str(error)))
            continue
        key = cause_key(one.finding)
        face = ("", "") if key else (one.finding.klass, one.finding.target.isa)
        groups.setdefault((key, *face), []).append(one)
    date = today or datetime.date.today()
    causes = [Cause(key, tuple(found), _standing(known, found, date)) for (key, *_), found in groups.items()]
    causes.sort(key=lambda cause: (not cause.key, -cause.count, cause.key))
    return Triage(tuple(causes), _programs(folders), tuple(unreadable))


def _standing(known: Known, found: Sequence[Shown], today: datetime.date) -> Standing:
    """What lists say of a cause: known if they know it of all compilers that show it."""
    said = [standing(known, one.finding, one.finding.compiler, today) for one in found]
    return next((one for one in said if one.entry is None), said[0])


def _places(folder: Path) -> Iterator[Path]:
    """The finding in a folder, or those below it."""
    if not folder.is_dir():
        raise InputError.at(
            "no such folder: name the folder of a campaign (`fuzz --out`), or of a finding", str(folder)
        )
    if (folder / RECIPE).exists():
        yield folder
        return
    yield from sorted(path.parent for path in folder.glob(f"*/{RECIPE}") if not path.parent.name.startswith("."))


def _programs(folders: Iterable[Path]) -> dict[tuple[str, str], int]:
    """How many programs the campaigns of the folders had, as far as these know."""
    found: dict[tuple[str, str], int] = {}
    for folder in dict.fromkeys(folders):
        if (folder / database.NAME).exists():
            for one in kept.all_in(folder):
                for isa, number in one.tally().programs_by_isa.items():
                    found[one.compiler, isa] = found.get((one.compiler, isa), 0) + number
    return found


def entries(found: Triage, today: datetime.date) -> list[str]:
    """The TOML of the causes that no list knows, each with what shows it."""
    return [
        _entry(cause, found.programs, today) for cause in found.causes if cause.key and cause.standing.entry is None
    ]


def _entry(cause: Cause, programs: Mapping[tuple[str, str], int], today: datetime.date) -> str:
    finding = cause.smallest.finding
    oldest = min((version_of(name) for name in cause.compilers), default=())
    had = max((programs.get((name, isa), 0) for name in cause.compilers for isa in cause.isas), default=0)
    every = max(1, had // cause.count) if had else EVERY
    lines = [
        "[[known]]",
        *(f"# {line}" for line in (f"{finding.klass} on {finding.target}", *finding.detail.split("\n")[:1]) if line),
        *(f"# {rule}" for rule in finding.fired[:_RULES]),
        f"cause = {_text(cause.key)}",
        f"link = {_text(cause.link)}",
        *([f"compiler = {_text(name_of(finding.compiler))}"] if name_of(finding.compiler) != "cranelift" else []),
        *([f'versions = ">={".".join(map(str, oldest))}"'] if oldest else []),
        f"isas = [{', '.join(map(_text, cause.isas))}]",
        f"until = {today + LASTS}",
        f"every = {every}",
    ]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """A basic string of TOML, whose escapes are JSON's except for surrogates and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write(path: Path, found: Triage, today: datetime.date) -> int:
    """Adds the causes that are not known to a list, which is made if it is not there; how many. What stands in it stays
    as it is. OSError passes; InputError if it is not a list."""
    there = read(path) if path.exists() else ()
    had = {entry.cause for entry in there}
    new = [text for cause, text in zip(_unknown(found), entries(found, today)) if cause.key not in had]
    old = path.read_text(encoding="utf-8") if path.exists() else HEADER
    path.write_text("\n".join([old.rstrip("\n") + "\n", *new]), encoding="utf-8")
    return len(new)


def _unknown(found: Triage) -> list[Cause]:
    return [cause for cause in found.causes if cause.key and cause.standing.entry is None]


_RULES: Final = 6
"""Rules that are named beside an entry."""
HEADER: Final = """\
# Known findings: `liftcheck fuzz --known FILE` shows and counts them, and fails for others alone. A cause is as
# `liftcheck triage` prints it; `link` says where it is reported, `until` when it is to be looked at again.
"""
