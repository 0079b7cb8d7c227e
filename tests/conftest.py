"""What all tests share: the compilers, opened when a test first asks, and the markers of what a machine may lack.

The one idea: a test says what it needs (`needs_compiler`, `needs_qemu`; who asks for a fixture below says it by that),
and what it does not say it does not have: the cache of its environment is empty, cargo and rustc on its PATH fail, and
runners find no qemu. So `pytest -m "not needs_compiler"` builds nothing and wants no toolchain, and a marker that is
forgotten fails on the machine of whoever forgot it. That run is to take a minute, so it leaves out the tests that are
marked `slow`, and says so, and looks at a quarter of the examples where a test has many (support/examples.py); every
other run has them all.
A Cranelift is built before the first test that needs it, visibly: it takes minutes. One that cannot be built fails
these tests. Without qemu-user those that need it are skipped, as it is not to be had everywhere.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support.examples import SHARE

from liftcheck.compilers.cranelift import builds, cargo
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import LiftcheckError, Unavailable
from liftcheck.isa import ISAS
from liftcheck.runners import qemu
from liftcheck.runners.pool import RunnerPool

PROFILES = {"compiler": builds.FUZZ, "regalloc": builds.REGALLOC}
"""The fixtures that open a Cranelift, and its build profile."""
os.environ.setdefault(builds.PIN, "0.135.8")
"""Tests are of this version, whose faults they know; the environment may say another. Of the newest: test_newest.py."""
WITHOUT = 'The tests that need no Cranelift: pytest -m "not needs_compiler"'
UNMARKED = "a test that is not marked needs_compiler asks for a Cranelift (tests/conftest.py)"
NO_QEMU = "a test that is not marked needs_qemu asks for qemu (tests/conftest.py)"
REQUIRE = cargo.require
_found: dict[str, str] = {}
_LEFT_OUT = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def compiler() -> Iterator[Cranelift]:
    """The Cranelift that plain `cranelift` means in tests."""
    with Cranelift("cranelift") as opened:
        yield opened


@pytest.fixture(scope="session")
def regalloc() -> Iterator[Cranelift]:
    """It in the build that shows register allocation."""
    with Cranelift("cranelift", builds.REGALLOC) as opened:
        yield opened


@pytest.fixture(scope="session")
def runners() -> Iterator[RunnerPool]:
    """A pool of all runners."""
    pool = RunnerPool()
    yield pool
    pool.close()


def pytest_configure(config: pytest.Config) -> None:
    """The quick run looks at a quarter of the examples. Bytecode is kept for it and for the many processes that tests
    start, also where PYTHONDONTWRITEBYTECODE is set (.gitignore has it): else each compiles all that it imports."""
    if leaves_out_slow(config.option.markexpr):
        os.environ.setdefault(SHARE, "4")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.disable()  # until all is collected: nothing of it goes


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Workers are worth their start for rooms of tests, not for files that are named; who says -n has them anyway. In
    the quick run there is one more than cores, since a sixth of its time is spent in waiting for other processes."""
    asked = any(word.startswith(("-n", "--numprocesses")) for word in config.invocation_params.args)
    named = all(Path(word.partition("::")[0]).suffix == ".py" for word in config.args)
    if named and not asked:
        return 0
    return len(os.sched_getaffinity(0)) + 1 if leaves_out_slow(config.option.markexpr) else None


# -- what a test says that it needs


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Of several workers each begins to collect elsewhere: what one has compiled, assertions and all, another finds."""
    report = yield
    number = _number(collector.config)
    if number and not isinstance(collector, pytest.File) and not isinstance(collector.parent, pytest.File):
        half = len(report.result) // 2 if number > 1 else 0
        report.result = [*report.result[half:], *report.result[:half]][:: -1 if number == 1 else 1]
    return report


def _number(config: pytest.Config) -> int | None:
    """Of a worker of pytest-xdist."""
    about = getattr(config, "workerinput", None)
    return int(about["workerid"].removeprefix("gw")) if about is not None else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fixtures and the parameter 'qemu' are markers, too. All workers have the same order."""
    if _number(config) is not None:
        items.sort(key=lambda item: item.path)
    for item in items:
        for name in PROFILES.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.needs_compiler(PROFILES[name]))
        if "qemu" in _parameters(item):
            item.add_marker(pytest.mark.needs_qemu)
    _leave_out_slow(config, items)


