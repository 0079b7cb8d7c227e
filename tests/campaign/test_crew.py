"""Several processes answer a reducer's candidates: with the result of one, and none of them is left."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support import toy_crew
from support.examples import sparse

from liftcheck import cli
from liftcheck.campaign.command import Command
from liftcheck.campaign.crew import KILLS, Asking, Crew
from liftcheck.campaign.execute.local import children
from liftcheck.campaign.findings.likeness import probe
from liftcheck.campaign.reduce.answers import ALONE, Answers, Q, one_by_one
from liftcheck.campaign.reduce.engine import Limits, Meter, Reduced, finished, reduce_case
from liftcheck.campaign.reduce.text import fewer
from liftcheck.case import Case, Target
from liftcheck.clif.text.printer import print_module
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.oracles.reference import interpret

TARGET = Target("x86-64")


class Anything:
    def __contains__(self, key: object) -> bool:
        return True


class Ahead:
    """A panel that draws `depth` candidates before it answers the first, as a crew does, and asks them backwards."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.drawn = 0

    def answers(self, question: Callable[[Q], str], asked: Callable[[Q], object]) -> Answers[Q]:
        def answers(candidates: Iterable[Q | None]) -> Iterator[tuple[Q, str] | None]:
            stream = (one for one in candidates if one is not None)
            while drawn := [*islice(stream, self.depth)]:
                self.drawn += len(drawn)
                for one, why in reversed([(one, question(one)) for one in reversed(drawn)]):
                    yield one, why
                    if not why:
                        return

        return answers


def program(seed: int) -> Case:
    return generate.generate(RandomChoices(seed), "default", Context(("x86-64",), {"x86-64": Anything()}, inputs=2))


def reduced(case: Case, answers: Answers[Case], limits: Limits) -> tuple[Reduced, Meter]:
    meter = Meter(limits)
    return finished(reduce_case(case, answers, lambda one: probe(one, TARGET), meter)), meter


@pytest.mark.parametrize("seed", sparse(range(4), 2))
@pytest.mark.parametrize("questions", [7, 60, 5000])
def test_who_asks_ahead_finds_the_same_with_the_same_questions(seed: int, questions: int) -> None:
    case = program(seed)
    wanted = max(inst.op for f in case.module.functions for b in f.blocks for inst in b.insts if inst.results)

    def question(one: Case) -> str:
        found = interpret(one, False, 20_000)
        return "" if not found.trouble and any(name.startswith(wanted) for name in found.executed) else "lack it"

    limits = Limits(600.0, questions)
    alone, meter = reduced(case, one_by_one(question), limits)
    for depth in (2, 5):
        panel = Ahead(depth)
        ahead, other = reduced(case, panel.answers(question, lambda one: one), limits)
        assert print_module(ahead.case.module) == print_module(alone.case.module)
        assert (ahead.case.inputs, ahead.complete, ahead.refused) == (alone.case.inputs, alone.complete, alone.refused)
        assert other.asked == meter.asked <= panel.drawn


@pytest.mark.parametrize("wanted", [{3, 7}, {0}, set(), {9, 8}])
def test_lists_come_down_alike(wanted: set[int]) -> None:
    found = []
    for panel in (ALONE, Ahead(3), Ahead(8)):
        meter = Meter(Limits(60.0))
        ask = panel.answers(lambda items: "" if wanted <= set(items) else "no", lambda items: items)  # type: ignore[attr-defined]
        found.append((finished(fewer(range(10), ask, meter)), meter.asked))
    assert found[0] == found[1] == found[2]


def heard(crew: Crew, numbers: Iterable[int | None]) -> list[tuple[int, str] | None]:
    return list(crew.answers(toy_crew.objection, lambda number: number)(numbers))


def waited(crew: Crew) -> None:
    until = time.monotonic() + 60
    while not crew.is_ready and time.monotonic() < until:
        time.sleep(0.05)
    assert crew.is_ready


def test_answers_come_in_order_and_end_with_the_first_good_one() -> None:
    wanted = [(n, f"{n} is small") for n in range(10)]
    with Crew(Asking(toy_crew.opened), 3, after=0.0) as crew:
        waited(crew)
        assert heard(crew, [*range(10), 2000, *range(20, 40), 3000]) == [*wanted, (2000, "")]
        assert heard(crew, range(10)) == wanted  # what was asked ahead is forgotten
        assert heard(crew, [None, 1001, None]) == [None, (1001, "")]
        assert heard(crew, []) == []
        assert 0 < crew.asked_ahead < 60
    assert not multiprocessing.active_children()


