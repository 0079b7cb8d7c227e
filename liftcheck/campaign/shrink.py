"""`liftcheck reduce FILE`: makes a file small for what disagrees there, or for a command of the user's.

The one idea: whatever asks, every candidate to which there is no objection is handed to a `Watch`, so what is best so
far is there at any moment: it is what Ctrl-C leaves. Who asks: `findings/from_file.py` (two readers), the vote and the
judge of a campaign (a finding), or a command (`command.py`), and with several jobs a `Crew` of them. Finding folders
are reduced by `findings/replay.py`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from liftcheck.campaign import askers
from liftcheck.campaign.command import Command
from liftcheck.campaign.crew import Crew
from liftcheck.campaign.findings.finding import Finding, fold_key
from liftcheck.campaign.findings.from_file import Rejection, disagreements, rejection
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.findings.replay import reduce_again
from liftcheck.campaign.findings.watched import Watched
from liftcheck.campaign.reduce.answers import Answers, Panel, Q
from liftcheck.campaign.reduce.engine import Limits, Meter, finished, size
from liftcheck.campaign.reduce.text import Shrunk, shrink
from liftcheck.case import Case
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Exactly, Wish, choose
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import InputError
from liftcheck.generators.filetests import header
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool


class Small(NamedTuple):
    """What came of it. `klass`: what disagrees; `before` and `after`: lines of the program, without what stands around
    it to show it; `others`: what disagrees in addition, left as it is; `interrupted`: the text is the best so far, and
    was not judged as a whole again."""

    text: str
    klass: str
    before: int
    after: int
    note: str = ""
    others: tuple[str, ...] = ()
    interrupted: bool = False


@dataclass(slots=True)
class Watch:
    """Keeps the best text so far. `say` hears its lines and the questions asked, `every` seconds at most."""

    say: Callable[[int, int], None]
    best: str = ""
    asked: int = 0
    every: float = 0.5
    _told: float = field(default_factory=time.monotonic)

    def heard(self, text: str) -> None:
        """A question was answered; `text` is good, unless it is ''."""
        self.asked += 1
        if text and (not self.best or len(text) <= len(self.best)):
            self.best = text
        if time.monotonic() - self._told >= self.every:
            self._told = time.monotonic()
            self.say(lines_of(self.best), self.asked)


class Heard(NamedTuple):
    """A panel whose answers about texts are watched."""

    panel: Panel
    watch: Watch

    def answers(self, question: Callable[[Q], str], asked: Callable[[Q], object]) -> Answers[Q]:
        """See `Panel`."""
        ask = self.panel.answers(question, asked)

        def answers(candidates: Iterable[Q | None]) -> Iterator[tuple[Q, str] | None]:
            for answer in ask(candidates):
                if answer is not None:
                    self.watch.heard("" if answer[1] else str(asked(answer[0])))
                yield answer

        return answers


def lines_of(text: str) -> int:
    """How many lines say something."""
    return sum(bool(line.strip()) for line in text.splitlines())


def by_command(text: str, command: str, limits: Limits, watch: Watch, jobs: int = 1) -> Small:
    """The smallest text found for which the command ends with 0. InputError if it does not for the text itself."""
    with tempfile.TemporaryDirectory(prefix="liftcheck-reduce-") as folder:
        ask = Command(command, Path(folder) / "candidate.clif")
        if ask(text):
            raise InputError.at(f"{ask.last}: it must end with 0 for the file itself", "--test")
        with Crew(askers.of_command(command, ask.longest), jobs) as crew:
            return _shrunk(text, "", ask, limits, watch, crew)


def _shrunk(
    text: str, klass: str, ask: Callable[[str], str], limits: Limits, watch: Watch, crew: Crew, file: str = ""
) -> Small:
    watch.best = text
    meter = Meter(limits)
    try:
        done: Shrunk = finished(shrink(text, ask, meter, file, Heard(crew, watch)))
    except KeyboardInterrupt:
        return Small(watch.best, klass, lines_of(text), lines_of(watch.best), interrupted=True)
    notes = [f"Cut by lines only: {done.by_lines}." if done.by_lines else ""]
    notes.append("" if done.complete else "The limit was reached: it may get smaller still.")
    return Small(done.text, klass, lines_of(text), lines_of(done.text), " ".join(filter(None, notes)))


class Wanted(NamedTuple):
    """What the command line asks for. `runners` as for `RunnerPool`; `jobs`: processes that are asked at once."""

    compiler: str
    wish: Wish
    runners: Sequence[str]
    limits: Limits
    jobs: int = 1


def by_disagreement(text: str, file: str, wanted: Wanted, watch: Watch) -> Small:
    """The file made small for the first thing that disagrees there. InputError if nothing does, with what was found."""
    compiler = open_compiler(wanted.compiler)
    pool = RunnerPool(",".join(wanted.runners))
    try:
        if isinstance(compiler, Cranelift) and (found := rejection(compiler, text)) is not None:
            return _rejected(text, file, found, wanted, watch)
        return _disagreeing(text, file, compiler, pool, wanted, watch)
    finally:
        pool.close()
        compiler.close()


def _rejected(text: str, file: str, found: Rejection, wanted: Wanted, watch: Watch) -> Small:
    who = ("liftcheck", found.compiler.name)
    refuses, takes = who if found.by_us else reversed(who)
    klass = f"{refuses} refuses it ({found.message}), {takes} takes it"
    with Crew(askers.of_readers(wanted.compiler, found), wanted.jobs) as crew:
        return _shrunk(text, klass, found.question, wanted.limits, watch, crew, file)


def _disagreeing(text: str, file: str, compiler: Compiler, pool: RunnerPool, wanted: Wanted, watch: Watch) -> Small:
    test = parse_filetest(text, file)
    if not test.functions:
        raise InputError.at("there is no function in this file", file)
    if wrong := verify(test.module(), file=file):
        raise InputError(wrong)
    choice = choose(compiler, test, wanted.wish)
    if not choice.targets:
        raise InputError.at(f"no target for an ISA that liftcheck supports: {'; '.join(choice.notes)}", file)
    judge = Judge(Exactly(compiler) if choice.exact else compiler, pool)
    desk = Watching(judge, pool, watch)
    tally = Tally()
    found = {fold_key(one): one for one in disagreements(desk, test, choice.targets, tally)}
    if not found:
        lines = sum(len(function.run_lines) for function in test.functions)
        hint = " (what run lines expect is what `liftcheck test` looks at)" if lines else ""
        raise InputError.at(f"nothing disagrees here: {_judged(tally)}{hint}", file)
    first, *others = found.values()
    named = tuple(f"{one.klass} on {one.target}: {one.detail.partition(chr(10))[0]}" for one in others)
    desk.show(first)
    watch.best, before = desk.in_print(first.case), size(first.case)
    work = askers.of_file(first, wanted.compiler, choice.exact, wanted.runners)
    try:
        with Crew(work, wanted.jobs) as crew:
            done = reduce_finding(desk, first, wanted.limits, crew)[0]
    except KeyboardInterrupt:
        after = before if desk.smallest is None else size(desk.smallest)
        return Small(watch.best, first.klass, before, after, "", named, True)
    text = done.program or desk.in_print(done.case)
    return Small(text, done.klass, before, size(done.case), done.note, named)


def _judged(tally: Tally) -> str:
    """What was found instead."""
    reasons = [f"{count} undecided ({reason})" for (_, reason), count in tally.undecided.most_common()]
    reasons += [f"{count} refused ({reason})" for (_, reason), count in tally.refused.most_common()]
    return ", ".join([f"{tally.agreed.total()} functions on targets agree with the reference", *reasons[:6]])


class Watching(Watched):
    """An investigator whose every good answer is watched as a text."""

    def __init__(self, judge: Judge, runners: RunnerPool, watch: Watch) -> None:
        super().__init__(judge, runners, lambda case: watch.heard("" if case is None else self.in_print(case)))
        self.finding_to_show: Finding | None = None

    def show(self, finding: Finding) -> None:
        """From now on it is about this finding."""
        self.finding_to_show = finding
        self.is_on = True

    def in_print(self, case: Case) -> str:
        """The functions for the target at fault, without run lines: those are made at the end."""
        found = self.finding_to_show
        assert found is not None
        return "\n".join(["test compile", *header([found.target], False), "", print_module(case.module)])


def by_folder(folder: Path, seconds: float, watch: Watch, jobs: int = 1) -> tuple[Finding, Path, bool]:
    """Reduces a finding's folder: the finding, its folder, and whether that was interrupted (the best so far is
    kept)."""

    def heard(case: Case | None) -> None:
        watch.heard("" if case is None else print_module(case.module))

    return reduce_again(folder, seconds, heard, lambda finding: Crew(askers.of_folder(finding), jobs))
