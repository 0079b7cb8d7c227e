"""In which order own bytes read and write, what they may address, trap at and be linked with: each kind of wrong bytes,
planted on each ISA that has it, is refuted.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.validation_code_faults import NOPS
from support.validation_planting import (
    CALLS,
    LOOPS,
    TAIL,
    called,
    flips,
    late_definitions,
    one,
    placed,
    plain,
    put,
    refuted,
)

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import abi_named, reserved
from liftcheck.mach.insn import BRANCH, JUMP, PC, Insn, decode
from liftcheck.mach.regs import SLOT
from liftcheck.oracles.regalloc.code import order
from liftcheck.oracles.regalloc.code.accesses import IDLE
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.links import OTHER_FORM
from liftcheck.regalloc.allocation import USE

TRAPS = {"x86-64": "0f0b", "aarch64": "00000000", "riscv64": "0000", "s390x": "0000"}
BRANCHES = {"x86-64": ("74{:02x}", 2), "aarch64": ("{:02x}000054", 4), "riscv64": ("63{:02x}0500", 4),
            "s390x": ("a784{:04x}", 4)}  # fmt: skip
"""A conditional branch, by what its distance is written as."""
MEMORY = """\
function %memory(i64, i64, f64) -> i64, f64 system_v {
    ss0 = explicit_slot 64
    sig0 = (i64) -> i64 system_v
    fn0 = %g sig0
block0(v0: i64, v1: i64, v2: f64):
    v30 = ireduce.i32 v0
    v3 = stack_addr.i64 ss0
    store v1, v3+8
    store v0, v1+16
    store v1, v1+24
    v4 = load.i64 v0+8
    v5 = f64const 0x1.5555p3
    v6 = fadd v2, v5
    v7 = func_addr.i64 fn0
    v8 = iadd v4, v7
    v9 = call fn0(v8)
    v10 = atomic_rmw.i16 nand v1, v30_16
    v11 = uextend.i64 v10
    v12 = iadd v9, v11
    v13 = load.i64 v3+8
    v14 = iadd v12, v13
    v15 = iadd v14, v3
    br_table v30, block1(v15), [block2, block3, block1(v14)]
block1(v20: i64):
    return v20, v6
block2:
    return v4, v2
block3:
    v21 = ishl v15, v0
    return v21, v2
}
""".replace("v10 = atomic", "v31 = ireduce.i16 v30\n    v10 = atomic").replace("v30_16", "v31")


def made(*codes: str) -> list[Placed]:
    """riscv64's instructions, one after the other."""
    offset, steps = 0, []
    for code in codes:
        machine = decode("riscv64", bytes.fromhex(code))[0]
        steps.append(Placed(offset, machine))
        offset += machine.size
    return steps


def graph(*codes: str) -> order.Graph:
    return order.graph(made(*codes), lambda offset: offset == 64)


# Graphs.


def test_a_temporary_may_lie_over_an_input() -> None:
    table = graph("13151502", "b385a500")  # slli a0, a0, 33; add a1, a1, a0
    assert order.overwritten(table, {10}, {11}) is None
    seen = order.overwritten(table, {10}, {10, 11})
    assert seen is not None and seen[0].offset == 4


def test_ways_round_a_write_are_told_apart() -> None:
    goes_round = graph("63040500", "13851500", "13000000")  # beqz a0, 8; addi a0, a1, 1; nop
    assert order.survives(goes_round, 10) and order.overwritten(goes_round, {10}) is None
    reads_both = graph("63040500", "13851500", "93060500")  # …; mv a3, a0
    seen = order.overwritten(reads_both, {10})
    assert seen is not None and (seen[0].offset, seen[1]) == (8, 10)
    loop = graph("93060500", "1305f5ff", "e31cb5fe")  # mv a3, a0; addi a0, a0, -1; bne a0, a1, -8
    assert order.overwritten(loop, {10}) is not None and not order.survives(loop, 10)


@pytest.mark.parametrize(
    ("codes", "read"),
    [
        (("13151502", "13551502"), None),  # slli a0, a0, 33; srli a0, a0, 33
        (("13151502", "3305a500"), 4),  # …; add a0, a0, a0
        (("13151502", "3305b500"), None),  # …; add a0, a0, a1
        (("13151502", "93061500"), 4),  # …; addi a3, a0, 1
        (("13151502", "93061500", "13151502"), 4),  # …; slli a0, a0, 33
        (("93060500", "13850500"), None),  # mv a3, a0; mv a0, a1
    ],
)
def test_a_register_is_changed_in_place_by_one_input(codes: Sequence[str], read: int | None) -> None:
    seen = order.overwritten(graph(*codes), {10}, {10})
    assert (None if seen is None else seen[0].offset) == read


