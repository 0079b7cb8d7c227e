"""What may happen to a campaign: killed bridges and workers, full disks, Ctrl-C, amok code. It goes on or ends cleanly,
with the right exit code, and every finding made before is on disk."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import campaign_hooks

from liftcheck.campaign.execute.local import children
from liftcheck.campaign.execute.tasks import NO_TIME
from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.keep import kept
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.campaign.run import fuzz
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.errors import InputError

LITTLE = "function %f(i64) -> i64 system_v {\nblock0(v0: i64):\n    return v0\n}\n"


def options(**changes: Any) -> FuzzOptions:
    return FuzzOptions(
        **{
            "isas": ("x86-64",),
            "cases": 32,
            "seconds": None,
            "seed": 5,
            "jobs": 1,
            "reduce_seconds": 1.0,
            "sweep": False,
            **changes,
        }
    )


def finding(number: int = 1, klass: str = "compiler panic") -> Finding:
    case = Case(parse_module(LITTLE), 0, ((7,),), (), 0, f"case {number}")
    return Finding(
        klass,
        case,
        Target("x86-64"),
        (Target("x86-64"),),
        number=number,
        seed=1,
        key=f"key {number}",
        failure=CompileFailure("panic", "it broke", "it broke 12", "lib.rs:1"),
        compiler="cranelift@0.0.0",
    )


def descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [grandchild for child in found for grandchild in descendants(child)]


@pytest.mark.needs_compiler
def test_a_killed_bridge_costs_nothing() -> None:
    quiet, shaken = fuzz(options()), fuzz(options(), hooks=campaign_hooks.bridge_dies)
    assert shaken.document()["isas"]["x86-64"]["agreed"] == quiet.document()["isas"]["x86-64"]["agreed"]
    assert shaken.tally.programs == 32
    assert not shaken.troubles


@pytest.mark.needs_compiler
def test_a_case_that_kills_its_worker_is_named_and_the_others_are_judged() -> None:
    report = fuzz(options(), hooks=campaign_hooks.worker_dies)
    assert report.tally.programs == 32
    assert sum(report.tally.undecided.values()) >= 2
    assert ("x86-64", "worker died: killed by SIGKILL") in report.tally.undecided
    assert [name for name, _ in report.troubles] == ["seed 5 case 5"]
    assert report.deaths == 6  # the batch twice, then the case alone twice, then on other processes' runners twice
    assert report.exit_code == 0


@pytest.mark.needs_compiler
@pytest.mark.needs_qemu
def test_code_that_kills_an_emulator_inside_of_the_worker_is_a_finding_all_the_same(tmp_path: Path) -> None:
    """The verdicts of the other ISA, and of the batch's other programs, are those of an undisturbed run."""
    isas = ("aarch64", "riscv64")
    quiet = fuzz(options(isas=isas, out=tmp_path / "quiet"))
    report = fuzz(options(isas=isas, out=tmp_path / "killed"), hooks=campaign_hooks.emulator_aborts)
    assert report.deaths >= 4
    assert not [words for _, words in report.troubles if "reduction" not in words]
    assert not any("died" in reason for _, reason in report.tally.undecided)
    found = [one for one in report.findings if one.klass == "crash"]
    assert found and all((one.target.isa, one.runners) == ("aarch64", ("qemu",)) for one in found)
    assert report.tally.disagreed["aarch64", "crash"] >= len(found)
    assert report.tally.programs == quiet.tally.programs == 32
    assert report.tally.pairs == quiet.tally.pairs
    assert report.tally.agreed["riscv64"] == quiet.tally.agreed["riscv64"]


@pytest.mark.needs_compiler
def test_our_own_failure_costs_one_case_its_verdict() -> None:
    report = fuzz(options(), hooks=campaign_hooks.harness_fails)
    assert report.tally.programs == 32
    assert report.tally.undecided["x86-64", "liftcheck: ZeroDivisionError"] > 0
    assert [name for name, _ in report.troubles] == ["seed 5 case 7"]
    assert "planted" in report.troubles[0][1]


@pytest.mark.needs_compiler
def test_code_that_never_ends_is_a_finding(tmp_path: Path) -> None:
    report = fuzz(options(out=tmp_path, cases=8), hooks=campaign_hooks.code_never_ends)
    assert report.tally.programs == 8
    assert {f.klass for f in report.findings} <= {
        "endless",
        "crash",
        "ABI damage",
        "wrong result",
        "wrong memory",
        "wrong trap",
    }
    assert "endless" in {f.klass for f in report.findings}
    assert report.exit_code == 1


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "liftcheck", "fuzz", "--isa", "x86-64", "--seed", "3", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever a test did not end itself."""
    try:
        yield
    finally:
        if process.poll() is None:
            for pid in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.communicate()


def wait_for_workers(process: subprocess.Popen[str], count: int, seconds: float = 60.0) -> list[int]:
    """The worker processes, once each has a compiler's child and so is at work."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        workers = [pid for pid in children(process.pid) if children(pid)]
        if len(workers) >= count:
            return workers
        time.sleep(0.1)
    raise AssertionError(f"no {count} workers: {process.communicate()}")


