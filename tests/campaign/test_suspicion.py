"""What frequent wrong programs have in common: found by counting, not by chance; and what is made of it."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.dockets import Desk, panic, wrong
from support.toy_campaign import COMPILER, options

from liftcheck.campaign.execute.slices import LATER, LEARNING, MANY, SHARE
from liftcheck.campaign.findings import docket as dockets
from liftcheck.campaign.findings.docket import Docket
from liftcheck.campaign.findings.finding import Finding, fold_key, held
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.findings.suspicion import (
    ENOUGH,
    SAMPLED,
    Trigger,
    count_held,
    count_wrong,
    is_sampled,
    triggers,
)
from liftcheck.campaign.keep.journal import Event, replay
from liftcheck.campaign.keep.plain import plain
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.plan import SCHEDULED, is_directed
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.campaign.run import share
from liftcheck.campaign.steering import EPOCH, Steering
from liftcheck.case import Case, CompileFailure
from liftcheck.clif.text.parser import parse_module
from liftcheck.generators.tables import Context
from liftcheck.oracles import compare
from liftcheck.oracles.classes import class_of
from liftcheck.oracles.tally import Tally

KEYS = [f"op{number}.i64" for number in range(60)]
KIND = "wrong value"


def world(faults: dict[str, float], programs: int = 4000, seed: int = 1, common: float = 0.3) -> Tally:
    """Programs that hold keys at random, op0 seldom and what has a higher number more often, and go wrong with a chance
    that a key gives; a few go wrong for nothing. `op1` stands where `op0` does, and elsewhere as often."""
    draw, tally = random.Random(seed), Tally()
    for number in range(programs):
        keys = {key for place, key in enumerate(KEYS) if draw.random() < 0.04 + common * place / len(KEYS)}
        keys |= {KEYS[1]} if KEYS[0] in keys else set()
        if is_sampled(number // 32):
            tally.held.update(("riscv64", key) for key in ("", *keys))
        if draw.random() < 0.002 or any(draw.random() < chance for key, chance in faults.items() if key in keys):
            tally.suspects["riscv64", KIND, " ".join(sorted(keys))] += 1
    return tally


def keys_of(tally: Tally) -> set[str]:
    return {one.key for one in triggers(tally.held, tally.suspects)}


@pytest.mark.parametrize("seed", range(6))
def test_a_frequent_fault_shows_and_nothing_beside_it(seed: int) -> None:
    assert keys_of(world({KEYS[0]: 0.5}, seed=seed)) == {KEYS[0]}
    assert keys_of(world({KEYS[0]: 0.5, KEYS[5]: 0.4, KEYS[9]: 0.3}, seed=seed)) == {KEYS[0], KEYS[5], KEYS[9]}


@pytest.mark.parametrize("seed", range(6))
def test_faults_that_hang_on_no_typing_have_no_trigger(seed: int) -> None:
    tally = world({}, seed=seed)
    draw = random.Random(seed)
    for _ in range(60):
        keys = [key for place, key in enumerate(KEYS) if draw.random() < 0.04 + 0.3 * place / len(KEYS)]
        tally.suspects["riscv64", KIND, " ".join(keys)] += 1
    assert keys_of(tally) == set()


def test_few_are_no_trigger() -> None:
    tally = Tally(held=Counter({("riscv64", ""): 500, ("riscv64", "a"): 1, ("riscv64", "b"): 90}))
    tally.suspects["riscv64", KIND, "a b"] = ENOUGH - 1
    assert not triggers(tally.held, tally.suspects)
    tally.suspects["riscv64", KIND, "a b"] = ENOUGH
    assert [one.key for one in triggers(tally.held, tally.suspects)] == ["a"]
    assert not triggers(Counter(), Counter())


def test_isas_and_kinds_are_apart() -> None:
    tally = world({KEYS[0]: 0.5})
    tally.suspects.update(
        {("s390x", "wrong trap", keys): count for (_, _, keys), count in list(tally.suspects.items())}
    )
    assert {(one.isa, one.kind) for one in triggers(tally.held, tally.suspects)} >= {("riscv64", KIND)}
    assert all(one.isa == "riscv64" for one in triggers(tally.held, tally.suspects) if one.kind == KIND)


def test_what_is_counted() -> None:
    text = "function %f(i64) -> i64 fast {\nblock0(v0: i64):\n v1 = iadd v0, v0\n v2 = iadd v1, v0\n return v2\n}\n"
    case, tally = Case(parse_module(text), 0, ((1,),), tags={"isas": ("s390x",)}), Tally()
    count_held([case], ("s390x", "riscv64"), tally)
    assert tally.held == {("s390x", ""): 1, ("s390x", "iadd.i64"): 1, ("s390x", "call_conv=fast"): 1}
    failure = CompileFailure("panic", "it broke", "it broke 7", "lib.rs:1")
    count_wrong(case, {"s390x"}, class_of(compare.WRONG_MEMORY), None, tally)
    count_wrong(case, {"s390x"}, class_of(compare.COMPILER_PANIC), failure, tally)
    assert tally.suspects == {
        ("s390x", KIND, "call_conv=fast iadd.i64"): 1,
        ("s390x", "compiler panic: it broke", "call_conv=fast iadd.i64"): 1,
    }
    assert 0 < sum(map(is_sampled, range(SAMPLED * 8))) == 8
    assert not any(is_sampled(number) and is_directed(number) for number in range(6000))


# steering


def test_programs_steer_by_what_the_epochs_before_the_last_showed() -> None:
    steering = Steering()
    steering.answered(0, world({KEYS[0]: 0.5}))
    assert [one.key for one in steering.triggers] == [KEYS[0]]
    assert steering.avoided(EPOCH) == ()
    assert steering.avoided(2 * EPOCH) == (("riscv64", KEYS[0]),)
    parts = Steering()
    for batch in (5, 3):
        parts.answered(batch, world({KEYS[0]: 0.5}, 2000, batch))
    whole = Steering()
    both = world({KEYS[0]: 0.5}, 2000, 3)
    both.add(world({KEYS[0]: 0.5}, 2000, 5))
    whole.answered(0, both)  # as a folder keeps it
    assert parts.avoided(2 * EPOCH) == whole.avoided(2 * EPOCH) == (("riscv64", KEYS[0]),)


def test_a_context_without_a_typing_of_one_isa_has_it_for_the_others() -> None:
    every = {isa: {"iadd.i64", "iconst.i64", "imul.i64"} for isa in ("riscv64", "s390x")}
    context = Context(("riscv64", "s390x"), every)
    less = context.without([("s390x", "imul.i64"), ("s390x", "call_conv=fast")])
    assert less.keys()["imul.i64"] == ("riscv64",) and less.keys()["iadd.i64"] == ("riscv64", "s390x")
    assert context.keys()["imul.i64"] == ("riscv64", "s390x")
    assert "fast" in context.conventions["s390x"] and "fast" not in less.conventions["s390x"]


@pytest.mark.needs_compiler
def test_most_programs_steer_around_and_the_rest_are_as_ever() -> None:
    planner = Planner(FuzzOptions(isas=("riscv64", "s390x"), seed=7))
    avoided = (("s390x", "bswap.i64"), ("s390x", "atomic_rmw.i16"), ("s390x", "popcnt.i64"), ("s390x", "iabs.i64"))
    gone = {key for _, key in avoided}
    seen: Counter[tuple[bool, bool]] = Counter()
    try:
        for number in range(12):
            usual, around = planner.plan(number), planner.plan(number, avoided=avoided)
            for old, new in zip(usual.generate(None, []), around.generate(None, [])):
                place = int(str(new.tags["number"]))
                is_due = place % SCHEDULED == SCHEDULED - 1
                isas = new.tags["isas"]
                assert isinstance(isas, tuple)
                if is_due:
                    assert old.module == new.module
                elif not around.directed:
                    seen[bool(gone & held(new)), "s390x" in isas] += 1
    finally:
        planner.open_compiler().close()
        planner.runners.close()
    assert not seen[True, True] and seen[True, False] and seen[False, True]


# the docket


HOT = (Trigger("riscv64", KIND, "imul.i64", 9, 20),)


def test_one_stands_for_all_that_hold_a_trigger_before_it_is_reduced(tmp_path: Path) -> None:
    desk = Desk(tmp_path, False)
    for number in range(1, 6):
        desk.docket.arrived(wrong(number), 0.0)
    assert len(desk.docket.known) == 5
    desk.docket.aim(HOT)
    assert desk.docket.unexplained <= 1 + 1
    assert {like.opcodes for like in desk.docket.familiar.likes} == {frozenset({"imul.i64"})}
    first = next(iter(desk.docket.familiar.likes)).key
    assert desk.docket.alike(first, 3)
    desk.work()
    assert desk.docket.alike(first, 2)  # on its way when the finding got another key
    desk.docket.close()
    assert sum(one.count for one in desk.docket.known.values()) == 5 + 3 + 2
    assert len(desk.docket.known) == len(list(tmp_path.glob("*/finding.json"))) < 5


def test_the_order_of_a_campaign_by_cases_does_not_hang_on_triggers() -> None:
    desk = Desk(None, True)
    desk.docket.aim(HOT)
    for number in range(1, 6):
        desk.docket.arrived(wrong(number), 0.0)
    assert len(desk.docket.known) == 5 and not desk.docket.familiar.likes


def test_a_docket_that_hears_its_journal_is_the_docket_that_was() -> None:
    def one() -> Docket:
        return Docket(Store(None), False, lambda *_: None, lambda _: None)

    first, second, events = one(), one(), []
    for number in range(1, 9):
        first.arrived(wrong(number), 0.0)
        events.append(Event(0, "found", plain(wrong(number))))
        if number == 4:
            first.aim(HOT)
            events.append(Event(0, "triggers", plain(HOT)))
    replay(second, events, 9)
    assert {key: one.count for key, one in first.known.items()} == {k: one.count for k, one in second.known.items()}
    assert second.triggers == HOT


@pytest.mark.parametrize(
    ("elapsed", "waiting", "strict", "wanted"),
    [
        (10, 0, False, SHARE),
        (10, MANY + 1, False, SHARE),
        (30, MANY + 1, False, LEARNING),
        (1000, MANY + 1, False, LATER),
        (10, MANY + 1, True, SHARE),
    ],
)
def test_reductions_get_more_while_much_is_to_be_learned_and_little_later(
    elapsed: float, waiting: int, strict: bool, wanted: float
) -> None:
    docket = Docket(Store(None), strict, lambda *_: None, lambda _: None)
    for number in range(waiting):
        docket.arrived(wrong(number + 1), 0.0)
    assert share(elapsed, docket) == wanted


def test_the_report_says_what_the_time_went_to_and_what_is_steered_around() -> None:
    report = FuzzReport(options(None), Store(None), COMPILER, world({KEYS[0]: 0.5}))
    report.tally.seconds = {"run": 6.0, "compile": 2.0, "confirm": 1.0, "reduce": 1.0}
    document: dict[str, Any] = report.document()
    assert document["activity"] == {"judging": 0.8, "votes": 0.1, "reduction": 0.1}
    assert [one["key"] for one in document["steered"]] == [KEYS[0]]
    assert dockets.is_sample(4) and dockets.is_sample(9, 3) and not dockets.is_sample(7, 4)


def of_page(finding: Finding, page: str) -> Finding:
    made = dataclasses.replace(finding, reduced=True, fault=f"docs/findings/{page}.md" if page else "")
    return dataclasses.replace(made, key=fold_key(made))


@pytest.mark.parametrize("hidden", ["", "another"])
def test_another_fault_with_the_words_and_place_of_a_known_one_comes_out(tmp_path: Path, hidden: str) -> None:
    """Panics of many faults read alike: a sample of what looks like a known one is reduced, and what that shows
    counts."""
    docket = Docket(Store(tmp_path), False, lambda *_: None, lambda _: None)
    done = 0
    for number in range(1, 20):
        docket.arrived(panic(number), 0.0)
        while (entry := docket.next(True, 1)) is not None:
            entry.busy, done = True, done + 1
            docket.reduced(entry, [of_page(entry.finding, hidden if entry.finding.number == 9 else "a")])
    docket.close()
    counts = {one.fault: one.count for one in docket.known.values()}
    assert counts == {"docs/findings/a.md": 18, f"docs/findings/{hidden}.md" if hidden else "": 1}
    assert done == 6  # the first, and of the others the 1st, 2nd, 4th, 8th, 16th
    assert len(list(tmp_path.glob("*/finding.json"))) == 2


def test_a_sample_that_was_not_reduced_in_time_is_no_new_finding() -> None:
    docket = Docket(Store(None), False, lambda *_: None, lambda _: None)
    docket.arrived(panic(1), 0.0)
    entry = docket.next(True, 1)
    assert entry is not None
    docket.reduced(entry, [of_page(entry.finding, "a")])
    docket.arrived(panic(2), 0.0)
    docket.arrived(panic(3), 0.0)
    sample = docket.next(True, 1)
    assert sample is not None and len(docket.known) == 3
    docket.reduced(sample, [])
    docket.close()
    assert [one.count for one in docket.known.values()] == [3]


def test_what_most_programs_hold_is_no_trigger_though_all_wrong_ones_hold_it() -> None:
    tally = Tally(held=Counter({("s390x", ""): 430, ("s390x", "iadd"): 390, ("s390x", "a"): 6, ("s390x", "b"): 8}))
    for keys in ("a iadd", "a iadd", "b iadd", "a b iadd"):
        tally.suspects["s390x", KIND, keys] += 30
    assert {one.key for one in triggers(tally.held, tally.suspects)} == {"a", "b"}


@pytest.mark.parametrize("seed", range(8))
def test_what_only_needs_large_programs_has_no_trigger(seed: int) -> None:
    """A fault of large programs, which hold four times as much of everything."""
    draw, tally = random.Random(seed), Tally()
    for _ in range(1500):
        is_large = draw.random() < 0.05
        more = 4 if is_large else 1
        keys = [key for place, key in enumerate(KEYS) if draw.random() < (0.05 + 0.1 * place / 60) * more]
        tally.held.update(("riscv64", key) for key in ("", *keys) if draw.random() < 1 / SAMPLED or not key)
        if is_large and draw.random() < 0.5:
            tally.suspects["riscv64", KIND, " ".join(keys)] += 1
    tally.held["riscv64", ""] //= SAMPLED
    assert tally.suspects.total() > 20 and keys_of(tally) == set()
