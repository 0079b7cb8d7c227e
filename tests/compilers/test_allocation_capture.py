"""Register allocation as the shim for regalloc2 shows it: what Cranelift makes anyway, every byte accounted for."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from support.allocation import COLD, CROWDED, EVERYTHING
from support.generators import context

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.cranelift import builds, shim, sources
from liftcheck.compilers.cranelift.capture import FAULTS, PlantedFault
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import Unsupported, UsageError
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.isa import ISAS
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.regalloc.allocation import DEF, FIXED, REUSE, USE, Allocation, Captured, Edit

ALGORITHMS = ("backtracking", "single_pass")
FEATURES = {"x86-64": ("has_sse41", "has_ssse3", "has_fma", "has_avx", "has_bmi2"), "aarch64": (),
            "riscv64": ("has_v", "has_zvl128b"), "s390x": ()}  # fmt: skip
PRESETS = ("has_zvl128b",)
NOWHERE = {"s390x": {"early-def-on-use"}}
"""A fault that has no place on an ISA: no instruction of s390x has a definition in the early position, except for the
loop that probes the stack, which comes after allocation."""


def target(isa: str, *settings: tuple[str, str]) -> Target:
    features = tuple((name, "preset" if name in PRESETS else "true") for name in FEATURES[isa])
    return Target(isa, features + settings)


def every(isa: str) -> list[Target]:
    return [
        target(isa, ("opt_level", level), ("regalloc_algorithm", algorithm))
        for level in ("none", "speed")
        for algorithm in ALGORITHMS
    ]


def captured(compiler: Cranelift, text: str, where: Target, fault: PlantedFault | None = None) -> list[Captured]:
    found = []
    for reply in compiler.allocations(text, [where], fault)[0]:
        assert not isinstance(reply, CompileFailure), reply
        found.append(reply)
    return found


def generated() -> str:
    return "\n".join(
        print_module(generate.generate(RandomChoices(seed), "all", context(), prefix=f"p{seed}_").module)
        for seed in range(12)
    )


# -- what is compiled is what is compiled anyway


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("made", [False, True])
def test_the_code_is_the_ordinary_bridges(compiler: Cranelift, regalloc: Cranelift, isa: str, made: bool) -> None:
    text, compared = generated() if made else EVERYTHING, 0
    allocated = regalloc.allocations(text, every(isa))
    for plain, seen in zip(compiler.compile_text(text, every(isa)), allocated, strict=True):
        for one, other in zip(plain, seen, strict=True):
            if isinstance(one, CompileFailure) or isinstance(other, CompileFailure):
                assert isinstance(one, CompileFailure) and isinstance(other, CompileFailure)
                assert (one.kind, one.reason) == (other.kind, other.reason)
                continue
            compared += 1
            assert parts(one) == parts(other.code)
    assert compared > 30


def parts(code: FunctionCode) -> tuple[object, ...]:
    return code.code, code.relocations, code.traps, code.calls, code.alignment


# -- what is shown


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("isa", ISAS)
def test_an_allocation_hangs_together(regalloc: Cranelift, isa: str, algorithm: str) -> None:
    for _, allocation in captured(regalloc, EVERYTHING, target(isa, ("regalloc_algorithm", algorithm))):
        assert allocation.algorithm == algorithm and allocation.fault == ""
        check_blocks(allocation)
        check_operands(allocation)
        keys = [(edit.instruction, edit.where) for edit in allocation.edits]
        assert keys == sorted(keys)


def check_blocks(allocation: Allocation) -> None:
    at = 0
    for number, block in enumerate(allocation.blocks):
        assert block.first == at and block.end > block.first
        at = block.end
        last = allocation.instructions[block.end - 1]
        assert last.is_branch == bool(block.successors) and last.is_branch != last.is_return
        for successor, arguments in zip(block.successors, block.arguments, strict=True):
            assert len(arguments) == len(allocation.blocks[successor].parameters)
            assert number in allocation.blocks[successor].predecessors
    assert at == len(allocation.instructions)


def check_operands(allocation: Allocation) -> None:
    allowed = {register for lists in allocation.environment[:2] for one in lists for register in one}
    for instruction, places in zip(allocation.instructions, allocation.places, strict=True):
        for operand, place in zip(instruction.operands, places, strict=True):
            if operand.vreg != NONE:
                assert allocation.classes[operand.vreg] == operand.cls and operand.kind in (USE, DEF)
            if operand.constraint == FIXED:
                assert place == operand.value
            elif operand.constraint == REUSE:
                assert place == places[operand.value]
            elif place < SLOT:
                assert place >> 6 == operand.cls and place in allowed
            else:
                assert place - SLOT + allocation.slot_sizes[operand.cls] <= allocation.slots


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("isa", ISAS)
def test_every_step_has_its_bytes(regalloc: Cranelift, isa: str, algorithm: str) -> None:
    for code, allocation in captured(regalloc, EVERYTHING, target(isa, ("regalloc_algorithm", algorithm))):
        own = list(zip(allocation.offsets, allocation.ends, strict=True))
        ranges = sorted([*own, *allocation.edit_ranges])
        assert len(allocation.edit_ranges) == len(allocation.edits)
        assert all(a[0] <= a[1] <= b[0] for a, b in pairwise(ranges))
        assert ranges[0][0] >= 0 and ranges[-1][1] <= len(code.code)
        check_order(allocation)
        check_tables(code, allocation)


def check_order(allocation: Allocation) -> None:
    """Within a block, instructions and moves stand without a gap, in their order."""
    for block in allocation.blocks:
        steps = []
        for number in range(block.first, block.end):
            steps += moves(allocation, number, 0)
            steps.append((allocation.offsets[number] or 0, allocation.ends[number]))
            steps += moves(allocation, number, 1)
        assert all(one[1] == other[0] for one, other in pairwise(steps))


def moves(allocation: Allocation, instruction: int, where: int) -> list[tuple[int, int]]:
    return [
        place
        for edit, place in zip(allocation.edits, allocation.edit_ranges)
        if (edit.instruction, edit.where) == (instruction, where)
    ]


def check_tables(code: FunctionCode, allocation: Allocation) -> None:
    """Cranelift's own tables name bytes of the right instructions."""
    own = list(zip(allocation.offsets, allocation.ends, strict=True))
    calls = [place for place, one in zip(own, allocation.instructions) if len(one.clobbers) > 8]
    for site in code.calls:
        assert any((start or 0) < site.offset <= end for start, end in calls)
    prologue, deferred = min(start or 0 for start, _ in own), max(allocation.ends)
    for offset, _ in code.traps:
        inside = any((start or 0) <= offset < end for start, end in own)
        assert inside or offset < prologue or offset >= deferred


