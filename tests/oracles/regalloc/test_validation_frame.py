"""Prologues, exits and what is handed over on the stack: each amount and each word is the right one, or refuted.

Every function of corpus/regalloc/tail-arguments.clif is valid as it is (test_validation_outside); here its bytes are
faulty, one kind at a time, on each ISA that has it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.validation_planting import flips, from_corpus, late_definitions, one, placed, put, refuted

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import abi_named, reserved
from liftcheck.mach.insn import BRANCH, MEMORY, Insn, decode
from liftcheck.mach.regs import SLOT
from liftcheck.oracles.regalloc.code import check
from liftcheck.oracles.regalloc.code.calls import Calls
from liftcheck.oracles.regalloc.code.executed import Execution
from liftcheck.oracles.regalloc.code.layout import Layout, Placed
from liftcheck.oracles.regalloc.source import Source
from liftcheck.regalloc.allocation import ALGORITHMS, DEF, EARLY, USE, Captured

FILE = "tail-arguments.clif"
GIVEN_BACK = "an exit does not give the stack pointer back"
SIZE = "the frame has another size than the compiler says"
CHAIN = "a frame is not chained to its caller's"
LINKED = [isa for isa in ISAS if abi_named(isa).link >= 0]
CHAINED = [isa for isa in ISAS if abi_named(isa).back_chain]


def own(compiler: Cranelift, isa: str, function: str) -> tuple[Captured, Source]:
    captured, source = from_corpus(compiler, FILE, isa, function)
    assert not refuted(isa, captured, source)
    return captured, source


def exits(isa: str, captured: Captured) -> Iterator[Placed]:
    for i, what in enumerate(captured.allocation.instructions):
        yield from placed(isa, captured, i) if what.is_return else ()


def given_back(isa: str, captured: Captured) -> list[Placed]:
    """What moves the stack pointer in exits, behind where it is taken from the frame pointer."""
    sp, frame = reserved(isa).sp, reserved(isa).frame
    steps = [where for where in exits(isa, captured) if sp in where.machine.writes]
    taken = [n for n, (_, machine) in enumerate(steps) if frame in machine.reads and not machine.accesses]
    return steps[max(taken, default=-1) + 1 :]


def prologue(isa: str, captured: Captured) -> list[Placed]:
    end = min(offset for offset in captured.allocation.offsets if offset is not None)
    at, found = 0, []
    for machine in decode(isa, captured.code.code, 0, end):
        found.append(Placed(at, machine))
        at += machine.size
    return found


def variants(isa: str, captured: Captured, where: Placed) -> Iterator[tuple[Insn, Captured]]:
    """One or two bits of an instruction flipped: known instructions of its size."""
    at, machine = where
    for data in flips(captured.code.code[at : at + machine.size]):
        other = decode(isa, data + bytes(16), 0, 1)[0]
        if other.known and other.size == machine.size:
            yield other, put(isa, captured, at, data, machine.size)


def writes(machine: Insn, place: int) -> object:
    return dict(machine.effect.writes).get(place) if machine.effect is not None else None


# Exits.


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("function", ["%returns", "%more", "%less", "%pointer", "%copies"])
def test_an_exit_takes_away_what_the_signature_says(regalloc: Cranelift, isa: str, function: str) -> None:
    """Each other amount is refuted, and so is none, whether what stands there moves the stack pointer or not."""
    captured, source = own(regalloc, isa, function)
    sp, rules = reserved(isa).sp, []
    for where in given_back(isa, captured):
        assert refuted(isa, put(isa, captured, where.offset, b"", where.machine.size), source), where.machine.text
        for other, changed in variants(isa, captured, where):
            made, before = writes(other, sp), writes(where.machine, sp)
            if made is not None and made is not before and other.reads == where.machine.reads:
                rules.append(refuted(isa, changed, source))
                assert rules[-1], other.text
    assert GIVEN_BACK in rules


@pytest.mark.parametrize("isa", ISAS)
def test_without_a_signature_a_whole_number_of_units_is_taken(regalloc: Cranelift, isa: str) -> None:
    captured, source = own(regalloc, isa, "%returns")
    assert not refuted(isa, captured, dataclasses.replace(source, signature=None))


FOREIGN = {"x86-64": "f30f58c0", "aarch64": "0028201e", "riscv64": "53010101", "s390x": "b30a0000"}
"""An addition of floats, which no prologue and no exit has."""


@pytest.mark.parametrize("isa", ISAS)
def test_an_instruction_without_a_meaning_in_a_prologue_or_an_exit_is_named(regalloc: Cranelift, isa: str) -> None:
    captured, source = own(regalloc, isa, "%returns")
    data, found = bytes.fromhex(FOREIGN[isa]), set()
    name = decode(isa, data + bytes(16), 0, 1)[0].name
    for where, steps in (("the prologue", prologue(isa, captured)), ("an exit", list(exits(isa, captured)))):
        start, end = steps[0].offset, steps[-1].offset
        for room in range(start, end - len(data) + 1):
            found.add(refuted(isa, put(isa, captured, room, data, len(data)), source))
        assert found and "" not in found
        run = Execution(isa, Calls(Layout(isa, captured.code, captured.allocation), captured.code, source))
        run.step(run.entry, start, decode(isa, data + bytes(16), 0, 1)[0], where)
        assert run.doubts == [f"{where} has an instruction that has no meaning here: {name}"]


@pytest.mark.parametrize("isa", LINKED)
def test_a_call_that_keeps_all_registers_loses_the_link(regalloc: Cranelift, isa: str) -> None:
    """What loads it in the exit becomes a load of another register, or of nothing."""
    captured, source = own(regalloc, isa, "%keeps")
    link, found = reserved(isa).link, 0
    for where in exits(isa, captured):
        if link not in where.machine.writes:
            continue
        assert refuted(isa, put(isa, captured, where.offset, b"", where.machine.size), source)
        for other, changed in variants(isa, captured, where):
            if other.name == where.machine.name and link not in other.writes:
                assert refuted(isa, changed, source), other.text
                found += 1
    assert found


# Prologues.

FAR = """\
function %far(i64, i64) preserve_all {
    ss0 = explicit_slot 1200000
    fn0 = colocated %g(i64) preserve_all
block0(v0: i64, v1: i64):
    v2 = stack_addr.i64 ss0
    store v0, v2
    store v1, v2+1199992
    call fn0(v0)
    return
}
"""


@pytest.mark.parametrize("isa", ISAS)
def test_a_far_saved_word_is_found(regalloc: Cranelift, isa: str) -> None:
    """Addresses of words of a large frame are made with an index, or in a register; one made otherwise is refuted."""
    captured, source = one(regalloc, isa, FAR)
    found = 0
    for where in prologue(isa, captured):
        if where.machine.accesses and where.machine.accesses[0].written:
            found += bool(refuted(isa, put(isa, captured, where.offset, b"", where.machine.size), source))
    assert found


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("function", ["%keeps", "%looks", "%more", "%returns"])
def test_a_frame_has_the_size_that_the_compiler_says(regalloc: Cranelift, isa: str, function: str) -> None:
    captured, source = own(regalloc, isa, function)
    frame = captured.allocation.frame
    size = frame["frame_to_fp_offset"]
    assert isinstance(size, int)
    for other in (size + 8, size + 16, size + 4096, size - 16):
        told = replace(captured.allocation, frame={**frame, "frame_to_fp_offset": other})
        assert refuted(isa, captured._replace(allocation=told), source) == SIZE


def test_a_larger_frame_that_is_given_back_is_refuted(regalloc: Cranelift) -> None:
    """s390x has no frame pointer that would show it."""
    captured, source = own(regalloc, "s390x", "%caller")
    code, rules = bytearray(captured.code.code), set()
    (taken,) = [at for at, machine in prologue("s390x", captured) if machine.name == "aghi"]
    back = [at for at, machine in exits("s390x", captured) if machine.name == "lmg"]
    for more in (8, 64, 256):
        changed = bytearray(code)
        frame = -int.from_bytes(code[taken + 2 : taken + 4], "big", signed=True) + more
        changed[taken + 2 : taken + 4] = (-frame).to_bytes(2, "big", signed=True)
        for at in back:
            low = int.from_bytes(code[at + 2 : at + 4], "big")
            changed[at + 2 : at + 4] = (low + more).to_bytes(2, "big")
        larger = captured._replace(code=replace(captured.code, code=bytes(changed)))
        rules.add(refuted("s390x", larger, source))
    assert len(back) == 2 and rules == {SIZE}


@pytest.mark.parametrize("isa", CHAINED)
@pytest.mark.parametrize("function", ["%caller", "%calls", "%returns", "%looks"])
def test_a_prologue_chains_its_frame(regalloc: Cranelift, isa: str, function: str) -> None:
    """What it does for that is left out, or done elsewhere, or with another value."""
    captured, source = own(regalloc, isa, function)
    steps = prologue(isa, captured)
    chains = [step for step in steps if step.machine.name in ("lgr", "la", "lay", "stg")]
    rules = set()
    for where in chains:
        rules.add(refuted(isa, put(isa, captured, where.offset, b"", where.machine.size), source))
        for other, changed in variants(isa, captured, where):
            if other.name == where.machine.name and other.effect != where.machine.effect:
                rules.add(refuted(isa, changed, source))
    assert len(chains) == 2 and CHAIN in rules and "" not in rules


@pytest.mark.parametrize("isa", CHAINED)
def test_a_chain_is_not_far_from_the_frames_bottom(regalloc: Cranelift, isa: str) -> None:
    """Addresses of far words take what made the chain's address; it was not for them."""
    captured, source = one(regalloc, isa, FAR, ("preserve_frame_pointers", "true"))
    (at,) = [at for at, m in prologue(isa, captured) if m.name == "stg" and m.accesses[0].displacement == 0]
    code = captured.code.code
    for where in ("0004", "0001"):  # 16384, 4096
        data = code[at : at + 4] + bytes.fromhex(where)[1:] + code[at + 5 : at + 6]
        assert refuted(isa, put(isa, captured, at, data, 6), source) == CHAIN


