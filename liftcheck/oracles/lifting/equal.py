"""Whether a function's code does what its program says, in every state: verdicts.

The one idea: each pair of an end of the code and one of the program has a premise and claims (`claims`). What the
normal form does not show is asked of z3, claim by claim. Where a claim fails, the numbers that z3 has found are put
into both sides, and their outcomes compared by evaluation, floats exactly: a refutation is one only if these differ.

Verdicts: 'equal' (by the normal form alone), 'proven' (by z3), 'refuted' (with numbers), 'undecided' (with a reason).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Final, NamedTuple, Protocol

from liftcheck.bits import build
from liftcheck.bits.simplify import FALSE, TRUE, replaced, simplified, sliced
from liftcheck.bits.term import Term, const
from liftcheck.bits.values import Values
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.mach.lift import lift
from liftcheck.mach.lift_memory import Reads, Undecided
from liftcheck.mach.lift_paths import End, Lifted
from liftcheck.mach.rows.table import variables
from liftcheck.mach.symbols import START
from liftcheck.nan import CREATES
from liftcheck.oracles.lifting.calls import name_of
from liftcheck.oracles.lifting.claims import CALL, EXTRA, MISSING, OTHERWISE, OUTSIDE, Claim, Sides
from liftcheck.oracles.lifting.claims_smt import EFFORT, GaveUp, Model, Prover
from liftcheck.oracles.lifting.examples import (
    ACCESS,
    CALL_SHOWS,
    EDGE,
    MARGIN,
    REGISTER,
    Drawn,
    Example,
    State,
    Telling,
    placements,
    pointers,
    within,
)
from liftcheck.oracles.lifting.frame import entry, slots
from liftcheck.oracles.lifting.nans import seen_bits
from liftcheck.oracles.lifting.program import lift_program
from liftcheck.oracles.lifting.signature import STACK, Boundary, arguments
from liftcheck.oracles.lifting.stubs import Made

_GIVEN_UP: Final = 2
"""So many claims of a function z3 may give up with all its steps; then it has only one in `_LESS` of them."""
_LESS: Final = 16
_SAMPLES: Final = 24
"""States that are tried where z3 gives up."""
_FLOATS: Final = 256
"""More of them for a function of floats: as many as there are floats of a width that are worth trying."""


class Verdict(NamedTuple):
    """What is known of a function; `why`: what differs, or the reason; `examples`: numbers for which it does, first
    those that can be run."""

    kind: str
    why: str = ""
    examples: tuple[Example, ...] = ()

    @property
    def inputs(self) -> tuple[int, ...]:
        """Arguments for which both sides differ; () if they do not."""
        return self.examples[0].inputs if self.examples else ()


def compare(
    target: Target, function: Function, code: FunctionCode, effort: int = EFFORT, floats: bool = False
) -> Verdict:
    """The verdict on a function's code; z3 has `effort` steps a claim. `floats`: its theory of floats at once."""
    try:
        reads, places = Reads(), slots(target, function, code)
        entered = entry(target, function, places)
        lifted = lift(target.isa, code, entered.entry, reads=reads)
        program = lift_program(target, function, places, reads)
        any_nan = any(inst.op in CREATES for block in function.blocks for inst in block.insts)
        sides = Sides(target, entered, any_nan, aligned(code))
        asked = provers(reads, target, effort, floats)
        return Comparison(sides, lifted, program, asked, seen_bits(function)).verdict()
    except Undecided as reason:
        return Verdict("undecided", str(reason))


