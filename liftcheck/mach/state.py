"""Symbolic execution of machine instructions that have an effect: registers and frame memory as terms.

The one idea: if both sides of a claim are brought to one normal form (`bits.simplify`), equality is identity; what its
rules do not decide is left for z3 (`oracles.regalloc.code.equal_smt`).

Memory is a map from aligned 64-bit words at base + offset to terms, where the base is the stack pointer's value at the
state's beginning (any other base: `Opaque`). A word's value is its bytes in the ISA's order. Words never written are
variables, the same ones in every state, so that two runs from the same beginning can be compared.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from liftcheck.bits.simplify import joined, rebuilt, simplified, sliced
from liftcheck.bits.term import Term, value_of, var
from liftcheck.isa import BIG_ENDIAN
from liftcheck.mach.insn import FLAGS, STACK_POINTERS, Effect, Insn, register, show

WORD: Final = 8


class Opaque(Exception):
    """An access to memory that is not at a known distance from the stack pointer; never leaves the validator."""


@lru_cache(maxsize=1 << 16)
def constant(t: Term) -> int | None:
    """A constant's value; None of any other term."""
    return value_of(t) if t.prim == "const" else None


@lru_cache(maxsize=1 << 14)
def parts(t: Term) -> tuple[Term, int] | None:
    """A 64-bit address as variable and signed distance."""
    if t.prim == "add" and t.args[1].prim == "const" and t.args[0].prim == "var":
        number = value_of(t.args[1])
        return t.args[0], number - (number >> 63 << 64)
    return (t, 0) if t.prim == "var" else None


@lru_cache(maxsize=1 << 14)
def _unwritten(offset: int) -> Term:
    """What a word of memory that was never written holds."""
    return var(f"word[{offset}]", 64)


class State:
    """Registers and memory. `base` is the variable that distances in memory are from; offset 0 is where it points.

    touched: (offset, size, stored) of every memory access, in order.
    """

    __slots__ = ("_places", "base", "isa", "memory", "registers", "touched")

    def __init__(self, isa: str, base: Term | None = None) -> None:
        self.isa: Final = isa
        self.base: Final = base if base is not None else register(isa, STACK_POINTERS[isa])
        self._places: Final = _places(isa)
        self.registers: dict[int, Term] = {}
        self.memory: dict[int, Term] = {}
        self.touched: list[tuple[int, int, bool]] = []

    def value(self, place: int) -> Term:
        """What a register holds."""
        found = self.registers.get(place)
        return register(self.isa, place) if found is None else found

    def compared(self, machine: Insn, name: str) -> list[Term] | None:
        """What the two registers hold that an instruction of this name compares as they are, in no order."""
        places = sorted(place for place in machine.reads if place != FLAGS)
        whole = {show(place, self.isa) for place in places} == set(machine.operands.split(", "))
        return [self.value(place) for place in places] if machine.name == name and len(places) == 2 and whole else None

    def run(self, effect: Effect) -> None:
        """Do all that an instruction does. Opaque if it accesses other memory than the frame."""
        env: dict[Term, Term] = {}
        for value, address, size in effect.loads:
            env[value] = self.load(self._offset(address, env), size)
        writes = [(place, self._evaluated(value, env)) for place, value in effect.writes]
        if effect.stores:
            stores = [(self._offset(s.address, env), s.size, self._evaluated(s.value, env)) for s in effect.stores]
            self.registers.update(writes)
            for offset, size, value in stores:
                self.store(offset, size, value)
        else:
            self.registers.update(writes)

    def distance(self, address: Term) -> int | None:
        """How far from `base` an address is; None: nothing is known."""
        found = parts(self._evaluated(address, {}))
        return found[1] if found is not None and found[0] is self.base else None

    def _offset(self, address: Term, env: dict[Term, Term]) -> int:
        start, distance = parts(address) or (address, 0)
        found = parts(self._evaluated(start, env))  # the sum is not made as a term: most addresses are such ones
        if found is None or found[0] is not self.base:
            raise Opaque
        return (found[1] + distance + (1 << 63) & (1 << 64) - 1) - (1 << 63)

    def _evaluated(self, t: Term, env: dict[Term, Term]) -> Term:
        """The term over the state's values; env is added to."""
        if env:
            known = env.get(t)
            if known is not None:
                return known
        if t.prim == "var":
            place = self._places.get(t)
            return t if place is None else self.registers.get(place, t)
        if not t.args:
            return t
        result = env[t] = rebuilt(t, tuple([self._evaluated(a, env) for a in t.args]))
        return result

    def load(self, offset: int, size: int) -> Term:
        """The value of `size` bytes, in the ISA's order."""
        self.touched.append((offset, size, False))
        if size == WORD and not offset % WORD:
            return self.word(offset)
        pieces = [self._piece(at, start, count) for at, start, count in _cuts(offset, size)]
        if self.isa not in BIG_ENDIAN:
            pieces.reverse()
        value = pieces[0]
        for piece in pieces[1:]:
            value = joined(value, piece)
        return value

    def _piece(self, at: int, start: int, count: int) -> Term:
        return sliced(self.word(at), self._low(start, count), 8 * count)

    def word(self, at: int) -> Term:
        found = self.memory.get(at)
        return _unwritten(at) if found is None else found

    def _low(self, start: int, count: int) -> int:
        """The lowest bit of bytes [start, start + count) within a word."""
        return 8 * (WORD - start - count if self.isa in BIG_ENDIAN else start)

    def store(self, offset: int, size: int, value: Term) -> None:
        """Put `size` bytes."""
        self.touched.append((offset, size, True))
        if size == WORD and not offset % WORD:
            self.memory[offset] = value
            return
        done = 0
        for at, start, count in _cuts(offset, size):
            low = 8 * (size - done - count if self.isa in BIG_ENDIAN else done)
            self._put(at, start, count, sliced(value, low, 8 * count))
            done += count

    def _put(self, at: int, start: int, count: int, value: Term) -> None:
        if count < WORD:
            old, low = self.word(at), self._low(start, count)
            top = low + 8 * count
            if top < 64:
                value = joined(sliced(old, top, 64 - top), value)
            if low:
                value = joined(value, sliced(old, 0, low))
        self.memory[at] = value


def _cuts(offset: int, size: int) -> list[tuple[int, int, int]]:
    """The words that an access covers, upwards: the word's offset, the first byte in it, how many bytes."""
    if size == WORD and not offset % WORD:
        return [(offset, 0, WORD)]
    found, at, end = [], offset, offset + size
    while at < end:
        start = at % WORD
        count = min(WORD - start, end - at)
        found.append((at - start, start, count))
        at += count
    return found


@cache
def _places(isa: str) -> dict[Term, int]:
    """Which place a variable means."""
    from liftcheck.mach.insn import VECTOR_CONFIGURATION, WIDTHS

    numbers = [n for cls, width in enumerate(WIDTHS[isa]) if width for n in range(64 * cls, 64 * cls + 64)]
    return {register(isa, n): n for n in (*numbers, VECTOR_CONFIGURATION)}


def describe(t: Term) -> str:
    """A term for people, cut off where it gets long."""
    from liftcheck.bits.show import text

    shown = text(t)
    return shown if len(shown) <= 120 else shown[:117] + "..."


__all__ = ["Opaque", "State", "describe", "joined", "parts", "show", "simplified", "sliced"]
