"""Where code keeps a program's values at the head of a loop: guesses, each of which is to be proven.

The one idea: at a head a place of the code (a register, bytes of the frame) holds a value of the program, or what it
held before all loops. What both sides hold at a head on numbers (`trials`) says which; the first arrival says what is
as before. A relation is what a walk begins with at the head (`start`), and what is claimed whenever it comes back
(`claims`); a guess whose claim does not hold is dropped, and the next one for its place is taken.

Terms of before all loops are carried: their variables have names of their own, so nothing that a later walk calls
alike is mistaken for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import normal, replaced, sliced
from liftcheck.bits.term import Term, var
from liftcheck.clif.ir import Function, Inst
from liftcheck.mach.lift_memory import Range, located
from liftcheck.mach.lift_paths import End
from liftcheck.mach.rows.machine import Place, Registers
from liftcheck.mach.rows.table import variables
from liftcheck.oracles.lifting.claims import Claim
from liftcheck.oracles.lifting.signature import ALIGNED
from liftcheck.oracles.lifting.trials import Pair, Stored, in_frame, loaded

WHOLE, ZERO, SIGN, LOW, TOP, TURNED = "whole", "zero", "sign", "low", "top", "turned"
"""How a place holds a narrower value: all of it; with zeros or copies of the sign above it; with anything above it;
with anything below it; a vector with its lanes in the other order."""
_GUESSES: Final = 6
"""So many for a place."""


class Guess(NamedTuple):
    """A place holds bits of a value (from `low` on), or a `term` of before all loops."""

    value: int = 0
    low: int = 0
    bits: int = 0
    how: str = WHOLE
    term: Term | None = None


Carry = Callable[[Term], "Term | None"]
"""A term of a walk as later walks have it; None if they cannot."""


Derive = Callable[[Inst, Mapping[int, Term]], "tuple[Term, ...] | None"]
"""What an instruction computes of values that are known; None where that is not all."""


class Carried:
    """Terms of before all loops. `rigid`: variables that mean the same everywhere."""

    def __init__(self, rigid: frozenset[Term]) -> None:
        self._rigid: Final = rigid
        self._named: Final[dict[Term, Term]] = {}

    def first(self, term: Term) -> Term:
        """A term of the walk from the entry, for later ones."""
        changed = {v: self._renamed(v) for v in variables([term]) if v not in self._rigid}
        return replaced(term, changed) if changed else term

    def later(self, term: Term) -> Term | None:
        """A term of another walk; None if it depends on what that walk began with."""
        return term if all(v in self._rigid or v in self._named.values() for v in variables([term])) else None

    def _renamed(self, v: Term) -> Term:
        found = self._named.get(v)
        if found is None:
            name = f"{v.params[0]} before"
            found = self._named[v] = var(name, v.lane, v.lanes)
        return found


class Relation:
    """What holds at one head. `offset`: where the code has it; `live`: values that are defined there; `slots`: where
    the program's stack slots are, which both sides have; `assumed`: conditions of before all loops."""

    def __init__(
        self,
        function: Function,
        head: int,
        offset: int,
        live: Sequence[int],
        registers: Registers,
        slots: Collection[Range],
        derive: Derive,
    ) -> None:
        self._derive: Final = derive
        self._made: Final = {
            r: (inst, n) for b in function.blocks for inst in b.insts for n, r in enumerate(inst.results)
        }
        self._slots: Final = tuple(slots)
        self.function: Final = function
        self.head: Final = head
        self.offset: Final = offset
        self.live: Final = tuple(live)
        self.registers: Final = registers
        self.values: Final[dict[int, Term | None]] = {}
        """What values of before all loops are; None: a value has a variable of its own."""
        self.places: Final[dict[Place, list[Guess]]] = {}
        self.frame: Final[dict[Stored, list[Guess]]] = {}
        self.assumed: tuple[Term, ...] = ()
        self.is_reached = False

    # -- guesses

    def guess(self, pairs: Sequence[Pair]) -> None:
        """Which values are where, by numbers."""
        numbers = {
            v: [program.values[v] for _, program in pairs] for v in self.live if all(v in p.values for _, p in pairs)
        }
        pieces = sorted(_pieces(self.function, self.live, numbers), key=self._least_first)
        for place in {p for code, _ in pairs for p in code.registers}:
            if all(place in code.registers for code, _ in pairs):
                width = self.registers.width(place)
                found = list(_guesses(self.function, [code.registers[place] for code, _ in pairs], width, pieces))
                self.places[place] = found[:_GUESSES]
        for at in {p for code, _ in pairs for p in code.frame}:
            if self._is_own(at) and all(at in code.frame for code, _ in pairs):
                found = list(_guesses(self.function, [code.frame[at] for code, _ in pairs], 8 * at[1], pieces))
                self.frame[at] = found[:_GUESSES]

    def arrive_first(self, code: End, program: End, carry: Carry) -> None:
        """What is as before all loops, by the first arrival."""
        self.is_reached = True
        for v in self.live:
            self.values[v] = carry(program.state[v]) if v in program.state else None
        for place in code.state:
            self.places[place] = [*_kept(code.value(place), carry), *self.places.get(place, ())]
        for at in filter(self._is_own, in_frame(code.memory)):
            term = carry(loaded(code.memory, at))
            if term is not None:
                self.frame.setdefault(at, []).insert(0, Guess(term=term))

    def _least_first(self, piece: _Piece) -> tuple[bool, bool]:
        """What never changes says least; a head's parameters are likelier than what is older."""
        (block,) = [block for block in self.function.blocks if block.number == self.head]
        return len(set(piece.numbers)) < 2, all(number != piece.value for number, _ in block.params)

    def _is_own(self, at: Stored) -> bool:
        return not any(at[0] < end and first < at[0] + at[1] for first, end in self._slots)

    # -- what a walk begins with

    def meant(self) -> dict[int, Term]:
        """The program's values. What is computed of others that are defined there is so still: between the last time
        that it was computed and now none of them was defined anew, since its definition lies on every way from theirs
        to the head."""
        found: dict[int, Term] = {}
        for v in self.live:
            term = self.values.get(v)
            if term is None and v in self._made:
                inst, number = self._made[v]
                computed = self._derive(inst, found)
                term = None if computed is None else computed[number]
            if term is None:
                ty = self.function.types[v]
                term = var(f"v{v} at block{self.head}", ty.lane_bits, ty.lanes)
            found[v] = term
        return found

    def state(self, meant: Mapping[int, Term]) -> dict[Place, Term]:
        """The code's registers."""
        name, width = self.registers.name, self.registers.width
        return {p: self._held(name(p), width(p), self.places.get(p), meant) for p in self._all_places()}

    def _all_places(self) -> Iterator[Place]:
        for cls, names in enumerate(self.registers.names[: len(self.registers.widths)]):
            yield from (64 * cls + n for n, name in enumerate(names) if name)
        yield from self.registers.others

    def memory(self, meant: Mapping[int, Term]) -> list[tuple[Term, Term]]:
        """The code's frame."""
        return [
            (located(ALIGNED, at[0]), self._held(f"frame{at[0]}", 8 * at[1], guesses, meant))
            for at, guesses in self.frame.items()
            if guesses
        ]

    def _held(self, name: str, width: int, guesses: Sequence[Guess] | None, meant: Mapping[int, Term]) -> Term:
        if not guesses:
            return var(f"{name} at block{self.head}", width)
        guess = guesses[0]
        part = self._part(meant[guess.value], guess) if guess.term is None else guess.term
        room = width - part.lane
        if not room:
            return part
        if guess.how in (ZERO, SIGN):
            return normal((build.zext if guess.how == ZERO else build.sext)(part, width))
        noise = var(f"{name} at block{self.head}", room)
        return normal(build.concat(part, noise) if guess.how == TOP else build.concat(noise, part))

    def _part(self, term: Term, guess: Guess) -> Term:
        whole = normal(build.scalar(term))
        if guess.how == TURNED:
            whole = _turned(whole, self.function.types[guess.value].lane_bits)
        return sliced(whole, guess.low, guess.bits)

    # -- what is claimed whenever the head is reached

    def claims(self, code: End, program: End) -> Iterator[tuple[list[Guess], Claim]]:
        """The guess list that each claim is of, and the claim."""
        for place, guesses in self.places.items():
            if guesses:
                name = f"{self.registers.name(place)} at block{self.head}"
                yield guesses, self._claim(name, code.value(place), guesses[0], program)
        for at, guesses in self.frame.items():
            if guesses:
                name = f"the frame at block{self.head}"
                yield guesses, self._claim(name, loaded(code.memory, at), guesses[0], program)

    def _claim(self, what: str, held: Term, guess: Guess, program: End) -> Claim:
        part = self._part(program.state[guess.value], guess) if guess.term is None else guess.term
        if guess.how in (ZERO, SIGN):
            extend = build.zext if guess.how == ZERO else build.sext
            return Claim(what, held, normal(extend(part, held.lane)))
        low = held.lane - part.lane if guess.how == TOP else 0
        return Claim(what, sliced(held, low, part.lane), part)


