"""What a campaign keeps: stopped at any step and continued, it comes to what an undisturbed one comes to."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import errno
import itertools
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.examples import many, sparse
from support.toy_campaign import TARGET, ToyExecutor, ToyPlanner, judged, options, panic, toy, wrong

from liftcheck.campaign import run, steering
from liftcheck.campaign.execute.tasks import NO_TIME, Task
from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.finding import Finding, VoteRecord
from liftcheck.campaign.keep import database, disk, journal, kept
from liftcheck.campaign.keep.database import Database
from liftcheck.campaign.keep.kept import Kept
from liftcheck.campaign.keep.plain import plain, read
from liftcheck.campaign.keep.shelf import Shelf
from liftcheck.campaign.options import BATCH, FuzzOptions
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.case import Outcome
from liftcheck.clif.text.printer import print_module
from liftcheck.errors import InputError, UsageError
from liftcheck.isle.sources import Rule
from liftcheck.oracles.tally import Tally

TIMES = ("seconds", "pairs_per_second", "time_share", "activity")


def outcome(report: FuzzReport, out: Path) -> dict[str, Any]:
    """Everything that must not depend on interruptions: the report, the folders, the database."""
    document = report.document()
    for row in (*document["isas"].values(), *document["findings"], document):
        for name in TIMES:
            row.pop(name, None)
    for row in document["findings"]:
        row["folder"] = Path(row["folder"]).name
    document["findings"].sort(key=lambda row: row["key"])
    document["troubles"].sort(key=lambda row: row["case"])
    (campaign,) = kept.all_in(out)
    return {
        "report": document,
        "folders": {place.name: written(place) for place in sorted(out.iterdir()) if place.is_dir()},
        "kept": campaign.tally(),
        "names": campaign.names,
    }


def written(place: Path) -> dict[str, Any]:
    recipe = json.loads((place / store.RECIPE).read_text())
    recipe.pop("seconds")
    return {"recipe": recipe, "files": sorted(file.name for file in place.iterdir())}


class PowerCut(BaseException):
    """Nothing happens any more."""


class Faults:
    """Counts the steps that reach the disk, and cuts the power at one of them. What was not flushed is lost: the
    content of files, the entries of folders, renames (`forgets`; a disk may have written them all the same)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, forgets: bool) -> None:
        self.steps = 0
        self.at: int | None = None
        self.forgets = forgets
        self.is_off = False
        self.unflushed: dict[Path, list[Path]] = {}
        self.renamed: list[tuple[Path, Path]] = []
        self.names: list[str] = []
        self._rename, self._rmtree, self._mkdir = Path.rename, shutil.rmtree, Path.mkdir
        self._write_file, self._write = store._write_file, Database.write
        monkeypatch.setattr(database, "FLUSHES", "OFF")
        monkeypatch.setattr(os, "fsync", lambda _: None)
        monkeypatch.setattr(store, "_write_file", self.write_file)
        monkeypatch.setattr(store, "_sync", self.sync)
        monkeypatch.setattr(Path, "rename", lambda path, target: self.rename(path, Path(target)))
        monkeypatch.setattr(shutil, "rmtree", self.rmtree)
        monkeypatch.setattr(Database, "write", lambda held, statements: self.write(held, list(statements)))

    def step(self, name: str) -> None:
        if self.is_off:
            raise PowerCut
        self.steps += 1
        self.names.append(name)
        if self.steps == self.at:
            self.off()
            raise PowerCut

    def off(self) -> None:
        self.is_off = True
        if not self.forgets:
            return
        for source, target in reversed(self.renamed):
            if target.exists() and not source.exists():
                self._rename(target, source)
        for files in self.unflushed.values():
            for file in files:
                file.unlink(missing_ok=True)

    def on(self) -> None:
        self.is_off, self.at = False, None
        self.unflushed.clear()
        self.renamed.clear()

    def write_file(self, path: Path, text: str) -> None:
        self.step("create")
        path.write_text("")
        self.unflushed.setdefault(path.parent, []).append(path)
        self.step("write")
        self._write_file(path, text)

    def sync(self, folder: Path) -> None:
        self.step("flush")
        self.unflushed.pop(folder, None)
        self.renamed = [(source, target) for source, target in self.renamed if target.parent != folder]

    def rename(self, path: Path, target: Path) -> Path:
        self.step("rename")
        done = self._rename(path, target)
        self.renamed.append((path, target))
        if path in self.unflushed:
            self.unflushed[target] = [target / file.name for file in self.unflushed.pop(path)]
        return done

    def rmtree(self, path: Path, ignore_errors: bool = False) -> None:
        self.step("remove")
        self._rmtree(path, ignore_errors=ignore_errors)
        self.unflushed.pop(path, None)

    def write(self, held: Database, statements: list[database.Statement]) -> None:
        self.step("begin")
        if self.is_off or self.steps + 1 == self.at:

            def cut() -> Iterator[database.Statement]:
                yield from statements
                self.step("commit")

            self._write(held, cut())
        self.step("commit")
        self._write(held, statements)


