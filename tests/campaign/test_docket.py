"""Which findings stand for which: by the order of their cases alone; and slices of reductions keep to their share."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.dockets import ADD, MIXED, SHIFT, Desk, panic, small, wrong

from liftcheck.campaign.execute import slices
from liftcheck.campaign.execute.slices import SHARE, SLICE, TRIES, WINDOW, Slices
from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.docket import MANY_WAIT, NO_TIME, Entry, twin
from liftcheck.campaign.findings.finding import fold_key, opcodes
from liftcheck.oracles import compare


def outcome(order: Sequence[int], batch: int, eager: int) -> list[tuple[int | None, int, bool]]:
    """What a strict docket makes of cases 0…39 whose batches end in `order`, if reductions run `eager` at a time."""
    desk = Desk(None, True, eager, n3=(SHIFT,))
    done: set[int] = set()
    for number in order:
        for case_number in range(number * batch, (number + 1) * batch):
            if case_number % 3 == 0:
                desk.docket.arrived(wrong(case_number, (*MIXED, *SHIFT) if case_number % 2 else MIXED), 0.0)
            elif case_number % 7 == 0:
                desk.docket.arrived(panic(case_number), 0.0)
            elif case_number % 11 == 0:
                desk.docket.arrived(wrong(case_number, klass=compare.ENDLESS), 0.0)
        done.add(number)
        desk.docket.complete(next(n for n in range(len(order) + 1) if n not in done) * batch)
        if eager > 1:
            desk.work(dear=False)
    desk.docket.finish()
    desk.work()
    desk.docket.close()
    assert not desk.docket.waiting
    return desk.state()


def test_findings_do_not_depend_on_the_order_in_which_batches_end() -> None:
    wanted = outcome(range(10), 4, 1)
    assert len(wanted) >= 4
    draw = random.Random(5)
    for _ in range(40):
        order = list(range(10))
        draw.shuffle(order)
        assert outcome(order, 4, draw.choice((1, 2, 3))) == wanted


@pytest.mark.parametrize("strict", [False, True])
def test_an_equal_failure_folds_and_the_lowest_case_stands_for_all(strict: bool, tmp_path: Path) -> None:
    desk = Desk(tmp_path, strict)
    for number in (50, 40, 60):
        desk.docket.arrived(panic(number), 1.0)
    assert [(n, c) for n, c, _ in desk.state()] == [(40, 3)]
    desk.docket.close()
    (folder,) = tmp_path.iterdir()
    assert folder.name.endswith("-40") and store.load(folder).count == 3


def test_what_looks_like_a_known_one_is_reduced_now_and_then() -> None:
    desk = Desk(None, True)
    for number in range(17):
        desk.docket.arrived(wrong(number), 0.0)
    desk.docket.finish()
    desk.work()
    assert desk.begun == [0, 1, 2, 4, 8, 16]
    assert desk.state() == [(0, 17, True)]


def test_a_new_fault_that_looks_like_a_known_one_is_found_when_it_comes_again() -> None:
    desk = Desk(None, True, n2=(SHIFT,))
    for number in range(3):
        desk.docket.arrived(wrong(number, (*MIXED, *SHIFT)), 0.0)
    desk.docket.finish()
    desk.work()
    assert desk.state() == [(0, 2, True), (2, 1, True)]


@pytest.mark.parametrize("strict", [True, False])
def test_damage_of_the_same_registers_looks_alike_whatever_the_program(strict: bool) -> None:
    """Registers are its key, so not every program is made small; damage of others is."""
    desk = Desk(None, strict=strict, n0=(SHIFT,))
    for number, ops in enumerate([MIXED, SHIFT, ("bor",), MIXED, SHIFT, ("band",), MIXED, ("bor",)]):
        registers = ("fs1", "s2") if ops == ("band",) else ("fs1",)
        found = dataclasses.replace(wrong(number, ops, compare.ABI_DAMAGE), damaged=registers)
        desk.docket.arrived(found, 0.0)
        desk.docket.complete(number + 1)
        desk.work()
    desk.docket.finish()
    desk.work()
    assert desk.begun == [0, 1, 2, 4, 5]
    assert sorted((one.damaged, one.count) for one in desk.docket.known.values()) == [(("fs1",), 7), (("fs1", "s2"), 1)]


def test_a_finding_is_on_disk_before_it_is_reduced_and_says_so_if_it_never_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, False)
    desk.docket.arrived(wrong(4), 0.0)
    (folder,) = tmp_path.iterdir()
    assert store.load(folder).note == ""
    desk.docket.close()
    assert store.load(folder).note == NO_TIME
    assert NO_TIME in (folder / "README.md").read_text()


def test_a_reduction_that_is_done_before_its_turn_is_not_lost_at_the_end() -> None:
    desk = Desk(None, True, 2)
    for number, ops in ((1, MIXED), (2, SHIFT)):
        desk.docket.arrived(wrong(number, ops), 0.0)
    desk.docket.finish()
    first, second = desk.docket.next(True, 2), None
    assert first is not None
    first.busy = True
    second = desk.docket.next(True, 2)
    assert second is not None and second is not first
    desk.docket.reduced(second, [small(second.finding, ("rotl",))])
    desk.docket.close()
    assert desk.state() == [(1, 1, False), (2, 1, True)]


def test_what_takes_long_is_left_to_the_end() -> None:
    desk = Desk(None, False)
    desk.docket.arrived(wrong(1, klass=compare.ENDLESS), 0.0)
    desk.docket.arrived(wrong(2), 0.0)
    desk.work(dear=False)
    assert desk.begun == [2]
    desk.work(dear=True)
    assert desk.begun == [2, 1]


def test_suspects_need_no_vote_where_they_look_like_a_known_finding() -> None:
    desk = Desk(None, False)
    desk.docket.arrived(wrong(1), 0.0)
    assert desk.docket.familiar.likes == ()
    desk.work()
    (like,) = desk.docket.familiar.likes
    present = opcodes(wrong(2).case)
    assert twin([like], compare.WRONG_MEMORY, "riscv64", present) == like
    assert twin([like], compare.WRONG_TRAP, "riscv64", present) is None
    assert twin([like], compare.WRONG_RESULT, "s390x", present) is None
    assert twin([like], compare.WRONG_RESULT, "riscv64", opcodes(wrong(2, SHIFT).case)) is None
    desk.docket.alike(like.key, 3)
    assert desk.state() == [(1, 4, True)]
    for number in range(2, 2 + MANY_WAIT):
        desk.docket.arrived(wrong(number, klass=compare.ENDLESS), 0.0)
    assert twin(desk.docket.familiar.likes, compare.ENDLESS, "riscv64", frozenset()) is not None


@pytest.mark.parametrize("strict", [False, True])
def test_failures_of_the_compiler_are_known_by_their_earliest_case(strict: bool) -> None:
    desk = Desk(None, strict)
    for number in (50, 40, 60):
        desk.docket.arrived(panic(number), 1.0)
    ((key, number),) = desk.docket.familiar.failures.items()
    assert (key, number) == (fold_key(panic(1)), 40)
    desk.docket.alike(key, 2)
    assert [(n, c) for n, c, _ in desk.state()] == [(40, 5)]


def test_every_vote_counts_where_findings_may_not_depend_on_time() -> None:
    desk = Desk(None, True)
    desk.docket.arrived(wrong(1), 0.0)
    desk.docket.finish()
    desk.work()
    assert desk.state() == [(1, 1, True)]
    assert desk.docket.familiar.likes == ()


def test_what_looks_like_nothing_known_comes_first() -> None:
    desk = Desk(None, False)
    desk.docket.arrived(wrong(1), 0.0)
    desk.work()
    for number, ops in ((2, MIXED), (3, SHIFT)):
        desk.docket.arrived(wrong(number, ops), 0.0)
    desk.work()
    assert desk.begun == [1, 3, 2]


def test_what_a_reduction_leaves_over_is_a_finding_of_its_own() -> None:
    desk = Desk(None, True, n5=(ADD, SHIFT), n6=(("bxor",),))
    desk.docket.arrived(wrong(5), 0.0)
    desk.docket.arrived(wrong(6, ("bxor",)), 0.0)
    desk.docket.finish()
    desk.work()
    assert len(desk.docket.known) == 3
    assert not desk.docket.waiting


# slices


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(slices.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("step", [0.05, 0.3, 1.2])
def test_reductions_keep_to_their_share_in_every_window(clock: list[float], jobs: int, step: float) -> None:
    """Workers that do nothing but ask: slices overrun by their longest step."""
    shared = Slices(jobs, 1e9)
    spent: list[tuple[float, float]] = []
    entries = [Entry(wrong(n), (0, n), frozenset(), told=True) for n in range(jobs)]
    for tick in range(4000):
        clock[0] = 100.0 + tick * 0.01
        for seat in range(jobs):
            task, _ = shared.task(seat, True, True, lambda: entries.pop() if entries else None)
            if task is not None and task.kind == "reduce":
                used = max(step, SLICE)
                spent.append((clock[0], used))
                shared.answered(task.ident, used, step, True)
    assert spent
    for moment, _ in spent:
        window = sum(seconds for at, seconds in spent if moment - WINDOW < at <= moment)
        assert window <= max(SHARE * WINDOW * jobs, step) + 1e-9
    assert sum(seconds for _, seconds in spent) > 0.4 * SHARE * 40.0 * jobs or step > 1.0


def test_slices_have_no_bounds_when_no_programs_are_wanted(clock: list[float]) -> None:
    shared = Slices(1, 1e9)
    entry = Entry(wrong(1), (0, 1), frozenset(), told=True)
    waiting = [entry]
    for _ in range(50):
        task, _ = shared.task(0, True, False, lambda: waiting.pop() if waiting else None)
        assert task is not None
        shared.answered(task.ident, 1.0, 0.1, True)


def test_only_an_idle_worker_begins_and_a_dead_one_s_begins_anew(clock: list[float]) -> None:
    shared = Slices(2, 1e9)
    entry = Entry(wrong(1), (0, 1), frozenset(), told=True)
    assert shared.task(0, False, True, lambda: entry) == (None, True)
    task, _ = shared.task(0, True, True, lambda: entry)
    assert task is not None and task.finding is entry.finding
    for seat in range(1, TRIES):
        assert shared.died(seat - 1, task.ident) is None
        again, _ = shared.task(seat, True, True, lambda: None)
        assert again is not None and again.finding is entry.finding and again.ident == task.ident
    assert shared.died(seat, task.ident) is entry
    assert not shared.running


def test_a_dropped_reduction_is_forgotten_where_it_lives(clock: list[float]) -> None:
    shared = Slices(1, 1e9)
    entry = Entry(wrong(1), (0, 1), frozenset(), told=True)
    task, _ = shared.task(0, True, True, lambda: entry)
    assert task is not None
    shared.dropped(entry)
    assert shared.answered(task.ident, 0.1, 0.1, False) is None
    forget, _ = shared.task(0, True, True, lambda: None)
    assert forget is not None and (forget.kind, forget.ident) == ("forget", task.ident)


# filetests


def test_a_finding_s_filetest_comes_before_its_reduction(clock: list[float]) -> None:
    shared = Slices(1, 1e9)
    entry = Entry(wrong(1), (0, 1), frozenset())
    task, _ = shared.task(0, True, True, lambda: entry)
    assert task is not None and (task.kind, task.finding) == ("state", entry.finding)
    assert shared.answered(task.ident, 0.1, 0.1, False) is entry
    entry.told = True
    task, _ = shared.task(0, True, True, lambda: entry)
    assert task is not None and (task.kind, task.finding) == ("reduce", entry.finding)


def test_filetests_keep_to_the_share_of_reductions(clock: list[float]) -> None:
    shared, entry, spent = Slices(1, 1e9), Entry(wrong(1), (0, 1), frozenset()), 0.0
    for tick in range(999):
        clock[0] = 100.0 + tick * 0.01
        task, _ = shared.task(0, True, True, lambda: entry)
        if task is not None:
            shared.answered(task.ident, 0.25, 0.25, False)
            spent += 0.25
    assert 0 < spent <= SHARE * WINDOW


def test_a_filetest_that_kills_its_workers_is_given_up(clock: list[float]) -> None:
    shared, entry = Slices(1, 1e9), Entry(wrong(1), (0, 1), frozenset())
    task = shared.statement(0, entry)
    for _ in range(TRIES - 1):
        assert shared.died(0, task.ident) is None
        again, _ = shared.task(0, True, False, lambda: None)
        assert again is not None and (again.kind, again.finding) == ("state", entry.finding)
    assert shared.died(0, task.ident) is entry


def test_a_filetest_is_on_disk_as_soon_as_it_is_made(tmp_path: Path) -> None:
    desk = Desk(tmp_path, False)
    desk.docket.arrived(wrong(1), 0.0)
    entry = desk.docket.untold()
    assert entry is not None and "not a filetest" in (next(tmp_path.iterdir()) / "program.clif").read_text()
    desk.docket.stated(entry, [dataclasses.replace(entry.finding, program="test run\n", unsaid="a reservation")])
    assert (next(tmp_path.iterdir()) / "program.clif").read_text() == "test run\n"
    assert desk.docket.untold() is None and entry.finding.unsaid == "a reservation"
    desk.docket.close()
    assert (next(tmp_path.iterdir()) / "program.clif").read_text() == "test run\n"


def test_a_filetest_that_could_not_be_made_is_not_tried_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, False)
    desk.docket.arrived(wrong(1), 0.0)
    entry = desk.docket.untold()
    assert entry is not None
    desk.docket.stated(entry, [])
    assert desk.docket.untold() is None and entry in desk.docket.waiting


PAGE = "docs/findings/some-fault.md"


def tell(desk: Desk, number: int, fault: str) -> None:
    """The filetest of a case's finding is made, and shows this known fault."""
    entry = next(entry for entry in desk.docket.waiting if entry.finding.number == number)
    desk.docket.stated(entry, [dataclasses.replace(entry.finding, program="test run\n", fault=fault)])


