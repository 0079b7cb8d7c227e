"""Holds the rows of an ISA against what another library says of the same instructions, on the same states.

    python ci/experiments/row_opinions.py --isa s390x [--opinion vex] [--states 200] [--rows REGEX] [--seed 1]
                                          [--json FILE]

Opinions are pypcode (Ghidra's SLEIGH; x86-64, aarch64, riscv64) and pyvex (Valgrind's VEX; x86-64, aarch64, s390x),
each asked in a process of its own. Where one differs from a row, the same states are executed, and each line says
whom execution agrees with; reasons that are known stand in `opinions_known.py`. Exit code 1 if a difference is not
known and execution does not agree with the row, or there is none; 3 if the library is not installed.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from opinions_known import KNOWN
from opinions_state import Answer, Layout, Request

from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import DATA, TAKEN, Bench, Program, distance, program
from liftcheck.mach.rows.row import Row
from liftcheck.oracles.rows.compare import Difference, differences
from liftcheck.oracles.rows.executors import Executor, processes
from liftcheck.oracles.rows.instances import Instance, instances
from liftcheck.oracles.rows.states import Trial, trials

LIBRARIES: Final = {"pcode": "pypcode", "vex": "pyvex"}
HAVE: Final = {"x86-64": ("pcode", "vex"), "aarch64": ("pcode", "vex"), "riscv64": ("pcode",), "s390x": ("vex",)}
"""Which opinions there are of an ISA. VEX's riscv64 looks at no NaN boxes and has no extensions."""
VARIANTS: Final = 8
"""Instructions of a row at most."""


class Asked(NamedTuple):
    """An instruction in a program, and its trials."""

    instance: Instance
    trials: list[Trial]
    answer: Answer


@dataclass
class Held:
    """What came of one row. `unknown`: why the library has nothing to say of an instruction; `open`: states that it
    left open; `sides`: of the states that differ, whom each executor agrees with."""

    row: Row
    states: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    sides: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)


