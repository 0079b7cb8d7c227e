"""riscv64 as a value; its instructions are the rows of `insts`, which `reader` reads; `nan_boxes` is f32 in f64's.

Sources: cranelift-codegen-meta 0.135.8 isa/riscv64.rs (presets); the RISC-V ISA manual for the probes, assembled with
GNU as where it knows them; QEMU's target/riscv for models, from newer versions to 7.2. Unicorn takes reserved
compressed instructions for no-operations, so it is not believed about Zcb.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.base import VECTOR_SIZES, Assembler, Isa, Qemu, Unicorn, counted

_QEMU: Final = Qemu(
    "qemu-riscv64",
    options=("-L", "/"),
    models=(
        "rv64,v=true,vlen={vlen},zfh=true,zvfh=true,zbkb=true,zicond=true,zfa=true,zcb=true,zvbb=true",
        "rv64,v=true,vlen={vlen},zfh=true,zbkb=true,zicond=true,zfa=true,zcb=true",
        "rv64,v=true,vlen={vlen},vext_spec=v1.0,Zfh=true,zbkb=true",
        "rv64,v=true,vlen={vlen},vext_spec=v1.0,Zfh=true",
    ),
    outdated=True,
)

_UNICORN: Final = Unicorn(
    constants="riscv",
    arch="UC_ARCH_RISCV",
    mode="UC_MODE_RISCV64",
    pc="UC_RISCV_REG_PC",
    interrupts={2: ("illegal", 4)},
    system_call=8,
    call_number="UC_RISCV_REG_A7",
    switched_on=(("UC_RISCV_REG_MSTATUS", 0x2000, True),),
    results=tuple(f"{kind}{n}" for kind, count in (("A", 8), ("T", 7), ("S", 12), ("F", 32)) for n in range(count)),
)

_OPTIONAL: Final = (
    "has_zba",
    "has_zbb",
    "has_zbc",
    "has_zbs",
    "has_zca",
    "has_zcd",
    "has_zcb",
    "has_zbkb",
    "has_zicond",
)

_SIZE: Final = "has_zvl{}b"

_REGISTERS: Final = (
    ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *counted("a", 0, 7), *counted("s", 2, 11),
     *counted("t", 3, 6)),
    (*counted("ft", 0, 7), "fs0", "fs1", *counted("fa", 0, 7), *counted("fs", 2, 11), *counted("ft", 8, 11)),
    counted("v", 0, 31),
)  # fmt: skip

ISA: Final = Isa(
    name="riscv64",
    listing="listing:agrees",
    direction="forms:direction",
    operands="operands:compare",
    reader="reader:read",
    by_rows=True,
    rows="insts.table:table",
    context="insts.vconfig:after",
    bench="insts.bench:benches",
    backend="backend:BACKEND",
    lowering="externs:opened",
    sizes=tuple(4 if first & 3 == 3 else 2 for first in range(256)),
    alignment=2,
    capstone=("CS_ARCH_RISCV", "CS_MODE_RISCV64", "CS_MODE_RISCVC"),
    fill=b"\0",
    ret="67800000",
    far="auipc",
    far_jump="far:goal",
    sized="vector:sized",
    trapping=r"ebreak|(c\.)?unimp",
    beyond_capstone=rb"[\x57\xd7]|[\x07\x27\x87\xa7][\x00-\x0f\x50-\x8f\xd0-\xff]",
    text="text:by_tables",
    with_names="text:with_names",
    registers=_REGISTERS,
    widths=(64, 64, 128),  # the least VLEN that V guarantees
    stack_pointer=2,
    conventions=("system_v", "fast", "tail", "preserve_all"),
    rich=("has_v", "has_zvl128b", *_OPTIONAL, "has_zfhmin", "has_zfh", "has_zvfh"),
    optional=_OPTIONAL,
    seldom={"has_zfa": 24},
    indifferent=frozenset(_OPTIONAL),
    always=frozenset({"has_m", "has_a", "has_f", "has_d", "has_zicsr", "has_zifencei"}),
    presets={
        "has_c": "has_zca has_zcd",
        **{f"zvl{k}b": " ".join(_SIZE.format(bits) for bits in VECTOR_SIZES if bits <= k) for k in VECTOR_SIZES},
    },
    probes={
        "has_zca": "010067800000",
        "has_zcd": "41110225410167800000",
        "has_zcb": "8a85888167800000",
        "has_zba": "33a5c52067800000",
        "has_zbb": "1395056067800000",
        "has_zbc": "3395c50a67800000",
        "has_zbs": "3395c52867800000",
        "has_zbkb": "33c5c50867800000",
        "has_zicond": "33d5c50e67800000",
        "has_zfa": "530518f267800000",
        "has_zfh": "53f5c50467800000",
        "has_zfhmin": "5385254067800000",
        "has_v": "577002cd5700110267800000",
        "has_zvfh": "577082cc5710110267800000",
        "has_zvbb": "577002cd5720154a67800000",
    },
    unprobed={"unicorn": frozenset({"has_zcb"})},
    implied={"has_zfh": ("has_zfhmin",)},
    more_probes="probes:of_tables",
    compressed=True,
    vectors=("has_v",),
    vector_size=_SIZE,
    configures=rb"\x57[\x70\xf0]",
    vector_names="v",
    elf_machine=243,
    elf_flags=5,
    qemu=_QEMU,
    unicorn=_UNICORN,
    assembler=Assembler("riscv64-linux-gnu-", ("-march=rv64gcv", "-mno-relax"), ".option norelax"),
)
