"""Whether a program depends on NaN boxes: told from its machine code, and judged by a runner that looks at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.case import CallSite, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa.riscv64 import nan_boxes
from liftcheck.isa.riscv64.known import known
from liftcheck.isa.riscv64.nan_boxes import depends_on_boxes, may_depend_on_boxes
from liftcheck.mach.insn import decode
from liftcheck.mach.rows.encoding import Word
from liftcheck.runners.pool import RunnerPool

UNBOXED = Path(__file__).resolve().parents[2] / "corpus" / "runners" / "unboxed-f32.clif"

RET = "67800000"
FADD_S = "5375b500"
"""fadd.s fa0, fa0, fa1"""
FLD_FA1 = "87350100"
"""fld fa1, 0(sp)"""
FSD_FA1 = "2730b100"
"""fsd fa1, 0(sp)"""
SD_A0 = "2330a100"
"""sd a0, 0(sp)"""
LD_A0 = "03350100"
"""ld a0, 0(sp)"""
FLW_FA1 = "87250100"
"""flw fa1, 0(sp)"""
FMV_D_X = "d38505f2"
"""fmv.d.x fa1, a1"""
FMV_W_X = "d38505f0"
"""fmv.w.x fa1, a1"""
FMV_D = "d385a522"
"""fmv.d fa1, fa0 (some register of the two)"""
FMV_X_D = "530505e2"
"""fmv.x.d a0, fa0"""
CALL = "e7800500"
"""jalr ra, a1"""
FA0_FROM_DOUBLE = "5375b502"
"""fadd.d fa0, fa0, fa1"""
FA1_FROM_DOUBLE = "d3f5b502"
"""fadd.d fa1, fa1, fa1"""
BRANCH_OVER = "63040500"
"""beqz a0, +8"""


def function(*words: str, calls: tuple[CallSite, ...] = ()) -> FunctionCode:
    return FunctionCode("%f", bytes.fromhex("".join(words)), calls=calls)


@pytest.mark.parametrize(
    ("words", "depends"),
    [
        ((FADD_S, RET), False),
        ((FLW_FA1, FADD_S, RET), False),
        ((FMV_W_X, FADD_S, RET), False),
        ((FLD_FA1, FADD_S, RET), True),
        ((FMV_D_X, FADD_S, RET), True),
        ((FMV_D_X, FMV_W_X, FADD_S, RET), False),
        ((FSD_FA1, FA1_FROM_DOUBLE, FLD_FA1, FADD_S, RET), False),
        ((FA1_FROM_DOUBLE, FSD_FA1, FLD_FA1, FADD_S, RET), True),
        ((SD_A0, FLD_FA1, FADD_S, RET), True),
        ((FSD_FA1, SD_A0, FLD_FA1, FADD_S, RET), True),
        ((BRANCH_OVER, FMV_D_X, FADD_S, RET), True),
        ((BRANCH_OVER, FADD_S, FMV_D_X, RET), False),
        ((FADD_S, FMV_X_D, RET), True),
        ((FADD_S, FA0_FROM_DOUBLE, RET), True),
        ((FA0_FROM_DOUBLE, FMV_X_D, RET), False),
    ],
    ids=lambda value: (
        " ".join(decode("riscv64", bytes.fromhex(w))[0].name for w in value) if isinstance(value, tuple) else ""
    ),
)
def test_what_flows_through_a_function(words: tuple[str, ...], depends: bool) -> None:
    program = [function(*words)]
    assert depends_on_boxes(program) == depends
    assert may_depend_on_boxes(program) or not depends


def test_what_flows_through_calls() -> None:
    caller = function(CALL, FADD_S, RET)
    assert depends_on_boxes([caller, function(FMV_D_X, RET)])
    assert not depends_on_boxes([caller, function(FMV_W_X, RET)])
    callee = function(FADD_S, RET)
    assert depends_on_boxes([function(FLD_FA1, CALL, RET), callee])
    assert not depends_on_boxes([function(FLW_FA1, CALL, RET), callee])


def test_a_handler_may_find_anything_in_registers() -> None:
    site = CallSite(4, None, (("default", 12),))
    program = [function(CALL, FA1_FROM_DOUBLE, RET, FADD_S, RET, calls=(site,))]
    assert depends_on_boxes(program)
    assert not depends_on_boxes([function(CALL, FA1_FROM_DOUBLE, RET, FADD_S, RET)])


def test_the_quick_look_misses_nothing_that_the_table_knows() -> None:
    for encoding in (one.row.encoding for one in known().values() if not one.of_vectors):
        assert isinstance(encoding, Word)
        for registers in (0, 0x00A5_8580):  # fields of no instruction of one operand
            word = encoding.match | (registers & ~encoding.mask & 0xFFFF_FFFF)
            data = word.to_bytes(4, "little")
            (machine,) = decode("riscv64", data)
            step = nan_boxes._step(machine)
            checks = bool(step.checks & nan_boxes._ALL)
            unboxes = bool(step.writes and not step.boxes) or step.checks >> 32 > 0
            assert nan_boxes._checks(data) == checks, machine.text
            assert nan_boxes._unboxes(data) >= unboxes, machine.text


@pytest.mark.parametrize(
    ("code", "depends"),
    [
        ("0100" + FADD_S + "0020" + RET, True),
        (FADD_S + "0100" * 9 + "13050000" + "0220" + "8280", True),
        ("0020" + "0100" * 40 + "13050000" + FADD_S + "8280", True),
        ("0100" + "13055375" + "b500" + "0020" + "8280", False),
        ("0100" + FADD_S + "13050020" + "8280", False),
        ("0100" + FADD_S + "0140" + "8280" + "0000", False),
    ],
)
def test_among_compressed_instructions_each_is_read_where_it_begins(code: str, depends: bool) -> None:
    """c.fld, c.fldsp, fadd.s are looked for, not bytes that look like them in the middle of an addi."""
    assert may_depend_on_boxes([FunctionCode("%f", bytes.fromhex(code))]) is depends


def test_a_store_of_what_is_boxed_into_memory_is_seen() -> None:
    """fsd fa0, 0(a0): the upper half is visible outside."""
    assert depends_on_boxes([function(FADD_S, "2730a500", RET)])
    assert may_depend_on_boxes([function(FADD_S, "2730a500", RET)])


@pytest.mark.needs_qemu
def test_compiled_code_is_for_the_runner_that_looks_at_boxes(compiler: Cranelift, runners: RunnerPool) -> None:
    text = UNBOXED.read_text()
    target = Target("riscv64", (("enable_multi_ret_implicit_sret", "true"), ("opt_level", "none")))
    body = "\n".join(line for line in text.splitlines() if not line.startswith(("test", "set", "target", ";")))
    code = compiler.compile_text(print_module(parse_module(body)), [target])[0]
    program = [one for one in code if isinstance(one, FunctionCode)]
    assert depends_on_boxes(program)
    chosen = runners.pick(Target("riscv64"), program)
    assert not isinstance(chosen, str)
    assert chosen.name == "qemu"
    alone = RunnerPool("unicorn")
    assert alone.pick(Target("riscv64"), program) == "emulator: unicorn gets NaN boxing of 32-bit floats wrong"
    mixed = [function(FSD_FA1, FA1_FROM_DOUBLE, FLD_FA1, FADD_S, RET)]
    assert may_depend_on_boxes(mixed)
    assert not isinstance(alone.pick(Target("riscv64"), mixed), str)
    alone.close()


@pytest.mark.needs_compiler
@pytest.mark.needs_qemu
def test_a_missing_box_is_shown_and_not_taken_for_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--compiler", "cranelift@0.135.8", str(UNBOXED)]) == 1
    assert "on qemu" in (printed := capsys.readouterr().out)
    assert "= +NaN  ; DISAGREES: the reference says 0x1.400000p2" in printed
    assert cli.main(["test", "--compiler", "cranelift@0.135.8", str(UNBOXED)]) == 1
    assert "get their NaN boxes (docs/findings/riscv64-f32-return-value-not-boxed.md)" in (
        printed := capsys.readouterr().out
    )
    assert "1 passed, 0 failed, 0 undecided, 0 skipped, 1 findings" in printed
    assert cli.main(["run", "--compiler", "cranelift@0.135.8", "--runner", "unicorn", str(UNBOXED)]) == 2
    assert "unicorn gets NaN boxing of 32-bit floats wrong" in capsys.readouterr().out
