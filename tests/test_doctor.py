"""The doctor finds gaps, names the command for each, and is quick."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from liftcheck import doctor


def row(report: doctor.Report, name: str) -> doctor.Check:
    return next(check for check in report.checks if check.name == name)


def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_no_cargo_is_a_gap_that_matters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_path(monkeypatch, tmp_path)
    report = doctor.examine()
    assert row(report, "cargo").state == doctor.MISSING
    assert "rustup.rs" in row(report, "cargo").remedy
    assert not report.usable
    assert "cargo" in report.as_text().splitlines()[-1]


def test_no_qemu_is_a_gap_that_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_path(monkeypatch, tmp_path)
    for program in doctor.QEMU.values():
        check = row(doctor.examine(), program)
        assert check.state == doctor.LIMITED and not check.essential
        assert check.remedy == "apt-get install qemu-user"


def test_every_gap_that_can_be_closed_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_path(monkeypatch, tmp_path)
    for check in doctor.examine().checks:
        assert check.state == doctor.OK or check.remedy, check


def test_a_cpu_tells_its_features(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu sse4_2 popcnt avx avx512f\nprocessor : 1\n")
    assert doctor.cpu_features(cpuinfo) == ("has_sse42", "has_popcnt", "has_avx", "has_avx512f")
    assert doctor.cpu_features(tmp_path / "missing") == ()


@pytest.mark.parametrize(("text", "version"), [
    ("qemu-riscv64 version 7.2.22 (Debian 1:7.2+dfsg-7)", (7, 2)),
    ("qemu-s390x version 10.0.2", (10, 0)),
    ("no such thing", None),
])
def test_qemu_tells_its_version(text: str, version: tuple[int, int] | None) -> None:
    assert doctor.qemu_version(text) == version


def fake_qemu(folder: Path, version: str) -> None:
    program = folder / "qemu-riscv64"
    program.write_text(f"#!/bin/sh\necho 'qemu-riscv64 version {version}'\n")
    program.chmod(0o755)


@pytest.mark.parametrize(("version", "has", "lacks"), [("7.2.1", "Zbs", "Zicond"), ("8.2.0", "Zvbb", "")])
def test_an_old_qemu_lacks_extensions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, has: str,
                                      lacks: str) -> None:
    fake_qemu(tmp_path, version)
    empty_path(monkeypatch, tmp_path)
    check = row(doctor.examine(), "qemu-riscv64")
    have, _, lack = check.detail.partition("; lacks ")
    assert has in have and lacks in lack
    assert (check.state == doctor.LIMITED) == bool(lacks)


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
    assert {"python", "unicorn", "cargo", "rustc", "native", "cache folder"} <= {check.name for check in report.checks}
    assert report.as_json()["usable"] == report.usable
