"""Which callee-saved registers are used and not saved, read from disassembly."""

from __future__ import annotations

from liftcheck.campaign.abi import unsaved

RISCV = """%f:
block0: ; offset 0x0
  c.addi16sp sp, -0x10
  c.sdsp ra, 8(sp)
  c.sdsp s0, 0(sp)
  c.mv s0, sp
  c.addi16sp sp, -0x20
  c.sdsp s1, 0x18(sp)
  fsd fs2, 0x10(sp)
  fmv.d fs1, fs2
  c.li s1, 0
  fsd fs1, 0(sp)
  ret"""
S390X = """%f:
block0: ; offset 0x0
  stmg %r8, %r15, 0x40(%r15)
  aghi %r15, -0xa0
  lgr %r7, %r2
  lgr %r9, %r3
  br %r14"""


def test_riscv64_compressed_prologue() -> None:
    assert unsaved("riscv64", RISCV) == ("fs1",)


def test_a_range_of_registers_is_saved_at_once() -> None:
    assert unsaved("s390x", S390X) == ("r7",)


def test_aarch64_narrow_names_count() -> None:
    text = "%f:\nblock0:\n  stp x29, x30, [sp, #-0x10]!\n  mov x29, sp\n  str x28, [sp, #-0x10]!\n  mov w27, w0\n  ret"
    assert unsaved("aarch64", text) == ("x27",)


def test_a_clean_function_has_none() -> None:
    text = "%f:\nblock0:\n  pushq %rbp\n  movq %rsp, %rbp\n  pushq %rbx\n  movq %rdi, %rbx\n  retq"
    assert unsaved("x86-64", text) == ()


def test_each_function_saves_for_itself() -> None:
    assert unsaved("riscv64", RISCV + "\n\n" + RISCV.replace("%f", "%g").replace("fs1", "fs2")) == ("fs1",)
