"""Functions with loops: code against program, cut at the heads of loops.

The one idea: at each head of a loop something relates what both sides hold there (`relations`). Each walk, from the
entry or from a head in any state in which its relation holds, goes on to the next head or end. If both sides always
come to the same one, with its relation, and with whatever is claimed of ends, accesses, calls and memory on the way,
then so it is for any number of turns, by induction over the heads that a run comes to.

Relations are guessed of runs on numbers (`trials`) and only then proven: a guess whose claim no proof has is dropped,
until all hold or none is left. What is not proven so is undecided, never refuted: the state that a counterexample
begins in may be one that no run comes to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import replaced, simplified
from liftcheck.bits.term import Term
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.cfg import Cfg
from liftcheck.clif.ir import Function
from liftcheck.mach.lift import lift, table_of, untouched
from liftcheck.mach.lift_memory import Range, Reads, Undecided
from liftcheck.mach.lift_paths import End, Lifted, Limits, Stops
from liftcheck.mach.rows.table import variables
from liftcheck.mach.symbols import START
from liftcheck.nan import CREATES
from liftcheck.oracles.lifting.claims import Claim, Sides, memory
from liftcheck.oracles.lifting.claims_smt import EFFORT, GaveUp, Prover
from liftcheck.oracles.lifting.equal import Comparison, Verdict, aligned, compare, known, provers
from liftcheck.oracles.lifting.frame import entry, slots
from liftcheck.oracles.lifting.nans import seen_bits
from liftcheck.oracles.lifting.program import derivation, lift_program
from liftcheck.oracles.lifting.relations import Carried, Carry, Guess, Relation
from liftcheck.oracles.lifting.signature import Boundary
from liftcheck.oracles.lifting.trials import Trials

LOOP: Final = "a loop"
NOT_FOUND: Final = "a loop: what its head relates is not found"
NOT_PROVEN: Final = "a loop: not proven"
_ROUNDS: Final = 60
_LIMITS: Final = Limits(64, 6000)
_QUICK: Final = 10
"""A guess has so many times less of z3's steps than a claim."""


def prove(
    target: Target, function: Function, code: FunctionCode, effort: int = EFFORT, floats: bool = False
) -> Verdict:
    """The verdict on a function's code, loops included; see `equal.compare`."""
    found = compare(target, function, code, effort, floats)
    if found.kind != "undecided" or found.why != LOOP:
        return found
    try:
        return _Loops(target, function, code, effort, floats).verdict()
    except Undecided as reason:
        return Verdict("undecided", str(reason))


class _Walk(NamedTuple):
    """What comes of both sides from the entry (NONE) or a head."""

    head: int
    code: Lifted
    program: Lifted
    provers: tuple[Prover, Prover]


_ENTRY: Final = -1


