"""How the time of each command grows with each dimension of its input: a table of exponents; exit code 1 if too steep.

For every command and every shape of `growth_inputs.py` the size doubles from --least to --most, or until one run takes
--seconds. Each run is a process forked from this one, which has everything imported, and what counts is its processor
time: its own, and apart from it that of its children (the compiler's bridge, qemu), whose growth is the compiler's and
is shown, not judged. The exponent is the slope of log(time - time of an empty file) over log(size) through the larger
sizes. n log n has about 1.1 here. Times below --floor at the largest size say nothing and are shown as `flat`. What has
no input that grows is not measured (`growth_campaign.py`).

    python ci/bench/growth.py [--command NAME] [--shape NAME] [--isa ISA] [--most 32000] [--seconds 20] [--limit 1.2]
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import growth_campaign
from growth_inputs import SHAPES

from liftcheck import cli
from liftcheck.clif.parser import parse_filetest
from liftcheck.clif.printer import print_module
from liftcheck.clif.verify import verify

FITTED: Final = 4
"""So many of the largest sizes make the exponent."""


class Time(NamedTuple):
    """Seconds of processor time of one run; `code` is its exit code, None if it was stopped."""

    own: float
    children: float
    code: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One command with one shape: the times by size, and what they amount to. `own` and `children` are exponents, None
    where the time is too short to say."""

    command: str
    shape: str
    times: dict[int, Time]
    own: float | None
    children: float | None
    stopped: bool


def parse(path: str, _isa: str) -> int:
    """Read, verify, print: what every command does first."""
    module = parse_filetest(Path(path).read_text(), path).module()
    found = verify(module)
    print_module(module)
    return len(found)


def _cli(*words: str) -> Callable[[str, str], int]:
    """A command line; FILE and ISA stand for the input and the ISA."""
    return lambda path, isa: cli.main([path if w == "FILE" else isa if w == "ISA" else w for w in words])


def _test(*lines: str) -> Callable[[str, str], int]:
    """`liftcheck test` of the file under other `test` lines."""
    def run(path: str, isa: str) -> int:
        text = Path(path).read_text().replace("test interpret\ntest run\n", "".join(f"test {x}\n" for x in lines))
        Path(path).write_text(text)
        return cli.main(["test", path, "--isa", isa, "--jobs", "1"])
    return run


COMMANDS: Final[dict[str, Callable[[str, str], int]]] = {
    "parse": parse,
    "interpret": _cli("interpret", "FILE"),
    "compile": _cli("compile", "FILE", "--isa", "ISA"),
    "compile --json": _cli("compile", "FILE", "--isa", "ISA", "--json"),
    "compile --clif": _cli("compile", "FILE", "--isa", "ISA", "--clif"),
    "compile --vcode": _cli("compile", "FILE", "--isa", "ISA", "--vcode"),
    "run": _cli("run", "FILE", "--isa", "ISA"),
    "run --json": _cli("run", "FILE", "--isa", "ISA", "--json"),
    "test interpret": _test("interpret"),
    "test run": _test("run"),
    "test verifier": _test("verifier"),
    "test compile": _test("compile"),
    "test optimize": _test("optimize"),
    "regalloc": _cli("regalloc", "FILE", "--isa", "ISA", "--jobs", "1", "--algorithm", "backtracking"),
    "regalloc single_pass": _cli("regalloc", "FILE", "--isa", "ISA", "--jobs", "1", "--algorithm", "single_pass"),
    "replay": growth_campaign.replay,
    "reduce": growth_campaign.reduce,
    "reduce's candidates": growth_campaign.search,
    "generate": growth_campaign.generate,
    "fuzz": growth_campaign.fuzz,
}
OF_PROGRAMS: Final = ("generate", "fuzz")
"""They read no file: what grows is the number of programs."""


def shapes_of(command: str) -> dict[str, Callable[[int], str]]:
    """What can grow for a command."""
    return {growth_campaign.PROGRAMS: growth_campaign.programs} if command in OF_PROGRAMS else SHAPES