@pytest.mark.parametrize("isa", ISAS)
def test_cold_blocks_come_last_and_branches_to_what_follows_are_nothing(regalloc: Cranelift, isa: str) -> None:
    code, allocation = captured(regalloc, COLD, target(isa))[0]
    cold = next(
        block
        for block in allocation.blocks[1:]
        if allocation.offsets[block.first] == max(allocation.offsets[other.first] or 0 for other in allocation.blocks)
    )
    assert cold.first < allocation.blocks[-1].first
    assert allocation.ends[cold.end - 1] == max(allocation.ends) <= len(code.code)
    jumps = [block.end - 1 for block in allocation.blocks if len(block.successors) == 1 and block is not cold]
    assert [allocation.ends[jump] - (allocation.offsets[jump] or 0) for jump in jumps] == [0] * len(jumps) and jumps


@pytest.mark.parametrize("isa", ISAS)
def test_text_on_request(regalloc: Cranelift, isa: str) -> None:
    [[plain, *_]] = regalloc.allocations(COLD, [target(isa)])
    [[told, *_]] = regalloc.allocations(COLD, [target(isa)], with_text=True)
    assert isinstance(plain, Captured) and isinstance(told, Captured)
    texts = [instruction.text for instruction in told.allocation.instructions]
    assert all(texts) and texts[0].startswith("args") and texts[-1].startswith("rets")
    assert not any("sequence_point" in text for text in texts)
    assert {one.text for one in plain.allocation.instructions} == {""}
    assert [one._replace(text="") for one in told.allocation.instructions] == list(plain.allocation.instructions)


