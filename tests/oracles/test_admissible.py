"""What CLIF leaves open: it is found, the instruction is named, and nothing closed is lost for it.

`corpus/open` holds files whose every line is open or meaningless, and one whose every line is closed; the programs here
say which part of an outcome is open. The planted faults stand beside open values: they are still found.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.scripts import ROOT

from liftcheck import cli
from liftcheck.case import Outcome, Target
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.types import F64, I64
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.interp.run import prepare
from liftcheck.interp.worlds import World
from liftcheck.isa import ISAS
from liftcheck.oracles import admissible, compare
from liftcheck.oracles.admissible import MANY, Prediction, Reference, judge, meets

OPEN = Path(__file__).parents[2] / "corpus" / "open"
NAN = "the sign and payload of an arithmetic NaN"
UNWRITTEN = "what a stack slot holds before it is written"
SLOT = "where a stack slot lies"
FUNCTION = "where functions and symbols lie"
OUTSIDE = "memory outside the program's stack slots and data"
CODE = "machine code read or written as data"
INF = 0x7FF << 52


def prediction(text: str, args: Sequence[int] = (), big_endian: bool = False, entry: int = -1) -> Prediction:
    module = parse_module(text)
    return Reference(module, big_endian).predict(entry % len(module.functions), args)


def body(signature: str, *lines: str, slots: str = "") -> str:
    """A function of one block; its parameters are v0, v1, …"""
    types = signature[1 : signature.index(")")].split(", ") if signature[1] != ")" else []
    params = ", ".join(f"v{i}: {t}" for i, t in enumerate(types))
    inside = "\n".join(lines)
    return f"function %f{signature} {{\n{slots}\nblock0({params}):\n{inside}\n}}"


TWO_SLOTS = "ss0 = explicit_slot 8, align = 8\nss1 = explicit_slot 8, align = 8"
NAN_LINES = ("v1 = fsub v0, v0", "v2 = bitcast.i64 v1")
OPEN_PROGRAMS: dict[str, tuple[str, list[int], str, str]] = {
    "bits": (body("(f64) -> i64", *NAN_LINES, "return v2"), [INF], NAN, "v1 = fsub.f64 v0, v0"),
    "one bit": (body("(f64) -> i64", *NAN_LINES, "v3 = iconst.i64 1", "v4 = ishl v3, v3", "v5 = band v2, v4",
                     "return v5"), [INF], NAN, "v1 = fsub.f64 v0, v0"),
    "equal to a machine's": (body("(f64) -> i8", *NAN_LINES, "v3 = iconst.i64 0xfff8000000000000",
                                  "v4 = icmp eq v2, v3", "return v4"), [INF], NAN, "v1 = fsub.f64 v0, v0"),
    "equal to its operand's": (body("(f64) -> i8", "v1 = fadd v0, v0", "v2 = bitcast.i64 v0", "v3 = bitcast.i64 v1",
                                    "v4 = icmp eq v2, v3", "return v4"), [INF | 1 << 51 | 77], NAN,
                               "v1 = fadd.f64 v0, v0"),
    "parity": (body("(f64) -> i64", *NAN_LINES, "v3 = popcnt v2", "v4 = iconst.i64 1", "v5 = band v3, v4", "return v5"),
               [INF], NAN, "v1 = fsub.f64 v0, v0"),
    "select": (body("(f64, f64) -> f64", "v2 = fmul v0, v0", "v3 = bitcast.i64 v2", "v4 = iconst.i64 0",
                    "v5 = icmp slt v3, v4", "v6 = select v5, v0, v1", "return v6"), [INF | 1, 0], NAN,
               "v2 = fmul.f64 v0, v0"),
    "trap": (body("(f64) -> i64", *NAN_LINES, "v3 = sshr v2, v2", "trapnz v3, user3", "return v2"), [INF], NAN,
             "v1 = fsub.f64 v0, v0"),
    "division": (body("(f64, i64) -> i64", "v2 = sqrt v0", "v3 = bitcast.i64 v2", "v4 = iconst.i64 1",
                      "v5 = band v3, v4", "v6 = udiv v1, v5", "return v6"), [-1 % 2**64, 8], NAN, "v2 = sqrt.f64 v0"),
    "address of a load": (body("(f64) -> i8", *NAN_LINES, "v3 = load.i8 v2", "return v3"), [INF], NAN,
                          "v1 = fsub.f64 v0, v0"),
    "vector lane": (body("(f64x2) -> i8x16", "v1 = fdiv v0, v0", "v2 = bitcast.i8x16 little v1", "return v2"),
                    [1 << 62], NAN, "v1 = fdiv.f64x2 v0, v0"),
    "promoted": (body("(f32) -> i64", "v1 = fpromote.f64 v0", "v2 = bitcast.i64 v1", "return v2"), [0x7FC00001], NAN,
                 "v1 = fpromote.f64 v0"),
    "fmin": (body("(f32, f32) -> i32", "v2 = fmin v0, v1", "v3 = bitcast.i32 v2", "return v3"), [0x7FC00001, 0], NAN,
             "v2 = fmin.f32 v0, v1"),
    "unwritten": (body("() -> i64", "v0 = stack_addr.i64 ss1", "v1 = load.i64 v0", "return v1", slots=TWO_SLOTS), [],
                  UNWRITTEN, "v1 = load.i64 v0"),
    "unwritten byte": (body("(i32) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = load.i64 v1", "return v2",
                            slots=TWO_SLOTS), [5], UNWRITTEN, "v2 = load.i64 v1"),
    "the rest of a slot": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = load.i64 v1",
                                "v3 = load.i64 v1+8", "v4 = bxor v2, v3", "return v4",
                                slots="ss0 = explicit_slot 16, align = 16"), [5], UNWRITTEN, "v3 = load.i64 v1+8"),
    "a slot that is gone": (body("(i64) -> i64", "v1 = call fn0(v0)", "v2 = load.i64 v1", "return v2",
                                 slots="fn0 = %g(i64) -> i64") + "\n" +
                            body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = load.i64 v1",
                                 "store v2, v1", "return v1", slots=TWO_SLOTS).replace("%f", "%g"), [5], OUTSIDE,
                            "v2 = load.i64 v1"),
    "another frame's slot": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = load.i64 v1",
                                  "v3 = call fn0(v2)", "return v3", slots=TWO_SLOTS + "\nfn0 = %g(i64) -> i64") + "\n" +
                             body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "v2 = load.i64 v1", "return v2",
                                  slots=TWO_SLOTS).replace("%f", "%g"), [5], UNWRITTEN, "v2 = load.i64 v1"),
    "unwritten, as a condition": (body("() -> i8", "v0 = stack_addr.i64 ss0", "v1 = load.i64 v0", "v2 = iconst.i64 0",
                                       "v3 = icmp eq v1, v2", "return v3", slots=TWO_SLOTS), [], UNWRITTEN,
                                  "v1 = load.i64 v0"),
    "slot order": (body("() -> i8", "v0 = stack_addr.i64 ss0", "v1 = stack_addr.i64 ss1", "v2 = icmp ult v0, v1",
                        "return v2", slots=TWO_SLOTS), [], SLOT, "v0 = stack_addr.i64 ss0"),
    "slot bit": (body("() -> i64", "v0 = stack_addr.i64 ss0", "v1 = iconst.i64 2048", "v2 = band v0, v1", "return v2",
                      slots=TWO_SLOTS), [], SLOT, "v0 = stack_addr.i64 ss0"),
    "rounded up": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "v2 = iconst.i64 63", "v3 = iadd v1, v2",
                        "v4 = iconst.i64 -64", "v5 = band v3, v4", "store v5, v1+56", "store v0, v5",
                        "v6 = load.i64 v1+56", "v7 = icmp eq v0, v6", "return v7",
                        slots="ss0 = explicit_slot 128").replace("-> i64", "-> i8"), [5], SLOT,
                   "v1 = stack_addr.i64 ss0"),
    "slot as i32": (body("() -> i32", "v0 = stack_addr.i32 ss0", "return v0", slots=TWO_SLOTS), [], SLOT,
                    "v0 = stack_addr.i32 ss0"),
    "into the next slot": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "v2 = stack_addr.i64 ss1", "store v0, v2",
                                "v3 = load.i64 v1+8", "return v3", slots=TWO_SLOTS), [5], OUTSIDE,
                           "v3 = load.i64 v1+8"),
    "half out": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1+4", "return v0", slots=TWO_SLOTS), [5],
                 OUTSIDE, "store.i64 v0, v1+4"),
    "pinned": (body("() -> i64", "v0 = get_pinned_reg.i64", "return v0"), [], "what the pinned register holds at first",
               "v0 = get_pinned_reg.i64"),
    "stack pointer": (body("() -> i64", "v0 = get_stack_pointer.i64", "return v0"), [],
                      "the stack pointer, the frame pointer and the return address", "v0 = get_stack_pointer.i64"),
    "under the stack pointer": (body("() -> i64", "v0 = get_stack_pointer.i64", "v1 = load.i64 v0+8", "return v1"), [],
                                OUTSIDE, "v1 = load.i64 v0+8"),
    "misaligned": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = load.i32 aligned v1+2",
                        "return v0", slots=TWO_SLOTS), [5], "misaligned access flagged aligned",
                   "v2 = load.i32 aligned v1+2"),
    "misaligned atomic": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = iconst.i64 1",
                               "v3 = iadd v1, v2", "v4 = atomic_load.i32 v3", "return v0", slots=TWO_SLOTS), [5],
                          "misaligned atomic access", "v4 = atomic_load.i32 v3"),
    "the host's memory": (body("(i64) -> i8", "v1 = load.i8 v0", "return v1"), [0x40_0000_2000], OUTSIDE,
                          "v1 = load.i8 v0"),
    "no trap allowed": (body("(i64) -> i8", "v1 = load.i8 notrap v0", "return v1"), [64],
                        "an access that must not trap, and does", "v1 = load.i8 notrap v0"),
    "no function": (body("(i64) -> i64", "v1 = call_indirect sig0, v0(v0)", "return v1", slots="sig0 = (i64) -> i64"),
                    [64], "a call of an address where no function is", "v1 = call_indirect.i64 sig0, v0(v0)"),
    "a routine's NaN": (body("(f64) -> i64", "v1 = call fn0(v0)", "v2 = bitcast.i64 v1", "return v2",
                             slots="fn0 = %CeilF64(f64) -> f64"), [INF | 1], NAN, "v1 = call fn0(v0)"),
    "memcmp": (body("(i64) -> i32", "v1 = stack_addr.i64 ss0", "v2 = stack_addr.i64 ss1", "v3 = iconst.i64 0",
                    "store v0, v1", "store v3, v2", "v4 = iconst.i64 8", "v5 = call fn0(v1, v2, v4)", "return v5",
                    slots=TWO_SLOTS + "\nfn0 = %Memcmp(i64, i64, i64) -> i32"), [5],
               "what memcmp answers beyond the sign", "v5 = call fn0(v1, v2, v4)"),
    "copied and unwritten": (body("() -> i64", "v1 = stack_addr.i64 ss0", "v2 = stack_addr.i64 ss1",
                                  "v4 = iconst.i64 8", "v5 = call fn0(v1, v2, v4)", "v6 = load.i64 v1", "return v6",
                                  slots=TWO_SLOTS + "\nfn0 = %Memcpy(i64, i64, i64) -> i64"), [], UNWRITTEN,
                             "v5 = call fn0(v1, v2, v4)"),
    "read through a global value": (body("() -> i64", "v1 = stack_addr.i64 ss0", "v2 = call fn0(v1)", "return v2",
                                         slots="ss0 = explicit_slot 16\nfn0 = %g(i64 vmctx) -> i64") + "\n" +
                                    body("(i64) -> i64", "v1 = global_value.i64 gv1", "return v1",
                                         slots="gv0 = vmctx\ngv1 = load.i64 notrap aligned gv0+8")
                                    .replace("%f(i64)", "%g(i64 vmctx)"), [], UNWRITTEN, "v1 = global_value.i64 gv1"),
    "copied for a callee": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = call fn0(v1)",
                                 "return v2", slots="ss0 = explicit_slot 16\nfn0 = %g(i64 sarg(16)) -> i64") + "\n" +
                            body("(i64) -> i64", "v1 = load.i64 v0+8", "return v1")
                            .replace("%f(i64)", "%g(i64 sarg(16))"), [5], UNWRITTEN, "v2 = call fn0(v1)"),
    "copied for a callee by pointer": (
        body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "store v0, v1", "v2 = func_addr.i64 fn0",
             "v3 = call_indirect sig0, v2(v1)", "return v3",
             slots="ss0 = explicit_slot 16\nsig0 = (i64 sarg(16)) -> i64\nfn0 = %g sig0") + "\n" +
        body("(i64) -> i64", "v1 = load.i64 v0+8", "return v1").replace("%f(i64)", "%g(i64 sarg(16))"), [5], UNWRITTEN,
        "v3 = call_indirect.i64 sig0, v2(v1)"),
    "the runner's memory": (body("(i64) -> i8", "v1 = load.i8 v0", "return v1"), [0x2_1200_0000], OUTSIDE,
                            "v1 = load.i8 v0"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN_PROGRAMS)
@pytest.mark.parametrize("big_endian", [False, True])
def test_what_is_open_is_found_with_its_instruction(name: str, big_endian: bool) -> None:
    text, args, what, instruction = OPEN_PROGRAMS[name]
    found = prediction(text, args, big_endian, entry=0)
    assert found.opening is not None, found
    assert (found.opening.what, found.opening.text) == (what, instruction)
    line = found.opening.line
    assert text.split("\n")[line - 1].split(" = ")[0] == instruction.split(" = ")[0] or "store" in instruction


CLOSED: dict[str, tuple[str, list[int]]] = {
    "a NaN is a NaN": (body("(f64) -> i8", "v1 = fsub v0, v0", "v2 = fcmp uno v1, v1", "return v2"), [INF]),
    "returned as a float": (body("(f64) -> f64", "v1 = fsub v0, v0", "return v1"), [INF]),
    "converted": (body("(f64) -> i32", "v1 = fsub v0, v0", "v2 = fcvt_to_sint_sat.i32 v1", "return v2"), [INF]),
    "masked": (body("(f64) -> i64", *NAN_LINES, "v3 = iconst.i64 0", "v4 = band v2, v3", "return v4"), [INF]),
    "the same twice": (body("(f64) -> i8", *NAN_LINES, "v3 = bitcast.i64 v1", "v4 = icmp eq v2, v3", "return v4"),
                       [INF]),
    "negated twice": (body("(f64) -> i64", "v1 = fneg v0", "v2 = bitcast.i64 v1", "return v2"), [INF | 1]),
    "written": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "v2 = stack_addr.i64 ss1", "store v0, v1",
                     "store v1, v2", "v3 = load.i64 v2", "v4 = load.i64 v3", "return v4", slots=TWO_SLOTS), [5]),
    "unwritten and unused": (body("(i64) -> i64", "v1 = stack_addr.i64 ss0", "v2 = load.i64 v1", "store v2, v1",
                                  "v3 = load.i64 v1", "v4 = isub v2, v3", "return v4", slots=TWO_SLOTS), [5]),
    "distance in a slot": (body("() -> i64", "v0 = stack_addr.i64 ss0", "v1 = stack_addr.i64 ss0+4",
                                "v2 = isub v1, v0", "return v2", slots=TWO_SLOTS), []),
    "alignment": (body("() -> i64", "v0 = stack_addr.i64 ss0", "v1 = iconst.i64 63", "v2 = band v0, v1", "return v2",
                       slots="ss0 = explicit_slot 8, align = 64"), []),
    "pinned and read": (body("(i64) -> i64", "set_pinned_reg v0", "v1 = get_pinned_reg.i64", "return v1"), [5]),
    "a stray access": (body("(i64) -> i8", "v1 = load.i8 v0", "return v1"), [64]),
    "no stack": (body("() -> i8", "v0 = get_stack_pointer.i64", "v1 = get_stack_pointer.i64", "v2 = icmp eq v0, v1",
                      "return v2"), []),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_closed_stays_closed(name: str) -> None:
    text, args = CLOSED[name]
    for order in (False, True):
        found = Reference(parse_module(text), order).predict(0, args, worlds=MANY)
        assert found.opening is None
        assert not found.whole
        assert found.outcome.kind in ("returned", "trapped")


def test_only_the_parts_that_differ_are_open() -> None:
    lines = (*NAN_LINES, "v3 = iconst.i64 7", "v4 = splat.i64x2 v3", "v5 = insertlane v4, v2, 1", "return v5, v1, v3")
    found = prediction(body("(f64) -> i64x2, f64, i64", *lines), [INF])
    assert found.values == (0xFFFF_FFFF_FFFF_FFFF << 64, 0, 0)
    assert found.nans == (0, 0xFFFF_FFFF_FFFF_FFFF, 0)
    types = (parse_module(body("() -> i64x2", "trap user1")).functions[0].signature.returns[0].type, F64, I64)
    seen = Outcome("returned", (5 << 64 | 7, INF | 9, 7))
    assert judge(found, seen, types).kind == compare.UNDECIDED
    assert NAN in judge(found, seen, types).detail
    for number, wrong in ((0, 5 << 64 | 8), (1, 5), (2, 8)):
        values = tuple(wrong if i == number else value for i, value in enumerate(seen.values))
        assert judge(found, seen._replace(values=values), types).klass == compare.WRONG_RESULT
    assert judge(found, Outcome("trapped", detail="user1"), types).klass == compare.WRONG_TRAP
    assert judge(found, Outcome("abi"), types).klass == compare.ABI_DAMAGE


def test_open_bytes_of_memory_are_not_compared() -> None:
    wanted, seen = Outcome("returned", (), b"abcd"), Outcome("returned", (), b"aXcd")
    assert compare.compare_parts(wanted, seen, (), (), bytes([0, 1, 0, 0]), "why").kind == compare.UNDECIDED
    assert compare.compare_parts(wanted, seen, (), (), bytes([0, 0, 1, 0]), "why").kind == compare.DISAGREE


def test_loops_and_frames_have_answers_of_their_own() -> None:
    text = """
    function %f(f64, i64) -> i8 {
    block0(v0: f64, v1: i64):
        v2 = iconst.i64 0
        jump block1(v1, v2, v2)
    block1(v3: i64, v4: i64, v5: i64):
        v6 = fsub v0, v0
        v7 = bitcast.i64 v6
        v8 = iconst.i64 1
        v9 = isub v3, v8
        brif v9, block1(v9, v7, v4), block2
    block2:
        v10 = icmp eq v7, v4
        return v10
    }"""
    found = prediction(text, [INF, 4])
    assert found.opening is not None
    assert found.opening.text == "v6 = fsub.f64 v0, v0"
    dangling = """
    function %g() -> i64 {
        ss0 = explicit_slot 8
    block0:
        v0 = stack_addr.i64 ss0
        store v0, v0
        return v0
    }
    function %f() -> i64 {
        fn0 = %g() -> i64
    block0:
        v0 = call fn0()
        v1 = load.i64 v0
        return v1
    }"""
    found = prediction(dangling)
    assert (found.opening is not None and found.opening.what, found.meaningless) == (OUTSIDE, False)
    found = prediction(dangling.replace("v1 = load.i64 v0", "v1 = bnot v0\nstore v1, v0"))
    assert (found.opening is not None and found.opening.what, found.meaningless) == (OUTSIDE, True)


LONG = """
function %f(i64) -> i64 {
block0(v0: i64):
    v1 = iconst.i64 -1
    jump block1(v0)
block1(v2: i64):
    v3 = iadd v2, v1
    brif v3, block1(v3), block2
block2:
    v4 = f64const 0.0
    v5 = fdiv v4, v4
    v6 = bitcast.i64 v5
    return v6
}"""


def test_what_takes_long_is_looked_at_as_far_as_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admissible, "FUEL", 1000)
    reference = Reference(parse_module(LONG), False)
    found = reference.predict(0, [20_000], fuel=1_000_000)
    assert (found.opening is not None and found.opening.what, found.unseen) == (NAN, False)
    monkeypatch.setattr(admissible, "LONG", 0.0)
    first = reference.predict(0, [20_001], fuel=1_000_000)
    assert (first.opening, first.looked, first.unseen) == (None, True, True)
    again = reference.predict(0, [20_001], fuel=1_000_000, worlds=MANY)
    assert (again.opening is not None and again.opening.what, again.unseen) == (NAN, False)


LONG_FILE = (
    "test run\ntest interpret\ntarget x86_64\n"
    + LONG.replace("return v6", "v7 = bxor v6, v6\n    return v7")
    + "\n; run: %f(80000) == 0\n; run: %f(3) == 0\n; print: %f(80000)\n"
)


@pytest.mark.needs_compiler
def test_what_was_not_looked_at_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "long.clif"
    path.write_text(LONG_FILE)
    _, text = printed(capsys, "run", str(path))
    assert ("as expected" in text, "not looked at" in text) == (True, False), text
    monkeypatch.setattr(admissible, "LONG", 0.0)
    monkeypatch.setattr(admissible, "FUEL", 1000)
    _, text = printed(capsys, "test", str(path))
    assert f"note: {admissible.UNSEEN} (4)" in text
    assert "6 passed, 0 failed, 0 undecided" in text
    for command in ("run", "interpret"):
        code, text = printed(capsys, command, str(path))
        assert code == 0
        assert f"%f(80000) = 0  ; as expected ({admissible.UNSEEN})\n" in text
        assert "%f(3) = 0  ; as expected\n" in text
        assert f"%f(80000) = 0  ; {admissible.UNSEEN}\n" in text
    path.write_text(LONG_FILE.replace("bxor v6, v6", "bor_imm v6, 0").replace("== 0", "== 1"))
    for command in ("run", "interpret", "test"):
        code, text = printed(capsys, command, str(path))
        assert (code, "WRONG" in text, "DISAGREES" in text) == (0, False, False), text


def test_whether_a_run_ends_may_be_open() -> None:
    lines = """
    v0 = stack_addr.i64 ss0
    v1 = load.i8 v0
    v2 = uextend.i64 v1
    jump block1(v2)
