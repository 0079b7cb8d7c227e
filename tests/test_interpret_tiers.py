"""Generated programs of all profiles have the same outcomes in both tiers of the interpreter."""

from __future__ import annotations

import pytest

from liftcheck import layout
from liftcheck.clif.interpret import prepare
from liftcheck.generators import programs
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context

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
        case = programs.generate(RandomChoices(1000 * seed + number), "all", context)
        tiers = [prepare(case.module, big_endian, hot_after) for hot_after in (None, 0)]
        for i, args in enumerate(case.inputs):
            regions = {layout.slot_address(case.slot + i): case.memories[i]} if case.memories else {}
            outcomes = [tier.run(case.entry, args, regions, 100_000) for tier in tiers]
            assert outcomes[0] == outcomes[1], f"seed {1000 * seed + number} input {i}"
            executed += tiers[0].stats.instructions
    assert executed > 30 * PROGRAMS
