"""Passes of the reducer that make the flow of control plainer: what each makes, and what is left in the end."""

from __future__ import annotations

import re

import pytest

from liftcheck.campaign.findings.likeness import probe
from liftcheck.campaign.reduce.answers import one_by_one
from liftcheck.campaign.reduce.callees import callee_params, callee_returns
from liftcheck.campaign.reduce.edit import is_coherent
from liftcheck.campaign.reduce.engine import Limits, Meter, finished, reduce_case, tidied
from liftcheck.campaign.reduce.flow import arms, block_params, direct_calls, inline, tables
from liftcheck.campaign.reduce.passes import enter_callee
from liftcheck.campaign.reduce.several import Pass, Probe
from liftcheck.case import Case, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.oracles.reference import interpret

TARGET = Target("x86-64")
LOOP = """
function %f(i64, i8) -> i64 system_v {
block0(v0: i64, v1: i8):
    jump block1(v1, v0)
block1(v2: i8, v3: i64):
    v4 = ineg v3
    brif v2, block1(v2, v4), block2
block2:
    return v3
}
"""
TABLE = """
function %f(i32) -> i64 system_v {
block0(v0: i32):
    br_table v0, block2, [block1, block2, block1, block3]
block1:
    v1 = iconst.i64 1
    return v1
block2:
    v2 = iconst.i64 2
    return v2
block3:
    v3 = iconst.i64 3
    return v3
}
"""
CALLS = """
function %leaf(i64) -> i64 system_v {
block0(v0: i64):
    v1 = imul v0, v0
    return v1
}

function %callee(i64, i8) -> i64, i32x4 system_v {
    const0 = 0x00000004000000030000000200000001
    ss0 = explicit_slot 16
    sig0 = (i64) -> i64 system_v
    fn0 = colocated %leaf sig0
block0(v0: i64, v1: i8):
    v2 = vconst.i32x4 const0
    brif v1, block1(v0), block2
block1(v3: i64):
    v4 = call fn0(v3)
    v5 = stack_addr.i64 ss0
    store v4, v5
    v6 = load.i64 v5
    return v6, v2
block2:
    v7 = iconst.i64 7
    v8 = func_addr.i64 fn0
    v9 = call_indirect sig0, v8(v7)
    return v9, v2
}

function %entry(i64, i8) -> i64, i32x4, i32x4 system_v {
    const0 = 0x00000000000000000000000000000009
    ss0 = explicit_slot 8
    fn0 = colocated %callee(i64, i8) -> i64, i32x4 system_v
block0(v0: i64, v1: i8):
    v2 = vconst.i32x4 const0
    v3 = stack_addr.i64 ss0
    store v0, v3
    v4, v5 = call fn0(v0, v1)
    v6 = load.i64 v3
    v7 = iadd v4, v6
    return v7, v5, v2
}
"""


def case_of(text: str, *inputs: tuple[int, ...]) -> Case:
    module = parse_module(text)
    return Case(module, len(module.functions) - 1, inputs)


def made_by(one: Pass, case: Case, probe: Probe = lambda _: None) -> list[Case]:
    """All candidates of a pass at all sites."""
    found: list[Case] = []
    site = 0
    while (made := one(case, site, probe)) is not None:
        found += made
        site += 1
    return found


def values(case: Case) -> list[tuple[int, ...]]:
    return [outcome.values for outcome in interpret(case, False).outcomes]


def test_a_parameter_of_a_block_becomes_what_it_is_given() -> None:
    texts = [print_module(tidied(one).module) for one in made_by(block_params, case_of(LOOP, (5, 0)))]
    assert any("block1(v2: i64):" in text and "brif.i8 v1, block1" in text for text in texts)  # the i8 is the entry's
    assert any("block1(v2: i8):" in text for text in texts)  # the i64 is the entry's


def test_a_table_loses_entries() -> None:
    found = made_by(tables, case_of(TABLE, (0,)))
    assert all(not verify(one.module) for one in found)
    lengths = {len(one.module.functions[0].blocks[0].insts[-1].targets) - 1 for one in found}
    assert lengths == {0, 1, 2, 3}


def test_an_indirect_call_of_a_known_function_becomes_direct() -> None:
    case = case_of(CALLS, (3, 0))
    [direct] = made_by(direct_calls, case)
    assert not verify(direct.module) and is_coherent(direct)
    assert "call_indirect" not in print_module(direct.module)
    assert values(direct) == values(case)


@pytest.mark.parametrize("row", [(3, 0), (3, 1)])
def test_what_is_inlined_does_the_same(row: tuple[int, ...]) -> None:
    case = case_of(CALLS, row)
    found = made_by(inline, case)
    assert len(found) == 2
    for one in found:
        assert not verify(one.module), print_module(one.module)
        assert is_coherent(one) and values(one) == values(case)
    last = found
    while last:
        last = [one for made in last for one in made_by(inline, next(iter(made_by(direct_calls, made)), made))]
        for one in last:
            assert not verify(one.module), print_module(one.module)
            assert values(one) == values(case)


RECURSIVE = """
function %f(i64) -> i64 system_v {
    fn0 = colocated %f(i64) -> i64 system_v
block0(v0: i64):
    v1 = call fn0(v0)
    return v1
}
"""


