"""Every ISA's table of rows: bytes to operands to bytes, bytes to text to bytes, and what must hold of each row."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from support.examples import many

from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Decoded
from liftcheck.oracles.rows.instances import drawn

WITH_ROWS = [isa for isa in ISAS if isa_named(isa).rows]


def bench(isa: str) -> Bench:
    benches: tuple[Bench, ...] = isa_named(isa).part(isa_named(isa).bench)()
    return benches[0]


def some(one: Bench, row: Row, count: int) -> Iterator[Decoded]:
    draw = Random(row.syntax.shape)
    for _ in range(20 * count):
        decoded = drawn(one, row, draw)
        if decoded is not None:
            count -= 1
            yield decoded
        if not count:
            return


def the_same(one: Bench, read: Decoded, decoded: Decoded) -> bool:
    """Where an ISA has two encodings for one text, the assembler may choose the other; both must do the same."""
    if read.data == decoded.data:
        return True
    effects = [one.table.lift(x).effects for x in (read, decoded)]
    return effects[0] == effects[1] if effects[0] else read.text == decoded.text


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_bytes_and_text_come_back(isa: str) -> None:
    one = bench(isa)
    lost = []
    for row in one.table.rows:
        if row.base is not None:
            continue
        found = list(some(one, row, max(4, many(8))))
        assert found, f"{row.syntax.shape}: no instruction of it is decoded as it"
        for decoded in found:
            again = one.table.encode(decoded.row, decoded.values)
            read = one.table.assemble(decoded.text)
            if again.data != decoded.data or not the_same(one, read, decoded):
                lost.append((decoded.data.hex(), decoded.text, again.data.hex(), read.data.hex()))
    assert lost == []


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_each_row_says_where_the_manual_has_it(isa: str) -> None:
    assert [row.syntax.shape for row in bench(isa).table.rows if not row.section] == []


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_every_row_that_is_not_executed_says_why(isa: str) -> None:
    """What has no meaning cannot be executed; all others are."""
    assert [row.syntax.shape for row in bench(isa).table.rows if row.meaning is None and not row.untested] == []
