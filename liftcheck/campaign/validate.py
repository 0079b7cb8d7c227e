"""Validation of register allocation over many programs: files, folders, and what the generator makes.

The one idea: whatever the programs come from, a unit is one text for some targets; the compiler shows the allocation of
every function on every target, `oracles.validation` says valid, invalid or undecided, and a report is a sum of units,
so units are spread over workers and added in their order. Instructions' texts cost time and are asked for only
where a counterexample shows them.

Files that name targets are compiled for these with exactly their settings, as upstream compiles them; others for the
ISAs, levels and settings asked for. Generated programs are those of `liftcheck fuzz` with the same seed and options,
settings included. Each allocator is asked in turn, whatever a file or a draw says of `regalloc_algorithm`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck.campaign.execute.base import Death, Done, Work, Worker, spread
from liftcheck.campaign.execute.local import local
from liftcheck.campaign.options import BATCH, FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.report.regalloc import Refuted, Report
from liftcheck.case import CompileFailure, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.filetest import FileTarget, FileTest
from liftcheck.clif.text.printer import print_function
from liftcheck.compilers.base import UnknownSetting
from liftcheck.compilers.choice import Wish, choose, each_target
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.registry import OWN
from liftcheck.compilers.spelling import spell
from liftcheck.errors import InputError, UsageError, own_fault
from liftcheck.isa import ISAS
from liftcheck.oracles.differential import is_for
from liftcheck.oracles.filetests.engine import files_below, well_formed
from liftcheck.oracles.regalloc.compiler import open_capturing
from liftcheck.oracles.regalloc.source import Source, source_of
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, UNDECIDED, Verdict
from liftcheck.regalloc.allocation import ALGORITHMS, Captured

ALGORITHM: Final = "regalloc_algorithm"
Task = str | tuple[int, int]
"""A file, or a batch and how many programs there are in all."""


@dataclass(frozen=True, slots=True)
class ValidateOptions:
    """What is validated. `isas` and `levels` are () if not asked for: then a file's own, or a default.

    z3_only  z3 decides every equality of values; `seed` and `profile` are the generator's
    """

    isas: tuple[str, ...] = ()
    compiler: str = OWN
    levels: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    algorithms: tuple[str, ...] = ALGORITHMS
    z3_only: bool = False
    jobs: int = 1
    seed: int = 0
    profile: str | None = None


class Unit(NamedTuple):
    """One text and what to compile it for. `name`: its file or case; `texts`: each function alone; `raw`: with exactly
    these settings."""

    name: str
    text: str
    functions: list[Function]
    texts: list[str]
    targets: list[Target]
    raw: bool


def validate_files(paths: Sequence[str], options: ValidateOptions) -> Report:
    """Every function of every file below the paths. InputError if there is none."""
    return _spread(files_below(paths), options)


def validate_generated(count: int, options: ValidateOptions) -> Report:
    """`count` programs of the generator."""
    planner = Planner(_fuzz_options(options, count))
    planner.context("plain")  # here, once, before the workers want it
    planner.open_compiler().close()
    return _spread([(batch, count) for batch in range((count + BATCH - 1) // BATCH)], options)


def _fuzz_options(options: ValidateOptions, count: int) -> FuzzOptions:
    return FuzzOptions(
        isas=options.isas or ISAS,
        compiler=options.compiler,
        opt_levels=options.levels or ("none", "speed"),
        settings=options.settings,
        cases=count,
        seed=options.seed,
        profiles=(options.profile,) if options.profile else (),
    )


def _spread(tasks: Sequence[Task], options: ValidateOptions) -> Report:
    """The sum over all tasks, in this process or in several."""
    started = time.monotonic()
    report = Report()
    with open_capturing(options.compiler) as compiler:
        report.compiler = compiler.name
        if options.settings:
            _check_settings(compiler, options)

    def take(event: Done[Task, Report] | Death[Task]) -> None:
        if isinstance(event, Done):
            report.add(event.answer)
        else:
            report.lost.append(f"{event.task}: no verdicts: its worker died twice: {event.why}")

    spread(local(ValidateWork(options), min(options.jobs, len(tasks))), tasks, take, _size)
    report.seconds = time.monotonic() - started
    return report


def _size(task: Task) -> int:
    """A file's; batches are alike."""
    return Path(task).stat().st_size if isinstance(task, str) else 0


def _check_settings(compiler: Cranelift, options: ValidateOptions) -> None:
    """Every `--set` must be known on one of the ISAs."""
    known = {name for isa in options.isas or ISAS for name in compiler.settings(isa)}
    for name, _ in options.settings:
        if name == ALGORITHM:
            raise UsageError(f"--set {ALGORITHM}: say --algorithm instead")
        if name not in known:
            raise UnknownSetting(f"{compiler.name} has no setting '{name}' on {', '.join(options.isas or ISAS)}", name)


