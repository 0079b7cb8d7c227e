"""One worker of a fuzz campaign: generates, judges, confirms, reduces; answers what came of it.

The one idea: a worker is disposable. It owns a compiler's child process and its runners and holds no finding longer
than it takes to send it, so that its death costs one batch, which its parent hands to another worker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from math import inf
from typing import Final

from liftcheck.campaign.execute import huge_pages
from liftcheck.campaign.execute.tasks import NO_TIME, Answer, Task
from liftcheck.campaign.findings.beside import Other, shared, tally_of
from liftcheck.campaign.findings.counterexamples import confirmed
from liftcheck.campaign.findings.docket import is_sample, twin
from liftcheck.campaign.findings.finding import Finding, fold_key, held
from liftcheck.campaign.findings.investigate import Investigator, clear, recount
from liftcheck.campaign.findings.reduction import Steps, counted, reduction
from liftcheck.campaign.findings.suspicion import count_held, count_wrong, is_sampled
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.engine import Limits, Meter
from liftcheck.case import Case, Target
from liftcheck.errors import Unavailable, Unsupported
from liftcheck.oracles.base import Mismatch, Oracle
from liftcheck.oracles.classes import class_of
from liftcheck.oracles.confirm import OutOfTime
from liftcheck.oracles.differential import Judge, Prepared
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.rule_counts import RULES
from liftcheck.oracles.tally import Tally

SELDOM: Final = 64
"""After every so many batches the collector looks for garbage in cycles: there is little or none."""
_FIRST_LOOK: Final = 8
"""After so many batches, and twice as many each time, a worker's memory goes on huge pages: by then most of what it
keeps is there."""
VOTES: Final = 3.0
FIRST: Final = 5.0
"""Seconds: for votes when no program is run any more; for programs of a new worker, though the time is up."""
LAYERS: Final = 20
"""Frames of a traceback that are sent to the parent."""


def limits_of(options: FuzzOptions) -> Limits:
    """A reduction's limits: questions where a campaign is bounded by cases, so that its findings depend on nothing but
    its options; else time."""
    return counted(options.reduce_seconds) if options.cases is not None else Limits(options.reduce_seconds)


class FuzzWorker:
    """A worker's state: compiler, runners, judge. `do` never raises for what a case does, only Unavailable."""

    def __init__(self, options: FuzzOptions, hooks: Hooks) -> None:
        self.options = options
        self.hooks = hooks
        self.planner = Planner(options)
        self.compiler = self.planner.open_compiler()
        self.runners = self.planner.runners
        self.judge = Judge(self.compiler, self.runners, hooks, oracles=self.planner.oracles)
        self.investigator = Investigator(self.judge, self.runners)
        self.baseline = self._beside_baseline()
        self._reductions: dict[int, tuple[Finding, Steps]] = {}
        self._task = Task("batch")
        self._ready = time.monotonic()
        self._alike: Counter[str] = Counter()
        self._batches = 0
        self._wants: frozenset[str] = frozenset()
        self._oracles: tuple[Oracle, ...] = ()

    def _beside_baseline(self) -> Investigator | None:
        """Of two compilers, who investigates the first; either asks the other. Planted faults are of the second."""
        compiler = self.planner.open_baseline()
        if compiler is None:
            return None
        hooks = dataclasses.replace(self.hooks, code=None)
        judge = Judge(compiler, self.runners, hooks, oracles=self.planner.oracles)
        self.investigator.other = Other(judge, is_baseline=True)
        return Investigator(judge, self.runners, Other(self.judge, is_baseline=False))

    def close(self) -> None:
        """Ends the compilers' children and the runners' processes."""
        self.runners.close()
        self.compiler.close()
        if self.baseline is not None:
            self.baseline.judge.compiler.close()

    def do(self, task: Task, /) -> Answer:
        """Does one task. While a batch is alive nothing of it is garbage in cycles, and looking for such takes a
        twelfth of the time: so the collector looks between batches, and now and then."""
        if task.kind == "reduce":
            return self._reduce(task)
        if task.kind == "state":
            return self._state(task)
        if task.kind == "forget":
            self._reductions.pop(task.ident, None)
            return Answer()
        self._task = task
        gc.disable()
        try:
            with self._apart() if task.apart else contextlib.nullcontext():
                return self._batch(task)
        finally:
            self.judge.deadline = inf
            if self.baseline is not None:
                self.baseline.judge.deadline = inf
            if task.number % SELDOM == 0:
                gc.collect(1)
            self._batches += 1
            if self._batches >= _FIRST_LOOK and self._batches.bit_count() == 1:
                huge_pages.collapse()

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        """On runners alone that may die without this process: an emulator that it holds has killed workers."""
        kept = self.judge, self.investigator, self.baseline
        runners = self.planner.open_runners(apart=True)
        self.judge = self.judge.on(runners)
        self.investigator = Investigator(self.judge, runners)
        if self.baseline is not None:
            first = self.baseline.judge.on(runners)
            self.baseline = Investigator(first, runners, Other(self.judge, is_baseline=False))
            self.investigator.other = Other(first, is_baseline=True)
        try:
            yield
        finally:
            self.judge, self.investigator, self.baseline = kept
            runners.close()

    def _batch(self, task: Task) -> Answer:
        answer = Answer()
        plan = self.planner.plan(task.number, task.cold, task.avoided)
        self._oracles = plan.oracles
        self._wants = RULES if plan.directed and self.planner.traces_rules else frozenset()
        cases: list[Case] = []
        prepared: list[Prepared] = []
        tally = Tally()
        for number in (task.case,) if task.kind == "case" else plan.numbers:
            started = time.perf_counter()
            made = plan.generate(number, answer.troubles)
            answer.tally.spend("generate", time.perf_counter() - started)
            cases += made
            with contextlib.suppress(Exception):  # judging will meet it again, and say of which case
                prepared += [self.judge.prepare(case, plan.targets, tally) for case in made]
        if is_sampled(task.number):
            count_held(cases, self.options.isas, tally)
        if self.hooks.before is not None:
            self.hooks.before(cases, self.compiler)
        self._judge_all(cases, plan.targets, answer, prepared if len(prepared) == len(cases) else None)
        answer.tally.add(tally)
        return answer

    def _judge_all(
        self,
        cases: Sequence[Case],
        targets: Sequence[Target],
        answer: Answer,
        prepared: Sequence[Prepared] | None = None,
    ) -> None:
        """Judges a batch; if our own code fails on it, case by case, and names the one that it fails on."""
        try:
            self._judge(cases, targets, answer, prepared)
        except Unavailable:
            raise
        except Exception as error:
            if len(cases) == 1:
                self._give_up(cases[0], targets, answer, error)
                return
            for case in cases:
                self._judge_all([case], targets, answer)

    def _judge(
        self, cases: Sequence[Case], targets: Sequence[Target], answer: Answer, prepared: Sequence[Prepared] | None
    ) -> None:
        tally = Tally()
        self.judge.deadline = self.investigator.judge.deadline = max(self._task.until, self._ready + FIRST)
        mismatches = self.judge.asking(self._oracles).judge(cases, targets, tally, self._wants, prepared)
        found = self._confirmed(self.investigator, cases, mismatches, tally, answer)
        answer.tally.add(tally)
        answer.findings += found
        if self.baseline is not None:
            self._judge_baseline(self.baseline, cases, targets, answer, prepared, shared(found))

    def _judge_baseline(
        self,
        baseline: Investigator,
        cases: Sequence[Case],
        targets: Sequence[Target],
        answer: Answer,
        prepared: Sequence[Prepared] | None,
        both: AbstractSet[tuple[str, str, str]],
    ) -> None:
        """What the first of two compilers gets wrong, except for what `both` do."""
        tally = Tally()
        baseline.judge.deadline = self.judge.deadline
        mismatches = baseline.judge.asking(self._oracles).judge(cases, targets, tally, prepared=prepared)
        left = [one for one in mismatches if (cases[one.case].name, one.verdict.klass, one.target.isa) not in both]
        answer.findings += self._confirmed(baseline, cases, left, tally, answer)
        answer.tally.add(tally_of(tally, self.options.baseline))

    def _confirmed(
        self, desk: Investigator, cases: Sequence[Case], mismatches: Sequence[Mismatch], tally: Tally, answer: Answer
    ) -> list[Finding]:
        """The findings that a vote leaves of mismatches."""
        found: list[Finding] = []
        started = time.perf_counter()
        desk.judge.deadline += VOTES
        for group in _grouped(mismatches):
            case = cases[group[0].case]
            if self._needs_no_vote(case, group, tally, answer):
                continue
            troubles: list[str] = []
            try:
                if class_of(group[0].verdict.klass).needs_run:
                    made = confirmed(desk, group, tally, troubles)
                else:
                    made = desk.investigate(case, group, tally)
            except OutOfTime:
                self._leave_open(case, group, tally, answer)
                continue
            answer.troubles += [(case.name, text) for text in troubles]
            for finding in made:
                isas = {target.isa for target in (finding.targets if finding.failure is None else _targets(group))}
                count_wrong(case, isas, finding.row, finding.failure, tally)
            found += made
        if mismatches:
            tally.spend("confirm", time.perf_counter() - started)
        return found

    def _needs_no_vote(self, case: Case, group: Sequence[Mismatch], tally: Tally, answer: Answer) -> bool:
        """Whether mismatches look like a known finding, or it is too late."""
        mismatch = group[0]
        if mismatch.failure is not None:
            return self._is_known_failure(case, group, tally, answer)
        if time.monotonic() > self.judge.deadline:
            self._leave_open(case, group, tally, answer)
            return True
        if self.baseline is not None:  # which of them is wrong, its vote tells
            return False
        like = twin(self._task.known.likes, mismatch.verdict.klass, mismatch.target.isa, held(case))
        if like is None:
            return False
        key, before = like.key, self._alike[like.key]
        self._alike[key] = max(before, like.seen) + 1
        if is_sample(self._alike[key], before):
            return False
        answer.alike[key] += 1
        count_wrong(case, {one.isa for one in _targets(group)}, class_of(mismatch.verdict.klass), None, tally)
        return True

    def _is_known_failure(self, case: Case, group: Sequence[Mismatch], tally: Tally, answer: Answer) -> bool:
        """Whether the compiler fails as it did on an earlier case, which then stands for this one."""
        mismatch = group[0]
        key = fold_key(Finding(mismatch.verdict.klass, case, mismatch.target, failure=mismatch.failure))
        number, first = case.tags.get("number"), self._task.known.failures.get(key)
        if first is None or not isinstance(number, int) or number <= first:
            return False
        if self.options.cases is None:
            self._alike[key] += 1
            if is_sample(self._alike[key]):
                return False
        recount(group, (), mismatch, mismatch.verdict.klass, tally)
        row = class_of(mismatch.verdict.klass)
        count_wrong(case, {one.isa for one in _targets(group)}, row, mismatch.failure, tally)
        answer.alike[key] += 1
        return True

    @staticmethod
    def _leave_open(case: Case, group: Sequence[Mismatch], tally: Tally, answer: Answer) -> None:
        """Suspects that there is no time left to vote on: undecided, and named, so that they can be run again."""
        for mismatch in group:
            clear(mismatch, NO_TIME, tally)
        answer.troubles.append((case.name, f"{group[0].verdict.klass} on {group[0].target}: {NO_TIME}"))

    @staticmethod
    def _give_up(case: Case, targets: Sequence[Target], answer: Answer, error: Exception) -> None:
        """A case that our own code fails on: undecided on every target, with a traceback."""
        kind = f"liftcheck: {error.reason}" if isinstance(error, Unsupported) else f"liftcheck: {type(error).__name__}"
        for target in targets:
            answer.tally.undecided[target.isa, kind] += 1
        answer.tally.programs += 1
        answer.troubles.append((case.name, "".join(traceback.format_exception(error, limit=-LAYERS))))

    def _desk(self, finding: Finding) -> Investigator:
        """Who asks the compiler that a finding is of."""
        own = self.baseline is None or finding.compiler == self.compiler.name
        return self.investigator if own or self.baseline is None else self.baseline

    def _state(self, task: Task) -> Answer:
        """A finding as it is, with the filetest that shows it."""
        answer, finding = Answer(), task.finding
        assert finding is not None
        started = time.perf_counter()
        try:
            answer.findings = [self._desk(finding).stated(finding)]
        except Exception as error:
            answer.troubles.append((finding.case.name, "".join(traceback.format_exception(error, limit=-LAYERS))))
        answer.longest = time.perf_counter() - started
        answer.tally.spend("reduce", answer.longest)
        return answer

    def _reduce(self, task: Task) -> Answer:
        """A slice of a reduction: as many of its steps as there is time for, at least one."""
        answer = Answer()
        gc.enable()
        if task.finding is not None:
            limits = dataclasses.replace(limits_of(self.options), until=task.until)
            self._reductions[task.ident] = (
                task.finding,
                reduction(self._desk(task.finding), task.finding, Meter(limits)),
            )
        finding, steps = self._reductions[task.ident]
        started = now = time.perf_counter()
        try:
            while now == started or now - started < task.seconds:
                next(steps)
                before, now = now, time.perf_counter()
                answer.longest = max(answer.longest, now - before)
            answer.more = True
        except StopIteration as end:
            answer.findings = end.value
        except Exception as error:
            answer.troubles.append((finding.case.name, "".join(traceback.format_exception(error, limit=-LAYERS))))
            answer.findings = [dataclasses.replace(finding, note="Not reduced: liftcheck failed at it.")]
        if not answer.more:
            del self._reductions[task.ident]
        answer.longest = max(answer.longest, time.perf_counter() - now)
        answer.tally.spend("reduce", time.perf_counter() - started)
        return answer


def _targets(group: Sequence[Mismatch]) -> tuple[Target, ...]:
    return tuple(one.target for one in group)


def _grouped(mismatches: Sequence[Mismatch]) -> list[list[Mismatch]]:
    """Suspects by case and class: one finding each, however many targets disagree alike."""
    groups: dict[tuple[int, str, str], list[Mismatch]] = {}
    for mismatch in mismatches:
        place = f"{mismatch.failure.reason} {mismatch.failure.place}" if mismatch.failure else ""
        groups.setdefault((mismatch.case, mismatch.verdict.klass, place), []).append(mismatch)
    return list(groups.values())
