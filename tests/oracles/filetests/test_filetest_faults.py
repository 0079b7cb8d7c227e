"""A wrong result is a known bug's only if it is just what the bug, written as a program, gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Module
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler
from liftcheck.interp.run import prepare
from liftcheck.isa import ISAS
from liftcheck.oracles.filetests.faults import FEW
from liftcheck.oracles.filetests.known import faulty
from liftcheck.oracles.filetests.pages import PAGES
from liftcheck.oracles.filetests.report import Report
from liftcheck.oracles.filetests.runs import Engine
from liftcheck.oracles.filetests.units import plan_of
from liftcheck.oracles.hooks import Hooks
from liftcheck.runners.patience import DEFAULT
from liftcheck.runners.pool import RunnerPool

PROMOTES = """function %f(f16) -> f64 system_v {
block0(v0: f16):
    v2 -> v0
    v1 = fpromote.f64 v2
    return v1
}
"""
DEMOTES = """function %f(f128) -> f32 system_v {
block0(v0: f128):
    v1 = fdemote.f32 v0
    return v1
}
"""
MINIMUM = """function %f() -> f16 system_v {
block0:
    v0 = f16const 0x1.0p2
    v1 = f16const -0.0
    v2 = fmin v0, v1
    return v2
}
"""
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "argument", "wrong"),
    [(PROMOTES, 0x3C00, 0x377E << 48), (DEMOTES, 0x3FFF << 112 | 0x3FF8 << 48, 0x3FC00000)],
)
def test_the_fault_s_program_gives_what_the_page_says(text: str, argument: int, wrong: int) -> None:
    ((page, functions),) = faulty(Target("aarch64"), parse_module(text, "faulty").functions)
    assert (ROOT / page).is_file()
    module = Module(functions)
    assert not verify(module)
    assert prepare(module, False).run(0, (argument,), None, 1000).values == (wrong,)


@pytest.mark.parametrize(
    ("one", "other", "op", "wrong"),
    [
        ("0x1.0p2", "-0.0", "fmin", 0x4400),
        ("0.0", "0x1.0p2", "fmax", 0),
        ("-0x1.0p2", "0.0", "fmax", 0xC400),
        ("0.0", "-0.0", "fmin", None),
        ("0x1.0p2", "0x1.0p3", "fmin", None),
        ("+NaN", "0.0", "fmin", None),
    ],
)
def test_what_is_folded_to_the_first_operand(one: str, other: str, op: str, wrong: int | None) -> None:
    text = MINIMUM.replace("0x1.0p2", one).replace("v1 = f16const -0.0", f"v1 = f16const {other}").replace("fmin", op)
    found = faulty(Target("x86-64"), parse_module(text, "faulty").functions)
    assert len(found) == (wrong is not None)
    for _, functions in found:
        assert not verify(Module(functions))
        assert prepare(Module(functions), False).run(0, (), None, 1000).values == (wrong,)


def test_other_types_and_isas_are_not_touched() -> None:
    assert faulty(Target("s390x"), parse_module(PROMOTES, "faulty").functions) == []
    assert faulty(Target("aarch64"), parse_module(PROMOTES.replace("f16", "f32"), "faulty").functions) == []
    assert faulty(Target("riscv64"), parse_module(DEMOTES, "faulty").functions) == []


def test_every_page_of_the_table_is_there_and_its_isas_too() -> None:
    assert [page.name for page in PAGES if not (ROOT / page.path).is_file()] == []
    assert all(set(page.isas.split()) <= set(ISAS) for page in PAGES)


SATURATES = """function %f(f64, f64) -> i8, i8 system_v {
block0(v0: f64, v1: f64):
    v2 = fcvt_to_uint_sat.i8 v0
    v3 = fcvt_to_uint_sat.i8 v1
    return v2, v3
}
"""
ATOMIC = """function %f(i8, i8) -> i8, i8, i8 system_v {
    ss0 = explicit_slot 1
block0(v0: i8, v1: i8):
    v2 = stack_addr.i64 ss0
    store v0, v2
    v3 = atomic_rmw.i8 umin v2, v1
    v4 = load.i8 v2
    v5 = atomic_rmw.i8 umax v2, v1
    v6 = load.i8 v2
    return v4, v5, v6
}
"""
SWIZZLES = """function %f(i8x16, i8) -> i8x16, i8x16 system_v {
block0(v0: i8x16, v1: i8):
    v2 = splat.i8x16 v1
    v3 -> v2
    v4 = swizzle v0, v3
    v5 = swizzle v0, v0
    return v4, v5
}
"""
ANY = """function %f(i32x2, i32x4) -> i8, i8 system_v {
block0(v0: i32x2, v1: i32x4):
    v2 = vany_true v0
    v3 = vany_true v1
    return v2, v3
}
"""
D256, D257, D12 = 0x4070 << 48, 0x40701 << 44, 0x4028 << 48


def given(isa: str, text: str, args: tuple[int, ...], settings: tuple[tuple[str, str], ...] = ()) -> list[object]:
    """What the programs of a fault return."""
    found = faulty(Target(isa, settings), parse_module(text, "faulty").functions)
    assert not any(verify(Module(functions)) for _, functions in found)
    programs = [prepare(Module(functions), isa == "s390x") for _, functions in found]
    return [program.run(0, args, None, 1000).values for program in programs]


def test_one_instruction_or_another_or_all_may_be_hit() -> None:
    assert given("s390x", SATURATES, (D256, D256)) == [(0, 0), (0, 255), (255, 0)]
    assert set(given("s390x", SATURATES, (D257, D12))) == {(255, 12)}
    assert given("riscv64", SATURATES, (D256, D256)) == []
    assert given("aarch64", ATOMIC, (0x7F, 1)) == [(0x7F, 0x7F, 1), (0x7F, 0x7F, 0x7F), (1, 1, 1)]
    assert given("aarch64", ATOMIC, (0x7F, 1), (("has_lse", "true"),)) == []


def test_of_many_instructions_all_are_hit_or_one_alone() -> None:
    more = "".join(f"    v{number} = fcvt_to_uint_sat.i8 v0\n" for number in range(10, 10 + FEW))
    text = SATURATES.replace("    return", f"{more}    return")
    assert len(given("s390x", text, (D256, D256))) == 1 + 2 + FEW


def test_what_the_fault_does_not_touch_stays() -> None:
    lanes = int.from_bytes(range(16), "little")
    assert given("riscv64", SWIZZLES, (lanes, 3)) == [(0, lanes)]
    assert given("x86-64", ANY, (0, 0)) == [(1, 0)]


def judged(compiler: Compiler, runners: RunnerPool, hooks: Hooks) -> Report:
    report = Report()
    text = (ROOT / "corpus" / "regressions" / "aarch64-fpromote-from-f16.clif").read_text()
    with Engine(compiler, runners, DEFAULT, hooks) as engine:
        engine.judge("run", plan_of(parse_filetest(text, "known.clif"), (), False), report)
    return report


def _another(code: FunctionCode, target: Target) -> FunctionCode:
    """`fcvt d0, s0` becomes `fmov d0, xzr`: another wrong result."""
    return FunctionCode(code.name, code.code.replace(bytes.fromhex("00c0221e"), bytes.fromhex("e003679e")))


def test_another_wrong_result_of_the_same_instruction_stays_a_failure(compiler: Compiler, runners: RunnerPool) -> None:
    known = judged(compiler, runners, Hooks())
    assert (len(known.findings), len(known.failures)) == (1, 0)
    other = judged(compiler, runners, Hooks(code=_another))
    assert (len(other.findings), len(other.failures)) == (0, 1)
