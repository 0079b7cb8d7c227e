"""The reducer: it reaches the known minimum, keeps what the question asks for, and never hands on an ill-formed
program."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from liftcheck import layout
from liftcheck.campaign.findings.likeness import probe
from liftcheck.campaign.reduce.answers import one_by_one
from liftcheck.campaign.reduce.dead_code import tidy
from liftcheck.campaign.reduce.edit import renumber
from liftcheck.campaign.reduce.engine import (
    Limits,
    Meter,
    Reduced,
    cost,
    finished,
    reduce_case,
    reduce_settings,
    size,
    tidied,
)
from liftcheck.campaign.reduce.passes import SEVERAL, instructions
from liftcheck.campaign.reduce.several import ENOUGH, Pass, several
from liftcheck.campaign.reduce.visible import shows_addresses, shows_nan_bits
from liftcheck.case import Case, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.oracles.reference import interpret

TARGET = Target("x86-64")
STRAIGHT = """
function %f0(i64, i64, i64) -> i64, i64 system_v {
block0(v0: i64, v1: i64, v2: i64):
    v3 = iadd v0, v1
    v4 = bxor v3, v2
    v5 = imul v4, v1
    v6 = isub v5, v0
    v7 = band v6, v3
    v8 = popcnt v7
    return v8, v6
}
"""
LOOP = """
function %callee(i64) -> i64 system_v {
block0(v0: i64):
    v1 = iconst.i64 5
    v2 = imul v0, v1
    return v2
}

function %f0(i64, i64) -> i64 system_v {
    fn0 = colocated %callee(i64) -> i64 system_v

block0(v0: i64, v1: i64):
    v2 = iconst.i64 0
    jump block1(v2, v0)

block1(v3: i64, v4: i64):
    v5 = iconst.i64 4
    v6 = icmp ult v3, v5
    brif v6, block2, block3

block2:
    v7 = call fn0(v4)
    v8 = rotl v7, v1
    v9 = iconst.i64 1
    v10 = iadd v3, v9
    jump block1(v10, v8)

block3:
    v11 = bnot v4
    return v11
}
"""


def case_of(text: str, *inputs: tuple[int, ...], memories: tuple[bytes, ...] = ()) -> Case:
    module = parse_module(text, "test")
    return Case(module, len(module.functions) - 1, inputs, memories)


def ops(case: Case) -> list[str]:
    return [inst.op for f in case.module.functions for b in f.blocks for inst in b.insts]


def ask(case: Case) -> tuple[int, ...] | None:
    return probe(case, TARGET)


def shrink(case: Case, shows: Callable[[Case], bool], limits: Limits | None = None) -> tuple[Reduced, Meter]:
    """The reduction at a stretch, with what it used."""
    meter = Meter(limits or Limits())
    return finished(reduce_case(case, one_by_one(lambda c: "" if shows(c) else "do not show it"), ask, meter)), meter


class Anything:
    def __contains__(self, key: object) -> bool:
        return True


def test_one_instruction_is_left_of_straight_line_code() -> None:
    case = case_of(STRAIGHT, (1, 2, 3), (3, 5, 1 << 63), (7, 9, 11))
    done, _ = shrink(case, lambda c: "imul" in ops(c) and ask(c) is not None)
    assert done.complete
    assert ops(done.case) == ["imul", "return"]
    assert len(done.case.inputs) == 1
    assert size(done.case) <= 5


def test_what_needs_a_coincidence_is_reached_by_several_steps() -> None:
    """As a fault that shows in one register only: every step loses it, some steps together do not."""
    stores = "".join(f"    store.i64 v1, v0+{8 * n}\n" for n in range(19))
    text = f"function %f0(i64, i64) system_v {{\nblock0(v0: i64, v1: i64):\n{stores}    return\n}}\n"
    case = case_of(text, (layout.DATA, 5), memories=(bytes(layout.SLOT_SIZE),))

    def left(*passes: Pass) -> int:
        answers = one_by_one(lambda one: "" if len(ops(one)) % 5 == 0 else "do not show it")
        return len(ops(finished(reduce_case(case, answers, ask, Meter(Limits()), passes=passes)).case))

    assert left(instructions) == 20
    assert left(instructions, several([instructions])) == 5


def test_small_programs_are_left_to_single_steps() -> None:
    case = case_of(STRAIGHT, (3, 4, 5))
    assert len(ops(case)) <= ENOUGH
    assert SEVERAL(case, 0, ask) is None


def test_loops_calls_and_blocks_go_away() -> None:
    case = case_of(LOOP, (3, 4))
    done, _ = shrink(case, lambda c: "rotl" in ops(c) and ask(c) is not None)
    assert ops(done.case) == ["rotl", "return"]
    assert len(done.case.module.functions) == 1


def test_a_fault_in_a_callee_makes_the_callee_the_entry() -> None:
    case = case_of(LOOP, (3, 4))
    done, _ = shrink(case, lambda c: "imul.i64" in interpret(c, False, 10_000).executed)
    assert len(done.case.module.functions) == 1
    assert ops(done.case) == ["imul", "return"]


def test_a_fault_that_needs_a_value_keeps_it() -> None:
    case = case_of(STRAIGHT, (1, 2, 3))
    (wanted, _) = ask(case) or (0, 0)
    assert wanted
    done, _ = shrink(case, lambda c: "popcnt" in ops(c) and (ask(c) or (0,))[0] == wanted)
    assert "popcnt" in ops(done.case)
    assert (ask(done.case) or (0,))[0] == wanted


def test_memory_shrinks_to_what_matters() -> None:
    text = """
