"""One task of `liftcheck verify --changed`: instances compiled by two compilers, of which those are proven and run that
a change has to do with.

The one idea: a change shows in what the compiler does, so the same instances are compiled by both, and the rules that
fired are compared by what they say (`changes`). What differs in code or in rules is proven whatever rule did it, so a
rule that another one's priority exposes has a verdict though nobody touched it; of instances in which a changed rule
fires a few are proven in any case. What neither has to do with is as right as it was, and is only counted.
The chosen instances are run, too, beside the reference, with inputs that are drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Final, NamedTuple

from liftcheck import layout
from liftcheck.campaign.execute.base import Work, Worker
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.prove.changes import Changes
from liftcheck.campaign.prove.made import Factory, Made, edges
from liftcheck.campaign.prove.work import PROGRAMS, TURNS, ProveOptions, Proving, Workshop
from liftcheck.campaign.report.rule_proofs import OURS, REFUTED, Proofs
from liftcheck.case import Case, Target
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.values import runtime_table
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.registry import open_compiler
from liftcheck.generators.instances import Recipe, of_rule
from liftcheck.generators.instances import of_typing as of_row
from liftcheck.generators.lefthand import Rules
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.classes import class_of
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally

NOW, BEFORE, ROW = "rule", "rule that was", "operation"
"""Kinds of tasks: programs of a rule's left-hand side, of one that was, and of an operation."""
_RUNS: Final = 16
"""Inputs of an instance that is run."""


class ChangedTask(NamedTuple):
    """`number`: of a rule in its source's list, or of an operation."""

    kind: str
    number: int


class Regress(NamedTuple):
    """An instance that was compiled before and is not any more."""

    target: Target
    text: str


@dataclass(slots=True)
class Compared:
    """What tasks have seen: `proofs` of what was chosen; instances on targets that both compiled, those whose code and
    those whose rules differ; how often a rule, by what it says, fires now and did not, and the other way round; runs of
    chosen instances, and how many of them cannot be judged."""

    proofs: Proofs = field(default_factory=Proofs)
    instances: int = 0
    other_code: int = 0
    other_rules: int = 0
    gained: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    touched: set[str] = field(default_factory=set)
    refused: list[Regress] = field(default_factory=list)
    runs: int = 0
    agreed: int = 0
    open_runs: Counter[str] = field(default_factory=Counter)

    def add(self, other: Compared) -> None:
        """Adds what another task has seen."""
        self.proofs.add(other.proofs)
        self.instances += other.instances
        self.other_code += other.other_code
        self.other_rules += other.other_rules
        self.gained.update(other.gained)
        self.lost.update(other.lost)
        self.touched |= other.touched
        self.refused += other.refused
        self.runs += other.runs
        self.agreed += other.agreed
        self.open_runs.update(other.open_runs)


@dataclass(frozen=True)
class ChangedWork(Work[ChangedTask, Compared]):
    """The tasks of one ISA. `against` opens the other compiler."""

    options: ProveOptions
    against: str
    changes: Changes

    def open(self) -> Worker[ChangedTask, Compared]:
        return ChangedShop(self.options, self.against, self.changes)


class Pair(NamedTuple):
    """An instance by both; `gained`: what rules say that fire now and did not, `lost` the other way round."""

    now: Made
    before: Made | None
    gained: frozenset[str]
    lost: frozenset[str]

    @property
    def has_other_code(self) -> bool:
        return self.before is None or self.before.key != self.now.key


