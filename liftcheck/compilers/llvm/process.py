"""LLVM's process: one message out, one in, with a deadline; and what it said when it died."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
import weakref
from typing import Final

_MEMORY: Final = 4 << 30


class Died(Exception):
    """It is gone. words: what it wrote at its end."""

    def __init__(self, words: str, timed_out: bool) -> None:
        super().__init__(words)
        self.words = words
        self.timed_out = timed_out


class Process:
    """One process; a fork must not use its parent's."""

    def __init__(self) -> None:
        self._owner: Final = os.getpid()
        self._words: Final = os.memfd_create("liftcheck-llvm")
        self._process: Final = subprocess.Popen(
            [sys.executable, "-m", "liftcheck.compilers.llvm.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, process_group=0, bufsize=0,
        )  # fmt: skip
        with contextlib.suppress(ProcessLookupError, ImportError):
            import resource

            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        self.close: Final = weakref.finalize(self, _end, self._process, self._owner, self._words)

    @property
    def is_ours(self) -> bool:
        """Whether this process started it."""
        return self._owner == os.getpid()

    def ask(self, message: bytes, seconds: float) -> bytes:
        """The answer to a message; Died."""
        assert self._process.stdin is not None and self._process.stdout is not None
        deadline = time.monotonic() + seconds
        try:
            self._process.stdin.write(len(message).to_bytes(4, "little") + message)
            size = int.from_bytes(self._read(4, deadline), "little")
            return self._read(size, deadline)
        except (BrokenPipeError, EOFError):
            self._process.wait()
            raise self._dead(False) from None

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        descriptor, parts = self._process.stdout.fileno(), bytearray()
        while len(parts) < size:
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self._process.kill()
                self._process.wait()
                raise self._dead(True)
            part = os.read(descriptor, size - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def _dead(self, timed_out: bool) -> Died:
        words = os.pread(self._words, 1 << 16, max(0, os.fstat(self._words).st_size - (1 << 16)))
        self.close()
        return Died(words.decode(errors="replace"), timed_out)


def _end(process: subprocess.Popen[bytes], owner: int, words: int) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    if os.getpid() == owner:
        process.kill()
        process.wait()
    os.close(words)
