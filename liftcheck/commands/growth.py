"""Measures how a compiler's time and memory grow with the size of a program: deep chains, wide blocks, many parameters,
results, calls, entries of a branch table, long live ranges, and so on.

Each shape is compiled at doubling sizes until a compilation takes longer than --seconds; the exponent is the slope
through the largest: 1 is linear, 2 quadratic. Time is processor time of the compiler's process, so that other work on
the machine does not count; what seems too steep is measured again.

Exit code 1 if an exponent is above --limit, or the compiler fails on a size.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liftcheck.commands import options, output
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS

if TYPE_CHECKING:
    from liftcheck.compilers.base import Compiler
    from liftcheck.compilers.growth import Growth

LIMIT: Final = 1.35
SECONDS: Final = 1.0
LARGEST: Final = 64_000


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_isa(parser, "compile for this ISA (default: all four)")
    options.add_compiler(parser)
    options.add_opt(parser, "speed")
    options.add_settings(parser)
    parser.add_argument("--shape", action="append", metavar="NAME", help="only this shape; repeatable")
    parser.add_argument(
        "--limit", type=_exponent, default=LIMIT, metavar="X", help=f"what is too steep (default: {LIMIT})"
    )
    parser.add_argument(
        "--seconds",
        type=options.duration,
        default=SECONDS,
        metavar="DURATION",
        help="no larger size after a compilation that takes longer (default: 1s)",
    )
    parser.add_argument(
        "--most", type=options.positive, default=LARGEST, metavar="N", help=f"the largest size (default: {LARGEST:,})"
    )
    parser.add_argument(
        "--release",
        action="store_true",
        help="measure a Cranelift without its assertions, as embedders have it; it is built first if it is not there",
    )
    parser.add_argument("--plot", metavar="FILE", help="write a picture, as SVG")
    options.add_json(parser)


def _exponent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 10.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not an exponent from 1 to 10, e.g. 1.5")
    return value


def run(args: argparse.Namespace) -> int:
    """Measures; prints a table, or the rows as one object."""
    from liftcheck.campaign.report import growth as report
    from liftcheck.compilers import choice
    from liftcheck.compilers.growth import SHAPES, Growing

    for name in args.shape or ():
        if name not in SHAPES:
            raise UsageError(
                f"unknown shape '{name}'{options.near_miss(name, SHAPES)} (there are: {', '.join(SHAPES)})"
            )
    if args.most < 1000:
        raise UsageError(f"--most {args.most}: an exponent needs at least the sizes 500 and 1,000")
    rows: list[Growth] = []
    with closing(_opened(args.compiler, args.release)) as compiler:
        name = compiler.name
        places = choice.make_targets(
            compiler, options.flat(args.isa, ISAS), options.flat(args.opt, ("speed",)), args.settings
        )
        growing = Growing(compiler, args.most, args.seconds, args.limit)
        shapes = args.shape or list(SHAPES)
        for target in places:
            for number, shape in enumerate(shapes, 1):
                rows.append(growing.measure(shape, target))
                output.note(f"{target.isa} {number}/{len(shapes)} {shape}: {_line(rows[-1], args.limit)}")
    if args.plot:
        _write(Path(args.plot), report.picture(name, args.limit, rows))
    document = report.document(name, args.limit, rows)
    if args.json:
        output.print_json("growth", document)
    else:
        output.table_console().print(report.table(name, args.limit, rows))
    return int(document["steeper"] > 0)


def _opened(spec: str, release: bool) -> Compiler:
    from liftcheck.compilers.registry import OWN, name_of, open_compiler

    if not release:
        return open_compiler(spec)
    if name_of(spec) != OWN:
        raise UsageError(f"--release: {spec} has no builds; {OWN}, {OWN}@VERSION and {OWN}=PATH do")
    from liftcheck.compilers.cranelift.builds import RELEASE
    from liftcheck.compilers.cranelift.client import Cranelift

    return Cranelift(spec, RELEASE)


def _line(row: Growth, limit: float) -> str:
    words = [f"time {row.time:.2f}" if row.time is not None else "too short to say"]
    words += [f"memory {row.memory:.2f}"] if row.memory is not None else []
    words += [f"reading {row.reading:.2f}"] if row.reading is not None else []
    words += ["too steep"] if row.is_steeper(limit) else []
    return ", ".join(words + ([row.stopped] if row.stopped else []))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--plot {path}: {output.reason(error)}") from None