def provers(reads: Reads, target: Target, effort: int, floats: bool) -> tuple[Prover, Prover]:
    """Who is asked at first, and who is asked with less effort."""
    all_of_it, less = (Prover(reads, target.big_endian, steps, floats) for steps in (effort, max(effort // _LESS, 1)))
    return all_of_it, less


def aligned(code: FunctionCode) -> Term:
    """That the function begins where its compiler wants it."""
    bits = code.alignment.bit_length() - 2
    return simplified(build.eq(sliced(START, 0, bits), const(0, bits))) if bits > 0 else TRUE


class Claims(Protocol):
    """Who says what is to be shown of two ends (`claims.Sides`)."""

    @property
    def boundary(self) -> Boundary:
        """How the function is entered."""
        ...

    @property
    def aligned(self) -> Term:
        """What is assumed of the code's address."""
        ...

    @property
    def unwatched(self) -> Collection[str]:
        """Claims that no run shows to be wrong."""
        ...

    def of(self, code: End, program: End) -> Iterator[Claim]:
        """The claims of two ends."""
        ...


class Comparison:
    """Goes through the pairs of ends."""

    def __init__(
        self, sides: Claims, code: Lifted, program: Lifted, provers: Sequence[Prover], nans_seen: bool
    ) -> None:
        self.sides: Final[Claims] = sides
        self.code, self.program = code, program
        self._provers: Final = provers
        self._claims: Final[dict[tuple[int, int], tuple[Claim, ...]]] = {}
        self.gave_up = 0
        self.nans_seen: Final = nans_seen
        self.asked = 0

    @property
    def prover(self) -> Prover:
        """Who is asked: where z3 has given up some claims, the function is undecided unless another one fails, and a
        claim that fails is mostly seen soon."""
        return self._provers[self.gave_up >= _GIVEN_UP]

    def verdict(self) -> Verdict:
        undecided = ""
        for code, program in self.pairs():
            found = self._pair(code, program)
            if found.kind == "refuted":
                return found
            undecided = undecided or found.why
        if undecided:
            return Verdict("undecided", undecided)
        return Verdict("proven" if self.asked else "equal")

    def pairs(self) -> Iterator[tuple[End, End]]:
        """Those whose conditions do not contradict each other at sight."""
        programs = [(end, _holding(end.conditions)) for end in self.program.ends]
        for code in self.code.ends:
            denied = {simplified(build.bnot(c)) for c in _holding(code.conditions)}
            for program, holding in programs:
                impossible = not denied.isdisjoint(holding) or FALSE in holding or FALSE in code.conditions
                if program.kind != "open" and not impossible and not _is_out_of_stack(code, program):
                    yield code, program

    def _pair(self, code: End, program: End) -> Verdict:
        premises = tuple(dict.fromkeys((self.sides.aligned, *code.conditions, *program.conditions, *program.in_slots)))
        for end in (code, program):
            if end.kind == "undecided":
                return self._unless_impossible(premises, end.detail)
        undecided, unseen, facts = "", None, known(premises)
        for claim in self._of(code, program):
            if claim.what == OTHERWISE:
                undecided = undecided or OTHERWISE
                break
            claim = Claim(claim.what, replaced(claim.code, facts), replaced(claim.program, facts))
            if claim.is_plain:
                continue
            found = self._claim(code, program, premises, claim)
            if found.kind == "refuted" and not found.examples[0].lacks:
                return found
            if found.kind == "refuted":
                unseen = unseen or found  # another claim may show in a run
            undecided = undecided or found.why
        return unseen or (Verdict("undecided", undecided) if undecided else Verdict("equal"))

    def _unless_impossible(self, premises: Sequence[Term], reason: str) -> Verdict:
        self.asked += 1
        try:
            if next(self.prover.counterexamples(premises, TRUE), None) is None:
                return Verdict("equal")
        except GaveUp:
            self.gave_up += 1
        return Verdict("undecided", reason)

    def _claim(self, code: End, program: End, premises: Sequence[Term], claim: Claim) -> Verdict:
        self.asked += 1
        try:
            for model in self.prover.counterexamples(premises, _denied(claim)):
                if found := self._reproduced(model):
                    return self._refuted(code, program, premises, claim, found)
        except GaveUp as reason:
            self.gave_up += 1
            if found := self._drawn:
                return self._refuted(code, program, premises, claim, found)
            return Verdict("undecided", str(reason))
        return Verdict("equal")

    @cached_property
    def _drawn(self) -> Example | None:
        """What differs in one of the drawn states."""
        bases = frozenset(base for end in self.program.ends for base in pointers(end.accesses))
        tried = [Drawn(seed, bases) for seed in range(_SAMPLES)]
        if any(param.type.is_float for param in self.sides.boundary.signature.params):
            tried += [Telling(seed, bases) for seed in range(_FLOATS)]
        drawn = (self._reproduced(one) for one in tried)
        return next((found for found in drawn if found is not None), None)

    def _of(self, code: End, program: End) -> Sequence[Claim]:
        """The claims of two ends."""
        key = id(code), id(program)
        if key not in self._claims:
            self._claims[key] = tuple(self.sides.of(code, program))
        return self._claims[key]

    def _refuted(self, code: End, program: End, premises: Sequence[Term], claim: Claim, found: Example) -> Verdict:
        if self.nans_seen:
            return Verdict("undecided", "the bits of a NaN are seen")
        if not self.code.undefined.isdisjoint(variables([*premises, claim.code])):
            return Verdict("undecided", "what a manual leaves open")
        examples = dict.fromkeys([*self._placed(code, program, premises, claim), found])
        return Verdict("refuted", found.claim, tuple(sorted(examples, key=lambda one: not one.placed)))

    def _placed(self, code: End, program: End, premises: Sequence[Term], claim: Claim) -> list[Example]:
        """Examples that can be run."""
        found = []
        for asked in placements(code.accesses, program.accesses, claim.what in (EXTRA, MISSING)):
            with suppress(GaveUp):
                for model in self.prover.counterexamples((*premises, *asked), _denied(claim)):
                    if example := self._reproduced(model):
                        found.append(example)
                        break
        return found

    def _reproduced(self, model: Model) -> Example | None:
        """What differs between both sides for some numbers; None if nothing does."""
        state = State(model, self.code.reads, self.code.big)
        values = state.values
        if not values(self.sides.aligned):
            return None
        taken = [
            [end for end in side.ends if all(values(c) for c in end.conditions)] for side in (self.code, self.program)
        ]
        if [len(ends) for ends in taken] != [1, 1]:
            return None
        (code,), (program,) = taken
        if {"undecided", "open"} & {code.kind, program.kind} or not all(map(values, program.in_slots)):
            return None
        given = tuple(model.get(v, 0) for v in arguments(self.sides.boundary.signature))
        placed = all(values(within(one)) for one in program.accesses)
        first = None
        for claim in self._of(code, program):
            if claim.what == OTHERWISE:
                break
            if not claim.is_plain and values(claim.code) != values(claim.program):
                sides, unseen = (values(claim.code), values(claim.program)), self._unseen(claim, code, program, values)
                calls = tuple(_calls(code, program, values))
                found = Example(
                    claim.what, given, *sides, claim.code.bits, state.data, placed, unseen, calls, state.sees_later
                )
                if not found.unseen:
                    return found
                first = first or found
        return first

    def _unseen(self, claim: Claim, code: End, program: End, values: Values) -> str:
        """Why a run does not show that a claim does not hold."""
        if claim.what == OUTSIDE:
            return ACCESS
        if claim.what in (EXTRA, MISSING):
            return ACCESS if all(values(within(one)) for one in code.accesses) else ""
        if code.kind == "trapped" and not all(values(within(one, MARGIN)) for one in code.accesses):
            return EDGE
        if claim.what.startswith(CALL) or len(code.calls) != len(program.calls):
            return CALL_SHOWS
        return REGISTER if claim.what in self.sides.unwatched else ""


def _calls(code: End, program: End, values: Values) -> Iterator[Made]:
    """The calls of the program, in numbers, and those of callees that the code alone calls."""
    names = {name_of(one.target) for one in program.calls}
    for one in program.calls:
        results = tuple(values(v) or 0 for v in one.results)
        given = tuple(None if _is_placed(a) else values(a) for a in one.arguments)
        yield Made(name_of(one.target), one.signature, given, results)
    for one in code.calls:
        name = name_of(one.target)
        if name and name not in names:
            yield Made(name, one.signature, (), None)


def _is_placed(term: Term) -> bool:
    """Whether it depends on where code, data with names or the stack lie, which is another place in a run."""
    return any(v in (STACK, START) or name_of(v) for v in variables([term]))


def _denied(claim: Claim) -> Term:
    return build.bnot(build.eq(claim.code, claim.program))


def _is_out_of_stack(code: End, program: End) -> bool:
    """Whether code stops since there is not enough stack, of which there is."""
    return code.kind == "trapped" and code.detail == "stk_ovf" != program.detail


def _holding(conditions: Sequence[Term]) -> set[Term]:
    """The conditions, and those that they are conjunctions of."""
    found: set[Term] = set()
    waiting = list(conditions)
    while waiting:
        one = waiting.pop()
        found.add(one)
        waiting += one.args if one.prim == "and" and one.lane == 1 else ()
    return found


def known(premises: Sequence[Term]) -> dict[Term, Term]:
    """Conditions that hold, and that do not, as constants."""
    holding = _holding(premises)
    return {simplified(build.bnot(c)): FALSE for c in holding} | dict.fromkeys(holding, TRUE)