block1(v3: i64):
    v4 = iconst.i64 -1
    v5 = iadd v3, v4
    brif v5, block1(v5), block2
block2:
    return v4"""
    found = Reference(parse_module(body("() -> i64", lines, slots=TWO_SLOTS)), False).predict(0, [], fuel=100_000)
    assert (found.outcome.kind, found.whole) == ("out_of_fuel", True)
    assert (found.opening is not None and found.opening.text) == "v1 = load.i8 v0"
    endless = body(
        "() -> i64",
        "v0 = stack_addr.i64 ss0",
        "v1 = load.i8 v0",
        "jump block1",
        "block1:",
        "jump block1",
        slots=TWO_SLOTS,
    )
    found = Reference(parse_module(endless), False).predict(0, [], fuel=100_000)
    assert (found.outcome.kind, found.whole, found.opening) == ("out_of_fuel", False, None)


@pytest.mark.parametrize("op", ["stack_addr.i64 ss0", "get_stack_pointer.i64", "get_frame_pointer.i64"])
@pytest.mark.parametrize("residue", range(0, 64, 8))
def test_every_place_within_64_bytes_is_looked_at(op: str, residue: int) -> None:
    lines = f"v0 = {op}", "v1 = iconst.i64 63", "v2 = band v0, v1", f"v3 = iconst.i64 {residue}", "v4 = icmp eq v2, v3"
    found = prediction(body("() -> i8", *lines, "return v4", slots=TWO_SLOTS.split("\n")[0].replace(", align = 8", "")))
    assert found.opening is not None, "some slots lie there"
    assert found.opening.text == f"v0 = {op}"


@pytest.mark.parametrize("name", OPEN_PROGRAMS)
def test_both_tiers_ask_the_same_questions(name: str) -> None:
    text, args, _, _ = OPEN_PROGRAMS[name]
    found = []
    for hot in (None, 0):
        module = parse_module(text)
        world = World(module)
        prepared = prepare(module, False, hot, world)
        for seed in (0, 1, 9):
            world.choose(seed)
            found.append((prepared.run(0, args), dict(world.used), world.fault))
    assert found[:3] == found[3:]


# The commands


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    code = cli.main(list(argv))
    return code, capsys.readouterr().out


@pytest.mark.needs_compiler
@pytest.mark.parametrize("name", ["nan", "places", "frames", "unusual"])
def test_open_files_are_undecided_on_every_isa(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(OPEN / f"{name}.clif")
    calls = len([line for line in Path(path).read_text().split("\n") if line.startswith("; run:")])
    code, text = printed(capsys, "run", path, "--json")
    results = json.loads(text)["results"]
    assert code == 0
    assert len(results) == calls * len(ISAS)
    for result in results:
        assert result["undecided"], result
        assert result["agrees"] is not False
        assert result["as_expected"] in (None, True)
    code, text = printed(capsys, "test", path, "--json")
    report = json.loads(text)
    assert (code, report["failed"], report["skipped"]) == (0, 0, 0), report["failures"]
    exact = [unit for unit in report["open"] if unit["what"].startswith("%as_a_float")]
    bare = len(
        [function for function in parse_filetest(Path(path).read_text(), path).functions if not function.run_lines]
    )
    assert report["undecided"] + report["passed"] == (calls + bare) * len(ISAS)
    assert len(exact) == report["undecided"] - (calls - bool(exact)) * len(ISAS)


@pytest.mark.needs_compiler
def test_a_call_that_does_not_match_is_the_programs_fault(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(OPEN / "calls.clif")
    for command in ("run", "interpret"):
        code, text = printed(capsys, command, path)
        times = len(ISAS) if command == "run" else 1
        assert code == 0
        assert text.count("undecided: the program is wrong: the call in line") == 7 * times
        assert text.count("as expected") == 2 * times
        assert "does not match %two: 1 return, but it has 2" in text
        assert "does not match %tail_callee: convention system_v, but it has tail" in text
    code, text = printed(capsys, "test", path, "--json")
    assert code == 0
    assert json.loads(text)["undecided"] == 7 * len(ISAS)


@pytest.mark.needs_compiler
def test_closed_files_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(OPEN / "closed.clif")
    code, text = printed(capsys, "run", path)
    assert (code, text.count("; as expected"), text.count("undecided")) == (0, 7 * len(ISAS), 0), text
    code, text = printed(capsys, "interpret", path)
    assert (code, text.count("; as expected"), text.count("undecided")) == (0, 7, 0)
    code, text = printed(capsys, "test", path)
    assert code == 0
    assert " 0 failed, 0 undecided, 0 skipped" in text.split("\n")[-2]


@pytest.mark.needs_compiler
def test_what_does_not_depend_on_a_read_around_a_frame_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(OPEN / "around.clif")
    code, text = printed(capsys, "run", path)
    assert (code, text.count("; as expected"), text.count("undecided")) == (0, 5 * len(ISAS), 0), text
    code, text = printed(capsys, "interpret", path)
    assert (code, text.count("; as expected"), text.count("undecided")) == (0, 5, 0)
    code, text = printed(capsys, "test", path)
    assert (code, " 0 failed, 0 undecided, 0 skipped" in text.split("\n")[-2]) == (0, True), text


READ_AROUND = body(
    "(i64) -> i64, i64",
    "v1 = stack_addr.i64 ss0",
    "store v0, v1",
    "v2 = load.i64 v1OFFSET",
    "v3 = iadd v0, v0",
    "return v2, v3",
    slots=TWO_SLOTS,
)


@pytest.mark.parametrize(
    ("offset", "around"),
    [("+8", True), ("-8", True), ("+4", True), ("+4096", True), ("-4096", True), ("+4097", False), ("-4097", False)],
)
def test_reads_around_a_slot_open_what_they_find(offset: str, around: bool) -> None:
    found = prediction(READ_AROUND.replace("OFFSET", offset), [3])
    assert (found.opening is not None and found.opening.text, found.meaningless) == (
        f"v2 = load.i64 v1{offset}",
        not around,
    )
    assert found.whole is not around
    if around:
        wanted = 0xFFFF_FFFF_FFFF_FFFF
        assert (found.values, found.outcome.values[1]) == ((wanted, 0), 6)


@pytest.mark.parametrize(
    ("lines", "around"),
    [
        (("v0 = get_return_address.i64", "v1 = load.i64 v0+8"), True),
        (("v0 = get_return_address.i64", "v1 = load.i64 v0+9"), False),
        (("v0 = get_return_address.i64", "v1 = load.i64 v0-1"), False),
        (("v0 = get_frame_pointer.i64", "v1 = load.i64 v0+112"), True),
        (("v0 = get_frame_pointer.i64", "v1 = load.i64 v0+5000"), False),
        (("v0 = get_frame_pointer.i64", "store v0, v0+8", "v1 = iconst.i64 5"), False),
        (("v0 = get_frame_pointer.i64", "v1 = atomic_rmw.i64 add v0, v0"), False),
    ],
)
@pytest.mark.parametrize("used", [False, True])
def test_reads_around_a_frame_open_what_they_find(lines: tuple[str, ...], around: bool, used: bool) -> None:
    text = body("() -> i64", *lines, "v2 = iconst.i64 5", "return v1" if used else "return v2")
    found = prediction(text, [])
    assert found.meaningless is not around
    assert (found.opening is not None) is (used or not around)
    if found.opening is not None:
        assert found.opening.what == OUTSIDE


@pytest.mark.needs_compiler
def test_who_writes_the_pinned_register_damages_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = printed(capsys, "run", str(OPEN / "pinned.clif"))
    assert (code, text.count("; as expected")) == (0, 4), text
    code, text = printed(capsys, "test", str(OPEN / "pinned.clif"))
    assert code == 0, text


@pytest.mark.needs_compiler
def test_a_missing_symbol_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = printed(capsys, "run", str(OPEN / "missing.clif"))
    assert code == 0
    assert text.count("%not_taken(21) = 42  ; as expected\n") == len(ISAS)
    for call, name in (
        ("%not_taken(0)", "%nowhere"),
        ("%near(1)", "%near_by"),
        ("%by_pointer(1)", "%nowhere"),
        ("%read()", "%data"),
    ):
        assert text.count(f"{call} = trap unresolved {name}\n") == len(ISAS), (call, text)


@pytest.mark.needs_compiler
def test_an_open_nan_of_a_run_line_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = printed(capsys, "run", str(OPEN / "nan.clif"), "--isa", "aarch64")
    assert (
        "%as_a_float(-Inf) = +NaN  ; undecided: the run line asks for one NaN of several: CLIF leaves it open: "
        f"{NAN} (line 80: v1 = fsub.f64 v0, v0)"
    ) in text


ONE_OF_SEVERAL = """test run
test interpret
{targets}
function %root(f64) -> f64, i64 {{
block0(v0: f64):
    v1 = sqrt v0
    v2 = iconst.i64 0
    return v1, v2
}}
; run: %root(-0x1.0p0) == [{nan}, {number}]
; run: %root(0x1.0p2) == [0x1.0p1, 0]
"""
ALL_TARGETS = "target x86_64\ntarget aarch64\ntarget s390x\ntarget riscv64"


@pytest.mark.needs_compiler
@pytest.mark.parametrize("nan", ["+NaN", "-NaN", "+NaN:0x5"])
@pytest.mark.parametrize("targets", ["", ALL_TARGETS])
def test_one_nan_of_several_is_undecided_on_every_isa(
    nan: str, targets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nan.clif"
    path.write_text(ONE_OF_SEVERAL.format(targets=targets, nan=nan, number=0))
    for command, times in (("run", len(ISAS)), ("interpret", 1)):
        code, text = printed(capsys, command, str(path))
        assert (code, text.count("the run line asks for one NaN of several"), text.count("as expected")) == (
            0,
            times,
            times,
        ), text
    if targets:
        _, text = printed(capsys, "test", str(path))
        wanted = len(ISAS) + 1
        assert f"\n{wanted} passed, 0 failed, {wanted} undecided, 0 skipped" in text, text
    path.write_text(ONE_OF_SEVERAL.format(targets=targets, nan=nan, number=1))
    code, text = printed(capsys, "run", str(path))
    assert (code, text.count("WRONG: the run line says"), text.count("undecided")) == (1, len(ISAS), 0), "beside it"


@pytest.mark.needs_compiler
def test_a_file_for_one_isa_may_ask_for_its_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "nan.clif"
    for target, isa, nan, other in (("x86_64", "x86-64", "-NaN", "+NaN"), ("aarch64", "aarch64", "+NaN", "-NaN")):
        for asked, remark in ((nan, "as expected (CLIF leaves the NaN open)"), (other, "one NaN of several")):
            path.write_text(ONE_OF_SEVERAL.format(targets=f"target {target}", nan=asked, number=0))
            code, text = printed(capsys, "run", str(path))
            assert (code, text.count(remark), text.count("; as expected\n")) == (0, 1, 1), text
            _, text = printed(capsys, "test", str(path))
            assert f"{isa}: {1 + (asked == nan)} passed, 0 failed, {int(asked != nan)} undecided" in text
            assert "interpreter: 1 passed, 0 failed, 1 undecided" in text, "it is no ISA"
    path.write_text(ONE_OF_SEVERAL.format(targets="target x86_64", nan="+NaN", number=0))
    _, text = printed(capsys, "run", str(path), "--isa", "aarch64")
    assert "one NaN of several" in text, "not the file's ISA"


@pytest.mark.needs_compiler
def test_open_values_put_in_on_purpose_are_undecided() -> None:
    script = ROOT / "ci" / "experiments" / "open_values.py"
    argv = [sys.executable, str(script), "--count", "25", "--seed", "3", "--isa", "x86-64"]
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    results = json.loads(found.stdout)["results"]
    assert sum(count for what, count in results.items() if what.startswith("undecided: ")) >= 20


# Planted faults: a wrong result beside an open value is wrong.


@pytest.fixture
def subtracting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Cranelift that subtracts where it should add."""
    right = Cranelift.compile_text

    def wrong(self: Cranelift, text: str, targets: Sequence[Target], *args: Any, **named: Any) -> Any:
        return right(self, text.replace("= iadd", "= isub"), targets, *args, **named)

    monkeypatch.setattr(Cranelift, "compile_text", wrong)


