"""Assembles instructions of an ISA that has a table of instructions and prints their bytes.

TEXT is one instruction or several with ; or line ends between them, or - for standard input. `name:` is a label that
jumps and branches may name; distances are written `. + 8`. # begins a comment.
"""

from __future__ import annotations

import argparse
import sys

from liftcheck.commands import options, output
from liftcheck.errors import UsageError


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="instructions, or - for standard input")
    parser.add_argument("--isa", type=options.one_isa, required=True, metavar="ISA", help="whose instructions they are")
    parser.add_argument("--hex", action="store_true", help="print the bytes alone, on one line")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each instruction; 2 if there is one that is none."""
    from liftcheck.isa import ISAS
    from liftcheck.isa.base import isa_named
    from liftcheck.mach.rows.program import assemble, bytes_of

    rows = isa_named(args.isa).part(isa_named(args.isa).rows)
    if rows is None:
        having = ", ".join(isa for isa in ISAS if isa_named(isa).rows)
        raise UsageError(f"{args.isa} has no table of instructions yet (there are: {having})")
    text = sys.stdin.read() if args.text == "-" else args.text
    placed = assemble(rows(), text.replace(";", "\n"))
    if args.json:
        lines = [{"offset": at, "data": one.data.hex(), "text": one.text} for at, one in placed]
        output.print_json("asm", {"isa": args.isa, "code": bytes_of(placed).hex(), "instructions": lines})
    elif args.hex:
        print(bytes_of(placed).hex())
    else:
        width = max((2 * one.size for _, one in placed), default=0)
        for at, one in placed:
            print(f"{at:6x}  {one.data.hex():<{width}}  {one.text}")
    return 0
