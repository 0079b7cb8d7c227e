"""Reads machine code by the rows: what an instruction reads, writes and accesses, where it leads (`mach.insn.Insn`).

The one idea: what a row's instructions have in common is found once, when the first one is met (`noted`); for each
instruction only its operands are put in, and of moves and the like what they do exactly.

What rows do not say is the ISA's `Manner`: how the compiler uses instructions (a jump over constants is written as a
call), which ones have effects, which of them differ so much with their operands that they are looked at one by one.
An instruction without a row is not known, nor is one whose row never has a meaning, unless it is told that operands are
all that it has. Nothing here judges code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from liftcheck.bits.simplify import normal
from liftcheck.bits.term import Term
from liftcheck.errors import InternalError
from liftcheck.mach import insn as m
from liftcheck.mach.insn import Access, Effect, Insn, unknown
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.kinds import Immediate, Kind, Value
from liftcheck.mach.rows.machine import Effects, Place
from liftcheck.mach.rows.noted import Noted, Touched, Used
from liftcheck.mach.rows.row import HERE, Row
from liftcheck.mach.rows.table import Decoded, Table

_MOST: Final = 1 << 14
"""Effects that are remembered, but for where they are; then the memory starts anew."""
_SMALL: Final = 4
"""Bits of immediates that are modes."""
_NONE: Final = frozenset[int]()
_NEVER: Final = re.compile(r"(?!)")
Opened = Callable[[Decoded], tuple[bytes | int, ...]]
_FLOWS: Final = {"jump": m.JUMP, "call": m.CALL, "return": m.RETURN}


def _same(term: Term) -> Term:
    return term


def _not_opened(row: Row) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Manner:
    """What rows do not say of an ISA. Expressions match whole mnemonics.

    named     what a named place is in `Insn`: FLAGS, CONTROL
    exact     what moves, spills, reloads, prologues and epilogues consist of: these have an `effect`
    idle      those of them that are there to do nothing; others of which nothing is seen may be fences
    merged    see `Insn.merged`
    flows     mnemonic to flow, where the compiler uses an instruction for something else than its row says
    varies    those whose operands decide what else is read and written, or where they lead
    plain     those without a meaning that have their operands alone
    goal      what a return writes to PC, of what its row says
    typical   values by operand name with which each row is looked at: those of modes that say least of the others
    prefixes  first words of a text that go with the mnemonic that follows
    mended    mnemonic to what makes the instruction of what its row says, where that is less than code relies on
    spelt     what gives name and operands of an instruction, where these are not those of its row
    contexts  those (`Machine.context`) under which rows are looked at that have no meaning without one, the first
              that gives one; such instructions read the place `context`
    opened    what gives `Insn.opened` of a row's instructions
    """

    named: Mapping[Place, int]
    exact: re.Pattern[str]
    idle: re.Pattern[str] = _NEVER
    merged: re.Pattern[str] = _NEVER
    flows: Mapping[str, int] = field(default_factory=dict)
    varies: re.Pattern[str] = _NEVER
    plain: re.Pattern[str] = _NEVER
    goal: Callable[[Term], Term] = _same
    typical: Mapping[str, Value] = field(default_factory=dict)
    prefixes: frozenset[str] = frozenset()
    mended: Mapping[str, Callable[[Insn, Decoded], Insn]] = field(default_factory=dict)
    spelt: Callable[[Decoded], tuple[str, str]] | None = None
    contexts: Sequence[object] = ()
    context: Place = NONE
    opened: Callable[[Row], Opened | None] = _not_opened


class Common(NamedTuple):
    """What the instructions of a row have in common. reads, writes: what no operand names; target: the operand that is
    a place in the code, NONE if there is none; keeps: those of `writes` of which a part stays; name: with its
    prefix; begins: where operands begin in their text."""

    known: bool
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()
    operands: tuple[Used, ...] = ()
    touched: tuple[Touched, ...] = ()
    flow: int = m.ORDINARY
    target: int = NONE
    exact: bool = False
    apart: bool = False
    merged: bool = False
    opened: Opened | None = None
    mended: Callable[[Insn, Decoded], Insn] | None = None
    name: str = ""
    begins: int = 0
    keeps: frozenset[int] = frozenset()


class _Forms(NamedTuple):
    """Of a row whose operands have forms: the operands, and what instructions of each form have in common."""

    operands: tuple[tuple[int, Kind], ...]
    found: dict[tuple[object, ...], Common]


class Reader:
    """A `mach.insn.Reader` over a table."""

    def __init__(self, isa: str, table: Table, manner: Manner) -> None:
        self.isa: Final = isa
        self.table: Final = table
        self.manner: Final = manner
        self._rows: Final[dict[int, Common | _Forms]] = {}
        self._apart: Final[dict[tuple[object, ...], Effect]] = {}

    def __call__(self, window: bytes) -> Insn:
        """The instruction that `window` begins with."""
        decoded = self.table.first(window)
        if decoded is None:
            sizes = self.table.sizes
            return unknown(min(len(window), sizes[window[0]] if sizes else 1))
        return self.read(decoded)

    def read(self, decoded: Decoded) -> Insn:
        """The same, of what is decoded already."""
        row = decoded.row
        met = self._rows.get(id(row))
        if met is None:
            common = self._met(decoded)
        elif isinstance(met, _Forms):
            key = tuple([kind.form(decoded.values[number]) for number, kind in met.operands])
            common = met.found.get(key) or met.found.setdefault(key, self.common(decoded))
        else:
            common = met
        found = self._read(decoded, common)
        return found if common.mended is None else common.mended(found, decoded)

    def _met(self, decoded: Decoded) -> Common:
        """Of a row that is met for the first time, or of one that varies."""
        common, row = self.common(decoded), decoded.row
        if self.manner.varies.fullmatch(row.name) is None:
            forms = [(n, o.kind, o.kind.form(v)) for n, (o, v) in enumerate(zip(row.operands, decoded.values))]
            several = tuple([(n, kind) for n, kind, form in forms if form is not None])
            key = tuple([form for _, _, form in forms if form is not None])
            self._rows[id(row)] = _Forms(several, {key: common}) if several else common
        return common

    def _read(self, decoded: Decoded, common: Common) -> Insn:
        _, values, data = decoded
        if not common.known:
            return unknown(len(data), *self._text(decoded, common))
        reads, writes, keeps = [*common.reads], [*common.writes], common.keeps
        for number, kind, some, written, kept in common.operands:
            places: Sequence[int] = kind.places(values[number])  # type: ignore[assignment]
            if some is None:
                reads += places
            elif some:
                reads += [places[k] for k in some]
            if written:
                writes += places
                if kept and some is not None:
                    keeps = keeps.union(places).difference([places[k] for k in some])
        merged = _NONE
        if common.merged:
            merged = frozenset([place for place in writes if place >= 0])
            reads += merged.difference(reads)
            keeps -= merged
        read = frozenset(reads)
        twice = _NONE
        if len(read) != len(reads):
            fields = reads[len(common.reads) :]
            twice = frozenset([place for place in read if fields.count(place) > 1]) - merged
        accesses = tuple([_access(one, decoded) for one in common.touched]) if common.touched else ()
        return Insn(
            len(data),
            *self._text(decoded, common),
            read,
            frozenset(writes),
            common.flow,
            self._effect(decoded, common, accesses) if common.exact else None,
            values[common.target] if common.target != NONE else None,
            accesses,
            True,
            merged,
            keeps,
            False,
            twice,
            common.opened(decoded) if common.opened is not None else (),
        )

    def _text(self, decoded: Decoded, common: Common) -> tuple[str, str]:
        if self.manner.spelt is not None:
            return self.manner.spelt(decoded)
        return common.name or decoded.row.name, decoded.row.syntax.spelt(decoded.values)[common.begins :]

    def _effect(self, decoded: Decoded, common: Common, accesses: tuple[Access, ...]) -> Effect | None:
        """What an instruction does exactly; None where it accesses memory at no register."""
        if not accesses:
            return Effect.later(partial(self._does, decoded))
        if any(access.base < 0 for access in accesses):
            return None
        if not common.apart or accesses[0].scaled != NONE:
            return Effect.later(partial(self._does, decoded))
        return Effect.later(partial(self._elsewhere, decoded, common.touched[0].numbers, accesses[0]))

    def _does(self, decoded: Decoded) -> Effect:
        effects = self.table.lifted(decoded).effects
        if effects is None:
            raise InternalError(f"{decoded.text} has no meaning")
        writes = [(place, normal(term)) for place, term in effects.writes.items() if isinstance(place, int)]
        writes += [(m.PC, self.manner.goal(jump.target)) for jump in effects.jumps]
        loads = [m.Load(x.value, normal(x.address), x.size) for x in effects.loads]
        stores = [m.Store(normal(x.address), x.size, normal(x.value)) for x in effects.stores]
        return Effect(tuple(writes), tuple(loads), tuple(stores))

    def _elsewhere(self, decoded: Decoded, operands: tuple[int, ...], access: Access) -> Effect:
        """The same, by an instruction that differs in where it accesses memory alone."""
        key = id(decoded.row), *[value for number, value in enumerate(decoded.values) if number not in operands]
        found = self._apart.get(key)
        if found is None:
            if len(self._apart) >= _MOST:
                self._apart.clear()
            found = self._apart[key] = self._does(decoded)
        at = m.address(self.isa, access.base, access.displacement)
        loads = [m.Load(x.value, at, x.size) for x in found.loads]
        return Effect(found.writes, tuple(loads), tuple([m.Store(at, x.size, x.value) for x in found.stores]))

    def of_row(self, row: Row) -> Common:
        """Of a row of which no instruction has been met: by the one whose fields are zero, where there is one."""
        found = self._rows.get(id(row))
        if not isinstance(found, Common):
            fields = dict.fromkeys(row.encoding.rooms(), 0)
            found = self.common(Decoded(row, tuple([o.kind.decode(fields) for o in row.operands]), bytes(2)))
        return found

    def common(self, decoded: Decoded) -> Common:
        """Of a row, by one of its instructions; of one that varies, of this instruction."""
        manner, (name, begins) = self.manner, self._named(decoded.row)
        row, values = decoded.row.whole(decoded.values)
        varies = manner.varies.fullmatch(name) is not None
        noted = self._noted(row, values if varies else self._typical(row, values), decoded.size)
        if noted.lacking and manner.plain.fullmatch(name) is None:
            return Common(False)
        here = _numbers(decoded)
        reads, writes = set(noted.read_places.get(NONE, ())), set(noted.implied)
        in_context = noted.context is not None and not noted.lacking
        if in_context:
            reads.add(manner.context)
        used = []
        for one in filter(None, [noted.used(number, varies or in_context) for number in range(len(values))]):
            if one.number in here:
                used.append(one._replace(number=here[one.number]))
                continue
            places = one.kind.places(values[one.number])  # an alias has this register by its name
            reads |= {p for k, p in enumerate(places) if one.read is None or k in one.read}
            writes |= set(places) if one.written else set()
        effects = noted.effects()
        touched = tuple(
            [one._replace(numbers=tuple([here[number] for number in one.numbers])) for one in noted.touched()]
        )
        target = next((n for n, o in enumerate(decoded.row.operands) if o.kind.role == "target"), NONE)
        return Common(
            True,
            _places(manner, reads, bool(effects.loads) or any(map(noted.may_stay, effects.stores))),
            _places(manner, writes, bool(effects.stores)),
            tuple(used),
            touched,
            manner.flows.get(name, _flow(effects)),
            target if noted.leads and all(target not in one.numbers for one in touched) else NONE,
            not noted.lacking and self._exact(name, effects),
            noted.apart(touched) and len(effects.loads) + len(effects.stores) == 1,
            manner.merged.fullmatch(name) is not None,
            manner.opened(decoded.row),
            manner.mended.get(name),
            name,
            begins,
            _places(manner, noted.kept.difference(reads), False),
        )

    def _named(self, row: Row) -> tuple[str, int]:
        """A row's name, with what follows a prefix, and how much of its text belongs to it."""
        first = row.syntax.parts[0] if row.syntax.parts else ""
        if row.name not in self.manner.prefixes or not isinstance(first, str):
            return row.name, 0
        return f"{row.name} {first}", len(first) + 1

    def _typical(self, row: Row, values: Sequence[Value]) -> Sequence[Value]:
        """The operands with which a row is looked at: of each that could name a register but names none (a zero
        register) one that does, and modes that hide nothing."""
        found = []
        for operand, value in zip(row.operands, values):
            kind = operand.kind
            if operand.name in self.manner.typical:
                value = self.manner.typical[operand.name]
            elif kind.role == "register" and not kind.places(value):
                value = next((v for v in self._others(row, kind) if kind.places(v)), value)
            else:
                value = kind.typical(value)
            found.append(value)
        return found

    @staticmethod
    def _others(row: Row, kind: Kind) -> Iterator[Value]:
        """Values of an operand: of fields of zeros, of ones, of ones but for the last bit."""
        rooms = row.encoding.rooms()
        for fields in (dict.fromkeys(rooms, 0), rooms, {name: room & ~1 for name, room in rooms.items()}):
            value = kind.decode(fields)
            if value is not None:
                yield value

    def _noted(self, row: Row, values: Sequence[Value], size: int) -> Noted:
        """With other small immediates if there is no meaning with these: no term says some modes of rounding."""
        noted = Noted(self.table.registers, size, row, values)
        small = [n for n, o in enumerate(row.operands) if isinstance(o.kind, Immediate) and o.kind.bits <= _SMALL]
        for number in range(1 << _SMALL) if noted.lacking and small else ():
            other = tuple([number if n in small else value for n, value in enumerate(values)])
            noted = Noted(self.table.registers, size, row, other)
            if not noted.lacking:
                break
        for context in self.manner.contexts if noted.lacking else ():
            noted = Noted(self.table.registers, size, row, values, context)
            if not noted.lacking:
                break
        return noted

    def _exact(self, name: str, effects: Effects) -> bool:
        """Whether an instruction that has these effects shows them."""
        seen = effects.writes or effects.loads or effects.stores or effects.jumps
        if self.manner.exact.fullmatch(name) is None or not (seen or self.manner.idle.fullmatch(name)):
            return False
        return all(jump.when.prim == "const" for jump in effects.jumps)


