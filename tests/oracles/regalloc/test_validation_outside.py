"""What reaches a function from outside of its own code: unwinders, callees, other stacks; programs that store outside
of their own memory. Right allocations are valid, planted faults of each kind are refuted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from support.validation_code_faults import NOPS
from support.validation_planting import from_corpus as one
from support.validation_planting import functions

from liftcheck.case import CallSite
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.mach.insn import decode
from liftcheck.mach.regs import SLOT
from liftcheck.oracles.regalloc.code.check import PROGRAMS_FAULT
from liftcheck.oracles.regalloc.source import source_of
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, UNDECIDED, VALID, Verdict
from liftcheck.regalloc.allocation import ALGORITHMS, ANY, USE, Captured

TOLD = "an unwinder is told of another place than the operand's"


def rule(verdict: Verdict) -> str:
    return verdict.counterexample.rule if verdict.counterexample else ""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("handlers.clif", 14),
        ("handlers-tail.clif", 5),
        ("switch.clif", 3),
        ("thread-local.clif", 4),
        ("sent-on.clif", 4),
        ("packed-results.clif", 6),
        ("uninitialized-copies.clif", 2),
        ("tail-arguments.clif", 36),
        ("extended-arguments.clif", 4),
    ],
)
def test_right_allocations_are_valid(regalloc: Cranelift, name: str, count: int, algorithm: str) -> None:
    found = functions(regalloc, name, algorithm)
    assert len(found) >= count
    for isa, function, captured, source in found:
        verdict = validate(isa, captured, source)
        shown_ = verdict.counterexample and verdict.counterexample.render()
        assert (verdict.status, verdict.reason) == (VALID, ""), f"{isa} {function}: {shown_}"


# Contexts.


def told(captured: Captured, change: Mapping[int, int]) -> Captured:
    """Contexts at other distances from the stack pointer."""
    sites = []
    for site in captured.code.calls:
        handlers = tuple(
            (*h[:-1], change.get(int(str(h[-1])), h[-1])) if h[0] == "context" else h for h in site.handlers
        )
        sites.append(CallSite(site.offset, site.frame_offset, handlers))
    return captured._replace(code=replace(captured.code, calls=tuple(sites)))


@pytest.mark.parametrize("isa", ["x86-64", "aarch64", "riscv64", "s390x"])
def test_an_unwinder_is_told_where_contexts_are(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, "handlers.clif", isa, "%contexts")
    distances = {int(str(h[-1])) for site in captured.code.calls for h in site.handlers if h[0] == "context"}
    assert len(distances) == 2
    low, high = sorted(distances)
    for change in ({low: high}, {high: low}, {low: high, high: low}, {low: low + 8}, {high: 4096}):
        assert rule(validate(isa, told(captured, change), source)) == TOLD, change
    without = replace(captured.code, calls=tuple(site._replace(handlers=()) for site in captured.code.calls))
    assert validate(isa, captured._replace(code=without), source).status == INVALID


def test_a_context_in_a_register_is_compared_too(regalloc: Cranelift) -> None:
    captured, source = one(regalloc, "handlers.clif", "aarch64", "%contexts")
    sites = tuple(
        site._replace(handlers=tuple(("context", "gpr", 20) if h[0] == "context" else h for h in site.handlers))
        for site in captured.code.calls
    )
    assert rule(validate("aarch64", captured._replace(code=replace(captured.code, calls=sites)), source)) == TOLD


def test_only_contexts_may_stay_in_slots_unread(regalloc: Cranelift) -> None:
    """Another use of the call in a slot, which nothing loads."""
    captured, source = one(regalloc, "handlers.clif", "x86-64", "%address")
    allocation = captured.allocation
    at = next(i for i, what in enumerate(allocation.instructions) if what.clobbers)
    index = next(i for i, o in enumerate(allocation.instructions[at].operands) if o.kind == USE and o.constraint != ANY)
    operands = list(allocation.instructions[at].operands)
    operands[index] = operands[index]._replace(constraint=ANY)
    places = list(allocation.places)
    places[at] = (*places[at][:index], SLOT, *places[at][index + 1 :])
    instructions = list(allocation.instructions)
    instructions[at] = instructions[at]._replace(operands=tuple(operands))
    spoiled = replace(allocation, instructions=tuple(instructions), places=tuple(places))
    assert validate("x86-64", captured._replace(allocation=spoiled), source).status == INVALID


# Results on the stack.


def test_a_spill_slot_where_a_callee_leaves_packed_results_is_refuted(regalloc: Cranelift) -> None:
    """After them it may lie, though the load of the last one reaches into it."""
    captured, source = one(regalloc, "packed-results.clif", "x86-64", "%two")
    assert source.packed == {"%g": 16}
    end, outside = 16, "a spill slot lies outside of the frame"
    for distance in (1, 4, 8):
        code, at = bytearray(captured.code.code), 0
        for machine in decode("x86-64", captured.code.code):
            at += machine.size
            if any((access.base, access.displacement) == (4, end) for access in machine.accesses):
                assert code[at - 1] == end
                code[at - 1] = end - distance
        lower = captured._replace(code=replace(captured.code, code=bytes(code)))
        assert rule(validate("x86-64", lower, source)) == outside
    assert rule(validate("x86-64", captured, dataclasses.replace(source, packed={}))) == outside


# Values that nothing defines.


def test_only_a_copy_of_an_undefined_value_cancels_it(regalloc: Cranelift) -> None:
    """The exclusive or of it with a copy is zero; without the copy, with another register, or as an or, it is not."""
    captured, source = one(regalloc, "uninitialized-copies.clif", "x86-64", "%f", ALGORITHMS[0])
    code, at, behind = captured.code.code, 0, []
    for machine in decode("x86-64", code):
        behind.append((at, machine))
        if machine.text == "xorps xmm1, xmm0":
            break
        at += machine.size
    copy = next(offset for offset, machine in reversed(behind) if machine.text == "movdqa xmm0, xmm1")
    assert code[at : at + 3] == bytes.fromhex("0f57c8") and machine.cancels
    edits = {copy: b"\x90" * 4, at: bytes.fromhex("0f57ca"), at + 1: b"\x56"}
    for offset, data in edits.items():
        changed = code[:offset] + data + code[offset + len(data) :]
        verdict = validate("x86-64", captured._replace(code=replace(captured.code, code=changed)), source)
        assert verdict.status == INVALID, (offset, data)


# Ways out of calls.


def saves(isa: str, captured: Captured) -> Iterator[tuple[int, int]]:
    """Offsets and sizes of the prologue's stores of callee-saved registers (not of the frame's and return address)."""
    end = min(offset for offset in captured.allocation.offsets if offset is not None)
    at = 0
    for machine in decode(isa, captured.code.code, 0, end):
        text = f"{machine.name} {machine.operands}"
        if machine.effect is not None and machine.effect.stores and not any(r in text for r in ("bp", "x29", "r14")):
            yield at, machine.size
        at += machine.size


@pytest.mark.parametrize("isa", ["x86-64", "aarch64", "s390x"])
def test_what_an_unwinder_loses_must_be_saved(regalloc: Cranelift, isa: str) -> None:
    """Behind handlers every callee-saved register is lost; on the normal way none is."""
    captured, source = one(regalloc, "handlers-tail.clif", isa, "%caller")
    refuted = 0
    for at, size in saves(isa, captured):
        if size in NOPS[isa]:
            code = captured.code.code[:at] + NOPS[isa][size] + captured.code.code[at + size :]
            verdict = validate(isa, captured._replace(code=replace(captured.code, code=code)), source)
            assert verdict.status == INVALID
            refuted += 1
    assert refuted >= (1 if isa == "s390x" else 4)


@pytest.mark.parametrize(
    ("conventions", "status"),
    [({"preserve_all"}, VALID), ({"system_v"}, VALID), ({"winch"}, INVALID), ({"winch", "tail"}, UNDECIDED)],
)
def test_the_callees_convention_says_what_is_lost(regalloc: Cranelift, conventions: set[str], status: str) -> None:
    """The clobbers are all registers; nothing is saved, and there is no handler."""
    captured, source = one(regalloc, "handlers.clif", "x86-64", "%keepsall", ALGORITHMS[0])
    clobbers = set().union(*(what.clobbers for what in captured.allocation.instructions))
    assert {3, 12, 15} <= clobbers
    verdict = validate("x86-64", unsaved(captured), dataclasses.replace(source, callees={"": frozenset(conventions)}))
    assert verdict.status == status, verdict.counterexample and verdict.counterexample.render()


def unsaved(captured: Captured) -> Captured:
    """Without the saves of a prologue, and the loads of the exits that belong to them."""
    code, at, found = bytearray(captured.code.code), 0, 0
    for machine in decode("x86-64", captured.code.code):
        if machine.name == "mov" and "[rsp" in machine.operands:
            code[at : at + machine.size] = b"\x90" * machine.size
            found += 1
        at += machine.size
    assert found == 10
    return captured._replace(code=replace(captured.code, code=bytes(code)))


# Other stacks.


@pytest.mark.parametrize("function", ["%once", "%twice", "%unused"])
def test_a_switch_keeps_what_it_must_come_back_with(regalloc: Cranelift, function: str) -> None:
    """Each of its instructions left out, or its jump without the address after it."""
    captured, source = one(regalloc, "switch.clif", "x86-64", function)
    allocation = captured.allocation
    at = next(i for i, what in enumerate(allocation.instructions) if "stack_switch" in what.text)
    start, end = allocation.offsets[at] or 0, allocation.ends[at]
    offset, tried = start, 0
    for machine in decode("x86-64", captured.code.code, start, end):
        code = captured.code.code
        gone = code[:offset] + b"\x90" * machine.size + code[offset + machine.size :]
        verdict = validate("x86-64", captured._replace(code=replace(captured.code, code=gone)), source)
        assert verdict.status == INVALID, machine.text
        offset, tried = offset + machine.size, tried + 1
    assert tried == 10


# What the text says of packed results.


@pytest.mark.parametrize(
    ("returns", "convention", "size"),
    [
        ("f32, f64, f32, f64", "winch", 16),
        ("i8, i16, i32", "winch", 3),
        ("i64", "winch", 0),
        ("i32, i64", "tail", None),
        ("i32 sext, i32, i64", "winch", None),
        ("f16, i32, i64", "winch", None),
        ("i32, i8x16, i64", "winch", 20),
        ("i32, f32, i128, i128", "winch", 32),
        ("i8x16", "tail", 0),
        ("i128", "system_v", None),
    ],
)
def test_packed_results_are_counted(returns: str, convention: str, size: int | None) -> None:
    text = f"function %f() system_v {{\n fn0 = %g() -> {returns} {convention}\nblock0:\n"
    count = returns.count(",") + 1
    text += f" {', '.join(f'v{n}' for n in range(count))} = call fn0()\n return\n}}\n"
    source = source_of(parse_filetest(text, "t").module().functions[0])
    assert source.packed_results(frozenset({"%g"})) == source.packed_results(frozenset()) == size


# Programs at fault.


def test_a_program_that_stores_out_of_bounds_is_undecided(regalloc: Cranelift) -> None:
    for isa, function, captured, source in functions(regalloc, "strays.clif", ALGORITHMS[0]):
        verdict = validate(isa, captured, source)
        assert (verdict.status, verdict.reason) == (UNDECIDED, PROGRAMS_FAULT), (isa, function)


@pytest.mark.parametrize(
    ("body", "strays", "may_stray"),
    [
        ("v1 = stack_addr.i64 ss0\n store.i64 v0, v1", False, False),
        ("v1 = stack_addr.i64 ss0\n store.i64 v0, v1+1", True, True),
        ("v1 = stack_addr.i64 ss0+8\n store.i64 v0, v1-8", False, False),
        ("v1 = stack_addr.i64 ss0\n istore8.i64 v0, v1+7", False, False),
        ("v1 = stack_addr.i64 ss0\n istore16.i64 v0, v1+7", True, True),
        ("v1 = stack_addr.i64 ss0\n v2 = iadd v1, v0\n store.i64 v0, v2+100", False, False),
        (
            "v1 = stack_addr.i64 ss0\n v3 = iconst.i64 4\n v4 = popcnt v3\n v2 = iadd v1, v4\n store.i64 v0, v2",
            False,
            True,
        ),
        ("v1 = stack_addr.i64 ss0\n v3 = iconst.i64 -8\n v2 = isub v1, v3\n atomic_store.i64 v0, v2", True, True),
        ("v1 = stack_addr.i64 ss0\n v2 = load.i64 v1+8\n store.i64 v0, v2", False, False),
    ],
)
def test_stores_are_followed_by_constants(body: str, strays: bool, may_stray: bool) -> None:
    text = f"function %f(i64) {{\n ss0 = explicit_slot 8\nblock0(v0: i64):\n {body}\n return\n}}\n"
    source = source_of(parse_filetest(text, "t").module().functions[0])
    assert (source.strays, source.may_stray) == (strays, may_stray)


def test_a_compilers_own_stray_store_stays_refuted(regalloc: Cranelift) -> None:
    """The same bytes, of a program that keeps inside its slots."""
    refuted = 0
    for isa, _, captured, source in functions(regalloc, "strays.clif", ALGORITHMS[0]):
        verdict = validate(isa, captured, dataclasses.replace(source, strays=False, may_stray=False))
        refuted += verdict.status == INVALID
    assert refuted


def test_an_island_between_the_last_move_of_a_block_and_its_jump(regalloc: Cranelift) -> None:
    """Whatever jumps elsewhere in the move's place is refuted."""
    ((isa, _, captured, source),) = functions(regalloc, "island-behind-a-move.clif", ALGORITHMS[1])
    fs1, at = "a callee-saved register is not restored", 0x12C0
    assert decode(isa, captured.code.code, at, at + 1)[0].target == -0x18E
    assert rule(validate(isa, captured, source)) == fs1
    for bit in (8, 16, 32):  # of the distance
        code = bytearray(captured.code.code)
        code[at] ^= bit
        elsewhere = captured._replace(code=replace(captured.code, code=bytes(code)))
        assert rule(validate(isa, elsewhere, source)) not in ("", fs1)
