"""Code under test cannot touch the host: system calls that are planted in it are stopped and named, on every runner."""

from __future__ import annotations

import os
import resource
import select
import signal
import struct
from pathlib import Path

import pytest
from support.runner_samples import RUNNERS, SAMPLES, SIGNATURE, opened, trampoline
from support.system_calls import NUMBERS, makes_call

from liftcheck import doctor, layout
from liftcheck.case import FunctionCode, Outcome
from liftcheck.isa import HOST
from liftcheck.runners import confine
from liftcheck.runners.link import link
from liftcheck.runners.native import native_runner
from liftcheck.runners.pool import Job, Runner, confinement
from liftcheck.runners.process import ProcessRunner
from liftcheck.runners.worker import Worker

MINUS_100 = (1 << 64) - 100
"""AT_FDCWD."""
PROCESSES = [(name, isa) for name, isa in RUNNERS if name != "unicorn"]


def confined(name: str, isa: str) -> Runner:
    """A runner whose process is confined, or none at all; a skip where the kernel has no seccomp."""
    runner = opened(name, isa)
    if isinstance(runner, ProcessRunner):
        runner.ensure_started()
        if not runner.is_confined:
            pytest.skip("no seccomp here")
    return runner


def arguments(call: str, isa: str, path: int) -> tuple[int, int]:
    """The first two of the call; path is an address of a file's name."""
    mine = os.getpid()
    if call == "clone":
        return (0, 17) if isa == "s390x" else (17, 0)
    return {
        "open": (path, 0),
        "unlink": (path, 0),
        "execve": (path, 0),
        "kill": (mine, signal.SIGTERM),
        "socket": (2, 1),
        "ptrace": (16, mine),
        "fork": (0, 0),
        "getpid": (0, 0),
    }.get(call, (MINUS_100, path))


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_planted_system_calls_are_stopped_and_named(name: str, isa: str, tmp_path: Path) -> None:
    """A call's effects would be seen: this process would die of `kill`, the file and the folder would be gone or
    there."""
    runner = confined(name, isa)
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("untouched")
    # qemu has these of its own accord: `open` and `fork` are older names of what it asks the host for; `ptrace` it does
    # not know and answers itself.
    same = {"open": "openat", "fork": "clone", "ptrace": ""} if name == "qemu" else {}
    for call, number in NUMBERS[isa].items():
        image = link([[FunctionCode("%f", makes_call(isa, number))], [FunctionCode("%f", SAMPLES[isa].plus_42)]], isa)
        path = str(folder if call == "mkdirat" else victim).encode().ljust(layout.SLOT_SIZE, b"\0")
        first, second = arguments(call, isa, layout.slot_address(0))
        jobs = [
            Job(trampoline(isa), image.entry(0, "%f"), SIGNATURE, [(first, 0, second)], [path]),
            Job(trampoline(isa), image.entry(1, "%f"), SIGNATURE, [(8, 0, 0)]),
        ]
        (outcome,), (neighbour,) = runner.run(image, jobs)
        assert neighbour.values == (50,)
        if wanted := same.get(call, call):
            assert outcome == Outcome("crashed", detail=f"the code made a system call: {wanted}")
    assert victim.read_text() == "untouched"
    assert not folder.exists()
    runner.close()


@pytest.mark.parametrize(("name", "isa"), PROCESSES)
def test_unconfined_the_calls_would_be_done(name: str, isa: str, tmp_path: Path) -> None:
    """What the test above shows, it shows because of the filter."""
    folder = tmp_path / "made"
    usual = confined(name, isa)
    assert isinstance(usual, ProcessRunner)
    runner = ProcessRunner(name, isa, usual._command, confined=False)
    usual.close()
    image = link([[FunctionCode("%f", makes_call(isa, NUMBERS[isa]["mkdirat"]))]], isa)
    path = str(folder).encode().ljust(layout.SLOT_SIZE, b"\0")
    job = Job(trampoline(isa), image.entry(0, "%f"), SIGNATURE, [(MINUS_100, 0, layout.slot_address(0))], [path])
    assert runner.run(image, [job])[0][0].values == (0,)
    assert folder.is_dir()
    assert not runner.is_confined
    runner.close()


@pytest.mark.parametrize(("name", "isa"), PROCESSES)
def test_a_process_holds_no_file_but_its_pipes_and_is_limited(name: str, isa: str) -> None:
    runner = confined(name, isa)
    assert isinstance(runner, ProcessRunner)
    pid = runner.pid
    assert pid is not None
    held = {place.name: str(place.readlink()) for place in Path(f"/proc/{pid}/fd").iterdir()}
    assert held.pop("0").startswith("pipe:")
    assert held.pop("1").startswith("pipe:")
    assert "liftcheck-words" in held.pop("2")
    assert not any("liftcheck" in what or what.startswith(("socket:", "pipe:")) for what in held.values())
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    for which in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
        assert resource.prlimit(pid, which) == (0, 0)
    assert 0 < resource.prlimit(pid, resource.RLIMIT_AS)[0] < 8 << 30
    assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] == 2 * confine.LIFETIME
    runner.close()


