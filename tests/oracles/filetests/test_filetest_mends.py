"""A fault that no CLIF says is told by what takes it away, and nothing else is.

`corpus/known` has programs that known faults spoil otherwise than those of their pages.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.case_rows import rows, run

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Module
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler
from liftcheck.interp.run import prepare
from liftcheck.oracles.filetests.mends import Mend, boxed_anew, halves_apart, mended, preserves_all, unextended
from liftcheck.oracles.filetests.pages import PAGES
from liftcheck.oracles.filetests.report import Report
from liftcheck.oracles.filetests.runs import Engine
from liftcheck.oracles.filetests.units import plan_of
from liftcheck.oracles.hooks import Hooks
from liftcheck.runners.patience import DEFAULT
from liftcheck.runners.pool import RunnerPool

CORPUS = Path(__file__).resolve().parents[3] / "corpus"
MENDS = [page.told_by for page in PAGES if isinstance(page.told_by, Mend)]
FLOATS = """function %g(f32, f16) -> f32, f16, f64 tail {
block0(v0: f32, v1: f16):
    v2 = f64const 0.0
    return v0, v1, v2
}
function %f(f32, f16) -> f32, f16 system_v {
    sig0 = (f32, f16) -> f32, f16, f64 tail
    fn0 = colocated %g sig0
block0(v0: f32, v1: f16):
    v2, v3, v4 = call fn0(v0, v1)
    v5 -> v2
    v6 -> v5
    v7, v8, v9 = call fn0(v6, v3)
    jump block1(v7, v8)
block1(v10: f32, v11: f16):
    v12 = fcmp.f32 ne v10, v0
    brif v12, block2, block3
block2:
    return v10, v11
block3:
    v13 = fadd v10, v2
    try_call fn0(v13, v11), sig0, block1(ret0, ret1), [ default: block2 ]
}
"""
HALVES = """function %f(i64) -> i128, i128 system_v {
    ss0 = explicit_slot 16, align = 16
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    v2 = iconcat v0, v0
    atomic_store v2, v1
    v3 = atomic_rmw.i128 xchg v1, v2
    v4 = load.i128 v1
    return v3, v4
}
"""
EXTENDS = """function %f(i64, i64, i64, i64, i64, i64, i32 sext, i128, i8 uext, i16 sext) -> i64 apple_aarch64 {
    sig0 = (i64, i64, i64, i64, i64, i64, i64, i64, i32 uext) apple_aarch64
    sig1 = (i64, i64, i64, i64, i64, i64, i64, i64, i32 uext) system_v
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i32, v7: i128, v8: i8, v9: i16):
    return v0
}
"""
DIFFERS = """test run
set enable_multi_ret_implicit_sret=true
target riscv64
function %g(f32) -> f32 tail {
block0(v0: f32):
    return v0
}
function %f(f32) -> f32 {
    fn0 = colocated %g(f32) -> f32 tail
block0(v0: f32):
    v1 = call fn0(v0)
    v2 = fadd v1, v1
    return v2
}
; run: %f(0x1.0) == 0x1.0p1
"""


@pytest.mark.needs_compiler("fuzz")
@pytest.mark.parametrize(("path", "expected"), rows(CORPUS / "known"))
def test_programs_unlike_the_page_s_are_told(path: Path, expected: Any, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, output = run(path, expected, capsys, "--compiler", "cranelift@0.135.8")
    assert wrong == "", output


@pytest.mark.parametrize(
    ("mend", "text", "args"),
    [
        (boxed_anew, FLOATS, (0x3FC00000, 0x3C00)),
        (boxed_anew, FLOATS, (0xBFC00000, 0xBC00)),
        (halves_apart, HALVES, (7,)),
        (unextended, EXTENDS, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)),
    ],
)
@pytest.mark.parametrize("healed", [True, False])
def test_what_is_changed_means_the_same(mend: Any, text: str, args: tuple[int, ...], healed: bool) -> None:
    functions = parse_module(text, "mends").functions
    number = len(functions) - 1
    changed = mended(Mend("", mend), functions, healed)
    assert changed is not None
    changed = parse_module(print_module(Module(changed)), "mended").functions
    assert not verify(Module(changed))
    before, after = (prepare(Module(one), False).run(number, args, None, 1000) for one in (functions, changed))
    assert (before.kind, before.values) == (after.kind, after.values)
    assert before.kind == "returned"


def test_only_what_comes_back_from_calls_is_read_anew() -> None:
    text = print_module(Module(mended(MENDS[0], parse_module(FLOATS, "mends").functions) or []))
    assert text.count("bitcast.f32") == text.count("bitcast.f16") == 3
    control = print_module(Module(mended(MENDS[0], parse_module(FLOATS, "mends").functions, False) or []))
    assert sorted(line.split("=")[-1].split()[0] for line in text.splitlines() if "=" in line) == sorted(
        line.split("=")[-1].split()[0] for line in control.splitlines() if "=" in line
    )
    assert text != control


def test_only_arguments_on_the_stack_of_that_convention_are_not_extended() -> None:
    (function,) = mended(Mend("", unextended), parse_module(EXTENDS, "mends").functions) or []
    assert [param.extension for param in function.signature.params[6:]] == ["sext", "", "", ""]
    assert [function.signatures[n].params[8].extension for n in (0, 1)] == ["", "uext"]


def test_other_programs_have_nothing_to_mend() -> None:
    plain = parse_module("function %f(f32, i128) -> f32 system_v {\nblock0(v0: f32, v1: i128):\n    return v0\n}", "x")
    assert [mended(mend, plain.functions) for mend in MENDS] == [None] * len(MENDS)
    kept = parse_module("function %f() preserve_all {\nblock0:\n    return\n}", "x")
    assert preserves_all(kept.functions[0], True) is None


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        ("i64, i64, i64, i64, i64, i64, i64, i64, i8) winch", True),
        ("f32, f64, f64, f64, f64, f64, f64, f64, f64) winch", True),
        ("i64, f64, i64, f64, i64, f64, i64, f64, i64, f64) winch", False),
        ("i64, i64, i64, i64, i64, i64, i64, i64, i8) tail", False),
    ],
)
def test_only_what_takes_arguments_away_may_sign_otherwise_than_it_authenticates(signature: str, told: bool) -> None:
    types = signature.partition(")")[0].split(", ")
    params = ", ".join(f"v{n}: {ty}" for n, ty in enumerate(types))
    module = parse_module(f"function %f({signature} {{\nblock0({params}):\n    return\n}}", "x")
    (mend,) = [mend for mend in MENDS if "sign_return_address" in dict(mend.settings)]
    assert (mended(mend, module.functions) is not None) is told


def judged(compiler: Compiler, runners: RunnerPool, hooks: Hooks) -> Report:
    report = Report()
    with Engine(compiler, runners, DEFAULT, hooks) as engine:
        engine.judge("run", plan_of(parse_filetest(DIFFERS, "mends.clif"), (), False), report)
    return report


def _subtracts(code: FunctionCode, _: Target) -> FunctionCode:
    """Every `fadd.s` becomes `fsub.s`."""
    made = bytearray(code.code)
    for at in range(0, len(made) - 3, 4):
        if made[at] & 0x7F == 0x53 and made[at + 3] < 2:
            made[at + 3] |= 8
    return dataclasses.replace(code, code=bytes(made))


@pytest.mark.needs_compiler
@pytest.mark.needs_qemu
@pytest.mark.parametrize("fleeting", [False, True])
def test_another_fault_stays_a_failure(compiler: Compiler, runners: RunnerPool, fleeting: bool) -> None:
    """One that is there whatever the program looks like, and one that any change of the program moves away."""
    asked: list[str] = []

    def spoiled(code: FunctionCode, target: Target) -> FunctionCode:
        asked.append(code.name)
        return code if fleeting and asked.count(code.name) > 1 else _subtracts(code, target)

    assert judged(compiler, runners, Hooks()).passed == 2
    report = judged(compiler, runners, Hooks(code=spoiled))
    assert asked.count("%f") >= 3
    assert (report.passed, len(report.findings), len(report.failures)) == (1, 0, 1)
