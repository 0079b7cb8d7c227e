"""Where a test may plant a fault; the product never does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liftcheck.case import Case, CompileFailure, FunctionCode, Outcome, Target
from liftcheck.compilers.base import Compiler


@dataclass(frozen=True, slots=True)
class Hooks:
    """The places.

    code      edits what the compiler gave for a function and a target
    expected  edits the reference's outcomes of a case
    before    is called with a batch's cases and the compiler before they are judged
    """

    code: Callable[[FunctionCode, Target], FunctionCode | CompileFailure] | None = None
    expected: Callable[[Case, list[Outcome]], list[Outcome]] | None = None
    before: Callable[[Sequence[Case], Compiler], None] | None = None
