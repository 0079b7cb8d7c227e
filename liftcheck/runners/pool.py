"""Opens runners and chooses among them: the face of the runners for the rest of liftcheck.

`open_runner(name, isa)` gives one. A `RunnerPool` keeps those it opened, asks each once what it has (features.py), and
picks for a target and its code the best one that runs it rightly (errata.py). Which there are: table.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode, Target
from liftcheck.errors import Unavailable, UsageError
from liftcheck.isa import ISAS
from liftcheck.isa.errata import Erratum
from liftcheck.runners import errata
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.features import choose_runner, features_of, probe, vector_length
from liftcheck.runners.probes import Lack, first_lacking, lacks
from liftcheck.runners.table import NAMES, kind_of, runners_of

__all__ = ["NAMES", "Job", "Runner", "RunnerPool", "available_runners", "open_runner"]


def open_runner(name: str, isa: str, vector_bits: int = 128) -> Runner:
    """A new runner; Unavailable if this machine does not have it, UsageError if there is no such runner."""
    there = runners_of(isa) if isa in ISAS else ()
    if name not in there:
        raise UsageError(f"no runner {name!r} for {isa}: there is {', '.join(there) or 'none'}")
    return kind_of(name).open(isa, vector_bits)


class Abilities(NamedTuple):
    """The extensions that a runner has, and the instructions of them that it lacks."""

    features: frozenset[str]
    lacks: tuple[Lack, ...] = ()


def abilities(runner: Runner, vector_bits: int = 128) -> Abilities:
    """Asks a runner."""
    has = probe(runner, vector_bits)
    return Abilities(has, lacks(runner, has))


def available_runners(isa: str) -> dict[str, Abilities | str]:
    """Every runner of an ISA: what it has, or why it is not available. For `liftcheck doctor`."""
    found: dict[str, Abilities | str] = {}
    for name in runners_of(isa):
        try:
            runner = open_runner(name, isa)
            found[name] = abilities(runner)
            runner.close()
        except Unavailable as error:
            found[name] = str(error)
    return found


def confinement() -> dict[str, bool]:
    """Whether processes of each runner that has some here are kept from making system calls. For `liftcheck doctor`."""
    found: dict[str, bool | None] = {}
    for isa in ISAS:
        for name in runners_of(isa):
            if name not in found:
                try:
                    runner = open_runner(name, isa)
                    found[name] = runner.confinement()
                    runner.close()
                except Unavailable:
                    continue
    return {name: is_confined for name, is_confined in found.items() if is_confined is not None}


class _Able(NamedTuple):
    """A runner that has all of a target's extensions, except for these instructions; what it gets wrong."""

    runner: Runner
    missing: frozenset[str]
    errata: tuple[Erratum, ...]

    def trouble(self, program: Sequence[FunctionCode], exact: bool, alone: bool = False) -> str:
        """Why it does not run a program rightly, or ''. `alone`: no other runner does."""
        runner = self.runner
        if self.missing and (name := first_lacking(runner.isa, self.missing, program)):
            return f"{runner.name} lacks {name}"
        found = errata.first_of(self.errata, program, exact, alone) if self.errata else ""
        return f"emulator: {found}" if found else ""


class RunnerPool:
    """Runners of one worker, opened when first needed. `only` limits it to some names, with commas between them
    ('auto': all), `apart` to those that have processes of their own. Open it in the process and thread that uses it;
    pin that to a core first."""

    def __init__(self, only: str = "auto", apart: bool = False) -> None:
        names = only.split(",")
        for name in names:
            if name not in ("auto", *NAMES):
                raise UsageError(f"no runner {name!r}: choose auto, {', '.join(NAMES)}")
        chosen = NAMES if "auto" in names else names
        self.allowed: Final = frozenset(name for name in chosen if not (apart and kind_of(name).inside))
        self._open: dict[tuple[str, str, int], Runner | None] = {}
        self._abilities: dict[tuple[str, str, int], Abilities] = {}
        self._able: dict[Target, tuple[tuple[_Able, ...], str]] = {}

    def pick(self, target: Target, program: Sequence[FunctionCode]) -> Runner | str:
        """The runner for a program, or why there is none: 'emulator: …' if those that could would get it wrong,
        '… lacks …' if it has an instruction that they lack."""
        able, reason = self._able.get(target) or self._find(target)
        for exact, alone in ((False, False), (True, False), (True, True)):
            for one in able:
                reason = one.trouble(program, exact, alone)
                if not reason:
                    return one.runner
        return reason

    def every(self, target: Target, program: Sequence[FunctionCode]) -> list[Callable[[], Runner]]:
        """Openers of all runners that run this program rightly, each a new one."""
        able, _ = self._able.get(target) or self._find(target)
        bits = vector_length(target)
        right = [one for one in able if not one.trouble(program, exact=True)]
        right = right or [one for one in able if not one.trouble(program, exact=True, alone=True)]
        return [partial(open_runner, one.runner.name, one.runner.isa, bits) for one in right]

    def names(self, target: Target) -> tuple[str, ...]:
        """The names of the runners that have all of a target's extensions, best first."""
        return tuple(one.runner.name for one in (self._able.get(target) or self._find(target))[0])

    def _find(self, target: Target) -> tuple[tuple[_Able, ...], str]:
        bits = vector_length(target)
        keys = {
            name: (name, target.isa, bits if kind_of(name).sized else 128)
            for name in runners_of(target.isa)
            if name in self.allowed
        }
        opened = {name: runner for name, key in keys.items() if (runner := self._runner(key)) is not None}
        known = {name: self._abilities[keys[name]] for name in opened}
        able, reason = choose_runner(target, {name: one.features for name, one in known.items()})
        wanted = features_of(target)
        found = (
            tuple(
                _Able(
                    opened[name],
                    frozenset(lack.name for lack in known[name].lacks if lack.needs <= wanted),
                    errata.rows(opened[name].name, target.isa),
                )
                for name in able
            ),
            reason,
        )
        self._able[target] = found
        return found

    def _runner(self, key: tuple[str, str, int]) -> Runner | None:
        """A runner opened and probed, once; None if the machine lacks it."""
        if key not in self._open:
            try:
                runner = self._open[key] = open_runner(*key)
                self._abilities[key] = abilities(runner, key[2])
            except Unavailable:
                self._open[key] = None
        return self._open[key]

    def close(self) -> None:
        """Ends all runners."""
        for runner in self._open.values():
            if runner is not None:
                runner.close()
        self._open.clear()
        self._able.clear()