@pytest.mark.parametrize("isa", CHAINED)
def test_a_save_does_not_reach_into_the_callers_chain(regalloc: Cranelift, isa: str) -> None:
    """A function that never returns restores nothing that would show it."""
    text = """\
function %ends(i64) tail {
    sig0 = (i64, i64) system_v
    fn0 = %g sig0
block0(v0: i64):
    call fn0(v0, v0)
    trap user2
}
"""
    captured, source = one(regalloc, isa, text, ("preserve_frame_pointers", "true"))
    saves = [at for at, machine in prologue(isa, captured) if machine.name == "std"]
    at, code = saves[-1], bytearray(captured.code.code)
    for by in (2, 4, 7):
        changed = code[:]
        changed[at + 3] += by
        rule = refuted(isa, captured._replace(code=replace(captured.code, code=bytes(changed))), source)
        assert rule == "the prologue stores into the caller's frame"


@pytest.mark.parametrize("isa", CHAINED)
def test_a_program_that_looks_for_its_caller_needs_a_chain(regalloc: Cranelift, isa: str) -> None:
    """All that makes it is gone; where nobody looks there need not be one, as a setting has it."""
    captured, source = own(regalloc, isa, "%caller")
    for at, machine in prologue(isa, captured):
        if machine.name in ("lgr", "stg"):
            captured = put(isa, captured, at, b"", machine.size)
    assert refuted(isa, captured, source) == CHAIN
    assert not refuted(isa, captured, dataclasses.replace(source, chained=False))


