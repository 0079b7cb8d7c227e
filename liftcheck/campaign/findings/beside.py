"""What the other of two compilers does with a finding's program: the question that tells regressions from old faults.

The one idea: a finding is of one compiler, and the other is asked about the same program on the same target. A program
that stands for the finding must get the same answer, so a reduction does not slide from a fault of one compiler into
one that both have. Places in the compiler's sources differ from version to version and are not compared.
It decides nothing: what an answer is worth, the report does (`campaign/report/fuzz.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.likeness import alike
from liftcheck.case import Case, Target
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.classes import oracles_for
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.registry import oracle
from liftcheck.oracles.tally import Tally

WRONG: Final = "wrong"
RIGHT: Final = "right"


class Other:
    """The other compiler, through its judge. `is_baseline`: it is the first, with which the second is compared."""

    def __init__(self, judge: Judge, is_baseline: bool) -> None:
        self.judge: Final = judge
        self.is_baseline: Final = is_baseline

    @property
    def name(self) -> str:
        """What opens the compiler."""
        return self.judge.compiler.name

    def answer(self, case: Case, target: Target, finding: Finding) -> str:
        """What it does with a case: `WRONG` as the finding is, `RIGHT`, or 'wrong otherwise', 'refused', 'undecided'
        with what or why after a colon."""
        tally = Tally()
        judge = self.judge.asking([oracle(name) for name in oracles_for(finding.klass)])
        mismatches = judge.judge([case], [target], tally)
        if any(_same(mismatch, finding) for mismatch in mismatches):
            return WRONG
        if mismatches:
            return f"wrong otherwise: {mismatches[0].verdict.klass}"
        if tally.agreed[target.isa]:
            return RIGHT
        kinds = (("refused", tally.refused), ("undecided", tally.undecided))
        return next((f"{kind}: {reason}" for kind, counts in kinds for _, reason in counts), "undecided: not run")


def _same(mismatch: Mismatch, finding: Finding) -> bool:
    """Whether both go wrong alike."""
    if finding.failure is None:
        return alike(mismatch, finding)
    failure = mismatch.failure
    return failure is not None and (failure.kind, failure.reason) == (finding.failure.kind, finding.failure.reason)


def shared(findings: Sequence[Finding]) -> frozenset[tuple[str, str, str]]:
    """(case, class, ISA) of what both compilers get wrong alike."""
    return frozenset((one.case.name, one.klass, one.target.isa) for one in findings if one.beside == WRONG)


def tally_of(tally: Tally, name: str) -> Tally:
    """What the baseline's judgements add to a campaign's counts: reasons bear its name, and its verdicts stand apart,
    for a campaign's pairs are those of the compiler under test."""
    made = Tally(seconds=tally.seconds)
    for counts, own in ((tally.undecided, made.undecided), (tally.refused, made.refused)):
        own.update({(isa, f"{name}: {reason}"): count for (isa, reason), count in counts.items()})
    for what, verdicts in (("pairs", tally.pairs), ("agreed", tally.agreed)):
        made.baseline.update({(isa, what): count for isa, count in verdicts.items()})
    return made
