"""Where things lie in the address space of generated code: the same numbers on every runner and in the interpreter.

Everything sits above 4 GiB (truncated pointers fault) and inside one 64 MiB arena (near relocations reach). Page 0 and
everything between the areas is unmapped. Slot k is the data region of one run: one page of `SLOT_SIZE` bytes, unmapped
on both sides, so that an access one byte past either end traps. Generated programs get slot addresses as arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

ARENA: Final = 0x2_1000_0000
ARENA_SIZE: Final = 0x400_0000

CODE: Final = ARENA
"""Compiled functions, constants, address tables; read and execute."""
CODE_SIZE: Final = 0x180_0000

TRAMPOLINES: Final = ARENA + 0x180_0000
"""Trampolines, which stay where they are from batch to batch; read and execute."""
TRAMPOLINES_SIZE: Final = 0x60_0000

STUB: Final = ARENA + 0x1F0_0000
"""The runner's own loop and the library calls; read and execute."""
STUB_SIZE: Final = 0x1_0000

CONTROL: Final = ARENA + 0x200_0000
"""The runner's control block; its first 8 bytes hold the address of the current row."""
SIGNAL_STACK: Final = CONTROL + 0x1_0000
SIGNAL_STACK_SIZE: Final = 0x1_0000
ROWS: Final = ARENA + 0x210_0000
ROWS_SIZE: Final = 0x40_0000

STACK: Final = ARENA + 0x280_0000
"""Lowest address of the stack; unmapped below and above."""
STACK_SIZE: Final = 0x20_0000

UNRESOLVED: Final = ARENA + 0x2B0_0000
UNRESOLVED_SIZE: Final = 0x40_0000
UNRESOLVED_STRIDE: Final = 0x1000
UNRESOLVED_PAGES: Final = UNRESOLVED_SIZE // UNRESOLVED_STRIDE
UNRESOLVED_SHARE: Final = 0x40
"""Unmapped: one page for each symbol that a program names and nothing defines. A call or read of one is known by it.
Of more symbols than pages several share one, so many bytes apart."""

DATA: Final = ARENA + 0x300_0000
SLOT_SIZE: Final = 0x1000
SLOT_STRIDE: Final = 0x3000
"""An odd number of pages: an emulator's TLB of 2^n entries then has one of its own for each region."""
SLOTS: Final = 256


def unresolved(address: int, missing: Mapping[str, int]) -> str:
    """The trap code of a call or an access that hits a missing symbol (`missing`: their addresses, in the order of
    `address_of_missing`), else ''."""
    name = missing_at(address, missing)
    return f"unresolved {name}" if name else ""


def missing_at(address: int, missing: Mapping[str, int]) -> str:
    """The missing symbol in whose page an address lies, the nearest below it if several share the page; '' if none."""
    page, offset = divmod(address - UNRESOLVED, UNRESOLVED_STRIDE)
    if not missing or not 0 <= page < min(UNRESOLVED_PAGES, len(missing)):
        return ""
    last = (len(missing) - 1 - page) // UNRESOLVED_PAGES
    number = page + min(offset // UNRESOLVED_SHARE, last) * UNRESOLVED_PAGES
    return next(islice(missing, number, None))


def address_of_missing(name: str, missing: dict[str, int]) -> int | None:
    """The address that stands for a missing symbol; entered into `missing` if it is new. None if that is full."""
    if name not in missing:
        share, page = divmod(len(missing), UNRESOLVED_PAGES)
        if share * UNRESOLVED_SHARE >= UNRESOLVED_STRIDE:
            return None
        missing[name] = UNRESOLVED + page * UNRESOLVED_STRIDE + share * UNRESOLVED_SHARE
    return missing[name]


def slot_address(slot: int) -> int:
    """The first address of data region `slot` (0 … SLOTS-1)."""
    return DATA + slot * SLOT_STRIDE
