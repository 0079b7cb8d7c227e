"""Floats: the quick forms equal the exact ones, and the exact ones equal a definition with rationals."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from support.examples import many
from support.semantics import operand

from liftcheck.bits import floats, floats_host
from liftcheck.bits.floats import F16, F32, F64, F128, FORMATS, Format, is_nan, parts
from liftcheck.clif.types import TYPES

ARITY = {"fadd": 2, "fsub": 2, "fmul": 2, "fdiv": 2, "fmin": 2, "fmax": 2, "feq": 2, "flt": 2, "fle": 2, "fma": 3}


def draw(f: Format, random: Random) -> int:
    return operand(TYPES[f"f{f.width}"], random)


@pytest.mark.parametrize("f", [F16, F32, F64], ids=lambda f: f"f{f.width}")
def test_quick_operations_are_exact(f: Format) -> None:
    exact, random = floats.exact_helpers(f), Random(f.width)
    for name, quick in floats_host.quick_helpers(f).items():
        arity = ARITY.get(name.removesuffix(str(f.width)), 1)
        for _ in range(many(1500)):
            operands = [draw(f, random) for _ in range(arity)]
            assert quick(*operands) == exact[name](*operands), (name, [hex(x) for x in operands])


def test_quick_conversions_are_exact() -> None:
    exact, random = floats.exact_conversions(), Random(7)
    for name, quick in floats_host.quick_conversions().items():
        width = name.rsplit("_", 1)[0].lstrip("abcdefghijklmnopqrstuvwxyz_")
        source = TYPES[f"{'i' if name.startswith('from') else 'f'}{width}"]
        for _ in range(many(400)):
            a = operand(source, random)
            assert quick(a) == exact[name](a), (name, hex(a))


def test_every_half_survives_the_way_to_single_and_back() -> None:
    up, down = (floats_host.quick_conversions()[n] for n in ("fconvert16_32", "fconvert32_16"))
    for a in range(1 << 16):
        if not is_nan(F16, a):
            assert down(up(a)) == a


def rational(f: Format, a: int) -> Fraction:
    significand, exponent = parts(f, a)
    return Fraction(significand) * Fraction(2) ** exponent


def nearest(f: Format, x: Fraction) -> int:
    """By search: the pattern (sign apart) whose number is nearest to |x|, the even one of two, or infinity."""
    low, high, size = 0, f.infinity - 1, abs(x)
    while high - low > 0:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if rational(f, middle) <= size else (low, middle - 1)
    below = rational(f, low)
    above = rational(f, low + 1) if low + 1 < f.infinity else 2 * below - rational(f, low - 1)
    up = size - below > above - size or (size - below == above - size and low & 1)
    return low + up | (f.sign if x < 0 else 0)


@pytest.mark.parametrize("f", FORMATS.values(), ids=lambda f: f"f{f.width}")
@pytest.mark.parametrize("op", ["fadd", "fmul", "fdiv", "fma"])
def test_exact_operations_round_to_the_nearest(f: Format, op: str) -> None:
    random, function = Random(f"{op}{f.width}"), floats.exact_helpers(f)[f"{op}{f.width}"]
    done = 0
    while done < many(60):
        operands = [draw(f, random) for _ in range(ARITY[op])]
        if any(a & f.infinity == f.infinity for a in operands) or (op == "fdiv" and not operands[1] & f.magnitude):
            continue
        x, y, *z = (rational(f, a) for a in operands)
        value = x + y if op == "fadd" else x / y if op == "fdiv" else x * y + sum(z)
        if value:
            assert function(*operands) == nearest(f, value), [hex(a) for a in operands]
            done += 1


@pytest.mark.parametrize("f", FORMATS.values(), ids=lambda f: f"f{f.width}")
def test_square_roots_round_to_the_nearest(f: Format) -> None:
    random, function = Random(f.width), floats.exact_helpers(f)[f"fsqrt{f.width}"]
    for _ in range(many(60)):
        a = draw(f, random) & f.magnitude
        if 0 < a < f.infinity:
            root, x = function(a), rational(f, a)
            below, above = ((rational(f, root) + rational(f, root + step)) / 2 for step in (-1, 1))
            assert below * below <= x <= above * above


def test_signs_of_zero_and_nans() -> None:
    for f in FORMATS.values():
        exact = {name.removesuffix(str(f.width)): g for name, g in floats.exact_helpers(f).items()}
        zero, minus, one = 0, f.sign, (f.infinity >> f.precision) << f.stored
        assert exact["fadd"](zero, minus) == zero and exact["fadd"](minus, minus) == minus
        assert exact["fsub"](one, one) == zero and exact["fmul"](minus, one) == minus
        assert exact["fma"](one, one, one | f.sign) == zero and exact["fma"](minus, one, minus) == minus
        assert exact["fsqrt"](minus) == minus and exact["fsqrt"](one | f.sign) == f.nan
        assert exact["fceil"](one - 1 | f.sign) == minus and exact["ftrunc"](one - 1 | f.sign) == minus
        assert exact["fmul"](f.infinity, zero) == f.nan and exact["fadd"](f.infinity, f.infinity | f.sign) == f.nan
        assert exact["fadd"](f.infinity + 1 | f.sign, one) == f.nan == exact["fmin"](one, f.infinity + 1)
        assert exact["fdiv"](one, minus) == f.infinity | f.sign and exact["fdiv"](zero, zero) == f.nan


def test_a_format_that_rounds_wrongly_is_noticed() -> None:
    """One bit less of precision: the search must disagree somewhere."""
    wrong, random = Format(32, 24), Random(1)
    pairs = [(draw(wrong, random) & F32.magnitude, draw(wrong, random) & F32.magnitude) for _ in range(200)]
    finite = [(a, b) for a, b in pairs if max(a, b) < F32.infinity and a and b]
    truncating = [floats.exact_mul(F32, a, b) for a, b in finite]
    chopped = [t & ~1 for t in truncating]
    right = [nearest(F32, rational(F32, a) * rational(F32, b)) for a, b in finite]
    assert truncating == right and chopped != right


def test_quadruple_converts_without_loss() -> None:
    widen, narrow = floats.exact_conversions()["fconvert64_128"], floats.exact_conversions()["fconvert128_64"]
    random = Random(3)
    for _ in range(many(300)):
        a = draw(F64, random)
        assert narrow(widen(a)) == (F64.nan if is_nan(F64, a) else a)
    assert widen(F64.nan) == F128.nan
