"""Both sides of a function run on numbers: what they hold whenever they come to the head of a loop.

The one idea: a loop whose trip count is a number is followed as it is, so code and program are lifted with drawn
numbers for arguments and for what memory holds, and looked at where the program has heads of loops and the code has
targets of jumps back. The same numbers in the same order show which target is which head, and where values are kept
there. It proves nothing: what comes of it are guesses (`relations`), which are proven or dropped (`loops`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Final, NamedTuple

from liftcheck.bits.simplify import replaced
from liftcheck.bits.term import Term, const, packed_const, value_of
from liftcheck.bits.values import Values
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.cfg import Cfg
from liftcheck.clif.ir import Function
from liftcheck.mach.insn import BRANCH, JUMP, decode
from liftcheck.mach.lift import lift, table_of, untouched
from liftcheck.mach.lift_memory import FRAME, WORD, Memory, Reads, located
from liftcheck.mach.lift_paths import Limits, Path, Stops
from liftcheck.mach.rows.machine import Place
from liftcheck.mach.rows.table import variables
from liftcheck.mach.transfer import value
from liftcheck.oracles.lifting.program import lift_program
from liftcheck.oracles.lifting.signature import ALIGNED, RETURN, STACK, Boundary, arguments

RUNS: Final = 12
_VISITS: Final = 40
_LIMITS: Final = Limits(4, 3000)

Stored = tuple[int, int]
"""A place in the frame: where it is above the stack pointer at the call, and its bytes."""


class Visit(NamedTuple):
    """What is held where a head of a loop is reached: numbers of registers, of places in the frame; or of values."""

    head: int
    registers: Mapping[Place, int]
    frame: Mapping[Stored, int]
    values: Mapping[int, int]


Pair = tuple[Visit, Visit]
"""The code's and the program's."""


def targets_of_jumps_back(isa: str, code: FunctionCode) -> frozenset[int]:
    """Offsets that some jump or branch leads back to."""
    found, at = set(), 0
    for machine in decode(isa, code.code):
        if machine.flow in (BRANCH, JUMP) and machine.target is not None and machine.target <= 0:
            found.add(at + machine.target)
        at += machine.size
    return frozenset(offset for offset in found if offset >= 0)


class Trials:
    """Runs of one function. `order`: what is visited, of each run, by code and by program."""

    def __init__(
        self,
        target: Target,
        function: Function,
        code: FunctionCode,
        entered: Boundary,
        slots: Mapping[int, Term] | None,
    ) -> None:
        self._target, self._function, self._code = target, function, code
        self._entered: Final = entered
        self._slots: Final = slots
        registers = untouched(table_of(target.isa).registers)
        self._untouched: Final = {place: term for place, term in registers.items() if isinstance(place, int)}
        self.heads: Final = Cfg(function).heads
        self.offsets: Final = targets_of_jumps_back(target.isa, code)
        self.order: Final = [self._run(seed) for seed in range(RUNS)]

    def _run(self, seed: int) -> tuple[list[Visit], list[Visit]]:
        numbers = _Numbers(seed)
        given = {v: numbers.argument(v) for v in arguments(self._function.signature)}
        code, program = _Watch(partial(_visited, numbers)), _Watch(partial(_computed, numbers))
        entry = self._entered.entry
        registers = {p: _with(term, given, numbers) for p, term in (self._untouched | entry.registers).items()}
        stored = tuple((address, _with(term, given, numbers)) for address, term in entry.memory)
        made = entry._replace(registers=registers, memory=stored)
        reads = _Numbered(seed)
        lift(self._target.isa, self._code, made, _LIMITS, reads, Stops(self.offsets, code, decide=numbers.holds))
        entry_block = self._function.blocks[0]
        values = {number: given[v] for (number, _), v in zip(entry_block.params, given)}
        stops = Stops(self.heads, program, decide=numbers.holds)
        lift_program(self._target, self._function, self._slots, reads, _LIMITS, stops, values)
        return code.seen, program.seen

    def matched(self) -> dict[int, tuple[int, list[Pair]]]:
        """For heads that were reached: the offset where the code has them, and what both hold there. Heads of which
        that is not known are left out."""
        found: dict[int, int] = {}
        for head in sorted({one.head for _, program in self.order for one in program}):
            for offset in sorted(self.offsets - set(found.values())):
                if all(_agree(code, program, found | {head: offset}) for code, program in self.order):
                    found[head] = offset
                    break
        return {head: (offset, self._pairs(head, offset)) for head, offset in found.items()}

    def _pairs(self, head: int, offset: int) -> list[Pair]:
        found: list[Pair] = []
        for code, program in self.order:
            ours, theirs = ([one for one in side if one.head == at] for side, at in ((code, offset), (program, head)))
            found += zip(ours, theirs)
        return found


def _agree(code: Sequence[Visit], program: Sequence[Visit], found: Mapping[int, int]) -> bool:
    """Whether the heads come in the order of their offsets; what one side did not come to counts for nothing."""
    ours = [one.head for one in code if one.head in found.values()]
    theirs = [found[one.head] for one in program if one.head in found]
    shorter = min(len(ours), len(theirs))
    complete = max(len(code), len(program)) < _VISITS
    return ours[:shorter] == theirs[:shorter] and (not complete or len(ours) == len(theirs))


class _Watch:
    """Keeps what is visited."""

    def __init__(self, look: Callable[[Path], Visit]) -> None:
        self._look: Final = look
        self.seen: Final[list[Visit]] = []

    def __call__(self, path: Path) -> str | None:
        if len(self.seen) >= _VISITS:
            return "enough"
        self.seen.append(self._look(path))
        return None


class _Numbers:
    """Numbers that are drawn for variables."""

    def __init__(self, seed: int) -> None:
        self._seed: Final = seed
        self.of: Final = Values(lambda v: value_of(self.other(v)))

    def holds(self, condition: Term) -> bool:
        """Whether a condition holds for these."""
        return bool(self.of(condition))

    def argument(self, v: Term) -> Term:
        draw = Random(f"{self._seed} {v.params[0]}")
        top = 1 << v.lane - 1
        lanes = [
            draw.choice((draw.getrandbits(v.lane), draw.randrange(1, 12), draw.randrange(12), -draw.randrange(5), top))
            for _ in range(v.lanes)
        ]
        number = 0
        for lane in reversed(lanes):
            number = number << v.lane | lane & (1 << v.lane) - 1
        return packed_const(number, v.lane, v.lanes)

    def other(self, v: Term) -> Term:
        return const(Random(f"{self._seed} {v.params[0]}").getrandbits(v.bits), v.bits)


class _Numbered(Reads):
    """Memory that holds drawn numbers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed: Final = seed

    def word(self, base: Term, at: int, calls: int) -> Term:
        name = value_of(base) if base.prim == "const" else base.params
        draw = Random(f"{self._seed} {name} {at} {calls}")
        return const(draw.choice((draw.getrandbits(64), draw.randrange(8), draw.getrandbits(32))), 8 * WORD)


