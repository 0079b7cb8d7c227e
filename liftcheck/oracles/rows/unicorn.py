"""Unicorn as an executor of guest programs. The only module of its package that imports unicorn.

The one idea: a program is mapped, started and read back, in this process; in a fork of it where an instruction may end
the process (`Bench.ends_unicorn`).
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable
from typing import Any, Final

import unicorn

from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import CODE, DATA, Bench, Program
from liftcheck.oracles.rows.executors import leaves_no_core


class UnicornExecutor:
    """The same program in Unicorn, with the switches of `Isa.unicorn`."""

    name: Final = "unicorn"

    def execute(self, bench: Bench, made: Program, records: bytes) -> bytes | None:
        """See `Executor`."""
        if bench.ends_unicorn:
            return forked(lambda: self._execute(bench, made, records))
        return self._execute(bench, made, records)

    def _execute(self, bench: Bench, made: Program, records: bytes) -> bytes | None:
        emulator = self._opened(bench.isa)
        for address, data in ((CODE, made.code), (DATA, records)):
            emulator.mem_map(address, len(data) + -len(data) % 0x1000)
            emulator.mem_write(address, data)
        try:
            emulator.emu_start(CODE, made.done, timeout=60_000_000)
        except unicorn.UcError:
            return None
        if emulator.reg_read(self._constant(bench.isa, isa_named(bench.isa).unicorn.pc)) != made.done:
            return None
        return bytes(emulator.mem_read(DATA, len(records)))

    def _opened(self, isa: str) -> Any:
        value = isa_named(isa).unicorn
        emulator = unicorn.Uc(getattr(unicorn, value.arch), getattr(unicorn, value.mode))
        if value.model:
            emulator.ctl_set_cpu_model(self._constant(isa, value.model))
        for register, bits, keeps in value.switched_on:
            number = self._constant(isa, register)
            emulator.reg_write(number, bits | (emulator.reg_read(number) if keeps else 0))
        emulator.hook_add(unicorn.UC_HOOK_INTR, lambda uc, number, data: uc.emu_stop())
        return emulator

    def _constant(self, isa: str, name: str) -> Any:
        module = __import__(f"unicorn.{isa_named(isa).unicorn.constants}_const", fromlist=[name])
        return getattr(module, name)


def forked(function: Callable[[], bytes | None]) -> bytes | None:
    """What a function gives in a process of its own; None if that dies, without a word."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(source)
            leaves_no_core()
            faulthandler.disable()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with os.fdopen(sink, "wb") as pipe:
                pipe.write(function() or b"")
        finally:
            os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as pipe:
        found = pipe.read()
    _, status = os.waitpid(child, 0)
    return found if found and not status else None
