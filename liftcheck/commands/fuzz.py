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
    options.add_jobs(parser)
    parser.add_argument("--profile", action="append", metavar="NAME",
                        help="generate only this profile's programs; repeatable (default: all profiles)")
    parser.add_argument("--no-sweep", action="store_true",
                        help="only the settings of --set and --opt (default: batches draw more settings of their own)")
    parser.add_argument("--reduce", type=options.duration, default=20.0, metavar="DURATION",
                        help="make each finding smaller for at most this long (default: 20s)")
    parser.add_argument("--out", default="findings", metavar="DIR", help="folder for findings (default: %(default)s)")
    options.add_json(parser)
