"""What went into a register allocator and what came out, for one function: the data, and how a person reads it.

The one idea: places are plain ints, so that a validator's state is a dict of ints. A register is its class * 64 + its
hardware number (regalloc2's `PReg::index`), a spill slot is SLOT + its number, nothing is NONE. Virtual registers are
numbers too. Nothing here checks anything (`oracles/validation*.py`) or asks a compiler (`cranelift/`).

Source: regalloc2 0.15 (`Function`, `Operand`, `Output`, `MachineEnv` in its lib.rs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode

SLOT: Final = 256
NONE: Final = -1
INT, FLOAT, VECTOR = 0, 1, 2
USE, DEF = 0, 1
EARLY, LATE = 0, 1
BEFORE, AFTER = 0, 1
ANY, REG, STACK, FIXED, REUSE, LIMIT = range(6)
ALGORITHMS: Final = ("backtracking", "single_pass")
"""Cranelift's allocators, as its setting `regalloc_algorithm` names them; the first is its default."""
CLASSES: Final = ("int", "float", "vector")
KINDS: Final = ("use", "def")
POSITIONS: Final = ("early", "late")
CONSTRAINTS: Final = ("any", "reg", "stack", "fixed", "reuse", "limit")


class Operand(NamedTuple):
    """vreg: NONE where an instruction names a register that is not allocatable (then the constraint is FIXED).
    value: the register of FIXED, the index of the input operand of REUSE, the number of registers of LIMIT, else 0."""

    vreg: int
    cls: int
    kind: int
    position: int
    constraint: int
    value: int = 0


class Instruction(NamedTuple):
    """One machine instruction before allocation. text: as the compiler prints it with virtual registers, or ''.

    clobbers: registers that lose what they hold, between the early and the late position.
    """

    operands: tuple[Operand, ...]
    clobbers: tuple[int, ...] = ()
    is_return: bool = False
    is_branch: bool = False
    text: str = ""


class Block(NamedTuple):
    """Instructions [first, end). arguments: one tuple of virtual registers for each of `successors`."""

    first: int
    end: int
    parameters: tuple[int, ...] = ()
    successors: tuple[int, ...] = ()
    arguments: tuple[tuple[int, ...], ...] = ()
    predecessors: tuple[int, ...] = ()


class Edit(NamedTuple):
    """A move that the allocator adds BEFORE or AFTER an instruction; edits of one place happen in their order."""

    instruction: int
    where: int
    source: int
    target: int


class Environment(NamedTuple):
    """Registers that may be allocated, by class; the scratch register of each class or NONE; registers that are in
    truth places on the stack."""

    preferred: tuple[tuple[int, ...], ...]
    others: tuple[tuple[int, ...], ...]
    scratch: tuple[int, ...] = (NONE, NONE, NONE)
    fixed_slots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """One function's allocation. The entry is block 0.

    classes     the class of each virtual register
    places      for each instruction, a place for each of its operands
    slots       how many spill slots (of 8 bytes) the frame has
    slot_sizes  how many spill slots a value of each class needs
    offsets     the code offset where each instruction's own bytes begin, after the edits before it; None where the
                compiler does not say. Not in the order of the instructions: cold blocks come last
    ends        the code offset behind each instruction's own bytes; () where the compiler does not say
    edit_ranges for each edit, the code offsets where its bytes begin and end; () where the compiler does not say.
                An instruction or edit may have no bytes: a branch to what follows, a move to itself
    frame       what the compiler says of its frame: 'frame_to_fp_offset' and 'slots' (see `base.WANTS`); besides, if
                they are known, 'slot_sizes' (bytes of each of `slots`) and 'convention' (the function's calling
                convention as CLIF spells it; absent: the ISA's default one)
    algorithm   one of ALGORITHMS
    damage      what was planted in it, in words; '' for what the allocator answered
    isa         whose names registers bear where people read them; '': as regalloc2 prints them
    """

    blocks: tuple[Block, ...]
    instructions: tuple[Instruction, ...]
    classes: tuple[int, ...]
    environment: Environment
    places: tuple[tuple[int, ...], ...]
    edits: tuple[Edit, ...]
    slots: int
    slot_sizes: tuple[int, int, int]
    offsets: tuple[int | None, ...] = ()
    ends: tuple[int, ...] = ()
    edit_ranges: tuple[tuple[int, int], ...] = ()
    frame: dict[str, object] = field(default_factory=dict)
    algorithm: str = ALGORITHMS[0]
    damage: str = ""
    isa: str = ""


class Captured(NamedTuple):
    """A compiled function and the allocation that its code was made from."""

    code: FunctionCode
    allocation: Allocation


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
