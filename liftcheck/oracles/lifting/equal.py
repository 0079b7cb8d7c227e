"""Whether a function's code does what its program says, in every state: verdicts.

The one idea: each pair of an end of the code and one of the program has a premise and claims (`claims`). What the
normal form does not show is asked of z3, claim by claim. Where a claim fails, the numbers that z3 has found are put
into both sides, and their outcomes compared by evaluation, floats exactly: a refutation is one only if these differ.

Verdicts: 'equal' (by the normal form alone), 'proven' (by z3), 'refuted' (with numbers), 'undecided' (with a reason).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import FALSE, TRUE, rebuilt, simplified, sliced
from liftcheck.bits.term import Term, const, postorder
from liftcheck.bits.values import Values
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.isa.abi import abi_named
from liftcheck.mach.lift import lift
from liftcheck.mach.lift_memory import Reads, Undecided, located, parts
from liftcheck.mach.lift_paths import End, Lifted
from liftcheck.mach.rows.table import variables
from liftcheck.mach.symbols import START
from liftcheck.nan import CREATES
from liftcheck.oracles.lifting.calls import Calls
from liftcheck.oracles.lifting.claims import Claim, Sides
from liftcheck.oracles.lifting.claims_smt import EFFORT, GaveUp, Model, Prover
from liftcheck.oracles.lifting.nans import seen_bits
from liftcheck.oracles.lifting.program import lift_program
from liftcheck.oracles.lifting.signature import ALIGNED, arguments, boundary

_SAMPLES: Final = 24
"""States that are tried where z3 gives up."""


class Verdict(NamedTuple):
    """What is known of a function; `why`: what differs, or the reason; `inputs`: arguments for which it does."""

    kind: str
    why: str = ""
    inputs: tuple[int, ...] = ()


def compare(
    target: Target, function: Function, code: FunctionCode, effort: int = EFFORT, floats: bool = False
) -> Verdict:
    """The verdict on a function's code; z3 has `effort` steps a claim. `floats`: its theory of floats at once."""
    try:
        entered = boundary(target, function.signature, Calls(target, function))
        reads = Reads()
        lifted = lift(target.isa, code, entered.entry, reads=reads)
        program = lift_program(target, function, slots(target, function, code), reads)
        any_nan = any(inst.op in CREATES for block in function.blocks for inst in block.insts)
        sides = Sides(target, entered, any_nan, aligned(code))
        prover = Prover(reads, target.big_endian, effort, floats)
        return _Comparison(sides, lifted, program, prover, seen_bits(function)).verdict()
    except Undecided as reason:
        return Verdict("undecided", str(reason))


def aligned(code: FunctionCode) -> Term:
    """That the function begins where its compiler wants it."""
    bits = code.alignment.bit_length() - 2
    return simplified(build.eq(sliced(START, 0, bits), const(0, bits))) if bits > 0 else TRUE


def slots(target: Target, function: Function, code: FunctionCode) -> dict[int, Term] | None:
    """Where the code has the stack slots of the program, as the compiler says; None: it does not."""
    frame = code.extra.get("frame")
    if not function.stack_slots or not isinstance(frame, Mapping):
        return None
    pushed = 16 if abi_named(target.isa).frame >= 0 else 0
    bottom = -pushed - int(frame["frame_to_fp_offset"])
    return {number: located(ALIGNED, bottom + frame["slots"][number]) for number in function.stack_slots}


