"""Proves that each function's machine code does what its CLIF says, for every input, or shows an input for which it
does not.

Each function of each file is compiled for the targets that its file names with their own settings, others for --isa,
--opt and --set. The bytes are read back as terms, and proven equal to the program: results, memory, traps with their
codes, calls, and what is owed to the caller. What is proved, and under which assumptions: docs/verify.md.

A function is equal (as terms), proven (by z3), refuted (with inputs), undecided (with a reason), or refused by the
compiler. A counterexample is run beside the reference interpreter before anything is said of the compiler: one that no
run shows is unconfirmed, and says why. Exit code 1 if anything is refuted, 3 if something is unconfirmed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from liftcheck.commands import options, output, reports
from liftcheck.errors import InputError

if TYPE_CHECKING:
    from liftcheck.campaign.report.verify import Report


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a .clif file, or a folder that is searched for them")
    options.add_isa(parser, "only this ISA (default: those that a file names, else all four)")
    options.add_compiler(parser)
    options.add_opt(parser, "a file's own, else speed")
    options.add_settings(parser)
    options.add_jobs(parser)
    options.add_json(parser)
    reports.add(parser)


def run(args: argparse.Namespace) -> int:
    """Verifies; 1 if anything was refuted, 2 if a file could not be read, 3 if something is unconfirmed."""
    from liftcheck.campaign.verify import VerifyOptions, verify_files

    chosen = VerifyOptions(
        isas=options.flat(args.isa, ()),
        compiler=args.compiler,
        levels=options.flat(args.opt, ()),
        settings=tuple(args.settings),
        jobs=args.jobs or options.cores(),
    )
    reports.check(args)
    report = verify_files(args.paths, chosen)
    code = reports.write(args, "verify", report.document(), report.exit_code)
    if report.broken and not report.texts:
        raise InputError(report.broken)
    if not report.rows and not report.lost:
        raise InputError.at(
            "no function for the ISAs asked for", args.paths[0] if len(args.paths) == 1 else "these files"
        )
    if args.json:
        output.print_json("verify", report.document())
    else:
        _show(report)
    return code


def _show(report: Report) -> None:
    """Refutations and files that cannot be read, then counts."""
    from liftcheck.campaign.report.verify import refutations, tables

    for text in (*refutations(report), *map(str, report.broken), *report.lost):
        print(text)
    output.table_console().print(tables(report), crop=False)
