"""The growth of a compiler for people, as an object, and as a picture.

The one idea: the picture is drawn once for a page: lines in logarithmic scales, the steepest in colour with their
names, the rest grey, and what linear and quadratic look like beside them. It measures nothing
(`compilers.growth`).
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from liftcheck.campaign.report.fit import Fitting
from liftcheck.compilers.growth import Growth, Point

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 560, 70, 230, 40, 50
_COLOURS: Final = ("#0b6e99", "#c0392b", "#1e8449", "#8e44ad", "#b9770e", "#2c3e50")


def document(compiler: str, limit: float, rows: Sequence[Growth]) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "compiler": compiler,
        "limit": limit,
        "steeper": sum(row.is_steeper(limit) for row in rows),
        "rows": [_row(row, limit) for row in rows],
    }


def _row(row: Growth, limit: float) -> dict[str, Any]:
    return {
        "shape": row.shape,
        "target": str(row.target),
        "isa": row.target.isa,
        "time": None if row.time is None else round(row.time, 3),
        "memory": None if row.memory is None else round(row.memory, 3),
        "reading": None if row.reading is None else round(row.reading, 3),
        "steeper": row.is_steeper(limit),
        "stopped": row.stopped,
        "points": [point._asdict() for point in row.points],
    }


def table(compiler: str, limit: float, rows: Sequence[Growth]) -> Fitting:
    """The steepest first."""
    columns = ("shape", "target", "time", "memory", "reading", "largest", "takes", "has", "")
    ordered = sorted(rows, key=lambda row: (not row.is_steeper(limit), -(row.time or 0.0), row.shape))
    found = [
        (
            row.shape,
            f"{row.target.isa} {dict(row.target.settings).get('opt_level', '')}".strip(),
            _exponent(row.time),
            _exponent(row.memory),
            _exponent(row.reading),
            f"{row.points[-1].size:,}" if row.points else "-",
            f"{row.points[-1].seconds:.2f} s" if row.points else "-",
            f"{row.points[-1].memory:,.0f} MiB" if row.points and row.points[-1].memory is not None else "-",
            "; ".join(filter(None, ["too steep" if row.is_steeper(limit) else "", row.stopped])),
        )
        for row in ordered
    ]
    return Fitting(
        f"{compiler}: exponents of time and memory, limit {limit:g}", columns, found, frozenset(columns[2:8])
    )


def _exponent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def picture(compiler: str, limit: float, rows: Sequence[Growth]) -> str:
    """Processor time over size as SVG."""
    drawn = [row for row in rows if len([p for p in row.points if p.seconds > 0]) > 1]
    points = [point for row in drawn for point in row.points if point.seconds > 0]
    if not points:
        return ""
    scale = _Scale(points)
    steep = sorted((row for row in drawn if row.is_steeper(limit)), key=lambda row: -(row.time or 0.0))[: len(_COLOURS)]
    lines = [scale.line(row, "#c8ccd0", 1) for row in drawn if row not in steep]
    lines += [scale.line(row, _COLOURS[at], 2.5) for at, row in enumerate(steep)]
    names = [
        f'<text x="{_WIDTH - _RIGHT + 12}" y="{_TOP + 22 * at + 14}" fill="{_COLOURS[at]}">'
        f"{html.escape(f'{row.shape} {row.target.isa} {_exponent(row.time)}')}</text>"
        for at, row in enumerate(steep)
    ]
    title = html.escape(f"{compiler}: processor time of a compilation over the size of the program")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
            'font-size="13" role="img">',
            f"<title>{title}</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            f'<text x="{_LEFT}" y="22" font-size="15">{title}</text>',
            *scale.axes(),
            *lines,
            *names,
            "</svg>\n",
        ]
    )


class _Scale:
    """Places in the picture: both axes are logarithms."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.sizes = min(p.size for p in points), max(p.size for p in points)
        self.times = 10 ** math.floor(math.log10(min(p.seconds for p in points))), max(p.seconds for p in points)

    def x(self, size: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _share(size, *self.sizes)

    def y(self, seconds: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _share(seconds, *self.times)

    def line(self, row: Growth, colour: str, width: float) -> str:
        places = " ".join(f"{self.x(p.size):.1f},{self.y(p.seconds):.1f}" for p in row.points if p.seconds > 0)
        name = html.escape(f"{row.shape} {row.target.isa}: {_exponent(row.time)}")
        style = f'fill="none" stroke="{colour}" stroke-width="{width}"'
        return f'<polyline points="{places}" {style}><title>{name}</title></polyline>'

    def axes(self) -> Iterator[str]:
        """Frame, decades of time, sizes, and a dashed line for each of linear and quadratic."""
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        yield f'<path d="M{_LEFT},{_TOP}V{bottom}H{right}" fill="none" stroke="#555"/>'
        decade = self.times[0]
        while decade <= self.times[1]:
            y = self.y(decade)
            yield f'<path d="M{_LEFT},{y:.1f}H{right}" stroke="#eee"/>'
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{decade:g} s</text>'
            decade *= 10
        size = self.sizes[0]
        while size <= self.sizes[1]:
            yield f'<text x="{self.x(size):.1f}" y="{bottom + 20}" text-anchor="middle">{size:,}</text>'
            size *= 2
        for power, name in ((1, "linear"), (2, "quadratic")):
            yield self._guide(power, name)

    def _guide(self, power: int, name: str) -> str:
        """From the lower left corner up, until it leaves the picture."""
        (least, most), (low, high) = self.sizes, self.times
        last = min(most, least * (high / low) ** (1 / power))
        end = low * (last / least) ** power
        x, y = self.x(last), self.y(end)
        return (
            f'<path d="M{self.x(least):.1f},{self.y(low):.1f}L{x:.1f},{y:.1f}" stroke="#999" stroke-dasharray="5 4"/>'
            f'<text x="{x - 6:.1f}" y="{y + 16:.1f}" text-anchor="end" fill="#777">{name}</text>'
        )


def _share(value: float, low: float, high: float) -> float:
    return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low)) if high > low else 0.0
