"""Watches how much room there is for a campaign's folder.

The one idea: a campaign ends while there is still room for its report, its database and whatever else writes to that
disk. Where the disk is nearly full from the start, it runs unwatched: what it cannot write, it prints at its end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

MOST: Final = 64 << 20
SHARE: Final = 0.05
"""A campaign ends when less is free: bytes, and the share of the disk that is enough on small ones."""
EVERY: Final = 1.0


class Watch:
    """See the module. `folder` None: nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.limit = 0
        self._looked = 0.0

    def begin(self, say: Callable[[str], None]) -> None:
        """The campaign begins."""
        if self.folder is None:
            return
        try:
            usage = shutil.disk_usage(self.folder)
        except OSError:
            return
        self.limit = min(MOST, int(SHARE * usage.total))
        if usage.free < self.limit:
            self.limit = 0
            say(f"{self.folder}: only {size(usage.free)} free: what cannot be written is shown at the end")

    def look(self) -> str:
        """Why the campaign must end, or ''."""
        if self.folder is None or not self.limit or time.monotonic() - self._looked < EVERY:
            return ""
        self._looked = time.monotonic()
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError:
            return ""
        if free >= self.limit:
            return ""
        return (
            f"less than {size(self.limit)} free for {self.folder} ({size(free)}): make room, then "
            f"`liftcheck fuzz --resume {self.folder}` goes on"
        )


def size(count: int) -> str:
    """A number of bytes for people."""
    for unit, step in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= step:
            return f"{count / step:.0f} {unit}"
    return f"{count} bytes"
