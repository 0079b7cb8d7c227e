"""A64: data processing on integer registers.

Source: Arm ARM (DDI 0487), C4.1 'Data Processing -- Immediate' and '-- Register', C6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.aarch64.insts.common import KINDS, SIZES, add_with_carry, flags_of, holds, inst, plain, set_flags
from liftcheck.mach.rows.machine import PC, Machine
from liftcheck.mach.rows.row import Row, alias

_IMMEDIATE: Final = "C4.1 Data Processing -- Immediate"
_REGISTER: Final = "C4.1 Data Processing -- Register"
_ZERO: Final = const(0, 1)
_ONE: Final = const(1, 1)


def arithmetic(subtract: bool, flags: bool) -> Callable[..., Term]:
    """The sum or difference; with `flags` it sets them."""

    def meaning(s: Machine, a: Term, c: Term) -> Term:
        if not flags:
            return b.sub(a, c) if subtract else b.add(a, c)
        if subtract:  # said by comparisons, so that conditions are comparisons again
            total = b.sub(a, c)
            negative, zero = flags_of(total)
            set_flags(s, negative, zero, b.bnot(b.ult(a, c)), b.bxor(b.slt(a, c), negative))
        else:
            total, carry, over = add_with_carry(a, c, _ZERO)
            set_flags(s, *flags_of(total), carry, over)
        return total

    return meaning


def narrowed(function: Callable[..., Term], width: int) -> Callable[..., Term]:
    """The immediate as wide as the register."""
    return lambda s, a, immediate: function(s, a, b.trunc(immediate, width))


def shifted_immediate(function: Callable[..., Term], width: int) -> Callable[..., Term]:
    """The immediate times 4096."""
    return lambda s, a, immediate: function(s, a, b.shl(b.trunc(immediate, width), const(12, width)))


def _sums() -> Iterator[Row]:
    for r, sf, width in SIZES:
        for name, op, flags in (("add", "0", "0"), ("adds", "0", "1"), ("sub", "1", "0"), ("subs", "1", "1")):
            does = arithmetic(op == "1", flags == "1")
            to = f"{r}d" if flags == "1" else f"{r}dsp"
            head = f"{sf} {op} {flags}"
            yield inst(f"{name} {to}, {r}nsp, imm12", f"{head} 100010 0 imm12:12 rn rd", narrowed(does, width),
                       _IMMEDIATE)  # fmt: skip
            yield inst(f"{name} {to}, {r}nsp, imm12, lsl #12", f"{head} 100010 1 imm12:12 rn rd",
                       shifted_immediate(does, width), _IMMEDIATE)  # fmt: skip
            yield inst(f"{name} {r}d, {r}n, {r}m_sh", f"{head} 01011 sh:2 0 rm imm6 rn rd", does, _REGISTER)
            yield inst(f"{name} {to}, {r}nsp, {r}m_ext", f"{head} 01011 00 1 rm option:3 imm3:3 rn rd", does, _REGISTER)
        for name, op, flags in (("adc", "0", "0"), ("adcs", "0", "1"), ("sbc", "1", "0"), ("sbcs", "1", "1")):
            yield inst(f"{name} {r}d, {r}n, {r}m", f"{sf} {op} {flags} 11010000 rm 000000 rn rd",
                       _with_carry(op == "1", flags == "1"), _REGISTER)  # fmt: skip


def _with_carry(subtract: bool, flags: bool) -> Callable[..., Term]:
    def meaning(s: Machine, a: Term, c: Term) -> Term:
        total, carry, over = add_with_carry(a, b.bnot(c) if subtract else c, s.read("c"))
        if flags:
            set_flags(s, *flags_of(total), carry, over)
        return total

    return meaning


_LOGICAL: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term]], ...]] = (
    ("and", "00", "0", b.band), ("bic", "00", "1", lambda a, c: b.band(a, b.bnot(c))),
    ("orr", "01", "0", b.bor), ("orn", "01", "1", lambda a, c: b.bor(a, b.bnot(c))),
    ("eor", "10", "0", b.bxor), ("eon", "10", "1", lambda a, c: b.bxor(a, b.bnot(c))),
    ("ands", "11", "0", b.band), ("bics", "11", "1", lambda a, c: b.band(a, b.bnot(c))),
)  # fmt: skip


def _logic() -> Iterator[Row]:
    for r, sf, _ in SIZES:
        yield plain(f"mov {r}d, {r}m", f"{sf} 01 01010 00 0 rm 000000 11111 rd", lambda a: a, _REGISTER)
        for name, opc, inverted, function in _LOGICAL:
            does = _logical(function, opc == "11")
            yield inst(f"{name} {r}d, {r}n, {r}m_ror", f"{sf} {opc} 01010 sh:2 {inverted} rm imm6 rn rd", does,
                       _REGISTER)  # fmt: skip
            if inverted == "0":
                n = "n:1" if sf == "1" else "0"
                to = f"{r}d" if opc == "11" else f"{r}dsp"
                yield inst(f"{name} {to}, {r}n, {r}mask", f"{sf} {opc} 100100 {n} immr:6 imms:6 rn rd", does,
                           _IMMEDIATE)  # fmt: skip


def _logical(function: Callable[[Term, Term], Term], flags: bool) -> Callable[..., Term]:
    def meaning(s: Machine, a: Term, c: Term) -> Term:
        result = function(a, c)
        if flags:
            set_flags(s, *flags_of(result), _ZERO, _ZERO)
        return result

    return meaning


def _moves() -> Iterator[Row]:
    for r, sf, _ in SIZES:
        hw = "hw:2" if sf == "1" else "0 hw:1"
        yield plain(f"mov {r}d, {r}wide", f"{sf} 10 100101 {hw} imm16:16 rd", lambda a: a, _IMMEDIATE)
        yield plain(f"mov {r}d, {r}inv", f"{sf} 00 100101 {hw} imm16:16 rd", lambda a: a, _IMMEDIATE)
        yield plain(f"movk +{r}d, imm16{{, lsl hw}}", f"{sf} 11 100101 {hw} imm16:16 rd", _keep, _IMMEDIATE)
    yield plain("adr xd, near", "0 imm21[1:0] 10000 imm21[20:2] rd", lambda target: target, _IMMEDIATE)
    yield plain("adrp xd, page", "1 imm21[1:0] 10000 imm21[20:2] rd", _page, _IMMEDIATE)


def _keep(old: Term, immediate: Term, shift: Term) -> Term:
    return replaced(old, b.trunc(immediate, 16), value_of(shift))


def replaced(old: Term, value: Term, low: int) -> Term:
    """A number with some bits, from `low` on, replaced."""
    whole = b.concat(value, b.extract(old, 0, low)) if low else value
    above = old.bits - low - value.bits
    return b.concat(b.extract(old, low + value.bits, above), whole) if above else whole


def _page(immediate: Term) -> Term:
    return b.add(b.band(PC, const(-4096, 64)), const(value_of(immediate) << 12, 64))


# -- bit fields


def _bits(fields: Term) -> tuple[int, int]:
    number = value_of(fields)
    return number >> 6, number & 63


def _moved(extend: Callable[[Term, int], Term], width: int) -> Callable[[Term, Term], Term]:
    """sbfm, ubfm."""

    def meaning(a: Term, fields: Term) -> Term:
        immr, imms = _bits(fields)
        if imms >= immr:
            return extend(b.extract(a, immr, imms - immr + 1), width)
        return b.shl(extend(b.extract(a, 0, imms + 1), width), const(width - immr, width))

    return meaning


def _inserted(width: int) -> Callable[[Term, Term, Term], Term]:
    """bfm."""

    def meaning(old: Term, a: Term, fields: Term) -> Term:
        immr, imms = _bits(fields)
        if imms >= immr:
            return replaced(old, b.extract(a, immr, imms - immr + 1), 0)
        return replaced(old, b.extract(a, 0, imms + 1), width - immr)

    return meaning


def _extension(extend: Callable[[Term, int], Term], size: int, width: int) -> Callable[[Term], Term]:
    return lambda a: extend(b.trunc(a, size), width)


def _fields() -> Iterator[Row]:
    for r, sf, width in SIZES:
        n, bits = ("1", 6) if sf == "1" else ("0", 5)
        pad = "" if sf == "1" else "0 "

        def shown(opc: str, immr: str = "", imms: str = "", sf: str = sf, n: str = n, bits: int = bits,
                  pad: str = pad) -> str:  # fmt: skip
            immr, imms = immr or f"{pad}immr:{bits}", imms or f"{pad}imms:{bits}"
            return f"{sf} {opc} 100110 {n} {immr} {imms} rn rd"

        last = f"{width - 1:06b}"
        signed, unsigned, keep = _moved(b.sext, width), _moved(b.zext, width), _inserted(width)
        for size, letter in ((8, "b"), (16, "h"), (32, "w")):
            if size < width:
                yield plain(f"sxt{letter} {r}d, wn", shown("00", "000000", f"{size - 1:06b}"),
                            _extension(b.sext, size, width), _IMMEDIATE)  # fmt: skip
            if size < width == 32:
                yield plain(f"uxt{letter} wd, wn", shown("10", "000000", f"{size - 1:06b}"),
                            _extension(b.zext, size, width), _IMMEDIATE)  # fmt: skip
        amount = f"lsb{width}"
        right = f"{pad}lsb:{bits}"
        yield plain(f"lsr {r}d, {r}n, {amount}", shown("10", right, last), _shift_right(b.lshr, width), _IMMEDIATE)
        yield plain(f"asr {r}d, {r}n, {amount}", shown("00", right, last), _shift_right(b.ashr, width), _IMMEDIATE)
        yield plain(f"lsl {r}d, {r}n, {r}lsl", shown("10"), unsigned, _IMMEDIATE)
        for name, opc, view in (("ubfx", "10", "bfx"), ("ubfiz", "10", "bfiz"), ("sbfx", "00", "bfx"),
                                ("sbfiz", "00", "bfiz")):  # fmt: skip
            yield plain(f"{name} {r}d, {r}n, {r}{view}", shown(opc), unsigned if opc == "10" else signed, _IMMEDIATE)
        for name, view in (("bfxil", "bfx"), ("bfi", "bfiz")):
            yield plain(f"{name} +{r}d, {r}n, {r}{view}", shown("01"), keep, _IMMEDIATE)
        yield plain(f"ror {r}d, {r}nm, {amount}", f"{sf} 00 100111 {n} 0 rm {right} rn rd", _rotate(width), _IMMEDIATE)
        yield plain(f"extr {r}d, {r}n, {r}m, {amount}", f"{sf} 00 100111 {n} 0 rm {right} rn rd", _extracted(width),
                    _IMMEDIATE)  # fmt: skip


def _shift_right(shift: Callable[[Term, Term], Term], width: int) -> Callable[[Term, Term], Term]:
    return lambda a, amount: shift(a, b.trunc(amount, width))


def _rotate(width: int) -> Callable[[Term, Term], Term]:
    return lambda a, amount: b.rotr(a, b.trunc(amount, width))


def _extracted(width: int) -> Callable[[Term, Term, Term], Term]:
    return lambda a, c, low: b.extract(b.concat(a, c), value_of(low), width)


# -- registers


def _high(extend: Callable[[Term, int], Term]) -> Callable[[Term, Term], Term]:
    return lambda a, c: b.extract(b.mul(extend(a, 128), extend(c, 128)), 64, 64)


def _quotient(divide: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """Zero where the divisor is; overflow wraps."""

    def meaning(a: Term, c: Term) -> Term:
        none = b.eq(c, const(0, c.lane))
        return b.ite(none, const(0, a.lane), divide(a, b.ite(none, const(1, c.lane), c)))

    return meaning


def _variable(shift: Callable[[Term, Term], Term], width: int) -> Callable[[Term, Term], Term]:
    return lambda a, n: shift(a, b.band(n, const(width - 1, width)))


def _two_sources() -> Iterator[Row]:
    for r, sf, width in SIZES:
        for name, six, function in (("udiv", "000010", _quotient(b.udiv)), ("sdiv", "000011", _quotient(b.sdiv)),
                                    ("lsl", "001000", _variable(b.shl, width)),
                                    ("lsr", "001001", _variable(b.lshr, width)),
                                    ("asr", "001010", _variable(b.ashr, width)),
                                    ("ror", "001011", _variable(b.rotr, width))):  # fmt: skip
            yield plain(f"{name} {r}d, {r}n, {r}m", f"{sf} 0 0 11010110 rm {six} rn rd", function, _REGISTER)
        for name, bit, function in (("madd", "0", b.add), ("msub", "1", b.sub)):
            yield plain(f"{name} {r}d, {r}n, {r}m, {r}a", f"{sf} 00 11011 000 rm {bit} ra rn rd",
                        _multiplied(function), _REGISTER)  # fmt: skip
    for sign, extend, u in (("s", b.sext, "0"), ("u", b.zext, "1")):
        for name, bit, function in (("maddl", "0", b.add), ("msubl", "1", b.sub)):
            yield plain(f"{sign}{name} xd, wn, wm, xa", f"1 00 11011 {u}01 rm {bit} ra rn rd",
                        _long(extend, function), _REGISTER)  # fmt: skip
        yield plain(f"{sign}mulh xd, xn, xm", f"1 00 11011 {u}10 rm 0 11111 rn rd", _high(extend), _REGISTER)


def _multiplied(function: Callable[[Term, Term], Term]) -> Callable[[Term, Term, Term], Term]:
    return lambda n, m, a: function(a, b.mul(n, m))


def _long(extend: Callable[[Term, int], Term], function: Callable[[Term, Term], Term]) -> Callable[..., Term]:
    return lambda n, m, a: function(a, b.mul(extend(n, 64), extend(m, 64)))


def leading_signs(a: Term) -> Term:
    """Bits below the top one that equal it."""
    width = a.lane
    folded = b.bxor(a, b.shl(a, const(1, width, a.lanes)))
    return b.sub(b.clz(b.bor(folded, const(1, width, a.lanes))), const(0, width, a.lanes))


def _one_source() -> Iterator[Row]:
    for r, sf, width in SIZES:
        rows: list[tuple[str, str, Callable[[Term], Term]]] = [
            ("rbit", "000000", b.bitrev), ("rev16", "000001", _in_pieces(16, width)),
            ("clz", "000100", b.clz), ("cls", "000101", leading_signs),
        ]  # fmt: skip
        rows += [("rev", "000010", b.bswap)] if sf == "0" else [("rev32", "000010", _in_pieces(32, 64)),
                                                                 ("rev", "000011", b.bswap)]  # fmt: skip
        for name, six, function in rows:
            yield plain(f"{name} {r}d, {r}n", f"{sf} 1 0 11010110 00000 {six} rn rd", function, _REGISTER)


def _in_pieces(lane: int, width: int) -> Callable[[Term], Term]:
    return lambda a: b.scalar(b.bswap(b.shape(a, lane, width // lane)))


def _selected(change: Callable[[Term], Term]) -> Callable[..., Term]:
    return lambda s, n, m, condition: b.ite(holds(s, condition), n, change(m))


def _increment(a: Term) -> Term:
    return b.add(a, const(1, a.lane))


def _same(a: Term) -> Term:
    return a


_SELECTS: Final[tuple[tuple[str, str, str, Callable[[Term], Term], str], ...]] = (
    ("csel", "0", "00", _same, ""), ("csinc", "0", "01", _increment, "cinc"), ("csinv", "1", "00", b.bnot, "cinv"),
    ("csneg", "1", "01", b.neg, "cneg"),
)  # fmt: skip


def _conditional() -> Iterator[Row]:
    for r, sf, width in SIZES:
        for name, op, two, change, short in _SELECTS:
            picture = f"{sf} {op} 0 11010100 {{}} cond {two} {{}} rd"
            both = picture.format("rm", "rn")
            if name in ("csinc", "csinv"):
                yield inst(f"{'cset' if name == 'csinc' else 'csetm'} {r}d, invcond", picture.format("11111", "11111"),
                           _set(name == "csinv", width), _REGISTER)  # fmt: skip
            if short:
                yield inst(f"{short} {r}d, {r}nm, invcond", both, _changed(change), _REGISTER)
            yield inst(f"{name} {r}d, {r}n, {r}m, cond", both, _selected(change), _REGISTER)
        for name, op, subtract in (("ccmn", "0", False), ("ccmp", "1", True)):
            head = f"{sf} {op} 1 11010010"
            does = _compared(subtract, width)
            yield inst(f"{name} {r}n, {r}m, flags, cond", f"{head} rm cond 00 rn 0 nzcv:4", does, _REGISTER)
            yield inst(f"{name} {r}n, imm5, flags, cond", f"{head} imm5:5 cond 10 rn 0 nzcv:4", does, _REGISTER)


def _set(ones: bool, width: int) -> Callable[..., Term]:
    extend = b.sext if ones else b.zext
    return lambda s, encoded: extend(b.bnot(holds(s, encoded)), width)


def _changed(change: Callable[[Term], Term]) -> Callable[..., Term]:
    return lambda s, a, encoded: b.ite(holds(s, encoded), a, change(a))


def _compared(subtract: bool, width: int) -> Callable[..., None]:
    def meaning(s: Machine, a: Term, c: Term, nzcv: Term, condition: Term) -> None:
        c = b.trunc(c, width)
        total, carry, over = add_with_carry(a, b.bnot(c), _ONE) if subtract else add_with_carry(a, c, _ZERO)
        found = (*flags_of(total), carry, over)
        given = value_of(nzcv)
        decide = holds(s, condition)
        other = [const(given >> 3 - k & 1, 1) for k in range(4)]
        set_flags(s, *(b.ite(decide, x, y) for x, y in zip(found, other)))

    return meaning


def _aliases(rows: dict[str, Row]) -> Iterator[Row]:
    for r, _, _ in SIZES:
        for name, base in (("cmp", "subs"), ("cmn", "adds")):
            for tail in ("imm12", "imm12, lsl #12", f"{r}m_ext"):
                first = f"{r}nsp"
                yield alias(rows[f"{base} {r}d, {first}, {tail}"], f"{name} {first}, {tail}", KINDS, **{f"{r}d": 31})
            yield alias(rows[f"{base} {r}d, {r}n, {r}m_sh"], f"{name} {r}n, {r}m_sh", KINDS, **{f"{r}d": 31})
        for name, base in (("neg", "sub"), ("negs", "subs")):
            yield alias(rows[f"{base} {r}d, {r}n, {r}m_sh"], f"{name} {r}d, {r}m_sh", KINDS, **{f"{r}n": 31})
        for name, base in (("ngc", "sbc"), ("ngcs", "sbcs")):
            yield alias(rows[f"{base} {r}d, {r}n, {r}m"], f"{name} {r}d, {r}m", KINDS, **{f"{r}n": 31})
        yield alias(rows[f"ands {r}d, {r}n, {r}m_ror"], f"tst {r}n, {r}m_ror", KINDS, **{f"{r}d": 31})
        yield alias(rows[f"ands {r}d, {r}n, {r}mask"], f"tst {r}n, {r}mask", KINDS, **{f"{r}d": 31})
        yield alias(rows[f"orn {r}d, {r}n, {r}m_ror"], f"mvn {r}d, {r}m_ror", KINDS, **{f"{r}n": 31})
        yield alias(rows[f"orr {r}dsp, {r}n, {r}mask"], f"mov {r}dsp, {r}mask", KINDS, **{f"{r}n": 31})
        for name, base in (("mul", "madd"), ("mneg", "msub")):
            yield alias(rows[f"{base} {r}d, {r}n, {r}m, {r}a"], f"{name} {r}d, {r}n, {r}m", KINDS, **{f"{r}a": 31})
    for sign in "su":
        for name, base in (("mull", "maddl"), ("mnegl", "msubl")):
            yield alias(rows[f"{sign}{base} xd, wn, wm, xa"], f"{sign}{name} xd, wn, wm", KINDS, xa=31)
    add = rows["add xdsp, xnsp, imm12"]
    yield alias(add, "mov sp, xnsp", KINDS, xdsp=31, imm12=0)
    yield alias(add, "mov xdsp, sp", KINDS, xnsp=31, imm12=0)


def _rows() -> Iterator[Row]:
    made: list[Any] = [*_sums(), *_logic(), *_moves(), *_fields(), *_two_sources(), *_one_source(), *_conditional()]
    yield from made
    yield from _aliases({row.syntax.shape: row for row in made})


ROWS: Final = tuple(_rows())
