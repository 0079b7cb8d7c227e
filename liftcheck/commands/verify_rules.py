"""`liftcheck verify --rules`: verdicts on the compiler's own rules, shown and written down."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from liftcheck.commands import options, output, reports
from liftcheck.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from liftcheck.campaign.prove.run import RuleReport
    from liftcheck.campaign.prove.work import ProveOptions


def run(args: argparse.Namespace) -> int:
    """Verifies rules; 1 if one is refuted, 3 if something is unconfirmed."""
    from liftcheck.campaign.prove.run import prove_rules

    chosen = _chosen(args)
    reports.check(args, html=args.html)
    report = prove_rules(chosen, output.note)
    code = reports.write(args, "verify --rules", report.document(), report.exit_code)
    if args.json:
        output.print_json("verify", report.document())
    else:
        _show(report, args.every or bool(args.rules))
    return _write_page(args.html, report, code) if args.html else code


def _chosen(args: argparse.Namespace) -> ProveOptions:
    isas = options.flat(args.isa, ())
    if args.paths:
        raise UsageError(f"liftcheck verify --rules: no files beside it ({args.paths[0]}); a pattern stands after it")
    if len(isas) != 1:
        raise UsageError("liftcheck verify --rules: one ISA, by --isa")
    return proving(args, isas[0], args.rules, args.compiler)


def proving(args: argparse.Namespace, isa: str, pattern: str, compiler: str) -> ProveOptions:
    """What is asked of proofs of rules."""
    from liftcheck.campaign.prove.work import MOST, ProveOptions

    return ProveOptions(
        isa,
        pattern,
        compiler,
        options.flat(args.opt, ("none", "speed")),
        tuple(args.settings),
        args.instances or MOST,
        args.jobs or options.cores(),
        args.fresh,
    )


def _write_page(path: str, report: RuleReport, code: int) -> int:
    """The sources, coloured by the verdicts; the exit code, which is 3 for 0 if the page cannot be written."""
    from liftcheck.campaign.report.rule_page import page, proven
    from liftcheck.isle import sources as isle

    source = isle.find(report.version, report.compiler)
    if source is None:
        raise Unavailable(f"--html: the sources of {report.compiler} are not on this machine")
    view = proven(report.found, report.compiler, report.isa)
    try:
        output.write_page(path, page(view, [one.rule for one in report.found], source))
    except UsageError as error:
        output.note(f"liftcheck: --html: {error}")
        return code or 3
    return code


def _show(report: RuleReport, every: bool) -> None:
    """Refutations, then a line a rule, then counts."""
    from liftcheck.campaign.prove.run import unreached
    from liftcheck.campaign.report import rule_tables

    for text in (*rule_tables.refutations(report.found), *rule_tables.unproven(report.proofs), *report.proofs.lost):
        print(text)
    console = output.table_console()
    console.print(rule_tables.lines(report.found, every), crop=False)
    title = f"{report.compiler}, {report.isa}, {report.seconds:.0f} s"
    console.print(rule_tables.tables(report.proofs, report.found, title), crop=False)
    for why, count in unreached(report).items():
        console.print(f"{count:>8,}  not reached: {why}", markup=False, highlight=False, soft_wrap=True)
