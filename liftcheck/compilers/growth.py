"""How a compiler's time and memory grow with the size of a program, in each dimension in which one can grow.

The one idea: a program of a shape (`generators.shapes`) is compiled at doubling sizes, each in a new process, until a
compilation takes longer than the limit; the exponent is the slope of log(cost) over log(size) through the largest.
Linear is 1, n log n about 1.1, quadratic 2. Cost is processor time of the compiler's own process, the median of a few
compilations, and the most memory that it had; what seems too steep is measured anew, and of each size the least
counts: others use the machine too, and none of them makes a compilation shorter.
A refusal or a failure at some size ends a shape there, and is said. It judges no code.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from liftcheck.case import CompileFailure, Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.base import Compiler, innermost
from liftcheck.generators.shapes import BODIES

FITTED: Final = 4
"""Sizes, the largest, through which the slope goes."""
LEAST, MOST = 500, 64_000
REPEATS: Final = 3
ANEW: Final = 2
"""How often what is too steep is measured again."""
FLOOR: Final = 0.05
"""Seconds below which the largest time says nothing; `FLOOR_MEMORY` the same of mebibytes."""
FLOOR_MEMORY: Final = 16.0
_TINY: Final = 2
_NO_PROGRAM: Final = ("rounds", "recursion", "large_slot", "immediates")
"""Shapes that do not make a program larger, or that only older readers take."""
SHAPES: Final[Mapping[str, Callable[[int], str]]] = {
    name: make for name, make in BODIES.items() if name not in _NO_PROGRAM
}


class Point(NamedTuple):
    """What a program of some size costs: seconds of processor time without those of reading its text, mebibytes (None:
    not known). Of a compiler that does not say what reading costs, that is a part of the seconds."""

    size: int
    seconds: float
    memory: float | None
    reading: float = 0.0


@dataclass(frozen=True, slots=True)
class Growth:
    """One shape on one target. `time`, `memory`, `reading`: the exponents, None where they are too small to say;
    `stopped`: why it was not measured further; `failure`: the compiler's, if it is a bug by itself."""

    shape: str
    target: Target
    points: tuple[Point, ...]
    time: float | None
    memory: float | None
    reading: float | None = None
    stopped: str = ""
    failure: CompileFailure | None = None

    def is_steeper(self, limit: float) -> bool:
        """Whether either grows too fast, or the compiler fails."""
        steep = max(self.time or 0.0, self.memory or 0.0, self.reading or 0.0) > limit
        return steep or self.failure is not None


def exponent(costs: Mapping[int, float], base: float, floor: float) -> float | None:
    """The slope through the larger sizes, without what next to nothing costs (`base`); None if even the largest costs
    less than `floor`, or fewer than three cost anything: two points are a slope of whatever disturbed one of them."""
    sizes = sorted(costs)[-FITTED:]
    points = [(math.log(size), math.log(costs[size] - base)) for size in sizes if costs[size] - base > floor / 6]
    if len(points) < max(2, min(3, len(sizes))) or costs[sizes[-1]] - base < floor:
        return None
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    slope: float = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return slope


