"""A function's bytes with its relocations as symbols: what instructions and data in it mean before it is linked.

The one idea: a relocated field is written as if its target were the place itself, so the instruction computes
`pc + what the encoding adds`; and the address of the instruction is taken for what makes that sum the symbol's
address (S + A, less the field's place in the instruction). A symbol is the variable 'symbol NAME', an address slot of
it (`relocations.GOT_KINDS`) 'slot NAME', whose content is the symbol. Halves of an address that aarch64 adds and loads
by have the symbol's low bits put in by `low_bits`. Whole addresses in the code (Abs8) are slices of the symbol.

Data in the code are the bytes that they are.
Sources: those of `mach.relocations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Final

from liftcheck.bits import build
from liftcheck.bits.simplify import joined, simplified, sliced
from liftcheck.bits.term import Term, const, var
from liftcheck.case import FunctionCode, Relocation
from liftcheck.isa import BIG_ENDIAN
from liftcheck.mach import relocations
from liftcheck.mach.cases import Case, cases, chosen
from liftcheck.mach.lift_memory import Undecided, located, put_together
from liftcheck.mach.rows.machine import Effects

START: Final = var("code", 63)
CODE: Final = joined(START, const(0, 1))
"""The function's first byte, at an even address."""
SYMBOL: Final = "symbol"
"""How the names of symbols' variables begin."""
_LOW: Final = ("Aarch64AddAbsLo12Nc", "Aarch64Ld64GotLo12Nc")
_ABSOLUTE: Final = "Abs8"
_LOW_MASK: Final = const(0xFFF, 64)


@lru_cache(maxsize=1 << 14)
def code_address(at: int) -> Term:
    """The address of a byte of the function."""
    return located(CODE, at)


class Code:
    """The bytes of one function, and what stands where."""

    def __init__(self, isa: str, function: FunctionCode) -> None:
        self.big: Final = isa in BIG_ENDIAN
        self.slots: Final[dict[Term, Term]] = {}
        """Address slots and the symbols that they hold."""
        self.names: Final[dict[Term, str]] = {}
        """The names of symbols."""
        self._relocations: Final = {r.offset: r for r in function.relocations}
        self.data: Final = self._neutral(function)

    def _neutral(self, function: FunctionCode) -> bytes:
        """The bytes, relocated fields as if the target were the place."""
        if not function.relocations:
            return function.code
        made = bytearray(function.code)
        for r in function.relocations:
            kind = relocations.canonical(r.kind)
            if kind not in relocations.KINDS:
                raise Undecided(f"a relocation of kind {kind}")
            relocations.write(made, r.offset, 0, kind, 0, self.big)
        return bytes(made)

    def relocation(self, at: int, size: int) -> Relocation | None:
        """That of the instruction at these bytes."""
        if not self._relocations:
            return None
        return next((self._relocations[k] for k in range(at, at + size) if k in self._relocations), None)

    def symbol(self, r: Relocation) -> Term:
        """S + A, or G + A."""
        if r.name.startswith("func:"):
            return located(CODE, int(r.name[5:]) + r.addend)
        found = var(f"{SYMBOL} {r.name}", 64)
        self.names[found] = r.name
        if relocations.canonical(r.kind) in relocations.GOT_KINDS:
            slot = var(f"slot {r.name}", 64)
            self.slots[slot] = found
            found = slot
        return located(found, r.addend)

    def address(self, at: int, r: Relocation | None) -> Term:
        """What the instruction at this offset takes for its own address."""
        if r is None or relocations.canonical(r.kind) in (*_LOW, _ABSOLUTE, relocations.LOW_HALF):
            return code_address(at)
        return located(self.symbol(r), at - r.offset)

    def low_bits(self, effects: Effects, r: Relocation | None) -> Effects:
        """The effects of an instruction with what the linker puts into it."""
        kind = "" if r is None else relocations.canonical(r.kind)
        if r is None or kind not in (*_LOW, _ABSOLUTE):
            return effects
        if kind == _ABSOLUTE:
            if [t.prim for t in effects.writes.values()] != ["const"]:
                raise Undecided("an address in an instruction that does not load it")
            return effects._replace(writes=dict.fromkeys(effects.writes, self.symbol(r)))
        low = simplified(build.band(self.symbol(r), _LOW_MASK))
        if effects.loads:
            loads = tuple(load._replace(address=build.add(load.address, low)) for load in effects.loads)
            return effects._replace(loads=loads)
        writes: Mapping[int | str, Term] = {p: build.add(term, low) for p, term in effects.writes.items()}
        return effects._replace(writes=writes)

    def load(self, address: Term, size: int, holds: Set[Term]) -> Term:
        """The number of `size` bytes of code, or an address slot's symbol, where some conditions hold."""
        if address in self.slots and size == 8:
            return self.slots[address]
        found = self.places(address, holds)
        if found is None:
            raise Undecided("a read of code at an address that is not known")
        return chosen([(case, self._number(case.value, size)) for case in found])

    def places(self, address: Term, holds: Set[Term]) -> list[Case] | None:
        """The offsets in the code that an address may be; None: they are not known."""
        return cases(simplified(build.sub(address, CODE)), holds)

    def _number(self, at: int, size: int) -> Term:
        if not 0 <= at < len(self.data):
            raise Undecided("a read beside the function's code")
        return put_together([self._byte(k) for k in range(at, at + size)], self.big)

    def _byte(self, at: int) -> Term:
        """One byte; what lies behind the function, which may be read with its last bytes, is not known."""
        for start in range(at - 7, at + 1):
            r = self._relocations.get(start)
            if r is not None and relocations.canonical(r.kind) == _ABSOLUTE:
                k = at - start
                return sliced(self.symbol(r), 8 * (7 - k if self.big else k), 8)
        return const(self.data[at], 8) if at < len(self.data) else var(f"behind {at}", 8)
