"""What a set of ISAs offers to programs, as data: rows, expressions made of them, and the table that holds all of it.

The one idea: a table is built once per set of ISAs (`tables.py`); what follows from it alone, and is needed by some
programs only, is kept with it under `derived`, each fact by its own name and type, filled by the module that needs it.
It decides nothing and emits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from liftcheck.clif.ir import MemFlags, Signature
from liftcheck.clif.types import Type

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Row(NamedTuple):
    """A plain typing, ready to emit.

    imm     which immediate: '', 'intcc', 'floatcc', 'lane', 'mask'; a tuple of immediates where the compiler has a part
            of the conditions or lanes only; 'distinct': no immediate, but operands that differ (0.135's mid-end panics
            on `bxor.f32 v0, v0`, which would throw the whole program away)
    watch   the operand places through which NaN bits show
    nan     0: the result is never tainted, 1: it may be, 2: it is if an operand is
    """

    op: str
    type: Type | None
    args: tuple[Type, ...]
    results: tuple[Type, ...]
    imm: str | tuple[object, ...]
    flags: MemFlags
    watch: tuple[int, ...]
    nan: int
    key: str


Emitter = Callable[[Any], object]
"""A function that emits into a `Body`, which stands above this module."""
MenuEntry = tuple[Row, ...] | Emitter
Groups = list[tuple[int, list[tuple[int, int, MenuEntry]]]]
"""What there is to choose from, by family: the bit of its switch, and its members: the bits of type classes' switches,
of which one has to be on, the weight, and what it is."""


class Node(NamedTuple):
    """An operation of a resolved template. `condition` is '' or '?' or a condition; `arguments` are nodes, leaves;
    nodes of the same `share` (-1: none) are one value."""

    row: Row
    condition: str
    arguments: tuple[Node | Leaf, ...]
    share: int = -1


class Leaf(NamedTuple):
    """A value or a constant. `constant` is None for values, else what kind; `place` is where a name's value is kept."""

    ty: Type
    constant: str | None
    place: int


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


RowIndex = dict[str, dict[Type | None, list[Row]]]
"""Rows by opcode, and of each by the first result's type; under None all of them."""


@dataclass(slots=True)
class Derived:
    """What follows from a table alone.

    offers       by profile
    entries      signatures of entries, by profile, convention and number
    producers    rows that make a type from others
    makers       plain rows that make a type
    users        rows of one or two operands whose first and last are of a type
    cleaners     how NaN bits of a type are canonicalized
    sources      the type from which a constant of a type is bitcast
    passable     the types that are passed and returned in a convention
    texts        whether the compilers' text knows something
    addresses    opcodes of addresses that must not be seen
    patterns     the templates that can be emitted
    rule_index   the rows that rules may use
    """

    offers: dict[str, Offer] = field(default_factory=dict)
    entries: dict[tuple[str, str, int], tuple[Signature, tuple[str, ...]]] = field(default_factory=dict)
    producers: dict[Type, tuple[Row, ...]] = field(default_factory=dict)
    makers: dict[Type, tuple[Row, ...]] = field(default_factory=dict)
    users: dict[Type, tuple[Row, ...]] = field(default_factory=dict)
    cleaners: dict[Type, str] = field(default_factory=dict)
    sources: dict[Type, Type] = field(default_factory=dict)
    passable: dict[str, frozenset[Type]] = field(default_factory=dict)
    texts: dict[str, bool] = field(default_factory=dict)
    addresses: tuple[str, ...] | None = None
    patterns: tuple[Node, ...] | None = None
    rule_index: RowIndex | None = None


def kept(known: dict[K, V], key: K, make: Callable[[K], V]) -> V:
    """What is known of a key, made if nothing is yet."""
    found = known.get(key)
    if found is None:
        found = known[key] = make(key)
    return found


@dataclass(slots=True)
class Table:
    """All that may be emitted for `isas`. `groups` is sorted; `exclusive` holds rows that no other ISA of the campaign
    has; `const` says how a constant is made: 'iconst', 'fconst', 'vconst', 'wide' (i128), 'load' or 'bitcast';
    `choices` names, for keys that are only partly supported, which conditions, operations or lanes are."""

    isas: tuple[str, ...]
    allowed: frozenset[str]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    groups: tuple[tuple[str, str, tuple[Row, ...]], ...] = ()
    by_shape: Mapping[tuple[str, Type | None, tuple[Type, ...]], Row] = field(default_factory=dict)
    by_key: Mapping[str, Row] = field(default_factory=dict)
    exclusive: tuple[Row, ...] = ()
    const: Mapping[Type, str] = field(default_factory=dict)
    types: tuple[Type, ...] = ()
    loads: tuple[Row, ...] = ()
    stores: tuple[Row, ...] = ()
    atomics: tuple[Row, ...] = ()
    divisions: tuple[Row, ...] = ()
    conversions: tuple[Row, ...] = ()
    traps: tuple[Row, ...] = ()
    derived: Derived = field(default_factory=lambda: Derived())

    def has(self, key: str) -> bool:
        """Whether the key may be emitted, with some of its conditions at least."""
        return key in self.allowed

    def can(self, key: str, choice: str) -> bool:
        """Whether the key may be emitted with this condition."""
        return key in self.allowed and (key not in self.choices or choice in self.choices[key])
