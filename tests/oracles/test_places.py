"""Whether the place of a slot or function may be seen: what is called hidden is the same in many worlds.

Programs that look at a place in any way must be shown; random programs that are hidden must not differ in 64 worlds.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.commands import generate
from liftcheck.oracles import places
from liftcheck.oracles.admissible import MANY, Reference

SLOTS = """    ss0 = explicit_slot 16, align = 16
    ss1 = explicit_slot 16
    sig0 = (i64) -> i64
    sig1 = (i64, i64) -> i64
    fn0 = %load sig0
    fn1 = %elsewhere sig0
    fn2 = %same sig0
    fn3 = %Memset sig1
    fn4 = %through sig0
"""
OTHERS = """
function %load(i64) -> i64 {
block0(v0: i64):
    v1 = load.i64 v0
    return v1
}

function %through(i64) -> i64 {
    sig0 = (i64) -> i64
    fn0 = %load sig0
block0(v0: i64):
    return_call fn0(v0)
}

function %same(i64) -> i64 {
block0(v0: i64):
    return v0
}
"""
START = (
    "v1 = stack_addr.i64 ss0",
    "v2 = stack_addr.i64 ss1",
    "v3 = iconst.i64 8",
    "v4 = func_addr.i64 fn0",
    "store v0, v1",
    "store v0, v1+8",
)


def program(*lines: str, others: str = OTHERS) -> str:
    body = "".join(line if line.startswith("block") else f"    {line}\n" for line in (*START, *lines))
    return f"function %f(i64) -> i64 {{\n{SLOTS}block0(v0: i64):\n{body}}}\n{others}"


HIDDEN = {
    "accesses": ("v5 = load.i64 v1+8", "istore8 v0, v1", "v6 = uload8.i64 v1", "v7 = iadd v5, v6", "return v7"),
    "a sum": ("v5 = iadd v3, v1", "v6 = load.i64 v5", "return v6"),
    "a difference": ("v5 = iadd v1, v3", "v6 = isub v5, v3", "v7 = load.i64 v6", "return v7"),
    "an argument": ("v5 = call fn0(v1)", "return v5"),
    "a tail call": ("v5 = call fn4(v1)", "return v5"),
    "through a pointer": ("v5 = call_indirect sig0, v4(v1)", "return v5"),
    "a block's parameter": ("brif v0, block1(v1), block1(v2)\n", "block1(v5: i64):\n", "store v3, v5",
                            "v6 = load.i64 v5", "return v6"),
    "atomics": ("v5 = atomic_rmw.i64 add v1, v3", "v6 = atomic_cas.i64 v1, v3, v5", "atomic_store v6, v1",
                "v7 = atomic_load.i64 v1", "return v7"),
}  # fmt: skip
SHOWN = {
    "returned": ("return v1",),
    "compared": ("v5 = icmp ult v1, v2", "v6 = uextend.i64 v5", "return v6"),
    "stored": ("store v1, v2", "v5 = load.i64 v2", "return v5"),
    "stored through itself": ("store v1, v1", "v5 = load.i64 v1", "return v5"),
    "added to itself": ("v5 = iadd v1, v1", "return v5"),
    "a distance": ("v5 = isub v1, v2", "return v5"),
    "subtracted": ("v5 = isub v3, v1", "return v5"),
    "masked": ("v5 = band v1, v3", "return v5"),
    "a condition": ("brif v1, block1(v0), block1(v3)\n", "block1(v5: i64):\n", "return v5"),
    "a sum that is returned": ("v5 = iadd v1, v3", "v6 = iadd v5, v3", "return v6"),
    "a block's parameter": ("jump block1(v1, v3)\n", "block1(v5: i64, v6: i64):\n", "brif v6, block2, block2\n",
                            "block2:\n", "return v5"),
    "two sums in a loop": ("jump block1(v3)\n", "block1(v5: i64):\n", "v6 = iadd v5, v1",
                           "brif v0, block1(v6), block2\n", "block2:\n", "return v3"),
    "what a callee returns": ("v5 = call fn2(v1)", "return v5"),
    "through a pointer to who returns it": ("v5 = func_addr.i64 fn2", "v6 = call_indirect sig0, v5(v1)", "return v6"),
    "who knows what that does": ("v5 = call fn1(v1)", "return v0"),
    "a routine": ("v5 = call fn3(v1, v3)", "return v0"),
    "where a function lies": ("v5 = isub v4, v3", "return v5"),
    "aligned": ("v5 = load.i64 aligned v1", "return v5"),
    "a wide atomic": ("v5 = atomic_load.i128 v1", "v6 = ireduce.i64 v5", "return v6"),
    "an atomic's operand": ("v5 = atomic_rmw.i64 add v2, v1", "return v5"),
    "half of it": ("v5 = stack_addr.i32 ss0", "v6 = uextend.i64 v5", "return v6"),
    "an alias": ("v5 -> v1", "return v5"),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_who_only_uses_memory_there_shows_nothing(name: str) -> None:
    module = parse_module(program(*HIDDEN[name]))
    assert not places.shown(module)
    found = Reference(module, big_endian=False).predict(0, [5], worlds=MANY)
    assert found.outcome.kind == "returned"
    assert found.opening is None, "though it is hidden"


@pytest.mark.parametrize("name", SHOWN)
def test_who_looks_at_a_place_shows_it(name: str) -> None:
    assert places.shown(parse_module(program(*SHOWN[name])))


def test_a_value_that_an_exception_table_has_is_shown() -> None:
    lines = (
        "try_call fn0(v0), sig0, block1(ret0), [ context v1, default: block2(v1) ]\n",
        "block1(v5: i64):\n",
        "return v5",
        "block2(v6: i64):\n",
        "return v6",
    )
    assert places.shown(parse_module(program(*lines)))


def test_two_functions_of_a_name_are_not_followed() -> None:
    assert places.shown(parse_module(program(*HIDDEN["an argument"], others=OTHERS + OTHERS)))


def test_all_open_files_whose_places_are_seen_are_shown() -> None:
    """The files of `corpus/open` that are open because of places."""
    found = 0
    for path in sorted((Path(__file__).parents[2] / "corpus" / "open").glob("*.clif")):
        test = parse_filetest(path.read_text(encoding="utf-8"), path.name)
        reference = Reference(test.module(), big_endian=False)
        names = [function.name for function in test.module().functions]
        for function in test.functions:
            for line in function.run_lines if function.function else ():
                opening = reference.predict(names.index(function.name), line.args, worlds=MANY).opening
                if opening is not None and opening.what.startswith("where "):
                    found += 1
                    assert places.shown(reference.module), f"{path}: {opening}"
    assert found >= 3


@pytest.mark.needs_compiler
@pytest.mark.needs_compiler
def test_hidden_programs_are_the_same_in_many_worlds() -> None:
    hidden = 0
    for _, _, text in generate.programs(Namespace(isa=None, profile=None, compiler="cranelift", count=12, seed=51)):
        test = parse_filetest(text, "generated")
        module = test.module()
        names = [function.name for function in module.functions]
        hidden += not places.shown(module)
        for function in test.functions:
            for line in function.run_lines:
                entry = names.index(function.name)
                few, many = (Reference(module, big_endian=False).predict(entry, line.args, worlds=n) for n in (8, MANY))
                assert few == many
    assert hidden >= 6
