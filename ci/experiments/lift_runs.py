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

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import process_time

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.text.filetest import FileTest, TestFunction, read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Exactly, Wish, choose, each_target
from liftcheck.compilers.registry import open_compiler
from liftcheck.compilers.spelling import spell
from liftcheck.errors import LiftcheckError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.lift import lift
from liftcheck.mach.lift_paths import Entry
from liftcheck.oracles.lifting.lines import Judge
from liftcheck.oracles.lifting.signature import Boundary

LEVELS = ("none", "speed")


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


def files(paths: Sequence[Path]) -> Iterator[Path]:
    """The CLIF files of files and folders."""
    for path in paths:
        yield from sorted(path.rglob("*.clif")) if path.is_dir() else (path,)


def judge_file(path: Path, isa: str, compiler: Compiler, counts: Counts) -> None:
    """All lines of one file on an ISA."""
    test = parse_filetest(read_text(path), str(path), strict=False)
    chosen = choose(compiler, test, Wish((isa,), LEVELS), only_filter=True).targets if test.has("run") else []
    functions = [function for function in test.functions if function.function is not None]
    if not chosen or not any(function.run_lines for function in functions):
        return
    module = test.module(functions)
    if counts.programs:
        for function, model in zip(functions, module.functions, strict=True):
            judge(function, partial(Judge, chosen[0], model, None, module), None, chosen[0], test, counts)
        return
    text = spell(compiler, test, test.readable()).text
    for target, replies in each_target(partial(_compiled, compiler, text), chosen, len(functions)):
        for function, model, reply in zip(functions, module.functions, replies, strict=True):
            if isinstance(reply, FunctionCode):
                judge(function, partial(Judge, target, model, reply, module), reply, target, test, counts)
            else:
                counts.lines["undecided"] += len(function.run_lines)
                counts.reasons["not compiled"] += len(function.run_lines)


def _compiled(compiler: Compiler, text: str, targets: Sequence[Target]) -> list[list[object]]:
    return Exactly(compiler).compile_text(text, targets)  # type: ignore[return-value]


def judge(
    function: TestFunction,
    lifted: Callable[[], Judge],
    code: FunctionCode | None,
    target: Target,
    test: FileTest,
    counts: Counts,
) -> None:
    """All lines of one function for one target."""
    lines = function.at(target.big_endian).run_lines
    if not lines:
        return
    start = process_time()
    judged = lifted()
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
            counts.different.append(f"{Path(test.file).name}:{line.line} {function.name} {target}: {verdict.why}")


def again(isa: str, counts: Counts) -> tuple[int, float]:
    """Instructions, and processor time, of all that was lifted once more."""
    start = process_time()
    steps = sum(lift(isa, code, entry).steps for code, entry in counts.lifted)
    return steps, process_time() - start


def show(isa: str, counts: Counts) -> None:
    """Prints an ISA's counts."""
    every = counts.lines.total()
    print(
        f"{isa}: {counts.functions} functions, {counts.whole} of them whole; {every} lines: "
        f"{counts.lines['equal']} equal, {counts.lines['different']} different, {counts.lines['undecided']} undecided"
    )
    for reason, number in counts.reasons.most_common():
        print(f"    {number} undecided: {reason}")
    for text in counts.different:
        print(f"    different: {text}")
    steps, seconds = again(isa, counts)
    print(
        f"    {counts.steps} instructions in {counts.seconds:.2f} s, {counts.steps / max(counts.seconds, 1e-9):,.0f} a "
        f"second when new; {steps / max(seconds, 1e-9):,.0f} when met again"
    )


def main(argv: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Machine code as terms against run lines.")
    known = [isa for isa in ISAS if isa_named(isa).rows]
    parser.add_argument("--isa", action="append", choices=known, help="ISAs (default: all)")
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--programs", action="store_true", help="the programs themselves as terms, not their code")
    parser.add_argument("paths", nargs="+", type=Path, help="CLIF files and folders")
    options = parser.parse_args(argv)
    compiler = open_compiler(options.compiler)
    wrong = 0
    try:
        for isa in options.isa or known:
            counts = Counts(programs=options.programs)
            for path in files(options.paths):
                try:
                    judge_file(path, isa, compiler, counts)
                except LiftcheckError as error:
                    print(f"{path.name} left out: {str(error).splitlines()[0]}", file=sys.stderr)
            show(isa, counts)
            wrong += len(counts.different)
    finally:
        compiler.close()
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
