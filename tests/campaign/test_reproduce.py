"""`program.clif` shows its finding: judged on the faulty compiler and read by upstream's reader; or it says why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from liftcheck import layout
from liftcheck.campaign.findings import reproduce, store
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.case import Case, CompileFailure, FunctionCode, Outcome, Target
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.generators.filetests import Form, filetest_text
from liftcheck.generators.regions import window
from liftcheck.isa import ISAS
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.filetests.engine import plan_of
from liftcheck.oracles.filetests.report import Report
from liftcheck.oracles.filetests.runs import Engine
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners.patience import DEFAULT
from liftcheck.runners.pool import RunnerPool

Fault = Callable[[FunctionCode, Target], "FunctionCode | CompileFailure"]

STORE = """function %f(i64, i64) system_v {
block0(v0: i64, v1: i64):
    store v1, v0+24
    return
}
"""
ADDS = STORE.replace("    store v1", "    v2 = load.i64 v0+24\n    v3 = iadd v1, v2\n    store v3")
EXTEND = """function %f(i8) -> i64 system_v {
block0(v0: i8):
    v1 = uextend.i64 v0
    return v1
}
"""
KEEPS = "function %f(i64) -> i64 system_v {\nblock0(v0: i64):\n    return v0\n}\n"
TRAP = """function %f(i32) -> i32 system_v {
block0(v0: i32):
    trapz v0, user7
    return v0
}
"""
NO_TRAP = TRAP.replace("    trapz v0, user7\n", "")
SUM = """function %f(i32, i32) -> i32 system_v {
block0(v0: i32, v1: i32):
    v2 = iadd v0, v1
    return v2
}
"""


def instead(compiler: Cranelift, isa: str, text: str) -> Fault:
    """Gives %f on an ISA, at speed, the code of another function."""

    def fault(code: FunctionCode, target: Target) -> FunctionCode:
        if target.isa != isa or code.name != "%f" or dict(target.settings).get("opt_level") != "speed":
            return code
        other = compiler.compile_text(text, [target])[0][0]
        assert isinstance(other, FunctionCode)
        return dataclasses.replace(other, name=code.name)

    return fault


def found(compiler: Cranelift, runners: RunnerPool, case: Case, isa: str, fault: Fault) -> tuple[Finding, Judge]:
    """The reduced finding of a planted fault at speed, and the judge that saw it."""
    judge = Judge(compiler, runners, Hooks(code=fault))
    tally = Tally()
    targets = [Target(isa, (("opt_level", level),)) for level in ("none", "speed")]
    suspects = judge.judge([case], targets, tally)
    investigator = Investigator(judge, runners)
    [first] = investigator.investigate(case, suspects, tally)
    assert first.unsaid in ("", reproduce._TRAP)
    smaller = dataclasses.replace(first, reduced=True, program="", run=first.run)
    return investigator.stated(smaller), judge


def verdict(judge: Judge, runners: RunnerPool, text: str) -> Report:
    report = Report()
    assert isinstance(judge.compiler, Cranelift)
    with Engine(judge.compiler, runners, DEFAULT, judge.hooks) as engine:
        plan = plan_of(parse_filetest(text, "program.clif"), (), False)
        for command in plan.commands:
            engine.judge(command, plan, report)
    return report


def with_memory(text: str, *words: Sequence[int]) -> Case:
    """A case of one run: the region's address, then the words; the region is full of ones."""
    inputs = tuple((layout.slot_address(n), *row) for n, row in enumerate(words))
    return Case(parse_module(text, "planted"), 0, inputs, (b"\1" * layout.SLOT_SIZE,) * len(inputs))


@pytest.mark.parametrize("isa", ISAS)
def test_memory_that_only_the_compiled_code_reads_is_said(compiler: Cranelift, runners: RunnerPool, isa: str) -> None:
    case = with_memory(STORE, (5,), (6,))
    finding, judge = found(compiler, runners, case, isa, instead(compiler, isa, ADDS))
    assert finding.klass == compare.WRONG_MEMORY
    assert finding.unsaid == ""
    assert compiler.read_filetest(finding.program) == []
    assert len(verdict(judge, runners, finding.program).failures) == 1
    blank = dataclasses.replace(finding, case=dataclasses.replace(finding.case, memories=(bytes(4096),) * 2))
    silent = reproduce.stated(blank, judge)
    assert "passes it" in silent.unsaid
    assert "liftcheck replay" in silent.text


