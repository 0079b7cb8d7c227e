"""Wrong code that keeps to the registers of its operands: each kind planted on each ISA that has it is refuted.

The faults are made of the compiler's own code: bytes replaced, descriptions of operands and offsets changed as a faulty
compiler would tell them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.validation_planting import (
    CALLS,
    LOOPS,
    RESULTS,
    TAIL,
    WIDE,
    called,
    captured_relocated,
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
from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import CALL, JUMP, RETURN, Insn, decode
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.code import slots as validation_slots
from liftcheck.oracles.regalloc.code.called import Body
from liftcheck.oracles.regalloc.code.frame import Checked
from liftcheck.oracles.regalloc.code.moves import Slots
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.regalloc.allocation import DEF, USE

CALL_BYTES = {"x86-64": "ffd0", "aarch64": "00003fd6", "riscv64": "e7000500", "s390x": "0de2"}
"""A call through the first result's register."""
RETURNS = {"x86-64": "c3", "aarch64": "c0035fd6", "riscv64": "67800000", "s390x": "07fe"}
JUMPS = {"x86-64": "ffe0", "aarch64": "00001fd6", "riscv64": "67000500", "s390x": "07f2"}
LOWERED = {"x86-64": "4883ec10", "aarch64": "ff4300d1", "riscv64": "130101ff", "s390x": "a7fbfff0"}
"""16 bytes taken off the stack pointer."""


# Positions.


@pytest.mark.parametrize("isa", ["riscv64"])
def test_a_lacking_early_definition_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """The allocator put a result over an input, as it may if the description calls the definition a late one."""
    found = set(late_definitions(regalloc, isa, LOOPS))
    assert "a use's register is not read" in found
    assert found <= {
        "a use's register is not read",
        "a use is read after a write to its register",
        "a use reads another value",
        "",
    }


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("text", [CALLS, LOOPS])
def test_an_input_that_is_overwritten_first_is_refuted(regalloc: Cranelift, isa: str, text: str) -> None:
    """The first of an instruction's bytes write the register of an input that they should read."""
    captured, source = one(regalloc, isa, text)
    found = 0
    for i in plain(isa, captured, 1):
        what, places = captured.allocation.instructions[i], captured.allocation.places[i]
        uses = {p for o, p in zip(what.operands, places) if o.kind == USE and p < SLOT}
        shared = uses & {p for o, p in zip(what.operands, places) if o.kind == DEF}
        at, before = placed(isa, captured, i)[0] if placed(isa, captured, i) else (0, None)
        for data in flips(captured.code.code[at : at + before.size]) if before is not None and shared else ():
            after: Insn = decode(isa, data + bytes(16), 0, 1)[0]
            if not after.known or after.size != before.size or after.flow != before.flow:
                continue
            if shared & after.writes - after.kept and not shared & after.reads and after.reads - {NONE} <= uses:
                rule = refuted(isa, put(isa, captured, at, data, before.size), source)
                assert rule, (before.text, after.text)
                found += 1
                break
    assert found or text == LOOPS


# Calls.


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("text", [CALLS, WIDE])
def test_a_clobber_that_a_call_lacks_is_refuted(regalloc: Cranelift, isa: str, text: str) -> None:
    captured, source = one(regalloc, isa, text)
    offered = {
        p
        for group in (*captured.allocation.environment.preferred, *captured.allocation.environment.others)
        for p in group
    }
    found = 0
    for i in called(isa, captured):
        for gone in captured.allocation.instructions[i].clobbers:
            rows = list(captured.allocation.instructions)
            rows[i] = rows[i]._replace(clobbers=tuple(p for p in rows[i].clobbers if p != gone))
            rule = refuted(
                isa, captured._replace(allocation=replace(captured.allocation, instructions=tuple(rows))), source
            )
            if rule:
                assert "clobbers lack" in rule
                found += 1
            else:
                assert gone not in offered or (isa, gone) == ("riscv64", 64 + 9), gone
    assert found > 20


@pytest.mark.parametrize("isa", ISAS)
def test_a_call_in_the_place_of_something_else_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    call = bytes.fromhex(CALL_BYTES[isa])
    places = plain(isa, captured, len(call))
    for i in places:
        start, end = captured.allocation.offsets[i] or 0, captured.allocation.ends[i]
        assert refuted(isa, put(isa, captured, start, call, end - start), source)
    assert len(places) >= 3
    ends = min(offset for offset in captured.allocation.offsets if offset is not None)
    at = 0
    for machine in decode(isa, captured.code.code, 0, ends):
        if machine.size >= len(call):
            assert refuted(isa, put(isa, captured, at, call, machine.size), source), machine.text
        at += machine.size


