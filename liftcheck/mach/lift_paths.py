"""One path through machine code: its state, what it assumes, and what comes of it.

The one idea: a path owns its registers and memory, and is what instructions load from, store to and trap by
(`transfer.Around`); whoever follows it (`Owner`, in `lift`) knows the code and keeps the ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import NamedTuple, Protocol

from liftcheck.bits.build import bnot, bor
from liftcheck.bits.simplify import simplified
from liftcheck.bits.term import Term, value_of
from liftcheck.clif.ir import Signature
from liftcheck.mach.lift_memory import CODE, DATA, FRAME, Memory, Range, Reads, Slots, parts
from liftcheck.mach.lift_slots import within
from liftcheck.mach.rows.machine import Place
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
    slots            the program's stack slots, which callees may reach; None: where they are is not known
    caller           who makes the calls; None: they are undecided
    """

    registers: dict[Place, Term]
    stack: Term
    return_address: Term
    memory: tuple[tuple[Term, Term], ...] = ()
    apart: frozenset[Term] = frozenset()
    caller: Caller | None = None
    slots: Slots | None = None


class Stops(NamedTuple):
    """Where paths are looked at, and where they begin.

    at       offsets of code, or numbers of a program's blocks
    visit    is told of each path that comes to one of these; answers the name by which the path ends there ('reached'),
             or None: it goes on
    start    where paths begin; None: at the function's entry
    assumed  conditions that hold there
    reaches  that callees may have all stack slots where paths begin
    decide   says which way control goes where terms leave it open; None: both ways
    """

    at: frozenset[int]
    visit: Visit
    start: int | None = None
    assumed: tuple[Term, ...] = ()
    reaches: bool = False
    decide: Callable[[Term], bool] | None = None


class Access(NamedTuple):
    """`size` bytes at `address` are accessed where `when` holds, after so many calls; a fault there has the code `trap`
    (None: the compiler's table has none)."""

    address: Term
    size: int
    trap: str | None
    stored: bool
    when: Term
    calls: int


class Called(NamedTuple):
    """A call of what is at `target`: its arguments, memory before it, the variables that are its results, and the stack
    slots that it may reach. What a
    callee does is a function of these and of the calls before, so the results of a path's call number n have the same
    names wherever it is made: who compares two paths shows that their calls are the same, in their order."""

    target: Term
    signature: Signature
    arguments: tuple[Term, ...]
    memory: Memory
    results: tuple[Term, ...]
    reached: frozenset[Range] = frozenset()


class End(NamedTuple):
    """What came of one path.

    kind        'returned', 'trapped', 'reached' (a stop), 'undecided'; of programs 'open' as well: whatever happens is
                right
    conditions  all hold on this path, and on no other
    detail      the trap code, the stop's name, or the reason; '' also of a trap that no table has
    state       registers at the end
    accesses    those that are not the frame's, in order
    calls       those that were made, in order
    results     of a program's return: its values; of machine code they are in its state
    in_slots    that accesses in the frame at addresses that are no numbers are in stack slots: assumed of programs, of
                code it is to be shown
    """

    kind: str
    conditions: tuple[Term, ...]
    detail: str
    state: State
    memory: Memory
    accesses: tuple[Access, ...] = ()
    calls: tuple[Called, ...] = ()
    results: tuple[Term, ...] = ()
    in_slots: tuple[Term, ...] = ()

    def value(self, place: Place) -> Term:
        """What a place holds at the end."""
        return value(self.state, place)


class Lifted(NamedTuple):
    """A function as terms: its ends, the initial memory that they read, instructions met, variables of what manuals
    leave open, whether memory is big-endian."""

    ends: tuple[End, ...]
    reads: Reads
    steps: int
    undefined: frozenset[Term]
    big: bool = False


class Owner(Protocol):
    """Who follows paths."""

    @property
    def names(self) -> Mapping[Term, str]:
        """The names of symbols."""
        ...

    def load_code(self, address: Term, size: int, holds: Set[Term]) -> Term:
        """What the function's bytes hold, where some conditions do."""
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

    def decide(self, condition: Term) -> bool | None:
        """Which way control goes where terms leave it open; None: both ways."""
        ...


class Path:
    """One path so far: what `transfer.Around` asks of it."""

    __slots__ = (
        "accesses", "at", "calls", "conditions", "context", "holds", "in_slots", "memory", "owner", "state", "turns",
    )  # fmt: skip

    def __init__(self, owner: Owner, state: State, memory: Memory) -> None:
        self.owner = owner
        self.state = state
        self.memory = memory
        self.at = 0
        self.context: object = None
        self.conditions: list[Term] = []
        self.holds: set[Term] = set()
        self.turns: dict[int, int] = {}
        self.accesses: list[Access] = []
        self.calls: list[Called] = []
        self.in_slots: list[Term] = []

    def copy(self) -> Path:
        made = Path(self.owner, self.state.copy(), self.memory.copy())
        made.at, made.context = self.at, self.context
        made.conditions, made.holds = self.conditions.copy(), self.holds.copy()
        made.turns, made.accesses, made.calls = self.turns.copy(), self.accesses.copy(), self.calls.copy()
        made.in_slots = self.in_slots.copy()
        return made

    def assume(self, condition: Term) -> None:
        """From here on this holds."""
        self.conditions.append(condition)
        waiting = [condition]
        while waiting:
            one = waiting.pop()
            self.holds.add(one)
            waiting += one.args if one.prim == "and" else ()

    def end(self, kind: str, detail: str = "", results: tuple[Term, ...] = ()) -> None:
        more = tuple(self.accesses), tuple(self.calls), results, tuple(self.in_slots)
        self.owner.finish(End(kind, tuple(self.conditions), detail, self.state, self.memory, *more))

    def decided(self, condition: Term) -> bool | None:
        """Whether a condition holds; None: it may."""
        if condition.prim == "const":
            return bool(value_of(condition))
        if condition in self.holds:
            return True
        return False if simplified(bnot(condition)) in self.holds else self.owner.decide(condition)

    # -- what instructions ask for

    def load(self, address: Term, size: int, when: Term) -> Term:
        area = self._note(address, size, False, when)
        if area == CODE:
            return self.owner.load_code(address, size, self.holds)
        return self.memory.load(address, size)

    def store(self, address: Term, value: Term, when: Term) -> None:
        self._note(address, value.bits // 8, True, when)
        self.memory.store(address, value, when)

    def _note(self, address: Term, size: int, stored: bool, when: Term) -> str:
        """The area of an access, which is remembered where it may fault."""
        base, slots = parts(address)[0], self.memory.slots
        area = self.owner.area_of(base)
        if area == DATA:
            trap = self.owner.trap_at(self.at)
            self.accesses.append(Access(address, size, trap, stored, when, len(self.calls)))
        elif area == FRAME and slots is not None and base is not slots.base:
            inside = within(slots, address, size)
            self.in_slots.append(simplified(bor(simplified(bnot(when)), inside)))
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


Caller = Callable[[Path, Term, bool], None]
"""Makes a call of what is at an address: the path is in the state that the call instruction has left, or, of a tail
call, in the one that its jump has; afterwards it is as the callee returns. `Undecided` if it cannot be said."""
Visit = Callable[[Path], "str | None"]
"""See `Stops`."""
