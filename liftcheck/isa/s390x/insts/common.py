"""What s390x's rows are written with: formats, operands, the condition code.

The one idea: an encoding is said as the manual says it, by a format and an opcode ('RRE B904'), and `FORMATS` has the
picture of each format. Operands are named by what they hold and the number of their field: g a general register, w its
low half (the high one stays), p an even-odd pair of registers, pw of their low halves, d and e floats of 64 and 32
bits, q a pair of floats, v a vector; bd a base and a displacement, bdx with an index, y a long displacement; si, ui
signed and unsigned immediates, t a target, of so many bits; n and k the number of an element of a size. Floats are the
upper halves of vector registers; what a float's write leaves in the lower half is undefined. The FPC is as functions
are entered: to nearest even, no traps.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), 'Instruction formats', appendix B.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of
from liftcheck.errors import AssemblyError
from liftcheck.isa.s390x import ISA
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.encoding import Fields, word
from liftcheck.mach.rows.kinds import Choice, Immediate, Kind, Register, Target, Value, number_of
from liftcheck.mach.rows.machine import ALWAYS, Machine, Place, Registers
from liftcheck.mach.rows.row import Meaning, Row
from liftcheck.mach.rows.syntax import syntax

REGISTERS: Final = Registers((64, 128), ISA.registers, {"cc": 2})
VECTOR: Final = 64
"""The place of vector register 0; general registers are from 0 on."""
G: Final = tuple(f"%r{n}" for n in range(16))
F: Final = tuple(f"%f{n}" for n in range(16))
V: Final = tuple(f"%v{n}" for n in range(32))

FIELDS: Final = {**dict.fromkeys(("r1", "r2", "r3", "x", "b", "m1", "m3", "m4", "m5", "m6"), 4), "i8": 8, "i16": 16,
                 "i32": 32, "i3": 8, "i4": 8, "i5": 8, "d12": 12}  # fmt: skip
FORMATS: Final[Mapping[str, str]] = {
    "E": "{0} {1}",
    "I": "{0} i8",
    "RR": "{0} r1 r2",
    "RRm": "{0} m1 r2",
    "RRE": "{0} {1} ________ r1 r2",
    "RRFa": "{0} {1} r3 ____ r1 r2",
    "RRFc": "{0} {1} m3 ____ r1 r2",
    "RRFe": "{0} {1} m3 m4 r1 r2",
    "RRFm": "{0} {1} r3 m4 r1 r2",
    "RRD": "{0} {1} r1 ____ r3 r2",
    "RX": "{0} r1 x b d12",
    "RXY": "{0} r1 x b d[11:0] d[19:12] {1}",
    "RS": "{0} r1 r3 b d12",
    "RSs": "{0} r1 ____ b d12",
    "RSY": "{0} r1 r3 b d[11:0] d[19:12] {1}",
    "RSYm": "{0} r1 m3 b d[11:0] d[19:12] {1}",
    "RI": "{0} r1 {1} i16",
    "RIm": "{0} m1 {1} i16",
    "RIL": "{0} r1 {1} i32",
    "RILm": "{0} m1 {1} i32",
    "RIEa": "{0} r1 ____ i16 m3 ____ {1}",
    "RIEb": "{0} r1 r2 i16 m3 ____ {1}",
    "RIEc": "{0} r1 m3 i16 i8 {1}",
    "RIEd": "{0} r1 r3 i16 ________ {1}",
    "RIEf": "{0} r1 r2 i3 i4 i5 {1}",
    "RIEn": "{0} r1 r2 0 i3[6:0] i4 i5 {1}",
    "RIEt": "{0} r1 r2 1 i3[6:0] i4 i5 {1}",
    "RIEk": "{0} r1 r2 i3 0 i4[6:0] i5 {1}",
    "RIEz": "{0} r1 r2 i3 1 i4[6:0] i5 {1}",
    "RIEg": "{0} r1 m3 i16 ________ {1}",
    "SI": "{0} i8 b d12",
    "SIY": "{0} i8 b d[11:0] d[19:12] {1}",
    "SIL": "{0} {1} b d12 i16",
    "RXE": "{0} r1 x b d12 ________ {1}",
    "RXF": "{0} r3 x b d12 r1 ____ {1}",
    "VRX": "{0} v1[3:0] x b d12 m3 v1[4] ___ {1}",
    "VRSa": "{0} v1[3:0] v3[3:0] b d12 m4 v1[4] v3[4] __ {1}",
    "VRSb": "{0} v1[3:0] r3 b d12 m4 v1[4] ___ {1}",
    "VRSc": "{0} r1 v3[3:0] b d12 m4 _ v3[4] __ {1}",
    "VRIa": "{0} v1[3:0] ____ i16 m3 v1[4] ___ {1}",
    "VRIb": "{0} v1[3:0] ____ i3 i4 m4 v1[4] ___ {1}",
    "VRIc": "{0} v1[3:0] v3[3:0] i16 m4 v1[4] v3[4] __ {1}",
    "VRId": "{0} v1[3:0] v2[3:0] v3[3:0] ____ i8 m5 v1[4] v2[4] v3[4] _ {1}",
    "VRIk": "{0} v1[3:0] v2[3:0] v3[3:0] ____ i8 v4[3:0] v1[4] v2[4] v3[4] v4[4] {1}",
    "VRRa": "{0} v1[3:0] v2[3:0] ________ m5 m4 m3 v1[4] v2[4] __ {1}",
    "VRRb": "{0} v1[3:0] v2[3:0] v3[3:0] ____ m5 ____ m4 v1[4] v2[4] v3[4] _ {1}",
    "VRRc": "{0} v1[3:0] v2[3:0] v3[3:0] ____ m6 m5 m4 v1[4] v2[4] v3[4] _ {1}",
    "VRRd": "{0} v1[3:0] v2[3:0] v3[3:0] m5 m6 ____ v4[3:0] v1[4] v2[4] v3[4] v4[4] {1}",
    "VRRe": "{0} v1[3:0] v2[3:0] v3[3:0] m6 ____ m5 v4[3:0] v1[4] v2[4] v3[4] v4[4] {1}",
    "VRRf": "{0} v1[3:0] r2 r3 ____________ ____ v1[4] ___ {1}",
}  # fmt: skip
"""Pictures of the formats; {0} is the opcode's first byte, {1} the rest. Letters after a name tell variants apart."""


