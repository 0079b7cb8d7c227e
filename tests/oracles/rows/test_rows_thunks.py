"""s390x's thunks do what the rows of the instructions say that they replace, on states, in qemu-user."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from random import Random

import pytest
from support.examples import many, some
from support.wrong_rows import processes_of

from liftcheck.isa.s390x.insts.bench import with_stack
from liftcheck.isa.s390x.insts.common import LACKING
from liftcheck.isa.s390x.thunk_code import Thunk
from liftcheck.isa.s390x.thunks import thunk_for
from liftcheck.mach.rows.bench import CODE, Bench, Program
from liftcheck.mach.rows.row import Row
from liftcheck.oracles.rows.compare import judge
from liftcheck.oracles.rows.executors import Executor
from liftcheck.oracles.rows.instances import drawn

OTHER_CODE = r"cl?[fg][edx]bra?"
"""Conversions whose thunks leave another condition code (`thunks` says so)."""
Find = Callable[[bytes], Thunk | None]


@cache
def bench() -> Bench:
    """Rows that no executor has are executed here, too."""
    usual = with_stack()
    table = usual.table.changed(lambda row: replace(row, untested="") if row.untested == LACKING else row)
    return replace(usual, table=table)


@dataclass
class Replacing:
    """Runs a program in which every instruction that has a thunk is a jump to it."""

    inner: Executor
    find: Find = thunk_for
    name: str = "thunks"
    replaced: int = 0

    def execute(self, bench: Bench, made: Program, records: bytes) -> bytes | None:
        code = bytearray(made.code)
        for place in made.places:
            self._replace(code, place - CODE)
        return self.inner.execute(bench, replace(made, code=bytes(code)), records)

    def _replace(self, code: bytearray, at: int) -> None:
        thunk = self.find(bytes(code[at : at + 6]))
        if thunk is None:
            return
        self.replaced += 1
        size, end = 4 if code[at] in (0xB9, 0xB3) else 6, len(code)
        code += thunk.finish(CODE + end, CODE + at + size)
        opcode = b"\xa7\xf4" if size == 4 else b"\xc0\xf4"
        code[at : at + size] = opcode + (end - at >> 1).to_bytes(size - 2, "big")


@cache
def replaceable() -> list[Row]:
    """Rows that have thunks."""
    found = []
    for row in bench().rows():
        draw = Random(row.syntax.shape)
        draws = (one for _ in range(60) if (one := drawn(bench(), row, draw)) is not None)
        if any(thunk_for(one.data.ljust(6, b"\0")) is not None for one in islice(draws, 8)):
            found.append(row)
    return found


@pytest.mark.needs_qemu
def test_each_thunk_does_what_its_row_says() -> None:
    (qemu,) = processes_of(bench())
    executor, rows = Replacing(qemu), some(replaceable())
    without = replace(bench(), slots={place: at for place, at in bench().slots.items() if place != "cc"})
    found = judge(bench(), [row for row in rows if not re.fullmatch(OTHER_CODE, row.name)], [executor], many(12))
    found += judge(without, [row for row in rows if re.fullmatch(OTHER_CODE, row.name)], [executor], many(12))
    assert len(replaceable()) > 80
    assert executor.replaced > len(rows)
    assert [str(difference) for judged in found for kept in judged.differences.values() for difference in kept] == []
    assert [judged.row.syntax.shape for judged in found if not judged.compared] == []


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("shape", "other"),
    [
        ("msgrkc g1, g2, g3", "b9ec"), ("agh g1, bdxy", "39"), ("rosbg g1, g2, tested, ui4, ui5", "57"),
        ("vfmaxsb v1, v2, v3, 1", "ee"), ("vpopcth v1, v2", ""),
    ],
)  # fmt: skip
def test_a_wrong_thunk_is_seen(shape: str, other: str) -> None:
    """The thunk of another instruction; none at all but a return."""

    def find(code: bytes) -> Thunk | None:
        if thunk_for(code) is None or not other:
            return None if thunk_for(code) is None else Thunk()
        if len(other) == 4:
            return thunk_for(bytes.fromhex(other) + code[2:3] + bytes((code[3] & 0xEF,)))
        return thunk_for(code[:5] + bytes.fromhex(other))

    (qemu,) = processes_of(bench())
    (row,) = (row for row in replaceable() if row.syntax.shape == shape)
    (judged,) = judge(bench(), [row], [Replacing(qemu, find)], 200)
    assert judged.differing or judged.lacks, shape
