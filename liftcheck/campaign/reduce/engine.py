"""Makes a disagreeing program as small as it gets while it still shows the same fault.

The one idea: passes propose (`passes.py`), one door judges. A candidate passes the door when it is cheaper by `cost`,
the verifier accepts it, it is new, and the caller's question ("does it still go wrong in the same way, in the same
place?") has no objection. Every acceptance lowers the cost, so it ends; passes are repeated until none of them helps.

A candidate is asked swept of what nothing reads. If that loses the fault it is asked again unswept, for faults that lie
in dead code; where that never helps it is soon given up.

It is done in steps: a reduction is a generator that yields between two questions, so that its driver may do
something else meanwhile, and its `Meter` counts only its own time.

What it does not do: it does not know what a fault is, and it never asks a compiler itself.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Final, NamedTuple, TypeVar

from liftcheck.campaign.reduce.answers import Answers
from liftcheck.campaign.reduce.dead_code import tidy
from liftcheck.campaign.reduce.edit import dead_values, is_coherent, is_constant, renumber
from liftcheck.campaign.reduce.passes import PASSES, SEVERAL, complexity
from liftcheck.campaign.reduce.several import Pass, Probe
from liftcheck.case import Case, Target
from liftcheck.clif.ir import NO_FLAGS, Function, Inst, Module
from liftcheck.clif.verify import verify

Question = Callable[[Case], str]
"""'' if a case still shows the fault, else why it does not."""
Kept = Callable[[str, int], bool]
"""Whether a value of the function of that name stays though nothing reads it."""
ILL_FORMED: Final = "are ill-formed"
SWEPT, AS_BEFORE, UNSWEPT = range(3)
"""Forms of a candidate: without what nothing reads; with what was dead before; with what it makes dead too."""

_WEIGHT_BLOCK: Final = 5
_WEIGHT_INST: Final = 4
_WEIGHT_CONSTANT: Final = 3
_WEIGHT_PARAM: Final = 2
_PATIENCE: Final = 24
"""Questions in vain after which a form is no longer tried where there is another one."""
_END: Final = 10
"""Questions that take as long as a vote on the result and its page."""
_LEAST: Final = 0.3
"""The share of its time that a search has, however long its questions take."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up: seconds of one's own, questions asked, a moment of the monotonic clock."""

    seconds: float = 20.0
    questions: int = 5000
    until: float = inf


@dataclass(slots=True)
class Meter:
    """What a reduction has used of its limits, in all that it does; what passes while it waits does not count."""

    limits: Limits
    asked: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Its own time so far."""
        return time.monotonic() - self.started

    def pause(self) -> Iterator[None]:
        """Lets the driver do something else."""
        left = time.monotonic()
        yield
        self.started += time.monotonic() - left

    def charge(self, questions: int = 1) -> None:
        """Counts questions."""
        self.asked += questions

    def over(self, share: float = 1.0, ahead: int = 0) -> bool:
        """Whether this share of a limit is used up (by `ahead` questions too that are not answered yet), or what is
        left is needed for the end: questions that take long leave the more time to it."""
        limits, used = self.limits, self.seconds
        if (
            self.asked + ahead >= limits.questions * share
            or used > limits.seconds * share
            or time.monotonic() > limits.until
        ):
            return True
        end = _END * used / max(self.asked, 1) if share < 1.0 else 0.0
        return used > _LEAST * limits.seconds and used + end > limits.seconds


class Reduced(NamedTuple):
    """`complete` says that no pass had anything left to try; else a limit was met. `refused` counts why candidates were
    no good."""

    case: Case
    complete: bool
    refused: Counter[str]


def finished(steps: Generator[None, None, _T]) -> _T:
    """Drives something that is done in steps to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _T = end.value
            return result


def size(case: Case) -> int:
    """How many lines the program has: instructions, blocks and function headers."""
    return sum(2 + len(f.blocks) + sum(len(b.insts) for b in f.blocks) for f in case.module.functions)