def _kept(term: Term, carry: Carry) -> Iterator[Guess]:
    """A place holds what it did before all loops, or half of it: of a vector conventions may keep a half."""
    halves = [(LOW, 0), (TOP, 64)] if term.lane == 128 else []
    for how, low, bits in [(WHOLE, 0, term.lane), *((how, low, 64) for how, low in halves)]:
        kept = carry(sliced(term, low, bits))
        if kept is not None:
            yield Guess(bits=bits, how=how, term=kept)


def _turned(whole: Term, lane: int) -> Term:
    found = sliced(whole, 0, lane)
    for at in range(lane, whole.lane, lane):
        found = normal(build.concat(found, sliced(whole, at, lane)))
    return found


class _Piece(NamedTuple):
    value: int
    low: int
    bits: int
    turned: bool
    numbers: list[int]


def _pieces(function: Function, live: Sequence[int], numbers: Mapping[int, list[int]]) -> Iterator[_Piece]:
    """What places may hold of values: all of one, 64 bits of a wide one, a vector turned round."""
    for v in live:
        if v not in numbers:
            continue
        ty = function.types[v]
        yield _Piece(v, 0, ty.bits, False, numbers[v])
        if ty.bits == 128 and not ty.is_vector:
            for low in (0, 64):
                yield _Piece(v, low, 64, False, [n >> low & (1 << 64) - 1 for n in numbers[v]])
        if ty.is_vector:
            lane, ones = ty.lane_bits, (1 << ty.lane_bits) - 1
            turned = []
            for n in numbers[v]:
                found = 0
                for at in range(0, ty.bits, lane):
                    found = found << lane | n >> at & ones
                turned.append(found)
            yield _Piece(v, 0, ty.bits, True, turned)


def _is_integer(function: Function, value: int) -> bool:
    ty = function.types[value]
    return not ty.is_float and not ty.is_vector


def _guesses(function: Function, held: Sequence[int], width: int, pieces: Sequence[_Piece]) -> Iterator[Guess]:
    """What a place holds that had these numbers."""
    for value, low, bits, turned, numbers in pieces:
        if bits > width:
            continue
        ones, pairs = (1 << bits) - 1, [*zip(held, numbers)]
        if all(a & ones == b for a, b in pairs):
            if turned or bits == width:
                yield Guess(value, low, bits, TURNED if turned else WHOLE)
                continue
            if all(a == b for a, b in pairs):
                yield Guess(value, low, bits, ZERO)
            if all(a == (b - (b >> bits - 1 << bits)) & (1 << width) - 1 for a, b in pairs):
                yield Guess(value, low, bits, SIGN)
            yield Guess(value, low, bits, LOW)
        elif bits < width and not _is_integer(function, value) and all(a >> width - bits == b for a, b in pairs):
            yield Guess(value, low, bits, TOP)
