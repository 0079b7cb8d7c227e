"""Planted faults of register allocation, quickly: each kind once on each ISA, in the bytes and at the seam.

What is right is proven valid; its faulty twin is refuted, and in words that fit the fault. The large experiment, with
upstream's checker and execution beside the validator, is `ci/experiments/regalloc_faults.py`.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from support.scripts import ROOT, load

from liftcheck.case import CompileFailure, Target
from liftcheck.compilers.cranelift.capture import FAULTS, PlantedFault
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.code.accesses import IDLE
from liftcheck.oracles.regalloc.source import Source
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, VALID, Counterexample, Verdict
from liftcheck.regalloc.allocation import Captured

edits = load("experiments/regalloc_edits")
harmless = load("experiments/regalloc_harmless")
known = load("experiments/regalloc_known")
faults = load("experiments/regalloc_faults")


def crowded() -> str:
    """Integers, floats and vectors that live across a call and round a loop: more than there are registers."""
    lines = [
        "function %crowded(i64, i64, f64) -> i64, f64 system_v {",
        "    fn0 = %callee(i64) -> i64 system_v",
        "block0(v0: i64, v1: i64, v90: f64):",
    ]
    lines += [f"    v{n} = iadd v{n - 2}, v{n - 1}" for n in range(2, 26)]
    lines += [f"    v{n} = fadd v{n - 1}, v90" for n in range(91, 97)]
    lines += [
        "    v40 = call fn0(v25)",
        "    jump block1(v40, v1, v96)",
        "block1(v41: i64, v42: i64, v97: f64):",
        "    v43 = isub v41, v24",
        "    v98 = fmul v97, v95",
        "    v44 = icmp ult v43, v42",
        "    v45 = sshr v43, v42",
        "    brif v44, block1(v42, v45, v98), block2",
        "block2:",
    ]
    total, last = "v43", "v98"
    for n in range(24):
        lines.append(f"    v{50 + n} = bxor {total}, v{n}")
        total = f"v{50 + n}"
    for n in range(91, 96):
        lines.append(f"    v{100 + n} = fsub {last}, v{n}")
        last = f"v{100 + n}"
    return "\n".join([*lines, f"    return {total}, {last}", "}", ""])


NARROW = """
function %narrow(i8, i8, i16) -> i8 system_v {
block0(v0: i8, v1: i8, v2: i16):
    v3 = smax v0, v1
    v4 = sdiv v3, v1
    v5 = sextend.i64 v4
    v6 = sextend.i64 v2
    v7 = iadd v5, v6
    v8 = ireduce.i8 v7
    v9 = sshr v8, v0
    v10 = rotl v9, v1
    return v10
}
"""
POINT = """
function %point(i32) -> i32 system_v {
block0(v0: i32):
    br_table v0, block3(v0), [block1, block2]
block1:
    sequence_point
    jump block3(v0)
block2:
    v1 = iadd v0, v0
    jump block3(v1)
block3(v2: i32):
    return v2
}
"""
MOVE = {
    "a move's target gets another value",
    "a move's code does something else than moving",
    "a move's code changes something else",
}
SLOTS = {
    "a spill slot is not where it was before",
    "a spill slot lies outside of the frame",
    "two spill slots overlap",
    "a spill slot overlaps what the prologue saved",
}
SAVED = {
    "a callee-saved register is not restored",
    "the frame pointer does not point to the saved one",
    "an exit does not return to the caller",
}
FRAME = {
    "the frame has another size than the compiler says",
    "the prologue stores into the caller's frame",
    "an exit does not give the stack pointer back",
    "the prologue leaves the stack pointer above the caller's",
}
USES = {
    "an instruction reads a register that is not one of its uses",
    "a use's register is not read",
    "a use is read by more fields than there are operands",
}
WRITES = {"an instruction writes a register that is not its own", "a definition's register is not written"}
NAMED = {"spill": MOVE | SLOTS | {"a spill does not store the value"}, "reload": MOVE | SLOTS, "move": MOVE,
         "pair": MOVE | SLOTS | {"an instruction's bytes reach into the next one's",
                                 "a spill does not store the value"},
         "save": SAVED | SLOTS | FRAME | {IDLE}, "restore": SAVED | FRAME, "frame": FRAME | SAVED | SLOTS,
         "unframe": FRAME | SAVED | SLOTS}  # fmt: skip
NO_HARM = {
    ("x86-64", "frame given back in part"): "the next instruction that needs the stack pointer sets it from the "
    "frame pointer"
}


def functions(regalloc: Cranelift, isa: str, fault: PlantedFault | None = None) -> list[Captured]:
    """Under both allocators; those functions that the compiler does not refuse."""
    targets = [Target(isa, (("regalloc_algorithm", name),)) for name in ("backtracking", "single_pass")]
    columns = regalloc.allocations(crowded() + NARROW, targets, fault, with_text=True)
    assert fault or not any(isinstance(reply, CompileFailure) for column in columns for reply in column)
    return [reply for column in columns for reply in column if isinstance(reply, Captured)]


def _loses_fs1(isa: str, function: Captured) -> bool:
    """riscv64's callees do not keep it (docs/findings/riscv64-fs1-not-saved.md): refuted, without a fault."""
    verdict = validate(isa, function)
    return isa == "riscv64" and verdict.counterexample is not None and verdict.counterexample.place == 64 + 9