@pytest.mark.parametrize("isa", ISAS)
def test_a_fault_that_needs_noise_brings_it_along(compiler: Cranelift, runners: RunnerPool, isa: str) -> None:
    case = Case(parse_module(EXTEND, "planted"), 0, ((5,), (0x85,)))
    finding, judge = found(compiler, runners, case, isa, instead(compiler, isa, KEEPS))
    assert finding.unsaid == ""
    assert "ireduce.i8" in finding.program
    report = verdict(judge, runners, finding.program)
    assert (len(report.failures), len(report.findings)) == (1, 0)


@pytest.mark.parametrize("isa", ISAS)
def test_a_plain_fault_is_said_plainly(compiler: Cranelift, runners: RunnerPool, isa: str) -> None:
    case = Case(parse_module(SUM, "planted"), 0, ((5, 7),))
    finding, _ = found(compiler, runners, case, isa, instead(compiler, isa, SUM.replace("iadd", "isub")))
    assert "; run: %f(5, 7) == 12\n" in finding.program
    assert "%run0" not in finding.program
    assert "enable_llvm_abi_extensions" not in finding.program
    assert finding.program.count("target ") == 2  # the fault's and the witness's


def test_a_missing_trap_is_said_for_liftcheck_alone(compiler: Cranelift, runners: RunnerPool) -> None:
    case = Case(parse_module(TRAP, "planted"), 0, ((0,),))
    finding, judge = found(compiler, runners, case, "aarch64", instead(compiler, "aarch64", NO_TRAP))
    assert finding.klass == compare.WRONG_TRAP
    assert "; run: %f(0) == trap user7\n" in finding.program
    assert "liftcheck alone" in finding.unsaid
    assert len(verdict(judge, runners, finding.program).failures) == 1


def test_a_spurious_trap_is_an_ordinary_run_line(compiler: Cranelift, runners: RunnerPool) -> None:
    case = Case(parse_module(NO_TRAP, "planted"), 0, ((0,),))
    finding, _ = found(compiler, runners, case, "riscv64", instead(compiler, "riscv64", TRAP))
    assert finding.klass == compare.WRONG_TRAP
    assert "; run: %f(0) == 0\n" in finding.program
    assert finding.unsaid == ""