@contextmanager
def cut_at(faults: Faults, step: int) -> Iterator[None]:
    """A campaign in which the power goes at a step."""
    faults.steps, faults.at = 0, step
    try:
        yield
    except PowerCut:
        pass
    finally:
        faults.on()


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed campaign comes to."""
    out = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        found = outcome(toy(patch, options(out)), out)
    assert len(found["folders"]) >= 6 and any(row["count"] > 2 for row in found["report"]["findings"])
    return found


def continued(monkeypatch: pytest.MonkeyPatch, out: Path, order: int) -> dict[str, Any]:
    """A stopped campaign, brought to its end. It may have been stopped before it had begun."""
    began = (out / database.NAME).exists() and bool(kept.read_all(database.make(out / database.NAME), out))
    return outcome(toy(monkeypatch, options(out), is_resumed=began, order=order), out)


@pytest.mark.parametrize(
    ("forgets", "sample"),
    [(True, 1), pytest.param(True, 2, marks=pytest.mark.slow), pytest.param(False, 2, marks=pytest.mark.slow)],
)
def test_a_power_cut_at_any_step_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], forgets: bool, sample: int
) -> None:
    """At steps of every kind, and once more while it is continued. LIFTCHECK_EVERY_STEP=1: at all of them."""
    faults = Faults(monkeypatch, forgets)
    toy(monkeypatch, options(tmp_path / "counted"))
    names = list(faults.names)
    assert set(names) == {"create", "write", "flush", "rename", "remove", "begin", "commit"}
    draw = random.Random(int(forgets))
    places = {name: [step for step, one in enumerate(names, 1) if one == name] for name in sorted(set(names))}
    chosen = sorted(step for steps in places.values() for step in draw.sample(steps, sample))
    chosen = sorted(draw.sample(chosen, many(len(chosen))))
    for step in range(1, len(names) + 1) if "LIFTCHECK_EVERY_STEP" in os.environ else chosen:
        out = tmp_path / str(step)
        with cut_at(faults, step):
            toy(monkeypatch, options(out), order=step)
        with cut_at(faults, draw.randrange(1, len(names))):
            continued(monkeypatch, out, step + 1)
        found = continued(monkeypatch, out, step + 2)
        assert found["report"] == wanted["report"], f"cut at step {step}, {names[step - 1]}"
        assert found == wanted, f"cut at step {step}, {names[step - 1]}"
        shutil.rmtree(out)


def test_reductions_that_wait_go_on_where_time_and_programs_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    """All programs are judged, and there is time left: the campaign is not complete yet."""
    both = options(tmp_path, seconds=1000.0)
    with monkeypatch.context() as patch:
        patch.setattr(run.Slices, "task", lambda *_: (None, False))
        patch.setattr(run.Campaign, "_step", _stops_once_over(run.Campaign._step))
        assert toy(patch, both).tally.programs == 320
    found = outcome(toy(monkeypatch, both, is_resumed=True), tmp_path)
    assert found["folders"] == wanted["folders"] and found["names"] == wanted["names"]


def _stops_once_over(step: Callable[[run.Campaign], None]) -> Callable[[run.Campaign], None]:
    def stopping(campaign: run.Campaign) -> None:
        step(campaign)
        if campaign._is_over() and not campaign.unanswered:
            campaign.interrupts += 1

    return stopping


def _unflushed_drafts(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    flush = store._sync
    monkeypatch.setattr(store, "_sync", lambda folder: None if folder.name.startswith(".") else flush(folder))


def _swept_too_early(monkeypatch: pytest.MonkeyPatch, _faults: Faults) -> None:
    monkeypatch.setattr(Shelf, "resumed", lambda self, *_: setattr(self, "is_replaying", False))


def _told_twice(monkeypatch: pytest.MonkeyPatch, _faults: Faults) -> None:
    monkeypatch.setattr(Kept, "missing", property(lambda self: sorted(self.done)[-2:]))


@pytest.mark.parametrize("planted", sparse([_unflushed_drafts, _swept_too_early, _told_twice], 3))
def test_a_fault_in_the_keeping_is_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, Any],
    planted: Callable[[pytest.MonkeyPatch, Faults], None],
) -> None:
    faults = Faults(monkeypatch, True)
    toy(monkeypatch, options(tmp_path / "counted"))
    commits = [step for step, name in enumerate(faults.names, 1) if name == "commit"]
    planted(monkeypatch, faults)
    is_different = False
    for step in commits[4:16:2]:
        out = tmp_path / str(step)
        with cut_at(faults, step):
            toy(monkeypatch, options(out), order=1)
        try:
            is_different = continued(monkeypatch, out, 2) != wanted
        except (InputError, OSError):
            is_different = True
        if is_different:
            break
    assert is_different


def test_a_campaign_is_made_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last batch was a short one: that is judged whole then."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    wanted = outcome(toy(monkeypatch, options(whole, cases=300)), whole)
    for cases in (40, 140, 300):
        report = toy(monkeypatch, options(parts, cases=cases), is_resumed=cases > 40, order=cases)
    assert outcome(report, parts) == wanted


def test_a_complete_campaign_says_so_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = outcome(toy(monkeypatch, options(tmp_path)), tmp_path)

    def forbidden(_self: Any) -> None:
        raise AssertionError("no worker is needed")

    monkeypatch.setattr(ToyExecutor, "start", forbidden)
    assert outcome(toy(monkeypatch, options(tmp_path), is_resumed=True), tmp_path) == wanted


def test_batches_that_time_cut_short_are_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on 5 ms whenever it is read, however busy the machine is."""
    began, reads = time.monotonic(), itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: began + next(reads) / 200)
    first = toy(monkeypatch, options(tmp_path, cases=None, seconds=0.8), late=lambda number: number in (0, 2))
    (held,) = kept.all_in(tmp_path)
    assert held.tally().undecided["riscv64", NO_TIME] == 2 and first.tally.programs == held.tally().programs
    longer = options(tmp_path, cases=None, seconds=held.seconds + 0.8)
    second = toy(monkeypatch, longer, is_resumed=True)
    (held,) = kept.all_in(tmp_path)
    assert ("riscv64", NO_TIME) not in held.tally().undecided
    assert held.missing == [] and held.tally().programs == second.tally.programs == len(held.done) * BATCH
    assert second.tally.programs > first.tally.programs
    assert second.seconds >= first.seconds + 0.7
    counted = sum(finding.count for finding in second.findings)
    numbers = range(second.tally.programs)
    assert counted == sum(number % 17 == 3 for number in numbers) + sum(number % 23 == 5 for number in numbers)


