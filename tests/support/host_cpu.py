"""The host's x86-64 as a third opinion: small machine code assembled by keystone, called through ctypes.

A snippet finds x, y, z in rax, rcx, r9 and in xmm0, xmm1, xmm2, and leaves its results in rax, r8 or in xmm0 (rows
say which). The rows below are (opcode, operand types, result types, immediate, CPU features, text), made from
templates over widths. Source: Intel SDM volume 2.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

SLOT = 64
_ENTER = "mov rax, [rdi]; mov rcx, [rdi+64]; mov r9, [rdi+128]; xor r8d, r8d; " + "; ".join(
    f"movdqu xmm{i}, [rdi+{64 * i}]" for i in range(3)
)
_LEAVE = {
    "int": "mov [rsi], rax; mov [rsi+64], r8; ret",
    "xmm": "movdqu [rsi], xmm0; ret",
    "pair": "mov [rsi], rax; mov [rsi+8], r8; ret",
}


class Row(NamedTuple):
    """One opcode at one typing. `into` is 'int' (rax, then r8), 'xmm' or 'pair' (r8:rax)."""

    op: str
    args: str
    results: str
    text: str
    into: str = "int"
    imm: object = None
    needs: frozenset[str] = frozenset()


def available() -> bool:
    """Whether this machine can run the snippets."""
    return platform.machine() in ("x86_64", "AMD64") and platform.system() == "Linux"


@cache
def features() -> frozenset[str]:
    """The CPU's flags by Linux's names."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return frozenset(line.split(":")[1].split())
    return frozenset()


