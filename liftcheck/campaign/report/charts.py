"""Pictures of a campaign as HTML: when findings came, where the time went, which (opcode, type) was executed how often.

The one idea: positions and shades are percentages in the page's own style, so a picture fits any width, has words that
can be searched and copied, and needs no library.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from liftcheck.campaign.report.gather import Gathered

_COLOURS: Final = 6
_TICKS: Final = 4


def duration(seconds: float) -> str:
    """`75 s`, `12 min`, `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def timeline(gathered: Gathered) -> str:
    """A dot for each finding at the time when it was first seen, a row for each class."""
    if not gathered.findings:
        return ""
    document = gathered.kept.document or {}
    times = [one.finding.seconds for one in gathered.findings]
    end = max([*times, float(document.get("seconds", 0.0)), 1.0])
    classes = list(dict.fromkeys(one.finding.klass for one in gathered.findings))
    rows = []
    for number, klass in enumerate(classes):
        dots = "".join(
            f'<i class="c{number % _COLOURS}" style="left:{100 * time / end:.2f}%" title="{time:.0f} s: '
            f'{html.escape(one.key, quote=True)}"></i>'
            for one, time in zip(gathered.findings, times)
            if one.finding.klass == klass
        )
        rows.append(f'<div class="row"><span>{html.escape(klass)}</span><div class="track">{dots}</div></div>')
    ticks = "".join(f"<span>{duration(end * n / _TICKS)}</span>" for n in range(_TICKS + 1))
    axis = f'<div class="row axis"><span></span><div class="ticks">{ticks}</div></div>'
    return f'<section><h2>When they were found</h2><div class="timeline">{"".join(rows)}{axis}</div></section>'


def shares(share: Mapping[str, float]) -> str:
    """Where the workers' time went, as one bar."""
    parts = [(stage, value) for stage, value in share.items() if value >= 0.005]
    if not parts:
        return ""
    bar = "".join(
        f'<i class="c{number % _COLOURS}" style="width:{100 * value:.1f}%"></i>'
        for number, (_, value) in enumerate(parts)
    )
    names = "".join(
        f'<span><i class="c{number % _COLOURS}"></i>{html.escape(stage)} {value:.0%}</span>'
        for number, (stage, value) in enumerate(parts)
    )
    return f'<h3>Where the time went</h3><div class="bar">{bar}</div><div class="legend">{names}</div>'


def rules(files: Sequence[tuple[str, str, int, int]]) -> str:
    """How many of the compiler's rules were executed: a bar for each file, by part."""
    if not files:
        return ""
    made = ["<section><h2>The compiler's rules that were executed</h2>"]
    for part in dict.fromkeys(part for part, *_ in files):
        mine = [row for row in files if row[0] == part]
        executed, all_of_them = sum(row[2] for row in mine), sum(row[3] for row in mine)
        rows = "".join(_file_row(*row[1:]) for row in mine)
        title = f"{html.escape(part)}: {executed:,} of {all_of_them:,} ({executed / max(all_of_them, 1):.0%})"
        made.append(f"<details><summary>{title}</summary>{rows}</details>")
    made.append("<p><code>liftcheck coverage --html</code> shows which.</p></section>")
    return "".join(made)


def _file_row(name: str, executed: int, number: int) -> str:
    share = 100 * executed / max(number, 1)
    bar = f'<div class="bar"><i class="c4" style="width:{share:.1f}%"></i></div>'
    told = f"<small>{executed:,} of {number:,}</small>"
    return f'<div class="row file"><span>{html.escape(name)}</span><div>{bar}{told}</div></div>'


def coverage(document: Mapping[str, Any] | None) -> str:
    """(opcode, type) as a map for each ISA: how often the first runs of programs executed it."""
    if document is None or not any(document.get("executed", {}).values()):
        return ""
    parts = ["<section><h2>Executed (opcode, type)</h2>"]
    for isa, counts in document["executed"].items():
        parts.append(f"<details><summary>{html.escape(isa)}: {len(counts):,} typings</summary>{_map(counts)}</details>")
    return "".join([*parts, "</section>"])


def _map(counts: Mapping[str, int]) -> str:
    cells: dict[str, dict[str, int]] = {}
    for key, count in counts.items():
        opcode, _, ty = key.partition(".")
        cells.setdefault(opcode, {})[ty or "-"] = count
    types = sorted({ty for row in cells.values() for ty in row}, key=_type_order)
    common = [ty for ty in types if sum(ty in row for row in cells.values()) >= _COMMON]
    most = math.log1p(max(counts.values(), default=1))
    head = "".join(f"<th><span>{html.escape(ty)}</span></th>" for ty in common)
    body = "".join(_map_row(opcode, row, common, most) for opcode, row in sorted(cells.items()))
    return f'<div class="wide"><table class="map"><tr><th></th>{head}<th>others</th></tr>{body}</table></div>'


_COMMON: Final = 4
"""Opcodes that a type needs for a column of its own."""


def _map_row(opcode: str, row: Mapping[str, int], common: list[str], most: float) -> str:
    made = []
    for ty in common:
        if ty in row:
            shade = 15 + 85 * math.log1p(row[ty]) / most
            made.append(
                f'<td class="hit" style="--s:{shade:.0f}%" title="{html.escape(f"{opcode}.{ty}: {row[ty]:,}")}"></td>'
            )
        else:
            made.append("<td></td>")
    others = ", ".join(f"{ty} {row[ty]:,}" for ty in sorted(row) if ty not in common)
    return f"<tr><th>{html.escape(opcode)}</th>{''.join(made)}<td>{html.escape(others)}</td></tr>"


def _type_order(ty: str) -> tuple[int, str, int]:
    """Integers, floats, vectors; each by size."""
    is_vector, letter = "x" in ty, ty[:1]
    digits = "".join(c if c.isdigit() else " " for c in ty).split()
    return (int(is_vector) + 2 * ("." in ty), letter, math.prod(map(int, digits)) if digits else 0)
