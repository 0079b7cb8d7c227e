"""riscv64 as LLVM names it. Sources: LLVM's RISCVFeatures.td; the RISC-V ELF psABI, "Relocations"."""

from __future__ import annotations

from typing import Final

from liftcheck.isa.llvm import Llvm

LLVM: Final = Llvm(
    cpu="generic-rv64",
    features="+m,+a,+f,+d,-relax",
    abi="lp64d",
    extensions={
        "has_zca": "zca",
        "has_zcd": "zcd",
        "has_zcb": "zcb",
        "has_zba": "zba",
        "has_zbb": "zbb",
        "has_zbc": "zbc",
        "has_zbs": "zbs",
        "has_zbkb": "zbkb",
        "has_zicond": "zicond",
        "has_zfhmin": "zfhmin",
        "has_zfh": "zfh",
        "has_zfa": "zfa",
        "has_v": "v",
        "has_zvl128b": "zvl128b",
        "has_zvfh": "zvfh",
    },
    trap=b"\x73\x10\0\xc0" * 2,
    relocations={
        2: "Abs8",
        18: "RiscvCallPlt",
        19: "RiscvCallPlt",
        20: "RiscvGotHi20",
        23: "RiscvPCRelHi20",
        24: "RiscvPCRelLo12I",
    },
)
