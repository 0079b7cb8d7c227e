"""What the compiler of our own emits on x86-64: each instruction of its rules as lines of text, ';' between them.

The one idea: a name that RISC-V has does what it does there (`mach/words.isle`); others are this ISA's. How operands
are written is `backend.slots_of`'s; a number after the name says how many numbers an instruction has beside its
registers. A line that begins with a blank goes on with the one before.

Source: Intel's manual, volume 2, by the mnemonics; `minsd` of zeros and NaNs gives its second operand, `cvttsd2si` of
what does not fit the least number, unordered `ucomisd` sets ZF, PF and CF.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_WORDS: Final = """
add     =d/a a b          add {d:64}, {b:64}
addw    =d/a a b          add {d:32}, {b:32}
sub     =d/a a b          sub {d:64}, {b:64}
subw    =d/a a b          sub {d:32}, {b:32}
and     =d/a a b          and {d:64}, {b:64}
or      =d/a a b          or {d:64}, {b:64}
xor     =d/a a b          xor {d:64}, {b:64}
mul     =d/a a b          imul {d:64}, {b:64}
addi:1  =d/a a            add {d:64}, {0}
addiw:1 =d/a a            add {d:32}, {0}
andi:1  =d/a a            and {d:64}, {0}
ori:1   =d/a a            or {d:64}, {0}
xori:1  =d/a a            xor {d:64}, {0}
slli:1  =d/a a            shl {d:64}, {0}
srli:1  =d/a a            shr {d:64}, {0}
srai:1  =d/a a            sar {d:64}, {0}
sll     =d/a a n@1        shl {d:64}, cl
srl     =d/a a n@1        shr {d:64}, cl
sra     =d/a a n@1        sar {d:64}, cl
sllw    =d/a a n@1        shl {d:32}, cl
srlw    =d/a a n@1        shr {d:32}, cl
sraw    =d/a a n@1        sar {d:32}, cl
rol     =d/a a n@1        rol {d:64}, cl
ror     =d/a a n@1        ror {d:64}, cl
rolw    =d/a a n@1        rol {d:32}, cl
rorw    =d/a a n@1        ror {d:32}, cl
neg     =d/a a            neg {d:64}
not     =d/a a            not {d:64}
bswap   =d/a a            bswap {d:64}
sext.w  =d a              movsxd {d:64}, {a:32}
sext.h  =d a              movsx {d:64}, {a:16}
sext.b  =d a              movsx {d:64}, {a:8}
zext.w  =d a              mov {d:32}, {a:32}
zext.h  =d a              movzx {d:32}, {a:16}
zext.b  =d a              movzx {d:32}, {a:8}
slt     =d a b            cmp {a:64}, {b:64}; setl {d:8}; movzx {d:32}, {d:8}
sltu    =d a b            cmp {a:64}, {b:64}; setb {d:8}; movzx {d:32}, {d:8}
slti:1  =d a              cmp {a:64}, {0}; setl {d:8}; movzx {d:32}, {d:8}
sltiu:1 =d a              cmp {a:64}, {0}; setb {d:8}; movzx {d:32}, {d:8}
is:1    =d a b            cmp {a:64}, {b:64}; set{0} {d:8}; movzx {d:32}, {d:8}
isz:1   =d a              test {a:64}, {a:64}; set{0} {d:8}; movzx {d:32}, {d:8}
mulhu   =d@2 =l@0 a@0 ~b  mul {b:64}
mulh    =d@2 =l@0 a@0 ~b  imul {b:64}
div     =d@0 =r@2 a@0 ~b  cqo; idiv {b:64}
divu    =d@0 =r@2 a@0 ~b  mov edx, 0; div {b:64}
remu    =d@2 =q@0 a@0 ~b  mov edx, 0; div {b:64}
rem     =d@2 =q@0 a@0 ~b  cmp {b:64}, -1; jne go; mov edx, 0; jmp end; go:; cqo; idiv {b:64}; end:
popcnt  =d a              popcnt {d:64}, {a:64}
lzcnt   =d a              lzcnt {d:64}, {a:64}
tzcnt   =d a              tzcnt {d:64}, {a:64}
andn    =d a b            andn {d:64}, {b:64}, {a:64}
movq    =d a.f            movq {d:64}, {a}
add_    =l/a =h/b a b x y  add {l:64}, {x:64}; adc {h:64}, {y:64}
sub_    =l/a =h/b a b x y  sub {l:64}, {x:64}; sbb {h:64}, {y:64}
fmv.x.d =d a.f            movq {d:64}, {a}
fmv.x.w =d a.f            movd {d:32}, {a}
fmv.d.x =d.f a            movq {d}, {a:64}
fmv.w.x =d.f a            movd {d}, {a:32}
fcvt.d.s =d.f a.f         cvtss2sd {d}, {a}
fcvt.s.d =d.f a.f         cvtsd2ss {d}, {a}
fence                     mfence
ebreak                    int3
andps   =d.f/a a.f b.f    andps {d}, {b}
orps    =d.f/a a.f b.f    orps {d}, {b}
xorps   =d.f/a a.f b.f    xorps {d}, {b}
andnps  =d.f/a a.f b.f    andnps {d}, {b}
ones    =d.f              pcmpeqd {d}, {d}
low64   =d a.f            movq {d:64}, {a}
high64  =d &t.f a.f       movhlps {t}, {a}; movq {d:64}, {t}
both64  =&d.f &t.f a b    movq {d}, {a:64}; movq {t}, {b:64}; punpcklqdq {d}, {t}
"""

_OF_FLOATS: Final = """
fadd.X   =d.f/a a.f b.f    addY {d}, {b}
fsub.X   =d.f/a a.f b.f    subY {d}, {b}
fmul.X   =d.f/a a.f b.f    mulY {d}, {b}
fdiv.X   =d.f/a a.f b.f    divY {d}, {b}
fsqrt.X  =d.f a.f          sqrtY {d}, {a}
fma.X    =d.f/a a.f b.f c.f  vfmadd213Y {d}, {b}, {c}
feq.X    =&d &t a.f b.f    ucomiY {a}, {b}; setnp {d:8}; sete {t:8}; and {d:32}, {t:32}; movzx {d:32}, {d:8}
flt.X    =d a.f b.f        ucomiY {b}, {a}; seta {d:8}; movzx {d:32}, {d:8}
fle.X    =d a.f b.f        ucomiY {b}, {a}; setae {d:8}; movzx {d:32}, {d:8}
fcvt.X.l =d.f a            xorps {d}, {d}; cvtsi2Y {d}, {a:64}
fcvt.X.lu =&d.f &t &u a    xorps {d}, {d}; test {a:64}, {a:64}; js big; cvtsi2Y {d}, {a:64}; jmp end; big:;
         mov {t:64}, {a:64}; shr {t:64}, 1; mov {u:64}, {a:64}; and {u:64}, 1; or {t:64}, {u:64};
         cvtsi2Y {d}, {t:64}; addY {d}, {d}; end:
