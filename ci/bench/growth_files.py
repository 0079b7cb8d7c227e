"""Files of a given size in each dimension in which what stands around functions can grow; `SHAPES` are all shapes.

The one idea: as in `liftcheck.generators.shapes`. `BROKEN` are files in which everything is wrong: how long it takes to
say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.generators.shapes import BODIES, TARGETS, filetest, function


def signatures(n: int) -> str:
    body = [f"    sig{i} = (i64, i{8 << i % 4}) -> i64 system_v" for i in range(n)]
    return filetest(function([*body, "block0(v0: i64):", "    return v0"]))


def func_refs(n: int) -> str:
    body = [f"    fn{i} = %g(i64) -> i64 system_v" for i in range(n)]
    callee = "function %g(i64) -> i64 system_v {\nblock0(v0: i64):\n    return v0\n}"
    return filetest(callee, function([*body, "block0(v0: i64):", f"    v1 = call fn{n - 1}(v0)", "    return v1"]))


def comments(n: int) -> str:
    return filetest(function(["block0(v0: i64):", *[f"; check: line {i}" for i in range(n)], "    return v0"]))


def long_comment(n: int) -> str:
    return filetest(function(["block0(v0: i64):", "; " + "word, " * n, "    return v0 ; " + '"x" ' * n]))


def run_lines(n: int) -> str:
    lines = "\n".join(f"; run: %f({i}) == {i}" for i in range(n))
    return filetest(function(["block0(v0: i64):", "    return v0"], run=lines))


def functions(n: int) -> str:
    """Functions with a run line each."""
    return filetest(
        *[
            function(
                ["block0(v0: i64):", "    v1 = iadd v0, v0", "    return v1"],
                f"%f{i}(i64) -> i64",
                f"; run: %f{i}({i}) == {2 * i}",
            )
            for i in range(n)
        ]
    )


def entries(n: int) -> str:
    """Functions with a signature and a run line each."""
    made = []
    for i in range(n):
        kinds = [f"i{8 << (i >> 2 * place) % 4}" for place in range(8)]
        params = ", ".join(f"v{number}: {kind}" for number, kind in enumerate(kinds))
        made.append(
            function(
                [f"block0({params}):", "    return v0"],
                f"%f{i}({', '.join(kinds)}) -> {kinds[0]}",
                f"; run: %f{i}(1, 2, 3, 4, 5, 6, 7, 8) == 1",
            )
        )
    return filetest(*made)


def callees(n: int) -> str:
    """One function that calls many others, once each."""
    others = [f"function %g{i}(i64) -> i64 system_v {{\nblock0(v0: i64):\n    return v0\n}}" for i in range(n)]
    refs = [f"    fn{i} = %g{i}(i64) -> i64 system_v" for i in range(n)]
    body = [f"    v{i + 1} = call fn{i}(v{i})" for i in range(n)]
    return filetest(*others, function([*refs, "block0(v0: i64):", *body, f"    return v{n}"]))


def globals_chain(n: int) -> str:
    """Global values that stand upon one another."""
    lines = ["    gv0 = vmctx", *[f"    gv{i} = iadd_imm.i64 gv{i - 1}, 1" for i in range(1, n)]]
    return filetest(
        function(
            [*lines, "block0(v0: i64, v1: i64):", f"    v2 = global_value.i64 gv{n - 1}", "    return v2"],
            "%f(i64 vmctx, i64) -> i64",
            "; run: %f(3, 4) != -77",
        )
    )


def missing(n: int) -> str:
    """Symbols that are in no file, on a path that is not taken."""
    declared = [f"    gv{i} = symbol %nowhere{i}\n    fn{i} = %nobody{i}(i64) -> i64 system_v" for i in range(n // 2)]
    body = [
        f"    v{2 * i + 1} = symbol_value.i64 gv{i}\n    v{2 * i + 2} = call fn{i}(v{2 * i + 1})" for i in range(n // 2)
    ]
    return filetest(
        function(
            [
                *declared,
                "block0(v0: i64):",
                "    brif v0, block2, block1",
                "block1:",
                *body,
                "    return v0",
                "block2:",
                "    return v0",
            ]
        )
    )


def locations(n: int) -> str:
    """A source location and a comment at each instruction."""
    body = [f"@{i:04x}    v{i} = iadd v{i - 1}, v0 ; line {i}" for i in range(1, n + 1)]
    return filetest(function(["block0(v0: i64):", *body, f"    return v{n}"]))


def pool(n: int) -> str:
    """Named constants."""
    declared = [f"    const{i} = 0x{i:032x}" for i in range(n)]
    body = [f"    v{i + 1} = vconst.i64x2 const{i}" for i in range(n)]
    return filetest(
        function([*declared, "block0(v0: i64):", *body, f"    v{n + 1} = extractlane v{n}, 0", f"    return v{n + 1}"])
    )


def settings(n: int) -> str:
    """Lines of settings, of which the last counts."""
    lines = [f"set {('opt_level=speed', 'opt_level=none', 'enable_verifier=true')[i % 3]}" for i in range(n)]
    return filetest(function(["block0(v0: i64):", "    return v0"]), header=[*lines, *TARGETS])


def targets(n: int) -> str:
    """Lines of targets, of few kinds."""
    return filetest(function(["block0(v0: i64):", "    return v0"]), header=(TARGETS[i % 4] for i in range(n)))


def features(n: int) -> str:
    """Target lines that are long, of one ISA each."""
    words = {
        TARGETS[0]: ("has_sse3", "has_ssse3=true"),
        TARGETS[1]: ("has_lse", "has_fp16=false"),
        TARGETS[2]: ("has_zba", "has_zbb=true"),
        TARGETS[3]: ("has_mie2", "has_vxrs_ext2=true"),
    }
    return filetest(
        function(["block0(v0: i64):", "    return v0"]),
        header=(f"{line} {' '.join(words[line][i % 2] for i in range(n))}" for line in TARGETS),
    )


def long_name(n: int) -> str:
    """A name of many letters, which several lines have."""
    name = "%" + "f" * n
    return filetest(
        function(
            [f"    fn0 = {name}(i64) -> i64 system_v", "block0(v0: i64):", "    return v0"],
            f"{name}(i64) -> i64",
            "\n".join(f"; run: {name}({i}) == {i}" for i in range(3)),
        )
    )


def blanks(n: int) -> str:
    """Empty lines, and lines that are long and empty."""
    return filetest("\n" * n, function(["block0(v0: i64):", " " * n, "    return " + " " * n + "v0"]))


def call_chain(n: int) -> str:
    """Functions of which each calls the next."""
    names = [f"%g{i}" for i in range(n)]
    others = [
        f"function {name}(i64) -> i64 system_v {{\n    fn0 = {called}(i64) -> i64 system_v\nblock0(v0: i64):\n"
        f"    v1 = call fn0(v0)\n    return v1\n}}"
        for name, called in zip(names, [*names[1:], "%last"])
    ]
    last = "function %last(i64) -> i64 system_v {\nblock0(v0: i64):\n    return v0\n}"
    return filetest(
        *others,
        last,
        function(["    fn0 = %g0(i64) -> i64 system_v", "block0(v0: i64):", "    v1 = call fn0(v0)", "    return v1"]),
    )


def trap_lines(n: int) -> str:
    """Run lines that expect a trap."""
    lines = "\n".join(f"; run: %f({i}) == trap user7" for i in range(n))
    return filetest(function(["block0(v0: i64):", "    trap user7"], run=lines))


def buffers(n: int) -> str:
    """Buffers of a name each, and a run line for each."""
    lines = "\n".join(f"; liftcheck: memory m{i} = i64[{i} 1]\n; liftcheck: run: %f(&m{i}) == {i}" for i in range(n))
    return filetest(function(["block0(v0: i64):", "    v1 = load.i64 v0", "    return v1"], run=lines))


def mistakes(n: int) -> str:
    """Instructions that are ill-formed, each for itself."""
    body = [f"    v{i} = iadd.i32 v0, v0" for i in range(1, n + 1)]
    return filetest(function(["block0(v0: i64):", *body, "    return v0"]))


def faulty(n: int) -> str:
    """Functions that are ill-formed."""
    return filetest(
        *[
            function(
                ["block0(v0: i64):", "    v1 = iadd.i32 v0, v0", "    return v1"],
                f"%f{i}(i64) -> i64",
                f"; run: %f{i}({i}) == {2 * i}",
            )
            for i in range(n)
        ]
    )


def unreadable(n: int) -> str:
    """Lines that are no CLIF."""
    return filetest(
        function(["block0(v0: i64):", *[f"    v{i} = frobnicate v0" for i in range(1, n + 1)], "    return v0"])
    )


def outdated(n: int) -> str:
    """A dialect that is not read."""
    return filetest(
        function(
            [
                "ebb0(v0: i64):",
                *[f"    v{i} = iadd v0, v0\n    brz v{i}, ebb{i}\n    jump ebb{i}\nebb{i}:" for i in range(1, n + 1)],
                "    return v0",
            ]
        )
    )


def wrong_lines(n: int) -> str:
    """Run lines that name nobody, or are none."""
    lines = "\n".join(f"; run: %{'nobody' if i % 2 else 'f'}({i}, {i}) == {i}" for i in range(n))
    return filetest(function(["block0(v0: i64):", "    return v0"], run=lines))


SHAPES: Final[dict[str, Callable[[int], str]]] = BODIES | {
    shape.__name__: shape
    for shape in (
        signatures,
        func_refs,
        comments,
        long_comment,
        run_lines,
        functions,
        entries,
        callees,
        globals_chain,
        missing,
        locations,
        pool,
        settings,
        targets,
        features,
        long_name,
        blanks,
        call_chain,
        trap_lines,
        buffers,
    )
}
BROKEN: Final[dict[str, Callable[[int], str]]] = {
    shape.__name__: shape for shape in (mistakes, faulty, unreadable, outdated, wrong_lines)
}
