"""A few instructions around a trampoline that note callee-saved registers: aarch64's part of `oracles.canaries`.

Source of the encodings: Arm ARM.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from liftcheck import layout


def spy(kept: Sequence[int], first: int, size: int) -> bytes:
    """The code in front of a trampoline's, which is at `size`: it notes the places `kept` from offset `first` of the
    row on, calls, notes them again after that, and gives them back."""
    link_at, frame = 8 * len(kept), 8 * len(kept) + 16 - 8 * (len(kept) % 2)

    def moved(opcode: int, base: int, start: int, step: int) -> list[int]:
        return [
            opcode | place >> 6 << 26 | (start + step * i) // 8 << 10 | base << 5 | place & 63
            for i, place in enumerate(kept)
        ]

    def stored(start: int) -> list[int]:
        row = [
            opcode | (layout.CONTROL >> shift & 0xFFFF) << 5 | 9
            for opcode, shift in ((0xD2800000, 0), (0xF2A00000, 16), (0xF2C00000, 32))
        ]
        return [*row, 0xF9400129, *moved(0xF9000000, 9, start, 16)]

    head = [0xD10003FF | frame << 10, *moved(0xF9000000, 31, 0, 8), 0xF90003FE | link_at // 8 << 10, *stored(first)]
    call = 0x94000000 | max(size // 4 - len(head), 0)
    tail = [
        *stored(first + 16 * len(kept)),
        *moved(0xF9400000, 31, 0, 8),
        0xF94003FE | link_at // 8 << 10,
        0x910003FF | frame << 10,
        0xD65F03C0,
    ]
    return struct.pack(f"<{len(head) + 1 + len(tail)}I", *head, call, *tail)
