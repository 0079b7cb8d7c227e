"""A function's signature as states of terms: what registers and the stack hold on entry, where results are at the end.

The one idea: arguments are the variables 'arg0', 'arg1', … of their CLIF types' shapes; what a convention leaves open
is a variable of its own: the bits above a narrow value without an extension, whole registers, the rest of a stack
slot. Results are read back the same way; of a result with an extension the whole register counts, of others its bits.
Where everything is, `mach.arguments.passed` says.

Assumed: what is passed by address, and the area for results, are apart from all other memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from liftcheck.bits import build
from liftcheck.bits.simplify import joined, normal, sliced
from liftcheck.bits.term import Term, const, var
from liftcheck.case import Target
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.types import Type
from liftcheck.isa.abi import abi_named
from liftcheck.isa.base import isa_named
from liftcheck.mach.arguments import Part, Passed, passed
from liftcheck.mach.lift import table_of
from liftcheck.mach.lift_memory import Undecided, located
from liftcheck.mach.lift_paths import Caller, End, Entry
from liftcheck.mach.rows.machine import Place

STACK: Final = var("stack", 60)
ALIGNED: Final = joined(STACK, const(0, 4))
"""The stack pointer at the call, as all conventions align it."""
RETURN: Final = joined(var("return", 62), const(0, 2))
_WORD: Final = 8
Load = Callable[[Term, int], Term]
"""Memory: the number of some bytes at an address."""


def argument(index: int, ty: Type) -> Term:
    """The variable of an argument."""
    return var(f"arg{index}", ty.lane_bits, ty.lanes)


def arguments(signature: Signature) -> list[Term]:
    """The variables of a signature's arguments."""
    return [argument(number, param.type) for number, param in enumerate(signature.params)]


class Convention(NamedTuple):
    """Where a signature's values are on a target, and how they are read and put there."""

    isa: str
    signature: Signature
    where: Passed

    def taken(
        self, value: AbiParam, parts: Sequence[Part], register: Callable[[int], Term], load: Load, area: Term | None
    ) -> Term:
        """A value as a whole number; one with an extension as the register that it is in. `area`: where offsets on the
        stack begin."""
        found = [self._part(value, part, register, load, area) for part in parts]
        whole = found[-1]
        for low in reversed(found[:-1]):
            whole = joined(whole, low)
        return turned(self.isa, self.signature, value.type, whole)

    def _part(
        self, value: AbiParam, part: Part, register: Callable[[int], Term], load: Load, area: Term | None
    ) -> Term:
        if part.place < 0:
            if area is None:
                raise Undecided("a value on the stack without an area")
            at = located(area, part.offset)
            return load(load(at, _WORD) if part.copied else at, part.size)
        whole = register(part.place)
        if part.copied:
            return load(whole, part.size)
        if self.fills(value, [part]):
            return whole
        low = whole.lane - 8 * part.size if part.float and abi_named(self.isa).floats_on_top else 0
        return sliced(whole, low, 8 * part.size)

    def pieces(
        self, term: Term, value: AbiParam, parts: Sequence[Part], open_bits: Callable[[int], Term]
    ) -> Iterator[tuple[Part, Term]]:
        """Each part of a value with what it holds: a whole register, or bytes. `open_bits` makes what nobody sets."""
        whole = turned(self.isa, self.signature, value.type, normal(build.scalar(term)))
        at = 0
        for part in parts:
            piece = sliced(whole, 8 * at, 8 * part.size)
            at += part.size
            yield part, piece if part.copied or part.place < 0 else normal(self._filled(piece, part, value, open_bits))

    def _filled(self, piece: Term, part: Part, value: AbiParam, open_bits: Callable[[int], Term]) -> Term:
        """A whole register."""
        abi, width = abi_named(self.isa), table_of(self.isa).registers.width(part.place)
        room = width - piece.lane
        if not room:
            return piece
        if self.fills(value, [part]):
            return extension(piece, value.extension, width)
        if part.float and abi.floats_on_top:
            return build.concat(piece, open_bits(room))
        if part.float and abi.boxed and width == 64:
            return build.concat(const(-1, room), piece)
        return build.concat(open_bits(room), piece)

    def fills(self, value: AbiParam, parts: Sequence[Part]) -> bool:
        """Whether a value fills its register by an extension."""
        narrow = value.type.bits < 64 and parts[0].place >= 0 and not parts[0].float
        return narrow and bool(value.extension) and self.where.extends


