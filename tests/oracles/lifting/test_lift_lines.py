"""Compiled functions as terms against their run lines, on each ISA and level; faults in the code that are seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.scripts import ROOT, load

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.text.filetest import FileTest
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import by_name
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import AssemblyError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.arguments import passed
from liftcheck.mach.lift import table_of
from liftcheck.mach.lift_memory import Undecided
from liftcheck.mach.rows.table import Decoded
from liftcheck.oracles.lifting.lines import Judge
from liftcheck.oracles.lifting.signature import boundary

CORPUS = ROOT / "corpus" / "lift"
WITH_ROWS = [isa for isa in ISAS if isa_named(isa).rows]
load("experiments/lift_files")  # its neighbour, which it imports
script = load("experiments/lift_runs")


def read(path: Path) -> FileTest:
    return parse_filetest(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("isa", WITH_ROWS)
@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.clif")), ids=lambda path: path.stem)
def test_functions_compute_what_their_lines_say(path: Path, isa: str, compiler: Cranelift) -> None:
    """Both levels, all settings that the file names; what is undecided is named."""
    counts = script.Counts()
    script.judge_file(read(path), isa, compiler, counts)
    assert counts.different == []
    assert set(counts.reasons) <= {"not compiled", "a loop"}  # loops for `clz`
    assert counts.lines["equal"] >= 2 or path.stem == "orders"


_PAIRS = {
    "b.gt": "b.le", "b.ge": "b.lt", "blt": "bge", "jl": "jge", "jle": "jg", "csel": "csinv", "cgrjh": "cgrjnh",
    "cgrjl": "cgrjnl", "jgl": "jgnl", "jgh": "jgnh", "jh": "jnh", "jl ": "jnl", "cmovg": "cmovle", "cmovl": "cmovge",
}  # fmt: skip


def _edits(isa: str, code: bytes) -> Iterator[bytes]:
    """The code with one instruction replaced: a condition flipped, one operand another."""
    table = table_of(isa)
    for at, one in table.instructions(code):
        if one is None:
            return
        for data in _others(isa, one):
            yield code[:at] + data + code[at + one.size :]


def _others(isa: str, one: Decoded) -> Iterator[bytes]:
    table = table_of(isa)
    flips = _PAIRS | {other: name for name, other in _PAIRS.items()}
    other = flips.get(one.row.name)
    if other is not None:
        try:
            made = table.assemble(one.text.replace(one.row.name, other, 1))
        except AssemblyError:
            return
        if made.size == one.size and made.data != one.data:
            yield made.data


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_flipped_instructions_are_seen(isa: str, compiler: Cranelift) -> None:
    """Each in `%larger`: some line is not met, or its path is undecided."""
    test = parse_filetest((CORPUS / "integers.clif").read_text(encoding="utf-8"), "integers.clif")
    (function,) = (one for one in test.functions if one.name == "%larger")
    model = test.module([function]).functions[0]
    target = Target(isa, (("opt_level", "none"),))
    (reply,) = compiler.compile_text(print_module(test.module([function])), [target])[0]
    assert isinstance(reply, FunctionCode)
    edited = 0
    for code in _edits(isa, reply.code):
        edited += 1
        judged = Judge(target, model, replace(reply, code=code))
        assert any(judged.line(line).kind != "equal" for line in function.run_lines)
    assert edited


def test_wrong_expectations_are_seen(compiler: Cranelift, tmp_path: Path) -> None:
    """A line that asks for another value, and one for a trap that there is not."""
    text = (CORPUS / "integers.clif").read_text(encoding="utf-8")
    wrong = text.replace("%larger(3, -4) == 3", "%larger(3, -4) == -4").replace("trap user3", "trap user4")
    path = tmp_path / "wrong.clif"
    path.write_text(wrong, encoding="utf-8")
    for isa in WITH_ROWS:
        counts = script.Counts()
        script.judge_file(read(path), isa, compiler, counts)
        assert {text.split()[1] for text in counts.different} == {"%larger", "%guarded"}


@pytest.mark.needs_compiler
def test_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--isa", "riscv64", str(CORPUS / "memory.clif")]) == 0
    assert "0 different, 0 undecided" in capsys.readouterr().out


# -- signatures


def _signature(params: str, returns: str, convention: str = "system_v") -> Signature:
    first, second = (tuple(AbiParam(by_name(name)) for name in names.split()) for names in (params, returns))
    return Signature(first, second, convention)


@pytest.mark.parametrize(
    ("isa", "signature", "arguments", "results"),
    [
        ("x86-64", _signature("i64 f64 i32 i128", "i64 f32"), [[7], [64], [6], [2, 1]], [[0], [64]]),
        ("x86-64", _signature("i64 f64 i32", "i64", "windows_fastcall"), [[1], [65], [8]], [[0]]),
        ("aarch64", _signature("i64 i128 f64", "i128"), [[0], [2, 3], [64]], [[0, 1]]),
        ("aarch64", _signature("i64 i64", "i64", "tail"), [[2], [3]], [[2]]),
        ("riscv64", _signature("i64 f64 f128", "f64"), [[10], [74], [11, 12]], [[74]]),
        ("s390x", _signature("i64 f64 f32 i32x4", "i64 i32x4"), [[2], [64], [66], [88]], [[2], [88]]),
        ("s390x", _signature("i64 i64 i64 i64 i64 i64", "i64", "tail"), [[2], [3], [4], [5], [6], [7]], [[2]]),
    ],
)
def test_registers_of_signatures(
    isa: str, signature: Signature, arguments: list[list[int]], results: list[list[int]]
) -> None:
    found = passed(isa, signature)
    assert found is not None
    assert [[part.place for part in parts] for parts in found.arguments] == arguments
    assert [[part.place for part in parts] for parts in found.results] == results


def test_what_is_passed_otherwise_is_undecided() -> None:
    with pytest.raises(Undecided, match="purpose"):
        boundary(Target("x86-64"), Signature((AbiParam(by_name("i64"), "", "sarg(16)"),), (), "system_v"))
    with pytest.raises(Undecided, match="where arguments"):
        boundary(Target("x86-64"), _signature("i64", "i64", "winch"))