def test_neighbours_become_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "GROUP", 3)
    for cases in (11 * BATCH, 20 * BATCH):
        report = toy(monkeypatch, options(tmp_path, cases=cases), is_resumed=cases > 11 * BATCH)
    (held,) = kept.all_in(tmp_path)
    rows = [(one.first, one.size) for one in held.stretches]
    assert rows == [(0, 3), (3, 3), (6, 3), (9, 3), (12, 3), *((number, 1) for number in range(15, 20))]
    report = toy(monkeypatch, options(tmp_path, cases=40 * BATCH), is_resumed=True)
    (held,) = kept.all_in(tmp_path)
    rows = [(one.first, one.size) for one in held.stretches]
    assert rows == [(0, 9), (9, 9), (18, 9), (27, 3), (30, 3), (33, 3), *((number, 1) for number in range(36, 40))]
    whole = held.tally()
    whole.seconds = report.tally.seconds
    assert whole == report.tally and whole.programs == 40 * BATCH


def test_what_steers_the_next_batches_is_kept_by_epochs(tmp_path: Path) -> None:
    """A campaign that was stopped anywhere aims at the same rules, whatever rows its batches are by now."""
    assert journal.GROUP % steering.EPOCH == 0
    rules = [Rule("a.isle", number, "lower", 0, "riscv64", [], number, number) for number in range(40)]
    draw = random.Random(3)
    fired = [Counter({("riscv64", draw.choice(rules).place): draw.randrange(1, 3)}) for _ in range(500)]
    held = database.make(tmp_path / database.NAME)
    kept_journal = journal.Journal(held, 1)
    undisturbed = steering.Steering(rules)
    for batch, counts in enumerate(fired):
        tally = Tally(programs=BATCH, fired=counts)
        if batch % 37 == 5:
            kept_journal.flush(None, 1.0, 0.0, 0)
            resumed = steering.Steering(rules)
            for row in held.rows("SELECT first, count, tally FROM batch WHERE campaign = 1 ORDER BY first"):
                resumed.answered(row[0], read(Tally, database.unpacked(row[2])))
            later = copy.deepcopy(undisturbed)
            assert [resumed.cold(one) for one in (batch, batch + steering.EPOCH)] == [
                later.cold(one) for one in (batch, batch + steering.EPOCH)
            ]
        undisturbed.cold(batch)
        undisturbed.answered(batch, tally)
        kept_journal.complete(batch, BATCH, tally, False)
    assert any(size > 1 for (size,) in held.rows("SELECT count FROM batch"))
    held.close()


