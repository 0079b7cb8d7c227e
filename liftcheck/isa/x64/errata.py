"""What runners get wrong of x86-64 (`isa.errata`)."""

from __future__ import annotations

from typing import Final

from liftcheck.isa.errata import Erratum, Proof
from liftcheck.isa.x64 import ISA

ROWS: Final[tuple[Erratum, ...]] = (
    Erratum(
        "unicorn", ISA.name, "128-bit AVX", "one operand is ignored, without a trap",
        harmless="AVX is not among Unicorn's features (probed with 256 bits), so such code never comes to it",
        proof=Proof("66480f6ec766480f6ece66480f6ed7c5f1d4c266480f7ec0c3", (5, 7), 12, 10),
    ),
    Erratum(
        "unicorn", ISA.name, "bextr with a length from 64; carry of blsi and bzhi",
        "bit 63 is cleared; the carry is wrong", harmless="Cranelift emits no bextr and reads no flag of blsi and bzhi",
        proof=Proof("c4e2c8f7c7c3", (1 << 63, 64 << 8), 1 << 63, 0),
    ),
    Erratum(
        "unicorn", ISA.name, "unaligned movaps and similar ones", "does not trap",
        harmless="only code that claims `aligned` wrongly shows it",
    ),
)  # fmt: skip
