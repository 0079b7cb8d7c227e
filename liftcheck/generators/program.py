"""What the functions of one program share, while it is being made.

The one idea: a program is drawn once (for which ISAs, whether it may trap, which families and types are switched on),
and all its functions ask the same object; what follows from a table of rows alone is kept with the table. It makes
nothing: the switches are drawn in `programs`, functions are made by what stands between (`body`, `calls`, …).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from liftcheck.clif.ir import MemFlags, Signature
from liftcheck.clif.types import I64, Type
from liftcheck.generators.profiles import Profile
from liftcheck.generators.rows import MenuEntry, Offer, Row, Table, kept
from liftcheck.generators.tables import Context

_FROZEN: Final = 256


class Callee(NamedTuple):
    """A function that may be called. `kinds` tells of each parameter 'data', 'pointer', 'struct' or 'counter'."""

    name: str
    signature: Signature
    kinds: tuple[str, ...]
    cost: int


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

    def users(self, ty: Type) -> tuple[Row, ...]:
        """Rows of one or two operands whose first and last are of `ty`."""
        return kept(self.table.derived.users, ty, self._users)

    def _users(self, ty: Type) -> tuple[Row, ...]:
        rows = [row for row in self.table.rows if 1 <= len(row.args) <= 2]
        return tuple([row for row in rows if row.args[0] is ty and row.args[-1] is ty])

    def passable(self, convention: str) -> tuple[Type, ...]:
        """The palette's types that every ISA of the program passes and returns in a convention."""
        allowed = self.all_passable(convention)
        return tuple([ty for ty in self.palette if ty in allowed]) or (I64,)

    def all_passable(self, convention: str) -> frozenset[Type]:
        """The types that every ISA of the program passes and returns in a convention."""
        return kept(self.table.derived.passable, convention, self._passable)

    def _passable(self, convention: str) -> frozenset[Type]:
        matrices = [self.context.matrices[isa] for isa in self.isas]
        ways = ("param",) if convention == "preserve_all" else ("param", "return")
        return frozenset(
            ty
            for ty in self.table.types
            if all(f"{way}.{convention}.{ty.name}" in m or "call.system_v" not in m for m in matrices for way in ways)
        )

    def convention_has(self, what: str, convention: str) -> bool:
        """Whether every ISA has 'call', 'return_call' or 'try_call' of a convention (if the matrix was asked)."""
        matrices = [self.context.matrices[isa] for isa in self.isas]
        return all(f"{what}.{convention}" in m or "call.system_v" not in m for m in matrices)

    def can_say(self, what: str) -> bool:
        """Whether the compiler's text knows `text.WHAT` (if the matrix was asked): older versions' says less."""
        return kept(self.table.derived.texts, what, self._can_say)

    def _can_say(self, what: str) -> bool:
        matrices = [self.context.matrices[isa] for isa in self.isas]
        return all(f"text.{what}" in m or "call.system_v" not in m for m in matrices)

    def producers(self, ty: Type) -> tuple[Row, ...]:
        """Rows that make a `ty` from other types."""
        return kept(self.table.derived.producers, ty, self._producers)

    def _producers(self, ty: Type) -> tuple[Row, ...]:
        rows = self.table.rows
        return tuple([row for row in rows if row.results[:1] == (ty,) and ty not in row.args and row.args])

    def cleaner(self, ty: Type) -> str:
        """How NaN bits are canonicalized: 'select', 'lanes', or '' if these ISAs cannot."""
        return kept(self.table.derived.cleaners, ty, self._cleaner)

    def cast_source(self, ty: Type) -> Type:
        """The type from which a constant of `ty` is bitcast."""
        return kept(self.table.derived.sources, ty, self._cast_source)

    def _cast_source(self, ty: Type) -> Type:
        rows, const = self.table.by_shape.values(), self.table.const
        casts = (row for row in rows if row.op == "bitcast" and row.type is ty)
        return next(row.args[0] for row in casts if const.get(row.args[0], "bitcast") != "bitcast")

    def _cleaner(self, ty: Type) -> str:
        table = self.table
        if not table.can(f"fcmp.{ty.name}", "ord"):
            return ""
        if not ty.is_vector:
            return "select" if table.has(f"select.{ty.name}.i8") else ""
        shape = ty.as_int().name
        needed = (f"bitcast.{shape}.{ty.name}", f"bitcast.{ty.name}.{shape}", f"band.{shape}")
        return "lanes" if all(map(table.has, needed)) else ""
