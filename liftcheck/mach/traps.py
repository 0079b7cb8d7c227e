"""The trap code that a compiler's table gives to an instruction."""

from __future__ import annotations

from collections.abc import Sequence

from liftcheck.isa.base import Isa


def trap_code(isa: Isa, code: bytes, traps: Sequence[tuple[int, str]], offset: int) -> str | None:
    """The code of a trap or fault of the instruction at `offset`; None: the table has none.

    Where tables name the last byte of a trap or divide, but the first of a load or store, any byte of the instruction
    counts.
    """
    end = offset + (isa.sizes[code[offset]] if isa.last_byte else 1)
    return next((name for at, name in traps if offset <= at < end), None)
