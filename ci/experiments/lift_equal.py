"""Whole functions against their programs, in every state: is what the compiler made the same, by terms?

The one idea: each function of the files is compiled for the targets that its file names, with both levels of
optimization, and compared with its CLIF (`oracles.lifting.equal`). Prints, per ISA, how many are equal by the normal
form, proven by z3, refuted and undecided, with the reasons; then each refutation. Exit code 1 if there is one.

    python ci/experiments/lift_equal.py [--isa riscv64 …] [--compiler cranelift@0.135.8] FILE|FOLDER …
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import process_time
from typing import cast

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.text.filetest import read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Exactly, Wish, choose, each_target
from liftcheck.compilers.registry import open_compiler
from liftcheck.compilers.spelling import spell
from liftcheck.errors import LiftcheckError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.oracles.lifting.claims_smt import MILLISECONDS
from liftcheck.oracles.lifting.equal import compare

LEVELS = ("none", "speed")


@dataclass
class Counts:
    """What came of an ISA's functions."""

    milliseconds: int = MILLISECONDS
    floats: bool = False
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refuted: list[str] = field(default_factory=list)
    seconds: float = 0.0


def files(paths: Sequence[Path]) -> Iterator[Path]:
    """The CLIF files of files and folders."""
    for path in paths:
        yield from sorted(path.rglob("*.clif")) if path.is_dir() else (path,)


def compare_file(path: Path, isa: str, compiler: Compiler, counts: Counts) -> None:
    """All functions of one file on an ISA."""
    test = parse_filetest(read_text(path), str(path), strict=False)
    chosen = choose(compiler, test, Wish((isa,), LEVELS), only_filter=True).targets
    functions = [function for function in test.functions if function.function is not None]
    if not chosen or not functions:
        return
    module = test.module(functions)
    text = spell(compiler, test, test.readable()).text
    for target, replies in each_target(partial(_compiled, compiler, text), chosen, len(functions)):
        for model, reply in zip(module.functions, replies, strict=True):
            if not isinstance(reply, FunctionCode):
                counts.verdicts["undecided"] += 1
                counts.reasons["not compiled"] += 1
                continue
            start = process_time()
            found = compare(target, model, reply, counts.milliseconds, counts.floats)
            counts.seconds += process_time() - start
            counts.verdicts[found.kind] += 1
            if found.kind == "undecided":
                counts.reasons[found.why] += 1
            elif found.kind == "refuted":
                counts.refuted.append(f"{path.name} {model.name} {target}: {found.why}, for {list(found.inputs)}")


def _compiled(compiler: Compiler, text: str, targets: Sequence[Target]) -> list[list[FunctionCode | CompileFailure]]:
    wanted = frozenset({"frame"})
    return cast(list[list[FunctionCode | CompileFailure]], Exactly(compiler).compile_text(text, targets, wants=wanted))


def show(isa: str, counts: Counts) -> None:
    """Prints an ISA's counts."""
    verdicts = ", ".join(f"{counts.verdicts[kind]} {kind}" for kind in ("equal", "proven", "refuted", "undecided"))
    print(f"{isa}: {counts.verdicts.total()} functions: {verdicts}; {counts.seconds:.1f} s")
    for reason, number in counts.reasons.most_common():
        print(f"    {number} undecided: {reason}")
    for text in counts.refuted:
        print(f"    refuted: {text}")


def main(argv: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Machine code against its programs, as terms.")
    known = [isa for isa in ISAS if isa_named(isa).rows]
    parser.add_argument("--isa", action="append", choices=known, help="ISAs (default: all)")
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--milliseconds", type=int, default=MILLISECONDS, help="z3's time for each claim")
    parser.add_argument("--floats", action="store_true", help="rounding by z3's theory of floats at once")
    parser.add_argument("paths", nargs="+", type=Path, help="CLIF files and folders")
    options = parser.parse_args(argv)
    compiler = open_compiler(options.compiler)
    wrong = 0
    try:
        for isa in options.isa or known:
            counts = Counts(options.milliseconds, options.floats)
            for path in files(options.paths):
                try:
                    compare_file(path, isa, compiler, counts)
                except LiftcheckError as error:
                    print(f"{path.name} left out: {str(error).splitlines()[0]}", file=sys.stderr)
            show(isa, counts)
            wrong += len(counts.refuted)
    finally:
        compiler.close()
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