@pytest.mark.parametrize("isa", ISAS)
def test_a_call_through_another_register_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    found = 0
    for i in called(isa, captured):
        for at, machine in placed(isa, captured, i):
            if machine.flow != CALL or captured_relocated(captured, i):
                continue
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                if (other.size, other.flow) == (machine.size, CALL) and other.known:
                    assert refuted(isa, put(isa, captured, at, data, machine.size), source), other.text
                    found += 1
    assert found >= 3


@pytest.mark.parametrize("isa", ISAS)
def test_a_stack_pointer_that_is_not_given_back_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """After the call of a callee that takes its arguments away, or before it (s390x): each other amount, and none."""
    captured, source = one(regalloc, isa, WIDE)
    sp, found = {"x86-64": 4, "aarch64": 63, "riscv64": 2, "s390x": 15}[isa], 0
    for i in range(1, len(captured.allocation.instructions)):
        for at, machine in placed(isa, captured, i):
            moves = sp in machine.writes and machine.flow not in (CALL, JUMP, RETURN)
            if not moves or captured.allocation.instructions[i].is_return:
                continue
            assert refuted(isa, put(isa, captured, at, b"", machine.size), source), machine.text
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                same = other.size == machine.size and other.effect not in (None, machine.effect)
                if other.known and same and sp in other.writes:
                    assert refuted(isa, put(isa, captured, at, data, machine.size), source), other.text
                    found += 1
    assert found > 3


@pytest.mark.parametrize("isa", ISAS)
def test_a_result_that_is_not_loaded_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, RESULTS)
    (i,) = called(isa, captured)
    own = placed(isa, captured, i)
    call = next(number for number, (_, machine) in enumerate(own) if machine.flow == CALL)
    loads = [step for step in own[call + 1 :] if any(access.read for access in step.machine.accesses)]
    used = [refuted(isa, put(isa, captured, at, b"", machine.size), source) for at, machine in loads]
    assert loads and sum(map(bool, used)) >= min(2, len(loads))


# Control.


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("codes", [RETURNS, JUMPS, LOWERED])
def test_control_and_the_stack_pointer_stay_within_a_block(
    regalloc: Cranelift, isa: str, codes: dict[str, str]
) -> None:
    captured, source = one(regalloc, isa, CALLS)
    data, found = bytes.fromhex(codes[isa]), 0
    for i in plain(isa, captured, len(data)):
        start, end = captured.allocation.offsets[i] or 0, captured.allocation.ends[i]
        got = refuted(isa, put(isa, captured, start, data, end - start), source)
        assert got
        found += 1
    assert found


@pytest.mark.parametrize("isa", ["aarch64", "riscv64"])
def test_a_return_in_the_place_of_a_fence_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    fences = [i for i in plain(isa, captured, 4) if not captured.allocation.instructions[i].operands]
    for i in fences:
        for code in (RETURNS, JUMPS):
            changed = put(isa, captured, captured.allocation.offsets[i] or 0, bytes.fromhex(code[isa]), 4)
            verdict = validate(isa, changed, source)
            assert verdict.counterexample is not None
        assert (
            "control leaves"
            in refuted(
                isa,
                put(isa, captured, captured.allocation.offsets[i] or 0, bytes.fromhex(RETURNS["aarch64"]), 4),
                source,
            )
            or isa == "riscv64"
        )
    assert fences


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("text", [CALLS, TAIL])
def test_exits_leave_as_they_should(regalloc: Cranelift, isa: str, text: str) -> None:
    """A return becomes a jump, a tail call returns, or jumps through another register."""
    captured, source = one(regalloc, isa, text)
    found = 0
    for i, what in enumerate(captured.allocation.instructions):
        if not what.is_return:
            continue
        at, machine = next(step for step in placed(isa, captured, i) if step.machine.flow in (RETURN, JUMP))
        candidates = {bytes.fromhex(codes[isa]) for codes in (RETURNS, JUMPS)}
        candidates |= set(flips(captured.code.code[at : at + machine.size])) if machine.target is None else set()
        for data in candidates:
            other = decode(isa, data + bytes(16), 0, 1)[0]
            fits = other.known and len(data) <= machine.size and other.size == len(data)
            if fits and other.flow in (RETURN, JUMP) and other != machine and other.reads != machine.reads:
                assert refuted(isa, put(isa, captured, at, data, machine.size), source), (machine.text, other.text)
                found += 1
    assert found >= (3 if isa != "x86-64" else text == TAIL)


