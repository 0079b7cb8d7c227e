"""Machine instructions against the steps that a compiler's text means: what readers of operands share.

The one idea: both are lists of items (registers, constants, words) in one order. A text's registers are its virtual
registers by their numbers, or real ones; what it leaves open (where the stack slots or the function's own arguments
begin) is a distance that the whole function shares. Steps may have labels and lead to them: `1:`, `>1`. Where an
assembler sends a jump on that leads to a jump, both are sent on here. Nothing here knows an ISA's texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from liftcheck.regalloc.named import Named

ANY: Final = "?"
"""An item that is not compared."""


class Register(NamedTuple):
    """`number`: among the text's virtual registers; of a real one `-2 - place`. `lane`: what the name ends in."""

    number: int
    lane: str = ""


class Distance(NamedTuple):
    """A distance from where something begins that a text does not say."""

    begin: str
    value: int


Item = Register | Distance | int | str


class Step(NamedTuple):
    """What a text means: one machine instruction by its names, its operands, its own label, and the one that it leads
    to. Without words it is the end."""

    words: frozenset[str]
    items: tuple[Item, ...]
    label: str = ""
    goal: str = ""


class Found(NamedTuple):
    """A machine instruction: where it stands, how long it is, and where it leads (-1: nowhere). `jumps`: always."""

    offset: int
    size: int
    name: str
    items: tuple[Item, ...]
    goal: int = -1
    jumps: bool = False


def fit(steps: Sequence[Step], found: Sequence[Found], numbers: Sequence[int], named: Named) -> bool:
    """Whether they are these, one for one, and lead to where these do."""
    forms = steps if not steps or steps[-1].words else steps[:-1]
    if len(forms) != len(found) or not all(same(step, one, numbers, named) for step, one in zip(forms, found)):
        return False
    if not any(step.goal for step in forms):
        return True
    start, end = found[0].offset, found[-1].offset + found[-1].size
    labels = {step.label: at for step, at in zip(steps, [*(one.offset for one in found), end]) if step.label}
    on = {one.offset: one.goal for one in found if one.jumps and start <= one.goal < end}
    return all(
        leads(_sent_on(one.goal, on), _sent_on(labels[step.goal], on), start, end)
        for step, one in zip(forms, found)
        if step.goal
    )


def _sent_on(goal: int, on: Mapping[int, int]) -> int:
    """Where control is in the end that is led there."""
    for _ in on:
        goal = on.get(goal, goal)
    return goal


def leads(goal: int, label: int, start: int, end: int) -> bool:
    """What stands at the end may be a jump, so that one leads further on."""
    return goal == label or (label == end and not start <= goal < end)


def same(step: Step, found: Found, numbers: Sequence[int], named: Named) -> bool:
    """One instruction."""
    if found.name not in step.words or len(step.items) != len(found.items):
        return False
    return all(agree(want, got, numbers, named) for want, got in zip(step.items, found.items))


def agree(want: Item, got: Item, numbers: Sequence[int], named: Named) -> bool:
    """One operand."""
    if isinstance(want, Register):
        return isinstance(got, Register) and want.lane == got.lane and is_there(want, -2 - got.number, numbers, named)
    if isinstance(want, Distance):
        return isinstance(got, int) and _distant(want, got, named)
    return want in (got, ANY)


def is_there(register: Register, place: int, numbers: Sequence[int], named: Named) -> bool:
    """Whether a register of a text is in a place."""
    if register.number < 0:
        return place == -2 - register.number
    return register.number < len(numbers) and named.is_there(numbers[register.number], place)


def _distant(want: Distance, got: int, named: Named) -> bool:
    if want.begin == SLOT_AREA and named.slots is not None:
        return got - want.value == named.slots
    return named.distance(want.begin, got - want.value)


SLOT_AREA: Final = "slot"
"""Where the function's stack slots begin."""
