"""The schedule brings up every typing; conditions that a compiler lacks are not drawn; frozen memory stays as it
was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from support.generators import context, matrices
from support.scripts import load

from liftcheck.case import Case
from liftcheck.clif.ir import Inst
from liftcheck.clif.opcodes import OPCODES, key_of
from liftcheck.clif.types import I64
from liftcheck.clif.verify import verify
from liftcheck.errors import InternalError
from liftcheck.generators import schedule
from liftcheck.generators.body import Body
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.rows import Row
from liftcheck.generators.tables import Context
from liftcheck.interp.run import prepare
from liftcheck.isa import ISAS
from liftcheck.layout import SLOT_SIZE, slot_address

coverage = load("experiments/coverage")


@dataclass(frozen=True)
class Partly:
    """A matrix with some conditions of some keys."""

    has: frozenset[str]
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, key: object) -> bool:
        return key in self.has


def instructions(case: Case) -> Iterator[Inst]:
    for function in case.module.functions:
        for block in function.blocks:
            yield from block.insts


def on_rota() -> int:
    return sum(
        key.partition(".")[0] not in schedule.NOT_SCHEDULED and key in context().table(isas).by_key
        for key, isas in context().keys().items()
    )


def test_a_round_has_every_typing_once_for_all_isas_that_have_it() -> None:
    seen: Counter[str] = Counter()
    turn = 0
    while sum(seen.values()) < on_rota():
        isas, keys = schedule.goals(context(), turn)
        seen.update(keys)
        assert all(context().keys()[key] == isas for key in keys)
        turn += 1
    assert set(seen.values()) == {1}
    assert len(seen) > 1200


def test_a_duty_does_not_depend_on_those_asked_for_before() -> None:
    later = [schedule.goals(context(), turn) for turn in (900, 3, 450, 3)]
    fresh = [schedule.goals(Context(ISAS, matrices()), turn) for turn in (900, 3, 450, 3)]
    assert later == fresh and later[1] == later[3] != later[0]


def test_what_is_due_is_executed() -> None:
    """In the first run, whatever the program does in addition."""
    for turn in range(0, 260, 3):
        case = generate(RandomChoices(turn), "all", context(), turn=turn)
        assert verify(case.module) == []
        isas, keys = schedule.goals(context(), turn)
        assert case.tags["isas"] == isas
        prepared = prepare(case.module, False)
        prepared.run(case.entry, case.inputs[0], {slot_address(case.slot): case.memories[0]})
        assert set(keys) <= prepared.stats.executed.keys(), (turn, set(keys) - prepared.stats.executed.keys())


def test_what_is_not_on_the_schedule_has_a_reason() -> None:
    listed = {key for turn in range(400) for key in schedule.goals(context(), turn).keys}
    left = schedule.left_out(context())
    has = context().keys()
    named = {key for key in has if key.partition(".")[0] in schedule.NOT_SCHEDULED}
    assert has.keys() == listed | left.keys() | named
    poor = Context(("x86-64",), {"x86-64": frozenset({"iconst.i32", "iadd.i32", "fadd.f32", "debugtrap"})})
    assert schedule.left_out(poor) == {
        "debugtrap": "stops the process for a debugger",
        "fadd.f32": "the compiler makes no constant of an operand's type",
    }


@pytest.mark.parametrize("family", ["load", "store", "atomic", "div", "fconvert", "trap", "const"])
def test_a_goal_that_nothing_emits_is_an_error(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(schedule._EMITTERS, family)
    with pytest.raises(InternalError, match="on the schedule, and nothing emits it"):
        schedule.goals(Context(ISAS, matrices()), 0)


@pytest.mark.parametrize("family", ["load", "atomic", "div", "fconvert"])
def test_a_constant_in_the_place_of_a_goal_is_an_error(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def constant(body: Body, row: Row) -> None:
        body.const(row.results[0] if row.results else I64)

    monkeypatch.setitem(schedule._EMITTERS, family, constant)
    turn, key = next(
        (turn, key)
        for turn in range(400)
        for key in schedule.goals(context(), turn).keys
        if OPCODES[key.partition(".")[0]].family == family and not OPCODES[key.partition(".")[0]].is_plain
    )
    with pytest.raises(InternalError, match=f"{key.split('.')[0]}.* was due, and something else was emitted"):
        generate(RandomChoices(0), "all", context(), turn=turn)


def test_conditions_that_a_compiler_lacks_are_not_drawn() -> None:
    key, plain = "fcmp.f32x4", matrices()["x86-64"]
    parts = {key: ("ord", "eq", "lt", "ge"), "extractlane.i32x4": ("2",)}
    partly = Partly(plain - parts.keys(), parts)
    made = Context(("x86-64", "s390x"), {"x86-64": partly, "s390x": matrices()["s390x"]})
    seen: dict[str, set[object]] = {key: set() for key in parts}
    for seed in range(400):
        case = generate(RandomChoices(seed), "simd", made, turn=seed if seed & 1 else None)
        if case.tags["isas"] == ("s390x",):
            continue
        for function in case.module.functions:
            for inst in (inst for block in function.blocks for inst in block.insts):
                if key_of(inst, function.types) in seen:
                    seen[key_of(inst, function.types)].add(inst.imm)
    assert seen == {key: set(parts[key]), "extractlane.i32x4": {2}}


def test_what_is_read_as_readonly_is_never_written() -> None:
    programs = 0
    for seed in range(600):
        case = generate(RandomChoices(seed), "all", context())
        if not any(inst.flags.readonly for inst in instructions(case)):
            continue
        programs += 1
        for run, (args, memory) in enumerate(zip(case.inputs, case.memories)):
            outcome = prepare(case.module).run(case.entry, args, {slot_address(case.slot + run): memory})
            assert outcome.memory[SLOT_SIZE - 256 :] == memory[SLOT_SIZE - 256 :]
    assert programs > 10


def test_big_endian_accesses_are_for_big_endian_isas_alone() -> None:
    alone = Context(("s390x",), matrices())

    def big(where: Context) -> int:
        cases = (generate(RandomChoices(seed), "memory", where) for seed in range(150))
        mixed = (case for case in cases if where.isas == ("s390x",) or case.tags["isas"] != ("s390x",))
        return sum(inst.flags.endianness == "big" for case in mixed for inst in instructions(case))

    assert big(context()) == 0 < big(alone)


def test_the_coverage_check_names_what_is_too_seldom() -> None:
    keys = {"x86-64": {"iadd.i32", "isub.i32", "debugtrap"}}
    lines = coverage.report({"executed": {"x86-64": {"iadd.i32": 20, "isub.i32": 19}}}, keys, 20)
    assert lines == [
        "x86-64: 3 typings, 1 executed less than 20 times, left out for a reason: debugtrap",
        "    isub.i32 19",
    ]
