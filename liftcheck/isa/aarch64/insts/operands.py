"""Kinds of operands that only A64 has.

The one idea: an operand that the assembler writes as several words (`x3, lsl #4`, `w3, uxtw #2`) is one operand whose
value is a tuple; what it is read as is the number after the shift. Bit fields (`lsl`, `ubfx`, `bfi`, …) are views of
the same two fields; they are read as those fields.
Source: Arm ARM (DDI 0487), shared pseudocode DecodeBitMasks, DecodeShift, ExtendReg, VFPExpandImm; C6.2 for aliases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from liftcheck.bits.build import ashr, concat, extract, lshr, rotr, scalar, sext, shl, trunc, zext
from liftcheck.bits.term import Term, const
from liftcheck.errors import AssemblyError
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.encoding import Fields
from liftcheck.mach.rows.kinds import Immediate, Kind, Register, Target, Value, number_of
from liftcheck.mach.rows.machine import Machine, Place

SHIFTS: Final = ("lsl", "lsr", "asr", "ror")
EXTENDS: Final = ("uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx")
_AFTER: Final = r"(?:\s*,\s*[a-z]+(?:\s*\#?\s*\w+)?)?"
_WORDS: Final = re.compile(r"(\w+)(?:\s*,\s*([a-z]+)(?:\s*\#?\s*(\w+))?)?")


def _spelt(value: int) -> str:
    """A number as disassemblers have it: hexadecimal above nine."""
    return f"#{value:#x}" if not -10 < value < 10 else f"#{value}"


class Hashed(Immediate):
    """A number that is written with '#'."""

    pattern = r"\#?[+-]?\w+"

    def show(self, value: Value) -> str:
        return f"#{super().show(value)}"

    def spelt(self, value: Value) -> str:
        return _spelt(value)


class Shift(Hashed):
    """How far a constant is shifted, which disassemblers have in decimal."""

    def spelt(self, value: Value) -> str:
        return self.show(value)


class Index(Immediate):
    """Of a lane, in brackets."""

    def spelt(self, value: Value) -> str:
        return _spelt(value)[1:]


class Page(Hashed):
    """How many pages of 4 KiB something is away; disassemblers have bytes."""

    def spelt(self, value: Value) -> str:
        return _spelt((value << 12) & (1 << 64) - 1)


class Label(Target):
    """A distance that disassemblers have as an address."""

    def spelt(self, value: Value) -> str:
        return _spelt(value & (1 << 64) - 1)


def _zero_extended(machine: Machine, number: int, width: int) -> Term:
    return const(0, width) if number == 31 else trunc(machine.read(number), width)


def _number(names: Sequence[str], text: str) -> int:
    if text not in names:
        raise AssemblyError(f"{text!r} is not a register that can stand here ({names[0]}, …, {names[-1]})")
    return names.index(text)


class Unlike(Register):
    """A register that must be another one than those of some fields: the manual leaves open what the instruction does
    otherwise ('CONSTRAINED UNPREDICTABLE'), and nothing emits it. Number 31 as the stack pointer is unlike all."""

    def __init__(
        self, field: str, names: Sequence[str], width: int, fields: Sequence[str], stack: bool = False
    ) -> None:
        numbers = (*range(31), 63) if stack else ()
        super().__init__(field, names, 0, width, numbers=numbers, zero=-1 if stack else 31)
        self.unlike: Final = tuple(fields)
        self.stack: Final = stack

    def decode(self, fields: Fields) -> Value:
        value = fields[self.field]
        if not (self.stack and value == 31) and any(fields.get(name) == value for name in self.unlike):
            return None
        return super().decode(fields)


class Same(Kind):
    """One register that stands in two fields."""

    role = "register"

    def __init__(self, fields: Sequence[str], names: Sequence[str], first: int, width: int, zero: int = -1) -> None:
        self.fields: Final = tuple(fields)
        self.names: Final = tuple(names)
        self.first: Final = first
        self.width: Final = width
        self.zero: Final = zero

    def decode(self, fields: Fields) -> Value:
        one, other = (fields[name] for name in self.fields)
        return one if one == other else None

    def encode(self, value: Value) -> Mapping[str, int]:
        return {name: int(value) for name in self.fields}

    def show(self, value: Value) -> str:
        return self.names[value]

    def parse(self, text: str) -> Value:
        return _number(self.names, text)

    def read(self, machine: Machine, value: Value) -> Term:
        return const(0, self.width) if value == self.zero else trunc(machine.read(self.first + value), self.width)

    def places(self, value: Value) -> Sequence[Place]:
        return () if value == self.zero else (self.first + value,) * len(self.fields)


class ShiftedRegister(Kind):
    """`xm`, `xm, lsl #4`: fields rm, sh, imm6. `shifts`: how many of SHIFTS there are. Value: (rm, shift, amount)."""

    pattern = r"\w+" + _AFTER
    role = "register"

    def __init__(self, names: Sequence[str], width: int, shifts: int) -> None:
        self.names: Final = tuple(names)
        self.width: Final = width
        self.shifts: Final = shifts

    def decode(self, fields: Fields) -> Value:
        value = fields["rm"], fields["sh"], fields["imm6"]
        return value if value[1] < self.shifts and value[2] < self.width else None

    def encode(self, value: Value) -> Mapping[str, int]:
        number, shift, amount = value
        if not 0 <= amount < self.width:
            raise AssemblyError(f"a shift by {amount} cannot be encoded: 0 to {self.width - 1}")
        return {"rm": number, "sh": shift, "imm6": amount}

    def show(self, value: Value) -> str:
        number, shift, amount = value
        return str(self.names[number]) + (f", {SHIFTS[shift]} #{amount}" if shift or amount else "")

    def parse(self, text: str) -> Value:
        found = _WORDS.fullmatch(text)
        if found is None or (found[2] and (found[2] not in SHIFTS[: self.shifts] or not found[3])):
            raise AssemblyError(f"{text!r} is not a register with a shift ({', '.join(SHIFTS[: self.shifts])} #amount)")
        shift = (SHIFTS.index(found[2]), number_of(found[3])) if found[2] else (0, 0)
        return (_number(self.names, found[1]), *shift)

    def read(self, machine: Machine, value: Value) -> Term:
        number, shift, amount = value
        shifted = (shl, lshr, ashr, rotr)[shift]
        return shifted(_zero_extended(machine, number, self.width), const(amount, self.width))

    def places(self, value: Value) -> Sequence[Place]:
        return () if value[0] == 31 else (value[0],)


def extended(machine: Machine, number: int, option: int, amount: int, width: int) -> Term:
    """A register extended and shifted left, `width` bits (ExtendReg)."""
    size = min(8 << (option & 3), width)
    part = trunc(_zero_extended(machine, number, 64), size)
    return shl((sext if option & 4 else zext)(part, width), const(amount, width))


class ExtendedRegister(Kind):
    """`wm, uxtw #2`: fields rm, option, imm3. Value: (rm, option, amount)."""

    pattern = r"\w+\s*,\s*[a-z]+(?:\s*\#?\s*\w+)?"
    role = "register"

    def __init__(self, wide: Sequence[str], narrow: Sequence[str], width: int) -> None:
        self.wide: Final = tuple(wide)
        self.narrow: Final = tuple(narrow)
        self.width: Final = width

    def _names(self, option: int) -> Sequence[str]:
        return self.wide if self.width == 64 and option & 3 == 3 else self.narrow

    def decode(self, fields: Fields) -> Value:
        return (fields["rm"], fields["option"], fields["imm3"]) if fields["imm3"] <= 4 else None

    def encode(self, value: Value) -> Mapping[str, int]:
        number, option, amount = value
        if not 0 <= amount <= 4:
            raise AssemblyError(f"a shift by {amount} cannot be encoded: 0 to 4")
        return {"rm": number, "option": option, "imm3": amount}

    def show(self, value: Value) -> str:
        number, option, amount = value
        return f"{self._names(option)[number]}, {EXTENDS[option]}" + (f" #{amount}" if amount else "")

    def parse(self, text: str) -> Value:
        found = _WORDS.fullmatch(text)
        if found is None or found[2] not in EXTENDS:
            raise AssemblyError(f"{text!r} is not a register with an extension ({', '.join(EXTENDS)})")
        option = EXTENDS.index(found[2])
        return _number(self._names(option), found[1]), option, number_of(found[3]) if found[3] else 0

    def read(self, machine: Machine, value: Value) -> Term:
        number, option, amount = value
        return extended(machine, number, option, amount, self.width)

    def places(self, value: Value) -> Sequence[Place]:
        return () if value[0] == 31 else (value[0],)


class Offset(Kind):
    """What stands after the base in an address: `x1`, `x1, lsl #3`, `w1, sxtw`: fields rm, option, s.
    Value: (rm, option, whether it is scaled)."""

    pattern = r"\w+" + _AFTER
    role = "register"

    def __init__(self, wide: Sequence[str], narrow: Sequence[str], shift: int) -> None:
        self.wide: Final = tuple(wide)
        self.narrow: Final = tuple(narrow)
        self.shift: Final = shift

    def decode(self, fields: Fields) -> Value:
        return (fields["rm"], fields["option"], fields["s"]) if fields["option"] & 2 else None

    def encode(self, value: Value) -> Mapping[str, int]:
        number, option, scaled = value
        return {"rm": number, "option": option, "s": scaled}

    def show(self, value: Value) -> str:
        number, option, scaled = value
        name = (self.wide if option & 1 else self.narrow)[number]
        if option == 3:
            return f"{name}, lsl #{self.shift}" if scaled else name
        return f"{name}, {EXTENDS[option]}" + (f" #{self.shift}" if scaled else "")

    def parse(self, text: str) -> Value:
        found = _WORDS.fullmatch(text)
        if found is None or found[2] not in (None, "lsl", "uxtw", "sxtw", "sxtx"):
            raise AssemblyError(f"{text!r} is not an offset (a register, or one with lsl, uxtw, sxtw, sxtx)")
        if found[3] and number_of(found[3]) != self.shift:
            raise AssemblyError(f"an offset here is shifted by {self.shift}")
        option = 3 if found[2] in (None, "lsl") else EXTENDS.index(found[2])
        return _number(self.wide if option & 1 else self.narrow, found[1]), option, int(bool(found[3]))

    def read(self, machine: Machine, value: Value) -> Term:
        number, option, scaled = value
        return extended(machine, number, option, self.shift if scaled else 0, 64)

    def places(self, value: Value) -> Sequence[Place]:
        return () if value[0] == 31 else (value[0],)

    def address(self, value: Value) -> tuple[int, int, int]:
        return NONE, 0, NONE if value[0] == 31 else value[0]


class RegisterPair(Kind):
    """Two registers, the first one even: `x0, x1`; read and written as one number, the first one low."""

    pattern = r"\w+\s*,\s*\w+"
    role = "register"

    def __init__(self, field: str, names: Sequence[str], width: int) -> None:
        self.field: Final = field
        self.names: Final = tuple(names)
        self.width: Final = width

    def decode(self, fields: Fields) -> Value:
        value = fields[self.field]
        return None if value & 1 else value

    def encode(self, value: Value) -> Mapping[str, int]:
        return {self.field: value}

    def show(self, value: Value) -> str:
        return f"{self.names[value]}, {self.names[value + 1]}"

    def parse(self, text: str) -> Value:
        first, second = (_number(self.names, part.strip()) for part in text.split(","))
        if first & 1 or second != first + 1:
            raise AssemblyError(f"{text!r} is not a pair: an even register and the next one")
        return first

    def read(self, machine: Machine, value: Value) -> Term:
        high, low = (_zero_extended(machine, n, self.width) for n in (value + 1, value))
        return concat(high, low)

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        for number, low in ((value, 0), (value + 1, self.width)):
            if number != 31:
                machine.write(number, zext(extract(term, low, self.width), 64))

    def places(self, value: Value) -> Sequence[Place]:
        return tuple(number for number in (value, value + 1) if number != 31)


class Pattern(Kind):
    """A number of `width` bits that few fields make, written in hexadecimal."""

    pattern = r"\#?[+-]?\w+"

    def __init__(self, width: int) -> None:
        self.width: Final = width

    def show(self, value: Value) -> str:
        return f"#{value:#x}"

    def spelt(self, value: Value) -> str:
        return _spelt(value)

    def parse(self, text: str) -> Value:
        return number_of(text) & (1 << self.width) - 1

    def read(self, machine: Machine, value: Value) -> Term:
        return const(value, self.width)


class BitMask(Pattern):
    """The immediate of logical instructions: fields n, immr, imms. Rotations beyond the element's size, which mean the
    same as smaller ones, are refused: no assembler makes them."""

    def decode(self, fields: Fields) -> Value:
        n, immr, imms = fields.get("n", 0), fields["immr"], fields["imms"]
        size = (n << 6 | ~imms & 63).bit_length() - 1
        ones = imms & (1 << size) - 1 if size > 0 else 0
        if size < 1 or (n and self.width == 32) or immr >> size or ones == (1 << size) - 1:
            return None
        element, count = (1 << ones + 1) - 1, 1 << size
        element = (element >> immr | element << count - immr) & (1 << count) - 1
        return sum(element << at for at in range(0, self.width, count))

    def encode(self, value: Value) -> Mapping[str, int]:
        value &= (1 << self.width) - 1
        for size in range(1, self.width.bit_length()):
            count = 1 << size
            element = value & (1 << count) - 1
            ones = element.bit_count()
            if value != sum(element << at for at in range(0, self.width, count)) or ones in (0, count):
                continue
            run = (1 << ones) - 1
            for immr in range(count):
                if (run >> immr | run << count - immr) & (1 << count) - 1 == element:
                    return {"n": int(size == 6), "immr": immr, "imms": (-2 << size & 63) | ones - 1}
        raise AssemblyError(f"{value:#x} is not a run of ones, rotated and repeated")


class MoveWide(Pattern):
    """The number that `movz` (or `movn`) makes: fields imm16, hw."""

    def __init__(self, width: int, inverted: bool) -> None:
        super().__init__(width)
        self.inverted: Final = inverted

    def decode(self, fields: Fields) -> Value:
        number, part = fields["imm16"], fields["hw"]
        if (
            16 * part >= self.width
            or (not number and part)
            or (self.inverted and self.width == 32 and number == 0xFFFF)
        ):
            return None
        value = number << 16 * part
        return ~value & (1 << self.width) - 1 if self.inverted else value

    def spelt(self, value: Value) -> str:
        return _spelt(value - (value >> self.width - 1 << self.width))

    def encode(self, value: Value) -> Mapping[str, int]:
        mask = (1 << self.width) - 1
        wanted = (~value if self.inverted else value) & mask
        for part in range(self.width // 16):
            if not wanted & ~(0xFFFF << 16 * part):
                return {"imm16": wanted >> 16 * part, "hw": part}
        raise AssemblyError(f"{value:#x} does not come of 16 bits")


class Field(Kind):
    """A view of the fields immr and imms of `sbfm`, `bfm`, `ubfm`: 'lsl' (the shift), 'bfx' and 'bfiz' (least bit,
    width). It is read as immr * 64 + imms."""

    def __init__(self, view: str, width: int) -> None:
        self.view: Final = view
        self.width: Final = width
        self.pattern = r"\#?\w+" if view == "lsl" else r"\#?\w+\s*,\s*\#?\w+"

    def decode(self, fields: Fields) -> Value:
        immr, imms = fields["immr"], fields["imms"]
        if max(immr, imms) >= self.width:
            return None
        if self.view == "lsl":
            return self.width - 1 - imms if immr == imms + 1 else None
        if self.view == "bfx":
            return (immr, imms - immr + 1) if imms >= immr else None
        if self.view == "bfiz":
            return (self.width - immr, imms + 1) if imms < immr else None
        return immr, imms

    def encode(self, value: Value) -> Mapping[str, int]:
        if self.view == "lsl":
            immr, imms = self.width - value, self.width - 1 - value
            wrong = not 0 < value < self.width
        elif self.view == "bfx":
            immr, imms = value[0], value[0] + value[1] - 1
            wrong = not (0 <= immr <= imms < self.width)
        elif self.view == "bfiz":
            immr, imms = self.width - value[0], value[1] - 1
            wrong = not (0 <= imms < immr < self.width)
        else:
            immr, imms = value
            wrong = not (0 <= immr < self.width and 0 <= imms < self.width)
        if wrong:
            raise AssemblyError(f"{self.show(value)} is not a field of {self.width} bits")
        return {"immr": immr, "imms": imms}

    def show(self, value: Value) -> str:
        return f"#{value}" if self.view == "lsl" else f"#{value[0]}, #{value[1]}"

    def spelt(self, value: Value) -> str:
        return _spelt(value) if self.view == "lsl" else f"{_spelt(value[0])}, {_spelt(value[1])}"

    def parse(self, text: str) -> Value:
        numbers = tuple(number_of(part.strip()) for part in text.split(","))
        return numbers[0] if self.view == "lsl" else numbers

    def read(self, machine: Machine, value: Value) -> Term:
        fields = self.encode(value)
        return const(fields["immr"] << 6 | fields["imms"], 12)


class Conditions(Kind):
    """The condition of `cset`, `cinc`, `cneg` and their like, which is the inverse of the encoded one; read as the
    encoded one's number."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names: Final = tuple(names)

    def decode(self, fields: Fields) -> Value:
        return None if fields["cond"] >= 14 else fields["cond"] ^ 1

    def encode(self, value: Value) -> Mapping[str, int]:
        return {"cond": value ^ 1}

    def show(self, value: Value) -> str:
        return self.names[value]

    def parse(self, text: str) -> Value:
        if text not in self.names[:14]:
            raise AssemblyError(f"{text!r} is none of {', '.join(self.names[:14])}")
        return self.names.index(text)

    def read(self, machine: Machine, value: Value) -> Term:
        return const(value ^ 1, 8)