class Index(Immediate):
    """An unsigned number below a limit: of an element, of bits."""

    def __init__(self, field: str, bits: int, limit: int) -> None:
        super().__init__(field, bits)
        self.limit: Final = limit

    def decode(self, fields: Fields) -> Value:
        return fields[self.field] if fields[self.field] < self.limit else None

    def encode(self, value: Value) -> Mapping[str, int]:
        if not 0 <= value < self.limit:
            raise AssemblyError(f"{value} cannot be encoded: 0 to {self.limit - 1}")
        return {self.field: value}


class Pair(Kind):
    """Registers n and n + 1 as one number, n even: 64 bits of each, or the low 32."""

    role = "register"

    def __init__(self, field: str, width: int) -> None:
        self.field: Final = field
        self.width: Final = width
        self.keeps = width < 64

    def decode(self, fields: Fields) -> Value:
        return None if fields[self.field] & 1 else fields[self.field]

    def encode(self, value: Value) -> Mapping[str, int]:
        return {self.field: value}

    def show(self, value: Value) -> str:
        return G[value]

    def parse(self, text: str) -> Value:
        if text not in G[::2]:
            raise AssemblyError(f"{text!r} is not an even register ({G[0]}, {G[2]}, …, {G[14]})")
        return G.index(text)

    def read(self, machine: Machine, value: Value) -> Term:
        high, low = (b.extract(machine.read(value + k), 0, self.width) for k in (0, 1))
        return b.concat(high, low)

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        machine.write_part(value, 0, b.extract(term, self.width, self.width))
        machine.write_part(value + 1, 0, b.extract(term, 0, self.width))

    def places(self, value: Value) -> Sequence[Place]:
        return value, value + 1


