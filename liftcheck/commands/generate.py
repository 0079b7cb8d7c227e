"""Prints random programs as filetests that Cranelift's own reader accepts, with right `; run:` expectations.

The same seed, profile and ISA give the same programs. The expectations come from the reference interpreter.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from liftcheck.commands import options, output
from liftcheck.isa import ISAS

if TYPE_CHECKING:
    from liftcheck.case import Case


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=options.whole, default=0, metavar="N", help="seed (default: %(default)s)")
    parser.add_argument(
        "--count", type=options.positive, default=1, metavar="N", help="number of programs (default: %(default)s)"
    )
    parser.add_argument("--profile", metavar="NAME", help="profile of the programs (default: drawn for each program)")
    options.add_isa(parser, "only what this ISA can compile (default: what all four can)")
    options.add_compiler(parser)
    parser.add_argument("--out", metavar="DIR", help="write one file per program into this folder instead of printing")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints or writes `--count` programs."""
    written = []
    for number, case, text in programs(args):
        if args.out is not None:
            written.append(_write(Path(args.out), f"seed{args.seed}-{number}.clif", text))
        elif args.json:
            written.append({"number": number, "profile": case.tags.get("profile"), "text": text})
        else:
            print(text if number == 0 else f"\n{text}", end="")
    if args.json:
        output.print_json("generate", {"seed": args.seed, "programs": written})
    elif args.out is not None:
        print(f"{len(written)} programs in {args.out}")
    return 0


def programs(args: argparse.Namespace) -> Iterator[tuple[int, Case, str]]:
    """(number, program, filetest text) of each program; the same as `fuzz --no-sweep` makes of this seed."""
    from liftcheck.campaign.options import FuzzOptions, case_seed
    from liftcheck.campaign.planner import PLAIN, Planner
    from liftcheck.generators.choices import RandomChoices
    from liftcheck.generators.filetests import filetest_text
    from liftcheck.generators.generate import generate

    isas = options.flat(args.isa, ISAS)
    profiles = (args.profile,) if args.profile else ()
    planner = Planner(FuzzOptions(isas=isas, compiler=args.compiler, profiles=profiles, sweep=False))
    planner.prepare(output.note)
    context = planner.context(PLAIN)
    targets = {isa: planner.target(PLAIN, isa, "speed", ()) for isa in isas}
    for number in range(args.count):
        choices = RandomChoices(case_seed(args.seed, number))
        case = generate(choices, args.profile or "all", context, name=f"seed {args.seed} case {number}")
        chosen = [targets[isa] for isa in isas if isa in _isas(case, isas)]
        yield number, case, filetest_text(case, chosen)


def _isas(case: Case, default: tuple[str, ...]) -> tuple[str, ...]:
    """The ISAs that a program is for."""
    found = case.tags.get("isas", default)
    return found if isinstance(found, tuple) else default


def _write(folder: Path, name: str, text: str) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return {"file": str(folder / name)}
