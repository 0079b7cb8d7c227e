"""Names instructions for people: Capstone, and what it does not know.

Used where a runner stops at an instruction that is no trap of the compiler's: is it an instruction that the runner
lacks (then the outcome is 'unsupported'), or no instruction at all (then the code has gone wild)?
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

import capstone

_MODES: Final[Mapping[str, tuple[int, int]]] = {
    "x86-64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    "riscv64": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
    "s390x": (capstone.CS_ARCH_SYSZ, capstone.CS_MODE_BIG_ENDIAN),
}  # fmt: skip
_TRAPPING: Final = frozenset({"d", "dr", "dl", "dlr", "dlg", "dlgr", "dsg", "dsgr", "dsgf", "dsgfr", "ud2", "udf",
                              "brk", "int3", "ebreak", "unimp", "c.unimp", "hlt"})  # fmt: skip
"""Instructions that stop a runner which has them."""
_RISCV_VECTOR: Final = 0x57
_RISCV_VECTOR_MEMORY: Final = (0x07, 0x27)


@cache
def disassembler(isa: str) -> capstone.Cs:
    """Capstone for an ISA; data in the code is stepped over as '.byte'."""
    made = capstone.Cs(*_MODES[isa])
    made.skipdata = True
    return made


@cache
def exactly(isa: str) -> capstone.Cs:
    """Capstone for an ISA; it stops at what it does not know."""
    return capstone.Cs(*_MODES[isa])


def mnemonics(isa: str, code: bytes) -> list[str]:
    """The mnemonics of a function's instructions, data included as '.byte'."""
    return [name for _, _, name, _ in disassembler(isa).disasm_lite(code, 0)]


def lacking(isa: str, code: bytes) -> str:
    """The name of the instruction at the start of `code` if a runner that stopped at it lacks it; '' if it is a trap or
    no instruction."""
    name = next(iter(mnemonics(isa, code[:16])), ".byte")
    if name in _TRAPPING or (isa == "s390x" and name.startswith(("c", "l")) and "t" in name[2:]):
        return ""
    if name != ".byte":
        return name
    if isa == "riscv64" and code:
        major, width = code[0] & 0x7F, code[1] >> 4 & 7 if len(code) > 1 else 0
        if major == _RISCV_VECTOR or (major in _RISCV_VECTOR_MEMORY and width in (0, 5, 6, 7)):
            return "a vector instruction"
    return ""
