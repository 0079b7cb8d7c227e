"""Results as workflow commands of GitHub Actions, which it shows as annotations of a change.

The one idea: a failure is an error at its place and everything else one summarizing notice, since GitHub shows ten
annotations of a kind for a step and drops the rest unsaid: what is left out is counted in the last one.
Sources: GitHub's "Workflow commands"; actions/toolkit `command.ts` for what is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from liftcheck.campaign.report.entries import Entry, Results

SHOWN: Final = 10
_DATA: Final = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY: Final = (*_DATA, (":", "%3A"), (",", "%2C"))


def text(found: Results) -> str:
    """One command a line."""
    return "".join(f"{line}\n" for line in lines(found))


def lines(found: Results) -> Iterator[str]:
    """The commands."""
    wrong = found.of("failed", "broken")
    for entry in wrong[:SHOWN]:
        yield _annotation(entry)
    left = len(wrong) - SHOWN
    more = f"; {left} more errors are not shown here" if left > 0 else ""
    yield command("notice", f"{found.headline}{more}", {"title": f"liftcheck {found.command}"})


def _annotation(entry: Entry) -> str:
    properties = {"title": f"liftcheck: {entry.title}"}
    if entry.places and not entry.places[0].base:
        place = entry.places[0]
        properties = {"file": _relative(place.file), "line": str(place.line or 1), **properties}
    return command("error", "\n\n".join(filter(None, [entry.text or entry.title, entry.program])), properties)


def _relative(file: str) -> str:
    """As GitHub wants it: relative to the repository, where the command ran, if it is below that."""
    path, here = Path(file).absolute(), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else file


def command(name: str, data: str, properties: dict[str, str]) -> str:
    """`::error file=a,line=1::text`, escaped."""
    joined = ",".join(f"{key}={escaped(value, _PROPERTY)}" for key, value in properties.items())
    return f"::{name} {joined}::{escaped(data, _DATA)}"


def escaped(content: str, table: tuple[tuple[str, str], ...]) -> str:
    """The text with each character of the table replaced; `%` comes first there."""
    for character, code in table:
        content = content.replace(character, code)
    return content
