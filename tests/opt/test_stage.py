"""The mid-end as a stage of the builtin compiler: asked for by opt_level, shown as CLIF, its rules told."""

from __future__ import annotations

from typing import Any

import pytest

from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.builtin.pipeline import compile_function
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named

THERE = tuple(isa for isa in ISAS if isa_named(isa).backend)
TEXT = """
function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iconst.i64 0
    v3 = iadd v0, v2
    v4 = isub v3, v1
    v5 = iadd v4, v1
    v6 = bxor v5, v1
    return v6
}
"""
WANTS = frozenset({"clif", "rules"})


@pytest.mark.parametrize("isa", THERE)
def test_less_code_at_speed(isa: str) -> None:
    function = parse_filetest(TEXT).functions[0].function
    assert function is not None
    plain, fast = (compile_function(function, isa, {"opt_level": level}, WANTS).code for level in ("none", "speed"))
    assert len(fast.code) < len(plain.code)
    shown: Any = fast.extra["clif"]
    (better,) = parse_module(shown).functions
    assert verify(better) == []
    assert [inst.op for block in better.blocks for inst in block.insts] == ["bxor", "return"]
    told: Any = fast.extra["rules"]
    assert [line for line in told if line.startswith("src/opts/")]
    plainly: Any = plain.extra["rules"]
    assert not [line for line in plainly if line.startswith("src/opts/")]


def test_observers_see_it_and_may_change_it() -> None:
    function = parse_filetest(TEXT).functions[0].function
    assert function is not None
    seen: dict[str, Any] = {}

    def observe(stage: str, value: Any) -> Any:
        seen[stage] = value
        return function if stage == "optimized" else None

    unchanged = compile_function(function, THERE[0], {"opt_level": "speed"}, frozenset(), observe).code
    assert len(seen["optimized"].blocks[0].insts) == 2
    assert unchanged.code == compile_function(function, THERE[0], {"opt_level": "none"}).code.code
