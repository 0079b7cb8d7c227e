"""Generates random CLIF programs, compiles each for every ISA and optimization level, runs the machine code and
compares it with the reference interpreter.

The same seed, version and options give the same programs and the same verdicts, whatever --jobs is; with --cases also
the same findings. A finding whose cause is on a list of known ones (--known, docs/known.md) is shown and counted, but
the exit code is 1 only if there are others. Findings are written to the folder given by --out while the campaign runs,
and a small part of its time goes into making them smaller; `liftcheck replay` runs one again, `liftcheck reduce` makes
smaller one that was left. Most programs steer around what goes wrong most often (docs/campaigns.md).

Some batches, every eighth at first and every 32nd later, are made of programs that the compiler's own rules match, aim
at the rules that have been executed least, and are traced: `liftcheck coverage` shows which rules were executed.

Two compilers (`--compiler A --compiler B`) get the same programs. The exit code is 1 if B gets something wrong that A
does not: the regressions of a release or of a pull request. What both get wrong, and what only A does, is listed
separately.

Ctrl-C or SIGTERM ends the campaign with its report. However it was stopped, `--resume` continues it
(docs/campaigns.md).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liftcheck.commands import options, output, reports, resumed
from liftcheck.errors import UsageError
from liftcheck.generators.profiles import EXHAUSTIVE
from liftcheck.isa import ISAS
from liftcheck.oracles.registry import ORACLES, explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from liftcheck.campaign.execute.base import Executor
    from liftcheck.campaign.execute.tasks import Answer, Task
    from liftcheck.campaign.execute.work import FuzzWork
    from liftcheck.campaign.options import FuzzOptions

DEFAULT_SECONDS: Final = 60.0
DEFAULT_REDUCE: Final = 20.0
OUT: Final = "findings"


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_isa(parser, "fuzz this ISA (default: all four)")
    options.add_compilers(parser)
    options.add_opt(parser, "none,speed")
    options.add_settings(parser)
    options.add_runner(parser)
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--time", type=options.duration, metavar="DURATION", help="stop after this long: 90s, 10m, 1h30m (default: 60s)"
    )
    length.add_argument("--cases", type=options.positive, metavar="N", help="stop after N programs")
    parser.add_argument(
        "--seed", type=options.whole, metavar="N", help="seed of the campaign (default: a new one, which is printed)"
    )
    options.add_jobs(parser)
    parser.add_argument(
        "--profile",
        action="append",
        metavar="NAME",
        help="generate only this profile's programs; repeatable (default: all profiles). exhaustive: every opcode and "
        "type with operands of every kind, and every pair along one edge, until all are judged (docs/exhaustive.md)",
    )
    parser.add_argument(
        "--seeds",
        metavar="DIR",
        help="make programs by editing the functions in the .clif files below DIR, instead of generating them "
        "(docs/seeds.md)",
    )
    parser.add_argument(
        "--no-sweep",
        action="store_true",
        help="use only the settings of --set and --opt (default: batches draw more settings at random)",
    )
    parser.add_argument(
        "--reduce",
        type=options.duration,
        metavar="DURATION",
        help="make each finding smaller for at most this long (default: 20s); with --cases a second "
        "counts as 40 questions, so that the result does not depend on a clock",
    )
    parser.add_argument(
        "--validate",
        action="append",
        choices=tuple(ORACLES),
        help=f"prove more than runs show; repeatable. {explained()}",
    )
    parser.add_argument("--out", metavar="DIR", help=f"folder of the campaign and its findings (default: {OUT})")
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help="continue the campaign in DIR, however it was stopped, with its options; --time: this much longer, "
        "--cases: up to this many programs in all (default: what was left of it)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="have the work done by the workers of this Dask scheduler, tcp://HOST:PORT (liftcheck[cluster]; "
        "docs/cluster.md)",
    )
    options.add_known(parser)
    options.add_json(parser)
    reports.add(parser)
    parser.set_defaults(compiler=None, runner=None, reduce=None)  # whether they were given: `--resume` asks


def run(args: argparse.Namespace) -> int:
    """Fuzzes; prints tables, or the report as one object."""
    from rich.console import Console

    from liftcheck.campaign.findings import known
    from liftcheck.campaign.report.fuzz import show
    from liftcheck.campaign.report.live import LiveProgress
    from liftcheck.campaign.run import fuzz
    from liftcheck.compilers.cranelift import builds

    reports.check(args)
    listed = known.gather(args.known)
    chosen = campaign_options(args) if args.resume is None else resumed.campaign_options(args)

    if args.compiler is None and args.resume is None:
        chosen = without_cranelift(chosen)
    if EXHAUSTIVE in chosen.profiles:
        chosen = all_small(chosen)
    if args.scheduler is not None:
        chosen = dataclasses.replace(chosen, compiler=exactly(chosen.compiler))
    if chosen.baseline:
        chosen = dataclasses.replace(chosen, baseline=exactly(chosen.baseline))

    class Seeded(LiveProgress):
        """Says the seed with the compiler, so that even a campaign that is killed can be repeated."""

        def started(self, compiler: str) -> None:
            why = f" ({builds.why_newest()})" if chosen.compiler == options.DEFAULT_COMPILER else ""
            what = f"{compiler}{why}" + (f" against {chosen.baseline}" if chosen.baseline else "")
            super().started(f"{what} on {', '.join(chosen.isas)}: seed {chosen.seed}, {chosen.jobs} jobs")

    with Seeded(Console(stderr=True)) as progress:
        report = fuzz(chosen, progress, executor=executor(args), is_resumed=args.resume is not None, known=listed)
    if args.json:
        output.print_json("fuzz", report.document())
    else:
        show(report, output.table_console())
    return reports.write(args, "fuzz", report.document(), report.exit_code)


def without_cranelift(chosen: FuzzOptions) -> FuzzOptions:
    """The campaign on our own compiler where there is no Cranelift and no way to build one; says so."""
    import sys

    from liftcheck.compilers.cranelift import builds
    from liftcheck.isa.base import isa_named

    lacking = builds.lacking()
    there = tuple(isa for isa in chosen.isas if isa_named(isa).backend)
    if not lacking or not there:
        return chosen
    left_out = [isa for isa in chosen.isas if isa not in there]
    without = f" (it has no {', '.join(left_out)} yet)" if left_out else ""
    print(
        f"no Cranelift is built here and there is no Rust toolchain: fuzzing builtin, liftcheck's own compiler, instead"
        f"{without}; for the real Cranelift install {lacking}",
        file=sys.stderr,
    )
    return dataclasses.replace(chosen, compiler="builtin", isas=there)


def all_small(chosen: FuzzOptions) -> FuzzOptions:
    """A campaign over all small programs: bounded by their number."""
    from liftcheck.campaign.planner import Planner

    planner = Planner(chosen)
    planner.prepare(None)
    return dataclasses.replace(chosen, cases=planner.extent.numbers)


def exactly(spec: str) -> str:
    """The version that a name means here, for machines where it may mean another."""
    from liftcheck.compilers.registry import name_of, open_compiler

    compiler = open_compiler(spec)
    compiler.close()
    return compiler.name if name_of(compiler.name) == spec else spec


def executor(args: argparse.Namespace) -> Callable[[FuzzWork], Executor[Task, Answer]]:
    """Who does the work: processes of this machine, or a cluster."""
    from liftcheck.campaign.run import SILENCE, processes

    if args.scheduler is None:
        return processes
    if args.jobs is not None:
        raise UsageError("--jobs with --scheduler: a cluster has as many workers as were started for it")
    from liftcheck.campaign.execute.cluster import Cluster

    return lambda work: Cluster(work, args.scheduler, SILENCE)


def campaign_options(args: argparse.Namespace) -> FuzzOptions:
    """What the command line asks for, as the campaign wants it."""
    from liftcheck.campaign.options import FuzzOptions

    bounded = args.time is not None or args.cases is not None or EXHAUSTIVE in (args.profile or ())
    seconds = args.time if bounded else DEFAULT_SECONDS
    baseline, compiler = options.two_compilers(args.compiler)
    return FuzzOptions(
        isas=options.flat(args.isa, ISAS),
        compiler=compiler,
        opt_levels=options.flat(args.opt, ("none", "speed")),
        settings=tuple(args.settings),
        runners=tuple(args.runner or ("auto",)),
        seconds=seconds,
        cases=args.cases,
        seed=options.fresh_seed() if args.seed is None else args.seed,
        jobs=args.jobs or options.cores(),
        profiles=tuple(args.profile or ()),
        out=Path(args.out or OUT),
        sweep=not args.no_sweep,
        reduce_seconds=args.reduce or DEFAULT_REDUCE,
        oracles=tuple(args.validate or ()),
        baseline=baseline,
        seeds=Path(args.seeds).resolve() if args.seeds else None,
    )