def test_who_reads_a_folder_leaves_nothing_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, options(tmp_path, cases=96))
    monkeypatch.undo()
    names = sorted(place.name for place in tmp_path.iterdir() if place.is_file())
    assert names == ["campaign.lock", "campaign.sqlite"]
    kept.all_in(tmp_path)
    assert sorted(place.name for place in tmp_path.iterdir() if place.is_file()) == names
    with contextlib.closing(database.make(tmp_path / database.NAME)) as held:
        assert held.rows("PRAGMA journal_mode") == [("wal",)] and held.rows("PRAGMA synchronous") == [(2,)]


def test_another_campaign_in_the_folder_leaves_the_first_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes").mkdir()
    toy(monkeypatch, options(tmp_path))
    first = {place.name: written(place) for place in tmp_path.iterdir() if (place / store.RECIPE).is_file()}
    toy(monkeypatch, options(tmp_path))
    both = {place.name: written(place) for place in tmp_path.iterdir() if (place / store.RECIPE).is_file()}
    assert len(both) == 2 * len(first) and {name: both[name] for name in first} == first
    assert len(kept.all_in(tmp_path)) == 2
    toy(monkeypatch, options(tmp_path, cases=640), is_resumed=True)
    assert [one.tally().programs for one in kept.all_in(tmp_path)] == [320, 640]
    assert {name: written(tmp_path / name) for name in first} == first and (tmp_path / "notes").is_dir()


