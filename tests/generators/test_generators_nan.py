"""The NaN policy, and that generated programs keep to it."""

from __future__ import annotations

from support.generators import context

from liftcheck import nan
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import F32, by_name
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate

QUIET = 0x7FC00000


def test_canonical_works_lane_by_lane() -> None:
    ty = by_name("f32x4")
    lanes = [0xFFC00001, 0x7F800000, 0x7F800001, 0x3F800000]
    value = sum(lane << 32 * at for at, lane in enumerate(lanes))
    assert nan.canonical(value, ty) == QUIET | 0x7F800000 << 32 | QUIET << 64 | 0x3F800000 << 96
    assert nan.canonical(0xFF800000, F32) == 0xFF800000


def test_widths() -> None:
    for width in (16, 32, 64, 128):
        quiet = nan.quiet_nan(width)
        assert nan.is_nan(quiet, width) and not nan.is_nan(quiet & ~(quiet & -quiet), width)
    assert nan.quiet_nan(64) == 0x7FF8000000000000


def test_what_shows_bits() -> None:
    assert nan.observed("store", 2) == (0, 1)
    assert nan.observed("fadd", 2) == nan.observed("fcmp", 2) == nan.observed("fneg", 1) == ()
    assert nan.observed("fcopysign", 2) == (1,)
    assert nan.observed("bitcast", 1) == (0,)


def test_sets_name_opcodes_and_do_not_overlap() -> None:
    assert set(OPCODES) >= nan.CREATES | nan.PROPAGATES | nan.IGNORES
    assert not nan.CREATES & nan.PROPAGATES and not nan.IGNORES & (nan.CREATES | nan.PROPAGATES)


def test_no_arithmetic_result_reaches_memory_or_a_cast_directly() -> None:
    """A float made by arithmetic is stored or cast only after it was compared with itself."""
    checked = 0
    for seed in range(300):
        for function in generate(RandomChoices(seed), "floats", context()).module.functions:
            made = {
                inst.results[0]
                for block in function.blocks
                for inst in block.insts
                if inst.op in nan.CREATES and inst.results
            }
            for block in function.blocks:
                for inst in block.insts:
                    cast = inst.op == "bitcast" and inst.type is not function.types[inst.args[0]]
                    if inst.op == "store" or (cast and not _guard(function.blocks, inst.results[0])):
                        assert inst.args[0] not in made, (seed, inst)
                        checked += 1
    assert checked > 1000


def _guard(blocks: list, value: int) -> bool:  # type: ignore[type-arg]
    """Is `value` only masked by a comparison (how vectors are cleaned)?"""
    users = [inst for block in blocks for inst in block.insts if value in inst.args]
    return bool(users) and all(inst.op == "band" for inst in users[:1])
