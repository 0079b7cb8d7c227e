"""Campaigns made one folder: statistics add up, findings fold by their keys, nothing counts twice.

The one idea: a batch is a function of its campaign's options and its number, so the same batch of the same options and
compiler is taken from one of the folders alone, and its part of the journal with it. What findings come of the journals
together is what a docket makes of them, as in a campaign that goes on. Across seeds equal keys are one finding,
with the sum of the counts; across compilers they stay apart.
The folders are only read; the new one is there whole or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.keep import database, kept
from liftcheck.campaign.keep.database import Statement, packed
from liftcheck.campaign.keep.journal import Event
from liftcheck.campaign.keep.kept import Kept, Stretch
from liftcheck.campaign.keep.plain import plain
from liftcheck.campaign.recall import recalled
from liftcheck.campaign.report import rule_coverage
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.errors import UsageError
from liftcheck.oracles.tally import Tally

_WORKED: Final = ("reduced", "stated")


@dataclass(frozen=True, slots=True)
class Source:
    """One campaign of the new folder: the parts that it is made of, and how many of their programs are in several."""

    held: Kept
    parts: tuple[Kept, ...]
    programs: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Merged:
    """The new folder: its campaigns, and a report for each compiler."""

    into: Path
    sources: tuple[Source, ...]
    reports: tuple[FuzzReport, ...]

    @property
    def exit_code(self) -> int:
        return max((report.exit_code for report in self.reports), default=0)


def merge(folders: Sequence[Path], into: Path) -> Merged:
    """Makes `into` of campaigns' folders. UsageError if it is there, InputError for what is not a campaign's."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"--into {into}: it exists already; name a new folder (and {into} as one more to merge)")
    campaigns: dict[str, list[Kept]] = {}
    for folder in dict.fromkeys(path.resolve() for path in folders):
        for one in kept.all_in(folder):
            campaigns.setdefault(one.identity, []).append(one)
    sources = tuple(map(_source, campaigns.values()))
    draft = into.parent / f".{into.name}.{os.getpid()}.new"
    draft.mkdir(parents=True)
    try:
        _write(draft, sources)
        if into.exists():
            into.rmdir()
        draft.rename(into)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    reports = by_compiler([recalled(one) for one in kept.all_in(into)])
    return Merged(into, sources, tuple(reports))


def _source(parts: Sequence[Kept]) -> Source:
    held = union(parts)
    programs = sum(one.programs for one in held.stretches)
    in_all = sum(one.programs for part in parts for one in part.stretches)
    return Source(held, tuple(parts), programs, in_all - programs)


def union(parts: Sequence[Kept]) -> Kept:
    """Campaigns of the same options and compiler as one, each batch from one of them."""
    rows = [(stretch, number) for number, part in enumerate(parts) for stretch in part.stretches]
    rows.sort(key=lambda row: (-row[0].size, row[0].is_cut, -row[0].programs, row[1]))
    owners: dict[int, int] = {}
    taken: list[Stretch] = []
    for stretch, number in rows:
        if any(batch in owners for batch in stretch.batches):
            continue
        taken.append(stretch)
        owners.update(dict.fromkeys(stretch.batches, number))
    seconds = {part.uid: max(one.seconds for one in parts if one.uid == part.uid) for part in parts}
    reducing = {part.uid: max(one.reducing for one in parts if one.uid == part.uid) for part in parts}
    cases = [part.options.cases for part in parts if part.options.cases is not None]
    bound = max(cases) if len(cases) == len(parts) else None
    return dataclasses.replace(
        parts[0],
        options=dataclasses.replace(parts[0].options, cases=bound),
        seconds=sum(seconds.values()),
        reducing=sum(reducing.values()),
        deaths=sum(part.deaths for part in parts),
        stretches=tuple(sorted(taken, key=lambda one: one.first)),
        events=tuple(_events(parts, owners)),
        names={},
    )


def _events(parts: Sequence[Kept], owners: dict[int, int]) -> list[Event]:
    """What came of the batches, from who owns them; of reductions, which any may have done, the first."""
    chosen: list[Event] = []
    worked: set[tuple[str, str, str]] = set()
    for number, part in enumerate(parts):
        for event in part.events:
            if event.kind not in _WORKED:
                if owners.get(event.batch) == number:
                    chosen.append(event)
                continue
            what = (event.kind, str(event.data[0]), event.data[1])
            if event.batch in owners and what not in worked:
                worked.add(what)
                chosen.append(event)
    return chosen


