"""Counterexamples of proofs as runs: what terms refute is a finding once the compiled code has done it.

The one idea: a counterexample is a case like any other (`oracles.lifting.examples`), so the judge of campaigns runs it
beside the reference, and what differs goes through the same vote. If its runs agree, then what was refuted is our own:
a row, a meaning, a convention; nothing is said of the compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.case import Target
from liftcheck.oracles.base import Mismatch, Trial
from liftcheck.oracles.classes import class_of
from liftcheck.oracles.tally import Tally

AGREES: Final = "its run agrees with the reference"
NO_RUN: Final = "nothing to run"


class Shown(NamedTuple):
    """What came of the runs of a refutation: findings; or why there are none, and whether that is `ours`: a run in the
    very state of the counterexample does what the reference says."""

    findings: tuple[Finding, ...] = ()
    why: str = ""
    ours: bool = False


def shown(desk: Investigator, trials: Sequence[Trial], target: Target) -> Shown:
    """Runs counterexamples until one goes wrong."""
    reasons: dict[str, None] = {}
    ours = False
    for trial in trials:
        tally = Tally()
        findings = _findings(desk, trial, target, tally)
        mine = [one for one in findings if class_of(one.klass).ours]
        if findings and not mine:
            return Shown(tuple(findings))
        agrees = bool(mine) or (bool(tally.agreed) and not tally.undecided)
        ours = ours or (agrees and trial.is_exact)
        reasons |= dict.fromkeys(reason for _, reason in (*tally.undecided, *tally.refused))
        if agrees:
            reasons[mine[0].detail if mine else trial.lacks or AGREES] = None
    return Shown(why="; ".join(reasons) or NO_RUN, ours=ours)


def _findings(desk: Investigator, trial: Trial, target: Target, tally: Tally) -> list[Finding]:
    groups: dict[str, list[Mismatch]] = {}
    for mismatch in desk.judge.judge([trial.case], [target], tally):
        groups.setdefault(mismatch.verdict.klass, []).append(mismatch)
    return [finding for group in groups.values() for finding in desk.investigate(trial.case, group, tally)]


def confirmed(desk: Investigator, group: Sequence[Mismatch], tally: Tally, troubles: list[str]) -> list[Finding]:
    """The findings of what mismatches of one case refute without a run; `troubles` says what is liftcheck's own fault.
    All is counted in `tally`."""
    for mismatch in group:
        target = mismatch.target
        found = shown(desk, mismatch.trials, target)
        for finding in found.findings:
            tally.pairs[target.isa] += 1
            tally.disagreed[target.isa, finding.klass] += 1
        if found.findings:
            return list(found.findings)
        what = f"{mismatch.verdict.klass}: {mismatch.verdict.detail}"
        tally.validated[target.isa, f"{what}: {'liftcheck is wrong' if found.ours else 'not run'}"] += 1
        if found.ours:
            troubles.append(f"{what} on {target}: {found.why}")
    return []
