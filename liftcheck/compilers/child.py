"""A compiler as a child process: messages out and in, with a deadline, and what is known when it dies.

The one idea: the child may say in a shared file whom it is compiling, as the bridge does, so a death or a deadline has
a culprit; the deadline is one *per function and target*, in processor time. It decides nothing: who asks tries again
and blames.
The child runs in a process group of its own (Ctrl-C reaches the campaign alone) and ends with its parent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import struct
import subprocess
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

READING: Final = 0xFFFFFFFF
_LENGTH: Final = struct.Struct("<I")
_PROGRESS: Final = struct.Struct("<III")
_PIPE_SIZE: Final = 1 << 20
_CHUNK: Final = 1 << 18
_ALLOCATOR: Final = {"MIMALLOC_ARENA_RESERVE": str(64 << 10), "MIMALLOC_PURGE_DELAY": "60000"}
"""What is reserved at once, in KiB: otherwise 1 GiB, and a limit of the address space that is set just then leaves it
nothing. And how long freed memory is kept, in milliseconds: each compilation wants what the last one freed, and what
was given back comes again as pages to be cleared, a twentieth of the time."""
IDLE: Final = 4
"""A child that does not run at all gets so many times its time on the clock."""


class Died(Exception):
    """The child is gone: over function and target `at` of the request, or None while reading or idle."""

    def __init__(self, status: int, words: str, timeout: float | None, at: tuple[int, int] | None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.timeout = timeout
        self.at = at


class Child:
    """One process, which `--progress N` tells the file. Not thread-safe; a fork must not use its parent's (`owner`)."""

    def __init__(self, command: Sequence[str | Path], memory: int) -> None:
        self.owner: Final = os.getpid()
        self._progress: Final = os.memfd_create("liftcheck-progress")
        self._words: Final = os.memfd_create("liftcheck-stderr")
        self._process = subprocess.Popen(
            [*command, "--progress", str(self._progress)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            pass_fds=[self._progress],
            process_group=0,
            bufsize=0,
            env=_ALLOCATOR | os.environ,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_AS)
            limit = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (limit, limit))
        self._in: Final = self._process.stdin.fileno()
        self._out: Final = self._process.stdout.fileno()
        for fd in (self._in, self._out):
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        os.set_blocking(self._in, False)
        self._readable = select.poll()
        self._readable.register(self._out, select.POLLIN)
        self.close: Final = weakref.finalize(self, _end, self._process, self.owner, (self._progress, self._words))

    @property
    def pid(self) -> int:
        return self._process.pid

    def exchange(self, request: bytes, timeout: float) -> bytes:
        """One request and its reply. `timeout`: seconds of processor time for each function and target; or Died."""
        try:
            self._send(_LENGTH.pack(len(request)) + request, timeout)
            data = self._receive(timeout)
            while len(data) < 4:
                data += self._receive(timeout)
            size = int.from_bytes(data[:4], "little") + 4
            if len(data) < size:
                data = self._rest(data, size, timeout)
        except BrokenPipeError:
            self._dead(None)
        return data[4:]

    def _send(self, message: bytes, timeout: float) -> None:
        sent, deadline = 0, time.monotonic() + timeout
        view = memoryview(message)
        while sent < len(message):
            try:
                sent += os.write(self._in, view[sent:])
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self._dead(timeout)
                select.select([], [self._in], [], 0.1)

    def _receive(self, timeout: float) -> bytes:
        """What there is to read, at least a byte."""
        if not self._readable.poll(timeout * 250):
            self._wait_for_progress(timeout)
        data = os.read(self._out, _CHUNK)
        if not data:
            self._dead(None)
        return data

    def _wait_for_progress(self, timeout: float) -> None:
        """Until there is something to read, or one function has had its time: of the processor, as hosts are busy."""
        serial, since, burnt = self._position()[0], time.monotonic(), self._cpu()
        while not self._readable.poll(timeout * 250):
            now = self._position()[0]
            if now != serial:
                serial, since, burnt = now, time.monotonic(), self._cpu()
            elif self._cpu() - burnt >= timeout or time.monotonic() - since >= IDLE * timeout:
                self._dead(timeout)

    def _cpu(self) -> float:
        """Seconds of processor time so far."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _rest(self, data: bytes, size: int, timeout: float) -> bytes:
        parts, missing = [data], size - len(data)
        while missing:
            part = self._receive(timeout)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _position(self) -> tuple[int, int, int]:
        record = os.pread(self._progress, _PROGRESS.size, 0)
        return _PROGRESS.unpack(record) if len(record) == _PROGRESS.size else (0, READING, 0)

    def _dead(self, timeout: float | None) -> None:
        """Makes sure that it is dead, and raises what is known."""
        if timeout is not None:
            self._process.kill()
        _, function, target = self._position()
        status = self._wait()
        words = os.pread(self._words, 1 << 16, max(0, os.fstat(self._words).st_size - (1 << 16)))
        self.close()
        at = None if function == READING else (function, target)
        raise Died(status, words.decode(errors="replace"), timeout, at)

    def _wait(self) -> int:
        """It may have closed its pipe and still be dumping core."""
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _end(process: subprocess.Popen[bytes], owner: int, descriptors: tuple[int, ...]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    if os.getpid() == owner:
        process.kill()
        process.wait()
    for fd in descriptors:
        os.close(fd)
