"""Lookups in lanes of every width: out of range is zero."""

from __future__ import annotations

import pytest

from liftcheck.bits import build as b
from liftcheck.bits.concrete import evaluate
from liftcheck.bits.smt import substituted
from liftcheck.bits.term import packed_const


@pytest.mark.parametrize(("lane", "lanes"), [(8, 16), (8, 8), (16, 8), (16, 2), (32, 4), (64, 2)])
def test_each_lane_is_looked_up(lane: int, lanes: int) -> None:
    table = [(0x0123456789ABCDEF * (k + 3)) & (1 << lane) - 1 for k in range(lanes)]
    for first in range(lanes + 3):
        indexes = [(first * (k + 1)) % (lanes + 3) for k in range(lanes)]
        indexes[-1] = (1 << lane) - 1 - first  # far out of range, also where its low bits are in it
        whole = [packed_const(sum(v << lane * k for k, v in enumerate(x)), lane, lanes) for x in (table, indexes)]
        expected = sum((table[i] if i < lanes else 0) << lane * k for k, i in enumerate(indexes))
        term = b.gather(whole[0], whole[1])
        assert evaluate(b.scalar(term)) == expected
        assert substituted(b.scalar(term), {}) == expected
