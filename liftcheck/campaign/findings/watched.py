"""An investigator that remembers the smallest program that still goes wrong: what an interruption leaves.

The one idea: whoever is asked about a candidate, the search is told its answer (`remember`); so the best so far is
known at any moment, and a watcher hears of every question.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import AllRunners, Investigator, OtherCompiler
from liftcheck.campaign.findings.likeness import alike
from liftcheck.campaign.reduce.engine import cost
from liftcheck.case import Case
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally

INTERRUPTED: Final = "Its reduction was interrupted: this is the best so far, `liftcheck reduce` goes on."


class Watched(Investigator):
    """`heard` gets every candidate to which there is no objection, and None for the others, once `is_on`."""

    def __init__(
        self,
        judge: Judge,
        runners: AllRunners,
        heard: Callable[[Case | None], None],
        other: OtherCompiler | None = None,
    ) -> None:
        super().__init__(judge, runners, other)
        self.heard: Final = heard
        self.is_on = False
        self.smallest: Case | None = None

    def remember(self, case: Case, objection: str) -> None:
        """See `Investigator.remember`."""
        is_good = not objection and self.is_on
        if is_good and (self.smallest is None or cost(case) <= cost(self.smallest)):
            self.smallest = case
        self.heard(case if is_good else None)

    def best(self, finding: Finding) -> Finding:
        """The finding with the smallest program so far, judged anew; as it is, if there is none that is smaller."""
        case = self.smallest
        if case is None or cost(case) >= cost(finding.case):
            return finding
        seen = [one for one in self.judge_for(finding).judge([case], [finding.target], Tally()) if alike(one, finding)]
        if not seen:
            return finding
        first = seen[0]
        return self.told(
            dataclasses.replace(
                finding,
                case=dataclasses.replace(case, tags=finding.case.tags, name=finding.case.name),
                run=first.run,
                expected=first.expected,
                actual=first.actual,
                failure=first.failure,
                detail=first.verdict.detail,
                original=finding.original or finding.case,
                note=INTERRUPTED,
                program="",
                blame=None,
            )
        )
