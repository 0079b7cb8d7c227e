"""Which of the compiler's rules is at fault: the one that fired in what goes wrong and not in what is right beside it.

The one idea: the compiler says which rules each compilation matched, and many programs that differ by one edit
(`neighbours`) are judged. A rule is the more suspect the larger the share of the programs that it fired in goes wrong
as the finding does; that is fault localization by spectra, with the reducer's edits as the test suite. Rules that no
neighbour tells apart stay together: the answer is the first group, and it says so.

A compilation that fails (a panic, a refusal) has no trace. There the rules are those of its nearest relatives that
compile: of other ISAs' for the mid-end, which all share; and of the same shape with other types, since the common fault
is a rule that takes a type that it cannot handle (`of_relatives` says so).
What it does not do: it reads no rule, and it cannot blame code that is not a rule (conventions, emission, allocation).
Source: Jones, Harrold, "Empirical Evaluation of the Tarantula …" (2005), for the ratio.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, NamedTuple

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import NOT_RUN, Investigator, voters
from liftcheck.campaign.findings.likeness import alike, effort, probe, unsound
from liftcheck.campaign.findings.neighbours import distance, neighbours, relatives
from liftcheck.campaign.findings.stage import NO_VALUE, Stage, stage_of
from liftcheck.campaign.reduce.engine import Limits, Meter, finished
from liftcheck.campaign.reduce.passes import narrow_inputs
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.isle.sources import MID_END
from liftcheck.oracles.differential import Prepared
from liftcheck.oracles.reference import interpret
from liftcheck.oracles.rule_counts import RULES
from liftcheck.oracles.tally import Tally

LIMITS: Final = Limits(20.0, 200)
"""Neighbours that are judged, and the time for it, where nothing else is asked for."""
OF_RELATIVES: Final = "it is not compiled, so these are rules of programs like it that are compiled"
NO_RULE: Final = "no rule saves registers, or decides whether output is the same twice"
CONVENTION: Final = "no rule decides what a convention saves, passes and returns"
NONE_FIRED: Final = "no rule of this half of the compiler fired: what is wrong is not a rule"
_COVER: Final = 0.5
"""What it counts that a rule fired in all that goes wrong: half, for a fault may be in several rules alike."""
_DOUBT: Final = 1.0
"""Right programs that count without being seen: one wrong program alone proves little."""
TAIL_CALLS: Final = frozenset(name for name, row in OPCODES.items() if row.is_call and row.is_return)
_ROOTS: Final = ("lower", "lower_branch", "simplify", "simplify_skeleton")
"""Terms whose rules match CLIF itself; the rules of others are called by theirs."""


class Sight(NamedTuple):
    """One program: the rules that fired for it, and whether it goes wrong as the finding does."""

    rules: frozenset[str]
    wrong: bool


class Suspect(NamedTuple):
    """Rules ('file:line term') that fired in the same programs: by the rules that fired, `wrong` kinds of programs go
    wrong and `right` ones are right."""

    rules: tuple[str, ...]
    wrong: int
    right: int
    score: float


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What came of it: the `stage` at fault; `suspects`, the most suspect first; `wrong` and `right` programs that were
    seen; `inferred`: the wrong ones are relatives that compile; `why` there is none, or what to know about them."""

    stage: Stage
    suspects: tuple[Suspect, ...] = ()
    wrong: int = 0
    right: int = 0
    why: str = ""
    inferred: bool = False

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules of the first suspect."""
        return self.suspects[0].rules if self.suspects else ()


def ranked(own: Sequence[str], seen: Iterable[Sight]) -> tuple[Suspect, ...]:
    """The rules of a wrong program, in groups that nothing tells apart, the most suspect first: by the share of what
    they fired in that is wrong, times the root of their share in all that is. Programs in which the same rules fired
    are one, and wrong if one of them is: the others hide it by their data. Of equals those that match CLIF itself come
    first."""
    paths: dict[frozenset[str], bool] = {}
    for rules, is_wrong in seen:
        paths[rules] = paths.get(rules, False) or is_wrong
    together: dict[tuple[bool, ...], list[str]] = {}
    for rule in own:
        together.setdefault(tuple(rule in path for path in paths), []).append(rule)
    total, found = sum(paths.values()), []
    for fired_in, members in together.items():
        verdicts = [is_wrong for is_wrong, fires in zip(paths.values(), fired_in) if fires]
        bad, count = sum(verdicts), len(verdicts)
        score = bad / (count + _DOUBT) * (bad / max(total, 1)) ** _COVER
        found.append(Suspect(tuple(sorted(members, key=_depth)), bad, count - bad, score))
    return tuple(sorted(found, key=lambda s: (-s.score, -s.wrong, min(map(_depth, s.rules)))))


def _depth(rule: str) -> bool:
    return rule.partition(" ")[2] not in _ROOTS


def suspected(desk: Investigator, finding: Finding, limits: Limits = LIMITS) -> Suspicion:
    """`suspicion` at a stretch."""
    return finished(suspicion(desk, finding, Meter(limits)))


def suspicion(desk: Investigator, finding: Finding, meter: Meter) -> Generator[None, None, Suspicion]:
    """The rules that a finding's target is suspected for, in steps."""
    if finding.row.names_registers or finding.row.asked == "compiled twice":
        return Suspicion(Stage("", NO_VALUE), why=NO_RULE)
    own, reason = fired(desk, finding.case, finding.target)
    stage = stage_of(desk, finding)
    if reason and finding.failure is None:
        return Suspicion(stage, why=reason)
    seen = [Sight(frozenset(own), True)] if own else []
    inferred = not own
    beside: set[str] = set()
    if inferred:
        seen = yield from _stand_ins(desk, finding, meter, beside)
        own = tuple(dict.fromkeys(rule for sight in seen for rule in sorted(sight.rules)))
    for case in _distinct(neighbours(finding.case, finding.run, lambda c: probe(c, finding.target)), beside):
        meter.charge()
        sight = look(desk, case, finding, effort(finding))
        yield from meter.pause()
        if sight is not None and (sight.rules or not sight.wrong):
            seen.append(sight)
        if meter.over():
            break
    bad = sum(sight.wrong for sight in seen)
    own = tuple(rule for rule in own if _is_written(rule) and stage.where in ("", _half(rule)))
    why = "; ".join([OF_RELATIVES if inferred else reason, *_reservations(finding)]) if own else reason or NONE_FIRED
    return Suspicion(stage, ranked(own, seen), bad, len(seen) - bad, why.removeprefix("; "), inferred)


