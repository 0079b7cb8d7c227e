"""What `liftcheck verify` found: counts by ISA, refutations in full, for people and as JSON.

The one idea: each function on each target is a unit, and each unit is one of equal, proven, refuted, unconfirmed,
undecided, refused, skipped; the last three are counted by reason, and the sum of all is held against the units
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

REASONS: Final = 16
"""Reasons that people are shown, most frequent first."""
IN_FULL: Final = 2
"""Refutations of one ISA and reason that people are shown in full; --json has all of them."""
VERDICTS: Final = ("equal", "proven", "refuted", "unconfirmed", "undecided", "refused")


class Place(NamedTuple):
    """A function on a target. `line`: in its file."""

    file: str
    function: str
    line: int
    target: Target

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.function} on {self.target}"

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "file": self.file,
            "function": self.function,
            "line": self.line,
            "isa": self.target.isa,
            "settings": dict(self.target.settings),
        }


class Unsettled(NamedTuple):
    """A function that is neither proven nor refuted. `status`: 'undecided' or 'refused'."""

    place: Place
    status: str
    reason: str


class Example(NamedTuple):
    """A counterexample in words. `claim`: what differs; `inputs`: the arguments; `program`, `code`: what each side has
    there, '' if it has no number; `memory`: what data hold at first, by address."""

    claim: str
    inputs: tuple[str, ...] = ()
    program: str = ""
    code: str = ""
    memory: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {**self._asdict(), "memory": dict(self.memory)}

    def lines(self, function: str) -> list[str]:
        """For people."""
        found = [f"{self.claim} differs for {function}({', '.join(self.inputs)})"]
        found += [f"with {data} at {at}" for at, data in self.memory]
        return found + [f"{who:<8} {what}" for who, what in (("program", self.program), ("code", self.code)) if what]


class Ran(NamedTuple):
    """What the run of a counterexample shows. `klass`: of the finding; `runners`: on which; `blame`: lines that say
    which half of the compiler, and which instruction is the first that is wrong; `fault`: the known fault that it is,
    with its page; `filetest` shows it."""

    klass: str
    detail: str
    runners: tuple[str, ...]
    blame: tuple[str, ...] = ()
    fault: str = ""
    filetest: str = ""


class Refuted(NamedTuple):
    """A function for which there is a counterexample. `ran`: what its run shows, None if none does: then `why`, and
    whether that is `ours`, since the run agrees with the reference."""

    place: Place
    example: Example
    clif: str = ""
    ran: Ran | None = None
    why: str = ""
    ours: bool = False

    @property
    def reason(self) -> str:
        """What is counted."""
        if self.ran is not None:
            return self.ran.fault or self.example.claim
        return f"{'a bug of liftcheck, please report it' if self.ours else 'not run'}: {self.why}"

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            **self.place.document(),
            **self.example.document(),
            "run": None if self.ran is None else self.ran._asdict(),
            "reason": self.reason,
            "ours": self.ours,
            "text": self.text,
            "clif": self.clif,
        }

    @property
    def text(self) -> str:
        """What is said of it."""
        lines = self.example.lines(self.place.function)
        if self.ran is not None:
            lines += [f"run      {self.ran.klass} on {', '.join(self.ran.runners)}: {self.ran.detail}"]
            lines += [f"known    {self.ran.fault}"] if self.ran.fault else []
            lines += self.ran.blame
        else:
            lines.append(f"run      {self.reason}")
        return "\n".join(lines)


@dataclass(slots=True)
class Row:
    """One ISA: how many functions have which verdict, why some are undecided or refused; `seconds` of processor time
    that the proofs took."""

    verdicts: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: Row) -> None:
        """Sums."""
        self.verdicts += other.verdicts
        self.undecided += other.undecided
        self.refused += other.refused
        self.seconds += other.seconds

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "functions": self.verdicts.total(),
            **{name: self.verdicts[name] for name in VERDICTS[:4]},
            "undecided": dict(self.undecided.most_common()),
            "refused": dict(self.refused.most_common()),
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class Report(Counted):
    """A sum of files. A unit is a function on a target.

    texts      files that were read; `unreadable`: files that were not
    notes      what options override in files -> in how many
    skipped    pairs that do not concern liftcheck, by reason: other ISAs
    """

    UNITS: ClassVar[str] = "functions on targets"
    compiler: str = ""
    rows: dict[str, Row] = field(default_factory=dict)
    refuted: list[Refuted] = field(default_factory=list)
    unconfirmed: list[Refuted] = field(default_factory=list)
    unsettled: list[Unsettled] = field(default_factory=list)
    broken: list[Diagnostic] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    texts: int = 0
    unreadable: int = 0
    seconds: float = 0.0

    @property
    def judged(self) -> int:
        """The sum of all verdicts."""
        return sum(row.verdicts.total() for row in self.rows.values()) + self.skipped.total()

    def row(self, isa: str) -> Row:
        """The row of an ISA."""
        return self.rows.setdefault(isa, Row())

    def holds(self, place: Place, verdict: str) -> None:
        """A function that is 'equal' or 'proven'."""
        self.row(place.target.isa).verdicts[verdict] += 1

    def unsettle(self, place: Place, status: str, reason: str) -> None:
        """A function that is 'undecided', or that the compiler has 'refused'."""
        row = self.row(place.target.isa)
        row.verdicts[status] += 1
        (row.undecided if status == "undecided" else row.refused)[reason] += 1
        self.unsettled.append(Unsettled(place, status, reason))

    def refute(self, found: Refuted) -> None:
        """A function with a counterexample: refuted if a run shows it."""
        verdict = "unconfirmed" if found.ran is None else "refuted"
        self.row(found.place.target.isa).verdicts[verdict] += 1
        (self.unconfirmed if found.ran is None else self.refuted).append(found)

    def add(self, other: Report) -> None:
        """Sums."""
        for isa, row in other.rows.items():
            self.row(isa).add(row)
        self.add_counted(other)
        self.refuted += other.refuted
        self.unconfirmed += other.unconfirmed
        self.unsettled += other.unsettled
        self.broken += other.broken
        self.skipped += other.skipped
        self.notes += other.notes
        self.texts += other.texts
        self.unreadable += other.unreadable

    @property
    def exit_code(self) -> int:
        """1 if anything was refuted, 2 if a file could not be read or pairs were lost, 3 if no run shows what was
        refuted, else 0."""
        return 1 if self.refuted else 2 if self.broken or self.lost else 3 if self.unconfirmed else 0

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "compiler": self.compiler,
            "files": self.texts,
            "units": self.units,
            "seconds": round(self.seconds, 3),
            "isas": {isa: row.document() for isa, row in sorted(self.rows.items())},
            "refuted": _documents(self.refuted),
            "unconfirmed": _documents(self.unconfirmed),
            "undecided": self._unsettled("undecided"),
            "refused": self._unsettled("refused"),
            "skipped": dict(self.skipped.most_common()),
            "lost": self.lost,
            "notes": dict(sorted(self.notes.items())),
            "broken": [str(diagnostic) for diagnostic in self.broken],
        }

    def _unsettled(self, status: str) -> list[dict[str, object]]:
        return [
            {**one.place.document(), "reason": one.reason} for one in sorted(self.unsettled) if one.status == status
        ]


def _documents(found: list[Refuted]) -> list[dict[str, object]]:
    return [one.document() for one in sorted(found, key=_order)]


def _order(one: Refuted) -> tuple[Target, Place]:
    return one.place.target, one.place


def refutations(report: Report) -> Iterator[str]:
    """The refutations as text that is not to be wrapped: of each ISA and reason some in full, with a filetest."""
    shown: Counter[tuple[str, str]] = Counter()
    for one in sorted([*report.refuted, *report.unconfirmed], key=_order):
        kind = one.place.target.isa, one.reason
        shown[kind] += 1
        word = "REFUTED" if one.ran is not None else "UNCONFIRMED"
        if shown[kind] > IN_FULL:
            yield f"{one.place}: {word}: {one.reason}"
            continue
        text = one.text.replace("\n", "\n    ")
        program = one.ran.filetest if one.ran is not None else one.clif
        yield f"{one.place}: {word}: {text}\n\n{program.rstrip()}\n"


def tables(report: Report) -> RenderableType:
    """The counts for people."""
    parts: list[RenderableType] = [_table(report)]
    for title in ("undecided", "refused"):
        if text := "\n".join(_reasons(report, title)):
            parts.append(Text(text))
    if report.skipped:
        lines = [f"  {count:>8,}  {reason}" for reason, count in report.skipped.most_common()]
        parts.append(Text("\n".join(["skipped, by reason:", *lines])))
    if report.notes:
        parts.append(Text("\n".join(f"note: {note} ({count} files)" for note, count in sorted(report.notes.items()))))
    parts.append(Text(_sum(report)))
    return Group(*parts)


def _table(report: Report) -> Fitting:
    columns = ("ISA", "functions", *VERDICTS, "functions/s")
    rows = []
    for isa, row in sorted(report.rows.items()):
        number = row.verdicts.total()
        speed = number / row.seconds if row.seconds else 0.0
        counts = (number, *(row.verdicts[name] for name in VERDICTS))
        rows.append((isa, *(f"{count:,}" for count in counts), f"{speed:,.1f}"))
    title = f"{report.compiler}, {report.texts:,} files, {report.seconds:.0f} s"
    return Fitting(title, columns, rows, frozenset(columns[1:]))


def _reasons(report: Report, title: str) -> Iterator[str]:
    sums: Counter[str] = Counter()
    for isa, row in report.rows.items():
        for reason, count in (row.undecided if title == "undecided" else row.refused).items():
            sums[f"{isa}: {reason}"] += count
    if sums:
        yield f"{title}, by reason:"
        yield from (f"  {count:>8,}  {reason}" for reason, count in sums.most_common(REASONS))
        if rest := [count for _, count in sums.most_common()[REASONS:]]:
            yield f"  {sum(rest):>8,}  for {len(rest)} more reasons (--json lists them)"


def _sum(report: Report) -> str:
    """The pairs and what became of them."""
    counts = {name: sum(row.verdicts[name] for row in report.rows.values()) for name in VERDICTS}
    counts["skipped"] = report.skipped.total()
    unread = f"; {report.unreadable} files could not be read" if report.unreadable else ""
    words = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"{report.units:,} {report.UNITS}: {words}{unread}"
