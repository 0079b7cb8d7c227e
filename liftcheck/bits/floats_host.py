"""Quick forms of the operations of `floats`, through the host's doubles, where the result is provably the same.

- f64: Python's +, -, *, /, math.sqrt are IEEE operations on doubles.
- f32 and f16 sums, products, quotients and roots: the double result, rounded again to p <= 24 bits, is the correctly
  rounded one because 53 >= 2p + 2 (S. Figueroa, "When is double rounding innocuous?", 1995); products are exact in a
  double; sums below the normal range are exact; a quotient that is not a midpoint of the narrow format (at most p + 1
  bits) differs from it by more than 2^-(2p + 1) of itself, so subnormal quotients are safe as well. `struct` rounds the
  double to nearest even when it packs 'f' and 'e', and raises OverflowError where the result is infinite.
- `fma` of f32 and f16 is safe where the double sum of the exact product loses nothing; other fused products, and
  conversions from integers beyond 2^53 to f16 and f32, stay in integers.

Functions are closures over `struct` methods: attribute look-ups would cost more than the arithmetic.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

from liftcheck.bits.floats import F16, F32, F64, Format, exact_fma, rounded, saturated

Helper = Callable[..., int]
Unary = Callable[[int], int]
_LETTERS: Final = {16: ("H", "e"), 32: ("I", "f"), 64: ("Q", "d")}


class _Codec(NamedTuple):
    """Between patterns and doubles: one value, two values, and back with the NaN made quiet."""

    number: Callable[[int], float]
    numbers: Callable[[int, int], tuple[float, float]]
    pattern: Callable[[float], int]


def _codec(f: Format) -> _Codec:
    integer, real = _LETTERS[f.width]
    pack, unpack = Struct(f"<{integer}").pack, Struct(f"<{real}").unpack
    pack_two, unpack_two = Struct(f"<2{integer}").pack, Struct(f"<2{real}").unpack
    pack_real, unpack_integer = Struct(f"<{real}").pack, Struct(f"<{integer}").unpack
    nan, infinity, minus = f.nan, f.infinity, f.infinity | f.sign

    def number(a: int) -> float:
        return unpack(pack(a))[0]  # type: ignore[no-any-return]

    def numbers(a: int, b: int) -> tuple[float, float]:
        return unpack_two(pack_two(a, b))

    def pattern(x: float) -> int:
        try:
            return unpack_integer(pack_real(x))[0] if x == x else nan
        except OverflowError:
            return infinity if x > 0 else minus

    return _Codec(number, numbers, pattern)


def _binary(f: Format, operation: Callable[[float, float], float]) -> Helper:
    integer, real = _LETTERS[f.width]
    pack_two, unpack_two = Struct(f"<2{integer}").pack, Struct(f"<2{real}").unpack
    pattern = _codec(f).pattern

    def compute(a: int, b: int) -> int:
        return pattern(operation(*unpack_two(pack_two(a, b))))

    return compute


def _comparison(f: Format, operation: Callable[[float, float], bool]) -> Helper:
    integer, real = _LETTERS[f.width]
    pack_two, unpack_two = Struct(f"<2{integer}").pack, Struct(f"<2{real}").unpack

    def compare(a: int, b: int) -> bool:
        return operation(*unpack_two(pack_two(a, b)))

    return compare


def _division(f: Format) -> Helper:
    _, numbers, pattern = _codec(f)
    nan, infinity, sign = f.nan, f.infinity, f.sign

    def fdiv(a: int, b: int) -> int:
        x, y = numbers(a, b)
        if y:
            return pattern(x / y)
        return nan if x != x or not x else infinity | (a ^ b) & sign

    return fdiv


def _square_root(f: Format) -> Helper:
    number, _, pattern = _codec(f)
    nan, sqrt = f.nan, math.sqrt

    def fsqrt(a: int) -> int:
        x = number(a)
        return pattern(sqrt(x)) if x >= 0 else nan

    return fsqrt


def _fused(f: Format) -> Helper:
    """For p <= 24."""
    number, numbers, pattern = _codec(f)

    def fma(a: int, b: int, c: int) -> int:
        x, y = numbers(a, b)
        z, product = number(c), x * y
        total = product + z
        low = total - product
        if product - (total - low) + (z - low) == 0.0:  # Knuth's two-sum: nothing was lost
            return pattern(total)
        return exact_fma(f, a, b, c)

    return fma


def _minimum(f: Format) -> Helper:
    numbers, nan = _codec(f).numbers, f.nan

    def fmin(a: int, b: int) -> int:
        x, y = numbers(a, b)
        return a if x < y else b if y < x else a | b if x == y else nan

    return fmin


def _maximum(f: Format) -> Helper:
    numbers, nan = _codec(f).numbers, f.nan

    def fmax(a: int, b: int) -> int:
        x, y = numbers(a, b)
        return b if x < y else a if y < x else a & b if x == y else nan

    return fmax


def _rounding(f: Format, whole: Callable[[float], int]) -> Unary:
    number, _, pattern = _codec(f)
    nan, infinity, magnitude, copysign = f.nan, f.infinity, f.magnitude, math.copysign
    integral = f.stored + (infinity >> f.precision) << f.stored  # the pattern of 2^(p-1): no fraction from here on

    def fround(a: int) -> int:
        size = a & magnitude
        if size >= integral:
            return nan if size > infinity else a
        x = number(a)
        return pattern(copysign(whole(x), x))

    return fround


def quick_helpers(f: Format) -> dict[str, Helper]:
    """The operations of f16, f32 or f64 that the host's doubles do rightly."""
    found = {
        "fadd": _binary(f, operator.add),
        "fsub": _binary(f, operator.sub),
        "fmul": _binary(f, operator.mul),
        "fdiv": _division(f),
        "fsqrt": _square_root(f),
        "fmin": _minimum(f),
        "fmax": _maximum(f),
        "feq": _comparison(f, operator.eq),
        "flt": _comparison(f, operator.lt),
        "fle": _comparison(f, operator.le),
        "fceil": _rounding(f, math.ceil),
        "ffloor": _rounding(f, math.floor),
        "ftrunc": _rounding(f, math.trunc),
        "fnearest": _rounding(f, round),
    }
    if f is not F64:
        found["fma"] = _fused(f)
    return {f"{name}{f.width}": function for name, function in found.items()}


