"""Runs single instructions of x86-64 and aarch64 from a given state in Unicorn, to hold the tables against.

A state is the registers by place, flags, and a page of data that memory operands are led into. `check` runs an
instruction twice, the second time with everything changed that its table does not say it reads.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import unicorn
from unicorn import arm64_const, x86_const

from liftcheck.bits.term import Term
from liftcheck.mach.insn import FLAGS, MEMORY, Insn, register, show
from liftcheck.mach.regs import NONE
from support.machine_tables import evaluator, unread

CODE: Final = 0x10000
DATA: Final = 0x40000
MIDDLE: Final = DATA + 0x800
PAGE: Final = 0x1000
_X64: Final = ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{n}" for n in range(8, 16)))
REGISTERS: Final[dict[str, dict[int, int]]] = {
    "x86-64": {n: getattr(x86_const, f"UC_X86_REG_{name}") for n, name in enumerate(_X64)}
    | {64 + n: getattr(x86_const, f"UC_X86_REG_XMM{n}") for n in range(16)},
    "aarch64": {n: getattr(arm64_const, f"UC_ARM64_REG_X{n}") for n in range(31)}
    | {63: arm64_const.UC_ARM64_REG_SP}
    | {64 + n: getattr(arm64_const, f"UC_ARM64_REG_Q{n}") for n in range(32)},
}
FLAG_REGISTERS: Final = {
    "x86-64": (x86_const.UC_X86_REG_RFLAGS, 0x8D5),
    "aarch64": (arm64_const.UC_ARM64_REG_NZCV, 0xF << 28),
}


@dataclass
class State:
    """Registers by place, condition flags, the page of data."""

    registers: dict[int, int]
    flags: int
    data: bytes


@cache
def _emulator(isa: str) -> Any:
    if isa == "x86-64":
        emulator = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    else:
        emulator = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        emulator.reg_write(arm64_const.UC_ARM64_REG_CPACR_EL1, 3 << 20)
    emulator.mem_map(CODE, PAGE)
    emulator.mem_map(DATA, PAGE)
    return emulator


def run(isa: str, code: bytes, state: State) -> State | None:
    """The state after the instruction; None if Unicorn refuses it."""
    emulator = _emulator(isa)
    number, mask = FLAG_REGISTERS[isa]
    emulator.mem_write(CODE, code + bytes(16))
    emulator.mem_write(DATA, state.data)
    for place, name in REGISTERS[isa].items():
        emulator.reg_write(name, state.registers[place])
    emulator.reg_write(number, state.flags | (2 if isa == "x86-64" else 0))
    try:
        emulator.ctl_remove_cache(CODE, CODE + 64)
        emulator.emu_start(CODE, CODE + len(code), count=1)
    except unicorn.UcError:
        return None
    registers = {place: emulator.reg_read(name) for place, name in REGISTERS[isa].items()}
    return State(registers, emulator.reg_read(number) & mask, bytes(emulator.mem_read(DATA, PAGE)))


@dataclass
class Case:
    """An instruction; whether it ran, and what was found wrong."""

    isa: str
    code: bytes
    machine: Insn
    ran: bool = False
    wrong: tuple[str, ...] = ()


def _value(rng: random.Random, place: int) -> int:
    if place < 64:
        return rng.getrandbits(64) & (rng.getrandbits(64) if rng.random() < 0.3 else -1 & (1 << 64) - 1)
    if rng.random() < 0.5:
        return int.from_bytes(struct.pack("<2d", rng.uniform(-1e4, 1e4), rng.uniform(-1e4, 1e4)), "little")
    return rng.getrandbits(128)


def _state(rng: random.Random, case: Case) -> State:
    registers = {place: _value(rng, place) for place in REGISTERS[case.isa]}
    registers[4 if case.isa == "x86-64" else 63] = MIDDLE
    flags = rng.getrandbits(32) & FLAG_REGISTERS[case.isa][1]
    if case.machine.name in ("div", "idiv"):
        registers[2] = 0
        registers[0] &= 0x7F if case.machine.name == "idiv" else 0xFF
    for access in case.machine.accesses:
        if access.scaled != NONE:
            registers[access.scaled] = rng.randrange(4) * 16
        if access.base >= 0:
            registers[access.base] = (MIDDLE - access.displacement) % (1 << 64)
    return State(registers, flags, rng.randbytes(PAGE))


def _changed(rng: random.Random, case: Case, state: State) -> State:
    """Everything new that the instruction does not read."""
    machine = case.machine
    stays = machine.reads | {4 if case.isa == "x86-64" else 63}
    registers = {p: v if p in stays else _value(rng, p) for p, v in state.registers.items()}
    flags = state.flags if FLAGS in machine.reads else rng.getrandbits(32) & FLAG_REGISTERS[case.isa][1]
    return State(registers, flags, state.data if MEMORY in machine.reads else rng.randbytes(PAGE))


def check(isa: str, code: bytes, machine: Insn, trials: int = 4, seed: int = 5) -> Case:
    """Run and compare."""
    rng = random.Random(f"{seed} {code.hex()}")
    case = Case(isa, code, machine)
    for _ in range(trials):
        first = _state(rng, case)
        second = _changed(rng, case, first)
        one, two = run(isa, code, first), run(isa, code, second)
        if one is None or two is None:
            continue
        case.ran = True
        case.wrong += (
            *_untouched(case, first, one),
            *_untouched(case, second, two),
            *_exact(case, first, one),
            *unread(case.isa, case.machine, (first.registers, one.registers), (second.registers, two.registers)),
        )
    return case


def _untouched(case: Case, before: State, after: State) -> list[str]:
    wrong = [
        f"writes {show(p, case.isa)}"
        for p, v in before.registers.items()
        if p not in case.machine.writes and after.registers[p] != v
    ]
    if FLAGS not in case.machine.writes and before.flags != after.flags:
        wrong.append("writes flags")
    if MEMORY not in case.machine.writes and before.data != after.data:
        wrong.append("writes memory")
    return wrong


def _exact(case: Case, before: State, after: State) -> list[str]:
    """What the effect says, bit by bit."""
    effect = case.machine.effect
    if effect is None:
        return []
    values = {register(case.isa, place): value for place, value in before.registers.items()}

    def value(term: Term) -> int:
        inputs, function = evaluator(term)
        return function(*(values[name] for name in inputs))

    wrong = []
    for load in effect.loads:
        at = value(load.address) - DATA
        values[load.value] = int.from_bytes(before.data[at : at + load.size], "little")
    for place, term in effect.writes:
        if place >= 0 and value(term) != after.registers[place]:
            wrong.append(f"effect on {show(place, case.isa)}: {value(term):x}, not {after.registers[place]:x}")
    data = bytearray(before.data)
    for store in effect.stores:
        at = value(store.address) - DATA
        data[at : at + store.size] = value(store.value).to_bytes(store.size, "little")
    if bytes(data) != after.data:
        wrong.append("effect on memory")
    return wrong
