"""The shapes that an access's address may have in an instance: what addressing modes match, with the edges of fields.

The one idea: a shape is a short text, read from left to right: 'p' a pointer, 'x' plus a register, 'l' plus a register
that is shifted, 'u' and 's' plus a narrow one that is extended, 'm' plus a register below 32, 'k' plus a constant, 'o'
with an offset in the access; 'S' is a stack slot in the place of the pointer, 'G' a symbol. The number is the constant
or the offset; for 'l' the amount.
"""

from __future__ import annotations

from typing import Final

OFFSETS: Final = (8, 1, 255, 256, 2047, 2048, 4095, 4096, 32760, 32761, 65536, 524287, 524288, 0x7FFFFFFF, -1, -8, -256,
                  -257, -512, -513, -2048, -2049, -4096, -524288, -524289, -0x80000000)  # fmt: skip
"""Both sides of every displacement field: scaled and plain ones of 7 to 32 bits, with and without a sign."""

SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "po": OFFSETS, "pk": OFFSETS, "px": (0,), "pxo": (8, -8, 4096), "pl": (0, 1, 2, 3, 4), "plo": (3,), "pu": (0,),
    "ps": (0,), "pul": (2, 3), "psl": (2, 3), "pxx": (0,), "pkx": (16,), "pxk": (16, 4096), "pko": (16,),
    "So": (0, 8), "Sm": (0,), "G": (0,), "Go": (8, 4096),
}  # fmt: skip
SLOT: Final = 64
"""Bytes of the stack slot."""
