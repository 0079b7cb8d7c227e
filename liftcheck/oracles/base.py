"""What oracles have in common: what they suspect (`Mismatch`), and whom they ask for runners."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from liftcheck.case import CompileFailure, Outcome, Target
from liftcheck.compilers.base import Program
from liftcheck.oracles.compare import Verdict
from liftcheck.runners.base import Runner


class Mismatch(NamedTuple):
    """Something that disagrees: case number `case` of the batch on `target`, at input `run`."""

    case: int
    target: Target
    verdict: Verdict
    run: int = 0
    expected: Outcome | None = None
    actual: Outcome | None = None
    failure: CompileFailure | None = None
    runner: str = ""


class Runners(Protocol):
    """Hands out runners. `pick` gives the runner for a target's program, or a reason why there is none."""

    def pick(self, target: Target, program: Program) -> Runner | str: ...