class _Loops:
    def __init__(self, target: Target, function: Function, code: FunctionCode, effort: int, floats: bool) -> None:
        self.target, self.function, self.code = target, function, code
        self.effort, self.floats = effort, floats
        self.slots: Final = slots(target, function, code)
        if function.stack_slots and self.slots is None:
            raise Undecided(LOOP)
        self.entered: Final = entry(target, function, self.slots)
        any_nan = any(inst.op in CREATES for block in function.blocks for inst in block.insts)
        known_slots = self.entered.entry.slots
        self.ranges: Final = frozenset(known_slots.ranges) if known_slots is not None else frozenset()
        self.sides: Final = _Sides(Sides(target, self.entered, any_nan, aligned(code)), self.ranges)
        self.relations: Final = self._guessed()
        self._at: Final = {relation.offset: head for head, relation in self.relations.items()}
        self.rigid: Final = self._rigid()
        self.carried: Final = Carried(self.rigid)
        self.reaches: Final = any(inst.op == "stack_addr" for block in function.blocks for inst in block.insts)
        """Whether the program may have handed on the address of a slot before it comes to a head."""
        self.walks: Final[dict[int, _Walk]] = {}
        self.asked = 0

    def _guessed(self) -> dict[int, Relation]:
        trials = Trials(self.target, self.function, self.code, self.entered, self.slots)
        matched = trials.matched()
        if not matched:
            raise Undecided(NOT_FOUND)
        registers, graph = table_of(self.target.isa).registers, Cfg(self.function)
        derive = derivation(self.target, self.function)
        found = {}
        for head, (offset, pairs) in matched.items():
            live = list(_defined(self.function, graph, head))
            made = found[head] = Relation(self.function, head, offset, live, registers, self.ranges, derive)
            made.guess(pairs)
        return found

    def _rigid(self) -> frozenset[Term]:
        """Variables that mean the same in all walks: how the function was entered, and symbols."""
        entry = self.entered.entry
        terms = [*entry.registers.values(), *(t for pair in entry.memory for t in pair), entry.stack]
        terms += [entry.return_address, *untouched(table_of(self.target.isa).registers).values(), START]
        return frozenset(variables(terms))

    # -- walks

    def _walk(self, head: int) -> _Walk:
        relation = self.relations.get(head)
        reads = Reads() if relation is None else Reads(f"memory at block{head} ", False)
        ours = Stops(frozenset(self._at), lambda path: str(self._at[path.at]))
        theirs = Stops(frozenset(self.relations), lambda path: str(path.at))
        here, values = self.entered.entry, None
        if relation is not None:
            values = relation.meant()
            registers, frame = relation.state(values), relation.memory(values)
            here = here._replace(registers=registers, memory=tuple(frame))
            ours = ours._replace(start=relation.offset, assumed=relation.assumed, reaches=self.reaches)
            theirs = theirs._replace(start=head, assumed=relation.assumed, reaches=self.reaches)
            given = [*registers.values(), *values.values(), *(term for _, term in frame)]
            reads.later.update(v for v in variables(given) if v not in self.rigid)
        code = lift(self.target.isa, self.code, here, _LIMITS, reads, ours)
        program = lift_program(self.target, self.function, self.slots, reads, _LIMITS, theirs, values)
        return _Walk(head, code, program, provers(reads, self.target, self.effort, self.floats))

    def _settle(self) -> None:
        """Walks from everywhere until every arrival has its relation as it is now."""
        for _ in range(_ROUNDS):
            changed = False
            for head in [_ENTRY, *self.relations]:
                if head == _ENTRY or self.relations[head].is_reached:
                    walk = self.walks[head] = self._walk(head)
                    for pair in self._arrivals(walk):
                        changed = self._arrive(walk, *pair) or changed
            if not changed:
                return
        raise Undecided(NOT_PROVEN)

    def _arrivals(self, walk: _Walk) -> Iterator[tuple[End, End]]:
        pairs = Comparison(self.sides, walk.code, walk.program, walk.provers, False).pairs()
        for code, program in pairs:
            if code.kind == program.kind == "reached" and code.detail == program.detail:
                yield code, program

    def _arrive(self, walk: _Walk, code: End, program: End) -> bool:
        """Whether a relation changed, since an arrival has not what it claims."""
        head = int(code.detail)
        relation = self.relations[head]
        carry: Carry = self.carried.first if walk.head == _ENTRY else self.carried.later
        conditions = tuple(
            c for c in map(carry, dict.fromkeys((*code.conditions, *program.conditions))) if c is not None
        )
        if not relation.is_reached:
            relation.arrive_first(code, program, carry)
            relation.assumed = conditions if walk.head == _ENTRY else ()
            return True
        changed = False
        kept = tuple(c for c in relation.assumed if c in conditions or walk.head == head)
        if kept != relation.assumed:
            relation.assumed, changed = kept, True
        for v in relation.live:
            if relation.values.get(v) is not None and carry(program.state[v]) is not relation.values[v]:
                relation.values[v], changed = None, True
        premises = self._premises(code, program)
        for guesses, claim in list(relation.claims(code, program)):
            if not self._holds(walk, premises, claim, guesses[0], carry):
                del guesses[0]
                changed = True
        return changed

    def _premises(self, code: End, program: End) -> tuple[Term, ...]:
        return tuple(dict.fromkeys((self.sides.aligned, *code.conditions, *program.conditions)))

    def _holds(self, walk: _Walk, premises: Sequence[Term], claim: Claim, guess: Guess, carry: Carry) -> bool:
        if guess.term is not None:
            return carry(claim.code) is guess.term
        facts = known(premises)
        code, program = replaced(claim.code, facts), replaced(claim.program, facts)
        if code is program:
            return True
        self.asked += 1
        prover = Prover(walk.code.reads, self.target.big_endian, self.effort // _QUICK, self.floats)
        wrong = simplified(build.bnot(simplified(build.eq(code, program))))
        try:
            return next(prover.counterexamples(premises, wrong), None) is None
        except GaveUp:
            return False

    # -- all of it

    def verdict(self) -> Verdict:
        self._settle()
        asked, nans_seen = self.asked, seen_bits(self.function)
        for walk in self.walks.values():
            comparison = Comparison(self.sides, walk.code, walk.program, walk.provers, nans_seen)
            found = comparison.verdict()
            if found.kind == "refuted":
                return Verdict("undecided", NOT_PROVEN)
            if found.kind == "undecided":
                return found
            asked += comparison.asked
        return Verdict("proven" if asked else "equal")


class _Sides(NamedTuple):
    """Claims of ends, and, where a head is reached, of the stack slots."""

    ends: Sides
    slots: frozenset[Range]

    @property
    def aligned(self) -> Term:
        return self.ends.aligned

    @property
    def boundary(self) -> Boundary:
        return self.ends.boundary

    @property
    def unwatched(self) -> frozenset[str]:
        return self.ends.unwatched

    def of(self, code: End, program: End) -> Iterator[Claim]:
        yield from self.ends.of(code, program)
        if code.kind == program.kind == "reached" and code.detail == program.detail:
            yield from memory("a stack slot", code.memory, program.memory, self.slots)


def _defined(function: Function, graph: Cfg, head: int) -> Iterator[int]:
    """Values that are defined wherever a block is reached, its parameters among them."""
    for block in map(graph.blocks.__getitem__, graph.order):
        if graph.dominates(block.number, head):
            yield from (number for number, _ in block.params)
            if block.number != head:
                yield from (result for inst in block.insts for result in inst.results)
