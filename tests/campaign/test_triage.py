"""Findings by cause, out of folders of several campaigns; and the lists that are made of them."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path

import pytest
from support.reports import NASTY, TARGET, finding

from liftcheck import cli
from liftcheck.campaign.findings.finding import Finding, cause_key
from liftcheck.campaign.findings.known import read
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.triage import LASTS, size, triage, write
from liftcheck.case import Target
from liftcheck.errors import InputError

PAGE = "docs/findings/riscv64-fs1-not-saved.md"
TODAY = datetime.date(2026, 11, 30)


def made(key: str, **changes: object) -> Finding:
    return dataclasses.replace(finding(compiler="cranelift@0.135.8"), key=key, **changes)  # type: ignore[arg-type]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two campaigns' folders: a cause that both have, one with a page, one of odd words, two without."""
    both = made("a", reduced=True, fired=("lower.isle:1 lower",))
    odd = made("e", reduced=True, target=Target("s390x"), damaged=(NASTY,))
    for name, findings in {
        "one": [both, made("b", fault=PAGE), made("d"), odd],
        "two": [dataclasses.replace(both, compiler="cranelift@0.130.0"), made("c")],
    }.items():  # fmt: skip
        store = Store(tmp_path / name)
        for one in findings:
            store.save(one.key, one)
    return [tmp_path / "one", tmp_path / "two"]


def test_findings_of_all_folders_by_cause(folders: list[Path]) -> None:
    found = triage(folders)
    first, *middle, last = found.causes
    assert (first.count, len(first.findings), first.compilers) == (6, 2, ("cranelift@0.130.0", "cranelift@0.135.8"))
    assert first.key.startswith("wrong value | riscv64 | iadd.i64")
    assert {one.link.rpartition("/")[2] for one in middle} == {"", "riscv64-fs1-not-saved.md"}
    assert (last.key, last.count, len(last.findings), last.isas) == ("", 6, 2, ("riscv64",))
    assert found.new == 4 and size(first.smallest.finding) == 2


def test_a_folder_of_one_finding_is_taken_too_and_counts_once(folders: list[Path]) -> None:
    place = next(folders[0].glob("*/finding.json")).parent
    assert triage([place]).causes[0].count == 3
    assert triage([place, *folders]).causes[0].count == 6


def test_what_is_written_excuses_just_what_has_a_cause(folders: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    assert write(file, triage(folders), TODAY) == 3
    listed = read(file)
    assert {one.until for one in listed} == {TODAY + LASTS}
    assert any(NASTY.encode("unicode_escape")[:3].decode() in one.cause for one in listed)
    again = triage(folders, listed)
    assert [one.key for one in again.causes if one.standing.entry is None] == [""]
    by_cause = {one.cause: one for one in listed}
    first = again.causes[0]
    assert by_cause[first.key].versions == ((">=", (0, 130, 0)),)
    file.write_text(file.read_text() + "# mine\n")
    assert write(file, triage(folders), TODAY) == 0 and "# mine" in file.read_text()


def test_a_list_of_a_newer_version_does_not_excuse_an_older_one(folders: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    write(file, triage(folders[:1]), TODAY)
    first = triage(folders, read(file)).causes[0]
    assert first.standing.entry is None and "knows it of other versions" in first.standing.why


def test_the_command(folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["triage", *map(str, folders)]
    assert cli.main([*words, "--json", "--write-known", str(tmp_path / "k.toml")]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["written"], document["new"], len(document["causes"])) == (2, 3, 4)  # the page is known already
    assert "2 causes added" in err
    (folders[0] / "broken").mkdir()
    (folders[0] / "broken" / "finding.json").write_text("{")
    assert cli.main([*words, "--known", str(tmp_path / "k.toml")]) == 1
    out, err = capsys.readouterr()
    assert "4 causes, 1 new" in out and "not reduced: wrong result on riscv64" in out
    assert "not a finding" in err and "broken" in err


def test_wrong_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="no such folder"):
        triage([tmp_path / "nowhere"])
    assert cli.main(["triage", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no findings\n"
    assert cli.main(["triage", str(tmp_path), "--write-known", str(tmp_path / "no" / "k.toml")]) == 2
    assert cli.main(["triage", str(tmp_path), "--write-known", str(tmp_path)]) == 2
    assert cause_key(finding()) == "" and TARGET.isa == "riscv64"
