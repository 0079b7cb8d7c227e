"""riscv64: atomic memory operations (A, Zabha, Zacas), load-reserved and store-conditional.

Whether a store-conditional succeeds is not said: either is allowed wherever no other hart is seen. A misaligned
access traps. The suffixes of ordering change nothing that terms can see.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), chapters 14 (A), 16 (Zacas), 18 (Zabha).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits.build import add, band, bnot, bor, bxor, eq, nonzero, sext, smax, smin, trunc, umax, umin, zext
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64.insts.common import inst
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

_OPERATIONS: Final[tuple[tuple[str, str, Callable[[Term, Term], Term]], ...]] = (
    ("amoswap", "00001", lambda old, new: new), ("amoadd", "00000", add), ("amoxor", "00100", bxor),
    ("amoand", "01100", band), ("amoor", "01000", bor), ("amomin", "10000", smin), ("amomax", "10100", smax),
    ("amominu", "11000", umin), ("amomaxu", "11100", umax),
)  # fmt: skip
_WIDTHS: Final = (("b", "000", 1, "zabha"), ("h", "001", 2, "zabha"), ("w", "010", 4, "a"), ("d", "011", 8, "a"))
_ORDERS: Final = (("", "00"), (".rl", "01"), (".aq", "10"), (".aqrl", "11"))


def _aligned(s: Machine, address: Term, size: int) -> None:
    if size > 1:
        s.trap(nonzero(band(address, const(size - 1, 64))), "unaligned")


def _update(operation: Callable[[Term, Term], Term], size: int) -> Callable[..., Term]:
    def meaning(s: Machine, source: Term, address: Term) -> Term:
        _aligned(s, address, size)
        old = s.load(address, size)
        s.store(address, operation(old, trunc(source, 8 * size)))
        return sext(old, 64)

    return meaning


def _reserve(size: int) -> Callable[..., Term]:
    def meaning(s: Machine, address: Term) -> Term:
        _aligned(s, address, size)
        return sext(s.load(address, size), 64)

    return meaning


def _conditional(size: int) -> Callable[..., Term]:
    def meaning(s: Machine, source: Term, address: Term) -> Term:
        _aligned(s, address, size)
        fails = s.undefined(1)
        s.store(address, trunc(source, 8 * size), bnot(fails))
        return zext(fails, 64)

    return meaning


def _compare_and_swap(size: int) -> Callable[..., Term]:
    def meaning(s: Machine, expected: Term, source: Term, address: Term) -> Term:
        _aligned(s, address, size)
        old = s.load(address, size)
        s.store(address, trunc(source, 8 * size), eq(old, trunc(expected, 8 * size)))
        return sext(old, 64)

    return meaning


def _rows() -> Iterator[Row]:
    for suffix, three, size, needs in _WIDTHS:
        for order, bits in _ORDERS:
            tail = f"{bits} rs2 rs1 {three} rd 0101111"
            for name, five, operation in _OPERATIONS:
                yield inst(f"{name}.{suffix}{order} rd, rs2, (rs1)", f"{five} {tail}", _update(operation, size), "14.4",
                           needs)  # fmt: skip
            cas = f"{needs} zacas".removeprefix("a ")
            yield inst(f"amocas.{suffix}{order} +rd, rs2, (rs1)", f"00101 {tail}", _compare_and_swap(size), "16.1", cas)
            if needs == "a":
                yield inst(
                    f"lr.{suffix}{order} rd, (rs1)",
                    f"00010 {bits} 00000 rs1 {three} rd 0101111",
                    _reserve(size),
                    "14.2",
                    "a",
                )
                yield inst(f"sc.{suffix}{order} rd, rs2, (rs1)", f"00011 {tail}", _conditional(size), "14.2", "a",
                           "it fails without a reservation")  # fmt: skip


ROWS: Final = tuple(_rows())
