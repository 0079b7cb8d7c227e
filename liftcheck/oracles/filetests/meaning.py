"""Whether two forms of a function compute the same: the reference interpreter runs both, on many inputs.

The one idea: the first form says what is right, so this needs no machine and judges what a compiler's middle end makes
of a function, and what a filetest's own text says it makes. Compared is what can be observed (`inputs`):
results, traps, memory, calls with their arguments in order. What CLIF leaves open in the first form is not compared;
a run that shows nothing (memory that is not there, an opcode that is not interpreted) counts under its reason.
It proves nothing: equal on all runs is evidence, different on one is a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from liftcheck import layout
from liftcheck.case import Outcome
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.text.runlines import data_text
from liftcheck.clif.types import Type
from liftcheck.interp.code import FUNCTION_STRIDE
from liftcheck.interp.run import prepare
from liftcheck.nan import CREATES
from liftcheck.oracles import compare
from liftcheck.oracles.admissible import MANY, WILD_CALL, Prediction, Reference, judge
from liftcheck.oracles.filetests.inputs import BASE, Run, runs, stubs, targets, traits

FUEL: Final = 200_000
ENDLESS: Final = 4
"""Runs without an end after which no more is tried."""


@dataclass(slots=True)
class Comparison:
    """What running both forms showed.

    judged      runs in which they were compared, and agreed; `endless`: that the first form did not end
    difference  the first run in which they did not: `call`, `expected`, `got`; '' if there is none
    open, lost  runs that could not be compared, by reason: CLIF leaves it open; nothing to see
    """

    judged: int = 0
    endless: int = 0
    call: str = ""
    expected: str = ""
    got: str = ""
    open: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


def compare_forms(
    function: Function, other: Function, big_endian: bool, callees: Sequence[Function] = ()
) -> Comparison:
    """A function against another form of it. Both call `callees`; who else is called is a stub."""
    entered = targets(function)
    around = [*entered, *callees, *stubs([function, *entered, *callees])]
    entries = [layout.CODE + FUNCTION_STRIDE * number for number in range(1, len(entered) + 1)]
    pair = _Pair(function, other, around, big_endian, frozenset(entries))
    for run in runs(function, big_endian, entries):
        if pair.differs(run) or pair.found.endless >= ENDLESS:
            break
    return pair.found


class _Pair:
    """Two forms, ready to run; `found` is what came of the runs so far."""

    def __init__(
        self, function: Function, other: Function, around: list[Function], big_endian: bool, entries: frozenset[int]
    ) -> None:
        self.function = function
        self.entries = entries
        self.types = tuple(param.type for param in function.signature.returns)
        self.traits = traits(function)
        self.found = Comparison()
        self.first, self.second = (prepare(Module([form, *around]), big_endian) for form in (function, other))
        self.reference = Reference(Module([function, *around]), big_endian)

    def differs(self, run: Run) -> bool:
        """Whether the forms differ on a run in what CLIF settles; counts it otherwise."""
        found, regions = self.found, {BASE: run.memory} if self.traits.memory else {}
        expected = self.first.run(0, run.args, regions, FUEL)
        if expected.kind not in ("returned", "trapped", "out_of_fuel"):
            found.lost[_reason(expected)] += 1
            return False
        got = self.second.run(0, run.args, regions, 4 * FUEL)
        if got.kind == "unsupported" or (got.kind == "crashed" and self.traits.promises):
            found.lost["what its memory flags promise does not hold" if got.kind == "crashed" else got.detail] += 1
            return False
        if expected.kind == "out_of_fuel":
            found.endless += 1
            found.judged += got.kind == expected.kind
            found.lost["it does not end in time"] += got.kind != expected.kind
            return False
        return self._is_settled(run, regions, expected, got)

    def _is_settled(self, run: Run, regions: dict[int, bytes], expected: Outcome, got: Outcome) -> bool:
        """Whether two outcomes differ in what is not open; only then is it asked what is."""
        found = self.found
        verdict = compare.compare(expected, got, self.types)
        if verdict.kind == compare.DISAGREE:
            prediction = self.reference.openness(0, run.args, regions, FUEL, MANY, expected)
            if not self._is_elsewhere(run, prediction):
                verdict = judge(prediction, got, self.types)
        if verdict.kind == compare.UNDECIDED:
            found.open[verdict.detail] += 1
        elif verdict.kind == compare.AGREE:
            found.judged += 1
        else:
            found.call = f"{self.function.name}({_values(run, self.function)})"
            found.expected, found.got = _text(expected, self.types), f"{_text(got, self.types)}: {verdict.detail}"
        return bool(found.call)

    def _is_elsewhere(self, run: Run, prediction: Prediction) -> bool:
        """Whether all that is open is where functions lie, which the arguments fix: other worlds say nothing then."""
        if self.entries.isdisjoint(run.args) or prediction.opening is None or prediction.opening.what != WILD_CALL:
            return False
        ops = {inst.op for block in self.function.blocks for inst in block.insts}
        return CREATES.isdisjoint(ops) and not self.function.stack_slots


def _reason(outcome: Outcome) -> str:
    """Why a run of the first form shows nothing."""
    if outcome.kind == "unsupported":
        return f"interpreter: {outcome.detail}"
    return "it needs memory or functions from outside"


def _values(run: Run, function: Function) -> str:
    return ", ".join(data_text(value, param.type) for value, param in zip(run.args, function.signature.params))


def _text(outcome: Outcome, types: tuple[Type, ...]) -> str:
    if outcome.kind == "returned":
        return ", ".join(map(data_text, outcome.values, types)) or "a return"
    return f"{outcome.kind} {outcome.detail}".rstrip()
