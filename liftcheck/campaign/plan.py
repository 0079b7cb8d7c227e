"""What a batch is: its programs, made by numbers of the campaign's seed.

The one idea: every program is a function of the campaign's seed and of its own number; the plan says what it is made
for: nothing in particular, typings that are due, left-hand sides of the compiler's rules, a place of a space, a seed.
Settings and targets are the planner's (`planner`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from liftcheck.campaign.options import BATCH, FuzzOptions, case_seed
from liftcheck.campaign.seeds import Seeds
from liftcheck.case import Case, Target
from liftcheck.generators import generate as programs
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.exhaustive import Space
from liftcheck.generators.exhaustive_emit import emit
from liftcheck.generators.tables import Context
from liftcheck.oracles.base import Oracle

INPUTS: Final = 8
SCHEDULED: Final = 8
"""Every eighth program holds what is due on the schedule of typings (`generators.schedule`)."""
DIRECTED: Final = ((0, 8), (512, 16), (2048, 32))
"""From which batch on one in how many is made of the left-hand sides of the compiler's rules (`generators.rules`). Such
a batch is traced, too, and takes two thirds longer than another. Two rounds through all rules are over at the second
stage; after the third the few that are still cold are aimed at all the same, and most of the time goes to programs."""
_OF_RULES: Final = tuple(place for place in range(BATCH) if place % SCHEDULED not in (2, SCHEDULED - 1))
"""The programs of such a batch that hold them."""


def is_directed(batch: int) -> bool:
    """Whether a batch is made of the left-hand sides of the compiler's rules."""
    every = next(every for start, every in reversed(DIRECTED) if batch >= start)
    return batch % every == every - 1


def directed_before(batch: int) -> int:
    """How many batches before this one are directed."""
    ends = (*(start for start, _ in DIRECTED[1:]), batch)
    return sum(max(0, min(end, batch) // every - start // every) for (start, every), end in zip(DIRECTED, ends))


@dataclass(frozen=True, slots=True)
class Plan:
    """One batch. `around`: for what its programs are made that nothing is due in, if they steer around something."""

    options: FuzzOptions
    numbers: range
    targets: tuple[Target, ...]
    profile: str
    context: Context
    directed: bool = False
    cold: bytes = b""
    oracles: tuple[Oracle, ...] = ()
    space: Space | None = None
    space_start: int = 0
    around: Context | None = None
    seeds: Seeds | None = None

    def generate(self, only: int | None, troubles: list[tuple[str, str]]) -> list[Case]:
        """The batch's cases, or the one numbered `only`. Each has its place among the data regions, whatever is left
        out."""
        first = self.numbers.start
        cases: list[Case] = []
        for number in self.numbers if only is None else [only] if only in self.numbers else []:
            name = f"seed {self.options.seed} case {number}"
            make = self._mutant if self.seeds else self._random if self.space is None else self._numbered
            try:
                cases += make(number, (number - first) * INPUTS, name)
            except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
                troubles.append((name, f"generator: {type(error).__name__}: {error}"))
        return cases

    def _random(self, number: int, slot: int, name: str) -> Iterator[Case]:
        choices = RandomChoices(case_seed(self.options.seed, number))
        turn = number // SCHEDULED if number % SCHEDULED == SCHEDULED - 1 else None
        rule_turn = self._rule_turn(number)
        is_free = turn is None and rule_turn is None
        yield programs.generate(
            choices,
            self.profile,
            self.around if self.around is not None and is_free else self.context,
            slot=slot,
            name=name,
            turn=turn,
            rule_turn=rule_turn,
            cold=self.cold,
            tags={"seed": self.options.seed, "number": number},
        )

    def _mutant(self, number: int, slot: int, name: str) -> Iterator[Case]:
        """A program made of a seed."""
        choices = random.Random(case_seed(self.options.seed, number))
        if self.seeds is not None:
            yield self.seeds.case(choices, self.context, slot, name, {"seed": self.options.seed, "number": number})

    def _numbered(self, number: int, slot: int, name: str) -> Iterator[Case]:
        """A program of a space; the last batch of a world may have fewer."""
        space, place = self.space, number - self.space_start
        if space is not None and place < len(space):
            yield emit(space, place, slot, name, {"seed": self.options.seed, "number": number})

    def _rule_turn(self, number: int) -> int | None:
        """Which of all turns of rules a program has; None if it has none."""
        if not self.directed or number % BATCH not in _OF_RULES:
            return None
        return directed_before(number // BATCH) * len(_OF_RULES) + _OF_RULES.index(number % BATCH)


assert BATCH * INPUTS <= 256