def test_code_that_jumps_into_the_servers_own_call_is_stopped() -> None:
    """The stub's page may make a few calls and no others."""
    runner = confined("native", "x86-64")
    assert isinstance(runner, ProcessRunner)
    routine = runner.stub.labels["confine"]
    at = routine + runner.stub.code[routine - layout.STUB :].index(b"\x0f\x05")
    # mov eax, 83 (mkdir); mov rdi, rdx; movabs rcx, at; jmp rcx
    code = bytes.fromhex("b8530000004889d748b9") + struct.pack("<Q", at) + bytes.fromhex("ffe1")
    image = link([[FunctionCode("%f", code)]], "x86-64")
    job = Job(
        trampoline("x86-64"),
        image.entry(0, "%f"),
        SIGNATURE,
        [(0, 0, layout.slot_address(0))],
        [b"/tmp/liftcheck-never".ljust(layout.SLOT_SIZE, b"\0")],
    )
    (outcome,) = runner.run(image, [job])[0]
    assert outcome == Outcome("crashed", detail="the code made a system call: mkdir")
    assert not Path("/tmp/liftcheck-never").exists()
    runner.close()


def test_a_call_by_the_old_door_is_stopped() -> None:
    """int 0x80: the numbers are another architecture's."""
    runner = confined("native", "x86-64")
    code = bytes.fromhex("b827000000cd80c3")
    image = link([[FunctionCode("%f", code)]], "x86-64")
    (outcome,) = runner.run(image, [Job(trampoline("x86-64"), image.entry(0, "%f"), SIGNATURE, [(0, 0, 0)])])[0]
    assert outcome.kind == "crashed"
    assert outcome.detail.startswith(("the code made a system call: 32-bit system call 39", "memory fault"))
    runner.close()


def test_where_the_kernel_has_no_seccomp_the_runner_and_the_doctor_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from liftcheck.runners import process

    class Unconfined(Worker):
        def __init__(self, *args: object) -> None:
            super().__init__(*args[:-1], confined=False)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "Worker", Unconfined)
    process.say_unconfined.cache_clear()
    runner = native_runner(HOST)
    runner.start()
    assert not runner.is_confined
    assert "the native runner's processes are not confined" in capsys.readouterr().err
    runner.close()
    found = doctor._confinement(confinement())
    assert found.state == doctor.LIMITED
    assert "acts with your rights on native" in found.detail
    assert "--runner unicorn" in found.remedy
    process.say_unconfined.cache_clear()


def test_the_doctor_says_that_processes_are_confined() -> None:
    found = confinement()
    if not all(found.values()):
        pytest.skip("no seccomp here")
    assert doctor._confinement(found).state == doctor.OK
    assert any(check.name == "seccomp" for check in doctor.examine().checks)


@pytest.mark.needs_qemu
@pytest.mark.parametrize("isa", ["riscv64", "s390x"])
def test_an_emulator_starts_where_the_kernel_takes_no_filter(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher's filter has no rules, which seccomp refuses: it starts the emulator all the same."""
    monkeypatch.setattr(confine, "qemu_filter", lambda socket: b"")
    runner = opened("qemu", isa)
    assert isinstance(runner, ProcessRunner)
    runner.ensure_started()
    assert not runner.is_confined
    image = link([[FunctionCode("%f", SAMPLES[isa].plus_42)]], isa)
    job = Job(trampoline(isa), image.entry(0, "%f"), SIGNATURE, [(8, 0, 0)])
    assert runner.run(image, [job])[0][0].values == (50,)
    runner.close()


@pytest.mark.needs_qemu
def test_calls_of_an_emulators_other_thread_are_its_own() -> None:
    """A busy host starts qemu's second thread after the first answer: what that asks for is not a guest's."""
    runner = confined("qemu", "aarch64")
    assert isinstance(runner, ProcessRunner)
    worker = runner._worker
    assert worker is not None
    assert worker.listener is not None
    pid, passed = worker.process.pid, []
    ready, write = os.pipe()
    os.write(write, b"!")
    calls = [confine.Asked(1, "rseq", pid + 1), confine.Asked(2, "openat", pid + 1), confine.Asked(3, "openat", pid)]

    class Scripted(confine.Listener):
        def receive(self) -> confine.Asked:
            return calls.pop(0)

        def let_pass(self, asked: confine.Asked) -> None:
            passed.append(asked.ticket)

    worker.poll.register(ready, select.POLLIN)
    worker.listener = Scripted(ready)
    assert worker.turn(1.0) == "asked"
    assert (worker.stopped, passed) == ("openat", [1, 2])
    runner.close()
    os.close(ready)
    os.close(write)


def test_an_old_process_is_replaced_between_batches() -> None:
    """Its processor time is limited, and the limit is never met by code under test."""
    runner = confined("native", "x86-64")
    assert isinstance(runner, ProcessRunner)
    image = link([[FunctionCode("%f", SAMPLES["x86-64"].plus_42)]], "x86-64")
    job = Job(trampoline("x86-64"), image.entry(0, "%f"), SIGNATURE, [(8, 0, 0)])
    pids = []
    for age in (0.0, confine.LIFETIME, 0.0):
        runner._replace_at -= age + 1 if age else 0
        assert runner.run(image, [job])[0][0].values == (50,)
        pids.append(runner.pid)
    assert pids[0] != pids[1] == pids[2]
    assert runner.restarts == 0
    runner.close()


def test_filters_fit_where_they_are_written() -> None:
    assert len(confine.native_filter(0x1000)) <= 8 * confine.MOST_RULES
    assert len(confine.qemu_filter(9)) <= 8 * confine.MOST_RULES


def test_every_call_that_is_allowed_has_a_number() -> None:
    assert all(confine.name("x86-64", confine._call_number(call)) == call for call in [*confine.NATIVE, *confine.QEMU])
    assert confine.name("riscv64", 56) == "openat"
    assert confine.name("s390x", 288) == "openat"
    assert confine.name("aarch64", 9999) == "system call 9999"
