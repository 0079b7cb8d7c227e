"""Unicorn as a runner, for all four ISAs: nothing to install but a Python package.

The one idea: one `emu_start` runs the whole batch. What costs and what bites was measured with unicorn 2.1.4:
- Virtual TLB mode with a fill hook makes a store cost 1 ns instead of 25, and lets guard pages be refused in the hook,
  so that the arena is one mapping which the host reads and writes directly.
- A refused access raises error 21 whatever it was; the hook keeps its kind and page. `paddr` must be the address as
  passed. AArch64's pages are set to 4 KiB: with the 1 KiB of its own the TLB overflows.
- Code that was written over is translated anew only after `ctl_remove_cache`, from the function's start.
- `count` and `timeout` of `emu_start` are never used (one is ignored on translated code, the other costs a thread): a
  watchdog thread stops an endless row by processor time. After such a stop the PC may be after the registers: the row
  is run again from its start, at last with a long limit, before it counts as endless.
- Instructions that it lacks may be rewritten in the code that is loaded (`Isa.replacing`; s390x lacks most of z14).
What it gets wrong is in errata.py. It does not run AVX (features.py).
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import unicorn

from liftcheck import layout
from liftcheck.bits.floats import F32, F64, exact_fma
from liftcheck.case import Outcome
from liftcheck.isa.base import PROGRAM_CHECK, isa_named
from liftcheck.runners import confine
from liftcheck.runners.base import Arena, BaseRunner, Batch, Fault, Kind, Replacing, out_of_time
from liftcheck.runners.link import Image

_READ_WRITE, _READ_EXECUTE = 3, 5
_PAGE = 12
_CODE_BUFFER: Final = 32 << 20
LIMITS: Final = (0.02, 0.02, 0.25)
"""Seconds of processor time that a row gets at its first, second and last try, unless more is asked for."""
MANY: Final = 4
"""Jobs of a call that did not end, after which rows get no second try: who asks gives a longer one (patience.py)."""
_TICK: Final = 0.005
_IDLE: Final = 0.05
"""Seconds between checks by the watchdog while an emulator runs, and while none does: each check takes the GIL from
the working thread."""


def _permissions() -> bytes:
    """What each 4 KiB page of the arena allows."""
    pages = bytearray(layout.ARENA_SIZE >> _PAGE)

    def allow(start: int, size: int, permissions: int) -> None:
        first, count = (start - layout.ARENA) >> _PAGE, size >> _PAGE
        pages[first : first + count] = bytes([permissions]) * count

    allow(layout.CODE, layout.CODE_SIZE + layout.TRAMPOLINES_SIZE, _READ_EXECUTE)
    allow(layout.STUB, layout.STUB_SIZE, _READ_EXECUTE)
    allow(layout.CONTROL, 0x1000, _READ_WRITE)
    allow(layout.ROWS, layout.ROWS_SIZE, _READ_WRITE)
    allow(layout.STACK, layout.STACK_SIZE, _READ_WRITE)
    for slot in range(layout.SLOTS):
        allow(layout.slot_address(slot), layout.SLOT_SIZE, _READ_WRITE)
    return bytes(pages)


_PERMISSIONS: Final = _permissions()
_ALLOWED: Final = {
    (unicorn.UC_MEM_READ, _READ_WRITE), (unicorn.UC_MEM_WRITE, _READ_WRITE),
    (unicorn.UC_MEM_READ, _READ_EXECUTE), (unicorn.UC_MEM_FETCH, _READ_EXECUTE),
}  # fmt: skip


class Watchdog(threading.Thread):
    """Stops an emulator when the thread that runs it has used its processor time. A stop that is sent between two
    starts is lost, so it is sent again at every tick until disarmed."""

    def __init__(self, stop: Callable[[], object]) -> None:
        super().__init__(daemon=True, name="liftcheck-watchdog")
        self.stop: Final = stop
        self.clock: Final = time.pthread_getcpuclockid(threading.get_ident())
        self.deadline: float | None = None
        self.stops = 0
        self.ended = False

    def arm(self, seconds: float) -> None:
        self.deadline = time.clock_gettime(self.clock) + seconds

    def run(self) -> None:
        while not self.ended:
            time.sleep(_IDLE if self.deadline is None else _TICK)
            deadline = self.deadline
            if deadline is not None and time.clock_gettime(self.clock) > deadline:
                self.stops += 1
                self.stop()


class UnicornRunner(BaseRunner):
    """One emulator with the arena mapped. Not for use in a forked child: open a runner there."""

    name = "unicorn"

    def __init__(self, isa: str) -> None:
        super().__init__(isa, Arena(isa))
        value = isa_named(isa)
        guest = self._guest = value.unicorn
        self._constants: Final = import_module(f"unicorn.{guest.constants}_const")
        self._pc: Final = self._constant(guest.pc)
        self._call_number: Final = self._constant(guest.call_number)
        uc = self._uc = unicorn.Uc(getattr(unicorn, guest.arch), getattr(unicorn, guest.mode))
        if guest.model:
            uc.ctl_set_cpu_model(self._constant(guest.model))
        if guest.page_size:
            uc.ctl_set_page_size(guest.page_size)
        uc.ctl_set_tcg_buffer_size(_CODE_BUFFER)
        self._pin = (ctypes.c_char * layout.ARENA_SIZE).from_buffer(self.arena.bytes)
        uc.mem_map_ptr(layout.ARENA, layout.ARENA_SIZE, unicorn.UC_PROT_ALL, ctypes.addressof(self._pin))
        uc.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        self._set_registers()
        self._interrupt: int | None = None
        self._refused: tuple[int, int] | None = None
        self._stops = 0
        uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        uc.hook_add(unicorn.UC_HOOK_TLB_FILL, self._on_fill)
        if guest.call:
            uc.hook_add(unicorn.UC_HOOK_INSN, self._on_system_call, None, 1, 0, self._constant(guest.call))
        self.arena.write(layout.STUB, self.stub.code)
        self.arena.write(layout.CONTROL + 40, b"\1")
        replacing = value.part(value.replacing)
        self._replacing: Final[Replacing | None] = replacing() if replacing else None
        self._watchdog = self._watch()

    def _set_registers(self) -> None:
        """Switches floating point, vectors and 64-bit addressing on, where they are not."""
        uc = self._uc
        for name, bits, keep in self._guest.switched_on:
            register = self._constant(name)
            uc.reg_write(register, bits | (uc.reg_read(register) if keep else 0))

    def _constant(self, name: str) -> int:
        number: int = getattr(self._constants, name)
        return number

    def _watch(self) -> Watchdog:
        watchdog = Watchdog(self._uc.emu_stop)
        watchdog.start()
        return watchdog

    def _on_interrupt(self, uc: Any, number: int, _data: object) -> None:
        """Keeps the number and stops: Unicorn would run the instruction again. The two calls into the host go on."""
        if number in self._guest.host_calls:
            self._fma(self._guest.host_calls[number])
            return
        self._interrupt = number
        uc.emu_stop()

    def _on_system_call(self, uc: Any, _data: object) -> None:
        self._on_interrupt(uc, -1, None)

    def _fma(self, bits: int) -> None:
        """The first vector register = it * the second + the third in the lowest lane, for the library calls FmaF32 and
        FmaF64."""
        uc, mask, first = self._uc, (1 << bits) - 1, self._constant(self._guest.first_vector)
        x, y, z = (uc.reg_read(first + i) for i in range(3))
        result = exact_fma(F32 if bits == 32 else F64, x & mask, y & mask, z & mask)
        uc.reg_write(first, x & ~mask | result)

    def _on_fill(self, _uc: Any, address: int, access: int, entry: Any, _data: object) -> bool:
        offset = address - layout.ARENA
        permissions = _PERMISSIONS[offset >> _PAGE] if 0 <= offset < layout.ARENA_SIZE else 0
        if (access, permissions) not in _ALLOWED:
            self._refused = (access, address)
            return False
        entry.paddr, entry.perms = address, permissions
        return True

    def load(self, image: Image) -> None:
        code = self._replacing.rewrite(image) if self._replacing else image.code
        self.arena.write(image.base, code)
        self._uc.ctl_remove_cache(image.base, image.base + len(code))

    def forget_trampolines(self) -> None:
        self._uc.ctl_remove_cache(layout.TRAMPOLINES, layout.TRAMPOLINES + layout.TRAMPOLINES_SIZE)

    def drive(self, batch: Batch) -> None:
        if not self._watchdog.is_alive():
            self._watchdog = self._watch()
        watchdog, uc = self._watchdog, self._uc
        start, done = self.stub.labels["start"], self.stub.labels["done"]
        tries: dict[int, int] = {}
        limits = (LIMITS[0], batch.seconds) if batch.seconds else LIMITS
        limit = limits[0]
        try:
            while True:
                self._interrupt = self._refused = error = None
                self._stops = watchdog.stops
                watchdog.arm(limit)
                try:
                    uc.emu_start(start, done)
                except unicorn.UcError as problem:
                    error = problem.errno
                pc = uc.reg_read(self._pc)
                if error is None and self._interrupt is None and pc == done:
                    return
                row = self.arena.word(layout.CONTROL)
                if row == batch.end:
                    return
                limit = limits[self._stopped(batch, row, error, pc, tries, limits)]
                if batch.is_over(self.arena.word(layout.CONTROL)):
                    return
        finally:
            watchdog.deadline = None

    def _stopped(
        self, batch: Batch, row: int, error: int | None, pc: int, tries: dict[int, int], limits: Sequence[float]
    ) -> int:
        """Decides what a stop at `row` means: run it again, or note its end and go on after it. Gives the number of
        the next limit."""
        following = batch.following(row)
        if error is None and self._interrupt is None:
            count = tries[row] = tries.get(row, 0) + 1
            once = len(batch.endless) >= MANY or batch.find(row)[0] in batch.endless
            if count < (1 if once else len(limits)):
                self.restore(batch, row)
                return count
            known = self._watchdog.stops > self._stops
            batch.endless.add(batch.find(row)[0])
            halted = Outcome("crashed", detail="the machine halted")
            batch.events[row] = out_of_time(limits[count - 1]) if known else halted
        else:
            event = self._fault(error, pc)
            if isinstance(event, Fault) and event.what == PROGRAM_CHECK and self._patched(batch, row, event.pc):
                tries.pop(row, None)
                return 0
            batch.events[row] = event
        self.arena.set_word(layout.CONTROL, following)
        return 0

    def _fault(self, error: int | None, pc: int) -> Fault | Outcome:
        """What a stop with an error or an interrupt was."""
        if self._interrupt == self._guest.system_call:
            return Outcome("crashed", detail=confine.made(confine.name(self.isa, self._called(pc))))
        if self._refused is not None:
            return Fault("memory fault", pc, self._refused[1])
        if self._interrupt is not None:
            what, ahead = self._guest.interrupts.get(self._interrupt, (f"interrupt {self._interrupt}", 0))
            zero = what == PROGRAM_CHECK and self._halfword(pc) == b"\0\0"
            return Fault("illegal" if zero else what, pc - ahead)
        return Fault("illegal" if error == unicorn.UC_ERR_INSN_INVALID else f"emulator error {error}", pc)

    def _called(self, pc: int) -> int:
        """The number of the system call that was made."""
        in_place = self._halfword(pc)[1:] if self._guest.call_in_code else b""
        if in_place > b"\0":
            return in_place[0]
        return int(self._uc.reg_read(self._call_number)) & 0xFFFF_FFFF

    def _halfword(self, address: int) -> bytes:
        inside = layout.ARENA <= address < layout.ARENA + layout.ARENA_SIZE
        return self.arena.read(address, 2) if inside else b""

    def _patched(self, batch: Batch, row: int, pc: int) -> bool:
        """Replaces an instruction that Unicorn lacks, and makes the row ready to run again."""
        thunks = self._replacing
        if thunks is None or not thunks.add(pc):
            return False
        self.arena.write(thunks.base, bytes(thunks.code))
        self._uc.ctl_remove_cache(thunks.base, thunks.base + len(thunks.code))
        self.restore(batch, row)
        return True

    def close(self) -> None:
        self._watchdog.ended = True
        self._watchdog.deadline = None


KIND: Final = Kind(
    lambda isa, _vector_bits: UnicornRunner(isa),
    runs=lambda isa: bool(isa.unicorn.constants),
    version=lambda _isa: unicorn.__version__,
    remedy="pip install -e .",
    essential=True,
    inside=True,
)
