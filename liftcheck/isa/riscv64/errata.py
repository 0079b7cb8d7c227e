"""What runners get wrong of riscv64 (`isa.errata`)."""

from __future__ import annotations

import re
from typing import Final

from liftcheck.isa.errata import Erratum, Proof
from liftcheck.isa.riscv64 import ISA
from liftcheck.isa.riscv64.nan_boxes import depends_on_boxes, may_depend_on_boxes


def _rounds_first(code: bytes) -> bool:
    """A vector conversion with a rounding mode of its own, not after a floating-point instruction of the current mode
    in the same translation block (qemu 7.2 then saves the opcode of one instruction twice, which it asserts against).
    """
    at, current = 0, False
    while at < len(code) - 3:
        word = int.from_bytes(code[at : at + 4], "little")
        if word & 3 != 3:
            current = current and word & 0xE003 not in (0xA001, 0xC001, 0xE001) and word & 0xF07F != 0x8002
            at += 2
            continue
        opcode, funct3 = word & 0x7F, word >> 12 & 7
        if opcode == 0x57 and funct3 in (1, 5):
            if funct3 == 1 and word >> 26 == 0x12 and word >> 15 & 31 in _OWN_ROUNDING and not current:
                return True
            current = True
        elif opcode == 0x53 and word >> 25 & 0x7C in _ROUNDED:
            current = funct3 == 7
        elif opcode in (0x63, 0x67, 0x6F, 0x73) or (opcode == 0x57 and funct3 == 7):
            current = False
        at += 4
    return False


_OWN_ROUNDING: Final = frozenset({6, 7, 14, 15, 21, 22, 23})
"""vs1 of vf{,w,n}cvt.rtz.{x,xu}.f and vfncvt.rod.f.f (RISC-V V 1.0, VFUNARY0)."""
_ROUNDED: Final = frozenset({0x00, 0x04, 0x08, 0x0C, 0x2C, 0x20, 0x60, 0x68})
"""funct7 (except for the format) of fadd fsub fmul fdiv fsqrt fcvt.f.f fcvt.int.f fcvt.f.int."""


def _has_ctzw(code: bytes) -> bool:
    """A ctzw (Zbb) at an even offset."""
    words = (int.from_bytes(code[at : at + 4], "little") for at in range(0, len(code) - 3, 2))
    return any(word & 0xFFF0707F == 0x6010101B for word in words)


CTZW: Final = Erratum(
    "qemu", ISA.name, "ctzw", "counts on into the upper word where the lower one is 0 (qemu 7.2)",
    re.compile(rb"[\x1b\x9b][\x10-\x1f\x90-\x9f][\x10-\x1f]\x60", re.DOTALL), _has_ctzw,
)  # fmt: skip
ROWS: Final[tuple[Erratum, ...]] = (
    CTZW,
    Erratum(
        "qemu", ISA.name, "vfcvt.rtz after vsetvli", "aborts on an assertion of its translator (qemu 7.2)",
        re.compile(rb"[\x57\xd7][\x10-\x1f\x90-\x9f][%s][\x48-\x4b]"
                   % re.escape(bytes(high << 4 | low for high in range(16) for low in (3, 7, 10, 11))), re.DOTALL),
        _rounds_first,
        death=("577003cdd792334a67800000",
               "target/riscv/translate.c:213: decode_save_opc: Assertion `ctx->insn_start != NULL' failed."),
    ),
    Erratum(
        "unicorn", ISA.name, "fmin, fmax of a signalling NaN",
        "give the quiet NaN (the rule before version 2.2), not the number",
        harmless="Cranelift selects around them when an operand is a NaN",
        proof=Proof("530505f2d38505f25305b52a530505e267800000", (0x7FF4 << 48, 0x3FF0 << 48), 0x3FF0 << 48,
                    0x7FF8 << 48),
    ),
    Erratum(
        "unicorn", ISA.name, "NaN boxing of 32-bit floats", "results lack the upper ones, inputs are not checked",
        whole=may_depend_on_boxes, exact=depends_on_boxes,
        proof=Proof("530505f0d38505f05375b500530505e267800000", (0x3F800000, 0x3F800000), 0xFFFFFFFF_40000000,
                    0x40000000),
    ),
    Erratum(
        "unicorn", ISA.name, "reserved compressed instructions", "are done as no-operations, without a trap",
        harmless="Zcb, which would be among them, is not among Unicorn's features",
    ),
)  # fmt: skip
