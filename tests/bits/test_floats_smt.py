"""Floats for z3 without its theory of floats: what is exact there is, and what is said of the rest is true."""

from __future__ import annotations

from itertools import product

import pytest
import z3
from support.examples import some

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.floats_smt import ROUNDING
from liftcheck.bits.smt import Translation, value
from liftcheck.bits.term import Term, const, term, var
from liftcheck.bits.values import computed

EXACT = (b.feq, b.flt, b.fle, b.fmin, b.fmax)


def boundaries(width: int) -> list[int]:
    """Zeros, the least and the largest numbers, ones between, infinities, NaNs, of both signs."""
    form, sign = FORMATS[width], 1 << width - 1
    found = [0, 1, form.infinity >> 1, form.infinity - 1, form.infinity, form.infinity + 1, form.nan, form.nan | 5]
    return [x | s for x in found for s in (0, sign)]


@pytest.mark.parametrize("width", [16, 32, 64])
def test_comparisons_and_minima_are_exact(width: int) -> None:
    x, y = var("x", width), var("y", width)
    for p, q in some([*product(boundaries(width), repeat=2)]):
        translation = Translation({x: z3.BitVecVal(p, width), y: z3.BitVecVal(q, width)}, uninterpreted=True)
        for primitive in EXACT:
            node = primitive(x, y)
            assert value(translation(node)) == computed(node, [p, q]), (node.prim, hex(p), hex(q))
        assert value(translation(b.isnan(x))) == computed(b.isnan(x), [p])


def applied(prim: str, *operands: Term) -> Term:
    return term(prim, 64 if prim in ("fconvert", "from_uint", "from_sint") else 32, 1, (), operands)


OPERANDS = {"fadd": 2, "fsub": 2, "fmul": 2, "fdiv": 2, "fma": 3}


@pytest.mark.parametrize("prim", ROUNDING)
def test_what_is_said_of_nans_is_true(prim: str) -> None:
    """Of each operand: of a NaN a NaN comes, always the same, or zero."""
    count, for_nan = OPERANDS.get(prim, 1), ROUNDING[prim]
    node = applied(prim, *(const(0, 32) for _ in range(count)))
    if not for_nan:
        return
    expected = 0 if for_nan == "zero" else FORMATS[node.lane].nan
    for at in range(count):
        for nan in (0x7FC0_0000, 0xFF80_0001, 0x7F80_0001):
            operands = [0x3F80_0000] * count
            operands[at] = nan
            assert computed(node, operands) == expected


def differs(one: Term, other: Term) -> bool:
    """Whether z3 finds numbers for which two terms differ."""
    names = [var(name, 32) for name in "xyz"]
    translation = Translation({v: z3.BitVec(str(v.params[0]), 32) for v in names}, uninterpreted=True)
    solver = z3.Solver()
    solver.add(translation(one) != translation(other))
    return bool(solver.check() == z3.sat)


def test_what_is_equal_whatever_rounding_is() -> None:
    x, y, z = (var(name, 32) for name in "xyz")
    quiet = b.ite(b.isnan(x), b.bor(x, const(1 << 22, 32)), x)
    assert not differs(b.fadd(x, y), b.fadd(y, x))
    assert not differs(b.fma(x, y, z), b.fma(y, x, z))
    assert not differs(b.fmul(b.fadd(quiet, y), z), b.fmul(z, b.fadd(y, x)))
    assert not differs(b.fadd(const(0x7FC0_0000, 32), x), b.fmul(x, const(0xFFC0_0000, 32)))
    assert not differs(b.to_sint(const(0x7FC0_0001, 32), 32), const(0, 32))


def test_what_is_not() -> None:
    x, y, z = (var(name, 32) for name in "xyz")
    assert differs(b.fadd(x, y), b.fmul(x, y))
    assert differs(b.fsub(x, y), b.fsub(y, x))
    assert differs(b.fma(x, y, z), b.fma(x, z, y))
    assert differs(b.fmin(x, y), b.fmax(x, y))
    assert differs(b.fround(x, "ceil"), b.fround(x, "floor"))
