"""Prints which (opcode, type) a compiler can compile on an ISA and which it lacks, as one table.

The compiler is asked once per build; the answer is cached and is what the generator draws from. A missing lowering is a
row here and not a finding.
"""

from __future__ import annotations

import argparse

from liftcheck.commands import options


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_isa(parser, "ask for this ISA (default: all four)")
    options.add_compiler(parser)
    options.add_settings(parser)
    parser.add_argument("--opcode", action="append", metavar="NAME", help="only this opcode; repeatable")
    parser.add_argument("--missing", action="store_true", help="only what an ISA lacks, with the compiler's words")
    options.add_json(parser)
