"""What disagrees in a CLIF file, so that it can be made small: a finding, or two readers of different minds.

The one idea: a file is asked in the order in which a compiler works. Do both readers take it? Does the compiler take
each function? Does the code do what the reference does, for the file's run lines, or for inputs at hand where it has
none? The first answer that is wrong is what is reduced; the others are counted. Findings are made by the vote, as in a
campaign; a rejection is a question about a text (`Rejection`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from liftcheck import layout
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.reduce.passes import narrow_inputs
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.edit import reachable
from liftcheck.clif.ir import Module
from liftcheck.clif.text.filetest import FileTest
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.runlines import RunLine
from liftcheck.clif.verify import verify
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.cranelift.failures import fold
from liftcheck.compilers.spelling import spell
from liftcheck.errors import Diagnostic, InputError
from liftcheck.isa import ISAS
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.regalloc.compiler import varied
from liftcheck.oracles.tally import Tally

TRIED: Final = 32
"""Inputs at hand that a function without run lines is tried with."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One reader or verifier refuses a text that the other one takes. `by_us`: liftcheck does; `reason`: why, without
    names and numbers."""

    compiler: Cranelift
    by_us: bool
    reason: str
    message: str

    def question(self, text: str) -> str:
        """'' if a text is refused by the same one for the same reason, and taken by the other."""
        ours = refusal(text)
        theirs = complaint(self.compiler, text, not ours)
        refused, taken = (ours, theirs) if self.by_us else (theirs, ours)
        if not refused or fold(refused) != self.reason:
            return "are not refused for this reason"
        return "are refused by both" if taken else ""


def refusal(text: str) -> str:
    """What liftcheck's reader or verifier has against a text; '' if nothing."""
    try:
        found: Sequence[Diagnostic] = verify(parse_filetest(text, "").module())
    except InputError as error:
        found = error.diagnostics
    return found[0].message if found else ""


def complaint(compiler: Cranelift, text: str, is_read: bool) -> str:
    """What the compiler's reader or verifier has against a text; '' if nothing. One that liftcheck reads (`is_read`)
    may be spelled in any way that says the same, and its run lines are liftcheck's own business."""
    if is_read:
        text = spell(compiler, parse_filetest(text, "")).text
    elif complaints := compiler.read_filetest(text):
        return complaints[0].message
    for column in compiler.compile_text(text, [Target(ISAS[0])]):
        for reply in column:
            if isinstance(reply, CompileFailure) and reply.kind == "input":
                return reply.message or reply.reason
    return ""


def rejection(compiler: Cranelift, text: str) -> Rejection | None:
    """The rejection of a text that one of both takes, if there is one."""
    ours = refusal(text)
    theirs = complaint(compiler, text, not ours)
    if bool(ours) == bool(theirs):
        return None
    return Rejection(compiler, bool(ours), fold(ours or theirs), ours or theirs)


def disagreements(desk: Investigator, test: FileTest, targets: Sequence[Target], tally: Tally) -> Iterator[Finding]:
    """The findings of a well-formed file, target by target; `tally` counts what was judged. Only where nothing is
    found, functions without run lines are tried with more inputs, which takes long where they loop."""
    is_found = False
    for more in (False, True):
        for target in targets:
            for case in cases(test, target, more):
                for finding in _of_case(desk, case, target, tally):
                    is_found = True
                    yield finding
        if is_found:
            return


def _of_case(desk: Investigator, case: Case, target: Target, tally: Tally) -> Iterator[Finding]:
    groups: dict[str, list[Mismatch]] = {}
    for mismatch in desk.judge.judge([case], [target], tally):
        groups.setdefault(mismatch.verdict.klass, []).append(mismatch)
    for group in groups.values():
        yield from desk.investigate(case, group, tally)


def cases(test: FileTest, target: Target, more: bool) -> Iterator[Case]:
    """Each function of a file as cases: with its run lines, or with zeros where it has none; or (`more`) those that
    have none with inputs at hand."""
    module = test.module()
    readable = [function for function in test.functions if function.function is not None]
    for number, function in enumerate(readable):
        numbers = reachable(module, number)
        reached, entry = Module([module.functions[place] for place in numbers]), numbers.index(number)
        name = f"{Path(test.file).name} {function.name}"
        lines = function.run_lines
        if not lines:
            zeros = Case(reached, entry, ((0,) * len(module.functions[number].signature.params),), name=name)
            yield narrow_inputs(varied(zeros, Random(name)), range(TRIED)) if more else zeros
        if more:
            continue
        plain = [line for line in lines if line.memory is None]
        for start in range(0, len(plain), layout.SLOTS):
            rows = tuple(line.args for line in plain[start : start + layout.SLOTS])
            yield Case(reached, entry, rows, name=name)
        yield from (_with_memory(reached, entry, line, target, name) for line in lines if line.memory is not None)


def _with_memory(module: Module, entry: int, line: RunLine, target: Target, name: str) -> Case:
    placed = line.at(0, target.big_endian)
    return Case(module, entry, (placed.args,), tuple((placed.regions() or {}).values()), 0, name)
