"""The mid-end: what comes out does the same, is well-formed, and is less; time grows with the length."""

from __future__ import annotations

import re
import time

import pytest

from liftcheck import layout
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.interp.run import prepare
from liftcheck.opt.optimize import optimize

PROGRAMS = 25


class Everything:
    """A matrix without gaps."""

    def __contains__(self, key: object) -> bool:
        return True


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("isa", ["s390x", "x86-64"])
def test_generated_programs_do_the_same(seed: int, isa: str) -> None:
    context = Context((isa,), {isa: Everything()}, inputs=3)
    before = after = 0
    for number in range(PROGRAMS):
        case = generate.generate(RandomChoices(1000 * seed + number), "all", context)
        module = Module([optimize(function) for function in case.module.functions])
        assert verify(module) == [], f"seed {1000 * seed + number}"
        both = [prepare(one, isa == "s390x") for one in (case.module, module)]
        for i, args in enumerate(case.inputs):
            regions = {layout.slot_address(case.slot + i): case.memories[i]} if case.memories else {}
            outcomes = [one.run(case.entry, args, regions, 100_000) for one in both]
            assert outcomes[0] == outcomes[1], f"seed {1000 * seed + number} input {i}"
            before, after = before + both[0].stats.instructions, after + both[1].stats.instructions
    assert 0 < after < before


def done(text: str) -> Function:
    (function,) = parse_module(text).functions
    made = optimize(function)
    assert verify(made) == []
    return made


def ops(function: Function) -> list[str]:
    return [inst.op for block in function.blocks for inst in block.insts]


def body(signature: str, lines: str, preamble: str = "") -> str:
    return f"function %f{signature} system_v {{\n{preamble}\n{lines}\n}}\n"


@pytest.mark.parametrize(
    ("signature", "lines", "expected"),
    [
        (
            "(i32) -> i32",
            "block0(v0: i32): ; v1 = iadd v0, v0 ; v2 = iadd v0, v0 ; v3 = isub v1, v2 ; return v3",
            "iconst return",
        ),
        (
            "(i32) -> i32",
            "block0(v0: i32): ; v1 = iconst.i32 6 ; v2 = iconst.i32 7 ; v3 = imul v1, v2 ; return v3",
            "iconst return",
        ),
        (
            "(i32, i32) -> i32",
            "block0(v0: i32, v1: i32): ; v2 = iadd v0, v1 ; v3 = iadd v1, v0 ; v4 = bxor v2, v3 ; "
            "v5 = bor v4, v0 ; return v5",
            "return",
        ),
        ("(i64) -> i64", "block0(v0: i64): ; v1 = iconst.i64 8 ; v2 = udiv v0, v1 ; return v2", "iconst ushr return"),
        (
            "(i64, i64) -> i64",
            "block0(v0: i64, v1: i64): ; v2 = udiv v0, v1 ; v3 = udiv v0, v1 ; v4 = iadd v2, v3 ; return v4",
            "udiv iadd return",
        ),
        ("(i64) -> i64", "block0(v0: i64): ; v1 = iconst.i64 0 ; v2 = udiv v0, v1 ; return v0", "iconst udiv return"),
        (
            "(i32) -> i32",
            "block0(v0: i32): ; v1 = iconst.i8 1 ; brif v1, block1, block2 ; block1: ; return v0 ; "
            "block2: ; v2 = iadd v0, v0 ; return v2",
            "return",
        ),
        (
            "(i32) -> i32",
            "block0(v0: i32): ; v1 = iconst.i32 1 ; br_table v1, block1, [block2, block3] ; block1: ; "
            "v4 = ineg v0 ; return v4 ; block2: ; v2 = iadd v0, v0 ; return v2 ; block3: ; return v0",
            "return",
        ),
        ("(i32) -> i32", "block0(v0: i32): ; v1 = iconst.i8 0 ; trapz v1, user1 ; return v0", "trap"),
        ("(i32) -> i32", "block0(v0: i32): ; v1 = iconst.i8 0 ; trapnz v1, user1 ; return v0", "return"),
        ("(i32) -> i32", "block0(v0: i32): ; trapz v0, user1 ; trapz v0, user2 ; return v0", "trapz return"),
        (
            "(f64) -> f64",
            "block0(v0: f64): ; v1 = f64const 0x0.0 ; v2 = fdiv v1, v1 ; return v2",
            "f64const fdiv return",
        ),
        (
            "(i64) -> i32",
            "block0(v0: i64): ; v1 = load.i32 v0+4 ; v2 = load.i32 v0+4 ; v3 = bxor v1, v2 ; return v3",
            "load iconst return",
        ),
        (
            "(i64, i32) -> i32",
            "block0(v0: i64, v1: i32): ; store v1, v0 ; v2 = load.i32 v0 ; return v2",
            "store return",
        ),
        (
            "(i64, i32, i64) -> i32",
            "block0(v0: i64, v1: i32, v2: i64): ; store v1, v0 ; store v1, v2 ; v3 = load.i32 v0 ; return v3",
            "store store load return",
        ),
        (
            "(i64, i32) -> i32",
            "block0(v0: i64, v1: i32): ; store v1, v0 ; v4 = iconst.i64 4 ; v5 = iadd v0, v4 ; "
            "store v1, v5 ; v3 = load.i32 v0 ; return v3",
            "store iconst iadd store return",
        ),
        (
            "(i64, i32) -> i32",
            "block0(v0: i64, v1: i32): ; store v1, v0 ; store v1, v0+2 ; v3 = load.i32 v0 ; return v3",
            "store store load return",
        ),
        (
            "(i64, i64) -> i64",
            "block0(v0: i64, v1: i64): ; istore8 v1, v0 ; v2 = sload8.i64 v0 ; return v2",
            "istore8 ireduce sextend return",
        ),
        (
            "(i64, i32, i32)",
            "block0(v0: i64, v1: i32, v2: i32): ; store v1, v0 ; store v2, v0 ; return",
            "store return",
        ),
        (
            "(i64, i32, i32)",
            "block0(v0: i64, v1: i32, v2: i32): ; store v1, v0 ; trapz v1, user1 ; store v2, v0 ; return",
            "store trapz store return",
        ),
        (
            "(i64, i32, i32, i64)",
            "block0(v0: i64, v1: i32, v2: i32, v3: i64): ; store v1, v0 ; v4 = load.i32 v3 ; store v2, v0 ; return",
            "store load store return",
        ),
        (
            "(i64, i32) -> i32",
            "block0(v0: i64, v1: i32): ; store v1, v0 ; fence ; v2 = load.i32 v0 ; return v2",
            "store fence load return",
        ),
        (
            "(i32) -> i32",
            "block0(v0: i32): ; v1 = iconst.i32 3 ; brif v0, block1(v1), block1(v1) ; block1(v2: i32): ; "
            "v3 = iadd v2, v0 ; return v3",
            "iconst iadd return",
        ),
    ],
)
def test_what_is_left(signature: str, lines: str, expected: str) -> None:
    assert " ".join(ops(done(body(signature, lines.replace(" ; ", "\n"))))) == expected