# What is handed over.


@pytest.mark.parametrize("isa", ISAS)
def test_arguments_of_a_tail_call_lie_where_its_callee_takes_them(regalloc: Cranelift, isa: str) -> None:
    """Stores that end outside of them are refuted: over the return address, in the frame, above the caller's."""
    captured, source = own(regalloc, isa, "%more")
    pointers, refuted_, stores = {reserved(isa).sp, reserved(isa).frame}, 0, 0
    ends = {block.end - 1 for block in captured.allocation.blocks}
    low, high = 1 << 30, 0
    for i in range(1, len(captured.allocation.instructions)):
        for where in placed(isa, captured, i) if i not in ends else ():
            for access in where.machine.accesses if not captured.allocation.instructions[i].clobbers else ():
                if access.written and access.base in pointers:
                    low, high, stores = min(low, access.displacement), max(high, access.displacement + 8), stores + 1
    for i in range(1, len(captured.allocation.instructions)):
        for where in placed(isa, captured, i) if i not in ends else ():
            if not any(access.written and access.base in pointers for access in where.machine.accesses):
                continue
            for other, changed in variants(isa, captured, where):
                to = [access for access in other.accesses if access.base == where.machine.accesses[0].base]
                same = other.name == where.machine.name and other.reads == where.machine.reads
                if same and to and not low <= to[0].displacement <= high - to[0].size:
                    assert refuted(isa, changed, source), other.text
                    refuted_ += 1
    assert stores >= 2 and refuted_


