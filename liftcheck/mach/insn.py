"""Machine instructions as data: which registers one reads and writes, where control goes, and what it does exactly.

The one idea: an instruction is decoded once in a process. `decode` walks the code by instruction lengths and looks the
bytes up; only bytes never seen before go to the ISA's reader (`isa.base.Isa.reader`), which has its own tables. So an
Insn holds nothing of where it stands: targets are displacements from its own start.

Registers are places (`liftcheck.mach.regs`): class * 64 + hardware number. aarch64's stack pointer is 63 (31
is the zero register), those of the others are their numbers. Zero registers are in no list. What is not a register has
a name below NONE: FLAGS, MEMORY and so on. s390x's floats are the high halves of its vector registers, and both are one
place of class float; riscv64's vectors are class vector.

`effect` is what the instruction does, over the terms of `bits`, for those instructions that moves, spills, reloads,
prologues and epilogues consist of; None for all others. Nothing here judges code (`oracles.regalloc.code.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from liftcheck.bits.build import add
from liftcheck.bits.term import Term, const, var
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.regs import INT, NONE, show_place

FLAGS: Final = -2
"""Condition codes: eflags, nzcv, cc."""
MEMORY: Final = -3
CONTROL: Final = -4
"""Modes and sticky bits of the floating-point unit: mxcsr, fpcr, fpsr, fcsr, fpc."""
VECTOR_CONFIGURATION: Final = -5
"""riscv64's vl and vtype."""
PC: Final = -6
"""Where a return goes on (in effects), and the base of an access at a distance from the instruction."""
SPECIALS: Final[Mapping[int, str]] = {
    FLAGS: "flags",
    MEMORY: "memory",
    CONTROL: "control",
    VECTOR_CONFIGURATION: "vector configuration",
    PC: "pc",
}

ORDINARY, BRANCH, JUMP, CALL, RETURN, TRAP = range(6)
"""Flows: falls through; may jump; always jumps; calls and comes back; returns; never goes on."""

WIDTHS: Final[Mapping[str, tuple[int, int, int]]] = {isa: isa_named(isa).widths for isa in ISAS}
"""Bits of a register of each class, as far as a function may rely on them."""
STACK_POINTERS: Final[Mapping[str, int]] = {isa: isa_named(isa).stack_pointer for isa in ISAS}


class Load(NamedTuple):
    """`value`, a variable of 8 * `size` bits, is what stands at `address` before the instruction."""

    value: Term
    address: Term
    size: int


class Store(NamedTuple):
    """`value`, of 8 * `size` bits, is put at `address`. Bytes are in the ISA's order."""

    address: Term
    size: int
    value: Term


class Effect:
    """Everything that an instruction does, all at once: terms are over `register` variables, which mean the values
    before it, and the loads' variables. Registers are written at full width (`WIDTHS`). Stores are in their order.
    What it does to FLAGS is not said (`Insn.writes` names them). A return writes PC: where it goes on.

    Most effects are never asked for, so one may be worked out when it is (`later`)."""

    __slots__ = ("_make", "loads", "stores", "writes")
    writes: tuple[tuple[int, Term], ...]
    loads: tuple[Load, ...]
    stores: tuple[Store, ...]
    _make: Callable[[], Effect]

    def __init__(
        self, writes: tuple[tuple[int, Term], ...] = (), loads: tuple[Load, ...] = (), stores: tuple[Store, ...] = ()
    ) -> None:
        self.writes, self.loads, self.stores = writes, loads, stores

    @classmethod
    def later(cls, make: Callable[[], Effect]) -> Effect:
        """The one that `make` gives."""
        made = cls.__new__(cls)
        made._make = make
        return made

    def __getattr__(self, name: str) -> Any:
        """Of one that has not been worked out: only then the attribute is missing."""
        if name not in ("writes", "loads", "stores"):
            raise AttributeError(name)
        self.writes, self.loads, self.stores = self._make().parts
        del self._make
        return getattr(self, name)

    @property
    def parts(self) -> tuple[tuple[tuple[int, Term], ...], tuple[Load, ...], tuple[Store, ...]]:
        """Writes, loads, stores."""
        return self.writes, self.loads, self.stores

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Effect) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"Effect{self.parts!r}"

    def __reduce__(self) -> tuple[object, ...]:
        return Effect, self.parts


class Access(NamedTuple):
    """A memory operand: base + displacement, + a multiple of `scaled` (NONE: no such register). Of a base that is PC
    it is counted from the instruction, or on x86-64 from its end (`Abi.from_end`)."""

    base: int
    displacement: int
    size: int
    read: bool
    written: bool
    scaled: int = NONE


class Insn(NamedTuple):
    """One instruction.

    reads     what the result depends on. Where an instruction merges (a conditional move, an insertion of a lane), the
              register that it merges into is among them; where it happens to leave the rest of a register alone
              (`setcc`, `cvtsi2sd`), because the compiler takes that rest for undefined, it is not
    merged    those of `reads` whose old value only stays where nothing is written (s390x's lane insertions, of which
              the compiler uses some for a new value): wrong only where an allocation says that the old value is used
    kept      those of `writes` of which a part stays as it was (s390x's instructions on low halves): where a result
              takes the place of an input, that input is read by being kept
    twice     those of `reads` that more than one of its fields names
    cancels   of equal inputs the result is the same, whatever they are (x86-64's `xorps`)
    known     False: reads and writes are not known (data, or an instruction that no table has)
    target    of a jump, branch or call with a displacement: from the instruction's own start; also of what makes an
              address in the code (x86-64's `lea`, aarch64's `adr`, s390x's `larl`)
    reserved  no row has these bytes: a manual reserves them, though a disassembler may have a name for them
    opened    its bytes with other registers in the place of its own, and which these are, for readers of listings,
              where `operands` does not say all that the bytes do (s390x's constants and masks)
    """

    size: int
    name: str
    operands: str
    reads: frozenset[int]
    writes: frozenset[int]
    flow: int = ORDINARY
    effect: Effect | None = None
    target: int | None = None
    accesses: tuple[Access, ...] = ()
    known: bool = True
    merged: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    cancels: bool = False
    twice: frozenset[int] = frozenset()
    opened: tuple[bytes | int, ...] = ()
    reserved: bool = False

    @property
    def text(self) -> str:
        return f"{self.name} {self.operands}".rstrip()