class _Comparison:
    """Goes through the pairs of ends."""

    def __init__(self, sides: Sides, code: Lifted, program: Lifted, prover: Prover, nans_seen: bool) -> None:
        self.sides: Final = sides
        self.code, self.program = code, program
        self.prover: Final = prover
        self.nans_seen: Final = nans_seen
        self.asked = 0

    def verdict(self) -> Verdict:
        undecided = ""
        for code, program in self._pairs():
            found = self._pair(code, program)
            if found.kind == "refuted":
                return found
            undecided = undecided or found.why
        if undecided:
            return Verdict("undecided", undecided)
        return Verdict("proven" if self.asked else "equal")

    def _pairs(self) -> Iterator[tuple[End, End]]:
        """Those whose conditions do not contradict each other at sight."""
        programs = [(end, _holding(end.conditions)) for end in self.program.ends]
        for code in self.code.ends:
            denied = {simplified(build.bnot(c)) for c in _holding(code.conditions)}
            for program, holding in programs:
                impossible = not denied.isdisjoint(holding) or FALSE in holding or FALSE in code.conditions
                if program.kind != "open" and not impossible and not _is_out_of_stack(code, program):
                    yield code, program

    def _pair(self, code: End, program: End) -> Verdict:
        premises = tuple(dict.fromkeys((self.sides.aligned, *code.conditions, *program.conditions)))
        for end in (code, program):
            if end.kind == "undecided":
                return self._unless_impossible(premises, end.detail)
        undecided, known = "", _known(premises)
        for claim in self.sides.of(code, program):
            claim = Claim(claim.what, _under(known, claim.code), _under(known, claim.program))
            if claim.is_plain:
                continue
            found = self._claim(premises, claim)
            if found.kind == "refuted":
                return found
            undecided = undecided or found.why
        return Verdict("undecided", undecided) if undecided else Verdict("equal")

    def _unless_impossible(self, premises: Sequence[Term], reason: str) -> Verdict:
        self.asked += 1
        try:
            if next(self.prover.counterexamples(premises, TRUE), None) is None:
                return Verdict("equal")
        except GaveUp:
            pass
        return Verdict("undecided", reason)

    def _claim(self, premises: Sequence[Term], claim: Claim) -> Verdict:
        self.asked += 1
        try:
            for model in self.prover.counterexamples(premises, build.bnot(build.eq(claim.code, claim.program))):
                found = self._reproduced(model)
                if found:
                    return self._refuted(premises, claim, model, found)
        except GaveUp as reason:
            for seed in range(_SAMPLES):
                drawn = _Drawn(seed)
                found = self._reproduced(drawn)
                if found:
                    return self._refuted(premises, claim, drawn, found)
            return Verdict("undecided", str(reason))
        return Verdict("equal")

    def _refuted(self, premises: Sequence[Term], claim: Claim, model: Model, why: str) -> Verdict:
        if self.nans_seen:
            return Verdict("undecided", "the bits of a NaN are seen")
        if not self.code.undefined.isdisjoint(variables([*premises, claim.code])):
            return Verdict("undecided", "what a manual leaves open")
        given = arguments(self.sides.boundary.signature)
        return Verdict("refuted", why, tuple(model.get(v, 0) for v in given))

    def _reproduced(self, model: Model) -> str:
        """What differs between both sides for some numbers; '' if nothing does."""
        values = _State(model, self.code.reads, self.code.big).values
        if not values(self.sides.aligned):
            return ""
        taken = [
            [end for end in side.ends if all(values(c) for c in end.conditions)] for side in (self.code, self.program)
        ]
        if [len(ends) for ends in taken] != [1, 1]:
            return ""
        (code,), (program,) = taken
        if {"undecided", "open"} & {code.kind, program.kind}:
            return ""
        for claim in self.sides.of(code, program):
            if not claim.is_plain and values(claim.code) != values(claim.program):
                return claim.what
        return ""


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


def _known(premises: Sequence[Term]) -> dict[Term, Term]:
    """Conditions that hold, and that do not, as constants."""
    holding = _holding(premises)
    return {simplified(build.bnot(c)): FALSE for c in holding} | dict.fromkeys(holding, TRUE)


def _under(known: Mapping[Term, Term], root: Term) -> Term:
    """A term where some conditions are known."""
    done: dict[Term, Term] = dict(known)
    for node in postorder((root,)):
        if node not in done:
            done[node] = rebuilt(node, tuple([done[a] for a in node.args])) if node.args else node
    return done[root]


class _Drawn(dict[Term, int]):
    """Numbers that are drawn when they are asked for: bits like chance, small ones, ones near a boundary."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed: Final = seed

    def get(self, v: Term, default: int = 0) -> int:  # type: ignore[override]
        """A variable's number."""
        if v not in self:
            draw = Random(f"{self._seed} {v.params[0]}")
            bits, top = draw.getrandbits(v.bits), 1 << v.bits - 1
            self[v] = draw.choice((bits, bits, bits & 15, -(bits & 3), top - (bits & 3))) & (1 << v.bits) - 1
        return self[v]


class _State:
    """A number for every variable; words of memory that overlap agree."""

    def __init__(self, model: Model, reads: Reads, big: bool) -> None:
        self._model, self._reads, self._big = model, reads, big
        self._bytes: dict[tuple[int, bool, int], int] = {}
        self.values: Final = Values(self._variable)

    def _variable(self, v: Term) -> int:
        number, read = self._model.get(v, 0), self._reads.of.get(v)
        if read is None:
            return number
        at, order = self.values(read.address) or 0, "big" if self._big else "little"
        frame = parts(read.address)[0] is ALIGNED
        content = number.to_bytes(read.size, order)  # type: ignore[arg-type]
        found = [
            self._bytes.setdefault((read.calls, frame, at + k & (1 << 64) - 1), byte) for k, byte in enumerate(content)
        ]
        return int.from_bytes(bytes(found), order)  # type: ignore[arg-type]
