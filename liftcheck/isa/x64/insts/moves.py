"""x86-64: vectors moved: between registers and memory, whole and in parts, to and from integer registers, broadcast.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; a row's section is the page there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, value_of
from liftcheck.isa.x64.insts.common import inst
from liftcheck.isa.x64.insts.lanes import BITS, filled, opcode, over, vex, whole
from liftcheck.mach.rows.row import Row


def same(a: Term) -> Term:
    """The operand itself."""
    return a


_WHOLE: Final = (
    ("movaps", "", "28", "29", True, "sse"), ("movapd", "66", "28", "29", True, "sse2"),
    ("movups", "", "10", "11", False, "sse"), ("movupd", "66", "10", "11", False, "sse2"),
    ("movdqa", "66", "6F", "7F", True, "sse2"), ("movdqu", "F3", "6F", "7F", False, "sse2"),
)  # fmt: skip
"""Name, prefix, opcode of loads, of stores, whether memory must be aligned, extension."""


def _whole() -> Iterator[Row]:
    for name, prefix, load, store, aligned, needs in _WHOLE:
        place = "xa" if aligned else "xm128"
        for lead, line, extension in (("", opcode, needs), ("v", vex, "avx")):
            yield inst(f"{lead}{name} >x, {place}", line(prefix, "0F", load), whole(same), name.upper(), extension)
            yield inst(f"{lead}{name} >{place}, x", line(prefix, "0F", store), whole(same), name.upper(), extension)


def _scalars() -> Iterator[Row]:
    for name, prefix, width, needs in (("movss", "F3", 32, "sse"), ("movsd", "F2", 64, "sse2")):
        page = name.upper()
        yield inst(f"{name} +x{width}, xr{width}", opcode(prefix, "0F", "10"), whole(lambda a, c: c), page, needs)
        yield inst(f"{name} >x, m{width}", opcode(prefix, "0F", "10"), whole(filled), page, needs)
        yield inst(f"{name} >m{width}, x{width}", opcode(prefix, "0F", "11"), whole(same), page, needs)
        yield inst(f"v{name} >x, xv, xr{width}", vex(prefix, "0F", "10", length="LIG"), whole(over), page, "avx")
        yield inst(f"v{name} >x, m{width}", vex(prefix, "0F", "10", length="LIG"), whole(filled), page, "avx")
        yield inst(f"v{name} >m{width}, x{width}", vex(prefix, "0F", "11", length="LIG"), whole(same), page, "avx")


def _integers() -> Iterator[Row]:
    for name, width, rex, w in (("movd", 32, "", "W0"), ("movq", 64, "REX.W ", "W1")):
        yield inst(f"{name} >x, rm{width}", f"66 {rex}0F 6E /r", whole(filled), "MOVD/MOVQ", "sse2")
        yield inst(f"{name} >rm{width}, x{width}", f"66 {rex}0F 7E /r", whole(same), "MOVD/MOVQ", "sse2")
        yield inst(f"v{name} >x, rm{width}", vex("66", "0F", "6E", w=w), whole(filled), "MOVD/MOVQ", "avx")
        yield inst(f"v{name} >rm{width}, x{width}", vex("66", "0F", "7E", w=w), whole(same), "MOVD/MOVQ", "avx")
    yield inst("movq >x, xm64", opcode("F3", "0F", "7E"), whole(filled), "MOVQ", "sse2")
    yield inst("vmovq >x, xm64", vex("F3", "0F", "7E"), whole(filled), "MOVQ", "avx")
    yield inst("movq >m64, x64", opcode("66", "0F", "D6"), whole(same), "MOVQ", "sse2")
    yield inst("vmovq >m64, x64", vex("66", "0F", "D6"), whole(same), "MOVQ", "avx")


def upper(a: Term, c: Term) -> Term:
    """The low half of the second above that of the first."""
    return b.concat(b.trunc(c, 64), b.trunc(a, 64))


def lower(a: Term, c: Term) -> Term:
    """The low half from the second operand, the high one from the first."""
    return over(a, b.trunc(c, 64))


def _halves() -> Iterator[Row]:
    for name, prefix, byte, source, function in (
        ("movhps", "", "16", "m64", upper), ("movhpd", "66", "16", "m64", upper), ("movlhps", "", "16", "xr", upper),
        ("movlps", "", "12", "m64", lower), ("movlpd", "66", "12", "m64", lower), ("movhlps", "", "12", "xr", swapped),
    ):  # fmt: skip
        needs = "sse2" if prefix else "sse"
        yield inst(f"{name} +x, {source}", opcode(prefix, "0F", byte), whole(function), name.upper(), needs)
        yield inst(f"v{name} >x, xv, {source}", vex(prefix, "0F", byte), whole(function), name.upper(), "avx")
    for name, prefix, byte, needs in (("movhps", "", "17", "sse"), ("movhpd", "66", "17", "sse2")):
        yield inst(f"{name} >m64, x", opcode(prefix, "0F", byte), whole(lambda a: b.extract(a, 64, 64)), name.upper(),
                   needs)  # fmt: skip
        yield inst(f"v{name} >m64, x", vex(prefix, "0F", byte), whole(lambda a: b.extract(a, 64, 64)), name.upper(),
                   "avx")  # fmt: skip
    yield inst("movddup >x, xm64", opcode("F2", "0F", "12"), whole(twice), "MOVDDUP", "sse3")
    yield inst("vmovddup >x, xm64", vex("F2", "0F", "12"), whole(twice), "MOVDDUP", "avx")


def swapped(a: Term, c: Term) -> Term:
    """movhlps: the high half of the second below that of the first."""
    return over(a, b.extract(c, 64, 64))


def twice(a: Term) -> Term:
    """Both halves the same."""
    return b.concat(a, a)


# -- one lane


def lane_out(lane: int, width: int) -> Callable[[Term, Term], Term]:
    """A lane by the immediate, with zeros above."""
    return lambda a, imm: b.zext(b.extract(a, value_of(imm) % (BITS // lane) * lane, lane), width)


def lane_in(lane: int) -> Callable[[Term, Term, Term], Term]:
    """A vector with a lane replaced."""

    def meaning(a: Term, c: Term, imm: Term) -> Term:
        at = value_of(imm) % (BITS // lane)
        parts = (b.shape(a, lane, BITS // lane), b.shape(b.zext(b.trunc(c, lane), BITS), lane, BITS // lane))
        return b.scalar(b.permute(parts, [BITS // lane if k == at else k for k in range(BITS // lane)]))

    return meaning


_OUT: Final = (
    ("pextrb", 8, "0F3A", "14", "", "W0", ">mo8", "sse4.1"), ("pextrw", 16, "0F3A", "15", "", "W0", ">mo16", "sse4.1"),
    ("pextrd", 32, "0F3A", "16", "", "W0", ">rm32", "sse4.1"), ("pextrq", 64, "0F3A", "16", "REX.W ", "W1", ">rm64",
                                                                 "sse4.1"),
    ("extractps", 32, "0F3A", "17", "", "", ">rm32", "sse4.1"),
)  # fmt: skip
_IN: Final = (
    ("pinsrb", 8, "0F3A", "20", "", "W0", "mi8", "sse4.1"), ("pinsrw", 16, "0F", "C4", "", "W0", "mi16", "sse2"),
    ("pinsrd", 32, "0F3A", "22", "", "W0", "rm32", "sse4.1"),
    ("pinsrq", 64, "0F3A", "22", "REX.W ", "W1", "rm64", "sse4.1"),
)  # fmt: skip


def _lanes() -> Iterator[Row]:
    yield inst("pextrw >r32, xr, u8", opcode("66", "0F", "C5", "/r ib"), whole(lane_out(16, 32)), "PEXTRW", "sse2")
    yield inst("vpextrw >r32, xr, u8", vex("66", "0F", "C5", "/r ib", w="W0"), whole(lane_out(16, 32)), "PEXTRW", "avx")
    for name, lane, space, byte, rex, w, place, needs in _OUT:
        made = whole(lane_out(lane, max(lane, 32)))
        yield inst(f"{name} {place}, x, u8", f"66 {rex}0F 3A {byte} /r ib", made, name.upper(), needs)
        yield inst(f"v{name} {place}, x, u8", vex("66", space, byte, "/r ib", w=w), made, name.upper(), "avx")
    for name, lane, space, byte, rex, w, place, needs in _IN:
        made = whole(lane_in(lane))
        yield inst(f"{name} +x, {place}, u8", f"66 {rex}{opcode('', space, byte, '/r ib')}", made, name.upper(), needs)
        yield inst(f"v{name} >x, xv, {place}, u8", vex("66", space, byte, "/r ib", w=w), made, name.upper(), "avx")


def broadcast(lane: int) -> Callable[[Term], Term]:
    """Every lane the same."""
    return lambda a: b.scalar(b.splat(a, BITS // lane))


def _broadcasts() -> Iterator[Row]:
    for name, lane, byte, needs in (("vpbroadcastb", 8, "78", "avx2"), ("vpbroadcastw", 16, "79", "avx2"),
                                    ("vpbroadcastd", 32, "58", "avx2"), ("vpbroadcastq", 64, "59", "avx2"),
                                    ("vbroadcastss", 32, "18", "avx2")):  # fmt: skip
        page = "VBROADCAST" if name == "vbroadcastss" else "VPBROADCAST"
        yield inst(f"{name} >x, xm{lane}", vex("66", "0F38", byte, w="W0"), whole(broadcast(lane)), page, needs)


ROWS: Final[tuple[Row, ...]] = (
    *_whole(), *_scalars(), *_integers(), *_halves(), *_lanes(), *_broadcasts(),
)  # fmt: skip
