"""riscv64's table: the rows of all chapters."""

from __future__ import annotations

from functools import cache

from liftcheck.isa.riscv64 import ISA
from liftcheck.isa.riscv64.insts import (
    atomic,
    bits,
    compressed,
    floats,
    integer,
    vconfig,
    vfloat,
    vinteger,
    vmemory,
    vpermute,
)
from liftcheck.isa.riscv64.insts.common import REGISTERS
from liftcheck.mach.rows.encoding import decoder_of
from liftcheck.mach.rows.table import Table


@cache
def table() -> Table:
    """All rows; of two that fit the same bytes, the one with more bits fixed counts."""
    rows = (
        *integer.ROWS, *floats.ROWS, *atomic.ROWS, *bits.ROWS, *compressed.ROWS, *vconfig.configuring(), *vmemory.ROWS,
        *vinteger.ROWS, *vfloat.ROWS, *vpermute.ROWS,
    )  # fmt: skip
    return Table(rows, decoder_of([row.encoding for row in rows]), REGISTERS, 4, ISA.sizes)
