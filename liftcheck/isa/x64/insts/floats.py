"""x86-64: floating point of 32 and 64 bits: arithmetic, comparison, conversion, rounding; one lane and all lanes.

What is stated: round to nearest even and denormals as numbers, which is how functions are entered; the sticky flags of
MXCSR are not said. NaNs are exact, with their payloads (`lanes.propagating`). Towards integers, what is out of range or
a NaN is the 'integer indefinite', the most negative number. rcp and rsqrt are approximations that processors choose.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; a row's section is the page there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS, rounded
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.x64.insts.common import FALSE, inst
from liftcheck.isa.x64.insts.lanes import (
    both,
    both_low,
    both_one,
    cut,
    filled,
    lanes,
    low,
    maximum,
    minimum,
    opcode,
    over,
    propagating,
    quiet,
    vex,
    whole,
)
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Meaning, Row

_FORMS: Final = (("ss", "F3", 32, ""), ("sd", "F2", 64, ""), ("ps", "", 32, "packed"), ("pd", "66", 64, "packed"))
"""Suffix, prefix, bits of a lane, whether of all lanes."""


def _sse(suffix: str) -> str:
    return "sse" if suffix[1] == "s" else "sse2"


def root(a: Term) -> Term:
    """sqrt"""
    return propagating(b.fsqrt)(a)


ARITHMETIC: Final = (
    ("add", "58", propagating(b.fadd)), ("mul", "59", propagating(b.fmul)), ("sub", "5C", propagating(b.fsub)),
    ("min", "5D", minimum), ("div", "5E", propagating(b.fdiv)), ("max", "5F", maximum),
)  # fmt: skip


def _arithmetic() -> Iterator[Row]:
    for suffix, prefix, width, packed in _FORMS:
        for name, byte, function in ARITHMETIC:
            if packed:
                yield from both(name + suffix, prefix, "0F", byte, lanes(width, function), _sse(suffix))
            else:
                yield from both_low(name + suffix, prefix, byte, function, width, _sse(suffix))
        if packed:
            yield from both_one(f"sqrt{suffix}", prefix, "0F", "51", lanes(width, root), _sse(suffix))
        else:
            yield from both_low(f"sqrt{suffix}", prefix, "51", lambda a, c: root(c), width, _sse(suffix))
    for name, byte, function in (("andp", "54", b.band), ("andnp", "55", without), ("orp", "56", b.bor),
                                 ("xorp", "57", b.bxor)):  # fmt: skip
        for suffix, prefix in (("s", ""), ("d", "66")):
            yield from both(name + suffix, prefix, "0F", byte, function, _sse("p" + suffix))
    for name, byte in (("rcp", "53"), ("rsqrt", "52")):
        yield from _approximate(name, byte)


def without(a: Term, c: Term) -> Term:
    """andn"""
    return b.band(b.bnot(a), c)


_CHOSEN: Final = "an approximation, which each processor chooses"


def _approximately(s: Machine, *values: Term) -> Term:
    raise NoMeaning(_CHOSEN)


def _approximate(name: str, byte: str) -> Iterator[Row]:
    page = name.upper()
    for template, picture, needs in (
        (f"{name}ps >x, xa", opcode("", "0F", byte), "sse"), (f"v{name}ps >x, xm128", vex("", "0F", byte), "avx"),
        (f"{name}ss +x32, xm32", opcode("F3", "0F", byte), "sse"),
        (f"v{name}ss >x, xv, xm32", vex("F3", "0F", byte, length="LIG"), "avx"),
    ):  # fmt: skip
        yield inst(template, picture, _approximately, page, needs, untested=_CHOSEN)


# -- comparison


def unordered(a: Term, c: Term) -> Term:
    """Whether one is a NaN."""
    return b.bor(b.isnan(a), b.isnan(c))


_ORDERED_FIRST: Final[tuple[tuple[str, Callable[[Term, Term], Term]], ...]] = (
    ("eq", b.feq), ("lt", b.flt), ("le", b.fle), ("unord", unordered),
    ("neq", lambda a, c: b.bnot(b.feq(a, c))), ("nlt", lambda a, c: b.bnot(b.flt(a, c))),
    ("nle", lambda a, c: b.bnot(b.fle(a, c))), ("ord", lambda a, c: b.bnot(unordered(a, c))),
    ("eq_uq", lambda a, c: b.bor(b.feq(a, c), unordered(a, c))), ("nge", lambda a, c: b.bnot(b.fle(c, a))),
    ("ngt", lambda a, c: b.bnot(b.flt(c, a))), ("false", lambda a, c: const(0, 1, a.lanes)),
    ("neq_oq", lambda a, c: b.bor(b.flt(a, c), b.flt(c, a))), ("ge", lambda a, c: b.fle(c, a)),
    ("gt", lambda a, c: b.flt(c, a)), ("true", lambda a, c: const(-1, 1, a.lanes)),
)  # fmt: skip
_SIGNALING_LAST: Final = (
    "eq_os", "lt_oq", "le_oq", "unord_s", "neq_us", "nlt_uq", "nle_uq", "ord_s", "eq_us", "nge_uq", "ngt_uq",
    "false_os", "neq_os", "ge_oq", "gt_oq", "true_us",
)  # fmt: skip
"""Predicates 16 to 31: as the first 16, except for which NaNs signal."""
PREDICATES: Final = (
    *_ORDERED_FIRST,
    *((name, function) for name, (_, function) in zip(_SIGNALING_LAST, _ORDERED_FIRST)),
)


def masks(predicate: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """All ones where it holds."""
    return lambda a, c: b.sext(predicate(a, c), a.lane)


def _compare() -> Iterator[Row]:
    for suffix, prefix, width, packed in _FORMS:
        page = f"CMP{suffix.upper()}"
        for number, (name, predicate) in enumerate(PREDICATES):
            made, given = masks(predicate), {"imm": number}
            target, source = ("x", "xa") if packed else (f"x{width}", f"xm{width}")
            if number < 8:
                old = inst(f"cmp{name}{suffix} +{target}, {source}", opcode(prefix, "0F", "C2", "/r ib"),
                           whole(lanes(width, made) if packed else made), page, _sse(suffix))  # fmt: skip
                yield _fixed(old, given)
            wide = inst(f"vcmp{name}{suffix} >x, xv, {'xm128' if packed else source}",
                        vex(prefix, "0F", "C2", "/r ib", "128" if packed else "LIG"),
                        whole(lanes(width, made)) if packed else low(made, width), page, "avx")  # fmt: skip
            yield _fixed(wide, given)
    for suffix, prefix, width in (("ss", "", 32), ("sd", "66", 64)):
        for name, byte in (("ucomi", "2E"), ("comi", "2F")):
            page = f"{name}{suffix}".upper()
            yield inst(f"{name}{suffix} x{width}, xm{width}", opcode(prefix, "0F", byte), flags, page, _sse(suffix))
            yield inst(f"v{name}{suffix} x{width}, xm{width}", vex(prefix, "0F", byte, length="LIG"), flags, page,
                       "avx")  # fmt: skip


def _fixed(row: Row, fields: dict[str, int]) -> Row:
    return replace(row, encoding=row.encoding.fixed(fields))


def flags(s: Machine, a: Term, c: Term) -> None:
    """zf pf cf: all for NaNs, none for greater, cf for less, zf for equal."""
    nan = unordered(a, c)
    s.write("zf", b.bor(nan, b.feq(a, c)))
    s.write("pf", nan)
    s.write("cf", b.bor(nan, b.flt(a, c)))
    s.write("of", FALSE)
    s.write("sf", FALSE)


# -- conversion


def to_integer(width: int, mode: str) -> Callable[[Term], Term]:
    """Signed; 'integer indefinite' for NaNs and what is out of range."""

    def convert(a: Term) -> Term:
        f, bits = FORMATS[a.lane], width
        value = b.fround(a, mode)
        limit = const(rounded(f, 1, bits - 1), a.lane, a.lanes)
        least = const(f.sign | rounded(f, 1, bits - 1), a.lane, a.lanes)
        fits = b.band(b.fle(least, value), b.flt(value, limit))
        return b.ite(fits, b.to_sint(value, bits), const(1 << bits - 1, bits, a.lanes))

    return convert


def to_format(width: int) -> Callable[[Term], Term]:
    """The other format; a NaN keeps its sign and the high bits of its payload."""

    def convert(a: Term) -> Term:
        f, to = FORMATS[a.lane], FORMATS[width]
        sign = b.extract(a, a.lane - 1, 1)
        if width > a.lane:
            payload = b.concat(b.trunc(a, f.stored), const(0, to.stored - f.stored, a.lanes))
        else:
            payload = b.extract(a, f.stored - to.stored, to.stored)
        nan = b.concat(b.concat(sign, const(-1, to.exponent, a.lanes)), payload)
        return b.ite(b.isnan(a), quiet(nan), b.fconvert(a, width))

    return convert


def from_integer(width: int) -> Callable[[Term], Term]:
    """From a signed integer."""
    return lambda a: b.from_sint(a, width)


def _part(source: int, lane: int, function: Callable[[Term], Term]) -> Callable[[Term], Term]:
    """The function on the lanes of the low bits; zeros above the result."""
    return lambda a: filled(b.scalar(function(cut(b.trunc(a, source), lane))))


def _last(function: Callable[[Term], Term]) -> Callable[..., Term]:
    return lambda a, c: function(c)


def _conversions() -> Iterator[Row]:
    for suffix, prefix, width in (("ss", "F3", 32), ("sd", "F2", 64)):
        page = f"CVT{suffix.upper()}2SI"
        for name, byte, mode in (("cvt", "2D", "nearest"), ("cvtt", "2C", "trunc")):
            for size, rex, w in ((64, "REX.W ", "W1"), (32, "", "W0")):
                yield inst(f"{name}{suffix}2si >r{size}, xm{width}", f"{prefix} {rex}0F {byte} /r",
                           whole(to_integer(size, mode)), page, _sse(suffix))  # fmt: skip
                yield inst(f"v{name}{suffix}2si >r{size}, xm{width}", vex(prefix, "0F", byte, length="LIG", w=w),
                           whole(to_integer(size, mode)), page, "avx")  # fmt: skip
        for size, rex, w in ((64, "REX.W ", "W1"), (32, "", "W0")):
            yield inst(f"cvtsi2{suffix} +x{width}, rm{size}", f"{prefix} {rex}0F 2A /r",
                       whole(_last(from_integer(width))), f"CVTSI2{suffix.upper()}", _sse(suffix))  # fmt: skip
            yield inst(f"vcvtsi2{suffix} >x, xv, rm{size}", vex(prefix, "0F", "2A", length="LIG", w=w),
                       _into(from_integer(width)), f"CVTSI2{suffix.upper()}", "avx")  # fmt: skip
    for name, prefix, source, target in (("cvtss2sd", "F3", 32, 64), ("cvtsd2ss", "F2", 64, 32)):
        yield inst(f"{name} +x{target}, xm{source}", opcode(prefix, "0F", "5A"), whole(_last(to_format(target))),
                   name.upper(), "sse2")  # fmt: skip
        yield inst(f"v{name} >x, xv, xm{source}", vex(prefix, "0F", "5A", length="LIG"), _into(to_format(target)),
                   name.upper(), "avx")  # fmt: skip
    for name, prefix, byte, source, lane, function in _PACKED:
        yield from both_one(name, prefix, "0F", byte, _part(source, lane, function), "sse2", source=source)


_PACKED: Final = (
    ("cvtps2pd", "", "5A", 64, 32, to_format(64)), ("cvtpd2ps", "66", "5A", 128, 64, to_format(32)),
    ("cvtdq2ps", "", "5B", 128, 32, from_integer(32)), ("cvtdq2pd", "F3", "E6", 64, 32, from_integer(64)),
    ("cvttps2dq", "F3", "5B", 128, 32, to_integer(32, "trunc")),
    ("cvtps2dq", "66", "5B", 128, 32, to_integer(32, "nearest")),
    ("cvttpd2dq", "66", "E6", 128, 64, to_integer(32, "trunc")),
    ("cvtpd2dq", "F2", "E6", 128, 64, to_integer(32, "nearest")),
)  # fmt: skip


def _into(function: Callable[[Term], Term]) -> Meaning:
    """AVX: the rest is the second operand's."""
    return lambda s, first, a: over(first, function(a))


