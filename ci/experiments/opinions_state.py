"""What an opinion computes on: a register file of bytes, memory of which one window is given, and what it may answer.

The one idea: a library has its registers at offsets of its own, so a state is those bytes; where each place of a record
lies in them is a list of `Cell`s, made once an ISA. Nothing here knows an ISA or a library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Order = Literal["little", "big"]


class Unknown(Exception):
    """The library does not have the instruction, or what it says has no value here; the text says why."""


class Open(Exception):
    """What the library says of this state is left open by it: which NaN, a rounding mode it does not have."""


class Cell(NamedTuple):
    """A place of the record, its bytes, and where the library has it; `at`: -1 for a flag that is computed."""

    name: str
    record: int
    size: int
    at: int


class Request(NamedTuple):
    """An instruction at `pc`, and the states that it is to be computed on, the first at `address`."""

    data: bytes
    pc: int
    taken: int
    address: int
    records: Sequence[bytes]


class Layout(NamedTuple):
    """How records lie: the place of each name, the window of memory, where it is noted that a target was reached."""

    isa: str
    order: Order
    slots: Mapping[str, tuple[int, int]]
    window: tuple[int, int]
    taken: int


class Answer(NamedTuple):
    """`unknown`: why the library has nothing to say, or ''; a record for each state, a text where it left it open."""

    unknown: str
    records: Sequence[bytes | str]


class Elsewhere(Exception):
    """An access outside of the window, which the row does not have: the text says which."""


class After(NamedTuple):
    """A state after an instruction: what each cell holds, memory, the address where control goes."""

    values: Sequence[int]
    memory: Memory
    goal: int


class Memory:
    """The window of one record, and what was stored elsewhere: libraries keep temporary values below the stack
    pointer, from `below` on."""

    def __init__(self, layout: Layout, record: bytes, address: int, below: int = 0) -> None:
        start, size = layout.window
        self.start = address + start
        self.data = bytearray(record[start : start + size])
        self.order = layout.order
        self.below = below
        self.apart: dict[int, int] = {}

    def load(self, address: int, size: int) -> int:
        """The number there."""
        at = address - self.start
        if 0 <= at <= len(self.data) - size:
            return int.from_bytes(self.data[at : at + size], self.order)
        try:
            return int.from_bytes(bytes(self.apart[address + k] for k in range(size)), self.order)
        except KeyError:
            raise Elsewhere(f"a load of {size} bytes {at:+d} from the window") from None

    def store(self, address: int, size: int, value: int) -> None:
        """Puts a number there."""
        at, data = address - self.start, (value & (1 << 8 * size) - 1).to_bytes(size, self.order)
        if 0 <= at <= len(self.data) - size:
            self.data[at : at + size] = data
        elif self.below and self.below - 512 <= address < self.below:
            self.apart |= {address + k: byte for k, byte in enumerate(data)}
        else:
            raise Elsewhere(f"a store of {size} bytes {at:+d} from the window")
