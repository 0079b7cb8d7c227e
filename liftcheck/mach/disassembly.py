"""Machine code as text for people: Capstone, and what it does not know of an ISA by that ISA's own tables.

The one idea: walk the bytes from the start; where Capstone lacks extensions whose instructions have rows in the tables
that validation stands upon, names and operands come from there (`Isa.text`). What neither knows (constants and jump
tables lie inside a function's bytes) is shown as data, and the walk goes on at the ISA's alignment. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.isa.base import isa_named
from liftcheck.mach.capstone import exactly
from liftcheck.mach.insn import Insn

_PIECE: Final = 2048
"""So many bytes are decoded at once: Capstone starts anew after what it does not know, which may be often."""
_LONGEST: Final = 16
"""No instruction is longer, so each that begins in a piece is seen whole."""


def disassembly(isa: str, code: bytes) -> Iterator[tuple[int, bytes, str]]:
    """(offset, bytes, text) of all of `code`, in order, nothing left out; the text of what is not an instruction begins
    with a dot."""
    value = isa_named(isa)
    by_tables, at = value.part(value.text), 0
    while at < len(code):
        start = at
        for address, size, mnemonic, operands in exactly(isa).disasm_lite(code[at : at + _PIECE + _LONGEST], at):
            if address >= start + _PIECE:
                break
            yield address, code[address : address + size], f"{mnemonic} {operands}".strip()
            at = address + size
        if at == start:
            data = code[at : at + (value.sizes[code[at]] if value.sizes else value.alignment)]
            text = by_tables(data) if by_tables is not None else ""
            yield at, data, text or f".{'inst' if value.sizes else 'byte'} 0x{data.hex()}"
            at += len(data)


def named(isa: str, data: bytes, machine: Insn) -> str:
    """An instruction's text for people: Capstone's where it knows it, else the table's own. Capstone takes as long as
    all the rest of reading an instruction, so tables that do not need it leave it to this."""
    text = next((text for _, _, text in disassembly(isa, data)), ".")
    return machine.text if text.startswith(".") else text


def with_names(isa: str, text: str) -> str:
    """A compiler's own disassembly, with names for the words that its Capstone took for bytes."""
    rename = isa_named(isa).part(isa_named(isa).with_names)
    return text if rename is None else str(rename(text))
