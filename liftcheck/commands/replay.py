"""Runs a finding again from its folder and says whether it still disagrees.

Exit code 1 if it does, 0 if it no longer does. With --compiler the same program, inputs and settings are tried on
another version, which shows where a bug came in and where it was fixed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftcheck.commands import options, output


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("finding", metavar="FINDING", help="a finding's folder")
    parser.add_argument(
        "--compiler", metavar="NAME[@VERSION]", help="compile with this instead of the version that the finding names"
    )
    options.add_runner(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Replays one finding: 1 while it disagrees, 0 if it no longer does, 3 if this machine cannot say."""
    from liftcheck.campaign.findings.replay import replay

    found = replay(Path(args.finding), args.compiler, tuple(args.runner))
    if args.json:
        output.print_json("replay", found.document())
    else:
        print(found.text())
    return found.exit_code
