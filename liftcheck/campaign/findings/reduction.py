"""One finding's reduction from its beginning to its end, in steps.

The one idea: everything that a reduction does is charged to one `Meter`: cutting out what CLIF leaves open, the search
for a smaller program, the settings, the vote on the result, what is left over. The search may take a part of the
limits only, so that the rest has time too. It yields between any two questions, so a campaign does it in slices.

What does not end is asked in haste (`runners.patience`), and the result in earnest: if it ends after all, the search
begins again with patience.

A reduction that gets nowhere says why (`Finding.note`): by the objections that its candidates met.
What a question is, and who votes: `investigate.py`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.campaign.findings.finding import Finding, fold_key
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.likeness import alike, effort, probe
from liftcheck.campaign.reduce.answers import ALONE, Panel
from liftcheck.campaign.reduce.crowd import crowded
from liftcheck.campaign.reduce.edit import is_coherent
from liftcheck.campaign.reduce.engine import (
    Limits,
    Meter,
    Reduced,
    cost,
    finished,
    reduce_case,
    reduce_settings,
    tidied,
)
from liftcheck.campaign.reduce.passes import INNER, PASSES, SEVERAL, narrow_inputs
from liftcheck.campaign.reduce.several import ENOUGH, Pass, length
from liftcheck.campaign.reduce.untaint import untainted
from liftcheck.campaign.reduce.visible import left_open
from liftcheck.case import Case, Target
from liftcheck.clif.verify import verify
from liftcheck.oracles.classes import class_of
from liftcheck.oracles.tally import Tally

CUT: Final = 0.25
SEARCH: Final = 0.7
SETTINGS: Final = 0.85
"""Shares of the limits after which a part of a reduction gives way to the next."""
QUESTIONS_A_SECOND: Final = 40
"""What stands for a second where the result may not depend on how fast the machine is."""
HASTY_PRICE: Final = 4
"""What an answer costs at most, in questions, where candidates are asked in haste."""
_REASONS: Final = 4
_EARLIER: Final = 8
"""Votes on earlier programs, where that on the smallest clears it."""

Steps = Generator[None, None, list[Finding]]


def counted(seconds: float) -> Limits:
    """Limits in questions alone."""
    return Limits(float("inf"), max(1, round(seconds * QUESTIONS_A_SECOND)))


class Query(NamedTuple):
    """What another process is asked of a candidate: the arguments of `Investigator.objection`."""

    case: Case
    fuel: int
    hasty: bool


def reduce_finding(desk: Investigator, finding: Finding, limits: Limits, panel: Panel = ALONE) -> list[Finding]:
    """`reduction` at a stretch."""
    return finished(reduction(desk, finding, Meter(limits), panel))


def reduction(desk: Investigator, finding: Finding, meter: Meter, panel: Panel = ALONE) -> Steps:
    """The finding with a smaller program, then separate findings for targets that this program no longer shows.
    `panel`: who asks about candidates."""
    fuel, hasty = effort(finding), _in_haste(finding)
    start, why = yield from _start(desk, finding, fuel, meter)
    if start is None:
        note = f"Not reduced: the program itself, when tried again, is one of those that {why}."
        return [desk.told(dataclasses.replace(finding, note=note))]
    search = _Search(desk, finding, meter, hasty, panel, [])
    found, done = yield from _searched(search, start)
    believed = not hasty or not desk.objection(done.case, found, fuel)
    yield from meter.pause()
    if not believed:
        hasty = False
        found, done = yield from _searched(search._replace(hasty=False), start)
    if cost(done.case) >= cost(finding.case):
        return [desk.told(dataclasses.replace(finding, note=nowhere(done)))]
    target = yield from reduce_settings(
        finding.target, lambda t: desk.objection_on(t, done.case, found, fuel, hasty), meter, SETTINGS
    )
    made = yield from _finished(desk, finding, done, target, meter)
    if not made[0].reduced:
        made = (yield from _earlier(search, done)) or made
    return made


def _earlier(search: _Search, done: Reduced) -> Generator[None, None, list[Finding]]:
    """What an earlier program of the search makes of the finding, whose smallest a vote cleared: its fault may show
    only beside what is left of other runs. The smallest that a few votes, further and further back, do not clear."""
    trail = search.trail[::-1]
    kept: list[Finding] = []
    cleared, good = 0, len(trail)
    for _ in range(_EARLIER):
        doubled = 2 * cleared + 1
        at = doubled if doubled < good and not kept else (cleared + good) // 2
        if not cleared < at < good or search.meter.over():
            break
        case = done._replace(case=trail[at])
        made = yield from _finished(search.desk, search.finding, case, search.finding.target, search.meter)
        if made[0].reduced:
            good, kept = at, made
        else:
            cleared = at
    return kept


def _in_haste(finding: Finding) -> bool:
    """Whether candidates are asked without the patience that runs without an end deserve."""
    return finding.row.dies and finding.failure is None


class _Search(NamedTuple):
    """The search for a smaller program that shows a finding. `trail`: the programs that it came by."""

    desk: Investigator
    finding: Finding
    meter: Meter
    hasty: bool
    panel: Panel
    trail: list[Case]

    def answers(self, candidates: Iterable[Case | None]) -> Iterator[tuple[Case, str] | None]:
        """What is objected to candidates."""
        desk, finding, fuel, hasty = self.desk, self.finding, effort(self.finding), self.hasty
        price = min(finding.row.price, HASTY_PRICE) if hasty else finding.row.price

        def question(case: Case) -> str:
            return desk.objection(case, finding, fuel, hasty=hasty)

        for answer in self.panel.answers(question, lambda case: Query(case, fuel, hasty))(candidates):
            if answer is not None:
                desk.remember(*answer)
                self.meter.charge(0 if answer[1] else price)
                if not answer[1]:
                    self.trail.append(answer[0])
            yield answer

    def probe(self, case: Case) -> tuple[int, ...] | None:
        """What the reference returns for a case."""
        return probe(case, self.finding.target)

    def reduced(self, start: Case, passes: Sequence[Pass], seen: dict[int, None]) -> Generator[None, None, Reduced]:
        """What passes leave of a program."""
        return (yield from reduce_case(start, self.answers, self.probe, self.meter, SEARCH, passes, seen))

    def by(self, finding: Finding) -> _Search:
        """The search for another finding, about which no other process can be asked."""
        return self._replace(finding=finding, panel=ALONE)


def _searched(search: _Search, start: Case) -> Generator[None, None, tuple[Finding, Reduced]]:
    """The smallest program that the search finds, and what it is a program of: the finding, perhaps with another
    witness. Where steps that take away leave much, it tries what has values in all registers, then several steps."""
    seen: dict[int, None] = {}
    done = yield from search.reduced(start, PASSES, seen)
    if length(done.case) <= ENOUGH:
        return search.finding, done
    other = yield from _crowded(search, done.case)
    if other is not None:
        search, done, seen = search.by(other.finding), other.done, other.seen
    last = yield from search.reduced(done.case, (SEVERAL, *PASSES), seen)
    return search.finding, last._replace(refused=last.refused + done.refused)


class _Around(NamedTuple):
    """A way round: a finding with its own witness, the program found for it, what was asked on the way."""

    finding: Finding
    done: Reduced
    seen: dict[int, None]


def _crowded(search: _Search, case: Case) -> Generator[None, None, _Around | None]:
    """What is left of a program with values in all registers that shows the finding, if that is shorter. Such a program
    may go wrong on the finding's witness, too: its own vote then gives it another one."""
    free = search.by(dataclasses.replace(search.finding, witness=None))
    for candidate in crowded(case, search.probe):
        if search.meter.over(SEARCH):
            return None
        if verify(candidate.module) or not is_coherent(candidate):
            continue
        search.meter.charge()
        shown = next((answer[1] == "" for answer in free.answers([candidate]) if answer is not None), False)
        yield from search.meter.pause()
        voted = _voted(search, candidate) if shown else None
        if voted is not None:
            seen: dict[int, None] = {}
            inner = yield from search.by(voted).reduced(candidate, INNER, {})
            found = yield from search.by(voted).reduced(inner.case, PASSES, seen)
            return _Around(voted, found, seen) if length(found.case) < length(case) else None
    return None


