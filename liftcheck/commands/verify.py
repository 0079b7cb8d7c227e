"""Proves that each function's machine code does what its CLIF says, for every input, or shows an input for which it
does not.

Each function of each file is compiled for the targets that its file names with their own settings, others for --isa,
--opt and --set. The bytes are read back as terms, and proven equal to the program: results, memory, traps with their
codes, calls, and what is owed to the caller. What is proved, and under which assumptions: docs/verify.md.

--rules takes the compiler's own rules in the place of files: small programs that fire a rule are made, their code is
proven, and each rule has a verdict (docs/verify-rules.md). A PATTERN is part of a file's name, file:line, a term, or a
word of the left-hand side, such as an opcode.

--changed verifies those rules that differ from those of a commit, or with --against of another compiler, and whatever
else these make the compiler do otherwise: the same programs are compiled by both, and those whose code or rules differ
are proven and run.

A function is equal (as terms), proven (by z3), refuted (with inputs), undecided (with a reason), or refused by the
compiler. A counterexample is run beside the reference interpreter before anything is said of the compiler: one that no
run shows is unconfirmed, and says why. Exit code 1 if anything is refuted, 3 if something is unconfirmed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from liftcheck.commands import options, output, reports, verify_changed, verify_rules
from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.campaign.report.verify import Report


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a .clif file, or a folder that is searched for them")
    parser.add_argument(
        "--rules",
        nargs="?",
        const="",
        metavar="PATTERN",
        help="verify the compiler's rules on one ISA: all, or those that match",
    )
    parser.add_argument(
        "--changed",
        nargs="?",
        const="",
        metavar="BASE",
        help="verify the rules of a checkout (--compiler cranelift=PATH; default: the current folder) that differ from "
        "a commit's (default: where the branch left the main one)",
    )
    parser.add_argument("--against", metavar="NAME[@VERSION]", help="the same, beside this compiler's rules")
    parser.add_argument(
        "--instances",
        type=options.positive,
        metavar="N",
        help="with --rules: so many instances of a rule for each typing (default: 4)",
    )
    parser.add_argument("--fresh", action="store_true", help="with --rules: prove again what was proven before")
    parser.add_argument("--every", action="store_true", help="with --rules: list the proven rules, too")
    parser.add_argument("--html", metavar="FILE", help="with --rules: write one page with the coloured sources")
    options.add_isa(parser, "only this ISA (default: those that a file names, else all four)")
    options.add_compiler(parser)
    options.add_opt(parser, "a file's own, else speed")
    options.add_settings(parser)
    options.add_jobs(parser)
    options.add_json(parser)
    reports.add(parser)


def run(args: argparse.Namespace) -> int:
    """Verifies; 1 if anything was refuted, 2 if a file could not be read, 3 if something is unconfirmed."""
    if args.changed is not None or args.against is not None:
        return verify_changed.run(args)
    if args.rules is not None:
        return verify_rules.run(args)
    if not args.paths:
        raise UsageError("liftcheck verify: name files or folders, or --rules")
    if args.instances or args.fresh or args.every or args.html:
        raise UsageError("liftcheck verify: --instances, --fresh, --every and --html belong to --rules")
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
    return reports.finish(args, "verify", report, bool(report.rows or report.lost), lambda: _show(report))


def _show(report: Report) -> None:
    """Refutations and files that cannot be read, then counts."""
    from liftcheck.campaign.report.verify import refutations, tables

    for text in (*refutations(report), *map(str, report.broken), *report.lost):
        print(text)
    output.table_console().print(tables(report), crop=False)
