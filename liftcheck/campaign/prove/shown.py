"""What a change does, for people: which rules differ, which fire now and did not, what was compared and run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from liftcheck.campaign.prove.compare import IsaReport

_MANY: Final = 12


def listed(one: IsaReport, every: bool) -> Iterator[str]:
    """The rules that differ; those that call what differs by what that is, or each of them."""
    yield f"{one.isa}: rules that differ"
    for change in (*one.changes.direct, *one.changes.gone):
        yield f"  {change.kind:<8} {change.rule.place} {change.rule.term}: {change.what}"
    if every:
        for change in one.changes.callers:
            yield f"  {change.kind:<8} {change.rule.place} {change.rule.term}: {change.what}"
        return
    counts = Counter(change.what for change in one.changes.callers).most_common()
    for what, count in counts[:_MANY]:
        yield f"  {count:>4} rules call {what}"
    if len(counts) > _MANY:
        rest = sum(count for _, count in counts[_MANY:])
        yield f"  {rest:>4} rules call {len(counts) - _MANY} more (--every lists them)"


def done(one: IsaReport) -> Iterator[str]:
    """What was compared, proven and run."""
    seen = one.compared
    for title, rules in (
        ("fires now where it did not", one.rules(seen.gained, True)),
        ("fires no more where it did", one.rules(seen.lost, False)),
    ):
        for rule, count in rules[:_MANY]:
            yield f"{title}: {rule.place} {rule.term}, in {count:,} instances"
        if len(rules) > _MANY:
            yield f"{title}: {len(rules) - _MANY} rules more"
    for regress in seen.refused[:1]:
        yield f"NOT COMPILED ANY MORE: {len(seen.refused):,} instances, the first on {regress.target}\n{regress.text}"
    yield (
        f"{seen.instances:,} instances compiled by both: {seen.other_code:,} with other code, {seen.other_rules:,} by"
        f" other rules; {seen.proofs.instances + seen.proofs.again:,} proven one by one, {seen.runs:,} run,"
        f" {seen.agreed:,} of them as the reference says; {one.seconds:.0f} s after the build"
    )
    for reason, count in seen.open_runs.most_common(_MANY):
        yield f"  {count:>6,} runs are undecided: {reason}"
    if one.changes.others:
        yield f"other Rust differs, in what no rule names: {', '.join(one.changes.others)}"