def timed(command: Callable[[str, str], int], path: Path, isa: str, seconds: float) -> Time:
    """One run in a process of its own, stopped (with its children) when it has taken `seconds`."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _work(command, path, isa, seconds, outlet)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if not said:
        return Time(seconds, 0.0, None)
    return Time(*json.loads(said))


def _work(command: Callable[[str, str], int], path: Path, isa: str, seconds: float, outlet: int) -> None:
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
        code = command(str(path), isa)
    sys.stdout.flush()
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    said = [own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime, code]
    os.write(outlet, json.dumps(said).encode())
    os._exit(0)


def exponent(times: dict[int, float], base: float, floor: float) -> float | None:
    """The slope through the larger sizes; None if even the largest takes less than `floor`."""
    sizes = sorted(times)[-FITTED:]
    points = [(math.log(size), math.log(times[size] - base)) for size in sizes if times[size] - base > floor / 2]
    if len(points) < 2 or times[sizes[-1]] - base < floor:
        return None
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    return (sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points))


def measure(name: str, shape: str, folder: Path, args: argparse.Namespace) -> Row:
    """The times of a command for a shape, size after size."""
    times: dict[int, Time] = {}
    path, make = folder / f"{shape}.clif", shapes_of(name)[shape]
    stopped = False
    for size in sizes(args.least, args.most):
        path.write_text(make(size))
        spent = timed(COMMANDS[name], path, args.isa, args.seconds)
        if spent.code is None:
            stopped = True
            break
        times[size] = spent
        if spent.own + spent.children > args.seconds / 2.5:
            stopped = size < args.most
            break
    path.write_text(make(2))
    base = min((timed(COMMANDS[name], path, args.isa, args.seconds) for _ in range(2)), key=lambda time: time.own)
    own = exponent({size: time.own for size, time in times.items()}, base.own, args.floor)
    children = exponent({size: time.children for size, time in times.items()}, base.children, args.floor)
    return Row(name, shape, times, own, children, stopped)


def sizes(least: int, most: int) -> Iterator[int]:
    """Doubling."""
    while least <= most:
        yield least
        least *= 2


def text(row: Row, limit: float) -> str:
    """One line of the table."""
    largest = max(row.times, default=0)
    last = row.times.get(largest, Time(0.0, 0.0, None))
    codes = sorted({time.code for time in row.times.values() if time.code is not None})
    shown = ["flat" if value is None else f"{value:.2f}" for value in (row.own, row.children)]
    remarks = ["TOO STEEP"] if _steep(row, limit) else []
    remarks += ["stopped at the time limit"] if row.stopped else []
    remarks += [f"exit codes {codes}"] if codes not in ([0], [1]) else []
    return (f"{row.command:21} {row.shape:14} {shown[0]:>5} {last.own:8.2f} s  {shown[1]:>5} {last.children:8.2f} s "
            f"{largest:6}  {', '.join(remarks)}").rstrip()


def _steep(row: Row, limit: float) -> bool:
    return row.own is not None and row.own > limit


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 1 if an exponent is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", action="append", choices=list(COMMANDS), help="only this command; repeatable")
    parser.add_argument("--shape", action="append", choices=[*SHAPES, growth_campaign.PROGRAMS],
                        help="only this shape; repeatable")
    parser.add_argument("--isa", default="x86-64")
    parser.add_argument("--least", type=int, default=500)
    parser.add_argument("--most", type=int, default=32_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="processor time of one run")
    parser.add_argument("--floor", type=float, default=0.3, help="seconds below which a time says nothing")
    parser.add_argument("--limit", type=float, default=1.2)
    args = parser.parse_args(argv)
    print(f"{'command':21} {'shape':14} {'own':>5} {'at most':>10}  {'child':>5} {'at most':>10}   size", flush=True)
    steep = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.command or COMMANDS:
            for shape in [shape for shape in shapes_of(name) if shape in (args.shape or shapes_of(name))]:
                row = measure(name, shape, Path(folder), args)
                print(text(row, args.limit), flush=True)
                steep += [row] if _steep(row, args.limit) else []
    for row in steep:
        print(f"{row.command} / {row.shape}: " + ", ".join(f"{n}: {t.own:.2f} s" for n, t in row.times.items()))
    print(f"{len(steep)} steeper than {args.limit}")
    return int(bool(steep))


if __name__ == "__main__":
    sys.exit(main())
