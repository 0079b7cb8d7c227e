"""What is handed over on the stack, in parts or at odd places: arguments of calls, results, the function's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from support.validation_planting import called, flips, from_corpus, one, placed, put, refuted

from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import CALL, MEMORY, Insn, decode
from liftcheck.oracles.regalloc.code import handed
from liftcheck.oracles.regalloc.code.handed import HANDED
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.regalloc.allocation import Captured

STRAY = "a pointer to nothing in the program"
KEPT = """\
function %kept(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64 tail
    sig1 = (i64) -> i64 tail
    fn0 = colocated %g sig0
    fn1 = colocated %h sig1
block0(v0: i64, v1: i64):
    v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 = call fn0(v0)
    v20 = call fn1(v0)
    v21 = iadd v20, v13
    v22 = isub v21, v14
    v23 = bxor v22, v15
    return v23
}
"""
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


PACKED = "i16 uext, i8, i8 sext, i16 uext, i32"
"""After eight that are in registers."""


@pytest.mark.parametrize(
    ("convention", "stored", "rows", "right"),
    [
        ("apple_aarch64", False, "0:8 2:1 3:8 4:8 8:4", True),
        ("apple_aarch64", False, "0:2 2:1 3:1 4:2 8:4", True),  # in later versions
        ("apple_aarch64", False, "0:8 2:1 3:1 4:1 8:4", False),  # these two have an extension
        ("apple_aarch64", False, "0:8 2:8 3:8 4:8 8:4", False),  # the second has none
        ("apple_aarch64", False, "0:8 2:1 3:8 4:8 8:8", False),
        ("apple_aarch64", False, "2:1 8:4", True),
        ("apple_aarch64", False, "2:1 2:1", False),
        ("apple_aarch64", False, "1:1", False),
        ("apple_aarch64", True, "0:8 2:1 3:8 4:8 8:4", True),
        ("apple_aarch64", True, "2:1 0:8 3:8 4:8 8:4", False),  # stored over
        ("apple_aarch64", True, "3:8 0:8", False),
        ("system_v", False, "0:2 8:1 16:1 24:2 32:4", True),
        ("system_v", False, "0:2 8:1 16:1 24:4 32:4", False),
        ("tail", True, "0:8 8:8 16:2 24:1 32:1 40:2 48:4", True),  # eight, six registers
        ("tail", True, "0:8 8:8 16:2 24:1 32:1 40:2", False),
    ],
)
def test_values_lie_where_a_convention_has_them(convention: str, stored: bool, rows: str, right: bool) -> None:
    types = ", ".join(["i64"] * 8) + ", " + PACKED
    body = ", ".join(f"v{n}: {ty.split()[0]}" for n, ty in enumerate(types.split(", ")))
    text = f"function %f({types}) {convention} {{\nblock0({body}):\n    return\n}}\n"
    signature = parse_filetest(text, "t").module().functions[0].signature
    step = decode("aarch64", bytes.fromhex("1f2003d5"))[0]
    found = [
        handed._Access(int(low), int(size), Placed(4 * n, step), 1)
        for n, (low, size) in enumerate(row.split(":") for row in rows.split())
    ]
    assert (not list(handed._judged("aarch64", found, [signature], stored))) == right


MIXED_TYPES = ", ".join(["i64"] * 9 + ["i8", "i64", "i32", "i64", "i16"])
MIXED = f"""\
function %mixed({MIXED_TYPES}) -> i64 CONVENTION {{
    sig0 = ({MIXED_TYPES}) -> {MIXED_TYPES} CONVENTION
    fn0 = colocated %g sig0
block0({", ".join(f"v{n}: {ty}" for n, ty in enumerate(MIXED_TYPES.split(", ")))}):
    {", ".join(f"v{n}" for n in range(20, 34))} = call fn0(v1, v2, v3, v4, v5, v6, v7, v8, v0, v9, v10, v11, v12, v13)
    v40 = uextend.i64 v29
    v41 = uextend.i64 v31
    v42 = uextend.i64 v33
    v43 = iadd v40, v41
    v44 = iadd v42, v43
    v45 = bxor v30, v32
    v46 = isub v44, v45
    v47 = iadd v46, v12
    return v47
}}
"""


@pytest.mark.parametrize("convention", ["system_v", "tail", "fast"])
@pytest.mark.parametrize("isa", ISAS)
def test_no_value_is_accessed_as_another_one_that_is_handed_over(
    regalloc: Cranelift, isa: str, convention: str
) -> None:
    """Narrower, wider, or at the place of another: though the signature has values of all sizes."""
    captured, source = one(regalloc, isa, MIXED.replace("CONVENTION", convention))
    pointers, tried, passed = reserved(isa).readable, 0, set()
    for i, what in enumerate(captured.allocation.instructions):
        for at, machine in placed(isa, captured, i) if not what.is_return else ():
            if len(machine.accesses) != 1 or machine.accesses[0].base not in pointers:
                continue
            for data in islice(flips(captured.code.code[at : at + machine.size]), 8 * machine.size):
                other: Insn = decode(isa, data + bytes(16), 0, 1)[0]
                alike = other.known and other.size == machine.size and len(other.accesses) == 1
                if not alike or (other.reads, other.writes) != (machine.reads, machine.writes):
                    continue
                if other.accesses != machine.accesses:
                    tried += 1
                    rule = refuted(isa, put(isa, captured, at, data, machine.size), source)
                    passed |= {(machine.text, other.text)} if not rule else set()
    assert tried
    assert not passed


@pytest.mark.parametrize("function", ["%gets", "%passes"])
def test_a_narrow_argument_that_is_accessed_as_a_word_is_refuted(regalloc: Cranelift, function: str) -> None:
    captured, source = from_corpus(regalloc, "extended-arguments.clif", "aarch64", function)
    found, passed = 0, set()
    for i in range(len(captured.allocation.instructions)):
        for at, machine in placed("aarch64", captured, i):
            if len(machine.accesses) != 1 or machine.accesses[0].size != 1:
                continue  # behind the i32 there is nothing
            word = bytearray(captured.code.code[at : at + 4])
            word[3] |= 0xC0  # the size
            other = decode("aarch64", bytes(word))[0]
            if other.known and machine.accesses[0].base == reserved("aarch64").sp and other.accesses[0].size == 8:
                found += 1
                rule = refuted("aarch64", put("aarch64", captured, at, bytes(word), 4), source)
                passed |= {(machine.text, other.text)} if rule != HANDED else set()
    assert found and not passed


@pytest.mark.parametrize("isa", ISAS)
def test_a_result_that_is_stored_where_it_should_be_loaded_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, KEPT)
    found, passed = 0, set()
    for i in called(isa, captured):
        own = placed(isa, captured, i)
        at_call = next(n for n, (_, machine) in enumerate(own) if machine.flow == CALL)
        for at, machine in own[at_call + 1 :]:
            for data in flips(captured.code.code[at : at + machine.size]) if MEMORY in machine.reads else ():
                other: Insn = decode(isa, data + bytes(16), 0, 1)[0]
                if other.known and other.size == machine.size and MEMORY in other.writes:
                    found += 1
                    if not refuted(isa, put(isa, captured, at, data, machine.size), source):
                        passed.add((machine.text, other.text))
    assert found and not passed


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("asked", ["get_frame_pointer", "get_stack_pointer"])
def test_a_pointer_that_the_program_does_not_ask_for_is_refuted(regalloc: Cranelift, isa: str, asked: str) -> None:
    text = f"""\
function %pointing(i64) -> i64 system_v {{
    ss0 = explicit_slot 16
    sig0 = (i64, i64) -> i64 system_v
    fn0 = %g sig0
block0(v0: i64):
    v1 = {asked}.i64
    v2 = stack_addr.i64 ss0
    v3 = call fn0(v1, v2)
    return v3
}}
"""
    captured, source = one(regalloc, isa, text, ("preserve_frame_pointers", "true"))
    other = replace(source, asked=frozenset(), returning=False)
    slot = isa == "s390x" or asked == "get_stack_pointer"
    assert refuted(isa, captured, other) in ({"", STRAY} if slot else {STRAY})
