"""Runs Cranelift's own filetests: `test interpret`, `test run`, `test verifier`, `test compile` and the other commands
as far as their meaning goes (docs/filetests.md), on every ISA and setting that a file names.

One unit is one run line on one ISA and setting, or one function where nothing is run. Skips are listed by reason; the
last line is `N passed, N failed, N undecided, N skipped`, and the line before it their sum, the number of units.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from liftcheck.commands import options, output, reports
from liftcheck.errors import InputError
from liftcheck.isa import ISAS


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a .clif file, or a folder that is searched for them")
    options.add_isa(parser, "only this ISA (default: those that a file names)")
    options.add_compiler(parser)
    options.add_runner(parser)
    parser.add_argument(
        "--interpreter-only",
        action="store_true",
        help="run every run line in the reference interpreter and compile nothing",
    )
    options.add_fuel(parser)
    options.add_time(parser)
    options.add_jobs(parser)
    options.add_json(parser)
    reports.add(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the files; 1 if a unit failed, 2 if a file could not be read."""
    from liftcheck.campaign.filetests import run_filetests
    from liftcheck.oracles.filetests.engine import Options
    from liftcheck.runners.patience import Patience

    chosen = Options(
        options.flat(args.isa, ()),
        args.compiler,
        ",".join(args.runner),
        args.interpreter_only,
        args.jobs or options.cores(),
        Patience(args.fuel, args.longest),
    )
    reports.check(args)
    report = run_filetests(args.paths, chosen)
    code = reports.write(args, "test", report.document(), report.exit_code)
    if report.broken and not report.files:
        raise InputError(report.broken)
    if report.units == report.outside.total() and not report.broken:
        raise InputError.at(_nothing(report.outside), args.paths[0] if len(args.paths) == 1 else "these files")
    if args.json:
        output.print_json("test", report.document())
    else:
        print("\n".join(report.lines()))
    return code


def _nothing(outside: Mapping[str, int]) -> str:
    """Why there was nothing to judge."""
    if outside:
        lines = ", ".join(f"{name} ({count} units)" for name, count in sorted(outside.items()))
        return f"only for ISAs that liftcheck does not have: {lines}; it has {', '.join(ISAS)}"
    return "nothing to judge: no function under a `test` command for the ISAs asked for"
