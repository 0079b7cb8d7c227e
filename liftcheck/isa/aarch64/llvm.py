"""aarch64 as LLVM names it. Sources: LLVM's AArch64Features.td; ELF for the Arm 64-bit Architecture, section 5.7."""

from __future__ import annotations

from typing import Final

from liftcheck.isa.llvm import Llvm

LLVM: Final = Llvm(
    cpu="generic",
    features="-outline-atomics",
    extensions={"has_lse": "lse", "has_pauth": "pauth", "has_fp16": "fullfp16"},
    trap=b"\x1f\xc1\0\0",
    relocations={
        257: "Abs8",
        275: "Aarch64AdrPrelPgHi21",
        277: "Aarch64AddAbsLo12Nc",
        278: "Aarch64Ldst8AbsLo12Nc",
        282: "Arm64Call",
        283: "Arm64Call",
        284: "Aarch64Ldst16AbsLo12Nc",
        285: "Aarch64Ldst32AbsLo12Nc",
        286: "Aarch64Ldst64AbsLo12Nc",
        299: "Aarch64Ldst128AbsLo12Nc",
        311: "Aarch64AdrGotPage21",
        312: "Aarch64Ld64GotLo12Nc",
    },
    tail=True,
)