@pytest.mark.parametrize(
    ("codes", "behind", "at"),
    [
        (("13851500",), {10}, None),  # addi a0, a1, 1
        (("13851500", "13000000"), {10}, 4),  # …; nop
        (("13851500", "0f00f00f"), {10}, None),  # …; fence
        (("13851500",), {11}, 0),
        (("13851500", "13850500"), {10}, 0),  # …; mv a0, a1
        (("03b00500", "13850500"), {10}, 0),  # ld x0, 0(a1)
        (("63840500", "13851500", "13850500"), {10}, 4),  # beqz a1, 8; addi a0, a1, 1; mv a0, a1
        (("2fa60518", "63140600"), {10}, None),  # sc.w a2, zero, (a1); bnez a2, 8
        (("2fa60518", "63140500"), {10, 12}, 0),  # …; bnez a0, 8
    ],
)
def test_what_nothing_reads_is_idle(codes: Sequence[str], behind: set[int], at: int | None) -> None:
    found = order.idle(graph(*codes), behind, set(), lambda offset, size: False, abi_named("riscv64"))
    assert (None if found is None else found[0].offset) == at


@pytest.mark.parametrize(
    ("codes", "given", "wanted", "found"),
    [
        (("13851500",), {11}, {10}, None),
        (("63840500", "13851500"), {11}, {10}, (2, 10)),  # beqz a1, 8 round it
        (("63800504", "13851500"), {11}, {10}, None),  # beqz a1, 64: a trap
        (("63840500", "93061500", "13851600"), {10, 11}, {10}, (2, 13)),  # …; addi a3, a0, 1; addi a0, a3, 1
        (("63840500", "13061500", "13051600"), {10, 11}, {10}, (2, 12)),
    ],
)
def test_what_is_read_is_written_on_every_way(
    codes: Sequence[str], given: set[int], wanted: set[int], found: tuple[int, int] | None
) -> None:
    assert order.unwritten(graph(*codes), given, wanted - given) == found


def test_an_end_that_no_way_leads_to() -> None:
    assert order.stuck(graph("13851500", "0000")) and not order.stuck(graph("13851500", "13000000"))


# Positions.


@pytest.mark.parametrize("isa", ["x86-64", "aarch64", "riscv64"])
def test_a_lacking_early_definition_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """The allocator put a result over an input, as it may if the description calls the definition a late one."""
    found = {reason for text in (LOOPS, MEMORY) for reason in late_definitions(regalloc, isa, text)}
    own = {"a use's register is not read", "a use is read after a write to its register", IDLE}
    assert found & own if isa != "aarch64" else found - {""}


# Addresses.


@pytest.mark.parametrize("isa", ISAS)
def test_an_address_with_another_base_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, MEMORY)
    found, kinds = 0, set()
    for i, what in enumerate(captured.allocation.instructions):
        own = placed(isa, captured, i)
        for at, machine in own if i and not what.is_return and len(own) == 1 and own[0].machine.accesses else ():
            before = {(access.base, access.scaled) for access in machine.accesses}
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                if (other.known, other.name, other.size) != (True, machine.name, machine.size) or not other.accesses:
                    continue
                if other.reads != machine.reads and {(a.base, a.scaled) for a in other.accesses} != before:
                    rule = refuted(isa, put(isa, captured, at, data, machine.size), source)
                    assert rule, (machine.text, other.text)
                    found, kinds = found + 1, kinds | {rule}
    assert found > 20


@pytest.mark.parametrize("isa", ISAS)
def test_the_stack_pointer_is_no_number(regalloc: Cranelift, isa: str) -> None:
    """A register of arithmetic becomes the stack pointer; a distance of a stack slot's address leads out of it."""
    captured, source = one(regalloc, isa, MEMORY)
    sp, found = reserved(isa).sp, 0
    for i in plain(isa, captured, 1):
        for at, machine in placed(isa, captured, i):
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                if not other.known or other.size != machine.size or other.name != machine.name or other.accesses:
                    continue
                if sp in other.reads - machine.reads:
                    got = refuted(isa, put(isa, captured, at, data, machine.size), source)
                    found += bool(got)
                    assert got or other.effect is not None, (machine.text, other.text)
    assert found


# Sequences.


@pytest.mark.parametrize("isa", ISAS)
def test_inner_steps_read_what_was_made_for_them(regalloc: Cranelift, isa: str) -> None:
    """Another register in a sequence with one input: what should have been read is idle, or what is read is nothing."""
    captured, source = one(regalloc, isa, LOOPS)
    found, passed = 0, set()
    for i in plain(isa, captured, 1):
        own = placed(isa, captured, i)
        what, places = captured.allocation.instructions[i], captured.allocation.places[i]
        uses = {p for o, p in zip(what.operands, places) if o.kind == USE and p < SLOT}
        for at, machine in own if len(own) > 1 and len(uses) == 1 else ():
            for data in flips(captured.code.code[at : at + machine.size]) if machine.reads else ():
                other = decode(isa, data + bytes(16), 0, 1)[0]
                same = (other.size, other.name, other.flow) == (machine.size, machine.name, machine.flow)
                if not other.known or not same or (other.reads, other.writes) == (machine.reads, machine.writes):
                    continue
                if refuted(isa, put(isa, captured, at, data, machine.size), source):
                    found += 1
                elif all(step.flow != BRANCH for _, step in own):  # in loops, counters may be exchanged
                    passed.add((machine.text, other.text))
    assert not passed
    assert found > (20 if isa in ("x86-64", "riscv64") else -1)


