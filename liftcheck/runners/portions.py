"""How jobs are divided among several runs where the areas for rows and trampolines do not hold them all.

The one idea: plain arithmetic on sizes, in order; a job whose rows do not fit together is cut between its inputs, and
one of which not even a row fits is left out. Nearly always there is one portion. It knows nothing of what is in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from liftcheck import layout

END: Final = 64
"""Bytes of zero after the last row."""
ROOM: Final = layout.ROWS_SIZE - END


class Need(NamedTuple):
    """What a job needs: so many rows of `size` bytes, and a trampoline of `code` bytes."""

    size: int
    rows: int
    code: int


class Piece(NamedTuple):
    """Rows of one job, from its input `first` on."""

    job: int
    first: int
    rows: int


def fit(rows: int, code: int) -> bool:
    """Whether one portion holds rows and trampolines of so many bytes."""
    return rows <= ROOM and code <= layout.TRAMPOLINES_SIZE


def portions(needs: Sequence[Need]) -> list[list[Piece]]:
    """Pieces that fit together, in order."""
    found: list[list[Piece]] = []
    room = code = 0
    for job, need in enumerate(needs):
        first = 0
        while first < need.rows and need.size <= ROOM and need.code <= layout.TRAMPOLINES_SIZE:
            if not found or room < need.size or code < need.code:
                found.append([])
                room, code = ROOM, layout.TRAMPOLINES_SIZE
            rows = min(need.rows - first, room // need.size)
            found[-1].append(Piece(job, first, rows))
            first, room, code = first + rows, room - rows * need.size, code - need.code
    return found
