"""A pass of several steps at once, for faults that need a coincidence.

The one idea: a fault may show only if a value happens to be in a certain register, which each step of another pass
moves it out of; after a few steps it is there again with a chance of one in the number of registers. So where single
steps have come to an end and much is left, random steps are made one after another, some hundred times. What is random
is a function of the site and the program alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice, takewhile
from random import Random
from typing import Final

from liftcheck.case import Case

Probe = Callable[[Case], "tuple[int, ...] | None"]
"""What the reference returns for the case's first input; None if it does not return."""
Pass = Callable[[Case, int, Probe], "Sequence[Case] | Iterator[Case] | None"]

ENOUGH: Final = 8
"""A program of no more instructions is left as it is."""
TRIES: Final = 600
_STEPS: Final = (2, 7)
_WAYS: Final = 3
"""Of the candidates at a site only the first few."""


def length(case: Case) -> int:
    """How many instructions the program has."""
    return sum(len(block.insts) for function in case.module.functions for block in function.blocks)


def several(passes: Sequence[Pass]) -> Pass:
    """The pass that combines steps of these."""

    def combined(case: Case, site: int, probe: Probe) -> Sequence[Case] | None:
        if site >= TRIES or (left := length(case)) <= ENOUGH:
            return None
        draw = Random(site << 16 | left)
        for _ in range(draw.randint(*_STEPS)):
            case = _step(case, passes, draw, probe)
        return [case]

    return combined


def _step(case: Case, passes: Sequence[Pass], draw: Random, probe: Probe) -> Case:
    """What a step at a random site of one of the passes makes of a case; the case itself if that has nothing."""
    chosen = draw.choice(passes)
    sites = takewhile(lambda made: made is not None, (chosen(case, site, probe) for site in count()))
    found = [made for made in sites if made is not None]
    ways = list(islice(draw.choice(found), _WAYS)) if found else []
    return draw.choice(ways) if ways else case
