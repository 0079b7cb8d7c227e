"""riscv64's instructions by the names that readers of the compiler's texts have (`spelling`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from liftcheck.isa.riscv64.insts.table import table
from liftcheck.isa.riscv64.spelling import name_of
from liftcheck.mach.rows.row import Row

_WHOLE: Final = re.compile(r"vmv[1248]r\.v|vl[1248]re\d+\.v|vs[1248]r\.v")


class Known(NamedTuple):
    """An instruction. accesses: memory; configured: what it does depends on the vector configuration, or it makes one;
    rounds: it has a rounding mode; of_vectors: it is one of a vector extension."""

    row: Row
    accesses: bool
    configured: bool
    rounds: bool
    of_vectors: bool


@cache
def known() -> Mapping[str, Known]:
    """By name; of those that differ in their order alone, the one without."""
    found: dict[str, Known] = {}
    for row in table().rows:
        name = name_of(row)
        if (
            row.base is not None
            or name in found
            or row.encoding.encode(dict.fromkeys(row.encoding.rooms(), 0))[2:] == b""
        ):
            continue
        vectors = any(need.startswith(("v", "zv")) for need in row.needs.split())
        accesses = "(" in row.syntax.parts and name != "jalr"
        rounds = any(operand.name in ("rm", "rmx") for operand in row.operands)
        found[name] = Known(row, accesses, vectors and _WHOLE.fullmatch(name) is None, rounds, vectors)
    return found
