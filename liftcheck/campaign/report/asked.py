"""What the compiler makes of programs that are made for a rule which no campaign has executed.

The one idea: where sources do not tell why a rule never fires (`cold_rules.py`), the compiler's trace does: programs
are made of the rule's left-hand side, as a directed batch has them, and compiled; what matched in its place is a rule
of the same term, for a root term of the same opcode. One of higher priority takes them all: the rule is shadowed. One
of lower priority: a guard or an operand did not hold. It is evidence of so many programs and no proof, and says so.
Nothing is run: that is what campaigns are for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.case import FunctionCode
from liftcheck.clif.text.printer import print_module
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.unfold import ROOTS
from liftcheck.isle.sources import MID_END, SHARED, Rule, Tree

PROGRAMS: Final = 16
"""For a rule on an ISA, in each world of settings."""
_SIZE: Final = 4
_LEVELS: Final = ("none", "speed")
_ALL_MATCH: Final = ("simplify", "simplify_skeleton")
"""Terms of which every rule that matches gives something, so that none takes anything from another."""


class Told(NamedTuple):
    """Of so many `programs` that were made for a rule: in how many it `fired`; the rules that matched in its place, and
    in how many."""

    programs: int
    fired: int
    others: Mapping[str, int]


def asked(
    rules: Sequence[Rule],
    every: Sequence[Rule],
    compiler: str,
    isas: Sequence[str],
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """What the compiler says of each of `rules`, by place. `every`: all that it has."""
    told: dict[str, list[Told]] = {}
    for isa in isas:
        mine = [rule for rule in rules if rule.part in (isa, SHARED) or (rule.part == MID_END and isa == isas[0])]
        if mine:
            say(f"{isa}: asking about {len(mine)} rules")
            for place, one in _asked_on(isa, compiler, mine):
                told.setdefault(place, []).append(one)
    priorities = {rule.place: rule.priority for rule in every}
    return {rule.place: said(rule, _together(told[rule.place]), priorities) for rule in rules if rule.place in told}


def _asked_on(isa: str, compiler: str, rules: Sequence[Rule]) -> Iterator[tuple[str, Told]]:
    """The answers on one ISA."""
    planner = Planner(FuzzOptions(isas=(isa,), compiler=compiler, seconds=None, cases=1))
    try:
        known = planner.rules
        if known is None or not planner.traces_rules:
            return
        places = {rule.place: number for number, rule in enumerate(known.rules)}
        alike = {rule.place: _alike(rule, known.rules) for rule in rules}
        for rule in rules:
            number = places.get(rule.place)
            if number is None or not known.patterns(number):
                yield rule.place, Told(0, 0, {})
            else:
                yield rule.place, _ask(planner, isa, rule, number, alike[rule.place])
    finally:
        planner.open_compiler().close()
        planner.runners.close()


def _ask(planner: Planner, isa: str, rule: Rule, number: int, alike: Mapping[str, int]) -> Told:
    """Compiles programs that are made for a rule, in every world and on both levels."""
    fired, others, programs = 0, Counter[str](), 0
    cold = bytearray(len(planner.rules.rules) // 8 + 1 if planner.rules else 0)
    cold[number >> 3] |= 1 << (number & 7)
    for world in planner.worlds:
        context = dataclasses.replace(planner.context(world), size=_SIZE, inputs=1)
        targets = [planner.target(world, isa, level, ()) for level in _LEVELS]
        for turn in range(PROGRAMS):
            case = generate(RandomChoices(turn), "all", context, rule_turn=turn * 4 // 3 + 1, cold=bytes(cold))
            matched: set[str] = set()
            for column in planner.open_compiler().compile_text(
                print_module(case.module), targets, frozenset({"rules"})
            ):
                for code in column:
                    names = code.extra.get("rules") if isinstance(code, FunctionCode) else ()
                    assert isinstance(names, tuple)
                    matched.update(str(name).partition(" ")[0] for name in names)
            programs += 1
            fired += rule.place in matched
            others.update(matched & alike.keys())
    return Told(programs, fired, others)


def _alike(rule: Rule, rules: Sequence[Rule]) -> dict[str, int]:
    """The rules that may match in the place of one, with their priorities."""
    opcode = _opcode(rule.left) if rule.term in ROOTS else ""
    return {
        other.place: other.priority
        for other in rules
        if other.term == rule.term
        and other.place != rule.place
        and (rule.term not in ROOTS or _opcode(other.left) == opcode)
    }


def _opcode(left: Tree) -> str:
    """The opcode that a root term's left-hand side is about: the head of its innermost first instruction."""
    tree = left[-1] if isinstance(left, list) and left else ""
    while isinstance(tree, list) and tree and tree[0] in ("has_type", "and"):
        tree = tree[-1]
    return str(tree[0]) if isinstance(tree, list) and tree else ""


def _together(several: Sequence[Told]) -> Told:
    """The answers of several ISAs as one."""
    others = Counter[str]()
    for one in several:
        others.update(one.others)
    return Told(sum(one.programs for one in several), sum(one.fired for one in several), others)


def said(rule: Rule, told: Told, priorities: Mapping[str, int]) -> str:
    """An answer for people. `priorities`: of the rules that may match in its place, by place."""
    if not told.programs:
        return "no program can be made of its left-hand side"
    if told.fired:
        return f"it fires: in {told.fired} of {told.programs} programs made for it; a longer campaign reaches it"
    of = f"of {told.programs} programs made for it"
    if rule.term in _ALL_MATCH:
        return f"not matched: {of} none holds what its guards and operands ask for"
    if not told.others:
        return f"not tried: {of} none comes to another rule of `{rule.term}` that could stand for it"
    above = {place: count for place, count in told.others.items() if priorities[place] > rule.priority}
    if above and 2 * max(above.values()) >= max(told.others.values()):
        return f"shadowed: {of} {_most(above)}, of higher priority"
    return f"not matched: {of} {_most(told.others)}: a guard or an operand does not hold"


def _most(counts: Mapping[str, int]) -> str:
    place, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    return f"{count} go to {place}"
