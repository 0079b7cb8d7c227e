"""Executors of guest programs as processes: qemu-user, and the host itself where it is of the ISA.

The one idea: an executor turns records into records or says that it died; who asks splits what it died of until the
instruction that it lacks stands alone.
"""

from __future__ import annotations

import os
import platform
import resource
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import CODE, DATA, Bench, Program, program
from liftcheck.runners.qemu import program_of

SECONDS: Final = 120
"""A run takes well below a second; this is for hosts that do much else."""


class Executor(Protocol):
    """Executes a program; None: it died or did not end."""

    name: str

    def execute(self, bench: Bench, made: Program, records: bytes) -> bytes | None:
        """The records afterwards."""


class ProcessExecutor(NamedTuple):
    """The program as a process of its own below `command`."""

    name: str
    command: tuple[str, ...]

    def execute(self, bench: Bench, made: Program, records: bytes) -> bytes | None:
        """See `Executor`."""
        with tempfile.TemporaryDirectory(prefix="liftcheck-rows-") as folder:
            path = Path(folder, "rows.elf")
            path.write_bytes(elf(bench, made, records))
            path.chmod(0o700)
            try:
                done = subprocess.run(
                    [*self.command, os.fspath(path)],
                    capture_output=True,
                    timeout=SECONDS,
                    stdin=subprocess.DEVNULL,
                    preexec_fn=leaves_no_core,
                )
            except subprocess.TimeoutExpired:
                return None
        return done.stdout if done.returncode == 0 and len(done.stdout) == len(records) else None


def elf(bench: Bench, made: Program, records: bytes) -> bytes:
    """A static ELF file of the program and its records."""
    isa = isa_named(bench.isa)
    order = "<" if isa.byte_order == "little" else ">"
    kind = 1 if isa.byte_order == "little" else 2
    start = 0x1000
    at = start + len(made.code) + -len(made.code) % 0x1000
    head = b"\x7fELF" + bytes((2, kind, 1, 0)) + bytes(8)
    head += struct.pack(order + "HHIQQQIHHHHHH", 2, isa.elf_machine, 1, CODE, 64, 0, isa.elf_flags, 64, 56, 2, 64, 0, 0)
    for flags, offset, address, data in ((7, start, CODE, made.code), (6, at, DATA, records)):
        head += struct.pack(order + "IIQQQQQQ", 1, flags, offset, address, address, len(data), len(data), 0x1000)
    return (head.ljust(start, b"\0") + made.code).ljust(at, b"\0") + records


def leaves_no_core() -> None:
    """Of this process, should it die."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def processes(bench: Bench) -> Sequence[ProcessExecutor]:
    """Those that this host has: itself, qemu-user with the richest processor that executes this bench's program."""
    value = isa_named(bench.isa)
    native = ProcessExecutor("native", ())
    found = [native] if value.host and platform.machine() == value.host and _executes(native, bench) else []
    path = program_of(bench.isa)
    if not path:
        return found
    commands = [(path, *value.qemu.options, "-cpu", model.format(vlen=128)) for model in value.qemu.models]
    for command in commands or [(path, *value.qemu.options)]:
        qemu = ProcessExecutor("qemu", command)
        if _executes(qemu, bench):
            return [*found, qemu]
    return found


def _executes(executor: ProcessExecutor, bench: Bench) -> bool:
    """Whether it executes the program itself, which loads all registers."""
    return executor.execute(bench, program(bench, []), bytes(bench.size)) is not None