function %f0(i64) -> i64 system_v {
block0(v0: i64):
    v1 = load.i64 v0+8
    v2 = load.i64 v0+64
    v3 = iadd v1, v2
    return v3
}
"""
    content = bytes(1 + i % 255 for i in range(4096))
    byte = content[8]

    def shows(c: Case) -> bool:
        return "load" in ops(c) and ((ask(c) or (0,))[0] & 0xFF) == byte

    start = case_of(
        text.replace("v0+64", "v0+8").replace("iadd v1, v2", "band v1, v2"),
        (layout.slot_address(0),),
        memories=(content,),
    )
    done, _ = shrink(start, shows)
    assert ops(done.case) == ["load", "return"]
    assert sum(map(bool, done.case.memories[0])) <= 16


def test_a_region_that_is_only_pointed_at_goes() -> None:
    text = "function %f(i64, i64) -> i64 system_v {\nblock0(v0: i64, v1: i64):\n    v2 = popcnt v1\n    return v2\n}\n"
    case = case_of(text, (layout.slot_address(0), 7), memories=(b"\1" * layout.SLOT_SIZE,))

    def shows(one: Case) -> bool:
        kept = one.module.functions[0].signature.params
        return (
            len(kept) == 2
            and "popcnt" in ops(one)
            and (bool(one.memories) or layout.slot_address(0) not in one.inputs[0])
        )

    done, _ = shrink(case, shows)
    assert not done.case.memories and done.case.inputs[0][0] == 0


@pytest.mark.parametrize("seed", range(6))
def test_generated_programs_shrink_and_stay_well_formed(seed: int) -> None:
    context = Context(("x86-64",), {"x86-64": Anything()}, inputs=2)
    case = generate.generate(RandomChoices(seed), "default", context)
    wanted = next((op for op in ("ishl", "imul", "iadd", "load", "icmp", "store") if op in ops(case)), "return")
    done, _ = shrink(case, lambda c: wanted in ops(c) and not interpret(c, False, 20_000).trouble, Limits(5.0, 1500))
    assert not verify(done.case.module)
    assert wanted in ops(done.case)
    assert cost(done.case) <= cost(case)
    assert size(done.case) <= 12, print_module(done.case.module)


def test_limits_are_kept() -> None:
    done, meter = shrink(case_of(STRAIGHT, (1, 2, 3)), lambda c: "imul" in ops(c), Limits(60.0, 2))
    assert meter.asked == 2
    assert not done.complete


def test_nothing_is_taken_that_is_not_cheaper() -> None:
    seen = []

    def question(case: Case) -> bool:
        seen.append(cost(case))
        return True

    case = tidied(case_of(STRAIGHT, (1, 2, 3)))
    shrink(case, question)
    assert seen == sorted(seen, reverse=True)


def test_tidy_drops_what_nobody_reads_and_keeps_effects() -> None:
    text = """
