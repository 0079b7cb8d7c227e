"""Stack slots that callees may reach: programs that are shown, and code that takes no notice of what callees write."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from support.lifting import compiled, module

from liftcheck.case import Target
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.lift_memory import Slots
from liftcheck.oracles.lifting.equal import Verdict, compare
from liftcheck.oracles.lifting.program import lift_program
from liftcheck.oracles.lifting.signature import ALIGNED

WITH_ROWS = [isa for isa in ISAS if isa_named(isa).rows]
SETTINGS = (("enable_multi_ret_implicit_sret", "true"), ("preserve_frame_pointers", "true"))
HEAD = """test run
function %f(i64, i64) -> i64 {
    ss0 = explicit_slot 16
    ss1 = explicit_slot 8
    fn0 = %g(i64)
    fn1 = %h() -> i64
block0(v0: i64, v1: i64):
    v2 = stack_addr.i64 ss0
    v3 = stack_addr.i64 ss1
"""


def program(lines: str) -> str:
    return f"{HEAD}{lines}}}\n"


class Planted(NamedTuple):
    """A program, and what is replaced in it so that its code is wrong."""

    lines: str
    old: str
    new: str


READ = "load.i64 notrap v2\n"
PLANTED = {
    "a stale value of a slot that is an argument": Planted(
        f"store notrap v1, v2\ncall fn0(v2)\nv4 = {READ}return v4\n", "return v4", "return v1"),
    "a stale value of a slot whose address is in memory": Planted(
        f"store notrap v1, v2\nstore v2, v0\ncall fn0(v0)\nv4 = {READ}return v4\n", "return v4", "return v1"),
    "a stale value of a slot whose address is in another one": Planted(
        f"store notrap v1, v2\nstore notrap v2, v3\ncall fn0(v3)\nv4 = {READ}return v4\n", "return v4", "return v1"),
    "a stale value of a slot whose address is computed": Planted(
        "v8 = band_imm v0, 8\nv9 = iadd v2, v8\n"
        f"store notrap v1, v2\ncall fn0(v9)\nv4 = {READ}return v4\n", "return v4", "return v1"),
    "a stale value, since an earlier callee has the address": Planted(
        f"call fn0(v2)\nstore notrap v1, v2\ncall fn0(v0)\nv4 = {READ}return v4\n", "return v4", "return v1"),
    "a store before a call that is left out": Planted(
        f"store notrap v1, v2\ncall fn0(v2)\nv4 = {READ}return v4\n", "store notrap v1, v2\n", ""),
    "a store to another part of a slot": Planted(
        f"store notrap v1, v2\ncall fn0(v2)\nv4 = {READ}return v4\n", "v1, v2", "v1, v2+8"),
    "another slot's address": Planted(
        f"store notrap v1, v2\ncall fn0(v2)\nv4 = {READ}return v4\n", "call fn0(v2)", "call fn0(v3)"),
    "a slot that overlaps what must be kept": Planted(
        "call fn0(v2)\nreturn v1\n", "call fn0(v2)\nreturn v1",
        "store notrap v1, v2+8\ncall fn0(v2)\nv4 = load.i64 notrap v2+8\nreturn v4"),
    "a callee's pointer that is taken for none of a slot": Planted(
        f"call fn0(v2)\nv5 = call fn1()\nstore notrap v0, v2\nstore v1, v5\nv4 = {READ}return v4\n",
        "return v4", "return v0"),
    "an access outside of its slot": Planted(
        "v8 = band_imm v0, 8\nv9 = iadd v2, v8\nstore notrap v1, v9\nreturn v0\n", "band_imm v0, 8", "band_imm v0, 24"),
}  # fmt: skip


@pytest.mark.parametrize("isa", WITH_ROWS)
@pytest.mark.parametrize("what", PLANTED)
def test_code_that_forgets_what_callees_write_is_refuted(isa: str, what: str, compiler: Cranelift) -> None:
    planted = PLANTED[what]
    text, target = program(planted.lines), Target(isa, SETTINGS)
    (function,) = module(text)
    assert compare(target, function, compiled(compiler, text, target)["%f"]).kind in ("equal", "proven")
    wrong = text.replace(planted.old, planted.new)
    assert wrong != text
    found = compare(target, function, compiled(compiler, wrong, target)["%f"])
    assert found.kind == "refuted", found


SAME = {
    "a slot that no callee reaches keeps its value": (
        "store notrap v1, v3\ncall fn0(v2)\nv4 = load.i64 notrap v3\nreturn v4\n", "return v4", "return v1"),
    "what the function was entered with points into no slot": (
        f"call fn0(v2)\nstore notrap v1, v2\nstore v0, v0\nv4 = {READ}return v4\n", "return v4", "return v1"),
    "a callee's pointer does not reach a slot that is private": (
        "store notrap v1, v3\ncall fn0(v2)\ncall fn0(v1)\nv4 = load.i64 notrap v3\nreturn v4\n",
        "return v4", "return v1"),
}  # fmt: skip


@pytest.mark.parametrize("isa", WITH_ROWS)
@pytest.mark.parametrize("what", SAME)
def test_what_is_private_stays_so(isa: str, what: str, compiler: Cranelift) -> None:
    lines, old, new = SAME[what]
    text, target = program(lines), Target(isa, SETTINGS)
    (function,) = module(text)
    for source in (text, text.replace(old, new)):
        found = compare(target, function, compiled(compiler, source, target)["%f"])
        assert found.kind in ("equal", "proven"), found


@pytest.mark.parametrize("isa", WITH_ROWS)
@pytest.mark.parametrize("level", ["none", "speed"])
def test_calls_one_after_the_other(isa: str, level: str, compiler: Cranelift) -> None:
    """Both slots are reached, one after the other; accesses of parts, at computed addresses, through a callee's
    pointer; structures that callees return."""
    text = """test run
function %f(i64, i64, i32) -> i64, i64 {
    ss0 = explicit_slot 24
    ss1 = explicit_slot 12, align = 4
    fn0 = %g(i64, i64) -> i64
    fn1 = %h(i64 sret, i32)
block0(v0: i64, v1: i64, v2: i32):
    v3 = stack_addr.i64 ss0
    v4 = stack_addr.i64 ss1
    store notrap v2, v3
    store notrap v1, v3+8
    v5 = call fn0(v3, v1)
    v6 = load.i32 notrap v3+10
    store notrap v4, v3+16
    v7 = call fn0(v5, v0)
    istore8 v7, v4+3
    v8 = load.i64 notrap v5
    v9 = band_imm v7, 8
    v10 = iadd v4, v9
    store v6, v10
    call fn1(v3, v2)
    v12 = load.i32 notrap v4+8
    v13 = uextend.i64 v12
    v14 = iadd v13, v8
    v15 = bxor v14, v5
    v16 = load.i64 notrap v3+4
    return v15, v16
}
"""
    target = Target(isa, (SETTINGS[0], ("opt_level", level), SETTINGS[1]))
    (function,) = module(text)
    code = compiled(compiler, text, target)["%f"]
    assert compare(target, function, code).kind in ("equal", "proven")
    assert compare(target, function, replace(code, extra={})) == Verdict("undecided", "a call that may reach the frame")


def test_slots_by_their_bytes() -> None:
    slots = Slots(ALIGNED, ((-32, -16), (-16, -8)))
    assert [slots.at(offset) for offset in (-33, -32, -17, -16, -8)] == [None, (-32, -16), (-32, -16), (-16, -8), None]
    assert [slots.edge(offset, 8) for offset in (-36, -20, -12, -8)] == [4, 8, 4, 8]


def test_which_slots_a_call_reaches() -> None:
    for lines, reached in [
        ("call fn0(v0)\n", 0), ("call fn0(v2)\n", 1), ("v4 = iadd_imm v2, 15\ncall fn0(v4)\n", 1),
        ("store v3, v0\ncall fn0(v0)\n", 1), ("store v3, v2\ncall fn0(v0)\n", 0), ("store v3, v2\ncall fn0(v2)\n", 2),
        ("v4 = iadd v2, v1\ncall fn0(v4)\n", 2), ("call fn0(v3)\ncall fn0(v2)\n", 2),
        ("v4 = iadd v2, v1\nstore v0, v4\ncall fn0(v3)\n", 2),
    ]:  # fmt: skip
        (function,) = module(program(f"{lines}return v0\n"))
        (end,) = lift_program(Target(WITH_ROWS[0]), function).ends
        assert len(end.calls[-1].reached) == reached, lines
