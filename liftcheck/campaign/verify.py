"""Code proven against its program, function by function: files and folders for `liftcheck verify`.

The one idea: a task is a file; each of its functions is compiled for each of its targets, and
`oracles.lifting.equal` says whether the code does what the CLIF says in every state. A report is a sum of files, so
files are spread over workers and added in their order.

Files that name targets are compiled for these with exactly their settings, as upstream compiles them; others for the
ISAs, levels and settings asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from liftcheck.campaign.execute.base import Death, Done, Work, Worker, spread
from liftcheck.campaign.execute.local import local
from liftcheck.campaign.report.verify import Place, Refuted, Report
from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.filetest import FileTest, read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.runlines import data_text
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Exactly, Wish, check_settings, choose, each_target
from liftcheck.compilers.registry import OWN, open_compiler
from liftcheck.compilers.spelling import spell
from liftcheck.errors import InputError, own_fault
from liftcheck.isa import ISAS
from liftcheck.oracles.filetests.engine import files_below
from liftcheck.oracles.lifting.equal import compare

WANTS: Final = frozenset({"frame"})


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
        return Verifier(open_compiler(self.options.compiler), self.options)


@dataclass(slots=True)
class Verifier:
    """Verifies files with one compiler and counts what it finds; the worker of its work."""

    compiler: Compiler
    options: VerifyOptions
    report: Report = field(default_factory=Report)

    def do(self, task: str, /) -> Report:
        """A report of one file."""
        self.report = Report()
        self._file(task)
        return self.report

    def close(self) -> None:
        self.compiler.close()

    def _file(self, path: str) -> None:
        """One file; what cannot be read is listed in the report."""
        try:
            test = parse_filetest(read_text(Path(path)), path)
            wrong = [] if test.commands else verify(test.module(), file=path)
            if wrong:
                raise InputError(wrong)
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
        ask = partial(compiler.compile_text, spelling.text, wants=WANTS)
        for target, replies in each_target(ask, targets, len(functions)):
            for number, reply in enumerate(replies):
                place = Place(path, readable[number].name, readable[number].line, target)
                if isinstance(reply, CompileFailure):
                    self._failed(place, reply)
                else:
                    self._verify(place, functions[number], reply, spelling.only(number))

    def _failed(self, place: Place, reply: CompileFailure) -> None:
        """A compiler that does not end refuses nothing: it is not known what it would have said."""
        status = "undecided" if reply.kind == "timeout" else "refused"
        self.report.unsettle(place, status, f"{reply.kind}: {reply.reason}")

    def _verify(self, place: Place, function: Function, code: FunctionCode, text: str) -> None:
        started = time.process_time()
        found = compare(place.target, function, code)
        self.report.row(place.target.isa).seconds += time.process_time() - started
        if found.kind == "undecided":
            self.report.unsettle(place, "undecided", found.why)
        elif found.kind == "refuted":
            types = [param.type for param in function.signature.params]
            inputs = tuple(data_text(number, ty) for number, ty in zip(found.inputs, types, strict=True))
            self.report.refute(Refuted(place, found.why, inputs, text))
        else:
            self.report.holds(place, found.kind)