class Meter:
    """What a compiler's process has cost so far: that which `pid` names, or ours if it has none."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler: Final = innermost(compiler)

    def seconds(self) -> float:
        """Processor time."""
        pid = getattr(self._compiler, "pid", None)
        return time.process_time() if pid is None else _processor_time(pid)

    def mebibytes(self) -> float | None:
        """The most memory that it has had; None if it is not a process of its own."""
        pid = getattr(self._compiler, "pid", None)
        if pid is None:
            return None
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "")
        return int(peak.split()[1]) / 1024 if peak else None


def _processor_time(pid: int) -> float:
    """In nanoseconds where the kernel counts them, else in its ticks."""
    try:
        tasks = [Path(entry.path, "schedstat").read_text() for entry in os.scandir(f"/proc/{pid}/task")]
        return sum(int(text.split()[0]) for text in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


class Growing:
    """Measures one compiler. `most` is the largest size, `seconds` what a compilation may take."""

    def __init__(self, compiler: Compiler, most: int, seconds: float, limit: float, meter: Meter | None = None) -> None:
        self.compiler: Final = compiler
        self.most: Final = most
        self.seconds: Final = seconds
        self.limit: Final = limit
        self.meter: Final = meter or Meter(compiler)
        self._old: Final[set[str]] = set()

    def measure(self, shape: str, target: Target) -> Growth:
        """The growth of a shape on a target."""
        points, stopped, failure = self._all(shape, target)
        found = self._fitted(shape, target, points, stopped, failure)
        for _ in range(ANEW):
            if not found.is_steeper(self.limit) or failure is not None:
                break
            points = [self._better(shape, target, point) for point in points]
            found = self._fitted(shape, target, points, stopped, failure)
        return found

    def _all(self, shape: str, target: Target) -> tuple[list[Point], str, CompileFailure | None]:
        points: list[Point] = []
        for size in (_TINY, *_sizes(self.most)):
            point = self._point(shape, target, size)
            if isinstance(point, CompileFailure) and point.kind == "input" and shape not in self._old:
                self._old.add(shape)
                point = self._point(shape, target, size)
            if isinstance(point, CompileFailure):
                return points, _why(point, size), point if point.kind in ("panic", "abort") else None
            points.append(point)
            if point.seconds + point.reading > self.seconds:
                return points, "" if size == self.most else f"a compilation takes more than {self.seconds:g} s", None
        return points, "", None

    def _point(self, shape: str, target: Target, size: int) -> Point | CompileFailure:
        """What one size costs, in a new process."""
        text = self._text(shape, size)
        self.compiler.close()
        spent: list[float] = []
        while len(spent) < REPEATS and sum(spent) <= self.seconds:
            before = self.meter.seconds() if spent else self._started(target)
            replies = self.compiler.compile_text(text, [target])[0]
            failed = next((reply for reply in replies if isinstance(reply, CompileFailure)), None)
            if failed is not None:
                return failed
            spent.append(self.meter.seconds() - before)
        memory, reading = self.meter.mebibytes(), self._reading(text)
        return Point(size, max(median(spent) - reading, 0.0), memory, reading)

    def _text(self, shape: str, size: int) -> str:
        """The program; without opcodes of older versions, if the compiler does not know them."""
        text = SHAPES[shape](size)
        return print_module(parse_filetest(text, shape).module()) if shape in self._old else text

    def _reading(self, text: str) -> float:
        """What reading alone costs; 0 of a compiler that does not do that alone."""
        inner = innermost(self.compiler)
        read = getattr(inner, "read_filetest", None)
        if read is None:
            return 0.0
        spent = []
        for _ in range(REPEATS):
            before = self.meter.seconds()
            read(text)
            spent.append(self.meter.seconds() - before)
        return median(spent)

    def _started(self, target: Target) -> float:
        """A new process has compiled something; its time so far."""
        self.compiler.compile_text(SHAPES["chain"](_TINY), [target])
        return self.meter.seconds()

    def _better(self, shape: str, target: Target, point: Point) -> Point:
        """The least that a size has cost, after one more measurement."""
        again = self._point(shape, target, point.size)
        if isinstance(again, CompileFailure):
            return point
        known = [memory for memory in (point.memory, again.memory) if memory is not None]
        reading = min(point.reading, again.reading)
        return Point(point.size, min(point.seconds, again.seconds), min(known, default=None), reading)

    def _fitted(
        self, shape: str, target: Target, points: Sequence[Point], stopped: str, failure: CompileFailure | None
    ) -> Growth:
        tiny, rest = points[:1], points[1:]
        seconds = {point.size: point.seconds for point in rest}
        memory = {point.size: point.memory for point in rest if point.memory is not None}
        reading = {point.size: point.reading for point in rest}
        base = (tiny[0].seconds, tiny[0].memory or 0.0, tiny[0].reading) if tiny else (0.0, 0.0, 0.0)
        return Growth(
            shape,
            target,
            tuple(rest),
            exponent(seconds, base[0], FLOOR) if seconds else None,
            exponent(memory, base[1], FLOOR_MEMORY) if memory else None,
            exponent(reading, base[2], FLOOR) if reading else None,
            stopped,
            failure,
        )


def _sizes(most: int) -> Iterator[int]:
    size = min(LEAST, most)
    while size <= most:
        yield size
        size *= 2


def _why(failure: CompileFailure, size: int) -> str:
    return f"{failure.kind} at {size:,}: {failure.reason}"
