"""The options of `liftcheck fuzz --resume`: those of the campaign in the folder, and what may differ.

The one idea: who repeats a campaign's command line with `--resume` gets that campaign; an option that would make other
programs of it, or other verdicts, is told instead of ignored.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftcheck.commands import options
from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.campaign.keep.kept import Kept
    from liftcheck.campaign.options import FuzzOptions


def campaign_options(args: argparse.Namespace) -> FuzzOptions:
    """What is asked for. UsageError for what a campaign cannot go on with, InputError if there is none."""
    from liftcheck.campaign.keep import kept

    folder = Path(args.resume)
    if args.out is not None and Path(args.out).absolute() != folder.absolute():
        raise UsageError(f"--out {args.out} with --resume {folder}: a campaign goes on in its own folder")
    campaigns = kept.all_in(folder)
    if not campaigns:
        raise UsageError(f"no campaign has begun in {folder}: `liftcheck fuzz --out {folder}` begins one")
    held = campaigns[-1]
    for name, asked, own in _differences(args, held):
        raise UsageError(
            f"{name} {asked}: the campaign in {folder} has {name} {own}, and goes on as it began "
            "(--time, --cases, --jobs and --reduce may differ)"
        )
    return dataclasses.replace(
        held.options,
        **_length(args, held),
        compiler=_compiler(held),
        jobs=args.jobs or options.cores(),
        reduce_seconds=args.reduce or held.options.reduce_seconds,
        out=folder,
    )


def _compiler(held: Kept) -> str:
    """The very version that 'cranelift' meant when the campaign began."""
    from liftcheck.compilers.registry import name_of

    asked = held.options.compiler
    return held.compiler if name_of(held.compiler) == asked else asked


def _differences(args: argparse.Namespace, held: Kept) -> Iterator[tuple[str, str, str]]:
    """(option, value asked for, value of the campaign) where they differ."""
    from liftcheck.compilers.registry import name_of

    own = held.options
    given: list[tuple[str, Any, Any]] = [
        ("--isa", args.isa and options.flat(args.isa, ()), own.isas),
        ("--opt", args.opt and options.flat(args.opt, ()), own.opt_levels),
        ("--set", args.settings and [f"{name}={value}" for name, value in args.settings],
         [f"{name}={value}" for name, value in own.settings]),
        ("--runner", args.runner, own.runners),
        ("--profile", args.profile, own.profiles),
        ("--validate", args.validate, own.oracles),
        ("--seeds", args.seeds and [str(Path(args.seeds).resolve())], [str(own.seeds)] if own.seeds else []),
    ]  # fmt: skip
    for name, asked, has in given:
        if asked and list(asked) != list(has):
            yield name, ",".join(asked), ",".join(has) or "not given"
    if args.seed is not None and args.seed != own.seed:
        yield "--seed", str(args.seed), str(own.seed)
    if args.compiler is not None:
        baseline, compiler = options.two_compilers(args.compiler)
        if compiler not in (own.compiler, held.compiler, name_of(held.compiler)):
            yield "--compiler", compiler, held.compiler
        if baseline not in (own.baseline, name_of(own.baseline)):
            yield "--compiler", f"{baseline or 'once'} as the first", own.baseline or "once"
    if args.no_sweep and own.sweep:
        yield "--no-sweep", "given", "not given"


def _length(args: argparse.Namespace, held: Kept) -> dict[str, Any]:
    """How far it goes: --time from now on, --cases from its beginning."""
    own, folder = held.options, held.folder
    if args.time is not None and own.cases is not None and own.seconds is None:
        raise UsageError(
            f"--time: the campaign in {folder} is bounded by --cases {own.cases}, on which its findings depend: "
            "give a larger --cases"
        )
    if args.cases is not None and own.cases is None:
        raise UsageError(f"--cases: the campaign in {folder} is bounded by time: give --time")
    if args.cases is not None and args.cases < (judged := sum(one.programs for one in held.stretches)):
        raise UsageError(f"--cases {args.cases}: the campaign in {folder} has judged {judged} programs already")
    if args.time is not None:
        return {"seconds": held.seconds + args.time}
    return {"cases": args.cases} if args.cases is not None else {}
