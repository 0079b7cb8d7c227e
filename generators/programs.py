"""Programs: the functions of a case, their swarm of families, and the inputs they run on.

The one idea: `generate` is a pure function of the choices, the profile and the context. It draws which ISAs the
program is for, which families and types are switched on, makes functions leaves first (the last one is the entry) and
draws inputs. Well-formed and ending by construction; what may trap says so (`tags['may_trap']`).
Nothing that differs between ISAs flows into what is compared: addresses of stack slots and functions go nowhere but
into accesses, calls, and a stack slot that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, cast

from liftcheck.case import BIG_ENDIAN, Case
from liftcheck.clif.ir import Function, Inst, Module, Signature
from liftcheck.clif.types import I64, Type
from liftcheck.generators import calls, control, memory, traps
from liftcheck.generators.body import Body
from liftcheck.generators.choices import Choices
from liftcheck.generators.patterns import Node, emit_pattern, templates
from liftcheck.generators.profiles import MIX, PROFILES, Profile, by_name, type_class
from liftcheck.generators.rota import Duty, duty, perform
from liftcheck.generators.rules import emit_rule
from liftcheck.generators.tables import BIG, LITTLE, Context, Row, Table
from liftcheck.generators.values import memory_pool, runtime_table
from liftcheck.layout import SLOT_SIZE, slot_address

Emitter = Callable[[Body], object]
MenuEntry = tuple[Row, ...] | Emitter
Weighted = tuple[list[tuple[int, int, list[MenuEntry]]], list[tuple[int, list[MenuEntry]]]]
_BIG_POINTER: Final = 1024
_FROZEN: Final = 256
_INNER: Final = ("preserve_all", "winch")
"""Conventions of functions that are called from CLIF alone: nothing is returned, or nothing is preserved."""


class Program:
    """What the functions of one program share: the draws, the tables, the swarm. The last `frozen` bytes of a data
    region are never written; `orders` are the flags of byte orders that may be said."""

    __slots__ = ("bits", "context", "duty", "frozen", "full_loads", "full_stores", "isas", "loads", "may_trap",
                 "menu", "orders", "palette", "prefix", "profile", "specs", "stores", "supply", "table")

    def __init__(self, bits: Callable[[int], int], profile: Profile, context: Context, prefix: str,
                 duty: Duty | None) -> None:
        self.bits = bits
        self.profile = profile
        self.context = context
        self.prefix = prefix
        self.duty = duty
        self.isas = duty.isas if duty else _draw_isas(bits, profile, context)
        self.table: Table = context.table(self.isas)
        self.specs: list[calls.Callee] = []
        self.may_trap = bits(8) < profile.traps
        self.supply = bits(2) > 0
        self.frozen = _FROZEN if bits(3) == 0 else 0
        self.orders = (LITTLE, BIG) if all(isa in BIG_ENDIAN for isa in self.isas) else (LITTLE, LITTLE)
        on = bits(64)
        self.palette: tuple[Type, ...] = _palette(self.table, profile, on, bits(32))
        self.loads, self.stores, self.full_loads, self.full_stores = _memory_rows(self.table, profile)
        self.menu = _menu(self, on, bits(64))

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
        return _cached(self.table, "comparisons", lambda: tuple(
            row for row in self.table.rows if row.op in ("icmp", "fcmp") and not row.results[0].is_vector
            and type_class(row.args[0]) in ("word", "narrow", "fp", "wide")))

    @property
    def patterns(self) -> tuple[Node, ...]:
        """The expression templates that the table can emit."""
        return _patterns(self.table)

    @property
    def storable(self) -> tuple[Type, ...]:
        """The types that a plain store takes."""
        return _cached(self.table, "storable", lambda: tuple(
            row.args[0] for row in self.table.stores if row.op == "store"))

    def users(self, kind: Type) -> tuple[Row, ...]:
        """Rows of one or two operands whose first and last are of `kind`."""
        return _cached(self.table, ("users", kind), lambda: tuple(
            row for row in self.table.rows if 1 <= len(row.args) <= 2 and row.args[0] is kind and row.args[-1] is kind))

    def passable(self, convention: str) -> tuple[Type, ...]:
        """The palette's types that every ISA of the program passes and returns in a convention."""
        allowed = _cached(self.table, ("passable", convention), lambda: _passable(self, convention))
        return tuple([kind for kind in self.palette if kind in allowed]) or (I64,)

    def convention_has(self, what: str, convention: str) -> bool:
        """Whether every ISA has 'call', 'return_call' or 'try_call' of a convention (if the matrix was asked)."""
        matrices = [self.context.matrices[isa] for isa in self.isas]
        return all(f"{what}.{convention}" in m or "call.system_v" not in m for m in matrices)

    def can_say(self, what: str) -> bool:
        """Whether the compiler's text knows `text.WHAT` (if the matrix was asked): older versions' says less."""
        return _cached(self.table, ("text", what), lambda: all(
            f"text.{what}" in m or "call.system_v" not in m for m in map(self.context.matrices.__getitem__, self.isas)))

    def producers(self, kind: Type) -> tuple[Row, ...]:
        """Rows that make a `kind` from other types."""
        return _cached(self.table, ("producers", kind), lambda: tuple(
            row for row in self.table.rows if row.results[:1] == (kind,) and kind not in row.args and row.args))

    def cleaner(self, kind: Type) -> str:
        """How NaN bits are canonicalized: 'select', 'lanes', or '' if these ISAs cannot."""
        return _cached(self.table, ("cleaner", kind), lambda: _cleaner(self.table, kind))

    def cast_source(self, kind: Type) -> Type:
        """The type from which a constant of `kind` is bitcast."""
        return _cached(self.table, ("cast", kind), lambda: next(
            row.args[0] for row in self.table.by_shape.values() if row.op == "bitcast" and row.type is kind
            and self.table.const.get(row.args[0], "bitcast") != "bitcast"))

    def region_of(self, body: Body, slot: int) -> int:
        """An alias region of its own for a stack slot, counted from 1; 0 if the version has none."""
        if "regions" not in self.context.features:
            return 0
        number = len(body.region_of)
        body.region_of[slot] = number
        body.function.preamble.append((f"region{number}", f'{number + 1} "slot {slot}"'))
        return number + 1

    def anything(self, body: Body) -> None:
        """Some plain row."""
        rows = self.table.rows
        body.plain(rows[self.bits(16) % len(rows)])


