"""Memory of the interpreter: regions, stray accesses, byte orders, the stack."""

from __future__ import annotations

import pytest

from liftcheck import layout
from liftcheck.bits.concrete import Trap
from liftcheck.clif.types import TYPES
from liftcheck.interp.memory import STACK_TOP, Crash, Memory, decoder, encoder, shape_of

A = layout.slot_address(0)


def memory(content: bytes = bytes(range(16))) -> Memory:
    made = Memory()
    made.reset({A: content})
    return made


def test_the_first_and_last_byte_are_inside_and_their_neighbours_are_not() -> None:
    m = memory()
    assert m.read(A, 1, "heap_oob") == b"\0"
    assert m.read(A + 15, 1, "heap_oob") == b"\x0f"
    for address, size in ((A - 1, 1), (A + 16, 1), (A + 9, 8), (A - 1, 8), (0, 1), (A + (1 << 32), 1)):
        with pytest.raises(Trap, match="user3"):
            m.read(address, size, "user3")


def test_an_access_without_a_trap_code_crashes() -> None:
    with pytest.raises(Crash, match="8 bytes"):
        memory().read(A + 12, 8, "")


def test_addresses_wrap_at_64_bits() -> None:
    assert memory().read(A + (1 << 64), 2, "heap_oob") == b"\0\1"


def test_a_store_across_the_end_writes_nothing() -> None:
    m = memory()
    with pytest.raises(Trap):
        m.write(A + 12, b"\xff" * 8, "heap_oob")
    assert m.buf == bytes(range(16))


def test_an_access_of_no_bytes_touches_nothing() -> None:
    assert memory().read(0, 0, "") == b""
    memory().write(0, b"", "")


def test_several_regions_keep_apart() -> None:
    m = Memory()
    m.reset({A: b"aa", A + 0x2000: b"bb", A + 0x4000: b"cc"})
    m.write(A + 0x4001, b"x", "heap_oob")
    assert m.read(A + 0x2000, 2, "heap_oob") == b"bb"
    assert m.read(A + 0x4000, 2, "heap_oob") == b"cx"
    assert m.buf == b"aa"


def test_a_reset_forgets_what_a_run_wrote() -> None:
    m = memory()
    m.write(A, b"zzz", "")
    m.pinned = 7
    m.reset({A: bytes(range(16))})
    assert m.buf == bytes(range(16))
    assert m.pinned == 0


@pytest.mark.parametrize(
    "name",
    [
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "f16",
        "f32",
        "f64",
        "f128",
        "i8x16",
        "i16x8",
        "i32x4",
        "i64x2",
        "f32x4",
        "i8x8",
        "i16x4",
        "i32x2",
        "i16x2",
        "i64x8",
    ],
)
def test_encoding_is_lane_0_first_with_each_lane_in_its_byte_order(name: str) -> None:
    ty = TYPES[name]
    lanes = [sum((7 * i + k + 1) << 8 * k for k in range(ty.lane_bits // 8)) for i in range(ty.lanes)]
    value = sum(lane << i * ty.lane_bits for i, lane in enumerate(lanes))
    for big in (False, True):
        shape = shape_of(ty, big)
        expected = b"".join(lane.to_bytes(ty.lane_bits // 8, "big" if big else "little") for lane in lanes)
        assert encoder(shape)(value) == expected
        assert decoder(shape)(expected) == value


def test_the_stack_grows_to_its_limit_and_keeps_its_content() -> None:
    m = memory()
    m.enter(STACK_TOP - 64, 64)
    m.write(STACK_TOP - 8, b"stack", "")
    m.enter(STACK_TOP - 100_000, 64)
    assert m.read(STACK_TOP - 8, 5, "") == b"stack"
    assert m.read(STACK_TOP - 100_000, 64, "") == bytes(64)
    m.enter(layout.STACK, 16)
    assert m.stack_base == layout.STACK
    with pytest.raises(Trap, match="stk_ovf"):
        m.enter(layout.STACK - 16, 16)


def test_short_addresses_mean_the_arena_only_where_a_program_has_them() -> None:
    m = memory()
    with pytest.raises(Trap):
        m.read(A & 0xFFFF_FFFF, 1, "heap_oob")
    m.short = True
    assert m.read(A + 3 & 0xFFFF_FFFF, 1, "heap_oob") == b"\3"
