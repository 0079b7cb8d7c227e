"""From suspects to findings: the vote, then the reduction, then what a page needs.

The one idea: a suspect becomes a finding only after its vote (`oracles.vote`), and a reduced program replaces the
original only after a vote of its own. What the vote clears away is counted as undecided with its reason, not dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Final, Protocol

from liftcheck import layout
from liftcheck.campaign.finding import Finding, Vote, fold_key
from liftcheck.campaign.passes import narrow_inputs
from liftcheck.campaign.reduce import Limits, cost, reduce_case, reduce_settings, tidied
from liftcheck.campaign.taint import shows_addresses, shows_nan_bits
from liftcheck.case import BIG_ENDIAN, ISAS, Case, CompileFailure, Target
from liftcheck.clif.verify import verify
from liftcheck.errors import Unsupported
from liftcheck.oracles import canaries, compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.evidence import Program, Runners, Suspect, Tally, interpret, reads_garbage
from liftcheck.oracles.runner_base import Job
from liftcheck.oracles.validating import VARIANTS, varied
from liftcheck.oracles.vote import Ballot, Confirmed, RunnerChoice, confirm

BASE_SETTINGS: Final = frozenset(
    {"enable_llvm_abi_extensions", "enable_multi_ret_implicit_sret", "preserve_frame_pointers"}
)
"""Settings without which much does not compile at all: the last to be dropped, and kept for other ISAs' votes."""
_RULES_SHOWN: Final = 12
_VALUES: Final = (compare.WRONG_RESULT, compare.WRONG_MEMORY)
"""A wrong value is the same fault whether it is returned or stored: a reduction may turn the one into the other."""
_BY_VALUE: Final = (compare.WRONG_RESULT, compare.WRONG_MEMORY, compare.WRONG_MEANING)


class AllRunners(Runners, RunnerChoice, Protocol):
    """A pool of runners for judging and for votes."""


class Bounds(Protocol):
    """What is read of the campaign's options."""

    @property
    def reduce_seconds(self) -> float: ...


