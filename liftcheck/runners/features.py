"""Which instruction-set extensions a target's settings let the compiler use, and which a runner has.

The one idea: a runner is asked, not believed: every extension has a probe, a few bytes that use it and return; a runner
has the extension if they return. So a newer qemu or another processor is known for what it is. Presets of the compiler
(haswell, x86-64-v3, has_c, arch13, …) stand for their features. Single instructions of an extension that a runner has
but for these: probes.py.
What a runner executes wrongly is another matter: errata.py.
Sources: cranelift-codegen-meta 0.135.8 isa/*.rs (presets); the manuals for the probes, assembled with GNU as where it
knows them. Unicorn's VEX decoder ignores an operand of 128-bit AVX, so AVX is probed with a 256-bit instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Signature
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.link import link

PROBES: Final[Mapping[str, Mapping[str, str]]] = {
    "x86-64": {
        "has_sse3": "660f7cc1c3",
        "has_ssse3": "660f381cc1c3",
        "has_sse41": "660f3840c1c3",
        "has_sse42": "660f3837c1c3",
        "has_popcnt": "f3480fb8c0c3",
        "has_lzcnt": "f3480fbdc0c3",
        "has_bmi1": "c4e2f0f2c2c3",
        "has_bmi2": "c4e2eaf7c1c3",
        "has_cmpxchg16b": "4989da4989e34883ec284883e4f04889e6480fc70e4c89dc4c89d3c3",
        "has_avx": "c5f458c2c3",
        "has_avx2": "c5f5fec2c3",
        "has_fma": "c4e2f1a9c2c3",
        "has_avx_vnni": "c4e27150c2c3",
        "has_avx512f": "62f17548fec2c3",
        "has_avx512vl": "62f2fd081fc1c3",
        "has_avx512dq": "62f2f54840c2c3",
        "has_avx512bitalg": "62f27d4854c1c3",
        "has_avx512vbmi": "62f275488dc2c3",
        "has_avx512vnni": "62f2754850c2c3",
    },
    "aarch64": {
        "has_lse": "e0030091000001d1010021f8c0035fd6",
        "has_fp16": "2028e21ec0035fd6",
        "has_dotprod": "2094824ec0035fd6",
        "has_i8mm": "20a4824ec0035fd6",
        "has_pauth": "2000c1dac0035fd6",
    },
    "riscv64": {
        "has_zca": "010067800000",
        "has_zcd": "41110225410167800000",
        "has_zcb": "8a85888167800000",
        "has_zba": "33a5c52067800000",
        "has_zbb": "1395056067800000",
        "has_zbc": "3395c50a67800000",
        "has_zbs": "3395c52867800000",
        "has_zbkb": "33c5c50867800000",
        "has_zicond": "33d5c50e67800000",
        "has_zfa": "530518f267800000",
        "has_zfh": "53f5c50467800000",
        "has_zfhmin": "5385254067800000",
        "has_v": "577002cd5700110267800000",
        "has_zvfh": "577082cc5710110267800000",
        "has_zvbb": "577002cd5720154a67800000",
    },
    "s390x": {
        "has_mie3": "b9e3482307fe",
        "has_vxrs_ext2": "e701000020c307fe",
        "has_mie4": "b968002307fe",
        "has_vxrs_ext3": "e701200020b207fe",
    },
}  # fmt: skip
ABSENT: Final[Mapping[tuple[str, str], frozenset[str]]] = {("unicorn", "riscv64"): frozenset({"has_zcb"})}
"""What a probe cannot see: Unicorn takes reserved compressed instructions for no-operations."""
ALWAYS: Final = frozenset({"has_m", "has_a", "has_f", "has_d", "has_zicsr", "has_zifencei"})
"""Features that every runner has."""

_ON: Final = frozenset({"true", "1", "on", "yes"})
_SSE3: Final = "has_sse3"
_SSSE3: Final = f"{_SSE3} has_ssse3"
_SSE41: Final = f"{_SSSE3} has_sse41"
_SSE42: Final = f"{_SSE41} has_sse42"
_CX16: Final = "has_cmpxchg16b"
_ATOM: Final = f"{_SSSE3} {_CX16}"
_SILVERMONT: Final = f"{_ATOM} {_SSE42} has_popcnt"
_ALDERLAKE: Final = f"{_SILVERMONT} has_bmi1 has_bmi2 has_lzcnt has_fma has_avx_vnni"
_NEHALEM: Final = f"{_SSE42} has_popcnt {_CX16}"
_SANDYBRIDGE: Final = f"{_NEHALEM} has_avx"
_HASWELL: Final = f"{_SANDYBRIDGE} has_avx2 has_bmi1 has_bmi2 has_fma has_lzcnt"
_KNL: Final = f"has_popcnt has_avx512f has_fma has_bmi1 has_bmi2 has_lzcnt {_CX16}"
_SKX: Final = f"{_HASWELL} has_avx512f has_avx512dq has_avx512vl"
_ICELAKE: Final = f"{_SKX} has_avx512vbmi has_avx512bitalg has_avx512vnni"
_BARCELONA: Final = f"has_popcnt has_lzcnt {_CX16}"
_BTVER1: Final = f"{_SSSE3} {_BARCELONA}"
_ZNVER1: Final = f"{_SSE42} has_popcnt has_bmi1 has_bmi2 has_lzcnt has_fma {_CX16}"
_V3: Final = f"{_NEHALEM} has_bmi1 has_bmi2 has_fma has_lzcnt has_avx2"

PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    "x86-64": {
        **dict.fromkeys(("baseline", "opteron", "k8", "athlon64", "athlon-fx", "x86-64"), ""),
        "sse3": _SSE3, "ssse3": _SSSE3, "sse41": _SSE41, "sse42": _SSE42,
        **dict.fromkeys(("nocona", "core2", "opteron-sse3", "k8-sse3", "athlon64-sse3"), f"{_SSE3} {_CX16}"),
        "penryn": f"{_SSE41} {_CX16}", "atom": _ATOM, "bonnell": _ATOM,
        **dict.fromkeys(("silvermont", "slm", "goldmont", "goldmont-plus", "tremont"), _SILVERMONT),
        **dict.fromkeys(("alderlake", "sierraforest", "grandridge", "raptorlake", "meteorlake"), _ALDERLAKE),
        **dict.fromkeys(("nehalem", "corei7", "westmere", "x86-64-v2"), _NEHALEM),
        **dict.fromkeys(("sandybridge", "corei7-avx", "ivybridge", "core-avx-i"), _SANDYBRIDGE),
        **dict.fromkeys(("haswell", "core-avx2", "broadwell", "skylake"), _HASWELL),
        "knl": _KNL, "knm": _KNL, "skylake-avx512": _SKX, "skx": _SKX,
        "cascadelake": f"{_SKX} has_avx512vnni", "cooperlake": f"{_SKX} has_avx512vnni",
        "cannonlake": f"{_SKX} has_avx512vbmi",
        **dict.fromkeys(("icelake-client", "icelake", "icelake-server", "tigerlake", "sapphirerapids",
                         "graniterapids"), _ICELAKE),
        "barcelona": _BARCELONA, "amdfam10": _BARCELONA, "btver1": _BTVER1, "bdver1": _BTVER1,
        "btver2": f"{_BTVER1} has_avx has_bmi1", "bdver2": f"{_BTVER1} has_bmi1", "bdver3": f"{_BTVER1} has_bmi1",
        "bdver4": f"{_BTVER1} has_bmi1 has_avx2 has_bmi2",
        "znver1": _ZNVER1, "znver2": _ZNVER1, "znver3": _ZNVER1,
        "znver4": f"{_ZNVER1} has_avx512bitalg has_avx512dq has_avx512f has_avx512vbmi has_avx512vl",
        "x86-64-v3": _V3, "x86-64-v4": f"{_V3} has_avx512dq has_avx512vl",
    },
    "aarch64": {},
    "riscv64": {
        "has_c": "has_zca has_zcd",
        **{f"zvl{1 << k}b": " ".join(f"has_zvl{1 << j}b" for j in range(5, k + 1)) for k in range(5, 17)},
    },
    "s390x": {
        **dict.fromkeys(("arch13", "arch14", "z15", "z16"), "has_mie3 has_vxrs_ext2"),
        **dict.fromkeys(("arch15", "z17"), "has_mie3 has_mie4 has_vxrs_ext2 has_vxrs_ext3"),
    },
}  # fmt: skip


@cache
def features_of(target: Target) -> frozenset[str]:
    """The extensions that the compiler may use for a target, by their flag's name."""
    found: set[str] = set()
    presets = PRESETS[target.isa]
    for name, value in target.settings:
        if name in presets and (value == "preset" or value in _ON):
            found.update(presets[name].split())
        elif name.startswith("has_") and value in _ON:
            found.add(name)
    return frozenset(found - ALWAYS)


