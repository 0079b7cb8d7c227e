"""A campaign: batches out to workers, findings in, until the time or the cases are up.

The one idea: verdicts are the workers' and depend on the case alone; this process only counts, folds equal findings
together and keeps them on disk. A finding is written the moment its vote is in, unreduced; its reduction replaces it
later, and folds it into an equal one. So nothing that happens afterwards can lose it.

Ctrl-C once: no new work, what is under way is stopped, the report is made. Twice: at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, Protocol

from liftcheck.campaign.finding import Finding, fold_key, opcodes
from liftcheck.campaign.options import BATCH, FuzzOptions, batch_cases
from liftcheck.campaign.plan import Planner
from liftcheck.campaign.pool import Death, Pool
from liftcheck.campaign.report import FuzzReport
from liftcheck.campaign.store import Store
from liftcheck.campaign.worker import Answer, Task
from liftcheck.oracles.evidence import Hooks, Tally

TICK: Final = 0.2
REDUCE_SHARE: Final = 0.4
"""Of all workers' time, what reductions may take while there are programs to run."""

__all__ = ["FuzzOptions", "FuzzReport", "Progress", "fuzz"]


class Progress(Protocol):
    """Hears how a campaign goes."""

    def started(self, compiler: str) -> None: ...

    def update(self, report: FuzzReport) -> None: ...

    def found(self, finding: Finding, place: str) -> None: ...

    def said(self, message: str) -> None: ...


class Silent:
    """A `Progress` that says nothing."""

    def started(self, compiler: str) -> None: ...

    def update(self, report: FuzzReport) -> None: ...

    def found(self, finding: Finding, place: str) -> None: ...

    def said(self, message: str) -> None: ...


def fuzz(
    options: FuzzOptions, progress: Progress | None = None, hooks: Callable[[], Hooks] | None = None
) -> FuzzReport:
    """Runs a campaign and gives its report. Unavailable if the machine lacks something; OSError if --out cannot be
    made."""
    campaign = Campaign(options, progress or Silent(), hooks)
    with campaign.interruptible():
        campaign.run()
    return campaign.report