class Investigator:
    """Turns suspects into findings with one judge. Part of a worker, or of `replay` and `reduce`."""

    def __init__(self, judge: Judge, runners: AllRunners, bounds: Bounds) -> None:
        self.judge = judge
        self.runners = runners
        self.bounds = bounds

    def investigate(self, case: Case, group: Sequence[Suspect], tally: Tally) -> list[Finding]:
        """The finding that a case's suspects of one class make, or none; `tally` is put right."""
        cleared: list[Target] = []
        for suspect in group:
            verdict = confirm(self.judge, case, suspect, voters(suspect.target), self.runners)
            if verdict.klass:
                targets = tuple(s.target for s in group if s.target not in cleared)
                self._recount(group, cleared, suspect, verdict.klass, tally)
                return [self._finding(case, suspect, targets, verdict)]
            cleared.append(suspect.target)
            isa = suspect.target.isa
            tally.disagreed[isa, suspect.verdict.klass] -= 1
            tally.pairs[isa] -= 1
            tally.undecided[isa, verdict.reason] += 1
        return []

    @staticmethod
    def _recount(
        group: Sequence[Suspect], cleared: Sequence[Target], suspect: Suspect, klass: str, tally: Tally
    ) -> None:
        """Compile findings were not counted as pairs yet, but for refuted allocations, whose code ran; the vote may
        have given the class another name."""
        for one in group:
            if one.target in cleared:
                continue
            isa = one.target.isa
            if suspect.failure is not None:
                tally.pairs[isa] += klass != compare.REFUTED_ALLOCATION
                tally.disagreed[isa, klass] += 1
            elif klass != one.verdict.klass:
                tally.disagreed[isa, one.verdict.klass] -= 1
                tally.disagreed[isa, klass] += 1

    def _finding(self, case: Case, suspect: Suspect, targets: tuple[Target, ...], verdict: Confirmed) -> Finding:
        number = case.tags.get("number")
        seed = case.tags.get("seed")
        finding = Finding(
            klass=verdict.klass, case=case, target=suspect.target, targets=targets, witness=verdict.witness,
            run=suspect.run, expected=suspect.expected, actual=suspect.actual, failure=suspect.failure,
            detail=suspect.verdict.detail, votes=votes(case, verdict.ballots),
            runners=tuple(dict.fromkeys(b.runner for b in verdict.ballots
                                        if b.target == suspect.target and b.verdict.kind == compare.DISAGREE)),
            compiler=self.judge.compiler.name,
            seed=seed if isinstance(seed, int) else None, number=number if isinstance(number, int) else None,
            profile=str(case.tags.get("profile", "")))
        if verdict.klass == compare.ABI_DAMAGE:
            finding = self.illustrated(finding)
        if verdict.klass == compare.REFUTED_ALLOCATION:
            finding = self._driven(finding)
        own = not finding.damaged and finding.failure is None
        return dataclasses.replace(finding, key=f"{fold_key(finding)} | {case.name}" if own else fold_key(finding))

    def _driven(self, finding: Finding) -> Finding:
        """A refuted allocation with an input whose run shows it, if its own inputs or others like them have one."""
        for case in (finding.case, varied(finding.case, Random(finding.case.name))):
            shown = [s for s in self.judge.judge([case], [finding.target], Tally()) if s.failure is None]
            if shown:
                first = shown[0]
                return dataclasses.replace(finding, case=case, run=first.run, expected=first.expected,
                                           actual=first.actual, detail=f"{first.verdict.klass}: {first.verdict.detail}")
        detail = f"{finding.detail}\n\nNone of {VARIANTS} inputs shows it in a run.".lstrip()
        return dataclasses.replace(finding, detail=detail)

    def reduce(self, finding: Finding, seconds: float | None = None) -> list[Finding]:
        """The finding with a smaller program; behind it what of its targets the smaller program no longer shows."""
        limits = Limits(self.bounds.reduce_seconds if seconds is None else seconds)
        first = tidied(
            narrow_inputs(finding.case, [finding.run]) if finding.run < len(finding.case.inputs) else finding.case
        )
        start = first if self.shows(first, finding) else finding.case
        if not self.shows(start, finding):
            return [self.illustrated(finding)]
        done = reduce_case(
            start, lambda case: self.shows(case, finding), lambda case: probe(case, finding.target), limits
        )
        target = reduce_settings(finding.target, lambda t: self._shows_on(t, done.case, finding))
        return self._finished(finding, done.case, target)

    def _shows_on(self, target: Target, case: Case, finding: Finding) -> bool:
        """Whether a case goes wrong on another target as it does on the finding's: what the compiler then has not got
        is no part of the fault, so it must not become more; and a witness on the same ISA loses the same settings."""
        lacking = self.judge.refusals.lacking
        if finding.failure is not None and not lacking(case.module, target) <= lacking(case.module, finding.target):
            return False
        return self.shows(case, dataclasses.replace(finding, target=target, witness=_followed(finding, target)))

    def shows(self, case: Case, finding: Finding) -> bool:
        """Whether a case goes wrong as the finding does: same class, same target, its witness still right."""
        targets = [finding.target, *([finding.witness] if finding.witness not in (None, finding.target) else [])]
        if finding.klass in _BY_VALUE and (shows_nan_bits(case.module, case.entry) or shows_addresses(case.module)):
            return False
        if not case.memories and _points_at_data(case):
            return False
        if finding.klass in _BY_VALUE and reads_garbage(case, finding.target.isa in BIG_ENDIAN):
            return False
        if finding.failure is not None and finding.witness is not None:
            if not self.judge.refusals.compiles(case.module, finding.witness):
                return False
            targets = [finding.target]
        tally = Tally()
        asked = [t for t in targets if t is not None]
        if finding.klass == compare.WRONG_MEANING:
            asked = [finding.target, _another_isa(finding.target)]
        suspects = self.judge.judge([case], asked, tally)
        if finding.klass == compare.NONDETERMINISTIC:
            first, second = (self.judge.compile([case], asked[:1], tally) for _ in range(2))
            return first != second
        bad = {s.target for s in suspects if _alike(s, finding)}
        if finding.damaged and bad:
            found, _ = self._damaged(case, finding.target, suspects[0].run)
            if finding.damaged[0] not in found:
                return False
        if finding.klass == compare.WRONG_MEANING:
            return len(bad) == len(asked)
        return bad == {finding.target} and (len(asked) == 1 or tally.agreed[asked[1].isa] > 0)

    def _finished(self, finding: Finding, case: Case, target: Target) -> list[Finding]:
        """Votes on the reduced case and fills in what its page needs."""
        smaller = dataclasses.replace(finding, target=target)
        tally = Tally()
        suspects = [s for s in self.judge.judge([case], [target], tally) if _alike(s, smaller)]
        if not suspects or cost(case) >= cost(finding.case):
            return [self.illustrated(finding)]
        verdict = confirm(self.judge, case, suspects[0], voters(target), self.runners)
        if verdict.klass != finding.klass and not {verdict.klass, finding.klass} <= set(_VALUES):
            return [self.illustrated(finding)]
        named = dataclasses.replace(case, tags=finding.case.tags, name=finding.case.name)
        still = tuple(t for t in finding.targets if t == finding.target or self._again(named, finding, t))
        made = self._finding(named, suspects[0], (target, *(t for t in still if t != finding.target)), verdict)
        made = dataclasses.replace(made, original=finding.case, reduced=True, seconds=finding.seconds,
                                   witness=made.witness or finding.witness)
        made = self.illustrated(dataclasses.replace(made, key=fold_key(made)))
        rest = tuple(t for t in finding.targets if t not in still)
        return [made, *self._left_over(finding, rest)]

    def _again(self, case: Case, finding: Finding, target: Target) -> bool:
        return any(_alike(s, finding) for s in self.judge.judge([case], [target], Tally()))

    def _left_over(self, finding: Finding, targets: tuple[Target, ...]) -> list[Finding]:
        """Another finding for the targets that have a fault of their own in the original program."""
        if not targets or finding.failure is not None:
            return []
        suspects = [s for s in self.judge.judge([finding.case], list(targets), Tally()) if _alike(s, finding)]
        return self.investigate(finding.case, suspects, Tally()) if suspects else []

    def illustrated(self, finding: Finding) -> Finding:
        """With disassembly of the bad code and of the witness's, and the rules that only the bad one used."""
        targets = [t for t in (finding.target, finding.witness) if t is not None]
        replies = self._listed(finding.case, targets)
        texts: dict[str, str] = {}
        rules: list[list[str]] = []
        for target, reply in zip(targets, replies):
            code = reply[0] if reply[0] is not None and not isinstance(reply[0], CompileFailure) else []
            rules.append([str(rule) for r in code for rule in _items(r.extra.get("rules"))])
            if code:
                texts[str(target)] = "\n\n".join(f"{r.name}:\n{r.extra.get('disassembly', '')}" for r in code)
        suspects = [r for r in dict.fromkeys(rules[0]) if len(rules) > 1 and r not in rules[1]]
        same_isa = finding.witness is not None and finding.witness.isa == finding.target.isa
        damaged, detail = finding.damaged, finding.detail
        if finding.klass == compare.ABI_DAMAGE and not damaged:
            damaged, whose = self._damaged(finding.case, finding.target, finding.run)
            detail = f"callee-saved registers come back changed{whose}: {', '.join(damaged)}" if damaged else detail
        return dataclasses.replace(finding, disassembly=texts, damaged=damaged, detail=detail,
                                   suspects=tuple((suspects if same_isa else rules[0])[:_RULES_SHOWN]))

    def _damaged(self, case: Case, target: Target, run: int) -> tuple[tuple[str, ...], str]:
        """The callee-saved registers that a run changes, and ' by the trampoline …' if that alone does."""
        code = self.judge.compile([case], [target], Tally())[0][0]
        trampoline = self.judge.trampoline(case, target)
        if code is None or isinstance(code, CompileFailure) or isinstance(trampoline, CompileFailure):
            return (), ""
        runner = self.judge.runners.pick(target, code)
        if isinstance(runner, str):
            return (), ""
        entry = case.module.functions[case.entry]
        job = Job(trampoline, 0, entry.signature, case.inputs[run:], case.memories[run:], case.slot + run)
        found = canaries.damaged(runner, code, entry.name, job)
        own = found == canaries.damaged_by_trampoline(runner, job)
        return found, " by the trampoline, which the same compiler made" if own and found else ""

    def _listed(self, case: Case, targets: list[Target]) -> list[list[Program | CompileFailure | None]]:
        """The case compiled with disassembly, and with the names of the rules where the compiler can tell them."""
        try:
            return self.judge.compile([case], targets, Tally(), frozenset({"disassembly", "rules"}))
        except Unsupported:
            return self.judge.compile([case], targets, Tally(), frozenset({"disassembly"}))


