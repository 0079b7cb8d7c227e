"""Directed batches aim at what was hardly executed, and at the same whatever the workers do."""

from __future__ import annotations

from itertools import pairwise

from liftcheck.campaign.plan import DIRECTED, directed_before, is_directed
from liftcheck.campaign.steering import ENOUGH, EPOCH, Steering
from liftcheck.isle.sources import Rule
from liftcheck.oracles.tally import Tally

RULES = tuple(Rule("src/opts/a.isle", line, "simplify", 0, "mid-end", [], line, line) for line in range(1, 12))


def seen(*lines: int, times: int = ENOUGH) -> Tally:
    tally = Tally(traced=1)
    for line in lines:
        tally.fired["riscv64", f"src/opts/a.isle:{line}"] += times
    return tally


def aimed(steering: Steering, batch: int) -> list[int]:
    mask = steering.cold(batch)
    return [line for line in range(1, 12) if mask and mask[line - 1 >> 3] >> (line - 1 & 7) & 1]


def test_what_was_executed_is_aimed_at_no_more_an_epoch_later() -> None:
    steering = Steering(RULES)
    steering.answered(0, seen(1, 2, 9))
    steering.answered(1, seen(3, times=ENOUGH - 1))
    assert aimed(steering, EPOCH) == []
    assert aimed(steering, 2 * EPOCH) == [3, 4, 5, 6, 7, 8, 10, 11]
    steering.answered(EPOCH, seen(3, times=1))
    assert aimed(steering, 2 * EPOCH + 5) == [3, 4, 5, 6, 7, 8, 10, 11]
    assert aimed(steering, 3 * EPOCH) == [4, 5, 6, 7, 8, 10, 11]


def test_the_order_of_answers_decides_nothing() -> None:
    first, second = Steering(RULES), Steering(RULES)
    answers = [
        (0, seen(1)),
        (3, seen(2)),
        (EPOCH + 1, seen(4)),
        (EPOCH, seen(5, times=2)),
        (EPOCH + 2, seen(5, times=2)),
    ]
    for batch, tally in answers:
        first.answered(batch, tally)
    for batch, tally in reversed(answers):
        second.answered(batch, tally)
    assert [first.cold(epoch * EPOCH) for epoch in range(4)] == [second.cold(epoch * EPOCH) for epoch in range(4)]


def test_answers_that_come_early_do_not_count_early() -> None:
    steering = Steering(RULES)
    steering.answered(0, seen(1))
    steering.answered(EPOCH, seen(2))
    assert 2 in aimed(steering, 2 * EPOCH) and 2 not in aimed(steering, 3 * EPOCH)


def test_a_batch_waits_for_the_epochs_before_the_last() -> None:
    steering = Steering(RULES)
    assert steering.is_ready(EPOCH - 1, 0) and steering.is_ready(2 * EPOCH - 1, 0)
    assert not steering.is_ready(2 * EPOCH, EPOCH - 1)
    assert steering.is_ready(2 * EPOCH, EPOCH)


def test_without_rules_nothing_is_aimed_at() -> None:
    steering = Steering()
    steering.answered(0, seen(1))
    assert steering.cold(5 * EPOCH) == b"" and not steering.avoided(5 * EPOCH)


def test_nothing_traced_or_nothing_cold_is_no_aim() -> None:
    assert Steering(RULES).cold(5 * EPOCH) == b""
    steering = Steering(RULES)
    steering.answered(0, seen(*range(1, 12)))
    assert steering.cold(2 * EPOCH) == b""


def test_places_that_are_no_published_rules_are_passed_over() -> None:
    steering = Steering(RULES)
    tally = seen(1)
    tally.fired["riscv64", "<OUT_DIR>/assembler.isle:19"] += 9
    steering.answered(0, tally)
    assert aimed(steering, 2 * EPOCH) == list(range(2, 12))


def test_directed_batches_become_fewer_and_each_has_a_turn_of_its_own() -> None:
    directed = [batch for batch in range(4096) if is_directed(batch)]
    assert [directed_before(batch) for batch in directed] == list(range(len(directed)))
    assert directed_before(0) == 0 and directed_before(4096) == len(directed)
    ends = (*(start for start, _ in DIRECTED[1:]), 4096)
    for (start, every), end in zip(DIRECTED, ends):
        own = [batch for batch in directed if start <= batch < end]
        assert len(own) == (end - start) // every
        assert {after - before for before, after in pairwise(own)} == {every}
    assert [every for _, every in DIRECTED] == sorted(every for _, every in DIRECTED)
