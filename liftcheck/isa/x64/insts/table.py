"""x86-64's table: the rows of all chapters."""

from __future__ import annotations

from functools import cache

from liftcheck.isa.x64.insts import avx512, control, floats, integer, moves, shifts, vectors
from liftcheck.isa.x64.insts.common import REGISTERS
from liftcheck.isa.x64.insts.encoding import Opcode, decoder
from liftcheck.mach.rows.table import Table


@cache
def table() -> Table:
    """All rows; of two that fit the same bytes, the one with more bits fixed counts."""
    rows = (*integer.ROWS, *shifts.ROWS, *control.ROWS, *moves.ROWS, *floats.ROWS, *vectors.ROWS, *avx512.ROWS)
    return Table(rows, decoder([row.encoding for row in rows if isinstance(row.encoding, Opcode)]), REGISTERS, 15)