def cost(case: Case) -> tuple[int, int]:
    """What a reader pays for a case, the bulk first, then the details. A candidate must be cheaper to be taken."""
    bulk = details = 0
    for function in case.module.functions:
        more, little = _function_cost(function)
        bulk, details = bulk + more, details + little
    bulk += 4 * len(case.inputs)
    if case.memories and any(case.memories):
        bulk += 2
        details += sum(len(content) - content.count(0) for content in case.memories)
    details += sum(complexity(value) for row in case.inputs for value in row)
    return bulk, details


def _function_cost(function: Function) -> tuple[int, int]:
    signature = function.signature
    bulk = 10 + _WEIGHT_BLOCK * len(function.blocks) + _WEIGHT_PARAM * (len(signature.params) + len(signature.returns))
    details = 3 * (signature.call_conv not in ("", "system_v")) + len(function.stack_slots) + 2 * len(function.preamble)
    details += sum(bool(p.extension) + bool(p.purpose) for p in (*signature.params, *signature.returns))
    details += sum(slot.align > 1 for slot in function.stack_slots.values())
    details += sum(len(called.params) + len(called.returns) for called in function.signatures.values())
    for block in function.blocks:
        bulk += _WEIGHT_PARAM * len(block.params) if block is not function.blocks[0] else 0
        details += block.cold
        for inst in block.insts:
            bulk += _WEIGHT_CONSTANT if is_constant(inst) else _WEIGHT_INST
            bulk += 2 * (len(inst.targets) > 1) + 4 * (inst.table is not None)
            details += (inst.flags != NO_FLAGS) + complexity(inst.offset) + len(inst.targets)
            details += _constant_cost(function, inst) if is_constant(inst) else 0
    return bulk, details


def _constant_cost(function: Function, inst: Inst) -> int:
    if not isinstance(inst.imm, int):
        return 0
    if inst.op in ("vconst", "f128const"):
        content = function.constants[inst.imm]
        return len(content) - content.count(0)
    return complexity(inst.imm)


class _Place(NamedTuple):
    """Where a search is: at a site of a pass (by number); whether its round has helped so far."""

    number: int = 0
    site: int = 0
    helped: bool = False


class _Offer(NamedTuple):
    """A candidate that is asked: made at this place in this `form`, when so many were seen and ill-formed, and when
    forms had this credit. Of what was made after it nothing counts if it is good."""

    case: Case
    place: _Place
    form: int
    seen: int
    ill_formed: int
    credit: tuple[int, ...]


@dataclass(slots=True)
class _Door:
    """Judges candidates; counts what it refused, and knows when to stop. `coherent`: the program was, so its candidates
    have to be (`is_coherent`). `credit`: by form, the questions in vain that it still has; `ahead`: the offers that are
    not answered yet."""

    answers: Answers[Case]
    meter: Meter
    share: float
    coherent: bool
    seen: dict[int, None] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    credit: list[int] = field(default_factory=lambda: [_PATIENCE] * 3)
    ahead: deque[_Offer] = field(default_factory=deque)

    @property
    def closed(self) -> bool:
        return self.meter.over(self.share, len(self.ahead))

    def offered(self, case: Case, passes: Sequence[Pass], start: _Place, probe: Probe) -> Iterator[Case | None]:
        """What passes make of a case from a place on, as far as it is to be asked; None for the rest. A round that has
        helped is followed by another."""
        price, dead = cost(case), dead_values(case.module)
        for place, candidates in _proposed(case, passes, start, probe):
            for candidate in candidates:
                for form, kept in _forms(dead):
                    rival = bool(dead) or form != SWEPT
                    if self.closed or (rival and self.credit[form] <= 0):
                        continue
                    formed = tidied(candidate, kept)
                    if not self._is_new(formed, price):
                        yield None
                        continue
                    self.credit[form] -= rival
                    counts = len(self.seen), self.refused[ILL_FORMED]
                    self.ahead.append(_Offer(formed, place, form, *counts, tuple(self.credit)))
                    yield formed
            if self.closed:
                return

    def _is_new(self, case: Case, price: tuple[int, int]) -> bool:
        """Whether `case` is cheaper than `price`, new and well-formed."""
        if cost(case) >= price:
            return False
        key = hash(_key(case))
        if key in self.seen:
            return False
        self.seen[key] = None
        if (self.coherent and not is_coherent(case)) or verify(case.module):
            self.refused[ILL_FORMED] += 1
            return False
        return True

    def heard(self, objection: str) -> _Offer:
        """The oldest offer is answered. If it is good, those after it were never made."""
        offer = self.ahead.popleft()
        self.meter.charge()
        if objection:
            self.refused[objection] += 1
            return offer
        self.ahead.clear()
        while len(self.seen) > offer.seen:
            self.seen.popitem()
        self.refused[ILL_FORMED] = offer.ill_formed
        self.credit[:] = offer.credit
        self.credit[offer.form] = _PATIENCE
        return offer


