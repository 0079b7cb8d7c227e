"""The compiler of our own: its code does what CLIF means, its allocations are proven, what it lacks is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from liftcheck import cli
from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers import matrix
from liftcheck.compilers.base import UnknownSetting
from liftcheck.compilers.builtin.client import Builtin
from liftcheck.compilers.builtin.pipeline import compile_function, rules_of
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.lower import Refused
from liftcheck.oracles.regalloc.validate import validate_allocation
from liftcheck.oracles.regalloc.verdict import VALID
from liftcheck.regalloc.allocation import Allocation, Edit

CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "run"
THERE = tuple(isa for isa in ISAS if isa_named(isa).backend)
ALLOCATED = frozenset({"allocation"})


def functions() -> Iterator[Function]:
    for path in sorted(CORPUS.parent.rglob("*.clif")):
        for test in parse_filetest(path.read_text(), strict=False).functions:
            if test.function is not None:
                yield test.function


def function(text: str) -> Function:
    found = parse_filetest(text).functions[0].function
    assert found is not None
    return found


@pytest.mark.parametrize("isa", THERE)
@pytest.mark.parametrize("level", ["none", "speed"])
def test_the_corpus_gives_what_clif_means(isa: str, level: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = Target(isa, (("opt_level", level),))
    assert all(isinstance(r, FunctionCode) for r in Builtin().compile_text(SMALL, [target])[0])
    assert cli.main(["test", str(CORPUS), "--compiler", "builtin", "--isa", isa]) in (0, 4)
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if line.startswith(f"{isa}:"))
    assert ", 0 failed" in line
    assert int(line.split()[1]) > 60


SMALL = """\
function %sum(i32) -> i64 system_v {
block0(v0: i32):
    v1 = iconst.i64 0
    v2 = iconst.i32 0
    jump block1(v1, v2)
block1(v3: i64, v4: i32):
    v5 = uextend.i64 v4
    v6 = iadd v3, v5
    v7 = iconst.i32 1
    v8 = iadd v4, v7
    v9 = icmp ult v8, v0
    brif v9, block1(v6, v8), block2
block2:
    return v6
}
"""


@pytest.mark.parametrize("isa", THERE)
def test_every_allocation_of_the_corpus_is_proven(isa: str) -> None:
    proven = 0
    for one in functions():
        try:
            made = compile_function(one, isa, {}, ALLOCATED)
        except Refused:
            continue
        verdict = validate_allocation(made.allocation)
        assert verdict.status == VALID, f"{one.name}: {verdict.reason}"
        proven += 1
    assert proven > 150


MANY = """\
function %many(i64, i64) -> i64 system_v {{
    sig0 = (i64) -> i64 system_v
block0(v0: i64, v1: i64):
{}    return v{}
}}
"""


def crowded(count: int) -> Function:
    """So many values live at once that some are on the stack, over a call."""
    lines = [f"    v{n} = bxor v{n - 1}, v{n - 2}\n" for n in range(2, count)]
    lines.append(f"    v{count} = call_indirect sig0, v0(v1)\n")
    lines += [f"    v{count + n} = iadd v{count + n - 1}, v{n}\n" for n in range(1, count)]
    return function(MANY.format("".join(lines), 2 * count - 1))


FAULTS: dict[str, Any] = {
    "a move is missing": lambda a: replace(a, edits=a.edits[1:]),
    "a move reads another register": lambda a: replace(
        a, edits=(a.edits[0]._replace(source=a.edits[0].source ^ 1), *a.edits[1:])
    ),
    "a move writes another place": lambda a: replace(
        a, edits=(a.edits[0]._replace(target=a.edits[0].target ^ 1), *a.edits[1:])
    ),
    "a register is overwritten": lambda a: replace(a, edits=(*a.edits, _over(a))),
    "a use reads another register": lambda a: replace(a, places=tuple(_other(p) for p in a.places)),
}


def _over(allocation: Allocation) -> Edit:
    """A move before the last instruction, into what that reads."""
    read = allocation.places[-1][-1]
    return Edit(len(allocation.instructions) - 1, 0, read ^ 1, read)


def _other(places: tuple[int, ...]) -> tuple[int, ...]:
    return (*places[:-1], places[-1] ^ 1) if len(places) == 3 else places


@pytest.mark.parametrize("isa", THERE)
def test_a_crowd_is_allocated_and_proven(isa: str) -> None:
    made = compile_function(crowded(60), isa, {}, ALLOCATED)
    assert made.allocation.slots > 0
    assert validate_allocation(made.allocation).status == VALID


@pytest.mark.parametrize("isa", THERE)
@pytest.mark.parametrize("op", ["umulhi", "srem", "sdiv", "rotl", "ushr", "smax"])
def test_a_crowd_of_instructions_that_are_choosy(isa: str, op: str) -> None:
    """Operands that stay to the end of their instruction, that are fixed, or written over, all of them spilled."""
    lines = [f"    v{n} = {op} v{n - 1}, v{n - 2}\n" for n in range(2, 40)]
    lines += [f"    v{40 + n} = {op} v{39 + n}, v{n}\n" for n in range(40)]
    made = compile_function(function(MANY.format("".join(lines), 79)), isa, {}, ALLOCATED)
    assert made.allocation.slots > 0
    assert validate_allocation(made.allocation).status == VALID


@pytest.mark.parametrize("isa", THERE)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_the_allocator_is_refuted(isa: str, fault: str) -> None:
    allocation = compile_function(crowded(60), isa, {}, ALLOCATED).allocation
    assert validate_allocation(FAULTS[fault](allocation)).status == "invalid"


@pytest.mark.parametrize("isa", THERE)
def test_rules_are_traced_by_file_and_line(isa: str) -> None:
    (reply,) = Builtin().compile_text(SMALL, [Target(isa)], frozenset({"rules", "vcode", "disassembly", "srclocs"}))[0]
    assert isinstance(reply, FunctionCode)
    rules = reply.extra["rules"]
    assert isinstance(rules, list)
    assert rules
    assert all(re.fullmatch(r"src/(words|isa/\w+/lower)\.isle:\d+ \w+", one) for one in rules)
    assert "block1(" in str(reply.extra["vcode"])
    assert "?" not in str(reply.extra["disassembly"])


@pytest.mark.parametrize("isa", THERE)
def test_branches_reach_over_any_distance(isa: str) -> None:
    far = "".join(f"    v{n} = imul v{n - 1}, v0\n    v{n + 1} = rotl v{n}, v{n - 1}\n" for n in range(5, 200_005, 2))
    text = (
        "function %far(i64, i64) -> i64 system_v {\nblock0(v0: i64, v1: i64):\n    brif v1, block1, block2\n"
        f"block1:\n    v4 = iadd v0, v1\n{far}    brif v200004, block1, block2\nblock2:\n    return v0\n}}\n"
    )
    made = compile_function(function(text), isa, {})
    assert len(made.code.code) > 1 << 20


def test_what_is_not_there_is_refused_by_name() -> None:
    text = "function %f(i8x16) -> i8x16 system_v {\nblock0(v0: i8x16):\n    return v0\n}\n"
    (reply,) = Builtin().compile_text(text, [Target("riscv64")])[0]
    assert isinstance(reply, CompileFailure)
    assert (reply.kind, reply.reason) == ("unsupported", "not there yet: values of i8x16")


def test_an_ill_formed_function_is_input() -> None:
    text = "function %f(i64) -> i32 system_v {\nblock0(v0: i64):\n    return v0\n}\n"
    (reply,) = Builtin().compile_text(text, [Target("riscv64")])[0]
    assert isinstance(reply, CompileFailure)
    assert reply.kind == "input"


def test_settings_and_names_that_there_are_not() -> None:
    with pytest.raises(UnknownSetting):
        Builtin().compile_text(SMALL, [Target("riscv64", (("has_nothing", "true"),))])
    with pytest.raises(UsageError, match="one builtin compiler"):
        open_compiler("builtin@3")


@pytest.mark.parametrize("isa", sorted(set(ISAS) - set(THERE)))
def test_an_isa_that_is_not_there_is_refused(isa: str) -> None:
    assert rules_of(isa) is None
    (reply,) = Builtin().compile_text(SMALL, [Target(isa)])[0]
    assert isinstance(reply, CompileFailure)
    assert reply.reason == f"not there yet: the ISA {isa}"


def test_fuzz_without_cranelift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("LIFTCHECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFTCHECK_CRANELIFT", raising=False)
    monkeypatch.setattr("shutil.which", lambda *given, **more: None)
    out = tmp_path / "out"
    assert cli.main(["fuzz", "--isa", "riscv64", "--cases", "16", "--jobs", "1", "--no-sweep", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "fuzzing builtin, liftcheck's own compiler, instead" in said.err
    assert "install Rust" in said.err


def test_what_the_matrix_says_of_riscv64() -> None:
    found = matrix.ask(Builtin(), Target("riscv64"), matrix.probes())
    assert len(found.has) > 740
    assert not found.panics
    assert {"iadd.i128", "fcvt_to_sint_sat.i8.f64", "atomic_cas.i8", "return_call.tail"} <= found.has