class Float(Kind):
    """The upper bits of a vector register of 0 to 15; 128 bits are a pair of registers n and n + 2. `pair`: the field
    has to name a pair, though only its first register is meant."""

    role = "register"
    keeps = True

    def __init__(self, field: str, width: int, pair: bool = False) -> None:
        self.field: Final = field
        self.width: Final = width
        self.pair: Final = pair or width == 128

    def decode(self, fields: Fields) -> Value:
        value = fields[self.field]
        return None if self.pair and value & 2 else value

    def encode(self, value: Value) -> Mapping[str, int]:
        return {self.field: value}

    def show(self, value: Value) -> str:
        return F[value]

    def parse(self, text: str) -> Value:
        if text not in F or (self.pair and F.index(text) & 2):
            raise AssemblyError(f"{text!r} is not a float register that can stand here")
        return F.index(text)

    def read(self, machine: Machine, value: Value) -> Term:
        if self.width == 128:
            return b.concat(self._high(machine, value), self._high(machine, value + 2))
        return b.extract(machine.read(VECTOR + value), 128 - self.width, self.width)

    def _high(self, machine: Machine, number: int) -> Term:
        return b.extract(machine.read(VECTOR + number), 64, 64)

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        if self.width == 128:
            for number, low in ((value, 64), (value + 2, 0)):
                machine.write(VECTOR + number, b.concat(b.extract(term, low, 64), machine.undefined(64)))
            return
        if self.width == 32:
            term = b.concat(term, b.extract(machine.read(VECTOR + value), 64, 32))
        machine.write(VECTOR + value, b.concat(term, machine.undefined(64)))

    def places(self, value: Value) -> Sequence[Place]:
        return (VECTOR + value, VECTOR + value + 2) if self.width == 128 else (VECTOR + value,)


class Address(Kind):
    """displacement(index, base): it is read as the address. Register 0 is none."""

    role = "memory"
    pattern = r"[+-]?\w+\s*(?:\([^()]*\))?"

    def __init__(self, index: bool, long: bool) -> None:
        self.index: Final = index
        self.long: Final = long

    def decode(self, fields: Fields) -> Value:
        displacement = fields["d" if self.long else "d12"]
        if self.long and displacement >> 19:
            displacement -= 1 << 20
        return displacement, fields["x"] if self.index else 0, fields["b"]

    def encode(self, value: Value) -> Mapping[str, int]:
        displacement, index, base = value
        low, high = (-0x80000, 0x7FFFF) if self.long else (0, 0xFFF)
        if not low <= displacement <= high:
            raise AssemblyError(f"displacement {displacement} cannot be encoded: {low} to {high}")
        fields = {"d" if self.long else "d12": displacement & 0xFFFFF, "b": base}
        return fields | {"x": index} if self.index else fields

    def show(self, value: Value) -> str:
        displacement, index, base = value
        if not index:
            return f"{displacement}({G[base]})" if base else f"{displacement}"
        return f"{displacement}({G[index]},{G[base] if base else 0})"

    def parse(self, text: str) -> Value:
        found = re.fullmatch(r"([+-]?\w+)\s*(?:\(\s*(?:([%\w]+)\s*,)?\s*([%\w]+)\s*\))?", text)
        if found is None or (found[2] and not self.index):
            raise AssemblyError(f"{text!r} is not an address: displacement({'index,' if self.index else ''}base)")
        return number_of(found[1]), self._number(found[2]), self._number(found[3])

    def _number(self, name: str | None) -> int:
        if name in (None, "0"):
            return 0
        if name not in G[1:]:
            raise AssemblyError(f"{name!r} is not a register of an address (%r1 to %r15)")
        return G.index(name)

    def read(self, machine: Machine, value: Value) -> Term:
        displacement, index, base = value
        registers = [machine.read(number) for number in (base, index) if number]
        if not registers:
            return const(displacement, 64)
        term = registers[0] if len(registers) == 1 else b.add(*registers)
        return b.add(term, const(displacement, 64)) if displacement else term

    def places(self, value: Value) -> Sequence[Place]:
        return tuple([number for number in value[1:] if number])

    def address(self, value: Value) -> tuple[int, int, int]:
        displacement, index, base = value
        return base or NONE, displacement, index or NONE


