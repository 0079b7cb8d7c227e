"""Lone instructions that are passed without a scan: the scan says the same of them, whatever their bytes are."""

from __future__ import annotations

import random

import pytest
from support.validation_planting import one, put

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.code import lone
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import VALID

MIXED = """\
function %mixed(i64, i64, i32, f64) -> i64, f64 system_v {
    ss0 = explicit_slot 64
    fn0 = %g(i64) -> i64 system_v
block0(v0: i64, v1: i64, v2: i32, v3: f64):
    v5 = load.i64 v0+8
    v6 = iadd v5, v1
    v7 = uextend.i64 v2
    v8 = bxor v6, v7
    store v8, v0+16
    v30 = stack_addr.i64 ss0
    store v8, v30+8
    v9 = fadd v3, v3
    v11 = icmp ult v6, v7
    v12 = select v11, v6, v8
    v13 = call fn0(v12)
    v14 = load.i64 v30+8
    v15 = isub v13, v14
    v16 = udiv v15, v1
    v17 = rotl v16, v2
    brif v17, block1(v17), block2(v15)
block1(v18: i64):
    v19 = imul v18, v1
    jump block2(v19)
block2(v20: i64):
    v21 = iadd v20, v0
    return v21, v9
}
"""
EDITS = 250


@pytest.mark.parametrize("isa", ISAS)
def test_the_scan_says_the_same_of_plain_instructions(
    regalloc: Cranelift, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured, source = one(regalloc, isa, MIXED)
    draw, code = random.Random(17), captured.code.code
    edits = [(draw.randrange(len(code)), draw.randrange(1, 256)) for _ in range(EDITS)]
    faulty = [put(isa, captured, at, bytes([code[at] ^ change]), 1) for at, change in edits]
    passed = []
    plain = lone.plain
    monkeypatch.setattr(lone, "plain", lambda *given: bool(passed.append(plain(*given)) or passed[-1]))
    quick = [validate(isa, each, source) for each in (captured, *faulty)]
    monkeypatch.setattr(lone, "plain", lambda *given: False)
    slow = [validate(isa, each, source) for each in (captured, *faulty)]
    said = [[(v.status, v.reason, v.counterexample) for v in verdicts] for verdicts in (quick, slow)]
    assert said[0] == said[1]
    assert quick[0].status == VALID
    assert sum(v.status != VALID for v in quick) > EDITS // 3
    assert any(passed) and not all(passed)
