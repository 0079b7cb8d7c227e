"""aarch64's table: the rows of all chapters."""

from __future__ import annotations

from functools import cache

from liftcheck.isa.aarch64 import ISA
from liftcheck.isa.aarch64.insts import control, floats, integer, memory, vector, vector_moves, vector_widths
from liftcheck.isa.aarch64.insts.common import REGISTERS
from liftcheck.mach.rows.encoding import decoder_of
from liftcheck.mach.rows.table import Table


@cache
def table() -> Table:
    """All rows; of two that fit the same bytes, the one with more bits fixed counts, of equal ones the first."""
    rows = (
        *integer.ROWS,
        *memory.ROWS,
        *floats.ROWS,
        *vector.ROWS,
        *vector_widths.ROWS,
        *vector_moves.ROWS,
        *control.ROWS,
    )
    return Table(rows, decoder_of([row.encoding for row in rows]), REGISTERS, 4, ISA.sizes)
