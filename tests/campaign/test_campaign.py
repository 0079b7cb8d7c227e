"""Campaigns end to end: the same verdicts whatever the jobs, honest counts, an end in time, findings that replay."""

from __future__ import annotations

import dataclasses
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support import campaign_hooks

from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.finding import Finding, fold_key
from liftcheck.campaign.findings.replay import replay
from liftcheck.campaign.options import BATCH, FuzzOptions, batch_cases, case_seed
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.report.fuzz import FuzzReport, tables
from liftcheck.campaign.report.live import headline, picture
from liftcheck.campaign.run import RESPITE, Campaign, Silent, fuzz
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.errors import Unavailable, UsageError
from liftcheck.isa import ISAS
from liftcheck.oracles.compare import COMPILER_PANIC

KEYS = {"programs", "pairs", "seconds", "findings", "undecided", "refused", "time_share", "executed", "behaviour"}


def options(**changes: Any) -> FuzzOptions:
    return FuzzOptions(**{"cases": 40, "seconds": None, "seed": 11, "jobs": 1, "reduce_seconds": 2.0, **changes})


def verdicts(report: FuzzReport) -> dict[str, Any]:
    """What must not depend on the number of workers."""
    document = report.document()
    isas = {
        isa: {name: value for name, value in row.items() if name != "pairs_per_second"}
        for isa, row in document["isas"].items()
    }
    return {
        "isas": isas,
        "programs": document["programs"],
        "pairs": document["pairs"],
        "executed": document["executed"],
        "behaviour": document["behaviour"],
        "undecided": document["undecided"],
        "refused": document["refused"],
    }


@pytest.mark.needs_compiler
def test_the_job_count_changes_nothing_but_speed() -> None:
    one, three = fuzz(options()), fuzz(options(jobs=3))
    assert verdicts(one) == verdicts(three)
    assert sorted(f.key for f in one.findings) == sorted(f.key for f in three.findings)


def kept(report: FuzzReport) -> list[tuple[object, ...]]:
    """What a campaign's folders hold, for people."""
    return sorted(
        (report.store.paths[f.key].name, f.number, f.reduced, f.count, f.note, print_module(f.case.module))
        for f in report.findings
    )


@pytest.mark.needs_compiler
def test_the_job_count_decides_neither_what_stands_for_a_finding_nor_what_is_reduced(tmp_path: Path) -> None:
    """Many findings of few kinds, so that most are folded, while batches end in any order."""
    reports = [
        fuzz(
            options(jobs=jobs, cases=224, isas=("riscv64",), sweep=False, out=tmp_path / str(jobs), reduce_seconds=4.0),
            hooks=campaign_hooks.code_is_wrong,
        )
        for jobs in (1, 3)
    ]
    assert len(reports[0].findings) > 1
    assert max(f.count for f in reports[0].findings) > 1
    assert kept(reports[0]) == kept(reports[1])
    assert verdicts(reports[0]) == verdicts(reports[1])


@pytest.mark.needs_compiler
def test_a_fault_of_one_register_allocator_is_found() -> None:
    """The sweep has batches with the other allocator, and their code is run like any other."""
    seed = next(seed for seed in range(100) if has_single_pass(seed))
    report = fuzz(options(isas=("riscv64",), cases=BATCH, seed=seed), hooks=campaign_hooks.single_pass_is_wrong)
    found = [finding for finding in report.findings if finding.failure is None]
    assert found and all(("regalloc_algorithm", "single_pass") in finding.target.settings for finding in found)


def has_single_pass(seed: int) -> bool:
    """Whether the first batch draws it; three of sixteen do."""
    (target, *_) = Planner(options(isas=("riscv64",), seed=seed)).plan(0).targets
    return ("regalloc_algorithm", "single_pass") in target.settings


@pytest.mark.needs_compiler
def test_programs_do_not_depend_on_who_generates_them() -> None:
    texts = []
    for _ in range(2):
        planner = Planner(options())
        texts.append([print_module(case.module) for case in planner.plan(0).generate(None, [])])
        planner.open_compiler().close()
        planner.runners.close()
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == BATCH


@pytest.mark.needs_compiler
def test_one_case_is_the_same_alone_as_in_its_batch() -> None:
    planner = Planner(options())
    plan = planner.plan(0)
    whole = plan.generate(None, [])
    alone = plan.generate(5, [])
    planner.open_compiler().close()
    planner.runners.close()
    assert [(c.inputs, c.slot, c.name) for c in alone] == [
        (c.inputs, c.slot, c.name) for c in whole if c.name == alone[0].name
    ]


def test_case_numbers_are_cut_into_batches_without_gaps() -> None:
    chosen = options(cases=40)
    assert [n for b in range(5) for n in batch_cases(chosen, b)] == list(range(40))
    assert len({case_seed(1, n) for n in range(1000)} | {case_seed(2, n) for n in range(1000)}) == 2000


@pytest.mark.needs_compiler
def test_the_report_says_everything() -> None:
    report = fuzz(options(cases=64))
    document = json.loads(json.dumps(report.document()))
    assert set(document) >= KEYS
    assert document["programs"] == 64
    assert set(document["executed"]) == set(ISAS)
    for isa, row in document["isas"].items():
        assert row["pairs"] == row["agreed"] + sum(row["disagreed"].values())
        assert 0 < row["pairs"] <= 2 * 64
        assert len(document["executed"][isa]) > 50
    assert document["pairs"] == sum(row["pairs"] for row in document["isas"].values())
    assert abs(sum(document["time_share"].values()) - 1) < 0.01
    assert tables(report)
    assert "64 programs" in headline(report)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(picture(report, "rules executed: none"))
    shown = console.export_text().splitlines()
    assert len(shown) == 3 + len(ISAS) and "64 programs" in shown[0] and "rules executed" in shown[-1]
    for isa, line in zip(report.options.isas, shown[2:]):
        assert line.split()[0] == isa and line.split()[2] == f"{document['isas'][isa]['pairs']:,}"


