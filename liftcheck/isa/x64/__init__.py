"""x86-64 as a value; its instructions are the rows of `insts`, read by `reader`.

Sources: cranelift-codegen-meta 0.135.8 isa/x86.rs (presets); Intel SDM for the probes, assembled with GNU as. Unicorn's
VEX decoder ignores an operand of 128-bit AVX, so AVX is probed with a 256-bit instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from liftcheck.isa.base import EVERY, Assembler, Isa, Qemu, Unicorn, counted

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

_PRESETS: Final[Mapping[str, str]] = {
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
    **dict.fromkeys(("icelake-client", "icelake", "icelake-server", "tigerlake", "sapphirerapids", "graniterapids"),
                    _ICELAKE),
    "barcelona": _BARCELONA, "amdfam10": _BARCELONA, "btver1": _BTVER1, "bdver1": _BTVER1,
    "btver2": f"{_BTVER1} has_avx has_bmi1", "bdver2": f"{_BTVER1} has_bmi1", "bdver3": f"{_BTVER1} has_bmi1",
    "bdver4": f"{_BTVER1} has_bmi1 has_avx2 has_bmi2",
    "znver1": _ZNVER1, "znver2": _ZNVER1, "znver3": _ZNVER1,
    "znver4": f"{_ZNVER1} has_avx512bitalg has_avx512dq has_avx512f has_avx512vbmi has_avx512vl",
    "x86-64-v3": _V3, "x86-64-v4": f"{_V3} has_avx512dq has_avx512vl",
}  # fmt: skip

_PROBES: Final[Mapping[str, str]] = {
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
}

_UNICORN: Final = Unicorn(
    constants="x86",
    arch="UC_ARCH_X86",
    mode="UC_MODE_64",
    model="UC_CPU_X86_HASWELL",
    pc="UC_X86_REG_RIP",
    interrupts={0: ("arithmetic", 0), 3: ("trap", 1)},
    system_call=-1,
    call="UC_X86_INS_SYSCALL",
    call_number="UC_X86_REG_RAX",
    host_calls={0x81: 32, 0x82: 64},
    first_vector="UC_X86_REG_XMM0",
    results=("RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", *(f"R{n}" for n in range(8, 16)),
             *(f"XMM{n}" for n in range(16))),
)  # fmt: skip

_CHOICES: Final = ("has_popcnt", "has_lzcnt", "has_bmi1", "has_bmi2", "has_sse42", "has_sse41", "has_ssse3", "has_sse3")
_PLAIN: Final = ("has_cmpxchg16b", *_CHOICES)
_WIDER: Final = ("has_avx", "has_avx2", "has_fma", "has_avx512f", "has_avx512vl", "has_avx512dq", "has_avx512bitalg",
                 "has_avx512vbmi", "has_avx512vnni")  # fmt: skip
"""What a plain world has, and what only a rich one has, the widest last; any but cmpxchg16b may be off."""

ISA: Final = Isa(
    name="x86-64",
    listing="listing:agrees",
    direction="sequences:direction",
    operands="operands:compare",
    trap_codes="listing:trap_codes",
    rows="insts.table:table",
    bench="insts.bench:benches",
    backend="backend:BACKEND",
    lowering="externs:opened",
    reader="reader:read",
    by_rows=True,
    alignment=1,
    capstone=("CS_ARCH_X86", "CS_MODE_64"),
    fill=b"\xcc",
    ret="c3",
    trapping="ud2|int3|hlt",
    registers=(("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *counted("r", 8, 15)), counted("xmm", 0, 31)),
    widths=(64, 128, 0),
    stack_pointer=4,
    pinned=15,
    conventions=("system_v", "fast", "tail", "windows_fastcall", "preserve_all", "winch"),
    struct_arguments=True,
    plain=_PLAIN,
    rich=(*_PLAIN, *_WIDER),
    optional=(*_CHOICES, *_WIDER),
    indifferent=EVERY,
    presets=_PRESETS,
    probes=_PROBES,
    preferred=("native",),
    host="x86_64",
    elf_machine=62,
    qemu=Qemu("qemu-x86_64"),
    unicorn=_UNICORN,
    assembler=Assembler("x86_64-linux-gnu-", ("--64",), ".intel_syntax noprefix"),
    ahead=1,
)  # fmt: skip
