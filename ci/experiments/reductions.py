"""How small findings become, and how fast: planted faults of every kind and real ones, in programs of 100 instructions.

Planted: a rule that fires in a random program is made wrong (`tests/support/planted_rules.py`: another result, a panic,
a refusal, a time-out), or the function's code loses a callee-saved register, jumps into the void or to itself. Real:
what random programs show on a compiler with open faults. Each is reduced as a campaign does it.
Prints a line a finding, a table of kinds (that of docs/reduction.md), and the median and the worst of instructions and
of seconds, which are of processor time, of all processes together; exit code 1 if the median is above 4 instructions
or 10 s, or the worst above 12.

    python ci/experiments/reductions.py [--planted N] [--real N] [--isa ISA] [--seed N] [--limit SECONDS]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from liftcheck.campaign import planner as plans
from liftcheck.campaign.execute.local import children
from liftcheck.campaign.findings.finding import Finding, fold_key
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.printer import print_module
from liftcheck.isa import ISAS
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.rule_counts import RULES
from liftcheck.oracles.tally import Tally

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.planted_rules import Planted

plans.SIZE = 76  # type: ignore[misc]  # programs of about 100 instructions
NEWEST, OLD = "cranelift@0.135.8", "cranelift@0.130.0"
SHARE = 3
"""Real findings that have one key."""
FAILS = {
    "panic": CompileFailure("panic", "planted panic", "planted panic", "somewhere.rs:1:2"),
    "refusal": CompileFailure("refusal", "planted refusal", "planted refusal"),
    "time-out": CompileFailure("timeout", "planted time-out", "planted time-out"),
}
CLOBBER = {"x86-64": "31db", "aarch64": "130080d2", "riscv64": "93040000", "s390x": "a7690000"}
SPIN = {"x86-64": "ebfe", "aarch64": "00000014", "riscv64": "6f000000", "s390x": "a7f40000"}
WILD = {"x86-64": "31c0ffe0", "aarch64": "090080d220011fd6", "riscv64": "67000000", "s390x": "a719000007f1"}
CODE = {"ABI damage": CLOBBER, "endless": SPIN, "crash": WILD}
"""Kind -> bytes put in front of the code of functions in which the rule fired."""


class Row(NamedTuple):
    """A finding: instructions before and after, and what its reduction says of itself."""

    kind: str
    isa: str
    before: int
    after: int
    seconds: float
    note: str


def spent() -> float:
    """Processor time of this process and of all that it started, so far."""
    used, tick = sum(os.times()[:4]), os.sysconf("SC_CLK_TCK")
    todo = children(os.getpid())
    while todo:
        pid = todo.pop()
        todo += children(pid)
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            used += sum(map(int, fields[11:15])) / tick
    return used


def instructions(case: Case) -> int:
    return sum(len(block.insts) for function in case.module.functions for block in function.blocks)


def planner_for(isa: str, compiler: str, seed: int) -> Planner:
    made = Planner(FuzzOptions(isas=(isa,), compiler=compiler, seed=seed))
    made.prepare(None)
    return made


def cases(planner: Planner, draw: random.Random) -> Iterator[tuple[Case, tuple[Target, ...]]]:
    """Random programs of about the size, some a batch."""
    batch = 0
    while True:
        batch += 1
        plan = planner.plan(batch)
        for case in draw.sample(plan.generate(None, []), 6):
            if 80 <= instructions(case) <= 130:
                yield case, plan.targets


def planted(isa: str, count: int, seed: int) -> Iterator[tuple[str, Investigator, Finding]]:
    """`count` planted faults of all kinds in turn."""
    planner = planner_for(isa, NEWEST, seed)
    inner, pool, draw = planner.open_compiler(), planner.runners, random.Random(seed)
    kinds = ["wrong code", "wrong code", *FAILS, *CODE]
    for case, targets in cases(planner, draw):
        if count <= 0:
            break
        target, kind = targets[-1], kinds[count % len(kinds)]
        rules = fired(Judge(inner, pool), case, target)
        if not rules:
            continue
        compiler = Planted(inner, draw.choice(rules), FAILS.get(kind), change=changer(kind))
        desk = Investigator(Judge(compiler, pool), pool)
        found = first(desk, case, (target,))
        if found is not None:
            count -= 1
            yield kind, desk, found
    pool.close()
    inner.close()


def changer(kind: str) -> Callable[[FunctionCode, str], FunctionCode] | None:
    """What the code of a kind becomes; None: another result."""
    if kind not in CODE:
        return None

    def changed(code: FunctionCode, isa: str) -> FunctionCode:
        return dataclasses.replace(code, code=(ahead := bytes.fromhex(CODE[kind][isa])) + code.code[len(ahead) :])

    return changed


def fired(judge: Judge, case: Case, target: Target) -> list[str]:
    """The written rules that fire for a case, if it is right."""
    tally = Tally()
    code = judge.compile([case], [target], tally, RULES)[0][0]
    if judge.judge([case], [target], tally) or not tally.agreed or code is None or isinstance(code, CompileFailure):
        return []
    names = [one.extra.get("rules") for one in code]
    found = {str(rule).partition(" ")[0] for one in names if isinstance(one, tuple) for rule in one}
    return sorted(rule for rule in found if rule.startswith("src/"))


def first(desk: Investigator, case: Case, targets: tuple[Target, ...]) -> Finding | None:
    """The first finding of a case, if there is one."""
    tally = Tally()
    seen = desk.judge.judge([case], list(targets), tally)
    return next(iter(desk.investigate(case, seen[:1], tally)), None) if seen else None


def real(isa: str, count: int, seed: int) -> Iterator[tuple[str, Investigator, Finding]]:
    """`count` findings of a compiler's own, at most some of a key. Gives up after three minutes."""
    planner = planner_for(isa, OLD, seed)
    pool = planner.runners
    desk = Investigator(Judge(planner.open_compiler(), pool), pool)
    known: Counter[str] = Counter()
    until = time.monotonic() + 180
    for case, targets in cases(planner, random.Random(seed)):
        if count <= 0 or time.monotonic() > until:
            break
        found = first(desk, case, targets)
        if found is None or known[key := f"{found.klass} {fold_key(found) if found.failure else ''}"] >= SHARE:
            continue
        known[key] += 1
        count -= 1
        yield f"{found.klass}, real", desk, found
    pool.close()
    desk.judge.compiler.close()


