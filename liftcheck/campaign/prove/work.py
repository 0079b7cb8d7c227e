"""One task of proofs: instances of some operations or for some rules, compiled, chosen, and proven.

The one idea: a task is a few operations, rules or texts of one ISA, and everything that is done for it depends on
nothing else, so tasks are spread over workers, and what they find adds up. Instances are made with the typings of the
widest world, and compiled in all: without extensions, with those that runners have, and with all that the compiler has.
A proof is kept by the program's text and the code's bytes, so targets that agree cost one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import process_time
from typing import Final, NamedTuple

from liftcheck.campaign.execute.base import Work, Worker
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import PLAIN, Planner
from liftcheck.campaign.prove.kept import Kept, digest, folder
from liftcheck.campaign.prove.made import Chooser, Factory, Made, edges
from liftcheck.campaign.prove.trial import Ran, Trials
from liftcheck.campaign.report.rule_proofs import CATEGORIES, OURS, UNRUN, Bad, Proofs, Seen
from liftcheck.case import Target
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.registry import OWN
from liftcheck.errors import own_fault
from liftcheck.generators.instance_texts import TEXTS
from liftcheck.generators.instances import of_rule, rows
from liftcheck.generators.instances import of_typing as of_row
from liftcheck.generators.lefthand import Op
from liftcheck.generators.rows import Row, Table
from liftcheck.generators.solver import ACCESSES
from liftcheck.generators.unfold import ROOTS
from liftcheck.isle.sources import Rule, words
from liftcheck.oracles.lifting.claims_smt import EFFORT
from liftcheck.oracles.lifting.equal import Verdict, compare

MOST: Final = 4
"""Functions that fire a rule with one typing."""
PROGRAMS: Final = range(3)
TURNS: Final = range(3, 15)
"""The draws of constants for a rule, and further ones if it fires in no instance that was made for it."""
_EFFORT: Final = EFFORT // 4
_LESS: Final = EFFORT // 40
_GIVE_UPS: Final = 2
"""z3's steps for a claim; after so many times that it gave up in a task the lesser number."""
_RUNS: Final = 60
"""So many counterexamples of a task are run."""
ENOUGH: Final = "enough others like it were run"
_WIDE: Final = "has_zvl"
"""Extensions that make vectors wider than terms have them."""
TYPING, RULE, TEXT = "typing", "rule", "text"


@dataclass(frozen=True, slots=True)
class ProveOptions:
    """What is proven. `pattern`: of the rules ('' for all); `most`: instances of a rule with one typing;
    `fresh`: verdicts that are kept on disk are not asked."""

    isa: str
    pattern: str = ""
    compiler: str = OWN
    levels: tuple[str, ...] = ("none", "speed")
    settings: tuple[tuple[str, str], ...] = ()
    most: int = MOST
    jobs: int = 1
    fresh: bool = False


class Task(NamedTuple):
    """`kind`: TYPING (numbers of operations), RULE (of rules), TEXT (of texts)."""

    kind: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class ProveWork(Work[Task, Proofs]):
    """Tasks of one ISA."""

    options: ProveOptions

    def open(self) -> Worker[Task, Proofs]:
        return Workshop(self.options)


