"""A folder belongs to one live campaign at a time.

The one idea: the kernel's lock of an open file (`flock`), which ends with the process that holds it, however that
ends; so a lock never outlives its process. The file says who holds it, for the message alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import Final

from liftcheck.errors import UsageError

NAME: Final = "campaign.lock"


class Lock:
    """Held from its making to `release`, or to the end of this process. UsageError if another one has it."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(self._descriptor, 200, 0).decode("utf-8", "replace").strip()
            os.close(self._descriptor)
            raise UsageError(
                f"{folder} is in use by another campaign ({said or 'it has just begun'}): "
                "wait for its end, stop it, or name another folder with --out"
            ) from None
        except OSError:  # a file system without locks
            return
        self._say(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")

    def _say(self, text: str) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)
        except OSError:  # a full disk: the lock holds all the same
            return

    def release(self) -> None:
        """Lets the next one have the folder."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