@pytest.mark.needs_compiler
@pytest.mark.parametrize("number, times", [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_ctrl_c_and_sigterm_end_a_campaign_and_leave_nothing_running(
    tmp_path: Path, number: signal.Signals, times: int
) -> None:
    process = start("--time", "10m", "--jobs", "2", "--out", str(tmp_path), "--json")
    with ended(process):
        wait_for_workers(process, 2)
        time.sleep(2.0)
        alive = descendants(process.pid)
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.05)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        if times == 1:
            document = json.loads(out)
            assert document["interrupted"]
            assert process.returncode == (1 if document["new"] else 0)
        else:
            assert process.returncode in (0, 1, 130)
        time.sleep(0.5)
        assert not [pid for pid in alive if Path(f"/proc/{pid}").exists() and _is_running(pid)]


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.needs_compiler
def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    process = start("--time", "12s", "--jobs", "2", "--out", str(tmp_path), "--json")
    with ended(process):
        victim = wait_for_workers(process, 2)[0]
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        document = json.loads(out)
        assert document["worker_deaths"] >= 1
        assert document["programs"] > 0
        assert [row for row in document["troubles"] if NO_TIME not in row["text"]] == []
        assert process.returncode in (0, 1), err


@pytest.mark.needs_compiler
def test_a_campaign_that_was_killed_goes_on_to_what_it_would_have_come_to(tmp_path: Path) -> None:
    """Its parent is killed in its midst, with batches under way; the command line is that of its beginning."""
    shaken, quiet = tmp_path / "shaken", tmp_path / "quiet"
    process = start("--cases", "384", "--jobs", "2", "--out", str(shaken), "--json")
    with ended(process):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None and len(_batches(shaken)) < 2:
            time.sleep(0.1)
        process.kill()
    done = _batches(shaken)
    assert 2 <= len(done) < 12
    words = {"resumed": ["--resume", str(shaken), "--cases", "384"], "quiet": ["--cases", "384", "--out", str(quiet)]}
    documents = {}
    for name, more in words.items():
        process = start("--jobs", "2", "--json", *more)
        with ended(process):
            out, err = process.communicate(timeout=300)
        assert process.returncode in (0, 1), err
        documents[name] = json.loads(out)
        assert ("going on after" in err) == (name == "resumed")
    assert documents["resumed"]["programs"] == 384
    for document in documents.values():
        for name in ("seconds", "time_share", "activity", "jobs", "worker_deaths"):
            del document[name]
        del document["isas"]["x86-64"]["pairs_per_second"]
        document["findings"] = [(row["key"], row["count"], row["reduced"]) for row in document["findings"]]
    assert documents["resumed"] == documents["quiet"]


def _batches(folder: Path) -> set[int]:
    try:
        return {batch for one in kept.all_in(folder) for batch in one.done}
    except (InputError, OSError):
        return set()


@pytest.mark.needs_compiler
def test_workers_end_when_their_parent_is_killed() -> None:
    process = start("--time", "10m", "--jobs", "2", "--out", "/tmp/liftcheck-none")
    with ended(process):
        wait_for_workers(process, 2)
        alive = descendants(process.pid)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(_is_running(pid) for pid in alive):
            time.sleep(0.2)
        assert not [pid for pid in alive if _is_running(pid)]


# a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "liftcheck-test", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs privileges")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_keeps_what_was_written_and_tells_the_rest(small_disk: Path) -> None:
    keeper = Store(small_disk)
    keeper.check()
    findings = [finding(n) for n in range(40)]
    saved = [keeper.save(f.key, f) for f in findings]
    assert saved[0] is not None and saved[-1] is None
    assert "No space left" in keeper.trouble
    assert set(keeper.unsaved) == {f.key for f, place in zip(findings, saved) if place is None}
    for f, place in zip(findings, saved):
        if place is not None:
            assert store.load(place).number == f.number
    assert not [p for p in small_disk.iterdir() if p.name.startswith(".")]


@pytest.mark.needs_compiler
def test_a_campaign_on_a_full_disk_goes_on(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(60 << 10))
    report = fuzz(options(out=small_disk, cases=8), hooks=campaign_hooks.code_never_ends)
    assert report.tally.programs == 8
    assert report.exit_code == 1
    assert report.store.trouble
    document = report.document()
    assert all(row["folder"] or row["finding"]["recipe"]["clif"] for row in document["findings"])


def test_a_disk_that_fails_in_mid_file_leaves_no_half_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Store(tmp_path)
    first = keeper.save("a", finding(1))
    calls = []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) % 3 == 0:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    assert keeper.save("b", finding(2)) is None
    assert keeper.save("a", finding(1, "crash")) is None or True
    monkeypatch.undo()
    assert first is not None and store.load(first).number == 1
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert "b" in keeper.unsaved


def test_an_out_that_cannot_be_made_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fuzz(options(out=tmp_path / "file" / "findings"))


def test_exit_codes(tmp_path: Path) -> None:
    report = FuzzReport(options(), Store(tmp_path))
    assert report.exit_code == 0
    report.store.trouble = "disk full"
    assert report.exit_code == 3
    report.findings = [finding()]
    assert report.exit_code == 1


# what is read back


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 99}', '{"format": 1}', "[" * 100000, "\x00\xff"])
def test_a_broken_recipe_is_an_input_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "finding.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="finding"):
        store.load(tmp_path)


def test_a_folder_without_a_finding_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finding here"):
        store.load(tmp_path)
    with pytest.raises(InputError, match="no finding here"):
        store.load(tmp_path / "nowhere")
