"""The process of a process runner: a static ELF file made of the stub's bytes, started natively or under qemu-user.

The one idea: the process is not Python and inherits nothing but what it needs: two pipes, the file of the arena (which
it closes when it has mapped it), a file for the emulator's last words. It is confined (confine.py): the stub does that
itself where it is native; an emulator is started by the launcher, and asks us about every system call but a few.
A worker knows no rows: `answered` says how its turn ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from liftcheck import layout
from liftcheck.isa import HOST
from liftcheck.isa.base import isa_named
from liftcheck.runners import confine
from liftcheck.runners.stub import Stub, load_stub

_PAGE: Final = 0x1000
_START: Final = 20.0
"""Seconds that a process may take for its first answer."""

Turn = Literal["answered", "dead", "asked", "late"]


def elf_file(isa: str, stub: Stub, numbers: Mapping[str, int], rules: bytes = b"", entry: str = "server") -> bytes:
    """A static executable: one segment at `layout.STUB`, entered at a label, with numbers written at labels that begin
    so, and a filter's rules."""
    value = isa_named(isa)
    order, encoding = (">", 2) if value.byte_order == "big" else ("<", 1)
    code = bytearray(stub.code)
    for label, address in stub.labels.items():
        for name, number in numbers.items():
            if label.startswith(name):
                struct.pack_into(order + "I", code, address - layout.STUB, number)
    if rules:
        at = stub.labels["rules"] - layout.STUB
        struct.pack_into(order + "H", code, stub.labels["filter"] - layout.STUB, len(rules) // 8)
        code[at : at + len(rules)] = rules
    ident = b"\x7fELF" + bytes((2, encoding, 1)) + bytes(9)
    header = ident + struct.pack(
        order + "HHIQQQIHHHHHH", 2, value.elf_machine, 1, stub.labels[entry], 64, 0, value.elf_flags, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack(order + "IIQQQQQQ", 1, 5, _PAGE, layout.STUB, layout.STUB, len(code), len(code), _PAGE)
    return (header + segment).ljust(_PAGE, b"\0") + bytes(code)


def memory_file(name: str, size: int) -> int:
    """A file that is in memory alone."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    return descriptor


def is_native(isa: str) -> bool:
    """Whether this host runs an ISA's stub."""
    return os.uname().machine == isa_named(isa).host and os.uname().sysname == "Linux"


class _Program:
    """A file to execute, in memory; the ELF file's content needs its number."""

    def __init__(self) -> None:
        self._writable: Final = memory_file("liftcheck-stub", 0)
        self.descriptor: Final = os.open(f"/proc/self/fd/{self._writable}", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self.descriptor}"

    def write(self, content: bytes) -> None:
        """Fills the file; a file that is open for writing cannot be executed, so that ends here."""
        os.write(self._writable, content)
        os.close(self._writable)


class Worker:
    """One process. Ended and waited for by `end`, also when it is forgotten."""

    def __init__(self, command: Sequence[str], isa: str, stub: Stub, memory: int, confined: bool) -> None:
        program = _Program()
        rules = b"" if command or not confined else confine.native_filter(len(stub.code))
        program.write(elf_file(isa, stub, {"descriptor": memory, "program": program.descriptor}, rules))
        self.words: Final = memory_file("liftcheck-words", 0)
        self.listener: confine.Listener | None = None
        self.stopped = ""
        try:
            words, passed = [*command, program.path], (program.descriptor, memory)
            if command and confined and is_native(HOST):
                self.process = self._launch(words, passed)
            else:
                self.process = self._start(words, passed)
        finally:
            os.close(program.descriptor)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.commands: Final = self.process.stdin.fileno()
        self.answers: Final = self.process.stdout.fileno()
        self.poll: Final = select.poll()
        self.poll.register(self.answers, select.POLLIN)
        if self.listener is not None:
            self.poll.register(self.listener.descriptor, select.POLLIN)
        self.end: Final = weakref.finalize(self, _end, self.process, self.listener, self.words)

    def _start(self, words: Sequence[str], passed: Sequence[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            bufsize=0,
            pass_fds=passed,
            process_group=0,
        )

    def _launch(self, words: Sequence[str], passed: Sequence[int]) -> subprocess.Popen[bytes]:
        """Starts a program under the filter, which sends us its listener; without one if the kernel has none."""
        ours, theirs = socket.socketpair()
        launcher = _Program()
        try:
            numbers = {"program": launcher.descriptor, "socket": theirs.fileno()}
            launcher.write(elf_file(HOST, load_stub(HOST), numbers, confine.qemu_filter(theirs.fileno()), "launch"))
            process = self._start([launcher.path, *words], (*passed, launcher.descriptor, theirs.fileno()))
            theirs.close()
            ours.settimeout(_START)
            with contextlib.suppress(OSError):
                _, descriptors, _, _ = socket.recv_fds(ours, 8, 1)
                self.listener = confine.Listener(descriptors[0]) if descriptors else None
            return process
        finally:
            ours.close()
            theirs.close()
            os.close(launcher.descriptor)

    def is_set_up(self) -> bool:
        """Waits for the first answer, letting all calls pass until then; False if it does not come."""
        answered = self.turn(_START, starting=True) == "answered"
        if answered:
            confine.limit(self.process.pid)
        return answered

    def turn(self, seconds: float, starting: bool = False) -> Turn:
        """Waits for the answer: 'dead' if it cannot come any more, 'asked' if the process asks for a system call (it is
        in `stopped`), 'late' if nothing happens. While it starts, and in its own second thread, it may do anything."""
        while happened := self.poll.poll(seconds * 1000):
            events = dict(happened)
            if self.answers in events:
                return "answered" if os.read(self.answers, 1) else "dead"
            assert self.listener is not None
            if not events[self.listener.descriptor] & select.POLLIN:
                self.poll.unregister(self.listener.descriptor)  # no one is left to ask
                continue
            asked = self.listener.receive()
            if asked is None:
                continue
            if not starting and asked.thread in (0, self.process.pid):
                self.stopped = asked.called
                return "asked"
            self.listener.let_pass(asked)
        return "late"

    def seconds(self) -> float:
        """The processor time that the process has used."""
        with contextlib.suppress(OSError, ValueError):
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def last_words(self) -> str:
        """What the process wrote to its standard error."""
        with contextlib.suppress(OSError):
            return os.pread(self.words, 4096, 0).decode("utf-8", "replace")
        return ""

    def is_gone(self) -> bool:
        """Whether it has closed its pipe; then it is dead in a moment, and is waited for."""
        if self.turn(0) != "dead":
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        return self.process.returncode is not None

    def status(self) -> str:
        """How a dead process ended."""
        code = self.process.returncode
        return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _end(process: subprocess.Popen[bytes], listener: confine.Listener | None, words: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if listener is not None:
        listener.close()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
    os.close(words)
