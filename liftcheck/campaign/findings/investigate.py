"""From mismatches to findings: the vote, then what a page needs; and the question that a reduction asks.

The one idea: a mismatch becomes a finding only after its vote (`oracles.vote`). What the vote clears away is counted as
undecided with its reason, not dropped. Whether a smaller program stands for a finding is one question (`objection`),
answered by the same judge; what is done with the answers: `reduction.py`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from random import Random
from typing import Final, Protocol

from liftcheck.campaign.findings import reproduce
from liftcheck.campaign.findings.appeal import appeal
from liftcheck.campaign.findings.finding import Finding, VoteRecord, fold_key
from liftcheck.campaign.findings.likeness import alike, followed, holds_addresses, unsound
from liftcheck.campaign.reduce.dead_code import tidy
from liftcheck.campaign.reduce.edit import with_function
from liftcheck.campaign.reduce.proposals import return_zeros
from liftcheck.campaign.reduce.visible import prediction
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.edit import copy_function
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.base import Program
from liftcheck.errors import Unsupported
from liftcheck.isa import BIG_ENDIAN, ISAS
from liftcheck.mach.disassembly import with_names
from liftcheck.oracles import admissible, canaries, compare
from liftcheck.oracles.base import Mismatch, Runners
from liftcheck.oracles.classes import class_of, oracles_for
from liftcheck.oracles.confirm import Confirmed, OutOfTime, RunnerChoice, Vote, confirm
from liftcheck.oracles.differential import Judge, Prepared
from liftcheck.oracles.reference import FUEL, Expected
from liftcheck.oracles.regalloc.compiler import VARIANTS, varied
from liftcheck.oracles.registry import oracle
from liftcheck.oracles.tally import Tally
from liftcheck.runners.base import Job

BASE_SETTINGS: Final = frozenset(
    {"enable_llvm_abi_extensions", "enable_multi_ret_implicit_sret", "preserve_frame_pointers"}
)
"""Settings without which much does not compile at all: the last to be dropped, and kept for other ISAs' votes."""
_RULES_SHOWN: Final = 12
NOT_RUN: Final = dict.fromkeys((False, True), Expected([], "a compiler's failure needs no run", {}))


class AllRunners(Runners, RunnerChoice, Protocol):
    """A pool of runners for judging and for votes."""


class OtherCompiler(Protocol):
    """The other of two compilers: what it does with a case that goes wrong as a finding does (`beside.Other`)."""

    @property
    def is_baseline(self) -> bool: ...

    @property
    def name(self) -> str: ...

    def answer(self, case: Case, target: Target, finding: Finding) -> str: ...


