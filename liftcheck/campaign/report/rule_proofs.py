"""What is known of the compiler's rules after their instances were proven: verdicts, by rule.

The one idea: a rule has a verdict only of instances in whose compilation it fired. In an instance many rules fire, so
one that is not proven says nothing against most of them: it is the *matter* of those of its rules that are proven in
the smallest share of their instances, and the others' verdict is made of the rest, and says so ('beside').
Sums of tasks add up in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from liftcheck.case import Target
from liftcheck.isle.sources import MID_END, SHARED, Rule, spelled

PROVEN, BESIDE, REFUTED, UNDECIDED, NOT_REACHED = "proven", "beside", "refuted", "undecided", "not reached"
OURS, UNRUN = "a fault of liftcheck's", "unconfirmed"
"""Kinds of instances that terms refute: a run agrees with the reference; nothing ran them."""
VERDICTS: Final = (PROVEN, BESIDE, REFUTED, UNDECIDED, NOT_REACHED)
CATEGORIES: Final = ("integer scalar", "SIMD integer", "memory and atomics", "float", "other")


@dataclass(slots=True)
class Seen:
    """Instances of one rule: how many are equal by the normal form, proven by z3, and not; by typing; by category."""

    equal: int = 0
    proven: int = 0
    bad: int = 0
    typings: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)

    def add(self, other: Seen) -> None:
        """Adds what other tasks have seen."""
        self.equal += other.equal
        self.proven += other.proven
        self.bad += other.bad
        self.typings.update(other.typings)
        self.categories.update(other.categories)

    @property
    def share(self) -> float:
        """Of its instances, those that are proven."""
        every = self.equal + self.proven + self.bad
        return (self.equal + self.proven) / every if every else 0.0


class Bad(NamedTuple):
    """An instance that is not proven. `kind`: REFUTED, UNDECIDED, OURS or UNRUN; `what`: the reason; `ran`: what its
    run showed; `fault`: the page of the known fault that it is, or ''."""

    kind: str
    what: str
    target: Target
    text: str
    code: str
    inputs: tuple[int, ...]
    rules: tuple[str, ...]
    ran: str = ""
    fault: str = ""

    @property
    def reason(self) -> str:
        """What is counted of those that are not refuted."""
        return self.what if self.kind == UNDECIDED else f"{self.kind}: {self.ran}"


@dataclass(slots=True)
class Proofs:
    """What was done: by rule, of its instances; `tried`: programs made for a rule."""

    seen: dict[str, Seen] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    instances: int = 0
    again: int = 0
    compiled: int = 0
    seconds: float = 0.0
    solving: float = 0.0
    """Processor time of instances, and of those which the normal form alone does not prove."""

    def add(self, other: Proofs) -> None:
        """Adds the sums of another task."""
        for place, seen in other.seen.items():
            self.seen.setdefault(place, Seen()).add(seen)
        self.bad += other.bad
        self.tried.update(other.tried)
        self.refused.update(other.refused)
        self.lost += other.lost
        self.instances += other.instances
        self.again += other.again
        self.compiled += other.compiled
        self.seconds += other.seconds
        self.solving += other.solving


class RuleVerdict(NamedTuple):
    """The verdict on one rule. `matters`: the instances that are its own matter; `why`: a reason where there is one."""

    rule: Rule
    verdict: str
    seen: Seen
    why: str = ""
    matters: tuple[Bad, ...] = ()

    @property
    def category(self) -> str:
        """What most of its instances are about; 'other' of what was not reached."""
        return max(CATEGORIES, key=lambda name: self.seen.categories[name]) if self.seen.categories else "other"


def verdicts(proofs: Proofs, rules: Sequence[Rule], reasons: Mapping[str, str]) -> list[RuleVerdict]:
    """The verdict on each rule, as if there were no others; `reasons`: why rules are out of reach, by place."""
    matters: dict[str, list[Bad]] = {}
    asked = {rule.place: proofs.seen[rule.place] for rule in rules if rule.place in proofs.seen}
    for bad in proofs.bad:
        for place in guilty(bad, asked):
            matters.setdefault(place, []).append(bad)
    return [_verdict(rule, proofs, matters.get(rule.place, []), reasons) for rule in rules]


def guilty(bad: Bad, seen: Mapping[str, Seen]) -> list[str]:
    """The rules of an instance that are proven in the smallest share of their instances."""
    shares = {place: seen[place].share for place in bad.rules if place in seen}
    least = min(shares.values(), default=0.0)
    return [place for place, share in shares.items() if share == least]


def _verdict(rule: Rule, proofs: Proofs, matters: Sequence[Bad], reasons: Mapping[str, str]) -> RuleVerdict:
    seen = proofs.seen.get(rule.place, Seen())
    refuted = [bad for bad in matters if bad.kind == REFUTED]
    if refuted:
        return RuleVerdict(rule, REFUTED, seen, refuted[0].what, (*refuted, *(b for b in matters if b not in refuted)))
    if matters:
        counts = Counter(bad.reason for bad in matters)
        return RuleVerdict(rule, UNDECIDED, seen, counts.most_common(1)[0][0], tuple(matters))
    if seen.bad:
        return RuleVerdict(rule, BESIDE, seen, f"{seen.bad} instances are other rules' matter")
    if seen.equal + seen.proven:
        return RuleVerdict(rule, PROVEN, seen)
    return RuleVerdict(rule, NOT_REACHED, seen, reasons.get(rule.place) or _tried(proofs.tried[rule.place]))


def _tried(programs: int) -> str:
    if not programs:
        return "no program can be made of its left-hand side, and none of other rules' fires it"
    return f"of {programs:,} programs made of its left-hand side none fires it"


def alike(reason: str) -> str:
    """A reason why a rule was not reached, without the numbers of its programs."""
    return "no instance made of its left-hand side fires it" if reason.startswith("of ") else reason


class Line(NamedTuple):
    """How many rules of a file or a category have each verdict."""

    name: str
    rules: int
    counts: Mapping[str, int]

    @property
    def fired(self) -> int:
        """Rules that fired in an instance."""
        return self.rules - self.counts.get(NOT_REACHED, 0)


def by_file(found: Sequence[RuleVerdict]) -> list[Line]:
    """Verdicts, by file."""
    return list(_lines((one.rule.file, one) for one in found))


def by_category(found: Sequence[RuleVerdict]) -> list[Line]:
    """Verdicts on the rules of `lower.isle` by category, and on the mid-end's."""

    def unit(one: RuleVerdict) -> str:
        if one.rule.part == MID_END:
            return MID_END
        return f"lower.isle, {one.category}" if one.rule.file.endswith("/lower.isle") else "helpers"

    return sorted(_lines((unit(one), one) for one in found if one.rule.part != SHARED), key=lambda line: line.name)


