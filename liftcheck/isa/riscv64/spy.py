"""A few instructions around a trampoline that note callee-saved registers: riscv64's part of `oracles.canaries`.

Source of the encodings: RISC-V ISA manual.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from liftcheck import layout
from liftcheck.isa.abi import FLOATS
from liftcheck.isa.riscv64.abi import ABI


def spy(kept: Sequence[int], first: int, size: int) -> bytes:
    """The code in front of a trampoline's, which is at `size`: it notes the places `kept` from offset `first` of the
    row on, calls, notes them again after that, and gives them back."""
    frame = 8 * len(kept) + 16

    def store(place: int, base: int, offset: int) -> int:
        major = 0x27 if place >= FLOATS else 0x23
        return offset >> 5 << 25 | (place & 63) << 20 | base << 15 | 3 << 12 | (offset & 31) << 7 | major

    def load(place: int, offset: int) -> int:
        major = 0x07 if place >= FLOATS else 0x03
        return offset << 20 | 2 << 15 | 3 << 12 | (place & 63) << 7 | major

    def stored(start: int) -> list[int]:
        assert layout.CONTROL == 0x212 << 24
        low = (start & 0xFFF ^ 0x800) - 0x800
        row = [
            0x21200293,
            0x01829293,
            0x0002B283,  # li t0, 0x212; slli t0, t0, 24; ld t0, 0(t0)
            (start - low) & 0xFFFFF000 | 6 << 7 | 0x37,
            (low & 0xFFF) << 20 | 6 << 15 | 6 << 7 | 0x13,
            0x006282B3,
        ]
        return [*row, *(store(place, 5, 16 * i) for i, place in enumerate(kept))]

    given_back = [ABI.link, *kept]
    head = [
        (-frame & 0xFFF) << 20 | 2 << 15 | 2 << 7 | 0x13,
        *(store(place, 2, 8 * i) for i, place in enumerate(given_back)),
        *stored(first),
    ]
    to = max(size - 4 * len(head), 0)
    call = (to >> 1 & 0x3FF) << 21 | (to >> 11 & 1) << 20 | (to >> 12 & 0xFF) << 12 | 1 << 7 | 0x6F
    tail = [
        *stored(first + 16 * len(kept)),
        *(load(place, 8 * i) for i, place in enumerate(given_back)),
        frame << 20 | 2 << 15 | 2 << 7 | 0x13,
        0x00008067,
    ]
    return struct.pack(f"<{len(head) + 1 + len(tail)}I", *head, call, *tail)