class Campaign:
    """The state of one campaign in the parent process."""

    def __init__(self, options: FuzzOptions, progress: Progress, hooks: Callable[[], Hooks] | None) -> None:
        self.options = options
        self.progress = progress
        self.store = Store(options.out)
        self.report = FuzzReport(options, self.store)
        self.pool = Pool(options, hooks)
        self.findings: dict[str, Finding] = {}
        self.reductions: deque[str] = deque()
        self.reducing: dict[int, str] = {}
        self.next_batch = 0
        self.next_ident = 0
        self.interrupts = 0
        self.started = time.monotonic()
        self._shown = 0.0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C asks the loop to end; a second one ends the workers at once and raises KeyboardInterrupt."""
        def interrupted(_number: int, _frame: FrameType | None) -> None:
            self.interrupts += 1
            if self.interrupts > 1:
                raise KeyboardInterrupt

        old = signal.getsignal(signal.SIGINT)
        with contextlib.suppress(ValueError):  # not in the main thread: then Ctrl-C is not ours to handle
            signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError, TypeError):
                signal.signal(signal.SIGINT, old)

    def run(self) -> None:
        """The whole campaign."""
        self.store.check()
        self.report.compiler = Planner(self.options).prepare(self.progress.said)
        self.progress.started(self.report.compiler)
        self.started = time.monotonic()
        try:
            self.pool.start()
            self._work()
            self._finish_reductions()
        finally:
            self.pool.close(0.2 if self.interrupts else 2.0)
            self._save_counts()
            self._take_stock()
        self.progress.update(self.report)

    def _work(self) -> None:
        while not self.interrupts:
            over = self._is_over()
            if over and not self.pool.busy:
                return
            self._step(self._nothing if over else self._feed)

    def _is_over(self) -> bool:
        """Whether no more programs are to be handed out."""
        seconds = self.options.seconds
        if seconds is not None and self.elapsed >= seconds:
            return True
        return self.options.cases is not None and self.next_batch * BATCH >= self.options.cases

    def _finish_reductions(self) -> None:
        """Reductions that are left: all of them if the campaign is bounded by cases, else for a quarter of its time."""
        seconds = self.options.seconds
        until = self.elapsed + max(10.0, seconds / 4) if seconds is not None else None
        if self.reductions and not self.interrupts:
            self.progress.said(f"reducing {len(self.reductions)} more findings")
        while not self.interrupts and (self.reductions or self.pool.busy):
            late = until is not None and self.elapsed > until
            if late and not self.pool.busy:
                return
            self._step(self._nothing if late else self._feed_reduction)

    def _step(self, feed: Callable[[bool], Task | None]) -> None:
        for event in self.pool.step(feed, TICK):
            if isinstance(event, Death):
                self._died(event)
            else:
                self._answered(event)
        if self.elapsed - self._shown > TICK:
            self._shown = self.elapsed
            self._take_stock()
            self.progress.update(self.report)

    @staticmethod
    def _nothing(_idle: bool) -> Task | None:
        return None

    def _feed(self, idle: bool) -> Task | None:
        """The next task: a reduction if there is one and they have not had their share, else the next batch."""
        if self.reductions and self._reductions_may():
            return self._feed_reduction(idle)
        if self._is_over():
            return None
        number = self.next_batch
        self.next_batch += 1
        return Task("batch", number) if len(batch_cases(self.options, number)) else None

    def _reductions_may(self) -> bool:
        spent = self.report.tally.seconds.get("reduce", 0.0) + self.options.reduce_seconds * 0.5 * len(self.reducing)
        return spent <= 2.0 + REDUCE_SHARE * self.elapsed * self.options.jobs

    def _feed_reduction(self, idle: bool) -> Task | None:
        while idle and self.reductions:
            key = self._most_promising()
            if key in self.findings:
                self.next_ident += 1
                self.reducing[self.next_ident] = key
                return Task("reduce", finding=self.findings[key], ident=self.next_ident)
        return None

    def _most_promising(self) -> str:
        """Takes from the queue the first finding that looks like none that is known, or else the first."""
        for position, key in enumerate(self.reductions):
            if key in self.findings and self._twin(self.findings[key]) is None:
                del self.reductions[position]
                return key
        return self.reductions.popleft()

    def _answered(self, answer: Answer) -> None:
        assert answer.task is not None
        self.report.tally.add(answer.tally)
        self.report.troubles += answer.troubles
        if answer.task.kind == "reduce":
            self._reduced(answer.task.ident, answer.findings)
            return
        for finding in answer.findings:
            self._new(dataclasses.replace(finding, seconds=self.elapsed))

    def _new(self, finding: Finding) -> None:
        """A confirmed, unreduced finding: fold it, or write it and queue its reduction."""
        key = fold_key(finding) if finding.failure is not None else finding.key
        twin = self.findings.get(key) or self._likeness(finding)
        if twin is not None:
            self._fold(twin)
            return
        finding = dataclasses.replace(finding, key=key)
        self._keep(finding)
        self.reductions.append(key)

    def _likeness(self, finding: Finding) -> Finding | None:
        """A reduced finding that this one looks like, when reductions have used up their share: class and ISA are the
        same and all its opcodes occur here. Until then everything is reduced, so that nothing new hides behind what is
        known."""
        if self._reductions_may() and len(self.reductions) < 4 * self.options.jobs:
            return None
        return self._twin(finding)

    def _twin(self, finding: Finding) -> Finding | None:
        """A reduced finding of the same kind all of whose opcodes occur in this one."""
        if finding.failure is not None:
            return None
        mine = opcodes(finding.case)
        for known in self.findings.values():
            if (known.reduced and known.klass == finding.klass and known.failure is None
                    and known.target.isa == finding.target.isa and opcodes(known.case) <= mine):
                return known
        return None

    def _fold(self, known: Finding) -> None:
        more = dataclasses.replace(known, count=known.count + 1)
        self.findings[known.key] = more
        if more.count & (more.count - 1) == 0:
            self.store.save(known.key, more)

    def _save_counts(self) -> None:
        """Writes the counts that grew since their findings were written."""
        for key, finding in self.findings.items():
            if finding.count & (finding.count - 1):
                self.store.save(key, finding)

    def _keep(self, finding: Finding, old_key: str | None = None) -> None:
        self.findings[finding.key] = finding
        place = self.store.save(finding.key, finding, old_key)
        self.progress.found(finding, str(place) if place else self.store.trouble)

    def _reduced(self, ident: int, findings: list[Finding]) -> None:
        """A reduction is done: its result takes the place of the finding, or is folded into an equal one."""
        old_key = self.reducing.pop(ident)
        old = self.findings.get(old_key)
        if old is None or not findings:
            return
        first, *rest = findings
        for other in rest:
            self._new(dataclasses.replace(other, seconds=old.seconds))
        if not first.reduced:
            return
        known = self.findings.get(first.key) if first.key != old_key else None
        del self.findings[old_key]
        if known is not None:
            self.store.forget(old_key)
            self._fold(dataclasses.replace(known, count=known.count + old.count - 1))
        else:
            self._keep(dataclasses.replace(first, count=old.count, seconds=old.seconds), old_key)

    def _died(self, death: Death) -> None:
        """A worker died. What it alone is guilty of is counted as undecided under its name."""
        task = death.task
        if task is None or not death.lost:
            self.report.deaths += 1
            return
        self.report.deaths += 1
        if task.kind == "reduce":
            self.reducing.pop(task.ident, None)
            self.report.troubles.append((f"reduction {task.ident}", f"worker died: {death.why}"))
            return
        tally = Tally(programs=1)
        for isa in self.options.isas:
            tally.undecided[isa, f"worker died: {death.why}"] += len(self.options.opt_levels)
        self.report.tally.add(tally)
        self.report.troubles.append(
            (f"seed {self.options.seed} case {task.case}", f"worker died twice on it: {death.why}")
        )

    def _take_stock(self) -> None:
        """Brings the report up to date."""
        self.report.seconds = self.elapsed
        self.report.findings = sorted(self.findings.values(), key=lambda finding: finding.seconds)
        self.report.reductions_left = len(self.reductions) + len(self.reducing)
        self.report.interrupted = bool(self.interrupts)