def quick_conversions() -> dict[str, Unary]:
    """Conversions between f16, f32, f64 and integers that the host's doubles do rightly."""
    found: dict[str, Unary] = {}
    small = (F16, F32, F64)
    for f in small:
        for to in small:
            found[f"fconvert{f.width}_{to.width}"] = _convert(f, to)
        for width in (8, 16, 32, 64, 128):
            top = 1 << width - 1
            found[f"to_uint{f.width}_{width}"] = _to_integer(f, 0, 2 * top - 1, 2 * top - 1)
            found[f"to_sint{f.width}_{width}"] = _to_integer(f, -top, top - 1, 2 * top - 1)
            found[f"from_uint{width}_{f.width}"] = _from_integer(f, 0)
            found[f"from_sint{width}_{f.width}"] = _from_integer(f, top)
    return found


def _convert(f: Format, to: Format) -> Unary:
    number, pattern = _codec(f).number, _codec(to).pattern
    return lambda a: pattern(number(a))


def _to_integer(f: Format, low: int, high: int, mask: int) -> Unary:
    number, infinity = _codec(f).number, f.infinity

    def to_integer(a: int) -> int:
        if a & infinity == infinity:
            return saturated(f, a, low, high) & mask
        whole = int(number(a))
        return (low if whole < low else high if whole > high else whole) & mask

    return to_integer


def _from_integer(f: Format, top: int) -> Unary:
    """Integers below 2^53 are doubles; Python rounds the others rightly to a double, but not to a narrower format."""
    pattern, limit = _codec(f).pattern, 1 << 128 if f is F64 else 1 << 53

    def from_integer(a: int) -> int:
        whole = (a ^ top) - top
        return pattern(float(whole)) if -limit < whole < limit else rounded(f, whole, 0)

    return from_integer