@pytest.mark.needs_compiler
def test_a_campaign_ends_in_time() -> None:
    started = time.monotonic()
    report = fuzz(options(cases=None, seconds=8.0, jobs=2))
    assert report.seconds >= 8.0
    assert time.monotonic() - started < 60
    assert report.tally.programs > 0


@pytest.mark.needs_compiler
def test_reductions_leave_the_time_to_programs_and_end_with_the_campaign() -> None:
    """Every program panics for a reason of its own: there is always something to reduce."""
    report = fuzz(
        options(cases=None, seconds=12.0, isas=("riscv64",), sweep=False, reduce_seconds=60.0),
        hooks=campaign_hooks.all_is_broken,
    )
    assert report.seconds < 22.0
    assert report.tally.seconds["reduce"] < 0.2 * 12.0 + 5.0
    assert report.reductions_left > 0
    left = [f for f in report.findings if not f.reduced]
    assert left and all("time was up" in f.note for f in left)


def test_filetests_come_first_when_no_more_programs_are_wanted() -> None:
    campaign = Campaign(options(cases=None, seconds=30.0), Silent(), None)
    for number in range(2):
        module = parse_module("function %f() system_v {\nblock0:\n    return\n}\n")
        failure = CompileFailure("panic", f"planted {number}", place="lib.rs:1")
        found = Finding(COMPILER_PANIC, Case(module, 0, ((),)), Target("riscv64"), failure=failure, number=number)
        campaign.docket.arrived(dataclasses.replace(found, key=fold_key(found)), 0.0)
    assert campaign._feed(0, False) is None  # a slice is due: the worker is left to become idle
    campaign.started -= 30.0
    tasks = [campaign._feed(seat, True) for seat in range(3)]
    assert [task and (task.kind, task.finding and task.finding.number) for task in tasks[:2]] == [
        ("state", 0),
        ("state", 1),
    ]
    assert tasks[2] is None
    campaign.unanswered.clear()
    campaign.report.tally.programs = 1
    campaign.started -= RESPITE + 0.1
    assert not campaign._is_late()
    for entry in campaign.docket.waiting:
        campaign.docket.stated(entry, [])
    campaign.slices.running.clear()
    assert campaign._is_late()


@pytest.mark.needs_compiler
@pytest.mark.parametrize("isa", ISAS)
def test_one_isa_alone(isa: str) -> None:
    report = fuzz(options(isas=(isa,), cases=16))
    assert set(report.document()["isas"]) == {isa}
    assert report.tally.pairs[isa] > 0


@pytest.mark.needs_compiler
def test_levels_settings_and_runner_are_obeyed() -> None:
    report = fuzz(
        options(
            isas=("x86-64",),
            opt_levels=("speed",),
            runners=("unicorn",),
            sweep=False,
            cases=16,
            settings=(("regalloc_algorithm", "single_pass"),),
        )
    )
    assert report.tally.pairs["x86-64"] <= 16
    planner = Planner(
        options(isas=("x86-64",), opt_levels=("speed",), sweep=False, settings=(("regalloc_algorithm", "single_pass"),))
    )
    (target,) = planner.plan(0).targets
    assert {("opt_level", "speed"), ("regalloc_algorithm", "single_pass")} <= set(target.settings)
    planner.open_compiler().close()
    planner.runners.close()


@pytest.mark.needs_compiler
def test_unknown_settings_profiles_and_runners_are_told_at_once() -> None:
    with pytest.raises(UsageError, match="no_such_setting"):
        fuzz(options(settings=(("no_such_setting", "true"),)))
    with pytest.raises(UsageError, match="no_such_profile"):
        fuzz(options(profiles=("no_such_profile",)))
    with pytest.raises(Unavailable, match="riscv64"):
        fuzz(options(isas=("riscv64",), runners=("native",)))


@pytest.mark.needs_compiler
def test_a_finding_is_kept_whole_and_replays(tmp_path: Path) -> None:
    """A reference that is wrong makes a finding; its replay, with a right one, no longer disagrees."""
    report = fuzz(options(out=tmp_path, cases=16, jobs=2), hooks=campaign_hooks.reference_is_wrong)
    assert report.exit_code == 1
    mine = [f for f in report.findings if f.klass == "wrong meaning"]
    assert mine
    folder = report.store.paths[mine[0].key]
    assert {p.name for p in folder.iterdir()} >= {"README.md", "finding.json", "program.clif"}
    page = (folder / "README.md").read_text()
    assert "liftcheck replay" in page and "bug of liftcheck" in page and "Who stands against whom" in page
    loaded = store.load(folder)
    assert (loaded.klass, loaded.target, loaded.case.inputs) == (mine[0].klass, mine[0].target, mine[0].case.inputs)
    assert print_module(loaded.case.module) == print_module(mine[0].case.module)
    replayed = replay(folder)
    assert (replayed.still, replayed.exit_code) == (False, 0)
    assert "no longer disagrees" in replayed.text()


@pytest.mark.needs_compiler
def test_equal_panics_fold_into_one(tmp_path: Path) -> None:
    report = fuzz(options(out=tmp_path, isas=("riscv64",), cases=64), hooks=campaign_hooks.compiler_panics)
    panics = [f for f in report.findings if f.failure is not None and f.failure.reason == "planted panic"]
    assert len(panics) == 1
    assert panics[0].count > 1
    assert len([p for p in tmp_path.iterdir() if "planted" in p.name]) == 1
    saved = json.loads((report.store.paths[panics[0].key] / "finding.json").read_text())
    assert saved["count"] == panics[0].count
