"""A campaign: batches out to workers, findings in, until the time or the cases are up.

The one idea: verdicts are the workers' and depend on the case alone; this process only counts, and keeps findings on
disk (`campaign/findings/docket.py`). A finding is written the moment its vote is in, unreduced; its reduction, done in
slices beside the programs (`campaign/execute/slices.py`), replaces it later. So nothing that happens afterwards can
lose it.

Ctrl-C or SIGTERM once: no new work, what is under way is stopped, the report is made. Twice, or before the workers
start: at once. A campaign that is bounded by time ends at most `GRACE` seconds after it (`PROOFS` where a list of known
findings waits for their proofs): what is under way then is given up, and said. What happens is kept in the folder as it
happens (`campaign/keep`), so that any end is a pause.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf
from types import FrameType
from typing import Final, Protocol

from liftcheck.campaign.execute.base import Death, Executor
from liftcheck.campaign.execute.local import Pool
from liftcheck.campaign.execute.slices import EARLY, LATER, LEARNING, MANY, SHARE, WINDOW, Slices
from liftcheck.campaign.execute.tasks import Answer, Task
from liftcheck.campaign.execute.work import FuzzWork
from liftcheck.campaign.findings.docket import Docket, Entry
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.known import Known
from liftcheck.campaign.keep.disk import Watch
from liftcheck.campaign.keep.keeper import Keeper
from liftcheck.campaign.keep.kept import Kept
from liftcheck.campaign.keep.shelf import Shelf
from liftcheck.campaign.options import BATCH, Avoided, FuzzOptions, batch_cases, made_by
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.report import rule_coverage
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.campaign.steering import Steering
from liftcheck.generators.profiles import EXHAUSTIVE
from liftcheck.isle.sources import Rule
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally

TICK: Final = 0.2
RUNS: Final = 2.0
RESPITE: Final = 3.5
GRACE: Final = 7.0
PROOFS: Final = 30.0
START: Final = 60.0
FIRST: Final = 10.0
SILENCE: Final = 120.0
"""Seconds after a campaign's time: until no program is run, except for votes; until searches for smaller programs stop;
until nothing is waited for, filetests neither; until not for these where they tell findings that are known from new
ones; until no worker's start is. Seconds after that: until no first verdict is. Seconds without an answer after which a
worker counts as hung.
"""

__all__ = ["FuzzOptions", "FuzzReport", "Progress", "fuzz"]


class Progress(Protocol):
    """Hears how a campaign goes."""

    def started(self, compiler: str) -> None: ...

    def update(self, report: FuzzReport) -> None: ...

    def found(self, finding: Finding, place: str) -> None: ...

    def message(self, message: str) -> None: ...


class Silent:
    """A `Progress` that says nothing."""

    def started(self, compiler: str) -> None: ...

    def update(self, report: FuzzReport) -> None: ...

    def found(self, finding: Finding, place: str) -> None: ...

    def message(self, message: str) -> None: ...


def processes(work: FuzzWork) -> Executor[Task, Answer]:
    """Worker processes of this machine, also for one job: the compiler or a runner may take its worker down."""
    return Pool(work, work.options.jobs, SILENCE)


def fuzz(
    options: FuzzOptions,
    progress: Progress | None = None,
    hooks: Callable[[], Hooks] | None = None,
    executor: Callable[[FuzzWork], Executor[Task, Answer]] = processes,
    is_resumed: bool = False,
    known: Known = (),
) -> FuzzReport:
    """Runs a campaign, or goes on with the one in `options.out`, and gives its report, in which findings with `known`
    causes are told from new ones. Unavailable if the machine lacks
    something; OSError if --out cannot be made."""
    campaign = Campaign(options, progress or Silent(), executor(FuzzWork(options, hooks)))
    campaign.report.known = known
    with campaign.interruptible():
        campaign.run(is_resumed)
    return campaign.report


class Campaign:
    """The state of one campaign in the parent process."""

    def __init__(self, options: FuzzOptions, progress: Progress, executor: Executor[Task, Answer]) -> None:
        self.options = options
        self.progress = progress
        shelf = Shelf(options.out)
        self.report = FuzzReport(options, shelf)
        self.keeper = Keeper(options, shelf)
        self.watch = Watch(options.out)
        self.executor = executor
        self.slices = Slices(options.jobs, inf)
        self.docket = Docket(self.report.store, options.cases is not None, progress.found, self.slices.dropped)
        self.next_batch = 0
        self.again: deque[int] = deque()
        self.unanswered: dict[int, int] = {}
        self.steering = Steering()
        self._steered: set[tuple[str, str]] = set()
        self.interrupts = 0
        self.is_working = False
        self.started = time.monotonic()
        self._shown = 0.0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C or SIGTERM asks the loop to end; a second one, or one before there is a loop, raises
        KeyboardInterrupt, which ends the workers at once."""

        def interrupted(_number: int, _frame: FrameType | None) -> None:
            self.interrupts += 1
            if self.interrupts > 1 or not self.is_working:
                raise KeyboardInterrupt

        old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with contextlib.suppress(ValueError):  # not in the main thread: then signals are not ours to handle
            for number in old:
                signal.signal(number, interrupted)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError, TypeError):
                for number, handler in old.items():
                    signal.signal(number, handler)

    def run(self, is_resumed: bool = False) -> None:
        """The whole campaign."""
        self.report.store.check()
        try:
            self.keeper.open(is_resumed)
            self._run()
        finally:
            self.keeper.close()
        self.progress.update(self.report)

    def _run(self) -> None:
        planner = Planner(self.options)
        self.report.compiler = planner.prepare(self.progress.message)
        if self.options.seeds is not None and (stock := planner.stock()) is not None:
            self.report.stock = stock
            self.progress.message(stock.says())
        if EXHAUSTIVE in self.options.profiles:
            self.report.extent = planner.extent
        self.progress.started(self.report.compiler)
        self.keeper.begin(self.report.compiler, f"liftcheck {made_by()}, compiler {planner.build}", self.docket)
        if planner.traces_rules and planner.rules is not None:
            self._trace(planner, planner.rules.rules)
        self.started = time.monotonic()
        if self.keeper.held is not None:
            self._go_on(self.keeper.held)
        if self.keeper.before:
            self.progress.message(f"{self.options.out} has an earlier campaign, which is left alone: this is a new one")
        self.watch.begin(self.progress.message)
        if self.options.seconds is not None:
            self.slices.until = self.started + self.options.seconds + RESPITE
        self.is_working = True
        try:
            if self._is_complete():
                self.progress.message("this campaign is complete; --time or --cases makes it longer")
                return
            self.executor.start()
            self._work()
        finally:
            self.executor.close(0.2 if self.interrupts else 1.0)
            self.docket.close()
            self.keeper.flush(self.docket.known, self.elapsed, is_last=True)
            self._take_stock()
            if self.report.kept is not None:
                self.report.kept.save(self.report.tally)

    def _trace(self, planner: Planner, rules: Sequence[Rule]) -> None:
        """The compiler tells of its rules."""
        self.steering = Steering(rules)
        version = planner.open_compiler().version
        before = self.keeper.coverage
        earlier = None if before is None else rule_coverage.read(before, str(self.options.out)) if before else []
        self.report.kept = rule_coverage.Kept(
            self.options.out, self.report.compiler, version, self.options.seed, rules, earlier
        )

    def _go_on(self, held: Kept) -> None:
        """The state in which a campaign was stopped."""
        self.started -= held.seconds
        self.report.tally = held.tally()
        self.report.troubles, self.report.deaths = held.troubles(), held.deaths
        for stretch in held.stretches:
            self.steering.answered(stretch.first, stretch.tally)
        self.again.extend(held.missing)
        self.next_batch = max(held.done, default=-1) + 1
        self.progress.message(
            f"going on after {self.report.tally.programs:,} programs, {held.seconds:.0f} s, "
            f"{len(self.docket.known)} findings"
        )
        if self.keeper.changed:
            self.progress.message(f"{self.keeper.changed}: from here on programs and code may be others than before")

    def _is_complete(self) -> bool:
        """Whether a campaign that was stopped had nothing left to do."""
        if self.keeper.held is None or not self._is_over():
            return False
        if self.options.seconds is not None and self.elapsed >= self.options.seconds:
            return True
        self.docket.finish()
        return not self.docket.waiting

    def _work(self) -> None:
        """Programs with slices of reductions between them, then the reductions that are left."""
        told = False
        while not (self.interrupts or self.report.stopped or self._is_late()):
            over = self._is_over()
            if over and not self.unanswered:
                self.docket.finish()
                if not self.docket.waiting and not self.executor.busy:
                    return
                if not told and self.docket.waiting:
                    self.progress.message(f"reducing {len(self.docket.waiting)} more findings")
                told = True
            self._step()

    def _is_over(self) -> bool:
        """Whether no more programs are to be handed out."""
        seconds = self.options.seconds
        if seconds is not None and self.elapsed >= seconds:
            return True
        return self.options.cases is not None and not self.again and self.next_batch * BATCH >= self.options.cases

    def _is_late(self) -> bool:
        """Whether the campaign must end, whatever is under way; for workers to start and a first verdict it waits a
        little longer."""
        seconds = self.options.seconds
        if seconds is None or self.elapsed < seconds + RESPITE:
            return False
        if (
            not self.report.tally.programs
            and self.elapsed < seconds + START
            and time.monotonic() < self.executor.ready_at + FIRST
        ):
            return False
        proofs = self.docket.untold() is not None or self.slices.states()
        if self.elapsed > seconds + GRACE:
            listed = any(entry.is_for(self.report.compiler) for entry in self.report.known)
            return self.elapsed > seconds + PROOFS or not (proofs and listed)
        return not (self.unanswered or self.slices.running or proofs)

    def _step(self) -> None:
        self.slices.jobs = self.executor.seats
        for event in self.executor.step(self._feed, TICK):
            if isinstance(event, Death):
                self._died(event)
            else:
                self._answered(event.task, event.answer)
        if self.elapsed - self._shown > TICK:
            self._shown = self.elapsed
            self.keeper.flush(self.docket.known, self.elapsed)
            self.report.stopped = self.watch.look()
            self._take_stock()
            self.progress.update(self.report)

    def _feed(self, seat: int, idle: bool) -> Task | None:
        """The next task for the worker at a seat: a slice of a reduction if there is one and they have not had their
        share, else the next batch."""
        wanted = not self._is_over()
        self.slices.share = share(self.elapsed, self.docket)
        if not wanted and idle and (entry := self.docket.untold()) is not None:
            return self.slices.statement(seat, entry)
        task, wait = self.slices.task(seat, idle, wanted, lambda: self._following(not wanted))
        if task is not None or wait or not wanted:
            return task
        number = self.again[0] if self.again else self.next_batch
        if not self.steering.is_ready(number, min((*self.unanswered, *self.again), default=number)):
            return None
        self._take(number)
        self.unanswered[number] = len(batch_cases(self.options, number))
        until, cold, avoided = self.slices.until - RESPITE + RUNS, self.steering.cold(number), self._avoided(number)
        return Task("batch", number, until=until, cold=cold, avoided=avoided, known=self.docket.familiar)

    def _avoided(self, number: int) -> Avoided:
        """What most programs of a batch do without; says so where that changes."""
        avoided = self.steering.avoided(number) if EXHAUSTIVE not in self.options.profiles else ()
        if new := [f"{key} on {isa}" for isa, key in avoided if (isa, key) not in self._steered]:
            self.progress.message(f"most programs steer around {', '.join(new)} from case {number * BATCH} on")
        self._steered |= {*avoided}
        return avoided

    def _take(self, number: int) -> None:
        """A batch is handed out: those that were under way when the campaign was stopped come first."""
        if self.again:
            self.again.popleft()
        else:
            self.next_batch = number + 1

    def _following(self, dear: bool) -> Entry | None:
        """What is to be reduced next, while there is time for it."""
        late = time.monotonic() > self.slices.until
        return None if late else self.docket.next(dear, self.slices.jobs)

    def _answered(self, task: Task, answer: Answer) -> None:
        self.report.tally.add(answer.tally)
        self.report.troubles += answer.troubles
        if task.kind in ("reduce", "state"):
            self._reduced(task, answer)
        elif task.kind in ("batch", "case"):
            findings = [dataclasses.replace(finding, seconds=self.elapsed) for finding in answer.findings]
            for finding in findings:
                self.docket.arrived(finding, finding.seconds)
            for key, count in answer.alike.items():
                self.docket.alike(key, count)
            self.steering.answered(task.number, answer.tally)
            self.docket.aim(self.steering.triggers)
            self.keeper.judged(task.number, findings, answer, self.docket)
            self._complete(task)
            if findings:
                self.keeper.flush(self.docket.known, self.elapsed)

    def _reduced(self, task: Task, answer: Answer) -> None:
        """A slice of a reduction, or a filetest, is back."""
        seconds = answer.tally.seconds.get("reduce", 0.0)
        self.keeper.reducing(seconds)
        entry = self.slices.answered(task.ident, seconds, answer.longest, answer.more)
        if entry is not None:
            self.keeper.worked("stated" if task.kind == "state" else "reduced", entry, answer.findings)
            (self.docket.stated if task.kind == "state" else self.docket.reduced)(entry, answer.findings)
            self.keeper.flush(self.docket.known, self.elapsed)

    def _complete(self, task: Task) -> None:
        """A batch, or one case of it, has its verdicts or never will."""
        left = self.unanswered[task.number] - 1 if task.kind == "case" else 0
        if left:
            self.unanswered[task.number] = left
            return
        del self.unanswered[task.number]
        self.keeper.completed(task.number)
        self.docket.complete(min((*self.unanswered, *self.again), default=self.next_batch) * BATCH)

    def _died(self, death: Death[Task]) -> None:
        """A worker died. What it alone is guilty of is counted as undecided under its name."""
        task = death.task
        self.report.deaths += 1
        self.keeper.died()
        entry = self.slices.died(death.seat, task.ident if task is not None and task.kind in ("reduce", "state") else 0)
        if entry is not None:
            self.keeper.worked("reduced", entry, [])
            self.docket.reduced(entry, [])
            self.report.troubles.append((entry.finding.case.name, f"its reduction: workers died of it: {death.why}"))
        if task is None or not death.lost:
            return
        tally = Tally(programs=1)
        for isa in self.options.isas:
            tally.undecided[isa, f"worker died: {death.why}"] += len(self.options.opt_levels)
        trouble = (f"seed {self.options.seed} case {task.case}", f"worker died twice on it: {death.why}")
        answer = Answer(tally, troubles=[trouble])
        self.report.tally.add(tally)
        self.report.troubles.append(trouble)
        self.keeper.judged(task.number, [], answer, self.docket)
        self._complete(task)

    def _take_stock(self) -> None:
        """Brings the report up to date."""
        self.report.seconds = self.elapsed
        self.report.unkept = self.keeper.trouble
        self.report.findings = sorted(self.docket.known.values(), key=lambda finding: finding.seconds)
        self.report.reductions_left = len(self.docket.waiting)
        self.report.given_up = sum(self.unanswered.values())
        self.report.interrupted = bool(self.interrupts)
        if self.report.kept is not None:
            self.report.kept.save(self.report.tally, seldom=True)


def share(elapsed: float, docket: Docket) -> float:
    """What share of the time slices of reductions get. By their order, a campaign that is bounded by cases has the same
    one always; else most is learned early, where much looks like nothing known, and later programs come first. In its
    first seconds a share of the window is more than that of the time so far, and is not raised."""
    if docket.strict or elapsed < WINDOW:
        return SHARE
    if elapsed >= EARLY:
        return LATER
    return LEARNING if docket.unexplained > MANY else SHARE
