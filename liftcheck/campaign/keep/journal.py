"""The journal of a campaign: what came of its tasks, written while it runs, and read again when it goes on.

The one idea: what a docket makes of findings depends on what arrived, in which order, and on nothing else; so the
journal keeps what arrived, and a docket that hears it again is the docket that was. A batch is in the journal whole or
not at all: what is known of others is dropped when a campaign goes on, and they are judged again.

Kinds of events, with the batch that they belong to: 'found' (a confirmed finding), 'alike' (mismatches that looked like
a known one), 'triggers' (what frequent ones have in common by then), 'trouble', 'reduced' and 'stated' (what came of a
finding's reduction and filetest).
It writes no folders (`shelf.py`) and decides nothing.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from liftcheck.campaign.findings.docket import Docket, Entry, Rank
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.suspicion import Trigger
from liftcheck.campaign.keep.database import GROUP, Database, Statement, packed
from liftcheck.campaign.keep.plain import plain, read
from liftcheck.campaign.options import BATCH
from liftcheck.oracles.tally import Tally


class Event(NamedTuple):
    """One row of the journal; `data` is plain."""

    batch: int
    kind: str
    data: Any


def batch_of(rank: Rank) -> int:
    """The batch of a finding, by its rank in the docket."""
    return rank[1] // BATCH


class Journal:
    """Collects what is to be written; `flush` writes it. What cannot be written (`trouble`) waits for the next."""

    def __init__(self, database: Database, campaign: int) -> None:
        self.database: Final = database
        self.campaign: Final = campaign
        self.trouble = ""
        self.done: set[int] = set()
        self._pending: list[Statement] = []
        self._groups: dict[tuple[int, int], dict[int, Tally]] = {}
        self._rows: set[tuple[int, int]] = set()
        self._view: dict[str, tuple[Any, ...]] = {
            row[0]: row[1:]
            for row in database.rows(
                "SELECT key, folder, class, isa, count, seconds, reduced FROM finding WHERE campaign = ?", (campaign,)
            )
        }

    def found(self, batch: int, finding: Finding) -> None:
        self._event(batch, "found", plain(finding))

    def alike(self, batch: int, counts: Mapping[str, int]) -> None:
        if counts:
            self._event(batch, "alike", dict(counts))

    def aimed(self, batch: int, triggers: Sequence[Trigger]) -> None:
        self._event(batch, "triggers", plain(triggers))

    def troubles(self, batch: int, troubles: Iterable[tuple[str, str]]) -> None:
        for name, text in troubles:
            self._event(batch, "trouble", [name, text])

    def worked(self, kind: str, entry: Entry, result: Sequence[Finding]) -> None:
        """A reduction ('reduced') or a filetest ('stated') of an entry as it stands before the docket hears of it."""
        data = [list(entry.rank), entry.finding.key, plain(result)]
        self._event(batch_of(entry.rank), kind, data)

    def _event(self, batch: int, kind: str, data: Any) -> None:
        self._pending.append(
            (
                "INSERT INTO event(campaign, batch, kind, body) VALUES(?, ?, ?, ?)",
                (self.campaign, batch, kind, packed(data)),
            )
        )

    def complete(self, batch: int, programs: int, tally: Tally, is_cut: bool) -> None:
        """A batch has its verdicts. `is_cut`: some are missing for lack of time."""
        self.done.add(batch)
        self._put(batch, 1, programs, tally, is_cut)
        if not is_cut and programs == BATCH:
            self.join(batch, 1, tally)

    def _put(self, first: int, count: int, programs: int, tally: Tally, is_cut: bool = False) -> None:
        row = (self.campaign, first, count, programs, int(is_cut), packed(plain(tally)))
        self._pending.append(("INSERT OR REPLACE INTO batch VALUES(?, ?, ?, ?, ?, ?)", row))

    def join(self, first: int, size: int, tally: Tally) -> None:
        """GROUP whole neighbours become one row, whose tally is their sum, when the GROUP after them is whole, too: the
        last batches steer the next ones, by epochs (`campaign/steering.py`), so what each of them did is still asked
        for. GROUP is a multiple of an epoch."""
        whole = size * GROUP
        start = first // whole * whole
        group = self._groups.setdefault((start, whole), {})
        group[first] = tally
        if size > 1:
            self._rows.add((first, size))
        for ready in (start - whole, start):
            if self._is_full(ready, whole) and (
                self._is_full(ready + whole, whole) or (ready + whole, whole) in self._rows
            ):
                self._sum(ready, whole, self._groups.pop((ready, whole)))

    def _is_full(self, start: int, size: int) -> bool:
        return len(self._groups.get((start, size), ())) == GROUP

    def _sum(self, start: int, size: int, group: Mapping[int, Tally]) -> None:
        whole = Tally()
        for one in group.values():
            whole.add(one)
        gone = (self.campaign, start, start + size)
        self._pending.append(("DELETE FROM batch WHERE campaign = ? AND first >= ? AND first < ?", gone))
        self._put(start, size, size * BATCH, whole)
        self.join(start, size, whole)

    def flush(self, known: Mapping[str, tuple[Any, ...]] | None, seconds: float, reducing: float, deaths: int) -> bool:
        """Writes all that is new; `known`: the findings as they stand, as rows by key, if they changed. Whether
        anything was written."""
        view = self._changes(known) if known is not None else []
        if not self._pending and not view:
            return False
        state = (
            "UPDATE campaign SET seconds = ?, reducing = ?, deaths = ? WHERE id = ?",
            (seconds, reducing, deaths, self.campaign),
        )
        try:
            self.database.write([*self._pending, *view, state])
        except (sqlite3.Error, OSError) as error:
            self.trouble = f"{self.database.path}: {error}"
            return False
        self.trouble = ""
        self._pending.clear()
        self._view = dict(known) if known is not None else self._view
        return True

    def _changes(self, known: Mapping[str, tuple[Any, ...]]) -> list[Statement]:
        gone = [key for key in self._view if key not in known]
        new = [(key, row) for key, row in known.items() if self._view.get(key) != row]
        return [
            *(("DELETE FROM finding WHERE campaign = ? AND key = ?", (self.campaign, key)) for key in gone),
            *(
                ("INSERT OR REPLACE INTO finding VALUES(?, ?, ?, ?, ?, ?, ?, ?)", (self.campaign, key, *row))
                for key, row in new
            ),
        ]


def replay(docket: Docket, events: Iterable[Event], complete: int) -> Counter[str]:
    """Lets a new docket hear of everything, and that all cases before `complete` were judged. Gives the counts whose
    finding is not there: it was in a batch that is to be done again."""
    later: list[Event] = []
    homeless: Counter[str] = Counter()
    for event in events:
        if event.kind == "found":
            finding = read(Finding, event.data)
            docket.arrived(finding, finding.seconds)
        elif event.kind == "alike":
            for key, count in event.data.items():
                if not docket.alike(key, count):
                    homeless[key] += count
        elif event.kind == "triggers":
            docket.aim(read(tuple[Trigger, ...], event.data))
        elif event.kind in ("reduced", "stated") and not _worked(docket, event):
            later.append(event)
    docket.complete(complete)
    while later:  # what is left over of a finding comes to be reduced when that has its turn
        left = [event for event in later if not _worked(docket, event)]
        if len(left) == len(later):
            break
        later = left
    return homeless


def _worked(docket: Docket, event: Event) -> bool:
    """Whether the docket has the entry that was reduced or stated; then it hears what came of it."""
    rank, key, result = event.data
    entry = docket.waiting_as(tuple(rank), key)
    if entry is None or not (entry.written or docket.strict):
        return False
    findings = read(list[Finding], result)
    (docket.reduced if event.kind == "reduced" else docket.stated)(entry, findings)
    return True
