"""What runners get wrong of aarch64 (`isa.errata`)."""

from __future__ import annotations

import re
from typing import Final

from liftcheck.isa.aarch64 import ISA
from liftcheck.isa.errata import Erratum, Proof
from liftcheck.mach.capstone import disassembler

_NARROW_SIGNED: Final = re.compile(r"lds(max|min)(a|l|al)?[bh]?$")


_LDSMAX: Final = rb"[\x40-\x43\x50-\x53][\x20-\x3f\x60-\x7f\xa0-\xbf\xe0-\xff][\x38\x78\xb8]"
_LDSMAXES: Final = re.compile(b"(?=%s)" % _LDSMAX, re.DOTALL)
"""All but the lowest byte of an ldsmax, ldsmin; all of them, also those that overlap."""


def _narrow_ldsmax(code: bytes) -> bool:
    """ldsmax, ldsmin of a byte, halfword or 32-bit word (the 64-bit ones are right)."""
    if all(match.start() & 3 != 1 for match in _LDSMAXES.finditer(code)):
        return False  # most matches lie across two instructions
    instructions = disassembler(ISA.name).disasm_lite(code, 0)
    return any(
        _NARROW_SIGNED.match(name) and (name[-1] in "bh" or operands.startswith("w"))
        for _, _, name, operands in instructions
    )


ROWS: Final[tuple[Erratum, ...]] = (
    Erratum(
        "unicorn", ISA.name, "ldsmax, ldsmin of 8, 16, 32 bits", "compare as unsigned: the wrong value is stored",
        re.compile(_LDSMAX, re.DOTALL), _narrow_ldsmax,
        proof=Proof("ff4300d1e00300f9e14321b8e00340b9ff430091c0035fd6", (0xFFFFFFFF, 1), 1, 0xFFFFFFFF),
    ),
    Erratum(
        "qemu", ISA.name, "addresses that differ in the top byte alone", "are the same, as on Linux (top byte ignore)",
        harmless="an address of a data region has a top byte of zero, and Unicorn comes first",
    ),
)  # fmt: skip
