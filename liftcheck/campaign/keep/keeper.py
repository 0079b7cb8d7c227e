"""What holds a campaign's folder while it runs: lock, database, journal; and what begins or continues it.

The one idea: the campaign tells what happens, a few times a second it is made to last (`flush`); nothing is asked back.
A folder may hold several campaigns, begun one after the other; the last one is continued.
A disk that is full, or a folder that takes no database, costs the keeping and nothing else: the campaign goes on, and
its report says so.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from liftcheck.campaign.execute.tasks import NO_TIME, Answer
from liftcheck.campaign.findings.docket import Docket, Entry
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.suspicion import Trigger
from liftcheck.campaign.keep import database, kept
from liftcheck.campaign.keep.journal import Journal, replay
from liftcheck.campaign.keep.kept import Kept
from liftcheck.campaign.keep.lock import Lock
from liftcheck.campaign.keep.plain import plain
from liftcheck.campaign.keep.shelf import Shelf
from liftcheck.campaign.options import BATCH, FuzzOptions, batch_cases
from liftcheck.campaign.report import rule_coverage
from liftcheck.errors import InputError, UsageError
from liftcheck.oracles import rounds
from liftcheck.oracles.tally import Tally

CUT: Final = (rounds.NO_TIME, NO_TIME)
"""Reasons for which a pair is undecided because the campaign's time was up."""


