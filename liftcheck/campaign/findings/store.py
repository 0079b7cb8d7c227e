"""Finding folders: written whole or not at all, never lost.

The one idea: a folder is made under a hidden name beside its place, every file is flushed to the disk, and only then it
is renamed into place. So a crash, a kill or a full disk leaves either a whole finding or none, and those written before
stay. What cannot be written is kept in memory and handed back by `unsaved`, so that the campaign can print it at its
end.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liftcheck.campaign.findings import page
from liftcheck.campaign.findings.finding import Finding, decode, encode, encode_case, folder_name
from liftcheck.errors import InputError

RECIPE: Final = "finding.json"
PROGRAM: Final = "program.clif"
PAGE: Final = "README.md"


def files(finding: Finding, name: str) -> dict[str, str]:
    """The files of a finding's folder: name -> text."""
    made = {
        RECIPE: json.dumps(encode(finding), indent=1) + "\n",
        PROGRAM: page.program_text(finding),
        PAGE: page.page(finding, name),
    }
    if finding.original is not None:
        made["original.clif"] = page.functions(finding.original)
    for number, (target, text) in enumerate(finding.disassembly.items()):
        made["disassembly.txt" if number == 0 else f"disassembly-{number + 1}.txt"] = f"; {target}\n{text}\n"
    return made


def write_folder(place: Path, content: Mapping[str, str]) -> None:
    """Writes a folder atomically, in the place of an older one if there is one. OSError leaves things as they were."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.parent / f".{place.name}.{os.getpid()}.new"
    old = place.parent / f".{place.name}.{os.getpid()}.old"
    for left in (draft, old):
        if left.exists():  # by a process of the same number that was killed
            shutil.rmtree(left)
    try:
        draft.mkdir()
        for name, text in content.items():
            _write_file(draft / name, text)
        _sync(draft)
        if place.exists():
            place.rename(old)
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    _sync(place.parent)


def _write_file(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Makes the rename itself last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(folder: Path) -> Finding:
    """Reads a finding back from its folder (or from its `finding.json`); InputError says what is wrong with it."""
    path = folder if folder.is_file() else folder / RECIPE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError.at(f"no finding here: there is no {RECIPE}", str(folder)) from error
    except (ValueError, RecursionError) as error:
        raise InputError.at(f"not a finding: {error}", str(path)) from error
    if not isinstance(data, dict):
        raise InputError.at("not a finding: a JSON object was expected", str(path))
    return decode(data, str(path))


def _with_blame(finding: Finding, place: Path) -> Finding:
    """The finding with what its folder says of who is to blame, if it is there with the same program."""
    if finding.blame is not None or not (place / RECIPE).exists():
        return finding
    try:
        older = load(place)
    except InputError:
        return finding
    same = encode_case(older.case)["clif"] == encode_case(finding.case)["clif"] and older.target == finding.target
    return dataclasses.replace(finding, blame=older.blame) if same else finding


@dataclass(slots=True)
class Store:
    """The findings of one campaign. `out` None keeps them in memory only."""

    out: Path | None
    paths: dict[str, Path] = field(default_factory=dict)
    """Key of a finding -> its folder."""
    unsaved: dict[str, Finding] = field(default_factory=dict)
    trouble: str = ""
    """Why something could not be written, if so."""

    def check(self) -> None:
        """Makes the folder before the campaign begins, so that a wrong --out is told at once. OSError passes."""
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            if not os.access(self.out, os.W_OK):
                raise PermissionError(13, "not writable", str(self.out))

    def save(self, key: str, finding: Finding, old_key: str | None = None) -> Path | None:
        """Writes a finding under `key`; `old_key` names the one that it takes the place of. None if it is in memory."""
        if self.out is None:
            return None
        old = self.paths.get(old_key) if old_key is not None else None
        place = self.paths.get(key) or self._place(finding, old)
        try:
            write_folder(place, files(_with_blame(finding, place), place.name))
        except OSError as error:
            self.trouble = f"{place}: {error.strerror or error}"
            self.unsaved[key] = finding
            return None
        self.paths[key] = place
        self.unsaved.pop(key, None)
        if old_key is not None and old_key != key:
            if old == place:
                del self.paths[old_key]
            self.forget(old_key)
        return place

    def forget(self, key: str) -> None:
        """Removes a finding that another one stands for."""
        self.unsaved.pop(key, None)
        path = self.paths.pop(key, None)
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)

    def _place(self, finding: Finding, old: Path | None) -> Path:
        """A folder of its own, or the one of the finding that it takes the place of."""
        assert self.out is not None
        name = folder_name(finding)
        place, number = self.out / name, 1
        while place.exists() and place != old:
            number += 1
            place = self.out / f"{name}-{number}"
        return place
