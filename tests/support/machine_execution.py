"""Runs single instructions of riscv64 and s390x from a given state in qemu-user, to hold the tables against.

A program of a few hundred bytes is assembled here: it reads a state from its input, puts an instruction into a gap of
its own code, loads all registers but one (which holds the state's address), runs the gap, stores all registers and
writes the state out. Many states go through one process; one whose instruction is refused ends it, and the next process
goes on after it.
"""

from __future__ import annotations

import random
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import pytest

from liftcheck.bits.term import Term
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import FLAGS, MEMORY, VECTOR_CONFIGURATION, Insn, register, show
from liftcheck.mach.regs import NONE
from liftcheck.runners import qemu as qemu_user
from support.machine_tables import evaluator, unread

STATE: Final = 0x20000000
SIZE: Final = 4096
GAP: Final = 1024
CONDITION: Final = 1040
DATA: Final = 2048
MIDDLE: Final = 3072
_CODE: Final = 0x10000
_ORDER: Final = {"riscv64": "<", "s390x": ">"}
_MACHINES: Final = {"riscv64": 243, "s390x": 22}
_PLACES: Final = {
    "riscv64": {
        **{i: (8 * i, 8) for i in range(1, 32)},
        **{64 + i: (256 + 8 * i, 8) for i in range(32)},
        **{128 + i: (512 + 16 * i, 16) for i in range(32)},
    },
    "s390x": {**{i: (8 * i, 8) for i in range(16)}, **{64 + i: (512 + 16 * i, 16) for i in range(32)}},
}
"""Where in the state a register stands, and how many bytes."""


@dataclass
class State:
    """Registers by place, the data that memory operands are in, s390x's condition code, riscv64's configuration."""

    registers: dict[int, int]
    data: bytes
    condition: int = 0
    configuration: int = 0

    def pack(self, isa: str, code: bytes) -> bytes:
        order = "little" if isa == "riscv64" else "big"
        image = bytearray(SIZE)
        for place, value in self.registers.items():
            at, size = _PLACES[isa][place]
            image[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]
        image[GAP : GAP + 8] = code
        image[CONDITION : CONDITION + 8] = (self.condition << 28).to_bytes(8, order)  # type: ignore[arg-type]
        image[DATA:] = self.data
        return bytes(image)


def unpack(isa: str, image: bytes) -> State:
    order = "little" if isa == "riscv64" else "big"
    registers = {
        place: int.from_bytes(image[at : at + size], order)  # type: ignore[arg-type]
        for place, (at, size) in _PLACES[isa].items()
    }
    condition = int.from_bytes(image[CONDITION : CONDITION + 8], "big") >> 28 & 3
    return State(registers, image[DATA:], condition)


# -- the program


def _riscv64(reserved: int) -> bytes:
    words: list[int] = []

    def i(major: int, minor: int, rd: int, rs: int, value: int) -> None:
        words.append((value & 0xFFF) << 20 | rs << 15 | minor << 12 | rd << 7 | major)

    def s(major: int, minor: int, base: int, source: int, value: int) -> None:
        words.append((value >> 5) << 25 | source << 20 | base << 15 | minor << 12 | (value & 31) << 7 | major)

    def call(number: int, descriptor: int) -> None:
        i(0x13, 0, 17, 0, number)
        i(0x13, 0, 10, 0, descriptor)
        words.extend((STATE | 11 << 7 | 0x37, 1 << 12 | 12 << 7 | 0x37, 0x73))

    def vectors(word: int) -> None:
        i(0x13, 0, 5, reserved, 512)
        for number in range(32):
            words.append(word | 5 << 15 | number << 7)
            i(0x13, 0, 5, 5, 16)

    call(63, 0)
    words.append(0xFF << 20 | 0)  # replaced below: leave if nothing was read
    leave = len(words) - 1
    words.append(STATE | reserved << 7 | 0x37)
    i(0x03, 3, 5, reserved, GAP)
    words.append(_CODE | 6 << 7 | 0x37)
    patched = len(words)
    words.extend((0, 0x100F))  # the store into the gap, fence.i
    words.append(0x00301073)  # fcsr := 0
    words.append(0x0C007057 | 5 << 7)  # vsetvli x5, x0, e8, m1, ta, ma: all of a register
    vectors(0x02800007)
    for number in range(32):
        i(0x07, 3, number, reserved, 256 + 8 * number)
    for number in range(1, 32):
        if number != reserved:
            i(0x03, 3, number, reserved, 8 * number)
    gap = 4 * len(words)
    words.extend((0x13, 0x13))
    for number in range(1, 32):
        s(0x23, 3, reserved, number, 8 * number)
    for number in range(32):
        s(0x27, 3, reserved, number, 256 + 8 * number)
    vectors(0x02800027)
    call(64, 1)
    back = -4 * len(words)
    high = (back >> 20 & 1) << 19 | (back >> 1 & 1023) << 9 | (back >> 11 & 1) << 8 | back >> 12 & 255
    words.append(high << 12 | 0x6F)
    offset = _HEADER + gap
    words[patched] = (offset >> 5) << 25 | 5 << 20 | 6 << 15 | 3 << 12 | (offset & 31) << 7 | 0x23
    exits = 4 * (len(words) - leave)
    words[leave] = (exits >> 5 & 63) << 25 | 10 << 15 | 5 << 12 | (exits >> 1 & 15) << 8 | (exits >> 11 & 1) << 7 | 0x63
    words[leave] ^= 10 << 15 | 10 << 20  # bge x0, a0
    i(0x13, 0, 17, 0, 93)
    words.append(0x73)
    return struct.pack(f"<{len(words)}I", *words)


