"""What the units of a filetest are: found before any is judged, so that none can be lost without being noticed.

The one idea: a table says of every test command whether its units are run lines or functions, whether each is judged on
every target or once, and whether upstream verifies the file before it. `Plan` is one file under these rules: its units
are counted here, and the judge must account for as many (`Report.settle`).
It does not judge; what passes is said in docs/filetests.md.
Sources: upstream's `cranelift/filetests`: `lib.rs` (the commands there are), `runone.rs` (`needs_verifier`,
`needs_isa`), of versions from 0.60 on for the commands whose passes are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from liftcheck.clif.text.filetest import FileTarget, FileTest, TestFunction
from liftcheck.clif.verify import verify
from liftcheck.errors import Diagnostic
from liftcheck.isa import HOST, ISAS, LISTED
from liftcheck.oracles.filetests.report import Failure, Report

INTERPRETER: Final = "interpreter"
ON_HOST: Final = FileTarget(HOST, LISTED[HOST].triple, ())
"""The target of a file that names none: upstream runs such files on the host, or refuses them."""


class Command(NamedTuple):
    """lines: its units are run lines (and functions without any), else functions. targets: each on every target, else
    once. verified: an ill-formed function fails, whatever the command does with it."""

    lines: bool
    targets: bool
    verified: bool = True


# fmt: off
COMPILING: Final = frozenset({
    "compile", "unwind", "safepoint", "stack_maps", "stackmaps", "regalloc", "binemit", "rodata", "vcode", "fde"})
# fmt: on
"""Judged by whether the function compiles; what else upstream's text says is not compared."""
OPTIMIZING: Final = frozenset({
    "optimize", "alias-analysis", "inline", "legalizer", "licm", "dce", "simple-gvn", "simple_gvn", "simple_preopt",
    "simple-preopt", "preopt", "postopt", "shrink", "peepmatic"})  # fmt: skip
"""Judged by whether the CLIF that the compiler makes of the function is well-formed and computes the same."""
COMMANDS: Final[dict[str, Command]] = {
    "run": Command(True, True), "interpret": Command(True, False),
    "verifier": Command(False, False, False), "cat": Command(False, False, False),
    "print-cfg": Command(False, False, False), "domtree": Command(False, False),
    **dict.fromkeys(COMPILING | OPTIMIZING, Command(False, True)),
}  # fmt: skip
_UNKNOWN: Final = Command(False, False, False)
_VERIFIED: Final = ("enable_pinned_reg", "preserve_frame_pointers")
"""The settings that the verifier looks at."""


@dataclass(slots=True)
class Plan:
    """One file, the commands that are judged, and where.

    targets   of the file, those that are ISAs of liftcheck's and asked for; `outside`: those that are not its ISAs
    once      nothing is compiled: every command has one place
    unasked   targets that `--isa` leaves out
    """

    test: FileTest
    commands: tuple[str, ...]
    targets: list[FileTarget]
    outside: list[FileTarget]
    once: bool = False
    unasked: int = 0
    _problems: dict[tuple[object, ...], Diagnostic | None] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """As many verdicts are due."""
        if not self.commands:
            return len(self.test.functions)
        return sum(self.per_place(name) * self.places(name) for name in self.commands)

    @property
    def left_out(self) -> int:
        """Units on targets that are not asked for: not due."""
        return sum(self.per_place(name) * self.unasked for name in self.commands if command(name).targets)

    def places(self, name: str) -> int:
        """How often each unit of a command is judged."""
        return len(self.targets) + len(self.outside) if command(name).targets and not self.once else 1

    def per_place(self, name: str) -> int:
        """The units of a command on one target."""
        return sum(weight(name, function) for function in self.test.functions)

    def sound(self, name: str, where: str, target: FileTarget | None, report: Report) -> list[TestFunction]:
        """The functions that can be judged under a command in one place. The units of the others get their verdict
        here: skipped if our reader refuses the function by name, failed if it is ill-formed, with all that is wrong."""
        found = []
        for function in self.test.functions:
            problem = self.problem(function, target)
            if function.function is None:
                report.skip(where, function.refused, weight(name, function))
            elif problem is not None and command(name).verified:
                place = where if target is None else f"{target.isa}, {name}"
                failure = Failure(
                    self.test.file,
                    problem.line or function.line,
                    place,
                    function.name,
                    "a well-formed function",
                    problem.message,
                )
                for _ in range(weight(name, function)):
                    report.fails(where, failure)
            else:
                found.append(function)
        return found

    def problem(self, function: TestFunction, target: FileTarget | None) -> Diagnostic | None:
        """What the verifier has against a function on a target (None: on none); None if nothing, or if it was not
        read."""
        if function.function is None:
            return None
        settings = None if target is None else dict(target.settings)
        seen = None if settings is None else tuple(settings.get(name) for name in _VERIFIED)
        key = (id(function), seen)
        if key not in self._problems:
            found = verify(
                function.function,
                None if target is None else target.isa,
                settings,
                self.test.default_call_conv,
                self.test.file,
            )
            self._problems[key] = _joined(found) if found else None
        return self._problems[key]


def command(name: str) -> Command:
    """The rules of a test command, also of an unknown one."""
    return COMMANDS.get(name, _UNKNOWN)


def weight(name: str, function: TestFunction) -> int:
    """The units of one function under a command in one place."""
    return max(1, len(function.run_lines)) if command(name).lines else 1


def plan_of(test: FileTest, isas: Sequence[str], once: bool) -> Plan:
    """The plan of a file. `isas`: those asked for (empty: all that it names); `once`: nothing is compiled, and the run
    lines of `test run` are interpreted."""
    names = dict.fromkeys("interpret" if once and c.name == "run" else c.name for c in test.commands)
    targets = test.targets or [ON_HOST._replace(settings=test.settings)]
    ours = [target for target in targets if target.isa in ISAS]
    outside = [target for target in targets if target.isa not in ISAS]
    if not isas:
        return Plan(test, tuple(names), ours, outside, once)
    asked = [target for target in ours if target.isa in isas]
    return Plan(test, tuple(names), asked, [], once, len(targets) - len(asked))


def _joined(found: Sequence[Diagnostic]) -> Diagnostic:
    """All complaints about a function at the place of the first."""
    first = found[0]
    more = [f"line {other.line}: {other.message}" for other in found[1:]]
    return Diagnostic(first.file, first.line, first.column, "; ".join([first.message, *more]))