T = TypeVar("T")


def _cached(table: Table, key: object, make: Callable[[], T]) -> T:
    """A fact derived from a table alone, kept with it."""
    found = table.cache.get(key)
    if found is None:
        found = table.cache[key] = make()
    return cast(T, found)


def _patterns(table: Table) -> tuple[Node, ...]:
    return _cached(table, "patterns", lambda: templates(table))


def _cleaner(table: Table, kind: Type) -> str:
    if not table.can(f"fcmp.{kind.name}", "ord"):
        return ""
    if not kind.is_vector:
        return "select" if table.has(f"select.{kind.name}.i8") else ""
    shape = kind.as_int().name
    needed = (f"bitcast.{shape}.{kind.name}", f"bitcast.{kind.name}.{shape}", f"band.{shape}")
    return "lanes" if all(map(table.has, needed)) else ""


def _draw_isas(bits: Callable[[int], int], profile: Profile, context: Context) -> tuple[str, ...]:
    """All ISAs mostly; else a set of them that has typings of its own."""
    subsets = context.subsets()
    r = bits(16)
    if len(subsets) < 2 or r & 255 < 256 - SUBSET_SHARE.get(profile.name, 44):
        return context.isas
    weights = context.subset_weights()
    return weights[(r >> 8) % len(weights)]


SUBSET_SHARE: Final = {"simd": 230, "floats": 110, "calls": 50, "memory": 90}
"""Chance in 256 that a program is for a subset of the ISAs, where it is not 44."""


