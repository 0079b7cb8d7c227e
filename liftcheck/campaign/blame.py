"""`liftcheck blame`: what of a compiler is at fault for a finding, asked part by part.

The one idea: a finding (a folder, or the first thing that disagrees in a file) is made small, and then every part asks
the same judge about programs and targets beside it: what matters, which half of the compiler, which rule, which
instruction, which versions. It is all questions; nothing is taken from the finding but its program and target.
A folder gets the answer on its page and in `finding.json`; of a file it is only told.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from liftcheck.campaign.findings import blamed, store
from liftcheck.campaign.findings.culprit import culprit
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.from_file import disagreements
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.matters import ALLOCATOR, matters, needed, state_on
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.findings.suspect_rules import suspected
from liftcheck.campaign.findings.versions import BUILT, bisected
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.engine import Limits, size
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.choice import Exactly, Wish, choose
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import InputError
from liftcheck.oracles.classes import oracles_for
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

Say = Callable[[str], None]
_RULES_TIME: Final = 0.5
"""The share of the time for reduction that the search for the rule may take in addition."""


class Blamed(NamedTuple):
    """A finding, made small, with the answer (`blamed.document`); `before`: its lines at first; `is_kept`: its folder
    says it."""

    finding: Finding
    answer: dict[str, Any]
    before: int
    is_kept: bool = False

    @property
    def after(self) -> int:
        return size(self.finding.case)


class Wanted(NamedTuple):
    """What the command line asks for. `compiler` '': the finding's own."""

    compiler: str = ""
    wish: Wish = Wish()
    runners: tuple[str, ...] = ("auto",)
    seconds: float = 60.0
    versions: str = BUILT


def of_folder(folder: Path, wanted: Wanted, say: Say) -> Blamed:
    """Blames the finding in a folder, whose page then says so."""
    finding = store.load(folder)
    options = FuzzOptions(
        isas=(finding.target.isa,),
        compiler=wanted.compiler or finding.compiler,
        runners=wanted.runners,
        oracles=oracles_for(finding.klass),
    )
    planner = Planner(options)
    planner.prepare(None)
    opened, pool = planner.open_compiler(), planner.runners
    try:
        desk = Investigator(Judge(opened, pool, oracles=planner.oracles), pool)
        target = planner.known(opened, finding.target)
        found = blame(desk, dataclasses.replace(finding, target=target, compiler=opened.name), wanted, say)
    finally:
        pool.close()
        opened.close()
    place = folder if folder.is_dir() else folder.parent
    is_kept = opened.name == finding.compiler
    if is_kept:
        kept = dataclasses.replace(
            found.finding,
            count=finding.count,
            seed=finding.seed,
            number=finding.number,
            profile=finding.profile,
            original=finding.original or found.finding.original,
            blame=found.answer,
        )
        store.write_folder(place, store.files(kept, place.name))
    return found._replace(is_kept=is_kept)


def of_text(text: str, file: str, wanted: Wanted, say: Say) -> Blamed:
    """Blames the first thing that disagrees in a file. InputError if nothing does."""
    with _desk(wanted) as desk:
        test = parse_filetest(text, file)
        if not test.functions:
            raise InputError.at("there is no function in this file", file)
        if wrong := verify(test.module(), file=file):
            raise InputError(wrong)
        choice = choose(desk.judge.compiler, test, wanted.wish)
        if not choice.targets:
            raise InputError.at(f"no target for an ISA that liftcheck supports: {'; '.join(choice.notes)}", file)
        if choice.exact:
            desk = Investigator(Judge(Exactly(desk.judge.compiler), desk.runners), desk.runners)
        tally = Tally()
        finding = next(disagreements(desk, test, choice.targets, tally), None)
        if finding is None:
            agreed = f"{tally.agreed.total()} functions on targets agree with the reference"
            reasons = [f"{n} {r}" for (_, r), n in (*tally.undecided.most_common(3), *tally.refused.most_common(3))]
            raise InputError.at(f"nothing disagrees here: {', '.join([agreed, *reasons])}", file)
        return blame(desk, finding, wanted, say)


@contextmanager
def _desk(wanted: Wanted) -> Iterator[Investigator]:
    compiler = open_compiler(wanted.compiler or "cranelift")
    pool = RunnerPool(",".join(wanted.runners))
    try:
        yield Investigator(Judge(compiler, pool), pool)
    finally:
        pool.close()
        compiler.close()


def blame(desk: Investigator, finding: Finding, wanted: Wanted, say: Say) -> Blamed:
    """All parts. InputError if the finding does not go wrong any more."""
    before = size(finding.case)
    state, why = state_on(desk, finding, finding.target)
    if state != "wrong":
        what = f"it {'is right' if state == 'right' else f'cannot be asked ({why})'} with {desk.judge.compiler.name}"
        raise InputError.at(f"nothing to blame: {what} on {finding.target}", finding.case.name or "the finding")
    if not finding.reduced:
        say("reducing")
        finding = reduce_finding(desk, finding, Limits(wanted.seconds, questions=sys.maxsize))[0]
    say("which settings matter")
    asked = matters(desk, finding)
    say("which rule")
    rules = suspected(desk, finding, Limits(max(5.0, _RULES_TIME * wanted.seconds), 200))
    if ALLOCATOR in needed(asked):
        why = f"the allocator matters, so the fault may not lie in a rule{'; ' + rules.why if rules.why else ''}"
        rules = dataclasses.replace(rules, why=why)
    say("which instruction")
    where = culprit(desk, finding)
    versions = bisected(desk, finding, wanted.versions, say)
    return Blamed(finding, blamed.document(desk.judge.compiler.name, asked, rules, where, versions), before)


def program(found: Blamed) -> str:
    """The small program in print."""
    return print_module(found.finding.case.module)
