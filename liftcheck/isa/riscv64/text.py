"""riscv64's instructions as text for people, from the rows of `decoder`: for those that Capstone lacks.

The one idea: V, Zfh, Zba, Zbb, Zbs, Zicond, Zabha and others have rows in the tables that validation stands upon, with
operands as the encoding has them; here they are written as an assembler reads them. It judges nothing.
Sources: The RISC-V Assembly Programmer's Manual for how operands are written; rvv-intrinsic's for `vsetvli`'s.
"""

from __future__ import annotations

import re
from typing import Final

from liftcheck.isa.riscv64 import ISA
from liftcheck.mach.insn import decode
from liftcheck.mach.regs import show_place

_CLASSES: Final = {"x": 0, "f": 64, "v": 128}
_OPERAND: Final = re.compile(r"\b([xfv])([0-9]+)\b")
_MEMORY: Final = re.compile(r"(\w+), (x[0-9]+)(?:, (-?[0-9]+))?((?:, v0\.t)?)\Z")
_ATOMIC: Final = re.compile(r"(\w+), (\w+)((?:, \w+)?)\Z")
_BYTES: Final = re.compile(
    r"^( *)\.byte ((?:0x[0-9a-f]{2}, ){3}0x[0-9a-f]{2}|0x[0-9a-f]{2}, 0x[0-9a-f]{2})$", re.MULTILINE
)
_GROUPS: Final = ("m1", "m2", "m4", "m8", "reserved", "mf8", "mf4", "mf2")


def by_tables(data: bytes) -> str:
    """An instruction as an assembler reads it; '' if the tables do not have it."""
    found = decode(ISA.name, data)[0]
    if not found.known or found.size != len(data):
        return ""
    operands = found.operands.removesuffix(", dyn")  # the rounding mode of what names none
    if found.name.startswith("vset"):
        operands += f", {_vector_type(int.from_bytes(data, 'little') >> 20 & 0xFF)}"
    elif found.name.startswith(("amo", "lr.", "sc.")):
        operands = _ATOMIC.sub(lambda m: f"{m[1]}{m[3]}, ({m[2]})", operands)
    elif found.accesses:
        operands = _MEMORY.sub(lambda m: f"{m[1]}, {m[3] or ''}({m[2]}){m[4]}", operands)
    return f"{found.name} {_OPERAND.sub(_register, operands)}".strip()


def with_names(text: str) -> str:
    """A compiler's own disassembly, with names for the words that its Capstone took for bytes."""
    return _BYTES.sub(
        lambda m: m[1] + (by_tables(bytes(int(byte, 16) for byte in m[2].split(", "))) or m[0].strip()), text
    )


def _vector_type(bits: int) -> str:
    """`e32, m1, ta, ma`"""
    policies = "ta" if bits >> 6 & 1 else "tu", "ma" if bits >> 7 & 1 else "mu"
    return f"e{8 << (bits >> 3 & 7)}, {_GROUPS[bits & 7]}, {', '.join(policies)}"


def _register(match: re.Match[str]) -> str:
    return show_place(_CLASSES[match[1]] + int(match[2]), ISA.name)
