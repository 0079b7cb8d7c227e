"""The command line: help, exit codes, and one clear message for whatever is wrong with the words on it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liftcheck import __version__, cli
from liftcheck.commands import options
from liftcheck.isa import ISAS

LIFTCHECK = [sys.executable, "-m", "liftcheck"]
FILE_COMMANDS = ("interpret", "run", "compile", "test")


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of one command line."""
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    """The one message of a command line that must be refused, with nothing on standard output."""
    got, out, err = outcome(capsys, *words)
    assert (got, out) == (code, ""), (got, out, err)
    assert "Traceback" not in err and "bug in liftcheck" not in err
    assert err.startswith("liftcheck") and len(err) < 2000
    return err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["-h"], ["help"]):
        code, out, _ = outcome(capsys, *words)
        assert code == 0 and all(name in out for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    for words in ([name, "--help"], ["help", name]):
        code, out, err = outcome(capsys, *words)
        assert code == 0 and out.startswith(f"usage: liftcheck {name}") and "--json" in out and err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(capsys, "--version") == (0, f"liftcheck {__version__}\n", "")


def test_no_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys)
    assert code == 2 and "Usage" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fuz"], "did you mean fuzz?"),
        (["--isa", "riscv64"], "options stand after the command"),
        (["fuzz", "--isa", "risc64"], "did you mean riscv64?"),
        (["fuzz", "--isa", "sparc"], "unknown ISA 'sparc'"),
        (["fuzz", "--isa", ""], "empty item"),
        (["fuzz", "--isaa", "riscv64"], "did you mean --isa?"),
        (["fuzz", "--js"], "unknown option --js"),
        (["fuzz", "riscv64"], "unexpected argument 'riscv64'"),
        (["fuzz", "--opt", "fast"], "unknown optimization level 'fast'"),
        (["fuzz", "--opt", "sped"], "did you mean speed?"),
        (["fuzz", "--runner", "qmu"], "did you mean qemu?"),
        (["fuzz", "--time", "10 parsecs"], "is not a duration"),
        (["fuzz", "--time", "0"], "is not a time: write 90s"),
        (["fuzz", "--time", "-5s"], "--time"),
        (["fuzz", "--time", "1m", "--cases", "5"], "not allowed with"),
        (["fuzz", "--cases", "0"], "at least 1"),
        (["fuzz", "--cases", "many"], "not a whole number"),
        (["fuzz", "--seed", "-1"], "--seed"),
        (["fuzz", "--seed", str(2**64)], "not between 0 and"),
        (["fuzz", "--jobs", "0"], "at least 1"),
        (["fuzz", "--set", "=true"], "is not a setting"),
        (["fuzz", "--set", "has_zbb="], "is not a setting"),
        (["fuzz", "--seed"], "expected one argument"),
        (["test"], "required: PATH"),
        (["interpret"], "required: FILE"),
        (["compiler"], "required: ACTION"),
        (["compiler", "ad"], "did you mean add?"),
        (["compiler", "add"], "which compiler"),
        (["replay", "/nowhere/at/all"], "/nowhere/at/all"),
        (["reduce", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_wrong_usage_is_one_message(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    message = refused(capsys, *words)
    assert expected in message
    assert message.count("\n") <= 2


@pytest.mark.needs_compiler
@pytest.mark.parametrize("command", FILE_COMMANDS)
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bytes(range(256)) * 16, "UTF-8"),
        (b"function %f(i32) -> i32 {\nblock0(v0: i32):\n    v1 = iadd v0", "bad.clif:"),
        (b"function %f() {\nblock0:\n    v1 = frobnicate v0\n    return\n}\n", "frobnicate"),
        (b"\xff\xfefunction", "UTF-8"),
    ],
)
def test_a_bad_file_is_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, content: bytes, expected: str
) -> None:
    path = tmp_path / "bad.clif"
    path.write_bytes(content)
    assert expected in refused(capsys, command, str(path))


@pytest.mark.needs_compiler
@pytest.mark.parametrize("command", FILE_COMMANDS)
def test_nested_parentheses_are_refused_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    path = tmp_path / "deep.clif"
    path.write_bytes(b"(" * 10_000_000)
    start = time.monotonic()
    refused(capsys, command, str(path))
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("command", FILE_COMMANDS)
def test_a_missing_file_is_one_message(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert "/nowhere/x.clif" in refused(capsys, command, "/nowhere/x.clif")


@pytest.mark.parametrize("command", ("interpret", "run", "compile"))
def test_a_folder_is_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str) -> None:
    assert "is a folder" in refused(capsys, command, str(tmp_path))