def test_a_frame_says_what_it_knows(regalloc: Cranelift) -> None:
    text = "\n".join(
        [
            "function %f(i64) -> i64 system_v {",
            "    ss0 = explicit_slot 24",
            "    ss1 = explicit_slot 8",
            "block0(v0: i64):",
            "    v1 = stack_addr.i64 ss1",
            "    store v0, v1",
            "    return v0",
            "}",
        ]
    )
    [(_, allocation)] = captured(regalloc, text, target("x86-64"))
    assert allocation.frame["slot_sizes"] == [24, 8] and allocation.frame["convention"] == "system_v"
    assert isinstance(allocation.frame["slots"], list) and len(allocation.frame["slots"]) == 2


def test_what_repeats_another_target_is_read_once(regalloc: Cranelift) -> None:
    levels = [target("s390x", ("opt_level", level)) for level in ("none", "speed")]
    [[one, *_], [other, *_]] = regalloc.allocations(COLD, levels)
    assert isinstance(one, Captured) and one is other


def test_only_the_build_with_the_stand_in_can(compiler: Cranelift) -> None:
    with pytest.raises(Unsupported, match="open it with the profile 'regalloc'"):
        compiler.allocations(COLD, [Target("x86-64")])


def test_a_text_that_is_refused_is_a_failure(regalloc: Cranelift) -> None:
    [[reply]] = regalloc.allocations(
        "function %f() -> i64 {\nblock0:\n    v0 = nonsense\n    return v0\n}\n", [Target("x86-64")]
    )
    assert isinstance(reply, CompileFailure) and reply.kind == "input"


# -- planted faults


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("isa", ISAS)
def test_every_fault_has_a_place(regalloc: Cranelift, isa: str, algorithm: str) -> None:
    where = target(isa, ("regalloc_algorithm", algorithm))
    whole = captured(regalloc, EVERYTHING, where)
    without = set()
    for kind in FAULTS:
        replies = regalloc.allocations(EVERYTHING, [where], PlantedFault(kind, 11))[0]
        if not any(is_faulty(one, other) for one, other in zip(whole, replies, strict=True)):
            without.add(kind)
    assert without == NOWHERE.get(isa, set())


def is_faulty(whole: Captured, reply: Captured | CompileFailure) -> bool:
    """Whether there is a fault; where there is none all is as it was."""
    if isinstance(reply, CompileFailure):
        assert reply.kind == "panic" and "[damage: " in reply.message
        return True
    words = reply.allocation.fault
    if words.startswith("nothing: no site"):
        assert reply.code.code == whole.code.code and reply.allocation.edits == whole.allocation.edits
        return False
    assert words and (reply.allocation.edits, reply.allocation.places, reply.allocation.slots) != (
        whole.allocation.edits,
        whole.allocation.places,
        whole.allocation.slots,
    )
    return True


def test_a_fault_is_the_same_every_time(regalloc: Cranelift) -> None:
    where, words = target("aarch64"), set()
    for seed in range(20):
        first, second = (captured(regalloc, CROWDED, where, PlantedFault("resource-edit", seed)) for _ in range(2))
        assert [one.allocation for one in first] == [one.allocation for one in second]
        assert [one.code.code for one in first] == [one.code.code for one in second]
        words.add(first[0].allocation.fault)
    assert len(words) > 15


