"""The ISAs that there are, and what differs between them.

The one idea: `LISTED` is the only list of ISAs in liftcheck, cheap enough for the start of a command. What else differs
between them is a value, `ISA`, in the package of each (`isa.base.isa_named` gives it); what needs more than data stands
beside it in the same package. The rest of liftcheck asks, and names no ISA (`ci/checks/isas.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from liftcheck.errors import InternalError

ByteOrder = Literal["little", "big"]


class Listed(NamedTuple):
    """An ISA.

    name      in targets, in reports and on the command line
    package   its package here, named as Cranelift's folder of the backend
    triple    what a compiler and the header of a filetest call it
    aliases   what people call it in addition
    spellings architectures in a triple that are it: letters that name extensions enable none
    byte_order
    """

    name: str
    package: str
    triple: str
    aliases: tuple[str, ...]
    spellings: tuple[str, ...] = ()
    byte_order: ByteOrder = "little"


_ROWS: Final = (
    Listed("x86-64", "x64", "x86_64", ("x86_64", "x64", "amd64")),
    Listed("aarch64", "aarch64", "aarch64", ("arm64",)),
    Listed("riscv64", "riscv64", "riscv64", ("riscv",), ("riscv64gc", "riscv64imac", "riscv64a23")),
    Listed("s390x", "s390x", "s390x", (), byte_order="big"),
)
LISTED: Final[Mapping[str, Listed]] = {row.name: row for row in _ROWS}
ISAS: Final = tuple(LISTED)
ISA_ALIASES: Final = {alias: row.name for row in _ROWS for alias in row.aliases}
BIG_ENDIAN: Final = frozenset(row.name for row in _ROWS if row.byte_order == "big")
HOST: Final = "x86-64"
"""The ISA of the hosts that liftcheck knows to run and to confine code on, and that upstream's files without a target
are for."""


def listed(isa: str) -> Listed:
    """The row of an ISA."""
    row = LISTED.get(isa)
    if row is None:
        raise InternalError(f"no ISA called '{isa}'; there is {', '.join(ISAS)}")
    return row


def byte_order(isa: str) -> ByteOrder:
    """How an ISA stores numbers."""
    return LISTED[isa].byte_order
