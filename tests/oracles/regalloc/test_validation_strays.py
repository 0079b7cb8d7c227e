"""What own bytes reach that is nobody's: results where none is left, shadow space, code, values that nothing makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.validation_planting import CALLS, called, flips, one, placed, put, refuted

from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import abi_named, reserved
from liftcheck.mach.insn import CALL, decode
from liftcheck.oracles.regalloc.code import links, order
from liftcheck.oracles.regalloc.code.accesses import IDLE
from liftcheck.oracles.regalloc.code.flags import Flags
from liftcheck.oracles.regalloc.code.handed import ALONE, ASTRAY, ELSEWHERE, HANDED
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import VALID
from liftcheck.regalloc.allocation import DEF, Captured

LEFT = """\
function %left(i64, i64) -> i64 system_v {
    ss0 = explicit_slot 32
    sig0 = (i64, i64) -> i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64 tail
    fn0 = colocated %g sig0
block0(v0: i64, v1: i64):
    v2 = stack_addr.i64 ss0
    store v1, v2
    v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16 = call fn0(v0, v1)
    v20 = iadd v3, v13
    v21 = isub v14, v15
    v22 = bxor v20, v21
    v23 = iadd v22, v16
    v24 = iadd v23, v1
    v25 = iadd v24, v0
    v26 = load.i64 v2
    v27 = iadd v25, v26
    return v27
}
"""
MADE = """\
function %made(i64, i64) -> i64, i64x2 system_v {
    const0 = 0x00000000000000000000000000000000
block0(v0: i64, v1: i64):
    v2 = iconst.i64 0x123456789abcdef0
    v3 = imul v0, v2
    v4 = vconst.i64x2 const0
    v5 = insertlane v4, v1, 1
    return v3, v5
}
"""


@pytest.mark.parametrize("isa", ISAS)
def test_results_are_loaded_from_where_a_callee_leaves_them(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, LEFT)
    rules, passed, sp = set(), set(), reserved(isa).sp
    for i in called(isa, captured):
        own = placed(isa, captured, i)
        at_call = next(n for n, (_, machine) in enumerate(own) if machine.flow == CALL)
        for at, machine in own[at_call + 1 :]:
            if not machine.accesses or not machine.accesses[0].read:
                continue
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                alike = other.known and (other.size, other.name) == (machine.size, machine.name)
                if not alike or len(other.accesses) != 1 or other.writes != machine.writes:
                    continue
                rule = refuted(isa, put(isa, captured, at, data, machine.size), source)
                rules.add(rule)
                if not rule and other.accesses[0].base != sp:
                    passed.add((machine.text, other.text))
    assert not passed
    assert rules >= {ASTRAY, ELSEWHERE} or (isa == "aarch64" and not rules)  # has registers for them all


@pytest.mark.parametrize("isa", ISAS)
def test_what_nothing_makes_is_not_even_inserted_into(regalloc: Cranelift, isa: str) -> None:
    """An instruction without inputs that is told to have no bytes: what stands there is the next one's."""
    captured, source = one(regalloc, isa, MADE, *([("has_v", "true")] if isa == "riscv64" else []))
    rows, found = captured.allocation, 0
    for i, what in enumerate(rows.instructions):
        start, end = rows.offsets[i] or 0, rows.ends[i]
        if i and start < end and what.operands and all(o.kind == DEF for o in what.operands):
            ends = (*rows.ends[:i], start, *rows.ends[i + 1 :])
            offsets = (*rows.offsets[: i + 1], start, *rows.offsets[i + 2 :])
            told = captured._replace(allocation=replace(rows, ends=ends, offsets=offsets))
            assert refuted(isa, put(isa, told, start, b"", end - start), source)
            found += 1
    assert found or isa == "x86-64"  # makes none here: a constant in memory, and zero from what nothing defines


@pytest.mark.parametrize(
    ("codes", "behind", "unused", "at"),
    [
        (("93060500", "1305f5ff", "e31cb5fe"), {10}, {13}, 0),  # mv a3, a0; addi a0, a0, -1; bne a0, a1, -8
        (("93060500", "1305f5ff", "e31cb5fe"), {10, 13}, set(), None),
        (("93060500", "1305f5ff", "e39cb6fe"), {10}, {13}, None),  # …; bne a3, a1, -8
        (("93060500", "1305f5ff"), {10}, {13}, None),  # no loop
    ],
)
def test_a_loop_makes_for_its_own_use(codes: tuple[str, ...], behind: set[int], unused: set[int], at: int) -> None:
    own = []
    for code in codes:
        own.append(Placed(4 * len(own), decode("riscv64", bytes.fromhex(code))[0]))
    found = order.idle(
        order.graph(own, lambda offset: False), behind, unused, lambda offset, size: False, abi_named("riscv64")
    )
    assert (None if found is None else found[0].offset) == at


