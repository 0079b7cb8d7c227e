"""What `liftcheck test` found: units passed, failed, undecided, skipped by reason; as lines and as one JSON document.

The one idea: a unit (see `units`) is one run line on one ISA with one list of settings (or on the
interpreter), or one function on one target; each gets one verdict, and `settle` holds the sum of verdicts against the
number of units that were found beforehand. A unit that could not be judged is a skip with a reason, and reasons are
counted; so are units for ISAs that liftcheck does not have. A unit in which the compiler is proven wrong (see
`known`) is a finding: listed with its cause, neither passed nor failed. A unit that ran, but whose outcome
cannot be called right or wrong (CLIF leaves it open, there was no time), is undecided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from liftcheck.case import Outcome
from liftcheck.clif.text.runlines import RunLine
from liftcheck.errors import Diagnostic
from liftcheck.oracles.counted import Counted

VERDICTS: Final = ("passed", "failed", "undecided", "skipped")
"""What a unit may be, beside a finding."""
SHOWN: Final = 20
"""Places of one reason that are listed for people; `--json` has all."""


class Failure(NamedTuple):
    """One unit that failed. `where` is the target's text, 'interpreter', or the command ('verifier', 'cat')."""

    file: str
    line: int
    where: str
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: {self.what} on {self.where}"
        return f"{place}\n    expected {self.expected}\n    got      {self.got}"


def is_met(line: RunLine, outcome: Outcome) -> bool:
    """Whether an outcome is what a run line asks for; `print` lines ask for a return alone."""
    return line.is_met(outcome.kind, outcome.values, outcome.detail, outcome.memory)


def line_failure(file: str, where: str, line: RunLine, outcome: Outcome) -> Failure:
    """A run line that was not met."""
    call = f"{line.function or 'run'}({line.args_text()})"
    expected = line.expectation() or "a return"
    got = f"{outcome.kind} {outcome.detail}".rstrip()
    if outcome.kind == "returned":
        got = ", ".join([*line.results_text(outcome.values), *line.found_text(outcome.memory)]) or "a return"
    return Failure(file, line.line, where, call, expected, got)


def undecided(file: str, where: str, line: RunLine, outcome: Outcome, why: object) -> Failure:
    """A run line whose outcome is neither right nor wrong."""
    unit = line_failure(file, where, line, outcome)
    return unit._replace(got=f"{unit.got}; {why}")


def unjudged(file: str, where: str, line: RunLine, why: str) -> Failure:
    """A run line that was not tried."""
    return line_failure(file, where, line, Outcome("returned"))._replace(got=f"not run; {why}")


