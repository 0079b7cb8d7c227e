"""How fast programs are made and printed on one core: one JSON line.

programs_per_second   programs of about 60 instructions, generated and printed
us_per_program, us_per_instruction   of both; `generate_us` and `print_us` apart; instructions is the mean a program
first_second          how long the tables take, once per process (seconds)

The matrix is that of the tests unless `--compiler` names one to ask.

    python ci/bench/generator.py [--programs 1000] [--profile all] [--compiler cranelift]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.generators import matrices

from liftcheck.case import Target
from liftcheck.clif.text.printer import print_module
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS


def context(compiler: str) -> Context:
    """For all ISAs, by a compiler's matrices or the tests' own."""
    if not compiler:
        return Context(ISAS, matrices())
    from liftcheck.compilers import matrix
    from liftcheck.compilers.registry import open_compiler

    opened = open_compiler(compiler)
    return Context(ISAS, {isa: matrix.load(opened, isa, Target(isa).settings) for isa in ISAS})


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--profile", default="all")
    parser.add_argument("--compiler", default="")
    args = parser.parse_args()
    chosen = context(args.compiler)
    start = time.process_time()
    for seed in range(400):
        generate(RandomChoices(seed), args.profile, chosen)
    first = time.process_time() - start
    generated = printed = 0.0
    count = 0
    for seed in range(args.programs):
        start = time.process_time()
        case = generate(RandomChoices(seed), args.profile, chosen)
        made = time.process_time()
        print_module(case.module)
        printed += time.process_time() - made
        generated += made - start
        count += sum(len(block.insts) for f in case.module.functions for block in f.blocks)
    total = generated + printed
    print(
        json.dumps(
            {
                "programs_per_second": round(args.programs / total),
                "us_per_program": round(total / args.programs * 1e6, 1),
                "us_per_instruction": round(total / count * 1e6, 2),
                "generate_us": round(generated / args.programs * 1e6, 1),
                "print_us": round(printed / args.programs * 1e6, 1),
                "instructions": round(count / args.programs, 1),
                "first_second": round(first - 400 * generated / args.programs, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