_KEPT: Final = {STACK, *variables([RETURN])}


def _with(term: Term, given: Mapping[Term, Term], numbers: _Numbers) -> Term:
    """A term with numbers for its variables except the stack's and the return address's."""
    inside = variables([term])
    if not _KEPT.isdisjoint(inside):
        return term
    return replaced(term, {v: given[v] if v in given else numbers.other(v) for v in inside})


def _visited(numbers: _Numbers, path: Path) -> Visit:
    """The code's side."""
    registers = {p: n for p in path.state if (n := numbers.of(value(path.state, p))) is not None}
    frame = {at: n for at in in_frame(path.memory) if (n := numbers.of(loaded(path.memory, at))) is not None}
    return Visit(path.at, registers, frame, {})


def _computed(numbers: _Numbers, path: Path) -> Visit:
    """The program's side."""
    found = {v: n for v, term in path.state.items() if isinstance(v, int) and (n := numbers.of(term)) is not None}
    return Visit(path.at, {}, {}, found)


def in_frame(memory: Memory) -> Iterator[Stored]:
    """Where something was stored in the frame, at distances that are numbers."""
    area = memory.areas.get(FRAME)
    yield from dict.fromkeys((s.offset, s.size) for s in area.stores if s.base is ALIGNED) if area is not None else ()


def loaded(memory: Memory, at: Stored) -> Term:
    """What is there."""
    return memory.load(located(ALIGNED, at[0]), at[1])
