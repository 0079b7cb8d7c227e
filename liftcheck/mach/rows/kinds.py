"""Kinds of operands: from fields to a value, from a value to text, and what reading and writing the value is.

The one idea: whatever is true of an operand wherever it occurs is its kind: that register 31 reads as zero, that a
write of 32 bits clears the upper half, that an immediate is signed and counts in units of 8. So a meaning sees values
of the right width and states what is new in this instruction only.

An operand's value is a number (a register's number, an immediate's value) or whatever hashable thing its kind makes
of its fields (an address). Kinds that only one ISA has are subclasses in that ISA's package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from liftcheck.bits.build import add, concat, eq, extract, ite, sext, zext
from liftcheck.bits.term import Term, const
from liftcheck.errors import AssemblyError, InternalError
from liftcheck.mach.insn import PC as AT_PC
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.encoding import Fields
from liftcheck.mach.rows.machine import PC, Machine, Place

Value = Any
"""A number, or a hashable value that its kind makes and reads."""


class Kind:
    """What all kinds have. `pattern`: the regular expression of its text; `default`: the value that is not written
    where the syntax leaves it out (`{, shift}`); `written`: whether it is written unless a row says otherwise;
    `role`: what it is to a reader of code: 'register', 'immediate', 'target', 'memory', 'offset' (a number that is
    added to an address, and nothing else); `keeps`: a part of what is written stays as it was."""

    pattern: str = r"[^\s,()\[\]{}]+"
    default: Value = None
    written: bool = False
    role: str = "immediate"
    keeps: bool = False

    def decode(self, fields: Fields) -> Value:
        """The value that the fields say; None: no instruction has these fields here."""
        raise NotImplementedError

    def encode(self, value: Value) -> Mapping[str, int]:
        """The fields that say a value; AssemblyError if none do."""
        raise NotImplementedError

    def show(self, value: Value) -> str:
        """A value as the assembler has it."""
        raise NotImplementedError

    def spelt(self, value: Value) -> str:
        """A value as disassemblers have it, which readers of code compare with a compiler's own texts."""
        return self.show(value)

    def parse(self, text: str) -> Value:
        """The value that a text means; AssemblyError if it means none."""
        raise NotImplementedError

    def read(self, machine: Machine, value: Value) -> Term:
        """What the operand holds before the instruction."""
        raise NotImplementedError

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        """Puts a term of the operand's width there."""
        raise InternalError(f"{type(self).__name__} is not written")

    def places(self, value: Value) -> Sequence[Place]:
        """The registers that the operand names."""
        return ()

    def form(self, value: Value) -> object:
        """What a value is, where a row's instructions have several forms: a register, memory."""
        return None

    def typical(self, value: Value) -> Value:
        """A value of the same form that hides nothing of what others of that form have."""
        return value

    def is_memory(self, value: Value) -> bool:
        """Whether it stands for an address; what it names is read then, even if the operand is written alone."""
        return self.role == "memory"

    def leaves(self, value: Value) -> bool:
        """Whether a part of what is written stays as it was."""
        return self.keeps

    def address(self, value: Value) -> tuple[int, int, int]:
        """Where it is in memory: the place of a base, a distance from it, the place of an index; of several operands
        each is a part of that, and the others are NONE."""
        raise InternalError(f"{type(self).__name__} is not a memory operand")


class Register(Kind):
    """A register by its number.

    names    by the field's value, as the assembler has them; '' is none, and such an instruction does not exist
    first    the place of number 0; `numbers`: the register's number by the field's value, where that is another
    width    bits that are read and written, of the `full` register
    above    what a narrower write does to the bits above: 'zero', 'keep', 'sign' (sign extension), 'ones' (NaN box)
    zero     the number that reads as zero and whose write is lost; -1: none
    boxed    the NaN that is read of `width` bits if the bits above are not all ones; 0: no boxes
    """

    role = "register"

    def __init__(
        self,
        field: str,
        names: Sequence[str],
        first: int,
        width: int,
        full: int = 64,
        *,
        written: bool = False,
        above: str = "zero",
        zero: int = -1,
        numbers: Sequence[int] = (),
        boxed: int = 0,
    ) -> None:
        self.field: Final = field
        self.names: Final = tuple(names)
        self.first: Final = first
        self.width: Final = width
        self.full: Final = full
        self.above: Final = above
        self.zero: Final = zero
        self.numbers: Final = tuple(numbers)
        self.boxed: Final = boxed
        self.written = written
        self.keeps = above == "keep" and width < full
        self._by_name: Final = {name: value for value, name in enumerate(self.names) if name}

    def decode(self, fields: Fields) -> Value:
        value = fields[self.field]
        return value if value < len(self.names) and self.names[value] else None

    def encode(self, value: Value) -> Mapping[str, int]:
        return {self.field: value}

    def show(self, value: Value) -> str:
        return self.names[value]

    def parse(self, text: str) -> Value:
        found = self._by_name.get(text)
        if found is None:
            raise AssemblyError(f"{text!r} is not a register that can stand here ({', '.join(self._some())})")
        return found

    def _some(self) -> list[str]:
        names = [name for name in self.names if name]
        return names if len(names) < 5 else [*names[:2], "…", names[-1]]

    def number(self, value: Value) -> int:
        """The register's number."""
        return self.numbers[value] if self.numbers else int(value)

    def read(self, machine: Machine, value: Value) -> Term:
        number = self.number(value)
        if number == self.zero:
            return const(0, self.width)
        whole = machine.read(self.first + number)
        part = extract(whole, 0, self.width)
        if not self.boxed or self.width == self.full:
            return part
        return unboxed(whole, self.width, self.boxed)

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        number = self.number(value)
        if term.bits != self.width:
            raise InternalError(f"{term.bits} bits for a register of {self.width}")
        if number != self.zero:
            self._put(machine, self.first + number, term)

    def _put(self, machine: Machine, place: Place, term: Term) -> None:
        if self.above == "keep":
            machine.write_part(place, 0, term)
        elif self.above == "sign":
            machine.write(place, sext(term, self.full))
        elif self.above == "ones" and self.width < self.full:
            machine.write(place, concat(const(-1, self.full - self.width), term))
        else:
            machine.write(place, zext(term, self.full))

    def places(self, value: Value) -> Sequence[Place]:
        number = self.number(value)
        return () if number == self.zero else (self.first + number,)

    def address(self, value: Value) -> tuple[int, int, int]:
        number = self.number(value)
        return NONE if number == self.zero else self.first + number, 0, NONE


