"""IEEE arithmetic on bit patterns of f16, f32, f64 and f128: round to nearest even, exact.

The one idea: every operation is done in integers of any size, for any format, with one rounding at the end. That is the
definition; `floats_host` has quicker forms for f16, f32 and f64, and `concrete.NAMESPACE` takes those where they exist.

Every NaN result is the positive quiet NaN without payload, whatever the operands' payloads (docs/architecture.md: where
the bits may legally differ is the comparison's business). Names: operation + width, conversions operation + from_to.
Source: IEEE 754-2019, 3.4 (encodings), 4.3 (rounding), 5.4, 9.6 (minimum, maximum).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

Unary = Callable[[int], int]


class Format:
    """An interchange format: `width` bits, `precision` with the hidden bit. This is the one place that has them.

    stored, exponent  how many bits the fraction and the exponent have
    sign, fraction    masks of the sign bit and of the stored fraction
    infinity          the pattern of +inf, which is also the mask of the exponent
    magnitude         everything but the sign
    nan               the NaN that every operation gives
    least             the binary exponent of the smallest subnormal
    """

    __slots__ = (
        "exponent",
        "fraction",
        "infinity",
        "least",
        "magnitude",
        "nan",
        "precision",
        "sign",
        "stored",
        "width",
    )

    def __init__(self, width: int, precision: int) -> None:
        self.width: Final = width
        self.precision: Final = precision
        self.stored: Final = precision - 1
        self.exponent: Final = width - precision
        self.sign: Final = 1 << width - 1
        self.magnitude: Final = self.sign - 1
        self.fraction: Final = (1 << precision - 1) - 1
        self.infinity: Final = self.magnitude & ~self.fraction
        self.nan: Final = self.infinity | 1 << precision - 2
        self.least: Final = 3 - (1 << width - precision - 1) - precision


F16, F32, F64, F128 = Format(16, 11), Format(32, 24), Format(64, 53), Format(128, 113)
FORMATS: Final = {f.width: f for f in (F16, F32, F64, F128)}


# The definition, in integers.


def is_nan(f: Format, a: int) -> bool:
    """Whether the pattern is a NaN."""
    return a & f.magnitude > f.infinity


def parts(f: Format, a: int) -> tuple[int, int]:
    """A finite number as (signed significand, binary exponent)."""
    exponent, significand = (a & f.infinity) >> f.stored, a & f.fraction
    if exponent:
        significand += f.fraction + 1
        exponent -= 1
    return -significand if a & f.sign else significand, f.least + exponent


def rounded(f: Format, significand: int, exponent: int, negative_zero: bool = False) -> int:
    """The pattern nearest to significand * 2^exponent. The last bit of the significand may be sticky if it has at
    least two bits more than the precision."""
    if not significand:
        return f.sign if negative_zero else 0
    sign, size = (f.sign, -significand) if significand < 0 else (0, significand)
    drop = max(size.bit_length() - f.precision, f.least - exponent)
    if drop > 0:
        half, rest = 1 << drop - 1, size & (1 << drop) - 1
        size >>= drop
        size += rest > half or (rest == half and size & 1)
    else:
        size <<= -drop
    # The hidden bit adds one to the exponent field, and a carry out of the significand does so by itself.
    pattern = size + (exponent + drop - f.least << f.stored)
    return sign | (pattern if pattern < f.infinity else f.infinity)


def _sum(f: Format, x: tuple[int, int], y: tuple[int, int], negative_zero: bool) -> int:
    """The rounded sum of two exact numbers; far apart, the small one only matters as sticky bits."""
    if not x[0] or not y[0]:
        x = x if x[0] else y
        return rounded(f, *x, negative_zero=negative_zero)
    (m, e), (n, d) = (x, y) if x[1] >= y[1] else (y, x)
    return rounded(f, (m << e - d) + n, d, negative_zero)


def exact_add(f: Format, a: int, b: int) -> int:
    """a + b."""
    if is_nan(f, a) or is_nan(f, b):
        return f.nan
    if a & f.magnitude == f.infinity:
        return f.nan if b == a ^ f.sign else a
    if b & f.magnitude == f.infinity:
        return b
    return _sum(f, parts(f, a), parts(f, b), bool(a & b & f.sign))


def exact_sub(f: Format, a: int, b: int) -> int:
    """a - b."""
    return f.nan if is_nan(f, b) else exact_add(f, a, b ^ f.sign)


def exact_mul(f: Format, a: int, b: int) -> int:
    """a * b."""
    return exact_fma(f, a, b, (a ^ b) & f.sign)


def exact_fma(f: Format, a: int, b: int, c: int) -> int:
    """a * b + c with one rounding."""
    if is_nan(f, a) or is_nan(f, b) or is_nan(f, c):
        return f.nan
    sign, magnitudes = (a ^ b) & f.sign, {a & f.magnitude, b & f.magnitude}
    if f.infinity in magnitudes:
        product = sign | f.infinity
        return f.nan if 0 in magnitudes or c == product ^ f.sign else product
    if c & f.magnitude == f.infinity:
        return c
    (m, e), (n, d) = parts(f, a), parts(f, b)
    return _sum(f, (m * n, e + d), parts(f, c), bool(sign & c))


def exact_div(f: Format, a: int, b: int) -> int:
    """a / b."""
    sign, x, y = (a ^ b) & f.sign, a & f.magnitude, b & f.magnitude
    if x > f.infinity or y > f.infinity or x == y in (0, f.infinity):
        return f.nan
    if x == f.infinity or not y:
        return sign | f.infinity
    if y == f.infinity or not x:
        return sign
    (m, e), (n, d) = parts(f, x), parts(f, y)
    shift = 2 * f.precision + 3
    quotient, rest = divmod(m << shift, n)
    return sign | rounded(f, quotient << 1 | (rest > 0), e - d - shift - 1)


def exact_sqrt(f: Format, a: int) -> int:
    """The square root; -0 for -0."""
    if not a & f.magnitude or a == f.infinity:
        return a
    if a & f.sign or a > f.infinity:
        return f.nan
    m, e = parts(f, a)
    shift = 2 * f.precision + 4 + (e & 1)
    m <<= shift
    root = math.isqrt(m)
    return rounded(f, root << 1 | (root * root != m), (e - shift) // 2 - 1)


def exact_round(f: Format, a: int, mode: str) -> int:
    """Rounded to an integral value; mode 'ceil', 'floor', 'trunc' or 'nearest'. The sign of zero is kept."""
    if a & f.magnitude >= f.infinity:
        return f.nan if is_nan(f, a) else a
    m, e = parts(f, a)
    if e >= 0 or not m:
        return a
    floor, rest = m >> -e, m & (1 << -e) - 1
    half = 1 << -e - 1
    up = {
        "ceil": rest > 0,
        "floor": False,
        "trunc": m < 0 and rest > 0,
        "nearest": rest > half or (rest == half and bool(floor & 1)),
    }[mode]
    return rounded(f, floor + up, 0) | a & f.sign


def exact_convert(source: Format, to: Format, a: int) -> int:
    """To another format."""
    if a & source.magnitude >= source.infinity:
        return to.nan if is_nan(source, a) else (to.sign if a & source.sign else 0) | to.infinity
    return rounded(to, *parts(source, a), negative_zero=bool(a & source.sign))


def truncated(f: Format, a: int) -> int | None:
    """The integer part of a finite number; None for NaN and infinities."""
    if a & f.infinity == f.infinity:
        return None
    m, e = parts(f, a)
    if e >= 0:
        return m << e
    return m >> -e if m >= 0 else -(-m >> -e)


def saturated(f: Format, a: int, low: int, high: int) -> int:
    """Rounded to zero and cut to low … high; 0 for NaN."""
    whole = truncated(f, a)
    if whole is None:
        return 0 if is_nan(f, a) else low if a & f.sign else high
    return min(max(whole, low), high)


def less(f: Format, a: int, b: int) -> bool:
    """a < b, ordered."""
    return not is_nan(f, a) and not is_nan(f, b) and order(f, a) < order(f, b)


def order(f: Format, a: int) -> int:
    """An integer in the order of the numbers; both zeros are 0."""
    return f.sign - a if a & f.sign else a


def exact_eq(f: Format, a: int, b: int) -> bool:
    """a = b, ordered."""
    return not is_nan(f, a) and not is_nan(f, b) and order(f, a) == order(f, b)


def exact_le(f: Format, a: int, b: int) -> bool:
    """a <= b, ordered."""
    return less(f, a, b) or exact_eq(f, a, b)


def exact_min(f: Format, a: int, b: int) -> int:
    """The minimum; NaN wins, -0 is below +0."""
    if is_nan(f, a) or is_nan(f, b):
        return f.nan
    return a | b if exact_eq(f, a, b) else a if less(f, a, b) else b


def exact_max(f: Format, a: int, b: int) -> int:
    """The maximum; NaN wins, +0 is above -0."""
    if is_nan(f, a) or is_nan(f, b):
        return f.nan
    return a & b if exact_eq(f, a, b) else b if less(f, a, b) else a


def exact_helpers(f: Format) -> dict[str, Callable[..., int]]:
    """Every operation of one format, by the names of the primitives."""
    found: dict[str, Callable[..., int]] = {
        "fadd": partial(exact_add, f),
        "fsub": partial(exact_sub, f),
        "fmul": partial(exact_mul, f),
        "fdiv": partial(exact_div, f),
        "fsqrt": partial(exact_sqrt, f),
        "fma": partial(exact_fma, f),
        "fmin": partial(exact_min, f),
        "fmax": partial(exact_max, f),
        "feq": partial(exact_eq, f),
        "flt": partial(less, f),
        "fle": partial(exact_le, f),
    }
    for mode in ("ceil", "floor", "trunc", "nearest"):
        found["f" + mode] = partial(exact_round, f, mode=mode)
    return {f"{name}{f.width}": function for name, function in found.items()}


def exact_conversions() -> dict[str, Callable[[int], int]]:
    """Every conversion, by the names of the primitives."""
    found: dict[str, Callable[[int], int]] = {}
    for f in FORMATS.values():
        for to in FORMATS.values():
            found[f"fconvert{f.width}_{to.width}"] = partial(exact_convert, f, to)
        for width in (8, 16, 32, 64, 128):
            top = 1 << width - 1
            found[f"to_uint{f.width}_{width}"] = partial(saturated, f, low=0, high=2 * top - 1)
            found[f"to_sint{f.width}_{width}"] = _unsigned(partial(saturated, f, low=-top, high=top - 1), width)
            found[f"from_uint{width}_{f.width}"] = partial(rounded, f, exponent=0)
            found[f"from_sint{width}_{f.width}"] = _from_signed(f, top)
    return found


def _unsigned(function: Unary, width: int) -> Unary:
    mask = (1 << width) - 1
    return lambda a: function(a) & mask


def _from_signed(f: Format, top: int) -> Unary:
    return lambda a: rounded(f, (a ^ top) - top, 0)
