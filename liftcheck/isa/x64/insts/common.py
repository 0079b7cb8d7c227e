"""What x86-64's rows are written with: operands, flags, places.

The one idea: a row's template is the manual's line in Intel's order. Names of operands say what and how wide:

    r8 r16 r32 r64    a register in ModRM's reg       v32 v64   one in VEX's vvvv
    q32               r32, and what is written are all 64 bits
    o16 o32 o64       one in the opcode's low bits    n16 n32 n64   one in ModRM's r/m, which is not memory
    rm8 … rm64        register or memory              m8 … m128     memory; `m`: its address only
    x                 a vector register in reg        x32 x64   its low lane; writing it keeps the rest
    mi8 mo8           a register of 32 bits, or memory of 8
    xv xw xr          one in vvvv, in r/m             xm8 … xm128   register or memory of so many bits
    xa ma             the same of 128 bits, where memory must be aligned by 16
    i8 u8 s8 …        immediates: of the operand's width, unsigned, sign-extended to 64 bits
    rel8 rel32        targets

Places: 16 integer registers of 64 bits, 32 vector registers of 128 bits, flags of one bit (cf pf zf sf of). Not here:
the vectors' bits above 128, which no emitted instruction reads; the flag AF and the sticky bits and modes of MXCSR:
all is as in the state that functions are entered in (round to nearest even, no exceptions, denormals are numbers).
Memory of the segments fs and gs has no term: where they begin is the system's.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1 chapter 4.8 (NaNs), volume 2; a row's
section is the title of a page in volume 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.errors import AssemblyError
from liftcheck.isa.x64 import ISA
from liftcheck.isa.x64.insts.encoding import NO_BASE, NO_INDEX, RIP, opcode
from liftcheck.mach.insn import PC
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.encoding import Fields
from liftcheck.mach.rows.kinds import Immediate, Kind, Register, Target, Value, number_of
from liftcheck.mach.rows.machine import Machine, NoMeaning, Place, Registers
from liftcheck.mach.rows.row import Meaning, Row
from liftcheck.mach.rows.syntax import syntax

FLAGS: Final = ("cf", "pf", "zf", "sf", "of")
REGISTERS: Final = Registers((64, 128), ISA.registers[:2], dict.fromkeys(FLAGS, 1))
RAX, RCX, RDX, RBX, RSP = range(5)
VECTOR: Final = 64
"""The place of xmm0."""

_LOW: Final = ("a", "c", "d", "b")
_POINTERS: Final = ("sp", "bp", "si", "di")
_NUMBERED: Final = range(8, 16)
NAMES: Final[Mapping[int, tuple[str, ...]]] = {
    8: (*(f"{x}l" for x in (*_LOW, *_POINTERS)), *(f"r{n}b" for n in _NUMBERED), *(f"{x}h" for x in _LOW)),
    16: (*(f"{x}x" for x in _LOW), *_POINTERS, *(f"r{n}w" for n in _NUMBERED)),
    32: (*(f"e{x}x" for x in _LOW), *(f"e{x}" for x in _POINTERS), *(f"r{n}d" for n in _NUMBERED)),
    64: ISA.registers[0],
}
"""By width; of bytes numbers 16 to 19 are the second bytes of the first four registers."""
_SIZED: Final = {8: "byte", 16: "word", 32: "dword", 64: "qword", 128: "xmmword"}


class Prefixed(int):
    """A register's number in an instruction that has a REX prefix, needed or not; equal to the number."""