@pytest.mark.parametrize("isa", CHAINED)
def test_a_tail_call_hands_the_back_chain_on(regalloc: Cranelift, isa: str) -> None:
    """It is loaded from the caller's frame and stored into that of the callee, and nowhere else."""
    captured, source = own(regalloc, isa, "%more")
    rows = captured.allocation
    size = rows.frame["frame_to_fp_offset"]
    (load,) = [
        where
        for i in range(1, len(rows.instructions))
        for where in placed(isa, captured, i)
        if any(access.read and access.displacement == size for access in where.machine.accesses)
    ]
    (store,) = [
        where
        for i in range(1, len(rows.instructions))
        for where in placed(isa, captured, i)
        if where.offset == load.offset + load.machine.size
    ]
    for where in (load, store):
        assert refuted(isa, put(isa, captured, where.offset, b"", where.machine.size), source)
        moved = 0
        for other, changed in variants(isa, captured, where):
            if other.name == where.machine.name and other.accesses != where.machine.accesses:
                assert refuted(isa, changed, source), other.text
                moved += 1
        assert moved > 100


@pytest.mark.parametrize("isa", ["riscv64", "s390x"])
def test_a_return_address_is_read_where_it_lies(regalloc: Cranelift, isa: str) -> None:
    """After the first block, where no argument is read."""
    captured, source = own(regalloc, isa, "%caller")
    rows, kept, found = captured.allocation, reserved(isa), 0
    # A back chain tells of the caller, too; which of the two words it is, nobody asks.
    chains = {0, rows.frame["frame_to_fp_offset"]} if isa in CHAINED else set()
    for i in range(rows.blocks[0].end, len(rows.instructions)):
        what = rows.instructions[i]
        for where in placed(isa, captured, i) if not what.is_return and len(what.operands) == 1 else ():
            for other, changed in variants(isa, captured, where) if where.machine.accesses else ():
                access = other.accesses[0] if other.accesses else None
                if other.name != where.machine.name or access is None or access.base not in (kept.sp, kept.frame):
                    continue
                if access != where.machine.accesses[0] and access.displacement not in chains:
                    assert refuted(isa, changed, source), other.text
                    found += 1
    assert found > 20


@pytest.mark.parametrize("isa", ["riscv64"])
def test_only_who_asks_for_the_stack_pointer_reads_by_it(regalloc: Cranelift, isa: str) -> None:
    """The same bytes of a program that does not ask, and that are said to read somewhere above its slot."""
    captured, source = own(regalloc, isa, "%looks")
    asks = dataclasses.replace(source, asked=frozenset(), may_read=False, may_stray=False)
    frame = {**captured.allocation.frame, "slots": [8], "slot_sizes": [24]}
    moved = captured._replace(allocation=replace(captured.allocation, frame=frame))
    assert refuted(isa, moved, asks) in (
        "an instruction reads the frame outside of what is its own",
        "a pointer to nothing in the program",
    )
    assert "reads" not in refuted(isa, moved, dataclasses.replace(source, may_stray=False))


# What callees write.


@pytest.mark.parametrize("isa", CHAINED)
def test_a_callee_that_keeps_all_registers_has_a_save_area_too(regalloc: Cranelift, isa: str) -> None:
    """It clobbers nothing, but writes there; the callee of a tail call writes where this function's callers left it."""
    area = {}
    for function in ("%keeps", "%more"):
        captured, source = own(regalloc, isa, function)
        area[function] = Calls(Layout(isa, captured.code, captured.allocation), captured.code, source).callee_area()
    assert area == {"%keeps": abi_named(isa).callee_area, "%more": 0}


