"""The committed bytes of the stubs are those of their sources, and read as instructions everywhere."""

from __future__ import annotations

import json
import shutil

import pytest
from support.runner_samples import SAMPLES
from support.scripts import ROOT, load

from liftcheck import layout
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.capstone import mnemonics
from liftcheck.runners.stub import load_stub

tool = load("stubs/assemble")
LAST = {"x86-64": "jmp", "aarch64": "b", "riscv64": "j", "s390x": "j"}


@pytest.mark.parametrize("isa", ISAS)
def test_bytes_are_those_of_the_source(isa: str) -> None:
    prefix = isa_named(isa).assembler.prefix
    if shutil.which(f"{prefix}as") is None:
        pytest.skip(f"no {prefix}as: apt-get install binutils-{prefix.rstrip('-')}")
    code, labels = tool.assemble(isa, (ROOT / "liftcheck" / "runners" / "stubs" / f"{isa}.s").read_text())
    stub = load_stub(isa)
    assert stub.code == code
    assert dict(stub.labels) == {name: layout.STUB + offset for name, offset in labels.items()}


@pytest.mark.parametrize("isa", ISAS)
def test_probes_are_those_of_the_source(isa: str) -> None:
    prefix = isa_named(isa).assembler.prefix
    if shutil.which(f"{prefix}as") is None:
        pytest.skip(f"no {prefix}as: apt-get install binutils-{prefix.rstrip('-')}")
    made = json.loads((ROOT / "liftcheck" / "runners" / "stubs" / "probes.json").read_text())
    assert made[isa] == tool.assemble_probes(isa)


@pytest.mark.parametrize("isa", ISAS)
def test_the_loop_disassembles(isa: str) -> None:
    """Up to the trap `bad`; riscv64's one vector sequence is beyond Capstone."""
    stub = load_stub(isa)
    names = mnemonics(isa, stub.code[: stub.labels["bad"] - layout.STUB])
    assert names[-1] == LAST[isa]
    assert names.count(".byte") == (2 if isa == "riscv64" else 0)


@pytest.mark.parametrize("isa", ISAS)
def test_labels_and_library_calls(isa: str) -> None:
    stub = load_stub(isa)
    assert {"start", "bad", "done", "server", "handler", "descriptor", "libcalls"} <= set(stub.labels)
    assert len(stub.code) < layout.STUB_SIZE
    rounding = {f"{name}{size}" for name in ("Ceil", "Floor", "Trunc", "Nearest", "Fma") for size in ("F32", "F64")}
    assert rounding | {"Memcpy", "Memset", "Memmove", "Memcmp"} <= set(stub.libcalls)


@pytest.mark.parametrize("isa", ISAS)
def test_samples_disassemble(isa: str) -> None:
    wanted = {"x86-64": "ret", "aarch64": "ret", "riscv64": "ret", "s390x": "br"}[isa]
    for code in (SAMPLES[isa].trampoline, SAMPLES[isa].good, SAMPLES[isa].plus_42):
        names = mnemonics(isa, code)
        assert names[-1] == wanted
        assert ".byte" not in names
