"""Our meanings against the host's CPU, where one instruction (or a few) does what an opcode says.

NaNs are compared as NaNs: x86 gives the operand's payload or its negative default NaN, ours is canonical.
"""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from support import host_cpu
from support import semantics as support

from liftcheck.bits.floats import FORMATS, is_nan
from liftcheck.clif.types import TYPES, Type

pytestmark = pytest.mark.skipif(not host_cpu.available(), reason="NOT CHECKED: the host is not x86-64 Linux")
DRAWS = 60


@cache
def machine() -> tuple[host_cpu.Insn, list[host_cpu.Row], list[host_cpu.Row]]:
    """The machine, the rows it can run, the rows whose features the CPU lacks."""
    rows = host_cpu.rows()
    able = [row for row in rows if row.needs <= host_cpu.features()]
    return host_cpu.Insn(able), able, [row for row in rows if row not in able]


def typing_of(row: host_cpu.Row) -> support.Typing:
    args, results = (tuple(TYPES[name] for name in names.split()) for names in (row.args, row.results))
    return support.Typing(row.op, results[0], args, results)


def comparable(value: int, ty: Type) -> tuple[int | str, ...]:
    """The lanes, with every NaN alike."""
    lanes = [value >> ty.lane_bits * i & ty.lane_mask for i in range(ty.lanes)]
    if not ty.is_float:
        return tuple(lanes)
    return tuple("nan" if is_nan(FORMATS[ty.lane_bits], lane) else lane for lane in lanes)


def compare(row: host_cpu.Row, operands: tuple[int, ...]) -> str:
    """What differs, or ''. Where the meaning traps there is nothing to compare."""
    typing = typing_of(row)
    ours = support.by_closure(typing.meaning(row.imm), operands)
    if isinstance(ours, str) or (row.op == "srem" and isinstance(by_division(typing, operands), str)):
        return ""  # idiv raises an exception for the smallest number and -1, whatever is wanted of it
    theirs = machine()[0].run(row, operands)
    for ty, mine, other in zip(typing.results, ours, theirs):
        if comparable(mine, ty) != comparable(other & ty.mask, ty):
            return f"{row} on {[hex(x) for x in operands]}: ours {mine:#x}, the CPU's {other & ty.mask:#x}"
    return ""


def by_division(typing: support.Typing, operands: tuple[int, ...]) -> support.Result:
    return support.by_closure(typing._replace(op="sdiv").meaning(None), operands)


def test_meanings_agree_with_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    _, able, unable = machine()
    for row in able:
        random = Random(str(row))
        kinds = typing_of(row).args
        for _ in range(DRAWS):
            assert not compare(row, tuple(support.operand(t, random) for t in kinds))
    ops = {row.op for row in able}
    with capsys.disabled():
        print(f"\n{len(able)} rows of {len(ops)} opcodes agree with the CPU; its features lack for {len(unable)}")
    assert len(able) > 250


def test_a_wrong_snippet_is_noticed() -> None:
    """The code of one row is run for another's meaning."""
    host, able, _ = machine()
    row, other = (next(r for r in able if (r.op, r.args) == (op, "i32 i32")) for op in ("iadd", "isub"))
    host.swap(row, other)
    try:
        assert "iadd" in compare(row, (5, 3))
    finally:
        host.swap(row, other)
    assert not compare(row, (5, 3))
