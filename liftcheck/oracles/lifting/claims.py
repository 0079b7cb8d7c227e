"""What must hold for two ends of one function to be the same: its program's and its code's.

The one idea: each pair of ends is a premise, the conditions of both, and small claims under it, each that two terms are
equal: a result, a kept register, an argument of a call, the bytes at one place that either side has stored to; and that
an access of one side is one of the other's. So each can be proven, or refuted, by itself (`equal`).

Not compared: which of several faults comes first; what memory holds where an access faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import FALSE, TRUE, normal, simplified, sliced
from liftcheck.bits.term import Term, const
from liftcheck.case import Target
from liftcheck.clif.types import Type
from liftcheck.isa.abi import abi_named, owed
from liftcheck.isa.base import isa_named
from liftcheck.mach.arguments import stack_bytes
from liftcheck.mach.lift import table_of
from liftcheck.mach.lift_memory import Memory, Range, located, parts
from liftcheck.mach.lift_paths import Access, Called, End
from liftcheck.nan import quiet_nan
from liftcheck.oracles.lifting.calls import even
from liftcheck.oracles.lifting.signature import ALIGNED, Boundary, Convention, convention, extension

_BLOCK: Final = 16
"""Bytes of the largest access that may be around one of the program's."""
CALL: Final = "call "
"""How what is said of a call begins."""
EXTRA: Final = "an access that the program has not"
MISSING: Final = "an access that the code has not"
OTHERWISE: Final = "a call that may reach the frame in another way than the program's"
"""What is after it cannot be compared: the claim makes a function undecided."""
OUTSIDE: Final = "an access in the frame outside of the stack slots"


class Claim(NamedTuple):
    """Both are equal wherever the premise of their ends holds; `what` is said of them if they are not."""

    what: str
    code: Term
    program: Term

    @property
    def is_plain(self) -> bool:
        """Whether it holds by the normal form."""
        return self.code is self.program


class Sides(NamedTuple):
    """A function's code on a target; whether the NaNs of its program's results may have any bits; what is assumed of
    the code's address."""

    target: Target
    boundary: Boundary
    any_nan: bool
    aligned: Term

    @property
    def unwatched(self) -> frozenset[str]:
        """Registers that this convention keeps and the usual one does not: no runner looks at them."""
        how, registers = self.boundary.convention, table_of(self.target.isa).registers
        kept, usual = owed(how.isa, how.signature.call_conv), owed(how.isa, "system_v")
        if kept is None or usual is None:
            return frozenset()
        return frozenset(registers.name(place) for place in kept.bits if place not in usual.bits)

    def of(self, code: End, program: End) -> Iterator[Claim]:
        """The claims of two ends."""
        if code.kind != program.kind or code.detail != program.detail or len(code.calls) != len(program.calls):
            yield Claim(f"{_said(code)} where the program has {_said(program)}", FALSE, TRUE)
            return
        for number, (one, other) in enumerate(zip(code.calls, program.calls, strict=True)):
            yield from self._call(number, one, other)
            if one.reached != other.reached:
                yield Claim(OTHERWISE, FALSE, TRUE)
                return
        yield from _accesses(code.accesses, program.accesses)
        yield from memory("memory", code.memory, program.memory)
        for inside in code.in_slots:
            yield Claim(OUTSIDE, inside, TRUE)
        if code.kind == "returned":
            yield from self._results(code, program)
            yield from self._kept(code)

    def _call(self, number: int, code: Called, program: Called) -> Iterator[Claim]:
        what, how = f"{CALL}{number + 1}", convention(self.target, program.signature)
        if [p.type for p in code.signature.params] != [p.type for p in program.signature.params]:
            yield Claim(f"{what}: the signature", FALSE, TRUE)
            return
        yield Claim(f"{what}: the callee", even(code.target), even(program.target))
        wanted = _extended(how, program.signature.params, how.where.arguments, program.arguments)
        for index, (one, other) in enumerate(zip(code.arguments, wanted, strict=True)):
            yield Claim(f"{what}: argument {index + 1}", one, other)
        if code.reached == program.reached:
            yield from memory(f"{what}: memory before it", code.memory, program.memory, program.reached)

    def _results(self, code: End, program: End) -> Iterator[Claim]:
        how = self.boundary.convention
        returns = how.signature.returns
        wanted = _extended(how, returns, how.where.results, program.results)
        for number, (one, other, value) in enumerate(zip(self.boundary.results(code), wanted, returns, strict=True)):
            if self.any_nan and value.type.is_float:
                one, other = _quiet(one, value.type), _quiet(other, value.type)
            yield Claim(f"result {number + 1}", one, other)

    def _kept(self, code: End) -> Iterator[Claim]:
        """What the function owes its caller."""
        how, registers = self.boundary.convention, table_of(self.target.isa).registers
        kept = owed(how.isa, how.signature.call_conv)
        if kept is None:
            return
        gone = (stack_bytes(how.isa, how.signature) or 0) if kept.pops else 0
        pointer = isa_named(how.isa).stack_pointer
        yield Claim("the stack pointer", code.value(pointer), located(ALIGNED, gone))
        free = {pointer, *abi_named(how.isa).scratch, *(part.place for parts in how.where.results for part in parts)}
        for place, bits in kept.bits.items():
            if place in free:
                continue
            before = self.boundary.entry.registers.get(place, registers.variable(place))
            low = kept.low if bits < before.lane else 0
            yield Claim(registers.name(place), sliced(code.value(place), low, bits), sliced(before, low, bits))