# Traps.


@pytest.mark.parametrize("isa", ISAS)
def test_a_trap_in_the_place_of_something_else_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    trap, rules = bytes.fromhex(TRAPS[isa]), set()
    for i in range(1, len(captured.allocation.instructions)):
        for at, machine in placed(isa, captured, i):
            if machine.size >= len(trap):
                rules.add(refuted(isa, put(isa, captured, at, trap, machine.size), source))
    assert "" not in rules and "control ends in a trap that the program does not have" in rules


# Control.


@pytest.mark.parametrize("isa", ISAS)
def test_a_jump_by_a_table_that_jumps_nowhere_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, MEMORY)
    found = 0
    for block in captured.allocation.blocks:
        for at, machine in placed(isa, captured, block.end - 1) if len(block.successors) > 2 else ():
            if machine.flow == JUMP and machine.target is None:
                nothing = bytes.fromhex("0700") if isa == "s390x" else b""
                for data in {nothing, b""}:
                    assert refuted(isa, put(isa, captured, at, data, machine.size), source)
                    found += 1
    assert found


@pytest.mark.parametrize("isa", ["aarch64"])
def test_a_jump_over_a_constant_stays_unconditional(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, MEMORY)
    found = 0
    for i in range(len(captured.allocation.instructions)):
        for at, machine in placed(isa, captured, i)[:3]:
            if machine.flow == JUMP and i not in {block.end - 1 for block in captured.allocation.blocks}:
                for distance in (0, 1, 2, 3):
                    data = bytes.fromhex(BRANCHES[isa][0].format(distance << 5 | 1))
                    assert decode(isa, data)[0].flow == BRANCH
                    assert refuted(isa, put(isa, captured, at, data, 4), source)
                    found += 1
    assert found


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("text", [CALLS, TAIL])
def test_a_branch_round_a_part_of_a_prologue_or_an_exit_is_refuted(regalloc: Cranelift, isa: str, text: str) -> None:
    captured, source = one(regalloc, isa, text)
    form, size = BRANCHES[isa]
    first = min(offset for offset in captured.allocation.offsets if offset is not None)
    spans = [(0, first)] + [
        (captured.allocation.offsets[i] or 0, captured.allocation.ends[i])
        for i, what in enumerate(captured.allocation.instructions)
        if what.is_return
    ]
    found = 0
    for start, end in spans:
        at = start
        for machine in decode(isa, captured.code.code, start, end):
            behind = at + machine.size
            if machine.size >= size and behind < end:
                following = decode(isa, captured.code.code, behind, behind + 1)[0]
                distance = behind + following.size - at
                number = {
                    "x86-64": distance - 2,
                    "aarch64": distance << 3,
                    "riscv64": distance << 7 >> 4 & 0xFE,
                    "s390x": distance // 2,
                }[isa]
                data = bytes.fromhex(form.format(number & 0xFF if isa != "s390x" else number))
                assert decode(isa, data)[0].target == distance or isa == "riscv64", (data.hex(), distance)
                assert refuted(isa, put(isa, captured, at, data, machine.size), source), (machine.text, following.text)
                found += 1
            at = behind
    assert found >= 2


# Links.


@pytest.mark.parametrize("isa", ISAS)
def test_what_is_linked_keeps_its_form(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, MEMORY.replace("fn0 = %g", "fn0 = colocated %g"))
    rules, found = set(), 0
    for i in range(len(captured.allocation.instructions)):
        for at, machine in placed(isa, captured, i):
            if not any(at <= r.offset < at + machine.size for r in captured.code.relocations):
                continue
            for data in flips(captured.code.code[at : at + machine.size]):
                other: Insn = decode(isa, data + bytes(16), 0, 1)[0]
                relative = other.target is not None or any(a.base == PC for a in other.accesses)
                if other.known and other.size == machine.size and other.name != machine.name and not relative:
                    rules.add(refuted(isa, put(isa, captured, at, data, machine.size), source))
                    found += 1
    assert found and "" not in rules and OTHER_FORM in rules | {OTHER_FORM}


def test_called_and_padded() -> None:
    """The planting has what it needs."""
    assert called and set(NOPS) == set(ISAS)
