"""Code proven against its program, function by function: files and folders for `liftcheck verify`.

The one idea: a task is a file; each of its functions is compiled for each of its targets, and
`oracles.lifting.equal` says whether the code does what the CLIF says in every state. A counterexample is run beside the
reference before anything is said of the compiler (`findings.counterexamples`). A report is a sum of files, so files are
spread over workers and added in their order.

Files that name targets are compiled for these with exactly their settings, as upstream compiles them; others for the
ISAs, levels and settings asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck.campaign.execute.base import Death, Done, Work, Worker, spread
from liftcheck.campaign.execute.local import local
from liftcheck.campaign.findings.counterexamples import shown
from liftcheck.campaign.findings.culprit import Culprit, culprit
from liftcheck.campaign.findings.halves import half
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.findings.stage import Stage
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.campaign.report.verify import Example, Place, Ran, Refuted, Report
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.text.filetest import FileTest
from liftcheck.clif.text.runlines import data_text
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Exactly, Wish, as_given, check_settings, choose, each_target
from liftcheck.compilers.registry import OWN, open_compiler
from liftcheck.compilers.spelling import spell
from liftcheck.errors import InputError, own_fault
from liftcheck.isa import ISAS
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.filetests.engine import files_below, well_formed
from liftcheck.oracles.lifting import examples as counterexample
from liftcheck.oracles.lifting.loops import prove
from liftcheck.runners.pool import RunnerPool

WANTS: Final = frozenset({"frame"})
REDUCING: Final = 10.0
"""Seconds in which what a run shows is made small."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What is verified. `isas` and `levels` are () if not asked for: then a file's own, or a default."""

    isas: tuple[str, ...] = ()
    compiler: str = OWN
    levels: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    jobs: int = 1


def verify_files(paths: Sequence[str], options: VerifyOptions) -> Report:
    """Every function of every file below the paths. InputError if there is none."""
    started = time.monotonic()
    files, report = files_below(paths), Report()
    compiler = open_compiler(options.compiler)
    try:
        report.compiler = compiler.name
        check_settings(compiler, options.isas or ISAS, options.settings)
    finally:
        compiler.close()

    def take(event: Done[str, Report] | Death[str]) -> None:
        if isinstance(event, Done):
            report.add(event.answer)
        else:
            report.lost.append(f"{event.task}: no verdicts: its worker died twice: {event.why}")

    spread(local(VerifyWork(options), min(options.jobs, len(files))), files, take, _size)
    report.seconds = time.monotonic() - started
    return report


def _size(path: str) -> int:
    return Path(path).stat().st_size


@dataclass(frozen=True)
class VerifyWork(Work[str, Report]):
    """Files as tasks."""

    options: VerifyOptions

    def open(self) -> Worker[str, Report]:
        return Verifier(open_compiler(self.options.compiler), self.options, RunnerPool("auto"))


