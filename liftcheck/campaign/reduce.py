"""Makes a disagreeing program as small as it gets while it still shows the same fault.

The one idea: passes propose (`passes.py`), one door judges. A candidate passes the door when it is cheaper by `cost`,
the verifier accepts it, it is new, and the caller's question ("does it still go wrong in the same way, in the same
place?") is answered yes. Every acceptance lowers the cost, so it ends; passes are repeated until none of them helps.

What it does not do: it does not know what a fault is, and it never asks a compiler itself.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from liftcheck.campaign.edit import is_constant, renumber, tidy
from liftcheck.campaign.passes import PASSES, Pass, Probe, complexity
from liftcheck.case import Case, Target
from liftcheck.clif.ir import NO_FLAGS, Function, Module
from liftcheck.clif.verify import verify

Question = Callable[[Case], bool]

_WEIGHT_BLOCK: Final = 5
_WEIGHT_INST: Final = 4
_WEIGHT_CONSTANT: Final = 3
_WEIGHT_PARAM: Final = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up: wall-clock seconds and questions asked."""

    seconds: float = 20.0
    questions: int = 5000


@dataclass(frozen=True, slots=True)
class Reduced:
    """`complete` says that no pass had anything left to try; else a limit was met."""

    case: Case
    questions: int
    seconds: float
    complete: bool


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
    for block in function.blocks:
        bulk += _WEIGHT_PARAM * len(block.params) if block is not function.blocks[0] else 0
        details += block.cold
        for inst in block.insts:
            bulk += _WEIGHT_CONSTANT if is_constant(inst) else _WEIGHT_INST
            bulk += 2 * (len(inst.targets) > 1) + 4 * (inst.table is not None)
            details += (inst.flags != NO_FLAGS) + complexity(inst.offset)
            details += complexity(inst.imm) if is_constant(inst) and isinstance(inst.imm, int) else 0
    return bulk, details


@dataclass(slots=True)
class _Door:
    """Judges candidates; counts what it asked and knows when to stop."""

    question: Question
    limits: Limits
    started: float
    asked: int = 0
    seen: set[str] = field(default_factory=set)

    @property
    def closed(self) -> bool:
        return self.asked >= self.limits.questions or time.monotonic() - self.started > self.limits.seconds

    def admits(self, case: Case, price: tuple[int, int]) -> bool:
        """Whether `case` is cheaper than `price`, well-formed, new and still at fault."""
        if cost(case) >= price or self.closed:
            return False
        key = _key(case)
        if key in self.seen:
            return False
        self.seen.add(key)
        if verify(case.module):
            return False
        self.asked += 1
        return self.question(case)


def _key(case: Case) -> str:
    parts = [repr((case.entry, case.inputs, case.memories))]
    for f in case.module.functions:
        parts.append(repr((f.name, f.signature, f.stack_slots, f.signatures, f.func_refs, f.constants, f.preamble)))
        parts += [repr((b.number, b.params, b.cold, b.insts)) for b in f.blocks]
    return "".join(parts)


def tidied(case: Case) -> Case:
    """The case with every function swept and numbered afresh."""
    functions = [renumber(tidy(function)) for function in case.module.functions]
    return dataclasses.replace(case, module=Module(functions))


def reduce_case(case: Case, question: Question, probe: Probe, limits: Limits | None = None,
                passes: Iterable[Pass] = PASSES) -> Reduced:
    """The smallest case found for which `question` still says yes; `case` itself must be one such."""
    started = time.monotonic()
    door = _Door(question, limits or Limits(), started)
    passes = tuple(passes)
    while not door.closed:
        before = cost(case)
        for one in passes:
            case = _exhaust(case, one, door, probe)
        if cost(case) == before:
            break
    return Reduced(case, door.asked, time.monotonic() - started, not door.closed)


def _exhaust(case: Case, one: Pass, door: _Door, probe: Probe) -> Case:
    """Runs one pass over all its sites; stays at a site as long as something there helps."""
    site = 0
    while not door.closed and (candidates := one(case, site, probe)) is not None:
        price = cost(case)
        for candidate in candidates:
            swept = tidied(candidate)
            if door.admits(swept, price):
                case = swept
                break
        else:
            site += 1
    return case


def reduce_settings(target: Target, still: Callable[[Target], bool]) -> Target:
    """The target with only the settings that matter: each is dropped when the fault is there without it."""
    for setting in target.settings:
        fewer = Target(target.isa, tuple(s for s in target.settings if s != setting))
        if still(fewer):
            target = fewer
    return target
