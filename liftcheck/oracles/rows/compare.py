"""Rows against executors: what agrees, what does not, what an executor lacks.

The one idea: the trials of many instructions are one program. Where an executor dies, the instructions are halved
until one stands alone: that one it lacks. A disagreement keeps its instruction, the state, and the places that
differ, with both values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

from liftcheck.mach.rows.bench import DATA, TAKEN, Bench, program
from liftcheck.mach.rows.machine import Place
from liftcheck.mach.rows.row import Row
from liftcheck.oracles.rows.executors import Executor
from liftcheck.oracles.rows.instances import Instance, instances
from liftcheck.oracles.rows.states import Trial, trials


class Difference(NamedTuple):
    """A place for which the executor has another value than the row; `given`: what the instruction read."""

    text: str
    where: str
    row_says: int
    executed: int
    given: tuple[tuple[str, int], ...]


@dataclass
class Judged:
    """What came of one row. `compared`: states by executor; `lacks`: instructions that an executor died of;
    `differences`: of each executor the first few, `differing`: how many states differ."""

    row: Row
    instances: int = 0
    compared: dict[str, int] = field(default_factory=dict)
    lacks: dict[str, set[bytes]] = field(default_factory=dict)
    differing: dict[str, int] = field(default_factory=dict)
    differences: dict[str, list[Difference]] = field(default_factory=dict)


class _Load(NamedTuple):
    """An instruction and how many states it is to be executed on."""

    judged: Judged
    instance: Instance
    states: int
    seed: int


_KEPT: Final = 3
_BATCH: Final = 12_000
"""States in one program: some 16 MB."""
VARIANTS: Final = 10
"""Instructions of a row at most: operands drawn anew."""


def judge(bench: Bench, rows: Sequence[Row], executors: Sequence[Executor], states: int, seed: int = 1) -> list[Judged]:
    """Executes each row that can be executed on `states` states."""
    found, loads = [], []
    for row in rows:
        judged = Judged(row)
        found.append(judged)
        draw = Random(f"{seed} {row.syntax.shape}")
        made = [] if row.untested else _executable(bench, row, draw, min(VARIANTS, states))
        judged.instances = len(made)
        for number, one in enumerate(made):
            share = states * (number + 1) // len(made) - states * number // len(made)
            loads.append(_Load(judged, one, share, draw.getrandbits(32)))
    for executor in executors:
        _without_lacking(bench, loads, executor)
    return found


def _without_lacking(bench: Bench, loads: list[_Load], executor: Executor) -> None:
    """First an instruction of each row once, to see which the executor lacks; then the others on all their states."""
    firsts = {id(load.judged): load._replace(states=1) for load in reversed(loads)}
    _execute(bench, list(firsts.values()), executor, counts=False)
    able = [load for load in loads if executor.name not in load.judged.lacks]
    batch: list[_Load] = []
    for load in able:
        batch.append(load)
        if sum(one.states for one in batch) >= _BATCH:
            _execute(bench, batch, executor)
            batch = []
    _execute(bench, batch, executor)


def _executable(bench: Bench, row: Row, draw: Random, count: int) -> list[Instance]:
    """Instructions of a row that have a state to be executed on."""
    drawn = instances(bench, row, draw, 2 * count)
    return [one for one in drawn if any(True for _ in trials(bench, one, Random(1), DATA, 0, 0))][:count]


def _execute(bench: Bench, loads: list[_Load], executor: Executor, counts: bool = True) -> None:
    """Halves what the executor died of."""
    if not loads:
        return
    made = program(bench, [load.instance.decoded for load in loads])
    asked: list[tuple[_Load, Trial]] = []
    for load, *where in zip(loads, made.fragments, made.places):
        address = DATA + bench.size * len(asked)
        draws = trials(bench, load.instance, Random(load.seed), address, *where)
        asked += [(load, trial) for trial, _ in zip(draws, range(load.states))]
    records = b"".join(trial.record for _, trial in asked)
    results = executor.execute(bench, made, records + bytes(bench.size))
    if results is None:
        if len(loads) == 1:
            loads[0].judged.lacks.setdefault(executor.name, set()).add(loads[0].instance.decoded.data)
            return
        half = len(loads) // 2
        _execute(bench, loads[:half], executor, counts)
        _execute(bench, loads[half:], executor, counts)
        return
    for number, (load, trial) in enumerate(asked if counts else ()):
        judged = load.judged
        judged.compared[executor.name] = judged.compared.get(executor.name, 0) + 1
        got = results[bench.size * number : bench.size * (number + 1)]
        if got != trial.expected:
            _differs(bench, load, trial, got, executor.name)


def _differs(bench: Bench, load: _Load, trial: Trial, got: bytes, name: str) -> None:
    found = _differences(bench, load.instance, trial, got)
    if found:
        judged = load.judged
        judged.differing[name] = judged.differing.get(name, 0) + 1
        kept = judged.differences.setdefault(name, [])
        if len(kept) < _KEPT:
            kept += found[: _KEPT - len(kept)]


def _differences(bench: Bench, instance: Instance, trial: Trial, got: bytes) -> list[Difference]:
    given = tuple((bench.table.registers.name(p), bench.get(trial.record, p)) for p in instance.runnable.reads)
    text, found = instance.decoded.text, []
    for place in bench.slots:
        said, done = bench.get(trial.expected, place), bench.get(got, place)
        mask = bench.get(trial.defined, place) if trial.defined is not None else -1
        if (said ^ done) & mask:
            found.append(Difference(text, _name(bench, place), said, done, given))
    start, size = bench.window
    for what, at, count in (("the target reached", TAKEN, 8), ("memory", start, size)):
        part = slice(at, at + count)
        said, done = (int.from_bytes(x[part], bench.order) for x in (trial.expected, got))
        mask = int.from_bytes(trial.defined[part], bench.order) if trial.defined is not None else -1
        if (said ^ done) & mask:
            found.append(Difference(text, what, said, done, given))
    return found


def _name(bench: Bench, place: Place) -> str:
    return bench.table.registers.name(place)
