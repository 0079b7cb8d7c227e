"""Rows against executors: what agrees, what does not, what an executor lacks.

The one idea: the trials of many instructions are one program. Where an executor dies, the instructions are halved
until one stands alone: that one it lacks. A disagreement keeps its instruction, the state, and the places that
differ, with both values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from types import MappingProxyType
from typing import Final, NamedTuple

from liftcheck.mach.rows.bench import DATA, TAKEN, Bench, Program, program
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
    """What came of one row. `compared`: states by executor; `lacks`: instructions that an executor died of, none
    where that was known before; `differences`: of each executor the first few, `differing`: how many states differ."""

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


class _Run(NamedTuple):
    """A program of some instructions, the trials of each, and all their records with one that ends them."""

    loads: list[_Load]
    program: Program
    asked: list[tuple[_Load, Trial]]
    records: bytes


_KEPT: Final = 3
_BATCH: Final = 12_000
"""States in one program: some 16 MB."""
VARIANTS: Final = 10
"""Instructions of a row at most: operands drawn anew."""


def judge(
    bench: Bench,
    rows: Sequence[Row],
    executors: Sequence[Executor],
    states: int,
    seed: int = 1,
    lacking: Mapping[str, str] = MappingProxyType({}),
) -> list[Judged]:
    """Executes each row that can be executed on `states` states. `lacking`: of an executor, the expression that whole
    `Row.needs` match which it is known to lack; finding that out takes most of the time."""
    found, loads = [], []
    for row in rows:
        judged = Judged(row)
        judged.lacks |= {name: set() for name, known in lacking.items() if re.fullmatch(known, row.needs)}
        found.append(judged)
        draw = Random(f"{seed} {row.syntax.shape}")
        made = [] if row.untested else _executable(bench, row, draw, min(VARIANTS, states))
        judged.instances = len(made)
        for number, one in enumerate(made):
            share = states * (number + 1) // len(made) - states * number // len(made)
            loads.append(_Load(judged, one, share, draw.getrandbits(32)))
    firsts = {id(load.judged): load._replace(states=1) for load in reversed(loads)}
    _execute_batch(bench, list(firsts.values()), executors, counts=False)  # to see which an executor lacks
    for batch in _batches(loads):
        _execute_batch(bench, batch, executors)
    return found


def _batches(loads: Sequence[_Load]) -> Iterator[list[_Load]]:
    batch: list[_Load] = []
    states = 0
    for load in loads:
        batch.append(load)
        states += load.states
        if states >= _BATCH:
            yield batch
            batch, states = [], 0
    yield batch


def _execute_batch(bench: Bench, batch: list[_Load], executors: Sequence[Executor], counts: bool = True) -> None:
    """Executors that have the same instructions execute the same run."""
    runs: dict[tuple[int, ...], _Run] = {}
    for executor in executors:
        able = [number for number, load in enumerate(batch) if executor.name not in load.judged.lacks]
        if able:
            if tuple(able) not in runs:
                runs[tuple(able)] = _run(bench, [batch[number] for number in able])
            _execute(bench, runs[tuple(able)], executor, counts)


def _executable(bench: Bench, row: Row, draw: Random, count: int) -> list[Instance]:
    """Instructions of a row that have a state to be executed on."""
    drawn = islice(instances(bench, row, draw), 2 * count)
    return list(islice((one for one in drawn if any(True for _ in trials(bench, one, Random(1), DATA, 0, 0))), count))


def _run(bench: Bench, loads: list[_Load]) -> _Run:
    made = program(bench, [load.instance.decoded for load in loads])
    asked: list[tuple[_Load, Trial]] = []
    for load, *where in zip(loads, made.fragments, made.places):
        address = DATA + bench.size * len(asked)
        draws = trials(bench, load.instance, Random(load.seed), address, *where)
        asked += [(load, trial) for trial in islice(draws, load.states)]
    return _Run(loads, made, asked, b"".join(trial.record for _, trial in asked) + bytes(bench.size))


def _execute(bench: Bench, run: _Run, executor: Executor, counts: bool) -> None:
    """Halves what the executor died of."""
    results = executor.execute(bench, run.program, run.records)
    if results is None:
        loads = run.loads
        if len(loads) == 1:
            loads[0].judged.lacks.setdefault(executor.name, set()).add(loads[0].instance.decoded.data)
            return
        half = len(loads) // 2
        for part in (loads[:half], loads[half:]):
            _execute(bench, _run(bench, part), executor, counts)
        return
    for number, (load, trial) in enumerate(run.asked if counts else ()):
        judged = load.judged
        judged.compared[executor.name] = judged.compared.get(executor.name, 0) + 1
        got = results[bench.size * number : bench.size * (number + 1)]
        if got != trial.expected:
            _differs(bench, load, trial, got, executor.name)


def _differs(bench: Bench, load: _Load, trial: Trial, got: bytes, name: str) -> None:
    found = differences(bench, load.instance, trial, got)
    if found:
        judged = load.judged
        judged.differing[name] = judged.differing.get(name, 0) + 1
        kept = judged.differences.setdefault(name, [])
        if len(kept) < _KEPT:
            kept += found[: _KEPT - len(kept)]


def differences(bench: Bench, instance: Instance, trial: Trial, got: bytes) -> list[Difference]:
    """Every place for which a record has another value than the row says."""
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