@pytest.mark.needs_compiler
@pytest.mark.usefixtures("subtracting")
@pytest.mark.parametrize("isa", ISAS)
def test_a_real_fault_beside_an_open_value_is_found(isa: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = printed(capsys, "run", str(OPEN / "nan.clif"), "--isa", isa, "--json")
    results = {result["call"].split("(")[0]: result for result in json.loads(text)["results"]}
    assert code == 1
    assert [name for name, result in results.items() if result["agrees"] is False] == ["%one_of_two"], text
    code, text = printed(capsys, "test", str(OPEN / "nan.clif"), "--isa", isa, "--json")
    report = json.loads(text)
    assert code == 1
    assert [failure["what"].split("(")[0] for failure in report["failures"]] == ["%one_of_two"]
    code, text = printed(capsys, "run", str(OPEN / "closed.clif"), "--isa", isa)
    assert code == 1
    assert text.count("DISAGREES") == 2, "what is called by pointer, and what recurs"


def test_a_line_is_judged_by_its_closed_parts() -> None:
    path = OPEN / "nan.clif"
    test = parse_filetest(path.read_text(), str(path))
    line = next(f for f in test.functions if f.name == "%one_of_two").run_lines[0]
    number = [f.name for f in test.functions].index("%one_of_two")
    found = Reference(test.module(), False).predict(number, line.args)
    assert meets(line, found, Outcome("returned", (5, 42))) is None
    assert meets(line, found, Outcome("returned", line.expected)) is None
    assert meets(line, found, Outcome("returned", (5, 43))) is False
    assert meets(line, found, Outcome("trapped", detail="user1")) is False
