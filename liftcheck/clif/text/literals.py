"""Numbers as CLIF text has them: integers, IEEE floats in hexadecimal, byte strings. As strict as upstream.

The one idea: each reader takes one token's text and gives the bits, or raises `BadLiteral` with a sentence; the token's
shape has been decided by the lexer.
Sources: cranelift-codegen 0.135 `ir/immediates.rs` and `ir/constant.rs`, cranelift-reader `parser.rs` (`match_imm!`).
"""

from __future__ import annotations

import re
from typing import Final

from liftcheck.bits.floats import FORMATS

_DECIMAL: Final = re.compile(r"[0-9]+\Z")
_HEX: Final = re.compile(r"[0-9A-Fa-f]+\Z")
_EXPONENT: Final = re.compile(r"[-+]?[0-9]+\Z")


class BadLiteral(ValueError):
    """The token is not a number of the wanted kind: the message says why."""


def unsigned(text: str, bits: int) -> int:
    """A decimal number without underscores, or `0x…`; at most 2^bits - 1."""
    is_hex = text.startswith("0x")
    digits = text[2:] if is_hex else text
    if not (_HEX if is_hex else _DECIMAL).match(digits):
        raise BadLiteral(f"'{text[:40]}' is not an unsigned {bits}-bit number")
    digits = digits.lstrip("0") or "0"
    value = int(digits, 16 if is_hex else 10) if len(digits) <= 40 else 1 << bits
    if value >> bits:
        raise BadLiteral(f"'{text[:40]}' does not fit in {bits} bits")
    return value


def immediate(text: str, bits: int) -> int:
    """A number from -2^(bits-1) to 2^bits - 1, as unsigned bits. Underscores only in hexadecimal."""
    negative, body = text[:1] == "-", text[1:] if text[:1] in ("-", "+") else text
    body = body.replace("_", "") if body.startswith("0x") else body
    return _signed(unsigned(body, bits), negative, bits, text)


def _signed(value: int, negative: bool, bits: int, text: str) -> int:
    if not negative:
        return value
    if value > 1 << (bits - 1):
        raise BadLiteral(f"negative number '{text[:40]}' is too small for {bits} bits")
    return -value & ((1 << bits) - 1)


def imm64(text: str) -> int:
    """Like `immediate` of 64 bits, with underscores in decimal numbers too; signed result."""
    negative, body = text[:1] == "-", text[1:] if text[:1] in ("-", "+") else text
    if body.startswith("-"):
        raise BadLiteral(f"'{text[:40]}' is not a number")
    digits = body.replace("_", "")
    if digits.startswith("0x") and len(digits) > 18:
        raise BadLiteral(f"'{text[:40]}' has too many hexadecimal digits")
    value = _signed(unsigned(digits, 64), negative, 64, text)
    return value - (1 << 64) if value >> 63 else value


def uimm64(text: str) -> int:
    """An unsigned 64-bit number, underscores allowed."""
    return unsigned(text.replace("_", ""), 64)


def uimm32(text: str) -> int:
    """An unsigned 32-bit number, underscores and a plus sign allowed."""
    value = imm64(text)
    if not 0 <= value < 1 << 32:
        raise BadLiteral(f"'{text}' is out of range")
    return value


def decimal32(text: str) -> int:
    """An unsigned 32-bit number in decimal digits, a plus sign allowed."""
    digits = text.removeprefix("+")
    if digits.startswith("0x"):
        raise BadLiteral(f"'{text[:40]}' is not a decimal number")
    return unsigned(digits, 32)


def offset32(text: str) -> int:
    """A signed byte offset; the text has a sign."""
    value = imm64(text)
    if not -(1 << 31) <= value < 1 << 31:
        raise BadLiteral(f"offset '{text}' is out of range")
    return value


def constant(text: str) -> bytes:
    """`0x…` with an even number of digits, at most 32, most significant byte first -> bytes in memory order."""
    digits = text[2:].replace("_", "")
    if not text.startswith("0x") or not _HEX.match(digits):
        raise BadLiteral(f"expected a hexadecimal constant, e.g. 0x1234, found '{text[:40]}'")
    if len(digits) % 2 or len(digits) > 32:
        raise BadLiteral("a hexadecimal constant has an even number of digits, at most 32")
    return bytes.fromhex(digits)[::-1]


