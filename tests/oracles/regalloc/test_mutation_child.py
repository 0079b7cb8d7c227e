"""The mutation fuzzer outlives an emulator that takes its process along: the edit is counted by name, once, and all
others are judged as if nothing had happened."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from support import mortal, scripts

sys.path.insert(0, str(scripts.ROOT / "ci" / "experiments"))
child: ModuleType = scripts.load("experiments/mutation_child")
fuzzer: ModuleType = scripts.load("experiments/validation_mutations")
FIRST = child.Doing(7)
EDIT = child.Doing(7, 1, "random bytes")


def test_a_child_that_lives_answers() -> None:
    assert child.attempt(mortal.lives, [FIRST, "one", EDIT, "two"]) == child.Ended(["one", "two"])


def test_a_child_that_is_killed_says_of_what() -> None:
    ended = child.attempt(mortal.aborts, [FIRST, "one", EDIT])
    assert ended == child.Ended(["one"], EDIT, "SIGABRT")


@pytest.mark.parametrize(
    ("do", "said"), [(mortal.fails, [EDIT]), (mortal.aborts, [])], ids=["an exception", "before any edit"]
)
def test_a_fault_of_our_own_is_not_outlived(do: Any, said: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="the fuzzer's process ended with"):
        child.attempt(do, said)


def report(kind: str) -> Any:
    return fuzzer.Report(Counter({(kind, "tried"): 2}), Counter(), [], 1)


def test_each_fatal_edit_is_counted_once_and_left_out_by_the_next_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three children: the first dies of an edit of its second program, the second of a program without an edit."""
    begun: list[tuple[int, int, frozenset[Any]]] = []
    unedited = child.Doing(103)
    ends = [child.Ended([report("a")], EDIT, "SIGABRT"), child.Ended([report("a")], unedited, "SIGSEGV")]

    def attempt(_do: object, plan: Any, fatal: frozenset[Any]) -> Any:
        begun.append((plan.first, plan.most, fatal))
        return ends.pop(0) if ends else child.Ended([report("b"), report("b")])

    monkeypatch.setattr(fuzzer, "attempt", attempt)
    total = fuzzer.work(fuzzer.Plan("aarch64", "cranelift", 100, 1, 60.0, 4, 1, ()))
    assert begun == [(100, 4, frozenset()), (101, 3, frozenset([EDIT])), (102, 2, frozenset([EDIT, unedited]))]
    assert total.programs == 4
    assert total.counts == Counter(
        {("a", "tried"): 4, ("b", "tried"): 4, ("random bytes", "tried"): 1, ("random bytes", fuzzer.ABORTS): 1}
    )
    assert total.notes == Counter(
        {
            "the emulator aborts (SIGABRT): random bytes": 1,
            "the emulator aborts (SIGSEGV): a program without an edit": 1,
        }
    )


class Silent(fuzzer.Fuzzer):  # type: ignore[name-defined,misc]
    """A fuzzer whose every edit is judged in an instant."""

    def __init__(self) -> None:
        self.judged: list[str] = []

    def subject(self, number: int) -> Any:
        code = type("Code", (), {"code": b"1234"})
        return type("Subject", (), {"functions": [type("F", (), {"code": code})], "valid": {0}})

    def _edited(self, *_: object) -> object:
        return object()

    def _judge(self, _subject: object, _place: int, kind: str, _edited: object) -> None:
        self.judged.append(kind)


@pytest.mark.parametrize(
    ("fatal", "judged"),
    [
        ((), ["a", "b"]),
        ((child.Doing(5, 0, "a"),), ["b"]),
        ((child.Doing(5),), []),
        ((child.Doing(6, 0, "a"),), ["a", "b"]),
    ],
)
def test_what_is_fatal_is_not_done_again(fatal: Sequence[Any], judged: list[str]) -> None:
    said: list[object] = []
    one = Silent.__new__(Silent)
    one.isa, one.judged = "aarch64", []
    one.edit_all(5, 1, ["a", "b"], fatal, said.append)
    assert one.judged == judged
    assert said == [child.Doing(5), *(child.Doing(5, 0, kind) for kind in judged)]
