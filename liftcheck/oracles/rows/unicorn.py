"""Unicorn as an executor of guest programs. The only module of its package that imports unicorn."""

from __future__ import annotations

from typing import Any, Final

import unicorn

from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import CODE, DATA, Bench, Program


class UnicornExecutor:
    """The same program in Unicorn, with the switches of `Isa.unicorn`."""

    name: Final = "unicorn"

    def execute(self, bench: Bench, made: Program, records: bytes) -> bytes | None:
        """See `Executor`."""
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
