"""Moves that happen at once, as moves one after the other.

The one idea: what nothing reads any more may be written; when everything that is left is still read, it is a circle,
and one of its values steps aside, into the scratch register or, if the circle goes through the stack, into a spare
slot. Memory is copied to memory through the scratch register.

Source: "Tilting at windmills with Coq" (Rideau, Serpette, Leroy, 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from liftcheck.mach.regs import SLOT

Pair = tuple[int, int]


def in_turn(moves: Sequence[Pair], scratch: int, spare: Callable[[], int]) -> list[Pair]:
    """(source, target) of one class, in an order that means the same. Targets differ. `spare`: a slot of its own."""
    source = {target: place for place, target in moves if place != target}
    readers: dict[int, int] = {}
    for place in source.values():
        readers[place] = readers.get(place, 0) + 1
    done: list[Pair] = []

    def put(place: int, target: int) -> None:
        if place >= SLOT and target >= SLOT:
            done.append((place, scratch))
            place = scratch
        done.append((place, target))

    free = [target for target in source if not readers.get(target)]
    while source:
        while free:
            target = free.pop()
            place = source.pop(target)
            put(place, target)
            readers[place] -= 1
            if not readers[place] and place in source:
                free.append(place)
        if source:
            target = next(iter(source))
            circle, at = [target], source[target]
            while at != target:
                circle.append(at)
                at = source[at]
            aside = spare() if any(one >= SLOT and source[one] >= SLOT for one in circle) else scratch
            put(target, aside)
            source[circle[-1]] = aside
            readers[aside] = readers.pop(target)
            free.append(target)
    return done
