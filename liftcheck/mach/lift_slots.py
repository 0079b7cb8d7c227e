"""Stack slots of a program in the frame of its code: which ones a callee may reach, and what is in them.

The one idea: a slot is reached by a callee that is given an address in it: as an argument, by what was stored to data,
or by what was stored to a slot that is reached. It stays so, since callees may keep addresses. An address at a number's
distance is that of one slot; of one that is computed nobody knows which, so it reaches them all, and so does a store at
a computed address in the frame or under a condition, since it may have changed any of them.

Assumed: a callee stays in the slots that it was given addresses of; an address in the frame that is not a number is one
in a slot (of a program since its accesses stay in their slots, of code it is shown: `within`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from liftcheck.bits import build
from liftcheck.bits.simplify import FALSE, TRUE, simplified
from liftcheck.bits.term import Term, const
from liftcheck.mach.lift_memory import Memory, Range, Slots, located, parts
from liftcheck.mach.rows.table import variables


def reachable(memory: Memory, arguments: Iterable[Term]) -> frozenset[Range]:
    """The slots that a callee may reach, which is given some arguments."""
    slots = memory.slots
    assert slots is not None
    found = memory.reached | _named(slots, arguments)
    area = memory.areas.get(memory.name_of_slots)
    inside = [made for made in area.stores if mentions(slots, made.base)] if area is not None else []
    found |= _named(slots, (made.value for made in memory.stores(frozenset())))
    while found:
        if any(made.base is not slots.base or made.when is not TRUE for made in inside):
            return frozenset(slots.ranges)
        more = found | _named(slots, (made.value for made in memory.stores(found)))
        if more == found:
            break
        found = more
    return found


def _named(slots: Slots, terms: Iterable[Term]) -> frozenset[Range]:
    """The slots that addresses among some terms may be of."""
    found: set[Range] = set()
    for term in terms:
        if mentions(slots, term):
            found |= _of_address(slots, term)
    return frozenset(found)


def _of_address(slots: Slots, term: Term) -> frozenset[Range]:
    base, offset = parts(term) if term.bits == 64 == term.lane else (term, 0)
    one = slots.at(offset) or slots.at(offset - 1)  # the end of a slot, too, is an address of it
    return frozenset({one}) if base is slots.base and one is not None else frozenset(slots.ranges)


def mentions(slots: Slots, term: Term) -> bool:
    """Whether a term depends on the frame's address."""
    return not _variables(slots.base).isdisjoint(_variables(term))


def within(slots: Slots, address: Term, size: int) -> Term:
    """Whether an access is inside of one of the slots."""
    found = FALSE
    for first, end in slots.ranges:
        if size <= end - first:
            apart = simplified(build.sub(address, located(slots.base, first)))
            found = simplified(build.bor(found, simplified(build.ule(apart, const(end - first - size, 64)))))
    return found


@lru_cache(maxsize=1 << 14)
def _variables(term: Term) -> frozenset[Term]:
    return frozenset(variables([term]))
