"""Memory of run lines: buffers with given contents, pointers to them, and what they hold afterwards.

The one idea: everything is said by name and type, and becomes addresses and bytes only when a run has its data region
and its byte order (`RunLine.at`): buffers lie one after the other in the region of their run, so the same line means
the same on every ISA, in the interpreter and in machine code. The notation is read in `runlines`, explained in
docs/files.md.
Bytes between and after buffers are `FILL`, so that reading past an end gives no zeros by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple

from liftcheck import layout

BYTES: Final = "bytes"
POINTERS: Final = "ptr"
FILL: Final = 0xA5
ALIGN: Final = 16
"""A buffer's alignment unless it says another."""

Order = Literal["big", "little"]


class Place(NamedTuple):
    """`&a+8`: an address in a buffer."""

    name: str
    plus: int = 0


class Piece(NamedTuple):
    """`i32[1 2]`, `bytes[de ad]`, `ptr[&a+8]`: items of one kind, `size` bytes each. Numbers are unsigned."""

    kind: str
    size: int
    items: tuple[int | Place, ...]

    def content(self, offsets: Mapping[str, int], base: int, order: Order) -> bytes:
        """The items as bytes, one after the other."""
        return b"".join(address(item, offsets, base).to_bytes(self.size, order) for item in self.items)

    def like(self, content: bytes, order: Order) -> Piece:
        """A piece of the same form with other content."""
        size = self.size
        return self._replace(
            items=tuple(int.from_bytes(content[at : at + size], order) for at in range(0, len(content), size))
        )

    @property
    def length(self) -> int:
        return self.size * len(self.items)


class Buffer(NamedTuple):
    """`memory a = i32[1 2], zero[8], align = 16`"""

    name: str
    pieces: tuple[Piece, ...]
    align: int = ALIGN

    @property
    def length(self) -> int:
        return sum(piece.length for piece in self.pieces)


class Claim(NamedTuple):
    """`a+4 == i32[9]` after a run line's results: what memory holds afterwards."""

    place: Place
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Memory:
    """What a run line says of memory. `args`, `results`: which of them are addresses."""

    buffers: tuple[Buffer, ...]
    args: tuple[tuple[int, Place], ...] = ()
    results: tuple[tuple[int, Place], ...] = ()
    claims: tuple[Claim, ...] = ()

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where each buffer begins in the data region."""
        found, here = {}, 0
        for buffer in self.buffers:
            here = -(-here // buffer.align) * buffer.align
            found[buffer.name] = here
            here += buffer.length
        return found

    @property
    def length(self) -> int:
        """What all buffers take."""
        last = self.buffers[-1] if self.buffers else None
        return self.offsets[last.name] + last.length if last else 0

    def region(self, base: int, order: Order) -> bytes:
        """The initial content of the data region at `base`."""
        region = bytearray([FILL]) * layout.SLOT_SIZE
        for buffer in self.buffers:
            at = self.offsets[buffer.name]
            region[at : at + buffer.length] = self._content(buffer.pieces, base, order)
        return bytes(region)

    def _content(self, pieces: tuple[Piece, ...], base: int, order: Order) -> bytes:
        return b"".join(piece.content(self.offsets, base, order) for piece in pieces)

    def at(self, place: Place, base: int) -> int:
        """The address of a place."""
        return address(place, self.offsets, base)

    def holds(self, claim: Claim, region: bytes, base: int, order: Order) -> bool:
        """Whether the region's content is as claimed."""
        wanted = self._content(claim.pieces, base, order)
        start = self.at(claim.place, 0)
        return region[start : start + len(wanted)] == wanted

    def found(self, place: Place, pieces: tuple[Piece, ...], region: bytes, base: int, order: Order) -> list[Piece]:
        """What the region holds at a place, in the form of `pieces`; addresses in buffers by name."""
        made, at = [], self.at(place, 0)
        for piece in pieces:
            made.append(self._named(piece.like(region[at : at + piece.length], order), base))
            at += piece.length
        return made

    def _named(self, piece: Piece, base: int) -> Piece:
        if piece.kind != POINTERS:
            return piece
        return piece._replace(
            items=tuple(self.named(item, base) if isinstance(item, int) else item for item in piece.items)
        )

    def named(self, number: int, base: int) -> int | Place:
        """An address in a buffer as its place; another number as it is."""
        for buffer in self.buffers:
            if 0 <= (plus := number - base - self.offsets[buffer.name]) < max(buffer.length, 1):
                return Place(buffer.name, plus)
        return number


def address(item: int | Place, offsets: Mapping[str, int], base: int) -> int:
    """A number as it is, a place as its address."""
    return base + offsets[item.name] + item.plus if isinstance(item, Place) else item
