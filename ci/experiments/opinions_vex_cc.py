"""s390x's condition code as VEX keeps it: an operation and what it was applied to.

The one idea: a function for each operation, in the order of their numbers. What sets it from rounding modes and decimal
numbers is not here.
Source: VEX's guest_s390_defs.h (legend of the operations); Principles of Operation SA22-7832 (condition codes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opinions_state import Open

from liftcheck.bits import floats as f


def _signed(a: int, width: int) -> int:
    a &= (1 << width) - 1
    return (a ^ 1 << width - 1) - (1 << width - 1)


def _order(a: int, b: int) -> int:
    return 0 if a == b else 1 if a < b else 2


def _sum(width: int, sign: int) -> Callable[[int, int, int], int]:
    """Of a signed sum (1) or difference (-1)."""

    def cc(a: int, b: int, _: int) -> int:
        exact = _signed(a, width) + sign * _signed(b, width)
        return _order(exact, 0) if exact == _signed(exact, width) else 3

    return cc


def _carries(width: int) -> Callable[[int, int, int], int]:
    """Of a sum of numbers without sign, with a carry."""

    def cc(a: int, b: int, carry: int) -> int:
        mask = (1 << width) - 1
        whole = (a & mask) + (b & mask) + carry
        return 2 * (whole > mask) + (whole & mask > 0)

    return cc


def _borrows(width: int) -> Callable[[int, int, int], int]:
    def cc(a: int, b: int, borrow: int) -> int:
        mask = (1 << width) - 1
        whole = (a & mask) - (b & mask) - borrow
        return 2 * (whole >= 0) + (whole & mask > 0)

    return cc


def _without(function: Callable[[int, int, int], int]) -> Callable[[int, int, int], int]:
    return lambda a, b, _: function(a, b, 0)


def _xored(function: Callable[[int, int, int], int]) -> Callable[[int, int, int], int]:
    """VEX keeps the second operand of such an operation with the carry mixed in."""
    return lambda a, b, c: function(a, b ^ c, c)


def _positive(width: int) -> Callable[[int, int, int], int]:
    def cc(a: int, _: int, __: int) -> int:
        value = _signed(a, width)
        return 3 if value == -1 << width - 1 else 2 if value else 0

    return cc


def _under_mask(width: int) -> Callable[[int, int, int], int]:
    def cc(value: int, mask: int, _: int) -> int:
        chosen = value & mask & (1 << width) - 1
        if not chosen:
            return 0
        if chosen == mask:
            return 3
        return 2 if width == 16 and chosen >> mask.bit_length() - 1 else 1

    return cc


def _shifted(width: int) -> Callable[[int, int, int], int]:
    def cc(a: int, amount: int, _: int) -> int:
        exact = _signed(a, width) << (amount & 63)
        low = 1 << width - 1
        return _order(exact, 0) if -low <= exact < low else 3

    return cc


def _inserted(value: int, mask: int, _: int) -> int:
    chosen = [value >> 8 * k & 0xFF for k in range(3, -1, -1) if mask >> k & 1]
    if not any(chosen):
        return 0
    return 1 if chosen[0] & 0x80 else 2


def _operand(known: f.Format, a: int, b: int) -> int:
    """A float as VEX keeps it: a short one in the upper half, an extended one in both."""
    return a << 64 | b if known.width == 128 else a >> 64 - known.width


def _result(known: f.Format) -> Callable[[int, int, int], int]:
    def cc(a: int, b: int, _: int) -> int:
        value = _operand(known, a, b)
        if f.is_nan(known, value):
            return 3
        return 0 if not value & known.magnitude else 1 if value & known.sign else 2

    return cc


def _class(known: f.Format) -> Callable[[int, int, int], int]:
    """Whether a number is of the classes that a mask names."""

    def cc(a: int, b: int, c: int) -> int:
        value, mask = _operand(known, a, b), c if known.width == 128 else b
        size = value & known.magnitude
        quiet = known.fraction + 1 >> 1
        number = (
            0 if not size
            else 1 if known.infinity > size >= known.fraction + 1
            else 2 if size < known.infinity
            else 3 if size == known.infinity
            else 4 if size & quiet
            else 5
        )  # fmt: skip
        return mask >> 11 - 2 * number - (value & known.sign > 0) & 1

    return cc


def _converted(known: f.Format, low: int, high: int) -> Callable[[int, int, int], int]:
    """Of a conversion to an integer: 3 where it is out of range."""

    def cc(a: int, b: int, c: int) -> int:
        value, mode = _operand(known, a, b), c if known.width == 128 else b
        if not value & known.magnitude:
            return 0
        mode_name = {4: "nearest", 5: "trunc", 6: "ceil", 7: "floor"}.get(mode)
        if mode_name is None:
            raise Open("a rounding mode that is not computed here")
        whole = f.truncated(known, f.exact_round(known, value, mode_name))
        if whole is None or not low <= whole <= high:
            return 3
        return 1 if value & known.sign else 2

    return cc


_S32, _S64 = (-1 << 31, (1 << 31) - 1), (-1 << 63, (1 << 63) - 1)
_U32, _U64 = (0, (1 << 32) - 1), (0, (1 << 64) - 1)
_FLOATS: Final = (f.F32, f.F64, f.F128)
OPERATIONS: Final[tuple[Callable[[int, int, int], int], ...]] = (
    lambda a, b, c: int(a != 0),
    lambda a, b, c: _order(_signed(a, 64), _signed(b, 64)),
    lambda a, b, c: _order(a, b),
    _sum(32, 1), _sum(64, 1), _without(_carries(32)), _without(_carries(64)),
    _xored(_carries(32)), _xored(_carries(64)), _sum(32, -1), _sum(64, -1),
    _without(_borrows(32)), _without(_borrows(64)), _xored(_borrows(32)), _xored(_borrows(64)),
    lambda a, b, c: _order(_signed(a, 64), 0), _positive(32), _positive(64), _under_mask(8), _under_mask(16),
    _shifted(32), _shifted(64), _inserted, *(_result(known) for known in _FLOATS),
    *(_converted(known, *_S32) for known in _FLOATS), *(_converted(known, *_S64) for known in _FLOATS),
    *(_class(known) for known in _FLOATS), lambda a, b, c: a & 3,
    *(_converted(known, *_U32) for known in _FLOATS), *(_converted(known, *_U64) for known in _FLOATS),
)  # fmt: skip


def condition_code(operation: int, first: int, second: int, more: int) -> int:
    """The condition code."""
    if operation >= len(OPERATIONS):
        raise Open("a condition code that is not computed here")
    return OPERATIONS[operation](first, second, more)
