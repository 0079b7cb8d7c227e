"""x86-64: what compiled code has of AVX-512 (VL, DQ, BITALG, VBMI, VNNI) and AVX-VNNI: 128 bits, no masks.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; a row's section is the page there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.x64.insts.common import inst
from liftcheck.isa.x64.insts.lanes import cut, lanes, propagating, vex, whole
from liftcheck.isa.x64.insts.moves import same
from liftcheck.isa.x64.insts.vectors import SHIFTS, absolute, by_count, by_immediate
from liftcheck.mach.rows.row import Row

VL: Final = "avx512f avx512vl"


def evex(prefix: str, space: str, byte: str, w: str, more: str = "/r") -> str:
    """The line of a whole vector of 128 bits."""
    return f"EVEX.128{prefix and '.' + prefix}.{space}.{w} {byte} {more} *16"


def dot_product(a: Term, c: Term, d: Term) -> Term:
    """vpdpbusd: to each lane four products of unsigned and signed bytes are added."""
    product = b.mul(b.zext(cut(c, 8), 32), b.sext(cut(d, 8), 32))
    total = cut(a, 32)
    for k in range(4):
        total = b.add(total, b.permute((product,), [4 * n + k for n in range(4)]))
    return b.scalar(total)


def from_two(indexes: Term, a: Term, c: Term) -> Term:
    """vpermi2b: bytes of both by number."""
    number = b.band(cut(indexes, 8), const(31, 8, 16))
    low = b.band(number, const(15, 8, 16))
    second = b.ule(const(16, 8, 16), number)
    return b.scalar(b.ite(second, b.gather(cut(c, 8), low), b.gather(cut(a, 8), low)))


def _moves() -> Iterator[Row]:
    for name, prefix, space, w in (("vmovups", "", "0F", "W0"), ("vmovupd", "66", "0F", "W1")):
        yield inst(f"{name} >x, xm128", evex(prefix, space, "10", w), whole(same), "MOVUPS", VL)
        yield inst(f"{name} >xm128, x", evex(prefix, space, "11", w), whole(same), "MOVUPS", VL)


_TWO: Final = (
    ("vaddpd", "66", "0F", "58", "W1", lanes(64, propagating(b.fadd)), VL),
    ("vpmulld", "66", "0F38", "40", "W0", lanes(32, b.mul), VL),
    ("vpmullq", "66", "0F38", "40", "W1", lanes(64, b.mul), "avx512dq avx512vl"),
)
_ONE: Final = (
    ("vpabsd", "66", "0F38", "1E", "W0", lanes(32, absolute), VL),
    ("vpabsq", "66", "0F38", "1F", "W1", lanes(64, absolute), VL),
    ("vpopcntb", "66", "0F38", "54", "W0", lanes(8, b.popcnt), "avx512bitalg avx512vl"),
    ("vpopcntw", "66", "0F38", "54", "W1", lanes(16, b.popcnt), "avx512bitalg avx512vl"),
    ("vcvtudq2ps", "F2", "0F", "7A", "W0", lanes(32, lambda a: b.from_uint(a, 32)), VL),
)
_THREE: Final = (
    ("vpermi2b", "66", "0F38", "75", "W0", from_two, "avx512vbmi avx512vl"),
    ("vpdpbusd", "66", "0F38", "50", "W0", dot_product, "avx512vl avx512vnni"),
)


def _operations() -> Iterator[Row]:
    for name, prefix, space, byte, w, two, needs in _TWO:
        yield inst(f"{name} >x, xv, xm128", evex(prefix, space, byte, w), whole(two), name.upper(), needs)
    for name, prefix, space, byte, w, one, needs in _ONE:
        yield inst(f"{name} >x, xm128", evex(prefix, space, byte, w), whole(one), name.upper(), needs)
    for name, prefix, space, byte, w, three, needs in _THREE:
        yield inst(f"{name} +x, xv, xm128", evex(prefix, space, byte, w), whole(three), name.upper(), needs)
    yield inst("vpdpbusd +x, xv, xm128", vex("66", "0F38", "50", w="W0"), whole(dot_product), "VPDPBUSD", "avx_vnni")


def _shifts() -> Iterator[Row]:
    for name, shift, widths in SHIFTS:
        for lane, byte, other, digit in widths[1:]:
            full, w = f"v{name}{'d' if lane == 32 else 'q'}", "W0" if lane == 32 else "W1"
            page = "PSLLW/PSLLD/PSLLQ".replace("SLL", name[1:].upper())
            yield inst(f"{full} >x, xv, xm128", evex("66", "0F", byte, w), whole(by_count(shift, lane)), page, VL)
            yield inst(f"{full} >xw, xm128, u8", evex("66", "0F", other, w, f"/{digit} ib"),
                       whole(by_immediate(shift, lane)), page, VL)  # fmt: skip
    yield inst("vpsraq >x, xv, xm128", evex("66", "0F", "E2", "W1"), whole(by_count(b.ashr, 64)), "PSRAQ", VL)
    yield inst("vpsraq >xw, xm128, u8", evex("66", "0F", "72", "W1", "/4 ib"), whole(by_immediate(b.ashr, 64)), "PSRAQ",
               VL)  # fmt: skip


ROWS: Final[tuple[Row, ...]] = (*_moves(), *_operations(), *_shifts())