def _lines(found: Iterable[tuple[str, RuleVerdict]]) -> Iterator[Line]:
    groups: dict[str, Counter[str]] = {}
    for name, one in found:
        groups.setdefault(name, Counter())[one.verdict] += 1
    return (Line(name, counts.total(), counts) for name, counts in groups.items())


def document(proofs: Proofs, found: Sequence[RuleVerdict], compiler: str, isa: str, seconds: float) -> dict[str, Any]:
    """The document of `--json`."""
    return {
        "compiler": compiler,
        "isa": isa,
        "seconds": round(seconds, 2),
        "instances": proofs.instances,
        "compiled": proofs.compiled,
        "verdicts": dict(Counter(one.verdict for one in found)),
        "files": [{"file": line.name, "rules": line.rules, **line.counts} for line in by_file(found)],
        "categories": [{"category": line.name, "rules": line.rules, **line.counts} for line in by_category(found)],
        "rules": [_row(one) for one in found],
        "not_compiled": dict(proofs.refused.most_common()),
        "unconfirmed": [_unconfirmed(bad) for bad in unconfirmed(proofs)],
        "lost": list(proofs.lost),
    }


def _unconfirmed(bad: Bad) -> dict[str, Any]:
    return {
        "reason": bad.reason,
        "ours": bad.kind == OURS,
        "what": bad.what,
        "rules": list(bad.rules),
        "clif": bad.text,
    }


def _row(one: RuleVerdict) -> dict[str, Any]:
    seen = one.seen
    return {
        "file": one.rule.file,
        "line": one.rule.line,
        "term": one.rule.term,
        "left": spelled(one.rule.left),
        "part": one.rule.part,
        "verdict": one.verdict,
        "reason": one.why,
        "instances": seen.equal + seen.proven + seen.bad,
        "equal": seen.equal,
        "proven": seen.proven,
        "not_proven": seen.bad,
        "typings": sorted(seen.typings),
        "category": one.category,
        "refuted": [
            {
                "target": {"isa": bad.target.isa, "settings": dict(bad.target.settings)},
                "what": bad.what,
                "inputs": [hex(number) for number in bad.inputs],
                "run": bad.ran,
                "fault": bad.fault,
                "clif": bad.text,
                "code": bad.code,
            }
            for bad in one.matters
            if bad.kind == REFUTED
        ],
    }


def unconfirmed(proofs: Proofs) -> list[Bad]:
    """What terms refute and no run shows."""
    return [bad for bad in proofs.bad if bad.kind in (OURS, UNRUN)]


def exit_code(proofs: Proofs, found: Sequence[RuleVerdict]) -> int:
    """1 if a rule is refuted; 3 if what terms refute is not confirmed, or tasks were lost."""
    if any(one.verdict == REFUTED for one in found):
        return 1
    return 3 if proofs.lost or unconfirmed(proofs) else 0
