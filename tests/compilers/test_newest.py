"""The newest Cranelift that is known, where the Rust toolchain here builds it: the other tests are of an older one.

Whatever else is built on this machine, test_bridge_versions.py asks too.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liftcheck.case import FunctionCode, Target
from liftcheck.cli import main
from liftcheck.compilers.cranelift import builds, cargo, sources
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS

pytestmark = pytest.mark.needs_compiler

REGRESSIONS = Path(__file__).resolve().parents[2] / "corpus" / "regressions"
NEWEST = max(sources.KNOWN, key=builds.numbers)
TEXT = """\
function %calls(i32) -> i32 system_v {
    sig0 = (i32) -> i32 tail
    fn0 = %g sig0
block0(v1: i32):
    try_call fn0(v1), sig0, block1(ret0), [ tag1: block2(exn0), default: block3(exn0) ]
block1(v2: i32):
    return v2
block2(v3: i64):
    v4 = ireduce.i32 v3
    return v4
block3(v5: i64):
    v6 = ireduce.i32 v5
    v7 = bnot v6
    return v7
}
function %near() -> i64 system_v {
    fn0 = colocated %g(i32) -> i32 system_v
    ss0 = explicit_slot 16
block0:
    v0 = func_addr.i64 fn0
    v1 = stack_addr.i64 ss0
    store v0, v1
    return v0
}
"""
CONSTANT = """\
function %constant() -> i8x16 system_v {
block0:
    v0 = vconst.i8x16 [1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7]
    return v0
}
"""


@pytest.fixture(scope="module")
def newest() -> Cranelift:
    rustc = cargo.rustc_version()
    if rustc is None or builds.numbers(rustc) < sources.KNOWN[NEWEST]:
        pytest.skip(f"NOT CHECKED: rustc {rustc} does not build {NEWEST}")
    return Cranelift(f"cranelift@{NEWEST}")


def code(column: object) -> list[FunctionCode]:
    assert isinstance(column, list) and all(isinstance(one, FunctionCode) for one in column), column
    return column


def test_plain_cranelift_is_it(newest: Cranelift, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(builds.PIN)
    assert builds.newest() == newest.version == NEWEST and builds.why_newest()


def test_offsets_are_numbers(newest: Cranelift) -> None:
    """Handlers of exceptions, and relocations that refer to their own function."""
    for column in newest.compile_text(TEXT, [Target(isa) for isa in ISAS]):
        calls, _ = code(column)
        (site,) = calls.calls
        (_, tag, first), (_, second) = site.handlers
        assert tag == 1 and 0 < site.offset < len(calls.code) > first > 0 < second < len(calls.code) and first != second
    (column,) = newest.compile_text(TEXT, [Target("riscv64")])
    high, low = code(column)[1].relocations
    assert (high.kind, high.name, low.kind, low.name) == (
        "RiscvPCRelHi20",
        "%g",
        "RiscvPCRelLo12I",
        f"func:{high.offset}",
    )


def test_source_locations_and_frames(newest: Cranelift) -> None:
    wants = frozenset({"srclocs", "frame"})
    for column in newest.compile_text(TEXT, [Target(isa) for isa in ISAS], wants):
        near = code(column)[1]
        rows = near.extra["srclocs"]
        assert isinstance(rows, list | tuple) and {row[2] for row in rows} <= {0, 1, 2, 3} and rows[0][3] == 20
        frame = near.extra["frame"]
        assert isinstance(frame, dict) and len(frame["slots"]) == 1


def test_a_constant_pool_is_aligned(newest: Cranelift) -> None:
    (column,) = newest.compile_text(CONSTANT, [Target("x86-64")])
    assert code(column)[0].alignment == 16


@pytest.mark.needs_qemu
def test_what_is_known_of_it_is_all_that_the_regressions_show(
    newest: Cranelift, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["test", str(REGRESSIONS), "--compiler", newest.name, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["failed"], document["undecided"], document["broken"]) == (0, 0, [])
    assert document["findings"]


@pytest.mark.needs_qemu
def test_a_short_campaign_finds_nothing_new(newest: Cranelift, tmp_path: Path) -> None:
    words = ["--cases", "64", "--seed", "1", "--jobs", "1", "--reduce", "5s", "--out", str(tmp_path)]
    assert main(["fuzz", "--compiler", newest.name, *words]) == 0
