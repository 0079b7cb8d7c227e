"""Which of the compiler's rules the next directed batches aim at, those that have hardly been executed; and around
which typings most programs steer, since they are known to go wrong.

The one idea: what a batch holds must not depend on luck, on the number of workers or on the clock. So batches go by
epochs of a fixed length, and those of an epoch aim at the rules that were executed less than `ENOUGH` times in all
epochs before the last one; a batch is handed out when these are answered, which they are as a rule long before. What is
learned is the campaign's alone: a campaign with the same seed learns the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from liftcheck.campaign.findings import suspicion
from liftcheck.campaign.findings.suspicion import Trigger
from liftcheck.campaign.keep.database import GROUP
from liftcheck.campaign.options import Avoided
from liftcheck.isle.sources import Rule
from liftcheck.oracles.tally import Tally

EPOCH: Final = GROUP
"""Batches of an epoch: two seconds of two cores. So many are kept as one when they are done: a campaign that goes on
(`keep.journal`) knows of each epoch, and of no part of one."""
ENOUGH: Final = 4
"""Programs in which a rule has to have been executed."""
GROWTH: Final = 8
"""Triggers are sought anew when there are an eighth more programs that go wrong."""


class Steering:
    """The counts of one campaign, by epoch. Without rules, or with a compiler that does not tell of them, it aims at
    nothing. `triggers`: those of all that was answered, whatever the epoch."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._places = {rule.place: number for number, rule in enumerate(rules)}
        self._counts: Counter[int] = Counter()
        self._pending: dict[int, Counter[int]] = {}
        self._masks: dict[int, bytes] = {}
        self._wrong = Tally()
        self._wrong_later: dict[int, Tally] = {}
        self._avoided: tuple[int, Avoided] = (-1, ())
        self._all = Tally()
        self._next = suspicion.ENOUGH
        self.triggers: tuple[Trigger, ...] = ()

    def is_ready(self, batch: int, oldest: int) -> bool:
        """Whether a batch may be handed out while all before `oldest` are answered."""
        return oldest >= (batch // EPOCH - 1) * EPOCH

    def answered(self, batch: int, tally: Tally) -> None:
        """What came of a batch, or of a part of it."""
        if tally.fired:
            counts = self._pending.setdefault(batch // EPOCH, Counter())
            for (_, place), times in tally.fired.items():
                number = self._places.get(place)
                if number is not None:
                    counts[number] += times
        if tally.held or tally.suspects:
            of_wrong = Tally(held=tally.held, suspects=tally.suspects)
            self._wrong_later.setdefault(batch // EPOCH, Tally()).add(of_wrong)
            self._all.add(of_wrong)
            if (total := self._all.suspects.total()) >= self._next:
                self.triggers = suspicion.triggers(self._all.held, self._all.suspects)
                self._next = total + total // GROWTH + 1

    def cold(self, batch: int) -> bytes:
        """The rules that a batch aims at, one bit each; empty for all alike. Batches are asked about in order."""
        epoch = batch // EPOCH
        if epoch not in self._masks:
            for done in sorted(self._pending):
                if done <= epoch - 2:
                    self._counts.update(self._pending.pop(done))
            self._masks = {epoch: self._mask()}
        return self._masks[epoch]

    def avoided(self, batch: int) -> Avoided:
        """What most programs of a batch do without. Batches are asked about in order."""
        epoch = batch // EPOCH
        if self._avoided[0] != epoch:
            for done in sorted(self._wrong_later):
                if done <= epoch - 2:
                    self._wrong.add(self._wrong_later.pop(done))
            found = suspicion.triggers(self._wrong.held, self._wrong.suspects)
            self._avoided = epoch, tuple(sorted({(one.isa, one.key) for one in found}))
        return self._avoided[1]

    def _mask(self) -> bytes:
        mask = bytearray(-(-len(self._places) // 8))
        for number in self._places.values():
            if self._counts[number] < ENOUGH:
                mask[number >> 3] |= 1 << (number & 7)
        return bytes(mask) if self._counts and any(mask) else b""
