"""Two trees validate the same captured functions in turns: `ci/bench/validation.py --against TREE`, whose worker it is.

The one idea: a busy machine slows both alike. Each tree is a process of its own that is given the functions once, as
plain pickles; portion by portion they take turns, and what counts is each one's own processor time, of each function
the best of a few rounds. Verdicts are compared as well, of the functions and of copies of them with one byte changed.

Per ISA: `ratio` is the other tree's time over this one's, above 1 where this one is faster: `first` of the first round
(caches know other programs alone), `best` of the best rounds; `differ` counts verdicts that are not the same, and shows
one. Trees as old as 26c4eb5 will do.

    python ci/bench/validation_turns.py TREE FILE      the worker: portions as lines, answers as lines of JSON
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, Final

from liftcheck.regalloc.allocation import Captured

PORTION: Final = 40
"""Functions of a turn: long enough for the processor's own caches, short enough to share the machine's moods."""
_MOVED: Final = {
    "liftcheck.regalloc.allocation": "liftcheck.compilers.allocation",
    "liftcheck.oracles.regalloc.validate": "liftcheck.oracles.validation",
}
"""Modules that had another name before."""


def changed(captured: Captured, number: int) -> Captured:
    """A copy with another byte somewhere in its code."""
    draw, code = random.Random(number), bytearray(captured.code.code)
    if code:
        code[draw.randrange(len(code))] ^= draw.randrange(1, 256)
    return captured._replace(code=replace(captured.code, code=bytes(code)))


def compare(tree: Path, functions: Mapping[str, Sequence[Captured]], warm_up: int, rounds: int) -> dict[str, object]:
    """The ratio and what differs, per ISA. `warm_up`: how many of each ISA's functions come first and do not count."""
    found: dict[str, object] = {}
    mine = Path(__file__).resolve().parents[2]
    for isa, all_of_them in functions.items():
        given = [*all_of_them, *(changed(f, number) for number, f in enumerate(all_of_them[warm_up:]))]
        with _worker(tree, isa, given) as other, _worker(mine, isa, given) as this:
            pair = (other, this)
            for at in range(0, warm_up, PORTION):
                _turn(pair, at, min(warm_up, at + PORTION), 0)
            found[isa] = _judged(pair, warm_up, len(all_of_them), len(given), rounds)
    return found


def _judged(pair: tuple[Any, Any], begin: int, valid: int, end: int, rounds: int) -> dict[str, object]:
    first, best, different = [0.0, 0.0], [0.0, 0.0], []
    for at in range(begin, end, PORTION):
        stop = min(at + PORTION, valid if at < valid else end)
        replies = [_turn(pair, at, stop, number) for number in range(rounds if at < valid else 1)]
        different += [(a, b) for a, b in zip(replies[0][0]["said"], replies[0][1]["said"]) if a != b]
        for side in (0, 1) if at < valid else ():
            columns = [reply[side]["seconds"] for reply in replies]
            first[side] += sum(columns[0])
            best[side] += sum(map(min, zip(*columns)))
    return {
        "ratio": {"first": round(first[0] / first[1], 3), "best": round(best[0] / best[1], 3)},
        "seconds": [round(seconds, 2) for seconds in best],
        "functions": valid - begin,
        "verdicts": end - begin,
        "differ": len(different),
        "shown": different[0] if different else None,
    }


def _turn(pair: tuple[Any, Any], begin: int, end: int, number: int) -> list[dict[str, Any]]:
    """One portion by both, one after the other; which is first alternates."""
    replies: dict[int, dict[str, Any]] = {}
    for side in (0, 1) if number % 2 else (1, 0):
        worker = pair[side]
        worker.stdin.write(f"{begin} {end}\n")
        worker.stdin.flush()
        replies[side] = json.loads(worker.stdout.readline() or "{}")
    return [replies[0], replies[1]]


@contextlib.contextmanager
def _worker(tree: Path, isa: str, functions: Sequence[Captured]) -> Iterator[subprocess.Popen[str]]:
    with tempfile.NamedTemporaryFile() as file:
        pickle.dump((isa, list(functions)), file)
        file.flush()
        environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"}
        with subprocess.Popen(
            [sys.executable, __file__, str(tree), file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        ) as process:
            yield process
            assert process.stdin is not None
            process.stdin.close()


class _Reader(pickle.Unpickler):
    """Finds classes where this tree has them."""

    def find_class(self, module: str, name: str) -> Any:
        return getattr(_module(module), name)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return importlib.import_module(_MOVED[name])


def _said(verdict: Any) -> str:
    """All of it but times."""
    example = verdict.counterexample
    return f"{verdict.status}; {verdict.reason}; {'' if example is None else astuple(example)}"


def work(tree: str, file: str) -> None:
    """The worker."""
    validate = _module("liftcheck.oracles.regalloc.validate").validate
    where = Path(importlib.import_module("liftcheck").__file__ or "")
    assert where.is_relative_to(Path(tree).resolve()), f"{where} is not of {tree}"
    with open(file, "rb") as stream:
        isa, functions = _Reader(stream).load()
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        begin, end = map(int, line.split())
        seconds, said = [], []
        for function in functions[begin:end]:
            started = time.process_time()
            verdict = validate(isa, function)
            seconds.append(time.process_time() - started)
            said.append(_said(verdict))
        print(json.dumps({"seconds": seconds, "said": said}), flush=True)


if __name__ == "__main__":
    work(*sys.argv[1:])
