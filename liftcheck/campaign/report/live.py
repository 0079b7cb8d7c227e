"""The live picture of a campaign on a terminal: pairs judged per second by ISA, verdicts, findings and how many of them
are new, time left, the compiler's rules. Plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.report.fuzz import FuzzReport

_PLAIN_EVERY: Final = 30.0
_RULES_EVERY: Final = 5.0
"""Seconds; counting the rules takes some milliseconds."""


class LiveProgress:
    """A `Progress` for people, on standard error. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._printed = 0.0
        self._counted, self._rules = 0.0, ""
        self._began = time.monotonic()

    def __enter__(self) -> LiveProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, compiler: str) -> None:
        """The compiler is there and the workers start."""
        self._began = time.monotonic()
        self.message(f"fuzzing {compiler}")

    def message(self, message: str) -> None:
        """One line that stays."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def found(self, finding: Finding, place: str) -> None:
        """A new finding, or its reduced form."""
        how = "reduced" if finding.reduced else "found"
        self.message(f"{how}: {finding.klass} on {finding.target.isa}" + (f" -> {place}" if place else ""))

    def update(self, report: FuzzReport) -> None:
        """The state of things, several times a second."""
        if self._live is not None:
            if report.kept is not None and report.tally.traced and time.monotonic() - self._counted > _RULES_EVERY:
                self._rules, self._counted = report.kept.shares(report.tally), time.monotonic()
            self._live.update(picture(report, self._rules))
        elif time.monotonic() - self._printed > _PLAIN_EVERY:
            self._printed = time.monotonic()
            self.message(headline(report))


def headline(report: FuzzReport) -> str:
    """One line: how far, how fast, how many findings, how many of them are new."""
    speed = report.pairs / report.seconds if report.seconds > 0 else 0.0
    said = f", {len(report.new)} new" if report.known else ""
    return (
        f"{report.tally.programs:,} programs, {report.pairs:,} pairs judged ({speed:,.0f}/s), "
        f"{len(report.findings)} findings{said}, {time_left(report)}"
    )


def time_left(report: FuzzReport) -> str:
    """How much is left to do, in the unit in which the campaign is bounded."""
    options = report.options
    if options.cases is not None:
        whole = report.extent.programs if report.extent else options.cases
        programs = f"{max(whole - report.tally.programs, 0):,} programs left"
        return programs if options.seconds is None else f"{programs}, {_clock(report, options.seconds)}"
    if options.seconds is None:
        return f"{report.seconds:.0f} s so far, Ctrl-C ends it"
    return _clock(report, options.seconds)


def _clock(report: FuzzReport, seconds: float) -> str:
    left = max(seconds - report.seconds, 0.0)
    return f"{left // 60:.0f}:{left % 60:02.0f} left" if left else "finishing"


def picture(report: FuzzReport, rules: str = "") -> Group:
    """The live picture: a line for the whole, a table with a row for each ISA, a line of the rules."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("ISA", "pairs/s", "judged", "disagree", "undecided", "refused"):
        table.add_column(name, justify="left" if name == "ISA" else "right", no_wrap=True)
    for isa in report.options.isas:
        tally, speed = report.tally, report.tally.pairs[isa] / report.seconds if report.seconds > 0 else 0.0
        counts = [sum(n for (where, _), n in of.items() if where == isa) for of in (tally.disagreed, tally.undecided)]
        refused = sum(n for (where, _), n in tally.refused.items() if where == isa)
        table.add_row(isa, f"{speed:,.0f}", f"{tally.pairs[isa]:,}", *(f"{n:,}" for n in (*counts, refused)))
    said = Text(headline(report), style="bold red" if report.new else "bold")
    return Group(said, table, *([Text(rules, style="dim")] if rules else []))