def test_an_atomic_loop_that_stores_nothing_is_refuted(regalloc: Cranelift) -> None:
    text = """\
function %nands(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = atomic_rmw.i64 nand v0, v1
    return v2
}
"""
    captured, source = one(regalloc, "x86-64", text)
    found = 0
    for i in range(len(captured.allocation.instructions)):
        for at, machine in placed("x86-64", captured, i):
            if machine.name.endswith("cmpxchg"):
                found += 1
                assert refuted("x86-64", put("x86-64", captured, at, b"", machine.size), source)
    assert found


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("488b0509000000", True),  # mov rax, [rip + 9]: behind all code
        ("488b0500000000", False),  # the next instruction
        ("488b05f9ffffff", False),  # itself
        ("488b0502000000", False),
        ("488b0508000000", False),  # not aligned
        ("488b0511000000", False),  # behind the function
        ("488b0500f0ffff", False),  # before the function
    ],
)
def test_code_is_no_constant(code: str, right: bool) -> None:
    own, at = [], 0
    for data in (code, "4889c3", "4889c1", "c3"):  # …; mov rbx, rax; mov rcx, rax; ret
        machine = decode("x86-64", bytes.fromhex(data))[0]
        own.append(Placed(at, machine))
        at += machine.size
    # of 24 bytes the 8 from 16 on are right
    assert (not list(links.literals("x86-64", {0: own}, [], 24))) == right
    assert not list(links.literals("x86-64", {0: own}, [3], 24))


@pytest.mark.parametrize("isa", ISAS)
def test_structures_that_are_passed_lie_below_what_is_saved(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, CALLS)
    text = "function %s(i64 sarg(4096)) system_v {\nblock0(v0: i64):\n return\n}\n"
    large = parse_filetest(text, "t").module().functions[0].signature
    other = replace(source, called=dict.fromkeys(source.called, (large,)))
    assert refuted(isa, captured, other) in (
        "a saved word lies where callees write",
        "a spill slot lies outside of the frame",
    )


def test_structures_and_shadow_space_are_right_as_they_are(regalloc: Cranelift) -> None:
    text = """\
function %passes(i64, i64) -> i64 system_v {
    sig0 = (i64 sarg(64), i64) -> i64 system_v
    fn0 = colocated %g sig0
block0(v0: i64, v1: i64):
    v2 = call fn0(v0, v1)
    v3 = iadd v2, v1
    return v3
}
"""
    one(regalloc, "x86-64", text)  # the others have none


def test_arguments_in_shadow_space_are_refuted(regalloc: Cranelift) -> None:
    text = """\
function %shadows(i64, i64) -> i64 system_v {
    sig0 = (i64, i64, i64, i64, i64, i64) -> i64 windows_fastcall
    fn0 = colocated %g sig0
block0(v0: i64, v1: i64):
    v2 = call fn0(v0, v1, v0, v1, v1, v0)
    return v2
}
"""
    captured, source = one(regalloc, "x86-64", text)
    found, sp = 0, reserved("x86-64").sp
    for i in range(len(captured.allocation.instructions)):
        for at, machine in placed("x86-64", captured, i):
            if (
                machine.accesses
                and machine.accesses[0].written
                and machine.accesses[0].base == sp
                and machine.size == 5
            ):
                found += 1
                data = captured.code.code[at : at + 4] + bytes([captured.code.code[at + 4] - 0x20])
                assert refuted("x86-64", put("x86-64", captured, at, data, 5), source)
    assert found >= 2


@pytest.mark.parametrize(
    ("isa", "codes", "at"),
    [
        ("s390x", ("b904001f", "a7fbff00", "e310f0000024"), None),  # lgr %r1, %r15; aghi %r15, -256; stg %r1, 0(%r15)
        ("s390x", ("b904001f", "a7fbff00", "e310f0000004"), 0),  # …; lg %r1, 0(%r15)
        ("s390x", ("b904001f", "a7fbff00"), 0),
        ("aarch64", ("100082d2", "ff6330cb"), None),  # mov x16, #0x1000; sub sp, sp, x16
        ("aarch64", ("100082d2", "ff4300d1"), 0),  # …; sub sp, sp, #16
    ],
)
def test_what_a_prologue_makes_is_read(isa: str, codes: tuple[str, ...], at: int | None) -> None:
    own, offset = [], 0
    for code in codes:
        own.append(Placed(offset, decode(isa, bytes.fromhex(code))[0]))
        offset += own[-1].machine.size
    found = order.unread(own, reserved(isa).scratch)
    assert (None if found is None else found[0].offset) == at