class Side(Protocol):
    """What has the ends of a function: its code, or its program."""

    @property
    def signature(self) -> Signature:
        """The function's."""
        ...

    def results(self, end: End) -> list[Term]:
        """The results of an end, as whole numbers."""
        ...

    def expected(self, results: Sequence[int]) -> list[int]:
        """Numbers that the results are to be, given values of the signature's types."""
        ...


@dataclass(frozen=True, slots=True)
class Boundary:
    """A signature on a target: the state on entry, and the results of an end."""

    convention: Convention
    entry: Entry
    area: Term | None = None

    @property
    def signature(self) -> Signature:
        return self.convention.signature

    def results(self, end: End) -> list[Term]:
        """The results, as whole numbers; of one with an extension the register that it is in."""
        return [
            self.convention.taken(value, parts, end.value, end.memory.load, self.area)
            for value, parts in zip(self.signature.returns, self.convention.where.results)
        ]

    def expected(self, results: Sequence[int]) -> list[int]:
        """Numbers that the results are to be, given values of the signature's types."""
        return [
            extended(number, value.type.bits, value.extension) if self.convention.fills(value, parts) else number
            for number, value, parts in zip(results, self.signature.returns, self.convention.where.results, strict=True)
        ]


def extension(term: Term, how: str, width: int) -> Term:
    """A narrow number in a register, by 'sext' or 'uext'."""
    return (build.sext if how == "sext" else build.zext)(term, width)


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


def convention(target: Target, signature: Signature) -> Convention:
    """Where the values of a signature are; `Undecided` if that is not known."""
    if any(param.purpose not in ("", "vmctx", "sret") for param in signature.params):
        raise Undecided("an argument with a purpose of its own")
    more = dict(target.settings).get("enable_llvm_abi_extensions") == "true"
    where = passed(target.isa, signature, more)
    if where is None:
        raise Undecided("where arguments and results are is not known")
    return Convention(target.isa, signature, where)


def boundary(target: Target, signature: Signature, caller: Caller | None = None) -> Boundary:
    """The state in which a function of this signature is entered; `Undecided` if that is not known. `caller` makes its
    calls."""
    return _Maker(convention(target, signature)).made(caller)


class _Maker:
    """Makes one entry."""

    def __init__(self, convention: Convention) -> None:
        self.convention: Final = convention
        self.registers: dict[Place, Term] = {}
        self.memory: list[tuple[Term, Term]] = []
        self.apart: set[Term] = set()
        self.count = 0

    def made(self, caller: Caller | None) -> Boundary:
        name, signature, where = self.convention
        isa, abi = isa_named(name), abi_named(name)
        stack = located(ALIGNED, -_WORD) if abi.link < 0 else ALIGNED
        self.registers[isa.stack_pointer] = stack
        if abi.link >= 0:
            self.registers[abi.link] = RETURN
        else:
            self.memory.append((stack, RETURN))
        for number, (param, parts) in enumerate(zip(signature.params, where.arguments)):
            for part, piece in self.convention.pieces(argument(number, param.type), param, parts, self._noise):
                self._put(piece, part)
        area = self._area()
        entry = Entry(self.registers, stack, RETURN, tuple(self.memory), frozenset(self.apart), caller)
        return Boundary(self.convention, entry, area)

    def _area(self) -> Term | None:
        where = self.convention.where
        if where.area < 0:
            return None
        area = self.base("area")
        self.registers[where.area] = area
        return area

    def base(self, name: str) -> Term:
        """The address of memory that is apart."""
        made = var(name, 64)
        self.apart.add(made)
        return made

    def _put(self, piece: Term, part: Part) -> None:
        if part.copied:
            copy = self.base(f"copy{len(self.apart)}")
            self.memory.append((copy, piece))
            piece = copy
        if part.place < 0:
            self.memory.append((located(ALIGNED, part.offset), piece))
        else:
            self.registers[part.place] = piece

    def _noise(self, width: int) -> Term:
        self.count += 1
        return var(f"noise{self.count}", width)
