"""What went into a register allocator and what came out, for one function: the data, and how a person reads it.

Places are plain ints (`liftcheck.mach.regs`), virtual registers are numbers too. Nothing here checks anything
(`oracles/regalloc/`) or asks a compiler (`compilers/cranelift/`).

Source: regalloc2 0.15 (`Function`, `Operand`, `Output`, `MachineEnv` in its lib.rs).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode
from liftcheck.mach.regs import NONE

USE, DEF = 0, 1
EARLY, LATE = 0, 1
BEFORE, AFTER = 0, 1
ANY, REG, STACK, FIXED, REUSE, LIMIT = range(6)
ALGORITHMS: Final = ("backtracking", "single_pass")
"""Cranelift's allocators, as its setting `regalloc_algorithm` names them; the first is its default."""


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

    @property
    def offered(self) -> tuple[tuple[int, ...], ...]:
        """All groups of registers that it gives out."""
        return (*self.preferred, *self.others)


@dataclass(frozen=True, slots=True)
class Allocation:
    """One function's allocation. The entry is block 0.

    classes     the class of each virtual register
    places      for each instruction, a place for each of its operands
    slots       how many spill slots (of 8 bytes) the frame has
    slot_sizes  how many spill slots a value of each class needs
    offsets     the code offset where each instruction's own bytes begin, after the edits before it; None where the
                compiler does not say. Not in the order of the instructions: cold blocks come last
    ends        the code offset after each instruction's own bytes; () where the compiler does not say
    edit_ranges for each edit, the code offsets where its bytes begin and end; () where the compiler does not say.
                An instruction or edit may have no bytes: a branch to what follows, a move to itself
    frame       what the compiler says of its frame: 'frame_to_fp_offset' and 'slots' (see `base.WANTS`); in addition,
                if they are known, 'version' (the published compiler's), 'slot_sizes' (bytes of each of `slots`) and
                'convention' (the function's calling convention as CLIF spells it; absent: the ISA's default one)
    algorithm   one of ALGORITHMS
    fault       what was planted in it, in words; '' for what the allocator answered
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
    fault: str = ""
    isa: str = ""


class Captured(NamedTuple):
    """A compiled function and the allocation that its code was made from."""

    code: FunctionCode
    allocation: Allocation
