"""Proves that each function's register allocation, and the code made from it, do what the program says, or shows where
they do not.

The compiler says what it gave to its register allocator and what it got back; liftcheck proves that every use reads the
value that the program means on every path, and that the emitted bytes do what the allocation says. Files that name
targets are compiled for these with their own settings, others for --isa, --opt and --set; --generate takes the programs
of `liftcheck fuzz` with the same seed instead, without the aim of its directed batches (docs/coverage.md). What is
proved, and under which assumptions: docs/validation.md.

A function is valid, invalid (with a counterexample), undecided (with a reason, for example that its compilation does
not end), or refused by the compiler. Exit code 1 if anything is invalid.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from liftcheck.commands import options, output, reports
from liftcheck.errors import UsageError
from liftcheck.regalloc.allocation import ALGORITHMS

if TYPE_CHECKING:
    from liftcheck.campaign.report.regalloc import Report


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a .clif file, or a folder that is searched for them")
    parser.add_argument("--generate", type=options.positive, metavar="N", help="validate N random programs instead")
    options.add_isa(parser, "only this ISA (default: those that a file names, else all four)")
    options.add_compiler(parser)
    options.add_opt(parser, "a file's own, else speed; none and speed with --generate")
    options.add_settings(parser)
    parser.add_argument(
        "--algorithm",
        action="append",
        type=algorithms,
        metavar="NAMES",
        help="register allocators, separated by commas: " + ", ".join(ALGORITHMS) + " (default: both)",
    )
    parser.add_argument(
        "--z3-only",
        action="store_true",
        help="give every equality of values to z3, even those that can be decided without it",
    )
    parser.add_argument(
        "--seed", type=options.whole, default=0, metavar="N", help="seed of --generate (default: %(default)s)"
    )
    parser.add_argument("--profile", metavar="NAME", help="generate only this profile's programs")
    options.add_jobs(parser)
    options.add_json(parser)
    reports.add(parser)


def algorithms(text: str) -> list[str]:
    """Register allocators with commas between."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in ALGORITHMS:
            raise options.choice_error("register allocator", word, ALGORITHMS)
    return words


def run(args: argparse.Namespace) -> int:
    """Validates; 1 if anything was refuted, 2 if a file could not be read."""
    if bool(args.paths) == bool(args.generate):
        raise UsageError("liftcheck regalloc: name files or folders, or --generate N, one of the two")
    if args.paths and (args.profile or args.seed):
        raise UsageError("liftcheck regalloc: --seed and --profile belong to --generate")
    from liftcheck.campaign.validate import ValidateOptions, validate_files, validate_generated

    chosen = ValidateOptions(
        isas=options.flat(args.isa, ()),
        compiler=args.compiler,
        levels=options.flat(args.opt, ()),
        settings=tuple(args.settings),
        algorithms=options.flat(args.algorithm, ALGORITHMS),
        z3_only=args.z3_only,
        jobs=args.jobs or options.cores(),
        seed=args.seed,
        profile=args.profile,
    )
    reports.check(args)
    report = validate_generated(args.generate, chosen) if args.generate else validate_files(args.paths, chosen)
    return reports.finish(args, "regalloc", report, bool(report.rows or report.lost), lambda: _show(report))


def _show(report: Report) -> None:
    """Refutations and files that cannot be read, then counts."""
    from liftcheck.campaign.report.regalloc import refutations, tables

    for text in (*refutations(report), *map(str, report.broken), *report.lost):
        print(text)
    output.table_console().print(tables(report), crop=False)
