"""What runners get wrong of aarch64 (`isa.errata`)."""

from __future__ import annotations

import re
from collections.abc import Callable
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


def _bytes(chosen: Callable[[int], bool]) -> bytes:
    """A class of bytes."""
    return b"[%s]" % re.escape(bytes(byte for byte in range(256) if chosen(byte)))


_HALVES: Final = re.compile(
    rb"%s[\x78\x79\xf8\xf9][\x0e\x2e\x4e\x6e\x5e\x7e]|%s%s[\x0e\x2e\x4e\x6e]"
    % (_bytes(lambda b: b & 0x0C == 0x08), _bytes(lambda b: b & 0xC4 == 0x04), _bytes(lambda b: b & 0x60 == 0x40)),
    re.DOTALL,
)
"""All but the lowest byte of half-precision instructions on one register, and on three (not of scalars)."""


def _undefined_halves(code: bytes) -> bool:
    """One of them that the architecture does not define."""
    words = {code[at - 1 : at + 3] for match in _HALVES.finditer(code) if (at := match.start()) & 3 == 1}
    listing = disassembler(ISA.name)
    return any(name.startswith(".") for word in words for _, _, name, _ in listing.disasm_lite(word, 0))


_AUTHENTICATING: Final = rb"[\x9f\xbf\xdf\xff]\x23\x03\xd5|[\x9f\xdf]\x21\x03\xd5|\xff[\x0b\x0f]\x5f\xd6"
_AUTHENTICATIONS: Final = re.compile(b"(?=%s)" % _AUTHENTICATING, re.DOTALL)
"""autiaz, autiasp, autibz, autibsp; autia1716, autib1716; retaa, retab."""


_SIGNS: Final = (
    "f00300aa f1031eaa 1f2103d5 22021eca f00301aa f1031eaa 1f2103d5 23021eca"
    "420003aa 5f0000f1 e0079f9a 9f2103d5 c0035fd6"
)
"""Signs the return address (pacia1716) with each argument; whether that changes it. Then authenticates it."""


def _authenticates(code: bytes) -> bool:
    """Whether one of them is where an instruction begins."""
    return any(match.start() & 3 == 0 for match in _AUTHENTICATIONS.finditer(code))


ROWS: Final[tuple[Erratum, ...]] = (
    Erratum(
        "unicorn", ISA.name, "ldsmax, ldsmin of 8, 16, 32 bits", "compare as unsigned: the wrong value is stored",
        re.compile(_LDSMAX, re.DOTALL), _narrow_ldsmax,
        proof=Proof("ff4300d1e00300f9e14321b8e00340b9ff430091c0035fd6", (0xFFFFFFFF, 1), 1, 0xFFFFFFFF),
    ),
    Erratum(
        "unicorn", ISA.name, "undefined half-precision vector instructions", "kills the process that runs it",
        _HALVES, _undefined_halves, death=("220cdb2ec0035fd6", "SIGABRT"),
    ),
    Erratum(
        "unicorn", ISA.name, "authentication of addresses", "passes for every address, as none is signed",
        re.compile(_AUTHENTICATING, re.DOTALL), _authenticates, hides=True,
        proof=Proof(_SIGNS, (3, 5), 1, 0),
    ),
    Erratum(
        "qemu", ISA.name, "addresses that differ in the top byte alone", "are the same, as on Linux (top byte ignore)",
        harmless="an address of a data region has a top byte of zero, and Unicorn comes first",
    ),
)  # fmt: skip
