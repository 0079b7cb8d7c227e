"""The reference interpreter: every test runs in both tiers, forced, unless it is about one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from liftcheck import layout
from liftcheck.case import Outcome
from liftcheck.clif.text.parser import parse_module
from liftcheck.interp.run import prepare

A = layout.slot_address(0)


def run(
    text: str,
    args: Sequence[int] = (),
    memory: bytes | None = None,
    *,
    big: bool = False,
    fuel: int = 1_000_000,
    entry: int | None = None,
    regions: Mapping[int, bytes] | None = None,
) -> Outcome:
    """The outcome in both tiers, which must be one; the last function is the entry."""
    module = parse_module(text)
    number = len(module.functions) - 1 if entry is None else entry
    places = regions if regions is not None else {} if memory is None else {A: memory}
    outcomes = [prepare(module, big, hot_after).run(number, args, places, fuel) for hot_after in (None, 0)]
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


def values(text: str, *args: int, big: bool = False) -> tuple[int, ...]:
    outcome = run(text, args, big=big)
    assert outcome.kind == "returned", outcome
    return outcome.values


# Control flow


def test_block_parameters_move_in_parallel() -> None:
    text = """function %f(i64, i64, i64) -> i64, i64 {
    block0(v0: i64, v1: i64, v2: i64):
        jump block1(v0, v1, v2)
    block1(v3: i64, v4: i64, v5: i64):
        v6 = iconst.i64 1
        v7 = isub v5, v6
        brif v7, block1(v4, v3, v7), block2(v4, v3)
    block2(v8: i64, v9: i64):
        return v8, v9
    }"""
    assert values(text, 10, 20, 1) == (20, 10)
    assert values(text, 10, 20, 2) == (10, 20)
    assert values(text, 10, 20, 5001) == (20, 10)


def test_branches_on_every_width_look_at_the_whole_value() -> None:
    for width in (8, 16, 32, 64, 128):
        text = f"""function %f(i{width}) -> i8 {{
        block0(v0: i{width}):
            brif v0, block1, block2
        block1:
            v1 = iconst.i8 1
            return v1
        block2:
            v2 = iconst.i8 2
            return v2
        }}"""
        assert values(text, 0) == (2,)
        assert values(text, 1 << width - 1) == (1,)


def test_br_table_takes_the_default_beyond_its_entries() -> None:
    text = """function %f(i32) -> i32 {
    block0(v0: i32):
        v1 = iconst.i32 10
        v2 = iconst.i32 20
        br_table v0, block1(v0), [block1(v1), block1(v2), block2]
    block1(v3: i32):
        return v3
    block2:
        trap user9
    }"""
    assert [values(text, i) for i in (0, 1, 3, 0xFFFF_FFFF)] == [(10,), (20,), (3,), (0xFFFF_FFFF,)]
    assert run(text, [2]) == Outcome("trapped", detail="user9")


def test_an_irreducible_loop_with_two_entries() -> None:
    text = """function %f(i32, i32) -> i32 {
    block0(v0: i32, v1: i32):
        v2 = iconst.i32 1
        brif v0, block1(v1), block2(v1)
    block1(v3: i32):
        v4 = isub v3, v2
        jump block2(v4)
    block2(v5: i32):
        v6 = iadd v5, v5
        v7 = icmp_imm ult v6, 1000
        brif v7, block1(v6), block3(v6)
    block3(v8: i32):
        return v8
    }"""

    def expected(first: int, x: int) -> int:
        x -= bool(first)
        while (x := x * 2) < 1000:
            x -= 1
        return x

    for case in ((0, 2), (1, 3), (1, 400), (0, 600)):
        assert values(text, *case) == (expected(*case),)


def test_a_chain_of_many_blocks_and_deep_branches() -> None:
    lines = ["function %f(i64) -> i64 {", "block0(v0: i64):", "    v1 = iconst.i64 1", "    jump block1(v0)"]
    for i in range(1, 400):
        v = 10 * i
        lines += [
            f"block{i}(v{v}: i64):",
            f"    v{v + 1} = iadd v{v}, v1",
            f"    v{v + 2} = band v{v + 1}, v1",
            f"    brif v{v + 2}, block{i + 1}(v{v + 1}), block{i + 1000}",
            f"block{i + 1000}:",
            f"    v{v + 3} = iadd v{v + 1}, v{v + 1}",
            f"    jump block{i + 1}(v{v + 3})",
        ]
    text = "\n".join([*lines, "block400(v9999: i64):", "    return v9999", "}"])
    x = 5
    for _ in range(1, 400):
        x = x + 1 & (1 << 64) - 1
        if not x & 1:
            x = x + x & (1 << 64) - 1
    assert values(text, 5) == (x,)


# Calls


FIB = """function %fib(i64) -> i64 {
    fn0 = %fib(i64) -> i64
block0(v0: i64):
    v1 = iconst.i64 2
    v2 = icmp ult v0, v1
    brif v2, block1(v0), block2
block1(v3: i64):
    return v3
block2:
    v4 = iconst.i64 1
    v5 = isub v0, v4
    v6 = call fn0(v5)
    v7 = isub v0, v1
    v8 = call fn0(v7)
    v9 = iadd v6, v8
    return v9
}"""


def test_recursion() -> None:
    assert values(FIB, 15) == (610,)


DEEP = """function %deep(i64) -> i64 {
    fn0 = %deep(i64) -> i64
block0(v0: i64):
    v1 = iconst.i64 1
    brif v0, block1, block2
block1:
    v2 = isub v0, v1
    v3 = call fn0(v2)
    v4 = iadd v3, v1
    return v4
block2:
    return v0
}"""


def test_depth_is_bounded_by_the_stack_not_by_python() -> None:
    assert values(DEEP, 30_000) == (30_000,)
    assert run(DEEP, [100_000]) == Outcome("trapped", detail="stk_ovf")
    assert run(DEEP, [1 << 40], fuel=50_000).kind == "out_of_fuel"


def test_tail_calls_take_no_stack() -> None:
    text = """function %odd(i64) -> i8 tail {
        fn0 = %even(i64) -> i8 tail
    block0(v0: i64):
        v1 = iconst.i64 1
        v2 = iconst.i8 0
        brif v0, block1, block2
    block1:
        v3 = isub v0, v1
        return_call fn0(v3)
    block2:
        return v2
    }
    function %even(i64) -> i8 tail {
        sig9 = (i64) -> i8 tail
        fn0 = %odd(i64) -> i8 tail
        ss0 = explicit_slot 64
    block0(v0: i64):
        v1 = iconst.i64 1
        v2 = iconst.i8 1
        brif v0, block1, block2
    block1:
        v3 = isub v0, v1
        v4 = func_addr.i64 fn0
        v5 = stack_addr.i64 ss0
        store v3, v5
        return_call_indirect sig9, v4(v3)
    block2:
        return v2
    }"""
    assert values(text, 100_000) == (1,)
    assert values(text, 100_001) == (0,)


def test_indirect_calls_go_where_func_addr_says() -> None:
    text = (
        """function %one() -> i64 { block0: v0 = iconst.i64 1  return v0 }
    function %two() -> i64 { block0: v0 = iconst.i64 2  return v0 }
    function %f(i8) -> i64 {
        sig0 = () -> i64
        fn0 = %one() -> i64
        fn1 = %two() -> i64
    block0(v0: i8):
        v1 = func_addr.i64 fn0
        v2 = func_addr.i64 fn1
        v3 = select v0, v1, v2
        v4 = call_indirect sig0, v3()
        return v4
    }""".replace("{ block0:", "{\nblock0:\n")
        .replace("  return", "\nreturn")
        .replace("return v0 }", "return v0\n}")
    )
    assert values(text, 1) == (1,)
    assert values(text, 0) == (2,)


def test_calls_to_nowhere_and_of_another_signature() -> None:
    text = """function %g(i32) -> i64 {
    block0(v0: i32):
        v1 = iconst.i64 1
        return v1
    }
    function %f(i64) -> i64 {
        sig0 = (i64) -> i64
        fn0 = %g(i32) -> i64
    block0(v0: i64):
        v1 = func_addr.i64 fn0
        v2 = iadd v1, v0
        v3 = call_indirect sig0, v2(v0)
        return v3
    }"""
    assert run(text, [8]).kind == "crashed"
    outcome = run(text, [0])
    assert outcome.kind == "unsupported"
    assert outcome.detail == "the call does not match %g: parameter 0 is i64, but it has i32"
    missing = """function %f() {
        fn0 = %elsewhere()
    block0:
        call fn0()
        return
    }"""
    assert run(missing) == Outcome("trapped", (), b"", "unresolved %elsewhere")


def test_try_call_takes_the_normal_edge_with_its_results() -> None:
    text = """function %g(i64) -> i64, i64 tail {
    block0(v0: i64):
        v1 = iadd v0, v0
        return v0, v1
    }
    function %f(i64) -> i64 tail {
        sig0 = (i64) -> i64, i64 tail
        fn0 = %g(i64) -> i64, i64 tail
    block0(v0: i64):
        v9 = iconst.i64 100
        try_call fn0(v0), sig0, block1(ret1, v9, ret0), [ tag1: block2(exn0), default: block3 ]
    block1(v1: i64, v2: i64, v3: i64):
        v4 = imul v1, v2
        v5 = iadd v4, v3
        v6 = func_addr.i64 fn0
        try_call_indirect v6(v5), sig0, block4(ret1), [ default: block3 ]
    block2(v7: i64):
        return v7
    block3:
        trap user1
    block4(v8: i64):
        return v8
    }"""
    assert values(text, 3) == (2 * (6 * 100 + 3),)


def test_structs_are_passed_by_value() -> None:
    text = """function %g(i64 sarg(16)) -> i64 system_v {
    block0(v0: i64):
        v1 = load.i64 v0+8
        v2 = iconst.i64 0
        store v2, v0+8
        return v1
    }
    function %f(i64) -> i64, i64 system_v {
        fn0 = %g(i64 sarg(16)) -> i64 system_v
    block0(v0: i64):
        v1 = call fn0(v0)
        v2 = load.i64 v0+8
        return v1, v2
    }"""
    outcome = run(text, [A], bytes(8) + (77).to_bytes(8, "little"))
    assert outcome.values == (77, 77)


# Memory


def test_stray_accesses_trap_with_their_code_and_change_nothing() -> None:
    text = """function %f(i64, i64) {
    block0(v0: i64, v1: i64):
        store v1, v0
        store user7 v1, v0+12
        return
    }"""
    outcome = run(text, [A, 0x1122], bytes(16))
    assert outcome == Outcome("trapped", (), b"\x22\x11" + bytes(14), "user7")
    assert run(text, [A - 1, 1], bytes(16)) == Outcome("trapped", (), bytes(16), "heap_oob")
    notrap = text.replace("user7", "notrap")
    assert run(notrap, [A, 1], bytes(16)).kind == "crashed"


def test_offsets_are_signed_and_addresses_wrap() -> None:
    text = """function %f(i64) -> i8, i8 {
    block0(v0: i64):
        v1 = load.i8 v0-2147483648
        v2 = iconst.i64 0x7fff_ffff
        v3 = isub v0, v2
        v4 = load.i8 v3-1
        return v1, v4
    }"""
    assert run(text, [A + (1 << 31)], b"\x2a").values == (42, 42)


def test_narrow_loads_and_stores_extend_and_cut() -> None:
    text = """function %f(i64, i64) -> i64, i64, i64, i64, i32 {
    block0(v0: i64, v1: i64):
        istore8 v1, v0
        istore16 v1, v0+2
        istore32 v1, v0+4
        v2 = sload8.i64 v0
        v3 = uload16.i64 v0+2
        v4 = sload32.i64 v0+4
        v5 = uload32.i64 v0+4
        v6 = sload16.i32 v0+2
        return v2, v3, v4, v5, v6
    }"""
    outcome = run(text, [A, 0xDEAD_BEEF_FEDC_BA98], bytes(8))
    ones = (1 << 64) - 1
    assert outcome.values == (ones - 0x67, 0xBA98, ones - 0x0123_4567, 0xFEDC_BA98, 0xFFFF_BA98)
    assert outcome.memory == bytes.fromhex("980098ba98badcfe")
    assert run(text, [A, 0x1234_5678], bytes(8), big=True).memory == bytes.fromhex("7800567812345678")


def test_vectors_in_memory_have_lane_0_first_in_either_order() -> None:
    text = """function %f(i64) -> i32x4, i16x8 {
    block0(v0: i64):
        v1 = load.i32x4 v0
        v2 = uload8x8.i64 v0
        v3 = load.i16x8 big v0
        store v3, v0
        return v1, v2
    }"""
    content = bytes(range(16))
    little = run(text, [A], content)
    big = run(text, [A], content, big=True)
    assert little.values[0] == int.from_bytes(content, "little")
    assert [big.values[0] >> 32 * i & 0xFFFF_FFFF for i in range(4)] == [0x00010203, 0x04050607, 0x08090A0B, 0x0C0D0E0F]
    assert little.values[1] == big.values[1] == sum(i << 16 * i for i in range(8))
    assert big.memory == content
    assert little.memory == bytes(i ^ 1 for i in range(16))


def test_bitcast_is_a_store_and_a_load_in_the_named_order() -> None:
    text = """function %f(i64x2) -> i32x4, i32x4, i128 {
    block0(v0: i64x2):
        v1 = bitcast.i32x4 little v0
        v2 = bitcast.i32x4 big v0
        v3 = bitcast.i128 big v0
        return v1, v2, v3
    }"""
    a, b = 0x0001_0203_0405_0607, 0x0809_0A0B_0C0D_0E0F
    little, big, scalar = values(text, a | b << 64)
    assert little == a | b << 64
    assert [big >> 32 * i & 0xFFFF_FFFF for i in range(4)] == [0x00010203, 0x04050607, 0x08090A0B, 0x0C0D0E0F]
    assert scalar == a << 64 | b


def test_stack_slots_are_aligned_apart_and_empty() -> None:
    text = """function %f(i64) -> i64, i64, i64, i8 {
        ss0 = explicit_slot 5
        ss1 = explicit_slot 8, align = 64
        ss2 = explicit_slot 3
    block0(v0: i64):
        v1 = stack_addr.i64 ss0+4
        v2 = stack_addr.i64 ss1
        v3 = stack_addr.i64 ss2
        v4 = load.i8 v1
        istore8 v0, v1
        istore8 v0, v3
        v5 = load.i64 v2
        v6 = band_imm v2, 63
        v7 = isub v3, v2
        store v0, v2
        return v5, v6, v7, v4
    }"""
    unwritten, misaligned, apart, first = values(text, 0x1234)
    assert (unwritten, misaligned, first) == (0, 0, 0)
    assert apart >= 8


@pytest.mark.parametrize("width", [8, 16, 32, 64, 128])
@pytest.mark.parametrize("order", ["little", "big"])
def test_atomics_of_every_width(width: int, order: str) -> None:
    mask = (1 << width) - 1

    def signed(x: int) -> int:
        return x - (1 << width) if x >> width - 1 else x

    old, other = 0x91A2_B3C4_D5E6_F708_192A_3B4C_5D6E_7F80 & mask, 0x7F00_FF01_F0F0_1234_5678_9ABC_DEF0_0102 & mask
    rules = {
        "add": old + other,
        "sub": old - other,
        "and": old & other,
        "nand": ~(old & other),
        "or": old | other,
        "xor": old ^ other,
        "xchg": other,
        "umin": min(old, other),
        "umax": max(old, other),
        "smin": min(old, other, key=signed),
        "smax": max(old, other, key=signed),
    }
    size = width // 8
    content = old.to_bytes(size, order)  # type: ignore[arg-type]
    for operation, stored in rules.items():
        text = f"""function %f(i64, i{width}) -> i{width} {{
        block0(v0: i64, v1: i{width}):
            v2 = atomic_rmw.i{width} {order} {operation} v0, v1
            return v2
        }}"""
        outcome = run(text, [A, other], content)
        assert outcome == Outcome("returned", (old,), (stored & mask).to_bytes(size, order))  # type: ignore[arg-type]


def test_compare_and_swap_atomic_load_store() -> None:
    text = """function %f(i64, i32, i32) -> i32, i32 {
    block0(v0: i64, v1: i32, v2: i32):
        v3 = atomic_cas v0, v1, v2
        v4 = atomic_load.i32 v0
        atomic_store v3, v0+0
        return v3, v4
    }""".replace("v0+0", "v0")
    five = (5).to_bytes(4, "little")
    assert run(text, [A, 5, 6], five).values == (5, 6)
    assert run(text, [A, 4, 6], five).values == (5, 5)
    assert run(text, [A + 1, 5, 6], bytes(16)).detail == "misaligned atomic access"
    assert run(text, [A + 4, 5, 6], five) == Outcome("trapped", (), five, "heap_oob")


def test_a_wrong_claim_of_alignment_is_refused() -> None:
    text = """function %f(i64) -> i32 {
    block0(v0: i64):
        v1 = load.i32 aligned v0
        return v1
    }"""
    assert run(text, [A], bytes(8)).kind == "returned"
    assert run(text, [A + 2], bytes(8)).detail == "misaligned access flagged aligned"


def test_regions_beside_the_first_are_seen_and_not_reported() -> None:
    text = """function %f(i64, i64) {
    block0(v0: i64, v1: i64):
        v2 = load.i8 v1
        store v2, v0
        return
    }"""
    outcome = run(text, [A, A + 0x2000], regions={A: b"ab", A + 0x2000: b"cd"})
    assert outcome.memory == b"cb"


# Traps, in order; what is refused


def test_traps_stop_at_the_first() -> None:
    text = """function %f(i64, i32, i32) -> i32 {
    block0(v0: i64, v1: i32, v2: i32):
        store v1, v0
        trapz v1, user11
        trapnz v2, user12
        v3 = sdiv v1, v2
        store v3, v0
        return v3
    }"""
    assert run(text, [A, 0, 1], bytes(4)).detail == "user11"
    assert run(text, [A, 9, 1], bytes(4)) == Outcome("trapped", (), b"\x09\0\0\0", "user12")
    assert run(text, [A, 9, 0], bytes(4)).detail == "int_divz"


def test_integer_traps() -> None:
    text = """function %f(i32, i32) -> i32, i32 {
    block0(v0: i32, v1: i32):
        v2 = sdiv v0, v1
        v3 = uadd_overflow_trap v2, v0, user5
        return v2, v3
    }"""
    assert run(text, [1 << 31, (1 << 32) - 1]).detail == "int_ovf"
    assert run(text, [6, 3]).values == (2, 8)
    assert run(text, [(1 << 32) - 1, (1 << 32) - 1]).detail == "user5"


@pytest.mark.parametrize("line", ["v1 = tls_value.i64 gv0", "debugtrap", "v1 = stack_switch v0, v0, v0"])
def test_refused_by_name_where_it_is_reached(line: str) -> None:
    text = f"""function %f(i64) {{
        gv0 = symbol tls %x
    block0(v0: i64):
        brif v0, block1, block2
    block1:
        {line}
        return
    block2:
        return
    }}"""
    assert run(text, [0]).kind == "returned"
    outcome = run(text, [1])
    assert outcome.kind == "unsupported"
    assert line.split(" = ")[-1].split(".")[0].split()[0] in outcome.detail


# Places, globals, library routines


def test_global_values() -> None:
    text = """function %f(i64, i64 vmctx) -> i64, i64, i64 {
        gv0 = vmctx
        gv1 = load.i64 notrap aligned gv0+8
        gv2 = iadd_imm.i64 gv1, -4
    block0(v0: i64, v1: i64):
        v2 = global_value.i64 gv0
        v3 = global_value.i64 gv1
        v4 = global_value.i64 gv2
        return v2, v3, v4
    }"""
    outcome = run(text, [5, A], bytes(8) + (100).to_bytes(8, "little"))
    assert outcome.values == (A, 100, 96)


def test_the_pinned_register_the_frame_and_symbols() -> None:
    text = """function %g() {
    block0:
        return
    }
    function %f(i64) -> i64, i8, i8, i8 {
        gv0 = symbol %g
        fn0 = %g()
    block0(v0: i64):
        set_pinned_reg v0
        v1 = get_pinned_reg.i64
        v2 = get_frame_pointer.i64
        v3 = get_stack_pointer.i64
        v4 = icmp ugt v2, v3
        v5 = get_return_address.i64
        v6 = icmp_imm ne v5, 0
        v7 = symbol_value.i64 gv0
        v8 = func_addr.i64 fn0
        v9 = icmp eq v7, v8
        return v1, v4, v6, v9
    }"""
    assert values(text, 99) == (99, 1, 1, 1)


def test_library_routines_on_memory() -> None:
    text = """function %f(i64, i64) -> i64, i32, i32 {
        fn0 = %Memcpy(i64, i64, i64) -> i64
        fn1 = %Memset(i64, i32, i64) -> i64
        fn2 = %Memcmp(i64, i64, i64) -> i32
        sig9 = (i64, i64, i64) -> i64
        fn3 = %Memmove(i64, i64, i64) -> i64
    block0(v0: i64, v1: i64):
        v2 = iadd_imm v0, 8
        v3 = iconst.i64 4
        v4 = call fn0(v2, v0, v3)
        v5 = call fn2(v2, v0, v3)
        v6 = iconst.i32 0x1ff
        v7 = iconst.i64 2
        v8 = call fn1(v0, v6, v7)
        v9 = call fn2(v2, v0, v3)
        v10 = func_addr.i64 fn3
        v11 = iadd_imm v0, 1
        v12 = call_indirect sig9, v10(v11, v0, v1)
        return v4, v5, v9
    }"""
    outcome = run(text, [A, 3], b"abcdefghijklmnop")
    assert outcome.values == (A + 8, 0, 0xFFFF_FFFF)
    assert outcome.memory == b"\xff\xff\xffcefghabcdmnop"[:3] + b"c" + b"efgh" + b"abcd" + b"mnop"
    assert run(text, [A, 100], b"abcdefghijklmnop").kind == "crashed"


def test_library_routines_on_floats_and_a_tail_call_of_one() -> None:
    text = """function %f(f64) -> f64, f32 {
        fn0 = %CeilF64(f64) -> f64
        fn1 = %FmaF32(f32, f32, f32) -> f32
    block0(v0: f64):
        v1 = call fn0(v0)
        v2 = f32const 0x1.8p0
        v3 = call fn1(v2, v2, v2)
        return v1, v3
    }"""
    assert values(text, 0x3FF8_0000_0000_0000) == (0x4000_0000_0000_0000, 0x4070_0000)
    tail = """function %f(f64) -> f64 tail {
        fn0 = %CeilF64(f64) -> f64
    block0(v0: f64):
        return_call fn0(v0)
    }"""
    assert "tail call" in run(tail, [0]).detail


# Fuel, tiers, statistics


LOOP = """function %f(i64, i64) -> i64 {
block0(v0: i64, v1: i64):
    v2 = iconst.i64 3
    v3 = iconst.i64 1
    jump block1(v0, v1)
block1(v4: i64, v5: i64):
    v6 = imul v4, v2
    store v6, v1
    v7 = isub v5, v3
    v9 = band v6, v3
    brif v9, block3, block4
block3:
    jump block5(v3)
block4:
    v10 = iadd v6, v2
    jump block5(v10)
block5(v11: i64):
    v8 = iadd v6, v11
    brif v7, block1(v8, v7), block2(v8)
block2(v12: i64):
    return v12
}""".replace("store v6, v1\n", "v99 = bxor v6, v1\n")


def test_both_tiers_run_out_of_fuel_at_the_same_instruction() -> None:
    module = parse_module(LOOP)
    tiers = [prepare(module, False, hot_after) for hot_after in (None, 0)]
    for fuel in (*range(60), 1000, 1001, 1007, 20_000, 20_001, 50_003):
        seen = []
        for tier in tiers:
            outcome = tier.run(0, [7, 5000], fuel=fuel)
            seen.append((outcome, tier.stats.instructions, tier.stats.executed))
        assert seen[0] == seen[1], fuel
        if seen[0][0].kind == "out_of_fuel":
            assert fuel - 10 < seen[0][1] <= fuel


def test_a_function_becomes_hot_on_its_own_and_stays_right() -> None:
    module = parse_module(LOOP)
    warm, cold = prepare(module), prepare(module, False, None)
    for _ in range(3):
        assert warm.run(0, [7, 40_000]) == cold.run(0, [7, 40_000])
        assert warm.stats == cold.stats
    assert any(code.hot for code in warm._program.codes)
    assert not any(code.hot for code in cold._program.codes)


def test_statistics_of_a_run() -> None:
    module = parse_module(FIB)
    for hot_after in (None, 0):
        prepared = prepare(module, False, hot_after)
        prepared.run(0, [1])
        assert not prepared.stats.looped
        assert not prepared.stats.called
        assert prepared.stats.instructions == 4
        assert prepared.stats.executed == {"iconst.i64": 1, "icmp.i64": 1, "brif.i8": 1, "return": 1}
        prepared.run(0, [10])
        assert prepared.stats.executed["call"] == 176
    loop = prepare(parse_module(LOOP))
    loop.run(0, [1, 3])
    assert loop.stats.looped
    callee = "function %g() {\nblock0:\n return\n}\n"
    two = prepare(parse_module(callee + "function %f() {\n fn0 = %g()\nblock0:\n call fn0()\n return\n}"))
    two.run(1, [])
    assert two.stats.called
    two.run(0, [])
    assert not two.stats.called


def test_statistics_count_up_to_the_trap() -> None:
    text = """function %f(i32) -> i32 {
    block0(v0: i32):
        v1 = iadd v0, v0
        v2 = udiv v1, v0
        v3 = imul v2, v2
        return v3
    }"""
    prepared = prepare(parse_module(text))
    assert prepared.run(0, [0]).detail == "int_divz"
    assert prepared.stats.executed == {"iadd.i32": 1, "udiv.i32": 1}
    assert prepared.stats.instructions == 2


def test_runs_do_not_see_one_another() -> None:
    text = """function %f(i64) -> i64 {
        ss0 = explicit_slot 8
    block0(v0: i64):
        v1 = stack_addr.i64 ss0
        v2 = load.i64 v1
        store v0, v1
        v3 = get_pinned_reg.i64
        set_pinned_reg v0
        v4 = bor v2, v3
        return v4
    }"""
    prepared = prepare(parse_module(text))
    assert [prepared.run(0, [x]).values for x in (5, 6)] == [(0,), (0,)]


def test_aliases_are_the_values_they_stand_for() -> None:
    text = """function %f(i64) -> i64 {
    block0(v0: i64):
        v1 = iadd v0, v0
        v5 -> v1
        v6 -> v5
        v2 = imul v5, v6
        return v2
    }"""
    assert values(text, 3) == (36,)


def test_the_old_dialect() -> None:
    text = """function %f(i64) -> i64, i8, i64, i64 {
        ss0 = explicit_slot 16
    block0(v0: i64):
        stack_store v0, ss0+8
        v1 = stack_load.i64 ss0+8
        v2 = irsub_imm v1, 100
        v3 = icmp_imm slt v2, -3
        v4 = ishl_imm v0, 65
        v5 = band_not v0, v4
        return v2, v3, v4, v5
    }"""
    ones = (1 << 64) - 1
    assert values(text, 105) == (ones - 4, 1, 210, 105 & ~210)
