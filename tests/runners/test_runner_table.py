"""The list of runners: each row opens what it names, and an ISA's preference stands first."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from liftcheck.commands.options import RUNNERS
from liftcheck.errors import Unavailable
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.runners import table
from liftcheck.runners.base import Kind
from liftcheck.runners.pool import open_runner
from liftcheck.runners.table import NAMES, kind_of, runners_of


def test_the_command_line_knows_every_row() -> None:
    assert ("auto", *NAMES) == RUNNERS and len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("isa", ISAS)
def test_what_an_isa_prefers_stands_first_and_essential_runners_run_all(isa: str) -> None:
    names, preferred = runners_of(isa), isa_named(isa).preferred
    assert names[: len(preferred)] == preferred
    assert {name for name in NAMES if kind_of(name).essential} <= set(names)


@pytest.mark.needs_qemu
@pytest.mark.parametrize(("name", "isa"), [(name, isa) for isa in ISAS for name in runners_of(isa)])
def test_a_row_opens_the_runner_that_it_names(name: str, isa: str) -> None:
    try:
        runner = open_runner(name, isa)
    except Unavailable as error:
        pytest.skip(str(error))
    assert (runner.name, runner.isa) == (name, isa)
    runner.close()


def test_a_row_is_all_that_a_runner_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("another")
    runner = SimpleNamespace(name="another", isa="riscv64")
    module.__dict__["KIND"] = Kind(lambda _isa, _bits: runner, runs=lambda isa: isa.name == "riscv64")  # type: ignore[arg-type, return-value]
    monkeypatch.setitem(sys.modules, "another", module)
    monkeypatch.setattr(table, "ROWS", {**table.ROWS, "another": "another:KIND"})
    monkeypatch.setattr(table, "NAMES", (*NAMES, "another"))
    runners_of.cache_clear()
    try:
        assert runners_of("riscv64")[-1] == "another" and "another" not in runners_of("aarch64")
        assert open_runner("another", "riscv64") is runner
    finally:
        runners_of.cache_clear()


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROWS", {"another": "no_such_package.runner:KIND"})
    with pytest.raises(Unavailable, match="the another runner needs the package no_such_package"):
        kind_of.__wrapped__("another")
