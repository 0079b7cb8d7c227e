"""What a generator may emit for a set of ISAs: the compiler's matrix turned into tables that one index reads.

The one idea: everything that does not depend on a program's choices is computed once per set of ISAs: which typings are
allowed on all of them, sorted into (family, type class) groups of rows; how a constant of each type is made.
A campaign's program is for all its ISAs, or for the subset that alone has some
typings, so that those are executed too (`Context.subsets`).
It holds no weights (see `profiles.py`) and emits nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple

from liftcheck import nan
from liftcheck.clif.ir import NO_FLAGS, MemFlags
from liftcheck.clif.opcodes import DYNAMIC, OPCODES, Variant, variants
from liftcheck.clif.text.portable import OLD_OPCODES
from liftcheck.clif.types import F128, I64, I128, TYPES, Type
from liftcheck.errors import InternalError
from liftcheck.generators.profiles import type_class
from liftcheck.generators.rows import Row, Table
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named

LITTLE: Final = MemFlags(endianness="little")
BIG: Final = MemFlags(endianness="big")

UNREACHED: Final[dict[str, str]] = {
    "debugtrap": "stops the process for a debugger",
    "stack_switch": "needs a second stack and its control block",
    "tls_value": "needs thread-local storage that no runner provides",
    "global_value": "removed in 0.134; an address",
    "get_pinned_reg": "needs enable_pinned_reg, which takes a register away (and makes s390x panic)",
    "set_pinned_reg": "needs enable_pinned_reg, which takes a register away (and makes s390x panic)",
    "resumable_trap": "stops the process, as debugtrap does", "resumable_trapnz": "stops the process",
    "stack_load": "removed in 0.134; stack_addr and load are the same", "stack_store": "as stack_load",
}  # fmt: skip
"""Opcodes that no program holds, and why. Nor are there `portable.OLD_OPCODES`, which no program's text can hold."""

BY_NAME: Final = frozenset({
    "jump", "brif", "br_table", "trap", "return",
    "call", "call_indirect", "return_call", "return_call_indirect", "try_call", "try_call_indirect",
    "func_addr", "stack_addr", "symbol_value", "get_frame_pointer", "get_stack_pointer", "get_return_address",
    "get_exception_handler_address",
    "iconst", "f16const", "f32const", "f64const", "f128const", "vconst",
    "atomic_load", "atomic_store", "atomic_rmw", "atomic_cas", "fence",
    "udiv", "sdiv", "urem", "srem", "fcvt_to_uint", "fcvt_to_sint", "trapz", "trapnz", "uadd_overflow_trap",
})  # fmt: skip
"""Opcodes for which there is code of their own: in `control`, `calls`, `generate.frame_address`, `body.const`,
`memory.emit_atomic` and `traps`. Plain opcodes, loads and stores need none: their rows say all that it takes."""


def unreached() -> list[str]:
    """Opcodes that nothing emits and that no list explains: there must be none."""
    return [
        name
        for name, opcode in OPCODES.items()
        if name not in UNREACHED.keys() | OLD_OPCODES | DYNAMIC | BY_NAME
        and not (opcode.is_plain or opcode.family in ("load", "store"))
    ]


_IMM: Final = {"IntCompare": "intcc", "FloatCompare": "floatcc", "BinaryImm8": "lane", "TernaryImm8": "lane",
               "Shuffle": "mask"}  # fmt: skip


@cache
def _row(variant: Variant, choices: tuple[str, ...] | None) -> Row:
    """The row of a typing, of whose conditions, operations or lanes there are `choices` only (None: all). Tables share
    it."""
    op, ty, args = variant.op, variant.type, variant.arg_types
    floats = tuple(place for place in nan.observed(op, len(args)) if args[place].is_float)
    tainted = any(t.is_float for t in variant.result_types)
    effect = 0 if not tainted else 1 if op in nan.CREATES else 2 if op in nan.PROPAGATES else 0
    flags = NO_FLAGS
    if op == "bitcast" and ty is not None and ty.lanes != args[0].lanes:
        flags = LITTLE
    if op == "bitcast" and ty is not None and ty.is_float and args[0].is_float and ty.lanes == args[0].lanes:
        floats, effect = (), 2
    imm: str | tuple[object, ...] = _IMM.get(OPCODES[op].format.name, "")
    if choices is not None:
        imm = tuple(int(choice) if choice.isdigit() else choice for choice in choices)
    if op in ("band", "bor", "bxor") and args[0].is_float:
        imm = "distinct"
    return Row(op, ty, args, variant.result_types, imm, flags, floats, effect, variant.key)


