"""The rows that `growth.py` measures: as lines, as a file of rows, and as the page docs/growth.md.

The one idea: a row stands until its command and shape are measured anew on its ISA, so the page need not come from one
run. It does not measure.

    python ci/bench/growth_page.py ROWS docs/growth.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

LIMIT: Final = 1.2
HEADER: Final = f"{'command':21} {'shape':14} {'own':>5} {'at most':>10}  {'child':>5} {'at most':>10}   size"
INTRO: Final = """# How the time of each command grows

Made by `ci/bench/growth.py --save ROWS` and `ci/bench/growth_page.py ROWS docs/growth.md`, not by hand.

For every command and every *shape* (`liftcheck/generators/shapes.py`, `ci/bench/growth_files.py`: files in which one
thing is long and all else short) the size doubles from 500 to 32,000 of what the shape is named for, unless a run takes
longer than the limit. The exponent is the slope of log(time) over log(size) through the four largest sizes; linear is
1.0, n log n about 1.1, above 1.2 is called too steep. Time is processor time, on a machine that others were using: an
exponent is good to about 0.05, and seconds say little. A time below 0.3 s at the largest size is too short to say
anything.

The time of liftcheck itself is judged. That of its children (the compiler, qemu) is the compiler's own growth and is
shown apart, below. `fuzz` does its work in children, so there all time counts. What is not in the tables has not been
measured for this page; `tests/meta/test_growth.py` counts steps for every shape.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One command with one shape: exponents (None where the time is too short to say) and seconds at the largest size,
    of our own time and of the children's. `stopped`: the limit came before the largest size; `times` are our own."""

    command: str
    shape: str
    isa: str
    size: int
    own: float | None
    own_seconds: float
    children: float | None
    children_seconds: float
    stopped: bool
    codes: list[int]
    times: dict[int, float] = field(default_factory=dict)

    def is_steeper(self, limit: float) -> bool:
        """Whether our own time grows too fast."""
        return self.own is not None and self.own > limit

    @property
    def key(self) -> tuple[str, str, str]:
        """What a newer row replaces."""
        return self.command, self.shape, self.isa


def line(row: Row, limit: float = LIMIT) -> str:
    """One line of the table."""
    shown = ["flat" if value is None else f"{value:.2f}" for value in (row.own, row.children)]
    remarks = ["TOO STEEP"] if row.is_steeper(limit) else []
    remarks += ["stopped at the time limit"] if row.stopped else []
    remarks += [f"exit codes {row.codes}"] if row.codes not in ([0], [1]) else []
    return (
        f"{row.command:21} {row.shape:14} {shown[0]:>5} {row.own_seconds:8.2f} s  {shown[1]:>5} "
        f"{row.children_seconds:8.2f} s {row.size:6}  {', '.join(remarks)}"
    ).rstrip()


def merged(rows: Iterable[Row], new: Row) -> list[Row]:
    """The rows with a new one in its place."""
    kept = {row.key: row for row in rows}
    kept[new.key] = new
    return list(kept.values())


def read(path: Path) -> list[Row]:
    """The rows of a file; none if there is no file yet."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Row(**json.loads(text)) for text in lines]


def write(path: Path, rows: Iterable[Row]) -> None:
    """A row a line."""
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def page(rows: Sequence[Row]) -> str:
    """The page, of all rows."""
    parts = [INTRO, _overview(rows), _steep(rows), _short(rows), _compiler(rows)]
    return "\n".join(parts)


def _table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in rows)


def _overview(rows: Sequence[Row]) -> str:
    lines = []
    for command, isa in dict.fromkeys((row.command, row.isa) for row in rows):
        own = [row for row in rows if (row.command, row.isa) == (command, isa)]
        timed = sorted((row for row in own if row.own is not None), key=lambda row: row.own or 0.0, reverse=True)
        worst = "; ".join(f"{row.own:.2f} {row.shape} ({row.own_seconds:.1f} s)" for row in timed[:3])
        lines.append((f"`{command}`", isa, len(own), sum(not row.stopped for row in own), len(own) - len(timed), worst))
    head = ("command", "ISA", "shapes", "measured to the largest size", "too short to say", "steepest")
    return "## Our own time\n\n" + _table(head, lines)


def _steep(rows: Sequence[Row]) -> str:
    steep = [row for row in rows if row.is_steeper(LIMIT)]
    text = "".join(
        f"- `{row.command}`, {row.shape}, {row.isa}: {row.own:.2f} ("
        + ", ".join(f"{n}: {seconds} s" for n, seconds in row.times.items())
        + ")\n"
        for row in steep
    )
    return f"Steeper than {LIMIT}: " + (f"\n\n{text}" if steep else "none.\n")


def _short(rows: Sequence[Row]) -> str:
    """What did not come to the largest size, by shape: how far it came and whose time it was."""
    lines = []
    stopped = [row for row in rows if row.stopped]
    for shape in dict.fromkeys(row.shape for row in stopped):
        own = [row for row in stopped if row.shape == shape]
        reached = "; ".join(
            f"`{row.command}` {row.size:,}{' (ours)' * (row.own_seconds > row.children_seconds)}" for row in own
        )
        lines.append((shape, reached))
    return (
        "## Where the time limit came before the largest size\n\nThe largest size that was measured; *ours*: most "
        "of its time is liftcheck's.\n\n" + _table(("shape", "measured to"), lines)
    )


def _compiler(rows: Sequence[Row]) -> str:
    lines = []
    steep = [row for row in rows if row.children is not None and row.children > LIMIT]
    for shape in dict.fromkeys(row.shape for row in steep):
        own = [row for row in steep if row.shape == shape]
        found = "; ".join(
            f"`{row.command}` {row.children:.2f} ({row.children_seconds:.1f} s at {row.size:,})" for row in own
        )
        lines.append((shape, found))
    return (
        f"## The compiler's own growth\n\nShapes for which the time of the children has an exponent above {LIMIT}; "
        "all others are below.\n\n" + _table(("shape", "exponents"), lines)
    )


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(read(Path(sys.argv[1]))))
