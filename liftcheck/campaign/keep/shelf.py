"""The findings' folders of a campaign that is kept: those that are not wanted go only once the journal says so, and a
campaign that goes on finds its own again.

The one idea: folder first, row second. What a folder holds is on the disk before the database says that its batch is
done; what a folder no longer stands for is removed after the database has its successor. So between any two steps there
may be a folder too many, never one too few; `resumed` sorts them out: a finding's own folder stays, a missing one
is written again, one of a batch that is to be done again (a stray) waits to be found again, the rest goes. What was in
the folder before the campaign is never touched.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.finding import Finding, folder_name
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.options import BATCH
from liftcheck.errors import InputError

_DRAFT: Final = re.compile(r"\.(.+)\.\d+\.(new|old)")


@dataclass(slots=True)
class Shelf(Store):
    """See the module. `names`: key -> folder, by the database, while the journal is read again (`is_replaying`);
    `doomed`: folders that nothing stands for; `strays`: folders of batches that are to be done again; `spared`: keys
    whose folders hold a smaller program than this campaign has yet."""

    names: Mapping[str, str] = field(default_factory=dict)
    is_replaying: bool = False
    doomed: list[Path] = field(default_factory=list)
    strays: dict[Path, int] = field(default_factory=dict)
    spared: set[str] = field(default_factory=set)

    def save(self, key: str, finding: Finding, old_key: str | None = None) -> Path | None:
        if self.out is None:
            return None
        if self.is_replaying:
            self.paths[key] = self.out / self.names.get(key, "")
            if old_key is not None and old_key != key:
                self.paths.pop(old_key, None)
            return self.paths[key]
        if key in self.spared and not finding.reduced:
            return self.paths.get(key)
        self.spared.discard(key)
        return Store.save(self, key, finding, old_key)

    def forget(self, key: str) -> None:
        self.unsaved.pop(key, None)
        path = self.paths.pop(key, None)
        if path is not None and not self.is_replaying:
            self.doomed.append(path)

    def _place(self, finding: Finding, old: Path | None) -> Path:
        """The folder of the same finding before the campaign was stopped, if there is one."""
        assert self.out is not None
        place = self.out / folder_name(finding)
        if place in self.strays or place in self.doomed:
            self.strays.pop(place, None)
            self.doomed = [path for path in self.doomed if path != place]
            return place
        return Store._place(self, finding, old)

    def sweep(self, is_done: Callable[[int], bool]) -> None:
        """After a commit: removes what nothing stands for any more. `is_done`: whether a batch is in the journal."""
        gone = [path for path, number in self.strays.items() if is_done(number // BATCH)]
        for path in gone:
            del self.strays[path]
        for path in (*self.doomed, *gone):
            shutil.rmtree(path, ignore_errors=True)
        self.doomed.clear()

    def resumed(
        self, known: Mapping[str, Finding], seed: int, foreign: Collection[str], is_done: Callable[[int], bool]
    ) -> None:
        """Sorts out what is on the disk: `known` are the findings by the journal, `foreign` folders of others."""
        assert self.out is not None
        self.is_replaying = False
        self.paths = {}
        found = self._on_disk(seed, foreign)
        for key, finding in known.items():
            place = self.out / self.names.get(key, "")
            if place in found and _is_same(found[place], finding):
                self.paths[key] = place
                other = found.pop(place)
                if other.reduced and not finding.reduced:
                    self.spared.add(key)
                elif _said(other) != _said(finding):
                    self.save(key, finding)
        for key, finding in known.items():
            if key not in self.paths:
                self._claim(key, finding, found)
        for place, other in found.items():
            number = other.number or 0
            if is_done(number // BATCH):
                self.doomed.append(place)
            else:
                self.strays[place] = number
        self._drafts(foreign)

    def _claim(self, key: str, finding: Finding, found: dict[Path, Finding]) -> None:
        """A folder for a finding that the database names none for, or none that is there. One from before its
        reduction, which found no room, gives way to it."""
        place = next((place for place, other in found.items() if _is_same(other, finding)), None)
        if place is None:
            self.save(key, finding)
            return
        other = found.pop(place)
        old = f"{key}, not reduced" if finding.reduced and not other.reduced else key
        self.paths[old] = place
        self.save(key, finding, old)

    def _on_disk(self, seed: int, foreign: Collection[str]) -> dict[Path, Finding]:
        """The findings' folders of a seed."""
        assert self.out is not None
        found = {}
        for place in sorted(self.out.iterdir()):
            if place.name in foreign or place.name.startswith(".") or not (place / store.RECIPE).is_file():
                continue
            with contextlib.suppress(InputError, OSError):
                finding = store.load(place)
                if finding.seed == seed and finding.number is not None:
                    found[place] = finding
        return found

    def _drafts(self, foreign: Collection[str]) -> None:
        """Folders that a kill left under a hidden name. Whole ones whose place is empty wait to be found again."""
        assert self.out is not None
        for draft in sorted(self.out.iterdir()):
            known = _DRAFT.fullmatch(draft.name)
            if known is None or draft.name in foreign:
                continue
            place = self.out / known[1]
            try:
                finding = store.load(draft)
                if place.exists():
                    raise FileExistsError
                draft.rename(place)
                self.strays[place] = finding.number or 0
            except (InputError, OSError):
                shutil.rmtree(draft, ignore_errors=True)


def _said(finding: Finding) -> tuple[object, ...]:
    """What a folder says of its finding that changes while a campaign runs. It is behind if there was no room."""
    return finding.reduced, finding.count, finding.program, finding.fault


def _is_same(left: Finding, right: Finding) -> bool:
    """Whether two are one finding, whatever either was made of it since."""
    return (left.number, left.seed, left.target.isa, left.row.fold_name, left.failure is None) == (
        right.number,
        right.seed,
        right.target.isa,
        right.row.fold_name,
        right.failure is None,
    )
