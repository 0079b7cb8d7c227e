"""Where every random decision of a generator comes from: one method, `bits`.

The one idea: a generator sees nothing but a stream of small integers, so the same stream gives the same program in any
process, and a recorded stream can be replayed, shrunk by Hypothesis, or edited. Zero is the simplest choice everywhere.
The PRNG's method is `random.Random.getrandbits` itself (Mersenne Twister, the same in every Python since 3.2), bound as
an attribute, so that a draw costs one C call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol


class Choices(Protocol):
    """A source of decisions: `bits(n)` is an unsigned integer of `n` bits, n from 1 to 128."""

    bits: Callable[[int], int]


class RandomChoices:
    """A pseudo-random stream; equal seeds give equal streams everywhere."""

    __slots__ = ("bits",)

    def __init__(self, seed: int) -> None:
        self.bits: Callable[[int], int] = Random(seed).getrandbits


class RecordingChoices:
    """Another stream, written down: `record` can be given to `ReplayedChoices`."""

    __slots__ = ("bits", "record")

    def __init__(self, source: Choices) -> None:
        self.record: list[int] = []
        inner, note = source.bits, self.record.append

        def bits(count: int) -> int:
            value = inner(count)
            note(value)
            return value

        self.bits: Callable[[int], int] = bits


class ReplayedChoices:
    """A recorded stream, possibly edited: too large values are cut, and after its end come zeros."""

    __slots__ = ("bits",)

    def __init__(self, record: Sequence[int]) -> None:
        left = iter(record)

        def bits(count: int) -> int:
            return next(left, 0) & ((1 << count) - 1)

        self.bits: Callable[[int], int] = bits


class DrawnChoices:
    """Hypothesis decides: `draw_integer(low, high)` is `lambda a, b: data.draw(strategies.integers(a, b))`."""

    __slots__ = ("bits",)

    def __init__(self, draw_integer: Callable[[int, int], int]) -> None:
        self.bits: Callable[[int], int] = lambda count: draw_integer(0, (1 << count) - 1)