def test_a_frame_that_is_not_chained_is_refuted(regalloc: Cranelift) -> None:
    captured, source = one(regalloc, "s390x", CALLS, ("preserve_frame_pointers", "true"))
    first = min(at for at in captured.allocation.offsets if at is not None)
    at, found = 0, 0
    for machine in decode("s390x", captured.code.code, 0, first):
        if machine.name == "stg" and machine.accesses[0].displacement == 0:
            found += 1
            assert refuted("s390x", put("s390x", captured, at, b"", machine.size), source)
        at += machine.size
    assert found == 1


def _behind_calls(isa: str, captured: Captured) -> Iterator[Placed]:
    """What calls' own bytes do after the calls."""
    for i in called(isa, captured):
        own = placed(isa, captured, i)
        yield from own[1 + next(n for n, (_, machine) in enumerate(own) if machine.flow == CALL) :]


def test_no_result_is_in_the_save_area(regalloc: Cranelift) -> None:
    """A callee of s390x's saves its registers there."""
    captured, source = one(regalloc, "s390x", LEFT)
    rules = set()
    for at, machine in _behind_calls("s390x", captured):
        if machine.name == "lg":
            data = captured.code.code[at : at + 2] + b"\xf0\x58" + captured.code.code[at + 4 : at + 6]
            rules.add(refuted("s390x", put("s390x", captured, at, data, 6), source))
    assert rules == {ELSEWHERE}


TURNED = """\
function %turned(i64x2) -> i64x2 system_v {
    sig0 = (i64x2) -> i64x2 tail
    fn0 = colocated %g sig0
block0(v0: i64x2):
    v1 = call fn0(v0)
    return v1
}
"""


def test_a_result_that_is_not_turned_is_refuted(regalloc: Cranelift) -> None:
    """It is where the callee left it and where it should be; a no-operation is left of what changes it in place."""
    captured, source = one(regalloc, "s390x", TURNED)
    turns = [step for step in _behind_calls("s390x", captured) if step.machine.name == "vpdi"]
    assert len(turns) == 1
    for at, machine in turns:
        assert refuted("s390x", put("s390x", captured, at, b"", machine.size), source) == IDLE


SPILT = f"""\
function %spilt(i64, i64) -> i64 system_v {{
    sig0 = (i64) -> {", ".join(["i8"] * 8 + ["i64"] * 24)} winch
    sig1 = (i64) -> i64 winch
    fn0 = colocated %g sig0
    fn1 = colocated %h sig1
block0(v0: i64, v1: i64):
    {", ".join(f"v{n}" for n in range(10, 42))} = call fn0(v0)
    v50 = call fn1(v1)
    v60 = iadd v50, v18
{"".join(f"    v{n + 42} = iadd v{n + 41}, v{n}{chr(10)}" for n in range(19, 42))}\
    return v83
}}
"""


def test_a_result_is_stored_as_wide_as_it_was_loaded(regalloc: Cranelift) -> None:
    """x86-64's loads of one byte leave the rest of the register alone."""
    captured, source = one(regalloc, "x86-64", SPILT)
    rules = set()
    for at, machine in _behind_calls("x86-64", captured):
        code = captured.code.code[at : at + machine.size]
        if machine.accesses and machine.accesses[0].read and code[1] == 0x8B:
            data = bytes([code[0] & ~8]) + b"\x8a" + code[2:]  # W means nothing there, and no row has it
            rules.add(refuted("x86-64", put("x86-64", captured, at, data, machine.size), source))
    assert {ALONE, HANDED} & rules and "" not in rules


def test_a_comparison_in_a_loop_is_for_its_flags(regalloc: Cranelift) -> None:
    """Half of one of 128 bits also writes a register, which nobody reads."""
    text = """\
function %most(i64, i128) -> i128 system_v {
block0(v0: i64, v1: i128):
    v2 = atomic_rmw.i128 smax v0, v1
    return v2
}
"""
    captured, _ = one(regalloc, "x86-64", text, ("has_cmpxchg16b", "true"), ("enable_llvm_abi_extensions", "true"))
    assert any(
        m.name == "sbb" for i in range(len(captured.allocation.offsets)) for _, m in placed("x86-64", captured, i)
    )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("op", ["xchg", "add", "umax", "nand"])
