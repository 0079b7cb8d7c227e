"""The live line of a campaign on a terminal: pairs judged per second by ISA, findings, time left. Plain lines
elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.report.fuzz import FuzzReport

_PLAIN_EVERY: Final = 30.0


class LiveProgress:
    """A `Progress` for people, on standard error. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._printed = 0.0
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
            self._live.update(picture(report))
        elif time.monotonic() - self._printed > _PLAIN_EVERY:
            self._printed = time.monotonic()
            self.message(headline(report))


def headline(report: FuzzReport) -> str:
    """One line: how far, how fast, how many findings."""
    speed = report.pairs / report.seconds if report.seconds > 0 else 0.0
    return (
        f"{report.tally.programs:,} programs, {report.pairs:,} pairs judged ({speed:,.0f}/s), "
        f"{len(report.findings)} findings, {time_left(report)}"
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


def picture(report: FuzzReport) -> Table:
    """The live picture: a line for the whole, a line for each ISA."""
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(headline(report), style="bold"))
    for isa in report.options.isas:
        speed = report.tally.pairs[isa] / report.seconds if report.seconds > 0 else 0.0
        wrong = sum(n for (where, _), n in report.tally.disagreed.items() if where == isa)
        line = f"  {isa:<8} {speed:>7,.0f} pairs/s  {report.tally.pairs[isa]:>10,} judged"
        table.add_row(Text(line + (f"  {wrong} disagree" if wrong else ""), style="red" if wrong else ""))
    return table
