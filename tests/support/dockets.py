"""Findings made by hand, and a docket whose reductions are done at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liftcheck.campaign.findings.docket import Docket, Entry
from liftcheck.campaign.findings.finding import Finding, fold_key
from liftcheck.campaign.findings.store import Store
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.oracles import compare

TARGET = Target("riscv64")
ADD, MIXED, SHIFT = ("iadd",), ("iadd", "imul", "bxor"), ("ishl", "rotl")


def case(ops: Sequence[str], number: int) -> Case:
    body = "\n".join(f"    v{n + 1} = {op} v{n}, v0" for n, op in enumerate(ops))
    text = f"function %f(i64) -> i64 system_v {{\nblock0(v0: i64):\n{body}\n    return v{len(ops)}\n}}\n"
    return Case(parse_module(text), 0, ((7,),), (), 0, f"case {number}")


def wrong(number: int, ops: Sequence[str] = MIXED, klass: str = compare.WRONG_RESULT) -> Finding:
    found = Finding(klass, case(ops, number), TARGET, (TARGET,), number=number, seed=1, compiler="cranelift@0.0.0")
    return dataclasses.replace(found, key=f"{fold_key(found)} | {found.case.name}")


def panic(number: int, reason: str = "it broke") -> Finding:
    failure = CompileFailure("panic", reason, reason, "lib.rs:1")
    return dataclasses.replace(wrong(number, klass=compare.COMPILER_PANIC), failure=failure)


def small(finding: Finding, ops: Sequence[str] = ADD) -> Finding:
    """What a reduction makes of a finding."""
    made = dataclasses.replace(finding, case=case(ops, finding.number or 0), reduced=True)
    return dataclasses.replace(made, key=fold_key(made))


class Desk:
    """A docket whose reductions are done at once, when they are asked for: `results` by case number."""

    def __init__(self, out: Path | None, strict: bool, ahead: int = 1, **results: Any) -> None:
        self.dropped: list[Entry] = []
        self.docket = Docket(Store(out), strict, lambda *_: None, self.dropped.append)
        self.ahead = ahead
        self.results = results
        self.begun: list[int | None] = []

    def work(self, dear: bool = True) -> None:
        while (entry := self.docket.next(dear, self.ahead)) is not None:
            entry.busy = True
            self.begun.append(entry.finding.number)
            first, *rest = self.results.pop(f"n{entry.finding.number}", (ADD,))
            if rest:  # what is left over comes to be reduced itself
                self.results[f"n{entry.finding.number}"] = rest
            self.docket.reduced(
                entry, [small(entry.finding, first), *(wrong(entry.finding.number or 0, ops) for ops in rest)]
            )

    def state(self) -> list[tuple[int | None, int, bool]]:
        return sorted((f.number, f.count, f.reduced) for f in self.docket.known.values())
