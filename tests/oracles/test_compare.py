"""The one place that knows where outcomes may legally differ: each rule has a case that passes and one that must
not."""

from __future__ import annotations

import pytest

from liftcheck.case import Outcome
from liftcheck.clif.types import F32, I32, I64, by_name
from liftcheck.oracles.compare import (
    ABI_DAMAGE,
    AGREE,
    CRASH,
    DISAGREE,
    ENDLESS,
    UNDECIDED,
    WRONG_MEMORY,
    WRONG_RESULT,
    WRONG_TRAP,
    compare,
    compare_runs,
    same_value,
)

MEMORY = bytes(range(256)) * 16
QUIET, NEGATIVE, SIGNALLING = 0x7FC00000, 0xFFC00001, 0x7F800001


def returned(*values: int, memory: bytes = b"") -> Outcome:
    return Outcome("returned", values, memory)


def trapped(code: str, memory: bytes = b"") -> Outcome:
    return Outcome("trapped", (), memory, code)


@pytest.mark.parametrize("nan", [QUIET, NEGATIVE, SIGNALLING])
def test_nan_bits_are_free_in_returned_floats(nan: int) -> None:
    assert compare(returned(QUIET), returned(nan), [F32]).kind == AGREE


def test_a_nan_is_no_infinity_and_no_number() -> None:
    assert compare(returned(QUIET), returned(0x7F800000), [F32]).klass == WRONG_RESULT
    assert compare(returned(QUIET), returned(0x3F800000), [F32]).klass == WRONG_RESULT
    assert compare(returned(0x80000000), returned(0), [F32]).klass == WRONG_RESULT


def test_nan_bits_are_exact_in_integers_and_memory() -> None:
    assert compare(returned(QUIET), returned(NEGATIVE), [I32]).klass == WRONG_RESULT
    left, right = QUIET.to_bytes(4, "little") * 1024, NEGATIVE.to_bytes(4, "little") * 1024
    assert compare(returned(memory=left), returned(memory=right), []).klass == WRONG_MEMORY


def test_nans_are_judged_lane_by_lane() -> None:
    vector = by_name("f32x4")
    left = QUIET << 96 | 1 << 32 | 7
    assert same_value(left, NEGATIVE << 96 | 1 << 32 | 7, vector)
    assert not same_value(left, NEGATIVE << 96 | 1 << 32 | 8, vector)


def test_every_width_of_float_has_its_nan() -> None:
    for name, quiet, infinity in (
        ("f16", 0x7E00, 0x7C00),
        ("f32", 0x7FC00000, 0x7F800000),
        ("f64", 0x7FF8 << 48, 0x7FF0 << 48),
        ("f128", 0x7FFF8 << 108, 0x7FFF << 112),
    ):
        ty = by_name(name)
        assert same_value(quiet, quiet | 1, ty)
        assert not same_value(quiet, infinity, ty)


def test_traps_are_compared_by_code() -> None:
    assert compare(trapped("int_divz"), trapped("int_divz"), []).kind == AGREE
    assert compare(trapped("int_divz"), trapped("int_ovf"), []).klass == WRONG_TRAP


def test_a_missing_and_a_spurious_trap_are_wrong_traps_that_say_so() -> None:
    missing = compare(trapped("heap_oob"), returned(1), [I64])
    spurious = compare(returned(1), trapped("heap_oob"), [I64])
    assert (missing.klass, spurious.klass) == (WRONG_TRAP, WRONG_TRAP)
    assert missing.detail.startswith("missing trap") and spurious.detail.startswith("spurious trap")


def test_a_torn_store_at_the_edge_is_free_after_a_memory_trap_only() -> None:
    torn = MEMORY[:-8] + bytes(8)
    assert compare(trapped("heap_oob", MEMORY), trapped("heap_oob", torn), []).kind == AGREE
    assert compare(trapped("int_divz", MEMORY), trapped("int_divz", torn), []).klass == WRONG_MEMORY
    assert compare(returned(memory=MEMORY), returned(memory=torn), []).klass == WRONG_MEMORY
    middle = MEMORY[:2000] + b"\xff\xfe" + MEMORY[2002:]
    assert compare(trapped("heap_oob", MEMORY), trapped("heap_oob", middle), []).klass == WRONG_MEMORY


def test_classes_of_what_is_neither_return_nor_trap() -> None:
    expected = returned(1)
    assert compare(expected, Outcome("abi"), [I64]).klass == ABI_DAMAGE
    assert compare(expected, Outcome("crashed", detail="memory at %f+0x4"), [I64]).klass == CRASH
    assert compare(expected, Outcome("endless", detail="0.5 s"), [I64]).klass == ENDLESS
    assert compare(expected, returned(1, 2), [I64]).klass == WRONG_RESULT


def test_what_is_not_known_is_undecided_and_never_agreement() -> None:
    unsupported = compare(returned(1), Outcome("unsupported", detail="emulator: no vfmin"), [I64])
    assert (unsupported.kind, unsupported.detail) == (UNDECIDED, "emulator: no vfmin")
    assert compare(Outcome("out_of_fuel"), returned(1), [I64]).kind == UNDECIDED
    late = compare(returned(1), Outcome("out_of_fuel", detail="time: not ended"), [I64])
    assert (late.kind, late.detail) == (UNDECIDED, "time: not ended")
    assert compare(returned(1), trapped("stk_ovf"), [I64]).kind == UNDECIDED


def test_one_wrong_run_decides_a_program() -> None:
    expected = [returned(1), returned(2), returned(3)]
    run, verdict = compare_runs(expected, [returned(1), returned(9), returned(3)], [I64])
    assert (run, verdict.kind, verdict.klass) == (1, DISAGREE, WRONG_RESULT)
    assert "0x0000000000000002 expected" in verdict.detail


def test_a_run_the_runner_could_not_do_leaves_the_program_undecided() -> None:
    for kind in ("unsupported", "out_of_fuel"):
        _, verdict = compare_runs([returned(1), returned(2)], [returned(1), Outcome(kind, detail="x")], [I64])
        assert (verdict.kind, verdict.detail) == (UNDECIDED, "x")


def test_equal_lists_agree() -> None:
    assert compare_runs([returned(1)], [returned(1)], [I64])[1].kind == AGREE
