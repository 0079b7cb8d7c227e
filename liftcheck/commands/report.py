"""Makes one HTML page of a campaign's folder: findings with their code, and how the campaign went.

The page needs no network and no script. With --against it says what is new and what is gone since an earlier campaign;
findings are the same when their keys are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftcheck.commands import options, output
from liftcheck.errors import UsageError


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="the folder of a campaign (`fuzz --out`)")
    parser.add_argument("--against", metavar="DIR", help="the folder of an earlier campaign")
    parser.add_argument("--out", metavar="FILE", help="the page (default: report.html in DIR)")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the page."""
    from liftcheck.campaign.report.gather import change, gather
    from liftcheck.campaign.report.html import page

    gathered = gather(Path(args.folder))
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
            "report", {"page": str(place), "findings": len(gathered.findings), "unreadable": unreadable, **keys}
        )
    else:
        told = "".join(f", {len(found)} {name}" for name, found in keys.items())
        print(f"{place}: {len(gathered.findings)} findings{told}")
        for name, why in gathered.unreadable:
            output.note(f"not a finding: {name}: {why}")
    return 0
