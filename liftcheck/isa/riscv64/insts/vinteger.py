"""riscv64: vector integer arithmetic, fixed point, reductions; comparisons; Zvbb.

Legend of the tables: funct6, name, how operands may be given (V vector, X register, I immediate, U unsigned
immediate), the function of (vs2, vs1) lanes.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), 30.10 to 30.12, 30.14; 32.2 (Zvbb).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64.insts.bits import reversed_in_bytes
from liftcheck.isa.riscv64.insts.common import VECTOR, Configuration
from liftcheck.isa.riscv64.insts.integer import high, quotient, remainder
from liftcheck.isa.riscv64.insts.vconfig import (
    check_mask,
    configuration,
    elements,
    is_masked,
    mask_bits,
    mask_result,
    merged,
    refuse,
    unchanged_if_empty,
    vector,
    with_rest,
)
from liftcheck.mach.rows.integers import halved, saturated
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Meaning, Row

Lanes2 = Callable[[Term, Term], Term]
SOURCES: Final = {
    "V": ("000", "vs1", "v"), "X": ("100", "rs1", "x"), "I": ("011", "simm5", "i"), "U": ("011", "vuimm", "i"),
}  # fmt: skip
"""Of integer instructions: funct3, operand, letter of the suffix. Of multiplications V is 010, X 110."""


def other(c: Configuration, value: Term, width: int) -> Term:
    """The second source's lanes: of a vector, or a scalar in every lane."""
    if value.bits == 128:
        return elements(value, width, c.lanes)
    return b.splat(b.trunc(value, width) if width < 64 else value, c.lanes)


def lanewise(function: Lanes2, first: int = 1, second: int = 1, wide: int = 1) -> Meaning:
    """vd = function(vs2, vs1), lane by lane; widths of the sources and of the result in SEW."""

    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
        c = configuration(s, max(first, wide))
        check_mask(s, vm)
        if wide > first:
            refuse(s.operands["vd"] == s.operands["vs2"])
        if wide > second and vs1.bits == 128:
            refuse(s.operands["vd"] == s.operands["vs1"])
        result = function(elements(vs2, first * c.sew, c.lanes), other(c, vs1, second * c.sew))
        return merged(s, c, old, result, vm)

    return meaning


def comparing(function: Lanes2) -> Meaning:
    """A mask of truth values."""

    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
        c = configuration(s)
        bits = function(elements(vs2, c.sew, c.lanes), other(c, vs1, c.sew))
        return mask_result(s, c, old, bits, vm)

    return meaning


def three(function: Callable[[Term, Term, Term], Term], wide: int = 1) -> Meaning:
    """vd = function(vd, vs1, vs2)."""

    def meaning(s: Machine, old: Term, vs1: Term, vs2: Term, vm: Term) -> Term:
        c = configuration(s, wide)
        check_mask(s, vm)
        refuse(wide > 1 and s.operands["vd"] in (s.operands["vs2"], s.operands.get("vs1")))
        lanes = elements(old, wide * c.sew, c.lanes), other(c, vs1, c.sew), elements(vs2, c.sew, c.lanes)
        return merged(s, c, old, function(*lanes), vm)

    return meaning


def _shift(function: Lanes2) -> Lanes2:
    return lambda a, n: function(a, b.band(n, const(a.lane - 1, a.lane, a.lanes)))


