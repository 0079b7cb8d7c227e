"""Holds a campaign to its coverage: every typing that the compiler has on an ISA was executed there often enough.

The one idea: the compiler's matrices, in every world of settings that a campaign sweeps, say what could be executed;
the report says what was. What no program holds by design is in `generators.tables.UNREACHED`, with its
reason. Without qemu-user there are typings that no runner runs.
Prints a line an ISA and one a typing that was executed too seldom; exit code 1 if there is any, 3 without the compiler.

    liftcheck fuzz --time 10m --json > report.json
    python ci/experiments/coverage.py report.json [--least 20] [--scale 3.3]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.errors import LiftcheckError
from liftcheck.generators.tables import UNREACHED


def allowed(compiler: str, isas: tuple[str, ...]) -> dict[str, set[str]]:
    """ISA -> the keys that the compiler has there, in any world of a campaign."""
    planner = Planner(FuzzOptions(isas=isas, compiler=compiler))
    found: dict[str, set[str]] = {isa: set() for isa in isas}
    try:
        for world in planner.worlds:
            for key, having in planner.context(world).keys().items():
                for isa in having:
                    found[isa].add(key)
    finally:
        planner.open_compiler().close()
        planner.runners.close()
    return found


def too_seldom(executed: Mapping[str, int], keys: set[str], least: float) -> dict[str, int]:
    """The keys that were executed less than `least` times and that programs can hold, with how often they were."""
    return {
        key: executed.get(key, 0)
        for key in sorted(keys)
        if executed.get(key, 0) < least and key.partition(".")[0] not in UNREACHED
    }


def report(document: Mapping[str, Any], keys: Mapping[str, set[str]], least: float) -> list[str]:
    """The lines to print; the first of each ISA is its summary."""
    lines = []
    for isa, having in keys.items():
        executed = document["executed"].get(isa, {})
        seldom = too_seldom(executed, having, least)
        left_out = sorted({key.partition(".")[0] for key in having} & UNREACHED.keys())
        lines.append(
            f"{isa}: {len(having)} typings, {len(seldom)} executed less than {least:g} times, "
            f"left out for a reason: {', '.join(left_out) or 'nothing'}"
        )
        lines += [f"    {key} {count}" for key, count in seldom.items()]
    return lines


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path, help="what `liftcheck fuzz --json` printed")
    parser.add_argument("--least", type=float, default=20, help="how often is often enough (default: 20)")
    parser.add_argument(
        "--scale",
        type=float,
        default=1,
        help="the share of the whole campaign that was run, as 1/share: 3.3 for 3 minutes of 10",
    )
    args = parser.parse_args()
    document = json.loads(args.report.read_text(encoding="utf-8"))
    try:
        keys = allowed(document["compiler"], tuple(document["isas"]))
    except LiftcheckError as error:
        print(error, file=sys.stderr)
        return 3
    lines = report(document, keys, args.least / args.scale)
    print("\n".join(lines))
    return 1 if any(line.startswith(" ") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