@pytest.mark.parametrize("isa", ISAS)
def test_a_pointer_to_the_frame_is_no_data(regalloc: Cranelift, isa: str) -> None:
    """Comparisons, indexes and calls that read the stack or frame pointer."""
    captured, source = one(regalloc, isa, CALLS)
    kept, found = reserved(isa), 0
    pointers = {kept.sp, kept.frame} - {NONE}
    for i, what in enumerate(captured.allocation.instructions):
        if not i or what.is_return or captured_relocated(captured, i):
            continue
        for at, machine in placed(isa, captured, i):
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                same = (other.size, other.name, other.flow) == (machine.size, machine.name, machine.flow)
                if not other.known or not same or other.effect is not None:
                    continue
                if not pointers & (other.reads - machine.reads):
                    continue
                if pointers & {access.base for access in other.accesses}:
                    continue
                assert refuted(isa, put(isa, captured, at, data, machine.size), source), (machine.text, other.text)
                found += 1
    assert found


@pytest.mark.parametrize("isa", ["aarch64", "riscv64", "s390x"])
def test_a_tail_function_takes_away_no_more_than_it_was_given(regalloc: Cranelift, isa: str) -> None:
    """It has two arguments, in registers: each other amount that its exit gives back is refuted. (x86-64's exit takes
    the stack pointer from the frame pointer after that.)"""
    captured, source = one(regalloc, isa, WIDE)
    sp, found = reserved(isa).sp, 0
    for i, what in enumerate(captured.allocation.instructions):
        for at, machine in placed(isa, captured, i) if what.is_return else ():
            for data in flips(captured.code.code[at : at + machine.size]) if sp in machine.writes else ():
                other = decode(isa, data + bytes(16), 0, 1)[0]
                fits = other.known and other.size == machine.size and sp in other.writes
                if not fits or other.effect is None or machine.effect is None:
                    continue
                if dict(other.effect.writes)[sp] is not dict(machine.effect.writes).get(sp):
                    assert refuted(isa, put(isa, captured, at, data, machine.size), source), other.text
                    found += 1
    assert found > 3


def test_a_tail_function_takes_away_a_vector_that_came_on_the_stack(regalloc: Cranelift) -> None:
    text = """function %f(i64, i8x8) -> i64 tail {
block0(v0: i64, v1: i8x8):
    v2 = extractlane v1, 3
    v3 = uextend.i64 v2
    v4 = iadd v0, v3
    return v4
}
"""
    one(regalloc, "riscv64", text, ("has_v", "true"), ("has_zvl128b", "preset"))


def test_an_address_in_one_scratch_register_is_not_used_in_another(regalloc: Cranelift) -> None:
    more = "v12 = f64const 0x1.8p5\n    v13 = fadd v2, v12\n    v14 = bitcast.i64 v13\n    v15 = iadd v11, v14"
    text = LOOPS.replace("return v11", f"{more}\n    return v15")
    captured, source = one(regalloc, "s390x", text)
    found = 0
    for i in range(1, len(captured.allocation.instructions)):
        for at, machine in placed("s390x", captured, i):
            if machine.name == "larl" and 1 in machine.writes and not captured_relocated(captured, i):
                code = captured.code.code[at : at + machine.size]
                other = bytes((code[0], code[1] & 15, *code[2:]))
                assert refuted("s390x", put("s390x", captured, at, other, machine.size), source)
                found += 1
    assert found


