"""Run lines: `; run: %f(1, 0x1.0) == [2, -3]`, `; print: %f(7)`, typed by the signature of the function they follow.

The one idea: every value becomes the unsigned integer of its type's width that the interpreter and the runners use.
Whose function is meant: upstream runs the function that the comment belongs to, whatever name the line says.
One form is liftcheck's own, which upstream's reader refuses: `== trap int_divz` (`== trap`: any code; `traps int_divz`
means the same) expects a trap. Upstream has wished for such lines since 2022 (wasmtime #4781).
What upstream cannot say stands in comments of a word of its own, which upstream takes for prose: `; liftcheck: memory
a = i32[1 2]`, `; liftcheck: run: %f(&a) == 3, a == i32[3 2]` (see `buffers`, docs/files.md).
Here are the lines, their values and their texts; `runlines_read` reads them.
Sources: cranelift-reader 0.135 `parse_run_command` and what it calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from liftcheck import layout
from liftcheck.clif.text import literals
from liftcheck.clif.text.buffers import BYTES, POINTERS, Memory, Order, Piece, Place
from liftcheck.clif.text.lexer import Cursor
from liftcheck.clif.text.operands import constant_data
from liftcheck.clif.types import TYPES, Type

ANY_TRAP: Final = "any"
EXTENSION: Final = "liftcheck"


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run line.

    function    the name that the line says ('%f'), '' if it says none
    comparison  '==', '!=', or 'print' (expects nothing)
    args, expected   unsigned values in signature order; a line without invocation (`; run`) expects != 0
    types       of the arguments and of the results
    trap        the code of the trap that is compared instead of results, `ANY_TRAP`, or ''
    memory      what it says of memory, if anything; addresses in `args` and `expected` are 0 until `at` has put the
                line at a data region (`slot`, `big_endian`)
    """

    function: str
    args: tuple[int, ...]
    comparison: str
    expected: tuple[int, ...]
    line: int
    arg_types: tuple[Type, ...] = ()
    result_types: tuple[Type, ...] = ()
    trap: str = ""
    memory: Memory | None = None
    slot: int = 0
    big_endian: bool = False

    def at(self, slot: int, big_endian: bool) -> RunLine:
        """The line for a run in data region `slot` of a machine of this byte order: with addresses and bytes."""
        if self.memory is None:
            return self
        base = layout.slot_address(slot)
        args, expected = list(self.args), list(self.expected)
        for values, places in ((args, self.memory.args), (expected, self.memory.results)):
            for number, place in places:
                values[number] = self.memory.at(place, base)
        return replace(self, args=tuple(args), expected=tuple(expected), slot=slot, big_endian=big_endian)

    @property
    def base(self) -> int:
        """Where its data region begins."""
        return layout.slot_address(self.slot)

    @property
    def order(self) -> Order:
        return "big" if self.big_endian else "little"

    def regions(self) -> dict[int, bytes] | None:
        """The data region's address and initial content; None for a line that says nothing of memory."""
        return None if self.memory is None else {self.base: self.memory.region(self.base, self.order)}

    def is_met(self, kind: str, values: tuple[int, ...], detail: str, region: bytes = b"") -> bool:
        """Whether an outcome ('returned' with these values, 'trapped' with this code) is as the line expects; a `print`
        line expects a return, `!= trap int_divz` any return or trap but this one."""
        if self.comparison == "print":
            return kind == "returned"
        if self.memory and not all(
            self.memory.holds(claim, region, self.base, self.order) for claim in self.memory.claims
        ):
            return False
        if self.trap:
            return kind in ("returned", "trapped") and self._is_its_trap(kind, detail) == (self.comparison == "==")
        return kind == "returned" and (values == self.expected) == (self.comparison == "==")

    def _is_its_trap(self, kind: str, detail: str) -> bool:
        return kind == "trapped" and self.trap in (detail, ANY_TRAP)

    def expectation(self) -> str:
        """`== 3`, `== [1, 2]`, `== trap int_divz`; '' for a line that expects nothing."""
        if self.comparison == "print":
            return ""
        claims = self.claims_text()
        if self.trap:
            return ", ".join([f"{self.comparison} trap {self.trap}".removesuffix(f" {ANY_TRAP}"), *claims])
        results = ", ".join(self.texts(self.expected, self.result_types, self.memory.results if self.memory else ()))
        values = f"{self.comparison} {results if len(self.result_types) == 1 else f'[{results}]'}"
        return ", ".join(claims if claims and not self.result_types else [values, *claims])

    def claims_text(self) -> list[str]:
        """What it claims of memory afterwards."""
        return [
            f"{place_text(claim.place)} == {pieces_text(claim.pieces)}"
            for claim in (self.memory.claims if self.memory else ())
        ]

    def claims_any(self, marked: bytes) -> bool:
        """Whether it claims something of a byte that is marked (not 0) in the region."""
        memory = self.memory
        return memory is not None and any(
            any(marked[at : at + sum(piece.length for piece in claim.pieces)])
            for claim in memory.claims
            for at in (memory.at(claim.place, 0),)
        )

    def found_text(self, region: bytes) -> list[str]:
        """What memory holds afterwards where the line claims something; of a `print` line all buffers."""
        memory = self.memory
        if memory is None or not region:
            return []
        asked = [(claim.place, claim.pieces) for claim in memory.claims]
        if self.comparison == "print":
            asked = [(Place(buffer.name), buffer.pieces) for buffer in memory.buffers if buffer.name[:1] != "#"]
        return [
            f"{place_text(place)} = {pieces_text(memory.found(place, pieces, region, self.base, self.order))}"
            for place, pieces in asked
        ]

    def args_text(self) -> str:
        """`1, &a`"""
        return ", ".join(self.texts(self.args, self.arg_types, self.memory.args if self.memory else ()))

    def texts(self, values: Sequence[int], types: Sequence[Type], places: Iterable[tuple[int, Place]]) -> list[str]:
        """Values as the line has them, addresses by name."""
        named = dict(places)
        return [
            self._address_text(named[number]) if number in named else data_text(value, ty)
            for number, (value, ty) in enumerate(zip(values, types))
        ]

    def results_text(self, values: Sequence[int]) -> list[str]:
        """Values that a call gave, addresses in buffers by name."""
        memory = self.memory
        named = {
            number: place
            for number, (value, ty) in enumerate(zip(values, self.result_types))
            if memory and ty is TYPES["i64"] and isinstance(place := memory.named(value, self.base), Place)
        }
        return self.texts(values, self.result_types, named.items())

    def _address_text(self, place: Place) -> str:
        if place.name[:1] != "#" or self.memory is None:
            return "&" + place_text(place)
        buffer = next(buffer for buffer in self.memory.buffers if buffer.name == place.name)
        return "&" + pieces_text(buffer.pieces)