class ChangedShop:
    """Compares, proves and runs with two compilers."""

    def __init__(self, options: ProveOptions, against: str, changes: Changes) -> None:
        self.shop: Final = Workshop(options)
        self.changes: Final = changes
        self.other: Final[Compiler] = open_compiler(against)
        self.direct: Final = frozenset(change.rule.place for change in changes.direct)
        self.callers: Final = frozenset(change.rule.place for change in changes.callers)

    def close(self) -> None:
        """Ends both compilers and the runners."""
        self.other.close()
        self.shop.close()

    @cached_property
    def targets(self) -> list[Target]:
        """The targets for the other compiler: without settings that it has not."""
        known = self.other.settings(self.shop.options.isa)
        return [
            Target(one.isa, tuple(s for s in one.settings if s[0] in known and known[s[0]].takes(s[1])))
            for one in self.shop.targets
        ]

    @cached_property
    def factories(self) -> tuple[Factory, Factory]:
        """What compiles by this one, and by the other."""
        before = self.changes.before
        return self.shop.factory(), Factory(self.other, self.targets, frozenset(before.same))

    @cached_property
    def former(self) -> Rules:
        """The other one's rules as shapes of programs."""
        return self.changes.before.shapes(self.shop.options.isa)

    @cached_property
    def desk(self) -> Investigator:
        """What runs instances."""
        return Investigator(
            Judge(self.shop.planner.open_compiler(), self.shop.planner.runners), self.shop.planner.runners
        )

    def do(self, task: ChangedTask, /) -> Compared:
        """What comes of a task."""
        found, counts = Compared(), Counter[tuple[object, ...]]()
        run = Proving(self.shop, self.factories[0], found.proofs)
        seen: set[tuple[object, ...]] = set()
        compiled = self.factories[0].compiled
        for pair in self._pairs(task, found):
            key = self._chosen(pair)
            if key is None:
                continue
            found.touched |= pair.now.fired & (self.callers | self.direct)
            if pair.now.key in seen or counts[key] >= self.shop.options.most:
                continue
            seen.add(pair.now.key)
            counts[key] += 1
            self._judge(pair.now, run, found)
        found.proofs.compiled = self.factories[0].compiled - compiled
        return found

    def _chosen(self, pair: Pair) -> tuple[object, ...] | None:
        """The kind of an instance of which a few are proven; None of what the change has nothing to do with."""
        direct = pair.now.fired & self.direct
        if not direct and not pair.has_other_code and not pair.gained and not pair.lost:
            return None
        recipe = pair.now.recipe
        typing = recipe.typing if recipe is not None else ""
        return typing, direct, pair.gained, pair.lost, pair.has_other_code, pair.now.target

    # -- what is compared

    def _pairs(self, task: ChangedTask, found: Compared) -> Iterator[Pair]:
        """The instances of a task, compiled by both. More are made of a rule whose first ones do not fire it."""
        former = task.kind == BEFORE
        place = self._place(task)
        for recipes in self._recipes(task):
            fired = False
            now, before = (one.recipes(self.shop.table, recipes) for one in self.factories)
            for mine, others in zip(now, before):
                for one, other in zip(mine, others):
                    fired = fired or any(
                        made is not None and place in made.fired for made in (other if former else one,)
                    )
                    if one is not None:
                        yield self._pair(one, other, found)
                    elif other is not None:
                        found.refused.append(Regress(other.target, other.text))
            if fired:
                return

    def _pair(self, now: Made, before: Made | None, found: Compared) -> Pair:
        new, old = self.changes.now.same, self.changes.before.same
        mine = frozenset(new[place] for place in now.fired if place in new)
        other = mine if before is None else frozenset(old[place] for place in before.fired if place in old)
        pair = Pair(now, before, mine - other, other - mine)
        found.instances += 1
        found.other_code += pair.has_other_code
        found.other_rules += bool(pair.gained or pair.lost)
        found.gained.update(pair.gained)
        found.lost.update(pair.lost)
        return pair

    def _place(self, task: ChangedTask) -> str:
        """Of the rule that a task is about; '' of an operation's."""
        rules = {NOW: self.shop.rules, BEFORE: self.changes.before.rules}.get(task.kind, ())
        return rules[task.number].place if rules else ""

    def _recipes(self, task: ChangedTask) -> Iterator[list[Recipe]]:
        """Instances, in portions: another one only if the one before does not fire the rule."""
        table = self.shop.table
        if task.kind == ROW:
            recipes = list(of_row(table, self.shop.operations[task.number]))
            yield recipes
            made = self.factories[0].recipes(table, recipes)
            more = (one.recipe for one in edges(self.factories[0], table, made))
            yield list(dict.fromkeys(one for one in more if one is not None and one not in recipes))
            return
        shapes = self.former if task.kind == BEFORE else self.shop.planner.rules
        if shapes is not None:
            for turns in (PROGRAMS, TURNS):
                yield list(of_rule(table, shapes, task.number, turns))

    # -- proofs and runs

    def _judge(self, made: Made, run: Proving, found: Compared) -> None:
        """Proves an instance, and runs it. A run that goes wrong refutes what terms leave open; where terms prove
        what a run refutes, liftcheck is wrong."""
        kind = run.prove(made)
        shown = self._ran(made, found)
        if shown and kind != REFUTED:
            ours = kind in ("equal", "proven")
            text = f"{shown}, where terms prove the code" if ours else shown
            run.refute(made, OURS if ours else REFUTED, text, is_new=ours)

    def _ran(self, made: Made, found: Compared) -> str:
        """What runs of an instance show that is wrong; '' if nothing."""
        case, tally, groups = drawn(made.function), Tally(), dict[str, list[Mismatch]]()
        for mismatch in self.desk.judge.judge([case], [made.target], tally):
            groups.setdefault(mismatch.verdict.klass, []).append(mismatch)
        found.runs += 1
        found.agreed += bool(tally.agreed)
        found.open_runs.update(reason for _, reason in (*tally.undecided, *tally.refused))
        for group in groups.values():
            for finding in self.desk.investigate(case, group, tally):
                if not class_of(finding.klass).ours:
                    return f"{finding.klass} on {', '.join(finding.runners)}"
        return ""


def drawn(function: Function) -> Case:
    """A function with inputs: boundaries and chance; of one that accesses memory 64-bit integers are addresses of its
    data region."""
    draw, rows = Random(function.name), []
    insts = [inst for block in function.blocks for inst in block.insts]
    accesses = any(OPCODES[inst.op].can_load or OPCODES[inst.op].can_store for inst in insts)
    for run in range(_RUNS if function.signature.params else 1):
        middle = layout.slot_address(run) + layout.SLOT_SIZE // 2
        rows.append(
            tuple(
                middle + 16 * draw.randrange(16)
                if accesses and param.type.is_int and param.type.bits == 64
                else draw.choice((draw.choice(runtime_table(param.type)), draw.getrandbits(param.type.bits)))
                for param in function.signature.params
            )
        )
    memories = tuple(draw.randbytes(layout.SLOT_SIZE) for _ in rows) if accesses else ()
    return Case(Module([function]), 0, tuple(rows), memories, name="an instance of a rule")


def tasks(changes: Changes, shop: Workshop, words: Sequence[str]) -> list[ChangedTask]:
    """All that there is to do: rules that differ, rules that were, what calls what differs, and the operations that
    left-hand sides of the first two name (`words`)."""
    number = {rule.place: n for n, rule in enumerate(shop.rules)}
    former = {rule.place: n for n, rule in enumerate(changes.before.rules)}
    found = [ChangedTask(NOW, number[change.rule.place]) for change in (*changes.direct, *changes.callers)]
    found += [ChangedTask(BEFORE, former[change.rule.place]) for change in changes.gone]
    return found + [ChangedTask(ROW, n) for n, row in enumerate(shop.operations) if row.op in words]
