"""Code against programs: what is the same is shown, each kind of planted fault is refuted on each ISA."""

from __future__ import annotations

import pytest
from support.lifting import compiled, module
from support.scripts import ROOT, load

from liftcheck.case import Target
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.oracles.lifting.equal import Verdict, compare
from liftcheck.oracles.lifting.nans import seen_bits

CORPUS = ROOT / "corpus" / "lift"
WITH_ROWS = [isa for isa in ISAS if isa_named(isa).rows]
SETTINGS = (
    ("enable_llvm_abi_extensions", "true"),
    ("enable_multi_ret_implicit_sret", "true"),
    ("preserve_frame_pointers", "true"),
)
load("experiments/lift_files")  # its neighbour, which it imports
script = load("experiments/lift_equal")


PLAIN = """test run
function %compared(i64, i64, i8) -> i64, i32 {
block0(v0: i64, v1: i64, v2: i8):
    v3 = icmp sgt v0, v1
    v4 = sextend.i32 v2
    brif v3, block1(v0), block1(v1)
block1(v5: i64):
    return v5, v4
}
function %stored(i64, i32, i64) -> i64 {
    ss0 = explicit_slot 16
block0(v0: i64, v1: i32, v2: i64):
    store v1, v0+4
    v3 = stack_addr.i64 ss0
    store notrap v2, v3+8
    v4 = load.i32 notrap v3+8
    v5 = uextend.i64 v4
    istore16 v5, v2+2
    v6 = load.i64 v0
    v7 = iadd v6, v5
    return v7
}
function %trapped(i32, i32) -> i32 {
block0(v0: i32, v1: i32):
    v2, v3 = uadd_overflow v0, v1
    trapnz v3, user3
    v4 = isub v2, v1
    trapz v4, user5
    return v2
}
function %one(i64, i32) -> i32 {
block0(v0: i64, v1: i32):
    return v1
}
function %called(i64, i32, i64) -> i32 {
    fn0 = %one(i64, i32 sext) -> i32
    fn1 = %other(i64, i32 sext) -> i32
block0(v0: i64, v1: i32, v2: i64):
    v3 = call fn0(v2, v1)
    store v3, v0
    v4 = call fn0(v0, v3)
    v5 = load.i32 v0
    v6 = isub v4, v5
    return v6
}
function %keeps(i64, i32) preserve_all {
    fn0 = %one(i64, i32 sext) -> i32
block0(v0: i64, v1: i32):
    v2 = call fn0(v0, v1)
    store v2, v0
    return
}
function %chosen(i32, i64) -> i64 {
block0(v0: i32, v1: i64):
    br_table v0, block4, [block1, block2, block3]
block1:
    v2 = iadd_imm v1, 1
    return v2
block2:
    v3 = bnot v1
    return v3
block3:
    v4 = ineg v1
    return v4
block4:
    return v1
}
function %float(f64, f64, i32) -> f64, i8 {
block0(v0: f64, v1: f64, v2: i32):
    v3 = fadd v0, v1
    v4 = fmul v3, v1
    v5 = fcmp lt v4, v0
    return v4, v5
}
"""


@pytest.mark.parametrize("level", ["none", "speed"])
@pytest.mark.parametrize("isa", WITH_ROWS)
def test_what_is_the_same_is_shown(isa: str, level: str, compiler: Cranelift) -> None:
    target = Target(isa, (*SETTINGS[:2], ("opt_level", level), SETTINGS[2]))
    codes = compiled(compiler, PLAIN, target)
    found = {function.name: compare(target, function, codes[function.name]) for function in module(PLAIN)}
    assert {name: verdict for name, verdict in found.items() if verdict.kind not in ("equal", "proven")} == {}


FAULTS = [
    ("%compared", "icmp sgt", "icmp sle", "a flipped condition"),
    ("%compared", "icmp sgt", "icmp ugt", "another comparison"),
    ("%compared", "sextend", "uextend", "another extension"),
    ("%stored", "store v1, v0+4", "store v1, v0+8", "a wrong displacement"),
    ("%stored", "load.i32 notrap v3+8", "load.i32 notrap v3+4", "a wrong displacement in the frame"),
    ("%stored", "istore16", "istore32", "a wider store"),
    ("%stored", "istore16", "istore8", "a narrower store"),
    ("%stored", "    istore16 v5, v2+2\n", "", "a store that is left out"),
    ("%stored", "load.i64 v0\n", "load.i64 user7 v0\n", "another trap's code of an access"),
    ("%trapped", "user3", "user4", "another trap's code"),
    ("%trapped", "    trapz v4, user5\n", "", "a trap that is left out"),
    ("%called", "call fn0(v0, v3)", "call fn1(v0, v3)", "another callee"),
    ("%called", "call fn0(v2, v1)", "call fn0(v0, v1)", "another argument"),
    ("%called", "    store v3, v0\n", "", "a store before a call that is left out"),
    ("%called", "    v4 = call fn0(v0, v3)\n    v5 = load.i32 v0\n", "    v4 = load.i32 v0\n    v5 = load.i32 v0\n",
     "a call that is left out"),
    ("%chosen", "[block1, block2, block3]", "[block1, block3, block2]", "another table"),
    ("%float", "fmul v3, v1", "fdiv v3, v1", "another operation of floats"),
    ("%float", "fcmp lt", "fcmp ult", "another comparison of floats"),
]  # fmt: skip


