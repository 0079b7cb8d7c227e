"""Reports hold the sum of their verdicts against what they found beforehand."""

from __future__ import annotations

import pytest

from liftcheck.campaign.report import regalloc
from liftcheck.case import Target
from liftcheck.oracles.counted import Counted
from liftcheck.oracles.filetests import report as filetests
from liftcheck.oracles.regalloc.verdict import Verdict


def judge(report: Counted, count: int) -> None:
    """So many verdicts, of whatever kind."""
    for number in range(count):
        if isinstance(report, filetests.Report):
            report.passes("s390x") if number % 2 else report.skip("s390x", "why")
        elif isinstance(report, regalloc.Report):
            report.count("f.clif", "%f", 1, Target("s390x"), Verdict("valid"))


@pytest.mark.parametrize("kind", [filetests.Report, regalloc.Report])
@pytest.mark.parametrize(("units", "verdicts", "fault"), [(3, 3, ""), (3, 2, ""), (3, 4, ""), (2, 2, "KeyError: x")])
def test_what_has_no_verdict_is_told(kind: type[Counted], units: int, verdicts: int, fault: str) -> None:
    report = kind()
    judge(report, 5)
    before = report.judged
    judge(report, verdicts)
    report.settle("a.clif", units, before, fault)
    assert report.units == units
    if units == verdicts and not fault:
        assert report.lost == []
        return
    (line,) = report.lost
    assert line.startswith(f"a.clif: {units} {kind.UNITS}, but {verdicts} verdicts: a bug of liftcheck's")
    assert fault in line


@pytest.mark.parametrize("kind", [filetests.Report, regalloc.Report])
def test_parts_of_others_add_up(kind: type[filetests.Report] | type[regalloc.Report]) -> None:
    whole, part = kind(), kind()
    judge(part, 1)
    part.settle("a.clif", 2, 0)
    for _ in range(2):
        whole.add(part)  # type: ignore[arg-type]
    assert (whole.units, whole.judged, len(whole.lost)) == (4, 2, 2)
