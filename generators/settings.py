"""Settings of a compilation: the ones that change code, drawn in a stable way.

The one idea: a campaign compiles many programs under few settings, because a compiler makes a handle for each; so a
draw is made once per chunk of programs, from `Choices`, and gives a `Target` whose settings are sorted and leave out
defaults. What a runner cannot run is never drawn: `runnable` names the extension flags that it can.
Rows come from measurements: flipping the setting alone changed the code of upstream's run tests. Never drawn, and why:
`enable_pinned_reg` (every s390x compilation panics), outline probestacks (aarch64 and s390x panic for big frames),
`tls_model`, `stack_switch_model` (nothing generated uses them), `enable_alias_analysis` (nobody reads it since
0.100), `unwind_info`. Sources: `Flags` of cranelift-codegen 0.135 (`meta/src/shared/settings.rs`, `isa/*/settings.rs`).
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from liftcheck.case import Target
from liftcheck.generators.choices import Choices

BASE: Final = (("enable_llvm_abi_extensions", "true"), ("enable_multi_ret_implicit_sret", "true"))
"""Without these i128 in signatures, tail calls and vector returns are refused or panic."""

SHARED: Final[tuple[tuple[int, str, tuple[str, ...]], ...]] = (
    (160, "opt_level", ("speed", "speed", "speed_and_size")),
    (50, "regalloc_algorithm", ("single_pass",)),
    (16, "bb_padding_log2_minus_one", ("4", "8", "14")),
    (12, "enable_nan_canonicalization", ("true",)),
    (12, "is_pic", ("true",)),
    (16, "use_colocated_libcalls", ("true",)),
    (10, "enable_heap_access_spectre_mitigation", ("false",)),
    (10, "enable_table_access_spectre_mitigation", ("false",)),
    (10, "log2_min_function_alignment", ("2", "5")),
    (10, "machine_code_cfg_info", ("true",)),
    (8, "regalloc_checker", ("true",)),
)
"""Chance in 256, name, values other than the default."""

FRAME_POINTERS: Final = (230, "preserve_frame_pointers")
"""On in most draws: frame addresses and some tail calls need them; off changes every prologue on three ISAs."""

EXTENSIONS: Final[dict[str, tuple[str, ...]]] = {
    "x86-64": ("has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt", "has_cmpxchg16b", "has_lzcnt",
               "has_bmi1", "has_bmi2", "has_avx", "has_avx2", "has_fma"),
    "aarch64": ("has_lse", "has_fp16", "use_bti", "sign_return_address"),
    "riscv64": ("has_zba", "has_zbb", "has_zbc", "has_zbs", "has_zbkb", "has_zca", "has_zcd", "has_zcb", "has_zicond",
                "has_zfa", "has_zfhmin", "has_zfh", "has_v", "has_zvl128b"),
    "s390x": ("has_mie3", "has_vxrs_ext2", "has_mie4", "has_vxrs_ext3"),
}
"""Extension flags by ISA, each after those that it needs."""

NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "has_ssse3": ("has_sse3",), "has_sse41": ("has_ssse3",), "has_sse42": ("has_sse41",), "has_avx": ("has_sse42",),
    "has_avx2": ("has_avx",), "has_fma": ("has_avx",), "has_zcd": ("has_zca",), "has_zcb": ("has_zca",),
    "has_zfh": ("has_zfhmin",), "has_zvl128b": ("has_v",), "has_mie4": ("has_mie3",),
    "has_vxrs_ext3": ("has_vxrs_ext2",),
}
TOGETHER: Final = {"has_v": "has_zvl128b"}
"""Flags that are only sensible in company: vectors of unknown length compile nothing here."""


def draw(choices: Choices, isa: str, available: Container[str], runnable: Container[str]) -> Target:
    """A target: `available` are the compiler's setting names on `isa`, `runnable` the extension flags runners can run.

    Half of the draws switch all runnable extensions on, the others each with a chance of one half.
    """
    bits = choices.bits
    chosen: dict[str, str] = {name: value for name, value in BASE if name in available}
    if bits(8) < FRAME_POINTERS[0] and FRAME_POINTERS[1] in available:
        chosen[FRAME_POINTERS[1]] = "true"
    for chance, name, values in SHARED:
        r = bits(16)
        if (r & 255) < chance and name in available:
            chosen[name] = values[(r >> 8) % len(values)]
    chosen.update(dict.fromkeys(_extensions(bits(1) == 0, bits(32), isa, available, runnable), "true"))
    return Target(isa, tuple(sorted(chosen.items())))


def _extensions(every: bool, random: int, isa: str, available: Container[str], runnable: Container[str]) -> list[str]:
    """The extension flags of one draw, without those whose prerequisites are off."""
    found: list[str] = []
    for place, name in enumerate(EXTENSIONS[isa]):
        wanted = every or random >> place & 1
        allowed = name in available and name in runnable and all(need in found for need in NEEDS.get(name, ()))
        if wanted and allowed:
            found.append(name)
    for name, other in TOGETHER.items():
        if name in found and other not in found:
            if other in available and other in runnable:
                found.append(other)
            else:
                found.remove(name)
    return found