@pytest.mark.parametrize("isa", WITH_ROWS)
@pytest.mark.parametrize(("name", "old", "new", "fault"), FAULTS, ids=[row[3] for row in FAULTS])
def test_planted_faults_are_refuted(isa: str, name: str, old: str, new: str, fault: str, compiler: Cranelift) -> None:
    """The code is that of a program with a fault."""
    at = PLAIN.index(f"function {name}(")
    wrong = PLAIN[:at] + PLAIN[at:].replace(old, new, 1)
    assert wrong != PLAIN
    target = Target(isa, SETTINGS)
    (right,) = (function for function in module(PLAIN) if function.name == name)
    found = compare(target, right, compiled(compiler, wrong, target)[name])
    assert found.kind == "refuted", found


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_an_extension_that_is_left_out_is_refuted(isa: str, compiler: Cranelift) -> None:
    """Of a result, where the convention takes notice of it."""
    text = "test run\nfunction %f(i32) -> i8 sext {\nblock0(v0: i32):\n v1 = ireduce.i8 v0\n return v1\n}\n"
    target, (right,) = Target(isa, SETTINGS), module(text)
    code = compiled(compiler, text, target)["%f"]
    assert compare(target, right, code).kind in ("equal", "proven")
    wrong = compiled(compiler, text.replace("i8 sext", "i8"), target)["%f"]
    assert compare(target, right, wrong).kind == ("equal" if wrong.code == code.code else "refuted")


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_an_aligned_word_around_a_narrow_atomic_access_is_no_other_access(isa: str, compiler: Cranelift) -> None:
    """Machines without narrow atomics take the word that is around, which lies in the same page."""
    head = "test run\nfunction %f(i64, i16, i16) -> i16 {\nblock0(v0: i64, v1: i16, v2: i16):\n "
    text = f"{head}v3 = atomic_cas v0, v1, v2\n return v3\n}}\n"
    target, (right,) = Target(isa, SETTINGS), module(text)
    found = compare(target, right, compiled(compiler, text, target)["%f"])
    assert found.kind in ("equal", "proven") or found.why == "a loop"
    elsewhere = text.replace("return v3", "v4 = load.i16 v0+16\n v5 = bxor v3, v4\n return v5")
    assert compare(target, right, compiled(compiler, elsewhere, target)["%f"]).kind == "refuted"


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_what_is_not_decided_has_a_name(isa: str, compiler: Cranelift) -> None:
    """z3 without time; bits of a NaN; a loop."""
    text = """test run
function %f(i64, i64) -> i64 {
block0(v0: i64, v1: i64):
    v2 = imul v0, v1
    v3 = imul v2, v1
    return v3
}
"""
    target, (function,) = Target(isa, SETTINGS), module(text)
    other = text.replace("imul v0, v1", "imul v1, v1").replace("imul v2, v1", "imul v2, v0")
    code = compiled(compiler, other, target)["%f"]
    assert compare(target, function, code, effort=1) == Verdict("undecided", "z3 gives up")
    turns = "jump block1(v0)\nblock1(v3: i64):\n v2 = iadd_imm v3, -1\n brif v2, block1(v2), block2\nblock2:"
    loop = (
        text.replace("v2 = imul v0, v1", turns).replace("    v3 = imul v2, v1\n", "").replace("return v3", "return v2")
    )
    (function,) = module(loop)
    assert compare(target, function, compiled(compiler, loop, target)["%f"]) == Verdict("undecided", "a loop")


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_an_indirect_call_with_handlers_is_undecided(isa: str, compiler: Cranelift) -> None:
    """Its signature is in its table."""
    text = """test run
function %f(i64) -> i64 tail {
    sig0 = (i64) -> i64 tail
block0(v0: i64):
    try_call_indirect v0(v0), sig0, block1(ret0), [default: block2]
block1(v1: i64):
    return v1
block2:
    return v0
}
"""
    target, (function,) = Target(isa, SETTINGS), module(text)
    code = compiled(compiler, text, target)["%f"]
    assert compare(target, function, code) == Verdict("undecided", "a call that may land in a handler")


def test_bits_of_nans_that_are_seen() -> None:
    head = "test run\nfunction %f(f64, i64, f64) -> f64 {\nblock0(v0: f64, v1: i64, v2: f64):\n v3 = fadd v0, v0\n "
    for lines, seen in [
        ("return v3", False), ("v4 = fneg v3\n return v4", False), ("store v3, v1\n return v0", True),
        ("store v0, v1\n return v3", False), ("v4 = fcopysign v0, v3\n return v4", True),
        ("jump block1(v3)\nblock1(v5: f64):\n v6 = bitcast.i64 v5\n store v6, v1\n return v0", True),
    ]:  # fmt: skip
        (function,) = module(f"{head}{lines}\n}}\n")
        assert seen_bits(function) == seen, lines


@pytest.mark.needs_compiler
def test_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--isa", "riscv64", str(CORPUS / "memory.clif")]) == 0
    assert "2 equal, 0 proven, 0 refuted, 0 undecided" in capsys.readouterr().out
