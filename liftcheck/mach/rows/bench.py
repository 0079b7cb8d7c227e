"""The guest program that executes instructions on states, and how a state lies in memory.

The one idea: a record is a state, then the same record is the result: an address of the fragment to be executed,
whether control went to the fragment's target, every register, a window of memory. An ISA gives the text that loads
and stores it (`Bench`), in its own assembler, so its rows stand this test first.

A fragment is the instruction, a jump for 'went on', a jump for 'went to the target'; so an instruction with a target is
encoded with the distance to the second jump.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Final, Literal

from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.machine import Place
from liftcheck.mach.rows.program import assemble, bytes_of
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Decoded, Table

CODE: Final = 0x10000
DATA: Final = 0x1000000
"""Where code and records lie."""
FRAGMENT, TAKEN = 0, 8
"""Offsets in a record: the fragment's address; whether its target was reached, as 64-bit numbers."""


@dataclass(frozen=True, eq=False)
class Bench:
    """How an ISA executes a record.

    slots      place -> offset in the record, for every place that is loaded and stored; its bytes are its width's
    size       bytes of a record
    window     offset and bytes of the record's memory
    reserved   registers that the program needs for itself: no instruction of a test names them
    main       the program's text, at address CODE: it begins with the first record, goes to the fragment of each,
               ends at one whose fragment is 0. Labels `stored`, `taken` are where fragments jump; `done` is where it
               stops
    leave      text after `done`: writes all records to standard output, ends the process with 0
    jump       the text of a jump to a label
    errata     (executor, expression that whole mnemonics or templates match, reason) of what an executor gets wrong
    in_unicorn whether Unicorn can execute the program
    ends_unicorn  whether some instructions end the process that Unicorn is in
    before     text before each instruction: what an emulator must have seen before it
    only       the expression that `mnemonic extensions` of rows begin with which this bench is for
    contexts   what rows may be lifted in (see `Machine`), each with the values of places that make it so
    """

    isa: str
    table: Table
    slots: Mapping[Place, int]
    size: int
    window: tuple[int, int]
    reserved: frozenset[Place]
    main: str
    leave: str
    jump: str
    contexts: Sequence[tuple[object, Mapping[Place, int]]] = ((None, {}),)
    errata: Sequence[tuple[str, str, str]] = ()
    in_unicorn: bool = True
    ends_unicorn: bool = False
    only: str = ""
    before: str = ""

    def rows(self) -> list[Row]:
        """The rows that this bench is for."""
        return [row for row in self.table.rows if re.match(self.only, f"{row.name} {row.needs}")]

    @cached_property
    def partial(self) -> list[tuple[Place, int]]:
        """Places that do not fill their bytes, and their bits."""
        widths = {place: self.table.registers.width(place) for place in self.slots if place in self.table.registers}
        return [(place, width) for place, width in widths.items() if width % 8]

    def erratum(self, executor: str, row: Row) -> str:
        """Why an executor is known to be wrong about a row, or ''."""
        names = (row.name, row.syntax.shape)
        known = (
            why for name, known, why in self.errata if name == executor and any(re.fullmatch(known, x) for x in names)
        )
        return next(known, "")

    @cached_property
    def order(self) -> Literal["little", "big"]:
        """How numbers lie in a record."""
        return "little" if isa_named(self.isa).byte_order == "little" else "big"

    def get(self, record: bytes | bytearray, place: Place) -> int:
        """What a place holds; 0 if it is in no record: the mode that a function is entered in."""
        part = self._parts.get(place)
        return 0 if part is None else int.from_bytes(record[part], self.order)

    def put(self, record: bytearray, place: Place, value: int) -> None:
        """Puts a value into a place of a record."""
        part = self._parts[place]
        size = part.stop - part.start
        record[part] = (value & (1 << 8 * size) - 1).to_bytes(size, self.order)

    @cached_property
    def _parts(self) -> Mapping[Place, slice]:
        """Where in a record each place is."""
        known = self.table.registers
        sizes = {place: (known.width(place) + 7) // 8 if place in known else 8 for place in self.slots}
        return {place: slice(at, at + sizes[place]) for place, at in self.slots.items()}


@dataclass(frozen=True, slots=True)
class Program:
    """A guest program: `code` at CODE; addresses of fragments, and of the instructions in them; `done`: the address at
    which all is done."""

    code: bytes
    fragments: tuple[int, ...]
    places: tuple[int, ...]
    done: int


def program(bench: Bench, instructions: Sequence[Decoded]) -> Program:
    """The program with a fragment for each instruction."""
    start, labels = _main(bench)
    code, fragments, places = bytearray(start), [], []
    before = bytes_of(assemble(bench.table, bench.before))
    for one in instructions:
        fragments.append(CODE + len(code))
        code += before
        places.append(CODE + len(code))
        code += one.data
        for label in ("stored", "taken"):
            code += _jump(bench, labels[label] - len(code))
    return Program(bytes(code), tuple(fragments), tuple(places), CODE + labels["done"])


@cache
def _main(bench: Bench) -> tuple[bytes, Mapping[str, int]]:
    """The code before the fragments, and where its labels are."""
    lines = [(line.strip(), line) for line in f"{bench.main}\ndone:\n{bench.leave}".splitlines()]
    placed = assemble(bench.table, "\n".join(line for _, line in lines))
    offsets = [offset for offset, _ in placed]
    labels, number = {}, 0
    for line, _ in lines:
        if line.endswith(":"):
            labels[line[:-1]] = offsets[number]
        elif line and not line.startswith("#"):
            number += 1
    return bytes_of(placed), labels


@lru_cache(maxsize=1 << 14)
def _jump(bench: Bench, distance: int) -> bytes:
    return bytes_of(assemble(bench.table, f"{bench.jump} to", {"to": distance}))


def distance(bench: Bench, size: int) -> int:
    """The distance from an instruction of `size` bytes to where its fragment notes 'taken'."""
    return size + len(_jump(bench, 0))
