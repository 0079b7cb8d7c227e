"""Results as SARIF 2.1.0, which GitHub's code scanning and editors read.

The one idea: a finding is a result of level error whose first location is the reduced program, and whose related
locations are rules in the compiler's `.isle` files, below a base that names the compiler's sources. One that a list
knows is suppressed. What is undecided
at a place is a result of kind 'open'; what is counted by its reason is a notification. A fingerprint is made of the
finding's key, so that a finding is the same from run to run.
Sources: the OASIS standard SARIF 2.1.0 (errata 01) and its schema.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from liftcheck.campaign.report.entries import COMPILER_SOURCE, Entry, Place, Results, explained, slug

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_BASE: Final = "%SRCROOT%"
_AS_RESULT: Final = ("failed", "known", "undecided", "broken")


def text(found: Results) -> str:
    """The whole file."""
    return json.dumps(log(found), indent=1) + "\n"


def log(found: Results) -> dict[str, Any]:
    """The document as data."""
    shown = [entry for entry in found.of(*_AS_RESULT) if entry.places or entry.state in ("failed", "known")]
    rules = list(dict.fromkeys(entry.rule for entry in shown))
    run = {
        "tool": {"driver": {"name": "liftcheck", "version": found.version, "rules": list(map(_rule, rules))}},
        "originalUriBaseIds": {_BASE: {"uri": f"{Path.cwd().as_uri()}/"}, COMPILER_SOURCE: _compiler(found)},
        "invocations": [_invocation(found, shown)],
        "results": [_result(entry, rules.index(entry.rule)) for entry in shown],
        "columnKind": "unicodeCodePoints",
        "properties": {"command": found.command, "compiler": found.compiler, "totals": dict(found.totals)},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _compiler(found: Results) -> dict[str, Any]:
    return {"description": {"text": f"the sources of cranelift-codegen that are in {found.compiler or 'the compiler'}"}}


def _rule(rule: str) -> dict[str, Any]:
    return {"id": slug(rule), "shortDescription": {"text": rule}, "fullDescription": {"text": explained(rule)}}


def _result(entry: Entry, rule: int) -> dict[str, Any]:
    is_open = entry.state == "undecided"
    made: dict[str, Any] = {
        "ruleId": slug(entry.rule),
        "ruleIndex": rule,
        "kind": "open" if is_open else "fail",
        "level": "none" if is_open else "error",
        "message": {"text": "\n\n".join(filter(None, [entry.title, entry.text]))},
        "partialFingerprints": {"liftcheckKey/v1": hashlib.sha256((entry.key or entry.name).encode()).hexdigest()},
        "occurrenceCount": max(entry.count, 1),
        "properties": {"key": entry.key, "suite": entry.suite},
    }
    if entry.state == "known":
        made["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": "on a list of known findings"}
        ]
    if entry.places:
        made["locations"] = list(map(_location, entry.places))
    if entry.related:
        made["relatedLocations"] = [{"id": n + 1, **_location(place)} for n, place in enumerate(entry.related)]
    return made


def _location(place: Place) -> dict[str, Any]:
    uri, base = uri_of(place)
    artifact = {"uri": uri, **({"uriBaseId": base} if base else {})}
    region = {"startLine": place.line, **({"startColumn": place.column} if place.column else {})}
    physical = {"artifactLocation": artifact, **({"region": region} if place.line else {})}
    return {"physicalLocation": physical, **({"message": {"text": place.what}} if place.what else {})}


def uri_of(place: Place) -> tuple[str, str]:
    """A place's file as a URI, with the base that it is relative to; ('file://…', '') if it stands below none."""
    if place.base:
        return quote(place.file), place.base
    path = Path(place.file)
    absolute = (Path.cwd() / path).resolve()
    if absolute.is_relative_to(Path.cwd().resolve()):
        return quote(absolute.relative_to(Path.cwd().resolve()).as_posix()), _BASE
    return absolute.as_uri(), ""


def _invocation(found: Results, shown: list[Entry]) -> dict[str, Any]:
    """How the command went: 2 and 3 are exit codes of a command that could not do its work."""
    return {
        "executionSuccessful": found.exit_code in (0, 1),
        "exitCode": found.exit_code,
        "toolExecutionNotifications": list(_notifications(found, shown)),
    }


def _notifications(found: Results, shown: list[Entry]) -> Iterator[dict[str, Any]]:
    levels = {"broken": "error", "undecided": "note", "skipped": "note"}
    for entry in found.of("broken", "undecided", "skipped"):
        if entry not in shown:
            text = f"{entry.suite}: {entry.title}"
            yield {"level": levels[entry.state], "message": {"text": text}, "descriptor": {"id": slug(entry.rule)}}
