"""Writes docs/isa/ISA.md, a page for an ISA that has a table of instructions, from its rows.

python ci/docs/isa.py [ISA …]    # after a change of a row; tests/isa/test_isa_pages.py compares
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.explain import explained
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Decoded, Lifted
from liftcheck.oracles.rows.instances import drawn

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "isa"
WIDEST = 200
"""Characters of what an instruction does; the rest is cut off: `liftcheck disasm --explain` has it."""

HEAD = """\
# Instructions of {isa}

Written by `ci/docs/isa.py` from the rows in `liftcheck/isa/{package}/insts/`. A line for each: its text, the
extension that it belongs to, the section of the manual, an example with its bytes, and what the example does, in the
words of [the terms](../clif-semantics.md). `loaded0` is what was loaded, `pc` the instruction's own address,
`undefined0` bits that the manual leaves open. What does not fit is cut off: `liftcheck disasm --isa {isa} --explain
BYTES` has it. How a row is written: [machine-rows.md](../machine-rows.md).

{count} instructions, {aliases} other names.
"""


def page(isa: str) -> str:
    """An ISA's page: its rows by extension, in the table's order."""
    benches: tuple[Bench, ...] = isa_named(isa).part(isa_named(isa).bench)()
    rows = [(bench, row) for bench in benches for row in bench.rows()]
    real = [(bench, row) for bench, row in rows if row.base is None]
    head = HEAD.format(isa=isa, package=isa_named(isa).listed.package, count=len(real), aliases=len(rows) - len(real))
    parts = [head]
    for needs in dict.fromkeys(row.needs for _, row in real):
        parts.append(f"## {needs or 'Base'}\n\n| text | section | example | bytes | does |\n|---|---|---|---|---|")
        parts[-1] += "".join(f"\n{_line(bench, row)}" for bench, row in real if row.needs == needs) + "\n"
    names = [f"| `{row.syntax.shape}` | `{row.base.syntax.shape}` |" for _, row in rows if row.base is not None]
    parts.append("\n".join(["## Other names", "", "| name | of |", "|---|---|", *names]) + "\n")
    return "\n".join(parts)


def _line(bench: Bench, row: Row) -> str:
    decoded, lifted = _example(bench, row)
    does = "; ".join(explained(lifted, bench.table.registers)) if lifted else ""
    does = does if len(does) <= WIDEST else f"{does[:WIDEST]} …"
    example, data = (f"`{decoded.text}`", f"`{decoded.data.hex()}`") if decoded else ("", "")
    cells = [f"`{row.syntax.shape}`", row.section, example, data, f"`{does}`" if does else ""]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _example(bench: Bench, row: Row) -> tuple[Decoded | None, Lifted | None]:
    """An instruction with different operands that has a meaning, in the context that is the most usual."""
    draw = Random(row.syntax.shape)
    counts = [context for context, _ in bench.contexts]
    context = max(counts, key=counts.count)
    found: tuple[Decoded | None, Lifted | None] = (None, None)
    for _ in range(200):
        decoded = drawn(bench, row, draw)
        if decoded is None:
            continue
        lifted = bench.table.lift(decoded, context if found[0] is None else draw.choice(counts))
        if lifted.effects is not None and len(set(map(str, decoded.values))) == len(decoded.values):
            return decoded, lifted
        found = found if found[1] is not None and found[1].effects is not None else (decoded, lifted)
    return found


def main(argv: list[str]) -> None:
    """Writes the pages of the ISAs that are named, or of all that have a table."""
    FOLDER.mkdir(exist_ok=True)
    for isa in argv or [isa for isa in ISAS if isa_named(isa).bench]:
        (FOLDER / f"{isa}.md").write_text(page(isa), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
