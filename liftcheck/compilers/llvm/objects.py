"""What an ELF object of LLVM's holds of one function: code with its constants behind it, relocations, traps.

Sources: System V ABI, "Object Files" (ELF-64); the kinds of relocations: `isa/<isa>/llvm.py`.
"""

from __future__ import annotations

import struct
from typing import Final, Literal, NamedTuple

from liftcheck.case import Relocation
from liftcheck.compilers.llvm.body import TRAP, Refused
from liftcheck.isa.llvm import Llvm
from liftcheck.mach.relocations import LOW_HALF

_LOADED: Final = 2
_RELA: Final = 4
_NOBITS: Final = 8
_ENTRY: Final = 24
LIBRARY: Final = {
    "ceilf": "CeilF32", "ceil": "CeilF64", "floorf": "FloorF32", "floor": "FloorF64", "truncf": "TruncF32",
    "trunc": "TruncF64", "roundevenf": "NearestF32", "roundeven": "NearestF64", "fmaf": "FmaF32", "fma": "FmaF64",
    "memcpy": "Memcpy", "memmove": "Memmove", "memset": "Memset", "memcmp": "Memcmp",
}  # fmt: skip
"""Functions of C that LLVM calls, and Cranelift's names of them."""


class Section(NamedTuple):
    """One section; `info` is that of its header, of relocations the section that they are for."""

    name: str
    kind: int
    flags: int
    data: bytes
    info: int
    alignment: int

    @property
    def holds_data(self) -> bool:
        """Whether the program has it in memory; of unwinding nothing is used."""
        has_bytes = bool(self.data) and self.kind not in (_RELA, _NOBITS)
        return has_bytes and bool(self.flags & _LOADED) and not self.name.startswith(".eh_frame")


class Symbol(NamedTuple):
    """`section`: the number of the one in which it is defined, 0 for none."""

    name: str
    section: int
    value: int


class Contents(NamedTuple):
    """traps: (offset of an instruction that traps, code). size: bytes of instructions, which constants
    follow."""

    code: bytes
    size: int
    alignment: int
    relocations: tuple[Relocation, ...]
    traps: tuple[tuple[int, str], ...]


def contents(data: bytes, facts: Llvm, big_endian: bool, declared: frozenset[str]) -> Contents:
    """The one function of an object. Refused: it calls what nobody has here. `declared`: the functions that its program
    calls."""
    order: Literal["<", ">"] = ">" if big_endian else "<"
    sections = _sections(data, order)
    numbers = {section.name: n for n, section in enumerate(sections)}
    text = numbers[".text"]
    code, places, alignment = bytearray(sections[text].data), {text: 0}, max(16, sections[text].alignment)
    size = len(code)
    for number, section in enumerate(sections):
        if number != text and section.holds_data:
            code += bytes(-len(code) % max(1, section.alignment))
            places[number] = len(code)
            code += section.data
            alignment = max(alignment, section.alignment)
    symbols = _symbols(sections, order)
    relocations: list[Relocation] = []
    traps: list[tuple[int, str]] = []
    for section in sections:
        if section.kind != _RELA:
            continue
        of = section.info
        for at in range(0, len(section.data), _ENTRY):
            offset, info, addend = struct.unpack_from(f"{order}QQq", section.data, at)
            symbol = symbols[info >> 32]
            if of in places and symbol.name.startswith(TRAP):
                start = places[of] + offset - facts.before
                code[start : start + len(facts.trap)] = facts.trap
                traps.append((start, symbol.name.removeprefix(TRAP)))
            elif of in places:
                kind = facts.relocations.get(info & 0xFFFFFFFF)
                if kind is None:
                    raise Refused(f"a relocation of the number {info & 0xFFFFFFFF}")
                where = offset + places[of]
                relocations.append(Relocation(where, kind, *_named(symbol, addend, kind, places, declared)))
    return Contents(bytes(code), size, alignment, tuple(sorted(relocations)), tuple(sorted(traps)))


def _named(symbol: Symbol, addend: int, kind: str, places: dict[int, int], declared: frozenset[str]) -> tuple[str, int]:
    """The name by which the linker knows a symbol, and the addend."""
    if symbol.section in places:
        if kind == LOW_HALF:
            return f"func:{places[symbol.section] + symbol.value + addend}", 0
        if symbol.name not in declared:
            return f"func:{places[symbol.section] + symbol.value}", addend
    if symbol.name in declared:
        return symbol.name, addend
    if symbol.name in LIBRARY:
        return f"libcall:{LIBRARY[symbol.name]}", addend
    raise Refused(f"LLVM calls {symbol.name or 'a section'}")


def _sections(data: bytes, order: str) -> list[Section]:
    (start,) = struct.unpack_from(f"{order}Q", data, 40)
    size, count, names = struct.unpack_from(f"{order}HHH", data, 58)
    heads = [struct.unpack_from(f"{order}IIQQQQIIQQ", data, start + n * size) for n in range(count)]
    strings = _bytes(data, heads[names])
    return [Section(_text(strings, head[0]), head[1], head[2], _bytes(data, head), head[7], head[8]) for head in heads]


def _bytes(data: bytes, head: tuple[int, ...]) -> bytes:
    return b"" if head[1] == _NOBITS else data[head[4] : head[4] + head[5]]


def _text(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode()


def _symbols(sections: list[Section], order: str) -> list[Symbol]:
    table = next(section for section in sections if section.kind == 2)
    strings = next(section for section in sections if section.name == ".strtab").data
    found = []
    for at in range(0, len(table.data), _ENTRY):
        name, _, _, section, value, _ = struct.unpack_from(f"{order}IBBHQQ", table.data, at)
        found.append(Symbol(_text(strings, name), section, value))
    return found