def _narrowing_shift(function: Lanes2) -> Lanes2:
    """A wide source, a narrow result; the amount has one bit more."""

    def shift(a: Term, n: Term) -> Term:
        return b.trunc(function(a, b.band(b.zext(n, a.lane), const(a.lane - 1, a.lane, a.lanes))), a.lane // 2)

    return shift


def rounded_shift(a: Term, n: Term, signed: bool) -> Term:
    """Shifted to the right by n < lane, rounded to nearest, up; one bit wider."""
    wide = a.lane + 1
    value, amount = (b.sext if signed else b.zext)(a, wide), b.zext(n, wide)
    one = const(1, wide, a.lanes)
    shift = b.ashr if signed else b.lshr
    carry = b.band(shift(value, b.sub(amount, one)), one)
    carry = b.ite(b.nonzero(n), carry, const(0, wide, a.lanes))
    return b.add(shift(value, amount), carry)


def _scaling(signed: bool) -> Lanes2:
    def result(a: Term, n: Term) -> Term:
        return b.trunc(rounded_shift(a, b.band(n, const(a.lane - 1, a.lane, a.lanes)), signed), a.lane)

    return result


def _clip(signed: bool) -> Lanes2:
    def result(a: Term, n: Term) -> Term:
        amount = b.band(b.zext(n, a.lane), const(a.lane - 1, a.lane, a.lanes))
        exact = rounded_shift(a, amount, signed)
        half = a.lane // 2
        return b.clamp_signed(exact, half) if signed else b.clamp_unsigned(exact, half, False)

    return result


def _fractional_product(a: Term, c: Term) -> Term:
    wide = 2 * a.lane
    product = b.mul(b.sext(a, wide), b.sext(c, wide))
    amount = const(a.lane - 1, wide, a.lanes)
    return b.clamp_signed(rounded_shift(product, amount, True), a.lane)


def widened(operation: Lanes2, first: Callable[[Term, int], Term], second: Callable[[Term, int], Term]) -> Lanes2:
    """The operation on operands of twice the width."""
    return lambda a, c: operation(first(a, 2 * a.lane), second(c, 2 * c.lane))


def _wide_first(operation: Lanes2, second: Callable[[Term, int], Term]) -> Lanes2:
    return lambda a, c: operation(a, second(c, a.lane))


def swapped(function: Lanes2) -> Lanes2:
    """With its operands the other way round."""
    return lambda a, c: function(c, a)


_INTEGER: Final[tuple[tuple[str, str, str, Lanes2], ...]] = (
    ("000000", "vadd", "VXI", b.add), ("000010", "vsub", "VX", b.sub), ("000011", "vrsub", "XI", swapped(b.sub)),
    ("000100", "vminu", "VX", b.umin), ("000101", "vmin", "VX", b.smin), ("000110", "vmaxu", "VX", b.umax),
    ("000111", "vmax", "VX", b.smax), ("001001", "vand", "VXI", b.band), ("001010", "vor", "VXI", b.bor),
    ("001011", "vxor", "VXI", b.bxor), ("100000", "vsaddu", "VXI", saturated(b.add, False)),
    ("100001", "vsadd", "VXI", saturated(b.add, True)), ("100010", "vssubu", "VX", saturated(b.sub, False)),
    ("100011", "vssub", "VX", saturated(b.sub, True)), ("100101", "vsll", "VXU", _shift(b.shl)),
    ("100111", "vsmul", "VX", _fractional_product), ("101000", "vsrl", "VXU", _shift(b.lshr)),
    ("101001", "vsra", "VXU", _shift(b.ashr)), ("101010", "vssrl", "VXU", _scaling(False)),
    ("101011", "vssra", "VXU", _scaling(True)),
)  # fmt: skip
_COMPARISONS: Final[tuple[tuple[str, str, str, Lanes2], ...]] = (
    ("011000", "vmseq", "VXI", b.eq), ("011001", "vmsne", "VXI", b.ne), ("011010", "vmsltu", "VX", b.ult),
    ("011011", "vmslt", "VX", b.slt), ("011100", "vmsleu", "VXI", b.ule), ("011101", "vmsle", "VXI", b.sle),
    ("011110", "vmsgtu", "XI", swapped(b.ult)), ("011111", "vmsgt", "XI", swapped(b.slt)),
)  # fmt: skip
_NARROWING: Final[tuple[tuple[str, str, Lanes2], ...]] = (
    ("101100", "vnsrl", _narrowing_shift(b.lshr)), ("101101", "vnsra", _narrowing_shift(b.ashr)),
    ("101110", "vnclipu", _clip(False)), ("101111", "vnclip", _clip(True)),
)  # fmt: skip
_MULTIPLY: Final[tuple[tuple[str, str, Lanes2], ...]] = (
    ("001000", "vaaddu", halved(b.add, False, True)), ("001001", "vaadd", halved(b.add, True, True)),
    ("001010", "vasubu", halved(b.sub, False, True)), ("001011", "vasub", halved(b.sub, True, True)),
    ("100000", "vdivu", quotient(b.udiv)), ("100001", "vdiv", quotient(b.sdiv)), ("100010", "vremu", remainder(b.urem)),
    ("100011", "vrem", remainder(b.srem)), ("100100", "vmulhu", high(False, False)), ("100101", "vmul", b.mul),
    ("100110", "vmulhsu", high(True, False)), ("100111", "vmulh", high(True, True)),
)  # fmt: skip
_WIDENING: Final[tuple[tuple[str, str, Lanes2], ...]] = (
    ("110000", "vwaddu", widened(b.add, b.zext, b.zext)), ("110001", "vwadd", widened(b.add, b.sext, b.sext)),
    ("110010", "vwsubu", widened(b.sub, b.zext, b.zext)), ("110011", "vwsub", widened(b.sub, b.sext, b.sext)),
    ("111000", "vwmulu", widened(b.mul, b.zext, b.zext)), ("111010", "vwmulsu", widened(b.mul, b.sext, b.zext)),
    ("111011", "vwmul", widened(b.mul, b.sext, b.sext)),
)  # fmt: skip
_WIDE: Final[tuple[tuple[str, str, Lanes2], ...]] = (
    ("110100", "vwaddu", _wide_first(b.add, b.zext)), ("110101", "vwadd", _wide_first(b.add, b.sext)),
    ("110110", "vwsubu", _wide_first(b.sub, b.zext)), ("110111", "vwsub", _wide_first(b.sub, b.sext)),
)  # fmt: skip


def _multiply_add(sign: int, into_product: bool) -> Callable[[Term, Term, Term], Term]:
    """±(vs1 * vd) + vs2 where vd is a factor, else ±(vs1 * vs2) + vd."""

    def result(old: Term, one: Term, two: Term) -> Term:
        product, addend = (b.mul(one, old), two) if into_product else (b.mul(one, two), old)
        return b.add(addend, product) if sign > 0 else b.sub(addend, product)

    return result


_ACCUMULATING: Final = (
    ("101001", "vmadd", _multiply_add(1, True)), ("101011", "vnmsub", _multiply_add(-1, True)),
    ("101101", "vmacc", _multiply_add(1, False)), ("101111", "vnmsac", _multiply_add(-1, False)),
)  # fmt: skip


def _wide_accumulate(
    first: Callable[[Term, int], Term], second: Callable[[Term, int], Term]
) -> Callable[[Term, Term, Term], Term]:
    return lambda old, one, two: b.add(old, b.mul(first(one, old.lane), second(two, old.lane)))


_WIDE_ACCUMULATING: Final = (
    ("111100", "vwmaccu", "VX", _wide_accumulate(b.zext, b.zext)),
    ("111101", "vwmacc", "VX", _wide_accumulate(b.sext, b.sext)),
    ("111110", "vwmaccus", "X", _wide_accumulate(b.zext, b.sext)),
    ("111111", "vwmaccsu", "VX", _wide_accumulate(b.sext, b.zext)),
)  # fmt: skip


def _arithmetic() -> Iterator[Row]:
    for six, name, ways, function in _INTEGER:
        for way in ways:
            minor, source, letter = SOURCES[way]
            field = "rs1" if source == "rs1" else "vs1"
            yield vector(f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} vm vs2 {field} {minor} vd 1010111",
                         lanewise(function), "30.11")  # fmt: skip
    for six, name, ways, function in _COMPARISONS:
        for way in ways:
            minor, source, letter = SOURCES[way]
            field = "rs1" if source == "rs1" else "vs1"
            yield vector(f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} vm vs2 {field} {minor} vd 1010111",
                         comparing(function), "30.11.8")  # fmt: skip
    for six, name, function in _NARROWING:
        for minor, source, field, letter in (("000", "vs1", "vs1", "v"), ("100", "rs1", "rs1", "x"),
                                             ("011", "vuimm", "vs1", "i")):  # fmt: skip
            yield vector(f"{name}.w{letter} +vd, vs2, {source}{{, vm}}", f"{six} vm vs2 {field} {minor} vd 1010111",
                         lanewise(function, first=2), "30.11.7, 30.12.5")  # fmt: skip


