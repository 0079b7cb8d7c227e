"""Counterexamples: numbers for which a function's code and its program, evaluated, differ, and how they become a run.

The one idea: a model of z3's is only where to look: both sides are evaluated there, exactly, and what differs is an
example. To be run it must be a state that a run can be put into: whatever the program accesses is to lie in the data
region (`layout`), so that is asked of z3 in addition (`within`), and what the example reads is the region's content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final, NamedTuple
from zlib import crc32

from liftcheck import layout
from liftcheck.bits import build
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.simplify import TRUE, simplified
from liftcheck.bits.term import Term, const
from liftcheck.bits.values import Values
from liftcheck.case import Case
from liftcheck.clif.edit import reachable
from liftcheck.clif.ir import Module
from liftcheck.clif.values import floats
from liftcheck.mach.lift_memory import Reads, parts
from liftcheck.mach.lift_paths import Access
from liftcheck.oracles.base import Trial
from liftcheck.oracles.compare import WIDEST_ACCESS
from liftcheck.oracles.lifting.claims_smt import Model, kind_of
from liftcheck.oracles.lifting.stubs import Made, stubs
from liftcheck.runners.base import NOISE

CALLS: Final = "what its callees give and leave in memory cannot be chosen"
ACCESS: Final = "an access where something is shows in no run"
CALL_SHOWS: Final = "a call, its arguments or memory before it show in no run that does the same with them"
EDGE: Final = "after a trap the ends of the data region are not compared"
UPPER: Final = "the bits above a float or a narrow vector cannot be chosen"
_VECTOR: Final = 128
"""Bits of a vector register."""
REGISTER: Final = "no runner looks at this register"
_MOST: Final = 4
"""Accesses of a program that are looked at one by one."""
MARGIN: Final = WIDEST_ACCESS
"""After a trap the ends of the region are not compared (`oracles.compare`)."""
_REGION: Final = layout.slot_address(0)


class Example(NamedTuple):
    """Numbers for which both sides differ.

    claim    what differs
    inputs   the arguments, unsigned
    code, program  the number of `width` bits that each side has there; None: it has none
    memory   (address, byte) of what either side reads of data, as it is before
    placed   whether all that the program accesses lies in the data region
    unseen   why a run in this state does not show it, '' if it does
    calls    those that come before it shows, as the program makes them
    sees_later  whether data are read as a callee has left them
    """

    claim: str
    inputs: tuple[int, ...]
    code: int | None = None
    program: int | None = None
    width: int = 1
    memory: tuple[tuple[int, int], ...] = ()
    placed: bool = True
    unseen: str = ""
    calls: tuple[Made, ...] = ()
    sees_later: bool = False

    @property
    def lacks(self) -> str:
        """What keeps a run from being just this state, or from showing it; '': nothing."""
        if not self.placed:
            return "its data cannot be put into one data region"
        return CALLS if self.sees_later or stubs(self.calls) is None else self.unseen


class State:
    """A number for every variable; words of memory that overlap agree."""

    def __init__(self, model: Model, reads: Reads, big: bool) -> None:
        self._model, self._reads, self._big = model, reads, big
        self._bytes: dict[tuple[int, bool, int], int] = {}
        self.values: Final = Values(self._variable)

    def _variable(self, v: Term) -> int:
        name, read = str(v.params[0]), self._reads.of.get(v)
        # What callees give is not all the same, or another callee would not show.
        open_bits = Random(name).getrandbits(v.bits) if name.startswith("call") else 0
        number = self._model.get(v, open_bits)
        if read is None:
            return number
        at, order = self.values(read.address) or 0, "big" if self._big else "little"
        _, frame = kind_of(read)
        content = number.to_bytes(read.size, order)  # type: ignore[arg-type]
        found = [
            self._bytes.setdefault((read.calls, frame, at + k & (1 << 64) - 1), byte) for k, byte in enumerate(content)
        ]
        return int.from_bytes(bytes(found), order)  # type: ignore[arg-type]

    @property
    def data(self) -> tuple[tuple[int, int], ...]:
        """(address, byte) of all that was read of data before any call."""
        return tuple(sorted((at, byte) for (calls, frame, at), byte in self._bytes.items() if not calls and not frame))

    @property
    def sees_later(self) -> bool:
        """Whether data were read as they are after a call."""
        return any(calls and not frame for calls, frame, _ in self._bytes)


class Drawn(dict[Term, int]):
    """Numbers that are drawn when they are asked for: bits like chance, small ones, ones near a boundary; of `pointers`
    addresses in the data region."""

    def __init__(self, seed: int, pointers: frozenset[Term] = frozenset()) -> None:
        super().__init__()
        self._seed: Final = seed
        self._pointers: Final = pointers

    def get(self, v: Term, default: int = 0) -> int:  # type: ignore[override]
        """A variable's number."""
        if v not in self:
            draw = Random(f"{self._seed} {v.params[0]}")
            bits, top = draw.getrandbits(v.bits), 1 << v.bits - 1
            number = draw.choice((bits, bits, bits & 15, -(bits & 3), top - (bits & 3))) & (1 << v.bits) - 1
            self[v] = _REGION + MARGIN + (bits & 0x7F8) if v in self._pointers else number
        return self[v]


