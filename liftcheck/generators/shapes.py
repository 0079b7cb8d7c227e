"""Functions of a given size in each dimension in which one can grow: `BODIES` maps a name to size -> filetest.

The one idea: each shape makes one thing long and keeps everything else short; every file is well-formed, has a run
line and compiles on all ISAs, so that one file serves every command. What stands around functions grows in
`ci/bench/growth_files.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Final

from liftcheck.isa import LISTED

TARGETS: Final = tuple(f"target {row.triple}" for row in LISTED.values())
TESTS: Final = ("test interpret", "test run")


def filetest(*parts: str, header: Iterable[str] = TARGETS) -> str:
    return "\n".join([*TESTS, *header, "", *parts, ""])


def function(lines: Iterable[str], head: str = "%f(i64) -> i64", run: str = "; run: %f(3) != -77") -> str:
    return "\n".join([f"function {head} system_v {{", *lines, "}", run])


def instructions(n: int) -> str:
    ops = ("iadd", "bxor", "imul", "isub", "rotl", "umin", "smax")
    body = [f"    v{i} = {ops[i % len(ops)]} v{i - 1}, v{max(0, i - 3)}" for i in range(1, n + 1)]
    return filetest(function(["block0(v0: i64):", *body, f"    return v{n}"]))


def divisions(n: int) -> str:
    """Each may trap."""
    body = [f"    v{i} = sdiv v{i - 1}, v0" for i in range(2, n + 2)]
    return filetest(function(["block0(v0: i64):", "    v1 = iconst.i64 7", *body, f"    return v{n + 1}"]))


def floats(n: int) -> str:
    """Conversions and arithmetic, of which some need constants in memory."""
    body = []
    for i in range(n):
        body.append(
            (
                f"    v{i + 1} = fcvt_from_sint.f64 v0",
                f"    v{i + 1} = fadd v{i}, v{i}",
                f"    v{i + 1} = fneg v{i}",
                f"    v{i + 1} = f64const 0x1.{i:05x}p3",
            )[i % 4]
        )
    return filetest(function(["block0(v0: i64):", *body, f"    v{n + 1} = bitcast.i64 v{n}", f"    return v{n + 1}"]))


def accesses(n: int) -> str:
    """Stores and loads of one stack slot."""
    body, last = [], 0
    for i in range(2, n + 2):
        if i % 2:
            body.append(f"    v{i} = load.i64 v1+{i % 100 * 8}")
            last = i
        else:
            body.append(f"    store v{last}, v1+{(i + 1) % 100 * 8}")
    return filetest(
        function(
            [
                "    ss0 = explicit_slot 800",
                "block0(v0: i64):",
                "    v1 = stack_addr.i64 ss0",
                *body,
                f"    return v{last}",
            ]
        )
    )


def pressure(n: int) -> str:
    """All values live at once."""
    made = [f"    v{i} = imul v{i - 1}, v0" for i in range(1, n + 1)]
    summed = [f"    v{n + i} = bxor v{n + i - 1}, v{i}" for i in range(1, n)]
    return filetest(function(["block0(v0: i64):", *made, *summed, f"    return v{2 * n - 1}"]))


def calls(n: int) -> str:
    """Calls of one function."""
    body = [f"    v{i} = call fn0(v{i - 1})" for i in range(1, n + 1)]
    callee = "function %g(i64) -> i64 system_v {\nblock0(v0: i64):\n    v1 = iadd v0, v0\n    return v1\n}"
    head = ["    fn0 = %g(i64) -> i64 system_v", "block0(v0: i64):"]
    return filetest(callee, function([*head, *body, f"    return v{n}"]))


def chain(n: int) -> str:
    """Blocks that jump to the next."""
    body = [f"block{i}(v{i}: i64):\n    jump block{i + 1}(v{i})" for i in range(n)]
    return filetest(function([*body, f"block{n}(v{n}: i64):", f"    return v{n}"]))


def diamonds(n: int) -> str:
    body = []
    for i in range(n // 3 + 1):
        a, v = 3 * i, 2 * i
        body.append(
            f"block{a}(v{v}: i64):\n    brif v{v}, block{a + 1}, block{a + 2}\n"
            f"block{a + 1}:\n    v{v + 1} = iadd v{v}, v{v}\n    jump block{a + 3}(v{v + 1})\n"
            f"block{a + 2}:\n    jump block{a + 3}(v{v})"
        )
    last = 3 * (n // 3 + 1)
    return filetest(function([*body, f"block{last}(v{last}: i64):", f"    return v{last}"]))


def exits(n: int) -> str:
    """A deep dominator tree whose every block may leave for one exit."""
    body = [f"block{i}:\n    v{i + 1} = iadd v{i}, v0\n    brif v0, block{i + 1}, block{n}" for i in range(1, n)]
    return filetest(
        function(["block0(v0: i64):", "    v1 = iconst.i64 1", "    jump block1", *body, f"block{n}:", "    return v1"])
    )


def far(n: int) -> str:
    """Deep in a dominator tree, uses of what the top defines and of what is just above."""
    body = [f"block{i}:\n    v{i + 1} = iadd v{i}, v0\n    brif v{i}, block{i + 1}, block{i + 1}" for i in range(1, n)]
    return filetest(
        function(
            ["block0(v0: i64):", "    v1 = iconst.i64 1", "    jump block1", *body, f"block{n}:", f"    return v{n}"]
        )
    )


def nest(n: int) -> str:
    """Loops in loops: headers down, then back edges from the inside out."""
    half = max(n // 2, 1)
    body = ["block0(v0: i64):\n    v1 = iconst.i64 0\n    jump block1"]
    body += [f"block{i}:\n    jump block{i + 1}" for i in range(1, half)]
    body.append(f"block{half}:\n    jump block{half + 1}")
    body += [f"block{half + i}:\n    brif v1, block{half - i + 1}, block{half + i + 1}" for i in range(1, half + 1)]
    return filetest(function([*body, f"block{2 * half + 1}:", "    return v0"]))


def ladder(n: int) -> str:
    """Two chains, one in each direction, with rungs between: what makes iterative dominators slow."""
    half = max(n // 2, 2)
    up, end = half + 1, 2 * half + 1
    body = [f"block0(v0: i64):\n    brif v0, block1, block{up + half - 1}"]
    for i in range(1, half + 1):
        onward = i + 1 if i < half else end
        body.append(f"block{i}:\n    brif v0, block{onward}, block{up + i - 1}")
    for i in range(half):
        onward = up + i - 1 if i else end
        body.append(f"block{up + i}:\n    brif v0, block{onward}, block{end}")
    return filetest(function([*body, f"block{end}:", "    return v0"]))


def table_blocks(n: int) -> str:
    """A branch table with a block an entry."""
    entries = ", ".join(f"block{i}" for i in range(1, n + 1))
    body = [f"block{i}:\n    jump block{n + 1}(v0)" for i in range(1, n + 1)]
    return filetest(
        function(
            [
                "block0(v0: i64):",
                "    v1 = ireduce.i32 v0",
                f"    br_table v1, block1, [{entries}]",
                *body,
                f"block{n + 1}(v2: i64):",
                "    return v2",
            ]
        )
    )


def table_entries(n: int) -> str:
    """A branch table to two blocks; one long line."""
    entries = ", ".join(f"block{1 + i % 2}" for i in range(n))
    return filetest(
        function(
            [
                "block0(v0: i64):",
                "    v1 = ireduce.i32 v0",
                f"    br_table v1, block1, [{entries}]",
                "block1:",
                "    return v0",
                "block2:",
                "    return v0",
            ]
        )
    )


def block_params(n: int) -> str:
    names = ", ".join(f"v{i}" for i in range(1, n + 1))
    params = ", ".join(f"v{n + i}: i64" for i in range(1, n + 1))
    made = [f"    v{i} = imul v{i - 1}, v0" for i in range(1, n + 1)]
    return filetest(
        function(["block0(v0: i64):", *made, f"    jump block1({names})", f"block1({params}):", f"    return v{2 * n}"])
    )


def aliases(n: int) -> str:
    body = [f"    v{i} -> v{i - 1}" for i in range(1, n + 1)]
    return filetest(function(["block0(v0: i64):", *body, f"    return v{n}"]))


def alias_uses(n: int) -> str:
    """A chain of aliases, each used."""
    body = [f"    v{2 * i} -> v{2 * i - 2}\n    v{2 * i + 1} = iadd v{2 * i}, v0" for i in range(1, n + 1)]
    return filetest(function(["block0(v0: i64):", *body, f"    return v{2 * n + 1}"]))


def constants(n: int) -> str:
    body = [f"    v{i} = vconst.i64x2 [{i} {i * 77}]" for i in range(1, n + 1)]
    return filetest(
        function(["block0(v0: i64):", *body, f"    v{n + 1} = extractlane v{n}, 1", f"    return v{n + 1}"])
    )


def stack_slots(n: int) -> str:
    slots = [f"    ss{i} = explicit_slot 8" for i in range(n)]
    body = [f"    v{i + 1} = stack_addr.i64 ss{i}\n    store v0, v{i + 1}" for i in range(n)]
    body.append(f"    v{n + 1} = load.i64 v{n}")
    return filetest(function([*slots, "block0(v0: i64):", *body, f"    return v{n + 1}"]))


def arguments(n: int) -> str:
    """A call with many arguments."""
    params, types = ", ".join(f"v{i}: i64" for i in range(n)), ", ".join(["i64"] * n)
    callee = f"function %g({types}) -> i64 system_v {{\nblock0({params}):\n    return v{n - 1}\n}}"
    given = ", ".join(["v0"] * n)
    return filetest(
        callee,
        function(
            [
                f"    fn0 = %g({types}) -> i64 system_v",
                "block0(v0: i64):",
                f"    v1 = call fn0({given})",
                "    return v1",
            ]
        ),
    )


def handlers(n: int) -> str:
    """A try_call with many handlers."""
    tags = ", ".join(f"tag{i}: block2(exn0)" for i in range(n))
    callee = "function %g(i64) -> i64 tail {\nblock0(v0: i64):\n    return v0\n}"
    return filetest(
        callee,
        function(
            [
                "    sig0 = (i64) -> i64 tail",
                "    fn0 = %g(i64) -> i64 tail",
                "block0(v0: i64):",
                f"    try_call fn0(v0), sig0, block1(ret0), [ {tags} ]",
                "block1(v1: i64):",
                "    return v1",
                "block2(v2: i64):",
                "    return v2",
            ]
        ),
    )


def try_calls(n: int) -> str:
    """Many calls with a handler each."""
    callee = "function %g(i64) -> i64 tail {\nblock0(v0: i64):\n    return v0\n}"
    body = [
        f"block{i}(v{i}: i64):\n    try_call fn0(v{i}), sig0, block{i + 1}(ret0), [ tag0: block{n + 1}(exn0) ]"
        for i in range(n)
    ]
    return filetest(
        callee,
        function(
            [
                "    sig0 = (i64) -> i64 tail",
                "    fn0 = %g(i64) -> i64 tail",
                *body,
                f"block{n}(v{n}: i64):",
                f"    return v{n}",
                f"block{n + 1}(v{n + 1}: i64):",
                f"    return v{n + 1}",
            ]
        ),
    )


def wide(n: int) -> str:
    """Each is several instructions of the machine."""
    ops = ("iadd", "imul", "ishl", "isub", "rotl")
    body = [f"    v{i} = {ops[i % len(ops)]} v{i - 1}, v{max(1, i - 3)}" for i in range(2, n + 2)]
    return filetest(
        function(
            [
                "block0(v0: i64):",
                "    v1 = uextend.i128 v0",
                *body,
                f"    v{n + 2} = ireduce.i64 v{n + 1}",
                f"    return v{n + 2}",
            ]
        )
    )


def vectors(n: int) -> str:
    ops = ("iadd", "bxor", "isub", "band_not", "umin", "sadd_sat")
    body = [f"    v{i} = {ops[i % len(ops)]} v{i - 1}, v{max(2, i - 3)}" for i in range(3, n + 3)]
    return filetest(
        function(
            [
                "block0(v0: i64):",
                "    v1 = ireduce.i16 v0",
                "    v2 = splat.i16x8 v1",
                *body,
                f"    v{n + 3} = bitcast.i64x2 little v{n + 2}",
                f"    v{n + 4} = extractlane v{n + 3}, 0",
                f"    return v{n + 4}",
            ]
        )
    )


def atomics(n: int) -> str:
    ops = ("add", "xchg", "umax", "nand")
    body = [f"    v{i} = atomic_rmw.i32 {ops[i % len(ops)]} v1, v2" for i in range(3, n + 3)]
    return filetest(
        function(
            [
                "    ss0 = explicit_slot 8",
                "block0(v0: i64):",
                "    v1 = stack_addr.i64 ss0",
                "    v2 = ireduce.i32 v0",
                "    store v0, v1",
                *body,
                f"    v{n + 3} = uextend.i64 v{n + 2}",
                f"    return v{n + 3}",
            ]
        )
    )


def immediates(n: int) -> str:
    """Removed opcodes, which every compiler of today gets translated."""
    ops = ("iadd_imm", "bxor_imm", "imul_imm", "ishl_imm")
    body = [f"    v{i} = {ops[i % len(ops)]} v{i - 1}, {i % 60}" for i in range(1, n + 1)]
    return filetest(function(["block0(v0: i64):", *body, f"    return v{n}"]))


def regions(n: int) -> str:
    """Alias regions, with an access each."""
    declared = [f'    region{i} = {i} "region {i}"' for i in range(n)]
    body = [f"    store region{i} v0, v1+{8 * (i % 100)}" for i in range(n)]
    return filetest(
        function(
            [
                *declared,
                "    ss0 = explicit_slot 800",
                "block0(v0: i64):",
                "    v1 = stack_addr.i64 ss0",
                *body,
                "    v2 = load.i64 v1",
                "    return v2",
            ]
        )
    )


def traps(n: int) -> str:
    """Traps that are not taken."""
    body = [f"    v{i + 1} = iadd v{i}, v0\n    trapz v{i}, user{i % 100 + 1}" for i in range(1, n + 1)]
    return filetest(function(["block0(v0: i64):", "    v1 = iconst.i64 3", *body, f"    return v{n + 1}"]))


def returns(n: int) -> str:
    """Blocks of which every other returns."""
    body = [
        f"block{2 * i}:\n    v{i + 1} = iadd v{i}, v0\n    brif v{i + 1}, block{2 * i + 2}, block{2 * i + 1}\n"
        f"block{2 * i + 1}:\n    return v{i + 1}"
        for i in range(1, n // 2 + 1)
    ]
    last = n // 2 + 1
    return filetest(
        function(
            [
                "block0(v0: i64):",
                "    v1 = iconst.i64 1",
                "    jump block2",
                *body,
                f"block{2 * last}:",
                f"    return v{last}",
            ]
        )
    )


def unreachable(n: int) -> str:
    """Blocks that nothing jumps to, except one another."""
    body = [f"block{i}:\n    v{i} = iadd v0, v0\n    jump block{i + 1}" for i in range(1, n)]
    return filetest(function(["block0(v0: i64):", "    return v0", *body, f"block{n}:", "    return v0"]))


def tangle(n: int) -> str:
    """A random graph of blocks, which its edges leave no structure; every round of a loop counts down."""
    choose = random.Random(n)
    body = [
        f"block{i}(v{2 * i}: i64):\n    v{2 * i + 1} = ushr v{2 * i}, v1\n"
        f"    brif v{2 * i + 1}, block{choose.randint(2, n + 1)}(v{2 * i + 1}), block{i + 1}(v{2 * i + 1})"
        for i in range(2, n + 1)
    ]
    return filetest(
        function(
            [
                "block0(v0: i64):",
                "    v1 = iconst.i64 1",
                "    jump block2(v0)",
                *body,
                f"block{n + 1}(v{2 * n + 2}: i64):",
                f"    return v{2 * n + 2}",
            ]
        )
    )


def across_calls(n: int) -> str:
    """Values that live across many calls."""
    half = max(n // 2, 1)
    made = [f"    v{i} = imul v{i - 1}, v0" for i in range(1, half + 1)]
    called = [f"    v{half + i} = call fn0(v{half + i - 1})" for i in range(1, half + 1)]
    read = [f"    v{2 * half + i} = bxor v{2 * half + i - 1}, v{i}" for i in range(1, half + 1)]
    callee = "function %g(i64) -> i64 system_v {\nblock0(v0: i64):\n    return v0\n}"
    return filetest(
        callee,
        function(
            ["    fn0 = %g(i64) -> i64 system_v", "block0(v0: i64):", *made, *called, *read, f"    return v{3 * half}"]
        ),
    )


def stack_maps(n: int) -> str:
    """Calls with a stack map each."""
    callee = "function %g() system_v {\nblock0:\n    return\n}"
    body = ["    call fn0(), stack_map=[i64 @ ss0+0, i64 @ ss0+8]"] * n
    return filetest(
        callee,
        function(["    ss0 = explicit_slot 16", "    fn0 = %g() system_v", "block0(v0: i64):", *body, "    return v0"]),
    )


def large_slot(n: int) -> str:
    return filetest(
        function(
            [
                f"    ss0 = explicit_slot {8 * n}",
                "block0(v0: i64):",
                "    v1 = stack_addr.i64 ss0",
                f"    store v0, v1+{8 * n - 8}",
                f"    v2 = load.i64 v1+{8 * n - 8}",
                "    return v2",
            ]
        )
    )


def results(n: int) -> str:
    """A function with many results, and a call of it."""
    types, made = ", ".join(["i64"] * n), ", ".join(f"v{i}" for i in range(1, n + 1))
    callee = f"function %g(i64) -> {types} fast {{\nblock0(v0: i64):\n    return {', '.join(['v0'] * n)}\n}}"
    return filetest(
        callee,
        function(
            [f"    fn0 = %g(i64) -> {types} fast", "block0(v0: i64):", f"    {made} = call fn0(v0)", f"    return v{n}"]
        ),
    )


def parameters(n: int) -> str:
    """A function with many parameters, and a run line for it."""
    params, types = ", ".join(f"v{i}: i64" for i in range(n)), ", ".join(["i64"] * n)
    values = ", ".join(str(i % 100) for i in range(n))
    return filetest(
        function(
            [f"block0({params}):", f"    return v{n - 1}"],
            f"%f({types}) -> i64",
            f"; run: %f({values}) == {(n - 1) % 100}",
        )
    )


def recursion(n: int) -> str:
    """Calls within one another, when it runs."""
    return filetest(
        function(
            [
                "    fn0 = %f(i64) -> i64 system_v",
                "block0(v0: i64):",
                "    brif v0, block1, block2",
                "block1:",
                "    v1 = iconst.i64 1",
                "    v2 = isub v0, v1",
                "    v3 = call fn0(v2)",
                "    return v3",
                "block2:",
                "    return v0",
            ],
            run=f"; run: %f({n}) == 0",
        )
    )


def rounds(n: int) -> str:
    """A loop that is short, but runs often."""
    return filetest(
        function(
            [
                "block0(v0: i64):",
                "    v1 = iconst.i64 1",
                "    jump block1(v0, v1)",
                "block1(v2: i64, v3: i64):",
                "    v4 = imul v3, v3",
                "    v5 = iadd v4, v2",
                "    v6 = isub v2, v1",
                "    brif v6, block1(v6, v5), block2",
                "block2:",
                "    return v5",
            ],
            run=f"; run: %f({n}) != -77",
        )
    )


BODIES: Final[dict[str, Callable[[int], str]]] = {
    shape.__name__: shape
    for shape in (
        instructions,
        divisions,
        floats,
        accesses,
        pressure,
        calls,
        chain,
        diamonds,
        exits,
        far,
        nest,
        ladder,
        table_blocks,
        table_entries,
        block_params,
        aliases,
        alias_uses,
        constants,
        stack_slots,
        arguments,
        handlers,
        try_calls,
        wide,
        vectors,
        atomics,
        immediates,
        regions,
        traps,
        returns,
        unreachable,
        tangle,
        across_calls,
        stack_maps,
        large_slot,
        results,
        parameters,
        recursion,
        rounds,
    )
}
