"""Instructions that may trap: guarded so that they do not, or left open on purpose.

The one idea: a program either may trap or may not (`Program.may_trap`, drawn once). If not, every operand that
decides is bounded first: divisors are made odd and positive, floats clamped into the target's range, addends halved.
Rule relied on: Cranelift keeps trapping instructions and stores in program order and treats every instruction that
may trap as observing every store (`inst_predicates.rs`, the head of `alias_analysis.rs` in 0.135), so memory after a
trap is exact. A load is kept although its result is unused unless it is `notrap`.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from liftcheck.bits.floats import FORMATS
from liftcheck.clif.types import I8, Type
from liftcheck.clif.values import table
from liftcheck.generators.body import Body
from liftcheck.generators.rows import Row


def divide(body: Body) -> None:
    """A division or remainder: by an interesting constant, by something that is not zero, or by anything."""
    rows = body.program.divisions
    emit_division(body, rows[body.bits(10) % len(rows)])


def emit_division(body: Body, row: Row) -> None:
    """One division of the row's typing."""
    ty = row.type
    assert ty is not None
    r = body.bits(8)
    signed = _SIGNED[row.op]
    if r & 3 == 0 or (r & 3 == 1 and not body.program.may_trap):
        divisor = body.const(ty, _divisor(body, ty, signed))
    elif body.program.may_trap and body.is_entry and r & 0xC == 0:
        divisor = body.value(ty)
    else:
        divisor = body.value(ty)
        if signed:
            divisor = body.ins("band", ty, (divisor, body.const(ty, ty.mask >> 1)), ty)
        divisor = body.ins("bor", ty, (divisor, body.const(ty, 1)), ty)
    body.plain(row, divisor, 1)


_SIGNED: Final = {"udiv": False, "urem": False, "sdiv": True, "srem": True}


def _divisor(body: Body, ty: Type, signed: bool) -> int:
    value = table(ty)[body.bits(10)]
    if value == 0 or (signed and value == ty.mask):
        return 3
    return value


@cache
def _limits(float_kind: Type, int_kind: Type, signed: bool) -> tuple[int, int] | None:
    """Bit patterns of the least and greatest float that converts, exactly representable in between; None if unknown."""
    form = FORMATS[float_kind.bits]
    bias, mantissa = (1 << (form.exponent - 1)) - 1, form.stored
    power = int_kind.bits - (1 if signed else 0)
    top = form.infinity
    high = min((power + bias) << mantissa, top) - 1
    low = (1 << (float_kind.bits - 1)) | (min((power + bias) << mantissa, top - 1)) if signed else 0
    return low, high


def convert(body: Body) -> None:
    """A float to integer conversion that traps out of range: clamped before, or not."""
    rows = body.program.conversions
    emit_conversion(body, rows[body.bits(10) % len(rows)])


def emit_conversion(body: Body, row: Row) -> None:
    """One conversion of the row's typing."""
    ty, result = row.args[0], row.type
    assert result is not None
    if body.program.may_trap and body.is_entry and body.bits(2) == 0:
        body.plain(row)
        return
    limits = _limits(ty, result, row.op == "fcvt_to_sint")
    if limits is None or not (body.table.has(f"fcmp.{ty.name}") and body.table.has(f"select.{ty.name}.i8")):
        body.plain(row, body.const(ty, 0), 0)
        return
    value = body.value(ty)
    low, high = body.const(ty, limits[0]), body.const(ty, limits[1])
    for bound, code in ((low, "ge"), (high, "le")):
        fits = body.ins("fcmp", ty, (value, bound), I8, code)
        value = body.ins("select", ty, (fits, value, bound), ty)
    body.plain(row, value, 0)


def trap(body: Body) -> None:
    """A conditional trap, or an addition that traps on overflow."""
    rows = body.program.traps
    emit_trap(body, rows[body.bits(10) % len(rows)])


def emit_trap(body: Body, row: Row) -> None:
    """One conditional trap of the row's typing."""
    if row.op == "uadd_overflow_trap":
        _overflow_trap(body, row)
    else:
        _conditional(body, row)


def _overflow_trap(body: Body, row: Row) -> None:
    ty = row.args[0]
    a, b = body.value(ty), body.value(ty) if body.bits(1) else body.const(ty)
    if not (body.program.may_trap and body.is_entry and body.bits(2) == 0):
        a = body.ins("ushr", ty, (a, body.const(I8, 1)), ty)
        b = body.ins("ushr", ty, (b, body.const(I8, 1)), ty)
    code = ("heap_oob", "int_ovf", "user9", "user25")[body.bits(2)]
    body.push(body.ins(row.op, row.type, (a, b), ty, code), ty)


def _conditional(body: Body, row: Row) -> None:
    ty = row.args[0]
    r = body.bits(16)
    code = ("int_divz", "heap_oob", "int_ovf", "bad_toint", f"user{1 + (r & 127)}", "user11", "user250", "user1")[
        r >> 8 & 7
    ]
    zero = row.op == "trapz"
    if body.program.may_trap and body.is_entry:
        if ty is I8 and r & 0x800:
            condition = body.truth()
            if body.types[condition] is not ty:
                condition = body.value(ty)
            if zero:
                body.effect(row.op, ty, (condition,), code)
                return
        condition = body.value(ty)
        if not zero and r & 0x1000:
            condition = body.ins("ushr", ty, (condition, body.const(I8, ty.bits - 1)), ty)
        elif not zero:
            condition = body.ins("icmp", ty, (condition, body.const(ty)), I8, "eq")
            ty = I8
            if not body.table.has("trapnz.i8"):
                return
        body.effect(row.op, ty, (condition,), code)
        return
    if zero:
        condition = body.ins("bor", ty, (body.value(ty), body.const(ty, 1 << (r & 7))), ty)
    else:
        value = body.ins("band", ty, (body.value(ty), body.const(ty, 0x3F)), ty)
        condition = body.ins("ushr", ty, (value, body.const(I8, 6)), ty)
    body.effect(row.op, ty, (condition,), code)
