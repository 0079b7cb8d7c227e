"""Which words of the frame own bytes access.

The one idea: the stack and frame pointer are followed through the bytes' address arithmetic, as terms; an access whose
address is a known distance from the body's stack pointer is one of the frame. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from liftcheck.bits.term import Term, var
from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import CALL, address, register, show
from liftcheck.mach.regs import NONE
from liftcheck.mach.state import State, parts
from liftcheck.oracles.regalloc.code.layout import Placed


class Access(NamedTuple):
    """One of the frame: `offset` from the body's stack pointer, `size` in bytes, whether it `stores`."""

    placed: Placed
    offset: int
    size: int
    stores: bool


def framed(isa: str, own: Sequence[Placed], shift: int, frame_pointer: int | None) -> Iterator[Access]:
    """Accesses to the frame. Addresses
    are followed through address arithmetic, those of far slots as well, which have an index; an access by any other
    register is not seen.

    `shift` is how far the stack pointer is from the body's now. What happens to it after a call makes up for what the
    callee took away (see `_pushed`)."""
    kept = reserved(isa)
    state = State(isa)
    called = False
    if shift:
        state.registers[kept.sp] = address(isa, kept.sp, shift)
    if kept.frame >= 0 and frame_pointer is not None:
        state.registers[kept.frame] = address(isa, kept.sp, frame_pointer)
    for placed in own:
        machine, indexed = placed.machine, False
        for access in machine.accesses:
            indexed = indexed or access.scaled != NONE
            if access.base >= 0 and access.scaled == NONE:
                found = parts(state.value(access.base))
                if found is not None and found[0] is state.base:
                    if access.read:
                        yield Access(placed, found[1] + access.displacement, access.size, False)
                    if access.written:
                        yield Access(placed, found[1] + access.displacement, access.size, True)
        if indexed and machine.effect is not None:
            accesses = [(load.address, load.size, False) for load in machine.effect.loads]
            accesses += [(store.address, store.size, True) for store in machine.effect.stores]
            for where, size, stores in accesses:
                distance = state.distance(where)
                if distance is not None:
                    yield Access(placed, distance, size, stores)
        if machine.flow == CALL:
            called = True
            state.registers.pop(kept.sp, None)
        if called and kept.sp in machine.writes:
            continue
        if machine.effect is not None and not machine.effect.loads and not machine.effect.stores:
            state.run(machine.effect)
            continue
        for place in machine.writes:
            if place >= 0:
                state.registers[place] = something(isa, place)


def something(isa: str, place: int) -> Term:
    """What a register holds that is not followed."""
    return var(f"something in {show(place, isa)}", register(isa, place).bits)
