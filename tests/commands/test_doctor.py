"""The doctor finds gaps, names the command for each, and is quick."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from liftcheck import doctor
from liftcheck.isa import ISAS
from liftcheck.runners.pool import Abilities
from liftcheck.runners.probes import Lack
from liftcheck.runners.qemu import version_in


def row(report: doctor.Report, name: str) -> doctor.Check:
    return next(check for check in report.checks if check.name == name)


def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without programs, on which nothing was built yet."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LIFTCHECK_CACHE", str(tmp_path / "cache"))


def test_no_cargo_is_a_gap_that_matters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_path(monkeypatch, tmp_path)
    report = doctor.examine()
    assert row(report, "cargo").state == doctor.MISSING
    assert "rustup.rs" in row(report, "cargo").remedy
    assert not report.usable
    assert "cargo" in report.as_text().splitlines()[-1]


def test_no_cargo_is_no_gap_where_a_compiler_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_path(monkeypatch, tmp_path)
    folder = tmp_path / "cache" / "bridges" / "0.135.8-fuzz-0"
    folder.mkdir(parents=True)
    (folder / "liftcheck-bridge").touch()
    record = {
        "spec": "cranelift@0.135.8",
        "version": "0.135.8",
        "profile": "fuzz",
        "key": "0",
        "seconds": 1.0,
        "rustc": "1.95.0",
    }
    (folder / "build.json").write_text(json.dumps(record))
    report = doctor.examine()
    assert not row(report, "cargo").essential and row(report, "cranelift@0.135.8").state == doctor.OK


def test_no_qemu_is_a_gap_that_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_path(monkeypatch, tmp_path)
    checks = [check for check in doctor.examine().checks if check.name.startswith("qemu ")]
    assert {check.name for check in checks} == {f"qemu {isa}" for isa in ISAS}
    for check in checks:
        assert check.state == doctor.LIMITED and not check.essential
        assert check.remedy == "apt-get install qemu-user"


def test_every_gap_that_can_be_closed_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_path(monkeypatch, tmp_path)
    for check in doctor.examine().checks:
        assert check.state == doctor.OK or check.remedy or check.name.startswith("native"), check


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("qemu-riscv64 version 7.2.22 (Debian 1:7.2+dfsg-7)", "7.2.22"),
        ("qemu-s390x version 10.0", "10.0"),
        ("no such thing", ""),
    ],
)
def test_qemu_tells_its_version(text: str, version: str) -> None:
    assert version_in(text) == version


def test_a_runner_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    lack = Lack(frozenset({"has_zfa", "has_zfh"}), "fli.h")
    has = {"unicorn": Abilities(frozenset({"has_zca"}), (lack,)), "qemu": "there is no qemu-riscv64 on the PATH"}
    monkeypatch.setattr("liftcheck.runners.pool.available_runners", lambda isa: has)
    checks = doctor.examine()
    assert "; lacks " in row(checks, "unicorn riscv64").detail
    assert "lacks single instructions: fli.h (zfa with zfh)" in row(checks, "unicorn riscv64").detail
    assert "zicond" in row(checks, "unicorn riscv64").detail.partition("lacks")[2]
    assert row(checks, "qemu riscv64").state == doctor.LIMITED


def test_a_full_disk_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_SPACE", 10**18)
    assert row(doctor.examine(), "cache folder").state == doctor.LIMITED


def test_an_old_package_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.0.1")
    assert row(doctor.examine(), "unicorn").state == doctor.LIMITED


def test_the_doctor_is_quick_and_complete() -> None:
    start = time.monotonic()
    report = doctor.examine()
    assert time.monotonic() - start < 5
    assert {"python", "unicorn s390x", "cargo", "rustc", "cache folder"} <= {check.name for check in report.checks}
    assert report.as_json()["usable"] == report.usable
