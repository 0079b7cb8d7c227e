"""Encodings as the manuals draw them: one word of fixed bits and fields, of any size, from the highest bit to the
lowest.

The one idea: the text of a row's encoding is the manual's picture. Its parts, separated by blanks:

    0110011     bits that are fixed
    0xE3        the same in hexadecimal, four bits a digit
    rd          a field, of the width that the ISA gives to that name
    imm:12      a field of 12 bits
    imm[4:1|11] these bits of a field, highest first; its other bits stand elsewhere in the word, or are zero
    ___         bits that are ignored, one each; encoded as zero

A field is an unsigned number; what it means is the operand's business (`kinds`). Sizes are found by trying: no ISA
has an instruction that begins with another one, so the fixed bits of its rows tell 2, 4 and 6 bytes apart.

Decoding is a tree: a node looks at the bits that all of its rows fix, or, where there are few of those, at those that
most fix (the others stand in each branch); leaves are lists, those with the most fixed bits first, so an alias or a
special case is a row with more bits fixed than the general one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

from liftcheck.errors import AssemblyError, InternalError

Fields = Mapping[str, int]
T = TypeVar("T")


class Encoding(Protocol):
    """How one instruction lies in memory."""

    def encode(self, fields: Fields) -> bytes:
        """The bytes for these fields."""

    def fixed(self, fields: Fields) -> Encoding:
        """The same with some fields given: what an alias or a special case is encoded as."""

    def rooms(self) -> Mapping[str, int]:
        """The bits that each field has room for."""


class Candidate(NamedTuple):
    """An entry (its number in the list that was indexed) whose fixed bits are those of the bytes."""

    number: int
    fields: dict[str, int]
    size: int


Decoder = Callable[[bytes], Iterator[Candidate]]
"""Bytes that begin with an instruction to the entries that it may be, the likeliest first."""


class Piece(NamedTuple):
    """`width` bits at `shift` of the word are those from `low` on of a field."""

    name: str
    low: int
    shift: int
    width: int


@dataclass(frozen=True, slots=True)
class Word:
    """One word of `size` bytes: where `mask` has ones, it is `match`."""

    size: int
    mask: int
    match: int
    pieces: tuple[Piece, ...]
    order: Literal["little", "big"]

    def fields(self, word: int) -> dict[str, int]:
        """What the fields say."""
        found: dict[str, int] = {}
        for name, low, shift, width in self.pieces:
            found[name] = found.get(name, 0) | (word >> shift & (1 << width) - 1) << low
        return found

    def encode(self, fields: Fields) -> bytes:
        """See `Encoding`. Bits of a field for which the word has no place: AssemblyError."""
        word = self.match
        for name, room in self.rooms().items():
            if fields[name] & ~room:
                raise AssemblyError(f"{name} has no place for {fields[name] & ~room:#x} of {fields[name]:#x}")
        for name, low, shift, width in self.pieces:
            word |= (fields[name] >> low & (1 << width) - 1) << shift
        return word.to_bytes(self.size, self.order)

    def fixed(self, fields: Fields) -> Word:
        """See `Encoding`."""
        if not fields:
            return self
        mask, match = self.mask, self.match
        for name, low, shift, width in self.pieces:
            if name in fields:
                mask |= (1 << width) - 1 << shift
                match |= (fields[name] >> low & (1 << width) - 1) << shift
        pieces = _fields(*[piece for piece in self.pieces if piece.name not in fields])
        return Word(self.size, mask, match, pieces, self.order)

    def rooms(self) -> Mapping[str, int]:
        """See `Encoding`."""
        found: dict[str, int] = {}
        for name, low, _, width in self.pieces:
            found[name] = found.get(name, 0) | (1 << width) - 1 << low
        return found


_PART: Final = re.compile(r"(?P<bits>[01]+)|0x(?P<hex>[0-9A-Fa-f]+)|(?P<ignored>_+)|(?P<name>[A-Za-z]\w*)(?P<rest>\S*)")
_SLICES: Final = re.compile(r"\[([0-9:|]+)\]")


def word(picture: str, widths: Mapping[str, int], order: Literal["little", "big"]) -> Word:
    """The encoding that a picture shows; see the module."""
    pieces: list[tuple[str, int, int]] = []
    for part in picture.split():
        try:
            pieces += _pieces(part, widths.get(part))
        except LookupError as error:
            raise InternalError(f"{error.args[0]} in the encoding {picture!r}") from None
    shift = total = sum([width for _, _, width in pieces])
    if total % 16:
        raise InternalError(f"{total} bits in the encoding {picture!r}")
    mask, match, fields = 0, 0, []
    for name, low, width in pieces:
        shift -= width
        if name == "=":
            mask |= (1 << width) - 1 << shift
            match |= low << shift
        elif name:
            fields.append(_piece(name, low, shift, width))
    return Word(total // 8, mask, match, _fields(*fields), order)


_piece: Final = cache(Piece)
"""One object for all that are equal: rows have most of theirs in common, and the collector of garbage looks at each."""


@cache
def _fields(*pieces: Piece) -> tuple[Piece, ...]:
    return pieces


@cache
def _pieces(part: str, width: int | None) -> Sequence[tuple[str, int, int]]:
    """(field, lowest bit, width); of fixed bits '=', their value, width; of ignored ones ''. `width`: the ISA's for a
    field of that name. LookupError says what is wrong."""
    found = _PART.fullmatch(part)
    if found is None:
        raise LookupError(repr(part))
    if found["bits"]:
        return [("=", int(found["bits"], 2), len(found["bits"]))]
    if found["hex"]:
        return [("=", int(found["hex"], 16), 4 * len(found["hex"]))]
    if found["ignored"]:
        return [("", 0, len(found["ignored"]))]
    name, rest = found["name"], found["rest"]
    if rest.startswith(":") and rest[1:].isdigit():
        return [(name, 0, int(rest[1:]))]
    if not rest and width is not None:
        return [(name, 0, width)]
    slices = _SLICES.fullmatch(rest)
    if slices is None:
        raise LookupError(f"no width for {name!r}")
    made = []
    for one in slices[1].split("|"):
        high, _, low = one.partition(":")
        made.append((name, int(low or high), int(high) - int(low or high) + 1))
    return made


# -- decoding


def decoder_of(encodings: Sequence[Encoding]) -> Decoder:
    """The tree over these encodings, which are all words."""
    words = [one for one in encodings if isinstance(one, Word)]
    if len(words) != len(encodings):
        raise InternalError("an encoding that is not a word")
    return decoder(words)


def decoder(words: Sequence[Word]) -> Decoder:
    """The tree over these encodings."""
    by_size: dict[int, list[int]] = {}
    for number, one in enumerate(words):
        by_size.setdefault(one.size, []).append(number)
    trees = tuple((size, words[n[0]].order, _node(words, n, 0)) for size, n in sorted(by_size.items()))

    def decode(window: bytes) -> Iterator[Candidate]:
        for size, order, tree in trees:
            if len(window) < size:
                return
            value = int.from_bytes(window[:size], order)
            for number in _leaf(tree, value):
                one = words[number]
                if value & one.mask == one.match:
                    yield Candidate(number, one.fields(value), size)

    return decode


class _Branch(NamedTuple):
    mask: int
    nodes: dict[int, _Node]


_Node = _Branch | tuple[int, ...]
_SHORT: Final = 3
"""So many rows are a leaf."""


def _leaf(node: _Node, value: int) -> Iterable[int]:
    while isinstance(node, _Branch):
        found = node.nodes.get(value & node.mask)
        if found is None:
            return ()
        node = found
    return node


def _node(words: Sequence[Word], numbers: list[int], used: int) -> _Node:
    mask = 0 if len(numbers) <= _SHORT else _telling(words, numbers, used)
    if not mask:
        return tuple(sorted(numbers, key=lambda n: -words[n].mask.bit_count()))
    inside: dict[int, list[int]] = {}
    for n in numbers:
        one = words[n]
        for left_open in _values(mask & ~one.mask):  # rows that leave some of these bits open have every value there
            inside.setdefault(one.match & mask | left_open, []).append(n)
    return _Branch(mask, {key: _node(words, some, used | mask) for key, some in inside.items()})


_WIDE: Final = 8
"""Bits at most that a branch looks at where rows leave some of them open."""


def _telling(words: Sequence[Word], numbers: list[int], used: int) -> int:
    """The bits to look at: those that all rows fix, if that tells rows apart, else some that most of them fix."""
    common = ~used
    for n in numbers:
        common &= words[n].mask
    if len({words[n].match & common for n in numbers}) > 1:
        return common
    counts = [(sum(words[n].mask >> bit & 1 for n in numbers), bit) for bit in range(8 * words[numbers[0]].size)]
    best = sorted((count, bit) for count, bit in counts if not used >> bit & 1 and 2 * count > len(numbers))
    return sum(1 << bit for _, bit in best[-_WIDE:])


def _values(mask: int) -> Iterator[int]:
    """Every number that has ones in the mask only."""
    value = 0
    while True:
        yield value
        value = value - mask & mask
        if not value:
            return
