"""Whether stack arguments and stack results are accessed as their types say: those of calls, and the function's own.

The one idea: where a signature says which bytes of the stack each value has, each access is of one of these values, as
a whole, and no two are of one (`stacked`). Where that is not known, each access is of one value of a signature, or of
half of one: aligned by its size, clear of the others, and there are no more of a size or a smaller one than the
signature has values of such sizes. A call that may have one of several signatures need keep to one. Where a convention
packs arguments, one with an extension is accessed as a whole word all the same, which runs into what lies after it:
what a store runs into is stored after it. What a call's bytes access after it is found by the stack or frame pointer:
results where callees leave them, and places that they are stored to.

Not asked: which register a value is stored from or loaded to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from liftcheck.clif.ir import Signature
from liftcheck.isa.abi import abi_named
from liftcheck.mach.regs import FLOAT, NONE
from liftcheck.oracles.regalloc.code import areas
from liftcheck.oracles.regalloc.code.called import Body
from liftcheck.oracles.regalloc.code.frame_accesses import Rules
from liftcheck.oracles.regalloc.code.framed import framed
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.oracles.regalloc.code.stacked import LOADED, RETURNED, STORED, Table, first_wrong, tables

HANDED: Final = "a value on the stack is not accessed as its type is"
ASTRAY: Final = "bytes after a call access memory by another register"
ELSEWHERE: Final = "a result is loaded from where no callee leaves one"
ALONE: Final = "what is stored after a call is not a result"
PACKED: Final = "winch"
"""The convention whose callees may lay results side by side, whatever their sizes are."""
_WORD: Final = 8
_SIZES: Final = (1, 2, 4, _WORD)


class _Access(NamedTuple):
    low: int
    size: int
    placed: Placed
    instruction: int


def check(rules: Rules, body: Body, top: int) -> Iterator[Problem]:
    """What callees are handed, and give back. `top`: where it ends."""
    area = abi_named(rules.isa).callee_area  # stores into it are for `areas`
    for instruction, stores in rules.handed_over(body, top):
        rows = [_Access(low, size, placed, at) for at, placed, low, size in stores if low >= area]
        yield from _judged(rules.isa, rows, rules.calls.signatures(instruction), True)
    for instruction, own, returning in rules.loading:
        found = [row for row in framed(rules.isa, own, 0, body.frame_pointer) if row[0].offset >= returning]
        loads = [_Access(low, size, placed, instruction) for placed, low, size, written in found if not written]
        by_pointer = {placed.offset for placed, *_ in found}
        yield from (_elsewhere(row, area, top) for row in loads if not area <= row.low < top)
        yield from (
            Problem(ASTRAY, instruction, at, NONE, "the stack pointer", machine.text, (Placed(at, machine),))
            for at, machine in own
            if at >= returning and machine.accesses and at not in by_pointer
        )
        alone = _alone(own, returning, rules.results_in(instruction))
        if alone is not None:
            yield Problem(ALONE, instruction, alone.offset, NONE, "a result that was loaded", "", tuple(own))
        packed = PACKED in rules.calls.conventions(instruction)
        yield from _results(rules.isa, loads, rules.calls.signatures(instruction), packed)


def given(rules: Rules, loads: Sequence[tuple[int, Placed, int, int]], entry: int) -> Iterator[Problem]:
    """`loads` of the function's own arguments: instruction, machine instruction, distance, size; `entry`: where these
    lie, from the stack pointer. A program that reads out of bounds may read them, too."""
    source = rules.calls.source
    if source is not None and source.signature is not None and not areas.free(rules):
        rows = [_Access(low - entry, size, placed, at) for at, placed, low, size in loads]
        yield from _judged(rules.isa, rows, [source.signature], False)


def _elsewhere(row: _Access, area: int, top: int) -> Problem:
    expected, found = f"sp + {area} to sp + {top}", f"sp + {row.low}, {row.size} bytes"
    return Problem(ELSEWHERE, row.instruction, row.placed.offset, NONE, expected, found, (row.placed,))


def _alone(own: Sequence[Placed], returning: int, places: frozenset[int]) -> Placed | None:
    """A store after a call that no load of what it stores comes right before, of all accesses; it stores no less,
    and of a load that left a part of an integer register as it was no more. `places`: the results', nothing is stored
    from them."""
    before: frozenset[int] = frozenset()
    partly, most = before, 0
    for placed in own:
        if placed.offset < returning or not placed.machine.accesses:
            continue
        machine = placed.machine
        stores, size = any(access.written for access in machine.accesses), max(a.size for a in machine.accesses)
        wider = size > most and not partly.isdisjoint(machine.reads)
        if stores and (before.isdisjoint(machine.reads) or wider or size < most):
            return placed
        before = frozenset() if stores else machine.writes - places
        partly, most = frozenset(place for place in machine.kept if place < FLOAT * 64), size
    return None


def _judged(
    isa: str, rows: Iterable[_Access], signatures: Sequence[Signature] | None, stored: bool
) -> Iterator[Problem]:
    """The first access of arguments that is wrong, if it is so by each of the signatures."""
    given = list(rows)
    rows = _whole(given)
    wrong = None
    for signature in signatures or ():
        found = tables(isa, signature, STORED if stored else LOADED)
        if found is None:
            wrong = _misplaced(rows) or (None if _fits(rows, signature, False) else _least(rows))
        else:
            over = [row for row in given if _stored_over(given, row)] if stored else []
            wrong = over[0] if over else _strange(given, found, whole=stored)
        if wrong is None:
            return
    if not signatures:
        wrong = _misplaced(rows) or (_least(rows) if signatures is not None and rows else None)
    if wrong is not None:
        yield _problem(wrong)


def _strange(rows: Sequence[_Access], found: Sequence[Table], *, whole: bool) -> _Access | None:
    """The first access that is none of a value that lies there, whatever the settings are."""
    accesses = [(row.low, row.size) for row in rows]
    wrong = [first_wrong(accesses, table, whole=whole) for table in found]
    known = [number for number in wrong if number is not None]
    return rows[max(known)] if len(known) == len(wrong) else None


def _results(
    isa: str, rows: Sequence[_Access], signatures: Sequence[Signature] | None, packed: bool
) -> Iterator[Problem]:
    """The same of results."""
    found = [tables(isa, signature, RETURNED) for signature in signatures or ()]
    if found and None not in found:
        strange = [_strange(rows, each, whole=True) for each in found if each is not None]
        if strange and None not in strange:
            yield from (_problem(one) for one in strange[:1] if one is not None)
        return
    rows = _whole(rows)
    wrong = None if packed else _misplaced(rows)
    if wrong is None and rows and signatures is not None and not any(_fits(rows, s, True) for s in signatures):
        wrong = _least(rows)
    if wrong is not None:
        yield _problem(wrong)


def _whole(rows: Iterable[_Access]) -> list[_Access]:
    """Those of one value, or half of one, by their places."""
    return sorted(row for row in rows if row.size in (*_SIZES, 2 * _WORD))


def _least(rows: Iterable[_Access]) -> _Access:
    return min(rows, key=lambda row: row.size)


def _problem(wrong: _Access) -> Problem:
    found = f"sp + {wrong.low}, {wrong.size} bytes"
    return Problem(
        HANDED, wrong.instruction, wrong.placed.offset, NONE, "one of the signature's", found, (wrong.placed,)
    )


def _misplaced(rows: Sequence[_Access]) -> _Access | None:
    """The first one that is not aligned, or overlaps the one before it."""
    wrong = next((row for row in rows if row.low % min(row.size, _WORD)), None)
    over = (row for before, row in pairwise(rows) if row.low < before.low + before.size)
    return wrong or next(over, None)


def _stored_over(rows: Iterable[_Access], row: _Access) -> bool:
    """Whether a store runs into what was stored before it."""
    return any(row.low < other.low < row.low + row.size and other.placed.offset < row.placed.offset for other in rows)


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
