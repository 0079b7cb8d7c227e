"""What riscv64's moves, loads and stores of vectors do exactly, and the configuration that they do it under.

The configuration is one value, vl << 16 | vtype, with vl for VLEN = 128, the least that V guarantees, and how many
elements are asked for above.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), 30.3, 30.6, 30.7.
"""

from __future__ import annotations

from typing import Final

from liftcheck.bits.build import eq, extract, ite
from liftcheck.bits.term import Term, const, var
from liftcheck.mach import insn as m
from liftcheck.mach.insn import Effect, Insn, Load, Store, address, loaded, register

_ISA: Final = "riscv64"
VLEN: Final = 128
_ASKED: Final = 48
"""Where the number of elements stands that is asked for."""


def configuration(word: int) -> int:
    """The configuration that a `vsetivli` makes, and above it how many elements are asked for."""
    vtype, wanted = word >> 20 & 0x3FF, word >> 15 & 31
    element = 8 << (vtype >> 3 & 7)
    shift = vtype & 7
    most = VLEN // element >> (8 - shift if shift else 0)
    return wanted << _ASKED | min(wanted, most) << 16 | vtype


def sized(machine: Insn, state: int) -> Insn:
    """The instruction under a configuration: what it accesses of memory are the elements that are asked for, which a
    register has that is as wide as the code was compiled for."""
    accessed = [a for a in machine.accesses if m.VECTOR_CONFIGURATION in machine.reads]
    if not accessed:
        return machine
    width = int("".join(c for c in machine.name if c.isdigit()))
    size = (state >> _ASKED) * width // 8
    return machine._replace(accesses=tuple(a._replace(size=size) for a in accessed))


def _full(width: int) -> Term:
    """Truth of 'vl elements of `width` bits are a whole register'."""
    state = register(_ISA, m.VECTOR_CONFIGURATION)
    return eq(extract(state, 16, _ASKED - 16), const(VLEN // width, _ASKED - 16))


def _unknown(name: str) -> Term:
    """Any value: what the tail of a register or of a place in memory holds if vl is less."""
    return var(name, VLEN)


def of_configuration(data: bytes) -> Effect:
    """What a `vsetivli` does whose result goes nowhere."""
    state = configuration(int.from_bytes(data, "little"))
    return Effect(((m.VECTOR_CONFIGURATION, const(state, 64)),))


def of_access(data: bytes) -> Effect:
    """What a load or store of a register's elements does, without a mask."""
    word = int.from_bytes(data, "little")
    place, base, width = 128 + (word >> 7 & 31), word >> 15 & 31, {0: 8, 5: 16, 6: 32, 7: 64}[word >> 12 & 7]
    where = address(_ISA, base, 0)
    if word & 0x7F == 0x27:
        value = ite(_full(width), register(_ISA, place), _unknown("stored in part"))
        return Effect(stores=(Store(where, 16, value),))
    value = ite(_full(width), loaded(0, 16), _unknown("loaded in part"))
    return Effect(((place, value),), (Load(loaded(0, 16), where, 16),))
