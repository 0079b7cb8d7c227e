"""Verdicts that are kept on disk, by what they depend on, so that what has not changed is not proven again.

The one idea: a verdict follows from the program's text, the code's bytes with their tables, and liftcheck's sources.
The compiler's version and its rules are no part of that: of another version only the instances are proven whose code is
another. So an interrupted run is resumed by beginning it again. One file a process, of lines that are appended; a line
that is cut off is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from liftcheck.campaign.options import made_by
from liftcheck.compilers.base import cache_folder
from liftcheck.oracles.lifting.equal import Verdict

_FOLDER: Final = "proofs"


class Kept:
    """The verdicts of all processes so far, and those of this one. `folder` None: nothing is read or written."""

    def __init__(self, folder: Path | None) -> None:
        self.folder: Final = folder
        self._known: Final[dict[str, Verdict]] = {}
        self.read = 0
        """How many were read."""
        if folder is not None:
            for path in sorted(folder.glob("*.jsonl")):
                self._load(path)
        self.read = len(self._known)

    def _load(self, path: Path) -> None:
        with suppress(OSError):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, TypeError):
                    digest, kind, why = json.loads(line)
                    self._known[digest] = Verdict(kind, why)

    def get(self, digest: str) -> Verdict | None:
        """What is known."""
        return self._known.get(digest)

    def put(self, digest: str, verdict: Verdict) -> None:
        """Keeps a verdict, a refutation for this process only: it is to be run. That a verdict cannot be written costs
        time later, and nothing else."""
        self._known[digest] = verdict
        if self.folder is not None and verdict.kind in ("equal", "proven", "undecided"):
            line = json.dumps([digest, verdict.kind, verdict.why])
            with suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                with (self.folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


def folder() -> Path:
    """Where the verdicts of these sources are."""
    return cache_folder() / _FOLDER / hashlib.blake2b(made_by().encode(), digest_size=8).hexdigest()


def digest(parts: Sequence[object]) -> str:
    """What a verdict depends on, as a short text."""
    return hashlib.blake2b(repr(tuple(parts)).encode(), digest_size=12).hexdigest()
