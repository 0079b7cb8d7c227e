"""A batch of cases judged on many targets: compile, link, run, interpret, compare.

The one idea: Python objects are built only for what disagrees. One request compiles all functions for all targets, one
start of a runner runs all programs of an ISA, machine code that two levels share runs once, the reference runs once per
byte order that matters, and a job that leaves the bytes that were expected (`runners.base.ExpectedRows`) has the
outcomes that were expected; only others are read, and if they are unequal meet `compare`.

`Judge.judge` gives `Mismatch`s (something disagrees, not yet confirmed) and fills a `Tally`. Confirming a mismatch,
with the votes of other runners and ISAs, is `confirm.py`'s work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from math import inf
from typing import NamedTuple, cast

from liftcheck.case import Case, CompileFailure, FunctionCode, Outcome, Target
from liftcheck.clif.ir import Signature
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.base import Compiler, Program, Reply, innermost
from liftcheck.errors import Unsupported
from liftcheck.isa import BIG_ENDIAN
from liftcheck.oracles import compare
from liftcheck.oracles.base import CLASS_OF_FAILURE, ILLEGAL, Code, Compiled, Mismatch, Oracle, Runners
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.reference import NOTHING, Expected, depends_on_byte_order, interpret_orders, reference_steps
from liftcheck.oracles.refusals import Refusals
from liftcheck.oracles.rounds import run_rounds
from liftcheck.oracles.rule_counts import RULES, count_rules
from liftcheck.oracles.tally import Tally
from liftcheck.oracles.trampolines import Trampolines, shared_target
from liftcheck.runners import beyond
from liftcheck.runners.base import ExpectedRows, Job, Runner, expect_rows
from liftcheck.runners.link import Image, link, same_program
from liftcheck.runners.patience import LONGEST, in_haste, longer

_NO_HOOKS = Hooks()


class Prepared(NamedTuple):
    """A case in print; by byte order the reference's outcomes, and the rows of all jobs if it can be judged by them."""

    text: str
    expected: dict[bool, Expected]
    rows: dict[bool, ExpectedRows]


class _Unit(NamedTuple):
    """A program that runs once: its case, its code with the trampoline, the targets that it stands for."""

    case: int
    code: Program
    trampoline: FunctionCode
    targets: list[Target]


class _Column(NamedTuple):
    """What the compiler made for one target, by case, and the target's trampolines; `may_lack`: whether code can be for
    another machine (`beyond.may_lack`)."""

    target: Target
    replies: list[Program | CompileFailure | None]
    trampolines: Mapping[Signature, Reply]
    big_endian: bool
    may_lack: bool


class _RunnerBatch(NamedTuple):
    """The programs of one ISA that one runner runs."""

    runner: Runner
    units: list[_Unit]


class _Batch(NamedTuple):
    """A batch that is being judged: what is asked, what the reference says, and what comes of it: counts, mismatches,
    the (case, ISA) pairs that ran."""

    cases: Sequence[Case]
    targets: Sequence[Target]
    prepared: Sequence[Prepared]
    tally: Tally
    mismatches: list[Mismatch]
    ran: set[tuple[int, str]]


def _signature(case: Case) -> Signature:
    return case.module.functions[case.entry].signature


def is_for(case: Case, target: Target) -> bool:
    """Whether a case is meant for a target's ISA (tag 'isas'; without it, for all)."""
    isas = case.tags.get("isas")
    return not isinstance(isas, tuple) or target.isa in isas


def _by_targets(cases: Sequence[Case], targets: Sequence[Target]) -> dict[tuple[int, ...], list[int]]:
    """Case numbers by the indexes of the targets that they are for."""
    groups: dict[tuple[int, ...], list[int]] = {}
    known: dict[object, tuple[int, ...]] = {}
    for number, case in enumerate(cases):
        isas = case.tags.get("isas")
        chosen = known.get(isas)
        if chosen is None:
            chosen = known[isas] = tuple(i for i, target in enumerate(targets) if is_for(case, target))
        if chosen:
            groups.setdefault(chosen, []).append(number)
    return groups


def _whole(replies: Sequence[Reply]) -> Program | CompileFailure:
    """A program's code if all its functions were compiled, else the first failure: a finding before a refusal."""
    failures = [reply for reply in replies if isinstance(reply, CompileFailure)]
    if failures:
        return next((failure for failure in failures if failure.is_finding), failures[0])
    return [reply for reply in replies if isinstance(reply, FunctionCode)]