def access_bytes(row: Row) -> int:
    """How many bytes of memory a load, store or atomic touches."""
    access = OPCODES[row.op].access
    ty = row.type if access is None or access.ty is None else access.ty
    assert ty is not None
    return ty.bytes


def build_table(
    isas: tuple[str, ...],
    allowed: frozenset[str],
    own: frozenset[str] = frozenset(),
    choices: Mapping[str, tuple[str, ...]] | None = None,
) -> Table:
    """The table for programs that must suit `isas`, where `allowed` are the keys that all of them have, `own` those
    that no other ISA of the campaign has, and `choices` what there is of keys that are there in part."""
    forgotten = unreached()
    if forgotten:
        raise InternalError(
            f"the generator cannot emit {', '.join(forgotten)}: give the row in liftcheck/clif/opcodes.py a family, or"
            f" write code for it and name it in BY_NAME, or say why not in UNREACHED (liftcheck/generators/tables.py)"
        )
    table = Table(isas, allowed, choices or {})
    every = [
        _row(variant, table.choices.get(variant.key))
        for name in OPCODES
        for variant in variants(name)
        if variant.key in allowed
    ]
    table.const = _constants(table, every)
    rows = [row for row in every if all(t in table.const for t in row.args)]
    plain = [row for row in rows if OPCODES[row.op].is_plain]
    table.rows = tuple(plain)
    table.by_key = {row.key: row for row in rows}
    table.by_shape = {(row.op, row.type, row.args): row for row in rows}
    table.types = tuple(t for t in TYPES.values() if t in table.const)
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in plain:
        ty = row.type or (row.results[0] if row.results else I64)
        grouped.setdefault((OPCODES[row.op].family, type_class(ty)), []).append(row)
    table.groups = tuple((family, klass, tuple(grouped[family, klass])) for family, klass in sorted(grouped))
    table.exclusive = tuple(row for row in plain if row.key in own)

    def of(family: str) -> tuple[Row, ...]:
        """The rows of a family that are not plain, those of these ISAs alone five times."""
        found = [row for row in rows if OPCODES[row.op].family == family and not OPCODES[row.op].is_plain]
        return tuple(row for row in found for _ in range(5 if row.key in own else 1))

    table.loads, table.stores, table.atomics = of("load"), of("store"), of("atomic")
    table.divisions, table.conversions, table.traps = of("div"), of("fconvert"), of("trap")
    return table


def _constants(table: Table, rows: list[Row]) -> dict[Type, str]:
    """How a value of each type comes into being; types that cannot be made on these ISAs are left out."""
    found: dict[Type, str] = {}
    has = table.has
    for ty in TYPES.values():
        if ty.is_vector:
            if has(f"vconst.{ty.name}"):
                found[ty] = "vconst"
        elif ty is I128:
            if has("iconcat.i64"):
                found[ty] = "wide"
        elif ty is F128 or ty.is_float:
            if has(f"{ty.name}const"):
                found[ty] = "f128const" if ty is F128 else "fconst"
        elif has(f"iconst.{ty.name}"):
            found[ty] = "iconst"
    for row in rows:
        if row.op == "bitcast" and row.type not in found and row.args[0] in found and row.type is not None:
            found[row.type] = "bitcast"
    return {ty: found[ty] for ty in TYPES.values() if ty in found}


def _conventions() -> dict[str, tuple[str, ...]]:
    return {isa: isa_named(isa).conventions for isa in ISAS}


class Goals(NamedTuple):
    """What a program has to hold, and the ISAs that it is for."""

    isas: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(slots=True)
class Schedule:
    """What `generators.schedule` has made of a context: the keys on the schedule by the ISAs that have them, and the
    goals of the round that was asked for last."""

    lists: list[tuple[tuple[str, ...], list[str]]] = field(default_factory=list)
    number: int = -1
    round: list[Goals] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Less:
    """A matrix without some keys."""

    whole: Container[str]
    gone: frozenset[str]

    def __contains__(self, key: object) -> bool:
        return key not in self.gone and key in self.whole

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """For keys that are only partly supported: what of them is."""
        parts: Mapping[str, tuple[str, ...]] = getattr(self.whole, "choices", {})
        return {key: part for key, part in parts.items() if key not in self.gone}