class Range(Kind):
    """All registers from one to another, around the end; read as nothing, its meaning asks `registers_of`."""

    role = "register"
    pattern = r"%r\d+\s*,\s*%r\d+"

    def decode(self, fields: Fields) -> Value:
        return fields["r1"], fields["r3"]

    def encode(self, value: Value) -> Mapping[str, int]:
        return {"r1": value[0], "r3": value[1]}

    def show(self, value: Value) -> str:
        return f"{G[value[0]]}, {G[value[1]]}"

    def parse(self, text: str) -> Value:
        first, last = (name.strip() for name in text.split(","))
        if first not in G or last not in G:
            raise AssemblyError(f"{text!r} is not a pair of registers (%r0 to %r15)")
        return G.index(first), G.index(last)

    def read(self, machine: Machine, value: Value) -> Term:
        return ALWAYS

    def places(self, value: Value) -> Sequence[Place]:
        first, last = value
        return [(first + k) & 15 for k in range(((last - first) & 15) + 1)]


def _kinds() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {"range": Range()}
    for n in "123":
        kinds[f"g{n}"] = Register(f"r{n}", G, 0, 64)
        kinds[f"w{n}"] = Register(f"r{n}", G, 0, 32, above="keep")
        kinds |= {f"p{n}": Pair(f"r{n}", 64), f"pw{n}": Pair(f"r{n}", 32)}
        kinds |= {f"d{n}": Float(f"r{n}", 64), f"e{n}": Float(f"r{n}", 32), f"q{n}": Float(f"r{n}", 128)}
    kinds["a2"] = Choice("r2", {n: f"%a{n}" for n in range(16)})
    kinds |= {"dq1": Float("r1", 64, True), "eq1": Float("r1", 32, True)}
    for n in "1234":
        kinds[f"v{n}"] = Register(f"v{n}", V, VECTOR, 128, 128)
    for name, bits in (("8", 8), ("16", 16), ("32", 32)):
        kinds[f"si{name}"] = Immediate(f"i{name}", bits, signed=True)
        kinds[f"ui{name}"] = Immediate(f"i{name}", bits)
    kinds |= {"t16": Target("i16", 16, scale=2), "t32": Target("i32", 32, scale=2)}
    kinds |= {"bd": Address(False, False), "bdx": Address(True, False), "bdy": Address(False, True),
              "bdxy": Address(True, True)}  # fmt: skip
    for name in ("i3", "i4", "i5"):
        kinds[f"u{name}"] = Immediate(name, 8)
    kinds |= {"start": Immediate("i3", 7), "tested": Immediate("i3", 7, base=128)}
    kinds |= {"last": Immediate("i4", 7), "zeroing": Immediate("i4", 7, base=128)}
    for letter, limit in (("b", 16), ("h", 8), ("f", 4), ("g", 2)):
        kinds |= {f"n{letter}": Index("m3", 4, limit), f"k{letter}": Index("i16", 16, limit)}
    kinds |= {"bits3": Index("i8", 8, 8), "bits4": Index("i8", 8, 16)}
    for name in ("m1", "m3", "m4", "m5", "m6"):
        kinds[name] = Immediate(name, 4)
    return kinds


KINDS: Final = _kinds()


def inst(
    template: str, encoding: str, meaning: Meaning, section: str, needs: str = "", untested: str = "", **fixed: int
) -> Row:
    """A row; see docs/machine-rows.md. `encoding`: a format and an opcode; `fixed`: what masks are."""
    form, opcode = encoding.split()
    picture = word(FORMATS[form].format(f"0x{opcode[:2]}", f"0x{opcode[2:]}"), FIELDS, "big")
    return Row(syntax(template, KINDS), picture.fixed(fixed), meaning, section, needs, untested)


# -- operands of many formats

