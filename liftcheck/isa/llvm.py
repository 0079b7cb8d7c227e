"""What LLVM calls an ISA, its extensions and relocations: one value an ISA, in `isa/<isa>/llvm.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Llvm(NamedTuple):
    """cpu          the processor that has what the ISA's base has for Cranelift
    features     what the base has beside it ('+a,-b')
    abi          the name of the ABI, '' for the only one
    extensions   Cranelift's flag of an extension -> LLVM's name of it
    trap         bytes of instructions that trap, as many as a call has
    before       how many bytes of a call stand before its relocation
    relocations  number of an ELF relocation -> Cranelift's name of the kind (`mach.relocations`)
    sized        opcodes of CLIF whose code for speed has instructions of an extension that machines without it take
                 for others, which do the same there (x86-64: `rep bsf` is tzcnt)
    tail         LLVM has the convention `tailcc` on it, and guarantees tail calls between functions of it
    windows      it has the convention `win64cc`
    """

    cpu: str
    extensions: Mapping[str, str]
    trap: bytes
    relocations: Mapping[int, str]
    before: int = 0
    features: str = ""
    abi: str = ""
    sized: frozenset[str] = frozenset()
    tail: bool = False
    windows: bool = False
