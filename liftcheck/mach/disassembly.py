"""Machine code as text for people: Capstone, and what it does not know of riscv64 by the tables of `isa.riscv64.insts`.

The one idea: walk the bytes from the start; Capstone lacks riscv64's V, Zfh, Zba, Zbb, Zbs, Zicond, Zabha and others,
which have rows in the tables that validation stands upon, so their names and operands come from there. What neither
knows (constants and jump tables lie inside a function's bytes) is shown as data, and the walk goes on at the ISA's
alignment. It judges nothing.
Sources: The RISC-V Assembly Programmer's Manual for how operands are written; rvv-intrinsic's for `vsetvli`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from liftcheck.mach.capstone import exactly
from liftcheck.mach.insn import Insn, decode
from liftcheck.mach.regs import show_place

_UNIT: Final = {"x86-64": 1, "aarch64": 4, "riscv64": 2, "s390x": 2}
"""Bytes by which instructions are aligned."""
_PIECE: Final = 2048
"""So many bytes are decoded at once: Capstone starts anew behind what it does not know, which may be often."""
_LONGEST: Final = 16
"""No instruction is longer, so each that begins in a piece is seen whole."""
_CLASSES: Final = {"x": 0, "f": 64, "v": 128}
_OPERAND: Final = re.compile(r"\b([xfv])([0-9]+)\b")
_MEMORY: Final = re.compile(r"(\w+), (x[0-9]+)(?:, (-?[0-9]+))?((?:, v0\.t)?)\Z")
_ATOMIC: Final = re.compile(r"(\w+), (\w+)((?:, \w+)?)\Z")
_BYTES: Final = re.compile(
    r"^( *)\.byte ((?:0x[0-9a-f]{2}, ){3}0x[0-9a-f]{2}|0x[0-9a-f]{2}, 0x[0-9a-f]{2})$", re.MULTILINE
)
_GROUPS: Final = ("m1", "m2", "m4", "m8", "reserved", "mf8", "mf4", "mf2")


def disassembly(isa: str, code: bytes) -> Iterator[tuple[int, bytes, str]]:
    """(offset, bytes, text) of all of `code`, in order, nothing left out; the text of what is no instruction begins
    with a dot."""
    at = 0
    while at < len(code):
        start = at
        for address, size, mnemonic, operands in exactly(isa).disasm_lite(code[at : at + _PIECE + _LONGEST], at):
            if address >= start + _PIECE:
                break
            yield address, code[address : address + size], f"{mnemonic} {operands}".strip()
            at = address + size
        if at == start:
            data = code[at : at + _size(isa, code[at])]
            text = by_tables(data) if isa == "riscv64" else ""
            yield at, data, text or f".{'byte' if isa == 'x86-64' else 'inst'} 0x{data.hex()}"
            at += len(data)


def named(isa: str, data: bytes, machine: Insn) -> str:
    """An instruction's text for people: Capstone's where it knows it, else the table's own. Capstone takes as long as
    all the rest of reading an instruction, so tables that do not need it leave it to this."""
    text = next((text for _, _, text in disassembly(isa, data)), ".")
    return machine.text if text.startswith(".") else text


def _size(isa: str, first: int) -> int:
    """Bytes of an instruction that Capstone does not know, by the ISA's own length encoding."""
    if isa == "riscv64":
        return 4 if first & 3 == 3 else 2
    return (2, 4, 4, 6)[first >> 6] if isa == "s390x" else _UNIT[isa]


def by_tables(data: bytes) -> str:
    """A riscv64 instruction as an assembler reads it; '' if the tables do not have it."""
    found = decode("riscv64", data)[0]
    if not found.known or found.size != len(data):
        return ""
    operands = found.operands
    if found.name.startswith("vset"):
        operands += f", {_vector_type(int.from_bytes(data, 'little') >> 20 & 0xFF)}"
    elif found.name.startswith(("amo", "lr.", "sc.")):
        operands = _ATOMIC.sub(lambda m: f"{m[1]}{m[3]}, ({m[2]})", operands)
    elif found.accesses:
        operands = _MEMORY.sub(lambda m: f"{m[1]}, {m[3] or ''}({m[2]}){m[4]}", operands)
    return f"{found.name} {_OPERAND.sub(_register, operands)}".strip()


def with_names(text: str) -> str:
    """A compiler's own disassembly for riscv64, with names for the words that its Capstone took for bytes."""
    return _BYTES.sub(
        lambda m: m[1] + (by_tables(bytes(int(byte, 16) for byte in m[2].split(", "))) or m[0].strip()), text
    )


def _vector_type(bits: int) -> str:
    """`e32, m1, ta, ma`"""
    policies = "ta" if bits >> 6 & 1 else "tu", "ma" if bits >> 7 & 1 else "mu"
    return f"e{8 << (bits >> 3 & 7)}, {_GROUPS[bits & 7]}, {', '.join(policies)}"


def _register(match: re.Match[str]) -> str:
    return show_place(_CLASSES[match[1]] + int(match[2]), "riscv64")
