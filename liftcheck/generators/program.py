"""What the functions of one program share, while it is being made.

The one idea: a program is drawn once (for which ISAs, whether it may trap, which families and types are switched on),
and all its functions ask the same object; what follows from a table of rows alone is kept with the table. It makes
nothing: the switches are drawn in `programs`, functions are made by what stands between (`body`, `calls`, …).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from liftcheck.clif.ir import MemFlags, Signature
from liftcheck.clif.types import I64, Type
from liftcheck.generators.profiles import Profile
from liftcheck.generators.tables import Context, Row, Table, cached

Emitter = Callable[[Any], object]
"""A function that emits into a `Body`, which stands above this module."""
MenuEntry = tuple[Row, ...] | Emitter
Groups = list[tuple[int, list[tuple[int, int, MenuEntry]]]]
"""What there is to choose from, by family: the bit of its switch, and its members: the bits of type classes' switches,
of which one has to be on, the weight, and what it is."""
_FROZEN: Final = 256


class Callee(NamedTuple):
    """A function that may be called. `kinds` tells of each parameter 'data', 'pointer', 'struct' or 'counter'."""

    name: str
    signature: Signature
    kinds: tuple[str, ...]
    cost: int


class Offer(NamedTuple):
    """What a table offers to a profile: all of a program that does not depend on its draws. Rows of loads and stores
    are there as often as the weight of their type says; `endian_sensitive` as in `generate`."""

    types: tuple[Type, ...]
    loads: tuple[Row, ...]
    stores: tuple[Row, ...]
    full_loads: tuple[Row, ...]
    storable: tuple[Type, ...]
    comparisons: tuple[Row, ...]
    orders: tuple[MemFlags, MemFlags]
    endian_sensitive: bool
    conventions: tuple[str, ...]
    groups: Groups


class Program:
    """What the functions of one program share: the draws, the tables, and the swarm, which `programs` fills in. The
    last `frozen` bytes of a data region are never written; `orders` are the flags of byte orders that may be said;
    `menu_ends` are the sums of the weights of `menu`."""

    __slots__ = ("bits", "context", "frozen", "isas", "may_trap", "menu", "menu_ends", "offer", "palette",
                 "prefix", "profile", "specs", "supply", "table")  # fmt: skip

    offer: Offer
    palette: tuple[Type, ...]
    menu_ends: list[int]
    menu: list[MenuEntry]

    def __init__(
        self, bits: Callable[[int], int], profile: Profile, context: Context, prefix: str, isas: tuple[str, ...]
    ) -> None:
        self.bits = bits
        self.profile = profile
        self.context = context
        self.prefix = prefix
        self.isas = isas
        self.table: Table = context.table(isas)
        self.specs: list[Callee] = []
        self.may_trap = bits(8) < profile.traps
        self.supply = bits(2) > 0
        self.frozen = _FROZEN if bits(3) == 0 else 0

    @property
    def loads(self) -> tuple[Row, ...]:
        return self.offer.loads

    @property
    def stores(self) -> tuple[Row, ...]:
        return self.offer.stores

    @property
    def full_loads(self) -> tuple[Row, ...]:
        """Loads that move a whole value."""
        return self.offer.full_loads

    @property
    def orders(self) -> tuple[MemFlags, MemFlags]:
        return self.offer.orders

    @property
    def atomics(self) -> tuple[Row, ...]:
        return self.table.atomics

    @property
    def divisions(self) -> tuple[Row, ...]:
        return self.table.divisions

    @property
    def conversions(self) -> tuple[Row, ...]:
        return self.table.conversions

    @property
    def traps(self) -> tuple[Row, ...]:
        return self.table.traps

    @property
    def comparisons(self) -> tuple[Row, ...]:
        """Scalar comparisons, for conditions."""
        return self.offer.comparisons

    @property
    def storable(self) -> tuple[Type, ...]:
        """The types that a plain store takes."""
        return self.offer.storable

    def users(self, kind: Type) -> tuple[Row, ...]:
        """Rows of one or two operands whose first and last are of `kind`."""
        return cached(
            self.table,
            ("users", kind),
            lambda: tuple(
                row
                for row in self.table.rows
                if 1 <= len(row.args) <= 2 and row.args[0] is kind and row.args[-1] is kind
            ),
        )

    def passable(self, convention: str) -> tuple[Type, ...]:
        """The palette's types that every ISA of the program passes and returns in a convention."""
        allowed = cached(self.table, ("passable", convention), lambda: _passable(self, convention))
        return tuple([kind for kind in self.palette if kind in allowed]) or (I64,)

    def convention_has(self, what: str, convention: str) -> bool:
        """Whether every ISA has 'call', 'return_call' or 'try_call' of a convention (if the matrix was asked)."""
        matrices = [self.context.matrices[isa] for isa in self.isas]
        return all(f"{what}.{convention}" in m or "call.system_v" not in m for m in matrices)

    def can_say(self, what: str) -> bool:
        """Whether the compiler's text knows `text.WHAT` (if the matrix was asked): older versions' says less."""
        return cached(
            self.table,
            ("text", what),
            lambda: all(
                f"text.{what}" in m or "call.system_v" not in m
                for m in map(self.context.matrices.__getitem__, self.isas)
            ),
        )

    def producers(self, kind: Type) -> tuple[Row, ...]:
        """Rows that make a `kind` from other types."""
        found = self.table.producers.get(kind)
        if found is None:
            found = self.table.producers[kind] = tuple(
                [row for row in self.table.rows if row.results[:1] == (kind,) and kind not in row.args and row.args]
            )
        return found

    def cleaner(self, kind: Type) -> str:
        """How NaN bits are canonicalized: 'select', 'lanes', or '' if these ISAs cannot."""
        return cached(self.table, ("cleaner", kind), lambda: _cleaner(self.table, kind))

    def cast_source(self, kind: Type) -> Type:
        """The type from which a constant of `kind` is bitcast."""
        return cached(
            self.table,
            ("cast", kind),
            lambda: next(
                row.args[0]
                for row in self.table.by_shape.values()
                if row.op == "bitcast"
                and row.type is kind
                and self.table.const.get(row.args[0], "bitcast") != "bitcast"
            ),
        )


def _cleaner(table: Table, kind: Type) -> str:
    if not table.can(f"fcmp.{kind.name}", "ord"):
        return ""
    if not kind.is_vector:
        return "select" if table.has(f"select.{kind.name}.i8") else ""
    shape = kind.as_int().name
    needed = (f"bitcast.{shape}.{kind.name}", f"bitcast.{kind.name}.{shape}", f"band.{shape}")
    return "lanes" if all(map(table.has, needed)) else ""


def _passable(program: Program, convention: str) -> frozenset[Type]:
    matrices = [program.context.matrices[isa] for isa in program.isas]
    ways = ("param",) if convention == "preserve_all" else ("param", "return")
    return frozenset(
        kind
        for kind in program.table.types
        if all(f"{way}.{convention}.{kind.name}" in m or "call.system_v" not in m for m in matrices for way in ways)
    )