function %f0(i64) -> i64 system_v {
    ss0 = explicit_slot 8

block0(v0: i64):
    v1 = iadd v0, v0
    v2 = stack_addr.i64 ss0
    store v0, v0
    jump block1(v1)

block1(v3: i64):
    return v0

block2:
    trap user1
}
"""
    function = renumber(tidy(parse_module(text, "test").functions[0]))
    assert [inst.op for block in function.blocks for inst in block.insts] == ["store", "return"]
    assert not function.stack_slots
    assert sorted(function.types) == [0]


def test_settings_that_do_not_matter_are_dropped() -> None:
    target = Target("riscv64", (("has_v", "true"), ("has_zbb", "true"), ("opt_level", "speed")))
    steps = reduce_settings(target, lambda t: "" if ("has_zbb", "true") in t.settings else "needs it", Meter(Limits()))
    done = finished(steps)
    assert done.settings == (("has_zbb", "true"),)


NAN = """
function %f0(f64, i64) -> i64 system_v {{
block0(v0: f64, v1: i64):
    v2 = fadd v0, v0
    {}
    v9 = bitcast.i64 v8
    return v9
}}
"""


@pytest.mark.parametrize(
    ("body", "shows"),
    [
        ("v8 = fneg v2", True),
        ("v8 = fneg v0", False),
        ("v3 = f64const 0x1.0p0\n v4 = fcmp uno v2, v2\n v8 = select v4, v3, v2", False),
        ("v3 = f64const 0x1.0p0\n v4 = fcmp uno v0, v0\n v8 = select v4, v3, v2", True),
    ],
)
def test_visible_nan_bits_are_seen(body: str, shows: bool) -> None:
    assert shows_nan_bits(parse_module(NAN.format(body), "test"), 0) is shows


@pytest.mark.parametrize("seed", range(20))
def test_generated_programs_never_show_nan_bits(seed: int) -> None:
    context = Context(("x86-64",), {"x86-64": Anything()}, inputs=1)
    case = generate.generate(RandomChoices(seed), "floats", context)
    assert not shows_nan_bits(case.module, case.entry)


@pytest.mark.parametrize("seed", range(20))
def test_generated_programs_never_show_addresses(seed: int) -> None:
    context = Context(("x86-64",), {"x86-64": Anything()}, inputs=1)
    assert not shows_addresses(
        generate.generate(RandomChoices(seed), "calls" if seed % 2 else "default", context).module
    )


@pytest.mark.parametrize(
    ("body", "shows"),
    [
        ("v2 = stack_addr.i64 ss0\n return v2", True),
        ("v2 = stack_addr.i64 ss0\n v3 = icmp eq v2, v0\n v4 = uextend.i64 v3\n return v4", True),
        ("v2 = stack_addr.i64 ss0\n store v2, v0\n return v1", True),
        ("v2 = stack_addr.i64 ss0\n store v2, v2\n return v1", False),
        ("v2 = stack_addr.i64 ss0\n store v2, v2\n v3 = load.i64 v2\n return v3", True),
        ("v2 = stack_addr.i64 ss0\n store v1, v2\n v3 = load.i64 v2\n return v3", False),
    ],
)
def test_visible_addresses_are_seen(body: str, shows: bool) -> None:
    text = f"function %f(i64, i64) -> i64 {{\n ss0 = explicit_slot 8\n\nblock0(v0: i64, v1: i64):\n {body}\n}}\n"
    assert shows_addresses(parse_module(text, "test")) is shows


HANDLED = """
function %callee(i64) -> i64 tail {{
block0(v0: i64):
    return v0
}}

function %f0(i64) -> i64 system_v {{
    sig0 = (i64) -> i64 tail
    fn0 = colocated %callee sig0

block0(v0: i64):
    v8 = iconst.i64 7
    jump block4

block4:
    v1 = get_exception_handler_address.i64 block4, 0
    v2 = iadd v1, v8
    try_call fn0(v0), sig0, block1(ret0), [ default: block2(exn0) ]

block1(v3: i64):
    v4 = popcnt v3
    return v4

block2(v5: i64):
    {}
}}
"""


@pytest.mark.parametrize("end", ["return v5", "v6 = iadd v5, v2\n    return v6"])
def test_addresses_of_handlers_follow_their_blocks(end: str) -> None:
    """Candidates that merge, renumber or calm the block of a `try_call` are well-formed."""
    start = tidied(case_of(HANDLED.format(end), (3,)), lambda _name, _value: True)
    assert not verify(start.module), print_module(start.module)
    done, _ = shrink(start, lambda c: "popcnt" in ops(c))
    assert "are ill-formed" not in done.refused
    assert ops(done.case) == ["popcnt", "return"]
