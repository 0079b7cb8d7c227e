"""riscv64's conventions: what callees give back, and how Cranelift's backend uses registers and the stack.

Sources: RISC-V ELF psABI ('Integer/Floating-point Register Convention': gp and tp are the platform's);
cranelift-codegen 0.135 isa/riscv64/abi.rs (t5 and t6 are its own; `DEFAULT_CLOBBERS` lists f9, fs1), inst/emit.rs
(`Select`, `BrTable`).
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.abi import FLOATS, HALVES, Abi, Order, Passing, run

_SAVED: Final = (8, 9, *run(18, 27))

_PASSING: Final = Passing((8, 8, 0), (2, 2, 0), "stack", f128=HALVES, widest=512, widens=True)

_ORDER: Final = Order((run(10, 17), run(10, 17), ()), (run(10, 11), run(10, 11), ()))

ABI: Final = Abi(
    frame=8,
    link=1,
    scratch=frozenset({30, 31}),
    platform=frozenset({0, 3, 4}),
    saved={"system_v": (_SAVED, _SAVED)},
    counts=(32, 32, 32),
    tail_callee=5,
    # That a callee keeps f9 as it owes is an assumption of ours; where a function itself writes f9 and does not restore
    # it, it is refuted (docs/findings/riscv64-fs1-not-saved.md).
    overstated=frozenset({FLOATS + 9}),
    selects_by_moves=True,
    doubling=frozenset(f"fsgnj{kind}.{size}" for kind in ("", "n", "x") for size in "hsdq"),
    tables_of_jumps=True,
    through_table=("auipc", "slli", "add", "jalr"),
    indexed=r"x\d+, x\d+, 3",
    clamps="bltu",
    folds_pointers=True,
    passing=dict.fromkeys(("tail", "system_v", "fast", "preserve_all"), _PASSING),
    order=dict.fromkeys(("tail", "system_v", "fast", "preserve_all"), _ORDER),
    boxed=True,
    whole_words=False,
    stops=frozenset({"ebreak"}),
    storing_if=("sc.",),
    half_jump="auipc",
    patched=dict.fromkeys(("RiscvCallPlt", "RiscvPCRelHi20", "RiscvGotHi20", "RiscvTlsGdHi20"), frozenset({"auipc"}))
    | {"RiscvPCRelLo12I": frozenset({"addi", "ld"})},
    # mv sp,a1; mv s0,a2; mv t0,a0; mv a0,a3; mv a1,a4; jr t0
    resume="13810500 13040600 93020500 13850600 93050700 67800200",
)
