"""Generated programs of all profiles have the same outcomes in both tiers of the interpreter."""

from __future__ import annotations

import pytest

from liftcheck import layout
from liftcheck.clif.text.parser import parse_module
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.interp.run import prepare

PROGRAMS = 12


class Everything:
    """A matrix without gaps."""

    def __contains__(self, key: object) -> bool:
        return True


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("big_endian", [False, True])
def test_generated_programs(seed: int, big_endian: bool) -> None:
    isa = "s390x" if big_endian else "x86-64"
    context = Context((isa,), {isa: Everything()}, inputs=3)
    executed = 0
    for number in range(PROGRAMS):
        case = generate.generate(RandomChoices(1000 * seed + number), "all", context)
        tiers = [prepare(case.module, big_endian, hot_after) for hot_after in (None, 0)]
        for i, args in enumerate(case.inputs):
            regions = {layout.slot_address(case.slot + i): case.memories[i]} if case.memories else {}
            outcomes = [tier.run(case.entry, args, regions, 100_000) for tier in tiers]
            assert outcomes[0] == outcomes[1], f"seed {1000 * seed + number} input {i}"
            executed += tiers[0].stats.instructions
    assert executed > 30 * PROGRAMS


def test_a_label_behind_a_call_moves_its_arguments_once() -> None:
    """A branch that ends a label was taken twice, the first time with what the registers held before."""
    module = parse_module(
        """
function %g(i64) -> i64 system_v {
block0(v0: i64):
    return v0
}

function %f(i64, i64) -> i64 system_v {
    fn0 = %g(i64) -> i64 system_v
block0(v0: i64, v1: i64):
    jump block1(v0)
block1(v2: i64):
    v3 = call fn0(v1)
    v4 = iadd.i64 v2, v1
    v5 = iconst.i64 20
    v6 = icmp.i64 ugt v4, v5
    brif.i8 v6, block2, block1(v4)
block2:
    return v4
}
""",
        "test",
    )
    for hot_after in (None, 0):
        assert prepare(module, False, hot_after).run(1, [2, 7], {}, 1000).values == (23,)
