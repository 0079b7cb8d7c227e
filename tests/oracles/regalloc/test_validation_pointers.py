"""Pointers to the frame that own bytes read although their text names none, and what else small edits of a few bits
made of right code: each is tried with every edit of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from support.validation_planting import LOOPS, captured_relocated, flips, one, placed, put, refuted

from liftcheck.case import Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import BRANCH, CALL, RETURN, Insn, decode
from liftcheck.oracles.regalloc.code.calls import Calls
from liftcheck.oracles.regalloc.code.check import PROGRAMS_FAULT
from liftcheck.oracles.regalloc.code.layout import Layout
from liftcheck.oracles.regalloc.source import source_of
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import UNDECIDED, VALID
from liftcheck.regalloc.allocation import ALGORITHMS, Captured

ASKS = """\
function %asks(i64, i64, i64) -> i64 system_v {
    ss0 = explicit_slot 64
    sig0 = (i64, i64) -> i64 system_v
    fn0 = %g sig0
block0(v0: i64, v1: i64, v2: i64):
    v3 = stack_addr.i64 ss0
    store v0, v3+16
    v4 = get_frame_pointer.i64
    v5 = get_stack_pointer.i64
    v6 = get_return_address.i64
    v7 = iadd v4, v5
    v8 = iadd v7, v7
    v9 = iadd v8, v6
    v10 = load.i64 v3+8
    v11 = iadd v9, v10
    v12 = iconst.i64 2
    v13 = ishl v1, v12
    v14 = iadd v2, v13
    store v11, v14+16
    v15 = func_addr.i64 fn0
    v16 = call_indirect sig0, v15(v11, v3)
    v17 = iadd v16, v1
    return v17
}
"""
RETURNS = """\
function %returns(i64, i64, i64, i64, i64, i64, i64, i64, i64, i8, i64, i64) -> i64 tail {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64, v8: i64, v9: i8, v10: i64, v11: i64):
    v12 = get_return_address.i64
    v13 = sextend.i64 v9
    v14 = iadd v12, v13
    v15 = iadd v14, v10
    return v15
}
"""
EXCHANGES = """\
function %exchanges(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = ireduce.i8 v1
    v3 = atomic_rmw.i8 smax v0, v2
    v4 = ireduce.i16 v1
    v5 = atomic_rmw.i16 umin v0, v4
    v6 = uextend.i64 v3
    v7 = uextend.i64 v5
    v8 = iadd v6, v7
    return v8
}
"""
KEEPS = """\
function %keeps(i64, i64) preserve_all {
    fn0 = %g(i64) -> i64 system_v
block0(v0: i64, v1: i64):
    v2 = call fn0(v1)
    store v2, v0
    return
}
"""
FAR = """\
function %far(i64) -> i64 system_v {
    ss0 = explicit_slot 100000
block0(v0: i64):
    v1 = stack_addr.i64 ss0+90000
    store v0, v1+8
    v2 = load.i64 v1+16
    v3 = iadd v1, v2
    return v3
}
"""
BY_POINTER = """\
function %by_pointer(i64) -> i64 system_v {
    sig0 = (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 system_v
    fn0 = %g sig0
block0(v0: i64):
    v1 = get_stack_pointer.i64
    store v0, v1+24
    v2 = call fn0(v0, v0, v0, v0, v0, v0, v0, v0, v0, v0)
    return v2
}
"""
WINCH = f"""\
function %winch({", ".join(["i64"] * 11)}) -> i64 winch {{
    fn0 = colocated %g({", ".join(["i64"] * 11)}) -> i64 winch
block0({", ".join(f"v{n}: i64" for n in range(11))}):
    v20 = call fn0({", ".join(f"v{n}" for n in range(10, -1, -1))})
    v21 = iadd v20, v10
    return v21
}}
"""


def _edits(isa: str, captured: Captured, bits: int) -> Iterator[tuple[int, Insn, Insn, bytes]]:
    """Own bytes with one or two other bits: offset, the instruction, what it becomes, its bytes."""
    for i, what in enumerate(captured.allocation.instructions):
        own = placed(isa, captured, i) if not what.is_return and not captured_relocated(captured, i) else []
        for at, machine in own:
            made = flips(captured.code.code[at : at + machine.size])
            for data in islice(made, 8 * machine.size) if bits == 1 else made:
                other = decode(isa, data + bytes(16), 0, 1)[0]
                if other.known and (other.size, other.flow) == (machine.size, machine.flow):
                    yield at, machine, other, data


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("text", [ASKS, LOOPS])
def test_a_pointer_that_no_text_names_is_not_read(regalloc: Cranelift, isa: str, text: str) -> None:
    """Nor another one, nor by another field: also in a function that asks for its pointers."""
    captured, source = one(regalloc, isa, text, ("preserve_frame_pointers", "true"))
    pointers, tried, passed = reserved(isa).readable, 0, set()
    for at, machine, other, data in _edits(isa, captured, 2 if text == ASKS else 1):
        read, now = machine.reads & pointers, other.reads & pointers
        if now - read or (other.twice - machine.twice) & pointers:
            tried += 1
            if not refuted(isa, put(isa, captured, at, data, machine.size), source):
                passed.add((machine.text, other.text))
    assert not passed
    assert tried or text == LOOPS


@pytest.mark.parametrize("isa", ["x86-64", "aarch64", "riscv64"])
def test_a_copied_pointer_does_not_become_a_constant(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, ASKS, ("preserve_frame_pointers", "true"))
    pointers, passed = reserved(isa).readable, set()
    for at, machine, other, data in _edits(isa, captured, 1):
        lost = machine.reads & pointers - other.reads and not machine.accesses
        if lost and not refuted(isa, put(isa, captured, at, data, machine.size), source):
            passed.add((machine.text, other.text))
    assert not passed


@pytest.mark.parametrize("isa", ["aarch64", "riscv64"])
def test_a_branch_within_own_bytes_leads_round_no_result(regalloc: Cranelift, isa: str) -> None:
    """Not to the jump behind what it leads round, either; and back to the load that a store waits for alone."""
    captured, source = one(regalloc, isa, EXCHANGES)
    tried, passed = 0, set()
    for at, machine, other, data in _edits(isa, captured, 1):
        goal, before = other.target or 0, machine.target or 0
        if machine.flow == BRANCH and (before < 0 or goal < before):
            tried += goal != before
            if goal != before and not refuted(isa, put(isa, captured, at, data, machine.size), source):
                passed.add((machine.text, other.text))
    assert tried and not passed


@pytest.mark.parametrize("isa", [isa for isa in ISAS if reserved(isa).scratch])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_scratch_registers_that_are_saved_are_given_back(regalloc: Cranelift, isa: str, algorithm: str) -> None:
    """A function that keeps all registers: what its exit loads into them is what was in them."""
    captured, source = one(regalloc, isa, KEEPS, ("regalloc_algorithm", algorithm))
    scratch, tried, passed = reserved(isa).scratch, 0, set()
    for what, start, end in zip(
        captured.allocation.instructions, captured.allocation.offsets, captured.allocation.ends, strict=True
    ):
        at = start or 0
        steps = decode(isa, captured.code.code, at, end) if what.is_return else []
        for number, machine in enumerate(steps):
            again = frozenset().union(*(later.writes for later in steps[number + 1 :]))  # by addresses: they are lost
            loads = {place for place in machine.writes & scratch - again if machine.accesses}
            for data in islice(flips(captured.code.code[at : at + machine.size]), 8 * machine.size) if loads else ():
                other = decode(isa, data + bytes(16), 0, 1)[0]
                alike = other.known and other.size == machine.size and other.writes == machine.writes
                if alike and [(a.base, a.size) for a in other.accesses] == [(a.base, a.size) for a in machine.accesses]:
                    tried += 1
                    if not refuted(isa, put(isa, captured, at, data, machine.size), source):
                        passed.add((machine.text, other.text))
            at += machine.size
    assert tried and not passed


@pytest.mark.parametrize("isa", ISAS)
def test_the_text_of_a_far_address_is_read(regalloc: Cranelift, isa: str) -> None:
    """aarch64 prints its instructions with nothing between them."""
    one(regalloc, isa, FAR)


@pytest.mark.parametrize("isa", ISAS)
def test_a_program_that_stores_over_arguments_by_its_pointer_is_not_refuted(regalloc: Cranelift, isa: str) -> None:
    target = Target(isa, (("regalloc_algorithm", ALGORITHMS[0]),))
    reply = regalloc.allocations(BY_POINTER, [target], with_text=True)[0][0]
    assert isinstance(reply, Captured)
    verdict = validate(isa, reply, source_of(parse_filetest(BY_POINTER, "t").module().functions[0]))
    assert (verdict.status, verdict.reason) in ((VALID, ""), (UNDECIDED, PROGRAMS_FAULT))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("text", [RETURNS, RETURNS.replace("tail", "system_v")], ids=["tail", "system_v"])
def test_a_return_address_is_no_argument_on_the_stack(regalloc: Cranelift, isa: str, text: str) -> None:
    """s390x's lies behind the arguments that a `tail` function takes away. One's word in its place is refuted."""
    found, source = one(regalloc, isa, text, ("preserve_frame_pointers", "true"))
    assert source.returning
    silent = replace(source, returning=False)
    assert refuted(isa, found, silent)


@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
def test_winch_callees_take_their_arguments_away_or_all_do_not(regalloc: Cranelift, isa: str) -> None:
    """By the version; a function does not do both."""
    captured, source = one(regalloc, isa, WINCH)
    sp, tried, passed = reserved(isa).sp, 0, set()
    for i, what in enumerate(captured.allocation.instructions):
        own = placed(isa, captured, i)
        for at, machine in own if any(each.flow == CALL for _, each in own) else ():
            if sp in machine.writes and machine.flow != CALL:
                tried += 1
                passed |= set() if refuted(isa, put(isa, captured, at, b"", machine.size), source) else {machine.text}
        for at, machine in own if what.is_return else ():
            for data in islice(flips(captured.code.code[at : at + machine.size]), 8 * machine.size):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                if other.known and other.size == machine.size and machine.flow == other.flow == RETURN:
                    tried += 1
                    passed |= (
                        set() if refuted(isa, put(isa, captured, at, data, machine.size), source) else {other.text}
                    )
    assert not passed
    assert tried or isa == "x86-64"  # up to 0.135 its return has no other bits


def test_a_division_of_another_size_is_refuted(regalloc: Cranelift) -> None:
    text = """\
function %divides(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = udiv v0, v1
    v3 = bnot v2
    return v3
}
"""
    captured, source = one(regalloc, "x86-64", text)
    found = [
        refuted("x86-64", put("x86-64", captured, at, data, machine.size), source)
        for at, machine, other, data in _edits("x86-64", captured, 1)
        if machine.name in ("div", "not") and machine.name == other.name and machine.operands != other.operands
    ]
    assert len(found) >= 4 and all(found)


COPIED = """\
function %copied(i64, i64) -> i64 system_v {
    sig0 = (i64, i128, i128) -> i64 system_v
    fn0 = %g sig0
block0(v0: i64, v1: i64):
    v2 = iconcat v0, v1
    v3 = call fn0(v0, v2, v2)
    v4 = iadd v3, v1
    return v4
}
"""


def test_what_is_saved_does_not_lie_where_an_argument_is_copied_to(regalloc: Cranelift) -> None:
    """s390x passes the address of a copy, which the callee may write."""
    captured, source = one(regalloc, "s390x", COPIED)
    calls = Calls(Layout("s390x", captured.code, captured.allocation), captured.code, source)
    assert calls.callee_area() == 160 + 2 * 16
