"""s390x as LLVM names it. Sources: LLVM's SystemZFeatures.td; the s390x ELF ABI supplement, "Relocation Types"."""

from __future__ import annotations

from typing import Final

from liftcheck.isa.llvm import Llvm

LLVM: Final = Llvm(
    cpu="z14",
    extensions={"has_mie3": "miscellaneous-extensions-3", "has_vxrs_ext2": "vector-enhancements-2"},
    trap=bytes(6),
    relocations={19: "S390xPCRel32Dbl", 20: "S390xPLTRel32Dbl", 22: "Abs8"},
    before=2,
)
