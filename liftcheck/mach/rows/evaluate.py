"""What an instruction does to a state of numbers: its effects as Python.

The one idea: addresses are computed first (they do not depend on what is loaded, but for loads through loaded
addresses, which come in their order), then everything else at once, by the closures that `bits` makes of terms. What is
undefined is computed with several values; only bits on which they agree are said (`Written.defined`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from liftcheck.bits.concrete import closure
from liftcheck.bits.meaning import Meaning
from liftcheck.bits.term import Term
from liftcheck.mach.rows.machine import PC, Effects, Place, Registers
from liftcheck.mach.rows.table import variables

Memory = Callable[[int, int], int]
"""(address, size) to the number there, in the ISA's byte order."""


class Written(NamedTuple):
    """A value and the bits of it that are defined."""

    value: int
    defined: int


class Outcome(NamedTuple):
    """What came of an instruction. `trap`: its code, and nothing else happened; `target`: where it jumps; None: on."""

    writes: Mapping[Place, Written]
    stores: tuple[tuple[int, int, Written], ...]
    trap: str = ""
    target: int | None = None


class Runnable:
    """An instruction's effects, ready to be run on many states."""

    def __init__(self, effects: Effects, registers: Registers) -> None:
        self.effects: Final = effects
        loads = [term for load in effects.loads for term in (load.address, load.when)]
        self._results: Final = tuple(_results(effects))
        names = [v for v in variables([*loads, *self._results]) if v in registers.places]
        self.reads: Final[tuple[Place, ...]] = tuple(registers.places[v] for v in names)
        addresses = [load.address for load in effects.loads] + [store.address for store in effects.stores]
        self.addressing: Final = tuple(registers.places[v] for v in variables(addresses) if v in registers.places)
        """The places that addresses of accesses depend on."""
        given = (*names, PC)
        self._loads: Final = [
            closure(Meaning((*given, *(x.value for x in effects.loads[:k])), (load.when, load.address)))
            for k, load in enumerate(effects.loads)
        ]
        inputs = (*given, *(load.value for load in effects.loads), *effects.undefined)
        self._run: Final = closure(Meaning(inputs, self._results)) if self._results else lambda *_: ()
        self._open: Final = [v.bits for v in effects.undefined]

    def run(self, read: Callable[[Place], int], memory: Memory, pc: int) -> Outcome:
        """The outcome in a state."""
        inputs = [*map(read, self.reads), pc]
        for load, address in zip(self.effects.loads, self._loads):
            when, where = address(*inputs)
            inputs.append(memory(where, load.size) if when else 0)
        results = self._call(inputs, 0)
        agree = [-1] * len(results)
        for salt in (-1, 0x5A5A_A5A5_0F1E_2D3C) if self._open else ():
            agree = [a & ~(x ^ y) for a, x, y in zip(agree, results, self._call(inputs, salt))]
        return self._outcome([Written(int(x), a) for x, a in zip(results, agree)])

    def _call(self, inputs: list[int], salt: int) -> tuple[int, ...]:
        whole = sum(salt % (1 << 64) << 64 * k for k in range(8))
        more = [whole >> 8 * k & (1 << width) - 1 for k, width in enumerate(self._open)]
        found = self._run(*inputs, *more)
        return found if isinstance(found, tuple) else (found,)

    def _outcome(self, results: list[Written]) -> Outcome:
        at = iter(results)
        for trap in self.effects.traps:
            if next(at).value:
                return Outcome({}, (), trap.code)
        target = None
        for _ in self.effects.jumps:
            when, where = next(at), next(at)
            target = where.value if when.value and target is None else target
        stores = []
        for store in self.effects.stores:
            when, where, value = next(at), next(at), next(at)
            if when.value:
                stores.append((where.value, store.size, value))
        return Outcome(dict(zip(self.effects.writes, at)), tuple(stores), "", target)


def _results(effects: Effects) -> list[Term]:
    """Every term that decides something, in the order in which `_outcome` takes them."""
    found = [trap.when for trap in effects.traps]
    for jump in effects.jumps:
        found += (jump.when, jump.target)
    for store in effects.stores:
        found += (store.when, store.address, store.value)
    return [*found, *effects.writes.values()]
