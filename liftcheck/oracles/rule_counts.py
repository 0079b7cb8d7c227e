"""Which of the compiler's own rules the code comes from that was run and compared.

The one idea: the compiler says of each function which rules matched (`wants={'rules'}`); a rule counts for a program if
all of the program's code was run on the ISA and compared. "Matched" is the compiler's word: a mid-end rule that matched
may have lost to a cheaper form, and a block of a function may not be reached by the inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
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
    counts: dict[str, Counter[str]] = {}
    firsts: dict[str, dict[str, int]] = {}
    numbers = [int(str(case.tags.get("number", number))) for number, case in enumerate(cases)]
    for (number, isa), seen in sorted(fired.items(), key=lambda item: -numbers[item[0][0]]):
        counts.setdefault(isa, Counter()).update(seen)
        firsts.setdefault(isa, {}).update(dict.fromkeys(seen, numbers[number]))
    tally.add(Tally(traced=len(cases), fired=Counter(_by_isa(counts)), firsts=_by_isa(firsts)))


def _by_isa(found: Mapping[str, Mapping[str, int]]) -> dict[tuple[str, str], int]:
    """Numbers by ISA and place, of names (place and term: a rule has one): each such key is made once a batch."""
    return {_key(isa, name): number for isa, names in found.items() for name, number in names.items()}


@cache
def _key(isa: str, name: str) -> tuple[str, str]:
    return isa, name.partition(" ")[0]
