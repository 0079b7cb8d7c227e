"""The generator: reproducible, well-formed, ending, in the shares that were promised."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from support.generators import context, matrices

from liftcheck.case import Case, Target
from liftcheck.clif.opcodes import FAMILIES, OPCODES, Opcode, key_of, variants
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import by_name
from liftcheck.clif.values import floats, integers, memory_pool, runtime_table, table
from liftcheck.clif.verify import verify
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import InternalError, UsageError
from liftcheck.generators import profiles
from liftcheck.generators.choices import DrawnChoices, RandomChoices, RecordingChoices, ReplayedChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.tables import BY_NAME, UNREACHED, Context, access_bytes, build_table
from liftcheck.interp.run import prepare
from liftcheck.isa import ISAS
from liftcheck.layout import SLOT_SIZE, slot_address

PROFILES = [name for name in profiles.PROFILES if name != "large"]


def made(seed: int, profile: str = "all") -> Case:
    return generate(RandomChoices(seed), profile, context())


def digest(count: int) -> str:
    texts = [print_module(made(seed).module) + repr(made(seed).inputs) for seed in range(count)]
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def runs(case: Case, big_endian: bool = False) -> Iterator[tuple[str, str, bool, bool]]:
    prepared = prepare(case.module, big_endian)
    for run, (args, memory) in enumerate(zip(case.inputs, case.memories)):
        outcome = prepared.run(case.entry, args, {slot_address(case.slot + run): memory}, fuel=200_000)
        yield outcome.kind, outcome.detail, prepared.stats.looped, prepared.stats.called


def test_the_same_seed_gives_the_same_program_in_any_process() -> None:
    here = digest(25)
    folder = Path(__file__).parent
    script = "import sys; sys.path[:0] = sys.argv[1:3]; from test_generators import digest; print(digest(25))"
    for hash_seed in ("1", "77"):
        told = subprocess.run(
            [sys.executable, "-c", script, str(folder), str(folder.parent)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        assert told.stdout.strip() == here


def test_a_program_does_not_depend_on_those_made_before() -> None:
    alone = print_module(generate(RandomChoices(40), "all", Context(ISAS, matrices())).module)
    assert alone == print_module(made(40).module)


def test_different_seeds_give_different_programs() -> None:
    assert len({print_module(made(seed).module) for seed in range(50)}) == 50


def test_a_record_replays() -> None:
    recording = RecordingChoices(RandomChoices(5))
    case = generate(recording, "all", context())
    again = generate(ReplayedChoices(recording.record), "all", context())
    assert print_module(again.module) == print_module(case.module)
    assert again.inputs == case.inputs and again.memories == case.memories


@pytest.mark.parametrize("profile", PROFILES)
def test_our_verifier_accepts_all(profile: str) -> None:
    for seed in range(25):
        assert verify(made(seed, profile).module) == []


def test_a_truncated_record_still_gives_a_valid_program() -> None:
    recording = RecordingChoices(RandomChoices(11))
    generate(recording, "all", context())
    for length in range(0, len(recording.record), max(1, len(recording.record) // 15)):
        case = generate(ReplayedChoices(recording.record[:length]), "all", context())
        assert verify(case.module) == []
        assert all(kind in ("returned", "trapped") for kind, *_ in runs(case))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=strategies.data())
def test_hypothesis_can_decide(data: strategies.DataObject) -> None:
    choices = DrawnChoices(lambda low, high: data.draw(strategies.integers(low, high)))
    assert verify(generate(choices, "default", context()).module) == []


def test_real_verifier_accepts_all(compiler: Cranelift) -> None:
    for seed in range(120):
        text = print_module(made(seed).module)
        assert compiler.verify_text(text, Target("x86-64", (("preserve_frame_pointers", "true"),))) == [], text


def test_runs_end_loop_call_and_trap_in_their_shares() -> None:
    kinds: Counter[str] = Counter()
    looped = called = 0
    for seed in range(250):
        case = made(seed)
        for kind, detail, loop, call in runs(case):
            kinds[kind] += 1
            assert kind in ("returned", "trapped"), (seed, kind, detail)
            assert kind == "returned" or case.tags["may_trap"], (seed, detail)
            looped += loop
            called += call
    total = sum(kinds.values())
    assert 0.03 <= kinds["trapped"] / total <= 0.15
    assert looped / total >= 0.30
    assert called / total >= 0.30


@pytest.mark.parametrize("profile", [*PROFILES, "large"])
def test_every_profile_ends_on_both_byte_orders(profile: str) -> None:
    for seed in range(6 if profile != "large" else 2):
        for big_endian in (False, True):
            assert all(kind in ("returned", "trapped") for kind, *_ in runs(made(seed, profile), big_endian))


def test_entries_show_something() -> None:
    cases = [made(seed) for seed in range(300)]
    shown = [
        case.module.functions[case.entry].signature.returns
        or any(inst.op == "store" for block in case.module.functions[case.entry].blocks for inst in block.insts)
        for case in cases
    ]
    assert sum(map(bool, shown)) >= 0.95 * len(shown)


def test_size_is_a_dial() -> None:
    def mean(size: int) -> float:
        small = Context(ISAS, matrices(), size=size)
        counts = [
            sum(
                len(block.insts)
                for f in generate(RandomChoices(seed), "default", small).module.functions
                for block in f.blocks
            )
            for seed in range(60)
        ]
        return sum(counts) / len(counts)

    assert mean(20) < 58 < mean(60) < 95 < mean(200)


def test_typings_are_reached() -> None:
    """Nine in ten of what the matrices allow is made within 2500 programs; nothing that they lack is."""
    seen: dict[str, set[str]] = {isa: set() for isa in ISAS}
    for seed in range(2500):
        case = made(seed)
        keys = {key_of(inst, f.types) for f in case.module.functions for block in f.blocks for inst in block.insts}
        for isa in case.tags["isas"]:  # type: ignore[attr-defined]
            seen[isa] |= keys
    for isa in ISAS:
        assert seen[isa] <= matrices()[isa]
        missing = matrices()[isa] - seen[isa]
        assert len(missing) < 0.1 * len(matrices()[isa]), sorted(missing)


def test_programs_for_a_subset_say_so() -> None:
    subsets = {made(seed).tags["isas"] for seed in range(400)}
    assert ISAS in subsets and ("x86-64",) in subsets and len(subsets) > 3


def test_unknown_profile() -> None:
    with pytest.raises(UsageError, match="simd"):
        profiles.by_name("nonsense")
    assert profiles.by_name("swarm") is profiles.PROFILES["default"]


def test_profiles_weigh_families_that_there_are() -> None:
    weighed = {family for profile in profiles.PROFILES.values() for family in profile.families}
    assert weighed <= FAMILIES | {"pattern", "rule"}


@pytest.mark.parametrize(
    "row",
    [
        "avg_floor Binary IntVector T,T T - - >=0.140",
        "trap_if_odd CondTrap iB T - trap,idem trap >=0.140",
        "get_vector_length NullAry Addr - T - address >=0.140",
    ],
)
def test_an_opcode_that_nothing_emits_is_an_error(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPCODES, row.split()[0], Opcode(row))
    with pytest.raises(InternalError, match=f"cannot emit {row.split()[0]}:"):
        build_table(("x86-64",), frozenset({"iconst.i32"}))


def test_what_has_a_reason_or_code_of_its_own_is_an_opcode_and_has_one_only() -> None:
    assert UNREACHED.keys() | BY_NAME <= OPCODES.keys()
    assert not UNREACHED.keys() & BY_NAME
    assert not any(OPCODES[name].family for name in UNREACHED)
    assert not any(OPCODES[name].is_plain for name in BY_NAME)


def test_an_access_is_as_wide_as_its_row_says() -> None:
    full = build_table(("x86-64",), frozenset(variant.key for name in OPCODES for variant in variants(name)))
    sizes = {row.key: access_bytes(row) for row in (*full.loads, *full.stores)}
    assert sizes["uload8.i64"] == sizes["sload8.i16"] == sizes["istore8.i32"] == 1
    assert sizes["uload32.i64"] == sizes["load.i32"] == sizes["store.f32"] == 4
    assert sizes["sload32x2.i64"] == sizes["uload8x8.i64"] == 8 and sizes["load.i8x16"] == 16


def test_a_table_keeps_to_its_keys() -> None:
    keys = frozenset({"iconst.i32", "iadd.i32", "load.i32", "fadd.f32"})
    found = build_table(("x86-64",), keys)
    assert [row.key for row in found.rows] == ["iadd.i32"]
    assert [ty.name for ty in found.types] == ["i32"]


def test_values() -> None:
    assert {0, 1, 63, 64, 2**63, 2**64 - 1, 2**11, 2**12 - 1} <= set(integers(64))
    assert {0, 1 << 31, 0x7F800000, 0x7FC00000, 0x3F800000, 1} <= set(floats(32))
    for name in ("i8", "i128", "f16", "i8x16", "f32x4"):
        ty = by_name(name)
        assert len(table(ty)) == 1024 and len(runtime_table(ty)) == 512
        assert all(0 <= value <= ty.mask for value in (*table(ty), *runtime_table(ty)))
    assert len(memory_pool()) > SLOT_SIZE
