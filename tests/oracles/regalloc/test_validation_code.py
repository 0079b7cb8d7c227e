"""The bytes against the allocation: right ones are valid, each kind of wrong ones is refuted by the rule for it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from support import validation_code_faults as faults
from support.allocation import COLD, CROWDED, EVERYTHING

from liftcheck.case import Target
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.mach.regs import FLOAT
from liftcheck.oracles.regalloc.code import check
from liftcheck.oracles.regalloc.verdict import INVALID, VALID, Verdict
from liftcheck.regalloc.allocation import Captured

SPILLING = """\
function %spilling(i64, i64, f64, f64) -> i64, f64 {
    fn0 = %g(i64, f64) -> i64, f64
block0(v0: i64, v1: i64, v2: f64, v3: f64):
    v4 = imul v0, v1
    v5 = isub v0, v1
    v6 = bxor v0, v1
    v7 = bor v0, v1
    v8 = band v0, v1
    v9 = iadd v0, v1
    v10 = fadd v2, v3
    v11 = fsub v2, v3
    v12 = fmul v2, v3
    brif v4, block1(v5), block2
block1(v20: i64):
    v21, v22 = call fn0(v20, v10)
    v23, v24 = call fn0(v21, v11)
    v25 = iadd v23, v6
    v26 = isub v25, v7
    v27 = bxor v26, v8
    v28 = isub v27, v9
    v29 = imul v28, v4
    v30 = isub v29, v20
    v31 = fsub v24, v12
    v32 = fsub v31, v11
    v33 = fsub v32, v22
    v34 = isub v30, v0
    v35 = isub v34, v1
    return v35, v33
block2:
    v40, v41 = call fn0(v6, v10)
    v42 = isub v40, v8
    jump block1(v42)
}
"""


TABLE = """\
function %table(i32, i64) -> i64 {
block0(v0: i32, v1: i64):
    br_table v0, block1(v1), [block2, block1(v1), block3, block2]
block1(v2: i64):
    v3 = iadd v2, v2
    return v3
block2:
    v4 = isub v1, v1
    return v4
block3:
    v5 = imul v1, v1
    jump block1(v5)
}
"""


def compiled(compiler: Cranelift, isa: str, text: str, *settings: tuple[str, str]) -> list[Captured]:
    replies = compiler.allocations(text, [Target(isa, tuple(sorted(settings)))], with_text=True)[0]
    return [reply for reply in replies if isinstance(reply, Captured)]


@cache
def spilling(compiler: Cranelift, isa: str) -> Captured:
    return compiled(compiler, isa, SPILLING, ("regalloc_algorithm", "single_pass"))[0]


ALL = [(isa, algorithm) for isa in ISAS for algorithm in ("backtracking", "single_pass")]


@pytest.mark.parametrize(("isa", "algorithm"), ALL)
def test_what_cranelift_makes_is_valid(regalloc: Cranelift, isa: str, algorithm: str) -> None:
    count = 0
    for text in (SPILLING, COLD, CROWDED, EVERYTHING):
        for level in ("none", "speed"):
            for captured in compiled(regalloc, isa, text, ("regalloc_algorithm", algorithm), ("opt_level", level)):
                verdict = check.check(isa, captured)
                if not _fs1(isa, verdict):
                    assert verdict.status == VALID, verdict.counterexample and verdict.counterexample.render()
                    count += 1
    assert count >= 8


def _fs1(isa: str, verdict: Verdict) -> bool:
    """Cranelift's riscv64 does not save fs1: docs/findings/riscv64-fs1-not-saved.md."""
    example = verdict.counterexample
    return (
        isa == "riscv64"
        and example is not None
        and (example.rule, example.place) == ("a callee-saved register is not restored", FLOAT * 64 + 9)
    )


def test_fs1_is_reported(regalloc: Cranelift) -> None:
    verdicts = [check.check("riscv64", captured) for captured in compiled(regalloc, "riscv64", CROWDED)]
    assert any(_fs1("riscv64", verdict) for verdict in verdicts)


LARGE = """\
function %large(i64, i64) -> i64 {
    ss0 = explicit_slot 100000
    fn0 = %g(i64) -> i64
block0(v0: i64, v1: i64):
    v2 = stack_addr.i64 ss0
    store v0, v2+8
    v3 = call fn0(v2)
    v4 = iadd v3, v1
    v5 = load.i64 v2+8
    v6 = iadd v4, v5
    return v6
}
"""


