"""The matrix: what a compiler has on an ISA, asked of it once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.opcodes import OPCODES, variants
from liftcheck.compilers import matrix
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.probes import probes
from liftcheck.isa import ISAS


def test_every_typing_has_a_probe() -> None:
    asked = {probe.key for probe in probes()}
    current = [opcode for opcode in OPCODES.values() if not opcode.removed]
    assert asked >= {variant.key for opcode in current for variant in variants(opcode.name)}
    assert not any(variant.key in asked for variant in variants("stack_load"))


def test_probes_follow_the_version() -> None:
    old = {probe.key for probe in probes((0, 110, 3))}
    assert {"iadd_imm.i32", "stack_load.i8"} <= old and "try_call" not in old
    assert "sequence_point" in {probe.key for probe in probes((0, 130, 0))} - old


def test_probes_are_all_understood(compiler: Cranelift) -> None:
    """What the reader or the verifier refuses is a typing that means nothing, not a mistake in the probe's text."""
    allowed = (
        "symbol_value.",
        "tls_value.",
        "get_pinned_reg",
        "set_pinned_reg",
        "param.",
        "return.",
        "call.",
        "return_call.",
        "try_call.",
    )
    version = tuple(int(part) for part in compiler.version.split("."))
    asked = [probe for probe in probes(version) if not probe.key.startswith(allowed)]
    for probe in asked:
        for text in filter(None, (probe.text, probe.by_memory)):
            assert compiler.verify_text(text, Target("x86-64")) == [], probe


@pytest.mark.parametrize("isa", ISAS)
def test_what_an_isa_has(compiler: Cranelift, isa: str) -> None:
    start = time.monotonic()
    version = tuple(int(part) for part in compiler.version.split("."))
    found = matrix.ask(compiler, Target(isa), probes(version))
    assert time.monotonic() - start < 10
    for op in ("iadd", "imul", "udiv", "ishl"):
        key = f"{op}.i64.i8" if op == "ishl" else f"{op}.i64"
        assert key in found and found.reason(key) == ""
    assert {
        "load.i8",
        "store.i64",
        "atomic_rmw.i32",
        "br_table",
        "call",
        "return_call",
        "try_call",
        "fadd.f64",
        "stack_addr.i64",
        "select.i32.i8",
        "uextend.i64.i8",
        "brif.i64",
        "icmp.i32",
        "fcmp.f64",
    } <= found.has
    assert {"param.system_v.i64", "return.tail.i128", "call.fast", "try_call.tail", "return_call.tail"} <= found.has
    assert "return_call.system_v" not in found and "tail calls" in found.reason("return_call.system_v")
    assert not found.has & found.lacks.keys()
    assert len(found) > 700


def test_vectors_by_isa_and_settings(compiler: Cranelift) -> None:
    def has(isa: str, *settings: tuple[str, str]) -> bool:
        return "iadd.i32x4" in matrix.load(compiler, isa, settings)

    assert has("x86-64") and has("aarch64") and has("s390x")
    assert not has("riscv64") and has("riscv64", ("has_v", "true"))


def test_reasons(compiler: Cranelift) -> None:
    s390x = matrix.load(compiler, "s390x")
    assert s390x.reason("fadd.f16") == "no rule for fpuop2_add"
    assert s390x.reason("iadd.i8x8").startswith("Unexpected SSA-value type")
    assert matrix.load(compiler, "x86-64").reason("fadd.f16") == "no lowering of fadd.f16"
    assert s390x.reason("frobnicate.i8") == "unknown to this version"
    assert set(matrix.load(compiler, "x86-64").panics) <= matrix.load(compiler, "x86-64").lacks.keys()


def test_conditions_that_only_some_have(compiler: Cranelift) -> None:
    aarch64 = matrix.load(compiler, "aarch64")
    assert "fcmp.f32x4" not in aarch64
    assert "eq" in aarch64.choices["fcmp.f32x4"] and "ueq" not in aarch64.choices["fcmp.f32x4"]


def test_it_is_asked_once(compiler: Cranelift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTCHECK_CACHE", str(tmp_path))
    first = matrix.load(compiler, "riscv64", (("opt_level", "speed"),))
    monkeypatch.setattr(matrix, "ask", None)
    assert matrix.load(compiler, "riscv64", (("opt_level", "none"),)) == first
    with pytest.raises(TypeError):
        matrix.load(compiler, "riscv64", (("has_zbb", "true"),))
    for path in (tmp_path / "matrix").iterdir():
        path.write_text("{")
    with pytest.raises(TypeError):
        matrix.load(compiler, "riscv64")


def test_a_matrix_of_somebody_elses_compiler() -> None:
    class Mine:
        name, version = "mine", "7"

        def compile_text(self, text: str, targets: object, wants: object = None) -> object:
            names = [line for line in text.splitlines() if line.startswith("function")]
            missing = CompileFailure("unsupported", "no i128")
            column = [missing if "i128" in line else FunctionCode("%p", b"") for line in names]
            return [column, column]

    mine = matrix.load(Mine(), "aarch64")  # type: ignore[arg-type]
    assert "iadd.i64" in mine and mine.reason("iadd.i128") == ""
    assert mine.reason("param.fast.i128") == "no i128"


def test_what_the_matrix_has_compiles_in_one_program(compiler: Cranelift) -> None:
    keys = matrix.load(compiler, "aarch64")
    texts = [probe.text for probe in probes((0, 135, 8)) if probe.key in keys and not probe.choice][:200]
    (column,) = compiler.compile_text("".join(texts), [Target("aarch64")])
    assert sum(isinstance(reply, FunctionCode) for reply in column) > 150
