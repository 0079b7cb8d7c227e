"""What a campaign did: the JSON document and the tables for people.

The one idea: nothing is left out. Every program is agreed, disagreed, undecided or refused, each of the latter two with
its reason and count; what liftcheck itself got wrong is listed under its own heading. docs/json.md explains the
document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from liftcheck.campaign.findings import page
from liftcheck.campaign.findings.finding import Finding, cause_key, encode
from liftcheck.campaign.findings.known import Known, Standing, Standings, standings
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.findings.suspicion import Trigger, triggers
from liftcheck.campaign.options import Extent, FuzzOptions
from liftcheck.campaign.report.fit import Fitting
from liftcheck.campaign.report.rule_coverage import Kept
from liftcheck.campaign.seeds import Stock
from liftcheck.clif.text.printer import print_module
from liftcheck.oracles.tally import STAGES, Tally

_REASONS_SHOWN: Final = 6


@dataclass(slots=True)
class FuzzReport:
    """A campaign's result; it grows while the campaign runs.

    troubles   (case, text): failures of liftcheck itself, or of the machine, that cost a case its verdict
    deaths     workers that died and were replaced
    given_up   programs that were under way at the end and are not counted
    kept       what is kept of the compiler's rules, if it tells of them
    extent     of a campaign over all small programs how far it goes
    stock      of a campaign over files what there is in them
    """

    options: FuzzOptions
    store: Store
    compiler: str = ""
    tally: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    deaths: int = 0
    seconds: float = 0.0
    reductions_left: int = 0
    given_up: int = 0
    interrupted: bool = False
    kept: Kept | None = None
    extent: Extent | None = None
    stock: Stock | None = None
    stopped: str = ""
    """What ended it before its time, if it was not the user."""
    unkept: str = ""
    """Why the campaign's database does not have all of it, if so."""
    seeds: tuple[int, ...] = ()
    """Of the campaigns that it is the sum of, if it is one."""
    known: Known = ()
    """Causes that are reported already."""

    @property
    def standings(self) -> Standings:
        """What is known of the findings."""
        return standings(self.known, self.findings, self.compiler, self.options, self.tally.programs_by_isa)

    @property
    def new(self) -> list[Finding]:
        """The findings that no list of known ones has."""
        known = self.standings
        return [finding for finding in self.findings if not known.is_known(finding)]

    @property
    def exit_code(self) -> int:
        """1 if anything was found that is not known and that counts, 3 if something could not be written or the disk
        ended it, else 0."""
        if any(not finding.spared for finding in self.new):
            return 1
        return 3 if self.storage or self.stopped else 0

    @property
    def storage(self) -> str:
        """Why something could not be written, if so."""
        return self.store.trouble or self.unkept or (self.kept.trouble if self.kept else "")

    @property
    def pairs(self) -> int:
        """(program, target) pairs that got a verdict: they agreed or they did not."""
        return self.tally.pairs.total()

    @property
    def is_complete(self) -> bool:
        """Whether every program of all small ones has been judged."""
        return self.extent is not None and self.tally.programs >= self.extent.whole

    def time_share(self) -> dict[str, float]:
        """Stage -> share of the workers' time."""
        total = sum(self.tally.seconds.values()) or 1.0
        return {stage: self.tally.seconds.get(stage, 0.0) / total for stage in STAGES}

    def activity(self) -> dict[str, float]:
        """What the workers' time went to: judging programs, votes on what went wrong, making findings small."""
        shares = self.time_share()
        votes, reduction = shares["confirm"], shares["reduce"]
        return {"judging": sum(shares.values()) - votes - reduction, "votes": votes, "reduction": reduction}

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """What frequent wrong programs have in common, around which most programs steer; not where all are made."""
        return triggers(self.tally.held, self.tally.suspects) if not self.extent else ()

    def shares(self) -> dict[str, float]:
        """What share of programs looped, called, and was compared; what share of runs trapped."""
        seen, programs = self.tally.behaviour, max(self.tally.programs, 1)
        return {
            "looped": seen["looped"] / programs,
            "called": seen["called"] / programs,
            "trapped": seen["trapped"] / max(seen["runs"], 1),
            "compared": seen["compared"] / programs,
        }

    def document(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        tally = self.tally
        isas = [isa for isa in self.options.isas if tally.programs_by_isa[isa]]
        known = self.standings
        return {
            "compiler": self.compiler,
            **({"baseline": self._baseline()} if self.options.baseline else {}),
            "seed": self.options.seed,
            **({"seeds": list(self.seeds)} if self.seeds else {}),
            "jobs": self.options.jobs,
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "programs": tally.programs,
            "pairs": self.pairs,
            "seconds": round(self.seconds, 3),
            "findings": [self._finding(finding, known.of(finding)) for finding in self.findings],
            "new": len(self.new),
            "not_seen": [{"cause": entry.cause, "link": entry.link} for entry in known.unseen],
            "undecided": _by_reason(tally.undecided),
            "refused": _by_reason(tally.refused),
            **({"seed_files": self.stock.document()} if self.stock else {}),
            **({"exhaustive": self._extent(self.extent)} if self.extent else {}),
            **({"validated": {isa: _of(tally.validated, isa) for isa in isas}} if tally.validated else {}),
            "time_share": {stage: round(share, 4) for stage, share in self.time_share().items()},
            "activity": {name: round(share, 4) for name, share in self.activity().items()},
            "steered": [one._asdict() for one in self.triggers],
            "behaviour": {name: round(share, 4) for name, share in self.shares().items()},
            "executed": {isa: dict(sorted(tally.executed.get(isa, Counter()).items())) for isa in isas},
            "isas": {isa: self._isa(isa) for isa in isas},
            "troubles": [{"case": case, "text": text} for case, text in self.troubles],
            "worker_deaths": self.deaths,
            "not_reduced": self.reductions_left,
            "given_up": self.given_up,
            "rules": self.kept.summary(self.tally) if self.kept else None,
            "storage": self.storage,
        }

    def _extent(self, extent: Extent) -> dict[str, Any]:
        return {
            "complete": self.is_complete,
            "programs": extent.whole,
            "left": max(extent.whole - self.tally.programs, 0),
            "typings": extent.typings,
            "pairs": extent.pairs,
            "left_out": dict(extent.left_out),
        }

    def _baseline(self) -> dict[str, Any]:
        """The compiler that was compared with, and what came of it."""
        of = self.tally.baseline
        isas = {isa: {what: of[isa, what] for what in ("pairs", "agreed")} for isa in self.options.isas}
        return {"compiler": self.options.baseline, "isas": isas}

    def _finding(self, finding: Finding, standing: Standing) -> dict[str, Any]:
        path = self.store.paths.get(finding.key)
        brief = {
            "class": finding.klass,
            "isa": finding.target.isa,
            "target": str(finding.target),
            "key": finding.key,
            "cause": cause_key(finding),
            "known": standing.entry is not None,
            "link": standing.entry.link if standing.entry else "",
            "lapsed": standing.why,
            "count": finding.count,
            "fault": finding.fault,
            **(self._two(finding) if finding.other else {}),
            "seed": finding.seed,
            "case": finding.number,
            "detail": finding.detail,
            "reduced": finding.reduced,
            "note": finding.note,
            "seconds": round(finding.seconds, 3),
            "folder": str(path) if path else None,
            "line": page.entry_line(finding),
            "program": print_module(finding.case.module),
            "suspects": list(finding.suspects),
        }
        if path is None:
            brief["finding"] = encode(finding)
        return brief

    def _two(self, finding: Finding) -> dict[str, Any]:
        """Of two compilers."""
        return {
            "compiler": finding.compiler,
            "other": finding.other,
            "beside": finding.beside,
            "whose": finding.whose,
            "spared": finding.spared,
        }

    def _isa(self, isa: str) -> dict[str, Any]:
        tally = self.tally
        return {
            "programs": tally.programs_by_isa[isa],
            "pairs": tally.pairs[isa],
            "agreed": tally.agreed[isa],
            "disagreed": _of(tally.disagreed, isa),
            "undecided": _of(tally.undecided, isa),
            "refused": _of(tally.refused, isa),
            "pairs_per_second": round(tally.pairs[isa] / self.seconds, 1) if self.seconds else 0.0,
        }


def _by_reason(counts: Counter[tuple[str, str]]) -> dict[str, int]:
    """Reason -> count over all ISAs, most frequent first."""
    total: Counter[str] = Counter()
    for (_, reason), count in counts.items():
        total[reason] += count
    return {reason: count for reason, count in total.most_common() if count > 0}


def _of(counts: Counter[tuple[str, str]], isa: str) -> dict[str, int]:
    return {reason: count for (where, reason), count in sorted(counts.items()) if where == isa and count > 0}


def tables(report: FuzzReport) -> RenderableType:
    """The end of a campaign for people."""
    parts: list[RenderableType] = [_isa_table(report)]
    if report.stock is not None:
        parts.append(Text(report.stock.says()))
    if report.extent is not None:
        parts.append(Text(_how_far(report, report.extent)))
    for title, counts in (("undecided", report.tally.undecided), ("refused", report.tally.refused)):
        reasons = _by_reason(counts)
        if reasons:
            parts.append(_reasons(title, reasons))
    if report.tally.validated:
        parts.append(_validated(report))
    parts.append(_times(report))
    if report.kept and report.tally.traced:
        parts.append(Text(report.kept.line(report.tally)))
    if report.options.baseline:
        parts.append(_against(report))
    if report.triggers:
        parts.append(
            Text("\n".join(["most programs steer around what goes wrong most often:", *_steered(report.triggers)]))
        )
    if report.findings:
        parts.append(_findings(report))
    if (said := _of_lists(report)) is not None:
        parts.append(said)
    if report.troubles:
        parts.append(_troubles(report))
    return Group(*parts)


def _steered(found: Iterable[Trigger]) -> Iterator[str]:
    """A line for each way to go wrong on an ISA, with what it comes of."""
    groups: dict[tuple[str, str], list[Trigger]] = {}
    for one in found:
        groups.setdefault((one.isa, one.kind), []).append(one)
    for (isa, kind), several in groups.items():
        yield f"  {isa}, {kind}: {', '.join(f'{one.key} ({one.wrong} of {one.programs:,})' for one in several)}"


def _how_far(report: FuzzReport, extent: Extent) -> str:
    """Whether a campaign over all small programs has judged them all."""
    what = f"{extent.typings:,} typings with operands of every kind, {extent.pairs:,} pairs along one edge"
    if report.is_complete:
        return f"complete: all {extent.whole:,} programs, {what}, in {report.seconds:,.0f} s"
    left = f"{max(extent.whole - report.tally.programs, 0):,} of {extent.whole:,} programs are left ({what})"
    return f"not complete: {left}; --resume goes on"


def _isa_table(report: FuzzReport) -> Fitting:
    columns = ("ISA", "programs", "pairs", "agreed", "disagreed", "undecided", "refused", "pairs/s")
    rows = []
    for isa in report.options.isas:
        row = report._isa(isa)
        rows.append(
            (
                isa,
                f"{row['programs']:,}",
                f"{row['pairs']:,}",
                f"{row['agreed']:,}",
                ", ".join(f"{count} {klass}" for klass, count in row["disagreed"].items()) or "-",
                f"{sum(row['undecided'].values()):,}",
                f"{sum(row['refused'].values()):,}",
                f"{row['pairs_per_second']:,.0f}",
            )
        )
    seeds = f"{len(report.seeds)} seeds" if len(report.seeds) > 1 else f"seed {report.options.seed}"
    title = f"{report.compiler}, {seeds}, {report.seconds:.0f} s"
    return Fitting(title, columns, rows, frozenset(columns) - {"ISA", "disagreed"})


def _reasons(title: str, reasons: dict[str, int]) -> Text:
    lines = [f"  {count:>8,}  {reason}" for reason, count in list(reasons.items())[:_REASONS_SHOWN]]
    more = len(reasons) - _REASONS_SHOWN
    if more > 0:
        lines.append(
            f"  {sum(list(reasons.values())[_REASONS_SHOWN:]):>8,}  for {more} more reasons (--json lists them)"
        )
    return Text("\n".join([f"{title}, by reason:", *lines]))


def _validated(report: FuzzReport) -> Text:
    lines = [f"  {count:>8,}  {isa} {verdict}" for (isa, verdict), count in sorted(report.tally.validated.items())]
    asked = ", ".join(report.options.oracles) or "samples, see --validate"
    return Text("\n".join([f"validated by {asked}:", *lines]))


def _times(report: FuzzReport) -> Text:
    times = "  ".join(f"{stage} {share:.0%}" for stage, share in report.time_share().items() if share >= 0.005)
    what = report.shares()
    activity = ", ".join(f"{name} {share:.0%}" for name, share in report.activity().items())
    return Text(
        f"time: {times}\nof it: {activity}\n"
        f"programs: {what['looped']:.0%} loop, {what['called']:.0%} call another function, "
        f"{what['compared']:.0%} have a result or memory to compare; {what['trapped']:.1%} of runs trap"
    )


def _against(report: FuzzReport) -> Text:
    """What two compilers come to."""
    whose = Counter(finding.whose for finding in report.findings)
    first, second = report.options.baseline, report.compiler
    parts = [
        f"{whose[f'only {second}']} only {second}",
        f"{whose[f'only {first}']} only {first}",
        f"{whose['both']} both",
    ]
    agreed = sum(count for (_, what), count in report.tally.baseline.items() if what == "agreed")
    pairs = sum(count for (_, what), count in report.tally.baseline.items() if what == "pairs")
    return Text(
        f"{second} against {first}, which agreed in {agreed:,} of {pairs:,} pairs. Findings: {', '.join(parts)}"
    )


def _findings(report: FuzzReport) -> Fitting:
    rows, known = [], report.standings
    for finding in report.findings:
        place = report.store.paths.get(finding.key)
        where = str(place) if place else finding.detail.partition("\n")[0]
        seconds, entry = f"{finding.seconds:.0f} s", known.of(finding).entry
        status = "known" if entry is not None else "new"
        what = finding.fault or (entry.link if entry is not None else "") or "-"
        whose = (finding.whose,) if report.options.baseline else ()
        rows.append((status, finding.klass, finding.target.isa, *whose, str(finding.count), seconds, what, where))
    new = sum(row[0] == "new" for row in rows)
    whose = ("whose",) if report.options.baseline else ()
    columns = ("", "class", "ISA", *whose, "times", "found after", "known fault", "where")
    title = f"{len(rows)} findings" + (f", {new} new" if new < len(rows) else "")
    return Fitting(title, columns, rows, frozenset({"times", "found after"}))


def _of_lists(report: FuzzReport) -> Text | None:
    """What else lists of known findings say."""
    known = report.standings
    lines = [
        f"{finding.klass} on {finding.target.isa}: {why}"
        for finding in report.findings
        if (why := known.of(finding).why)
    ]
    lines += [f"no longer seen, maybe fixed: {entry.cause} ({entry.file}:{entry.line})" for entry in known.unseen]
    return Text("\n".join(lines)) if lines else None


def _troubles(report: FuzzReport) -> Text:
    lines = [
        f"  {case}: {text.strip().splitlines()[-1] if text.strip() else ''}" for case, text in report.troubles[:10]
    ]
    return Text(
        "\n".join(
            [
                f"{len(report.troubles)} cases without a verdict for liftcheck's own or the machine's fault "
                "(please report; --json has the tracebacks):",
                *lines,
            ]
        )
    )


def show(report: FuzzReport, console: Console) -> None:
    """Prints the tables, and in full what could not be written to --out."""
    console.print(tables(report), crop=False)
    if report.stopped:
        console.print(f"stopped: {report.stopped}", markup=False, soft_wrap=True)
    if report.storage:
        console.print(f"could not write to --out: {report.storage}", markup=False, soft_wrap=True)
    if report.kept and report.kept.trouble:
        console.print(f"what is kept of the rules: {report.kept.trouble}", markup=False)
    for finding in report.store.unsaved.values():
        console.print(page.page(finding, "FINDING"), markup=False, highlight=False)
    if report.given_up:
        console.print(f"{report.given_up} programs under way at the end were not waited for and are not counted")
    if report.reductions_left:
        console.print(
            f"{report.reductions_left} findings were not reduced for lack of time: `liftcheck reduce FINDING` does it"
        )
