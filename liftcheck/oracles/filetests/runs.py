"""`test run` and `test compile` of a filetest: compile a file for all its targets, run all lines of a target at once.

The one idea: the file is printed from the model with explicit conventions and compiled with exactly the settings that
it states, as upstream does, in one request for all targets; then each target is one image and one call of a runner
with all inputs. Where that fails as a whole (a symbol, an instruction that the runner lacks), function by function.

What the compiler lacks, an extension that no runner here has, a setting that this version lacks are skips with reasons;
a refusal of what it has (`oracles.refusals`) is a finding; a panic, a death, invalid IR are failures; so is an
ill-formed function, whatever is asked of it (upstream verifies a file before it compiles it).
Sources: docs/architecture.md (trampolines), CompileFailure's kinds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Final

from liftcheck.case import CompileFailure, FunctionCode, Outcome, Target
from liftcheck.clif.ir import Function, Module, Signature
from liftcheck.clif.text.filetest import FileTest, TestFunction
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.text.runlines import RunLine
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Exactly, each_target
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.registry import open_compiler
from liftcheck.compilers.spelling import spell
from liftcheck.errors import Unsupported
from liftcheck.interp.run import prepare
from liftcheck.isa import LISTED
from liftcheck.oracles.admissible import UNSEEN, Prediction, meets, missing, not_to_run
from liftcheck.oracles.base import Runners
from liftcheck.oracles.filetests import known
from liftcheck.oracles.filetests.explain import Explanation, Reply
from liftcheck.oracles.filetests.open import Closed, Openings
from liftcheck.oracles.filetests.optimized import CLIF, Optimized
from liftcheck.oracles.filetests.report import Failure, Report, line_failure, undecided, unjudged
from liftcheck.oracles.filetests.units import OPTIMIZING, Plan
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.refusals import Refusals
from liftcheck.oracles.throwing import with_throw
from liftcheck.oracles.trampolines import Trampolines
from liftcheck.runners import beyond
from liftcheck.runners.link import Image, link
from liftcheck.runners.patience import OUT_OF_TIME, Patience, longer
from liftcheck.runners.pool import Job, Runner, RunnerPool
from liftcheck.runners.run_memory import has_memory, run_lines
from liftcheck.runners.trampolines import trampoline_target

EXPECT_FAIL: Final = "expect-fail"
"""The option of `test compile` that turns it round."""
BACKEND: Final = ("/isa/", "/machinst/", "regalloc2", *(f"isle_{row.package}" for row in LISTED.values()))
"""In a panic's place: the optimized CLIF was there already."""
_NO_HOOKS: Final = Hooks()


