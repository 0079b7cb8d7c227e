"""A table of rows: decode, encode, read and write text, lift.

The one idea: everything is derived from the rows, once a process and an instruction: what bytes mean is remembered by
the bytes, since nothing in it depends on where they stand (targets are distances, the place is the variable `pc`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from liftcheck.bits.term import Term
from liftcheck.errors import AssemblyError
from liftcheck.mach.rows.encoding import Decoder
from liftcheck.mach.rows.kinds import Value
from liftcheck.mach.rows.machine import Effects, Machine, NoMeaning, Place, Registers
from liftcheck.mach.rows.row import Row

_FORMS: Final = 6
"""So many complaints about a text are shown: add has forty forms."""
_MOST: Final = 50_000
"""Instructions that are remembered; then the memory starts anew."""


class Decoded(NamedTuple):
    """An instruction: its row, the values of the row's operands, its bytes."""

    row: Row
    values: tuple[Value, ...]
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def text(self) -> str:
        return self.row.syntax.show(self.values)

    @property
    def instruction(self) -> Row:
        """The row that says what it does: of an alias, the one that it is another name of."""
        return self.row.base or self.row


class Lifted(NamedTuple):
    """An instruction and what it does; `lacking`: why that cannot be said (`effects` is None then)."""

    decoded: Decoded
    effects: Effects | None
    lacking: str = ""