def test_a_known_fault_has_one_folder_from_the_moment_it_is_proven(tmp_path: Path) -> None:
    desk = Desk(tmp_path, False)
    for number, ops in ((1, MIXED), (2, SHIFT), (3, ("rotr",))):
        desk.docket.arrived(wrong(number, ops), 0.0)
    before = {path.name for path in tmp_path.iterdir()}
    tell(desk, 1, PAGE)
    assert {path.name for path in tmp_path.iterdir()} == before
    tell(desk, 2, PAGE)
    tell(desk, 3, "")
    assert desk.state() == [(1, 2, False), (3, 1, False)]
    desk.docket.close()
    loaded = {finding.number: finding for finding in map(store.load, tmp_path.iterdir())}
    assert {number: (one.count, one.fault) for number, one in loaded.items()} == {1: (2, PAGE), 3: (1, "")}
    assert PAGE in next(tmp_path.glob("*-1/README.md")).read_text()


def test_what_a_reduction_shows_to_be_a_known_fault_is_folded_into_it() -> None:
    desk = Desk(None, False)
    desk.docket.arrived(wrong(1), 0.0)
    tell(desk, 1, PAGE)
    desk.docket.arrived(wrong(2, SHIFT), 0.0)
    entry = next(entry for entry in desk.docket.waiting if entry.finding.number == 2)
    desk.docket.reduced(entry, [dataclasses.replace(small(entry.finding), fault=PAGE)])
    ((number, count, reduced),) = desk.state()
    assert (count, reduced) == (2, True), number


