"""`fuzz --resume` on the command line: what may differ from the campaign, and kind words for what may not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.toy_campaign import options, toy

from liftcheck import cli
from liftcheck.campaign import run
from liftcheck.commands import fuzz as command
from liftcheck.commands.resumed import campaign_options

SAME = ["--isa", "riscv64", "--seed", "4", "--opt", "none,speed", "--compiler", "cranelift"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A campaign of 64 programs that is complete."""
    toy(monkeypatch, options(tmp_path, cases=64))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["fuzz", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("liftcheck") and "Traceback" not in err and len(err) < 500
    return err


@pytest.mark.parametrize(
    "words, said",
    [
        (["--seed", "5"], "--seed 5: the campaign in .* has --seed 4"),
        (["--isa", "x86-64"], "--isa x86-64: .* has --isa riscv64"),
        (["--opt", "speed"], "--opt speed: .* has --opt none,speed"),
        (["--set", "is_pic"], "--set is_pic=true: .* has --set not given"),
        (["--runner", "qemu"], "--runner qemu: .* has --runner auto"),
        (["--profile", "calls"], "--profile calls"),
        (["--validate", "regalloc"], "--validate regalloc"),
        (["--no-sweep"], "--no-sweep given"),
        (["--compiler", "cranelift@0.130.0"], r"--compiler cranelift@0.130.0: .* has --compiler toy@1\.0"),
        (["--time", "5m"], "bounded by --cases 64"),
        (["--cases", "32"], "has judged 64 programs already"),
        (["--out", "elsewhere"], "--out elsewhere with --resume"),
    ],
)
def test_what_a_campaign_cannot_go_on_with(
    capsys: pytest.CaptureFixture[str], folder: Path, words: list[str], said: str
) -> None:
    assert re.search(said, refused(capsys, "--resume", str(folder), *words))


def test_a_folder_without_a_campaign(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no campaign here" in refused(capsys, "--resume", str(tmp_path))
    assert "no campaign here" in refused(capsys, "--resume", str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_the_same_command_line_with_resume_is_the_same_campaign(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    words = ["--resume", str(folder), *SAME, "--cases", "96", "--jobs", "2", "--json", "--out", str(folder)]
    assert cli.main(["fuzz", *words]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["programs"], document["seed"], document["compiler"]) == (96, 4, "toy@1.0")
    assert cli.main(["fuzz", "--resume", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert "campaign is complete" in err and "96" in out


def test_time_is_so_much_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = toy(monkeypatch, options(tmp_path, cases=None, seconds=0.3))
    parser = cli.parser_of(cli.COMMANDS["fuzz"], command)
    args = parser.parse_args(["--resume", str(tmp_path), "--time", "10m"])
    longer = campaign_options(args)
    assert longer.seconds is not None and 600 < longer.seconds < 600 + report.seconds + 5
    assert (longer.seed, longer.out, longer.cases) == (4, tmp_path, None)
    left = campaign_options(parser.parse_args(["--resume", str(tmp_path)]))
    assert left.seconds == 0.3
    with pytest.raises(Exception, match="bounded by time: give --time"):
        campaign_options(parser.parse_args(["--resume", str(tmp_path), "--cases", "99"]))


def test_without_resume_a_campaign_is_a_new_one(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[bool] = []
    real = run.Campaign.run
    monkeypatch.setattr(run.Campaign, "run", lambda self, is_resumed=False: began.append(is_resumed) or real(self))
    assert cli.main(["fuzz", *SAME, "--cases", "32", "--out", str(folder)]) == 1
    assert began == [False]
    assert "earlier campaign" in capsys.readouterr().err
