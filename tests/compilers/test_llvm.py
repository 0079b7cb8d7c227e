"""LLVM behind the seam of compilers: its code does what CLIF means on all ISAs; what does not map is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.compilers.base import UnknownSetting
from liftcheck.compilers.llvm import arithmetic
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install 'liftcheck[llvm]'")

from liftcheck.compilers.llvm.client import Llvm22

CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "run"
TRAPS = """\
test run
set opt_level=LEVEL
target x86_64
target aarch64
target riscv64
target s390x

function %divides(i32, i32) -> i32 system_v {
block0(v0: i32, v1: i32):
    v2 = sdiv v0, v1
    return v2
}
; run: %divides(-7, 2) == -3
; run: %divides(1, 0) == trap int_divz
; run: %divides(0x80000000, -1) == trap int_ovf

function %remains(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = srem v0, v1
    return v2
}
; run: %remains(0x8000000000000000, -1) == 0

function %converts(f64) -> i8 system_v {
block0(v0: f64):
    v1 = fcvt_to_sint.i8 v0
    return v1
}
; run: %converts(-0x1.01p7) == -128
; run: %converts(0x1.0p7) == trap int_ovf
; run: %converts(+NaN) == trap bad_toint

function %loads(i64) -> i32 system_v {
block0(v0: i64):
    v1 = load.i32 v0
    v2 = iconst.i32 0
    return v2
}
; run: %loads(0) == trap heap_oob

function %ends(i64) system_v {
block0(v0: i64):
    trap user3
}
; run: %ends(0) == trap user3

function %turned(i16x8) -> i128 system_v {
block0(v0: i16x8):
    v1 = bitcast.i128 little v0
    return v1
}
; run: %turned([1 2 3 4 5 6 7 8]) == 0x00080007000600050004000300020001

function %shifts(i64, i8) -> i64 system_v {
block0(v0: i64, v1: i8):
    v2 = ishl v0, v1
    return v2
}
; run: %shifts(1, 65) == 2
"""


@pytest.fixture(scope="module")
def llvm() -> Iterator[Llvm22]:
    compiler = Llvm22("llvm")
    yield compiler
    compiler.close()


@pytest.mark.needs_qemu
@pytest.mark.parametrize("level", ["none", "speed"])
def test_what_clif_defines_and_llvm_does_not(level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "traps.clif"
    file.write_text(TRAPS.replace("LEVEL", level), encoding="utf-8")
    assert cli.main(["test", str(file), "--compiler", "llvm", "--jobs", "1"]) == 0, capsys.readouterr().out
    assert "0 failed, 0 undecided, 0 skipped" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.needs_qemu
def test_the_corpus_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["test", str(CORPUS), "--compiler", "llvm", "--jobs", "1"]) == 0
    assert "0 failed, 0 undecided, 0 skipped" in capsys.readouterr().out


def test_a_planted_fault_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "xor.clif"
    file.write_text(
        "test run\ntarget x86_64\n\nfunction %f(i64, i64) -> i64 system_v {\nblock0(v0: i64, v1: i64):\n"
        "    v2 = bxor v0, v1\n    return v2\n}\n; run: %f(6, 3) == 5\n",
        encoding="utf-8",
    )
    words = ["test", str(file), "--compiler", "llvm", "--jobs", "1"]
    assert cli.main(words) == 0
    monkeypatch.setitem(arithmetic.BINARY, "bxor", "or")
    assert cli.main(words) == 1
    assert "0 passed, 1 failed" in capsys.readouterr().out


def test_what_does_not_map_is_refused_by_name(llvm: Llvm22) -> None:
    text = (
        "function %f(i128, i128) -> i128 system_v {\nblock0(v0: i128, v1: i128):\n    v2 = udiv v0, v1\n"
        "    return v2\n}\n"
        "function %g() -> i64 winch {\nblock0:\n    v1 = iconst.i64 1\n    return v1\n}\n"
        "function %h() -> i64 system_v {\nblock0:\n    v1 = iconst.i64 1\n    return v1\n}\n"
    )
    for isa in ISAS:
        ((division, winch, right),) = llvm.compile_text(text, [Target(isa)])
        assert division == CompileFailure("unsupported", "LLVM calls __udivti3")
        assert winch == CompileFailure("unsupported", "the convention winch")
        assert isinstance(right, FunctionCode)


def test_a_death_costs_one_function(llvm: Llvm22) -> None:
    """Of 22.1: LowerBITCAST takes no f16 of two bytes."""
    text = (
        "function %f(i8x2) -> f16 system_v {\nblock0(v0: i8x2):\n    v1 = bitcast.f16 little v0\n    return v1\n}\n"
        "function %h() -> i64 system_v {\nblock0:\n    v1 = iconst.i64 1\n    return v1\n}\n"
    )
    ((dead, right),) = llvm.compile_text(text, [Target("aarch64")])
    assert isinstance(dead, FunctionCode) or dead.kind == "abort"
    assert isinstance(right, FunctionCode)


def test_settings_that_it_lacks_are_refused(llvm: Llvm22) -> None:
    with pytest.raises(UnknownSetting, match="has_nothing"):
        llvm.compile_text("", [Target("riscv64", (("has_nothing", "true"),))])
    with pytest.raises(UsageError, match="there is one LLVM"):
        open_compiler("llvm@3")


@pytest.mark.parametrize("isa", ISAS)
def test_its_extensions_are_the_isas(isa: str) -> None:
    own = isa_named(isa)
    facts = own.part("llvm:LLVM")
    assert {*own.rich, *own.optional} - {"has_zvl128b"} <= facts.extensions.keys() | own.always