def test_a_narrow_exchange_whose_result_nothing_uses_is_valid(regalloc: Cranelift, isa: str, op: str) -> None:
    text = f"""\
function %into(i64, i16) system_v {{
block0(v0: i64, v1: i16):
    v2 = atomic_rmw.i16 {op} v0, v1
    return
}}
"""
    captured, source = one(regalloc, isa, text)
    assert validate(isa, captured, source).status == VALID


def test_half_a_vector_is_returned_in_an_area_for_results(regalloc: Cranelift) -> None:
    text = """\
function %whole(i64) -> f16x4 system_v {
    sig0 = (i64) -> f16x4 tail
    fn0 = %half sig0
block0(v0: i64):
    v1 = call fn0(v0)
    return v1
}
"""
    settings = (("has_v", "true"), ("has_zvfh", "true"), ("enable_multi_ret_implicit_sret", "true"))
    captured, source = one(regalloc, "riscv64", text, *settings)
    assert validate("riscv64", captured, source).status == VALID


ASKING = """\
function %asking(i64) -> i64 tail {
    ss0 = explicit_slot 32
    sig0 = (i64, i64, i64) -> i64 system_v
    fn0 = %g sig0
block0(v0: i64):
    v1 = get_frame_pointer.i64
    v2 = get_return_address.i64
    v6 = stack_addr.i64 ss0+8
    store v0, v6
    v3 = call fn0(v0, v1, v2)
    v4 = load.i64 v6
    v5 = iadd v3, v4
    return v5
}
"""


@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
def test_a_word_of_the_frame_is_read_by_the_pointer_that_compilers_read_it_by(regalloc: Cranelift, isa: str) -> None:
    """The return address by the frame pointer, slots by the stack pointer, and nothing of the caller's, though the
    program has its frame pointer."""
    captured, source = one(regalloc, isa, ASKING)
    assert not refuted(isa, captured, source)
    pointers, tried = reserved(isa).readable, 0
    for i, what in enumerate(captured.allocation.instructions):
        for at, machine in placed(isa, captured, i) if not what.is_return else ():
            bases = {access.base for access in machine.accesses}
            if not bases or not bases <= pointers:
                continue
            for data in flips(captured.code.code[at : at + machine.size]):
                other = decode(isa, data + bytes(16), 0, 1)[0]
                alike = other.known and (other.size, other.name) == (machine.size, machine.name)
                if not alike or len(other.accesses) != 1 or other.writes != machine.writes:
                    continue
                far = other.accesses[0].displacement - machine.accesses[0].displacement
                if other.accesses[0].base != machine.accesses[0].base or (far and reserved(isa).frame in bases):
                    tried += 1
                    assert refuted(isa, put(isa, captured, at, data, machine.size), source), other.text
    assert tried


@pytest.mark.parametrize(
    ("codes", "unread"),
    [
        ("bf0214eb 4100819a", []),  # cmp x21, x20; csel x1, x2, x1, eq
        ("bf0214eb 00701e72 4100819a", [0]),  # ands w0, ... between
        ("bf0214eb 00701e72", [0, 1]),  # and nobody at all
        ("bf0214eb 4100819a 00701e72", [2]),
        ("bf0214eb 00f0b772 4100819a 4100819a", []),  # movk between
    ],
)
def test_flags_are_written_for_who_reads_them(codes: str, unread: list[int]) -> None:
    """On aarch64, where nothing else writes any; at a block's end at the latest."""
    machines = [decode("aarch64", bytes.fromhex(code))[0] for code in codes.split()]
    flags = Flags(abi_named("aarch64"), {len(machines): 1})
    found = [
        at
        for number, machine in enumerate([*machines, decode("aarch64", bytes.fromhex("1f2003d5"))[0]])
        for at, _ in flags.unread(number, [Placed(4 * number, machine)], True)
    ]
    assert found == unread


def test_a_constant_that_writes_flags_is_refuted(regalloc: Cranelift) -> None:
    captured, source = one(regalloc, "aarch64", MADE)
    found = 0
    for i in range(len(captured.allocation.instructions)):
        for at, machine in placed("aarch64", captured, i):
            if machine.name == "movk":
                (place,) = machine.writes
                ands = (0xEA000000 | place << 16 | place << 5 | place).to_bytes(4, "little")
                found += 1
                assert refuted("aarch64", put("aarch64", captured, at, ands, 4), source)
    assert found
