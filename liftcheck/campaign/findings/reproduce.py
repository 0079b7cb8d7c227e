"""A finding as a filetest that shows it: written only after `liftcheck test` has failed on it for the finding's reason.

The one idea: a file that is handed on must be what it says. So every form is judged by the engine of `liftcheck test`
with the very compiler that is at fault, and read by upstream's own reader, and the simplest form that fails for the
finding's reason, and on the finding's target alone, is taken. What no form can say is said in words (`unsaid`), in the
file and on the page: a trap is not a result for upstream, an allocation is proven wrong by `liftcheck regalloc`,
registers of the caller are looked at by liftcheck alone.

Forms differ in how much of the data region they have, in their settings (those that liftcheck always compiles with, or
the target's own only) and in what comes in the upper bits of narrow arguments: upstream's harness passes zeros there,
so a fault that needs noise gets it from an i64 that is reduced. A finding that is not reduced yet is tried in the form
that holds most, or not at all if its runs take long: its `program.clif` then has the functions alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from liftcheck.campaign.findings.finding import Finding
from liftcheck.case import Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.base import innermost
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import LiftcheckError
from liftcheck.generators.filetests import ALWAYS, Form, filetest_text, header
from liftcheck.generators.regions import Window, window
from liftcheck.isa import BIG_ENDIAN
from liftcheck.layout import SLOT_SIZE
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.filetests.known import UPPER_BITS, fault_in
from liftcheck.oracles.filetests.report import Failure, Report
from liftcheck.oracles.filetests.runs import Engine
from liftcheck.oracles.filetests.units import plan_of
from liftcheck.runners.base import NOISE
from liftcheck.runners.patience import DEFAULT

_TRAP: Final = "upstream has no run line that expects a trap: liftcheck alone reads `== trap`"
_BUFFERS: Final = (
    "upstream takes its run lines for prose; the program does not show the fault here with any that it reads"
)
_LOST: Final = ("crashed", "endless", "out_of_fuel", "abi", "changed")
"""How what a unit did begins, where it did not return or trap."""


class Stated(NamedTuple):
    """The text of `program.clif`; what it does not say or show, if anything; the known fault that it shows
    (`Finding.fault`), if it is one."""

    text: str
    unsaid: str = ""
    fault: str = ""


def stated(finding: Finding, judge: Judge) -> Stated:
    """The filetest of a finding, judged with the compiler and the runners of `judge`."""
    compiler = innermost(judge.compiler)
    unsaid = finding.row.no_filetest
    if unsaid and not _is_shown_by_a_run(finding):
        return Stated(_with_remark(_compile_text(finding, False), unsaid), unsaid)
    # What CLIF leaves open was asked by the vote; asking again takes longest, so only the lasting file is asked.
    with Engine(compiler, judge.runners, DEFAULT, judge.hooks, not finding.reduced) as engine:
        last = Stated("")
        for text, unsaid in _forms(finding):
            why, fault = _shortfall(finding, text, engine)
            why = why or _unread(text, unsaid, compiler)
            last = Stated(text, why or unsaid, fault or last.fault)
            if not why:
                text = text if finding.row.dies else _spared(finding, text, engine)
                return last._replace(text=_with_remark(text, unsaid))
        unsaid = f"{last.unsaid}; `liftcheck replay` shows it"
        return Stated(_with_remark(last.text, unsaid), unsaid, last.fault)


def _spared(finding: Finding, text: str, engine: Engine) -> str:
    """The text without the settings that liftcheck always compiles with, so far as it shows the finding without."""
    for name, value in ALWAYS:
        fewer = text.replace(f"set {name}={value}\n", "", 1)
        if fewer != text and not _shortfall(finding, fewer, engine)[0]:
            text = fewer
    return text


def _with_remark(text: str, unsaid: str) -> str:
    """The text with a comment after its header."""
    head, gap, rest = text.partition("\n\n")
    return f"{head}\n; {' '.join(unsaid.split())}{gap}{rest}" if unsaid else text


def _is_shown_by_a_run(finding: Finding) -> bool:
    """Whether what was refuted without a run shows in one, too."""
    return finding.failure is not None and finding.expected is not None


def _forms(finding: Finding) -> Iterator[tuple[str, str]]:
    """Texts, the simplest first, each with what it does not say to upstream."""
    if finding.failure is not None and finding.expected is None:
        yield from ((_compile_text(finding, plain), "") for plain in ((True, False) if finding.reduced else (False,)))
        return
    traps = finding.expected is not None and finding.expected.kind == "trapped"
    unsaid = _TRAP if traps else finding.row.unsaid
    dear = finding.row.dies  # judged once it is reduced, in one form with the target's own settings and one with all
    for targets in _targets(finding)[-1:] if dear else _targets(finding):
        for form in _of_runs(finding, traps, dear):
            yield filetest_text(finding.case, targets, finding.target.isa in BIG_ENDIAN, form), unsaid
    if finding.case.memories and not traps and not dear:
        for plain in (True, False):
            form = Form(plain, buffers=True, runs=(finding.run,))
            text = filetest_text(finding.case, [finding.target], finding.target.isa in BIG_ENDIAN, form)
            yield text, unsaid or _BUFFERS


def _targets(finding: Finding) -> list[list[Target]]:
    """With the witness where it is of the same ISA, and without."""
    witness = finding.witness
    alone = [finding.target]
    return [alone] if witness is None or witness.isa != finding.target.isa else [[*alone, witness], alone]


def _of_runs(finding: Finding, traps: bool, dear: bool) -> Iterator[Form]:
    runs, noise = (finding.run,), NOISE[finding.run % len(NOISE)]
    if not finding.reduced:
        yield Form(noise=noise, whole=True, traps=traps, runs=runs)
        return
    parts = dict.fromkeys((_window(finding), None))
    for direct, bits, part, plain in product((True, False), (0, noise), parts, (True, False)):
        if dear and (bits or (part and not plain) or direct == bool(finding.case.memories)):
            continue
        if not direct or (not bits and not finding.case.memories):
            yield Form(plain, bits, True, traps, direct, window=part, runs=runs)


def _window(finding: Finding) -> Window | None:
    """The part of the data region that matters for a finding, if it is small."""
    expected, actual = finding.expected, finding.actual
    if expected is None:
        return None
    left = [one.memory for one in (expected, actual) if one is not None and len(one.memory) == SLOT_SIZE]
    return window(finding.case, finding.run, left)


def _compile_text(finding: Finding, plain: bool) -> str:
    lines = ["test compile", *header([finding.target], plain), ""]
    return "\n".join([*lines, print_module(finding.case.module)])


def _shortfall(finding: Finding, text: str, engine: Engine) -> tuple[str, str]:
    """Why a text does not show the finding, '' if it does; the known fault that it shows for the finding's reason."""
    report = Report()
    try:
        plan = plan_of(parse_filetest(text, "program.clif"), (), False)
        for name in plan.commands:
            engine.judge(name, plan, report)
    except LiftcheckError as error:
        return f"`liftcheck test` does not read it: {error}", ""
    units = [("", unit) for unit in report.failures] + report.findings
    if not units:
        skips = "; ".join(report.skips)
        return f"`liftcheck test` passes it{f' (skipped: {skips})' if skips else ''}", ""
    strange = [unit for cause, unit in units if not _is_of(unit, cause, finding)]
    if strange:
        return f"it fails for another reason: {strange[0].got} on {strange[0].where}", ""
    faults = {fault_in(cause) for cause, _ in units}
    fault = faults.pop() if len(faults) == 1 else ""
    if len({unit.where for _, unit in units}) > 1 and finding.failure is None:
        return f"it fails on {units[1][1].where} too, where the finding's program is right", fault
    if "; liftcheck:" not in text and any(cause.startswith(UPPER_BITS) for cause, _ in units):
        return "it passes when the bits above narrow arguments are clean, as in upstream's harness", fault
    return "", fault


def _is_of(unit: Failure, cause: str, finding: Finding) -> bool:
    """Whether a unit failed for the finding's reason."""
    failure = finding.failure
    if failure is not None and finding.expected is None:
        return (
            failure.reason in cause
            if failure.kind == "refusal"
            else unit.got.startswith(f"{failure.kind}: ") and (failure.place.rpartition("/")[2] in unit.got)
        )
    if finding.row.endings:
        return unit.got.startswith(finding.row.endings)
    ended = finding.actual.kind if finding.actual is not None else "returned"
    return unit.got.startswith("trapped") == (ended == "trapped") and not unit.got.startswith(_LOST)


def _unread(text: str, unsaid: str, compiler: object) -> str:
    """What upstream's reader has against a text, where that is not known already."""
    if unsaid == _TRAP or not isinstance(compiler, Cranelift):
        return ""
    complaints = compiler.read_filetest(text)
    return f"upstream's reader refuses it: line {complaints[0].line}: {complaints[0].message}" if complaints else ""