@pytest.mark.parametrize("isa", ISAS)
def test_loops_that_probe_the_stack_are_executed(regalloc: Cranelift, isa: str) -> None:
    probing = (("enable_probestack", "true"), ("probestack_strategy", "inline"))
    captured = compiled(regalloc, isa, LARGE, *probing)[0]
    verdict = check.check(isa, captured)
    assert verdict.status == VALID, verdict
    refuted = 0
    end = min(offset for offset in captured.allocation.offsets if offset is not None)
    for offset in range(0, end, 4):
        code = bytearray(captured.code.code)
        code[offset] ^= 16
        spoiled = Captured(replace(captured.code, code=bytes(code)), captured.allocation)
        refuted += check.check(isa, spoiled).status == INVALID
    assert refuted > 1


@pytest.mark.parametrize(
    ("isa", "right", "wrong"),
    [
        ("aarch64", "1f0211ab", "1f8211ab"),  # cmn x16, x17; the same, lsl #32
        ("aarch64", "1f0211ab", "1f02112b"),  # of 32 bits
        ("x86-64", "4c3bdc", "443bdc"),  # cmp r11, rsp; of 32 bits
    ],
)
def test_a_loop_that_probes_compares_whole_registers(regalloc: Cranelift, isa: str, right: str, wrong: str) -> None:
    probing = (("enable_probestack", "true"), ("probestack_strategy", "inline"))
    captured = compiled(regalloc, isa, LARGE, *probing)[0]
    assert captured.code.code.count(bytes.fromhex(right)) == 1
    code = captured.code.code.replace(bytes.fromhex(right), bytes.fromhex(wrong))
    spoiled = Captured(replace(captured.code, code=code), captured.allocation)
    assert check.check(isa, spoiled).status != VALID


def test_riscv64_probes_by_a_call_overwrite_the_first_argument(regalloc: Cranelift) -> None:
    """A bug of Cranelift's: the frame's size goes into a0, which holds an argument."""
    probing = (("enable_probestack", "true"), ("probestack_strategy", "outline"))
    verdict = check.check("riscv64", compiled(regalloc, "riscv64", LARGE, *probing)[0])
    assert verdict.reason == "the prologue changes an argument's register"
    assert verdict.counterexample is not None and verdict.counterexample.place == 10


@pytest.mark.parametrize("isa", ISAS)
def test_z3_says_the_same(regalloc: Cranelift, isa: str) -> None:
    captured = spilling(regalloc, isa)
    verdict = check.check(isa, captured, z3_only=True)
    assert verdict.status == VALID and verdict.counts.by_z3 >= len(captured.allocation.edits) > 10


MOVES = {
    "narrower store": (faults.narrower_store, "spill", {"a spill does not store the value"}),
    "narrower load": (faults.narrower_load, "reload", {"a move's target gets another value"}),
    "wrong offset of a store": (faults.other_offset, "spill", {
        "a spill slot is not where it was before", "two spill slots overlap", "a spill slot lies outside of the frame",
        "a spill slot overlaps what the prologue saved"}),
    "wrong offset of a load": (faults.other_offset, "reload", {"a spill slot is not where it was before"}),
    "wrong base of a store": (faults.other_base, "spill", {"a move's code does something else than moving"}),
    "wrong base of a load": (faults.other_base, "reload", {"a move's code does something else than moving"}),
    "another register stored": (faults.other_source, "spill", {"a spill does not store the value"}),
    "another register loaded": (faults.other_target, "reload", {
        "a move's code changes something else", "a move's target gets another value"}),
    "move from another register": (faults.other_source, "move", {"a move's target gets another value"}),
    "move to another register": (faults.other_target, "move", {
        "a move's code changes something else", "a move's target gets another value"}),
}  # fmt: skip


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", MOVES)
def test_moves_with_wrong_bytes_are_refuted(regalloc: Cranelift, isa: str, kind: str) -> None:
    fault, what, rules = MOVES[kind]
    captured = spilling(regalloc, isa)
    found = 0
    for piece in faults.moves(isa, captured, what):
        for spoiled in list(faults.flipped(isa, captured, piece.start, fault))[:4]:
            verdict = check.check(isa, spoiled.captured)
            assert verdict.status == INVALID, (spoiled.before.text, spoiled.after.text)
            assert verdict.reason in rules, (verdict.reason, spoiled.before.text, spoiled.after.text)
            found += 1
    assert found


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("what", ["spill", "reload", "move"])
def test_a_removed_move_is_refuted(regalloc: Cranelift, isa: str, what: str) -> None:
    captured = spilling(regalloc, isa)
    pieces = faults.moves(isa, captured, what)
    assert pieces
    for piece in pieces:
        verdict = check.check(isa, faults.removed(isa, captured, piece.start).captured)
        assert verdict.status == INVALID, verdict
        assert any(word in verdict.reason for word in ("move", "spill", "slot")), verdict