Reader = Callable[[bytes], Insn]
"""Bytes that begin with an instruction (up to LONGEST of them) to that instruction; never fails: see `known`."""
LONGEST: Final = 16
_KNOWN: Final[dict[str, dict[bytes, Insn]]] = {isa: {} for isa in ISAS}
_SIZES: Final[dict[str, dict[bytes, tuple[int, ...]]]] = {isa: {} for isa in ISAS if not isa_named(isa).sizes}
"""Where the first byte does not say it: the sizes of known instructions that begin with these two bytes. No instruction
is the beginning of another one, so a known instruction that stands at a place is the one that is there."""
_SIZE_OF: Final = {isa: isa_named(isa).sizes for isa in ISAS}
_MOST: Final = 30_000
"""Instructions kept for an ISA (2.3 KB each); then the table starts anew."""


def show(place: int, isa: str) -> str:
    """A place by its ISA's name, or a special name, for people."""
    return SPECIALS.get(place) or show_place(place, isa)


@cache
def register(isa: str, place: int) -> Term:
    """The variable that means a register's value before an instruction (64 bits for VECTOR_CONFIGURATION)."""
    return var(show(place, isa), WIDTHS[isa][place >> 6] if place >= 0 else 64)


@cache
def loaded(index: int, size: int) -> Term:
    """The variable for an instruction's load number `index`, of `size` bytes."""
    return var(f"loaded{index}", 8 * size)


@lru_cache(maxsize=1 << 14)
def address(isa: str, base: int, displacement: int) -> Term:
    """base + displacement, as effects are to write it."""
    start = register(isa, base)
    return add(start, const(displacement, 64)) if displacement else start


def integer(number: int) -> int:
    """The place of an integer register."""
    return INT * 64 + number


def unknown(size: int, name: str = ".byte", operands: str = "") -> Insn:
    """Bytes of which nothing is known."""
    return Insn(size, name, operands, frozenset(), frozenset(), known=False)


def decode(isa: str, code: bytes, start: int = 0, end: int | None = None) -> list[Insn]:
    """The instructions of code[start:end]; the last one may reach over the end."""
    stop = len(code) if end is None else end
    sizes = _SIZE_OF[isa]
    return _decode_sized(isa, sizes, code, start, stop) if sizes else _decode_learnt(isa, code, start, stop)


def _decode_sized(isa: str, size_of: Sequence[int], code: bytes, start: int, stop: int) -> list[Insn]:
    """The first byte says the length."""
    known = _KNOWN[isa]
    found: list[Insn] = []
    at = start
    while at < stop:
        data = code[at : at + size_of[code[at]]]
        machine = known.get(data)
        if machine is None:
            machine = _learn(isa, data, code[at : at + LONGEST])
        found.append(machine)
        at += len(data)
    return found


def _decode_learnt(isa: str, code: bytes, start: int, stop: int) -> list[Insn]:
    """Only a reader knows the length."""
    known, sizes = _KNOWN[isa], _SIZES[isa]
    found: list[Insn] = []
    at = start
    while at < stop:
        for size in sizes.get(code[at : at + 2], ()):
            machine = known.get(code[at : at + size])
            if machine is not None:
                break
        else:
            machine = _learn(isa, b"", code[at : at + LONGEST])
        found.append(machine)
        at += machine.size
    return found


def _learn(isa: str, data: bytes, window: bytes) -> Insn:
    """Decode and remember. `data` is empty if the length is not known before."""
    machine = _shared(_reader(isa)(window))
    data = data or window[: machine.size]
    if machine.known and not isa_named(isa).by_rows:
        found = _rows(isa).first(data)
        if found is None or found.size != len(data):
            machine = machine._replace(reserved=True)
    known = _KNOWN[isa]
    if len(known) >= _MOST:
        known.clear()
    known[data] = machine
    by_start = _SIZES.get(isa)
    start = window[:2]  # of an instruction of one byte, too: that is what `_decode_learnt` looks up
    if by_start is not None and machine.known and machine.size not in (sizes := by_start.get(start, ())):
        by_start[start] = (*sizes, machine.size)
    return machine


def _shared(machine: Insn) -> Insn:
    """With sets that other instructions have, too: most of what the tables would hold is sets of a few registers."""
    (size, name, operands, reads, writes, flow, effect, target, accesses, known, merged, kept, cancels, twice,
     opened, reserved) = machine  # fmt: skip
    return Insn(
        size, name, operands, _set(reads), _set(writes), flow, effect, target, accesses, known,
        _set(merged), _set(kept), cancels, _set(twice), opened, reserved,
    )  # fmt: skip


@lru_cache(maxsize=1 << 14)
def _set(places: frozenset[int]) -> frozenset[int]:
    return places


@cache
def _rows(isa: str) -> Any:
    """The ISA's `mach.rows.table.Table`, which stands on this module."""
    value = isa_named(isa)
    return value.part(value.rows)()


@cache
def _reader(isa: str) -> Reader:
    value = isa_named(isa)
    read: Reader = value.part(value.reader)
    return read
