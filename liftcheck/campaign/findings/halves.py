"""Which half of the compiler a refutation is of: two equations with the optimized CLIF between them.

The one idea: of code that is not what its program says, either the optimized CLIF is not what the program says, or the
code is not what the optimized CLIF says. The first equation is by a run (`stage`): the reference interprets the
optimized CLIF. The second is by terms, for every input. Where one says nothing the other may.
"""

from __future__ import annotations

from typing import Final, Literal

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.stage import Stage, optimized_case, stage_of
from liftcheck.case import CompileFailure, Target
from liftcheck.clif.text.filetest import with_call_conv
from liftcheck.compilers.choice import LEVEL
from liftcheck.oracles.lifting.equal import compare
from liftcheck.oracles.tally import Tally

_WANTS: Final = frozenset({"clif", "frame"})
_SAID: Final[dict[str, tuple[Literal["mid-end", "backend"], str]]] = {
    "equal": ("mid-end", "the code is proven to do what the optimized CLIF says"),
    "proven": ("mid-end", "the code is proven to do what the optimized CLIF says"),
    "refuted": ("backend", "by terms the code does not do what the optimized CLIF says"),
}


def half(desk: Investigator, finding: Finding, whole: Target) -> Stage:
    """The guilty half, and the grounds; of code that is not optimized nothing is said. `whole`: the finding's target
    with all of its settings."""
    if dict(whole.settings).get(LEVEL, "none") == "none":
        return Stage("", "")
    by_run, by_terms = stage_of(desk, finding), _by_terms(desk, finding, whole)
    if by_run.where and by_terms.where and by_run.where != by_terms.where:
        return Stage("", f"{by_run.why}, but {by_terms.why}")
    return Stage(by_run.where or by_terms.where, "; ".join(filter(None, (by_run.why, by_terms.why))))


def _by_terms(desk: Investigator, finding: Finding, whole: Target) -> Stage:
    code = desk.judge.compile([finding.case], [finding.target], Tally(), _WANTS)[0][0]
    if code is None or isinstance(code, CompileFailure):
        return Stage("", "it is not compiled")
    case = finding.case
    optimized, why = optimized_case(case, code, finding.target)
    if optimized is None:
        return Stage("", why)
    function = with_call_conv(optimized.module.functions[case.entry], "fast")
    found = compare(whole, function, code[case.entry])
    if found.kind == "undecided":
        return Stage("", f"the code against the optimized CLIF is undecided: {found.why}")
    return Stage(*_SAID[found.kind])
