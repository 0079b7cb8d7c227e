"""What of a target matters for a finding: the level, the allocator, each setting and extension, the ISA.

The one idea: one thing is changed at a time, and the finding's program is asked again. What makes no difference is not
part of the fault. A target that cannot be asked (a setting that the program needs, no runner) is said with the reason,
and is not an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import BASE_SETTINGS, NOT_RUN, Investigator
from liftcheck.campaign.findings.likeness import alike
from liftcheck.case import CompileFailure, Target
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.base import Setting, UnknownSetting
from liftcheck.compilers.choice import LEVEL
from liftcheck.errors import Unsupported
from liftcheck.isa import ISAS
from liftcheck.oracles.differential import Prepared
from liftcheck.oracles.tally import Tally

State = Literal["wrong", "right", "unknown"]
ALLOCATOR: Final = "regalloc_algorithm"


class Asked(NamedTuple):
    """One change: `name` is a setting's or 'ISA'; `value` what it becomes ('without' where it is dropped)."""

    name: str
    value: str
    state: State
    why: str = ""


def matters(desk: Investigator, finding: Finding) -> tuple[Asked, ...]:
    """What was changed, and what came of it."""
    return tuple(_asked(desk, finding))


def needed(asked: tuple[Asked, ...]) -> tuple[str, ...]:
    """The names of what makes a difference: with another value the program is right."""
    return tuple(dict.fromkeys(one.name for one in asked if one.state == "right"))


def _asked(desk: Investigator, finding: Finding) -> Iterator[Asked]:
    target, known = finding.target, desk.judge.compiler.settings(finding.target.isa)
    given = dict(target.settings)
    for name in (LEVEL, ALLOCATOR):
        for value in _values(known, name):
            if value != given.get(name, known[name].default):
                yield _one(desk, finding, name, value, _with(target, name, value))
    for name, value in target.settings:
        if name not in (LEVEL, ALLOCATOR) and not (name in known and value == known[name].default):
            yield _one(desk, finding, name, "without", _with(target, name, ""))
    shared = {name: value for name, value in given.items() if name in BASE_SETTINGS or name == LEVEL}
    for isa in ISAS:
        if isa != target.isa:
            yield _one(desk, finding, "ISA", isa, Target(isa, tuple(sorted(shared.items()))))


def _values(known: Mapping[str, Setting], name: str) -> tuple[str, ...]:
    return known[name].values if name in known else ()


def _with(target: Target, name: str, value: str) -> Target:
    kept = [setting for setting in target.settings if setting[0] != name]
    return Target(target.isa, tuple(sorted([*kept, (name, value)] if value else kept)))


def _one(desk: Investigator, finding: Finding, name: str, value: str, target: Target) -> Asked:
    return Asked(name, value, *state_on(desk, finding, target))


def state_on(desk: Investigator, finding: Finding, target: Target) -> tuple[State, str]:
    """What a finding's program does on a target, and why that is not known."""
    tally = Tally()
    try:
        if finding.row.asked == "compiled twice":
            first, second = (desk.judge.compile([finding.case], [target], tally) for _ in range(2))
            return ("wrong" if first != second else "right"), ""
        failed = finding.failure is not None
        prepared = [Prepared(print_module(finding.case.module), NOT_RUN, {})] if failed else None
        seen = desk.judge_for(finding).judge([finding.case], [target], tally, prepared=prepared)
        if failed and not seen and not tally.refused:
            made = desk.judge.compile([finding.case], [target], tally)[0][0]
            return ("unknown", "not compiled") if isinstance(made, CompileFailure) else ("right", "")
    except (UnknownSetting, Unsupported) as error:
        return "unknown", str(error)
    if any(alike(one, finding) for one in seen):
        return "wrong", ""
    if seen:
        return "unknown", f"another fault: {seen[0].verdict.klass}: {seen[0].verdict.detail.partition(chr(10))[0]}"
    if tally.agreed:
        return "right", ""
    return "unknown", "; ".join(reason for _, reason in (*tally.refused, *tally.undecided)) or "nothing ran"
