"""What a function owes its caller, and which registers the compilers keep for themselves, by ISA and convention.

The one idea: stated here from the ABI documents, not taken from what a compiler emits or says; where a convention is
Cranelift's own (`tail`, `winch`, `preserve_all`), its documentation is the source and the row says so.

Sources: System V psABI AMD64 1.0 (3.2.1); Microsoft x64 calling convention ('Caller/callee saved registers'); AAPCS64
(6.1.1, 6.1.2: of v8-v15 the low 64 bits); RISC-V ELF psABI ('Integer/Floating-point Register Convention'); ELF ABI
s390x Supplement 1.6 (table 1.16: r6-r13, r15, f8-f15); Cranelift's `ir::CallConv`: `tail`: callee-saved as in the
default one, but on s390x r6 and r7 are arguments; `winch`: none; `preserve_all`: all registers; `windows_fastcall` is
x86-64's alone and means the default one elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from liftcheck.mach.insn import STACK_POINTERS, WIDTHS
from liftcheck.regalloc.allocation import Environment

FLOATS: Final = 64
VECTORS: Final = 128


class Owed(NamedTuple):
    """place -> how many bits of it a callee gives back unchanged, from bit `low` on (s390x: the high half)."""

    bits: Mapping[int, int]
    low: int = 0
    pops: bool = False
    """Whether the callee takes its stack arguments away."""


class Reserved(NamedTuple):
    """Registers that no allocator gets.

    frame       the frame pointer; NONE: the ISA has none
    link        where the return address is on entry; NONE: on the stack
    scratch     the compiler may write them inside one instruction or move and relies on nothing in them afterwards
    readable    what an instruction may read without an operand that says so and without writing it first
    """

    sp: int
    frame: int
    link: int
    scratch: frozenset[int]
    readable: frozenset[int]


_FRAMES: Final = {"x86-64": 5, "aarch64": 29, "riscv64": 8, "s390x": -1}
_LINKS: Final = {"x86-64": -1, "aarch64": 30, "riscv64": 1, "s390x": 14}
_SCRATCH: Final[Mapping[str, tuple[int, ...]]] = {
    "x86-64": (),
    "aarch64": (16, 17),
    "riscv64": (30, 31),
    "s390x": (0, 1),
}  # fmt: skip
"""aarch64: x16, x17 (AAPCS64: IP0, IP1); riscv64: t5, t6; s390x: r0, r1."""
_READABLE: Final[Mapping[str, tuple[int, ...]]] = {"x86-64": (), "aarch64": (), "riscv64": (4,), "s390x": ()}
"""riscv64: tp."""
_CONVENTIONS: Final = dict.fromkeys(("", "fast", "cold", "apple_aarch64"), "system_v")
PINNED: Final = {"x86-64": 15, "aarch64": 21}
"""With `enable_pinned_reg` it belongs to nobody: see `free_for_all`."""


def free_for_all(isa: str, environment: Environment) -> frozenset[int]:
    """The pinned register where there is one: the allocator is not offered it, any instruction may read and write it,
    and no function keeps it."""
    pinned = PINNED.get(isa)
    offered = any(pinned in group for group in (*environment.preferred, *environment.others))
    return frozenset() if pinned is None or offered else frozenset({pinned})


UNRESTORED: Final = frozenset({"tail", "preserve_all", "winch"})
"""Conventions whose unwinders give no register back but the stack and frame pointer (Cranelift's
`get_regs_clobbered_by_call`, and Wasmtime's unwinder); others' give back what the callee owes."""


@cache
def reserved(isa: str) -> Reserved:
    """What no allocator gets on this ISA."""
    sp, frame, link = STACK_POINTERS[isa], _FRAMES[isa], _LINKS[isa]
    scratch = frozenset(_SCRATCH[isa])
    readable = {sp, *_READABLE[isa], *({frame} if frame >= 0 else ())}
    return Reserved(sp, frame, link, scratch, frozenset(readable))


@cache
def owed(isa: str, convention: str) -> Owed | None:
    """None: a convention that this table does not know for this ISA."""
    name = _CONVENTIONS.get(convention, convention)
    if name == "windows_fastcall" and isa != "x86-64":
        name = "system_v"
    if name == "preserve_all":
        widths = WIDTHS[isa]
        return Owed(
            {64 * cls + n: width for cls, width in enumerate(widths) if width for n in range(_COUNTS[isa][cls])}
        )
    row = _SAVED.get((isa, name))
    if row is None:
        return None
    integers, floats, bits = row
    saved = dict.fromkeys(integers, 64) | dict.fromkeys((FLOATS + n for n in floats), bits)
    return Owed(saved, 64 if isa == "s390x" else 0, name == "tail")


_COUNTS: Final[Mapping[str, tuple[int, int, int]]] = {
    "x86-64": (16, 16, 0),
    "aarch64": (29, 32, 0),
    "riscv64": (32, 32, 32),
    "s390x": (16, 32, 0),
}  # fmt: skip
_Row = tuple[tuple[int, ...], tuple[int, ...], int]


def _run(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


_SYSTEM_V: Final[Mapping[str, _Row]] = {
    "x86-64": ((3, 5, *_run(12, 15)), (), 0),
    "aarch64": (_run(19, 29), _run(8, 15), 64),
    "riscv64": ((8, 9, *_run(18, 27)), (8, 9, *_run(18, 27)), 64),
    "s390x": (_run(6, 13), _run(8, 15), 64),
}  # fmt: skip
_SAVED: Final[Mapping[tuple[str, str], _Row]] = {
    **{(isa, name): row for isa, row in _SYSTEM_V.items() for name in ("system_v", "tail")},
    ("s390x", "tail"): (_run(8, 13), _run(8, 15), 64),
    ("x86-64", "windows_fastcall"): ((3, 5, 6, 7, *_run(12, 15)), _run(6, 15), 128),
    ("x86-64", "winch"): ((5,), (), 0),
    ("aarch64", "winch"): ((28, 29), (), 0),
}  # fmt: skip
"""Integer registers, float registers, how many bits of these. `winch` keeps the frame pointer, as all frames do, and on
aarch64 x28, which is its own stack pointer."""
