"""Why a run line is not met: the fault of the compiler's that is proven, with its page, or a failure.

The one idea: every proof asks the same compiler and the same runner again, with one thing changed: arguments that come
extended, the program without what a fault needs (`mends.py`), or it asks the reference for the program as a fault makes
it (`faults.py`). Asked in the order of what they cost, and only where a line was not met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from liftcheck.case import CompileFailure, FunctionCode, Outcome, Target
from liftcheck.clif.ir import Function, Module, Signature
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.text.runlines import RunLine
from liftcheck.errors import Unsupported
from liftcheck.interp.run import prepare
from liftcheck.oracles import canaries
from liftcheck.oracles.base import Runners
from liftcheck.oracles.filetests import known
from liftcheck.oracles.filetests.mends import Mend, mended
from liftcheck.oracles.filetests.report import is_met
from liftcheck.oracles.trampolines import Trampolines
from liftcheck.runners.patience import Patience
from liftcheck.runners.pool import Job, Runner
from liftcheck.runners.run_memory import job_of

Reply = FunctionCode | CompileFailure
Lines = dict[RunLine, Outcome]


class Asked(Protocol):
    """Who compiles and runs: the engine of `liftcheck test`."""

    @property
    def patience(self) -> Patience: ...

    @property
    def pool(self) -> Runners: ...

    def compile(self, text: str, targets: Sequence[Target], /) -> list[list[Reply]]: ...

    @property
    def trampolines(self) -> Trampolines: ...


class Start(Protocol):
    """Runs a function's lines in some program, through a trampoline whose signature is `passed`."""

    def __call__(
        self, runner: Runner, program: list[FunctionCode], trampoline: FunctionCode, passed: Signature, /
    ) -> Lines: ...


class Explanation:
    """Of the lines of one function of a program, on one target and runner."""

    def __init__(
        self,
        engine: Asked,
        modeled: Sequence[Function],
        number: int,
        target: Target,
        runner: Runner,
        program: list[FunctionCode],
        start: Start,
    ) -> None:
        self.engine = engine
        self.modeled = modeled
        self.number = number
        self.target = target
        self.runner = runner
        self.program = program
        self.start = start
        self.faults = known.faulty(target, modeled)
        self._mends: dict[str, tuple[Lines, Lines] | None] = {}
        self.clean = self._without_noise()

    @property
    def function(self) -> Function:
        return self.modeled[self.number]

    def of(self, line: RunLine, outcome: Outcome) -> tuple[str, tuple[str, ...]]:
        """What is proven to be wrong, with its page if it has one, or ''; the registers that come back changed."""
        damaged = self._damaged(line) if outcome.kind == "abi" else ()
        cause = known.not_saved(self.target.isa, damaged)
        if cause:
            return cause, damaged
        page = self._as_faulty(line, outcome)
        if page:
            cause = f"the wrong result is the one that a known fault gives ({page})"
        else:
            cause = self._as_mended(line)
        if self.clean is not None and is_met(line, self.clean[line]):
            return f"{known.UPPER_BITS} ({known.page_in(cause) or known.NO_PAGE})", damaged
        return cause, damaged

    def _as_faulty(self, line: RunLine, outcome: Outcome) -> str:
        """The page of a fault that, in the program's place, gives just what the compiled code gave; or ''."""
        for page, functions in self.faults if outcome.kind in ("returned", "trapped") else ():
            prepared = prepare(Module(list(functions)), self.target.big_endian)
            found = prepared.run(self.number, line.args, line.regions(), self.engine.patience.fuel)
            prepared.release()
            if _shown(line, found) == _shown(line, outcome):
                return page
        return ""

    def _as_mended(self, line: RunLine) -> str:
        """The cause, if a line is met without what a fault needs, and is not for another change as large."""
        for page, mend in known.mends(self.target):
            if page not in self._mends:
                self._mends[page] = self._tried(mend)
            found = self._mends[page]
            if found is not None and is_met(line, found[0][line]) and not (found[1] and is_met(line, found[1][line])):
                return f"it passes {mend.words} ({page})"
        return ""

    def _tried(self, mend: Mend) -> tuple[Lines, Lines] | None:
        """The outcomes with a mend, and of its control if it has one; None if that says nothing."""
        healed = self._of_changed(mend, True)
        control = self._of_changed(mend, False) if healed and mend.has_control else {}
        return (healed, control) if healed and (control or not mend.has_control) else None

    def _of_changed(self, mend: Mend, healed: bool) -> Lines:
        functions = mended(mend, self.modeled, healed)
        if functions is None:
            return {}
        target = Target(self.target.isa, tuple(sorted({**dict(self.target.settings), **dict(mend.settings)}.items())))
        replies = self.engine.compile(print_module(Module(functions)), [target])[0]
        program = [reply for reply in replies if isinstance(reply, FunctionCode)]
        return self._lines(functions[self.number].signature, program) if len(program) == len(functions) else {}

    def _lines(self, signature: Signature, program: list[FunctionCode]) -> Lines:
        """The outcomes of another form of the program."""
        runner = self.engine.pool.pick(self.target, program)
        trampoline = self.engine.trampolines.one(signature, self.target)
        if isinstance(runner, str) or isinstance(trampoline, CompileFailure):
            return {}
        try:
            return self.start(runner, program, trampoline, signature)
        except Unsupported:
            return {}

    def _damaged(self, line: RunLine) -> tuple[str, ...]:
        """The callee-saved registers that a line's call changes."""
        signature = self.function.signature
        trampoline = self.engine.trampolines.one(signature, self.target)
        assert isinstance(trampoline, FunctionCode)
        job = job_of(Job(trampoline, 0, signature, ()), line)
        return canaries.damaged(self.runner, self.program, self.function.name, job)

    def _without_noise(self) -> Lines | None:
        """The outcomes when narrow arguments come zero-extended, as upstream's own harness passes them; None if the
        function has no narrow arguments."""
        signature = self.function.signature
        extended = signature._replace(
            params=tuple(
                p._replace(extension="uext") if p.type.is_int and not p.type.is_vector and p.type.bits < 64 else p
                for p in signature.params
            )
        )
        if extended == signature:
            return None
        trampoline = self.engine.trampolines.one(extended, self.target)
        if isinstance(trampoline, CompileFailure):
            return None
        return self.start(self.runner, self.program, trampoline, extended)


def _shown(line: RunLine, outcome: Outcome) -> tuple[object, ...]:
    """What of an outcome can be compared with another one's."""
    trap = outcome.detail if outcome.kind == "trapped" else ""
    return outcome.kind, outcome.values, trap, line.found_text(outcome.memory)
