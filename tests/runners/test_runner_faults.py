"""Every runner: right results, and every way in which code can go wrong is named, row by row, neighbours unharmed."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import pytest
from support.runner_samples import RUNNERS, SAMPLES, SIGNATURE, one_of_each, opened, trampoline

from liftcheck import layout
from liftcheck.case import FunctionCode, Outcome
from liftcheck.errors import InternalError
from liftcheck.isa import ISAS, byte_order
from liftcheck.runners.link import link
from liftcheck.runners.pool import Job
from liftcheck.runners.process import KILLED, ProcessRunner

WANTED = {
    "illegal": ("crashed", "illegal"), "null": ("crashed", "memory fault at %f+0x0"), "endless": ("out_of_fuel", ""),
    "clobber": ("abi", "callee-saved"), "recursion": ("trapped", "stk_ovf"), "wild": ("crashed", "wild jump"),
    "stack": ("abi", ""),
}  # fmt: skip


def memory(isa: str, value: int) -> bytes:
    return value.to_bytes(8, byte_order(isa)).ljust(layout.SLOT_SIZE, b"\xa5")


def good_job(isa: str, entry: int, slot: int, rows: int = 1) -> Job:
    inputs = [(10 * k, 3, layout.slot_address(slot + k)) for k in range(rows)]
    return Job(trampoline(isa), entry, SIGNATURE, inputs, [memory(isa, 1000 + k) for k in range(rows)], slot)


def assert_good(isa: str, outcomes: list[Outcome]) -> None:
    for k, outcome in enumerate(outcomes):
        assert outcome[:2] == ("returned", (997 + 11 * k,))
        expected = bytearray(memory(isa, 1000 + k))
        expected[8:16] = (1000 + 11 * k).to_bytes(8, byte_order(isa))
        assert outcome.memory == expected


@pytest.mark.parametrize(("name", "isa"), one_of_each(RUNNERS))
def test_results_and_faults(name: str, isa: str) -> None:
    runner = opened(name, isa)
    programs = [[FunctionCode("%f", SAMPLES[isa].good)]]
    programs += [[FunctionCode("%f", code)] for code in SAMPLES[isa].faults.values()]
    image = link(programs, isa)
    jobs = [good_job(isa, image.entry(0, "%f"), 0, 4)]
    for number in range(1, len(programs)):
        jobs.append(good_job(isa, image.entry(number, "%f"), 2 + 2 * number))
        jobs.append(good_job(isa, image.entry(0, "%f"), 3 + 2 * number))
    for _ in range(2):
        outcomes = runner.run(image, jobs)
        assert_good(isa, outcomes[0])
        for number, fault in enumerate(SAMPLES[isa].faults):
            assert_good(isa, outcomes[2 + 2 * number])
            (outcome,) = outcomes[1 + 2 * number]
            assert outcome.kind == WANTED[fault][0], fault
            assert outcome.detail.startswith(WANTED[fault][1]), fault
    runner.close()


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_fault_in_the_trap_table_is_a_trap(name: str, isa: str) -> None:
    runner = opened(name, isa)
    traps = {"null": "heap_oob", "illegal": "user7"}
    programs = [[FunctionCode("%f", SAMPLES[isa].faults[fault], traps=((0, code),))] for fault, code in traps.items()]
    image = link(programs, isa)
    outcomes = runner.run(image, [good_job(isa, image.entry(k, "%f"), k) for k in range(2)])
    assert [(o.kind, o.detail) for (o,) in outcomes] == [("trapped", code) for code in traps.values()]
    assert outcomes[0][0].memory == memory(isa, 1000)
    runner.close()


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_guard_pages_and_read_only_code(name: str, isa: str) -> None:
    """`good` reads 8 bytes and writes the 8 after them."""
    runner = opened(name, isa)
    image = link([[FunctionCode("%f", SAMPLES[isa].good, traps=tuple((k, "heap_oob") for k in range(12)))]], isa)
    slot = layout.slot_address(5)
    places = {
        slot: "returned",
        slot + layout.SLOT_SIZE - 16: "returned",
        slot + layout.SLOT_SIZE - 15: "trapped",
        slot - 1: "trapped",
        slot + layout.SLOT_SIZE: "trapped",
        layout.CODE: "trapped",
        8: "trapped",
        slot & 0xFFFF_FFFF: "trapped",
        slot | 1 << 54: "trapped",
        layout.STACK - 64: "trapped",
    }
    job = Job(
        trampoline(isa),
        image.entry(0, "%f"),
        SIGNATURE,
        [(1, 2, place) for place in places],
        [bytes(layout.SLOT_SIZE)] * len(places),
        5,
    )
    outcomes = runner.run(image, [job])[0]
    assert {place: outcome.kind for place, outcome in zip(places, outcomes)} == places
    runner.close()


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_new_code_replaces_old(name: str, isa: str) -> None:
    runner = opened(name, isa)
    good, other = FunctionCode("%f", SAMPLES[isa].good), FunctionCode("%f", SAMPLES[isa].plus_42)
    for _ in range(20):
        first = link([[good]], isa)
        assert_good(isa, runner.run(first, [good_job(isa, first.entry(0, "%f"), 0)])[0])
        second = link([[other]], isa)
        assert runner.run(second, [good_job(isa, second.entry(0, "%f"), 0)])[0][0].values == (42,)
    runner.close()


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_many_trampolines(name: str, isa: str) -> None:
    """The area of trampolines starts anew when it is full."""
    runner = opened(name, isa)
    image = link([[FunctionCode("%f", SAMPLES[isa].good)]], isa)
    for number in range(14):
        large = FunctionCode("%t", SAMPLES[isa].trampoline + bytes([number]) * 0x7_0000)
        job = good_job(isa, image.entry(0, "%f"), 0)._replace(trampoline=large)
        assert_good(isa, runner.run(image, [job])[0])
    runner.close()


def test_wrong_use_is_an_internal_error() -> None:
    runner = opened("unicorn", "aarch64")
    image = link([[FunctionCode("%f", SAMPLES["aarch64"].good)]], "aarch64")
    with pytest.raises(InternalError, match="image for aarch64"):
        opened("unicorn", "s390x").run(image, [])
    with pytest.raises(InternalError, match="slots"):
        runner.run(image, [good_job("aarch64", image.entry(0, "%f"), layout.SLOTS)])


PROCESSES = [(name, isa) for name, isa in RUNNERS if name != "unicorn"]


@pytest.mark.parametrize(("name", "isa"), PROCESSES)
def test_killed_worker_is_replaced(name: str, isa: str) -> None:
    runner = opened(name, isa)
    assert isinstance(runner, ProcessRunner)
    image = link([[FunctionCode("%f", SAMPLES[isa].good)]], isa)
    job = good_job(isa, image.entry(0, "%f"), 0)
    assert_good(isa, runner.run(image, [job])[0])
    assert runner.pid is not None
    os.kill(runner.pid, 9)
    for _ in range(2):
        assert_good(isa, runner.run(image, [job])[0])
    assert runner.restarts == 1
    runner.close()


def used(pid: int | None) -> float:
    """The processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(("name", "isa"), one_of_each(PROCESSES))
