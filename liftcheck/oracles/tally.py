"""What was counted in a stretch of a campaign: programs, pairs, verdicts with their reasons, time by stage.

The one idea: tallies add up, so workers send theirs and nothing is counted twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

STAGES: Final = ("generate", "interpret", "compile", "validate", "link", "run", "compare", "confirm", "reduce")
"""What a worker's time goes to, in the order of a program's way."""


@dataclass(slots=True)
class Tally:
    """What a stretch of a campaign did. Keys of the counters: an ISA, or (ISA, class or reason). `validated` counts
    functions.

    traced   programs of which the compiler said which of its rules matched
    fired    (ISA, rule's place) -> how many of them held code of the rule that was run and compared
    firsts   the same -> the least number of such a program
    baseline (ISA, 'pairs' or 'agreed') of the other compiler, if there are two
    held     (ISA, typing or '' for all) -> programs of sampled batches that hold it (`campaign.suspicion`)
    suspects (ISA, kind of finding, typings with spaces between) -> programs that go wrong and hold just these
    """

    programs: int = 0
    pairs: Counter[str] = field(default_factory=Counter)
    agreed: Counter[str] = field(default_factory=Counter)
    disagreed: Counter[tuple[str, str]] = field(default_factory=Counter)
    undecided: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    validated: Counter[tuple[str, str]] = field(default_factory=Counter)
    programs_by_isa: Counter[str] = field(default_factory=Counter)
    executed: dict[str, Counter[str]] = field(default_factory=dict)
    behaviour: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    traced: int = 0
    fired: Counter[tuple[str, str]] = field(default_factory=Counter)
    firsts: dict[tuple[str, str], int] = field(default_factory=dict)
    baseline: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    suspects: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def spend(self, stage: str, seconds: float) -> None:
        """Counts time to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add(self, other: Tally) -> None:
        """Adds another stretch to this one."""
        self.programs += other.programs
        self.traced += other.traced
        self.fired.update(other.fired)
        self.held.update(other.held)
        self.suspects.update(other.suspects)
        self.firsts = _least(self.firsts, other.firsts)
        for name in (
            "pairs",
            "agreed",
            "disagreed",
            "undecided",
            "refused",
            "validated",
            "programs_by_isa",
            "behaviour",
            "baseline",
        ):
            getattr(self, name).update(getattr(other, name))
        for stage, seconds in other.seconds.items():
            self.spend(stage, seconds)
        for isa, counts in other.executed.items():
            self.executed.setdefault(isa, Counter()).update(counts)


def _least(some: dict[tuple[str, str], int], more: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """The lesser number of each key."""
    if not some or not more:
        return {**some, **more}
    return some | more | {key: min(some[key], more[key]) for key in some.keys() & more.keys()}
