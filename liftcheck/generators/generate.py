"""Programs: the functions of a case, their swarm of families, and the inputs they run on.

The one idea: `generate` is a pure function of the choices, the profile and the context. It draws which ISAs the
program is for, which families and types are switched on, makes functions leaves first (the last one is the entry) and
draws inputs. Well-formed and ending by construction; what may trap says so (`tags['may_trap']`).
Nothing that differs between ISAs flows into what is compared: addresses of stack slots and functions go nowhere but
into accesses, calls, and a stack slot that nothing reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Final

from liftcheck.case import Case
from liftcheck.clif.ir import Function, Inst, Module, Signature
from liftcheck.clif.opcodes import OPCODES, WHOLE
from liftcheck.clif.types import I64, Type
from liftcheck.clif.values import memory_pool, runtime_table
from liftcheck.generators import calls, control, memory, traps
from liftcheck.generators.body import Body, Pointer
from liftcheck.generators.choices import Choices
from liftcheck.generators.patterns import emit_pattern, patterns_of
from liftcheck.generators.profiles import MIX, PROFILES, Profile, by_name, type_class
from liftcheck.generators.program import Callee, Program
from liftcheck.generators.rows import Emitter, Groups, MenuEntry, Offer, Row, Table
from liftcheck.generators.rules import Due, due, emit_due, emit_rule
from liftcheck.generators.schedule import emit_goals, goals
from liftcheck.generators.tables import BIG, LITTLE, Context, Goals
from liftcheck.isa import BIG_ENDIAN
from liftcheck.layout import SLOT_SIZE, slot_address

_ANY_CLASS: Final = 1 << 29
"""The switch of what has no type class: always on."""
_ALL_SWITCHES: Final = (1 << 30) - 1
"""As many as a quick Python integer has bits."""
_NO_TAGS: Final[Mapping[str, object]] = {}
_BIG_POINTER: Final = 1024
_INNER: Final = ("preserve_all", "winch")
"""Conventions of functions that are called from CLIF alone: nothing is returned, or nothing is preserved."""


def _begun(
    bits: Callable[[int], int], profile: Profile, context: Context, prefix: str, isas: tuple[str, ...]
) -> Program:
    """A program without functions. The order of its draws is that of every seed."""
    program = Program(bits, profile, context, prefix, isas)
    found = program.table.derived.offers.get(profile.name)
    program.offer = _offer(program) if found is None else found
    on = bits(64)
    program.palette = _palette(program.offer.types, on, bits(32))
    program.menu_ends, program.menu = _menu(program, on, bits(64))
    return program


def _draw_isas(bits: Callable[[int], int], profile: Profile, context: Context) -> tuple[str, ...]:
    """All ISAs mostly; else a set of them that has typings of its own."""
    subsets = context.subsets()
    r = bits(16)
    if len(subsets) < 2 or r & 255 < 256 - SUBSET_SHARE.get(profile.name, 28):
        return context.isas
    weights = context.subset_weights()
    return weights[(r >> 8) % len(weights)]


SUBSET_SHARE: Final = {"simd": 230, "floats": 110, "calls": 50, "memory": 90}
"""Chance in 256 that a program is for a subset of the ISAs, where it is not 28."""


def _offer(program: Program) -> Offer:
    """What there is for a program, kept with its table by the profile's name."""
    table, profile = program.table, program.profile

    def weight(ty: Type) -> int:
        return profile.classes.get(type_class(ty), profile.other)

    def weighted(rows: list[Row] | tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple([row for row in rows for _ in range(1 + weight((*row.results, *row.args)[0]) // 2)])

    big = {isa in BIG_ENDIAN for isa in program.isas}
    offer = table.derived.offers[profile.name] = Offer(
        tuple([ty for ty in table.types for _ in range(weight(ty))]),
        weighted(table.loads),
        weighted(table.stores),
        weighted([row for row in table.loads if OPCODES[row.op].access == WHOLE]),
        tuple([row.args[0] for row in table.stores if OPCODES[row.op].access == WHOLE]),
        tuple(
            [
                row
                for row in table.rows
                if row.op in ("icmp", "fcmp")
                and not row.results[0].is_vector
                and type_class(row.args[0]) in ("word", "narrow", "fp", "wide")
            ]
        ),
        (LITTLE, BIG) if big == {True} else (LITTLE, LITTLE),
        len(big) == 2,
        _conventions(program),
        _groups(table, profile, bool(program.context.rules)),
    )
    return offer


def _palette(pool: tuple[Type, ...], on: int, r: int) -> tuple[Type, ...]:
    """The types of parameters and block arguments of a program, some more often than others."""
    size = 4 + (on & 7)
    n = len(pool)
    return tuple([pool[(r * (2 * at + 3) + (on >> 3) + (r >> at)) % n] for at in range(size)])


def _specials(table: Table, with_rules: bool) -> tuple[tuple[str, int, Emitter], ...]:
    """The families that are functions: name, factor on their weight, emitter."""
    found: list[tuple[str, int, Emitter]] = [
        ("load", 3, memory.load),
        ("store", 3, memory.store),
        ("load", 2, memory.sunk_load),
        ("store", 1, memory.store_run),
        ("call", 2, calls.call),
        ("address", 1, frame_address),
    ]
    if table.atomics:
        found.append(("atomic", 2, memory.atomic))
    if table.divisions:
        found.append(("div", 2, traps.divide))
    if table.conversions:
        found.append(("fconvert", 1, traps.convert))
    if table.traps:
        found.append(("trap", 1, traps.trap))
    if patterns_of(table):
        found.append(("pattern", 5, emit_pattern))
    if with_rules:
        found.append(("rule", 5, emit_rule))
    return tuple(found)


def _menu(program: Program, on: int, random: int) -> tuple[list[int], list[MenuEntry]]:
    """The swarm: groups of rows and emitters, each as often as its weight says, about half of them left out. Gives the
    sums of the weights up to each entry, and the entries."""
    table = program.table
    families = _switches(on, program.profile.keep) & _ALL_SWITCHES
    classes = _switches(random, 190) & _ALL_SWITCHES | _ANY_CLASS
    menu = [
        entry
        for family, members in program.offer.groups
        if families & family
        for entry in members
        if classes & entry[0]
    ]
    size = max(8, sum([weight for _, weight, _ in menu]) >> 4)
    menu.append((1, size, table.rows))
    always = ((table.conversions, traps.convert), (table.traps, traps.trap), (table.atomics, memory.atomic))
    for rows, emitter in always:
        if rows:
            menu.append((1, size >> 1, emitter))
    if table.exclusive:
        menu.append((1, size * 4, table.exclusive))
    if program.frozen:
        menu.append((1, size, memory.frozen_load))
    if program.may_trap:
        menu.append((1, max(1, size >> 2), memory.one_past))
    return list(accumulate([weight for _, weight, _ in menu])), [entry for _, _, entry in menu]


def _switches(random: int, keep: int) -> int:
    """64 bits, each set with a chance of about `keep` in 256, from 64 random bits."""
    mixed = (random * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    third = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    if keep < 160:
        return random | (mixed & third >> 7)
    return random | mixed if keep < 210 else random | mixed | third


def _groups(table: Table, profile: Profile, with_rules: bool) -> Groups:
    every = _specials(table, with_rules)
    names = sorted({family for family, _, _ in table.groups} | {name for name, _, _ in every})
    class_names = sorted({klass for _, klass, _ in table.groups})
    assert len(names) < 30 and len(class_names) < 29
    found: dict[str, list[tuple[int, int, MenuEntry]]] = {}
    for family, klass, rows in table.groups:
        weight = profile.families.get(family, profile.other) * profile.classes.get(klass, profile.other)
        if weight:
            found.setdefault(family, []).append((1 << class_names.index(klass), max(1, weight // 8), rows))
    specials: list[tuple[str, list[tuple[int, int, MenuEntry]]]] = []
    for name, factor, emitter in every:
        weight = profile.families.get(name, profile.other) * factor
        if weight:
            specials.append((name, [(_ANY_CLASS, weight, emitter)]))
    return [(1 << names.index(name), members) for name, members in (*found.items(), *specials)]


def _frame_addresses(body: Body) -> tuple[str, ...]:
    """The opcodes of `frame_address` that the ISAs have."""
    framed = ("get_frame_pointer", "get_return_address") if "frame_pointers" in body.program.context.features else ()
    ops = ("get_frame_pointer", "get_stack_pointer", "get_return_address", "stack_addr", "func_addr")
    unframed = ("get_stack_pointer", "stack_addr", "func_addr")
    return tuple(op for op in ops if body.table.has(f"{op}.i64") and op in framed + unframed)


def frame_address(body: Body) -> None:
    """Opcodes that give an address which differs everywhere: it goes to a stack slot that nothing reads."""
    ops = body.table.derived.addresses
    if ops is None:
        ops = body.table.derived.addresses = _frame_addresses(body)
    if not ops:
        body.anything()
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


def _make_function(
    program: Program, number: int, last: int, size: int, held: Goals | Due | None
) -> tuple[Function, tuple[str, ...]]:
    """Function `number` of 0…last; the last is the entry, which holds what is due in `held`."""
    bits, conventions = program.bits, program.offer.conventions
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
    body.pointers += [
        Pointer(body.function.blocks[0].params[place][0], 0, calls.POINTEE, 8)
        for place, kind in enumerate(kinds)
        if kind == "struct"
    ]
    body.count = body.cost = len(body.insts)
    if entry and isinstance(held, Due):
        emit_due(body, held)
    elif entry and isinstance(held, Goals):
        emit_goals(body, held.keys)
    recursive = "counter" in kinds
    if recursive:
        body.straight(2)
        calls.recursion(body, Callee(body.function.name, signature, kinds, 0))
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
        program.specs.append(Callee(body.function.name, signature, kinds, body.cost * (3 if recursive else 1)))
    return body.function, kinds


def _bring_in(body: Body, kinds: tuple[str, ...], entry: bool) -> None:
    """The parameters: data into the pools, pointers into theirs."""
    for kind, (value, param_type) in zip(kinds, body.function.blocks[0].params):
        if kind == "data":
            body.push(value, param_type)
            if param_type.is_float and not entry:
                body.tainted.add(value)
        elif kind == "pointer" and not entry:
            body.pointers.append(Pointer(value, 0, calls.POINTEE, 16))
        elif kind == "pointer":
            away = _BIG_POINTER if body.pointers else 0
            body.pointers.append(Pointer(value, -away, SLOT_SIZE - away - body.program.frozen, 16))
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


_SHARES: Final = {"system_v": 4, "tail": 4, "fast": 3, "windows_fastcall": 8, "apple_aarch64": 8}


def _conventions(program: Program) -> tuple[str, ...]:
    """Those that all ISAs of the program have, the usual ones more often."""
    lists = [program.context.conventions[isa] for isa in program.isas]
    shared = [
        name
        for name in lists[0]
        if all(name in names for names in lists)
        and program.convention_has("call", name)
        and program.convention_has("param", f"{name}.i64")
    ]
    return tuple(name for name in shared for _ in range(_SHARES.get(name, 2)))


def generate(
    choices: Choices,
    profile: Profile | str,
    context: Context,
    slot: int = 0,
    prefix: str = "f",
    name: str = "",
    turn: int | None = None,
    rule_turn: int | None = None,
    cold: bytes = b"",
    tags: Mapping[str, object] = _NO_TAGS,
) -> Case:
    """One program with `context.inputs` inputs in the data regions from `slot` on; functions are called %PREFIX0….

    `profile` 'all' draws one of `profiles.MIX`. With `turn` the program holds what is due on the schedule then,
    with `rule_turn` the rules' left-hand sides that are, three times of four of those that are `cold`.
    Tags, in addition to those given: 'profile', 'isas' (the program is for these only), 'may_trap',
    'endian_sensitive' (interpret it once per endianness if both kinds of ISA are among them).
    """
    bits = choices.bits
    if isinstance(profile, str):
        profile = _mixed(bits) if profile == "all" else by_name(profile)
    held: Goals | Due | None = goals(context, turn) if turn is not None else None
    if rule_turn is not None:
        held = due(context, rule_turn, cold)
    isas = held.isas if held is not None else _draw_isas(bits, profile, context)
    program = _begun(bits, profile, context, prefix, isas)
    weights = profile.functions
    r = bits(16) % sum(weights)
    last = 0
    while r >= weights[last]:
        r -= weights[last]
        last += 1
    whole = int(context.size * profile.size * (160 + bits(6) * 3) / 360)
    if held is not None:
        whole = whole * 5 >> 3
    size = max(4, int(whole / (1 + 0.75 * last)) - 8)
    made = [_make_function(program, number, last, size, held) for number in range(last + 1)]
    functions = [function for function, _ in made]
    inputs, memories = _inputs(bits, functions[last].signature, made[last][1], context.inputs, slot)
    return Case(
        Module(functions),
        last,
        inputs,
        memories,
        slot,
        name,
        {
            "profile": profile.name,
            "isas": program.isas,
            "may_trap": program.may_trap,
            "endian_sensitive": program.offer.endian_sensitive,
            **tags,
        },
    )


def _mixed(bits: Callable[[int], int]) -> Profile:
    if bits(9) == 0x155:
        return PROFILES["large"]
    r = bits(16) % sum(weight for _, weight in MIX)
    for name, weight in MIX:
        if r < weight:
            return PROFILES[name]
        r -= weight
    raise AssertionError(r)


def _inputs(
    bits: Callable[[int], int], signature: Signature, kinds: tuple[str, ...], count: int, slot: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[bytes, ...]]:
    """Arguments and region contents of every run. The leading parameters of kind 'pointer' are addresses."""
    pool = memory_pool()
    span = len(pool) - SLOT_SIZE
    rows: list[tuple[int, ...]] = []
    memories: list[bytes] = []
    pointers = kinds.count("pointer")
    tables = [(9 * at + 15, runtime_table(param.type)) for at, param in enumerate(signature.params[pointers:])]
    width = 9 * len(tables) + 15
    for run in range(count):
        base = slot_address(slot + run)
        random = bits(width)
        start = (random & 0x7FFF) % span
        values = [table[random >> shift & 511] for shift, table in tables]
        rows.append((*(base, base + _BIG_POINTER)[:pointers], *values))
        memories.append(pool[start : start + SLOT_SIZE])
    return tuple(rows), tuple(memories)