fcvt.l.X/rtz =&d &t.f a.f  cvttY2si {d:64}, {a}; cmp {d:64}, 1; jno end; xorps {t}, {t}; ucomiY {a}, {t}; jp end;
         jb end; not {d:64}; end:
fmin.X   =d.f/a a.f b.f    ucomiY {d}, {b}; jp nan; je equal; minY {d}, {b}; jmp end; equal:; orps {d}, {b};
         jmp end; nan:; addY {d}, {b}; end:
fmax.X   =d.f/a a.f b.f    ucomiY {d}, {b}; jp nan; je equal; maxY {d}, {b}; jmp end; equal:; andps {d}, {b};
         jmp end; nan:; addY {d}, {b}; end:
tou.X    =&d &t.f &u a.f big.f  ucomiY {a}, {big}; jae large; cvttY2si {d:64}, {a}; test {d:64}, {d:64}; jns end;
         mov {d:32}, 0; jmp end; large:; movaps {t}, {a}; subY {t}, {big}; cvttY2si {d:64}, {t};
         test {d:64}, {d:64}; js over; mov {u:32}, 1; shl {u:64}, 63; xor {d:64}, {u:64}; jmp end; over:;
         mov {d:64}, -1; end:
"""
_SIGNS: Final = """
sign.X   =&d &t a b        mov {d:W}, {a:W}; shl {d:W}, 1; shr {d:W}, 1; mov {t:W}, {b:W}; shr {t:W}, T;
         shl {t:W}, T; or {d:W}, {t:W}