@pytest.mark.parametrize("isa", ISAS)
def test_wrong_bytes_are_refuted_and_named(regalloc: Cranelift, isa: str) -> None:
    right = [function for function in functions(regalloc, isa) if not _loses_fs1(isa, function)]
    assert len(right) >= 3
    assert [validate(isa, function).status for function in right] == [VALID] * len(right)
    assert any(edit.target >= SLOT for function in right for edit in function.allocation.edits)
    planted = set()
    for kind, row in edits.KINDS.items():
        for function in right:
            fault = edits.plant(kind, isa, function, Random(kind))
            if fault is None:
                continue
            planted.add(kind)
            verdict = validate(isa, fault.captured)
            if (isa, kind) in NO_HARM:
                assert verdict.status == VALID and harmless.why(isa, function, fault.captured) == NO_HARM[isa, kind]
                continue
            assert verdict.status == INVALID, (kind, fault.words, verdict)
            words = NAMED.get(row.where, USES if "reads" in kind else WRITES)
            assert verdict.reason in words, (kind, fault.words, verdict.counterexample.render())
    assert len(planted) >= 20, set(edits.KINDS) - planted


@pytest.mark.parametrize("isa", ISAS)
def test_a_fault_at_the_seam_is_refuted_or_harmless(regalloc: Cranelift, isa: str) -> None:
    right = {(f.code.name, f.allocation.algorithm): f for f in functions(regalloc, isa)}
    refuted: dict[str, int] = {}
    for kind in FAULTS:
        for seed in range(4):
            for faulty in functions(regalloc, isa, PlantedFault(kind, seed)):
                if not faulty.allocation.fault or faulty.allocation.fault.startswith("nothing"):
                    continue
                verdict = validate(isa, faulty)
                refuted[kind] = refuted.get(kind, 0) + (verdict.status == INVALID)
                whole = right[faulty.code.name, faulty.allocation.algorithm]
                assert verdict.status == INVALID or harmless.why(isa, whole, faulty), faulty.allocation.fault
    assert len(refuted) >= len(FAULTS) - 5, set(FAULTS) - set(refuted)
    assert {kind for kind, count in refuted.items() if not count} <= {"edit-neighbour"}


def test_the_argument_for_harmlessness_is_no_rubber_stamp(regalloc: Cranelift) -> None:
    """It refuses what the validator refutes, edits of bytes as well as faults at the seam."""
    refused = 0
    for function in functions(regalloc, "aarch64"):
        for kind in ("spill dropped", "move to another register", "callee-saved register not restored"):
            fault = edits.plant(kind, "aarch64", function, Random(1))
            if fault is not None:
                assert validate("aarch64", fault.captured).status == INVALID
                assert harmless.why("aarch64", function, fault.captured) == ""
                refused += 1
    right = {(f.code.name, f.allocation.algorithm): f for f in functions(regalloc, "aarch64")}
    for kind in ("use", "def", "resource-edit", "merge-slots", "swap-uses"):
        for faulty in functions(regalloc, "aarch64", PlantedFault(kind, 3)):
            if validate("aarch64", faulty).status == INVALID:
                whole = right[faulty.code.name, faulty.allocation.algorithm]
                assert harmless.why("aarch64", whole, faulty) == "", faulty.allocation.fault
                refused += 1
    assert refused > 10


@pytest.mark.parametrize("isa", ISAS)
def test_a_block_of_a_point_and_a_jump_may_be_left_out(regalloc: Cranelift, isa: str) -> None:
    """The point has no bytes, so the assembler sends the table's entry on."""
    columns = regalloc.allocations(
        POINT, [Target(isa, (("regalloc_algorithm", name),)) for name in ("backtracking", "single_pass")]
    )
    for (function,) in columns:
        assert isinstance(function, Captured)
        assert validate(isa, function).status == VALID


def test_a_known_bug_is_told_from_a_false_alarm(regalloc: Cranelift) -> None:
    text = (ROOT / "corpus" / "regalloc" / "riscv64-fs1.clif").read_text()
    text = text[text.index("\nfunction ") :]
    (function,) = regalloc.allocations(text, [Target("riscv64", (("regalloc_algorithm", "single_pass"),))])[0]
    assert isinstance(function, Captured)
    verdict, source = validate("riscv64", function), Source({"": frozenset({"apple_aarch64"})})
    assert verdict.counterexample is not None
    assert known.page("riscv64", function, source, verdict) == "riscv64-fs1-not-saved"
    other = replace(verdict.counterexample, place=64 + 8)
    assert known.page("riscv64", function, source, replace(verdict, counterexample=other)) == ""
    other = replace(verdict.counterexample, rule="an instruction stores into a spill slot")
    assert known.page("riscv64", function, source, replace(verdict, counterexample=other)) == ""
    assert known.page("aarch64", function, source, replace(verdict, counterexample=other)) != ""
    assert known.page("aarch64", function, Source({}), replace(verdict, counterexample=other)) == ""
    assert {row.page for row in known.KNOWN} <= {path.stem for path in (ROOT / "docs" / "findings").iterdir()}


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.parametrize(("rule", "code"), [("", 0), ("two spill slots overlap", 1)])
def test_a_refutation_without_a_fault_is_a_false_alarm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rule: str, code: int
) -> None:
    example = Counterexample(rule, 0, (0,), NONE, "", "expected", "found")
    verdict = Verdict(INVALID, rule, example) if rule else Verdict(VALID)
    monkeypatch.setattr(faults, "validate", lambda *_: verdict)
    monkeypatch.setattr(faults.Experiment, "byte_fault", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["regalloc_faults.py", "--isa", "x86-64", "--kind", "move dropped", "--time", "1"])
    assert faults.main() == code
    assert (f"FALSE ALARM x86-64, seed 100001, %f0: block0: {rule}" in capsys.readouterr().out) == bool(rule)
