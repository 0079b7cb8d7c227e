"""s390x's table: the rows of all chapters."""

from __future__ import annotations

from functools import cache

from liftcheck.isa.s390x import ISA
from liftcheck.isa.s390x.insts import control, fields, floats, integer, memory, vector, vector_floats, vector_moves
from liftcheck.isa.s390x.insts.common import REGISTERS
from liftcheck.mach.rows.encoding import decoder_of
from liftcheck.mach.rows.table import Table


@cache
def table() -> Table:
    """All rows; of two that fit the same bytes, the one with more bits fixed counts, of equal ones the first."""
    rows = (
        *integer.ROWS,
        *fields.ROWS,
        *memory.ROWS,
        *floats.ROWS,
        *vector_moves.ROWS,
        *vector.ROWS,
        *vector_floats.ROWS,
        *control.ROWS,
    )
    return Table(rows, decoder_of([row.encoding for row in rows]), REGISTERS, 6, ISA.sizes)
