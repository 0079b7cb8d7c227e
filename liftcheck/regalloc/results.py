"""How a call's results are taken from the stack: what readers of operands (`Isa.operands`) share.

The one idea: a compiler takes the results that no register holds in the order of their definitions, each into its
register, or word by word through a temporary into its spill slot; it takes the stack pointer down again first where the
callee moved it, and may jump afterwards. Which result lies where, the signature says (`mach.arguments`).
Here it is looked at that they are taken upwards, as they lie in their order; where a convention lays them the other way
round (`isa.abi.Passing.packs_results`), downwards, and where either may be called, in one of the two orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from liftcheck.isa.abi import abi_named
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import JUMP, WIDTHS, Insn
from liftcheck.mach.regs import SLOT, VECTOR
from liftcheck.mach.state import State
from liftcheck.regalloc.allocation import DEF, FIXED, Operand
from liftcheck.regalloc.named import SLOT_BYTES, Named

WORD: Final = SLOT_BYTES


class Access(NamedTuple):
    """A load or a store at a distance from the stack pointer, and the register of its value."""

    distance: int
    size: int
    stores: bool
    place: int


def retrieved(isa: str, machines: Sequence[Insn], named: Named) -> bool:
    """Whether what stands after a call does that."""
    rest = _accesses(isa, machines) if machines else []
    if rest is None:
        return False
    lowered = _lowered(isa)
    taken, starts, upwards = [-1], list[int](), not lowered
    for operand, place in zip(named.operands, named.given):
        if operand.kind != DEF or operand.constraint == FIXED:
            continue
        words = _words(isa, operand, place, named)
        count = _taken(rest, place, words, taken, upwards, named)
        if not count:
            return False
        starts.append(rest[0].distance)
        del rest[:count]
    return not rest and (upwards or _in_order(starts, lowered, named.spoken))


def _in_order(starts: Sequence[int], lowered: frozenset[str], spoken: frozenset[str]) -> bool:
    """Whether results lie as one of the conventions that the function may call has them; it may be any if none is
    known. `lowered`: those that lay them downwards."""
    up, down = sorted(starts), sorted(starts, reverse=True)
    may_rise, may_fall = not spoken or not spoken <= lowered, not spoken or not spoken.isdisjoint(lowered)
    return (may_rise and starts == up) or (may_fall and starts == down)


def _accesses(isa: str, machines: Sequence[Insn]) -> list[Access] | None:
    """All of them; None if there is anything else but the arithmetic of their addresses."""
    state, pointer = State(isa), isa_named(isa).stack_pointer
    found: list[Access] = []
    lowered = False
    for at, machine in enumerate(machines):
        effect = machine.effect
        if machine.flow == JUMP and at == len(machines) - 1:
            continue
        if pointer in machine.writes and not found and not lowered:
            lowered = True
            continue
        if effect is None or machine.flow == JUMP or pointer in machine.writes:
            return None
        if not machine.accesses:
            state.run(effect)
            continue
        access = _access(state, machine)
        if access is None:
            return None
        found.append(access)
    return found


def _access(state: State, machine: Insn) -> Access | None:
    """The one that a machine instruction makes."""
    effect, access = machine.effect, machine.accesses[0]
    if effect is None or len(machine.accesses) != 1 or len(effect.loads) + len(effect.stores) != 1:
        return None
    distance = state.distance((effect.stores or effect.loads)[0].address)
    values = machine.reads - {access.base, access.scaled} if effect.stores else machine.writes
    places = [place for place in values if place >= 0]
    if distance is None or len(places) != 1:
        return None
    return Access(distance, access.size, bool(effect.stores), places[0])


@cache
def _lowered(isa: str) -> frozenset[str]:
    """The conventions that lay results downwards."""
    return frozenset(name for name, passing in abi_named(isa).passing.items() if passing.packs_results)


def _words(isa: str, operand: Operand, place: int, named: Named) -> int:
    """How many words of a spill slot a result fills at most: a vector up to the next one's slot."""
    if operand.cls != VECTOR:
        return WIDTHS[isa][operand.cls] // (8 * WORD)
    return min([other - place for other in named.given if other > place], default=_WIDEST)


_WIDEST: Final = 64
"""Words of the widest vector."""


def _taken(rest: Sequence[Access], place: int, words: int, taken: list[int], upwards: bool, named: Named) -> int:
    """By how many accesses a result is loaded into its register or, word by word, stored to its spill slot; 0: it is
    not. `taken`: where results before it lay, of which a narrow one is loaded as a word, which runs into the next."""
    if place < SLOT:
        return int(bool(rest) and rest[0].place == place and _loads(rest[0], taken, upwards))
    count = 0
    while len(rest) >= count + 2:
        load, store = rest[count : count + 2]
        if not store.stores or (store.size, store.place) != (WORD, load.place):
            break
        if not named.is_slot(place + count // 2, store.distance):
            break
        if not _loads(load, taken, upwards or bool(count)):
            break
        count += 2
        if count == 2 * words:
            break
    return count


def _loads(access: Access, taken: list[int], upwards: bool) -> bool:
    """Whether it loads what no result before was loaded from."""
    if access.stores or access.distance in taken or (upwards and access.distance < taken[-1]):
        return False
    taken.append(access.distance)
    return True
