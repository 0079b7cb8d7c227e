"""Executes each row of an ISA's table on many states, in every executor there is, and prints what came of it.

    python ci/experiments/row_runs.py --isa riscv64 [--states 2000] [--rows REGEX] [--seed 1] [--json FILE]

A line for each row that differs, or that no executor has; then the counts. Exit code 1 if a row differs for a reason
that is not among the known ones of the bench.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.row import Row
from liftcheck.oracles.rows.compare import Judged, judge
from liftcheck.oracles.rows.executors import Executor, processes
from liftcheck.oracles.rows.unicorn import UnicornExecutor


def main(argv: list[str]) -> int:
    """Runs the rows that are asked for."""
    parser = argparse.ArgumentParser(description="Executes machine instructions' rows in emulators and natively.")
    parser.add_argument("--isa", required=True, choices=[isa for isa in ISAS if isa_named(isa).bench])
    parser.add_argument("--states", type=int, default=2000, help="states a row and executor (default: 2000)")
    parser.add_argument("--rows", default="", help="only rows whose mnemonic matches this expression")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write counts of each row to this file")
    options = parser.parse_args(argv)
    found: list[Judged] = []
    wrong = 0
    for bench in isa_named(options.isa).part(isa_named(options.isa).bench)():
        executors: list[Executor] = [*processes(bench), *([UnicornExecutor()] if bench.in_unicorn else [])]
        rows = [row for row in bench.rows() if re.search(options.rows, row.name)]
        for judged in judge(bench, rows, executors, options.states, options.seed):
            wrong += shown(bench, judged)
            found.append(judged)
    summary(found)
    if options.json:
        options.json.write_text(json.dumps([document(judged) for judged in found], indent=1), encoding="utf-8")
    return int(wrong > 0)


def shown(bench: Bench, judged: Judged) -> bool:
    """Prints a row's line if there is something to say; whether it differs for no known reason."""
    unknown, shape = False, judged.row.syntax.shape
    for name, count in judged.differing.items():
        reason = bench.erratum(name, judged.row)
        unknown = unknown or not reason
        print(f"{shape}: {count} of {judged.compared[name]} states differ in {name}{reason and ': ' + reason}")
        for one in judged.differences[name] if not reason else ():
            given = ", ".join(f"{place} = {value:#x}" for place, value in one.given)
            print(f"    {one.text}: {one.where} is {one.row_says:#x} by the row, {one.executed:#x} executed; {given}")
    if not judged.compared and not judged.row.untested:
        lacks = ", ".join(judged.lacks) or "none could be drawn"
        print(f"{shape}: executed nowhere ({lacks})")
    return unknown


def summary(found: list[Judged]) -> None:
    """The counts."""
    run = [judged for judged in found if judged.compared]
    apart = [judged.row for judged in found if judged.row.untested]
    states = sum(sum(judged.compared.values()) for judged in found)
    print(f"{len(run)} rows executed on {states} states, {len(found) - len(run) - len(apart)} executed nowhere")
    print(f"{len(apart)} rows are not to be executed: {_reasons(apart)}")


def _reasons(rows: list[Row]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.untested] = counts.get(row.untested, 0) + 1
    return ", ".join(f"{reason} ({count})" for reason, count in counts.items())


def document(judged: Judged) -> dict[str, Any]:
    """A row's counts."""
    return {
        "row": judged.row.syntax.shape,
        "compared": judged.compared,
        "differing": judged.differing,
        "lacks": sorted(judged.lacks),
        "untested": judged.row.untested,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