def _s390x(reserved: int) -> bytes:
    code = bytearray()

    def lgfi(register_: int, value: int) -> None:
        code.extend(bytes((0xC0, register_ << 4 | 1)) + struct.pack(">I", value))

    def rxy(opcode: int, register_: int, at: int, base: int = reserved) -> None:
        code.extend(bytes((0xE3, register_ << 4, base << 4 | at >> 8 & 15, at & 255, at >> 12, opcode)))

    def vrx(opcode: int, number: int) -> None:
        at = 512 + 16 * number
        code.extend(bytes((0xE7, (number & 15) << 4, reserved << 4 | at >> 8, at & 255, number >> 4 << 3, opcode)))

    def call(number: int, descriptor: int) -> None:
        for register_, value in ((1, number), (2, descriptor), (3, STATE), (4, SIZE)):
            lgfi(register_, value)
        code.extend(b"\x0a\x00")

    call(3, 0)
    code.extend(b"\xb9\x02\x00\x22")
    leave = len(code)
    code.extend(bytes(6))
    lgfi(reserved, STATE)
    other = 2 if reserved != 2 else 3
    third = 5 if reserved != 5 else 6
    rxy(0x04, other, GAP)
    patched = len(code)
    lgfi(third, 0)
    rxy(0x24, other, 0, third)
    code.extend(b"\xa7\xf4\x00\x03\x07\x07")  # a branch over a nop: what follows is translated anew
    rxy(0x04, other, CONDITION)
    code.extend(bytes((0x04, other << 4)))
    for number in range(32):
        vrx(0x06, number)
    for number in range(16):
        if number != reserved:
            rxy(0x04, number, 8 * number)
    gap = len(code)
    code.extend(b"\x07\x07" * 4)
    for number in range(16):
        rxy(0x24, number, 8 * number)
    for number in range(32):
        vrx(0x0E, number)
    code.extend(b"\xb9\x04\x00" + bytes((other << 4 | reserved,)))
    code.extend(bytes((0xB2, 0x22, 0, third << 4)))
    rxy(0x24, third, CONDITION)
    call(4, 1)
    code.extend(b"\xc0\xf4" + struct.pack(">i", -len(code) // 2))
    code[patched + 2 : patched + 6] = struct.pack(">I", _CODE + _HEADER + gap)
    code[leave : leave + 6] = b"\xc0\xc4" + struct.pack(">i", (len(code) - leave) // 2)
    lgfi(1, 1)
    lgfi(2, 0)
    code.extend(b"\x0a\x00")
    return bytes(code)


_HEADER: Final = 64 + 2 * 56


@cache
def _program(isa: str, reserved: int) -> bytes:
    """A static executable: the code, which it may write, and the state."""
    order = _ORDER[isa]
    code = (_riscv64 if isa == "riscv64" else _s390x)(reserved)
    ident = b"\x7fELF" + bytes((2, 1 if order == "<" else 2, 1)) + bytes(9)
    flags = 5 if isa == "riscv64" else 0
    numbers = (2, _MACHINES[isa], 1, _CODE + _HEADER, 64, 0, flags, 64, 56, 2, 64, 0, 0)
    header = struct.pack(f"{order}HHIQQQIHHHHHH", *numbers)
    size = _HEADER + len(code)
    segments = struct.pack(f"{order}IIQQQQQQ", 1, 7, 0, _CODE, _CODE, size, size, 4096)
    segments += struct.pack(f"{order}IIQQQQQQ", 1, 6, 0, STATE, STATE, 0, 2 * SIZE, 4096)
    return ident + header + segments + code


def _command(isa: str) -> tuple[str, ...]:
    program = qemu_user.program_of(isa)  # asked each time: a test that is not marked needs_qemu has none
    if not program:
        pytest.skip(f"{isa_named(isa).qemu.program} is not installed: apt-get install qemu-user")
    return _with_model(isa, program)


@cache
def _with_model(isa: str, program: str) -> tuple[str, ...]:
    qemu = isa_named(isa).qemu
    if not qemu.models:
        return (program, *qemu.options)
    for model in qemu.models:
        command = (program, "-cpu", model.format(vlen=128))
        if not _output(command, isa, 31, b""):
            continue
        return command
    return (program, "-cpu", qemu.models[-1].format(vlen=128))


def _output(command: Sequence[str], isa: str, reserved: int, images: bytes) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".elf") as program, tempfile.TemporaryFile() as given:
        program.write(_program(isa, reserved))
        program.flush()
        subprocess.run(("chmod", "700", program.name), check=True)
        given.write(images)
        given.seek(0)
        done = subprocess.run((*command, program.name), stdin=given, capture_output=True, timeout=120, check=False)
    return done.stdout


def run(isa: str, reserved: int, jobs: Sequence[tuple[bytes, State]]) -> list[State | None]:
    """The states after each instruction; None for one that ended the process."""
    command = _command(isa)
    images = [state.pack(isa, code) for code, state in jobs]
    found: list[State | None] = []
    while len(found) < len(images):
        output = _output(command, isa, reserved, b"".join(images[len(found) :]))
        whole = len(output) // SIZE
        found += [unpack(isa, output[SIZE * i : SIZE * i + SIZE]) for i in range(whole)]
        if len(found) < len(images):
            dead = jobs[len(found)][0]
            while len(found) < len(images) and jobs[len(found)][0] == dead:
                found.append(None)
    return found


# -- an instruction held against its table


@dataclass
class Case:
    """An instruction with the bytes that it runs with; what was found wrong, whether it ran at all."""

    isa: str
    name: str
    code: bytes
    machine: Insn
    prefix: bytes = b""
    configuration: int = 0
    ran: bool = False
    wrong: list[str] = field(default_factory=list)

    @property
    def gap(self) -> bytes:
        filler = b"\x13\x00\x00\x00" if self.isa == "riscv64" else b"\x07\x07"
        code = self.prefix + self.code
        if self.isa == "riscv64" and len(code) & 2:
            code += b"\x01\x00"
        return (code + 4 * filler)[:8]

    @property
    def named(self) -> set[int]:
        """Registers that the table names."""
        return {place for place in self.machine.reads | self.machine.writes if place >= 0}


def _random_value(rng: random.Random, isa: str, place: int) -> int:
    if place >= 64 and isa == "riscv64" and place < 128:
        if rng.random() < 0.6:
            return 0xFFFFFFFF_00000000 | struct.unpack("<I", struct.pack("<f", rng.uniform(-99, 99)))[0]
        return int(struct.unpack("<Q", struct.pack("<d", rng.uniform(-1e5, 1e5)))[0])
    bits = 64 if place < 64 else 128
    if rng.random() < 0.2:
        return rng.getrandbits(bits) & rng.getrandbits(bits) & rng.getrandbits(bits)
    return rng.getrandbits(bits)


def _random_state(rng: random.Random, case: Case) -> State:
    registers = {place: _random_value(rng, case.isa, place) for place in _PLACES[case.isa]}
    state = State(registers, rng.randbytes(SIZE - DATA), rng.randrange(4), case.configuration)
    _prepare(case, state, rng)
    return state


def _prepare(case: Case, state: State, rng: random.Random) -> None:
    """Addresses into the data, dividends that do not overflow."""
    if case.name.startswith("dl"):
        high = min(p for p in case.machine.writes if 0 <= p < 64)
        state.registers[high] = 0
    for access in case.machine.accesses:
        wanted = STATE + MIDDLE - access.displacement
        if access.scaled != NONE:
            state.registers[access.scaled] = 16 * rng.randrange(8)
            wanted -= state.registers[access.scaled]
        if access.base == access.scaled:
            wanted = (STATE + MIDDLE - access.displacement) // 2
        state.registers[access.base] = wanted


def _changed(rng: random.Random, case: Case, state: State) -> State:
    """Another state that the instruction cannot tell from this one, if its table is right."""
    machine = case.machine
    stays = {p for a in machine.accesses for p in (a.base, a.scaled)} | (machine.reads - machine.merged)
    registers = {
        place: value if place in stays else _random_value(rng, case.isa, place)
        for place, value in state.registers.items()
    }
    data = state.data if MEMORY in machine.reads else rng.randbytes(len(state.data))
    condition = state.condition if FLAGS in machine.reads else rng.randrange(4)
    return State(registers, data, condition, state.configuration)


def check(cases: Sequence[Case], seed: int = 7, trials: int = 3) -> None:
    """Fills in `ran` and `wrong`."""
    rng = random.Random(seed)
    groups: dict[int, list[Case]] = {}
    choices = (31, 9, 18, 25) if cases and cases[0].isa == "riscv64" else (13, 12, 1, 6, 2, 8, 15, 14)
    for case in cases:
        reserved = next(r for r in choices if r not in case.named)
        groups.setdefault(reserved, []).append(case)
    for reserved, members in groups.items():
        jobs: list[tuple[Case, State]] = []
        for case in members:
            for _ in range(trials):
                state = _random_state(rng, case)
                jobs += [(case, state), (case, _changed(rng, case, state))]
        results = run(cases[0].isa, reserved, [(case.gap, state) for case, state in jobs])
        for index in range(0, len(jobs), 2):
            first, second = results[index : index + 2]
            if first is not None and second is not None:
                case = jobs[index][0]
                case.ran = True
                for before, after in ((jobs[index][1], first), (jobs[index + 1][1], second)):
                    _untouched(case, reserved, before, after)
                    _exact(case, before, after)
                _same_results(case, jobs[index][1], first, jobs[index + 1][1], second)


def _untouched(case: Case, reserved: int, before: State, after: State) -> None:
    """What is not written keeps its value."""
    for place, value in before.registers.items():
        if place not in case.machine.writes and place != reserved and after.registers[place] != value:
            case.wrong.append(f"writes {show(place, case.isa)}")
    if case.isa == "s390x" and FLAGS not in case.machine.writes and after.condition != before.condition:
        case.wrong.append("writes flags")
    at = MIDDLE - DATA
    written = [a.size for a in case.machine.accesses if a.written]
    end = at + (written[0] if written else 0)
    if after.data[:at] != before.data[:at] or after.data[end:] != before.data[end:]:
        case.wrong.append("writes memory elsewhere")


def _same_results(case: Case, first: State, one: State, second: State, two: State) -> None:
    """What is not read takes no part in results: results differ only in bits that stayed as they were."""
    runs = (first.registers, one.registers), (second.registers, two.registers)
    case.wrong += unread(case.isa, case.machine, *runs, tails=case.isa == "riscv64")
    if FLAGS in case.machine.writes and one.condition != two.condition:
        case.wrong.append("reads something that the flags depend on")
    size = sum(a.size for a in case.machine.accesses if a.written)
    at = MIDDLE - DATA
    for index in range(at, at + size):
        stayed = one.data[index] == first.data[index] and two.data[index] == second.data[index]
        if one.data[index] != two.data[index] and not stayed:
            case.wrong.append("reads something that it stores")


def _exact(case: Case, before: State, after: State) -> None:
    """What the effect says."""
    effect = case.machine.effect
    if effect is None:
        return
    order = "little" if case.isa == "riscv64" else "big"
    values = {register(case.isa, place): value for place, value in before.registers.items()}
    values[register(case.isa, VECTOR_CONFIGURATION)] = before.configuration

    def value(term: Term, unknown: int = 0) -> int:
        """With zeros or (-1) ones for what nothing is known of."""
        inputs, function = evaluator(term)
        return function(*(values.get(name, unknown & (1 << name.bits) - 1) for name in inputs))

    for load in effect.loads:
        at = value(load.address) % (1 << 64) - STATE - DATA
        values[load.value] = int.from_bytes(before.data[at : at + load.size], order)  # type: ignore[arg-type]
    for place, term in effect.writes:
        known = ~(value(term) ^ value(term, -1))
        if place >= 0 and (value(term) ^ after.registers[place]) & known:
            case.wrong.append(f"effect on {show(place, case.isa)}: {value(term):x}, not {after.registers[place]:x}")
    data = bytearray(before.data)
    for store in effect.stores:
        at = value(store.address) % (1 << 64) - STATE - DATA
        if value(store.value) == value(store.value, -1):
            data[at : at + store.size] = value(store.value).to_bytes(store.size, order)  # type: ignore[arg-type]
        else:
            data[at : at + store.size] = after.data[at : at + store.size]
    if bytes(data) != after.data:
        case.wrong.append("effect on memory")
    if {place for place, _ in effect.writes if place >= 0} != {p for p in case.machine.writes if p >= 0}:
        case.wrong.append("the effect writes other registers")
