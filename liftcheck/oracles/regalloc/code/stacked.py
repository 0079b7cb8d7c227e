"""Whether accesses of what is handed over on the stack are those that a signature has there.

The one idea: where each value lies, and how many bytes of it are accessed, follows from the signature
(`arguments.stacked`), so each access must be one of these, and each value is accessed once. A result that goes to a
spill slot is loaded by words. Which of several signatures a call has is for who asks (`handed`, `areas`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from liftcheck.clif.ir import Signature
from liftcheck.isa.abi import abi_named
from liftcheck.mach.arguments import Lies, stacked

STORED, LOADED, RETURNED = "stored", "loaded", "returned"
"""What is accessed: a callee's arguments, the function's own, a callee's results."""
Table = Mapping[tuple[int, int], frozenset[int]]
"""(distance from the stack pointer at the call, bytes) of an access -> the words that it is of; none of a copy's."""
_WORD: Final = 8
_LEAST: Final = 4


@cache
def tables(isa: str, signature: Signature, what: str) -> Sequence[Table] | None:
    """The accesses that a signature has, by each setting that they may depend on; None if that is not known."""
    found = stacked(isa, signature)
    if found is None:
        return None
    lies = [one.results if what == RETURNED else one.arguments for one in found]
    return [dict(row for one in each for row in _accesses(isa, one, what)) for each in lies]


def _accesses(isa: str, lies: Lies, what: str) -> Iterator[tuple[tuple[int, int], frozenset[int]]]:
    words = frozenset(range(lies.offset, lies.offset + lies.size, _WORD))
    whole = abi_named(isa).whole_words
    if lies.copied:
        yield (lies.offset, lies.size), frozenset()
        return
    if len(words) > 1 and what == RETURNED:
        yield from (((at, _WORD), frozenset({at})) for at in words)
    size = lies.size
    if lies.widened or (whole and lies.integer and what != STORED):
        size = _WORD
    elif whole and not lies.integer:
        size = max(size, _LEAST)
    yield (lies.offset, size), words
    if whole and what == RETURNED and size < _WORD:
        yield (lies.offset, _WORD), words


def first_wrong(rows: Sequence[tuple[int, int]], table: Table, *, whole: bool) -> int | None:
    """The number of the first access that is none of the signature's, or of what was accessed before; of the last one,
    if something is not accessed at all where the `whole` is."""
    seen: set[int] = set()
    for number, row in enumerate(rows):
        words = table.get(row)
        if words is None or not seen.isdisjoint(words):
            return number
        seen |= words
    return len(rows) - 1 if whole and rows and any(not words <= seen for words in table.values()) else None
