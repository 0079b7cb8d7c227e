"""Which of the compiler's rules programs have executed: what a campaign keeps of it, what several add up to, shares.

The one idea: a rule is known by its place in the sources of one version, so coverage of a version adds up over
campaigns, folders and machines, and of different versions never does. The file is `coverage.json` in the campaign's
folder (docs/json.md). Counts are those of traced programs: those of directed batches (`campaign.plan`).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from liftcheck.errors import InputError, UsageError
from liftcheck.isle.sources import MID_END, SHARED, Rule
from liftcheck.oracles.tally import Tally

FILE: Final = "coverage.json"
_FORMAT: Final = 1
_SELDOM: Final = 10.0
"""Seconds between two writes of the file while a campaign runs."""


class Hits(NamedTuple):
    """How many traced programs executed a rule, and the first of them."""

    times: int
    seed: int
    case: int


@dataclass(slots=True)
class Coverage:
    """What traced programs executed of one compiler's rules: ISA -> place -> hits."""

    compiler: str
    version: str
    programs: int = 0
    campaigns: int = 0
    hits: dict[str, dict[str, Hits]] = field(default_factory=dict)

    def add(self, other: Coverage) -> None:
        """Adds what other programs executed; whose program was first stays so."""
        self.programs += other.programs
        self.campaigns += other.campaigns
        for isa, places in other.hits.items():
            mine = self.hits.setdefault(isa, {})
            for place, hits in places.items():
                known = mine.get(place)
                mine[place] = hits if known is None else known._replace(times=known.times + hits.times)

    def of(self, rule: Rule) -> Hits | None:
        """What is known of a rule, on all ISAs that it is for; None if it was never executed."""
        found = [places[rule.place] for places in self.hits.values() if rule.place in places]
        return found[0]._replace(times=sum(one.times for one in found)) if found else None


def of_campaign(compiler: str, version: str, seed: int, tally: Tally) -> Coverage:
    """What one campaign has seen so far."""
    made = Coverage(compiler, version, tally.traced, 1)
    for (isa, place), times in sorted(tally.fired.items()):
        made.hits.setdefault(isa, {})[place] = Hits(times, seed, tally.firsts[isa, place])
    return made


class Share(NamedTuple):
    """How many of some rules were executed."""

    executed: int
    rules: int

    def __str__(self) -> str:
        return f"{self.executed / self.rules:.1%}" if self.rules else "-"


def share(coverage: Coverage, rules: Iterable[Rule]) -> Share:
    """The share of some rules."""
    hit = [coverage.of(rule) is not None for rule in rules]
    return Share(sum(hit), len(hit))