# -- rounding

_MODES: Final = ("nearest", "floor", "ceil", "trunc")


def rounding(a: Term, imm: Term) -> Term:
    """By the immediate: bit 2 asks for the mode of MXCSR, which is 'nearest'."""
    number = value_of(imm)
    mode = "nearest" if number & 4 else _MODES[number & 3]
    return b.ite(b.isnan(a), quiet(a), b.fround(a, mode))


def _rounding() -> Iterator[Row]:
    for suffix, byte, width in (("ss", "0A", 32), ("sd", "0B", 64)):
        page = f"ROUND{suffix.upper()}"
        yield inst(f"round{suffix} +x{width}, xm{width}, u8", opcode("66", "0F3A", byte, "/r ib"),
                   whole(lambda a, c, imm: rounding(c, imm)), page, "sse4.1")  # fmt: skip
        yield inst(f"vround{suffix} >x, xv, xm{width}, u8", vex("66", "0F3A", byte, "/r ib", "LIG"),
                   lambda s, first, a, imm: over(first, rounding(a, imm)), page, "avx")  # fmt: skip
    for suffix, byte, width in (("ps", "08", 32), ("pd", "09", 64)):
        page, function = f"ROUND{suffix.upper()}", _rounded_lanes(width)
        yield inst(f"round{suffix} >x, xa, u8", opcode("66", "0F3A", byte, "/r ib"), function, page, "sse4.1")
        yield inst(f"vround{suffix} >x, xm128, u8", vex("66", "0F3A", byte, "/r ib"), function, page, "avx")


