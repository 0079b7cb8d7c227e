"""s390x's instructions: accesses, read off the encoding by the table of `decoder`.

The one idea: the format of an instruction says which half bytes name registers, its opcode which of them are read and
written, so a line of the table is all there is to know. What the lines cannot say (which masks a branch waits for, what
a rotation leaves of its target) is in a function each here; the exact meanings are in `effects`.

The stack pointer is r15, and `br %r14` is a return. Register 0 as a base or an index means none. `bras` steps over a
literal and is a jump. Traps under a condition (`crt`, `cgit`) fall through.
Source: z/Architecture Principles of Operation SA22-7832-13, chapters 5 ('Instruction formats'), 7, 9, 18, 19, 21 to 24.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from liftcheck.isa.s390x import ISA
from liftcheck.isa.s390x.decoder import FORMATS, LONG_DISPLACEMENT, ROWS, Row
from liftcheck.isa.s390x.effects import effect
from liftcheck.mach.insn import BRANCH, CALL, FLAGS, JUMP, MEMORY, ORDINARY, PC, RETURN, TRAP, Access, Insn, unknown
from liftcheck.mach.regs import FLOAT, NONE

FLOAT_FIRST: Final = FLOAT * 64
_HALF_SECOND: Final = frozenset({0xA5, 0xA7, 0xC0, 0xC2, 0xC4, 0xC6, 0xC8, 0xCC})
_SECOND: Final = frozenset({0x00, 0x01, 0xB2, 0xB3, 0xB9, 0xE5})
_LAST: Final = frozenset({0xE3, 0xE6, 0xE7, 0xEB, 0xEC, 0xED})
_HIGH_BITS: Final = {2: 8, 3: 4, 4: 2, 8: 1}
"""Vector registers have a fifth bit, in the half byte RXB: which bit of it, by the place of the other four."""
_ALWAYS: Final = 15
_LINK: Final = 14


def read(window: bytes) -> Insn:
    """See `mach.insn.Reader`."""
    size = ISA.sizes[window[0]]
    if len(window) < size:
        return unknown(len(window))
    code = window[:size]
    row = ROWS.get(opcode(code))
    return unknown(size) if row is None else _Reading(code, row).machine()


def opcode(code: bytes) -> int:
    """The key of an instruction in `ROWS`."""
    first = code[0]
    if first in _LAST:
        return 4 << 16 | first << 8 | code[5]
    if first in _HALF_SECOND:
        return 3 << 16 | first << 4 | code[1] & 15
    return 4 << 16 | first << 8 | code[1] if first in _SECOND else 2 << 16 | first


_LOW_PAIRS: Final = frozenset({"mr", "mlr"})
"""Those that write the low halves of a pair."""


class _Reading:
    """One instruction while its line is read."""

    def __init__(self, code: bytes, row: Row) -> None:
        self.code, self.row, self.fields = code, row, FORMATS[row.format]
        self.reads: set[int] = set()
        self.writes: set[int] = set()
        self.merged: set[int] = set()
        self.kept: set[int] = set()
        self.twice: set[int] = set()
        self.registers: dict[str, int] = {}
        self.texts: list[str] = []

    def half(self, number: int) -> int:
        """A half byte."""
        byte = self.code[number >> 1]
        return byte & 15 if number & 1 else byte >> 4

    def machine(self) -> Insn:
        row = self.row
        for operand in row.operands:
            self._operand(operand)
        accesses = self._address()
        self._condition()
        flow, target = self._flow()
        self._exceptions()
        done = effect(row.name, self.code, self.registers, accesses)
        return Insn(
            len(self.code),
            row.name,
            ", ".join(self.texts),
            frozenset(self.reads),
            frozenset(self.writes),
            flow,
            done,
            target,
            accesses,
            True,
            frozenset(self.merged),
            frozenset(self.kept),
            twice=frozenset(self.twice & self.reads - self.merged),
            opened=opened(self.code),
        )

    def _operand(self, operand: str) -> None:
        sign, kind, field = operand[0], operand.lstrip(">&~")[0], operand[-1]
        if kind == "r":
            first, last = self.half(self.fields["1"]), self.half(self.fields["3"])
            self.registers |= {"1": first, "3": last}
            places = [(first + i) % 16 for i in range((last - first) % 16 + 1)]
        else:
            places = self._places(kind, self.fields[field])
            self.registers[field] = places[0]
        self.texts.append(f"%{'r' if places[0] < FLOAT_FIRST else 'v' if kind == 'v' else 'f'}{places[0] & 63}")
        if sign in ">&~":
            self.writes.update(places)
        if sign != ">":
            self._read(places)
        if sign == "~":
            self.merged.update(places)
        if sign == ">" and (kind in "wfq" or self.row.name in _LOW_PAIRS):
            self.kept.update(places)

    def _read(self, places: Iterable[int]) -> None:
        for place in places:
            (self.twice if place in self.reads else self.reads).add(place)

    def _places(self, kind: str, at: int) -> list[int]:
        number = self.half(at)
        if kind == "v":
            return [FLOAT_FIRST + number + (16 if self.code[4] & _HIGH_BITS[at] else 0)]
        if kind == "q":
            return [FLOAT_FIRST + number, FLOAT_FIRST + number + 2]
        if kind == "f":
            return [FLOAT_FIRST + number]
        return {"p": [number, number + 1], "o": [number + 1]}.get(kind, [number])

    def _address(self) -> tuple[Access, ...]:
        """The operand in memory; also addresses and shift amounts, which access none."""
        row, code = self.row, self.code
        base = index = 0
        if "b" in self.fields:
            base, displacement = self.half(self.fields["b"]), (code[2] & 15) << 8 | code[3]
            if row.format in LONG_DISPLACEMENT:
                displacement |= code[4] << 12
                displacement -= (displacement & 0x80000) << 1
            index = self.half(self.fields["x"]) if "x" in self.fields else 0
            self._read(r for r in (base, index) if r)
            self.registers |= {"b": base or NONE, "x": index or NONE, "d": displacement}
            self.texts.append(f"{displacement}({f'%r{index},' if index else ''}%r{base})")
        elif row.memory and row.format == "RIL":
            displacement = self._relative()
            self.texts.append(f".{displacement:+}")
        if not row.memory:
            return ()
        return (self._access(PC if row.format == "RIL" else base or NONE, displacement, index or NONE),)

    def _access(self, base: int, displacement: int, index: int) -> Access:
        kind, size = self.row.memory[0], self.row.memory[1:]
        length = _element(self.code[4] >> 4) if size == "m" else int(size)
        if any(o.endswith("r") for o in self.row.operands):
            length *= (self.registers["3"] - self.registers["1"]) % 16 + 1
        if kind in "LU":
            self.reads.add(MEMORY)
        if kind in "SU":
            self.writes.add(MEMORY)
        return Access(base, displacement, length, kind in "LU", kind in "SU", index)

    def _relative(self) -> int:
        """A displacement in half words, in bytes."""
        size = 4 if len(self.code) == 6 and self.row.format == "RIL" else 2
        return 2 * int.from_bytes(self.code[2 : 2 + size], "big", signed=True)

    def _condition(self) -> None:
        row, code = self.row, self.code
        if row.condition == "!" or (row.condition and code[3] >> 4 & 1):
            self.writes.add(FLAGS)
        if row.conditional:
            self.reads.add(FLAGS)

    def _flow(self) -> tuple[int, int | None]:
        name = self.row.name
        if name in ("brc", "brcl", "bcr"):
            return self._branch(name)
        if name == "trap":
            return TRAP, None
        if name in ("brasl", "basr"):
            return self._call(name)
        if name == "bras":
            return JUMP, self._relative()
        if name in ("brct", "brctg") or self.row.format in ("RIEb", "RIEc"):
            return BRANCH, self._relative()
        return ORDINARY, self._relative() if name == "larl" else None

    def _call(self, name: str) -> tuple[int, int | None]:
        if name == "brasl":
            return CALL, self._relative()
        if self.registers["2"] == 0:
            self.reads.discard(0)
            return ORDINARY, None
        return CALL, None

    def _branch(self, name: str) -> tuple[int, int | None]:
        mask = self.code[1] >> 4
        target = None if name == "bcr" else self._relative()
        if name == "bcr" and self.registers["2"] == 0:
            mask = 0
        if mask in (0, _ALWAYS):
            self.reads.discard(FLAGS)
        if mask == 0:
            self.reads.clear()
            return ORDINARY, None
        if mask != _ALWAYS:
            return BRANCH, target
        return (RETURN if name == "bcr" and self.registers["2"] == _LINK else JUMP), target

    def _exceptions(self) -> None:
        """Rotate then … selected bits: bit 0 of I3 is 'test only' (and, or, xor); bit 0 of I4 'the rest is zero'."""
        name = self.row.name
        if name in ("rnsbg", "rosbg", "rxsbg") and self.code[2] & 0x80:
            self.writes.discard(self.registers["1"])
        if name in ("risbg", "risbgn") and self.code[3] & 0x80 and self.registers["1"] != self.registers["2"]:
            self.reads.discard(self.registers["1"])


def _element(m3: int) -> int:
    """Bytes of an element by m3; 6 is a word that goes to the left (vllezlf, vllebrze)."""
    return 4 if m3 == 6 else 1 << m3


# Whatever the registers


MEANT: Final = frozenset({0, 1, 14, 15})
"""General registers that mean something by themselves: none, the temporary, the link, the stack pointer."""
OPENED: Final = 6
"""What `opened` gives: the instruction, and as many places as one may have."""


@lru_cache(maxsize=1 << 12)
def _fields(key: int) -> tuple[tuple[int, bool, bool], ...]:
    """Where an opcode's instructions name registers: which half byte, whether it is a vector or a float, and whether
    a fifth bit stands elsewhere."""
    row = ROWS[key]
    form, found = FORMATS[row.format], dict[int, tuple[int, bool, bool]]()
    for operand in row.operands:
        kind = operand.lstrip(">&~")[0]
        numbers = "13" if kind == "r" else operand[-1]
        found |= {form[number]: (form[number], kind in "vfq", kind == "v") for number in numbers}
    found |= {form[field]: (form[field], False, False) for field in "bx" if field in form}
    return tuple(found.values())


def opened(data: bytes) -> tuple[bytes | int, ...]:
    """A known instruction with other registers, the same ones for all of its kind (2, 4, 6 and so on; vectors and
    floats 4, 8, 12), and which places they have in truth."""
    code, places = bytearray(data), [0] * (OPENED - 1)
    for number, (at, floats, fifth) in enumerate(_fields(opcode(data)), 1):
        byte, low = at >> 1, at & 1
        place = code[byte] & 15 if low else code[byte] >> 4
        if not floats and place in MEANT:
            continue
        other = 4 * number if floats else 2 * number
        if fifth:
            bit = _HIGH_BITS[at]
            place += 16 if code[4] & bit else 0
            code[4] = code[4] & ~bit | (bit if other & 16 else 0)
        places[number - 1] = place + (FLOAT_FIRST if floats else 0)
        code[byte] = code[byte] & 0xF0 | other & 15 if low else code[byte] & 15 | (other & 15) << 4
    return bytes(code), *places
