"""Tables that fit: a table where the terminal is wide enough, else lines with a heading for each row.

The one idea: a cell is never broken over two lines, so a path can be copied, or found by `grep`. Where no terminal is,
a table is as wide as it needs to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

WIDE: Final = 100_000
"""Columns where there is no terminal: more than any line has."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """A table with a title. Columns called in `numbers` stand to the right. Print it with `crop=False`."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._table()
        if Measurement.get(console, options.update(max_width=WIDE), table).maximum <= options.max_width:
            yield table
        else:
            yield from self._lines()

    def _table(self) -> Table:
        table = Table(title=Text(self.title), title_justify="left", title_style="italic")
        for name in self.columns:
            table.add_column(name, justify="right" if name in self.numbers else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def _lines(self) -> RenderResult:
        """The first cell of a row as its heading, the others below it by name, several on a line while they are
        short."""
        yield _line(self.title, "italic")
        for first, *others in self.rows:
            yield _line(f"  {first}", "bold")
            short = [f"{name} {cell}" for name, cell in zip(self.columns[1:], others) if len(cell) <= _SHORT]
            yield from (_line(f"    {', '.join(part)}") for part in _packed(short))
            long = [f"{name} {cell}" for name, cell in zip(self.columns[1:], others) if len(cell) > _SHORT]
            yield from (_line(f"    {part}") for part in long)


_SHORT: Final = 24
_LINE: Final = 34
"""Characters of a cell that stands beside others; of a line of such cells."""


def _packed(parts: Sequence[str]) -> list[list[str]]:
    """The parts in lines."""
    lines: list[list[str]] = []
    for part in parts:
        if lines and sum(len(one) + 2 for one in lines[-1]) + len(part) <= _LINE:
            lines[-1].append(part)
        else:
            lines.append([part])
    return lines


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ignore")
