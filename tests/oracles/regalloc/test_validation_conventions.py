"""Which convention a call has where a function calls by several, and its callee is far away or a pointer."""

from __future__ import annotations

import pytest
from support.validation_planting import one

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.code.calls import Calls
from liftcheck.oracles.regalloc.code.layout import Layout

FAR = """\
function %far(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64 tail
    sig1 = (i64) -> i64 fast
    fn0 = %f sig0
    fn1 = %g sig1
    fn2 = colocated %h sig1
block0(v0: i64, v1: i64):
    v2 = call fn0(v0)
    v3 = call fn1(v1)
    v4 = call fn2(v2)
    v5 = iadd v3, v4
    return v5
}
"""
POINTED = FAR.replace("v4 = call fn2(v2)", "v6 = func_addr.i64 fn2\n    v4 = call_indirect sig0, v6(v2)")
UNKNOWN = FAR.replace("v4 = call fn2(v2)", "v4 = call_indirect sig0, v0(v2)")
TAIL, ALL = frozenset({"tail"}), frozenset({"fast"})


def conventions(regalloc: Cranelift, isa: str, text: str) -> list[frozenset[str]]:
    """Those of each call, in their order."""
    captured, source = one(regalloc, isa, text)
    calls = Calls(Layout(isa, captured.code, captured.allocation), captured.code, source)
    return [calls.conventions(number) for number in calls.calling]


@pytest.mark.parametrize("isa", ISAS)
def test_a_far_callee_is_the_symbol_that_was_loaded(regalloc: Cranelift, isa: str) -> None:
    assert conventions(regalloc, isa, FAR) == [TAIL, ALL, ALL]


@pytest.mark.parametrize("isa", ISAS)
def test_a_loaded_symbol_may_be_called_as_a_pointer_too(regalloc: Cranelift, isa: str) -> None:
    assert conventions(regalloc, isa, POINTED) == [TAIL, TAIL | ALL, TAIL]


@pytest.mark.parametrize("isa", ISAS)
def test_a_pointer_from_elsewhere_may_be_anything(regalloc: Cranelift, isa: str) -> None:
    assert conventions(regalloc, isa, UNKNOWN) == [TAIL, TAIL | ALL, TAIL | ALL]