Operation = Callable[..., Any]
"""(machine, other operands …, last operand, all of one width) to results."""
_FORMS: Final = {"RR": "{m}{x}1, {y}2", "RRE": "{m}{x}1, {y}2", "RRFa": ">{x}1, {x}2, {x}3", "RX": "{m}{x}1, bdx",
                 "RXY": "{m}{x}1, bdxy", "RI": "{m}{x}1, {u}i16", "RIL": "{m}{x}1, {u}i32",
                 "RIEd": ">{x}1, {x}3, si16"}  # fmt: skip
LACKING: Final = "no executor has it"
NEAR: Final = "it accesses what stands near the code"


def family(operation: Operation, lines: str, section: str, mark: str = "+", signed: bool = True) -> list[Row]:
    """Rows of an operation: lines of 'mnemonic format opcode width [size [extension]]', width g or w, size of the last
    operand in bytes, where it is in memory or narrower. `mark`: whether operand 1 is written (>), or read as well."""
    rows = []
    for line in lines.strip().splitlines():
        name, form, opcode, x, *rest = line.split()
        size = int(rest[0]) if rest else 0
        near = form == "RIL" and size > 0
        form_text = "{m}{x}1, t32" if near else _FORMS[form]
        text = form_text.format(m=mark, x=x, y="w" if size else x, u="s" if signed else "u")
        meaning = _on(operation, 64 if x == "g" else 32, size, form in ("RX", "RXY") or near, signed)
        needs = rest[1] if len(rest) > 1 else ""
        rows.append(inst(f"{name} {text}", f"{form} {opcode}", meaning, section, needs, NEAR if near else ""))
    return rows


def _on(operation: Operation, width: int, size: int, memory: bool, signed: bool) -> Meaning:
    extend = b.sext if signed else b.zext

    def meaning(s: Machine, *values: Term) -> Any:
        *others, last = values
        if memory:
            last = s.load(last, size or width // 8)
        elif size:
            last = b.trunc(last, 8 * size)
        last = extend(last, width) if last.lane < width else narrow(last, width)
        return operation(s, *others, last)

    return meaning


# -- the condition code

CONDITIONS: Final = {1: "o", 2: "h", 3: "nle", 4: "l", 5: "nhe", 6: "lh", 7: "ne", 8: "e", 9: "nlh", 10: "he",
                     11: "nl", 12: "le", 13: "nh", 14: "no"}  # fmt: skip
COMPARED: Final = {2: "h", 4: "l", 6: "ne", 8: "e", 10: "nl", 12: "nh"}
"""Suffixes by mask: of what depends on the condition code; of what compares by itself."""


def holds(s: Machine, mask: int) -> Term:
    """Whether the condition code is one that the mask has a bit for, the highest for 0."""
    if mask == 15:
        return ALWAYS
    if mask.bit_count() > 2:
        return b.bnot(holds(s, mask ^ 15))
    found = const(0, 1)
    for code in range(4):
        if mask >> 3 - code & 1:
            found = b.bor(found, b.eq(s.read("cc"), const(code, 2)))
    return found


def coded(*conditions: Term, last: int) -> Term:
    """0 if the first condition holds, 1 if the second, …, else `last`."""
    found = const(last, 2)
    for code in reversed(range(len(conditions))):
        found = b.ite(conditions[code], const(code, 2), found)
    return found


def zero(a: Term) -> Term:
    """Truth of a = 0."""
    return b.eq(a, const(0, a.lane))


def negative(a: Term) -> Term:
    """Truth of a < 0."""
    return b.slt(a, const(0, a.lane))


def set_sign(s: Machine, result: Term, overflow: Term | None = None) -> None:
    """0 zero, 1 negative, 2 positive, 3 overflow."""
    code = coded(zero(result), negative(result), last=2)
    s.write("cc", code if overflow is None else b.ite(overflow, const(3, 2), code))


def set_nonzero(s: Machine, result: Term) -> None:
    """0 zero, 1 not."""
    s.write("cc", b.zext(b.nonzero(result), 2))


def compared(less: Term, equal: Term) -> Term:
    """0 equal, 1 less, 2 greater."""
    return coded(equal, less, last=2)


def narrow(a: Term, width: int) -> Term:
    """The low bits; of a constant a constant."""
    return const(value_of(a), width) if a.prim == "const" else b.trunc(a, width)
