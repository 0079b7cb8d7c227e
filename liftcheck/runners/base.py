"""What all runners share: jobs, the arena, rows going in, outcomes coming out.

The one idea: a batch is a chain of rows in memory (trampolines.py), one for each (job, input), that the stub's loop in
the guest walks in one start (stubs/x86-64.s). A runner is a way to let that loop run and to hear how a row ended
otherwise than by returning: its `drive` fills `Batch.events`; everything else is done here, for every runner alike.
What is expected of a job comes along as bytes (`ExpectedRows`): if they are there, the answer is the list that was
expected.

Outcomes beside 'returned' and 'trapped':
  'abi'          the loop found a callee-saved register or the stack pointer changed, or the trampoline itself faulted
  'out_of_fuel'  the row did not end within the limit of processor time, the runner's or the caller's (patience.py)
  'crashed'      a fault that the compiler's trap table does not explain, or the death of the worker process
  'unsupported'  the runner met an instruction that it knows it lacks
A fault in the unmapped megabyte below the stack is 'trapped' with 'stk_ovf', whatever the trap table says of that
instruction: machine code recurses deeper or less deep than the reference does, so an oracle treats it as undecided.
A call or an access of a symbol that is missing (`Image.missing`) is 'trapped' with 'unresolved NAME'.
It compares nothing.
"""

from __future__ import annotations

import mmap
import struct
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple, Protocol

from liftcheck import layout
from liftcheck.case import Case, FunctionCode, Outcome
from liftcheck.clif.ir import Signature
from liftcheck.errors import InternalError
from liftcheck.isa import ByteOrder, byte_order
from liftcheck.isa.base import Isa
from liftcheck.mach.capstone import lacking, mnemonics
from liftcheck.mach.insn import LONGEST, ORDINARY, decode
from liftcheck.runners.link import Image
from liftcheck.runners.portions import END, Need, Piece, fit, portions
from liftcheck.runners.stub import load_stub
from liftcheck.runners.trampolines import HEADER, STACK_POINTER, Packing, packing

STACK_TOP: Final = layout.STACK + layout.STACK_SIZE - 0x1000
STACK_GUARD: Final = 0x10_0000
NOISE: Final = (0xFFFF_FFFF_FFFF_FFFF, 0x5A96_C3E1_8D47_B20F, 0x8000_0000_8000_8080, 0xA5A5_5A5A_0FF0_7F01)
"""Upper bits of narrow arguments: all set, mixed, only the sign bits above each width, mixed."""
NOT_RUN: Final = "time: not run"
"""The detail of a row that had no turn before its call's time was up."""
_REFUSALS: Final = ("illegal", "program check")


class ExpectedRows(NamedTuple):
    """A case in one byte order, as the bytes that go into its rows and come out of them: made once, for all jobs. A job
    that does what is expected is known by comparing bytes, and no outcome is made for it.

    bodies    a row of each input without where things are (`Packing.body`)
    outcomes  what is expected of each input
    answers   what each row then has for results, zeros for a trap; None if no run can have these outcomes
    memories  what each data region then holds, () without data regions
    ended     the numbers of the rows that then do not return
    """

    bodies: tuple[bytes, ...]
    outcomes: list[Outcome]
    answers: tuple[bytes, ...] | None
    memories: tuple[bytes, ...]
    ended: list[int]


class Job(NamedTuple):
    """One compiled program and its inputs.

    trampoline  compiled for `signature` and this target
    entry       the callee's address (`Image.entry`)
    inputs, memories, slot   as in `Case`
    sheet       of these inputs in the target's byte order, if there is one
    """

    trampoline: FunctionCode
    entry: int
    signature: Signature
    inputs: Sequence[tuple[int, ...]]
    memories: Sequence[bytes] = ()
    slot: int = 0
    expected: ExpectedRows | None = None


def out_of_time(seconds: float) -> Outcome:
    """Of a row that got so much processor time and did not end in it."""
    return Outcome("out_of_fuel", detail=f"time: not ended after {seconds:.2g} s of processor time")


