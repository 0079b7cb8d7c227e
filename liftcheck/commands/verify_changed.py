"""`liftcheck verify --changed`: rules that differ from those of another compiler or commit, verified."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from liftcheck.commands import options, output, reports
from liftcheck.commands.verify_rules import proving
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS

if TYPE_CHECKING:
    from liftcheck.campaign.prove.compare import ChangedReport


def run(args: argparse.Namespace) -> int:
    """Verifies what differs; 1 if a rule is refuted or something is not compiled any more, 3 if something is
    unconfirmed."""
    from liftcheck.campaign.prove.compare import verify_changed

    compiler, against = _sides(args)
    chosen = proving(args, "", "", compiler)
    reports.check(args)
    report = verify_changed(chosen, against, options.flat(args.isa, ISAS), output.note)
    code = reports.write(args, "verify --changed", report.document(), report.exit_code)
    if args.json:
        output.print_json("verify", report.document())
    else:
        _show(report, args.every)
    return code


def _sides(args: argparse.Namespace) -> tuple[str, str]:
    """What opens the compiler under test, and the one that it is compared with."""
    if args.paths or args.rules is not None:
        raise UsageError("liftcheck verify --changed: neither files nor --rules beside it")
    if args.html:
        raise UsageError("liftcheck verify --changed: --html belongs to --rules")
    if args.against is not None and args.changed:
        raise UsageError("liftcheck verify: --against names a compiler, --changed a commit: one of them")
    if args.against is not None:
        return args.compiler, args.against
    compiler = "cranelift=." if args.compiler == options.DEFAULT_COMPILER else args.compiler
    if "=" not in compiler:
        raise UsageError(
            f"liftcheck verify --changed: {compiler} is no checkout: cranelift=PATH, or --against cranelift@VERSION"
        )
    from liftcheck.campaign.prove.checkout import base

    return compiler, base(compiler, args.changed)


def _show(report: ChangedReport, every: bool) -> None:
    """What differs, what that does, then verdicts."""
    from liftcheck.campaign.prove.shown import done, listed
    from liftcheck.campaign.report import rule_tables

    console = output.table_console()
    for one in report.isas:
        for text in (*rule_tables.refutations(one.found), *rule_tables.unproven(one.compared.proofs)):
            print(text)
        for text in (*listed(one, every), *one.compared.proofs.lost):
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        console.print(rule_tables.lines(one.found, True), crop=False)
        for text in done(one):
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    if not report.isas:
        print(f"no rule of {report.compiler} differs from those of {report.against}: nothing to verify")