def _followed(finding: Finding, target: Target) -> Target | None:
    """The finding's witness without the settings that `target` no longer has, if it is of the same ISA."""
    witness = finding.witness
    if witness is None or witness.isa != target.isa:
        return witness
    dropped = set(finding.target.settings) - set(target.settings)
    return Target(witness.isa, tuple(s for s in witness.settings if s not in dropped))


def _points_at_data(case: Case) -> bool:
    """Whether an argument or a constant of the case is an address of a data region."""
    values = {value for row in case.inputs for value in row}
    values |= {inst.imm for function in case.module.functions for block in function.blocks for inst in block.insts
               if inst.op == "iconst" and isinstance(inst.imm, int)}
    return any(layout.DATA <= value < layout.DATA + layout.SLOTS * layout.SLOT_STRIDE for value in values)


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def _alike(suspect: Suspect, finding: Finding) -> bool:
    """Whether a suspect shows the finding's fault (of whatever target)."""
    if finding.failure is not None:
        return _same_failure(suspect.failure, finding.failure)
    if finding.klass == compare.WRONG_MEANING:
        return suspect.failure is None
    if finding.klass in _VALUES:
        return suspect.verdict.klass in _VALUES
    return suspect.verdict.klass == finding.klass


def _same_failure(left: CompileFailure | None, right: CompileFailure) -> bool:
    return left is not None and (left.kind, left.reason, left.place) == (right.kind, right.reason, right.place)