class Judge:
    """Judges batches with one compiler and its runners. Not shared between threads or processes. After its `deadline`,
    by the monotonic clock, no program is run any more: those that are left are undecided."""

    def __init__(
        self,
        compiler: Compiler,
        runners: Runners,
        hooks: Hooks = _NO_HOOKS,
        longest: float = LONGEST,
        oracles: Sequence[Oracle] = (),
    ) -> None:
        self.compiler = compiler
        self.longest = longest
        self.deadline = inf
        self.is_hasty = False
        self.runners = runners
        self.hooks = hooks
        self.trampolines = Trampolines(compiler.compile_text, shared_target)
        self.oracles = oracles
        self.refusals = Refusals(innermost(compiler).compile_text)

    def on(self, runners: Runners) -> Judge:
        """The same judge with other runners; what is known of trampolines and refusals is common to both."""
        return self._like(runners, self.oracles)

    def asking(self, oracles: Sequence[Oracle]) -> Judge:
        """The same judge, which asks these oracles in addition to its own."""
        more = [oracle for oracle in oracles if oracle not in self.oracles]
        return self._like(self.runners, (*self.oracles, *more)) if more else self

    def running(self) -> Judge:
        """The same judge without oracles whose findings are those of runs."""
        kept = [oracle for oracle in self.oracles if not all(row.needs_run for row in oracle.classes)]
        return self._like(self.runners, kept) if len(kept) < len(self.oracles) else self

    def in_haste(self) -> Judge:
        """The same judge, which takes for endless what has not ended soon (`runners.patience`): for questions whose
        answers are asked for again in earnest."""
        other = self._like(self.runners, self.oracles)
        other.is_hasty = True
        return other

    def _like(self, runners: Runners, oracles: Sequence[Oracle]) -> Judge:
        other = Judge(self.compiler, runners, self.hooks, self.longest, oracles)
        other.deadline, other.is_hasty = self.deadline, self.is_hasty
        other.trampolines, other.refusals = self.trampolines, self.refusals
        return other

    def judge(
        self,
        cases: Sequence[Case],
        targets: Sequence[Target],
        tally: Tally,
        wants: frozenset[str] = frozenset(),
        prepared: Sequence[Prepared] | None = None,
    ) -> list[Mismatch]:
        """Judges every case on every target; counts into `tally`; gives what disagrees. `prepared`: what `prepare` gave
        for each case with these targets."""
        if prepared is None:
            prepared = [self.prepare(case, targets, tally) for case in cases]
        texts = [one.text for one in prepared]
        for oracle in self.oracles:
            oracle.begin(self.compiler)
            wants |= oracle.wants
        compiled = self.compile(cases, targets, tally, wants, texts)
        batch = _Batch(cases, targets, prepared, tally, [], set())
        if self.oracles:
            self._ask_oracles(batch, texts, compiled, wants)
        self._settle(batch, compiled)
        self._count(batch)
        if wants >= RULES:
            count_rules(batch.cases, batch.targets, compiled, batch.ran, tally)
        return batch.mismatches

    def _ask_oracles(
        self,
        batch: _Batch,
        texts: Sequence[str],
        compiled: list[list[Program | CompileFailure | None]],
        wants: frozenset[str],
    ) -> None:
        """Code that an oracle refutes is mismatch, whatever its runs do."""
        started = time.perf_counter()

        def again(texts: Sequence[str], backwards: bool = False) -> Code:
            step = -1 if backwards else 1
            columns = self.compile(batch.cases[::step], batch.targets, Tally(), wants, texts[::step])
            return [column[::step] for column in columns]

        seen = Compiled(self.compiler, batch.cases, texts, batch.targets, compiled, batch.tally, again)
        for oracle in self.oracles:
            batch.mismatches.extend(oracle.judge(seen))
        batch.tally.spend("validate", time.perf_counter() - started)

    def prepare(self, case: Case, targets: Sequence[Target], tally: Tally) -> Prepared:
        """A case's text and the reference's outcomes: all that needs the case alone. Best done right after the case was
        made, while the processor's cache holds it: later it takes half as long again."""
        started = time.perf_counter()
        text = print_module(case.module)
        printed = time.perf_counter()
        expected = self._expect(case, targets)
        known = time.perf_counter()
        rows = {order: expect_rows(case, one.outcomes, order) for order, one in expected.items() if not one.trouble}
        tally.spend("generate", printed - started)
        tally.spend("interpret", known - printed)
        tally.spend("run", time.perf_counter() - known)
        return Prepared(text, expected, rows)

    def compile(
        self,
        cases: Sequence[Case],
        targets: Sequence[Target],
        tally: Tally,
        wants: frozenset[str] = frozenset(),
        texts: Sequence[str] | None = None,
    ) -> list[list[Program | CompileFailure | None]]:
        """What the compiler makes of every case (inner) for every target (outer): code, the first failure, or None
        where the case is not for that ISA. `texts`: the cases in print."""
        self.trampolines.limit()
        texts = texts or [print_module(case.module) for case in cases]
        made: list[list[Program | CompileFailure | None]] = [[None] * len(cases) for _ in targets]
        for chosen, numbers in _by_targets(cases, targets).items():
            self._compile_group(cases, texts, numbers, targets, chosen, made, tally, wants)
        return made

    def _compile_group(
        self,
        cases: Sequence[Case],
        texts: Sequence[str],
        numbers: list[int],
        targets: Sequence[Target],
        chosen: tuple[int, ...],
        made: list[list[Program | CompileFailure | None]],
        tally: Tally,
        wants: frozenset[str],
    ) -> None:
        """One request: the cases `numbers` for the targets `chosen`."""
        started = time.perf_counter()
        text = "\n".join([texts[number] for number in numbers])
        asked = [targets[index] for index in chosen]
        replies = self.compiler.compile_text(text, asked, wants)
        self.trampolines.need([_signature(cases[number]) for number in numbers], asked)
        tally.spend("compile", time.perf_counter() - started)
        fault = self.hooks.code
        counts = [len(cases[number].module.functions) for number in numbers]
        for index, reply in zip(chosen, replies, strict=True):
            if fault is not None:
                reply = [fault(r, targets[index]) if isinstance(r, FunctionCode) else r for r in reply]
            start, row = 0, made[index]
            failed = any(isinstance(made, CompileFailure) for made in reply)
            for number, count in zip(numbers, counts):
                part = reply[start : start + count]
                row[number] = _whole(part) if failed else cast(Program, part)
                start += count

    def trampoline(self, case: Case, target: Target) -> Reply:
        """The trampoline of a case's entry, after `compile`."""
        return self.trampolines.of(_signature(case), target)

    def _expect(self, case: Case, targets: Sequence[Target]) -> dict[bool, Expected]:
        """The reference's outcomes by byte order, for the byte orders of `targets`."""
        orders = sorted({target.big_endian for target in targets if is_for(case, target)})
        if len(orders) > 1 and not depends_on_byte_order(case.module):
            same = self._reference(case, [False])[False]
            return {False: same, True: same}
        return self._reference(case, orders)

    def _reference(self, case: Case, orders: Sequence[bool]) -> dict[bool, Expected]:
        found = interpret_orders(case, orders)
        if self.hooks.expected is not None:
            found = {
                order: one._replace(outcomes=self.hooks.expected(case, one.outcomes)) for order, one in found.items()
            }
        return found

    def _settle(self, batch: _Batch, compiled: list[list[Program | CompileFailure | None]]) -> None:
        """Sorts out what was not compiled or cannot be judged, runs the rest, compares."""
        by_isa: dict[str, list[_Column]] = {}
        for target, replies in zip(batch.targets, compiled):
            column = _Column(
                target, replies, self.trampolines.made_for(target), target.big_endian, beyond.may_lack(target)
            )
            by_isa.setdefault(target.isa, []).append(column)
        for columns in by_isa.values():
            parts: dict[int, _RunnerBatch] = {}
            for number in range(len(batch.cases)):
                self._place(batch, number, columns, parts)
            for part in parts.values():
                self._run_share(batch, part)

    def _place(self, batch: _Batch, number: int, columns: list[_Column], parts: dict[int, _RunnerBatch]) -> None:
        """Puts a case's code into the share of the runner that runs it; equal code of two levels is one program."""
        tally, case = batch.tally, batch.cases[number]
        signature = _signature(case)
        placed: list[_Unit] = []
        for target, replies, trampolines, big_endian, may_lack in columns:
            code = replies[number]
            if code is None:
                continue
            made = trampolines[signature]
            if isinstance(made, CompileFailure):
                if not isinstance(code, CompileFailure):
                    code = CompileFailure("unsupported", f"signature: {made.reason}", made.message, made.place)
                self._refuse(batch, number, target, code)
                continue
            if isinstance(code, CompileFailure):
                self._refuse(batch, number, target, self.refusals.judged(case.module, target, code))
                continue
            illegal = beyond.judged(case.module.functions, target, code) if may_lack else None
            if illegal is not None:
                self._refuse(batch, number, target, illegal)
                if illegal.kind != beyond.ILLEGAL:
                    continue  # else a runner may have what the target lacks, and something else may be wrong
            trouble = batch.prepared[number].expected[big_endian].trouble
            if trouble:
                tally.undecided[target.isa, trouble] += 1
                continue
            runner = self.runners.pick(beyond.machine_for(target, illegal), code)
            if isinstance(runner, str):
                tally.undecided[target.isa, runner] += 1
                continue
            for twin in placed:
                if same_program(twin.code, code):
                    twin.targets.append(target)
                    break
            else:
                unit = _Unit(number, code, made, [target])
                placed.append(unit)
                parts.setdefault(id(runner), _RunnerBatch(runner, [])).units.append(unit)

    def _refuse(self, batch: _Batch, number: int, target: Target, failure: CompileFailure) -> None:
        """Not compiled: a gap of the compiler is counted, anything else is mismatch."""
        klass = CLASS_OF_FAILURE.get(failure.kind)
        if klass is None:
            batch.tally.refused[target.isa, f"{failure.kind}: {failure.reason}"] += 1
            return
        verdict = compare.Verdict(compare.DISAGREE, klass, failure.message or failure.reason)
        batch.mismatches.append(Mismatch(number, target, verdict, failure=failure))

    def _run_share(self, batch: _Batch, part: _RunnerBatch) -> None:
        """Links and runs one runner's programs, and compares them."""
        started = time.perf_counter()
        outcomes, ready = self._run(batch, part)
        done = time.perf_counter()
        tally, isa = batch.tally, part.runner.isa
        tally.spend("link", ready - started)
        tally.spend("run", done - ready)
        agreed, big_endian = 0, isa in BIG_ENDIAN
        for unit, actual in zip(part.units, outcomes):
            if isinstance(actual, str):
                tally.undecided[isa, actual] += len(unit.targets)
                continue
            batch.ran.add((unit.case, isa))
            expected = batch.prepared[unit.case].expected[big_endian].outcomes
            if expected == actual:
                agreed += len(unit.targets)
            else:
                self._differ(batch, unit, expected, actual, part.runner)
        if agreed:
            tally.pairs[isa] += agreed
            tally.agreed[isa] += agreed
        tally.spend("compare", time.perf_counter() - done)

    def _run(self, batch: _Batch, part: _RunnerBatch) -> tuple[list[list[Outcome] | str], float]:
        """Outcomes per program (or why it could not be run), and when linking was done.

        Two levels of one case have the same data regions, so they run one after the other, in rounds.
        """
        runner, units = part.runner, part.units
        try:
            image = link([unit.code for unit in units], runner.isa)
        except Unsupported as error:
            if len(units) == 1:
                return [f"linker: {error.reason}"], time.perf_counter()
            return self._run_singly(batch, part)
        rounds: list[list[int]] = []
        jobs = []
        met: dict[int, int] = {}
        for position, unit in enumerate(units):
            jobs.append(self._job(batch, unit, image, position))
            set_byte_order = met[unit.case] = met.get(unit.case, -1) + 1
            if set_byte_order == len(rounds):
                rounds.append([])
            rounds[set_byte_order].append(position)
        ready = time.perf_counter()
        if self.is_hasty and [*map(len, (job.inputs for job in jobs))] == [1] * len(jobs):
            return [self._in_haste(batch, unit, runner, image, job) for unit, job in zip(units, jobs)], ready

        def again(position: int, short: list[Outcome]) -> list[Outcome]:
            unit = units[position]
            steps = partial(reference_steps, batch.cases[unit.case], image.isa in BIG_ENDIAN)
            return longer(runner, image, jobs[position], short, unit.code, steps, self.longest, self.deadline)

        return run_rounds(runner, image, jobs, rounds, again, self.deadline), ready

    def _in_haste(self, batch: _Batch, unit: _Unit, runner: Runner, image: Image, job: Job) -> list[Outcome]:
        """What came of a job of one input that gets little time."""
        steps = sum(batch.prepared[unit.case].expected[image.isa in BIG_ENDIAN].executed.values())
        return in_haste(runner, image, job, unit.code, steps, self.deadline)

    def _job(self, batch: _Batch, unit: _Unit, image: Image, position: int) -> Job:
        case = batch.cases[unit.case]
        entry = case.module.functions[case.entry]
        return Job(
            unit.trampoline,
            image.entry(position, entry.name),
            entry.signature,
            case.inputs,
            case.memories,
            case.slot,
            batch.prepared[unit.case].rows[image.isa in BIG_ENDIAN],
        )

    def _run_singly(self, batch: _Batch, part: _RunnerBatch) -> tuple[list[list[Outcome] | str], float]:
        outcomes: list[list[Outcome] | str] = []
        for unit in part.units:
            alone, _ = self._run(batch, _RunnerBatch(part.runner, [unit]))
            outcomes += alone
        return outcomes, time.perf_counter()

    def _differ(
        self, batch: _Batch, unit: _Unit, expected: list[Outcome], actual: list[Outcome], runner: Runner
    ) -> None:
        """Outcomes are not equal: asks `compare` what that means."""
        isa, tally, many = runner.isa, batch.tally, len(unit.targets)
        run, verdict = compare.compare_runs(expected, actual, compare.return_types(batch.cases[unit.case]))
        if verdict.kind == compare.UNDECIDED:
            tally.undecided[isa, verdict.detail] += many
            if actual[run].kind == "unsupported":
                self._look_beyond(batch, unit)
            return
        tally.pairs[isa] += many
        if verdict.kind == compare.AGREE:
            tally.agreed[isa] += many
            return
        for target in unit.targets:
            tally.disagreed[isa, verdict.klass] += 1
            batch.mismatches.append(
                Mismatch(unit.case, target, verdict, run, expected[run], actual[run], runner=runner.name)
            )

    def _look_beyond(self, batch: _Batch, unit: _Unit) -> None:
        """A runner stopped at an instruction that it lacks: the targets may lack it, too."""
        if any(ILLEGAL in oracle.classes for oracle in self.oracles):
            return  # it has told so
        for target in unit.targets:
            failure = beyond.other_extensions(target, unit.code)
            if failure is not None:
                self._refuse(batch, unit.case, target, failure)

    def _count(self, batch: _Batch) -> None:
        """What the programs did, as the reference saw it; `executed` only for those that ran on the ISA."""
        started = time.perf_counter()
        tally, cases = batch.tally, batch.cases
        tally.programs += len(cases)
        for isa in dict.fromkeys(target.isa for target in batch.targets):
            tally.executed.setdefault(isa, Counter())
        seen = [next(iter(one.expected.values()), NOTHING) for one in batch.prepared]
        ran_on: dict[int, list[str]] = {}
        for number, isa in sorted(batch.ran):
            tally.programs_by_isa[isa] += 1
            ran_on.setdefault(number, []).append(isa)
        # Most programs ran on the same ISAs: their counts are summed once and not for every ISA.
        sums: dict[tuple[str, ...], Counter[str]] = {}
        for number, isas in ran_on.items():
            sums.setdefault(tuple(isas), Counter()).update(seen[number].executed)
        for ran_isas, counts in sums.items():
            for isa in ran_isas:
                tally.executed[isa].update(counts)
        behaviour = tally.behaviour
        for case, one in zip(cases, seen):
            behaviour["runs"] += len(one.outcomes)
            behaviour["looped"] += one.looped
            behaviour["called"] += one.called
            behaviour["trapped"] += sum([outcome.kind == "trapped" for outcome in one.outcomes])
            behaviour["compared"] += bool(case.module.functions[case.entry].signature.returns or case.memories)
        tally.spend("compare", time.perf_counter() - started)
