"""Machine instructions' rows with another meaning than theirs, executed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.row import Row
from liftcheck.oracles.rows.compare import Judged, judge
from liftcheck.oracles.rows.executors import Executor, ProcessExecutor, processes


@cache
def processes_of(bench: Bench) -> Sequence[ProcessExecutor]:
    """The executors that this host has; asking starts each of them."""
    return processes(bench)


def planted(
    bench: Bench, which: str, meaning: Callable[..., Any], executors: Sequence[Executor], states: int
) -> Judged:
    """What is found of the row of that mnemonic, or with that text, if it has another meaning."""

    def is_it(row: Row) -> bool:
        return row.base is None and which in (row.name, row.syntax.shape)

    table = bench.table.changed(lambda row: replace(row, meaning=meaning) if is_it(row) else row)
    asked = [row for row in table.rows if is_it(row)]
    (judged,) = judge(replace(bench, table=table), asked, executors, states)
    return judged
