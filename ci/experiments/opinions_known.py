"""What the libraries of `row_opinions.py` are known to have wrong: ISA, library, the mnemonics or texts, what it is.

Each was executed on the states that differ: execution agrees with the row everywhere but for what a line says.
Versions: pypcode 3.3.3, pyvex 9.2.213.
"""

from __future__ import annotations

from typing import Final

_ROUNDS: Final = "the rounding is not the instruction's"
_FUSED: Final = "the product is rounded before it is added"
_ABOVE: Final = "bits above the result keep what they held"

KNOWN: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("x86-64", "pcode", r"shr .*1", "overflow is cleared, not the highest bit of what is shifted by 1"),
    ("x86-64", "pcode", r"[lt]zcnt", "carry is set where the result is zero, not where the operand is"),
    ("x86-64", "pcode", r"(lock )?(xchg|xadd|cmpxchg) .*", _ABOVE + " (32-bit registers, with memory)"),
    ("x86-64", "pcode", r"v?(cvtt?s[sd]2si|movd|pextr[bdw])", _ABOVE + ", or a part of the operand is taken"),
    ("x86-64", "pcode", r"v(add|sub|mul|div|sqrt|min|max)s[sd]", "the upper part of the first source is lost"),
    ("x86-64", "pcode", r"ps(ll|rl)[dqw]|psra[dw]", "a count beyond the width is taken modulo some power of two"),
    ("x86-64", "pcode", r"v?cvtp[sd]2dq", _ROUNDS),
    ("x86-64", "vex", r"bt", "it clears the flags that the instruction leaves alone"),
    ("x86-64", "vex", r"vcmp(eq_u|neq_o)[qs]?[sp][sd]", "'equal or unordered' is taken for 'equal', its contrary too"),
    ("x86-64", "vex", r"vfn?m(add|sub)\d+[sp][sd]", "the sum is negated, which shows where it is zero"),
    ("aarch64", "pcode", r"ldu?rs[bh]|ldpsw", "the sign goes into the wrong bits, or the second address is wrong"),
    ("aarch64", "pcode", r"ld(l?ar|apu?r)[bh]?|stl?l?u?r[bh]?", _ABOVE + ", or another size is stored"),
    ("aarch64", "pcode", r"(ld(add|clr|eor|set|[su](max|min))|swp|casp?)(a|l|al)?[bh]?", _ABOVE),
    ("aarch64", "pcode", r"frint[axinmpz]", "the integer is left where its float belongs"),
    ("aarch64", "pcode", r"fcvt[anmpz][su]", _ROUNDS + ", negative numbers are not cut to zero"),
    ("aarch64", "pcode", r"f(max|min)(nm)?", "a NaN as operand is passed over, or not made quiet"),
    ("aarch64", "pcode", r"f(n?m(add|sub)|ml[as])", _FUSED + ", " + _ABOVE),
    ("aarch64", "pcode", r"ld1r|bsl|bit|bif|addv|sabdl?|uabdl?|fmov", _ABOVE + ", or the difference overflows"),
    ("aarch64", "pcode", r"sbcs", "flags are of the difference without the borrow"),
    ("aarch64", "pcode", r"mrs|msr", "the flags lie at other bits"),
    ("aarch64", "vex", r"fml[as]", _FUSED),
    ("aarch64", "vex", r"fcvta[su]", "ties are rounded to even, not away from zero"),
    ("riscv64", "pcode", r".*\.s(\..*)?|fmv\.(w\.x|x\.w)|flw|fcvt\.[dh]\.s", "it makes no NaN boxes and looks at none"),
    ("riscv64", "pcode", r"fn?m(add|sub)\.d", _FUSED),
    ("riscv64", "pcode", r"f(min|max|class)\.d", "NaNs and classes are not the instruction's"),
    ("riscv64", "pcode", r"fcvt\..*|csrr[wsc]i?", "rounding modes: it has one, and no `frm`"),
    ("riscv64", "pcode", r"amo.*|fmv\.x\.d", "an operand is taken for an address, a result for `zero` is stored"),
    ("s390x", "vex", r"lngfr", "it negates the first operand"),
    ("s390x", "vex", r"popcnt.*8", "it counts bytes, as before z15"),
    ("s390x", "vex", r"lt[edx]br", "it leaves signaling NaNs, as qemu 7.2: by the manual they become quiet"),
    ("s390x", "vex", r"vgm[bhfg]", "it looks at bits of the positions that the instruction ignores"),
    ("s390x", "vex", r"vs(l|rl|ra)", "one count for all bytes, as before z15"),
    ("s390x", "vex", r"[vw]fch(e?)[sd]bs?", "'greater' and 'greater or equal' are exchanged"),
    ("s390x", "vex", r"[vw]led[bg]?|ledbra", _ROUNDS),
)  # fmt: skip
