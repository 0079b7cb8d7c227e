"""riscv64: vector loads and stores: unit-stride, strided, of masks, of whole registers.

An access of all active elements is one access where no mask is; under a mask it is one for each element. Indexed
accesses and those of several fields have no row: nothing emits them. A misaligned element is not said to trap: that
is the machine's choice. Source: The RISC-V Instruction Set Manual, Volume I (20240411), 30.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64.insts.common import VECTOR, VLEN, Configuration
from liftcheck.isa.riscv64.insts.vconfig import (
    check_mask,
    configuration,
    elements,
    is_masked,
    merged,
    refuse,
    unchanged_if_empty,
    vector,
)
from liftcheck.mach.rows.machine import ALWAYS, Machine, NoMeaning
from liftcheck.mach.rows.row import Meaning, Row

_WIDTHS: Final = ((8, "000"), (16, "101"), (32, "110"), (64, "111"))


def _fits(c: Configuration, width: int) -> None:
    """EMUL = EEW / SEW * LMUL is an eighth to one."""
    if not VLEN // 8 <= c.lanes * width <= VLEN:
        raise NoMeaning("an access of a group of registers, or of less than an eighth of one")


def _active(s: Machine, vm: Term, lane: int) -> Term:
    return b.extract(s.read(VECTOR), lane, 1) if is_masked(vm) else ALWAYS


def _load(width: int) -> Meaning:
    def meaning(s: Machine, old: Term, base: Term, vm: Term) -> Term:
        c = configuration(s)
        check_mask(s, vm)
        _fits(c, width)
        if is_masked(vm):
            return _gathered(s, c, old, base, const(width // 8, 64), vm, width)
        if not c.vl:
            return old
        count = min(c.vl, c.lanes)
        value = s.load(base, count * width // 8)
        whole = b.zext(value, c.lanes * width)
        return merged(s, c, old, b.shape(whole, width, c.lanes), vm)

    return meaning


def _gathered(s: Machine, c: Configuration, old: Term, base: Term, stride: Term, vm: Term, width: int) -> Term:
    found, address = [], base
    for lane in range(c.lanes):
        if lane < c.vl:
            found.append(s.load(address, width // 8, _active(s, vm, lane)))
            address = b.add(address, stride)
        else:
            found.append(const(0, width))
    return unchanged_if_empty(c, old, merged(s, c, old, b.permute(found, range(c.lanes)), vm))


def _store(width: int) -> Meaning:
    def meaning(s: Machine, value: Term, base: Term, vm: Term) -> None:
        c = configuration(s)
        _fits(c, width)
        if not c.vl:
            return
        if is_masked(vm):
            _scattered(s, c, value, base, const(width // 8, 64), vm, width)
        else:
            s.store(base, b.extract(value, 0, min(c.vl, c.lanes) * width))

    return meaning


def _scattered(s: Machine, c: Configuration, value: Term, base: Term, stride: Term, vm: Term, width: int) -> None:
    address = base
    for lane in range(c.vl):
        s.store(address, b.pick(elements(value, width, c.lanes), lane), _active(s, vm, lane))
        address = b.add(address, stride)


def _strided_load(width: int) -> Meaning:
    def meaning(s: Machine, old: Term, base: Term, stride: Term, vm: Term) -> Term:
        c = configuration(s)
        check_mask(s, vm)
        _fits(c, width)
        return _gathered(s, c, old, base, stride, vm, width)

    return meaning


def _strided_store(width: int) -> Meaning:
    def meaning(s: Machine, value: Term, base: Term, stride: Term, vm: Term) -> None:
        c = configuration(s)
        _fits(c, width)
        _scattered(s, c, value, base, stride, vm, width)

    return meaning


def _mask_load(s: Machine, old: Term, base: Term) -> Term:
    size = (configuration(s).vl + 7) // 8
    if not size:
        return old
    value = s.load(base, size)
    return b.concat(s.undefined(VLEN - 8 * size), value) if 8 * size < VLEN else value


def _mask_store(s: Machine, value: Term, base: Term) -> None:
    size = (configuration(s).vl + 7) // 8
    if size:
        s.store(base, b.extract(value, 0, 8 * size))


def _whole_load(count: int) -> Meaning:
    def meaning(s: Machine, base: Term) -> Term:
        first = int(str(s.operands["vd"]))
        refuse(first % count != 0)
        for k in range(1, count):
            s.write(VECTOR + first + k, s.load(b.add(base, const(16 * k, 64)), 16))
        return s.load(base, 16)

    return meaning


def _whole_store(count: int) -> Meaning:
    def meaning(s: Machine, value: Term, base: Term) -> None:
        first = int(str(s.operands["vs3"]))
        refuse(first % count != 0)
        s.store(base, value)
        for k in range(1, count):
            s.store(b.add(base, const(16 * k, 64)), s.read(VECTOR + first + k))

    return meaning


def _rows() -> Iterator[Row]:
    for width, three in _WIDTHS:
        yield vector(
            f"vle{width}.v +vd, (rs1){{, vm}}", f"000 0 00 vm 00000 rs1 {three} vd 0000111", _load(width), "30.7.4"
        )
        yield vector(
            f"vse{width}.v vs3, (rs1){{, vm}}", f"000 0 00 vm 00000 rs1 {three} vd 0100111", _store(width), "30.7.4"
        )
        yield vector(f"vlse{width}.v +vd, (rs1), rs2{{, vm}}", f"000 0 10 vm rs2 rs1 {three} vd 0000111",
                     _strided_load(width), "30.7.5")  # fmt: skip
        yield vector(f"vsse{width}.v vs3, (rs1), rs2{{, vm}}", f"000 0 10 vm rs2 rs1 {three} vd 0100111",
                     _strided_store(width), "30.7.5")  # fmt: skip
        for count in (1, 2, 4, 8):
            yield vector(f"vl{count}re{width}.v vd, (rs1)", f"{count - 1:03b} 0 00 1 01000 rs1 {three} vd 0000111",
                         _whole_load(count), "30.7.9")  # fmt: skip
    for count in (1, 2, 4, 8):
        yield vector(
            f"vs{count}r.v vs3, (rs1)",
            f"{count - 1:03b} 0 00 1 01000 rs1 000 vd 0100111",
            _whole_store(count),
            "30.7.9",
        )
    yield vector("vlm.v +vd, (rs1)", "000 0 00 1 01011 rs1 000 vd 0000111", _mask_load, "30.7.4")
    yield vector("vsm.v vs3, (rs1)", "000 0 00 1 01011 rs1 000 vd 0100111", _mask_store, "30.7.4")


ROWS: Final = tuple(_rows())