@dataclass(slots=True)
class Verifier:
    """Verifies files with one compiler and counts what it finds; the worker of its work."""

    compiler: Compiler
    options: VerifyOptions
    pool: RunnerPool
    report: Report = field(default_factory=Report)

    def do(self, task: str, /) -> Report:
        """A report of one file."""
        self.report = Report()
        self._file(task)
        return self.report

    def close(self) -> None:
        self.pool.close()
        self.compiler.close()

    def _file(self, path: str) -> None:
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
        self.report.notes.update(choice.overrides)
        pairs = len(test.functions) * len(choice.targets)
        if not self.options.isas:
            for target in choice.outside:
                self.report.skipped[f"not an ISA of liftcheck's: {target.isa}"] += len(test.functions)
                pairs += len(test.functions)
        fault = own_fault(lambda: self._functions(path, test, choice.targets, choice.exact))
        self.report.settle(path, pairs, before, fault)

    def _functions(self, path: str, test: FileTest, targets: Sequence[Target], exact: bool) -> None:
        for one in (one for one in test.functions if one.function is None):
            for target in targets:
                self.report.unsettle(Place(path, one.name, one.line, target), "refused", f"not read: {one.refused}")
        readable = [one for one in test.functions if one.function is not None]
        if not readable:
            return
        spelling, functions = spell(self.compiler, test), test.module().functions
        compiler = Exactly(self.compiler) if exact else self.compiler
        desk = Investigator(Judge(compiler, self.pool), self.pool)
        ask = partial(compiler.compile_text, spelling.text, wants=WANTS)
        for target, replies in each_target(ask, targets, len(functions)):
            whole = target if exact else as_given(self.compiler, target)
            for number, reply in enumerate(replies):
                place = Place(path, readable[number].name, readable[number].line, target)
                if isinstance(reply, CompileFailure):
                    self._failed(place, reply)
                else:
                    self._verify(desk, _Unit(place, whole, functions, number, spelling.only(number)), reply)

    def _failed(self, place: Place, reply: CompileFailure) -> None:
        """A compiler that does not end refuses nothing: it is not known what it would have said."""
        status = "undecided" if reply.kind == "timeout" else "refused"
        self.report.unsettle(place, status, f"{reply.kind}: {reply.reason}")

    def _verify(self, desk: Investigator, unit: _Unit, code: FunctionCode) -> None:
        place, started = unit.place, time.process_time()
        found = prove(unit.target, unit.function, code)
        self.report.row(place.target.isa).seconds += time.process_time() - started
        if found.kind == "undecided":
            self.report.unsettle(place, "undecided", found.why)
        elif found.kind == "refuted":
            self.report.refute(_refuted(desk, unit, found.examples))
        else:
            self.report.holds(place, found.kind)


class _Unit(NamedTuple):
    """Function `number` of a file's for a target (with all of its settings), and its text for the compiler."""

    place: Place
    target: Target
    functions: Sequence[Function]
    number: int
    text: str

    @property
    def function(self) -> Function:
        return self.functions[self.number]


def _refuted(desk: Investigator, unit: _Unit, examples: Sequence[counterexample.Example]) -> Refuted:
    """A refutation with what its run shows."""
    said = _said(examples[0], unit.function, unit.place.target.big_endian)
    name = f"{Path(unit.place.file).name} {unit.place.function}"
    whole = Case(Module(list(unit.functions)), unit.number, (), name=name)
    found = shown(desk, counterexample.trials(examples, whole, unit.number), unit.place.target)
    if not found.findings:
        return Refuted(unit.place, said, unit.text, None, found.why, found.ours)
    finding = reduce_finding(desk, found.findings[0], Limits(REDUCING))[0]
    ran = Ran(
        finding.klass,
        finding.detail.partition("\n")[0],
        finding.runners,
        (*_half(half(desk, finding, unit.target)), *_blamed(culprit(desk, finding))),
        finding.fault,
        finding.program,
    )
    return Refuted(unit.place, said, unit.text, ran)


def _said(example: counterexample.Example, function: Function, big_endian: bool) -> Example:
    """A counterexample in words."""
    types = [param.type for param in function.signature.params]
    inputs = tuple(data_text(number, ty) for number, ty in zip(example.inputs, types, strict=True))
    sides = [hex(value) if value is not None and example.width > 1 else "" for value in (example.program, example.code)]
    memory: dict[int, bytes] = {}
    for at, byte in example.memory:
        base = next((start for start, data in memory.items() if start + len(data) == at), at)
        memory[base] = memory.get(base, b"") + bytes([byte])
    data = tuple((hex(at), f"0x{content.hex()}") for at, content in memory.items())
    return Example(example.claim, inputs, sides[0], sides[1], data)


def _half(where: Stage) -> Iterator[str]:
    """Which half of the compiler is at fault."""
    if where.where or where.why:
        yield f"half     {where.where or 'not known'}: {where.why}"


def _blamed(where: Culprit) -> Iterator[str]:
    """Which instruction is the first that is wrong."""
    if not where.clif:
        yield f"suspect  {where.why}"
        return
    yield f"suspect  {where.clif}: {where.expected} expected, {where.actual} found"
    for offset, text in where.code:
        yield f"{'      > ' if offset == where.offset else '        '} {offset:4x}: {text}"
    if where.why:
        yield f"         {where.why}"