neg.X    =d/a &t a         mov {t:32}, 1; shl {t:64}, T; xor {d:64}, {t:64}
abs.X    =d/a a            shl {d:W}, 1; shr {d:W}, 1
"""
_SIZES: Final = {"8": "byte", "16": "word", "32": "dword", "64": "qword"}
_ATOMIC: Final = {
    **{name: f"{name} {{t:64}}, {{v:64}}" for name in ("and", "or", "xor", "add", "sub")},
    "nand": "and {t:64}, {v:64}; not {t:64}",
    "xchg": "mov {t:64}, {v:64}",
}
_LEAST: Final = {"umin": "be", "umax": "ae", "smin": "le", "smax": "ge"}


def texts() -> Iterator[tuple[str, int, str, str]]:
    """(name, numbers, operands, lines) of each."""
    yield from _read(_WORDS)
    for letter, suffix in (("s", "ss"), ("d", "sd")):
        yield from _read(_OF_FLOATS.replace("X", letter).replace("Y", suffix))
        bits = {"s": 32, "d": 64}[letter]
        signs = _SIGNS.replace("X", letter).replace("W", str(bits)).replace("T", str(bits - 1))
        yield from _read(signs)
        for name in ("ceil", "floor", "trunc", "nearest"):
            yield f"{name}.{letter}", 0, "=&d.f &t &u.f a.f most.f", _rounding(name, suffix)
    for width, size in _SIZES.items():
        for name, lines in _ATOMIC.items():
            yield f"{name}{width}", 0, "=&d@0 a v &t", _loop(width, size, lines)
        for name, keeps in _LEAST.items():
            lines = f"cmp {{t:{width}}}, {{v:{width}}}; j{keeps} kept; mov {{t:64}}, {{v:64}}; kept:"
            yield f"{name}{width}", 0, "=&d@0 a v &t", _loop(width, size, lines)
        yield f"cas{width}", 0, "=d@0 a e@0 v", f"!lock cmpxchg {size} ptr [{{a:64}}], {{v:{width}}}"


def _loop(width: str, size: str, lines: str) -> str:
    load = f"mov {{d:{width}}}, {size} ptr [{{a:64}}]"
    exchange = f"lock cmpxchg {size} ptr [{{a:64}}], {{t:{width}}}"
    return f"!{load}; again:; mov {{t:64}}, {{d:64}}; {lines}; !{exchange}; jne again"


def _rounding(name: str, suffix: str) -> str:
    """Of what has a fraction: to an integer and back, then up or down by one, with the sign that it had."""
    wide, ps = ("64", "movq") if suffix == "sd" else ("32", "movd")
    convert = f"cvt{'' if name == 'nearest' else 't'}{suffix}2si {{t:64}}, {{a}}"
    absolute = f"{ps} {{t:{wide}}}, {{a}}; shl {{t:{wide}}}, 1; shr {{t:{wide}}}, 1; {ps} {{d}}, {{t:{wide}}}"
    adjust = ""
    if name == "ceil":
        adjust = f"ucomi{suffix} {{d}}, {{a}}; jae done; add {{t:64}}, 1; cvtsi2{suffix} {{d}}, {{t:64}}; done:; "
    elif name == "floor":
        adjust = f"ucomi{suffix} {{d}}, {{a}}; jbe done; sub {{t:64}}, 1; cvtsi2{suffix} {{d}}, {{t:64}}; done:; "
    top = "63" if suffix == "sd" else "31"
    cleared = f"shr {{t:{wide}}}, {top}; shl {{t:{wide}}}, {top}"
    sign = f"{ps} {{t:{wide}}}, {{a}}; {cleared}; {ps} {{u}}, {{t:{wide}}}; orps {{d}}, {{u}}"
    return (
        f"{absolute}; ucomi{suffix} {{d}}, {{most}}; jp large; jae large; {convert}; xorps {{d}}, {{d}}; "
        f"cvtsi2{suffix} {{d}}, {{t:64}}; {adjust}{sign}; jmp end; large:; movaps {{d}}, {{a}}; "
        f"ucomi{suffix} {{d}}, {{d}}; jnp end; add{suffix} {{d}}, {{d}}; end:"
    )


def _read(table: str) -> Iterator[tuple[str, int, str, str]]:
    for row in table.strip().replace("\n ", " ").splitlines():
        name, _, rest = row.partition(" ")
        rest = rest.strip()
        head, _, lines = rest.partition("  ")
        bare, _, numbers = name.partition(":")
        if not lines:
            head, lines = "", head
        yield bare, int(numbers or 0), head.strip(), lines.strip()
