"""aarch64's conventions: what callees give back, and how Cranelift's backend uses registers and the stack.

Sources: AAPCS64 (6.1.1, 6.1.2: of v8-v15 the low 64 bits; x16, x17 are IP0, IP1, x18 is the
platform's); cranelift-codegen 0.135 isa/aarch64/abi.rs (`winch`: x28 is its own stack pointer).
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.abi import EACH, PAIR, UNEVEN, Abi, Order, Passing, run

_PATCHED: Final = {
    "Arm64Call": frozenset({"bl", "b"}),
    **dict.fromkeys(
        ("Aarch64AdrPrelPgHi21", "Aarch64AdrGotPage21", "Aarch64TlsDescAdrPage21", "MachOAarch64TlsAdrPage21"),
        frozenset({"adrp"}),
    ),
    "Aarch64AddAbsLo12Nc": frozenset({"add"}), "Aarch64TlsDescAddLo12": frozenset({"add"}),
    "Aarch64Ld64GotLo12Nc": frozenset({"ldr"}), "Aarch64TlsDescLd64Lo12": frozenset({"ldr"}),
    "MachOAarch64TlsAdrPageOff12": frozenset({"ldr"}), "Aarch64TlsDescCall": frozenset({"blr"}),
}  # fmt: skip

_PASSING: Final = Passing((8, 8, 0), (8, 8, 0), "float", i128=PAIR, area=False, sret=False)

_REGISTERS: Final = (run(0, 7), run(0, 7), ())
_TAIL: Final = (run(2, 7), run(0, 7), ())
_ORDER: Final = {
    **dict.fromkeys(("system_v", "fast", "preserve_all", "apple_aarch64"), Order(_REGISTERS, _REGISTERS, 8)),
    "tail": Order(_TAIL, _TAIL, 8),
}

ABI: Final = Abi(
    frame=29,
    link=30,
    scratch=frozenset({16, 17}),
    platform=frozenset({18}),
    saved={"system_v": (run(19, 29), run(8, 15)), "winch": ((28, 29), ())},
    half="d",
    counts=(29, 32, 0),
    tail_callee=1,
    through_table=("adr", "ldrsw", "add", "br"),
    indexed=r"x\d+, \[x\d+, w\d+, uxtw #2\]",
    clamps="csel",
    doubling=frozenset({"mov", "ror"}),
    passing={
        "tail": Passing((6, 8, 0), (6, 8, 0), "float", i128=PAIR, area=False),
        **dict.fromkeys(("system_v", "fast", "preserve_all"), _PASSING),
        "apple_aarch64": _PASSING._replace(i128=UNEVEN, packed=True, widens=True, widened_once=True),
        "winch": _PASSING._replace(area=True, packs_results=EACH),
    },
    popping=frozenset({"winch"}),
    order=_ORDER,
    area=8,
    whole_words=False,
    flags_asked=True,
    stops=frozenset({"brk"}),
    storing_if=("stxr", "stlxr", "stxp", "stlxp"),
    patched=_PATCHED,
    # mov sp,x1; mov x29,x2; mov x5,x0; mov x0,x3; mov x1,x4; br x5
    resume="3f000091 fd0302aa e50300aa e00303aa e10304aa a0001fd6",
)