@dataclass(slots=True)
class Report(Counted):
    """Sums over files.

    unasked    what would be units without `--isa`
    undecided  the reason, without names and places, and the unit
    outside    skipped units by architecture that is not one of ours
    broken     what is wrong with files that could not be read; `unreadable`: how many these are
    by_target  (ISA, 'interpreter', or the command that is judged once: 'verifier', verdict) -> units
    by_file    file -> its `by_target`
    """

    files: int = 0
    unasked: int = 0
    unreadable: int = 0
    passed: int = 0
    failures: list[Failure] = field(default_factory=list)
    findings: list[tuple[str, Failure]] = field(default_factory=list)
    undecided: list[tuple[str, Failure]] = field(default_factory=list)
    skips: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    by_target: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_file: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    broken: list[Diagnostic] = field(default_factory=list)
    seconds: float = 0.0

    def finds(self, where: str, cause: str, unit: Failure) -> None:
        """A real difference: `cause` says what it is, with its page."""
        self.findings.append((cause, unit))
        self.by_target[where, "findings"] += 1

    def undecides(self, where: str, reason: str, unit: Failure) -> None:
        """A unit that ran and cannot be judged; `unit.got` says what was seen and what leaves it open."""
        self.undecided.append((reason, unit))
        self.by_target[where, "undecided"] += 1

    @property
    def failed(self) -> int:
        return len(self.failures)

    @property
    def skipped(self) -> int:
        return sum(self.skips.values())

    @property
    def judged(self) -> int:
        """The sum of all verdicts."""
        return self.passed + self.failed + len(self.findings) + len(self.undecided) + self.skipped

    @property
    def exit_code(self) -> int:
        """0 nothing found, 1 something failed or is a finding, 2 a file could not be read, or units were lost."""
        return 1 if self.failures or self.findings else 2 if self.broken or self.lost else 0

    def passes(self, where: str, count: int = 1) -> None:
        self.passed += count
        self.by_target[where, "passed"] += count

    def fails(self, where: str, failure: Failure) -> None:
        self.failures.append(failure)
        self.by_target[where, "failed"] += 1

    def skip(self, where: str, reason: str, count: int = 1) -> None:
        if count:
            self.skips[reason] += count
            self.by_target[where, "skipped"] += count

    def skip_outside(self, isa: str, count: int) -> None:
        """Units for an architecture that liftcheck does not have."""
        self.outside[isa] += count
        self.skip(isa, f"not an ISA of liftcheck's: {isa}", count)

    def add(self, other: Report) -> None:
        """Take another report's findings into this one."""
        self.add_counted(other)
        self.files += other.files
        self.unasked += other.unasked
        self.unreadable += other.unreadable
        self.passed += other.passed
        self.failures += other.failures
        self.findings += other.findings
        self.undecided += other.undecided
        self.skips += other.skips
        self.outside += other.outside
        self.notes += other.notes
        self.by_target += other.by_target
        self.by_file |= other.by_file
        self.broken += other.broken

    def lines(self) -> Iterator[str]:
        """For people; the last line is `N passed, N failed, N undecided, N skipped` (and `N findings`)."""
        yield from map(str, self.broken)
        for failure, count in sorted(Counter(self.failures).items()):
            yield str(failure) + (f"\n    ({count} units)" if count > 1 else "")
        yield from _listed("findings (real differences, neither passed nor failed):", self.findings)
        yield from _listed("undecided, by reason:", self.undecided)
        if self.skips:
            yield "skipped, by reason:"
            yield from (f"  {count:6}  {reason}" for reason, count in self.skips.most_common())
        yield from (f"note: {note} ({count})" for note, count in sorted(self.notes.items()))
        for where in sorted({where for where, _ in self.by_target}):
            counts = ", ".join(f"{self.by_target[where, v]} {v}" for v in VERDICTS)
            if self.by_target[where, "findings"]:
                counts += f", {self.by_target[where, 'findings']} findings"
            yield f"{where}: {counts}"
        yield from self.lost
        unread = f", {self.unreadable} more could not be read" if self.unreadable else ""
        unasked = f" ({self.unasked} more on ISAs that were not asked for)" if self.unasked else ""
        yield f"{self.units} units{unasked} in {self.files} files{unread}, {self.seconds:.1f} s"
        found = f", {len(self.findings)} findings" if self.findings else ""
        yield (
            f"{self.passed} passed, {self.failed} failed, {len(self.undecided)} undecided, {self.skipped} skipped"
            f"{found}"
        )

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "units": self.units,
            "passed": self.passed,
            "failed": self.failed,
            "undecided": len(self.undecided),
            "skipped": self.skipped,
            "files": self.files,
            "seconds": round(self.seconds, 3),
            "skips": dict(self.skips.most_common()),
            "outside": dict(sorted(self.outside.items())),
            "notes": dict(sorted(self.notes.items())),
            "by_target": _by_where(self.by_target),
            "by_file": {file: _by_where(counts) for file, counts in self.by_file.items()},
            "findings": [{"cause": cause, **unit._asdict()} for cause, unit in sorted(self.findings)],
            "open": [{"reason": reason, **unit._asdict()} for reason, unit in sorted(self.undecided)],
            "failures": [failure._asdict() for failure in sorted(self.failures)],
            "broken": [str(diagnostic) for diagnostic in self.broken],
            "lost": self.lost,
        }


def _by_where(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """ISA or command -> verdict -> units."""
    wheres = sorted({where for where, _ in counts})
    return {where: {verdict: counts[where, verdict] for verdict in VERDICTS} for where in wheres}


def _listed(heading: str, units: Sequence[tuple[str, Failure]]) -> Iterator[str]:
    """Units by their reason, the commonest first, with their places."""
    if units:
        yield heading
    for reason, count in Counter(reason for reason, _ in units).most_common():
        places = sorted({f"{unit.file}:{unit.line}" for found, unit in units if found == reason})
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        yield f"  {count:6}  {reason}: {', '.join(places[:SHOWN])}{more}"
