"""Findings and campaigns made by hand, for tests of what is reported of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.case import Case, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.oracles import compare
from liftcheck.oracles.tally import Tally

CLIF = "function %f(i64) -> i64 {\nblock0(v0: i64):\n    v1 = iadd v0, v0\n    return v1\n}\n"
NASTY = "a%,b:\r\n`c` | <d> &amp; \x00\x1b[1m]]> ``` *e*"
TARGET = Target("riscv64", (("has_v", "true"),))


def finding(**changes: Any) -> Finding:
    case = Case(parse_module(CLIF), 0, ((7,),), name="seed 1 case 2")
    made = Finding(compare.WRONG_RESULT, case, TARGET, (TARGET,), number=2, seed=1, detail="3 expected, 4 seen")
    return dataclasses.replace(made, key="wrong value | riscv64 | iadd.i64", count=3, **changes)


def campaign(out: Path, *findings: Finding) -> FuzzReport:
    """A campaign with one agreeing pair, one undecided, one refused, and these findings in their folders."""
    report = FuzzReport(FuzzOptions(isas=("riscv64",), out=out), Store(out), "cranelift@0.135.8", seconds=3.0)
    report.tally = Tally(programs=3)
    report.tally.programs_by_isa["riscv64"] = 3
    report.tally.pairs["riscv64"], report.tally.agreed["riscv64"] = 2, 1
    report.tally.undecided["riscv64", "an address shows"] += 1
    report.tally.refused["riscv64", f"no lowering of {NASTY}"] += 1
    for one in findings:
        report.store.save(one.key, one)
    report.findings = list(findings)
    report.troubles = [("seed 1 case 9", "Traceback\nZeroDivisionError: planted")]
    return report
