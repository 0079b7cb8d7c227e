"""A process of its own as a runner: native on a host of the ISA, and under qemu-user for every ISA.

The one idea: the guest is a static ELF file of one page or two, made here of the stub's bytes: the same loop over rows
as in Unicorn, with a server around it that maps the arena from a shared file, waits for a byte, runs the batch, answers
with a byte. It is not a Python process, so wild stores hurt no one, and its death (the answer's end of file) leaves the
address of the guilty row in the shared control block: that row is noted, a new process goes on after it.
A fault enters the stub's signal handler, which writes signal, PC and address into the row and goes on with the next.
Endless rows are ended by the process's own timer of user time, so a busy host changes nothing and an orphan ends
itself. New code is made visible to qemu by an mprotect there and back (qemu drops its translations); a native processor
needs nothing. The answer is awaited with a deadline, for code that hid from its timer.
Generated code that jumps onto a system call is stopped at it, and the call named (confine.py); no sandbox else: qemu
shares its memory with the guest.
Sources: kernel uapi (sigcontext of the four ISAs), qemu-user 7.2; for qemu s390x, SIGILL and SIGFPE come with the PC
after the instruction and its start in si_addr.
"""

from __future__ import annotations

import os
import struct
import sys
import time
import weakref
from collections.abc import Sequence
from functools import cache
from typing import Final

from liftcheck import layout
from liftcheck.case import Outcome
from liftcheck.errors import Unavailable
from liftcheck.isa.base import isa_named
from liftcheck.runners import confine, errata
from liftcheck.runners.base import Arena, BaseRunner, Batch, Fault, Replacing, out_of_time
from liftcheck.runners.link import Image
from liftcheck.runners.worker import Worker, memory_file

TICK: Final = 0.01
TICKS: Final = 12
"""Ticks (seconds of user time) that a row may take, unless more is asked for; the first may be partial."""
HURRY: Final = 1.0
HURRIED: Final = 2
"""Seconds after which the rows of a call, that are usually done in milliseconds, get so few ticks only: many do not
end, and who asks gives some of them a longer try (patience.py)."""
PATIENCE: Final = 3.0
"""Seconds between looks at a process that does not answer. It hangs when it has used none of its processor time since,
or more than its timer would have allowed a row."""
KILLED: Final = "worker died: signal SIGKILL"
"""What is noted of a process that somebody killed: a user, or a kernel without memory. Code does not do that to it (it
is confined, and limits end it by other signals), so the row runs once more, and is guilty only if that happens again.
"""
_PAGE: Final = 0x1000
_SIGNALS: Final = {4: "illegal", 5: "trap", 7: "bus fault", 8: "arithmetic", 11: "memory fault"}
_BREAKPOINT: Final = 5
_TIMER: Final = 26
_SYSTEM_CALL: Final = 31
_PREFIXES: Final = (b"\xc4", b"\xc5", b"\x62")
"""Of instructions of extensions (VEX, EVEX): a processor is believed to lack an instruction only if it has one."""
_CONFINED: Final = layout.CONTROL + 42 - layout.ARENA