def place_text(place: Place) -> str:
    return place.name + (f"{place.plus:+}" if place.plus else "")


def pieces_text(pieces: Iterable[Piece]) -> str:
    """Contents as they are written."""
    return ", ".join(map(_piece_text, pieces))


def _piece_text(piece: Piece) -> str:
    if piece.kind == BYTES and len(piece.items) > 4 and not any(piece.items):
        return f"zero[{len(piece.items)}]"
    return f"{piece.kind}[{' '.join(_item_text(piece.kind, item) for item in piece.items)}]"


def _item_text(kind: str, item: int | Place) -> str:
    if isinstance(item, Place):
        return "&" + place_text(item)
    if kind == BYTES:
        return f"{item:02x}"
    return f"{item:#x}" if kind == POINTERS else data_text(item, TYPES[kind])


def data_value(p: Cursor, ty: Type) -> int:
    """One value of a type: an integer, a float, or a vector as `0x…` or `[1 2 3 4]`."""
    if ty.is_vector:
        if ty.bits > 128:
            p.fail("vectors larger than 128 bits are not supported in run lines")
        return int.from_bytes(constant_data(p, ty), "little")
    if ty.is_float:
        return p.float(ty.bits, f"a value of type {ty.name}")
    if ty is TYPES["i64"]:
        return p.number(literals.imm64, "a value of type i64") & ty.mask
    return p.number(lambda text: literals.immediate(text, ty.bits), f"a value of type {ty.name}")


def data_text(value: int, ty: Type) -> str:
    """The inverse of `data_value`: signed decimals, hexadecimal floats, vectors as lists of lanes (of f16, which
    upstream's reader knows in no list, as one number)."""
    if ty.is_vector and (ty.lane_bits == 128 or (ty.is_float and ty.lane_bits == 16)):
        return f"0x{value:0{ty.bytes * 2}x}"
    if ty.is_vector:
        lanes = (value >> (i * ty.lane_bits) & ty.lane_mask for i in range(ty.lanes))
        return "[" + " ".join(data_text(lane, ty.lane) for lane in lanes) + "]"
    if ty.is_float:
        return literals.float_text(value, ty.bits)
    return str(value - (1 << ty.bits) if value >> (ty.bits - 1) else value)


def run_line_text(line: RunLine) -> str:
    """The comment that reads back as this run line, given the buffers that it names."""
    command = f"{'run' if line.comparison != 'print' else 'print'}: {line.function}({line.args_text()})"
    prefix = f"{EXTENSION}: " if line.memory else ""
    between = ", " if line.claims_text() and not line.result_types and not line.trap else " "
    return f"; {prefix}{command}{between}{line.expectation()}".rstrip()
