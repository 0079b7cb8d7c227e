"""What the rows say an instruction reads and writes is what the reader says that validation stands upon."""

from __future__ import annotations

import re
from random import Random

import pytest

from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import MEMORY, decode
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.table import Lifted, reads
from liftcheck.oracles.rows.instances import drawn

ALREADY = {
    # Their tail is agnostic; the reader takes it for
    # merged, since Cranelift gives such instructions an old value.
    "riscv64": r"vmv\.s\.x|vfmv\.s\.f|vf?slide1up\.v.|vf?w?red.*"
}
"""Of which rows reading is known to be said in another way."""


def flow(one: Bench, lifted: Lifted) -> tuple[set[int], set[int], tuple[bool, bool]]:
    """Registers read and written, whether memory is."""
    effects = lifted.effects
    assert effects is not None
    read = {place for place in reads(effects, one.table.registers) if isinstance(place, int)}
    written = {place for place in effects.writes if isinstance(place, int)}
    return read, written, (bool(effects.loads), bool(effects.stores))


@pytest.mark.parametrize("isa", sorted(ALREADY))
def test_dataflow_is_the_readers(isa: str) -> None:
    draw, differ, compared = Random(1), [], 0
    for one in isa_named(isa).part(isa_named(isa).bench)():
        contexts = [context for context, _ in one.contexts if _usual(context)]
        for row in one.rows():
            for _ in range(12 if row.base is None else 0):
                decoded = drawn(one, row, draw)
                lifted = decoded and one.table.lift(decoded, draw.choice(contexts))
                if decoded is None or lifted is None or lifted.effects is None:
                    continue
                known = decode(isa, decoded.data)[0]
                if not known.known or "zero" in decoded.text:
                    continue  # what is lost, or a constant, has its operands in the reader's lists
                compared += 1
                memory = MEMORY in known.reads, MEMORY in known.writes
                said = {p for p in known.reads if p >= 0}, {p for p in known.writes if p >= 0}, memory
                for what, ours, theirs in zip(("reads", "writes", "memory"), flow(one, lifted), said):
                    if ours != theirs and not (what == "reads" and re.fullmatch(ALREADY[isa], row.name)):
                        differ.append((decoded.text, what, ours, theirs))
    assert compared > 2000
    assert differ == []


def _usual(context: object) -> bool:
    """All elements; the tail is agnostic, what a mask leaves out is not: the reader takes that for merged."""
    return getattr(context, "vl", -1) in (-1, getattr(context, "lanes", -1)) and getattr(context, "vtype", -1) in (
        -1, *(0x40 | width << 3 for width in range(4)),
    )  # fmt: skip
