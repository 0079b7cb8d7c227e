"""Proves the allocations of the compiler of our own: of random functions, or of files.

The one idea: `liftcheck generate` writes programs that this compiler has the opcodes of; each function is compiled, and
what its allocator was asked and answered is proven by the first part of `liftcheck regalloc`. Prints how many are
valid, undecided and refused, and every refutation with its counterexample; exit code 1 if there is one.

    python ci/experiments/builtin_allocations.py --isa I [--count N] [--seed N] [FILE|FOLDER…]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from liftcheck import cli
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.builtin.pipeline import compile_function
from liftcheck.mach.lower import Refused
from liftcheck.oracles.regalloc.validate import validate_allocation
from liftcheck.oracles.regalloc.verdict import INVALID


def files(paths: list[str]) -> Iterator[Path]:
    """All filetests at some paths."""
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.clif")) if path.is_dir() else [path]


def prove(paths: Iterator[Path], isa: str, most: int) -> tuple[Counter[str], float]:
    """Verdicts of at most so many functions, and the seconds of processor time that compiling and proving took."""
    counts: Counter[str] = Counter()
    started = time.process_time()
    for path in paths:
        for test in parse_filetest(path.read_text(), strict=False).functions:
            if test.function is None or counts.total() >= most:
                continue
            try:
                made = compile_function(test.function, isa, {}, frozenset({"allocation"}))
            except Refused:
                counts["refused"] += 1
                continue
            verdict = validate_allocation(made.allocation)
            counts[verdict.status] += 1
            if verdict.status == INVALID:
                assert verdict.counterexample is not None
                print(f"{path}: {test.function.name}: {verdict.reason}\n{verdict.counterexample.render()}")
    return counts, time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("paths", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not args.paths:
            options = ["--isa", args.isa, "--compiler", "builtin", "--seed", str(args.seed)]
            cli.main(["generate", *options, "--count", str(args.count), "--out", folder])
        counts, seconds = prove(files(args.paths or [folder]), args.isa, args.count if not args.paths else 1 << 60)
    print(f"{args.isa}: {dict(counts)}, {seconds:.0f} s of processor time")
    return 1 if counts[INVALID] else 0


if __name__ == "__main__":
    sys.exit(main())
