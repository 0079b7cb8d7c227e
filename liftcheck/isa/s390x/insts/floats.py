"""s390x: binary floating point of 32, 64 and 128 bits in float registers.

What is stated: the FPC is as functions are entered, to nearest even, nothing traps. NaNs are handed on: the first
operand that is signaling, quieted, else the first that is a NaN. The flags in the FPC are not said. Rounding modes: 1
is to nearest, ties away from zero, 3 to odd where inexact (so that another rounding may follow), 4 to nearest, ties to
even, 5 to zero, 6 up, 7 down, 0 that of the FPC.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapters 9, 19 (and 18 for moves).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS, rounded
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.s390x.insts.common import coded, inst
from liftcheck.mach.rows.floats import converted, handed_on, lanes, magnitude, negated, quiet_bit, signaling
from liftcheck.mach.rows.floats import to_integral as rounded_to_integral
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Row

SECTION: Final = "19"
MODES: Final = {0: "nearest", 1: "away", 3: "odd", 4: "nearest", 5: "trunc", 6: "ceil", 7: "floor"}


# -- NaNs and rounding, in any number of lanes


def minus(a: Term) -> Term:
    return b.bor(a, lanes(FORMATS[a.lane].sign, a))


def quieted(a: Term) -> Term:
    """A NaN that is not signaling; a number stays."""
    return b.ite(b.isnan(a), b.bor(a, quiet_bit(a)), a)


def two(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """An operation of two operands."""
    return lambda a, c: handed_on(function(a, c), a, c)


def one(function: Callable[[Term], Term]) -> Callable[[Term], Term]:
    """An operation of one operand."""
    return lambda a: handed_on(function(a), a)


def fused(s: Machine, n: Term, m: Term, a: Term, negates: bool = False) -> Term:
    """n * m + a, rounded once; a number with the other sign if `negates`. Two cases are left open, since it is not
    clear which NaN is handed on: a signaling one behind a quiet one, and zero times infinity beside a NaN."""
    zero, infinity = lanes(0, a), lanes(FORMATS[a.lane].infinity, a)
    invalid = b.bor(
        b.band(b.eq(magnitude(n), zero), b.eq(magnitude(m), infinity)),
        b.band(b.eq(magnitude(n), infinity), b.eq(magnitude(m), zero)),
    )
    result = b.fma(n, m, a)
    if negates:
        result = b.ite(b.isnan(result), result, negated(result))
    behind = b.bor(b.band(signaling(m), b.isnan(n)), b.band(signaling(a), b.bor(b.isnan(n), b.isnan(m))))
    unclear = b.bor(behind, b.band(invalid, b.isnan(a)))
    return b.ite(unclear, b.shape(s.undefined(a.bits), a.lane, a.lanes), handed_on(result, n, m, a))


def to_integral(a: Term, mode: str) -> Term:
    """Rounded to an integer in its format."""
    if mode == "odd":
        raise NoMeaning("no term rounds to integers with this rounding mode")
    return handed_on(rounded_to_integral(a, mode), a)


def mode_of(m3: Term) -> str:
    """The rounding mode that a mask says."""
    found = MODES.get(value_of(m3))
    if found is None:
        raise NoMeaning("a rounding mode that is not known")
    return found


def shortened(a: Term, width: int, m3: Term) -> Term:
    """In a narrower format by a rounding mode: the nearest one, or its neighbour."""
    mode, near = mode_of(m3), converted(a, width)
    if mode == "nearest":
        return near
    if mode == "away":
        raise NoMeaning("no term converts with this rounding mode")
    back = converted(near, a.lane)
    one_more = const(1, width, a.lanes)
    inner = b.ite(b.flt(magnitude(a), magnitude(back)), b.sub(near, one_more), near)
    outer = b.ite(b.flt(magnitude(back), magnitude(a)), b.add(near, one_more), near)
    if mode == "odd":
        inexact = b.band(b.bnot(b.isnan(a)), b.bnot(b.feq(back, a)))
        return b.ite(inexact, b.bor(inner, one_more), inner)
    is_negative = b.extract(a, a.lane - 1, 1)
    modes = {"trunc": inner, "ceil": b.ite(is_negative, inner, outer), "floor": b.ite(is_negative, outer, inner)}
    return modes[mode]


def from_integer(a: Term, width: int, signed: bool, m3: Term) -> Term:
    """By a rounding mode: integers of 64 bits are exact in the format of 128 bits."""
    convert = b.from_sint if signed else b.from_uint
    return convert(a, width) if mode_of(m3) == "nearest" else shortened(convert(a, 128), width, m3)


def saturated(a: Term, width: int, signed: bool) -> Term:
    """Rounded numbers as integers; a NaN is the least one."""
    convert = b.to_sint if signed else b.to_uint
    least = 1 << width - 1 if signed else 0
    return b.ite(b.isnan(a), const(least, width, a.lanes), convert(a, width))


# -- the condition code


def set_float(s: Machine, a: Term) -> None:
    """0 zero, 1 less than it, 2 greater, 3 NaN."""
    none = lanes(0, a)
    s.write("cc", coded(b.feq(a, none), b.flt(a, none), b.flt(none, a), last=3))


def compare(s: Machine, a: Term, c: Term) -> None:
    s.write("cc", coded(b.feq(a, c), b.flt(a, c), b.flt(c, a), last=3))


def _setting(function: Callable[..., Term]) -> Callable[..., Term]:
    """The operation; its result says the condition code."""

    def meaning(s: Machine, *values: Term) -> Term:
        result = function(*values)
        set_float(s, result)
        return result

    return meaning


def _only(function: Callable[..., Term]) -> Callable[..., Term]:
    return lambda s, *values: function(*values)


# -- rows

_FORMATS: Final = (("e", "e", 32, "0"), ("d", "d", 64, "1"), ("x", "q", 128, "4"))


def _arithmetic() -> Iterator[Row]:
    for letter, r, _, digit in _FORMATS:
        text = f"{letter}br +{r}1, {r}2"
        for name, last, function in (("a", "A", b.fadd), ("s", "B", b.fsub)):
            yield inst(f"{name}{text}", f"RRE B3{digit}{last}", _setting(two(function)), SECTION)
        yield inst(f"d{text}", f"RRE B3{digit}D", _only(two(b.fdiv)), SECTION)
        multiply = "mee" if letter == "e" else f"m{letter}"
        code = {"e": "B317", "d": "B31C", "x": "B34C"}[letter]
        yield inst(f"{multiply}br +{r}1, {r}2", f"RRE {code}", _only(two(b.fmul)), SECTION)
        code = {"e": "B314", "d": "B315", "x": "B316"}[letter]
        yield inst(f"sq{letter}br >{r}1, {r}2", f"RRE {code}", _only(one(b.fsqrt)), SECTION)
        for name, last in (("c", "9"), ("k", "8")):
            yield inst(f"{name}{letter}br {r}1, {r}2", f"RRE B3{digit}{last}", compare, SECTION)
        for name, last, unary in (
            ("lp", "0", magnitude),
            ("ln", "1", minus),
            ("lt", "2", quieted),
            ("lc", "3", negated),
        ):
            yield inst(f"{name}{letter}br >{r}1, {r}2", f"RRE B3{digit}{last}", _setting(unary), SECTION)
        if letter != "x":
            for name, last, negates in (("ma", "E", False), ("ms", "F", True)):
                yield inst(f"{name}{letter}br +{r}1, {r}3, {r}2", f"RRD B3{digit}{last}", _fused(negates), SECTION)
    yield inst("mdebr +d1, e2", "RRE B30C", _wide_product, SECTION)


def _storage() -> Iterator[Row]:
    """The last operand is in storage."""
    for r, size, digit in (("e", 4, "0"), ("d", 8, "1")):
        for text, last, meaning in ((f"a{r}b +{r}1", "A", _setting(two(b.fadd))), (f"c{r}b {r}1", "9", compare),
                                    (f"s{r}b +{r}1", "B", _setting(two(b.fsub))), (f"k{r}b {r}1", "8", compare),
                                    (f"d{r}b +{r}1", "D", _only(two(b.fdiv)))):  # fmt: skip
            yield inst(f"{text}, bdx", f"RXE ED{digit}{last}", _stored(size, meaning), SECTION)
        for name, last, negates in (("ma", "E", False), ("ms", "F", True)):
            meaning = _stored(size, _fused(negates))
            yield inst(f"{name}{r}b +{r}1, {r}3, bdx", f"RXF ED{digit}{last}", meaning, SECTION)
    for text, code, size, operation in (
        ("meeb +e1", "17", 4, two(b.fmul)), ("mdb +d1", "1C", 8, two(b.fmul)), ("sqeb >e1", "14", 4, one(b.fsqrt)),
        ("sqdb >d1", "15", 8, one(b.fsqrt)), ("ldeb >d1", "04", 4, lambda a: converted(a, 64)),
        ("lxdb >q1", "05", 8, lambda a: converted(a, 128)), ("lxeb >q1", "06", 4, lambda a: converted(a, 128)),
    ):  # fmt: skip
        yield inst(f"{text}, bdx", f"RXE ED{code}", _stored(size, _only(operation)), SECTION)


def _stored(size: int, meaning: Callable[..., Any]) -> Callable[..., Any]:
    """The meaning with its last operand loaded."""
    return lambda s, *values: meaning(s, *values[:-1], s.load(values[-1], size))


def _fused(negates: bool) -> Callable[[Machine, Term, Term, Term], Term]:
    """r1 is the addend; a NaN is handed on with its own sign."""
    return lambda s, a, m, n: fused(s, n, m, b.ite(b.isnan(a), a, negated(a)) if negates else a)


def _wide_product(s: Machine, a: Term, c: Term) -> Term:
    """Of the short float in the upper half of operand 1."""
    return two(b.fmul)(converted(b.extract(a, 32, 32), 64), converted(c, 64))


def _moves() -> Iterator[Row]:
    same = _only(lambda a: a)
    yield inst("ldr >d1, d2", "RR 28", same, "9")
    yield inst("ler >e1, e2", "RR 38", same, "9")
    yield inst("lxr >q1, q2", "RRE B365", same, "9")
    yield inst("ldgr >d1, g2", "RRE B3C1", same, "9")
    yield inst("lgdr >g1, d2", "RRE B3CD", same, "9")
    yield inst("lpdfr >d1, d2", "RRE B370", _only(magnitude), "9")
    yield inst("lndfr >d1, d2", "RRE B371", _only(minus), "9")
    yield inst("lcdfr >d1, d2", "RRE B373", _only(negated), "9")
    yield inst("cpsdr >d1, d3, d2", "RRFa B372", _copy_sign, "9")
    yield inst("lzer >e1", "RRE B374", lambda s: const(0, 32), "9", r2=0)
    yield inst("lzdr >d1", "RRE B375", lambda s: const(0, 64), "9", r2=0)
    for name, r, size, short, long in (("le", "e", 4, "78", "ED64"), ("ld", "d", 8, "68", "ED65")):
        yield inst(f"{name} >{r}1, bdx", f"RX {short}", _load(size), "9")
        yield inst(f"{name}y >{r}1, bdxy", f"RXY {long}", _load(size), "9")
    for name, r, short, long in (("ste", "e", "70", "ED66"), ("std", "d", "60", "ED67")):
        yield inst(f"{name} {r}1, bdx", f"RX {short}", _store, "9")
        yield inst(f"{name}y {r}1, bdxy", f"RXY {long}", _store, "9")


def _copy_sign(s: Machine, sign: Term, a: Term) -> Term:
    return b.bor(magnitude(a), b.band(sign, const(1 << 63, 64)))


def _load(size: int) -> Callable[[Machine, Term], Term]:
    return lambda s, address: s.load(address, size)


def _store(s: Machine, a: Term, address: Term) -> None:
    s.store(address, a)


def _formats() -> Iterator[Row]:
    for name, to, source, width, code in (("ldebr", "d", "e", 64, "B304"), ("lxdbr", "q", "d", 128, "B305"),
                                          ("lxebr", "q", "e", 128, "B306")):  # fmt: skip
        yield inst(f"{name} >{to}1, {source}2", f"RRE {code}", _lengthen(width), SECTION)
    for name, to, source, width, code in (("ledbra", "e", "d", 32, "B344"), ("ldxbra", "dq", "q", 64, "B345"),
                                          ("lexbra", "eq", "q", 32, "B346")):  # fmt: skip
        yield inst(f"{name} >{to}1, m3, {source}2, m4", f"RRFe {code}", _shorten(width), SECTION)
    for name, r, code in (("fiebra", "e", "B357"), ("fidbra", "d", "B35F"), ("fixbra", "q", "B347")):
        yield inst(
            f"{name} >{r}1, m3, {r}2, m4", f"RRFe {code}", lambda s, m3, a, m4: to_integral(a, mode_of(m3)), SECTION
        )


def _lengthen(width: int) -> Callable[[Machine, Term], Term]:
    return lambda s, a: converted(a, width)


def _shorten(width: int) -> Callable[[Machine, Term, Term, Term], Term]:
    return lambda s, m3, a, m4: shortened(a, width, m3)


def _from(width: int, signed: bool) -> Callable[[Machine, Term, Term, Term], Term]:
    return lambda s, m3, a, m4: from_integer(a, width, signed, m3)


def _to(width: int, signed: bool) -> Callable[[Machine, Term, Term, Term], Term]:
    """The condition code is of the source; 3 if it is a NaN or does not fit."""

    def meaning(s: Machine, m3: Term, a: Term, m4: Term) -> Term:
        whole = to_integral(a, mode_of(m3))
        f = FORMATS[a.lane]
        above = const(rounded(f, 1, width - 1 if signed else width), a.lane)
        below = const(f.sign | rounded(f, 1, width - 1) if signed else 0, a.lane)
        special = b.bor(b.isnan(a), b.bor(b.fle(above, whole), b.flt(whole, below)))
        none = const(0, a.lane)
        s.write("cc", b.ite(special, const(3, 2), coded(b.feq(a, none), b.flt(a, none), last=2)))
        return saturated(whole, width, signed)

    return meaning


def _integers() -> Iterator[Row]:
    for number, (letter, r, width, _) in enumerate(_FORMATS):
        for x, g, size, high in (("f", "w", 32, 9), ("g", "g", 64, 10)):
            for l, signed, codes in (("", True, (4, 8)), ("l", False, (0, 12))):
                last = "a" if signed else ""
                yield inst(f"c{letter}{l}{x}br{last} >{r}1, m3, {g}2, m4", f"RRFe B3{high:X}{codes[0] + number:X}",
                           _from(width, signed), SECTION)  # fmt: skip
                yield inst(f"c{l}{x}{letter}br{last} >{g}1, m3, {r}2, m4", f"RRFe B3{high:X}{codes[1] + number:X}",
                           _to(size, signed), SECTION)  # fmt: skip


ROWS: Final = (*_arithmetic(), *_storage(), *_moves(), *_formats(), *_integers())
