"""Cuts out of a program what CLIF leaves open, so that its reduction can begin: bits of NaNs and addresses that show.

The one idea: what shows (`visible.exposed`) is replaced where it is made, by the fixed value that a NaN is replaced by,
by the value that it had, or by zero: all at once if the fault survives that, else one by one, or what it was made of,
as long as less shows after than before, until nothing does (`closed`). If something always must show, the fault may be
none, and nothing is reduced.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

from liftcheck.campaign.reduce.edit import with_function
from liftcheck.campaign.reduce.engine import Meter, Question
from liftcheck.campaign.reduce.proposals import as_constant, cut
from liftcheck.campaign.reduce.several import Probe
from liftcheck.campaign.reduce.visible import carriers, exposed
from liftcheck.case import Case
from liftcheck.clif.edit import constant, copy_function, fresh, map_values
from liftcheck.clif.ir import Function, Inst
from liftcheck.clif.types import I8, Type
from liftcheck.clif.verify import verify

Spot = tuple[int, int]
"""A function's number and a value of it."""


def untainted(
    case: Case, objection: Question, closed: Callable[[Case], bool], probe: Probe, meter: Meter, share: float
) -> Generator[None, None, Case | None]:
    """The case with nothing left that CLIF leaves open, in steps; None if the fault does not survive that."""
    while not closed(case):
        spots = exposed(case.module, case.entry)
        for candidate in _candidates(case, spots, probe):
            if meter.over(share):
                return None
            less = not verify(candidate.module) and (
                len(exposed(candidate.module, candidate.entry)) < len(spots) or closed(candidate)
            )
            meter.charge(less)
            if less and not objection(candidate):
                case = candidate
                break
            yield from meter.pause()
        else:
            return None
    return case


def _candidates(case: Case, spots: Sequence[Spot], probe: Probe) -> Iterator[Case]:
    """All spots at once in each way, then one by one, then what leads to them."""
    groups = [spots, *([spot] for spot in spots)] if len(spots) > 1 else [spots]
    groups += [[spot] for spot in carriers(case.module, case.entry) if spot not in spots]
    for group in groups:
        for way in _WAYS:
            candidate: Case | None = case
            for spot in group:
                candidate = candidate and way(candidate, spot, probe)
            if candidate is not None:
                yield candidate


def _canonical(case: Case, spot: Spot, _probe: Probe) -> Case | None:
    """The value with its NaNs replaced, as the generator does it."""
    number, value = spot
    function = case.module.functions[number]
    ty = function.types[value]
    return with_function(case, number, _canonicalized(function, value, ty)) if ty.is_float else None


def _canonicalized(function: Function, value: int, ty: Type) -> Function:
    changed = copy_function(function)
    made: list[Inst] = []
    if ty.is_vector:
        shape = ty.as_int()
        ordered, bits, kept, result = (fresh(changed, k) for k in (shape, shape, shape, ty))
        made = [
            Inst("fcmp", ty, (ordered,), (value, value), "ord"),
            Inst("bitcast", shape, (bits,), (value,)),
            Inst("band", shape, (kept,), (bits, ordered)),
            Inst("bitcast", ty, (result,), (kept,)),
        ]
    else:
        ordered = fresh(changed, I8)
        zero, made = constant(changed, ty, 0)
        result = fresh(changed, ty)
        made = [
            *made,
            Inst("fcmp", ty, (ordered,), (value, value), "ord"),
            Inst("select", ty, (result,), (ordered, value, zero)),
        ]
    return _in_its_stead(changed, value, result, made)


def _in_its_stead(function: Function, value: int, result: int, made: Sequence[Inst]) -> Function:
    """Puts instructions after the definition of `value`; who read it reads `result`."""

    def rename(read: int) -> int:
        return result if read == value else read

    for block in function.blocks:
        at = 0 if any(v == value for v, _ in block.params) else None
        for position, inst in enumerate(block.insts):
            at = position + 1 if value in inst.results else at
        block.insts[:] = [map_values(inst, rename) for inst in block.insts]
        if at is not None:
            block.insts[at:at] = made
    return function


def _as_seen(case: Case, spot: Spot, probe: Probe) -> Case | None:
    """The value as the reference saw it: its bits are then fixed."""
    number, value = spot
    place = _defined(case.module.functions[number], value)
    if number != case.entry or len(case.inputs) != 1 or place is None:
        return None
    block, position = place
    seen = probe(cut(case, number, block, position + 1, (value,)))
    return _constant(case, spot, seen[0]) if seen else None


def _zero(case: Case, spot: Spot, _probe: Probe) -> Case | None:
    return _constant(case, spot, 0)


def _constant(case: Case, spot: Spot, content: int) -> Case | None:
    """The value becomes a constant, where it is made or where its block begins."""
    number, value = spot
    function = case.module.functions[number]
    ty, place = function.types[value], _defined(function, value)
    if place is not None and len(function.blocks[place[0]].insts[place[1]].results) == 1:
        return with_function(case, number, as_constant(function, *place, ty, content))
    changed = copy_function(function)
    result, made = constant(changed, ty, content)
    return with_function(case, number, _in_its_stead(changed, value, result, made))


def _defined(function: Function, value: int) -> tuple[int, int] | None:
    """Block and position of the instruction that makes a value; None for a parameter."""
    return next(
        (
            (b, i)
            for b, block in enumerate(function.blocks)
            for i, inst in enumerate(block.insts)
            if value in inst.results
        ),
        None,
    )


_WAYS: Final[tuple[Callable[[Case, Spot, Probe], Case | None], ...]] = (_canonical, _as_seen, _zero)
