"""Compiles a file for an ISA, links it, runs it there and prints the results beside the reference interpreter's.

Without --function every run line of the file is run; with it that function on --args. Exit code 1 if a result differs
from the reference or from the run line's expectation.
"""

from __future__ import annotations

import argparse

from liftcheck.commands import interpret, options


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .clif file, or - for standard input")
    options.add_isa(parser, "run on this ISA (default: all four)")
    interpret.add_call(parser)
    options.add_compiler(parser)
    options.add_opt(parser, "speed")
    options.add_settings(parser)
    options.add_runner(parser)
    options.add_json(parser)