class Insn:
    """Executable memory with all rows' code, and a buffer for operands and results."""

    def __init__(self, rows: list[Row]) -> None:
        import keystone

        assembler = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64)
        self._memory = mmap.mmap(-1, 1 << 20, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._buffer = ctypes.create_string_buffer(6 * SLOT)
        self._data = ctypes.addressof(self._buffer)
        self._calls: dict[Row, Callable[[int, int], None]] = {}
        offset = 0
        for row in rows:
            code = bytes(assembler.asm(f"{_ENTER}; {row.text}; {_LEAVE[row.into]}")[0])
            self._memory[offset : offset + len(code)] = code
            self._calls[row] = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(self._base + offset)
            offset += len(code) + 15 & -16

    def run(self, row: Row, operands: tuple[int, ...]) -> tuple[int, int]:
        """The two result slots."""
        slots = [operand.to_bytes(SLOT, "little") for operand in operands]
        ctypes.memmove(self._data, b"".join(slots).ljust(6 * SLOT, b"\0"), 6 * SLOT)
        self._calls[row](self._data, self._data + 3 * SLOT)
        raw = self._buffer.raw[3 * SLOT :]
        return int.from_bytes(raw[:SLOT], "little"), int.from_bytes(raw[SLOT : 2 * SLOT], "little")

    def swap(self, one: Row, other: Row) -> None:
        """Exchange the code of two rows."""
        self._calls[one], self._calls[other] = self._calls[other], self._calls[one]


WIDTHS = (8, 16, 32, 64)
_A = {8: "al", 16: "ax", 32: "eax", 64: "rax"}
_C = {8: "cl", 16: "cx", 32: "ecx", 64: "rcx"}
_SIGN = {16: "cwd", 32: "cdq", 64: "cqo"}
_D = {16: "dx", 32: "edx", 64: "rdx"}
_SET = {"eq": "e", "ne": "ne", "slt": "l", "sle": "le", "sgt": "g", "sge": "ge", "ult": "b", "ule": "be", "ugt": "a",
        "uge": "ae"}  # fmt: skip


def integer_rows() -> Iterator[Row]:
    """Scalar integers of 8 to 64 bits."""
    for width in WIDTHS:
        t, a, b = f"i{width}", _A[width], _C[width]
        for op, text in (("iadd", "add"), ("isub", "sub"), ("band", "and"), ("bor", "or"), ("bxor", "xor")):
            yield Row(op, f"{t} {t}", t, f"{text} {a}, {b}")
        yield Row("ineg", t, t, f"neg {a}")
        yield Row("bnot", t, t, f"not {a}")
        yield Row("imul", f"{t} {t}", t, f"imul {b}")
        for op, text in (("umulhi", "mul"), ("smulhi", "imul")):
            yield Row(op, f"{t} {t}", t, f"{text} {b}; " + ("shr eax, 8" if width == 8 else "mov rax, rdx"))
        for condition, suffix in _SET.items():
            yield Row("icmp", f"{t} {t}", "i8", f"cmp {a}, {b}; set{suffix} al", imm=condition)
        for op, text in (("ishl", "shl"), ("ushr", "shr"), ("sshr", "sar"), ("rotl", "rol"), ("rotr", "ror")):
            for amount in WIDTHS:
                yield Row(op, f"{t} i{amount}", t, f"and ecx, {width - 1}; {text} {a}, cl")
        yield from _flag_rows(width)
        yield from _division_rows(width)
        if width > 8:
            yield from _wide_rows(width)


def _flag_rows(width: int) -> Iterator[Row]:
    t, a, b = f"i{width}", _A[width], _C[width]
    carry = "cmp r9b, 1; cmc"
    for op, text, flag in (("uadd", "add", "c"), ("sadd", "add", "o"), ("usub", "sub", "c"), ("ssub", "sub", "o")):
        yield Row(f"{op}_overflow", f"{t} {t}", f"{t} i8", f"{text} {a}, {b}; set{flag} r8b")
        into, with_carry = ("cin", "adc") if text == "add" else ("bin", "sbb")
        yield Row(f"{op}_overflow_{into}", f"{t} {t} i8", f"{t} i8", f"{carry}; {with_carry} {a}, {b}; set{flag} r8b")
    yield Row("umul_overflow", f"{t} {t}", f"{t} i8", f"mul {b}; seto r8b")
    yield Row("smul_overflow", f"{t} {t}", f"{t} i8", f"imul {b}; seto r8b")


def _division_rows(width: int) -> Iterator[Row]:
    """Only run where the meaning does not trap."""
    t, b = f"i{width}", _C[width]
    if width == 8:
        for sign, extend, divide in (("u", "movzx eax, al", "div"), ("s", "movsx eax, al", "idiv")):
            yield Row(f"{sign}div", "i8 i8", "i8", f"{extend}; {divide} cl")
            yield Row(f"{sign}rem", "i8 i8", "i8", f"{extend}; {divide} cl; shr eax, 8")
        return
    for sign, extend, divide in (("u", "xor edx, edx", "div"), ("s", _SIGN[width], "idiv")):
        yield Row(f"{sign}div", f"{t} {t}", t, f"{extend}; {divide} {b}")
        yield Row(f"{sign}rem", f"{t} {t}", t, f"{extend}; {divide} {b}; mov rax, rdx")


def _wide_rows(width: int) -> Iterator[Row]:
    t, a, b = f"i{width}", _A[width], _C[width]
    for op, condition in (("smin", "g"), ("smax", "l"), ("umin", "a"), ("umax", "b")):
        yield Row(op, f"{t} {t}", t, f"cmp {a}, {b}; cmov{condition} {a}, {b}")
    yield Row("iabs", t, t, f"mov {b}, {a}; neg {b}; cmovns {a}, {b}")
    yield Row("popcnt", t, t, f"popcnt {a}, {a}", needs=frozenset({"popcnt"}))
    yield Row("clz", t, t, f"lzcnt {a}, {a}", needs=frozenset({"abm"}))
    yield Row("ctz", t, t, f"tzcnt {a}, {a}", needs=frozenset({"bmi1"}))
    yield Row("bswap", t, t, f"bswap {a}" if width > 16 else "rol ax, 8")
    for narrow in (w for w in WIDTHS if w < width):
        signed = "movsxd rax, eax" if narrow == 32 else f"movsx {a}, {_A[narrow]}"
        yield Row("sextend", f"i{narrow}", t, signed)
        yield Row("uextend", f"i{narrow}", t, "mov eax, eax" if narrow == 32 else f"movzx {a}, {_A[narrow]}")
        yield Row("ireduce", t, f"i{narrow}", "nop")
    yield Row("bmask", t, t, f"cmp {a}, 1; sbb {a}, {a}; not {a}")
    yield Row("select", f"{t} i64 i64", "i64", f"test {a}, {a}; mov rax, rcx; cmovz rax, r9")


def wide_integer_rows() -> Iterator[Row]:
    """i128 where two registers do it."""
    load = "mov rax, [rdi]; mov r8, [rdi+8]"
    for op, low, high in (("iadd", "add", "adc"), ("isub", "sub", "sbb"), ("bxor", "xor", "xor")):
        yield Row(op, "i128 i128", "i128", f"{load}; {low} rax, [rdi+64]; {high} r8, [rdi+72]", "pair")
    product = "mov rax, [rdi]; mul qword ptr [rdi+64]; mov r8, rdx; mov rcx, [rdi]; imul rcx, [rdi+72]; add r8, rcx; "
    yield Row("imul", "i128 i128", "i128", f"{product}mov rcx, [rdi+8]; imul rcx, [rdi+64]; add r8, rcx", "pair")
    for condition, flag in (("ult", "b"), ("uge", "ae"), ("slt", "l"), ("sge", "ge")):
        yield Row(
            "icmp",
            "i128 i128",
            "i8",
            f"{load}; cmp rax, [rdi+64]; sbb r8, [rdi+72]; set{flag} al; xor r8d, r8d",
            imm=condition,
        )
    for amount in ("i8", "i64", "i128"):
        text = "and ecx, 127; shld r8, rax, cl; shl rax, cl; test cl, 64; jz done; mov r8, rax; xor eax, eax; done:"
        yield Row("ishl", f"i128 {amount}", "i128", f"{load}; {text}", "pair")


_PREDICATES = {"eq": 0, "lt": 1, "le": 2, "uno": 3, "ne": 4, "uge": 5, "ugt": 6, "ord": 7}
_ROUNDING = {"nearest": 8, "floor": 9, "ceil": 10, "trunc": 11}
_SSE41, _SSSE3, _SSE42, _FMA, _F16C = (frozenset({f}) for f in ("sse4_1", "ssse3", "sse4_2", "fma", "f16c"))


def float_rows() -> Iterator[Row]:
    """f32 and f64, scalar and packed; f16 conversions."""
    for t, s in (("f32", "ss"), ("f64", "sd"), ("f32x4", "ps"), ("f64x2", "pd")):
        for op, text in (("fadd", "add"), ("fsub", "sub"), ("fmul", "mul"), ("fdiv", "div")):
            yield Row(op, f"{t} {t}", t, f"{text}{s} xmm0, xmm1", "xmm")
        yield Row("sqrt", t, t, f"sqrt{s} xmm0, xmm0", "xmm")
        for op, mode in _ROUNDING.items():
            yield Row(op, t, t, f"round{s} xmm0, xmm0, {mode}", "xmm", needs=_SSE41)
        yield Row("fma", f"{t} {t} {t}", t, f"vfmadd213{s} xmm0, xmm1, xmm2", "xmm", needs=_FMA)
        for condition, number in _PREDICATES.items():
            text = f"cmp{s} xmm0, xmm1, {number}"
            if t in ("f32", "f64"):
                yield Row("fcmp", f"{t} {t}", "i8", f"{text}; movq rax, xmm0; and eax, 1", imm=condition)
            else:
                yield Row("fcmp", f"{t} {t}", t.replace("f", "i"), text, "xmm", condition)
    yield from _conversion_rows()


def _conversion_rows() -> Iterator[Row]:
    yield Row("fpromote", "f32", "f64", "cvtss2sd xmm0, xmm0", "xmm")
    yield Row("fdemote", "f64", "f32", "cvtsd2ss xmm0, xmm0", "xmm")
    yield Row("fpromote", "f16", "f32", "vcvtph2ps xmm0, xmm0", "xmm", needs=_F16C)
    yield Row("fdemote", "f32", "f16", "vcvtps2ph xmm0, xmm0, 0", "xmm", needs=_F16C)
    yield Row("fvpromote_low", "f32x4", "f64x2", "cvtps2pd xmm0, xmm0", "xmm")
    yield Row("fvdemote", "f64x2", "f32x4", "cvtpd2ps xmm0, xmm0", "xmm")
    yield Row("fcvt_from_sint", "i32x4", "f32x4", "cvtdq2ps xmm0, xmm0", "xmm")
    yield Row("x86_cvtt2dq", "f32x4", "i32x4", "cvttps2dq xmm0, xmm0", "xmm")
    for f, s in (("f32", "ss"), ("f64", "sd")):
        for width in (32, 64):
            yield Row("fcvt_from_sint", f"i{width}", f, f"cvtsi2{s} xmm0, {_A[width]}", "xmm")
            yield Row("fcvt_to_sint", f, f"i{width}", f"cvtt{s}2si {_A[width]}, xmm0")


_LANES = {"b": 8, "w": 16, "d": 32, "q": 64}
_PACKED = [
    ("iadd", "padd", "bwdq", None), ("isub", "psub", "bwdq", None), ("imul", "pmull", "w", None),
    ("imul", "pmull", "d", _SSE41), ("umulhi", "pmulhu", "w", None), ("smulhi", "pmulh", "w", None),
    ("uadd_sat", "paddus", "bw", None), ("sadd_sat", "padds", "bw", None), ("usub_sat", "psubus", "bw", None),
    ("ssub_sat", "psubs", "bw", None), ("avg_round", "pavg", "bw", None), ("umin", "pminu", "b", None),
    ("umin", "pminu", "wd", _SSE41), ("umax", "pmaxu", "b", None), ("umax", "pmaxu", "wd", _SSE41),
    ("smin", "pmins", "w", None), ("smin", "pmins", "bd", _SSE41), ("smax", "pmaxs", "w", None),
    ("smax", "pmaxs", "bd", _SSE41), ("icmp eq", "pcmpeq", "bwd", None), ("icmp eq", "pcmpeq", "q", _SSE41),
    ("icmp sgt", "pcmpgt", "bwd", None), ("icmp sgt", "pcmpgt", "q", _SSE42), ("iadd_pairwise", "phadd", "wd", _SSSE3),
]  # fmt: skip


def packed_rows() -> Iterator[Row]:
    """Integer vectors of 128 bits."""
    for op, text, letters, needs in _PACKED:
        name, _, condition = op.partition(" ")
        for letter in letters:
            t = _vector(_LANES[letter])
            yield Row(name, f"{t} {t}", t, f"{text}{letter} xmm0, xmm1", "xmm", condition or None, needs or frozenset())
    for op, text, letters in (("ishl", "psll", "wdq"), ("ushr", "psrl", "wdq"), ("sshr", "psra", "wd")):
        for letter in letters:
            width = _LANES[letter]
            yield Row(
                op,
                f"{_vector(width)} i32",
                _vector(width),
                f"and ecx, {width - 1}; movd xmm1, ecx; {text}{letter} xmm0, xmm1",
                "xmm",
            )
    for letter in "bwd":
        t = _vector(_LANES[letter])
        yield Row("iabs", t, t, f"pabs{letter} xmm0, xmm0", "xmm", needs=_SSSE3)
    yield from _moving_rows()


_PACKS = [("snarrow", "packsswb", "i16x8", "i8x16"), ("snarrow", "packssdw", "i32x4", "i16x8"),
          ("unarrow", "packuswb", "i16x8", "i8x16"), ("unarrow", "packusdw", "i32x4", "i16x8")]  # fmt: skip


def _moving_rows() -> Iterator[Row]:
    for sign in "su":
        for small, large in (("b", "w"), ("w", "d"), ("d", "q")):
            widen = f"pmov{'s' if sign == 's' else 'z'}x{small}{large} xmm0, xmm0"
            source, to = _vector(_LANES[small]), _vector(_LANES[large])
            yield Row(f"{sign}widen_low", source, to, widen, "xmm", needs=_SSE41)
            yield Row(f"{sign}widen_high", source, to, f"psrldq xmm0, 8; {widen}", "xmm", needs=_SSE41)
    for op, text, t, to in _PACKS:
        yield Row(op, f"{t} {t}", to, f"{text} xmm0, xmm1", "xmm", needs=_SSE41)
    yield Row("x86_pshufb", "i8x16 i8x16", "i8x16", "pshufb xmm0, xmm1", "xmm", needs=_SSSE3)
    yield Row("x86_pmulhrsw", "i16x8 i16x8", "i16x8", "pmulhrsw xmm0, xmm1", "xmm", needs=_SSSE3)
    yield Row("x86_pmaddubsw", "i8x16 i8x16", "i16x8", "pmaddubsw xmm1, xmm0; movdqa xmm0, xmm1", "xmm", needs=_SSSE3)
    for t, text in (("i8x16", "pblendvb"), ("i32x4", "blendvps"), ("f64x2", "blendvpd")):
        yield Row("blendv", f"{t} {t} {t}", t, f"{text} xmm2, xmm1; movdqa xmm0, xmm2", "xmm", needs=_SSE41)
    for t, text in (("i8x16", "pmovmskb"), ("i32x4", "movmskps"), ("i64x2", "movmskpd")):
        yield Row("vhigh_bits", t, "i32", f"{text} eax, xmm0")
    yield Row("bitselect", "i32x4 i32x4 i32x4", "i32x4", "pand xmm1, xmm0; pandn xmm0, xmm2; por xmm0, xmm1", "xmm")
    yield Row("vany_true", "i32x4", "i8", "xor eax, eax; ptest xmm0, xmm0; setnz al", needs=_SSE41)


def _vector(width: int) -> str:
    return f"i{width}x{128 // width}"


def rows() -> list[Row]:
    """Every row of the table."""
    return [*integer_rows(), *wide_integer_rows(), *float_rows(), *packed_rows()]