class Workshop:
    """Makes and proves instances with one compiler; the worker of its work. `comparing` is what judges an instance."""

    def __init__(self, options: ProveOptions, comparing: Callable[..., Verdict] = compare) -> None:
        self.options: Final = options
        self.planner: Final = Planner(
            FuzzOptions((options.isa,), options.compiler, settings=options.settings, seconds=None, cases=1)
        )
        self.comparing: Final = comparing
        self.runs: Final[dict[str, Ran]] = {}
        self.kept: Final = Kept(None if options.fresh else folder())

    def close(self) -> None:
        self.planner.open_compiler().close()
        self.planner.runners.close()

    # -- what there is

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that code for this ISA goes through."""
        known = self.planner.rules
        return tuple(known.rules) if known is not None else ()

    @cached_property
    def asked(self) -> frozenset[str]:
        """The places of the rules that the pattern asks for."""
        return frozenset(rule.place for rule in self.rules if matches(rule, self.options.pattern))

    @cached_property
    def roots(self) -> frozenset[str]:
        """The places of the rules that lower or simplify, and are no helpers."""
        return frozenset(rule.place for rule in self.rules if rule.term in ROOTS)

    @cached_property
    def table(self) -> Table:
        """The typings that the compiler has in the widest world."""
        return self.planner.context(self.planner.worlds[-1]).table((self.options.isa,))

    @cached_property
    def operations(self) -> list[Row]:
        """What single operations there are."""
        return rows(self.table)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Each world at each level, and all extensions at the last."""
        isa, levels = self.options.isa, self.options.levels
        found = [self.planner.target(world, isa, level, ()) for world in self.planner.worlds for level in levels]
        flags = tuple(
            (name, "true")
            for name, setting in sorted(self.planner.settings_of(isa).items())
            if name.startswith("has_") and setting.kind == "bool" and not name.startswith(_WIDE)
        )
        found.append(self.planner.target(PLAIN, isa, levels[-1], (*flags, *self.planner.features(PLAIN, isa))))
        return tuple(dict.fromkeys(found))

    def tasks(self) -> list[Task]:
        """All that there is to do for the rules asked for."""
        mine = [number for number, rule in enumerate(self.rules) if rule.place in self.asked]
        named: set[str] | None = None
        if self.options.pattern:
            named = set()
            for number in mine:
                named.update(pattern.name for pattern in self._patterns(number))
                named.update(word for word in words(self.rules[number].left) if word in OPCODES)
        found = [Task(TYPING, (n,)) for n, row in enumerate(self.operations) if named is None or row.op in named]
        found += [Task(TEXT, tuple(range(at, min(at + 16, len(TEXTS))))) for at in range(0, len(TEXTS), 16)]
        return found + [Task(RULE, tuple(mine[at : at + 4])) for at in range(0, len(mine), 4)]

    def _patterns(self, number: int) -> Sequence[Op]:
        known = self.planner.rules
        return known.patterns(number) if known is not None else ()

    @cached_property
    def trials(self) -> Trials:
        """What runs counterexamples."""
        return Trials(self.planner.open_compiler(), self.planner.runners)

    def ran(self, made: Made, verdict: Verdict) -> Ran:
        """What the run of a refuted instance shows; the same code is run once."""
        name = digest(made.key)
        if name not in self.runs:
            self.runs[name] = self.trials.run(made, verdict)
        return self.runs[name]

    # -- one task

    def factory(self) -> Factory:
        """What compiles instances for all targets."""
        return Factory(self.planner.open_compiler(), self.targets, frozenset(rule.place for rule in self.rules))

    def do(self, task: Task, /) -> Proofs:
        """What comes of a task."""
        factory = self.factory()
        chooser = Chooser(self.options.most, self.asked.__contains__)
        run = Proving(self, factory)
        for number in task.numbers:
            if task.kind == RULE:
                chosen = self._for_rule(factory, number, run.proofs)
            elif task.kind == TEXT:
                chosen = self._of_text(factory, chooser, number)
            else:
                chosen = self.of_typing(factory, chooser, self.operations[number])
            for made in chosen:
                run.prove(made)
        run.proofs.compiled, run.proofs.refused = factory.compiled, factory.refused
        return run.proofs

    def of_typing(self, factory: Factory, chooser: Chooser, row: Row) -> Iterator[Made]:
        """Instances of one operation: with plain operands always; the rest as far as there is room."""
        made = factory.recipes(self.table, list(of_row(self.table, row)))
        if not any(one for instances in made for one in instances):
            return
        every = [one for instances in made for one in instances if one is not None]
        yield from (one for one in every if one.recipe and not one.recipe.choices and chooser.takes(one, always=True))
        yield from (one for one in edges(factory, self.table, made) if chooser.takes(one))
        yield from (one for one in every if chooser.takes(one))

    def _for_rule(self, factory: Factory, number: int, proofs: Proofs) -> Iterator[Made]:
        """Instances made of a rule's left-hand side, and in which it fires."""
        known, place = self.planner.rules, self.rules[number].place
        if known is None:
            return
        chooser, fired = Chooser(self.options.most, place.__eq__, self.roots), False
        for turns in (PROGRAMS, TURNS):
            recipes = list(of_rule(self.table, known, number, turns))
            proofs.tried[place] += len(recipes)
            for instances in factory.recipes(self.table, recipes):
                for made in instances:
                    if made is not None and place in made.fired:
                        fired = True
                        if chooser.takes(made):
                            yield made
            if fired:
                break

    def _of_text(self, factory: Factory, chooser: Chooser, number: int) -> Iterator[Made]:
        """One of the programs that are written down."""
        made = factory.written(parse_module(TEXTS[number]).functions[0], TEXTS[number])
        yield from (one for one in made if one is not None and chooser.takes(one, always=True))


