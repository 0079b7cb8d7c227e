"""Merges the folders of several campaigns into one: statistics add up, equal findings become one with the sum of their
counts.

Batches of the same seed, options and compiler that are in several folders count once. Campaigns on different compilers
or versions are told apart. The folders are only read. Exit code 1 if there are findings
that no list of known ones has (docs/known.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftcheck.commands import options, output
from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.campaign.merge import Merged, Source


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="DIR", help="the folder of a campaign (`fuzz --out`)")
    parser.add_argument("--into", metavar="DIR", help="the folder to make")
    options.add_known(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Merges; prints where each campaign came from, and the report of each compiler."""
    from liftcheck.campaign.findings import known
    from liftcheck.campaign.merge import merge
    from liftcheck.campaign.report.fuzz import show

    if args.into is None:
        raise UsageError("liftcheck merge: --into DIR: where to?")
    listed = known.gather(args.known)
    merged = merge([Path(folder) for folder in args.folders], Path(args.into))
    for report in merged.reports:
        report.known = listed
    if args.json:
        output.print_json("merge", document(merged))
        return merged.exit_code
    for source in merged.sources:
        print(line(source))
    console = output.table_console()
    for report in merged.reports:
        show(report, console)
    return merged.exit_code


def line(source: Source) -> str:
    """One campaign of the new folder, in words."""
    held = source.held
    twice = f", of which {source.repeated:,} were in several and count once" if source.repeated else ""
    where = ", ".join(str(part.folder) for part in source.parts)
    return f"{held.compiler}, seed {held.options.seed}: {source.programs:,} programs{twice}, of {where}"


def document(merged: Merged) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "into": str(merged.into),
        "campaigns": [
            {
                "compiler": source.held.compiler,
                "seed": source.held.options.seed,
                "folders": [str(part.folder) for part in source.parts],
                "programs": source.programs,
                "repeated": source.repeated,
                "seconds": round(source.held.seconds, 3),
            }
            for source in merged.sources
        ],
        "reports": [report.document() for report in merged.reports],
    }
