"""How fast allocations are validated on one core, and how the time grows with a function's size: one JSON line.

rate         per ISA: machine instructions validated a second of processor time, the syntactic answer first, after a
             warm-up, on programs that were not seen before; both allocators, both levels. `z3_only`: all by z3
compile_us   what the bridge took for a machine instruction, allocation shown (not part of `rate`)
slope        of log(time) over log(size) for functions of about 10 to 20,000 machine instructions: 1 is linear
sizes        per ISA: (machine instructions, seconds) of those functions; with `--plot` also as a picture on stderr
peak_mb      the process's peak of memory after it all, `half_mb` at half of the programs

With `--against TREE` (a worktree of another commit) nothing of that, but how much faster this tree is than that one, on
the same functions and in turns, and whether they give the same verdicts (`validation_turns`).

    python ci/bench/validation.py [--programs 150] [--z3-programs 15] [--compiler cranelift] [--plot]
    python ci/bench/validation.py --against TREE [--programs 150] [--rounds 5] [--isa ISA]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import validation_turns

from liftcheck.case import Target
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers import matrix
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import VALID
from liftcheck.regalloc.allocation import ALGORITHMS, Captured

SIZE = 44
WARM_UP = 60
ROUNDS = (0, 3, 10, 30, 100, 300, 1000, 3400)
"""Rounds of `long_function`; each becomes about six machine instructions."""
TINY = """function %tiny(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    v3 = imul v2, v0
    return v3
}
"""


def targets(isa: str) -> list[Target]:
    """Both allocators at both levels."""
    return [
        Target(isa, (("enable_verifier", "false"), ("opt_level", level), ("regalloc_algorithm", algorithm)))
        for algorithm in ALGORITHMS
        for level in ("none", "speed")
    ]


def generated(compiler: Cranelift, isa: str, seeds: range) -> Iterator[tuple[list[Captured], float]]:
    """The functions of each program and how long the bridge took."""
    context = Context((isa,), {isa: matrix.load(compiler, isa, ())}, SIZE, 1)
    for seed in seeds:
        text = print_module(generate.generate(RandomChoices(seed), "all", context).module)
        started = time.perf_counter()
        columns = compiler.allocations(text, targets(isa), with_text=True)
        spent = time.perf_counter() - started
        yield [reply for column in columns for reply in column if isinstance(reply, Captured)], spent


class Measured:
    """Sums over functions."""

    def __init__(self) -> None:
        self.machine = self.functions = 0
        self.not_valid: Counter[str] = Counter()
        self.seconds = self.compiling = 0.0

    def add(self, isa: str, functions: Sequence[Captured], compiling: float, z3_only: bool) -> None:
        """Validates them."""
        started = time.process_time()  # once for all of them: it is a slow call on some machines
        verdicts = [validate(isa, function, z3_only=z3_only) for function in functions]
        self.seconds += time.process_time() - started
        for verdict in verdicts:
            self.machine += verdict.counts.machine_instructions
            self.functions += 1
            if verdict.status != VALID:
                self.not_valid[f"{verdict.status}: {verdict.reason}"] += 1
        self.compiling += compiling

    def rate(self) -> int:
        """Machine instructions a second."""
        return round(self.machine / self.seconds) if self.seconds else 0


def measure(compiler: Cranelift, isa: str, seeds: range, z3_only: bool) -> Measured:
    """Validates the programs of `seeds`."""
    measured = Measured()
    for functions, compiling in generated(compiler, isa, seeds):
        measured.add(isa, functions, compiling, z3_only)
    return measured


def long_function(rounds: int) -> str:
    """A function of this many rounds: twelve values stay live, so that many are spilled; every fourth round is a
    diamond, every sixteenth a call, and all stand in one loop."""
    if not rounds:
        return TINY
    live = [f"v{n}" for n in range(12)]
    lines = [
        "function %long(" + ", ".join(["i64"] * 4) + ") -> i64 system_v {",
        "    fn0 = %callee(i64) -> i64 system_v",
        "block0(v0: i64, v1: i64, v2: i64, v3: i64):",
    ]
    lines += [f"    v{n} = iadd v{n - 4}, v{n - 3}" for n in range(4, 12)]
    lines += ["    v12 = iconst.i64 3", "    jump block1(v12)", "block1(v13: i64):"]
    value, block = 14, 2
    for number in range(rounds):
        a, b, c = (live[(number * step + step) % 12] for step in (1, 5, 7))
        new = [f"v{value + at}" for at in range(5)]
        value += 6
        lines += [
            f"    {new[0]} = iadd {a}, {b}",
            f"    {new[1]} = bxor {new[0]}, {c}",
            f"    {new[2]} = imul {new[1]}, {a}",
        ]
        result = new[2]
        if number % 16 == 15:
            lines.append(f"    {new[3]} = call fn0({new[2]})")
            result = new[3]
        elif number % 4 == 3:
            lines += [
                f"    brif {result}, block{block}({result}), block{block + 1}",
                f"block{block + 1}:",
                f"    {new[3]} = isub {new[1]}, {b}",
                f"    jump block{block}({new[3]})",
                f"block{block}({new[4]}: i64):",
            ]
            block, result = block + 2, new[4]
        lines.append(f"    store {result}, {live[number % 12]}+8")
        live[number % 12] = result
    total, sums = live[0], [f"v{value + at}" for at in range(11)]
    for name, other in zip(sums, live[1:]):
        lines.append(f"    {name} = iadd {total}, {other}")
        total = name
    return "\n".join(
        [*lines, f"    brif {total}, block1({total}), block{block}", f"block{block}:", f"    return {total}", "}", ""]
    )


def growth(compiler: Cranelift, isa: str) -> list[tuple[int, float]]:
    """(machine instructions, seconds) of ever longer functions, the best of three."""
    found = []
    for rounds in ROUNDS:
        (captured,) = compiler.allocations(long_function(rounds), [targets(isa)[0]], with_text=True, timeout=60.0)[0]
        assert isinstance(captured, Captured), captured
        best, size = math.inf, 0
        for _ in range(3):
            started = time.process_time()
            verdict = validate(isa, captured)
            best, size = min(best, time.process_time() - started), verdict.counts.machine_instructions
            assert verdict.status == VALID, verdict
        found.append((size, best))
    return found


def slope(points: Sequence[tuple[int, float]]) -> float:
    """Of the line of least squares through the logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


