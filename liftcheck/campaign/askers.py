"""Who answers for a crew, in a process of its own: a desk about a finding, two readers about a text, a user's command.

The one idea: each function opens compilers and runners anew from arguments that can be sent to another process, and
gives what answers one question after the other, and what ends that. See `crew.py`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from liftcheck.campaign.command import Command
from liftcheck.campaign.crew import Asking
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.from_file import Rejection
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import Query
from liftcheck.campaign.findings.replay import bench_of
from liftcheck.compilers.choice import Exactly
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import InternalError
from liftcheck.oracles.differential import Judge
from liftcheck.runners.pool import RunnerPool

Opened = tuple[Callable[[object], str], Callable[[], None]]


def of_folder(finding: Finding) -> Asking:
    """Asks about a finding as it was found."""
    return Asking(partial(_open_bench, finding))


def _open_bench(finding: Finding) -> Opened:
    bench = bench_of(finding)
    return partial(_about, Investigator(bench.judge, bench.pool, bench.beside), finding), bench.close


def of_file(finding: Finding, compiler: str, exact: bool, runners: Sequence[str]) -> Asking:
    """Asks about what disagrees in a file. `exact`: programs go to the compiler as they are printed."""
    return Asking(partial(_open_judge, finding, compiler, exact, tuple(runners)))


def _open_judge(finding: Finding, compiler: str, exact: bool, runners: Sequence[str]) -> Opened:
    opened, pool = open_compiler(compiler), RunnerPool(",".join(runners))

    def end() -> None:
        pool.close()
        opened.close()

    desk = Investigator(Judge(Exactly(opened) if exact else opened, pool), pool)
    return partial(_about, desk, finding), end


def _about(desk: Investigator, finding: Finding, what: object) -> str:
    if not isinstance(what, Query):
        raise InternalError(f"a desk is asked {what!r}")
    return desk.objection(what.case, finding, what.fuel, hasty=what.hasty)


def of_readers(compiler: str, found: Rejection) -> Asking:
    """Asks whether a text is refused as in `found`."""
    return Asking(partial(_open_reader, compiler, found.by_us, found.reason, found.message))


def _open_reader(compiler: str, by_us: bool, reason: str, message: str) -> Opened:
    opened = open_compiler(compiler)
    if not isinstance(opened, Cranelift):
        raise InternalError(f"{opened.name} has no reader")
    return partial(_as_text, Rejection(opened, by_us, reason, message).question), opened.close


def of_command(command: str, longest: float | None) -> Asking:
    """Asks a user's command, which took so many seconds at first. Its owner has no threads, so a fork is safe, and ten
    times as quick as a new Python."""
    return Asking(partial(_open_command, command, longest), "fork")


def _open_command(command: str, longest: float | None) -> Opened:
    folder = tempfile.TemporaryDirectory(prefix="liftcheck-reduce-")
    ask = Command(command, Path(folder.name) / "candidate.clif", longest)
    return partial(_as_text, ask), folder.cleanup


def _as_text(question: Callable[[str], str], what: object) -> str:
    return question(str(what))