def _forms(dead: Mapping[str, Container[int]]) -> list[tuple[int, Kept | None]]:
    """How a candidate may be swept when its forerunner had `dead` values, by number, with what stays unread."""
    forms: list[tuple[int, Kept | None]] = [(SWEPT, None), (UNSWEPT, lambda _name, _value: True)]
    if dead:
        forms.insert(1, (AS_BEFORE, lambda name, value: value in dead.get(name, ())))
    return forms


def _key(case: Case) -> str:
    parts = [repr((case.entry, case.inputs, case.memories))]
    for f in case.module.functions:
        parts.append(repr((f.name, f.signature, f.stack_slots, f.signatures, f.func_refs, f.constants, f.preamble)))
        parts += [repr((b.number, b.params, b.cold, b.insts)) for b in f.blocks]
    return "".join(parts)


def tidied(case: Case, kept: Kept | None = None) -> Case:
    """The case with every function swept, except for what is `kept`, and numbered afresh."""
    functions = [renumber(tidy(f, None if kept is None else partial(kept, f.name))) for f in case.module.functions]
    return dataclasses.replace(case, module=Module(functions))


def reduce_case(
    case: Case,
    answers: Answers[Case],
    probe: Probe,
    meter: Meter,
    share: float = 1.0,
    passes: Iterable[Pass] = (*PASSES, SEVERAL),
    seen: dict[int, None] | None = None,
) -> Generator[None, None, Reduced]:
    """The smallest case found to which nothing is objected, in steps; nothing must be objected to `case` itself. It may
    use `share` of the meter's limits. `seen`: what was asked before, to which this adds."""
    door = _Door(answers, meter, share, is_coherent(case), {} if seen is None else seen)
    passes, place = tuple(passes), _Place()
    while True:
        good: _Offer | None = None
        for answer in door.answers(door.offered(case, passes, place, probe)):
            if answer is not None:
                offer = door.heard(answer[1])
                good = None if answer[1] else offer
            yield from door.meter.pause()
        if good is None:
            return Reduced(case, not door.closed, +door.refused)
        case, place = good.case, good.place._replace(helped=True)


def _proposed(
    case: Case, passes: Sequence[Pass], start: _Place, probe: Probe
) -> Iterator[tuple[_Place, Iterable[Case]]]:
    """What passes propose from a place on, site by site, as long as nothing helps; stays at a site that has helped."""
    places = [(number, start.helped) for number in range(start.number, len(passes))]
    places += [(number, False) for number in range(len(passes)) if start.helped]
    site = start.site
    for number, helped in places:
        while (candidates := passes[number](case, site, probe)) is not None:
            yield _Place(number, site, helped), candidates
            site += 1
        site = 0


def reduce_settings(
    target: Target, objection: Callable[[Target], str], meter: Meter, share: float = 1.0
) -> Generator[None, None, Target]:
    """The target with only the settings that matter, in steps: each is dropped when the fault is there without it."""
    for setting in target.settings:
        if meter.over(share):
            break
        fewer = Target(target.isa, tuple(s for s in target.settings if s != setting))
        meter.charge()
        if not objection(fewer):
            target = fewer
        yield from meter.pause()
    return target