def test_a_folder_without_files_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert str(tmp_path) in refused(capsys, "test", str(tmp_path))


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "nothing to judge"),
        (
            "test run\ntarget arm\nfunction %f() -> i8 {\nblock0:\n    v0 = iconst.i8 1\n    return v0\n}\n; run: %f() == 1\n",  # noqa: E501
            "only for ISAs that liftcheck does not have: arm (1 units)",
        ),
    ],
)
def test_a_file_without_units_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "none.clif").write_text(text)
    assert expected in refused(capsys, "test", str(tmp_path / "none.clif"))


@pytest.mark.needs_compiler
@pytest.mark.parametrize("command", FILE_COMMANDS)
def test_a_file_without_permission_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "secret.clif"
    path.write_text("function %f() {\nblock0:\n    return\n}\n")

    def forbidden(self: Path, *args: object, **kwargs: object) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    for reader in ("read_bytes", "read_text", "open"):
        monkeypatch.setattr(Path, reader, forbidden)
    assert "Permission denied" in refused(capsys, command, str(path))


def test_a_name_with_a_zero_byte_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "interpret", "a\0b")


def run(*words: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*LIFTCHECK, *words], capture_output=True, timeout=120, **more)  # type: ignore[call-overload,no-any-return]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from liftcheck import cli; cli.main(['--help']); cli.main(['fuzz', '--help']);"
        "heavy = {'z3', 'unicorn', 'capstone', 'keystone', 'rich', 'hypothesis', 'liftcheck.clif.opcodes'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_closed_pipe_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*LIFTCHECK, "--help"], stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert done.returncode == cli.PIPE_CLOSED and done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_full_disk_is_one_message() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*LIFTCHECK, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 3 and b"No space left" in done.stderr and b"Traceback" not in done.stderr


def test_closed_standard_output_is_survived() -> None:
    shell = ["/bin/sh", "-c", f"{sys.executable} -m liftcheck --help >&-"]
    done = subprocess.run(shell, capture_output=True, timeout=60)
    assert b"Traceback" not in done.stderr


def test_a_terminal_without_unicode_is_survived() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = run("fuzz", "--isa", "risc\u2764", env=environment)
    assert done.returncode == 2 and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (OSError(28, "No space left on device"), 3),
        (MemoryError(), 2),
        (RecursionError(), 2),
        (ZeroDivisionError("x"), 2),
    ],
)
def test_no_exception_gets_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fails(argv: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_dispatch", fails)
    got, _, err = outcome(capsys, "fuzz")
    assert got == code and "Traceback" not in err


def test_our_own_bug_says_where_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_dispatch", lambda argv: 1 // 0)
    monkeypatch.delenv("LIFTCHECK_TRACEBACK", raising=False)
    _, _, err = outcome(capsys)
    assert "bug in liftcheck: ZeroDivisionError" in err and "test_cli.py" in err
    monkeypatch.setenv("LIFTCHECK_TRACEBACK", "1")
    assert "Traceback" in outcome(capsys)[2]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("500ms", 0.5), ("0.5m", 30), ("1D", 86400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert options.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "h", "10x", "1h30", "-1s", "nan", "inf", "1 h", "0s"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.duration(text)


def test_isas_have_aliases_and_stand_once() -> None:
    assert options.isa_list("x86_64,ARM64") == ["x86-64", "aarch64"]
    assert options.isa_list("all") == list(ISAS)
    assert options.flat([["riscv64"], ["riscv64", "s390x"]], ISAS) == ("riscv64", "s390x")
    assert options.flat(None, ISAS) == ISAS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("has_zbb=true", ("has_zbb", "true")),
        ("haswell", ("haswell", "true")),
        ("is_pic=off", ("is_pic", "false")),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_settings(text: str, expected: tuple[str, str]) -> None:
    assert options.setting(text) == expected


def test_positionals_may_stand_between_options(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "test", "/nowhere/a.clif", "--json", "/nowhere/b.clif")
    assert "/nowhere/a.clif" in message


def test_doctor_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "doctor", "--json")
    document = json.loads(out)
    assert document["command"] == "doctor" and document["version"] == __version__
    assert code == (0 if document["usable"] else 3)


def test_a_repeated_runner_option_adds_names() -> None:
    parser = argparse.ArgumentParser()
    options.add_runner(parser)
    assert parser.parse_args([]).runner == ["auto"]
    assert parser.parse_args(["--runner", "unicorn", "--runner", "native,qemu"]).runner == ["unicorn", "native", "qemu"]
