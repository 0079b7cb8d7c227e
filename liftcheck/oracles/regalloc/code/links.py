"""Whether what a linker patches has the form that its relocation is made for.

The one idea: a relocation names bytes of an instruction, and the linker writes there what only one form of instruction
understands: a distance from the instruction itself, half of an address, a whole one. So the instruction at a relocation
in own bytes is of that form: else its address is another than the symbol's, whatever registers it reads. Relocations of
data between instructions have none, and kinds that the ISA does not name (`Abi.patched`, `from_end`) are left alone.

Sources: System V psABI AMD64 (4.4), ELF for the Arm 64-bit Architecture, RISC-V ELF psABI ('Relocations'), ELF ABI
s390x Supplement ('Relocation'); the names are Cranelift's (`binemit::Reloc`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from liftcheck.isa.abi import Abi, abi_named
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import ORDINARY, PC, Insn
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.problem import Problem

LITERAL: Final = "code is loaded as a constant"
OTHER_FORM: Final = "an instruction is not of the form that its relocation patches"


def check(isa: str, own: Mapping[int, Sequence[Placed]], relocations: Sequence[tuple[int, str]]) -> Iterator[Problem]:
    """`mach.relocations`: offset and kind."""
    abi = abi_named(isa)
    if not relocations:
        return
    spans = sorted((code[0].offset, instruction) for instruction, code in own.items() if code)
    for at, kind in relocations:
        number = bisect_right(spans, (at, len(own) + NONE)) - 1
        instruction = spans[number][1] if number >= 0 else NONE
        for placed in own.get(instruction, ()) if number >= 0 else ():
            inside = at - placed.offset
            if 0 <= inside < placed.machine.size and not _fits(abi, kind, inside, placed.machine):
                yield Problem(OTHER_FORM, instruction, placed.offset, NONE, kind, placed.machine.text, (placed,))


def literals(isa: str, code: Mapping[int, Sequence[Placed]], linked: Sequence[int], length: int) -> Iterator[Problem]:
    """Loads of code, and of what is not a constant: these lie after it, within `length` bytes, and are aligned to 8
    (one of 8 bytes may be loaded as 16); a linked one stands where its relocation says, and an instruction's own one
    among its bytes. `code`: all that is executed; `linked`: offsets of relocations."""
    spans: list[tuple[int, int]] = []
    far = isa_named(isa).far
    for instruction, row in code.items():
        for _, machine in row:
            if machine.flow == ORDINARY and (
                machine.target is not None
                or machine.name == far
                or (machine.accesses and machine.accesses[0].base == PC)
            ):
                break
        else:
            continue  # nearly all: nothing here has to do with what lies at a distance from it
        for placed, low, size in _loaded(isa, row, linked):
            spans = spans or sorted((at, at + machine.size) for row in code.values() for at, machine in row)
            number = bisect_left(spans, (low + size,)) - 1
            own = row[0].offset < low <= row[-1].offset + row[-1].machine.size
            lies = 0 <= low <= length - min(size, 8) and (own or low in linked or not low % 8)
            if not lies or (number >= 0 and spans[number][1] > low):
                yield Problem(LITERAL, instruction, placed.offset, NONE, "a constant", placed.machine.text, (placed,))


def _loaded(isa: str, row: Sequence[Placed], linked: Sequence[int]) -> Iterator[tuple[Placed, int, int]]:
    """What is accessed at a distance from the code, by one instruction or by an address that one before it makes: where
    it lies, and its bytes. Who is linked is left out."""
    ends = abi_named(isa).from_end
    made: dict[int, int] = {}
    for placed in row:
        at, machine = placed
        if any(at <= offset < at + machine.size for offset in linked):
            made.clear()
            continue
        for access in machine.accesses:
            if access.base == PC:
                yield placed, at + access.displacement + (machine.size if ends else 0), access.size
            elif access.base in made and access.scaled == NONE:
                yield placed, made[access.base] + access.displacement, access.size
        for place in machine.writes:
            made.pop(place, None)
        if (address := made_address(isa, placed)) is not None:
            made.update((place, address) for place in machine.writes)


def made_address(isa: str, placed: Placed) -> int | None:
    """The offset that an instruction makes the address of, by its distance from there."""
    at, machine = placed
    if machine.flow == ORDINARY and machine.target is not None:
        return at + machine.target
    return at + int(machine.operands.rpartition(", ")[2]) if machine.name == isa_named(isa).far else None


def _fits(abi: Abi, kind: str, inside: int, machine: Insn) -> bool:
    if kind in abi.from_end:
        relative = machine.target is not None or any(access.base == PC for access in machine.accesses)
        return relative and inside == machine.size - 4
    return kind not in abi.patched or machine.name in abi.patched[kind]
