"""Places compiled functions at `layout.CODE` and joins them by their relocations.

The one idea: an image holds many programs, each with symbols of its own (every program calls its functions %f0, %f1,
…), so that one start of an emulator runs a whole batch. Names that no function of the program bears are library calls,
which live beside the runner's loop at fixed addresses, or `externals` of the caller. Everything lies in one 64 MiB
arena, which every near call of the four ISAs reaches (the shortest is AArch64's, 128 MiB), so there are no veneers; a
relocation that does not reach is an `InternalError`, never a wrong address.
It does not know calling conventions (trampolines.py) nor instructions (mach/relocations.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import is_
from typing import Final

from liftcheck import layout
from liftcheck.case import FunctionCode, Relocation
from liftcheck.errors import InternalError, Unsupported
from liftcheck.isa import byte_order
from liftcheck.isa.base import isa_named
from liftcheck.mach import relocations
from liftcheck.mach.traps import trap_code
from liftcheck.runners.stub import load_stub

_END: Final = 64

Program = Sequence[FunctionCode]


class Image:
    """Linked code. `code` belongs at `base`; `addresses[p]` maps the names of program p's functions to addresses;
    `missing` has the symbols that are nowhere, and the unmapped address that stands for each."""

    __slots__ = ("_functions", "_starts", "addresses", "base", "code", "isa", "missing")

    def __init__(
        self,
        isa: str,
        base: int,
        code: bytes,
        addresses: tuple[dict[str, int], ...],
        functions: list[tuple[int, FunctionCode]],
        missing: dict[str, int],
    ) -> None:
        self.isa: Final = isa
        self.base: Final = base
        self.code: Final = code
        self.addresses: Final = addresses
        self.missing: Final = missing
        self._functions: Final = functions
        self._starts: list[int] | None = None

    def entry(self, program: int, name: str) -> int:
        """The address of a function; KeyError if that program has none of that name."""
        return self.addresses[program][name]

    def function_at(self, address: int) -> tuple[FunctionCode, int] | None:
        """The function whose bytes contain `address`, and the offset in it."""
        if self._starts is None:
            self._starts = [start for start, _ in self._functions]
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start, function = self._functions[index]
        offset = address - start
        return (function, offset) if offset < len(function.code) else None

    def trap_at(self, address: int) -> str | None:
        """The trap code that the compiler's table gives to a fault of the instruction at `address`, if any."""
        found = self.function_at(address)
        if found is None:
            return None
        function, offset = found
        return trap_code(isa_named(self.isa), function.code, function.traps, offset)

    def extents(self) -> list[tuple[int, int]]:
        """Address and size of every function."""
        return [(start, len(function.code)) for start, function in self._functions]

    def where(self, address: int) -> str:
        """`address` for people: '%f0+0x12', or the number."""
        found = self.function_at(address)
        return f"{found[0].name}+{found[1]:#x}" if found else f"{address:#x}"


def fingerprint(functions: Program) -> tuple[object, ...]:
    """Equal for programs whose machine code, relocations and traps are equal: run such a program once."""
    return tuple((f.name, f.code, f.relocations, f.traps) for f in functions)


def same_program(left: Program, right: Program) -> bool:
    """Whether fingerprints are equal: those of two levels' code mostly are, and then it is mostly one object."""
    if all(map(is_, left, right)):
        return True
    return [f.code for f in left] == [f.code for f in right] and fingerprint(left) == fingerprint(right)


