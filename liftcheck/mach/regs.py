"""Places: registers and spill slots as plain ints, and their names for people.

The one idea: a register is its class * 64 + its hardware number (regalloc2's `PReg::index`), a spill slot is SLOT + its
number, nothing is NONE; so a validator's state is a dict of ints. Their names are the ISA's.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.base import isa_named

SLOT: Final = 256
NONE: Final = -1
INT, FLOAT, VECTOR = 0, 1, 2
CLASSES: Final = ("int", "float", "vector")


def show_place(place: int, isa: str = "") -> str:
    """A register by its ISA's name ('fs1'), 'stack2' for spill slot 2, 'none'. Without an ISA registers are as
    regalloc2 prints them: 'p3i' is integer register 3."""
    if place == NONE:
        return "none"
    if place >= SLOT:
        return f"stack{place - SLOT}"
    number, classes = place & 63, isa_named(isa).registers if isa else ()
    names = classes[place >> 6] if place >> 6 < len(classes) else ()
    return (names[number] if number < len(names) else "") or f"p{number}{CLASSES[place >> 6][0]}"
