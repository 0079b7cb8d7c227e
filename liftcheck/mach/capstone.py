"""Names instructions for people: Capstone, and what it does not know.

Used where a runner stops at an instruction that is not a trap of the compiler's: is it an instruction that the runner
lacks (then the outcome is 'unsupported'), or no instruction at all (then the code has gone wild)?
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from liftcheck.isa.base import isa_named

if TYPE_CHECKING:
    import capstone


def opened(isa: str) -> capstone.Cs:
    """A Capstone of its own for an ISA, to be set up as one likes."""
    import capstone  # a tenth of what a command takes to start, and many name no instruction

    arch, *modes = (getattr(capstone, name) for name in isa_named(isa).capstone)
    return capstone.Cs(arch, sum(modes))


@cache
def disassembler(isa: str) -> capstone.Cs:
    """Capstone for an ISA; data in the code is stepped over as '.byte'."""
    made = opened(isa)
    made.skipdata = True
    return made


@cache
def exactly(isa: str) -> capstone.Cs:
    """Capstone for an ISA; it stops at what it does not know."""
    return opened(isa)


def mnemonics(isa: str, code: bytes) -> list[str]:
    """The mnemonics of a function's instructions, data included as '.byte'."""
    return [name for _, _, name, _ in disassembler(isa).disasm_lite(code, 0)]


def lacking(isa: str, code: bytes) -> str:
    """The name of the instruction at the start of `code` if a runner that stopped at it lacks it; '' if it is a trap or
    no instruction."""
    value, name = isa_named(isa), next(iter(mnemonics(isa, code[:16])), ".byte")
    if re.fullmatch(value.trapping, name):
        return ""
    if name != ".byte":
        return name
    if not value.beyond_capstone or re.match(value.beyond_capstone, code) is None:
        return ""
    one = value.part(value.rows)().decode(code[:16])
    return one.row.name if one is not None else "a vector instruction"