def pytest_collection_finish() -> None:
    """What there is now stays: the garbage collector, which would look at it again and again, leaves it alone."""
    gc.freeze()
    gc.enable()


def leaves_out_slow(expression: str) -> bool:
    """The marker expression asks for no compiler, and does not speak of slow tests."""
    return "not needs_compiler" in expression and "slow" not in expression


def _leave_out_slow(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not leaves_out_slow(config.option.markexpr):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if item not in slow]
    config.hook.pytest_deselected(items=slow)
    config.stash[_LEFT_OUT] = len([item for item in slow if not item.get_closest_marker("needs_compiler")])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist tells its controller, which collects nothing itself."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash.get(_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every worker collects, and leaves out, the same tests."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[_LEFT_OUT] = max(node.config.stash.get(_LEFT_OUT, 0), output.get("left_out", 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count = config.stash.get(_LEFT_OUT, 0)
    if count:
        tests, them = ("test", "it") if count == 1 else ("tests", "them")
        terminalreporter.write_line(f"{count} slow {tests} left out: pytest -m slow runs {them}")


def _parameters(item: pytest.Item) -> list[object]:
    """The values of a test's parameters; of tuples also what is in them."""
    values = getattr(item, "callspec", None)
    found = list(values.params.values()) if values is not None else []
    return found + [one for value in found if isinstance(value, tuple) for one in value]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fails or skips a test whose needs are not met; builds Cranelift before the first that needs it."""
    profiles = [name for mark in item.iter_markers("needs_compiler") for name in mark.args or (builds.FUZZ,)]
    for profile in dict.fromkeys(profiles):
        if profile not in _found:
            _found[profile] = _build(item.config, profile)
        if _found[profile]:
            pytest.fail(f"{_found[profile]}\n{WITHOUT}", pytrace=False)
    if item.get_closest_marker("needs_qemu") and not _has_qemu():
        pytest.skip("qemu-user is not installed: apt-get install qemu-user")


def _build(config: pytest.Config, profile: str) -> str:
    """'' if the newest Cranelift is there or could be built, else why not. Of several workers one builds, the others
    wait for it."""
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            builds.ensure("cranelift", profile)
    except LiftcheckError as error:
        return str(error)
    return ""


def _has_qemu() -> bool:
    if "qemu" not in _found:
        _found["qemu"] = next(filter(None, map(qemu.program_of, ISAS)), "")
    return _found["qemu"] != ""


# -- what it does not say it does not have


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around the whole of a test, fixtures of every scope included."""
    with ExitStack() as hidden:
        compiled = item.get_closest_marker("needs_compiler") is not None
        if not compiled:
            hidden.enter_context(_without_compiler())
        if not item.get_closest_marker("needs_qemu") and (not compiled or _deselects(item.config, "needs_qemu")):
            hidden.enter_context(mock.patch.object(qemu, "program_of", _no_qemu))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Who skips for want of what it did not say that it needs has forgotten to say so."""
    report = yield
    if report.skipped and any(words in str(report.longrepr) for words in (UNMARKED, NO_QEMU)):
        report.outcome, report.longrepr = "failed", str(report.longrepr)
    return report


def _deselects(config: pytest.Config, marker: str) -> bool:
    return f"not {marker}" in config.option.markexpr


@contextmanager
def _without_compiler() -> Iterator[None]:
    """An empty cache and tools that fail, for this process and those that it starts; and words that say why."""
    path = f"{_tools()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    changed = {"PATH": path, "LIFTCHECK_CACHE": f"{_tools()}/cache"}
    with mock.patch.dict(os.environ, changed), mock.patch.object(cargo, "require", _require):
        yield


@cache
def _tools() -> str:
    """A folder with a cargo and a rustc that fail, for as long as this process."""
    folder = tempfile.mkdtemp(prefix="liftcheck-tools-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("cargo", "rustc"):
        tool = Path(folder, name)
        tool.write_text("#!/bin/sh\nexit 1\n")
        tool.chmod(0o755)
    return folder


def _require() -> str:
    """Tests that bring a toolchain of their own have it."""
    if (shutil.which("cargo") or "").startswith(_tools()):
        raise Unavailable(UNMARKED)
    return REQUIRE()


def _no_qemu(_isa: str) -> str:
    raise Unavailable(NO_QEMU)