def _numbers(decoded: Decoded) -> Mapping[int, int]:
    """The numbers that operands of the row have in the name that was decoded."""
    row = decoded.row
    if row.base is None:
        return {number: number for number in range(len(row.operands))}
    names = {operand.name: number for number, operand in enumerate(row.operands)}
    pairs = enumerate(zip(row.base.operands, row.given))
    return {number: names[operand.name] for number, (operand, given) in pairs if given is HERE}


def _places(manner: Manner, some: Iterable[Place], memory: bool) -> frozenset[int]:
    found = {manner.named[place] if isinstance(place, str) else place for place in some}
    return frozenset(found | {m.MEMORY}) if memory else frozenset(found)


def _access(one: Touched, decoded: Decoded) -> Access:
    numbers, displacement, size, read, written = one
    operands, values, base, scaled = decoded.row.operands, decoded.values, NONE, NONE
    for number in numbers:
        first, distance, index = operands[number].kind.address(values[number])
        displacement += distance
        if first != NONE:
            base, scaled = (first, scaled) if base == NONE else (base, first)
        if index != NONE:
            scaled = index
    return Access(base, displacement, size, read, written, scaled)


def _flow(effects: Effects) -> int:
    """Where control goes on."""
    if any(trap.when.prim == "const" for trap in effects.traps):
        return m.TRAP
    if not effects.jumps:
        return m.ORDINARY
    jump = effects.jumps[0]
    return _FLOWS[jump.kind] if jump.when.prim == "const" else m.BRANCH
