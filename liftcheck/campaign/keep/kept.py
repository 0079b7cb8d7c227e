"""A folder's campaigns, read back.

The one idea: a `Kept` is one campaign as far as the folder knows it. What continues, merges or reports reads this, and
nothing else reads the tables. It changes nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from liftcheck.campaign.keep import database
from liftcheck.campaign.keep.database import Database, unpacked
from liftcheck.campaign.keep.journal import Event
from liftcheck.campaign.keep.plain import plain, read
from liftcheck.campaign.options import BATCH, FuzzOptions
from liftcheck.errors import InputError
from liftcheck.oracles.tally import Tally

HERE_ONLY: Final = ("seconds", "cases", "jobs", "out", "reduce_seconds")
"""Options that change no program: how much of a campaign is done, where, and how small its findings are made."""


class Stretch(NamedTuple):
    """Complete batches beside one another, whose tallies are one."""

    first: int
    size: int
    programs: int
    is_cut: bool
    tally: Tally

    @property
    def batches(self) -> range:
        return range(self.first, self.first + self.size)


@dataclass(frozen=True, slots=True)
class Kept:
    """One campaign of a folder. `names`: key of a finding -> its folder; `reducing`: seconds of workers that went to
    reductions."""

    folder: Path
    ident: int
    uid: str
    options: FuzzOptions
    compiler: str
    made_by: str
    began: str
    seconds: float
    reducing: float
    deaths: int
    is_merged: bool
    stretches: tuple[Stretch, ...]
    events: tuple[Event, ...]
    names: dict[str, str]
    again: tuple[int, ...] = ()
    """Batches that `to_go_on` left out."""

    @property
    def identity(self) -> str:
        """What campaigns share whose batches of one number are the same programs on the same compiler."""
        return identity(self.options, self.compiler)

    @property
    def done(self) -> set[int]:
        """The numbers of the complete batches."""
        return {batch for one in self.stretches for batch in one.batches}

    @property
    def missing(self) -> list[int]:
        """The numbers below the highest of the complete ones that are not."""
        done = self.done
        return [batch for batch in range(max(done, default=-1) + 1) if batch not in done]

    @property
    def complete(self) -> int:
        """So many batches from the first one on are complete."""
        missing = self.missing
        return missing[0] if missing else max(self.done, default=-1) + 1

    def tally(self) -> Tally:
        """The sum."""
        whole = Tally()
        for one in self.stretches:
            whole.add(one.tally)
        if self.reducing:
            whole.spend("reduce", self.reducing)
        return whole

    def troubles(self) -> list[tuple[str, str]]:
        return [(event.data[0], event.data[1]) for event in self.events if event.kind == "trouble"]

    def to_go_on(self, options: FuzzOptions) -> Kept:
        """Without the batches that are to be done again, as time cut them short or they have more programs now; if
        there is time for any."""
        if options.seconds is not None and self.seconds >= options.seconds:
            return self
        again = [
            one for one in self.stretches if one.is_cut or (one.size == 1 and one.programs < _size(options, one.first))
        ]
        gone = {batch for one in again for batch in one.batches}
        done = self.done - gone
        return dataclasses.replace(
            self,
            stretches=tuple(one for one in self.stretches if one.first not in gone),
            events=tuple(event for event in self.events if event.batch in done),
            again=tuple(sorted(gone | {event.batch for event in self.events if event.batch not in done})),
        )


def _size(options: FuzzOptions, batch: int) -> int:
    return BATCH if options.cases is None else max(0, min(BATCH, options.cases - batch * BATCH))


def identity(options: FuzzOptions, compiler: str) -> str:
    """See `Kept.identity`."""
    asked = {name: value for name, value in plain(options).items() if name not in HERE_ONLY}
    return json.dumps({**asked, "compiler": compiler}, sort_keys=True)


def all_in(folder: Path) -> list[Kept]:
    """The folder's campaigns, the oldest first; InputError if there is none, or it cannot be read."""
    held = database.look(folder / database.NAME)
    try:
        return read_all(held, folder)
    finally:
        held.close()


def read_all(held: Database, folder: Path) -> list[Kept]:
    """The campaigns of an open database."""
    try:
        return [
            _campaign(held, folder, row)
            for row in held.rows(
                "SELECT id, uid, options, compiler, made_by, began, seconds, reducing, deaths, is_merged "
                "FROM campaign ORDER BY id"
            )
        ]
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise InputError.at(f"not a campaign of ours: {type(error).__name__}: {error}", str(held.path)) from error


def _campaign(held: Database, folder: Path, row: tuple[Any, ...]) -> Kept:
    ident, uid, options, *rest = row
    compiler, maker, began, seconds, reducing, deaths, is_merged = rest
    return Kept(
        folder,
        ident,
        uid,
        read(FuzzOptions, json.loads(options)),
        compiler,
        maker,
        began,
        seconds,
        reducing,
        deaths,
        bool(is_merged),
        tuple(_stretches(held.rows("SELECT * FROM batch WHERE campaign = ? ORDER BY first", (ident,)))),
        tuple(_events(held.rows("SELECT batch, kind, body FROM event WHERE campaign = ? ORDER BY id", (ident,)))),
        dict(held.rows("SELECT key, folder FROM finding WHERE campaign = ? AND folder NOT NULL", (ident,))),
    )


def _stretches(rows: Iterable[tuple[Any, ...]]) -> Iterable[Stretch]:
    for _, first, size, programs, is_cut, tally in rows:
        yield Stretch(first, size, programs, bool(is_cut), read(Tally, unpacked(tally)))


def _events(rows: Iterable[tuple[Any, ...]]) -> Iterable[Event]:
    for batch, kind, body in rows:
        yield Event(batch, kind, unpacked(body))
