"""Prints random programs as filetests that Cranelift's own reader accepts, with right `; run:` expectations.

The same seed, profile and ISA give the same programs. The expectations come from the reference interpreter.
"""

from __future__ import annotations

import argparse

from liftcheck.commands import options


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=options.whole, default=0, metavar="N", help="seed (default: %(default)s)")
    parser.add_argument("--count", type=options.positive, default=1, metavar="N",
                        help="number of programs (default: %(default)s)")
    parser.add_argument("--profile", metavar="NAME", help="profile of the programs (default: all of them in turn)")
    options.add_isa(parser, "only what this ISA can compile (default: what all four can)")
    options.add_compiler(parser)
    parser.add_argument("--out", metavar="DIR", help="write one file a program into this folder instead of printing")
    options.add_json(parser)
