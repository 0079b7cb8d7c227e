"""Passes of the reducer that make callees' signatures smaller."""

from __future__ import annotations

import dataclasses

from liftcheck.campaign.reduce import passes
from liftcheck.campaign.reduce.answers import one_by_one
from liftcheck.campaign.reduce.callees import callee_params, callee_returns
from liftcheck.campaign.reduce.edit import is_coherent
from liftcheck.campaign.reduce.engine import Limits, Meter, finished, reduce_case
from liftcheck.case import Case
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.oracles.reference import interpret

PROGRAM = """
function %callee(i64, f64, i32x4, i64) -> i64, i8 system_v {
block0(v0: i64, v1: f64, v2: i32x4, v3: i64):
    v4 = imul v0, v3
    v5 = iconst.i8 3
    return v4, v5
}

function %entry(i64, f64, i32x4) -> i64, i8 system_v {
    fn0 = %callee(i64, f64, i32x4, i64) -> i64, i8 system_v
block0(v0: i64, v1: f64, v2: i32x4):
    v3, v4 = call fn0(v0, v1, v2, v0)
    v5 = iadd v3, v0
    return v5, v4
}
"""


def case_of(text: str = PROGRAM) -> Case:
    return Case(parse_module(text), 1, ((6, 0, 0),))


def test_every_candidate_is_well_formed() -> None:
    for one in (callee_params, callee_returns):
        site = 0
        while (made := one(case_of(), site, None)) is not None:
            for case in made:
                assert not verify(case.module), print_module(case.module)
            site += 1
        assert site >= 3


def test_a_dropped_parameter_is_zero_and_a_dropped_result_too() -> None:
    [without_all] = callee_params(case_of(), 0, None) or ()
    assert interpret(without_all, False).outcomes[0].values == (6, 3)
    [no_results] = callee_returns(case_of(), 0, None) or ()
    assert interpret(no_results, False).outcomes[0].values == (6, 0)


def test_a_reduction_leaves_the_parameter_that_matters() -> None:
    def question(case: Case) -> str:
        if (
            len(case.module.functions) < 2
            or case.entry != 1
            or not any(inst.op == "imul" for inst in case.module.functions[0].blocks[0].insts)
        ):
            return "are other"
        found = interpret(case, False)
        return "" if found.outcomes and 36 in found.outcomes[0].values else "are right"

    text = PROGRAM.replace("v5 = iadd v3, v0\n    return v5, v4", "return v3, v4")
    done = finished(reduce_case(case_of(text), one_by_one(question), lambda _: None, Meter(Limits(20.0))))
    callee = done.case.module.functions[0].signature
    assert len(callee.params) == 2 and len(callee.returns) == 1


def test_a_function_whose_address_is_taken_keeps_its_signature() -> None:
    text = PROGRAM.replace("v5 = iadd v3, v0", "v6 = func_addr.i64 fn0\n    v5 = iadd v3, v6")
    assert callee_params(case_of(text), 0, None) is None and callee_returns(case_of(text), 0, None) is None


RECURSIVE = """
function %f(i64, i64) -> i64 system_v {
    fn0 = colocated %f(i64, i64) -> i64 system_v
block0(v0: i64, v1: i64):
    brif v0, block1, block2
block1:
    v2 = iconst.i64 -1
    v3 = iadd v0, v2
    v4 = call fn0(v3, v1)
    jump block3(v4)
block2:
    jump block3(v1)
block3(v5: i64):
    v6 = iadd v5, v1
    return v6
}
"""


def test_candidates_of_a_recursive_entry_are_called_as_they_are_defined() -> None:
    asked: list[Case] = []

    def question(case: Case) -> str:
        asked.append(case)
        return (
            "" if any(inst.op == "brif" for block in case.module.functions[0].blocks for inst in block.insts) else "no"
        )

    start = Case(parse_module(RECURSIVE), 0, ((3, 5),))
    assert is_coherent(start)
    probe = lambda case: interpret(case, False).outcomes[0].values  # noqa: E731
    finished(reduce_case(start, one_by_one(question), probe, Meter(Limits(20.0))))
    assert len(asked) > 5 and all(map(is_coherent, asked))
    wrong = dataclasses.replace(start, inputs=((3,),))
    assert not is_coherent(wrong)


def test_a_parameter_of_a_recursive_entry_goes_on_both_sides() -> None:
    [made] = passes.params(Case(parse_module(RECURSIVE), 0, ((3, 5),)), 1, lambda _: None) or ()
    assert is_coherent(made) and not verify(made.module)
    assert interpret(made, False).outcomes[0].values == (25,)