class Byte(Register):
    """A register's byte: without a REX prefix fields 4 to 7 are the second bytes of registers 0 to 3. `second`: whether
    these can stand here, which needs that the row itself has no prefix."""

    def __init__(self, field: str, second: bool) -> None:
        super().__init__(field, NAMES[8] if second else NAMES[8][:16], 0, 8, above="keep")

    def decode(self, fields: Fields) -> Value:
        value = fields[self.field]
        if 4 <= value < 8 and not _prefixed(fields):
            return value + 12 if len(self.names) > 16 else None
        return Prefixed(value) if fields.get("rex") else value

    def encode(self, value: Value) -> Mapping[str, int]:
        if value >= 16:
            return {self.field: value - 12}
        prefixed = value >= 4 or isinstance(value, Prefixed)
        return {self.field: int(value), "rex": 1} if prefixed else {self.field: value}

    def read(self, machine: Machine, value: Value) -> Term:
        return b.extract(machine.read(value & 15), 8, 8) if value >= 16 else super().read(machine, value)

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        machine.write_part(value & 15, 8 * (value >> 4), term)

    def places(self, value: Value) -> Sequence[Place]:
        return (value & 15,)


def _prefixed(fields: Fields) -> bool:
    """Whether there is a REX prefix."""
    names = ("reg", "base", "index") if fields.get("mem") else ("reg", "rm")
    return bool(fields.get("rex")) or any(fields.get(name, 0) >> 3 & 1 for name in names)


@dataclass(frozen=True, slots=True)
class Address:
    """A memory operand: `base` (or NO_BASE, RIP), `index` (or NO_INDEX) times 1 << `scale`, `disp` as a signed number;
    `wide`: bytes of the displacement if it has more than it needs; `segment`: 4 fs, 5 gs; `rex`: the instruction has a
    REX prefix, needed or not, which makes no difference to what the operand is."""

    base: int
    index: int
    scale: int
    disp: int
    wide: int = 0
    segment: int = 0
    rex: int = field(default=0, compare=False)

    def at(self, machine: Machine) -> Term:
        """The address as a term."""
        if self.segment:
            raise NoMeaning(f"memory of the segment {_SEGMENTS[self.segment]}")
        base = machine.next if self.base == RIP else None if self.base == NO_BASE else machine.read(self.base)
        if self.index != NO_INDEX:
            index = b.shl(machine.read(self.index), const(self.scale, 64)) if self.scale else machine.read(self.index)
            base = index if base is None else b.add(base, index)
        if base is None:
            return const(self.disp, 64)
        return b.add(base, const(self.disp, 64)) if self.disp else base

    @property
    def text(self) -> str:
        """As assemblers have it."""
        parts = [] if self.base == NO_BASE else ["rip" if self.base == RIP else NAMES[64][self.base]]
        if self.index != NO_INDEX:
            parts.append(NAMES[64][self.index] + (f"*{1 << self.scale}" if self.scale else ""))
        inside = " + ".join(parts)
        if self.disp or not parts:
            inside += f" {'-' if self.disp < 0 else '+'} {number(abs(self.disp))}" if parts else number(self.disp)
        return f"{_SEGMENTS.get(self.segment, '')}{':' if self.segment else ''}[{inside}]"


_SEGMENTS: Final = {4: "fs", 5: "gs"}
_MEMORY: Final = re.compile(r"(?:(\w+)\s+ptr\s+)?(?:([fg]s)\s*:\s*)?\[([^\]]*)\]")
_SCALED: Final = re.compile(r"(\w+)\s*\*\s*([1248])")


def number(value: int) -> str:
    """A number as disassemblers print it: hexadecimal above nine."""
    return str(value) if abs(value) < 10 else hex(value)


