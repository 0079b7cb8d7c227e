"""Instructions that a runner is known to get wrong: found in the code before it runs, so that the compiler is not
blamed.

The one idea: the rows are the ISAs' (`isa.errata`); here a program is held against them. `first` is on the hot path: a
byte pattern is looked for first, and code that has none costs a microsecond. A runner whose process dies of code that
no row knows says so with its last words (`own_words`); then a row is missing. Which extensions a runner has not at all:
features.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from liftcheck.case import FunctionCode
from liftcheck.isa.base import isa_named
from liftcheck.isa.errata import Erratum

_OWN_WORDS: Final = re.compile(
    r"tcg fatal error|assertion failed|Assertion .* failed|code should not be reached"
    r"|unhandled CPU exception|Unexpected error in"
)


_PREFIX: Final = re.compile(r"^(Bail out! )?(ERROR:)?(qemu-\w+: )?(\.\./)*")


def own_words(text: str) -> str:
    """The line of an emulator's last words that says that it died of itself, not of what the guest did; or ''."""
    line = next((line for line in text.splitlines() if _OWN_WORDS.search(line)), "")
    return _PREFIX.sub("", line.strip())


def of_isa(isa: str) -> tuple[Erratum, ...]:
    """All rows of an ISA."""
    value = isa_named(isa)
    return tuple(value.part(value.errata))


@cache
def rows(runner: str, isa: str) -> tuple[Erratum, ...]:
    """The rows of a runner that are looked for in code."""
    return tuple(row for row in of_isa(isa) if not row.harmless and row.runner == runner)


def first(runner: str, isa: str, program: Sequence[FunctionCode], exact: bool = False) -> str:
    """The name of a shortcoming of the runner that the program would meet, or ''. `exact`: take the time to be sure,
    since no other runner runs it."""
    return first_of(rows(runner, isa), program, exact)


def first_of(
    found: Sequence[Erratum], program: Sequence[FunctionCode], exact: bool = False, alone: bool = False
) -> str:
    """The same for the rows of a runner. `alone`: no other runner runs it, so what only hides faults does not count."""
    for row in found:
        if alone and row.hides:
            continue
        pattern = row.pattern
        if row.whole is not None and row.whole(program) and not (exact and row.exact and not row.exact(program)):
            return f"{row.runner} gets {row.name} wrong"
        if pattern is None:
            continue
        for function in program:
            if pattern.search(function.code) and (row.confirm is None or row.confirm(function.code)):
                return f"{row.runner} gets {row.name} wrong"
    return ""