def probe(case: Case, target: Target) -> tuple[int, ...] | None:
    """What the reference returns for the first input, if the case is well-formed and returns."""
    if verify(case.module) or not case.inputs:
        return None
    found = interpret(case, target.big_endian, 100_000)
    return found.outcomes[0].values if found.outcomes and found.outcomes[0].kind == "returned" else None


def voters(target: Target) -> list[Target]:
    """Who else is asked: the same ISA at the other level, and the other ISAs at both."""
    base = tuple(setting for setting in target.settings if setting[0] in BASE_SETTINGS)
    levels = ("none", "speed")
    own = [
        Target(target.isa, tuple(sorted((*(s for s in target.settings if s[0] != "opt_level"), ("opt_level", level)))))
        for level in levels
    ]
    plain = [Target(isa, tuple(sorted((*base, ("opt_level", level))))) for isa in ISAS for level in levels]
    return list(dict.fromkeys([*own, *(t for t in plain if t.isa != target.isa or t not in own)]))


def _another_isa(target: Target) -> Target:
    return next(t for t in voters(target) if (t.isa != target.isa and (t.isa in BIG_ENDIAN) == target.big_endian)
                or (target.big_endian and t.isa != target.isa))


def votes(case: Case, ballots: Sequence[Ballot]) -> tuple[Vote, ...]:
    """Ballots as a page shows them."""
    sides = {compare.AGREE: True, compare.DISAGREE: False}
    return tuple(Vote(f"{b.target}" + (f" on {b.runner}" if b.runner else ""),
                      b.verdict.detail or ("as the reference" if b.verdict.kind == compare.AGREE else ""),
                      sides.get(b.verdict.kind)) for b in ballots)
