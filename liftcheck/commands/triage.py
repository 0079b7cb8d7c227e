"""Sorts the findings of campaigns by their causes: class, ISA, rules or place of a panic, opcodes and types of the
reduced program, or the page that proves it.

A folder is a campaign's (`fuzz --out`) or one finding's. Findings that were not reduced, and that no page proves, have
no cause yet and are listed at the end: `liftcheck reduce` gives them one. With --write-known the causes that no list
has are added to a file for `fuzz --known` (docs/known.md): put the links in, and look at each before you excuse it.
Exit code 1 if there are causes that no list has.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftcheck.commands import options, output
from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.campaign.triage import Cause, Triage


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="DIR", help="the folder of a campaign, or of a finding")
    options.add_known(parser)
    parser.add_argument("--write-known", metavar="FILE", help="add the causes that no list has to this one")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table, or one object."""
    from liftcheck.campaign import triage
    from liftcheck.campaign.findings import known

    found = triage.triage([Path(folder) for folder in args.folders], known.gather(args.known))
    written = None
    if args.write_known is not None:
        try:
            written = triage.write(Path(args.write_known), found, datetime.date.today())
        except OSError as error:
            raise UsageError(f"cannot write {args.write_known!r}: {output.reason(error)}") from None
    if args.json:
        output.print_json("triage", {**document(found), "written": written})
    else:
        show(found)
    if written is not None:
        output.note(f"{args.write_known}: {written} causes added; put in where each is reported")
    for folder, why in found.unreadable:
        output.note(f"not a finding: {folder}: {why}")
    return int(found.new > 0)


def document(found: Triage) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "causes": [_document(cause) for cause in found.causes],
        "new": found.new,
        "unreadable": [{"folder": folder, "reason": why} for folder, why in found.unreadable],
    }


def _document(cause: Cause) -> dict[str, Any]:
    from liftcheck.campaign.triage import size

    smallest = cause.smallest
    return {
        "cause": cause.key,
        "classes": list(cause.classes),
        "isas": list(cause.isas),
        "compilers": list(cause.compilers),
        "count": cause.count,
        "known": cause.standing.entry is not None,
        "lapsed": cause.standing.why,
        "link": cause.link,
        "instructions": size(smallest.finding),
        "smallest": str(smallest.folder),
        "program": smallest.program,
        "rules": list(smallest.finding.fired),
        "blame": next((one.finding.blame for one in cause.findings if one.finding.blame is not None), None),
        "folders": [str(one.folder) for one in cause.findings],
    }


def show(found: Triage) -> None:
    """The table."""
    from liftcheck.campaign.report.fit import Fitting
    from liftcheck.campaign.triage import size

    if not found.causes:
        print("no findings")
        return
    rows = [
        (
            "known" if cause.standing.entry else "new",
            str(cause.count),
            str(len(cause.findings)),
            str(size(cause.smallest.finding)),
            cause.key or f"not reduced: {', '.join(cause.classes)} on {', '.join(cause.isas)}",
            str(cause.smallest.folder),
            cause.link or cause.standing.why or "-",
        )
        for cause in found.causes
    ]
    columns = ("", "times", "folders", "instructions", "cause", "smallest", "link")
    title = f"{len(rows)} causes, {found.new} new"
    table = Fitting(title, columns, rows, frozenset({"times", "folders", "instructions"}))
    output.table_console().print(table, crop=False)