class Keeper:
    """See the module. `held`: the campaign that is continued, as far as it goes on; `changed`: in what it goes on with
    something else; `before`: campaigns that were begun in the folder earlier; `trouble`: why it cannot be kept;
    `coverage`: if it goes on, what `coverage.json` had before it began."""

    def __init__(self, options: FuzzOptions, shelf: Shelf) -> None:
        self.options: Final = options
        self.shelf: Final = shelf
        self.held: Kept | None = None
        self.trouble = ""
        self.changed = ""
        self.before = 0
        self.coverage: Any = None
        self._homeless: Counter[str] = Counter()
        self._parts: dict[int, Tally] = {}
        self._reducing = 0.0
        self._deaths = 0
        self._triggers: tuple[Trigger, ...] = ()
        self._lock: Lock | None = None
        self._database: database.Database | None = None
        self._journal: Journal | None = None
        self._earlier: set[str] = set()
        self._is_new = True

    def open(self, is_resumed: bool) -> None:
        """Takes the folder. UsageError if another campaign has it, InputError if there is none to continue."""
        out = self.shelf.out
        if out is None:
            return
        self._lock = Lock(out)
        self._earlier = {place.name for place in out.iterdir() if not place.name.startswith(database.NAME)}
        try:
            self._database = database.make(out / database.NAME)
            if is_resumed:
                self._find(self._database)
        except (sqlite3.Error, OSError) as error:
            if is_resumed:
                raise InputError.at(f"cannot be continued: {error}", str(out / database.NAME)) from error
            self.trouble = f"{out / database.NAME}: {error}"

    def _find(self, held: database.Database) -> None:
        out = self.shelf.out
        assert out is not None
        found = kept.read_all(held, out)
        if not found:
            raise InputError.at("no campaign has begun here", str(out))
        if found[-1].is_merged:
            raise UsageError(f"{out} was made by `liftcheck merge`: continue the campaigns that it was made of")
        self.held = found[-1].to_go_on(self.options)
        rows = dict(held.rows("SELECT name, content FROM earlier"))
        self._earlier = set(rows)
        content = rows.get(rule_coverage.FILE)
        self.coverage = json.loads(content) if content else {}

    def begin(self, compiler: str, made_by: str, docket: Docket) -> None:
        """The compiler is there: writes that the campaign has begun, or lets the docket hear what came before.
        `made_by`: what its programs and their code depend on in addition to options."""
        if self._database is None:
            return
        if self.held is not None:
            if made_by != self.held.made_by:
                self.changed = f"it began with {self.held.made_by}, but this is {made_by}"
            self._continue(self._database, self.held, compiler, docket)
            return
        entered = plain(dataclasses.replace(self.options, out=None))
        row = (uuid.uuid4().hex, json.dumps(entered), compiler, made_by, time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        try:
            ((self.before,),) = self._database.rows("SELECT COALESCE(MAX(id), 0) FROM campaign")
            ident = self.before + 1
            self._database.write(
                [
                    ("INSERT INTO campaign VALUES(?, ?, ?, ?, ?, ?, 0, 0, 0, 0)", (ident, *row)),
                    *(("INSERT OR IGNORE INTO earlier VALUES(?, NULL)", (name,)) for name in sorted(self._earlier)),
                    ("INSERT OR REPLACE INTO earlier VALUES(?, ?)", (rule_coverage.FILE, self._coverage())),
                ]
            )
        except (sqlite3.Error, OSError) as error:
            self.trouble = f"{self._database.path}: {error}"
            return
        self._journal = Journal(self._database, ident)

    def _continue(self, held_in: database.Database, held: Kept, compiler: str, docket: Docket) -> None:
        if compiler != held.compiler:
            raise UsageError(
                f"{held.folder} is a campaign on {held.compiler}, not on {compiler}: "
                "`liftcheck fuzz` without --resume begins one on that"
            )
        done = held.done
        journal = Journal(held_in, held.ident)
        journal.done |= done
        for one in held.stretches:
            if one.programs == one.size * BATCH:
                journal.join(one.first, one.size, one.tally)
        self.shelf.names, self.shelf.is_replaying = held.names, True
        found, docket.found = docket.found, lambda *_: None
        self._homeless = replay(docket, held.events, held.complete * BATCH)
        docket.found = found
        self.shelf.resumed(docket.known, self.options.seed, self._earlier, done.__contains__)
        self._drop(held_in, held)
        self.shelf.sweep(done.__contains__)
        self._reducing, self._deaths = held.reducing, held.deaths
        self._journal = journal

    def _drop(self, held_in: database.Database, held: Kept) -> None:
        """What is known of batches that are to be done again goes."""
        options = json.dumps(plain(dataclasses.replace(self.options, out=None)))
        held_in.write(
            [
                *(
                    statement
                    for batch in held.again
                    for statement in (
                        ("DELETE FROM batch WHERE campaign = ? AND first = ? AND count = 1", (held.ident, batch)),
                        ("DELETE FROM event WHERE campaign = ? AND batch = ?", (held.ident, batch)),
                    )
                ),
                ("UPDATE campaign SET options = ? WHERE id = ?", (options, held.ident)),
            ]
        )

    def _coverage(self) -> str | None:
        """The rules that earlier campaigns executed, if their file can be read."""
        assert self.shelf.out is not None
        try:
            text = (self.shelf.out / rule_coverage.FILE).read_text(encoding="utf-8")
            rule_coverage.read(json.loads(text), rule_coverage.FILE)
        except (OSError, ValueError, InputError):
            return None
        return text

    # -- what happens

    def judged(self, batch: int, findings: Sequence[Finding], answer: Answer, docket: Docket) -> None:
        """What a batch, or a part of it, came to. The docket has the findings already, so their folders are there."""
        for key in [key for key, count in self._homeless.items() if docket.alike(key, count)]:
            del self._homeless[key]
        self._parts.setdefault(batch, Tally()).add(answer.tally)
        if self._journal is None:
            return
        self._is_new |= bool(findings or answer.alike)
        for finding in findings:
            self._journal.found(batch, finding)
        self._journal.alike(batch, answer.alike)
        if docket.triggers != self._triggers and not docket.strict:
            self._triggers = docket.triggers
            self._journal.aimed(batch, docket.triggers)
        self._journal.troubles(batch, answer.troubles)

    def completed(self, batch: int) -> None:
        """All of a batch has its verdicts, or never will."""
        tally = self._parts.pop(batch, Tally())
        if self._journal is not None:
            is_cut = any(reason in CUT for _, reason in tally.undecided)
            self._journal.complete(batch, len(batch_cases(self.options, batch)), tally, is_cut)

    def worked(self, kind: str, entry: Entry, result: Sequence[Finding]) -> None:
        """A reduction or a filetest is there; to be told before the docket hears of it."""
        self._is_new = True
        if self._journal is not None:
            self._journal.worked(kind, entry, result)

    def reducing(self, seconds: float) -> None:
        self._reducing += seconds

    def died(self) -> None:
        self._deaths += 1

    def flush(self, known: Mapping[str, Finding], seconds: float, is_last: bool = False) -> None:
        """Makes all that was told last, after the folders that stand for it, and then removes the others."""
        if self._journal is None:
            self.shelf.sweep(lambda _: False)
            return
        rows = {key: self._row(key, finding) for key, finding in known.items()} if self._is_new or is_last else None
        if self._journal.flush(rows, seconds, self._reducing, self._deaths):
            self._is_new = False
            self.shelf.sweep(self._journal.done.__contains__)
        elif is_last:
            self.shelf.sweep(lambda _: False)
        self.trouble = self._journal.trouble

    def _row(self, key: str, finding: Finding) -> tuple[Any, ...]:
        place = self.shelf.paths.get(key)
        return (
            place.name if place is not None else None,
            finding.klass,
            finding.target.isa,
            finding.count,
            finding.seconds,
            int(finding.reduced),
        )

    def close(self) -> None:
        """The folder is free again."""
        if self._database is not None:
            self._database.close()
        if self._lock is not None:
            self._lock.release()
        self._database = self._journal = self._lock = None