@pytest.mark.parametrize("isa", ISAS)
def test_exits_read_the_frame_alone(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    kept, found = reserved(isa), 0
    for i, what in enumerate(captured.allocation.instructions):
        for at, machine in placed(isa, captured, i) if what.is_return else ():
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                bases = {access.base for access in other.accesses} - {NONE, kept.sp, kept.frame}
                if other.known and other.size == machine.size and bases:
                    assert refuted(isa, put(isa, captured, at, data, machine.size), source), other.text
                    found += 1
    assert found


# The frame.


def test_what_lies_in_the_frame_keeps_clear_of_all_else(regalloc: Cranelift) -> None:
    captured, _ = one(regalloc, "aarch64", CALLS)
    rows = replace(captured.allocation, frame={"slots": [16], "slot_sizes": [32]})

    def rules(saved: Sequence[int], slots: dict[int, int], floor: int = 0, size: int = 96) -> list[str]:
        lying = Slots()
        for slot, offset in slots.items():
            lying.note(SLOT + slot, offset, 8)
        checked = Checked([], [], Body(None, dict.fromkeys(saved, "x19")), size)
        return [p.rule for p in validation_slots.slot_problems("aarch64", rows, lying, checked, floor)]

    assert rules([64, 72], {0: 48, 1: 56}) == []
    assert rules([40], {}) == ["a saved word lies in a stack slot"]
    assert rules([-8], {}) == ["a saved word lies where callees write"]
    assert rules([8], {}, floor=16) == ["a saved word lies where callees write"]
    assert rules([96], {}) == ["a saved word lies in the caller's frame"]
    assert rules([], {0: 8}, floor=16) == ["a spill slot lies outside of the frame"]
    assert rules([], {0: 24}) == ["a spill slot overlaps a stack slot"]
    assert rules([64], {0: 64}) == ["a spill slot overlaps what the prologue saved"]


@pytest.mark.parametrize("isa", ISAS)
def test_a_save_in_a_stack_slot_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """The slot is said to lie where the prologue saves."""
    captured, source = one(regalloc, isa, CALLS)
    frame = captured.allocation.frame
    rules = set()
    for offset in range(0, 400, 8):
        moved = replace(captured.allocation, frame={**frame, "slots": [offset]})
        rules.add(refuted(isa, captured._replace(allocation=moved), source))
    assert "a saved word lies in a stack slot" in rules


@pytest.mark.parametrize("isa", ISAS)
def test_a_constant_without_bytes_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    rows, found = captured.allocation, 0
    for i, what in enumerate(rows.instructions):
        if i and what.operands and all(o.kind == DEF for o in what.operands) and not what.clobbers:
            start, end = rows.offsets[i] or 0, rows.ends[i]
            offsets = (*rows.offsets[:i], end, *rows.offsets[i + 1 :])
            told = captured._replace(allocation=replace(rows, offsets=offsets))
            assert refuted(isa, put(isa, told, start, b"", end - start), source)
            found += 1
    assert found


def test_a_store_over_the_return_address_of_a_tail_call_is_refuted(regalloc: Cranelift) -> None:
    captured, source = one(regalloc, "x86-64", TAIL)
    rules = set()
    for i in plain("x86-64", captured, 5):
        for at, machine in placed("x86-64", captured, i):
            data = captured.code.code[at : at + machine.size]
            if any(access.written and access.base == 4 for access in machine.accesses) and len(data) == 5:
                for offset in range(0, 128, 8):
                    rules.add(refuted("x86-64", put("x86-64", captured, at, data[:4] + bytes((offset,)), 5), source))
    assert "an instruction stores over what the prologue saved" in rules


# Tables.


@pytest.mark.parametrize(
    "code",
    [
        "c8100000",
        "d7",
        "cb",
        "48cf",
        "0f05",
        "cd80",
        "e2fe",
        "9c",
        "9d",
        "0fa2",
        "f3a4",
        "48ab",
        "e3fe",
        "ec",
        "d9c0",
        "660f3a63c100",
        "660ff7c1",
        "f3480faed0",
        "0f01d0",
        "fd",
    ],
)
def test_what_the_table_is_not_right_about_is_unknown(code: str) -> None:
    assert not decode("x86-64", bytes.fromhex(code))[0].known


def test_cmpxchg16b_is_told_rightly() -> None:
    machine = decode("x86-64", bytes.fromhex("f0480fc70f"))[0]
    assert {0, 1, 2, 3, 7, -3} <= machine.reads and {0, 2, -2, -3} <= machine.writes


CONSTANT = """\
function %constant() -> i64 system_v {
block0:
    v0 = iconst.i64 0x10000
    return v0
}
"""
ASKED = """\
function %asked() -> i64 system_v {
block0:
    v0 = get_stack_pointer.i64
    return v0
}
"""
TO_STACK_POINTER = {
    "x86-64": ("b800000100", "488d442400"),
    "aarch64": ("2000a0d2", "e0030091"),
    "riscv64": ("37050100", "13050100"),
    "s390x": ("c02100010000", "e320f0000071"),
}
"""A constant in the result's register, and the stack pointer itself there."""


@pytest.mark.parametrize("isa", ISAS)
def test_the_stack_pointer_is_no_value_of_a_program_that_does_not_ask_for_it(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CONSTANT)
    constant, pointer = map(bytes.fromhex, TO_STACK_POINTER[isa])
    code = captured.code.code
    assert code.count(constant) == 1
    edited = captured._replace(code=replace(captured.code, code=code.replace(constant, pointer)))
    verdict = validate(isa, edited, source)
    assert (verdict.status, verdict.reason) == ("invalid", "a pointer to nothing in the program")
    assert validate(isa, *one(regalloc, isa, ASKED)).status == "valid"