def test_a_folder_in_use_is_refused_until_its_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; from pathlib import Path; from liftcheck.campaign.keep.lock import Lock\n"
        f"lock = Lock(Path({str(tmp_path)!r})); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=f"in use by another campaign .process {holder.pid} on .*--out"):
            toy(monkeypatch, options(tmp_path))
        holder.kill()
        holder.wait()
    assert toy(monkeypatch, options(tmp_path, cases=32)).tally.programs == 32


def test_another_compiler_is_refused_and_another_liftcheck_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy(monkeypatch, options(tmp_path, cases=64))
    monkeypatch.setattr(ToyPlanner, "compiler", "toy@2.0")
    with pytest.raises(UsageError, match=r"on toy@1\.0, not on toy@2\.0"):
        toy(monkeypatch, options(tmp_path, cases=96), is_resumed=True)
    monkeypatch.undo()
    monkeypatch.setattr(ToyPlanner, "build", "2")
    told: list[str] = []
    monkeypatch.setattr(run.Silent, "message", lambda _, text: told.append(text))
    toy(monkeypatch, options(tmp_path, cases=96), is_resumed=True)
    assert any("compiler 1" in text and "compiler 2" in text for text in told)


@pytest.mark.parametrize("content", [b"", b"no database" * 99, b"SQLite format 3\0" + bytes(4096)])
def test_a_damaged_database_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (tmp_path / database.NAME).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(database.NAME)):
        kept.all_in(tmp_path)
    with pytest.raises(InputError, match="campaign"):
        toy(monkeypatch, options(tmp_path), is_resumed=True)


def test_a_later_format_and_a_strange_database_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no campaign here"):
        kept.all_in(tmp_path)
    connection = sqlite3.connect(tmp_path / database.NAME)
    connection.executescript("CREATE TABLE t(x)")
    with pytest.raises(InputError, match="not the database of a campaign"):
        kept.all_in(tmp_path)
    connection.executescript("PRAGMA user_version=99")
    with pytest.raises(InputError, match="format 99 is not 1"):
        kept.all_in(tmp_path)
    connection.close()


def test_a_disk_that_is_full_for_a_while_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    write, writes = Database.write, iter(range(10**6))

    def full(self: Database, statements: Any) -> None:
        if 3 < next(writes) < 9:
            raise sqlite3.OperationalError("database or disk is full")
        write(self, statements)

    monkeypatch.setattr(Database, "write", full)
    assert outcome(toy(monkeypatch, options(tmp_path / "out")), tmp_path / "out") == wanted


def test_a_disk_that_stays_full_costs_the_keeping_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    def full(_self: Database, _statements: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Database, "write", full)
    report = toy(monkeypatch, options(tmp_path / "out"))
    assert report.tally.programs == 320 and report.exit_code == 1
    assert "disk is full" in report.document()["storage"]
    assert len(list((tmp_path / "out").glob("*/finding.json"))) == len(wanted["folders"])


