"""A rule's left-hand side as steps, each of which has a value or fails; and what two rules have to do with one another.

The one idea: a value that is looked at is a slot, named by how it was come by; so two rules that look at the same thing
have the same step, and it is done once for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.errors import Diagnostic, InputError
from liftcheck.isle.reader import complaint
from liftcheck.isle.terms import (
    All,
    Bind,
    Call,
    Const,
    Expr,
    Extract,
    Let,
    Make,
    Name,
    Pattern,
    Program,
    Rule,
    Same,
    Term,
    Variant,
    Wild,
)


class IsVariant(NamedTuple):
    """The slot's enum is this variant."""

    slot: str
    type: str
    variant: str


class IsConst(NamedTuple):
    """The slot is this constant."""

    slot: str
    python: str


class AreSame(NamedTuple):
    """Two slots are equal."""

    slot: str
    other: str


class Extracted(NamedTuple):
    """An extractor of Python's gives something for the slot; `made`: the slots of its parts."""

    slot: str
    term: str
    made: tuple[str, ...]


class Computed(NamedTuple):
    """An expression has a value. `expr` has slots for names."""

    expr: Expr
    made: str


Step = IsVariant | IsConst | AreSame | Extracted | Computed


class Matched(NamedTuple):
    """A rule as steps; `names`: its names' slots."""

    rule: Rule
    steps: tuple[Step, ...]
    names: dict[str, str]


class Slots:
    """The slots of one term's rules: names that are alike for what was come by alike."""

    def __init__(self, program: Program, term: Term) -> None:
        self._program: Final = program
        self.arguments: Final = tuple(f"a{n}" for n in range(len(term.params)))
        self._known: Final[dict[object, str]] = {}

    def named(self, key: object) -> str:
        """The slot of a key."""
        return self._known.setdefault(key, f"v{len(self._known)}")

    def field(self, slot: str, ty: str, variant: str, number: int) -> str:
        """The slot of a variant's field."""
        return self.named(("field", slot, ty, variant, number))

    def matched(self, rule: Rule) -> Matched:
        """A rule as steps."""
        steps: list[Step] = []
        names: dict[str, str] = {}
        for slot, pattern in zip(self.arguments, rule.patterns):
            steps += self._pattern(pattern, slot, names)
        for pattern, expr in rule.lets:
            resolved = renamed(expr, names)
            if isinstance(resolved, Name):
                slot = resolved.name
            else:
                slot = self.named(resolved)
                steps.append(Computed(resolved, slot))
            steps += self._pattern(pattern, slot, names)
        return Matched(rule, tuple(dict.fromkeys(steps)), names)

    def _pattern(self, pattern: Pattern, slot: str, names: dict[str, str]) -> Iterator[Step]:
        if isinstance(pattern, Wild):
            return
        if isinstance(pattern, Bind):
            names[pattern.name] = slot
            yield from self._pattern(pattern.inside, slot, names)
        elif isinstance(pattern, Same):
            if names[pattern.name] != slot:
                yield AreSame(*sorted((slot, names[pattern.name])))
        elif isinstance(pattern, Const):
            yield IsConst(slot, pattern.python)
        elif isinstance(pattern, Variant):
            yield IsVariant(slot, pattern.type, pattern.name)
            for number, part in enumerate(pattern.fields):
                yield from self._pattern(part, self.field(slot, pattern.type, pattern.name, number), names)
        elif isinstance(pattern, Extract):
            count = len(self._program.terms[pattern.term].params)
            made = tuple(self.named(("part", slot, pattern.term, number)) for number in range(count))
            yield Extracted(slot, pattern.term, made)
            for part, inner in zip(pattern.fields, made):
                yield from self._pattern(part, inner, names)
        elif isinstance(pattern, All):
            for part in pattern.parts:
                yield from self._pattern(part, slot, names)


