"""What is several instructions by nature, as the last of a loop's body: the assembler leaves the jump back out, and a
branch past the end of such bytes leads to the loop's head. That is right code on every ISA."""

from __future__ import annotations

import pytest

from liftcheck.case import Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.source import source_of
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.regalloc.allocation import Captured

LAST = (
    "atomic_cas.i64 little v0, v2, v2", "atomic_cas.i32 little v0, v1, v1", "atomic_cas.i8 little v0, v7, v7",
    "atomic_rmw.i64 little nand v0, v2", "atomic_rmw.i16 little smax v0, v8", "atomic_rmw.i8 little nand v0, v7",
    "clz v2", "ctz v2", "popcnt v2", "bitrev v7", "fcvt_to_uint_sat.i64 v9", "select v7, v2, v4", "select v7, v11, v12",
    "fmin v9, v9", "fcvt_from_uint.f64 v2", "sdiv v2, v4", "rotl.i128 v13, v2",
)  # fmt: skip
FUNCTION = """\
function %f{number}(i64, i32, i64, i8, i16, f64, i64x2, i64x2, i128) -> i64 system_v {{
block0(v0: i64, v1: i32, v2: i64, v7: i8, v8: i16, v9: f64, v11: i64x2, v12: i64x2, v13: i128):
    jump block1
block1:
    v4 = atomic_load.i64 v0
    brif v4, block2, block3
block2:
    v5 = {last}
    jump block1
block3:
    return v4
}}
"""


@pytest.mark.parametrize("isa", ISAS)
def test_a_branch_past_the_end_may_lead_back(regalloc: Cranelift, isa: str) -> None:
    text = "\n".join(FUNCTION.format(number=number, last=last) for number, last in enumerate(LAST))
    targets = [
        Target(isa, (("opt_level", level), ("regalloc_algorithm", algorithm)))
        for level in ("none", "speed")
        for algorithm in ("backtracking", "single_pass")
    ]
    functions = parse_filetest(text, "").module().functions
    for column in regalloc.allocations(text, targets, with_text=True):
        for reply, function, last in zip(column, functions, LAST, strict=True):
            assert isinstance(reply, Captured), reply
            verdict = validate(isa, reply, source_of(function))
            assert verdict.counterexample is None, f"{last}: {verdict.counterexample.render()}"
