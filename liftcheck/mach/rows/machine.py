"""What a meaning may read and write: the state of a machine during one instruction, as terms.

The one idea: reading gives what was before the instruction, writing says what is after it, and nothing has an effect at
once; so the order in which a meaning reads and writes does not matter, but for `current`. What came of it is an
`Effects`.

Places are registers (`mach.regs`: class * 64 + number) and, by their name, everything else that an instruction may
read or write and a user cannot name as an operand: flags and condition code, modes, the vector configuration ('cc',
'zf', 'frm'). Memory is bytes; a load's value is a variable, the number that the bytes are in the ISA's order.
What a manual leaves undefined is a fresh variable (`undefined`). What no term can say (a rounding mode that `bits`
lacks) is `NoMeaning`, with the reason; never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from liftcheck.bits.build import add, concat, extract
from liftcheck.bits.term import Term, const, var

Place = int | str
PC: Final = var("pc", 64)
"""Where the instruction stands."""
ALWAYS: Final = const(1, 1)


class NoMeaning(Exception):
    """What this instruction computes cannot be said; the text says why. Users of rows treat it as undecided."""


class Load(NamedTuple):
    """`value` (a variable of 8 * `size` bits) is what stands at `address`; only accessed if `when` holds."""

    value: Term
    address: Term
    size: int
    when: Term


class Store(NamedTuple):
    """`value` (8 * `size` bits) is put at `address` if `when` holds."""

    value: Term
    address: Term
    size: int
    when: Term


class Stop(NamedTuple):
    """The instruction traps if `when` holds (and then does nothing else)."""

    when: Term
    code: str


class Go(NamedTuple):
    """Control goes to `target` if `when` holds. `kind`: 'jump', 'call', 'return'."""

    target: Term
    when: Term
    kind: str


class Effects(NamedTuple):
    """Everything that an instruction does, all at once; stores and jumps in their order."""

    writes: Mapping[Place, Term]
    loads: tuple[Load, ...]
    stores: tuple[Store, ...]
    traps: tuple[Stop, ...]
    jumps: tuple[Go, ...]
    undefined: tuple[Term, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """The places: bits of a register of each class; names by class and number; named places with their bits."""

    widths: tuple[int, ...]
    names: tuple[tuple[str, ...], ...]
    others: Mapping[str, int]
    _variables: dict[Place, Term] = field(default_factory=dict)
    places: dict[Term, Place] = field(default_factory=dict)
    """The place of a variable that a meaning has asked for."""

    def variable(self, place: Place) -> Term:
        """The variable that stands for what a place held before an instruction."""
        found = self._variables.get(place)
        if found is None:
            found = self._variables[place] = var(self.name(place), self.width(place))
            self.places[found] = place
        return found

    def __contains__(self, place: Place) -> bool:
        return place in self.others if isinstance(place, str) else place >> 6 < len(self.widths)

    def width(self, place: Place) -> int:
        """Bits of a place."""
        return self.others[place] if isinstance(place, str) else self.widths[place >> 6]

    def name(self, place: Place) -> str:
        """A place's name, for people and for its variable."""
        return place if isinstance(place, str) else self.names[place >> 6][place & 63]


class Machine:
    """The state during one instruction of `size` bytes. `context` is what an ISA's meanings must know as numbers to be
    written down (riscv64's vector configuration); None: it is not known, and they raise NoMeaning. `operands`: their
    values by name, for what depends on which registers are named."""

    def __init__(self, registers: Registers, size: int, context: object = None) -> None:
        self.registers: Final = registers
        self.size: Final = size
        self.context: Final = context
        self.operands: Mapping[str, object] = {}
        self._writes: dict[Place, Term] = {}
        self._loads: list[Load] = []
        self._stores: list[Store] = []
        self._traps: list[Stop] = []
        self._jumps: list[Go] = []
        self._undefined: list[Term] = []

    @property
    def next(self) -> Term:
        """The address of the instruction after this one."""
        return add(PC, const(self.size, 64))

    def read(self, place: Place) -> Term:
        """What a place held before the instruction."""
        return self.registers.variable(place)

    def current(self, place: Place) -> Term:
        """What was written to the place by this instruction, or what it held before."""
        return self._writes.get(place) or self.read(place)

    def write(self, place: Place, value: Term) -> None:
        """The whole of a place."""
        self._writes[place] = value

    def write_part(self, place: Place, low: int, value: Term) -> None:
        """Some bits of a place; the others stay."""
        whole = self.current(place)
        if low + value.bits < whole.bits:
            value = concat(extract(whole, low + value.bits, whole.bits - low - value.bits), value)
        self.write(place, concat(value, extract(whole, 0, low)) if low else value)

    def load(self, address: Term, size: int, when: Term = ALWAYS) -> Term:
        """`size` bytes of memory as a number."""
        value = loaded(len(self._loads), size)
        self._loads.append(Load(value, address, size, when))
        return value

    def store(self, address: Term, value: Term, when: Term = ALWAYS) -> None:
        """A number of whole bytes into memory."""
        self._stores.append(Store(value, address, value.bits // 8, when))

    def trap(self, when: Term, code: str) -> None:
        """The instruction does nothing but trap if `when` (a truth value) holds."""
        self._traps.append(Stop(when, code))

    def jump(self, target: Term, when: Term = ALWAYS, kind: str = "jump") -> None:
        """Control goes to `target` if `when` holds."""
        self._jumps.append(Go(target, when, kind))

    def undefined(self, width: int) -> Term:
        """Bits that the manual leaves open."""
        made = fresh(len(self._undefined), width)
        self._undefined.append(made)
        return made

    def effects(self) -> Effects:
        """What has been written so far."""
        return Effects(
            self._writes,
            tuple(self._loads),
            tuple(self._stores),
            tuple(self._traps),
            tuple(self._jumps),
            tuple(self._undefined),
        )


@cache
def loaded(number: int, size: int) -> Term:
    """The variable for load number `number`."""
    return var(f"loaded{number}", 8 * size)


@cache
def fresh(number: int, width: int) -> Term:
    """The variable for bits that the manual leaves open."""
    return var(f"undefined{number}", width)
