"""Where arguments and results are, in registers and on the stack, and how many bytes a `tail` function takes away.

The one idea: a walk over a signature with the numbers of registers that an ISA's row gives for its convention
(`isa.abi.Passing`), and not read off code. It has `tail` of every ISA (the convention is Cranelift's own), and of some
ISAs the others. Only of `tail` callees take anything away.

Sources: cranelift-codegen 0.135, `compute_arg_locs` of isa/*/abi.rs, and `SigSet::from_func_sig` of machinst/abi.rs (an
area for results is an argument; results lie after the arguments); 0.130 has the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.types import Type
from liftcheck.isa.abi import ALL, COPIED, EACH, FLOATS, HALVES, PAIR, SPENT, Passing, abi_named

_INT, _FLOAT, _VECTOR = range(3)
_STACK: Final = -1
"""Class of what is never in a register."""
_SRET: Final = -2
"""Class of the address of a structure that has a register of its own."""
_FIRST: Final = (0, FLOATS, FLOATS)
"""The place of register 0 of each class; vectors are in the registers of floats."""
_WORD: Final = 8
_WIDEST: Final = 128
"""Bits that a vector register has for certain (`Isa.widths`)."""
_ODD: Final = frozenset({"f16", "i8x2"})


class Lies(NamedTuple):
    """A value, or a half of one, on the stack: `offset` from where the stack pointer is at the call (a result's: after
    it), bytes; whether it is an integer, accessed as a word whatever its type has, a copy, which is made through its
    address."""

    offset: int
    size: int
    integer: bool
    widened: bool
    copied: bool = False


class Stacked(NamedTuple):
    """All that a call of a signature has on the stack."""

    arguments: tuple[Lies, ...]
    results: tuple[Lies, ...]


@cache
def stack_bytes(isa: str, signature: Signature) -> int | None:
    """Bytes of stack arguments of a function of this signature; None if that is not known."""
    passing = abi_named(isa).passing.get(signature.call_conv)
    if passing is None or any(p.type.bits > passing.widest for p in signature.params):
        return None
    end = _arguments(passing, signature, _results(passing, passing.results, signature)).end()
    return end if end > passing.shadow else 0


@cache
def stacked(isa: str, signature: Signature) -> Sequence[Stacked] | None:
    """What lies where on the stack, by each setting and version that it may depend on; None if that is not known: there
    is no row, a structure is copied there, or a value is wider than the convention has any."""
    abi = abi_named(isa)
    passing = abi.passing.get(signature.call_conv)
    values = (*signature.params, *signature.returns)
    if passing is None or abi.whole_words is None or any(_is_unknown(passing, value) for value in values):
        return None
    found = []
    for way in _ways(passing):
        results = _results(way, way.results, signature)
        arguments = _arguments(way, signature, results)
        # A callee that took away arguments which were pushed for it leaves the results where these began.
        after = passing.shadow if abi.pushes_arguments and _pops(signature) else arguments.end()
        lies = tuple(one._replace(offset=one.offset + after) for one in results.found)
        found.append(Stacked((*arguments.found, *arguments.copied()), lies))
    return tuple(dict.fromkeys(found))


def _ways(passing: Passing) -> Iterator[Passing]:
    """By each setting and version."""
    yield passing
    for results in filter(None, (passing.more_results, passing.other_results)):
        yield passing._replace(results=results)
    if passing.widened_once:
        yield passing._replace(widens=False)


class Part(NamedTuple):
    """Where bytes of a value are: in the register `place`; on the stack (-1) at `offset`, of results: in their area.
    `copied`: the register or the stack has the address of so many bytes."""

    place: int
    offset: int
    size: int
    float: bool
    copied: bool = False


class Passed(NamedTuple):
    """The parts of each argument and result, lowest first. `area`: the register with the address of the area for
    results that have no register; -1: there is none. `extends`: the convention takes notice of extensions."""

    arguments: tuple[tuple[Part, ...], ...]
    results: tuple[tuple[Part, ...], ...]
    area: int
    extends: bool


@cache
def passed(isa: str, signature: Signature, more_results: bool = False) -> Passed | None:
    """Where everything is when a function of this signature is entered and left; None if that is not known, or not the
    same in all versions. With `more_results` as the setting `enable_llvm_abi_extensions` has it."""
    abi = abi_named(isa)
    passing, order = abi.passing.get(signature.call_conv), abi.order.get(signature.call_conv)
    values = (*signature.params, *signature.returns)
    if passing is None or order is None or passing.packs_results:
        return None
    if any(_is_unknown(passing, value) or value.type.bits > _WIDEST for value in values):
        return None
    counts = passing.more_results if more_results and passing.more_results is not None else passing.results
    results = _results(passing, counts, signature)
    if passing.other_results and _results(passing, passing.other_results, signature).taken != results.taken:
        return None
    arguments = _arguments(passing, signature, results)
    first = order.arguments[_INT][0] if passing.area else abi.area
    return Passed(
        tuple(arguments.parts(order.arguments, order.sret)),
        tuple(results.parts(order.results, -1)),
        first if results.top else -1,
        passing.widens,
    )


def _pops(signature: Signature) -> bool:
    return signature.call_conv == "tail"


def _is_unknown(passing: Passing, value: AbiParam) -> bool:
    return value.purpose.startswith("sarg(") or value.type.bits > passing.widest


def _results(passing: Passing, registers: tuple[int, int, int], signature: Signature) -> _Walk:
    returns = signature.returns
    odd = any(value.extension or value.type.name in _ODD for value in returns)
    walk = _Walk(passing, registers, returning=True)
    walk.packed = passing.packed or passing.packs_results == EACH or (passing.packs_results == ALL and not odd)
    for number, value in enumerate(returns):
        walk.last = number == len(returns) - 1
        walk.over([value])
    if passing.packs_results:
        walk.turn()
    return walk


def _arguments(passing: Passing, signature: Signature, results: _Walk) -> _Walk:
    walk = _Walk(passing, passing.arguments, int(passing.area and bool(results.top)))
    walk.over(signature.params)
    return walk


class _Walk:
    """Where the next argument goes."""

    def __init__(
        self, passing: Passing, registers: tuple[int, int, int], taken: int = 0, *, returning: bool = False
    ) -> None:
        self.passing: Final = passing
        self.registers: Final = registers
        self.returning: Final = returning
        self.next: Final = [taken, 0, 0]
        self.position = taken
        self.packed = passing.packed
        self.last = True
        """Whether this is the last value."""
        self.top = 0 if returning else passing.shadow
        self.copies: Final[list[int]] = []
        self.found: Final[list[Lies]] = []
        self.taken: Final[list[list[tuple[int, int, Lies]]]] = []
        """Of each value the parts: register class and number, or _STACK; where it lies if it does."""

    def over(self, values: Iterable[AbiParam]) -> None:
        """Take these."""
        for value in values:
            if value.purpose.startswith("sarg("):
                self.top += int(value.purpose[5:-1])
            elif value.purpose != "sret" or self.passing.sret:
                self.taken.append([])
                self._value(value)
            else:
                self.taken.append([(_SRET, 0, Lies(0, _WORD, True, False))])

    def _value(self, value: AbiParam) -> None:
        copies = len(self.copies)
        parts = list(self._parts(value.type))
        copied = len(self.copies) > copies
        how = (self.returning and self.passing.result_i128) or self.passing.i128
        widened = bool(value.extension) and value.type.bytes < _WORD and self.passing.widens
        if len(parts) == 1 or value.type.name != "i128" or how == HALVES:
            integer, whole = value.type.is_int and not value.type.is_vector, bool(value.extension) and self.returning
            for number, (cls, size) in enumerate(parts):
                last = self.last and number == len(parts) - 1
                stays = self.returning and bool(self.passing.packs_results) and not last
                self._take(_STACK if stays else cls, Lies(0, size, integer, widened, copied), whole)
        elif self.registers[_INT] - self.next[_INT] >= 2:
            self.next[_INT] += 2 + (how == PAIR and self.next[_INT] % 2)
            self.taken[-1] += [(_INT, self.next[_INT] - back, Lies(0, _WORD, True, False)) for back in (2, 1)]
        else:
            self.next[_INT] += 2 * (how == SPENT)
            at = self._place(2 * _WORD)
            halves = [Lies(half, _WORD, True, False) for half in (at, at + _WORD)]
            self.found.extend(halves)
            self.taken[-1] += [(_STACK, 0, half) for half in halves]

    def _take(self, cls: int, part: Lies, whole: bool) -> None:
        """A part of a value, which fills a `whole` word at least."""
        self.position += 1
        positional = self.passing.positional and not self.returning
        number = self.position - 1 if positional else self.next[cls]
        if cls != _STACK and number < self.registers[cls]:
            self.next[cls] += 1
            self.taken[-1].append((cls, number, part))
            return
        room = part.size if self.packed and not whole else max(part.size, _WORD)
        at = self._place(room)
        if self.passing.to_the_right and not part.widened:
            at += room - part.size
        self.found.append(part._replace(offset=at))
        self.taken[-1].append((_STACK, 0, self.found[-1]))

    def parts(self, order: tuple[tuple[int, ...], ...], sret: int) -> Iterator[tuple[Part, ...]]:
        """Where each value's parts are, by the numbers of registers."""
        copies = iter(self.copies)
        for taken in self.taken:
            found = []
            for cls, number, lies in taken:
                copied = lies.copied
                size = next(copies) if copied else lies.size
                place = sret if cls == _SRET else -1 if cls == _STACK else _FIRST[cls] + order[cls][number]
                found.append(Part(place, lies.offset, size, cls in (_FLOAT, _VECTOR), copied))
            yield tuple(found)

    def turn(self) -> None:
        """The first one on top."""
        least = 1 if self.packed else _WORD
        self.found[:] = [one._replace(offset=self.top - one.offset - max(one.size, least)) for one in self.found]

    def _place(self, size: int) -> int:
        packs = self.packed and self.returning and self.passing.packs_results
        align = 1 if packs else min(size, self.passing.most_aligned)
        at = -(-self.top // align) * align
        self.top = at + size
        return at

    def _parts(self, ty: Type) -> Iterator[tuple[int, int]]:
        """The register class and the bytes of each part of a value."""
        rule = self.passing
        if ty.is_vector:
            how = rule.vectors if ty.bits == 128 or not rule.whole_vectors else COPIED
            how = COPIED if rule.copied_vectors and ty.bits == 128 else how
        else:
            how = {"i128": rule.i128, "f128": rule.f128}.get(ty.name, "float" if ty.is_float else "int")
        if how == COPIED and rule.copied_vectors and self.returning:
            how = "float"
        if how == COPIED and self.returning:
            yield _STACK, ty.bytes
        elif how == COPIED:
            self.copies.append(ty.bytes)
            yield _INT, _WORD
        elif how in ("float", "vector", "stack"):
            yield {"float": _FLOAT, "vector": _VECTOR, "stack": _STACK}[how], ty.bytes
        elif how == "int":
            yield _INT, ty.bytes
        else:
            yield from ((_INT, _WORD), (_INT, _WORD))

    def _filled(self) -> int:
        unit = self.passing.unit
        return -(-self.top // unit) * unit

    def end(self) -> int:
        """How many bytes there are in all."""
        return self._filled() + sum(self.copies)

    def copied(self) -> Iterator[Lies]:
        """Where the copies are."""
        at = self._filled()
        for size in self.copies:
            yield Lies(at, size, False, False, True)
            at += size
