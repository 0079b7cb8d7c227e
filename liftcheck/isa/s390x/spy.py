"""A few instructions around a trampoline that note callee-saved registers: s390x's part of `oracles.canaries`.

Source of the encodings: z/Architecture Principles of Operation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from liftcheck import layout
from liftcheck.isa.abi import FLOATS
from liftcheck.isa.s390x import ISA
from liftcheck.isa.s390x.abi import ABI


def spy(kept: Sequence[int], first: int, size: int) -> bytes:
    """The code in front of a trampoline's, which is at `size`: it notes the places `kept` from offset `first` of the
    row on, calls, notes them again after that, and gives them back."""
    given_back = [*kept, ABI.link]
    frame = ABI.callee_area + 8 * len(given_back) + 8 * (len(given_back) % 2)

    def rxy(major: int, minor: int, register: int, base: int, offset: int) -> bytes:
        low, high = offset & 0xFFF, offset >> 12 & 0xFF
        return bytes([major, register << 4, base << 4 | low >> 8, low & 0xFF, high, minor])

    def moved(store: bool, place: int, base: int, offset: int) -> bytes:
        major, minor = (0xED, 0x67 if store else 0x65) if place >= FLOATS else (0xE3, 0x24 if store else 0x04)
        return rxy(major, minor, place & 63, base, offset)

    def stored(start: int) -> bytes:
        row = struct.pack(">HIHI", 0xC01E, layout.CONTROL >> 32, 0xC01D, layout.CONTROL & 0xFFFFFFFF)
        return (
            row
            + rxy(0xE3, 0x04, 1, 1, 0)
            + b"".join(moved(True, place, 1, start + 16 * i) for i, place in enumerate(kept))
        )

    head = (
        rxy(0xE3, 0x71, 15, 15, -frame)
        + b"".join(moved(True, place, 15, ABI.callee_area + 8 * i) for i, place in enumerate(given_back))
        + stored(first)
    )
    call = struct.pack(">Hi", 0xC0E5, (size - len(head)) // 2)
    return (
        head
        + call
        + stored(first + 16 * len(kept))
        + b"".join(moved(False, place, 15, ABI.callee_area + 8 * i) for i, place in enumerate(given_back))
        + rxy(0xE3, 0x71, 15, 15, frame)
        + bytes.fromhex(ISA.ret)
    )