def address_of(text: str) -> tuple[str, Address] | None:
    """A memory operand's size ('' if it says none) and address; None: it is none."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        return None
    base, index, scale, disp = NO_BASE, NO_INDEX, 0, 0
    for sign, part in re.findall(r"([+-]?)\s*([^\s+-][^+-]*)", found[3]):
        scaled, word = _SCALED.fullmatch(part.strip()), part.strip()
        if scaled:
            index, scale = _general(scaled[1]), int(scaled[2]).bit_length() - 1
        elif word == "rip":
            base = RIP
        elif word in NAMES[64] and base == NO_BASE:
            base = _general(word)
        elif word in NAMES[64]:
            index = _general(word)
        else:
            disp += number_of(sign + word)
    return found[1] or "", Address(base, index, scale, disp, 0, {"fs": 4, "gs": 5}.get(found[2], 0))


def _general(word: str) -> int:
    if word not in NAMES[64]:
        raise AssemblyError(f"{word!r} cannot stand in an address")
    return NAMES[64].index(word)


_TYPICAL: Final = Address(RBX, 6, 0, 0)


class Memory(Kind):
    """Register or memory in ModRM's r/m. `register`: the register's kind, None where it must be memory; `bits`: of
    memory, 0: only the address counts; `aligned`: it traps unless the address is a multiple of the size."""

    role = "memory"
    pattern = r"(?:\w+\s+ptr\s+)?(?:[fg]s\s*:\s*)?\[[^\]]*\]|\w+"

    def __init__(self, bits: int, register: Register | None, aligned: bool = False, sized: bool = True) -> None:
        self.bits: Final = bits
        self.register: Final = register
        self.aligned: Final = aligned
        self.sized: Final = sized

    def decode(self, fields: Fields) -> Value:
        if not fields["mem"]:
            return None if self.register is None else self.register.decode(fields)
        signed = fields["disp"] - (1 << 32) if fields["disp"] >> 31 else fields["disp"]
        index = NO_INDEX if fields["index"] == 4 else fields["index"]
        wide, segment, rex = (fields.get(name, 0) for name in ("wide", "segment", "rex"))
        return Address(fields["base"], index, fields["scale"], signed, wide, segment, rex)

    def encode(self, value: Value) -> Mapping[str, int]:
        if not isinstance(value, Address):
            assert self.register is not None
            return {"mem": 0, **self.register.encode(value)}
        if value.index == 4:
            raise AssemblyError("rsp cannot be an index")
        if not -1 << 31 <= value.disp < 1 << 31:
            raise AssemblyError(f"the displacement {value.disp:#x} has more than 32 bits")
        return {"mem": 1, **asdict(value), "disp": value.disp & 0xFFFFFFFF}

    def show(self, value: Value) -> str:
        if not isinstance(value, Address):
            assert self.register is not None
            return self.register.show(value)
        return f"{_SIZED[self.bits]} ptr {value.text}" if self.sized else value.text

    def parse(self, text: str) -> Value:
        found = address_of(text)
        if found is None:
            if self.register is None:
                raise AssemblyError(f"{text!r} is not a memory operand")
            return self.register.parse(text)
        size, address = found
        if size and size != _SIZED.get(self.bits):
            raise AssemblyError(f"{size} ptr cannot stand here")
        return address

    def read(self, machine: Machine, value: Value) -> Term:
        if not isinstance(value, Address):
            assert self.register is not None
            return self.register.read(machine, value)
        if not self.sized:  # the address, in which a segment has no part (LEA)
            return replace(value, segment=0).at(machine)
        return machine.load(self._at(machine, value), self.bits // 8)

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        if isinstance(value, Address):
            machine.store(self._at(machine, value), b.trunc(term, self.bits))
        else:
            assert self.register is not None
            self.register.write(machine, value, term)

    def _at(self, machine: Machine, value: Address) -> Term:
        where = value.at(machine)
        if self.aligned:
            machine.trap(b.nonzero(b.band(where, const(self.bits // 8 - 1, 64))), "misaligned")
        return where

    def places(self, value: Value) -> Sequence[Place]:
        if not isinstance(value, Address):
            return () if self.register is None else self.register.places(value)
        return tuple([n for n in (value.base, value.index) if n < 16])

    def form(self, value: Value) -> object:
        return None if self.register is None else isinstance(value, Address)

    def typical(self, value: Value) -> Value:
        return _TYPICAL if isinstance(value, Address) else value

    def is_memory(self, value: Value) -> bool:
        return isinstance(value, Address)

    def leaves(self, value: Value) -> bool:
        return self.register is not None and self.register.keeps

    def address(self, value: Value) -> tuple[int, int, int]:
        base = PC if value.base == RIP else NONE if value.base == NO_BASE or value.segment else value.base
        return base, value.disp, NONE if value.index == NO_INDEX else value.index


class Hinted(Memory):
    """Memory that is named and not accessed (multi-byte no-operations)."""

    def read(self, machine: Machine, value: Value) -> Term:
        return const(0, self.bits)


class Lane(Memory):
    """A register of 32 bits, or memory of fewer: what lanes are moved to and from."""

    def __init__(self, bits: int) -> None:
        super().__init__(bits, Register("rm", NAMES[32], 0, 32))


class Constant(Immediate):
    """An immediate; read as a term of `width` bits."""

    def show(self, value: Value) -> str:
        return number(value & (1 << self.width) - 1 if self.width == self.bits else value)

    def parse(self, text: str) -> Value:
        value = number_of(text)
        if self.width <= 32 and self.signed and value >> self.width - 1 == 1:
            value -= 1 << self.width
        return value


class Relative(Target):
    """A target: in the instruction, its distance from the next one. `size`: bytes of the instruction; `prefixed`: with
    the prefixes that belong to it. With others it would have more, and nothing emits those."""

    def __init__(self, bits: int, size: int, prefixed: bool = False) -> None:
        self.prefixed: Final = prefixed
        Immediate.__init__(self, "imm", bits, signed=True, base=size, role="target")

    def decode(self, fields: Fields) -> Value:
        more = fields.get("segment") or (fields.get("rex") and not self.prefixed)
        return None if more else super().decode(fields)

    def spelt(self, value: Value) -> str:
        return number(value & (1 << 64) - 1)


class Selected(Register):
    """A register in the high half of the last byte, the fourth of VEX."""

    def decode(self, fields: Fields) -> Value:
        return None if fields["imm"] & 15 else fields["imm"] >> 4

    def encode(self, value: Value) -> Mapping[str, int]:
        return {"imm": value << 4}


class Yielding(Register):
    """A register that keeps what another operand has written to it: the lower half of mulx."""

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        if machine.current(value) is machine.read(value):
            super().write(machine, value, term)


def _general_kinds() -> dict[str, Kind]:
    found: dict[str, Kind] = {
        "r8": Byte("reg", True), "r8w": Byte("reg", False), "rm8": Memory(8, Byte("rm", True)),
        "rm8w": Memory(8, Byte("rm", False)), "o8": Byte("rm", True), "m8": Memory(8, None),
        "m": Memory(64, None, sized=False), "m128": Memory(128, None), "ma": Memory(128, None, aligned=True),
        "y32": Yielding("vvvv", NAMES[32], 0, 32), "y64": Yielding("vvvv", NAMES[64], 0, 64),
        "q32": Register("reg", NAMES[32], 0, 64), "h16": Hinted(16, None), "h32": Hinted(32, None),
        "mi8": Lane(8), "mi16": Lane(16), "mo8": Lane(8), "mo16": Lane(16),
    }  # fmt: skip
    for width in (16, 32, 64):
        above = "keep" if width == 16 else "zero"
        for letter, name in (("r", "reg"), ("v", "vvvv"), ("o", "rm")):
            found[f"{letter}{width}"] = Register(name, NAMES[width], 0, width, above=above)
        found[f"n{width}"] = Only(width, Register("rm", NAMES[width], 0, width, above=above))
        found[f"rm{width}"] = Memory(width, Register("rm", NAMES[width], 0, width, above=above))
        found[f"m{width}"] = Memory(width, None)
    return found


class Only(Memory):
    """A register in ModRM's r/m, where memory would be another instruction or none."""

    def decode(self, fields: Fields) -> Value:
        return None if fields["mem"] else super().decode(fields)

    def parse(self, text: str) -> Value:
        assert self.register is not None
        return self.register.parse(text)


