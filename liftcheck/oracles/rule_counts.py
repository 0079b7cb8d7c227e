"""Which of the compiler's own rules the code comes from that was run and compared.

The one idea: the compiler says of each function which rules matched (`wants={'rules'}`); a rule counts for a program if
all of the program's code was run on the ISA and compared. "Matched" is the compiler's word: a mid-end rule that matched
may have lost to a cheaper form, and a block of a function may not be reached by the inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from functools import cache
from typing import Final

from liftcheck.case import Case, CompileFailure, Target
from liftcheck.compilers.base import Program
from liftcheck.oracles.tally import Tally

RULES: Final = frozenset({"rules"})
"""What has to be wanted of the compiler."""


def count_rules(
    cases: Sequence[Case],
    targets: Sequence[Target],
    compiled: Sequence[Sequence[Program | CompileFailure | None]],
    ran: Container[tuple[int, str]],
    tally: Tally,
) -> None:
    """Counts the rules of code that was traced and ran: once a program and ISA, whatever the level."""
    fired: dict[tuple[int, str], set[str]] = {}
    for target, column in zip(targets, compiled):
        for number, made in enumerate(column):
            if not isinstance(made, CompileFailure) and made is not None and (number, target.isa) in ran:
                places = fired.setdefault((number, target.isa), set())
                for code in made:
                    names = code.extra.get("rules")
                    places.update(names if isinstance(names, tuple) else ())
    counts: Counter[tuple[str, str]] = Counter()
    firsts: dict[tuple[str, str], int] = {}
    numbers = [int(str(case.tags.get("number", number))) for number, case in enumerate(cases)]
    for (number, isa), names in sorted(fired.items(), key=lambda item: -numbers[item[0][0]]):
        keys = set(map(_rules(isa).__getitem__, names))
        counts.update(keys)
        firsts.update(dict.fromkeys(keys, numbers[number]))
    tally.add(Tally(traced=len(cases), fired=counts, firsts=firsts))


class _Rules(dict[str, tuple[str, str]]):
    """The keys of an ISA's rules, which the compiler calls by their places and their terms."""

    def __init__(self, isa: str) -> None:
        self.isa = isa

    def __missing__(self, name: str) -> tuple[str, str]:
        key = self[name] = self.isa, name.partition(" ")[0]
        return key


@cache
def _rules(isa: str) -> _Rules:
    return _Rules(isa)
