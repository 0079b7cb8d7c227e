"""A shell command of the user's as a question about a text: 0 says that it is interesting, as in C-Reduce.

The one idea: the text stands in a file, whose name takes the place of {} in the command. The first answer says how long
the command may take; what takes far longer counts as hung, and is not interesting.
A command runs in a process group of its own, which is killed as a whole: one that hangs may have started others.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

PLACE: Final = "{}"
"""What stands for the file in a command."""
_BORING: Final = "are not interesting to the command"
_PATIENCE: Final = 10.0
"""A command may take so many times as long as at first (and so many seconds more) before it counts as hung."""


class Command:
    """`last` says how it ended; `longest`: the seconds that it took at first, None before that."""

    def __init__(self, command: str, path: Path, longest: float | None = None) -> None:
        self.command: Final = command.replace(PLACE, shlex.quote(str(path)))
        self.path: Final = path
        self.last = ""
        self.longest = longest

    def __call__(self, text: str) -> str:
        self.path.write_text(text, encoding="utf-8")
        started = time.monotonic()
        limit = None if self.longest is None else _PATIENCE * (1 + self.longest)
        with subprocess.Popen(
            self.command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                _, words = process.communicate(timeout=limit)
            except BaseException as error:  # whatever ends it, Ctrl-C too: the whole group ends
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                self.last = "the command hangs"
                return _BORING
        if self.longest is None:
            self.longest = time.monotonic() - started
        said = words.decode("utf-8", "replace").strip().splitlines()
        self.last = f"the command ended with {process.returncode}" + (f" ({said[-1]})" if said else "")
        return _BORING if process.returncode else ""
