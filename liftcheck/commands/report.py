"""Makes one HTML page of a campaign's folder: findings with their code, and how the campaign went.

The page needs no network and no script. With --against it says what is new and what is gone since an earlier campaign;
findings are the same when their keys are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftcheck.commands import options, output
from liftcheck.errors import LiftcheckError, UsageError
from liftcheck.isa import ISAS

if TYPE_CHECKING:
    from liftcheck.campaign.report.gather import Statistics


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="the folder of a campaign (`fuzz --out`)")
    parser.add_argument("--against", metavar="DIR", help="the folder of an earlier campaign")
    parser.add_argument("--out", metavar="FILE", help="the page (default: report.html in DIR)")
    options.add_known(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the page."""
    from liftcheck.campaign.findings import known
    from liftcheck.campaign.report.gather import change, gather
    from liftcheck.campaign.report.html import page

    gathered = gather(Path(args.folder), _statistics(Path(args.folder)), known.gather(args.known))
    compared = change(gathered, gather(Path(args.against))) if args.against else None
    place = Path(args.out) if args.out else gathered.folder / "report.html"
    try:
        place.write_text(page(gathered, compared), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"cannot write {str(place)!r}: {output.reason(error)}") from None
    keys = {name: [one.key for one in getattr(compared, name)] for name in ("new", "gone", "both")} if compared else {}
    if args.json:
        unreadable = [{"folder": name, "reason": why} for name, why in gathered.unreadable]
        output.print_json(
            "report",
            {
                "page": str(place),
                "findings": len(gathered.findings),
                "known": sum(map(gathered.is_known, gathered.findings)),
                "unreadable": unreadable,
                **keys,
            },
        )
    else:
        told = "".join(f", {len(found)} {name}" for name, found in keys.items())
        listed = sum(map(gathered.is_known, gathered.findings))
        of_them = f" ({listed} known)" if listed else ""
        print(f"{place}: {len(gathered.findings)} findings{of_them}{told}")
        for name, why in gathered.unreadable:
            output.note(f"not a finding: {name}: {why}")
    return 0


def _statistics(folder: Path) -> Statistics:
    """What the folder's database and its coverage know."""
    from liftcheck.campaign.keep import database, kept
    from liftcheck.campaign.merge import by_compiler
    from liftcheck.campaign.recall import recalled
    from liftcheck.campaign.report.gather import Statistics

    if not (folder / database.NAME).exists():
        return _with_rules(folder, Statistics())
    try:
        summed = by_compiler([recalled(one) for one in kept.all_in(folder)])
    except LiftcheckError as error:
        return _with_rules(folder, Statistics(remarks=(str(error),)))
    if not summed:
        return _with_rules(folder, Statistics(remarks=("no campaign has begun here",)))
    most = max(summed, key=lambda report: report.tally.programs)
    names = ", ".join(report.compiler for report in summed)
    several = f"the folder has campaigns on {names}: numbers are those of {most.compiler}"
    return _with_rules(folder, Statistics(most.document(), (), (several,) if len(summed) > 1 else ()))


def _with_rules(folder: Path, statistics: Statistics) -> Statistics:
    """With what is known of each file of the compiler's rules: (part, file, executed, all)."""
    from dataclasses import replace

    from liftcheck.campaign.report import rule_coverage
    from liftcheck.isle import sources as isle

    try:
        several = rule_coverage.added(rule_coverage.load(folder))
    except LiftcheckError as error:
        why = f"which of the compiler's rules were executed is not known: {error}"
        return replace(statistics, remarks=(*statistics.remarks, why))
    if not several:
        return statistics
    coverage, *others = several
    remarks = [f"rules of {one.compiler} that were executed: `liftcheck coverage` shows them" for one in others]
    found: list[tuple[str, str, int, int]] = []
    source = isle.find(coverage.version, coverage.compiler)
    if source is None:
        remarks.append(f"the sources of {coverage.compiler} are not on this machine: rules are not counted")
    else:
        isas = tuple(statistics.document["isas"]) if statistics.document is not None else ISAS
        for part, mine in rule_coverage.parts(isle.read_below(source, isas).rules).items():
            for name, some in rule_coverage.files(mine).items():
                found.append((part, name, *rule_coverage.share(coverage, some)))
    return replace(statistics, rules=tuple(found), remarks=(*statistics.remarks, *remarks))