def float_bits(text: str, bits: int) -> int:
    """A float literal of `bits` bits: 0.0, Inf, NaN, NaN:0x…, sNaN:0x…, or hexadecimal with at most 32 digits."""
    exponent_bits, fraction_bits = FORMATS[bits].exponent, FORMATS[bits].stored
    sign = (text[:1] == "-") << (bits - 1)
    body = text[1:] if text[:1] in ("-", "+") else text
    if body.startswith("0x"):
        return sign | _hex_float(body[2:], exponent_bits, fraction_bits)
    return sign | _special(body, exponent_bits, fraction_bits)


def _special(body: str, exponent_bits: int, fraction_bits: int) -> int:
    infinity, quiet = ((1 << exponent_bits) - 1) << fraction_bits, 1 << (fraction_bits - 1)
    plain = {"0.0": 0, "Inf": infinity, "NaN": infinity | quiet}.get(body)
    if plain is not None:
        return plain
    name, _, digits = body.partition(":0x")
    if name not in ("NaN", "sNaN") or not _HEX.match(digits):
        raise BadLiteral(f"a float is hexadecimal (0x1.8p3), 0.0, Inf or NaN, not '{body[:40]}'")
    payload = int(digits, 16)
    if payload >= quiet or (name == "sNaN" and payload == 0):
        raise BadLiteral(f"invalid {name} payload")
    return infinity | payload | (quiet if name == "NaN" else 0)


def _hex_float(body: str, exponent_bits: int, fraction_bits: int) -> int:
    mantissa, letter, power = body.partition("p")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    if not _HEX.match(digits) or len(digits) > 32:
        raise BadLiteral(f"invalid digits in float '0x{body[:40]}'")
    if letter and not (_EXPONENT.match(power) and len(power) <= 40 and -(1 << 15) <= int(power) < 1 << 15):
        raise BadLiteral(f"bad exponent in float '0x{body[:40]}'")
    significand = int(digits, 16)
    exponent = (int(power) if letter else 0) - 4 * len(fraction)
    return _encode(significand, exponent, exponent_bits, fraction_bits) if significand else 0


def _encode(significand: int, exponent: int, exponent_bits: int, fraction_bits: int) -> int:
    """significand * 2^exponent, which must be representable exactly."""
    bias = (1 << (exponent_bits - 1)) - 1
    length = significand.bit_length()
    biased = exponent + length - 1 + bias
    if biased >= (1 << exponent_bits) - 1:
        raise BadLiteral("float's magnitude is too large")
    shift = fraction_bits + 1 - length if biased > 0 else exponent + bias - 1 + fraction_bits
    if biased <= -fraction_bits:
        raise BadLiteral("float's magnitude is too small")
    if shift < 0 and significand & ((1 << -shift) - 1):
        raise BadLiteral("float has too many significant bits")
    aligned = significand << shift if shift >= 0 else significand >> -shift
    return (biased << fraction_bits) | (aligned & ((1 << fraction_bits) - 1)) if biased > 0 else aligned


def float_text(value: int, bits: int) -> str:
    """The inverse of `float_bits`."""
    exponent_bits, fraction_bits = FORMATS[bits].exponent, FORMATS[bits].stored
    top = (1 << exponent_bits) - 1
    sign = "-" if value >> (bits - 1) else ""
    fraction, exponent = value & ((1 << fraction_bits) - 1), (value >> fraction_bits) & top
    if exponent == top:
        return (sign or "+") + _special_text(fraction, fraction_bits)
    if exponent == 0 and fraction == 0:
        return f"{sign}0.0"
    bias, digits = top >> 1, (fraction_bits + 3) // 4
    left = fraction << (4 * digits - fraction_bits)
    return f"{sign}0x{min(exponent, 1)}.{left:0{digits}x}p{max(exponent, 1) - bias}"


def _special_text(fraction: int, fraction_bits: int) -> str:
    if fraction == 0:
        return "Inf"
    quiet = fraction >> (fraction_bits - 1)
    payload = fraction & ((1 << (fraction_bits - 1)) - 1)
    if quiet:
        return f"NaN:{payload:#x}" if payload else "NaN"
    return f"sNaN:{payload:#x}"
