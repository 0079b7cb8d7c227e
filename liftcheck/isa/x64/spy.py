"""A few instructions around a trampoline that note callee-saved registers: x86-64's part of `oracles.canaries`.

Source of the encodings: Intel SDM.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from liftcheck import layout
from liftcheck.isa.x64 import ISA


def spy(kept: Sequence[int], first: int, size: int) -> bytes:
    """The code in front of a trampoline's, which is at `size`: it notes the places `kept` from offset `first` of the
    row on, calls, notes them again after that, and gives them back."""

    def stored(start: int) -> bytes:
        row = b"\x48\xb8" + struct.pack("<Q", layout.CONTROL) + b"\x48\x8b\x00"
        return row + b"".join(
            bytes([0x48 | (n >> 3) << 2, 0x89, 0x80 | (n & 7) << 3]) + struct.pack("<i", start + 16 * i)
            for i, n in enumerate(kept)
        )

    def pushed(opcode: int, order: Sequence[int]) -> bytes:
        return b"".join(bytes([0x41] * (n > 7) + [opcode | n & 7]) for n in order)

    head = pushed(0x50, kept) + b"\x48\x83\xec\x08" + stored(first)
    call = b"\xe8" + struct.pack("<i", size - len(head) - 5)
    return (
        head
        + call
        + stored(first + 16 * len(kept))
        + b"\x48\x83\xc4\x08"
        + pushed(0x58, kept[::-1])
        + bytes.fromhex(ISA.ret)
    )