class ProcessRunner(BaseRunner):
    """Rows in a process: `command` is what stands before the ELF file (nothing: native)."""

    def __init__(self, name: str, isa: str, command: Sequence[str], ticks: int = TICKS, confined: bool = True) -> None:
        self._memory: Final = memory_file("liftcheck-arena", layout.ARENA_SIZE)
        super().__init__(isa, Arena(isa, self._memory))
        self._close_memory: Final = weakref.finalize(self, os.close, self._memory)
        self.name = name
        self.refuses = () if command else _PREFIXES
        self._command: Final = tuple(command)
        self._remap: Final = bool(command)
        self._worker: Worker | None = None
        self._confined: Final = confined
        self._replace_at = 0.0
        self._isa: Final = isa_named(isa)
        replacing = self._isa.part(self._isa.replacing) if command else None
        self._replacing: Final[Replacing | None] = replacing(tests_alone=True) if replacing else None
        self._dirty = layout.STUB - layout.ARENA
        self._ticks: Final = ticks
        self.arena.set_word(layout.CONTROL + 32, ticks)
        self.restarts = 0
        self._killed_at = (0, 0)

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._worker.process.pid if self._worker is not None else None

    def load(self, image: Image) -> None:
        code = self._replacing.rewrite(image) if self._replacing else image.code
        self.arena.write(image.base, code)
        self._dirty = max(self._dirty, image.base + len(code) - layout.ARENA)

    def forget_trampolines(self) -> None:
        self._dirty = layout.STUB - layout.ARENA

    def set_vector_noise(self) -> None:
        """The machine has vector registers beyond its base, so the loop fills them with noise."""
        self.arena.write(layout.CONTROL + 41, b"\1")

    @property
    def is_confined(self) -> bool:
        """Whether the process that there is can make no system calls but a few."""
        if self._worker is None:
            return False
        return self._worker.listener is not None if self._command else self.arena.bytes[_CONFINED] == 1

    def confinement(self) -> bool | None:
        self.ensure_started()
        return self.is_confined

    def start(self) -> None:
        """Starts the process and waits for its first byte; Unavailable if it does not come."""
        self.arena.bytes[_CONFINED] = 0
        worker = self._worker = Worker(self._command, self.isa, self.stub, self._memory, self._confined)
        if not worker.is_set_up():
            worker.end()
            self._worker = None
            raise Unavailable(f"{self.name} for {self.isa} does not start: {' '.join(self._command)}".rstrip(": "))
        self._replace_at = time.monotonic() + confine.LIFETIME
        self._dirty = 0
        if self._confined and not self.is_confined:
            say_unconfined(self.name)

    def ensure_started(self) -> None:
        """Starts the process, if there is none."""
        if self._worker is None:
            self.start()

    def drive(self, batch: Batch) -> None:
        """The timer's ticks are set for this batch, if it has a limit of its own."""
        if self._worker is not None and time.monotonic() > self._replace_at:
            self.close()
        if self._worker is not None and batch.seconds:
            confine.limit_time(self._worker.process.pid, self._worker.seconds() + batch.seconds)
        if batch.seconds:
            self.arena.set_word(layout.CONTROL + 32, max(2, round(batch.seconds / TICK)))
        try:
            self._drive(batch, batch.seconds or self._ticks * TICK)
        finally:
            self.arena.set_word(layout.CONTROL + 32, self._ticks)

    def _drive(self, batch: Batch, seconds: float) -> None:
        while True:
            self.ensure_started()
            length = -(-self._dirty // _PAGE) * _PAGE if self._remap else 0
            self.arena.set_word(layout.CONTROL + 8, length)
            self._dirty = 0
            if self._answered(batch, seconds):
                break
            self._note_death(batch, seconds)
            if batch.is_over(self.arena.word(layout.CONTROL)):
                break
        self._collect(batch, seconds)

    def _answered(self, batch: Batch, seconds: float) -> bool:
        """Lets the process run; False if it died, makes a system call or hangs: the row stays the same and the process
        sleeps, or has used more time than its own timer allows, and must have hidden from it; or the call is
        over."""
        worker = self._worker
        assert worker is not None
        row, since, used = -1, 0.0, 0.0
        try:
            os.write(worker.commands, b"r")
            turn = worker.turn(_patience(batch) if batch.seconds else min(HURRY, _patience(batch)))
            if turn == "late" and not batch.seconds:
                self.arena.set_word(layout.CONTROL + 32, HURRIED)
                turn = worker.turn(_patience(batch))
            while turn == "late":
                before, used = used, worker.seconds()
                now = self.arena.word(layout.CONTROL)
                if now != row:
                    row, since = now, used
                elif used == before or used - since > 2 * seconds + 1:
                    return False
                if time.monotonic() > batch.until:
                    return False
                turn = worker.turn(_patience(batch))
            return turn == "answered"
        except BrokenPipeError:
            return False
        except BaseException:  # interrupted (Ctrl-C): the answer would come to the next batch
            worker.end()
            self._worker = None
            raise

    def _note_death(self, batch: Batch, seconds: float) -> None:
        """The row in the control block killed the process: note it, prepare to go on after it."""
        worker, row = self._worker, self.arena.word(layout.CONTROL)
        assert worker is not None
        hung = worker.process.poll() is None and not worker.is_gone()
        worker.process.kill()
        worker.process.wait()
        ended = self._death(worker, hung, seconds)
        worker.end()
        self._worker = None
        self.restarts += 1
        if row == batch.end:
            self.arena.set_word(layout.CONTROL, row)
            return
        if ended.detail == KILLED and self._killed_at != (id(batch), row):
            self._killed_at = id(batch), row
            self.restore(batch, row)
            self.arena.set_word(layout.CONTROL, row)
            return
        batch.events[row] = ended
        following = batch.following(row)
        while ended.kind == "unsupported" and following < batch.end and batch.find(following)[0] == batch.find(row)[0]:
            batch.events[following] = ended  # an emulator that dies of the code does so with every input
            following = batch.following(following)
        self.arena.set_word(layout.CONTROL, following)

    def _death(self, worker: Worker, hung: bool, seconds: float) -> Outcome:
        """What it means that the process is gone: an emulator's own words come first, then what it asked for."""
        words = worker.last_words()
        own = errata.own_words(words)
        if own:
            return Outcome("unsupported", detail=f"emulator: {self.name} for {self.isa} died: {own}")
        if worker.stopped and not words:
            return Outcome("crashed", detail=confine.made(worker.stopped))
        if hung and not worker.stopped:
            return out_of_time(seconds)
        if worker.process.returncode >= 0 and not words:
            return Outcome("crashed", detail=confine.made(f"exit ({worker.status()})"))
        last = f": {words.strip().splitlines()[0]}" if words.strip() else ""
        return Outcome("crashed", detail=f"worker died: {worker.status()}{last}")

    def _collect(self, batch: Batch, seconds: float) -> None:
        """Reads the signals that the handler noted in the rows."""
        rows = self.arena.read(layout.ROWS, batch.end - layout.ROWS)
        order = ">" if self._big_endian else "<"
        read = struct.Struct(order + "4Q").unpack_from
        for job, form, start in zip(batch.jobs, batch.packings, batch.starts):
            at = start - layout.ROWS + 32
            for _ in job.inputs:
                if rows[at : at + 8] != _NO_SIGNAL:
                    batch.events[at - 32 + layout.ROWS] = self._event(read(rows, at), seconds)
                at += form.size

    def _event(self, noted: tuple[int, int, int, int], seconds: float) -> Fault | Outcome:
        number, pc, address, code = noted
        if number == _SYSTEM_CALL and not self._command:
            return Outcome("crashed", detail=confine.made(confine.noted(code)))
        if number == _TIMER:
            return out_of_time(seconds)
        what = _SIGNALS.get(number, f"signal {number}")
        if self._remap and number in self._isa.qemu.at_fault:
            return Fault(what, address)
        if number == _BREAKPOINT:
            pc -= self._isa.ahead
        return Fault(what, pc, address if number in (7, 11) else None)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


_NO_SIGNAL: Final = bytes(8)


@cache
def say_unconfined(name: str) -> None:
    """Says once that the processes of a runner have the user's rights."""
    print(
        f"liftcheck: the {name} runner's processes are not confined (no seccomp here): code under test that makes a "
        "system call acts with your rights",
        file=sys.stderr,
    )


def _patience(batch: Batch) -> float:
    """How long to wait before the next look at a process that is late."""
    return max(0.1, min(PATIENCE, batch.until - time.monotonic()))
