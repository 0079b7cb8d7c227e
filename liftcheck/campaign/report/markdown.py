"""Results as Markdown: a job's summary, or a comment on a change.

The one idea: what one acts on comes first and in full, with the program that shows it; what is only counted comes as
tables at the end. GitHub refuses a summary above 1 MiB as a whole, so findings are left out, and counted, before that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from liftcheck.campaign.report.entries import Entry, Results

LIMIT: Final = 900_000
"""Bytes: below what GitHub takes, with room for what else a step writes."""
_REASONS: Final = 20


def text(found: Results) -> str:
    """The whole page."""
    wrong = found.of("failed", "broken")
    mark = "❌" if wrong else "✅"
    end = "".join(_known(found))
    end += "".join(_table("Undecided", found.of("undecided")))
    end += "".join(_table("Skipped or refused", found.of("skipped")))
    made = [f"## {mark} liftcheck {found.command}\n\n", f"{plain(found.headline)}, {found.seconds:.0f} s"]
    made += [f", `{found.compiler}`\n\n" if found.compiler else "\n\n", *_passed(found)]
    size = sum(len(part.encode()) for part in made) + len(end.encode())
    for number, entry in enumerate(wrong):
        part = _section(entry)
        size += len(part.encode())
        if size > LIMIT:
            made.append(f"\n{len(wrong) - number} more are left out here: the page would be too long.\n\n")
            break
        made.append(part)
    return "".join([*made, end])


def _section(entry: Entry) -> str:
    where = "".join(f"`{place.file}`" + (f" line {place.line}" if place.line else "") for place in entry.places[:1])
    parts = [f"<details><summary>{plain(entry.title)}</summary>\n"]
    parts += [f"{entry.count} times, {where}\n" if entry.count > 1 else f"{where}\n" if where else ""]
    parts += [fenced(entry.text) if entry.text else "", fenced(entry.program) if entry.program else ""]
    if entry.related:
        parts.append("Rules of the compiler that have to do with it:\n")
        parts.append("\n".join(f"- `{place.file}:{place.line}` {plain(place.what)}" for place in entry.related) + "\n")
    return "\n".join([*filter(None, parts), "</details>\n\n"])


def _passed(found: Results) -> Iterator[str]:
    """What passes, as a table by ISA; not by file, since there may be thousands."""
    rows = [entry for entry in found.of("passed") if not entry.suite.endswith(".clif")]
    if rows:
        yield "| where | what |\n|---|---|\n"
        yield from (f"| {plain(entry.suite)} | {plain(entry.title)} |\n" for entry in rows)
        yield "\n"


def _known(found: Results) -> Iterator[str]:
    """Findings that are on a list, in a line each."""
    entries = found.of("known")
    if entries:
        yield "### Known findings\n\n| times | what | cause |\n|---:|---|---|\n"
        yield from (f"| {entry.count:,} | {plain(entry.title)} | {plain(entry.name)} |\n" for entry in entries)
        yield "\n"


def _table(title: str, entries: list[Entry]) -> Iterator[str]:
    if not entries:
        return
    counted: dict[str, int] = {}
    for entry in entries:
        counted[entry.rule] = counted.get(entry.rule, 0) + entry.count
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    yield f"### {title}\n\n| times | what |\n|---:|---|\n"
    yield from (f"| {count:,} | {plain(rule)} |\n" for rule, count in ordered[:_REASONS])
    if len(ordered) > _REASONS:
        yield f"| {sum(count for _, count in ordered[_REASONS:]):,} | {len(ordered) - _REASONS} more |\n"
    yield "\n"


def fenced(content: str) -> str:
    """A block of code, whatever it holds."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{content.rstrip()}\n{fence}\n"


def plain(content: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&#])", lambda found: f"&#{ord(found[1])};", " ".join(content.split()))
