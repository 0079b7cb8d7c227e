"""Calls in lifted code: what callees keep, and calls that are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from support.lifting import function as assembled
from support.scripts import ROOT

from liftcheck.case import FunctionCode, Relocation, Target
from liftcheck.clif.ir import AbiParam, Function, Module, Signature
from liftcheck.clif.text import filetest
from liftcheck.clif.text.filetest import FileTest
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import I8
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.arguments import passed
from liftcheck.oracles.lifting.lines import Judge, Verdict

CORPUS = ROOT / "corpus" / "lift"
WITH_ROWS = [isa for isa in ISAS if isa_named(isa).rows]
SETTINGS = (("enable_multi_ret_implicit_sret", "true"), ("preserve_frame_pointers", "true"))

SUM = """test run
function %g(i64) -> i64 {
block0(v0: i64):
    v1 = iadd_imm v0, 1
    return v1
}
function %f(i64, i64) -> i64 {
    fn0 = %g(i64) -> i64
block0(v0: i64, v1: i64):
    v2 = call fn0(v0)
    v3 = iadd v2, v1
    return v3
}
; run: %f(3, 4) == 8
"""


class ByHand(NamedTuple):
    """The text before the call, the call, the text after it, with {0} for the register that keeps the second argument;
    the call's relocation: kind, place in the call, addend; a register that callees give back, and one that they do
    not."""

    before: str
    call: str
    after: str
    relocation: tuple[str, int, int]
    kept: str
    lost: str


BY_HAND = {
    "x86-64": ByHand("push rbx\nmov {0}, rsi\n", "call . + 0", "\nadd rax, {0}\npop rbx\nret", ("X86CallPCRel4", 1, -4),
                     "rbx", "rsi"),
    "aarch64": ByHand("stp x19, x30, [sp, #-16]!\nmov {0}, x1\n", "bl . + 0",
                      "\nadd x0, x0, {0}\nldp x19, x30, [sp], #16\nret", ("Arm64Call", 0, 0), "x19", "x9"),
    "riscv64": ByHand("addi sp, sp, -16\nsd ra, 8(sp)\nsd s1, 0(sp)\naddi {0}, a1, 0\n", "auipc ra, 0\njalr ra, 0(ra)",
                      "\nadd a0, a0, {0}\nld s1, 0(sp)\nld ra, 8(sp)\naddi sp, sp, 16\njalr zero, 0(ra)",
                      ("RiscvCallPlt", 0, 0), "s1", "t1"),
    "s390x": ByHand("stmg %r6, %r15, 48(%r15)\naghi %r15, -160\nlgr {0}, %r3\n", "brasl %r14, . + 0",
                    "\nagr %r2, {0}\nlmg %r6, %r15, 208(%r15)\nbr %r14", ("S390xPLTRel32Dbl", 2, 2), "%r6", "%r4"),
}  # fmt: skip


def parsed(text: str) -> FileTest:
    return parse_filetest(text, "calls.clif")


def chosen(test: FileTest, name: str) -> tuple[Module, Function, filetest.TestFunction]:
    """A module, one of its functions, and that with its run lines."""
    module = test.module()
    (model,) = (one for one in module.functions if one.name == name)
    (function,) = (one for one in test.functions if one.name == name)
    return module, model, function


def verdicts(test: FileTest, name: str, code: FunctionCode, target: Target) -> set[Verdict]:
    module, model, function = chosen(test, name)
    judged = Judge(target, model, code, module)
    return {judged.line(line) for line in function.at(target.big_endian).run_lines}


def by_hand(isa: str, lost: bool = False, callee: str = "%g") -> FunctionCode:
    """The code of `%f` of `SUM`."""
    row = BY_HAND[isa]
    before, after = (text.format(row.lost if lost else row.kept) for text in (row.before, row.after))
    kind, place, addend = row.relocation
    at = len(assembled(isa, before).code) + place
    code = assembled(isa, before + row.call + after)
    return replace(code, relocations=(Relocation(at, kind, callee, addend),))


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_what_a_callee_keeps_is_kept_and_nothing_else(isa: str) -> None:
    """The second argument waits in a register that callees give back, or in one that they do not."""
    test = parsed(SUM)
    assert verdicts(test, "%f", by_hand(isa), Target(isa)) == {Verdict("equal")}
    (found,) = verdicts(test, "%f", by_hand(isa, lost=True), Target(isa))
    assert found.kind == "different"


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_another_callee_is_seen(isa: str) -> None:
    other = "function %h(i64) -> i64 {\nblock0(v0: i64):\n return v0\n}\nfunction %g"
    test = parsed(SUM.replace("function %g", other).replace("fn0 =", "fn1 = %h(i64) -> i64\n fn0 ="))
    assert verdicts(test, "%f", by_hand(isa), Target(isa)) == {Verdict("equal")}
    assert {found.kind for found in verdicts(test, "%f", by_hand(isa, callee="%h"), Target(isa))} == {"different"}


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_what_cannot_be_said_of_a_call_has_a_name(isa: str) -> None:
    """A callee that the program does not have; one that the file does not have."""
    test, target = parsed(SUM), Target(isa)
    assert {v.why for v in verdicts(test, "%f", by_hand(isa, callee="%other"), target)} == {
        "a call that the program does not have"
    }
    module, model, function = chosen(test, "%f")
    without = Judge(target, model, by_hand(isa), Module([one for one in module.functions if one.name == "%f"]))
    assert {without.line(line).why for line in function.run_lines} == {"a call of what the file does not have"}


WRONG = [
    ("%passes_many", "v0, v1, v2, v3, v4, v3, v7", "v0, v1, v2, v4, v3, v3, v7", "arguments in another order"),
    ("%passes_many", "v7, v4, v3, v0, v5, v6)", "v7, v0, v3, v0, v5, v6)", "another argument on the stack"),
    ("%passes_many", "return v22, v27, v25", "return v22, v26, v25", "another result"),
    ("%chosen", "select v0, v2, v3", "select v0, v3, v2", "another callee"),
    ("%kept", "call fn0(v4)", "call fn0(v3)", "the argument of another call"),
    ("%tail_calls", "v0, v0, v2, v1)", "v0, v2, v0, v1)", "arguments of a tail call in another order"),
    ("%around", "    store v1, v0\n", "", "a store before a call that is left out"),
    ("%around", "store v2, v0+8", "store v2, v0+4", "a store to where a callee reads"),
]  # fmt: skip


def compiled_wrong(compiler: Cranelift, name: str, old: str, new: str, target: Target) -> tuple[FileTest, FunctionCode]:
    """The file with a function, and what the function's code is with a fault in its program."""
    file = "calls_memory.clif" if name == "%around" else "calls.clif"
    text = (CORPUS / file).read_text(encoding="utf-8")
    at = text.index(f"function {name}(")
    wrong = text[:at] + text[at:].replace(old, new, 1)
    assert wrong != text
    module = parsed(wrong).module()
    replies = compiler.compile_text(print_module(module), [target])[0]
    (code,) = (reply for reply, one in zip(replies, module.functions) if one.name == name)
    assert isinstance(code, FunctionCode), code
    return parsed(text), code


