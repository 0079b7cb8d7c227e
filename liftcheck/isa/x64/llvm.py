"""x86-64 as LLVM names it. Sources: LLVM's X86.td; the ELF relocations of the System V psABI of AMD64, section 4.4."""

from __future__ import annotations

from typing import Final

from liftcheck.isa.llvm import Llvm

AVX512: Final = ("avx512f", "avx512vl", "avx512dq", "avx512bitalg", "avx512vbmi", "avx512vnni")
LLVM: Final = Llvm(
    cpu="x86-64",
    features="-sse3",
    extensions={
        "has_sse3": "sse3",
        "has_ssse3": "ssse3",
        "has_cmpxchg16b": "cx16",
        "has_sse41": "sse4.1",
        "has_sse42": "sse4.2",
        "has_avx": "avx",
        "has_avx2": "avx2",
        "has_fma": "fma",
        "has_popcnt": "popcnt",
        "has_bmi1": "bmi",
        "has_bmi2": "bmi2",
        "has_lzcnt": "lzcnt",
        **{f"has_{name}": name for name in AVX512},
    },
    trap=b"\x0f\x0b\x0f\x0b\x90",
    relocations={
        1: "Abs8",
        2: "X86PCRel4",
        4: "X86CallPLTRel4",
        9: "X86GOTPCRel4",
        41: "X86GOTPCRel4",
        42: "X86GOTPCRel4",
    },
    before=1,
    sized=frozenset({"ctz"}),
    tail=True,
    windows=True,
)