def _voted(search: _Search, case: Case) -> Finding | None:
    """The finding with the witness that a vote on a program gives it; None if it is voted to be another fault."""
    desk, finding = search.desk, search.finding
    found = [s for s in desk.judge_for(finding).judge([case], [finding.target], Tally()) if alike(s, finding)]
    verdict = desk.vote(case, found[0]) if found else None
    if verdict is None or not verdict.klass or not class_of(verdict.klass).is_kin(finding.row):
        return None
    return dataclasses.replace(finding, witness=verdict.witness)


def _start(
    desk: Investigator, finding: Finding, fuel: int, meter: Meter
) -> Generator[None, None, tuple[Case | None, str]]:
    """The program that the search begins with: swept, as it is, or without what CLIF leaves open; or why there is
    none."""
    case = finding.case
    narrow = narrow_inputs(case, [finding.run]) if finding.run < len(case.inputs) else case
    why = ""
    for start in (tidied(narrow), tidied(narrow, lambda _name, _value: True), case):
        meter.charge()
        why = desk.objection(start, finding, fuel)
        yield from meter.pause()
        if not why:
            return start, ""
    cut = yield from untainted(
        tidied(narrow, lambda _name, _value: True),
        lambda c: desk.objection(c, finding, fuel, shown=True),
        lambda c: left_open(c, 0, finding.target.big_endian, fuel) is None,
        lambda c: probe(c, finding.target),
        meter,
        CUT,
    )
    if cut is not None:
        meter.charge()
        why = desk.objection(cut, finding, fuel)
        yield from meter.pause()
    return (cut if not why else None), why


