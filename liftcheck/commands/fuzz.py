"""Generates random CLIF programs, compiles each for every ISA and optimization level, runs the machine code and
compares it with the reference interpreter.

The same seed, version and options give the same programs and the same verdicts, whatever --jobs is. Findings are
written to the folder of --out while the campaign runs; `liftcheck replay` runs one again.
"""

from __future__ import annotations

import argparse
from typing import Final

from liftcheck.commands import options

DEFAULT_SECONDS: Final = 60.0


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_isa(parser, "fuzz this ISA (default: all four)")
    options.add_compiler(parser)
    options.add_opt(parser, "none,speed")
    options.add_settings(parser)
    options.add_runner(parser)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--time", type=options.duration, metavar="DURATION",
                        help="stop after this long: 90s, 10m, 1h30m (default: 60s)")
    length.add_argument("--cases", type=options.positive, metavar="N", help="stop after N programs")
    parser.add_argument("--seed", type=options.whole, metavar="N",
                        help="seed of the campaign (default: a new one, which is printed)")
    parser.add_argument("--jobs", type=options.positive, default=options.cores(), metavar="N",
                        help="worker processes (default: the cores, %(default)s here)")
    parser.add_argument("--profile", metavar="NAME",
                        help="generate only this profile's programs (default: all profiles)")
    parser.add_argument("--out", default="findings", metavar="DIR", help="folder for findings (default: %(default)s)")
    options.add_json(parser)