@dataclass(frozen=True, slots=True)
class Context:
    """For what programs are made: build one per campaign, it caches tables.

    isas         the ISAs of the campaign, in a fixed order
    matrices     for each the keys that the compiler has (anything with `in`)
    conventions  the calling conventions that programs may use on all of `isas` (see `Isa.conventions`)
    size         about how many instructions a program has
    inputs       how many runs a case has
    features     what the compiler's version knows: 'try_call', 'regions' (alias regions), 'frame_pointers'
    rules        the compiler's own rules (`lefthand.Rules`), if they are known
    """

    isas: tuple[str, ...]
    matrices: Mapping[str, Container[str]]
    size: int = 60
    inputs: int = 8
    features: frozenset[str] = frozenset({"try_call", "frame_pointers"})
    conventions: Mapping[str, tuple[str, ...]] = field(default_factory=_conventions)
    rules: Any = None
    tables: dict[tuple[str, ...], Table] = field(default_factory=dict, compare=False)
    key_cache: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    weight_cache: list[tuple[str, ...]] = field(default_factory=list, compare=False)
    subset_cache: list[tuple[tuple[str, ...], int]] = field(default_factory=list, compare=False)
    schedule: Schedule = field(default_factory=Schedule, compare=False)
    rule_rounds: dict[tuple[int, bytes], Any] = field(default_factory=dict, compare=False)

    def without(self, avoided: Iterable[tuple[str, str]]) -> Context:
        """The same without what programs on some ISAs are to avoid: typings, and conventions as `call_conv=NAME`,
        which are then for no program. Others may still hold these typings, for the ISAs that are left."""
        gone: dict[str, set[str]] = {}
        for isa, key in avoided:
            gone.setdefault(isa, set()).add(key)
        names = {key.partition("=")[2] for keys in gone.values() for key in keys if "=" in key}
        return Context(
            self.isas,
            {isa: Less(matrix, frozenset(gone.get(isa, ()))) for isa, matrix in self.matrices.items()},
            self.size,
            self.inputs,
            self.features,
            {isa: tuple(one for one in ours if one not in names) or ours for isa, ours in self.conventions.items()},
            self.rules,
        )

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Every typing that at least one of the ISAs has, with the ISAs that have it."""
        if self.key_cache:
            return self.key_cache
        found = self.key_cache
        for name in (name for name in OPCODES if name not in OLD_OPCODES):
            for variant in variants(name):
                having = tuple(isa for isa in self.isas if self._has(isa, variant.key))
                while having and self.choices(variant.key, having) == ():
                    having = having[:-1]
                if having:
                    found[variant.key] = having
        return found

    def _has(self, isa: str, key: str) -> bool:
        matrix = self.matrices[isa]
        return key in matrix or key in getattr(matrix, "choices", ())

    def choices(self, key: str, isas: tuple[str, ...]) -> tuple[str, ...] | None:
        """The conditions, operations or lanes of a key that all of `isas` have; None if they have every one."""
        lists = [parts[key] for parts in (getattr(self.matrices[isa], "choices", {}) for isa in isas) if key in parts]
        return tuple(choice for choice in lists[0] if all(choice in names for names in lists)) if lists else None

    def table(self, isas: tuple[str, ...]) -> Table:
        """The table for a subset of the campaign's ISAs."""
        found = self.tables.get(isas)
        if found is None:
            keys = self.keys()
            own = frozenset(key for key, having in keys.items() if having == isas and isas != self.isas)
            allowed = frozenset(key for key, having in keys.items() if all(isa in having for isa in isas))
            parts = ((key, self.choices(key, isas)) for key in sorted(allowed))
            found = self.tables[isas] = build_table(isas, allowed, own, {k: part for k, part in parts if part})
        return found

    def subsets(self) -> list[tuple[tuple[str, ...], int]]:
        """Sets of ISAs worth programs of their own, with how many typings each is the largest set for."""
        if not self.subset_cache:
            counts: dict[tuple[str, ...], int] = {self.isas: 0}
            for having in self.keys().values():
                counts[having] = counts.get(having, 0) + 1
            self.subset_cache.extend(sorted(counts.items()))
        return self.subset_cache

    def subset_weights(self) -> list[tuple[str, ...]]:
        """The subsets, those with more typings of their own more often."""
        if not self.weight_cache:
            for isas, count in self.subsets():
                if count and isas != self.isas:
                    self.weight_cache.extend([isas] * max(2, round(count**0.75)))
        return self.weight_cache or [self.isas]