class Engine:
    """One compiler and its runners, for one process. Those that are given by name it opens and closes itself. `closed`:
    what CLIF leaves open is not asked; `hooks` are for tests."""

    def __init__(
        self,
        compiler: str | Compiler,
        runner: str | Runners,
        patience: Patience,
        hooks: Hooks = _NO_HOOKS,
        closed: bool = False,
    ) -> None:
        self.patience: Final = patience
        self.openings: Final = Closed if closed else Openings
        self.hooks: Final = hooks
        self._opened: Final = contextlib.ExitStack()
        self.compiler: Final[Compiler] = self._compiler(compiler)
        self.pool: Final[Runners] = self._runners(runner)
        self.refusals: Final = Refusals(self.compile)
        self.trampolines: Final = Trampolines(self.compile, trampoline_target)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes what it opened itself."""
        self._opened.close()

    def _compiler(self, given: str | Compiler) -> Compiler:
        if not isinstance(given, str):
            return given
        opened = open_compiler(given)
        self._opened.callback(opened.close)
        return opened

    def _runners(self, given: str | Runners) -> Runners:
        if not isinstance(given, str):
            return given
        opened = RunnerPool(given)
        self._opened.callback(opened.close)
        return opened

    def judge(self, command: str, plan: Plan, report: Report) -> None:
        """Judge one command of a file on its targets."""
        for functions, targets in self._groups(command, plan, report):
            module = plan.test.module(functions)
            openings = self.openings(module)
            chosen = set(map(id, functions))
            text = spell(
                self.compiler,
                plan.test,
                [number for number, function in enumerate(plan.test.functions) if id(function) in chosen],
            ).text
            ask = partial(self.optimize if command in OPTIMIZING else self.compile, text)
            for target, replies in each_target(ask, targets, len(functions)):
                _Judge(self, plan.test, functions, module.functions, target, replies, openings, report).judge(command)

    def _groups(self, command: str, plan: Plan, report: Report) -> list[tuple[list[TestFunction], list[Target]]]:
        """Targets together that have the same well-formed functions: nearly always all."""
        groups: dict[tuple[int, ...], tuple[list[TestFunction], list[Target]]] = {}
        for target in plan.targets:
            functions = plan.sound(command, target.isa, target, report)
            if functions:
                key = tuple(map(id, functions))
                groups.setdefault(key, (functions, []))[1].append(Target(target.isa, target.settings))
        return list(groups.values())

    def compile(self, text: str, targets: Sequence[Target]) -> list[list[Reply]]:
        """The compiler's answer, with exactly the targets' settings if it can do that."""
        made = Exactly(self.compiler).compile_text(text, targets)
        fault = self.hooks.code
        if fault is None:
            return made
        return [
            [fault(one, target) if isinstance(one, FunctionCode) else one for one in column]
            for target, column in zip(targets, made)
        ]

    def optimize(self, text: str, targets: Sequence[Target]) -> list[list[Reply]]:
        """The same with the optimized CLIF, which the compiler shows of what it has code for: hence with liftcheck's
        defaults, which let more signatures be compiled and are nothing to the middle end."""
        return self.compiler.compile_text(text, targets, CLIF)

    def is_ill_formed(self, function: Function, target: Target) -> bool:
        """Whether a text that the compiler refuses is refused by its verifier, not by its reader (which in other
        versions knows another dialect)."""
        if not isinstance(self.compiler, Cranelift):
            return False
        complaints = self.compiler.verify_text(print_module(Module([function])), target)
        return bool(complaints) and complaints[0].stage == "verify"


class _Judge:
    """One file on one target."""

    def __init__(
        self,
        engine: Engine,
        test: FileTest,
        functions: list[TestFunction],
        modeled: list[Function],
        target: Target,
        replies: list[Reply],
        openings: Openings,
        report: Report,
    ) -> None:
        self.openings = openings
        self.engine = engine
        self.test = test
        self.lines: dict[int, list[tuple[RunLine, Prediction]]] = {}
        self.functions = [function.at(target.big_endian) for function in functions]
        self.modeled = modeled
        self.target = target
        self.replies = replies
        self.given = [self._given(model, reply) for model, reply in zip(modeled, replies, strict=True)]
        self.report = report

    def _given(self, model: Function, reply: Reply) -> Reply:
        """A function's code, or why it has none for the target."""
        code = reply if isinstance(reply, FunctionCode) else None
        return reply if code is None else beyond.judged_wholly([model], self.target, [code]) or code

    def judge(self, command: str) -> None:
        if command == "run":
            self._run_units()
            return
        fails = command == "compile" and self.test.option("compile", EXPECT_FAIL)
        for number, (function, model, reply) in enumerate(zip(self.functions, self.modeled, self.given, strict=True)):
            if fails:
                self._failing_unit(function, model, reply)
            elif isinstance(reply, CompileFailure):
                self._failed(command, function, model, reply, [function.line])
            elif command in OPTIMIZING:
                before = self.modeled[:number]
                Optimized(self.test, command, function, model, before, self.target).judge(reply, self.report)
            else:
                self._compiled(command)

    # test compile

    def _compiled(self, command: str) -> None:
        self.report.passes(self.target.isa)
        if self.test.option(command, "precise-output"):
            self.report.notes[f"test {command} precise-output: that it compiles is tested, its text is not"] += 1

    def _failing_unit(self, function: TestFunction, model: Function, reply: Reply) -> None:
        """`test compile expect-fail`: the compiler must refuse the function. Dying over it is not a refusal,
        nor is a setting that this version lacks (it says nothing then)."""
        if isinstance(reply, CompileFailure) and reply.kind == "unsupported" and reply.message:
            self.report.passes(self.target.isa)
        elif isinstance(reply, CompileFailure):
            self._failed("compile", function, model, reply, [function.line])
        else:
            self.report.fails(
                self.target.isa,
                Failure(
                    self.test.file,
                    function.line,
                    str(self.target),
                    function.name,
                    "that it does not compile",
                    f"{len(reply.code)} bytes of code",
                ),
            )

    def _failed(
        self, command: str, function: TestFunction, model: Function, reply: CompileFailure, lines: Sequence[int]
    ) -> None:
        """Units that the compiler gave no code for."""
        reply = self.engine.refusals.judged(Module([model]), self.target, reply)
        late = reply.kind == "unsupported" or any(place in reply.place for place in BACKEND)
        if command in OPTIMIZING and late:
            self.report.skip(
                self.target.isa,
                "no machine code, hence no optimized CLIF: "
                f"{self.engine.compiler.name} on {self.target.isa}: {reply.reason}",
                len(lines),
            )
            return
        if reply.is_finding or (reply.kind == "input" and self.engine.is_ill_formed(model, self.target)):
            for line in lines:
                what = f"{reply.kind}: {reply.message or reply.reason} {reply.place}".rstrip()
                unit = Failure(self.test.file, line, str(self.target), function.name, "machine code", what)
                cause = known.cause_of_failure(self.target.isa, model, reply)
                if cause:
                    self.report.finds(self.target.isa, cause, unit)
                else:
                    self.report.fails(self.target.isa, unit)
            return
        name = self.engine.compiler.name
        how = "refuses the text" if reply.kind == "input" else "lacks"
        self.report.skip(self.target.isa, f"{name} on {self.target.isa} {how}: {reply.reason}", len(lines))

    # test run

    def _run_units(self) -> None:
        wanted: list[int] = []
        for number, (function, reply) in enumerate(zip(self.functions, self.given, strict=True)):
            if isinstance(reply, CompileFailure):
                lines = [line.line for line in function.run_lines] or [function.line]
                self._failed("run", function, self.modeled[number], reply, lines)
            elif not function.run_lines:
                self.report.passes(self.target.isa)
            elif self._predict(number):
                wanted.append(number)
        program = [reply for reply in self.replies if isinstance(reply, FunctionCode)]
        if wanted and self._run(wanted, program):
            for number in wanted:
                reply = self.replies[number]
                assert isinstance(reply, FunctionCode)
                reason = self._run([number], _closure(reply, program))
                if reason:
                    self.report.skip(self.target.isa, reason, len(self.lines[number]))

    def _predict(self, number: int) -> bool:
        """Notes what is open in a function's lines; those that cannot be tried are undecided. False: none is left."""
        self.lines[number] = lines = []
        given = self.functions[number].run_lines
        for line, prediction in zip(given, self.openings.of(number, given, self.target.big_endian), strict=True):
            reason = not_to_run(prediction)
            if reason:
                unit = unjudged(self.test.file, str(self.target), line, reason)
                self.report.undecides(self.target.isa, prediction.opening.kind if prediction.opening else reason, unit)
            else:
                lines.append((line, prediction))
        return bool(lines)

    def _run(self, wanted: list[int], program: list[FunctionCode]) -> str:
        """Run the functions `wanted` with `program` linked around them; answers why nothing was run, or ''."""
        runner = self.engine.pool.pick(self.target, program)
        if isinstance(runner, str):
            return runner
        signatures = [self.modeled[n].signature for n in wanted]
        self.engine.trampolines.need(signatures, [self.target])
        trampolines = {s: self.engine.trampolines.of(s, self.target) for s in signatures}
        refused = [t for t in trampolines.values() if isinstance(t, CompileFailure)]
        if refused:
            return f"no trampoline on {self.target.isa}: {refused[0].reason}"
        try:
            outcomes = self._start(runner, wanted, program, trampolines)
        except Unsupported as error:
            return f"linker: {error.reason}"
        for number, results in zip(wanted, outcomes, strict=True):
            wrong = [
                (line, outcome)
                for (line, prediction), outcome in zip(self.lines[number], results, strict=True)
                if not self._passes(number, line, prediction, outcome, runner)
            ]
            if wrong:
                self._explain(number, wrong, runner, program)
        return ""

    def _start(
        self,
        runner: Runner,
        wanted: list[int],
        program: list[FunctionCode],
        trampolines: Mapping[Signature, Reply],
        passed: Signature | None = None,
    ) -> list[list[Outcome]]:
        """`passed`: the signature as the trampoline has it, where that is another one."""
        functions = with_throw(Exactly(self.engine.compiler), program, self.target)
        image = link([functions], self.target.isa, lenient=True)
        jobs = []
        for number in wanted:
            signature = self.modeled[number].signature
            trampoline = trampolines[signature]
            assert isinstance(trampoline, FunctionCode)
            inputs = [line.args for line, _ in self.lines[number]]
            jobs.append(Job(trampoline, image.entry(0, self.functions[number].name), passed or signature, inputs))
        plain = [job for number, job in zip(wanted, jobs) if not self._has_memory(number)]
        found = iter(runner.run(image, plain) if plain else ())
        return [
            self._outcomes(runner, image, job, program, number, None if self._has_memory(number) else next(found))
            for number, job in zip(wanted, jobs)
        ]

    def _has_memory(self, number: int) -> bool:
        return has_memory([line for line, _ in self.lines[number]])

    def _outcomes(
        self,
        runner: Runner,
        image: Image,
        job: Job,
        program: list[FunctionCode],
        number: int,
        found: list[Outcome] | None,
    ) -> list[Outcome]:
        """The outcomes of a function's lines, of which `found` are those of a short try."""
        steps, longest = partial(self._steps, number), self.engine.patience.longest
        if found is None:
            lines = [line for line, _ in self.lines[number]]
            return run_lines(runner, image, job, lines, program, steps, longest)
        return longer(runner, image, job, found, program, steps, longest)

    def _steps(self, number: int, line: int) -> int | None:
        """How many instructions the reference executes in a run line; None if it does not end."""
        prepared = prepare(Module(self.modeled), self.target.big_endian)
        asked = self.lines[number][line][0]
        outcome = prepared.run(number, asked.args, asked.regions(), self.engine.patience.fuel)
        return prepared.stats.instructions if outcome.kind in ("returned", "trapped") else None

    def _passes(self, number: int, line: RunLine, prediction: Prediction, outcome: Outcome, runner: Runner) -> bool:
        """Counts a unit that passed, that is undecided, or that the runner lacks something for."""
        isa = self.target.isa
        if outcome.kind == "unsupported":
            self.report.skip(isa, f"{runner.name} on {isa}: {outcome.detail}")
            return True
        if outcome.kind == "out_of_fuel" and not prediction.whole:
            unit = line_failure(self.test.file, f"{self.target} ({runner.name})", line, outcome)
            self.report.undecides(isa, OUT_OF_TIME, unit)
            return True
        own = self.test.is_only_for(isa)
        met = meets(line, prediction, outcome, own)
        if met is False and outcome.detail == "stk_ovf":
            reason = "stack overflow: machine code needs more stack than there is"
            unit = line_failure(self.test.file, f"{self.target} ({runner.name})", line, outcome)
            self.report.undecides(isa, reason, unit)
            return True
        if met is False and prediction.looked:
            prediction = self.openings.again(number, line, self.target.big_endian)
            met = meets(line, prediction, outcome, own)
        if met is None:
            opening = (
                prediction.opening or missing(outcome) or self.openings.of_nan(number, line, self.target.big_endian)
            )
            unit = undecided(self.test.file, f"{self.target} ({runner.name})", line, outcome, opening)
            self.report.undecides(isa, opening.kind, unit)
        elif met:
            self.report.passes(isa)
            if prediction.unseen:
                self.report.notes[UNSEEN] += 1
        return met is not False

    def _explain(
        self, number: int, wrong: list[tuple[RunLine, Outcome]], runner: Runner, program: list[FunctionCode]
    ) -> None:
        """Units that did not pass: findings where the compiler is proven wrong, failures otherwise."""
        start = partial(self._again, number)
        why = Explanation(self.engine, self.modeled, number, self.target, runner, program, start)
        for line, outcome in wrong:
            unit = line_failure(self.test.file, f"{self.target} ({runner.name})", line, outcome)
            cause, damaged = why.of(line, outcome)
            if damaged:
                unit = unit._replace(got=f"changed by the callee: {', '.join(damaged)}")
            if cause:
                self.report.finds(self.target.isa, cause, unit)
            else:
                self.report.fails(self.target.isa, unit)

    def _again(
        self, number: int, runner: Runner, program: list[FunctionCode], trampoline: FunctionCode, passed: Signature
    ) -> dict[RunLine, Outcome]:
        """The outcomes of a function's lines otherwise."""
        results = self._start(runner, [number], program, {self.modeled[number].signature: trampoline}, passed)[0]
        return {line: outcome for (line, _), outcome in zip(self.lines[number], results, strict=True)}


def _closure(code: FunctionCode, program: list[FunctionCode]) -> list[FunctionCode]:
    """A function and whatever it refers to, directly or not."""
    named = {function.name: function for function in program}
    found = {code.name: code}
    pending = [code]
    while pending:
        for relocation in pending.pop().relocations:
            other = named.get(relocation.name)
            if other is not None and other.name not in found:
                found[other.name] = other
                pending.append(other)
    return list(found.values())
