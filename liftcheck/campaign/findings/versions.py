"""In which published versions a finding's program goes wrong: the first bad one, the last good one, the fix.

The one idea: versions are in order, so a change of mind between two neighbours is found by halving. Asked is what is
built here; on request what would have to be built, too, each build shown and kept. A version that cannot be asked (it
refuses the program, its reader does not take it, it does not build) is passed over with its reason, so the answer is
between the nearest two that speak. A fault that came, went and came again is seen only at the ends.
It changes nothing of the program: settings that a version does not have are dropped there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.matters import State, state_on
from liftcheck.case import Target
from liftcheck.compilers.base import Compiler, innermost
from liftcheck.compilers.choice import Exactly
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.builds import numbers
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import LiftcheckError
from liftcheck.oracles.differential import Judge

BUILT: Final = "built"
ALL: Final = "all"
"""What may stand in the place of a list of versions: those that are built here; all that can be built as well."""


@dataclass(frozen=True, slots=True)
class Versions:
    """`asked`: (version, state, why it is unknown), in order. `first_bad` and `last_good` before it; `fixed` and the
    `last_bad` before that; '' where there is none. `why` what else is to be said."""

    asked: tuple[tuple[str, State, str], ...] = ()
    first_bad: str = ""
    last_good: str = ""
    fixed: str = ""
    last_bad: str = ""
    why: str = ""


def _bare(compiler: Compiler) -> Compiler:
    """The compiler without what stands around it."""
    return innermost(compiler.compiler if isinstance(compiler, Exactly) else compiler)


def candidates(wanted: str) -> list[str]:
    """The versions that a wish means: BUILT, ALL, or a list with commas."""
    built = {one.version for one in builds.listed() if one.profile == builds.FUZZ and "=" not in one.spec}
    ready = [version for version in built if builds.find(f"cranelift@{version}") is not None]
    found = ready if wanted == BUILT else [*ready, *builds.available()] if wanted == ALL else wanted.split(",")
    sources = [builds.source_of(f"cranelift@{version.strip()}").version for version in found]
    return sorted(set(sources), key=numbers)


def bisected(
    desk: Investigator, finding: Finding, wanted: str = BUILT, say: Callable[[str], None] = lambda _: None
) -> Versions:
    """Asks versions. Only for Cranelift: of another compiler no versions are known."""
    compiler = _bare(desk.judge.compiler)
    if not isinstance(compiler, Cranelift):
        return Versions(why=f"of {desk.judge.compiler.name} no published versions are known")
    own = f"cranelift@{compiler.version}" == compiler.name
    order = candidates(wanted)
    others = [version for version in order if not (own and version == compiler.version)]
    if not others:
        return Versions(why="no other version is built here; --versions all builds them")
    before = [v for v in others if numbers(v) < numbers(compiler.version) or (not own and v == compiler.version)]
    after = [v for v in others if v not in before]
    known: dict[str, tuple[State, str]] = {}

    def ask(version: str) -> State:
        if version not in known:
            say(f"asking cranelift@{version}")
            known[version] = _state(desk, finding, version)
        return known[version][0]

    good, bad = boundary(before[::-1], ask)
    fixed, last = boundary(after, ask)
    name = compiler.version if own else compiler.name
    asked = tuple((version, *known[version]) for version in order if version in known)
    return Versions(asked, bad or name, good, fixed, last or name, "" if good else _no_good(before, known))


def boundary(order: Sequence[str], ask: Callable[[str], State]) -> tuple[str, str]:
    """Of versions that lead away from a bad one: the nearest good one, and the last bad one before it ('': none)."""
    low, bad = 0, ""
    high = next((at for at in range(len(order) - 1, -1, -1) if ask(order[at]) != "unknown"), -1)
    if high < 0:
        return "", ""
    if ask(order[high]) == "wrong":
        return "", order[high]
    good = high
    while low < good:
        middle = (low + good) // 2
        speaks = next(
            (at for at in (*range(middle, good), *range(middle - 1, low - 1, -1)) if _speaks(order[at], ask)), None
        )
        if speaks is None:
            break
        if ask(order[speaks]) == "wrong":
            low, bad = speaks + 1, order[speaks]
        else:
            good = speaks
    return order[good], bad


def _speaks(version: str, ask: Callable[[str], State]) -> bool:
    return ask(version) != "unknown"


def _no_good(before: Sequence[str], known: dict[str, tuple[State, str]]) -> str:
    if not before:
        return "no older version was asked"
    if all(known[version][0] == "unknown" for version in before if version in known):
        return "no older version that was asked can say"
    return "it is as old as the oldest version that was asked"


def _state(desk: Investigator, finding: Finding, version: str) -> tuple[State, str]:
    """What a version makes of the program; it is built first if need be."""
    try:
        with Cranelift(builds.ensure(f"cranelift@{version}")) as other:
            known = other.settings(finding.target.isa)
            kept = tuple(s for s in finding.target.settings if s[0] in known and known[s[0]].takes(s[1]))
            asked = Exactly(other) if isinstance(desk.judge.compiler, Exactly) else other
            judge = Judge(asked, desk.judge.runners, dataclasses.replace(desk.judge.hooks, code=None, before=None))
            return state_on(
                Investigator(judge, desk.runners),
                dataclasses.replace(finding, target=Target(finding.target.isa, kept)),
                Target(finding.target.isa, kept),
            )
    except LiftcheckError as error:
        return "unknown", str(error).partition("\n")[0]