BOTH = """\
function %both(i64, i64) -> i64 system_v {
    fn0 = %g(i64, i64) -> i64 windows_fastcall
    fn1 = %h(i64) -> i64 system_v
block0(v0: i64, v1: i64):
    v2 = call fn0(v0, v1)
    v3 = call fn1(v1)
    v4 = iadd v2, v3
    v5 = iadd v4, v0
    v6 = iadd v5, v1
    return v6
}
"""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nothing_lies_where_a_callee_of_windows_has_its_shadow_space(regalloc: Cranelift, algorithm: str) -> None:
    """The lowest word after the 32 bytes is moved into them, wherever it is accessed. Which of two calls through
    registers has which convention, the code does not say."""
    captured, source = one(regalloc, "x86-64", BOTH, ("regalloc_algorithm", algorithm))
    area = Calls(Layout("x86-64", captured.code, captured.allocation), captured.code, source).callee_area()
    assert area == abi_named("x86-64").shadow["windows_fastcall"] == 32
    accessed = [a.displacement for m in decode("x86-64", captured.code.code) for a in m.accesses if a.base == 4]
    assert min(accessed) >= area
    for low in (0, 8, 24):
        code, at, moved = bytearray(captured.code.code), 0, 0
        for machine in decode("x86-64", captured.code.code):
            at += machine.size
            if any((access.base, access.displacement) == (4, min(accessed)) for access in machine.accesses):
                assert code[at - 1] == min(accessed)
                code[at - 1], moved = low, moved + 1
        lower = captured._replace(code=replace(captured.code, code=bytes(code)))
        rule = refuted("x86-64", lower, source)
        assert moved >= 2 and rule in (
            "a saved word lies where callees write",
            "a spill slot lies outside of the frame",
            "a spill slot overlaps what the prologue saved",
        )


@pytest.mark.parametrize("isa", CHAINED)
def test_a_call_that_keeps_all_registers_clobbers_the_link(regalloc: Cranelift, isa: str) -> None:
    """The allocator is not told of it, where it may give the register out."""
    captured, source = own(regalloc, isa, "%keeps")
    rows, link, found = captured.allocation, reserved(isa).link, 0
    for i, what in enumerate(rows.instructions):
        if link in what.clobbers or any(p == link for p in rows.places[i]):
            keeps = [(o, p) for o, p in zip(what.operands, rows.places[i]) if p != link]
            less = what._replace(clobbers=tuple(c for c in what.clobbers if c != link))
            less = less._replace(operands=tuple(o for o, _ in keeps))
            told = replace(
                rows,
                instructions=(*rows.instructions[:i], less, *rows.instructions[i + 1 :]),
                places=(*rows.places[:i], tuple(p for _, p in keeps), *rows.places[i + 1 :]),
            )
            verdict = check.check(isa, captured._replace(allocation=told), source)
            assert verdict.counterexample is not None
            found += 1
    assert found


# Branches.


STORES = """\
function %stores(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    store v1, v0
    v2 = iadd v0, v1
    return v2
}
"""


@pytest.mark.parametrize(
    ("isa", "code"),
    # cg %r3, 0(%r2); cmp [rdi], rsi; subs xzr, x0, x1
    [("s390x", "e33020000020"), ("x86-64", "483937"), ("aarch64", "1f0001eb")],
)
def test_a_comparison_that_nobody_asks_for_is_refuted(regalloc: Cranelift, isa: str, code: str) -> None:
    """In the place of a store, which has the same inputs and no result; that may trap, and if it may not."""
    captured, source = one(regalloc, isa, STORES)
    assert captured.code.traps
    found = set()
    for i, what in enumerate(captured.allocation.instructions):
        for at, machine in placed(isa, captured, i) if not what.is_return else ():
            if MEMORY in machine.writes:
                for traps in ((), captured.code.traps):
                    code_ = replace(captured.code, traps=traps)
                    changed = put(isa, captured._replace(code=code_), at, bytes.fromhex(code), machine.size)
                    found.add(refuted(isa, changed, source))
    assert found == {"what an instruction's bytes make is not read"}


# Ways to blocks.


@pytest.mark.parametrize("isa", ISAS)
def test_a_stop_for_a_debugger_goes_on(regalloc: Cranelift, isa: str) -> None:
    one(regalloc, isa, "function %stops() system_v {\nblock0:\n debugtrap\n return\n}\n")