def _vector(field: str, width: int = 128, above: str = "keep") -> Register:
    return Register(field, ISA.registers[1], VECTOR, width, 128, above=above)


def _vector_kinds() -> dict[str, Kind]:
    found: dict[str, Kind] = {
        "x": _vector("reg"), "x32": _vector("reg", 32), "x64": _vector("reg", 64), "xv": _vector("vvvv"),
        "xw": _vector("vvvv"),
        "xr": Only(128, _vector("rm")), "xr32": Only(32, _vector("rm", 32)), "xr64": Only(64, _vector("rm", 64)),
        "xa": Memory(128, _vector("rm"), aligned=True),
        "xi": Selected("imm", ISA.registers[1][:16], VECTOR, 128, 128),
    }  # fmt: skip
    for width in (8, 16, 32, 64, 128):
        found[f"xm{width}"] = Memory(width, _vector("rm", width))
    return found


def _immediates() -> dict[str, Kind]:
    found: dict[str, Kind] = {"u8": Constant("imm", 8), "u16": Constant("imm", 16), "i64": Constant("imm", 64)}
    for width in (8, 16, 32, 64):
        for bits in (8, 16, 32):
            if bits <= width:
                name = f"i{bits}" if bits == width else f"s{bits}to{width}"
                found[name] = Constant("imm", bits, signed=True, width=width)
    for bits, size, name in ((8, 2, "rel8"), (32, 5, "rel32"), (32, 6, "rel32c")):
        found[name] = Relative(bits, size)
    found["rel32p"] = Relative(32, 8, prefixed=True)
    return found