class Opinion:
    """A library in a process of its own, which is started anew if an instruction ends it."""

    def __init__(self, library: str, layout: Layout) -> None:
        self._command: Final = [sys.executable, str(Path(__file__).with_name("opinions_child.py")), library]
        self._layout: Final = layout
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: Request) -> Answer:
        """What it says."""
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe)
            self._send(self._layout)
        try:
            self._send(request)
            assert self._process.stdout is not None
            found: Answer = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            self.close()
            return Answer("it ends the process", ())
        return found

    def _send(self, what: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def layout_of(bench: Bench) -> Layout:
    """How the bench's records lie, with names for places."""
    registers = bench.table.registers
    known = {place: at for place, at in bench.slots.items() if place in registers}
    slots = {registers.name(place): (at, (registers.width(place) + 7) // 8) for place, at in known.items()}
    return Layout(bench.isa, bench.order, slots, bench.window, TAKEN)


def hold(
    bench: Bench, rows: Sequence[Row], opinion: Opinion, states: int, seed: int, executors: Sequence[Executor]
) -> Iterator[Held]:
    """Each row that can be executed, held against the opinion."""
    for row in rows:
        if row.untested:
            continue
        held, draw = Held(row), Random(f"{seed} {row.syntax.shape}")
        made = list(islice(_usual(bench, row, draw), min(VARIANTS, states)))
        placed = program(bench, [one.decoded for one in made])
        asked: list[Asked] = []
        for number, instance in enumerate(made):
            share = states * (number + 1) // len(made) - states * number // len(made)
            asked.append(_ask(bench, opinion, instance, placed, number, share, draw, sum(len(a.trials) for a in asked)))
        for one in asked:
            _count(held, one)
        wrong = [_wrong(bench, one) for one in asked]
        if any(wrong):
            _decide(bench, held, asked, wrong, placed, executors)
        yield held


def _usual(bench: Bench, row: Row, draw: Random) -> Iterator[Instance]:
    """Instructions in the modes that functions are entered in: no opinion has the others."""
    return (one for one in instances(bench, row, draw) if not bench.contexts[one.context][1].get("frm"))


def _ask(
    bench: Bench, opinion: Opinion, one: Instance, made: Program, number: int, share: int, draw: Random, before: int
) -> Asked:
    address, data = DATA + bench.size * before, one.decoded.data
    where = made.fragments[number], made.places[number]
    found = list(islice(trials(bench, one, Random(draw.getrandbits(32)), address, *where), share))
    request = Request(data, where[1], distance(bench, len(data)), address, [trial.record for trial in found])
    answer = opinion.ask(request) if found else Answer("no state could be drawn", ())
    return Asked(one, found, answer)


def _count(held: Held, asked: Asked) -> None:
    if asked.answer.unknown:
        held.unknown[asked.answer.unknown] += 1
    left_open = [x for x in asked.answer.records if isinstance(x, str) and x[0] != "!"]
    held.open.update(left_open)
    held.states += len(asked.answer.records) - len(left_open)


def _wrong(bench: Bench, asked: Asked) -> dict[int, list[Difference]]:
    """By a trial's number: where the library differs."""
    found: dict[int, list[Difference]] = {}
    for number, (trial, said) in enumerate(zip(asked.trials, asked.answer.records)):
        if isinstance(said, bytes) and said != trial.expected:
            found[number] = differences(bench, asked.instance, trial, said)
        elif isinstance(said, str) and said[0] == "!":
            found[number] = [Difference(asked.instance.decoded.text, said[1:], 0, 0, ())]
    return {number: kept for number, kept in found.items() if kept}


def _decide(
    bench: Bench,
    held: Held,
    asked: Sequence[Asked],
    wrong: Sequence[dict[int, list[Difference]]],
    made: Program,
    executors: Sequence[Executor],
) -> None:
    """Executes all states of the row, and counts whom execution agrees with where the opinion differs."""
    records = b"".join(trial.record for one in asked for trial in one.trials) + bytes(bench.size)
    results = {executor.name: executor.execute(bench, made, records) for executor in executors}
    number = 0
    for one, differing in zip(asked, wrong):
        for at, trial in enumerate(one.trials):
            if at in differing:
                held.differing += 1
                done = {name: got[bench.size * number :][: bench.size] for name, got in results.items() if got}
                sides = {name: _side(bench, one, trial, got, one.answer.records[at]) for name, got in done.items()}
                held.sides.update(f"{name}: {side}" for name, side in sides.items())
                if len(held.shown) < 2:
                    held.shown += [_line(differing[at][0], sides)]
            number += 1


def _side(bench: Bench, one: Asked, trial: Trial, got: bytes, said: bytes | str) -> str:
    if got == trial.expected or not differences(bench, one.instance, trial, got):
        return "as the row"
    return "as the opinion" if said == got else "as neither"


def _line(found: Difference, sides: dict[str, str]) -> str:
    given = ", ".join(f"{place} = {value:#x}" for place, value in found.given[:6])
    executed = ", ".join(f"{name} {side}" for name, side in sides.items()) or "executed nowhere"
    return (
        f"    {found.text}: {found.where} is {found.row_says:#x} by the row, {found.executed:#x} by the opinion "
        f"({executed}); {given}"
    )


def reason(isa: str, library: str, row: Row) -> str:
    """Why an opinion is known to differ about a row, or ''."""
    return next((why for i, name, which, why in KNOWN if (i, name) == (isa, library) and matches(which, row)), "")


def matches(which: str, row: Row) -> bool:
    """Whether an expression matches a row's mnemonic or its whole text."""
    return any(re.fullmatch(which, x) for x in (row.name, row.syntax.shape))


def shown(isa: str, library: str, held: Held) -> bool:
    """Prints what differs; whether that is the row's fault, or nobody knows."""
    if not held.differing:
        return False
    known = reason(isa, library, held.row)
    sides = ", ".join(f"{side} {count}" for side, count in sorted(held.sides.items())) or "executed nowhere"
    print(f"{held.row.syntax.shape}: {held.differing} of {held.states} states differ ({sides}){known and ': ' + known}")
    if not known:
        print("\n".join(held.shown))
    against = [side for side in held.sides if not side.endswith("as the row")]
    return not known and (bool(against) or not held.sides)


def main(argv: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Holds machine instructions' rows against another library.")
    parser.add_argument("--isa", required=True, choices=list(HAVE))
    parser.add_argument("--opinion", choices=list(LIBRARIES), help="default: each that knows the ISA")
    parser.add_argument("--states", type=int, default=200, help="states a row (default: 200)")
    parser.add_argument("--rows", default="", help="only rows whose mnemonic matches this expression")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write counts of each row to this file")
    options = parser.parse_args(argv)
    wanted = [options.opinion] if options.opinion else HAVE[options.isa]
    if lacking := [LIBRARIES[name] for name in wanted if find_spec(LIBRARIES[name]) is None]:
        print(f"{', '.join(lacking)} is not installed (pip install 'liftcheck[test]')", file=sys.stderr)
        return 3
    wrong, documents = 0, {}
    for library in wanted:
        found = list(_all(options, library))
        wrong += sum([shown(options.isa, library, held) for held in found])
        summary(library, found)
        documents[library] = [document(held) for held in found]
    if options.json:
        options.json.write_text(json.dumps(documents, indent=1), encoding="utf-8")
    return int(wrong > 0)


def _all(options: argparse.Namespace, library: str) -> Iterator[Held]:
    for bench in isa_named(options.isa).part(isa_named(options.isa).bench)():
        rows = [row for row in bench.rows() if re.search(options.rows, row.name)]
        opinion = Opinion(library, layout_of(bench))
        try:
            yield from hold(bench, rows, opinion, options.states, options.seed, processes(bench))
        finally:
            opinion.close()


def summary(library: str, found: Sequence[Held]) -> None:
    """The counts."""
    compared = [held for held in found if held.states]
    differing = [held for held in compared if held.differing]
    unknown: Counter[str] = Counter()
    for held in found:
        if not held.states:
            unknown[next(iter(held.unknown), "every state is left open").partition(" (")[0]] += 1
    print(
        f"{library}: {len(compared)} of {len(found)} rows compared on {sum(held.states for held in compared)} states, "
        f"{sum(sum(held.open.values()) for held in found)} states left open; {len(differing)} rows differ"
    )
    print(
        f"  nothing to say of {sum(unknown.values())}: " + ", ".join(f"{why} {n}" for why, n in unknown.most_common())
    )


def document(held: Held) -> dict[str, Any]:
    """A row's counts."""
    return {"row": held.row.syntax.shape, "states": held.states, "differing": held.differing,
            "sides": held.sides, "open": held.open, "unknown": held.unknown}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
