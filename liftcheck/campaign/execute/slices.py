"""Reductions in slices: who gets the next one, and whether they have had their share.

The one idea: while programs are wanted, a slice is given out only if in the last `WINDOW` seconds all slices together,
those under way included, stay below `share` of the workers' time. One that takes more than all of it alone is given out
too, and none after it for as long as makes it that share. So whatever a campaign finds, it goes on judging.
A reduction lives in the worker that began it (`seat`); if that dies it begins anew elsewhere, twice at most.
A finding's filetest (`campaign.findings.reproduce`) comes before its reduction, as a slice of its own: so it costs no
batch anything. It decides neither what is reduced nor what comes of it: `campaign/findings/docket.py` does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from liftcheck.campaign.execute.tasks import Task
from liftcheck.campaign.findings.docket import Entry

WINDOW: Final = 20.0
SHARE: Final = 0.13
LEARNING: Final = 0.4
LATER: Final = 0.06
"""Of all workers' time: as a rule; while a campaign is young and much of what it found looks like nothing known; when
it is not young any more. The longest step comes on top: a step is not interrupted."""
EARLY: Final = 240.0
MANY: Final = 6
"""Seconds for which a campaign is young; so many findings are much."""
SLICE: Final = 0.25
LONG_SLICE: Final = 1.0
"""Seconds of a slice while programs are wanted, and afterwards."""
USUAL: Final = 0.5
"""Seconds of the longest step, at most, that every slice is expected to overrun by; longer ones are expected only of
the reduction that had them."""
TRIES: Final = 3
"""Workers that may die of a reduction. Not fewer: somebody may kill one that only happens to reduce."""

Next = Callable[[], "Entry | None"]


@dataclass(slots=True, eq=False)
class _Running:
    """A reduction that has begun. `seat` -1: in no worker, it is to begin anew; `out`: a slice of it is under way."""

    entry: Entry
    ident: int
    seat: int = -1
    out: bool = False
    tries: int = 0
    longest: float = 0.0


class Slices:
    """See the module. `share`: of the workers' time; `until`: when their searches must end, by the monotonic clock."""

    def __init__(self, jobs: int, until: float) -> None:
        self.jobs = jobs
        self.until = until
        self.share = SHARE
        self.running: dict[int, _Running] = {}
        self._forgotten: deque[tuple[int, int]] = deque()
        self._spent: deque[tuple[float, float]] = deque()
        self._idents = 0
        self._longest = 0.0

    def may(self, step: float = 0.0) -> bool:
        """Whether one more slice is within their share, if its last step takes `step` seconds or as long as others'."""
        now = time.monotonic()
        while self._spent and self._spent[0][0] < now - max(WINDOW, self._spent[0][1] / (self.share * self.jobs)):
            self._spent.popleft()
        slice_ = SLICE + min(self._longest, USUAL)
        under_way = sum(max(slice_, one.longest) for one in self.running.values() if one.out)
        spent = sum(seconds for _, seconds in self._spent) + under_way
        return not spent or spent + max(slice_, SLICE + step) <= self.share * WINDOW * self.jobs

    def task(self, seat: int, idle: bool, wanted: bool, following: Next) -> tuple[Task | None, bool]:
        """The next slice for the worker at `seat`, and whether it is to be left to become idle for one. `wanted`:
        programs are; `following`: what is to be reduced next. Only an idle worker begins a reduction."""
        gone = next((pair for pair in self._forgotten if pair[0] == seat), None)
        if gone is not None:
            self._forgotten.remove(gone)
            return Task("forget", ident=gone[1]), False
        mine = next((one for one in self.running.values() if one.seat == seat), None)
        if mine is not None:
            due = not mine.out and (not wanted or self.may(mine.longest))
            return self._slice(mine, wanted) if due else None, False
        homeless = next((one for one in self.running.values() if one.seat < 0), None)
        if (wanted and not self.may()) or (homeless is None and len(self.running) >= self.jobs):
            return None, False
        entry = homeless.entry if homeless is not None else following()
        if entry is None or not idle:
            return None, entry is not None
        chosen = homeless or self._begin(entry)
        chosen.seat = seat
        return self._slice(chosen, wanted)._replace(finding=entry.finding), False

    def statement(self, seat: int, entry: Entry) -> Task:
        """The filetest of a finding that has none, for an idle worker: once no more programs are wanted these come
        first, since a reduction may not end in time."""
        one = self._begin(entry)
        one.seat = seat
        return self._slice(one, False)._replace(finding=entry.finding)

    def _begin(self, entry: Entry) -> _Running:
        self._idents += 1
        entry.busy = True
        begun = self.running[self._idents] = _Running(entry, self._idents)
        return begun

    def _slice(self, one: _Running, wanted: bool) -> Task:
        one.out = True
        if not one.entry.told:
            return Task("state", ident=one.ident)
        return Task("reduce", ident=one.ident, seconds=SLICE if wanted else LONG_SLICE, until=self.until)

    def answered(self, ident: int, seconds: float, longest: float, more: bool) -> Entry | None:
        """A slice is back; the entry whose reduction is done, if it is and is still wanted."""
        self._spent.append((time.monotonic(), seconds))
        self._longest = max(self._longest, longest)
        one = self.running.get(ident)
        if one is None:
            return None
        one.out, one.longest = False, max(one.longest, longest)
        if more:
            return None
        del self.running[ident]
        return one.entry

    def states(self) -> bool:
        """Whether a filetest is being made."""
        return any(not one.entry.told for one in self.running.values())

    def died(self, seat: int, guilty: int) -> Entry | None:
        """A worker died: what it was reducing begins anew; what killed TRIES of them (ident `guilty`) is given back."""
        for one in self.running.values():
            if one.seat == seat:
                one.seat, one.out = -1, False
        culprit = self.running.get(guilty)
        if culprit is not None:
            culprit.tries += 1
            if culprit.tries >= TRIES:
                return self.running.pop(guilty).entry
        return None

    def dropped(self, entry: Entry) -> None:
        """A reduction is not wanted any more."""
        for one in [one for one in self.running.values() if one.entry is entry]:
            del self.running[one.ident]
            if one.seat >= 0:
                self._forgotten.append((one.seat, one.ident))