def _rounded_lanes(width: int) -> Meaning:
    return lambda s, a, imm: b.scalar(rounding(cut(a, width), imm))


# -- multiply and add (FMA)


def fused(negate_product: bool, subtract: bool) -> Callable[[Term, Term, Term], Term]:
    """a * c + d, with signs; of NaNs the first of a, c, d."""

    def function(a: Term, c: Term, d: Term) -> Term:
        sign = const(FORMATS[a.lane].sign, a.lane, a.lanes)
        return b.fma(b.bxor(a, sign) if negate_product else a, c, b.bxor(d, sign) if subtract else d)

    return propagating(function)


_ORDERS: Final = (("132", 0x90), ("213", 0xA0), ("231", 0xB0))
_SIGNS: Final = (
    ("vfmadd", 8, False, False), ("vfmsub", 10, False, True), ("vfnmadd", 12, True, False), ("vfnmsub", 14, True, True),
)  # fmt: skip


def _ordered(order: str, function: Callable[[Term, Term, Term], Term]) -> Callable[[Term, Term, Term], Term]:
    """The operands by their numbers: the first two are multiplied."""
    places = [int(digit) - 1 for digit in order]
    return lambda *values: function(*(values[place] for place in places))


def _fused() -> Iterator[Row]:
    for name, low_digit, negate, subtract in _SIGNS:
        for order, high in _ORDERS:
            function = _ordered(order, fused(negate, subtract))
            for suffix, width, one in (("ps", 32, 0), ("pd", 64, 0), ("ss", 32, 1), ("sd", 64, 1)):
                byte, w = f"{high + low_digit + one:02X}", "W1" if width == 64 else "W0"
                page = "/".join(f"{name}{digits}{suffix}" for digits, _ in _ORDERS).upper()
                if one:
                    yield inst(f"{name}{order}{suffix} +x, xv, xm{width}", vex("66", "0F38", byte, length="LIG", w=w),
                               _fused_low(function, width), page, "fma")  # fmt: skip
                else:
                    yield inst(f"{name}{order}{suffix} +x, xv, xm128", vex("66", "0F38", byte, w=w),
                               whole(lanes(width, function)), page, "fma")  # fmt: skip


def _fused_low(function: Callable[[Term, Term, Term], Term], width: int) -> Meaning:
    return lambda s, a, c, d: over(a, function(b.trunc(a, width), b.trunc(c, width), d))


ROWS: Final[tuple[Row, ...]] = (*_arithmetic(), *_compare(), *_conversions(), *_rounding(), *_fused())
