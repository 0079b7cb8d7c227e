"""Runs a finding again from its folder and says whether it still disagrees.

Exit code 1 if it still does, 0 if it no longer does. With --compiler the same program, inputs and settings meet
another version: so one learns where a bug came in and where it was fixed.
"""

from __future__ import annotations

import argparse

from liftcheck.commands import options


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("finding", metavar="FINDING", help="a finding's folder")
    parser.add_argument("--compiler", metavar="NAME[@VERSION]",
                        help="compile with this instead of the version that the finding names")
    options.add_runner(parser)
    options.add_json(parser)
