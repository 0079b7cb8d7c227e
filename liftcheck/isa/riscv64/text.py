"""riscv64's instructions as text for people, from the rows: for those that Capstone lacks.

The one idea: V, Zfh, Zba, Zbb, Zbs, Zicond, Zabha and others have rows, which say how an assembler reads them.
"""

from __future__ import annotations

import re
from typing import Final

from liftcheck.isa.riscv64.insts.table import table

_BYTES: Final = re.compile(
    r"^( *)\.byte ((?:0x[0-9a-f]{2}, ){3}0x[0-9a-f]{2}|0x[0-9a-f]{2}, 0x[0-9a-f]{2})$", re.MULTILINE
)


def by_tables(data: bytes) -> str:
    """An instruction as an assembler reads it; '' if the table does not have it."""
    found = table().decode(data)
    return found.text if found is not None and found.size == len(data) else ""


def with_names(text: str) -> str:
    """A compiler's own disassembly, with names for the words that its Capstone took for bytes."""
    return _BYTES.sub(
        lambda m: m[1] + (by_tables(bytes(int(byte, 16) for byte in m[2].split(", "))) or m[0].strip()), text
    )