_TWO: Final = (("010", "vs1", "v"), ("110", "rs1", "x"))


def _multiplications() -> Iterator[Row]:
    for minor, source, letter in _TWO:
        tail = f"vm vs2 {source} {minor} vd 1010111"
        for six, name, function in _MULTIPLY:
            yield vector(
                f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} {tail}", lanewise(function), "30.11, 30.12"
            )
        for six, name, function in _WIDENING:
            yield vector(f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} {tail}", lanewise(function, wide=2),
                         "30.11")  # fmt: skip
        for six, name, function in _WIDE:
            yield vector(f"{name}.w{letter} +vd, vs2, {source}{{, vm}}", f"{six} {tail}",
                         lanewise(function, first=2, wide=2), "30.11.2")  # fmt: skip
        for six, name, fused in _ACCUMULATING:
            yield vector(f"{name}.v{letter} +vd, {source}, vs2{{, vm}}", f"{six} {tail}", three(fused), "30.11.13")
        for six, name, ways, fused in _WIDE_ACCUMULATING:
            if letter.upper() in ways:
                yield vector(
                    f"{name}.v{letter} +vd, {source}, vs2{{, vm}}", f"{six} {tail}", three(fused, 2), "30.11.14"
                )


def _carry() -> Iterator[Row]:
    """vadc, vsbc, vmadc, vmsbc: with the mask as carry, or (bit 25) without one."""
    for six, name, operation in (("010000", "vadc", b.add), ("010010", "vsbc", b.sub)):
        for way in "VXI" if name == "vadc" else "VX":
            minor, source, letter = SOURCES[way]
            field = "rs1" if source == "rs1" else "vs1"
            yield vector(f"{name}.v{letter}m +vd, vs2, {source}, v0", f"{six} 0 vs2 {field} {minor} vd 1010111",
                         _with_carry(operation), "30.11.4")  # fmt: skip
    for six, name, operation in (("010001", "vmadc", b.add), ("010011", "vmsbc", b.sub)):
        for way in "VXI" if name == "vmadc" else "VX":
            minor, source, letter = SOURCES[way]
            field = "rs1" if source == "rs1" else "vs1"
            yield vector(f"{name}.v{letter} +vd, vs2, {source}", f"{six} 1 vs2 {field} {minor} vd 1010111",
                         _carry_out(operation, False), "30.11.4")  # fmt: skip
            yield vector(f"{name}.v{letter}m +vd, vs2, {source}, v0", f"{six} 0 vs2 {field} {minor} vd 1010111",
                         _carry_out(operation, True), "30.11.4")  # fmt: skip


