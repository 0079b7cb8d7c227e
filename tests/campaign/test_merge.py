"""Merged campaigns: sums, nothing twice, findings by their keys; the parts of one seed come to that seed's campaign."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.examples import sparse
from support.toy_campaign import ToyPlanner, options, toy

from liftcheck import cli
from liftcheck.campaign import merge as merging
from liftcheck.campaign.findings import store
from liftcheck.campaign.keep import database, journal, kept
from liftcheck.campaign.keep.plain import plain
from liftcheck.campaign.merge import Merged, merge
from liftcheck.campaign.options import BATCH
from liftcheck.campaign.recall import recalled
from liftcheck.campaign.report import rule_coverage
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.errors import InputError, UsageError


def verdicts(report: FuzzReport) -> dict[str, Any]:
    """What must add up."""
    tally = report.tally
    return {
        "programs": tally.programs,
        "pairs": tally.pairs,
        "agreed": tally.agreed,
        "disagreed": tally.disagreed,
        "refused": tally.refused,
        "executed": tally.executed,
        "troubles": sorted(report.troubles),
        "findings": {f.key: (f.number, f.count, f.reduced, f.note) for f in report.findings},
    }


def folders(into: Path) -> dict[str, int]:
    """Name -> count of the findings' folders."""
    return {place.parent.name: store.load(place).count for place in into.glob(f"*/{store.RECIPE}")}


def test_a_folder_remembers_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = toy(monkeypatch, options(tmp_path)).document()
    (held,) = kept.all_in(tmp_path)
    again = recalled(held).document()
    for document in (told, again):
        for name in ("seconds", "pairs_per_second", "time_share", "activity"):
            document.pop(name, None)
        for row in document["isas"].values():
            row.pop("pairs_per_second")
    assert again == told


def test_different_seeds_add_up_and_equal_findings_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [toy(monkeypatch, options(tmp_path / str(seed), seed=seed, cases=96 + 32 * seed)) for seed in (1, 2)]
    merged = merge([tmp_path / "1", tmp_path / "2"], tmp_path / "both")
    (report,) = merged.reports
    assert report.tally.programs == sum(part.tally.programs for part in parts) == 288
    for name in ("pairs", "agreed", "refused", "disagreed"):
        assert getattr(report.tally, name) == sum(
            (getattr(part.tally, name) for part in parts), type(report.tally.pairs)()
        )
    counts: dict[str, int] = {}
    for finding in (finding for part in parts for finding in part.findings):
        counts[finding.key] = counts.get(finding.key, 0) + finding.count
    assert {finding.key: finding.count for finding in report.findings} == counts
    assert len(counts) < sum(len(part.findings) for part in parts)
    assert sorted(folders(tmp_path / "both").values()) == sorted(counts.values())
    assert report.seeds == (1, 2) and [source.repeated for source in merged.sources] == [0, 0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, int]]:
    """The verdicts and the folders of the undivided campaign."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        return verdicts(toy(patch, options(out))), folders(out)


@pytest.mark.parametrize("cases", sparse([(320, 320), (320,), (40, 300, 320), (160, 320), (320, 40)], 2))
def test_the_same_seed_counts_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: tuple[dict[str, Any], dict[str, int]],
    cases: tuple[int, ...],
) -> None:
    parts = [tmp_path / f"{number}" for number in range(len(cases))]
    for part, count in zip(parts, cases):
        toy(monkeypatch, options(part, cases=count), order=count)
    merged = merge(parts, tmp_path / "both")
    (report,) = merged.reports
    assert (verdicts(report), folders(tmp_path / "both")) == whole
    (source,) = merged.sources
    assert source.programs == 320 and source.repeated == sum(cases) - 320


def test_parts_that_overlap_in_the_midst_come_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has batches 0 … 6 without 4, the other 2 … 9 (rows of several batches, and a journal with holes)."""
    monkeypatch.setattr(journal, "GROUP", 3)
    wanted = verdicts(toy(monkeypatch, options(tmp_path / "whole")))
    for name, gone in (("a", (4, 7, 8, 9)), ("b", (0, 1))):
        toy(monkeypatch, options(tmp_path / name))
        held = database.make(tmp_path / name / database.NAME)
        if name == "b":  # its first row is of three batches: as if it had begun otherwise
            held.write([("DELETE FROM batch WHERE first < 3", ()), ("DELETE FROM event WHERE batch < 3", ())])
            gone = ()
        for batch in gone:
            start = batch // 3 * 3
            held.write([("DELETE FROM batch WHERE first IN (?, ?)", (batch, start))])
            held.write([("DELETE FROM event WHERE batch BETWEEN ? AND ?", (start, start + 2))])
        held.close()
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert verdicts(merged.reports[0]) == wanted


