"""Runs a finding again from its folder: does it still disagree?

The one idea: a replay is a judgement of the stored program on the stored targets, with nothing of the generator in it.
With another compiler the same program meets another version; a setting that this version does not know is dropped, and
said.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.beside import Other
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.findings.watched import Watched
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.answers import ALONE, Panel
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.compilers.registry import open_compiler
from liftcheck.oracles.classes import oracles_for
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found. `still` is None if nothing can be said, for `reasons`."""

    finding: Finding
    compiler: str
    still: bool | None
    klass: str = ""
    detail: str = ""
    reasons: tuple[str, ...] = ()
    target: Target | None = None

    @property
    def exit_code(self) -> int:
        """1 while it disagrees, 0 if it no longer does, 3 if this machine cannot say."""
        return 3 if self.still is None else int(self.still)

    def text(self) -> str:
        """One line for people."""
        if self.still:
            same = "still" if self.klass == self.finding.klass else f"now a {self.klass}, "
            what = self.detail.partition("\n")[0]
            return f"{same} disagrees with {self.compiler} on {self.target}: {self.klass}: {what}"
        if self.still is None:
            return f"cannot say with {self.compiler} on {self.target}: {'; '.join(self.reasons)}"
        return f"no longer disagrees with {self.compiler} on {self.target}"

    def document(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "still": self.still,
            "class": self.klass,
            "was": self.finding.klass,
            "detail": self.detail,
            "compiler": self.compiler,
            "target": str(self.target),
            "undecided": list(self.reasons),
        }


def replay(folder: Path, compiler: str | None = None, runners: tuple[str, ...] = ("auto",)) -> Replayed:
    """Judges the finding in `folder` again. InputError if it is not one, Unavailable if the compiler or a runner is
    missing."""
    finding = store.load(folder)
    options = FuzzOptions(
        isas=(finding.target.isa,),
        compiler=compiler or finding.compiler,
        runners=runners,
        oracles=oracles_for(finding.klass),
    )
    planner = Planner(options)
    planner.prepare(None)
    opened = planner.open_compiler()
    pool = planner.runners
    try:
        return judge_again(finding, Judge(opened, pool, oracles=planner.oracles), opened, planner)
    finally:
        pool.close()
        opened.close()


def judge_again(finding: Finding, judge: Judge, compiler: Any, planner: Planner) -> Replayed:
    """The verdict on a finding's program now."""
    name = compiler.name
    target = planner.known(compiler, finding.target)
    if finding.row.asked == "compiled twice":
        first, second = (judge.compile([finding.case], [target], Tally()) for _ in range(2))
        return Replayed(finding, name, first != second, finding.klass if first != second else "", target=target)
    tally = Tally()
    mismatches = judge.judge([finding.case], [target], tally)
    if mismatches:
        found = mismatches[0]
        return Replayed(finding, name, True, found.verdict.klass, found.verdict.detail, target=target)
    reasons = tuple(reason for _, reason in (*tally.undecided, *tally.refused))
    if reasons and not tally.agreed:
        gone = finding.failure is not None and _compiled(judge, finding, target)
        return Replayed(finding, name, False if gone else None, reasons=reasons, target=target)
    return Replayed(finding, name, False, target=target)


def _compiled(judge: Judge, finding: Finding, target: Target) -> bool:
    """Whether the program compiles now: that is all that a compiler's own failure needs to be gone."""
    return not isinstance(judge.compile([finding.case], [target], Tally())[0][0], CompileFailure)


class Bench(NamedTuple):
    """What it takes to ask about a finding as it was found."""

    judge: Judge
    pool: RunnerPool
    beside: Other | None
    close: Callable[[], None]


def bench_of(finding: Finding) -> Bench:
    """The finding's compilers, opened, with runners. Unavailable if one is missing."""
    options = FuzzOptions(isas=(finding.target.isa,), compiler=finding.compiler, oracles=oracles_for(finding.klass))
    planner = Planner(options)
    planner.prepare(None)
    opened = planner.open_compiler()
    pool = planner.runners
    other = open_compiler(finding.other) if finding.other else None

    def close() -> None:
        pool.close()
        opened.close()
        if other is not None:
            other.close()

    judge = Judge(opened, pool, oracles=planner.oracles)
    beside = Other(Judge(other, pool, oracles=planner.oracles), not finding.spared) if other is not None else None
    return Bench(judge, pool, beside, close)


def reduce_again(
    folder: Path,
    seconds: float,
    heard: Callable[[Case | None], None] = lambda _: None,
    panel: Callable[[Finding], AbstractContextManager[Panel]] = lambda _: nullcontext(ALONE),
) -> tuple[Finding, Path, bool]:
    """Reduces the finding in `folder` further and rewrites the folder; gives the finding as it is then, and whether
    Ctrl-C ended it: then it is the best so far. `heard`: as for `Watched`; `panel`: who asks about its candidates."""
    finding = store.load(folder)
    bench = bench_of(finding)
    try:
        desk = Watched(bench.judge, bench.pool, heard, bench.beside)
        desk.is_on, interrupted = True, False
        try:
            with panel(finding) as others:
                reduced = reduce_finding(desk, finding, Limits(seconds, questions=sys.maxsize), others)[0]
        except KeyboardInterrupt:
            reduced, interrupted = desk.best(finding), True
    finally:
        bench.close()
    reduced = dataclasses.replace(
        reduced,
        count=finding.count,
        seed=finding.seed,
        number=finding.number,
        profile=finding.profile,
        original=finding.original or reduced.original,
    )
    place = folder if folder.is_dir() else folder.parent
    store.write_folder(place, store.files(reduced, place.name))
    return reduced, place, interrupted