def _said(end: End) -> str:
    calls = f" after {len(end.calls)} calls" if end.calls else ""
    return f"{end.kind}{f' {end.detail}' if end.detail else ''}{calls}"


def _extended(how: Convention, values: Sequence[object], places: Sequence[object], terms: Iterable[Term]) -> list[Term]:
    """Values as whole numbers, extended as a convention asks for."""
    found = []
    for value, where, one in zip(values, places, terms):
        whole = normal(build.scalar(one))
        fills = how.fills(value, where)  # type: ignore[arg-type]
        found.append(normal(extension(whole, value.extension, 64)) if fills else whole)  # type: ignore[attr-defined]
    return found


def _quiet(number: Term, ty: Type) -> Term:
    """A float with every NaN the same."""
    lanes = build.shape(number, ty.lane_bits, ty.lanes)
    nan = const(quiet_nan(ty.lane_bits), ty.lane_bits, ty.lanes)
    return normal(build.scalar(build.ite(build.isnan(lanes), nan, lanes)))


def memory(what: str, code: Memory, program: Memory, reached: frozenset[Range] = frozenset()) -> Iterator[Claim]:
    """Data and some stack slots, where one of the sides has stored."""
    stores = [made for memory in (code, program) for made in memory.stores(reached)]
    for base, offset, size in dict.fromkeys((made.base, made.offset, made.size) for made in stores):
        where = located(base, offset)
        yield Claim(what, code.load(where, size), program.load(where, size))


_NEVER: Final = FALSE
_DOUBLEWORD: Final = 8


def _accesses(code: Sequence[Access], program: Sequence[Access]) -> Iterator[Claim]:
    """What the code accesses the program does; what may trap in the program may trap in the code, and no other way."""
    for one in dict.fromkeys(code):
        others = [other for other in program if one.trap is None or other.trap in (one.trap, None)]
        yield Claim(EXTRA, _implied(one.when, _beside(one, others)), TRUE)
    for other in dict.fromkeys(program):
        if other.trap is not None:
            same = [one for one in code if one.trap == other.trap]
            for at in {0, other.size - 1}:
                byte = other._replace(address=located(other.address, at), size=1)
                yield Claim(MISSING, _implied(other.when, _inside(byte, same)), TRUE)


def _implied(when: Term, then: Term) -> Term:
    return simplified(build.bor(simplified(build.bnot(when)), then))


def _inside(one: Access, others: Sequence[Access]) -> Term:
    """Whether an access is inside of one of others, after as many calls."""
    found = _NEVER
    for other in others:
        if other.calls == one.calls:
            found = simplified(build.bor(found, simplified(build.band(other.when, _within(one, other)))))
    if found is not TRUE and _covered(one, others):
        return TRUE
    return found


def _beside(one: Access, others: Sequence[Access]) -> Term:
    """Whether an access of code is inside of one of the program's, or of the aligned doubleword that holds all of it,
    as narrow atomics are: the page is the same, and what is stored is a claim of its own."""
    found = _inside(one, others)
    for other in others if found is not TRUE and one.size <= _DOUBLEWORD else ():
        if other.calls == one.calls and other.size <= one.size:
            ends = (one.address, located(one.address, one.size - 1), located(other.address, other.size - 1))
            word = _doubleword(other.address)
            same = [simplified(build.eq(_doubleword(end), word)) for end in ends]
            found = simplified(build.bor(found, simplified(build.band(other.when, _all(same)))))
    return found


def _all(conditions: Iterable[Term]) -> Term:
    found = TRUE
    for one in conditions:
        found = simplified(build.band(found, one))
    return found


def _doubleword(address: Term) -> Term:
    return normal(sliced(address, 3, 61))


def _within(one: Access, other: Access) -> Term:
    room = other.size - one.size
    if room < 0:
        return _around(one, other)
    (base, at), (other_base, start) = parts(one.address), parts(other.address)
    if base is other_base:
        return TRUE if 0 <= at - start <= room else FALSE
    apart = simplified(build.sub(one.address, other.address))
    return simplified(build.ule(apart, const(room, 64)))


def _around(one: Access, other: Access) -> Term:
    """Whether an aligned access begins in the same block as a smaller one, and so lies in the same page. What it stores
    there besides is compared with memory."""
    bits = one.size.bit_length() - 1
    low = sliced(one.address, 0, bits)
    if one.size != 1 << bits or one.size > _BLOCK or low is not simplified(const(0, bits)):
        return FALSE
    return simplified(build.eq(sliced(one.address, bits, 64 - bits), sliced(other.address, bits, 64 - bits)))


def _covered(one: Access, others: Sequence[Access]) -> bool:
    """Whether several others have all bytes of an access."""
    base, at = parts(one.address)
    bytes_: set[int] = set()
    for other in others:
        other_base, start = parts(other.address)
        if other_base is base and other.when is TRUE and other.calls == one.calls:
            bytes_.update(range(start, start + other.size))
    return bytes_.issuperset(range(at, at + one.size))