@pytest.mark.parametrize("isa", ISAS)
def test_a_dropped_save_and_a_dropped_restore_are_refuted(regalloc: Cranelift, isa: str) -> None:
    captured = spilling(regalloc, isa)
    places = [*faults.saves(isa, captured), *faults.restores(isa, captured)]
    assert len(places) >= 2
    for offset in places:
        verdict = check.check(isa, faults.removed(isa, captured, offset).captured)
        assert verdict.status == INVALID, hex(offset)
        assert verdict.reason in {
            "a callee-saved register is not restored",
            "an exit does not give the stack pointer back",
            "an exit does not return to the caller",
            "the frame has another size than the compiler says",
            "the frame pointer does not point to the saved one",
        }, verdict.reason


@pytest.mark.parametrize("isa", ISAS)
def test_own_bytes_with_a_foreign_register_are_refuted(regalloc: Cranelift, isa: str) -> None:
    captured = spilling(regalloc, isa)
    found = {"reads": 0, "writes": 0}
    for spoiled, what in faults.foreign(isa, captured):
        verdict = check.check(isa, spoiled.captured)
        assert verdict.status == INVALID, (what, spoiled.before.text, spoiled.after.text)
        found[what] += 1
    assert min(found.values()) > 10


@pytest.mark.parametrize("isa", ISAS)
def test_a_jump_elsewhere_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured = spilling(regalloc, isa)
    found = 0
    for spoiled in faults.retargeted(isa, captured):
        verdict = check.check(isa, spoiled.captured)
        assert verdict.status == INVALID and any(
            word in verdict.reason for word in ("jump", "way", "control leaves")
        ), (verdict, spoiled.before.text, spoiled.after.text)
        found += 1
    assert found > 5


@pytest.mark.parametrize("isa", ISAS)
def test_a_wrong_entry_of_a_table_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured = compiled(regalloc, isa, TABLE)[0]
    assert check.check(isa, captured).status == VALID
    branch = next(i for i, what in enumerate(captured.allocation.instructions) if what.is_branch)
    end = captured.allocation.ends[branch]
    rules = set()
    for offset in range(end - 16, end, 4):
        code = bytearray(captured.code.code)
        code[offset + (3 if isa == "s390x" else 2 if isa == "riscv64" else 0)] ^= 0x40
        spoiled = Captured(replace(captured.code, code=bytes(code)), captured.allocation)
        rules.add(check.check(isa, spoiled).reason)
    assert "a table does not lead to the start of a successor" in rules, rules


@pytest.mark.parametrize("isa", ISAS)
def test_a_narrower_save_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured = spilling(regalloc, isa)
    found = 0
    for offset in faults.saves(isa, captured):
        for spoiled in list(faults.flipped(isa, captured, offset, faults.narrower_store))[:2]:
            verdict = check.check(isa, spoiled.captured)
            assert verdict.reason == "a callee-saved register is not restored", verdict
            found += 1
    assert found or isa in ("aarch64", "s390x")  # pairs, blocks


def test_counterexamples_show_the_bytes(regalloc: Cranelift) -> None:
    captured = spilling(regalloc, "x86-64")
    piece = faults.moves("x86-64", captured, "spill")[0]
    spoiled = next(faults.flipped("x86-64", captured, piece.start, faults.narrower_store))
    verdict = check.check("x86-64", spoiled.captured)
    assert verdict.counterexample is not None
    shown_text = verdict.counterexample.render()
    assert "a spill does not store the value" in shown_text and spoiled.after.text in shown_text
    assert "word[" in verdict.counterexample.found or "bits" in verdict.counterexample.found
