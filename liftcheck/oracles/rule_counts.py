"""Which of the compiler's own rules the code comes from that was run and compared.

The one idea: the compiler says of each function which rules matched (`wants={'rules'}`); a rule counts for a program if
all of the program's code was run on the ISA and compared. "Matched" is the compiler's word: a mid-end rule that matched
may have lost to a cheaper form, and a block of a function may not be reached by the inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
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
    tally.traced += len(cases)
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
    for (number, isa), names in sorted(fired.items(), key=lambda item: numbers[item[0][0]]):
        counts.setdefault(isa, Counter()).update(names)
        known = firsts.setdefault(isa, {})
        known.update(dict.fromkeys(names.difference(known), numbers[number]))
    for isa, count in counts.items():
        for name, times in count.items():
            rule = isa, name.partition(" ")[0]
            tally.fired[rule] += times
            tally.firsts[rule] = min(firsts[isa][name], tally.firsts.get(rule, firsts[isa][name]))
