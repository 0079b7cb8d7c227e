"""Memory as terms: stores over an unknown initial memory, byte by byte.

The one idea: an address is a base (any term) and a distance; what was stored at the same base is found by the distance,
in parts and overlapping too. A store at another base may have hit the same bytes, and then a read is a choice by the
difference of the addresses, unless the bases lie in different areas: what is said of those (`Places`) is an assumption.
What was never stored is initial memory: aligned words of a base are variables, and `Reads` has the address of each, so
that whoever evaluates or proves knows what they stand for. The same words of the same base are the same variables on
every path and on both sides of a comparison.

Stack slots of the program (`Slots`) are a part of the frame that callees may reach: where one does, slots and data are
one area from then on, in which pointers that a callee may have given are aliases of slots, and those that the function
was entered with are none.

What it does not do: faults (who accesses says what may trap), memory that others change meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import TRUE, joined, rebuilt, simplified, sliced
from liftcheck.bits.term import Term, const, value_of, var
from liftcheck.mach.rows.table import variables

WORD: Final = 8
_MOST: Final = 48
"""Stores at other bases through which a read is looked up; more give terms that nobody can use."""


class Undecided(Exception):
    """What the code does cannot be said; the text is the reason, the same for all code of its kind."""


class Read(NamedTuple):
    """What a variable of `Reads` is: the number of `size` bytes at `address`, before anything was stored; of what
    callees may write, as call number `calls` - 1 has left it."""

    address: Term
    size: int
    calls: int


class Stored(NamedTuple):
    """`value` was put at base + offset, if `when` holds."""

    base: Term
    offset: int
    size: int
    value: Term
    when: Term


Range = tuple[int, int]
Apart = Callable[[Term, Term], bool]


class Slots(NamedTuple):
    """The stack slots of a program in the frame: [first, end) at distances from `base`, in order."""

    base: Term
    ranges: tuple[Range, ...]

    def at(self, offset: int) -> Range | None:
        """The one that has a byte."""
        return next((one for one in self.ranges if one[0] <= offset < one[1]), None)

    def edge(self, offset: int, size: int) -> int:
        """How many bytes from there are all in slots, or all in none; at most `size`."""
        inside = self.at(offset) is not None
        return next((k for k in range(1, size) if (self.at(offset + k) is not None) != inside), size)


class Reads:
    """The variables of initial memory; their names begin with `name`. `later`: variables that are nothing which the
    function was entered with, results of calls and the frame's address; neither is memory unless it `is_on_entry`."""

    def __init__(self, name: str = "memory", is_on_entry: bool = True) -> None:
        self.name: Final = name
        self.is_on_entry: Final = is_on_entry
        self.of: Final[dict[Term, Read]] = {}
        self.later: Final[set[Term]] = set()
        self._words: Final[dict[tuple[Term, int, int], Term]] = {}
        self._on_entry: Final[dict[Term, bool]] = {}

    def on_entry(self, base: Term) -> bool:
        """Whether a term is a function of what the function was entered with."""
        found = self._on_entry.get(base)
        if found is None:
            found = self._on_entry[base] = all(map(self._was_there, variables([base])))
        return found

    def _was_there(self, v: Term) -> bool:
        read = self.of.get(v)
        if read is None:
            return v not in self.later
        return self.is_on_entry and not read.calls and self.on_entry(parts(read.address)[0])

    def word(self, base: Term, at: int, calls: int) -> Term:
        """The word at base + `at`, a multiple of its size, after so many calls."""
        key = base, at, calls
        found = self._words.get(key)
        if found is None:
            found = self._words[key] = var(f"{self.name}{len(self._words)}", 8 * WORD)
            self.of[found] = Read(located(base, at), WORD, calls)
        return found


def located(base: Term, offset: int) -> Term:
    """The address at a distance."""
    return simplified(build.add(base, const(offset, 64)))


_ADDED: Final = build.add(var("a", 64), var("b", 64))
_LESS: Final = build.sub(var("a", 64), var("b", 64))


@lru_cache(maxsize=1 << 16)
def parts(address: Term) -> tuple[Term, int]:
    """An address as base and signed distance."""
    if address.prim == "add" and address.args[1].prim == "const":
        base, number = address.args[0], value_of(address.args[1])
        return base, number - (number >> 63 << 64)
    if address.prim == "concat" and address.args[1].prim == "const":
        low = address.args[1]
        return joined(address.args[0], const(0, low.lane)), value_of(low)
    if address.prim == "const":
        return const(0, 64), value_of(address)
    return address, 0