class Investigator:
    """Turns mismatches into findings with one judge. Part of a worker, or of `replay` and `reduce`. Of two compilers
    `other` is the one that is not this judge's."""

    def __init__(self, judge: Judge, runners: AllRunners, other: OtherCompiler | None = None) -> None:
        self.judge = judge.running()
        self.runners = runners
        self.other = other

    def investigate(self, case: Case, group: Sequence[Mismatch], tally: Tally) -> list[Finding]:
        """The finding that a case's mismatches of one class make, or none; `tally` is put right."""
        cleared: list[Target] = []
        for mismatch in group:
            verdict = self.vote(case, mismatch)
            if verdict.klass and class_of(verdict.klass).may_be_open and (excuse := _excuse(case, mismatch)):
                verdict = Confirmed("", excuse)
            if verdict.klass:
                targets = tuple(s.target for s in group if s.target not in cleared)
                recount(group, cleared, mismatch, verdict.klass, tally)
                return [self.finding(case, mismatch, targets, verdict)]
            cleared.append(mismatch.target)
            clear(mismatch, verdict.reason, tally)
        return []

    def judge_for(self, finding: Finding) -> Judge:
        """The judge, with the oracle that findings of this class come from."""
        return self.judge.asking([oracle(name) for name in oracles_for(finding.klass)])

    def vote(self, case: Case, mismatch: Mismatch) -> Confirmed:
        """The vote on a mismatch; where all stand against the reference, it may appeal."""
        verdict = confirm(self.judge, case, mismatch, voters(mismatch.target), self.runners)
        if not verdict.klass or not class_of(verdict.klass).ours:
            return verdict
        right, words = appeal(self.judge, case, mismatch, voters(mismatch.target))
        if time.monotonic() > self.judge.deadline:
            raise OutOfTime
        return verdict._replace(klass=mismatch.verdict.klass if right else verdict.klass, reason=words)

    def finding(self, case: Case, mismatch: Mismatch, targets: tuple[Target, ...], verdict: Confirmed) -> Finding:
        number = case.tags.get("number")
        seed = case.tags.get("seed")
        if not class_of(verdict.klass).steady and verdict.klass != mismatch.verdict.klass:
            fresh = next(b for b in verdict.ballots if b.target == mismatch.target and b.runner == mismatch.runner)
            mismatch = mismatch._replace(verdict=fresh.verdict, actual=fresh.outcome)
        finding = Finding(
            klass=verdict.klass,
            case=case,
            target=mismatch.target,
            targets=targets,
            witness=verdict.witness,
            run=mismatch.run,
            expected=mismatch.expected,
            actual=mismatch.actual,
            failure=mismatch.failure,
            detail="\n\n".join(filter(None, [mismatch.verdict.detail, verdict.reason])),
            votes=votes(case, verdict.ballots),
            runners=tuple(
                dict.fromkeys(
                    b.runner
                    for b in verdict.ballots
                    if b.target == mismatch.target and b.verdict.kind == compare.DISAGREE
                )
            ),
            compiler=self.judge.compiler.name,
            seed=seed if isinstance(seed, int) else None,
            number=number if isinstance(number, int) else None,
            profile=str(case.tags.get("profile", "")),
        )
        if self.other is not None:
            answer = self.other.answer(case, finding.target, finding)
            spared = answer == "wrong" or not self.other.is_baseline
            finding = dataclasses.replace(finding, other=self.other.name, beside=answer, spared=spared)
        if finding.row.names_registers:
            finding = self.illustrated(finding)
        if finding.row.seeks_run:
            finding = self._driven(finding)
        own = not finding.damaged and finding.failure is None
        return dataclasses.replace(finding, key=f"{fold_key(finding)} | {case.name}" if own else fold_key(finding))

    def _driven(self, finding: Finding) -> Finding:
        """A refuted allocation with an input whose run shows it, if its own inputs or others like them have one."""
        for case in (finding.case, varied(finding.case, Random(finding.case.name))):
            shown = [s for s in self.judge.judge([case], [finding.target], Tally()) if s.failure is None]
            if shown:
                first = shown[0]
                return dataclasses.replace(
                    finding,
                    case=case,
                    run=first.run,
                    expected=first.expected,
                    actual=first.actual,
                    detail=f"{first.verdict.klass}: {first.verdict.detail}",
                )
        detail = f"{finding.detail}\n\nNone of {VARIANTS} inputs shows it in a run.".lstrip()
        return dataclasses.replace(finding, detail=detail)

    def objection_on(self, target: Target, case: Case, finding: Finding, fuel: int, hasty: bool = False) -> str:
        """`objection` for another target. What the compiler has not got there is no part of the fault, so it must not
        become more, nor on the witness, where no panic hides it; a witness on the same ISA loses the same settings."""
        witness = followed(finding, target)
        if finding.failure is not None:
            pairs = [(target, finding.target), *([(witness, finding.witness)] if witness and finding.witness else [])]
            lacking = self.judge.refusals.lacking
            if any(not lacking(case.module, new) <= lacking(case.module, old) for new, old in pairs):
                return "lack more there"
        return self.objection(case, dataclasses.replace(finding, target=target, witness=witness), fuel, hasty=hasty)

    def shows(self, case: Case, finding: Finding) -> bool:
        """Whether a case goes wrong as the finding does."""
        return not self.objection(case, finding)

    def objection(
        self, case: Case, finding: Finding, fuel: int = FUEL, shown: bool = False, hasty: bool = False
    ) -> str:
        """'' if a case goes wrong as the finding does (same class, same target, its witness still right), else why it
        cannot stand for it. `fuel`: what the reference may spend on a run; `shown`: what CLIF leaves open may show;
        `hasty`: what does not end soon is taken for endless."""
        if holds_addresses(case):
            return "hold addresses that mean nothing elsewhere"
        if finding.failure is None and (why := unsound(case, finding, fuel, shown)):
            return why
        return self._verdict(case, finding, hasty) or self._apart(case, finding)

    def remember(self, case: Case, objection: str) -> None:
        """A reduction's search was answered."""

    def _apart(self, case: Case, finding: Finding) -> str:
        """Why the other compiler does not stand to a case as to the finding."""
        if self.other is None or not finding.other:
            return ""
        now, then = (
            text.partition(":")[0] for text in (self.other.answer(case, finding.target, finding), finding.beside)
        )
        return "" if now == then else f"are {now} with {self.other.name}, not {then}"

    def _verdict(self, case: Case, finding: Finding, hasty: bool) -> str:
        """Judges a case on the finding's target and its witness."""
        asked = [finding.target, *([finding.witness] if finding.witness not in (None, finding.target) else [])]
        if finding.failure is not None and finding.witness is not None:
            if not self.judge.refusals.compiles(case.module, finding.witness):
                return "do not compile for the witness"
            asked = [finding.target]
        if finding.row.asked == "judged everywhere":
            asked = [finding.target, _another_isa(finding.target)]
        targets = [target for target in asked if target is not None]
        if finding.row.asked == "compiled twice":
            first, second = (self.judge.compile([case], targets[:1], Tally()) for _ in range(2))
            return "" if first != second else "do not go wrong"
        tally = Tally()
        prepared = [Prepared(print_module(case.module), NOT_RUN, {})] if finding.failure is not None else None
        judge = self.judge_for(finding)
        judge = judge.in_haste() if hasty else judge
        mismatches = [s for s in judge.judge([case], targets, tally, prepared=prepared) if alike(s, finding)]
        bad = {s.target for s in mismatches}
        if finding.row.asked == "judged everywhere":
            return "" if len(bad) == len(targets) else "do not go wrong everywhere"
        if finding.target not in bad:
            return "do not go wrong"
        if finding.damaged and finding.damaged[0] not in self._damaged(case, finding.target, mismatches[0].run)[0]:
            return "damage other registers"
        if len(bad) > 1:
            return "go wrong on the witness too"
        return "" if len(targets) == 1 or tally.agreed[targets[1].isa] else "cannot be judged on the witness"

    def told(self, finding: Finding) -> Finding:
        """With all that its folder says."""
        return self.illustrated(finding if finding.program else self.stated(finding))

    def stated(self, finding: Finding) -> Finding:
        """With the filetest that shows it, and the known fault that is its cause."""
        program, unsaid, fault = reproduce.stated(finding, self.judge)
        return dataclasses.replace(finding, program=program, unsaid=unsaid, fault=fault)

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
                text = "\n\n".join(f"{r.name}:\n{r.extra.get('disassembly', '')}" for r in code)
                texts[str(target)] = with_names(target.isa, text)
        suspects = [r for r in dict.fromkeys(rules[0]) if len(rules) > 1 and r not in rules[1]]
        same_isa = finding.witness is not None and finding.witness.isa == finding.target.isa
        plain = self._fired_for_nothing(finding) if rules[0] else frozenset()
        damaged, detail = finding.damaged, finding.detail
        if finding.row.names_registers and not damaged:
            damaged, whose = self._damaged(finding.case, finding.target, finding.run)
            detail = f"callee-saved registers come back changed{whose}: {', '.join(damaged)}" if damaged else detail
        return dataclasses.replace(
            finding,
            disassembly=texts,
            damaged=damaged,
            detail=detail,
            suspects=tuple((suspects if same_isa else rules[0])[:_RULES_SHOWN]),
            fired=tuple(rule for rule in dict.fromkeys(rules[0]) if rule not in plain),
        )

    def _fired_for_nothing(self, finding: Finding) -> frozenset[str]:
        """The rules that fire for functions like those of a finding's program that only return."""
        case = finding.case
        for number, function in enumerate(case.module.functions):
            bare = copy_function(function)
            bare.blocks[0].insts[:-1] = []
            made = return_zeros(with_function(case, number, bare), number, 0)
            case = with_function(made, number, tidy(made.module.functions[number]))
        replies = self._listed(case, [finding.target])
        code = replies[0][0] if replies else None
        compiled = code if code is not None and not isinstance(code, CompileFailure) else []
        return frozenset(str(rule) for one in compiled for rule in _items(one.extra.get("rules")))

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