class FloatImmediate(Kind):
    """The eight bits of a float: (-1)^a * (16 + efgh) / 16 * 2^e, -3 <= e <= 4. Value: the bits; read as those."""

    pattern = r"\#?[+-]?[\w.+-]+"

    def decode(self, fields: Fields) -> Value:
        return fields["imm8"]

    def encode(self, value: Value) -> Mapping[str, int]:
        return {"imm8": value}

    def show(self, value: Value) -> str:
        return f"#{float_of(value):.8f}"

    def parse(self, text: str) -> Value:
        try:
            wanted = float(text.removeprefix("#"))
        except ValueError as error:
            raise AssemblyError(f"{text!r} is not a number") from error
        found = next((bits for bits in range(256) if float_of(bits) == wanted), None)
        if found is None:
            raise AssemblyError(f"{wanted} has no eight bits: (16 to 31) / 16 times a power of two from -3 to 4")
        return found

    def read(self, machine: Machine, value: Value) -> Term:
        return const(value, 8)


class ByteMask(Kind):
    """Eight bits that mean a byte of ones each: field imm8; the value is the 64 bits, it is read as the eight."""

    pattern = r"\#?\w+"

    def decode(self, fields: Fields) -> Value:
        return sum(0xFF << 8 * k for k in range(8) if fields["imm8"] >> k & 1)

    def encode(self, value: Value) -> Mapping[str, int]:
        bits = sum(1 << k for k in range(8) if value >> 8 * k & 0xFF == 0xFF)
        if self.decode({"imm8": bits}) != value:
            raise AssemblyError(f"{value:#x} has bytes that are neither all zeros nor all ones")
        return {"imm8": bits}

    def show(self, value: Value) -> str:
        return f"#{value:#018x}"

    def parse(self, text: str) -> Value:
        return number_of(text)

    def read(self, machine: Machine, value: Value) -> Term:
        return const(self.encode(value)["imm8"], 8)


