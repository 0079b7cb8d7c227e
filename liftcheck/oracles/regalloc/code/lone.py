"""Instructions that are all of their own bytes: nearly all are, and nearly all of those are plain.

The one idea: the rules of `accesses` have nothing to say of an instruction that reads exactly its uses, writes exactly
its definitions, and touches nothing that a rule tracks across instructions: flags that it reads, pointers to the frame,
scratch registers that carry values to the next. It judges nothing: what is not plain goes to the rules.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from liftcheck.isa.abi import Abi
from liftcheck.mach.insn import FLAGS, ORDINARY, Insn
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.regalloc.allocation import USE, Allocation


class Free(NamedTuple):
    """What every instruction may read and write, the pointers to the frame, the scratch registers, and those of them
    that the next instruction may read."""

    readable: Set[int]
    writable: Set[int]
    pointers: Set[int]
    scratch: Set[int]
    carried: Set[int]


def plain(machine: Insn, uses: Set[int], definitions: Set[int], free: Free) -> bool:
    """Whether no rule about an instruction's registers, flags and bases has anything to say. What writes nothing,
    or has no operand, is not plain: it may be idle, make room for arguments, or load the link."""
    reads, writes = machine.reads, machine.writes
    return (
        machine.flow == ORDINARY
        and uses <= reads
        and definitions <= writes
        and (len(reads) == len(uses) or reads - uses <= free.readable)
        and (len(writes) == len(definitions) or writes - definitions <= free.writable)
        and FLAGS not in reads
        and bool(writes and (uses or definitions))
        and not machine.twice
        and free.pointers.isdisjoint(reads)
        and free.carried.isdisjoint(writes)
        and (not machine.accesses or all(_based(a.base, a.scaled, free) for a in machine.accesses))
    )


def _based(base: int, scaled: int, free: Free) -> bool:
    """Whether an access has a base, and none that a far slot's may be."""
    return not base == scaled == NONE and base not in free.scratch


def unread(abi: Abi, allocation: Allocation, instruction: int, machine: Insn) -> set[int]:
    """Registers of several inputs that one field of a lone access reads."""
    if not machine.accesses or (abi.implicit and not machine.name.startswith("mov")):
        return set()
    what, places = allocation.instructions[instruction], allocation.places[instruction]
    if len(what.operands) < 2:
        return set()
    found = [p for o, p in zip(what.operands, places) if o.kind == USE and 0 <= p < SLOT]
    if len(found) == len(set(found)):
        return set()
    return {p for p in found if p in machine.reads - machine.twice - machine.merged and found.count(p) > 1}