class Telling(Drawn):
    """The same, of floats those worth trying: with each next number each variable has the next one of its width."""

    def get(self, v: Term, default: int = 0) -> int:  # type: ignore[override]
        """A variable's number."""
        if v not in self and v not in self._pointers and v.bits in FORMATS:
            found = floats(v.bits)
            self[v] = found[(self._seed + crc32(str(v.params[0]).encode())) % len(found)]
        return super().get(v)


def within(access: Access, margin: int = 0) -> Term:
    """That an access lies in the data region, where it is made, so far from its ends."""
    room = const(layout.SLOT_SIZE - 2 * margin - access.size, 64)
    apart = simplified(build.sub(access.address, const(_REGION + margin, 64)))
    return simplified(build.bor(simplified(build.bnot(access.when)), simplified(build.ule(apart, room))))


def some_outside(accesses: Iterable[Access]) -> Term:
    """That one of some accesses is made, and does not lie in the data region."""
    found = TRUE
    for one in accesses:
        found = simplified(build.band(found, within(one)))
    return simplified(build.bnot(found))


def placements(code: Sequence[Access], program: Sequence[Access], is_of_access: bool) -> Iterator[tuple[Term, ...]]:
    """Conditions under which a run may show a claim that does not hold, the best first: that what the program accesses
    lies in the data region; of a claim about an access, before that, that the code leaves it, or that an access of the
    program is the first to leave it."""
    inside = tuple(within(one) for one in program)
    if is_of_access:
        yield (*inside, some_outside(code))
        for number, one in enumerate(program[:_MOST]):
            yield (*inside[:number], some_outside((one,)))
    if code or program:
        yield tuple(within(one, MARGIN) for one in (*program, *code))
        yield inside


def pointers(accesses: Sequence[Access]) -> frozenset[Term]:
    """The variables that addresses begin with."""
    return frozenset(base for one in accesses if (base := parts(one.address)[0]).prim == "var" and base.bits == 64)


def trials(examples: Sequence[Example], of: Case, entry: int) -> tuple[Trial, ...]:
    """Examples of the function `entry` of a case's module as cases with its name and tags: with callees that give what
    the examples say, and with its own."""
    return tuple(trial for one in examples for trial in _trials(one, of, entry))


def _trials(example: Example, of: Case, entry: int) -> Iterator[Trial]:
    params = of.module.functions[entry].signature.params
    narrow = any(one.type.bits < _VECTOR and (one.type.is_vector or one.type.is_float) for one in params)
    lacks = example.lacks or (UPPER if narrow else "")
    made = stubs(example.calls) if example.calls else None
    if made is not None:
        module = Module([of.module.functions[entry], *made])
        yield Trial(case_of(example, replace(of, module=module), 0), lacks)
    yield Trial(case_of(example, of, entry), CALLS if example.calls else lacks)


def case_of(example: Example, of: Case, entry: int) -> Case:
    """An example as a case: of the function `entry` and all that it can reach. It is run once for each way of filling
    the bits above narrow arguments, with a data region of its own, to which its pointers are moved."""
    numbers = reachable(of.module, entry)
    reached = Module([of.module.functions[number] for number in numbers])
    runs = range(len(NOISE))
    inputs = tuple(tuple(_moved(number, run) for number in example.inputs) for run in runs)
    has_data = example.memory or any(_is_near(number) for number in example.inputs)
    memories = (_region(example),) * len(runs) if has_data else ()
    return Case(reached, numbers.index(entry), inputs, memories, 0, of.name, of.tags)


def _region(example: Example) -> bytes:
    region = bytearray(layout.SLOT_SIZE)
    for at, byte in example.memory:
        if 0 <= at - _REGION < len(region):
            region[at - _REGION] = byte
    return bytes(region)


def _is_near(number: int) -> bool:
    return -layout.SLOT_SIZE <= number - _REGION < 2 * layout.SLOT_SIZE


def _moved(number: int, run: int) -> int:
    """An argument of a run; a pointer into the data region points into the run's own."""
    return number + run * layout.SLOT_STRIDE if _is_near(number) else number