class _Entry:
    """A store without a condition, as bytes know it; they are compared by identity."""

    __slots__ = ("number", "offset", "size", "value")

    def __init__(self, number: int, offset: int, size: int, value: Term) -> None:
        self.number, self.offset, self.size, self.value = number, offset, size, value


class Area:
    """Memory of which nothing outside it is an alias."""

    __slots__ = ("_apart", "_bytes", "_calls", "_mixed", "_private", "stores")

    def __init__(self, calls: int = 0, apart: Apart | None = None, private: Slots | None = None) -> None:
        self._calls = calls
        """How many calls were made before its first store."""
        self._apart = apart
        """Which bases are no aliases of each other all the same."""
        self._private = private
        """What calls leave as it is."""
        self.stores: list[Stored] = []
        self._bytes: dict[Term, dict[int, _Entry]] = {}
        self._mixed = False
        """Whether a store is at another base than all others, or has a condition."""

    def copy(self) -> Area:
        made = Area(self._calls, self._apart, self._private)
        made.stores = self.stores.copy()
        made._bytes = {base: known.copy() for base, known in self._bytes.items()}
        made._mixed = self._mixed
        return made

    def store(self, made: Stored) -> None:
        known = self._bytes.get(made.base)
        if known is None:
            self._mixed = self._mixed or bool(self._bytes)
            known = self._bytes[made.base] = {}
        if made.when is TRUE:
            entry = _Entry(len(self.stores), made.offset, made.size, made.value)
            for at in range(made.offset, made.offset + made.size):
                known[at] = entry
        else:
            self._mixed = True
        self.stores.append(made)

    def forget(self, base: Term, low: int, high: int, unknown: Callable[[int], Term]) -> None:
        """What was stored at base + [low, high) is something else now."""
        known = self._bytes.get(base, {})
        hit = {known[at] for at in known if low <= at < high}
        for entry in sorted(hit, key=lambda entry: entry.number):
            first, end = max(entry.offset, low), min(entry.offset + entry.size, high)
            self.store(Stored(base, first, end - first, unknown(8 * (end - first)), TRUE))

    def kept(self, base: Term, ranges: Sequence[Range], big: bool) -> Iterator[Stored]:
        """What was stored at base + [first, end), in order."""
        known = self._bytes.get(base, {})
        for low, high in ranges:
            for entry in sorted({known[at] for at in known if low <= at < high}, key=lambda entry: entry.number):
                first, end = max(entry.offset, low), min(entry.offset + entry.size, high)
                at = entry.offset + entry.size - end if big else first - entry.offset
                yield Stored(base, first, end - first, sliced(entry.value, 8 * at, 8 * (end - first)), TRUE)

    def _calls_before(self, base: Term, at: int) -> int:
        private = self._private
        return 0 if private is not None and base is private.base and private.at(at) else self._calls

    def load(self, base: Term, offset: int, size: int, big: bool, reads: Reads) -> Term:
        known = self._bytes.get(base, {})
        first = known.get(offset)
        later = self.stores if self._mixed or (self._bytes and base not in self._bytes) else ()
        whole = first is not None and not later and first.offset == offset and first.size == size
        if first is not None and whole and all(known.get(at) is first for at in range(offset + 1, offset + size)):
            return first.value
        if later and any(self._may_hit(base, number, known, offset, size) for number in range(len(self.stores))):
            return self._looked_up(base, offset, size, big, reads)
        return self._direct(known, base, offset, size, big, reads)

    def _may_hit(self, base: Term, number: int, known: dict[int, _Entry], offset: int, size: int) -> bool:
        """Whether a store that the bytes do not know may have changed one of them after what they know."""
        made = self.stores[number]
        if made.base is base and made.when is TRUE:
            return False
        if made.base is base and not (made.offset < offset + size and offset < made.offset + made.size):
            return False
        if self._apart is not None and made.base is not base and self._apart(made.base, base):
            return False
        return any(at not in known or known[at].number < number for at in range(offset, offset + size))

    def _direct(self, known: dict[int, _Entry], base: Term, offset: int, size: int, big: bool, reads: Reads) -> Term:
        """By what was stored at the same base alone."""
        pieces, at, end = [], offset, offset + size
        while at < end:
            entry, start = known.get(at), at
            at += 1
            while at < end and known.get(at) is entry and (entry is not None or at % WORD):
                at += 1
            if entry is None:
                word = start - start % WORD
                value, within, whole = reads.word(base, word, self._calls_before(base, word)), start - word, WORD
            else:
                value, within, whole = entry.value, start - entry.offset, entry.size
            low = whole - within - (at - start) if big else within
            pieces.append(sliced(value, 8 * low, 8 * (at - start)))
        return put_together(pieces, big)

    def _looked_up(self, base: Term, offset: int, size: int, big: bool, reads: Reads) -> Term:
        """Through stores that may have hit the bytes after what is known of them was stored."""
        known = self._bytes.get(base, {})
        others = list(self._others(base, offset, size))
        if len(others) > _MOST:
            raise Undecided("more stores that may overlap than can be looked through")
        numbers = [known[at].number if at in known else -1 for at in range(offset, offset + size)]
        if all(_is_word(made, base, offset, size) and not min(numbers) < n < max(numbers) for n, made, _ in others):
            word = self._direct(known, base, offset, size, big, reads)
            for number, made, _ in others:
                if number > max(numbers):
                    same = simplified(build.eq(located(made.base, made.offset), located(base, offset)))
                    word = simplified(build.ite(simplified(build.band(made.when, same)), made.value, word))
            return word
        found = []
        for at in range(offset, offset + size):
            byte, last = self._direct(known, base, at, 1, big, reads), known[at].number if at in known else -1
            for number, made, apart in others:
                if number > last:
                    byte = _after(made, rebuilt(_ADDED, (apart, const(at - offset, 64))), big, byte)
            found.append(byte)
        return put_together(found, big)

    def _others(self, base: Term, offset: int, size: int) -> Iterator[tuple[int, Stored, Term]]:
        """The stores that bytes do not know and that may have hit some of these: number, store, distance from it."""
        for number, made in enumerate(self.stores):
            if made.base is base and made.when is TRUE:
                continue
            if self._apart is not None and made.base is not base and self._apart(made.base, base):
                continue
            apart = const(0, 64) if made.base is base else rebuilt(_LESS, (base, made.base))
            apart = rebuilt(_ADDED, (apart, const(offset - made.offset, 64)))
            if apart.prim == "const" and made.size <= value_of(apart) <= (1 << 64) - size:
                continue
            yield number, made, apart