def test_until_a_crew_is_ready_and_with_one_job_its_owner_asks() -> None:
    with Crew(Asking(toy_crew.opened), 1, after=0.0) as crew:
        assert heard(crew, [1, 2000, 3]) == [(1, "1 is small"), (2000, "")]
        assert not multiprocessing.active_children()
    with Crew(Asking(toy_crew.opened), 2, after=1000.0) as crew:
        assert heard(crew, [1, 2000, 3]) == [(1, "1 is small"), (2000, "")]
        assert crew.asked_ahead == 0


def test_a_crew_that_cannot_start_is_none() -> None:
    with Crew(Asking(toy_crew.never), 2, after=0.0) as crew:
        until = time.monotonic() + 60
        while crew._pool is not None or time.monotonic() < until:
            assert heard(crew, [1, 2000]) == [(1, "1 is small"), (2000, "")]
            if crew._pool is None:
                break
        assert not crew.is_ready
    assert not multiprocessing.active_children()


def test_a_candidate_that_kills_is_refused_and_the_work_goes_on() -> None:
    with Crew(Asking(toy_crew.opened), 2, after=0.0) as crew:
        waited(crew)
        found = heard(crew, [*[13] * 40, 1000])
        assert (13, KILLS) in found and found[-1] == (1000, "") and len(found) == 41


def test_when_a_crew_ends_its_owner_goes_on() -> None:
    with Crew(Asking(toy_crew.opened), 2, after=0.0) as crew:
        waited(crew)
        wanted = [(17, "17 is small")] * 40
        assert heard(crew, [*[17] * 40, 1000, 5]) == [*wanted, (1000, "")]
        assert not crew.is_ready


def test_an_interrupt_leaves_nobody() -> None:
    with pytest.raises(KeyboardInterrupt), Crew(Asking(toy_crew.opened), 2, after=0.0) as crew:
        waited(crew)
        raise KeyboardInterrupt
    assert not multiprocessing.active_children()


def test_a_command_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    mark = f"sleep {61.5 + os.getpid() % 97 / 1000}"
    ask = Command(f"cat {{}} && if grep -q slow {{}}; then {mark} & {mark}; fi", tmp_path / "a file", longest=-0.9)
    assert ask("quick") == ""
    assert ask("slow") and ask.last == "the command hangs"
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert mark not in running


TEXT = "".join(f"line {n}\n" for n in range(60))


def command(tmp_path: Path, pause: str = "0.02") -> str:
    script = tmp_path / "interesting.sh"
    script.write_text(f"sleep {pause}\ngrep -q 'line 7$' \"$1\" && grep -q 'line 44' \"$1\"\n", encoding="utf-8")
    return f"sh {shlex.quote(str(script))} {{}}"


def test_the_command_line_gives_the_same_with_one_and_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.clif").write_text(TEXT, encoding="utf-8")
    found: list[Any] = []
    for jobs in ("1", "3"):
        out = tmp_path / f"{jobs}.clif"
        words = ["reduce", str(tmp_path / "a.clif"), "--test", command(tmp_path), "--out", str(out), "--jobs", jobs]
        assert cli.main([*words, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        found.append((out.read_text(encoding="utf-8"), document["questions"], document["after"]))
    assert found[0] == found[1] and found[0][0] == "line 7\nline 44\n"
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_ctrl_c_ends_all_and_keeps_the_best(tmp_path: Path) -> None:
    (tmp_path / "a.clif").write_text(TEXT, encoding="utf-8")
    words = ["reduce", "a.clif", "--test", command(tmp_path, "0.2"), "--jobs", "3", "--time", "5m"]
    process = subprocess.Popen(
        [sys.executable, "-m", "liftcheck", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(ours := children(process.pid)) < 3 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, words_said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in words_said, words_said
    kept = (tmp_path / "a.reduced.clif").read_text(encoding="utf-8")
    assert "line 7\n" in kept and len(kept) <= len(TEXT)
    until = time.monotonic() + 30  # the last of them, which Python itself starts, ends when its pipe does
    while any(Path(f"/proc/{pid}").exists() for pid in ours) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]
