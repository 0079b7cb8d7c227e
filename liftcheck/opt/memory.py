"""What memory is known to hold at a place: loads that need not be done, stores that nobody sees.

The one idea: an address is a base class and an offset; what was loaded or stored is a fact about some bytes after a
base, and a store ends the facts about bytes that it may overlap: those of another base, unless both are stack slots
(and the accesses are inside of them), and those of the same base that it does overlap. Calls, fences, atomic accesses
and whatever else has an effect end all. A block begins with the facts of its only predecessor, which dominates it, or
with none. There are at most `KEPT`, so that a block costs no more than it is long.

A load that is not done had an earlier access of the same bytes before it, which did not trap; so it would not either.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from liftcheck.clif.ir import Inst, MemFlags
from liftcheck.clif.opcodes import LOADS, OPCODES, STORES
from liftcheck.clif.types import I64, TYPES, Type
from liftcheck.opt.egraph import Graph

KEPT: Final = 24
"""Facts at a place, at most."""


class Place(NamedTuple):
    """`base`: a class, or -1 - slot; `size` in bytes."""

    base: int
    offset: int
    size: int


class Fact(NamedTuple):
    """What an access found or left: `type` is the value's; the low `place.size` bytes of it are in memory (`whole`:
    all; else a store cut it, or a load extended it: `op` tells how)."""

    place: Place
    flags: MemFlags
    op: str
    type: Type
    value: int


Facts = list[Fact]


def place_of(graph: Graph, slots: dict[int, int], inst: Inst, address: int, size: int) -> Place:
    """Where an access is. `slots`: sizes of the stack slots."""
    offset = inst.offset
    while True:
        node = graph.best[address]
        if node is None or node[1] is not I64:
            break
        if node[0] == "iadd" and graph.constant(node[3]) is not None:
            constant = graph.constant(node[3]) or 0
            offset += constant - (1 << 64) if constant >> 63 else constant
            address = node[2]
        elif node[0] == "stack_addr":
            slot, more = node[2]
            if 0 <= offset + more <= slots.get(slot, 0) - size:
                return Place(-1 - slot, offset + more, size)
            break
        else:
            break
    return Place(address, offset, size)


def _overlap(one: Place, other: Place) -> bool:
    """Whether two accesses may meet."""
    if one.base == other.base:
        if abs(one.offset - other.offset) >= 1 << 62:
            return True
        return one.offset < other.offset + other.size and other.offset < one.offset + one.size
    return not (one.base < 0 and other.base < 0)


def access_of(inst: Inst, value_type: Type) -> int:
    """The bytes that a load or store accesses."""
    access = OPCODES[inst.op].access
    return (value_type if access is None else access.type_in_memory(value_type)).bytes


def key_flags(flags: MemFlags) -> MemFlags:
    """Flags that two accesses have to share: all but the trap code."""
    return flags._replace(trap=None, can_move=False)


def loaded(graph: Graph, facts: Facts, inst: Inst, ty: Type, place: Place) -> int | None:
    """The class of what a load finds, if that is known."""
    flags = key_flags(inst.flags)
    for fact in reversed(facts):
        if fact.place == place and fact.flags == flags:
            if fact.op in LOADS:
                if fact.op == inst.op and fact.type is ty:
                    return fact.value
            else:
                found = _converted(graph, fact, inst.op, ty)
                if found is not None:
                    return found
    return None


def _converted(graph: Graph, fact: Fact, op: str, ty: Type) -> int | None:
    """What a load finds where a store was."""
    if fact.op == "store" and op == "load":
        return fact.value if fact.type is ty else None
    if not (fact.type.is_int and ty.is_int) or fact.type.is_vector or ty.is_vector or op not in _SCALAR:
        return None
    narrow = TYPES[f"i{8 * fact.place.size}"]
    value = fact.value if fact.type is narrow else graph.add(("ireduce", narrow, fact.value))
    if ty is narrow:
        return value
    return graph.add(("sextend" if op[0] == "s" else "uextend", ty, value))


_SCALAR: Final = frozenset({"load", "uload8", "sload8", "uload16", "sload16", "uload32", "sload32"})


def stored(facts: Facts, place: Place) -> Facts:
    """The facts that a store leaves."""
    return [fact for fact in facts if not _overlap(fact.place, place)][-KEPT:]


__all__ = [
    "KEPT",
    "LOADS",
    "STORES",
    "Fact",
    "Facts",
    "Place",
    "access_of",
    "key_flags",
    "loaded",
    "place_of",
    "stored",
]