def float_of(bits: int) -> float:
    """The number that eight bits mean."""
    exponent = (bits >> 4 & 7 ^ 4) - 3
    return (-1.0 if bits & 128 else 1.0) * (16 + (bits & 15)) / 16 * 2.0**exponent


def expanded_float(bits: int, width: int) -> int:
    """The float of `width` bits that eight bits mean (VFPExpandImm)."""
    exponent = {16: 5, 32: 8, 64: 11}[width]
    top = bits >> 6 & 1
    field = (top ^ 1) << exponent - 1 | (((1 << exponent - 3) - 1) * top) << 2 | bits >> 4 & 3
    fraction = width - exponent - 1
    return (bits >> 7) << width - 1 | field << fraction | (bits & 15) << fraction - 4


class VectorList(Kind):
    """`{v0.16b, v1.16b}`: `count` registers one after another; read and written as one number, the first one low."""

    pattern = r"\{[^}]*\}"
    role = "register"

    def __init__(self, field: str, count: int, arrangement: str, *, written: bool = False) -> None:
        self.field: Final = field
        self.count: Final = count
        self.arrangement: Final = arrangement
        self.half: Final = arrangement in ("8b", "4h", "2s", "1d")
        self.written = written

    def decode(self, fields: Fields) -> Value:
        return fields[self.field]

    def encode(self, value: Value) -> Mapping[str, int]:
        return {self.field: value}

    def _numbers(self, value: int) -> list[int]:
        return [(value + k) % 32 for k in range(self.count)]

    def show(self, value: Value) -> str:
        return "{" + ", ".join(f"v{n}.{self.arrangement}" for n in self._numbers(value)) + "}"

    def parse(self, text: str) -> Value:
        names = [part.strip() for part in text.strip("{}").split(",")]
        for value in range(32):
            if names == [f"v{n}.{self.arrangement}" for n in self._numbers(value)]:
                return value
        raise AssemblyError(f"{text} is not a list of {self.count} registers .{self.arrangement}")

    def read(self, machine: Machine, value: Value) -> Term:
        whole = None
        for number in self._numbers(value):
            one = scalar(machine.read(64 + number))
            whole = one if whole is None else concat(one, whole)
        assert whole is not None
        return whole

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        machine.write(64 + value, zext(trunc(term, 64), 128) if self.half else term)

    def places(self, value: Value) -> Sequence[Place]:
        return tuple(64 + n for n in self._numbers(value))