def _write(folder: Path, sources: Sequence[Source]) -> None:
    """The folders of findings, each once for all campaigns on its compiler, and the database."""
    store = Store(folder)
    reports = [recalled(source.held) for source in sources]
    for report in by_compiler(reports):
        for finding in report.findings:
            if store.save(_key(report.compiler, finding), finding) is None:
                raise OSError(store.trouble)
    _keep_coverage(folder, sources)
    held = database.make(folder / database.NAME)
    try:
        for ident, (source, report) in enumerate(zip(sources, reports), 1):
            names = {one.key: store.paths[_key(report.compiler, one)].name for one in report.findings}
            held.write(_rows(ident, source.held, report, names))
    finally:
        held.close()


def _keep_coverage(folder: Path, sources: Sequence[Source]) -> None:
    """The rules of compilers that tell of them, as campaigns keep them."""
    parts = {part.folder for source in sources for part in source.parts}
    known = [one for part in parts if (part / rule_coverage.FILE).exists() for one in rule_coverage.load(part)]
    versions = {one.compiler: one.version for one in known}
    found = [
        rule_coverage.of_campaign(held.compiler, versions[held.compiler], held.options.seed, tally)
        for held in (source.held for source in sources)
        if held.compiler in versions and (tally := held.tally()).traced
    ]
    if found:
        rule_coverage.save(folder, rule_coverage.added(found))


def _key(compiler: str, finding: Finding) -> str:
    return f"{compiler} | {finding.key}"


def _rows(ident: int, held: Kept, report: FuzzReport, names: dict[str, str]) -> list[Statement]:
    options = json.dumps(plain(dataclasses.replace(held.options, out=None)))
    about = (held.compiler, held.made_by, held.began, held.seconds, held.reducing, held.deaths)
    rows: list[Statement] = [
        ("INSERT INTO campaign VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 1)", (ident, held.uid, options, *about))
    ]
    for one in held.stretches:
        values: tuple[Any, ...] = (ident, one.first, one.size, one.programs, int(one.is_cut), packed(plain(one.tally)))
        rows.append(("INSERT INTO batch VALUES(?, ?, ?, ?, ?, ?)", values))
    for event in held.events:
        values = (ident, event.batch, event.kind, packed(event.data))
        rows.append(("INSERT INTO event(campaign, batch, kind, body) VALUES(?, ?, ?, ?)", values))
    for found in report.findings:
        about_it = (found.klass, found.target.isa, found.count, found.seconds, int(found.reduced))
        rows.append(
            ("INSERT INTO finding VALUES(?, ?, ?, ?, ?, ?, ?, ?)", (ident, found.key, names[found.key], *about_it))
        )
    return rows


def by_compiler(reports: Sequence[FuzzReport]) -> list[FuzzReport]:
    """One report for each compiler, the sum of its campaigns'."""
    groups: dict[str, list[FuzzReport]] = {}
    for report in reports:
        groups.setdefault(report.compiler, []).append(report)
    return [_sum(group) for group in groups.values()]


def _sum(reports: Sequence[FuzzReport]) -> FuzzReport:
    first = reports[0]
    found: dict[str, Finding] = {}
    whole = Tally()
    for report in reports:
        whole.add(report.tally)
        first.store.paths.update(report.store.paths)
        for finding in report.findings:
            other = found.get(finding.key)
            found[finding.key] = finding if other is None else _folded(other, finding)
    isas = tuple(dict.fromkeys(isa for report in reports for isa in report.options.isas))
    return FuzzReport(
        dataclasses.replace(first.options, isas=isas),
        first.store,
        first.compiler,
        whole,
        sorted(found.values(), key=lambda finding: finding.seconds),
        [trouble for report in reports for trouble in report.troubles],
        sum(report.deaths for report in reports),
        sum(report.seconds for report in reports),
        sum(report.reductions_left for report in reports),
        seeds=tuple(dict.fromkeys(report.options.seed for report in reports)),
    )


def _folded(left: Finding, right: Finding) -> Finding:
    """The one that is reduced stands for both, else the first."""
    one = right if right.reduced and not left.reduced else left
    return dataclasses.replace(one, count=left.count + right.count)
