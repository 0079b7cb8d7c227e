"""One path through machine code: its state, what it assumes, and what comes of it.

The one idea: a path owns its registers and memory, and is what instructions load from, store to and trap by
(`transfer.Around`); whoever follows it (`Owner`, in `lift`) knows the code and keeps the ends.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from liftcheck.bits.build import bnot
from liftcheck.bits.simplify import simplified
from liftcheck.bits.term import Term, value_of
from liftcheck.mach.lift_memory import CODE, DATA, Memory, Reads, parts
from liftcheck.mach.rows.machine import Place
from liftcheck.mach.symbols import Code
from liftcheck.mach.transfer import State, value


class Limits(NamedTuple):
    """How many ends a function may have, and how many instructions all of its paths together."""

    paths: int = 256
    steps: int = 20_000


class Entry(NamedTuple):
    """The state in which a function is entered.

    registers        what places hold that do not hold a variable of their own
    stack            where the stack pointer points
    return_address   where a return goes
    memory           (address, number) for what lies on the stack
    apart            bases of memory that nothing else is an alias of
    """

    registers: dict[Place, Term]
    stack: Term
    return_address: Term
    memory: tuple[tuple[Term, Term], ...] = ()
    apart: frozenset[Term] = frozenset()


class End(NamedTuple):
    """What came of one path.

    kind        'returned', 'trapped', 'undecided'
    conditions  all hold on this path, and on no other
    detail      the trap code, or the reason; '' also of a trap that no table has
    state       registers at the end
    accesses    (address, size, trap code or None, stored, condition) of each access that is not the frame's, in order
    """

    kind: str
    conditions: tuple[Term, ...]
    detail: str
    state: State
    memory: Memory
    accesses: tuple[tuple[Term, int, str | None, bool, Term], ...] = ()

    def value(self, place: Place) -> Term:
        """What a place holds at the end."""
        return value(self.state, place)


class Lifted(NamedTuple):
    """A function as terms: its ends, the initial memory that they read, instructions met, variables of what manuals
    leave open."""

    ends: tuple[End, ...]
    reads: Reads
    steps: int
    undefined: frozenset[Term]
    code: Code | None = None


class Owner(Protocol):
    """Who follows paths."""

    @property
    def code(self) -> Code:
        """Its bytes and relocations."""
        ...

    def finish(self, end: End) -> None:
        """Keeps what came of a path."""
        ...

    def area_of(self, base: Term) -> str:
        """The area of a base of addresses."""
        ...

    def trap_at(self, at: int) -> str | None:
        """The trap code that the compiler's table has for the instruction at an offset."""
        ...

    def undefined(self, width: int) -> Term:
        """A fresh variable."""
        ...


class Path:
    """One path so far: what `transfer.Around` asks of it."""

    __slots__ = ("accesses", "at", "conditions", "context", "holds", "memory", "owner", "state", "turns")

    def __init__(self, owner: Owner, state: State, memory: Memory) -> None:
        self.owner = owner
        self.state = state
        self.memory = memory
        self.at = 0
        self.context: object = None
        self.conditions: list[Term] = []
        self.holds: set[Term] = set()
        self.turns: dict[int, int] = {}
        self.accesses: list[tuple[Term, int, str | None, bool, Term]] = []

    def copy(self) -> Path:
        made = Path(self.owner, self.state.copy(), self.memory.copy())
        made.at, made.context = self.at, self.context
        made.conditions, made.holds = self.conditions.copy(), self.holds.copy()
        made.turns, made.accesses = self.turns.copy(), self.accesses.copy()
        return made

    def assume(self, condition: Term) -> None:
        """From here on this holds."""
        self.conditions.append(condition)
        waiting = [condition]
        while waiting:
            one = waiting.pop()
            self.holds.add(one)
            waiting += one.args if one.prim == "and" else ()

    def end(self, kind: str, detail: str = "") -> None:
        self.owner.finish(End(kind, tuple(self.conditions), detail, self.state, self.memory, tuple(self.accesses)))

    def decided(self, condition: Term) -> bool | None:
        """Whether a condition holds; None: it may."""
        if condition.prim == "const":
            return bool(value_of(condition))
        if condition in self.holds:
            return True
        return False if simplified(bnot(condition)) in self.holds else None

    # -- what instructions ask for

    def load(self, address: Term, size: int, when: Term) -> Term:
        area = self._note(address, size, False, when)
        if area == CODE:
            return self.owner.code.load(address, size, self.holds)
        return self.memory.load(address, size)

    def store(self, address: Term, value: Term, when: Term) -> None:
        self._note(address, value.bits // 8, True, when)
        self.memory.store(address, value, when)

    def _note(self, address: Term, size: int, stored: bool, when: Term) -> str:
        """The area of an access, which is remembered where it may fault."""
        area = self.owner.area_of(parts(address)[0])
        if area == DATA:
            self.accesses.append((address, size, self.owner.trap_at(self.at), stored, when))
        return area

    def trap(self, when: Term, code: str) -> None:
        holds = self.decided(when)
        if holds is False:
            return
        name = self.owner.trap_at(self.at)
        if holds:
            self.end("trapped", name or "")
            raise Ended
        ending = self.copy()
        ending.assume(when)
        ending.end("trapped", name or "")
        self.assume(simplified(bnot(when)))

    def undefined(self, width: int) -> Term:
        return self.owner.undefined(width)


class Ended(Exception):
    """A path has ended."""