def _is_word(made: Stored, base: Term, offset: int, size: int) -> bool:
    """Whether a store and so many bytes at an address are words of one size, aligned to it: the same ones, or apart."""
    if made.size != size or size & (size - 1):
        return False
    return all(at % size == 0 and 1 << _low_zeros(b) >= size for b, at in ((base, offset), (made.base, made.offset)))


def _low_zeros(term: Term) -> int:
    """How many low bits of a term are zeros at sight."""
    while term.prim == "concat":
        term = term.args[1]
    number = value_of(term) if term.prim == "const" else 1
    return (number & -number).bit_length() - 1 if number else term.lane


def put_together(found: list[Term], big: bool) -> Term:
    """Bytes, by their addresses, as one number."""
    ordered = found if big else found[::-1]
    value = ordered[-1]
    for byte in reversed(ordered[:-1]):
        value = joined(byte, value)
    return value


def _after(made: Stored, apart: Term, big: bool, byte: Term) -> Term:
    """A byte after a store that begins so far before it."""
    inside = simplified(build.ult(apart, const(made.size, 64)))
    hit = simplified(build.band(made.when, inside))
    if hit.prim == "const" and not value_of(hit):
        return byte
    width = made.value.lane
    if apart.prim == "const":
        k = value_of(apart)
        new = sliced(made.value, 8 * (made.size - 1 - k if big else k), 8)
    else:
        index = simplified(build.sub(const(made.size - 1, 64), apart)) if big else apart
        shift = simplified(build.shl(simplified(build.resize(index, width)), const(3, width)))
        new = sliced(simplified(build.lshr(made.value, shift)), 0, 8)
    return simplified(build.ite(hit, new, byte))


