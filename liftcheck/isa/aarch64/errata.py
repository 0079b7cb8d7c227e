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


_HINTS: Final = re.compile(rb"\x03\xd5")
"""The upper half of a hint."""
_AUTHENTICATIONS: Final = frozenset(map(bytes.fromhex, ["9f23", "bf23", "df23", "ff23", "9f21", "df21"]))
"""The lower halves of autiaz, autiasp, autibz, autibsp, autia1716, autib1716: no others are for a processor that lacks
the extension, as Unicorn's does."""


def _authenticates(code: bytes) -> bool:
    """Whether one of them is where an instruction begins."""
    places = (match.start() for match in _HINTS.finditer(code))
    return any(at & 3 == 2 and code[at - 2 : at] in _AUTHENTICATIONS for at in places)


_SIGNS: Final = (
    "f00300aa f1031eaa 1f2103d5 22021eca f00301aa f1031eaa 1f2103d5 23021eca"
    "420003aa 5f0000f1 e0079f9a 9f2103d5 c0035fd6"
)
"""Signs the return address (pacia1716) with each argument; whether that changes it. Then authenticates it."""


ROWS: Final[tuple[Erratum, ...]] = (
    Erratum(
        "unicorn", ISA.name, "ldsmax, ldsmin of 8, 16, 32 bits", "compare as unsigned: the wrong value is stored",
        re.compile(_LDSMAX, re.DOTALL), _narrow_ldsmax,
        proof=Proof("ff4300d1e00300f9e14321b8e00340b9ff430091c0035fd6", (0xFFFFFFFF, 1), 1, 0xFFFFFFFF),
    ),
    Erratum(
        "unicorn", ISA.name, "undefined half-precision vector instructions", "kills the process that runs it",
        harmless="no right code has them; what kills a campaign's worker is judged by qemu",
    ),
    Erratum(
        "unicorn", ISA.name, "authentication of addresses", "passes for every address, as none is signed",
        _HINTS, _authenticates, hides=True,
        proof=Proof(_SIGNS, (3, 5), 1, 0),
    ),
    Erratum(
        "qemu", ISA.name, "addresses that differ in the top byte alone", "are the same, as on Linux (top byte ignore)",
        harmless="an address of a data region has a top byte of zero, and Unicorn comes first",
    ),
)  # fmt: skip
