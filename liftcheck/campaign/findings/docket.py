"""The findings of a campaign: which are one, which are to be reduced, in what order; and their folders kept so.

The one idea: what becomes of a finding depends on those before it in the order of their cases, and on nothing else.
In that order it is folded into an equal one, or into a reduced one that it looks like, or it is reduced. Every first,
second, fourth, eighth … that looks like a known one is reduced all the same, so that nothing new hides behind it for
long. A campaign that is bounded by cases keeps to the order strictly (a result waits for its turn, and a case for all
cases before it), so that its findings do not depend on the number of workers; one that is bounded by time takes things
as they come, and those first that look like nothing known.

A finding is on disk from its arrival on, unreduced; its reduction replaces it. Only what looks like a known one may
wait for its turn in memory, until `close`.
It does not reduce, and it does not know how long anything takes: `campaign/execute/slices.py` and `run.py` do.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from liftcheck.campaign.findings.finding import Familiar, Finding, Like, fold_key, held
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.findings.suspicion import Trigger
from liftcheck.case import Case
from liftcheck.oracles.classes import class_of

MANY_WAIT: Final = 8
"""Findings of a class that takes long, on an ISA, that wait, after which others like them are counted to the first."""
NO_TIME: Final = "Not reduced: the campaign's time was up. `liftcheck reduce` does it."

Rank = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Entry:
    """A finding that waits for its turn. `rank`: its place; `result`: what its reduction gave; `chosen`: it is to be
    reduced for certain; `busy`: a worker has it; `told`: its filetest was made, or takes too long before it is reduced;
    `like`: the key of the known fault that it fails like.
    """

    finding: Finding
    rank: Rank
    opcodes: frozenset[str]
    written: bool = False
    chosen: bool = False
    busy: bool = False
    told: bool = False
    like: str = ""
    result: list[Finding] | None = None


class Docket:
    """See the module. `found` hears of every finding that is written, `dropped` of an entry whose reduction is not
    wanted any more."""

    def __init__(
        self, store: Store, strict: bool, found: Callable[[Finding, str], None], dropped: Callable[[Entry], None]
    ) -> None:
        self.store = store
        self.strict = strict
        self.found = found
        self.dropped = dropped
        self.known: dict[str, Finding] = {}
        self.waiting: list[Entry] = []
        self._reduced: list[Like] = []
        self._alike: Counter[str] = Counter()
        self._complete: Rank = (0,)
        self._renamed: dict[str, str] = {}
        """Key of a failure of the compiler -> that of its fault."""
        self._moved: dict[str, str] = {}
        """Key of any other finding that is gone -> that of the one that stands for it."""
        self.triggers: tuple[Trigger, ...] = ()
        self._provisional: tuple[Like, ...] = ()
        self._holds: dict[str, tuple[Case, frozenset[str]]] = {}

    def arrived(self, finding: Finding, seconds: float) -> None:
        """A confirmed, unreduced finding, `seconds` into the campaign."""
        finding = dataclasses.replace(finding, seconds=seconds)
        self._enter(finding, (int(finding.row.is_long or finding.spared), finding.number or 0))
        self.settle()

    def _enter(self, finding: Finding, rank: Rank) -> None:
        if finding.failure is not None:
            finding = dataclasses.replace(finding, key=fold_key(finding))
        key = self._renamed.get(finding.key, finding.key)
        if key != finding.key and key in self.known:
            if self.strict:
                self._fold(key, finding.count)
                return
            # Words and place are shared by many faults: samples are reduced, for which page proves them.
            alone = dataclasses.replace(finding, key=f"{finding.key} | {finding.case.name}")
            entry = Entry(alone, rank, frozenset(), told=bool(finding.program), like=key)
            bisect.insort(self.waiting, entry, key=lambda one: one.rank)
            return
        key = finding.key
        rival = self._holder(key)
        if rival is not None and rank < rival.rank:
            finding = self._overtake(rival, finding)
        elif key in self.known and (finding.failure is not None or not self.strict):
            self._fold(key, finding.count)
            return
        told = bool(finding.program) or finding.row.dies
        entry = Entry(finding, rank, held(finding.case), told=told)
        bisect.insort(self.waiting, entry, key=lambda one: one.rank)
        if key not in self.known and self._twin(entry) is None:
            self._write(entry)

    def _holder(self, key: str) -> Entry | None:
        """The waiting entry that stands under a key on disk."""
        return next((entry for entry in self.waiting if entry.written and entry.finding.key == key), None)

    def _overtake(self, rival: Entry, finding: Finding) -> Finding:
        """A finding of an earlier case takes an equal one's place, which is folded into it or, if it might yet differ,
        waits after it."""
        count = self.known.pop(rival.finding.key).count
        self.store.forget(rival.finding.key)
        if finding.failure is None:
            self._stop(rival)
            rival.finding = dataclasses.replace(rival.finding, count=count)
            rival.written = rival.chosen = False
            rival.result = None
            return finding
        self._remove(rival)
        return dataclasses.replace(finding, count=finding.count + count)

    def complete(self, number: int) -> None:
        """All cases before `number` have been judged."""
        self._complete = (0, number)
        self.settle()

    def finish(self) -> None:
        """All cases have been judged."""
        self._complete = (2,)
        self.settle()

    def aim(self, triggers: tuple[Trigger, ...]) -> None:
        """What most of the frequent wrong programs have in common. Unless the order is strict, a finding stands for
        all that hold a trigger before it is reduced."""
        if triggers != self.triggers:
            self.triggers = triggers
            self.settle()

    @property
    def unexplained(self) -> int:
        """How many wait that look like nothing known."""
        return sum(not entry.chosen and not entry.busy for entry in self.waiting)

    def _stand_for(self, trigger: Trigger) -> Iterator[Like]:
        """The finding that stands for a trigger: one that is reduced to it, else the first that holds it."""
        alike = [
            one
            for one in self.known.values()
            if (one.failure, one.row.fold_name, one.target.isa) == (None, trigger.kind, trigger.isa)
        ]
        alike.sort(key=lambda one: not one.reduced)
        first = next((one for one in alike if trigger.key in self._held_by(one)), None)
        if first is not None:
            yield Like(first.key, trigger.kind, trigger.isa, frozenset({trigger.key}), first.whose)

    def _held_by(self, finding: Finding) -> frozenset[str]:
        """`held` of a finding's program, which is asked for often."""
        case, keys = self._holds.get(finding.key, (None, frozenset[str]()))
        if case is not finding.case:
            keys = held(finding.case)
            self._holds[finding.key] = finding.case, keys
        return keys

    def settle(self) -> None:
        """Decides whatever can be decided now."""
        if not self.strict:
            self._provisional = tuple(like for one in self.triggers for like in self._stand_for(one))
            for entry in [entry for entry in self.waiting if not entry.chosen]:
                self._choose(entry)
            return
        while self.waiting and self.waiting[0].rank < self._complete:
            entry = self.waiting[0]
            if self._choose(entry):
                if entry.result is None:
                    return
                self._commit(entry, entry.result)

    def _choose(self, entry: Entry) -> bool:
        """Whether an entry is to be reduced; else it is folded and gone."""
        if entry.chosen:
            return True
        key = entry.finding.key
        other = key if not entry.written and key in self.known else self._twin(entry)
        if other == key and entry.written:
            other = None
        if other is not None:
            self._alike[other] += 1
            if other == key or not is_sample(self._alike[other]):
                self._remove(entry)
                if entry.written:
                    entry.finding = dataclasses.replace(entry.finding, count=self.known.pop(key).count)
                    self._moved[key] = other
                    self.store.forget(key)
                self._fold(other, entry.finding.count)
                return False
        entry.chosen = self.strict or other is not None
        if not entry.written:
            self._write(entry)
        return True

    def next(self, dear: bool, ahead: int) -> Entry | None:
        """What is to be reduced next, if anything; `dear`: what takes long too. In strict order no further than `ahead`
        places from the first that waits."""
        idle = [
            entry
            for entry in self._eligible(ahead)
            if not entry.busy and entry.result is None and entry.written and (dear or not entry.finding.row.is_long)
        ]
        first = {like.key for like in self._provisional}
        idle.sort(key=lambda entry: entry.finding.key not in first)
        return next((entry for entry in idle if self._twin(entry) is None), idle[0] if idle else None)

    def untold(self) -> Entry | None:
        """The first on disk whose filetest was not made."""
        return next((entry for entry in self.waiting if entry.written and not entry.told and not entry.busy), None)

    def stated(self, entry: Entry, stated: list[Finding]) -> None:
        """The filetest of an entry's finding was made; [] if that came to nothing."""
        entry.busy, entry.told = False, True
        for one in stated:
            more: Any = {"program": one.program, "unsaid": one.unsaid, "fault": one.fault}
            entry.finding = dataclasses.replace(entry.finding, **more)
            if entry.written:
                known = self.known[entry.finding.key] = dataclasses.replace(self.known[entry.finding.key], **more)
                self.store.save(entry.finding.key, known)
            if one.fault and not self.strict:
                self._recognise(entry)
        self.settle()

    def _recognise(self, entry: Entry) -> None:
        """An entry's cause is known: it is folded into the finding that shows it, or stands for it from now on."""
        old, key = entry.finding.key, fold_key(entry.finding)
        if key == old or not entry.written:
            return
        known = self.known.pop(old)
        (self._moved if known.failure is None else self._renamed)[old] = key
        if key in self.known:
            self._remove(entry)
            self.store.forget(old)
            self._fold(key, known.count)
            return
        entry.finding = dataclasses.replace(entry.finding, key=key)
        self.known[key] = dataclasses.replace(known, key=key)
        self.store.save(key, self.known[key], old)

    def waiting_as(self, rank: Rank, key: str) -> Entry | None:
        """The entry of that rank and key that waits for a reduction."""
        return next(
            (one for one in self.waiting if (one.rank, one.finding.key) == (rank, key) and one.result is None), None
        )

    def _eligible(self, ahead: int) -> Iterator[Entry]:
        if not self.strict:
            yield from self.waiting
            return
        for entry in self.waiting[:ahead]:
            if entry.rank < self._complete and (entry.chosen or self._twin(entry) is None):
                yield entry

    def reduced(self, entry: Entry, result: list[Finding]) -> None:
        """The reduction of an entry is done; [] if it came to nothing."""
        entry.busy, entry.result = False, result
        if not self.strict:
            self._commit(entry, result)
        self.settle()

    def _commit(self, entry: Entry, result: list[Finding]) -> None:
        """Puts a reduction's result in the place of its finding, or folds it into an equal one."""
        self._remove(entry)
        old = self.known[entry.finding.key]
        first, *rest = result or [old]
        if entry.like in self.known and not first.reduced and not first.fault:
            self._fold(entry.like, self.known.pop(old.key).count)
            self.store.forget(old.key)
            return
        new = dataclasses.replace(first, count=old.count, seconds=old.seconds)
        key = fold_key(new) if new.reduced or new.fault else old.key
        if first.reduced or key != old.key:
            self._replace(old, dataclasses.replace(new, key=key))
        elif first is not old:
            self._keep(dataclasses.replace(new, key=old.key))
        for number, other in enumerate(rest):
            self._enter(dataclasses.replace(other, seconds=old.seconds), (*entry.rank, number))

    def _replace(self, old: Finding, new: Finding) -> None:
        """A reduced finding, or one whose cause is known, takes the place of its first form, unless an equal one is
        known."""
        del self.known[old.key]
        if new.key != old.key:
            (self._moved if old.failure is None else self._renamed)[old.key] = new.key
        later = self._holder(new.key)
        if later is not None:
            new = self._overtake(later, new)
        if new.key in self.known:
            self.store.forget(old.key)
            self._fold(new.key, new.count)
            return
        self._keep(new, old.key)
        if new.failure is None and new.reduced:
            opcodes = held(new.case)
            like = Like(new.key, new.row.fold_name, new.target.isa, opcodes, new.whose, damaged=new.damaged)
            self._reduced.append(like)

    def _remove(self, entry: Entry) -> None:
        self.waiting.remove(entry)
        self._stop(entry)

    def _stop(self, entry: Entry) -> None:
        if entry.busy:
            entry.busy = False
            self.dropped(entry)

    def _twin(self, entry: Entry) -> str | None:
        """The key of the first reduced finding that an entry looks like, or of the one that stands for its trigger."""
        finding = entry.finding
        if finding.failure is not None:
            return entry.like if entry.like in self.known else None
        if finding.damaged:  # the registers are the key, whatever the program was made small to
            same = (finding.damaged, finding.target.isa, finding.whose)
            known = (like.key for like in self._reduced if (like.damaged, like.isa, like.whose) == same)
            if (key := next((key for key in known if key in self.known), None)) is not None:
                return key
        others = [like for like in self._provisional if like.key != finding.key and like.key in self.known]
        likes = (*self._reduced, *others)
        found = twin(likes, finding.klass, finding.target.isa, entry.opcodes, finding.whose)
        return found.key if found is not None else None

    @property
    def familiar(self) -> Familiar:
        """What a mismatch may look like, so that it needs no vote: the reduced ones and, where many of a dear class
        wait, the first of them; but failures of the compiler alone in a strict order, where other votes count."""
        failures = {key: one.number or 0 for key, one in self.known.items() if one.failure is not None}
        failures |= {old: self.known[key].number or 0 for old, key in self._renamed.items() if key in self.known}
        if self.strict:
            return Familiar(failures)
        waiting: dict[tuple[str, str], list[str]] = {}
        for entry in self.waiting:
            if entry.finding.row.is_long and entry.finding.failure is None:
                waiting.setdefault((entry.finding.klass, entry.finding.target.isa), []).append(entry.finding.key)
        return Familiar(
            failures,
            (
                *(
                    like._replace(seen=self.known[like.key].count)
                    for like in (*self._reduced, *self._provisional)
                    if like.key in self.known
                ),
                *(
                    Like(keys[0], class_of(klass).fold_name, isa, frozenset())
                    for (klass, isa), keys in waiting.items()
                    if len(keys) >= MANY_WAIT
                ),
            ),
        )

    def alike(self, key: str, count: int) -> bool:
        """So many mismatches looked like the finding of that key; whether there is one."""
        key = self._renamed.get(key, key)
        while key not in self.known and key in self._moved:
            key = self._moved[key]
        if key not in self.known:
            return False
        self._fold(key, count)
        return True

    def _write(self, entry: Entry) -> None:
        entry.written = True
        self._keep(entry.finding)

    def _keep(self, finding: Finding, old_key: str | None = None) -> None:
        self.known[finding.key] = finding
        place = self.store.save(finding.key, finding, old_key)
        self.found(finding, str(place) if place else self.store.trouble)

    def _fold(self, key: str, count: int) -> None:
        known = self.known[key]
        more = self.known[key] = dataclasses.replace(known, count=known.count + count)
        if more.count & (more.count - 1) == 0:
            self.store.save(key, more)

    def close(self) -> None:
        """The end: what is reduced takes its place; what waits is folded, if it looks like a known one, or stays
        unreduced and says so; counts that grew are written."""
        for entry in [entry for entry in self.waiting if entry.result is not None]:
            self._commit(entry, entry.result or [])
        for entry in list(self.waiting):
            if not entry.written:
                other = entry.finding.key if entry.finding.key in self.known else self._twin(entry)
                if other is not None:
                    self.waiting.remove(entry)
                    self._fold(other, entry.finding.count)
                    continue
                self._write(entry)
            elif not self.strict and not entry.finding.fault and (other := self._twin(entry)) is not None:
                self.waiting.remove(entry)
                self._fold(other, self.known.pop(entry.finding.key).count)
                self.store.forget(entry.finding.key)
                continue
            key = entry.finding.key
            self.known[key] = dataclasses.replace(self.known[key], note=NO_TIME)
            self.store.save(key, self.known[key])
        for key, finding in self.known.items():
            if finding.count & (finding.count - 1):
                self.store.save(key, finding)


def twin(likes: Iterable[Like], klass: str, isa: str, present: frozenset[str], whose: str = "") -> Like | None:
    """The first of the same kind, of the same of two compilers, all of whose opcodes are `present`."""
    same = (class_of(klass).fold_name, isa, whose)
    return next((one for one in likes if (one.kind, one.isa, one.whose) == same and one.opcodes <= present), None)


def is_sample(number: int, before: int | None = None) -> bool:
    """Whether the `number`-th that looks like a known one is looked at all the same: the 1st, 2nd, 4th, 8th, … If the
    last that was counted is the one `before`, whether such a one lies between."""
    return number.bit_length() > (number - 1 if before is None else before).bit_length()