def unboxed(whole: Term, width: int, nan: int) -> Term:
    """The low bits if those above are all ones, else a NaN."""
    above = extract(whole, width, whole.bits - width)
    return ite(eq(above, const(-1, above.bits)), extract(whole, 0, width), const(nan, width))


class Immediate(Kind):
    """A number out of one field. The field has `bits` bits; the value is that number, signed if `signed`, times
    `scale`, plus `base`; it is read as a term of `width` bits. `refused`: values that no instruction has."""

    def __init__(
        self,
        field: str,
        bits: int,
        *,
        signed: bool = False,
        scale: int = 1,
        base: int = 0,
        width: int = 64,
        refused: Sequence[int] = (),
        default: int | None = None,
        hexadecimal: bool = False,
        role: str = "immediate",
    ) -> None:
        self.field: Final = field
        self.bits: Final = bits
        self.signed: Final = signed
        self.scale: Final = scale
        self.base: Final = base
        self.width: Final = width
        self.refused: Final = tuple(refused)
        self.default = default
        self.hexadecimal: Final = hexadecimal
        self.role = role

    def decode(self, fields: Fields) -> Value:
        number = fields[self.field]
        if self.signed and number >> self.bits - 1:
            number -= 1 << self.bits
        value = number * self.scale + self.base
        return None if value in self.refused else value

    def encode(self, value: Value) -> Mapping[str, int]:
        number, rest = divmod(value - self.base, self.scale)
        low, high = (-1 << self.bits - 1, (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)
        if rest or not low <= number <= high or value in self.refused:
            step = f" in steps of {self.scale}" if self.scale > 1 else ""
            first, last = low * self.scale + self.base, high * self.scale + self.base
            raise AssemblyError(f"{value} cannot be encoded: {first} to {last}{step}")
        return {self.field: number & (1 << self.bits) - 1}

    def show(self, value: Value) -> str:
        return hex(value) if self.hexadecimal else str(value)

    def parse(self, text: str) -> Value:
        return number_of(text)

    def read(self, machine: Machine, value: Value) -> Term:
        return const(value, self.width)

    def address(self, value: Value) -> tuple[int, int, int]:
        return NONE, value, NONE


class Target(Immediate):
    """A signed distance from this instruction; it is read as the address there. Its text is the distance: `. + 8`."""

    pattern = r"\.\s*[+-]\s*\w+|[+-]?\w+"

    def __init__(self, field: str, bits: int, *, scale: int = 1) -> None:
        super().__init__(field, bits, signed=True, scale=scale, role="target")

    def show(self, value: Value) -> str:
        return f". {'-' if value < 0 else '+'} {abs(value)}"

    def parse(self, text: str) -> Value:
        return number_of(text.replace(" ", "").removeprefix("."))

    def address(self, value: Value) -> tuple[int, int, int]:
        return AT_PC, value, NONE

    def read(self, machine: Machine, value: Value) -> Term:
        return add(PC, const(value, 64))


class Choice(Kind):
    """One of a few names for a field's values; it is read as the field's number, of `width` bits. `formed`: a row's
    instructions differ with it in what they read."""

    def __init__(
        self, field: str, names: Mapping[int, str], width: int = 8, default: int | None = None, formed: bool = False
    ) -> None:
        self.formed: Final = formed
        self.field: Final = field
        self.names: Final = dict(names)
        self.width: Final = width
        self.default = default
        self._values: Final = {name: value for value, name in self.names.items()}

    def decode(self, fields: Fields) -> Value:
        value = fields[self.field]
        return value if value in self.names else None

    def form(self, value: Value) -> object:
        return value if self.formed else None

    def encode(self, value: Value) -> Mapping[str, int]:
        return {self.field: value}

    def show(self, value: Value) -> str:
        return self.names[value]

    def parse(self, text: str) -> Value:
        if text not in self._values:
            raise AssemblyError(f"{text!r} is none of {', '.join(self._values)}")
        return self._values[text]

    def read(self, machine: Machine, value: Value) -> Term:
        return const(value, self.width)


_NUMBER: Final = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)")


def number_of(text: str) -> int:
    """A decimal, hexadecimal or binary number with an optional sign and an optional '#' before it."""
    found = _NUMBER.fullmatch(text.removeprefix("#"))
    if found is None:
        raise AssemblyError(f"{text!r} is not a number")
    sign = -1 if found[0][0] == "-" else 1
    return sign * int(found[1], 0 if found[1][:2].lower() in ("0x", "0b") else 10)
