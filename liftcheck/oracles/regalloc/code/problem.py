"""One thing that is wrong with a function's bytes, as data."""

from __future__ import annotations

from typing import NamedTuple

from liftcheck.oracles.regalloc.code.layout import Placed


class Problem(NamedTuple):
    """rule: without numbers, for counting. instruction: -1 for the prologue. offset: into the code. place: the register
    or slot that it is about, or NONE. code: the machine instructions that are at fault."""

    rule: str
    instruction: int
    offset: int
    place: int
    expected: str
    found: str
    code: tuple[Placed, ...] = ()
