"""What `conftest` promises: a test has what it says that it needs, nothing else, and fails where that is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import leaves_out_slow, pytest_configure, pytest_xdist_auto_num_workers
from support import examples

from liftcheck.compilers.cranelift import builds
from liftcheck.errors import Unavailable
from liftcheck.runners.pool import open_runner

CONFTEST = Path(__file__).resolve().parent.parent / "conftest.py"
TESTS = """
import pytest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import Unavailable
from liftcheck.runners.pool import open_runner

def test_opens_without_saying_so():
    Cranelift("cranelift")

@pytest.fixture(scope="session")
def wide():
    return Cranelift("cranelift")

def test_a_fixture_opens_without_saying_so(wide):
    pass

def test_skips_instead():
    try:
        Cranelift("cranelift")
    except Unavailable as missing:
        pytest.skip(str(missing))

def test_skips_without_qemu():
    try:
        open_runner("qemu", "riscv64")
    except Unavailable as missing:
        pytest.skip(str(missing))

@pytest.mark.needs_compiler
def test_says_so():
    raise AssertionError("begun without a compiler")

def test_asks_for_the_fixture(compiler):
    raise AssertionError("begun without a compiler")

def test_needs_nothing():
    pass

@pytest.mark.slow
def test_takes_long():
    pass
"""


def pytest_in(folder: Path, *words: str) -> str:
    """What pytest says of TESTS where neither a toolchain nor a build is, nor qemu."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    needs_compiler\n    needs_qemu\n    slow\n")
    bare = {"PATH": str(folder), "LIFTCHECK_CACHE": str(folder / "cache"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    bare["PYTHONPATH"] = str(CONFTEST.parent)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *words, str(folder)],
        env=os.environ | bare,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def test_what_is_not_said_fails_and_what_is_missing_fails(tmp_path: Path) -> None:
    printed = pytest_in(tmp_path)
    outcomes = {name: kind for kind, name in re.findall(r"^(FAILED|ERROR|PASSED|SKIPPED) \S+::(\w+)", printed, re.M)}
    assert outcomes == {
        "test_opens_without_saying_so": "FAILED",
        "test_a_fixture_opens_without_saying_so": "ERROR",
        "test_skips_instead": "FAILED",
        "test_skips_without_qemu": "FAILED",
        "test_says_so": "ERROR",
        "test_asks_for_the_fixture": "ERROR",
        "test_needs_nothing": "PASSED",
        "test_takes_long": "PASSED",
    }, printed
    assert printed.count("a test that is not marked needs_compiler asks for a Cranelift") >= 3
    assert "begun without a compiler" not in printed
    assert 'The tests that need no Cranelift: pytest -m "not needs_compiler"' in printed


@pytest.mark.parametrize("processes", [(), ("-p", "xdist.plugin", "-n", "1")])
def test_what_needs_no_compiler_can_be_chosen_and_slow_tests_are_left_out(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    words = ("-m", "not needs_compiler", "-k", "nothing or test_says_so or asks or long", *processes)
    printed = pytest_in(tmp_path, *words)
    assert re.findall(r"^(?:FAILED|ERROR|PASSED) \S+::(\w+)", printed, re.M) == ["test_needs_nothing"], printed
    assert "1 slow test left out: pytest -m slow runs it" in printed


@pytest.mark.parametrize("expression", ["slow", "not needs_compiler and slow", "not needs_qemu and not needs_compiler"])
def test_slow_tests_run_wherever_they_are_asked_for(expression: str) -> None:
    assert leaves_out_slow(expression) == ("slow" not in expression)
    assert not leaves_out_slow("") and not leaves_out_slow("not needs_qemu")


@pytest.mark.parametrize(("expression", "share"), [("not needs_compiler", "4"), ("", None), ("slow", None)])
def test_the_quick_run_alone_looks_at_a_share_of_the_examples(
    monkeypatch: pytest.MonkeyPatch, expression: str, share: str | None
) -> None:
    monkeypatch.delenv(examples.SHARE, raising=False)
    pytest_configure(SimpleNamespace(option=SimpleNamespace(markexpr=expression)))  # type: ignore[arg-type]
    assert os.environ.get(examples.SHARE) == share
    assert [examples.many(count) for count in (150, 4, 1)] == ([38, 1, 1] if share else [150, 4, 1])


@pytest.mark.parametrize(
    ("words", "workers"),
    [
        ((), None),
        (("tests/clif", "tests/bits/test_bits_terms.py"), None),
        (("tests/bits/test_bits_terms.py",), 0),
        (("tests/bits/test_bits_terms.py::test_a.py", "tests/conftest.py"), 0),
        (("-n", "auto", "tests/bits/test_bits_terms.py"), None),
        (("-nauto", "tests/bits/test_bits_terms.py"), None),
        (("--numprocesses=auto", "tests/bits/test_bits_terms.py"), None),
    ],
)
def test_rooms_are_shared_out_and_files_that_are_named_are_not(words: tuple[str, ...], workers: int | None) -> None:
    named = [word for word in words if word.startswith("tests/")] or ["tests"]
    asked = SimpleNamespace(markexpr="")
    config = SimpleNamespace(invocation_params=SimpleNamespace(args=words), args=named, option=asked)
    assert pytest_xdist_auto_num_workers(config) == workers  # type: ignore[arg-type]
    asked.markexpr = "not needs_compiler"
    quick = len(os.sched_getaffinity(0)) + 1 if workers is None else workers
    assert pytest_xdist_auto_num_workers(config) == quick  # type: ignore[arg-type]


def test_nothing_is_here_that_is_not_asked_for() -> None:
    with pytest.raises(Unavailable, match="not marked needs_compiler"):
        builds.ensure("cranelift")
    with pytest.raises(Unavailable, match="not marked needs_qemu"):
        open_runner("qemu", "riscv64")
    assert builds.listed() == []
    done = subprocess.run(
        [sys.executable, "-m", "liftcheck", "matrix", "--isa", "s390x"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 3, done.stderr


@pytest.mark.parametrize("name", ["unicorn", "qemu"])
def test_a_parameter_says_it(request: pytest.FixtureRequest, name: str) -> None:
    assert (request.node.get_closest_marker("needs_qemu") is not None) == (name == "qemu")
    open_runner(name, "s390x").close()


def test_a_fixture_says_it(request: pytest.FixtureRequest, compiler: object) -> None:
    assert [mark.args for mark in request.node.iter_markers("needs_compiler")] == [("fuzz",)]