def link(
    programs: Sequence[Program],
    isa: str,
    base: int = layout.CODE,
    externals: Mapping[str, int] | None = None,
    lenient: bool = False,
) -> Image:
    """Links programs into one image; Unsupported names an unknown symbol or relocation kind. `lenient`: a symbol that
    is defined nowhere is not an error before it is reached: a run then traps with 'unresolved NAME'."""
    parts: list[bytes] = []
    addresses: list[dict[str, int]] = []
    placed: list[tuple[int, FunctionCode]] = []
    related: list[tuple[int, FunctionCode, dict[str, int]]] = []
    here, fill = base, isa_named(isa).fill
    for functions in programs:
        names: dict[str, int] = {}
        for function in functions:
            gap = -here % max(function.alignment, 16)
            if gap:
                parts.append(fill * gap)
                here += gap
            names[function.name] = here
            placed.append((here, function))
            if function.relocations:
                related.append((here, function, names))
            parts.append(function.code)
            here += len(function.code)
        addresses.append(names)
    if here - base + _END > layout.CODE_SIZE:
        raise Unsupported("code larger than the code area")
    code = b"".join(parts)
    missing: dict[str, int] = {}
    if related:
        code = bytes(_Patcher(isa, base, bytearray(code), externals or {}, missing if lenient else None).patch(related))
    return Image(isa, base, code + fill * _END, tuple(addresses), placed, missing)


class _Patcher:
    """Applies relocations to a buffer; owns it and the address slots that it appends."""

    def __init__(
        self, isa: str, base: int, code: bytearray, externals: Mapping[str, int], missing: dict[str, int] | None
    ) -> None:
        self.missing = missing
        self.isa, self.base, self.code, self.externals = isa, base, code, externals
        self.libcalls = load_stub(isa).libcalls
        self.byte_order = byte_order(isa)
        self.big_endian = self.byte_order == "big"
        self.slots: dict[int, int] = {}

    def patch(self, related: list[tuple[int, FunctionCode, dict[str, int]]]) -> bytearray:
        for start, function, names in related:
            for relocation in function.relocations:
                self.apply(start, function, names, relocation)
        return self.code

    def apply(self, start: int, function: FunctionCode, names: dict[str, int], relocation: Relocation) -> None:
        kind, place = relocations.canonical(relocation.kind), start + relocation.offset
        if kind == relocations.LOW_HALF:
            relocation = self.high_half(function, relocation)
            target = self.target(start, names, relocation)
            relocations.write(self.code, place - self.base, start + relocation.offset, kind, target, self.big_endian)
        else:
            target = self.target(start, names, relocation)
            relocations.write(self.code, place - self.base, place, kind, target, self.big_endian)

    def high_half(self, function: FunctionCode, relocation: Relocation) -> Relocation:
        """The relocation of the auipc that a RiscvPCRelLo12I names."""
        offset = int(relocation.name.removeprefix("func:")) + relocation.addend
        for other in function.relocations:
            if other.offset == offset and relocations.canonical(other.kind) != relocations.LOW_HALF:
                return other
        raise InternalError(f"{function.name}: no relocation at the auipc {offset:#x} that {relocation} completes")

    def target(self, start: int, names: dict[str, int], relocation: Relocation) -> int:
        """S+A, or G+A for the kinds that read the address from a slot."""
        symbol = self.symbol(start, names, relocation.name)
        if relocations.canonical(relocation.kind) in relocations.GOT_KINDS:
            symbol = self.slot(symbol)
        return symbol + relocation.addend

    def symbol(self, start: int, names: dict[str, int], name: str) -> int:
        address = names.get(name)
        if address is None and name.startswith("func:"):
            return start + int(name[5:])
        if address is None and name.startswith("libcall:"):
            address = self.libcalls.get(name[8:])
        if address is None:
            address = self.externals.get(name)
        if address is None:
            if self.missing is None or name.startswith("libcall:"):
                raise Unsupported(f"symbol {name}")
            address = layout.address_of_missing(name, self.missing)
        if address is None:
            raise Unsupported("more missing symbols than there are addresses for")
        return address

    def slot(self, value: int) -> int:
        """The address of 8 bytes after the code that hold `value`."""
        if value not in self.slots:
            self.code += bytes(-len(self.code) % 8)
            self.slots[value] = self.base + len(self.code)
            self.code += value.to_bytes(8, self.byte_order)
        return self.slots[value]
