"""x86-64: shifts, rotations, and counting and picking bits (BMI1, BMI2, LZCNT, POPCNT).

The one idea: a count is masked to five bits (six of 64), and a count of zero changes no flag; what the manual calls
undefined is said to be so: overflow for counts above one, carry for counts beyond the width.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; a row's section is the page there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.isa.x64.insts.common import FALSE, RCX, RDX, inst, leave_open, parity, top
from liftcheck.isa.x64.insts.integer import WIDTHS, product
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Meaning, Row

Shifted = Callable[[Machine, Term, Term], Term]


def masked(n: Term, width: int) -> Term:
    """The count that counts, of the operand's width; a constant stays one."""
    if count_known(n):
        return const(value_of(n) & (63 if width == 64 else 31), width)
    return b.band(b.resize(n, width), const(63 if width == 64 else 31, width))


def count_known(n: Term) -> bool:
    """Whether the count is an immediate."""
    return n.prim == "const"


def _ended(s: Machine, n: Term, result: Term, cf: Term, of_once: Term, by_result: bool) -> Term:
    """Flags after a shift by `n`: none changes for 0, overflow is defined for 1."""
    more = (("zf", b.bnot(b.nonzero(result))), ("sf", top(result)), ("pf", parity(result))) if by_result else ()
    if count_known(n):
        of = of_once if value_of(n) == 1 else s.undefined(1)
        for name, value in (("cf", cf), ("of", of), *more) if value_of(n) else ():
            s.write(name, value)
        return result
    none, once = b.eq(n, const(0, n.lane)), b.eq(n, const(1, n.lane))
    for name, value in (("cf", cf), ("of", b.ite(once, of_once, s.undefined(1))), *more):
        s.write(name, b.ite(none, s.read(name), value))
    return result


def _beyond(s: Machine, n: Term, width: int, bit: Term) -> Term:
    """The last bit shifted out; undefined where the count is the width or more (possible below 32 bits only)."""
    if width >= 32:
        return bit
    if count_known(n):
        return s.undefined(1) if value_of(n) >= width else bit
    return b.ite(b.ule(const(width, n.lane), n), s.undefined(1), bit)


def left(s: Machine, a: Term, count: Term) -> Term:
    """shl"""
    n = masked(count, a.lane)
    result = b.shl(a, n)
    out = b.trunc(b.lshr(a, b.sub(const(a.lane, a.lane), n)), 1)
    return _ended(s, n, result, _beyond(s, n, a.lane, out), b.bxor(top(result), out), True)


def right(s: Machine, a: Term, count: Term) -> Term:
    """shr"""
    n = masked(count, a.lane)
    out = b.trunc(b.lshr(a, b.sub(n, const(1, a.lane))), 1)
    return _ended(s, n, b.lshr(a, n), _beyond(s, n, a.lane, out), top(a), True)


def arithmetic(s: Machine, a: Term, count: Term) -> Term:
    """sar"""
    n = masked(count, a.lane)
    out = b.trunc(b.ashr(a, b.sub(n, const(1, a.lane))), 1)
    return _ended(s, n, b.ashr(a, n), out, FALSE, True)


def around_left(s: Machine, a: Term, count: Term) -> Term:
    """rol"""
    n = masked(count, a.lane)
    result = b.rotl(a, n)
    return _ended(s, n, result, b.trunc(result, 1), b.bxor(top(result), b.trunc(result, 1)), False)


def around_right(s: Machine, a: Term, count: Term) -> Term:
    """ror"""
    n = masked(count, a.lane)
    result = b.rotr(a, n)
    return _ended(s, n, result, top(result), b.bxor(top(result), b.extract(result, a.lane - 2, 1)), False)


def from_another(s: Machine, a: Term, c: Term, count: Term) -> Term:
    """shld: bits of the second operand come in from below; undefined for counts above the width."""
    n = masked(count, a.lane)
    rest = b.sub(const(a.lane, a.lane), n)
    result, out = b.bor(b.shl(a, n), b.lshr(c, rest)), b.trunc(b.lshr(a, rest), 1)
    if a.lane == 16:
        beyond = b.ult(const(16, 16), n)
        result = _ended(s, n, b.ite(beyond, s.undefined(16), result), out, b.bxor(top(a), top(result)), True)
        for name in ("cf", "pf", "zf", "sf"):
            s.write(name, b.ite(beyond, s.undefined(1), s.current(name)))
        return result
    return _ended(s, n, result, out, b.bxor(top(a), top(result)), True)


