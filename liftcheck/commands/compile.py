"""Compiles a file for an ISA and prints the machine code: disassembly, the CLIF line that each instruction comes from,
relocations, call sites and traps with their codes.
"""

from __future__ import annotations

import argparse

from liftcheck.commands import options


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .clif file, or - for standard input")
    options.add_isa(parser, "compile for this ISA (default: all four)")
    parser.add_argument("--function", metavar="NAME", help="only this function")
    options.add_compiler(parser)
    options.add_opt(parser, "speed")
    options.add_settings(parser)
    parser.add_argument("--vcode", action="store_true", help="the compiler's own text of its instructions as well")
    parser.add_argument("--clif", action="store_true", help="the optimized CLIF as well")
    parser.add_argument("--rules", action="store_true", help="the ISLE rules that matched as well")
    options.add_json(parser)
