"""`liftcheck verify --changed`: what a change of a compiler's rules does, proven and run.

The one idea: sources are compared first, without a compiler; only if rules differ both are opened (built, if they must
be), and instances of what differs are compiled by both (`changed`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liftcheck.campaign.prove.changed import ChangedWork, Compared, tasks
from liftcheck.campaign.prove.changes import Change, Changes, changes, side
from liftcheck.campaign.prove.run import run_tasks
from liftcheck.campaign.prove.work import ProveOptions, Workshop
from liftcheck.campaign.report.rule_proofs import Bad, RuleVerdict, document, exit_code, verdicts
from liftcheck.clif.opcodes import OPCODES
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import Unavailable, Unsupported
from liftcheck.generators.unfold import ROOTS
from liftcheck.isle import sources as isle
from liftcheck.isle.sources import Rule, words


@dataclass(slots=True)
class IsaReport:
    """What a change does on one ISA. `seconds` are those after both compilers were opened."""

    isa: str
    changes: Changes
    compared: Compared
    found: list[RuleVerdict]
    seconds: float

    @property
    def exit_code(self) -> int:
        """1 if a rule is refuted, or something is not compiled any more; 3 if something is not confirmed."""
        return 1 if self.compared.refused else exit_code(self.compared.proofs, self.found)

    def rules(self, which: Counter[str], now: bool) -> list[tuple[Rule, int]]:
        """Rules by what they say, with how often: lowerings and simplifications before helpers, the frequent first."""
        one = self.changes.now if now else self.changes.before
        named = {one.same[rule.place]: rule for rule in one.rules}
        found = [(named[text], count) for text, count in which.most_common() if text in named]
        return sorted(found, key=lambda pair: pair[0].term not in ROOTS)


@dataclass(slots=True)
class ChangedReport:
    """What a change does. `isas`: those whose rules differ."""

    compiler: str
    against: str
    isas: list[IsaReport]
    seconds: float

    @property
    def exit_code(self) -> int:
        """The worst of all ISAs': 1 before 3."""
        codes = [one.exit_code for one in self.isas]
        return 1 if 1 in codes else max(codes, default=0)

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "compiler": self.compiler,
            "against": self.against,
            "seconds": round(self.seconds, 2),
            "isas": {one.isa: _document(one, self.compiler) for one in self.isas},
        }


def _document(one: IsaReport, compiler: str) -> dict[str, Any]:
    seen, differs = one.compared, one.changes
    return {
        **document(seen.proofs, one.found, compiler, one.isa, one.seconds),
        "changes": [_change(change) for change in (*differs.direct, *differs.gone, *differs.callers)],
        "other_files": list(differs.others),
        "compared": seen.instances,
        "other_code": seen.other_code,
        "other_rules": seen.other_rules,
        "fires_now": [{"rule": rule.place, "instances": n} for rule, n in one.rules(seen.gained, True)],
        "fires_no_more": [{"rule": rule.place, "instances": n} for rule, n in one.rules(seen.lost, False)],
        "runs": seen.runs,
        "runs_agreed": seen.agreed,
        "runs_open": dict(seen.open_runs.most_common()),
        "refused": [{"isa": r.target.isa, "settings": dict(r.target.settings), "clif": r.text} for r in seen.refused],
    }


def _change(change: Change) -> dict[str, Any]:
    rule = change.rule
    return {"kind": change.kind, "file": rule.file, "line": rule.line, "term": rule.term, "what": change.what}


def verify_changed(
    options: ProveOptions, against: str, isas: Sequence[str], say: Callable[[str], None] = lambda _: None
) -> ChangedReport:
    """Verifies what differs from the compiler `against`, on those of some ISAs whose rules do. Unavailable without the
    sources of both, Unsupported of compilers that do not say which rules fire."""
    started = time.monotonic()
    now, before = builds.source_of(options.compiler), builds.source_of(against)
    sources = [_source(one.version, one.spec) for one in (before, now)]
    differing = []
    for isa in isas:
        differs = changes(*(side(source, isa) for source in sources))
        counted = (
            f"{len(differs.direct)} rules differ, {len(differs.callers)} call what differs, {len(differs.gone)} gone"
        )
        say(f"{isa}: {counted}")
        if differs:
            differing.append((isa, differs))
    reports = []
    for isa, differs in differing:
        open_compiler(before.spec).settings(isa)  # built now, so that it counts as no part of the work
        reports.append(_verified(replace(options, isa=isa, compiler=now.spec), before.spec, differs, say))
    return ChangedReport(now.spec, before.spec, reports, time.monotonic() - started)


def _source(version: str, spec: str) -> Path:
    found = isle.find(version, spec)
    if found is None:
        raise Unavailable(
            f"the sources of {spec} are not on this machine: `liftcheck compiler add {spec}` fetches them"
        )
    return found


def _verified(options: ProveOptions, against: str, differs: Changes, say: Callable[[str], None]) -> IsaReport:
    shop = Workshop(options)
    try:
        if not shop.planner.traces_rules:
            raise Unsupported(f"{options.compiler} does not say which rules fire (Cranelift 0.130 and newer do)")
        todo, began = tasks(differs, shop, sorted(_opcodes(differs))), time.monotonic()
    finally:
        shop.close()
    say(f"{options.isa}: {len(todo):,} tasks")
    found = Compared()
    run_tasks(ChangedWork(options, against, differs), options.jobs, todo, say, found.proofs, found.add)
    new = {differs.now.same[rule.place]: rule for rule in differs.now.rules}
    by_place = {rule.place: rule for rule in differs.now.rules}
    direct = {change.rule.place for change in differs.direct}
    gained = {new[text].place for text in found.gained}
    roots = {place for place in gained if by_place[place].term in ROOTS}
    found.proofs.bad = [_blamed(bad, (direct, roots, gained)) for bad in found.proofs.bad]
    rules = [rule for rule in differs.now.rules if rule.place in direct | gained | found.touched]
    return IsaReport(options.isa, differs, found, verdicts(found.proofs, rules, {}), time.monotonic() - began)


def _blamed(bad: Bad, suspects: Sequence[set[str]]) -> Bad:
    """An instance that is not proven as the matter of what changed: of the rules that differ themselves if any fired,
    else of lowerings and simplifications that fire now and did not, else of helpers that do."""
    for some in suspects:
        if mine := tuple(place for place in bad.rules if place in some):
            return bad._replace(rules=mine)
    return bad


def _opcodes(differs: Changes) -> Iterator[str]:
    """The opcodes in left-hand sides of what differs itself."""
    for change in (*differs.direct, *differs.gone):
        yield from (word for word in set(words(change.rule.left)) if word in OPCODES)
