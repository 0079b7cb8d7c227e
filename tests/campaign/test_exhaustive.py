"""A campaign over all small programs: it ends, says that it is complete, and finds what is planted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import campaign_hooks

from liftcheck import cli
from liftcheck.campaign.execute.serial import SerialExecutor
from liftcheck.campaign.findings.suspicion import Trigger
from liftcheck.campaign.options import BATCH, FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.report import fuzz as report_of
from liftcheck.campaign.report.fuzz import FuzzReport, show
from liftcheck.campaign.report.live import time_left
from liftcheck.campaign.run import fuzz
from liftcheck.commands import fuzz as command
from liftcheck.commands.output import table_console
from liftcheck.generators import exhaustive
from liftcheck.generators.profiles import EXHAUSTIVE
from liftcheck.generators.rows import Row
from liftcheck.generators.tables import Context

pytestmark = pytest.mark.needs_compiler
FEW = ("iadd.i32", "bxor.i64")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two typings, which no edge joins."""
    every = exhaustive._rows

    def rows(context: Context) -> Mapping[str, tuple[Row, tuple[str, ...]]]:
        return {key: row for key, row in every(context).items() if key in FEW}

    monkeypatch.setattr(exhaustive, "_rows", rows)


def options(**changes: Any) -> FuzzOptions:
    given = {"isas": ("riscv64",), "seconds": None, "profiles": (EXHAUSTIVE,), "sweep": False, "reduce_seconds": 4.0}
    return command.all_small(FuzzOptions(**{**given, **changes}))


def campaign(**changes: Any) -> FuzzReport:
    return fuzz(options(**changes), executor=SerialExecutor)


@pytest.mark.usefixtures("few")
def test_it_ends_and_says_that_it_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    report = campaign()
    document = report.document()["exhaustive"]
    assert document["complete"] and document["left"] == 0 and document["programs"] == report.tally.programs > BATCH
    assert (document["typings"], document["pairs"]) == (2, 2) and "iadd.i64" in document["left_out"]
    show(report, table_console())
    said = " ".join(capsys.readouterr().out.split())
    assert f"complete: all {report.tally.programs} programs, 2 typings with operands of every kind, 2 pairs" in said


@pytest.mark.usefixtures("few")
def test_a_part_says_what_is_left_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = campaign(cases=BATCH, out=tmp_path)
    assert not part.is_complete and part.tally.programs == BATCH
    assert part.extent is not None and part.extent.whole > BATCH
    show(part, table_console())
    said = " ".join(capsys.readouterr().out.split())
    assert f"not complete: {part.extent.whole - BATCH} of {part.extent.whole} programs are left" in said
    assert time_left(part) == "0 programs left"
    whole = fuzz(options(out=tmp_path), executor=SerialExecutor, is_resumed=True)
    assert whole.is_complete and whole.tally.programs == part.extent.whole


@pytest.mark.usefixtures("few")
def test_no_program_is_said_to_steer_around_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report_of, "triggers", lambda *_: (Trigger("riscv64", "wrong value", "bxor.i64", 9, 9),))
    report = campaign(cases=BATCH)
    assert report.document()["steered"] == []
    show(report, table_console())
    assert "steer" not in capsys.readouterr().out
    report.extent = None
    assert report.document()["steered"]


@pytest.mark.usefixtures("few")
def test_a_planted_fault_is_found_and_no_program_depends_on_the_seed() -> None:
    found = [fuzz(options(seed=seed), hooks=campaign_hooks.code_is_wrong, executor=SerialExecutor) for seed in (1, 2)]
    keys = [sorted(finding.key for finding in report.findings) for report in found]
    assert keys[0] and keys[0] == keys[1]
    assert all("bxor.i64" in key for key in keys[0])


def test_batches_are_of_one_world() -> None:
    planner = Planner(FuzzOptions(profiles=(EXHAUSTIVE,)))
    assert [start % BATCH for _, start, _ in planner.spaces] == [0] * len(planner.spaces)
    for world, start, space in planner.spaces:
        last = planner.plan((start + len(space) - 1) // BATCH)
        troubles: list[tuple[str, str]] = []
        assert len(last.generate(None, troubles)) == (len(space) % BATCH or BATCH) and not troubles
        assert {target.isa for target in last.targets} == set(planner.options.isas)
        features = dict(planner.features(world, "x86-64"))
        assert all(
            dict(target.settings).items() >= features.items() for target in last.targets if target.isa == "x86-64"
        )


def test_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["fuzz", "--profile", EXHAUSTIVE, "--profile", "default"]) == 2
    assert "cannot be combined with another profile" in capsys.readouterr().err
    words = ["--profile", EXHAUSTIVE, "--isa", "aarch64", "--cases", "40", "--json", "--jobs", "1", "--no-sweep"]
    assert cli.main(["fuzz", *words, "--out", str(tmp_path)]) in (0, 1)
    document = json.loads(capsys.readouterr().out)
    assert document["programs"] == 40 and not document["exhaustive"]["complete"]
    assert document["exhaustive"]["left"] == document["exhaustive"]["programs"] - 40 > 10_000
    assert cli.main(["fuzz", "--resume", str(tmp_path), "--cases", "64", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["programs"] == 64