def by_cl(function: Callable[..., Term]) -> Meaning:
    """By the number in cl."""
    return lambda s, *values: function(s, *values, b.trunc(s.read(RCX), 8))


SHIFTS: Final[tuple[tuple[str, int, Shifted], ...]] = (
    ("rol", 0, around_left), ("ror", 1, around_right), ("shl", 4, left), ("shr", 5, right), ("sar", 7, arithmetic),
)  # fmt: skip


def _shifts() -> Iterator[Row]:
    for name, number, function in SHIFTS:
        page = {"rol": "RCL/RCR/ROL/ROR", "ror": "RCL/RCR/ROL/ROR"}.get(name, "SAL/SAR/SHL/SHR")
        for width, prefix, one in WIDTHS:
            yield inst(f"{name} +rm{width}, 1", f"{prefix}{0xD0 + one:X} /{number}",
                       lambda s, a, f=function: f(s, a, const(1, 64)), page)  # fmt: skip
            yield inst(f"{name} +rm{width}, cl", f"{prefix}{0xD2 + one:X} /{number}", by_cl(function), page)
            yield inst(f"{name} +rm{width}, u8", f"{prefix}{0xC0 + one:X} /{number} ib",
                       lambda s, a, n, f=function: f(s, a, n), page)  # fmt: skip
    for width, prefix, _ in WIDTHS[:3]:
        yield inst(f"shld +rm{width}, r{width}, u8", f"{prefix}0F A4 /r ib",
                   lambda s, a, c, n: from_another(s, a, c, n), "SHLD")  # fmt: skip
        yield inst(f"shld +rm{width}, r{width}, cl", f"{prefix}0F A5 /r", by_cl(from_another), "SHLD")


# -- without flags (BMI2)


def _modulo(shift: Callable[[Term, Term], Term]) -> Meaning:
    return lambda s, a, n: shift(a, masked(n, a.lane))


def _bmi2() -> Iterator[Row]:
    for width in (32, 64):
        w = f"W{width // 64}"
        for name, prefix, shift in (("sarx", "F3.", b.ashr), ("shlx", "66.", b.shl), ("shrx", "F2.", b.lshr)):
            yield inst(f"{name} >r{width}, rm{width}, v{width}", f"VEX.L0.{prefix}0F38.{w} F7 /r", _modulo(shift),
                       "SARX/SHLX/SHRX", "bmi2")  # fmt: skip
        yield inst(f"rorx >r{width}, rm{width}, u8", f"VEX.L0.F2.0F3A.{w} F0 /r ib",
                   lambda s, a, n: b.rotr(a, masked(n, a.lane)), "RORX", "bmi2")  # fmt: skip
        yield inst(f"mulx >r{width}, >y{width}, rm{width}", f"VEX.L0.F2.0F38.{w} F6 /r", _halves, "MULX", "bmi2")
        yield inst(f"bzhi >r{width}, rm{width}, v{width}", f"VEX.L0.0F38.{w} F5 /r", _low_bits, "BZHI", "bmi2")


def _halves(s: Machine, a: Term) -> tuple[Term, Term]:
    whole = product(False)(b.trunc(s.read(RDX), a.lane), a)
    return b.extract(whole, a.lane, a.lane), b.trunc(whole, a.lane)


def _low_bits(s: Machine, a: Term, n: Term) -> Term:
    count = b.band(n, const(255, n.lane))
    all_ = b.ule(const(a.lane, a.lane), count)
    result = b.ite(all_, a, b.band(a, b.sub(b.shl(const(1, a.lane), count), const(1, a.lane))))
    return _picked(s, result, all_)


def _picked(s: Machine, result: Term, cf: Term) -> Term:
    """Flags of BMI1 and bzhi: parity is undefined, overflow cleared."""
    s.write("cf", cf)
    s.write("of", FALSE)
    s.write("zf", b.bnot(b.nonzero(result)))
    s.write("sf", top(result))
    leave_open(s, "pf")
    return result


