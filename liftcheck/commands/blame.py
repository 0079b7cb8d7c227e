"""Says which part of a compiler is at fault for a finding: a folder, or what disagrees first in a .clif file.

The program is made small first. The answer then says which level, allocator, settings, extensions and ISAs matter;
whether it is the middle end or the backend; which rule fired in programs that go wrong and not in similar ones that are
right; which instruction is the first to give a wrong value; and the first bad and the last good version. Where one of
these cannot be told, it says why. A folder gets the answer on its page and in finding.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftcheck.commands import options, output


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_what(parser)
    parser.add_argument(
        "--versions",
        nargs="?",
        const="all",
        default="built",
        metavar="LIST",
        help="versions to try, separated by commas, built if need be; without a LIST all that can be built here, "
        "by bisection (default: those that are built already)",
    )
    options.add_patience(parser)
    parser.add_argument(
        "--compiler", metavar="NAME[@VERSION]", help="blame this one instead of the finding's own, or the newest"
    )
    options.add_isa(parser, "for a file: only this ISA (default: those that it names, else all four)")
    options.add_opt(parser, "the file's own, else speed")
    options.add_settings(parser)
    options.add_runner(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Blames a finding; 0 if it is told, 2 if nothing goes wrong."""
    from liftcheck.campaign import blame
    from liftcheck.campaign.findings import blamed, versions
    from liftcheck.compilers.choice import Wish

    place, is_folder = Path(args.what), options.names_folder(args, "blame", ("isa", "opt", "settings"))
    if args.versions not in (versions.BUILT, versions.ALL):
        versions.candidates(args.versions)  # what is not a version is told before the work
    wish = Wish(options.flat(args.isa, ()), options.flat(args.opt, ()), tuple(args.settings))
    wanted = blame.Wanted(args.compiler or "", wish, tuple(args.runner), args.time, args.versions)
    if is_folder:
        found = blame.of_folder(place, wanted, output.note)
    else:
        name = "<stdin>" if args.what == "-" else args.what
        found = blame.of_text(output.read_text(args.what), name, wanted, output.note)
    document: dict[str, object] = {
        "folder": str(place) if is_folder else None,
        "class": found.finding.klass,
        "target": str(found.finding.target),
        "text": blame.program(found),
        "before": found.before,
        "after": found.after,
        "blame": found.answer,
    }
    if args.json:
        output.print_json("blame", document)
        return 0
    print(f"{document['class']} on {document['target']}: {found.before} lines before, {document['after']} now\n")
    print(blame.program(found))
    if is_folder and not found.is_kept:
        output.note("the folder is left as it is, since it is of another compiler")
    for heading, text in blamed.lines(found.answer):
        print(f"{heading + ':':<13}" + text.replace("\n", "\n" + " " * 13))
    return 0