def test_a_failure_of_the_compiler_is_known_by_its_own_key_too() -> None:
    desk = Desk(None, False)
    for number, reason in ((1, "this"), (2, "that")):
        desk.docket.arrived(panic(number, reason), 0.0)
        tell(desk, number, PAGE)
    keys = [fold_key(panic(1, reason)) for reason in ("this", "that")]
    assert all(desk.docket.familiar.failures[key] == 1 for key in keys)
    desk.docket.alike(keys[1], 3)
    desk.docket.arrived(panic(5, "that"), 0.0)  # a sample, for which there is no time
    desk.docket.close()
    assert desk.state() == [(1, 6, False)]


@pytest.mark.parametrize("eager", [1, 2, 3])
def test_in_a_strict_order_the_lowest_case_stands_for_a_known_fault(eager: int) -> None:
    """However early it was told of which."""
    desk = Desk(None, True, eager)
    for number, ops in ((4, MIXED), (1, SHIFT), (2, ("rotr",))):
        desk.docket.arrived(wrong(number, ops), 0.0)
    for number in (4, 2, 1):
        tell(desk, number, "" if number == 2 else PAGE)
    desk.docket.finish()
    while (entry := desk.docket.next(True, eager)) is not None:
        entry.busy = True
        desk.docket.reduced(entry, [entry.finding])
    assert desk.state() == [(1, 2, False), (2, 1, False)]