def test_findings_that_find_no_room_are_written_when_the_campaign_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    """The disk is full for whoever writes a folder, at its start or half-way; the database lies where there is room."""
    write, writes = store._write_file, itertools.count()

    def full(path: Path, text: str) -> None:
        if next(writes) > 5:
            write(path, text[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_write_file", full)
        report = toy(monkeypatch, options(tmp_path / "out"))
    assert "No space left" in report.document()["storage"]
    assert len(list((tmp_path / "out").glob("*/finding.json"))) < len(wanted["folders"])
    assert outcome(toy(monkeypatch, options(tmp_path / "out"), is_resumed=True), tmp_path / "out") == wanted


CHILD = """
import sys
from pathlib import Path
import pytest
from support.toy_campaign import options, toy
out, resumed, order = Path(sys.argv[1]), sys.argv[2] == "True", int(sys.argv[3])
print("begins", flush=True)
toy(pytest.MonkeyPatch(), options(out), is_resumed=resumed, order=order)
"""


@pytest.mark.slow
def test_a_campaign_that_is_killed_at_any_time_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    """SIGKILL of a real process, at times drawn from what a whole campaign takes, until one comes to its end."""
    draw, out, killed = random.Random(9), tmp_path / "out", 0
    roots = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    took = 0.0
    for number in range(12):
        began = (out / database.NAME).exists() and bool(kept.read_all(database.make(out / database.NAME), out))
        words = [sys.executable, "-c", CHILD, str(out if number else tmp_path / "first"), str(began), str(number)]
        with subprocess.Popen(words, env={**os.environ, "PYTHONPATH": roots}, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"begins\n"
            start = time.monotonic()
            if number:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(draw.uniform(0.0, took / 4))
                killed += child.poll() is None
                child.kill()
            assert child.wait() in (0, -signal.SIGKILL)
            took = took or time.monotonic() - start
    assert killed > 3
    assert outcome(toy(monkeypatch, options(out), is_resumed=True), out) == wanted


def test_a_campaign_ends_before_the_disk_is_full_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
) -> None:
    free = iter([50 << 20] * 3 + [4 << 20] * 99)
    monkeypatch.setattr(disk, "EVERY", 0.0)
    monkeypatch.setattr(run, "TICK", 0.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100 << 20, 0, next(free)))
    report = toy(monkeypatch, options(tmp_path / "out"))
    assert 0 < report.tally.programs < 320 and "less than 5 MiB free" in report.stopped
    assert "--resume" in report.document()["stopped"]
    report.findings = []
    assert report.exit_code == 3
    monkeypatch.undo()
    assert outcome(toy(monkeypatch, options(tmp_path / "out"), is_resumed=True), tmp_path / "out") == wanted


def test_a_nearly_full_disk_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100 << 20, 0, 1 << 20))
    told: list[str] = []
    watch = disk.Watch(tmp_path)
    watch.begin(told.append)
    assert "only 1 MiB free" in told[0] and watch.look() == ""


def whole_finding() -> Finding:
    """One with something in every field."""
    found = wrong(4, 7)
    return dataclasses.replace(
        panic(4, 7),
        witness=TARGET,
        run=1,
        expected=Outcome("returned", (1 << 100, 0), bytes(range(64)), "x"),
        actual=Outcome("trapped", (), b"", "heap_oob"),
        detail="differs",
        votes=(VoteRecord("reference", "returned 1", True), VoteRecord("qemu", "?", None)),
        runners=("qemu",),
        profile="all",
        original=found.case,
        reduced=True,
        count=3,
        seconds=1 / 3,
        note="why",
        disassembly={str(TARGET): "ret"},
        damaged=("fs1",),
        program="test run\n",
        unsaid="much",
        suspects=("lower.isle:1",),
        blame={"stage": {"where": "backend", "why": ""}, "needed": ("opt_level",)},
        fired=("lower.isle:2",),
        other="cranelift@0.130.0",
        beside="right",
        spared=True,
        fault="a page",
    )


def test_findings_and_tallies_come_back_as_they_were() -> None:
    found = whole_finding()
    usual = {field.name: field.default for field in dataclasses.fields(Finding)}
    for field in dataclasses.fields(Finding):
        value = getattr(found, field.name)
        assert value != usual[field.name] and value, f"{field.name}: give `whole_finding` a value of it"
    again = read(Finding, json.loads(json.dumps(plain(found))))
    assert plain(again) == plain(found)
    assert dataclasses.replace(again, case=found.case, original=found.original) == found
    assert print_module(again.case.module) == print_module(found.case.module) and again.case.tags == found.case.tags
    tally = judged(options(None), Task("batch", 1)).tally
    tally.spend("run", 0.1)
    assert read(Tally, json.loads(json.dumps(plain(tally)))) == tally
    assert read(FuzzOptions, json.loads(json.dumps(plain(options(Path("x")))))) == options(Path("x"))


@pytest.mark.parametrize("data", [None, 7, [], {"klass": 7}, {"case": {}}, {"klass": "x", "target": ["riscv64"]}])
def test_what_is_no_finding_is_a_value_error(data: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        read(Finding, data)
