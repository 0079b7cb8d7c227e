"""A function's signature as states of terms: what registers and the stack hold on entry, where results are at the end.

The one idea: arguments are the variables 'arg0', 'arg1', … of their CLIF types' shapes; what a convention leaves open
is a variable of its own: the bits above a narrow value without an extension, whole registers, the rest of a stack
slot. Results are read back the same way; of a result with an extension the whole register counts, of others its bits.
Where everything is, `oracles.regalloc.arguments.passed` says.

Assumed: what is passed by address, and the area for results, are apart from all other memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from liftcheck.bits import build
from liftcheck.bits.simplify import joined, normal, sliced
from liftcheck.bits.term import Term, const, var
from liftcheck.case import Target
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.types import Type
from liftcheck.isa.abi import abi_named
from liftcheck.isa.base import isa_named
from liftcheck.mach.lift import table_of
from liftcheck.mach.lift_memory import Undecided, located
from liftcheck.mach.lift_paths import End, Entry
from liftcheck.mach.rows.machine import Place
from liftcheck.oracles.regalloc.arguments import Part, Passed, passed

ALIGNED: Final = joined(var("stack", 60), const(0, 4))
"""The stack pointer at the call, as all conventions align it."""
RETURN: Final = joined(var("return", 62), const(0, 2))
_WORD: Final = 8


def argument(index: int, ty: Type) -> Term:
    """The variable of an argument."""
    return var(f"arg{index}", ty.lane_bits, ty.lanes)


def arguments(signature: Signature) -> list[Term]:
    """The variables of a signature's arguments."""
    return [argument(number, param.type) for number, param in enumerate(signature.params)]


@dataclass(frozen=True, slots=True)
class Boundary:
    """A signature on a target: the state on entry, and the results of an end."""

    isa: str
    signature: Signature
    where: Passed
    entry: Entry
    area: Term | None = None

    def results(self, end: End) -> list[Term]:
        """The results, as whole numbers; of one with an extension the register that it is in."""
        return [self._result(end, value, parts) for value, parts in zip(self.signature.returns, self.where.results)]

    def _result(self, end: End, value: AbiParam, parts: Sequence[Part]) -> Term:
        found = [self._part(end, value, part) for part in parts]
        whole = found[-1]
        for low in reversed(found[:-1]):
            whole = joined(whole, low)
        return turned(self.isa, self.signature, value.type, whole)

    def _part(self, end: End, value: AbiParam, part: Part) -> Term:
        if part.place < 0:
            if self.area is None:
                raise Undecided("a result on the stack without an area")
            return end.memory.load(located(self.area, part.offset), part.size)
        register = end.value(part.place)
        if _is_whole(self.where, value, [part]):
            return register
        low = register.lane - 8 * part.size if part.float and abi_named(self.isa).floats_on_top else 0
        return sliced(register, low, 8 * part.size)

    def expected(self, results: Sequence[int]) -> list[int]:
        """Numbers that the results are to be, given values of the signature's types."""
        return [
            extended(number, value.type.bits, value.extension) if _is_whole(self.where, value, parts) else number
            for number, value, parts in zip(results, self.signature.returns, self.where.results, strict=True)
        ]


def _is_whole(where: Passed, value: AbiParam, parts: Sequence[Part]) -> bool:
    """Whether a value fills its register by an extension."""
    narrow = value.type.bits < 64 and parts[0].place >= 0 and not parts[0].float
    return narrow and bool(value.extension) and where.extends


def extended(number: int, width: int, extension: str) -> int:
    """A narrow number in a word."""
    if extension == "sext" and number >> width - 1:
        return number | (1 << 64) - (1 << width)
    return number


def turned(isa: str, signature: Signature, ty: Type, whole: Term) -> Term:
    """A vector with its lanes in the other order where the convention wants that."""
    if not ty.is_vector or signature.call_conv not in abi_named(isa).top_lane:
        return whole
    found = sliced(whole, 0, ty.lane_bits)
    for lane in range(1, ty.lanes):
        found = joined(found, sliced(whole, ty.lane_bits * lane, ty.lane_bits))
    return found


def boundary(target: Target, signature: Signature) -> Boundary:
    """The state in which a function of this signature is entered; `Undecided` if that is not known."""
    if any(param.purpose not in ("", "vmctx", "sret") for param in signature.params):
        raise Undecided("an argument with a purpose of its own")
    more = dict(target.settings).get("enable_llvm_abi_extensions") == "true"
    where = passed(target.isa, signature, more)
    if where is None:
        raise Undecided("where arguments and results are is not known")
    return _Maker(target.isa, signature, where).made()


class _Maker:
    """Makes one entry."""

    def __init__(self, isa: str, signature: Signature, where: Passed) -> None:
        self.isa, self.signature, self.where = isa, signature, where
        self.abi = abi_named(isa)
        self.registers: dict[Place, Term] = {}
        self.memory: list[tuple[Term, Term]] = []
        self.apart: set[Term] = set()
        self.count = 0

    def made(self) -> Boundary:
        isa, abi = isa_named(self.isa), self.abi
        stack = located(ALIGNED, -_WORD) if abi.link < 0 else ALIGNED
        self.registers[isa.stack_pointer] = stack
        if abi.link >= 0:
            self.registers[abi.link] = RETURN
        else:
            self.memory.append((stack, RETURN))
        for number, (param, parts) in enumerate(zip(self.signature.params, self.where.arguments)):
            self._value(argument(number, param.type), param, parts)
        area = self._area()
        entry = Entry(self.registers, stack, RETURN, tuple(self.memory), frozenset(self.apart))
        return Boundary(self.isa, self.signature, self.where, entry, area)

    def _area(self) -> Term | None:
        if self.where.area < 0:
            return None
        area = self.base("area")
        self.registers[self.where.area] = area
        return area

    def base(self, name: str) -> Term:
        """The address of memory that is apart."""
        made = var(name, 64)
        self.apart.add(made)
        return made

    def _value(self, term: Term, param: AbiParam, parts: Sequence[Part]) -> None:
        whole = turned(self.isa, self.signature, param.type, normal(build.scalar(term)))
        at = 0
        for part in parts:
            piece = sliced(whole, 8 * at, 8 * part.size)
            at += part.size
            if part.copied:
                copy = self.base(f"copy{len(self.apart)}")
                self.memory.append((copy, piece))
                piece = copy
            self._put(piece, part, param)

    def _put(self, piece: Term, part: Part, param: AbiParam) -> None:
        if part.place < 0:
            self.memory.append((located(ALIGNED, part.offset), piece))
            return
        width = table_of(self.isa).registers.width(part.place)
        self.registers[part.place] = normal(self._filled(piece, width, part, param))

    def _filled(self, piece: Term, width: int, part: Part, param: AbiParam) -> Term:
        """A whole register."""
        room = width - piece.lane
        if not room:
            return piece
        if _is_whole(self.where, param, [part]):
            return (build.sext if param.extension == "sext" else build.zext)(piece, width)
        if part.float and self.abi.floats_on_top:
            return build.concat(piece, self._noise(room))
        if part.float and self.abi.boxed and width == 64:
            return build.concat(const(-1, room), piece)
        return build.concat(self._noise(room), piece)

    def _noise(self, width: int) -> Term:
        self.count += 1
        return var(f"noise{self.count}", width)
