"""What `liftcheck test` found: units passed, failed, skipped by reason; as lines for people and as one JSON document.

The one idea: a unit is one run line on one ISA with one list of settings (or on the interpreter), or one function on one
target for `test compile` and `test verifier`. A unit that could not be judged is a skip with a reason, and reasons are
counted; run lines for ISAs that liftcheck does not have are no units, and are said apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from liftcheck.errors import Diagnostic


class Failure(NamedTuple):
    """One unit that failed. `where` is the target's text, 'interpreter' or 'verifier'."""

    file: str
    line: int
    where: str
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} on {self.where}\n    expected {self.expected}\n    got      {self.got}"


@dataclass(slots=True)
class Report:
    """Sums over files. `outside` counts run lines per architecture that is not one of ours; `broken` are files that could
    not be read; `by_target` counts what was judged as (ISA or 'interpreter', verdict)."""

    files: int = 0
    passed: int = 0
    failures: list[Failure] = field(default_factory=list)
    skips: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    by_target: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[Diagnostic] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        return len(self.failures)

    @property
    def skipped(self) -> int:
        return sum(self.skips.values())

    @property
    def exit_code(self) -> int:
        """0 all passed, 1 something failed, 2 a file could not be read."""
        return 1 if self.failures else 2 if self.broken else 0

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

    def add(self, other: Report) -> None:
        """Take another report's findings into this one."""
        self.files += other.files
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips
        self.outside += other.outside
        self.notes += other.notes
        self.by_target += other.by_target
        self.broken += other.broken

    def lines(self) -> Iterator[str]:
        """For people; the last line is `N passed, N failed, N skipped`."""
        yield from map(str, self.broken)
        yield from map(str, sorted(self.failures))
        if self.skips:
            yield "skipped, by reason:"
            yield from (f"  {count:6}  {reason}" for reason, count in self.skips.most_common())
        if self.outside:
            listed = ", ".join(f"{name} {count}" for name, count in sorted(self.outside.items()))
            yield f"run lines for ISAs that are not liftcheck's (no units): {listed}"
        yield from (f"note: {note} ({count})" for note, count in sorted(self.notes.items()))
        for where in sorted({where for where, _ in self.by_target}):
            counts = ", ".join(f"{self.by_target[where, v]} {v}" for v in ("passed", "failed", "skipped"))
            yield f"{where}: {counts}"
        yield f"{self.files} files in {self.seconds:.1f} s"
        yield f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def document(self) -> dict[str, object]:
        """For `--json`."""
        wheres = sorted({where for where, _ in self.by_target})
        return {
            "passed": self.passed,
            "failed": self.failed,
            "skipped": self.skipped,
            "files": self.files,
            "seconds": round(self.seconds, 3),
            "skips": dict(self.skips.most_common()),
            "outside": dict(sorted(self.outside.items())),
            "notes": dict(sorted(self.notes.items())),
            "by_target": {w: {v: self.by_target[w, v] for v in ("passed", "failed", "skipped")} for w in wheres},
            "failures": [failure._asdict() for failure in sorted(self.failures)],
            "broken": [str(diagnostic) for diagnostic in self.broken],
        }
