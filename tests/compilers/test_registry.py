"""Compilers by name: the table, and what another package offers, written from the page alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers import registry
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.registry import Completed, name_of, names, open_compiler
from liftcheck.errors import Unavailable, UsageError

TOY = Path(__file__).resolve().parents[1] / "support" / "toy_compiler"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is installed, as far as this process sees."""
    monkeypatch.syspath_prepend(str(TOY))


def liftcheck(tmp_path: Path, *words: str, package: Path = TOY) -> tuple[int, dict[str, Any], str]:
    """A command in a process that has the package, with its JSON."""
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "liftcheck", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_a_name_ends_where_a_version_or_a_path_begins() -> None:
    assert [name_of(spec) for spec in ("a", "a@1.2", "a=b@c", "a@b=c")] == ["a"] * 4


def test_every_row_can_be_imported() -> None:
    for where in registry.ROWS.values():
        module, _, name = where.partition(":")
        assert hasattr(__import__(module, fromlist=[name]), name)


@pytest.mark.usefixtures("toys")
def test_entry_points_are_rows() -> None:
    assert names() == ["cranelift", "llvm", "builtin", "gone", "nothing", "toy"]


@pytest.mark.usefixtures("toys")
def test_what_a_package_does_wrong_is_said_with_its_name() -> None:
    with pytest.raises(Unavailable, match=r"'toy@9' \(toy_compiler:open_compiler\).*FileNotFoundError: no toy 9"):
        open_compiler("toy@9")
    with pytest.raises(Unavailable, match=r"'gone'.*No module named 'no_such_module'"):
        open_compiler("gone")
    with pytest.raises(UsageError, match="it lacks name, version, compile_text"):
        open_compiler("nothing")
    with pytest.raises(UsageError, match="did you mean toy"):
        open_compiler("toi")


class Least:
    """The least that a compiler must have."""

    name, version = "least", "1"

    def compile_text(self, text: str, targets: object, wants: frozenset[str]) -> list[object]:
        return [text, targets, wants]


class More(Least):
    cache_key = "abc"
    closed = False

    def settings(self, isa: str) -> dict[str, str]:
        return {"x": isa}

    def close(self) -> None:
        self.closed = True


def test_what_is_lacking_has_the_protocols_defaults() -> None:
    made = Completed(Least())
    assert (made.name, made.version, made.cache_key, list(made.settings("s390x"))) == ("least", "1", "", ["opt_level"])
    made.close()
    assert made.compile_text("t", []) == ["t", [], frozenset()]


def test_what_is_there_is_its_own() -> None:
    given = More()
    made = Completed(given)
    assert (made.cache_key, made.settings("s390x")) == ("abc", {"x": "s390x"})
    made.close()
    assert given.closed


def test_one_that_inherits_has_the_defaults() -> None:
    class Own(Compiler):
        name, version = "own", "1"

        def compile_text(self, text: object, targets: object, wants: object = None) -> list[Any]:
            return []

    own = Own()
    own.close()
    assert list(own.settings("s390x")) == ["opt_level"]


@pytest.mark.needs_compiler
def test_a_compiler_from_the_page_alone_is_fuzzed(tmp_path: Path) -> None:
    campaign = ("fuzz", "--isa", "x86-64", "--runner", "unicorn", "--cases", "32", "--seed", "1", "--jobs", "1")
    code, report, printed = liftcheck(tmp_path, *campaign, "--compiler", "toy@1.2")
    assert (code, report.get("findings")) == (0, []), printed
    assert report["programs"] == 32 and report["pairs"] == 64


@pytest.mark.needs_compiler
def test_its_planted_fault_is_found_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sum.clif"
    file.write_text(
        "test run\ntarget x86_64\nfunction %sum(i32, i32) -> i32 {\nblock0(v0: i32, v1: i32):\n"
        "    v2 = iadd v0, v1\n    return v2\n}\n; run: %sum(5, 2) == 7\n"
    )
    assert liftcheck(tmp_path, "test", str(file), "--compiler", "toy")[0] == 0
    code, report, _ = liftcheck(tmp_path, "test", str(file), "--compiler", "toy@wrong")
    assert code == 1 and "3" in json.dumps(report["failures"])


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The compiler that the page has in full, installed as it says."""
    page = (TOY.parents[2] / "docs" / "adding" / "a-compiler.md").read_text(encoding="utf-8")
    code, entry = (page.partition(f"```{language}\n")[2].partition("```")[0] for language in ("python", "ini"))
    folder = tmp_path / "tiny"
    (folder / "tiny-1.dist-info").mkdir(parents=True)
    (folder / "tiny.py").write_text(code)
    (folder / "tiny-1.dist-info" / "entry_points.txt").write_text(entry)
    (folder / "tiny-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
    return folder


def test_the_complete_compiler_of_the_page_is_right_and_its_fault_is_told(tmp_path: Path, tiny: Path) -> None:
    file = tmp_path / "meet.clif"
    file.write_text(
        "test run\ntarget x86_64\nfunction %meet(i64, i64) -> i64 {\nblock0(v0: i64, v1: i64):\n"
        "    v2 = band v0, v1\n    return v2\n}\n; run: %meet(12, 10) == 8\n"
    )
    found = {}
    for spec in ("tiny", "tiny@wrong"):
        found[spec] = liftcheck(tmp_path, "test", str(file), "--runner", "unicorn", "--compiler", spec, package=tiny)
    assert (found["tiny"][0], found["tiny@wrong"][0]) == (0, 1), found
    (failure,) = found["tiny@wrong"][1]["failures"]
    assert "14" in json.dumps(failure) and "%meet" in json.dumps(failure)


@pytest.mark.slow
def test_the_complete_compiler_of_the_page_is_fuzzed(tmp_path: Path, tiny: Path) -> None:
    campaign = ("fuzz", "--isa", "x86-64", "--runner", "unicorn", "--seed", "1", "--jobs", "1", "--reduce", "5s")
    code, report, told = liftcheck(tmp_path, *campaign, "--cases", "32", "--compiler", "tiny", package=tiny)
    assert (code, report.get("findings")) == (0, []), told
    assert (
        report["pairs"] >= 20 and report["undecided"] == {} and all("unsupported" in why for why in report["refused"])
    )
    out = str(tmp_path / "wrong")
    code, report, told = liftcheck(
        tmp_path, *campaign, "--cases", "8", "--compiler", "tiny@wrong", "--out", out, package=tiny
    )
    results = [found for found in report["findings"] if found["class"] == "wrong result" and found["reduced"]]
    assert code == 1 and results, told
    for found in results:
        functions = parse_module(found["program"]).functions
        assert "band" in found["program"] and sum(len(b.insts) for f in functions for b in f.blocks) <= 6
