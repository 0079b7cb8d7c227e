"""riscv64: vector floating point (V, Zvfh).

As scalar arithmetic (`floats`): to nearest even, the mode that every function is entered in; conversions to integers
in that mode or to zero. Of sums over elements the ordered ones have a meaning; in which order the others add is the
machine's choice. The estimates (vfrec7, vfrsqrt7) have no row: nothing emits them.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), 30.13, 30.14.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term
from liftcheck.isa.riscv64.insts.common import VECTOR, Configuration, rounding_mode
from liftcheck.isa.riscv64.insts.floats import classes, convert, from_integer, minimum, sign_of, to_integer, to_nearest
from liftcheck.isa.riscv64.insts.vconfig import (
    check_mask,
    configuration,
    elements,
    is_masked,
    mask_result,
    merged,
    refuse,
    unchanged_if_empty,
    vector,
    with_rest,
)
from liftcheck.isa.riscv64.insts.vinteger import Lanes2, swapped
from liftcheck.isa.riscv64.insts.vpermute import float_scalar
from liftcheck.mach.rows.floats import negated
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Meaning, Row

_WAYS: Final = {"V": ("001", "vs1", "v"), "F": ("101", "fs1", "f")}


def _configured(s: Machine, widest: int = 1, rounds: bool = False) -> Configuration:
    if rounds:
        to_nearest(s)
    c = configuration(s, widest)
    if c.sew not in FORMATS:
        raise NoMeaning("floats of 8 bits")
    return c


def _other(s: Machine, c: Configuration, value: Term) -> Term:
    if value.bits == 128:
        return elements(value, c.sew, c.lanes)
    return b.splat(float_scalar(s, c, value), c.lanes)


def _check(s: Machine, vm: Term, *apart: str) -> None:
    check_mask(s, vm)
    for name in apart:
        refuse(s.operands["vd"] == s.operands.get(name, -1))


def _lanewise(function: Lanes2, rounds: bool) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
        c = _configured(s, 1, rounds)
        _check(s, vm)
        return merged(s, c, old, function(elements(vs2, c.sew, c.lanes), _other(s, c, vs1)), vm)

    return meaning


def _widening(function: Lanes2, wide_first: bool = False) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
        c = _configured(s, 2, rounds=True)
        _check(s, vm, "vs1", *(() if wide_first else ("vs2",)))
        wide = 2 * c.sew
        first = elements(vs2, wide if wide_first else c.sew, c.lanes)
        return merged(s, c, old, function(b.fconvert(first, wide), b.fconvert(_other(s, c, vs1), wide)), vm)

    return meaning


def _comparing(function: Lanes2) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
        c = _configured(s)
        return mask_result(s, c, old, function(elements(vs2, c.sew, c.lanes), _other(s, c, vs1)), vm)

    return meaning


def _three(function: Callable[[Term, Term, Term], Term], wide: bool = False) -> Meaning:
    """vd = function(vd, vs1, vs2)."""

    def meaning(s: Machine, old: Term, vs1: Term, vs2: Term, vm: Term) -> Term:
        c = _configured(s, 2 if wide else 1, rounds=True)
        _check(s, vm, *(("vs1", "vs2") if wide else ()))
        width = c.sew * (2 if wide else 1)
        one, two = b.fconvert(_other(s, c, vs1), width), b.fconvert(elements(vs2, c.sew, c.lanes), width)
        return merged(s, c, old, function(elements(old, width, c.lanes), one, two), vm)

    return meaning


def _one(function: Callable[[Term], Term], rounds: bool) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vm: Term) -> Term:
        c = _configured(s, 1, rounds)
        _check(s, vm)
        return merged(s, c, old, function(elements(vs2, c.sew, c.lanes)), vm)

    return meaning


_ARITHMETIC: Final[tuple[tuple[str, str, str, Lanes2], ...]] = (
    ("000000", "vfadd", "VF", b.fadd), ("000010", "vfsub", "VF", b.fsub), ("000100", "vfmin", "VF", minimum(b.fmin)),
    ("000110", "vfmax", "VF", minimum(b.fmax)), ("001000", "vfsgnj", "VF", sign_of(lambda a, c: c)),
    ("001001", "vfsgnjn", "VF", sign_of(lambda a, c: b.bnot(c))), ("001010", "vfsgnjx", "VF", sign_of(b.bxor)),
    ("100000", "vfdiv", "VF", b.fdiv), ("100001", "vfrdiv", "F", swapped(b.fdiv)), ("100100", "vfmul", "VF", b.fmul),
    ("100111", "vfrsub", "F", swapped(b.fsub)),
)  # fmt: skip
_ROUNDING: Final = frozenset({"vfadd", "vfsub", "vfdiv", "vfrdiv", "vfmul", "vfrsub"})
_COMPARISONS: Final[tuple[tuple[str, str, str, Lanes2], ...]] = (
    ("011000", "vmfeq", "VF", b.feq), ("011001", "vmfle", "VF", b.fle), ("011011", "vmflt", "VF", b.flt),
    ("011100", "vmfne", "VF", lambda a, c: b.bnot(b.feq(a, c))), ("011101", "vmfgt", "F", swapped(b.flt)),
    ("011111", "vmfge", "F", swapped(b.fle)),
)  # fmt: skip


def _fused(negative: bool, subtracts: bool, into_product: bool) -> Callable[[Term, Term, Term], Term]:
    """±(vs1 * x) ± y, where x is vd and y is vs2, or the other way round; both signs are turned together."""

    def result(old: Term, one: Term, two: Term) -> Term:
        factor, addend = (old, two) if into_product else (two, old)
        return b.fma(negated(one) if negative else one, factor, negated(addend) if negative != subtracts else addend)

    return result


_ACCUMULATING: Final = (
    ("101000", "vfmadd", _fused(False, False, True)), ("101001", "vfnmadd", _fused(True, False, True)),
    ("101010", "vfmsub", _fused(False, True, True)), ("101011", "vfnmsub", _fused(True, True, True)),
    ("101100", "vfmacc", _fused(False, False, False)), ("101101", "vfnmacc", _fused(True, False, False)),
    ("101110", "vfmsac", _fused(False, True, False)), ("101111", "vfnmsac", _fused(True, True, False)),
)  # fmt: skip
_WIDE_ACCUMULATING: Final = (
    ("111100", "vfwmacc", _fused(False, False, False)), ("111101", "vfwnmacc", _fused(True, False, False)),
    ("111110", "vfwmsac", _fused(False, True, False)), ("111111", "vfwnmsac", _fused(True, True, False)),
)  # fmt: skip


def _binary() -> Iterator[Row]:
    for way, (minor, source, letter) in _WAYS.items():
        tail = f"vm vs2 {'vs1' if way == 'V' else 'rs1'} {minor} vd 1010111"
        for six, name, ways, function in _ARITHMETIC:
            if way in ways:
                yield vector(
                    f"{name}.v{letter} +vd, vs2, {source}{{, vm}}",
                    f"{six} {tail}",
                    _lanewise(function, name in _ROUNDING),
                    "30.13",
                )
        for six, name, ways, function in _COMPARISONS:
            if way in ways:
                yield vector(
                    f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} {tail}", _comparing(function), "30.13.13"
                )
        for six, name, fused in _ACCUMULATING:
            yield vector(f"{name}.v{letter} +vd, {source}, vs2{{, vm}}", f"{six} {tail}", _three(fused), "30.13.6")
        for six, name, fused in _WIDE_ACCUMULATING:
            yield vector(
                f"{name}.v{letter} +vd, {source}, vs2{{, vm}}", f"{six} {tail}", _three(fused, True), "30.13.7"
            )
        for six, name, function in (
            ("110000", "vfwadd", b.fadd),
            ("110010", "vfwsub", b.fsub),
            ("111000", "vfwmul", b.fmul),
        ):
            yield vector(
                f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} {tail}", _widening(function), "30.13.3"
            )
        for six, name, function in (("110100", "vfwadd", b.fadd), ("110110", "vfwsub", b.fsub)):
            yield vector(
                f"{name}.w{letter} +vd, vs2, {source}{{, vm}}", f"{six} {tail}", _widening(function, True), "30.13.3"
            )


Conversion = Callable[[Term, int, str], Term]
"""(lanes, width of the result, rounding mode)."""


def _converted(function: Conversion, first: int, last: int) -> Meaning:
    """vd = function(vs2, width of vd's elements); widths in halves of SEW: 2 is SEW, 4 twice, 1 half of it."""

    def meaning(s: Machine, old: Term, vs2: Term, vm: Term) -> Term:
        c = configuration(s, max(first, last, 2) // 2)
        _check(s, vm, *(("vs2",) if last > first else ()))
        width, result = c.sew * first // 2, c.sew * last // 2
        lanes = function(elements(vs2, width, c.lanes), result, rounding_mode(s, 7))
        return merged(s, c, old, lanes, vm)

    return meaning


def _is_float(width: int) -> None:
    if width not in FORMATS:
        raise NoMeaning("floats of 8 bits")


def _from_float(signed: bool, fixed: str = "") -> Conversion:
    def convert_(a: Term, width: int, mode: str) -> Term:
        _is_float(a.lane)
        return to_integer(a, fixed or mode, width, signed)

    return convert_


def _to_float(signed: bool) -> Conversion:
    def convert_(a: Term, width: int, mode: str) -> Term:
        _is_float(width)
        return from_integer(a, width, signed, mode)

    return convert_


def _resized(a: Term, width: int, mode: str) -> Term:
    _is_float(a.lane)
    _is_float(width)
    return convert(a, width, mode)


_CONVERSIONS: Final = (
    (0, "xu.f", _from_float(False)), (1, "x.f", _from_float(True)), (2, "f.xu", _to_float(False)),
    (3, "f.x", _to_float(True)), (4, "f.f", _resized), (6, "rtz.xu.f", _from_float(False, "rtz")),
    (7, "rtz.x.f", _from_float(True, "rtz")),
)  # fmt: skip


def _unary() -> Iterator[Row]:
    for digits, name, one in (("00000", "vfsqrt", b.fsqrt), ("10000", "vfclass", classes)):
        yield vector(
            f"{name}.v +vd, vs2{{, vm}}",
            f"010011 vm vs2 {digits} 001 vd 1010111",
            _one(one, name == "vfsqrt"),
            "30.13.8",
        )
    for base, prefix, suffix, first, last in (
        (0, "vfcvt", "v", 2, 2),
        (8, "vfwcvt", "v", 2, 4),
        (16, "vfncvt", "w", 4, 2),
    ):
        for number, name, function in _CONVERSIONS:
            if base or name != "f.f":
                yield vector(
                    f"{prefix}.{name}.{suffix} +vd, vs2{{, vm}}",
                    f"010010 vm vs2 {base + number:05b} 001 vd 1010111",
                    _converted(function, first, last),
                    "30.13.17",
                )


def _reduction(function: Lanes2, wide: bool = False, rounds: bool = False) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
        c = _configured(s, 1, rounds)
        width = c.sew * (2 if wide else 1)
        if width not in FORMATS or width > 64:
            raise NoMeaning("elements of more than 64 bits")
        total = b.extract(vs1, 0, width)
        for lane in range(c.vl):
            step = function(total, b.fconvert(b.extract(vs2, lane * c.sew, c.sew), width))
            total = b.ite(b.extract(s.read(VECTOR), lane, 1), step, total) if is_masked(vm) else step
        return unchanged_if_empty(c, old, with_rest(s, c, old, total))

    return meaning


def _unordered(s: Machine, *values: Term) -> Term:
    raise NoMeaning("a sum whose order is the machine's choice")


def _reductions() -> Iterator[Row]:
    for six, name, meaning in (
        ("000001", "vfredusum", _unordered), ("000011", "vfredosum", _reduction(b.fadd, rounds=True)),
        ("000101", "vfredmin", _reduction(minimum(b.fmin))), ("000111", "vfredmax", _reduction(minimum(b.fmax))),
        ("110001", "vfwredusum", _unordered), ("110011", "vfwredosum", _reduction(b.fadd, True, True)),
    ):  # fmt: skip
        apart = "its order is the machine's choice" if meaning is _unordered else ""
        yield vector(
            f"{name}.vs +vd, vs2, vs1{{, vm}}", f"{six} vm vs2 vs1 001 vd 1010111", meaning, "30.14.3", untested=apart
        )


ROWS: Final = (*_binary(), *_unary(), *_reductions())