def _with_carry(operation: Lanes2) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term) -> Term:
        c = configuration(s)
        refuse(s.operands["vd"] == 0)
        carry = b.zext(mask_bits(s.read(VECTOR), c.lanes), c.sew)
        total = operation(operation(elements(vs2, c.sew, c.lanes), other(c, vs1, c.sew)), carry)
        return merged(s, c, old, total, None)

    return meaning


def _carry_out(operation: Lanes2, with_carry: bool) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term) -> Term:
        c = configuration(s)
        wide = c.sew + 1
        total = operation(b.zext(elements(vs2, c.sew, c.lanes), wide), b.zext(other(c, vs1, c.sew), wide))
        if with_carry:
            total = operation(total, b.zext(mask_bits(s.read(VECTOR), c.lanes), wide))
        return mask_result(s, c, old, b.extract(total, c.sew, 1), None)

    return meaning


def _extensions() -> Iterator[Row]:
    for number, name, extend, part in (
        ("00010", "vzext.vf8", b.zext, 8),
        ("00011", "vsext.vf8", b.sext, 8),
        ("00100", "vzext.vf4", b.zext, 4),
        ("00101", "vsext.vf4", b.sext, 4),
        ("00110", "vzext.vf2", b.zext, 2),
        ("00111", "vsext.vf2", b.sext, 2),
    ):
        yield vector(
            f"{name} +vd, vs2{{, vm}}", f"010010 vm vs2 {number} 010 vd 1010111", _extension(extend, part), "30.11.3"
        )


