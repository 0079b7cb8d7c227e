"""Bytes of a function whose registers are allocated: labels, branches of several lengths, constants, tables of facts.

The one idea: what is put is a list of pieces; a piece is bytes, or a `Reach`: an instruction that leads somewhere and
has several lengths. All begin short, and those that do not reach grow until all do; a piece that has grown never
shrinks, so this ends. A piece that is far too short takes the length that reaches at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from liftcheck.case import CallSite, Relocation

_PASSES: Final = 8
"""After so many, whatever does not reach takes its longest form: it is hardly ever worth more."""


class Reach:
    """An instruction that leads to a label, or loads from one. `lengths`: bytes of its forms; `fits(form, distance)`;
    `encode(form, distance)`, distances from the first byte."""

    __slots__ = ("encode", "fits", "lengths")

    def __init__(
        self, lengths: Sequence[int], fits: Callable[[int, int], bool], encode: Callable[[int, int], bytes]
    ) -> None:
        self.lengths: Final = tuple(lengths)
        self.fits: Final = fits
        self.encode: Final = encode


class _Led(NamedTuple):
    """A piece that leads to a label."""

    reach: Reach
    label: int


class Finished(NamedTuple):
    """Code with its tables; offsets are bytes from the start. `labels`: offsets of labels; `marks`: of marks."""

    code: bytes
    traps: tuple[tuple[int, str], ...]
    relocations: tuple[Relocation, ...]
    calls: tuple[CallSite, ...]
    labels: list[int]
    marks: list[int]


class Buffer:
    """Pieces, labels and what is noted at places between pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes | _Led] = []
        self._labels: list[int] = []
        self._traps: list[tuple[int, str]] = []
        self._relocations: list[tuple[int, int, str, str, int]] = []
        self._calls: list[tuple[int, tuple[tuple[object, ...], ...]]] = []
        self._marks: list[int] = []
        self._constants: dict[bytes, int] = {}
        self._alignments: dict[int, int] = {}

    def put(self, data: bytes) -> None:
        """Bytes."""
        self._pieces.append(data)

    def lead(self, reach: Reach, label: int) -> None:
        """An instruction that leads to a label."""
        self._pieces.append(_Led(reach, label))

    def label(self) -> int:
        """A new label, bound nowhere yet."""
        self._labels.append(-1)
        return len(self._labels) - 1

    def bind(self, label: int) -> None:
        """The label is here."""
        self._labels[label] = len(self._pieces)

    def align(self, unit: int) -> None:
        """What follows begins at a multiple of `unit`; what is between is never reached."""
        self._alignments[len(self._pieces)] = unit
        self._pieces.append(b"")

    def trap(self, code: str) -> None:
        """What is put next may trap with this code."""
        self._traps.append((len(self._pieces), code))

    def relocation(self, kind: str, name: str, addend: int = 0, within: int = 0) -> None:
        """A relocation `within` bytes after the start of what is put next."""
        self._relocations.append((len(self._pieces), within, kind, name, addend))

    def call(self, handlers: tuple[tuple[object, ...], ...] = ()) -> None:
        """The return address of a call is here. `handlers`: as in `CallSite`, with labels for offsets."""
        self._calls.append((len(self._pieces), handlers))

    def mark(self) -> int:
        """Notes this place; its offset is `Finished.marks` of the number that comes back."""
        self._marks.append(len(self._pieces))
        return len(self._marks) - 1

    def constant(self, data: bytes) -> int:
        """The label of a constant, which is put after the code, aligned to its size."""
        label = self._constants.get(data)
        if label is None:
            label = self._constants[data] = self.label()
        return label

    def finish(self, frame_offset: int | None = None) -> Finished:
        """The bytes, all labels resolved."""
        for data, label in sorted(self._constants.items(), key=lambda one: -len(one[0])):
            self.align(min(len(data), 16))
            self.bind(label)
            self.put(data)
        pieces, labels = self._pieces, self._labels
        led = [(number, piece) for number, piece in enumerate(pieces) if isinstance(piece, _Led)]
        forms = [0] * len(led)
        sizes = [piece.reach.lengths[0] if isinstance(piece, _Led) else len(piece) for piece in pieces]
        offsets = self._offsets(sizes)
        for turn in range(1 << 30):
            grown = False
            for index, (number, piece) in enumerate(led):
                reach, form = piece.reach, forms[index]
                distance = offsets[labels[piece.label]] - offsets[number]
                last = len(reach.lengths) - 1
                if form == last or reach.fits(form, distance):
                    continue
                form = last if turn >= _PASSES else form + 1
                while form < last and not reach.fits(form, distance):
                    form += 1
                forms[index], sizes[number], grown = form, reach.lengths[form], True
            if not grown:
                break
            offsets = self._offsets(sizes)
        made: list[bytes] = [b"" if isinstance(piece, _Led) else piece for piece in pieces]
        for (number, piece), form in zip(led, forms):
            made[number] = piece.reach.encode(form, offsets[labels[piece.label]] - offsets[number])
        for number in self._alignments:
            made[number] = bytes(sizes[number])
        where = [offsets[label] if label >= 0 else -1 for label in labels]
        return Finished(
            b"".join(made),
            tuple((offsets[piece], code) for piece, code in self._traps),
            tuple(
                Relocation(offsets[piece] + within, kind, name, addend)
                for piece, within, kind, name, addend in self._relocations
            ),
            tuple(CallSite(offsets[piece], frame_offset, _placed(handlers, where)) for piece, handlers in self._calls),
            where,
            [offsets[piece] for piece in self._marks],
        )

    def _offsets(self, sizes: list[int]) -> list[int]:
        """The offset of each piece, and of the end; sets the sizes of alignments."""
        if not self._alignments:
            return [0, *accumulate(sizes)]
        offsets, at = [], 0
        for number, size in enumerate(sizes):
            offsets.append(at)
            unit = self._alignments.get(number)
            if unit is not None:
                size = sizes[number] = -at % unit
            at += size
        return [*offsets, at]


def _placed(handlers: tuple[tuple[object, ...], ...], where: list[int]) -> tuple[tuple[object, ...], ...]:
    """Handlers with offsets for labels."""
    return tuple((*one[:-1], where[one[-1]]) if isinstance(one[-1], int) and one[0] != "context" else one
                 for one in handlers)  # fmt: skip