def recount(group: Sequence[Mismatch], cleared: Sequence[Target], mismatch: Mismatch, klass: str, tally: Tally) -> None:
    """What failed was not counted as a pair yet, unless its code ran; the vote may have given the class another
    name."""
    for one in group:
        if one.target in cleared:
            continue
        isa = one.target.isa
        if mismatch.failure is not None:
            tally.pairs[isa] += class_of(klass).counts_as_pair
            tally.disagreed[isa, klass] += 1
        elif klass != one.verdict.klass:
            tally.disagreed[isa, one.verdict.klass] -= 1
            tally.disagreed[isa, klass] += 1


def _excuse(case: Case, mismatch: Mismatch) -> str:
    """What CLIF leaves open, if a mismatch differs from the reference in nothing else."""
    found = prediction(case, mismatch.run, mismatch.target.big_endian, FUEL)
    if found is None or found.opening is None or mismatch.actual is None:
        return ""
    closed = admissible.judge(found, mismatch.actual, compare.return_types(case))
    return "" if closed.kind == compare.DISAGREE else found.opening.kind


def clear(mismatch: Mismatch, reason: str, tally: Tally) -> None:
    """Counts what was taken for a disagreement as undecided."""
    isa = mismatch.target.isa
    tally.disagreed[isa, mismatch.verdict.klass] -= 1
    tally.pairs[isa] -= 1
    tally.undecided[isa, reason] += 1


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


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
    return next(
        t
        for t in voters(target)
        if (t.isa != target.isa and (t.isa in BIG_ENDIAN) == target.big_endian)
        or (target.big_endian and t.isa != target.isa)
    )


def votes(case: Case, ballots: Sequence[Vote]) -> tuple[VoteRecord, ...]:
    """Votes as a page shows them."""
    sides = {compare.AGREE: True, compare.DISAGREE: False}
    return tuple(
        VoteRecord(
            f"{b.target}" + (f" on {b.runner}" if b.runner else ""),
            b.verdict.detail or ("as the reference" if b.verdict.kind == compare.AGREE else ""),
            sides.get(b.verdict.kind),
        )
        for b in ballots
    )
