"""How the time of each command grows with each dimension of its input: a table of exponents; exit code 1 if too steep.

For every command and every shape of `growth_files.py` the size doubles from --least to --most, or until one run takes
--seconds. Each run is a process forked from this one, which has everything imported, and what counts is its processor
time: its own, and apart from it that of its children (the compiler's bridge, qemu), whose growth is the compiler's and
is shown, not judged. The exponent is the slope of log(time - time of an empty file) over log(size) through the larger
sizes. n log n has about 1.1 here. Times below --floor at the largest size say nothing and are shown as `flat`. What has
no input that grows is not measured (`growth_campaign.py`).

    python ci/bench/growth.py [--command NAME] [--shape NAME] [--isa ISA] [--most 32000] [--seconds 20] [--limit 1.2]
                                [--save ROWS]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import growth_campaign
import growth_page
from growth_files import BROKEN, SHAPES
from growth_page import Row

from liftcheck import cli
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.growth import exponent
from liftcheck.generators.shapes import TESTS


class Time(NamedTuple):
    """Seconds of processor time of one run; `code` is its exit code, None if it was stopped."""

    own: float
    children: float
    code: int | None


def parse(path: str, _isa: str) -> int:
    """Read, verify, print: what every command does first."""
    module = parse_filetest(Path(path).read_text(), path).module()
    found = verify(module)
    print_module(module)
    return len(found)


def _cli(*words: str) -> Callable[[str, str], int]:
    """A command line; FILE and ISA stand for the input and the ISA."""
    return lambda path, isa: cli.main([path if w == "FILE" else isa if w == "ISA" else w for w in words])


def _test(line: str, options: Sequence[str] = ()) -> Callable[[str, str], int]:
    """`liftcheck test` of the file under another `test` line."""

    def run(path: str, isa: str) -> int:
        text = Path(path).read_text().replace("\n".join(TESTS), f"test {line}", 1)
        Path(path).write_text(text)
        return cli.main(["test", path, "--isa", isa, "--jobs", "1", *options])

    return run


class Command(NamedTuple):
    """`run` of a file on an ISA gives an exit code; `shapes` are what can grow for it. `whole`: its children are
    processes of our own, so their time counts as our own."""

    run: Callable[[str, str], int]
    shapes: Mapping[str, Callable[[int], str]] = SHAPES
    whole: bool = False


def _any(*words: str) -> Command:
    """A command line that takes files in which everything is wrong, too."""
    return Command(_cli(*words), SHAPES | BROKEN)


_REGALLOC: Final = ("regalloc", "FILE", "--isa", "ISA", "--jobs", "1", "--algorithm")
COMMANDS: Final[dict[str, Command]] = {
    "parse": Command(parse),
    "interpret": _any("interpret", "FILE"),
    "interpret --json": Command(_cli("interpret", "FILE", "--json")),
    "compile": _any("compile", "FILE", "--isa", "ISA"),
    "compile --json": Command(_cli("compile", "FILE", "--isa", "ISA", "--json")),
    "compile --clif": Command(_cli("compile", "FILE", "--isa", "ISA", "--clif")),
    "compile --vcode": Command(_cli("compile", "FILE", "--isa", "ISA", "--vcode")),
    "compile --rules": Command(_cli("compile", "FILE", "--isa", "ISA", "--rules")),
    "run": _any("run", "FILE", "--isa", "ISA"),
    "run --json": Command(_cli("run", "FILE", "--isa", "ISA", "--json")),
    "test interpret": Command(_test("interpret")),
    "test run": Command(_test("run"), SHAPES | BROKEN),
    "test run --json": Command(_test("run", options=("--json",))),
    "test verifier": Command(_test("verifier"), SHAPES | BROKEN),
    "test compile": Command(_test("compile")),
    "test optimize": Command(_test("optimize")),
    "test cat": Command(_test("cat")),
    "test domtree": Command(_test("domtree")),
    "test print-cfg": Command(_test("print-cfg")),
    "test FOLDER": Command(growth_campaign.test_folder, growth_campaign.FOLDERS),
    "regalloc": Command(_cli(*_REGALLOC, "backtracking"), SHAPES | BROKEN),
    "regalloc single_pass": Command(_cli(*_REGALLOC, "single_pass")),
    "regalloc --json": Command(_cli(*_REGALLOC, "backtracking", "--json")),
    "regalloc FOLDER": Command(growth_campaign.regalloc_folder, growth_campaign.FOLDERS),
    "regalloc --generate": Command(growth_campaign.regalloc, growth_campaign.PROGRAMS),
    "replay": Command(growth_campaign.replay),
    "reduce": Command(growth_campaign.reduce),
    "reduce's candidates": Command(growth_campaign.search),
    "generate": Command(growth_campaign.generate, growth_campaign.PROGRAMS),
    "fuzz": Command(growth_campaign.fuzz, growth_campaign.PROGRAMS, whole=True),
    "fuzz --validate": Command(growth_campaign.fuzz_validate, growth_campaign.PROGRAMS, whole=True),
}  # fmt: skip


def timed(command: Command, path: Path, isa: str, seconds: float) -> Time:
    """One run in a process of its own, stopped (with its children) when it has taken `seconds`."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _work(command, path, isa, seconds, outlet)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as pipe:
        sent = pipe.read()
    os.waitpid(child, 0)
    if not sent:
        return Time(seconds, 0.0, None)
    return Time(*json.loads(sent))