LOOPED = """\
function %looped(i64, i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64, v2: i64):
    brif v0, block1, block4
block1:
    v3 = iadd v1, v2
    brif v3, block2, block3(v1)
block4:
    v4 = isub v1, v2
    brif v4, block2, block3(v2)
block2:
    return v0
block3(v6: i64):
    v8 = imul v6, v1
    return v8
}
"""


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("level", ["none", "speed"])
def test_a_branch_that_is_none_any_more_is_refuted(regalloc: Cranelift, isa: str, level: str) -> None:
    """Of blocks that only jump the jump is left out where all are sent on: who falls to where it stood is not there."""
    for algorithm in ALGORITHMS:
        captured, source = one(regalloc, isa, LOOPED, ("opt_level", level), ("regalloc_algorithm", algorithm))
        found = 0
        for i, what in enumerate(captured.allocation.instructions):
            for at, machine in placed(isa, captured, i) if what.is_branch else ():
                if machine.flow == BRANCH:
                    assert refuted(isa, put(isa, captured, at, b"", machine.size), source), machine.text
                    found += 1
        assert found >= 2


# Early definitions.


LEAST = """\
function %least(i128, i128) -> i128 system_v {
block0(v0: i128, v1: i128):
    v2 = icmp slt v0, v1
    v3 = uextend.i128 v2
    return v3
}
"""


def test_s390x_describes_no_early_definition(regalloc: Cranelift) -> None:
    """So none can be lacking; should the compiler get one, `test_a_lacking_early_definition_is_refuted` is its test."""
    captured, _ = one(regalloc, "s390x", LEAST)
    operands = [o for what in captured.allocation.instructions for o in what.operands]
    assert operands and not any((o.kind, o.position) == (DEF, EARLY) for o in operands)
    assert not list(late_definitions(regalloc, "s390x", LEAST))


def test_a_result_over_an_input_that_is_read_behind_it_is_refuted(regalloc: Cranelift) -> None:
    """s390x: the last of an instruction's bytes, which write the result, come first, and the result is in the register
    of an input that the others read."""
    captured, source = one(regalloc, "s390x", LEAST)
    rows, found = captured.allocation, set()
    for i, what in enumerate(rows.instructions):
        steps, places = placed("s390x", captured, i), rows.places[i]
        results = {p for o, p in zip(what.operands, places) if o.kind == DEF}
        inputs = {p for o, p in zip(what.operands, places) if o.kind == USE and p < SLOT}
        if len(steps) != 3 or len(results) != 1 or results & inputs or steps[0].machine.size != steps[2].machine.size:
            continue
        first, last = steps[0], steps[2]
        code = captured.code.code
        for other, _ in variants("s390x", captured, last):
            over = {p for p in other.writes if p >= 0}
            if other.name != last.machine.name or not over <= inputs or other.reads != last.machine.reads:
                continue
            (place,) = over
            moved = tuple(place if o.kind == DEF else p for o, p in zip(what.operands, places))
            data = next(
                d
                for d in flips(code[last.offset : last.offset + last.machine.size])
                if decode("s390x", d + bytes(16), 0, 1)[0] == other
            )
            swapped = put("s390x", captured, first.offset, data, first.machine.size)
            swapped = put("s390x", swapped, last.offset, code[first.offset : first.offset + 6], 6)
            told = replace(rows, places=(*rows.places[:i], moved, *rows.places[i + 1 :]))
            verdict = check.check("s390x", swapped._replace(allocation=told), source)
            found.add(verdict.counterexample.rule if verdict.counterexample else verdict.reason)
    assert found and "" not in found


# Ways out of calls.


def test_what_handlers_lose_is_carried_on_once(regalloc: Cranelift) -> None:
    """The cost is that of the graph, not of exits times calls (`test_growth` counts); each block still gets it."""
    from liftcheck.oracles.regalloc.code.frame import _carried

    captured, _ = one(regalloc, "x86-64", LEAST)
    block = captured.allocation.blocks[0]
    rows = [block._replace(successors=goes) for goes in ((1, 2), (3,), (3,), (1, 4), ())]
    allocation = replace(captured.allocation, blocks=tuple(rows))
    found = _carried(allocation, frozenset({1}), {1: frozenset({2}), 4: frozenset({3})})
    assert [sorted(row) for row in found] == [[1], [1, 2], [1], [1, 2], [1, 2, 3]]