def test_what_calls_itself_or_leaves_otherwise_is_not_inlined() -> None:
    assert made_by(inline, case_of(RECURSIVE, (1,))) == []
    tail = CALLS.replace("(i64, i8) -> i64, i32x4 system_v", "(i64) -> i64 tail").replace("i64 system_v", "i64 tail")
    body = "block0(v0: i64):\n    return_call fn0(v0)\n}"
    tail = re.sub(r"(%callee\(i64\) -> i64 tail \{.*?)block0.*?\n\}", lambda m: m[1] + body, tail, flags=re.DOTALL)
    tail = re.sub(r"v4, v5 = call fn0\(v0, v1\)", "v4 = call fn0(v0)", tail).replace(
        "return v7, v5, v2", "return v7, v2, v2"
    )
    assert "return_call" in tail and not verify(parse_module(tail))
    assert made_by(inline, case_of(tail, (1, 0))) == []


def test_generated_programs_are_inlined_rightly() -> None:
    context = Context(("x86-64",), {"x86-64": Anything()}, inputs=1)
    tried = 0
    for seed in range(8):
        case = generate.generate(RandomChoices(seed), "calls", context)
        wanted = interpret(case, False).outcomes
        for one in made_by(inline, tidied(case)):
            if not verify(one.module):
                tried += 1
                assert interpret(one, False).outcomes == wanted, print_module(one.module)
    assert tried >= 8


class Anything:
    def __contains__(self, key: object) -> bool:
        return True


def ask(case: Case) -> tuple[int, ...] | None:
    return probe(case, TARGET)


def meter() -> Meter:
    return Meter(Limits(60.0))


def ops(case: Case) -> list[str]:
    return [inst.op for function in case.module.functions for block in function.blocks for inst in block.insts]


def left(case: Case, *wanted: str) -> str:
    """What a reduction leaves of a case as long as these words stand in what it executes."""

    def question(candidate: Case) -> str:
        executed = " ".join(interpret(candidate, False).executed)
        return "" if all(word in executed for word in wanted) else "lack a word"

    done = finished(reduce_case(case, one_by_one(question), ask, meter()))
    assert not verify(done.case.module)
    return print_module(done.case.module)


def test_a_loop_that_must_stay_hands_nothing_around() -> None:
    text = left(case_of(LOOP, (5, 0)), "brif")
    assert not re.search(r"block1\(", text), text


def test_a_table_that_must_stay_has_no_entry() -> None:
    assert "[]" in left(case_of(TABLE, (0,)), "br_table")


def test_what_a_callee_does_and_its_caller_does_come_together() -> None:
    text = left(case_of(CALLS, (3, 1)), "imul", "iadd")
    assert text.count("function") == 1 and "call" not in text, text


EXTERNAL = """
function %f(i64, f64, i16, i32) -> i32 system_v {
    fn0 = %g(i16, i32, f64, i64) -> i32 sext, i32, i8, f64 system_v
block0(v0: i64, v1: f64, v2: i16, v3: i32):
    v4, v5, v6, v7 = call fn0(v2, v3, v1, v0)
    v8 = ineg v5
    return v8
}
"""


def test_a_function_that_is_only_called_loses_what_does_not_matter() -> None:
    case = case_of(EXTERNAL, (1, 2, 3, 4))
    for one in (*made_by(callee_params, case), *made_by(callee_returns, case)):
        assert not verify(one.module) and is_coherent(one)
    done = finished(
        reduce_case(case, one_by_one(lambda one: "" if {"call", "ineg"} <= set(ops(one)) else "no"), ask, meter())
    )
    assert "fn0()" in print_module(done.case.module)


def test_all_results_of_a_call_may_come_from_outside() -> None:
    case = case_of(EXTERNAL, (1, 2, 3, 4))
    done = finished(reduce_case(case, one_by_one(lambda one: "" if "ineg" in ops(one) else "no"), ask, meter()))
    assert ops(done.case) == ["ineg", "return"]


def test_a_callee_that_becomes_the_entry_leaves_its_caller_behind() -> None:
    found = made_by(enter_callee, case_of(CALLS, (3, 1)), ask)
    assert [[function.name for function in one.module.functions] for one in found] == [["%leaf", "%callee"]]
    assert found[0].entry == 1 and found[0].inputs == ((3, 1),)


DIAMOND = """
function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = isub v0, v1
    brif v2, block1(v2), block2(v1)
block1(v3: i64):
    v4 = imul v3, v3
    jump block3(v4)
block2(v5: i64):
    v6 = bnot v5
    jump block3(v6)
block3(v7: i64):
    v8 = ineg v7
    return v8
}
"""


def test_what_both_sides_of_a_branch_do_comes_into_one_block() -> None:
    found = [one for one in map(tidied, made_by(arms, case_of(DIAMOND, (5, 3)))) if not verify(one.module)]
    assert len(found) == 2 and all(interpret(one, False).outcomes[0].kind == "returned" for one in found)
    wanted = {"imul", "bnot"}
    done = finished(
        reduce_case(case_of(DIAMOND, (5, 3)), one_by_one(lambda c: "" if wanted <= {*ops(c)} else "no"), ask, meter())
    )
    assert len(done.case.module.functions[0].blocks) == 1 and sorted(ops(done.case)) == ["bnot", "imul", "return"]
