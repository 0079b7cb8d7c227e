"""Refuted instances as runs: what terms refute is said of the compiler only if its code does it.

The one idea: the same as of files (`findings.counterexamples`): the counterexample is run beside the reference on every
runner. A run that is wrong confirms it; one that agrees, in the very state of the counterexample, says that the fault
is ours. Where nothing can run it, it is neither.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from liftcheck.campaign.findings.counterexamples import shown
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.prove.made import Made
from liftcheck.campaign.report.rule_proofs import OURS, REFUTED, UNRUN
from liftcheck.case import Case
from liftcheck.clif.ir import Module
from liftcheck.compilers.base import Compiler
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.lifting.equal import Verdict
from liftcheck.oracles.lifting.examples import trials
from liftcheck.runners.pool import RunnerPool


class Ran(NamedTuple):
    """What came of a run. `kind`: REFUTED (shown by it), OURS, UNRUN; `text`: on which runners, or why not; `fault`:
    the page of the known fault that it is, or ''."""

    kind: str
    text: str
    fault: str = ""


class Trials:
    """Runs counterexamples with one compiler."""

    def __init__(self, compiler: Compiler, pool: RunnerPool) -> None:
        self.desk: Final = Investigator(Judge(compiler, pool), pool)

    def run(self, made: Made, verdict: Verdict) -> Ran:
        """Runs the counterexamples of an instance."""
        cases = trials(verdict.examples, Case(Module([made.function]), 0, (), name="an instance of a rule"), 0)
        found = shown(self.desk, cases, made.target)
        if found.findings:
            first = found.findings[0]
            known = f"; known: {first.fault}" if first.fault else ""
            return Ran(REFUTED, f"{first.klass} on {', '.join(first.runners)}{known}", first.fault)
        return Ran(OURS if found.ours else UNRUN, found.why)
