"""s390x as a value; its instructions are the rows of `insts`, read by `reader`; `thunks` replace some.

Sources: cranelift-codegen-meta 0.135.8 isa/s390x.rs (presets); Principles of Operation ('Instruction formats' for the
lengths), and for the probes, assembled with GNU as; qemu-user 7.2, where SIGILL and SIGFPE come with the PC after the
instruction. In Unicorn floating point and vectors are CR0's AFP and VX, 64-bit addressing is in the PSW. Of the runners
qemu lacks nothing of z14.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.base import EVERY, PROGRAM_CHECK, Assembler, Isa, Qemu, Unicorn, counted

_UNICORN: Final = Unicorn(
    constants="s390x",
    arch="UC_ARCH_S390X",
    mode="UC_MODE_BIG_ENDIAN",
    model="UC_CPU_S390X_MAX",
    pc="UC_S390X_REG_PC",
    interrupts={3: (PROGRAM_CHECK, 0)},
    system_call=2,
    call_number="UC_S390X_REG_R1",
    call_in_code=True,
    switched_on=(("UC_S390X_REG_CR0", 0x60000, False), ("UC_S390X_REG_PSWM", 0x180000000, False)),
    results=tuple(f"{kind}{n}" for kind in "RF" for n in range(16)),
)

ISA: Final = Isa(
    name="s390x",
    listing="listing:agrees",
    direction="listing:direction",
    operands="operands:compare",
    reader="reader:read",
    by_rows=True,
    sizes=tuple((2, 4, 4, 6)[first >> 6] for first in range(256)),
    alignment=2,
    capstone=("CS_ARCH_SYSZ", "CS_MODE_BIG_ENDIAN"),
    fill=b"\0",
    ret="07fe",
    trapping=r"d(r|l|lr|lg|lgr|sgf?r?)?|[cl]..*t.*",
    registers=(counted("r", 0, 15), counted("v", 0, 31)),
    widths=(64, 128, 0),
    stack_pointer=15,
    conventions=("system_v", "fast", "tail", "preserve_all"),
    last_byte=True,
    rich=("has_mie3", "has_vxrs_ext2"),
    optional=("has_mie3", "has_vxrs_ext2"),
    indifferent=EVERY,
    presets={
        **dict.fromkeys(("arch13", "arch14", "z15", "z16"), "has_mie3 has_vxrs_ext2"),
        **dict.fromkeys(("arch15", "z17"), "has_mie3 has_mie4 has_vxrs_ext2 has_vxrs_ext3"),
    },
    probes={
        "has_mie3": "b9e3482307fe",
        "has_vxrs_ext2": "e701000020c307fe",
        "has_mie4": "b968002307fe",
        "has_vxrs_ext3": "e701200020b207fe",
    },
    preferred=("qemu",),
    elf_machine=22,
    qemu=Qemu("qemu-s390x", at_fault=frozenset({4, 8})),
    unicorn=_UNICORN,
    assembler=Assembler("s390x-linux-gnu-", ("-march=z14",), ".machine z15"),
    replacing="thunks:Thunks",
    rows="insts.table:table",
    bench="insts.bench:benches",
)