def test_a_dropped_edit_is_gone(regalloc: Cranelift) -> None:
    where = target("riscv64")
    [whole, *_] = captured(regalloc, CROWDED, where)
    [cut, *_] = captured(regalloc, CROWDED, where, PlantedFault("drop-edit", 3))
    missing = [edit for edit in whole.allocation.edits if edit not in cut.allocation.edits]
    assert len(cut.allocation.edits) == len(whole.allocation.edits) - 1 and len(missing) <= 1
    assert all(isinstance(edit, Edit) for edit in missing) and cut.allocation.fault.endswith("dropped")
    assert len(cut.code.code) < len(whole.code.code)


def test_upstreams_checker_sees_the_fault(regalloc: Cranelift) -> None:
    where, seen = target("x86-64", ("regalloc_checker", "true")), 0
    captured(regalloc, CROWDED, where)
    for seed in range(10):
        reply = regalloc.allocations(CROWDED, [where], PlantedFault("drop-edit", 5 * seed))[0][0]
        seen += isinstance(reply, CompileFailure) and "register allocation checker" in reply.reason
    assert seen >= 8


def test_an_unknown_fault_is_told(regalloc: Cranelift) -> None:
    with pytest.raises(UsageError, match="drop-edit"):
        regalloc.allocations(COLD, [Target("x86-64")], PlantedFault("drop-edits"))


# -- the build


def test_the_stand_in_beside_its_project(tmp_path: Path) -> None:
    registry, project = tmp_path / "registry/regalloc2-0.15.2", tmp_path / "project"
    (registry / "src").mkdir(parents=True)
    (registry / "src/lib.rs").write_text("// theirs\n")
    (registry / "Cargo.toml").write_text(
        '[package]\nname = "regalloc2"\nversion = "0.15.2"\n[features]\nchecker = []\n'
        'default = ["std"]\nstd = []\n[lib]\nname = "regalloc2"\n'
    )
    (project / "src").mkdir(parents=True)
    source = sources.published("0.135.8")
    (project / "Cargo.toml").write_text(sources.manifest(source, builds.REGALLOC))
    (project / "Cargo.lock").write_text('[[package]]\nname = "regalloc2"\nversion = "0.15.2"\n')
    package = {"name": "regalloc2", "version": "0.15.2", "manifest_path": str(registry / "Cargo.toml")}
    shim.install(project, json.dumps({"packages": [package]}))
    assert (project / "regalloc2-real/src/lib.rs").read_text() == "// theirs\n"
    real = (project / "regalloc2-real/Cargo.toml").read_text()
    assert 'name = "regalloc2-real"' in real and 'name = "regalloc2_real"' in real
    own = (project / "regalloc2/Cargo.toml").read_text()
    assert 'version = "0.15.99"' in own and 'checker = ["real/checker"]' in own and 'default = ["std"]' in own
    manifest = (project / "Cargo.toml").read_text()
    assert 'regalloc2 = "=0.15.99"' in manifest and '[patch.crates-io]\nregalloc2 = { path = "regalloc2" }' in manifest
    assert (project / "src/allocation.rs").exists()


def test_a_modified_crate_keeps_its_own_patch() -> None:
    text = '[dependencies]\nlog = "0.4"\n[patch.crates-io]\ncranelift-codegen = { path = "x" }\n'
    patched = shim._patched(text, "0.13.99")
    assert patched.count("[patch.crates-io]") == 1
    assert 'regalloc2 = { path = "regalloc2" }\ncranelift-codegen = { path = "x" }' in patched


def test_the_ordinary_build_does_not_depend_on_the_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sources.published("0.135.8")
    copy = tmp_path / "bridge"
    shutil.copytree(sources.BRIDGE, copy)
    monkeypatch.setattr(sources, "BRIDGE", copy)
    before = {profile: sources.key(source, profile, "1.95.0") for profile in builds.PROFILES}
    (copy / "shim/bridge/allocation.rs").write_text("// changed\n")
    after = {profile: sources.key(source, profile, "1.95.0") for profile in builds.PROFILES}
    assert [profile for profile in builds.PROFILES if before[profile] != after[profile]] == [builds.REGALLOC]
