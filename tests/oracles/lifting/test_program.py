"""CLIF functions as terms: against their run lines in both byte orders, faults that are seen, what is undecided."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scripts import ROOT, load

from liftcheck.case import Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.isa import BIG_ENDIAN, ISAS
from liftcheck.oracles.lifting.lines import Judge, Verdict
from liftcheck.oracles.lifting.program import lift_program

CORPUS = ROOT / "corpus" / "lift"
LITTLE, BIG = (next(isa for isa in ISAS if (isa in BIG_ENDIAN) == big) for big in (False, True))
load("experiments/lift_files")  # its neighbour, which it imports
script = load("experiments/lift_runs")


def verdicts(lines: str, isa: str = LITTLE, program: str = "") -> list[Verdict]:
    """Of each run line of a file, by the terms of the functions of another one (none: of the same)."""
    target = Target(isa)
    test, module = parse_filetest(lines, "lines.clif"), parse_filetest(program or lines, "program.clif").module()
    functions = {function.name: function for function in module.functions}
    found = []
    for one in test.functions:
        judged = Judge(target, functions[one.name], None, module)
        found += [judged.line(line) for line in one.at(target.big_endian).run_lines]
    return found


@pytest.mark.parametrize("isa", [LITTLE, BIG])
@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.clif")), ids=lambda path: path.stem)
def test_programs_compute_what_their_lines_say(path: Path, isa: str) -> None:
    found = verdicts(path.read_text(encoding="utf-8"), isa)
    assert set(found) == {Verdict("equal")}


FAULTS = [
    ("integers", "icmp sgt", "icmp ugt", "another comparison"),
    ("integers", "brif v2, block1(v0), block1(v1)", "brif v2, block1(v1), block1(v0)", "a flipped branch"),
    ("integers", "[block1, block2, block3, block2]", "[block1, block2, block2, block3]", "another table"),
    ("integers", "store notrap v1, v5", "store notrap v1, v5+1", "another place in the frame"),
    ("integers", "v2 = sdiv v0, v1", "v2 = udiv v0, v1", "another division"),
    ("integers", "trapnz v3, user3", "trapnz v3, user4", "another trap"),
    ("integers", "    trapnz v3, user3\n", "", "a trap that is left out"),
    ("memory", "store v3, v0", "store v2, v0", "another value that is stored"),
    ("memory", "    store v2, v1\n", "", "a store that is left out"),
    ("accesses", "v3 = isub v1, v2", "v3 = isub v2, v1", "lanes the other way round"),
    ("accesses", "uload8x8", "sload8x8", "another extension"),
    ("orders", "load.i64 big v0", "load.i64 little v0", "another byte order of a load"),
    ("orders", "store big v1", "store little v1", "another byte order of a store"),
    ("orders", "istore16 little", "istore8 little", "another width"),
    ("calls", "call fn0(v4)", "call fn0(v3)", "another argument"),
    ("calls_memory", "    store v1, v0\n", "", "a store before a call that is left out"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "fault"), FAULTS, ids=[row[3] for row in FAULTS])
def test_faults_in_programs_are_seen(file: str, old: str, new: str, fault: str) -> None:
    text = (CORPUS / f"{file}.clif").read_text(encoding="utf-8")
    wrong = text.replace(old, new, 1)
    assert wrong != text
    for isa in (LITTLE, BIG):
        assert "different" in {found.kind for found in verdicts(text, isa, wrong)}


CONTEXT = """test run
function %through_context(i64 vmctx, i64) -> i64, i64 {
    gv0 = vmctx
    gv1 = load.i64 notrap aligned gv0+8
    gv2 = iadd_imm.i64 gv1, 16
block0(v0: i64, v1: i64):
    v2 = global_value.i64 gv2
    v3 = load.i64 v2
    store v1, v2
    v4 = load.i64 v0
    return v3, v4
}
; liftcheck: memory a = i64[0 0 0 77]
; liftcheck: memory b = i64[5], ptr[&a+8]
; liftcheck: run: %through_context(&b, 9) == [77, 5], a == i64[0 0 0 9]
function %swapped(i64, i32, i32) -> i32 {
block0(v0: i64, v1: i32, v2: i32):
    v3 = atomic_cas v0, v1, v2
    v4 = atomic_rmw.i32 add v0, v1
    v5 = isub v4, v3
    return v5
}
; liftcheck: memory a = i32[5]
; liftcheck: run: %swapped(&a, 5, 9) == 4, a == i32[14]
; liftcheck: run: %swapped(&a, 6, 9) == 0, a == i32[11]
function %aliased(i32) -> i32 {
block0(v0: i32):
    v9 -> v0
    v1 = iadd v9, v9
    return v1
}
; run: %aliased(3) == 6
function %turns(i32) -> i32 {
block0(v0: i32):
    v1 = iconst.i32 3
    jump block1(v1, v0)
block1(v2: i32, v3: i32):
    v4 = iadd v3, v3
    v5 = iadd_imm v2, -1
    brif v5, block1(v5, v4), block2
block2:
    return v4
}
; run: %turns(5) == 40
"""


@pytest.mark.parametrize("isa", [LITTLE, BIG])
def test_contexts_atomics_aliases_and_loops_of_a_number_of_turns(isa: str) -> None:
    assert verdicts(CONTEXT, isa) == [Verdict("equal")] * 5


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("v1 = get_stack_pointer.i64\n return v0", "get_stack_pointer: it has no term"),
        ("v1 = uextend.i64 v0\n v2 = ireduce.i32 v1\n v3 = load.i32 v2\n return v3", "an address of 32 bits"),
        ("jump block1(v0)\nblock1(v1: i32):\n v2 = iadd_imm v1, -1\n brif v2, block1(v2), block2\nblock2:\n return v2",
         "a loop"),
        ("v1 = stack_addr.i64 ss0\n return_call fn0(v1)", "a call that may reach the frame"),
    ],
)  # fmt: skip
def test_what_is_undecided_says_why(lines: str, reason: str) -> None:
    head = "function %f(i32) -> i32 {\n ss0 = explicit_slot 8\n fn0 = %g(i64) -> i64\nblock0(v0: i32):\n "
    (function,) = parse_filetest(f"test run\n{head}{lines}\n}}", "f.clif").module().functions
    assert reason in {end.detail for end in lift_program(Target(LITTLE), function).ends if end.kind == "undecided"}


@pytest.mark.needs_compiler
def test_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--programs", "--isa", LITTLE, str(CORPUS / "memory.clif")]) == 0
    assert "2 equal, 0 different, 0 undecided" in capsys.readouterr().out
