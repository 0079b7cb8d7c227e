"""Whole functions as terms, against run lines: does machine code, lifted, compute what its file expects?

The one idea: each function of the files that has run lines is compiled under the targets that its file names, with
both levels of optimization, and lifted (`mach.lift`); each line's arguments are put into the terms
(`oracles.lifting.lines`), in three states that differ in what nobody has set. Prints, per ISA, functions, lines, and
why lines are undecided; then each difference; then how fast code was lifted that was not met before and that was. Exit
code 1 if anything differs. With `--programs` the terms are those of the CLIF functions themselves
(`oracles.lifting.program`).

    python ci/experiments/lift_runs.py [--isa riscv64 …] [--compiler cranelift@0.135.8] [--programs] FILE|FOLDER …
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

from lift_files import Unit, command_line, each_isa, units

from liftcheck.case import CompileFailure, FunctionCode
from liftcheck.clif.text.filetest import FileTest
from liftcheck.compilers.base import Compiler
from liftcheck.mach.lift import lift
from liftcheck.mach.lift_paths import Entry
from liftcheck.oracles.lifting.lines import Judge
from liftcheck.oracles.lifting.signature import Boundary


@dataclass
class Counts:
    """What came of an ISA's lines."""

    functions: int = 0
    whole: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)
    lifted: list[tuple[FunctionCode, Entry]] = field(default_factory=list)
    seconds: float = 0.0
    programs: bool = False
    steps: int = 0


def judge_file(test: FileTest, isa: str, compiler: Compiler, counts: Counts) -> None:
    """All lines of one file on an ISA."""
    for unit in units(test, isa, compiler, code=not counts.programs):
        lines = len(unit.function.run_lines) if unit.test.has("run") else 0
        if lines and isinstance(unit.reply, CompileFailure):
            counts.lines["undecided"] += lines
            counts.reasons["not compiled"] += lines
        elif lines:
            judge(unit, counts)


def judge(unit: Unit, counts: Counts) -> None:
    """All lines of one function for one target."""
    function, target = unit.function, unit.target
    code = unit.reply if isinstance(unit.reply, FunctionCode) else None
    lines = function.at(target.big_endian).run_lines
    start = process_time()
    judged = Judge(target, unit.model, code, unit.module)
    counts.seconds += process_time() - start
    counts.functions += 1
    if judged.lifted is not None and judged.side is not None:
        counts.steps += judged.lifted.steps
        counts.whole += all(end.kind != "undecided" for end in judged.lifted.ends)
        if code is not None and isinstance(judged.side, Boundary):
            counts.lifted.append((code, judged.side.entry))
    for line in lines:
        verdict = judged.line(line)
        counts.lines[verdict.kind] += 1
        if verdict.kind == "undecided":
            counts.reasons[verdict.why] += 1
        elif verdict.kind == "different":
            counts.different.append(f"{Path(unit.test.file).name}:{line.line} {function.name} {target}: {verdict.why}")


def again(isa: str, counts: Counts) -> tuple[int, float]:
    """Instructions, and processor time, of all that was lifted once more."""
    start = process_time()
    steps = sum(lift(isa, code, entry).steps for code, entry in counts.lifted)
    return steps, process_time() - start


def so_far(counts: Counts) -> str:
    """The sums of the lines."""
    return (
        f"{counts.functions} functions, {counts.whole} of them whole; {counts.lines.total()} lines: "
        f"{counts.lines['equal']} equal, {counts.lines['different']} different, {counts.lines['undecided']} undecided"
    )


def show(isa: str, counts: Counts) -> int:
    """Prints an ISA's counts, and gives that of differences."""
    print(f"{isa}: {so_far(counts)}")
    for reason, number in counts.reasons.most_common():
        print(f"    {number} undecided: {reason}")
    for text in counts.different:
        print(f"    different: {text}")
    steps, seconds = again(isa, counts)
    print(
        f"    {counts.steps} instructions in {counts.seconds:.2f} s, {counts.steps / max(counts.seconds, 1e-9):,.0f} a "
        f"second when new; {steps / max(seconds, 1e-9):,.0f} when met again"
    )
    return len(counts.different)


def main(argv: list[str]) -> int:
    """The command line."""
    parser = command_line("Machine code as terms against run lines.")
    parser.add_argument("--programs", action="store_true", help="the programs themselves as terms, not their code")
    options = parser.parse_args(argv)
    return each_isa(options, lambda: Counts(programs=options.programs), judge_file, show, so_far)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
