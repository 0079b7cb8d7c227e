"""Whether what is handed over on the stack is accessed as its types are: arguments of calls and their results, and the
function's own arguments.

The one idea: each of these accesses is of one value of a signature, or of half of one. So it is aligned by its size
(not so packed results), overlaps no other one, and there are no more of a size or a smaller one than the signature has
values of such sizes. A call that may have one of several signatures need keep to one.

Not asked: which value lies where, and which of them lie on the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.clif.ir import Signature
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.accesses import Body
from liftcheck.oracles.regalloc.code.frame_accesses import Rules
from liftcheck.oracles.regalloc.code.framed import framed
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.problem import Problem

HANDED: Final = "a value on the stack is not accessed as its type is"
ALONE: Final = "what is stored after a call is no result"
PACKED: Final = "winch"
"""The convention whose callees may lay results side by side, whatever their sizes are."""
_WORD: Final = 8
_SIZES: Final = (1, 2, 4, _WORD)


class _Access(NamedTuple):
    low: int
    size: int
    placed: Placed
    instruction: int


def check(rules: Rules, body: Body, top: int, given: Sequence[tuple[int, Placed, int, int]]) -> Iterator[Problem]:
    """`top`: where what callees are handed ends; `given`: loads of the function's own arguments (instruction, machine
    instruction, distance, size)."""
    source = rules.calls.source
    for instruction, stores in rules.handed_over(body, top):
        rows = [_Access(low, size, placed, at) for at, placed, low, size in stores]
        yield from _judged(rows, rules.calls.signatures(instruction), False, False)
    for instruction, own, returning in rules.loading:
        loads = [
            _Access(low, size, placed, instruction)
            for placed, low, size, written in framed(rules.isa, own, 0, body.frame_pointer)
            if not written and placed.offset >= returning and low < top
        ]
        alone = _alone(own, returning, rules.results_in(instruction))
        if alone is not None:
            yield Problem(ALONE, instruction, alone.offset, NONE, "a result that was loaded", "", tuple(own))
        packed = PACKED in rules.calls.conventions(instruction)
        yield from _judged(loads, rules.calls.signatures(instruction), True, packed)
    if source is not None and source.signature is not None and not source.pointing:
        rows = [_Access(low, size, placed, at) for at, placed, low, size in given]
        yield from _judged(rows, [source.signature], False, False)


def _alone(own: Sequence[Placed], returning: int, places: frozenset[int]) -> Placed | None:
    """A store after a call that no load of what it stores comes right before, of all accesses. `places`: the results',
    which nothing is stored from."""
    before: frozenset[int] = frozenset()
    for placed in own:
        if placed.offset < returning or not placed.machine.accesses:
            continue
        stores = any(access.written for access in placed.machine.accesses)
        if stores and before.isdisjoint(placed.machine.reads):
            return placed
        before = frozenset() if stores else placed.machine.writes - places
    return None


def _judged(
    rows: list[_Access], signatures: Sequence[Signature] | None, results: bool, packed: bool
) -> Iterator[Problem]:
    """The first access that is wrong."""
    rows = sorted(row for row in rows if row.size in (*_SIZES, 2 * _WORD))
    wrong = next((row for row in rows if not packed and row.low % min(row.size, _WORD)), None)
    end = rows[0].low if rows else 0
    for row in rows if wrong is None and not packed else ():
        if row.low < end:
            wrong = row
            break
        end = row.low + row.size
    if wrong is None and rows and signatures is not None and not any(_fits(rows, s, results) for s in signatures):
        wrong = min(rows, key=lambda row: row.size)
    if wrong is not None:
        found = f"sp + {wrong.low}, {wrong.size} bytes"
        where = wrong.placed.offset
        yield Problem(HANDED, wrong.instruction, where, NONE, "one of the signature's", found, (wrong.placed,))


def _fits(rows: Iterable[_Access], signature: Signature, results: bool) -> bool:
    values = signature.returns if results else signature.params
    if any(value.purpose.startswith("sarg(") for value in values):
        return True
    sizes = [value.type.bytes for value in values]
    for size in _SIZES:
        room = sum(1 for one in sizes if one <= size)
        if size == _WORD:
            room += 1 + 2 * sum(1 for one in sizes if one > size)  # with the address of an area for results
        if sum(1 for row in rows if row.size <= size) > room:
            return False
    return True