@cache
def vector_length(target: Target) -> int:
    """riscv64: the smallest vector register that the target's settings promise, in bits; at least 128."""
    sizes = [int(name[7:-1]) for name in features_of(target) if name.startswith("has_zvl")]
    return max([128, *sizes])


def probe(runner: Runner, vector_bits: int = 128) -> frozenset[str]:
    """The extensions that a runner has."""
    nothing = Signature((), (), "system_v")
    image = link([], runner.isa)
    names = list(PROBES[runner.isa])
    jobs = [Job(FunctionCode(f"%{name}", bytes.fromhex(PROBES[runner.isa][name])), 0, nothing, [()]) for name in names]
    outcomes = runner.run(image, jobs)
    found = {name for name, (outcome,) in zip(names, outcomes) if outcome.kind == "returned"}
    if "has_v" in found:
        found |= {f"has_zvl{1 << k}b" for k in range(5, vector_bits.bit_length())}
    if "has_zfh" in found:
        found.add("has_zfhmin")
    return frozenset(found) - ABSENT.get((runner.name, runner.isa), frozenset())


ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "x86-64": ("native", "unicorn", "qemu"),
    "aarch64": ("unicorn", "qemu"),
    "riscv64": ("unicorn", "qemu"),
    "s390x": ("qemu", "unicorn"),
}  # fmt: skip
"""Runners by preference: the fastest first; for s390x the one that lacks nothing of z14."""


def choose_runner(target: Target, available: Mapping[str, frozenset[str]]) -> tuple[list[str], str]:
    """The runners that have all of a target's extensions, best first, and why there is none (or '').

    `available` maps a runner's name to what it has on the target's ISA.
    """
    wanted = features_of(target)
    able = [name for name in ORDER[target.isa] if name in available and wanted <= available[name]]
    if able:
        return able, ""
    if not available:
        return [], f"no runner for {target.isa}"
    missing = min((wanted - have for have in available.values()), key=len)
    return [], f"no runner here has {', '.join(sorted(missing))}"
