"""What frequent wrong code has in common, before anything is reduced: typings that programs which go wrong hold.

The one idea: a frequent fault shows by counting. Of every eighth batch it is counted which programs hold which opcodes
with types (and conventions), and of every program that goes wrong what it holds; a typing whose programs on an ISA go
wrong many times as often as those without it is a *trigger*. The wrong programs that hold it are explained by it, and
of those that are left the next trigger is sought; so what only occurs beside a trigger is not one.
It says what to look for, not what is wrong: a program may hold a trigger and go wrong for another reason. That is why
who uses it (`steering`, the docket) always lets a part of such programs through.
Counts are in the tallies, so triggers are a function of the batches that are summed up.
Source: Jones, Harrold, "Empirical Evaluation of the Tarantula Automatic Fault-Localization Technique" (2005).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log, sqrt
from statistics import median
from typing import Final, NamedTuple

from liftcheck.campaign.findings.finding import held
from liftcheck.case import Case, CompileFailure
from liftcheck.oracles.base import FindingClass
from liftcheck.oracles.tally import Tally

SAMPLED: Final = 8
"""In one batch of so many it is counted what programs hold."""
_TURN: Final = 3
"""Which of them: one that is not made for rules (`campaign.plan`)."""
ENOUGH: Final = 6
"""Programs that go wrong for a trigger to be one."""
OFTEN: Final = (0.04, 6.0)
SELDOM: Final = (0.01, 20.0)
"""The least share of a trigger's programs that go wrong, and how many times that of the others it is: where few of its
programs do, it must be the clearer, and twice as many."""
COMMON: Final = 0.03
"""The share of programs that hold a typing for it not to be rare."""


class Trigger(NamedTuple):
    """A typing or convention whose programs go wrong on an ISA, in a way (`FindingClass.fold_name`, with a failure's
    words): `wrong` of about `programs`."""

    isa: str
    kind: str
    key: str
    wrong: int
    programs: int

    def __str__(self) -> str:
        return f"{self.key} on {self.isa} ({self.kind}: {self.wrong} of about {self.programs} programs)"


def is_sampled(batch: int) -> bool:
    """Whether it is counted what the programs of a batch hold."""
    return batch % SAMPLED == _TURN


def count_held(cases: Iterable[Case], isas: Sequence[str], tally: Tally) -> None:
    """Counts what programs hold, by the ISAs that they are for."""
    for case in cases:
        own = case.tags.get("isas", isas)
        keys = ("", *held(case))
        for isa in own if isinstance(own, tuple) else isas:
            tally.held.update((isa, key) for key in keys)


def count_wrong(
    case: Case, isas: Iterable[str], row: FindingClass, failure: CompileFailure | None, tally: Tally
) -> None:
    """Counts what a program holds that goes wrong on some ISAs; failures of the compiler by their words."""
    kind = row.fold_name + (f": {failure.reason}" if failure is not None else "")
    keys = " ".join(sorted(held(case)))
    tally.suspects.update((isa, kind, keys) for isa in isas)


def triggers(held_by: Counter[tuple[str, str]], suspects: Counter[tuple[str, str, str]]) -> tuple[Trigger, ...]:
    """The triggers that counts show, by ISA and kind, the clearest first."""
    groups: dict[tuple[str, str], list[tuple[frozenset[str], int]]] = {}
    for (isa, kind, keys), count in sorted(suspects.items()):
        groups.setdefault((isa, kind), []).append((frozenset(keys.split()), count))
    found: list[Trigger] = []
    for (isa, kind), wrong in groups.items():
        while (trigger := _first(isa, kind, wrong, held_by)) is not None:
            found.append(trigger)
            wrong = [(keys, count) for keys, count in wrong if trigger.key not in keys]
    return tuple(found)


def _first(
    isa: str, kind: str, wrong: Sequence[tuple[frozenset[str], int]], held_by: Counter[tuple[str, str]]
) -> Trigger | None:
    """The trigger whose programs go wrong most often, if there is one: what most wrong programs hold is what most
    programs hold. A typing that half of all programs have is not one, since nothing can steer around it."""
    total = sum(count for _, count in wrong)
    if total < ENOUGH:
        return None
    counts: Counter[str] = Counter()
    for keys, count in wrong:
        counts.update(dict.fromkeys(keys, count))
    programs = SAMPLED * (held_by[isa, ""] + 1)
    usual = _usual(isa, counts, total, held_by)
    best, best_score = None, 0.0
    for key, count in sorted(counts.items()):
        if count < ENOUGH:
            continue
        sampled = held_by[isa, key]  # at most so many, and a little more, for it is a sample
        having = max(count, round(SAMPLED * (sampled + sqrt(sampled) + 1)))
        share, others = count / having, (total - count + 1) / max(programs - having, 1)
        sure = (OFTEN, SELDOM) if count >= 2 * ENOUGH else (OFTEN,)
        is_one = any(share > least and share > times * usual * others for least, times in sure)
        score = share * log(count) if is_one and 2 * having < programs else 0.0
        if score > best_score:
            best, best_score = Trigger(isa, kind, key, count, having), score
    return best


def _usual(isa: str, counts: Counter[str], total: int, held_by: Counter[tuple[str, str]]) -> float:
    """How many times as often wrong programs hold a typing as others do, in the middle of all that are not rare: some
    faults need large programs, which hold more of everything. At least 1."""
    programs = held_by[isa, ""]
    times = [
        counts[key] / total / (number / programs)
        for (where, key), number in held_by.items()
        if where == isa and key and COMMON * programs <= number
    ]
    return max(1.0, median(times)) if times else 1.0
