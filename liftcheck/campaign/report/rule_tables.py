"""Verdicts on rules for people: a line a rule, counts by file and category, what is refuted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from liftcheck.campaign.report.fit import Fitting
from liftcheck.campaign.report.rule_proofs import (
    PROVEN,
    REFUTED,
    UNDECIDED,
    VERDICTS,
    Bad,
    Line,
    Proofs,
    RuleVerdict,
    by_category,
    by_file,
    unconfirmed,
)

_SHOWN: Final = 3
"""Refuted instances of a rule."""
_REASONS: Final = 12


def refutations(found: Sequence[RuleVerdict]) -> Iterator[str]:
    """What is refuted, each instance once, with the rules that it is the matter of."""
    named: dict[Bad, list[str]] = {}
    for one in found:
        distinct = {bad.text: bad for bad in reversed(one.matters) if bad.kind == REFUTED}
        for bad in list(distinct.values())[-_SHOWN:]:
            named.setdefault(bad, []).append(f"{one.rule.place} {one.rule.term}")
    for bad, rules in named.items():
        inputs = ", ".join(map(hex, bad.inputs))
        yield f"REFUTED: {', '.join(rules)}\n{bad.what}, for ({inputs}): {bad.ran}\n{bad.target}\n{bad.text.rstrip()}\n"


def unproven(proofs: Proofs) -> Iterator[str]:
    """What terms refute and no run shows, each function once."""
    for bad in {bad.text: bad for bad in unconfirmed(proofs)}.values():
        inputs = ", ".join(map(hex, bad.inputs))
        yield f"{bad.kind}: {bad.what}, for ({inputs}): {bad.ran}\n{bad.target}\n{bad.text.rstrip()}\n"


def lines(found: Sequence[RuleVerdict], every: bool) -> Fitting:
    """A table with a row for each rule, or for each that is not proven."""
    rows = []
    for one in found:
        if every or one.verdict != PROVEN:
            seen = one.seen
            counts = (seen.equal + seen.proven + seen.bad, len(seen.typings), seen.equal, seen.proven, seen.bad)
            rows.append((f"{one.rule.place}", one.rule.term, *(f"{n:,}" for n in counts), one.verdict, one.why))
    columns = ("rule", "term", "instances", "typings", "equal", "by z3", "not", "verdict", "why")
    return Fitting("rules" if every else "rules that are not proven", columns, rows, frozenset(columns[2:7]))


def tables(proofs: Proofs, found: Sequence[RuleVerdict], title: str) -> RenderableType:
    """Counts by file and by category, and what was done."""
    parts: list[RenderableType] = [_counts(title, "file", by_file(found))]
    parts.append(_counts("by category", "what its instances are about", by_category(found)))
    undecided = Counter(bad.what for bad in proofs.bad if bad.kind == UNDECIDED)
    if undecided:
        parts.append(Text("undecided instances, by reason:\n" + "\n".join(_reasons(undecided))))
    faults = Counter({why: n for why, n in proofs.refused.items() if not why.startswith(("unsupported", "input"))})
    if faults:
        parts.append(Text("instances that make the compiler fail:\n" + "\n".join(_reasons(faults))))
    share = proofs.solving / proofs.seconds if proofs.seconds else 0.0
    speed = proofs.instances / proofs.seconds if proofs.seconds else 0.0
    parts.append(
        Text(
            f"{proofs.instances:,} instances proven one by one, {proofs.again:,} more by the same code, of"
            f" {proofs.compiled:,} compiled: {proofs.seconds:.0f} s of processor time, {speed:.0f} instances a second,"
            f" {share:.0%} of it on those that the normal form does not decide"
        )
    )
    return Group(*parts)


def _counts(title: str, first: str, rows: Sequence[Line]) -> Fitting:
    columns = (first, "rules", "fired", *VERDICTS)
    cells = [
        (line.name, f"{line.rules:,}", f"{line.fired:,}", *(f"{line.counts.get(name, 0):,}" for name in VERDICTS))
        for line in rows
    ]
    return Fitting(title, columns, cells, frozenset(columns[1:]))


def _reasons(counts: Counter[str]) -> Iterator[str]:
    yield from (f"  {count:>8,}  {reason}" for reason, count in counts.most_common(_REASONS))
    if rest := [count for _, count in counts.most_common()[_REASONS:]]:
        yield f"  {sum(rest):>8,}  for {len(rest)} more reasons"