def _reservations(finding: Finding) -> Iterator[str]:
    """Why the fault may not lie in a rule."""
    if finding.failure is not None and _is_elsewhere(finding.failure.place):
        yield f"it fails at {finding.failure.place}, which is not a rule: a rule may have made what fails there"
    if finding.reduced and (convention := _convention(finding.case)):
        yield f"it takes the convention {convention}: {CONVENTION}"


def _convention(case: Case) -> str:
    """The calling convention that a reduced program could not do without, unless an instruction of its needs that."""
    ops = {inst.op for function in case.module.functions for block in function.blocks for inst in block.insts}
    found = {function.signature.call_conv for function in case.module.functions} - {"", "system_v", "fast"}
    return "" if ops & TAIL_CALLS or not found else min(found)


def _is_elsewhere(place: str) -> bool:
    """Whether a panic's place is in code that is neither a rule's nor called by one."""
    return bool(place) and "isle" not in place


def _distinct(cases: Iterable[Case], known: set[str]) -> Iterator[Case]:
    """Each well-formed program once, except for those `known`."""
    for case in cases:
        key = repr(case.module)
        if key not in known and not verify(case.module):
            known.add(key)
            yield case


def _stand_ins(
    desk: Investigator, finding: Finding, meter: Meter, known: set[str]
) -> Generator[None, None, list[Sight]]:
    """What a program that does not compile would have fired: see the module. Of its relatives those nearest to it that
    compile, since the others escape the fault in other ways, too."""
    seen = []
    for target in voters(finding.target):
        rules, why = fired(desk, finding.case, target)
        optimizing = frozenset(filter(is_mid_end, rules))
        if not why and optimizing:
            seen.append(Sight(optimizing, True))
        yield from meter.pause()
    near: dict[tuple[int, int], list[Sight]] = {}
    for case in _distinct(relatives(finding.case, finding.run), known):
        meter.charge()
        rules, why = fired(desk, case, finding.target)
        if not why:
            near.setdefault(distance(finding.case, case), []).append(Sight(frozenset(rules), True))
        yield from meter.pause()
    return [*seen, *(near[min(near)] if near else [])]