class Table:
    """The rows of an ISA. `decoder` finds the candidates for bytes among `rows` (by number); `sizes`: bytes of an
    instruction by its first byte, where that says it; `longest`: bytes of the longest one."""

    def __init__(
        self, rows: Sequence[Row], decoder: Decoder, registers: Registers, longest: int, sizes: Sequence[int] = ()
    ) -> None:
        self.rows: Final = tuple(rows)
        self.registers: Final = registers
        self.longest: Final = longest
        self._decoder: Final = decoder
        self.sizes: Final = tuple(sizes)
        self._known: Final[dict[tuple[bytes, object], Lifted]] = {}
        self._decoded: Final[dict[bytes, Decoded]] = {}
        self._lengths: Final[dict[bytes, tuple[int, ...]]] = {}

    def changed(self, change: Callable[[Row], Row]) -> Table:
        """The table of other rows with the same encodings."""
        return Table([*map(change, self.rows)], self._decoder, self.registers, self.longest, self.sizes)

    # -- bytes to instructions

    def decode(self, window: bytes) -> Decoded | None:
        """The instruction that `window` begins with; None if there is none in the table."""
        found = self._remembered(window)
        if found is None:
            found = self.first(window)
            if found is not None:
                self._remember(found, window[:2])
        return found

    def _remembered(self, window: bytes) -> Decoded | None:
        if self.sizes:
            return self._decoded.get(window[: self.sizes[window[0]]]) if window else None
        for size in self._lengths.get(window[:2], ()):
            found = self._decoded.get(window[:size])
            if found is not None:
                return found
        return None

    def first(self, window: bytes) -> Decoded | None:
        """The same, for those who remember it themselves."""
        for one in self.readings(window):
            return one
        return None

    def readings(self, window: bytes) -> Iterator[Decoded]:
        """The instruction that `window` begins with, under each name that it has, the best first."""
        for number, fields, size in self._decoder(window[: self.longest]):
            row = self.rows[number]
            values = []
            for operand in row.operands:
                value = operand.kind.decode(fields)
                if value is None:
                    break
                values.append(value)
            else:
                yield Decoded(row, tuple(values), window[:size])

    def _remember(self, found: Decoded, start: bytes) -> None:
        """`start`: the first two bytes there, also of an instruction of one byte, since it is looked up by them."""
        if len(self._decoded) >= _MOST:
            self._decoded.clear()
        self._decoded[found.data] = found
        lengths = self._lengths.get(start, ())
        if found.size not in lengths:
            self._lengths[start] = (*lengths, found.size)

    def instructions(self, code: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, Decoded | None]]:
        """(offset, instruction) of all of code[start:end]; None for what is none, and it goes on at the least size."""
        at, stop = start, len(code) if end is None else end
        while at < stop:
            found = self.decode(code[at : at + self.longest])
            yield at, found
            at += found.size if found is not None else self.step

    def different(self, code: bytes) -> set[bytes]:
        """The bytes of each different instruction of `code`, and of what is none."""
        found: set[bytes] = set()
        at, end, sizes = 0, len(code), self.sizes
        while sizes and at < end:
            size = sizes[code[at]]
            found.add(code[at : at + size])
            at += size
        known, lengths = self._decoded, self._lengths
        while at < end:
            data = next((d for n in lengths.get(code[at : at + 2], ()) if (d := code[at : at + n]) in known), b"")
            if not data:
                one = self.decode(code[at : at + self.longest])
                data = code[at : at + (one.size if one is not None else self.step)]
            found.add(data)
            at += len(data)
        return found

    @cached_property
    def step(self) -> int:
        """Bytes after which something else may begin."""
        return min(self.sizes, default=1)

    # -- what they do

    def lift(self, decoded: Decoded, context: object = None) -> Lifted:
        """What an instruction does. `context`: see `Machine`."""
        key = decoded.data, context
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[key] = self.lifted(decoded, context)
        return found

    def lifted(self, decoded: Decoded, context: object = None) -> Lifted:
        """The same, for those who remember it themselves."""
        machine = Machine(self.registers, decoded.size, context)
        try:
            decoded.row.apply(machine, decoded.values)
        except NoMeaning as lack:
            return Lifted(decoded, None, str(lack))
        return Lifted(decoded, machine.effects())

    # -- text

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Row, ...]]:
        """The rows of each mnemonic, in their order."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.name, []).append(row)
        return {name: tuple(rows) for name, rows in found.items()}

    def assemble(self, text: str) -> Decoded:
        """One instruction of assembler text; AssemblyError says what is wrong with it."""
        name, _, rest = text.strip().partition(" ")
        rows = self.by_name.get(name, ())
        if not rows:
            raise AssemblyError(f"no instruction is called {name!r}{self._like(name)}")
        wrong: list[tuple[Row, AssemblyError]] = []
        for row in rows:
            try:
                return self.encode(row, row.syntax.parse(rest))
            except AssemblyError as error:
                wrong.append((row, error))
        complaints = [(row.syntax.read(rest), str(error)) for row, error in wrong]
        # The rows that could be read furthest are those that were meant.
        furthest = max(far for far, _ in complaints)
        said = list(dict.fromkeys(words for far, words in complaints if far == furthest))
        more = [f"{len(said) - _FORMS} other forms"] if len(said) > _FORMS else []
        raise AssemblyError(f"{text.strip()}: {'; or '.join(said[:_FORMS] + more)}")

    def encode(self, row: Row, values: Sequence[Value]) -> Decoded:
        """The instruction of a row with these operands; AssemblyError if one of them cannot be encoded."""
        fields: dict[str, int] = {}
        for operand, value in zip(row.operands, values):
            for name, number in operand.kind.encode(value).items():
                fields[name] = fields.get(name, 0) | number
        for operand, value in zip(row.operands, values):
            if operand.kind.decode(fields) != value:
                raise AssemblyError(f"{operand.kind.show(value)} cannot stand for {operand.name} in {row.name}")
        return Decoded(row, tuple(values), row.encoding.encode(fields))

    def _like(self, name: str) -> str:
        from difflib import get_close_matches  # only where something is wrong

        close = get_close_matches(name, self.by_name, 3)
        return f"; there are {', '.join(close)}" if close else ""


def roots_of(effects: Effects) -> list[Term]:
    """Every term in some effects."""
    roots = [*effects.writes.values()]
    for load in effects.loads:
        roots += (load.address, load.when)
    for store in effects.stores:
        roots += (store.value, store.address, store.when)
    roots += [trap.when for trap in effects.traps]
    for jump in effects.jumps:
        roots += (jump.target, jump.when)
    return roots


def reads(effects: Effects, registers: Registers) -> frozenset[Place]:
    """The places whose values before the instruction anything that it does depends on."""
    return frozenset(registers.places[v] for v in variables(roots_of(effects)) if v in registers.places)


def variables(roots: Sequence[Term]) -> list[Term]:
    """The variables below some terms, each once."""
    seen: set[Term] = set()
    stack, found = list(roots), []
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.prim == "var":
            found.append(node)
        stack.extend(node.args)
    return found