def _work(command: Command, path: Path, isa: str, seconds: float, outlet: int) -> None:
    """The child: runs, says its times, ends."""
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)  # other work may have the cores
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds) + 1, math.ceil(seconds) + 2))
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    if "GROWTH_STDERR" not in os.environ:
        os.dup2(nothing, 2)
    code = 70
    with contextlib.suppress(SystemExit):
        code = command.run(str(path), isa)
    sys.stdout.flush()
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    sent = [own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime, code]
    if command.whole:
        sent = [sent[0] + sent[1], 0.0, code]
    os.write(outlet, json.dumps(sent).encode())
    os._exit(0)


def measure(name: str, shape: str, folder: Path, args: argparse.Namespace) -> Row:
    """The times of a command for a shape, size after size. If they grow too fast, all is measured once more and the
    shorter times count: others use the machine too."""
    row, times = _measured(name, shape, folder, args, {})
    return _measured(name, shape, folder, args, times)[0] if row.is_steeper(args.limit) else row


def _measured(
    name: str, shape: str, folder: Path, args: argparse.Namespace, before: dict[int, Time]
) -> tuple[Row, dict[int, Time]]:
    times: dict[int, Time] = {}
    command = COMMANDS[name]
    path, make = folder / f"{shape}.clif", command.shapes[shape]
    stopped = False
    for size in sizes(args.least, args.most):
        path.write_text(make(size))
        spent = timed(command, path, args.isa, args.seconds)
        if spent.code is None:
            stopped = True
            break
        times[size] = min(spent, before.get(size, spent), key=lambda time: time.own)
        if spent.own + spent.children > args.seconds / 2.5:
            stopped = size < args.most
            break
    base = least(name, args.isa, args.seconds)
    largest = max(times, default=0)
    last = times.get(largest, Time(0.0, 0.0, None))
    own = exponent({size: time.own for size, time in times.items()}, base.own, args.floor)
    children = exponent({size: time.children for size, time in times.items()}, base.children, args.floor)
    codes = sorted({time.code for time in times.values() if time.code is not None})
    return Row(
        name,
        shape,
        args.isa,
        largest,
        own,
        last.own,
        children,
        last.children,
        stopped,
        codes,
        {size: round(time.own, 2) for size, time in times.items()},
    ), times


@cache
def least(name: str, isa: str, seconds: float) -> Time:
    """What a command takes for next to nothing."""
    command = COMMANDS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "least.clif"
        path.write_text(next(iter(command.shapes.values()))(2))
        return min((timed(command, path, isa, seconds) for _ in range(2)), key=lambda time: time.own)


def sizes(least: int, most: int) -> Iterator[int]:
    """Doubling."""
    while least <= most:
        yield least
        least *= 2


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 1 if an exponent is above the limit."""
    args = _parser().parse_args(argv)
    kept = [] if args.save is None else growth_page.read(args.save)
    print(growth_page.HEADER, flush=True)
    steep = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.command or COMMANDS:
            shapes = COMMANDS[name].shapes
            for shape in [shape for shape in shapes if shape in (args.shape or shapes)]:
                row = measure(name, shape, Path(folder), args)
                print(growth_page.line(row, args.limit), flush=True)
                kept = growth_page.merged(kept, row)
                steep += [row] if row.is_steeper(args.limit) else []
                if args.save is not None:
                    growth_page.write(args.save, kept)
    for row in steep:
        print(f"{row.command} / {row.shape}: " + ", ".join(f"{n}: {t:.2f} s" for n, t in row.times.items()))
    print(f"{len(steep)} steeper than {args.limit}")
    return int(bool(steep))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes = {shape: None for command in COMMANDS.values() for shape in command.shapes}
    parser.add_argument("--command", action="append", choices=list(COMMANDS), help="only this command; repeatable")
    parser.add_argument("--shape", action="append", choices=list(shapes), help="only this shape; repeatable")
    parser.add_argument("--isa", default="x86-64")
    parser.add_argument("--least", type=int, default=500)
    parser.add_argument("--most", type=int, default=32_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="processor time of one run")
    parser.add_argument("--floor", type=float, default=0.3, help="seconds below which a time says nothing")
    parser.add_argument("--limit", type=float, default=growth_page.LIMIT)
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="put the rows into this file, in the place of older ones"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