class Memory:
    """All of it but code. `area_of` names the area of a base, or raises `Undecided`; `slots`: the part of the frame
    that callees may reach, and `reached` those that they have."""

    __slots__ = ("_area_of", "_calls", "areas", "big", "reached", "reads", "slots")

    def __init__(self, big: bool, area_of: Callable[[Term], str], reads: Reads, slots: Slots | None = None) -> None:
        self.big = big
        self._area_of = area_of
        self.reads = reads
        self.slots = slots
        self.reached: frozenset[Range] = frozenset()
        self.areas: dict[str, Area] = {}
        self._calls = 0
        if slots is not None:
            reads.later.update(variables([slots.base]))

    def copy(self) -> Memory:
        made = Memory(self.big, self._area_of, self.reads, self.slots)
        made.areas = {name: area.copy() for name, area in self.areas.items()}
        made.reached, made._calls = self.reached, self._calls
        return made

    def area(self, base: Term, offset: int = 0) -> Area:
        """The area of an address."""
        name = self._area_of(base)
        if name == CODE:
            raise Undecided("an access to code as data")
        if name == FRAME and self.slots is not None and self.is_in_slots(base, offset):
            name = self.name_of_slots
        found = self.areas.get(name)
        if found is None:
            found = self.areas[name] = self._new(name)
        return found

    def _new(self, name: str) -> Area:
        if name != DATA or self.slots is None or not self.reached:
            return Area(self._calls if name == DATA else 0)
        private = tuple(one for one in self.slots.ranges if one not in self.reached)
        return Area(self._calls, self._are_apart, Slots(self.slots.base, private))

    def is_in_slots(self, base: Term, offset: int) -> bool:
        """Whether an address of the frame is one in the slots, as one that is not a number is (`lift_slots`)."""
        return self.slots is not None and (base is not self.slots.base or self.slots.at(offset) is not None)

    @property
    def name_of_slots(self) -> str:
        """The area that slots are in."""
        return DATA if self.reached else SLOTS

    def _are_apart(self, one: Term, other: Term) -> bool:
        """The frame, and what pointers that the function was entered with are of."""
        in_frame = self._area_of(one) == FRAME
        return in_frame != (self._area_of(other) == FRAME) and self.reads.on_entry(other if in_frame else one)

    def called(self, reached: frozenset[Range] = frozenset()) -> None:
        """A callee may have written all of data, and these slots."""
        before = self.areas.get(self.name_of_slots) if reached else None
        self.areas.pop(DATA, None)
        self._calls += 1
        if not reached or self.slots is None:
            return
        self.areas.pop(SLOTS, None)
        self.reached = reached
        private = [one for one in self.slots.ranges if one not in reached]
        if before is not None and private:
            for made in before.kept(self.slots.base, private, self.big):
                self.area(made.base, made.offset).store(made)

    def reach_all(self) -> None:
        """Callees may have all slots."""
        self.reached = frozenset(self.slots.ranges) if self.slots is not None else frozenset()

    def stores(self, reached: frozenset[Range]) -> Iterator[Stored]:
        """What was stored to data and to some slots, since the last call that may have written it."""
        for name in (DATA, SLOTS):
            area = self.areas.get(name)
            for made in area.stores if area is not None else ():
                at = made.offset
                if self._area_of(made.base) != FRAME:
                    yield made
                elif self.slots is None or made.base is not self.slots.base:
                    if reached:
                        yield made
                elif any(low < at + made.size and at < high for low, high in reached):
                    yield made

    def load(self, address: Term, size: int) -> Term:
        """The number of `size` bytes at an address."""
        base, offset = parts(address)
        edge = self._edge(base, offset, size)
        if edge < size:
            pieces = [self.load(located(base, at), end - at) for at, end in _split(offset, edge, size)]
            return put_together(pieces, self.big)
        return self.area(base, offset).load(base, offset, size, self.big, self.reads)

    def store(self, address: Term, value: Term, when: Term = TRUE) -> None:
        """A number of whole bytes is put at an address."""
        base, offset = parts(address)
        size = value.bits // 8
        edge = self._edge(base, offset, size)
        if edge < size:
            for at, end in _split(offset, edge, size):
                low = offset + size - end if self.big else at - offset
                self.store(located(base, at), sliced(value, 8 * low, 8 * (end - at)), when)
            return
        self.area(base, offset).store(Stored(base, offset, size, value, when))

    def _edge(self, base: Term, offset: int, size: int) -> int:
        return size if self.slots is None or base is not self.slots.base else self.slots.edge(offset, size)


def _split(offset: int, edge: int, size: int) -> tuple[Range, Range]:
    return (offset, offset + edge), (offset + edge, offset + size)


FRAME, SLOTS, DATA, CODE = "frame", "stack slots", "data", "code"
"""The function's own stack, that part of it which is the program's, what its caller and the program have, its bytes."""