def nowhere(done: Reduced) -> str:
    """Why a search found nothing."""
    tried = sum(done.refused.values())
    what = "Not made smaller"
    if not tried:
        return f"{what}: " + ("there is nothing to take away." if done.complete else "the limit was reached at once.")
    limit = "" if done.complete else " The limit was reached before all were tried."
    return f"{what}: of {tried} smaller programs {reasons(done.refused)}.{limit}"


def reasons(refused: Counter[str]) -> str:
    """Why candidates were unsuitable, the most frequent first."""
    shown = [f"{count} {why}" for why, count in sorted(refused.items(), key=lambda item: (-item[1], item[0]))]
    more = sum(refused.values()) - sum(count for _, count in refused.most_common(_REASONS))
    return "; ".join([*shown[:_REASONS], *([f"{more} are unsuitable for other reasons"] if more else [])])


def _finished(desk: Investigator, finding: Finding, done: Reduced, target: Target, meter: Meter) -> Steps:
    """Votes on the reduced case and fills in what its page needs."""
    case = done.case
    smaller = dataclasses.replace(finding, target=target)
    mismatches = [s for s in desk.judge_for(finding).judge([case], [target], Tally()) if alike(s, smaller)]
    yield from meter.pause()
    if not mismatches:
        return [
            desk.told(dataclasses.replace(finding, note="Not reduced: the smaller program did not go wrong again."))
        ]
    verdict = desk.vote(case, mismatches[0])
    yield from meter.pause()
    if not verdict.klass or not class_of(verdict.klass).is_kin(finding.row):
        why = verdict.reason or f"it is called {verdict.klass}"
        return [desk.told(dataclasses.replace(finding, note=f"Not reduced: in the vote on the smaller program {why}."))]
    named = dataclasses.replace(case, tags=finding.case.tags, name=finding.case.name)
    others = [t for t in finding.targets if t != finding.target]
    seen = desk.judge_for(finding).judge([named], others, Tally()) if others else []
    again = {s.target for s in seen if alike(s, finding)}
    yield from meter.pause()
    made = desk.finding(named, mismatches[0], (target, *(t for t in others if t in again and t != target)), verdict)
    note = "" if done.complete else "The limit was reached: `liftcheck reduce` may make it smaller still."
    made = dataclasses.replace(
        made,
        original=finding.case,
        reduced=True,
        seconds=finding.seconds,
        note=note,
        witness=made.witness or finding.witness,
    )
    made = desk.told(made)
    made = dataclasses.replace(made, key=fold_key(made))
    yield from meter.pause()
    return [made, *_left_over(desk, finding, tuple(t for t in others if t not in again))]


def _left_over(desk: Investigator, finding: Finding, targets: tuple[Target, ...]) -> list[Finding]:
    """Another finding for the targets that have a fault of their own in the original program."""
    if not targets or finding.failure is not None:
        return []
    mismatches = [s for s in desk.judge.judge([finding.case], list(targets), Tally()) if alike(s, finding)]
    return desk.investigate(finding.case, mismatches, Tally()) if mismatches else []
