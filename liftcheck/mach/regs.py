"""Places: registers and spill slots as plain ints, and their names for people.

The one idea: a register is its class * 64 + its hardware number (regalloc2's `PReg::index`), a spill slot is SLOT + its
number, nothing is NONE; so a validator's state is a dict of ints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLOT: Final = 256
NONE: Final = -1
INT, FLOAT, VECTOR = 0, 1, 2
CLASSES: Final = ("int", "float", "vector")


def _counted(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(count))


_SP: Final = 63
"""aarch64's stack pointer: 31 is the zero register."""
_NAMES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "x86-64": (("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *_counted("r", 16)[8:]), _counted("xmm", 32)),
    "aarch64": ((*_counted("x", 31), "xzr", *("",) * (_SP - 32), "sp"), _counted("v", 32)),
    "riscv64": (
        ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *_counted("a", 8),
         *_counted("s", 12)[2:], *_counted("t", 7)[3:]),
        (*_counted("ft", 8), "fs0", "fs1", *_counted("fa", 8), *_counted("fs", 12)[2:], *_counted("ft", 12)[8:]),
        _counted("v", 32),
    ),
    "s390x": (_counted("r", 16), _counted("v", 32)),
}  # fmt: skip
"""Registers by class and number, as each ISA's assembler names them (s390x's f0 to f15 are the high halves of v0 to
v15). Sources: Intel SDM, AAPCS64, RISC-V ELF psABI, z/Architecture Principles of Operation."""


def show_place(place: int, isa: str = "") -> str:
    """A register by its ISA's name ('fs1'), 'stack2' for spill slot 2, 'none'. Without an ISA registers are as
    regalloc2 prints them: 'p3i' is integer register 3."""
    if place == NONE:
        return "none"
    if place >= SLOT:
        return f"stack{place - SLOT}"
    number, classes = place & 63, _NAMES.get(isa, ())
    names = classes[place >> 6] if place >> 6 < len(classes) else ()
    return (names[number] if number < len(names) else "") or f"p{number}{CLASSES[place >> 6][0]}"
