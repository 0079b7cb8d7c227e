"""Which callee-saved registers a program changes: asked of the machine, not read from disassembly.

The one idea: the runner's loop only says that some register came back changed. So the run is repeated under a spy, a
few instructions of our own around the trampoline: it notes all registers that the default convention wants kept before
the trampoline and behind it, into the row as further results, and puts them back. That holds whatever the code is, on
every runner, and names exactly the registers that were damaged. The same with a callee that does nothing tells whether
it was the trampoline, which the compiler under test made as well.

It cannot tell of a stack pointer that is lost: the spy does not come back then, and the answer is STACK_POINTER.
Sources: the ELF psABIs of the four ISAs (callee-saved registers); their manuals (encodings).
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from typing import Final

from liftcheck import layout
from liftcheck.case import FunctionCode
from liftcheck.clif.ir import AbiParam
from liftcheck.clif.types import I64
from liftcheck.compilers.base import Program
from liftcheck.isa import BIG_ENDIAN
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.link import link
from liftcheck.runners.trampolines import packing

STACK_POINTER: Final = "stack pointer"
_NUMBERS: Final = {
    "x86-64": {"rbx": 3, "rbp": 5, "r12": 12, "r13": 13, "r14": 14, "r15": 15},
    "aarch64": {**{f"x{n}": n for n in range(19, 30)}, **{f"d{n}": n for n in range(8, 16)}},
    "riscv64": {**{f"s{i}": n for i, n in enumerate((8, 9, *range(18, 28)))},
                **{f"fs{i}": n for i, n in enumerate((8, 9, *range(18, 28)))}},
    "s390x": {**{f"r{n}": n for n in range(6, 14)}, **{f"f{n}": n for n in range(8, 16)}},
}  # fmt: skip
"""Callee-saved registers by name -> hardware number; floats have a name with d or f."""
_RETURNS: Final = {"x86-64": "c3", "aarch64": "c0035fd6", "riscv64": "67800000", "s390x": "07fe"}
_NOTHING: Final = "%nothing"


def damaged(runner: Runner, program: Program, entry: str, job: Job) -> tuple[str, ...]:
    """The callee-saved registers that are not what they were when the first run of a job is over, in a fixed order.
    `job`: its trampoline, signature, inputs and memories; it calls `entry` of the program."""
    isa, names = runner.isa, _NUMBERS[runner.isa]
    first = packing(job.signature, isa in BIG_ENDIAN).size
    spy = dataclasses.replace(job.trampoline, code=_around(isa, first, job.trampoline.code), alignment=16)
    noted = (AbiParam(I64),) * (2 * len(names))
    longer = job.signature._replace(returns=(*job.signature.returns, *noted))
    image = link([program], isa)
    spied = Job(spy, image.entry(0, entry), longer, job.inputs[:1], job.memories[:1], job.slot)
    outcome = runner.run(image, [spied])[0][0]
    if outcome.kind != "returned":
        return () if outcome.kind == "unsupported" else (STACK_POINTER,)
    before, after = outcome.values[-2 * len(names) : -len(names)], outcome.values[-len(names) :]
    return tuple(name for name, old, new in zip(names, before, after) if old != new)


def damaged_by_trampoline(runner: Runner, job: Job) -> tuple[str, ...]:
    """Those that are changed although the callee does nothing."""
    return damaged(runner, [FunctionCode(_NOTHING, bytes.fromhex(_RETURNS[runner.isa]))], _NOTHING, job)


def _around(isa: str, first: int, code: bytes) -> bytes:
    """The spy with a trampoline's code behind it; it notes registers from offset `first` of the row on."""
    make = {"x86-64": _x64, "aarch64": _aarch64, "riscv64": _riscv64, "s390x": _s390x}[isa]
    size = -(-len(make(first, 0)) // 16) * 16
    return make(first, size).ljust(size, b"\0") + code


def _x64(first: int, size: int) -> bytes:
    numbers = list(_NUMBERS["x86-64"].values())

    def stored(start: int) -> bytes:
        row = b"\x48\xb8" + struct.pack("<Q", layout.CONTROL) + b"\x48\x8b\x00"
        return row + b"".join(
            bytes([0x48 | (n >> 3) << 2, 0x89, 0x80 | (n & 7) << 3]) + struct.pack("<i", start + 16 * i)
            for i, n in enumerate(numbers)
        )

    def pushed(opcode: int, order: Sequence[int]) -> bytes:
        return b"".join(bytes([0x41] * (n > 7) + [opcode | n & 7]) for n in order)

    head = pushed(0x50, numbers) + b"\x48\x83\xec\x08" + stored(first)
    call = b"\xe8" + struct.pack("<i", size - len(head) - 5)
    return head + call + stored(first + 16 * len(numbers)) + b"\x48\x83\xc4\x08" + pushed(0x58, numbers[::-1]) + b"\xc3"


def _aarch64(first: int, size: int) -> bytes:
    names = _NUMBERS["aarch64"]
    link_at, frame = 8 * len(names), 8 * len(names) + 16 - 8 * (len(names) % 2)

    def moved(opcode: int, base: int, start: int, step: int) -> list[int]:
        return [
            opcode | (name[0] == "d") << 26 | (start + step * i) // 8 << 10 | base << 5 | n
            for i, (name, n) in enumerate(names.items())
        ]

    def stored(start: int) -> list[int]:
        row = [
            opcode | (layout.CONTROL >> shift & 0xFFFF) << 5 | 9
            for opcode, shift in ((0xD2800000, 0), (0xF2A00000, 16), (0xF2C00000, 32))
        ]
        return [*row, 0xF9400129, *moved(0xF9000000, 9, start, 16)]

    head = [0xD10003FF | frame << 10, *moved(0xF9000000, 31, 0, 8), 0xF90003FE | link_at // 8 << 10, *stored(first)]
    call = 0x94000000 | max(size // 4 - len(head), 0)
    tail = [
        *stored(first + 16 * len(names)),
        *moved(0xF9400000, 31, 0, 8),
        0xF94003FE | link_at // 8 << 10,
        0x910003FF | frame << 10,
        0xD65F03C0,
    ]
    return struct.pack(f"<{len(head) + 1 + len(tail)}I", *head, call, *tail)


def _riscv64(first: int, size: int) -> bytes:
    names = _NUMBERS["riscv64"]
    frame = 8 * len(names) + 16

    def store(name: str, n: int, base: int, offset: int) -> int:
        major = 0x27 if name[0] == "f" else 0x23
        return offset >> 5 << 25 | n << 20 | base << 15 | 3 << 12 | (offset & 31) << 7 | major

    def load(name: str, n: int, offset: int) -> int:
        major = 0x07 if name[0] == "f" else 0x03
        return offset << 20 | 2 << 15 | 3 << 12 | n << 7 | major

    def stored(start: int) -> list[int]:
        assert layout.CONTROL == 0x212 << 24
        low = (start & 0xFFF ^ 0x800) - 0x800
        row = [
            0x21200293,
            0x01829293,
            0x0002B283,  # li t0, 0x212; slli t0, t0, 24; ld t0, 0(t0)
            (start - low) & 0xFFFFF000 | 6 << 7 | 0x37,
            (low & 0xFFF) << 20 | 6 << 15 | 6 << 7 | 0x13,
            0x006282B3,
        ]
        return [*row, *(store(name, n, 5, 16 * i) for i, (name, n) in enumerate(names.items()))]

    kept = [("ra", 1), *names.items()]
    head = [
        (-frame & 0xFFF) << 20 | 2 << 15 | 2 << 7 | 0x13,
        *(store(name, n, 2, 8 * i) for i, (name, n) in enumerate(kept)),
        *stored(first),
    ]
    to = max(size - 4 * len(head), 0)
    call = (to >> 1 & 0x3FF) << 21 | (to >> 11 & 1) << 20 | (to >> 12 & 0xFF) << 12 | 1 << 7 | 0x6F
    tail = [
        *stored(first + 16 * len(names)),
        *(load(name, n, 8 * i) for i, (name, n) in enumerate(kept)),
        frame << 20 | 2 << 15 | 2 << 7 | 0x13,
        0x00008067,
    ]
    return struct.pack(f"<{len(head) + 1 + len(tail)}I", *head, call, *tail)


def _s390x(first: int, size: int) -> bytes:
    names = _NUMBERS["s390x"]
    kept = [*names.items(), ("r14", 14)]
    frame = 160 + 8 * len(kept) + 8 * (len(kept) % 2)

    def rxy(major: int, minor: int, register: int, base: int, offset: int) -> bytes:
        low, high = offset & 0xFFF, offset >> 12 & 0xFF
        return bytes([major, register << 4, base << 4 | low >> 8, low & 0xFF, high, minor])

    def moved(store: bool, name: str, n: int, base: int, offset: int) -> bytes:
        major, minor = (0xED, 0x67 if store else 0x65) if name[0] == "f" else (0xE3, 0x24 if store else 0x04)
        return rxy(major, minor, n, base, offset)

    def stored(start: int) -> bytes:
        row = struct.pack(">HIHI", 0xC01E, layout.CONTROL >> 32, 0xC01D, layout.CONTROL & 0xFFFFFFFF)
        return (
            row
            + rxy(0xE3, 0x04, 1, 1, 0)
            + b"".join(moved(True, name, n, 1, start + 16 * i) for i, (name, n) in enumerate(names.items()))
        )

    head = (
        rxy(0xE3, 0x71, 15, 15, -frame)
        + b"".join(moved(True, name, n, 15, 160 + 8 * i) for i, (name, n) in enumerate(kept))
        + stored(first)
    )
    call = struct.pack(">Hi", 0xC0E5, (size - len(head)) // 2)
    return (
        head
        + call
        + stored(first + 16 * len(names))
        + b"".join(moved(False, name, n, 15, 160 + 8 * i) for i, (name, n) in enumerate(kept))
        + rxy(0xE3, 0x71, 15, 15, frame)
        + b"\x07\xfe"
    )