KINDS: Final[dict[str, Kind]] = _general_kinds() | _vector_kinds() | _immediates()


def inst(template: str, picture: str, meaning: Meaning | None, page: str, needs: str = "", untested: str = "") -> Row:
    """A row; see docs/machine-rows.md. What no operand names of VEX and EVEX is fixed: no masks, no broadcasts."""
    made, code = syntax(template, KINDS), opcode(picture)
    named = {field for one in made.operands for field in (getattr(one.kind, "field", ""),)}
    unused = {"vvvv": 0} if code.scheme and "vvvv" not in named else {}
    if code.scheme == "EVEX":
        unused |= {"mask": 0, "zeroing": 0, "broadcast": 0}
    return Row(made, code.fixed(unused) if unused else code, meaning, page, needs, untested)


# -- flags


def parity(a: Term) -> Term:
    """Whether the lowest byte has an even number of ones."""
    return b.bnot(b.trunc(b.popcnt(b.trunc(a, 8)), 1))


def top(a: Term) -> Term:
    """The sign."""
    return b.extract(a, a.lane - 1, 1)


def say(s: Machine, result: Term, cf: Term | None, of: Term | None) -> Term:
    """Flags as most instructions set them: sign, zero, parity by the result; None: that one stays. The result."""
    for name, value in (("cf", cf), ("of", of)):
        if value is not None:
            s.write(name, value)
    s.write("zf", b.bnot(b.nonzero(result)))
    s.write("sf", top(result))
    s.write("pf", parity(result))
    return result


def leave_open(s: Machine, *names: str) -> None:
    """Flags that the manual calls undefined."""
    for name in names:
        s.write(name, s.undefined(1))


FALSE: Final = const(0, 1)
TRUE: Final = const(1, 1)


def _less(s: Machine) -> Term:
    return b.bxor(s.read("sf"), s.read("of"))


CONDITIONS: Final[tuple[tuple[str, Callable[[Machine], Term]], ...]] = tuple(
    (name, condition)
    for yes, no, condition_of in (
        ("o", "no", lambda s: s.read("of")),
        ("b", "ae", lambda s: s.read("cf")),
        ("e", "ne", lambda s: s.read("zf")),
        ("be", "a", lambda s: b.bor(s.read("cf"), s.read("zf"))),
        ("s", "ns", lambda s: s.read("sf")),
        ("p", "np", lambda s: s.read("pf")),
        ("l", "ge", _less),
        ("le", "g", lambda s: b.bor(_less(s), s.read("zf"))),
    )
    for name, condition in ((yes, condition_of), (no, lambda s, f=condition_of: b.bnot(f(s))))
)
"""By their number: its lowest bit negates."""