def test_a_campaign_and_its_copy_that_went_on_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, options(tmp_path / "a", cases=160))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    longer = toy(monkeypatch, options(tmp_path / "b"), is_resumed=True)
    merged = merge([tmp_path / "a", tmp_path / "b", tmp_path / "a"], tmp_path / "both")
    assert verdicts(merged.reports[0]) == verdicts(longer)
    assert merged.reports[0].seconds == pytest.approx(kept.all_in(tmp_path / "b")[0].seconds)


def test_different_compilers_and_options_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, options(tmp_path / "a"))
    toy(monkeypatch, options(tmp_path / "b", opt_levels=("none",)))
    monkeypatch.setattr(ToyPlanner, "compiler", "toy@2.0")
    toy(monkeypatch, options(tmp_path / "c"))
    merged = merge([tmp_path / name for name in "abc"], tmp_path / "all")
    assert [report.compiler for report in merged.reports] == ["toy@1.0", "toy@2.0"]
    assert [report.tally.programs for report in merged.reports] == [640, 320]
    assert len(merged.sources) == 3 and all(source.repeated == 0 for source in merged.sources)
    assert len(folders(tmp_path / "all")) == 2 * len(merged.reports[1].findings)


def test_merged_folders_are_merged_again_and_not_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (1, 2, 3):
        toy(monkeypatch, options(tmp_path / str(seed), seed=seed, cases=96))
    at_once = merge([tmp_path / str(seed) for seed in (1, 2, 3)], tmp_path / "at once")
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "two")
    in_turn = merge([tmp_path / "two", tmp_path / "3", tmp_path / "1"], tmp_path / "in turn")
    assert verdicts(in_turn.reports[0]) == verdicts(at_once.reports[0])
    assert folders(tmp_path / "in turn") == folders(tmp_path / "at once")
    with pytest.raises(UsageError, match="made by `liftcheck merge`"):
        toy(monkeypatch, options(tmp_path / "two", cases=128), is_resumed=True)


def test_executed_rules_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (1, 2):
        report = toy(monkeypatch, options(tmp_path / str(seed), seed=seed, cases=32))
        report.tally.traced, report.tally.fired = 32, Counter({("riscv64", "a.isle:1"): seed})
        report.tally.firsts = {("riscv64", "a.isle:1"): 7}
        covered = rule_coverage.of_campaign(report.compiler, "1.0", seed, report.tally)
        rule_coverage.save(tmp_path / str(seed), [covered])
        held = database.make(tmp_path / str(seed) / database.NAME)
        held.write([("UPDATE batch SET tally = ?", (database.packed(plain(report.tally)),))])
        held.close()
    merge([tmp_path / "1", tmp_path / "2", tmp_path / "1"], tmp_path / "both")
    (covered,) = rule_coverage.load(tmp_path / "both")
    assert (covered.programs, covered.campaigns) == (64, 2)
    assert covered.hits["riscv64"]["a.isle:1"] == (3, 1, 7)


def test_what_is_not_read_or_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, options(tmp_path / "a", cases=64))
    with pytest.raises(InputError, match="no campaign here"):
        merge([tmp_path / "a", tmp_path / "nowhere"], tmp_path / "c")
    with pytest.raises(UsageError, match="it exists already"):
        merge([tmp_path / "a"], tmp_path / "a")

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "_rows", fails)
    with pytest.raises(OSError, match="No space"):
        merge([tmp_path / "a"], tmp_path / "c")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["a"]


def test_the_command_says_where_it_all_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed, cases in (("a", 1, 96), ("b", 1, 64), ("c", 2, 32)):
        toy(monkeypatch, options(tmp_path / name, seed=seed, cases=cases))
    words = [str(tmp_path / name) for name in "abc"]
    assert cli.main(["merge", *words, "--into", str(tmp_path / "all")]) == 1
    out = capsys.readouterr().out
    assert "seed 1: 96 programs, of which 64 were in several and count once" in out
    assert "toy@1.0, 2 seeds" in out
    assert cli.main(["merge", *words, "--into", str(tmp_path / "again"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [row["programs"] for row in document["campaigns"]] == [96, 32]
    assert document["reports"][0]["programs"] == 128 and document["reports"][0]["seeds"] == [1, 2]
    assert cli.main(["merge", *words]) == 2
    assert "--into DIR" in capsys.readouterr().err


def test_nothing_found_is_exit_code_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, options(tmp_path / "a", cases=3))
    merged: Merged = merge([tmp_path / "a"], tmp_path / "b")
    assert merged.exit_code == 0 and merged.reports[0].tally.programs == 3 < BATCH