def reduced(kind: str, desk: Investigator, finding: Finding, limit: float, is_shown: bool) -> Row:
    started = spent()
    small = reduce_finding(desk, finding, Limits(limit, sys.maxsize))[0]
    seconds = spent() - started
    row = Row(kind, finding.target.isa, instructions(finding.case), instructions(small.case), seconds, small.note)
    note = f" {row.note}" if row.note else ""
    print(f"| {row.kind} | {row.isa} | {row.before} | {row.after} | {row.seconds:.1f} |{note}", flush=True)
    if is_shown and row.after > 4:
        print(f"{small.target}: {small.detail}\n{print_module(small.case.module)}", file=sys.stderr, flush=True)
    return row


def summary(kind: str, rows: Sequence[Row]) -> str:
    """A line of the table of kinds."""
    sizes, times = [row.after for row in rows], [row.seconds for row in rows]
    return (
        f"| {kind} | {len(rows)} | {statistics.median(sizes):g}, {max(sizes)} "
        f"| {statistics.median(times):.1f}, {max(times):.1f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", type=int, default=11, help="planted faults an ISA")
    parser.add_argument("--real", type=int, default=4, help="real findings an ISA")
    parser.add_argument("--isa", action="append", choices=ISAS, default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of the clock a finding")
    parser.add_argument("--show", action="store_true", help="programs of more than 4 instructions on standard error")
    options = parser.parse_args()
    rows = []
    print("| kind | ISA | instructions | reduced to | seconds |\n|---|---|---|---|---|")
    for isa in options.isa or ISAS:
        for kind, desk, found in chain(
            planted(isa, options.planted, options.seed), real(isa, options.real, options.seed)
        ):
            rows.append(reduced(kind, desk, found, options.limit, options.show))
    print("\n| kind | findings | instructions: median, worst | seconds: median, worst |\n|---|---|---|---|")
    kinds = dict.fromkeys("real" if row.kind.endswith(", real") else row.kind for row in rows)
    for kind in (*kinds, ""):
        print(summary(kind or "all", [row for row in rows if row.kind.endswith(kind)]))
    sizes, times = [row.after for row in rows], [row.seconds for row in rows]
    median, worst = statistics.median(sizes), max(sizes)
    print(
        f"\n{len(rows)} findings: {median:g} instructions in the median, {worst} at worst; "
        f"{statistics.median(times):.1f} s in the median, {max(times):.1f} s at worst."
    )
    return int(median > 4 or worst > 12 or statistics.median(times) > 10)


if __name__ == "__main__":
    sys.exit(main())
