"""Confirms a mismatch: is it so again, on another runner, and who else sees it?

The one idea: a disagreement between the reference and one run proves nothing yet. It is run again in a fresh runner, on
every other runner that can run it, on every other ISA and at other levels, and compiled once more. Then:

- the reference traps on a wild access that would hit another run's data region: undecided;
- it does not come again in a fresh runner: undecided, 'not repeated' (another program's wild store, an emulator's
  state);
- another runner of the same ISA sides with the reference: undecided, 'emulator: …', never the compiler's fault;
- the compiler gives other bytes the second time: 'nondeterministic output';
- every ISA of three or more, at every level, stands against the reference, and they agree with one another: 'wrong
  meaning', ours, unless an appeal finds for it (`campaign.appeal`);
- otherwise the compiler is guilty where it was seen, and a target that sides with the reference is the witness.

A compiler's own failure needs no vote; the target at another level that compiles the program is its witness.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from liftcheck.case import Case, CompileFailure, Outcome, Target
from liftcheck.clif.types import Type
from liftcheck.compilers.base import Program
from liftcheck.oracles import compare
from liftcheck.oracles.base import Mismatch, Runners
from liftcheck.oracles.classes import class_of
from liftcheck.oracles.differential import Judge, Prepared
from liftcheck.oracles.reference import strays_into_others
from liftcheck.oracles.tally import Tally
from liftcheck.runners import beyond
from liftcheck.runners.base import Runner

_EMULATOR_DEATH: Final = "worker died: signal SIGABRT"
"""An assertion of qemu's own: guest code cannot make this of its own accord."""


class OutOfTime(Exception):
    """The judge's deadline came before a vote's end."""


class Vote(NamedTuple):
    """One voter's answer. `verdict` is against the reference; `outcome` of the run in question, if it ran."""

    target: Target
    runner: str
    verdict: compare.Verdict
    outcome: Outcome | None
    run: int = 0


class Confirmed(NamedTuple):
    """What became of a mismatch: `klass` '' means undecided for `reason`."""

    klass: str
    reason: str
    ballots: tuple[Vote, ...] = ()
    witness: Target | None = None
    expected: Outcome | None = None


class RunnerChoice(Protocol):
    """Opens runners for a vote: all that can run this code on this target, each fresh, by name."""

    def every(self, target: Target, program: Program) -> list[Callable[[], Runner]]: ...


class _Only:
    """A `Runners` that always hands out the one runner it was made with."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def pick(self, target: Target, program: Program) -> Runner | str:
        return self.runner


class _Noting:
    """A `Runners` that remembers which runner it chose, or why none; `chosen` is None before it was asked."""

    def __init__(self, runners: Runners) -> None:
        self.runners = runners
        self.chosen: Runner | str | None = None

    def pick(self, target: Target, program: Program) -> Runner | str:
        self.chosen = self.runners.pick(target, program)
        return self.chosen


def vote_of(judge: Judge, case: Case, target: Target, runner: Runner, prepared: Prepared | None = None) -> Vote:
    """One case on one target and one given runner. `prepared`: what the judge's `prepare` gave for the case."""
    tally = Tally()
    found = judge.on(_Only(runner)).judge([case], [target], tally, prepared=None if prepared is None else [prepared])
    return _vote(judge, target, runner.name, found, tally)


def _vote(judge: Judge, target: Target, runner: str, found: Sequence[Mismatch], tally: Tally) -> Vote:
    """The vote that a judgment of one case on one target is."""
    mismatches = [one for one in found if one.failure is None or class_of(one.verdict.klass).counts_as_pair]
    if mismatches:
        first = mismatches[0]
        return Vote(target, runner, first.verdict, first.actual, first.run)
    if tally.agreed:
        return Vote(target, runner, compare.AGREED, None)
    if time.monotonic() > judge.deadline:
        raise OutOfTime
    reasons = [reason for _, reason in (*tally.undecided, *tally.refused)]
    return Vote(target, runner, compare.Verdict(compare.UNDECIDED, detail="; ".join(reasons)), None)


