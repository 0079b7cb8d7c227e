"""Whether `liftcheck verify --rules` refutes rules that are planted as wrong, under their names.

The one idea: rules are drawn from those that lower something on an ISA; wherever the planted one fires, what the
function returns is another (`tests/support/planted_rules.py`), and the rule's own programs are proven, as they are and
so. Programs that return nothing stay right, and code that does not end with a plain return stays as it is: these are
counted apart. Prints a line an ISA; exit code 1 if a rule whose code is another is not refuted.

    python ci/experiments/verify_planted.py [--rules N] [--seed N] [--isa ISA] [--compiler SPEC]
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import time
from collections import Counter
from pathlib import Path

from liftcheck.campaign.planner import Planner
from liftcheck.campaign.prove.work import RULE, ProveOptions, Task, Workshop
from liftcheck.campaign.report.rule_coverage import is_lowering
from liftcheck.campaign.report.rule_proofs import NOT_REACHED, PROVEN, verdicts
from liftcheck.case import FunctionCode
from liftcheck.clif.opcodes import OPCODES
from liftcheck.isa import ISAS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.planted_rules import ENDS, Planted, patched  # noqa: E402

VECTORS = {"s390x": "e78000000844"}
"""What makes zeros of vectors that are returned, where the patch does not."""


class Patcher:
    """Changes what functions return, and counts how many it could change."""

    def __init__(self) -> None:
        self.changed = 0

    def __call__(self, code: FunctionCode, isa: str) -> FunctionCode:
        made = patched(code, isa)
        if made.code == code.code:
            return code
        self.changed += 1
        end = len(bytes.fromhex(ENDS[isa][0]))
        more = bytes.fromhex(VECTORS.get(isa, ""))
        return dataclasses.replace(made, code=made.code[:-end] + more + made.code[-end:])


def planted(options: ProveOptions, number: int) -> str:
    """What becomes of one rule that is wrong: its verdict, or why there is none."""
    shop = Workshop(options)
    rule = shop.rules[number]
    right = verdicts(shop.do(Task(RULE, (number,))), [rule], {})[0]
    if right.verdict != PROVEN:
        shop.close()
        return "not reached" if right.verdict == NOT_REACHED else f"not proven as it is ({right.verdict})"
    if not any(OPCODES[key.partition(".")[0]].results for key in right.seen.typings):
        shop.close()
        return "its programs return nothing"
    change = Patcher()
    inner, opened = shop.planner.open_compiler(), Planner.open_compiler
    Planner.open_compiler = lambda _: Planted(inner, rule.place, change=change)  # type: ignore[assignment, method-assign]
    try:
        wrong = Workshop(options)
        found = verdicts(wrong.do(Task(RULE, (number,))), [rule], {})[0]
    finally:
        Planner.open_compiler = opened  # type: ignore[method-assign]
        shop.close()
    return found.verdict if change.changed else "its code has no plain return"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=25, help="planted rules an ISA")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--isa", action="append", choices=ISAS, default=[])
    parser.add_argument("--compiler", default="cranelift")
    options = parser.parse_args()
    missed = 0
    for isa in options.isa or ISAS:
        asked = ProveOptions(isa, compiler=options.compiler, most=1, fresh=True)
        shop, started, counts = Workshop(asked), time.monotonic(), Counter[str]()
        lowerings = [number for number, rule in enumerate(shop.rules) if is_lowering(rule)]
        for number in random.Random(options.seed).sample(lowerings, options.rules):
            verdict = planted(asked, number)
            counts[verdict] += 1
            if verdict in ("proven", "undecided"):
                missed += 1
                print(f"  {isa} {shop.rules[number].place}: {verdict}", flush=True)
        shop.close()
        print(f"{isa}: {dict(counts)}, {time.monotonic() - started:.0f} s", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