def expect_rows(case: Case, outcomes: list[Outcome], big_endian: bool) -> ExpectedRows:
    """The sheet of a case of which these outcomes are expected."""
    form = packing(case.module.functions[case.entry].signature, big_endian)
    size = layout.SLOT_SIZE if case.memories else 0
    memories = tuple([outcome.memory for outcome in outcomes])
    ended = [number for number, outcome in enumerate(outcomes) if outcome.kind != "returned"]
    answers = _answers(form, outcomes) if [*map(len, memories)] == [size] * len(case.inputs) else None
    return ExpectedRows(_bodies(form, case.inputs), outcomes, answers, memories if size else (), ended)


def _bodies(form: Packing, inputs: Sequence[tuple[int, ...]]) -> tuple[bytes, ...]:
    return form.bodies(inputs, NOISE * (len(inputs) // len(NOISE) + 1))


def _answers(form: Packing, outcomes: Sequence[Outcome]) -> tuple[bytes, ...] | None:
    returned = [outcome.kind == "returned" for outcome in outcomes]
    try:
        found = form.answers([outcome.values for outcome in outcomes if outcome.kind == "returned"])
    except (struct.error, OverflowError, ValueError):
        return None
    if all(returned):
        return found
    given, nothing = iter(found), bytes(form.size - form.results)
    return tuple([next(given) if did else nothing for did in returned])


def _code_size(job: Job) -> int:
    """What a job's trampoline takes of the area, at most."""
    return len(job.trampoline.code) + max(job.trampoline.alignment, 16)


def _cut(job: Job, piece: Piece) -> Job:
    """The part of a job that is a piece of it."""
    if piece.rows == len(job.inputs):
        return job
    wanted = slice(piece.first, piece.first + piece.rows)
    slot = job.slot + piece.first if job.memories else job.slot
    return job._replace(inputs=job.inputs[wanted], memories=job.memories[wanted], slot=slot, expected=None)


class Fault(NamedTuple):
    """How a row ended otherwise than by returning.

    what   'illegal', 'memory', 'arithmetic', 'trap', 'signal N': words for people
    pc     address of the instruction; address  of the access (perhaps its page's only), or None
    """

    what: str
    pc: int
    address: int | None = None


class Runner(Protocol):
    """Runs jobs of one image on one ISA. One runner serves one thread; `close` ends its processes."""

    @property
    def name(self) -> str:
        """Its name in `runners.table`."""

    @property
    def isa(self) -> str:
        """The ISA whose code it runs."""

    def run(self, image: Image, jobs: Sequence[Job], seconds: float = 0.0, until: float = inf) -> list[list[Outcome]]:
        """One list of outcomes per job, one outcome per input, in order. Never raises for what the code does.

        `seconds` of processor time are what a row may take; 0: the little that a runner gives to rows by itself. Rows
        that have not ended at `until`, by the monotonic clock, have not ended.
        """

    def confinement(self) -> bool | None:
        """Whether the processes that execute code are kept from making system calls; None if there are none."""

    def close(self) -> None:
        """Ends what the runner started. A closed runner cannot run."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a runner's module says of it: all that the rest of liftcheck wants to know before there is one.

    open       a new one for an ISA, with vector registers of so many bits; Unavailable if the machine lacks it
    runs       whether it is for an ISA at all
    version    what stands after it for an ISA, '' if that cannot be told
    remedy     the command that installs it, '' if there is none
    newer      what to do about extensions of an ISA that it lacks, '' if nothing
    essential  liftcheck is not usable without it
    sized      a runner of it serves one size of vector registers
    inside     it has no process of its own: what kills it kills the process that asked
    """

    open: Callable[[str, int], Runner]
    runs: Callable[[Isa], bool]
    version: Callable[[str], str] = lambda _isa: ""
    remedy: str = ""
    newer: Callable[[Isa], str] = lambda _isa: ""
    essential: bool = False
    sized: bool = False
    inside: bool = False


class Replacing(Protocol):
    """Puts code in the place of instructions that an emulator lacks (`Isa.replacing`). One per emulator."""

    base: int
    code: bytearray

    def rewrite(self, image: Image) -> bytes:
        """The code to load for an image."""

    def add(self, address: int) -> bool:
        """Replaces the instruction that stopped at an address, in `code` at `base`; False if it cannot."""


class Arena:
    """The host's view of the guest's memory: the same bytes at `address - layout.ARENA`."""

    __slots__ = ("bytes", "order")

    def __init__(self, isa: str, descriptor: int = -1) -> None:
        shared = mmap.MAP_SHARED if descriptor >= 0 else mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.bytes: Final = mmap.mmap(descriptor, layout.ARENA_SIZE, flags=shared)
        self.order: Final[ByteOrder] = byte_order(isa)
        self.write(layout.CONTROL, control_block(self.order))
        self.write(layout.STACK, bytes(range(1, 252)) * (layout.STACK_SIZE // 251))

    def write(self, address: int, data: bytes) -> None:
        at = address - layout.ARENA
        self.bytes[at : at + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        at = address - layout.ARENA
        return self.bytes[at : at + size]

    def word(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), self.order)

    def set_word(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(8, self.order))


def control_block(order: ByteOrder) -> bytes:
    """Noise and canaries of the control block: integer words at 64, vector registers at 320, all different."""
    words = [0xC0DE_0000_0000_0000 | 0x0101_0101 * (k + 1) for k in range(32)]
    words += [0x7FF4_DEAD_0000_0000 | 0x1_0001 * (k + 1) for k in range(64)]
    return bytes(64) + b"".join(word.to_bytes(8, order) for word in words)


class Batch:
    """The rows of one call of `run`, written to the arena, and what happened to them; `endless` are the jobs of which a
    row did not end: their other rows get less time."""

    __slots__ = ("end", "endless", "events", "image", "jobs", "packings", "seconds", "starts", "until")

    def __init__(self, image: Image, jobs: Sequence[Job], packings: list[Packing], seconds: float) -> None:
        self.image: Final = image
        self.seconds: Final = seconds
        self.until = inf
        self.jobs: Final = jobs
        self.packings: Final = packings
        self.starts: Final[list[int]] = []
        self.end = layout.ROWS
        self.events: Final[dict[int, Fault | Outcome]] = {}
        self.endless: Final[set[int]] = set()

    def find(self, row: int) -> tuple[int, int]:
        """The job and the input of the row at an address; InternalError if no row is there."""
        job = bisect_right(self.starts, row) - 1
        if job >= 0 and row < self.end:
            index, rest = divmod(row - self.starts[job], self.packings[job].size)
            if not rest:
                return job, index
        raise InternalError(f"no row at {row:#x}: generated code wrote to the control block")

    def following(self, row: int) -> int:
        """The address of the row after `row`."""
        return row + self.packings[self.find(row)[0]].size

    def is_over(self, row: int) -> bool:
        """Whether the call's time is up; if so, the rows from `row` on have not ended."""
        if time.monotonic() < self.until:
            return False
        while row < self.end:
            self.events[row] = Outcome("out_of_fuel", detail=NOT_RUN)
            row = self.following(row)
        return True


class BaseRunner:
    """Rows in, outcomes out. A subclass gives `load` (code of an image), `drive` (let the loop run) and an arena."""

    name = ""
    refuses: tuple[bytes, ...] = ()
    """What instructions begin with that it is believed to lack; (): all."""

    def __init__(self, isa: str, arena: Arena) -> None:
        self.isa: Final = isa
        self.arena: Final = arena
        self.stub: Final = load_stub(isa)
        self._big_endian: Final = byte_order(isa) == "big"
        self._image: Image | None = None
        self._trampolines: dict[bytes, int] = {}
        self._next_trampoline = layout.TRAMPOLINES

    def confinement(self) -> bool | None:
        """See `Runner`."""
        return None

    def run(self, image: Image, jobs: Sequence[Job], seconds: float = 0.0, until: float = inf) -> list[list[Outcome]]:
        """See `Runner.run`."""
        if image.isa != self.isa:
            raise InternalError(f"an image for {image.isa} on a runner for {self.isa}")
        if image is not self._image:
            self._image = None
            self.load(image)
            self._image = image
        packings = [packing(job.signature, self._big_endian) for job in jobs]
        rows = sum([form.size * len(job.inputs) for job, form in zip(jobs, packings)])
        code = sum([_code_size(job) for job in jobs])
        if not fit(rows, code):
            needs = [Need(form.size, len(job.inputs), _code_size(job)) for job, form in zip(jobs, packings)]
            return self._in_portions(image, jobs, portions(needs), seconds, until)
        if self._next_trampoline + code > layout.TRAMPOLINES + layout.TRAMPOLINES_SIZE:
            self.forget_trampolines()
            self._trampolines.clear()
            self._next_trampoline = layout.TRAMPOLINES
        batch = self._fill(image, jobs, packings, seconds)
        batch.until = until
        self.drive(batch)
        return self._outcomes(batch)

    def _in_portions(
        self, image: Image, jobs: Sequence[Job], pieces: list[list[Piece]], seconds: float, until: float
    ) -> list[list[Outcome]]:
        """What does not fit into the areas at once, in several runs."""
        found: list[list[Outcome]] = [[] for _ in jobs]
        for portion in pieces:
            outcomes = self.run(image, [_cut(jobs[piece.job], piece) for piece in portion], seconds, until)
            for piece, some in zip(portion, outcomes, strict=True):
                found[piece.job] += some
        lacking = Outcome("unsupported", detail="a call whose arguments and results need more than 4 MiB")
        return [some or [lacking] * len(job.inputs) for some, job in zip(found, jobs)]

    def load(self, image: Image) -> None:
        raise NotImplementedError

    def drive(self, batch: Batch) -> None:
        raise NotImplementedError

    def forget_trampolines(self) -> None:
        """The area of trampolines is about to be written anew: drop translations of it."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def _trampoline(self, function: FunctionCode) -> int:
        """Where a trampoline lies; it is written once and stays."""
        address = self._trampolines.get(function.code)
        return address if address is not None else self._place(function)

    def _place(self, function: FunctionCode) -> int:
        if function.relocations:
            raise InternalError(f"the trampoline {function.name} has relocations: {function.relocations}")
        alignment = max(function.alignment, 16)
        address = -(-self._next_trampoline // alignment) * alignment
        self.arena.write(address, function.code)
        self._trampolines[function.code] = address
        self._next_trampoline = address + len(function.code)
        return address

    def _fill(self, image: Image, jobs: Sequence[Job], packings: list[Packing], seconds: float) -> Batch:
        """Writes data regions and rows."""
        batch = Batch(image, jobs, packings, seconds)
        parts: list[bytes] = []
        here = layout.ROWS
        for job, form in zip(jobs, batch.packings):
            batch.starts.append(here)
            bodies = job.expected.bodies if job.expected is not None else _bodies(form, job.inputs)
            parts.append(form.rows(self._trampoline(job.trampoline), STACK_TOP, here, job.entry, bodies))
            here += form.size * len(bodies)
            if job.memories:
                self._write_memories(job)
        parts.append(bytes(END))
        batch.end = here
        arena = self.arena.bytes
        arena[layout.ROWS - layout.ARENA : here + END - layout.ARENA] = b"".join(parts)
        self.arena.set_word(layout.CONTROL, layout.ROWS)
        return batch

    def _write_memories(self, job: Job) -> None:
        if job.slot + len(job.memories) > layout.SLOTS or len(job.memories) < len(job.inputs):
            raise InternalError(f"slots {job.slot} … for {len(job.inputs)} inputs, {len(job.memories)} memories")
        arena, at = self.arena.bytes, layout.slot_address(job.slot) - layout.ARENA
        for memory in job.memories:
            arena[at : at + layout.SLOT_SIZE] = memory
            at += layout.SLOT_STRIDE

    def restore(self, batch: Batch, row: int) -> None:
        """Puts the data region of a row back to its start, so that the row can run again."""
        job_index, index = batch.find(row)
        job = batch.jobs[job_index]
        if job.memories:
            self.arena.write(layout.slot_address(job.slot + index), job.memories[index])

    def _outcomes(self, batch: Batch) -> list[list[Outcome]]:
        rows = self.arena.bytes[layout.ROWS - layout.ARENA : batch.end - layout.ARENA]
        everything: list[list[Outcome]] = []
        for job, form, start in zip(batch.jobs, batch.packings, batch.starts):
            expected = job.expected
            if expected is not None and self._is_as_expected(batch, job, expected, form, start, rows):
                everything.append(expected.outcomes)
            else:
                everything.append(self._read(batch, job, form, start, rows))
        return everything

    def _is_as_expected(
        self, batch: Batch, job: Job, expected: ExpectedRows, form: Packing, start: int, rows: bytes
    ) -> bool:
        """Whether `_read` would give the expected outcomes."""
        count = len(job.inputs)
        if form.answers_in(rows, start - layout.ROWS, count) != expected.answers:
            return False
        arena, at = self.arena.bytes, layout.slot_address(job.slot) - layout.ARENA
        for memory in expected.memories:
            if arena[at : at + layout.SLOT_SIZE] != memory:
                return False
            at += layout.SLOT_STRIDE
        events, size, outcomes = batch.events, form.size, expected.outcomes
        ended = [row for row in range(start, start + size * count, size) if row in events] if events else []
        return [(row - start) // size for row in ended] == expected.ended and all(
            self._ended(batch.image, events[row], outcomes[number].memory) == outcomes[number]
            for number, row in zip(expected.ended, ended)
        )

    def _read(self, batch: Batch, job: Job, form: Packing, start: int, rows: bytes) -> list[Outcome]:
        """A job's outcomes."""
        arena, events = self.arena.bytes, batch.events
        at, outcomes = start - layout.ROWS, []
        data = layout.slot_address(job.slot) - layout.ARENA if job.memories else -1
        for _ in job.inputs:
            memory = b""
            if data >= 0:
                memory = arena[data : data + layout.SLOT_SIZE]
                data += layout.SLOT_STRIDE
            if at + layout.ROWS in events:
                ended = self._ended(batch.image, events[at + layout.ROWS], memory)
                outcomes.append(self._lost_stack(rows[at : at + HEADER], ended))
            else:
                outcomes.append(Outcome("returned", form.unpack(rows, at), memory, ""))
            at += form.size
        return outcomes

    def _lost_stack(self, header: bytes, ended: Outcome) -> Outcome:
        """A crash after a return with a changed stack pointer, which the trampoline noted, is the ABI's damage."""
        noted = int.from_bytes(header[STACK_POINTER : STACK_POINTER + 8], self.arena.order)
        if ended.kind != "crashed" or noted == 0 or layout.STACK <= noted <= layout.STACK + layout.STACK_SIZE:
            return ended
        return Outcome("abi", (), ended.memory, "callee-saved register or stack pointer")

    def _ended(self, image: Image, event: Fault | Outcome, memory: bytes) -> Outcome:
        """The outcome of a row that did not return."""
        if isinstance(event, Outcome):
            return event
        pc, what = event.pc, event.what
        name = layout.unresolved(pc, image.missing) or (
            layout.unresolved(event.address, image.missing) if event.address is not None else ""
        )
        if name:
            return Outcome("trapped", (), memory, name)
        if event.address is not None and layout.STACK - STACK_GUARD <= event.address < layout.STACK:
            return Outcome("trapped", (), memory, "stk_ovf")
        if layout.TRAMPOLINES <= pc < layout.TRAMPOLINES + layout.TRAMPOLINES_SIZE:
            return Outcome("abi", (), memory, f"{what} in the trampoline")
        if layout.STUB <= pc < layout.STUB + layout.STUB_SIZE:
            return self._ended_in_stub(event, memory)
        code = image.trap_at(pc)
        if code is not None:
            return Outcome("trapped", (), memory, code)
        found = image.function_at(pc)
        if found is None:
            return Outcome("crashed", (), memory, f"wild jump to {pc:#x}")
        if what in _REFUSALS:
            name = self._lacked(found[0].code[found[1] :])
            if name:
                return Outcome("unsupported", (), b"", f"{self.name} lacks {name}")
        return Outcome("crashed", (), memory, f"{what} at {image.where(pc)}")

    def _lacked(self, code: bytes) -> str:
        """The name of the instruction at which the runner stopped, if it is one that it lacks."""
        if self.refuses and not code.startswith(self.refuses):
            return ""
        name = lacking(self.isa, code)
        if name or next(iter(mnemonics(self.isa, code[:LONGEST])), "") != ".byte":
            return name
        machine = decode(self.isa, code[:LONGEST])[0]
        return machine.name if machine.known and machine.flow == ORDINARY else ""

    def _ended_in_stub(self, event: Fault, memory: bytes) -> Outcome:
        if event.pc >= self.stub.labels["libcalls"]:
            name = max((at, name) for name, at in self.stub.libcalls.items() if at <= event.pc)[1]
            return Outcome("crashed", (), memory, f"{event.what} in libcall {name}")
        return Outcome("abi", (), memory, "callee-saved register or stack pointer")