def _extension(extend: Callable[[Term, int], Term], part: int) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vm: Term) -> Term:
        c = configuration(s)
        check_mask(s, vm)
        refuse(s.operands["vd"] == s.operands["vs2"])
        if c.sew // part < 8 or c.lanes * c.sew * 8 < 128 * part:
            raise NoMeaning("elements of less than 8 bits, or less than an eighth of a register")
        return merged(s, c, old, extend(elements(vs2, c.sew // part, c.lanes), c.sew), vm)

    return meaning


def one_source(function: Callable[[Term], Term]) -> Meaning:
    """vd = function(vs2)."""

    def meaning(s: Machine, old: Term, vs2: Term, vm: Term) -> Term:
        c = configuration(s)
        check_mask(s, vm)
        return merged(s, c, old, function(elements(vs2, c.sew, c.lanes)), vm)

    return meaning


def _bit_manipulation() -> Iterator[Row]:
    needs = "v zvbb"
    for six, name, ways, function in (
        ("000001", "vandn", "VX", lambda a, c: b.band(a, b.bnot(c))), ("010100", "vror", "VX", _shift(b.rotr)),
        ("010101", "vrol", "VX", _shift(b.rotl)),
    ):  # fmt: skip
        for way in ways:
            minor, source, letter = SOURCES[way]
            yield vector(f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} vm vs2 {source} {minor} vd 1010111",
                         lanewise(function), "32.2", needs)  # fmt: skip
    yield vector(
        "vror.vi +vd, vs2, uimm6{, vm}",
        "01010 uimm6[5] vm vs2 uimm6[4:0] 011 vd 1010111",
        lanewise(_shift(b.rotr)),
        "32.2",
        needs,
    )
    for minor, source, field, letter in (
        ("000", "vs1", "vs1", "v"),
        ("100", "rs1", "rs1", "x"),
        ("011", "vuimm", "vs1", "i"),
    ):
        yield vector(f"vwsll.v{letter} +vd, vs2, {source}{{, vm}}", f"110101 vm vs2 {field} {minor} vd 1010111",
                     lanewise(_widening_shift, wide=2), "32.2", needs)  # fmt: skip
    for number, name, one in (
        ("01000", "vbrev8", reversed_in_bytes),
        ("01001", "vrev8", b.bswap),
        ("01010", "vbrev", b.bitrev),
        ("01100", "vclz", b.clz),
        ("01101", "vctz", b.ctz),
        ("01110", "vcpop", b.popcnt),
    ):
        yield vector(
            f"{name}.v +vd, vs2{{, vm}}", f"010010 vm vs2 {number} 010 vd 1010111", one_source(one), "32.2", needs
        )


def _widening_shift(a: Term, n: Term) -> Term:
    wide = 2 * a.lane
    return b.shl(b.zext(a, wide), b.band(b.zext(n, wide), const(wide - 1, wide, a.lanes)))


def reduction(function: Lanes2, extend: Callable[[Term, int], Term] | None = None) -> Meaning:
    """vd[0] = vs1[0] and all active vs2 elements, folded; `extend`: of vs2 to twice the width."""

    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
        c = configuration(s)
        width = c.sew * (2 if extend else 1)
        if width > 64:
            raise NoMeaning("elements of more than 64 bits")
        total = b.extract(vs1, 0, width)
        for lane in range(c.vl):
            one = b.extract(vs2, lane * c.sew, c.sew)
            step = function(total, extend(one, width) if extend else one)
            total = b.ite(b.extract(s.read(VECTOR), lane, 1), step, total) if is_masked(vm) else step
        return unchanged_if_empty(c, old, with_rest(s, c, old, total))

    return meaning


_REDUCTIONS: Final[tuple[tuple[str, str, Lanes2], ...]] = (
    ("000000", "vredsum", b.add),
    ("000001", "vredand", b.band),
    ("000010", "vredor", b.bor),
    ("000011", "vredxor", b.bxor),
    ("000100", "vredminu", b.umin),
    ("000101", "vredmin", b.smin),
    ("000110", "vredmaxu", b.umax),
    ("000111", "vredmax", b.smax),
)


def _reductions() -> Iterator[Row]:
    for six, name, function in _REDUCTIONS:
        yield vector(
            f"{name}.vs +vd, vs2, vs1{{, vm}}", f"{six} vm vs2 vs1 010 vd 1010111", reduction(function), "30.14.1"
        )
    for six, name, extend in (("110000", "vwredsumu", b.zext), ("110001", "vwredsum", b.sext)):
        yield vector(
            f"{name}.vs +vd, vs2, vs1{{, vm}}", f"{six} vm vs2 vs1 000 vd 1010111", reduction(b.add, extend), "30.14.2"
        )


ROWS: Final = (
    *_arithmetic(), *_multiplications(), *_carry(), *_extensions(), *_bit_manipulation(), *_reductions(),
)  # fmt: skip