def _bmi1() -> Iterator[Row]:
    for width in (32, 64):
        w = f"W{width // 64}"
        yield inst(f"andn >r{width}, v{width}, rm{width}", f"VEX.L0.0F38.{w} F2 /r",
                   lambda s, a, c: _picked(s, b.band(b.bnot(a), c), FALSE), "ANDN", "bmi1")  # fmt: skip
        for name, number, function in _LOWEST:
            yield inst(f"{name} >v{width}, rm{width}", f"VEX.L0.0F38.{w} F3 /{number}", function, name.upper(), "bmi1")


def _one_less(a: Term) -> Term:
    return b.sub(a, const(1, a.lane))


_LOWEST: Final[tuple[tuple[str, int, Meaning], ...]] = (
    ("blsr", 1, lambda s, a: _picked(s, b.band(a, _one_less(a)), b.bnot(b.nonzero(a)))),
    ("blsmsk", 2, lambda s, a: _picked(s, b.bxor(a, _one_less(a)), b.bnot(b.nonzero(a)))),
    ("blsi", 3, lambda s, a: _picked(s, b.band(a, b.neg(a)), b.nonzero(a))),
)


# -- counting


def counted(count: Callable[[Term], Term]) -> Meaning:
    """lzcnt, tzcnt: carry: the operand is zero; zero: the result is."""

    def meaning(s: Machine, a: Term) -> Term:
        result = count(a)
        s.write("cf", b.bnot(b.nonzero(a)))
        s.write("zf", b.bnot(b.nonzero(result)))
        leave_open(s, "pf", "sf", "of")
        return result

    return meaning


def scanned(count: Callable[[Term], Term]) -> Meaning:
    """bsf, bsr: of zero, zero is set and the result undefined (of 32 bits, all 64)."""

    def meaning(s: Machine, a: Term) -> Term:
        none, width = b.bnot(b.nonzero(a)), 64 if a.lane == 32 else a.lane
        s.write("zf", none)
        leave_open(s, "cf", "pf", "sf", "of")
        return b.ite(none, s.undefined(width), b.zext(count(a), width))

    return meaning


def ones(s: Machine, a: Term) -> Term:
    """popcnt"""
    s.write("zf", b.bnot(b.nonzero(a)))
    for name in ("cf", "pf", "sf", "of"):
        s.write(name, FALSE)
    return b.popcnt(a)


def _highest(a: Term) -> Term:
    return b.sub(const(a.lane - 1, a.lane), b.clz(a))


def tested(s: Machine, a: Term, n: Term) -> None:
    """bt: a bit, into carry."""
    index = b.band(b.resize(n, a.lane), const(a.lane - 1, a.lane))
    s.write("cf", b.trunc(b.lshr(a, index), 1))
    leave_open(s, "pf", "sf", "of")


def _counts() -> Iterator[Row]:
    for width, prefix, _ in WIDTHS[:3]:
        head = "66 F3 " if width == 16 else "F3 REX.W " if width == 64 else "F3 "
        whole = "q32" if width == 32 else f"r{width}"
        yield inst(f"bsf >{whole}, rm{width}", f"{prefix}0F BC /r", scanned(b.ctz), "BSF")
        yield inst(f"bsr >{whole}, rm{width}", f"{prefix}0F BD /r", scanned(_highest), "BSR")
        yield inst(f"tzcnt >r{width}, rm{width}", f"{head}0F BC /r", counted(b.ctz), "TZCNT", "bmi1")
        yield inst(f"lzcnt >r{width}, rm{width}", f"{head}0F BD /r", counted(b.clz), "LZCNT", "lzcnt")
        yield inst(f"popcnt >r{width}, rm{width}", f"{head}0F B8 /r", ones, "POPCNT", "popcnt")
        yield inst(f"bt n{width}, r{width}", f"{prefix}0F A3 /r", tested, "BT")
        yield inst(f"bt rm{width}, u8", f"{prefix}0F BA /4 ib", tested, "BT")
    yield inst("bswap +o32", "0F C8+r", lambda s, a: b.bswap(a), "BSWAP")
    yield inst("bswap +o64", "REX.W 0F C8+r", lambda s, a: b.bswap(a), "BSWAP")


ROWS: Final[tuple[Row, ...]] = (*_shifts(), *_bmi1(), *_bmi2(), *_counts())