@pytest.mark.parametrize(("times", "wanted"), [(1, "out_of_fuel"), (2, "crashed")])
def test_a_row_whose_process_is_killed_runs_once_more(
    monkeypatch: pytest.MonkeyPatch, name: str, isa: str, times: int, wanted: str
) -> None:
    """It does not end, so that it is met in its midst; its neighbours are unharmed."""
    runner = opened(name, isa)
    assert isinstance(runner, ProcessRunner)
    programs = [[FunctionCode("%f", code)] for code in (SAMPLES[isa].good, SAMPLES[isa].faults["endless"])]
    image = link(programs, isa)
    jobs = [good_job(isa, image.entry(number, "%f"), slot) for slot, number in enumerate((0, 1, 0))]
    assert_good(isa, runner.run(image, jobs[:1])[0])

    begun = [runner.pid]
    start = runner.start

    def start_and_note() -> None:
        start()
        begun.append(runner.pid)

    monkeypatch.setattr(runner, "start", start_and_note)

    def kill() -> None:
        """What runs the endless row: a process that has started, and has computed for a while since."""
        for number in range(times):
            while len(begun) <= number:
                time.sleep(0.01)
            before = used(begun[number])
            while used(begun[number]) < before + 0.1:
                time.sleep(0.01)
            os.kill(begun[number] or 0, 9)

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes = runner.run(image, jobs, seconds=0.5)
    killer.join()
    assert_good(isa, outcomes[0])
    assert_good(isa, outcomes[2])
    assert outcomes[1][0].kind == wanted
    if times > 1:
        assert outcomes[1][0].detail == KILLED
    assert runner.restarts == times
    runner.close()


def test_no_process_or_file_is_left() -> None:
    runner = opened("native", "x86-64")
    assert isinstance(runner, ProcessRunner)
    gc.collect()
    gc.freeze()  # the next ones look at what is new alone
    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        other = opened("native", "x86-64")
        image = link([[FunctionCode("%f", SAMPLES["x86-64"].good)]], "x86-64")
        other.run(image, [good_job("x86-64", image.entry(0, "%f"), 0)])
        assert isinstance(other, ProcessRunner)
        pid = other.pid
        del other
        gc.collect()
        assert not Path(f"/proc/{pid}").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == files


def test_worker_ends_with_its_pipe() -> None:
    """As it does when its parent is killed."""
    runner = opened("native", "x86-64")
    assert isinstance(runner, ProcessRunner)
    runner.start()
    worker = runner._worker
    assert worker is not None
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    deadline = time.monotonic() + 5
    while worker.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.process.returncode == 9


def test_interrupted_batch_does_not_answer_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = opened("native", "x86-64")
    assert isinstance(runner, ProcessRunner)
    image = link([[FunctionCode("%f", SAMPLES["x86-64"].good)]], "x86-64")
    job = good_job("x86-64", image.entry(0, "%f"), 0, 3)
    assert_good("x86-64", runner.run(image, [job])[0])

    def interrupted(self: object, timeout: float) -> None:
        raise KeyboardInterrupt

    worker = runner._worker
    assert worker is not None
    with monkeypatch.context() as patch:
        patch.setattr(worker, "poll", type("Poll", (), {"poll": interrupted})())
        with pytest.raises(KeyboardInterrupt):
            runner.run(image, [job])
    assert_good("x86-64", runner.run(image, [job])[0])
    runner.close()


@pytest.mark.parametrize(("name", "isa"), one_of_each([("unicorn", isa) for isa in ISAS]))
def test_endless_rows_of_one_job_cost_little(name: str, isa: str) -> None:
    runner = opened(name, isa)
    image = link([[FunctionCode("%f", SAMPLES[isa].faults["endless"])]], isa)
    started = time.process_time()
    outcomes = runner.run(image, [good_job(isa, image.entry(0, "%f"), 0, 8)])[0]
    assert {outcome.kind for outcome in outcomes} == {"out_of_fuel"}
    assert time.process_time() - started < 1.5
    runner.close()