def confirm(judge: Judge, case: Case, mismatch: Mismatch, others: Sequence[Target], runners: RunnerChoice) -> Confirmed:
    """Gathers the votes on a mismatch's (case, target, class); `others` are the further targets to ask."""
    target = mismatch.target
    if mismatch.failure is not None:
        wanted = class_of(mismatch.verdict.klass).needs_witness
        right = judge.refusals.compiled_elsewhere(case.module, target) if wanted else None
        return Confirmed(mismatch.verdict.klass, "", witness=right)
    wild = mismatch.expected is not None and mismatch.expected.kind == "trapped"
    if wild and strays_into_others(case, mismatch.run, target.big_endian):
        return Confirmed("", "a wild access hits another run's data region")
    if class_of(mismatch.verdict.klass).is_long:
        case = _alone(case, mismatch.run)
    first, second = (judge.compile([case], [target], Tally())[0][0] for _ in range(2))
    if first != second:
        return Confirmed(compare.NONDETERMINISTIC, "")
    if first is None or isinstance(first, CompileFailure):
        return Confirmed("", "not compiled the second time")
    machine = beyond.machine_for(target, beyond.judged_wholly(case.module.functions, target, first))
    prepared = judge.prepare(case, [target, *others], Tally())
    own = _poll(judge, case, target, runners.every(machine, first), prepared)
    against = [b for b in own if b.verdict.kind == compare.DISAGREE]
    again = next((b for b in against if b.runner == mismatch.runner), None)
    if again is None:
        return Confirmed("", f"not repeated in a fresh runner: {mismatch.verdict.klass}", tuple(own))
    unsteady = not class_of(mismatch.verdict.klass).steady and not class_of(again.verdict.klass).steady
    seen = again.verdict.klass if unsteady else mismatch.verdict.klass
    if any(_EMULATOR_DEATH in b.verdict.detail for b in against):
        return Confirmed("", f"emulator: {against[0].runner} aborts on {target.isa} code", tuple(own))
    sides = [b for b in own if b.verdict.kind == compare.AGREE]
    if sides:
        who = f"{mismatch.runner} on {target.isa} stands against {', '.join(b.runner for b in sides)}"
        return Confirmed("", f"emulator: {who}", tuple(own))
    ballots = [*own, *(b for other in others if other != target for b in _ask(judge, case, other, prepared))]
    witness = next((b.target for b in _nearest(ballots, target) if b.verdict.kind == compare.AGREE), None)
    klass = compare.WRONG_MEANING if _reference_is_alone(ballots, compare.return_types(case)) else seen
    return Confirmed(klass, "", tuple(ballots), witness)


def _alone(case: Case, run: int) -> Case:
    """One run of a case, in its own data region: a runner waits long for every run that does not end."""
    memories = case.memories[run : run + 1]
    return dataclasses.replace(case, inputs=case.inputs[run : run + 1], memories=memories, slot=case.slot + run)


def _poll(
    judge: Judge, case: Case, target: Target, openers: Sequence[Callable[[], Runner]], prepared: Prepared
) -> list[Vote]:
    """One ballot from every runner, each opened for it alone."""
    ballots = []
    for opener in openers:
        runner = opener()
        try:
            ballots.append(vote_of(judge, case, target, runner, prepared))
        finally:
            runner.close()
    return ballots


def _ask(judge: Judge, case: Case, target: Target, prepared: Prepared) -> list[Vote]:
    """The vote of another target, on the judge's own runners."""
    tally, noting = Tally(), _Noting(judge.runners)
    found = judge.on(noting).judge([case], [target], tally, prepared=[prepared])
    chosen = noting.chosen
    if chosen is None:
        chosen = "; ".join(reason for _, reason in tally.undecided) or "not compiled"
    if isinstance(chosen, str):
        return [Vote(target, "", compare.Verdict(compare.UNDECIDED, detail=chosen), None)]
    return [_vote(judge, target, chosen.name, found, tally)]


def _nearest(ballots: Sequence[Vote], target: Target) -> list[Vote]:
    """Votes in the order of how much they have in common with `target`: its ISA first."""
    return sorted(ballots, key=lambda b: (b.target.isa != target.isa, b.target.big_endian != target.big_endian))


def _reference_is_alone(ballots: Sequence[Vote], types: Sequence[Type]) -> bool:
    """Whether three ISAs or more answered, all against the reference and in the same way (by byte order)."""
    decided = [b for b in ballots if b.verdict.kind != compare.UNDECIDED]
    against = all(b.verdict.kind != compare.AGREE and b.outcome is not None for b in decided)
    if len({b.target.isa for b in decided}) < 3 or not against:
        return False
    for order in (False, True):
        side = [b for b in decided if b.target.big_endian == order]
        if any(b.run != side[0].run or not _same(side[0].outcome, b.outcome, types) for b in side[1:]):
            return False
    return True


def _same(left: Outcome | None, right: Outcome | None, types: Sequence[Type]) -> bool:
    return left is not None and right is not None and compare.compare(left, right, types).kind == compare.AGREE
