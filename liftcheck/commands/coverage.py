"""Shows which of the compiler's own rules programs have executed, per part and file, and which rules are left.

`liftcheck fuzz` keeps coverage.json in the folder of its findings, for Cranelift 0.130 and newer; several folders add
up. A rule counts when it matched in the compilation of a program whose code was then run and compared. Only the
batches that are made for rules are traced, so the counts are a small part of what was executed.

The rules' sources are those of the version in cargo's registry; --html colours them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftcheck.commands import options, output
from liftcheck.errors import Unavailable, UsageError
from liftcheck.isa import ISAS

if TYPE_CHECKING:
    from rich.table import Table

    from liftcheck.campaign.report.rule_coverage import Coverage
    from liftcheck.isle.sources import Rule, Sources

_MANY = 12


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", metavar="DIR", nargs="*", help="the folder of a campaign (`fuzz --out`; default: findings)"
    )
    options.add_isa(parser, "only this ISA's rules and the mid-end's (default: all four)")
    parser.add_argument("--cold", action="store_true", help="list every rule that was never executed, with its reason")
    parser.add_argument(
        "--ask",
        action="store_true",
        help="compile programs that are made for the rules whose reason is not known, and say which rules took them: a "
        "minute or two",
    )
    parser.add_argument("--html", metavar="FILE", help="write one page with the coloured sources (no network)")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Adds up, and shows."""
    from liftcheck.campaign.report import rule_coverage
    from liftcheck.isle import sources as isle

    isas = options.flat(args.isa, ISAS)
    several = rule_coverage.added(
        one for folder in args.folders or ["findings"] for one in rule_coverage.load(Path(folder))
    )
    coverage = _chosen(several)
    source = isle.find(coverage.version, coverage.compiler)
    if source is None:
        raise Unavailable(
            f"the sources of {coverage.compiler} are not on this machine: `liftcheck compiler add"
            f" {coverage.compiler}` fetches those of a published version"
        )
    sources = isle.read_below(source, isas)
    rules, why = sources.rules, _reasons(sources, isle.rust_below(source))
    told = _asked(coverage, [rule for rule in rules if rule.place not in why], rules, isas) if args.ask else {}
    if args.html:
        _write_page(args.html, coverage, rules, why, source)
    if args.json:
        output.print_json("coverage", _document(coverage, rules, why, told))
    else:
        _show(coverage, rules, why, told, args.cold)
    return 0


def _chosen(several: Sequence[Coverage]) -> Coverage:
    """The one compiler whose rules are shown: rules of different versions do not add up."""
    if len(several) > 1:
        names = ", ".join(f"{one.compiler} ({one.version})" for one in several)
        raise UsageError(f"folders of several compilers, whose rules do not add up: {names}; name those of one")
    if not several:
        raise UsageError("the folders hold no coverage: nothing was traced there yet")
    return several[0]


def _reasons(sources: Sources, rust: str) -> Mapping[str, str]:
    """The rules that are out of reach on this machine."""
    from liftcheck.campaign.report.cold_rules import reasons
    from liftcheck.case import Target
    from liftcheck.runners.pool import RunnerPool

    runners = RunnerPool("auto")
    known: dict[tuple[str, str], bool] = {}

    def runs(isa: str, setting: str) -> bool:
        if (isa, setting) not in known:
            known[isa, setting] = bool(runners.names(Target(isa, ((setting, "true"),))))
        return known[isa, setting]

    try:
        return reasons(sources, runs, rust)
    finally:
        runners.close()


def _asked(coverage: Coverage, rules: Sequence[Rule], every: Sequence[Rule], isas: Sequence[str]) -> Mapping[str, str]:
    """What the compiler says of the rules that are cold and not out of reach."""
    from liftcheck.campaign.report.asked import asked

    cold = [rule for rule in rules if coverage.of(rule) is None]
    return asked(cold, every, coverage.compiler, isas, output.note)


def _document(
    coverage: Coverage, rules: Sequence[Rule], why: Mapping[str, str], asked: Mapping[str, str]
) -> dict[str, Any]:
    from liftcheck.campaign.report.rule_coverage import summary

    told = []
    for rule in rules:
        hits = coverage.of(rule)
        told.append(
            {
                "file": rule.file,
                "line": rule.line,
                "term": rule.term,
                "priority": rule.priority,
                "part": rule.part,
                "times": hits.times if hits else 0,
                "first": {"seed": hits.seed, "case": hits.case} if hits else None,
                "reason": None if hits else _reason(rule, why, asked),
            }
        )
    return {
        "compiler": coverage.compiler,
        "compiler_version": coverage.version,
        "programs": coverage.programs,
        "campaigns": coverage.campaigns,
        "parts": summary(coverage, rules),
        "rules": told,
    }


def _reason(rule: Rule, why: Mapping[str, str], asked: Mapping[str, str]) -> str:
    """Why a rule was never executed."""
    return why.get(rule.place) or asked.get(rule.place, "open")


def _show(
    coverage: Coverage, rules: Sequence[Rule], why: Mapping[str, str], asked: Mapping[str, str], every: bool
) -> None:
    from liftcheck.campaign.report.rule_coverage import parts

    console = output.table_console()
    console.print(_table(coverage, rules, why))
    cold = [rule for rule in rules if coverage.of(rule) is None]
    counts = Counter(why[rule.place] for rule in cold if rule.place in why)
    for reason, count in counts.most_common(None if every else _MANY):
        console.print(f"{count:>6,}  out of reach: {reason}", markup=False, highlight=False)
    if len(counts) > _MANY and not every:
        console.print(f"        for {len(counts) - _MANY} more reasons (--cold lists them)", markup=False)
    for kind, count in Counter(told.partition(":")[0] for told in asked.values()).most_common():
        console.print(f"{count:>6,}  open, asked: {kind}", markup=False, highlight=False)
    if every:
        for part, mine in parts(cold).items():
            console.print(f"\nnever executed, {part}:", markup=False)
            for rule in mine:
                reason = _reason(rule, why, asked)
                console.print(f"  {rule.place} {rule.term}: {reason}", markup=False, highlight=False, soft_wrap=True)


def _table(coverage: Coverage, rules: Sequence[Rule], why: Mapping[str, str]) -> Table:
    from rich.table import Table

    from liftcheck.campaign.report.rule_coverage import files, parts, share

    made = Table(
        title=f"{coverage.compiler}: rules executed by {coverage.programs:,} traced programs"
        f" of {coverage.campaigns} campaign{'s' * (coverage.campaigns != 1)}",
        title_justify="left",
    )
    made.add_column("part")
    made.add_column("file", overflow="fold")
    for name in ("rules", "executed", "share", "out of reach", "open"):
        made.add_column(name, justify="right")
    for part, mine in parts(rules).items():
        for name, some in [*files(mine).items(), ("all", mine)]:
            found = share(coverage, some)
            beyond = sum(coverage.of(rule) is None and rule.place in why for rule in some)
            numbers = (len(some), found.executed, str(found), beyond, len(some) - found.executed - beyond)
            row = [f"{one:,}" if isinstance(one, int) else one for one in numbers]
            made.add_row(part, name.rpartition("/")[2], *row, end_section=name == "all")
    return made


def _write_page(path: str, coverage: Coverage, rules: Sequence[Rule], why: Mapping[str, str], source: Path) -> None:
    from liftcheck.campaign.report.rule_page import executed, page

    output.write_page(path, page(executed(coverage, why), rules, source))
