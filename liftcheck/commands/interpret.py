"""Runs a file in the reference interpreter and prints the results.

Without --function every run line of the file is run (`; run: %f(1) == 2` and `; print: %f(1)`); with it that function
is run on --args, written as in a run line: `--args '1, -2, 0x1.8p0, [1 2 3 4]'`.
"""

from __future__ import annotations

import argparse

from liftcheck.commands import options


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .clif file, or - for standard input")
    add_call(parser)
    parser.add_argument("--big-endian", action="store_true", help="memory as on s390x (default: as on the other ISAs)")
    parser.add_argument("--fuel", type=options.positive, default=100_000_000, metavar="N",
                        help="instructions before giving up on a run (default: %(default)s)")
    options.add_json(parser)


def add_call(parser: argparse.ArgumentParser) -> None:
    """`--function` and `--args`: one call instead of the file's run lines."""
    parser.add_argument("--function", metavar="NAME", help="run this function, not the file's run lines")
    parser.add_argument("--args", default="", metavar="VALUES", help="its arguments, as in a run line, commas between")