def _palette(table: Table, profile: Profile, on: int, r: int) -> tuple[Type, ...]:
    """The types of parameters and block arguments of a program, some more often than others."""
    pool = _cached(table, ("types", profile.name), lambda: tuple(
        kind for kind in table.types for _ in range(profile.classes.get(type_class(kind), profile.other))))
    size = 4 + (on & 7)
    n = len(pool)
    return tuple([pool[(r * (2 * at + 3) + (on >> 3) + (r >> at)) % n] for at in range(size)])


def _memory_rows(table: Table, profile: Profile) -> tuple[tuple[Row, ...], ...]:
    """Loads, stores, and of both those that move a whole value, weighted by type class."""
    def weighted(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(row for row in rows for _ in range(1 + profile.classes.get(
            type_class(row.results[0] if row.results else row.args[0]), profile.other) // 2))

    return _cached(table, ("memory", profile.name), lambda: (
        weighted(table.loads), weighted(table.stores), weighted(tuple(r for r in table.loads if r.op == "load")),
        weighted(tuple(r for r in table.stores if r.op == "store"))))


def _specials(table: Table, with_rules: bool) -> tuple[tuple[str, int, Emitter], ...]:
    """The families that are functions: name, factor on their weight, emitter."""
    found: list[tuple[str, int, Emitter]] = [("load", 3, memory.load), ("store", 3, memory.store),
                                             ("load", 2, memory.sunk_load), ("store", 1, memory.store_run),
                                             ("call", 2, calls.call), ("address", 1, frame_address)]
    if table.atomics:
        found.append(("atomic", 2, memory.atomic))
    if table.divisions:
        found.append(("div", 2, traps.divide))
    if table.conversions:
        found.append(("fconvert", 1, traps.convert))
    if table.traps:
        found.append(("trap", 1, traps.trap))
    if _patterns(table):
        found.append(("pattern", 5, emit_pattern))
    if with_rules:
        found.append(("rule", 5, emit_rule))
    return tuple(found)


def _menu(program: Program, on: int, random: int) -> list[MenuEntry]:
    """The swarm: groups of rows and emitters, each as often as its weight says, about half of them left out."""
    table, profile = program.table, program.profile
    groups, specials = _cached(table, ("menu", profile.name), lambda: _weighted(
        table, profile, bool(program.context.rules)))
    families = _switches(on, profile.keep)
    classes = _switches(random, 190)
    menu: list[MenuEntry] = []
    for family, klass, entries in groups:
        if families >> family & 1 and classes >> klass & 1:
            menu += entries
    for family, entries in specials:
        if families >> family & 1:
            menu += entries
    size = max(8, len(menu) >> 4)
    menu += [table.rows] * size
    always = ((table.conversions, traps.convert), (table.traps, traps.trap), (table.atomics, memory.atomic))
    for rows, emitter in always:
        if rows:
            menu += [emitter] * (size >> 1)
    if table.exclusive:
        menu += [table.exclusive] * (size * 4)
    if program.frozen:
        menu += [memory.frozen_load] * size
    if program.may_trap:
        menu += [memory.one_past] * max(1, size >> 2)
    return menu


def _switches(random: int, keep: int) -> int:
    """64 bits, each set with a chance of about `keep` in 256, from 64 random bits."""
    mixed = (random * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    third = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    if keep < 160:
        return random | (mixed & third >> 7)
    return random | mixed if keep < 210 else random | mixed | third


def _weighted(table: Table, profile: Profile, with_rules: bool) -> Weighted:
    every = _specials(table, with_rules)
    names = sorted({family for family, _, _ in table.groups} | {name for name, _, _ in every})
    class_names = sorted({klass for _, klass, _ in table.groups})
    groups: list[tuple[int, int, list[MenuEntry]]] = []
    for family, klass, rows in table.groups:
        weight = profile.families.get(family, profile.other) * profile.classes.get(klass, profile.other)
        if weight:
            groups.append((names.index(family), class_names.index(klass), [rows] * max(1, weight // 8)))
    specials: list[tuple[int, list[MenuEntry]]] = []
    for name, factor, emitter in every:
        weight = profile.families.get(name, profile.other) * factor
        if weight:
            specials.append((names.index(name), [emitter] * weight))
    return groups, specials


def frame_address(body: Body) -> None:
    """Opcodes that give an address which differs everywhere: it goes to a stack slot that nobody reads."""
    ops = _cached(body.table, "addresses", lambda: tuple(
        op for op in ("get_frame_pointer", "get_stack_pointer", "get_return_address", "stack_addr", "func_addr")
        if body.table.has(f"{op}.i64") and (op not in ("get_frame_pointer", "get_return_address")
                                            or "frame_pointers" in body.program.context.features)))
    if not ops:
        body.program.anything(body)
        return
    op = ops[body.bits(8) % len(ops)]
    imm: object = None
    if op == "stack_addr":
        imm = 0
        if not body.function.stack_slots:
            return
    if op == "func_addr":
        if not body.callees:
            return
        imm = calls.reference(body, body.callees[0])
    calls.hide(body, body.ins(op, I64, (), I64, imm))


def _make_function(program: Program, number: int, last: int, size: int) -> tuple[Function, tuple[str, ...]]:
    """Function `number` of 0…last; the last is the entry."""
    bits, table = program.bits, program.table
    conventions = _cached(table, "conventions", lambda: _conventions(program))
    entry = number == last
    r = bits(16)
    convention = conventions[r % len(conventions)]
    if entry and (r >> 8 & 3 or convention in _INNER):
        convention = "system_v"
    signature, kinds = calls.draw_signature(program, convention, entry)
    body = Body(program, f"%{program.prefix}{number}", signature)
    body.is_entry = entry
    _bring_in(body, kinds, entry)
    budget = size if entry else max(6, size >> 1)
    if not body.pointers or r >> 10 & 3 == 0:
        memory.make_slot(body)
    body.pointers += [(body.function.blocks[0].params[place][0], 0, calls.POINTEE, 8, -1, 0)
                      for place, kind in enumerate(kinds) if kind == "struct"]
    body.count = body.cost = len(body.insts)
    if entry and program.duty:
        perform(body, program.duty.keys)
    recursive = "counter" in kinds
    if recursive:
        body.straight(2)
        calls.recursion(body, calls.Callee(body.function.name, signature, kinds, 0))
    if entry and program.specs and bits(2):
        body.straight(3)
        if bits(2) or not calls.try_call(body):
            calls.call(body)
    if r >> 4 & 3 < (2 if entry and budget > 16 else 1):
        body.straight(2)
        control.counted_loop(body, budget >> 2, 1)
        budget -= (budget >> 2) + 6
    control.fill(body, budget)
    if entry:
        memory.final_stores(body, min((4, 8, 6, 12)[r >> 12 & 3], 2 + size // 6))
    calls.finish(body)
    for block in body.late:
        body.function.blocks.append(block)
        block.insts.append(Inst("trap", None, imm=f"user{1 + (r & 63)}"))
    if r >> 13 == 0:
        _shuffle(body)
    if not entry:
        program.specs.append(calls.Callee(body.function.name, signature, kinds, body.cost * (3 if recursive else 1)))
    return body.function, kinds


def _bring_in(body: Body, kinds: tuple[str, ...], entry: bool) -> None:
    """The parameters: data into the pools, pointers into theirs."""
    for kind, (value, param_type) in zip(kinds, body.function.blocks[0].params):
        if kind == "data":
            body.push(value, param_type)
            if param_type.is_float and not entry:
                body.tainted.add(value)
        elif kind == "pointer" and not entry:
            body.pointers.append((value, 0, calls.POINTEE, 16, -1, 0))
        elif kind == "pointer":
            away = _BIG_POINTER if body.pointers else 0
            body.pointers.append((value, -away, SLOT_SIZE - away - body.program.frozen, 16, -1, 0))
        elif kind == "counter":
            body.push(value, param_type)


def _shuffle(body: Body) -> None:
    """Another layout: two blocks after the entry change places, a few times."""
    blocks = body.function.blocks
    count = len(blocks) - 1
    if count < 2:
        return
    r = body.bits(32)
    for step in range(3):
        a, b = 1 + (r >> 8 * step) % count, 1 + (r >> 8 * step + 4) % count
        blocks[a], blocks[b] = blocks[b], blocks[a]


def _passable(program: Program, convention: str) -> frozenset[Type]:
    matrices = [program.context.matrices[isa] for isa in program.isas]
    ways = ("param",) if convention == "preserve_all" else ("param", "return")
    return frozenset(kind for kind in program.table.types if all(
        f"{way}.{convention}.{kind.name}" in m or "call.system_v" not in m for m in matrices for way in ways))


_SHARES: Final = {"system_v": 4, "tail": 4, "fast": 3, "windows_fastcall": 8, "apple_aarch64": 8}


def _conventions(program: Program) -> tuple[str, ...]:
    """Those that all ISAs of the program have, the usual ones more often."""
    lists = [program.context.conventions[isa] for isa in program.isas]
    shared = [name for name in lists[0] if all(name in names for names in lists)
              and program.convention_has("call", name) and program.convention_has("param", f"{name}.i64")]
    return tuple(name for name in shared for _ in range(_SHARES.get(name, 2)))


def generate(choices: Choices, profile: Profile | str, context: Context, slot: int = 0, prefix: str = "f",
             name: str = "", turn: int | None = None) -> Case:
    """One program with `context.inputs` inputs in the data regions from `slot` on; functions are called %PREFIX0….

    `profile` 'all' draws one of `profiles.MIX`. With `turn` the program holds what is due on the rota then.
    Tags: 'profile', 'isas' (the program is for these only), 'may_trap',
    'endian_sensitive' (interpret it once per endianness if both kinds of ISA are among them).
    """
    bits = choices.bits
    if isinstance(profile, str):
        profile = _mixed(bits) if profile == "all" else by_name(profile)
    program = Program(bits, profile, context, prefix, None if turn is None else duty(context, turn))
    weights = profile.functions
    r = bits(16) % sum(weights)
    last = 0
    while r >= weights[last]:
        r -= weights[last]
        last += 1
    whole = int(context.size * profile.size * (160 + bits(6) * 3) / 360)
    if turn is not None:
        whole = whole * 5 >> 3
    size = max(4, int(whole / (1 + 0.75 * last)) - 8)
    made = [_make_function(program, number, last, size) for number in range(last + 1)]
    functions = [function for function, _ in made]
    inputs, memories = _inputs(bits, functions[last].signature, made[last][1], context.inputs, slot)
    both = any(isa in BIG_ENDIAN for isa in program.isas) and not all(isa in BIG_ENDIAN for isa in program.isas)
    return Case(Module(functions), last, inputs, memories, slot, name, {
        "profile": profile.name, "isas": program.isas, "may_trap": program.may_trap, "endian_sensitive": both})


def _mixed(bits: Callable[[int], int]) -> Profile:
    if bits(9) == 0x155:
        return PROFILES["large"]
    r = bits(16) % sum(weight for _, weight in MIX)
    for name, weight in MIX:
        if r < weight:
            return PROFILES[name]
        r -= weight
    raise AssertionError(r)


def _inputs(bits: Callable[[int], int], signature: Signature, kinds: tuple[str, ...], count: int,
            slot: int) -> tuple[tuple[tuple[int, ...], ...], tuple[bytes, ...]]:
    """Arguments and region contents of every run. The leading parameters of kind 'pointer' are addresses."""
    params = signature.params
    pool = memory_pool()
    span = len(pool) - SLOT_SIZE
    rows: list[tuple[int, ...]] = []
    memories: list[bytes] = []
    pointers = kinds.count("pointer")
    tables = [runtime_table(param.type) for param in params[pointers:]]
    for run in range(count):
        base = slot_address(slot + run)
        random = bits(9 * len(tables) + 15)
        start = (random & 0x7FFF) % span
        random >>= 15
        row = [base, base + _BIG_POINTER][:pointers]
        for at, values in enumerate(tables):
            row.append(values[random >> 9 * at & 511])
        rows.append(tuple(row))
        memories.append(pool[start:start + SLOT_SIZE])
    return tuple(rows), tuple(memories)