def test_a_failing_compilation_has_its_settings_where_upstream_reads_them(
    compiler: Cranelift, runners: RunnerPool
) -> None:
    def panics(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
        bad = ("regalloc_algorithm", "single_pass") in target.settings and len(code.code) > 0 and code.name == "%f"
        return CompileFailure("panic", "planted", "planted panic", "somewhere.rs:1:2") if bad else code

    case = Case(parse_module(SUM, "planted"), 0, ((1, 2),))
    judge = Judge(compiler, runners, Hooks(code=panics))
    where = Target("aarch64", (("has_lse", "true"), ("opt_level", "speed"), ("regalloc_algorithm", "single_pass")))
    tally = Tally()
    investigator = Investigator(judge, runners)
    [first] = investigator.investigate(case, judge.judge([case], [where], tally), tally)
    for finding in (first, dataclasses.replace(first, reduced=True)):
        told = investigator.stated(finding)
        assert told.unsaid == ""
        assert "set regalloc_algorithm=single_pass\n" in told.program
        assert "target aarch64 has_lse\n" in told.program
        assert compiler.read_filetest(told.program) == []


def test_another_fault_than_the_findings_is_not_taken_for_it(compiler: Cranelift, runners: RunnerPool) -> None:
    case = Case(parse_module(SUM, "planted"), 0, ((5, 7),))
    finding, judge = found(
        compiler, runners, case, "aarch64", instead(compiler, "aarch64", SUM.replace("iadd", "isub"))
    )
    crash = dataclasses.replace(finding, klass=compare.CRASH, actual=Outcome("crashed"))
    assert "for another reason" in reproduce.stated(crash, judge).unsaid


@pytest.mark.needs_qemu
def test_the_known_fault_is_told(compiler: Cranelift, runners: RunnerPool) -> None:
    """A wrong result, and a refusal; not one whose cause nobody knows."""
    saturates = (
        "function %f(f64) -> i8 system_v {\nblock0(v0: f64):\n    v1 = fcvt_to_uint_sat.i8 v0\n    return v1\n}\n"
    )
    case = Case(parse_module(saturates, "known"), 0, ((0x4070 << 48,),))
    finding, judge = found(compiler, runners, case, "s390x", lambda code, _: code)
    assert investigated(judge, runners, finding).fault == "docs/findings/s390x-fcvt-to-uint-sat-i8.md"
    case = Case(parse_module(SUM, "planted"), 0, ((5, 7),))
    finding, judge = found(
        compiler, runners, case, "aarch64", instead(compiler, "aarch64", SUM.replace("iadd", "isub"))
    )
    assert investigated(judge, runners, finding).fault == ""


def investigated(judge: Judge, runners: RunnerPool, finding: Finding) -> Finding:
    return Investigator(judge, runners).stated(finding)


def test_what_a_filetest_cannot_show_is_said_in_file_and_page(
    compiler: Cranelift, runners: RunnerPool, tmp_path: Path
) -> None:
    case = Case(parse_module(SUM, "planted"), 0, ((5, 7),))
    finding = Finding(compare.NONDETERMINISTIC, case, Target("aarch64"))
    text, unsaid, _ = reproduce.stated(finding, Judge(compiler, runners))
    assert "compiles once" in unsaid
    assert "compiles once" in text
    files = store.files(dataclasses.replace(finding, program=text, unsaid=unsaid), "folder")
    assert "compiles once" in files[store.PAGE]
    assert compiler.read_filetest(text) == []


def test_pages_show_initial_memory(compiler: Cranelift, runners: RunnerPool) -> None:
    case = with_memory(STORE, (5,))
    memory = bytearray(layout.SLOT_SIZE)
    memory[24] = 0xAB
    finding = Finding(compare.WRONG_MEMORY, dataclasses.replace(case, memories=(bytes(memory),)), Target("aarch64"))
    assert "0x010: 00 00 00 00 00 00 00 00 ab" in store.files(finding, "folder")[store.PAGE]
    zero = dataclasses.replace(finding, case=dataclasses.replace(case, memories=(bytes(4096),)))
    assert "Initially it is zero." in store.files(zero, "folder")[store.PAGE]


@pytest.mark.parametrize("isa", ["riscv64", "s390x"])
def test_a_region_can_be_a_buffer_of_liftchecks_own_lines(compiler: Cranelift, runners: RunnerPool, isa: str) -> None:
    case = with_memory(STORE, (5,), (6,))
    text = filetest_text(
        case, [Target(isa, (("opt_level", "speed"),))], form=Form(buffers=True, runs=(1,)), big_endian=isa == "s390x"
    )
    assert "; liftcheck: run: %f(&data+0, 6), data == bytes[01 01 " in text
    assert compiler.read_filetest(text) == []
    right = verdict(Judge(compiler, runners), runners, text)
    assert (right.passed, len(right.failures)) == (1, 0)
    wrong = verdict(Judge(compiler, runners, Hooks(code=instead(compiler, isa, ADDS))), runners, text)
    assert (wrong.passed, len(wrong.failures)) == (0, 1)


def test_buffers_do_not_need_settings_that_an_old_version_lacks() -> None:
    """0.95 knows not all of those that liftcheck always compiles with: the target's own come first."""
    actual = Outcome("returned", (), bytes(layout.SLOT_SIZE))
    case = with_memory(STORE, (5,))
    finding = Finding(compare.WRONG_MEMORY, case, Target("s390x"), reduced=True, expected=actual, actual=actual)
    said = [text for text, _ in reproduce._forms(finding) if "; liftcheck: run:" in text]
    assert ["set enable_multi_ret_implicit_sret=true" in text for text in said] == [False, True]


BELOW = """function %f(i64, i64) system_v {
block0(v0: i64, v1: i64):
    v2 = load.i64 v0
    v3 = iadd v1, v2
    store v3, v0+8
    return
}
"""
WRONG = BELOW.replace("iadd v1, v2", "isub v1, v2")


def little_matters(run: int = 0) -> Case:
    """A case whose pointer leads into the middle of its region, which is zero but for one word there."""
    memory = bytearray(layout.SLOT_SIZE)
    memory[0x120:0x128] = (77).to_bytes(8, "little")
    return Case(parse_module(BELOW, "planted"), 0, ((layout.slot_address(run) + 0x120, 5),), (bytes(memory),), run)


@pytest.mark.parametrize("isa", ["x86-64", "s390x"])
def test_of_a_region_there_is_as_much_as_matters(compiler: Cranelift, runners: RunnerPool, isa: str) -> None:
    finding, judge = found(compiler, runners, little_matters(), isa, instead(compiler, isa, WRONG))
    assert finding.unsaid == "" and finding.fault == ""
    text = finding.program
    assert "ss0 = explicit_slot 16" in text and "brif" not in text
    assert text.count("store") == 3 and text.count("load.i64") == 2
    assert compiler.read_filetest(text) == []
    wrong = verdict(judge, runners, text)
    assert len(wrong.failures) == 1
    right = verdict(Judge(compiler, runners), runners, text)
    assert right.passed > 0 and not right.failures


def test_where_much_matters_there_is_the_whole_region(compiler: Cranelift, runners: RunnerPool) -> None:
    finding, _ = found(compiler, runners, with_memory(STORE, (5,)), "x86-64", instead(compiler, "x86-64", ADDS))
    assert finding.unsaid == "" and f"ss0 = explicit_slot {layout.SLOT_SIZE}" in finding.program


def test_a_window_that_does_not_show_it_is_not_taken(compiler: Cranelift, runners: RunnerPool) -> None:
    """The code reads zeros far from all that seems to matter, so a small slot would be overrun."""
    far = BELOW.replace("load.i64 v0\n", "load.i64 v0+2048\n")
    case = dataclasses.replace(little_matters(), module=parse_module(far, "planted"))
    wrong = far.replace("iadd v1, v2", "bnot v1")
    finding, _ = found(compiler, runners, case, "x86-64", instead(compiler, "x86-64", wrong))
    assert finding.unsaid == "" and f"ss0 = explicit_slot {layout.SLOT_SIZE}" in finding.program


def changed(memory: bytes, *places: int) -> bytes:
    return bytes(byte ^ (at in places) for at, byte in enumerate(memory))


@pytest.mark.parametrize(
    ("run", "places", "wanted"),
    [
        (0, (0x121,), (0x120, 16, (0x120,))),
        (3, (0x130, 0x15F), (0x120, 64, (0x130, 0x158))),
        (0, (0x11F,), (0x110, 32, (0x118,))),
        (0, (0x160,), None),
        (0, (), (0x120, 16, ())),
    ],
)
def test_a_window_has_what_is_read_written_and_pointed_at(
    run: int, places: tuple[int, ...], wanted: tuple[int, int, tuple[int, ...]] | None
) -> None:
    case = little_matters(run)
    assert window(case, 0, [case.memories[0], changed(case.memories[0], *places)]) == wanted


def test_what_points_out_of_a_region_has_no_window() -> None:
    case = little_matters()
    assert window(dataclasses.replace(case, memories=()), 0, []) is None
    outside = dataclasses.replace(case, inputs=((layout.slot_address(0) - 8, 5),))
    assert window(outside, 0, [case.memories[0]]) is None


def test_settings_that_do_not_matter_are_not_said(compiler: Cranelift, runners: RunnerPool) -> None:
    """An i128 as a parameter needs one of the settings that liftcheck always compiles with, and none of the others."""
    wide = "function %f(i128) -> i128 system_v {\nblock0(v0: i128):\n    v1 = bnot v0\n    return v1\n}\n"
    finding, _ = found(
        compiler,
        runners,
        Case(parse_module(wide, "planted"), 0, ((5,),)),
        "x86-64",
        instead(compiler, "x86-64", wide.replace("bnot", "ineg")),
    )
    assert finding.unsaid == ""
    lines = [line for line in finding.program.splitlines() if line.startswith("set ")]
    assert lines == ["set enable_llvm_abi_extensions=true", "set opt_level=speed", "set opt_level=none"], lines