def parts(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    """The rules by the part of the compiler that they are of."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.part, []).append(rule)
    return found


def files(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    """The rules by their file."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.file, []).append(rule)
    return found


def is_lowering(rule: Rule) -> bool:
    """Whether a rule stands in its ISA's `lower.isle`."""
    return rule.part not in (MID_END, SHARED) and rule.file.endswith("/lower.isle")


def summary(coverage: Coverage, rules: Sequence[Rule]) -> dict[str, Any]:
    """Executed and all rules of every part and file, for `--json`."""
    return {
        part: {
            "executed": share(coverage, mine).executed,
            "rules": len(mine),
            "files": {name: share(coverage, some)._asdict() for name, some in files(mine).items()},
        }
        for part, mine in parts(rules).items()
    }


def line(coverage: Coverage, rules: Sequence[Rule]) -> str:
    """The one line that a campaign says of it."""
    told = []
    for part, mine in parts(rules).items():
        if part != SHARED:
            lowering = [rule for rule in mine if is_lowering(rule)]
            more = f" (lower.isle {share(coverage, lowering)})" if lowering else ""
            told.append(f"{part} {share(coverage, mine)}{more}")
    return f"rules executed by {coverage.programs:,} traced programs: {', '.join(told)}"


def encoded(several: Iterable[Coverage]) -> dict[str, Any]:
    """The document of `coverage.json`."""
    return {
        "format": _FORMAT,
        "compilers": [
            {
                "compiler": one.compiler,
                "version": one.version,
                "programs": one.programs,
                "campaigns": one.campaigns,
                "isas": {isa: dict(sorted(places.items())) for isa, places in sorted(one.hits.items())},
            }
            for one in several
        ],
    }


def save(folder: Path, several: Iterable[Coverage]) -> None:
    """Writes the file of a folder, whole or not at all; OSError leaves it as it was."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FILE}.{os.getpid()}.new"
    try:
        draft.write_text(json.dumps(encoded(several), separators=(",", ":")) + "\n", encoding="utf-8")
        draft.replace(folder / FILE)
    finally:
        draft.unlink(missing_ok=True)


def load(folder: Path) -> list[Coverage]:
    """What a folder has kept; UsageError if it has kept nothing, InputError if that cannot be read."""
    path = folder if folder.is_file() else folder / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no {FILE}: `liftcheck fuzz --out {folder}` keeps one, with Cranelift 0.130 or newer"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError.at(f"not JSON: {error}; is this a file of `liftcheck fuzz`?", str(path), 1, 1) from None
    return read(data, str(path))


def read(data: Any, path: str) -> list[Coverage]:
    """What `encoded` made; InputError if it did not."""
    try:
        if data["format"] != _FORMAT:
            raise InputError.at(f"format {data['format']!r}, and this liftcheck knows {_FORMAT}", path, 1, 1)
        return [_decoded(one) for one in data["compilers"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        wrong = f"not what `liftcheck fuzz` writes there ({type(error).__name__}: {error}); remove it to begin anew"
        raise InputError.at(wrong, path, 1, 1) from None


def _decoded(data: dict[str, Any]) -> Coverage:
    hits = {
        str(isa): {str(place): Hits(int(times), int(seed), int(case)) for place, (times, seed, case) in places.items()}
        for isa, places in data["isas"].items()
    }
    return Coverage(str(data["compiler"]), str(data["version"]), int(data["programs"]), int(data["campaigns"]), hits)


def added(several: Iterable[Coverage]) -> list[Coverage]:
    """Coverages of one compiler and version as one."""
    found: dict[tuple[str, str], Coverage] = {}
    for one in several:
        found.setdefault((one.compiler, one.version), Coverage(one.compiler, one.version)).add(one)
    return list(found.values())


class Kept:
    """The file of a campaign's folder while it runs: what was there before, and what has come since. A folder that
    cannot be written costs no campaign: the trouble is told at its end. `earlier`: what was there before the campaign,
    if it goes on, as the file has the campaign's own part too."""

    def __init__(
        self,
        folder: Path | None,
        compiler: str,
        version: str,
        seed: int,
        rules: Sequence[Rule],
        earlier: Sequence[Coverage] | None = None,
    ) -> None:
        self.folder = folder
        self.compiler = compiler
        self.version = version
        self.seed = seed
        self.rules = rules
        self.trouble = ""
        self._saved = time.monotonic()
        self._earlier: list[Coverage] = list(earlier or ())
        if earlier is None and folder is not None and (folder / FILE).exists():
            try:
                self._earlier = load(folder)
            except (InputError, UsageError) as error:
                aside = folder / f"{FILE}.unreadable"
                with contextlib.suppress(OSError):
                    (folder / FILE).replace(aside)
                self.trouble = f"{error}; it is now {aside}"

    def campaign(self, tally: Tally) -> Coverage:
        """What this campaign has executed so far."""
        return of_campaign(self.compiler, self.version, self.seed, tally)

    def shares(self, tally: Tally) -> str:
        """What the campaign says of it while it runs."""
        return line(self.campaign(tally), self.rules)

    def line(self, tally: Tally) -> str:
        """What the campaign says of it at its end."""
        where = f"; `liftcheck coverage {self.folder}` shows the rest" if self.folder else ""
        return self.shares(tally) + where

    def summary(self, tally: Tally) -> dict[str, Any]:
        """The same as data."""
        return {"traced": tally.traced, "parts": summary(self.campaign(tally), self.rules)}

    def save(self, tally: Tally, seldom: bool = False) -> None:
        """Writes the file, if there is a folder and anything was traced; `seldom`: now and then only."""
        now = time.monotonic()
        if self.folder is None or not tally.traced or (seldom and now - self._saved < _SELDOM):
            return
        self._saved = now
        try:
            save(self.folder, added([*self._earlier, self.campaign(tally)]))
        except OSError as error:
            self.trouble = f"{self.folder / FILE}: {error.strerror or error}"
