"""What is handed over on the stack, in parts or at odd places: arguments of calls, results, the function's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.validation_planting import flips, one, placed, put, refuted

from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import CALL, Insn, decode
from liftcheck.oracles.regalloc.code import handed
from liftcheck.oracles.regalloc.code.handed import HANDED
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.regalloc.allocation import Captured

MANY = ", ".join(["i64"] * 12)
VALUES = ", ".join(f"v{n}: i64" for n in range(12))
STACKED = f"""\
function %stacked({MANY}) -> i64 system_v {{
    sig0 = ({MANY}) -> {MANY} tail
    sig1 = ({MANY}) -> i64 system_v
    fn0 = colocated %g sig0
    fn1 = colocated %h sig1
block0({VALUES}):
    v20 = call fn1(v11, v10, v9, v8, v7, v6, v5, v4, v3, v2, v1, v0)
    {", ".join(f"v{n}" for n in range(30, 42))} = call fn0(v20, v11, v10, v9, v8, v7, v6, v5, v4, v3, v2, v1)
    v50 = iadd v40, v41
    v51 = isub v50, v39
    v52 = bxor v51, v38
    v53 = isub v52, v37
    return v53
}}
"""


def _changed(isa: str, captured: Captured, steps: list[Placed]) -> Iterator[tuple[Placed, bytes]]:
    """Accesses of the stack that are narrower, or off by less than a word."""
    pointers = reserved(isa).readable
    for at, machine in steps:
        if len(machine.accesses) != 1 or machine.accesses[0].base not in pointers or machine.accesses[0].size != 8:
            continue
        for data in flips(captured.code.code[at : at + machine.size]):
            other: Insn = decode(isa, data + bytes(16), 0, 1)[0]
            alike = other.known and other.size == machine.size and len(other.accesses) == 1
            if alike and (other.reads, other.writes) == (machine.reads, machine.writes):
                a, b = machine.accesses[0], other.accesses[0]
                if b.size < 8 or (b.displacement - a.displacement) % 8:
                    yield Placed(at, machine), data


@pytest.mark.parametrize("isa", ISAS)
def test_accesses_in_parts_or_at_odd_places_are_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, STACKED)
    passed, rules = set(), set()
    for i, what in enumerate(captured.allocation.instructions):
        if what.is_return:
            continue
        own = placed(isa, captured, i)
        at_call = next((n for n, (_, machine) in enumerate(own) if machine.flow == CALL), -1)
        for (at, machine), data in _changed(isa, captured, own[at_call + 1 :]):
            rule = refuted(isa, put(isa, captured, at, data, machine.size), source)
            rules.add(rule)
            if not rule:
                passed.add((machine.text, decode(isa, data)[0].text))
    assert not passed
    assert HANDED in rules


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ((8, 8), True), ((8, 8, 8, 8, 8), True), ((8,) * 6, False), ((4, 8), True), ((4, 4, 8), False), ((1,), False),
        ((16, 8), True), ((2, 4), False),
    ],
)  # fmt: skip
def test_no_more_of_a_size_than_there_are_values(sizes: tuple[int, ...], fits: bool) -> None:
    text = "function %f(i64, i32, i128) {\nblock0(v0: i64, v1: i32, v2: i128):\n    return\n}\n"
    signature = parse_filetest(text, "t").module().functions[0].signature
    step = Placed(0, decode("x86-64", bytes.fromhex("90"))[0])
    rows = [handed._Access(8 * n, size, step, 1) for n, size in enumerate(sizes)]
    assert handed._fits(rows, signature, False) == fits
