"""Tables for people: whole where no terminal is, lines where the terminal is narrow, no cell ever broken."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from support.reports import campaign, finding

from liftcheck.campaign.findings.suspicion import Trigger
from liftcheck.campaign.report.fit import WIDE, Fitting
from liftcheck.campaign.report.fuzz import _steered, show
from liftcheck.campaign.report.live import LiveProgress

LONG = Path("a-folder-with-a-long-name") / ("findings-" * 14)


def printed(out: Path, width: int, terminal: bool = False) -> str:
    """What a campaign with one finding prints."""
    stream = io.StringIO()
    show(campaign(out, finding()), Console(width=width, file=stream, force_terminal=terminal, color_system=None))
    return stream.getvalue()


def test_a_path_is_whole_where_no_terminal_is(tmp_path: Path) -> None:
    lines = printed(tmp_path / LONG, WIDE).splitlines()
    assert any(f"{tmp_path / LONG}/wrong-result-riscv64-2" in line for line in lines)
    assert any("┃ ISA" in line for line in lines)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 140])
def test_a_path_is_whole_on_a_terminal_of_any_width(tmp_path: Path, width: int) -> None:
    lines = printed(tmp_path / LONG, width, terminal=True).splitlines()
    assert any(f"{tmp_path / LONG}/wrong-result-riscv64-2" in line for line in lines)


def test_a_path_is_whole_while_the_campaign_runs() -> None:
    stream = io.StringIO()
    LiveProgress(Console(width=40, file=stream)).found(finding(), str(LONG))
    assert str(LONG) in stream.getvalue()


def test_a_narrow_terminal_gets_lines_that_fit_and_lose_nothing() -> None:
    columns = ("ISA", "programs", "pairs", "agreed", "disagreed", "undecided", "refused", "pairs/s")
    row = ("riscv64", "12,345", "23,456", "34,567", "-", "45", "56", "2,345")
    table = Fitting("cranelift, seed 1", columns, [row], frozenset(columns[1:4]))
    stream = io.StringIO()
    Console(width=40, file=stream).print(table, crop=False)
    made = stream.getvalue()
    assert max(map(len, made.splitlines())) <= 40 and "┃" not in made
    assert all(f"{name} {cell}" in made for name, cell in zip(columns[1:], row[1:])) and "riscv64" in made
    stream = io.StringIO()
    Console(width=100, file=stream).print(table, crop=False)
    assert "┃ ISA" in stream.getvalue()


def test_cells_are_text_and_not_markup() -> None:
    stream = io.StringIO()
    Console(width=80, file=stream).print(Fitting("[b]t", ("a", "b"), [("[red]x", "[/]")]), crop=False)
    assert "[red]x" in stream.getvalue() and "[/]" in stream.getvalue() and "[b]t" in stream.getvalue()


def test_what_is_steered_around_has_a_line_for_each_way_to_go_wrong() -> None:
    found = [Trigger("riscv64", "panic", "iadd.i8", 3, 1200), Trigger("riscv64", "panic", "isub.i8", 2, 30)]
    found.insert(1, Trigger("s390x", "panic", "iadd.i8", 4, 40))
    assert list(_steered(found)) == [
        "  riscv64, panic: iadd.i8 (3 of 1,200), isub.i8 (2 of 30)",
        "  s390x, panic: iadd.i8 (4 of 40)",
    ]
