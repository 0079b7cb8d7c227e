"""x * y + z on bit patterns with one rounding to nearest even, from exact rationals: for runners whose machine lacks it.

NaN results are the canonical quiet NaN. Source: IEEE 754-2019, 5.4.1, 6.2, 6.3.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

_PRECISION: Final = {32: 24, 64: 53}


def fma(x: int, y: int, z: int, bits: int) -> int:
    """The bit pattern of x * y + z for patterns of `bits` (32 or 64) bits."""
    precision = _PRECISION[bits]
    fraction_bits, top = precision - 1, (1 << bits - precision) - 1
    infinity = top << fraction_bits
    magnitudes = [v & (1 << bits - 1) - 1 for v in (x, y, z)]
    product_sign, sign_z = (x ^ y) >> bits - 1, z >> bits - 1
    infinite_product = infinity in magnitudes[:2]
    if (max(magnitudes) > infinity or (infinite_product and 0 in magnitudes[:2])
            or (infinite_product and magnitudes[2] == infinity and product_sign != sign_z)):  # fmt: skip
        return infinity | 1 << fraction_bits - 1
    if infinite_product or magnitudes[2] == infinity:
        return (product_sign if infinite_product else sign_z) << bits - 1 | infinity
    a, b, c = (_value(m, fraction_bits, top) for m in magnitudes)
    exact = (-a * b if product_sign else a * b) + (-c if sign_z else c)
    if exact == 0:
        return (product_sign & sign_z if product_sign != sign_z else product_sign) << bits - 1
    return (exact < 0) << bits - 1 | _rounded(abs(exact), precision, top)


def _value(magnitude: int, fraction_bits: int, top: int) -> Fraction:
    exponent, fraction = magnitude >> fraction_bits, magnitude & (1 << fraction_bits) - 1
    if exponent:
        fraction |= 1 << fraction_bits
    power = max(exponent, 1) - (top >> 1) - fraction_bits
    return Fraction(fraction << power) if power >= 0 else Fraction(fraction, 1 << -power)


def _rounded(exact: Fraction, precision: int, top: int) -> int:
    """The magnitude's bits of a positive rational, rounded to nearest even; infinity where it is too large."""
    lowest = 2 - (top >> 1) - precision
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    if exact < (Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)):
        exponent -= 1
    unit = max(exponent - precision + 1, lowest)
    mantissa = round(exact / (1 << unit) if unit >= 0 else exact * (1 << -unit))
    bits = ((unit - lowest) << precision - 1) + mantissa
    return min(bits, top << precision - 1)
