"""What `liftcheck blame` found out about a finding, as data: what `finding.json` holds, a page and a terminal show.

The one idea: one document, plain JSON, made once (`document`); texts are made of the document, so a folder that is read
back shows what was found, whichever liftcheck found it. Every part has its answer or the reason why there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from liftcheck.campaign.findings.culprit import Culprit
from liftcheck.campaign.findings.matters import Asked, needed
from liftcheck.campaign.findings.suspect_rules import Suspicion
from liftcheck.campaign.findings.versions import Versions

Document = dict[str, Any]
SHOWN: Final = 3
"""Suspects that are shown."""
RULES: Final = 6
"""Rules of a suspect that are shown."""
_STATES: Final = {"wrong": "goes wrong too", "right": "is right", "unknown": "cannot say"}


def document(
    compiler: str, asked: Sequence[Asked], suspicion: Suspicion, culprit: Culprit, versions: Versions
) -> Document:
    """All that was found out."""
    return {
        "compiler": compiler,
        "needed": list(needed(tuple(asked))),
        "matters": [one._asdict() for one in asked],
        "stage": suspicion.stage._asdict(),
        "rules": {
            "suspects": [one._asdict() | {"rules": list(one.rules), "score": round(one.score, 3)}
                         for one in suspicion.suspects[:12]],
            "wrong": suspicion.wrong,
            "right": suspicion.right,
            "inferred": suspicion.inferred,
            "why": suspicion.why,
        },
        "instruction": culprit._asdict() | {"code": [list(row) for row in culprit.code]},
        "versions": {
            "asked": [list(row) for row in versions.asked],
            "first_bad": versions.first_bad,
            "last_good": versions.last_good,
            "last_bad": versions.last_bad,
            "fixed": versions.fixed,
            "why": versions.why,
        },
    }  # fmt: skip


def lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(heading, text) of every part, for people; texts may have several lines."""
    try:
        return [
            ("stage", _reasoned(found["stage"]["where"] or "not known", found["stage"]["why"])),
            ("rule", _rules(found["rules"])),
            ("instruction", _instruction(found["instruction"])),
            ("matters", _matters(found)),
            ("versions", _versions(found["versions"])),
        ]
    except (KeyError, TypeError, AttributeError, ValueError):
        return [("blame", "this folder's answer is from another liftcheck: run `liftcheck blame` again")]


def _reasoned(answer: str, why: str) -> str:
    return f"{answer} ({why})" if why else answer


def _rules(found: Mapping[str, Any]) -> str:
    suspects = found["suspects"]
    if not suspects:
        return _reasoned("none is suspected", found["why"])
    out = []
    for number, one in enumerate(suspects[:SHOWN]):
        rules = one["rules"]
        more = f", and {len(rules) - RULES} more" if len(rules) > RULES else ""
        wrong, right = one["wrong"], one["right"]
        counts = f"of the kinds of programs where it fired {wrong} go wrong, {right} are right"
        if found["inferred"]:
            counts = f"it fired in {wrong} kinds of programs like it, and in {right} others that are right"
        out.append(f"{'' if number == 0 else 'else '}{', '.join(rules[:RULES])}{more}: {counts}")
    like = "programs like it" if found["inferred"] else "programs that go wrong"
    seen = f"{found['wrong']} {like} and {found['right']} similar ones that are right were seen"
    return "\n".join([*out, _reasoned(seen, found["why"])])


def _instruction(found: Mapping[str, Any]) -> str:
    if not found["clif"]:
        return _reasoned("not known", found["why"])
    out = [f"{found['clif']}: {found['actual']} instead of {found['expected']}"]
    for offset, text in found["code"]:
        held = f"  <- gives it{', in ' + found['register'] if found['register'] else ''}"
        out.append(f"{offset:>6x}: {text}{held if offset == found['offset'] else ''}")
    return "\n".join([*out, *([found["why"]] if found["why"] else [])])


def _matters(found: Mapping[str, Any]) -> str:
    names = found["needed"]
    out = [", ".join(names) if names else "nothing that was changed makes it right"]
    for one in found["matters"]:
        change = f"{one['name']} {one['value']}" if one["name"] == "ISA" else _change(one["name"], one["value"])
        out.append(_reasoned(f"{change}: {_STATES[one['state']]}", one["why"]))
    return "\n".join(out)


def _change(name: str, value: str) -> str:
    return f"without {name}" if value == "without" else f"{name}={value}"


def _versions(found: Mapping[str, Any]) -> str:
    asked = ", ".join(f"{version} {_reasoned(state, why)}" for version, state, why in found["asked"])
    words = []
    good = found["last_good"]
    if found["first_bad"] and good:
        words += [f"first bad {found['first_bad']}", f"last good {good}"]
    elif found["first_bad"]:
        words += [f"bad from {found['first_bad']} on", found["why"]]
    elif found["why"]:
        words.append(found["why"])
    if found["fixed"]:
        words.append(f"fixed in {found['fixed']} (last bad {found['last_bad']})")
    return "; ".join(words) + (f"\nasked: {asked}" if asked else "")


def section(found: Mapping[str, Any]) -> str:
    """The part of a finding's page."""
    out = ["## Blame\n"]
    for heading, text in lines(found):
        first, *rest = text.split("\n")
        out.append(f"- **{heading}**: {first}")
        out += [f"    - {line.strip()}" for line in rest]
    return "\n".join([*out, ""])