def is_mid_end(rule: str) -> bool:
    """Whether a rule ('file:line …') is the optimizer's, which all ISAs share."""
    return rule.startswith(("src/opts/", "src/prelude_opt.isle"))


def _half(rule: str) -> str:
    return MID_END if is_mid_end(rule) else "backend"


def _is_written(rule: str) -> bool:
    """Whether somebody wrote a rule; the names of opcodes as terms are made of a list."""
    return "/clif_opt.isle:" not in rule and "/clif_lower.isle:" not in rule


def look(desk: Investigator, case: Case, finding: Finding, fuel: int) -> Sight | None:
    """Judges a neighbour; None if nothing can be said of it, or if it goes wrong in another way."""
    target, tally = finding.target, Tally()
    if finding.failure is not None:
        return _compiled(desk, case, finding)
    case = _ending(case, target, fuel)
    if not case.inputs:
        return None
    mismatches = desk.judge_for(finding).judge([case], [target], tally)
    wrong = bool(mismatches)
    if wrong and not any(alike(one, finding) for one in mismatches):
        return None
    if wrong:
        shown = narrow_inputs(case, [mismatches[0].run])
        if unsound(shown, dataclasses.replace(finding, run=0), fuel):
            return None
    if not wrong and not tally.agreed:
        return None
    rules, why = fired(desk, case, target)
    return None if why else Sight(frozenset(rules), wrong)


def _compiled(desk: Investigator, case: Case, finding: Finding) -> Sight | None:
    """As `look`, where the compiler itself fails: then a run says nothing."""
    prepared = [Prepared(print_module(case.module), NOT_RUN, {})]
    mismatches = desk.judge_for(finding).judge([case], [finding.target], Tally(), prepared=prepared)
    rules, why = fired(desk, case, finding.target)
    if any(alike(one, finding) for one in mismatches):
        return Sight(frozenset(rules), True)
    return None if mismatches or why else Sight(frozenset(rules), False)


def _ending(case: Case, target: Target, fuel: int) -> Case:
    """The case with its first inputs only, up to one with which the reference does not end soon."""
    found = interpret(case, target.big_endian, fuel)
    ends = list(takewhile(lambda one: one.kind in ("returned", "trapped"), found.outcomes))
    return narrow_inputs(case, range(len(ends))) if ends else dataclasses.replace(case, inputs=())


def fired(desk: Investigator, case: Case, target: Target) -> tuple[tuple[str, ...], str]:
    """The rules that fired for a case, in the order of the trace; or why that is not known."""
    made = desk.judge.compile([case], [target], Tally(), RULES)[0][0]
    if made is None or isinstance(made, CompileFailure):
        return (), "it is not compiled, so there is no trace of its rules"
    names = [code.extra.get("rules") for code in made]
    found = tuple(dict.fromkeys(str(rule) for one in names if isinstance(one, (tuple, list)) for rule in one))
    return found, "" if found else "this compiler does not say which rules matched"