@dataclass(slots=True)
class Proving:
    """The proofs of one task, counted for each rule that fired."""

    shop: Workshop
    factory: Factory
    proofs: Proofs = field(default_factory=Proofs)
    gave_up: int = 0
    ran: int = 0

    def prove(self, made: Made) -> str:
        """Proves an instance and counts it; the kind of its verdict, REFUTED only if a run shows it."""
        name = digest(made.key)
        verdict = self.shop.kept.get(name)
        if verdict is None:
            verdict = self._compared(made)
            self.shop.kept.put(name, verdict)
        else:
            self.proofs.again += 1
        return self._count(made, verdict)

    def _compared(self, made: Made) -> Verdict:
        start = process_time()
        effort = _EFFORT if self.gave_up < _GIVE_UPS else _LESS
        found: list[Verdict] = []
        fault = own_fault(lambda: found.append(self.shop.comparing(made.target, made.function, made.code, effort)))
        verdict = found[0] if found else Verdict(OURS, fault)
        spent = process_time() - start
        self.proofs.instances += 1
        self.proofs.seconds += spent
        self.proofs.solving += spent * (verdict.kind != "equal")
        self.gave_up += verdict.why == "z3 gives up"
        return verdict

    def refute(self, made: Made, kind: str, text: str, is_new: bool) -> None:
        """Says of an instance what a run has shown. `is_new`: it was counted as proven, else as undecided."""
        rules = tuple(sorted(made.fired))
        for place in rules:
            self.proofs.seen[place].bad += is_new
        if not is_new and self.proofs.bad and self.proofs.bad[-1].text == made.text:
            self.proofs.bad.pop()
        bad = Bad(kind, "a run is wrong", made.target, made.text, made.code.code.hex(), (), rules, text)
        self.proofs.bad.append(bad)

    def _count(self, made: Made, verdict: Verdict) -> str:
        rules = tuple(sorted(made.fired))
        typing, category = _about(made)
        for place in rules:
            seen = self.proofs.seen.setdefault(place, Seen())
            seen.equal += verdict.kind == "equal"
            seen.proven += verdict.kind == "proven"
            seen.bad += verdict.kind not in ("equal", "proven")
            seen.typings[typing] += 1
            seen.categories[category] += 1
        if verdict.kind not in ("equal", "proven"):
            ran = Ran(verdict.kind, verdict.why if verdict.kind == OURS else "")
            if verdict.examples:
                ran = self._ran(made, verdict)
            code = made.code.code.hex()
            bad = Bad(ran.kind, verdict.why, made.target, made.text, code, verdict.inputs, rules, ran.text, ran.fault)
            self.proofs.bad.append(bad)
            return ran.kind
        return verdict.kind

    def _ran(self, made: Made, verdict: Verdict) -> Ran:
        """What the run of a counterexample shows; of a task's many, the first ones are run."""
        if self.ran >= _RUNS:
            return Ran(UNRUN, ENOUGH)
        self.ran += 1
        return self.shop.ran(made, verdict)


def _about(made: Made) -> tuple[str, str]:
    """An instance's typing and category."""
    if made.recipe is None:
        return "text", CATEGORIES[4]
    row = made.recipe.node.row
    types = (*row.args, *row.results)
    if OPCODES[row.op].family in ACCESSES:
        return row.key, CATEGORIES[2]
    if any(ty.is_float for ty in types):
        return row.key, CATEGORIES[3]
    return row.key, CATEGORIES[1 if any(ty.is_vector for ty in types) else 0]


def matches(rule: Rule, pattern: str) -> bool:
    """Whether a pattern asks for a rule: by part of its file, by file:line, by its term, by a word of its left side."""
    if not pattern or pattern in rule.file or pattern in (rule.term, rule.part):
        return True
    if ":" in pattern:
        return rule.place == pattern or rule.place.endswith("/" + pattern)
    return pattern in words(rule.left)
