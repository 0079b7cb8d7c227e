"""How a compiler grows: a planted quadratic one is seen, a linear one is not, whatever else the machine does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from liftcheck import cli
from liftcheck.campaign.report import growth as report
from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler, Reply
from liftcheck.compilers.growth import LEAST, REPEATS, SHAPES, Growing, Meter, exponent

TARGET = Target("x86-64", (("opt_level", "speed"),))


class Toy(Compiler):
    """A compiler that costs what is planted, by the number of lines; no clock runs."""

    name, version = "toy@1.0", "1.0"

    def __init__(self, seconds: Callable[[int], float], mebibytes: Callable[[int], float], broken: int = 0) -> None:
        self.cost, self.size, self.broken = seconds, mebibytes, broken
        self.spent = self.peak = 0.0

    def close(self) -> None:
        self.peak = 0.0

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        lines = text.count("\n")
        if self.broken and lines > self.broken:
            return [[CompileFailure("panic", "index out of bounds", "index out of bounds", "somewhere.rs:1:2")]]
        self.spent += self.cost(lines)
        self.peak = max(self.peak, self.size(lines))
        return [[FunctionCode("%f", b"\x90")]]


class Counted(Meter):
    """Reads what the toy says."""

    def __init__(self, toy: Toy) -> None:
        super().__init__(toy)
        self.toy = toy

    def seconds(self) -> float:
        return self.toy.spent

    def mebibytes(self) -> float:
        return self.toy.peak


def growing(toy: Toy) -> Growing:
    return Growing(toy, 64_000, 30.0, 1.35, Counted(toy))


def linear(lines: int) -> float:
    return 1e-4 * lines


def quadratic(lines: int) -> float:
    return 1e-7 * lines * lines


def test_linear_is_silent_and_quadratic_is_seen() -> None:
    right = growing(Toy(linear, lambda lines: 20 + lines / 500)).measure("instructions", TARGET)
    assert right.time == pytest.approx(1.0, abs=0.05) and right.memory == pytest.approx(1.0, abs=0.05)
    assert not right.is_steeper(1.35) and right.points[-1].size == 64_000 and not right.stopped
    slow = growing(Toy(quadratic, linear)).measure("instructions", TARGET)
    assert slow.time == pytest.approx(2.0, abs=0.05) and slow.is_steeper(1.35)
    large = growing(Toy(linear, lambda lines: 1e-6 * lines**2)).measure("instructions", TARGET)
    assert large.memory == pytest.approx(2.0, abs=0.05) and large.is_steeper(1.35) and large.time is not None


def test_reading_is_told_apart_from_compiling() -> None:
    class Reader(Toy):
        """Its reader is quadratic, and a part of each compilation."""

        def read_filetest(self, text: str) -> list[object]:
            self.spent += quadratic(text.count("\n"))
            return []

    toy = Reader(lambda lines: linear(lines) + quadratic(lines), linear)
    found = growing(toy).measure("instructions", TARGET)
    assert found.time == pytest.approx(1.0, abs=0.05) and found.reading == pytest.approx(2.0, abs=0.05)
    assert found.is_steeper(1.35)


def test_n_log_n_and_what_costs_nothing_are_silent() -> None:
    near = growing(Toy(lambda lines: linear(lines) * (lines + 2).bit_length() / 10, linear)).measure("chain", TARGET)
    assert near.time is not None and 1.0 < near.time < 1.35
    nothing = growing(Toy(lambda lines: 1e-13 * lines**2, lambda lines: 1.0)).measure("chain", TARGET)
    assert nothing.time is None and nothing.memory is None and not nothing.is_steeper(1.0)


def test_a_machine_that_others_use_makes_no_false_alarm() -> None:
    """The larger the program, the more of its time others take, until it is measured anew."""
    times: Counter[int] = Counter()

    def disturbed(lines: int) -> float:
        times[lines] += 1
        return linear(lines) / 20 * ((lines / 500) ** 0.6 if times[lines] <= REPEATS else 1.0)

    toy = Toy(disturbed, linear)
    found = growing(toy).measure("instructions", TARGET)
    assert max(times.values()) > REPEATS and not found.is_steeper(1.1)


def test_it_ends_where_it_takes_too_long_or_fails() -> None:
    slow = Growing(toy := Toy(quadratic, linear), 64_000, 1.0, 1.35, Counted(toy)).measure("instructions", TARGET)
    assert slow.points[-1].size < 16_000 and slow.stopped == "a compilation takes more than 1 s"
    broken = growing(Toy(linear, linear, broken=3000)).measure("instructions", TARGET)
    assert broken.stopped == "panic at 4,000: index out of bounds" and broken.is_steeper(9.0)
    assert [point.size for point in broken.points] == [500, 1000, 2000]


def test_an_exponent_needs_two_sizes_that_cost_something() -> None:
    assert exponent({500: 1.0}, 0.0, 0.1) is None
    assert exponent({500: 0.001, 1000: 0.002}, 0.0, 0.1) is None
    assert exponent({500: 1.0, 1000: 8.0}, 0.0, 0.1) == pytest.approx(3.0)
    disturbed = {8000: 0.0001, 16_000: 0.001, 32_000: 0.02, 64_000: 0.08}
    assert exponent(disturbed, 0.0, 0.05) is None


@pytest.mark.parametrize("name", list(SHAPES))
def test_shapes_are_well_formed_and_get_longer(name: str) -> None:
    short, long = SHAPES[name](10), SHAPES[name](40)
    assert len(long) > 1.5 * len(short)
    assert not verify(parse_filetest(long, name).module())


def test_the_picture_and_the_table_name_the_steepest() -> None:
    rows = [
        growing(Toy(quadratic, linear)).measure("pressure", TARGET),
        growing(Toy(linear, linear)).measure("chain", TARGET),
    ]
    drawn = report.picture("toy@1.0", 1.35, rows)
    root = ElementTree.fromstring(drawn)
    texts = [str(node.text) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "pressure x86-64 2.00" in texts and {"linear", "quadratic"} <= set(texts) and "chain" not in " ".join(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
    document = report.document("toy@1.0", 1.35, rows)
    assert document["steeper"] == 1 and document["rows"][0]["points"][0]["size"] == LEAST
    assert report.picture("toy@1.0", 1.35, []) == ""


@pytest.mark.needs_compiler
def test_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, said in (
        (["--shape", "presure"], "did you mean pressure?"),
        (["--limit", "0"], "'0' is not an exponent"),
        (["--most", "5"], "at least the sizes 500 and 1,000"),
        (["--isa", "vax"], "unknown ISA"),
        (["--release", "--compiler", "mine"], "--release: mine has no builds"),
    ):
        assert cli.main(["growth", *words]) == 2
        assert said in capsys.readouterr().err
    words = ["--isa", "aarch64", "--shape", "chain", "--most", "2000", "--json", "--limit", "9"]
    assert cli.main(["growth", *words, "--plot", str(tmp_path / "x.svg")]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert [point["size"] for point in row["points"]] == [500, 1000, 2000]
    assert all(point["seconds"] > 0 and point["memory"] > 1 for point in row["points"])
    assert "chain" in (tmp_path / "x.svg").read_text()
    assert cli.main(["growth", *words, "--plot", str(tmp_path / "no" / "x.svg")]) == 2
