"""Whole functions against their programs, in every state: is what the compiler made the same, by terms?

The one idea: each function of the files is compiled for the targets that its file names, with both levels of
optimization, and compared with its CLIF (`oracles.lifting.equal`). Prints, per ISA, how many are equal by the normal
form, proven by z3, refuted and undecided, with the reasons; then each refutation. Exit code 1 if there is one.

    python ci/experiments/lift_equal.py [--isa riscv64 …] [--compiler cranelift@0.135.8] [--campaign N] FILE|FOLDER …
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

from lift_files import command_line, each_isa, units

from liftcheck.case import FunctionCode
from liftcheck.clif.text.filetest import FileTest
from liftcheck.compilers.base import Compiler
from liftcheck.oracles.lifting.claims_smt import EFFORT
from liftcheck.oracles.lifting.loops import prove


@dataclass
class Counts:
    """What came of an ISA's functions."""

    effort: int = EFFORT
    floats: bool = False
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refuted: list[str] = field(default_factory=list)
    seconds: float = 0.0


def compare_file(test: FileTest, isa: str, compiler: Compiler, counts: Counts) -> None:
    """All functions of one file on an ISA."""
    for unit in units(test, isa, compiler):
        if not isinstance(unit.reply, FunctionCode):
            counts.verdicts["undecided"] += 1
            counts.reasons["not compiled"] += 1
            continue
        start = process_time()
        found = prove(unit.target, unit.model, unit.reply, counts.effort, counts.floats)
        counts.seconds += process_time() - start
        counts.verdicts[found.kind] += 1
        if found.kind == "undecided":
            counts.reasons[found.why] += 1
        elif found.kind == "refuted":
            where = f"{Path(test.file).name} {unit.model.name} {unit.target}"
            counts.refuted.append(f"{where}: {found.why}, for {list(found.inputs)}")


def so_far(counts: Counts) -> str:
    """The sums of the verdicts."""
    verdicts = ", ".join(f"{counts.verdicts[kind]} {kind}" for kind in ("equal", "proven", "refuted", "undecided"))
    return f"{counts.verdicts.total()} functions: {verdicts}; {counts.seconds:.1f} s"


def show(isa: str, counts: Counts) -> int:
    """Prints an ISA's counts, and gives that of refutations."""
    print(f"{isa}: {so_far(counts)}")
    for reason, number in counts.reasons.most_common():
        print(f"    {number} undecided: {reason}")
    for text in counts.refuted:
        print(f"    refuted: {text}")
    return len(counts.refuted)


def main(argv: list[str]) -> int:
    """The command line."""
    parser = command_line("Machine code against its programs, as terms.")
    parser.add_argument("--effort", type=int, default=EFFORT, help="z3's steps for each claim")
    parser.add_argument("--floats", action="store_true", help="rounding by z3's theory of floats at once")
    options = parser.parse_args(argv)
    return each_isa(options, lambda: Counts(options.effort, options.floats), compare_file, show, so_far)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
