"""Moves at once, one after the other: every arrangement of a few places means the same."""

from __future__ import annotations

from itertools import count, product

import pytest

from liftcheck.mach.regs import SLOT
from liftcheck.regalloc.moves import in_turn

PLACES = (1, 2, 3, SLOT, SLOT + 1)
SCRATCH = 30


def done(moves: list[tuple[int, int]]) -> dict[int, int]:
    """What each place holds after the moves in turn, by whose content it was."""
    holds = {place: place for place in (*PLACES, SCRATCH)}
    fresh = count(SLOT + 100)
    for source, target in in_turn(moves, SCRATCH, lambda: next(fresh)):
        assert source < SLOT or target < SLOT, "memory is not copied to memory"
        holds[target] = holds[source]
    return holds


@pytest.mark.parametrize("sources", list(product(PLACES, repeat=3)))
def test_three_targets_with_any_sources(sources: tuple[int, ...]) -> None:
    for targets in ((1, 2, 3), (1, SLOT, SLOT + 1), (3, 1, SLOT)):
        moves = list(zip(sources, targets))
        found = done(moves)
        assert [found[target] for target in targets] == [*sources]
        untouched = set(PLACES) - set(targets)
        assert all(found[place] == place for place in untouched)


@pytest.mark.parametrize("places", [(1, 2), (1, 2, 3), (1, SLOT), (SLOT, SLOT + 1), (1, SLOT, SLOT + 1, 2)])
def test_circles(places: tuple[int, ...]) -> None:
    moves = list(zip(places, (*places[1:], places[0])))
    found = done(moves)
    assert all(found[target] == source for source, target in moves)
