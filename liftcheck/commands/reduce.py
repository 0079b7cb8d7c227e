"""Makes a finding's program smaller while it still disagrees in the same way, and writes the result into its folder."""

from __future__ import annotations

import argparse

from liftcheck.commands import options


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("finding", metavar="FINDING", help="a finding's folder")
    parser.add_argument("--time", type=options.duration, default=60.0, metavar="DURATION",
                        help="give up making it smaller after this long (default: 60s)")
    options.add_json(parser)
