"""`liftcheck verify --rules`: all instances of an ISA's rules proven, and the verdict on each rule.

The one idea: tasks are spread over workers, what they give is summed up, and verdicts are made of the sum.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from liftcheck.campaign.execute.base import Death, Done, Work, spread
from liftcheck.campaign.execute.local import local
from liftcheck.campaign.prove.work import RULE, ProveOptions, ProveWork, Task, Workshop
from liftcheck.campaign.report.cold_rules import reasons
from liftcheck.campaign.report.rule_proofs import (
    NOT_REACHED,
    REFUTED,
    Proofs,
    RuleVerdict,
    alike,
    document,
    exit_code,
    verdicts,
)
from liftcheck.errors import Unavailable, Unsupported, UsageError
from liftcheck.isle import sources as isle

T = TypeVar("T", bound=tuple[Any, ...])
A = TypeVar("A")

_EVERY: Final = 20.0
"""Seconds between two lines of progress."""


@dataclass(slots=True)
class RuleReport:
    """What is known of the rules of one ISA."""

    compiler: str
    version: str
    isa: str
    proofs: Proofs
    found: list[RuleVerdict]
    seconds: float

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return document(self.proofs, self.found, self.compiler, self.isa, self.seconds)

    @property
    def exit_code(self) -> int:
        """1 if a rule is refuted, 3 if something is ours."""
        return exit_code(self.proofs, self.found)


def prove_rules(options: ProveOptions, say: Callable[[str], None] = lambda _: None) -> RuleReport:
    """Proves the instances of the rules that the options ask for. UsageError if there is no such rule, Unavailable
    without the rules' sources, Unsupported of a compiler that does not say which rules fire."""
    started, shop = time.monotonic(), Workshop(options)
    try:
        compiler = shop.planner.open_compiler()
        if not shop.rules:
            raise Unavailable(f"the sources of {compiler.name} are not on this machine: its rules are not known")
        if not shop.planner.traces_rules:
            raise Unsupported(f"{compiler.name} does not say which rules fire (Cranelift 0.130 and newer do)")
        asked = [rule for rule in shop.rules if rule.place in shop.asked]
        if not asked:
            raise UsageError(
                f"no rule of {compiler.name} on {options.isa} is named by {options.pattern!r}: a part of a file's name,"
                " file:line, a term, or a word of the left-hand side"
            )
        tasks, why = shop.tasks(), _reasons(shop, compiler.version, compiler.name)
    finally:
        shop.close()
    say(f"{compiler.name}, {options.isa}: {len(asked):,} rules, {len(tasks):,} tasks")
    proofs = Proofs()
    run_tasks(ProveWork(options), options.jobs, tasks, say, proofs, proofs.add, _size)
    return RuleReport(
        compiler.name, compiler.version, options.isa, proofs, verdicts(proofs, asked, why), time.monotonic() - started
    )


def _reasons(shop: Workshop, version: str, name: str) -> Mapping[str, str]:
    """Why rules are out of reach, as far as sources tell: here no runner is needed, only a setting that there is."""
    source = isle.find(version, name)
    if source is None:
        return {}
    known = shop.planner.settings_of(shop.options.isa)
    read = isle.read_below(source, (shop.options.isa,))
    found = reasons(
        read, lambda _, setting: setting in known or not setting.startswith("has_"), isle.rust_below(source)
    )
    return {place: why.replace("which no runner here runs", "which it has not") for place, why in found.items()}


def run_tasks(
    work: Work[T, A],
    jobs: int,
    tasks: Sequence[T],
    say: Callable[[str], None],
    proofs: Proofs,
    add: Callable[[A], None],
    size: Callable[[T], float] = lambda _: 0.0,
) -> None:
    """Spreads tasks over processes and adds up what they give (`add`, of which `proofs` is a part), with a line of
    progress now and then."""
    progress = _Progress(len(tasks), say)

    def take(event: Done[T, A] | Death[T]) -> None:
        if isinstance(event, Done):
            add(event.answer)
        elif event.task is not None:
            proofs.lost.append(f"{' '.join(map(str, event.task))}: no verdicts: its worker died twice: {event.why}")
        progress.step(proofs)

    spread(local(work, min(jobs, len(tasks))), tasks, take, size)


def _size(task: Task) -> float:
    """Rules last: what single operations fire is known by then to whoever watches."""
    return 0.0 if task.kind == RULE else 1.0


class _Progress:
    """Says how far things are."""

    def __init__(self, tasks: int, say: Callable[[str], None]) -> None:
        self.tasks: Final = tasks
        self.say: Final = say
        self.done = 0
        self._began = self._said = time.monotonic()

    def step(self, proofs: Proofs) -> None:
        """One more task is done."""
        self.done += 1
        now = time.monotonic()
        if now - self._said < _EVERY:
            return
        self._said, spent = now, now - self._began
        left = spent / self.done * (self.tasks - self.done)
        self.say(
            f"{self.done:,} of {self.tasks:,} tasks, {len(proofs.seen):,} rules ({len(proofs.seen) / spent:.1f}/s), "
            f"{proofs.instances:,} instances ({proofs.instances / spent:.0f}/s), "
            f"{sum(bad.kind == REFUTED for bad in proofs.bad)} refuted; about {left / 60:.0f} min left"
        )


def unreached(report: RuleReport) -> dict[str, int]:
    """Why rules were not reached, with how many."""
    return dict(Counter(alike(one.why) for one in report.found if one.verdict == NOT_REACHED).most_common())
