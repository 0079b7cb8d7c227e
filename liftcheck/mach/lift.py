"""Machine code as terms: a function's bytes along all paths, over the rows of its ISA.

The one idea: a state is registers and flags as terms (`mach.transfer` has each instruction's step) and memory
(`mach.lift_memory`); where control may go either way, the state is copied and each copy has the condition. What comes
of a path is an `End`: it returned, trapped (with the code of the compiler's table), or is undecided, with a reason
that is the same for all code of its kind. The conditions of a function's ends exclude each other, and one holds.

Followed as they are: branches, jumps by their targets' terms; loops whose trip count is a number; constants
that lie in the code; calls, which `Entry.caller` makes. Undecided: loops that depend on inputs, jumps to where a
term says, what has no row or no meaning, more paths or steps than `Limits`. Assumed: docs/lifting.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cache, lru_cache
from typing import Final, NamedTuple

from liftcheck.bits.build import bnot, eq
from liftcheck.bits.simplify import simplified
from liftcheck.bits.term import Term, var
from liftcheck.case import FunctionCode
from liftcheck.isa.base import Isa, isa_named
from liftcheck.mach.lift_areas import Areas
from liftcheck.mach.lift_memory import DATA, Memory, Reads, Undecided, located, parts
from liftcheck.mach.lift_paths import End, Ended, Entry, Lifted, Limits, Path, Stops
from liftcheck.mach.rows.machine import Effects, Place, Registers
from liftcheck.mach.rows.table import Decoded, Table, variables
from liftcheck.mach.symbols import CODE, START, Code
from liftcheck.mach.transfer import Jumps, State, Transfer, transfer
from liftcheck.mach.traps import trap_code

_USUAL: Final = Limits()
UNKNOWN_TARGET: Final = "a jump to where a term says"


class Step(NamedTuple):
    """An instruction, ready to be applied: `after` is the context after it."""

    function: Transfer
    size: int
    after: object


@cache
def table_of(isa: str) -> Table:
    """The rows of an ISA."""
    value = isa_named(isa)
    made: Table = value.part(value.rows)()
    return made


_STEPS: Final[dict[tuple[str, bytes, object], Step]] = {}
_MOST: Final = 100_000
"""Instructions whose steps are remembered; then the memory starts anew."""


class _Lifter:
    def __init__(
        self, isa: str, function: FunctionCode, entry: Entry, limits: Limits, reads: Reads, stops: Stops
    ) -> None:
        self.stops: Final = stops
        self.isa: Final[Isa] = isa_named(isa)
        self.table: Final = table_of(isa)
        self.function: Final = function
        self.code: Final = Code(isa, function)
        self.entry: Final = entry
        self.limits: Final = limits
        self.reads: Final = reads
        self.ends: Final[list[End]] = []
        self.steps = 0
        (self._return,) = _variables(entry.return_address)
        self._longest: Final = self.table.longest
        self._follow: Final = self.isa.part(self.isa.context)
        self._waiting: Final[list[Path]] = []
        frame = frozenset({parts(entry.stack)[0], *_variables(entry.stack)})
        self._areas: Final = Areas(frame, entry.apart, self._is_code)
        self._undefined: Final[list[Term]] = []
        self._own: Final[dict[tuple[int, object], tuple[Step, Term]]] = {}

    def undefined(self, width: int) -> Term:
        made = var(f"undefined{len(self._undefined)}", width)
        self._undefined.append(made)
        return made

    def trap_at(self, at: int) -> str | None:
        if not self.function.traps:
            return None
        return trap_code(self.isa, self.code.data, self.function.traps, at)

    @property
    def names(self) -> Mapping[Term, str]:
        return self.code.names

    def load_code(self, address: Term, size: int, holds: Set[Term]) -> Term:
        return self.code.load(address, size, holds)

    def area_of(self, base: Term) -> str:
        return self._areas.of(base)

    def _is_code(self, base: Term) -> bool:
        return base in (CODE, START) or base in self.code.slots

    def decide(self, condition: Term) -> bool | None:
        return None if self.stops.decide is None else self.stops.decide(condition)

    def finish(self, end: End) -> None:
        if len(self.ends) >= self.limits.paths:
            raise Undecided("more paths than the limit")
        self.ends.append(end)

    def lifted(self) -> Lifted:
        first = Path(self, self._state(), Memory(self.code.big, self.area_of, self.reads, self.entry.slots))
        try:
            if self.stops.reaches:
                first.memory.reach_all()
            for address, number in self.entry.memory:
                first.memory.store(address, number)
            first.at = self.stops.start or 0
            for condition in self.stops.assumed:
                first.assume(condition)
            self._waiting.append(first)
            while self._waiting:
                self._walk(self._waiting.pop())
        except Undecided as reason:
            self.ends[:] = [End("undecided", (), str(reason), first.state, first.memory)]
        return Lifted(tuple(self.ends), self.reads, self.steps, frozenset(self._undefined), self.code.big)

    def _state(self) -> State:
        return untouched(self.table.registers) | self.entry.registers

    def _walk(self, path: Path) -> None:
        """One path to its end; the others of its forks wait."""
        own = self._own
        try:
            while True:
                known = own.get((path.at, path.context))
                step, address = known if known is not None else self._step(path)
                self.steps += 1
                jumps = step.function(path.state, address, path)
                path.context = step.after
                if jumps is None:
                    path.at += step.size
                else:
                    self._go(path, jumps, path.at + step.size)
        except Ended:
            pass
        except Undecided as reason:
            path.end("undecided", str(reason))
        if self.steps > self.limits.steps:
            raise Undecided("more instructions than the limit")

    def _step(self, path: Path) -> tuple[Step, Term]:
        """The instruction at a place, and its address."""
        at, context = path.at, path.context
        is_stop = at in self.stops.at
        if is_stop and (self.steps or self.stops.start is None):
            name = self.stops.visit(path)
            if name is not None:
                path.end("reached", name)
                raise Ended
        if not 0 <= at < len(self.code.data):
            raise Undecided("control leaves the function's code")
        decoded = self.table.decode(self.code.data[at : at + self._longest])
        if decoded is None:
            raise Undecided("an instruction that has no row")
        r = self.code.relocation(at, decoded.size)
        if r is not None:
            address = self.code.address(at, r)
            step = self._made(decoded, context, self.code.low_bits(self._effects(decoded, context), r))
        else:
            address = self.code.address(at, None)
            key = self.isa.name, decoded.data, context
            found = _STEPS.get(key)
            if found is None:
                if len(_STEPS) >= _MOST:
                    _STEPS.clear()
                found = _STEPS[key] = self._made(decoded, context, self._effects(decoded, context))
            step = found
        if not is_stop:
            self._own[at, context] = step, address
        return step, address

    def _effects(self, decoded: Decoded, context: object) -> Effects:
        lifted = self.table.lift(decoded, context)
        if lifted.effects is None:
            raise Undecided(f"{decoded.instruction.name}: {lifted.lacking}")
        return lifted.effects

    def _made(self, decoded: Decoded, context: object, effects: Effects) -> Step:
        after = self._follow(self.table.lift(decoded, context), context) if self._follow else None
        return Step(transfer(effects, self.table.registers), decoded.size, after)

    def _go(self, path: Path, jumps: Jumps, on: int) -> None:
        """Where control goes after an instruction that may jump; `on` is the one after it."""
        for target, when, kind in jumps or ():
            holds = path.decided(when)
            if holds is False:
                continue
            if not holds:
                other = path.copy()
                other.assume(when)
                other.at = on
                if self._arrives(other, target, kind, on):
                    self._waiting.append(other)
                path.assume(simplified(bnot(when)))
                continue
            if not self._arrives(path, target, kind, on):
                raise Ended
            return
        path.at = on

    def _arrives(self, path: Path, target: Term, kind: str, on: int = 0) -> bool:
        """Control is at a jump's target; False: the path ended there, or goes on as several that wait. `on`: where a
        call returns to."""
        base, offset = parts(target)
        try:
            if kind == "call" and base is not CODE:
                self._call(path, target, False)
                path.at = on
                return True
            if target is self.entry.return_address:
                path.end("returned")
                return False
            if base is not CODE:
                return self._fans_out(path, target)
            if offset <= path.at:
                self._turn(path, offset)
            path.at = offset
        except Undecided as reason:
            path.end("undecided", str(reason))
            return False
        return True

    def _fans_out(self, path: Path, target: Term) -> bool:
        """A jump to one of several places: a path for each."""
        inside = variables([target])
        if all(v in self.code.names for v in inside):
            return self._leaves(path, target)
        if self._return in inside:
            return self._returns_if(path, target)
        found = self.code.places(target, path.holds) if START in inside else None
        if found is None:
            return self._leaves(path, target)
        for case in found:
            other = path.copy()
            for condition in case.conditions:
                other.assume(condition)
            if self._arrives(other, located(CODE, case.value), "jump"):
                self._waiting.append(other)
        return False

    def _call(self, path: Path, target: Term, tail: bool) -> None:
        if self.entry.caller is None:
            raise Undecided("a call" if not tail else "a tail call" if target in self.code.names else UNKNOWN_TARGET)
        self.entry.caller(path, target, tail)

    def _leaves(self, path: Path, target: Term) -> bool:
        """A tail call: what the callee returns to is what this function would."""
        self._call(path, target, True)
        path.end("returned")
        return False

    def _returns_if(self, path: Path, target: Term) -> bool:
        """A return to what a store at a computed address in the frame may have changed."""
        same = simplified(eq(target, self.entry.return_address))
        other = path.copy()
        other.assume(simplified(bnot(same)))
        other.end("undecided", "a return to what may have been overwritten")
        path.assume(same)
        path.end("returned")
        return False

    def _turn(self, path: Path, target: int) -> None:
        """A jump back: a loop, if what was asked since the last one was not known."""
        asked = path.turns.get(target)
        if asked is not None and asked != len(path.conditions):
            raise Undecided("a loop")
        path.turns[target] = len(path.conditions)
        if self.steps > self.limits.steps:
            raise Undecided("more instructions than the limit")


@lru_cache(maxsize=1 << 10)
def _variables(term: Term) -> frozenset[Term]:
    return frozenset(variables([term]))


@cache
def untouched(registers: Registers) -> State:
    """Each place with the variable of its own."""
    return {place: registers.variable(place) for place in _places(registers)}


def _places(registers: Registers) -> tuple[Place, ...]:
    numbered = [64 * cls + n for cls, names in enumerate(registers.names) for n, name in enumerate(names) if name]
    return (*(n for n in numbered if n >> 6 < len(registers.widths)), *registers.others)


_NOWHERE: Final = Stops(frozenset(), lambda path: None)


def lift(
    isa: str,
    function: FunctionCode,
    entry: Entry,
    limits: Limits = _USUAL,
    reads: Reads | None = None,
    stops: Stops = _NOWHERE,
) -> Lifted:
    """A function as terms, entered in a state; `reads`: initial memory that it shares with other code."""
    try:
        return _Lifter(isa, function, entry, limits, Reads() if reads is None else reads, stops).lifted()
    except Undecided as reason:
        reads = Reads()
        end = End("undecided", (), str(reason), {}, Memory(False, lambda base: DATA, reads))
        return Lifted((end,), reads, 0, frozenset())