def picture(rows: dict[str, list[tuple[int, float]]]) -> str:
    """Time over size, both logarithmic: a column a factor of 1.25, a line a factor of 2; the ISA's first letter."""
    cells: dict[tuple[int, int], str] = {}
    for isa, points in rows.items():
        for size, seconds in points:
            at = round(math.log2(seconds * 1e3) + 2), round(math.log(size) / math.log(1.25))
            cells[at] = "*" if at in cells and cells[at] != isa[0] else isa[0]
    top, right = max(row for row, _ in cells), max(column for _, column in cells)
    lines = [
        f"{2.0 ** (row - 2):9.2f} ms |" + "".join(cells.get((row, column), " ") for column in range(8, right + 1))
        for row in range(top, min(row for row, _ in cells) - 1, -1)
    ]
    axis = [" "] * (right + 10)
    for size in (10, 100, 1000, 10_000):
        at = round(math.log(size) / math.log(1.25)) - 8
        axis[at : at + len(str(size))] = str(size)
    return "\n".join([*lines, " " * 13 + "".join(axis).rstrip() + " machine instructions"])


def against(compiler: Cranelift, tree: Path, isas: Sequence[str], programs: int, rounds: int) -> dict[str, object]:
    """This tree and another one in turns: an entry for each of `isas`."""
    found: dict[str, object] = {}
    for isa in isas:
        first, counted = (
            [function for functions, _ in generated(compiler, isa, seeds) for function in functions]
            for seeds in (range(programs // 3), range(WARM_UP, WARM_UP + programs))
        )
        found |= validation_turns.compare(tree, {isa: [*first, *counted]}, len(first), rounds)
    return found


def peak() -> int:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--programs", type=int, default=150, help="per ISA, each for four targets")
    parser.add_argument("--z3-programs", type=int, default=15)
    parser.add_argument("--plot", action="store_true")
    parser.add_argument("--profile-python", metavar="FILE", help="write a cProfile of the syntactic part to FILE")
    parser.add_argument("--against", metavar="TREE", type=Path, help="compare with another worktree, in turns")
    parser.add_argument("--rounds", type=int, default=5, help="of --against")
    parser.add_argument("--isa", choices=ISAS, help="of --against: this one alone")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    compiler = Cranelift(options.compiler, builds.REGALLOC)
    if options.against:
        isas = [options.isa] if options.isa else [*ISAS]
        print(json.dumps(against(compiler, options.against.resolve(), isas, options.programs, options.rounds)))
        return
    profiler = cProfile.Profile() if options.profile_python else None
    rate: dict[str, object] = {}
    half = 0
    for isa in ISAS:
        measure(compiler, isa, range(WARM_UP), False)
        if profiler:
            profiler.enable()
        done = measure(compiler, isa, range(WARM_UP, WARM_UP + options.programs), False)
        if profiler:
            profiler.disable()
        half = half or peak()
        by_z3 = measure(compiler, isa, range(WARM_UP, WARM_UP + options.z3_programs), True)
        rate[isa] = {
            "per_second": done.rate(),
            "z3_only": by_z3.rate(),
            "machine_instructions": done.machine,
            "functions": done.functions,
            "not_valid": done.not_valid,
            "compile_us": round(done.compiling / max(1, done.machine) * 1e6, 1),
        }
    rows = {isa: growth(compiler, isa) for isa in ISAS}
    if profiler:
        profiler.dump_stats(options.profile_python)
    if options.plot:
        print(picture(rows), file=sys.stderr)
    print(
        json.dumps(
            {
                "version": compiler.version,
                "rate": rate,
                "slope": {isa: round(slope(points), 3) for isa, points in rows.items()},
                "sizes": {isa: [(x, round(y, 5)) for x, y in points] for isa, points in rows.items()},
                "picture": picture(rows),
                "half_mb": half,
                "peak_mb": peak(),
            }
        )
    )


if __name__ == "__main__":
    main()
