"""Which opcodes may give a NaN whose bits CLIF leaves open, which hand bits on exactly, and which let bits be seen.

The one idea: after arithmetic the sign and payload of a NaN are unspecified, so such a value carries a taint. Opcodes
that move bits hand the taint on; where bits would become visible (memory, integers, control) the generator first
replaces a NaN by a fixed value. What still is tainted at a return is compared modulo NaN by the oracle.
It says nothing of how a value is canonicalized or compared: `generators.body` and `oracles.compare` do that.
Sources: Cranelift's `ir/instructions` ("NaN" paragraphs of fneg, fabs, fcopysign, bitcast), IEEE 754-2019 §6.2.3, §6.3
(the sign of a NaN result of anything but copy, negate, abs, copySign is not specified; nor is a payload).
"""

from __future__ import annotations

from typing import Final

from liftcheck.bits.floats import FORMATS
from liftcheck.clif.types import Type

CREATES: Final = frozenset({
    "fadd", "fsub", "fmul", "fdiv", "sqrt", "fma", "fmin", "fmax", "ceil", "floor", "trunc", "nearest", "fpromote",
    "fdemote", "fvpromote_low", "fvdemote",
})  # fmt: skip
"""A float result of these may be a NaN with any sign and payload."""

PROPAGATES: Final = frozenset({
    "fneg", "fabs", "select", "select_spectre_guard", "splat", "insertlane", "extractlane", "scalar_to_vector",
    "fcopysign", "blendv",
})  # fmt: skip
"""A result of these holds the bits of an operand exactly (except for a sign): tainted if an operand is."""

IGNORES: Final = frozenset(
    {"fcmp", "fcvt_to_uint", "fcvt_to_sint", "fcvt_to_uint_sat", "fcvt_to_sint_sat", "x86_cvtt2dq"}
)
"""These treat every NaN alike: a tainted operand is harmless, and the result is an integer."""

_SIGN_MATTERS: Final = {"fcopysign": (1,), "blendv": (0,)}


def observed(op: str, operands: int) -> tuple[int, ...]:
    """The operand positions of `op` through which a float's bits become visible."""
    if op in CREATES or op in IGNORES:
        return ()
    return _SIGN_MATTERS.get(op, ()) if op in PROPAGATES else tuple(range(operands))


def exponent_bits(width: int) -> int:
    """How many bits of a float of `width` bits are exponent."""
    return FORMATS[width].exponent


def infinity(width: int) -> int:
    """The positive infinity: what a NaN without its sign is greater than."""
    return FORMATS[width].infinity


def is_nan(bits: int, width: int) -> bool:
    """Whether the IEEE pattern `bits` of `width` bits is a NaN."""
    return bits & ((1 << (width - 1)) - 1) > infinity(width)


def quiet_nan(width: int) -> int:
    """The positive quiet NaN without payload: what a canonicalized NaN looks like."""
    return FORMATS[width].nan


def canonical(bits: int, ty: Type) -> int:
    """`bits` of float type `ty` with every NaN lane replaced by `quiet_nan`."""
    width, result = ty.lane_bits, 0
    for shift in range(0, ty.bits, width):
        lane = bits >> shift & ty.lane_mask
        result |= (quiet_nan(width) if is_nan(lane, width) else lane) << shift
    return result
