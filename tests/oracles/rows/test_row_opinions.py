"""`ci/experiments/row_opinions.py`: rows against other libraries, on a sample of each ISA; what is not installed is
skipped by its name."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
from support.scripts import load

from liftcheck.bits import build as b
from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.row import Row

opinions = load("experiments/row_opinions")
PAIRS = [(isa, library) for isa, known in opinions.HAVE.items() for library in known]
EVERY = 23
"""Of so many rows one is asked about."""


def installed(library: str) -> None:
    package = opinions.LIBRARIES[library]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'liftcheck[test]'")


def bench_of(isa: str) -> Bench:
    found: Bench = isa_named(isa).part(isa_named(isa).bench)()[0]
    return found


def held(bench: Bench, library: str, rows: list[Row], states: int) -> list[Any]:
    opinion = opinions.Opinion(library, opinions.layout_of(bench))
    try:
        return list(opinions.hold(bench, rows, opinion, states, 3, ()))
    finally:
        opinion.close()


@pytest.mark.parametrize(("isa", "library"), PAIRS)
def test_opinions_agree_but_for_what_is_known(isa: str, library: str) -> None:
    installed(library)
    bench = bench_of(isa)
    rows = [row for row in bench.rows() if not row.untested][::EVERY]
    found = held(bench, library, rows, 6)
    unknown = [one.shown for one in found if one.differing and not opinions.reason(isa, library, one.row)]
    assert unknown == []
    assert sum(one.states > 0 for one in found) * 3 > len(rows)


WRONG = {
    ("x86-64", "sub r64, rm64"): lambda s, a, c: b.add(a, c),
    ("aarch64", "sub xd, xn, xm_sh"): lambda s, a, c: b.sub(c, a),
    ("riscv64", "sltu rd, rs1, rs2"): lambda s, a, c: b.zext(b.ule(a, c), 64),
    ("s390x", "ngrk g1, g2, g3"): lambda s, a, c: b.band(a, c),
}
"""An operation, the operands' order, a boundary, a condition code that is not set."""


@pytest.mark.parametrize(("isa", "library"), PAIRS)
def test_a_wrong_row_is_seen(isa: str, library: str) -> None:
    installed(library)
    bench = bench_of(isa)
    ((shape, meaning),) = [(shape, meaning) for (name, shape), meaning in WRONG.items() if name == isa]
    table = bench.table.changed(lambda row: replace(row, meaning=meaning) if row.syntax.shape == shape else row)
    rows = [row for row in table.rows if row.syntax.shape == shape]
    (one,) = held(replace(bench, table=table), library, rows, 60)
    assert one.differing


def test_a_library_that_ends_the_process_has_nothing_to_say() -> None:
    opinion = opinions.Opinion("none", opinions.layout_of(bench_of("s390x")))
    opinion._command = [sys.executable, "-c", "import os, sys; sys.stdin.buffer.read(1); os._exit(7)"]
    for _ in range(2):
        assert opinion.ask(opinions.Request(b"", 0, 0, 0, [])).unknown == "it ends the process"
    opinion.close()


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(opinions, "find_spec", lambda name: None)
    assert opinions.main(["--isa", "aarch64"]) == 3
    assert "pypcode, pyvex is not installed" in capsys.readouterr().err


def test_each_known_difference_is_of_a_row() -> None:
    stale = [
        (isa, known)
        for isa, library, known, _ in opinions.KNOWN
        if not any(opinions.reason(isa, library, row) for row in bench_rows(isa))
        or not any(opinions.matches(known, row) for row in bench_rows(isa))
    ]
    assert stale == []


def bench_rows(isa: str) -> list[Row]:
    return [row for bench in isa_named(isa).part(isa_named(isa).bench)() for row in bench.rows()]
