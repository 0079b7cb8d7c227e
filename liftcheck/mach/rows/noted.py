"""What the instructions of a row have in common: what they read, write and access, by the row's meaning.

The one idea: the meaning runs once on a machine that notes what is asked of it. Each place of an operand is a variable
of that operand's own, so what belongs to an operand and what is implied (flags, a stack pointer, the registers of
`lmg`) cannot be confused, whichever registers the instruction has. It is not known here how a compiler uses an
instruction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from liftcheck.bits.simplify import simplified
from liftcheck.bits.term import Term, value_of, var
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.kinds import Kind, Value
from liftcheck.mach.rows.machine import PC, Machine, NoMeaning, Place, Registers, Store
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import roots_of, variables

_PARTS: Final = ("register", "offset")
"""Roles of operands of which addresses are sums."""


class Used(NamedTuple):
    """An operand with places. number: the operand's; read: which of its places are read, by their order (None: all);
    written: all are, and a part of them stays if `kept`."""

    number: int
    kind: Kind
    read: tuple[int, ...] | None
    written: bool
    kept: bool


class Touched(NamedTuple):
    """An access to memory: `size` bytes from `distance` behind the address that the operands `numbers` are, or the sum
    of which they are."""

    numbers: tuple[int, ...]
    distance: int
    size: int
    read: bool
    written: bool


class Noted(Machine):
    """A machine that notes. `implied`: the places beyond operands that are written, `kept`: those of them of which
    a part stays; `lacking`: the row has no meaning,
    and only its operands are known."""

    def __init__(
        self, registers: Registers, size: int, row: Row, values: Sequence[Value], context: object = None
    ) -> None:
        super().__init__(registers, size, context)
        self.row: Final = row
        self.values: Final = tuple(values)
        self.implied: Final[set[Place]] = set()
        self.kept: Final[set[Place]] = set()
        self.lacking = False
        self._origins: Final[dict[Term, tuple[int, Place]]] = {}
        self._at: int | None = None
        """The operand that is being read; NONE: one is being written; None: the meaning."""
        self._results: Final[list[Term]] = []
        self._run()
        self.read_places: Final = self._read()
        """By operand, and at NONE of the meaning itself."""

    def read(self, place: Place) -> Term:
        if self._at is None:
            found = super().read(place)
            self._origins[found] = NONE, place
            return found
        found = var(f"{self._at} {place}", self.registers.width(place))
        if self._at != NONE:
            self._origins[found] = self._at, place
        return found

    def write(self, place: Place, value: Term) -> None:
        if self._at is None:
            self.implied.add(place)
        self._results.append(value)
        super().write(place, value)

    def write_part(self, place: Place, low: int, value: Term) -> None:
        """What stays is kept, and not read."""
        if self._at is None and place not in self.implied:
            self.kept.add(place)
            self._writes[place] = var(f"kept {place}", self.registers.width(place))
        super().write_part(place, low, value)

    def _run(self) -> None:
        row, reads = self.row, []
        self.operands = {o.name: v for o, v in zip(row.operands, self.values)}
        try:
            for number, (operand, value) in enumerate(zip(row.operands, self.values)):
                if operand.reads:
                    self._at = number
                    reads.append(
                        self._offset(number) if operand.kind.role == "offset" else operand.kind.read(self, value)
                    )
            self._at = None
            if row.meaning is None:
                raise NoMeaning("")
            self._write(row.meaning(self, *reads))
        except NoMeaning:
            self.lacking = True

    def _offset(self, number: int) -> Term:
        """Whatever distance it is: where it counts, that is to be seen."""
        found = var(f"{number} offset", 64)
        self._origins[found] = number, "offset"
        return found

    def _write(self, result: Any) -> None:
        results = () if result is None else (result,) if isinstance(result, Term) else result
        written = [(n, o.kind, v) for n, (o, v) in enumerate(zip(self.row.operands, self.values)) if o.writes]
        for (number, kind, value), term in zip(written, results, strict=True):
            self._at = number if kind.is_memory(value) else NONE
            kind.write(self, value, term)

    def _read(self) -> dict[int, set[Place]]:
        """What anything depends on. Where a meaning takes a whole pair and uses one half, the normal form says so."""
        roots = [simplified(root) for root in (*roots_of(self.effects()), *self._results)]
        found: dict[int, set[Place]] = {}
        for number, place in (self._origins[v] for v in variables(roots) if v in self._origins):
            found.setdefault(number, set()).add(place)
        return found

    # -- what came of it

    @property
    def leads(self) -> bool:
        """Whether it depends on where it stands: a target is one in truth."""
        return PC in variables(roots_of(self.effects()))

    def may_stay(self, store: Store) -> bool:
        """Whether what is there may stay, by something that is read; of what may fail whatever is read nothing is
        said."""
        return any(v in self._origins for v in variables([store.when]))

    def used(self, number: int, exactly: bool) -> Used | None:
        """An operand; None: it never has places. `exactly`: what is not read by this instruction does not count; else
        that is asked of pairs and the like alone."""
        operand, value = self.row.operands[number], self.values[number]
        kind = operand.kind
        places = kind.places(value)
        if kind.role not in ("register", "memory"):
            return None
        if kind.is_memory(value):
            return Used(number, kind, None, False, False)
        several = len(places) > 1
        read: tuple[int, ...] | None = None
        if not operand.reads or (not self.lacking and (exactly or several)):
            some = self.read_places.get(number, set()) if operand.reads else set()
            found = tuple([k for k, place in enumerate(places) if place in some])
            read = None if operand.reads and len(found) == len(places) else found
        return Used(number, kind, read, operand.writes, operand.writes and kind.leaves(value))

    def touched(self) -> Iterator[Touched]:
        """Accesses to memory at operands; what lies together is one."""
        effects = self.effects()
        every = [(x.address, x.size, True, False) for x in effects.loads]
        every += [(x.address, x.size, self.may_stay(x), True) for x in effects.stores]
        found: dict[tuple[int, ...], list[tuple[int, int, bool, bool]]] = {}
        for address, *rest in every:
            numbers, distance = self._within(address)
            if numbers:
                found.setdefault(numbers, []).append((distance, *rest))  # type: ignore[arg-type]
        for numbers, some in found.items():
            first = min(distance for distance, *_ in some)
            size = max(distance + size for distance, size, *_ in some) - first
            yield Touched(numbers, first, size, any(x[2] for x in some), any(x[3] for x in some))

    def apart(self, touched: Sequence[Touched]) -> bool:
        """Whether it does the same wherever its one operand in memory is: nothing but addresses depends on that."""
        effects = self.effects()
        if len(touched) != 1 or effects.jumps or effects.traps or self.implied:
            return False
        values = [*self._results, *(store.value for store in effects.stores)]
        depends = {self._origins[v][0] for v in variables(values) if v in self._origins}
        always = all(x.prim == "const" for x in [*[y.when for y in effects.loads], *[y.when for y in effects.stores]])
        return (
            always
            and depends.isdisjoint(touched[0].numbers)
            and PC not in variables([x.address for x in effects.loads])
        )

    def _is_zero(self, number: int) -> bool:
        """Whether an operand is a register that reads as zero."""
        operand = self.row.operands[number]
        return operand.reads and operand.kind.role == "register" and not operand.kind.places(self.values[number])

    def _within(self, address: Term) -> tuple[tuple[int, ...], int]:
        """The operands that an address is made of, and how far behind it; none: it is no operand's."""
        atoms, number = _sum(address)
        operands = self.row.operands
        origins = {self._origins.get(v, (NONE, ""))[0] for atom in atoms for v in variables((atom,))}
        if atoms == [PC]:
            origins = {n for n, o in enumerate(operands) if o.kind.role == "target"}
        if not atoms:
            origins = {*[n for n, o in enumerate(operands) if o.kind.role == "memory" or self._is_zero(n)][:1]}
        if NONE in origins or not origins:
            return (), 0
        numbers = tuple(sorted(origins))
        if all(operands[n].kind.role in _PARTS for n in numbers):
            return numbers, number
        if len(numbers) > 1:
            return (), 0
        return numbers, number - operands[numbers[0]].kind.address(self.values[numbers[0]])[1]


def _sum(term: Term) -> tuple[list[Term], int]:
    """An address as its summands and a constant."""
    if term.prim == "const":
        number = value_of(term)
        return [], number - (number >> 63 << 64)
    if term.prim != "add":
        return [term], 0
    parts = [_sum(arg) for arg in term.args]
    return [atom for atoms, _ in parts for atom in atoms], sum(number for _, number in parts)