@pytest.mark.parametrize("isa", WITH_ROWS)
@pytest.mark.parametrize(("name", "old", "new", "fault"), WRONG, ids=[row[3] for row in WRONG])
def test_wrong_calls_are_seen(isa: str, name: str, old: str, new: str, fault: str, compiler: Cranelift) -> None:
    """Code of another program than the one that the lines are of."""
    target = Target(isa, SETTINGS)
    test, code = compiled_wrong(compiler, name, old, new, target)
    assert "different" in {found.kind for found in verdicts(test, name, code, target)}


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_an_argument_that_is_not_extended_is_seen(isa: str, compiler: Cranelift) -> None:
    """Where the convention takes notice of extensions."""
    target = Target(isa, SETTINGS)
    test, code = compiled_wrong(compiler, "%passes_narrow", "(i8 sext, i16 uext, i32)", "(i8, i16, i32)", target)
    found = {verdict.kind for verdict in verdicts(test, "%passes_narrow", code, target)}
    signature = Signature((AbiParam(I8, "sext"),), (), "system_v")
    where = passed(isa, signature)
    assert where is not None
    assert ("different" in found) == where.extends


@pytest.mark.parametrize("isa", WITH_ROWS)
def test_a_call_that_may_reach_the_frame_is_undecided(isa: str, compiler: Cranelift) -> None:
    """By an argument, and by what lies in memory."""
    text = """test run
function %g(i64) -> i64 {
block0(v0: i64):
    return v0
}
function %f(i64) -> i64 {
    ss0 = explicit_slot 8
    fn0 = %g(i64) -> i64
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    store v1, v0
    v2 = call fn0(v0)
    return v2
}
; liftcheck: memory a = i64[0]
; liftcheck: run: %f(&a) == &a
"""
    for source in (text, text.replace("store v1, v0\n", "").replace("call fn0(v0)", "call fn0(v1)")):
        test, target = parsed(source), Target(isa)
        _, code = compiler.compile_text(print_module(test.module()), [target])[0]
        assert isinstance(code, FunctionCode)
        assert {v.why for v in verdicts(test, "%f", code, target)} == {"a call that may reach the frame"}