def renamed(expr: Expr, names: dict[str, str]) -> Expr:
    """An expression with slots for names."""
    if isinstance(expr, Name):
        return Name(names[expr.name])
    if isinstance(expr, Call):
        return Call(expr.term, tuple(renamed(one, names) for one in expr.arguments))
    if isinstance(expr, Make):
        return Make(expr.type, expr.name, tuple(renamed(one, names) for one in expr.fields))
    if isinstance(expr, Let):
        inner = dict(names)
        made = []
        for name, one in expr.names:
            value = renamed(one, inner)
            inner[name] = f"{name}'{len(inner)}"
            made.append((inner[name], value))
        return Let(tuple(made), renamed(expr.body, inner))
    return expr


def tests(matched: Matched) -> dict[str, object]:
    """Slot -> the variant or constant that it must be."""
    return {step.slot: step[1:] for step in matched.steps if isinstance(step, IsVariant | IsConst)}


def apart(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether no value has both of these tests."""
    return any(other.get(slot, what) != what for slot, what in one.items())


def check(program: Program, matched: dict[str, list[Matched]]) -> None:
    """InputError for rules that overlap without a priority, rules that never match, and terms that call themselves
    without being declared `rec`."""
    found: list[Diagnostic] = []
    for name, rules in matched.items():
        if "multi" not in program.terms[name].flags:
            found += _overlaps(rules)
    found += _circles(program)
    if found:
        raise InputError(found)


def _overlaps(rules: Sequence[Matched]) -> Iterator[Diagnostic]:
    buckets: dict[object, list[tuple[Matched, dict[str, object], frozenset[Step]]]] = {}
    for one in rules:
        known = tests(one)
        first = next(iter(known.items()), None)
        buckets.setdefault(first, []).append((one, known, frozenset(one.steps)))
    open_ones = buckets.pop(None, [])
    for bucket in [*buckets.values(), []]:
        every = [*bucket, *open_ones]
        for place, (one, known, steps) in enumerate(every if bucket else open_ones):
            for other, also, others in (every if bucket else open_ones)[place + 1 :]:
                if bucket and one in [o for o, _, _ in open_ones]:
                    continue
                yield from _pair(one, known, steps, other, also, others)


def _pair(
    one: Matched,
    known: dict[str, object],
    steps: frozenset[Step],
    other: Matched,
    also: dict[str, object],
    others: frozenset[Step],
) -> Iterator[Diagnostic]:
    a, b = one.rule, other.rule
    if a.priority == b.priority:
        if not apart(known, also):
            yield complaint(b.where, f"this rule and the one at {a.place} may both match: give one a priority")
        return
    high, low = (steps, others) if a.priority > b.priority else (others, steps)
    upper, lower = (a, b) if a.priority > b.priority else (b, a)
    # A file may have a better way than another file's for all that the other's matches: an ISA beside shared rules.
    if high <= low and upper.where.source is lower.where.source:
        yield complaint(lower.where, f"this rule never matches: the one at {upper.place} always does before")


def _circles(program: Program) -> Iterator[Diagnostic]:
    calls = {
        name: {called for rule in term.rules for called in _called(rule) if program.terms[called].rules}
        for name, term in program.terms.items()
        if term.rules
    }
    for name, term in program.terms.items():
        if term.rules and "rec" not in term.flags:
            path = _path(calls, name)
            if path:
                yield complaint(
                    term.where,
                    f"{' -> '.join(path)}: a term that calls itself may never end; if it does, declare it rec",
                )


def _path(calls: dict[str, set[str]], start: str) -> list[str]:
    """A way from a term to itself; [] if there is none."""
    before: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for called in sorted(calls.get(name, ())):
            if called == start:
                way = [start]
                while name != start:
                    way.append(name)
                    name = before[name]
                return [start, *reversed(way)]
            if called not in before:
                before[called] = name
                waiting.append(called)
    return []


def _called(rule: Rule) -> Iterator[str]:
    for expr in (rule.body, *(expr for _, expr in rule.lets)):
        yield from calls_of(expr)


def calls_of(expr: Expr) -> Iterator[str]:
    """The terms that an expression calls."""
    waiting = [expr]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Call):
            yield one.term
            waiting += one.arguments
        elif isinstance(one, Make):
            waiting += one.fields
        elif isinstance(one, Let):
            waiting += [value for _, value in one.names]
            waiting.append(one.body)
