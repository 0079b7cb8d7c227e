"""Two compilers on the same programs: what only one of them gets wrong, what both do, and what fails the campaign."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import campaign_hooks

from liftcheck.campaign.findings import beside, store
from liftcheck.campaign.findings.docket import twin
from liftcheck.campaign.findings.finding import Finding, Like, decode, encode, fold_key
from liftcheck.campaign.findings.replay import reduce_again
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.report.fuzz import FuzzReport
from liftcheck.campaign.report.results import results
from liftcheck.campaign.run import fuzz
from liftcheck.case import Case, CompileFailure, Outcome, Target
from liftcheck.cli import main
from liftcheck.clif.text.parser import parse_module
from liftcheck.commands.options import two_compilers
from liftcheck.compilers.base import Setting, shared_settings
from liftcheck.compilers.matrix import Matrix, common
from liftcheck.errors import UsageError
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.compare import COMPILER_PANIC, DISAGREE, WRONG_RESULT, Verdict
from liftcheck.oracles.tally import Tally

TOY = Path(__file__).resolve().parents[1] / "support" / "toy_compiler"
TEXT = "function %f(i32) -> i32 system_v {\nblock0(v0: i32):\n    v1 = iadd v0, v0\n    return v1\n}\n"
CASE = Case(parse_module(TEXT), 0, ((3,),), name="seed 1 case 2")
TARGET = Target("aarch64")


def options(**changes: Any) -> FuzzOptions:
    both = {"compiler": "cranelift", "baseline": "cranelift"}
    return FuzzOptions(
        **{"cases": 32, "seconds": None, "seed": 11, "jobs": 1, "reduce_seconds": 1.0, **both, **changes}
    )


def finding(**changes: Any) -> Finding:
    return Finding(
        **{"klass": WRONG_RESULT, "case": CASE, "target": TARGET, "compiler": "new", "other": "old", **changes}
    )


@pytest.mark.needs_compiler
def test_a_compiler_beside_itself_fails_nothing(tmp_path: Path) -> None:
    report = fuzz(options(isas=("riscv64",), cases=96, out=tmp_path))
    assert report.exit_code == 0
    assert {one.whose for one in report.findings} <= {"both"}
    assert report.tally.baseline["riscv64", "pairs"] == report.tally.pairs["riscv64"] > 100
    assert report.document()["baseline"]["compiler"] == "cranelift"


@pytest.mark.needs_compiler
def test_a_fault_of_the_second_alone_is_found_and_stays_its_own(tmp_path: Path) -> None:
    report = fuzz(options(isas=("riscv64",), sweep=False, out=tmp_path), hooks=campaign_hooks.code_is_wrong)
    name = report.compiler
    counted = [one for one in report.findings if not one.spared]
    assert report.exit_code == 1 and counted
    assert {one.beside for one in counted} == {beside.RIGHT} and {one.whose for one in counted} == {f"only {name}"}
    assert any(one.reduced for one in counted)
    folder = report.store.paths[counted[0].key]
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert f"`{counted[0].other}`, with the same program on the same target: right." in page
    assert store.load(folder).beside == beside.RIGHT


def toys(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(TOY), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "liftcheck", "fuzz", "--isa", "x86-64", "--runner", "unicorn", "--cases", "4"]
    command += ["--seed", "1", "--jobs", "1", "--reduce", "0.2s", "--opt", "none", "--no-sweep", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.needs_compiler
def test_only_what_the_second_gets_wrong_fails(tmp_path: Path) -> None:
    fixed = toys(tmp_path, "--compiler", "toy@wrong", "--compiler", "toy", "--out", "fixed")
    assert fixed.returncode == 0 and "only toy@wrong" in fixed.stdout, fixed.stderr
    broken = toys(tmp_path, "--compiler", "toy", "--compiler", "toy@wrong", "--junit", "broken.xml", "--out", "broken")
    assert broken.returncode == 1 and "0 only toy, 0 both" in broken.stdout, broken.stderr
    assert "only toy@wrong" in (tmp_path / "broken.xml").read_text()
    again = toys(tmp_path, "--compiler", "toy@wrong", "--compiler", "toy@wrong", "--out", "again")
    assert again.returncode == 0 and "0 only toy@wrong" in again.stdout, again.stderr


@pytest.mark.needs_compiler
def test_a_campaign_on_two_goes_on_as_it_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "kept")
    words = ["fuzz", "--compiler", "cranelift", "--compiler", "cranelift", "--isa", "aarch64", "--seed", "3"]
    assert main([*words, "--cases", "32", "--out", folder, "--jobs", "1"]) == 0
    assert main(["fuzz", "--resume", folder, "--compiler", "cranelift"]) == 2
    assert "--compiler once as the first: the campaign" in capsys.readouterr().err
    assert main(["fuzz", "--resume", folder, "--cases", "64", "--jobs", "1"]) == 0
    assert "against cranelift@" in capsys.readouterr().err


def test_how_many_compilers() -> None:
    assert two_compilers(None) == ("", "cranelift")
    assert two_compilers(["a"]) == ("", "a")
    assert two_compilers(["a", "b"]) == ("a", "b")
    with pytest.raises(UsageError, match="the second against the first"):
        two_compilers(["a", "b", "c"])


def test_findings_of_one_and_of_both_are_never_one() -> None:
    keys = {fold_key(finding(beside=answer)) for answer in (beside.WRONG, beside.RIGHT)}
    assert len(keys | {fold_key(finding(other=""))}) == 3
    assert fold_key(finding(beside="refused: no i128")) == fold_key(finding(beside=beside.RIGHT))
    like = Like("key", finding().row.fold_name, "aarch64", frozenset(), "both")
    assert twin([like], WRONG_RESULT, "aarch64", frozenset(), "both") is like
    assert twin([like], WRONG_RESULT, "aarch64", frozenset(), "only new") is None


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (finding(beside=beside.RIGHT), 1),
        (finding(beside="refused: no such type"), 1),
        (finding(beside="wrong otherwise: compiler panic"), 1),
        (finding(beside="undecided: no runner"), 1),
        (finding(beside=beside.WRONG, spared=True), 0),
        (finding(compiler="old", other="new", beside=beside.RIGHT, spared=True), 0),
        (finding(other=""), 1),
    ],
)
def test_what_counts(one: Finding, code: int) -> None:
    report = FuzzReport(options(), store.Store(None), "new", findings=[dataclasses.replace(one, key="k")])
    assert report.exit_code == code
    (entry,) = [one for one in results("fuzz", report.document(), code).entries if one.key == "k"]
    assert entry.state == ("failed" if code else "known")


def test_a_finding_keeps_what_the_other_does() -> None:
    one = finding(beside=beside.RIGHT, seed=1, number=2)
    again = decode(encode(one), "here")
    assert (again.other, again.beside, again.whose, again.spared) == ("old", beside.RIGHT, "only new", False)


class OneAnswer:
    """A judge that finds one mismatch, or none and a count."""

    def __init__(self, mismatch: Mismatch | None = None, **counts: Any) -> None:
        self.mismatch, self.counts = mismatch, counts

    def asking(self, _oracles: Any) -> OneAnswer:
        return self

    def judge(self, cases: Any, targets: Any, tally: Tally) -> list[Mismatch]:
        for name, counter in self.counts.items():
            getattr(tally, name).update(counter)
        return [self.mismatch] if self.mismatch is not None else []


def panic(reason: str, place: str) -> CompileFailure:
    return CompileFailure("panic", reason, reason, place)


WRONG = Mismatch(0, TARGET, Verdict(DISAGREE, WRONG_RESULT, ""), actual=Outcome("returned", (1,)))


@pytest.mark.parametrize(
    ("judge", "asked", "answer"),
    [
        (OneAnswer(WRONG), finding(), "wrong"),
        (OneAnswer(Mismatch(0, TARGET, Verdict(DISAGREE, COMPILER_PANIC, ""), failure=panic("a", "x.rs:1:1"))),
         finding(klass=COMPILER_PANIC, failure=panic("a", "x.rs:9:9")), "wrong"),
        (OneAnswer(Mismatch(0, TARGET, Verdict(DISAGREE, COMPILER_PANIC, ""), failure=panic("a", "x.rs:1:1"))),
         finding(klass=COMPILER_PANIC, failure=panic("b", "x.rs:1:1")), "wrong otherwise: compiler panic"),
        (OneAnswer(agreed=Counter({"aarch64": 1})), finding(), "right"),
        (OneAnswer(refused=Counter({("aarch64", "no i128"): 1})), finding(), "refused: no i128"),
        (OneAnswer(undecided=Counter({("aarch64", "time"): 1})), finding(), "undecided: time"),
    ],
)  # fmt: skip
def test_what_the_other_answers(judge: Any, asked: Finding, answer: str) -> None:
    assert beside.Other(judge, True).answer(CASE, TARGET, asked) == answer


def test_the_baselines_counts_stand_apart() -> None:
    tally = Tally(pairs=Counter(s390x=3), agreed=Counter(s390x=2), refused=Counter({("s390x", "no f16"): 4}))
    tally.spend("run", 2.0)
    made = beside.tally_of(tally, "old")
    assert not made.pairs and not made.agreed and made.refused == {("s390x", "old: no f16"): 4}
    assert made.baseline == {("s390x", "pairs"): 3, ("s390x", "agreed"): 2} and made.seconds == {"run": 2.0}


def test_programs_are_of_what_both_have() -> None:
    one = Matrix("a", TARGET, frozenset({"x", "y", "z"}), {"w": "gap"}, {"w": ("eq", "ne")})
    other = Matrix("b", TARGET, frozenset({"x", "w"}), {"y": "gone"}, {"z": ("add",)})
    both = common(one, other)
    assert both.has == {"x"} and both.choices == {"w": ("eq", "ne"), "z": ("add",)}
    assert both.reason("y") == "gone" and common(one, one).has == one.has


def test_settings_are_those_of_both() -> None:
    old = {
        "opt": Setting("opt", "enum", ("none", "speed"), "none", "", True),
        "gone": Setting("gone", "bool", (), "", "", True),
    }
    new = {
        "opt": Setting("opt", "enum", ("speed", "size"), "none", "", True),
        "new": Setting("new", "bool", (), "", "", True),
    }
    both = shared_settings(new, old)
    assert list(both) == ["opt"] and both["opt"].values == ("speed",)


@pytest.mark.needs_compiler
def test_a_finding_is_reduced_later_against_the_other(tmp_path: Path) -> None:
    """`reduce` keeps to what the campaign asked: without the planted fault nothing stands for the finding."""
    report = fuzz(options(isas=("riscv64",), sweep=False, out=tmp_path), hooks=campaign_hooks.code_is_wrong)
    folder = next(report.store.paths[one.key] for one in report.findings if not one.spared)
    reduced, *_ = reduce_again(folder, 1.0)
    assert reduced.other == store.load(folder).other and "Not reduced" in reduced.note
