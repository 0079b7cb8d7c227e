"""Makes a program smaller while it still goes wrong in the same way: a finding's folder, or a .clif file.

A folder is rewritten with the smaller program. A file is reduced for the first disagreement in it, of any kind: one
reader or verifier refuses what the other accepts; the compiler panics, hangs or refuses what it supports; the code does
something else than the reference (for the file's run lines, or for inputs at hand if it has none). With --test it is
reduced as long as COMMAND exits with 0; {} in it stands for the name of a file that holds the candidate.

What takes more than a second or two is asked by several processes at once (--jobs); the result is the one that a
single process would find. Ctrl-C ends it, and the best result so far is kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liftcheck.commands import options, output
from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.campaign.shrink import Small, Watch

_INTERRUPTED: Final = 130


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_what(parser)
    options.add_patience(parser)
    options.add_jobs(parser)
    parser.add_argument(
        "--test", metavar="COMMAND", help="for a file: the shell command, with {}, that it is reduced for"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="for a file: where the result goes, - for standard output (default: NAME.reduced.clif)",
    )
    options.add_isa(parser, "for a file: only this ISA (default: those that it names, else all four)")
    options.add_compiler(parser)
    options.add_opt(parser, "the file's own, else speed")
    options.add_settings(parser)
    options.add_runner(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Reduces a finding or a file."""
    if options.names_folder(args, "reduce", ("test", "out", "isa", "opt", "settings")):
        return _finding(args, Path(args.what))
    return _file(args)


def _finding(args: argparse.Namespace, place: Path) -> int:
    from liftcheck.campaign.findings.store import load
    from liftcheck.campaign.reduce.engine import size
    from liftcheck.campaign.shrink import Watch, by_folder

    before = size(load(place).case)
    line = _progress()
    finding, folder, interrupted = by_folder(place, args.time, Watch(line), _jobs(args))
    line.close()
    after = size(finding.case)
    if args.json:
        document = {
            "folder": str(folder),
            "before": before,
            "after": after,
            "class": finding.klass,
            "note": finding.note,
            "interrupted": interrupted,
        }
        output.print_json("reduce", document)
    else:
        print(f"{folder}: {before} lines before, {after} now")
        if finding.note:
            print(finding.note)
    return _INTERRUPTED if interrupted else 0


def _file(args: argparse.Namespace) -> int:
    from liftcheck.campaign.command import PLACE
    from liftcheck.campaign.reduce.engine import Limits
    from liftcheck.campaign.shrink import Wanted, Watch, by_command, by_disagreement
    from liftcheck.compilers.choice import Wish

    if args.test is not None and PLACE not in args.test:
        raise UsageError(f"--test '{args.test}' does not say where the file's name goes: write {PLACE} there")
    text = output.read_text(args.what)
    name = "<stdin>" if args.what == "-" else args.what
    out = args.out or (f"{Path(name).stem}.reduced.clif" if args.what != "-" else "-")
    _check(out, args.what)
    watch, limits = Watch(_progress()), Limits(args.time, questions=sys.maxsize)
    if args.test is not None:
        small = by_command(text, args.test, limits, watch, _jobs(args))
    else:
        wish = Wish(options.flat(args.isa, ()), options.flat(args.opt, ()), tuple(args.settings))
        small = by_disagreement(text, name, Wanted(args.compiler, wish, args.runner, limits, _jobs(args)), watch)
    _tell(args, small, out, watch)
    return _INTERRUPTED if small.interrupted else 0


def _jobs(args: argparse.Namespace) -> int:
    return args.jobs or options.cores()


def _check(out: str, what: str) -> None:
    """UsageError if the result cannot be written: told before the work."""
    if out == "-":
        return
    if what != "-" and Path(out).resolve() == Path(what).resolve():
        raise UsageError(f"--out {out} is the file itself: name another one")
    try:
        there = Path(out).exists()
        with Path(out).open("a", encoding="utf-8"):
            pass
        if not there:
            Path(out).unlink()
    except OSError as error:
        raise UsageError(f"cannot write {out!r}: {output.reason(error)}") from None


def _progress() -> _Line:
    return _Line()


class _Line:
    """Progress on standard error: one line that changes on a terminal, elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._told = time.monotonic()

    def __call__(self, lines: int, asked: int) -> None:
        text = f"{lines} lines, {asked} questions asked; Ctrl-C keeps the best so far"
        if self._is_terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        elif time.monotonic() - self._told >= 10:
            self._told = time.monotonic()
            output.note(text)

    def close(self) -> None:
        """The line is no longer wanted."""
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")


def _tell(args: argparse.Namespace, small: Small, out: str, watch: Watch) -> None:
    if isinstance(watch.say, _Line):
        watch.say.close()
    document = {
        "file": None if out == "-" else out,
        "class": small.klass,
        "before": small.before,
        "after": small.after,
        "note": small.note,
        "others": list(small.others),
        "interrupted": small.interrupted,
        "questions": watch.asked,
    }
    if out != "-":
        Path(out).write_text(small.text, encoding="utf-8")
    elif not args.json:
        print(small.text, end="")
    if args.json:
        output.print_json("reduce", {**document, **({"text": small.text} if out == "-" else {})})
        return
    tell = output.note if out == "-" else print
    tell(
        f"{'-' if out == '-' else out}: {small.before} lines before, {small.after} now"
        + (f": {small.klass}" if small.klass else "")
    )
    for line in (*filter(None, [small.note]), *(f"disagrees as well, not reduced: {other}" for other in small.others)):
        tell(line)
    if small.interrupted:
        output.note("interrupted: this is the best so far")
