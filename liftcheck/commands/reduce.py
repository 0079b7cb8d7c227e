"""Makes a finding's program smaller while it still disagrees in the same way, and writes the result into its folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftcheck.commands import options, output


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("finding", metavar="FINDING", help="a finding's folder")
    parser.add_argument(
        "--time",
        type=options.duration,
        default=60.0,
        metavar="DURATION",
        help="give up making it smaller after this long (default: 60s)",
    )
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Reduces one finding."""
    from liftcheck.campaign.findings.replay import reduce_again
    from liftcheck.campaign.findings.store import load
    from liftcheck.campaign.reduce.engine import size

    before = size(load(Path(args.finding)).case)
    finding, place = reduce_again(Path(args.finding), args.time)
    after = size(finding.case)
    if args.json:
        output.print_json(
            "reduce",
            {"folder": str(place), "before": before, "after": after, "class": finding.klass, "note": finding.note},
        )
    else:
        print(f"{place}: {before} lines before, {after} now")
        if finding.note:
            print(finding.note)
    return 0
