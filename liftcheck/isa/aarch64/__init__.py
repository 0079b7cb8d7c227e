"""aarch64 as a value; its instructions are the rows of `insts`, read by `reader`.

Sources: cranelift-codegen-meta 0.135.8 isa/arm64.rs (it has no presets); the Arm ARM for the probes, assembled with GNU
as. With the 1 KiB pages of its own Unicorn's TLB overflows.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.base import Assembler, Isa, Qemu, Unicorn, counted

_SP: Final = 63
"""31 is the zero register."""

_UNICORN: Final = Unicorn(
    constants="arm64",
    arch="UC_ARCH_ARM64",
    mode="UC_MODE_ARM",
    model="UC_CPU_ARM64_MAX",
    pc="UC_ARM64_REG_PC",
    interrupts={1: ("illegal", 0), 7: ("trap", 0)},
    system_call=2,
    call_number="UC_ARM64_REG_X8",
    page_size=0x1000,
    results=(*(f"X{n}" for n in range(31)), *(f"Q{n}" for n in range(32))),
)

ISA: Final = Isa(
    name="aarch64",
    listing="listing:agrees",
    direction="listing:direction",
    operands="operands:compare",
    emitted="widths:emitted",
    reader="reader:read",
    by_rows=True,
    rows="insts.table:table",
    bench="insts.bench:benches",
    sizes=(4,) * 256,
    alignment=4,
    capstone=("CS_ARCH_ARM64", "CS_MODE_ARM"),
    fill=b"\0",
    ret="c0035fd6",
    trapping="udf|brk|hlt",
    registers=((*counted("x", 0, 30), "xzr", *("",) * (_SP - 32), "sp"), counted("v", 0, 31)),
    widths=(64, 128, 0),
    stack_pointer=_SP,
    pinned=21,
    conventions=("system_v", "fast", "tail", "apple_aarch64", "preserve_all", "winch"),
    plain=("has_lse",),
    hints=rb"[\x1f\x3f\x5f\x7f\x9f\xbf\xdf\xff][\x20-\x2f]\x03\xd5",
    rich=("has_lse", "has_fp16"),
    optional=("has_lse", "has_fp16"),
    seldom={"has_dotprod": 16, "has_i8mm": 16},
    indifferent=frozenset({"has_lse"}),
    probes={
        "has_lse": "e0030091000001d1010021f8c0035fd6",
        "has_fp16": "2028e21ec0035fd6",
        "has_dotprod": "2094824ec0035fd6",
        "has_i8mm": "20a4824ec0035fd6",
        "has_pauth": "2000c1dac0035fd6",
    },
    elf_machine=183,
    qemu=Qemu("qemu-aarch64", options=("-L", "/", "-cpu", "max,pauth-impdef=on")),
    unicorn=_UNICORN,
    assembler=Assembler("aarch64-linux-gnu-", ("-march=armv8.5-a",), ".arch armv8.6-a+fp16"),
)