def test_what_does_not_change_leaves_the_loop() -> None:
    made = done(
        body(
            "(i32, i32) -> i32",
            "block0(v0: i32, v1: i32):\n v9 = iconst.i32 0\n jump block1(v9, v9)\n"
            "block1(v2: i32, v3: i32):\n v4 = imul v0, v1\n v5 = iadd v3, v4\n v6 = iconst.i32 1\n v7 = iadd v2, v6\n"
            " v8 = icmp ult v7, v0\n brif v8, block1(v7, v5), block2\nblock2:\n return v5",
        )
    )
    entry, loop = made.blocks[0], made.blocks[1]
    assert "imul" in [inst.op for inst in entry.insts]
    assert "imul" not in [inst.op for inst in loop.insts]
    assert "iconst" in [inst.op for inst in loop.insts], "a constant is made where it is used"


def test_memory_is_not_known_after_a_call_that_may_throw() -> None:
    made = done(
        body(
            "(i64, i32) -> i32",
            "block0(v0: i64, v1: i32):\n store v1, v0\n try_call fn0(v0), sig0, block1, [ default: block2 ]\n"
            "block1:\n v2 = load.i32 v0\n return v2\nblock2:\n v3 = load.i32 v0\n return v3",
            " sig0 = (i64) tail\n fn0 = %g sig0",
        )
    )
    assert ops(made) == ["store", "try_call", "load", "return", "load", "return"]


def test_a_function_that_was_handed_in_is_not_changed() -> None:
    text = body("(i32) -> i32", "block0(v0: i32):\n v1 = iconst.i32 0\n v2 = iadd v0, v1\n return v2")
    module = parse_module(text)
    before = print_module(module)
    trace: list[str] = []
    optimize(module.functions[0], trace)
    assert print_module(module) == before
    assert trace and all(re.fullmatch(r"src/opts/(\w+\.isle:\d+ simplify|opcodes:\d+ \w+)", line) for line in trace)


def chain(length: int) -> str:
    lines = "\n".join(f" v{n + 2} = {('iadd', 'bxor', 'isub')[n % 3]} v{n + 1}, v{n}" for n in range(length))
    return body("(i32, i32) -> i32", f"block0(v0: i32, v1: i32):\n{lines}\n return v{length + 1}")


def blocks(length: int) -> str:
    lines = "\n".join(
        f"block{n}(v{n}: i32):\n v{n + 100_000} = iadd v{n}, v{n}\n brif v{n + 100_000}, block{n + 1}(v{n + 100_000}), "
        f"block{n + 1}(v{n})"
        for n in range(length)
    )
    return body("(i32) -> i32", f"{lines}\nblock{length}(v{length}: i32):\n return v{length}")


def stores(length: int) -> str:
    lines = "\n".join(f" store v1, v0+{4 * (n % 5000)}\n v{n + 2} = load.i32 v0+{n % 9999}" for n in range(length))
    return body("(i64, i32)", f"block0(v0: i64, v1: i32):\n{lines}\n return")


@pytest.mark.parametrize("shape", [chain, blocks, stores])
def test_time_grows_with_length(shape: object) -> None:
    took = []
    assert callable(shape)
    for length in (2000, 16_000):
        (function,) = parse_module(shape(length)).functions
        times = []
        for _ in range(2):
            start = time.process_time()
            optimize(function)
            times.append(time.process_time() - start)
        took.append(min(times))
    assert took[1] < 8 * 2.2 * took[0], took
