"""What a validation of allocations found: counts by ISA and allocator, refutations in full, for people and as JSON.

The one idea: each function on each target with each allocator is a unit, and each unit is one of valid, invalid,
undecided, refused, skipped; the last three are counted by reason, and their sum is held against the units
(`oracles.counted`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from liftcheck.campaign.report.fit import Fitting
from liftcheck.case import Target
from liftcheck.errors import Diagnostic
from liftcheck.oracles.counted import Counted
from liftcheck.oracles.regalloc.verdict import INVALID, UNDECIDED, Counts, Verdict

REASONS: Final = 16
"""Reasons that people are shown, most frequent first."""

WORDS: Final = 6
"""Words of texts that are not compared which people are shown, most frequent first."""

REFUSED: Final = "refused"

IN_FULL: Final = 2
"""Refutations of one ISA and reason whose counterexamples people are shown; --json has all of them."""


class Refuted(NamedTuple):
    """One function on one target whose allocation or code was refuted. `unit`: its file or case; `clif`: its text;
    `line`: in its file, 0 for generated ones."""

    unit: str
    function: str
    target: Target
    verdict: Verdict
    clif: str
    line: int = 0


class Unsettled(NamedTuple):
    """One function on one target without a verdict on its allocation. `status`: UNDECIDED or REFUSED; `line`: in its
    file, 0 for generated ones."""

    unit: str
    function: str
    line: int
    target: Target
    status: str
    reason: str

    def document(self) -> dict[str, object]:
        """For `--json`."""
        settings = dict(self.target.settings)
        return {
            "unit": self.unit,
            "function": self.function,
            "line": self.line or None,
            "isa": self.target.isa,
            "allocator": settings.get("regalloc_algorithm", ""),
            "settings": settings,
            "reason": self.reason,
        }


@dataclass(slots=True)
class Row:
    """One ISA with one allocator. `functions` got a verdict; refused ones did not."""

    functions: int = 0
    invalid: int = 0
    undecided: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    counts: Counts = field(default_factory=Counts)

    @property
    def valid(self) -> int:
        """Functions that were proven right."""
        return self.functions - self.invalid - self.undecided.total()

    @property
    def speed(self) -> float:
        """Machine instructions validated a second of processor time, without compiling."""
        return self.counts.machine_instructions / self.counts.seconds if self.counts.seconds else 0.0

    def document(self) -> dict[str, object]:
        """For `--json`."""
        counts = self.counts
        return {
            "functions": self.functions,
            "valid": self.valid,
            "invalid": self.invalid,
            "undecided": dict(self.undecided.most_common()),
            "refused": dict(self.refused.most_common()),
            "instructions": counts.instructions,
            "machine_instructions": counts.machine_instructions,
            "obligations": counts.obligations,
            "by_z3": counts.by_z3,
            "seconds": round(counts.seconds, 3),
            "machine_instructions_per_second": round(self.speed),
            "uncompared": dict(counts.uncompared.most_common()),
        }


@dataclass(slots=True)
class Report(Counted):
    """A sum of texts. A unit is a function on a target with its allocator.

    texts      files or programs that were read; `unreadable`: files that were not
    notes      what options override in files -> in how many
    skipped    pairs that do not concern liftcheck, by reason: other ISAs
    troubles   (case, text) of failures of liftcheck itself
    """

    UNITS: ClassVar[str] = "functions on targets"
    compiler: str = ""
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    refuted: list[Refuted] = field(default_factory=list)
    unsettled: list[Unsettled] = field(default_factory=list)
    broken: list[Diagnostic] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    texts: int = 0
    unreadable: int = 0
    seconds: float = 0.0

    def row(self, target: Target) -> Row:
        """The row that a target counts in."""
        return self.rows.setdefault((target.isa, dict(target.settings).get("regalloc_algorithm", "")), Row())

    @property
    def judged(self) -> int:
        """The sum of all verdicts."""
        return sum(row.functions + row.refused.total() for row in self.rows.values()) + self.skipped.total()

    def refuse(self, unit: str, function: str, line: int, target: Target, reason: str) -> None:
        """A function without an allocation."""
        self.row(target).refused[reason] += 1
        self.unsettled.append(Unsettled(unit, function, line, target, REFUSED, reason))

    def count(self, unit: str, function: str, line: int, target: Target, verdict: Verdict) -> None:
        """A function with a verdict."""
        row = self.row(target)
        row.functions += 1
        row.counts.add(verdict.counts)
        row.invalid += verdict.status == INVALID
        if verdict.status == UNDECIDED:
            row.undecided[verdict.reason] += 1
            self.unsettled.append(Unsettled(unit, function, line, target, UNDECIDED, verdict.reason))

    def add(self, other: Report) -> None:
        """Sums."""
        for key, row in other.rows.items():
            mine = self.rows.setdefault(key, Row())
            mine.functions += row.functions
            mine.invalid += row.invalid
            mine.undecided += row.undecided
            mine.refused += row.refused
            mine.counts.add(row.counts)
        self.add_counted(other)
        self.refuted += other.refuted
        self.unsettled += other.unsettled
        self.broken += other.broken
        self.troubles += other.troubles
        self.texts += other.texts
        self.unreadable += other.unreadable
        self.skipped += other.skipped
        self.notes += other.notes

    @property
    def exit_code(self) -> int:
        """1 if anything was refuted, 2 if a file could not be read or pairs were lost, else 0."""
        return 1 if self.refuted else 2 if self.broken or self.lost else 0

    def document(self) -> dict[str, object]:
        """For `--json`."""
        isas: dict[str, dict[str, object]] = {}
        for (isa, algorithm), row in sorted(self.rows.items()):
            isas.setdefault(isa, {})[algorithm] = row.document()
        return {
            "compiler": self.compiler,
            "units": self.texts,
            "pairs": self.units,
            "seconds": round(self.seconds, 3),
            "isas": isas,
            "invalid": [_finding(one) for one in self._sorted()],
            "undecided": self._unsettled(UNDECIDED),
            "refused": self._unsettled(REFUSED),
            "skipped": dict(self.skipped.most_common()),
            "lost": self.lost,
            "notes": dict(sorted(self.notes.items())),
            "broken": [str(diagnostic) for diagnostic in self.broken],
            "troubles": [{"case": case, "text": text} for case, text in self.troubles],
        }

    def _unsettled(self, status: str) -> list[dict[str, object]]:
        found = [one for one in self.unsettled if one.status == status]
        return [one.document() for one in sorted(found, key=lambda one: (one.unit, one.line, one.function, one.target))]

    def _sorted(self) -> list[Refuted]:
        return sorted(self.refuted, key=lambda one: (one.target, one.unit, one.function))


def _finding(one: Refuted) -> dict[str, object]:
    found = one.verdict.counterexample
    example = found.document(one.target.isa) if found else None
    return {
        "unit": one.unit,
        "function": one.function,
        "line": one.line or None,
        "isa": one.target.isa,
        "settings": dict(one.target.settings),
        "reason": one.verdict.reason,
        "counterexample": example,
        "clif": one.clif,
    }


def tables(report: Report) -> RenderableType:
    """The counts for people."""
    parts: list[RenderableType] = [_table(report)]
    for title in ("invalid", "undecided", "refused"):
        text = "\n".join(_reasons(report, title))
        if text:
            parts.append(Text(text))
    if words := sum((row.counts.uncompared for row in report.rows.values()), Counter[str]()):
        shown = ", ".join(f"{word} {count:,}" for word, count in words.most_common(WORDS))
        more = f", {len(words) - WORDS} more words (--json lists them)" if len(words) > WORDS else ""
        parts.append(Text(f"operands not compared with the compiler's text of {words.total():,}: {shown}{more}"))
    if report.skipped:
        lines = [f"  {count:>8,}  {reason}" for reason, count in report.skipped.most_common()]
        parts.append(Text("\n".join(["skipped, by reason:", *lines])))
    if report.notes:
        parts.append(Text("\n".join(f"note: {note} ({count} files)" for note, count in sorted(report.notes.items()))))
    parts.append(Text(_sum(report)))
    if report.troubles:
        lines = [f"  {case}: {text}" for case, text in report.troubles[:10]]
        parts.append(Text("\n".join([f"{len(report.troubles)} programs lost to liftcheck's own fault:", *lines])))
    return Group(*parts)


def _sum(report: Report) -> str:
    """The pairs and what became of them."""
    rows = report.rows.values()
    counts = {
        "valid": sum(row.valid for row in rows),
        "invalid": sum(row.invalid for row in rows),
        "undecided": sum(row.undecided.total() for row in rows),
        "refused": sum(row.refused.total() for row in rows),
        "skipped": report.skipped.total(),
    }
    unread = f"; {report.unreadable} files could not be read" if report.unreadable else ""
    return (
        f"{report.units:,} {report.UNITS}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()) + unread
    )


def refutations(report: Report) -> Iterator[str]:
    """The refutations as text that is not to be wrapped: of each ISA and reason some in full, with their functions."""
    shown: Counter[tuple[str, str]] = Counter()
    for one in report._sorted():
        kind = (one.target.isa, one.verdict.reason)
        shown[kind] += 1
        full = shown[kind] <= IN_FULL
        yield f"{one.unit}: {one.function} on {one.target}: INVALID{'' if full else f': {one.verdict.reason}'}"
        if full and one.verdict.counterexample is not None:
            yield f"{one.verdict.counterexample.render()}\n{one.clif.rstrip()}\n"


def _table(report: Report) -> Fitting:
    columns = (
        "ISA", "allocator", "functions", "instructions", "emitted",
        "valid", "invalid", "undecided", "refused", "emitted/s",
    )  # fmt: skip
    rows = []
    for (isa, algorithm), row in sorted(report.rows.items()):
        numbers = (
            row.functions,
            row.counts.instructions,
            row.counts.machine_instructions,
            row.valid,
            row.invalid,
            row.undecided.total(),
            row.refused.total(),
            round(row.speed),
        )
        rows.append((isa, algorithm, *(f"{number:,}" for number in numbers)))
    title = f"{report.compiler}, {report.texts:,} files or programs, {report.seconds:.0f} s"
    return Fitting(title, columns, rows, frozenset(columns[2:]))


def _reasons(report: Report, title: str) -> Iterator[str]:
    sums: Counter[str] = Counter()
    for (isa, _), row in report.rows.items():
        if title != "invalid":
            for reason, count in (row.undecided if title == "undecided" else row.refused).items():
                sums[f"{isa}: {reason}"] += count
    if title == "invalid":
        sums.update(f"{one.target.isa}: {one.verdict.reason}" for one in report.refuted)
    if sums:
        yield f"{title}, by reason:"
        yield from (f"  {count:>8,}  {reason}" for reason, count in sums.most_common(REASONS))
        rest = [count for _, count in sums.most_common()[REASONS:]]
        if rest:
            yield f"  {sum(rest):>8,}  for {len(rest)} more reasons (--json lists them)"