@dataclass(frozen=True)
class ValidateWork(Work[Task, Report]):
    """Files and batches as tasks."""

    options: ValidateOptions

    def open(self) -> Worker[Task, Report]:
        return Judge(open_capturing(self.options.compiler), self.options)


@dataclass(slots=True)
class Judge:
    """Validates units with one compiler and counts what it finds; the worker of its work."""

    compiler: Cranelift
    options: ValidateOptions
    report: Report = field(default_factory=Report)
    planner: Planner | None = None

    def do(self, task: Task, /) -> Report:
        """A report of one file or one batch."""
        self.report = Report()
        if isinstance(task, str):
            self.file(task)
        else:
            self.batch(*task)
        return self.report

    def close(self) -> None:
        self.compiler.close()

    def file(self, path: str) -> None:
        """One file; what cannot be read is listed in the report."""
        try:
            test = well_formed(path)
        except InputError as error:
            self.report.broken += error.diagnostics
            self.report.unreadable += 1
            return
        self.report.texts += 1
        before = self.report.judged
        wish = Wish(self.options.isas, self.options.levels, self.options.settings)
        choice = choose(self.compiler, test, wish, only_filter=True)
        targets = self._each_algorithm(choice.targets)
        self.report.notes.update(choice.overrides)
        pairs = len(test.functions) * len(targets) + self._skip(choice.outside, len(test.functions))
        for refused in (function for function in test.functions if function.function is None):
            for target in targets:
                self.report.refuse(path, refused.name, refused.line, target, f"not read: {refused.refused}")
        fault = own_fault(lambda: self._functions(path, test, targets, choice.exact))
        self.report.settle(path, pairs, before, fault)

    def _functions(self, path: str, test: FileTest, targets: list[Target], exact: bool) -> None:
        functions = test.module().functions
        if functions:
            spelling = spell(self.compiler, test)
            texts = [spelling.only(place) for place in range(len(functions))]
            self.unit(Unit(path, spelling.text, functions, texts, targets, exact))

    def _skip(self, outside: Sequence[FileTarget], functions: int) -> int:
        """Counts a file's functions on other ISAs, unless --isa asks for ours alone; how many pairs these are."""
        if self.options.isas:
            return 0
        times = functions * len(self.options.algorithms) * max(1, len(self.options.levels))
        for target in outside:
            self.report.skipped[f"not an ISA of liftcheck's: {target.isa}"] += times
        return times * len(outside)

    def _each_algorithm(self, targets: Sequence[Target]) -> list[Target]:
        return list(
            dict.fromkeys(
                _with(target, ((ALGORITHM, algorithm),)) for algorithm in self.options.algorithms for target in targets
            )
        )

    def batch(self, number: int, count: int) -> None:
        """One batch of a campaign's programs."""
        if self.planner is None:
            self.planner = Planner(_fuzz_options(self.options, count))
        plan = self.planner.plan(number)
        for case in plan.generate(None, self.report.troubles):
            self.report.texts += 1
            targets = self._each_algorithm([target for target in plan.targets if is_for(case, target)])
            texts = [print_function(function) for function in case.module.functions]
            before = self.report.judged
            self.unit(Unit(case.name, "\n".join(texts), case.module.functions, texts, targets, False))
            self.report.settle(case.name, len(texts) * len(targets), before)

    def unit(self, unit: Unit) -> None:
        """Every function of a text on every target."""
        sources = [source_of(function) for function in unit.functions]
        ask = partial(self.compiler.allocations, unit.text, with_text=True, raw=unit.raw)
        for target, replies in each_target(ask, unit.targets, len(unit.functions)):
            for place, reply in enumerate(replies):
                function = unit.functions[place]
                if isinstance(reply, CompileFailure):
                    self._failed(unit.name, function, target, reply)
                else:
                    self._validate(unit, place, target, reply, sources[place])

    def _failed(self, unit: str, function: Function, target: Target, reply: CompileFailure) -> None:
        """A compiler that does not end refuses nothing: it is not known what it would have said."""
        name, reason = str(function.name), f"{reply.kind}: {reply.reason}"
        if reply.kind == "timeout":
            self.report.count(unit, name, function.line, target, Verdict(UNDECIDED, reason))
        else:
            self.report.refuse(unit, name, function.line, target, reason)

    def _validate(self, unit: Unit, place: int, target: Target, captured: Captured, source: Source) -> None:
        function = unit.functions[place]
        verdict = validate(target.isa, captured, source, z3_only=self.options.z3_only)
        self.report.count(unit.name, str(function.name), function.line, target, verdict)
        if verdict.status == INVALID:
            text = unit.texts[place]
            self.report.refuted.append(Refuted(unit.name, str(function.name), target, verdict, text, function.line))


def _with(target: Target, settings: Iterable[tuple[str, str]]) -> Target:
    return Target(target.isa, tuple(sorted({**dict(target.settings), **dict(settings)}.items())))
